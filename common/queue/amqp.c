/* amqp.c - what callers do; see amqp_parts.h for who does what. */
#include "amqp.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>

#include "../base/cleanup.h"
#include "../base/clock.h"
#include "../base/err.h"
#include "amqp_parts.h"

enum {
    DEPTH_FRESH_MS = 300, /* depth() is asked often and needn't be exact */
    DEPTH_WAIT_MS = 5000,
    LISTEN_WAIT_MS = 10000,
    EVENT_MAX = 256 << 10,
    JOIN_WAIT_MS = 8000,
    BACKOFF_FIRST_MS = 100,
};

void amqp_wake(struct amqp_queue *q)
{
    (void)eventfd_write(q->wake_fd, 1);
}

int64_t amqp_now_ms(void)
{
    return clock_system.mono_ns(&clock_system) / NS_PER_MS;
}

int64_t amqp_backoff_ms(struct amqp_queue *q, unsigned n, int64_t most)
{
    int64_t ms = (int64_t)BACKOFF_FIRST_MS << (n < 16 ? n : 16);

    ms = ms < most ? ms : most;
    q->random = q->random * 1664525U + 1013904223U;
    return ms / 2 + (int64_t)(q->random >> 8) % (ms / 2 + 1);
}

static int no_memory(struct err *err)
{
    return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory");
}

static int closed(struct err *err)
{
    return err_set(err, -ESHUTDOWN, ERR_CANCELED, "the queue is closed");
}

static struct timespec time_at(int64_t ms)
{
    return (struct timespec){ .tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000 };
}

/* Waits until `until_ms` (-1: without end). 0 or -ETIMEDOUT. Locked. */
static int wait_until(pthread_cond_t *c, struct amqp_queue *q, int64_t until_ms)
{
    if (until_ms < 0)
        return -pthread_cond_wait(c, &q->lock);
    const struct timespec t = time_at(until_ms);
    return -pthread_cond_timedwait(c, &q->lock, &t);
}

static int64_t until(int timeout_ms)
{
    return timeout_ms < 0 ? -1 : amqp_now_ms() + timeout_ms;
}

/* Copies, in a list of their own. */
static int copy_texts(const char *name, const struct queue_text *texts, size_t n, struct batch *b,
                      struct outgoing_list *ret, struct err *err)
{
    for (size_t i = 0; i < n; i++) {
        if (texts[i].len > QUEUE_BODY_MAX)
            return err_set(err, -EMSGSIZE, ERR_USAGE, "a message of %zu bytes for %s, limit %d",
                           texts[i].len, name, QUEUE_BODY_MAX);
        struct outgoing *m = outgoing_new(name, texts[i].body, texts[i].len);
        if (!m)
            return no_memory(err);
        m->batch = b;
        b->refs++;
        b->left++;
        outgoing_push(ret, m);
    }
    return 0;
}

static void forget_batch(struct amqp_queue *q, struct batch *b)
{
    struct outgoing **at = &q->outbox.head;

    b->abandoned = 1; /* those on their way are not sent again */
    while (*at) {
        struct outgoing *m = *at;
        if (m->batch == b) {
            outgoing_remove(&q->outbox, at);
            outgoing_done(m, -ECANCELED, NULL);
        } else {
            at = &m->next;
        }
    }
}

/* Locked. */
static int wait_confirmed(struct amqp_queue *q, const char *name, struct batch *b, int timeout_ms,
                          struct err *err)
{
    int64_t end = until(timeout_ms);
    int r = 0;

    while (b->left > 0 && b->r == 0 && !q->closed && r != -ETIMEDOUT)
        r = wait_until(&q->changed, q, end);
    if (b->left == 0 && b->r == 0)
        return 0;
    if (b->r < 0) {
        if (err)
            *err = *b->err;
        r = b->r;
    } else if (q->closed) {
        r = closed(err);
    } else {
        r = err_set(err, -ETIMEDOUT, ERR_STORAGE,
                    "the broker didn't take %zu messages for %s within %d ms%s%s", b->left, name,
                    timeout_ms, *q->state.reason ? ": " : "", q->state.reason);
    }
    forget_batch(q, b);
    return r;
}

