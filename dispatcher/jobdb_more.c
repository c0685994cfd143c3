/* jobdb_more.c - what is beside jobs and tasks: results in one go, costs, dead
 * letters, sweeps. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "jobdb.h"
#include "jobdb_sql.h"
#include "state.h"

struct each_result {
    int (*each)(void *arg, const char *task, const char *result);
    void *arg;
};

static int result_row(struct jobdb *db, sqlite3_stmt *s, void *arg, struct err *err)
{
    const struct each_result *e = arg;

    (void)db, (void)err;
    return e->each(e->arg, jobdb_text(s, 0), jobdb_text(s, 1));
}

int jobdb_each_result(struct jobdb *db, const char *job,
                      int (*each)(void *arg, const char *task, const char *result), void *arg,
                      struct err *err)
{
    struct each_result e = { each, arg };
    sqlite3_stmt *s;
    int r = jobdb_prepare(db, SQL_EACH_RESULT, &s, err, "s", job);

    return r < 0 ? r : jobdb_walk(db, s, result_row, &e, err);
}

struct each_sum {
    int (*each)(void *arg, const struct task_sum *s);
    void *arg;
};

static int sum_row(struct jobdb *db, sqlite3_stmt *s, void *arg, struct err *err)
{
    const struct each_sum *e = arg;
    int state = task_state_parse(jobdb_text(s, 1));

    (void)db, (void)err;
    if (state < 0)
        return 0; /* whoever loads the job will say so */
    const struct task_sum sum = { .job = jobdb_text(s, 0),
                                  .state = (enum task_state)state,
                                  .n = (size_t)sqlite3_column_int64(s, 2),
                                  .cost = sqlite3_column_double(s, 3),
                                  .cpu_s = sqlite3_column_double(s, 4) };
    return e->each(e->arg, &sum);
}

int jobdb_each_sum(struct jobdb *db, int (*each)(void *arg, const struct task_sum *s), void *arg,
                   struct err *err)
{
    struct each_sum e = { each, arg };
    sqlite3_stmt *s;
    int r = jobdb_prepare(db, SQL_EACH_SUM, &s, err, "");

    return r < 0 ? r : jobdb_walk(db, s, sum_row, &e, err);
}

/* ---- costs ---- */

int jobdb_set_cost(struct jobdb *db, const char *encoder, double ratio, uint64_t seen_ms,
                   struct err *err)
{
    return jobdb_run(db, SQL_SET_COST, err, "sdi", encoder, ratio, (int64_t)seen_ms);
}

struct each_cost {
    int (*each)(void *arg, const char *encoder, double ratio, uint64_t seen_ms);
    void *arg;
};

static int cost_row(struct jobdb *db, sqlite3_stmt *s, void *arg, struct err *err)
{
    const struct each_cost *e = arg;

    (void)db, (void)err;
    return e->each(e->arg, jobdb_text(s, 0), sqlite3_column_double(s, 1),
                   (uint64_t)sqlite3_column_int64(s, 2));
}

int jobdb_each_cost(struct jobdb *db,
                    int (*each)(void *arg, const char *encoder, double ratio, uint64_t seen_ms),
                    void *arg, struct err *err)
{
    struct each_cost e = { each, arg };
    sqlite3_stmt *s;
    int r = jobdb_prepare(db, SQL_EACH_COST, &s, err, "");

    return r < 0 ? r : jobdb_walk(db, s, cost_row, &e, err);
}

/* ---- dead letters ---- */

int jobdb_add_dead(struct jobdb *db, int64_t n, int64_t keep, const struct dead_letter *l,
                   struct err *err)
{
    int r = jobdb_run(db, SQL_ADD_DEAD, err, "iisss", n, l->at_ms, l->queue, l->reason, l->body);

    return r < 0 ? r : jobdb_run(db, SQL_FORGET_DEAD, err, "i", n - keep);
}

struct each_dead {
    int (*each)(void *arg, const struct dead_letter *l);
    void *arg;
};

static int dead_row(struct jobdb *db, sqlite3_stmt *s, void *arg, struct err *err)
{
    const struct each_dead *e = arg;
    const struct dead_letter l = { .at_ms = sqlite3_column_int64(s, 0),
                                   .queue = jobdb_text(s, 1),
                                   .reason = jobdb_text(s, 2),
                                   .body = jobdb_text(s, 3) };

    (void)db, (void)err;
    return e->each(e->arg, &l);
}

