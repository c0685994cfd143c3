#include "engine.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../common/base/log.h"
#include "../common/child/nursery.h"
#include "../common/queue/queue.h"
#include "crew.h"
#include "fault.h"
#include "job.h"
#include "sender.h"

enum {
    SLICE_MS = 250, /* how long a step may wait without a look around */
    BATCH_MAX = 64, /* of the inbox, in one transaction: who calls waits for no more */
    SEND_TIMEOUT_MS = 30000,
    GATHER_NS = 2000000,
};

int engine_no_memory(struct err *err)
{
    return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory");
}

int engine_grow(void *array, size_t *cap, size_t n, size_t size)
{
    size_t more = *cap ? 2 * *cap : 64;
    void *v; /* `array` is the address of a pointer of any type */

    if (n < *cap)
        return 0;
    memcpy(&v, array, sizeof(v));
    v = reallocarray(v, more, size);
    if (!v)
        return -ENOMEM;
    memcpy(array, &v, sizeof(v));
    *cap = more;
    return 0;
}

/* ---- transactions ---- */

int engine_begin(struct dispatcher *d, struct err *err)
{
    int r = d->in_txn ? 0 : jobdb_begin(d->db, err);

    if (r == 0)
        d->in_txn = 1;
    return r;
}

void engine_took(struct board_times *t, int64_t took_ns)
{
    double s = (double)took_ns / (double)NS_PER_S, bound = BOARD_TIMES_FROM_S;

    t->n++;
    t->sum_s += s;
    for (size_t i = 0; i < BOARD_TIMES; i++, bound *= 2)
        t->below[i] += s <= bound;
}

static int commit(struct dispatcher *d, struct err *err)
{
    if (!d->in_txn)
        return 0;
    int64_t began = clock_system.mono_ns(&clock_system);
    fault_point("commit-before");
    int r = jobdb_commit(d->db, err);
    fault_point("commit-after");
    if (r == 0)
        d->in_txn = 0;
    d->committed_ns = clock_system.mono_ns(&clock_system);
    engine_took(&d->totals.commits, d->committed_ns - began);
    return r;
}

/* What is in memory is no longer what is in the database: nothing goes on. */
static void break_down(struct dispatcher *d, int r, const struct err *why)
{
    jobdb_rollback(d->db);
    d->in_txn = 0;
    (void)err_set(&d->broken, r, why->cls ? why->cls : ERR_INTERNAL, "%s", why->text);
    log_event(LOG_ERROR, "dispatcher.broken", LSTR("error", d->broken.text));
}

/* ---- what is told after a commit ---- */

void engine_tell(struct dispatcher *d, int kind, const struct live_job *j, const char *what,
                 const struct live_task *t)
{
    struct effect e = { .kind = kind, .job = strdup(j->id), .what = what };

    if (t) {
        memcpy(e.task, t->id, sizeof(e.task));
        e.attempt = t->attempt;
    }
    if (!e.job || engine_grow(&d->effects, &d->effects_cap, d->n_effects, sizeof(e)) < 0)
        free(e.job);
    else
        d->effects[d->n_effects++] = e;
}

/* One line for each end: what support looks for first. */
static void log_end(struct dispatcher *d, const struct effect *e)
{
    const struct live_job *j = job_find(d, e->job);

    if (!j || !job_ended(j) || strcmp(e->what, job_state_name(j->state)) != 0)
        return;
    int64_t began_ms = j->started_ms ? j->started_ms : j->created_ms;
    log_event(LOG_INFO, "job.ended", LSTR("job", j->id), LSTR("state", job_state_name(j->state)),
              LSTR("class", err_class_name(j->error ? j->error->cls : ERR_NONE)),
              LSTR("reason", j->error ? j->error->text : ""), LSTR("tenant", j->tenant),
              LDBL("wall_s", (double)(j->ended_ms - began_ms) / 1000),
              LDBL("since_submitted_s", (double)(j->ended_ms - j->created_ms) / 1000),
              LDBL("core_s", j->cpu_s), LINT("tasks", (int64_t)j->n_tasks),
              LINT("attempts_failed", (int64_t)j->attempts_failed));
}