static int amqp_op_publish(struct queue *queue, const char *name, const struct queue_text *texts,
                           size_t n, int timeout_ms, struct err *err)
{
    struct amqp_queue *q = amqp_queue_of(queue);
    struct batch *b = batch_new(&q->changed);
    struct outgoing_list list;
    struct outgoing *m;

    if (!b)
        return no_memory(err);
    outgoing_init(&list);
    int r = strlen(name) > QUEUE_KEY_MAX
                ? err_set(err, -EINVAL, ERR_USAGE, "a queue's name has %zu bytes, limit %d",
                          strlen(name), QUEUE_KEY_MAX)
                : copy_texts(name, texts, n, b, &list, err);
    (void)pthread_mutex_lock(&q->lock);
    if (r == 0 && q->closed)
        r = closed(err);
    if (r < 0) {
        outgoing_clear(&list);
    } else {
        while ((m = outgoing_pop(&list)))
            outgoing_push(&q->outbox, m);
        amqp_wake(q);
        r = wait_confirmed(q, name, b, timeout_ms, err);
    }
    batch_unref(b);
    (void)pthread_mutex_unlock(&q->lock);
    return r;
}

/* Locked. */
static void take_ready(struct lane *l, struct queue_msg *ret)
{
    struct delivery *d = l->head;

    l->head = d->next;
    if (!l->head)
        l->tail = &l->head;
    l->n_ready--;
    *ret = d->msg;
    free(d);
}

static int amqp_op_consume(struct queue *queue, const char *name, int timeout_ms,
                           struct queue_msg *ret, struct err *err)
{
    struct amqp_queue *q = amqp_queue_of(queue);
    int64_t end = until(timeout_ms);
    int r = 0;

    (void)pthread_mutex_lock(&q->lock);
    struct lane *l = lane_get(q, name);
    if (l && !l->wanted && !l->stopped && !lane_is_events(l)) {
        l->wanted = 1;
        amqp_wake(q);
    }
    while (l && !l->head && !q->closed && !l->stopped && r != -ETIMEDOUT)
        r = timeout_ms == 0 ? -ETIMEDOUT : wait_until(&l->ready, q, end);
    if (!l) {
        r = err_set(err, -EINVAL, ERR_USAGE, "no more than %d queues can be consumed", LANES_MAX);
    } else if (q->closed || l->stopped) {
        r = err_set(err, -ESHUTDOWN, ERR_CANCELED, "the queue %s is closed", name);
    } else if (!l->head) {
        r = err_set(err, -EAGAIN, ERR_TIMEOUT, "no message in %s for %d ms", name, timeout_ms);
    } else {
        take_ready(l, ret);
        r = 0;
    }
    (void)pthread_mutex_unlock(&q->lock);
    return r;
}

/* The lane that the message is out of, or NULL with *ret_r set. Locked. */
static struct lane *lane_out(struct amqp_queue *q, const struct queue_msg *m, int *ret_r,
                             struct err *err)
{
    struct lane *l = lane_of_tag(q, m->tag);

    if (!l)
        *ret_r = err_set(err, -ESTALE, ERR_STORAGE,
                         "the message went back to the broker when the connection was lost");
    else if (!lane_has(l, m->tag))
        *ret_r = err_set(err, -EINVAL, ERR_INTERNAL, "message %llu is not out with a consumer",
                         (unsigned long long)m->tag);
    else
        return l;
    return NULL;
}

static int amqp_op_ack(struct queue *queue, const struct queue_msg *m, struct err *err)
{
    struct amqp_queue *q = amqp_queue_of(queue);
    int r = 0;

    if (m->key)
        return 0;
    (void)pthread_mutex_lock(&q->lock);
    struct lane *l = lane_out(q, m, &r, err);
    if (l && settle_add(q, m->tag, 0) < 0)
        r = no_memory(err);
    else if (l)
        (void)lane_settle(l, m->tag);
    (void)pthread_mutex_unlock(&q->lock);
    amqp_wake(q);
    return r;
}

