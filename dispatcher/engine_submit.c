/* engine_submit.c - how jobs come in: by submission, again by a requeue, and
 * from the database when a dispatcher starts. */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "../common/base/cleanup.h"
#include "../common/base/log.h"
#include "../common/base/utf8.h"
#include "job.h"

enum { ID_MAX = 128, LADDER_MAX = 1 << 20 };

/* ---- the request ---- */

static int check_request(const struct job_request *q, struct err *err)
{
    size_t n = q->id ? strnlen(q->id, ID_MAX + 1) : 0;

    if (n == 0 || n > ID_MAX || !utf8_valid(q->id, n))
        return err_set(err, -EINVAL, ERR_USAGE, "a job id has 1 to %d bytes of UTF-8", ID_MAX);
    if (!q->source || !q->output || !q->ladder || !q->ladder_name)
        return err_set(err, -EINVAL, ERR_USAGE, "job %s: no source, output or ladder", q->id);
    if (strnlen(q->ladder, LADDER_MAX + 1) > LADDER_MAX)
        return err_set(err, -EINVAL, ERR_USAGE, "job %s: a ladder above %d bytes", q->id,
                       LADDER_MAX);
    if (!(q->chunk_seconds >= 0) || !(q->segment_seconds >= 0) || !(q->gop_seconds >= 0))
        return err_set(err, -EINVAL, ERR_USAGE, "job %s: a length below 0 seconds", q->id);
    if (q->priority > JOB_PRIORITY_MAX)
        return err_set(err, -EINVAL, ERR_USAGE, "job %s: priority %u is above %d", q->id,
                       q->priority, JOB_PRIORITY_MAX);
    return 0;
}

static char *options_text(const struct job_request *q)
{
    json_t *j = json_pack("{s:f, s:f, s:f, s:I}", "chunk_seconds", q->chunk_seconds,
                          "segment_seconds", q->segment_seconds, "gop_seconds", q->gop_seconds,
                          "chunk_count", (json_int_t)q->chunk_count);
    char *text = j ? json_dumps(j, JSON_COMPACT | JSON_SORT_KEYS) : NULL;

    json_decref(j);
    return text;
}

/* ---- a job that is known ---- */

/* What the queue had may have died with the process that released it; or it
 * was never sent. Where it is in the queue after all, a task runs twice and
 * makes the same bytes. */
static int take_back(struct dispatcher *d, struct live_job *j, struct err *err)
{
    int r = 0;

    if (j->taken_back)
        return 0;
    for (size_t i = 0; i < j->n_tasks && r == 0; i++)
        if (j->tasks[i].state == TASK_RELEASED && (!d->survives || !j->tasks[i].sent))
            r = task_move(d, j, &j->tasks[i], TASK_LOST, NULL, err);
    j->taken_back = r == 0;
    return r;
}

static int differs(const struct live_job *j, const struct job_row *row, struct err *err)
{
    if (strcmp(j->source, row->source) != 0)
        return err_set(err, -EEXIST, ERR_USAGE, "made from %.300s, not %.300s", j->source,
                       row->source);
    if (strcmp(j->output, row->output) != 0)
        return err_set(err, -EEXIST, ERR_USAGE, "made for %.300s, not %.300s", j->output,
                       row->output);
    if (strcmp(j->ladder->text, row->ladder) != 0) {
        if (strcmp(j->ladder_name, row->ladder_name) != 0)
            return err_set(err, -EEXIST, ERR_USAGE, "made with the ladder %.100s, not %.100s",
                           j->ladder_name, row->ladder_name);
        return err_set(err, -EEXIST, ERR_USAGE, "the ladder %.100s was changed since",
                       j->ladder_name);
    }
    if (j->etag[0] && row->etag[0] && strcmp(j->etag, row->etag) != 0)
        return err_set(err, -EEXIST, ERR_USAGE, "the source %.300s was changed since", j->source);
    if (strcmp(j->options, row->options) != 0)
        return err_set(err, -EEXIST, ERR_USAGE, "made with other options: %.200s, not %.200s",
                       j->options, row->options);
    return 0;
}

