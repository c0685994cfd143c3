/* amqp_send.c - what goes out: settlements, questions, and messages frame by
 * frame, so that a large one holds up nothing else, and that none is begun
 * while the socket is full. */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../base/err.h"
#include "../base/log.h"
#include "amqp_parts.h"

enum {
    STEPS_MAX = 64,
    FRAME_OVERHEAD = 8,
    WINDOW_BYTES = 32 << 20,
    REFUSED_MOST_MS = 5000,
    RENEW_AFTER = 2, /* refusals of one message */
    RENEW_EVERY_MS = 3000,
    SMALL_BODY = 16 << 10,
};

static int is_writable(struct amqp_queue *q)
{
    struct pollfd p = { .fd = amqp_get_sockfd(q->conn), .events = POLLOUT };

    return poll(&p, 1, 0) == 1;
}

static int sent(int status, struct err *err)
{
    return status == AMQP_STATUS_OK ? 0 : amqp_lost(err, status, "sending");
}

/* 1: one was sent; 0: there is none. */
static int send_settle(struct amqp_queue *q, struct err *err)
{
    (void)pthread_mutex_lock(&q->lock);
    struct settle *s = settle_pop(q);
    struct lane *l = s ? lane_of_tag(q, s->tag) : NULL;
    (void)pthread_mutex_unlock(&q->lock);
    int status = AMQP_STATUS_OK;

    if (!s)
        return 0;
    if (l && s->requeue)
        status = amqp_basic_reject(q->conn, l->channel.number, tag_number(s->tag), 1);
    else if (l)
        status = amqp_basic_ack(q->conn, l->channel.number, tag_number(s->tag), 0);
    settle_free(s);
    q->settled_ms = amqp_now_ms();
    return status == AMQP_STATUS_OK ? 1 : sent(status, err);
}

static int send_ask(struct amqp_queue *q, struct err *err)
{
    amqp_queue_declare_t m = { .passive = 1 };
    struct ask **end = &q->asked;

    if (!q->ask.open)
        return 0;
    (void)pthread_mutex_lock(&q->lock);
    struct ask *a = q->asks;
    if (a)
        q->asks = a->next;
    (void)pthread_mutex_unlock(&q->lock);
    if (!a)
        return 0;
    while (*end)
        end = &(*end)->next;
    *end = a;
    a->next = NULL;
    m.queue = amqp_cstring_bytes(a->name);
    int r = sent(amqp_send_method(q->conn, CH_ASK, AMQP_QUEUE_DECLARE_METHOD, &m), err);
    return r < 0 ? r : 1;
}

static int send_header(struct amqp_queue *q, const struct outgoing *m, amqp_channel_t on)
{
    char id[24];
    amqp_table_entry_t headers[2];
    int n = 0;

    (void)snprintf(id, sizeof(id), "%" PRIu64, m->seq);
    if (m->from)
        headers[n++] = (amqp_table_entry_t){
            .key = amqp_cstring_bytes(HEADER_FROM),
            .value = {.kind = AMQP_FIELD_KIND_UTF8, .value.bytes = amqp_cstring_bytes(m->from)}
        };
    if (m->reason)
        headers[n++] = (amqp_table_entry_t){
            .key = amqp_cstring_bytes(HEADER_REASON),
            .value = {.kind = AMQP_FIELD_KIND_UTF8, .value.bytes = amqp_cstring_bytes(m->reason)}
        };
    amqp_basic_properties_t p = {
        ._flags = AMQP_BASIC_CONTENT_TYPE_FLAG | AMQP_BASIC_DELIVERY_MODE_FLAG |
                  AMQP_BASIC_MESSAGE_ID_FLAG | (n > 0 ? AMQP_BASIC_HEADERS_FLAG : 0),
        .content_type = amqp_cstring_bytes("application/json"),
        .delivery_mode = m->is_event ? AMQP_DELIVERY_NONPERSISTENT : AMQP_DELIVERY_PERSISTENT,
        .message_id = amqp_cstring_bytes(id),
        .headers = {n, headers}
    };
    const amqp_frame_t f = {
        .frame_type = AMQP_FRAME_HEADER,
        .channel = on,
        .payload.properties = {.class_id = AMQP_BASIC_CLASS, .body_size = m->len, .decoded = &p}
    };
    return amqp_send_frame(q->conn, &f);
}

