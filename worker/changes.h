/* changes.h - what a chunk's pictures have that the plan doesn't say: another shape, other
 * colours, closed captions. Counted of the chunk's own pictures only, so that it doesn't matter
 * where it is cut.
 */
#ifndef GOPMILL_WORKER_CHANGES_H
#define GOPMILL_WORKER_CHANGES_H

#include "../common/media/cc_data.h"
#include "picture.h"

struct AVFrame;
struct task;
struct task_result;

struct change {
    uint64_t n;
    int64_t first;            /* pts */
    struct picture_look look; /* the first one's */
};

struct changes { /* zeroed: none */
    struct change shape, color;
    struct cc_channels channels;
    int captions; /* they say something */
};

/* A picture, at f->pts, in source ticks. */
void changes_note(struct changes *c, const struct picture_look *look, const struct AVFrame *f);

/* A warning for each kind. 0 or -ENOMEM. */
int changes_tell(const struct changes *c, const struct task *t, struct task_result *res);

#endif
