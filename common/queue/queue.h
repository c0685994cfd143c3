/* queue.h - messages between dispatcher and workers: one interface over an
 * embedded queue (memory.c) and RabbitMQ (amqp.h).
 *
 * A message is delivered to one consumer and stays its own until it is
 * acked or rejected; a consumer that goes away gives its messages back.
 * Events are another matter: they go to whoever listens at the moment, and
 * are lost where nobody does or the broker is away. Bodies are JSON, at most
 * QUEUE_BODY_MAX bytes (-EMSGSIZE with ERR_USAGE).
 * Every function may be called by any thread, `free` excepted.
 */
#ifndef GOPMILL_QUEUE_QUEUE_H
#define GOPMILL_QUEUE_QUEUE_H

#include <stddef.h>
#include <stdint.h>

struct err;
struct queue;

enum { QUEUE_BODY_MAX = 8 << 20, QUEUE_REASON_MAX = 512, QUEUE_KEY_MAX = 255 };

/* The queues' names, the same on every back end. */
#define QUEUE_JOBS    "gopmill.jobs"    /* submissions: wire/job.h */
#define QUEUE_TASKS   "gopmill.tasks"   /* wire/task.h */
#define QUEUE_RESULTS "gopmill.results" /* wire/result.h */
#define QUEUE_UPLOADS "gopmill.uploads" /* S3 bucket notifications */
#define QUEUE_DEAD    "gopmill.dead"    /* where rejected messages go, oldest first */
#define QUEUE_EVENTS  "gopmill.events"  /* what listen() asked for; wire/event.h */

struct queue_text {
    const void *body;
    size_t len;
};

struct queue_msg {
    char *body; /* owned by the message, NUL-terminated beyond len */
    size_t len;
    uint64_t tag;        /* the back end's; valid until ack, reject or release */
    unsigned deliveries; /* 1 for the first time; a lower bound */
    char *key;           /* events: "event.worker.w1"; else NULL */
    char *from;          /* in QUEUE_DEAD: the queue it comes from; else NULL */
    char *reason;        /* in QUEUE_DEAD: why, in words, or NULL where nobody said */
};

struct queue_state {
    int connected;       /* embedded: always */
    int blocked;         /* the broker takes no publishes for now (memory or disk alarm) */
    int64_t since_ms;    /* wall clock: of the last change of `connected` */
    uint64_t reconnects; /* since the start */
    char reason[200];    /* why it isn't connected or is blocked, "" otherwise */
};

struct queue_ops {
    const char *name; /* "memory", "amqp" */

    /* 0 once none of the `n` messages can be lost any more (confirmed), in
     * order as far as the back end can. Bodies are copied. Waits through
     * lost connections and refusals of the broker, and sends again, up to
     * timeout_ms (-1: without end): -ETIMEDOUT with ERR_STORAGE; each of
     * them may then have been accepted or not, or twice. -ESHUTDOWN once
     * queue closed. */
    int (*publish)(struct queue *q, const char *queue, const struct queue_text *texts, size_t n,
                   int timeout_ms, struct err *err);

    /* Waits up to timeout_ms (-1: without end) for a message of `queue`.
     * 0 with *ret filled (release by queue_msg_release()), -EAGAIN on
     * time-out (also while the broker is away), -ESHUTDOWN once closed. Tasks:
     * at most as many unsettled ones at once as the queue was made for. */
    int (*consume)(struct queue *q, const char *queue, int timeout_ms, struct queue_msg *ret,
                   struct err *err);

    /* -ESTALE where the message has gone back to the broker meanwhile,
     * because a connection was lost: it will be, or was, delivered again. */
    int (*ack)(struct queue *q, const struct queue_msg *m, struct err *err);

    /* requeue: deliveries + 1. Otherwise: to QUEUE_DEAD with `reason` (may be
     * NULL; cut at QUEUE_REASON_MAX). -ESTALE as for ack. */
    int (*reject)(struct queue *q, const struct queue_msg *m, int requeue, const char *reason,
                  struct err *err);

    /* Messages ready (not delivered) in `queue`; a hint, perhaps some 100 ms old. -EAGAIN: the
     * broker is away; -ENOENT: it has no such queue. *ret is untouched on failure. */
    int (*depth)(struct queue *q, const char *queue, size_t *ret);

    /* Stop taking tasks: what was delivered but not yet consumed goes back
     * without counting as a delivery where the back end can; consume() of that
     * queue then returns -ESHUTDOWN. The rest goes on. */
    void (*stop)(struct queue *q, const char *queue);

    /* Take tasks again after stop(), as if that had not been. */
    void (*resume)(struct queue *q, const char *queue);

    /* Listen to events whose key matches one of the topic patterns ("*" one
     * word, "#" any number); in effect when it returns or, with the broker
     * away, as soon as it is back. Events that are not consumed in time are
     * dropped, oldest first. They are consumed from QUEUE_EVENTS and settled
     * by that: ack and reject of one do nothing. Once: -EALREADY (ERR_USAGE). */
    int (*listen)(struct queue *q, const char *const *patterns, size_t n, struct err *err);

    /* Tell whoever listens. Never waits; may be lost. */
    void (*event)(struct queue *q, const char *key, const void *body, size_t len);

    void (*state)(struct queue *q, struct queue_state *ret);

    /* Wakes every waiter with -ESHUTDOWN; publish fails from then on. */
    void (*close)(struct queue *q);

    void (*free)(struct queue *q); /* nobody may be inside */
};

struct queue {
    const struct queue_ops *ops;
};

static inline void queue_free(struct queue *q)
{
    if (q)
        q->ops->free(q);
}

/* One message. */
static inline int queue_publish(struct queue *q, const char *queue, const void *body, size_t len,
                                int timeout_ms, struct err *err)
{
    const struct queue_text t = { body, len };
    return q->ops->publish(q, queue, &t, 1, timeout_ms, err);
}

void queue_msg_release(struct queue_msg *m);

/* Whether `key` matches the topic pattern (AMQP 0-9-1, 3.1.3.3). */
int queue_topic_match(const char *pattern, const char *key);

/* The embedded queue: in this process, gone with it. NULL: out of memory. */
struct queue *queue_memory_new(void);

#endif
