/* amqp_lane.c - queues that are consumed: what is ready, what is out. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../base/cleanup.h"
#include "../base/utf8.h"
#include "amqp_parts.h"

int lane_is_events(const struct lane *l)
{
    return strcmp(l->name, QUEUE_EVENTS) == 0;
}

static struct lane *lane_new(const struct amqp_queue *q, const char *name)
{
    struct lane *l = calloc(1, sizeof(*l));
    pthread_condattr_t attr;

    if (!l)
        return NULL;
    strcpy(l->name, name); /* the caller looked at its length */
    l->tail = &l->head;
    l->channel.number = (amqp_channel_t)(CH_LANE + q->n_lanes);
    l->prefetch = strcmp(name, QUEUE_TASKS) == 0  ? q->prefetch
                  : strcmp(name, QUEUE_DEAD) == 0 ? DEAD_PREFETCH
                                                  : OTHERS_PREFETCH;
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&l->ready, &attr);
    (void)pthread_condattr_destroy(&attr);
    return l;
}

struct lane *lane_get(struct amqp_queue *q, const char *name)
{
    for (size_t i = 0; i < q->n_lanes; i++)
        if (strcmp(q->lanes[i]->name, name) == 0)
            return q->lanes[i];
    struct lane *l = q->n_lanes == LANES_MAX || strlen(name) >= TOPOLOGY_NAME_MAX
                         ? NULL
                         : lane_new(q, name);
    if (l)
        q->lanes[q->n_lanes++] = l;
    return l;
}

static void drop_ready(struct lane *l)
{
    while (l->head) {
        struct delivery *d = l->head;
        l->head = d->next;
        queue_msg_release(&d->msg);
        free(d);
    }
    l->tail = &l->head;
    l->n_ready = 0;
}

void lane_forget(struct lane *l)
{
    drop_ready(l);
    queue_msg_release(&l->in.msg);
    l->in = (struct incoming){ 0 };
    l->n_unsettled = 0;
    l->epoch = 0;
    l->subscribed = l->canceling = l->accepted = 0;
}

void lane_free(struct lane *l)
{
    lane_forget(l);
    (void)pthread_cond_destroy(&l->ready);
    free(l);
}

struct lane *lane_of_tag(struct amqp_queue *q, uint64_t tag)
{
    for (size_t i = 0; i < q->n_lanes; i++)
        if (q->lanes[i]->epoch != 0 && q->lanes[i]->epoch == tag >> TAG_BITS)
            return q->lanes[i];
    return NULL;
}

static size_t find(const struct lane *l, uint64_t tag)
{
    size_t i = 0;

    while (i < l->n_unsettled && l->unsettled[i] != tag_number(tag))
        i++;
    return i;
}

int lane_has(const struct lane *l, uint64_t tag)
{
    return find(l, tag) < l->n_unsettled;
}

int lane_settle(struct lane *l, uint64_t tag)
{
    size_t i = find(l, tag);

    if (i == l->n_unsettled)
        return -EINVAL;
    l->unsettled[i] = l->unsettled[--l->n_unsettled];
    return 0;
}

int settle_add(struct amqp_queue *q, uint64_t tag, int requeue)
{
    struct settle *s = malloc(sizeof(*s));

    if (!s)
        return -ENOMEM;
    *s = (struct settle){ .tag = tag, .requeue = requeue };
    *q->settles_tail = s;
    q->settles_tail = &s->next;
    return 0;
}

struct settle *settle_pop(struct amqp_queue *q)
{
    struct settle *s = q->settles;

    if (s) {
        q->settles = s->next;
        if (!q->settles)
            q->settles_tail = &q->settles;
    }
    return s;
}

void settle_free(struct settle *s)
{
    free(s);
}

void ask_unref(struct ask *a)
{
    if (--a->refs == 0)
        free(a);
}

int lane_bury(struct amqp_queue *q, const struct lane *l, const struct queue_msg *m,
              const char *reason)
{
    struct outgoing *o = outgoing_new(QUEUE_DEAD, m->body, m->len);
    const char *from = m->from ? m->from : l->name;

    if (!o)
        return -ENOMEM;
    if (m->from)
        reason = m->reason; /* what it died of first */
    o->settles = m->tag;
    o->from = strndup(from, utf8_cut(from, QUEUE_KEY_MAX));
    o->reason = reason ? strndup(reason, utf8_cut(reason, QUEUE_REASON_MAX)) : NULL;
    if (!o->from || (reason && !o->reason)) {
        outgoing_free(o);
        return -ENOMEM;
    }
    outgoing_push(&q->outbox, o);
    return 0;
}

/* A quorum queue counts every return (reject, nack, a channel's end) as a
 * delivery that failed, and buries what has too many. A message that is here
 * for the first time goes back as a new one instead: published again with a
 * confirm, then acked. One that came back before keeps its count. */
void lane_return(struct amqp_queue *q, struct lane *l)
{
    for (struct delivery *d = l->head; d; d = d->next) {
        struct outgoing *o = d->msg.deliveries == 1 && strcmp(l->name, QUEUE_DEAD) != 0
                                 ? outgoing_new(l->name, d->msg.body, d->msg.len)
                                 : NULL;
        (void)lane_settle(l, d->msg.tag);
        if (o) {
            o->settles = d->msg.tag;
            outgoing_push(&q->outbox, o);
        } else {
            (void)settle_add(q, d->msg.tag, 1); /* out of memory: goes back with the connection */
        }
    }
    drop_ready(l);
}
