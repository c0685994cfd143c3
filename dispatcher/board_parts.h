/* board_parts.h - what a board is made of; private to board*.c.
 *
 * board.c keeps jobs and tasks, board_workers.c the workers and what they run;
 * board_read.c copies out of them under the lock, and board_json.c writes what
 * was copied, without it.
 */
#ifndef GOPMILL_DISPATCHER_BOARD_PARTS_H
#define GOPMILL_DISPATCHER_BOARD_PARTS_H

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>

#include "board.h"

enum {
    BOARD_RENDITIONS = 16,
    BOARD_AUDIO = 255, /* rendition_group of audio */
    BOARD_GROUPS = 18, /* sums: video groups 0 to 15 (15: and above), audio, extras */
    BOARD_AUDIO_SUM = 16,
    BOARD_EXTRAS_SUM = 17,
    BOARD_WORKERS_MAX = 10000,
    BOARD_FORGET_MS = 3600000, /* a worker that is lost is shown for so long */
};

/* What of a job hardly ever changes: shared by the board and the readers
 * that are at it, never written once made. */
struct board_texts {
    atomic_uint refs;
    const char *id, *source, *output, *ladder_name, *tenant;
    const char *metadata;    /* NULL: none */
    const char *error;       /* NULL: none */
    const char *early_error; /* likewise */
    const char *replaced_by; /* likewise */
    enum err_class error_class;
    unsigned n_renditions;
    char renditions[BOARD_RENDITIONS][32];
    uint8_t rendition_group[BOARD_RENDITIONS];
    char data[]; /* of the texts above */
};

/* The rest of struct board_job. Without holes: compared as bytes. */
struct board_facts {
    enum job_state state;
    unsigned priority, attempts_failed, early_failures;
    int64_t created_ms, updated_ms, started_ms, ended_ms, playable_ms;
    double duration_s;
    uint64_t frames;
    size_t tasks, tasks_done, tasks_released, tasks_dead, tasks_reused;
    double cost, cost_done, cpu_s, eta_s;
    int64_t queue_position;
};

static_assert(sizeof(struct board_facts) == 4 * 4 + 17 * 8, "no holes");

struct board_sum { /* over the tasks of a group */
    double cost, done;
    uint64_t frames_done;
};

/* A task that a worker says to be at. */
struct board_run {
    char task[24];
    char worker[128];
    unsigned attempt;
    uint64_t done, total; /* frames, or ms of sound */
    double elapsed_s;
    size_t index;           /* of the task; BOARD_NO_TASK: the job has none of that id */
    struct board_task copy; /* in a view: that task */
};
#define BOARD_NO_TASK SIZE_MAX

/* A copy for a reader. */
struct board_view {
    struct board_texts *texts; /* a reference of its own */
    struct board_facts facts;
    struct board_sum sums[BOARD_GROUPS];
    struct board_run *runs; /* of released tasks, by index, one a task */
    size_t n_runs;
    struct board_task *tasks; /* NULL: not asked for */
    size_t n_tasks;
};

struct board_entry {
    struct board_entry *next; /* of its bucket */
    uint64_t version;         /* of all that a reader sees of it */
    struct board_texts *texts;
    struct board_facts facts;
    struct board_sum sums[BOARD_GROUPS];
    struct board_task *tasks;
    uint32_t *by_id; /* indices into tasks, sorted by id */
    size_t n_tasks;
    struct board_run *runs;
    size_t n_runs, runs_room;
};

/* A heartbeat that readers may be at. */
struct board_seen {
    atomic_uint refs;
    struct heartbeat h;
};

struct board_worker {
    struct board_seen *seen;
    int64_t heard_ms;
    int lost;
};

struct board {
    uint64_t boot;        /* so that a version isn't met again in another process */
    pthread_mutex_t lock; /* guards all that follows */
    uint64_t version;
    struct board_entry **buckets;
    size_t n_buckets;           /* a power of two */
    struct board_entry **order; /* oldest first: by created_ms, then id */
    size_t n, room;
    struct board_worker *workers;
    size_t n_workers, workers_room;
    struct board_totals totals;
};

static inline void board_lock(struct board *b)
{
    (void)pthread_mutex_lock(&b->lock);
}

static inline void board_unlock(struct board *b)
{
    (void)pthread_mutex_unlock(&b->lock);
}

/* ---- board_texts.c ---- */

/* NULL: out of memory. */
struct board_texts *board_texts_new(const struct board_job *j);
struct board_texts *board_texts_take(struct board_texts *t);
int board_texts_equal(const struct board_texts *t, const struct board_job *j);
void board_texts_drop(struct board_texts *t); /* NULL is a no-op */

/* ---- board.c; with the lock held ---- */

struct board_entry *board_find(const struct board *b, const char *id);
void board_touch(struct board *b, struct board_entry *e); /* readers see something else */
/* The first place in `order` that doesn't come before (created_ms, id). */
size_t board_place(const struct board *b, int64_t created_ms, const char *id);
/* Index of the task, or BOARD_NO_TASK. */
size_t board_find_task(const struct board_entry *e, const char *id);

unsigned board_group(const struct board_task *t); /* index of its sum; pure */

/* ---- board_workers.c ---- */

void board_seen_drop(struct board_seen *s);
/* With the lock held: workers that were not heard of for too long. */
void board_look_for_lost(struct board *b, int64_t now_ms);

/* ---- board_json.c: -ENOMEM, ERR_RESOURCE ---- */

/* One job, with its renditions, and its tasks where asked for. */
int board_write_job(const struct board_view *v, int with_tasks, char **ret, struct err *err);

/* `after`: the cursor, or NULL. */
int board_write_jobs(const struct board_view *v, size_t n, const char *after, char **ret,
                     struct err *err);

struct board_worker_view {
    const struct heartbeat *last;
    int64_t heard_ms;
    int lost;
};
int board_write_workers(const struct board_worker_view *v, size_t n, int64_t now_ms, char **ret,
                        struct err *err);

#endif
