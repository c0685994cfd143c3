/* spans.h - what the pictures of an edited source's chunk are shown as.
 *
 * A worker goes from span to span (struct chunk_span): each is decoded by
 * itself, and of what comes out only what the plan names is shown, when it
 * says so. Runs in a child.
 */
#ifndef GOPMILL_WORKER_SPANS_H
#define GOPMILL_WORKER_SPANS_H

#include "../common/wire/plan.h"

struct spans {
    const struct chunk *chunk; /* borrowed */
    size_t at;                 /* span under way */
    int64_t *media, *shown;    /* its times */
    size_t n_media, n_shown;
};

/* Whether there are any; where there are none nothing else here is to be called. */
static inline int spans_any(const struct spans *s)
{
    return s->chunk->n_spans > 0;
}

/* On to span `at`. 0 or -ENOMEM. */
int spans_enter(struct spans *s, size_t at);
void spans_release(struct spans *s);

/* When the picture of this media time is shown: how many times, and in *ret these. */
size_t spans_shown(const struct spans *s, int64_t media, const int64_t **ret);

/* When an edit shows what its media has from `from` to `to` (in `tb`), in ticks of `scale`. 0: not
 * at all. */
int cue_edit(const struct edit *e, AVRational scale, AVRational tb, int64_t from, int64_t to,
             int64_t *ret_start, int64_t *ret_end);

#endif
