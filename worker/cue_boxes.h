/* cue_boxes.h - a sample of WebVTT in MP4 (wvtt, ISO/IEC 14496-30, 7.4), box by box. Pure
 * functions over hostile bytes.
 */
#ifndef GOPMILL_WORKER_CUE_BOXES_H
#define GOPMILL_WORKER_CUE_BOXES_H

#include "webvtt.h"

struct cue_box {
    const uint8_t *payload; /* of the sample; not terminated */
    size_t size;
    char settings[CUE_SETTINGS_MAX];
};

/* The next cue (vttc) that says something, from *at on, which is moved behind it. 1; 0: there is
 * none (an empty cue, vtte, is none); -EINVAL: a box is cut off. */
int cue_box_next(const uint8_t **at, const uint8_t *end, struct cue_box *ret);

#endif