static int amqp_op_reject(struct queue *queue, const struct queue_msg *m, int requeue,
                          const char *reason, struct err *err)
{
    struct amqp_queue *q = amqp_queue_of(queue);
    int r = 0;

    if (m->key)
        return 0;
    (void)pthread_mutex_lock(&q->lock);
    struct lane *l = lane_out(q, m, &r, err);
    if (l)
        r = requeue ? settle_add(q, m->tag, 1) : lane_bury(q, l, m, reason);
    if (l && r < 0)
        r = no_memory(err);
    else if (l)
        (void)lane_settle(l, m->tag);
    (void)pthread_mutex_unlock(&q->lock);
    amqp_wake(q);
    return r;
}

/* Ask the broker, and wait. Locked. */
static int ask(struct amqp_queue *q, const char *name, size_t *ret)
{
    struct ask **end = &q->asks, *a = calloc(1, sizeof(*a));
    int64_t until_ms = until(DEPTH_WAIT_MS);
    int r = 0;

    if (!a)
        return -ENOMEM;
    strcpy(a->name, name); /* lane_get() looked at its length */
    a->refs = 2;
    while (*end)
        end = &(*end)->next;
    *end = a;
    amqp_wake(q);
    while (!a->done && !q->closed && r != -ETIMEDOUT)
        r = wait_until(&q->changed, q, until_ms);
    r = !a->done ? -EAGAIN : a->r;
    if (r == 0)
        *ret = a->depth;
    ask_unref(a);
    return r;
}

static int amqp_op_depth(struct queue *queue, const char *name, size_t *ret)
{
    struct amqp_queue *q = amqp_queue_of(queue);
    int r = 0;

    (void)pthread_mutex_lock(&q->lock);
    struct lane *l = lane_get(q, name);
    int64_t now = amqp_now_ms();
    if (!l) {
        r = -EINVAL;
    } else if (lane_is_events(l)) {
        l->depth = l->n_ready;
    } else if (!q->state.connected) {
        r = -EAGAIN;
    } else if (l->depth_ms == 0 || now - l->depth_ms > DEPTH_FRESH_MS) {
        r = ask(q, name, &l->depth);
        l->depth_ms = r == 0 ? now : 0;
    }
    if (r == 0)
        *ret = l->depth;
    (void)pthread_mutex_unlock(&q->lock);
    return r;
}

static void set_stopped(struct queue *queue, const char *name, int stopped)
{
    struct amqp_queue *q = amqp_queue_of(queue);

    (void)pthread_mutex_lock(&q->lock);
    struct lane *l = lane_get(q, name);
    if (l) {
        l->stopped = stopped;
        (void)pthread_cond_broadcast(&l->ready);
    }
    (void)pthread_mutex_unlock(&q->lock);
    amqp_wake(q);
}

static void amqp_op_stop(struct queue *queue, const char *name)
{
    set_stopped(queue, name, 1);
}

/* Its thread subscribes again (channels_maintain()). */
static void amqp_op_resume(struct queue *queue, const char *name)
{
    set_stopped(queue, name, 0);
}

/* Locked. */
static int set_patterns(struct amqp_queue *q, const char *const *patterns, size_t n,
                        struct err *err)
{
    if (q->n_patterns > 0)
        return err_set(err, -EALREADY, ERR_USAGE, "listening to events already");
    for (size_t i = 0; i < n; i++)
        if (strlen(patterns[i]) > QUEUE_KEY_MAX)
            return err_set(err, -EINVAL, ERR_USAGE, "a pattern has %zu bytes, limit %d",
                           strlen(patterns[i]), QUEUE_KEY_MAX);
    for (size_t i = 0; i < n; i++) {
        q->patterns[i] = strdup(patterns[i]);
        if (!q->patterns[i])
            return no_memory(err);
        q->n_patterns = i + 1;
    }
    return 0;
}

static int amqp_op_listen(struct queue *queue, const char *const *patterns, size_t n,
                          struct err *err)
{
    struct amqp_queue *q = amqp_queue_of(queue);
    int64_t end = until(LISTEN_WAIT_MS);

