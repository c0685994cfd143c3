/* job.h - jobs and tasks as the engine holds them in memory; private to
 * engine*.c.
 *
 * The database is what counts: memory is a copy of what deciding and status
 * need, made when the dispatcher starts and moved along by job_move() and
 * task_move(), the only places where a state changes. Tasks' messages and
 * results stay in the database; plans are read from it when they are needed,
 * and a few are kept. Of jobs that have ended only the latest keep their
 * tasks here (job_load() fetches them). Owned by the dispatcher's thread.
 */
#ifndef GOPMILL_DISPATCHER_JOB_H
#define GOPMILL_DISPATCHER_JOB_H

#include "../common/base/clock.h"
#include "../common/wire/task.h"
#include "board.h"
#include "engine.h"
#include "inbox.h"
#include "jobdb.h"
#include "place.h"
#include "publish/version.h"
#include "publisher.h"
#include "sched.h"
#include "state.h"
#include "timers.h"

struct call;
struct planner;
struct received;
struct receiver;
struct send_batch;
struct sender;
struct task_result;

enum {
    ENCODERS_MAX = 16,
    JOB_ENCODERS_MAX = 4, /* told apart in one job's cost */
    PLANS_MAX = 64,       /* kept in memory */
    ENDED_MAX = 32,       /* jobs that keep their tasks after their end */
    JOBS_BUCKETS_MIN = 1024,
    NOT_RELEASED = UINT32_MAX,
    FAILED_ON_MAX = 2,
};

struct live_task {
    char id[24];
    double cost;
    float cpu_s;
    uint8_t state;                     /* enum task_state */
    uint8_t audio;                     /* sound or an extra: of no chunk */
    uint8_t encoder;                   /* index into dispatcher.encoders */
    uint8_t sent;                      /* released, and the queue has confirmed it */
    uint8_t twice;                     /* released a second time */
    uint8_t passed;                    /* so often it was handed on by those it had failed on */
    uint16_t failed_on[FAILED_ON_MAX]; /* workers' numbers (crew.h), the last one first; 0: none */
    uint16_t crashed_on;               /* likewise: its child died there by a signal */
    uint16_t group;                    /* audio: the track */
    uint32_t chunk;
    uint32_t attempt, failures; /* as in jobdb.h */
    uint32_t released_at;       /* index into dispatcher.released, or NOT_RELEASED */
    int64_t not_before_ms;
    uint64_t frames;
};

/* Whether its job is done without what it makes. */
static inline int live_task_is_extra(const struct live_task *t)
{
    return task_kind_is_extra(task_kind_by_id(t->id));
}

/* What only a released task has. */
struct released {
    struct live_job *job;
    uint32_t task;
    uint64_t seq;        /* rises with each release */
    int64_t released_ns; /* when this process gave it to the queue, or took it over */
    int64_t seen_ns;     /* when a heartbeat last named it; 0: none yet */
    double elapsed_s;    /* as that said */
};

struct job_cost { /* predicted core-seconds by encoder */
    uint8_t encoder;
    double all, done;
};

struct replaced_version { /* of a package that was replaced: media that stays for a while */
    struct replaced_version *next; /* by due_ms */
    char *output;
    struct place *place;
    char version[VERSION_ROOM];
    int64_t due_ms, after_ms; /* wall */
    int busy;                 /* being swept */
};

struct live_job {
    struct live_job *next; /* of its bucket */
    char *id, *source, *etag, *output, *ladder_name, *options;
    char *tenant, *notify, *metadata, *facts;
    struct shared_text *ladder; /* many jobs have the same one */
    struct place *place;        /* of its output */
    struct live_job *neighbour; /* at the same place, in place->jobs */
    char *replaced_by;          /* the job that has published there since; NULL: none */
    int replace;                /* enum job_replace (wire/job.h) */
    char *version;              /* of its plan (publish/version.h) */
    char *replaces;  /* the version that lay there when it was planned; NULL: no package */
    unsigned run;    /* rises when its source is found to be another */
    int early_ended; /* its early playlists were ended since it has ended */
    int published;   /* what its plan made is the package at its output */
    int writes;      /* it is one of the place's writers */
    unsigned priority;
    enum job_state state;
    struct err *error; /* NULL: none */
    int64_t created_ms, updated_ms, started_ms, ended_ms, playable_ms;
    int notified, swept;

    /* of facts */
    double duration_s;
    uint64_t frames;

    int loaded;              /* tasks below are here */
    struct live_task *tasks; /* in plan order: first n_whole of sound and extras */
    uint32_t *by_id;         /* indices into tasks, sorted by id */
    size_t n_tasks, n_whole; /* 0 where they are not here */

