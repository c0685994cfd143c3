/* What a copied rendition asks of its source. */
#include "plan_copy.h"
#include "../common/base/cleanup.h"
#include "plan_copy_levels.h"
#include "plan_parts.h"
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COPY_COST   0.001 /* core-seconds a second */
#define COPY_MEMORY (UINT64_C(32) << 20)
#define MEGA        1e6
#define RATE_MAX    1e13 /* bit/s */
/* What is read at most before a plan is made: a store that gives 15 MB a second
 * has until a planner's deadline. */
#define READ_MAX 8.0 /* GiB */
#define GIB      (1024.0 * 1024 * 1024)

enum { RANGE_FULL = 2, UNSPECIFIED = 2 };

int copy_refuse(struct rendition *r, const char *fmt, ...)
{
    char *text = NULL;
    va_list ap;

    va_start(ap, fmt);
    int n = vasprintf(&text, fmt, ap);
    va_end(ap);
    if (n < 0)
        return -ENOMEM;
    free(r->not_copied);
    r->not_copied = text;
    r->may_copy = 0;
    return 0;
}

/* ---- the picture ---- */

static int square(AVRational q)
{
    return q.num == q.den && q.num > 0;
}

/* 0: nothing against it; 1: refused; -ENOMEM. */
static int refused(int r)
{
    return r < 0 ? r : 1;
}

static int look_at_shape(const struct video_info *v, struct rendition *r)
{
    if (v->rotation || v->hflip)
        return refused(v->rotation
                           ? copy_refuse(r, "the source is turned by %d degrees", v->rotation)
                           : copy_refuse(r, "the source is mirrored"));
    if (crop_is_any(&v->crop))
        return refused(copy_refuse(r, "the source's container crops its pictures"));
    if (!square(v->sar) || !square(r->sar))
        return refused(
            copy_refuse(r, "the source's pixels are %d:%d, not square", v->sar.num, v->sar.den));
    if (v->width != r->width || v->height != r->height)
        return refused(copy_refuse(r, "the source is %dx%d, not %dx%d", v->width, v->height,
                                   r->width, r->height));
    if (r->grid.period.num != 0)
        return refused(copy_refuse(r, "the source has %.6g frames a second, %.6g are allowed",
                                   av_q2d(v->rate), av_q2d(r->rate)));
    return 0;
}

static int look_at_picture(const struct video_info *v, struct rendition *r)
{
    if (strcmp(v->codec, r->codec) != 0)
        return refused(copy_refuse(r, "the source is %s, not %s", v->codec, r->codec));
    if (v->interlaced)
        return refused(copy_refuse(r, "the source is interlaced"));
    /* Some of what HDR sources carry along is not told by anything that is looked at here. */
    if (color_is_hdr(&v->color))
        return refused(copy_refuse(r, "the source is HDR"));
    if (v->color.range == RANGE_FULL)
        return refused(copy_refuse(r, "the source has full range"));
    if (strcmp(v->pix_fmt, r->pix_fmt) != 0)
        return refused(copy_refuse(r, "the source is %s, not %s", v->pix_fmt, r->pix_fmt));
    return look_at_shape(v, r);
}

/* ---- the index ---- */

static int is_shown(const struct index_packet *p)
{
    return !(p->flags & (PACKET_HIDDEN | PACKET_SECOND));
}

int copy_starts(const struct media_index *idx, uint32_t flags, char *starts)
{
    _cleanup_free_ int64_t *least = malloc((idx->n + 1) * sizeof(*least)); /* from here on */
    int64_t most = INT64_MIN;                                              /* so far */

    if (!least)
        return -ENOMEM;
    least[idx->n] = INT64_MAX;
    for (size_t i = idx->n; i-- > 0;) {
        const struct index_packet *p = &idx->packets[i];
        least[i] = is_shown(p) && p->pts < least[i + 1] ? p->pts : least[i + 1];
    }
    for (size_t i = 0; i < idx->n; i++) {
        const struct index_packet *p = &idx->packets[i];
        starts[i] = is_shown(p) && p->flags & PACKET_KEY && (p->flags & flags) == flags &&
                    least[i] == p->pts && most < p->pts;
        if (is_shown(p) && p->pts > most)
            most = p->pts;
    }
    return 0;
}

