/* engine_call.c - having something done on the dispatcher's thread. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "job.h"

struct call {
    struct inbox_item item;
    struct call *next; /* among those begun */
    int (*fn)(struct dispatcher *d, void *arg, struct err *err);
    void *arg;

    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t changed;
    enum { CALL_WAITS, CALL_BEGUN, CALL_ANSWERED, CALL_ABANDONED } state;
    int r;
    struct err err;
};

static void call_free(struct call *c)
{
    (void)pthread_cond_destroy(&c->changed);
    (void)pthread_mutex_destroy(&c->lock);
    free(c);
}

static struct call *call_new(int (*fn)(struct dispatcher *d, void *arg, struct err *err), void *arg)
{
    struct call *c = calloc(1, sizeof(*c));
    pthread_condattr_t attr;

    if (!c)
        return NULL;
    c->item.kind = INBOX_CALL;
    c->fn = fn;
    c->arg = arg;
    (void)pthread_mutex_init(&c->lock, NULL);
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&c->changed, &attr);
    (void)pthread_condattr_destroy(&attr);
    return c;
}

/* Until it is answered, or was not begun in time: then it is left to the
 * dispatcher's thread, which frees it. 1: answered. */
static int await(struct call *c, int timeout_ms)
{
    struct timespec until;
    int timed_out = 0;

    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += timeout_ms / 1000;
    until.tv_nsec += (long)(timeout_ms % 1000) * NS_PER_MS;
    if (until.tv_nsec >= NS_PER_S) {
        until.tv_sec++;
        until.tv_nsec -= NS_PER_S;
    }
    (void)pthread_mutex_lock(&c->lock);
    while (c->state != CALL_ANSWERED && !(timed_out && c->state == CALL_WAITS))
        if (timeout_ms < 0 || timed_out)
            (void)pthread_cond_wait(&c->changed, &c->lock);
        else
            timed_out = pthread_cond_timedwait(&c->changed, &c->lock, &until) == ETIMEDOUT;
    int answered = c->state == CALL_ANSWERED;
    if (!answered)
        c->state = CALL_ABANDONED;
    (void)pthread_mutex_unlock(&c->lock);
    return answered;
}

int dispatcher_call(struct dispatcher *d,
                    int (*fn)(struct dispatcher *d, void *arg, struct err *err), void *arg,
                    int timeout_ms, struct err *err)
{
    struct call *c = call_new(fn, arg);

    if (!c)
        return engine_no_memory(err);
    if (inbox_put_urgent(d->inbox, &c->item) < 0) {
        call_free(c);
        return err_set(err, -ESHUTDOWN, ERR_RESOURCE, "the dispatcher is going down");
    }
    if (!await(c, timeout_ms))
        return err_set(err, -ETIMEDOUT, ERR_RESOURCE, "the dispatcher was too busy for %d ms",
                       timeout_ms);
    int r = c->r;
    if (r < 0 && err)
        *err = c->err;
    call_free(c);
    return r;
}

/* 1: it is now ours to answer. 0: nobody waits any more. */
static int begin(struct call *c)
{
    (void)pthread_mutex_lock(&c->lock);
    int waits = c->state == CALL_WAITS;
    if (waits)
        c->state = CALL_BEGUN;
    (void)pthread_mutex_unlock(&c->lock);
    if (!waits)
        call_free(c);
    return waits;
}

static void answer(struct call *c)
{
    (void)pthread_mutex_lock(&c->lock);
    c->state = CALL_ANSWERED;
    (void)pthread_cond_signal(&c->changed);
    (void)pthread_mutex_unlock(&c->lock); /* from here it is the caller's */
}

void engine_call_run(struct dispatcher *d, struct inbox_item *item)
{
    struct call *c = (struct call *)item;

    if (!begin(c))
        return;
    c->r = c->fn(d, c->arg, &c->err);
    c->next = d->calls;
    d->calls = c;
}

void engine_calls_answer(struct dispatcher *d, int r, const struct err *why)
{
    struct call *next;

    for (struct call *c = d->calls; c; c = next) {
        next = c->next;
        if (r < 0) { /* what it did is not in the database */
            c->r = r;
            c->err = *why;
        }
        answer(c);
    }
    d->calls = NULL;
}

void engine_call_refuse(struct inbox_item *item, int r, const struct err *why)
{
    struct call *c = (struct call *)item;

    if (!begin(c))
        return;
    c->r = r < 0 ? r : -ESHUTDOWN;
    if (why && why->cls != ERR_NONE)
        c->err = *why;
    else
        (void)err_set(&c->err, c->r, ERR_RESOURCE, "the dispatcher is going down");
    answer(c);
}
