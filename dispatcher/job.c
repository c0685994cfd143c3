#include "job.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../common/base/cleanup.h"
#include "../common/base/log.h"
#include "../common/wire/result.h"

static int no_memory(struct err *err)
{
    return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory");
}

struct live_job *job_find(struct dispatcher *d, const char *id)
{
    struct live_job *j = d->jobs;

    while (j && strcmp(j->id, id) != 0)
        j = j->next;
    return j;
}

struct live_task *job_task(struct live_job *j, const char *id)
{
    size_t low = 0, high = j->n_tasks;

    while (low < high) {
        size_t mid = low + (high - low) / 2;
        struct live_task *t = &j->tasks[j->by_id[mid]];
        int c = strcmp(id, t->id);
        if (c == 0)
            return t;
        if (c < 0)
            high = mid;
        else
            low = mid + 1;
    }
    return NULL;
}

int job_new(const struct job_row *row, struct live_job **ret, struct err *err)
{
    struct live_job *j = calloc(1, sizeof(*j));

    if (!j)
        return no_memory(err);
    j->id = strdup(row->id);
    j->source = strdup(row->source);
    j->etag = strdup(row->etag);
    j->output = strdup(row->output);
    j->ladder = strdup(row->ladder);
    j->ladder_name = strdup(row->ladder_name);
    j->options = strdup(row->options);
    j->state = row->state;
    j->error = row->error;
    if (!j->id || !j->source || !j->etag || !j->output || !j->ladder || !j->ladder_name ||
        !j->options) {
        job_free(j);
        return no_memory(err);
    }
    *ret = j;
    return 0;
}

void job_drop_plan(struct live_job *j)
{
    plan_release(&j->plan);
    free(j->tasks);
    free(j->by_id);
    j->plan = (struct plan){ 0 };
    j->tasks = NULL;
    j->by_id = NULL;
    j->n_tasks = j->n_done = j->n_released = j->first_waiting = 0;
    j->has_plan = j->loaded = 0;
}

void job_free(struct live_job *j)
{
    if (!j)
        return;
    job_drop_plan(j);
    free(j->id);
    free(j->source);
    free(j->etag);
    free(j->output);
    free(j->ladder);
    free(j->ladder_name);
    free(j->options);
    free(j);
}

void job_append(struct dispatcher *d, struct live_job *j)
{
    struct live_job **p = &d->jobs;

    while (*p)
        p = &(*p)->next;
    j->next = NULL;
    *p = j;
}

void job_forget(struct dispatcher *d, struct live_job *j)
{
    struct live_job **p = &d->jobs;

    while (*p != j)
        p = &(*p)->next;
    *p = j->next;
    job_free(j);
}

/* ---- loading ---- */

static int add_task(void *arg, const struct task_row *row)
{
    struct live_job *j = arg;

    if ((j->n_tasks & (j->n_tasks + 1)) == 0) { /* full at each 2^n - 1 */
        struct live_task *v = reallocarray(j->tasks, 2 * (j->n_tasks + 1), sizeof(*v));
        if (!v)
            return -ENOMEM;
        j->tasks = v;
    }
    struct live_task *t = &j->tasks[j->n_tasks++];
    *t = (struct live_task){
        .state = row->state,
        .attempt = row->attempt,
        .failures = row->failures,
        .not_before_ms = row->not_before_ms,
        .cost = row->cost,
        .cpu_s = row->cpu_s,
        .chunk = row->chunk,
        .group = row->group,
        .audio = row->audio,
        .frames = row->frames,
    };
    (void)strncpy(t->id, row->id, sizeof(t->id) - 1);
    j->n_done += t->state == TASK_DONE;
    j->n_released += t->state == TASK_RELEASED;
    return 0;
}

static int compare_ids(const void *a, const void *b, void *arg)
{
    const struct live_task *tasks = arg;
    return strcmp(tasks[*(const unsigned *)a].id, tasks[*(const unsigned *)b].id);
}

