#include "sound.h"

#include "../common/base/err.h"
#include "held.h"
#include "limiter.h"

#include <errno.h>
#include <libavutil/channel_layout.h>
#include <libavutil/common.h>
#include <libavutil/mathematics.h>
#include <libavutil/opt.h>
#include <libavutil/samplefmt.h>
#include <libswresample/swresample.h>
#include <stdlib.h>
#include <string.h>

enum {
    JITTER_MS = 8,      /* timestamps that are off by less are believed to be contiguous */
    HOLE_MS = 40,       /* by more, never; for what lies between see correction() */
    PATIENCE = 16,      /* frames */
    BEND = 400,         /* a correction by bending takes so many times its length: 4 cents */
    CHUNK = 4096,       /* samples at a time */
    HOLE_MAX_S = 86400, /* a longer one is a broken timestamp, not a hole */
    SHORT_PART = 20,    /* sound shorter than this part of a second is lengthened to be resampled */
    DISCRETE_MAX = 8,   /* more channels of unknown places are not a layout */
};

#define MIX_CEILING 0.794 /* -2 dB of full scale: room for what coding adds */

/* A correction under way: what comes in is stretched, or squeezed. In samples of input. */
struct bend {
    int64_t by, over; /* `over` samples of input last `by` longer; 0, 0: none */
    int64_t passed;   /* of those `over` and what came after them */
};

struct sound {
    struct sound_format to;
    sound_emit emit;
    void *arg;
    SwrContext *swr;
    struct sound_format from; /* of the frames that swr was made for */
    int used;                 /* of their channels, the first ones */
    uint8_t *picked;          /* these, where frames are packed and have more */
    size_t picked_room;
    double gain, ceiling;
    struct limiter *limiter; /* NULL: nothing was mixed so far */
    int mixes;               /* fewer channels come out than go in */
    int64_t pos;  /* where the next input sample stands, samples of `from.rate` since 0 */
    int64_t made; /* samples that came out of resamplers */
    struct bend bend;
    int exact;             /* sound_set_exact() */
    int many;              /* more than one frame came in */
    int anew;              /* the next frame is the first of another format */
    int size, least, most; /* of a frame: the last one's; of those that came twice in a row */
    int odd_frames;        /* how many in a row were off by more than jitter, all to one side */
    int64_t odd;           /* the least of them, input samples */
    struct held held;      /* where the line stands is before these */
    int jitters;           /* stamps have been off by whole frames, and came back */
    int64_t stop;          /* no more samples than these come out; 0: all */
    struct sound_mended mended;
    uint8_t **out;
    int out_room;
};

struct sound *sound_new(const struct sound_format *to, sound_emit emit, void *arg)
{
    struct sound *s = calloc(1, sizeof(*s));

    if (!s)
        return NULL;
    s->to = *to;
    s->emit = emit;
    s->arg = arg;
    sound_set_level(s, 1, MIX_CEILING);
    return s;
}

void sound_set_level(struct sound *s, double gain, double ceiling)
{
    s->gain = gain;
    s->ceiling = ceiling;
}

static void free_planes(uint8_t ***p)
{
    if (*p)
        av_freep(&(*p)[0]);
    av_freep(p);
}

void sound_set_exact(struct sound *s)
{
    s->exact = 1;
}

void sound_free(struct sound *s)
{
    if (!s)
        return;
    held_clear(&s->held);
    swr_free(&s->swr);
    free_planes(&s->out);
    limiter_free(s->limiter);
    free(s->picked);
    av_channel_layout_uninit(&s->from.layout);
    free(s);
}

static int failed(struct err *err, const char *what, int r)
{
    int oom = r == AVERROR(ENOMEM);
    return err_set(err, oom ? -ENOMEM : -EIO, oom ? ERR_RESOURCE : ERR_INTERNAL, "%s: %s", what,
                   av_err2str(r));
}

static int make_room(struct sound *s, int n)
{
    if (n <= s->out_room)
        return 0;
    free_planes(&s->out);
    s->out_room = 0;
    int r = av_samples_alloc_array_and_samples(&s->out, NULL, s->to.layout.nb_channels, n,
                                               s->to.fmt, 0);
    if (r >= 0)
        s->out_room = n;
    return r < 0 ? r : 0;
}

