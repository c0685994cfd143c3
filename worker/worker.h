/* worker.h - leases tasks from a queue and runs each in a child.
 *
 * One thread a slot: it consumes a task, starts (or takes a ready) child,
 * serves its reads from a block cache shared by all slots, stores its
 * segments, publishes the result, then acks the task. A worker keeps no
 * state that outlives its process.
 *
 * With GOPMILL_NO_RLIMIT in the environment children get no memory limit:
 * for builds whose sanitizers map terabytes of addresses.
 */
#ifndef GOPMILL_WORKER_WORKER_H
#define GOPMILL_WORKER_WORKER_H

#include <stddef.h>
#include <stdint.h>

struct err;
struct queue;
struct task;
struct worker;

struct worker_config {
    struct queue *queue; /* borrowed */
    const char *id;      /* unique in the farm; copied */
    unsigned slots;      /* at least 1 */
    int nice;            /* added to children's niceness */
    size_t cache_bytes;  /* of the source block cache; 0: 64 MiB */

    /* Told about running tasks, on slot threads; may be NULL. `done` is
     * frames for video, ms of sound for audio. */
    void (*on_progress)(void *arg, unsigned slot, const struct task *t, uint64_t done);
    void (*on_end)(void *arg, unsigned slot, const struct task *t, int r);
    void *arg;
};

int worker_start(const struct worker_config *cfg, struct worker **ret, struct err *err);

/* No new task; running ones go on. */
void worker_drain(struct worker *w);

/* Kill running children; their tasks are handed back to the queue. */
void worker_kill(struct worker *w);

/* Wait for the slots to end (after drain, kill, or a closed queue), free. */
void worker_free(struct worker *w);

#endif
