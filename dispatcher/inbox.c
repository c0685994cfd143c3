#include "inbox.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "../common/base/err.h"

struct inbox {
    pthread_mutex_t lock; /* guards everything below */
    pthread_cond_t filled, room;
    struct inbox_item *head, **tail;
    struct inbox_item **urgent; /* where those that are urgent end */
    size_t n;
    int woken, closed;
};

int inbox_new(struct inbox **ret, struct err *err)
{
    struct inbox *b = calloc(1, sizeof(*b));
    pthread_condattr_t attr;

    if (!b)
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory");
    b->tail = b->urgent = &b->head;
    (void)pthread_mutex_init(&b->lock, NULL);
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&b->filled, &attr);
    (void)pthread_condattr_destroy(&attr);
    (void)pthread_cond_init(&b->room, NULL);
    *ret = b;
    return 0;
}

void inbox_free(struct inbox *b)
{
    if (!b)
        return;
    (void)pthread_cond_destroy(&b->filled);
    (void)pthread_cond_destroy(&b->room);
    (void)pthread_mutex_destroy(&b->lock);
    free(b);
}

static void append(struct inbox *b, struct inbox_item *item)
{
    item->next = NULL;
    *b->tail = item;
    b->tail = &item->next;
    b->n++;
    (void)pthread_cond_signal(&b->filled);
}

void inbox_put(struct inbox *b, struct inbox_item *item)
{
    (void)pthread_mutex_lock(&b->lock);
    append(b, item);
    (void)pthread_mutex_unlock(&b->lock);
}

int inbox_put_urgent(struct inbox *b, struct inbox_item *item)
{
    (void)pthread_mutex_lock(&b->lock);
    int closed = b->closed;
    if (!closed) {
        item->next = *b->urgent;
        *b->urgent = item;
        if (b->tail == b->urgent)
            b->tail = &item->next;
        b->urgent = &item->next;
        b->n++;
        (void)pthread_cond_signal(&b->filled);
    }
    (void)pthread_mutex_unlock(&b->lock);
    return closed ? -ESHUTDOWN : 0;
}

int inbox_put_bounded(struct inbox *b, struct inbox_item *item)
{
    (void)pthread_mutex_lock(&b->lock);
    while (b->n >= INBOX_MAX && !b->closed)
        (void)pthread_cond_wait(&b->room, &b->lock);
    int closed = b->closed;
    if (!closed)
        append(b, item);
    (void)pthread_mutex_unlock(&b->lock);
    return closed ? -ESHUTDOWN : 0;
}

static struct timespec deadline(int timeout_ms)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_sec += timeout_ms / 1000;
    t.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
    if (t.tv_nsec >= 1000000000) {
        t.tv_sec++;
        t.tv_nsec -= 1000000000;
    }
    return t;
}

/* Cut the list after its first `max`. Locked. */
static struct inbox_item *take(struct inbox *b, size_t max)
{
    struct inbox_item *first = b->head, **end = &b->head;
    size_t n = 0;
    int all_urgent = b->urgent == end;

    while (*end && n < max) {
        end = &(*end)->next;
        all_urgent |= b->urgent == end;
        n++;
    }
    if (n == 0)
        return NULL;
    struct inbox_item *rest = *end;
    *end = NULL;
    b->head = rest;
    if (!rest)
        b->tail = &b->head;
    if (all_urgent)
        b->urgent = &b->head;
    b->n -= n;
    (void)pthread_cond_broadcast(&b->room);
    return first;
}

struct inbox_item *inbox_take(struct inbox *b, int timeout_ms, size_t max, int *ret_woken)
{
    struct timespec until = deadline(timeout_ms);

    (void)pthread_mutex_lock(&b->lock);
    while (!b->head && !b->woken && timeout_ms > 0)
        if (pthread_cond_timedwait(&b->filled, &b->lock, &until) == ETIMEDOUT)
            break;
    struct inbox_item *items = take(b, max);
    *ret_woken = b->woken;
    b->woken = 0;
    (void)pthread_mutex_unlock(&b->lock);
    return items;
}

void inbox_wake(struct inbox *b)
{
    (void)pthread_mutex_lock(&b->lock);
    b->woken = 1;
    (void)pthread_cond_signal(&b->filled);
    (void)pthread_mutex_unlock(&b->lock);
}

void inbox_close(struct inbox *b)
{
    (void)pthread_mutex_lock(&b->lock);
    b->closed = 1;
    (void)pthread_cond_broadcast(&b->room);
    (void)pthread_mutex_unlock(&b->lock);
}