static int revive_task(struct dispatcher *d, struct live_job *j, struct live_task *t,
                       struct err *err)
{
    if (t->state == TASK_DONE)
        return 0;
    t->failures = 0;
    t->crashed_on = 0;
    t->not_before_ms = 0;
    if (t->state == TASK_WAITING && j->waits) { /* at once, not when its back-off ends */
        sched_leave(d->tasks, j->waits, (size_t)(t - j->tasks));
        sched_wait(d->tasks, j->waits, (size_t)(t - j->tasks), 0);
    }
    if (t->state != TASK_DEAD)
        return 0; /* written when it is next moved; old numbers only mean a longer wait */
    t->attempt++;
    return task_move(d, j, t, TASK_REVIVE, NULL, err);
}

/* What earlier tries left behind counts no more. */
static void forget_tries(struct dispatcher *d, struct live_job *j)
{
    j->plan_tries = j->plan_waits = j->publish_tries = 0;
    j->plan_after_ms = 0;
    j->publish_after_ms = j->early_after_ms = 0;
    j->early_shown = 0;
    j->sweep_wanted = 0;
    j->tasks_reused = j->n[TASK_DONE];
    j->submit_ns = d->clock->mono_ns(d->clock);
    j->first_frame_s = 0;
    engine_attend(d, j);
}

static int needs_source(const struct live_job *j)
{
    return j->n[TASK_DONE] < j->n_tasks;
}

/* Where something is left to be encoded, the source must still be the one that the plan was made
 * of: a planner looks first (engine_plan.c), unless who asks has. */
static enum job_event revival(const struct live_job *j, int same_source)
{
    return job_has_plan(j) && (same_source || !needs_source(j)) ? JOB_REVIVE_PLANNED : JOB_REVIVE;
}

/* Done tasks are looked at, dead ones get new attempts, the state goes on. */
static int go_on(struct dispatcher *d, struct live_job *j, int same_source, struct err *err)
{
    int over = j->state == JOB_FAILED || j->state == JOB_CANCELED;
    int r = 0;

    if (j->n_tasks > 0 && (!j->checked || over || j->state == JOB_DONE))
        j->check_wanted = 1;
    for (size_t i = 0; i < j->n_tasks && r == 0; i++)
        r = revive_task(d, j, &j->tasks[i], err);
    if (r < 0)
        return r;
    if (over)
        return job_move(d, j, revival(j, same_source), NULL, err);
    /* Made again in part, and that failed. */
    if (j->state == JOB_DONE && j->error && needs_source(j) && !same_source)
        return job_move(d, j, JOB_REVIVE, NULL, err);
    /* Also where nothing is wrong: the playlists are written again. */
    if (j->state == JOB_DONE || (j->state == JOB_PUBLISHING && j->n[TASK_DONE] < j->n_tasks))
        return job_move(d, j, JOB_REDO, NULL, err);
    return 0;
}

static int resume(struct dispatcher *d, struct live_job *j, int same_source, struct err *err)
{
    int r = job_load(d, j, err);

    if (r == 0)
        r = take_back(d, j, err);
    if (r == 0)
        r = go_on(d, j, same_source, err);
    if (r == 0)
        forget_tries(d, j);
    return r;
}

/* ---- a new one ---- */

static int insert(struct dispatcher *d, const struct job_row *row, struct live_job *old,
                  struct err *err)
{
    struct live_job *j = NULL;
    int r = engine_claim(d, old, row, err);

    if (r == 0)
        r = job_new(d, row, &j, err);
    if (r == 0)
        r = engine_begin(d, err);
    if (r == 0 && old)
        r = jobdb_delete_job(d->db, old->id, err);
    if (r == 0)
        r = jobdb_insert_job(d->db, row, err);
    if (r < 0) {
        job_free(d, j);
        return r;
    }
    if (old)
        job_forget(d, old);
    j->loaded = 1; /* there is nothing to load */
    j->checked = j->taken_back = 1;
    j->submit_ns = d->clock->mono_ns(d->clock);
    r = job_add(d, j, err);
    if (r < 0)
        job_free(d, j);
    else
        engine_tell(d, EFFECT_JOB, j, "queued", NULL);
    return r;
}

/* Nothing was made of it, and nobody waits for it: it may be another job. */
static int is_blank(const struct live_job *j)
{
    return (j->state == JOB_FAILED || j->state == JOB_CANCELED) && !job_has_plan(j);
}

/* Who submits again is a pipeline: only a person who looked has that tried again. */
static int refuse_poison(struct dispatcher *d, const struct live_job *j, struct err *err)
{
    struct err why = { 0 };
    int r = engine_poison(d, j, j->etag, &why, err);

    return r == 1 ? err_set(err, -EBUSY, ERR_USAGE, "job %.128s: %s", j->id, why.text) : r;
}

