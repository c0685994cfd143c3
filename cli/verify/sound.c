#include "sound.h"

#include <errno.h>
#include <libavutil/channel_layout.h>
#include <libavutil/frame.h>
#include <libswresample/swresample.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/cleanup.h"
#include "spill.h"

static int sound_open(struct sound *s, const AVFrame *f)
{
    AVChannelLayout mono = AV_CHANNEL_LAYOUT_MONO, in = { 0 };
    if (av_channel_layout_check(&f->ch_layout) && f->ch_layout.order != AV_CHANNEL_ORDER_UNSPEC)
        av_channel_layout_copy(&in, &f->ch_layout);
    else
        av_channel_layout_default(&in, f->ch_layout.nb_channels);
    int r = swr_alloc_set_opts2(&s->swr, &mono, AV_SAMPLE_FMT_FLT, SOUND_RATE, &in, f->format,
                                f->sample_rate, 0, NULL);
    if (!r)
        r = swr_init(s->swr);
    av_channel_layout_uninit(&in);
    s->rate = f->sample_rate;
    s->format = f->format;
    s->channels = f->ch_layout.nb_channels;
    s->added = 0;
    return r;
}

/* Channels that are mixed may add up. */
#define HEADROOM 2.0F

static int sound_keep(struct sound *s, const float *px, int n)
{
    _cleanup_free_ int16_t *out = calloc((size_t)n + 1, sizeof(*out));
    if (!out)
        return -ENOMEM;
    for (int i = 0; i < n; i++)
        out[i] = (int16_t)lrintf(fminf(fmaxf(px[i], -HEADROOM), HEADROOM) / HEADROOM * INT16_MAX);
    return spill_add(s->samples, out, (size_t)n * sizeof(*out));
}

/* `f` NULL: what the resampler still holds. */
static int sound_convert(struct sound *s, const AVFrame *f)
{
    int n = f ? f->nb_samples : 0, room = swr_get_out_samples(s->swr, n);
    if (room < 0)
        return room;
    _cleanup_free_ float *px = calloc((size_t)room + 1, sizeof(*px));
    uint8_t *out[1] = { (uint8_t *)px };
    if (!px)
        return -ENOMEM;
    const uint8_t **in = f ? (const uint8_t **)(void *)f->extended_data : NULL;
    n = swr_convert(s->swr, out, room, in, n);
    return n > 0 ? sound_keep(s, px, n) : n;
}

/* Another kind of frames follows, or none. */
static int sound_flush(struct sound *s)
{
    int r = s->swr ? sound_convert(s, NULL) : 0;
    swr_free(&s->swr);
    s->before = s->samples ? spill_size(s->samples) / sizeof(int16_t) : 0;
    return r < 0 ? r : 0;
}

static int sound_grow(struct sound *s)
{
    if (s->n < s->room)
        return 0;
    size_t room = s->room ? 2 * s->room : 1024;
    struct sound_frame *grown = realloc(s->frames, room * sizeof(*grown));
    if (!grown)
        return -ENOMEM;
    s->frames = grown;
    s->room = room;
    return 0;
}

int sound_add(struct sound *s, const AVFrame *f, double at_s, int damaged)
{
    int r = s->samples ? 0 : spill_new(&s->samples);
    if (r < 0 || f->sample_rate <= 0 || f->nb_samples <= 0)
        return r;
    if (s->swr && (s->rate != f->sample_rate || s->format != f->format ||
                   s->channels != f->ch_layout.nb_channels))
        r = sound_flush(s);
    if (r >= 0 && !s->swr)
        r = sound_open(s, f);
    if (r < 0)
        swr_free(&s->swr); /* channels that nobody can mix */
    if (r >= 0)
        r = sound_grow(s);
    if (r < 0)
        return r;
    s->frames[s->n++] = (struct sound_frame){
        .at_s = at_s,
        .first = (double)s->before + s->added,
        .seconds = (double)f->nb_samples / f->sample_rate,
        .rate = 1,
        .damaged = damaged,
    };
    s->added += (double)f->nb_samples * SOUND_RATE / f->sample_rate;
    return sound_convert(s, f);
}

