/* engine_publish.c - what the publisher is asked for, and what becomes of its
 * answers. One request of a job is with it at a time. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../common/base/log.h"
#include "fault.h"
#include "job.h"

enum {
    EARLY_MS = 3000,   /* at least between playlists of a job that runs */
    EARLY_TASK_MS = 5, /* more for each result that they are made of: all of them are read again */
    REFUSED_MS = 500,  /* until the publisher is asked again */
    AWAY_MS = 2000,    /* likewise, of a store that is away */
    SWEEP_RETRY_MS = 60 * 1000,
    HELD_MS = 500, /* until it is looked again whether nobody is at the same place */
};

struct published {
    struct inbox_item item;
    struct publish_outcome *outcome;
};

/* ---- the publisher's thread ---- */

static void on_outcome(void *arg, struct publish_outcome *o)
{
    struct dispatcher *d = arg; /* nothing of it is read but the inbox */
    struct published *p;

    while (!(p = calloc(1, sizeof(*p))))
        ; /* an outcome must not be lost; memory comes back */
    p->item.kind = INBOX_PUBLISHED;
    p->outcome = o;
    inbox_put(d->inbox, &p->item);
}

int engine_publish_start(struct dispatcher *d, struct err *err)
{
    return publisher_new(d->cfg.stores, d->cfg.publishers ? d->cfg.publishers : 1, on_outcome, d,
                         &d->publisher, err);
}

void engine_published_free(struct inbox_item *item)
{
    struct published *p = (struct published *)item;

    publish_outcome_free(p->outcome);
    free(p);
}

/* ---- requests ---- */

struct collecting {
    struct live_job *job;
    struct publish_request *req;
    struct err *err;
};

/* Whether nothing of its group is missing before it. */
static int is_without_hole(const struct live_job *j, const struct live_task *t)
{
    return t->audio || t->chunk < j->open[t->group];
}

static int collect_result(void *arg, const char *task, const char *result)
{
    struct collecting *c = arg;
    const struct live_task *t = job_task(c->job, task);

    if (!t || t->state != TASK_DONE ||
        (c->req->what == PUBLISH_EARLY && !is_without_hole(c->job, t)))
        return 0;
    char **v = reallocarray(c->req->results, c->req->n_results + 1, sizeof(*v));
    if (!v)
        return engine_no_memory(c->err);
    c->req->results = v;
    if (!(v[c->req->n_results] = strdup(result)))
        return engine_no_memory(c->err);
    c->req->n_results++;
    return 0;
}

static int fill_request(struct dispatcher *d, struct live_job *j, struct publish_request *q,
                        struct err *err)
{
    struct collecting c = { j, q, err };

    q->job = strdup(j->id);
    q->output = strdup(j->output);
    q->source = strdup(j->source);
    q->etag = strdup(j->etag);
    q->ladder = strdup(j->ladder->text);
    q->ladder_name = strdup(j->ladder_name);
    q->version = strdup(j->version);
    if (!q->job || !q->output || !q->source || !q->etag || !q->ladder || !q->ladder_name ||
        !q->version)
        return engine_no_memory(err);
    int r = job_has_plan(j) ? jobdb_job_plan(d->db, j->id, &q->plan, err) : 0;
    q->everything = q->what == PUBLISH_END && d->cfg.remove_early;
    if (r == 0 && q->what != PUBLISH_SWEEP && q->what != PUBLISH_END)
        r = jobdb_each_result(d->db, j->id, collect_result, &c, err);
    return r;
}

/* ---- asking ---- */

static int submit(struct dispatcher *d, struct live_job *j, struct publish_request *q)
{
    return q->what == PUBLISH_SWEEP ? engine_sweep_submit(d, q, j->place)
                                    : publisher_submit(d->publisher, q);
}