static void amplify(const struct sound *s, int n)
{
    int planar = av_sample_fmt_is_planar(s->to.fmt), channels = s->to.layout.nb_channels;

    for (int p = 0; p < (planar ? channels : 1) && s->gain != 1; p++) {
        float *f = (float *)(void *)s->out[p];
        for (int i = 0; i < n * (planar ? 1 : channels); i++)
            f[i] = (float)(f[i] * s->gain);
    }
}

/* `in` NULL: let out what the resampler holds. */
static int convert(struct sound *s, const uint8_t **in, int n, struct err *err)
{
    int room = swr_get_out_samples(s->swr, n);
    int r = room < 0 ? room : make_room(s, room + 1);

    if (r < 0)
        return failed(err, "the resampler has no room", r);
    r = swr_convert(s->swr, s->out, s->out_room, in, n);
    if (r < 0)
        return failed(err, "the resampler failed", r);
    if (s->stop > 0)
        r = (int)FFMIN(r, s->stop - s->made);
    s->made += r;
    amplify(s, r);
    if (s->limiter)
        r = limiter_run(s->limiter, s->out, r, s->mixes);
    return r > 0 ? s->emit(s->arg, s->out, r, err) : 0;
}

static int same_format(const struct sound_format *a, const AVFrame *f)
{
    return a->rate == f->sample_rate && a->fmt == f->format &&
           av_channel_layout_compare(&a->layout, &f->ch_layout) == 0;
}

/* What a frame's channels are taken for, and how many of them. One is the
 * centre and two are left and right, whatever they are called. Of those whose
 * places nobody knows the usual layout is believed, with a centre for three;
 * of a whole studio's the first two, of a sound field the part without direction. */
static void layout_of(const AVFrame *f, AVChannelLayout *ret)
{
    const AVChannelLayout *in = &f->ch_layout;
    int n = in->nb_channels;

    if (in->order == AV_CHANNEL_ORDER_AMBISONIC)
        n = 1;
    else if (in->order != AV_CHANNEL_ORDER_NATIVE && n > DISCRETE_MAX)
        n = 2;
    av_channel_layout_uninit(ret);
    if (in->order == AV_CHANNEL_ORDER_NATIVE && n > 2)
        av_channel_layout_from_mask(ret, in->u.mask);
    else if (n == 3)
        *ret = (AVChannelLayout)AV_CHANNEL_LAYOUT_SURROUND;
    else
        av_channel_layout_default(ret, n);
}

static int open_resampler(struct sound *s, AVChannelLayout *in)
{
    int r = swr_alloc_set_opts2(&s->swr, &s->to.layout, s->to.fmt, s->to.rate, in, s->from.fmt,
                                s->from.rate, 0, NULL);
    /* A picture's sound that is the same on both sides stays as loud. */
    if (r >= 0 && in->nb_channels == 2 && s->to.layout.nb_channels == 1)
        r = av_opt_set_double(s->swr, "rematrix_maxval", 1, 0);
    return r < 0 ? r : swr_init(s->swr);
}

/* Mixes are limited; once there is a limiter all goes through it, for it
 * holds some back. */
static int open_limiter(struct sound *s, int channels)
{
    s->mixes = channels > s->to.layout.nb_channels && s->ceiling > 0;
    if (!s->mixes || s->limiter)
        return 0;
    s->limiter = limiter_new(s->to.layout.nb_channels, av_sample_fmt_is_planar(s->to.fmt),
                             s->to.rate, s->ceiling);
    return s->limiter ? 0 : AVERROR(ENOMEM);
}

/* ---- bending ---- */

static int64_t bent(const struct bend *b)
{
    return av_rescale(b->by, FFMIN(b->passed, b->over), b->over);
}

/* The end of a bend: what came out says where the line stands. `held`: what the resampler has
 * of what went in. */
static void settle(struct sound *s, int64_t held)
{
    if (s->bend.over > 0)
        s->pos = av_rescale(s->made, s->from.rate, s->to.rate) + held;
    s->bend = (struct bend){ 0 };
}

/* `n` samples went in. A bend is left well behind before it is settled, for its
 * last samples may still be held. */
static void advance(struct sound *s, int64_t n)
{
    struct bend *b = &s->bend;

    s->pos += n;
    if (b->over == 0)
        return;
    s->pos -= bent(b);
    b->passed += n;
    s->pos += bent(b);
    if (b->passed > b->over + s->from.rate / 10)
        settle(s, swr_get_delay(s->swr, s->from.rate));
}

