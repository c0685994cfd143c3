/* The board: what readers see is what was put there, in order and whole. */
#include <errno.h>
#include <jansson.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dispatcher/board.h"

enum { NOW = 1700000000 };
#define NOW_MS (INT64_C(1000) * NOW)

static struct board *new_board(void)
{
    struct board *b;

    assert_int_equal(board_new(&b, NULL), 0);
    return b;
}

static struct board_job job(const char *id, int64_t created_ms)
{
    return (struct board_job){
        .id = id,
        .source = "s3://in/a.mov",
        .output = "s3://out/a/",
        .ladder_name = "web",
        .tenant = "acme",
        .metadata = "{\"x\":1}",
        .state = JOB_RUNNING,
        .priority = 5,
        .created_ms = created_ms,
        .updated_ms = created_ms + 10000,
        .started_ms = created_ms,
        .duration_s = 100,
        .frames = 2500,
        .tasks = 3,
        .cost = 40,
        .eta_s = 12.5,
        .queue_position = -1,
        .renditions = {"1080p", "360p", "aac"},
        .rendition_group = { 0,      1,      255  }
    };
}

static struct board_task task(const char *id, enum task_state state, int audio, unsigned group,
                              float cost)
{
    struct board_task t = { .state = (uint8_t)state,
                            .audio = (uint8_t)audio,
                            .group = (uint16_t)group,
                            .attempt = 1,
                            .cost = cost };

    (void)snprintf(t.id, sizeof(t.id), "%s", id);
    return t;
}

static json_t *read_json(int r, char *text)
{
    json_error_t e;

    assert_int_equal(r, 0);
    json_t *j = json_loads(text, JSON_REJECT_DUPLICATES, &e);
    if (!j)
        fail_msg("%s: %s", e.text, text);
    free(text);
    return j;
}

static json_t *read_job(struct board *b, const char *id, int tasks, int64_t now)
{
    char *text = NULL, *etag = NULL;
    int r = board_job_json(b, id, tasks, now, &text, &etag, NULL);

    free(etag);
    return read_json(r, text);
}

static char *etag_of(struct board *b, const char *id, int64_t now)
{
    char *etag = NULL, *text = NULL, *again = NULL;

    assert_int_equal(board_job_json(b, id, 1, now, &text, &etag, NULL), 0);
    assert_int_equal(board_job_etag(b, id, 1, now, &again, NULL), 0);
    assert_string_equal(etag, again);
    free(text);
    free(again);
    return etag;
}

/* 1: changed since; `etag` is replaced. */
static int changed(struct board *b, char **etag, int64_t now)
{
    char *next = etag_of(b, "j", now);
    int differs = strcmp(next, *etag) != 0;

    free(*etag);
    *etag = next;
    return differs;
}

static double number(const json_t *j, const char *a, const char *b)
{
    const json_t *v = json_object_get(b ? json_object_get(j, a) : j, b ? b : a);

    assert_true(json_is_number(v));
    return json_number_value(v);
}

static const char *string(const json_t *j, const char *name)
{
    const char *s = json_string_value(json_object_get(j, name));

    return s ? s : "null";
}

static void put_plain(struct board *b)
{
    const struct board_job j = job("j", NOW_MS);
    const struct board_task tasks[] = { task("a", TASK_DONE, 1, 0, 4),
                                        task("v0.0", TASK_RELEASED, 0, 0, 20),
                                        task("v0.1", TASK_WAITING, 0, 1, 16) };

    assert_int_equal(board_put_job(b, &j), 0);
    assert_int_equal(board_put_tasks(b, "j", tasks, 3), 0);
}

static struct heartbeat beat(struct running_task *running, size_t n)
{
    return (struct heartbeat){ .worker = (char *)"w1",
                               .host = (char *)"host",
                               .engine = (char *)"gopmill 0.1",
                               .state = WORKER_ACTIVE,
                               .slots = 2,
                               .running = running,
                               .n_running = n };
}

/* ---- a job ---- */

