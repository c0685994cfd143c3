/* desk.h - what a worker's slots have in hand, and what it knows of the rest
 * of the farm: who may lease, whether a task is run, awaited or refused.
 * Private to worker/. Every function may be called by any thread; those with
 * a slot's number by that slot's own thread, unless said otherwise.
 *
 *              ┌─▶ answered (canceled, too large)
 *   delivered ─┼─▶ waits: another has it, or memory is short ─┐
 *              └─▶ in hand ◀──────────────────────────────────┘
 *                    └─▶ ended: told (its result is out) or not
 *
 * Lock order: a slot's lock, then the desk's.
 */
#ifndef GOPMILL_WORKER_DESK_H
#define GOPMILL_WORKER_DESK_H

#include <stddef.h>
#include <stdint.h>

#include "../common/base/err.h"

struct desk;
struct heartbeat;
struct machine;
struct queue;
struct task;

/* Since its message was taken, a task ends within so long. RabbitMQ takes back what isn't settled
 * within half an hour; what is left of that is for uploads and the result. */
enum { ENDED_WITHIN_MS = 26 * 60 * 1000 };

struct desk_config {
    const char *id; /* of the worker; borrowed */
    unsigned slots;
    uint64_t memory_bytes; /* 0: no limit */
    int events;            /* it hears of the farm, and can be quarantined */
    int settle_ms;         /* see desk_admit() */
    int hold_ms;           /* the same; 0: four minutes */
    struct queue *queue;   /* borrowed: since when is it connected? */
};

/* NULL: out of memory. */
struct desk *desk_new(const struct desk_config *cfg);
void desk_free(struct desk *d); /* NULL is a no-op */

/* ---- the worker's mode ---- */

enum desk_mode { DESK_OPEN, DESK_DRAINING, DESK_KILLED };
void desk_raise(struct desk *d, enum desk_mode mode); /* only ever rises */
enum desk_mode desk_mode_now(struct desk *d);

/* Whether a slot may ask the queue for a task: 0; -EAGAIN: not now, asked
 * again after at most a moment, which was waited here; -ESHUTDOWN: never
 * more. */
int desk_may_lease(struct desk *d, unsigned slot);
int desk_closed(struct desk *d); /* it takes none: drained and killed for ever, or quarantined */

/* No more tasks for `seconds`, for that reason; then one, as a trial, by slot 0: done, the
 * quarantine is over; failed, it is twice as long. Again while it lasts: nothing but the reason. */
void desk_quarantine(struct desk *d, const char *why, unsigned seconds);
void desk_release(struct desk *d); /* the quarantine is over */

/* Messages that slots have and did not settle yet. */
unsigned desk_in_hand(struct desk *d);

/* ---- a task ---- */

enum desk_verdict {
    DESK_RUN,     /* it is in hand now; ended by desk_leave() */
    DESK_ACK,     /* its result is out: the message is settled */
    DESK_REQUEUE, /* somebody else may have it, and this worker doesn't wait any more */
    DESK_ANSWER,  /* publish *ret_why as its result, then desk_told() and ack */
};

/* What to do with a task that was delivered for the `deliveries`-th time.
 * Waits while another slot runs it, or (a redelivered one) another worker,
 * and until there is memory. A worker that has listened for less than
 * settle_ms since it was connected doesn't believe that nobody has it. With
 * events it waits for hold_ms at most, so that no broker takes the message
 * back: one that another still runs is DESK_ACK then (whoever has it answers
 * for it, or the dispatcher misses it), one without memory DESK_ANSWER. `t` is
 * borrowed until desk_leave() or, not in hand, desk_settled(). */
enum desk_verdict desk_admit(struct desk *d, unsigned slot, const struct task *t,
                             unsigned deliveries, struct err *ret_why);

/* Its child runs: heartbeats say from now on that this worker has the task, for as long as the
 * task may take and not longer. */
void desk_begun(struct desk *d, unsigned slot);

/* Nothing of it could be begun, for a reason that is this machine's and may pass: no task is
 * leased for `ms`, heartbeats say why. */
void desk_cannot(struct desk *d, const char *why, int ms);

/* What it works with is away: no task is leased and none is kept that was delivered ahead, until
 * this is said again with "". */
void desk_put_store(struct desk *d, const char *why);

/* Why the task in hand is to be ended early. Any thread. */
enum desk_ending { DESK_GO_ON, DESK_JOB_CANCELED, DESK_WORKER_KILLED };
enum desk_ending desk_ending(struct desk *d, unsigned slot);

void desk_progress(struct desk *d, unsigned slot, uint64_t done);

struct desk_outcome {
    enum err_class cls; /* ERR_NONE: done */
    int told;           /* a result of it was published */
    double cpu_s;
    uint64_t bytes_in, bytes_out;
    const char *engine; /* borrowed; NULL or "": not known */
};

/* The task is no longer in hand. 1: it was a trial, and ended a quarantine. */
int desk_leave(struct desk *d, unsigned slot, const struct desk_outcome *o);

/* After DESK_ANSWER: a result was published. */
void desk_told(struct desk *d, unsigned slot);

/* The message is settled, after whichever verdict: the slot is empty. */
void desk_settled(struct desk *d, unsigned slot);

/* ---- what is heard ---- */

void desk_hear_canceled(struct desk *d, const char *job); /* then look at desk_ending() */
void desk_hear_revived(struct desk *d, const char *job);  /* queued again, planned again */
void desk_hear_done(struct desk *d, const char *job, const char *task, unsigned attempt);
void desk_hear_worker(struct desk *d, const struct heartbeat *h);

/* ---- what is told ---- */

/* How the machine is, and why no task is to be taken ("": no reason). While
 * there is one, what the queue delivered ahead is handed back, slowly. */
void desk_put_machine(struct desk *d, const struct machine *m, const char *reason);

/* 1 where tasks began or ended, or the state changed, since the last heartbeat. */
int desk_news(struct desk *d);

/* Fill *ret (heartbeat_release()) but for host and started_ms. -ENOMEM. */
int desk_heartbeat(struct desk *d, struct heartbeat *ret);

#endif
