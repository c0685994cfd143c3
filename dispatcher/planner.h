/* planner.h - the planning of one job, on a thread of its own: a child reads
 * the source's index, and the thread makes the rows of the plan's tasks, so
 * that the dispatcher's steps go on meanwhile.
 */
#ifndef GOPMILL_DISPATCHER_PLANNER_H
#define GOPMILL_DISPATCHER_PLANNER_H

#include <pthread.h>

#include "../common/base/err.h"
#include "inbox.h"
#include "jobdb.h"

struct block_reader;
struct blocks;
struct child;
struct nursery;
struct store_env;

/* A task of the plan, as its row: without its job, attempt 1. */
struct planned_task {
    struct task_row row; /* its texts are the next ones */
    char *id, *body, *encoder;
};

struct planner_config { /* all borrowed; texts are copied */
    struct inbox *inbox;
    struct store_env *stores;
    struct nursery *nursery;
    int nice; /* what is added to the niceness of the thread */
    const char *job, *source, *output;
    const char *etag;    /* of the version that is wanted; "": what is there */
    int looks;           /* there is a plan: does the source still have that etag? Nothing else */
    const char *request; /* to the child: JSON */
    const char *ladder;  /* its text; this and what follows: version_ask */
    int64_t created_ms;
    unsigned run;
    int replace, in_place;
};

struct planner {
    struct inbox_item item; /* first; put as INBOX_PLANNED when the thread is done: all below is
                               the dispatcher's then */
    struct planner *next;   /* the dispatcher's */

    int waits; /* it failed for this machine's reasons, not the job's: it is tried again, and again
                */
    int r;     /* 0, or what failed it, with `err` */
    struct err err;
    int looks, replaced; /* where it only looked: the source has another etag */
    char *job, *etag;
    char *text, *facts; /* of the plan, JSON; facts: job_read_facts() */
    char *version;      /* that it is to be (publish/version.h) */
    char *replaces;     /* that lies at the output; NULL: no package */
    struct planned_task *tasks;
    size_t n_tasks;
    unsigned attempt; /* the dispatcher's: that its tasks begin with */

    /* The thread's. */
    struct inbox *inbox;
    struct store_env *stores;
    struct nursery *nursery;
    int nice;
    char *source, *output, *request, *ladder;
    int64_t created_ms;
    unsigned run;
    int replace, in_place;
    struct blocks *blocks; /* the child reads headers more than once */
    struct block_reader *reader;

    pthread_t thread;
    int started;          /* and not joined yet */
    pthread_mutex_t lock; /* guards child and stopping */
    struct child *child;
    int stopping;
};

/* Sets out. -ENOMEM and what pthread_create() says, with ERR_RESOURCE. */
int planner_run(const struct planner_config *cfg, struct planner **ret, struct err *err);

/* Let it end soon: its child is killed. Its item comes nevertheless. From any thread. */
void planner_stop(struct planner *p);

/* Until its thread has ended; its item is in the inbox then. Once more is a no-op. */
void planner_join(struct planner *p);

void planner_free(struct planner *p); /* one that was joined; NULL is a no-op */

#endif
