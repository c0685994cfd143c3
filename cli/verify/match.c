/* source.frames, source.origin: two clocks, compared tick by tick. */
#include "match.h"

#include <libavutil/mathematics.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "common/base/cleanup.h"
#include "common/base/err.h"

void match_free(struct match *m)
{
    if (!m)
        return;
    for (size_t i = 0; i < m->n_renditions; i++) {
        if (m->source_of)
            free(m->source_of[i]);
    }
    free(m->source_of);
    free(m);
}

/* Ticks at which source frame `i` is shown where the timeline's 0 is at
 * `origin` (in the source's time base). */
static int64_t expected(const struct source *s, size_t i, int64_t origin, uint32_t timescale)
{
    return av_rescale_q_rnd(s->pictures[i].at - origin, s->video_tb,
                            (AVRational){ 1, (int)timescale }, AV_ROUND_NEAR_INF);
}

/* Ticks by which a picture's time may differ: none, where the source says when it is. */
static int64_t slack_of(const struct source *s, uint32_t timescale)
{
    return (int64_t)ceil(s->slack_s * timescale);
}

static size_t misses(const struct source *s, const struct rendition *r, int64_t origin)
{
    int64_t slack = slack_of(s, r->init.timescale);
    size_t miss = 0, i = 0;
    for (size_t k = 0; k < r->n_frames; k++) {
        while (i < s->n && expected(s, i, origin, r->init.timescale) < r->shown[k] - slack)
            i++;
        miss += i == s->n || expected(s, i, origin, r->init.timescale) > r->shown[k] + slack;
    }
    return miss;
}

/* A picture that is seen for long, or while sound goes on behind the last one or comes before the
 * first, may be there more than once, for players whose buffers must have no hole. */
#define HELD_S 1.0

/* When sound is heard first; INFINITY: never. */
static double first_heard(const struct source *s)
{
    double first = INFINITY;
    for (size_t i = 0; i < s->n_sounds; i++)
        if (s->sounds[i].heard)
            first = fmin(first, (double)s->sounds[i].start * av_q2d(s->sounds[i].tb));
    return first;
}

/* Whether the rendition begins with the first picture before that one's time: sound is long
 * before it, and 0 is what is heard first. Then *ret is when. */
static int begins_held(const struct source *s, const struct rendition *r, int64_t *ret)
{
    double heard = first_heard(s), gap = (double)s->pictures[0].at * av_q2d(s->video_tb) - heard;
    double begins = seconds(r->shown[0], r->init.timescale);
    if (!(gap >= HELD_S && gap <= 3.6e6) || begins > gap - HELD_S / 2)
        return 0;
    *ret = (int64_t)floor((heard + 1e-9) / av_q2d(s->video_tb));
    return 1;
}

/* The first output frame is the first source frame, unless one was lost;
 * then others near it are tried. Rounding leaves a tick to either side. */
static int64_t find_origin(const struct source *s, const struct rendition *r, size_t *ret_misses)
{
    AVRational ticks = { 1, (int)r->init.timescale };
    int64_t best = s->pictures[0].at - av_rescale_q(r->shown[0], ticks, s->video_tb);
    if (begins_held(s, r, &best))
        return best;
    *ret_misses = SIZE_MAX;
    for (size_t i = 0; i < 3 && i < s->n && *ret_misses; i++) {
        for (int64_t d = -1; d <= 1; d++) {
            int64_t origin = s->pictures[i].at - av_rescale_q(r->shown[0], ticks, s->video_tb) + d;
            size_t miss = misses(s, r, origin);
            /* Among equals the one that takes the fewest source frames away. */
            if (miss < *ret_misses || (miss == *ret_misses && !i && !d)) {
                *ret_misses = miss;
                best = origin;
            }
        }
    }
    return best;
}

struct cap {
    int capped;
    double period_s; /* at most one frame in each */
    double slack_s;  /* a frame of the source: a grid may begin anywhere */
};

