/* jobdb_sql.h - statements of the job database; private to jobdb*.c. */
#ifndef GOPMILL_DISPATCHER_JOBDB_SQL_H
#define GOPMILL_DISPATCHER_JOBDB_SQL_H

#include <sqlite3.h>

#include "jobdb.h"

enum jobdb_stmt {
    SQL_INSERT_JOB,
    SQL_UPDATE_JOB,
    SQL_SET_JOB_FACTS,
    SQL_SET_PLAN,
    SQL_LAST_ATTEMPT,
    SQL_DELETE_RESULTS,
    SQL_DELETE_BODIES,
    SQL_DELETE_TASKS,
    SQL_DELETE_PLAN,
    SQL_DELETE_JOB,
    SQL_INSERT_TASK,
    SQL_INSERT_BODY,
    SQL_SET_BODY,
    SQL_UPDATE_TASK,
    SQL_SET_SENT,
    SQL_SET_RESULT,
    SQL_DELETE_RESULT,
    SQL_EACH_JOB,
    SQL_EACH_TASK,
    SQL_EACH_RESULT,
    SQL_EACH_SUM,
    SQL_JOB_PLAN,
    SQL_TASK_BODY,
    SQL_TASK_RESULT,
    SQL_SET_COST,
    SQL_EACH_COST,
    SQL_ADD_DEAD,
    SQL_FORGET_DEAD,
    SQL_EACH_DEAD,
    SQL_LAST_DEAD,
    SQL_ADD_SWEEP,
    SQL_END_SWEEP,
    SQL_EACH_SWEEP,
    SQL_ADD_POISON,
    SQL_END_POISON,
    SQL_POISON,
    SQL_ADD_REPLACED,
    SQL_END_REPLACED,
    SQL_EACH_REPLACED,
    SQL_STMT_MAX
};

struct jobdb {
    sqlite3 *db;
    char *path;
    int full; /* since the transaction began: SQLite may have rolled it back by itself */
    sqlite3_stmt *stmts[SQL_STMT_MAX]; /* prepared when first used */
};

/* The statement with its parameters bound, from `types`: s text or NULL,
 * i int64_t, d double. Texts are borrowed until it is reset. */
int jobdb_prepare(struct jobdb *db, enum jobdb_stmt id, sqlite3_stmt **ret, struct err *err,
                  const char *types, ...);

/* Prepare, run to its end, reset. */
#define jobdb_run(db, id, err, ...)                                  \
    ({                                                               \
        sqlite3_stmt *_s;                                            \
        int _r = jobdb_prepare((db), (id), &_s, (err), __VA_ARGS__); \
        _r < 0 ? _r : jobdb_finish((db), _s, (err));                 \
    })
int jobdb_finish(struct jobdb *db, sqlite3_stmt *s, struct err *err);

/* What the last failure of `db` means. Returns a negative errno. */
int jobdb_fail(struct jobdb *db, struct err *err);

/* Step through `s`; each row goes to `row`, whose non-zero return ends it. */
int jobdb_walk(struct jobdb *db, sqlite3_stmt *s,
               int (*row)(struct jobdb *db, sqlite3_stmt *s, void *arg, struct err *err), void *arg,
               struct err *err);

const char *jobdb_text(sqlite3_stmt *s, int column); /* "" for NULL; valid until the next step */

#endif
