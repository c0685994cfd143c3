/* The engine as the head of a farm: many threads ask, queues outlive it or
 * fail, workers tell of themselves. */
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/log.h"
#include "common/store/store.h"
#include "common/wire/event.h"
#include "dispatcher/board.h"
#include "dispatcher/job.h"
#include "engine_fixture.h"
#include "fake_child.h"

/* A job of its own output. */
static void submit_as(struct engine *e, const char *id, unsigned priority, const char *tenant)
{
    struct job_request q = request(e);
    char output[256];
    struct err err = { 0 };

    (void)snprintf(output, sizeof(output), "%s/%s", e->farm->output, id);
    q.id = id;
    q.output = output;
    q.priority = priority;
    q.tenant = tenant;
    if (dispatcher_submit(e->d, &q, &err) < 0)
        fail_msg("%s", err.text);
}

static enum job_state state_of(struct engine *e, const char *id)
{
    struct job_status st;

    assert_int_equal(dispatcher_status(e->d, id, &st, NULL), 0);
    return st.state;
}

/* ---- calls ---- */

struct caller {
    struct engine *e;
    pthread_t thread;
    char id[16];
    int r;
    struct err err;
};

static int submit_call(struct dispatcher *d, void *arg, struct err *err)
{
    const struct caller *c = arg;
    struct job_request q = request(c->e);
    char output[256];

    (void)snprintf(output, sizeof(output), "%s/%s", q.output, c->id);
    q.id = c->id;
    q.output = output;
    return dispatcher_submit(d, &q, err);
}

static void *call(void *arg)
{
    struct caller *c = arg;

    c->r = dispatcher_call(c->e->d, submit_call, c, 10000, &c->err);
    return NULL;
}

static void calls_of_any_thread_are_done_and_committed(void **state)
{
    enum { CALLERS = 8 };
    struct engine e = { 0 };
    struct caller v[CALLERS] = { 0 };

    start(&e, state);
    for (int i = 0; i < CALLERS; i++) {
        v[i].e = &e;
        (void)snprintf(v[i].id, sizeof(v[i].id), i == 0 ? "" : "job-%d", i);
        assert_int_equal(pthread_create(&v[i].thread, NULL, call, &v[i]), 0);
    }
    for (int known = 0; known < CALLERS - 1;) {
        struct job_status st;
        assert_int_equal(dispatcher_step(e.d, 1000, NULL), 0);
        known = 0;
        for (int i = 1; i < CALLERS; i++)
            known += dispatcher_status(e.d, v[i].id, &st, NULL) == 0;
    }
    step(&e); /* also the one that is refused may have come last */
    for (int i = 0; i < CALLERS; i++) {
        while (pthread_tryjoin_np(v[i].thread, NULL) != 0)
            assert_int_equal(dispatcher_step(e.d, 10, NULL), 0);
        assert_int_equal(v[i].r, i == 0 ? -EINVAL : 0);
        assert_true(i > 0 || v[i].err.cls == ERR_USAGE);
    }
    stop(&e);
    start(&e, state);
    for (int i = 1; i < CALLERS; i++)
        (void)state_of(&e, v[i].id);
    stop(&e);
}

static void a_call_that_is_not_begun_in_time_is_given_up(void **state)
{
    struct engine e = { 0 };
    struct caller c = { .e = &e, .id = "late" };
    struct job_status st;
    struct err err = { 0 };

    start(&e, state);
    assert_int_equal(dispatcher_call(e.d, submit_call, &c, 1, &err), -ETIMEDOUT);
    assert_int_equal(err.cls, ERR_RESOURCE);
    step(&e);
    assert_int_equal(dispatcher_status(e.d, "late", &st, NULL), -ENOENT);
    stop(&e);
}

/* ---- order ---- */

static void priorities_and_tenants_are_served_in_turn(void **state)
{
    struct engine e = { 0 };
    struct task t;
    char order[256] = "";

    start(&e, state);
    e.cfg.queue_min = 1;
    submit_as(&e, "f1", 5, "flood");
    submit_as(&e, "f2", 5, "flood");
    submit_as(&e, "a1", 5, "acme");
    step(&e); /* all are planned; two tasks are out */
    submit_as(&e, "h", 9, "flood");
    step(&e);
    while (take(&e, &t)) {
        strcat(strcat(order, t.job), " ");
        encode(&e, &t);
        task_release(&t);
        step(&e);
    }
    /* f1 was there first and alone; then what is urgent, then turns by cost */
    assert_int_equal(strncmp(order, "f1 f1 h h h h ", 14), 0);
    assert_int_equal(strncmp(order + 14, "a1 a1 ", 6), 0);
    for (int i = 0; i < 4; i++)
        assert_int_equal(state_of(&e, (const char *[]){ "f1", "f2", "a1", "h" }[i]), JOB_DONE);
    stop(&e);
}

/* ---- queues that fail, or live on ---- */

static atomic_int refusals;

static int refuse(struct queue *q, const char *queue, const struct queue_text *texts, size_t n,
                  int timeout_ms, struct err *err)
{
    if (strcmp(queue, QUEUE_TASKS) == 0 && atomic_fetch_sub(&refusals, 1) > 0)
        return err_set(err, -ETIMEDOUT, ERR_STORAGE, "the broker is away");
    struct queue *plain = queue_memory_new();
    const struct queue_ops *ops = plain->ops;
    queue_free(plain);
    return ops->publish(q, queue, texts, n, timeout_ms, err);
}

static void tasks_that_the_queue_refuses_wait_again(void **state)
{
    struct engine e = { .survives = 1, .publish = refuse };

    atomic_store(&refusals, 3);
    start(&e, state);
    submit(&e);
    finish(&e);
    assert_int_equal(e.encoded, TASKS);
    assert_true(atomic_load(&refusals) <= 0);
    assert_int_equal(status(&e).attempts_failed, 0);
    stop(&e);
}

