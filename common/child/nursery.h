/* nursery.h - where children come from, for whole programs.
 *
 * A nest (nest.h) with a thread of its own: a child dies with the thread that
 * started it, so those who run jobs on passing threads need one that stays.
 * Any thread may call nursery_take().
 */
#ifndef GOPMILL_CHILD_NURSERY_H
#define GOPMILL_CHILD_NURSERY_H

struct child;
struct err;
struct nursery;

/* The libraries are loaded from now on, not when the first child is asked for.
 * -ENOMEM or -EAGAIN with ERR_RESOURCE. */
int nursery_new(struct nursery **ret, struct err *err);

/* Nobody may be in nursery_take(), and whoever has taken a child must be done with it: it dies
 * now. NULL is a no-op. */
void nursery_free(struct nursery *n);

/* A live child, the caller's, as of child_start_humble(); its errors, too. */
int nursery_take(struct nursery *n, int nice, struct child **ret, struct err *err);

#endif
