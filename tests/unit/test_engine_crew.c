/* Whose fault a failure is: an upload's that crashes two workers, or a worker's that others
 * do better than. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/store/store.h"
#include "common/wire/event.h"
#include "common/wire/result.h"
#include "dispatcher/board.h"
#include "dispatcher/job.h"
#include "engine_fixture.h"

static void result_of(struct engine *e, const struct task *t, const char *worker,
                      enum err_class cls, const char *text)
{
    struct task_result *r = farm_result(e->farm, t);

    free(r->worker);
    r->worker = strdup(worker);
    if (cls != ERR_NONE)
        (void)err_set(&r->error, -EIO, cls, "%s", text);
    else
        store_objects(e, t);
    publish(e, r);
    farm_result_free(r);
}

static void hear(struct engine *e, const char *worker, enum worker_state state)
{
    struct heartbeat h = { .worker = (char *)worker,
                           .host = (char *)"here",
                           .engine = (char *)"e",
                           .state = state,
                           .slots = 1,
                           .memory_bytes = 1,
                           .started_ms = 1 };
    json_t *j = heartbeat_to_json(&h);
    char *text = json_dumps(j, JSON_COMPACT);

    e->queue->ops->event(e->queue, "event.worker.x", text, strlen(text));
    json_decref(j);
    free(text);
}

static void start_farm(struct engine *e, void **state)
{
    e->survives = 1;
    e->cfg.queue_min = 64;
    if (!e->board)
        assert_int_equal(board_new(&e->board, NULL), 0);
    start(e, state);
}

static void stop_farm(struct engine *e)
{
    stop(e);
    board_free(e->board);
}

/* Until so many take tasks. */
static void await_workers(struct engine *e, unsigned n)
{
    while (board_slots(e->board, test_clock.ms) != n)
        assert_int_equal(dispatcher_step(e->d, 10, NULL), 0);
}

/* The next attempt of that task, once its back-off is over. */
static struct task again(struct engine *e, const char *id)
{
    struct task t;

    for (;;) {
        test_clock.ms += 10000;
        step(e);
        while (take(e, &t)) {
            if (strcmp(t.id, id) == 0)
                return t;
            task_release(&t);
        }
    }
}

static int avoids(const struct task *t, const char *worker)
{
    for (size_t i = 0; i < t->n_avoid; i++)
        if (strcmp(t->avoid[i], worker) == 0)
            return 1;
    return 0;
}

/* One attempt fails on each of them. */
static void crash_on(struct engine *e, const char *first, const char *second, const char *text)
{
    struct task t = first_task(e);
    char id[64];

    (void)snprintf(id, sizeof(id), "%s", t.id);
    assert_int_equal(t.n_avoid, 0);
    result_of(e, &t, first, ERR_CRASH, text);
    task_release(&t);
    step(e);
    t = again(e, id);
    assert_true(avoids(&t, first));
    result_of(e, &t, second, ERR_CRASH, text);
    task_release(&t);
    step(e);
}

static void expect_error(struct engine *e, const char *a, const char *b)
{
    struct job_status st = status(e);

    assert_int_equal(st.state, JOB_FAILED);
    assert_int_equal(st.error.cls, ERR_CRASH);
    if (!strstr(st.error.text, a) || !strstr(st.error.text, b))
        fail_msg("%s", st.error.text);
}

