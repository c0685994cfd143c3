/* amqp_parts.h - the parts that amqp.c is made of; nobody else's.
 *
 * One thread (amqp_thread.c) owns the connection, what is marked "thread",
 * and all of librabbitmq's calls; callers (amqp.c) leave what they want under
 * `lock` and write to the eventfd. The thread never holds the lock while it
 * may wait for the network.
 *
 * Channels: one for questions, one for messages with confirms, one for
 * events, and one for each queue that is consumed, so that the broker's
 * closing of one leaves the others alone.
 *
 * The way of a message out:  outbox -> sending -> in flight -> confirmed
 *   connection or channel lost, refused (nack), unroutable:  -> outbox
 * The way of a message in:   incoming -> ready -> with a consumer -> settled
 *   connection or channel lost: forgotten; the broker has it back
 */
#ifndef GOPMILL_QUEUE_AMQP_PARTS_H
#define GOPMILL_QUEUE_AMQP_PARTS_H

#include <amqp.h>
#include <pthread.h>
#include <stdint.h>

#include "amqp.h"
#include "amqp_url.h"

struct err;

enum {
    CH_ASK = 1, /* passive declarations */
    CH_PUBLISH,
    CH_EVENT,
    CH_LANE, /* the first of the lanes' */
    LANES_MAX = 16,
    PATTERNS_MAX = 64,
    OTHERS_PREFETCH = 256,
    DEAD_PREFETCH = 4, /* dead letters may be large, and nobody is in a hurry for them */
    PREFETCH_MAX = 512,
    UNSETTLED_MAX = 1024, /* more: a consumer that was canceled leaves some behind */
    EVENTS_READY_MAX = 1024,
    EVENTS_OUT_MAX = 256,
    WINDOW_MAX = 256,
    OVERSIZED_KEPT = 64 << 10, /* first bytes of a message that is too large */
    TOPOLOGY_NAME_MAX = 64,
};

#define HEADER_FROM   "x-gopmill-from"
#define HEADER_REASON "x-gopmill-reason"

/* A channel as the thread sees it. */
struct channel {
    amqp_channel_t number;
    int open;         /* asked for: what follows on it is handled in order */
    int closed;       /* by the broker, which may send on it until it has our answer */
    int64_t retry_ms; /* not opened again before */
    unsigned fails;   /* in a row */
};

/* Who waits for messages to be confirmed. Counted, as the waiter may give up first. */
struct batch {
    unsigned refs;
    size_t left; /* not yet confirmed */
    int abandoned;
    int r; /* < 0: refused for good, `err` says why */
    struct err *err;
    pthread_cond_t *done; /* borrowed: the queue's `changed` */
};

/* A message on its way to the broker. */
struct outgoing {
    struct outgoing *next;
    struct batch *batch; /* NULL: nobody waits */
    uint64_t settles;    /* tag of a delivery that is acked once this is confirmed, or 0 */
    int is_event;
    char *key;           /* the queue's name, or the event's key */
    char *from, *reason; /* of a dead letter */
    char *body;
    size_t len, sent;  /* sent: bytes of the body */
    uint64_t seq;      /* thread: of its confirm */
    int64_t sent_ms;   /* thread */
    int64_t retry_ms;  /* not before */
    unsigned refusals; /* nacks and returns */
    int begun, returned;
};

struct outgoing_list {
    struct outgoing *head, **tail;
    size_t n;
};

/* A delivery not yet consumed. */
struct delivery {
    struct delivery *next;
    struct queue_msg msg;
};

/* One that arrives, frame by frame. */
struct incoming {
    enum { IN_NOTHING, IN_HEADER, IN_BODY } state;
    uint64_t tag; /* the broker's */
    int redelivered;
    uint64_t size, got;
    struct queue_msg msg;
};

