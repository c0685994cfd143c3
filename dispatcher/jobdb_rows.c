/* jobdb_rows.c - jobs and tasks from and to their tables. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../common/base/utf8.h"
#include "jobdb.h"
#include "jobdb_sql.h"
#include "state.h"

int jobdb_insert_job(struct jobdb *db, const struct job_row *j, struct err *err)
{
    int r = jobdb_run(db, SQL_INSERT_JOB, err, "ssssssssssissssiii", j->id, j->source, j->etag,
                      j->output, j->ladder, j->ladder_name, j->options, j->tenant ? j->tenant : "",
                      j->notify, j->metadata, (int64_t)j->priority, job_state_name(j->state),
                      err_class_name(j->error.cls), j->error.text, j->facts ? j->facts : "",
                      j->created_ms, j->updated_ms, (int64_t)j->replace);

    if (r < 0 && sqlite3_extended_errcode(db->db) == SQLITE_CONSTRAINT_PRIMARYKEY)
        return err_set(err, -EEXIST, ERR_USAGE, "job %.64s exists", j->id);
    return r;
}

int jobdb_update_job(struct jobdb *db, const struct job_row *j, struct err *err)
{
    return jobdb_run(db, SQL_UPDATE_JOB, err, "sssisssiiiiiisssiiis", j->tenant ? j->tenant : "",
                     j->notify, j->metadata, (int64_t)j->priority, job_state_name(j->state),
                     err_class_name(j->error.cls), j->error.text, j->updated_ms, j->started_ms,
                     j->ended_ms, j->playable_ms, (int64_t)j->notified, (int64_t)j->swept,
                     j->replaced_by ? j->replaced_by : "", j->version ? j->version : "",
                     j->replaces, (int64_t)j->run, (int64_t)j->published, (int64_t)j->early_ended,
                     j->id);
}

int jobdb_set_job_plan(struct jobdb *db, const char *id, const char *plan, const char *facts,
                       const char *etag, struct err *err)
{
    int r = jobdb_run(db, SQL_SET_PLAN, err, "ss", id, plan);

    return r < 0 ? r : jobdb_run(db, SQL_SET_JOB_FACTS, err, "sss", facts, etag, id);
}

int jobdb_drop_job_plan(struct jobdb *db, const char *id, struct err *err)
{
    int r = jobdb_run(db, SQL_DELETE_PLAN, err, "s", id);

    return r < 0 ? r : jobdb_run(db, SQL_SET_JOB_FACTS, err, "sss", "", "", id);
}

static int attempt_row(struct jobdb *db, sqlite3_stmt *s, void *arg, struct err *err)
{
    (void)db, (void)err;
    *(unsigned *)arg = (unsigned)sqlite3_column_int64(s, 0);
    return 0;
}

int jobdb_last_attempt(struct jobdb *db, const char *job, unsigned *ret, struct err *err)
{
    sqlite3_stmt *s;
    int r = jobdb_prepare(db, SQL_LAST_ATTEMPT, &s, err, "s", job);

    return r < 0 ? r : jobdb_walk(db, s, attempt_row, ret, err);
}

int jobdb_delete_tasks(struct jobdb *db, const char *id, struct err *err)
{
    static const enum jobdb_stmt all[] = { SQL_DELETE_RESULTS, SQL_DELETE_BODIES, SQL_DELETE_TASKS,
                                           SQL_DELETE_PLAN };
    int r = 0;

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]) && r == 0; i++)
        r = jobdb_run(db, all[i], err, "s", id);
    return r;
}

int jobdb_delete_job(struct jobdb *db, const char *id, struct err *err)
{
    int r = jobdb_delete_tasks(db, id, err);

    return r < 0 ? r : jobdb_run(db, SQL_DELETE_JOB, err, "s", id);
}

int jobdb_insert_task(struct jobdb *db, const struct task_row *t, struct err *err)
{
    int r = jobdb_run(db, SQL_INSERT_TASK, err, "ssisiiiddiiiisssi", t->job, t->id, t->ord,
                      task_state_name(t->state), (int64_t)t->attempt, (int64_t)t->failures,
                      t->not_before_ms, t->cost, t->cpu_s, (int64_t)t->chunk, (int64_t)t->group,
                      (int64_t)t->audio, (int64_t)t->frames, err_class_name(t->error.cls),
                      t->error.text, t->encoder ? t->encoder : "", (int64_t)t->sent);

    if (r == 0)
        r = jobdb_run(db, SQL_INSERT_BODY, err, "sss", t->job, t->id, t->body);
    if (r == 0 && t->result)
        r = jobdb_set_result(db, t->job, t->id, t->result, err);
    return r;
}

int jobdb_update_task(struct jobdb *db, const struct task_row *t, struct err *err)
{
    int failed = t->error.cls != ERR_NONE;

    return jobdb_run(
        db, SQL_UPDATE_TASK, err, "siiidiissss", task_state_name(t->state), (int64_t)t->attempt,
        (int64_t)t->failures, t->not_before_ms, t->cpu_s, (int64_t)t->frames, (int64_t)t->sent,
        failed ? err_class_name(t->error.cls) : NULL, failed ? t->error.text : NULL, t->job, t->id);
}

int jobdb_set_sent(struct jobdb *db, const char *job, const char *task, struct err *err)
{
    return jobdb_run(db, SQL_SET_SENT, err, "ss", job, task);
}

int jobdb_set_body(struct jobdb *db, const char *job, const char *task, const char *body,
                   struct err *err)
{
    return jobdb_run(db, SQL_SET_BODY, err, "sss", body, job, task);
}

int jobdb_set_result(struct jobdb *db, const char *job, const char *task, const char *result,
                     struct err *err)
{
    if (!result)
        return jobdb_run(db, SQL_DELETE_RESULT, err, "ss", job, task);
    return jobdb_run(db, SQL_SET_RESULT, err, "sss", job, task, result);
}

static struct err error_of(sqlite3_stmt *s, int column)
{
    struct err e = { .cls = err_class_parse(jobdb_text(s, column)) };
    const char *text = jobdb_text(s, column + 1);
    size_t n = utf8_cut(text, sizeof(e.text) - 1);

    memcpy(e.text, text, n);
    return e;
}

static int bad_state(struct jobdb *db, const char *what, const char *state, struct err *err)
{
    return err_set(err, -EPROTO, ERR_STORAGE, "job database %.400s: a %s with state '%.32s'",
                   db->path, what, state);
}

struct each_job {
    int (*each)(void *arg, const struct job_row *j);
    void *arg;
};

static int job_row(struct jobdb *db, sqlite3_stmt *s, void *arg, struct err *err)
{
    const struct each_job *e = arg;
    int state = job_state_parse(jobdb_text(s, 7));

    if (state < 0)
        return bad_state(db, "job", jobdb_text(s, 7), err);
    const struct job_row j = {
        .id = jobdb_text(s, 0),
        .source = jobdb_text(s, 1),
        .etag = jobdb_text(s, 2),
        .output = jobdb_text(s, 3),
        .ladder = jobdb_text(s, 4),
        .ladder_name = jobdb_text(s, 5),
        .options = jobdb_text(s, 6),
        .state = (enum job_state)state,
        .error = error_of(s, 8),
        .created_ms = sqlite3_column_int64(s, 10),
        .updated_ms = sqlite3_column_int64(s, 11),
        .tenant = jobdb_text(s, 12),
        .notify = (const char *)sqlite3_column_text(s, 13),
        .metadata = (const char *)sqlite3_column_text(s, 14),
        .priority = (unsigned)sqlite3_column_int(s, 15),
        .facts = jobdb_text(s, 16),
        .started_ms = sqlite3_column_int64(s, 17),
        .ended_ms = sqlite3_column_int64(s, 18),
        .playable_ms = sqlite3_column_int64(s, 19),
        .notified = sqlite3_column_int(s, 20),
        .swept = sqlite3_column_int(s, 21),
        .replaced_by = jobdb_text(s, 22),
        .replace = sqlite3_column_int(s, 23),
        .version = jobdb_text(s, 24),
        .replaces = (const char *)sqlite3_column_text(s, 25),
        .run = (unsigned)sqlite3_column_int64(s, 26),
        .published = sqlite3_column_int(s, 27),
        .early_ended = sqlite3_column_int(s, 28),
    };
    return e->each(e->arg, &j);
}

int jobdb_each_job(struct jobdb *db, int (*each)(void *arg, const struct job_row *j), void *arg,
                   struct err *err)
{
    struct each_job e = { each, arg };
    sqlite3_stmt *s;
    int r = jobdb_prepare(db, SQL_EACH_JOB, &s, err, "");

    return r < 0 ? r : jobdb_walk(db, s, job_row, &e, err);
}

struct each_task {
    const char *job;
    int (*each)(void *arg, const struct task_row *t);
    void *arg;
};

static int task_row(struct jobdb *db, sqlite3_stmt *s, void *arg, struct err *err)
{
    const struct each_task *e = arg;
    int state = task_state_parse(jobdb_text(s, 2));

    if (state < 0)
        return bad_state(db, "task", jobdb_text(s, 2), err);
    const struct task_row t = {
        .job = e->job,
        .id = jobdb_text(s, 0),
        .ord = sqlite3_column_int64(s, 1),
        .state = (enum task_state)state,
        .attempt = (unsigned)sqlite3_column_int64(s, 3),
        .failures = (unsigned)sqlite3_column_int64(s, 4),
        .not_before_ms = sqlite3_column_int64(s, 5),
        .cost = sqlite3_column_double(s, 6),
        .cpu_s = sqlite3_column_double(s, 7),
        .chunk = (unsigned)sqlite3_column_int64(s, 8),
        .group = (unsigned)sqlite3_column_int64(s, 9),
        .audio = sqlite3_column_int(s, 10),
        .frames = (uint64_t)sqlite3_column_int64(s, 11),
        .error = error_of(s, 12),
        .encoder = jobdb_text(s, 14),
        .sent = sqlite3_column_int(s, 15),
    };
    return e->each(e->arg, &t);
}

int jobdb_each_task(struct jobdb *db, const char *job,
                    int (*each)(void *arg, const struct task_row *t), void *arg, struct err *err)
{
    struct each_task e = { job, each, arg };
    sqlite3_stmt *s;
    int r = jobdb_prepare(db, SQL_EACH_TASK, &s, err, "s", job);

    return r < 0 ? r : jobdb_walk(db, s, task_row, &e, err);
}

struct text_column {
    int found;
    char *text;
};

static int text_row(struct jobdb *db, sqlite3_stmt *s, void *arg, struct err *err)
{
    struct text_column *c = arg;
    const char *text = (const char *)sqlite3_column_text(s, 0);

    (void)db;
    c->found = 1;
    if (text && !(c->text = strdup(text)))
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory");
    return 0;
}

static int one_text(struct jobdb *db, sqlite3_stmt *s, const char *what, char **ret,
                    struct err *err)
{
    struct text_column c = { 0 };
    int r = jobdb_walk(db, s, text_row, &c, err);

    if (r == 0 && !c.found)
        r = err_set(err, -ENOENT, ERR_STORAGE, "job database %.400s: no %.140s", db->path, what);
    if (r == 0)
        *ret = c.text;
    else
        free(c.text);
    return r;
}

int jobdb_job_plan(struct jobdb *db, const char *id, char **ret, struct err *err)
{
    sqlite3_stmt *s;
    char what[160];
    int r = jobdb_prepare(db, SQL_JOB_PLAN, &s, err, "s", id);

    (void)snprintf(what, sizeof(what), "job %.64s", id);
    return r < 0 ? r : one_text(db, s, what, ret, err);
}

static int task_text(struct jobdb *db, enum jobdb_stmt stmt, const char *job, const char *task,
                     char **ret, struct err *err)
{
    sqlite3_stmt *s;
    char what[160];
    int r = jobdb_prepare(db, stmt, &s, err, "ss", job, task);

    (void)snprintf(what, sizeof(what), "task %.64s of job %.64s", task, job);
    return r < 0 ? r : one_text(db, s, what, ret, err);
}

int jobdb_task_body(struct jobdb *db, const char *job, const char *task, char **ret,
                    struct err *err)
{
    return task_text(db, SQL_TASK_BODY, job, task, ret, err);
}

int jobdb_task_result(struct jobdb *db, const char *job, const char *task, char **ret,
                      struct err *err)
{
    return task_text(db, SQL_TASK_RESULT, job, task, ret, err);
}