    /* Sums, which stay when the tasks go. */
    size_t n[TASK_STATE_MAX];
    uint32_t *open;  /* of each task group: the first chunk that isn't done */
    size_t n_groups; /* 0 where tasks are not here */
    struct job_cost costs[JOB_ENCODERS_MAX];
    size_t n_costs;
    double cost, cost_done, cpu_s;
    uint64_t frames_done;
    int counted; /* its tasks are in dispatcher.totals */

    struct plan *plan; /* NULL: not in memory */
    uint64_t plan_used;
    int plan_pinned; /* somebody outside has a pointer to it */

    struct sched_job *waits;   /* in dispatcher.tasks, while it runs */
    struct sched_job *queued;  /* in dispatcher.queue, while it waits for a planner */
    struct planner *planner;   /* at work on it */
    struct planner *inserting; /* its plan, of which not all tasks are in the database yet */
    size_t inserted;

    int attention, dirty, tasks_dirty; /* in the list of that name */
    int64_t position, position_ns;     /* in the queue, and when that was found out */
    double ahead;                      /* likewise, core-seconds of others */
    int check_wanted, sweep_wanted;
    int busy; /* a request of it is with the publisher: 1 + enum publish_what */
    unsigned publish_tries;
    int64_t publish_after_ms;
    size_t early_shown, early_asked; /* tasks that early playlists were made of, or will be */
    int64_t early_after_ms;
    unsigned early_failures; /* since they were last stored */
    char *early_error;       /* of the last one; NULL: none */

    int taken_back; /* no task counts as released by a process that is gone */
    int checked;    /* this process has looked whether done tasks' objects are there */
    size_t tasks_reused;
    unsigned attempts_failed; /* seen by this process */
    unsigned plan_tries, plan_waits;
    int64_t plan_after_ms; /* while it is queued */
    int64_t submit_ns;
    double first_frame_s;
};

struct shared_text {
    struct shared_text *next;
    size_t refs;
    char text[];
};

struct encoder {
    char name[24];
    double ratio; /* measured over predicted */
    double seen;  /* predicted core-seconds that `ratio` was measured over, SEEN_MAX at most */
    int dirty;
    double open; /* predicted core-seconds of live jobs' tasks that aren't done */
};

/* What is told once the transaction is committed. */
struct effect {
    enum { EFFECT_JOB, EFFECT_TASK, EFFECT_END, EFFECT_DROP } kind;
    char *job;
    const char *what;
    char task[24];
    unsigned attempt;
};

struct changed_task {
    struct live_job *job;
    uint32_t task;
};

struct pending_sweep { /* of a deleted job */
    struct pending_sweep *next;
    char *job, *output;
    struct place *place;
    int everything, busy;
    int64_t after_ms;
};

struct sweep_at_work { /* with the publisher, of a job or of a deleted one */
    struct sweep_at_work *next;
    char *job;
    struct place *place;
};

struct dispatcher {
    struct dispatcher_config cfg;
    const struct clock *clock;
    struct jobdb *db;
    struct inbox *inbox;
    struct sender *sender;
    struct publisher *publisher;
    struct receiver *receivers;
    struct nursery *nursery;
    struct crew *crew;
    struct planner *planners; /* all that run */
    unsigned n_planners;
    unsigned sending;    /* batches with the sender */
    unsigned publishing; /* requests with the publisher */

    struct live_job **buckets;
    size_t n_buckets, n_jobs;
    struct shared_text *ladders;

    struct sched *tasks, *queue;
    struct timers timers; /* owner: a job that wants attention then */
    struct released *released;
    size_t n_released, released_cap;
    uint64_t last_seq, seen_seq; /* seen: the latest release known to have begun */
    int survives;                /* what is in the queue outlives this process */
    int paused;                  /* the queue took no tasks */
    int release_more;            /* a batch was full */
    int depth_asked;
    size_t depth; /* of the queue of tasks, when last told */
    int64_t depth_ns;
    int64_t looked_ns; /* at what is released */

    struct live_job **plans; /* that are in memory */
    size_t n_plans;
    uint64_t plan_clock;
    struct live_job *ended[ENDED_MAX];
    size_t next_ended;

    struct live_job **attention;
    size_t n_attention, attention_cap;
    struct live_job **dirty;
    size_t n_dirty, dirty_cap;
    struct changed_task *changed;
    size_t n_changed, changed_cap;
    struct effect *effects;
    size_t n_effects, effects_cap;
    struct send_batch *outgoing;
    struct received *acks;
    struct call *calls; /* begun, not answered */
    struct pending_sweep *sweeps;
    struct replaced_version *replaced;
    struct sweep_at_work *sweeping;
    struct places places;

