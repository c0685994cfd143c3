#include "answer.h"
#include "../common/base/utf8.h"
#include "text.h"
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define COUNT_LIMIT 1e15 /* below 2^53: exact as a double */

/* ---- fields ----------------------------------------------------------- */

/* NULL only when out of memory. */
static char *text(const json_t *j, const char *key)
{
    char *s = text_dup(json_string_value(json_object_get(j, key)));

    if (s && strlen(s) > ANSWER_TEXT_MAX)
        s[utf8_cut(s, ANSWER_TEXT_MAX)] = '\0';
    return s;
}

/* Within [min, max]; `none` where it is no number. */
static double number(const json_t *j, const char *key, double min, double max, double none)
{
    const json_t *v = json_object_get(j, key);
    double d = json_number_value(v);

    if (!json_is_number(v) || !isfinite(d))
        return none;
    return d < min ? min : d > max ? max : d;
}

static uint64_t count(const json_t *j, const char *key)
{
    return (uint64_t)number(j, key, 0, COUNT_LIMIT, 0);
}

static unsigned small(const json_t *j, const char *key)
{
    return (unsigned)number(j, key, 0, 1e9, 0);
}

static double seconds(const json_t *j, const char *key)
{
    return number(j, key, 0, 1e12, 0);
}

static double moment(const json_t *j, const char *key)
{
    return answer_time(json_string_value(json_object_get(j, key)));
}

size_t answer_count(const json_t *answer, const char *key)
{
    size_t n = json_array_size(json_object_get(answer, key));

    return n < ANSWER_LIST_MAX ? n : ANSWER_LIST_MAX;
}

static int out_of_memory(struct err *err)
{
    return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory");
}

static int unusable(struct err *err, const char *what)
{
    return err_set(err, -EBADMSG, ERR_STORAGE,
                   "the dispatcher's answer can't be used: %s is missing; are both of one version?",
                   what);
}

/* ---- times ------------------------------------------------------------ */

double answer_time(const char *s)
{
    struct tm tm = { 0 };
    int n = 0;

    if (!s || strlen(s) > 40 ||
        sscanf(s, "%4d-%2d-%2dT%2d:%2d:%2d%n", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &tm.tm_hour,
               &tm.tm_min, &tm.tm_sec, &n) != 6)
        return 0;
    if (tm.tm_year < 1970 || tm.tm_mon < 1 || tm.tm_mon > 12 || tm.tm_mday < 1 || tm.tm_mday > 31 ||
        tm.tm_hour < 0 || tm.tm_hour > 23 || tm.tm_min < 0 || tm.tm_min > 59 || tm.tm_sec < 0 ||
        tm.tm_sec > 60)
        return 0;
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;

    double part = 0;
    if (s[n] == '.') {
        char *end;

        part = strtod(s + n, &end);
        n = (int)(end - s);
    }
    if (strcmp(s + n, "Z") != 0 || part < 0 || part >= 1)
        return 0;
    return (double)timegm(&tm) + part;
}

int answer_age(const char *option, const char *s, double *ret_s, struct err *err)
{
    static const struct {
        const char *unit;
        double s;
    } units[] = {
        {"",   1    },
        { "s", 1    },
        { "m", 60   },
        { "h", 3600 },
        { "d", 86400}
    };
    char *end;
    double v = s[0] >= '0' && s[0] <= '9' ? strtod(s, &end) : NAN;

    if (isfinite(v))
        for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
            if (!strcmp(end, units[i].unit) && v * units[i].s <= 3650.0 * 86400) {
                *ret_s = v * units[i].s;
                return 0;
            }
    return err_set(err, -EINVAL, ERR_USAGE,
                   "%s %s: must be a time like 45s, 90m, 36h or 7d, at most 3650d", option, s);
}

/* ---- jobs ------------------------------------------------------------- */

static int take_renditions(const json_t *list, struct answer_job *job)
{
    size_t n = json_array_size(list);

    n = n < ANSWER_RENDITIONS_MAX ? n : ANSWER_RENDITIONS_MAX;
    if (n && !(job->renditions = calloc(n, sizeof(*job->renditions))))
        return -ENOMEM;
    for (size_t i = 0; i < n; i++) {
        const json_t *r = json_array_get(list, i);

        job->renditions[i].percent = number(r, "percent", 0, 100, 0);
        if (!(job->renditions[job->n_renditions++].name = text(r, "name")))
            return -ENOMEM;
    }
    return 0;
}

static int take_task(const json_t *j, struct answer_task *t)
{
    t->id = text(j, "id");
    t->kind = text(j, "kind");
    t->state = text(j, "state");
    t->worker = text(j, "worker");
    t->chunk = small(j, "chunk");
    t->group = small(j, "group");
    t->attempt = small(j, "attempt");
    t->failures = small(j, "failures");
    t->cost_s = seconds(j, "cost_s");
    t->cpu_s = seconds(j, "cpu_s");
    t->elapsed_s = seconds(j, "elapsed_s");
    t->frames = count(j, "frames");
    t->frames_done = count(j, "frames_done");
    return t->id && t->kind && t->state && t->worker ? 0 : -ENOMEM;
}

static int take_tasks(const json_t *list, struct answer_job *job)
{
    size_t n = json_array_size(list);

    n = n < ANSWER_TASKS_MAX ? n : ANSWER_TASKS_MAX;
    if (n && !(job->tasks = calloc(n, sizeof(*job->tasks))))
        return -ENOMEM;
    while (job->n_listed < n) {
        const json_t *t = json_array_get(list, job->n_listed);

        if (take_task(t, &job->tasks[job->n_listed++]) < 0)
            return -ENOMEM;
    }
    return 0;
}