/* A queue that is consumed. */
struct lane {
    struct channel channel; /* thread */
    struct incoming in;     /* thread */
    int subscribed;         /* thread: basic.consume was sent */
    int canceling;          /* thread: basic.cancel was sent */
    int accepted;           /* the broker said consume-ok */
    int wanted, stopped;    /* what callers asked for */
    uint64_t epoch;         /* of its channel; 0: none */
    unsigned prefetch;
    uint64_t unsettled[UNSETTLED_MAX]; /* the broker's tags of what callers or `ready` have */
    size_t n_unsettled;
    struct delivery *head, **tail;
    size_t n_ready;
    int64_t depth_ms; /* when `depth` was true; 0: never */
    size_t depth;
    pthread_cond_t ready;
    char name[TOPOLOGY_NAME_MAX];
};

/* Settle a delivery. */
struct settle {
    struct settle *next;
    uint64_t tag; /* ours */
    int requeue;
};

/* How many messages are in a queue? Counted like a batch. */
struct ask {
    struct ask *next;
    unsigned refs;
    int done, r;
    size_t depth;
    char name[TOPOLOGY_NAME_MAX];
};

struct amqp_queue {
    struct queue queue;

    /* Constant. */
    struct amqp_url url;
    char *name, *ca_file, *cert_file, *key_file;
    unsigned prefetch, heartbeat_s;
    int connect_timeout_ms, confirm_timeout_ms;
    int wake_fd;
    pthread_t thread;

    pthread_mutex_t lock; /* guards what follows, up to "thread" */
    int closed, quit, ended;
    struct queue_state state;
    struct err *last;       /* of the last try to connect */
    pthread_cond_t changed; /* state, accepted lanes, answers, confirms */
    struct outgoing_list outbox, events;
    struct lane *lanes[LANES_MAX];
    size_t n_lanes;
    struct settle *settles, **settles_tail;
    struct ask *asks; /* to be asked */
    uint64_t last_epoch;
    char *patterns[PATTERNS_MAX];
    size_t n_patterns;
    int listening;
    int fd; /* of the connection, for shutdown(2); -1: none */

    /* thread */
    amqp_connection_state_t conn;
    size_t host; /* that is, or was last, connected to */
    struct channel ask, publish, event;
    struct ask *asked; /* in the order of the answers */
    struct outgoing_list flight;
    size_t flight_bytes;
    struct outgoing *sending;
    struct channel *sending_on;
    struct incoming returned;
    uint64_t last_seq;
    size_t window;
    int may_declare;  /* 0: the user has no right to */
    int declare_soon; /* something is missing */
    int64_t unblocked_ms, tell_refused_ms;
    int renew, renewing; /* the publishing channel: to be closed once nothing is in flight; is */
    int64_t renew_ms;    /* not again before */
    int64_t settled_ms;  /* when the last one was sent */
    int flushing;
    unsigned random;
    char events_queue[TOPOLOGY_NAME_MAX];
};

static inline struct amqp_queue *amqp_queue_of(struct queue *q)
{
    return (struct amqp_queue *)q; /* queue is its first member */
}

/* amqp.c */
void amqp_wake(struct amqp_queue *q);
int64_t amqp_now_ms(void);                                               /* CLOCK_MONOTONIC */
int64_t amqp_backoff_ms(struct amqp_queue *q, unsigned n, int64_t most); /* with jitter; thread */

/* amqp_outgoing.c: lists of messages and who waits for them; all under the lock. */
struct outgoing *outgoing_new(const char *key, const void *body, size_t len);
void outgoing_free(struct outgoing *m); /* leaves its batch alone */
void outgoing_init(struct outgoing_list *l);
void outgoing_push(struct outgoing_list *l, struct outgoing *m);
void outgoing_push_head(struct outgoing_list *l, struct outgoing *m);
struct outgoing *outgoing_pop(struct outgoing_list *l);
void outgoing_remove(struct outgoing_list *l, struct outgoing **at);
void outgoing_clear(struct outgoing_list *l);
struct batch *batch_new(pthread_cond_t *done);
void batch_unref(struct batch *b);
void outgoing_done(struct outgoing *m, int r, const struct err *err); /* tells its batch; frees */

