/* sched.h - whose turn it is: of all tasks that wait, which goes next. A pure
 * data structure: no I/O, no clock, one thread at a time.
 *
 * Higher priority goes first. Within a priority tenants take turns by what
 * they have had: each has a virtual time that grows by the predicted cost of
 * what was picked of it, and the least goes first; one that comes back after
 * a pause starts where the others are, so that nobody saves up. Within a
 * tenant jobs go by age, within a job tasks by number. Picking is O(log n) of
 * tenants and jobs.
 */
#ifndef GOPMILL_DISPATCHER_SCHED_H
#define GOPMILL_DISPATCHER_SCHED_H

#include <stddef.h>
#include <stdint.h>

enum { SCHED_PRIORITIES = 10 };

struct sched;
struct sched_job; /* a job in it; owned by it until sched_remove() */

struct sched *sched_new(void); /* NULL: out of memory */
void sched_free(struct sched *s);

/* A job of `n` tasks, none of which waits yet. `owner` is what sched_pick()
 * returns; `tenant` is copied. The lower `age` is the older. -ENOMEM. */
int sched_add(struct sched *s, void *owner, unsigned priority, const char *tenant, int64_t age,
              size_t n, struct sched_job **ret);
void sched_remove(struct sched *s, struct sched_job *j); /* NULL is a no-op */

/* Task `i` waits, but not before that moment (0: at once). Waiting twice is once. */
void sched_wait(struct sched *s, struct sched_job *j, size_t i, int64_t not_before_ms);
/* It doesn't any more. A no-op where it didn't. */
void sched_leave(struct sched *s, struct sched_job *j, size_t i);

/* Those whose back-off has ended may go. */
void sched_due(struct sched *s, int64_t now_ms);
/* 1: the next task, which waits no longer; 0: none may go now. */
int sched_pick(struct sched *s, void **ret_owner, size_t *ret_i);
/* What was picked of this job costs so much of its tenant's share. */
void sched_charge(struct sched *s, struct sched_job *j, double cost);

int64_t sched_next(const struct sched *s); /* when the next back-off ends; INT64_MAX: none */
size_t sched_ready(const struct sched *s); /* tasks that may go */

/* About how many jobs are served before this one: those of higher priority
 * and, of each other tenant, as many as of its own go before it. -1: none of
 * its tasks waits. O(tenants + the tenant's jobs). */
int64_t sched_position(const struct sched *s, const struct sched_job *j);

/* What of a job isn't done yet, in predicted core-seconds, handed out or not. */
void sched_work(struct sched *s, struct sched_job *j, double work);
/* About how much of others is done before this job is: all of higher priority,
 * its tenant's older jobs, of each other tenant as much as of its own up to
 * this job's end, and what was handed out before. O(tenants + the tenant's jobs). */
double sched_ahead(const struct sched *s, const struct sched_job *j);

#endif
