/* slot.h - one slot of a worker: a thread that runs one task at a time.
 * Private to worker/.
 */
#ifndef GOPMILL_WORKER_SLOT_H
#define GOPMILL_WORKER_SLOT_H

#include <pthread.h>

#include "worker.h"

struct blocks;
struct child;
struct desk;
struct task;
struct task_result;
struct uploads;

/* What all slots share. */
struct shared {
    struct worker_config cfg; /* cfg.id is owned by the worker; no 0 stands for a default here */
    struct blocks *blocks;
    struct desk *desk;
    struct nursery *nursery; /* cfg.nursery, or the worker's own */
    int limit_memory;
    size_t upload_bytes; /* that a slot may have on the way at once */
};

struct slot {
    struct shared *shared;
    unsigned number;
    pthread_t thread;
    int started;

    /* The slot's thread only. */
    int64_t taken_ns; /* CLOCK_MONOTONIC: when the queue gave it what it has */

    pthread_mutex_t lock;    /* guards what is below: borrowed from the slot's thread, or NULL */
    struct child *running;   /* while it is inside child_run() */
    struct uploads *uploads; /* of the same task */
};

void slot_init(struct slot *s, struct shared *shared, unsigned number);
void slot_release(struct slot *s); /* joined before; no-op for a zeroed one */
/* 0, or -errno with ERR_RESOURCE. */
int slot_start(struct slot *s, struct err *err);
/* Ends what runs if desk_ending() says so. Any thread. */
void slot_look(struct slot *s);
void slot_join(struct slot *s); /* no-op for one that was never started */

/* attempt.c: run one task, which is in hand (desk.h), in a child, and publish
 * what became of it. 0: a result was published, the task may be acked;
 * otherwise the task is to be handed back. */
int slot_attempt(struct slot *s, const struct task *t, const char *text);

/* attempt.c: publish `why` as the result of a task that was not begun. */
int slot_answer(struct slot *s, const struct task *t, const struct err *why, struct err *err);

/* For attempt.c: a child for the next task, and the task's uploads, known to slot_look(). Ended by
 * slot_end_child(), then the uploads by slot_forget_uploads(). */
int slot_take_child(struct slot *s, struct uploads *u, struct child **ret, struct err *err);
void slot_end_child(struct slot *s, struct child *c);
void slot_forget_uploads(struct slot *s);
void slot_kill_child(struct slot *s); /* any thread */

#endif
