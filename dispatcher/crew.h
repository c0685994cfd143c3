/* crew.h - what the dispatcher knows of each worker's attempts, and who of them stands out.
 *
 * A worker is suspect by evidence, not by counts: what failed on it must have been done by
 * others. Failures of one source count once, so an upload that crashes every decoder is nobody's
 * fault; it is suspect when what it failed of three sources was done elsewhere, and it did
 * hardly anything else. What a store refused counts by bucket: three tasks that it could not
 * read or write where others could. All within half an hour.
 *
 * Pure and in memory; a dispatcher that starts knows nothing yet. Not thread-safe; the clock is
 * the caller's (CLOCK_MONOTONIC).
 */
#ifndef GOPMILL_DISPATCHER_CREW_H
#define GOPMILL_DISPATCHER_CREW_H

#include <stddef.h>
#include <stdint.h>

#include "../common/base/err.h"

struct crew;

/* NULL: out of memory. */
struct crew *crew_new(void);
void crew_free(struct crew *c); /* NULL is a no-op */

/* A worker's number, from 1, made where it isn't known; 0: no id, or no memory. A number may be
 * another worker's once there were thousands. */
unsigned crew_number(struct crew *c, const char *worker, int64_t now_ns);
/* "?" for 0. Valid until the next call of crew_number(). */
const char *crew_name(const struct crew *c, unsigned number);

struct crew_outcome {
    unsigned worker;
    const char *source; /* URL of the upload */
    const char *task;   /* unique in the farm: job and id */
    const char *stores; /* where is read and written: the buckets */
    enum err_class cls; /* ERR_NONE: done */
};
/* An attempt ended. Canceled ones say nothing. */
void crew_note(struct crew *c, const struct crew_outcome *o, int64_t now_ns);

/* A worker that is to be quarantined, and why in words; 0: nobody. */
unsigned crew_suspect(struct crew *c, int64_t now_ns, char *why, size_t size);

/* It is in quarantine from now on, and not suspected for as long. */
void crew_quarantine(struct crew *c, unsigned worker);
int crew_is_quarantined(const struct crew *c, unsigned worker);
/* It is suspect but has to go on: not named again for ten minutes. */
void crew_spare(struct crew *c, unsigned worker, int64_t now_ns);
/* The quarantine is over, and all that was held against it forgotten. Also by a success. */
void crew_release(struct crew *c, unsigned worker);

/* A heartbeat says that it takes tasks (or not). 1: it ought to be in quarantine, and doesn't know
 * it. Not at once: its trial may just have ended that. */
int crew_ignores_quarantine(struct crew *c, unsigned worker, int takes, int64_t now_ns);

#endif
