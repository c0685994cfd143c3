/* many.c - many small ranges of an object at once. */
#include <pthread.h>

#include "../base/err.h"
#include "../base/range.h"
#include "store.h"

enum { AT_ONCE_MAX = 32 };

struct fetch {
    struct store *store;
    const char *key, *etag;
    struct read_range *v;
    size_t n;
    pthread_mutex_t lock; /* guards what follows */
    size_t next;
    int r;
    struct err err;
};

/* The next one, or NULL where none is left or one has failed. */
static struct read_range *take(struct fetch *f)
{
    (void)pthread_mutex_lock(&f->lock);
    struct read_range *v = f->r == 0 && f->next < f->n ? &f->v[f->next++] : NULL;
    (void)pthread_mutex_unlock(&f->lock);
    return v;
}

static void fail(struct fetch *f, int r, const struct err *why)
{
    (void)pthread_mutex_lock(&f->lock);
    if (f->r == 0) {
        f->r = r;
        f->err = *why;
    }
    (void)pthread_mutex_unlock(&f->lock);
}

static void *work(void *arg)
{
    struct fetch *f = arg;
    struct read_range *v;

    while ((v = take(f))) {
        struct err why = { 0 };
        int r = f->store->ops->get_range(f->store, f->key, f->etag, v->off, v->buf, v->len, &v->n,
                                         &why);
        if (r < 0)
            fail(f, r, &why);
    }
    return NULL;
}

int store_get_many(struct store *s, const char *key, const char *etag, struct read_range *v,
                   size_t n, unsigned at_once, struct err *err)
{
    struct fetch f = { .store = s, .key = key, .etag = etag, .v = v, .n = n };
    pthread_t threads[AT_ONCE_MAX];
    unsigned started = 0;

    (void)pthread_mutex_init(&f.lock, NULL);
    /* Where there are no more threads to be had, fewer do it. */
    while (started + 1 < at_once && started + 1 < n && started < AT_ONCE_MAX &&
           pthread_create(&threads[started], NULL, work, &f) == 0)
        started++;
    (void)work(&f);
    while (started > 0)
        (void)pthread_join(threads[--started], NULL);
    (void)pthread_mutex_destroy(&f.lock);
    if (f.r < 0 && err)
        *err = f.err;
    return f.r;
}
