/* memory.c - the embedded queue: lists in memory, one lock.
 *
 * A message is `ready` in its queue's list, or `out` with a consumer until
 * that acks or rejects it. Consumers are threads of this process and never
 * go away without saying so; the queue keeps its own copy of what is out,
 * so that a rejected message comes back as it was published. Events are
 * delivered for good: whoever listens is in this process too.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../base/cleanup.h"
#include "../base/clock.h"
#include "../base/err.h"
#include "../base/utf8.h"
#include "queue.h"

enum { EVENTS_MAX = 1024, PATTERNS_MAX = 64 };

struct message {
    struct message *next;
    uint64_t tag;
    char *key, *from, *reason; /* owned; see struct queue_msg */
    unsigned deliveries;
    size_t len;
    char body[]; /* len bytes and a NUL */
};

struct lane {
    struct lane *next;
    struct message *head, **tail; /* ready */
    struct message *out;
    size_t n_ready;
    int stopped;
    pthread_cond_t ready; /* signalled for each message, broadcast at stop and close */
    char name[];
};

struct memory_queue {
    struct queue queue;
    pthread_mutex_t lock; /* guards everything below and the lanes */
    struct lane *lanes;
    char *patterns[PATTERNS_MAX]; /* what listen() asked for */
    size_t n_patterns;
    uint64_t last_tag;
    int64_t made_ms;
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

static void message_free(struct message *m)
{
    if (!m)
        return;
    free(m->key);
    free(m->from);
    free(m->reason);
    free(m);
}

static void free_messages(struct message *m)
{
    while (m) {
        struct message *next = m->next;
        message_free(m);
        m = next;
    }
}

static struct message *message_new(const void *body, size_t len)
{
    struct message *m = calloc(1, sizeof(*m) + len + 1);

    if (!m)
        return NULL;
    m->len = len;
    if (len > 0)
        memcpy(m->body, body, len);
    return m;
}

/* A list of copies, in order. */
static int copy_texts(const char *name, const struct queue_text *texts, size_t n,
                      struct message **ret, struct err *err)
{
    struct message *list = NULL, **tail = &list;

