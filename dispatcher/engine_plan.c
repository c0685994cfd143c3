/* engine_plan.c - planning: jobs that wait get a planner (planner.h) each, a
 * few at a time; what those made is taken over in small steps.
 *
 * A job that is queued with a plan was revived: the planner only looks whether
 * the source is still the one that was planned. Another one is planned anew. */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "../common/base/cleanup.h"
#include "../common/base/log.h"
#include "job.h"
#include "planner.h"

enum {
    PLAN_TRIES_MAX = 2, /* where the failure may pass; most don't when planning */
    INSERT_MAX = 64,    /* tasks in one transaction */
    HELD_MS = 1000,     /* a job whose output is being swept */
    WAIT_MS = 500,      /* where nothing can be planned for now; doubles … */
    WAIT_DOUBLINGS = 4, /* … so often */
};

/* ---- stopping ---- */

/* What it is at is stopped, not waited for: its outcome will be for nobody. */
void engine_plan_stop(struct dispatcher *d, struct live_job *j)
{
    (void)d;
    if (j->planner)
        planner_stop(j->planner);
    j->planner = NULL;
    planner_free(j->inserting);
    j->inserting = NULL;
}

/* Out of those that run; its thread has put its item, or never ran. */
static void leave(struct dispatcher *d, struct planner *p)
{
    struct planner **at = &d->planners;

    while (*at && *at != p)
        at = &(*at)->next;
    if (*at) {
        *at = p->next;
        d->n_planners--;
    }
    planner_join(p);
}

/* Their items are in the inbox then. */
void engine_plan_stop_all(struct dispatcher *d)
{
    for (struct planner *p = d->planners; p; p = p->next) {
        struct live_job *j = job_find(d, p->job);
        if (j && j->planner == p)
            j->planner = NULL;
        planner_stop(p);
    }
    for (struct planner *p = d->planners; p; p = p->next) {
        struct live_job *j = job_find(d, p->job);
        planner_join(p);
        if (j && j->planner == p)
            j->planner = NULL; /* it is freed with its item, before the job */
    }
    d->planners = NULL;
    d->n_planners = 0;
}

void engine_plan_discard(struct dispatcher *d, struct inbox_item *item)
{
    struct planner *p = (struct planner *)item; /* its first member */
    struct live_job *j = job_find(d, p->job);

    leave(d, p);
    if (j && j->planner == p)
        j->planner = NULL;
    planner_free(p);
}

/* ---- starting ---- */

static char *make_request(struct dispatcher *d, const struct live_job *j)
{
    json_t *options = json_loads(j->options, 0, NULL);
    json_t *req = json_pack("{s:i, s:s, s:s, s:o}", "v", 1, "ladder", j->ladder->text,
                            "ladder_name", j->ladder_name, "options", options);
    char *text = NULL;

    if (req && json_object_set_new(options, "slots", json_integer(engine_slots(d))) == 0 &&
        json_object_set_new(options, "early", json_integer(d->cfg.early_playlists != 0)) == 0)
        text = json_dumps(req, JSON_COMPACT);
    json_decref(req);
    return text;
}

static int planner_start(struct dispatcher *d, struct live_job *j, struct err *err)
{
    _cleanup_free_ char *request = make_request(d, j);
    const struct planner_config cfg = {
        .inbox = d->inbox,
        .stores = d->cfg.stores,
        .nursery = d->nursery,
        .nice = d->cfg.plan_nice,
        .job = j->id,
        .source = j->source,
        .output = j->output,
        .etag = j->etag,
        .looks = job_has_plan(j),
        .ladder = j->ladder->text,
        .created_ms = j->created_ms,
        .run = j->run,
        .replace = j->replace,
        .in_place = d->cfg.in_place,
        .request = request,
    };
    struct planner *p;
    int r = request ? planner_run(&cfg, &p, err) : engine_no_memory(err);

    if (r < 0)
        return r;
    p->next = d->planners;
    d->planners = p;
    d->n_planners++;
    j->planner = p;
    return 0;
}

static int plan_failed(struct dispatcher *d, struct live_job *j, const struct err *why,
                       struct err *err);

/* It couldn't be done for reasons that are the farm's: once more in a while, as often as it
 * takes. Who waits for one job on this machine is told at once. */
