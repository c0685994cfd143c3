/* Decoded sound becomes one line of samples: each stands where its timestamp
 * says, and stamps that merely jitter move nothing. */
#include <errno.h>
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
#include <libavutil/mathematics.h>
#include <libavutil/samplefmt.h>

enum { RATE = 48000, FRAME = 1024, COUNT = 60, ROOM = 1 << 19, CHANGE = 20 };

/* What came out: the first channel. */
struct line {
    float *p;
    int64_t n;
};

static int on_samples(void *arg, uint8_t **data, int n, struct err *err)
{
    struct line *l = arg;

    (void)err;
    assert_true(l->n + n <= ROOM);
    memcpy(l->p + l->n, data[0], (size_t)n * sizeof(float));
    l->n += n;
    return 0;
}

static struct sound *open_line(struct line *l)
{
    const struct sound_format to = { RATE, AV_SAMPLE_FMT_FLTP, AV_CHANNEL_LAYOUT_MONO };
    struct sound *s = sound_new(&to, on_samples, l);

    *l = (struct line){ .p = calloc(ROOM, sizeof(float)) };
    assert_non_null(l->p);
    assert_non_null(s);
    return s;
}

static AVFrame *new_frame(int n, int rate, int channels)
{
    AVFrame *f = av_frame_alloc();

    assert_non_null(f);
    f->nb_samples = n;
    f->sample_rate = rate;
    f->format = AV_SAMPLE_FMT_FLTP;
    av_channel_layout_default(&f->ch_layout, channels);
    assert_true(av_frame_get_buffer(f, 0) >= 0);
    return f;
}

/* `n` samples whose values count up from `first`, stamped `at` samples. */
static void push(struct sound *s, int64_t first, int n, int rate, int channels, int64_t at)
{
    AVFrame *f = new_frame(n, rate, channels);
    struct err err = { 0 };

    for (int c = 0; c < channels; c++)
        for (int i = 0; i < n; i++)
            ((float *)(void *)f->extended_data[c])[i] = (float)(first + i);
    if (sound_push(s, f, at, rate, &err) < 0)
        fail_msg("%s", err.text);
    av_frame_free(&f);
}

static void finish(struct sound *s, int64_t at)
{
    struct err err = { 0 };

    if (sound_finish(s, at, RATE, &err) < 0)
        fail_msg("%s", err.text);
}

/* ---- how far frame i's stamp is off, in samples ---- */

static int64_t off_none(int i)
{
    return (void)i, 0;
}

static int64_t off_jitter(int i)
{
    return i == 0 ? 0 : i % 2 ? 336 : -336; /* 7 ms */
}

static int64_t off_phone(int i)
{
    return i < 2 ? 0 : i / 10 % 2 ? 500 : -500; /* ten frames late, ten early */
}

static int64_t off_lost(int i)
{
    return i >= CHANGE ? FRAME : 0;
}

static int64_t off_primed(int i)
{
    return i == 0 ? 0 : 600;
}

static int64_t off_passing(int i)
{
    return i >= CHANGE && i < CHANGE + 15 ? 720 : 0;
}

static int64_t off_doubled(int i)
{
    return i >= CHANGE ? -FRAME : 0;
}

static int64_t off_overlap(int i)
{
    return i >= CHANGE ? -2 * FRAME : 0;
}

static int64_t off_late_start(int i)
{
    return (void)i, 4800;
}

static int64_t off_hardly_late(int i)
{
    return (void)i, 100;
}

static int64_t off_early_start(int i)
{
    return (void)i, -480;
}

static int64_t off_very_early(int i)
{
    return (void)i, -2 * FRAME - 10;
}

static int64_t off_wild(int i)
{
    return i == CHANGE ? INT64_C(1) << 50 : 0;
}

