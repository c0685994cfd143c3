/* decode.video, decode.audio, source.picture: what a decoder makes of it. */
#include <inttypes.h>
#include <libavutil/frame.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/cleanup.h"
#include "common/base/err.h"
#include "match.h"
#include "play.h"

DEFINE_CLEANUP(struct player *, player_free);

struct work {
    struct package *p;
    const struct source *s;
    const struct match *m;
    atomic_size_t next;
};

/* One rendition being decoded. */
struct run {
    const struct work *w;
    const struct rendition *r;
    size_t index, frame, target;
    size_t moved, compared, alike; /* alike: neighbours that look the same */
    size_t left_out;               /* pictures of a damaged copy that didn't decode */
    int damaged;                   /* a copy of a damaged source: breaches are warnings */
    size_t equal, unequal;         /* of a copy: pictures that are the source's, or aren't */
    struct SwsContext *sws;
};

static void picture_breach(struct run *x, const char *what, const struct target *t, double own,
                           double other)
{
    /* Where frames had to be concealed, pictures stand in for others; and what
     * two decoders make of damage needn't be alike. */
    int concealed = (x->w->p->receipt && x->w->p->receipt->frames_concealed > 0) ||
                    (x->w->s && (x->w->s->damage > 0 || x->w->s->looked_damage > 0));
    double at = seconds(x->r->shown[t->frame], x->r->init.timescale);
    x->moved++;
    if (concealed)
        report_warn(x->w->p->report, CHECK_SOURCE_PICTURE,
                    "%s: at %.6f s (frame %zu): %s (%.1f against %.1f); the source is damaged",
                    x->r->folder, at, t->frame, what, own, other);
    else
        report_fail(x->w->p->report, CHECK_SOURCE_PICTURE,
                    "%s: at %.6f s (frame %zu): %s (difference %.1f against %.1f)", x->r->folder,
                    at, t->frame, what, own, other);
}

/* Strong evidence only: coding noise must not look like a moved frame. */
static void compare_picture(struct run *x, const AVFrame *f, const struct target *t)
{
    const struct thumb *own = source_thumb(x->w->s, t->source);
    struct thumb out;
    if (!own || thumb_make(&x->sws, f, NULL, &out) < 0)
        return;
    double off = thumb_residue(&out, own), variance = thumb_variance(own);
    x->compared++;
    for (int d = -1; d <= 1; d += 2) {
        if (d < 0 && !t->source)
            continue;
        const struct thumb *near = source_thumb(x->w->s, d < 0 ? t->source - 1 : t->source + 1);
        if (!near)
            continue;
        if (thumb_residue(near, own) < 3) {
            x->alike++;
            continue;
        }
        double other = thumb_residue(&out, near);
        if (2 * other < off) {
            picture_breach(x, d < 0 ? "it is the frame before" : "it is the frame after", t, off,
                           other);
            return;
        }
    }
    if (variance > 25 && off > variance * 0.6)
        picture_breach(x, "it isn't the source's picture", t, off, variance);
}

/* The receipt tells which copies have their source's damage; that the source
 * has some must be seen, where it is at hand. */
static int is_damaged_copy(const struct work *w, const struct rendition *r)
{
    const struct receipt *q = w->p->receipt;
    char text[PATH_LEN_MAX + 64];
    const char *name = strrchr(r->folder, '/');
    if (!package_is_copy(w->p, r) || (w->s && !w->s->looked_damage))
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
    if (!x->w->m || !x->w->m->targets[x->index])
        return;
    if (package_is_copy(x->w->p, r))
        compare_sum(x, f, k);
    const struct target *list = x->w->m->targets[x->index];
    if (x->target < x->w->m->n_targets[x->index] && list[x->target].frame == k)
        compare_picture(x, f, &list[x->target++]);
}

static void end_video(struct run *x)
{
    struct report *rep = x->w->p->report;
    if (x->frame - x->left_out != x->r->n_frames)
        breach(x, CHECK_DECODE_VIDEO, "%s: %zu frames decoded, the container has %zu", x->r->folder,
               x->frame - x->left_out, x->r->n_frames);
    else
        report_pass(rep, CHECK_DECODE_VIDEO, "%s: %zu frames", x->r->folder, x->frame);
    if (x->compared && !x->moved)
        report_pass(rep, CHECK_SOURCE_PICTURE, "%s: %zu pictures", x->r->folder, x->compared);
    end_copy(x);
    thumb_releasep(&x->sws);
}

static void decode_video(struct run *x)
{
    _cleanup_(player_freep) struct player *pl = NULL;
    struct err err = { 0 };
    AVFrame *f;
    int rc = player_open(x->w->p, x->r, &pl, &err);
    if (!rc && av_cmp_q(player_time_base(pl), (AVRational){ 1, (int)x->r->init.timescale }))
        rc = err_set(&err, -1, ERR_INPUT, "%s: libavformat reads another timescale", x->r->folder);
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
