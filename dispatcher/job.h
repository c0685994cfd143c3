/* job.h - jobs and tasks as the engine holds them in memory; private to
 * engine*.c.
 *
 * The database is what counts: memory is a copy of what status needs, made
 * when the dispatcher starts and moved along by job_move() and task_move(),
 * the only places where a state changes. A job that has ended keeps plan and
 * tasks only if it ended in this process (job_load() fetches them). Owned by
 * the dispatcher's thread.
 */
#ifndef GOPMILL_DISPATCHER_JOB_H
#define GOPMILL_DISPATCHER_JOB_H

#include <stdatomic.h>

#include "../common/base/clock.h"
#include "engine.h"
#include "jobdb.h"
#include "state.h"

struct planner;
struct store;
struct task_result;

struct live_task {
    char id[64];
    enum task_state state;
    unsigned attempt, failures; /* as in jobdb.h */
    int64_t not_before_ms;
    double cost, cpu_s;
    unsigned chunk, group;
    int audio;
    uint64_t frames;
    int64_t released_ns; /* when this process gave it to the queue; 0: not */
};

struct live_job {
    struct live_job *next; /* by age */
    char *id, *source, *etag, *output, *ladder, *ladder_name, *options;
    enum job_state state;
    struct err error;

    int loaded;   /* plan and tasks below are here */
    int has_plan; /* in the database too */
    struct plan plan;
    struct live_task *tasks; /* in plan order */
    unsigned *by_id;         /* indices into tasks, sorted by id */
    size_t n_tasks;
    size_t n_done, n_released;
    size_t first_waiting; /* no task before this one is waiting */

    int taken_back; /* no task counts as released by a process that is gone */
    int checked;    /* this process has looked whether done tasks' objects are there */
    size_t tasks_reused;
    unsigned attempts_failed; /* seen by this process */
    unsigned plan_tries;
    int64_t submit_ns;
    double first_frame_s;
};

struct dispatcher {
    struct dispatcher_config cfg;
    const struct clock *clock;
    struct jobdb *db;
    struct live_job *jobs;
    struct planner *planner; /* of the one job that is being planned, or NULL */
    uint64_t random;         /* state of the generator for jitter */
    atomic_int wake;         /* any thread: end a waiting step */
};

/* NULL: nobody knows it. */
struct live_job *job_find(struct dispatcher *d, const char *id);
struct live_task *job_task(struct live_job *j, const char *id);

/* A copy of the row, not yet in the list. -ENOMEM. */
int job_new(const struct job_row *row, struct live_job **ret, struct err *err);
void job_free(struct live_job *j);                         /* NULL is a no-op */
void job_append(struct dispatcher *d, struct live_job *j); /* taken */
void job_forget(struct dispatcher *d, struct live_job *j); /* unlinked and freed */

/* Fetch plan and tasks of a job from the database. */
int job_load(struct dispatcher *d, struct live_job *j, struct err *err);
/* Free plan and tasks in memory. */
void job_drop_plan(struct live_job *j);

/* Move a state, in the database and here. `why` is recorded (NULL: none).
 * -EPROTO (ERR_INTERNAL, logged with both names) where the table forbids it. */
int job_move(struct dispatcher *d, struct live_job *j, enum job_event ev, const struct err *why,
             struct err *err);
int task_move(struct dispatcher *d, struct live_job *j, struct live_task *t, enum task_event ev,
              const struct err *why, struct err *err);

/* A task's result as it is in the database. -ENOENT where it has none. */
int job_result(struct dispatcher *d, const struct live_job *j, const char *task,
               struct task_result *ret, struct err *err);

/* ---- what a step is made of, one file each ---- */

/* engine_plan.c: begin to plan the first queued job if none is being planned;
 * take over a plan that is ready. *ret_did: something changed. */
int engine_plan(struct dispatcher *d, int *ret_did, struct err *err);
void engine_plan_stop(struct dispatcher *d, const char *job); /* NULL: whichever */

/* engine_release.c: give waiting tasks to the queue as far as it is short. */
int engine_release(struct dispatcher *d, struct err *err);

/* engine_collect.c: apply what results there are; wait for the first up to
 * timeout_ms. *ret_n: how many. */
int engine_collect(struct dispatcher *d, int timeout_ms, size_t *ret_n, struct err *err);

/* An attempt of a released task failed: another one, or the end of its job. */
int engine_attempt_failed(struct dispatcher *d, struct live_job *j, struct live_task *t,
                          const struct err *why, struct err *err);
/* What a done task made is wrong or gone: it waits again. `counted`: that is
 * a failed attempt of it, which may end its job. */
int engine_redo(struct dispatcher *d, struct live_job *j, struct live_task *t, int counted,
                const struct err *why, struct err *err);

/* engine_publish.c: publish jobs whose tasks are all done. */
int engine_publish(struct dispatcher *d, int *ret_did, struct err *err);
/* Look whether the objects of done tasks are all in the store, bytes
 * included; tasks whose objects aren't go back to waiting. */
int engine_recheck(struct dispatcher *d, struct live_job *j, struct err *err);

/* engine_submit.c: go on with what the database has. */
int engine_load(struct dispatcher *d, struct err *err);

#endif
