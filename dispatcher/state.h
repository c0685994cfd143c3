/* state.h - what may become of a job and of a task: two tables. Pure
 * functions; any thread.
 *
 *   queued ─▶ planning ─▶ running ─▶ publishing ─▶ done
 *      ▲ ◀──────┘            │ ▲         │  │         │
 *      │   interrupted       │ └─────────┘  │         │
 *      │                     │ redo: a segment is wrong or gone (also from done)
 *      │                     ▼              ▼
 *      └────── revive ──── failed, canceled (from any state before done)
 *               (with a plan: to running)
 *
 *                 released: given to the queue
 *        ┌──────────────────────────┐
 *        │                          ▼        result
 *     waiting ◀── retry, lost ── released ─────────▶ done
 *        ▲  │ (a late result: done)    │              │
 *        │  └─────────────────────────────────────────┤ redo
 *        │                             ▼ attempts spent
 *        └────────── revive ───────── dead
 */
#ifndef GOPMILL_DISPATCHER_STATE_H
#define GOPMILL_DISPATCHER_STATE_H

#include "engine.h"

enum job_event {
    JOB_PLAN,        /* its planning begins */
    JOB_INTERRUPTED, /* planning ended without a plan, and is to begin anew */
    JOB_PLANNED,     /* its plan and tasks are in the database */
    JOB_ALL_DONE,    /* no task is left to be done */
    JOB_REDO,        /* a task that was done must be done again */
    JOB_PUBLISHED,   /* the package is complete in its store */
    JOB_FAIL,
    JOB_KEEP, /* failed, and what it had published is whole */
    JOB_CANCEL,
    JOB_REVIVE,         /* submitted again after its end, without a plan */
    JOB_REVIVE_PLANNED, /* the same, with a plan */
    JOB_EVENT_MAX
};

enum task_event {
    TASK_RELEASE, /* given to the queue */
    TASK_RESULT,  /* its result was accepted */
    TASK_RETRY,   /* an attempt failed, another one is allowed */
    TASK_SPEND,   /* the last attempt failed */
    TASK_LOST,    /* the queue that had it is gone, or nobody waits for it */
    TASK_REDO,    /* what it made is wrong or gone */
    TASK_REVIVE,  /* its job was submitted again */
    TASK_EVENT_MAX
};

const char *job_event_name(enum job_event ev);
const char *task_event_name(enum task_event ev);

/* The state after `ev`, or -EPROTO where that can't happen in `from`. */
int job_next(enum job_state from, enum job_event ev);
int task_next(enum task_state from, enum task_event ev);

/* The state of that name, or -EINVAL. */
int job_state_parse(const char *name);
int task_state_parse(const char *name);

#endif
