#include "publisher.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "../common/base/clock.h"
#include "../common/store/store.h"
#include "publish/work.h"

enum { THREADS_MAX = 64 };

/* A request from when it is taken to when its outcome is told. Both lists
 * are short: one request for each job at most. */
struct item {
    struct item *next;
    struct publish_request *req;
    struct publish_outcome *outcome; /* made before it is needed */
};

struct publisher {
    struct store_env *stores;
    void (*done)(void *arg, struct publish_outcome *o);
    void *arg;
    pthread_t *threads;
    unsigned n_threads;

    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t work;  /* something waits, or it is over */
    struct item *waiting; /* in the order they came */
    struct item *at_work;
    int over;
};

void publish_request_free(struct publish_request *r)
{
    if (!r)
        return;
    for (size_t i = 0; i < r->n_results && r->results; i++)
        free(r->results[i]);
    free(r->results);
    free(r->job);
    free(r->output);
    free(r->source);
    free(r->etag);
    free(r->ladder);
    free(r->ladder_name);
    free(r->version);
    for (size_t i = 0; i < r->n_spared; i++)
        free(r->spared[i]);
    free(r->spared);
    free(r->plan);
    free(r);
}

void publish_outcome_free(struct publish_outcome *o)
{
    if (!o)
        return;
    for (size_t i = 0; i < o->n_faults; i++)
        free(o->faults[i].task);
    free(o->faults);
    free(o->job);
    free(o);
}

static void item_free(struct item *i)
{
    if (!i)
        return;
    publish_request_free(i->req);
    publish_outcome_free(i->outcome);
    free(i);
}

static void append(struct item **list, struct item *i)
{
    while (*list)
        list = &(*list)->next;
    i->next = NULL;
    *list = i;
}

static void take_out(struct item **list, const struct item *i)
{
    while (*list != i)
        list = &(*list)->next;
    *list = i->next;
}

static struct item *of_job(struct item *list, const char *job)
{
    while (list && strcmp(list->req->job, job) != 0)
        list = list->next;
    return list;
}

/* What to do next, moved to at_work; NULL where it is over. Called and
 * returns with the lock held. */
static struct item *next_item(struct publisher *p)
{
    while (!p->waiting && !p->over)
        (void)pthread_cond_wait(&p->work, &p->lock);
    if (p->over)
        return NULL;
    struct item *i = p->waiting;
    p->waiting = i->next;
    append(&p->at_work, i);
    return i;
}

static void *thread_main(void *arg)
{
    struct publisher *p = arg;
    struct item *i;

    (void)pthread_mutex_lock(&p->lock);
    while ((i = next_item(p))) {
        (void)pthread_mutex_unlock(&p->lock);
        int64_t began_ns = clock_system.mono_ns(&clock_system);
        publish_work(p->stores, i->req, i->outcome);
        i->outcome->away = i->outcome->r < 0 && i->outcome->err.cls == ERR_STORAGE &&
                           i->outcome->r != -ESTALE && store_was_away(p->stores, began_ns);
        (void)pthread_mutex_lock(&p->lock);
        take_out(&p->at_work, i);
        (void)pthread_mutex_unlock(&p->lock);
        struct publish_outcome *o = i->outcome;
        i->outcome = NULL;
        item_free(i);
        p->done(p->arg, o);
        (void)pthread_mutex_lock(&p->lock);
    }
    (void)pthread_mutex_unlock(&p->lock);
    return NULL;
}

int publisher_new(struct store_env *stores, unsigned threads,
                  void (*done)(void *arg, struct publish_outcome *o), void *arg,
                  struct publisher **ret, struct err *err)
{
    unsigned n = threads == 0 ? 1 : threads < THREADS_MAX ? threads : THREADS_MAX;
    struct publisher *p = calloc(1, sizeof(*p));

    if (!p || !(p->threads = calloc(n, sizeof(*p->threads)))) {
        free(p);
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory for the publisher");
    }
    p->stores = stores;
    p->done = done;
    p->arg = arg;
    (void)pthread_mutex_init(&p->lock, NULL);
    (void)pthread_cond_init(&p->work, NULL);
    for (; p->n_threads < n; p->n_threads++) {
        int r = -pthread_create(&p->threads[p->n_threads], NULL, thread_main, p);
        if (r < 0) {
            publisher_free(p);
            return err_set(err, r, ERR_RESOURCE, "can't start a publisher's thread: %s",
                           strerror(-r));
        }
    }
    *ret = p;
    return 0;
}

static int is_complete(const struct publish_request *r)
{
    int plan = r->what == PUBLISH_FINAL || r->what == PUBLISH_EARLY;

    if (r->what >= PUBLISH_WHAT_MAX || !r->job || !r->output || (plan && !r->plan))
        return 0;
    if (r->what == PUBLISH_FINAL && (!r->source || !r->etag || !r->ladder || !r->ladder_name))
        return 0;
    for (size_t i = 0; i < r->n_results; i++)
        if (!r->results || !r->results[i])
            return 0;
    return 1;
}

static struct item *item_new(struct publish_request *req)
{
    struct item *i = calloc(1, sizeof(*i));
    struct publish_outcome *o = calloc(1, sizeof(*o));

    if (o)
        o->job = strdup(req->job);
    if (!i || !o || !o->job) {
        free(i);
        publish_outcome_free(o);
        return NULL;
    }
    o->what = req->what;
    i->req = req;
    i->outcome = o;
    return i;
}

int publisher_submit(struct publisher *p, struct publish_request *req)
{
    if (!is_complete(req))
        return -EINVAL;
    struct item *i = item_new(req);
    if (!i)
        return -ENOMEM;

    (void)pthread_mutex_lock(&p->lock);
    struct item *waits = of_job(p->waiting, req->job);
    int busy = of_job(p->at_work, req->job) || (waits && waits->req->what != PUBLISH_EARLY);
    if (!busy && waits)
        take_out(&p->waiting, waits);
    if (!busy) {
        append(&p->waiting, i);
        (void)pthread_cond_signal(&p->work);
    }
    (void)pthread_mutex_unlock(&p->lock);

    if (busy) {
        i->req = NULL; /* still the caller's */
        item_free(i);
        return -EBUSY;
    }
    item_free(waits);
    return 0;
}

void publisher_free(struct publisher *p)
{
    if (!p)
        return;
    (void)pthread_mutex_lock(&p->lock);
    p->over = 1;
    (void)pthread_cond_broadcast(&p->work);
    (void)pthread_mutex_unlock(&p->lock);
    for (unsigned i = 0; i < p->n_threads; i++)
        (void)pthread_join(p->threads[i], NULL);
    while (p->waiting) {
        struct item *i = p->waiting;
        p->waiting = i->next;
        item_free(i);
    }
    (void)pthread_cond_destroy(&p->work);
    (void)pthread_mutex_destroy(&p->lock);
    free(p->threads);
    free(p);
}