    if (n == 0 || n > PATTERNS_MAX)
        return err_set(err, -EINVAL, ERR_USAGE, "%zu patterns to listen to, 1 to %d are allowed", n,
                       PATTERNS_MAX);
    (void)pthread_mutex_lock(&q->lock);
    int r = set_patterns(q, patterns, n, err);
    struct lane *l = r == 0 ? lane_get(q, QUEUE_EVENTS) : NULL;
    if (r == 0 && !l)
        r = no_memory(err);
    if (l) {
        l->wanted = 1;
        amqp_wake(q);
    }
    for (int w = 0; l && !l->accepted && q->state.connected && !q->closed && w != -ETIMEDOUT;)
        w = wait_until(&q->changed, q, end);
    (void)pthread_mutex_unlock(&q->lock);
    return r;
}

static void amqp_op_event(struct queue *queue, const char *key, const void *body, size_t len)
{
    struct amqp_queue *q = amqp_queue_of(queue);
    struct outgoing *m = len > EVENT_MAX || strlen(key) > QUEUE_KEY_MAX
                             ? NULL
                             : outgoing_new(key, body, len);

    if (!m)
        return;
    m->is_event = 1;
    (void)pthread_mutex_lock(&q->lock);
    if (q->closed || !q->state.connected) {
        outgoing_free(m);
    } else {
        outgoing_push(&q->events, m);
        if (q->events.n > EVENTS_OUT_MAX)
            outgoing_free(outgoing_pop(&q->events));
    }
    (void)pthread_mutex_unlock(&q->lock);
    amqp_wake(q);
}

static void amqp_op_state(struct queue *queue, struct queue_state *ret)
{
    struct amqp_queue *q = amqp_queue_of(queue);

    (void)pthread_mutex_lock(&q->lock);
    *ret = q->state;
    (void)pthread_mutex_unlock(&q->lock);
}

static void amqp_op_close(struct queue *queue)
{
    struct amqp_queue *q = amqp_queue_of(queue);

    (void)pthread_mutex_lock(&q->lock);
    q->closed = 1;
    for (size_t i = 0; i < q->n_lanes; i++)
        (void)pthread_cond_broadcast(&q->lanes[i]->ready);
    (void)pthread_cond_broadcast(&q->changed);
    (void)pthread_mutex_unlock(&q->lock);
    amqp_wake(q);
}

static void join(struct amqp_queue *q)
{
    int64_t end = until(JOIN_WAIT_MS);

    (void)pthread_mutex_lock(&q->lock);
    q->quit = 1;
    amqp_wake(q);
    for (int r = 0; !q->ended && r != -ETIMEDOUT;)
        r = wait_until(&q->changed, q, end);
    /* It hangs in a send to a broker that takes nothing. */
    if (!q->ended && q->fd >= 0)
        (void)shutdown(q->fd, SHUT_RDWR);
    (void)pthread_mutex_unlock(&q->lock);
    (void)pthread_join(q->thread, NULL);
}

static void release(struct amqp_queue *q)
{
    outgoing_clear(&q->outbox);
    outgoing_clear(&q->events);
    outgoing_clear(&q->flight);
    for (size_t i = 0; i < q->n_lanes; i++)
        lane_free(q->lanes[i]);
    while (q->settles)
        settle_free(settle_pop(q));
    while (q->asks) {
        struct ask *a = q->asks;
        q->asks = a->next;
        ask_unref(a);
    }
    for (size_t i = 0; i < q->n_patterns; i++)
        free(q->patterns[i]);
    amqp_url_release(&q->url);
    free(q->name);
    free(q->ca_file);
    free(q->cert_file);
    free(q->key_file);
    free(q->last);
    if (q->wake_fd >= 0)
        (void)close(q->wake_fd);
    (void)pthread_cond_destroy(&q->changed);
    (void)pthread_mutex_destroy(&q->lock);
    free(q);
}

static void amqp_op_free(struct queue *queue)
{
    struct amqp_queue *q = amqp_queue_of(queue);

    amqp_op_close(queue);
    join(q);
    release(q);
}

static const struct queue_ops amqp_ops = {
    .name = "amqp",
    .publish = amqp_op_publish,
    .consume = amqp_op_consume,
    .ack = amqp_op_ack,
    .reject = amqp_op_reject,
    .depth = amqp_op_depth,
    .stop = amqp_op_stop,
    .resume = amqp_op_resume,
    .listen = amqp_op_listen,
    .event = amqp_op_event,
    .state = amqp_op_state,
    .close = amqp_op_close,
    .free = amqp_op_free,
};

