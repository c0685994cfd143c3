/* job_move.c - the two functions that move a state, and what moves with it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../common/base/log.h"
#include "job.h"
#include "job_parts.h"

int job_save(struct dispatcher *d, struct live_job *j, struct err *err)
{
    int r = engine_begin(d, err);
    struct job_row row = {
        .id = j->id,
        .tenant = j->tenant,
        .notify = j->notify,
        .metadata = j->metadata,
        .priority = j->priority,
        .state = j->state,
        .updated_ms = d->clock->wall_ms(d->clock),
        .started_ms = j->started_ms,
        .ended_ms = j->ended_ms,
        .playable_ms = j->playable_ms,
        .notified = j->notified,
        .swept = j->swept,
        .replaced_by = j->replaced_by,
        .version = j->version,
        .replaces = j->replaces,
        .run = j->run,
        .published = j->published,
        .early_ended = j->early_ended,
    };
    if (j->error)
        row.error = *j->error;
    if (r == 0)
        r = jobdb_update_job(d->db, &row, err);
    if (r == 0)
        j->updated_ms = row.updated_ms;
    engine_changed(d, j, NULL);
    return r;
}

/* Nobody waits any more for what the queue has of it; a success that still
 * comes counts. Revived, a task is another attempt: workers remember this one
 * as canceled. */
static int take_from_queue(struct dispatcher *d, struct live_job *j, struct err *err)
{
    int r = 0;

    for (size_t i = d->n_released; i-- > 0 && r == 0;) {
        if (d->released[i].job != j)
            continue;
        struct live_task *t = &j->tasks[d->released[i].task];
        t->attempt++;
        r = task_move(d, j, t, TASK_LOST, NULL, err);
    }
    return r;
}

static int began(struct dispatcher *d, struct live_job *j, int was_ended, struct err *err)
{
    if (was_ended) {
        j->ended_ms = j->started_ms = 0; /* another run */
        j->notified = j->swept = j->early_ended = 0;
        job_forget_early(j);
    }
    if (was_ended || j->state == JOB_QUEUED) /* workers: it isn't canceled any more */
        engine_tell(d, EFFECT_JOB, j, "queued", NULL);
    engine_count(d, j, j->loaded);
    return job_schedule(d, j) < 0 ? engine_no_memory(err) : 0;
}

static int ended(struct dispatcher *d, struct live_job *j, struct err *err)
{
    int r = take_from_queue(d, j, err);

    if (r < 0)
        return r;
    engine_plan_stop(d, j);
    j->ended_ms = d->clock->wall_ms(d->clock);
    j->notified = !j->notify;
    engine_count(d, j, 0);
    engine_tell(d, EFFECT_JOB, j, job_state_name(j->state), NULL);
    if (j->notify)
        engine_tell(d, EFFECT_END, j, NULL, NULL);
    job_remember_ended(d, j);
    return job_schedule(d, j) < 0 ? engine_no_memory(err) : 0;
}

int job_move(struct dispatcher *d, struct live_job *j, enum job_event ev, const struct err *why,
             struct err *err)
{
    int next = job_next(j->state, ev), was_ended = job_ended(j);

    if (next < 0) {
        log_event(LOG_ERROR, "job.refused", LSTR("job", j->id),
                  LSTR("state", job_state_name(j->state)), LSTR("event", job_event_name(ev)));
        return err_set(err, next, ERR_INTERNAL, "job %.64s is %s: no %s from there", j->id,
                       job_state_name(j->state), job_event_name(ev));
    }
    d->totals.jobs[j->state]--;
    j->state = (enum job_state)next;
    d->totals.jobs[j->state]++;
    job_count_writer(j);
    if (job_set_error(j, why) < 0)
        return engine_no_memory(err);
    int r = job_ended(j) ? ended(d, j, err) : began(d, j, was_ended, err);
    if (r == 0)
        r = job_save(d, j, err);
    engine_attend(d, j);
    log_event(LOG_DEBUG, "job.moved", LSTR("job", j->id), LSTR("state", job_state_name(j->state)),
              LSTR("why", j->error ? j->error->text : ""));
    return r;
}

int job_fail(struct dispatcher *d, struct live_job *j, const struct err *why, struct err *err)
{
    return job_move(d, j, j->published ? JOB_KEEP : JOB_FAIL, why, err);
}

static void count_move(struct dispatcher *d, struct live_job *j, struct live_task *t,
                       enum task_state next)
{
    j->n[t->state]--;
    j->n[next]++;
    if (j->counted) {
        d->totals.tasks[t->state]--;
        d->totals.tasks[next]++;
    }
    if (next == TASK_DONE)
        engine_costs_done(d, j, t, 1);
    else if (t->state == TASK_DONE)
        engine_costs_done(d, j, t, -1);
    t->state = (uint8_t)next;
    if (t->audio)
        return;
    if (next != TASK_DONE && t->chunk < j->open[t->group])
        j->open[t->group] = t->chunk;
    job_advance_open(j, t->group);
}

/* Its place among what waits, and among what is released. */
static int place(struct dispatcher *d, struct live_job *j, struct live_task *t, enum task_state was)
{
    size_t at = (size_t)(t - j->tasks);

    if (was == TASK_RELEASED)
        engine_release_remove(d, t);
    if (was == TASK_WAITING && j->waits)
        sched_leave(d->tasks, j->waits, at);
    if (t->state == TASK_WAITING && j->waits)
        sched_wait(d->tasks, j->waits, at, t->not_before_ms);
    return t->state == TASK_RELEASED ? engine_release_add(d, j, t) : 0;
}

int task_move(struct dispatcher *d, struct live_job *j, struct live_task *t, enum task_event ev,
              const struct err *why, struct err *err)
{
    enum task_state was = (enum task_state)t->state;
    int next = task_next(was, ev);

    if (next < 0) {
        log_event(LOG_ERROR, "task.refused", LSTR("job", j->id), LSTR("task", t->id),
                  LSTR("state", task_state_name(was)), LSTR("event", task_event_name(ev)));
        return err_set(err, next, ERR_INTERNAL, "task %.64s is %s: no %s from there", t->id,
                       task_state_name(was), task_event_name(ev));
    }
    t->sent = 0;
    struct task_row row = {
        .job = j->id,
        .id = t->id,
        .state = (enum task_state)next,
        .attempt = t->attempt,
        .failures = t->failures,
        .not_before_ms = t->not_before_ms,
        .cpu_s = t->cpu_s,
        .frames = t->frames,
    };
    if (why)
        row.error = *why;
    int r = engine_begin(d, err);
    if (r == 0)
        r = jobdb_update_task(d->db, &row, err);
    if (r < 0)
        return r;
    count_move(d, j, t, (enum task_state)next);
    engine_changed(d, j, t);
    engine_attend(d, j);
    return place(d, j, t, was) < 0 ? engine_no_memory(err) : 0;
}
