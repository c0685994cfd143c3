/* engine.h - the dispatcher: admits jobs, plans them in a child, releases
 * tasks, collects results, publishes packages.
 *
 * The same engine runs inside `gopmill run` (embedded queue, file store, one
 * job) and in gopmill-dispatcher. All that it must not forget is in the job
 * database (jobdb.h) before it says so; killed at any moment and started
 * again on the same database it goes on where it was.
 *
 * One thread owns a dispatcher and calls every function here, except
 * dispatcher_wake(), which any thread or signal-handling loop may call.
 */
#ifndef GOPMILL_DISPATCHER_ENGINE_H
#define GOPMILL_DISPATCHER_ENGINE_H

#include "../common/base/err.h"
#include "../common/wire/plan.h"

struct clock;
struct queue;
struct dispatcher;

/* queued -> planning -> running -> publishing -> done; failed, canceled. */
enum job_state {
    JOB_QUEUED,
    JOB_PLANNING,
    JOB_RUNNING,
    JOB_PUBLISHING,
    JOB_DONE,
    JOB_FAILED,
    JOB_CANCELED,
    JOB_STATE_MAX
};
const char *job_state_name(enum job_state s);

/* waiting -> released -> done; dead once its attempts are spent. */
enum task_state { TASK_WAITING, TASK_RELEASED, TASK_DONE, TASK_DEAD, TASK_STATE_MAX };
const char *task_state_name(enum task_state s);

struct job_request {
    const char *id;     /* the idempotency key */
    const char *source; /* URL */
    const char *output; /* prefix URL */
    const char *ladder; /* the ladder's text (YAML), inline */
    const char *ladder_name;
    double chunk_seconds, segment_seconds, gop_seconds; /* 0: planner's or ladder's choice */
    unsigned chunk_count;                               /* 0: planner's choice (tests) */
};

struct dispatcher_config {
    const char *db_path;       /* job database; made if it isn't there */
    struct queue *queue;       /* borrowed */
    const struct clock *clock; /* NULL: the system's */
    unsigned slots;            /* of the farm, a hint for chunk sizes and queue depth */
    unsigned max_attempts;     /* of a task; 0: 4 */
    int64_t retry_base_ms;     /* first back-off; 0: 500; doubles, with jitter */
};

int dispatcher_new(const struct dispatcher_config *cfg, struct dispatcher **ret, struct err *err);
void dispatcher_free(struct dispatcher *d);

/* Accept a job: in the database when this returns 0. The same id with the
 * same source, output, ladder and options again: 0, and work that was done
 * stays done (it is re-checked against the store: a segment that is missing
 * or differs is encoded again). The same id with others: -EEXIST, ERR_USAGE,
 * saying what differs. A failed or canceled job is revived. */
int dispatcher_submit(struct dispatcher *d, const struct job_request *req, struct err *err);

/* Do what there is to do; wait for results up to timeout_ms where there is
 * nothing. 0, or negative where the dispatcher itself can't go on (its
 * database is gone, say): jobs' own failures are in their state. */
int dispatcher_step(struct dispatcher *d, int timeout_ms, struct err *err);
void dispatcher_wake(struct dispatcher *d); /* end a waiting step early */

int dispatcher_cancel(struct dispatcher *d, const char *id, struct err *err);

struct task_status {
    char id[64];
    enum task_state state;
    unsigned attempt;
    double cost; /* predicted core-seconds */
    unsigned chunk, group;
    int audio;
};

/* Calls `each` for every task of a planned job, in plan order (audio first,
 * then by chunk and group); a non-zero return ends it and is returned. No
 * call where the job has no plan yet. -ENOENT where nobody knows the job.
 * Cheap enough to be called a few times a second: from memory. */
int dispatcher_tasks(struct dispatcher *d, const char *id,
                     int (*each)(void *arg, const struct task_status *t), void *arg,
                     struct err *err);

struct job_status {
    enum job_state state;
    struct err error; /* why it failed */
    size_t tasks, tasks_done;
    size_t tasks_reused;      /* of tasks_done: found done by an earlier run */
    double cost, cost_done;   /* predicted core-seconds */
    double cpu_s;             /* measured, all attempts */
    uint64_t frames_done;     /* of the best rendition */
    double first_frame_s;     /* submit to first frame given to an encoder; 0: not yet */
    unsigned attempts_failed; /* tasks' attempts that failed so far */
};

/* -ENOENT where nobody knows the job. */
int dispatcher_status(struct dispatcher *d, const char *id, struct job_status *ret,
                      struct err *err);

/* The plan of a job that has one (owned by the dispatcher, valid until the
 * job is forgotten), or NULL. */
const struct plan *dispatcher_plan(struct dispatcher *d, const char *id);

#endif
