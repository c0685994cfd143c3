/* engine_submit.c - how jobs come in: by submission, and from the database
 * when a dispatcher starts. */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "../common/base/cleanup.h"
#include "../common/base/log.h"
#include "../common/base/utf8.h"
#include "../common/store/store.h"
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

static int source_etag(const char *url, struct store_stat *ret, struct err *err)
{
    _cleanup_free_ char *key = NULL;
    struct store *s;
    int r = store_open_object(url, &s, &key, err);

    if (r == 0) {
        r = s->ops->head(s, key, ret, err);
        store_free(s);
    }
    if (r == -ENOENT && err)
        err->cls = ERR_INPUT;
    return r;
}

/* ---- a job that is known ---- */

/* The queue may have died with the process that released into it. Where it
 * has not, a task runs twice and makes the same bytes. */
static int take_back(struct dispatcher *d, struct live_job *j, struct err *err)
{
    int r = 0;

    if (j->taken_back)
        return 0;
    for (size_t i = 0; i < j->n_tasks && r == 0; i++)
        if (j->tasks[i].state == TASK_RELEASED)
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
    if (strcmp(j->ladder, row->ladder) != 0) {
        if (strcmp(j->ladder_name, row->ladder_name) != 0)
            return err_set(err, -EEXIST, ERR_USAGE, "made with the ladder %.100s, not %.100s",
                           j->ladder_name, row->ladder_name);
        return err_set(err, -EEXIST, ERR_USAGE, "the ladder %.100s was changed since",
                       j->ladder_name);
    }
    if (strcmp(j->etag, row->etag) != 0)
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
    t->not_before_ms = 0;
    if (t->state != TASK_DEAD)
        return 0; /* written when it is next moved; old numbers only mean a longer wait */
    t->attempt++;
    return task_move(d, j, t, TASK_REVIVE, NULL, err);
}

/* Done tasks are looked at, dead ones get new attempts, the state goes on. */
static int go_on(struct dispatcher *d, struct live_job *j, struct err *err)
{
    int ended = j->state == JOB_FAILED || j->state == JOB_CANCELED;
    int r = 0;

    if (j->n_tasks > 0 && (!j->checked || ended || j->state == JOB_DONE))
        r = engine_recheck(d, j, err);
    for (size_t i = 0; i < j->n_tasks && r == 0; i++)
        r = revive_task(d, j, &j->tasks[i], err);
    if (r < 0)
        return r;
    if (ended)
        return job_move(d, j, j->has_plan ? JOB_REVIVE_PLANNED : JOB_REVIVE, NULL, err);
    /* Also where nothing is wrong: the playlists are written again. */
    if (j->state == JOB_DONE || (j->state == JOB_PUBLISHING && j->n_done < j->n_tasks))
        return job_move(d, j, JOB_REDO, NULL, err);
    return 0;
}

static int resume(struct dispatcher *d, struct live_job *j, struct err *err)
{
    int r = job_load(d, j, err);

    if (r == 0)
        r = jobdb_begin(d->db, err);
    if (r < 0)
        return r;
    r = take_back(d, j, err);
    if (r == 0)
        r = go_on(d, j, err);
    if (r == 0)
        r = jobdb_commit(d->db, err);
    if (r < 0) {
        jobdb_rollback(d->db);
        return r;
    }
    j->plan_tries = 0;
    j->tasks_reused = j->n_done;
    j->submit_ns = d->clock->mono_ns(d->clock);
    j->first_frame_s = 0;
    return 0;
}

/* ---- a new one ---- */

static int insert(struct dispatcher *d, const struct job_row *row, struct live_job *old,
                  struct err *err)
{
    struct live_job *j = NULL;
    int r = job_new(row, &j, err);

    if (r == 0)
        r = jobdb_begin(d->db, err);
    if (r == 0 && old)
        r = jobdb_delete_job(d->db, old->id, err);
    if (r == 0)
        r = jobdb_insert_job(d->db, row, err);
    if (r == 0)
        r = jobdb_commit(d->db, err);
    if (r < 0) {
        jobdb_rollback(d->db);
        job_free(j);
        return r;
    }
    j->loaded = 1; /* there is nothing to load */
    j->checked = j->taken_back = 1;
    j->submit_ns = d->clock->mono_ns(d->clock);
    if (old)
        job_forget(d, old);
    job_append(d, j);
    return 0;
}

/* Nothing was made of it and nothing is being made: it may be another job. */
static int is_blank(struct dispatcher *d, struct live_job *j)
{
    return (j->state == JOB_FAILED || j->state == JOB_CANCELED || j->state == JOB_QUEUED) &&
           job_load(d, j, NULL) == 0 && !j->has_plan;
}

int dispatcher_submit(struct dispatcher *d, const struct job_request *req, struct err *err)
{
    struct store_stat st;
    int r = check_request(req, err);

    if (r == 0)
        r = source_etag(req->source, &st, err);
    if (r < 0)
        return r;
    _cleanup_free_ char *options = options_text(req);
    if (!options)
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory");
    int64_t now = d->clock->wall_ms(d->clock);
    const struct job_row row = {
        .id = req->id,
        .source = req->source,
        .etag = st.etag,
        .output = req->output,
        .ladder = req->ladder,
        .ladder_name = req->ladder_name,
        .options = options,
        .state = JOB_QUEUED,
        .created_ms = now,
        .updated_ms = now,
    };
    struct live_job *j = job_find(d, req->id);
    if (!j)
        return insert(d, &row, NULL, err);
    r = differs(j, &row, is_blank(d, j) ? NULL : err);
    if (r < 0)
        return is_blank(d, j) ? insert(d, &row, j, err) : r;
    return resume(d, j, err);
}

/* ---- from the database ---- */

struct loading {
    struct dispatcher *d;
    struct err *err;
};

static int load_one(void *arg, const struct job_row *row)
{
    const struct loading *l = arg;
    struct live_job *j;
    int r = job_new(row, &j, l->err);

    if (r == 0)
        job_append(l->d, j);
    return r;
}

static int load_live(struct dispatcher *d, struct live_job *j, struct err *err)
{
    int r = job_load(d, j, err);

    if (r == 0)
        r = jobdb_begin(d->db, err);
    if (r < 0)
        return r;
    r = take_back(d, j, err);
    if (r == 0 && j->state == JOB_PLANNING)
        r = job_move(d, j, JOB_INTERRUPTED, NULL, err);
    if (r == 0)
        r = jobdb_commit(d->db, err);
    if (r < 0)
        jobdb_rollback(d->db);
    j->tasks_reused = j->n_done;
    j->submit_ns = d->clock->mono_ns(d->clock);
    return r;
}

int engine_load(struct dispatcher *d, struct err *err)
{
    struct loading l = { d, err };
    int r = jobdb_each_job(d->db, load_one, &l, err);

    for (struct live_job *j = d->jobs; j && r == 0; j = j->next)
        if (j->state != JOB_DONE && j->state != JOB_FAILED && j->state != JOB_CANCELED)
            r = load_live(d, j, err);
    return r;
}
