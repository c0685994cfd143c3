#include "desk.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "../common/base/cleanup.h"
#include "../common/base/clock.h"
#include "../common/queue/queue.h"
#include "../common/wire/task.h"
#include "desk_parts.h"
#include "recent.h"

enum {
    CANCELED_MAX = 4096,
    TASKS_MAX = 65536, /* remembered as told, done or claimed, each */
    MOMENT_MS = 100,
    /* A broker takes a message back that isn't settled for half an hour, and a task may run for
     * most of that. */
    HOLD_MS = 4 * 60 * 1000,
    SHED_MS = 15000, /* each slot hands a task back so often while the machine is short */
    AVOID_MS = 1000, /* a task that failed here is held for so long before others get it */
    AFTERMATH_MS = 2 * 60 * 1000, /* to store and tell what came of a task */
};
/* A queue is kept short, so messages of a canceled job come within minutes. */
static const int64_t canceled_ttl_ns = 10 * 60 * NS_PER_S;
static const int64_t told_ttl_ns = 60 * 60 * NS_PER_S;

/* ---- life ---- */

static void init_locks(struct desk *d)
{
    pthread_condattr_t attr;

    (void)pthread_mutex_init(&d->lock, NULL);
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&d->changed, &attr);
    (void)pthread_condattr_destroy(&attr);
}

struct desk *desk_new(const struct desk_config *cfg)
{
    struct desk *d = calloc(1, sizeof(*d));

    if (!d)
        return NULL;
    d->cfg = *cfg;
    init_locks(d);
    d->since_ns = desk_now_ns();
    d->since_ms = clock_system.wall_ms(&clock_system);
    d->hands = calloc(cfg->slots, sizeof(*d->hands));
    d->canceled = recent_new(CANCELED_MAX, canceled_ttl_ns);
    d->refused = recent_new(CANCELED_MAX, canceled_ttl_ns);
    d->told = recent_new(TASKS_MAX, told_ttl_ns);
    d->done = recent_new(TASKS_MAX, told_ttl_ns);
    d->claims = recent_new(TASKS_MAX, WORKER_LOST_MS * INT64_C(1000000));
    if (!d->hands || !d->canceled || !d->refused || !d->told || !d->done || !d->claims) {
        desk_free(d);
        return NULL;
    }
    return d;
}

void desk_free(struct desk *d)
{
    if (!d)
        return;
    recent_free(d->canceled);
    recent_free(d->refused);
    recent_free(d->told);
    recent_free(d->done);
    recent_free(d->claims);
    for (unsigned i = 0; d->hands && i < d->cfg.slots; i++)
        free(d->hands[i].key);
    free(d->hands);
    free(d->engine);
    (void)pthread_cond_destroy(&d->changed);
    (void)pthread_mutex_destroy(&d->lock);
    free(d);
}

int64_t desk_now_ns(void)
{
    return clock_system.mono_ns(&clock_system);
}

const char *desk_hindrance(const struct desk *d)
{
    if (d->store[0])
        return d->store;
    if (d->reason[0])
        return d->reason;
    return desk_now_ns() < d->cannot_until_ns ? d->cannot : NULL;
}

/* Locked. Until something changes, but not for long: time changes things, too. */
static void wait_a_moment(struct desk *d)
{
    int64_t until = desk_now_ns() + MOMENT_MS * (int64_t)NS_PER_MS;
    const struct timespec t = { until / NS_PER_S, (long)(until % NS_PER_S) };

    (void)pthread_cond_timedwait(&d->changed, &d->lock, &t);
}

static void lock(struct desk *d)
{
    (void)pthread_mutex_lock(&d->lock);
}

/* After a change that somebody may wait for. */
static void unlock_changed(struct desk *d)
{
    (void)pthread_cond_broadcast(&d->changed);
    (void)pthread_mutex_unlock(&d->lock);
}

static void unlock(struct desk *d)
{
    (void)pthread_mutex_unlock(&d->lock);
}

/* ---- mode ---- */

void desk_raise(struct desk *d, enum desk_mode mode)
{
    lock(d);
    if (d->mode < mode) {
        d->mode = mode;
        d->news = 1;
    }
    unlock_changed(d);
}

enum desk_mode desk_mode_now(struct desk *d)
{
    lock(d);
    enum desk_mode mode = d->mode;
    unlock(d);
    return mode;
}

