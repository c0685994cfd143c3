#include "nursery.h"

#include "../base/cleanup.h"
#include "../base/err.h"
#include "child.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* Somebody who waits in nursery_take(); on that thread's stack. */
struct order {
    struct order *next;
    struct child *child;
    int r, ready;
    struct err err;
};

struct nursery {
    unsigned spare; /* that it shall keep */
    int nice;
    pthread_t thread;

    pthread_mutex_t lock;    /* guards everything below */
    pthread_cond_t changed;  /* for the thread: an order, a spare child that was taken, the end */
    pthread_cond_t answered; /* for those who wait */
    struct child *waiting;   /* the spare one */
    struct order *orders;
    int failed; /* to start a spare one: whoever comes next will hear why */
    int stopping;
};

/* With the lock held, which is let go meanwhile. */
static void fill(struct nursery *n, struct order *o)
{
    struct child *c = NULL;
    struct err err = { 0 };

    (void)pthread_mutex_unlock(&n->lock);
    int r = child_start_humble(n->nice, &c, &err);
    (void)pthread_mutex_lock(&n->lock);
    if (!o) {
        n->waiting = c;
        n->failed = r < 0;
        return;
    }
    o->child = c;
    o->r = r;
    o->err = err;
    o->ready = 1;
    (void)pthread_cond_broadcast(&n->answered);
}

static void *tend(void *arg)
{
    struct nursery *n = arg;

    (void)pthread_mutex_lock(&n->lock);
    while (!n->stopping) {
        struct order *o = n->orders;
        if (o) {
            n->orders = o->next;
            fill(n, o);
        } else if (n->spare > 0 && !n->waiting && !n->failed) {
            fill(n, NULL);
        } else {
            (void)pthread_cond_wait(&n->changed, &n->lock);
        }
    }
    (void)pthread_mutex_unlock(&n->lock);
    return NULL;
}

int nursery_new(unsigned spare, int nice, struct nursery **ret, struct err *err)
{
    struct nursery *n = calloc(1, sizeof(*n));

    if (!n)
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory for children");
    n->spare = spare;
    n->nice = nice;
    (void)pthread_mutex_init(&n->lock, NULL);
    (void)pthread_cond_init(&n->changed, NULL);
    (void)pthread_cond_init(&n->answered, NULL);
    int r = -pthread_create(&n->thread, NULL, tend, n);
    if (r < 0) {
        free(n);
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
    child_free(n->waiting);
    (void)pthread_cond_destroy(&n->changed);
    (void)pthread_cond_destroy(&n->answered);
    (void)pthread_mutex_destroy(&n->lock);
    free(n);
}

/* With the lock held: an order, in its turn, until it is answered. */
static int order(struct nursery *n, struct child **ret, struct err *err)
{
    struct order o = { 0 }, **at = &n->orders;

    while (*at)
        at = &(*at)->next;
    *at = &o;
    (void)pthread_cond_signal(&n->changed);
    while (!o.ready)
        (void)pthread_cond_wait(&n->answered, &n->lock);
    if (o.r < 0 && err)
        *err = o.err;
    *ret = o.child;
    return o.r;
}

int nursery_take(struct nursery *n, struct child **ret, struct err *err)
{
    struct child *c;
    int r = 0;

    (void)pthread_mutex_lock(&n->lock);
    c = take_ptr(n->waiting);
    n->failed = 0;
    (void)pthread_cond_signal(&n->changed);
    if (c && !child_is_alive(c)) { /* killed by somebody, while it waited */
        child_free(c);
        c = NULL;
    }
    if (!c)
        r = order(n, &c, err);
    (void)pthread_mutex_unlock(&n->lock);
    if (r == 0)
        *ret = c;
    return r;
}
