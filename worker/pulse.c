#include "pulse.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../common/base/cleanup.h"
#include "../common/base/clock.h"
#include "../common/base/err.h"
#include "../common/base/log.h"
#include "../common/queue/queue.h"
#include "../common/wire/event.h"
#include "desk.h"
#include "machine.h"
#include "slot.h"

enum {
    LISTEN_MS = 50,    /* longest wait for an event: news and reconnects are looked for so often */
    NEWS_GAP_MS = 500, /* heartbeats come no faster than that */
    MACHINE_MS = 2000, /* the machine is looked at so often */
    SHORT_MIB = 256,   /* less memory or disk than that is short … */
    ENOUGH_MIB = 384,  /* … until there is so much again */
};

struct pulse {
    struct pulse_config cfg;
    pthread_t thread;
    atomic_int stopping;

    /* The thread's own. */
    char host[256];
    char *heartbeat_key;                            /* owned, like these */
    char *drain_key, *quarantine_key, *release_key; /* commands */
    int64_t started_ms;
    int64_t told_ns, looked_ns;
    int connected; /* when last looked at, for so many times */
    uint64_t reconnects;
    int is_short;
};

static int64_t now_ns(void)
{
    return clock_system.mono_ns(&clock_system);
}

/* ---- the machine ---- */

static int below(const struct pulse *p, uint64_t bytes)
{
    return bytes >> 20 < (p->is_short ? ENOUGH_MIB : SHORT_MIB);
}

static void look_at_machine(struct pulse *p)
{
    struct machine m;
    uint64_t disk;
    char reason[160] = "";

    p->looked_ns = now_ns();
    machine_look("", &m);
    if (m.memory_bytes > 0 && below(p, m.memory_free))
        (void)snprintf(reason, sizeof(reason),
                       "memory is short: %" PRIu64 " MiB are free, %d are wanted",
                       m.memory_free >> 20, ENOUGH_MIB);
    else if (p->cfg.disk && machine_disk_free(p->cfg.disk, &disk) == 0 && below(p, disk))
        (void)snprintf(reason, sizeof(reason),
                       "disk is short: %" PRIu64 " MiB are free in %.64s, %d are wanted",
                       disk >> 20, p->cfg.disk, ENOUGH_MIB);
    if (!reason[0] != !p->is_short)
        log_event(reason[0] ? LOG_WARN : LOG_INFO, reason[0] ? "worker.short" : "worker.recovered",
                  LSTR("worker", p->cfg.shared->cfg.id), LSTR("reason", reason));
    p->is_short = reason[0] != '\0';
    /* Without a limit of its own a worker isn't asked to mind the machine's. */
    desk_put_machine(p->cfg.shared->desk, &m, p->cfg.shared->cfg.memory_bytes ? reason : "");
}

/* ---- telling ---- */

static void tell(struct pulse *p, int gone)
{
    struct queue *q = p->cfg.shared->cfg.queue;
    struct heartbeat h;

    p->told_ns = now_ns();
    if (desk_heartbeat(p->cfg.shared->desk, &h) < 0)
        return; /* the next one may find memory */
    h.host = strdup(p->host);
    h.started_ms = p->started_ms;
    if (gone)
        h.state = WORKER_GONE;
    json_t *j = h.host ? heartbeat_to_json(&h) : NULL;
    _cleanup_free_ char *text = j ? json_dumps(j, JSON_COMPACT) : NULL;
    if (text)
        q->ops->event(q, p->heartbeat_key, text, strlen(text));
    json_decref(j);
    heartbeat_release(&h);
}

/* Heartbeats that were due while the connection was away, or wasn't there yet, are lost. */
static int just_connected(struct pulse *p)
{
    struct queue *q = p->cfg.shared->cfg.queue;
    struct queue_state st = { 0 };

    q->ops->state(q, &st);
    int is_new = st.connected && (!p->connected || st.reconnects != p->reconnects);
    p->connected = st.connected;
    p->reconnects = st.reconnects;
    return is_new;
}

static void tell_if_due(struct pulse *p)
{
    int64_t since_ms = (now_ns() - p->told_ns) / NS_PER_MS;

    if (just_connected(p) || since_ms >= HEARTBEAT_MS ||
        (since_ms >= NEWS_GAP_MS && desk_news(p->cfg.shared->desk)))
        tell(p, 0);
}

/* ---- hearing ---- */

static int starts_with(const char *s, const char *prefix)
{
    return strncmp(s, prefix, strlen(prefix)) == 0;
}

static int ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);
    return n >= m && strcmp(s + n - m, end) == 0;
}

static int hear_worker(struct pulse *p, const struct queue_msg *m, struct err *err)
{
    struct heartbeat h;
    int r = heartbeat_from_text(m->body, m->len, &h, err);

    if (r < 0)
        return r;
    desk_hear_worker(p->cfg.shared->desk, &h);
    heartbeat_release(&h);
    return 0;
}

static int hear_job(struct pulse *p, const struct queue_msg *m, struct err *err)
{
    struct desk *d = p->cfg.shared->desk;
    _cleanup_free_ char *job = NULL, *task = NULL;
    unsigned attempt;
    int r = event_from_text(m->body, m->len, &job, &task, &attempt, err);

    if (r < 0)
        return r;
    if (starts_with(m->key, "event.task.")) {
        if (task)
            desk_hear_done(d, job, task, attempt);
    } else if (ends_with(m->key, ".canceled") || ends_with(m->key, ".failed")) {
        desk_hear_canceled(d, job);
        p->cfg.look(p->cfg.arg);
    } else {
        desk_hear_revived(d, job);
    }
    return 0;
}