/* As frame_rates() measures a rendition; 0: out of memory. */
static double source_rate(const struct source *s)
{
    _cleanup_free_ int64_t *shown = calloc(s->n + 1, sizeof(*shown));
    struct rendition r = { .n_frames = s->n, .shown = shown };
    double common, average;
    int even;
    if (!shown)
        return 0;
    for (size_t i = 0; i < s->n; i++)
        shown[i] = s->pictures[i].at;
    r.init.timescale = 1;
    frame_rates(&r, &common, &average, &even);
    return (even ? common : average) * s->video_tb.den / s->video_tb.num;
}

/* The receipt says which renditions have a cap, and its grid. */
static struct cap cap_of(const struct package *p, const struct source *s, const struct rendition *r)
{
    for (size_t i = 0; p->receipt && i < p->receipt->n_renditions; i++) {
        const struct receipt_rendition *q = &p->receipt->renditions[i];
        if (q->interval_s > 0 && strcmp(q->folder, r->folder) == 0)
            return (struct cap){ .capped = 1,
                                 .period_s = q->interval_s,
                                 .slack_s = 1 / source_rate(s) };
    }
    return (struct cap){ 0 };
}

static double at_s(const struct source *s, size_t i, int64_t origin)
{
    return (double)(s->pictures[i].at - origin) * av_q2d(s->video_tb);
}

/* Source frame `i` isn't in the rendition. A cap may have dropped it, but
 * only where the frame kept before it is of the same cell of the grid. */
static int may_drop(const struct source *s, size_t i, size_t kept, int64_t origin,
                    const struct cap *cap)
{
    return cap->capped && kept != SIZE_MAX &&
           at_s(s, i, origin) - at_s(s, kept, origin) < cap->period_s * 1.02 + cap->slack_s;
}

struct tally {
    size_t missing, extra, held, dropped;
};

static int may_hold(const struct source *s, size_t before, double at)
{
    double shown = (double)s->pictures[before].at * av_q2d(s->video_tb);
    if (before + 1 < s->n)
        return (double)s->pictures[before + 1].at * av_q2d(s->video_tb) - shown >= HELD_S;
    if (at < s->until_s - 1e-6 && s->until_s - shown >= HELD_S)
        return 1;
    for (size_t i = 0; i < s->n_sounds; i++)
        if (s->sounds[i].heard && fmax(at, shown + HELD_S) < sound_end(&s->sounds[i].sound))
            return 1;
    return 0;
}

/* Before the first picture, while sound is there. */
static int comes_early(const struct source *s, double at)
{
    double heard = first_heard(s);
    return (double)s->pictures[0].at * av_q2d(s->video_tb) - heard >= HELD_S && at >= heard - 0.05;
}

static int is_hurt(const struct source *s, size_t i)
{
    return i < s->n && s->pictures[i].hurt;
}

struct comparing {
    struct package *p;
    const struct source *s;
    const struct rendition *r;
    int64_t origin;
    struct cap cap;
    size_t *source_of;
    struct tally t;
};

static void on_missing(struct comparing *c, size_t i, size_t kept)
{
    double at = at_s(c->s, i, c->origin);
    if (c->s->pictures[i].brief || may_drop(c->s, i, kept, c->origin, &c->cap)) {
        c->t.dropped++;
    } else if (is_hurt(c->s, i)) {
        report_warn(c->p->report, CHECK_SOURCE_FRAMES,
                    "%s: the source's frame %zu (due at %.6f s) is missing; the source is damaged",
                    c->r->folder, i, at);
    } else {
        c->t.missing++;
        report_fail(c->p->report, CHECK_SOURCE_FRAMES,
                    "%s: the source's frame %zu (pts %lld, due at %.6f s) is missing", c->r->folder,
                    i, (long long)c->s->pictures[i].at, at);
    }
}

