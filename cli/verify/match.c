/* source.frames, source.origin: two clocks, compared tick by tick. */
#include "match.h"

#include <libavutil/mathematics.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "common/base/err.h"

enum { SPREAD_TARGETS = 24, JOINT_TARGETS = 60 };

void match_free(struct match *m)
{
    if (!m)
        return;
    for (size_t i = 0; i < m->n_renditions; i++) {
        if (m->source_of)
            free(m->source_of[i]);
        if (m->targets)
            free(m->targets[i]);
    }
    free(m->source_of);
    free(m->targets);
    free(m->n_targets);
    free(m);
}

/* Ticks at which source frame `i` is shown where the timeline's 0 is at
 * `origin` (in the source's time base). */
static int64_t expected(const struct source *s, size_t i, int64_t origin, uint32_t timescale)
{
    return av_rescale_q_rnd(s->pts[i] - origin, s->video_tb, (AVRational){ 1, (int)timescale },
                            AV_ROUND_NEAR_INF);
}

static size_t misses(const struct source *s, const struct rendition *r, int64_t origin)
{
    size_t miss = 0, i = 0;
    for (size_t k = 0; k < r->n_frames; k++) {
        while (i < s->n && expected(s, i, origin, r->init.timescale) < r->shown[k])
            i++;
        miss += i == s->n || expected(s, i, origin, r->init.timescale) != r->shown[k];
    }
    return miss;
}

/* The first output frame is the first source frame, unless one was lost;
 * then others near it are tried. Rounding leaves a tick to either side. */