    struct encoder encoders[ENCODERS_MAX];
    size_t n_encoders;
    int64_t costs_saved_ns;
    int64_t last_dead;
    struct board_totals totals;
    int totals_dirty;
    int64_t totals_put_ns, refreshed_ns;
    size_t refreshed; /* bucket */

    int64_t wall_start_ms, mono_start_ns; /* see engine_ms() */
    uint64_t random;                      /* state of the generator for jitter */
    uint64_t received;                    /* messages applied: what tests wait for */
    int64_t committed_ns;                 /* CLOCK_MONOTONIC: the end of the last commit */
    int in_txn, turning, told_ends;
    struct err broken; /* cls: the database has failed, nothing goes on */
};

/* ---- job*.c ---- */

/* NULL: nobody knows it. */
struct live_job *job_find(struct dispatcher *d, const char *id);
struct live_task *job_task(struct live_job *j, const char *id);
int job_ended(const struct live_job *j);

/* A copy of the row, not yet known. -ENOMEM. */
int job_new(struct dispatcher *d, const struct job_row *row, struct live_job **ret,
            struct err *err);
void job_free(struct dispatcher *d, struct live_job *j);                /* NULL is a no-op */
int job_add(struct dispatcher *d, struct live_job *j, struct err *err); /* taken on success */
void job_forget(struct dispatcher *d, struct live_job *j); /* unlinked everywhere, and freed */

/* Fetch the tasks of a job from the database. */
int job_load(struct dispatcher *d, struct live_job *j, struct err *err);
void job_unload(struct dispatcher *d, struct live_job *j);
int job_has_plan(const struct live_job *j);
/* The plan, valid until another one is asked for. */
int job_plan(struct dispatcher *d, struct live_job *j, const struct plan **ret, struct err *err);
void job_drop_plan(struct dispatcher *d, struct live_job *j);
void job_forget_early(struct live_job *j); /* that early playlists failed */

/* Have its tasks released where they may be: not while its place is swept. -ENOMEM. */
int job_schedule(struct dispatcher *d, struct live_job *j);

/* Move a state, in the database and here. `why` is recorded (NULL: none).
 * -EPROTO (ERR_INTERNAL, logged with both names) where the table forbids it. */
int job_move(struct dispatcher *d, struct live_job *j, enum job_event ev, const struct err *why,
             struct err *err);
int task_move(struct dispatcher *d, struct live_job *j, struct live_task *t, enum task_event ev,
              const struct err *why, struct err *err);
/* It failed: where a package that is whole is of its plan (a part of it was to be made again), the
 * job is done all the same, with the failure beside it. */
int job_fail(struct dispatcher *d, struct live_job *j, const struct err *why, struct err *err);
/* Write what of a job has changed but its state. */
int job_save(struct dispatcher *d, struct live_job *j, struct err *err);
void job_read_facts(struct live_job *j);

/* ---- engine.c: transactions, and what is told after them ---- */

/* Begin a transaction, where none is open. Whatever is written belongs to one:
 * a step's, or that of the call made outside of a step. */
int engine_begin(struct dispatcher *d, struct err *err);
/* Called at the end of every function of engine.h that may have written:
 * commits outside of steps. Returns r, or what has failed. */
int engine_settle(struct dispatcher *d, int r, struct err *err);
/* Remember to tell of it once it is committed; what isn't told for want of
 * memory was a transient event, or is told again after a start. */
void engine_tell(struct dispatcher *d, int kind, const struct live_job *j, const char *what,
                 const struct live_task *t);
void engine_attend(struct dispatcher *d, struct live_job *j); /* look at it before the step ends */
void engine_attend_at(struct dispatcher *d, struct live_job *j, int64_t at_ms);
void engine_changed(struct dispatcher *d, struct live_job *j, const struct live_task *t);
unsigned engine_slots(struct dispatcher *d);
void engine_took(struct board_times *t, int64_t took_ns); /* count it, for metrics */
/* Something is on its way that will change a state: what tests wait for. */
int engine_busy(const struct dispatcher *d);
/* What every wait goes by: the wall clock of the start, and what passed since by the monotonic
 * one. Whatever is done to the clock, nobody waits longer for it, or less. */
int64_t engine_ms(const struct dispatcher *d);
int engine_grow(void *array, size_t *cap, size_t n, size_t size); /* room for one more */
int engine_no_memory(struct err *err);

/* ---- engine_call.c ---- */
void engine_call_run(struct dispatcher *d, struct inbox_item *item);
void engine_calls_answer(struct dispatcher *d, int r, const struct err *why);
/* `why` may say nothing: it is going down. */
void engine_call_refuse(struct inbox_item *item, int r, const struct err *why);