/* The packets that are shown have a time each, and lie in one piece: from a
 * keyframe on, without hidden ones between them. */
static int look_at_times(const struct media_info *info, const struct media_index *idx,
                         struct rendition *r)
{
    size_t first = 0, last = idx->n, hidden = 0;

    if (media_is_edited(info, info->video.stream))
        return refused(copy_refuse(r, "the source's edit list cuts it up"));
    while (first < idx->n && !is_shown(&idx->packets[first]))
        first++;
    while (last > first && !is_shown(&idx->packets[last - 1]))
        last--;
    for (size_t i = first; i < last; i++) {
        const struct index_packet *p = &idx->packets[i];
        hidden += !is_shown(p);
        if (p->pts == INT64_MIN || p->flags & PACKET_MADE)
            return refused(copy_refuse(r, "not all of the source's pictures have a time"));
        if (p->pos > 0 && (uint64_t)p->pos + p->size > info->size_bytes)
            return refused(copy_refuse(r, "the source is cut off"));
        if (p->size == 0)
            return refused(copy_refuse(r, "the source has empty packets"));
    }
    if (first > 0 && (first == last || !(idx->packets[first].flags & PACKET_KEY)))
        return refused(copy_refuse(r, "the source's edit list begins in the middle of a GOP"));
    if (hidden > 0)
        return refused(copy_refuse(r, "the source's edit list hides pictures between others"));
    if (last - first != info->video.frames)
        return refused(copy_refuse(r, "some of the source's pictures have the same time"));
    return 0;
}

static int by_time(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return x < y ? -1 : x > y;
}

/* The longest time from one that is marked to the next, in seconds; INFINITY
 * where the first shown one isn't marked. */
static double longest_gop(const struct media_info *info, const struct media_index *idx,
                          const char *starts)
{
    double tb = av_q2d(info->video.tb), longest = 0;
    int64_t from = INT64_MIN;

    for (size_t i = 0; i < idx->n; i++) {
        const struct index_packet *p = &idx->packets[i];
        if (is_shown(p) && !starts[i] && from == INT64_MIN)
            return INFINITY;
        if (!starts[i])
            continue;
        if (from != INT64_MIN)
            longest = fmax(longest, (double)(p->pts - from) * tb);
        from = p->pts;
    }
    return fmax(longest, (double)(info->video.end - from) * tb);
}

/* The same for all that are flagged as keyframes. */
static double longest_key_gop(const struct media_info *info, const struct media_index *idx,
                              char *marks)
{
    for (size_t i = 0; i < idx->n; i++)
        marks[i] = is_shown(&idx->packets[i]) && idx->packets[i].flags & PACKET_KEY;
    return longest_gop(info, idx, marks);
}

static double segment_seconds(const struct plan_options *o)
{
    return o->segment_seconds > 0 ? o->segment_seconds : 6;
}

static int look_at_gops(const struct media_info *info, const struct media_index *idx, double limit,
                        struct rendition *r)
{
    _cleanup_free_ char *starts = malloc(idx->n + 1);

    if (!starts)
        return -ENOMEM;
    double keys = longest_key_gop(info, idx, starts);
    if (isinf(keys))
        return refused(copy_refuse(r, "the source begins in the middle of a GOP"));
    if (keys > limit)
        return refused(copy_refuse(r,
                                   "the source's GOPs are up to %.3g s long, more than a segment's "
                                   "%g s",
                                   keys, limit));
    if (copy_starts(idx, 0, starts) < 0)
        return -ENOMEM;
    return longest_gop(info, idx, starts) <= limit
               ? 0
               : refused(copy_refuse(r, "the source's GOPs are open"));
}

/* ---- the bit rate ---- */

