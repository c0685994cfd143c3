/* picture_times.h - times of pictures that a source doesn't tell. Internal to
 * common/media.
 *
 * MPEG-TS and PS need one time each 0.7 s only (ISO/IEC 13818-1, 2.7.4). The others are
 * made of the order that pictures are shown in, which their order counts (H.264 8.2.1,
 * HEVC 8.3.1) tell, and of the times around them: equally far apart. Pure functions.
 */
#ifndef GOPMILL_MEDIA_PICTURE_TIMES_H
#define GOPMILL_MEDIA_PICTURE_TIMES_H

#include "index.h"

/* Of a packet. */
struct picture_order {
    int count;  /* picture order count */
    int begins; /* 1: counting begins anew */
};

/* Give a time to each shown picture of `idx` that has none, by order[i] of packet i, and mark it
 * PACKET_MADE. Where others are missing, a time that doesn't rise with the order is taken for none,
 * too, and one that leaves an even pace which the next ones are on again. A packet whose place
 * isn't known either, or whose own time isn't the one here, can't be found again: it is no
 * keyframe. `step`: from one picture to the next where no two times tell that; stream ticks, above
 * 0. *ret: how many times were made; 0 where all are there, or none is. 0, or -ENOMEM. */
int picture_times_make(struct media_index *idx, const struct picture_order *order, int64_t step,
                       uint64_t *ret);

#endif
