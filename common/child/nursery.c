#include "nursery.h"

#include "../base/err.h"
#include "child.h"
#include "nest.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* Somebody who waits in nursery_take(); on that thread's stack. */
struct order {
    struct order *next;
    int nice;
    struct child *child;
    int r, ready;
    struct err err;
};

struct nursery {
    pthread_t thread;
    struct nest *nest; /* the thread's */

    pthread_mutex_t lock;    /* guards everything below */
    pthread_cond_t changed;  /* for the thread: an order, the end */
    pthread_cond_t answered; /* for those who wait */
    struct order *orders;
    int stopping;
};

/* With the lock held, which is let go meanwhile: others may order. */
static void fill(struct nursery *n, struct order *o)
{
    (void)pthread_mutex_unlock(&n->lock);
    o->r = nest_child(n->nest, o->nice, &o->child, &o->err);
    (void)pthread_mutex_lock(&n->lock);
    o->ready = 1;
    (void)pthread_cond_broadcast(&n->answered);
}

static void *tend(void *arg)
{
    struct nursery *n = arg;

    nest_warm(n->nest);
    (void)pthread_mutex_lock(&n->lock);
    while (!n->stopping) {
        struct order *o = n->orders;
        if (o) {
            n->orders = o->next;
            fill(n, o);
        } else {
            (void)pthread_cond_wait(&n->changed, &n->lock);
        }
    }
    (void)pthread_mutex_unlock(&n->lock);
    nest_free(n->nest);
    return NULL;
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
    (void)pthread_mutex_init(&n->lock, NULL);
    (void)pthread_cond_init(&n->changed, NULL);
    (void)pthread_cond_init(&n->answered, NULL);
    int r = -pthread_create(&n->thread, NULL, tend, n);
    if (r < 0) {
        nest_free(n->nest);
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
    (void)pthread_cond_destroy(&n->changed);
    (void)pthread_cond_destroy(&n->answered);
    (void)pthread_mutex_destroy(&n->lock);
    free(n);
}

int nursery_take(struct nursery *n, int nice, struct child **ret, struct err *err)
{
    struct order o = { .nice = nice }, **at;

    (void)pthread_mutex_lock(&n->lock);
    for (at = &n->orders; *at; at = &(*at)->next)
        ;
    *at = &o;
    (void)pthread_cond_signal(&n->changed);
    while (!o.ready)
        (void)pthread_cond_wait(&n->answered, &n->lock);
    (void)pthread_mutex_unlock(&n->lock);
    if (o.r < 0 && err)
        *err = o.err;
    if (o.r == 0)
        *ret = o.child;
    return o.r;
}
