/* board.h - what is going on, for whoever asks: a copy in memory of jobs,
 * tasks and workers that the dispatcher's thread keeps up to date and that
 * any thread may read, so that a status never waits for the database, and
 * the dispatcher never for who asks.
 *
 * Writers copy a few words under a lock; readers copy out under the same lock
 * and render outside of it. Texts here are UTF-8.
 */
#ifndef GOPMILL_DISPATCHER_BOARD_H
#define GOPMILL_DISPATCHER_BOARD_H

#include "../common/wire/event.h"
#include "engine.h"

struct board;

struct board_task {
    char id[24];
    uint8_t state; /* enum task_state */
    uint8_t audio; /* sound or an extra, which is of no chunk: the id tells which */
    uint16_t group;
    uint32_t chunk;
    uint32_t attempt, failures;
    float cost, cpu_s; /* core-seconds */
    uint64_t frames;   /* once done, of the best rendition (audio: 0) */
};

/* Of one job. In board_put_job() everything is copied. */
struct board_job {
    const char *id, *source, *output, *ladder_name, *tenant, *metadata; /* metadata may be NULL */
    enum job_state state;
    unsigned priority;
    struct err error;
    int64_t created_ms, updated_ms, started_ms, ended_ms; /* wall; 0: not yet */
    int64_t playable_ms;                                  /* playlists were there; 0: not yet */
    double duration_s;                                    /* of the timeline; 0: not planned yet */
    uint64_t frames;                                      /* of the best rendition, planned */
    size_t tasks, tasks_done, tasks_released, tasks_dead, tasks_reused;
    unsigned attempts_failed;
    unsigned early_failures; /* of early playlists, since they were last stored */
    const char *early_error; /* of the last one; NULL: none */
    const char *replaced_by; /* the job that has published to its output since; NULL: none */
    double cost, cost_done;  /* predicted core-seconds, corrected by results */
    double cpu_s;
    double eta_s;                /* -1: unknown */
    int64_t queue_position;      /* jobs that are served before it; -1: none of its tasks waits */
    char renditions[16][32];     /* names, video first; "" ends */
    uint8_t rendition_group[16]; /* task group, 255: audio */
};

enum { BOARD_TIMES = 15 };
#define BOARD_TIMES_FROM_S 62.5e-6

struct board_times { /* how long something took, each time */
    uint64_t n;
    double sum_s;
    uint64_t below[BOARD_TIMES]; /* cumulative, upper bounds BOARD_TIMES_FROM_S · 2^i */
};

struct board_totals { /* for metrics */
    size_t jobs[JOB_STATE_MAX], tasks[TASK_STATE_MAX];
    double backlog_s; /* corrected core-seconds of tasks not done, of live jobs */
    size_t slots, workers, quarantined;
    uint64_t quarantines, suspects; /* workers put into quarantine, or not for want of others */
    uint64_t results, attempts_failed, redone, released, dead_letters; /* since the start */
    uint64_t early_failed;           /* early playlists that could not be stored, likewise */
    uint64_t bytes_read, bytes_made; /* by tasks, since the start */
    struct {
        char encoder[24];
        double cpu_s;
        uint64_t frames;
    } encoders[16];
    struct board_times commits;  /* of the database */
    struct board_times choosing; /* which tasks go next, whenever some went */
};

int board_new(struct board **ret, struct err *err);
void board_free(struct board *b);

/* ---- for the dispatcher's thread ---- */
int board_put_job(struct board *b,
                  const struct board_job *j); /* -ENOMEM: readers see the old one */
int board_put_tasks(struct board *b, const char *job, const struct board_task *v,
                    size_t n); /* all */
void board_put_task(struct board *b, const char *job, size_t index, const struct board_task *t);
void board_drop_job(struct board *b, const char *job);
void board_put_totals(struct board *b, const struct board_totals *t);

/* ---- for whoever hears heartbeats (dispatcher's thread) ---- */
int board_put_worker(struct board *b, const struct heartbeat *h, int64_t now_ms);
/* Slots of workers that were heard of in the last WORKER_LOST_MS and take tasks. */
unsigned board_slots(struct board *b, int64_t now_ms);
struct board_crew {
    size_t workers, takers, quarantined; /* heard of in the last WORKER_LOST_MS; who take tasks */
    unsigned slots;                      /* of these */
    char reason[200];                    /* why one of the others takes none; "" */
};
/* Any thread. */
void board_crew(struct board *b, int64_t now_ms, struct board_crew *ret);

/* ---- for readers; JSON as docs/openapi.yaml has it ---- */

/* *ret_etag: a strong ETag without quotes, which changes whenever the text
 * would. `with_tasks`: also "tasks". -ENOENT. Free both. */
int board_job_json(struct board *b, const char *id, int with_tasks, int64_t now_ms, char **ret,
                   char **ret_etag, struct err *err);

/* The ETag alone, for a reader who has a text already: cheap. */
int board_job_etag(struct board *b, const char *id, int with_tasks, int64_t now_ms, char **ret,
                   struct err *err);

struct board_query {
    int state;          /* enum job_state, or -1 */
    const char *tenant; /* NULL: any */
    const char *after;  /* the cursor of the page before; NULL: the newest */
    size_t limit;       /* 1 to 1000 */
};
int board_jobs_json(struct board *b, const struct board_query *q, int64_t now_ms, char **ret,
                    struct err *err);
int board_workers_json(struct board *b, int64_t now_ms, char **ret, struct err *err);
int board_has_worker(struct board *b, const char *id);
void board_totals(struct board *b, int64_t now_ms, struct board_totals *ret);

#endif
