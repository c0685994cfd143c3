/* amqp_receive.c - what the broker sends. Nothing of it is believed: a frame
 * that doesn't belong where it comes ends the connection, and what is wrong
 * only with a message costs that message. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include "../base/err.h"
#include "../base/log.h"
#include "amqp_parts.h"

enum { FRAMES_MAX = 256 };

static int bad_frame(struct err *err, const char *what)
{
    return err_set(err, -EPROTO, ERR_STORAGE, "the broker breaks the protocol: %s", what);
}

static char *copy_bytes(amqp_bytes_t b, size_t most)
{
    char *s = malloc((b.len < most ? b.len : most) + 1);

    if (s)
        amqp_printable(s, (b.len < most ? b.len : most) + 1, b);
    return s;
}

static const amqp_field_value_t *header(const amqp_table_t *t, const char *name)
{
    for (int i = 0; i < t->num_entries; i++)
        if (t->entries[i].key.len == strlen(name) &&
            memcmp(t->entries[i].key.bytes, name, strlen(name)) == 0)
            return &t->entries[i].value;
    return NULL;
}

static char *header_text(const amqp_table_t *t, const char *name, size_t most)
{
    const amqp_field_value_t *v = header(t, name);

    return v && (v->kind == AMQP_FIELD_KIND_UTF8 || v->kind == AMQP_FIELD_KIND_BYTES)
               ? copy_bytes(v->value.bytes, most)
               : NULL;
}

static unsigned header_count(const amqp_table_t *t, const char *name)
{
    const amqp_field_value_t *v = header(t, name);
    int64_t n = !v                               ? 0
                : v->kind == AMQP_FIELD_KIND_I64 ? v->value.i64
                : v->kind == AMQP_FIELD_KIND_I32 ? v->value.i32
                : v->kind == AMQP_FIELD_KIND_U32 ? (int64_t)v->value.u32
                : v->kind == AMQP_FIELD_KIND_I16 ? v->value.i16
                : v->kind == AMQP_FIELD_KIND_I8  ? v->value.i8
                : v->kind == AMQP_FIELD_KIND_U8  ? v->value.u8
                                                 : 0;

    return n < 0 ? 0 : n > 1000000 ? 1000000 : (unsigned)n;
}

static char *reason_in_words(const char *reason)
{
    static const char *const words[][2] = {
        {"delivery_limit", "it was delivered too often: who took it went away each time"},
        { "rejected",      "who took it rejected it"                                    },
        { "expired",       "it expired"                                                 },
        { "maxlen",        "its queue was full"                                         },
    };

    for (size_t i = 0; reason && i < sizeof(words) / sizeof(*words); i++)
        if (strcmp(reason, words[i][0]) == 0)
            return strdup(words[i][1]);
    return reason ? strdup(reason) : NULL;
}

/* Where a dead letter comes from: what we said when we buried it, or what the broker says. */
static void read_death(const amqp_table_t *t, struct queue_msg *m)
{
    const amqp_field_value_t *deaths = header(t, "x-death");
    char *reason;

    m->from = header_text(t, HEADER_FROM, QUEUE_KEY_MAX);
    if (m->from) {
        m->reason = header_text(t, HEADER_REASON, QUEUE_REASON_MAX);
        return;
    }
    m->from = header_text(t, "x-first-death-queue", QUEUE_KEY_MAX);
    reason = header_text(t, "x-first-death-reason", QUEUE_REASON_MAX);
    if (!m->from && deaths && deaths->kind == AMQP_FIELD_KIND_ARRAY &&
        deaths->value.array.num_entries > 0 &&
        deaths->value.array.entries[0].kind == AMQP_FIELD_KIND_TABLE) {
        const amqp_table_t *first = &deaths->value.array.entries[0].value.table;
        m->from = header_text(first, "queue", QUEUE_KEY_MAX);
        free(reason);
        reason = header_text(first, "reason", QUEUE_REASON_MAX);
    }
    m->reason = reason_in_words(reason);
    free(reason);
}

