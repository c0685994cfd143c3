/* decode.video, decode.audio, source.picture: what a decoder makes of it. */
#include <errno.h>
#include <inttypes.h>
#include <libavutil/frame.h>
#include <math.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/cleanup.h"
#include "common/base/err.h"
#include "likeness.h"
#include "match.h"
#include "play.h"

DEFINE_CLEANUP(struct player *, player_free);

struct work {
    struct package *p;
    const struct source *s;
    const struct match *m;
    atomic_size_t next;
};

struct look { /* at one picture: its strangest part */
    float off;
    uint8_t column, row, seen;
};

/* One rendition being decoded. */
struct run {
    const struct work *w;
    const struct rendition *r;
    size_t index, frame;
    size_t moved, compared;
    size_t left_out;       /* pictures of a damaged copy that didn't decode */
    int damaged;           /* a copy of a damaged source: breaches are warnings */
    size_t equal, unequal; /* of a copy: pictures that are the source's, or aren't */
    struct thumb_maker thumbs;
    struct look *looks; /* one for each frame */
};

static void picture_breach(struct run *x, size_t k, const char *what, double off, double against)
{
    char text[PATH_LEN_MAX + 256];
    size_t i = x->w->m->source_of[x->index][k];
    x->moved++;
    (void)snprintf(text, sizeof(text),
                   "%s: at %.6f s (frame %zu): %s (difference %.1f, against %.1f)", x->r->folder,
                   seconds(x->r->shown[k], x->r->init.timescale), k, what, off, against);
    /* What two decoders make of damage needn't be alike. */
    if (x->w->s->pictures[i].hurt)
        report_warn(x->w->p->report, CHECK_SOURCE_PICTURE, "%s; the source is damaged", text);
    else
        report_fail(x->w->p->report, CHECK_SOURCE_PICTURE, "%s", text);
}

/* The rendition's frame `k` is the source's `i`: all of it. */
static void compare_picture(struct run *x, const AVFrame *f, size_t k, size_t i)
{
    const struct source *s = x->w->s;
    struct thumb out, own, before, after;
    struct likeness_detail d;
    if (source_thumb(s, i, &own) < 0 || thumb_make(&x->thumbs, f, &out) < 0)
        return;
    enum likeness l = likeness_of(&out, &own,
                                  i && source_thumb(s, i - 1, &before) == 0 ? &before : NULL,
                                  source_thumb(s, i + 1, &after) == 0 ? &after : NULL, &d);
    x->looks[k] = (struct look){ (float)d.strangest, (uint8_t)d.column, (uint8_t)d.row, 1 };
    x->compared++;
    if (l != LIKENESS_SAME)
        picture_breach(x, k,
                       l == LIKENESS_BEFORE ? "it is the frame before" : "it is the frame after",
                       d.off, d.other);
}

static int by_size(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* Levels of luma by which a part may be off. Encoders that have few bits blur: all
 * of a rendition is off then, and at times some more. */
enum {
    STRANGE = 8,
    STRANGE_STARVED = 32,
    STRANGE_MOST = 40,
    STRANGE_TIMES = 10,
    STARVED_BYTES = 2000
};

static double least_limit(const struct rendition *r)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < r->n_segments; i++)
        bytes += r->segments[i].size_bytes;
    return bytes / (r->n_frames + 1) < STARVED_BYTES ? STRANGE_STARVED : STRANGE;
}

static double limit_of(const struct run *x)
{
    double least = least_limit(x->r);
    _cleanup_free_ float *all = calloc(x->r->n_frames + 1, sizeof(*all));
    size_t n = 0;
    if (!all)
        return least;
    for (size_t k = 0; k < x->r->n_frames; k++)
        if (x->looks[k].seen)
            all[n++] = x->looks[k].off;
    qsort(all, n, sizeof(*all), by_size);
    double usual = STRANGE_TIMES * (double)all[n / 2];
    return fmin(fmax(usual, least), STRANGE_MOST);
}

static void judge_parts(struct run *x)
{
    double limit = x->compared ? limit_of(x) : 0;
    for (size_t k = 0; k < x->r->n_frames && x->compared; k++) {
        const struct look *l = &x->looks[k];
        char part[96];
        if (!l->seen || (double)l->off <= limit)
            continue;
        (void)snprintf(part, sizeof(part), "the part in column %u, row %u of 8 isn't the source's",
                       l->column + 1U, l->row + 1U);
        picture_breach(x, k, part, (double)l->off, limit);
    }
}

/* The receipt tells which copies have their source's damage; that the source
 * has some must be seen, where it is at hand. */