static int submit(struct dispatcher *d, const struct job_request *req, const char *options,
                  struct err *err)
{
    int64_t now = d->clock->wall_ms(d->clock);
    const struct job_row row = {
        .id = req->id,
        .source = req->source,
        .etag = req->etag ? req->etag : "",
        .output = req->output,
        .ladder = req->ladder,
        .ladder_name = req->ladder_name,
        .options = options,
        .tenant = req->tenant ? req->tenant : "",
        .notify = req->notify,
        .metadata = req->metadata,
        .priority = req->priority,
        .replace = req->replace,
        .state = JOB_QUEUED,
        .created_ms = now,
        .updated_ms = now,
    };
    struct live_job *j = job_find(d, req->id);
    if (!j)
        return insert(d, &row, NULL, err);
    int r = differs(j, &row, is_blank(j) ? NULL : err);
    if (is_blank(j) && (r < 0 || row.replace != j->replace))
        return insert(d, &row, j, err);
    if (r < 0)
        return r;
    int over = j->state == JOB_FAILED || j->state == JOB_CANCELED;
    if (!over && !req->recheck)
        return 0;
    r = over ? refuse_poison(d, j, err) : 0;
    if (r == 0 && job_ended(j))
        r = engine_reclaim(j, err);
    return r < 0 ? r : resume(d, j, row.etag[0] != '\0', err);
}

int dispatcher_submit(struct dispatcher *d, const struct job_request *req, struct err *err)
{
    int r = check_request(req, err);

    if (r < 0)
        return r;
    _cleanup_free_ char *options = options_text(req);
    if (!options)
        return engine_no_memory(err);
    return engine_settle(d, submit(d, req, options, err), err);
}

/* ---- again ---- */

/* What of a planned job is to be made again; numbers below 0: any. */
struct choice {
    int chunk;
    int group, audio; /* of the rendition; group: of sound, the track */
    int extra;        /* enum task_kind of the rendition, where it is one; 0: it isn't */
    const char *part; /* the rendition, where its tasks make others as well */
};

static int chosen(const struct choice *c, const struct live_task *t)
{
    if (c->chunk >= 0 && (t->audio || t->chunk != (unsigned)c->chunk))
        return 0;
    if (c->extra)
        return (int)task_kind_by_id(t->id) == c->extra;
    return c->group < 0 ||
           (t->audio == c->audio && !live_task_is_extra(t) && t->group == (unsigned)c->group);
}

static int find_rendition(struct dispatcher *d, struct live_job *j, const char *name,
                          struct choice *c, struct err *err)
{
    const struct plan *p;
    int r = job_plan(d, j, &p, err);

    /* A task of extras is done again as a whole: it may have left this one out. */
    for (size_t i = 0; r == 0 && i < p->n_extras; i++)
        if (strcmp(p->extras[i].name, name) == 0) {
            c->extra = (int)task_kind_of(p->extras[i].kind);
            return 0;
        }
    for (size_t i = 0; r == 0 && i < p->n_renditions; i++) {
        if (strcmp(p->renditions[i].name, name) != 0)
            continue;
        size_t mates = 0;
        c->audio = i >= p->n_video;
        for (size_t k = p->n_video; k < p->n_renditions && c->audio; k++)
            mates += p->renditions[k].track == p->renditions[i].track;
        if (c->audio)
            c->group = (int)p->renditions[i].track;
        for (size_t g = 0; g < p->n_groups && !c->audio; g++)
            for (size_t k = 0; k < p->groups[g].n_renditions; k++)
                if (p->groups[g].renditions[k] == i) {
                    c->group = (int)g;
                    mates = p->groups[g].n_renditions;
                }
        c->part = mates > 1 ? name : NULL;
        return 0;
    }
    return r < 0
               ? r
               : err_set(err, -ENOENT, ERR_USAGE, "job %.128s has no rendition %.64s", j->id, name);
}

static int redo_chosen(struct dispatcher *d, struct live_job *j, const struct choice *c,
                       struct err *err)
{
    static const struct err why = { ERR_USAGE, "asked for again" };
    int r = 0;

    for (size_t i = 0; i < j->n_tasks && r == 0; i++) {
        struct live_task *t = &j->tasks[i];
        if (!chosen(c, t))
            continue;
        if (t->state != TASK_DONE)
            r = engine_part_widen(d, j, t, c->part, err);
        else
            r = c->part ? engine_part_redo(d, j, t, c->part, &why, err)
                        : engine_redo(d, j, t, 0, &why, err);
    }
    return r;
}