static void read_properties(const struct lane *l, const amqp_basic_properties_t *p,
                            struct incoming *in)
{
    static const amqp_table_t none = { 0, NULL };
    const amqp_table_t *t = p->_flags & AMQP_BASIC_HEADERS_FLAG ? &p->headers : &none;
    unsigned before = header_count(t, "x-delivery-count");

    in->msg.deliveries = 1 + (before == 0 && in->redelivered ? 1 : before);
    if (strcmp(l->name, QUEUE_DEAD) == 0)
        read_death(t, &in->msg);
}

/* Locked. */
static void push_ready(struct lane *l, const struct queue_msg *m, struct delivery *d)
{
    d->msg = *m;
    d->next = NULL;
    *l->tail = d;
    l->tail = &d->next;
    l->n_ready++;
    (void)pthread_cond_signal(&l->ready);
}

static void drop_oldest_event(struct lane *l)
{
    struct delivery *d = l->head;

    l->head = d->next;
    if (!l->head)
        l->tail = &l->head;
    l->n_ready--;
    queue_msg_release(&d->msg);
    free(d);
}

/* Locked. */
static int deliver_event(struct lane *l, struct incoming *in)
{
    struct delivery *d = in->size > QUEUE_BODY_MAX ? NULL : malloc(sizeof(*d));

    if (l->n_ready >= EVENTS_READY_MAX)
        drop_oldest_event(l);
    if (!d || !in->msg.key) { /* events may be lost */
        free(d);
        queue_msg_release(&in->msg);
        return 0;
    }
    push_ready(l, &in->msg, d);
    return 0;
}

/* Locked. */
static int deliver_message(struct amqp_queue *q, struct lane *l, struct incoming *in)
{
    char reason[128];
    struct delivery *d = malloc(sizeof(*d));
    int r = 0;

    if (!d)
        return -ENOMEM;
    in->msg.tag = tag_make(l->epoch, in->tag);
    if (in->size <= QUEUE_BODY_MAX) {
        l->unsettled[l->n_unsettled++] = in->tag;
        push_ready(l, &in->msg, d);
        return 0;
    }
    (void)snprintf(reason, sizeof(reason),
                   "a message of %" PRIu64 " bytes, limit %d: cut after %zu", in->size,
                   QUEUE_BODY_MAX, in->msg.len);
    r = lane_bury(q, l, &in->msg, reason);
    queue_msg_release(&in->msg);
    free(d);
    return r;
}

static int deliver(struct amqp_queue *q, struct lane *l, struct err *err)
{
    (void)pthread_mutex_lock(&q->lock);
    int r = lane_is_events(l) ? deliver_event(l, &l->in) : deliver_message(q, l, &l->in);
    (void)pthread_mutex_unlock(&q->lock);
    if (r < 0)
        return err_set(err, r, ERR_RESOURCE, "out of memory for a message of %s", l->name);
    l->in = (struct incoming){ 0 };
    return 0;
}

static int content_done(struct amqp_queue *q, struct lane *l, struct incoming *in, struct err *err)
{
    if (in->got < in->size)
        return 0;
    if (l)
        return deliver(q, l, err);
    queue_msg_release(&in->msg);
    *in = (struct incoming){ 0 };
    return 0;
}

static int on_header(struct amqp_queue *q, struct lane *l, struct incoming *in,
                     const amqp_frame_t *f, struct err *err)
{
    const amqp_basic_properties_t *p = f->payload.properties.decoded;
    int r = 0;

    if (in->state != IN_HEADER || f->payload.properties.class_id != AMQP_BASIC_CLASS)
        return bad_frame(err, "a header where none belongs");
    in->state = IN_BODY;
    in->size = f->payload.properties.body_size;
    in->msg.len = !l ? 0 : in->size <= QUEUE_BODY_MAX ? (size_t)in->size : OVERSIZED_KEPT;
    in->msg.body = malloc(in->msg.len + 1);
    if (!in->msg.body)
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory for a message of %zu bytes",
                       in->msg.len);
    in->msg.body[in->msg.len] = '\0';
    if (l)
        read_properties(l, p, in);
    else
        r = amqp_mark_returned(
            q, p->_flags & AMQP_BASIC_MESSAGE_ID_FLAG ? p->message_id : amqp_empty_bytes, err);
    return r < 0 ? r : content_done(q, l, in, err);
}

