/* sei.h - the messages of an SEI unit of H.264 (7.3.2.3) or HEVC (7.3.2.4). Internal to
 * common/media.
 */
#ifndef GOPMILL_MEDIA_SEI_H
#define GOPMILL_MEDIA_SEI_H

#include <libavcodec/codec_id.h>
#include <stddef.h>
#include <stdint.h>

struct sei {
    const uint8_t *p, *end; /* what is left; borrowed */
    unsigned zeros;         /* that were read last */
};

struct sei_message {
    unsigned type; /* payloadType, H.264 D.1, HEVC D.2 */
    int is_cut;    /* its end isn't there */
    size_t n;      /* bytes of `body` */
    /* Its first ones, without those that keep start codes out of a unit (H.264 7.4.1). */
    uint8_t body[256];
};

/* Of a unit with its header. */
struct sei sei_of(enum AVCodecID codec, const uint8_t *unit, size_t n);

/* The next message, as far as its bytes are there; 0: no more. */
int sei_next(struct sei *s, struct sei_message *ret);

#endif
