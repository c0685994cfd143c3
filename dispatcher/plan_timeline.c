/* From packets in decode order to frames in display order, and where they
 * may be cut. */
#include "../common/base/err.h"
#include "plan_copy.h"
#include "plan_parts.h"
#include <errno.h>
#include <libavutil/mathematics.h>
#include <stdlib.h>
#include <string.h>

void timeline_release(struct timeline *t)
{
    free(t->frames);
    free(t->keys);
    free(t->cuts);
    free(t->key_cuts);
    memset(t, 0, sizeof(*t));
}

int64_t cut_pts(const struct timeline *t, size_t cut)
{
    return cut < t->n_cuts ? t->frames[t->cuts[cut]].pts : t->end;
}

double cut_time(const struct timeline *t, size_t cut)
{
    if (t->by_work)
        return cut_work(t, cut);
    return (double)(cut_pts(t, cut) - t->frames[0].pts) * av_q2d(t->tb);
}

size_t cut_near(const struct timeline *t, double s, size_t lo, size_t hi)
{
    size_t a = lo + 1, b = hi;

    if (a >= hi)
        return hi;
    while (a < b) { /* the first cut at or after s */
        size_t mid = a + (b - a) / 2;
        if (cut_time(t, mid) < s)
            a = mid + 1;
        else
            b = mid;
    }
    if (a == hi)
        return hi - 1;
    if (a > lo + 1 && s - cut_time(t, a - 1) <= cut_time(t, a) - s)
        return a - 1;
    return a;
}

static int64_t in_range(int64_t t)
{
    return t >= -PTS_LIMIT && t <= PTS_LIMIT ? t : PLAN_NO_TIME;
}

/* Containers without pts (AVI) have no reordering either: dts will do, if
 * no packet at all says otherwise. */
static int only_dts(const struct media_index *idx)
{
    for (size_t i = 0; i < idx->n; i++)
        if (idx->packets[i].pts != PLAN_NO_TIME || idx->packets[i].dts == PLAN_NO_TIME)
            return 0;
    return 1;
}

static int frame_order(const void *a, const void *b)
{
    const struct frame *x = a, *y = b;

    if (x->pts != y->pts)
        return x->pts < y->pts ? -1 : 1;
    return x->packet < y->packet ? -1 : x->packet > y->packet;
}

/* Frames come nearly sorted, reordered by a few places only: an insertion
 * sort, until that turns out wrong. */
static void frames_sort(struct frame *f, size_t n)
{
    size_t moves = 0;

    for (size_t i = 1; i < n; i++) {
        struct frame x = f[i];
        size_t k = i;
        for (; k > 0 && frame_order(&f[k - 1], &x) > 0; k--, moves++)
            f[k] = f[k - 1];
        f[k] = x;
        if (moves > 64 * n) {
            qsort(f, n, sizeof(*f), frame_order);
            return;
        }
    }
}

static int frames_collect(struct timeline *t)
{
    const struct index_packet *p = t->idx->packets;
    int dts = only_dts(t->idx);
    size_t n = 0;

    t->frames = calloc(t->idx->n ? t->idx->n : 1, sizeof(*t->frames));
    t->keys = calloc(t->idx->n ? t->idx->n : 1, sizeof(*t->keys));
    if (!t->frames || !t->keys)
        return -ENOMEM;
    for (size_t i = 0; i < t->idx->n; i++) {
        int64_t pts = in_range(dts ? p[i].dts : p[i].pts);
        if (p[i].flags & PACKET_KEY)
            t->keys[t->n_keys++] = (struct key){ pts, i, (p[i].flags & PACKET_UNSAFE) != 0 };
        if (t->edited)
            continue;
        if (pts != PLAN_NO_TIME && !(p[i].flags & PACKET_HIDDEN))
            t->frames[n++] = (struct frame){ pts, i };
    }
    frames_sort(t->frames, n);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || t->frames[i].pts != t->frames[t->n_frames - 1].pts)
            t->frames[t->n_frames++] = t->frames[i];
    return 0;
}

/* How long the last frame is shown: what its packet says, else the source's
 * usual frame duration, else the frame before it, else 1/25 s. */
static int64_t last_duration(const struct timeline *t, AVRational rate)
{
    const struct frame *last = &t->frames[t->n_frames - 1];
    int64_t d = t->idx->packets[last->packet].duration;

    if (d <= 0 && rate.num > 0 && rate.den > 0)
        d = av_rescale_q(1, av_inv_q(rate), t->tb);
    if (d <= 0 && t->n_frames > 1)
        d = last->pts - last[-1].pts;
    if (d <= 0)
        d = av_rescale_q(1, (AVRational){ 1, 25 }, t->tb);
    return d > 0 && d <= PTS_LIMIT ? d : 1;
}

static int grid_known(const struct rendition *v, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (memcmp(&v[k].grid, &v[i].grid, sizeof(v->grid)) == 0)
            return 1;
    return 0;
}

/* Where a rendition is copied, GOPs begin where the source's do. */
static int drop_all_but_starts(const struct timeline *t, char *dropped)
{
    char *starts = calloc(t->idx->n + 1, 1);
    int r = starts ? copy_starts(t->idx, PACKET_IDR, starts) : -ENOMEM;

    for (size_t i = 1; r == 0 && i < t->n_frames; i++)
        dropped[i] |= (char)!starts[t->frames[i].packet];
    free(starts);
    return r;
}

