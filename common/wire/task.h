/* task.h - one unit of work, all that a worker needs to know.
 *
 * On the wire: JSON, `"v":1`, on the queue gopmill.tasks; at most
 * QUEUE_BODY_MAX bytes. Unknown fields are ignored, a higher `v` refused.
 */
#ifndef GOPMILL_WIRE_TASK_H
#define GOPMILL_WIRE_TASK_H

#include "plan.h"

/* The last two make extras, each all of its kind. */
enum task_kind { TASK_VIDEO, TASK_AUDIO, TASK_TEXT, TASK_PICTURES };

/* Whether the package is whole without what a task of that kind makes. */
static inline int task_kind_is_extra(enum task_kind k)
{
    return k >= TASK_TEXT;
}
/* What the task makes a rendition of `kind`. */
enum task_kind task_kind_of(enum media_kind kind);
/* The kind by a task's id, the first letter of which tells it. */
enum task_kind task_kind_by_id(const char *id);

enum { TASK_AVOID_MAX = 4, TASK_WORKER_MAX = 256 /* bytes of a worker's id */ };

struct task {
    char *job, *id; /* id: unique in the job, "v-0003-0" (chunk, group), "a-0" (track), "t-0"
                     * (text) or "p-0" (pictures) */
    enum task_kind kind;
    unsigned attempt;       /* from 1 */
    char *source;           /* URL; file:///abs/path here */
    char *etag;             /* every read must be of this object */
    char *output;           /* prefix URL of the package */
    char *video_codec_hint; /* source codec, for the log; may be NULL */

    unsigned group; /* video: index of the task group; audio, not on the wire: the track */
    struct rendition *renditions;
    size_t n_renditions;
    char *only;                  /* name of the one rendition to be made, the others are there and
                                  * only scaled where its pictures come from theirs; NULL: all */
    char *avoid[TASK_AVOID_MAX]; /* ids of workers that it failed on: they leave it to others where
                                  * there are any */
    size_t n_avoid;
    struct media_info info; /* what the probe found: stream numbers, tb, rotation …; `audio` is the
                             * track that the task is of */
    int64_t origin;         /* as in the plan */
    uint32_t timescale;
    struct chunk chunk; /* video only */

    int64_t *audio_cuts; /* audio and text: nominal segment starts in 1/timescale */
    size_t n_audio_cuts;
    int64_t timeline_end; /* all but video: where the timeline ends, 1/timescale */

    double cost;           /* predicted core-seconds */
    uint64_t memory_bytes; /* predicted peak */
    int64_t deadline_ms;   /* longest wall time for the attempt */
    int64_t stall_ms;      /* longest time without a frame */
};

void task_release(struct task *t);
json_t *task_to_json(const struct task *t);
int task_from_json(const json_t *j, struct task *ret, struct err *err);
int task_from_text(const char *text, size_t len, struct task *ret, struct err *err);

/* Whether rendition `i` is to be made. */
int task_makes(const struct task *t, size_t i);

/* "video/<rendition>/seg-00001.m4s" (number from 1) or ".../init.mp4" for
 * number 0; audio likewise. Text: "text/<name>/seg-00001.vtt", and all of it
 * for 0, "all.vtt". "poster.jpg" is its number 0; "storyboard/index.vtt" the
 * storyboard's, before "sheet-00001.jpg". Allocated; NULL: out of memory. */
char *segment_key(enum media_kind kind, const char *rendition, unsigned number);

#endif
