/* engine.h - the dispatcher: admits jobs, plans them in children, releases
 * tasks, collects results, publishes packages.
 *
 * The same engine runs inside `gopmill run` (embedded queue, file store, one
 * job) and in gopmill-dispatcher. All that it must not forget is in the job
 * database (jobdb.h) before it says so; killed at any moment and started
 * again on the same database it goes on where it was.
 *
 * One thread owns a dispatcher and calls every function here, except
 * dispatcher_wake() and dispatcher_call(), which any thread may. That thread
 * waits for nothing but its database: sources are looked at, planned and packages
 * published by threads of its own, messages are received and sent by others
 * (inbox.h), and what came in meanwhile is applied in one transaction.
 */
#ifndef GOPMILL_DISPATCHER_ENGINE_H
#define GOPMILL_DISPATCHER_ENGINE_H

#include "../common/base/err.h"
#include "../common/wire/plan.h"

struct board;
struct clock;
struct nursery;
struct queue;
struct store_env;
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

enum { JOB_PRIORITY_MAX = 9, JOB_PRIORITY_DEFAULT = 5 };

struct job_request {
    const char *id;     /* the idempotency key */
    const char *source; /* URL */
    const char *etag;   /* of the source; NULL or "": what is there when it is planned */
    const char *output; /* prefix URL */
    const char *ladder; /* the ladder's text (YAML), inline */
    const char *ladder_name;
    double chunk_seconds, segment_seconds, gop_seconds; /* 0: planner's or ladder's choice */
    unsigned chunk_count;                               /* 0: planner's choice (tests) */

    unsigned priority;    /* 0 to 9, higher goes first */
    const char *tenant;   /* fairness is among tenants; NULL: "" */
    const char *notify;   /* webhook URL for its end; NULL: none */
    const char *metadata; /* JSON text, echoed back; NULL: none */

    int replace; /* what another job has published at `output`: enum job_replace (wire/job.h) */
    int recheck; /* where the job is known and not over: look again at what is done of it */
};

/* A job came to its end, or its last end was not yet told (see
 * dispatcher_notified()). Borrowed for the call. */
struct job_end {
    const char *id, *notify, *metadata;
    enum job_state state;
    const struct err *error;
};

struct dispatcher_config {
    const char *db_path;       /* job database; made if it isn't there */
    struct queue *queue;       /* borrowed */
    struct store_env *stores;  /* borrowed; NULL: file:// only */
    struct board *board;       /* borrowed: kept up to date for readers; NULL: none */
    const struct clock *clock; /* NULL: the system's */
    unsigned slots;            /* of the farm, as long as no worker's heartbeat says better */
    unsigned queue_min;        /* released tasks are held at twice the slots, but at least at this;
                                * 0: no minimum. A farm: 64 */
    unsigned max_attempts;     /* of a task; 0: 4 */
    int64_t retry_base_ms;     /* first back-off; 0: 500; doubles, with jitter */
    int64_t storage_retry_ms;  /* the same of class storage, where it is more; 0: no more */
    unsigned quarantine_s;     /* a worker's first quarantine; 0: 60 */
    unsigned planners;         /* jobs planned at once; 0: 1 */
    struct nursery *nursery;   /* borrowed; NULL: one of its own */
    int plan_nice;            /* added to the niceness of what plans, so that it holds up nobody who
                               * asks; 0: none */
    unsigned publishers;      /* packages checked and published at once; 0: 1 */
    int early_playlists;      /* playable before finished: playlists of type EVENT while it runs,
                               * and a small first chunk in the plans of jobs that don't say how
                               * they are to be cut */
    int64_t lost_after_ms;    /* a released task that no live worker says to have, and whose turn
                               * was over long ago, is released again; 0: 10 minutes */
    int64_t keep_failed_ms;   /* segments of failed and canceled jobs stay so long for a requeue;
                               * 0: for ever */
    int64_t keep_replaced_ms; /* media of a package that was replaced stays so long for those who
                               * play it */
    int remove_early; /* early playlists of failed and canceled jobs are removed, not ended */
    int in_place; /* `gopmill run`: media lies at the output itself, whatever was there before */

    /* Told on the dispatcher's thread, after the commit; may be NULL. At least once for each end of
     * a job that has `notify`. */
    void (*on_end)(void *arg, const struct job_end *e);
    void *arg;
};

int dispatcher_new(const struct dispatcher_config *cfg, struct dispatcher **ret, struct err *err);
/* Kills planners, waits for what is being published, and for tasks that are being given to
 * the queue: close that first where its broker may be away. NULL is a no-op. */
void dispatcher_free(struct dispatcher *d);

