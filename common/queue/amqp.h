/* amqp.h - RabbitMQ as the queue of a farm.
 *
 * One thread owns the connection: heartbeats are served whatever callers
 * do. It declares the topology when it connects (idempotent): durable quorum
 * queues QUEUE_*, QUEUE_TASKS with x-delivery-limit 3 and at-least-once dead
 * letters (reject-publish) into QUEUE_DEAD, the others without a limit, the topic exchanges
 * "gopmill.events" and "gopmill.uploads" (whose every message goes to
 * QUEUE_UPLOADS), and for those who listen an exclusive queue of their own. A
 * user who may not declare uses what an administrator has declared; a queue
 * that is there with other arguments is an error until somebody removes it.
 * A connection that is lost is made again with back-off and jitter, without
 * end; what was delivered over it and not settled goes back to the broker.
 *
 * What a quorum queue gets back, by whatever way (reject, nack, a channel or
 * connection that ends), counts as a delivery. So stop() and free() publish
 * what is delivered but not consumed as a new message, with a confirm, and
 * ack the old one; only what came back before is returned with its count.
 * ack() and reject() leave the work to the thread and return at once; a dead
 * letter's delivery is acked once the broker has confirmed its copy.
 * free() waits up to 5 s for that, and, where a host doesn't answer, for the
 * connect time-out.
 *
 * A message that is too large (QUEUE_BODY_MAX), of whatever queue, never
 * reaches a consumer: it goes to QUEUE_DEAD with a reason; one too large for
 * that, with its first bytes only.
 */
#ifndef GOPMILL_QUEUE_AMQP_H
#define GOPMILL_QUEUE_AMQP_H

#include "queue.h"

struct queue_amqp_config {
    const char *url;        /* amqp[s]://user:password@host[:port][,host2[:port]…]/vhost; copied.
                             * Of several hosts the next is tried where one doesn't answer. */
    const char *name;       /* of the connection, as operators see it: "worker w1"; copied */
    unsigned prefetch;      /* unsettled messages of QUEUE_TASKS at once, at most 512; 0: 1.
                             * Of other queues: 256 */
    unsigned heartbeat_s;   /* 0: 10 */
    int connect_timeout_ms; /* of one try; 0: 5000 */
    int confirm_timeout_ms; /* a publish without a confirm for so long: the connection is given up
                             * and it is sent again over a new one; 0: 30000 */
    const char *ca_file;    /* amqps: PEM; NULL: the system's. Certificates are always verified. */
    const char *cert_file, *key_file; /* amqps: the client's own; may be NULL */
};

/* Checks the URL (-EINVAL, ERR_USAGE; its password is in no text) and starts
 * the thread; doesn't wait for the broker. */
int queue_amqp_new(const struct queue_amqp_config *cfg, struct queue **ret, struct err *err);

/* Wait until it is connected: 0, -ETIMEDOUT (ERR_STORAGE, with the reason of the last
 * try: refused, login, certificate, …), or -ESHUTDOWN. */
int queue_amqp_wait(struct queue *q, int timeout_ms, struct err *err);

#endif
