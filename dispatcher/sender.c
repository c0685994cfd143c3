#include "sender.h"

#include <errno.h>
#include <jansson.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "../common/base/cleanup.h"
#include "../common/queue/queue.h"
#include "fault.h"

struct sender {
    struct queue *queue;
    struct inbox *inbox;
    int timeout_ms;
    pthread_t thread;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t changed;
    struct inbox_item *head, **tail; /* of batches */
    int stopping;
};

void send_task_release(struct send_task *t)
{
    free(t->job);
    free(t->body);
    for (size_t i = 0; i < sizeof(t->avoid) / sizeof(*t->avoid); i++)
        free(t->avoid[i]);
    *t = (struct send_task){ 0 };
}

void send_batch_free(struct send_batch *b)
{
    if (!b)
        return;
    for (size_t i = 0; i < b->n; i++)
        send_task_release(&b->v[i]);
    free(b->v);
    free(b);
}

static int add_avoided(json_t *json, const struct send_task *t)
{
    json_t *list = json_array();

    for (size_t i = 0; i < sizeof(t->avoid) / sizeof(*t->avoid); i++)
        if (t->avoid[i] && json_array_append_new(list, json_string(t->avoid[i])) < 0) {
            json_decref(list);
            return -ENOMEM;
        }
    if (json_array_size(list) > 0)
        return json_object_set_new(json, "avoid", list);
    json_decref(list);
    return 0;
}

/* The message of a task: its row's text with the attempt of today, and who is to leave it. */
static char *message(const struct send_task *t)
{
    json_t *json = json_loads(t->body, 0, NULL);
    char *text = NULL;

    if (json && json_object_set_new(json, "attempt", json_integer(t->attempt)) == 0 &&
        add_avoided(json, t) == 0)
        text = json_dumps(json, JSON_COMPACT);
    json_decref(json);
    return text;
}

static int publish(struct sender *s, struct send_batch *b)
{
    _cleanup_free_ struct queue_text *texts = calloc(b->n, sizeof(*texts));
    _cleanup_free_ char **owned = calloc(b->n, sizeof(*owned));
    size_t n = 0;
    int r;

    if (!texts || !owned)
        return err_set(&b->err, -ENOMEM, ERR_RESOURCE, "out of memory");
    for (size_t i = 0; i < b->n; i++) {
        owned[n] = message(&b->v[i]);
        b->v[i].bad = !owned[n];
        if (owned[n]) {
            texts[n] = (struct queue_text){ owned[n], strlen(owned[n]) };
            n++;
        }
    }
    fault_point("publish-before");
    r = n == 0 ? 0
               : s->queue->ops->publish(s->queue, QUEUE_TASKS, texts, n, s->timeout_ms, &b->err);
    fault_point("publish-after");
    for (size_t i = 0; i < n; i++)
        free(owned[i]);
    return r;
}

static void send(struct sender *s, struct send_batch *b)
{
    b->r = b->n > 0 ? publish(s, b) : 0;
    if (b->r == 0 && b->want_depth)
        b->r = s->queue->ops->depth(s->queue, QUEUE_TASKS, &b->depth);
    b->item.kind = INBOX_SENT;
    inbox_put(s->inbox, &b->item);
}

static struct send_batch *next(struct sender *s)
{
    (void)pthread_mutex_lock(&s->lock);
    while (!s->head && !s->stopping)
        (void)pthread_cond_wait(&s->changed, &s->lock);
    struct inbox_item *first = s->stopping ? NULL : s->head;
    if (first) {
        s->head = first->next;
        if (!s->head)
            s->tail = &s->head;
    }
    (void)pthread_mutex_unlock(&s->lock);
    return (struct send_batch *)first; /* its first member */
}

static void *sender_main(void *arg)
{
    struct sender *s = arg;
    struct send_batch *b;

    while ((b = next(s)))
        send(s, b);
    return NULL;
}

int sender_new(struct queue *queue, struct inbox *inbox, int timeout_ms, struct sender **ret,
               struct err *err)
{
    struct sender *s = calloc(1, sizeof(*s));

    if (!s)
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory");
    s->queue = queue;
    s->inbox = inbox;
    s->timeout_ms = timeout_ms;
    s->tail = &s->head;
    (void)pthread_mutex_init(&s->lock, NULL);
    (void)pthread_cond_init(&s->changed, NULL);
    int r = -pthread_create(&s->thread, NULL, sender_main, s);
    if (r < 0) {
        (void)pthread_cond_destroy(&s->changed);
        (void)pthread_mutex_destroy(&s->lock);
        free(s);
        return err_set(err, r, ERR_RESOURCE, "can't start a thread: %s", strerror(-r));
    }
    *ret = s;
    return 0;
}

void sender_put(struct sender *s, struct send_batch *b)
{
    (void)pthread_mutex_lock(&s->lock);
    b->item.next = NULL;
    *s->tail = &b->item;
    s->tail = &b->item.next;
    (void)pthread_cond_signal(&s->changed);
    (void)pthread_mutex_unlock(&s->lock);
}

void sender_free(struct sender *s)
{
    if (!s)
        return;
    (void)pthread_mutex_lock(&s->lock);
    s->stopping = 1;
    (void)pthread_cond_signal(&s->changed);
    (void)pthread_mutex_unlock(&s->lock);
    (void)pthread_join(s->thread, NULL);
    for (struct inbox_item *i = s->head, *rest; i; i = rest) {
        rest = i->next;
        send_batch_free((struct send_batch *)i);
    }
    (void)pthread_cond_destroy(&s->changed);
    (void)pthread_mutex_destroy(&s->lock);
    free(s);
}
