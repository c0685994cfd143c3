#include "encoder_parts.h"

#include <stdio.h>
#include <string.h>

static const struct encoder encoders[] = {
    {.name = "libx264",
     .codec = CODEC_H264,
     .params_key = "x264-params",
     .crf_min = 1,
     .crf_max = 51,
     .crf_default = 23,
     .preset_default = "medium",
     .min_size = 16,
     .max_threads = 2,
     .base_bytes = 15 << 20,
     .reserved = encoder_reserved_x264,
     .add = encoder_params_x264,
     .presets = { { "placebo", 600, 180 },
                   { "veryslow", 250, 180 },
                   { "slower", 140, 150 },
                   { "slow", 70, 130 },
                   { "medium", 40, 110 },
                   { "fast", 34, 90 },
                   { "faster", 24, 65 },
                   { "veryfast", 14, 45 },
                   { "superfast", 9, 28 },
                   { "ultrafast", 5, 28 } } },
    { .name = "libx265",
     .codec = CODEC_HEVC,
     .params_key = "x265-params",
     .crf_min = 1,
     .crf_max = 51,
     .crf_default = 26,
     .preset_default = "fast",
     .min_size = 16,
     .max_threads = 2,
     .base_bytes = 35 << 20,
     .reserved = encoder_reserved_x265,
     .add = encoder_params_x265,
     .presets = { { "placebo", 2500, 200 },
                   { "veryslow", 1400, 180 },
                   { "slower", 800, 160 },
                   { "slow", 230, 130 },
                   { "medium", 85, 120 },
                   { "fast", 75, 100 },
                   { "faster", 65, 100 },
                   { "veryfast", 52, 95 },
                   { "superfast", 35, 70 },
                   { "ultrafast", 25, 60 } } },
    { .name = "libaom-av1",
     .codec = CODEC_AV1,
     .params_key = "aom-params",
     .crf_integer = 1,
     .crf_min = 1,
     .crf_max = 63,
     .crf_default = 40,
     .preset_default = "6",
     .min_size = 16,
     .max_threads = 2,
     .base_bytes = 18 << 20,
     .reserved = encoder_reserved_aom,
     .add = encoder_params_aom,
     .presets = { { "0", 30000, 130 },
                   { "1", 10000, 130 },
                   { "2", 3500, 130 },
                   { "3", 1500, 130 },
                   { "4", 730, 130 },
                   { "5", 400, 120 },
                   { "6", 230, 115 } } },
    { .name = "libsvtav1",
     .codec = CODEC_AV1,
     .params_key = "svtav1-params",
     .crf_integer = 1,
     .crf_min = 1,
     .crf_max = 63,
     .crf_default = 35,
     .preset_default = "8",
     .min_size = 64,
     .max_threads = 1,
     .base_bytes = 30 << 20,
     .reserved = encoder_reserved_svt,
     .add = encoder_params_svt,
     .presets = { { "0", 20000, 130 },
                   { "1", 9000, 130 },
                   { "2", 4000, 130 },
                   { "3", 1800, 130 },
                   { "4", 700, 120 },
                   { "5", 340, 120 },
                   { "6", 190, 115 },
                   { "7", 115, 110 },
                   { "8", 70, 106 },
                   { "9", 45, 106 },
                   { "10", 30, 104 },
                   { "11", 24, 104 },
                   { "12", 19, 104 },
                   { "13", 16, 104 } } },
    { .name = "aac", .codec = CODEC_AAC},
    { .name = "libopus",                    .codec = CODEC_OPUS              },
};
enum { N_ENCODERS = sizeof(encoders) / sizeof(encoders[0]) };

const struct encoder *encoder_find(const char *name)
{
    for (size_t i = 0; i < N_ENCODERS; i++)
        if (!strcmp(encoders[i].name, name))
            return &encoders[i];
    return NULL;
}

const struct encoder *encoder_default(enum codec_id c)
{
    size_t i = 0;
    while (encoders[i].codec != c) /* each codec has a row */
        i++;
    return &encoders[i];
}

void encoder_names(enum codec_id c, char *buf, size_t len)
{
    size_t n = 0;
    *buf = '\0';
    for (size_t i = 0; i < N_ENCODERS && n < len; i++)
        if (encoders[i].codec == c)
            n += (size_t)snprintf(buf + n, len - n, "%s%s", n ? ", " : "", encoders[i].name);
}

const struct preset *encoder_preset(const struct encoder *e, const char *name)
{
    for (const struct preset *p = e->presets; p->name; p++)
        if (!strcmp(p->name, *name ? name : e->preset_default))
            return p;
    return NULL;
}
