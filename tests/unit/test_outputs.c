/* An output belongs to one job: who may have it, and until when. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/log.h"
#include "dispatcher/job.h"
#include "engine_fixture.h"

/* `output` is added to that of the fixture; 0 or what was answered. */
static int submit_at(struct engine *e, const char *id, const char *output, struct err *err)
{
    struct job_request q = request(e);
    char url[512];

    (void)snprintf(url, sizeof(url), "%s%s", q.output, output);
    q.id = id;
    q.output = url;
    return dispatcher_submit(e->d, &q, err);
}

static const struct row {
    const char *name, *first, *second, *text; /* text: NULL, it may */
} rows[] = {
    {"the same",                         "/a",     "/a",       "belongs to job first"            },
    { "the same with slashes behind it", "/a",     "/a//",     "belongs to job first"            },
    { "the same with doubled slashes",   "/a/b",   "//a///b/", "belongs to job first"            },
    { "the same in other letters",       "/a b",   "/%61%20b", "belongs to job first"            },
    { "inside of it",                    "/a",     "/a/b/c",   "lies inside of that of job first"},
    { "around it",                       "/a/b/c", "/a",       "lies around that of job first"   },
    { "beside it",                       "/a",     "/b",       NULL                              },
    { "a longer name",                   "/a",     "/ab",      NULL                              },
    { "a shorter name",                  "/ab",    "/a",       NULL                              },
};

static void an_output_is_one_jobs_from_admission_to_deletion(void **state)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct engine e = { 0 };
        struct err err = { 0 };

        start(&e, state);
        assert_int_equal(submit_at(&e, "first", rows[i].first, NULL), 0);
        for (int again = 0; again < 2; again++) { /* also after a restart */
            int r = submit_at(&e, "second", rows[i].second, &err);
            if ((r < 0) != (rows[i].text != NULL) || (r < 0 && r != -EBUSY))
                fail_msg("%s: %d %s", rows[i].name, r, err.text);
            if (r < 0) {
                assert_int_equal(err.cls, ERR_USAGE);
                if (!strstr(err.text, rows[i].text) || !strstr(err.text, "choose another output"))
                    fail_msg("%s: %s", rows[i].name, err.text);
            }
            stop_dispatcher(&e);
            start(&e, state);
        }
        assert_int_equal(dispatcher_cancel(e.d, "first", NULL), 0);
        assert_int_equal(submit_at(&e, "second", rows[i].second, NULL), rows[i].text ? -EBUSY : 0);
        assert_int_equal(dispatcher_delete(e.d, "first", 0, NULL), 0);
        assert_int_equal(submit_at(&e, "second", rows[i].second, NULL), 0);
        step(&e);
        stop(&e);
        assert_int_equal(remove(e.farm->db), 0);
    }
}

static void a_job_that_is_sent_twice_is_one(void **state)
{
    struct engine e = { 0 };
    struct err err = { 0 };

    start(&e, state);
    assert_int_equal(submit_at(&e, "j", "/a", NULL), 0);
    assert_int_equal(submit_at(&e, "j", "/a", NULL), 0);
    assert_int_equal(submit_at(&e, "j", "/b", &err),
                     -EEXIST); /* queued, and somebody waits for it */
    assert_non_null(strstr(err.text, "/a"));
    assert_int_equal(dispatcher_cancel(e.d, "j", NULL), 0);
    assert_int_equal(submit_at(&e, "j", "/b", NULL), 0);
    assert_int_equal(submit_at(&e, "k", "/a", NULL), 0); /* nobody's any more */
    step(&e);
    stop(&e);
}

static void a_queued_job_does_not_become_another(void **state)
{
    struct engine e = { 0 };
    struct err err = { 0 };

    start(&e, state);
    submit(&e);
    struct job_request q = request(&e);
    q.source = "file:///another.mov";
    assert_int_equal(dispatcher_submit(e.d, &q, &err), -EEXIST);
    assert_non_null(strstr(err.text, "another.mov"));
    finish(&e);
    stop(&e);
}

#define T(f) cmocka_unit_test_setup_teardown(f, farm_setup, farm_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(an_output_is_one_jobs_from_admission_to_deletion),
        T(a_job_that_is_sent_twice_is_one),
        T(a_queued_job_does_not_become_another),
    };
    log_init(LOG_FORMAT_TEXT, LOG_OFF);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
