/* prime.h - what a decoder is told once, by a stream's first packet, and has to be told
 * again wherever it begins.
 *
 * Early x264 wrote some things otherwise than H.264 has them, and libavcodec decodes these
 * as they were meant if it knows which build it was: pictures of 4:4:4 before build 151,
 * direct prediction before build 34. An SEI message says so, in the first access unit only.
 */
#ifndef GOPMILL_MEDIA_PRIME_H
#define GOPMILL_MEDIA_PRIME_H

#include <libavcodec/avcodec.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct reader;
struct video_info;

/* Which build of x264 a packet of H.264 says it is of, as far as its bytes are there; 0: it says
 * nothing. */
int prime_build(const AVCodecParameters *par, const uint8_t *p, size_t n);

/* Whether decoders have to know that one. */
int prime_is_needed(const struct video_info *v, int build);

/* Where the source needs that, and `r` was just opened: give the decoder the stream's first
 * packet, and throw away what comes of it. Both are to go elsewhere then. 0 or negative. */
int prime_decoder(struct reader *r, AVCodecContext *dec, struct err *err);

#endif