static void what_a_durable_queue_has_is_not_released_twice(void **state)
{
    struct engine e = { .survives = 1 };
    size_t depth;

    start(&e, state);
    submit(&e);
    plan(&e);
    assert_int_equal(e.queue->ops->depth(e.queue, QUEUE_TASKS, &depth), 0);
    assert_int_equal(depth, 2 * SLOTS);
    stop_dispatcher(&e);
    start(&e, state);
    step(&e);
    assert_int_equal(e.queue->ops->depth(e.queue, QUEUE_TASKS, &depth), 0);
    assert_int_equal(depth, 2 * SLOTS);
    finish(&e);
    assert_int_equal(e.encoded, TASKS);
    stop(&e);
}

static void what_was_marked_but_not_sent_is_released_again(void **state)
{
    struct engine e = { .survives = 1, .publish = refuse };
    struct err err = { 0 };

    atomic_store(&refusals, 1000000);
    start(&e, state);
    submit(&e);
    while (status(&e).state != JOB_RUNNING)
        assert_int_equal(dispatcher_step(e.d, 100, &err), 0);
    stop_dispatcher(&e);
    atomic_store(&refusals, 0);
    start(&e, state);
    finish(&e);
    assert_int_equal(e.encoded, TASKS);
    stop(&e);
}

/* ---- again, and away ---- */

static unsigned ends_counted;

static void count_end(void *arg, const struct job_end *end)
{
    (void)arg, (void)end;
    ends_counted++;
}

static void parts_of_a_job_are_made_again(void **state)
{
    static const struct {
        int chunk;
        const char *rendition;
        int r;
        unsigned encoded;
    } rows[] = {
        {1,   NULL,      0,       1},
        { -1, "aac-128", 0,       1},
        { -1, "360p",    0,       3},
        { 2,  "360p",    0,       1},
        { -1, NULL,      0,       0},
        { 3,  NULL,      -ENOENT, 0},
        { -1, "none",    -ENOENT, 0},
        { 1,  "aac-128", -ENOENT, 0},
    };
    struct engine e = { 0 };
    struct err err;

    start(&e, state);
    submit(&e);
    assert_int_equal(dispatcher_requeue(e.d, "j", -1, NULL, &err), -EBUSY);
    assert_int_equal(dispatcher_requeue(e.d, "none", -1, NULL, &err), -ENOENT);
    finish(&e);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        e.encoded = 0;
        assert_int_equal(dispatcher_requeue(e.d, "j", rows[i].chunk, rows[i].rendition, &err),
                         rows[i].r);
        finish(&e);
        assert_int_equal(e.encoded, rows[i].encoded);
    }
    stop(&e);
}

/* Brokers deliver twice, pipelines ask again: whoever saw `done` finds it so. */
static void a_done_job_that_is_submitted_twice_stays_done(void **state)
{
    struct engine e = { .cfg = { .on_end = count_end } };

    start(&e, state);
    struct job_request q = request(&e);
    q.notify = "https://hook/";
    q.recheck = 0;
    assert_int_equal(dispatcher_submit(e.d, &q, NULL), 0);
    plan(&e);
    assert_int_equal(dispatcher_submit(e.d, &q, NULL), 0); /* also while it runs */
    finish(&e);
    ends_counted = 0;
    assert_int_equal(dispatcher_submit(e.d, &q, NULL), 0);
    assert_int_equal(status(&e).state, JOB_DONE);
    step(&e);
    assert_int_equal(status(&e).state, JOB_DONE);
    assert_int_equal(ends_counted, 0);
    assert_int_equal(e.encoded, TASKS);
    assert_int_equal(dispatcher_requeue(e.d, "j", 1, NULL, NULL), 0);
    finish(&e);
    assert_int_equal(e.encoded, TASKS + 1);
    stop(&e);
}

/* ---- sources that are replaced ---- */

/* Two tasks are done, one is with a worker, when a fourth finds another source. */
static void fail_half_way(struct engine *e, struct task *ret_old)
{
    struct task t;

    submit(e);
    plan(e);
    assert_true(work_one(e));
    step(e);
    assert_true(work_one(e));
    step(e);
    assert_true(take(e, ret_old));
    assert_true(take(e, &t));
    fail_task(e, &t, ERR_INPUT, "source in.mov was changed or replaced");
    task_release(&t);
    step(e);
    assert_int_equal(status(e).state, JOB_FAILED);
    assert_true(exists(e, "video/720p/seg-00001.m4s"));
}

static void a_requeue_goes_on_where_the_source_is_the_same(void **state)
{
    struct engine e = { 0 };
    struct task old;

    start(&e, state);
    plans_made = 0;
    fail_half_way(&e, &old);
    encode(&e, &old); /* what comes late counts */
    task_release(&old);
    step(&e);
    assert_int_equal(status(&e).tasks_done, 3);
    assert_int_equal(dispatcher_requeue(e.d, "j", -1, NULL, NULL), 0);
    assert_int_equal(status(&e).state, JOB_QUEUED);
    finish(&e);
    assert_int_equal(plans_made, 1);
    assert_int_equal(e.encoded, TASKS);
    stop(&e);
}

/* `killed`: between the requeue and the look at the source. */
static void replace_and_requeue(struct engine *e, void **state, int killed)
{
    struct task old;

    assert_int_equal(board_new(&e->board, NULL), 0); /* a farm tidies up */
    start(e, state);
    plans_made = 0;
    fail_half_way(e, &old);
    write_file(e, "out/video/720p/seg-00099.m4s", "of a longer one");
    write_file(e, "out/master.m3u8", "playable early");
    write_file(e, "in.mov", "the source");
    assert_int_equal(dispatcher_requeue(e->d, "j", -1, NULL, NULL), 0);
    if (killed) {
        stop(e);
        start(e, state);
    }
    while (status(e).state != JOB_RUNNING) {
        assert_int_equal(dispatcher_step(e->d, 100, NULL), 0);
        test_clock.ms += 100;
    }
    assert_true(exists(e, "video/720p/seg-00001.m4s"));
    assert_true(exists(e, "master.m3u8")); /* who plays it goes on */
    assert_int_equal(status(e).tasks_done, 0);
    e->encoded = 0;
    encode(e, &old); /* the same task's id, of the old source: it doesn't count */
    task_release(&old);
    finish(e);
    assert_int_equal(plans_made, 2);
    assert_int_equal(e->encoded, TASKS + 1);
    step(e);
    assert_false(exists(e, "video/720p/seg-00001.m4s")); /* nothing names it any more */
    assert_false(exists(e, "video/720p/seg-00099.m4s"));
    stop(e);
    board_free(e->board);
}

