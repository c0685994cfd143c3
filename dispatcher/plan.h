/* plan.h (dispatcher) - from an index of packets to a plan: pure functions,
 * no I/O, no clock, no libavformat.
 */
#ifndef GOPMILL_DISPATCHER_PLAN_H
#define GOPMILL_DISPATCHER_PLAN_H

#include "../common/media/index.h"
#include "../common/wire/plan.h"

struct err;

struct plan_options {
    double segment_seconds; /* 0: 6 */
    double gop_seconds;     /* 0: 2 */
    double chunk_seconds;   /* >0: this target instead of the predicted-cost rule */
    unsigned slots;         /* that will share the job; 0: 1 */
    unsigned chunk_count;   /* >0: cut into this many chunks, as near as GOPs allow (tests) */
    int early;              /* where neither chunk_seconds nor chunk_count says otherwise: the first
                             * chunk is about one segment, so that there is soon something to play */
};

/* Make the plan. `info` and `renditions` (video first) are copied; `idx` is
 * borrowed, and not looked at where no rendition is video. The same
 * arguments give the same plan.
 * -EINVAL ERR_INPUT: nothing to show ("no video frame has a timestamp"), or
 * a timeline of more than 1000 hours; ERR_USAGE: an option out of range. */
int plan_make(const struct media_info *info, const struct media_index *idx,
              const struct rendition *renditions, size_t n_renditions,
              const struct plan_options *opts, struct plan *ret, struct err *err);

/* Give the plan its extras (ladder_resolve_extras()); copied, `idx` borrowed.
 * Text is cut where sound is, or would be; pictures get their shots: a tile
 * of a storyboard shows the first keyframe of its time, or where there is none
 * the frame that is shown when that begins. Twenty thousand tiles at most:
 * more time for each rather than more of them. -ENOMEM, or -EINVAL with
 * ERR_INPUT as above. */
int plan_add_extras(struct plan *p, const struct media_index *idx, const struct rendition *extras,
                    size_t n, struct err *err);

/* The tasks of a plan, audio first ("a-0": all renditions of sound track 0; a task's `group`
 * is its track, its info.audio that track), then extras ("t-0", all text; "p-0", all
 * pictures), then by chunk and group ("v-0003-1"). `base` gives job, source, etag, output and,
 * where set, attempt and video_codec_hint; each task owns its copies. Free each with
 * task_release(), then the array with free().
 *
 * memory_bytes is what the encoders need and 150 MiB. deadline_ms is 20 times
 * the predicted cost, and 50 ms for each packet that is decoded for nothing,
 * within 1 (audio: 5) and 25 minutes, below RabbitMQ's 30; extras may have to
 * read the source from end to end and get all 25. stall_ms is 2
 * minutes, longer (at most 10) where much must be decoded before the first
 * frame. -ENOMEM with ERR_RESOURCE. */
struct task;
int plan_tasks(const struct plan *p, const struct task *base, struct task **ret, size_t *ret_n,
               struct err *err);

#endif
