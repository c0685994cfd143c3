/* inbox.h - what other threads have for the dispatcher's: the only way in.
 *
 * Producers embed a struct inbox_item in what they hand over; order is kept.
 * Any thread may put; one takes.
 */
#ifndef GOPMILL_DISPATCHER_INBOX_H
#define GOPMILL_DISPATCHER_INBOX_H

#include <stddef.h>

struct err;
struct inbox;

enum inbox_kind {
    INBOX_RECEIVED,  /* engine_receive.c: a message */
    INBOX_PLANNED,   /* planner.h: one has ended */
    INBOX_PUBLISHED, /* engine_publish.c: a publisher's outcome */
    INBOX_SENT,      /* sender.h: a batch was published, or not */
    INBOX_CALL,      /* engine_call.c */
};

struct inbox_item {
    struct inbox_item *next;
    enum inbox_kind kind;
};

int inbox_new(struct inbox **ret, struct err *err);
void inbox_free(struct inbox *b); /* must be empty; NULL is a no-op */

/* Taken, always, and at once. */
void inbox_put(struct inbox *b, struct inbox_item *item);
/* Taken at once, and before what isn't urgent; or -ESHUTDOWN once closed. */
int inbox_put_urgent(struct inbox *b, struct inbox_item *item);
/* Taken once there are fewer than INBOX_MAX; -ESHUTDOWN (then not taken) once closed. */
enum { INBOX_MAX = 2048 };
int inbox_put_bounded(struct inbox *b, struct inbox_item *item);

/* Up to `max` items, oldest first, as a list; NULL for none. Waits for the
 * first up to timeout_ms, or until inbox_wake(), which one take sees. */
struct inbox_item *inbox_take(struct inbox *b, int timeout_ms, size_t max, int *ret_woken);
void inbox_wake(struct inbox *b);

/* From now on only inbox_put() puts. */
void inbox_close(struct inbox *b);

#endif