void sound_release(struct sound *s)
{
    swr_free(&s->swr);
    spill_free(s->samples);
    free(s->frames);
    *s = (struct sound){ 0 };
}

/* ---- when it is heard ---- */

#define IDLE_S 0.004 /* stamps that are off by less say nothing */
#define JITTER_S \
    0.018 /* stamps are off by that: phones, by half a frame; more is a hole or an overlap */
enum {
    AHEAD = 8, /* frames that say whether it lasts */
    LAST = 4   /* so few at the end don't: there it is as it was before */
};

/* Where frames differ in size (Vorbis) a stamp may be of their ends: then by that
 * difference it says nothing. Matroska rounds stamps to milliseconds. */
static double sound_idle(const struct sound *s)
{
    double least = 0, most = 0;
    for (size_t i = 1; i < s->n; i++) {
        least = least > 0 && least < s->frames[i].seconds ? least : s->frames[i].seconds;
        most = most > s->frames[i].seconds ? most : s->frames[i].seconds;
    }
    return least * 2 < most ? most - least + 0.001 : 0;
}

/* Whether what follows frame `i` stays off, rather than being where it was due: by `next_s`.
 * `jitters`: stamps before came back. */
static int sound_lasts(const struct sound *s, size_t i, double off, double next_s, int jitters)
{
    int stays = 0, returns = 0;
    for (size_t k = i; k < s->n && k < i + AHEAD; k++) {
        double other = (s->frames[k].at_s - next_s) / off;
        next_s += s->frames[k].seconds;
        stays += other >= 0.5;
        returns += other < 0.5;
    }
    if (jitters && i + AHEAD > s->n && fabs(off) <= LAST * s->frames[i].seconds)
        return s->n - i > LAST && !returns;
    return stays > returns;
}

/* By how much frame `i` and those behind it are off where it is due at `next_s`, on
 * average; NAN: none says. */
static double sound_off(const struct sound *s, size_t i, double next_s)
{
    double sum = 0;
    int n = 0;
    for (size_t k = i; k < s->n && k < i + AHEAD; k++) {
        if (!isnan(s->frames[k].at_s)) {
            sum += s->frames[k].at_s - next_s;
            n++;
        }
        next_s += s->frames[k].seconds;
    }
    return n ? sum / n : NAN;
}

int sound_settle(struct sound *s)
{
    int r = s->samples ? sound_flush(s) : 0;
    double next_s = NAN, idle = sound_idle(s);
    int jitters = 0; /* by whole frames */
    for (size_t i = 0; i < s->n; i++) {
        struct sound_frame *f = &s->frames[i];
        double off = f->at_s - next_s;
        double lasting = isnan(next_s) ? 0 : sound_off(s, i, next_s);
        if (isnan(next_s))
            next_s = f->at_s;
        else if (fabs(off) > idle && fabs(off) < JITTER_S)
            next_s += (off - fmin(fmax(off, -IDLE_S), IDLE_S)) / 20; /* a clock that drifts */
        else if (fabs(off) > idle && sound_lasts(s, i, off, next_s, jitters))
            next_s = f->at_s;
        else
            jitters |= fabs(off) > idle;
        f->at_s = next_s;
        f->loose = isnan(lasting) || fabs(lasting) > JITTER_S ? 0 : (float)fabs(lasting);
        next_s += f->seconds;
    }
    return r;
}

double sound_start(const struct sound *s)
{
    for (size_t i = 0; i < s->n; i++)
        if (!isnan(s->frames[i].at_s))
            return s->frames[i].at_s;
    return NAN;
}

double sound_end(const struct sound *s)
{
    return s->n ? s->frames[s->n - 1].at_s + s->frames[s->n - 1].seconds : NAN;
}

