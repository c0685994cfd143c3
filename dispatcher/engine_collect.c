/* engine_collect.c - what came from the queue, into the database. Applying a
 * result twice changes nothing. */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "../common/base/cleanup.h"
#include "../common/base/log.h"
#include "../common/base/redact.h"
#include "../common/base/utf8.h"
#include "../common/queue/queue.h"
#include "../common/wire/result.h"
#include "crew.h"
#include "job.h"
#include "publish/package.h"

enum {
    DEFAULT_ATTEMPTS = 4,
    DEFAULT_RETRY_MS = 500,
    DOUBLINGS_MAX = 7,
    DEAD_KEPT = 1000,
    DEAD_BODY_MAX = 64 << 10, /* of a dead letter, kept */
};

/* ---- failed attempts ---- */

static uint64_t next_random(struct dispatcher *d)
{
    uint64_t z = d->random += UINT64_C(0x9e3779b97f4a7c15); /* splitmix64 */

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static int64_t backoff_base_ms(const struct dispatcher *d, enum err_class cls)
{
    int64_t base = d->cfg.retry_base_ms > 0 ? d->cfg.retry_base_ms : DEFAULT_RETRY_MS;

    return cls == ERR_STORAGE && d->cfg.storage_retry_ms > base ? d->cfg.storage_retry_ms : base;
}

int64_t engine_backoff_max_ms(const struct dispatcher *d)
{
    int64_t longest = backoff_base_ms(d, ERR_STORAGE) << DOUBLINGS_MAX;

    return longest + longest / 2;
}

/* Doubles with each failure; the jitter of half of it either way keeps tasks
 * that failed together from coming back together. A store's bad minutes are longer. */
int64_t engine_backoff_ms(struct dispatcher *d, unsigned failures, enum err_class cls)
{
    int64_t base = backoff_base_ms(d, cls);
    unsigned doublings = failures > DOUBLINGS_MAX ? DOUBLINGS_MAX : failures - 1;
    int64_t delay = base << doublings;

    return delay / 2 + (int64_t)(next_random(d) % (uint64_t)(delay + 1));
}

unsigned engine_attempts_allowed(const struct dispatcher *d)
{
    return d->cfg.max_attempts ? d->cfg.max_attempts : DEFAULT_ATTEMPTS;
}

/* `worker` is known of a farm only. */
static int fail_job(struct dispatcher *d, struct live_job *j, const struct live_task *t,
                    const char *worker, const struct err *why, struct err *err)
{
    struct err reason = { 0 };
    char on[160] = "";

    if (j->state != JOB_RUNNING && j->state != JOB_PUBLISHING)
        return 0;
    if (worker && d->cfg.board)
        (void)snprintf(on, sizeof(on), " on worker %.128s", worker);
    if (err_class_retried(why->cls))
        (void)err_set(&reason, -EIO, why->cls, "task %s failed %u time%s, last%s: %s", t->id,
                      t->failures, t->failures == 1 ? "" : "s", on, why->text);
    else
        (void)err_set(&reason, -EIO, why->cls, "task %s%s: %s", t->id, on, why->text);
    return job_fail(d, j, &reason, err);
}

/* Its child died by a signal on two workers: it is the upload, and would be so on all others. */
static int fail_by_source(struct dispatcher *d, struct live_job *j, struct live_task *t,
                          const char *first, const char *second, const struct err *why,
                          struct err *err)
{
    struct err reason = { 0 };

    (void)err_set(&reason, -EIO, ERR_CRASH, "task %s crashed on two workers, %.128s and %.128s: %s",
                  t->id, first, second, why->text);
    if (live_task_is_extra(t))
        return engine_leave_out(d, j, t, &reason, err);
    int r = engine_poison_add(d, j, &reason, err);
    if (r == 0)
        r = task_move(d, j, t, TASK_SPEND, why, err);
    if (r == 0 && (j->state == JOB_RUNNING || j->state == JOB_PUBLISHING))
        r = job_fail(d, j, &reason, err);
    return r;
}

int engine_attempt_failed(struct dispatcher *d, struct live_job *j, struct live_task *t,
                          const char *worker, const struct err *why, struct err *err)
{
    int again = err_class_retried(why->cls) && t->failures + 1 < engine_attempts_allowed(d);

    j->attempts_failed++;
    d->totals.attempts_failed++;
    t->failures++;
    log_event(LOG_INFO, "task.attempt-failed", LSTR("job", j->id), LSTR("task", t->id),
              LINT("attempt", t->attempt), LSTR("worker", worker ? worker : ""),
              LSTR("class", err_class_name(why->cls)), LSTR("error", why->text));
    engine_crew_note(d, j, t, worker, why->cls);
    engine_crew_failed(d, t, worker);
    unsigned first = engine_crew_crashed_before(d, t, worker, why);
    if (first)
        return fail_by_source(d, j, t, crew_name(d->crew, first), worker, why, err);
    if (again) {
        t->not_before_ms = engine_ms(d) + engine_backoff_ms(d, t->failures, why->cls);
        t->attempt++;
        return task_move(d, j, t, TASK_RETRY, why, err);
    }
    if (live_task_is_extra(t))
        return engine_leave_out(d, j, t, why, err);
    int r = task_move(d, j, t, TASK_SPEND, why, err);
    return r < 0 ? r : fail_job(d, j, t, worker, why, err);
}

int engine_redo_move(struct dispatcher *d, struct live_job *j, struct live_task *t,
                     const struct err *why, struct err *err)
{
    log_event(LOG_INFO, "task.redo", LSTR("job", j->id), LSTR("task", t->id),
              LSTR("error", why->text));
    t->attempt++;
    j->frames_done -= t->frames;
    t->frames = 0;
    t->not_before_ms = 0;
    d->totals.redone++;
    return task_move(d, j, t, TASK_REDO, why, err);
}

int engine_redo(struct dispatcher *d, struct live_job *j, struct live_task *t, int counted,
                const struct err *why, struct err *err)
{
    int r = engine_begin(d, err);

    if (r == 0)
        r = jobdb_set_result(d->db, j->id, t->id, NULL, err);
    if (r < 0)
        return r;
    if (counted) {
        t->failures++;
        j->attempts_failed++;
    }
    r = engine_redo_move(d, j, t, why, err);
    if (r == 0 && counted && t->failures >= engine_attempts_allowed(d) && live_task_is_extra(t))
        return engine_leave_out(d, j, t, why, err);
    if (r == 0 && counted && t->failures >= engine_attempts_allowed(d))
        r = fail_job(d, j, t, NULL, why, err);
    return r;
}

/* ---- results ---- */

static void note_first_frame(struct dispatcher *d, struct live_job *j, const struct live_task *t,
                             const struct task_result *r)
{
    if (t->released_at == NOT_RELEASED || r->first_frame_s <= 0 || t->audio)
        return;
    int64_t waited = d->released[t->released_at].released_ns - j->submit_ns;
    double s = (double)waited / (double)NS_PER_S + r->first_frame_s;
    if (j->first_frame_s <= 0 || s < j->first_frame_s)
        j->first_frame_s = s;
}

static uint64_t best_frames(const struct plan *plan, const struct task_result *r)
{
    for (size_t i = 0; i < r->n_renditions && plan->n_renditions > 0; i++)
        if (strcmp(r->renditions[i].name, plan->renditions[0].name) == 0)
            return r->renditions[i].frames;
    return 0;
}

static int extra_as_planned(const struct plan *p, const struct live_task *t, struct task *ret)
{
    *ret = (struct task){ .id = (char *)t->id, .kind = task_kind_by_id(t->id) };
    ret->renditions = calloc(p->n_extras + 1, sizeof(*ret->renditions));
    for (size_t i = 0; ret->renditions && i < p->n_extras; i++)
        if (task_kind_of(p->extras[i].kind) == ret->kind)
            ret->renditions[ret->n_renditions++] = p->extras[i];
    return ret->renditions ? 0 : -ENOMEM;
}

/* What package_check_result() looks at of a task, borrowed from the plan:
 * reading its message back from the database would cost more than the rest. */
static int as_planned(const struct plan *p, const struct live_task *t, struct task *ret)
{
    if (live_task_is_extra(t))
        return extra_as_planned(p, t, ret);
    const struct task_group *g = t->audio || t->group >= p->n_groups ? NULL : &p->groups[t->group];

    *ret = (struct task){ .id = (char *)t->id, .kind = t->audio ? TASK_AUDIO : TASK_VIDEO };
    ret->chunk.index = t->chunk;
    ret->renditions = calloc(p->n_renditions + 1, sizeof(*ret->renditions));
    if (!ret->renditions)
        return -ENOMEM;
    for (size_t i = 0; g && i < g->n_renditions; i++)
        ret->renditions[ret->n_renditions++] = p->renditions[g->renditions[i]];
    for (size_t i = p->n_video; t->audio && i < p->n_renditions; i++)
        if (p->renditions[i].track == t->group)
            ret->renditions[ret->n_renditions++] = p->renditions[i];
    return 0;
}

/* Compare with the plan what the worker says that it made. */
static int check(const struct plan *plan, const struct live_task *t, const struct task_result *r,
                 struct err *why)
{
    struct task task;

    if (as_planned(plan, t, &task) < 0)
        return engine_no_memory(why);
    int ret = package_check_result(plan, &task, r, why);
    free(task.renditions);
    return ret;
}

/* What a part of a task costs says nothing of its encoder's predictions. */
static void count_result(struct dispatcher *d, const struct live_task *t,
                         const struct task_result *r, int whole)
{
    uint64_t frames = 0;

    d->totals.bytes_read += r->bytes_read;
    for (size_t i = 0; i < r->n_renditions; i++) {
        frames += r->renditions[i].frames;
        for (size_t k = 0; k < r->renditions[i].n_segments; k++)
            d->totals.bytes_made += r->renditions[i].segments[k].size_bytes;
    }
    if (whole)
        engine_measured(d, t->encoder, t->cost, r->cpu_s, frames);
}

/* What a worker brought, and what of it is kept: the same, but for a part. */
struct success {
    const struct task_result *came, *kept;
    const char *text; /* of what is kept */
    int was_part;     /* only a part was asked for */
};

static int apply_done(struct dispatcher *d, struct live_job *j, struct live_task *t,
                      const struct plan *plan, const struct success *s, struct err *err)
{
    t->cpu_s += (float)s->came->cpu_s;
    j->cpu_s += s->came->cpu_s;
    t->frames = best_frames(plan, s->kept);
    j->frames_done += t->frames;
    note_first_frame(d, j, t, s->came);
    count_result(d, t, s->came, s->came == s->kept);
    if (t->released_at != NOT_RELEASED && d->released[t->released_at].seq > d->seen_seq)
        d->seen_seq = d->released[t->released_at].seq;
    int r = engine_begin(d, err);
    if (r == 0 && s->was_part)
        r = engine_part_end(d, j, t, err);
    if (r == 0)
        r = jobdb_set_result(d->db, j->id, t->id, s->text, err);
    if (r == 0)
        r = task_move(d, j, t, TASK_RESULT, NULL, err);
    engine_crew_note(d, j, t, s->came->worker, ERR_NONE);
    if (r == 0)
        engine_tell(d, EFFECT_TASK, j, NULL, t);
    return r;
}

/* Whole, or the part that was asked for. *ret_is: it was what it had to be,
 * and is applied; else `why` says what it isn't. */
static int apply_success(struct dispatcher *d, struct live_job *j, struct live_task *t,
                         const struct plan *plan, const struct task_result *r, const char *text,
                         int *ret_is, struct err *why, struct err *err)
{
    _cleanup_free_ char *merged = NULL;
    struct task_result whole = { 0 };
    struct part p;
    int ret = engine_part_load(d, j, t, &p, err);

    if (ret < 0)
        return ret;
    struct success s = { r, r, text, p.only != NULL };
    *ret_is = 1;
    if (p.only && r->n_renditions == 1) {
        *ret_is = engine_part_merge(&p, text, &merged, &whole, why) == 0;
        s.kept = &whole;
        s.text = merged;
    }
    if (*ret_is && (*ret_is = check(plan, t, s.kept, why) == 0))
        ret = apply_done(d, j, t, plan, &s, err);
    task_result_release(&whole);
    part_release(&p);
    return ret;
}

static int apply_failed(struct dispatcher *d, struct live_job *j, struct live_task *t,
                        const struct task_result *r, const struct err *why, struct err *err)
{
    if (t->state != TASK_RELEASED || r->attempt != t->attempt)
        return 0; /* late: another attempt is on its way */
    t->cpu_s += (float)r->cpu_s;
    j->cpu_s += r->cpu_s;
    engine_tell(d, EFFECT_TASK, j, NULL, t); /* of this attempt, not of the next one */
    if (j->state == JOB_RUNNING && why->cls != ERR_CANCELED)
        return engine_attempt_failed(d, j, t, r->worker, why, err);
    if (why->cls == ERR_CANCELED)
        engine_crew_passed(t);
    t->attempt++;
    return task_move(d, j, t, TASK_LOST, why, err);
}

/* The task that a message names, also one of a job that has ended. */
static int find_task(struct dispatcher *d, const char *job, const char *id, struct live_job **ret_j,
                     struct live_task **ret_t, struct err *err)
{
    struct live_job *j = job ? job_find(d, job) : NULL;
    int r = j && id ? job_load(d, j, err) : 0;

    *ret_j = j;
    *ret_t = r == 0 && j && id ? job_task(j, id) : NULL;
    return r;
}

/* A plan that can't be read is the end of its job, not of the dispatcher. */
static int no_plan(struct dispatcher *d, struct live_job *j, int r, const struct err *why,
                   struct err *err)
{
    if (why->cls != ERR_INTERNAL && why->cls != ERR_INPUT)
        return err_set(err, r, why->cls, "%s", why->text);
    return job_ended(j) ? 0 : job_fail(d, j, why, err);
}

static int apply_result(struct dispatcher *d, const struct task_result *r, const char *text,
                        struct err *err)
{
    struct live_job *j;
    struct live_task *t;
    const struct plan *plan;
    struct err why = r->error, why_not = { 0 };
    int is = 0;
    int ret = find_task(d, r->job, r->task, &j, &t, err);

    d->totals.results++;
    if (ret < 0)
        return ret;
    /* Of what was at the source's place before: equal ids, other pictures. */
    int other = t && r->etag && strcmp(r->etag, j->etag) != 0;
    if (!t || other || t->state == TASK_DONE || t->state == TASK_DEAD) {
        log_event(LOG_DEBUG, "result.ignored", LSTR("job", r->job), LSTR("task", r->task),
                  LINT("attempt", r->attempt));
        return 0;
    }
    ret = job_plan(d, j, &plan, &why_not);
    if (ret < 0)
        return no_plan(d, j, ret, &why_not, err);
    /* A late success counts: equal tasks give equal bytes. */
    if (why.cls == ERR_NONE &&
        ((ret = apply_success(d, j, t, plan, r, text, &is, &why, err)) < 0 || is))
        return ret;
    return apply_failed(d, j, t, r, &why, err);
}

/* A message of which only job, task and attempt can be made out counts as a failed attempt. */
static int apply_unreadable(struct dispatcher *d, const struct received *m, const struct err *why,
                            struct err *err)
{
    struct task_result r = { .attempt = m->attempt };
    struct live_job *j;
    struct live_task *t;

    log_event(LOG_ERROR, "message.unreadable", LSTR("job", m->job), LSTR("task", m->task),
              LSTR("error", why->text));
    int ret = find_task(d, m->job, m->task, &j, &t, err);
    return ret == 0 && t ? apply_failed(d, j, t, &r, why, err) : ret;
}

/* A task that no worker could read, or that killed its workers; a message
 * that its reader refused. */
static int apply_dead_letter(struct dispatcher *d, const struct received *m, struct err *err)
{
    const char *from = m->msg->from ? m->msg->from : QUEUE_TASKS;
    const char *reason = m->msg->reason ? m->msg->reason : "no worker could take it";
    struct err why = { 0 };
    int r = dispatcher_dead_letter(d, from, reason, m->msg->body, m->msg->len, err);

    if (r < 0)
        return r;
    (void)err_set(&why, -EIO, ERR_CRASH, "%s", reason);
    if (strcmp(from, QUEUE_TASKS) == 0)
        return apply_unreadable(d, m, &why, err);
    why.cls = ERR_INTERNAL;
    return strcmp(from, QUEUE_RESULTS) == 0 ? apply_unreadable(d, m, &why, err) : 0;
}

int engine_apply(struct dispatcher *d, struct received *m, struct err *err)
{
    int r;

    if (strcmp(m->queue, QUEUE_EVENTS) == 0) {
        if (m->heartbeat && d->cfg.board) {
            (void)board_put_worker(d->cfg.board, m->heartbeat, d->clock->wall_ms(d->clock));
            engine_seen(d, m->heartbeat);
            engine_crew_heard(d, m->heartbeat);
        }
        return 0;
    }
    d->received++;
    if (strcmp(m->queue, QUEUE_DEAD) == 0)
        return apply_dead_letter(d, m, err);
    if (m->result)
        return apply_result(d, m->result, m->msg->body, err);
    m->why.cls = ERR_INTERNAL;
    r = dispatcher_dead_letter(d, m->queue, m->why.text, m->msg->body, m->msg->len, err);
    return r < 0 ? r : apply_unreadable(d, m, &m->why, err);
}

/* ---- dead letters ---- */

/* Text that any database takes and anybody may read: UTF-8, no NUL, not too
 * long, URLs without secrets. */
static char *plain(const char *s, size_t len, size_t max)
{
    char *t = strndup(s, len < max ? len : max);

    if (t) {
        utf8_mend(t);
        redact_urls(t);
    }
    return t;
}

int dispatcher_dead_letter(struct dispatcher *d, const char *queue, const char *reason,
                           const char *body, size_t len, struct err *err)
{
    _cleanup_free_ char *text = plain(body, len, DEAD_BODY_MAX);
    _cleanup_free_ char *why = plain(reason ? reason : "", ERR_TEXT_MAX, ERR_TEXT_MAX);
    const struct dead_letter l = {
        .at_ms = d->clock->wall_ms(d->clock), .queue = queue, .reason = why, .body = text
    };
    int r = text && why ? engine_begin(d, err) : engine_no_memory(err);

    if (r == 0)
        r = jobdb_add_dead(d->db, d->last_dead + 1, DEAD_KEPT, &l, err);
    if (r == 0) {
        d->last_dead++;
        d->totals.dead_letters++;
        d->totals_dirty = 1;
        log_event(LOG_WARN, "message.dead", LSTR("queue", queue), LSTR("reason", why));
    }
    return engine_settle(d, r, err);
}

int dispatcher_dead_letters(struct dispatcher *d,
                            int (*each)(void *arg, const struct dead_letter *l), void *arg,
                            struct err *err)
{
    return jobdb_each_dead(d->db, each, arg, err);
}
