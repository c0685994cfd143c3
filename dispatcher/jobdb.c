#include "jobdb.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "jobdb_sql.h"

enum { BUSY_TIMEOUT_MS = 5000 };

/* Step n brings the schema from version n to n + 1. Steps are only added. */
static const char *const migrations[] = {
    "CREATE TABLE jobs ("
    " id TEXT NOT NULL PRIMARY KEY, source TEXT NOT NULL, etag TEXT NOT NULL,"
    " output TEXT NOT NULL, ladder TEXT NOT NULL, ladder_name TEXT NOT NULL,"
    " options TEXT NOT NULL, state TEXT NOT NULL, error_class TEXT NOT NULL,"
    " error_text TEXT NOT NULL, plan TEXT, created_ms BIGINT NOT NULL,"
    " updated_ms BIGINT NOT NULL);"
    "CREATE TABLE tasks ("
    " job TEXT NOT NULL REFERENCES jobs (id), id TEXT NOT NULL, ord BIGINT NOT NULL,"
    " state TEXT NOT NULL, attempt BIGINT NOT NULL, failures BIGINT NOT NULL,"
    " not_before_ms BIGINT NOT NULL, cost DOUBLE PRECISION NOT NULL,"
    " cpu_s DOUBLE PRECISION NOT NULL, chunk BIGINT NOT NULL, grp BIGINT NOT NULL,"
    " audio BIGINT NOT NULL, frames BIGINT NOT NULL, body TEXT NOT NULL, result TEXT,"
    " error_class TEXT NOT NULL, error_text TEXT NOT NULL, PRIMARY KEY (job, id));"
    "CREATE UNIQUE INDEX tasks_by_ord ON tasks (job, ord);",

    "CREATE TABLE plans (job TEXT NOT NULL PRIMARY KEY, plan TEXT NOT NULL);"
    "INSERT INTO plans (job, plan) SELECT id, plan FROM jobs WHERE plan IS NOT NULL;"
    "CREATE TABLE bodies (job TEXT NOT NULL, id TEXT NOT NULL, body TEXT NOT NULL,"
    " PRIMARY KEY (job, id));"
    "INSERT INTO bodies (job, id, body) SELECT job, id, body FROM tasks;"
    "CREATE TABLE results (job TEXT NOT NULL, id TEXT NOT NULL, result TEXT NOT NULL,"
    " PRIMARY KEY (job, id));"
    "INSERT INTO results (job, id, result) SELECT job, id, result FROM tasks"
    " WHERE result IS NOT NULL;"
    "ALTER TABLE tasks DROP COLUMN body;"
    "ALTER TABLE tasks DROP COLUMN result;"
    "ALTER TABLE tasks ADD COLUMN encoder TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE tasks ADD COLUMN sent BIGINT NOT NULL DEFAULT 0;"
    "ALTER TABLE jobs ADD COLUMN facts TEXT NOT NULL DEFAULT '';"
    "UPDATE jobs SET facts = '{}' WHERE plan IS NOT NULL;"
    "ALTER TABLE jobs DROP COLUMN plan;"
    "ALTER TABLE jobs ADD COLUMN tenant TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE jobs ADD COLUMN notify TEXT;"
    "ALTER TABLE jobs ADD COLUMN metadata TEXT;"
    "ALTER TABLE jobs ADD COLUMN priority BIGINT NOT NULL DEFAULT 5;"
    "ALTER TABLE jobs ADD COLUMN started_ms BIGINT NOT NULL DEFAULT 0;"
    "ALTER TABLE jobs ADD COLUMN ended_ms BIGINT NOT NULL DEFAULT 0;"
    "ALTER TABLE jobs ADD COLUMN playable_ms BIGINT NOT NULL DEFAULT 0;"
    "ALTER TABLE jobs ADD COLUMN notified BIGINT NOT NULL DEFAULT 0;"
    "ALTER TABLE jobs ADD COLUMN swept BIGINT NOT NULL DEFAULT 0;"
    "UPDATE jobs SET ended_ms = updated_ms WHERE state IN ('done', 'failed', 'canceled');"
    "CREATE TABLE costs (encoder TEXT NOT NULL PRIMARY KEY, ratio DOUBLE PRECISION NOT NULL,"
    " samples BIGINT NOT NULL);"
    "CREATE TABLE dead (n BIGINT NOT NULL PRIMARY KEY, at_ms BIGINT NOT NULL,"
    " queue TEXT NOT NULL, reason TEXT NOT NULL, body TEXT NOT NULL);"
    "CREATE TABLE sweeps (job TEXT NOT NULL PRIMARY KEY, output TEXT NOT NULL,"
    " everything BIGINT NOT NULL);",

    /* Of several jobs with one output the last that was done has the package. Of those at work only
     * the first goes on. */
    "ALTER TABLE jobs ADD COLUMN replaced_by TEXT NOT NULL DEFAULT '';"
    "CREATE INDEX jobs_by_place ON jobs (rtrim(output, '/'));"
    "UPDATE jobs SET replaced_by = COALESCE((SELECT o.id FROM jobs o"
    " WHERE rtrim(o.output, '/') = rtrim(jobs.output, '/') AND o.state = 'done'"
    " ORDER BY o.ended_ms DESC, o.id DESC LIMIT 1), '')"
    " WHERE state IN ('done', 'failed', 'canceled');"
    "UPDATE jobs SET replaced_by = '' WHERE replaced_by = id;"
    "UPDATE jobs SET state = 'failed', ended_ms = updated_ms, error_class = 'usage',"
    " error_text = 'its output belonged to an earlier job that was at work: submit it again with'"
    " || ' another output'"
    " WHERE state NOT IN ('done', 'failed', 'canceled') AND EXISTS (SELECT 1 FROM jobs o"
    " WHERE rtrim(o.output, '/') = rtrim(jobs.output, '/')"
    " AND o.state NOT IN ('done', 'failed', 'canceled')"
    " AND (o.created_ms < jobs.created_ms OR (o.created_ms = jobs.created_ms AND o.id < jobs.id)));"
    "DROP INDEX jobs_by_place;",

    /* Uploads that crashed two workers. */
    "CREATE TABLE poison (source TEXT NOT NULL, etag TEXT NOT NULL, reason TEXT NOT NULL,"
    " at_ms BIGINT NOT NULL, PRIMARY KEY (source, etag));",

    "ALTER TABLE jobs ADD COLUMN may_replace BIGINT NOT NULL DEFAULT 0;"
    "ALTER TABLE jobs ADD COLUMN version TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE jobs ADD COLUMN replaces TEXT;"
    "ALTER TABLE jobs ADD COLUMN run BIGINT NOT NULL DEFAULT 0;"
    "ALTER TABLE jobs ADD COLUMN published BIGINT NOT NULL DEFAULT 0;"
    "UPDATE jobs SET published = 1 WHERE state = 'done' AND replaced_by = '';"
    "CREATE TABLE replaced (output TEXT NOT NULL, version TEXT NOT NULL, due_ms BIGINT NOT NULL,"
    " PRIMARY KEY (output, version));",

    "ALTER TABLE jobs ADD COLUMN early_ended BIGINT NOT NULL DEFAULT 0;",
};

