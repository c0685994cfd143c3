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

#endif