/* ---- engine_receive.c: messages from the queue ---- */
struct received {
    struct inbox_item item;
    struct received *next; /* among those to be acked */
    const char *queue;
    struct queue_msg *msg;
    struct task_result *result; /* NULL: not one, or unreadable for the reason in `why` */
    struct heartbeat *heartbeat;
    struct err why;
    /* Of a dead letter, or of a result that can't be read, as far as it tells; NULL, 0: not at all.
     */
    char *job, *task;
    unsigned attempt;
};
int engine_receive_start(struct dispatcher *d, struct err *err);
void engine_receive_stop(struct dispatcher *d);
void received_free(struct received *m);

/* ---- engine_collect.c: applying them ---- */
int engine_apply(struct dispatcher *d, struct received *m, struct err *err);
/* An attempt of a released task failed, on that worker (NULL: unknown): another one, or the end of
 * its job. */
int engine_attempt_failed(struct dispatcher *d, struct live_job *j, struct live_task *t,
                          const char *worker, const struct err *why, struct err *err);
/* What a done task made is wrong or gone: it waits again. `counted`: that is
 * a failed attempt of it, which may end its job. */
int engine_redo(struct dispatcher *d, struct live_job *j, struct live_task *t, int counted,
                const struct err *why, struct err *err);
/* The same without touching its result, never counted. */
int engine_redo_move(struct dispatcher *d, struct live_job *j, struct live_task *t,
                     const struct err *why, struct err *err);
int64_t engine_backoff_max_ms(const struct dispatcher *d);         /* that can come of it */
int64_t engine_backoff_ms(struct dispatcher *d, unsigned failures, /* from 1 */
                          enum err_class cls);
unsigned engine_attempts_allowed(const struct dispatcher *d);

/* ---- engine_crew.c: whose fault it was ---- */
/* An attempt ended on `worker` (NULL: unknown); who stands out is quarantined. */
void engine_crew_note(struct dispatcher *d, const struct live_job *j, const struct live_task *t,
                      const char *worker, enum err_class cls);
void engine_crew_heard(struct dispatcher *d, const struct heartbeat *h);
/* The task failed there: others are to try it. */
void engine_crew_failed(struct dispatcher *d, struct live_task *t, const char *worker);
/* Somebody that it failed on before has handed it on. */
void engine_crew_passed(struct live_task *t);
/* Fills FAILED_ON_MAX entries: ids (free) of those that are to leave it to others, or NULL. */
int engine_crew_avoid(const struct dispatcher *d, const struct live_task *t, char **ret);
/* The number of another worker that the task crashed on before; 0: none, and this crash is
 * remembered. */
unsigned engine_crew_crashed_before(struct dispatcher *d, struct live_task *t, const char *worker,
                                    const struct err *why);
/* The job's source crashes workers: it isn't tried again until engine_poison_end(). */
int engine_poison_add(struct dispatcher *d, const struct live_job *j, const struct err *why,
                      struct err *err);
int engine_poison_end(struct dispatcher *d, const struct live_job *j, struct err *err);
/* 1 with *ret_why where its source of that etag is such a one, else 0. */
int engine_poison(struct dispatcher *d, const struct live_job *j, const char *etag,
                  struct err *ret_why, struct err *err);

/* ---- engine_extra.c: what a package is whole without ---- */
/* Done without a result of its own, for that reason: a warning of the package. */
int engine_leave_out(struct dispatcher *d, struct live_job *j, struct live_task *t,
                     const struct err *why, struct err *err);

/* ---- engine_part.c: one rendition of a task, without the others ---- */
struct part {
    char *only;   /* the rendition; NULL: the task is to be made as a whole */
    char *result; /* that it belongs to, JSON text */
};
void part_release(struct part *p);
/* Make that rendition of a done task again. */
int engine_part_redo(struct dispatcher *d, struct live_job *j, struct live_task *t,
                     const char *rendition, const struct err *why, struct err *err);
/* Where only another rendition of a task that isn't done was asked for, ask
 * for all of it (NULL: whichever it was). */
int engine_part_widen(struct dispatcher *d, struct live_job *j, struct live_task *t,
                      const char *rendition, struct err *err);
/* What of a task that isn't done was asked for; part_release(). */
int engine_part_load(struct dispatcher *d, const struct live_job *j, const struct live_task *t,
                     struct part *ret, struct err *err);
/* From a result of that rendition alone to one of the task, as text and read.
 * -EPROTO (ERR_INTERNAL): it isn't that. */