static int on_body(struct amqp_queue *q, struct lane *l, struct incoming *in, amqp_bytes_t part,
                   struct err *err)
{
    if (in->state != IN_BODY || part.len > in->size - in->got)
        return bad_frame(err, "more of a body than was announced");
    if (in->got < in->msg.len) {
        size_t room = in->msg.len - (size_t)in->got;
        memcpy(in->msg.body + in->got, part.bytes, part.len < room ? part.len : room);
    }
    in->got += part.len;
    return content_done(q, l, in, err);
}

static int on_deliver(struct amqp_queue *q, struct lane *l, const amqp_basic_deliver_t *m,
                      struct err *err)
{
    const int events = lane_is_events(l);

    (void)pthread_mutex_lock(&q->lock);
    int known = !events && lane_has(l, m->delivery_tag);
    int many = !events && l->n_unsettled >= UNSETTLED_MAX;
    (void)pthread_mutex_unlock(&q->lock);
    if (!l->subscribed || l->in.state != IN_NOTHING)
        return bad_frame(err, "a message where none belongs");
    if (known || m->delivery_tag == 0 || m->delivery_tag != tag_number(m->delivery_tag))
        return bad_frame(err, "a message with a number that can't be");
    if (many)
        return bad_frame(err, "more messages at once than were asked for");
    l->in = (struct incoming){ .state = IN_HEADER,
                               .tag = m->delivery_tag,
                               .redelivered = m->redelivered };
    if (events)
        l->in.msg.key = copy_bytes(m->routing_key, QUEUE_KEY_MAX);
    return 0;
}

/* Its queue was deleted, or has moved. What it delivered can still be settled. */
static int on_cancel(struct amqp_queue *q, struct lane *l, const amqp_basic_cancel_t *m,
                     struct err *err)
{
    amqp_basic_cancel_ok_t ok = { .consumer_tag = m->consumer_tag };
    int status = m->nowait ? AMQP_STATUS_OK
                           : amqp_send_method(q->conn, l->channel.number,
                                              AMQP_BASIC_CANCEL_OK_METHOD, &ok);

    log_event(LOG_WARN, "amqp.consumer_canceled", LSTR("name", q->name), LSTR("queue", l->name));
    l->subscribed = l->canceling = 0;
    l->channel.retry_ms = amqp_now_ms() + amqp_backoff_ms(q, l->channel.fails++, 5000);
    (void)pthread_mutex_lock(&q->lock);
    l->accepted = 0;
    (void)pthread_mutex_unlock(&q->lock);
    return status == AMQP_STATUS_OK ? 0 : amqp_lost(err, status, "answering a cancel");
}

static void on_accepted(struct amqp_queue *q, struct lane *l)
{
    l->channel.fails = 0;
    (void)pthread_mutex_lock(&q->lock);
    l->accepted = 1;
    (void)pthread_cond_broadcast(&q->changed);
    (void)pthread_mutex_unlock(&q->lock);
}

static void on_canceled(struct lane *l)
{
    l->subscribed = l->canceling = 0; /* channels_maintain() returns what is ready */
}

static int on_lane_method(struct amqp_queue *q, struct lane *l, const amqp_method_t *m,
                          struct err *err)
{
    switch (m->id) {
    case AMQP_CHANNEL_OPEN_OK_METHOD:
    case AMQP_BASIC_QOS_OK_METHOD:
        return 0;
    case AMQP_BASIC_CONSUME_OK_METHOD:
        on_accepted(q, l);
        return 0;
    case AMQP_BASIC_CANCEL_OK_METHOD:
        on_canceled(l);
        return 0;
    case AMQP_BASIC_DELIVER_METHOD:
        return on_deliver(q, l, m->decoded, err);
    case AMQP_BASIC_CANCEL_METHOD:
        return on_cancel(q, l, m->decoded, err);
    case AMQP_CHANNEL_CLOSE_METHOD:
        return channel_closed(q, &l->channel, l, m->decoded, err);
    default:
        return bad_frame(err, "a method that no consumer gets");
    }
}

