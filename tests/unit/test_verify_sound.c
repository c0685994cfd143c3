/* The verifier's ear: by how much one sound is shifted against another. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <libavutil/channel_layout.h>
#include <libavutil/frame.h>

#include "cli/verify/sound.h"

enum {
    N = SOUND_RATE / 2,
    REACH = SOUND_RATE / 10
}; /* a fraction of the real ones: it takes long */

static float package[N], source[N + 2 * REACH];

/* Deterministic noise of -1 to 1. */
static float noise(uint32_t i)
{
    i = (i + 1) * 2654435761u;
    i ^= i >> 15;
    i *= 2246822519u;
    i ^= i >> 13;
    return (float)i / 2147483648.0F - 1;
}

/* As encoders have it: a few ms until they are there. */
static double attack(size_t i)
{
    return i < 80 ? (double)i / 80 : 1;
}

/* `late_s`: by how much the package's tone is later than the source's. */
static void make_tone(double hz, double late_s)
{
    for (size_t i = 0; i < N; i++)
        package[i] = (float)(attack(i) * sin(2 * M_PI * hz * ((double)i / SOUND_RATE - late_s)));
    for (size_t i = 0; i < N + 2 * REACH; i++)
        source[i] = (float)sin(2 * M_PI * hz * ((double)i - REACH) / SOUND_RATE);
}

static void make_noise(long shift)
{
    for (size_t i = 0; i < N + 2 * REACH; i++)
        source[i] = noise((uint32_t)i);
    for (size_t i = 0; i < N; i++)
        package[i] = source[REACH + (long)i + shift];
}

static long shift_of(double *ret_match)
{
    long shift = 12345;
    assert_int_equal(sound_shift(package, N, source, REACH, &shift, ret_match), 0);
    return shift;
}

/* All shifts by a period match; grids of samples make some look better. */
static void tone_is_where_it_is(void **state)
{
    static const double tones[] = { 50, 110, 440, 445.3, 1000, 1234.5, 2345.6, 3111 };
    double match;

    (void)state;
    for (size_t i = 0; i < sizeof(tones) / sizeof(*tones); i++)
        for (int eighth = -8; eighth <= 8; eighth++) {
            make_tone(tones[i], eighth / 8.0 / SOUND_RATE);
            assert_in_range(shift_of(&match) + 2, 0, 4);
            assert_true(match > 0.95);
        }
}

/* Of a low tone a shift of less than half a period can be told. */
static void low_tone_is_late(void **state)
{
    double match;

    (void)state;
    make_tone(20, 0.015);
    assert_in_range(shift_of(&match), -122, -118);
}

static void noise_is_shifted(void **state)
{
    static const long shifts[] = { 0, 1, -1, 37, -311, REACH, -REACH };
    double match;

    (void)state;
    for (size_t i = 0; i < sizeof(shifts) / sizeof(*shifts); i++) {
        make_noise(shifts[i]);
        assert_int_equal(shift_of(&match), shifts[i]);
        assert_true(match > 0.99);
    }
}

/* Of two tones three samples make a third one, that may be higher than both. */
static void two_tones_in_noise_are_where_they_are(void **state)
{
    double match;

    (void)state;
    for (size_t i = 0; i < N + 2 * REACH; i++)
        source[i] = (float)(sin(2 * M_PI * 3300.7 * (double)i / SOUND_RATE) +
                            sin(2 * M_PI * 3901.3 * (double)i / SOUND_RATE));
    for (size_t i = 0; i < N; i++)
        package[i] = source[REACH + i] + noise((uint32_t)i);
    assert_int_equal(shift_of(&match), 0);
    assert_true(match > 0.8 && match < 0.9);
}

static void other_noise_is_unlike(void **state)
{
    double match;

    (void)state;
    make_noise(0);
    for (size_t i = 0; i < N; i++)
        package[i] = noise((uint32_t)i + 1000000);
    (void)shift_of(&match);
    assert_true(match < 0.3);
}

static void silence_is_nowhere(void **state)
{
    double match;

    (void)state;
    make_noise(0);
    for (size_t i = 0; i < N; i++)
        package[i] = 0;
    assert_int_equal(shift_of(&match), 0);
    assert_true(match < 0.01);
}

/* ---- when frames are heard ---- */

enum { FRAME = 800, FRAMES = 40 }; /* of a tenth of a second each */

