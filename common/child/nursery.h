/* nursery.h - children made ready before their jobs come.
 *
 * Loading the codec libraries takes a child a few dozen milliseconds, which a
 * job that somebody waits for shouldn't. A child also dies with the thread
 * that started it, so those who run jobs on passing threads need one that
 * stays: the nursery's. Any thread may call nursery_take().
 */
#ifndef GOPMILL_CHILD_NURSERY_H
#define GOPMILL_CHILD_NURSERY_H

struct child;
struct err;
struct nursery;

/* Keeps `spare` children (0 or 1) waiting from now on; with 0 each is started when it is asked
 * for. `nice` is added to their niceness, from their start: loading takes as much of a processor as
 * many a job. -ENOMEM or -EAGAIN with ERR_RESOURCE. */
int nursery_new(unsigned spare, int nice, struct nursery **ret, struct err *err);

/* Kills the one that waits. Nobody may be in nursery_take(), and whoever has taken a child must
 * be done with it: it dies now. NULL is a no-op. */
void nursery_free(struct nursery *n);

/* A live child, the caller's, as of child_start(); its errors, too. */
int nursery_take(struct nursery *n, struct child **ret, struct err *err);

#endif
