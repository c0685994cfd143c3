/* board_json.c - what is on the board, as JSON. Written by hand and not by
 * way of a tree of values: a job of thousands of tasks is asked for several
 * times a second. */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../common/base/utf8.h"
#include "../common/wire/task.h"
#include "board_parts.h"

/* ---- a text that grows ---- */

struct text {
    char *s;
    size_t n, room;
    int bad;
};

static int make_room(struct text *t, size_t more)
{
    if (t->bad)
        return -ENOMEM;
    if (t->n + more + 1 <= t->room)
        return 0;
    size_t room = t->room * 2 > t->n + more + 1 ? t->room * 2 : t->n + more + 512;
    char *s = realloc(t->s, room);
    if (!s) {
        t->bad = 1;
        return -ENOMEM;
    }
    t->s = s;
    t->room = room;
    return 0;
}

static void put(struct text *t, const char *s)
{
    size_t n = strlen(s);

    if (make_room(t, n) == 0) {
        memcpy(t->s + t->n, s, n + 1);
        t->n += n;
    }
}

__attribute__((format(printf, 2, 3))) static void put_f(struct text *t, const char *fmt, ...)
{
    char buf[256];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(buf, sizeof(buf), fmt, ap);
    va_end(ap);
    put(t, buf);
}

/* Times and amounts come out of sums that may be off by a hair; locales are
 * never set in our programs. */
static void put_number(struct text *t, const char *name, double x, const char *form)
{
    put_f(t, "\"%s\":", name);
    put_f(t, form, isfinite(x) ? x : 0.0);
}

/* A character of UTF-8 at `s`, escaped where JSON wants it; bytes taken. */
static size_t put_char(struct text *t, const char *s, size_t left)
{
    size_t n = utf8_char(s, left);
    char buf[8];

    if (n == 0) {
        put(t, "?");
        return 1;
    }
    if (*s == '"' || *s == '\\')
        (void)snprintf(buf, sizeof(buf), "\\%c", *s);
    else if ((unsigned char)*s < 0x20 || *s == 0x7f)
        (void)snprintf(buf, sizeof(buf), "\\u%04x", (unsigned)*s);
    else
        (void)snprintf(buf, sizeof(buf), "%.*s", (int)n, s);
    put(t, buf);
    return n;
}

static void put_string(struct text *t, const char *s)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                                " !#$%&'()*+,-./:;<=>?@[]^_`{|}~";
    size_t left = strlen(s), n;

    put(t, "\"");
    while (left > 0) {
        n = strspn(s, plain);
        if (n > 0 && make_room(t, n) == 0) {
            memcpy(t->s + t->n, s, n);
            t->n += n;
            t->s[t->n] = '\0';
        }
        if (n == 0)
            n = put_char(t, s, left);
        s += n;
        left -= n;
    }
    put(t, "\"");
}

static void put_field(struct text *t, const char *name, const char *value)
{
    put_f(t, "\"%s\":", name);
    if (value)
        put_string(t, value);
    else
        put(t, "null");
}

static void put_time(struct text *t, const char *name, int64_t ms)
{
    time_t s = (time_t)(ms / 1000);
    struct tm tm;

    if (ms <= 0 || !gmtime_r(&s, &tm)) {
        put_f(t, "\"%s\":null", name);
        return;
    }
    put_f(t, "\"%s\":\"%04d-%02d-%02dT%02d:%02d:%02d.%03dZ\"", name, tm.tm_year + 1900,
          tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, (int)(ms % 1000));
}

static int finish(struct text *t, char **ret, struct err *err)
{
    if (t->bad) {
        free(t->s);
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory");
    }
    *ret = t->s;
    return 0;
}

/* ---- a job ---- */

static double part_of(const struct board_run *r)
{
    double part = r->total > 0 ? (double)r->done / (double)r->total : 0;

    return part < 0.999 ? part : 0.999; /* done is what its result says */
}

