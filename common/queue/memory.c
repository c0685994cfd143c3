/* memory.c - the embedded queue: lists in memory, one lock.
 *
 * A message is `ready` in its queue's list, or `out` with a consumer until
 * that acks or rejects it. Consumers are threads of this process and never
 * go away without saying so; the queue keeps its own copy of what is out,
 * so that a rejected message comes back as it was published.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../base/cleanup.h"
#include "../base/err.h"
#include "queue.h"

struct message {
    struct message *next;
    uint64_t tag;
    unsigned deliveries;
    size_t len;
    char body[]; /* len bytes and a NUL */
};

struct lane {
    struct lane *next;
    struct message *head, **tail; /* ready */
    struct message *out;
    size_t n_ready;
    pthread_cond_t ready; /* signalled for each message, broadcast at close */
    char name[];
};

struct memory_queue {
    struct queue queue;
    pthread_mutex_t lock; /* guards everything below and the lanes */
    struct lane *lanes;
    uint64_t last_tag;
    int closed;
};

static struct memory_queue *memory_queue(struct queue *q)
{
    return (struct memory_queue *)q; /* queue is its first member */
}

static int no_memory(struct err *err)
{
    return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory");
}

static struct lane *lane_new(const char *name)
{
    struct lane *l = calloc(1, sizeof(*l) + strlen(name) + 1);
    pthread_condattr_t attr;

    if (!l)
        return NULL;
    strcpy(l->name, name);
    l->tail = &l->head;
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&l->ready, &attr);
    (void)pthread_condattr_destroy(&attr);
    return l;
}

/* The lane of that name, made if need be; NULL: out of memory. Locked. */
static struct lane *lane_get(struct memory_queue *q, const char *name)
{
    struct lane *l = q->lanes;

    while (l && strcmp(l->name, name) != 0)
        l = l->next;
    if (!l && (l = lane_new(name))) {
        l->next = q->lanes;
        q->lanes = l;
    }
    return l;
}

static void push_tail(struct lane *l, struct message *m)
{
    m->next = NULL;
    *l->tail = m;
    l->tail = &m->next;
    l->n_ready++;
    (void)pthread_cond_signal(&l->ready);
}

static void push_head(struct lane *l, struct message *m)
{
    m->next = l->head;
    l->head = m;
    if (!m->next)
        l->tail = &m->next;
    l->n_ready++;
    (void)pthread_cond_signal(&l->ready);
}

static struct message *pop(struct lane *l)
{
    struct message *m = l->head;

    if (m) {
        l->head = m->next;
        if (!l->head)
            l->tail = &l->head;
        l->n_ready--;
    }
    return m;
}

/* Take the message with `tag` off its lane's `out` list. Locked. */
static struct message *take_out(struct memory_queue *q, uint64_t tag, struct lane **ret_lane)
{
    for (struct lane *l = q->lanes; l; l = l->next)
        for (struct message **p = &l->out; *p; p = &(*p)->next)
            if ((*p)->tag == tag) {
                struct message *m = *p;
                *p = m->next;
                *ret_lane = l;
                return m;
            }
    return NULL;
}

static int memory_publish(struct queue *queue, const char *name, const void *body, size_t len,
                          struct err *err)
{
    struct memory_queue *q = memory_queue(queue);
    int r = 0;

    if (len > QUEUE_BODY_MAX)
        return err_set(err, -EMSGSIZE, ERR_USAGE, "a message of %zu bytes for %s, limit %d", len,
                       name, QUEUE_BODY_MAX);
    struct message *m = malloc(sizeof(*m) + len + 1);
    if (!m)
        return no_memory(err);
    *m = (struct message){ .len = len };
    if (len > 0)
        memcpy(m->body, body, len);
    m->body[len] = '\0';

    (void)pthread_mutex_lock(&q->lock);
    struct lane *l = q->closed ? NULL : lane_get(q, name);
    if (l) {
        m->tag = ++q->last_tag;
        push_tail(l, take_ptr(m));
    } else {
        r = q->closed ? err_set(err, -ESHUTDOWN, ERR_CANCELED, "the queue %s is closed", name)
                      : no_memory(err);
    }
    (void)pthread_mutex_unlock(&q->lock);
    free(m);
    return r;
}

static struct timespec deadline_in(int timeout_ms)
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

/* 0 with a message ready in `l`, -EAGAIN or -ESHUTDOWN. Locked. */
static int wait_ready(struct memory_queue *q, struct lane *l, int timeout_ms)
{
    struct timespec until = deadline_in(timeout_ms < 0 ? 0 : timeout_ms);
    int r = 0;

    while (!q->closed && !l->head) {
        if (r == ETIMEDOUT || timeout_ms == 0)
            return -EAGAIN;
        if (timeout_ms < 0)
            (void)pthread_cond_wait(&l->ready, &q->lock);
        else
            r = pthread_cond_timedwait(&l->ready, &q->lock, &until);
    }
    return q->closed ? -ESHUTDOWN : 0;
}