static void a_job_is_shown_as_it_was_put(void **state)
{
    struct board *b = new_board();

    (void)state;
    put_plain(b);
    json_t *j = read_job(b, "j", 1, NOW_MS);
    assert_string_equal(string(j, "id"), "j");
    assert_string_equal(string(j, "state"), "running");
    assert_string_equal(string(j, "created"), "2023-11-14T22:13:20.000Z");
    assert_true(json_is_null(json_object_get(j, "ended")));
    assert_true(json_is_null(json_object_get(j, "error")));
    assert_int_equal(number(json_object_get(j, "metadata"), "x", NULL), 1);
    assert_true(number(j, "progress", "percent") == 10); /* 4 of 40 */
    assert_true(number(j, "progress", "eta_s") == 12.5);
    assert_true(json_is_null(json_object_get(json_object_get(j, "progress"), "queue_position")));
    assert_int_equal(json_array_size(json_object_get(j, "tasks")), 3);
    const json_t *r = json_object_get(j, "renditions");
    assert_int_equal(json_array_size(r), 3);
    assert_true(number(json_array_get(r, 0), "percent", NULL) == 0);
    assert_true(number(json_array_get(r, 2), "percent", NULL) == 100);
    json_decref(j);
    j = read_job(b, "j", 0, NOW_MS);
    assert_null(json_object_get(j, "tasks"));
    json_decref(j);
    board_free(b);
}

static void an_unknown_job_is_not_there(void **state)
{
    struct board *b = new_board();
    char *text, *etag;
    struct err err = { 0 };

    (void)state;
    assert_int_equal(board_job_json(b, "x", 1, 0, &text, &etag, &err), -ENOENT);
    assert_int_equal(err.cls, ERR_USAGE);
    assert_int_equal(board_job_etag(b, "x", 1, 0, &etag, &err), -ENOENT);
    put_plain(b);
    board_drop_job(b, "j");
    board_drop_job(b, "j");
    assert_int_equal(board_job_json(b, "j", 1, 0, &text, &etag, &err), -ENOENT);
    board_free(b);
}

static void hostile_texts_stay_inside_their_strings(void **state)
{
    struct board *b = new_board();
    struct board_job j = job("j", NOW_MS);

    (void)state;
    j.source = "s3://in/\"\\\x01\n\xff\xc3\xa4";
    j.metadata = "{\"broken\":";
    j.state = JOB_FAILED;
    j.error = (struct err){ ERR_INPUT, "it's \"odd\"" };
    assert_int_equal(board_put_job(b, &j), 0);
    json_t *v = read_job(b, "j", 1, NOW_MS);
    assert_string_equal(string(v, "source"), "s3://in/\"\\\x01\n?\xc3\xa4");
    assert_true(json_is_null(json_object_get(v, "metadata")));
    assert_string_equal(string(json_object_get(v, "error"), "text"), "it's \"odd\"");
    assert_string_equal(string(json_object_get(v, "error"), "class"), "input");
    json_decref(v);
    board_free(b);
}

static void a_done_job_is_at_a_hundred(void **state)
{
    struct board *b = new_board();
    struct board_job j = job("j", NOW_MS);

    (void)state;
    j.state = JOB_DONE;
    j.ended_ms = NOW_MS + 50000;
    assert_int_equal(board_put_job(b, &j), 0);
    json_t *v = read_job(b, "j", 1, NOW_MS);
    assert_true(number(v, "progress", "percent") == 100);
    assert_true(number(v, "progress", "frames_done") == 2500);
    assert_true(number(v, "progress", "speed") == 2); /* 100 s in 50 s */
    json_decref(v);
    board_free(b);
}

/* ---- running tasks ---- */

static void a_heartbeat_makes_a_task_run(void **state)
{
    struct board *b = new_board();
    struct running_task r[] = {
        {(char *)"j", (char *)"v0.0", 2, 50, 100, 3.5}
    };
    struct heartbeat h = beat(r, 1);

    (void)state;
    put_plain(b);
    assert_int_equal(board_put_worker(b, &h, NOW_MS), 0);
    json_t *j = read_job(b, "j", 1, NOW_MS);
    const json_t *t = json_array_get(json_object_get(j, "tasks"), 1);
    assert_string_equal(string(t, "state"), "running");
    assert_string_equal(string(t, "worker"), "w1");
    assert_int_equal(number(t, "attempt", NULL), 2);
    assert_int_equal(number(t, "frames_done", NULL), 50);
    assert_true(number(j, "progress", "percent") == 35); /* 4 + 20 / 2 of 40 */
    assert_int_equal(number(j, "progress", "frames_done"), 50);
    assert_int_equal(number(j, "progress", "tasks_running"), 1);
    json_decref(j);

    h = beat(NULL, 0);
    assert_int_equal(board_put_worker(b, &h, NOW_MS + 5000), 0);
    j = read_job(b, "j", 1, NOW_MS + 5000);
    assert_int_equal(number(j, "progress", "tasks_running"), 0);
    json_decref(j);
    board_free(b);
}