static int is_damaged_copy(const struct work *w, const struct rendition *r)
{
    const struct receipt *q = w->p->receipt;
    char text[PATH_LEN_MAX + 64];
    const char *name = strrchr(r->folder, '/');
    if (!package_is_copy(w->p, r) || (w->s && !w->s->damage))
        return 0;
    snprintf(text, sizeof(text), ": %s is a copy of the source, with its damage",
             name ? name + 1 : r->folder);
    for (size_t i = 0; i < q->n_warnings; i++)
        if (strstr(q->warnings[i], text))
            return 1;
    return 0;
}

__attribute__((format(printf, 3, 4))) static void breach(const struct run *x, enum check c,
                                                         const char *fmt, ...)
{
    char text[PATH_LEN_MAX + 256];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    if (x->damaged)
        report_warn(x->w->p->report, c, "%s; the source is damaged", text);
    else
        report_fail(x->w->p->report, c, "%s", text);
}

/* Of a copy: to the bit. */
static void compare_sum(struct run *x, const AVFrame *f, size_t k)
{
    const size_t *source_of = x->w->m->source_of[x->index];
    const struct sum *want = source_of && source_of[k] != SIZE_MAX
                                 ? source_sum(x->w->s, source_of[k])
                                 : NULL;
    struct sum have;
    if (!want || sum_make(f, &have) < 0)
        return;
    if (memcmp(want, &have, sizeof(have)) == 0) {
        x->equal++;
        return;
    }
    x->unequal++;
    breach(x, CHECK_SOURCE_COPY,
           "%s: the picture at %.6f s (frame %zu) isn't the source's to the bit", x->r->folder,
           seconds(x->r->shown[k], x->r->init.timescale), k);
}

static void end_copy(struct run *x)
{
    if (x->unequal || !x->w->m || !package_is_copy(x->w->p, x->r))
        return;
    if (x->equal < x->r->n_frames)
        breach(x, CHECK_SOURCE_COPY, "%s: %zu of %zu pictures could be compared with the source",
               x->r->folder, x->equal, x->r->n_frames);
    else
        report_pass(x->w->p->report, CHECK_SOURCE_COPY, "%s: %zu pictures", x->r->folder, x->equal);
}

/* Of a damaged copy some pictures may be missing. */
static size_t number_of(const struct run *x, const AVFrame *f)
{
    const struct rendition *r = x->r;
    size_t k = x->frame;
    while (x->damaged && k < r->n_frames && r->shown[k] < f->pts)
        k++;
    return k;
}

static void on_picture(struct run *x, const AVFrame *f)
{
    const struct rendition *r = x->r;
    size_t k = number_of(x, f);
    x->left_out += k - x->frame;
    x->frame = k + 1;
    if (k >= r->n_frames)
        return;
    if (f->pts != r->shown[k])
        report_fail(x->w->p->report, CHECK_DECODE_VIDEO,
                    "%s: decoded frame %zu has pts %" PRId64 ", the container has %lld", r->folder,
                    k, f->pts, (long long)r->shown[k]);
    if (f->width != (int)r->init.width || f->height != (int)r->init.height)
        report_fail(x->w->p->report, CHECK_DECODE_VIDEO,
                    "%s: frame %zu is %dx%d, the init says %ux%u", r->folder, k, f->width,
                    f->height, r->init.width, r->init.height);
    const size_t *source_of = x->w->m ? x->w->m->source_of[x->index] : NULL;
    if (!source_of)
        return;
    if (package_is_copy(x->w->p, r))
        compare_sum(x, f, k);
    if (source_of[k] != SIZE_MAX)
        compare_picture(x, f, k, source_of[k]);
}

static void end_video(struct run *x)
{
    struct report *rep = x->w->p->report;
    if (x->frame - x->left_out != x->r->n_frames)
        breach(x, CHECK_DECODE_VIDEO, "%s: %zu frames decoded, the container has %zu", x->r->folder,
               x->frame - x->left_out, x->r->n_frames);
    else
        report_pass(rep, CHECK_DECODE_VIDEO, "%s: %zu frames", x->r->folder, x->frame);
    judge_parts(x);
    if (x->compared && !x->moved)
        report_pass(rep, CHECK_SOURCE_PICTURE, "%s: %zu pictures", x->r->folder, x->compared);
    end_copy(x);
    thumb_maker_release(&x->thumbs);
    free(x->looks);
}

