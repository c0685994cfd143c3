/* beginning.h - what can't be shown at the beginning of a video stream that was cut out
 * of another one. Internal to common/media.
 */
#ifndef GOPMILL_MEDIA_BEGINNING_H
#define GOPMILL_MEDIA_BEGINNING_H

#include "index.h"

#include <libavcodec/packet.h>

struct beginning { /* zeroed: no keyframe was seen */
    int seen;
    unsigned recovery; /* pictures from the first keyframe on that aren't whole yet */
};

struct AVCodecParameters;

/* Look at a packet: of the first keyframe what its bytes say. */
void beginning_look(struct beginning *b, struct index_packet *p,
                    const struct AVCodecParameters *par, const AVPacket *pkt);

/* Hide the pictures of an intra refresh that is under way. Returns how many that were. */
uint64_t beginning_hide(const struct beginning *b, struct media_index *idx);

#endif
