/* The verifier's eye: which frame a picture is, and whether all of it is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cli/verify/likeness.h"

/* A ramp with a bright square that moves by four pixels a frame. */
static struct thumb frame(int n)
{
    struct thumb t;
    for (int i = 0; i < THUMB_PIXELS; i++) {
        int x = i % THUMB_SIDE, y = i / THUMB_SIDE;
        int in = x >= 4 * n && x < 4 * n + 12 && y >= 20 && y < 32;
        t.px[i] = (uint8_t)(in ? 230 : 40 + x + y / 2);
    }
    memset(t.u, 100, sizeof(t.u));
    memset(t.v, 150, sizeof(t.v));
    t.hdr = 0;
    return t;
}

static double noise(uint32_t i)
{
    i = (i + 1) * 2654435761u;
    i ^= i >> 15;
    i *= 2246822519u;
    i ^= i >> 13;
    return (double)i / 2147483648.0 - 1;
}

static struct thumb nothing_changed(void)
{
    return frame(5);
}

static struct thumb other_range(void)
{
    struct thumb t = frame(5);
    for (int i = 0; i < THUMB_PIXELS; i++)
        t.px[i] = (uint8_t)(16 + t.px[i] * 219 / 255);
    return t;
}

static struct thumb noisy(void)
{
    struct thumb t = frame(5);
    for (int i = 0; i < THUMB_PIXELS; i++)
        t.px[i] = (uint8_t)(t.px[i] + (int)(noise((uint32_t)i) * 12));
    return t;
}

static struct thumb shifted(void) /* by half a pixel, as scalers do */
{
    struct thumb t = frame(5), from = t;
    for (int i = 1; i < THUMB_PIXELS; i++)
        if (i % THUMB_SIDE)
            t.px[i] = (uint8_t)((from.px[i] + from.px[i - 1]) / 2);
    return t;
}

static struct thumb before(void)
{
    return frame(4);
}

static struct thumb after(void)
{
    return frame(6);
}

static struct thumb grey(void)
{
    struct thumb t = frame(5);
    memset(t.px, 128, sizeof(t.px));
    return t;
}

static struct thumb smeared(void) /* a tenth of its side */
{
    struct thumb t = frame(5);
    for (int y = 40; y < 48; y++)
        memset(t.px + y * THUMB_SIDE + 8, 200, 8);
    return t;
}

static struct thumb pale(void)
{
    struct thumb t = frame(5);
    memset(t.u, 128, sizeof(t.u));
    memset(t.v, 128, sizeof(t.v));
    return t;
}

static const struct row {
    const char *name;
    struct thumb (*make)(void);
    enum likeness want;
    double least, most; /* how strange its strangest part is */
} rows[] = {
    {"the same",                                  nothing_changed, LIKENESS_SAME,   0,  0.5},
    { "range is no difference",                   other_range,     LIKENESS_SAME,   0,  1  },
    { "nor is what an encoder leaves",            noisy,           LIKENESS_SAME,   0,  8  },
    { "nor what a scaler does",                   shifted,         LIKENESS_SAME,   0,  6  },
    { "the frame before",                         before,          LIKENESS_BEFORE, 0,  255},
    { "the frame after",                          after,           LIKENESS_AFTER,  0,  255},
    { "a grey picture is strange",                grey,            LIKENESS_SAME,   24, 255},
    { "a smeared block is strange",               smeared,         LIKENESS_SAME,   24, 255},
    { "a picture without its colours is strange", pale,            LIKENESS_SAME,   8,  255},
};

static void pictures_are_told_apart(void **state)
{
    struct thumb own = frame(5), prev = frame(4), next = frame(6);
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct thumb out = rows[i].make();
        struct likeness_detail d;
        print_message("%s\n", rows[i].name);
        assert_int_equal(likeness_of(&out, &own, &prev, &next, &d), rows[i].want);
        assert_true(d.strangest >= rows[i].least && d.strangest <= rows[i].most);
    }
}

static void the_strangest_part_is_named(void **state)
{
    struct thumb own = frame(5), out = smeared();
    struct likeness_detail d;
    (void)state;
    assert_int_equal(likeness_of(&out, &own, NULL, NULL, &d), LIKENESS_SAME);
    assert_int_equal(d.column, 1);
    assert_int_equal(d.row, 5);
}

/* A source that stands still has no frame before that could be told from its own. */
static void stills_are_no_repeats(void **state)
{
    struct thumb own = frame(5);
    struct likeness_detail d;
    (void)state;
    assert_int_equal(likeness_of(&own, &own, &own, &own, &d), LIKENESS_SAME);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pictures_are_told_apart),
        cmocka_unit_test(the_strangest_part_is_named),
        cmocka_unit_test(stills_are_no_repeats),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
