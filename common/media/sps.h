/* sps.h - the first fields of a sequence parameter set. Internal to
 * common/media.
 */
#ifndef GOPMILL_MEDIA_SPS_H
#define GOPMILL_MEDIA_SPS_H

#include <stddef.h>
#include <stdint.h>

struct bitstream_facts;

/* `p` is the NAL unit with its header, of H.264 (`avc`) or HEVC. Of one that is
 * cut off, what is missing reads as 0. */
void sps_read(const uint8_t *p, size_t n, int avc, struct bitstream_facts *ret);

#endif
