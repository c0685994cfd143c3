/* Which builds of x264 a decoder has to be told of. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/media/prime.h"
#include "common/wire/media_info.h"

#define SEI     "\x00\x00\x01\x06\x05\x20"
#define SLICE   "\x00\x00\x01\x65\x88\x84"
#define TEXT(s) s, sizeof(s) - 1

static const struct build_row {
    const char *name;
    enum AVCodecID codec;
    const char *p;
    size_t n;
    int build;
} builds[] = {
    {"today's",                       AV_CODEC_ID_H264, TEXT(SEI "x264 - core 164 r3095" SLICE),           164},
    { "behind another unit",          AV_CODEC_ID_H264, TEXT("\x00\x00\x01\x09\xf0" SEI "x264 - core 88"),
     88                                                                                                       },
    { "behind the first slice",       AV_CODEC_ID_H264, TEXT(SLICE SEI "x264 - core 88"),                  0  },
    { "in a unit that is no SEI",     AV_CODEC_ID_H264, TEXT("\x00\x00\x01\x0cx264 - core 88"),            0  },
    { "another encoder's",            AV_CODEC_ID_H264, TEXT(SEI "x265 - core 88" SLICE),                  0  },
    { "cut off before its number",    AV_CODEC_ID_H264, TEXT(SEI "x264 - core "),                          0  },
    { "a number that is none",        AV_CODEC_ID_H264, TEXT(SEI "x264 - core -5"),                        0  },
    { "a number that would overflow", AV_CODEC_ID_H264, TEXT(SEI "x264 - core 9999999999999"),
     99999                                                                                                    },
    { "nothing",                      AV_CODEC_ID_H264, TEXT(""),                                          0  },
    { "HEVC that says so",            AV_CODEC_ID_HEVC, TEXT(SEI "x264 - core 88"),                        0  },
};

static void a_build_is_read_from_the_first_packet(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(builds) / sizeof(*builds); i++) {
        const AVCodecParameters par = { .codec_id = builds[i].codec };
        int build = prime_build(&par, (const uint8_t *)builds[i].p, builds[i].n);
        if (build != builds[i].build)
            fail_msg("%s: %d", builds[i].name, build);
    }
}

static const struct need_row {
    const char *name, *pix_fmt;
    int build, is;
} needs[] = {
    {"4:4:4 before 151",          "yuv444p",     150, 1},
    { "4:4:4 of ten bits",        "yuv444p10le", 100, 1},
    { "RGB",                      "gbrp",        150, 1},
    { "4:4:4 from 151 on",        "yuv444p",     151, 0},
    { "4:4:4 of whoever",         "yuv444p",     0,   0},
    { "4:2:0 before 151",         "yuv420p",     150, 0},
    { "4:2:0 before 34",          "yuv420p",     33,  1},
    { "4:2:2 from 34 on",         "yuv422p",     34,  0},
    { "grey",                     "gray",        150, 0},
    { "pixels that nobody knows", "",            150, 0},
};

static void only_builds_that_decode_otherwise_need_it(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(needs) / sizeof(*needs); i++) {
        struct video_info v = { 0 };
        strcpy(v.pix_fmt, needs[i].pix_fmt);
        if (prime_is_needed(&v, needs[i].build) != needs[i].is)
            fail_msg("%s", needs[i].name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_build_is_read_from_the_first_packet),
        cmocka_unit_test(only_builds_that_decode_otherwise_need_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
