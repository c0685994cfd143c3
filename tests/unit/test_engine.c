/* The engine, with a child and workers that do what each test says: nothing
 * accepted is lost, nothing is done twice without need, nothing wrong is
 * published. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/log.h"
#include "engine_fixture.h"
#include "fake_child.h"

static void a_job_goes_from_submission_to_a_package(void **state)
{
    struct engine e = { 0 };

    start(&e, state);
    submit(&e);
    assert_null(dispatcher_plan(e.d, "j"));
    plan(&e);
    assert_non_null(dispatcher_plan(e.d, "j"));
    assert_false(exists(&e, "master.m3u8"));
    finish(&e);
    struct job_status st = status(&e);
    assert_int_equal(st.tasks, TASKS);
    assert_int_equal(st.tasks_done, TASKS);
    assert_int_equal(st.tasks_reused, 0);
    assert_int_equal(st.frames_done, 325);
    assert_int_equal(e.encoded, TASKS);
    assert_true(st.cost > 0 && st.cost == st.cost_done);
    assert_true(st.cpu_s > 5.9 && st.cpu_s < 6.1);
    assert_true(exists(&e, "master.m3u8"));
    assert_true(exists(&e, "manifest.mpd"));
    assert_true(exists(&e, "job.json"));
    stop(&e);
}

static int list_ids(void *arg, const struct task_status *t)
{
    strcat(strcat(arg, t->id), t->audio ? "! " : " ");
    return 0;
}

static void the_queue_is_short_and_audio_comes_first(void **state)
{
    struct engine e = { 0 };
    char ids[256] = "";
    size_t depth;

    start(&e, state);
    struct task t = first_task(&e);
    assert_int_equal(t.kind, TASK_AUDIO);
    assert_int_equal(e.queue->ops->depth(e.queue, QUEUE_TASKS, &depth), 0);
    assert_int_equal(depth + 1, 2 * SLOTS);
    assert_int_equal(dispatcher_tasks(e.d, "j", list_ids, ids, NULL), 0);
    assert_string_equal(ids, "a-0! v-0000-0 v-0001-0 v-0002-0 ");
    task_release(&t);
    stop(&e);
}

static void a_crashed_attempt_is_tried_again_after_a_while(void **state)
{
    struct engine e = { 0 };

    start(&e, state);
    struct task t = first_task(&e), again;
    assert_int_equal(t.attempt, 1);
    fail_task(&e, &t, ERR_CRASH, "SIGSEGV");
    step(&e);
    assert_int_equal(status(&e).attempts_failed, 1);
    while (take(&e, &again)) { /* all others run meanwhile */
        assert_string_not_equal(again.id, t.id);
        encode(&e, &again);
        task_release(&again);
        step(&e);
    }
    assert_int_equal(status(&e).tasks_done, TASKS - 1);
    test_clock.ms += RETRY_MS * 3 / 2 + 1;
    step(&e);
    assert_true(take(&e, &again));
    assert_string_equal(again.id, t.id);
    assert_int_equal(again.attempt, 2);
    task_release(&again);
    task_release(&t);
    stop(&e);
}

/* Fail task "a-0" with `cls` until the job ends; the number of its attempts. */
static unsigned fail_until_the_end(struct engine *e, enum err_class cls)
{
    struct task t;
    unsigned n = 0;

    submit(e);
    plan(e);
    for (int i = 0; i < 200 && status(e).state == JOB_RUNNING; i++) {
        step(e);
        test_clock.ms += 100000;
        if (!take(e, &t))
            continue;
        if (strcmp(t.id, "a-0") == 0) {
            fail_task(e, &t, cls, "no luck");
            n++;
        } else {
            encode(e, &t);
        }
        task_release(&t);
    }
    return n;
}