static void tell_event(struct dispatcher *d, const struct effect *e)
{
    struct queue *q = d->cfg.queue;
    int task = e->kind == EFFECT_TASK;

    if (!task)
        log_end(d, e);
    char *key = task ? strdup("event.task.done") : event_key("event.job", e->job, e->what);
    char *body = event_text(e->job, task ? e->task : NULL, e->attempt);

    if (key && body)
        q->ops->event(q, key, body, strlen(body));
    free(key);
    free(body);
}

static void tell_end(struct dispatcher *d, const struct effect *e)
{
    static const struct err none;
    struct live_job *j = d->cfg.on_end ? job_find(d, e->job) : NULL;

    if (!j || !job_ended(j) || j->notified || !j->notify)
        return;
    const struct job_end end = { .id = j->id,
                                 .notify = j->notify,
                                 .metadata = j->metadata,
                                 .state = j->state,
                                 .error = j->error ? j->error : &none };
    d->cfg.on_end(d->cfg.arg, &end);
}

/* Off the board, before what is there now goes onto it: the id may be in use again. */
static void drop_forgotten(struct dispatcher *d)
{
    for (size_t i = 0; i < d->n_effects && d->cfg.board; i++)
        if (d->effects[i].kind == EFFECT_DROP)
            board_drop_job(d->cfg.board, d->effects[i].job);
}

static void tell_all(struct dispatcher *d)
{
    struct effect *v = d->effects; /* who is told may call what tells more */
    size_t n = d->n_effects;

    d->effects = NULL;
    d->n_effects = d->effects_cap = 0;
    for (size_t i = 0; i < n; i++) {
        if (v[i].kind == EFFECT_END)
            tell_end(d, &v[i]);
        else if (v[i].kind != EFFECT_DROP)
            tell_event(d, &v[i]);
        free(v[i].job);
    }
    free(v);
}

/* Acks come after the commit: what is lost in between is delivered again and
 * changes nothing. */
static void settle_messages(struct dispatcher *d, int r)
{
    struct queue *q = d->cfg.queue;
    struct received *next;

    for (struct received *m = d->acks; m; m = next) {
        next = m->next;
        fault_point("ack-before");
        if (r == 0)
            (void)q->ops->ack(q, m->msg, NULL);
        else
            (void)q->ops->reject(q, m->msg, 1, NULL, NULL);
        fault_point("ack-after");
        received_free(m);
    }
    d->acks = NULL;
}

static void after_commit(struct dispatcher *d)
{
    drop_forgotten(d); /* the board first: who is answered may look at once */
    engine_show(d);
    engine_calls_answer(d, 0, NULL);
    settle_messages(d, 0);
    engine_send(d);
    tell_all(d);
}

int engine_settle(struct dispatcher *d, int r, struct err *err)
{
    struct err why = { 0 };

    if (d->turning)
        return r;
    if (r >= 0) {
        int c = commit(d, &why);
        if (c == 0) {
            after_commit(d);
            return r;
        }
        r = err_set(err, c, why.cls, "%s", why.text);
        break_down(d, r, &why);
    } else if (d->in_txn) {
        (void)err_set(&why, r, err ? err->cls : ERR_INTERNAL, "%s",
                      err ? err->text : "a change was left half done");
        break_down(d, r, &why);
    }
    return r;
}

/* ---- what is to be looked at ---- */

void engine_attend(struct dispatcher *d, struct live_job *j)
{
    if (j->attention ||
        engine_grow(&d->attention, &d->attention_cap, d->n_attention, sizeof(*d->attention)) < 0)
        return;
    j->attention = 1;
    d->attention[d->n_attention++] = j;
}

