/* source.audio: every second of every track sounds as in the source, where it does. */
#include <libavutil/frame.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/cleanup.h"
#include "common/base/err.h"
#include "match.h"
#include "play.h"
#include "sound.h"
#include "sound_blocks.h"

enum { WINDOW = SOUND_RATE, REACH = SOUND_RATE / 4, BLOCK = SOUND_RATE / 20 };
enum { BLOCKS_REACH = SOUND_RATE / 20 };
#define SILENCE 0.0015

DEFINE_CLEANUP(struct player *, player_free);

struct ear { /* one rendition beside its source */
    struct package *p;
    const struct rendition *r;
    struct sound out;
    const struct sound *src;
    double origin_s, limit_s; /* limit: half an audio frame */
    float *a, *b;             /* a window of each; b with REACH on either side */
    double gain;              /* of the package against the source, in the windows so far … */
    double usual;             /* … and their correlation */
    double quiet;             /* level below which encoders leave little, and resamplers add some */
    size_t compared, silent, breaches;
    double worst_s;
};

static void ear_release(struct ear *e)
{
    sound_release(&e->out);
    free(e->a);
    free(e->b);
}

static int play_rendition(struct ear *e, struct err *err)
{
    _cleanup_(player_freep) struct player *pl = NULL;
    AVFrame *f;
    int rc = player_open(e->p, e->r, &pl, err);
    while (!rc && (rc = player_next(pl, &f, err)) > 0) {
        double at = f->pts == AV_NOPTS_VALUE ? NAN : (double)f->pts * av_q2d(player_time_base(pl));
        rc = sound_add(&e->out, f, at, 0);
        av_frame_unref(f);
    }
    return rc < 0 ? rc : sound_settle(&e->out);
}

