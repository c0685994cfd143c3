/* desk_parts.h - what desk.c (tasks) and desk_news.c (what is heard and
 * told) share. Internal to worker/.
 */
#ifndef GOPMILL_WORKER_DESK_PARTS_H
#define GOPMILL_WORKER_DESK_PARTS_H

#include <pthread.h>

#include "../common/wire/event.h"
#include "../common/wire/task.h"
#include "desk.h"
#include "machine.h"

enum {
    SAMPLES = 64,
    TRIAL_SLOT = 0, /* the one that takes a task to end a quarantine */
    PEERS = 64,     /* remembered; one that takes a task is enough */
};

enum hand_state {
    HAND_EMPTY,
    HAND_WAITING, /* for whoever else has it */
    HAND_MEMORY,  /* for memory */
    HAND_RUNNING,
    HAND_SETTLING, /* ended, or refused; its message is not settled yet */
};

struct hand {
    enum hand_state state;
    const struct task *task; /* borrowed from the slot's thread; NULL when settling */
    char *key;               /* owned: job, task and attempt */
    uint64_t need_bytes;
    uint64_t turn; /* HAND_MEMORY: who came first */
    uint64_t done;
    int64_t start_ns;
    int canceled;     /* its job was, since it was delivered */
    int begun;        /* its child runs: from now on the farm is told that it is here … */
    int64_t until_ns; /* … until it must have ended */
};

struct quarantine {
    int on;
    int64_t ms;       /* its length; doubles */
    int64_t trial_ns; /* from when on one task is taken, to see */
    char why[QUARANTINE_REASON_MAX + 32];
};

struct peer { /* another worker, that takes tasks */
    char id[TASK_WORKER_MAX + 1];
    int64_t heard_ns; /* 0: it takes none */
};

struct sample {
    int64_t ns;
    uint64_t frames;
};

struct recent;

struct desk {
    struct desk_config cfg;
    int64_t since_ns, since_ms; /* it listens since */

    pthread_mutex_t lock;   /* guards all below */
    pthread_cond_t changed; /* any of it that somebody may wait for */
    enum desk_mode mode;
    struct quarantine quarantine;
    int news;
    struct hand *hands; /* one a slot */
    uint64_t last_turn;

    struct recent *canceled; /* jobs */
    struct recent
        *refused; /* tasks, by desk_key() of attempt 0: answered because their job was canceled */
    struct recent *told;   /* tasks: this worker published their result */
    struct recent *done;   /* tasks: the dispatcher applied their result */
    struct recent *claims; /* tasks: another worker says that it runs them */

    struct peer peers[PEERS];

    struct machine machine;
    char reason[200];        /* why nothing is leased for now, or "" */
    int64_t shed_ns;         /* since when it is so, or when a task was handed back for it last */
    char store[300];         /* why the store can't be worked with, or "" */
    char cannot[200];        /* why a task could not be begun … */
    int64_t cannot_until_ns; /* … and until when no other one is tried */
    char *engine;            /* owned; NULL: no task was done yet */
    uint64_t tasks_done, tasks_failed, frames_done, bytes_in, bytes_out;
    double cpu_s;
    struct sample samples[SAMPLES]; /* of frames, at least a second apart */
    uint64_t n_samples;
};

int64_t desk_now_ns(void);

/* Locked. Why no task is to be taken for now; NULL: there is no reason. */
const char *desk_hindrance(const struct desk *d);

/* ---- desk_standing.c; all locked ---- */

/* The slot takes no task, because of the quarantine. */
int desk_shut_out(const struct desk *d, unsigned slot);
/* A task ended: in a quarantine that was the trial. 1: it is over. */
int desk_trial_ended(struct desk *d, enum err_class cls);
/* Another worker was heard of, which takes tasks or not. */
void desk_note_peer(struct desk *d, const char *id, int takes);
/* It failed here before, and there is another worker that may try it. */
int desk_leaves_to_others(const struct desk *d, const struct task *t);

/* Allocated; NULL: out of memory. */
char *desk_key(const char *job, const char *task, unsigned attempt);

#endif