void engine_attend_at(struct dispatcher *d, struct live_job *j, int64_t at_ms)
{
    if (timers_add(&d->timers, at_ms, j, 0) < 0)
        engine_attend(d, j);
}

void engine_changed(struct dispatcher *d, struct live_job *j, const struct live_task *t)
{
    d->totals_dirty = 1;
    if (!d->cfg.board)
        return;
    if (!j->dirty && engine_grow(&d->dirty, &d->dirty_cap, d->n_dirty, sizeof(*d->dirty)) == 0) {
        j->dirty = 1;
        d->dirty[d->n_dirty++] = j;
    }
    if (!t || j->tasks_dirty)
        return;
    if (engine_grow(&d->changed, &d->changed_cap, d->n_changed, sizeof(*d->changed)) == 0)
        d->changed[d->n_changed++] = (struct changed_task){ j, (uint32_t)(t - j->tasks) };
    else
        j->tasks_dirty = 1;
}

unsigned engine_slots(struct dispatcher *d)
{
    unsigned slots = 0;

    if (d->cfg.board)
        slots = board_slots(d->cfg.board, d->clock->wall_ms(d->clock));
    if (slots == 0)
        slots = d->cfg.slots;
    return slots ? slots : 1;
}

int64_t engine_ms(const struct dispatcher *d)
{
    return d->wall_start_ms + (d->clock->mono_ns(d->clock) - d->mono_start_ns) / NS_PER_MS;
}

int engine_busy(const struct dispatcher *d)
{
    return d->n_planners > 0 || d->sending > 0 || d->publishing > 0 || d->n_attention > 0;
}

/* ---- steps ---- */

static void to_be_acked(struct dispatcher *d, struct received *m)
{
    if (strcmp(m->queue, QUEUE_EVENTS) == 0) { /* which know no ack */
        received_free(m);
        return;
    }
    m->next = d->acks;
    d->acks = m;
}

static int apply(struct dispatcher *d, struct inbox_item *i, struct err *err)
{
    struct received *m;
    int r;

    switch (i->kind) {
    case INBOX_RECEIVED:
        m = (struct received *)i;
        r = engine_apply(d, m, err);
        to_be_acked(d, m);
        return r;
    case INBOX_PLANNED:
        return engine_plan_ended(d, i, err);
    case INBOX_PUBLISHED:
        return engine_published(d, i, err);
    case INBOX_SENT:
        return engine_sent(d, i, err);
    default:
        engine_call_run(d, i);
        return 0;
    }
}

/* What comes too late to be applied. */
static void discard(struct dispatcher *d, struct inbox_item *i, int r, const struct err *why)
{
    struct received *m = (struct received *)i;

    switch (i->kind) {
    case INBOX_RECEIVED:
        to_be_acked(d, m);
        break;
    case INBOX_PLANNED:
        engine_plan_discard(d, i);
        break;
    case INBOX_PUBLISHED:
        engine_published_free(i);
        break;
    case INBOX_SENT:
        send_batch_free((struct send_batch *)i);
        break;
    default:
        engine_call_refuse(i, r, why);
    }
}

static int apply_all(struct dispatcher *d, struct inbox_item *items, struct err *err)
{
    struct inbox_item *next;
    int r = 0;

    for (struct inbox_item *i = items; i; i = next) {
        next = i->next;
        if (r == 0)
            r = apply(d, i, err);
        else
            discard(d, i, r, err);
    }
    return r;
}

/* It goes on no more, but nobody has to wait to be told. */
static int refuse_all(struct dispatcher *d, int wait_ms, struct err *err)
{
    struct inbox_item *next;
    int woken;

    for (struct inbox_item *i = inbox_take(d->inbox, wait_ms, BATCH_MAX, &woken); i; i = next) {
        next = i->next;
        discard(d, i, -EIO, &d->broken);
    }
    settle_messages(d, -EIO);
    return err_set(err, -EIO, d->broken.cls, "%s", d->broken.text);
}

