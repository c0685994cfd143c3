/* amqp_topology.c - the queues and exchanges of a farm. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "../base/err.h"
#include "amqp_parts.h"

enum {
    DELIVERY_LIMIT = 3,
    DELIVERIES_ANY = 1 << 30, /* RabbitMQ 4 drops a message after 20 where nothing is said */
    EVENTS_LENGTH = 10000,
    ARGS_MAX = 8,
};

struct args {
    amqp_table_entry_t entries[ARGS_MAX];
    int n;
};

static void arg_text(struct args *a, const char *key, const char *value)
{
    a->entries[a->n++] = (amqp_table_entry_t){
        .key = amqp_cstring_bytes(key),
        .value = {.kind = AMQP_FIELD_KIND_UTF8, .value.bytes = amqp_cstring_bytes(value)}
    };
}

static void arg_number(struct args *a, const char *key, int32_t value)
{
    a->entries[a->n++] = (amqp_table_entry_t){
        .key = amqp_cstring_bytes(key), .value = {.kind = AMQP_FIELD_KIND_I32, .value.i32 = value}
    };
}

/* Arguments must not change: a broker refuses to declare a queue that it has with others. */
static struct args queue_args(const char *name)
{
    struct args a = { .n = 0 };

    arg_text(&a, "x-queue-type", "quorum");
    if (strcmp(name, QUEUE_TASKS) == 0) {
        arg_number(&a, "x-delivery-limit", DELIVERY_LIMIT);
        arg_text(&a, "x-dead-letter-exchange", "");
        arg_text(&a, "x-dead-letter-routing-key", QUEUE_DEAD);
        arg_text(&a, "x-dead-letter-strategy", "at-least-once");
        arg_text(&a, "x-overflow", "reject-publish");
    } else {
        arg_number(&a, "x-delivery-limit", DELIVERIES_ANY);
    }
    return a;
}

/* The dead letters first: others name them. */
static const char *const queues[] = { QUEUE_DEAD, QUEUE_JOBS, QUEUE_TASKS, QUEUE_RESULTS,
                                      QUEUE_UPLOADS };
static const char *const exchanges[] = { QUEUE_EVENTS, QUEUE_UPLOADS };
enum { QUEUES = sizeof(queues) / sizeof(*queues), EXCHANGES = 2 };

static int channel_open(struct amqp_queue *q, amqp_channel_t number, struct err *err)
{
    (void)amqp_channel_open(q->conn, number);
    return amqp_rpc_ok(q, "opening a channel", err);
}

/* 0, or what the broker says; after a refusal (-EACCES, -EPROTO) the channel is closed. */
static int declare_queue(struct amqp_queue *q, const char *name, int passive, struct err *err)
{
    struct args a = queue_args(name);
    const amqp_table_t table = { a.n, a.entries };
    char doing[128];

    (void)snprintf(doing, sizeof(doing), "declaring the queue %s", name);
    (void)amqp_queue_declare(q->conn, CH_ASK, amqp_cstring_bytes(name), passive, 1, 0, 0,
                             passive ? amqp_empty_table : table);
    return amqp_rpc_ok(q, doing, err);
}

static int declare_exchange(struct amqp_queue *q, const char *name, int passive, struct err *err)
{
    char doing[128];

    (void)snprintf(doing, sizeof(doing), "declaring the exchange %s", name);
    (void)amqp_exchange_declare(q->conn, CH_ASK, amqp_cstring_bytes(name),
                                amqp_cstring_bytes("topic"), passive, 1, 0, 0, amqp_empty_table);
    return amqp_rpc_ok(q, doing, err);
}

static int declare_all(struct amqp_queue *q, int passive, struct err *err)
{
    int r = 0;

    for (size_t i = 0; i < EXCHANGES && r == 0; i++)
        r = declare_exchange(q, exchanges[i], passive, err);
    for (size_t i = 0; i < QUEUES && r == 0; i++)
        r = declare_queue(q, queues[i], passive, err);
    if (r == 0 && !passive) {
        (void)amqp_queue_bind(q->conn, CH_ASK, amqp_cstring_bytes(QUEUE_UPLOADS),
                              amqp_cstring_bytes(QUEUE_UPLOADS), amqp_cstring_bytes("#"),
                              amqp_empty_table);
        r = amqp_rpc_ok(q, "binding the queue of uploads", err);
    }
    return r;
}

