/* The arithmetic of frames and times: exact, at the ends of the range too. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/wire/plan.h"

static void pts_lists_give_back_what_they_were_made_of(void **state)
{
    static const struct {
        size_t n, runs;
        int64_t pts[9];
    } rows[] = {
        {1,  0, { -5 }                                         },
        { 2, 1, { -5, 5 }                                      },
        { 5, 1, { 0, 40, 80, 120, 160 }                        },
        { 6, 3, { 0, 42, 84, 125, 167, 209 }                   },
        { 4, 3, { -(INT64_C(1) << 60), 0, 1, INT64_C(1) << 60 }},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct pts_list l;
        int64_t out[9];
        assert_int_equal(pts_list_make(rows[i].pts, rows[i].n, &l), 0);
        assert_int_equal(l.n_frames, rows[i].n);
        assert_int_equal(l.n_runs, rows[i].runs);
        pts_list_expand(&l, out);
        assert_memory_equal(out, rows[i].pts, rows[i].n * sizeof(*out));
        assert_int_equal(pts_list_last(&l), rows[i].pts[rows[i].n - 1]);
        pts_list_release(&l);
    }
    struct pts_list none = { .first = 1 };
    assert_int_equal(pts_list_make(NULL, 0, &none), 0);
    assert_int_equal(none.n_frames, 0);
    pts_list_expand(&none, NULL);
}

static void grid_cells_are_exact(void **state)
{
    static const struct {
        const char *name;
        struct frame_grid g;
        int64_t pts, origin;
        AVRational tb;
        int64_t want;
    } rows[] = {
        {"no grid",                { { 0, 1 }, { 0, 1 } },           99,    0,         { 1, 25 },    0 },
        { "a zeroed grid",         { { 0, 0 }, { 0, 0 } },           99,    0,         { 1, 25 },    0 },
        { "on the edge",           { { 1, 30 }, { 0, 1 } },          3000,  0,         { 1, 90000 }, 1 },
        { "a tick before it",      { { 1, 30 }, { 0, 1 } },          2999,  0,         { 1, 90000 }, 0 },
        { "negative",              { { 1, 30 }, { 0, 1 } },          -1,    0,         { 1, 90000 }, -1},
        { "a whole negative cell", { { 1, 30 }, { 0, 1 } },          -3000, 0,         { 1, 90000 }, -1},
        { "from the origin",       { { 1, 30 }, { 0, 1 } },          -1,    -3001,     { 1, 90000 }, 1 },
        { "phase",                 { { 1, 30 }, { 1, 60 } },         1500,  0,         { 1, 90000 }, 1 },
        { "phase, a tick before",  { { 1, 30 }, { 1, 60 } },         1499,  0,         { 1, 90000 }, 0 },
        { "negative phase",        { { 1, 30 }, { -1, 60 } },        1499,  0,         { 1, 90000 }, -1},
        { "29.97",
         { { 1001, 30000 }, { 0, 1 } },
         INT64_C(1001) * 1000000,
         0,                                                                            { 1, 30000 },
         1000000                                                                                       },
        { "29.97, before",
         { { 1001, 30000 }, { 0, 1 } },
         INT64_C(1001) * 1000000 - 1,
         0,                                                                            { 1, 30000 },
         999999                                                                                        },
        { "all large",
         { { 2147483647, 2147483646 }, { 2147483647, 2147483645 } },
         INT64_C(1) << 60,
         -(INT64_C(1) << 60),
         { 2147483647, 2147483647 },
         INT64_C(2305843008139952128)                                                                  },
        { "too many cells",
         { { 1, 2147483647 }, { 0, 1 } },
         INT64_MAX,                                                         INT64_MIN,
         { 9, 1 },
         INT64_MAX                                                                                     },
        { "too few cells",
         { { 1, 2147483647 }, { 0, 1 } },
         INT64_MIN,                                                         INT64_MAX,
         { 9, 1 },
         INT64_MIN                                                                                     },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        int64_t is = frame_grid_cell(&rows[i].g, rows[i].pts, rows[i].origin, rows[i].tb);
        if (is != rows[i].want)
            fail_msg("%s: %" PRId64 ", not %" PRId64, rows[i].name, is, rows[i].want);
    }
}

static void a_grid_keeps_the_first_frame_of_each_cell(void **state)
{
    const struct frame_grid g = {
        {1,  30 },
        { 1, 120}
    }; /* half a 60 Hz frame early */
    int kept = 0;

    (void)state;
    for (int64_t i = 0; i < 600; i++) { /* 60 Hz in a 1/1000 time base */
        int64_t pts = (i * 1000 + 30) / 60, prev = i ? ((i - 1) * 1000 + 30) / 60 : INT64_MIN;
        int k = frame_grid_keeps(&g, pts, prev, 0, (AVRational){ 1, 1000 });
        assert_int_equal(k, i % 2 == 0);
        kept += k;
    }
    assert_int_equal(kept, 300);
    assert_true(frame_grid_keeps(&(struct frame_grid){ 0 }, 5, 4, 0, (AVRational){ 1, 1000 }));
}

