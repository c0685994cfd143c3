#include "follow.h"
#include "../common/base/cleanup.h"
#include "../common/base/clock.h"
#include "canvas.h"
#include "format.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum {
    LIVE_MS = 500,
    PLAIN_MS = 1000,
    FARM_MS = 1000,
    PATIENT_S = 600, /* that a dispatcher may be away */
    WORDS_MAX = 256,
    FARM_JOBS_MAX = 200, /* looked at by follow_farm() of each state */
};

enum mode { MODE_LIVE, MODE_PLAIN, MODE_JSON };

struct followed {
    const char *id;
    char *path;
    char etag[API_ETAG_MAX];
    struct answer_job job; /* as last told; zeroed: not yet */
    int changed, ended;
    int said_percent, said_playable; /* plain */
    char *said_state;
};

struct follower {
    struct farm *farm;
    enum mode mode;
    struct canvas canvas;
    struct followed *jobs;
    size_t n;
    int64_t away_since_ns; /* 0: the dispatcher answers */
};

static int64_t now_ns(void)
{
    return clock_system.mono_ns(&clock_system);
}

static enum mode mode_of(const struct farm *f)
{
    return f->as_json ? MODE_JSON : isatty(STDERR_FILENO) ? MODE_LIVE : MODE_PLAIN;
}

/* ---- words ------------------------------------------------------------ */

