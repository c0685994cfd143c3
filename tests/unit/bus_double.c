#include "bus_double.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { HANDLES_MAX = 8, OUT_MAX = 64 };

struct handle {
    struct queue queue;
    struct bus *bus;
    struct queue *ears;            /* its events */
    int stopped, closed, away;     /* guarded by bus->lock, like what follows */
    struct queue_msg out[OUT_MAX]; /* tags of what is not settled; body NULL */
    size_t n_out;
    uint64_t lost;
};

struct bus {
    struct queue *queue;
    pthread_mutex_t lock; /* guards handles */
    struct handle *handles[HANDLES_MAX];
    size_t n_handles;
};

static struct handle *handle_of(struct queue *q)
{
    return (struct handle *)q;
}

static int flag(struct handle *h, const int *f)
{
    (void)pthread_mutex_lock(&h->bus->lock);
    int v = *f;
    (void)pthread_mutex_unlock(&h->bus->lock);
    return v;
}

static void raise_flag(struct handle *h, int *f)
{
    (void)pthread_mutex_lock(&h->bus->lock);
    *f = 1;
    (void)pthread_mutex_unlock(&h->bus->lock);
}

static int bus_publish(struct queue *q, const char *name, const struct queue_text *texts, size_t n,
                       int timeout_ms, struct err *err)
{
    struct handle *h = handle_of(q);

    if (flag(h, &h->closed))
        return -ESHUTDOWN;
    return h->bus->queue->ops->publish(h->bus->queue, name, texts, n, timeout_ms, err);
}

static int bus_consume(struct queue *q, const char *name, int timeout_ms, struct queue_msg *ret,
                       struct err *err)
{
    struct handle *h = handle_of(q);
    int tasks = strcmp(name, QUEUE_TASKS) == 0, events = strcmp(name, QUEUE_EVENTS) == 0;

    if (flag(h, &h->closed) || (tasks && flag(h, &h->stopped)))
        return -ESHUTDOWN;
    struct queue *from = events ? h->ears : h->bus->queue;
    int r = from->ops->consume(from, name, timeout_ms, ret, err);
    if (r == 0 && !events) {
        (void)pthread_mutex_lock(&h->bus->lock);
        h->out[h->n_out++] = (struct queue_msg){ .tag = ret->tag };
        (void)pthread_mutex_unlock(&h->bus->lock);
    }
    return r;
}

/* 0 where the message is still this handle's, and no longer from now on. */
static int take_out(struct handle *h, const struct queue_msg *m)
{
    int r = -ESTALE;

    (void)pthread_mutex_lock(&h->bus->lock);
    for (size_t i = 0; i < h->n_out; i++)
        if (h->out[i].tag == m->tag) {
            h->out[i] = h->out[--h->n_out];
            r = 0;
            break;
        }
    (void)pthread_mutex_unlock(&h->bus->lock);
    return r;
}

static int bus_ack(struct queue *q, const struct queue_msg *m, struct err *err)
{
    struct queue *inner = handle_of(q)->bus->queue;
    int r = take_out(handle_of(q), m);

    return r < 0 ? r : inner->ops->ack(inner, m, err);
}

static int bus_reject(struct queue *q, const struct queue_msg *m, int requeue, const char *reason,
                      struct err *err)
{
    struct queue *inner = handle_of(q)->bus->queue;
    int r = take_out(handle_of(q), m);

    return r < 0 ? r : inner->ops->reject(inner, m, requeue, reason, err);
}

static int bus_depth(struct queue *q, const char *name, size_t *ret)
{
    struct queue *inner = handle_of(q)->bus->queue;
    return inner->ops->depth(inner, name, ret);
}

static void bus_stop(struct queue *q, const char *name)
{
    if (strcmp(name, QUEUE_TASKS) == 0)
        raise_flag(handle_of(q), &handle_of(q)->stopped);
}

static void bus_resume(struct queue *q, const char *name)
{
    struct handle *h = handle_of(q);

    (void)pthread_mutex_lock(&h->bus->lock);
    h->stopped = h->stopped && strcmp(name, QUEUE_TASKS) != 0;
    (void)pthread_mutex_unlock(&h->bus->lock);
}

static int bus_listen(struct queue *q, const char *const *patterns, size_t n, struct err *err)
{
    struct queue *ears = handle_of(q)->ears;
    return ears->ops->listen(ears, patterns, n, err);
}

static void bus_event(struct queue *q, const char *key, const void *body, size_t len)
{
    struct bus *b = handle_of(q)->bus;
    struct queue *all[HANDLES_MAX];

    (void)pthread_mutex_lock(&b->lock);
    size_t n = handle_of(q)->away ? 0 : b->n_handles;
    for (size_t i = 0; i < n; i++)
        all[i] = b->handles[i]->ears;
    (void)pthread_mutex_unlock(&b->lock);
    for (size_t i = 0; i < n; i++)
        all[i]->ops->event(all[i], key, body, len);
}

static void bus_state(struct queue *q, struct queue_state *ret)
{
    struct handle *h = handle_of(q);

    *ret = (struct queue_state){ 0 };
    (void)pthread_mutex_lock(&h->bus->lock);
    ret->connected = !h->away;
    ret->reconnects = h->lost;
    (void)pthread_mutex_unlock(&h->bus->lock);
}

static void bus_close(struct queue *q)
{
    raise_flag(handle_of(q), &handle_of(q)->closed);
    handle_of(q)->ears->ops->close(handle_of(q)->ears);
}

static void bus_handle_free(struct queue *q)
{
    (void)q; /* the bus does */
}

static const struct queue_ops bus_ops = {
    .name = "bus",
    .publish = bus_publish,
    .consume = bus_consume,
    .ack = bus_ack,
    .reject = bus_reject,
    .depth = bus_depth,
    .stop = bus_stop,
    .resume = bus_resume,
    .listen = bus_listen,
    .event = bus_event,
    .state = bus_state,
    .close = bus_close,
    .free = bus_handle_free,
};

struct bus *bus_new(void)
{
    struct bus *b = calloc(1, sizeof(*b));

    if (!b)
        return NULL;
    (void)pthread_mutex_init(&b->lock, NULL);
    b->queue = queue_memory_new();
    return b;
}

void bus_free(struct bus *b)
{
    for (size_t i = 0; i < b->n_handles; i++) {
        queue_free(b->handles[i]->ears);
        free(b->handles[i]);
    }
    queue_free(b->queue);
    (void)pthread_mutex_destroy(&b->lock);
    free(b);
}

struct queue *bus_connect(struct bus *b)
{
    struct handle *h = calloc(1, sizeof(*h));

    if (!h)
        return NULL;
    h->queue.ops = &bus_ops;
    h->bus = b;
    h->ears = queue_memory_new();
    (void)pthread_mutex_lock(&b->lock);
    b->handles[b->n_handles++] = h;
    (void)pthread_mutex_unlock(&b->lock);
    return &h->queue;
}

void bus_lose(struct queue *handle)
{
    struct handle *h = handle_of(handle);
    struct queue *inner = h->bus->queue;

    (void)pthread_mutex_lock(&h->bus->lock);
    while (h->n_out > 0)
        (void)inner->ops->reject(inner, &h->out[--h->n_out], 1, NULL, NULL);
    h->lost++;
    (void)pthread_mutex_unlock(&h->bus->lock);
}

void bus_away(struct queue *handle, int away)
{
    struct handle *h = handle_of(handle);

    (void)pthread_mutex_lock(&h->bus->lock);
    h->away = away;
    (void)pthread_mutex_unlock(&h->bus->lock);
}