static int attend(struct dispatcher *d, struct live_job *j, struct err *err)
{
    int r = j->inserting ? engine_plan_insert(d, j, err) : 0;

    return r < 0 ? r : engine_publish_attend(d, j, err);
}

/* Everything that can be done without waiting. */
static int advance(struct dispatcher *d, struct err *err)
{
    int64_t now = engine_ms(d);
    struct timer due;
    int r = 0;

    while (timers_pop(&d->timers, now, &due))
        engine_attend(d, due.owner);
    for (size_t left = d->n_attention; left > 0 && d->n_attention > 0 && r == 0; left--) {
        struct live_job *j = d->attention[0];
        d->attention[0] = d->attention[--d->n_attention];
        j->attention = 0;
        r = attend(d, j, err);
    }
    if (r == 0)
        r = engine_sweep(d, err);
    if (r == 0)
        r = engine_plan_more(d, err);
    if (r == 0)
        r = engine_watch(d, err);
    if (r == 0)
        r = engine_release(d, err);
    return r < 0 ? r : engine_costs_save(d, err);
}

static int turn(struct dispatcher *d, struct inbox_item *items, int *ret_did, struct err *err)
{
    struct err why = { 0 };

    d->turning = 1;
    int r = apply_all(d, items, &why);
    if (r == 0)
        r = advance(d, &why);
    d->turning = 0;
    *ret_did = d->in_txn || items;
    if (r == 0)
        r = commit(d, &why);
    if (r == 0) {
        after_commit(d);
        return 0;
    }
    break_down(d, r, &why);
    engine_calls_answer(d, r, &d->broken);
    settle_messages(d, r);
    return err_set(err, r, why.cls, "%s", why.text);
}

/* How long to wait now. Waiting is in real time, whatever clock decides. */
static int idle_ms(const struct dispatcher *d, int64_t until_ns)
{
    int64_t left = (until_ns - clock_system.mono_ns(&clock_system)) / NS_PER_MS;
    int64_t next = timers_next(&d->timers), now = engine_ms(d), wait = SLICE_MS;

    if (d->n_attention > 0 || d->release_more)
        return 0;
    if (sched_next(d->tasks) < next)
        next = sched_next(d->tasks);
    if (sched_next(d->queue) < next)
        next = sched_next(d->queue);
    if (next - now < wait)
        wait = next > now ? next - now : 0;
    if (left < wait)
        wait = left < 0 ? 0 : left + 1;
    return (int)wait;
}

/* Ends that were not told before the last process ended. */
static void tell_old_ends(struct dispatcher *d)
{
    if (d->told_ends)
        return;
    d->told_ends = 1;
    for (size_t i = 0; i < d->n_buckets; i++)
        for (const struct live_job *j = d->buckets[i]; j; j = j->next)
            if (job_ended(j) && j->notify && !j->notified)
                engine_tell(d, EFFECT_END, j, NULL, NULL);
}

/* A commit waits for the disk, about a millisecond, whatever it holds: after one,
 * what comes is let gather for a moment, so that a busy farm's results share
 * commits. Whoever comes after a pause waits for nothing. */
static void let_gather(const struct dispatcher *d)
{
    int64_t left = d->committed_ns + GATHER_NS - clock_system.mono_ns(&clock_system);

    if (d->survives && left > 0 && left <= GATHER_NS)
        (void)nanosleep(&(struct timespec){ .tv_nsec = left }, NULL);
}

int dispatcher_step(struct dispatcher *d, int timeout_ms, struct err *err)
{
    int64_t until = timeout_ms < 0
                        ? INT64_MAX
                        : clock_system.mono_ns(&clock_system) + (int64_t)timeout_ms * NS_PER_MS;
    int did = 0, woken = 0, r = 0;

    tell_old_ends(d);
    do {
        int wait_ms = timeout_ms == 0 ? 0 : idle_ms(d, until);
        if (d->broken.cls != ERR_NONE)
            return refuse_all(d, wait_ms, err);
        let_gather(d);
        struct inbox_item *items = inbox_take(d->inbox, wait_ms, BATCH_MAX, &woken);
        r = turn(d, items, &did, err);
    } while (r == 0 && !did && !woken && clock_system.mono_ns(&clock_system) < until);
    return r;
}

