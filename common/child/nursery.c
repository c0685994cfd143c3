#include "nursery.h"

#include "../base/clock.h"
#include "../base/err.h"
#include "child.h"
#include "nest.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    TAKE_MS = 60 * 1000,  /* longer than a nest and then a child without one may take */
    STUCK_MS = 20 * 1000, /* a start that takes as long as that is complained of */
};

/* Somebody waits for it in nursery_take(), or did: whoever comes last frees it. */
struct order {
    struct order *next;
    int nice;
    int64_t asked_ns;
    struct child *child;
    int r, ready;
    int given_up; /* nobody waits any more */
    struct err err;
};

struct nursery {
    pthread_t thread;
    struct nest *nest; /* the thread's */

    pthread_mutex_t lock;    /* guards everything below */
    pthread_cond_t changed;  /* for the thread: an order, the end */
    pthread_cond_t answered; /* for those who wait; by CLOCK_MONOTONIC */
    struct order *orders;
    struct order *at_work; /* taken out of `orders`, not ready */
    int64_t busy_ns;       /* since when something is being started; 0: nothing is */
    int patience_ms;
    int failed; /* the last order couldn't be filled, for this reason: */
    struct err why;
    int stopping;
};

static int64_t now_ns(void)
{
    return clock_system.mono_ns(&clock_system);
}

/* With the lock held. Nobody is left who would run it: it is ended. */
static void order_drop(struct nursery *n, struct order *o)
{
    struct child *c = o->r == 0 ? o->child : NULL;

    free(o);
    (void)pthread_mutex_unlock(&n->lock);
    child_free(c);
    (void)pthread_mutex_lock(&n->lock);
}

/* With the lock held, which is let go meanwhile: others may order. */
static void order_fill(struct nursery *n, struct order *o)
{
    n->at_work = o;
    n->busy_ns = now_ns();
    (void)pthread_mutex_unlock(&n->lock);
    o->r = nest_child(n->nest, o->nice, &o->child, &o->err);
    (void)pthread_mutex_lock(&n->lock);
    n->at_work = NULL;
    n->busy_ns = 0;
    n->failed = o->r < 0;
    if (o->r < 0)
        n->why = o->err;
    o->ready = 1;
    if (o->given_up)
        order_drop(n, o);
    else
        (void)pthread_cond_broadcast(&n->answered);
}

static void *tend(void *arg)
{
    struct nursery *n = arg;

    nest_warm(n->nest);
    (void)pthread_mutex_lock(&n->lock);
    n->busy_ns = 0;
    while (!n->stopping) {
        struct order *o = n->orders;
        if (o) {
            n->orders = o->next;
            order_fill(n, o);
        } else {
            (void)pthread_cond_wait(&n->changed, &n->lock);
        }
    }
    (void)pthread_mutex_unlock(&n->lock);
    nest_free(n->nest);
    return NULL;
}

static void nursery_init(struct nursery *n)
{
    pthread_condattr_t attr;

    n->patience_ms = TAKE_MS;
    (void)pthread_mutex_init(&n->lock, NULL);
    (void)pthread_cond_init(&n->changed, NULL);
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&n->answered, &attr);
    (void)pthread_condattr_destroy(&attr);
}

static void nursery_destroy(struct nursery *n)
{
    (void)pthread_cond_destroy(&n->changed);
    (void)pthread_cond_destroy(&n->answered);
    (void)pthread_mutex_destroy(&n->lock);
    free(n);
}

int nursery_new(struct nursery **ret, struct err *err)
{
    struct nursery *n = calloc(1, sizeof(*n));

    if (n)
        n->nest = nest_new();
    if (!n || !n->nest) {
        free(n);
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory for children");
    }
    nursery_init(n);
    n->busy_ns = now_ns();
    int r = -pthread_create(&n->thread, NULL, tend, n);
    if (r < 0) {
        nest_free(n->nest);
        nursery_destroy(n);
        return err_set(err, r, ERR_RESOURCE, "can't start a thread: %s", strerror(-r));
    }
    *ret = n;
    return 0;
}

void nursery_free(struct nursery *n)
{
    if (!n)
        return;
    (void)pthread_mutex_lock(&n->lock);
    n->stopping = 1;
    (void)pthread_cond_signal(&n->changed);
    (void)pthread_mutex_unlock(&n->lock);
    (void)pthread_join(n->thread, NULL);
    nursery_destroy(n);
}

void nursery_set_patience(struct nursery *n, int ms)
{
    (void)pthread_mutex_lock(&n->lock);
    n->patience_ms = ms;
    (void)pthread_mutex_unlock(&n->lock);
}

/* ---- orders ---- */

/* Locked. 0 once it is ready; -ETIMEDOUT: it isn't, and nobody may wait any longer. */
static int order_await(struct nursery *n, const struct order *o)
{
    int64_t until = o->asked_ns + n->patience_ms * (int64_t)NS_PER_MS;
    const struct timespec t = { until / NS_PER_S, (long)(until % NS_PER_S) };
    int r = 0;

    while (!o->ready && r != ETIMEDOUT)
        r = pthread_cond_timedwait(&n->answered, &n->lock, &t);
    return o->ready ? 0 : -ETIMEDOUT;
}

/* Locked. One that is being filled belongs to the thread from now on. */
static void order_give_up(struct nursery *n, struct order *o)
{
    struct order **at = &n->orders;

    if (n->at_work == o) {
        o->given_up = 1;
        return;
    }
    while (*at && *at != o)
        at = &(*at)->next;
    if (*at)
        *at = o->next;
    free(o);
}

static void order_add(struct nursery *n, struct order *o)
{
    struct order **at = &n->orders;

    while (*at)
        at = &(*at)->next;
    *at = o;
    (void)pthread_cond_signal(&n->changed);
}

int nursery_take(struct nursery *n, int nice, struct child **ret, struct err *err)
{
    struct order *o = calloc(1, sizeof(*o));
    int r;

    if (!o)
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory for a child");
    o->nice = nice;
    o->asked_ns = now_ns();
    (void)pthread_mutex_lock(&n->lock);
    order_add(n, o);
    if (order_await(n, o) < 0) {
        r = err_set(err, -ETIMEDOUT, ERR_RESOURCE, "no process could be started within %d s",
                    n->patience_ms / 1000);
        order_give_up(n, o);
    } else {
        r = o->r;
        if (r < 0 && err)
            *err = o->err;
        if (r == 0)
            *ret = o->child;
        free(o);
    }
    (void)pthread_mutex_unlock(&n->lock);
    return r;
}

int nursery_healthy(struct nursery *n, char *why, size_t size)
{
    (void)pthread_mutex_lock(&n->lock);
    int64_t busy_ms = n->busy_ns ? (now_ns() - n->busy_ns) / NS_PER_MS : 0;
    int stuck = busy_ms > (n->patience_ms < STUCK_MS ? n->patience_ms : STUCK_MS);
    int failed = n->failed;
    if (stuck)
        (void)snprintf(why, size, "a process takes %d s already to start", (int)(busy_ms / 1000));
    else if (failed)
        (void)snprintf(why, size, "no process can be started: %s", n->why.text);
    (void)pthread_mutex_unlock(&n->lock);
    return !stuck && !failed;
}