static void attempts_are_by_class(void **state)
{
    static const struct {
        enum err_class cls;
        unsigned attempts;
        const char *text;
    } rows[] = {
        {ERR_CRASH,        ATTEMPTS, "task a-0 failed 4 times, last: no luck"},
        { ERR_TIMEOUT,     ATTEMPTS, "task a-0 failed 4 times, last: no luck"},
        { ERR_STORAGE,     ATTEMPTS, "task a-0 failed 4 times, last: no luck"},
        { ERR_INPUT,       1,        "task a-0: no luck"                     },
        { ERR_UNSUPPORTED, 1,        "task a-0: no luck"                     },
    };
    struct farm *f = *state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct engine e = { 0 };
        (void)unlink(f->db);
        start(&e, state);
        assert_int_equal(fail_until_the_end(&e, rows[i].cls), rows[i].attempts);
        struct job_status st = status(&e);
        assert_int_equal(st.state, JOB_FAILED);
        assert_int_equal(st.error.cls, rows[i].cls);
        assert_string_equal(st.error.text, rows[i].text);
        assert_false(exists(&e, "master.m3u8"));
        stop(&e);
    }
}

static void a_failed_job_is_revived_with_what_it_had(void **state)
{
    struct engine e = { 0 };

    start(&e, state);
    (void)fail_until_the_end(&e, ERR_STORAGE);
    assert_int_equal(status(&e).state, JOB_FAILED);
    unsigned before = e.encoded;
    stop(&e);

    start(&e, state);
    submit(&e);
    plan(&e);
    assert_int_equal(status(&e).state, JOB_RUNNING);
    assert_int_equal(status(&e).tasks_reused, before);
    finish(&e);
    assert_int_equal(e.encoded, TASKS);
    stop(&e);
}

static void late_and_double_results_change_nothing(void **state)
{
    struct engine e = { 0 };

    start(&e, state);
    struct task t = first_task(&e);
    encode(&e, &t);
    step(&e);
    assert_int_equal(status(&e).tasks_done, 1);
    double cpu = status(&e).cpu_s;
    encode(&e, &t);
    fail_task(&e, &t, ERR_INPUT, "too late");
    t.attempt = 77;
    fail_task(&e, &t, ERR_CRASH, "from nowhere");
    step(&e);
    struct job_status st = status(&e);
    assert_int_equal(st.state, JOB_RUNNING);
    assert_int_equal(st.tasks_done, 1);
    assert_int_equal(st.attempts_failed, 0);
    assert_true(st.cpu_s == cpu);
    task_release(&t);
    finish(&e);
    stop(&e);
}

static void a_late_failure_of_an_earlier_attempt_is_ignored(void **state)
{
    struct engine e = { 0 };

    start(&e, state);
    struct task t = first_task(&e);
    fail_task(&e, &t, ERR_CRASH, "one");
    step(&e);
    test_clock.ms += 100000;
    step(&e); /* attempt 2 is out */
    fail_task(&e, &t, ERR_CRASH, "one, again");
    step(&e);
    assert_int_equal(status(&e).attempts_failed, 1);
    encode(&e, &t); /* a late success of attempt 1 counts */
    step(&e);
    assert_int_equal(status(&e).tasks_done, 1);
    task_release(&t);
    stop(&e);
}

static void a_dispatcher_that_ends_anywhere_goes_on_where_it_was(void **state)
{
    /* After `cut` tasks, with or without submitting again. */
    for (int cut = 0; cut <= TASKS; cut++)
        for (int again = 0; again < 2; again++) {
            struct engine e = { 0 };
            struct farm *f = *state;
            char command[128];

            (void)unlink(f->db);
            (void)snprintf(command, sizeof(command), "rm -rf '%s/out'", f->dir);
            assert_int_equal(system(command), 0);
            start(&e, state);
            submit(&e);
            plan(&e);
            for (int i = 0; i < cut; i++) {
                step(&e);
                assert_true(work_one(&e));
            }
            if (cut < TASKS)
                step(&e); /* the last result is in; two more are released */
            unsigned before = e.encoded;
            stop(&e);

            unsigned plans = plans_made;
            start(&e, state);
            if (again)
                submit(&e);
            finish(&e);
            assert_int_equal(plans_made, plans);
            /* What was in the queue is lost with it, what was applied isn't. */
            assert_true(e.encoded - (cut == TASKS) <= TASKS);
            assert_true(e.encoded >= before);
            assert_int_equal(status(&e).tasks_done, TASKS);
            stop(&e);
        }
}

static void damage(const struct engine *e, const char *key, int how)
{
    char path[256];

    (void)snprintf(path, sizeof(path), "%s/out/%s", e->farm->dir, key);
    if (how == 0) {
        assert_int_equal(unlink(path), 0);
    } else {
        FILE *f = fopen(path, how == 1 ? "a" : "r+");
        assert_non_null(f);
        (void)fputc('!', f);
        (void)fclose(f);
    }
}

