/* nursery.h - where children come from, for whole programs.
 *
 * A nest (nest.h) with a thread of its own: a child dies with the thread that
 * started it, so those who run jobs on passing threads need one that stays.
 * Any thread may call nursery_take() and nursery_healthy().
 */
#ifndef GOPMILL_CHILD_NURSERY_H
#define GOPMILL_CHILD_NURSERY_H

#include <stddef.h>

struct child;
struct err;
struct nursery;

/* The libraries are loaded from now on, not when the first child is asked for.
 * -ENOMEM or -EAGAIN with ERR_RESOURCE. */
int nursery_new(struct nursery **ret, struct err *err);

/* Nobody may be in nursery_take(), and whoever has taken a child must be done with it: it dies
 * now. NULL is a no-op. */
void nursery_free(struct nursery *n);

/* A live child, the caller's, as of child_start_humble(); its errors, too. -ETIMEDOUT
 * (ERR_RESOURCE) where there was none within a minute: a child that still comes is ended. */
int nursery_take(struct nursery *n, int nice, struct child **ret, struct err *err);

/* Whether children can be had, as far as is known: 1; 0 with the reason in `why` where
 * one takes 20 s already, or the last one could not be started. */
int nursery_healthy(struct nursery *n, char *why, size_t size);

/* Another time limit for nursery_take(), for tests. */
void nursery_set_patience(struct nursery *n, int ms);

#endif