/* Rendition's frame `k` isn't one of the source's; the next of those is `i`. */
static void on_extra(struct comparing *c, size_t k, size_t i)
{
    double at = seconds(c->r->shown[k], c->r->init.timescale);
    c->source_of[k] = SIZE_MAX;
    double in_source = at + (double)c->origin * av_q2d(c->s->video_tb);
    if (i ? may_hold(c->s, i - 1, in_source) : comes_early(c->s, in_source)) {
        c->source_of[k] = i ? i - 1 : 0;
        c->t.held++;
    } else if (is_hurt(c->s, i) || (i && is_hurt(c->s, i - 1))) {
        report_warn(c->p->report, CHECK_SOURCE_FRAMES,
                    "%s: frame %zu at %.6f s stands in for one that doesn't decode", c->r->folder,
                    k, at);
    } else {
        c->t.extra++;
        report_fail(c->p->report, CHECK_SOURCE_FRAMES,
                    "%s: frame %zu at %.6f s (tick %lld) isn't in the source", c->r->folder, k, at,
                    (long long)c->r->shown[k]);
    }
}

static void compare(struct comparing *c)
{
    const struct source *s = c->s;
    uint32_t timescale = c->r->init.timescale;
    int64_t slack = slack_of(s, timescale);
    size_t i = 0, k = 0, kept = SIZE_MAX;
    while (i < s->n || k < c->r->n_frames) {
        int64_t want = i < s->n ? expected(s, i, c->origin, timescale) : INT64_MAX;
        int64_t have = k < c->r->n_frames ? c->r->shown[k] : INT64_MAX;
        if (i < s->n && k < c->r->n_frames && llabs(want - have) <= slack)
            c->source_of[k++] = kept = i++;
        else if (want < have)
            on_missing(c, i++, kept);
        else
            on_extra(c, k++, i);
    }
}

static void check_cap(struct package *p, const struct rendition *r, const struct cap *cap)
{
    double span = seconds(r->shown[r->n_frames - 1] - r->shown[0], r->init.timescale);
    /* One a cell, and both ends may lie in cells that are only touched. */
    double limit = span / cap->period_s * 1.01 + 2.001;
    if ((double)r->n_frames > limit)
        report_fail(p->report, CHECK_SOURCE_FRAMES,
                    "%s: %zu frames in %.3f s are above its cap of %.3f frames/s", r->folder,
                    r->n_frames, span, 1 / cap->period_s);
}

static void check_rendition(struct package *p, const struct source *s, const struct rendition *r,
                            int64_t origin, size_t *source_of)
{
    struct comparing c = { p, s, r, origin, cap_of(p, s, r), source_of, { 0 } };
    compare(&c);
    if (c.cap.capped)
        check_cap(p, r, &c.cap);
    if (!c.t.missing && !c.t.extra)
        report_pass(p->report, CHECK_SOURCE_FRAMES, "%s: %zu of %zu frames%s", r->folder,
                    r->n_frames, s->n, c.cap.capped ? " (capped rate)" : "");
}

static const struct rendition *fullest(const struct package *p)
{
    const struct rendition *most = NULL;
    for (size_t i = 0; i < p->n_renditions; i++) {
        const struct rendition *r = &p->renditions[i];
        if (r->kind == KIND_VIDEO && r->whole && r->n_frames &&
            (!most || r->n_frames > most->n_frames))
            most = r;
    }
    return most;
}

/* Seconds between two times. Which turn of MPEG's 33-bit clock a reader counts
 * from is its own affair. */
static double apart(double a, double b)
{
    return isfinite(a) && isfinite(b) ? fabs(remainder(a - b, 8589934592.0 / 90000)) : INFINITY;
}

/* `at` against what is seen or heard first; or against where the first packet
 * of sound would begin, which a decoder's priming may leave unheard. */