/* The first frame that ends behind `at_s`. Overlaps aside, frames ascend. */
static size_t frame_near(const struct sound *s, double at_s)
{
    size_t lo = 0, hi = s->n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (isnan(s->frames[mid].at_s) || s->frames[mid].at_s + s->frames[mid].seconds <= at_s)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static uint64_t end_in_spill(const struct sound *s, const struct sound_frame *f)
{
    uint64_t all = spill_size(s->samples) / sizeof(int16_t);
    double end = ceil(f->first + f->seconds * f->rate * SOUND_RATE - 1e-6);
    return end < (double)all ? (uint64_t)end : all;
}

/* At another rate: the nearest samples. */
static int read_bent(const struct sound *s, const struct sound_frame *f, double from_s, float *px,
                     size_t n)
{
    long long at = llround(ceil((f->at_s - from_s) * SOUND_RATE));
    uint64_t all = spill_size(s->samples) / sizeof(int16_t);
    for (at = at > 0 ? at : 0; at < (long long)n; at++) {
        double into = from_s + (double)at / SOUND_RATE - f->at_s;
        uint64_t k = (uint64_t)fmax(f->first + into * f->rate * SOUND_RATE, 0);
        int16_t in;
        if (into >= f->seconds || k >= all)
            break;
        int r = spill_read(s->samples, k * sizeof(in), &in, sizeof(in));
        if (r < 0)
            return r;
        px[at] = (float)in * HEADROOM / INT16_MAX;
    }
    return 0;
}

/* *behind: samples of px that are written; of what overlaps the first is heard. */
static int read_frame(const struct sound *s, size_t i, double from_s, float *px, size_t n,
                      size_t *behind)
{
    const struct sound_frame *f = &s->frames[i];
    enum { ROOM = 2048 };
    if (f->rate != 1)
        return read_bent(s, f, from_s, px, n);
    int16_t in[ROOM];
    uint64_t first = (uint64_t)ceil(f->first - 1e-6), end = end_in_spill(s, f);
    /* Whole samples of the spill, so that those of frames end to end stay so. */
    long long at = llround((f->at_s - from_s) * SOUND_RATE + (double)first - f->first);
    if (at < (long long)*behind) {
        first += (uint64_t)((long long)*behind - at);
        at = (long long)*behind;
    }
    while (first < end && at < (long long)n) {
        uint64_t some = end - first < ROOM ? end - first : ROOM;
        some = some < n - (size_t)at ? some : n - (size_t)at;
        int r = spill_read(s->samples, first * sizeof(*in), in, some * sizeof(*in));
        if (r < 0)
            return r;
        for (uint64_t k = 0; k < some; k++)
            px[at++] = (float)in[k] * HEADROOM / INT16_MAX;
        first += some;
    }
    *behind = at > (long long)*behind ? (size_t)at : *behind;
    return 0;
}

int sound_read(const struct sound *s, double from_s, float *px, size_t n)
{
    double to_s = from_s + (double)n / SOUND_RATE;
    size_t behind = 0;
    int r = 0;
    memset(px, 0, n * sizeof(*px));
    for (size_t i = frame_near(s, from_s); !r && i < s->n && s->frames[i].at_s < to_s; i++)
        r = read_frame(s, i, from_s, px, n, &behind);
    return r;
}

int sound_damaged(const struct sound *s, double from_s, double to_s)
{
    for (size_t i = frame_near(s, from_s); i < s->n && s->frames[i].at_s < to_s; i++)
        if (s->frames[i].damaged)
            return 1;
    return 0;
}

int sound_is_joined(const struct sound *s, double from_s, double to_s)
{
    for (size_t i = frame_near(s, from_s); i < s->n && s->frames[i].at_s < to_s; i++) {
        const struct sound_frame *f = &s->frames[i];
        if (i > 0 && !(fabs(f->at_s - f[-1].at_s - f[-1].seconds) < IDLE_S))
            return 1;
    }
    return 0;
}

double sound_loose(const struct sound *s, double from_s, double to_s)
{
    double most = 0;
    for (size_t i = frame_near(s, from_s); i < s->n && s->frames[i].at_s < to_s; i++)
        most = fmax(most, s->frames[i].loose);
    return most;
}

/* ---- one against another ---- */

double sound_level(const float *px, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)px[i] * px[i];
    return n ? sqrt(sum / (double)n) : 0;
}

