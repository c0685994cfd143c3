/* job_load.c - what of a job is in memory only for as long as it is wanted: its tasks, its plan. */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "../common/base/cleanup.h"
#include "job.h"
#include "job_parts.h"

/* ---- loading ---- */

struct loading {
    struct dispatcher *d;
    struct live_job *j;
    struct err *err;
};

static int add_task(void *arg, const struct task_row *row)
{
    const struct loading *l = arg;
    struct live_job *j = l->j;

    if (strlen(row->id) >= sizeof(j->tasks->id))
        return err_set(l->err, -EPROTO, ERR_STORAGE, "the job database has a task %.40s…", row->id);
    if ((j->n_tasks & (j->n_tasks + 1)) == 0) { /* full at each 2^n - 1 */
        struct live_task *v = reallocarray(j->tasks, 2 * (j->n_tasks + 1), sizeof(*v));
        if (!v)
            return engine_no_memory(l->err);
        j->tasks = v;
    }
    struct live_task *t = &j->tasks[j->n_tasks++];
    *t = (struct live_task){
        .state = (uint8_t)row->state,
        .attempt = row->attempt,
        .failures = row->failures,
        .not_before_ms = row->not_before_ms,
        .cost = row->cost,
        .cpu_s = (float)row->cpu_s,
        .chunk = row->chunk,
        .group = (uint16_t)row->group,
        .audio = row->audio != 0,
        .sent = row->sent != 0,
        .encoder = (uint8_t)engine_encoder(l->d, row->encoder),
        .frames = row->frames,
        .released_at = NOT_RELEASED,
    };
    strcpy(t->id, row->id);
    /* By a clock that was set back since, it might be days. */
    if (t->not_before_ms > engine_ms(l->d) + engine_backoff_max_ms(l->d))
        t->not_before_ms = engine_ms(l->d) + engine_backoff_max_ms(l->d);
    j->n[t->state]++;
    j->cost += t->cost;
    j->cpu_s += row->cpu_s;
    engine_costs_add(l->d, j, t);
    if (t->state == TASK_DONE) {
        engine_costs_done(l->d, j, t, 1);
        j->frames_done += t->frames;
    }
    return 0;
}

static int compare_ids(const void *a, const void *b, void *arg)
{
    const struct live_task *tasks = arg;
    return strcmp(tasks[*(const uint32_t *)a].id, tasks[*(const uint32_t *)b].id);
}

/* After sound and extras, tasks are in the order of chunks, each with all groups. */
static int is_done(const struct live_job *j, size_t group, uint32_t chunk)
{
    size_t i = j->n_whole + (size_t)chunk * j->n_groups + group;

    return i < j->n_tasks && j->tasks[i].chunk == chunk && j->tasks[i].group == group &&
           j->tasks[i].state == TASK_DONE;
}

void job_advance_open(struct live_job *j, size_t group)
{
    while (is_done(j, group, j->open[group]))
        j->open[group]++;
}

static int index_groups(struct live_job *j)
{
    j->n_whole = 0;
    while (j->n_whole < j->n_tasks && j->tasks[j->n_whole].audio)
        j->n_whole++;
    for (size_t i = 0; i < j->n_tasks; i++)
        if (!j->tasks[i].audio && j->tasks[i].group >= j->n_groups)
            j->n_groups = (size_t)j->tasks[i].group + 1;
    j->open = calloc(j->n_groups + 1, sizeof(*j->open));
    for (size_t g = 0; j->open && g < j->n_groups; g++)
        job_advance_open(j, g);
    return j->open ? 0 : -ENOMEM;
}

static int index_tasks(struct live_job *j)
{
    struct live_task *fit = reallocarray(j->tasks, j->n_tasks + 1, sizeof(*fit));

    if (fit)
        j->tasks = fit;
    j->by_id = calloc(j->n_tasks + 1, sizeof(*j->by_id));
    if (!j->by_id)
        return -ENOMEM;
    for (size_t i = 0; i < j->n_tasks; i++)
        j->by_id[i] = (uint32_t)i;
    if (j->n_tasks > 1)
        qsort_r(j->by_id, j->n_tasks, sizeof(*j->by_id), compare_ids, j->tasks);
    return index_groups(j);
}

void job_unload(struct dispatcher *d, struct live_job *j)
{
    for (size_t i = 0; i < j->n_tasks; i++)
        engine_release_remove(d, &j->tasks[i]);
    engine_count(d, j, 0);
    sched_remove(d->tasks, j->waits);
    j->waits = NULL;
    job_drop_plan(d, j);
    free(j->tasks);
    free(j->by_id);
    free(j->open);
    j->tasks = NULL;
    j->by_id = NULL;
    j->open = NULL;
    j->n_tasks = j->n_groups = j->n_whole = j->n_costs = 0;
    j->loaded = 0;
}