static void a_late_heartbeat_does_not_make_a_done_task_run(void **state)
{
    struct board *b = new_board();
    struct running_task r[] = {
        {(char *)"j",  (char *)"a",    1, 50, 100, 3.5},
        { (char *)"j", (char *)"v9",   1, 50, 100, 3.5}, /* of a plan that is gone */
        { (char *)"x", (char *)"v0.0", 1, 50, 100, 3.5},
    };
    struct heartbeat h = beat(r, 3);

    (void)state;
    put_plain(b);
    assert_int_equal(board_put_worker(b, &h, NOW_MS), 0);
    json_t *j = read_job(b, "j", 1, NOW_MS);
    assert_int_equal(number(j, "progress", "tasks_running"), 0);
    assert_true(number(j, "progress", "percent") == 10);
    json_decref(j);
    board_free(b);
}

static void of_two_that_run_a_task_the_further_counts_once(void **state)
{
    struct board *b = new_board();
    struct running_task slow[] = {
        {(char *)"j", (char *)"v0.0", 1, 20, 100, 9}
    };
    struct running_task fast[] = {
        {(char *)"j", (char *)"v0.0", 1, 60, 100, 3}
    };
    struct heartbeat h1 = beat(slow, 1), h2 = beat(fast, 1);

    (void)state;
    h2.worker = (char *)"w2";
    put_plain(b);
    assert_int_equal(board_put_worker(b, &h1, NOW_MS), 0);
    assert_int_equal(board_put_worker(b, &h2, NOW_MS), 0);
    json_t *j = read_job(b, "j", 1, NOW_MS);
    assert_int_equal(number(j, "progress", "tasks_running"), 1);
    assert_true(number(j, "progress", "percent") == 40); /* 4 + 12 of 40 */
    assert_string_equal(string(json_array_get(json_object_get(j, "tasks"), 1), "worker"), "w2");
    json_decref(j);
    board_free(b);
}

static void a_silent_worker_is_lost_and_its_tasks_do_not_run(void **state)
{
    struct board *b = new_board();
    struct running_task r[] = {
        {(char *)"j", (char *)"v0.0", 1, 50, 100, 1}
    };
    struct heartbeat h = beat(r, 1);
    int64_t later = NOW_MS + WORKER_LOST_MS + 1;
    char *text = NULL;

    (void)state;
    put_plain(b);
    assert_int_equal(board_put_worker(b, &h, NOW_MS), 0);
    char *etag = etag_of(b, "j", NOW_MS);
    assert_int_equal(board_slots(b, NOW_MS + WORKER_LOST_MS), 2);
    assert_int_equal(board_slots(b, later), 0);
    assert_true(changed(b, &etag, later));
    json_t *j = read_job(b, "j", 1, later);
    assert_int_equal(number(j, "progress", "tasks_running"), 0);
    json_decref(j);
    int w = board_workers_json(b, later, &text, NULL);
    j = read_json(w, text);
    const json_t *one = json_array_get(json_object_get(j, "workers"), 0);
    assert_string_equal(string(one, "state"), "lost");
    assert_true(number(one, "seen_s", NULL) > 15);
    json_decref(j);

    assert_int_equal(board_put_worker(b, &h, later), 0); /* it is back */
    assert_int_equal(board_slots(b, later), 2);
    assert_true(changed(b, &etag, later));
    free(etag);
    board_free(b);
}

static void a_worker_that_says_good_bye_is_gone(void **state)
{
    struct board *b = new_board();
    struct heartbeat h = beat(NULL, 0);

    (void)state;
    assert_int_equal(board_put_worker(b, &h, NOW_MS), 0);
    assert_true(board_has_worker(b, "w1"));
    h.state = WORKER_DRAINS;
    assert_int_equal(board_put_worker(b, &h, NOW_MS), 0);
    assert_int_equal(board_slots(b, NOW_MS), 0);
    h.state = WORKER_GONE;
    assert_int_equal(board_put_worker(b, &h, NOW_MS), 0);
    assert_false(board_has_worker(b, "w1"));
    board_free(b);
}