/* `silence` samples lie at `at`; `cut` samples are left out from there. */
static const struct row {
    const char *name;
    int64_t (*off)(int i);
    int64_t at, silence, cut;
    int counted; /* as mended */
} rows[] = {
    {"contiguous sound passes as it is",                       off_none,        0,             0,     0,              1},
    { "jitter of 7 ms moves nothing",                          off_jitter,      0,             0,     0,              1},
    { "stamps by a phone's clock move nothing",                off_phone,       0,             0,     0,              1},
    { "a lost frame is silence at once",                       off_lost,        CHANGE *FRAME, FRAME, 0,              1},
    { "behind the first frame, less than one is silence, too", off_primed,      FRAME,         600,   0,              0},
    { "an offset that passes is not believed",                 off_passing,     0,             0,     0,              1},
    { "a frame given twice is left out",                       off_doubled,     CHANGE *FRAME, 0,     FRAME,          1},
    { "of an overlap what was there first stays",              off_overlap,     CHANGE *FRAME, 0,     2 * FRAME,      1},
    { "a late start is silence",                               off_late_start,  0,             4800,  0,              0},
    { "however short",                                         off_hardly_late, 0,             100,   0,              0},
    { "what lies before 0 is cut",                             off_early_start, 0,             0,     480,            0},
    { "whole frames of it, too",                               off_very_early,  0,             0,     2 * FRAME + 10, 0},
    { "a stamp years ahead is not believed",                   off_wild,        0,             0,     0,              1},
};

static void check_line(const struct row *w, const struct line *l)
{
    assert_int_equal(l->n, COUNT * FRAME + w->silence - w->cut);
    for (int64_t i = 0; i < l->n; i++) {
        float want = (float)i;
        if (i >= w->at)
            want = i < w->at + w->silence ? 0 : (float)(i - w->silence + w->cut);
        if (fabsf(l->p[i] - want) > 0.01f)
            fail_msg("%s: sample %lld is %f, not %f", w->name, (long long)i, (double)l->p[i],
                     (double)want);
    }
}

static void each_sample_stands_where_its_stamp_says(void **state)
{
    (void)state;
    for (size_t k = 0; k < sizeof(rows) / sizeof(*rows); k++) {
        const struct row *w = &rows[k];
        struct line l;
        struct sound *s = open_line(&l);

        print_message("# %s\n", w->name);
        for (int i = 0; i < COUNT; i++)
            push(s, (int64_t)i * FRAME, FRAME, RATE, 1, (int64_t)i * FRAME + w->off(i));
        finish(s, 0);
        check_line(w, &l);
        const struct sound_mended *m = sound_mended(s);
        assert_true(fabs(m->silence_s - (w->counted ? (double)w->silence / RATE : 0)) < 1e-6);
        assert_true(fabs(m->dropped_s - (w->counted ? (double)w->cut / RATE : 0)) < 1e-6);
        assert_true(m->bent_s == 0);
        sound_free(s);
        free(l.p);
    }
}

/* ---- what lasts, but is no hole ---- */

/* By 15 ms, from frame CHANGE on; one of the first 16 says 700 samples. */
static double off_lasting(int64_t at)
{
    return at < CHANGE * FRAME ? 0 : at == (CHANGE + 5) * FRAME ? 700 : 720;
}

static double off_behind(int64_t at)
{
    return -off_lasting(at);
}

/* A clock that is too slow, or too fast, by as much as any is; and stamps of small frames. */
static double off_slow(int64_t at)
{
    return (double)at * 0.001;
}

static double off_fast(int64_t at)
{
    return (double)at * -0.001;
}

static const struct bend_row {
    const char *name;
    double (*off)(int64_t at);
    int rate, frame;
    double most; /* samples of `rate` that the line may be off by, anywhere */
    double bent; /* that it has gained at the end; 0: isn't looked at */
} bends[] = {
    {"a lasting offset is believed after 16 frames, by the least", off_lasting, RATE,  FRAME, 722,
     700                                                                                               },
    { "a lasting overlap likewise",                                off_behind,  RATE,  FRAME, 722, -700},
    { "a slow clock is followed",                                  off_slow,    RATE,  FRAME, 480, 0   },
    { "a fast one, too",                                           off_fast,    RATE,  FRAME, 480, 0   },
    { "another rate likewise",                                     off_slow,    44100, FRAME, 441, 0   },
    { "frames of 2.5 ms are no other case",                        off_fast,    RATE,  120,   480, 0   },
};

/* The samples' values count up: so do those that come out, evenly, and each is as far
 * from its place as the row allows. The last one counts for the end. */
