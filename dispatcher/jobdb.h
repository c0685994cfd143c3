/* jobdb.h - what a dispatcher must not forget: jobs and their tasks, in
 * SQLite.
 *
 * A write that returned 0 outside a transaction, or whose transaction was
 * committed, survives the process and the machine (WAL, synchronous=FULL).
 * The statements are ones that PostgreSQL understands too. One thread at a
 * time. Every error is ERR_STORAGE and names the file; -ENOSPC and -EBUSY
 * (another process has been writing for seconds) are told apart from the
 * rest, -EIO.
 *
 * Rows of jobs and tasks are small and are written often; what is large and
 * written once (plans, tasks' messages, results) has tables of its own.
 */
#ifndef GOPMILL_DISPATCHER_JOBDB_H
#define GOPMILL_DISPATCHER_JOBDB_H

#include <stddef.h>
#include <stdint.h>

#include "../common/base/err.h"
#include "engine.h"

struct jobdb;

struct job_row {
    const char *id, *source, *etag, *output;
    const char *ladder, *ladder_name;       /* ladder: the YAML text */
    const char *options;                    /* JSON text, compared as it is */
    const char *tenant, *notify, *metadata; /* the last two may be NULL */
    unsigned priority;
    enum job_state state;
    struct err error;
    const char *facts; /* of the plan, JSON text (job.h); "": no plan yet */
    int64_t created_ms, updated_ms, started_ms, ended_ms, playable_ms; /* 0: not yet */
    int notified;                                                      /* its last end was told */
    int swept;               /* of a failed or canceled job: its segments are removed */
    const char *replaced_by; /* the job that has published at its output since; "": none */
    int replace;             /* enum job_replace (wire/job.h) */
    const char *version;     /* as in job.h, like those below */
    const char *replaces;    /* may be NULL */
    unsigned run;
    int published, early_ended;
};

struct task_row {
    const char *job, *id;
    int64_t ord; /* place in the plan, from 0 */
    enum task_state state;
    unsigned attempt;  /* the running or next one, from 1 */
    unsigned failures; /* attempts failed since the job was last submitted */
    int64_t not_before_ms;
    double cost, cpu_s; /* cpu_s: of all attempts */
    unsigned chunk, group;
    int audio; /* sound or an extra: of no chunk */
    int sent;  /* released, and the queue has confirmed it */
    const char *encoder;
    uint64_t frames;    /* of the best rendition, once done */
    const char *body;   /* the task's JSON text; not loaded by jobdb_each_task() */
    const char *result; /* the result's JSON text, or NULL; likewise */
    struct err error;   /* of the last failed attempt */
};

/* Made where it isn't there; brought up to this version's schema where it is
 * older. -EPROTO where it was written by a newer version. */
int jobdb_open(const char *path, struct jobdb **ret, struct err *err);
void jobdb_free(struct jobdb *db); /* rolls back; NULL is a no-op */

/* Transactions don't nest. rollback where there is none is a no-op. */
int jobdb_begin(struct jobdb *db, struct err *err);
int jobdb_commit(struct jobdb *db, struct err *err);
void jobdb_rollback(struct jobdb *db);

/* -EEXIST where the id is taken. */
int jobdb_insert_job(struct jobdb *db, const struct job_row *j, struct err *err);
/* All but what identifies it and its plan. */
int jobdb_update_job(struct jobdb *db, const struct job_row *j, struct err *err);
/* The plan's JSON text, its facts and the source's etag. */
int jobdb_set_job_plan(struct jobdb *db, const char *id, const char *plan, const char *facts,
                       const char *etag, struct err *err);
/* The plan, its facts and the etag; tasks stay, as those of planning that was cut off. */
int jobdb_drop_job_plan(struct jobdb *db, const char *id, struct err *err);
/* The highest attempt of a job's tasks; 0: it has none. */
int jobdb_last_attempt(struct jobdb *db, const char *job, unsigned *ret, struct err *err);
/* All tasks with their texts, and the plan. */
int jobdb_delete_tasks(struct jobdb *db, const char *id, struct err *err);
/* With its tasks. */
int jobdb_delete_job(struct jobdb *db, const char *id, struct err *err);

int jobdb_insert_task(struct jobdb *db, const struct task_row *t, struct err *err);
/* State, attempt, failures, not_before_ms, cpu_s, frames and sent; the error
 * too, where its class isn't ERR_NONE: the last one stays on record. */
