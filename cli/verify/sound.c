#include "sound.h"

#include <errno.h>
#include <libavutil/channel_layout.h>
#include <libavutil/frame.h>
#include <libswresample/swresample.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/cleanup.h"

static int open_resampler(struct sound *s, const AVFrame *f)
{
    AVChannelLayout mono = AV_CHANNEL_LAYOUT_MONO, in = { 0 };
    if (av_channel_layout_check(&f->ch_layout) && f->ch_layout.order != AV_CHANNEL_ORDER_UNSPEC)
        av_channel_layout_copy(&in, &f->ch_layout);
    else
        av_channel_layout_default(&in, f->ch_layout.nb_channels);
    swr_free(&s->swr);
    int r = swr_alloc_set_opts2(&s->swr, &mono, AV_SAMPLE_FMT_FLT, SOUND_RATE, &in, f->format,
                                f->sample_rate, 0, NULL);
    if (!r)
        r = swr_init(s->swr);
    av_channel_layout_uninit(&in);
    s->rate = f->sample_rate;
    s->format = f->format;
    s->channels = f->ch_layout.nb_channels;
    return r;
}

static void place(struct sound *s, const float *px, int n, double at_s)
{
    for (size_t w = 0; w < s->n_windows; w++) {
        struct sound_window *x = &s->windows[w];
        long long off = llround((at_s - x->start_s) * SOUND_RATE);
        for (int i = 0; i < n; i++) {
            long long at = off + i;
            if (at < 0 || at >= (long long)x->n)
                continue;
            x->px[at] = px[i];
            x->filled++;
        }
    }
}

/* Whether anything between these times is wanted: most sound isn't. */
static int wanted(const struct sound *s, double from, double to)
{
    for (size_t w = 0; w < s->n_windows; w++) {
        const struct sound_window *x = &s->windows[w];
        if (to > x->start_s - 1 && from < x->start_s + (double)x->n / SOUND_RATE + 1)
            return 1;
    }
    return 0;
}

#define JITTER_S \
    0.018 /* stamps are off by that: phones, by half a frame; more is a hole or an overlap */

/* A twentieth of the way from where it is due to where it claims to be. Where
 * frames differ in size (Vorbis) a claim may be of their ends: then by that
 * difference it says nothing. */
static double smooth(struct sound *s, const AVFrame *f, double at_s)
{
    double off = at_s - s->next_s, idle = 0;
    if (s->next_s != 0 && f->sample_rate > 0) {
        s->least = s->least && s->least < f->nb_samples ? s->least : f->nb_samples;
        s->most = s->most > f->nb_samples ? s->most : f->nb_samples;
        /* Matroska rounds stamps to milliseconds. */
        idle = s->least * 2 < s->most ? (double)(s->most - s->least) / f->sample_rate + 0.001 : 0;
    }
    if (s->next_s != 0 && fabs(off) <= idle)
        at_s = s->next_s;
    else if (s->next_s != 0 && fabs(off) < JITTER_S)
        at_s = s->next_s + off / 20;
    if (f->sample_rate > 0)
        s->next_s = at_s + (double)f->nb_samples / f->sample_rate;
    return at_s;
}

int sound_add(struct sound *s, const AVFrame *f, double at_s)
{
    at_s = smooth(s, f, at_s);
    if (f->sample_rate <= 0 || f->nb_samples <= 0 ||
        !wanted(s, at_s, at_s + (double)f->nb_samples / f->sample_rate)) {
        if (s->swr)
            swr_free(&s->swr); /* the next wanted frame starts afresh */
        return 0;
    }
    if (!s->swr || s->rate != f->sample_rate || s->format != f->format ||
        s->channels != f->ch_layout.nb_channels) {
        int r = open_resampler(s, f);
        if (r < 0)
            return r;
    }
    /* What comes out first was delayed by the filter. */
    double out_s = at_s - (double)swr_get_delay(s->swr, 1000000) / 1e6;
    int room = swr_get_out_samples(s->swr, f->nb_samples);
    if (room < 0)
        return room;
    _cleanup_free_ float *px = calloc((size_t)room + 1, sizeof(*px));
    uint8_t *out[1] = { (uint8_t *)px };
    if (!px)
        return -ENOMEM;
    int n = swr_convert(s->swr, out, room, (const uint8_t **)(void *)f->extended_data,
                        f->nb_samples);
    if (n > 0)
        place(s, px, n, out_s);
    return n < 0 ? n : 0;
}

void sound_release(struct sound *s)
{
    swr_free(&s->swr);
}

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
