/* engine_board.c - what has changed, onto the board; after the commit, so
 * that nobody reads what might still be undone. */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../common/base/cleanup.h"
#include "../common/base/redact.h"
#include "job.h"

enum {
    TOTALS_MS = 200,   /* at most so often */
    REFRESH_MS = 1000, /* positions and times left change while nothing happens to a job */
    REFRESH_BUCKETS = 512,
    POSITIONS_MAX = 32, /* found out in one step */
};

static struct board_task board_task_of(const struct live_task *t)
{
    struct board_task b = {
        .state = t->state,
        .audio = t->audio,
        .group = t->group,
        .chunk = t->chunk,
        .attempt = t->attempt,
        .failures = t->failures,
        .cost = (float)t->cost,
        .cpu_s = t->cpu_s,
        .frames = t->frames,
    };
    memcpy(b.id, t->id, sizeof(b.id));
    return b;
}

static void show_tasks(struct dispatcher *d, struct live_job *j)
{
    struct board_task *v = calloc(j->n_tasks + 1, sizeof(*v));

    if (!v)
        return;
    for (size_t i = 0; i < j->n_tasks; i++)
        v[i] = board_task_of(&j->tasks[i]);
    if (board_put_tasks(d->cfg.board, j->id, v, j->n_tasks) == 0)
        j->tasks_dirty = 0;
    free(v);
}

static void read_renditions(const struct live_job *j, struct board_job *b)
{
    json_t *facts = json_loads(j->facts, 0, NULL), *one;
    size_t i;

    json_array_foreach (json_object_get(facts, "renditions"), i, one) {
        json_int_t group = json_integer_value(json_array_get(one, 1));
        if (i >= sizeof(b->renditions) / sizeof(b->renditions[0]))
            break;
        (void)snprintf(b->renditions[i], sizeof(b->renditions[i]), "%s",
                       json_string_value(json_array_get(one, 0)));
        b->rendition_group[i] = group < 0 || group > 254 ? 255 : (uint8_t)group;
    }
    json_decref(facts);
}

/* Core-seconds of a job, corrected. */
static double corrected(const struct dispatcher *d, const struct live_job *j, int done)
{
    double s = 0;

    if (!j->loaded)
        return done ? j->cost_done : j->cost;
    for (size_t i = 0; i < j->n_costs; i++)
        s += (done ? j->costs[i].done : j->costs[i].all) * d->encoders[j->costs[i].encoder].ratio;
    return s;
}

static double left(const struct dispatcher *d, const struct live_job *j)
{
    return corrected(d, j, 0) - corrected(d, j, 1);
}

/* Nobody works, and so nobody knows when. */
static int without_workers(struct dispatcher *d)
{
    return d->cfg.board && board_slots(d->cfg.board, d->clock->wall_ms(d->clock)) == 0;
}

/* As long as some of it waits, what comes before it counts; then it shares the
 * slots with the others that are served. */
static double eta(struct dispatcher *d, const struct live_job *j)
{
    double own = left(d, j), all = own + j->ahead;

    if (j->state == JOB_PUBLISHING || j->state == JOB_DONE)
        return 0;
    if (j->state != JOB_RUNNING || without_workers(d))
        return -1;
    if (j->n[TASK_WAITING] == 0)
        all = fmax(own, fmin(own * (double)d->totals.jobs[JOB_RUNNING], engine_backlog(d)));
    return all / engine_slots(d);
}

/* Among those that wait for a planner, or for workers; not found out anew for
 * every change. */
static int64_t position(struct dispatcher *d, struct live_job *j, int *budget)
{
    int64_t now = d->clock->mono_ns(d->clock);
    const struct sched *s = j->queued ? d->queue : d->tasks;
    const struct sched_job *place = j->queued ? j->queued : j->waits;

    if (!place)
        return -1;
    if (*budget > 0 &&
        (!j->position_ns || now - j->position_ns > REFRESH_MS * (int64_t)NS_PER_MS)) {
        --*budget;
        j->position_ns = now;
        j->position = sched_position(s, place);
        j->ahead = j->queued ? 0 : sched_ahead(s, place);
    }
    return j->queued || j->n[TASK_WAITING] > 0 ? j->position : -1;
}

