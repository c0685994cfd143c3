/* Events: what was written is what is read, within limits, and keys route. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/err.h"
#include "common/wire/event.h"

static char *text_of(const struct heartbeat *h)
{
    json_t *j = heartbeat_to_json(h);
    char *text = json_dumps(j, JSON_COMPACT);

    assert_non_null(text);
    json_decref(j);
    return text;
}

static void a_heartbeat_is_read_as_it_was_written(void **state)
{
    struct running_task running[] = {
        {(char *)"job 1",     (char *)"v-0003-0", 2, 100, 250, 1.5},
        { (char *)"\xc3\xa4", (char *)"a-0",      1, 0,   0,   0  },
    };
    const struct heartbeat h = {
        .worker = (char *)"w.1",
        .host = (char *)"host",
        .engine = (char *)"gopmill 1; lavc 59",
        .state = WORKER_QUARANTINED,
        .reason = (char *)"it failed too often",
        .slots = 16,
        .memory_bytes = UINT64_C(1) << 40,
        .memory_free = 12345,
        .started_ms = 1700000000000,
        .tasks_done = 1,
        .tasks_failed = 2,
        .frames_done = 3,
        .bytes_in = 4,
        .bytes_out = 5,
        .cpu_s = 6.5,
        .speed = 7.5,
        .running = running,
        .n_running = 2,
    };
    struct heartbeat got;
    struct err err = { 0 };
    char *text = text_of(&h);

    (void)state;
    if (heartbeat_from_text(text, strlen(text), &got, &err) < 0)
        fail_msg("%s", err.text);
    char *again = text_of(&got);
    assert_string_equal(text, again);
    assert_int_equal(got.n_running, 2);
    assert_string_equal(got.running[1].job, "\xc3\xa4");
    assert_int_equal(got.state, WORKER_QUARANTINED);
    assert_string_equal(got.reason, "it failed too often");
    free(text);
    free(again);
    heartbeat_release(&got);
}

static void a_heartbeat_needs_no_reason(void **state)
{
    const struct heartbeat h = { (char *)"w", (char *)"h", (char *)"e" };
    struct heartbeat got;
    char *text = text_of(&h);

    (void)state;
    assert_null(strstr(text, "reason"));
    assert_int_equal(heartbeat_from_text(text, strlen(text), &got, NULL), 0);
    assert_null(got.reason);
    free(text);
    heartbeat_release(&got);
}

/* A heartbeat with one field replaced by `value` (JSON). */
static char *with(const char *field, const char *value)
{
    struct running_task running = { (char *)"j", (char *)"v-0-0", 1, 0, 0, 0 };
    const struct heartbeat h = { (char *)"w", (char *)"h", (char *)"e", .running = &running,
                                 .n_running = 1 };
    json_t *j = heartbeat_to_json(&h), *v = json_loads(value, JSON_DECODE_ANY, NULL);

    assert_non_null(v);
    assert_int_equal(json_object_set_new(j, field, v), 0);
    char *text = json_dumps(j, JSON_COMPACT);
    json_decref(j);
    return text;
}

static void what_is_out_of_limits_is_refused(void **state)
{
    static const struct {
        const char *field, *value, *says;
    } rows[] = {
        {"v",            "2",                                   "newer"  },
        { "worker",      "7",                                   "string" },
        { "worker",      "\"a\\nb\"",                           "control"},
        { "state",       "\"asleep\"",                          "asleep" },
        { "slots",       "-1",                                  "outside"},
        { "slots",       "1e9",                                 "integer"},
        { "memory_free", "-5",                                  "outside"},
        { "speed",       "-1",                                  "outside"},
        { "running",     "{}",                                  "array"  },
        { "running",     "[[]]",                                "object" },
        { "running",     "[{\"job\":\"j\",\"task\":\"../x\"}]", "task"   },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        char *text = with(rows[i].field, rows[i].value);
        struct heartbeat h = { 0 };
        struct err err = { 0 };
        assert_int_equal(heartbeat_from_text(text, strlen(text), &h, &err), -EPROTO);
        if (!strstr(err.text, rows[i].says))
            fail_msg("row %zu: %s", i, err.text);
        assert_null(h.worker); /* untouched */
        free(text);
    }
}

static void too_many_running_tasks_are_refused(void **state)
{
    struct heartbeat h = { (char *)"w", (char *)"h", (char *)"e" }, got;
    struct err err = { 0 };

    (void)state;
    h.n_running = HEARTBEAT_RUNNING_MAX + 1;
    h.running = calloc(h.n_running, sizeof(*h.running));
    for (size_t i = 0; i < h.n_running; i++)
        h.running[i] = (struct running_task){ (char *)"j", (char *)"v-0-0", 1, 0, 0, 0 };
    char *text = text_of(&h);
    assert_int_equal(heartbeat_from_text(text, strlen(text), &got, &err), -EPROTO);
    assert_non_null(strstr(err.text, "4096"));
    free(text);
    free(h.running);
}