static void chunks_done_before_the_first_are_not_done_again(void **state)
{
    struct engine e = { 0 };
    struct task t;

    start(&e, state);
    submit(&e);
    plan(&e);
    for (int i = 0; i < TASKS; i++) {
        step(&e);
        if (!take(&e, &t))
            continue;
        if (strcmp(t.id, "v-0000-0") != 0) /* its init segment isn't there yet */
            encode(&e, &t);
        task_release(&t);
    }
    step(&e);
    assert_int_equal(status(&e).tasks_done, TASKS - 1);
    stop(&e);
    start(&e, state);
    submit(&e);
    assert_int_equal(status(&e).tasks_reused, TASKS - 1);
    finish(&e);
    assert_int_equal(e.encoded, TASKS);
    stop(&e);
}

static void a_lost_init_segment_costs_the_task_that_makes_it(void **state)
{
    struct engine e = { 0 };

    start(&e, state);
    submit(&e);
    finish(&e);
    damage(&e, "video/720p/init.mp4", 0);
    submit(&e);
    step(&e);
    assert_int_equal(status(&e).tasks_done, TASKS - 1);
    finish(&e);
    assert_int_equal(e.encoded, TASKS + 1);
    assert_true(exists(&e, "video/720p/init.mp4"));
    stop(&e);
}

static void the_first_frame_is_timed_from_the_submission(void **state)
{
    struct engine e = { 0 };
    struct task t;

    start(&e, state);
    submit(&e);
    plan(&e);
    test_clock.ms += 1000;
    step(&e);
    while (take(&e, &t)) {
        struct task_result *r = farm_result(e.farm, &t);
        r->first_frame_s = t.kind == TASK_AUDIO ? 0.001 : 0.25;
        store_objects(&e, &t);
        publish(&e, r);
        farm_result_free(r);
        task_release(&t);
        step(&e);
    }
    double s = status(&e).first_frame_s;
    assert_true(s >= 0.25 && s < 1.3);
    stop(&e);
}

static void planning_that_was_cut_off_is_done_again(void **state)
{
    struct engine e = { 0 };

    start(&e, state);
    submit(&e);
    assert_int_equal(dispatcher_step(e.d, 0, NULL), 0); /* planning has begun */
    stop(&e);
    start(&e, state);
    assert_int_equal(status(&e).state == JOB_QUEUED || status(&e).state == JOB_RUNNING, 1);
    finish(&e);
    stop(&e);
}

static void damaged_segments_alone_are_encoded_again(void **state)
{
    for (int how = 0; how < 3; how++) {
        struct engine e = { 0 };

        start(&e, state);
        submit(&e);
        finish(&e);
        stop(&e);
        damage(&e, "video/360p/seg-00002.m4s", how);
        e.encoded = 0;
        start(&e, state);
        submit(&e);
        step(&e);
        assert_int_equal(status(&e).state, JOB_RUNNING);
        assert_int_equal(status(&e).tasks_reused, TASKS - 1);
        finish(&e);
        assert_int_equal(e.encoded, 1);
        stop(&e);
    }
}

static void a_done_job_submitted_again_is_done_at_once(void **state)
{
    struct engine e = { 0 };

    start(&e, state);
    submit(&e);
    finish(&e);
    damage(&e, "master.m3u8", 0);
    submit(&e);
    finish(&e);
    assert_int_equal(e.encoded, TASKS);
    assert_true(exists(&e, "master.m3u8"));
    stop(&e);
}

static void another_job_under_the_same_id_is_refused(void **state)
{
    struct engine e = { 0 };
    struct err err;

    start(&e, state);
    submit(&e);
    plan(&e);
    const struct {
        const char *ladder, *ladder_name;
        double chunk_seconds;
        const char *text;
    } rows[] = {
        {"name: y\n",           "y", 0, "the ladder x, not y"     },
        { "name: x\n# other\n", "x", 0, "the ladder x was changed"},
        { "name: x\n",          "x", 3, "other options"           },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct job_request q = request(&e);
        q.ladder = rows[i].ladder;
        q.ladder_name = rows[i].ladder_name;
        q.chunk_seconds = rows[i].chunk_seconds;
        assert_int_equal(dispatcher_submit(e.d, &q, &err), -EEXIST);
        assert_int_equal(err.cls, ERR_USAGE);
        assert_non_null(strstr(err.text, rows[i].text));
    }
    struct job_request q = request(&e);
    q.etag = "another";
    assert_int_equal(dispatcher_submit(e.d, &q, &err), -EEXIST);
    assert_non_null(strstr(err.text, "was changed since"));
    stop(&e);
}

