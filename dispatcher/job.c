#include "job.h"
#include "job_parts.h"

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

int job_set_error(struct live_job *j, const struct err *why)
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
    j->replace = row->replace;
    j->version = copy(row->version ? row->version : "", &bad);
    j->replaces = copy(row->replaces, &bad);
    j->run = row->run;
    j->published = row->published;
    j->early_ended = row->early_ended;
    if (row->replaced_by && row->replaced_by[0])
        j->replaced_by = copy(row->replaced_by, &bad);
    j->place = place_get(&d->places, row->output);
    if (bad || !j->ladder || !j->place || job_set_error(j, &row->error) < 0) {
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
    free(j->replaced_by);
    free(j->version);
    free(j->replaces);
    if (j->place)
        place_remove_job(j->place, j);
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
void job_count_writer(struct live_job *j)
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
            sched_wait(d->queue, j->queued, 0, j->plan_after_ms);
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
    job_count_writer(j);
    if (grow_table(d) < 0 || job_schedule(d, j) < 0)
        return engine_no_memory(err);
    struct live_job **b = &d->buckets[hash(j->id) % d->n_buckets];
    j->next = *b;
    *b = j;
    place_add_job(j->place, j);
    d->n_jobs++;
    d->totals.jobs[j->state]++;
    engine_changed(d, j, NULL);
    engine_attend(d, j);
    return 0;
}

size_t job_list_without(struct live_job **v, size_t n, const struct live_job *j)
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
    d->n_attention = job_list_without(d->attention, d->n_attention, j);
    d->n_dirty = job_list_without(d->dirty, d->n_dirty, j);
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
