#include "state.h"

#include <errno.h>
#include <string.h>

static const char *const job_names[JOB_STATE_MAX] = {
    [JOB_QUEUED] = "queued",         [JOB_PLANNING] = "planning", [JOB_RUNNING] = "running",
    [JOB_PUBLISHING] = "publishing", [JOB_DONE] = "done",         [JOB_FAILED] = "failed",
    [JOB_CANCELED] = "canceled",
};

static const char *const task_names[TASK_STATE_MAX] = {
    [TASK_WAITING] = "waiting",
    [TASK_RELEASED] = "released",
    [TASK_DONE] = "done",
    [TASK_DEAD] = "dead",
};

static const char *const job_event_names[JOB_EVENT_MAX] = {
    [JOB_PLAN] = "plan",
    [JOB_INTERRUPTED] = "interrupted",
    [JOB_PLANNED] = "planned",
    [JOB_ALL_DONE] = "all-done",
    [JOB_REDO] = "redo",
    [JOB_PUBLISHED] = "published",
    [JOB_FAIL] = "fail",
    [JOB_KEEP] = "keep",
    [JOB_CANCEL] = "cancel",
    [JOB_REVIVE] = "revive",
    [JOB_REVIVE_PLANNED] = "revive-planned",
};

static const char *const task_event_names[TASK_EVENT_MAX] = {
    [TASK_RELEASE] = "release", [TASK_RESULT] = "result", [TASK_RETRY] = "retry",
    [TASK_SPEND] = "spend",     [TASK_LOST] = "lost",     [TASK_REDO] = "redo",
    [TASK_REVIVE] = "revive",
};

/* Entries hold state + 1, so that 0 is what can't happen. */
#define TO(s) ((s) + 1)

static const unsigned char job_table[JOB_STATE_MAX][JOB_EVENT_MAX] = {
    [JOB_QUEUED] = {[JOB_PLAN] = TO(JOB_PLANNING),
                    [JOB_FAIL] = TO(JOB_FAILED),
                    [JOB_KEEP] = TO(JOB_DONE),
                    [JOB_CANCEL] = TO(JOB_CANCELED) },
    [JOB_PLANNING] = { [JOB_INTERRUPTED] = TO(JOB_QUEUED),
                    [JOB_PLANNED] = TO(JOB_RUNNING),
                    [JOB_FAIL] = TO(JOB_FAILED),
                    [JOB_KEEP] = TO(JOB_DONE),
                    [JOB_CANCEL] = TO(JOB_CANCELED) },
    [JOB_RUNNING] = { [JOB_ALL_DONE] = TO(JOB_PUBLISHING),
                    [JOB_FAIL] = TO(JOB_FAILED),
                    [JOB_KEEP] = TO(JOB_DONE),
                    [JOB_CANCEL] = TO(JOB_CANCELED) },
    [JOB_PUBLISHING] = { [JOB_REDO] = TO(JOB_RUNNING),
                    [JOB_PUBLISHED] = TO(JOB_DONE),
                    [JOB_FAIL] = TO(JOB_FAILED),
                    [JOB_KEEP] = TO(JOB_DONE),
                    [JOB_CANCEL] = TO(JOB_CANCELED) },
    [JOB_DONE] = { [JOB_REDO] = TO(JOB_RUNNING),     [JOB_REVIVE] = TO(JOB_QUEUED)         },
    [JOB_FAILED] = { [JOB_REVIVE] = TO(JOB_QUEUED),                              [JOB_REVIVE_PLANNED] = TO(JOB_RUNNING)  },
    [JOB_CANCELED] = { [JOB_REVIVE] = TO(JOB_QUEUED),     [JOB_REVIVE_PLANNED] = TO(JOB_RUNNING)         },
};

static const unsigned char task_table[TASK_STATE_MAX][TASK_EVENT_MAX] = {
    [TASK_WAITING] = {[TASK_RELEASE] = TO(TASK_RELEASED), [TASK_RESULT] = TO(TASK_DONE) },
    [TASK_RELEASED] = { [TASK_RESULT] = TO(TASK_DONE),
                      [TASK_RETRY] = TO(TASK_WAITING),
                      [TASK_SPEND] = TO(TASK_DEAD),
                      [TASK_LOST] = TO(TASK_WAITING) },
    [TASK_DONE] = { [TASK_REDO] = TO(TASK_WAITING)   },
    [TASK_DEAD] = { [TASK_REVIVE] = TO(TASK_WAITING)    },
};

int job_next(enum job_state from, enum job_event ev)
{
    if ((unsigned)from >= JOB_STATE_MAX || (unsigned)ev >= JOB_EVENT_MAX || !job_table[from][ev])
        return -EPROTO;
    return job_table[from][ev] - 1;
}

int task_next(enum task_state from, enum task_event ev)
{
    if ((unsigned)from >= TASK_STATE_MAX || (unsigned)ev >= TASK_EVENT_MAX || !task_table[from][ev])
        return -EPROTO;
    return task_table[from][ev] - 1;
}

const char *job_state_name(enum job_state s)
{
    return (unsigned)s < JOB_STATE_MAX ? job_names[s] : "unknown";
}

const char *task_state_name(enum task_state s)
{
    return (unsigned)s < TASK_STATE_MAX ? task_names[s] : "unknown";
}

const char *job_event_name(enum job_event ev)
{
    return (unsigned)ev < JOB_EVENT_MAX ? job_event_names[ev] : "unknown";
}

const char *task_event_name(enum task_event ev)
{
    return (unsigned)ev < TASK_EVENT_MAX ? task_event_names[ev] : "unknown";
}

static int name_index(const char *const *names, int n, const char *name)
{
    for (int i = 0; name && i < n; i++)
        if (strcmp(names[i], name) == 0)
            return i;
    return -EINVAL;
}

int job_state_parse(const char *name)
{
    return name_index(job_names, JOB_STATE_MAX, name);
}

int task_state_parse(const char *name)
{
    return name_index(task_names, TASK_STATE_MAX, name);
}