int desk_closed(struct desk *d)
{
    lock(d);
    int closed = d->mode != DESK_OPEN || desk_shut_out(d, TRIAL_SLOT) || d->store[0];
    unlock(d);
    return closed;
}

/* Locked. */
static int waits_for_memory(const struct desk *d)
{
    for (unsigned i = 0; i < d->cfg.slots; i++)
        if (d->hands[i].state == HAND_MEMORY)
            return 1;
    return 0;
}

/* Locked. What a queue has delivered ahead may not lie here for as long as the
 * machine is short: one after the other is looked at, and handed back. */
static int sheds(struct desk *d)
{
    int64_t now = desk_now_ns(), gap = SHED_MS * (int64_t)NS_PER_MS / d->cfg.slots;

    if (!desk_hindrance(d) || now - d->shed_ns < gap)
        return 0;
    d->shed_ns = now;
    return 1;
}

int desk_may_lease(struct desk *d, unsigned slot)
{
    int r = 0;

    lock(d);
    if (d->mode == DESK_OPEN &&
        (desk_shut_out(d, slot) || ((waits_for_memory(d) || desk_hindrance(d)) && !sheds(d)))) {
        r = -EAGAIN;
        wait_a_moment(d);
    }
    if (d->mode != DESK_OPEN)
        r = -ESHUTDOWN;
    unlock(d);
    return r;
}

unsigned desk_in_hand(struct desk *d)
{
    unsigned n = 0;

    lock(d);
    for (unsigned i = 0; i < d->cfg.slots; i++)
        n += d->hands[i].state != HAND_EMPTY;
    unlock(d);
    return n;
}

/* ---- admission ---- */

char *desk_key(const char *job, const char *task, unsigned attempt)
{
    char *key;

    return asprintf(&key, "%s\n%s\n%u", job, task, attempt) < 0 ? NULL : key;
}

/* Locked. Another slot of this worker has the very same attempt. */
static int run_here(const struct desk *d, unsigned slot, const char *key)
{
    for (unsigned i = 0; i < d->cfg.slots; i++) {
        const struct hand *h = &d->hands[i];
        if (i != slot && (h->state == HAND_RUNNING || h->state == HAND_MEMORY) &&
            strcmp(h->key, key) == 0)
            return 1;
    }
    return 0;
}

/* Locked. Whether heartbeats of all who live must have been heard by now:
 * after a lost connection everybody's tasks are delivered again, before the
 * first word of those who still run them. */
static int settled(const struct desk *d)
{
    struct queue_state st = { 0 };
    int64_t now_ms = clock_system.wall_ms(&clock_system), settle_ms = d->cfg.settle_ms;

    if (desk_now_ns() - d->since_ns < settle_ms * NS_PER_MS)
        return 0;
    d->cfg.queue->ops->state(d->cfg.queue, &st);
    /* A wall clock that was set back must not hold a task for ever. */
    return !(st.since_ms > d->since_ms && now_ms >= st.since_ms &&
             now_ms - st.since_ms < settle_ms);
}

static int64_t hold_until(const struct desk *d)
{
    return desk_now_ns() + (d->cfg.hold_ms ? d->cfg.hold_ms : HOLD_MS) * (int64_t)NS_PER_MS;
}

/* Locked. Who has it? DESK_RUN: nobody, any more. */
static enum desk_verdict wait_for_others(struct desk *d, unsigned slot, unsigned deliveries,
                                         const char *key, int64_t until)
{
    int joined = 0;

    for (;; wait_a_moment(d)) {
        int64_t now = desk_now_ns();
        int held = d->cfg.events && now > until;
        if (run_here(d, slot, key)) {
            if (held)
                return DESK_ACK;
            joined = 1;
            continue; /* also when draining: it ends by itself, or is killed */
        }
        if (deliveries < 2 && !joined)
            return DESK_RUN;
        if (recent_has(d->told, key, now) || recent_has(d->done, key, now))
            return DESK_ACK;
        if (!d->cfg.events)
            return DESK_RUN;
        if (d->mode != DESK_OPEN)
            return DESK_REQUEUE;
        int claimed = recent_has(d->claims, key, now);
        if (claimed && held)
            return DESK_ACK;
        if (d->hands[slot].canceled || (settled(d) && !claimed))
            return DESK_RUN;
    }
}

static enum desk_verdict answer(struct err *why, enum err_class cls, const char *text)
{
    (void)err_set(why, -ECANCELED, cls, "%s", text);
    return DESK_ANSWER;
}

