/* engine_release.c - from the database to the queue. Rows first, messages
 * second: a crash in between releases twice, which does no harm. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../common/base/log.h"
#include "../common/queue/queue.h"
#include "job.h"
#include "sender.h"

enum {
    BATCH_MAX = 64, /* in one transaction */
    WATCH_MS = 1000,
    DEPTH_FRESH_MS = 30 * 1000,
    LOST_AFTER_MS = 10 * 60 * 1000,
    STRAGGLER_S = 30, /* not before */
};

#define STRAGGLER_TIMES 3.0 /* its prediction */

/* ---- what is released ---- */

int engine_release_add(struct dispatcher *d, struct live_job *j, struct live_task *t)
{
    if (engine_grow(&d->released, &d->released_cap, d->n_released, sizeof(*d->released)) < 0)
        return -ENOMEM;
    t->released_at = (uint32_t)d->n_released;
    d->released[d->n_released++] = (struct released){ .job = j,
                                                      .task = (uint32_t)(t - j->tasks),
                                                      .seq = ++d->last_seq,
                                                      .released_ns = d->clock->mono_ns(d->clock) };
    return 0;
}

void engine_release_remove(struct dispatcher *d, struct live_task *t)
{
    uint32_t at = t->released_at;

    if (at == NOT_RELEASED)
        return;
    t->released_at = NOT_RELEASED;
    t->twice = 0;
    if (at == --d->n_released)
        return;
    struct released *last = &d->released[at];
    *last = d->released[d->n_released];
    last->job->tasks[last->task].released_at = at;
}

/* ---- messages ---- */

static int batch(struct dispatcher *d, struct err *err)
{
    if (!d->outgoing && !(d->outgoing = calloc(1, sizeof(*d->outgoing))))
        return engine_no_memory(err);
    return 0;
}

static int add_message(struct dispatcher *d, const struct live_job *j, const struct live_task *t,
                       struct err *err)
{
    int r = batch(d, err);

    if (r < 0)
        return r;
    struct send_batch *b = d->outgoing;
    struct send_task *v = reallocarray(b->v, b->n + 1, sizeof(*v));
    if (!v)
        return engine_no_memory(err);
    b->v = v;
    v[b->n] = (struct send_task){ .job = strdup(j->id),
                                  .attempt = t->attempt,
                                  .seq = d->released[t->released_at].seq };
    memcpy(v[b->n].id, t->id, sizeof(t->id));
    r = v[b->n].job && engine_crew_avoid(d, t, v[b->n].avoid) == 0
            ? jobdb_task_body(d->db, j->id, t->id, &v[b->n].body, err)
            : engine_no_memory(err);
    if (r < 0)
        send_task_release(&v[b->n]);
    else
        b->n++;
    return r;
}

void engine_send(struct dispatcher *d)
{
    if (!d->outgoing)
        return;
    d->totals.released += d->outgoing->n;
    d->sending++;
    sender_put(d->sender, d->outgoing);
    d->outgoing = NULL;
}

/* ---- releasing ---- */

/* The queue is kept short, so that order, retries and cancels act at once. */
static size_t room(struct dispatcher *d)
{
    size_t limit = 2 * (size_t)engine_slots(d);

    if (limit < d->cfg.queue_min)
        limit = d->cfg.queue_min;
    return d->n_released < limit ? limit - d->n_released : 0;
}

/* 1 as long as the queue takes nothing. */
static int paused(struct dispatcher *d)
{
    struct queue_state st;

    if (!d->paused)
        return 0;
    d->cfg.queue->ops->state(d->cfg.queue, &st);
    if (st.connected && !st.blocked) {
        d->paused = 0;
        log_event(LOG_INFO, "release.goes-on");
    }
    return d->paused;
}

static int release_one(struct dispatcher *d, struct live_job *j, struct live_task *t,
                       struct err *err)
{
    int r = task_move(d, j, t, TASK_RELEASE, NULL, err);

    if (r == 0)
        r = add_message(d, j, t, err);
    if (r == 0 && !j->started_ms) {
        j->started_ms = d->clock->wall_ms(d->clock);
        r = job_save(d, j, err);
    }
    sched_charge(d->tasks, j->waits, engine_corrected(d, t));
    return r;
}

/* As sched_pick(); adds the time that it took. */
static int pick(struct dispatcher *d, struct live_job **ret_job, size_t *ret_i, int64_t *spent_ns)
{
    int64_t began = clock_system.mono_ns(&clock_system);
    void *job = NULL;
    int r = sched_pick(d->tasks, &job, ret_i);

    *ret_job = job;
    *spent_ns += clock_system.mono_ns(&clock_system) - began;
    return r;
}

int engine_release(struct dispatcher *d, struct err *err)
{
    int64_t spent_ns = 0;
    struct live_job *j;
    size_t want, n = 0, i;
    int r = 0;

    sched_due(d->tasks, engine_ms(d));
    d->release_more = 0;
    if (sched_ready(d->tasks) == 0 || paused(d))
        return 0;
    want = room(d);
    while (n < want && n < BATCH_MAX && r == 0 && pick(d, &j, &i, &spent_ns)) {
        r = release_one(d, j, &j->tasks[i], err);
        n++;
    }
    if (n > 0)
        engine_took(&d->totals.choosing, spent_ns);
    d->release_more = n == BATCH_MAX && n < want;
    return r;
}