/* Hand the first ready message out as a copy. Locked. */
static int deliver(struct lane *l, struct queue_msg *ret, struct err *err)
{
    char *body = malloc(l->head->len + 1);

    if (!body)
        return no_memory(err);
    struct message *m = pop(l);
    memcpy(body, m->body, m->len + 1);
    m->deliveries++;
    m->next = l->out;
    l->out = m;
    *ret = (struct queue_msg){ body, m->len, m->tag, m->deliveries };
    return 0;
}

static int memory_consume(struct queue *queue, const char *name, int timeout_ms,
                          struct queue_msg *ret, struct err *err)
{
    struct memory_queue *q = memory_queue(queue);
    int r;

    (void)pthread_mutex_lock(&q->lock);
    struct lane *l = lane_get(q, name);
    r = l ? wait_ready(q, l, timeout_ms) : no_memory(err);
    if (r == 0)
        r = deliver(l, ret, err);
    else if (r == -ESHUTDOWN)
        (void)err_set(err, r, ERR_CANCELED, "the queue %s is closed", name);
    else if (r == -EAGAIN)
        (void)err_set(err, r, ERR_TIMEOUT, "no message in %s for %d ms", name, timeout_ms);
    (void)pthread_mutex_unlock(&q->lock);
    return r;
}

static int unknown_tag(struct err *err, const struct queue_msg *m)
{
    return err_set(err, -EINVAL, ERR_INTERNAL, "message %llu is not out with a consumer",
                   (unsigned long long)m->tag);
}

static int memory_ack(struct queue *queue, const struct queue_msg *msg, struct err *err)
{
    struct memory_queue *q = memory_queue(queue);
    struct lane *l;

    (void)pthread_mutex_lock(&q->lock);
    struct message *m = take_out(q, msg->tag, &l);
    (void)pthread_mutex_unlock(&q->lock);
    if (!m)
        return unknown_tag(err, msg);
    free(m);
    return 0;
}

static int memory_reject(struct queue *queue, const struct queue_msg *msg, int requeue,
                         struct err *err)
{
    struct memory_queue *q = memory_queue(queue);
    struct lane *l, *dead;
    int r = 0;

    (void)pthread_mutex_lock(&q->lock);
    dead = requeue ? NULL : lane_get(q, QUEUE_DEAD); /* before anything is moved: it may fail */
    struct message *m = requeue || dead ? take_out(q, msg->tag, &l) : NULL;
    if (!requeue && !dead) {
        r = no_memory(err);
    } else if (!m) {
        r = unknown_tag(err, msg);
    } else if (requeue) {
        push_head(l, m);
    } else {
        m->deliveries = 0;
        push_tail(dead, m);
    }
    (void)pthread_mutex_unlock(&q->lock);
    return r;
}

static int memory_depth(struct queue *queue, const char *name, size_t *ret)
{
    struct memory_queue *q = memory_queue(queue);

    (void)pthread_mutex_lock(&q->lock);
    struct lane *l = lane_get(q, name);
    if (l)
        *ret = l->n_ready;
    (void)pthread_mutex_unlock(&q->lock);
    return l ? 0 : -ENOMEM;
}

static void memory_close(struct queue *queue)
{
    struct memory_queue *q = memory_queue(queue);

    (void)pthread_mutex_lock(&q->lock);
    q->closed = 1;
    for (struct lane *l = q->lanes; l; l = l->next)
        (void)pthread_cond_broadcast(&l->ready);
    (void)pthread_mutex_unlock(&q->lock);
}

static void free_messages(struct message *m)
{
    while (m) {
        struct message *next = m->next;
        free(m);
        m = next;
    }
}

static void memory_free(struct queue *queue)
{
    struct memory_queue *q = memory_queue(queue);

    for (struct lane *l = q->lanes, *next; l; l = next) {
        next = l->next;
        free_messages(l->head);
        free_messages(l->out);
        (void)pthread_cond_destroy(&l->ready);
        free(l);
    }
    (void)pthread_mutex_destroy(&q->lock);
    free(q);
}

static const struct queue_ops memory_ops = {
    .name = "memory",
    .publish = memory_publish,
    .consume = memory_consume,
    .ack = memory_ack,
    .reject = memory_reject,
    .depth = memory_depth,
    .close = memory_close,
    .free = memory_free,
};

struct queue *queue_memory_new(void)
{
    struct memory_queue *q = calloc(1, sizeof(*q));

    if (!q)
        return NULL;
    q->queue.ops = &memory_ops;
    (void)pthread_mutex_init(&q->lock, NULL);
    return &q->queue;
}

void queue_msg_release(struct queue_msg *m)
{
    free(m->body);
    *m = (struct queue_msg){ 0 };
}