static int plan_waits(struct dispatcher *d, struct live_job *j, const struct err *why,
                      struct err *err)
{
    int64_t ms = WAIT_MS << (j->plan_waits < WAIT_DOUBLINGS ? j->plan_waits : WAIT_DOUBLINGS);

    if (!d->survives)
        return plan_failed(d, j, why, err);
    j->plan_waits++;
    j->plan_after_ms = engine_ms(d) + ms;
    log_event(LOG_WARN, "plan.waits", LSTR("job", j->id), LINT("ms", ms), LSTR("error", why->text));
    return job_move(d, j, JOB_INTERRUPTED, NULL, err);
}

/* Planning failed: once more where that may help, else the job fails. */
static int plan_failed(struct dispatcher *d, struct live_job *j, const struct err *why,
                       struct err *err)
{
    j->plan_tries++;
    if (err_class_retried(why->cls) && j->plan_tries < PLAN_TRIES_MAX) {
        log_event(LOG_WARN, "plan.retry", LSTR("job", j->id), LSTR("error", why->text));
        return job_move(d, j, JOB_INTERRUPTED, NULL, err);
    }
    return job_fail(d, j, why, err);
}

/* The child sets out first and the state is written meanwhile: whoever finds
 * the job still queued after a crash plans it again. Nothing else is under way
 * at its output then. */
static int begin(struct dispatcher *d, struct live_job *j, struct err *err)
{
    struct err why = { 0 };

    if (j->busy || engine_sweeping(d, j->output) || engine_waits_for_place(j)) {
        sched_wait(d->queue, j->queued, 0, engine_ms(d) + HELD_MS);
        return 0;
    }
    sched_charge(d->queue, j->queued, 1);
    int started = planner_start(d, j, &why);
    int r = job_move(d, j, JOB_PLAN, NULL, err);
    if (r < 0)
        return r;
    return started < 0 ? plan_waits(d, j, &why, err) : 0;
}

int engine_plan_more(struct dispatcher *d, struct err *err)
{
    unsigned most = d->cfg.planners ? d->cfg.planners : 1;
    void *job;
    size_t i;
    int r = 0;

    sched_due(d->queue, engine_ms(d));
    while (d->n_planners < most && r == 0 && sched_pick(d->queue, &job, &i))
        r = begin(d, job, err);
    return r;
}

/* ---- whether its plan still holds ---- */

/* All that was made of the old source goes, before anything new is made. */
static int sweep_old(struct dispatcher *d, struct live_job *j, struct err *err)
{
    const struct sweep_row row = { .job = j->id, .output = j->output, .everything = 1 };
    int r = jobdb_add_sweep(d->db, &row, err);

    return r == 0 && engine_sweep_add(d, &row) < 0 ? engine_no_memory(err) : r;
}

/* Forget what the old source was planned to, and what was made of it: all is
 * done anew, beside it. Its tasks' rows stay until then, for their attempts
 * (insert_some()). */
static int source_replaced(struct dispatcher *d, struct live_job *j, struct err *err)
{
    char *facts = strdup(""), *etag = strdup("");
    int r = facts && etag ? engine_begin(d, err) : engine_no_memory(err);

    if (r == 0)
        r = jobdb_drop_job_plan(d->db, j->id, err);
    if (r == 0 && d->cfg.in_place)
        r = sweep_old(d, j, err);
    if (r < 0) {
        free(facts);
        free(etag);
        return r;
    }
    log_event(LOG_INFO, "plan.source-replaced", LSTR("job", j->id));
    free(j->facts);
    free(j->etag);
    j->facts = facts;
    j->etag = etag;
    job_read_facts(j);
    job_unload(d, j);
    j->playable_ms = 0;
    j->published = 0;
    j->run++;
    j->tasks_reused = 0;
    j->check_wanted = 0;
    r = job_load(d, j, err); /* it has no tasks now */
    return r < 0 ? r : job_move(d, j, JOB_INTERRUPTED, NULL, err);
}