struct flow {
    double *time; /* when the i-th packet is decoded, in seconds */
    double *bits;
    size_t n;
};

/* Whether a channel of `rate` keeps a buffer of `bufsize` from running dry:
 * the bits of no packets i..j are more than the buffer holds and the channel
 * brings from i to j. */
static int suffices(const struct flow *f, double rate, double bufsize)
{
    double sum = 0, least = 0;

    for (size_t i = 0; i < f->n; i++) {
        double lead = sum - rate * f->time[i];
        least = i == 0 || lead < least ? lead : least;
        sum += f->bits[i];
        if (sum - rate * f->time[i] - least > bufsize)
            return 0;
    }
    return 1;
}

static int flow_make(const struct media_info *info, const struct media_index *idx, struct flow *f)
{
    int64_t *pts = malloc((idx->n + 1) * sizeof(*pts));

    f->time = malloc((idx->n + 1) * sizeof(*f->time));
    f->bits = malloc((idx->n + 1) * sizeof(*f->bits));
    if (!pts || !f->time || !f->bits) {
        free(pts);
        return -ENOMEM;
    }
    for (size_t i = 0; i < idx->n; i++)
        if (is_shown(&idx->packets[i])) {
            f->bits[f->n] = 8.0 * idx->packets[i].size;
            pts[f->n++] = idx->packets[i].pts;
        }
    qsort(pts, f->n, sizeof(*pts), by_time);
    for (size_t i = 0; i < f->n; i++)
        f->time[i] = (double)(pts[i] - pts[0]) * av_q2d(info->video.tb);
    free(pts);
    return 0;
}

double copy_peak(const struct media_info *info, const struct media_index *idx, double bufsize)
{
    struct flow f = { 0 };
    double low = 0, high = RATE_MAX;

    if (flow_make(info, idx, &f) < 0)
        high = -1;
    else if (!suffices(&f, high, bufsize))
        high = INFINITY;
    else
        while (high - low > 100) {
            double mid = (low + high) / 2;
            if (suffices(&f, mid, bufsize))
                high = mid;
            else
                low = mid;
        }
    free(f.time);
    free(f.bits);
    return high;
}

static double bufsize_of(const struct rendition *r)
{
    for (size_t i = 0; i < r->n_params; i++)
        if (strcmp(r->params[i].key, "bufsize") == 0)
            return strtod(r->params[i].value, NULL);
    return 2.0 * (double)r->maxrate;
}

static int look_at_rate(const struct media_info *info, const struct media_index *idx,
                        struct rendition *r)
{
    double bufsize = bufsize_of(r), peak = copy_peak(info, idx, bufsize);

    if (peak < 0)
        return -ENOMEM;
    if (isinf(peak))
        return refused(copy_refuse(r, "a picture of the source is larger than bufsize %.3g Mb",
                                   bufsize / MEGA));
    if (peak <= (double)r->maxrate)
        return 0;
    return refused(copy_refuse(r, "the source's peak %.3g Mb/s is above maxrate %.3g Mb/s",
                               peak / MEGA, (double)r->maxrate / MEGA));
}

static int sift_one(const struct media_info *info, const struct media_index *idx,
                    const struct plan_options *opts, struct rendition *r)
{
    int n = look_at_times(info, idx, r);

    if (n == 0 && (double)info->size_bytes > READ_MAX * GIB)
        n = refused(copy_refuse(r, "the source has %.3g GiB, more than the %g that are looked at",
                                (double)info->size_bytes / GIB, READ_MAX));
    if (n == 0)
        n = look_at_gops(info, idx, segment_seconds(opts), r);
    return n == 0 ? look_at_rate(info, idx, r) : n;
}

/* Where sound is there for long without a picture, pictures are repeated (plan_repeat.c), which a
 * copy can't be. */
static int look_at_sound(const struct media_info *info, const struct rendition *list, size_t n,
                         struct rendition *r)
{
    const struct video_info *v = &info->video;

