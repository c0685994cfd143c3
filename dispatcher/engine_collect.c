/* engine_collect.c - results into the database: one transaction for what is
 * there, then the acks. Applying a result twice changes nothing. */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "../common/base/cleanup.h"
#include "../common/base/log.h"
#include "../common/queue/queue.h"
#include "../common/wire/result.h"
#include "job.h"
#include "publish/package.h"

enum {
    BATCH_MAX = 64,
    DEFAULT_ATTEMPTS = 4,
    DEFAULT_RETRY_MS = 500,
    DOUBLINGS_MAX = 7,
};

/* ---- failed attempts ---- */

static uint64_t next_random(struct dispatcher *d)
{
    uint64_t z = d->random += UINT64_C(0x9e3779b97f4a7c15); /* splitmix64 */

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* Doubles with each failure; the jitter of half of it either way keeps tasks
 * that failed together from coming back together. */
static int64_t backoff_ms(struct dispatcher *d, unsigned failures)
{
    int64_t base = d->cfg.retry_base_ms > 0 ? d->cfg.retry_base_ms : DEFAULT_RETRY_MS;
    unsigned doublings = failures > DOUBLINGS_MAX ? DOUBLINGS_MAX : failures - 1;
    int64_t delay = base << doublings;

    return delay / 2 + (int64_t)(next_random(d) % (uint64_t)(delay + 1));
}

static unsigned attempts_allowed(const struct dispatcher *d)
{
    return d->cfg.max_attempts ? d->cfg.max_attempts : DEFAULT_ATTEMPTS;
}

/* The job ends; what it still has in the queue is let run out. */
static int fail_job(struct dispatcher *d, struct live_job *j, const struct live_task *t,
                    const struct err *why, struct err *err)
{
    struct err reason = { 0 };

    if (j->state != JOB_RUNNING && j->state != JOB_PUBLISHING)
        return 0;
    if (err_class_retried(why->cls))
        (void)err_set(&reason, -EIO, why->cls, "task %s failed %u time%s, last: %s", t->id,
                      t->failures, t->failures == 1 ? "" : "s", why->text);
    else
        (void)err_set(&reason, -EIO, why->cls, "task %s: %s", t->id, why->text);
    return job_move(d, j, JOB_FAIL, &reason, err);
}

int engine_attempt_failed(struct dispatcher *d, struct live_job *j, struct live_task *t,
                          const struct err *why, struct err *err)
{
    int again = err_class_retried(why->cls) && t->failures + 1 < attempts_allowed(d);

    j->attempts_failed++;
    t->failures++;
    log_event(LOG_INFO, "task.attempt-failed", LSTR("job", j->id), LSTR("task", t->id),
              LINT("attempt", t->attempt), LSTR("class", err_class_name(why->cls)),
              LSTR("error", why->text));
    if (again) {
        t->not_before_ms = d->clock->wall_ms(d->clock) + backoff_ms(d, t->failures);
        t->attempt++;
        return task_move(d, j, t, TASK_RETRY, why, err);
    }
    int r = task_move(d, j, t, TASK_SPEND, why, err);
    return r < 0 ? r : fail_job(d, j, t, why, err);
}

int engine_redo(struct dispatcher *d, struct live_job *j, struct live_task *t, int counted,
                const struct err *why, struct err *err)
{
    int r = jobdb_set_result(d->db, j->id, t->id, NULL, err);

    if (r < 0)
        return r;
    log_event(LOG_INFO, "task.redo", LSTR("job", j->id), LSTR("task", t->id),
              LSTR("error", why->text));
    t->attempt++;
    t->frames = 0;
    t->not_before_ms = 0;
    if (counted) {
        t->failures++;
        j->attempts_failed++;
    }
    r = task_move(d, j, t, TASK_REDO, why, err);
    if (r == 0 && counted && t->failures >= attempts_allowed(d))
        r = fail_job(d, j, t, why, err);
    return r;
}

/* ---- results ---- */

static void note_first_frame(struct live_job *j, const struct live_task *t,
                             const struct task_result *r)
{
    if (!t->released_ns || r->first_frame_s <= 0 || t->audio)
        return;
    double s = (double)(t->released_ns - j->submit_ns) / (double)NS_PER_S + r->first_frame_s;
    if (j->first_frame_s <= 0 || s < j->first_frame_s)
        j->first_frame_s = s;
}

static uint64_t best_frames(const struct live_job *j, const struct task_result *r)
{
    for (size_t i = 0; i < r->n_renditions && j->plan.n_renditions > 0; i++)
        if (strcmp(r->renditions[i].name, j->plan.renditions[0].name) == 0)
            return r->renditions[i].frames;
    return 0;
}

/* Compare with the plan what the worker says that it made. */
static int check(struct dispatcher *d, const struct live_job *j, const struct live_task *t,
                 const struct task_result *r, struct err *why)
{
    _cleanup_free_ char *body = NULL;
    struct task task = { 0 };
    int ret = jobdb_task_body(d->db, j->id, t->id, &body, why);

    if (ret == 0)
        ret = task_from_text(body, strlen(body), &task, why);
    if (ret == 0)
        ret = package_check_result(&j->plan, &task, r, why);
    task_release(&task);
    return ret;
}

static int apply_done(struct dispatcher *d, struct live_job *j, struct live_task *t,
                      const struct task_result *r, const char *text, struct err *err)
{
    t->cpu_s += r->cpu_s;
    t->frames = best_frames(j, r);
    note_first_frame(j, t, r);
    int ret = jobdb_set_result(d->db, j->id, t->id, text, err);
    return ret < 0 ? ret : task_move(d, j, t, TASK_RESULT, NULL, err);
}

static int apply_failed(struct dispatcher *d, struct live_job *j, struct live_task *t,
                        const struct task_result *r, const struct err *why, struct err *err)
{
    if (t->state != TASK_RELEASED || r->attempt != t->attempt)
        return 0; /* late: another attempt is on its way */
    t->cpu_s += r->cpu_s;
    if (j->state != JOB_RUNNING || why->cls == ERR_CANCELED)
        return task_move(d, j, t, TASK_LOST, why, err);
    return engine_attempt_failed(d, j, t, why, err);
}

static int apply(struct dispatcher *d, const struct task_result *r, const char *text,
                 struct err *err)
{
    struct live_job *j = job_find(d, r->job);
    struct live_task *t = j && j->loaded ? job_task(j, r->task) : NULL;
    struct err why = r->error;

    if (!t || t->state == TASK_DONE || t->state == TASK_DEAD) {
        log_event(LOG_DEBUG, "result.ignored", LSTR("job", r->job), LSTR("task", r->task),
                  LINT("attempt", r->attempt));
        return 0;
    }
    /* A late success counts: equal tasks give equal bytes. */
    if (why.cls == ERR_NONE && check(d, j, t, r, &why) == 0)
        return apply_done(d, j, t, r, text, err);
    return apply_failed(d, j, t, r, &why, err);
}

/* A message of which only job, task and attempt can be made out (`id_key`
 * holds the task's id) counts as a failed attempt. */
static int apply_unreadable(struct dispatcher *d, const struct queue_msg *m, const char *id_key,
                            const struct err *why, struct err *err)
{
    json_t *json = json_loadb(m->body, m->len, 0, NULL);
    const char *job = json_string_value(json_object_get(json, "job"));
    const char *id = json_string_value(json_object_get(json, id_key));
    json_int_t attempt = json_integer_value(json_object_get(json, "attempt"));
    struct live_job *j = job ? job_find(d, job) : NULL;
    struct live_task *t = j && j->loaded && id ? job_task(j, id) : NULL;
    struct task_result r = { .attempt = attempt > 0 ? (unsigned)attempt : 0 };

    log_event(LOG_ERROR, "message.unreadable", LSTR("job", job), LSTR("task", id),
              LSTR("error", why->text));
    int ret = t ? apply_failed(d, j, t, &r, why, err) : 0;
    json_decref(json);
    return ret;
}

static int apply_message(struct dispatcher *d, const struct queue_msg *m, struct err *err)
{
    struct task_result r = { 0 };
    struct err why = { 0 };

    if (task_result_from_text(m->body, m->len, &r, &why) < 0) {
        why.cls = ERR_INTERNAL;
        return apply_unreadable(d, m, "task", &why, err);
    }
    int ret = apply(d, &r, m->body, err);
    task_result_release(&r);
    return ret;
}

/* A task that no worker could read, or that killed its workers. */
static int apply_dead_letter(struct dispatcher *d, const struct queue_msg *m, struct err *err)
{
    const struct err why = { ERR_CRASH, "no worker could take it" };

    return apply_unreadable(d, m, "id", &why, err);
}

typedef int apply_fn(struct dispatcher *d, const struct queue_msg *m, struct err *err);

static int apply_batch(struct dispatcher *d, const struct queue_msg *msgs, size_t n,
                       apply_fn *apply_one, struct err *err)
{
    int r = jobdb_begin(d->db, err);

    for (size_t i = 0; i < n && r == 0; i++)
        r = apply_one(d, &msgs[i], err);
    if (r == 0)
        r = jobdb_commit(d->db, err);
    if (r < 0)
        jobdb_rollback(d->db);
    return r;
}

/* What is in `name`, at most BATCH_MAX messages; waits for the first only. */
static int consume_batch(struct queue *q, const char *name, int timeout_ms, struct queue_msg *msgs,
                         size_t *ret_n, struct err *err)
{
    struct err why = { 0 };
    size_t n = 0;
    int r = 0;

    while (n < BATCH_MAX && r == 0) {
        r = q->ops->consume(q, name, n == 0 ? timeout_ms : 0, &msgs[n], &why);
        n += r == 0;
    }
    *ret_n = n;
    if (n > 0 || r == -EAGAIN)
        return 0;
    if (err)
        *err = why;
    return r;
}

static int collect_from(struct dispatcher *d, const char *name, int timeout_ms, apply_fn *apply_one,
                        size_t *ret_n, struct err *err)
{
    struct queue *q = d->cfg.queue;
    struct queue_msg msgs[BATCH_MAX];
    size_t n = 0;
    int r = consume_batch(q, name, timeout_ms, msgs, &n, err);

    if (n > 0)
        r = apply_batch(d, msgs, n, apply_one, err);
    for (size_t i = 0; i < n; i++) {
        if (r == 0)
            (void)q->ops->ack(q, &msgs[i], NULL); /* lost: delivered again, changes nothing */
        else
            (void)q->ops->reject(q, &msgs[i], 1, NULL);
        queue_msg_release(&msgs[i]);
    }
    *ret_n = n;
    return r;
}

int engine_collect(struct dispatcher *d, int timeout_ms, size_t *ret_n, struct err *err)
{
    size_t dead = 0;
    int r = collect_from(d, QUEUE_DEAD, 0, apply_dead_letter, &dead, err);

    if (r == 0)
        r = collect_from(d, QUEUE_RESULTS, dead ? 0 : timeout_ms, apply_message, ret_n, err);
    *ret_n += dead;
    return r;
}
