/* held.h - frames of sound that wait until it is known whether their stamps are to be believed.
 *
 * A stamp that is off by whole frames is a hole, or an overlap, if those that follow are off,
 * too; if the next ones aren't, the writer stamped in pairs or in bursts, and the samples are
 * contiguous. A hole goes before the first frame behind it, so that frame waits.
 */
#ifndef GOPMILL_WORKER_HELD_H
#define GOPMILL_WORKER_HELD_H

#include <libavutil/frame.h>

enum {
    HELD_MAX = 4,    /* frames; one more that is off, and all are believed */
    HELD_FRAMES = 4, /* that stand further off, in lengths of a frame, never wait */
    HELD_MS = 250,   /* … nor do those */
};

struct held {
    AVFrame *f[HELD_MAX];
    int64_t off[HELD_MAX]; /* how far on each should stand, samples, never 0 */
    size_t n;
    int64_t samples; /* of all */
};

/* Keep a reference to `f`; there is room for it. 0 or -ENOMEM. */
int held_add(struct held *h, const AVFrame *f, int64_t off);

/* Whether frames of `n_samples` that are off by this much may wait at all. */
int held_may(int64_t off, int n_samples, int rate);

/* Whether a frame that is off by this much agrees with those that wait. */
int held_agrees(const struct held *h, int64_t off);

/* How far all of them are off: by the least of them. 0: none waits. */
int64_t held_off(const struct held *h);

void held_clear(struct held *h);

#endif