/* amqp_lane.c: deliveries; all under the lock, the lane's channel by the thread. */
struct lane *lane_get(struct amqp_queue *q, const char *name); /* made if need be; NULL: no room */
void lane_free(struct lane *l);
void lane_forget(struct lane *l); /* its channel is gone: so are its deliveries */
int lane_is_events(const struct lane *l);
struct lane *lane_of_tag(struct amqp_queue *q, uint64_t tag); /* NULL: stale */
int lane_settle(struct lane *l, uint64_t tag);                /* 0, or -EINVAL: isn't out */
int lane_has(const struct lane *l, uint64_t tag);
int settle_add(struct amqp_queue *q, uint64_t tag, int requeue); /* 0 or -ENOMEM */
struct settle *settle_pop(struct amqp_queue *q);
void settle_free(struct settle *s);
void ask_unref(struct ask *a);
/* To the dead letters, and then acked. Locked. 0 or -ENOMEM. */
int lane_bury(struct amqp_queue *q, const struct lane *l, const struct queue_msg *m,
              const char *reason);
/* Hand what is ready back to the broker. Locked. */
void lane_return(struct amqp_queue *q, struct lane *l);

/* What a delivery's tag is to callers: the epoch of its channel above, the
 * broker's number below. */
enum { TAG_BITS = 40 };
static inline uint64_t tag_make(uint64_t epoch, uint64_t number)
{
    return epoch << TAG_BITS | number;
}
static inline uint64_t tag_number(uint64_t tag)
{
    return tag & ((UINT64_C(1) << TAG_BITS) - 1);
}

/* amqp_connect.c; thread. */
int amqp_connect(struct amqp_queue *q, const struct amqp_host *host, struct err *err);
void amqp_disconnect(struct amqp_queue *q, int politely);
/* Tell a broker's or the library's words: printable, cut. */
int amqp_lost(struct err *err, int status, const char *doing);
void amqp_printable(char *buf, size_t size, amqp_bytes_t text);
/* 0, or why the last call that waits for an answer failed: -EACCES or -EPROTO where the broker
 * refused it (its channel is closed then). */
int amqp_rpc_ok(struct amqp_queue *q, const char *doing, struct err *err);

/* amqp_topology.c; thread. */
int topology_declare(struct amqp_queue *q, struct err *err);                         /* waits */
int topology_declare_soon(struct amqp_queue *q, amqp_channel_t on, struct err *err); /* doesn't */
int topology_declare_events(struct amqp_queue *q, amqp_channel_t on, struct err *err);

/* amqp_channel.c: channels opened, and opened again; thread. */
int channels_maintain(struct amqp_queue *q, int64_t now, struct err *err);
void publish_renewed(struct amqp_queue *q); /* the broker has closed it, as asked */
int channel_closed(struct amqp_queue *q, struct channel *c, struct lane *l,
                   const amqp_channel_close_t *why, struct err *err);
void channels_forget(struct amqp_queue *q); /* the connection is gone */
void sending_give_up(struct amqp_queue *q); /* what was not confirmed goes back to the outbox */

/* amqp_receive.c; thread. 0 once there is nothing more to be read for now, 1 where there may be
 * more, < 0: the connection is of no use any more. */
int amqp_receive(struct amqp_queue *q, struct err *err);

/* amqp_send.c; thread. */
int amqp_send_some(struct amqp_queue *q, int64_t now, struct err *err);
int amqp_wants_to_send(struct amqp_queue *q, int64_t now, int64_t *ret_next_ms);
int amqp_confirmed(struct amqp_queue *q, uint64_t seq, int multiple, int refused, struct err *err);
int amqp_mark_returned(struct amqp_queue *q, amqp_bytes_t message_id, struct err *err);

/* amqp_thread.c */
void *amqp_thread(void *arg);

#endif
