/* Channels go where they belong, as loud as ITU-R BS.775 says, and no mix
 * clips. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/err.h"
#include "worker/sound.h"

#include <libavutil/channel_layout.h>
#include <libavutil/samplefmt.h>

enum { RATE = 48000, FRAME = 1000, ROOM = 60000 };

#define HALF_POWER 0.70710678f
#define CEILING    0.794f

struct heard {
    int channels;
    float *p[8];
    int n;
};

static int on_samples(void *arg, uint8_t **data, int n, struct err *err)
{
    struct heard *h = arg;

    (void)err;
    assert_true(h->n + n <= ROOM);
    for (int c = 0; c < h->channels; c++)
        memcpy(h->p[c] + h->n, data[c], (size_t)n * sizeof(float));
    h->n += n;
    return 0;
}

static struct sound *listen(struct heard *h, const char *layout)
{
    struct sound_format to = { RATE, AV_SAMPLE_FMT_FLTP, { 0 } };

    assert_int_equal(av_channel_layout_from_string(&to.layout, layout), 0);
    *h = (struct heard){ .channels = to.layout.nb_channels };
    for (int c = 0; c < h->channels; c++)
        assert_non_null(h->p[c] = calloc(ROOM, sizeof(float)));
    struct sound *s = sound_new(&to, on_samples, h);
    assert_non_null(s);
    return s;
}

static void forget(struct sound *s, struct heard *h)
{
    sound_free(s);
    for (int c = 0; c < h->channels; c++)
        free(h->p[c]);
}

/* `layout` as av_channel_layout_from_string() has it, or "?6": six whose
 * places nobody knows. */
static void set_layout(AVChannelLayout *l, const char *layout)
{
    if (*layout == '?')
        *l = (AVChannelLayout){ .order = AV_CHANNEL_ORDER_UNSPEC, .nb_channels = atoi(layout + 1) };
    else
        assert_int_equal(av_channel_layout_from_string(l, layout), 0);
}

static AVFrame *new_frame(const char *layout, int fmt)
{
    AVFrame *f = av_frame_alloc();

    assert_non_null(f);
    f->nb_samples = FRAME;
    f->sample_rate = RATE;
    f->format = fmt;
    set_layout(&f->ch_layout, layout);
    assert_true(av_frame_get_buffer(f, 0) >= 0);
    av_samples_set_silence(f->extended_data, 0, FRAME, f->ch_layout.nb_channels, fmt);
    return f;
}

static void put(AVFrame *f, int channel, int i, float v)
{
    int packed = f->format == AV_SAMPLE_FMT_S16, n = f->ch_layout.nb_channels;

    if (packed)
        ((int16_t *)(void *)f->extended_data[0])[i * n + channel] = (int16_t)lroundf(v * 32768);
    else
        ((float *)(void *)f->extended_data[channel])[i] = v;
}

static void push(struct sound *s, AVFrame *f, int64_t at)
{
    struct err err = { 0 };

    if (sound_push(s, f, at, RATE, &err) < 0)
        fail_msg("%s", err.text);
    av_frame_free(&f);
}