/* Locked. Whichever attempt it is. */
static void note_refused(struct desk *d, const struct task *t)
{
    _cleanup_free_ char *key = desk_key(t->job, t->id, 0);

    if (key)
        recent_put(d->refused, key, desk_now_ns());
}

/* Locked. One whose job was canceled is refused once. The same task again
 * means that the job lives again, and that the event which said so was lost. */
static int refused(struct desk *d, unsigned slot, const struct task *t)
{
    _cleanup_free_ char *key = desk_key(t->job, t->id, 0);
    int64_t now = desk_now_ns();

    if (!d->hands[slot].canceled && !recent_has(d->canceled, t->job, now))
        return 0;
    if (key && recent_has(d->refused, key, now)) {
        recent_drop(d->canceled, t->job);
        return 0;
    }
    note_refused(d, t);
    return 1;
}

/* Locked. First come, first served: a large task is not overtaken for ever. */
static int fits(const struct desk *d, unsigned slot)
{
    uint64_t sum = d->hands[slot].need_bytes;

    for (unsigned i = 0; i < d->cfg.slots; i++) {
        const struct hand *h = &d->hands[i];
        if (h->state == HAND_MEMORY && h->turn < d->hands[slot].turn)
            return 0;
        if (h->state == HAND_RUNNING)
            sum += h->need_bytes;
    }
    return sum <= d->cfg.memory_bytes;
}

/* Locked. */
static enum desk_verdict wait_for_memory(struct desk *d, unsigned slot, const struct task *t,
                                         int64_t until, struct err *why)
{
    struct hand *h = &d->hands[slot];

    if (d->cfg.memory_bytes == 0)
        return DESK_RUN;
    if (t->memory_bytes > d->cfg.memory_bytes) {
        (void)err_set(why, -ENOMEM, ERR_RESOURCE,
                      "the task needs about %" PRIu64 " MiB of memory, and worker %.100s gives its "
                      "tasks %" PRIu64 " MiB in all",
                      t->memory_bytes >> 20, d->cfg.id, d->cfg.memory_bytes >> 20);
        return DESK_ANSWER;
    }
    h->state = HAND_MEMORY;
    h->turn = ++d->last_turn;
    while (!fits(d, slot) && d->mode == DESK_OPEN && !h->canceled) {
        if (d->cfg.events && desk_now_ns() > until)
            return answer(why, ERR_CANCELED, "no memory became free for it in four minutes");
        wait_a_moment(d);
    }
    if (h->canceled)
        return answer(why, ERR_CANCELED, "its job was canceled");
    if (d->mode != DESK_OPEN)
        return answer(why, ERR_CANCELED, "the worker takes no more tasks");
    return DESK_RUN;
}

/* Locked. It is handed back after a moment only: who it goes to next may be this one again. */
static int leave_to_others(struct desk *d, const struct task *t)
{
    int64_t until = desk_now_ns() + AVOID_MS * (int64_t)NS_PER_MS;

    while (desk_leaves_to_others(d, t)) {
        if (d->mode != DESK_OPEN || desk_now_ns() >= until)
            return 1;
        wait_a_moment(d);
    }
    return 0;
}

/* Locked. */
static enum desk_verdict decide(struct desk *d, unsigned slot, const struct task *t,
                                unsigned deliveries, struct err *why)
{
    const char *key = d->hands[slot].key;
    int64_t until = hold_until(d);
    enum desk_verdict v = wait_for_others(d, slot, deliveries, key, until);

    if (v != DESK_RUN)
        return v;
    if (refused(d, slot, t))
        return answer(why, ERR_CANCELED, "its job was canceled");
    d->hands[slot].canceled = 0;
    if (d->mode != DESK_OPEN || desk_shut_out(d, slot))
        return answer(why, ERR_CANCELED, "the worker takes no more tasks");
    if (desk_hindrance(d))
        return answer(why, ERR_CANCELED, desk_hindrance(d));
    if (leave_to_others(d, t))
        return answer(why, ERR_CANCELED, "it failed here before: another worker is to try it");
    return wait_for_memory(d, slot, t, until, why);
}