enum { SCHEMA_VERSION = sizeof(migrations) / sizeof(migrations[0]) };

/* What the file of the WAL's index has no room for is told as an I/O error. */
static int error_code(struct jobdb *db)
{
    int code = sqlite3_errcode(db->db) & 0xff, os = sqlite3_system_errno(db->db);

    return code == SQLITE_IOERR && (os == ENOSPC || os == EDQUOT) ? SQLITE_FULL : code;
}

int jobdb_fail(struct jobdb *db, struct err *err)
{
    int code = error_code(db);

    if (db->full && code == SQLITE_ERROR && sqlite3_get_autocommit(db->db))
        code = SQLITE_FULL; /* "no transaction is active" is what came of it */
    switch (code) {
    case SQLITE_FULL:
        db->full = 1;
        return err_set(err, -ENOSPC, ERR_STORAGE,
                       "job database %.400s: the disk is full; free some space and run the same "
                       "command again to resume",
                       db->path);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return err_set(err, -EBUSY, ERR_STORAGE, "job database %.400s is in use by another process",
                       db->path);
    default:
        return err_set(err, -EIO, ERR_STORAGE, "job database %.400s: %s", db->path,
                       sqlite3_errmsg(db->db));
    }
}

static int exec(struct jobdb *db, const char *sql, struct err *err)
{
    return sqlite3_exec(db->db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : jobdb_fail(db, err);
}

static int user_version(struct jobdb *db, int *ret, struct err *err)
{
    sqlite3_stmt *s;

    if (sqlite3_prepare_v2(db->db, "PRAGMA user_version", -1, &s, NULL) != SQLITE_OK)
        return jobdb_fail(db, err);
    int r = sqlite3_step(s) == SQLITE_ROW ? 0 : jobdb_fail(db, err);
    if (r == 0)
        *ret = sqlite3_column_int(s, 0);
    (void)sqlite3_finalize(s);
    return r;
}

static int migrate(struct jobdb *db, struct err *err)
{
    int version = 0;
    int r = user_version(db, &version, err);

    if (r < 0)
        return r;
    if (version > SCHEMA_VERSION)
        return err_set(err, -EPROTO, ERR_STORAGE,
                       "job database %.400s has version %d, this program knows %d; use the newer "
                       "program",
                       db->path, version, SCHEMA_VERSION);
    for (; version < SCHEMA_VERSION; version++) {
        char pragma[64];
        (void)snprintf(pragma, sizeof(pragma), "PRAGMA user_version = %d", version + 1);
        r = jobdb_begin(db, err);
        if (r == 0)
            r = exec(db, migrations[version], err);
        if (r == 0)
            r = exec(db, pragma, err);
        if (r == 0)
            r = jobdb_commit(db, err);
        if (r < 0) {
            jobdb_rollback(db);
            return r;
        }
    }
    return 0;
}

int jobdb_open(const char *path, struct jobdb **ret, struct err *err)
{
    struct jobdb *db = calloc(1, sizeof(*db));

    if (!db || !(db->path = strdup(path))) {
        jobdb_free(db);
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory");
    }
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    int r = sqlite3_open_v2(path, &db->db, flags, NULL) == SQLITE_OK ? 0 : jobdb_fail(db, err);
    if (r == 0) {
        (void)sqlite3_busy_timeout(db->db, BUSY_TIMEOUT_MS);
        r = exec(db,
                 "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
                 "PRAGMA foreign_keys = ON",
                 err);
    }
    if (r == 0)
        r = migrate(db, err);
    if (r < 0)
        jobdb_free(db);
    else
        *ret = db;
    return r;
}

void jobdb_free(struct jobdb *db)
{
    if (!db)
        return;
    for (int i = 0; i < SQL_STMT_MAX; i++)
        (void)sqlite3_finalize(db->stmts[i]);
    (void)sqlite3_close(db->db);
    free(db->path);
    free(db);
}

int jobdb_begin(struct jobdb *db, struct err *err)
{
    db->full = 0;
    return exec(db, "BEGIN IMMEDIATE", err);
}

int jobdb_commit(struct jobdb *db, struct err *err)
{
    return exec(db, "COMMIT", err);
}

void jobdb_rollback(struct jobdb *db)
{
    if (!sqlite3_get_autocommit(db->db))
        (void)exec(db, "ROLLBACK", NULL);
}

/* ---- statements ---- */

static const char *const statements[SQL_STMT_MAX] = {
    [SQL_INSERT_JOB] = "INSERT INTO jobs (id, source, etag, output, ladder, ladder_name, options,"
                       " tenant, notify, metadata, priority, state, error_class, error_text, facts,"
                       " created_ms, updated_ms, may_replace)"
                       " VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13,$14,$15,$16,$17,$18)",
    [SQL_UPDATE_JOB] = "UPDATE jobs SET tenant = $1, notify = $2, metadata = $3, priority = $4,"
                       " state = $5, error_class = $6, error_text = $7, updated_ms = $8,"
                       " started_ms = $9, ended_ms = $10, playable_ms = $11, notified = $12,"
                       " swept = $13, replaced_by = $14, version = $15, replaces = $16, run = $17,"
                       " published = $18, early_ended = $19 WHERE id = $20",
    [SQL_SET_JOB_FACTS] = "UPDATE jobs SET facts = $1, etag = $2 WHERE id = $3",
    [SQL_SET_PLAN] = "INSERT INTO plans (job, plan) VALUES ($1,$2)"
                     " ON CONFLICT (job) DO UPDATE SET plan = excluded.plan",
    [SQL_LAST_ATTEMPT] = "SELECT COALESCE(MAX(attempt), 0) FROM tasks WHERE job = $1",
    [SQL_DELETE_RESULTS] = "DELETE FROM results WHERE job = $1",
    [SQL_DELETE_BODIES] = "DELETE FROM bodies WHERE job = $1",
    [SQL_DELETE_TASKS] = "DELETE FROM tasks WHERE job = $1",
    [SQL_DELETE_PLAN] = "DELETE FROM plans WHERE job = $1",
    [SQL_DELETE_JOB] = "DELETE FROM jobs WHERE id = $1",
    [SQL_INSERT_TASK] = "INSERT INTO tasks (job, id, ord, state, attempt, failures, not_before_ms,"
                        " cost, cpu_s, chunk, grp, audio, frames, error_class, error_text,"
                        " encoder, sent)"
                        " VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13,$14,$15,$16,$17)",
    [SQL_SET_BODY] = "UPDATE bodies SET body = $1 WHERE job = $2 AND id = $3",
    [SQL_INSERT_BODY] = "INSERT INTO bodies (job, id, body) VALUES ($1,$2,$3)",
    [SQL_UPDATE_TASK] = "UPDATE tasks SET state = $1, attempt = $2, failures = $3,"
                        " not_before_ms = $4, cpu_s = $5, frames = $6, sent = $7,"
                        " error_class = COALESCE($8, error_class),"
                        " error_text = COALESCE($9, error_text) WHERE job = $10 AND id = $11",
    [SQL_SET_SENT] = "UPDATE tasks SET sent = 1 WHERE job = $1 AND id = $2",
    [SQL_SET_RESULT] = "INSERT INTO results (job, id, result) VALUES ($1,$2,$3)"
                       " ON CONFLICT (job, id) DO UPDATE SET result = excluded.result",
    [SQL_DELETE_RESULT] = "DELETE FROM results WHERE job = $1 AND id = $2",
    [SQL_EACH_JOB] =
        "SELECT id, source, etag, output, ladder, ladder_name, options, state,"
        " error_class, error_text, created_ms, updated_ms, tenant, notify, metadata,"
        " priority, facts, started_ms, ended_ms, playable_ms, notified, swept,"
        " replaced_by, may_replace, version, replaces, run, published, early_ended FROM jobs ORDER BY created_ms, id",
    [SQL_EACH_TASK] = "SELECT id, ord, state, attempt, failures, not_before_ms, cost, cpu_s, chunk,"
                      " grp, audio, frames, error_class, error_text, encoder, sent FROM tasks"
                      " WHERE job = $1 ORDER BY ord",
    [SQL_EACH_RESULT] = "SELECT id, result FROM results WHERE job = $1 ORDER BY id",
    [SQL_EACH_SUM] = "SELECT job, state, COUNT(*), SUM(cost), SUM(cpu_s) FROM tasks"
                     " GROUP BY job, state",
    [SQL_JOB_PLAN] = "SELECT plan FROM jobs LEFT JOIN plans ON plans.job = jobs.id"
                     " WHERE jobs.id = $1",
    [SQL_TASK_BODY] = "SELECT body FROM bodies WHERE job = $1 AND id = $2",
    [SQL_TASK_RESULT] = "SELECT result FROM tasks LEFT JOIN results ON results.job = tasks.job"
                        " AND results.id = tasks.id WHERE tasks.job = $1 AND tasks.id = $2",
    [SQL_SET_COST] = "INSERT INTO costs (encoder, ratio, samples) VALUES ($1,$2,$3)"
                     " ON CONFLICT (encoder) DO UPDATE SET ratio = excluded.ratio,"
                     " samples = excluded.samples",
    [SQL_EACH_COST] = "SELECT encoder, ratio, samples FROM costs ORDER BY encoder",
    [SQL_ADD_DEAD] = "INSERT INTO dead (n, at_ms, queue, reason, body) VALUES ($1,$2,$3,$4,$5)",
    [SQL_FORGET_DEAD] = "DELETE FROM dead WHERE n <= $1",
    [SQL_EACH_DEAD] = "SELECT at_ms, queue, reason, body FROM dead ORDER BY n DESC",
    [SQL_LAST_DEAD] = "SELECT COALESCE(MAX(n), 0) FROM dead",
    [SQL_ADD_SWEEP] = "INSERT INTO sweeps (job, output, everything) VALUES ($1,$2,$3)"
                      " ON CONFLICT (job) DO UPDATE SET output = excluded.output,"
                      " everything = excluded.everything",
    [SQL_END_SWEEP] = "DELETE FROM sweeps WHERE job = $1",
    [SQL_ADD_REPLACED] = "INSERT INTO replaced (output, version, due_ms) VALUES ($1,$2,$3)"
                         " ON CONFLICT (output, version) DO UPDATE SET due_ms = excluded.due_ms",
    [SQL_END_REPLACED] = "DELETE FROM replaced WHERE output = $1 AND version = $2",
    [SQL_EACH_REPLACED] = "SELECT output, version, due_ms FROM replaced ORDER BY due_ms",
    [SQL_EACH_SWEEP] = "SELECT job, output, everything FROM sweeps ORDER BY job",
    [SQL_ADD_POISON] = "INSERT INTO poison (source, etag, reason, at_ms) VALUES ($1,$2,$3,$4)"
                       " ON CONFLICT (source, etag) DO UPDATE SET reason = excluded.reason,"
                       " at_ms = excluded.at_ms",
    [SQL_END_POISON] = "DELETE FROM poison WHERE source = $1 AND (etag = $2 OR $2 = '')",
    [SQL_POISON] = "SELECT reason FROM poison WHERE source = $1 AND etag = $2",
};

static int bind_one(sqlite3_stmt *s, int i, char type, va_list *ap)
{
    if (type == 'i')
        return sqlite3_bind_int64(s, i, va_arg(*ap, int64_t));
    if (type == 'd')
        return sqlite3_bind_double(s, i, va_arg(*ap, double));
    return sqlite3_bind_text(s, i, va_arg(*ap, const char *), -1, SQLITE_STATIC);
}

int jobdb_prepare(struct jobdb *db, enum jobdb_stmt id, sqlite3_stmt **ret, struct err *err,
                  const char *types, ...)
{
    sqlite3_stmt *s = db->stmts[id];
    int r = SQLITE_OK;
    va_list ap;

    if (!s && sqlite3_prepare_v3(db->db, statements[id], -1, SQLITE_PREPARE_PERSISTENT,
                                 &db->stmts[id], NULL) != SQLITE_OK)
        return jobdb_fail(db, err);
    s = db->stmts[id];
    va_start(ap, types);
    for (int i = 0; types[i] && r == SQLITE_OK; i++)
        r = bind_one(s, i + 1, types[i], &ap);
    va_end(ap);
    if (r != SQLITE_OK)
        return jobdb_fail(db, err);
    *ret = s;
    return 0;
}

int jobdb_finish(struct jobdb *db, sqlite3_stmt *s, struct err *err)
{
    int r = 0;

    while ((r = sqlite3_step(s)) == SQLITE_ROW)
        ;
    r = r == SQLITE_DONE ? 0 : jobdb_fail(db, err);
    (void)sqlite3_reset(s);
    (void)sqlite3_clear_bindings(s);
    return r;
}

int jobdb_walk(struct jobdb *db, sqlite3_stmt *s,
               int (*row)(struct jobdb *db, sqlite3_stmt *s, void *arg, struct err *err), void *arg,
               struct err *err)
{
    int r = 0, step = SQLITE_DONE;

    while (r == 0 && (step = sqlite3_step(s)) == SQLITE_ROW)
        r = row(db, s, arg, err);
    if (r == 0 && step != SQLITE_DONE)
        r = jobdb_fail(db, err);
    (void)sqlite3_reset(s);
    (void)sqlite3_clear_bindings(s);
    return r;
}

const char *jobdb_text(sqlite3_stmt *s, int column)
{
    const char *t = (const char *)sqlite3_column_text(s, column);
    return t ? t : "";
}