static int ask(struct dispatcher *d, struct live_job *j, enum publish_what what, struct err *err)
{
    struct publish_request *q = calloc(1, sizeof(*q));

    if (!q)
        return engine_no_memory(err);
    q->what = what;
    int r = fill_request(d, j, q, err);
    if (what == PUBLISH_FINAL)
        fault_point("package-before");
    if (what == PUBLISH_EARLY)
        fault_point("early-before");
    int taken = r == 0 && submit(d, j, q) == 0;
    if (!taken)
        publish_request_free(q);
    if (r < 0)
        return r;
    if (taken) {
        j->busy = 1 + (int)what;
        d->publishing++;
    } else {
        engine_attend_at(d, j, engine_ms(d) + REFUSED_MS);
    }
    return 0;
}

/* Tasks that early playlists can be made of: all sound, and of each group those
 * before which none is missing. What is enough, package_build_early() says. */
static size_t early_tasks(const struct live_job *j)
{
    size_t n = 0;

    for (size_t i = 0; i < j->n_whole; i++)
        if (!live_task_is_extra(&j->tasks[i]) && j->tasks[i].state != TASK_DONE)
            return 0;
    for (size_t g = 0; g < j->n_groups; g++)
        n += j->open[g];
    return n;
}

static int ask_early(struct dispatcher *d, struct live_job *j, int64_t now, struct err *err)
{
    size_t tasks = early_tasks(j);

    if (!d->cfg.early_playlists || tasks <= j->early_shown)
        return 0;
    if (now < j->early_after_ms) {
        engine_attend_at(d, j, j->early_after_ms);
        return 0;
    }
    j->early_after_ms = now + EARLY_MS + (int64_t)tasks * EARLY_TASK_MS;
    j->early_asked = tasks;
    return ask(d, j, PUBLISH_EARLY, err);
}

static int sweep_now(struct dispatcher *d, struct live_job *j, int64_t now, struct err *err)
{
    if (engine_may_sweep(j->place))
        return ask(d, j, PUBLISH_SWEEP, err);
    engine_attend_at(d, j, now + HELD_MS);
    return 0;
}

/* Nobody is to wait for more of it. */
static int early_is_open(const struct live_job *j)
{
    return j->state != JOB_DONE && j->playable_ms > 0 && !j->early_ended && !j->published &&
           !j->replaced_by;
}

static int ask_sweep(struct dispatcher *d, struct live_job *j, int64_t now, struct err *err)
{
    if (early_is_open(j))
        return ask(d, j, PUBLISH_END, err);
    if (j->state == JOB_DONE)
        return j->sweep_wanted ? sweep_now(d, j, now, err) : 0;
    if (d->cfg.keep_failed_ms <= 0 || j->swept || !job_has_plan(j))
        return 0;
    if (now >= j->ended_ms + d->cfg.keep_failed_ms)
        return sweep_now(d, j, now, err);
    if (!j->sweep_wanted) {
        j->sweep_wanted = 1;
        engine_attend_at(d, j, j->ended_ms + d->cfg.keep_failed_ms);
    }
    return 0;
}

/* 1: it runs, but its place is being swept. */
static int is_held(struct dispatcher *d, struct live_job *j, int64_t now)
{
    if (!j->writes || j->place->sweeps == 0)
        return 0;
    engine_attend_at(d, j, now + HELD_MS); /* of its own sweep it hears sooner */
    return 1;
}

int engine_publish_attend(struct dispatcher *d, struct live_job *j, struct err *err)
{
    int64_t now = engine_ms(d);
    int r = 0;

    if (is_held(d, j, now))
        return 0;
    if (j->writes && j->loaded && !j->waits && job_schedule(d, j) < 0)
        return engine_no_memory(err);
    if (j->busy || j->publish_after_ms > now)
        return 0;
    if (job_ended(j))
        return ask_sweep(d, j, now, err);
    if (!j->loaded)
        return 0;
    if (j->check_wanted && (j->state == JOB_RUNNING || j->state == JOB_PUBLISHING))
        return ask(d, j, PUBLISH_CHECK, err);
    if (j->state == JOB_RUNNING && j->n[TASK_DONE] == j->n_tasks)
        r = job_move(d, j, JOB_ALL_DONE, NULL, err);
    if (r == 0 && j->state == JOB_PUBLISHING)
        return ask(d, j, PUBLISH_FINAL, err);
    return r == 0 && j->state == JOB_RUNNING ? ask_early(d, j, now, err) : r;
}

