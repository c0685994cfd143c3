/* Levels of H.264, HEVC and AV1, from 4.1 on. */
#include "plan_copy_levels.h"

#include <math.h>
#include <string.h>

struct level {
    int level;
    double size, size_a_second, bits; /* of pictures; bits: a second, of the main tier */
};

/* H.264, table A-1, in macroblocks; bits of Main. */
static const struct level avc_levels[] = {
    {41,  8192,   245760,  50e6 },
    { 42, 8704,   522240,  50e6 },
    { 50, 22080,  589824,  135e6},
    { 51, 36864,  983040,  240e6},
    { 52, 36864,  2073600, 240e6},
    { 60, 139264, 4177920, 240e6},
    { 61, 139264, 8355840, 480e6},
};

/* HEVC, tables A.8 and A.9, in samples. */
static const struct level hevc_levels[] = {
    {123,  2228224,  133693440,  20e6 },
    { 150, 8912896,  267386880,  25e6 },
    { 153, 8912896,  534773760,  40e6 },
    { 156, 8912896,  1069547520, 60e6 },
    { 180, 35651584, 1069547520, 60e6 },
    { 183, 35651584, 2139095040, 120e6},
};

/* AV1, A.3, in samples. */
static const struct level av1_levels[] = {
    {9,   2359296,  141557760,  20e6 },
    { 12, 8912896,  267386880,  30e6 },
    { 13, 8912896,  534773760,  40e6 },
    { 14, 8912896,  1069547520, 60e6 },
    { 16, 35651584, 1069547520, 60e6 },
    { 17, 35651584, 2139095040, 100e6},
};

/* The first that is enough; `highest` where none is. */
static int level_in(const struct level *levels, size_t n, int highest, double size,
                    const struct rendition *r)
{
    double rate = r->rate.num > 0 && r->rate.den > 0 ? av_q2d(r->rate) : 0;

    for (size_t i = 0; i < n; i++)
        if (size <= levels[i].size && size * rate <= levels[i].size_a_second &&
            (double)r->maxrate <= levels[i].bits)
            return levels[i].level;
    return highest;
}

int copy_level_enough(const struct rendition *r)
{
    double blocks = ceil(r->width / 16.0) * ceil(r->height / 16.0);
    double samples = (double)r->width * r->height;

    if (strcmp(r->codec, "h264") == 0)
        return level_in(avc_levels, sizeof(avc_levels) / sizeof(*avc_levels), 62, blocks, r);
    if (strcmp(r->codec, "hevc") == 0)
        return level_in(hevc_levels, sizeof(hevc_levels) / sizeof(*hevc_levels), 186, samples, r);
    return level_in(av1_levels, sizeof(av1_levels) / sizeof(*av1_levels), 18, samples, r);
}

double copy_level_number(const struct rendition *r, int level)
{
    if (strcmp(r->codec, "av1") == 0) {
        int major = 2 + level / 4, minor = level % 4;
        return major + minor / 10.0;
    }
    return level / (strcmp(r->codec, "h264") == 0 ? 10.0 : 30.0);
}