static void a_requeue_after_the_source_was_replaced_makes_all_anew(void **state)
{
    struct engine e = { 0 };

    replace_and_requeue(&e, state, 0);
}

static void also_where_the_dispatcher_is_killed_before_it_looked(void **state)
{
    struct engine e = { 0 };

    replace_and_requeue(&e, state, 1);
}

/* Once its back-off is over; other tasks are dropped on the way. */
static struct task take_named(struct engine *e, const char *id)
{
    struct task t;

    for (int i = 0; i < 10; i++) {
        test_clock.ms += 100000;
        step(e);
        while (take(e, &t)) {
            if (strcmp(t.id, id) == 0)
                return t;
            task_release(&t);
        }
    }
    fail_msg("%s is not released", id);
    return t;
}

/* Steps until the job is done or no task is left, and encodes; each task says
 * that only `only` is wanted (NULL: all). Returns how many were encoded. */
static unsigned encode_only(struct engine *e, const char *only)
{
    struct task t;
    unsigned n = 0;

    for (int i = 0; i < 20 && status(e).state != JOB_DONE; i++) {
        test_clock.ms += 10000;
        step(e);
        while (take(e, &t)) {
            if (only ? !t.only || strcmp(t.only, only) != 0 : t.only != NULL)
                fail_msg("%s is asked for %s", t.id, t.only ? t.only : "all");
            encode(e, &t);
            n++;
            task_release(&t);
        }
        step(e);
    }
    return n;
}

static void requeue_part(struct engine *e, int chunk, const char *rendition)
{
    struct err err = { 0 };

    if (dispatcher_requeue(e->d, "j", chunk, rendition, &err) < 0)
        fail_msg("%s", err.text);
}

static void one_rendition_is_made_again_without_its_mates(void **state)
{
    struct engine e = { 0 };
    struct task t;

    start(&e, state);
    submit(&e);
    finish(&e);
    requeue_part(&e, -1, "360p");
    assert_int_equal(encode_only(&e, "360p"), TASKS - 1);
    assert_int_equal(status(&e).state, JOB_DONE); /* all was there when it was published */
    assert_int_equal(status(&e).attempts_failed, 0);
    requeue_part(&e, 1, NULL);
    assert_int_equal(encode_only(&e, NULL), 1); /* the next time it is whole again */

    /* Interrupted, failed on the way, answered by a worker that made all. */
    requeue_part(&e, -1, "720p");
    step(&e);
    assert_true(work_one(&e));
    step(&e);
    stop(&e);
    start(&e, state);
    step(&e);
    t = take_named(&e, "v-0001-0");
    assert_string_equal(t.only, "720p");
    fail_task(&e, &t, ERR_CRASH, "crash");
    step(&e);
    task_release(&t);
    t = take_named(&e, "v-0001-0");
    assert_string_equal(t.only, "720p");
    free(t.only);
    t.only = NULL;
    encode(&e, &t);
    step(&e);
    task_release(&t);
    stop(&e); /* whoever had v-0002-0 is gone */
    start(&e, state);
    assert_int_equal(encode_only(&e, "720p"), 1);
    assert_int_equal(status(&e).state, JOB_DONE);
    requeue_part(&e, -1, NULL);
    assert_int_equal(encode_only(&e, NULL), 0);
    assert_int_equal(status(&e).state, JOB_DONE);
    stop(&e);
}

static void what_is_wanted_beside_a_part_makes_it_whole(void **state)
{
    static const struct {
        int chunk;
        const char *rendition, *only;
        unsigned encoded;
    } rows[] = {
        {-1,  NULL,   "360p", 3},
        { -1, "360p", "360p", 3},
        { -1, "720p", NULL,   3},
    };
    struct engine e = { 0 };
    struct task t;

    start(&e, state);
    submit(&e);
    finish(&e);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        requeue_part(&e, -1, "360p");
        step(&e);
        assert_int_equal(dispatcher_cancel(e.d, "j", NULL), 0);
        step(&e);
        while (take(&e, &t))
            task_release(&t);
        requeue_part(&e, rows[i].chunk, rows[i].rendition);
        assert_int_equal(encode_only(&e, rows[i].only), rows[i].encoded);
        assert_int_equal(status(&e).state, JOB_DONE);
    }
    stop(&e);
}

static void a_part_that_is_another_is_refused(void **state)
{
    struct engine e = { 0 };

    start(&e, state);
    submit(&e);
    finish(&e);
    requeue_part(&e, 0, "360p");
    step(&e);
    struct task t = take_named(&e, "v-0000-0");
    free(t.only);
    t.only = strdup("720p");
    encode(&e, &t);
    step(&e);
    assert_int_equal(status(&e).attempts_failed, 1);
    task_release(&t);
    assert_int_equal(encode_only(&e, "360p"), 1);
    stop(&e);
}

static void a_deleted_job_leaves_nothing(void **state)
{
    for (int package = 0; package < 2; package++) {
        struct engine e = { 0 };
        struct job_status st;
        struct err err = { 0 };

        start(&e, state);
        submit(&e);
        assert_int_equal(dispatcher_delete(e.d, "j", package, &err), -EBUSY);
        finish(&e);
        assert_int_equal(dispatcher_delete(e.d, "j", package, &err), 0);
        assert_int_equal(dispatcher_status(e.d, "j", &st, NULL), -ENOENT);
        assert_int_equal(dispatcher_delete(e.d, "j", package, &err), -ENOENT);
        step(&e);
        assert_int_equal(exists(&e, "master.m3u8"), !package);
        assert_int_equal(exists(&e, "video/720p/seg-00001.m4s"), !package);
        submit(&e); /* the id is free */
        e.encoded = 0;
        finish(&e);
        assert_int_equal(e.encoded, TASKS);
        assert_int_equal(dispatcher_delete(e.d, "j", 1, &err), 0);
        step(&e);
        stop(&e);
    }
}