/* 0.25 in one channel alone is heard at `want` of that. */
static const struct row {
    const char *from;
    int channel;
    const char *to;
    float want[8];
} rows[] = {
    {"stereo",       0, "stereo", { 1, 0 }                  },
    { "stereo",      1, "stereo", { 0, 1 }                  },
    { "stereo",      0, "mono",   { 0.5f }                  },
    { "mono",        0, "mono",   { 1 }                     },
    { "FL",          0, "mono",   { 1 }                     },
    { "downmix",     1, "stereo", { 0, 1 }                  },
    { "BL+BR",       0, "stereo", { 1, 0 }                  },
    { "2.1",         2, "stereo", { 0, 0 }                  },
    { "3.0",         2, "stereo", { HALF_POWER, HALF_POWER }},
    { "quad",        2, "stereo", { HALF_POWER, 0 }         },
    { "5.0(side)",   4, "stereo", { 0, HALF_POWER }         },
    { "5.1",         0, "stereo", { 1, 0 }                  },
    { "5.1",         2, "stereo", { HALF_POWER, HALF_POWER }},
    { "5.1",         3, "stereo", { 0, 0 }                  },
    { "5.1",         4, "stereo", { HALF_POWER, 0 }         },
    { "5.1(side)",   5, "stereo", { 0, HALF_POWER }         },
    { "5.1",         2, "mono",   { 1 }                     },
    { "5.1(side)",   0, "5.1",    { 1 }                     },
    { "5.1(side)",   3, "5.1",    { 0, 0, 0, 1 }            },
    { "5.1(side)",   4, "5.1",    { 0, 0, 0, 0, 1 }         },
    { "7.1",         7, "7.1",    { 0, 0, 0, 0, 0, 0, 0, 1 }},
    { "7.1",         2, "5.1",    { 0, 0, 1 }               },
    { "7.1",         4, "5.1",    { 0, 0, 0, 0, 1 }         },
    { "7.1",         6, "5.1",    { 0, 0, 0, 0, HALF_POWER }},
    { "7.1",         5, "stereo", { 0, HALF_POWER }         },
    { "?1",          0, "mono",   { 1 }                     },
    { "?2",          1, "stereo", { 0, 1 }                  },
    { "?3",          2, "stereo", { HALF_POWER, HALF_POWER }},
    { "?6",          2, "stereo", { HALF_POWER, HALF_POWER }},
    { "?6",          5, "5.1",    { 0, 0, 0, 0, 0, 1 }      },
    { "?16",         1, "stereo", { 0, 1 }                  },
    { "?16",         2, "stereo", { 0, 0 }                  },
    { "ambisonic 1", 0, "stereo", { HALF_POWER, HALF_POWER }},
    { "ambisonic 1", 1, "stereo", { 0, 0 }                  },
};

static void hear_row(const struct row *w, int fmt)
{
    struct heard h;
    struct sound *s = listen(&h, w->to);

    for (int k = 0; k < 4; k++) {
        AVFrame *f = new_frame(w->from, fmt);
        for (int i = 0; i < FRAME; i++)
            put(f, w->channel, i, 0.25f);
        push(s, f, (int64_t)k * FRAME);
    }
    assert_int_equal(sound_finish(s, 0, 1, NULL), 0);
    assert_int_equal(h.n, 4 * FRAME);
    for (int c = 0; c < h.channels; c++)
        for (int i = 0; i < h.n; i++)
            if (fabsf(h.p[c][i] - 0.25f * w->want[c]) > 2e-4f)
                fail_msg("channel %d of %s to %s: channel %d is %f at %d, not %f", w->channel,
                         w->from, w->to, c, (double)h.p[c][i], i, (double)(0.25f * w->want[c]));
    forget(s, &h);
}

static void each_channel_is_heard_where_it_belongs(void **state)
{
    (void)state;
    for (size_t k = 0; k < sizeof(rows) / sizeof(*rows); k++) {
        hear_row(&rows[k], AV_SAMPLE_FMT_FLTP);
        hear_row(&rows[k], AV_SAMPLE_FMT_S16);
    }
}

/* 5.1 to stereo; sample i of all channels is value(i). */
static void mix(struct heard *h, float (*value)(int i), int frames, double ceiling)
{
    struct sound *s = listen(h, "stereo");

    if (ceiling >= 0)
        sound_set_level(s, 1, ceiling);
    for (int k = 0; k < frames; k++) {
        AVFrame *f = new_frame("5.1(side)", AV_SAMPLE_FMT_FLTP);
        for (int i = 0; i < FRAME; i++)
            for (int c = 0; c < 6; c++)
                put(f, c, i, value(k * FRAME + i));
        push(s, f, (int64_t)k * FRAME);
    }
    assert_int_equal(sound_finish(s, 0, 1, NULL), 0);
    assert_int_equal(h->n, frames * FRAME);
    sound_free(s);
}

static void unmix(struct heard *h)
{
    for (int c = 0; c < h->channels; c++)
        free(h->p[c]);
}

static float quiet_sine(int i)
{
    return 0.32f * sinf((float)i * 0.05f);
}

static float full_scale(int i)
{
    return sinf((float)i * 0.13f);
}

static float square(int i)
{
    return i / 50 % 2 ? 1 : -1;
}

static float one_click(int i)
{
    return i == 5000 ? 1 : 0.1f * sinf((float)i * 0.05f);
}

static void what_does_not_exceed_the_ceiling_passes_bit_for_bit(void **state)
{
    struct heard plain, limited;

    (void)state;
    mix(&plain, quiet_sine, 20, 0);
    mix(&limited, quiet_sine, 20, -1);
    for (int c = 0; c < 2; c++)
        assert_memory_equal(plain.p[c], limited.p[c], (size_t)plain.n * sizeof(float));
    unmix(&plain);
    unmix(&limited);
}