int jobdb_each_dead(struct jobdb *db, int (*each)(void *arg, const struct dead_letter *l),
                    void *arg, struct err *err)
{
    struct each_dead e = { each, arg };
    sqlite3_stmt *s;
    int r = jobdb_prepare(db, SQL_EACH_DEAD, &s, err, "");

    return r < 0 ? r : jobdb_walk(db, s, dead_row, &e, err);
}

static int number_row(struct jobdb *db, sqlite3_stmt *s, void *arg, struct err *err)
{
    (void)db, (void)err;
    *(int64_t *)arg = sqlite3_column_int64(s, 0);
    return 0;
}

int jobdb_last_dead(struct jobdb *db, int64_t *ret_n, struct err *err)
{
    sqlite3_stmt *s;
    int r = jobdb_prepare(db, SQL_LAST_DEAD, &s, err, "");

    return r < 0 ? r : jobdb_walk(db, s, number_row, ret_n, err);
}

/* ---- sweeps ---- */

int jobdb_add_sweep(struct jobdb *db, const struct sweep_row *s, struct err *err)
{
    return jobdb_run(db, SQL_ADD_SWEEP, err, "ssi", s->job, s->output, (int64_t)s->everything);
}

int jobdb_end_sweep(struct jobdb *db, const char *job, struct err *err)
{
    return jobdb_run(db, SQL_END_SWEEP, err, "s", job);
}

struct each_sweep {
    int (*each)(void *arg, const struct sweep_row *s);
    void *arg;
};

static int sweep_row(struct jobdb *db, sqlite3_stmt *s, void *arg, struct err *err)
{
    const struct each_sweep *e = arg;
    const struct sweep_row row = { .job = jobdb_text(s, 0),
                                   .output = jobdb_text(s, 1),
                                   .everything = sqlite3_column_int(s, 2) };

    (void)db, (void)err;
    return e->each(e->arg, &row);
}

int jobdb_each_sweep(struct jobdb *db, int (*each)(void *arg, const struct sweep_row *s), void *arg,
                     struct err *err)
{
    struct each_sweep e = { each, arg };
    sqlite3_stmt *s;
    int r = jobdb_prepare(db, SQL_EACH_SWEEP, &s, err, "");

    return r < 0 ? r : jobdb_walk(db, s, sweep_row, &e, err);
}

/* ---- poison ---- */

int jobdb_add_poison(struct jobdb *db, const char *source, const char *etag, const char *reason,
                     int64_t at_ms, struct err *err)
{
    return jobdb_run(db, SQL_ADD_POISON, err, "sssi", source, etag, reason, at_ms);
}

int jobdb_end_poison(struct jobdb *db, const char *source, const char *etag, struct err *err)
{
    return jobdb_run(db, SQL_END_POISON, err, "ss", source, etag);
}

static int reason_row(struct jobdb *db, sqlite3_stmt *s, void *arg, struct err *err)
{
    char **ret = arg;

    (void)db;
    *ret = strdup(jobdb_text(s, 0));
    return *ret ? 0 : err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory");
}

int jobdb_poison(struct jobdb *db, const char *source, const char *etag, char **ret,
                 struct err *err)
{
    sqlite3_stmt *s;
    int r = jobdb_prepare(db, SQL_POISON, &s, err, "ss", source, etag);

    *ret = NULL;
    return r < 0 ? r : jobdb_walk(db, s, reason_row, ret, err);
}

/* ---- versions that were replaced ---- */

int jobdb_add_replaced(struct jobdb *db, const struct replaced_row *v, struct err *err)
{
    return jobdb_run(db, SQL_ADD_REPLACED, err, "ssi", v->output, v->version, v->due_ms);
}

int jobdb_end_replaced(struct jobdb *db, const struct replaced_row *v, struct err *err)
{
    return jobdb_run(db, SQL_END_REPLACED, err, "ss", v->output, v->version);
}

struct each_replaced {
    int (*each)(void *arg, const struct replaced_row *v);
    void *arg;
};

static int replaced_row(struct jobdb *db, sqlite3_stmt *s, void *arg, struct err *err)
{
    const struct each_replaced *e = arg;
    const struct replaced_row row = { .output = jobdb_text(s, 0),
                                      .version = jobdb_text(s, 1),
                                      .due_ms = sqlite3_column_int64(s, 2) };

    (void)db, (void)err;
    return e->each(e->arg, &row);
}

int jobdb_each_replaced(struct jobdb *db, int (*each)(void *arg, const struct replaced_row *v),
                        void *arg, struct err *err)
{
    struct each_replaced e = { each, arg };
    sqlite3_stmt *s;
    int r = jobdb_prepare(db, SQL_EACH_REPLACED, &s, err, "");

    return r < 0 ? r : jobdb_walk(db, s, replaced_row, &e, err);
}