static void check_bend(const struct bend_row *w, const struct line *l, int64_t n)
{
    double ratio = (double)w->rate / RATE;

    for (int64_t i = 100; i + 100 < l->n; i++) {
        double step = ((double)l->p[i + 1] - (double)l->p[i]) / ratio;
        if (fabs(step - 1) > 0.1 + 1e-5 * (double)l->p[i]) /* 100 dB below what is there */
            fail_msg("%s: a step of %f at %lld", w->name, step, (long long)i);
        double from = (double)l->p[i], off = from + w->off((int64_t)from) - (double)i * ratio;
        if (fabs(off) > w->most)
            fail_msg("%s: off by %f at %lld", w->name, off, (long long)i);
    }
    double gained = (double)l->n * ratio - (double)n;
    if (w->bent != 0 && fabs(gained - w->bent) > 2)
        fail_msg("%s: %f samples gained, not %f", w->name, gained, w->bent);
}

static void what_lasts_is_bent_away(void **state)
{
    (void)state;
    for (size_t k = 0; k < sizeof(bends) / sizeof(*bends); k++) {
        const struct bend_row *w = &bends[k];
        int64_t n = 0;
        struct line l;
        struct sound *s = open_line(&l);

        print_message("# %s\n", w->name);
        for (; n < (int64_t)10 * w->rate + 2 * FRAME; n += w->frame)
            push(s, n, w->frame, w->rate, 1, n + (int64_t)w->off(n));
        finish(s, 0);
        const struct sound_mended *m = sound_mended(s);
        assert_true(m->silence_s == 0 && m->dropped_s == 0 && m->bent_s > 0.007);
        check_bend(w, &l, n);
        sound_free(s);
        free(l.p);
    }
}

static void absurd_stamps_cost_their_frames_at_most(void **state)
{
    static const int64_t absurd[4] = { INT64_MAX, INT64_MIN, -INT64_MAX, INT64_MAX - 5 };
    struct line l;
    struct sound *s = open_line(&l);

    (void)state;
    for (int i = 0; i < COUNT; i++)
        push(s, (int64_t)i * FRAME, FRAME, RATE, 1,
             i >= CHANGE && i < CHANGE + 4 ? absurd[i - CHANGE] : (int64_t)i * FRAME);
    finish(s, 0);
    assert_int_equal(l.n, COUNT * FRAME);
    sound_free(s);
    free(l.p);
}

/* ---- formats ---- */

static const struct change {
    const char *name;
    int rate, channels;       /* before */
    int to_rate, to_channels; /* from the 30th frame on */
    int64_t tolerance;
} changes[] = {
    {"48 kHz stays exact",                     48000, 1, 48000, 1, 0},
    { "44.1 kHz becomes 48 kHz",               44100, 1, 44100, 1, 2},
    { "8 kHz becomes 48 kHz",                  8000,  1, 8000,  1, 6},
    { "mono becomes stereo in mid-stream",     48000, 1, 48000, 2, 0},
    { "stereo becomes 5.1 in mid-stream",      48000, 2, 48000, 6, 0},
    { "48 kHz becomes 44.1 kHz in mid-stream", 48000, 1, 44100, 1, 3},
    { "24 kHz becomes 48 kHz in mid-stream",   24000, 2, 48000, 1, 3},
};

/* Vorbis: sixteen short frames, sixteen long ones, and so on; stamps are those
 * of their ends, and jitter once both sizes are known. */
static void stamps_of_two_sizes_are_no_holes(void **state)
{
    static const int sizes[][2] = {
        {128,  1024},
        { 256, 2048}
    };

    (void)state;
    for (size_t k = 0; k < sizeof(sizes) / sizeof(*sizes); k++) {
        struct line l;
        struct sound *s = open_line(&l);
        int64_t at = 0;

        for (int i = 0; i < 160; i++) {
            int n = sizes[k][i / 16 % 2];
            push(s, at, n, RATE, 1, at + n - sizes[k][0] + (i >= 64 && i % 2 ? 200 : 0));
            at += n;
        }
        finish(s, at);
        const struct sound_mended *m = sound_mended(s);
        assert_true(m->silence_s == 0 && m->dropped_s == 0 && m->bent_s == 0);
        assert_true(l.n >= at);
        sound_free(s);
        free(l.p);
    }
}

