/* source.audio: sound is where it was, from the first to the last second. */
#include <libavutil/frame.h>
#include <libavutil/mathematics.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/cleanup.h"
#include "common/base/err.h"
#include "match.h"
#include "play.h"
#include "sound.h"

enum { WINDOWS = 9, WINDOW_SAMPLES = 2 * SOUND_RATE, REACH_SAMPLES = SOUND_RATE / 4 };
#define SILENCE 0.0015

DEFINE_CLEANUP(struct player *, player_free);

struct windows {
    struct sound_window w[WINDOWS];
};

static void windows_releasep(struct windows *x)
{
    for (size_t i = 0; i < WINDOWS; i++)
        free(x->w[i].px);
}

/* Evenly spread, the first at the start and the last at the end. */
static int windows_init(struct windows *x, double start, double end, size_t reach)
{
    double length = (double)WINDOW_SAMPLES / SOUND_RATE;
    double room = end - start > length ? end - start - length : 0;
    for (size_t i = 0; i < WINDOWS; i++) {
        struct sound_window *w = &x->w[i];
        /* On the grid of samples, so that both sides round alike. */
        double at = floor((start + room * (double)i / (WINDOWS - 1)) * SOUND_RATE) / SOUND_RATE;
        w->start_s = at - (double)reach / SOUND_RATE;
        w->n = WINDOW_SAMPLES + 2 * reach;
        w->px = calloc(w->n, sizeof(*w->px));
        if (!w->px)
            return -ENOMEM;
    }
    return 0;
}

struct listening {
    struct sound sound;
    AVRational tb;
    double origin_s;
};

static int hear(void *arg, const AVFrame *f)
{
    struct listening *l = arg;
    if (f->pts == AV_NOPTS_VALUE)
        return 0;
    int r = sound_add(&l->sound, f, (double)f->pts * av_q2d(l->tb) - l->origin_s);
    return r == -ENOMEM ? r : 0;
}

static int play_rendition(const struct package *p, const struct rendition *r, struct windows *x,
                          struct err *err)
{
    _cleanup_(player_freep) struct player *pl = NULL;
    struct sound s = { .windows = x->w, .n_windows = WINDOWS };
    AVFrame *f;
    int rc = player_open(p, r, &pl, err);
    while (!rc && (rc = player_next(pl, &f, err)) > 0) {
        rc = f->pts == AV_NOPTS_VALUE
                 ? 0
                 : sound_add(&s, f, (double)f->pts * av_q2d(player_time_base(pl)));
        av_frame_unref(f);
    }
    sound_release(&s);
    return rc;
}

struct outcome {
    size_t compared, silent;
    double worst_s;
    size_t damage; /* of the source */
};

/* What two decoders make of damage needn't be alike. */
static void breach(struct package *p, const struct outcome *o, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static void breach(struct package *p, const struct outcome *o, const char *fmt, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    if (o->damage)
        report_warn(p->report, CHECK_SOURCE_AUDIO, "%s; the source's sound is damaged", text);
    else
        report_fail(p->report, CHECK_SOURCE_AUDIO, "%s", text);
}

static void compare_window(struct package *p, const struct rendition *r, double limit_s,
                           const struct sound_window *out, const struct sound_window *src,
                           struct outcome *o)
{
    double match = 0;
    long shift = 0;
    if (sound_level(src->px + REACH_SAMPLES, WINDOW_SAMPLES) < SILENCE) {
        o->silent++;
        return;
    }
    if (sound_level(out->px, WINDOW_SAMPLES) < SILENCE / 4) {
        breach(p, o, "%s: silent from %.3f s on, where the source is not", r->folder, out->start_s);
        return;
    }
    if (sound_shift(out->px, WINDOW_SAMPLES, src->px, REACH_SAMPLES, &shift, &match) < 0) {
        report_fail(p->report, CHECK_SOURCE_AUDIO, "%s: out of memory", r->folder);
        return;
    }
    double off = -(double)shift / SOUND_RATE;
    o->compared++;
    if (match < 0.3)
        breach(p, o, "%s: at %.3f s it sounds unlike the source (correlation %.2f)", r->folder,
               out->start_s, match);
    else if (fabs(off) > limit_s + 1.0 / SOUND_RATE)
        breach(p, o, "%s: at %.3f s the sound is %.4f s %s; half an audio frame is %.4f s",
               r->folder, out->start_s, fabs(off), off > 0 ? "late" : "early", limit_s);
    if (fabs(off) > fabs(o->worst_s))
        o->worst_s = off;
}

static void compare(struct package *p, const struct rendition *r, const struct source *s,
                    const struct source_sound *x, double origin_s, struct windows *out,
                    struct windows *src)
{
    struct listening l = {
        .sound = {.windows = src->w, .n_windows = WINDOWS},
          .tb = x->tb, .origin_s = origin_s
    };
    struct err err = { 0 };
    struct outcome o = { 0 };
    if (source_decode_counting(s, x->stream, hear, &l, &o.damage, &err) < 0 ||
        play_rendition(p, r, out, &err) < 0) {
        report_fail(p->report, CHECK_SOURCE_AUDIO, "%s: %s", r->folder, err.text);
        sound_release(&l.sound);
        return;
    }
    sound_release(&l.sound);
    double limit = r->n_frames ? seconds(r->frames[0].duration, r->init.timescale) / 2 : 0.0107;
    for (size_t i = 0; i < WINDOWS; i++)
        compare_window(p, r, limit, &out->w[i], &src->w[i], &o);
    report_pass(p->report, CHECK_SOURCE_AUDIO, "%s: off by at most %.2f ms in %zu places%s",
                r->folder, 1000 * fabs(o.worst_s), o.compared,
                o.silent ? ", silent in others" : "");
}

void check_sound(struct package *p, const struct source *s, const struct match *m)
{
    size_t renditions = 0;
    for (size_t i = 0; i < p->n_renditions; i++) {
        const struct rendition *r = &p->renditions[i];
        _cleanup_(windows_releasep) struct windows out = { 0 }, src = { 0 };
        if (r->kind != KIND_AUDIO)
            continue;
        const struct source_sound *x = sound_of(p, s, r);
        renditions++;
        if (!r->whole || !r->n_frames || !m->has_origin || !x)
            continue;
        double start = seconds(r->segments[0].shown, r->init.timescale);
        double end = seconds(r->segments[r->n_segments - 1].until, r->init.timescale);
        if (windows_init(&out, start, end, 0) < 0 ||
            windows_init(&src, start, end, REACH_SAMPLES) < 0)
            report_fail(p->report, CHECK_SOURCE_AUDIO, "%s: out of memory", r->folder);
        else
            compare(p, r, s, x, m->origin_s, &out, &src);
    }
    if (s->has_sound && !renditions)
        report_fail(p->report, CHECK_SOURCE_AUDIO, "the source has sound, the package has none");
}
