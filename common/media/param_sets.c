#include "param_sets.h"

#include "nals.h"

#include <string.h>

/* nal_unit_type: H.264 table 7-1, HEVC table 7-1. */
enum {
    H264_SPS = 7,
    H264_PPS = 8,
    HEVC_VPS = 32,
    HEVC_PPS = 34,
};

static int is_in_header(const AVCodecParameters *par, const uint8_t *p, size_t n)
{
    return par->extradata_size > 0 && memmem(par->extradata, (size_t)par->extradata_size, p, n);
}

/* Zeroes behind a unit belong to the next start code. */
static size_t without_zeroes(const uint8_t *p, size_t n)
{
    while (n > 1 && !p[n - 1])
        n--;
    return n;
}

enum param_sets param_sets_of(const AVCodecParameters *par, const uint8_t *p, size_t n)
{
    int hevc = par->codec_id == AV_CODEC_ID_HEVC;
    enum param_sets ret = PARAM_SETS_NONE;
    struct nals s = nals_of(par, p, n);
    const uint8_t *unit;
    size_t size;

    if (!hevc && par->codec_id != AV_CODEC_ID_H264)
        return PARAM_SETS_NONE;
    while (nals_next(&s, &unit, &size)) {
        int type = nals_type(par->codec_id, unit, size);
        if (size > 0 && nals_is_slice(par->codec_id, type))
            break;
        if (hevc ? type < HEVC_VPS || type > HEVC_PPS : type != H264_SPS && type != H264_PPS)
            continue;
        if (!is_in_header(par, unit, without_zeroes(unit, size)))
            return PARAM_SETS_FOREIGN;
        ret = PARAM_SETS_KNOWN;
    }
    return ret;
}
