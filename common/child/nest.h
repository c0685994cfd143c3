/* nest.h - a process that has loaded the codec libraries, and forks children.
 *
 * Loading them takes 90 ms of a processor, more than many a chunk of a short clip
 * takes to encode; a fork takes 3. The nest is gopmill-child itself, as
 * it stands before it is jailed and before it has seen a byte of any job. It
 * never sees one: its children do, each a single job, as if it had been started anew.
 * What they lose by it: their libraries lie at the same addresses.
 *
 * Belongs to one thread, whose end is that of the nest and of all its children.
 */
#ifndef GOPMILL_CHILD_NEST_H
#define GOPMILL_CHILD_NEST_H

struct child;
struct err;
struct nest;

/* Nothing runs yet. NULL: out of memory. */
struct nest *nest_new(void);

/* Starts it unless it runs; where that fails nest_child() will see. */
void nest_warm(struct nest *n);

/* A child as of child_start_humble(), with its errors. Where the nest has died, or can't
 * fork, the child is started without it. */
int nest_child(struct nest *n, int nice, struct child **ret, struct err *err);

/* The children live on, as long as the thread does. NULL is a no-op. */
void nest_free(struct nest *n);

#endif