int engine_part_merge(const struct part *p, const char *text, char **ret, struct task_result *ret_r,
                      struct err *why);
/* The task is done: from now on its message asks for all. */
int engine_part_end(struct dispatcher *d, const struct live_job *j, const struct live_task *t,
                    struct err *err);

/* ---- engine_plan.c ---- */
int engine_plan_more(struct dispatcher *d, struct err *err); /* begin what there is room for */
int engine_plan_ended(struct dispatcher *d, struct inbox_item *item, struct err *err);
int engine_plan_insert(struct dispatcher *d, struct live_job *j, struct err *err);
void engine_plan_stop(struct dispatcher *d, struct live_job *j);
void engine_plan_stop_all(struct dispatcher *d);
void engine_plan_discard(struct dispatcher *d, struct inbox_item *item);

/* ---- engine_release.c ---- */
int engine_release(struct dispatcher *d, struct err *err);
int engine_sent(struct dispatcher *d, struct inbox_item *item, struct err *err);
int engine_watch(struct dispatcher *d, struct err *err); /* stragglers, lost ones */
void engine_send(struct dispatcher *d);                  /* after the commit */
void engine_seen(struct dispatcher *d, const struct heartbeat *h);
int engine_release_add(struct dispatcher *d, struct live_job *j, struct live_task *t);
void engine_release_remove(struct dispatcher *d, struct live_task *t);

/* ---- engine_publish.c ---- */
int engine_publish_start(struct dispatcher *d, struct err *err);
int engine_publish_attend(struct dispatcher *d, struct live_job *j, struct err *err);
int engine_published(struct dispatcher *d, struct inbox_item *item, struct err *err);
void engine_published_free(struct inbox_item *item);

/* ---- engine_sweep.c ---- */
int engine_may_sweep(const struct place *p); /* now */
/* Have a place swept. 0, or negative where it isn't now; `q` is taken on 0 only. */
int engine_sweep_submit(struct dispatcher *d, struct publish_request *q, struct place *p);
/* A sweep has ended. 1: it was that of a deleted job or of a replaced version, *ret_r tells what
 * came of noting that; 0: that of a job. */
int engine_swept(struct dispatcher *d, const struct publish_outcome *o, int *ret_r,
                 struct err *err);
int engine_sweep_add(struct dispatcher *d, const struct sweep_row *row);
int engine_replaced_add(struct dispatcher *d, const struct replaced_row *row);
/* Outputs of deleted jobs, and replaced versions whose time has come. */
int engine_sweep(struct dispatcher *d, struct err *err);
void engine_sweep_free(struct dispatcher *d); /* what engine_sweep_add(), _replaced_add() made */
/* Whether that place is still to be swept of what deleted jobs left. */
int engine_sweeping(struct dispatcher *d, const char *output);

/* ---- engine_claim.c: whom an output belongs to ---- */

/* Whether a new job (or `self`, which is to have another output; NULL: none) may have its output:
 * no other job has it (row->replace: one may), one inside of it, or one around it. -EBUSY
 * (ERR_USAGE, naming the job that has it), -ENOMEM. */
int engine_claim(struct dispatcher *d, const struct live_job *self, const struct job_row *row,
                 struct err *err);
/* Whether a job that has ended may live again: not where another one has published to its output,
 * or is at work there. Likewise -EBUSY. */
int engine_reclaim(const struct live_job *j, struct err *err);
/* Whether a queued job has to wait for another one at its output. */
int engine_waits_for_place(const struct live_job *j);
/* It has published: other jobs have nothing there any more, and what it replaces is swept later. */
int engine_took_over(struct dispatcher *d, struct live_job *j, struct err *err);

/* ---- engine_submit.c ---- */
int engine_load(struct dispatcher *d, struct err *err); /* go on with what the database has */

/* ---- engine_cost.c ---- */
unsigned engine_encoder(struct dispatcher *d, const char *name);
void engine_measured(struct dispatcher *d, unsigned encoder, double predicted, double measured,
                     uint64_t frames);
double engine_corrected(const struct dispatcher *d, const struct live_task *t);
double engine_backlog(const struct dispatcher *d);
void engine_costs_add(struct dispatcher *d, struct live_job *j, const struct live_task *t);
void engine_costs_done(struct dispatcher *d, struct live_job *j, const struct live_task *t,
                       int sign);
void engine_count(struct dispatcher *d, struct live_job *j, int counted);
int engine_costs_load(struct dispatcher *d, struct err *err);
int engine_costs_save(struct dispatcher *d, struct err *err);

/* ---- engine_board.c ---- */
void engine_show(struct dispatcher *d); /* after the commit: what has changed, on the board */

#endif
