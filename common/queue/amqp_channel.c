/* amqp_channel.c - channels are opened, and opened again where the broker
 * closes one. All their methods are sent without waiting for the answers:
 * they are handled in order, and a refusal closes the channel. */
#include <errno.h>
#include <string.h>

#include "../base/err.h"
#include "../base/log.h"
#include "amqp_parts.h"

enum { REOPEN_MOST_MS = 5000 };

#define CONSUMER_TAG "gopmill"

static int send(struct amqp_queue *q, amqp_channel_t on, amqp_method_number_t id, void *method,
                struct err *err)
{
    int status = amqp_send_method(q->conn, on, id, method);

    return status == AMQP_STATUS_OK ? 0 : amqp_lost(err, status, "opening a channel");
}

static int send_open(struct amqp_queue *q, struct channel *c, struct err *err)
{
    amqp_channel_open_t m = { .out_of_band = amqp_empty_bytes };

    c->open = 1;
    return send(q, c->number, AMQP_CHANNEL_OPEN_METHOD, &m, err);
}

static int is_due(const struct channel *c, int64_t now)
{
    return !c->open && now >= c->retry_ms;
}

static int open_publish(struct amqp_queue *q, struct err *err)
{
    amqp_confirm_select_t select = { .nowait = 0 };
    int r = send_open(q, &q->publish, err);

    q->last_seq = 0;
    return r < 0 ? r : send(q, CH_PUBLISH, AMQP_CONFIRM_SELECT_METHOD, &select, err);
}

static int open_event(struct amqp_queue *q, struct err *err)
{
    int r = send_open(q, &q->event, err);

    return r < 0 || q->event.fails == 0 ? r : topology_declare_soon(q, CH_EVENT, err);
}

static int subscribe(struct amqp_queue *q, struct lane *l, struct err *err)
{
    const int events = lane_is_events(l);
    int r = events                 ? topology_declare_events(q, l->channel.number, err)
            : l->channel.fails > 0 ? topology_declare_soon(q, l->channel.number, err)
                                   : 0;
    amqp_basic_consume_t m = { .queue = amqp_cstring_bytes(events ? q->events_queue : l->name),
                               .consumer_tag = amqp_cstring_bytes(CONSUMER_TAG),
                               .no_ack = events };

    l->subscribed = 1;
    return r < 0 ? r : send(q, l->channel.number, AMQP_BASIC_CONSUME_METHOD, &m, err);
}

static int open_lane(struct amqp_queue *q, struct lane *l, struct err *err)
{
    amqp_basic_qos_t qos = { .prefetch_count = (uint16_t)l->prefetch };

    (void)pthread_mutex_lock(&q->lock);
    l->epoch = ++q->last_epoch;
    (void)pthread_mutex_unlock(&q->lock);
    int r = send_open(q, &l->channel, err);
    if (r == 0)
        r = send(q, l->channel.number, AMQP_BASIC_QOS_METHOD, &qos, err);
    return r < 0 ? r : subscribe(q, l, err);
}

static int maintain_lane(struct amqp_queue *q, struct lane *l, int64_t now, struct err *err)
{
    amqp_basic_cancel_t cancel = { .consumer_tag = amqp_cstring_bytes(CONSUMER_TAG) };

    (void)pthread_mutex_lock(&q->lock);
    int wanted = l->wanted && !l->stopped;
    if (l->stopped && !l->subscribed)
        lane_return(q, l);
    (void)pthread_mutex_unlock(&q->lock);
    if (wanted && is_due(&l->channel, now))
        return open_lane(q, l, err);
    if (wanted && l->channel.open && !l->subscribed && now >= l->channel.retry_ms)
        return subscribe(q, l, err);
    if (wanted || !l->subscribed || l->canceling)
        return 0;
    l->canceling = 1;
    return send(q, l->channel.number, AMQP_BASIC_CANCEL_METHOD, &cancel, err);
}

static int renew_publish(struct amqp_queue *q, struct err *err)
{
    amqp_channel_close_t m = { .reply_code = AMQP_REPLY_SUCCESS,
                               .reply_text = amqp_cstring_bytes("refused too often") };

    q->renewing = 1;
    return send(q, CH_PUBLISH, AMQP_CHANNEL_CLOSE_METHOD, &m, err);
}

/* Nothing is lost by it: confirms that are due are waited for. */
static int must_renew(const struct amqp_queue *q)
{
    return q->renew && !q->renewing && q->publish.open && q->flight.n == 0 &&
           !(q->sending && q->sending_on == &q->publish);
}

void publish_renewed(struct amqp_queue *q)
{
    q->renew = q->renewing = 0;
    q->publish.open = 0;
    q->publish.retry_ms = 0;
}

int channels_maintain(struct amqp_queue *q, int64_t now, struct err *err)
{
    int r = 0;

    (void)pthread_mutex_lock(&q->lock);
    size_t n = q->n_lanes;
    (void)pthread_mutex_unlock(&q->lock);
    if (is_due(&q->ask, now))
        r = send_open(q, &q->ask, err);
    if (r == 0 && is_due(&q->publish, now))
        r = open_publish(q, err);
    if (r == 0 && is_due(&q->event, now))
        r = open_event(q, err);
    if (r == 0 && must_renew(q))
        r = renew_publish(q, err);
    for (size_t i = 0; i < n && r == 0; i++)
        r = maintain_lane(q, q->lanes[i], now, err);
    return r;
}