/* Locked. What its heartbeats may claim: nobody else would take it meanwhile. */
static int64_t claim_until(const struct task *t)
{
    int64_t ms = ENDED_WITHIN_MS;

    if (t->deadline_ms > 0 && t->deadline_ms < ms)
        ms = t->deadline_ms;
    return desk_now_ns() + (ms + AFTERMATH_MS) * NS_PER_MS;
}

/* Locked. */
static void empty(struct hand *h)
{
    free(h->key);
    *h = (struct hand){ 0 };
}

enum desk_verdict desk_admit(struct desk *d, unsigned slot, const struct task *t,
                             unsigned deliveries, struct err *ret_why)
{
    struct hand *h = &d->hands[slot];
    char *key = desk_key(t->job, t->id, t->attempt);

    if (!key)
        return answer(ret_why, ERR_RESOURCE, "out of memory");
    lock(d);
    *h = (struct hand){
        .state = HAND_WAITING, .task = t, .key = key, .need_bytes = t->memory_bytes
    };
    enum desk_verdict v = decide(d, slot, t, deliveries, ret_why);
    if (v == DESK_RUN) {
        h->state = HAND_RUNNING;
        h->start_ns = desk_now_ns();
    } else {
        h->state = HAND_SETTLING;
    }
    unlock_changed(d);
    return v;
}

void desk_settled(struct desk *d, unsigned slot)
{
    lock(d);
    empty(&d->hands[slot]);
    unlock_changed(d);
}

void desk_begun(struct desk *d, unsigned slot)
{
    struct hand *h = &d->hands[slot];

    lock(d);
    h->begun = 1;
    h->until_ns = claim_until(h->task);
    d->news = 1;
    unlock_changed(d);
}

void desk_cannot(struct desk *d, const char *why, int ms)
{
    lock(d);
    if (!desk_hindrance(d))
        d->shed_ns = desk_now_ns();
    (void)snprintf(d->cannot, sizeof(d->cannot), "%s", why);
    d->cannot_until_ns = desk_now_ns() + ms * (int64_t)NS_PER_MS;
    d->news = 1;
    unlock_changed(d);
}

void desk_put_store(struct desk *d, const char *why)
{
    lock(d);
    if (strcmp(d->store, why) != 0) {
        (void)snprintf(d->store, sizeof(d->store), "%s", why);
        d->shed_ns = desk_now_ns();
        d->news = 1;
    }
    unlock_changed(d);
}

enum desk_ending desk_ending(struct desk *d, unsigned slot)
{
    enum desk_ending e = DESK_GO_ON;

    lock(d);
    if (d->hands[slot].state == HAND_RUNNING && d->hands[slot].canceled)
        e = DESK_JOB_CANCELED;
    else if (d->mode == DESK_KILLED)
        e = DESK_WORKER_KILLED;
    unlock(d);
    return e;
}

void desk_progress(struct desk *d, unsigned slot, uint64_t done)
{
    lock(d);
    d->hands[slot].done = done;
    unlock(d);
}

/* ---- the end of a task ---- */

/* Locked. */
static void count(struct desk *d, const struct hand *h, const struct desk_outcome *o)
{
    d->tasks_done += o->cls == ERR_NONE;
    d->tasks_failed += o->cls != ERR_NONE && o->cls != ERR_CANCELED;
    d->cpu_s += o->cpu_s;
    d->bytes_in += o->bytes_in;
    d->bytes_out += o->bytes_out;
    if (h->task->kind == TASK_VIDEO)
        d->frames_done += o->cls == ERR_NONE ? h->task->chunk.pts.n_frames : h->done;
    if (o->engine && o->engine[0] && (!d->engine || strcmp(d->engine, o->engine) != 0)) {
        char *copy = strdup(o->engine);
        if (copy) {
            free(d->engine);
            d->engine = copy;
        }
    }
}

int desk_leave(struct desk *d, unsigned slot, const struct desk_outcome *o)
{
    struct hand *h = &d->hands[slot];

    lock(d);
    count(d, h, o);
    if (o->told)
        recent_put(d->told, h->key, desk_now_ns());
    if (h->canceled)
        note_refused(d, h->task);
    int released = desk_trial_ended(d, o->cls);
    h->state = HAND_SETTLING;
    h->task = NULL;
    d->news = 1;
    unlock_changed(d);
    return released;
}

void desk_told(struct desk *d, unsigned slot)
{
    lock(d);
    if (d->hands[slot].key)
        recent_put(d->told, d->hands[slot].key, desk_now_ns());
    unlock_changed(d);
}