static void show_job(struct dispatcher *d, struct live_job *j, int *budget)
{
    _cleanup_free_ char *source = redacted_url(j->source), *output = redacted_url(j->output);
    struct board_job b = {
        .id = j->id,
        .source = source,
        .output = output,
        .ladder_name = j->ladder_name,
        .tenant = j->tenant,
        .metadata = j->metadata,
        .state = j->state,
        .priority = j->priority,
        .created_ms = j->created_ms,
        .updated_ms = j->updated_ms,
        .started_ms = j->started_ms,
        .ended_ms = j->ended_ms,
        .playable_ms = j->playable_ms,
        .duration_s = j->duration_s,
        .frames = j->frames,
        .tasks_done = j->n[TASK_DONE],
        .tasks_released = j->n[TASK_RELEASED],
        .tasks_dead = j->n[TASK_DEAD],
        .tasks_reused = j->tasks_reused,
        .attempts_failed = j->attempts_failed,
        .early_failures = j->early_failures,
        .early_error = j->early_error,
        .replaced_by = j->replaced_by,
        .cost = corrected(d, j, 0),
        .cost_done = corrected(d, j, 1),
        .cpu_s = j->cpu_s,
        .queue_position = position(d, j, budget),
    };
    b.eta_s = eta(d, j); /* by the position */
    for (int s = 0; s < TASK_STATE_MAX; s++)
        b.tasks += j->n[s];
    if (j->error)
        b.error = *j->error;
    read_renditions(j, &b);
    if (board_put_job(d->cfg.board, &b) == 0)
        j->dirty = 0;
    if (j->tasks_dirty && j->loaded)
        show_tasks(d, j);
}

/* A part of all jobs, in turn. */
static void refresh(struct dispatcher *d)
{
    int64_t now = d->clock->mono_ns(d->clock);

    if (now - d->refreshed_ns < REFRESH_MS * (int64_t)NS_PER_MS || d->n_buckets == 0)
        return;
    d->refreshed_ns = now;
    for (size_t i = 0; i < REFRESH_BUCKETS && i < d->n_buckets; i++) {
        d->refreshed = (d->refreshed + 1) % d->n_buckets;
        for (struct live_job *j = d->buckets[d->refreshed]; j; j = j->next)
            if (!job_ended(j))
                engine_changed(d, j, NULL);
    }
}

static void show_totals(struct dispatcher *d)
{
    int64_t now = d->clock->mono_ns(d->clock);

    if (!d->totals_dirty || now - d->totals_put_ns < TOTALS_MS * (int64_t)NS_PER_MS)
        return;
    d->totals_dirty = 0;
    d->totals_put_ns = now;
    d->totals.backlog_s = engine_backlog(d);
    d->totals.slots = engine_slots(d);
    board_put_totals(d->cfg.board, &d->totals);
}

void engine_show(struct dispatcher *d)
{
    int budget = POSITIONS_MAX;

    if (!d->cfg.board)
        return;
    refresh(d);
    for (size_t i = 0; i < d->n_dirty; i++) /* all of them, before any looks at the others */
        if (d->dirty[i]->waits)
            sched_work(d->tasks, d->dirty[i]->waits, left(d, d->dirty[i]));
    for (size_t i = 0; i < d->n_dirty; i++) {
        struct live_job *j = d->dirty[i];
        show_job(d, j, &budget);
        j->dirty = 0; /* what couldn't be shown is shown with its next change */
    }
    d->n_dirty = 0;
    for (size_t i = 0; i < d->n_changed; i++) {
        const struct changed_task *c = &d->changed[i];
        if (c->task >= c->job->n_tasks)
            continue;
        struct board_task t = board_task_of(&c->job->tasks[c->task]);
        board_put_task(d->cfg.board, c->job->id, c->task, &t);
    }
    d->n_changed = 0;
    show_totals(d);
}