static int on_publish_method(struct amqp_queue *q, const amqp_method_t *m, struct err *err)
{
    const amqp_basic_ack_t *ack = m->decoded;
    const amqp_basic_nack_t *nack = m->decoded;

    switch (m->id) {
    case AMQP_CHANNEL_OPEN_OK_METHOD:
    case AMQP_CONFIRM_SELECT_OK_METHOD:
        return 0;
    case AMQP_BASIC_ACK_METHOD:
        return amqp_confirmed(q, ack->delivery_tag, ack->multiple, 0, err);
    case AMQP_BASIC_NACK_METHOD:
        return amqp_confirmed(q, nack->delivery_tag, nack->multiple, 1, err);
    case AMQP_BASIC_RETURN_METHOD:
        if (q->returned.state != IN_NOTHING)
            return bad_frame(err, "a return inside of another");
        q->returned = (struct incoming){ .state = IN_HEADER };
        return 0;
    case AMQP_CHANNEL_CLOSE_OK_METHOD:
        if (!q->renewing)
            return bad_frame(err, "a channel closed that wasn't to be");
        publish_renewed(q);
        return 0;
    case AMQP_CHANNEL_CLOSE_METHOD:
        return channel_closed(q, &q->publish, NULL, m->decoded, err);
    default:
        return bad_frame(err, "a method that no publisher gets");
    }
}

/* How many there are in the queue that was asked about first. */
static int on_answer(struct amqp_queue *q, const amqp_queue_declare_ok_t *m, struct err *err)
{
    struct ask *a = q->asked;

    if (!a)
        return bad_frame(err, "an answer to nothing");
    q->ask.fails = 0;
    (void)pthread_mutex_lock(&q->lock);
    q->asked = a->next;
    a->done = 1;
    a->depth = m->message_count;
    ask_unref(a);
    (void)pthread_cond_broadcast(&q->changed);
    (void)pthread_mutex_unlock(&q->lock);
    return 0;
}

static int on_ask_method(struct amqp_queue *q, const amqp_method_t *m, struct err *err)
{
    switch (m->id) {
    case AMQP_CHANNEL_OPEN_OK_METHOD:
        return 0;
    case AMQP_QUEUE_DECLARE_OK_METHOD:
        return on_answer(q, m->decoded, err);
    case AMQP_CHANNEL_CLOSE_METHOD:
        return channel_closed(q, &q->ask, NULL, m->decoded, err);
    default:
        return bad_frame(err, "an answer that nobody waits for");
    }
}

static int on_event_method(struct amqp_queue *q, const amqp_method_t *m, struct err *err)
{
    switch (m->id) {
    case AMQP_CHANNEL_OPEN_OK_METHOD:
        return 0;
    case AMQP_CHANNEL_CLOSE_METHOD:
        return channel_closed(q, &q->event, NULL, m->decoded, err);
    default:
        return bad_frame(err, "a method on the channel of events");
    }
}

static void set_blocked(struct amqp_queue *q, int blocked, const char *reason)
{
    (void)pthread_mutex_lock(&q->lock);
    q->state.blocked = blocked;
    (void)snprintf(q->state.reason, sizeof(q->state.reason), "%s", reason);
    (void)pthread_cond_broadcast(&q->changed);
    (void)pthread_mutex_unlock(&q->lock);
    log_event(blocked ? LOG_WARN : LOG_INFO, blocked ? "amqp.blocked" : "amqp.unblocked",
              LSTR("name", q->name), LSTR("reason", reason));
}

static int on_connection_close(struct amqp_queue *q, const amqp_connection_close_t *m,
                               struct err *err)
{
    amqp_connection_close_ok_t ok = { 0 };
    char text[200];

    amqp_printable(text, sizeof(text), m->reply_text);
    (void)amqp_send_method(q->conn, 0, AMQP_CONNECTION_CLOSE_OK_METHOD, &ok);
    return err_set(err, -ECONNRESET, ERR_STORAGE, "the broker closed the connection: %u %s",
                   m->reply_code, text);
}