static void judge_origin(struct package *p, const struct source *s, double at, double tick)
{
    double video = s->n ? (double)s->pictures[0].at * av_q2d(s->video_tb) : INFINITY;
    double heard = INFINITY, packet = INFINITY, limit = fmax(tick, 0.001) + 1e-9;
    for (size_t i = 0; i < p->n_renditions; i++) {
        const struct source_sound *x = sound_of(p, s, &p->renditions[i]);
        if (!x || !x->heard)
            continue;
        heard = fmin(heard, (double)x->start * av_q2d(x->tb));
        packet = fmin(packet, (double)x->packet * av_q2d(x->tb));
    }
    /* Sound that a container puts before its time 0 needn't be heard. */
    if (apart(at, fmin(video, heard)) <= limit || (heard < 0 && apart(at, fmin(video, 0)) <= limit))
        report_pass(p->report, CHECK_SOURCE_ORIGIN, "time 0 is at %.6f s of the source", at);
    else if (apart(at, fmin(video, packet)) <= limit)
        report_warn(p->report, CHECK_SOURCE_ORIGIN,
                    "time 0 is at %.6f s of the source, where its first packet of sound begins; "
                    "nothing is shown or heard before %.6f s",
                    at, fmin(video, heard));
    else
        report_fail(p->report, CHECK_SOURCE_ORIGIN,
                    "time 0 is at %.6f s of the source; its first frame is at %.6f s, its first "
                    "sound at %.6f s",
                    at, video, heard);
}

static void check_origin(struct package *p, const struct source *s, int64_t origin)
{
    double tick = av_q2d(s->video_tb), at = (double)origin * tick;
    judge_origin(p, s, at, tick);
    if (p->receipt && p->receipt->origin_den &&
        apart((double)p->receipt->origin_num / (double)p->receipt->origin_den, at) >
            fmax(tick, 0.001) + 1e-9)
        report_fail(p->report, CHECK_SOURCE_ORIGIN, "the receipt's origin is %lld/%lld s, not %.6f",
                    (long long)p->receipt->origin_num, (long long)p->receipt->origin_den, at);
}

/* Without pictures: where the sound begins. */
static void sound_origin(struct package *p, const struct source *s, struct match *m)
{
    if (!s->has_sound || s->video >= 0)
        return;
    double tick = av_q2d(s->sound->tb), at = (double)s->sound->start * tick;
    if (p->receipt && p->receipt->origin_den)
        at = (double)p->receipt->origin_num / (double)p->receipt->origin_den;
    judge_origin(p, s, at, tick);
    m->has_origin = 1;
    m->origin_s = at;
}

static int match_rendition(struct package *p, struct source *s, struct match *m, size_t i,
                           int64_t origin)
{
    const struct rendition *r = &p->renditions[i];
    m->source_of[i] = calloc(r->n_frames, sizeof(**m->source_of));
    if (!m->source_of[i])
        return -1;
    check_rendition(p, s, r, origin, m->source_of[i]);
    return 0;
}

struct match *match_source(struct package *p, struct source *s)
{
    struct match *m = calloc(1, sizeof(*m));
    const struct rendition *best = fullest(p);
    if (!m)
        return NULL;
    m->n_renditions = p->n_renditions;
    m->source_of = calloc(p->n_renditions + 1, sizeof(*m->source_of));
    if (!m->source_of)
        goto fail;
    if (s->video >= 0 && s->n && !best)
        report_fail(p->report, CHECK_SOURCE_FRAMES, "the source has video, the package has none");
    if (!best || !s->n) {
        sound_origin(p, s, m);
        return m;
    }
    size_t miss;
    int64_t origin = find_origin(s, best, &miss);
    m->has_origin = 1;
    m->origin_s = (double)origin * av_q2d(s->video_tb);
    check_origin(p, s, origin);
    for (size_t i = 0; i < p->n_renditions; i++)
        if (p->renditions[i].kind == KIND_VIDEO && p->renditions[i].whole &&
            p->renditions[i].n_frames && match_rendition(p, s, m, i, origin) < 0)
            goto fail;
    return m;
fail:
    match_free(m);
    return NULL;
}
