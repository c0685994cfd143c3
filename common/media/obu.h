/* obu.h - AV1's open bitstream units: its part of bitstream.h, and the header
 * that encoders tell with their first packet.
 */
#ifndef GOPMILL_MEDIA_OBU_H
#define GOPMILL_MEDIA_OBU_H

#include <stddef.h>
#include <stdint.h>

struct AVPacket;
struct bitstream_facts;
struct err;

/* A sequence header as it stands in packets: one OBU with its size. */
struct obu_header {
    uint8_t *p; /* padded as libavcodec wants it; free() it */
    size_t n;
};

/* The one sequence header in `p`: an av1C (AV1-ISOBMFF, 2.3.3) or OBUs, a packet
 * say. -EINVAL ERR_INPUT where there is none; -ENOMEM ERR_RESOURCE. */
int obu_header_read(const uint8_t *p, size_t n, struct obu_header *ret, struct err *err);

/* Why a stream with that header isn't passed on (layers, still pictures), or NULL. */
const char *obu_obstacle(const struct obu_header *h);

void obu_facts(const struct obu_header *h, struct bitstream_facts *ret);

/* bitstream_packet() for a temporal unit of the stream whose sequence header is
 * `known`; in `to` each key frame has `told` before it and nothing else has one.
 * What is IDR there is a key frame that is shown by itself (AV1, 7.6.2):
 * nothing after it needs what was before. */
int obu_packet(const struct obu_header *known, const struct obu_header *told,
               const struct AVPacket *from, struct AVPacket *to, int *ret_idr, struct err *err);

/* Whether the first frame of a packet is a key frame that is shown by itself: 1, 0, or -1 where the
 * bytes don't tell. */
int obu_keyframe(const uint8_t *p, size_t n);

/* The next message of ITU-T T.35 (AV1, 6.7.2) of a packet, from *at on, from its country code on:
 * 1, and *at is behind it; 0: there is no more, or what is there is none. */
int obu_next_t35(const uint8_t **at, const uint8_t *end, const uint8_t **ret, size_t *ret_n);

#endif
