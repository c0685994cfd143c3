/* param_sets.h - parameter sets of H.264 and HEVC that stand among the pictures, and
 * whether a decoder that begins at a keyframe knows those in force. Internal to
 * common/media.
 *
 * A decoder that begins has what the container says of the stream (avcC, hvcC, or the
 * stream's first sets), and what the keyframe's own packet has. Sets that came in
 * between are lost to it.
 */
#ifndef GOPMILL_MEDIA_PARAM_SETS_H
#define GOPMILL_MEDIA_PARAM_SETS_H

#include <libavcodec/codec_par.h>
#include <stddef.h>
#include <stdint.h>

enum param_sets {
    PARAM_SETS_NONE,    /* the packet has none before its first slice */
    PARAM_SETS_KNOWN,   /* all it has are the container's, too */
    PARAM_SETS_FOREIGN, /* it has others */
};

/* Of a packet, as far as its bytes are there. NONE of other codecs. */
enum param_sets param_sets_of(const AVCodecParameters *par, const uint8_t *p, size_t n);

#endif