static int copy_string(const char *s, char **ret)
{
    *ret = s ? strdup(s) : NULL;
    return s && !*ret ? -ENOMEM : 0;
}

static unsigned limit(unsigned value, unsigned unset, unsigned most)
{
    return value == 0 ? unset : value < most ? value : most;
}

static int configure(struct amqp_queue *q, const struct queue_amqp_config *cfg, struct err *err)
{
    q->prefetch = limit(cfg->prefetch, 1, PREFETCH_MAX);
    q->heartbeat_s = limit(cfg->heartbeat_s, 10, 600);
    q->connect_timeout_ms = cfg->connect_timeout_ms > 0 ? cfg->connect_timeout_ms : 5000;
    q->confirm_timeout_ms = cfg->confirm_timeout_ms > 0 ? cfg->confirm_timeout_ms : 30000;
    if ((cfg->cert_file == NULL) != (cfg->key_file == NULL))
        return err_set(err, -EINVAL, ERR_USAGE,
                       "a client's certificate for the broker needs its key, and the key it");
    if (getrandom(&q->random, sizeof(q->random), 0) != sizeof(q->random))
        return err_set(err, -EIO, ERR_INTERNAL, "no random numbers");
    if (copy_string(cfg->name ? cfg->name : "gopmill", &q->name) < 0 ||
        copy_string(cfg->ca_file, &q->ca_file) < 0 ||
        copy_string(cfg->cert_file, &q->cert_file) < 0 ||
        copy_string(cfg->key_file, &q->key_file) < 0 || !(q->last = calloc(1, sizeof(*q->last))))
        return no_memory(err);
    return amqp_url_parse(cfg->url, &q->url, err);
}

static void init(struct amqp_queue *q)
{
    pthread_condattr_t attr;

    q->queue.ops = &amqp_ops;
    q->fd = -1;
    q->ask.number = CH_ASK;
    q->publish.number = CH_PUBLISH;
    q->event.number = CH_EVENT;
    q->settles_tail = &q->settles;
    outgoing_init(&q->outbox);
    outgoing_init(&q->events);
    outgoing_init(&q->flight);
    q->state.since_ms = clock_system.wall_ms(&clock_system);
    q->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    (void)pthread_mutex_init(&q->lock, NULL);
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&q->changed, &attr);
    (void)pthread_condattr_destroy(&attr);
}

int queue_amqp_new(const struct queue_amqp_config *cfg, struct queue **ret, struct err *err)
{
    struct amqp_queue *q = calloc(1, sizeof(*q));
    int r;

    if (!q)
        return no_memory(err);
    init(q);
    r = q->wake_fd < 0
            ? err_set(err, -errno, ERR_RESOURCE, "can't make an eventfd: %s", strerror(errno))
            : configure(q, cfg, err);
    if (r == 0) {
        r = -pthread_create(&q->thread, NULL, amqp_thread, q);
        if (r < 0)
            (void)err_set(err, r, ERR_RESOURCE, "can't start the broker's thread: %s",
                          strerror(-r));
    }
    if (r < 0)
        release(q);
    else
        *ret = &q->queue;
    return r;
}

int queue_amqp_wait(struct queue *queue, int timeout_ms, struct err *err)
{
    struct amqp_queue *q = amqp_queue_of(queue);
    int64_t end = until(timeout_ms);
    int r = 0;

    (void)pthread_mutex_lock(&q->lock);
    while (!q->state.connected && !q->closed && r != -ETIMEDOUT)
        r = wait_until(&q->changed, q, end);
    if (q->closed)
        r = closed(err);
    else if (q->state.connected)
        r = 0;
    else
        r = err_set(err, -ETIMEDOUT, ERR_STORAGE, "no connection to the broker for %d ms: %s",
                    timeout_ms, *q->last->text ? q->last->text : "it doesn't answer");
    (void)pthread_mutex_unlock(&q->lock);
    return r;
}
