/* copy.h - whether a source's video could become a rendition packet by
 * packet: what has to be read for that. The decision is the planner's
 * (dispatcher/plan_copy.h).
 *
 * Runs in a child (see open.h).
 */
#ifndef GOPMILL_MEDIA_COPY_H
#define GOPMILL_MEDIA_COPY_H

#include "../wire/media_info.h"
#include "bitstream.h"
#include "index.h"

struct err;
struct inside;

enum { COPY_WHY_MAX = 256 };

struct copy_facts {
    char obstacle[COPY_WHY_MAX]; /* why its packets can't be passed on, as the end of "… is
                                  * encoded: …"; "": nothing stands against it */
    struct bitstream_facts stream;
    /* As the bitstream alone has them, whatever the container says. */
    int width, height;
    char pix_fmt[32];
    AVRational sar; /* 0/1: not said */
    struct color_info color;
};

/* Read every packet of the video stream and decode the first IDR picture. It
 * isn't enough to look at a few: a copy that turns out to be impossible in the
 * middle of a job would cost all that was made by then. Marks keyframes of
 * `idx` as PACKET_IDR, and of H.264 as PACKET_SEEN, and PACKET_UNSAFE. That the
 * source isn't fit is no failure but an obstacle. */
int media_copy_look(struct inside *in, const struct media_info *info, struct media_index *idx,
                    struct copy_facts *ret, struct err *err);

#endif