/* ---- answers ---- */

static int redo_faults(struct dispatcher *d, struct live_job *j, const struct publish_outcome *o,
                       size_t *ret_n, struct err *err)
{
    struct err why = { 0 };
    int r = 0;

    *ret_n = 0;
    for (size_t i = 0; i < o->n_faults && r == 0; i++) {
        struct live_task *t = job_task(j, o->faults[i].task);
        if (!t || t->state != TASK_DONE)
            continue;
        (void)err_set(&why, -EIO, ERR_STORAGE, "%s", o->faults[i].reason);
        ++*ret_n;
        r = engine_redo(d, j, t, o->faults[i].counted, &why, err);
    }
    if (r == 0 && *ret_n > 0 && j->state == JOB_PUBLISHING)
        r = job_move(d, j, JOB_REDO, NULL, err);
    return r;
}

/* Again after a while where that may help, else the job fails. While the store is `away`, as often
 * as it takes. */
static int publish_failed(struct dispatcher *d, struct live_job *j, int away, const struct err *why,
                          struct err *err)
{
    log_event(LOG_WARN, away ? "publish.waits" : "publish.failed", LSTR("job", j->id),
              LSTR("error", why->text));
    if (away && d->survives) {
        j->publish_after_ms = engine_ms(d) + AWAY_MS;
        engine_attend_at(d, j, j->publish_after_ms);
        return 0;
    }
    if (err_class_retried(why->cls) && ++j->publish_tries < engine_attempts_allowed(d)) {
        j->publish_after_ms = engine_ms(d) + engine_backoff_ms(d, j->publish_tries, why->cls);
        engine_attend_at(d, j, j->publish_after_ms);
        return 0;
    }
    j->publish_tries = 0;
    j->check_wanted = 0;
    return job_fail(d, j, why, err);
}

static int take_faults(struct dispatcher *d, struct live_job *j, const struct publish_outcome *o,
                       struct err *err)
{
    size_t n = 0;
    int r = redo_faults(d, j, o, &n, err);

    if (r == 0 && n == 0 && o->what == PUBLISH_FINAL) {
        struct err why = { 0 };
        (void)err_set(&why, -ESTALE, ERR_INTERNAL, "%s",
                      o->err.text[0] ? o->err.text : "the package doesn't fit its plan");
        return publish_failed(d, j, 0, &why, err);
    }
    return r;
}

static int checked(struct dispatcher *d, struct live_job *j, const struct publish_outcome *o,
                   struct err *err)
{
    if (j->state != JOB_RUNNING && j->state != JOB_PUBLISHING)
        return 0;
    if (o->r < 0 && o->r != -ESTALE)
        return publish_failed(d, j, o->away, &o->err, err);
    j->check_wanted = 0;
    j->checked = 1;
    j->publish_tries = 0;
    if (o->n_faults > 0)
        j->published = 0; /* what lies there isn't whole */
    int r = take_faults(d, j, o, err);
    j->tasks_reused = j->n[TASK_DONE];
    return r;
}

static int finished(struct dispatcher *d, struct live_job *j, const struct publish_outcome *o,
                    struct err *err)
{
    if (j->state != JOB_PUBLISHING)
        return 0;
    if (o->r == -ESTALE)
        return take_faults(d, j, o, err);
    if (o->r < 0)
        return publish_failed(d, j, o->away, &o->err, err);
    j->publish_tries = 0;
    job_forget_early(j);
    j->sweep_wanted = d->cfg.board != NULL; /* a farm tidies up */
    if (!j->playable_ms)
        j->playable_ms = d->clock->wall_ms(d->clock);
    int r = engine_took_over(d, j, err);
    return r < 0 ? r : job_move(d, j, JOB_PUBLISHED, NULL, err);
}