/* From here on, until the line is `by` samples of input further than it would be. */
static int start_bend(struct sound *s, int64_t by, struct err *err)
{
    int64_t over = FFABS(by) * BEND;
    int r = swr_set_compensation(s->swr, (int)av_rescale(by, s->to.rate, s->from.rate),
                                 (int)av_rescale(over + by, s->to.rate, s->from.rate));

    if (r < 0)
        return failed(err, "this sound can't be stretched", r);
    s->bend = (struct bend){ by, over, 0 };
    s->mended.bent_s += (double)FFABS(by) / s->from.rate;
    return 0;
}

static int stop_bend(struct sound *s, struct err *err)
{
    if (s->bend.over == 0)
        return 0;
    int r = swr_set_compensation(s->swr, 0, 0);
    settle(s, swr_get_delay(s->swr, s->from.rate));
    return r < 0 ? failed(err, "this sound can't be stretched", r) : 0;
}

/* ---- what comes in ---- */

/* Streams may change their rate or channels; the line goes on. */
static int adapt(struct sound *s, const AVFrame *f, struct err *err)
{
    if (s->swr && same_format(&s->from, f))
        return 0;
    if (s->swr) {
        int r = convert(s, NULL, 0, err);
        if (r < 0)
            return r;
        settle(s, 0);
        s->anew = 1;
        s->pos = av_rescale(s->pos, f->sample_rate, s->from.rate);
        if (s->exact) /* the resampler's rounding doesn't add up */
            s->pos = av_rescale(s->made, f->sample_rate, s->to.rate);
        swr_free(&s->swr);
    }
    s->from.rate = f->sample_rate;
    s->from.fmt = f->format;
    av_channel_layout_uninit(&s->from.layout);
    AVChannelLayout in = { 0 };
    /* Compared to what the next frame says, not to what is made of it. */
    int r = av_channel_layout_copy(&s->from.layout, &f->ch_layout);
    layout_of(f, &in);
    s->used = in.nb_channels;
    if (r >= 0)
        r = open_resampler(s, &in);
    if (r < 0) { /* a layout that can't be mixed: by its number */
        swr_free(&s->swr);
        av_channel_layout_uninit(&in);
        av_channel_layout_default(&in, s->used);
        r = open_resampler(s, &in);
    }
    av_channel_layout_uninit(&in);
    if (r >= 0)
        r = open_limiter(s, s->used);
    return r < 0 ? failed(err, "this sound can't be resampled", r) : 0;
}

static int add_silence(struct sound *s, int64_t n, struct err *err)
{
    uint8_t **zero = NULL;
    int channels = s->used;
    int r = av_samples_alloc_array_and_samples(&zero, NULL, channels, CHUNK, s->from.fmt, 0);

    if (r < 0)
        return failed(err, "no room for silence", r);
    av_samples_set_silence(zero, 0, CHUNK, channels, s->from.fmt);
    for (r = 0; r == 0 && n > 0; n -= CHUNK) {
        int part = n < CHUNK ? (int)n : CHUNK;
        r = convert(s, (const uint8_t **)zero, part, err);
        advance(s, part);
    }
    free_planes(&zero);
    return r;
}

/* The first channels of packed samples that have more. */
static int pick(struct sound *s, const uint8_t *from, int n, int step, const uint8_t **ret)
{
    size_t size = (size_t)av_get_bytes_per_sample(s->from.fmt) * (size_t)s->used;

    if (s->picked_room < size * (size_t)n) {
        uint8_t *grown = realloc(s->picked, size * (size_t)n);
        if (!grown)
            return -ENOMEM;
        s->picked = grown;
        s->picked_room = size * (size_t)n;
    }
    for (int i = 0; i < n; i++)
        memcpy(s->picked + size * (size_t)i, from + (ptrdiff_t)i * step, size);
    *ret = s->picked;
    return 0;
}

/* The frame without its first `skip` samples. */
static int add_frame(struct sound *s, const AVFrame *f, int skip, struct err *err)
{
    const uint8_t *planes[AV_NUM_DATA_POINTERS * 8];
    int planar = av_sample_fmt_is_planar(f->format);
    int n_planes = planar ? s->used : 1;
    int step = av_get_bytes_per_sample(f->format) * (planar ? 1 : f->ch_layout.nb_channels);

    if (n_planes > (int)(sizeof(planes) / sizeof(*planes)))
        return err_set(err, -ENOTSUP, ERR_UNSUPPORTED, "%d channels are more than can be mixed",
                       n_planes);
    for (int i = 0; i < n_planes; i++)
        planes[i] = f->extended_data[i] + (ptrdiff_t)skip * step;
    if (!planar && s->used < f->ch_layout.nb_channels &&
        pick(s, planes[0], f->nb_samples - skip, step, &planes[0]) < 0)
        return failed(err, "no room for sound", AVERROR(ENOMEM));
    int r = convert(s, planes, f->nb_samples - skip, err);
    advance(s, f->nb_samples - skip);
    return r;
}

