#include "service.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../../common/base/clock.h"
#include "../../common/base/err.h"
#include "../../common/base/log.h"
#include "../../common/child/child.h"
#include "../../common/queue/amqp.h"
#include "../../common/store/env.h"
#include "../../common/store/health.h"
#include "../worker.h"
#include "gopmill-config.h"
#include "settings.h"

enum {
    TICK_MS = 200,
    STILL_AWAY_MS = 30000, /* a broker that is away is complained of so often */
    HAND_BACK_MS = 10000,  /* to hand tasks back when the time to drain is over … */
    AT_ONCE_MS = 3000,     /* … and after a second signal */
    CLOSED_MS = 2000,      /* for those who wait for the broker to notice that it is closed */
};

struct service {
    const struct settings *settings;
    struct store_env *stores;
    struct store_watch *watch;
    struct queue *queue;
    struct worker *worker;

    int connected; /* as it was said last */
    char reason[200];
    int64_t said_ns;
    int stopped; /* the queue: no tasks for now */
};

static int64_t now_ns(void)
{
    return clock_system.mono_ns(&clock_system);
}

static void signals(sigset_t *set)
{
    (void)sigemptyset(set);
    (void)sigaddset(set, SIGTERM);
    (void)sigaddset(set, SIGINT);
}

void service_block_signals(void)
{
    sigset_t set;

    signals(&set);
    (void)pthread_sigmask(SIG_BLOCK, &set, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
}

/* One tick. The signal that came, or 0. */
static int wait_for_signal(void)
{
    const struct timespec tick = { .tv_nsec = TICK_MS * 1000000L };
    sigset_t set;

    signals(&set);
    int sig = sigtimedwait(&set, NULL, &tick);
    return sig > 0 ? sig : 0;
}

/* ---- start ---- */

static int open_queue(struct service *v, struct err *err)
{
    const struct settings *s = v->settings;
    char name[160];

    (void)snprintf(name, sizeof(name), "worker %s", s->id);
    const struct queue_amqp_config cfg = {
        .url = s->broker,
        .name = name,
        .prefetch = s->slots,
        .ca_file = s->broker_ca,
        .cert_file = s->broker_cert,
        .key_file = s->broker_key,
    };
    return queue_amqp_new(&cfg, &v->queue, err);
}

static int start_worker(struct service *v, struct err *err)
{
    const struct settings *s = v->settings;
    const struct worker_config cfg = {
        .queue = v->queue,
        .stores = v->stores,
        .id = s->id,
        .slots = s->slots,
        .nice = s->nice,
        .cache_bytes = s->cache_bytes,
        .memory_bytes = s->memory_bytes,
        .uploads = s->uploads,
        .events = 1,
        .disk = s->disk,
    };
    return worker_start(&cfg, &v->worker, err);
}

/* Rather now than by every task. */
static int try_child(struct err *err)
{
    struct child *c;
    int r = child_start(&c, err);

    if (r == 0)
        child_free(c);
    return r;
}

/* Rather now than by every task. It starts nevertheless, and waits for the store. */
static void try_store(const struct service *v)
{
    struct err err = { 0 };

    if (store_env_ask(v->stores, &err) < 0)
        log_event(LOG_WARN, "worker.store", LSTR("worker", v->settings->id),
                  LSTR("error", err.text));
}

static void watch_store(struct service *v);

static int start(struct service *v, struct err *err)
{
    const struct settings *s = v->settings;
    const struct store_env_config stores = { .private_addresses = s->private_addresses };
    int r = try_child(err);

    if (r == 0)
        r = store_env_new(&stores, &v->stores, err);
    if (r == 0)
        r = store_watch_new(v->stores, &v->watch, err);
    if (r == 0)
        try_store(v);
    if (r == 0)
        r = open_queue(v, err);
    if (r == 0)
        r = start_worker(v, err);
    if (r == 0)
        watch_store(v);
    if (r == 0)
        log_event(LOG_INFO, "worker.started", LSTR("worker", s->id),
                  LSTR("version", GOPMILL_VERSION), LINT("slots", s->slots),
                  LINT("memory_bytes", (int64_t)s->memory_bytes),
                  LINT("cache_bytes", (int64_t)s->cache_bytes), LINT("nice", s->nice),
                  LINT("drain_s", s->drain_s));
    return r;
}

static void tidy_up(struct service *v)
{
    worker_free(v->worker); /* says good-bye, for which it needs its queue */
    if (v->queue)
        v->queue->ops->close(v->queue);
    queue_free(v->queue);
    store_watch_free(v->watch);
    store_env_free(v->stores);
}

/* ---- what there is to say ---- */

static void say(struct service *v, const struct queue_state *st, enum log_level level,
                const char *event)
{
    log_event(level, event, LSTR("worker", v->settings->id), LSTR("reason", st->reason),
              LINT("reconnects", (int64_t)st->reconnects));
    v->said_ns = now_ns();
    (void)snprintf(v->reason, sizeof(v->reason), "%s", st->reason);
}

static void watch_broker(struct service *v)
{
    struct queue_state st = { 0 };

    v->queue->ops->state(v->queue, &st);
    if (st.connected && !v->connected)
        say(v, &st, LOG_INFO, "broker.connected");
    else if (!st.connected && v->connected)
        say(v, &st, LOG_WARN, "broker.lost");
    else if (st.connected && strcmp(st.reason, v->reason) != 0)
        say(v, &st, st.blocked ? LOG_WARN : LOG_INFO,
            st.blocked ? "broker.blocked" : "broker.unblocked");
    else if (!st.connected && st.reason[0] &&
             (strcmp(st.reason, v->reason) != 0 ||
              now_ns() - v->said_ns >= STILL_AWAY_MS * (int64_t)NS_PER_MS))
        say(v, &st, LOG_WARN, "broker.waiting");
    v->connected = st.connected;
}

/* ---- life ---- */

static void stop_leasing(struct service *v)
{
    if (!v->stopped)
        v->queue->ops->stop(v->queue, QUEUE_TASKS);
    v->stopped = 1;
}

static void watch_store(struct service *v)
{
    struct store_health h;
    char why[340] = "";

    store_env_health(v->stores, &h);
    if (h.state != STORE_ANSWERS)
        (void)snprintf(why, sizeof(why), "%s%s", h.state == STORE_AWAY ? "the store is away: " : "",
                       h.why);
    worker_hinder(v->worker, why);
}

/* What the broker has delivered ahead goes back while the worker takes nothing. */
static void watch_leasing(struct service *v)
{
    if (!worker_leases(v->worker)) {
        stop_leasing(v);
    } else if (v->stopped) {
        v->queue->ops->resume(v->queue, QUEUE_TASKS);
        v->stopped = 0;
    }
}

/* Until somebody says that it is to end. */
static void work(struct service *v)
{
    int sig = 0;

    while (!sig && !worker_draining(v->worker)) {
        sig = wait_for_signal();
        watch_broker(v);
        watch_store(v);
        watch_leasing(v);
    }
    log_event(LOG_INFO, "worker.draining", LSTR("worker", v->settings->id),
              LSTR("reason", sig ? strsignal(sig) : "told to by an event"),
              LINT("running", worker_running(v->worker)), LINT("drain_s", v->settings->drain_s));
}

/* Wait until nothing is in hand: 0, or what came first: a signal, or -EAGAIN
 * after `ms`. */
static int wait_idle(struct service *v, int64_t ms, int heed_signals)
{
    int64_t until = now_ns() + ms * NS_PER_MS;

    while (worker_running(v->worker) > 0) {
        if (now_ns() >= until)
            return -EAGAIN;
        int sig = wait_for_signal();
        watch_broker(v);
        if (sig && heed_signals)
            return sig;
    }
    return 0;
}

/* 0, or -EBUSY. */
static int drain(struct service *v)
{
    worker_drain(v->worker);
    stop_leasing(v);
    int r = wait_idle(v, (int64_t)v->settings->drain_s * 1000, 1);
    if (r == 0)
        return 0;
    log_event(LOG_WARN, "worker.handing_back", LSTR("worker", v->settings->id),
              LSTR("reason", r > 0 ? "a second signal" : "the time to drain is over"),
              LINT("running", worker_running(v->worker)));
    worker_kill(v->worker);
    if (wait_idle(v, r > 0 ? AT_ONCE_MS : HAND_BACK_MS, 0) == 0)
        return 0;
    v->queue->ops->close(v->queue); /* what is unsettled goes back to the broker */
    return wait_idle(v, CLOSED_MS, 0) == 0 ? 0 : -EBUSY;
}

int service_run(const struct settings *s, struct err *err)
{
    struct service v = { .settings = s };
    int r = start(&v, err);

    if (r == 0) {
        work(&v);
        r = drain(&v);
        log_event(r < 0 ? LOG_WARN : LOG_INFO, "worker.ended", LSTR("worker", s->id),
                  LINT("running", worker_running(v.worker)));
    }
    if (r != -EBUSY || !v.worker)
        tidy_up(&v);
    return r;
}