static void ticks_are_rounded_to_nearest(void **state)
{
    static const struct {
        int64_t pts, origin;
        AVRational tb;
        uint32_t timescale;
        int64_t want;
    } rows[] = {
        {1001,              0,         { 1, 30000 },      30000,      1001            },
        { 1,                0,         { 1, 3 },          90000,      30000           },
        { 1,                0,         { 1, 60 },         30,         1               }, /* half away from 0 */
        { -1,               0,         { 1, 60 },         30,         -1              },
        { 1,                0,         { 1, 61 },         30,         0               },
        { 5,                15,        { 1, 1000 },       90000,      -900            },
        { INT64_C(1) << 60, 0,         { 1, 2147483647 }, 2147483647, INT64_C(1) << 60},
        { INT64_MAX,        INT64_MIN, { 2147483647, 1 }, 2147483647, INT64_MAX       },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
        assert_int_equal(plan_ticks(rows[i].pts, rows[i].origin, rows[i].tb, rows[i].timescale),
                         rows[i].want);
}

static void kept_frames_are_counted_by_gop(void **state)
{
    const struct frame_grid all = { 0 }, slow = { { 80, 1000 }, { 0, 1 } };
    int64_t gops[] = { 80, 120, 220 };
    struct pts_run runs[] = {
        {40,   1},
        { 100, 1}
    };
    const struct chunk c = {
        .start = 80,
        .end = 260,
        .prev_pts = 40,
        .gops = gops,
        .n_gops = 3,
        .pts = {.first = 80, .runs = runs, .n_runs = 2, .n_frames = 3}
    };
    const AVRational ms = { 1, 1000 };

    (void)state;
    assert_int_equal(chunk_frames_kept(&c, &all, 0, 3, 0, ms), 3);
    assert_int_equal(chunk_frames_kept(&c, &all, 1, 3, 0, ms), 2);
    assert_int_equal(chunk_frames_kept(&c, &all, 0, 1, 0, ms), 1);
    assert_int_equal(chunk_frames_kept(&c, &all, 3, 3, 0, ms), 0);
    /* Cells of 80 ms: prev 40 in 0; 80 and 120 in 1; 220 in 2. */
    assert_int_equal(chunk_frames_kept(&c, &slow, 0, 3, 0, ms), 2);
    assert_int_equal(chunk_frames_kept(&c, &slow, 1, 2, 0, ms), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pts_lists_give_back_what_they_were_made_of),
        cmocka_unit_test(grid_cells_are_exact),
        cmocka_unit_test(a_grid_keeps_the_first_frame_of_each_cell),
        cmocka_unit_test(ticks_are_rounded_to_nearest),
        cmocka_unit_test(kept_frames_are_counted_by_gop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