/* Frames of Vorbis are of two sizes, and there are files whose stamps are
 * those of their ends: then a stamp is off by what two sizes differ. */
static int64_t slack(struct sound *s, int n_samples)
{
    if (n_samples == s->size) {
        s->least = s->least == 0 || n_samples < s->least ? n_samples : s->least;
        s->most = n_samples > s->most ? n_samples : s->most;
    }
    s->size = n_samples;
    return s->most - s->least;
}

/* What to do about a frame that should stand `off` samples further on: nothing
 * where its timestamp merely jitters; where at least a frame is missing, a move
 * at once. In between (phones that stamp by the clock are off by half a frame, now
 * and then; clocks drift) it has to last before it is believed, and then it is
 * bent away, for a hole as short as that would be heard each time. Behind the first
 * frame, which is an encoder's priming where such files come from, any hole is one; and where the
 * format changes, which is another recording, the line moves at once. */
static struct correction {
    int64_t move, bend;
} correction(struct sound *s, int64_t off, int n_samples)
{
    int64_t jitter = (int64_t)s->from.rate * JITTER_MS / 1000 + slack(s, n_samples);
    int64_t hole = (int64_t)s->from.rate * HOLE_MS / 1000;
    int64_t frame = FFMAX((int64_t)n_samples * 9 / 10, 2 * jitter);
    int64_t size = FFABS(off);

    hole = s->anew || (!s->many && off > 0) ? jitter + 1 : FFMIN(hole, frame);
    s->anew = 0;
    if (size <= jitter || size >= hole || s->bend.over > 0) {
        s->odd_frames = 0;
        return (struct correction){ size > jitter && size >= hole ? off : 0, 0 };
    }
    if (s->odd_frames == 0 || (s->odd < 0) != (off < 0)) {
        s->odd_frames = 1;
        s->odd = off;
        return (struct correction){ 0 };
    }
    if (size < FFABS(s->odd))
        s->odd = off;
    if (++s->odd_frames < PATIENCE)
        return (struct correction){ 0 };
    s->odd_frames = 0;
    return (struct correction){ 0, s->odd };
}

/* What the line is told of a correction, before the frame that it was found for. */
static int correct(struct sound *s, struct correction c, struct err *err)
{
    int r = 0;

    if (c.bend != 0)
        r = start_bend(s, c.bend, err);
    if (c.move != 0)
        r = stop_bend(s, err);
    if (c.move > 0 && s->many)
        s->mended.silence_s += (double)c.move / s->from.rate;
    return r;
}

/* Where a frame stands against where it should, samples; 0 where that can't be believed. */
static int64_t offset(const struct sound *s, int64_t num, int64_t den)
{
    int64_t off = av_sat_sub64(av_rescale(num, s->from.rate, den), s->pos);

    if (off > (int64_t)HOLE_MAX_S * s->from.rate)
        return 0;
    return FFMAX(off, -INT64_MAX); /* the lowest has no opposite */
}

/* A frame whose place is known: `off` samples further on. */
static int place(struct sound *s, const AVFrame *f, int64_t off, struct err *err)
{
    int skip = 0, r = 0;

    if (off > 0)
        r = add_silence(s, off, err);
    if (off < 0) {
        skip = -off < f->nb_samples ? (int)-off : f->nb_samples;
        /* What lies before 0 was never to be heard. */
        s->mended.dropped_s += s->pos > 0 && !s->exact ? (double)skip / s->from.rate : 0;
    }
    if (r < 0 || skip == f->nb_samples)
        return r;
    return add_frame(s, f, skip, err);
}