static void segments_of_a_failed_job_are_kept_for_a_while(void **state)
{
    struct engine e = { .cfg = { .keep_failed_ms = 60000 } };

    start(&e, state);
    struct task t = first_task(&e);
    encode(&e, &t);
    task_release(&t);
    step(&e);
    assert_true(work_one(&e));
    step(&e);
    assert_true(exists(&e, "video/720p/seg-00001.m4s"));
    assert_int_equal(dispatcher_cancel(e.d, "j", NULL), 0);
    while (take(&e, &t)) /* nobody works on them any more */
        task_release(&t);
    step(&e);
    test_clock.ms += 50000;
    step(&e);
    assert_true(exists(&e, "video/720p/seg-00001.m4s"));
    stop_dispatcher(&e);
    start(&e, state);
    test_clock.ms += 11000;
    step(&e);
    assert_false(exists(&e, "video/720p/seg-00001.m4s"));
    e.encoded = 0;
    submit(&e);
    finish(&e);
    assert_int_equal(e.encoded, TASKS);
    stop(&e);
}

static void wait_and_step(struct engine *e, int64_t ms)
{
    test_clock.ms += ms;
    step(e);
}

static void a_job_that_lives_again_waits_for_the_sweep_of_its_output(void **state)
{
    struct engine e = { .cfg = { .queue_min = 64 } };
    struct task t;

    start(&e, state);
    submit(&e);
    plan(&e);
    assert_true(work_one(&e));
    step(&e);
    assert_int_equal(dispatcher_cancel(e.d, "j", NULL), 0);
    step(&e);
    while (take(&e, &t))
        task_release(&t);
    struct place *p = job_find(e.d, "j")->place;
    p->sweeps++; /* as if it were at work */
    assert_int_equal(dispatcher_requeue(e.d, "j", -1, NULL, NULL), 0);
    for (int i = 0; i < 3; i++) {
        step(&e);
        test_clock.ms += 10000;
    }
    assert_int_equal(status(&e).state, JOB_RUNNING);
    assert_false(take(&e, &t)); /* its objects would be swept */
    assert_int_equal(status(&e).checking, 1);
    p->sweeps--;
    e.encoded = 0;
    finish(&e);
    assert_int_equal(e.encoded, TASKS - 1);
    stop(&e);
}

static void nothing_is_swept_where_a_job_writes(void **state)
{
    struct engine e = { 0 };
    struct job_request q;
    char output[256];
    struct job_status st;

    start(&e, state);
    submit(&e);
    finish(&e);
    q = request(&e);
    (void)snprintf(output, sizeof(output), "%s/", q.output); /* the same place */
    q.id = "k";
    q.output = output;
    q.replace = 1; /* REPLACE_ANY */
    assert_int_equal(dispatcher_submit(e.d, &q, NULL), 0);
    while (job_find(e.d, "k")->state != JOB_RUNNING)
        assert_int_equal(dispatcher_step(e.d, 100, NULL), 0);
    step(&e);
    assert_true(work_one(&e));
    step(&e);
    assert_int_equal(dispatcher_delete(e.d, "j", 1, NULL), 0);
    wait_and_step(&e, 10000);
    assert_true(exists(&e, "audio/aac-128/seg-00001.m4s"));
    do {
        wait_and_step(&e, 10000);
        assert_int_equal(dispatcher_status(e.d, "k", &st, NULL), 0);
    } while (st.state != JOB_DONE && work_one(&e));
    assert_int_equal(st.state, JOB_DONE);
    assert_int_equal(st.attempts_failed, 0);
    wait_and_step(&e, 10000); /* now what j left is looked at: all of it is k's */
    assert_int_equal(e.encoded, 2 * TASKS);
    assert_true(exists(&e, "master.m3u8"));
    stop(&e);
}

/* ---- ends and events ---- */

static unsigned ends_told;

static void note_end(void *arg, const struct job_end *end)
{
    (void)arg;
    assert_string_equal(end->id, "j");
    assert_string_equal(end->notify, "https://hook/");
    assert_string_equal(end->metadata, "{}");
    assert_int_equal(end->state, JOB_FAILED);
    assert_string_equal(end->error->text, "no video");
    ends_told++;
}

/* No room for a process is no fault of the job: it is planned when there is. */
static void planning_waits_for_a_process_as_long_as_it_takes(void **state)
{
    struct engine e = { .survives = 1 };
    char why[300] = "";
    int waited = 0;

    start(&e, state);
    atomic_store(&fake_child_refusals, 7); /* more than any number of tries */
    submit(&e);
    while (status(&e).state != JOB_RUNNING) {
        step(&e);
        assert_int_not_equal(status(&e).state, JOB_FAILED);
        if (status(&e).state == JOB_QUEUED) {
            waited++;
            assert_int_equal(dispatcher_healthy(e.d, why, sizeof(why)), 0);
            assert_non_null(strstr(why, "no more processes"));
        }
        test_clock.ms += 10000;
    }
    assert_true(waited > 0);
    assert_int_equal(dispatcher_healthy(e.d, why, sizeof(why)), 1);
    finish(&e);
    stop(&e);
}

static void an_end_is_told_until_it_was_heard(void **state)
{
    struct engine e = { .cfg = { .on_end = note_end } };

    ends_told = 0;
    start(&e, state);
    plan_error = (struct err){ ERR_INPUT, "no video" };
    struct job_request q = request(&e);
    q.notify = "https://hook/";
    q.metadata = "{}";
    assert_int_equal(dispatcher_submit(e.d, &q, NULL), 0);
    plan(&e);
    assert_int_equal(ends_told, 1);
    stop(&e);
    for (unsigned again = 2; again < 4; again++) {
        start(&e, state);
        step(&e);
        assert_int_equal(ends_told, again);
        if (again == 3)
            assert_int_equal(dispatcher_notified(e.d, "j", NULL), 0);
        stop(&e);
    }
    start(&e, state);
    step(&e);
    assert_int_equal(ends_told, 3);
    stop(&e);
}