static int cuts_find(struct timeline *t, const struct rendition *v, size_t n)
{
    char *dropped = calloc(t->n_frames, 1);

    t->cuts = calloc(t->n_frames, sizeof(*t->cuts));
    if (!dropped || !t->cuts) {
        free(dropped);
        return -ENOMEM;
    }
    for (size_t r = 0; r < n; r++) {
        int64_t cell, prev = 0;
        if (v[r].copy && drop_all_but_starts(t, dropped) < 0) {
            free(dropped);
            return -ENOMEM;
        }
        if (v[r].grid.period.num == 0 || grid_known(v, r))
            continue;
        for (size_t i = 0; i < t->n_frames; i++, prev = cell) {
            cell = frame_grid_cell(&v[r].grid, t->frames[i].pts, t->origin, t->tb);
            dropped[i] |= (char)(i > 0 && cell == prev);
        }
    }
    for (size_t i = 0; i < t->n_frames; i++)
        if (!dropped[i])
            t->cuts[t->n_cuts++] = i;
    free(dropped);
    return 0;
}

/* The first cut at or after a pts. */
static size_t cut_at(const struct timeline *t, int64_t pts)
{
    size_t a = 0, b = t->n_cuts;

    while (a < b) {
        size_t mid = a + (b - a) / 2;
        if (cut_pts(t, mid) < pts)
            a = mid + 1;
        else
            b = mid;
    }
    return a;
}

static int cut_order(const void *a, const void *b)
{
    size_t x = *(const size_t *)a, y = *(const size_t *)b;

    return x < y ? -1 : x > y;
}

static int key_cuts_find(struct timeline *t)
{
    size_t n = 0;
    int sorted = 1;

    t->key_cuts = calloc(t->edited ? t->n_cuts : t->n_keys + 1, sizeof(*t->key_cuts));
    if (!t->key_cuts)
        return -ENOMEM;
    if (t->edited) {
        edited_key_cuts(t);
        return 0;
    }
    for (size_t i = 0; i < t->n_keys; i++) {
        size_t cut = t->keys[i].pts == PLAN_NO_TIME ? 0 : cut_at(t, t->keys[i].pts);
        if (cut == 0 || cut >= t->n_cuts)
            continue;
        sorted &= n == 0 || t->key_cuts[n - 1] <= cut;
        t->key_cuts[n++] = cut;
    }
    if (!sorted)
        qsort(t->key_cuts, n, sizeof(*t->key_cuts), cut_order);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || t->key_cuts[i] != t->key_cuts[t->n_key_cuts - 1])
            t->key_cuts[t->n_key_cuts++] = t->key_cuts[i];
    return 0;
}

/* A copy has the source's packets and no others. */
static int any_copy(const struct rendition *v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (v[i].copy)
            return 1;
    return 0;
}

static int timeline_fill(struct timeline *t, const struct media_info *info,
                         const struct rendition *video, size_t n_video, struct extent sound,
                         struct err *err)
{
    if (t->tb.num <= 0 || t->tb.den <= 0)
        return err_set(err, -EINVAL, ERR_INPUT, "the video stream has no time base");
    if (frames_collect(t) < 0)
        return -ENOMEM;
    const struct extent no_sound = { INT64_MAX, INT64_MIN, 0 };
    int r = t->edited ? edited_frames(t, info) : 0;
    if (r < 0)
        return r == -E2BIG ? err_set(err, -EINVAL, ERR_INPUT, "an edit list shows too many frames")
                           : r;
    if (t->n_frames == 0)
        return err_set(err, -EINVAL, ERR_INPUT, "no video frame has a timestamp");
    if (!t->edited)
        t->end = t->frames[t->n_frames - 1].pts + last_duration(t, info->video.rate);
    t->origin = t->frames[0].pts < sound.start ? t->frames[0].pts : sound.start;
    if ((double)(t->end - t->origin) * av_q2d(t->tb) > TIMELINE_MAX)
        return err_set(err, -EINVAL, ERR_INPUT,
                       "the timestamps span %.0f hours, at most %.0f are allowed",
                       (double)(t->end - t->origin) * av_q2d(t->tb) / 3600, TIMELINE_MAX / 3600);
    if (timeline_repeat(t, any_copy(video, n_video) ? no_sound : sound) < 0)
        return -ENOMEM;
    if (cuts_find(t, video, n_video) < 0 || key_cuts_find(t) < 0 || repeated_key_cuts(t) < 0)
        return -ENOMEM;
    return 0;
}

int timeline_make(const struct media_info *info, const struct media_index *idx,
                  const struct rendition *video, size_t n_video, struct extent sound,
                  struct timeline *ret, struct err *err)
{
    struct timeline t = { .idx = idx, .tb = info->video.tb, .fields = info->video.fields };
    int r;

    t.edited = media_is_edited(info, info->video.stream);
    r = timeline_fill(&t, info, video, n_video, sound, err);

    if (r == -ENOMEM)
        (void)err_set(err, r, ERR_RESOURCE, "out of memory while planning %zu packets", idx->n);
    if (r < 0) {
        timeline_release(&t);
        return r;
    }
    *ret = t;
    return 0;
}