static void a_source_that_is_not_the_one_meant_or_gone_fails_the_job(void **state)
{
    static const char *const texts[] = { "was changed or replaced", "in.mov" };
    struct engine e = { 0 };
    char path[128], output[256];

    for (int gone = 0; gone < 2; gone++) {
        start(&e, state);
        struct job_request q = request(&e);
        q.id = gone ? "gone" : "changed";
        q.etag = gone ? NULL : "another";
        (void)snprintf(output, sizeof(output), "%s/%s", e.farm->output, q.id);
        q.output = output;
        (void)snprintf(path, sizeof(path), "%s/in.mov", e.farm->dir);
        if (gone)
            assert_int_equal(unlink(path), 0);
        assert_int_equal(dispatcher_submit(e.d, &q, NULL), 0);
        step(&e);
        struct job_status st;
        assert_int_equal(dispatcher_status(e.d, q.id, &st, NULL), 0);
        assert_int_equal(st.state, JOB_FAILED);
        assert_int_equal(st.error.cls, ERR_INPUT);
        assert_non_null(strstr(st.error.text, texts[gone]));
        stop(&e);
    }
}

static void init_segments_that_differ_are_encoded_again(void **state)
{
    struct engine e = { 0 };
    struct task t;
    int wrong = 0;

    start(&e, state);
    submit(&e);
    plan(&e);
    for (int i = 0; i < 50 && status(&e).state != JOB_DONE; i++) {
        step(&e);
        if (!take(&e, &t))
            continue;
        struct task_result *r = farm_result(e.farm, &t);
        if (strcmp(t.id, "v-0001-0") == 0 && t.attempt == 1) {
            memset(r->renditions[0].init.sha256, '0', 64);
            wrong++;
        }
        store_objects(&e, &t);
        publish(&e, r);
        e.encoded++;
        farm_result_free(r);
        task_release(&t);
    }
    assert_int_equal(status(&e).state, JOB_DONE);
    assert_int_equal(wrong, 1);
    assert_int_equal(e.encoded, TASKS + 1);
    stop(&e);
}

static void a_result_that_is_not_as_planned_is_a_failed_attempt(void **state)
{
    struct engine e = { 0 };

    start(&e, state);
    struct task t = first_task(&e);
    struct task_result *r = farm_result(e.farm, &t);
    r->renditions[0].segments[0].frames--;
    r->renditions[0].frames--;
    r->renditions[0].segments[0].duration--;
    publish(&e, r);
    step(&e);
    assert_int_equal(status(&e).tasks_done, 0);
    assert_int_equal(status(&e).attempts_failed, 1);
    farm_result_free(r);
    task_release(&t);
    finish(&e);
    stop(&e);
}

static void messages_that_cannot_be_read_cost_an_attempt(void **state)
{
    struct engine e = { 0 };
    struct queue_msg m;

    start(&e, state);
    submit(&e);
    plan(&e);
    step(&e);
    assert_int_equal(e.queue->ops->consume(e.queue, QUEUE_TASKS, 0, &m, NULL), 0);
    assert_int_equal(e.queue->ops->reject(e.queue, &m, 0, NULL, NULL), 0);
    queue_msg_release(&m);
    e.messages++;
    step(&e);
    assert_int_equal(status(&e).attempts_failed, 1);
    const char *bad[] = { "{", "[]",
                          "{\"v\":1,\"job\":\"j\",\"task\":\"v-0000-0\",\"attempt\":1}" };
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(queue_publish(e.queue, QUEUE_RESULTS, bad[i], strlen(bad[i]), -1, NULL),
                         0);
    e.messages += 3;
    step(&e);
    assert_int_equal(status(&e).attempts_failed, 2);
    finish(&e);
    stop(&e);
}

