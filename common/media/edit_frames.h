/* edit_frames.h - the pictures that an edited source shows, one by one: pure
 * functions, no libavformat.
 */
#ifndef GOPMILL_MEDIA_EDIT_FRAMES_H
#define GOPMILL_MEDIA_EDIT_FRAMES_H

#include "index.h"

struct media_info;

struct edit_frame {
    int64_t pts;   /* presented, video's time base; rising */
    size_t packet; /* in the index; several frames in a row may have the same */
};

enum { EDIT_FRAMES_MAX = 50000000 };

/* What info->edits make of the pictures of video. An edit shows the picture that its media time
 * lies in from its start on; a picture stays until the next one. One that stands still for long
 * is shown anew each second, so that there are places to cut at. *ret_end: where the last edit
 * ends, or the last picture does before. Free *ret.
 * -ENOMEM; -E2BIG: more than EDIT_FRAMES_MAX. */
int edit_frames(const struct media_info *info, const struct media_index *idx,
                struct edit_frame **ret, size_t *ret_n, int64_t *ret_end);

/* A time of edits on video's own scale. */
int64_t edit_ticks(const struct media_info *info, int64_t at);

#endif
