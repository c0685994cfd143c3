/* pulse.h - the thread of a worker that talks with the farm: it tells how
 * the worker is, looks after the machine's memory and disk, and passes on
 * what it hears to the desk and the slots. Private to worker/.
 */
#ifndef GOPMILL_WORKER_PULSE_H
#define GOPMILL_WORKER_PULSE_H

struct err;
struct pulse;
struct shared;

struct pulse_config {
    struct shared *shared; /* borrowed */
    const char *disk;      /* borrowed: a path on the file system that must have room, or NULL */

    /* Something may have to be ended: have every slot look. On this thread. */
    void (*look)(void *arg);
    void *arg;
};

/* Begins to listen (queue.h) before it returns. ERR_RESOURCE. */
int pulse_start(const struct pulse_config *cfg, struct pulse **ret, struct err *err);

/* Says good-bye, ends the thread. Slots have ended before. NULL is a no-op. */
void pulse_stop(struct pulse *p);

#endif
