#include "daemon.h"

#include <curl/curl.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "../../common/base/clock.h"
#include "../../common/base/err.h"
#include "../../common/queue/amqp.h"
#include "../../common/store/env.h"
#include "../../common/store/health.h"
#include "../board.h"
#include "admit.h"
#include "api.h"
#include "config.h"
#include "intake.h"
#include "room.h"
#include "webhook.h"

enum { STEP_MS = 1000, STUCK_MS = 20000, PATIENCE_S = 10, PREFETCH = 256 };

struct daemon {
    const struct config *cfg;
    int lock, signals, failed_fd, ended_fd;
    struct board *board;
    struct store_env *stores;
    struct store_watch *watch;
    struct queue *queue;
    struct webhook *webhook;
    struct dispatcher *dispatcher;
    struct admit *admit;
    struct intake *intake;
    struct api *api;

    pthread_t engine;
    int engine_runs;
    atomic_int stop;         /* the engine's thread ends after its step */
    atomic_llong stepped_ns; /* when a step ended last */
    atomic_llong idle_ns;    /* since when tasks wait for workers; 0: they don't */
    int64_t looked_ns;       /* the engine's thread: at that */
    struct err failure;      /* written by the engine's thread before it ends */
    int result;              /* likewise */
};

/* ---- the engine's thread ---- */

/* Since when there is work and nobody to do it; looked at about once a second. */
static void watch_workers(struct daemon *m, int64_t now)
{
    struct board_totals t;

    if (now - m->looked_ns < NS_PER_S)
        return;
    m->looked_ns = now;
    board_totals(m->board, clock_system.wall_ms(&clock_system), &t);
    if (t.slots > 0 || !(t.backlog_s > 0))
        atomic_store(&m->idle_ns, 0);
    else if (atomic_load(&m->idle_ns) == 0)
        atomic_store(&m->idle_ns, now);
}

static void *engine_loop(void *arg)
{
    struct daemon *m = arg;
    int r = 0;

    while (r == 0 && !atomic_load(&m->stop)) {
        r = dispatcher_step(m->dispatcher, STEP_MS, &m->failure);
        int64_t now = clock_system.mono_ns(&clock_system);
        atomic_store(&m->stepped_ns, now);
        watch_workers(m, now);
    }
    m->result = r;
    if (r < 0) {
        const uint64_t one = 1;
        log_event(LOG_ERROR, "dispatcher.failed", LSTR("why", m->failure.text));
        (void)!write(m->failed_fd, &one, sizeof(one));
    }
    while (r < 0 && !atomic_load(&m->stop)) /* whoever calls is told why */
        (void)dispatcher_step(m->dispatcher, STEP_MS, NULL);
    return NULL;
}

/* Not at once: after its start a dispatcher has to hear of workers first. */
static int has_workers(struct daemon *m, char *why, size_t size)
{
    int64_t since = atomic_load(&m->idle_ns);
    struct board_crew c;

    if (since == 0 ||
        clock_system.mono_ns(&clock_system) - since < (int64_t)WORKER_LOST_MS * NS_PER_MS)
        return 1;
    board_crew(m->board, clock_system.wall_ms(&clock_system), &c);
    if (c.takers > 0)
        return 1;
    (void)snprintf(why, size,
                   "tasks wait, and none of %zu workers takes any, %zu in quarantine%s%s",
                   c.workers, c.quarantined, c.reason[0] ? "; " : "", c.reason);
    return 0;
}

static int has_store(struct daemon *m, char *why, size_t size)
{
    struct store_health h;

    store_env_health(m->stores, &h);
    if (h.state == STORE_AWAY)
        (void)snprintf(why, size, "the store is away: %s", h.why);
    return h.state != STORE_AWAY;
}

static int ready(void *arg, char *why, size_t size)
{
    struct daemon *m = arg;
    struct queue_state q = { 0 };
    int64_t age = clock_system.mono_ns(&clock_system) - atomic_load(&m->stepped_ns);

    m->queue->ops->state(m->queue, &q);
    if (age > (int64_t)STUCK_MS * NS_PER_MS)
        (void)snprintf(why, size, "the dispatcher has been at one step for %d s",
                       (int)(age / NS_PER_S));
    else if (!q.connected)
        (void)snprintf(why, size, "the broker is not connected: %s", q.reason);
    else if (q.blocked)
        (void)snprintf(why, size, "the broker takes no messages: %s", q.reason);
    else
        return has_store(m, why, size) && dispatcher_healthy(m->dispatcher, why, size) &&
               has_workers(m, why, size);
    return 0;
}