static void what_happens_to_a_job_is_told_and_it_plays_early(void **state)
{
    struct engine e = { .cfg = { .early_playlists = 1 } };
    const char *const patterns[] = { "event.job.#", "event.task.#" };
    struct queue_msg m;
    char keys[512] = "";
    unsigned tasks = 0;
    int early = 0;

    start(&e, state);
    assert_int_equal(e.queue->ops->listen(e.queue, patterns, 2, NULL), 0);
    submit(&e);
    plan(&e);
    for (int i = 0; i < TASKS; i++) {
        assert_true(work_one(&e));
        step(&e);
        test_clock.ms += 10000;
        early |= status(&e).state == JOB_RUNNING && exists(&e, "master.m3u8");
    }
    assert_int_equal(status(&e).state, JOB_DONE);
    assert_true(early);
    while (e.queue->ops->consume(e.queue, QUEUE_EVENTS, 0, &m, NULL) == 0) {
        if (strcmp(m.key, "event.task.done") == 0)
            tasks++;
        else
            strcat(strcat(keys, m.key + strlen("event.job.")), " ");
        queue_msg_release(&m);
    }
    assert_int_equal(tasks, TASKS);
    assert_string_equal(keys, "j.queued j.planned j.playable j.done ");
    stop(&e);
}

static void a_small_first_chunk_is_planned_where_packages_play_early(void **state)
{
    struct engine e = { .cfg = { .early_playlists = 1 } };

    start(&e, state);
    submit(&e);
    plan(&e);
    assert_non_null(strstr(plan_request, "\"early\":1"));
    stop(&e);

    e = (struct engine){ 0 };
    start(&e, state);
    struct job_request q = request(&e);
    char output[256];
    (void)snprintf(output, sizeof(output), "%s-k", q.output);
    q.id = "k";
    q.output = output;
    assert_int_equal(dispatcher_submit(e.d, &q, NULL), 0);
    while (!job_has_plan(job_find(e.d, "k")))
        assert_int_equal(dispatcher_step(e.d, 100, NULL), 0);
    assert_non_null(strstr(plan_request, "\"early\":0"));
    stop(&e);
}

/* Take all tasks that are released; encode those of group 0 and sound. */
static void encode_h264(struct engine *e)
{
    struct task t;

    while (take(e, &t)) {
        if (t.kind == TASK_AUDIO || t.group == 0)
            encode(e, &t);
        task_release(&t);
    }
    step(e);
}

static void what_plays_early_waits_for_no_other_codec(void **state)
{
    struct engine e = {
        .cfg = {.early_playlists = 1, .queue_min = 64}
    };

    farm_two_codecs(*state);
    start(&e, state);
    submit(&e);
    plan(&e);
    step(&e);
    encode_h264(&e);
    assert_int_equal(status(&e).state, JOB_RUNNING);
    assert_true(exists(&e, "master.m3u8"));
    assert_true(exists(&e, "video/720p/index.m3u8"));
    assert_false(exists(&e, "video/360p/index.m3u8"));
    stop(&e);
}

static int list_ids(void *arg, const struct task_status *t)
{
    strcat(strcat(arg, t->id), t->audio ? "! " : " ");
    return 0;
}

static void ids_of(struct engine *e, char ret[256])
{
    ret[0] = '\0';
    assert_int_equal(dispatcher_tasks(e->d, "j", list_ids, ret, NULL), 0);
}

static void every_track_is_a_task_of_its_own_and_is_waited_for(void **state)
{
    struct engine e = {
        .cfg = {.early_playlists = 1, .queue_min = 64}
    };
    struct task t, second = { 0 };
    char ids[256];

    farm_two_tracks(*state);
    start(&e, state);
    submit(&e);
    plan(&e);
    step(&e);
    ids_of(&e, ids);
    assert_string_equal(ids, "a-0! a-1! v-0000-0 v-0001-0 v-0002-0 ");
    for (int i = 0; i < 3; i++) { /* a-0, a-1, the first chunk */
        assert_true(take(&e, &t));
        assert_int_equal(t.kind, i < 2 ? TASK_AUDIO : TASK_VIDEO);
        assert_int_equal(t.info.n_more_audio, 0);
        if (i == 1) {
            assert_string_equal(t.info.audio.language, "eng");
            second = t;
            continue;
        }
        encode(&e, &t);
        task_release(&t);
    }
    step(&e);
    assert_false(exists(&e, "master.m3u8")); /* one of them is still missing */
    encode(&e, &second);
    task_release(&second);
    step(&e);
    assert_true(exists(&e, "master.m3u8"));
    assert_true(exists(&e, "audio/aac-128-eng/index.m3u8"));
    assert_int_equal(status(&e).state, JOB_RUNNING);
    finish(&e);
    assert_int_equal(status(&e).tasks_done, TASKS + 1);
    stop(&e);
}

static void one_track_is_made_again_without_the_others(void **state)
{
    static const char *const renditions[] = { "aac-128", "aac-128-eng" };
    struct engine e = { 0 };
    struct task t;

    farm_two_tracks(*state);
    start(&e, state);
    submit(&e);
    finish(&e);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(dispatcher_requeue(e.d, "j", -1, renditions[i], NULL), 0);
        step(&e);
        assert_true(take(&e, &t));
        assert_string_equal(t.renditions[0].name, renditions[i]);
        assert_int_equal(t.n_renditions, 1);
        assert_null(t.only);
        encode(&e, &t);
        task_release(&t);
        assert_false(take(&e, &t));
        finish(&e);
        assert_int_equal(status(&e).state, JOB_DONE);
        stop(&e); /* what the database has of tracks is enough */
        start(&e, state);
    }
    stop(&e);
}

/* The attempt of the next event that says that one of `task` is over, or 0. */
static unsigned next_over(struct engine *e, const char *task)
{
    struct queue_msg m;
    unsigned attempt = 0;

    while (attempt == 0 && e->queue->ops->consume(e->queue, QUEUE_EVENTS, 0, &m, NULL) == 0) {
        char *job = NULL, *id = NULL;
        unsigned n = 0;
        assert_int_equal(event_from_text(m.body, m.len, &job, &id, &n, NULL), 0);
        if (strcmp(m.key, "event.task.done") == 0 && strcmp(id, task) == 0)
            attempt = n;
        free(job);
        free(id);
        queue_msg_release(&m);
    }
    return attempt;
}

