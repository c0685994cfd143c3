/* sender.h - gives tasks to the queue on a thread of its own, since a broker
 * may keep it waiting. Private to dispatcher/.
 */
#ifndef GOPMILL_DISPATCHER_SENDER_H
#define GOPMILL_DISPATCHER_SENDER_H

#include <stdint.h>

#include "../common/base/err.h"
#include "inbox.h"

struct queue;
struct sender;

struct send_task {
    char *job;        /* id */
    char id[24];      /* of the task */
    unsigned attempt; /* goes into the message */
    uint64_t seq;     /* of the release, for whoever gets the batch back */
    char *body;       /* the task's JSON text as it was planned */
    char *avoid[2];   /* workers that it failed on; NULL: none */
    int bad;          /* the body can't be read: it was not sent */
};

struct send_batch {
    struct inbox_item item; /* comes back as INBOX_SENT */
    struct send_task *v;
    size_t n;
    int want_depth; /* ask how many tasks are in the queue */
    int r;          /* 0: confirmed; else maybe some, maybe none */
    struct err err;
    size_t depth; /* where asked, and r is 0 */
};
void send_task_release(struct send_task *t);
void send_batch_free(struct send_batch *b); /* NULL is a no-op */

/* `queue` and `inbox` are borrowed. A batch that isn't confirmed within
 * timeout_ms comes back with -ETIMEDOUT. */
int sender_new(struct queue *queue, struct inbox *inbox, int timeout_ms, struct sender **ret,
               struct err *err);
void sender_put(struct sender *s, struct send_batch *b); /* taken */
/* Waits for the batch that is being sent (at once where the queue is closed);
 * the others are dropped. */
void sender_free(struct sender *s);

#endif
