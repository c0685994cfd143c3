#include "loudness.h"

#include "../common/base/err.h"
#include "../common/child/inside.h"
#include "encode.h"
#include "listen.h"
#include "sound.h"

#include <ebur128.h>
#include <errno.h>
#include <libavutil/channel_layout.h>
#include <libavutil/mathematics.h>
#include <libavutil/samplefmt.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SILENCE   -70.0 /* LUFS: the absolute gate, below it nothing counts */
#define NO_PEAK   -120.0
#define CODING_DB 1.0 /* what coding may add to a peak */
#define CLOSE_LU  0.5 /* so near the target nobody is told */

/* One rate and layout. */
struct meter {
    struct inside *in;
    const struct task *t;
    int rate, channels;
    ebur128_state *state;
    struct sound *sound;
    int64_t samples;
};

static int no_memory(struct err *err)
{
    return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory for measuring loudness");
}

static int on_samples(void *arg, uint8_t **data, int n, struct err *err)
{
    struct meter *m = arg;

    if (ebur128_add_frames_float(m->state, (const float *)(const void *)data[0], (size_t)n) !=
        EBUR128_SUCCESS)
        return no_memory(err);
    m->samples += n;
    inside_progress(m->in, loudness_progress(m->t, 0, m->samples, m->rate));
    return 0;
}

static int place_of(enum AVChannel c, int only)
{
    switch (c) {
    case AV_CHAN_FRONT_LEFT:
        return EBUR128_LEFT;
    case AV_CHAN_FRONT_RIGHT:
        return EBUR128_RIGHT;
    case AV_CHAN_FRONT_CENTER:
        return EBUR128_CENTER;
    case AV_CHAN_SIDE_LEFT:
    case AV_CHAN_BACK_LEFT:
        return EBUR128_LEFT_SURROUND;
    case AV_CHAN_SIDE_RIGHT:
    case AV_CHAN_BACK_RIGHT:
        return EBUR128_RIGHT_SURROUND;
    default:
        return only ? EBUR128_CENTER : EBUR128_UNUSED;
    }
}

static int meter_open(struct meter *m, const struct rendition *r, struct err *err)
{
    struct sound_format to = { .rate = r->sample_rate, .fmt = AV_SAMPLE_FMT_FLT };

    if (av_channel_layout_from_string(&to.layout, r->layout) < 0)
        return err_set(err, -ENOTSUP, ERR_UNSUPPORTED, "rendition %s: no channel layout '%s'",
                       r->name, r->layout);
    m->rate = r->sample_rate;
    m->channels = to.layout.nb_channels;
    m->state = ebur128_init((unsigned)m->channels, (unsigned long)m->rate,
                            EBUR128_MODE_I | EBUR128_MODE_TRUE_PEAK);
    m->sound = sound_new(&to, on_samples, m);
    if (!m->state || !m->sound)
        return no_memory(err);
    sound_set_level(m->sound, 1, 0); /* peaks as they are */
    for (int c = 0; c < m->channels; c++)
        (void)ebur128_set_channel(
            m->state, (unsigned)c,
            place_of(av_channel_layout_channel_from_index(&to.layout, (unsigned)c),
                     m->channels == 1));
    return 0;
}

static double peak_of(const struct meter *m)
{
    double most = 0;

    for (int c = 0; c < m->channels; c++) {
        double peak = 0;
        if (ebur128_true_peak(m->state, (unsigned)c, &peak) == EBUR128_SUCCESS)
            most = fmax(most, peak);
    }
    return most > 0 ? fmax(20 * log10(most), NO_PEAK) : NO_PEAK;
}

static double to_hundredths(double db)
{
    return round(db * 100) / 100;
}

double loudness_gain(const struct rendition *r, double integrated, double true_peak)
{
    if (integrated <= SILENCE)
        return 0;
    /* Down, not to the nearest: the peak's limit holds. */
    return floor(fmin(r->loudness - integrated, r->true_peak - CODING_DB - true_peak) * 100 +
                 1e-6) /
           100;
}

double loudness_factor(double db)
{
    return pow(10, db / 20);
}