    for (size_t i = 0; i < n; i++) {
        const struct audio_info *a = list[i].kind == MEDIA_AUDIO ? media_audio(info, list[i].track)
                                                                 : NULL;
        if (!a)
            continue;
        if ((double)v->start * av_q2d(v->tb) - (double)a->start * av_q2d(a->tb) > REPEAT_LEAST)
            return refused(copy_refuse(r, "the source's sound begins long before its picture"));
        if ((double)a->end * av_q2d(a->tb) - (double)v->end * av_q2d(v->tb) > REPEAT_LEAST)
            return refused(copy_refuse(r, "the source's sound goes on long after its picture"));
    }
    return 0;
}

int copy_sift(const struct media_info *info, const struct media_index *idx, struct rendition *list,
              size_t n, const struct plan_options *opts, size_t *ret)
{
    size_t left = n;

    for (size_t i = 0; i < n; i++) {
        int r = 0;
        if (list[i].kind != MEDIA_VIDEO || !list[i].may_copy)
            continue;
        r = look_at_picture(&info->video, &list[i]);
        if (r == 0)
            r = look_at_sound(info, list, n, &list[i]);
        if (r == 0 && left < n)
            r = refused(copy_refuse(&list[i], "%s is the one that may be copied", list[left].name));
        else if (r == 0 && (r = sift_one(info, idx, opts, &list[i])) == 0)
            left = i;
        if (r < 0)
            return r;
    }
    *ret = left;
    return 0;
}

/* ---- the bitstream ---- */

static const char *profile_of(const struct rendition *r)
{
    for (size_t i = 0; i < r->n_params; i++)
        if (strcmp(r->params[i].key, "profile") == 0)
            return r->params[i].value;
    return "";
}

/* Baseline proper may have what no player decodes; its constrained part is in
 * all others. */
static int profile_fits(const struct bitstream_facts *f, const struct rendition *r)
{
    const char *allowed = profile_of(r);
    int high = strncmp(allowed, "high", 4) == 0, main = high || strcmp(allowed, "main") == 0;

    if (strcmp(r->codec, "av1") == 0)
        return f->profile == 0;
    if (strcmp(r->codec, "hevc") == 0)
        return f->profile == 1 || (f->profile == 2 && strcmp(allowed, "main10") == 0);
    return (f->profile == 66 && f->constrained) || (f->profile == 77 && main) ||
           (f->profile == 100 && high) || (f->profile == 110 && strcmp(allowed, "high10") == 0);
}

static int look_at_profile(const struct bitstream_facts *f, struct rendition *r)
{
    int enough = copy_level_enough(r);

    if (f->interlaced)
        return refused(copy_refuse(r, "the source may be interlaced"));
    if (!profile_fits(f, r))
        return refused(copy_refuse(r, "the source's profile is number %d, not within %s",
                                   f->profile, *profile_of(r) ? profile_of(r) : "main"));
    if (f->high_tier)
        return refused(copy_refuse(r, "the source is of the high tier"));
    if (f->level > enough)
        return refused(copy_refuse(r, "the source's level %.1f is above %.1f, which is enough",
                                   copy_level_number(r, f->level), copy_level_number(r, enough)));
    return 0;
}

/* What the bitstream says of itself must not contradict what will be said. */
static int agrees(int said, int want)
{
    return said == 0 || said == UNSPECIFIED || said == want;
}

static int look_at_tags(const struct copy_facts *f, struct rendition *r)
{
    const struct color_info *c = &f->color, *want = &r->color;

    if (f->width != r->width || f->height != r->height || strcmp(f->pix_fmt, r->pix_fmt) != 0)
        return refused(copy_refuse(r,
                                   "the source's pictures are %dx%d %s, its container says "
                                   "%dx%d",
                                   f->width, f->height, f->pix_fmt, r->width, r->height));
    if (f->sar.num > 0 && !square(f->sar))
        return refused(copy_refuse(r, "the source's pictures say that pixels are %d:%d", f->sar.num,
                                   f->sar.den));
    if (c->range == RANGE_FULL || !agrees(c->primaries, want->primaries) ||
        !agrees(c->transfer, want->transfer) || !agrees(c->matrix, want->matrix))
        return refused(copy_refuse(r,
                                   "the source's pictures are tagged %d/%d/%d, range %d, its "
                                   "container says %d/%d/%d",
                                   c->primaries, c->transfer, c->matrix, c->range, want->primaries,
                                   want->transfer, want->matrix));
    return 0;
}