enum { LANES = 16 }; /* sums side by side, which a compiler makes vectors of */

static double correlate(const float *a, const float *b, size_t n)
{
    float sum[LANES] = { 0 };
    double total = 0;
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (size_t k = 0; k < LANES; k++)
            sum[k] += a[i + k] * b[i + k];
    for (size_t k = 0; k < LANES; k++)
        total += sum[k];
    for (; i < n; i++)
        total += a[i] * b[i];
    return total;
}

/* The normalised correlation of `a` with `b` at each of 2 * reach + 1 shifts. */
static void correlations(const float *a, size_t n, const float *b, size_t reach, double *ret)
{
    double level = sound_level(a, n), squares = 0;
    for (size_t i = 0; i < n; i++)
        squares += (double)b[i] * b[i];
    for (size_t k = 0; k <= 2 * reach; k++) {
        if (k) /* one sample further on */
            squares += (double)b[k + n - 1] * b[k + n - 1] - (double)b[k - 1] * b[k - 1];
        double other = squares > 0 ? sqrt(squares / (double)n) : 0;
        ret[k] = level > 0 && other > 0 ? correlate(a, b + k, n) / ((double)n * level * other) : 0;
    }
}

/* How high a peak is whose top lies between samples: that of the sinusoid
 * through three of them, where the next on either side lie on it, too, as they
 * do for a tone. `c` is a local maximum with two more on either side. */
static double peak_height(const double *c)
{
    double w = c[0] > 0 ? (c[-1] + c[1]) / (2 * c[0]) : 1; /* its cosine per sample */
    if (fabs(w) >= 1)
        return c[0];
    double slope = (c[1] - c[-1]) / (2 * sqrt(1 - w * w));
    double height = sqrt(c[0] * c[0] + slope * slope);
    double off = fmax(fabs(2 * w * c[1] - c[0] - c[2]), fabs(2 * w * c[-1] - c[0] - c[-2]));
    return off < 0.05 * c[0] ? fmin(height, 1) : c[0];
}

/* Peaks that differ by less are of a sound that repeats itself: where stamps of
 * a tone jitter, those at which more of it overlaps look better by that much. */
#define PERIODIC 0.06

enum { MARGIN = 2 }; /* of zeroes, around the shifts */

int sound_shift(const float *a, size_t n, const float *b, size_t reach, long *ret_shift,
                double *ret_match)
{
    size_t shifts = 2 * reach + 1;
    _cleanup_free_ double *c = calloc(shifts + 2 * MARGIN, sizeof(*c));
    _cleanup_free_ double *height = calloc(shifts, sizeof(*height));
    double best = 0;
    if (!c || !height)
        return -ENOMEM;
    correlations(a, n, b, reach, c + MARGIN);
    for (size_t k = 0; k < shifts; k++) {
        const double *at = c + MARGIN + k;
        if (at[0] < at[-1] || at[0] < at[1])
            continue;
        height[k] = peak_height(at);
        best = fmax(best, height[k]);
    }
    *ret_shift = 0;
    *ret_match = best;
    for (size_t d = 0; d <= reach; d++) {
        size_t later = reach + d, earlier = reach - d;
        if (fmax(height[later], height[earlier]) <= fmax(best - PERIODIC, 0))
            continue;
        *ret_shift = height[later] >= height[earlier] ? (long)d : -(long)d;
        break;
    }
    return 0;
}