static int requeue(struct dispatcher *d, const char *id, int chunk, const char *rendition,
                   struct err *err)
{
    struct live_job *j = job_find(d, id);
    struct choice c = { .chunk = chunk, .group = -1 };
    size_t n = 0;
    int r;

    if (!j)
        return err_set(err, -ENOENT, ERR_USAGE, "nobody knows a job %.128s", id);
    if (!job_ended(j))
        return err_set(err, -EBUSY, ERR_USAGE, "job %.128s is %s: it has not ended", id,
                       job_state_name(j->state));
    if ((r = engine_reclaim(j, err)) < 0)
        return r;
    if (chunk < 0 && !rendition)
        return (r = engine_poison_end(d, j, err)) < 0 ? r : resume(d, j, 0, err);
    if (!job_has_plan(j))
        return err_set(err, -ENOENT, ERR_USAGE, "job %.128s was never planned", id);
    if ((r = job_load(d, j, err)) < 0 ||
        (rendition && (r = find_rendition(d, j, rendition, &c, err)) < 0))
        return r;
    for (size_t i = 0; i < j->n_tasks; i++)
        n += chosen(&c, &j->tasks[i]);
    if (n == 0)
        return err_set(err, -ENOENT, ERR_USAGE, "job %.128s has no such chunk %d", id, chunk);
    r = engine_poison_end(d, j, err);
    if (r == 0)
        r = redo_chosen(d, j, &c, err);
    return r < 0 ? r : resume(d, j, 0, err);
}

int dispatcher_requeue(struct dispatcher *d, const char *id, int chunk, const char *rendition,
                       struct err *err)
{
    return engine_settle(d, requeue(d, id, chunk, rendition, err), err);
}

/* ---- from the database ---- */

struct loading {
    struct dispatcher *d;
    struct live_job **live;
    size_t n, cap;
    struct err *err;
};

static int load_one(void *arg, const struct job_row *row)
{
    struct loading *l = arg;
    struct live_job *j;
    int r = job_new(l->d, row, &j, l->err);

    if (r < 0)
        return r;
    r = job_add(l->d, j, l->err);
    if (r < 0) {
        job_free(l->d, j);
        return r;
    }
    if (job_ended(j))
        return 0;
    if (engine_grow(&l->live, &l->cap, l->n, sizeof(struct live_job *)) < 0)
        return engine_no_memory(l->err);
    l->live[l->n++] = j;
    return 0;
}

static int load_live(struct dispatcher *d, struct live_job *j, struct err *err)
{
    int r = job_load(d, j, err);

    if (r == 0)
        r = take_back(d, j, err);
    if (r == 0 && j->state == JOB_PLANNING)
        r = job_move(d, j, JOB_INTERRUPTED, NULL, err);
    j->tasks_reused = j->n[TASK_DONE];
    j->submit_ns = d->clock->mono_ns(d->clock);
    return r;
}

/* What jobs that have ended add up to, without their tasks. */
static int load_sum(void *arg, const struct task_sum *s)
{
    struct live_job *j = job_find(arg, s->job);

    if (!j || !job_ended(j) || !job_has_plan(j))
        return 0;
    j->n[s->state] = s->n;
    j->cost += s->cost;
    j->cpu_s += s->cpu_s;
    if (s->state == TASK_DONE)
        j->cost_done = s->cost;
    return 0;
}

static int load_sweep(void *arg, const struct sweep_row *row)
{
    return engine_sweep_add(arg, row);
}

static int load_replaced(void *arg, const struct replaced_row *row)
{
    return engine_replaced_add(arg, row);
}

int engine_load(struct dispatcher *d, struct err *err)
{
    struct loading l = { .d = d, .err = err };
    int r = jobdb_each_job(d->db, load_one, &l, err);

    for (size_t i = 0; i < l.n && r == 0; i++)
        r = load_live(d, l.live[i], err);
    free(l.live);
    if (r == 0 && d->cfg.board)
        r = jobdb_each_sum(d->db, load_sum, d, err);
    if (r == 0)
        r = jobdb_each_sweep(d->db, load_sweep, d, err);
    if (r == 0)
        r = jobdb_each_replaced(d->db, load_replaced, d, err);
    if (r == 0)
        r = jobdb_last_dead(d->db, &d->last_dead, err);
    return engine_settle(d, r, err);
}