static int64_t find_origin(const struct source *s, const struct rendition *r, size_t *ret_misses)
{
    AVRational ticks = { 1, (int)r->init.timescale };
    int64_t best = s->pts[0] - av_rescale_q(r->shown[0], ticks, s->video_tb);
    *ret_misses = SIZE_MAX;
    for (size_t i = 0; i < 3 && i < s->n && *ret_misses; i++) {
        for (int64_t d = -1; d <= 1; d++) {
            int64_t origin = s->pts[i] - av_rescale_q(r->shown[0], ticks, s->video_tb) + d;
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

static double source_rate(const struct source *s)
{
    /* As frame_rates() measures a rendition. */
    struct rendition r = { .n_frames = s->n, .shown = s->pts };
    double common, average;
    int even;
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
    return (double)(s->pts[i] - origin) * av_q2d(s->video_tb);
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
    size_t missing, extra, dropped;
};

static struct tally compare(struct package *p, const struct source *s, const struct rendition *r,
                            int64_t origin, const struct cap *cap, size_t *source_of, int report)
{
    struct tally t = { 0 };
    size_t i = 0, k = 0, kept = SIZE_MAX;
    while (i < s->n || k < r->n_frames) {
        int64_t want = i < s->n ? expected(s, i, origin, r->init.timescale) : INT64_MAX;
        int64_t have = k < r->n_frames ? r->shown[k] : INT64_MAX;
        if (want == have) {
            source_of[k++] = kept = i++;
        } else if (want < have) {
            if (may_drop(s, i, kept, origin, cap))
                t.dropped++;
            else if (t.missing++, report)
                report_fail(p->report, CHECK_SOURCE_FRAMES,
                            "%s: the source's frame %zu (pts %lld, due at %.6f s) is missing",
                            r->folder, i, (long long)s->pts[i], at_s(s, i, origin));
            i++;
        } else {
            source_of[k] = SIZE_MAX;
            t.extra++;
            if (report)
                report_fail(p->report, CHECK_SOURCE_FRAMES,
                            "%s: frame %zu at %.6f s (tick %lld) isn't in the source", r->folder, k,
                            seconds(have, r->init.timescale), (long long)have);
            k++;
        }
    }
    return t;
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
    struct cap cap = cap_of(p, s, r);
    struct tally t = compare(p, s, r, origin, &cap, source_of, 1);
    if (cap.capped)
        check_cap(p, r, &cap);
    if (!t.missing && !t.extra)
        report_pass(p->report, CHECK_SOURCE_FRAMES, "%s: %zu of %zu frames%s", r->folder,
                    r->n_frames, s->n, cap.capped ? " (capped rate)" : "");
}

/* Where frames were concealed the source must really be damaged; one that
 * decodes well into fewer frames (pairs of fields, say) had no such frames. */
static void check_concealed(struct package *p, struct source *s)
{
    struct source decoded = *s;
    if (!p->receipt || p->receipt->frames_concealed <= 0 || s->from_decoder)
        return;
    decoded.pts = NULL;
    if (source_decode_times(&decoded, NULL) == 0 && !decoded.damage && decoded.n < s->n)
        report_fail(
            p->report, CHECK_SOURCE_FRAMES,
            "the source decodes without damage into %zu frames, but the package has %zu: the "
            "receipt counts %lld, over all tasks, that stand in for others",
            decoded.n, s->n, (long long)p->receipt->frames_concealed);
    free(decoded.pts);
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
    double video = s->n ? (double)s->pts[0] * av_q2d(s->video_tb) : INFINITY;
    double heard = INFINITY, packet = INFINITY, limit = fmax(tick, 0.001) + 1e-9;
    for (size_t i = 0; i < p->n_renditions; i++) {
        const struct source_sound *x = sound_of(p, s, &p->renditions[i]);
        if (!x || !x->heard)
            continue;
        heard = fmin(heard, (double)x->start * av_q2d(x->tb));
        packet = fmin(packet, (double)x->packet * av_q2d(x->tb));
    }
    if (apart(at, fmin(video, heard)) <= limit)
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

static int frame_at(const struct rendition *r, int64_t tick, size_t *ret)
{
    size_t lo = 0, hi = r->n_frames;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (r->shown[mid] < tick)
            lo = mid + 1;
        else
            hi = mid;
    }
    *ret = lo;
    return lo < r->n_frames && r->shown[lo] == tick;
}

static void add_target(struct target *list, size_t *n, const size_t *source_of, size_t frame)
{
    if (source_of[frame] == SIZE_MAX)
        return;
    for (size_t i = 0; i < *n; i++)
        if (list[i].frame == frame)
            return;
    list[(*n)++] = (struct target){ .frame = frame, .source = source_of[frame] };
}

static int by_frame(const void *a, const void *b)
{
    size_t x = ((const struct target *)a)->frame, y = ((const struct target *)b)->frame;
    return (x > y) - (x < y);
}

/* Spread over all of it, and both sides of segment joints. */
static size_t pick_targets(const struct rendition *r, const size_t *source_of, struct target *list)
{
    size_t n = 0, joints = r->n_segments > JOINT_TARGETS ? JOINT_TARGETS : r->n_segments;
    for (size_t i = 0; i < SPREAD_TARGETS; i++)
        add_target(list, &n, source_of, (r->n_frames - 1) * i / (SPREAD_TARGETS - 1));
    for (size_t i = 0; i < joints; i++) {
        size_t frame;
        const struct segment *s = &r->segments[r->n_segments * i / joints];
        if (!frame_at(r, s->start, &frame))
            continue;
        add_target(list, &n, source_of, frame);
        if (frame)
            add_target(list, &n, source_of, frame - 1);
    }
    qsort(list, n, sizeof(*list), by_frame);
    return n;
}

static int watch_targets(struct source *s, const struct match *m)
{
    size_t total = 0, n = 0;
    for (size_t i = 0; i < m->n_renditions; i++)
        total += m->n_targets[i];
    size_t *want = calloc(3 * total + 1, sizeof(*want));
    if (!want)
        return -1;
    for (size_t i = 0; i < m->n_renditions; i++) {
        for (size_t k = 0; k < m->n_targets[i]; k++) {
            size_t at = m->targets[i][k].source;
            want[n++] = at;
            if (at)
                want[n++] = at - 1;
            if (at + 1 < s->n)
                want[n++] = at + 1;
        }
    }
    int r = source_watch(s, want, n);
    free(want);
    return r;
}

static int match_rendition(struct package *p, struct source *s, struct match *m, size_t i,
                           int64_t origin)
{
    const struct rendition *r = &p->renditions[i];
    m->source_of[i] = calloc(r->n_frames, sizeof(**m->source_of));
    m->targets[i] = calloc(SPREAD_TARGETS + 2 * JOINT_TARGETS, sizeof(**m->targets));
    if (!m->source_of[i] || !m->targets[i])
        return -1;
    check_rendition(p, s, r, origin, m->source_of[i]);
    m->n_targets[i] = pick_targets(r, m->source_of[i], m->targets[i]);
    return 0;
}

/* Packets' times may be fields' or absent: then decoded frames are the truth. */
static int64_t settle_origin(struct package *p, struct source *s, const struct rendition *best)
{
    size_t miss, again;
    int64_t origin = find_origin(s, best, &miss);
    int complete = !miss && best->n_frames == s->n;
    if (complete || s->from_decoder || cap_of(p, s, best).capped)
        return origin;
    struct source decoded = *s;
    decoded.pts = NULL;
    if (source_decode_times(&decoded, NULL) < 0 || !decoded.n)
        return origin;
    int64_t other = find_origin(&decoded, best, &again);
    if (again || best->n_frames != decoded.n) {
        free(decoded.pts);
        return origin;
    }
    free(s->pts);
    *s = decoded;
    return other;
}

struct match *match_source(struct package *p, struct source *s)
{
    struct match *m = calloc(1, sizeof(*m));
    const struct rendition *best = fullest(p);
    if (!m)
        return NULL;
    m->n_renditions = p->n_renditions;
    m->source_of = calloc(p->n_renditions + 1, sizeof(*m->source_of));
    m->targets = calloc(p->n_renditions + 1, sizeof(*m->targets));
    m->n_targets = calloc(p->n_renditions + 1, sizeof(*m->n_targets));
    if (!m->source_of || !m->targets || !m->n_targets)
        goto fail;
    if (s->video >= 0 && s->n && !best)
        report_fail(p->report, CHECK_SOURCE_FRAMES, "the source has video, the package has none");
    if (!best || !s->n) {
        sound_origin(p, s, m);
        return m;
    }
    int64_t origin = settle_origin(p, s, best);
    m->has_origin = 1;
    m->origin_s = (double)origin * av_q2d(s->video_tb);
    check_origin(p, s, origin);
    check_concealed(p, s);
    for (size_t i = 0; i < p->n_renditions; i++)
        if (p->renditions[i].kind == KIND_VIDEO && p->renditions[i].whole &&
            p->renditions[i].n_frames && match_rendition(p, s, m, i, origin) < 0)
            goto fail;
    if (watch_targets(s, m) < 0)
        goto fail;
    return m;
fail:
    match_free(m);
    return NULL;
}
