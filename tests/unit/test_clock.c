/* One timeline of a clock that wraps, starts over, jumps, and is now and then
 * wrong; and what packets say of themselves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/media/clock.h"
#include "common/media/index_build.h"

enum { SECOND = 90000, STEP = 3600, PART = 50 };
#define WRAP (INT64_C(1) << 33)

/* `n` packets from time `at`, 100 bytes each from `pos`; pts two steps ahead of dts. */
static void add_part(struct media_index *idx, int64_t at, int64_t pos, size_t n, int64_t delay)
{
    idx->packets = realloc(idx->packets, (idx->n + n) * sizeof(*idx->packets));
    assert_non_null(idx->packets);
    for (size_t i = 0; i < n; i++) {
        int64_t dts = at + (int64_t)i * STEP;
        idx->packets[idx->n++] = (struct index_packet){ .pts = (dts + delay) % WRAP,
                                                        .dts = dts % WRAP,
                                                        .pos = pos + (int64_t)i * 100,
                                                        .size = 100 };
    }
}

/* Every frame one step after the one before. */
static void assert_even(const struct media_index *idx)
{
    for (size_t i = 1; i < idx->n; i++)
        assert_int_equal(idx->packets[i].pts - idx->packets[i - 1].pts, STEP);
}

static const struct row {
    const char *name;
    int64_t second_at; /* the first part begins at 2 s */
    size_t splices;
} rows[] = {
    {"time goes on",              2 * SECOND + PART *STEP, 0},
    { "time starts over",         2 * SECOND,              1},
    { "time starts at zero",      0,                       1},
    { "time jumps an hour ahead", INT64_C(3600) * SECOND,  1},
    { "time is about to wrap",    WRAP - 3 * STEP,         1},
};

static void what_is_joined_goes_on(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct clock_line c = { .bits = 33, .ticks = SECOND };
        struct media_index idx = { 0 }, sound = { 0 };

        print_message("# %s\n", rows[i].name);
        add_part(&idx, 2 * SECOND, 0, PART, 2 * STEP);
        add_part(&idx, rows[i].second_at, PART * 100, PART, 2 * STEP);
        add_part(&sound, 2 * SECOND, 50, PART, 0);
        add_part(&sound, rows[i].second_at, PART * 100 - 10, PART, 0);
        assert_int_equal(clock_follow(&c, &idx), 0);
        assert_even(&idx);
        assert_int_equal(c.n_splices, rows[i].splices);
        assert_int_equal(c.strays, 0);
        clock_take_along(&c, &sound);
        assert_even(&sound);
        if (c.n_splices) /* the sound of the second part comes first in the file */
            assert_int_equal(c.splices[0].pos, PART * 100 - 10);
        free(c.splices);
        media_index_release(&idx);
        media_index_release(&sound);
    }
}

static void a_wrong_stamp_moves_nothing(void **state)
{
    struct clock_line c = { .bits = 33, .ticks = SECOND };
    struct media_index idx = { 0 };

    (void)state;
    add_part(&idx, 2 * SECOND, 0, 2 * PART, 0);
    idx.packets[PART].pts = idx.packets[PART].dts = INT64_C(7200) * SECOND;
    idx.packets[PART].flags = PACKET_KEY;
    assert_int_equal(clock_follow(&c, &idx), 0);
    assert_int_equal(c.n_splices, 0);
    assert_int_equal(c.strays, 1);
    assert_true(idx.packets[PART].pts == INT64_MIN);
    assert_false(idx.packets[PART].flags & PACKET_KEY); /* it can't be found by that */
    assert_int_equal(idx.packets[PART + 1].pts, 2 * SECOND + (PART + 1) * STEP);
    media_index_release(&idx);
}