/* The first of those asked about is the one that the channel was closed for. Locked. */
static void forget_asked(struct amqp_queue *q, int r)
{
    while (q->asked) {
        struct ask *a = q->asked;
        q->asked = a->next;
        a->r = r;
        a->done = 1;
        ask_unref(a);
        r = -EAGAIN;
    }
    (void)pthread_cond_broadcast(&q->changed);
}

static int is_worth_keeping(struct amqp_queue *q, const struct outgoing *m)
{
    if (m->settles != 0)
        return lane_of_tag(q, m->settles) != NULL; /* else the broker has it back */
    return m->batch && !m->batch->abandoned;
}

static void give_up(struct amqp_queue *q, struct outgoing_list *to, struct outgoing *m)
{
    m->begun = m->returned = 0;
    m->sent = 0;
    if (is_worth_keeping(q, m))
        outgoing_push(to, m);
    else
        outgoing_done(m, -ECONNRESET, NULL);
}

void sending_give_up(struct amqp_queue *q)
{
    struct outgoing_list all;
    struct outgoing *m;

    outgoing_init(&all);
    (void)pthread_mutex_lock(&q->lock);
    while ((m = outgoing_pop(&q->flight)))
        give_up(q, &all, m);
    if (q->sending && q->sending_on == &q->publish) {
        give_up(q, &all, q->sending);
        q->sending = NULL;
    }
    while ((m = outgoing_pop(&q->outbox)))
        outgoing_push(&all, m);
    while ((m = outgoing_pop(&all)))
        outgoing_push(&q->outbox, m);
    (void)pthread_mutex_unlock(&q->lock);
    q->flight_bytes = 0;
    queue_msg_release(&q->returned.msg);
    q->returned = (struct incoming){ 0 };
}

static void event_give_up(struct amqp_queue *q)
{
    if (q->sending && q->sending_on == &q->event) {
        outgoing_free(q->sending);
        q->sending = NULL;
    }
}

/* A broker that takes no message of that size closes the channel. Which it
 * was is sure only if no other was on its way. */
static void refuse_alone(struct amqp_queue *q, const amqp_channel_close_t *why, const char *text)
{
    struct err err = { 0 };
    struct outgoing *m = q->flight.head;

    if (q->flight.n != 1 || q->sending || why->reply_code != AMQP_PRECONDITION_FAILED ||
        why->class_id != AMQP_BASIC_CLASS)
        return;
    (void)err_set(&err, -EMSGSIZE, ERR_USAGE, "the broker takes no message of %zu bytes for %s: %s",
                  m->len, m->key, text);
    (void)pthread_mutex_lock(&q->lock);
    outgoing_done(outgoing_pop(&q->flight), -EMSGSIZE, &err);
    (void)pthread_mutex_unlock(&q->lock);
}

static void publish_closed(struct amqp_queue *q, const amqp_channel_close_t *why, const char *text)
{
    refuse_alone(q, why, text);
    sending_give_up(q);
    q->renew = q->renewing = 0;
    q->window = 1; /* one by one, until it is known that they are taken */
}

int channel_closed(struct amqp_queue *q, struct channel *c, struct lane *l,
                   const amqp_channel_close_t *why, struct err *err)
{
    amqp_channel_close_ok_t ok = { 0 };
    char text[200];

    amqp_printable(text, sizeof(text), why->reply_text);
    log_event(LOG_WARN, "amqp.channel_closed", LSTR("name", q->name),
              LSTR("queue", l              ? l->name
                            : c == &q->ask ? "questions"
                                           : "messages"),
              LINT("code", why->reply_code), LSTR("text", text));
    int r = send(q, c->number, AMQP_CHANNEL_CLOSE_OK_METHOD, &ok, err);
    c->open = 0;
    c->closed = 1;
    c->retry_ms = amqp_now_ms() +
                  (c == &q->ask ? 0 : amqp_backoff_ms(q, c->fails++, REOPEN_MOST_MS));
    if (c == &q->publish)
        publish_closed(q, why, text);
    if (c == &q->event)
        event_give_up(q);
    (void)pthread_mutex_lock(&q->lock);
    if (c == &q->ask)
        forget_asked(q, why->reply_code == AMQP_NOT_FOUND ? -ENOENT : -EIO);
    if (l)
        lane_forget(l);
    (void)pthread_mutex_unlock(&q->lock);
    return r;
}

void channels_forget(struct amqp_queue *q)
{
    struct channel *const all[] = { &q->ask, &q->publish, &q->event };

    for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
        *all[i] = (struct channel){ .number = all[i]->number };
    (void)pthread_mutex_lock(&q->lock);
    for (size_t i = 0; i < q->n_lanes; i++) {
        struct lane *l = q->lanes[i];
        l->channel = (struct channel){ .number = l->channel.number };
        lane_forget(l);
    }
    while (q->settles)
        settle_free(settle_pop(q));
    forget_asked(q, -EAGAIN);
    (void)pthread_mutex_unlock(&q->lock);
    event_give_up(q);
    sending_give_up(q);
    q->renew = q->renewing = 0;
}