static void traffic(void *arg, struct store_traffic *ret)
{
    const struct daemon *m = arg;

    store_env_traffic(m->stores, ret);
    struct store_health h;
    store_env_health(m->stores, &h);
    ret->away = h.state != STORE_ANSWERS;
}

/* ---- start ---- */

static int block_signals(struct daemon *m, struct err *err)
{
    sigset_t set;

    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGHUP);
    (void)pthread_sigmask(SIG_BLOCK, &set, NULL);
    (void)signal(SIGPIPE, SIG_IGN); /* sockets that others closed */
    m->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    m->failed_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    m->ended_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (m->signals < 0 || m->failed_fd < 0 || m->ended_fd < 0)
        return err_set(err, -errno, ERR_RESOURCE, "waiting for signals: %s", strerror(errno));
    return 0;
}

static int open_outside(struct daemon *m, struct err *err)
{
    const struct config *c = m->cfg;
    const struct store_env_config stores = { .private_addresses = (int)c->private_sources,
                                             .ca_file = c->ca_file };
    const struct queue_amqp_config queue = { .url = c->broker,
                                             .name = "gopmill-dispatcher",
                                             .prefetch = PREFETCH,
                                             .ca_file = c->broker_ca,
                                             .cert_file = c->broker_cert,
                                             .key_file = c->broker_key };
    int r = store_env_new(&stores, &m->stores, err);

    if (r == 0)
        r = store_watch_new(m->stores, &m->watch, err);
    return r < 0 ? r : queue_amqp_new(&queue, &m->queue, err);
}

static int start_engine(struct daemon *m, struct err *err)
{
    const struct config *c = m->cfg;
    const struct dispatcher_config cfg = {
        .db_path = c->db,
        .queue = m->queue,
        .stores = m->stores,
        .board = m->board,
        .slots = c->slots,
        .queue_min = c->queue_min,
        .max_attempts = c->attempts,
        .planners = c->planners,
        .publishers = c->publishers,
        .plan_nice = 5, /* less than encoders' on the same machine: they may wait for a plan */
        .early_playlists = (int)c->early_playlists,
        .remove_early = (int)c->remove_early,
        .lost_after_ms = (int64_t)c->lost_after_s * 1000,
        .storage_retry_ms = (int64_t)c->storage_retry_s * 1000,
        .keep_failed_ms = (int64_t)c->keep_failed_h * 3600000,
        .keep_replaced_ms = (int64_t)c->keep_replaced_s * 1000,
        .on_end = webhook_end,
        .arg = m->webhook,
    };
    int r = dispatcher_new(&cfg, &m->dispatcher, err);

    if (r < 0)
        return r;
    atomic_store(&m->stepped_ns, clock_system.mono_ns(&clock_system));
    int e = pthread_create(&m->engine, NULL, engine_loop, m);
    if (e != 0)
        return err_set(err, -e, ERR_RESOURCE, "starting a thread: %s", strerror(e));
    m->engine_runs = 1;
    return 0;
}

static int start_doors(struct daemon *m, struct err *err)
{
    const struct config *c = m->cfg;
    const struct admit_config admit = { &c->sources, &c->outputs, &c->notifies, c->ladder };
    int r = admit_new(&admit, &m->admit, err);

    if (r == 0)
        r = webhook_begin(m->webhook, m->dispatcher, err);
    if (r < 0)
        return r;
    const struct intake_config intake = {
        .queue = m->queue, .dispatcher = m->dispatcher, .admit = m->admit, .uploads = &c->uploads
    };
    r = intake_start(&intake, &m->intake, err);
    if (r < 0)
        return r;
    const struct api_config api = {
        .listen = c->listen,
        .token = c->token,
        .dispatcher = m->dispatcher,
        .admit = m->admit,
        .sources = {m->board, m->queue, m->intake, m->webhook, traffic, m,
                    clock_system.wall_ms(&clock_system)},
        .connections = c->connections,
        .per_address = c->per_address,
        .ready = ready,
        .arg = m,
    };
    return api_start(&api, &m->api, err);
}

static int start(struct daemon *m, struct err *err)
{
    const struct webhook_config hooks = { .private_ok = &m->cfg->notify_named,
                                          .ca_file = m->cfg->ca_file };
    int r = board_new(&m->board, err);

    if (r == 0)
        r = open_outside(m, err);
    if (r == 0)
        r = webhook_new(&hooks, &m->webhook, err);
    if (r == 0)
        r = start_engine(m, err);
    return r < 0 ? r : start_doors(m, err);
}

