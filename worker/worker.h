/* worker.h - leases tasks from a queue and runs each in a child.
 *
 * One thread a slot: it consumes a task, starts (or takes a ready) child,
 * serves its reads from a block cache shared by all slots, hands its
 * segments to uploaders, publishes the result, then acks the task. A worker
 * keeps no state that outlives its process.
 *
 * A worker takes no task that its memory has no room for at the moment (who
 * came first is served first), and none while its disk or memory run short:
 * it says so in its heartbeat, and hands back, one every few seconds, what
 * its queue delivered ahead. One that the dispatcher has put into quarantine
 * (wire/event.h) leases nothing for a while, then one task as a trial. A task
 * that failed here before is left to another worker, where there is one.
 * All this but the memory limit is for workers with `events`.
 *
 * With `events`, it tells the farm of itself (wire/event.h): a heartbeat
 * every 5 s and whenever a task begins or ends; and it listens: tasks of a
 * job that was canceled are ended at once, and it drains when it is told to.
 * A task delivered a second time while another live worker says that it runs
 * it waits here for that one's end instead of being encoded twice; one that this
 * very worker still runs (its connection was lost in between) is joined with it.
 *
 * With GOPMILL_NO_RLIMIT in the environment children get no memory limit:
 * for builds whose sanitizers map terabytes of addresses.
 */
#ifndef GOPMILL_WORKER_WORKER_H
#define GOPMILL_WORKER_WORKER_H

#include <stddef.h>
#include <stdint.h>

struct err;
struct nursery;
struct queue;
struct store_env;
struct task;
struct worker;

struct worker_config {
    struct queue *queue;      /* borrowed */
    struct store_env *stores; /* borrowed; NULL: file:// only */
    struct nursery *nursery;  /* borrowed; NULL: one of its own */
    const char *id;           /* unique in the farm; copied */
    unsigned slots;           /* at least 1 */
    int nice;                 /* added to children's niceness */
    size_t cache_bytes;       /* of the source block cache; 0: 64 MiB */
    uint64_t memory_bytes;    /* that all children together may be predicted to need; 0: no limit */
    unsigned uploads;         /* objects stored at once by each slot; 0: 4 */
    int events;               /* see above; 0: a worker inside `gopmill run`, never quarantined */
    const char *disk; /* a path on the file system that must have room; copied; NULL: none */
    int settle_ms;    /* a redelivered task is not begun before the worker has listened for
                       * so long, to hear who runs it; 0: 6000 */

    /* Told about running tasks, on slot threads; may be NULL. `done` is
     * frames for video, ms of sound for audio. */
    void (*on_progress)(void *arg, unsigned slot, const struct task *t, uint64_t done);
    void (*on_end)(void *arg, unsigned slot, const struct task *t, int r);
    void *arg;
};

int worker_start(const struct worker_config *cfg, struct worker **ret, struct err *err);

/* No new task; running ones go on. Any thread. */
void worker_drain(struct worker *w);
int worker_draining(const struct worker *w); /* also: because it was told to by an event */
int worker_leases(
    const struct worker *w); /* 0: not now (quarantined, hindered), or never again (drained,
                              * killed): the queue's owner has to stop() QUEUE_TASKS,
                              * and to resume() it when this is 1 again */
unsigned worker_running(struct worker *w); /* tasks in hand at the moment, also those that wait */

/* What it works with is away, for that reason: it takes no task until this is called again with
 * "". Any thread. */
void worker_hinder(struct worker *w, const char *why);

/* Kill running children. Their tasks are handed back: by a result of class
 * ERR_CANCELED and an ack, which costs no attempt and no delivery; by a reject where the
 * result can't be sent within seconds. */
void worker_kill(struct worker *w);

/* Wait for the slots to end (after drain, kill, or a closed queue), free. */
void worker_free(struct worker *w);

#endif
