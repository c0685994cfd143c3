/* The desk's talk with the farm: what it hears, and what it tells. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../common/base/cleanup.h"
#include "../common/base/clock.h"
#include "../common/wire/task.h"
#include "desk_parts.h"
#include "gopmill-config.h"
#include "recent.h"

static const int64_t speed_window_ns = 30 * NS_PER_S;

static void lock(struct desk *d)
{
    (void)pthread_mutex_lock(&d->lock);
}

static void unlock_changed(struct desk *d)
{
    (void)pthread_cond_broadcast(&d->changed);
    (void)pthread_mutex_unlock(&d->lock);
}

/* ---- heard ---- */

void desk_hear_canceled(struct desk *d, const char *job)
{
    lock(d);
    recent_put(d->canceled, job, desk_now_ns());
    for (unsigned i = 0; i < d->cfg.slots; i++)
        if (d->hands[i].task && strcmp(d->hands[i].task->job, job) == 0)
            d->hands[i].canceled = 1;
    unlock_changed(d);
}

void desk_hear_revived(struct desk *d, const char *job)
{
    _cleanup_free_ char *prefix = NULL;

    if (asprintf(&prefix, "%s\n", job) < 0)
        prefix = NULL;
    lock(d);
    recent_drop(d->canceled, job);
    if (prefix) {
        recent_drop_all(d->refused, prefix);
        recent_drop_all(d->told, prefix);
        recent_drop_all(d->done, prefix);
    }
    unlock_changed(d);
}

void desk_hear_done(struct desk *d, const char *job, const char *task, unsigned attempt)
{
    _cleanup_free_ char *key = desk_key(job, task, attempt);

    if (!key)
        return;
    lock(d);
    recent_put(d->done, key, desk_now_ns());
    recent_drop(d->claims, key);
    unlock_changed(d);
}

void desk_hear_worker(struct desk *d, const struct heartbeat *h)
{
    int gone = h->state == WORKER_GONE;

    if (strcmp(h->worker, d->cfg.id) == 0)
        return;
    lock(d);
    desk_note_peer(d, h->worker, h->state == WORKER_ACTIVE && !h->reason);
    (void)pthread_mutex_unlock(&d->lock);
    for (size_t i = 0; i < h->n_running; i++) {
        const struct running_task *t = &h->running[i];
        _cleanup_free_ char *key = desk_key(t->job, t->task, t->attempt);
        if (!key)
            continue;
        lock(d);
        if (gone)
            recent_drop(d->claims, key);
        else
            recent_put(d->claims, key, desk_now_ns());
        (void)pthread_mutex_unlock(&d->lock); /* whoever waits for it looks again in a moment */
    }
}

/* ---- told ---- */

void desk_put_machine(struct desk *d, const struct machine *m, const char *reason)
{
    lock(d);
    d->machine = *m;
    if (!d->reason[0])
        d->shed_ns = desk_now_ns();
    if (strcmp(d->reason, reason) != 0) {
        (void)snprintf(d->reason, sizeof(d->reason), "%s", reason);
        d->news = 1;
    }
    unlock_changed(d);
}

int desk_news(struct desk *d)
{
    lock(d);
    int news = d->news;
    (void)pthread_mutex_unlock(&d->lock);
    return news;
}

static uint64_t total_of(const struct task *t)
{
    if (t->kind == TASK_VIDEO)
        return t->chunk.pts.n_frames;
    return t->timescale > 0 ? (uint64_t)((double)t->timeline_end * 1000 / t->timescale) : 0;
}

/* Locked. */
static int copy_running(const struct desk *d, struct heartbeat *ret)
{
    int64_t now = desk_now_ns();

    for (unsigned i = 0; i < d->cfg.slots && ret->n_running < HEARTBEAT_RUNNING_MAX; i++) {
        const struct hand *h = &d->hands[i];
        if (h->state != HAND_RUNNING || !h->begun || now > h->until_ns)
            continue;
        struct running_task *t = &ret->running[ret->n_running++];
        *t = (struct running_task){
            .job = strdup(h->task->job),
            .task = strdup(h->task->id),
            .attempt = h->task->attempt,
            .done = h->done,
            .total = total_of(h->task),
            .elapsed_s = (double)(now - h->start_ns) / (double)NS_PER_S,
        };
        if (!t->job || !t->task)
            return -ENOMEM;
    }
    return 0;
}

/* Locked. Frames of video, those of running tasks included. */
static uint64_t all_frames(const struct desk *d)
{
    uint64_t n = d->frames_done;

    for (unsigned i = 0; i < d->cfg.slots; i++)
        if (d->hands[i].state == HAND_RUNNING && d->hands[i].task->kind == TASK_VIDEO)
            n += d->hands[i].done;
    return n;
}

/* Locked. Frames a second since the oldest sample in the window. */
static double speed(struct desk *d, uint64_t frames)
{
    int64_t now = desk_now_ns();
    const struct sample *from = NULL;

    for (uint64_t i = d->n_samples < SAMPLES ? 0 : d->n_samples - SAMPLES; i < d->n_samples; i++) {
        const struct sample *s = &d->samples[i % SAMPLES];
        if (!from && now - s->ns <= speed_window_ns)
            from = s;
    }
    double v = from && now > from->ns && frames > from->frames
                   ? (double)(frames - from->frames) * (double)NS_PER_S / (double)(now - from->ns)
                   : 0;
    if (d->n_samples == 0 || now - d->samples[(d->n_samples - 1) % SAMPLES].ns >= NS_PER_S)
        d->samples[d->n_samples++ % SAMPLES] = (struct sample){ now, frames };
    return v;
}

/* Locked. Why it takes no tasks; NULL: it does. */
static const char *reason_of(const struct desk *d)
{
    if (d->quarantine.on)
        return d->quarantine.why;
    if (d->mode != DESK_OPEN)
        return "draining";
    return desk_hindrance(d);
}

/* Locked. */
static enum worker_state state_of(const struct desk *d)
{
    if (d->quarantine.on)
        return WORKER_QUARANTINED;
    return d->mode == DESK_OPEN ? WORKER_ACTIVE : WORKER_DRAINS;
}

/* Locked. */
static int fill(struct desk *d, struct heartbeat *ret)
{
    const char *reason = reason_of(d);
    uint64_t frames = all_frames(d);

    *ret = (struct heartbeat){
        .worker = strdup(d->cfg.id),
        .engine = strdup(d->engine ? d->engine : "gopmill " GOPMILL_VERSION),
        .reason = reason ? strdup(reason) : NULL,
        .state = state_of(d),
        .slots = d->cfg.slots,
        .memory_bytes = d->machine.memory_bytes,
        .memory_free = d->machine.memory_free,
        .tasks_done = d->tasks_done,
        .tasks_failed = d->tasks_failed,
        .frames_done = frames,
        .bytes_in = d->bytes_in,
        .bytes_out = d->bytes_out,
        .cpu_s = d->cpu_s,
        .speed = speed(d, frames),
        .running = calloc(d->cfg.slots, sizeof(struct running_task)),
    };
    if (!ret->worker || !ret->engine || (reason && !ret->reason) || !ret->running)
        return -ENOMEM;
    return copy_running(d, ret);
}

int desk_heartbeat(struct desk *d, struct heartbeat *ret)
{
    lock(d);
    int r = fill(d, ret);
    if (r == 0)
        d->news = 0;
    (void)pthread_mutex_unlock(&d->lock);
    if (r < 0)
        heartbeat_release(ret);
    return r;
}