/* Have `fn` called on the dispatcher's thread, among what else it applies,
 * and return what it returned once that is committed. Calls that came
 * together share one commit. -ESHUTDOWN where the dispatcher goes down, -ETIMEDOUT (both
 * ERR_RESOURCE) where it was not even begun within timeout_ms. `fn` may use every function of this
 * header but _step, _free and _call; where it fails, it must have changed nothing. */
int dispatcher_call(struct dispatcher *d,
                    int (*fn)(struct dispatcher *d, void *arg, struct err *err), void *arg,
                    int timeout_ms, struct err *err);

/* Accept a job: in the database when this returns 0. The same id with the
 * same source, output, ladder and options again: 0, and nothing changes, for
 * whoever doesn't know whether it was heard says it twice: a job that is done
 * stays done. With `recheck` what is done is held against the store, and a
 * segment that is missing or differs is encoded again (as
 * dispatcher_requeue() does it). The same id with others: -EEXIST, ERR_USAGE,
 * saying what differs. A failed or canceled job is revived, and what was done
 * of it is held against the store.
 * Where something of it is left to be encoded and its source was replaced since it was planned, it
 * is planned anew, and made beside what there is of the old source (publish/version.h): a package
 * that was published stays until the new one is whole.
 *
 * -EBUSY, ERR_USAGE: its output is another job's, lies inside of one's or around it. With `replace`
 * it may be exactly another job's: then it waits until that one has ended, is made beside its
 * package, and takes the output over when it is published. A package that lies there and of which
 * this database knows nothing is found when the job is planned, which then fails (ERR_USAGE) unless
 * it may replace it. */
int dispatcher_submit(struct dispatcher *d, const struct job_request *req, struct err *err);

/* Do what there is to do; wait for results up to timeout_ms where there is
 * nothing. 0, or negative where the dispatcher itself can't go on (its
 * database is gone, say; -ENOSPC: the disk is full): jobs' own failures are in
 * their state. From then on a step does nothing but to refuse what comes, with
 * that reason. */
int dispatcher_step(struct dispatcher *d, int timeout_ms, struct err *err);
void dispatcher_wake(struct dispatcher *d); /* end a waiting step early */

/* A quarantine of that worker is over, and what was held against it forgotten. It hears of that if
 * it is there. 0. */
int dispatcher_release_worker(struct dispatcher *d, const char *worker, struct err *err);

/* Whether it can do its part: 1; 0 with the reason in `why`: no process can be started to plan
 * jobs in. Any thread. */
int dispatcher_healthy(struct dispatcher *d, char *why, size_t size);

/* Its tasks are taken out of the queue by workers that hear of it (event
 * "event.job.<id>.canceled"), running ones are killed. -EALREADY (ERR_USAGE)
 * where it has ended. */
int dispatcher_cancel(struct dispatcher *d, const char *id, struct err *err);

/* Encode again: of a failed or canceled job what is missing (chunk < 0,
 * rendition NULL: like submitting it again, a replaced source included); of a planned job that has
 * ended, also what was done of that chunk, or of that rendition (its tasks' other renditions stay
 * as they are). -ENOENT: no such job, chunk or rendition; -EBUSY: it hasn't ended; both ERR_USAGE.
 */
int dispatcher_requeue(struct dispatcher *d, const char *id, int chunk, const char *rendition,
                       struct err *err);

/* Forget a job that has ended (-EBUSY, ERR_USAGE otherwise). Objects that no published receipt
 * names are removed from its output in the background; with `package` the published package, too.
 */
int dispatcher_delete(struct dispatcher *d, const char *id, int package, struct err *err);

/* The end of that job was told. */
int dispatcher_notified(struct dispatcher *d, const char *id, struct err *err);

/* A message that nobody could use, kept for a person: the newest 1000. */
int dispatcher_dead_letter(struct dispatcher *d, const char *queue, const char *reason,
                           const char *body, size_t len, struct err *err);

struct dead_letter {
    int64_t at_ms; /* wall */
    const char *queue, *reason, *body;
};
/* Newest first; valid during the call; a non-zero return ends it. From the database. */
int dispatcher_dead_letters(struct dispatcher *d,
                            int (*each)(void *arg, const struct dead_letter *l), void *arg,
                            struct err *err);

struct task_status {
    char id[64];
    enum task_state state;
    unsigned attempt;
    double cost; /* predicted core-seconds */
    unsigned chunk, group;
    int audio; /* sound or an extra: of no chunk */
};

/* Calls `each` for every task of a planned job, in plan order (audio and
 * extras first, then by chunk and group); a non-zero return ends it and is returned. No
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
    int checking;             /* whether that is so is still being looked at */
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