static void a_crash_on_two_workers_is_the_uploads_fault(void **state)
{
    struct engine e = { 0 };
    struct err err = { 0 };
    struct job_status st;

    start_farm(&e, state);
    crash_on(&e, "w1", "w2", "child died by SIGSEGV; last words: boom");
    expect_error(&e, "crashed on two workers, w1 and w2", "SIGSEGV; last words: boom");

    /* A pipeline that sends it again, also under another id, isn't obeyed. */
    struct job_request q = request(&e);
    assert_int_equal(dispatcher_submit(e.d, &q, &err), -EBUSY);
    assert_int_equal(err.cls, ERR_USAGE);
    assert_non_null(strstr(err.text, "gopmill requeue j"));
    stop(&e);
    start_farm(&e, state); /* nor after a restart */
    q.id = "k";
    char *other = NULL;
    assert_true(asprintf(&other, "%s-k/", e.farm->output) > 0);
    q.output = other;
    assert_int_equal(dispatcher_submit(e.d, &q, &err), 0);
    do {
        step(&e);
        assert_int_equal(dispatcher_status(e.d, "k", &st, NULL), 0);
    } while (st.state == JOB_QUEUED || st.state == JOB_PLANNING);
    assert_int_equal(st.state, JOB_FAILED);
    assert_non_null(strstr(st.error.text, "crashed on two workers, w1 and w2"));
    free(other);

    /* A person is. */
    assert_int_equal(dispatcher_requeue(e.d, "j", -1, NULL, NULL), 0);
    test_clock.ms += 60000;
    finish(&e);
    assert_int_equal(status(&e).state, JOB_DONE);
    stop_farm(&e);
}

static void a_crash_twice_on_one_worker_proves_nothing(void **state)
{
    struct engine e = { 0 };

    start_farm(&e, state);
    crash_on(&e, "w1", "w1", "child died by SIGSEGV");
    assert_int_equal(status(&e).state, JOB_RUNNING);
    stop_farm(&e);
}

/* Which the kernel does where memory is short: no upload does that to itself. */
static void a_child_that_was_killed_is_no_proof_either(void **state)
{
    struct engine e = { 0 };

    start_farm(&e, state);
    crash_on(&e, "w1", "w2", "child died by SIGKILL");
    assert_int_equal(status(&e).state, JOB_RUNNING);
    stop_farm(&e);
}

static void the_last_failure_names_its_worker(void **state)
{
    struct engine e = { 0 };
    struct task t;

    start_farm(&e, state);
    t = first_task(&e);
    result_of(&e, &t, "w7", ERR_INPUT, "no such pictures");
    step(&e);
    assert_non_null(strstr(status(&e).error.text, "on worker w7: no such pictures"));
    task_release(&t);
    stop_farm(&e);
}

/* Four PUTs whose answers are lost within seconds are no reason to fail a film. */
static void a_store_gets_minutes_for_its_bad_ones(void **state)
{
    struct engine e = { .cfg = { .storage_retry_ms = 15000 } };
    struct task t;
    char id[64];

    start_farm(&e, state);
    t = first_task(&e);
    (void)snprintf(id, sizeof(id), "%s", t.id);
    int64_t from = test_clock.ms;
    for (int i = 0; i < ATTEMPTS - 1; i++) {
        result_of(&e, &t, "w1", ERR_STORAGE, "PUT failed, tried 5 times");
        task_release(&t);
        step(&e);
        assert_int_equal(status(&e).state, JOB_RUNNING);
        t = again(&e, id);
    }
    assert_true(test_clock.ms - from > 50 * 1000); /* 105 s, less what chance makes of it */
    task_release(&t);
    stop_farm(&e);
}

/* An attempt fails, the wall clock is set to that, and the next attempt comes with its back-off. */
static void clock_is_set(void **state, int64_t step_ms, int restarts)
{
    struct engine e = { 0 };
    struct task t;
    char id[64];

    start_farm(&e, state);
    t = first_task(&e);
    (void)snprintf(id, sizeof(id), "%s", t.id);
    result_of(&e, &t, "w1", ERR_TIMEOUT, "no progress");
    task_release(&t);
    step(&e);
    test_clock.step_ms += step_ms;
    if (restarts) {
        stop(&e);
        start_farm(&e, state);
    }
    int64_t from = test_clock.ms;
    t = again(&e, id);
    assert_true(test_clock.ms - from <= (RETRY_MS << 7) * 3 / 2 + 10000);
    task_release(&t);
    stop_farm(&e);
    test_clock.step_ms = 0;
}

static void a_clock_that_is_set_back_holds_up_nobody(void **state)
{
    clock_is_set(state, -INT64_C(86400000), 0);
}

static void a_clock_that_was_set_back_while_nobody_looked_likewise(void **state)
{
    clock_is_set(state, -INT64_C(86400000), 1);
}

