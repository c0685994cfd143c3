/* joint.h - where another recording begins in a stream of HEVC, so that a decoder has to be opened
 * anew: libavcodec (5.1) keeps what the one before said in SEI messages (preferred transfer,
 * display orientation) until another message comes. Who began to decode there wouldn't know.
 */
#ifndef GOPMILL_MEDIA_JOINT_H
#define GOPMILL_MEDIA_JOINT_H

#include <libavcodec/avcodec.h>
#include <stdint.h>

struct joint {     /* zeroed: nothing was seen */
    uint32_t sets; /* a sum over the sequence parameter sets in force; 0: none was seen */
};

/* Of a packet that is fed next: 1 where it begins with other sequence parameter sets than
 * those before, and doesn't refer to what was before (IDR, BLA). */
int joint_is_at(struct joint *j, const AVCodecParameters *par, const AVPacket *pkt);

#endif