static void a_canceled_job_stays_so_until_it_is_submitted_again(void **state)
{
    struct engine e = { 0 };

    start(&e, state);
    struct task t = first_task(&e);
    assert_int_equal(dispatcher_cancel(e.d, "j", NULL), 0);
    assert_int_equal(dispatcher_cancel(e.d, "none", NULL), -ENOENT);
    encode(&e, &t); /* cannot revive it, but isn't lost */
    while (work_one(&e))
        ;
    step(&e);
    assert_int_equal(status(&e).state, JOB_CANCELED);
    assert_int_equal(dispatcher_cancel(e.d, "j", NULL), -EALREADY);
    unsigned before = e.encoded;
    submit(&e);
    assert_int_equal(status(&e).tasks_reused, before);
    finish(&e);
    assert_int_equal(e.encoded, TASKS);
    task_release(&t);
    stop(&e);
}

static void a_source_that_cannot_be_planned_fails_the_job(void **state)
{
    struct engine e = { 0 };
    unsigned before = plans_made;

    start(&e, state);
    plan_error = (struct err){ ERR_INPUT, "in.mov has no video" };
    submit(&e);
    plan(&e);
    assert_int_equal(status(&e).state, JOB_FAILED);
    assert_string_equal(status(&e).error.text, "in.mov has no video");
    assert_int_equal(plans_made, before + 1);
    assert_false(exists(&e, "master.m3u8"));

    /* Nothing was made of it: it may become another job. */
    plan_error = (struct err){ 0 };
    struct job_request q = request(&e);
    q.ladder = "name: y\n";
    assert_int_equal(dispatcher_submit(e.d, &q, NULL), 0);
    finish(&e);
    stop(&e);
}

static void planning_that_crashes_is_tried_twice(void **state)
{
    struct engine e = { 0 };
    unsigned before = plans_made;

    start(&e, state);
    plan_error = (struct err){ ERR_CRASH, "SIGSEGV" };
    submit(&e);
    plan(&e);
    assert_int_equal(status(&e).state, JOB_FAILED);
    assert_int_equal(status(&e).error.cls, ERR_CRASH);
    assert_int_equal(plans_made, before + 2);
    stop(&e);
}

static void a_plan_that_is_none_fails_the_job(void **state)
{
    struct engine e = { 0 };

    start(&e, state);
    plan_text = "{\"v\":1}";
    submit(&e);
    plan(&e);
    assert_int_equal(status(&e).state, JOB_FAILED);
    stop(&e);
}

static void what_cannot_be_published_fails_and_is_published_later(void **state)
{
    struct engine e = { 0 };
    char path[128];

    start(&e, state);
    submit(&e);
    plan(&e);
    for (int i = 0; i < TASKS; i++) {
        step(&e);
        assert_true(work_one(&e));
    }
    (void)snprintf(path, sizeof(path), "%s/out/master.m3u8", e.farm->dir);
    assert_int_equal(mkdir(path, 0700), 0); /* a folder where a file should be */
    for (int i = 0; i < ATTEMPTS; i++) {
        step(&e);
        test_clock.ms += 100000;
    }
    assert_int_equal(status(&e).state, JOB_FAILED);
    assert_int_equal(status(&e).error.cls, ERR_STORAGE);
    assert_non_null(strstr(status(&e).error.text, "master.m3u8"));
    assert_int_equal(rmdir(path), 0);
    submit(&e);
    finish(&e);
    assert_int_equal(e.encoded, TASKS);
    stop(&e);
}

static void *wake_it(void *arg)
{
    dispatcher_wake(arg);
    return NULL;
}

static void a_waiting_step_can_be_woken(void **state)
{
    struct engine e = { 0 };
    pthread_t t;

    start(&e, state);
    assert_int_equal(pthread_create(&t, NULL, wake_it, e.d), 0);
    assert_int_equal(dispatcher_step(e.d, 600000, NULL), 0); /* ends by the wake alone */
    assert_int_equal(pthread_join(t, NULL), 0);
    stop(&e);
}

static void a_request_that_makes_no_sense_is_refused(void **state)
{
    struct engine e = { 0 };
    struct err err;
    struct job_status st;

    start(&e, state);
    struct job_request q = request(&e);
    q.id = "";
    assert_int_equal(dispatcher_submit(e.d, &q, &err), -EINVAL);
    q = request(&e);
    q.chunk_seconds = -1;
    assert_int_equal(dispatcher_submit(e.d, &q, &err), -EINVAL);
    q = request(&e);
    q.ladder = NULL;
    assert_int_equal(dispatcher_submit(e.d, &q, &err), -EINVAL);
    assert_int_equal(dispatcher_status(e.d, "j", &st, &err), -ENOENT);
    assert_int_equal(dispatcher_tasks(e.d, "j", list_ids, NULL, &err), -ENOENT);
    stop(&e);
}