static void who_holds_a_task_hears_how_ever_its_attempt_ended(void **state)
{
    static const enum err_class ends[] = { ERR_CRASH, ERR_CANCELED, ERR_STORAGE };
    const char *const pattern = "event.task.#";
    struct engine e = { .cfg = { .queue_min = 64 } };

    start(&e, state);
    assert_int_equal(e.queue->ops->listen(e.queue, &pattern, 1, NULL), 0);
    struct task t = first_task(&e);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(t.attempt, i + 1);
        fail_task(&e, &t, ends[i], "no");
        step(&e);
        assert_int_equal(next_over(&e, t.id), i + 1);
        task_release(&t);
        t = take_named(&e, "a-0");
    }
    assert_int_equal(status(&e).attempts_failed, 2); /* what is handed back isn't counted */
    encode(&e, &t);
    step(&e);
    assert_int_equal(next_over(&e, t.id), 4);
    task_release(&t);
    stop(&e);
}

static void a_canceled_jobs_tasks_are_new_attempts_when_it_lives_again(void **state)
{
    struct engine e = { .cfg = { .queue_min = 64 } };

    start(&e, state);
    struct task t = first_task(&e), again;
    assert_int_equal(dispatcher_cancel(e.d, "j", NULL), 0);
    fail_task(&e, &t, ERR_CANCELED, "its job was canceled");
    step(&e);
    submit(&e);
    again = take_named(&e, t.id);
    assert_int_equal(again.attempt, 2);
    task_release(&again);
    task_release(&t);
    stop(&e);
}

/* What the board says of the job's early playlists. */
static void expect_early(struct engine *e, unsigned failures, const char *error)
{
    char *text = NULL, *etag = NULL, want[64];

    (void)snprintf(want, sizeof(want), "\"early_failures\":%u,\"early_error\":%s", failures,
                   error ? "\"" : "null");
    assert_int_equal(board_job_json(e->board, "j", 0, 0, &text, &etag, NULL), 0);
    if (!strstr(text, want) || (error && !strstr(text, error)))
        fail_msg("%s isn't in %s", want, text);
    free(text);
    free(etag);
}

static void early_playlists_that_fail_are_told_tried_again_and_cost_nothing(void **state)
{
    struct engine e = { .cfg = { .early_playlists = 1 } };
    char folder[256], inside[300];
    struct board_totals t;

    assert_int_equal(board_new(&e.board, NULL), 0);
    start(&e, state);
    submit(&e);
    plan(&e);
    assert_true(work_one(&e)); /* sound */
    step(&e);
    (void)snprintf(folder, sizeof(folder), "%s/out/video/360p/index.m3u8", e.farm->dir);
    (void)snprintf(inside, sizeof(inside), "mkdir -p %s/x", folder); /* nothing is stored there */
    assert_int_equal(system(inside), 0);
    assert_true(work_one(&e));
    step(&e);
    assert_int_equal(status(&e).state, JOB_RUNNING);
    expect_early(&e, 1, "index.m3u8");
    wait_and_step(&e, 2000); /* not yet */
    expect_early(&e, 1, "index.m3u8");
    wait_and_step(&e, 1001);
    expect_early(&e, 2, "index.m3u8");
    for (unsigned n = 3; n < 10; n++)
        wait_and_step(&e, 1 << 20);
    expect_early(&e, 9, "index.m3u8");
    wait_and_step(&e, 30000); /* longer and longer */
    expect_early(&e, 9, "index.m3u8");
    assert_false(exists(&e, "master.m3u8"));
    assert_int_equal(status(&e).attempts_failed, 0);

    (void)snprintf(inside, sizeof(inside), "rm -r %s", folder);
    assert_int_equal(system(inside), 0);
    wait_and_step(&e, 1 << 20);
    assert_true(exists(&e, "master.m3u8"));
    expect_early(&e, 0, NULL);
    board_totals(e.board, 0, &t);
    assert_int_equal(t.early_failed, 9);
    finish(&e);
    stop(&e);
    board_free(e.board);
}

static int list_dead(void *arg, const struct dead_letter *l)
{
    char *list = arg;

    strcat(strcat(strcat(strcat(list, l->queue), " "), l->body), "; ");
    return 0;
}

static void dead_letters_are_kept_for_a_person(void **state)
{
    struct engine e = { 0 };
    char list[512] = "";

    start(&e, state);
    assert_int_equal(queue_publish(e.queue, QUEUE_RESULTS, "{", 1, -1, NULL), 0);
    e.messages++;
    step(&e);
    assert_int_equal(dispatcher_dead_letter(e.d, QUEUE_JOBS, "not a job", "x\0y\xff", 4, NULL), 0);
    stop(&e);
    start(&e, state);
    assert_int_equal(dispatcher_dead_letters(e.d, list_dead, list, NULL), 0);
    assert_string_equal(list, "gopmill.jobs x; gopmill.results {; ");
    stop(&e);
}

static void secrets_of_a_source_are_in_no_status_and_no_dead_letter(void **state)
{
    static const char body[] = "{\"source\":\"https://h/a.mov?X-Amz-Signature=5ec4e7\"}";
    struct engine e = { 0 };
    char *text = NULL, *etag = NULL, list[512] = "";

    assert_int_equal(board_new(&e.board, NULL), 0);
    start(&e, state);
    struct job_request q = request(&e);
    q.source = "https://h/a.mov?X-Amz-Signature=5ec4e7";
    assert_int_equal(dispatcher_submit(e.d, &q, NULL), 0);
    while (status(&e).state != JOB_FAILED) /* this build reads no https */
        assert_int_equal(dispatcher_step(e.d, 100, NULL), 0);
    assert_int_equal(board_job_json(e.board, "j", 1, 0, &text, &etag, NULL), 0);
    assert_non_null(strstr(text, "https://h/a.mov\""));
    assert_null(strstr(text, "5ec4e7"));
    free(text);
    free(etag);
    assert_int_equal(
        dispatcher_dead_letter(e.d, QUEUE_JOBS, "https://u:5ec4e7@h/", body, strlen(body), NULL),
        0);
    assert_int_equal(dispatcher_dead_letters(e.d, list_dead, list, NULL), 0);
    assert_string_equal(list, "gopmill.jobs {\"source\":\"https://h/a.mov\"}; ");
    stop(&e);
    board_free(e.board);
}

