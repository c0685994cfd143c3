/* The verifier's ear for moments: a frame of sound that is missing, or is another one. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cli/verify/sound.h"
#include "cli/verify/sound_blocks.h"

enum { N = SOUND_RATE / 2, REACH = SOUND_RATE / 20, FRAME = SOUND_RATE * 1024 / 48000, AT = 1900 };

static float out[N], source[N + 2 * REACH];

/* As music is: some tones that glide, and noise that differs with `seed`. */
static float sample(size_t i, uint32_t seed)
{
    double t = (double)i / SOUND_RATE;
    uint32_t x = ((uint32_t)i + 1 + seed * 77777) * 2654435761u;
    x ^= x >> 15;
    x *= 2246822519u;
    x ^= x >> 13;
    return (float)(0.1 * sin(2 * M_PI * (311 + 90 * t) * t) +
                   0.1 * sin(2 * M_PI * (871 - 200 * t) * t) +
                   0.05 * ((double)x / 2147483648.0 - 1));
}

/* What a coarse encoder makes of it: other noise, a little quieter. */
static void encode_whole(void)
{
    for (size_t i = 0; i < N + 2 * REACH; i++)
        source[i] = sample(i, 0);
    for (size_t i = 0; i < N; i++)
        out[i] = 0.9F * (source[REACH + i] * 0.9F + 0.1F * sample(REACH + i, 1));
}

static enum block_fault fault(size_t *ret_at, long *ret_off)
{
    struct block_pair p = {
        .out = out, .n = N, .src = source + REACH, .reach = REACH, .gain = 0.9, .quiet = 0.006
    };
    return sound_block_fault(&p, ret_at, ret_off);
}

static void what_an_encoder_makes_is_right(void **state)
{
    size_t at;
    long off;
    (void)state;
    encode_whole();
    assert_int_equal(fault(&at, &off), BLOCK_RIGHT);
}

static void a_frame_that_is_silent_is_found(void **state)
{
    size_t at;
    long off;
    (void)state;
    for (size_t from = AT; from < AT + 40; from += 7) {
        encode_whole();
        for (size_t i = 0; i < FRAME; i++)
            out[from + i] *= 0.03F;
        assert_int_equal(fault(&at, &off), BLOCK_SILENT);
        assert_true(at + 50 > from && at < from + FRAME);
    }
}

static void a_frame_that_is_there_twice_is_found(void **state)
{
    size_t at;
    long off;
    (void)state;
    encode_whole();
    memmove(out + AT, out + AT - FRAME, FRAME * sizeof(*out));
    assert_int_equal(fault(&at, &off), BLOCK_ELSEWHERE);
    assert_true(at + 50 > AT && at < AT + FRAME);
    assert_int_equal(off, -FRAME);
}

/* An encoder may leave what is faint away. */
static void faint_sound_says_nothing(void **state)
{
    size_t at;
    long off;
    (void)state;
    encode_whole();
    for (size_t i = 0; i < FRAME; i++) {
        source[REACH + AT + i] *= 0.05F;
        out[AT + i] = 0;
    }
    assert_int_equal(fault(&at, &off), BLOCK_RIGHT);
}

/* Of a tone each period is like the next. */
static void a_tone_is_in_its_place(void **state)
{
    size_t at;
    long off;
    (void)state;
    for (size_t i = 0; i < N + 2 * REACH; i++)
        source[i] = (float)(0.3 * sin(2 * M_PI * 440 * (double)i / SOUND_RATE));
    for (size_t i = 0; i < N; i++)
        out[i] = source[REACH + i];
    assert_int_equal(fault(&at, &off), BLOCK_RIGHT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_an_encoder_makes_is_right),
        cmocka_unit_test(a_frame_that_is_silent_is_found),
        cmocka_unit_test(a_frame_that_is_there_twice_is_found),
        cmocka_unit_test(faint_sound_says_nothing),
        cmocka_unit_test(a_tone_is_in_its_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