    for (size_t i = 0; i < n; i++) {
        if (texts[i].len > QUEUE_BODY_MAX) {
            free_messages(list);
            return err_set(err, -EMSGSIZE, ERR_USAGE, "a message of %zu bytes for %s, limit %d",
                           texts[i].len, name, QUEUE_BODY_MAX);
        }
        *tail = message_new(texts[i].body, texts[i].len);
        if (!*tail) {
            free_messages(list);
            return no_memory(err);
        }
        tail = &(*tail)->next;
    }
    *ret = list;
    return 0;
}

static int memory_publish(struct queue *queue, const char *name, const struct queue_text *texts,
                          size_t n, int timeout_ms, struct err *err)
{
    struct memory_queue *q = memory_queue(queue);
    struct message *list = NULL;
    int r = copy_texts(name, texts, n, &list, err);

    (void)timeout_ms;
    if (r < 0)
        return r;
    (void)pthread_mutex_lock(&q->lock);
    struct lane *l = q->closed ? NULL : lane_get(q, name);
    while (l && list) {
        struct message *m = list;
        list = m->next;
        m->tag = ++q->last_tag;
        push_tail(l, m);
    }
    if (!l)
        r = q->closed ? err_set(err, -ESHUTDOWN, ERR_CANCELED, "the queue %s is closed", name)
                      : no_memory(err);
    (void)pthread_mutex_unlock(&q->lock);
    free_messages(list);
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

    while (!q->closed && !l->stopped && !l->head) {
        if (r == ETIMEDOUT || timeout_ms == 0)
            return -EAGAIN;
        if (timeout_ms < 0)
            (void)pthread_cond_wait(&l->ready, &q->lock);
        else
            r = pthread_cond_timedwait(&l->ready, &q->lock, &until);
    }
    return q->closed || l->stopped ? -ESHUTDOWN : 0;
}

/* 0 and a copy, or NULL of NULL. */
static int copy_string(const char *s, char **ret)
{
    *ret = s ? strdup(s) : NULL;
    return s && !*ret ? -ENOMEM : 0;
}

static int copy_message(const struct message *m, struct queue_msg *ret)
{
    struct queue_msg copy = { .body = malloc(m->len + 1), .len = m->len };

    if (!copy.body || copy_string(m->key, &copy.key) < 0 || copy_string(m->from, &copy.from) < 0 ||
        copy_string(m->reason, &copy.reason) < 0) {
        queue_msg_release(&copy);
        return -ENOMEM;
    }
    memcpy(copy.body, m->body, m->len + 1);
    *ret = copy;
    return 0;
}

/* Hand the first ready message out as a copy. Locked. */
static int deliver(struct lane *l, struct queue_msg *ret, struct err *err)
{
    struct queue_msg copy;

    if (copy_message(l->head, &copy) < 0)
        return no_memory(err);
    struct message *m = pop(l);
    copy.tag = m->tag;
    copy.deliveries = ++m->deliveries;
    if (m->key) {
        message_free(m); /* an event: nobody gives it back */
    } else {
        m->next = l->out;
        l->out = m;
    }
    *ret = copy;
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

    if (msg->key)
        return 0;
    (void)pthread_mutex_lock(&q->lock);
    struct message *m = take_out(q, msg->tag, &l);
    (void)pthread_mutex_unlock(&q->lock);
    if (!m)
        return unknown_tag(err, msg);
    message_free(m);
    return 0;
}

/* Say of a dead letter where it comes from and why; what it already says of
 * an earlier death stays. Takes *reason. Locked. */
static int bury(struct lane *dead, const struct lane *l, struct message *m, char **reason)
{
    if (!m->from) {
        m->from = strdup(l->name);
        if (!m->from)
            return -ENOMEM;
        m->reason = take_ptr(*reason);
    }
    m->deliveries = 0;
    push_tail(dead, m);
    return 0;
}

static int memory_reject(struct queue *queue, const struct queue_msg *msg, int requeue,
                         const char *reason, struct err *err)
{
    struct memory_queue *q = memory_queue(queue);
    _cleanup_free_ char *why = NULL;
    struct lane *l, *dead;
    int r = 0;

    if (msg->key)
        return 0;
    if (reason && !requeue && !(why = strndup(reason, utf8_cut(reason, QUEUE_REASON_MAX))))
        return no_memory(err);
    (void)pthread_mutex_lock(&q->lock);
    dead = requeue ? NULL : lane_get(q, QUEUE_DEAD); /* before anything is moved: it may fail */
    struct message *m = requeue || dead ? take_out(q, msg->tag, &l) : NULL;
    if (!requeue && !dead) {
        r = no_memory(err);
    } else if (!m) {
        r = unknown_tag(err, msg);
    } else if (requeue) {
        push_head(l, m);
    } else if (bury(dead, l, m, &why) < 0) {
        push_head(l, m);
        r = no_memory(err);
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

static void set_stopped(struct queue *queue, const char *name, int stopped)
{
    struct memory_queue *q = memory_queue(queue);

    (void)pthread_mutex_lock(&q->lock);
    struct lane *l = lane_get(q, name);
    if (l) {
        l->stopped = stopped;
        (void)pthread_cond_broadcast(&l->ready);
    }
    (void)pthread_mutex_unlock(&q->lock);
}

static void memory_stop(struct queue *queue, const char *name)
{
    set_stopped(queue, name, 1);
}

static void memory_resume(struct queue *queue, const char *name)
{
    set_stopped(queue, name, 0);
}

static int memory_listen(struct queue *queue, const char *const *patterns, size_t n,
                         struct err *err)
{
    struct memory_queue *q = memory_queue(queue);
    int r = 0;

    if (n == 0 || n > PATTERNS_MAX)
        return err_set(err, -EINVAL, ERR_USAGE, "%zu patterns to listen to, 1 to %d are allowed", n,
                       PATTERNS_MAX);
    (void)pthread_mutex_lock(&q->lock);
    if (q->n_patterns > 0)
        r = err_set(err, -EALREADY, ERR_USAGE, "listening to events already");
    for (size_t i = 0; i < n && r == 0; i++) {
        q->patterns[i] = strdup(patterns[i]);
        if (q->patterns[i])
            q->n_patterns = i + 1;
        else
            r = no_memory(err);
    }
    (void)pthread_mutex_unlock(&q->lock);
    return r;
}

/* Locked. */
static int is_heard(const struct memory_queue *q, const char *key)
{
    for (size_t i = 0; i < q->n_patterns; i++)
        if (queue_topic_match(q->patterns[i], key))
            return 1;
    return 0;
}

static void memory_event(struct queue *queue, const char *key, const void *body, size_t len)
{
    struct memory_queue *q = memory_queue(queue);
    struct message *m = len > QUEUE_BODY_MAX || strlen(key) > QUEUE_KEY_MAX
                            ? NULL
                            : message_new(body, len);

    if (!m || !(m->key = strdup(key))) {
        message_free(m);
        return;
    }
    (void)pthread_mutex_lock(&q->lock);
    struct lane *l = !q->closed && is_heard(q, key) ? lane_get(q, QUEUE_EVENTS) : NULL;
    if (l) {
        if (l->n_ready >= EVENTS_MAX)
            message_free(pop(l));
        m->tag = ++q->last_tag;
        push_tail(l, take_ptr(m));
    }
    (void)pthread_mutex_unlock(&q->lock);
    message_free(m);
}

static void memory_state(struct queue *queue, struct queue_state *ret)
{
    *ret = (struct queue_state){ .connected = 1, .since_ms = memory_queue(queue)->made_ms };
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
    for (size_t i = 0; i < q->n_patterns; i++)
        free(q->patterns[i]);
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
    .stop = memory_stop,
    .resume = memory_resume,
    .listen = memory_listen,
    .event = memory_event,
    .state = memory_state,
    .close = memory_close,
    .free = memory_free,
};

struct queue *queue_memory_new(void)
{
    struct memory_queue *q = calloc(1, sizeof(*q));

    if (!q)
        return NULL;
    q->queue.ops = &memory_ops;
    q->made_ms = clock_system.wall_ms(&clock_system);
    (void)pthread_mutex_init(&q->lock, NULL);
    return &q->queue;
}