static void append(char *buf, size_t size, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static void append(char *buf, size_t size, const char *fmt, ...)
{
    size_t n = strlen(buf);
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(buf + n, size - n, fmt, ap);
    va_end(ap);
}

const char *follow_words(char *buf, size_t size, const struct answer_job *job)
{
    char left[FMT_MAX];

    buf[0] = '\0';
    append(buf, size, "%s", job->state);
    if (job->n_tasks)
        append(buf, size, " %d%%, %llu of %llu tasks", (int)job->percent,
               (unsigned long long)job->n_done, (unsigned long long)job->n_tasks);
    if (answer_job_ended(job))
        return buf;
    if (job->n_running)
        append(buf, size, ", %llu at work", (unsigned long long)job->n_running);
    else if (job->queue_position > 0)
        append(buf, size, ", %lld jobs before it", (long long)job->queue_position);
    if (job->speed > 0)
        append(buf, size, ", %.*fx real time", job->speed < 10 ? 2 : 0, job->speed);
    if (job->eta_s >= 0)
        append(buf, size, ", %s left", fmt_seconds(left, job->eta_s));
    else if (job->n_tasks && !job->n_running && job->queue_position <= 0)
        append(buf, size, ", waiting for a worker");
    if (job->attempts_failed)
        append(buf, size, ", some attempts failed");
    return buf;
}

static void draw_one(struct canvas *c, const struct answer_job *job)
{
    char words[WORDS_MAX];

    if (!job->id) {
        canvas_line(c, "…");
        return;
    }
    if (job->n_renditions + 3 < c->rows)
        for (size_t i = 0; i < job->n_renditions; i++)
            canvas_bar(c, job->renditions[i].name, job->renditions[i].percent / 100);
    canvas_line(c, "%s", follow_words(words, sizeof(words), job));
}

static void draw_row(struct canvas *c, const struct answer_job *job)
{
    char words[WORDS_MAX];

    canvas_bar(c, job->id, job->percent / 100);
    canvas_line(c, "    %s", follow_words(words, sizeof(words), job));
}

static void draw(struct follower *w)
{
    struct canvas *c = &w->canvas;

    canvas_begin(c);
    if (w->n == 1)
        draw_one(c, &w->jobs[0].job);
    else
        for (size_t i = 0; i < w->n && c->lines + 4 < c->rows; i++)
            if (w->jobs[i].job.id)
                draw_row(c, &w->jobs[i].job);
    if (w->away_since_ns)
        canvas_line(c, "the dispatcher doesn't answer; trying again");
    canvas_show(c);
}

/* Another state, another tenth, or playable now. */
static void say_plain(struct followed *j)
{
    char words[WORDS_MAX];
    int tenth = (int)(j->job.percent / 10);

    if (j->job.playable_s > 0 && !j->said_playable && strcmp(j->job.state, "done") != 0)
        (void)fprintf(stderr, "%s playable: %s\n", j->id, j->job.output);
    j->said_playable = j->job.playable_s > 0;
    if (j->said_state && !strcmp(j->said_state, j->job.state) && tenth <= j->said_percent)
        return;
    free(j->said_state);
    j->said_state = strdup(j->job.state);
    j->said_percent = tenth;
    if (!j->ended)
        (void)fprintf(stderr, "%s %s\n", j->id, follow_words(words, sizeof(words), &j->job));
}

/* The last word on a job, which stays. */
static void say_end(const struct follower *w, const struct followed *j)
{
    char length[FMT_MAX];
    const struct answer_job *job = &j->job;
    const char *text = job->error_text;

    if (w->mode == MODE_JSON)
        return;
    if (!strcmp(job->state, "done")) {
        printf("%s done in %s: %s\n", job->id,
               fmt_seconds(length, job->ended_s > 0 ? job->ended_s - job->created_s : -1),
               job->output);
        (void)fflush(stdout);
        return;
    }
    (void)fprintf(stderr, "gopmill: %s %s%s%s%s%s\n", job->id, job->state, *text ? ": " : "", text,
                  *text ? "; class " : "", *text ? err_class_name(job->error) : "");
}

/* ---- looking ---------------------------------------------------------- */

static int look(struct follower *w, struct followed *j, struct err *err)
{
    _cleanup_(api_answer_release) struct api_answer a = { 0 };
    struct answer_job job;

    j->changed = 0;
    int r = api_call(w->farm->api, "GET", j->path, NULL, j->etag, &a, err);
    if (r < 0)
        return r;
    if (a.status == 304)
        return 0;
    r = answer_job(a.json, &job, err);
    if (r < 0)
        return r;
    answer_job_release(&j->job);
    j->job = job;
    j->changed = 1;
    j->ended = answer_job_ended(&job);
    memcpy(j->etag, a.etag, sizeof(j->etag));
    return w->mode == MODE_JSON ? farm_print(a.json, err) : 0;
}

/* Whether `r` is a dispatcher that is away, which is waited for. */
static int is_away(struct follower *w, int r, int seen)
{
    if (r != -EHOSTDOWN && r != -ECONNRESET && r != -EBUSY && r != -EIO)
        return 0;
    if (!w->away_since_ns) {
        w->away_since_ns = now_ns();
        if (seen && w->mode == MODE_PLAIN)
            (void)fprintf(stderr, "the dispatcher doesn't answer; trying again\n");
    }
    return seen && now_ns() - w->away_since_ns < PATIENT_S * NS_PER_S;
}

/* 1 once all have ended. */
static int look_at_all(struct follower *w, struct err *err)
{
    int all = 1;

    for (size_t i = 0; i < w->n; i++) {
        struct followed *j = &w->jobs[i];

        if (j->ended)
            continue;
        int r = look(w, j, err);
        if (r < 0)
            return is_away(w, r, j->job.id != NULL) ? 0 : r;
        w->away_since_ns = 0;
        if (j->changed && w->mode == MODE_PLAIN)
            say_plain(j);
        all &= j->ended;
    }
    return all;
}

static int follow_all(struct follower *w, struct err *err)
{
    int r;

    while ((r = look_at_all(w, err)) == 0) {
        if (w->mode == MODE_LIVE)
            draw(w);
        if (patience_wait(&w->farm->patience, w->mode == MODE_LIVE ? LIVE_MS : PLAIN_MS))
            return err_set(err, -ECANCELED, ERR_CANCELED,
                           "no longer watching; the farm goes on with it");
    }
    return r;
}

static int prepare(struct follower *w, char *const *ids, struct err *err)
{
    for (size_t i = 0; i < w->n; i++) {
        w->jobs[i].id = ids[i];
        w->jobs[i].path = api_path("/v1/jobs/%s?tasks=0", ids[i]);
        if (!w->jobs[i].path)
            return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory");
    }
    return 0;
}

static void follower_release(struct follower *w)
{
    for (size_t i = 0; i < w->n; i++) {
        free(w->jobs[i].path);
        free(w->jobs[i].said_state);
        answer_job_release(&w->jobs[i].job);
    }
    free(w->jobs);
}

int follow_jobs(struct farm *f, char *const *ids, size_t n, int *ret_exit, struct err *err)
{
    _cleanup_(follower_release) struct follower w = { .farm = f, .mode = mode_of(f) };

    w.jobs = calloc(n ? n : 1, sizeof(*w.jobs));
    if (!w.jobs)
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory");
    w.n = n;
    int r = prepare(&w, ids, err);
    if (r >= 0)
        r = follow_all(&w, err);
    if (w.canvas.columns)
        canvas_end(&w.canvas);
    if (r < 0)
        return r;

    *ret_exit = CLI_DONE;
    for (size_t i = 0; i < n; i++) {
        say_end(&w, &w.jobs[i]);
        if (*ret_exit == CLI_DONE)
            *ret_exit = answer_job_exit(&w.jobs[i].job);
    }
    return 0;
}

/* ---- the whole farm --------------------------------------------------- */

struct overview {
    enum mode mode;
    struct canvas canvas;
    size_t jobs;  /* seen this time */
    json_t *told; /* plain: id -> what was said of it */
    json_t *list; /* json: this time's */
    size_t workers, slots, busy;
};

static void draw_job(struct overview *o, const struct answer_job *job)
{
    if (o->canvas.lines + 4 < o->canvas.rows)
        draw_row(&o->canvas, job);
}

static void say_job(struct overview *o, const struct answer_job *job)
{
    char words[WORDS_MAX], mark[WORDS_MAX];

    (void)snprintf(mark, sizeof(mark), "%s %d", job->state, (int)(job->percent / 10));
    const char *before = json_string_value(json_object_get(o->told, job->id));
    if (before && !strcmp(before, mark))
        return;
    (void)json_object_set_new(o->told, job->id, json_string(mark));
    printf("%s %s\n", job->id, follow_words(words, sizeof(words), job));
}

static int each_job(void *arg, const json_t *j)
{
    struct overview *o = arg;
    struct answer_job job;
    struct err err;

    if (answer_job(j, &job, &err) < 0)
        return 0;
    o->jobs++;
    if (o->mode == MODE_LIVE)
        draw_job(o, &job);
    else if (o->mode == MODE_PLAIN)
        say_job(o, &job);
    else
        (void)json_array_append(o->list, (json_t *)j);
    answer_job_release(&job);
    return 0;
}

static int count_workers(struct farm *f, struct overview *o, struct err *err)
{
    _cleanup_(api_answer_release) struct api_answer a = { 0 };
    int r = farm_call(f, "GET", api_path("/v1/workers"), NULL, &a, err);

    o->workers = o->slots = o->busy = 0;
    for (size_t i = 0; r >= 0 && i < answer_count(a.json, "workers"); i++) {
        struct answer_worker w;

        if (answer_worker(json_array_get(json_object_get(a.json, "workers"), i), &w, err) < 0)
            continue;
        int works = !strcmp(w.state, "active") || !strcmp(w.state, "draining");
        o->workers += works;
        o->slots += works ? w.slots : 0;
        o->busy += works ? w.n_running : 0;
        answer_worker_release(&w);
    }
    return r;
}

static int look_at_farm(struct farm *f, struct overview *o, struct err *err)
{
    static const char *const states[] = { "publishing", "running", "planning", "queued" };
    int r = count_workers(f, o, err);

    o->jobs = 0;
    if (r >= 0 && o->mode == MODE_LIVE)
        canvas_begin(&o->canvas);
    for (size_t i = 0; r >= 0 && i < sizeof(states) / sizeof(states[0]); i++)
        r = farm_jobs(f, states[i], NULL, FARM_JOBS_MAX, each_job, o, err);
    return r;
}

static int show_farm(struct overview *o, struct err *err)
{
    if (o->mode == MODE_LIVE) {
        canvas_line(&o->canvas, "%zu jobs, %zu workers, %zu of %zu slots at work", o->jobs,
                    o->workers, o->busy, o->slots);
        canvas_show(&o->canvas);
    }
    if (o->mode == MODE_PLAIN)
        (void)fflush(stdout);
    if (o->mode != MODE_JSON)
        return 0;
    _cleanup_(json_decrefp) json_t *j = json_pack(
        "{s:O, s:I, s:I, s:I}", "jobs", o->list, "workers", (json_int_t)o->workers, "slots",
        (json_int_t)o->slots, "running", (json_int_t)o->busy);
    (void)json_array_clear(o->list);
    return farm_print(j, err);
}

int follow_farm(struct farm *f, struct err *err)
{
    _cleanup_(json_decrefp) json_t *told = json_object(), *list = json_array();
    struct overview o = { .mode = mode_of(f), .told = told, .list = list };
    int r, seen = 0;

    do {
        r = look_at_farm(f, &o, err);
        if (r < 0 && (!seen || r == -EACCES || r == -ECANCELED))
            break;
        seen = 1;
        if (r >= 0)
            r = show_farm(&o, err);
        else
            r = 0; /* away for now: what was drawn stays */
    } while (r >= 0 && !patience_wait(&f->patience, FARM_MS));
    if (o.canvas.columns)
        canvas_end(&o.canvas);
    return r == -ECANCELED ? 0 : r;
}
