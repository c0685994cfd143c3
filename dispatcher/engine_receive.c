/* engine_receive.c - messages from the queue into the inbox, parsed on the
 * way: one thread for each kind. */
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../common/base/log.h"
#include "../common/queue/queue.h"
#include "../common/wire/json_text.h"
#include "../common/wire/result.h"
#include "job.h"

enum {
    LOOK_MS = 200,         /* how long a receiver may not see that it is to end */
    LOOK_EMBEDDED_MS = 20, /* likewise; asking the embedded queue costs nothing */
    PAUSE_MS = 100,        /* after an error of the queue */
    RECEIVERS_MAX = 3,
};

struct receiver {
    struct dispatcher *d; /* only what never changes is read: queue, inbox */
    const char *queue;
    pthread_t thread;
    int running;
    atomic_int stopping;
};

void received_free(struct received *m)
{
    if (!m)
        return;
    if (m->msg)
        queue_msg_release(m->msg);
    free(m->msg);
    if (m->result)
        task_result_release(m->result);
    free(m->result);
    if (m->heartbeat)
        heartbeat_release(m->heartbeat);
    free(m->heartbeat);
    free(m->job);
    free(m->task);
    free(m);
}

/* On this thread, however large it is: nothing else waits for it. */
static void parse_about(struct received *m, const char *task_key)
{
    json_t *json;

    if (json_text_read(m->msg->body, m->msg->len, ERR_INTERNAL, &json, NULL) < 0)
        return;
    const char *job = json_string_value(json_object_get(json, "job"));
    const char *task = json_string_value(json_object_get(json, task_key));
    json_int_t attempt = json_integer_value(json_object_get(json, "attempt"));

    m->job = job ? strdup(job) : NULL;
    m->task = task ? strdup(task) : NULL;
    m->attempt = attempt > 0 && attempt <= INT_MAX ? (unsigned)attempt : 0;
    json_decref(json);
}

static void parse_result(struct received *m)
{
    m->result = calloc(1, sizeof(*m->result));
    if (!m->result) {
        (void)engine_no_memory(&m->why);
    } else if (task_result_from_text(m->msg->body, m->msg->len, m->result, &m->why) < 0) {
        free(m->result);
        m->result = NULL;
        parse_about(m, "task");
    }
}

static void parse_dead(struct received *m)
{
    const char *from = m->msg->from;

    parse_about(m, from && strcmp(from, QUEUE_RESULTS) == 0 ? "task" : "id");
}

static void parse_event(struct received *m)
{
    m->heartbeat = calloc(1, sizeof(*m->heartbeat));
    if (m->heartbeat && heartbeat_from_text(m->msg->body, m->msg->len, m->heartbeat, &m->why) < 0) {
        log_event(LOG_WARN, "heartbeat.unreadable", LSTR("key", m->msg->key),
                  LSTR("error", m->why.text));
        free(m->heartbeat);
        m->heartbeat = NULL;
    }
}

static struct received *received_new(const char *queue)
{
    struct received *m = calloc(1, sizeof(*m));

    if (m && !(m->msg = calloc(1, sizeof(*m->msg)))) {
        free(m);
        return NULL;
    }
    if (m) {
        m->item.kind = INBOX_RECEIVED;
        m->queue = queue;
    }
    return m;
}

static void pause_ms(int ms)
{
    const struct timespec t = { ms / 1000, (long)(ms % 1000) * NS_PER_MS };

    (void)nanosleep(&t, NULL);
}

/* 0, or what ended it. */
static int receive_one(const struct receiver *v, struct received *m)
{
    struct queue *q = v->d->cfg.queue;
    int look_ms = v->d->survives ? LOOK_MS : LOOK_EMBEDDED_MS;
    int r = q->ops->consume(q, v->queue, look_ms, m->msg, &m->why);

    if (r < 0)
        return r;
    if (strcmp(v->queue, QUEUE_RESULTS) == 0)
        parse_result(m);
    else if (strcmp(v->queue, QUEUE_DEAD) == 0)
        parse_dead(m);
    else if (strcmp(v->queue, QUEUE_EVENTS) == 0)
        parse_event(m);
    return 0;
}

static void *receiver_main(void *arg)
{
    struct receiver *v = arg;
    struct received *m = NULL;
    int r = 0;

    while (!atomic_load(&v->stopping) && r != -ESHUTDOWN) {
        if (!m && !(m = received_new(v->queue))) {
            pause_ms(PAUSE_MS);
            continue;
        }
        r = receive_one(v, m);
        if (r == 0) {
            r = inbox_put_bounded(v->d->inbox, &m->item);
            if (r == 0)
                m = NULL;
            else
                (void)v->d->cfg.queue->ops->reject(v->d->cfg.queue, m->msg, 1, NULL, NULL);
        } else if (r != -EAGAIN && r != -ESHUTDOWN) {
            log_event(LOG_WARN, "queue.failed", LSTR("queue", v->queue),
                      LSTR("error", m->why.text));
            pause_ms(PAUSE_MS);
        }
    }
    received_free(m);
    return NULL;
}

int engine_receive_start(struct dispatcher *d, struct err *err)
{
    static const char *const heartbeats[] = { "event.worker.*" };
    static const char *const queues[RECEIVERS_MAX] = { QUEUE_RESULTS, QUEUE_DEAD, QUEUE_EVENTS };
    struct queue *q = d->cfg.queue;
    size_t n = d->cfg.board ? RECEIVERS_MAX : RECEIVERS_MAX - 1; /* a farm has heartbeats */
    int r = d->cfg.board ? q->ops->listen(q, heartbeats, 1, err) : 0;

    d->receivers = calloc(RECEIVERS_MAX, sizeof(*d->receivers));
    if (!d->receivers)
        return engine_no_memory(err);
    for (size_t i = 0; i < n && r == 0; i++) {
        struct receiver *v = &d->receivers[i];
        v->d = d;
        v->queue = queues[i];
        r = -pthread_create(&v->thread, NULL, receiver_main, v);
        v->running = r == 0;
        if (r < 0)
            (void)err_set(err, r, ERR_RESOURCE, "can't start a thread: %s", strerror(-r));
    }
    return r;
}

void engine_receive_stop(struct dispatcher *d)
{
    for (size_t i = 0; d->receivers && i < RECEIVERS_MAX; i++)
        atomic_store(&d->receivers[i].stopping, 1);
    for (size_t i = 0; d->receivers && i < RECEIVERS_MAX; i++)
        if (d->receivers[i].running)
            (void)pthread_join(d->receivers[i].thread, NULL);
    free(d->receivers);
    d->receivers = NULL;
}