static void the_line_goes_on_over_a_change_of_format(void **state)
{
    (void)state;
    for (size_t k = 0; k < sizeof(changes) / sizeof(*changes); k++) {
        const struct change *c = &changes[k];
        struct line l;
        struct sound *s = open_line(&l);
        int64_t half = (int64_t)30 * 960 * RATE / c->rate; /* where the change stands */

        print_message("# %s\n", c->name);
        for (int i = 0; i < 30; i++)
            push(s, 0, 960, c->rate, c->channels, (int64_t)i * 960);
        for (int i = 0; i < 30; i++)
            push(s, 0, 960, c->to_rate, c->to_channels,
                 half * c->to_rate / RATE + (int64_t)i * 960);
        finish(s, 0);
        int64_t want = half + (int64_t)30 * 960 * RATE / c->to_rate;
        if (llabs((long long)(l.n - want)) > c->tolerance)
            fail_msg("%s: %lld samples instead of %lld", c->name, (long long)l.n, (long long)want);
        sound_free(s);
        free(l.p);
    }
}

/* It is of another recording: to bend half a frame away would take seconds. */
static void another_format_stands_where_its_stamp_says(void **state)
{
    static const int64_t offs[] = { -768, 768, -1900, 5000, 200 };

    (void)state;
    for (size_t k = 0; k < sizeof(offs) / sizeof(*offs); k++) {
        struct line l;
        struct sound *s = open_line(&l);
        int64_t half = av_rescale(30 * 960, RATE, 44100), want = 0;
        int64_t start = half + offs[k], jitter = RATE * 8 / 1000, at = half + 9600;

        for (int i = 0; i < 30; i++)
            push(s, 0, 960, 44100, 1, (int64_t)i * 960);
        for (int i = 0; i < 30; i++)
            push(s, 100000 + (int64_t)i * 960, 960, RATE, 1, start + (int64_t)i * 960);
        finish(s, 0);
        want = 100000 + at - (llabs((long long)offs[k]) > jitter ? start : half);
        assert_true(at < l.n);
        if (fabsf(l.p[at] - (float)want) > 3)
            fail_msg("%lld off: %.0f instead of %lld", (long long)offs[k], (double)l.p[at],
                     (long long)want);
        assert_true(sound_mended(s)->bent_s == 0);
        sound_free(s);
        free(l.p);
    }
}

static void the_end_is_filled_with_silence_to_the_sample(void **state)
{
    struct line l;
    struct sound *s = open_line(&l);

    (void)state;
    for (int i = 0; i < 10; i++)
        push(s, 1, FRAME, RATE, 1, (int64_t)i * FRAME);
    finish(s, RATE);
    assert_int_equal(l.n, RATE);
    assert_float_equal(l.p[10 * FRAME - 1], FRAME, 0.01);
    for (int64_t i = 10 * FRAME; i < l.n; i++)
        assert_float_equal(l.p[i], 0, 0);
    sound_free(s);
    free(l.p);
}

static void an_end_before_the_last_sample_cuts_nothing(void **state)
{
    struct line l;
    struct sound *s = open_line(&l);

    (void)state;
    push(s, 0, FRAME, RATE, 1, 0);
    finish(s, 10);
    assert_int_equal(l.n, FRAME);
    sound_free(s);
    free(l.p);
}

static void no_sound_at_all_is_the_inputs_fault(void **state)
{
    struct err err = { 0 };
    struct line l;
    struct sound *s = open_line(&l);

    (void)state;
    assert_int_equal(sound_finish(s, 1, 1, &err), -EINVAL);
    assert_int_equal(err.cls, ERR_INPUT);
    sound_free(s);
    free(l.p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_sample_stands_where_its_stamp_says),
        cmocka_unit_test(what_lasts_is_bent_away),
        cmocka_unit_test(absurd_stamps_cost_their_frames_at_most),
        cmocka_unit_test(stamps_of_two_sizes_are_no_holes),
        cmocka_unit_test(the_line_goes_on_over_a_change_of_format),
        cmocka_unit_test(another_format_stands_where_its_stamp_says),
        cmocka_unit_test(the_end_is_filled_with_silence_to_the_sample),
        cmocka_unit_test(an_end_before_the_last_sample_cuts_nothing),
        cmocka_unit_test(no_sound_at_all_is_the_inputs_fault),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