/* ---- ETags ---- */

static void the_etag_changes_when_and_only_when_something_does(void **state)
{
    struct board *b = new_board();
    struct board_job j = job("j", NOW_MS);
    struct board_job other = job("k", NOW_MS);
    struct board_task t = task("v0.1", TASK_RELEASED, 0, 1, 16);

    (void)state;
    put_plain(b);
    char *etag = etag_of(b, "j", NOW_MS);
    assert_false(changed(b, &etag, NOW_MS));
    assert_int_equal(board_put_job(b, &j), 0);
    assert_false(changed(b, &etag, NOW_MS));
    assert_int_equal(board_put_job(b, &other), 0);
    assert_false(changed(b, &etag, NOW_MS));
    board_put_task(b, "j", 2, &t);
    assert_true(changed(b, &etag, NOW_MS));
    j.error = (struct err){ ERR_CRASH, "x" };
    assert_int_equal(board_put_job(b, &j), 0);
    assert_true(changed(b, &etag, NOW_MS));
    j.tasks_done = 2;
    assert_int_equal(board_put_job(b, &j), 0);
    assert_true(changed(b, &etag, NOW_MS));
    free(etag);
    board_free(b);
}

/* ---- lists ---- */

static json_t *read_page(struct board *b, const struct board_query *q)
{
    char *text = NULL;
    int r = board_jobs_json(b, q, NOW_MS, &text, NULL);

    return read_json(r, text);
}

enum { MANY = 2500 };

static void put_many(struct board *b)
{
    for (int i = 0; i < MANY; i++) {
        char id[16];
        (void)snprintf(id, sizeof(id), "j%d", i);
        struct board_job j = job(id, NOW_MS + i / 3); /* three a millisecond */
        j.state = i % 2 ? JOB_DONE : JOB_FAILED;
        j.tenant = i % 5 ? "acme" : "other";
        assert_int_equal(board_put_job(b, &j), 0);
    }
}

/* Reads all pages; each job of the query once, newest first. */
static size_t walk(struct board *b, struct board_query q, int drop)
{
    char cursor[64] = "", last[40] = "9999";
    size_t n = 0;

    for (;;) {
        q.after = cursor[0] ? cursor : NULL;
        json_t *page = read_page(b, &q);
        const json_t *jobs = json_object_get(page, "jobs");
        for (size_t i = 0; i < json_array_size(jobs); i++, n++) {
            const char *created = string(json_array_get(jobs, i), "created");
            assert_true(strcmp(created, last) <= 0);
            (void)snprintf(last, sizeof(last), "%s", created);
            if (drop) /* a cursor names a place, not a job */
                board_drop_job(b, string(json_array_get(jobs, i), "id"));
        }
        const char *after = json_string_value(json_object_get(page, "after"));
        (void)snprintf(cursor, sizeof(cursor), "%s", after ? after : "");
        json_decref(page);
        if (!cursor[0])
            return n;
    }
}

static void pages_have_each_job_once_newest_first(void **state)
{
    struct board *b = new_board();

    (void)state;
    put_many(b);
    assert_int_equal(walk(b, (struct board_query){ .state = -1, .limit = 1000 }, 0), MANY);
    assert_int_equal(walk(b, (struct board_query){ .state = -1, .limit = 7 }, 0), MANY);
    assert_int_equal(walk(b, (struct board_query){ .state = JOB_DONE, .limit = 100 }, 0), MANY / 2);
    assert_int_equal(walk(b, (struct board_query){ .state = -1, .tenant = "other", .limit = 9 }, 0),
                     MANY / 5);
    assert_int_equal(walk(b, (struct board_query){ .state = JOB_QUEUED, .limit = 9 }, 0), 0);
    assert_int_equal(walk(b, (struct board_query){ .state = -1, .limit = 10 }, 1), MANY);
    assert_int_equal(walk(b, (struct board_query){ .state = -1, .limit = 10 }, 0), 0);
    board_free(b);
}