static void break_database(const struct engine *e)
{
    sqlite3 *db;

    assert_int_equal(sqlite3_open(e->farm->db, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db,
                                  "CREATE TRIGGER broken BEFORE INSERT ON jobs BEGIN "
                                  "SELECT RAISE(ABORT, 'no more rows today'); END",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static int do_nothing(struct dispatcher *d, void *arg, struct err *err)
{
    (void)d, (void)arg, (void)err;
    return 0;
}

static void *call_it(void *arg)
{
    static struct err err;

    (void)dispatcher_call(arg, do_nothing, NULL, 10000, &err);
    return &err;
}

/* A plan that comes meanwhile, say, and those who wait for an answer. */
static void a_broken_dispatcher_refuses_what_comes_and_says_why(void **state)
{
    struct engine e = { 0 };
    struct err err = { 0 };
    pthread_t t;
    void *told;

    start(&e, state);
    unsigned before = fake_children_started();
    submit(&e);
    assert_int_equal(dispatcher_step(e.d, 0, NULL), 0); /* planning begins … */
    while (fake_children_started() == before || fake_children_alive() > 0)
        (void)sched_yield(); /* … and ends: its plan is to be taken over */
    break_database(&e);
    struct job_request q = request(&e);
    char output[256];
    (void)snprintf(output, sizeof(output), "%s-another", q.output);
    q.id = "another";
    q.output = output;
    assert_int_equal(dispatcher_submit(e.d, &q, &err), -EIO);
    assert_non_null(strstr(err.text, "no more rows today"));
    assert_int_equal(pthread_create(&t, NULL, call_it, e.d), 0);
    int joined = EBUSY;
    for (int i = 0; i < 1000 || joined != 0; i++) {
        assert_int_equal(dispatcher_step(e.d, 1, &err), -EIO);
        assert_non_null(strstr(err.text, "no more rows today"));
        joined = joined ? pthread_tryjoin_np(t, &told) : 0;
    }
    assert_non_null(strstr(((struct err *)told)->text, "no more rows today"));
    stop(&e);
}

#define T(f) cmocka_unit_test_setup_teardown(f, farm_setup, farm_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_job_goes_from_submission_to_a_package),
        T(the_queue_is_short_and_audio_comes_first),
        T(a_crashed_attempt_is_tried_again_after_a_while),
        T(attempts_are_by_class),
        T(a_failed_job_is_revived_with_what_it_had),
        T(late_and_double_results_change_nothing),
        T(a_late_failure_of_an_earlier_attempt_is_ignored),
        T(a_dispatcher_that_ends_anywhere_goes_on_where_it_was),
        T(chunks_done_before_the_first_are_not_done_again),
        T(a_lost_init_segment_costs_the_task_that_makes_it),
        T(the_first_frame_is_timed_from_the_submission),
        T(planning_that_was_cut_off_is_done_again),
        T(damaged_segments_alone_are_encoded_again),
        T(a_done_job_submitted_again_is_done_at_once),
        T(another_job_under_the_same_id_is_refused),
        T(a_source_that_is_not_the_one_meant_or_gone_fails_the_job),
        T(init_segments_that_differ_are_encoded_again),
        T(a_result_that_is_not_as_planned_is_a_failed_attempt),
        T(messages_that_cannot_be_read_cost_an_attempt),
        T(a_canceled_job_stays_so_until_it_is_submitted_again),
        T(a_source_that_cannot_be_planned_fails_the_job),
        T(planning_that_crashes_is_tried_twice),
        T(a_plan_that_is_none_fails_the_job),
        T(what_cannot_be_published_fails_and_is_published_later),
        T(a_waiting_step_can_be_woken),
        T(a_request_that_makes_no_sense_is_refused),
        T(a_broken_dispatcher_refuses_what_comes_and_says_why),
    };
    log_init(LOG_FORMAT_TEXT, LOG_OFF);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
