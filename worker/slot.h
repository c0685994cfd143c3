/* slot.h - one slot of a worker: a thread that runs one task at a time.
 * Private to worker/.
 */
#ifndef GOPMILL_WORKER_SLOT_H
#define GOPMILL_WORKER_SLOT_H

#include <pthread.h>
#include <stdatomic.h>

#include "worker.h"

struct blocks;
struct child;

enum worker_mode { WORKER_RUNNING, WORKER_DRAINING, WORKER_KILLED };

/* What all slots share. */
struct shared {
    struct worker_config cfg; /* cfg.id is owned by the worker */
    struct blocks *blocks;
    int limit_memory;
    atomic_int mode; /* enum worker_mode; only ever rises */
};

struct slot {
    struct shared *shared;
    unsigned number;
    pthread_t thread;
    int started;

    struct child *spare; /* started ahead of its task, or NULL; the slot's thread only */

    pthread_mutex_t lock;  /* guards running */
    struct child *running; /* borrowed from the slot's thread while it is inside child_run() */
};

/* 0, or -errno with ERR_RESOURCE. */
int slot_start(struct slot *s, struct shared *shared, unsigned number, struct err *err);
void slot_kill(struct slot *s); /* any thread; the mode is WORKER_KILLED already */
void slot_join(struct slot *s); /* no-op for one that was never started */

/* attempt.c: run one task in a child and publish what became of it.
 * 0: a result was published, the task may be acked; otherwise the task is
 * to be handed back. */
struct task;
int slot_attempt(struct slot *s, const struct task *t, const char *text);

/* For attempt.c: a child for the next task, the spare if there is one, told
 * to slot_kill(). Ended by slot_end_child(). */
int slot_take_child(struct slot *s, struct child **ret, struct err *err);
void slot_end_child(struct slot *s, struct child *c);

/* For attempt.c: start the spare now if another task waits. */
void slot_prepare(struct slot *s);

#endif