/* Nothing depends on it but who watches while the job runs: it is told, tried
 * again after longer and longer, and costs the job nothing. */
static void early_failed(struct dispatcher *d, struct live_job *j, const struct err *why)
{
    int64_t wait_ms = engine_backoff_ms(d, ++j->early_failures, ERR_NONE);

    log_event(LOG_WARN, "publish.early-failed", LSTR("job", j->id),
              LINT("failures", j->early_failures), LSTR("class", err_class_name(why->cls)),
              LSTR("error", why->text));
    free(j->early_error);
    j->early_error = strdup(why->text); /* NULL: told without its reason */
    d->totals.early_failed++;
    j->early_after_ms = engine_ms(d) + (wait_ms > EARLY_MS ? wait_ms : EARLY_MS);
    engine_changed(d, j, NULL);
}

static int early(struct dispatcher *d, struct live_job *j, const struct publish_outcome *o,
                 struct err *err)
{
    fault_point("early-after");
    if (o->r < 0) {
        early_failed(d, j, &o->err);
        return 0;
    }
    if (j->early_failures > 0) {
        job_forget_early(j);
        engine_changed(d, j, NULL);
    }
    j->early_shown = j->early_asked;
    if (o->segments == 0 || j->playable_ms)
        return 0;
    j->playable_ms = d->clock->wall_ms(d->clock);
    engine_tell(d, EFFECT_JOB, j, "playable", NULL);
    return job_save(d, j, err);
}

static int early_ended(struct dispatcher *d, struct live_job *j, const struct publish_outcome *o,
                       struct err *err)
{
    if (!job_ended(j))
        return 0;
    if (o->r < 0 && err_class_retried(o->err.cls)) {
        log_event(LOG_WARN, "publish.end-failed", LSTR("job", j->id), LSTR("error", o->err.text));
        j->publish_after_ms = d->clock->wall_ms(d->clock) + SWEEP_RETRY_MS;
        engine_attend_at(d, j, j->publish_after_ms);
        return 0;
    }
    j->early_ended = 1;
    return job_save(d, j, err);
}

static int swept(struct dispatcher *d, struct live_job *j, const struct publish_outcome *o,
                 struct err *err)
{
    int was_done = j->state == JOB_DONE;

    if (o->r < 0 && job_ended(j) && !was_done) {
        log_event(LOG_WARN, "sweep.failed", LSTR("job", j->id), LSTR("error", o->err.text));
        j->publish_after_ms = engine_ms(d) + SWEEP_RETRY_MS;
        engine_attend_at(d, j, j->publish_after_ms);
        return 0;
    }
    j->sweep_wanted = 0;
    if (was_done || !job_ended(j))
        return 0;
    j->swept = 1;
    return job_save(d, j, err);
}

static int take_outcome(struct dispatcher *d, struct live_job *j, const struct publish_outcome *o,
                        struct err *err)
{
    switch (o->what) {
    case PUBLISH_CHECK:
        return checked(d, j, o, err);
    case PUBLISH_FINAL:
        fault_point("package-after");
        return finished(d, j, o, err);
    case PUBLISH_EARLY:
        return early(d, j, o, err);
    case PUBLISH_END:
        return early_ended(d, j, o, err);
    default:
        return swept(d, j, o, err);
    }
}

/* ---- all ---- */

int engine_published(struct dispatcher *d, struct inbox_item *item, struct err *err)
{
    const struct publish_outcome *o = ((struct published *)item)->outcome;
    int r = 0;

    d->publishing--;
    if (o->what != PUBLISH_SWEEP || !engine_swept(d, o, &r, err)) {
        struct live_job *j = job_find(d, o->job);
        if (j && j->busy == 1 + (int)o->what) {
            j->busy = 0;
            engine_attend(d, j);
            r = job_load(d, j, err);
            if (r == 0)
                r = take_outcome(d, j, o, err);
        }
    }
    engine_published_free(item);
    return r;
}