/* The library leaves the answer to the closing of a channel to us. */
static int close_answered(struct amqp_queue *q)
{
    amqp_channel_close_ok_t ok = { 0 };

    return amqp_send_method(q->conn, CH_ASK, AMQP_CHANNEL_CLOSE_OK_METHOD, &ok) == AMQP_STATUS_OK;
}

int topology_declare(struct amqp_queue *q, struct err *err)
{
    int r = channel_open(q, CH_ASK, err);

    q->may_declare = 1;
    r = r < 0 ? r : declare_all(q, 0, err);
    if (r == -EACCES && close_answered(q)) {
        /* A user without the right to declare: an administrator has done it, or should. */
        q->may_declare = 0;
        amqp_maybe_release_buffers(q->conn);
        r = channel_open(q, CH_ASK, err);
        r = r < 0 ? r : declare_all(q, 1, err);
    }
    amqp_maybe_release_buffers(q->conn);
    return r;
}

static int send(struct amqp_queue *q, amqp_channel_t on, amqp_method_number_t id, void *method,
                struct err *err)
{
    int status = amqp_send_method(q->conn, on, id, method);

    return status == AMQP_STATUS_OK ? 0 : amqp_lost(err, status, "declaring queues");
}

static int queue_soon(struct amqp_queue *q, amqp_channel_t on, const char *name, struct err *err)
{
    struct args a = queue_args(name);
    amqp_queue_declare_t m = {
        .queue = amqp_cstring_bytes(name),
        .durable = 1,
        .nowait = 1,
        .arguments = {a.n, a.entries}
    };

    return send(q, on, AMQP_QUEUE_DECLARE_METHOD, &m, err);
}

static int exchange_soon(struct amqp_queue *q, amqp_channel_t on, const char *name, struct err *err)
{
    amqp_exchange_declare_t m = { .exchange = amqp_cstring_bytes(name),
                                  .type = amqp_cstring_bytes("topic"),
                                  .durable = 1,
                                  .nowait = 1 };

    return send(q, on, AMQP_EXCHANGE_DECLARE_METHOD, &m, err);
}

static int bind_soon(struct amqp_queue *q, amqp_channel_t on, const char *queue,
                     const char *exchange, const char *key, struct err *err)
{
    amqp_queue_bind_t m = { .queue = amqp_cstring_bytes(queue),
                            .exchange = amqp_cstring_bytes(exchange),
                            .routing_key = amqp_cstring_bytes(key),
                            .nowait = 1 };

    return send(q, on, AMQP_QUEUE_BIND_METHOD, &m, err);
}

int topology_declare_soon(struct amqp_queue *q, amqp_channel_t on, struct err *err)
{
    int r = 0;

    if (!q->may_declare)
        return 0;
    for (size_t i = 0; i < EXCHANGES && r == 0; i++)
        r = exchange_soon(q, on, exchanges[i], err);
    for (size_t i = 0; i < QUEUES && r == 0; i++)
        r = queue_soon(q, on, queues[i], err);
    return r < 0 ? r : bind_soon(q, on, QUEUE_UPLOADS, QUEUE_UPLOADS, "#", err);
}

/* A new name each time: the last one may still be held by a connection that
 * the broker doesn't know to be dead. */
int topology_declare_events(struct amqp_queue *q, amqp_channel_t on, struct err *err)
{
    uint64_t number = 0;
    struct args a = { .n = 0 };

    if (getrandom(&number, sizeof(number), 0) != sizeof(number))
        return err_set(err, -EIO, ERR_INTERNAL, "no random numbers");
    (void)snprintf(q->events_queue, sizeof(q->events_queue), "gopmill.events.%016llx",
                   (unsigned long long)number);
    arg_number(&a, "x-max-length", EVENTS_LENGTH);
    arg_text(&a, "x-overflow", "drop-head");
    amqp_queue_declare_t m = {
        .queue = amqp_cstring_bytes(q->events_queue),
        .exclusive = 1,
        .auto_delete = 1,
        .nowait = 1,
        .arguments = {a.n, a.entries}
    };
    int r = send(q, on, AMQP_QUEUE_DECLARE_METHOD, &m, err);
    for (size_t i = 0; i < q->n_patterns && r == 0;
         i++) /* written before `listening`, then constant */
        r = bind_soon(q, on, q->events_queue, QUEUE_EVENTS, q->patterns[i], err);
    return r;
}