/* 1: its source of that etag crashes workers, so the job has failed. */
static int is_refused(struct dispatcher *d, struct live_job *j, const char *etag, struct err *err)
{
    struct err why = { 0 };
    int r = engine_poison(d, j, etag, &why, err);

    if (r == 1)
        r = job_fail(d, j, &why, err);
    else
        return r;
    return r < 0 ? r : 1;
}

static int looked(struct dispatcher *d, struct live_job *j, int replaced, struct err *err)
{
    if (replaced)
        return source_replaced(d, j, err);
    int r = is_refused(d, j, j->etag, err);
    if (r != 0)
        return r < 0 ? r : 0;
    r = job_move(d, j, JOB_PLANNED, NULL, err);
    if (r == 0)
        engine_tell(d, EFFECT_JOB, j, "planned", NULL);
    return r;
}

/* ---- taking its plan over ---- */

int engine_plan_ended(struct dispatcher *d, struct inbox_item *item, struct err *err)
{
    struct planner *p = (struct planner *)item;
    struct live_job *j = job_find(d, p->job);
    int r = 0;

    leave(d, p);
    if (!j || j->planner != p) {
        planner_free(p);
        return 0;
    }
    j->planner = NULL;
    if (p->r < 0 && p->waits) {
        r = plan_waits(d, j, &p->err, err);
        planner_free(p);
        return r;
    }
    j->plan_waits = 0;
    j->plan_after_ms = 0;
    if (p->r < 0 || p->looks) {
        r = p->r < 0 ? plan_failed(d, j, &p->err, err) : looked(d, j, p->replaced, err);
        planner_free(p);
        return r;
    }
    if ((r = is_refused(d, j, p->etag, err)) != 0) {
        planner_free(p);
        return r < 0 ? r : 0;
    }
    j->inserting = p;
    j->inserted = 0;
    engine_attend(d, j);
    return 0;
}

/* Rows are there of planning that was cut off, or of another version of the
 * source. Attempts go on from theirs: who still has one of those tasks, or
 * remembers that it was done, is told apart. */
static int make_room(struct dispatcher *d, struct live_job *j, struct planner *p, struct err *err)
{
    unsigned last = 0;
    int r = jobdb_last_attempt(d->db, j->id, &last, err);

    p->attempt = last + 1;
    return r < 0 ? r : jobdb_delete_tasks(d->db, j->id, err);
}

static int insert_some(struct dispatcher *d, struct live_job *j, struct planner *p, struct err *err)
{
    size_t end = j->inserted + INSERT_MAX < p->n_tasks ? j->inserted + INSERT_MAX : p->n_tasks;
    int r = engine_begin(d, err);

    if (r == 0 && j->inserted == 0)
        r = make_room(d, j, p, err);
    for (; j->inserted < end && r == 0; j->inserted++) {
        p->tasks[j->inserted].row.job = j->id;
        p->tasks[j->inserted].row.attempt = p->attempt;
        r = jobdb_insert_task(d->db, &p->tasks[j->inserted].row, err);
    }
    return r;
}

/* Plan, the last tasks and state in one transaction: a job that runs has all. */
static int finish(struct dispatcher *d, struct live_job *j, struct planner *p, struct err *err)
{
    int r = jobdb_set_job_plan(d->db, j->id, p->text, p->facts, p->etag, err);

    if (r < 0)
        return r;
    free(j->facts);
    free(j->etag);
    j->facts = take_ptr(p->facts);
    j->etag = take_ptr(p->etag);
    free(j->version);
    free(j->replaces);
    j->version = take_ptr(p->version);
    j->replaces = take_ptr(p->replaces);
    job_read_facts(j);
    job_unload(d, j);
    r = job_load(d, j, err);
    if (r == 0)
        r = job_move(d, j, JOB_PLANNED, NULL, err);
    if (r == 0)
        engine_tell(d, EFFECT_JOB, j, "planned", NULL);
    return r;
}

int engine_plan_insert(struct dispatcher *d, struct live_job *j, struct err *err)
{
    struct planner *p = j->inserting;
    int r = insert_some(d, j, p, err);

    if (r == 0 && j->inserted < p->n_tasks) {
        engine_attend(d, j);
        return 0;
    }
    j->inserting = NULL;
    if (r == 0)
        r = finish(d, j, p, err);
    planner_free(p);
    return r;
}