static int hear_quarantine(struct pulse *p, const struct queue_msg *m, struct err *err)
{
    _cleanup_free_ char *why = NULL;
    unsigned seconds;
    int r = quarantine_from_text(m->body, m->len, &why, &seconds, err);

    if (r < 0)
        return r;
    log_event(LOG_ERROR, "worker.quarantined", LSTR("worker", p->cfg.shared->cfg.id),
              LSTR("error", why), LINT("seconds", seconds));
    desk_quarantine(p->cfg.shared->desk, why, seconds);
    return 0;
}

static int hear_command(struct pulse *p, const struct queue_msg *m, struct err *err)
{
    const char *id = p->cfg.shared->cfg.id;

    if (strcmp(m->key, p->quarantine_key) == 0)
        return hear_quarantine(p, m, err);
    if (strcmp(m->key, p->drain_key) == 0) {
        log_event(LOG_INFO, "worker.told_to_drain", LSTR("worker", id));
        desk_raise(p->cfg.shared->desk, DESK_DRAINING);
    } else if (strcmp(m->key, p->release_key) == 0) {
        log_event(LOG_INFO, "worker.released", LSTR("worker", id), LSTR("by", "a command"));
        desk_release(p->cfg.shared->desk);
    }
    return 0;
}

static void hear(struct pulse *p, const struct queue_msg *m)
{
    struct err err = { 0 };
    int r = 0;

    if (!m->key)
        return;
    if (starts_with(m->key, "command.")) {
        r = hear_command(p, m, &err);
    } else if (strcmp(m->key, p->heartbeat_key) == 0) {
        return; /* its own */
    } else if (starts_with(m->key, "event.worker.")) {
        r = hear_worker(p, m, &err);
    } else if (starts_with(m->key, "event.")) {
        r = hear_job(p, m, &err);
    }
    if (r < 0)
        log_event(LOG_WARN, "event.malformed", LSTR("key", m->key), LSTR("error", err.text));
}

static void pause_ms(int ms)
{
    const struct timespec t = { .tv_nsec = (long)ms * 1000000 };

    (void)nanosleep(&t, NULL);
}

static void *pulse_main(void *arg)
{
    struct pulse *p = arg;
    struct queue *q = p->cfg.shared->cfg.queue;

    tell_if_due(p);
    while (!atomic_load(&p->stopping)) {
        struct queue_msg m;
        int r = q->ops->consume(q, QUEUE_EVENTS, LISTEN_MS, &m, NULL);
        if (r == 0) {
            hear(p, &m);
            queue_msg_release(&m);
        } else if (r != -EAGAIN) {
            pause_ms(LISTEN_MS); /* closed, or in trouble */
        }
        if ((now_ns() - p->looked_ns) / NS_PER_MS >= MACHINE_MS)
            look_at_machine(p);
        tell_if_due(p);
    }
    return NULL;
}

/* ---- life ---- */

static void pulse_free(struct pulse *p)
{
    if (!p)
        return;
    free(p->heartbeat_key);
    free(p->drain_key);
    free(p->quarantine_key);
    free(p->release_key);
    free(p);
}
DEFINE_CLEANUP(struct pulse *, pulse_free);

static int listen_to_farm(struct pulse *p, struct err *err)
{
    const char *patterns[] = {
        "event.worker.*",     "event.job.*.canceled", "event.job.*.failed",
        "event.job.*.queued", "event.job.*.planned",  "event.task.done",
        p->drain_key,         p->quarantine_key,      p->release_key,
    };
    struct queue *q = p->cfg.shared->cfg.queue;

    return q->ops->listen(q, patterns, sizeof(patterns) / sizeof(*patterns), err);
}

int pulse_start(const struct pulse_config *cfg, struct pulse **ret, struct err *err)
{
    _cleanup_(pulse_freep) struct pulse *p = calloc(1, sizeof(*p));

    if (!p)
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory");
    p->cfg = *cfg;
    p->started_ms = clock_system.wall_ms(&clock_system);
    p->heartbeat_key = event_key("event.worker", cfg->shared->cfg.id, NULL);
    p->drain_key = event_key("command.worker", cfg->shared->cfg.id, "drain");
    p->quarantine_key = event_key("command.worker", cfg->shared->cfg.id, "quarantine");
    p->release_key = event_key("command.worker", cfg->shared->cfg.id, "release");
    if (!p->heartbeat_key || !p->drain_key || !p->quarantine_key || !p->release_key)
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory");
    if (gethostname(p->host, sizeof(p->host) - 1) < 0 || !p->host[0])
        (void)snprintf(p->host, sizeof(p->host), "unknown");
    look_at_machine(p); /* before the first task is taken */
    int r = listen_to_farm(p, err);
    if (r < 0)
        return r;
    r = -pthread_create(&p->thread, NULL, pulse_main, p);
    if (r < 0)
        return err_set(err, r, ERR_RESOURCE, "can't start a thread: %s", strerror(-r));
    *ret = take_ptr(p);
    return 0;
}

void pulse_stop(struct pulse *p)
{
    if (!p)
        return;
    atomic_store(&p->stopping, 1);
    (void)pthread_join(p->thread, NULL);
    tell(p, 1);
    pulse_free(p);
}