static void where_few_have_a_time_the_second_part_begins_at_the_end_of_the_first(void **state)
{
    static const size_t each[] = { 5, 12, 17 };

    (void)state;
    for (size_t k = 0; k < sizeof(each) / sizeof(*each); k++) {
        struct clock_line c = { .bits = 33, .ticks = SECOND };
        struct media_index idx = { 0 };
        size_t n = 4 * PART;
        add_part(&idx, 2 * SECOND, 0, n, 2 * STEP);
        add_part(&idx, 2 * SECOND, (int64_t)n * 100, n, 2 * STEP);
        for (size_t i = 0; i < idx.n; i++)
            if (i % n % each[k] != 0)
                idx.packets[i].pts = idx.packets[i].dts = INT64_MIN;
        assert_int_equal(clock_follow(&c, &idx), 0);
        assert_int_equal(c.n_splices, 1);
        assert_int_equal(c.strays, 0);
        assert_int_equal(idx.packets[n].pts - idx.packets[0].pts, (int64_t)n * STEP);
        free(c.splices);
        media_index_release(&idx);
    }
}

static void elsewhere_what_jumps_is_meant(void **state)
{
    struct clock_line c = { .bits = 64 };
    struct media_index idx = { 0 };

    (void)state;
    add_part(&idx, 0, 0, PART, 0);
    add_part(&idx, INT64_C(3600) * SECOND, PART * 100, PART, 0);
    assert_int_equal(clock_follow(&c, &idx), 0);
    assert_int_equal(c.n_splices, 0);
    assert_int_equal(idx.packets[PART].pts, INT64_C(3600) * SECOND);
    media_index_release(&idx);
}

static void what_comes_before_a_keyframe_is_left_out(void **state)
{
    struct media_index idx = { 0 };

    (void)state;
    add_part(&idx, 0, 0, PART, 0);
    assert_int_equal(index_begin_at_key(&idx), 0); /* none at all: all stays */
    assert_int_equal(idx.n, PART);
    idx.packets[3].flags = PACKET_KEY;
    idx.packets[4].pts = idx.packets[3].pts - STEP; /* shown before, decoded after */
    assert_int_equal(index_begin_at_key(&idx), 4);
    assert_int_equal(idx.n, PART - 3);
    assert_int_equal(idx.packets[0].pts, 3 * STEP);
    assert_true(idx.packets[1].flags & PACKET_HIDDEN);
    assert_false(idx.packets[2].flags & PACKET_HIDDEN);
    media_index_release(&idx);
}