static void a_mix_at_full_scale_does_not_clip(void **state)
{
    static float (*const loud[])(int) = { full_scale, square, one_click };

    (void)state;
    for (size_t k = 0; k < 3; k++) {
        struct heard plain, limited;
        float most = 0, plain_most = 0;
        mix(&plain, loud[k], 20, 0);
        mix(&limited, loud[k], 20, -1);
        for (int i = 0; i < plain.n; i++) {
            plain_most = fmaxf(plain_most, fabsf(plain.p[0][i]));
            most = fmaxf(most, fabsf(limited.p[1][i]));
        }
        assert_true(plain_most > 2.3f); /* it would */
        assert_true(most <= CEILING + 1e-5f && most > 0.77f);
        unmix(&plain);
        unmix(&limited);
    }
}

/* 5 ms before the click, and 0.75 s after it, nothing has happened. */
static void what_is_turned_down_is_near_what_was_too_loud(void **state)
{
    struct heard plain, limited;

    (void)state;
    mix(&plain, one_click, 50, 0);
    mix(&limited, one_click, 50, -1);
    for (int i = 0; i < plain.n; i++)
        if (i < 5000 - 2 * RATE / 200 || i > 5000 + RATE * 3 / 4)
            assert_true(plain.p[0][i] == limited.p[0][i]);
    /* The level falls and comes back without a step. */
    for (int i = 4000; i < 4999; i++)
        assert_true(fabsf(limited.p[0][i + 1] - limited.p[0][i]) < 0.02f);
    unmix(&plain);
    unmix(&limited);
}

static void sound_that_is_not_mixed_is_not_limited(void **state)
{
    struct heard h;
    struct sound *s = listen(&h, "stereo");
    AVFrame *f = new_frame("stereo", AV_SAMPLE_FMT_FLTP);

    (void)state;
    for (int i = 0; i < FRAME; i++)
        put(f, 0, i, 1.5f * full_scale(i));
    push(s, f, 0);
    assert_int_equal(sound_finish(s, 0, 1, NULL), 0);
    for (int i = 0; i < FRAME; i++)
        assert_true(h.p[0][i] == 1.5f * full_scale(i));
    forget(s, &h);
}

/* Stereo, 5.1 for a while, stereo again: nothing is lost or moved. */
static void a_stream_may_change_its_channels(void **state)
{
    static const char *const layouts[] = { "stereo", "5.1", "stereo" };
    struct heard h;
    struct sound *s = listen(&h, "stereo");

    (void)state;
    for (int k = 0; k < 12; k++) {
        AVFrame *f = new_frame(layouts[k / 4], AV_SAMPLE_FMT_FLTP);
        for (int i = 0; i < FRAME; i++)
            put(f, 0, i, (float)(k * FRAME + i) / 20000);
        push(s, f, (int64_t)k * FRAME);
    }
    assert_int_equal(sound_finish(s, 0, 1, NULL), 0);
    assert_int_equal(h.n, 12 * FRAME);
    for (int i = 0; i < h.n; i++)
        assert_float_equal(h.p[0][i], (float)i / 20000, 1e-5);
    forget(s, &h);
}

static void a_gain_is_linear(void **state)
{
    struct heard h;
    struct sound *s = listen(&h, "stereo");
    AVFrame *f = new_frame("stereo", AV_SAMPLE_FMT_FLTP);

    (void)state;
    sound_set_level(s, 0.5, CEILING);
    for (int i = 0; i < FRAME; i++)
        put(f, 1, i, full_scale(i));
    push(s, f, 0);
    assert_int_equal(sound_finish(s, 0, 1, NULL), 0);
    for (int i = 0; i < FRAME; i++)
        assert_true(h.p[1][i] == 0.5f * full_scale(i));
    forget(s, &h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_channel_is_heard_where_it_belongs),
        cmocka_unit_test(what_does_not_exceed_the_ceiling_passes_bit_for_bit),
        cmocka_unit_test(a_mix_at_full_scale_does_not_clip),
        cmocka_unit_test(what_is_turned_down_is_near_what_was_too_loud),
        cmocka_unit_test(sound_that_is_not_mixed_is_not_limited),
        cmocka_unit_test(a_stream_may_change_its_channels),
        cmocka_unit_test(a_gain_is_linear),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