int dispatcher_healthy(struct dispatcher *d, char *why, size_t size)
{
    return nursery_healthy(d->nursery, why, size);
}

void dispatcher_wake(struct dispatcher *d)
{
    inbox_wake(d->inbox);
}

/* ---- life ---- */

/* The libraries of codecs are loaded while there is no job yet. */
static int find_nursery(struct dispatcher *d, struct err *err)
{
    d->nursery = d->cfg.nursery;
    return d->nursery ? 0 : nursery_new(&d->nursery, err);
}

int dispatcher_new(const struct dispatcher_config *cfg, struct dispatcher **ret, struct err *err)
{
    struct dispatcher *d = calloc(1, sizeof(*d));

    if (!d)
        return engine_no_memory(err);
    d->cfg = *cfg;
    d->cfg.db_path = NULL; /* only borrowed for this call */
    d->clock = cfg->clock ? cfg->clock : &clock_system;
    d->wall_start_ms = d->clock->wall_ms(d->clock);
    d->mono_start_ns = d->clock->mono_ns(d->clock);
    d->random = (uint64_t)d->wall_start_ms;
    d->survives = strcmp(cfg->queue->ops->name, "memory") != 0;
    d->tasks = sched_new();
    d->queue = sched_new();
    d->crew = crew_new();
    int r = d->tasks && d->queue && d->crew ? inbox_new(&d->inbox, err) : engine_no_memory(err);
    if (r == 0)
        r = jobdb_open(cfg->db_path, &d->db, err);
    if (r == 0)
        r = engine_costs_load(d, err);
    if (r == 0)
        r = find_nursery(d, err);
    if (r == 0)
        r = engine_load(d, err);
    if (r == 0)
        r = engine_publish_start(d, err);
    if (r == 0)
        r = sender_new(cfg->queue, d->inbox, SEND_TIMEOUT_MS, &d->sender, err);
    if (r == 0)
        r = engine_receive_start(d, err);
    if (r < 0)
        dispatcher_free(d);
    else
        *ret = d;
    return r;
}

static void stop_threads(struct dispatcher *d)
{
    int woken;
    struct inbox_item *next;

    if (d->inbox)
        inbox_close(d->inbox);
    engine_receive_stop(d);
    sender_free(d->sender);
    publisher_free(d->publisher);
    engine_plan_stop_all(d);
    if (!d->inbox)
        return;
    for (struct inbox_item *i = inbox_take(d->inbox, 0, SIZE_MAX, &woken); i; i = next) {
        next = i->next;
        discard(d, i, -ESHUTDOWN, NULL);
    }
    settle_messages(d, -ESHUTDOWN);
    engine_plan_stop_all(d);
}

void dispatcher_free(struct dispatcher *d)
{
    if (!d)
        return;
    stop_threads(d);
    if (!d->cfg.nursery)
        nursery_free(d->nursery);
    for (size_t i = 0; i < d->n_buckets; i++)
        while (d->buckets[i])
            job_forget(d, d->buckets[i]);
    engine_sweep_free(d);
    places_release(&d->places);
    for (size_t i = 0; i < d->n_effects; i++)
        free(d->effects[i].job);
    send_batch_free(d->outgoing);
    free(d->buckets);
    free(d->released);
    free(d->plans);
    free(d->attention);
    free(d->dirty);
    free(d->changed);
    free(d->effects);
    timers_release(&d->timers);
    sched_free(d->tasks);
    sched_free(d->queue);
    crew_free(d->crew);
    inbox_free(d->inbox);
    jobdb_free(d->db);
    free(d);
}