static void judge(const struct meter *m, const struct rendition *r, struct loudness *ret)
{
    double integrated = SILENCE;

    (void)ebur128_loudness_global(m->state, &integrated);
    integrated = isfinite(integrated) ? fmax(integrated, SILENCE) : SILENCE;
    *ret = (struct loudness){
        .known = 1,
        .integrated = to_hundredths(integrated),
        .true_peak = to_hundredths(peak_of(m)),
    };
    ret->gain = loudness_gain(r, ret->integrated, ret->true_peak);
}

static int wants(const struct task *t, size_t i)
{
    return task_makes(t, i) && t->renditions[i].loudness < 0;
}

static struct meter *meter_for(struct meter *m, size_t n, const struct rendition *r)
{
    for (size_t i = 0; i < n; i++)
        if (m[i].rate == r->sample_rate && m[i].channels == r->channels)
            return &m[i];
    return NULL;
}

static int open_meters(struct inside *in, const struct task *t, struct meter *m,
                       struct sound **sounds, size_t *n, struct err *err)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < t->n_renditions; i++) {
        if (!wants(t, i) || meter_for(m, *n, &t->renditions[i]))
            continue;
        m[*n] = (struct meter){ .in = in, .t = t };
        r = meter_open(&m[*n], &t->renditions[i], err);
        sounds[*n] = m[*n].sound;
        ++*n;
    }
    return r;
}

/* What can't be heard is silence here; that nothing can be is told when it
 * is to be encoded. */
static int hear_all(struct inside *in, const struct task *t, const struct meter *m,
                    struct sound **sounds, size_t n, struct err *err)
{
    struct listener from;
    int r = listener_open(&from, in, t, err);

    if (r == 0)
        r = listener_run(&from, sounds, n, err);
    for (size_t i = 0; r == 0 && i < n; i++)
        if (!sound_is_empty(m[i].sound))
            r = sound_finish(m[i].sound, 0, 1, err);
    listener_close(&from);
    return r;
}

static int measure(struct inside *in, const struct task *t, struct meter *m, struct sound **sounds,
                   struct loudness *ret, struct err *err)
{
    size_t n = 0;
    int r = open_meters(in, t, m, sounds, &n, err);

    if (r == 0 && n > 0)
        r = hear_all(in, t, m, sounds, n, err);
    for (size_t i = 0; r == 0 && i < t->n_renditions; i++)
        if (wants(t, i))
            judge(meter_for(m, n, &t->renditions[i]), &t->renditions[i], &ret[i]);
    for (size_t i = 0; i < n; i++) {
        sound_free(m[i].sound);
        if (m[i].state)
            ebur128_destroy(&m[i].state);
    }
    return r;
}

int loudness_measure(struct inside *in, const struct task *t, struct loudness **ret,
                     struct err *err)
{
    struct loudness *all = calloc(t->n_renditions, sizeof(*all));
    struct meter *meters = calloc(t->n_renditions, sizeof(*meters));
    struct sound **sounds = calloc(t->n_renditions, sizeof(struct sound *));
    int r = all && meters && sounds ? measure(in, t, meters, sounds, all, err) : no_memory(err);

    free(meters);
    free(sounds);
    if (r < 0)
        free(all);
    else
        *ret = all;
    return r;
}

uint64_t loudness_progress(const struct task *t, int pass, int64_t samples, int rate)
{
    int64_t ms = av_rescale(samples, 1000, rate);
    int64_t all = av_rescale(t->timeline_end, 1000, t->timescale);
    int twice = 0;

    for (size_t i = 0; i < t->n_renditions; i++)
        twice |= wants(t, i);
    if (!twice)
        return (uint64_t)ms;
    return (uint64_t)((pass ? all + ms : ms) / 2);
}

int loudness_tell(const struct rendition *r, const struct loudness *l, struct task_result *res)
{
    double is = l->integrated + l->gain;

    if (!l->known || l->integrated <= SILENCE || is > r->loudness - CLOSE_LU)
        return 0;
    return encode_warn(res,
                       "sound: rendition %s has %.1f LUFS, not %.1f: its peaks, %.1f dB before, "
                       "would exceed %.1f dB of full scale",
                       r->name, is, r->loudness, l->true_peak, r->true_peak);
}
