/* Times of pictures that a source doesn't tell. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/media/picture_times.h"

#define NONE INT64_MIN
enum { PACKETS = 8, STEP = 10 };

static const struct row {
    const char *name;
    size_t n;
    int64_t pts[PACKETS];
    struct picture_order order[PACKETS];
    int64_t want[PACKETS];
    uint64_t made;
} rows[] = {
    {
     "all are there: nothing is touched, whatever the order says",      3,
     { 5, 1, 3 },
     { { 9, 1 }, { 7, 0 }, { 5, 0 } },
     { 5, 1, 3 },
     0, },
    {
     "between two times pictures are equally far apart",                                                                4,
     { 100, NONE, NONE, 130 },
     { { 0, 1 }, { 2, 0 }, { 4, 0 }, { 6, 0 } },
     { 100, 110, 120, 130 },
     2, },
    {
     "B pictures are shown by their order, not by that of packets",                                            4,
     { 100, NONE, NONE, NONE },
     { { 0, 1 }, { 6, 0 }, { 2, 0 }, { 4, 0 } },
     { 100, 130, 110, 120 },
     3, },
    {
     "behind the last time the step is that between all that are told",                                         5,
     { 0, NONE, 50, NONE, NONE },
     { { 0, 1 }, { 2, 0 }, { 4, 0 }, { 6, 0 }, { 8, 0 } },
     { 0, 25, 50, 75, 100 },
     3, },
    {
     "before the first one, too", 3,
     { NONE, NONE, 90 },
     { { 0, 1 }, { 2, 0 }, { 4, 0 } },
     { 70, 80, 90 },
     2, },
    {
     "a sequence that counts anew comes after the one before",                                                                4,
     { 0, NONE, NONE, 30 },
     { { 0, 1 }, { 8, 0 }, { 0, 1 }, { 2, 0 } },
     { 0, 10, 20, 30 },
     2, },
    {
     "a time that falls is none where others are missing",                                                    4,
     { 0, NONE, 5, 30 },
     { { 0, 1 }, { 4, 0 }, { 2, 0 }, { 6, 0 } },
     { 0, 18, 5, 30 },
     1, },
    {
     "a time that leaves an even pace is none where others are missing",                                             8,
     { 0, 10, 35, 30, 40, 50, NONE, 70 },
     { { 0, 1 }, { 2, 0 }, { 4, 0 }, { 6, 0 }, { 8, 0 }, { 10, 0 }, { 12, 0 }, { 14, 0 } },
     { 0, 10, 20, 30, 40, 50, 60, 70 },
     2, },
    {
     "where there is no even pace all times are meant",              8,
     { 0, 10, 35, 40, 60, 65, NONE, 70 },
     { { 0, 1 }, { 2, 0 }, { 4, 0 }, { 6, 0 }, { 8, 0 }, { 10, 0 }, { 12, 0 }, { 14, 0 } },
     { 0, 10, 35, 40, 60, 65, 68, 70 },
     1, },
    {
     "without any time there is nothing to make one of",                                                                2,
     { NONE, NONE },
     { { 0, 1 }, { 2, 0 } },
     { NONE, NONE },
     0, },
};

static void check_row(const struct row *r)
{
    struct index_packet p[PACKETS];
    struct media_index idx = { p, r->n };
    uint64_t made = 99;

    for (size_t i = 0; i < r->n; i++)
        p[i] = (struct index_packet){
            .pts = r->pts[i], .dts = NONE, .pos = (int64_t)i, .flags = PACKET_KEY
        };
    assert_int_equal(picture_times_make(&idx, r->order, STEP, &made), 0);
    if (made != r->made)
        fail_msg("%s: %u made", r->name, (unsigned)made);
    for (size_t i = 0; i < r->n; i++) {
        if (p[i].pts != r->want[i])
            fail_msg("%s: packet %zu at %lld", r->name, i, (long long)p[i].pts);
        assert_int_equal((p[i].flags & PACKET_MADE) != 0, r->pts[i] != r->want[i]);
        /* By another time than its own a worker wouldn't find it. */
        assert_int_equal((p[i].flags & PACKET_KEY) != 0,
                         r->pts[i] == NONE || r->pts[i] == r->want[i]);
    }
}

static void times_are_made(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
        check_row(&rows[i]);
}

static void hidden_packets_have_no_place(void **state)
{
    struct index_packet p[] = {
        {.pts = 0,                .flags = PACKET_KEY },
        { .pts = NONE,                      .flags = PACKET_HIDDEN },
        { .pts = NONE},
        { .pts = 20           },
    };
    const struct picture_order order[] = {
        {0,  1},
        { 1, 0},
        { 2, 0},
        { 4, 0}
    };
    struct media_index idx = { p, 4 };
    uint64_t made;

    (void)state;
    assert_int_equal(picture_times_make(&idx, order, STEP, &made), 0);
    assert_int_equal(made, 1);
    assert_true(p[1].pts == NONE);
    assert_int_equal(p[2].pts, 10);
}

/* It would be one of many that look alike. */
static void a_packet_without_place_and_time_is_no_keyframe(void **state)
{
    struct index_packet p[] = {
        {.pts = 0,     .pos = 0,   .flags = PACKET_KEY},
        { .pts = NONE, .pos = -1,  .flags = PACKET_KEY},
        { .pts = NONE, .pos = 376, .flags = PACKET_KEY},
    };
    const struct picture_order order[] = {
        {0,  1},
        { 0, 1},
        { 0, 1}
    };
    struct media_index idx = { p, 3 };
    uint64_t made;

    (void)state;
    assert_int_equal(picture_times_make(&idx, order, STEP, &made), 0);
    assert_int_equal(made, 2);
    assert_false(p[1].flags & PACKET_KEY);
    assert_true(p[2].flags & PACKET_KEY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times_are_made),
        cmocka_unit_test(hidden_packets_have_no_place),
        cmocka_unit_test(a_packet_without_place_and_time_is_no_keyframe),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
