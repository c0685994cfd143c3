/* Stamps that jitter by whole frames move nothing, holes and overlaps are where they were, and a
 * sound of a few samples comes out. */
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

enum { RATE = 48000, FRAME = 1024, COUNT = 40, ROOM = 1 << 18 };

struct line {
    float p[ROOM];
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

/* `n` samples whose values count up from `first`, stamped `at` samples. */
static void push(struct sound *s, int64_t first, int n, int rate, int64_t at)
{
    AVFrame *f = av_frame_alloc();
    struct err err = { 0 };

    assert_non_null(f);
    f->nb_samples = n;
    f->sample_rate = rate;
    f->format = AV_SAMPLE_FMT_FLTP;
    av_channel_layout_default(&f->ch_layout, 1);
    assert_true(av_frame_get_buffer(f, 0) >= 0);
    for (int i = 0; i < n; i++)
        ((float *)(void *)f->extended_data[0])[i] = (float)(first + i);
    if (sound_push(s, f, at, rate, &err) < 0)
        fail_msg("%s", err.text);
    av_frame_free(&f);
}

/* Of frame i, in frames. */
static int64_t first_of_pair(int i)
{
    return i / 2 * 2;
}

static int64_t last_of_pair(int i)
{
    return (i + 1) / 2 * 2;
}

static int64_t first_of_four(int i)
{
    return i / 4 * 4;
}

static int64_t one_ahead(int i)
{
    return i == 20 ? 23 : i;
}

static int64_t swapped(int i)
{
    return i == 20 || i == 21 ? 41 - i : i;
}

static int64_t pairs_and_a_hole(int i)
{
    return first_of_pair(i) + (i >= 20 ? 2 : 0);
}

static int64_t a_hole(int i)
{
    return i >= 20 ? i + 3 : i;
}

static int64_t a_hole_at_the_end(int i)
{
    return i == COUNT - 1 ? i + 2 : i;
}

static int64_t an_overlap(int i)
{
    return i >= 20 ? i - 3 : i;
}

/* From frame 20 on (`at`), so many frames of silence, or left out. */
static const struct row {
    const char *name;
    int64_t (*stamp)(int i);
    int at, silence, cut;
} rows[] = {
    {"stamps in pairs, of the first one",  first_of_pair,     0,         0, 0},
    { "stamps in pairs, of the last one",  last_of_pair,      0,         0, 0},
    { "stamps in fours",                   first_of_four,     0,         0, 0},
    { "one that is ahead by three frames", one_ahead,         0,         0, 0},
    { "two that are exchanged",            swapped,           0,         0, 0},
    { "pairs, and a hole",                 pairs_and_a_hole,  20,        1, 0},
    { "a hole of three frames",            a_hole,            20,        3, 0},
    { "a hole before the last frame",      a_hole_at_the_end, COUNT - 1, 2, 0},
    { "an overlap of three frames",        an_overlap,        20,        0, 3},
};

static void check_line(const struct row *w, const struct line *l)
{
    int64_t silence = (int64_t)w->silence * FRAME, cut = (int64_t)w->cut * FRAME;
    int64_t at = (int64_t)w->at * FRAME;

    assert_int_equal(l->n, COUNT * FRAME + silence - cut);
    for (int64_t i = 0; i < l->n; i++) {
        float want = (float)i;
        if (i >= at)
            want = i < at + silence ? 0 : (float)(i - silence + cut);
        if (fabsf(l->p[i] - want) > 0.01f)
            fail_msg("%s: sample %lld is %f, not %f", w->name, (long long)i, (double)l->p[i],
                     (double)want);
    }
}

static void whole_frames_of_jitter_move_nothing(void **state)
{
    const struct sound_format to = { RATE, AV_SAMPLE_FMT_FLTP, AV_CHANNEL_LAYOUT_MONO };
    struct line *l = malloc(sizeof(*l));
    struct err err = { 0 };

    (void)state;
    assert_non_null(l);
    for (size_t k = 0; k < sizeof(rows) / sizeof(*rows); k++) {
        struct sound *s = sound_new(&to, on_samples, l);
        print_message("# %s\n", rows[k].name);
        l->n = 0;
        for (int i = 0; i < COUNT; i++)
            push(s, (int64_t)i * FRAME, FRAME, RATE, rows[k].stamp(i) * FRAME);
        assert_int_equal(sound_finish(s, 0, 1, &err), 0);
        check_line(&rows[k], l);
        const struct sound_mended *m = sound_mended(s);
        assert_true(fabs(m->silence_s - (double)rows[k].silence * FRAME / RATE) < 1e-6);
        assert_true(fabs(m->dropped_s - (double)rows[k].cut * FRAME / RATE) < 1e-6);
        sound_free(s);
    }
    free(l);
}

/* Of each rate the samples that a few make, no more: what they are worth to the ear is little. */
static void a_sound_of_a_few_samples_comes_out(void **state)
{
    static const int rates[] = { 3000, 8000, 44100, 48000, 96000, 192000, 384000 };
    const struct sound_format to = { RATE, AV_SAMPLE_FMT_FLTP, AV_CHANNEL_LAYOUT_MONO };
    struct line *l = malloc(sizeof(*l));
    struct err err = { 0 };

    (void)state;
    assert_non_null(l);
    for (size_t k = 0; k < sizeof(rates) / sizeof(*rates); k++)
        for (int n = 1; n < 50; n += 19) {
            struct sound *s = sound_new(&to, on_samples, l);
            int64_t want = ((int64_t)n * RATE + rates[k] - 1) / rates[k];
            l->n = 0;
            push(s, 100, n, rates[k], 0);
            assert_int_equal(sound_finish(s, 0, 1, &err), 0);
            if (l->n != want)
                fail_msg("%d samples of %d Hz: %lld, not %lld", n, rates[k], (long long)l->n,
                         (long long)want);
            assert_true(n < 20 || l->p[0] > 20);
            sound_free(s);
        }
    free(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_frames_of_jitter_move_nothing),
        cmocka_unit_test(a_sound_of_a_few_samples_comes_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