/* ---- sent, or not ---- */

static int sent_one(struct dispatcher *d, const struct send_task *s, int r, struct err *err)
{
    static const struct err unreadable = { ERR_INTERNAL, "its message can't be read" };
    struct live_job *j = job_find(d, s->job);
    struct live_task *t = j ? job_task(j, s->id) : NULL;

    if (!t || t->released_at == NOT_RELEASED || d->released[t->released_at].seq != s->seq)
        return 0; /* it has ended since, or was released again */
    if (r < 0)
        return task_move(d, j, t, TASK_LOST, NULL, err);
    if (s->bad)
        return engine_attempt_failed(d, j, t, NULL, &unreadable, err);
    t->sent = 1;
    if (!d->survives)
        return 0;
    r = engine_begin(d, err);
    return r < 0 ? r : jobdb_set_sent(d->db, j->id, t->id, err);
}

int engine_sent(struct dispatcher *d, struct inbox_item *item, struct err *err)
{
    struct send_batch *b = (struct send_batch *)item;
    int r = 0;

    d->sending--;
    if (b->r < 0 && b->n > 0) {
        d->paused = 1;
        log_event(LOG_WARN, "release.failed", LINT("tasks", (int64_t)b->n),
                  LSTR("error", b->err.text));
    }
    for (size_t i = 0; i < b->n && r == 0; i++)
        r = sent_one(d, &b->v[i], b->r, err);
    if (b->want_depth) {
        d->depth_asked = 0;
        d->depth = b->r == 0 ? b->depth : SIZE_MAX;
        d->depth_ns = d->clock->mono_ns(d->clock);
    }
    send_batch_free(b);
    return r;
}

/* ---- stragglers and lost ones ---- */

void engine_seen(struct dispatcher *d, const struct heartbeat *h)
{
    int64_t now = d->clock->mono_ns(d->clock);

    for (size_t i = 0; i < h->n_running && h->state != WORKER_GONE; i++) {
        struct live_job *j = job_find(d, h->running[i].job);
        struct live_task *t = j ? job_task(j, h->running[i].task) : NULL;
        if (!t || t->released_at == NOT_RELEASED)
            continue;
        struct released *r = &d->released[t->released_at];
        r->seen_ns = now;
        r->elapsed_s = h->running[i].elapsed_s;
        if (r->seq > d->seen_seq)
            d->seen_seq = r->seq;
    }
}

/* Whether a live worker says to have it. */
static int is_running(const struct released *r, int64_t now)
{
    return r->seen_ns && now - r->seen_ns <= (int64_t)WORKER_LOST_MS * NS_PER_MS;
}

/* Far beyond its prediction. Slots are idle when this is asked: nothing waits
 * in the queue, so what was released has begun. */
static int straggles(const struct dispatcher *d, const struct released *r,
                     const struct live_task *t, int64_t now)
{
    double s = is_running(r, now) ? r->elapsed_s
                                  : (double)(now - r->released_ns) / (double)NS_PER_S;

    return !t->twice && s > STRAGGLER_S && s > STRAGGLER_TIMES * engine_corrected(d, t);
}

/* It was given to the queue long ago, nobody says to have it, and others that
 * came after it have had their turn, or the queue is empty. */
static int is_lost(struct dispatcher *d, const struct released *r, int64_t now, struct err *err)
{
    int64_t after = d->cfg.lost_after_ms > 0 ? d->cfg.lost_after_ms : LOST_AFTER_MS;
    int64_t known = r->seen_ns > r->released_ns ? r->seen_ns : r->released_ns;

    if (is_running(r, now) || now - known < after * NS_PER_MS)
        return 0;
    if (d->seen_seq > r->seq && !r->seen_ns)
        return 1;
    if (d->depth_ns > known && now - d->depth_ns < (int64_t)DEPTH_FRESH_MS * NS_PER_MS)
        return d->depth == 0;
    if (!d->depth_asked && batch(d, err) == 0)
        d->depth_asked = d->outgoing->want_depth = 1;
    return 0;
}

static int watch_one(struct dispatcher *d, struct released *r, int idle, int64_t now,
                     struct err *err)
{
    struct live_job *j = r->job;
    struct live_task *t = &j->tasks[r->task];

    if (is_lost(d, r, now, err)) {
        log_event(LOG_WARN, "task.lost", LSTR("job", j->id), LSTR("task", t->id));
        return task_move(d, j, t, TASK_LOST, NULL, err);
    }
    if (!idle || !straggles(d, r, t, now))
        return 0;
    log_event(LOG_INFO, "task.straggles", LSTR("job", j->id), LSTR("task", t->id));
    t->twice = 1;
    return add_message(d, j, t, err);
}

int engine_watch(struct dispatcher *d, struct err *err)
{
    int64_t now = d->clock->mono_ns(d->clock);
    int r = 0;

    /* Without heartbeats there is one worker, in this process: it loses nothing. */
    if (!d->cfg.board || now - d->looked_ns < (int64_t)WATCH_MS * NS_PER_MS)
        return 0;
    d->looked_ns = now;
    int idle = sched_ready(d->tasks) == 0 && d->n_released < engine_slots(d) && !d->paused;
    for (size_t i = d->n_released; i-- > 0 && r == 0;)
        r = watch_one(d, &d->released[i], idle, now, err);
    return r;
}