/* ---- what encoding costs ---- */

static void a_measurement_weighs_what_it_was_predicted_to_cost(void **state)
{
    struct engine e = { 0 };

    start(&e, state);
    unsigned encoder = engine_encoder(e.d, "libx264");
    for (int i = 0; i < 100; i++)
        engine_measured(e.d, encoder, 10, 20, 250);
    assert_true(fabs(e.d->encoders[encoder].ratio - 2) < 0.05);
    for (int i = 0; i < 40; i++) /* clips of one frame */
        engine_measured(e.d, encoder, 0.02, 0.42, 1);
    assert_true(fabs(e.d->encoders[encoder].ratio - 2) < 0.05);
    for (int i = 0; i < 200; i++) /* another machine: learned anew */
        engine_measured(e.d, encoder, 10, 40, 250);
    assert_true(e.d->encoders[encoder].ratio > 3.5);
    stop(&e);
}

/* ---- workers that tell of themselves ---- */

static void heartbeat_of(struct engine *e, unsigned slots, const char *job, const char *task,
                         double elapsed_s)
{
    struct running_task run = {
        .job = (char *)job, .task = (char *)task, .attempt = 1, .elapsed_s = elapsed_s
    };
    struct heartbeat h = { .worker = (char *)"w1",
                           .host = (char *)"here",
                           .engine = (char *)"e",
                           .slots = slots,
                           .memory_bytes = 1,
                           .started_ms = 1,
                           .running = &run,
                           .n_running = task ? 1 : 0 };
    json_t *j = heartbeat_to_json(&h);
    char *text = json_dumps(j, JSON_COMPACT);

    assert_non_null(text);
    e->queue->ops->event(e->queue, "event.worker.w1", text, strlen(text));
    json_decref(j);
    free(text);
}

static void heartbeat(struct engine *e, const char *job, const char *task, double elapsed_s)
{
    heartbeat_of(e, 4, job, task, elapsed_s);
}

static size_t waiting_in_queue(struct engine *e)
{
    size_t depth;

    assert_int_equal(e->queue->ops->depth(e->queue, QUEUE_TASKS, &depth), 0);
    return depth;
}

/* A number of a job on the board. */
static double shown(struct engine *e, const char *id, const char *field)
{
    char *text = NULL, *etag = NULL;

    assert_int_equal(board_job_json(e->board, id, 0, test_clock.ms, &text, &etag, NULL), 0);
    json_t *j = json_loads(text, 0, NULL);
    json_t *v = json_object_get(json_object_get(j, "progress"), field);
    double n = json_is_number(v) ? json_number_value(v) : -1;
    json_decref(j);
    free(text);
    free(etag);
    return n;
}

static void who_waits_is_told_its_place_and_its_time(void **state)
{
    static const struct {
        const char *id;
        unsigned priority;
        double place, jobs; /* before it; until its end, in jobs */
    } rows[] = {
        {"first",   5, 1, 2},
        { "second", 5, 2, 3},
        { "last",   2, 3, 4},
        { "urgent", 9, 0, 1},
    };
    struct engine e = { 0 };

    assert_int_equal(board_new(&e.board, NULL), 0);
    start(&e, state);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        submit_as(&e, rows[i].id, rows[i].priority, "");
        assert_true(shown(&e, rows[i].id, "eta_s") < 0); /* nobody knows what it costs */
        while (state_of(&e, rows[i].id) != JOB_RUNNING)
            assert_int_equal(dispatcher_step(e.d, 100, NULL), 0);
        test_clock.ms += 1; /* the next is younger */
    }
    test_clock.ms += 2000;
    step(&e);
    assert_true(shown(&e, "urgent", "eta_s") < 0); /* nobody does it */
    for (int i = 0; i < 3; i++) {                  /* places are found out once a second */
        test_clock.ms += 2000;
        heartbeat_of(&e, SLOTS, NULL, NULL, 0);
        step(&e);
    }
    double one = shown(&e, "urgent", "eta_s");
    assert_true(one > 0);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_true(shown(&e, rows[i].id, "queue_position") == rows[i].place);
        assert_true(fabs(shown(&e, rows[i].id, "eta_s") - one * rows[i].jobs) < 0.01);
    }
    stop(&e);
    board_free(e.board);
}

static void a_straggler_gets_a_second_chance_and_the_farms_slots_count(void **state)
{
    struct engine e = { .survives = 1 };
    struct task t[TASKS + 1];

    assert_int_equal(board_new(&e.board, NULL), 0);
    start(&e, state);
    submit(&e);
    plan(&e);
    assert_int_equal(waiting_in_queue(&e), 2 * SLOTS);
    heartbeat(&e, "j", NULL, 0);
    while (board_slots(e.board, test_clock.ms) != 4)
        step(&e);
    step(&e);
    assert_int_equal(waiting_in_queue(&e), TASKS); /* room for twice the slots */
    for (int i = 0; i < TASKS; i++)
        assert_true(take(&e, &t[i]));
    for (int i = 0; i < TASKS - 1; i++)
        encode(&e, &t[i]);
    step(&e);
    assert_int_equal(status(&e).tasks_done, TASKS - 1);
    test_clock.ms += 20000;
    step(&e);
    assert_int_equal(waiting_in_queue(&e), 0);
    test_clock.ms += 600000;
    while (waiting_in_queue(&e) == 0) {
        test_clock.ms += 1000;       /* it looks once a second */
        heartbeat(&e, "j", NULL, 0); /* whoever had it says no more */
        step(&e);
    }
    test_clock.ms += 2000; /* but only one more */
    heartbeat(&e, "j", NULL, 0);
    step(&e);
    assert_int_equal(waiting_in_queue(&e), 1);
    assert_true(take(&e, &t[TASKS]));
    assert_string_equal(t[TASKS].id, t[TASKS - 1].id);
    encode(&e, &t[TASKS]);
    step(&e);
    assert_int_equal(status(&e).state, JOB_DONE);
    encode(&e, &t[TASKS - 1]); /* too late, no matter */
    step(&e);
    assert_int_equal(status(&e).state, JOB_DONE);
    for (int i = 0; i <= TASKS; i++)
        task_release(&t[i]);
    stop(&e);
    board_free(e.board);
}