/* Those that wait go on, all of them `off` samples further. */
static int let_go(struct sound *s, int64_t off, struct err *err)
{
    int r = off != 0 ? stop_bend(s, err) : 0;

    if (off > 0 && s->many)
        s->mended.silence_s += (double)off / s->from.rate;
    for (size_t i = 0; r == 0 && i < s->held.n; i++) {
        const AVFrame *f = s->held.f[i];
        r = place(s, f, off, err);
        /* What overlaps may be longer than a frame. */
        off = off < 0 ? FFMIN(off + f->nb_samples, 0) : 0;
        s->many = 1;
    }
    held_clear(&s->held);
    return r;
}

static int hold(struct sound *s, const AVFrame *f, int64_t off, struct err *err)
{
    return held_add(&s->held, f, off) < 0 ? failed(err, "no room for sound", AVERROR(ENOMEM)) : 0;
}

/* Another one, while some wait. Returns 1 where that is all to be done with it. */
static int push_behind(struct sound *s, const AVFrame *f, int64_t num, int64_t den, struct err *err)
{
    int64_t off = av_sat_sub64(offset(s, num, den), s->held.samples);
    int64_t jitter = (int64_t)s->from.rate * JITTER_MS / 1000 + s->most - s->least;
    int r = 0;

    if (FFABS(off) <= jitter || !held_agrees(&s->held, off)) {
        s->jitters = 1;
        return let_go(s, 0, err);
    }
    if (s->held.n == HELD_MAX || !held_may(off, f->nb_samples, s->from.rate))
        return let_go(s, held_off(&s->held), err);
    r = hold(s, f, off, err);
    return r < 0 ? r : 1;
}

int sound_push(struct sound *s, const AVFrame *f, int64_t num, int64_t den, struct err *err)
{
    int r = 0;

    if (s->held.n > 0 && !same_format(&s->from, f))
        r = let_go(s, held_off(&s->held), err);
    if (r == 0)
        r = adapt(s, f, err);
    if (r == 0 && s->held.n > 0)
        r = push_behind(s, f, num, den, err);
    if (r != 0)
        return FFMIN(r, 0);
    int64_t off = offset(s, num, den);
    if (s->pos == 0 || s->exact)
        return place(s, f, off, err);
    struct correction c = correction(s, off, f->nb_samples);
    if (held_may(c.move, f->nb_samples, s->from.rate))
        return hold(s, f, c.move, err);
    r = correct(s, c, err);
    if (r == 0)
        r = place(s, f, c.move, err);
    s->many = 1;
    return r;
}

int sound_is_empty(const struct sound *s)
{
    return !s->swr;
}

int sound_be_silent(struct sound *s, struct err *err)
{
    AVFrame *f = av_frame_alloc();
    int r = f ? av_channel_layout_copy(&f->ch_layout, &s->to.layout) : AVERROR(ENOMEM);

    if (r >= 0) {
        f->sample_rate = s->to.rate;
        f->format = s->to.fmt;
        r = adapt(s, f, err);
    } else {
        r = failed(err, "no room for silence", r);
    }
    av_frame_free(&f);
    return r;
}

/* Of less than a resampler's filter is long nothing comes out at the end: silence goes in behind,
 * and comes out no longer than the sound is. */
static int lengthen(struct sound *s, struct err *err)
{
    int64_t enough = s->from.rate / SHORT_PART + 1;

    if (s->pos >= enough || s->held.n > 0 || s->pos == 0)
        return 0;
    s->stop = av_rescale_rnd(s->pos, s->to.rate, s->from.rate, AV_ROUND_UP);
    return add_silence(s, enough - s->pos, err);
}

int sound_finish(struct sound *s, int64_t num, int64_t den, struct err *err)
{
    if (!s->swr)
        return err_set(err, -EINVAL, ERR_INPUT, "no sound of the audio stream can be decoded");
    /* None comes after that would tell; but those before have. */
    int r = let_go(s, s->jitters ? 0 : held_off(&s->held), err);
    int64_t end = av_rescale(num, s->from.rate, den);

    if (r == 0 && end > s->pos)
        r = add_silence(s, end - s->pos, err);
    if (r == 0)
        r = lengthen(s, err);
    if (r == 0)
        r = convert(s, NULL, 0, err);
    if (r < 0 || !s->limiter)
        return r;
    r = make_room(s, limiter_delay(s->limiter));
    if (r < 0)
        return failed(err, "no room for sound", r);
    r = limiter_flush(s->limiter, s->out);
    return r > 0 ? s->emit(s->arg, s->out, r, err) : 0;
}

const struct sound_mended *sound_mended(const struct sound *s)
{
    return &s->mended;
}
