/* amqp_thread.c - the thread that owns the connection: it connects, serves
 * until the connection is lost, and connects again. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>

#include "../base/clock.h"
#include "../base/err.h"
#include "../base/log.h"
#include "amqp_parts.h"

enum {
    RECONNECT_MOST_MS = 10000,
    STEADY_MS = 10000, /* a connection that lived so long was a good one */
    /* RabbitMQ hands acks to a quorum queue some at a time, and forgets those
     * that are left when a channel ends: it is given a moment. */
    SETTLE_MS = 300,
    FLUSH_MS = 5000, /* at the end: for what is to be settled or given back */
    TURN_MS = 400,   /* heartbeats are looked after at least so often */
};

static int must_quit(struct amqp_queue *q)
{
    (void)pthread_mutex_lock(&q->lock);
    int quit = q->quit;
    (void)pthread_mutex_unlock(&q->lock);
    return quit;
}

static void set_state(struct amqp_queue *q, int connected, const struct err *why)
{
    (void)pthread_mutex_lock(&q->lock);
    if (q->state.connected != connected)
        q->state.since_ms = clock_system.wall_ms(&clock_system);
    q->state.connected = connected;
    q->state.blocked = 0;
    (void)snprintf(q->state.reason, sizeof(q->state.reason), "%.*s",
                   (int)sizeof(q->state.reason) - 1, why ? why->text : "");
    if (why)
        *q->last = *why;
    (void)pthread_cond_broadcast(&q->changed);
    (void)pthread_mutex_unlock(&q->lock);
}

/* Try the hosts, each once, from the one that was good last. */
static int connect_any(struct amqp_queue *q, struct err *err)
{
    int r = -ESHUTDOWN;

    for (size_t i = 0; i < q->url.n_hosts && !must_quit(q); i++) {
        const struct amqp_host *h = &q->url.hosts[q->host];
        r = amqp_connect(q, h, err);
        if (r == 0) {
            log_event(LOG_INFO, "amqp.connected", LSTR("name", q->name), LSTR("host", h->name),
                      LINT("port", h->port));
            return 0;
        }
        q->host = (q->host + 1) % q->url.n_hosts;
    }
    return r;
}

static void begin(struct amqp_queue *q)
{
    q->ask.open = 1; /* the topology was declared on it */
    q->window = WINDOW_MAX;
    q->unblocked_ms = 0;
    q->declare_soon = 0;
    set_state(q, 1, NULL);
}

/* Whoever takes nothing for so long without a confirm is as good as gone. */
static int check_confirms(struct amqp_queue *q, int64_t now, struct err *err)
{
    const struct outgoing *m = q->flight.head;

    (void)pthread_mutex_lock(&q->lock);
    int blocked = q->state.blocked;
    (void)pthread_mutex_unlock(&q->lock);
    if (!m || blocked)
        return 0;
    int64_t since = m->sent_ms > q->unblocked_ms ? m->sent_ms : q->unblocked_ms;
    if (now - since < q->confirm_timeout_ms)
        return 0;
    return err_set(err, -ETIMEDOUT, ERR_STORAGE, "the broker didn't confirm a message for %d ms",
                   q->confirm_timeout_ms);
}

/* When a channel is to be opened again, or INT64_MAX. */
static int64_t channels_due(struct amqp_queue *q, int64_t now)
{
    int64_t due = INT64_MAX;

    (void)pthread_mutex_lock(&q->lock);
    for (size_t i = 0; i < q->n_lanes; i++) {
        const struct lane *l = q->lanes[i];
        if (!l->subscribed && l->channel.retry_ms > now && l->channel.retry_ms < due)
            due = l->channel.retry_ms;
    }
    (void)pthread_mutex_unlock(&q->lock);
    if (!q->publish.open && q->publish.retry_ms < due)
        due = q->publish.retry_ms;
    return due;
}

/* Wait for the socket, a caller, or what is due. */
static void wait_for(struct amqp_queue *q, int more, int64_t now)
{
    int64_t due, channels = channels_due(q, now);
    int wants = amqp_wants_to_send(q, now, &due);
    struct pollfd p[2] = {
        {.fd = q->wake_fd,                .events = POLLIN                                 },
        { .fd = amqp_get_sockfd(q->conn), .events = (short)(POLLIN | (wants ? POLLOUT : 0))}
    };
    int64_t wait = q->flushing ? SETTLE_MS / 4 : TURN_MS;
    eventfd_t n;

    if (channels < due)
        due = channels;
    if (due > now && due - now < wait)
        wait = due - now;
    (void)poll(p, 2, more ? 0 : (int)wait);
    if (p[0].revents)
        (void)eventfd_read(q->wake_fd, &n);
}