static void a_task_that_nobody_has_is_released_again(void **state)
{
    struct engine e = {
        .survives = 1, .cfg = {.lost_after_ms = 60000, .queue_min = 64}
    };
    struct task t[TASKS], again;

    assert_int_equal(board_new(&e.board, NULL), 0);
    start(&e, state);
    submit(&e);
    plan(&e);
    for (int i = 0; i < TASKS; i++) /* and the queue has lost them */
        assert_true(take(&e, &t[i]));
    for (int i = 0; i < 8; i++) { /* one of them is at work */
        test_clock.ms += 10000;
        heartbeat(&e, "j", t[3].id, 1);
        uint64_t seen = 0;
        while (seen == 0) {
            step(&e);
            for (size_t k = 0; k < e.d->n_released; k++)
                if (e.d->released[k].seen_ns == test_clock.ms * NS_PER_MS)
                    seen = 1;
        }
    }
    for (int i = 0; i < TASKS - 1; i++) {
        while (!take(&e, &again))
            step(&e);
        assert_string_not_equal(again.id, t[3].id);
        encode(&e, &again);
        task_release(&again);
    }
    step(&e);
    assert_int_equal(status(&e).tasks_done, TASKS - 1);
    assert_int_equal(status(&e).attempts_failed, 0);
    for (int i = 0; i < TASKS; i++)
        task_release(&t[i]);
    stop(&e);
    board_free(e.board);
}

static void the_board_shows_jobs_and_measured_costs(void **state)
{
    struct engine e = { 0 };
    struct board_totals totals;
    char *text, *etag;

    assert_int_equal(board_new(&e.board, NULL), 0);
    start(&e, state);
    submit(&e);
    finish(&e);
    test_clock.ms += 1000;
    step(&e);
    assert_int_equal(board_job_json(e.board, "j", 1, test_clock.ms, &text, &etag, NULL), 0);
    assert_non_null(strstr(text, "\"state\":\"done\""));
    assert_non_null(strstr(text, "v-0002-0"));
    free(text);
    free(etag);
    submit(&e); /* something changes, so the totals are shown */
    step(&e);
    board_totals(e.board, test_clock.ms, &totals);
    assert_int_equal(totals.results, TASKS);
    assert_true(totals.encoders[0].cpu_s > 0);
    assert_true(totals.commits.n > 0 && totals.commits.below[BOARD_TIMES - 1] <= totals.commits.n);
    assert_true(totals.choosing.n > 0 && totals.choosing.n <= totals.commits.n);
    assert_true(totals.backlog_s == 0);
    double ratio = e.d->encoders[1].ratio;
    assert_true(ratio != 1);
    stop(&e);
    start(&e, state);
    assert_true(e.d->encoders[1].seen > 0);
    assert_int_equal(board_job_json(e.board, "j", 0, test_clock.ms, &text, &etag, NULL), 0);
    free(text);
    free(etag);
    assert_int_equal(dispatcher_delete(e.d, "j", 1, NULL), 0);
    step(&e);
    assert_int_equal(board_job_json(e.board, "j", 0, test_clock.ms, &text, &etag, NULL), -ENOENT);
    stop(&e);
    board_free(e.board);
}

#define T(f) cmocka_unit_test_setup_teardown(f, farm_setup, farm_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(calls_of_any_thread_are_done_and_committed),
        T(a_call_that_is_not_begun_in_time_is_given_up),
        T(priorities_and_tenants_are_served_in_turn),
        T(tasks_that_the_queue_refuses_wait_again),
        T(what_a_durable_queue_has_is_not_released_twice),
        T(what_was_marked_but_not_sent_is_released_again),
        T(parts_of_a_job_are_made_again),
        T(a_done_job_that_is_submitted_twice_stays_done),
        T(a_requeue_goes_on_where_the_source_is_the_same),
        T(a_requeue_after_the_source_was_replaced_makes_all_anew),
        T(also_where_the_dispatcher_is_killed_before_it_looked),
        T(one_rendition_is_made_again_without_its_mates),
        T(what_is_wanted_beside_a_part_makes_it_whole),
        T(a_part_that_is_another_is_refused),
        T(a_deleted_job_leaves_nothing),
        T(segments_of_a_failed_job_are_kept_for_a_while),
        T(a_job_that_lives_again_waits_for_the_sweep_of_its_output),
        T(nothing_is_swept_where_a_job_writes),
        T(an_end_is_told_until_it_was_heard),
        T(what_happens_to_a_job_is_told_and_it_plays_early),
        T(a_small_first_chunk_is_planned_where_packages_play_early),
        T(what_plays_early_waits_for_no_other_codec),
        T(every_track_is_a_task_of_its_own_and_is_waited_for),
        T(one_track_is_made_again_without_the_others),
        T(early_playlists_that_fail_are_told_tried_again_and_cost_nothing),
        T(a_measurement_weighs_what_it_was_predicted_to_cost),
        T(who_holds_a_task_hears_how_ever_its_attempt_ended),
        T(a_canceled_jobs_tasks_are_new_attempts_when_it_lives_again),
        T(dead_letters_are_kept_for_a_person),
        T(planning_waits_for_a_process_as_long_as_it_takes),
        T(who_waits_is_told_its_place_and_its_time),
        T(secrets_of_a_source_are_in_no_status_and_no_dead_letter),
        T(a_straggler_gets_a_second_chance_and_the_farms_slots_count),
        T(a_task_that_nobody_has_is_released_again),
        T(the_board_shows_jobs_and_measured_costs),
    };
    log_init(LOG_FORMAT_TEXT, LOG_OFF);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
