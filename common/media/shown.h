/* shown.h - packets that show no picture, or not all of it, told by their bytes. Internal to
 * common/media.
 */
#ifndef GOPMILL_MEDIA_SHOWN_H
#define GOPMILL_MEDIA_SHOWN_H

#include <libavcodec/codec_par.h>
#include <stddef.h>
#include <stdint.h>

/* Whether a whole packet of VP8 (RFC 6386, 9.1), VP9 (bitstream specification 0.6,
 * 6.2 and annex B) or H.264 and HEVC shows nothing: a hidden reference frame in a packet of
 * its own, or units without a slice; nor a picture of MPEG-4 that isn't coded (uncoded.h). Others
 * always show something. */
int packet_shows_nothing(const AVCodecParameters *par, const uint8_t *p, size_t n);

/* Whether a packet with start codes (annex B, MPEG-1, 2 and 4, VC-1) begins with its picture: not
 * with what remained of another one, nor with a later slice. Of other codecs, and where lengths
 * stand before units, always. */
int picture_is_whole(const AVCodecParameters *par, const uint8_t *p, size_t n);

#endif