static void an_event_is_read_as_it_was_written(void **state)
{
    char *text, *job, *task;
    unsigned attempt;

    (void)state;
    text = event_text("the job", NULL, 0);
    assert_string_equal(text, "{\"v\":1,\"job\":\"the job\"}");
    assert_int_equal(event_from_text(text, strlen(text), &job, &task, &attempt, NULL), 0);
    assert_string_equal(job, "the job");
    assert_null(task);
    free(text);
    free(job);

    text = event_text("j", "v-0001-0", 3);
    assert_int_equal(event_from_text(text, strlen(text), &job, &task, &attempt, NULL), 0);
    assert_string_equal(task, "v-0001-0");
    assert_int_equal(attempt, 3);
    free(text);
    free(job);
    free(task);
}

static void what_is_no_event_is_refused(void **state)
{
    static const char *const texts[] = {
        "",
        "[]",
        "{}",
        "{\"v\":1}",
        "{\"v\":2,\"job\":\"j\"}",
        "{\"v\":1,\"job\":5}",
        "{\"v\":1,\"job\":\"j\",\"task\":\"v-0\"}",
        "{\"v\":1,\"job\":\"j\",\"task\":\"v-0\",\"attempt\":0}",
        "{\"v\":1,\"job\":\"j\",\"task\":\"V\",\"attempt\":1}",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        char *job = NULL, *task = NULL;
        unsigned attempt = 7;
        struct err err = { 0 };
        assert_int_equal(event_from_text(texts[i], strlen(texts[i]), &job, &task, &attempt, &err),
                         -EPROTO);
        assert_true(!job && !task && attempt == 7 && err.text[0]);
    }
}

static void a_quarantine_is_read_as_it_was_written(void **state)
{
    char *text = quarantine_text("3 tasks failed", 60), *reason = NULL;
    unsigned seconds = 0;

    (void)state;
    assert_int_equal(quarantine_from_text(text, strlen(text), &reason, &seconds, NULL), 0);
    assert_string_equal(reason, "3 tasks failed");
    assert_int_equal(seconds, 60);
    free(reason);
    free(text);
}

static void what_is_no_quarantine_is_refused(void **state)
{
    static const char *const texts[] = {
        "",
        "[]",
        "{\"v\":1}",
        "{\"v\":2,\"reason\":\"x\",\"seconds\":60}",
        "{\"v\":1,\"reason\":\"x\",\"seconds\":0}",
        "{\"v\":1,\"reason\":\"x\",\"seconds\":86401}",
        "{\"v\":1,\"reason\":7,\"seconds\":60}",
        "{\"v\":1,\"reason\":\"a\\nb\",\"seconds\":60}",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        char *reason = NULL;
        unsigned seconds = 7;
        struct err err = { 0 };
        if (quarantine_from_text(texts[i], strlen(texts[i]), &reason, &seconds, &err) != -EPROTO)
            fail_msg("%s", texts[i]);
        assert_true(!reason && seconds == 7 && err.text[0]);
    }
}

static void a_key_has_words_only(void **state)
{
    static const struct {
        const char *prefix, *id, *what, *want;
    } rows[] = {
        {"event.worker",    "w.1",      NULL,    "event.worker.w_1"          },
        { "event.job",      "a b#*.",   "done",  "event.job.a_b___.done"     },
        { "command.worker", "w-1_X",    "drain", "command.worker.w-1_X.drain"},
        { "event.job",      "\xc3\xa4", "x",     "event.job.__.x"            },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        char *key = event_key(rows[i].prefix, rows[i].id, rows[i].what);
        assert_string_equal(key, rows[i].want);
        free(key);
    }
    assert_string_equal(worker_state_name(WORKER_GONE), "gone");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_heartbeat_is_read_as_it_was_written),
        cmocka_unit_test(a_heartbeat_needs_no_reason),
        cmocka_unit_test(what_is_out_of_limits_is_refused),
        cmocka_unit_test(too_many_running_tasks_are_refused),
        cmocka_unit_test(an_event_is_read_as_it_was_written),
        cmocka_unit_test(what_is_no_event_is_refused),
        cmocka_unit_test(a_quarantine_is_read_as_it_was_written),
        cmocka_unit_test(what_is_no_quarantine_is_refused),
        cmocka_unit_test(a_key_has_words_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