static int index_tasks(struct live_job *j)
{
    j->by_id = calloc(j->n_tasks + 1, sizeof(*j->by_id));
    if (!j->by_id)
        return -ENOMEM;
    for (size_t i = 0; i < j->n_tasks; i++)
        j->by_id[i] = (unsigned)i;
    qsort_r(j->by_id, j->n_tasks, sizeof(*j->by_id), compare_ids, j->tasks);
    return 0;
}

static int load_plan(struct live_job *j, const char *text, struct err *err)
{
    json_error_t why;
    json_t *json = json_loads(text, 0, &why);

    if (!json)
        return err_set(err, -EPROTO, ERR_INTERNAL, "the plan of job %.64s: %s", j->id, why.text);
    int r = plan_from_json(json, &j->plan, err);
    json_decref(json);
    if (r == 0)
        j->has_plan = 1;
    return r;
}

int job_load(struct dispatcher *d, struct live_job *j, struct err *err)
{
    _cleanup_free_ char *plan = NULL;

    if (j->loaded)
        return 0;
    int r = jobdb_job_plan(d->db, j->id, &plan, err);
    if (r == 0 && plan)
        r = load_plan(j, plan, err);
    if (r == 0)
        r = jobdb_each_task(d->db, j->id, add_task, j, err);
    if (r == 0)
        r = index_tasks(j);
    if (r == -ENOMEM)
        (void)no_memory(err);
    if (r < 0)
        job_drop_plan(j);
    else
        j->loaded = 1;
    return r;
}

int job_result(struct dispatcher *d, const struct live_job *j, const char *task,
               struct task_result *ret, struct err *err)
{
    _cleanup_free_ char *text = NULL;
    int r = jobdb_task_result(d->db, j->id, task, &text, err);

    if (r == 0 && !text)
        r = err_set(err, -ENOENT, ERR_INTERNAL, "task %.64s of job %.64s has no result", task,
                    j->id);
    return r < 0 ? r : task_result_from_text(text, strlen(text), ret, err);
}

/* ---- moving ---- */

int job_move(struct dispatcher *d, struct live_job *j, enum job_event ev, const struct err *why,
             struct err *err)
{
    static const struct err none;
    int next = job_next(j->state, ev);

    if (next < 0) {
        log_event(LOG_ERROR, "job.refused", LSTR("job", j->id),
                  LSTR("state", job_state_name(j->state)), LSTR("event", job_event_name(ev)));
        return err_set(err, next, ERR_INTERNAL, "job %.64s is %s: no %s from there", j->id,
                       job_state_name(j->state), job_event_name(ev));
    }
    int r = jobdb_set_job_state(d->db, j->id, (enum job_state)next, why ? why : &none,
                                d->clock->wall_ms(d->clock), err);
    if (r < 0)
        return r;
    j->state = (enum job_state)next;
    j->error = why ? *why : none;
    log_event(LOG_DEBUG, "job.moved", LSTR("job", j->id), LSTR("state", job_state_name(j->state)),
              LSTR("why", j->error.text));
    return 0;
}

static void count(struct live_job *j, struct live_task *t, enum task_state next)
{
    j->n_done -= t->state == TASK_DONE;
    j->n_released -= t->state == TASK_RELEASED;
    t->state = next;
    j->n_done += t->state == TASK_DONE;
    j->n_released += t->state == TASK_RELEASED;
    size_t at = (size_t)(t - j->tasks);
    if (t->state == TASK_WAITING && at < j->first_waiting)
        j->first_waiting = at;
}

int task_move(struct dispatcher *d, struct live_job *j, struct live_task *t, enum task_event ev,
              const struct err *why, struct err *err)
{
    int next = task_next(t->state, ev);

    if (next < 0) {
        log_event(LOG_ERROR, "task.refused", LSTR("job", j->id), LSTR("task", t->id),
                  LSTR("state", task_state_name(t->state)), LSTR("event", task_event_name(ev)));
        return err_set(err, next, ERR_INTERNAL, "task %.64s is %s: no %s from there", t->id,
                       task_state_name(t->state), task_event_name(ev));
    }
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
    int r = jobdb_update_task(d->db, &row, err);
    if (r == 0)
        count(j, t, (enum task_state)next);
    return r;
}
