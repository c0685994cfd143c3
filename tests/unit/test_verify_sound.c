/* The verifier's ear: by how much one sound is shifted against another. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tone_is_where_it_is),
        cmocka_unit_test(low_tone_is_late),
        cmocka_unit_test(noise_is_shifted),
        cmocka_unit_test(two_tones_in_noise_are_where_they_are),
        cmocka_unit_test(other_noise_is_unlike),
        cmocka_unit_test(silence_is_nowhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