/* Tasks that run count by what they have done. */
static void add_runs(struct board_view *v)
{
    unsigned best = v->texts->n_renditions > 0 ? v->texts->rendition_group[0] : BOARD_AUDIO;

    for (size_t i = 0; i < v->n_runs; i++) {
        const struct board_run *r = &v->runs[i];
        struct board_sum *s = &v->sums[board_group(&r->copy)];
        s->done += (double)r->copy.cost * part_of(r);
        if (!r->copy.audio && r->copy.group == best)
            s->frames_done += r->done < r->total ? r->done : r->total;
    }
}

static double share(double part, double whole)
{
    double x = whole > 0 ? part / whole : 0;

    return x < 0 ? 0 : x > 1 ? 1 : x;
}

struct progress {
    double part, speed;
    uint64_t frames_done;
};

static struct progress progress_of(struct board_view *v)
{
    const struct board_facts *f = &v->facts;
    struct progress p = { .speed = -1 };
    double cost = 0, done = 0;

    add_runs(v);
    for (size_t i = 0; i < BOARD_GROUPS; i++) {
        cost += v->sums[i].cost;
        done += v->sums[i].done;
        p.frames_done += v->sums[i].frames_done;
    }
    if (cost <= 0) { /* its tasks are not on the board: a job that ended long ago */
        cost = f->cost;
        done = f->cost_done;
    }
    p.part = f->state == JOB_DONE ? 1 : share(done, cost);
    if (f->state == JOB_DONE)
        p.frames_done = f->frames;
    if (f->frames > 0 && p.frames_done > f->frames)
        p.frames_done = f->frames;

    int64_t until = f->ended_ms > 0 ? f->ended_ms : f->updated_ms;
    if (f->started_ms > 0 && until > f->started_ms && f->duration_s > 0 && p.part > 0)
        p.speed = f->duration_s * p.part * 1000 / (double)(until - f->started_ms);
    return p;
}

static void put_known(struct text *t, const char *name, double x, const char *form)
{
    if (x < 0)
        put_f(t, "\"%s\":null", name);
    else
        put_number(t, name, x, form);
}

static void put_progress(struct text *t, const struct board_view *v, const struct progress *p)
{
    const struct board_facts *f = &v->facts;
    int done = f->state == JOB_DONE;
    size_t waiting = f->tasks - f->tasks_done - f->tasks_released - f->tasks_dead;

    put(t, ",\"progress\":{");
    put_number(t, "percent", 100 * p->part, "%.2f");
    put(t, ",");
    put_known(t, "speed", p->speed, "%.3f");
    put(t, ",");
    put_known(t, "eta_s", done ? 0 : f->eta_s, "%.1f");
    put(t, ",");
    put_known(t, "queue_position", (double)f->queue_position, "%.0f");
    put_f(t, ",\"tasks\":%zu,\"tasks_done\":%zu,\"tasks_running\":%zu,\"tasks_waiting\":%zu",
          f->tasks, f->tasks_done, v->n_runs, waiting <= f->tasks ? waiting : 0);
    put_f(t, ",\"tasks_dead\":%zu,\"tasks_reused\":%zu,\"attempts_failed\":%u,", f->tasks_dead,
          f->tasks_reused, f->attempts_failed);
    put_number(t, "cost_s", f->cost, "%.3f");
    put(t, ",");
    put_number(t, "cost_done_s", f->cost_done, "%.3f");
    put(t, ",");
    put_number(t, "cpu_s", f->cpu_s, "%.3f");
    put_f(t, ",\"frames\":%" PRIu64 ",\"frames_done\":%" PRIu64 ",", f->frames, p->frames_done);
    put_time(t, "playable", f->playable_ms);
    put_f(t, ",\"early_failures\":%u", f->early_failures);
    if (v->texts->early_error) {
        put(t, ",");
        put_field(t, "early_error", v->texts->early_error);
    } else {
        put(t, ",\"early_error\":null");
    }
    put(t, "}");
}