/* The oldest of the jobs that keep their tasks after their end makes room. */
void job_remember_ended(struct dispatcher *d, struct live_job *j)
{
    for (size_t i = 0; i < ENDED_MAX; i++)
        if (d->ended[i] == j)
            return;
    struct live_job *old = d->ended[d->next_ended];
    d->ended[d->next_ended] = j;
    d->next_ended = (d->next_ended + 1) % ENDED_MAX;
    if (old && job_ended(old) && !old->plan_pinned)
        job_unload(d, old);
}

/* Released ones are what the queue has, as far as this process knows. */
static int list_released(struct dispatcher *d, struct live_job *j)
{
    int r = 0;

    for (size_t i = 0; i < j->n_tasks && r == 0; i++)
        if (j->tasks[i].state == TASK_RELEASED)
            r = engine_release_add(d, j, &j->tasks[i]);
    return r;
}

int job_load(struct dispatcher *d, struct live_job *j, struct err *err)
{
    struct loading l = { d, j, err };

    if (j->loaded)
        return 0;
    memset(j->n, 0, sizeof(j->n));
    j->cost = j->cost_done = j->cpu_s = 0;
    j->frames_done = 0;
    /* Without a plan, rows are what planning that was cut off has left. */
    int r = job_has_plan(j) ? jobdb_each_task(d->db, j->id, add_task, &l, err) : 0;
    if (r == 0) {
        j->loaded = 1;
        if (index_tasks(j) < 0 || list_released(d, j) < 0 || job_schedule(d, j) < 0)
            r = engine_no_memory(err);
    }
    if (r < 0) {
        job_unload(d, j);
        return r;
    }
    engine_count(d, j, !job_ended(j));
    if (job_ended(j))
        job_remember_ended(d, j);
    j->tasks_dirty = 1;
    engine_changed(d, j, NULL);
    return 0;
}

/* ---- plans ---- */

void job_drop_plan(struct dispatcher *d, struct live_job *j)
{
    if (!j->plan)
        return;
    plan_release(j->plan);
    free(j->plan);
    j->plan = NULL;
    j->plan_pinned = 0;
    d->n_plans = job_list_without(d->plans, d->n_plans, j);
}

static void drop_oldest_plan(struct dispatcher *d)
{
    struct live_job *oldest = NULL;

    for (size_t i = 0; i < d->n_plans; i++)
        if (!d->plans[i]->plan_pinned && (!oldest || d->plans[i]->plan_used < oldest->plan_used))
            oldest = d->plans[i];
    if (oldest)
        job_drop_plan(d, oldest);
}

static int read_plan(const struct live_job *j, const char *text, struct plan *ret, struct err *err)
{
    json_error_t why;
    json_t *json = json_loads(text, 0, &why);

    if (!json)
        return err_set(err, -EPROTO, ERR_INTERNAL, "the plan of job %.64s: %s", j->id, why.text);
    int r = plan_from_json(json, ret, err);
    json_decref(json);
    return r;
}

static int fetch_plan(struct dispatcher *d, struct live_job *j, struct err *err)
{
    _cleanup_free_ char *text = NULL;
    struct plan *p = calloc(1, sizeof(*p));
    struct live_job **v = reallocarray(d->plans, d->n_plans + 1, sizeof(*v));

    if (v)
        d->plans = v;
    int r = p && v ? jobdb_job_plan(d->db, j->id, &text, err) : engine_no_memory(err);
    if (r == 0 && !text)
        r = err_set(err, -ENOENT, ERR_INTERNAL, "job %.64s has no plan", j->id);
    if (r == 0)
        r = read_plan(j, text, p, err);
    if (r < 0) {
        free(p);
        return r;
    }
    j->plan = p;
    d->plans[d->n_plans++] = j;
    return 0;
}

int job_plan(struct dispatcher *d, struct live_job *j, const struct plan **ret, struct err *err)
{
    int r = 0;

    if (!j->plan) {
        if (d->n_plans >= PLANS_MAX)
            drop_oldest_plan(d);
        r = fetch_plan(d, j, err);
    }
    if (r == 0) {
        j->plan_used = ++d->plan_clock;
        *ret = j->plan;
    }
    return r;
}

void job_forget_early(struct live_job *j)
{
    free(j->early_error);
    j->early_error = NULL;
    j->early_failures = 0;
    j->early_after_ms = 0;
}
