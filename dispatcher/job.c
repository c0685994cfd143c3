#include "job.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "../common/base/cleanup.h"
#include "../common/base/log.h"

static size_t hash(const char *id)
{
    uint64_t h = UINT64_C(14695981039346656037); /* FNV-1a */

    for (; *id; id++)
        h = (h ^ (unsigned char)*id) * UINT64_C(1099511628211);
    return (size_t)h;
}

struct live_job *job_find(struct dispatcher *d, const char *id)
{
    struct live_job *j = d->n_buckets ? d->buckets[hash(id) % d->n_buckets] : NULL;

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

int job_ended(const struct live_job *j)
{
    return j->state == JOB_DONE || j->state == JOB_FAILED || j->state == JOB_CANCELED;
}

int job_has_plan(const struct live_job *j)
{
    return j->facts[0] != '\0';
}

/* ---- texts that many share ---- */

static struct shared_text *text_get(struct dispatcher *d, const char *text)
{
    struct shared_text *t = d->ladders;

    while (t && strcmp(t->text, text) != 0)
        t = t->next;
    if (!t && (t = malloc(sizeof(*t) + strlen(text) + 1))) {
        strcpy(t->text, text);
        t->refs = 0;
        t->next = d->ladders;
        d->ladders = t;
    }
    if (t)
        t->refs++;
    return t;
}

static void text_put(struct dispatcher *d, struct shared_text *t)
{
    struct shared_text **p = &d->ladders;

    if (!t || --t->refs > 0)
        return;
    while (*p != t)
        p = &(*p)->next;
    *p = t->next;
    free(t);
}

/* ---- life ---- */

static char *copy(const char *s, int *bad)
{
    char *c = s ? strdup(s) : NULL;

    *bad |= s && !c;
    return c;
}

static int set_error(struct live_job *j, const struct err *why)
{
    free(j->error);
    j->error = NULL;
    if (!why || why->cls == ERR_NONE)
        return 0;
    if (!(j->error = malloc(sizeof(*why))))
        return -ENOMEM;
    *j->error = *why;
    return 0;
}

void job_read_facts(struct live_job *j)
{
    json_t *f = json_loads(j->facts, 0, NULL);

    j->duration_s = json_number_value(json_object_get(f, "duration_s"));
    j->frames = (uint64_t)json_integer_value(json_object_get(f, "frames"));
    json_decref(f);
}

int job_new(struct dispatcher *d, const struct job_row *row, struct live_job **ret, struct err *err)
{
    struct live_job *j = calloc(1, sizeof(*j));
    int bad = 0;

    if (!j)
        return engine_no_memory(err);
    j->id = copy(row->id, &bad);
    j->source = copy(row->source, &bad);
    j->etag = copy(row->etag ? row->etag : "", &bad);
    j->output = copy(row->output, &bad);
    j->ladder = text_get(d, row->ladder);
    j->ladder_name = copy(row->ladder_name, &bad);
    j->options = copy(row->options, &bad);
    j->tenant = copy(row->tenant ? row->tenant : "", &bad);
    j->notify = copy(row->notify, &bad);
    j->metadata = copy(row->metadata, &bad);
    j->facts = copy(row->facts ? row->facts : "", &bad);
    j->priority = row->priority;
    j->state = row->state;
    j->created_ms = row->created_ms;
    j->updated_ms = row->updated_ms;
    j->started_ms = row->started_ms;
    j->ended_ms = row->ended_ms;
    j->playable_ms = row->playable_ms;
    j->notified = row->notified;
    j->swept = row->swept;
    j->place = place_get(&d->places, row->output);
    if (bad || !j->ladder || !j->place || set_error(j, &row->error) < 0) {
        job_free(d, j);
        return engine_no_memory(err);
    }
    job_read_facts(j);
    *ret = j;
    return 0;
}

void job_free(struct dispatcher *d, struct live_job *j)
{
    if (!j)
        return;
    job_unload(d, j);
    free(j->id);
    free(j->source);
    free(j->etag);
    free(j->output);
    text_put(d, j->ladder);
    free(j->ladder_name);
    free(j->options);
    free(j->tenant);
    free(j->notify);
    free(j->metadata);
    free(j->facts);
    free(j->error);
    free(j->early_error);
    if (j->writes)
        j->place->writers--;
    place_put(&d->places, j->place);
    free(j);
}

static int grow_table(struct dispatcher *d)
{
    size_t n = d->n_buckets ? 2 * d->n_buckets : JOBS_BUCKETS_MIN;

    if (d->n_jobs < d->n_buckets)
        return 0;
    struct live_job **b = calloc(n, sizeof(*b));
    if (!b)
        return d->n_buckets ? 0 : -ENOMEM;
    for (size_t i = 0; i < d->n_buckets; i++)
        for (struct live_job *j = d->buckets[i], *next; j; j = next) {
            next = j->next;
            j->next = b[hash(j->id) % n];
            b[hash(j->id) % n] = j;
        }
    free(d->buckets);
    d->buckets = b;
    d->n_buckets = n;
    return 0;
}

/* Whether it is one of those that write at its place. */
static void count_writer(struct live_job *j)
{
    int writes = j->state == JOB_RUNNING || j->state == JOB_PUBLISHING;

    if (writes && !j->writes)
        j->place->writers++;
    if (!writes && j->writes)
        j->place->writers--;
    j->writes = writes;
}

/* A job has its place among those that wait for planners, or for workers. */
int job_schedule(struct dispatcher *d, struct live_job *j)
{
    int runs = j->loaded && j->writes && j->place->sweeps == 0;
    int r = 0;

    if (j->state != JOB_QUEUED && j->queued) {
        sched_remove(d->queue, j->queued);
        j->queued = NULL;
    }
    if (!runs && j->waits) {
        sched_remove(d->tasks, j->waits);
        j->waits = NULL;
    }
    if (j->state == JOB_QUEUED && !j->queued) {
        r = sched_add(d->queue, j, j->priority, j->tenant, j->created_ms, 1, &j->queued);
        if (r == 0)
            sched_wait(d->queue, j->queued, 0, 0);
    }
    if (runs && !j->waits) {
        r = sched_add(d->tasks, j, j->priority, j->tenant, j->created_ms, j->n_tasks, &j->waits);
        for (size_t i = 0; i < j->n_tasks && r == 0; i++)
            if (j->tasks[i].state == TASK_WAITING)
                sched_wait(d->tasks, j->waits, i, j->tasks[i].not_before_ms);
    }
    return r;
}

int job_add(struct dispatcher *d, struct live_job *j, struct err *err)
{
    count_writer(j);
    if (grow_table(d) < 0 || job_schedule(d, j) < 0)
        return engine_no_memory(err);
    struct live_job **b = &d->buckets[hash(j->id) % d->n_buckets];
    j->next = *b;
    *b = j;
    d->n_jobs++;
    d->totals.jobs[j->state]++;
    engine_changed(d, j, NULL);
    engine_attend(d, j);
    return 0;
}

static size_t without(struct live_job **v, size_t n, const struct live_job *j)
{
    size_t m = 0;

    for (size_t i = 0; i < n; i++)
        if (v[i] != j)
            v[m++] = v[i];
    return m;
}

void job_forget(struct dispatcher *d, struct live_job *j)
{
    struct live_job **p = &d->buckets[hash(j->id) % d->n_buckets];
    size_t m = 0;

    while (*p != j)
        p = &(*p)->next;
    *p = j->next;
    d->n_jobs--;
    d->totals.jobs[j->state]--;
    engine_plan_stop(d, j);
    d->n_attention = without(d->attention, d->n_attention, j);
    d->n_dirty = without(d->dirty, d->n_dirty, j);
    for (size_t i = 0; i < d->n_changed; i++)
        if (d->changed[i].job != j)
            d->changed[m++] = d->changed[i];
    d->n_changed = m;
    for (size_t i = 0; i < ENDED_MAX; i++)
        if (d->ended[i] == j)
            d->ended[i] = NULL;
    (void)timers_forget(&d->timers, j, SIZE_MAX);
    sched_remove(d->queue, j->queued);
    j->queued = NULL;
    job_free(d, j);
}

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

/* After sound, tasks are in the order of chunks, each with all groups. */
static int is_done(const struct live_job *j, size_t group, uint32_t chunk)
{
    size_t i = j->tasks[0].audio + (size_t)chunk * j->n_groups + group;

    return i < j->n_tasks && j->tasks[i].chunk == chunk && j->tasks[i].group == group &&
           j->tasks[i].state == TASK_DONE;
}

static void advance_open(struct live_job *j, size_t group)
{
    while (is_done(j, group, j->open[group]))
        j->open[group]++;
}

static int index_groups(struct live_job *j)
{
    for (size_t i = 0; i < j->n_tasks; i++)
        if (!j->tasks[i].audio && j->tasks[i].group >= j->n_groups)
            j->n_groups = (size_t)j->tasks[i].group + 1;
    j->open = calloc(j->n_groups + 1, sizeof(*j->open));
    for (size_t g = 0; j->open && g < j->n_groups; g++)
        advance_open(j, g);
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
    j->n_tasks = j->n_groups = j->n_costs = 0;
    j->loaded = 0;
}

/* The oldest of the jobs that keep their tasks after their end makes room. */
static void remember_ended(struct dispatcher *d, struct live_job *j)
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
        remember_ended(d, j);
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
    d->n_plans = without(d->plans, d->n_plans, j);
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

/* ---- moving ---- */

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
        j->ended_ms = 0;
        j->notified = j->swept = 0;
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
    remember_ended(d, j);
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
    count_writer(j);
    if (set_error(j, why) < 0)
        return engine_no_memory(err);
    int r = job_ended(j) ? ended(d, j, err) : began(d, j, was_ended, err);
    if (r == 0)
        r = job_save(d, j, err);
    engine_attend(d, j);
    log_event(LOG_DEBUG, "job.moved", LSTR("job", j->id), LSTR("state", job_state_name(j->state)),
              LSTR("why", j->error ? j->error->text : ""));
    return r;
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
    advance_open(j, t->group);
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