static int on_connection_method(struct amqp_queue *q, const amqp_method_t *m, struct err *err)
{
    char reason[160];

    switch (m->id) {
    case AMQP_CONNECTION_CLOSE_METHOD:
        return on_connection_close(q, m->decoded, err);
    case AMQP_CONNECTION_BLOCKED_METHOD:
        amqp_printable(reason, sizeof(reason),
                       ((const amqp_connection_blocked_t *)m->decoded)->reason);
        set_blocked(q, 1, reason);
        return 0;
    case AMQP_CONNECTION_UNBLOCKED_METHOD:
        q->unblocked_ms = amqp_now_ms();
        set_blocked(q, 0, "");
        return 0;
    default:
        return bad_frame(err, "a method on the channel of the connection");
    }
}

static int on_method(struct amqp_queue *q, struct lane *l, const amqp_frame_t *f, struct err *err)
{
    const amqp_method_t *m = &f->payload.method;

    if (l)
        return on_lane_method(q, l, m, err);
    switch (f->channel) {
    case 0:
        return on_connection_method(q, m, err);
    case CH_ASK:
        return on_ask_method(q, m, err);
    case CH_PUBLISH:
        return on_publish_method(q, m, err);
    default:
        return on_event_method(q, m, err);
    }
}

/* The lane of that channel, or NULL. */
static struct lane *lane_on(struct amqp_queue *q, amqp_channel_t channel)
{
    struct lane *l = NULL;

    (void)pthread_mutex_lock(&q->lock);
    if (channel >= CH_LANE && (size_t)(channel - CH_LANE) < q->n_lanes)
        l = q->lanes[channel - CH_LANE];
    (void)pthread_mutex_unlock(&q->lock);
    return l;
}

/* NULL: that of the connection, or none of ours. */
static const struct channel *channel_on(const struct amqp_queue *q, const struct lane *l,
                                        amqp_channel_t channel)
{
    return l                       ? &l->channel
           : channel == CH_ASK     ? &q->ask
           : channel == CH_PUBLISH ? &q->publish
           : channel == CH_EVENT   ? &q->event
                                   : NULL;
}

static int on_frame(struct amqp_queue *q, const amqp_frame_t *f, struct err *err)
{
    struct lane *l = lane_on(q, f->channel);
    struct incoming *in = l ? &l->in : f->channel == CH_PUBLISH ? &q->returned : NULL;

    const struct channel *c = channel_on(q, l, f->channel);

    /* A delivery may cross our answer to the closing, above all where the
     * broker closes by itself (consumer_timeout): it takes it back with the rest. */
    if (c && !c->open && c->closed)
        return 0;
    if (f->channel != 0 && (!c || !c->open))
        return bad_frame(err, "a frame on a channel that isn't open");
    switch (f->frame_type) {
    case AMQP_FRAME_METHOD:
        /* Content is not interrupted but by the channel's end. */
        if (in && in->state != IN_NOTHING && f->payload.method.id != AMQP_CHANNEL_CLOSE_METHOD)
            return bad_frame(err, "a method inside of a message");
        return on_method(q, l, f, err);
    case AMQP_FRAME_HEADER:
        return in ? on_header(q, l, in, f, err) : bad_frame(err, "a header where none belongs");
    case AMQP_FRAME_BODY:
        return in ? on_body(q, l, in, f->payload.body_fragment, err)
                  : bad_frame(err, "a body where none belongs");
    default:
        return bad_frame(err, "a frame of an unknown kind");
    }
}

int amqp_receive(struct amqp_queue *q, struct err *err)
{
    const struct timeval now = { 0 };

    for (int i = 0; i < FRAMES_MAX; i++) {
        amqp_frame_t f;
        int status = amqp_simple_wait_frame_noblock(q->conn, &f, &now);
        if (status == AMQP_STATUS_TIMEOUT)
            return 0;
        if (status != AMQP_STATUS_OK)
            return amqp_lost(err, status, "the connection is lost");
        int r = on_frame(q, &f, err);
        amqp_maybe_release_buffers_on_channel(q->conn, f.channel);
        if (r < 0)
            return r;
    }
    return 1;
}