static int send_begin(struct amqp_queue *q, struct outgoing *m, amqp_channel_t on, struct err *err)
{
    amqp_basic_publish_t method = { .exchange = amqp_cstring_bytes(m->is_event ? QUEUE_EVENTS : ""),
                                    .routing_key = amqp_cstring_bytes(m->key),
                                    .mandatory = !m->is_event };

    m->begun = 1;
    if (!m->is_event)
        m->seq = ++q->last_seq;
    int status = amqp_send_method(q->conn, on, AMQP_BASIC_PUBLISH_METHOD, &method);
    return sent(status == AMQP_STATUS_OK ? send_header(q, m, on) : status, err);
}

static int send_body(struct amqp_queue *q, struct outgoing *m, amqp_channel_t on, struct err *err)
{
    size_t most = (size_t)amqp_get_frame_max(q->conn) - FRAME_OVERHEAD;
    size_t left = m->len - m->sent;
    const amqp_frame_t f = {
        .frame_type = AMQP_FRAME_BODY,
        .channel = on,
        .payload.body_fragment = {left < most ? left : most, m->body + m->sent}
    };

    m->sent += f.payload.body_fragment.len;
    return sent(amqp_send_frame(q->conn, &f), err);
}

static void send_end(struct amqp_queue *q, int64_t now)
{
    struct outgoing *m = q->sending;

    q->sending = NULL;
    if (m->is_event) {
        outgoing_free(m);
        return;
    }
    m->sent_ms = now;
    q->flight_bytes += m->len;
    (void)pthread_mutex_lock(&q->lock);
    outgoing_push(&q->flight, m);
    (void)pthread_mutex_unlock(&q->lock);
}

/* A message that nobody waits for, or whose delivery went back. Locked. */
static int is_vain(struct amqp_queue *q, const struct outgoing *m)
{
    if (m->settles != 0)
        return !lane_of_tag(q, m->settles);
    return !m->batch || m->batch->abandoned;
}

static int may_publish(const struct amqp_queue *q)
{
    return q->publish.open && !q->renew && q->flight.n < q->window &&
           q->flight_bytes < WINDOW_BYTES;
}

/* The first that is due, or NULL. Locked. */
static struct outgoing *next_message(struct amqp_queue *q, int64_t now)
{
    struct outgoing **at = &q->outbox.head;

    while (*at) {
        struct outgoing *m = *at;
        if (is_vain(q, m)) {
            outgoing_remove(&q->outbox, at);
            outgoing_done(m, -ECANCELED, NULL);
        } else if (m->retry_ms <= now) {
            outgoing_remove(&q->outbox, at);
            return m;
        } else {
            at = &m->next;
        }
    }
    return NULL;
}

static void choose(struct amqp_queue *q, int64_t now)
{
    (void)pthread_mutex_lock(&q->lock);
    if (!q->state.blocked && q->events.n > 0 && q->event.open) {
        q->sending = outgoing_pop(&q->events);
        q->sending_on = &q->event;
    } else if (!q->state.blocked && may_publish(q)) {
        q->sending = next_message(q, now);
        q->sending_on = &q->publish;
    }
    (void)pthread_mutex_unlock(&q->lock);
}

/* The next frames of a message. 1: sent; 0: there is none. */
static int send_message(struct amqp_queue *q, int64_t now, struct err *err)
{
    int r = 0;

    if (!q->sending)
        choose(q, now);
    if (!q->sending)
        return 0;
    struct outgoing *m = q->sending;
    amqp_channel_t on = q->sending_on->number;
    if (!m->begun) {
        if (q->declare_soon && !m->is_event) {
            q->declare_soon = 0;
            r = topology_declare_soon(q, on, err);
        }
        r = r < 0 ? r : send_begin(q, m, on, err);
        if (r == 0 && m->len > 0 && m->len <= SMALL_BODY)
            r = send_body(q, m, on, err);
    } else {
        r = send_body(q, m, on, err);
    }
    if (r < 0)
        return r;
    if (m->sent == m->len)
        send_end(q, now);
    return 1;
}