static void put_replaced_by(struct text *t, const struct board_texts *x)
{
    if (!x->replaced_by) {
        put(t, ",\"replaced_by\":null");
        return;
    }
    put(t, ",");
    put_field(t, "replaced_by", x->replaced_by);
}

static void put_error(struct text *t, const struct board_texts *x)
{
    if (x->error_class == ERR_NONE) {
        put(t, ",\"error\":null");
        return;
    }
    put(t, ",\"error\":{");
    put_field(t, "class", err_class_name(x->error_class));
    put(t, ",");
    put_field(t, "text", x->error ? x->error : "");
    put(t, "}");
}

static void put_texts(struct text *t, const struct board_view *v)
{
    const struct board_texts *x = v->texts;

    put(t, "{\"v\":1,");
    put_field(t, "id", x->id);
    put(t, ",");
    put_field(t, "state", job_state_name(v->facts.state));
    put(t, ",");
    put_field(t, "source", x->source);
    put(t, ",");
    put_field(t, "output", x->output);
    put(t, ",");
    put_field(t, "ladder", x->ladder_name);
    put_f(t, ",\"priority\":%u,", v->facts.priority);
    put_field(t, "tenant", x->tenant);
    put(t, ",\"metadata\":");
    put(t, x->metadata ? x->metadata : "null");
}

/* All but renditions, tasks and the last brace. */
static void put_job(struct text *t, struct board_view *v)
{
    struct progress p = progress_of(v);

    put_texts(t, v);
    put(t, ",");
    put_time(t, "created", v->facts.created_ms);
    put(t, ",");
    put_time(t, "updated", v->facts.updated_ms);
    put(t, ",");
    put_time(t, "started", v->facts.started_ms);
    put(t, ",");
    put_time(t, "ended", v->facts.ended_ms);
    put_error(t, v->texts);
    put_replaced_by(t, v->texts);
    put_progress(t, v, &p);
}

static void put_renditions(struct text *t, const struct board_view *v)
{
    const struct board_texts *x = v->texts;

    put(t, ",\"renditions\":[");
    for (unsigned i = 0; i < x->n_renditions; i++) {
        const struct board_task like = { .audio = x->rendition_group[i] == BOARD_AUDIO,
                                         .group = x->rendition_group[i] };
        const struct board_sum *s = &v->sums[board_group(&like)];
        double part = v->facts.state == JOB_DONE ? 1 : share(s->done, s->cost);
        put(t, i ? ",{" : "{");
        put_field(t, "name", x->renditions[i]);
        put(t, ",");
        put_number(t, "percent", 100 * part, "%.2f");
        put(t, "}");
    }
    put(t, "]");
}

/* Of sound and extras the id tells more. */
static const char *shown_kind(const struct board_task *k)
{
    static const char *const names[] = { [TASK_VIDEO] = "audio",
                                         [TASK_AUDIO] = "audio",
                                         [TASK_TEXT] = "text",
                                         [TASK_PICTURES] = "pictures" };

    return k->audio ? names[task_kind_by_id(k->id)] : "video";
}

static const char *shown_state(const struct board_task *t, const struct board_run *r)
{
    return r ? "running" : task_state_name((enum task_state)t->state);
}

static void put_task(struct text *t, const struct board_task *k, const struct board_run *r)
{
    uint64_t done = k->state == TASK_DONE ? k->frames : r && !k->audio ? r->done : 0;
    uint64_t frames = k->state == TASK_DONE ? k->frames : r && !k->audio ? r->total : 0;

    put(t, "{");
    put_field(t, "id", k->id);
    put_f(t, ",\"kind\":\"%s\",\"chunk\":%u,\"group\":%u,\"state\":\"%s\"", shown_kind(k), k->chunk,
          k->group, shown_state(k, r));
    put_f(t, ",\"attempt\":%u,\"failures\":%u,\"cost_s\":%.3f,\"cpu_s\":%.3f",
          r ? r->attempt : k->attempt, k->failures, (double)k->cost, (double)k->cpu_s);
    put_f(t, ",\"frames\":%" PRIu64 ",\"frames_done\":%" PRIu64 ",", frames, done);
    put_field(t, "worker", r ? r->worker : NULL);
    put(t, ",");
    put_known(t, "elapsed_s", r ? r->elapsed_s : -1, "%.1f");
    put(t, "}");
}