static int look_at_idr(const struct media_info *info, const struct media_index *idx, double limit,
                       struct rendition *r)
{
    _cleanup_free_ char *starts = malloc(idx->n + 1);

    if (!starts || copy_starts(idx, PACKET_IDR, starts) < 0)
        return -ENOMEM;
    double longest = longest_gop(info, idx, starts);
    if (isinf(longest))
        return refused(copy_refuse(r, "the source begins without an IDR picture"));
    if (longest > limit)
        return refused(copy_refuse(r,
                                   "the source's GOPs are open: it has no IDR picture for %.3g s, "
                                   "more than a segment's %g s",
                                   longest, limit));
    return 0;
}

int copy_fits(const struct copy_facts *f, const struct media_info *info,
              const struct media_index *idx, const struct plan_options *opts, struct rendition *r)
{
    int n = f->obstacle[0] ? refused(copy_refuse(r, "%s", f->obstacle)) : 0;

    if (n == 0)
        n = look_at_profile(&f->stream, r);
    if (n == 0)
        n = look_at_tags(f, r);
    if (n == 0)
        n = look_at_idr(info, idx, segment_seconds(opts), r);
    return n < 0 ? n : !n;
}

/* ---- the plan ---- */

int copy_make(struct rendition *r)
{
    char *name = strdup("copy");

    if (!name)
        return -ENOMEM;
    for (size_t i = 0; i < r->n_params; i++) {
        free(r->params[i].key);
        free(r->params[i].value);
    }
    r->n_params = 0;
    free(r->encoder);
    r->encoder = name;
    r->copy = 1;
    r->may_copy = 0;
    r->gop_reset = r->warm_up = r->look_ahead = 0;
    r->threads = 1;
    r->cost = COPY_COST;
    r->memory_bytes = COPY_MEMORY;
    return 0;
}

int copy_gops_fit(const struct plan *p, char why[COPY_WHY_MAX])
{
    double longest = 0, tb = av_q2d(p->info.video.tb);
    /* Up to half a GOP more is the planner's own choice. */
    double limit = fmax(p->segment_seconds, 1.5 * p->gop_seconds);

    for (size_t i = 0; i < p->n_chunks; i++) {
        const struct chunk *c = &p->chunks[i];
        for (size_t g = 0; g < c->n_gops; g++) {
            int64_t end = g + 1 < c->n_gops ? c->gops[g + 1] : c->end;
            longest = fmax(longest, (double)(end - c->gops[g]) * tb);
        }
    }
    if (longest <= limit)
        return 1;
    (void)snprintf(
        why, COPY_WHY_MAX,
        "the other renditions leave out its IDR pictures: none that all keep for %.3g s, more "
        "than a segment's %g s",
        longest, p->segment_seconds);
    return 0;
}

void copy_shift_grids(const struct plan *p, struct rendition *list, size_t n)
{
    AVRational tb = p->info.video.tb, late;

    if (p->n_chunks == 0 || p->info.video.vfr)
        return;
    (void)av_reduce(&late.num, &late.den, (p->chunks[0].start - p->origin) * tb.num, tb.den,
                    INT32_MAX);
    for (size_t i = 0; i < n; i++) {
        struct frame_grid *g = &list[i].grid;
        if (list[i].kind != MEDIA_VIDEO || g->period.num == 0)
            continue;
        AVRational cells = { (int)floor(av_q2d(late) / av_q2d(g->period)), 1 };
        g->phase = av_sub_q(g->phase, av_sub_q(late, av_mul_q(cells, g->period)));
    }
}