static const struct kind_row {
    const char *name;
    enum AVCodecID codec;
    uint8_t bytes[24];
    enum keyframe_kind want;
} kinds[] = {
    {"H.264 IDR",                                                                AV_CODEC_ID_H264,       { 0, 0, 1, 0x65, 0x88 },                                                    KEYFRAME_SAFE    },
    { "H.264 I",                                                                 AV_CODEC_ID_H264,       { 0, 0, 1, 0x41, 0x88 },                                                    KEYFRAME_DOUBTFUL},
    { "H.264 P",                                                                 AV_CODEC_ID_H264,       { 0, 0, 1, 0x41, 0x9a },                                                    KEYFRAME_NOT     },
    { "H.264 P that recovers",
     AV_CODEC_ID_H264,                                                                                   { 0, 0, 1, 6, 6, 1, 0xc4, 0x80, 0, 0, 1, 0x41, 0x9a, 1 },
     KEYFRAME_UNSAFE                                                                                                                                                                                  },
    { "H.264 P that recovers, behind a message with a byte against start codes",
     AV_CODEC_ID_H264,                                                                                   { 0, 0, 1, 6, 5, 3, 0, 0, 3, 1, 6, 1, 0xc4, 0x80, 0, 0, 1, 0x41, 0x9a, 1 },
     KEYFRAME_UNSAFE                                                                                                                                                                                  },
    { "H.264 that recovers later",
     AV_CODEC_ID_H264,                                                                                   { 0, 0, 1, 6, 6, 1, 0x64, 0x80, 0, 0, 1, 0x41, 0x9a, 1 },
     KEYFRAME_DOUBTFUL                                                                                                                                                                                },
    { "H.264 that recovers not exactly",
     AV_CODEC_ID_H264,                                                                                   { 0, 0, 1, 6, 6, 1, 0x84, 0x80, 0, 0, 1, 0x41, 0x9a, 1 },
     KEYFRAME_DOUBTFUL                                                                                                                                                                                },
    { "H.264 without a picture",                                                 AV_CODEC_ID_H264,       { 0, 0, 1, 0x67, 0x42 },                                                    KEYFRAME_UNKNOWN },
    { "HEVC CRA",                                                                AV_CODEC_ID_HEVC,       { 0, 0, 1, 0x2a, 1, 0xac },                                                 KEYFRAME_SAFE    },
    { "HEVC TRAIL",                                                              AV_CODEC_ID_HEVC,       { 0, 0, 1, 2, 1, 0xd0 },                                                    KEYFRAME_NOT     },
    { "MPEG-2 I",                                                                AV_CODEC_ID_MPEG2VIDEO, { 0, 0, 1, 0, 0, 0x0f },                                                    KEYFRAME_SAFE    },
    { "MPEG-2 B",                                                                AV_CODEC_ID_MPEG2VIDEO, { 0, 0, 1, 0, 0, 0x1f },                                                    KEYFRAME_NOT     },
    { "MPEG-4 I",                                                                AV_CODEC_ID_MPEG4,      { 0, 0, 1, 0xb6, 0x10 },                                                    KEYFRAME_SAFE    },
    { "MPEG-4 P",                                                                AV_CODEC_ID_MPEG4,      { 0, 0, 1, 0xb6, 0x50 },                                                    KEYFRAME_NOT     },
    { "VP8 key",                                                                 AV_CODEC_ID_VP8,        { 0x10 },                                                                   KEYFRAME_SAFE    },
    { "VP8 inter",                                                               AV_CODEC_ID_VP8,        { 0x11 },                                                                   KEYFRAME_NOT     },
    { "VP9 key",                                                                 AV_CODEC_ID_VP9,        { 0x82, 0x49 },                                                             KEYFRAME_SAFE    },
    { "VP9 inter",                                                               AV_CODEC_ID_VP9,        { 0x86, 0 },                                                                KEYFRAME_NOT     },
    { "AV1 key",                                                                 AV_CODEC_ID_AV1,        { 0x12, 0, 0x0a, 1, 0, 0x32, 4, 0x10, 0 },                                  KEYFRAME_SAFE    },
    { "AV1 key of which more comes",
     AV_CODEC_ID_AV1,                                                                                    { 0x32, 0xff, 0x7f, 0x10, 0 },
     KEYFRAME_SAFE                                                                                                                                                                                    },
    { "AV1 key that isn't shown",                                                AV_CODEC_ID_AV1,        { 0x12, 0, 0x32, 4, 0x00, 0 },                                              KEYFRAME_NOT     },
    { "AV1 inter",                                                               AV_CODEC_ID_AV1,        { 0x12, 0, 0x32, 4, 0x30, 0 },                                              KEYFRAME_NOT     },
    { "AV1 shown again",                                                         AV_CODEC_ID_AV1,        { 0x12, 0, 0x1a, 1, 0x80 },                                                 KEYFRAME_NOT     },
    { "AV1 still",                                                               AV_CODEC_ID_AV1,        { 0x0a, 2, 0x18, 0, 0x32, 1, 0x80 },                                        KEYFRAME_SAFE    },
    { "AV1 without a frame",                                                     AV_CODEC_ID_AV1,        { 0x12, 0, 0x0a, 1, 0 },                                                    KEYFRAME_UNKNOWN },
};

static void packets_tell_what_they_are(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
        const AVCodecParameters par = { .codec_id = kinds[i].codec };
        enum keyframe_kind kind = keyframe_kind(&par, kinds[i].bytes, sizeof(kinds[i].bytes));

        if (kind != kinds[i].want)
            fail_msg("%s: %d", kinds[i].name, (int)kind);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_joined_goes_on),
        cmocka_unit_test(a_wrong_stamp_moves_nothing),
        cmocka_unit_test(where_few_have_a_time_the_second_part_begins_at_the_end_of_the_first),
        cmocka_unit_test(elsewhere_what_jumps_is_meant),
        cmocka_unit_test(what_comes_before_a_keyframe_is_left_out),
        cmocka_unit_test(packets_tell_what_they_are),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
