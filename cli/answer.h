/* answer.h - what a dispatcher tells of jobs, tasks, workers and dead
 * letters, taken out of its JSON.
 *
 * Answers are hostile: every text here is cleaned for a terminal (text.h)
 * and cut, every number held within limits, lists are cut at ANSWER_*_MAX.
 * What is missing is "" or 0; only what nothing can be said without (an id,
 * a state) makes an answer unusable: -EBADMSG, ERR_STORAGE. Pure functions.
 */
#ifndef GOPMILL_CLI_ANSWER_H
#define GOPMILL_CLI_ANSWER_H

#include "../common/base/err.h"
#include <jansson.h>
#include <stdint.h>

enum {
    ANSWER_TEXT_MAX = 2048, /* bytes of one text */
    ANSWER_RENDITIONS_MAX = 64,
    ANSWER_TASKS_MAX = 200000,
    ANSWER_LIST_MAX = 100000, /* workers, running tasks, dead letters */
};

struct answer_rendition {
    char *name;
    double percent; /* 0 to 100 */
};

struct answer_task {
    char *id, *kind, *state, *worker; /* worker: "" where it isn't running */
    unsigned chunk, group, attempt, failures;
    double cost_s, cpu_s, elapsed_s;
    uint64_t frames, frames_done;
};

struct answer_job {
    char *id, *state, *source, *output, *ladder, *tenant;
    unsigned priority;
    double created_s, started_s, ended_s, playable_s; /* since 1970; 0: not yet */
    enum err_class error;                             /* ERR_NONE: none */
    char *error_text;

    double percent, speed, eta_s; /* speed 0, eta_s -1: unknown */
    int64_t queue_position;       /* -1: doesn't wait */
    uint64_t n_tasks, n_done, n_running, n_waiting, n_dead, n_reused, attempts_failed;
    uint64_t early_failures; /* of early playlists, since they were last stored */
    char *early_error;
    double cost_s, cpu_s;
    uint64_t frames, frames_done;

    struct answer_rendition *renditions;
    size_t n_renditions;
    struct answer_task *tasks;
    size_t n_listed; /* tasks */
};

int answer_job(const json_t *j, struct answer_job *ret, struct err *err);
void answer_job_release(struct answer_job *job); /* leaves it zeroed */

/* Whether it has ended, and the exit status that tells how: 0 done; failed:
 * that of its class (1 or 3; 2 for a ladder that can't be used); canceled: 1. */
int answer_job_ended(const struct answer_job *job);
int answer_job_exit(const struct answer_job *job);

struct answer_worker {
    char *id, *host, *state, *reason, *engine;
    unsigned slots;
    size_t n_running;
    uint64_t tasks_done, tasks_failed, memory_bytes, memory_free;
    double speed;
    double started_s, seen_s; /* since 1970; seen: how long ago */
};

int answer_worker(const json_t *j, struct answer_worker *ret, struct err *err);
void answer_worker_release(struct answer_worker *w);

struct answer_dead {
    double at_s;
    char *queue, *reason, *body;
};

int answer_dead(const json_t *j, struct answer_dead *ret, struct err *err);
void answer_dead_release(struct answer_dead *d);

/* The elements of the array `key`, at most ANSWER_LIST_MAX; 0 where there is
 * no such array. */
size_t answer_count(const json_t *answer, const char *key);

/* Seconds since 1970 of RFC 3339 ("2026-11-23T23:38:52.123Z"); 0 where it is
 * none. */
double answer_time(const char *text);

/* "90s", "90m", "36h", "7d", "90" (seconds); up to 10 years. 0, or -EINVAL
 * with ERR_USAGE that names `option`. */
int answer_age(const char *option, const char *text, double *ret_s, struct err *err);

#endif