static void put_tasks(struct text *t, const struct board_view *v)
{
    size_t at = 0;

    put(t, ",\"tasks\":[");
    for (size_t i = 0; i < v->n_tasks; i++) {
        const struct board_run *r = NULL;
        if (at < v->n_runs && v->runs[at].index == i)
            r = &v->runs[at++];
        if (i > 0)
            put(t, ",");
        put_task(t, &v->tasks[i], r);
    }
    put(t, "]");
}

int board_write_job(const struct board_view *v, int with_tasks, char **ret, struct err *err)
{
    struct board_view view = *v;
    struct text t = { 0 };

    put_job(&t, &view);
    put_renditions(&t, &view);
    if (with_tasks)
        put_tasks(&t, &view);
    put(&t, "}");
    return finish(&t, ret, err);
}

int board_write_jobs(const struct board_view *v, size_t n, const char *after, char **ret,
                     struct err *err)
{
    struct text t = { 0 };

    put(&t, "{\"v\":1,\"jobs\":[");
    for (size_t i = 0; i < n; i++) {
        struct board_view view = v[i];
        if (i > 0)
            put(&t, ",");
        put_job(&t, &view);
        put(&t, "}");
    }
    put(&t, "],");
    put_field(&t, "after", after);
    put(&t, "}");
    return finish(&t, ret, err);
}

/* ---- workers ---- */

static void put_running(struct text *t, const struct running_task *r)
{
    double part = share((double)r->done, (double)r->total);

    put(t, "{");
    put_field(t, "job", r->job);
    put(t, ",");
    put_field(t, "task", r->task);
    put_f(t, ",\"attempt\":%u,", r->attempt);
    put_number(t, "percent", 100 * part, "%.1f");
    put(t, ",");
    put_number(t, "elapsed_s", r->elapsed_s, "%.1f");
    put(t, "}");
}

static void put_worker(struct text *t, const struct board_worker_view *v, int64_t now_ms)
{
    const struct heartbeat *h = v->last;

    put(t, "{");
    put_field(t, "id", h->worker);
    put(t, ",");
    put_field(t, "host", h->host);
    put(t, ",");
    put_field(t, "state", v->lost ? "lost" : worker_state_name(h->state));
    put(t, ",");
    put_field(t, "reason", h->reason);
    put_f(t, ",\"slots\":%u,\"running\":[", h->slots);
    for (size_t i = 0; i < h->n_running && !v->lost; i++) {
        if (i > 0)
            put(t, ",");
        put_running(t, &h->running[i]);
    }
    put_f(t, "],\"tasks_done\":%" PRIu64 ",\"tasks_failed\":%" PRIu64 ",", h->tasks_done,
          h->tasks_failed);
    put_number(t, "speed", v->lost ? 0 : h->speed, "%.3f");
    put_f(t, ",\"memory_bytes\":%" PRIu64 ",\"memory_free\":%" PRIu64 ",", h->memory_bytes,
          h->memory_free);
    put_field(t, "engine", h->engine);
    put(t, ",");
    put_time(t, "started", h->started_ms);
    put(t, ",");
    put_number(t, "seen_s", (double)(now_ms > v->heard_ms ? now_ms - v->heard_ms : 0) / 1000,
               "%.1f");
    put(t, "}");
}

int board_write_workers(const struct board_worker_view *v, size_t n, int64_t now_ms, char **ret,
                        struct err *err)
{
    struct text t = { 0 };

    put(&t, "{\"v\":1,\"workers\":[");
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            put(&t, ",");
        put_worker(&t, &v[i], now_ms);
    }
    put(&t, "]}");
    return finish(&t, ret, err);
}
