/* lineup.h - decoded frames against the frames that the plan names.
 *
 * The plan is the authority: exactly its frames leave, in its order, at its
 * times. A frame that it doesn't name is dropped; one that never comes is
 * stood in for by the frame before it (by the first one after, at the start
 * of a chunk), and both are counted. So a damaged source keeps every
 * rendition of every chunk aligned.
 */
#ifndef GOPMILL_WORKER_LINEUP_H
#define GOPMILL_WORKER_LINEUP_H

#include "../common/wire/plan.h"

#include <libavutil/frame.h>

struct err;

struct lineup {
    int64_t *pts; /* planned, source ticks, rising */
    size_t n, next;
    AVFrame *last; /* the last frame passed on; stands in for missing ones */
    uint64_t decoded, concealed, dropped;

    /* Takes one planned frame: number `i` of the chunk; `f` is borrowed, its
     * pts is pts[i]. */
    int (*emit)(void *arg, size_t i, AVFrame *f, struct err *err);
    void *arg;
};

int lineup_init(struct lineup *l, const struct chunk *c, struct err *err);
void lineup_release(struct lineup *l);

/* A decoded frame with its pts in source ticks; borrowed. */
int lineup_push(struct lineup *l, AVFrame *f, struct err *err);

/* Whether nothing has come that could stand in for what is missing. */
static inline int lineup_empty(const struct lineup *l)
{
    return l->next < l->n && !l->last->buf[0];
}

/* A picture to stand in for all, where lineup_empty(); borrowed. */
int lineup_lend(struct lineup *l, const AVFrame *f, struct err *err);
/* The same with a black one, of the plan's size and format; none where that can't be. */
int lineup_lend_black(struct lineup *l, const struct video_info *v, struct err *err);

/* The decoder has no more: frames still missing are stood in for.
 * -EINVAL with ERR_INPUT where there was no frame at all to stand in. */
int lineup_finish(struct lineup *l, struct err *err);

static inline int lineup_complete(const struct lineup *l)
{
    return l->next == l->n;
}

#endif
