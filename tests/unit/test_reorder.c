/* How many pictures decoders hold back, by the times of display. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/media/reorder.h"

enum { NONE = -1, ROOM = 48 }; /* NONE: a packet without a time */

static const struct row {
    const char *name;
    int want;
    int pts[ROOM]; /* in decode order; ends at the second 0 */
    int hidden;    /* number of a packet that shows nothing; 0: none */
} rows[] = {
    {"no B pictures",                      0, { 0, 1, 2, 3, 4 },                                                                           0},
    { "B pictures that nothing refers to", 1, { 0, 3, 1, 2, 6, 4, 5 },                                                                     0},
    { "a pyramid",                         2, { 0, 4, 2, 1, 3, 8, 6, 5, 7 },                                                               0},
    { "deeper later",                      3, { 0, 2, 1, 4, 3, 12, 8, 6, 5, 7, 10 },                                                       0},
    { "a packet without a time",           1, { 0, 3, NONE, 1, 2 },                                                                        0},
    { "a packet that shows nothing",       1, { 0, 9, 4, 1, 2, 3 },                                                                        1},
    { "a clock that starts over",
     0,                                       { 100, 101, 102, 103, 104, 105, 106, 107, 108, 109, 110, 111, 112, 113, 114, 115, 1, 2, 3 },
     0                                                                                                                                      },
};

static void the_depth_is_what_comes_before_and_is_shown_after(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct index_packet packets[ROOM];
        struct media_index idx = { packets, 0 };
        while (idx.n < ROOM && (idx.n == 0 || rows[i].pts[idx.n] != 0)) {
            int pts = rows[i].pts[idx.n];
            packets[idx.n] = (struct index_packet){
                .pts = pts == NONE ? INT64_MIN : pts,
                .flags = rows[i].hidden && (int)idx.n == rows[i].hidden ? PACKET_HIDDEN : 0,
            };
            idx.n++;
        }
        int got = reorder_depth(&idx);
        if (got != rows[i].want)
            fail_msg("%s: %d", rows[i].name, got);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_depth_is_what_comes_before_and_is_shown_after),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
