/* nals.h - the NAL units of a packet of H.264 (ISO/IEC 14496-10, annex B and
 * 14496-15) or HEVC. Internal to common/media.
 */
#ifndef GOPMILL_MEDIA_NALS_H
#define GOPMILL_MEDIA_NALS_H

#include <libavcodec/codec_par.h>
#include <stddef.h>
#include <stdint.h>

struct nals {
    const uint8_t *p; /* what is left; borrowed */
    size_t n;
    unsigned length_size; /* 0: start codes */
};

/* With a configuration record (avcC, hvcC) units have their length before them. */
struct nals nals_of(const AVCodecParameters *par, const uint8_t *p, size_t n);

/* The next unit, as far as its bytes are there; 0: no more. */
int nals_next(struct nals *s, const uint8_t **ret, size_t *ret_n);

/* nal_unit_type of a unit (H.264 7.3.1, HEVC 7.3.1.2); 0 of an empty one. */
static inline int nals_type(enum AVCodecID codec, const uint8_t *p, size_t n)
{
    if (n == 0)
        return 0;
    return codec == AV_CODEC_ID_HEVC ? p[0] >> 1 & 0x3f : p[0] & 0x1f;
}

/* Whether units of that type hold a part of a picture (H.264 table 7-1: VCL, 1 to 5; HEVC table
 * 7-1: 0 to 31). */
static inline int nals_is_slice(enum AVCodecID codec, int type)
{
    return codec == AV_CODEC_ID_HEVC ? type <= 31 : type >= 1 && type <= 5;
}

#endif
