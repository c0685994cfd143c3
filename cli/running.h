/* running.h - what each slot of the worker is at, told by its threads and
 * read by the one that draws.
 */
#ifndef GOPMILL_CLI_RUNNING_H
#define GOPMILL_CLI_RUNNING_H

#include <stddef.h>
#include <stdint.h>

struct running;

struct running *running_new(unsigned slots); /* NULL: out of memory */
void running_free(struct running *r);        /* NULL is a no-op */

/* Any thread. `task` is copied. */
void running_set(struct running *r, unsigned slot, const char *task, uint64_t done);
void running_clear(struct running *r, unsigned slot);

/* What the slot that has `task` said last; 0 where none has it. */
uint64_t running_done(struct running *r, const char *task);
unsigned running_count(struct running *r);

#endif
