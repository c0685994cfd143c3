/* Packets that show no picture, and ones that don't begin with theirs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/media/shown.h"

enum { BYTES = 24 };

static const struct row {
    const char *name;
    enum AVCodecID codec;
    size_t n;
    uint8_t p[BYTES];
    int nothing;
} rows[] = {
    {"VP8 that is shown",                                 AV_CODEC_ID_VP8,   4,  { 0x10, 1, 2, 3 },                        0},
    { "VP8 that isn't",                                   AV_CODEC_ID_VP8,   4,  { 0x01, 1, 2, 3 },                        1},
    { "VP9 that is shown",                                AV_CODEC_ID_VP9,   4,  { 0x82, 1, 2, 3 },                        0},
    { "VP9 that isn't",                                   AV_CODEC_ID_VP9,   4,  { 0x84, 1, 2, 3 },                        1},
    { "VP9 that shows an old one",                        AV_CODEC_ID_VP9,   1,  { 0x88 },                                 0},
    { "VP9 of profile 3 that isn't shown",                AV_CODEC_ID_VP9,   4,  { 0xb0, 0, 2, 3 },                        1},
    { "a hidden and a shown one",                         AV_CODEC_ID_VP9,   8,  { 0x84, 1, 0x82, 1, 0xc1, 2, 2, 0xc1 },   0},
    { "two hidden ones",                                  AV_CODEC_ID_VP9,   8,  { 0x84, 1, 0x84, 1, 0xc1, 2, 2, 0xc1 },   1},
    { "sizes beyond the packet",                          AV_CODEC_ID_VP9,   8,  { 0x84, 1, 0x84, 1, 0xc1, 200, 2, 0xc1 }, 0},
    { "a slice",                                          AV_CODEC_ID_H264,  6,  { 0, 0, 1, 0x41, 0x9a, 1 },               0},
    { "a filler",                                         AV_CODEC_ID_H264,  6,  { 0, 0, 1, 0x0c, 0xff, 0x80 },            1},
    { "a delimiter, then a slice",
     AV_CODEC_ID_H264,                                                       11,
     { 0, 0, 1, 9, 0xf0, 0, 0, 1, 0x65, 0x88, 1 },
     0                                                                                                                      },
    { "no unit at all",                                   AV_CODEC_ID_H264,  4,  { 1, 2, 3, 4 },                           0},
    { "HEVC's prefix SEI alone",                          AV_CODEC_ID_HEVC,  6,  { 0, 0, 1, 0x4e, 1, 5 },                  1},
    { "a slice of HEVC",                                  AV_CODEC_ID_HEVC,  6,  { 0, 0, 1, 0x02, 1, 0x80 },               0},
    { "MPEG-4 that isn't coded, its layer in the packet",
     AV_CODEC_ID_MPEG4,                                                      19,
     { 0, 0, 1, 0x20, 0, 0x84, 0x40, 0x06, 0x40, 0, 0, 0, 1, 0xb6, 0x50, 0x4f },
     1                                                                                                                      },
    { "MPEG-4 that is",
     AV_CODEC_ID_MPEG4,                                                      19,
     { 0, 0, 1, 0x20, 0, 0x84, 0x40, 0x06, 0x40, 0, 0, 0, 1, 0xb6, 0x50, 0x6f },
     0                                                                                                                      },
    { "MPEG-4 of which nobody knows how long times are",
     AV_CODEC_ID_MPEG4,                                                      6,
     { 0, 0, 1, 0xb6, 0x50, 0x4f },
     0                                                                                                                      },
    { "another codec",                                    AV_CODEC_ID_MPEG4, 2,  { 0, 0 },                                 0},
};

static void what_shows_nothing_is_told(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        AVCodecParameters par = { .codec_id = rows[i].codec };
        if (packet_shows_nothing(&par, rows[i].p, rows[i].n) != rows[i].nothing)
            fail_msg("%s", rows[i].name);
    }
}

static const struct whole {
    const char *name;
    enum AVCodecID codec;
    size_t n;
    uint8_t p[BYTES];
    int is;
} wholes[] = {
    {"the first slice",                      AV_CODEC_ID_H264,       6,  { 0, 0, 1, 0x65, 0x88, 1 },    1},
    { "a later slice",                       AV_CODEC_ID_H264,       6,  { 0, 0, 1, 0x65, 0x28, 1 },    0},
    { "the rest of a slice, then a picture",
     AV_CODEC_ID_H264,                                               8,
     { 7, 7, 0, 0, 1, 0x65, 0x88, 1 },
     0                                                                                                   },
    { "a delimiter, then the first slice",
     AV_CODEC_ID_H264,                                               12,
     { 0, 0, 0, 1, 9, 0xf0, 0, 0, 1, 0x65, 0x88, 1 },
     1                                                                                                   },
    { "HEVC's first slice",                  AV_CODEC_ID_HEVC,       7,  { 0, 0, 1, 0x26, 1, 0x80, 9 }, 1},
    { "HEVC's later slice",                  AV_CODEC_ID_HEVC,       7,  { 0, 0, 1, 0x26, 1, 0x20, 9 }, 0},
    { "a sequence header",                   AV_CODEC_ID_MPEG2VIDEO, 6,  { 0, 0, 1, 0xb3, 1, 2 },       1},
    { "a picture header",                    AV_CODEC_ID_MPEG1VIDEO, 6,  { 0, 0, 1, 0, 1, 2 },          1},
    { "a slice of MPEG-2",                   AV_CODEC_ID_MPEG2VIDEO, 6,  { 0, 0, 1, 0x05, 1, 2 },       0},
    { "MPEG-4 video, from a start code on",  AV_CODEC_ID_MPEG4,      6,  { 0, 0, 1, 0xb6, 1, 2 },       1},
    { "MPEG-4 video, the rest of a picture", AV_CODEC_ID_MPEG4,      6,  { 9, 0, 0, 1, 0xb6, 1 },       0},
    { "a frame of VC-1",                     AV_CODEC_ID_VC1,        6,  { 0, 0, 1, 0x0d, 1, 2 },       1},
    { "a slice of VC-1",                     AV_CODEC_ID_VC1,        6,  { 0, 0, 1, 0x0b, 1, 2 },       0},
    { "another codec",                       AV_CODEC_ID_THEORA,     2,  { 1, 2 },                      1},
};

static void what_begins_with_its_picture_is_told(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(wholes) / sizeof(*wholes); i++) {
        AVCodecParameters par = { .codec_id = wholes[i].codec };
        if (picture_is_whole(&par, wholes[i].p, wholes[i].n) != wholes[i].is)
            fail_msg("%s", wholes[i].name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_shows_nothing_is_told),
        cmocka_unit_test(what_begins_with_its_picture_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