static void a_wrong_cursor_or_limit_is_refused(void **state)
{
    static const char *const cursors[] = { "", "x", "12", "12_", "99999999999999999999_a" };
    struct board *b = new_board();
    char *text;
    struct err err = { 0 };

    (void)state;
    for (size_t i = 0; i < sizeof(cursors) / sizeof(*cursors); i++) {
        const struct board_query q = { .state = -1, .after = cursors[i], .limit = 1 };
        assert_int_equal(board_jobs_json(b, &q, 0, &text, &err), -EINVAL);
        assert_int_equal(err.cls, ERR_USAGE);
    }
    const struct board_query q = { .state = -1, .limit = 1001 };
    assert_int_equal(board_jobs_json(b, &q, 0, &text, &err), -EINVAL);
    board_free(b);
}

static void a_job_made_anew_moves_to_the_front(void **state)
{
    struct board *b = new_board();
    struct board_job old = job("j", NOW_MS), other = job("k", NOW_MS + 1);

    (void)state;
    assert_int_equal(board_put_job(b, &old), 0);
    assert_int_equal(board_put_job(b, &other), 0);
    old.created_ms = NOW_MS + 2;
    assert_int_equal(board_put_job(b, &old), 0);
    json_t *page = read_page(b, &(struct board_query){ .state = -1, .limit = 10 });
    const json_t *jobs = json_object_get(page, "jobs");
    assert_int_equal(json_array_size(jobs), 2);
    assert_string_equal(string(json_array_get(jobs, 0), "id"), "j");
    json_decref(page);
    board_free(b);
}

/* ---- threads ---- */

struct reading {
    struct board *b;
    int bad;
};

static void *read_on(void *arg)
{
    struct reading *r = arg;

    for (int i = 0; i < 300; i++) {
        char *text = NULL, *etag = NULL;
        const struct board_query q = { .state = -1, .limit = 10 };
        if (board_job_json(r->b, "j", 1, NOW_MS + 20000 * (i % 2), &text, &etag, NULL) == 0) {
            json_t *j = json_loads(text, 0, NULL);
            r->bad |= !j;
            json_decref(j);
        }
        free(text);
        free(etag);
        text = NULL;
        r->bad |= board_jobs_json(r->b, &q, NOW_MS, &text, NULL) < 0;
        free(text);
        text = NULL;
        r->bad |= board_workers_json(r->b, NOW_MS, &text, NULL) < 0;
        free(text);
    }
    return NULL;
}

static void readers_see_whole_jobs_while_they_change(void **state)
{
    struct board *b = new_board();
    struct reading r[2] = {
        {b,  0},
        { b, 0}
    };
    struct running_task running[] = {
        {(char *)"j", (char *)"v0.0", 1, 50, 100, 1}
    };
    struct heartbeat h = beat(running, 1);
    pthread_t t[2];

    (void)state;
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&t[i], NULL, read_on, &r[i]), 0);
    for (int i = 0; i < 300; i++) {
        struct board_task k = task("v0.0", i % 2 ? TASK_RELEASED : TASK_WAITING, 0, 0, 20);
        put_plain(b);
        board_put_task(b, "j", 1, &k);
        assert_int_equal(board_put_worker(b, &h, NOW_MS), 0);
        if (i % 10 == 9)
            board_drop_job(b, "j");
    }
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pthread_join(t[i], NULL), 0);
        assert_false(r[i].bad);
    }
    board_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_job_is_shown_as_it_was_put),
        cmocka_unit_test(an_unknown_job_is_not_there),
        cmocka_unit_test(hostile_texts_stay_inside_their_strings),
        cmocka_unit_test(a_done_job_is_at_a_hundred),
        cmocka_unit_test(a_heartbeat_makes_a_task_run),
        cmocka_unit_test(a_late_heartbeat_does_not_make_a_done_task_run),
        cmocka_unit_test(of_two_that_run_a_task_the_further_counts_once),
        cmocka_unit_test(a_silent_worker_is_lost_and_its_tasks_do_not_run),
        cmocka_unit_test(a_worker_that_says_good_bye_is_gone),
        cmocka_unit_test(the_etag_changes_when_and_only_when_something_does),
        cmocka_unit_test(pages_have_each_job_once_newest_first),
        cmocka_unit_test(a_wrong_cursor_or_limit_is_refused),
        cmocka_unit_test(a_job_made_anew_moves_to_the_front),
        cmocka_unit_test(readers_see_whole_jobs_while_they_change),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