static void add_frames(struct sound *s, const double *late_s)
{
    AVFrame *f = av_frame_alloc();
    assert_non_null(f);
    f->nb_samples = FRAME;
    f->sample_rate = SOUND_RATE;
    f->format = AV_SAMPLE_FMT_FLT;
    av_channel_layout_default(&f->ch_layout, 1);
    assert_int_equal(av_frame_get_buffer(f, 0), 0);
    for (int i = 0; i < FRAMES; i++) {
        for (int k = 0; k < FRAME; k++)
            ((float *)f->data[0])[k] = (float)(i + 1) / 64;
        assert_int_equal(sound_add(s, f, i * 0.1 + late_s[i], 0), 0);
    }
    av_frame_free(&f);
    assert_int_equal(sound_settle(s), 0);
}

/* What is heard in the middle of where frame `i` would be without any lateness. */
static float heard(const struct sound *s, double at_s)
{
    float px[8];
    assert_int_equal(sound_read(s, at_s, px, 8), 0);
    return px[4] * 64;
}

static void stamps_that_come_back_are_jitter(void **state)
{
    struct sound s = { 0 };
    double late[FRAMES] = { 0 };
    (void)state;
    for (int i = 5; i < FRAMES; i += 6) /* pairs of frames, a whole one late */
        late[i] = 0.1;
    add_frames(&s, late);
    for (int i = 0; i < FRAMES; i++)
        assert_true(fabsf(heard(&s, i * 0.1 + 0.05) - (float)(i + 1)) < 0.1F);
    sound_release(&s);
}

/* The last of them have none behind that would tell. */
static void stamps_that_came_back_are_jitter_at_the_end(void **state)
{
    (void)state;
    for (int last = 1; last <= 2; last++) {
        struct sound s = { 0 };
        double late[FRAMES] = { 0 };
        for (int i = 5; i < FRAMES - last; i += 6)
            late[i] = -0.1;
        for (int i = FRAMES - last; i < FRAMES; i++)
            late[i] = -0.1;
        add_frames(&s, late);
        for (int i = 0; i < FRAMES; i++)
            assert_true(fabsf(heard(&s, i * 0.1 + 0.05) - (float)(i + 1)) < 0.1F);
        assert_true(fabs(sound_end(&s) - FRAMES * 0.1) < 1e-6);
        sound_release(&s);
    }
}

static void a_hole_at_the_end_is_one(void **state)
{
    struct sound s = { 0 };
    double late[FRAMES] = { 0 };
    (void)state;
    late[FRAMES - 1] = 0.1;
    add_frames(&s, late);
    assert_true(fabsf(heard(&s, (FRAMES - 1) * 0.1 + 0.05)) < 0.1F);
    assert_true(fabsf(heard(&s, FRAMES * 0.1 + 0.05) - FRAMES) < 0.1F);
    sound_release(&s);
}

static void a_hole_is_a_hole(void **state)
{
    struct sound s = { 0 };
    double late[FRAMES] = { 0 };
    (void)state;
    for (int i = 20; i < FRAMES; i++)
        late[i] = 0.5;
    add_frames(&s, late);
    assert_true(fabsf(heard(&s, 1.95) - 20) < 0.1F);
    assert_true(fabsf(heard(&s, 2.25)) < 0.1F);
    assert_true(fabsf(heard(&s, 2.55) - 21) < 0.1F);
    assert_true(fabs(sound_end(&s) - 4.5) < 1e-6);
    sound_release(&s);
}

/* As the encoder has it. */
static void of_what_overlaps_the_first_is_heard(void **state)
{
    struct sound s = { 0 };
    double late[FRAMES] = { 0 };
    (void)state;
    for (int i = 20; i < FRAMES; i++)
        late[i] = -0.05;
    add_frames(&s, late);
    assert_true(fabsf(heard(&s, 1.97) - 20) < 0.1F);
    assert_true(fabsf(heard(&s, 2.02) - 21) < 0.1F);
    assert_true(sound_is_joined(&s, 1.9, 2.1) && !sound_is_joined(&s, 2.2, 3));
    sound_release(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stamps_that_come_back_are_jitter),
        cmocka_unit_test(stamps_that_came_back_are_jitter_at_the_end),
        cmocka_unit_test(a_hole_at_the_end_is_one),
        cmocka_unit_test(a_hole_is_a_hole),
        cmocka_unit_test(of_what_overlaps_the_first_is_heard),
        cmocka_unit_test(tone_is_where_it_is),
        cmocka_unit_test(low_tone_is_late),
        cmocka_unit_test(noise_is_shifted),
        cmocka_unit_test(two_tones_in_noise_are_where_they_are),
        cmocka_unit_test(other_noise_is_unlike),
        cmocka_unit_test(silence_is_nowhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
