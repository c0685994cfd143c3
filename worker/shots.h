/* shots.h - single frames of a source, decoded from the keyframes that a plan
 * names. Runs in a child.
 *
 * A keyframe costs one picture; a frame in a GOP those before it that it may
 * refer to, once for all shots of that GOP.
 */
#ifndef GOPMILL_WORKER_SHOTS_H
#define GOPMILL_WORKER_SHOTS_H

#include "../common/wire/task.h"

#include <libavutil/frame.h>

struct err;
struct inside;
struct shots;

/* Takes the frame of shot `i`; borrowed. Where it could not be had, that is
 * one near it, and `missed` is set; `f` is NULL where nothing was decoded yet. */
typedef int (*shot_emit)(void *arg, size_t i, AVFrame *f, int missed, struct err *err);

/* `list` (rising pts; borrowed) in order; all of it is progress of `length_ms`. */
int shots_run(struct inside *in, const struct media_info *info, const struct shot *list, size_t n,
              int64_t length_ms, shot_emit emit, void *arg, struct err *err);

#endif
