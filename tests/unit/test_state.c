/* What may become of jobs and tasks: every pair of state and event. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "dispatcher/state.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const struct {
    const char *name;
    enum job_state from;
    enum job_event ev;
    int want;
} jobs[] = {
    {"a queued job is planned",            JOB_QUEUED,     JOB_PLAN,           JOB_PLANNING  },
    { "a queued job may fail",             JOB_QUEUED,     JOB_FAIL,           JOB_FAILED    },
    { "a queued job may be canceled",      JOB_QUEUED,     JOB_CANCEL,         JOB_CANCELED  },
    { "an interrupted plan is made anew",  JOB_PLANNING,   JOB_INTERRUPTED,    JOB_QUEUED    },
    { "a planned job runs",                JOB_PLANNING,   JOB_PLANNED,        JOB_RUNNING   },
    { "planning may fail",                 JOB_PLANNING,   JOB_FAIL,           JOB_FAILED    },
    { "planning may be canceled",          JOB_PLANNING,   JOB_CANCEL,         JOB_CANCELED  },
    { "the last result publishes the job", JOB_RUNNING,    JOB_ALL_DONE,       JOB_PUBLISHING},
    { "a running job may fail",            JOB_RUNNING,    JOB_FAIL,           JOB_FAILED    },
    { "a running job may be canceled",     JOB_RUNNING,    JOB_CANCEL,         JOB_CANCELED  },
    { "a wrong segment sends a job back",  JOB_PUBLISHING, JOB_REDO,           JOB_RUNNING   },
    { "a published job is done",           JOB_PUBLISHING, JOB_PUBLISHED,      JOB_DONE      },
    { "publishing may fail",               JOB_PUBLISHING, JOB_FAIL,           JOB_FAILED    },
    { "publishing may be canceled",        JOB_PUBLISHING, JOB_CANCEL,         JOB_CANCELED  },
    { "a done job may be mended",          JOB_DONE,       JOB_REDO,           JOB_RUNNING   },
    { "mended in vain, it looks again",    JOB_DONE,       JOB_REVIVE,         JOB_QUEUED    },
    { "published, it fails as done (1)",   JOB_QUEUED,     JOB_KEEP,           JOB_DONE      },
    { "published, it fails as done (2)",   JOB_PLANNING,   JOB_KEEP,           JOB_DONE      },
    { "published, it fails as done (3)",   JOB_RUNNING,    JOB_KEEP,           JOB_DONE      },
    { "published, it fails as done (4)",   JOB_PUBLISHING, JOB_KEEP,           JOB_DONE      },
    { "a failed job begins anew",          JOB_FAILED,     JOB_REVIVE,         JOB_QUEUED    },
    { "a failed job goes on",              JOB_FAILED,     JOB_REVIVE_PLANNED, JOB_RUNNING   },
    { "a canceled job begins anew",        JOB_CANCELED,   JOB_REVIVE,         JOB_QUEUED    },
    { "a canceled job goes on",            JOB_CANCELED,   JOB_REVIVE_PLANNED, JOB_RUNNING   },
};

static const struct {
    const char *name;
    enum task_state from;
    enum task_event ev;
    int want;
} tasks[] = {
    {"a waiting task is released",       TASK_WAITING,  TASK_RELEASE, TASK_RELEASED},
    { "a late success counts",           TASK_WAITING,  TASK_RESULT,  TASK_DONE    },
    { "a result ends a task",            TASK_RELEASED, TASK_RESULT,  TASK_DONE    },
    { "a failed attempt is tried again", TASK_RELEASED, TASK_RETRY,   TASK_WAITING },
    { "the last attempt kills",          TASK_RELEASED, TASK_SPEND,   TASK_DEAD    },
    { "a lost task waits again",         TASK_RELEASED, TASK_LOST,    TASK_WAITING },
    { "a damaged segment is made again", TASK_DONE,     TASK_REDO,    TASK_WAITING },
    { "a dead task is revived",          TASK_DEAD,     TASK_REVIVE,  TASK_WAITING },
};

static void jobs_move_only_as_the_table_says(void **state)
{
    (void)state;
    for (int s = 0; s < JOB_STATE_MAX; s++)
        for (int ev = 0; ev < JOB_EVENT_MAX; ev++) {
            int want = -EPROTO;
            for (size_t i = 0; i < COUNT(jobs); i++)
                if ((int)jobs[i].from == s && (int)jobs[i].ev == ev)
                    want = jobs[i].want;
            int got = job_next((enum job_state)s, (enum job_event)ev);
            if (got != want)
                fail_msg("%s + %s: %d, not %d", job_state_name((enum job_state)s),
                         job_event_name((enum job_event)ev), got, want);
        }
    assert_int_equal(job_next(JOB_STATE_MAX, JOB_FAIL), -EPROTO);
    assert_int_equal(job_next(JOB_RUNNING, JOB_EVENT_MAX), -EPROTO);
}

static void tasks_move_only_as_the_table_says(void **state)
{
    (void)state;
    for (int s = 0; s < TASK_STATE_MAX; s++)
        for (int ev = 0; ev < TASK_EVENT_MAX; ev++) {
            int want = -EPROTO;
            for (size_t i = 0; i < COUNT(tasks); i++)
                if ((int)tasks[i].from == s && (int)tasks[i].ev == ev)
                    want = tasks[i].want;
            int got = task_next((enum task_state)s, (enum task_event)ev);
            if (got != want)
                fail_msg("%s + %s: %d, not %d", task_state_name((enum task_state)s),
                         task_event_name((enum task_event)ev), got, want);
        }
    assert_int_equal(task_next(TASK_STATE_MAX, TASK_RETRY), -EPROTO);
}

static void names_read_back(void **state)
{
    (void)state;
    for (int s = 0; s < JOB_STATE_MAX; s++)
        assert_int_equal(job_state_parse(job_state_name((enum job_state)s)), s);
    for (int s = 0; s < TASK_STATE_MAX; s++)
        assert_int_equal(task_state_parse(task_state_name((enum task_state)s)), s);
    assert_int_equal(job_state_parse("nothing"), -EINVAL);
    assert_int_equal(task_state_parse(NULL), -EINVAL);
    for (int ev = 0; ev < JOB_EVENT_MAX; ev++)
        assert_string_not_equal(job_event_name((enum job_event)ev), "unknown");
    for (int ev = 0; ev < TASK_EVENT_MAX; ev++)
        assert_string_not_equal(task_event_name((enum task_event)ev), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests_[] = {
        cmocka_unit_test(jobs_move_only_as_the_table_says),
        cmocka_unit_test(tasks_move_only_as_the_table_says),
        cmocka_unit_test(names_read_back),
    };
    return cmocka_run_group_tests(tests_, NULL, NULL);
}