/* Give up what can't be kept, and have the rest handed back. */
static void begin_flush(struct amqp_queue *q)
{
    q->flushing = 1;
    (void)pthread_mutex_lock(&q->lock);
    for (size_t i = 0; i < q->n_lanes; i++)
        q->lanes[i]->stopped = 1;
    (void)pthread_mutex_unlock(&q->lock);
}

static int has_settling(const struct outgoing_list *l)
{
    for (const struct outgoing *m = l->head; m; m = m->next)
        if (m->settles != 0)
            return 1;
    return 0;
}

static int is_flushed(struct amqp_queue *q)
{
    (void)pthread_mutex_lock(&q->lock);
    int busy = q->settles || has_settling(&q->outbox) || has_settling(&q->flight) || q->sending ||
               q->events.n > 0;
    for (size_t i = 0; i < q->n_lanes; i++)
        busy |= q->lanes[i]->subscribed ||
                (q->lanes[i]->n_ready > 0 && !lane_is_events(q->lanes[i]));
    (void)pthread_mutex_unlock(&q->lock);
    return !busy;
}

/* One turn. 0: go on; 1: all is done at the end. */
static int turn(struct amqp_queue *q, int64_t *flush_until, struct err *err)
{
    int more = amqp_receive(q, err);
    int64_t now = amqp_now_ms();
    int r = more < 0 ? more : check_confirms(q, now, err);

    if (must_quit(q) && !q->flushing) {
        begin_flush(q);
        *flush_until = now + FLUSH_MS;
    }
    if (r == 0)
        r = channels_maintain(q, now, err);
    if (r == 0)
        r = amqp_send_some(q, now, err);
    if (r < 0)
        return r;
    if (q->flushing && ((is_flushed(q) && now - q->settled_ms >= SETTLE_MS) || now >= *flush_until))
        return 1;
    wait_for(q, more, now);
    return 0;
}

static int serve(struct amqp_queue *q, struct err *err)
{
    int64_t flush_until = 0;
    int r;

    do
        r = turn(q, &flush_until, err);
    while (r == 0);
    amqp_disconnect(q, r > 0);
    channels_forget(q);
    return r < 0 ? r : 0;
}

static void pause_for(struct amqp_queue *q, int64_t ms)
{
    struct pollfd p = { .fd = q->wake_fd, .events = POLLIN };
    int64_t until = amqp_now_ms() + ms;
    eventfd_t n;

    for (int64_t left = ms; left > 0 && !must_quit(q); left = until - amqp_now_ms()) {
        (void)poll(&p, 1, (int)left);
        if (p.revents)
            (void)eventfd_read(q->wake_fd, &n);
    }
}

static void connected(struct amqp_queue *q, int again)
{
    if (again) {
        (void)pthread_mutex_lock(&q->lock);
        q->state.reconnects++;
        (void)pthread_mutex_unlock(&q->lock);
    }
    begin(q);
}

void *amqp_thread(void *arg)
{
    struct amqp_queue *q = arg;
    unsigned fails = 0;
    int again = 0;

    while (!must_quit(q)) {
        struct err err = { 0 };
        int r = connect_any(q, &err);
        int64_t since = amqp_now_ms();
        if (r == 0) {
            connected(q, again);
            again = 1;
            r = serve(q, &err);
            fails = amqp_now_ms() - since >= STEADY_MS ? 0 : fails;
        }
        set_state(q, 0, r < 0 && r != -ESHUTDOWN ? &err : NULL);
        if (r < 0 && !must_quit(q)) {
            log_event(LOG_WARN, "amqp.lost", LSTR("name", q->name), LSTR("error", err.text));
            pause_for(q, amqp_backoff_ms(q, fails++, RECONNECT_MOST_MS));
        }
    }
    (void)pthread_mutex_lock(&q->lock);
    q->ended = 1;
    (void)pthread_cond_broadcast(&q->changed);
    (void)pthread_mutex_unlock(&q->lock);
    return NULL;
}