/* What two decoders make of damage needn't be alike. */
static void breach(struct ear *e, double at, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static void breach(struct ear *e, double at, const char *fmt, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    e->breaches++;
    if (sound_damaged(e->src, at + e->origin_s - 0.25, at + e->origin_s + 1.25))
        report_warn(e->p->report, CHECK_SOURCE_AUDIO, "%s: at %.3f s %s; the source is damaged",
                    e->r->folder, at, text);
    else
        report_fail(e->p->report, CHECK_SOURCE_AUDIO, "%s: at %.3f s %s", e->r->folder, at, text);
}

/* Blocks of 50 ms in which only one of the two is heard. */
static int holes(struct ear *e, double at, size_t n)
{
    const float *src = e->b + REACH;
    double loud = sound_level(src, n);
    for (size_t i = 0; i + BLOCK <= n; i += BLOCK) {
        double there = sound_level(src + i, BLOCK), here = sound_level(e->a + i, BLOCK);
        double when = at + (double)i / SOUND_RATE;
        if (when < 0) /* an encoder's priming, which no edit list may hide in a source */
            continue;
        if (there > fmax(2 * SILENCE, loud / 8) && here < there * e->gain / 30) {
            breach(e, when, "it is silent where the source is not");
            return 1;
        }
        if (here > 0.02 && here > 30 * sound_level(src + i - 2 * BLOCK, 5 * BLOCK)) {
            breach(e, when, "it is loud where the source is silent");
            return 1;
        }
    }
    return 0;
}

/* First near its place, which is nearly always where it is; then farther off. */
static int find_shift(const struct ear *e, size_t n, long *ret_shift, double *ret_match)
{
    size_t near = (size_t)(e->limit_s * SOUND_RATE) + 3;
    long shift = 0;
    double match = 0;
    int r = sound_shift(e->a, n, e->b + REACH - near, near, ret_shift, ret_match);
    if (r < 0 || *ret_match > 0.9)
        return r;
    r = sound_shift(e->a, n, e->b, REACH, &shift, &match);
    if (r < 0 || match < *ret_match + 0.06)
        return r;
    *ret_shift = shift;
    *ret_match = match;
    return 0;
}

/* Frames that are lost, or there twice, where the window as a whole is in its place, and the source
 * itself in one piece. */
static void compare_blocks(struct ear *e, double at, size_t n, long shift)
{
    struct block_pair p = {
        .out = e->a,
        .n = n,
        .src = e->b + REACH + shift,
        .reach = BLOCKS_REACH,
        .gain = e->gain,
        .quiet = fmax(e->quiet, 4 * SILENCE),
    };
    size_t first = 0;
    long off = 0;
    enum block_fault fault = sound_block_fault(&p, &first, &off);
    double when = at + (double)first / SOUND_RATE;
    if (fault == BLOCK_RIGHT || when < 0) /* an encoder's priming */
        return;
    if (fault == BLOCK_SILENT)
        breach(e, when, "it is silent for a moment where the source is not");
    else
        breach(e, when, "it sounds for a moment as the source does %.3f s %s",
               fabs((double)off / SOUND_RATE), off > 0 ? "later" : "before");
}

static double least_match(const struct ear *e, double loud, double loose)
{
    return loud < e->quiet || loose > 0.004 ? 0.2 : fmax(0.3, 0.55 * e->usual);
}

static void compare_window(struct ear *e, double at, size_t n)
{
    long shift = 0;
    double match = 0;
    if (sound_read(&e->out, at, e->a, n) < 0 ||
        sound_read(e->src, at + e->origin_s - (double)REACH / SOUND_RATE, e->b, n + 2 * REACH) <
            0) {
        report_fail(e->p->report, CHECK_SOURCE_AUDIO, "%s: its sound can't be read back",
                    e->r->folder);
        return;
    }
    double loud = sound_level(e->b + REACH, n);
    if (holes(e, at, n))
        return;
    if (loud < SILENCE) {
        e->silent++;
        return;
    }
    if (find_shift(e, n, &shift, &match) < 0) {
        report_fail(e->p->report, CHECK_SOURCE_AUDIO, "%s: out of memory", e->r->folder);
        return;
    }
    double off = -(double)shift / SOUND_RATE;
    double loose = sound_loose(e->src, at + e->origin_s - 0.5, at + e->origin_s + 1);
    e->compared++;
    if (match < least_match(e, loud, loose))
        breach(e, at, "it sounds unlike the source (correlation %.2f)", match);
    else if (loud < e->quiet)
        return;
    else if (fabs(off) > e->limit_s + loose + 1.0 / SOUND_RATE)
        breach(e, at, "the sound is %.4f s %s; half an audio frame is %.4f s", fabs(off),
               off > 0 ? "late" : "early", e->limit_s);
    else if (e->usual += (match - e->usual) / 4) {
        e->gain += (sound_level(e->a, n) / loud - e->gain) / (e->compared < 8 ? 2 : 8);
        if (match > 0.8 && loose < 0.004 &&
            !sound_is_joined(e->src, at + e->origin_s - 0.1, at + e->origin_s + 1.1))
            compare_blocks(e, at, n, shift);
    }
    if (fabs(off) > fabs(e->worst_s))
        e->worst_s = off;
}

/* A tenth of the loudest second, where that isn't loud itself. */
static double quiet_of(const struct ear *e)
{
    double loudest = 0, end = sound_end(e->src);
    for (double at = sound_start(e->src); at < end; at += 1)
        if (sound_read(e->src, at, e->a, WINDOW) == 0)
            loudest = fmax(loudest, sound_level(e->a, WINDOW));
    return fmin(loudest / 10, 0.01);
}

/* From what begins first to what ends last; the rest of a second goes with the one before. */
static void compare(struct ear *e)
{
    e->quiet = quiet_of(e);
    double from = sound_start(&e->out), to = sound_end(&e->out);
    double first = sound_start(e->src) - e->origin_s, last = sound_end(e->src) - e->origin_s;
    if (first < -e->origin_s)
        first = -e->origin_s; /* what lies before the container's time 0 needn't be heard */
    from = isnan(first) ? from : fmax(fmin(from, first), from - 1);
    to = isnan(last) ? to : fmax(to, last);
    /* On the grid of samples, so that both sides round alike. */
    from = ceil(from * SOUND_RATE) / SOUND_RATE;
    size_t all = to > from ? (size_t)((to - from) * SOUND_RATE) : 0;
    for (size_t at = 0; at < all && e->breaches < 16; at += WINDOW) {
        size_t n = all - at < WINDOW ? all - at : WINDOW;
        size_t back = n < WINDOW / 2 && at ? WINDOW / 2 - n : 0;
        compare_window(e, from + (double)(at - back) / SOUND_RATE, n + back);
    }
    report_pass(e->p->report, CHECK_SOURCE_AUDIO, "%s: off by at most %.2f ms in %zu places%s",
                e->r->folder, 1000 * fabs(e->worst_s), e->compared,
                e->silent ? ", silent in others" : "");
}

static void check_rendition(struct package *p, const struct rendition *r,
                            const struct source_sound *x, double origin_s)
{
    _cleanup_(ear_release) struct ear e = {
        .p = p,
        .r = r,
        .src = &x->sound,
        .origin_s = origin_s,
        .limit_s = seconds(r->frames[0].duration, r->init.timescale) / 2,
        .gain = 1,
    };
    struct err err = { 0 };
    e.a = calloc(WINDOW, sizeof(*e.a));
    e.b = calloc(WINDOW + 2 * REACH, sizeof(*e.b));
    if (!e.a || !e.b)
        report_fail(p->report, CHECK_SOURCE_AUDIO, "%s: out of memory", r->folder);
    else if (!x->sound.n)
        report_warn(p->report, CHECK_SOURCE_AUDIO, "%s: the source's channels can't be mixed",
                    r->folder);
    else if (play_rendition(&e, &err) < 0)
        report_fail(p->report, CHECK_SOURCE_AUDIO, "%s: %s", r->folder, err.text);
    else
        compare(&e);
}

void check_sound(struct package *p, const struct source *s, const struct match *m)
{
    size_t renditions = 0;
    for (size_t i = 0; i < p->n_renditions; i++) {
        const struct rendition *r = &p->renditions[i];
        if (r->kind != KIND_AUDIO)
            continue;
        const struct source_sound *x = sound_of(p, s, r);
        renditions++;
        if (r->whole && r->n_frames && m->has_origin && x)
            check_rendition(p, r, x, m->origin_s);
    }
    if (s->has_sound && !renditions)
        report_fail(p->report, CHECK_SOURCE_AUDIO, "the source has sound, the package has none");
}