/* ---- end ---- */

/* Doors first, while the engine still answers those who wait. */
static void stop(struct daemon *m)
{
    api_free(m->api);
    intake_free(m->intake);
    if (m->webhook)
        webhook_stop(m->webhook);
    if (m->engine_runs) {
        atomic_store(&m->stop, 1);
        dispatcher_wake(m->dispatcher);
        (void)pthread_join(m->engine, NULL);
    }
    if (m->queue)
        m->queue->ops->close(m->queue);
    dispatcher_free(m->dispatcher);
    admit_free(m->admit);
    webhook_free(m->webhook);
    queue_free(m->queue);
    store_watch_free(m->watch);
    store_env_free(m->stores);
    board_free(m->board);
}

/* All but what outlives a full disk. */
static void forget(struct daemon *m)
{
    uint64_t n;

    (void)!read(m->failed_fd, &n, sizeof(n));
    (void)!read(m->ended_fd, &n, sizeof(n));
    *m = (struct daemon){ .cfg = m->cfg,
                          .lock = m->lock,
                          .signals = m->signals,
                          .failed_fd = m->failed_fd,
                          .ended_fd = m->ended_fd };
}

static void close_fds(const struct daemon *m)
{
    const int fds[] = { m->signals, m->failed_fd, m->ended_fd, m->lock };

    for (size_t i = 0; i < sizeof(fds) / sizeof(*fds); i++)
        if (fds[i] >= 0)
            (void)close(fds[i]);
}

/* The hard way, where the orderly one takes too long or somebody asks again. */
static void *last_resort(void *arg)
{
    const struct daemon *m = arg;
    struct pollfd p[] = {
        {.fd = m->ended_fd, .events = POLLIN},
        { .fd = m->signals, .events = POLLIN},
    };
    static const char words[] = "gopmill-dispatcher: ended at once; the database is whole\n";

    (void)poll(p, 2, PATIENCE_S * 1000);
    if (p[0].revents)
        return NULL;
    (void)!write(STDERR_FILENO, words, sizeof(words) - 1);
    _exit(1);
}

static void stop_in_time(struct daemon *m)
{
    const uint64_t one = 1;
    pthread_t hard;
    int watched = pthread_create(&hard, NULL, last_resort, m) == 0;

    stop(m);
    (void)!write(m->ended_fd, &one, sizeof(one));
    if (watched)
        (void)pthread_join(hard, NULL);
}

static void wait_for_end(const struct daemon *m)
{
    struct pollfd p[] = {
        {.fd = m->signals,    .events = POLLIN},
        { .fd = m->failed_fd, .events = POLLIN},
    };
    struct signalfd_siginfo info;

    while (poll(p, 2, -1) < 0 && errno == EINTR)
        ;
    if (p[0].revents && read(m->signals, &info, sizeof(info)) == (ssize_t)sizeof(info))
        log_event(LOG_INFO, "dispatcher.stops", LINT("signal", info.ssi_signo));
}

/* From the start until a signal (0) or a failure. */
static int run_once(struct daemon *m, struct err *err)
{
    int r = start(m, err);

    if (r < 0) {
        stop(m);
        return r;
    }
    log_event(LOG_INFO, "dispatcher.ready", LSTR("listen", m->cfg->listen),
              LINT("port", api_port(m->api)), LSTR("db", m->cfg->db));
    wait_for_end(m);
    stop_in_time(m);
    if (m->result < 0 && err)
        *err = m->failure;
    return m->result;
}

int daemon_run(const struct config *cfg, struct err *err)
{
    struct daemon m = { .cfg = cfg, .lock = -1, .signals = -1, .failed_fd = -1, .ended_fd = -1 };

    (void)curl_global_init(CURL_GLOBAL_DEFAULT);
    int r = block_signals(&m, err);
    if (r == 0)
        r = daemon_lock(cfg->db, &m.lock, err);
    if (r == 0)
        r = run_once(&m, err);
    while (r == -ENOSPC) {
        log_event(LOG_ERROR, "dispatcher.waits-for-room", LSTR("db", cfg->db),
                  LINT("wanted_mib", ROOM_MIB));
        forget(&m);
        r = room_wait(cfg, err, m.signals);
        if (r == 0)
            r = run_once(&m, err);
        else if (r == -ECANCELED)
            r = 0; /* told to end: nothing is running */
    }
    close_fds(&m);
    return r;
}