int amqp_send_some(struct amqp_queue *q, int64_t now, struct err *err)
{
    for (int i = 0; i < STEPS_MAX && is_writable(q); i++) {
        int r = send_settle(q, err);
        if (r == 0)
            r = send_ask(q, err);
        if (r == 0)
            r = send_message(q, now, err);
        if (r <= 0)
            return r;
    }
    return 0;
}

/* When the first message in the outbox is due; INT64_MAX: none is there. Locked. */
static int64_t outbox_due(const struct amqp_queue *q)
{
    int64_t due = INT64_MAX;

    for (const struct outgoing *m = q->outbox.head; m && due > 0; m = m->next)
        due = m->retry_ms < due ? m->retry_ms : due;
    return due;
}

int amqp_wants_to_send(struct amqp_queue *q, int64_t now, int64_t *ret_next_ms)
{
    (void)pthread_mutex_lock(&q->lock);
    int64_t due = may_publish(q) && !q->state.blocked ? outbox_due(q) : INT64_MAX;
    int wants = q->settles || (q->asks && q->ask.open) || q->sending || due <= now ||
                (q->events.n > 0 && q->event.open && !q->state.blocked);
    (void)pthread_mutex_unlock(&q->lock);
    *ret_next_ms = due;
    return wants;
}

/* Locked. */
static void refused(struct amqp_queue *q, struct outgoing *m, int64_t now)
{
    if (now >= q->tell_refused_ms) { /* others of a thousand will have the same reason */
        log_event(
            LOG_WARN, "amqp.refused", LSTR("name", q->name), LSTR("queue", m->key),
            LSTR("why", m->returned ? "there is no such queue" : "the broker couldn't store it"));
        q->tell_refused_ms = now + REFUSED_MOST_MS;
    }
    /* A channel that first wrote to a quorum queue while its leader was down
     * is refused for ever by RabbitMQ 3.10; a new one isn't. */
    if (m->returned) {
        q->declare_soon = 1;
    } else if (m->refusals >= RENEW_AFTER && now >= q->renew_ms) {
        q->renew = 1;
        q->renew_ms = now + RENEW_EVERY_MS;
    }
    m->retry_ms = now + amqp_backoff_ms(q, m->refusals++, REFUSED_MOST_MS);
    m->begun = m->returned = 0;
    m->sent = 0;
    outgoing_push_head(&q->outbox, m);
}

/* Locked. */
static void settled(struct amqp_queue *q, struct outgoing *m, int nack, int64_t now)
{
    q->flight_bytes -= m->len;
    if (nack || m->returned) {
        refused(q, m, now);
        return;
    }
    q->window = q->window < WINDOW_MAX / 2 ? q->window * 2 : WINDOW_MAX;
    q->publish.fails = 0;
    if (m->settles != 0)
        (void)settle_add(q, m->settles, 0); /* out of memory: delivered again */
    outgoing_done(m, 0, NULL);
}

int amqp_confirmed(struct amqp_queue *q, uint64_t seq, int multiple, int nack, struct err *err)
{
    uint64_t last = q->sending && q->sending_on == &q->publish && q->sending->begun
                        ? q->sending->seq - 1
                        : q->last_seq;
    int64_t now = amqp_now_ms();

    if (seq > last || (seq == 0 && !multiple))
        return err_set(err, -EPROTO, ERR_STORAGE,
                       "the broker confirms message %" PRIu64 " of %" PRIu64, seq, last);
    (void)pthread_mutex_lock(&q->lock);
    for (struct outgoing **at = &q->flight.head; *at;) {
        struct outgoing *m = *at;
        if (m->seq == seq || (multiple && (seq == 0 || m->seq < seq))) {
            outgoing_remove(&q->flight, at);
            settled(q, m, nack, now);
        } else {
            at = &m->next;
        }
    }
    (void)pthread_mutex_unlock(&q->lock);
    return 0;
}

int amqp_mark_returned(struct amqp_queue *q, amqp_bytes_t id, struct err *err)
{
    char text[24];

    for (struct outgoing *m = q->flight.head; m; m = m->next) {
        (void)snprintf(text, sizeof(text), "%" PRIu64, m->seq);
        if (strlen(text) == id.len && memcmp(text, id.bytes, id.len) == 0) {
            m->returned = 1;
            return 0;
        }
    }
    return err_set(err, -EPROTO, ERR_STORAGE, "the broker returns a message that it was not sent");
}