static void decode_video(struct run *x)
{
    _cleanup_(player_freep) struct player *pl = NULL;
    struct err err = { 0 };
    AVFrame *f;
    int rc = player_open(x->w->p, x->r, &pl, &err);
    if (!rc && av_cmp_q(player_time_base(pl), (AVRational){ 1, (int)x->r->init.timescale }))
        rc = err_set(&err, -1, ERR_INPUT, "%s: libavformat reads another timescale", x->r->folder);
    x->looks = calloc(x->r->n_frames + 1, sizeof(*x->looks));
    if (!rc && !x->looks)
        rc = err_set(&err, -ENOMEM, ERR_RESOURCE, "%s: out of memory", x->r->folder);
    x->damaged = is_damaged_copy(x->w, x->r);
    if (!rc && x->damaged)
        player_forgive(pl);
    while (!rc && (rc = player_next(pl, &f, &err)) > 0) {
        on_picture(x, f);
        rc = 0;
        av_frame_unref(f);
        /* A runaway decoder of hostile bytes ends here. */
        if (x->frame > x->r->n_frames + 16)
            break;
    }
    if (rc < 0)
        report_fail(x->w->p->report, CHECK_DECODE_VIDEO, "%s", err.text);
    end_video(x);
}

static void on_sound(struct run *x, const AVFrame *f, AVRational tb, int64_t *next, int64_t *first)
{
    AVRational rate = { 1, f->sample_rate };
    int64_t at = av_rescale_q(f->pts, tb, rate);
    if (*next == INT64_MIN)
        *first = at;
    else if (llabs(at - *next) > 1)
        report_fail(x->w->p->report, CHECK_DECODE_AUDIO,
                    "%s: samples end at %" PRId64 ", the next are at %" PRId64 " (%+.6f s)",
                    x->r->folder, *next, at, (double)(at - *next) * av_q2d(rate));
    *next = at + f->nb_samples;
    x->frame++;
}

static void end_audio(struct run *x, int64_t first, int64_t next, int rate)
{
    const struct rendition *r = x->r;
    double start = seconds(r->segments[0].shown, r->init.timescale);
    double end = seconds(r->segments[r->n_segments - 1].until, r->init.timescale);
    double packet = r->n_frames ? seconds(r->frames[0].duration, r->init.timescale) : 0;
    double from = (double)first / rate, to = (double)next / rate;
    if (from - start > packet + 1e-6 || start - from > packet + 1e-6)
        report_fail(x->w->p->report, CHECK_DECODE_AUDIO,
                    "%s: sound starts at %.6f s, the first segment at %.6f s", r->folder, from,
                    start);
    if (to - end > packet + 1e-6 || end - to > packet + 1e-6)
        report_fail(x->w->p->report, CHECK_DECODE_AUDIO,
                    "%s: sound ends at %.6f s, the last segment at %.6f s", r->folder, to, end);
    report_pass(x->w->p->report, CHECK_DECODE_AUDIO, "%s: %.6f to %.6f s in one piece", r->folder,
                from, to);
}

static void decode_audio(struct run *x)
{
    _cleanup_(player_freep) struct player *pl = NULL;
    struct err err = { 0 };
    int64_t next = INT64_MIN, first = 0;
    int rate = 0;
    AVFrame *f;
    int rc = player_open(x->w->p, x->r, &pl, &err);
    while (!rc && (rc = player_next(pl, &f, &err)) > 0) {
        if (f->sample_rate > 0 && f->pts != AV_NOPTS_VALUE) {
            rate = f->sample_rate;
            on_sound(x, f, player_time_base(pl), &next, &first);
        }
        rc = 0;
        av_frame_unref(f);
        if (x->frame > 4 * x->r->n_frames + 64)
            break;
    }
    if (rc < 0)
        report_fail(x->w->p->report, CHECK_DECODE_AUDIO, "%s", err.text);
    else if (!rate)
        report_fail(x->w->p->report, CHECK_DECODE_AUDIO, "%s: no sound came out", x->r->folder);
    else
        end_audio(x, first, next, rate);
}

static void *worker(void *arg)
{
    struct work *w = arg;
    for (;;) {
        size_t i = atomic_fetch_add(&w->next, 1);
        if (i >= w->p->n_renditions)
            return NULL;
        struct run x = { .w = w, .r = &w->p->renditions[i], .index = i };
        if (!x.r->whole || !x.r->n_frames) {
            if (x.r->media)
                report_fail(w->p->report,
                            x.r->kind == KIND_VIDEO ? CHECK_DECODE_VIDEO : CHECK_DECODE_AUDIO,
                            "%s: not decoded: it isn't whole", x.r->folder);
            continue;
        }
        if (x.r->kind == KIND_VIDEO)
            decode_video(&x);
        else
            decode_audio(&x);
    }
}

void check_decode(struct package *p, const struct source *s, const struct match *m,
                  unsigned threads)
{
    enum { THREADS_MAX = 64 };
    struct work w = { .p = p, .s = s, .m = m };
    pthread_t t[THREADS_MAX];
    unsigned started = 0;
    while (started + 1 < threads && started < THREADS_MAX && started + 1 < p->n_renditions &&
           !pthread_create(&t[started], NULL, worker, &w))
        started++;
    worker(&w);
    for (unsigned i = 0; i < started; i++)
        pthread_join(t[i], NULL);
}