static int store_is_away; /* so many more requests */

static int away_open(struct store_env *env, const char *url, struct store **ret, char **ret_key,
                     struct err *err)
{
    (void)env, (void)url, (void)ret, (void)ret_key;
    return err_set(err, -EIO, ERR_STORAGE, "connection refused");
}

static int away_was(struct store_env *env, int64_t since_ns, int refused)
{
    (void)env, (void)since_ns, (void)refused;
    return store_is_away-- > 0;
}

/* Nothing accepted is lost because a store is away, however long. */
static void planning_waits_for_a_store_that_is_away(void **state)
{
    struct store_env env = { .open_object = away_open, .was_away = away_was };
    struct engine e = { .cfg = { .stores = &env } };

    start_farm(&e, state);
    store_is_away = 20;
    struct job_request q = request(&e);
    q.source = "s3://in/a.mov";
    assert_int_equal(dispatcher_submit(e.d, &q, NULL), 0);
    while (store_is_away > 0) {
        assert_int_not_equal(status(&e).state, JOB_FAILED);
        test_clock.ms += 10000;
        step(&e);
    }
    while (status(&e).state != JOB_FAILED) { /* that it is forbidden there is another matter */
        test_clock.ms += 10000;
        step(&e);
    }
    assert_non_null(strstr(status(&e).error.text, "connection refused"));
    stop_farm(&e);
}

/* Three of the four tasks fail on w1 by storage; the last one is done by w2, which goes then where
 * w1 is the only one `left`. */
static void storage_fails_on_w1(struct engine *e, int left)
{
    struct task t[TASKS];

    t[0] = first_task(e);
    hear(e, "w1", WORKER_ACTIVE);
    if (left > 1)
        hear(e, "w2", WORKER_ACTIVE);
    await_workers(e, (unsigned)left);
    step(e);
    for (int i = 1; i < TASKS; i++)
        assert_true(take(e, &t[i]));
    for (int i = 0; i < TASKS - 1; i++)
        result_of(e, &t[i], "w1", ERR_STORAGE, "403 SignatureDoesNotMatch");
    step(e);
    result_of(e, &t[TASKS - 1], "w2", ERR_NONE, NULL);
    step(e);
    for (int i = 0; i < TASKS; i++)
        task_release(&t[i]);
}

static void totals(struct engine *e, struct board_totals *ret)
{
    test_clock.ms += 2000;
    step(e);
    board_totals(e->board, test_clock.ms, ret);
}

static void who_stands_out_is_quarantined(void **state)
{
    struct engine e = { 0 };
    struct board_totals t;

    start_farm(&e, state);
    storage_fails_on_w1(&e, 2);
    totals(&e, &t);
    assert_int_equal(t.quarantines, 1);
    assert_int_equal(t.suspects, 0);
    hear(&e, "w1", WORKER_QUARANTINED);
    await_workers(&e, 1);
    assert_int_equal(dispatcher_release_worker(e.d, "w1", NULL), 0);
    stop_farm(&e);
}

static void the_last_worker_goes_on_with_an_alarm(void **state)
{
    struct engine e = { 0 };
    struct board_totals t;

    start_farm(&e, state);
    storage_fails_on_w1(&e, 1);
    totals(&e, &t);
    assert_int_equal(t.quarantines, 0);
    assert_int_equal(t.suspects, 1);
    stop_farm(&e);
}

#define T(f) cmocka_unit_test_setup_teardown(f, farm_setup, farm_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_crash_on_two_workers_is_the_uploads_fault),
        T(a_crash_twice_on_one_worker_proves_nothing),
        T(a_child_that_was_killed_is_no_proof_either),
        T(the_last_failure_names_its_worker),
        T(a_store_gets_minutes_for_its_bad_ones),
        T(a_clock_that_is_set_back_holds_up_nobody),
        T(a_clock_that_was_set_back_while_nobody_looked_likewise),
        T(planning_waits_for_a_store_that_is_away),
        T(who_stands_out_is_quarantined),
        T(the_last_worker_goes_on_with_an_alarm),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
