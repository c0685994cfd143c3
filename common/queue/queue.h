/* queue.h - messages between dispatcher and workers: one interface over an
 * embedded queue (memory.c) and, later, RabbitMQ (amqp.c).
 *
 * A message is delivered to one consumer and stays its own until it is
 * acked or rejected; a consumer that goes away gives its messages back.
 * Bodies are JSON, at most QUEUE_BODY_MAX bytes (-EMSGSIZE with ERR_USAGE).
 * Every function may be called by any thread.
 */
#ifndef GOPMILL_QUEUE_QUEUE_H
#define GOPMILL_QUEUE_QUEUE_H

#include <stddef.h>
#include <stdint.h>

struct err;
struct queue;

enum { QUEUE_BODY_MAX = 8 << 20 };

/* The queues' names, the same on every back end. */
#define QUEUE_JOBS    "gopmill.jobs"
#define QUEUE_TASKS   "gopmill.tasks"
#define QUEUE_RESULTS "gopmill.results"
#define QUEUE_DEAD    "gopmill.dead" /* where rejected messages go, oldest first */

struct queue_msg {
    char *body; /* owned by the message, NUL-terminated beyond len */
    size_t len;
    uint64_t tag;        /* the back end's; valid until ack, reject or release */
    unsigned deliveries; /* 1 for the first time */
};

struct queue_ops {
    const char *name; /* "memory", "amqp" */

    /* 0 once the message can't be lost any more (confirmed). Body copied. */
    int (*publish)(struct queue *q, const char *queue, const void *body, size_t len,
                   struct err *err);

    /* Waits up to timeout_ms (-1: without end) for a message of `queue`.
     * 0 with *ret filled (release by queue_msg_release()), -EAGAIN on
     * time-out, -ESHUTDOWN once queue_close() was called. */
    int (*consume)(struct queue *q, const char *queue, int timeout_ms, struct queue_msg *ret,
                   struct err *err);

    int (*ack)(struct queue *q, const struct queue_msg *m, struct err *err);

    /* requeue: to the head, deliveries + 1. Otherwise: to QUEUE_DEAD. */
    int (*reject)(struct queue *q, const struct queue_msg *m, int requeue, struct err *err);

    /* Messages ready (not delivered) in `queue`; a hint. */
    int (*depth)(struct queue *q, const char *queue, size_t *ret);

    /* Wakes every consumer with -ESHUTDOWN; publish fails from then on. */
    void (*close)(struct queue *q);

    void (*free)(struct queue *q); /* no consumer may be inside */
};

struct queue {
    const struct queue_ops *ops;
};

static inline void queue_free(struct queue *q)
{
    if (q)
        q->ops->free(q);
}

void queue_msg_release(struct queue_msg *m);

/* The embedded queue: in this process, gone with it. NULL: out of memory. */
struct queue *queue_memory_new(void);

#endif