int jobdb_update_task(struct jobdb *db, const struct task_row *t, struct err *err);
int jobdb_set_sent(struct jobdb *db, const char *job, const char *task, struct err *err);
/* Another message for a task. */
int jobdb_set_body(struct jobdb *db, const char *job, const char *task, const char *body,
                   struct err *err);
/* NULL takes the result away. */
int jobdb_set_result(struct jobdb *db, const char *job, const char *task, const char *result,
                     struct err *err);

/* Rows are valid during the call only; a non-zero return ends the walk and
 * is returned. Jobs by age, tasks by ord. `each` must not use the database. */
int jobdb_each_job(struct jobdb *db, int (*each)(void *arg, const struct job_row *j), void *arg,
                   struct err *err);
int jobdb_each_task(struct jobdb *db, const char *job,
                    int (*each)(void *arg, const struct task_row *t), void *arg, struct err *err);

/* The results of a job's tasks, by task id. */
int jobdb_each_result(struct jobdb *db, const char *job,
                      int (*each)(void *arg, const char *task, const char *result), void *arg,
                      struct err *err);

/* What the tasks of a job in one state add up to. */
struct task_sum {
    const char *job;
    enum task_state state;
    size_t n;
    double cost, cpu_s;
};
int jobdb_each_sum(struct jobdb *db, int (*each)(void *arg, const struct task_sum *s), void *arg,
                   struct err *err);

/* How much a kind of encoder costs, measured over predicted, and over how much that was
 * measured: predicted core-milliseconds (column `samples`, where 0.1.0 counts tasks: far less,
 * so that what it learned weighs little). */
int jobdb_set_cost(struct jobdb *db, const char *encoder, double ratio, uint64_t seen_ms,
                   struct err *err);
int jobdb_each_cost(struct jobdb *db,
                    int (*each)(void *arg, const char *encoder, double ratio, uint64_t seen_ms),
                    void *arg, struct err *err);

/* Dead letters: `n` rises by one; those up to n - keep are forgotten. */
int jobdb_add_dead(struct jobdb *db, int64_t n, int64_t keep, const struct dead_letter *l,
                   struct err *err);
int jobdb_each_dead(struct jobdb *db, int (*each)(void *arg, const struct dead_letter *l),
                    void *arg, struct err *err);                        /* newest first */
int jobdb_last_dead(struct jobdb *db, int64_t *ret_n, struct err *err); /* 0: none */

/* Outputs of deleted jobs that are still to be swept. */
struct sweep_row {
    const char *job, *output;
    int everything;
};
int jobdb_add_sweep(struct jobdb *db, const struct sweep_row *s, struct err *err);
int jobdb_end_sweep(struct jobdb *db, const char *job, struct err *err);
int jobdb_each_sweep(struct jobdb *db, int (*each)(void *arg, const struct sweep_row *s), void *arg,
                     struct err *err);

/* Uploads that crashed workers, and why each is not tried again: until an operator says so. */
int jobdb_add_poison(struct jobdb *db, const char *source, const char *etag, const char *reason,
                     int64_t at_ms, struct err *err);
/* etag "": of whichever. */
int jobdb_end_poison(struct jobdb *db, const char *source, const char *etag, struct err *err);
/* *ret is the reason (free), or NULL: it is none. */
int jobdb_poison(struct jobdb *db, const char *source, const char *etag, char **ret,
                 struct err *err);

/* Versions of outputs that were replaced, and when they are to be swept; by that time. */
struct replaced_row {
    const char *output, *version;
    int64_t due_ms;
};
int jobdb_add_replaced(struct jobdb *db, const struct replaced_row *v, struct err *err);
int jobdb_end_replaced(struct jobdb *db, const struct replaced_row *v, struct err *err);
int jobdb_each_replaced(struct jobdb *db, int (*each)(void *arg, const struct replaced_row *v),
                        void *arg, struct err *err);

/* -ENOENT, or the text (free). *ret is NULL where there is no plan or result. */
int jobdb_job_plan(struct jobdb *db, const char *id, char **ret, struct err *err);
int jobdb_task_body(struct jobdb *db, const char *job, const char *task, char **ret,
                    struct err *err);
int jobdb_task_result(struct jobdb *db, const char *job, const char *task, char **ret,
                      struct err *err);

#endif