static void take_progress(const json_t *p, struct answer_job *job)
{
    job->percent = number(p, "percent", 0, 100, 0);
    job->speed = number(p, "speed", 0, 1e6, 0);
    job->eta_s = number(p, "eta_s", 0, 1e9, -1);
    job->queue_position = (int64_t)number(p, "queue_position", 0, 1e9, -1);
    job->n_tasks = count(p, "tasks");
    job->n_done = count(p, "tasks_done");
    job->n_running = count(p, "tasks_running");
    job->n_waiting = count(p, "tasks_waiting");
    job->n_dead = count(p, "tasks_dead");
    job->n_reused = count(p, "tasks_reused");
    job->attempts_failed = count(p, "attempts_failed");
    job->cost_s = seconds(p, "cost_s");
    job->cpu_s = seconds(p, "cpu_s");
    job->frames = count(p, "frames");
    job->frames_done = count(p, "frames_done");
    job->playable_s = moment(p, "playable");
    job->early_failures = count(p, "early_failures");
    job->early_error = text(p, "early_error");
}

static int take_job(const json_t *j, struct answer_job *job)
{
    const json_t *e = json_object_get(j, "error");
    const char *cls = json_string_value(json_object_get(e, "class"));

    job->id = text(j, "id");
    job->state = text(j, "state");
    job->source = text(j, "source");
    job->output = text(j, "output");
    job->ladder = text(j, "ladder");
    job->tenant = text(j, "tenant");
    job->error_text = text(e, "text");
    job->error = json_is_object(e) ? err_class_parse(cls ? cls : "") : ERR_NONE;
    job->priority = small(j, "priority");
    job->created_s = moment(j, "created");
    job->started_s = moment(j, "started");
    job->ended_s = moment(j, "ended");
    take_progress(json_object_get(j, "progress"), job);
    int r = take_renditions(json_object_get(j, "renditions"), job);
    if (r >= 0)
        r = take_tasks(json_object_get(j, "tasks"), job);
    return r >= 0 && job->id && job->state && job->source && job->output && job->ladder &&
                   job->tenant && job->error_text && job->early_error
               ? 0
               : -ENOMEM;
}

int answer_job(const json_t *j, struct answer_job *ret, struct err *err)
{
    struct answer_job job = { 0 };
    int r = take_job(j, &job);

    if (r < 0)
        r = out_of_memory(err);
    else if (!*job.id || !*job.state)
        r = unusable(err, !*job.id ? "a job's id" : "a job's state");
    if (r < 0)
        answer_job_release(&job);
    else
        *ret = job;
    return r;
}

void answer_job_release(struct answer_job *job)
{
    for (size_t i = 0; i < job->n_renditions; i++)
        free(job->renditions[i].name);
    for (size_t i = 0; i < job->n_listed; i++) {
        free(job->tasks[i].id);
        free(job->tasks[i].kind);
        free(job->tasks[i].state);
        free(job->tasks[i].worker);
    }
    free(job->renditions);
    free(job->tasks);
    free(job->id);
    free(job->state);
    free(job->source);
    free(job->output);
    free(job->ladder);
    free(job->tenant);
    free(job->error_text);
    free(job->early_error);
    *job = (struct answer_job){ 0 };
}

int answer_job_ended(const struct answer_job *job)
{
    return !strcmp(job->state, "done") || !strcmp(job->state, "failed") ||
           !strcmp(job->state, "canceled");
}

int answer_job_exit(const struct answer_job *job)
{
    if (!strcmp(job->state, "done"))
        return 0;
    if (strcmp(job->state, "failed") != 0)
        return 1;
    return job->error == ERR_INPUT || job->error == ERR_UNSUPPORTED ? 3
           : job->error == ERR_USAGE                                ? 2
                                                                    : 1;
}

/* ---- workers and dead letters ----------------------------------------- */

int answer_worker(const json_t *j, struct answer_worker *ret, struct err *err)
{
    struct answer_worker w = {
        .id = text(j, "id"),
        .host = text(j, "host"),
        .state = text(j, "state"),
        .reason = text(j, "reason"),
        .engine = text(j, "engine"),
        .slots = small(j, "slots"),
        .n_running = answer_count(j, "running"),
        .tasks_done = count(j, "tasks_done"),
        .tasks_failed = count(j, "tasks_failed"),
        .memory_bytes = count(j, "memory_bytes"),
        .memory_free = count(j, "memory_free"),
        .speed = number(j, "speed", 0, 1e9, 0),
        .started_s = moment(j, "started"),
        .seen_s = seconds(j, "seen_s"),
    };
    int r = 0;

    if (!w.id || !w.host || !w.state || !w.reason || !w.engine)
        r = out_of_memory(err);
    else if (!*w.id)
        r = unusable(err, "a worker's id");
    if (r < 0)
        answer_worker_release(&w);
    else
        *ret = w;
    return r;
}

void answer_worker_release(struct answer_worker *w)
{
    free(w->id);
    free(w->host);
    free(w->state);
    free(w->reason);
    free(w->engine);
    *w = (struct answer_worker){ 0 };
}

int answer_dead(const json_t *j, struct answer_dead *ret, struct err *err)
{
    struct answer_dead d = {
        .at_s = moment(j, "at"),
        .queue = text(j, "queue"),
        .reason = text(j, "reason"),
        .body = text(j, "body"),
    };

    if (!d.queue || !d.reason || !d.body) {
        answer_dead_release(&d);
        return out_of_memory(err);
    }
    *ret = d;
    return 0;
}

void answer_dead_release(struct answer_dead *d)
{
    free(d->queue);
    free(d->reason);
    free(d->body);
    *d = (struct answer_dead){ 0 };
}
