/* An output belongs to one job: who may have it, and until when. */
#include <errno.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/log.h"
#include "common/wire/job.h"
#include "dispatcher/board.h"
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

/* ---- what lies at the output ---- */

static char *read_file(const struct engine *e, const char *name)
{
    char path[256], *text = NULL;
    size_t room = 0;

    (void)snprintf(path, sizeof(path), "%s/out/%s", e->farm->dir, name);
    FILE *f = fopen(path, "re");
    if (!f || getdelim(&text, &room, '\0', f) < 0)
        fail_msg("%s can't be read", path);
    (void)fclose(f);
    return text;
}

/* Of the receipt: "" where it has none. */
static void published(const struct engine *e, const char *job, char version[VERSION_ROOM])
{
    char *text = read_file(e, "job.json");
    json_t *j = json_loads(text, 0, NULL);
    const char *v = json_string_value(json_object_get(j, "version"));

    assert_string_equal(json_string_value(json_object_get(j, "job")), job);
    (void)snprintf(version, VERSION_ROOM, "%s", v ? v : "");
    json_decref(j);
    free(text);
}

static int has(const struct engine *e, const char *version, const char *name)
{
    char key[128];

    (void)snprintf(key, sizeof(key), "%s%s%s", version, *version ? "/" : "", name);
    return exists(e, key);
}

/* All playlists of the output name media of that version, which is there. */
static void plays(const struct engine *e, const char *version)
{
    static const char *const tops[] = { "master.m3u8", "manifest.mpd" };
    char want[128];

    (void)snprintf(want, sizeof(want), "%s%svideo/", version, *version ? "/" : "");
    for (size_t i = 0; i < 2; i++) {
        char *text = read_file(e, tops[i]);
        const char *at = strstr(text, "video/");
        assert_non_null(at);
        for (; at; at = strstr(at + 1, "video/")) {
            if (at > text && strncmp(at, "video/mp4", 9) == 0)
                continue;
            const char *start = at - (strlen(want) - strlen("video/"));
            if (strncmp(start, want, strlen(want)) != 0 || (start[-1] != '"' && start[-1] != '\n'))
                fail_msg("%s names %.60s, not %s", tops[i], at, want);
        }
        free(text);
    }
    assert_true(has(e, version, "video/720p/seg-00001.m4s"));
    assert_true(has(e, version, "video/720p/index.m3u8"));
    assert_true(has(e, version, "audio/aac-128/init.mp4"));
}

static struct job_status state_of(struct engine *e, const char *id)
{
    struct job_status st;

    assert_int_equal(dispatcher_status(e->d, id, &st, NULL), 0);
    return st;
}

/* Steps and encodes until the job has that state. */
static void until(struct engine *e, const char *id, enum job_state want)
{
    struct job_status st = state_of(e, id);

    for (int i = 0; i < 200 && st.state != want; i++) {
        assert_int_equal(dispatcher_step(e->d, 10, NULL), 0);
        step(e);
        test_clock.ms += 2000;
        (void)work_one(e);
        st = state_of(e, id);
    }
    if (st.state != want)
        fail_msg("job %s is %s: %s", id, job_state_name(st.state), st.error.text);
}

static int submit_replacing(struct engine *e, const char *id, struct err *err)
{
    struct job_request q = request(e);

    q.id = id;
    q.replace = REPLACE_ANY;
    return dispatcher_submit(e->d, &q, err);
}

static void begin(struct engine *e, void **state)
{
    e->cfg.keep_replaced_ms = 3600000;
    assert_int_equal(board_new(&e->board, NULL), 0); /* a farm tidies up */
    start(e, state);
}

static void end(struct engine *e)
{
    stop(e);
    board_free(e->board);
}

static void restart(struct engine *e, void **state)
{
    stop(e);
    start(e, state);
}

static void a_package_that_this_database_does_not_know_is_refused(void **state)
{
    struct engine e = { 0 };
    char version[VERSION_ROOM];

    begin(&e, state);
    submit(&e);
    until(&e, "j", JOB_DONE);
    stop(&e);
    assert_int_equal(remove(e.farm->db), 0);
    start(&e, state);
    assert_int_equal(submit_at(&e, "k", "", NULL), 0);
    until(&e, "k", JOB_FAILED);
    assert_int_equal(state_of(&e, "k").error.cls, ERR_USAGE);
    assert_non_null(strstr(state_of(&e, "k").error.text, "another job (j, made from file://"));
    assert_non_null(strstr(state_of(&e, "k").error.text, "replace"));
    published(&e, "j", version);
    plays(&e, "");
    assert_int_equal(submit_replacing(&e, "k", NULL), 0); /* what it was told to do */
    until(&e, "k", JOB_DONE);
    published(&e, "k", version);
    plays(&e, version);
    assert_true(has(&e, "", "video/720p/seg-00001.m4s"));
    end(&e);
}

static void what_is_no_receipt_is_not_replaced(void **state)
{
    static const char *const texts[] = { "hello", "{}", "{\"v\":2,\"job\":\"j\"}",
                                         "{\"v\":1,\"job\":\"j\",\"version\":\"../x\"}" };
    struct engine e = { 0 };
    char id[8];

    begin(&e, state);
    submit(&e);
    until(&e, "j", JOB_DONE);
    assert_int_equal(dispatcher_delete(e.d, "j", 1, NULL), 0);
    step(&e);
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        write_file(&e, "out/job.json", texts[i]);
        (void)snprintf(id, sizeof(id), "k%zu", i);
        assert_int_equal(submit_replacing(&e, id, NULL), 0);
        until(&e, id, JOB_FAILED);
        assert_non_null(strstr(state_of(&e, id).error.text, "no receipt"));
        assert_int_equal(dispatcher_delete(e.d, id, 0, NULL), 0);
    }
    end(&e);
}

static void a_package_is_replaced_beside_the_old_one(void **state)
{
    struct engine e = { 0 };
    char version[VERSION_ROOM], next[VERSION_ROOM];
    struct err err = { 0 };

    begin(&e, state);
    submit(&e);
    until(&e, "j", JOB_DONE);
    char *master = read_file(&e, "master.m3u8");
    assert_int_equal(submit_at(&e, "k", "", &err), -EBUSY);
    assert_non_null(strstr(err.text, "job j"));
    assert_int_equal(submit_replacing(&e, "k", NULL), 0);
    until(&e, "k", JOB_RUNNING);
    while (state_of(&e, "k").tasks_done < 3) {
        assert_true(work_one(&e));
        step(&e);
        char *now = read_file(&e, "master.m3u8");
        assert_string_equal(now, master);
        free(now);
        plays(&e, "");
    }
    free(master);
    until(&e, "k", JOB_DONE);
    step(&e); /* nothing of the old one is tidied up */
    published(&e, "k", version);
    assert_int_equal(strncmp(version, "v2-", 3), 0);
    plays(&e, version);
    assert_true(has(&e, "", "video/720p/index.m3u8"));
    assert_true(has(&e, "", "video/720p/seg-00001.m4s"));
    assert_string_equal(job_find(e.d, "j")->replaced_by, "k");
    assert_int_equal(dispatcher_requeue(e.d, "j", -1, NULL, &err), -EBUSY);
    assert_non_null(strstr(err.text, "job k"));
    restart(&e, state);
    assert_string_equal(job_find(e.d, "j")->replaced_by, "k");
    assert_int_equal(dispatcher_delete(e.d, "j", 1, NULL),
                     0); /* k's package stays, and j's for now */
    step(&e);
    plays(&e, version);
    assert_true(has(&e, "", "video/720p/seg-00001.m4s"));
    test_clock.ms += 1800000;
    assert_int_equal(submit_replacing(&e, "l", NULL), 0);
    until(&e, "l", JOB_DONE);
    published(&e, "l", next);
    assert_int_equal(strncmp(next, "v3-", 3), 0);
    test_clock.ms += 1801000; /* j's time is over, k's isn't */
    step(&e);
    plays(&e, next);
    assert_true(has(&e, version, "video/720p/seg-00001.m4s"));
    assert_false(has(&e, "", "video/720p/seg-00001.m4s"));
    assert_false(has(&e, "", "video/720p/index.m3u8"));
    assert_int_equal(dispatcher_delete(e.d, "l", 1, NULL), 0); /* and all versions */
    step(&e);
    assert_false(has(&e, version, "video/720p/seg-00001.m4s"));
    assert_false(has(&e, next, "video/720p/seg-00001.m4s"));
    assert_false(exists(&e, "master.m3u8"));
    assert_false(exists(&e, "job.json"));
    end(&e);
}

static void a_job_that_replaces_waits_for_the_one_at_work(void **state)
{
    struct engine e = { 0 };
    char version[VERSION_ROOM];

    begin(&e, state);
    submit(&e);
    until(&e, "j", JOB_RUNNING);
    test_clock.ms += 1000;
    assert_int_equal(submit_replacing(&e, "k", NULL), 0);
    test_clock.ms += 1000;
    assert_int_equal(submit_replacing(&e, "l", NULL), 0);
    until(&e, "j", JOB_DONE);
    assert_int_equal(state_of(&e, "k").state, JOB_QUEUED);
    restart(&e, state);
    until(&e, "k", JOB_DONE);
    assert_int_equal(state_of(&e, "l").state, JOB_QUEUED);
    until(&e, "l", JOB_DONE);
    published(&e, "l", version);
    plays(&e, version);
    end(&e);
}

static void a_replacing_job_that_does_not_end_well_leaves_the_old_package(void **state)
{
    for (int canceled = 0; canceled < 2; canceled++) {
        struct engine e = { .cfg = { .keep_failed_ms = 1000 } };
        char version[VERSION_ROOM];
        struct task t;

        begin(&e, state);
        submit(&e);
        until(&e, "j", JOB_DONE);
        assert_int_equal(submit_replacing(&e, "k", NULL), 0);
        until(&e, "k", JOB_RUNNING);
        assert_true(work_one(&e));
        step(&e);
        if (canceled) {
            assert_int_equal(dispatcher_cancel(e.d, "k", NULL), 0);
        } else {
            assert_true(take(&e, &t));
            fail_task(&e, &t, ERR_INPUT, "no");
            task_release(&t);
            step(&e);
        }
        while (take(&e, &t))
            task_release(&t);
        test_clock.ms += 10000;
        step(&e);
        assert_int_equal(state_of(&e, "k").state, canceled ? JOB_CANCELED : JOB_FAILED);
        assert_int_equal(job_find(e.d, "k")->swept, 1);
        published(&e, "j", version);
        plays(&e, "");
        assert_null(job_find(e.d, "j")->replaced_by);
        assert_int_equal(dispatcher_requeue(e.d, "j", 0, NULL, NULL), 0); /* it is still its own */
        until(&e, "j", JOB_DONE);
        plays(&e, "");
        assert_int_equal(dispatcher_delete(e.d, "k", 1, NULL), 0);
        assert_int_equal(dispatcher_delete(e.d, "j", 1, NULL), 0);
        step(&e);
        end(&e);
        assert_int_equal(remove(e.farm->db), 0);
    }
}

/* Two keys of a bucket that differ in their suffix, say. */
static void an_upload_replaces_what_was_made_of_its_own_key(void **state)
{
    struct engine e = { 0 };
    struct err err = { 0 };
    char version[VERSION_ROOM];

    begin(&e, state);
    submit(&e);
    until(&e, "j", JOB_DONE);
    struct job_request q = request(&e);
    q.replace = REPLACE_SAME_SOURCE;
    q.id = "k";
    q.source = "file:///another.mov";
    assert_int_equal(dispatcher_submit(e.d, &q, &err), -EBUSY);
    assert_non_null(strstr(err.text, "job j"));
    q.source = e.farm->source;
    assert_int_equal(dispatcher_submit(e.d, &q, NULL), 0);
    until(&e, "k", JOB_DONE);
    published(&e, "k", version);
    plays(&e, version);
    stop(&e);
    assert_int_equal(remove(e.farm->db), 0);
    start(&e, state); /* the receipt says the same */
    write_file(&e, "other.mov", "the source");
    char *other = NULL;
    assert_true(asprintf(&other, "file://%s/other.mov", e.farm->dir) > 0);
    q.id = "l";
    q.source = other;
    assert_int_equal(dispatcher_submit(e.d, &q, NULL), 0);
    until(&e, "l", JOB_FAILED);
    assert_non_null(strstr(state_of(&e, "l").error.text, "another job (k"));
    free(other);
    end(&e);
}

/* ---- again ---- */

static void fail_next(struct engine *e)
{
    struct task t;

    for (int i = 0; i < 20; i++) {
        step(e);
        if (take(e, &t)) {
            fail_task(e, &t, ERR_INPUT, "source in.mov was changed or replaced");
            task_release(&t);
            step(e);
            return;
        }
        test_clock.ms += 10000;
    }
    fail_msg("no task is released");
}

static void a_part_that_fails_leaves_the_job_done(void **state)
{
    struct engine e = { 0 };
    char version[VERSION_ROOM];

    begin(&e, state);
    submit(&e);
    until(&e, "j", JOB_DONE);
    assert_int_equal(dispatcher_requeue(e.d, "j", 1, NULL, NULL), 0);
    fail_next(&e);
    for (int again = 0; again < 2; again++) {
        assert_int_equal(status(&e).state, JOB_DONE);
        assert_int_equal(status(&e).error.cls, ERR_INPUT);
        published(&e, "j", version);
        plays(&e, "");
        restart(&e, state);
    }
    assert_int_equal(dispatcher_requeue(e.d, "j", -1, NULL, NULL), 0);
    until(&e, "j", JOB_DONE);
    assert_int_equal(status(&e).error.cls, ERR_NONE);
    assert_int_equal(status(&e).tasks_done, TASKS);
    end(&e);
}

static void a_new_source_touches_the_package_when_it_is_whole(void **state)
{
    struct engine e = { 0 };
    char version[VERSION_ROOM];

    begin(&e, state);
    submit(&e);
    until(&e, "j", JOB_DONE);
    assert_int_equal(dispatcher_requeue(e.d, "j", 1, NULL, NULL), 0);
    write_file(&e, "in.mov", "the source");
    fail_next(&e);
    assert_int_equal(status(&e).state, JOB_DONE);
    plan_error = (struct err){ ERR_INPUT, "it is no video" };
    assert_int_equal(dispatcher_requeue(e.d, "j", -1, NULL, NULL), 0);
    until(&e, "j", JOB_FAILED);
    plan_error = (struct err){ 0 };
    published(&e, "j", version);
    assert_string_equal(version, "");
    plays(&e, "");
    assert_int_equal(dispatcher_requeue(e.d, "j", -1, NULL, NULL), 0);
    until(&e, "j", JOB_RUNNING);
    assert_true(work_one(&e));
    restart(&e, state);
    step(&e);
    plays(&e, "");
    until(&e, "j", JOB_DONE);
    step(&e);
    published(&e, "j", version);
    assert_int_equal(strncmp(version, "v2-", 3), 0);
    plays(&e, version);
    assert_true(has(&e, "", "video/720p/seg-00001.m4s")); /* who plays it goes on */
    test_clock.ms += 3601000;
    step(&e);
    plays(&e, version);
    assert_false(has(&e, "", "video/720p/seg-00001.m4s"));
    end(&e);
}

/* ---- what played early ---- */

static int is_ended(const struct engine *e, const char *name)
{
    char *text = read_file(e, name);
    const char *end = strstr(text, "#EXT-X-ENDLIST\n");
    int ended = end != NULL;

    assert_true(!end || end[strlen("#EXT-X-ENDLIST\n")] == '\0');
    assert_non_null(strstr(text, "seg-00001.m4s"));
    free(text);
    return ended;
}

/* Two tasks are done and playlists name them; then it ends, and not well. */
static void play_and_end(struct engine *e, int canceled)
{
    struct task t;

    submit(e);
    plan(e);
    for (int i = 0; i < 2; i++) {
        assert_true(work_one(e));
        step(e);
        test_clock.ms += 10000;
    }
    step(e);
    assert_false(is_ended(e, "video/720p/index.m3u8"));
    if (canceled) {
        assert_int_equal(dispatcher_cancel(e->d, "j", NULL), 0);
    } else {
        assert_true(take(e, &t));
        fail_task(e, &t, ERR_INPUT, "no");
        task_release(&t);
    }
    step(e);
    assert_int_equal(status(e).state, canceled ? JOB_CANCELED : JOB_FAILED);
}

static void what_played_early_ends_with_its_job(void **state)
{
    static const char *const lists[] = { "video/720p/index.m3u8", "video/360p/index.m3u8",
                                         "video/720p/iframe.m3u8", "audio/aac-128/index.m3u8" };

    for (int canceled = 0; canceled < 2; canceled++) {
        struct engine e = { .cfg = { .early_playlists = 1 } };

        begin(&e, state);
        play_and_end(&e, canceled);
        for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
            assert_true(is_ended(&e, lists[i]));
        restart(&e, state);
        step(&e);
        assert_true(is_ended(&e, lists[0]));
        assert_int_equal(dispatcher_requeue(e.d, "j", -1, NULL, NULL), 0);
        until(&e, "j", JOB_DONE);
        plays(&e, "");
        char *text = read_file(&e, lists[0]);
        assert_non_null(strstr(text, "#EXT-X-PLAYLIST-TYPE:VOD"));
        free(text);
        assert_int_equal(dispatcher_delete(e.d, "j", 1, NULL), 0);
        step(&e);
        end(&e);
        assert_int_equal(remove(e.farm->db), 0);
    }
}

static void what_played_early_is_removed_where_that_is_wanted(void **state)
{
    struct engine e = {
        .cfg = {.early_playlists = 1, .remove_early = 1}
    };

    begin(&e, state);
    play_and_end(&e, 1);
    assert_false(exists(&e, "master.m3u8"));
    assert_false(exists(&e, "video/720p/index.m3u8"));
    assert_true(exists(&e, "video/720p/seg-00001.m4s")); /* for a requeue */
    assert_int_equal(dispatcher_requeue(e.d, "j", -1, NULL, NULL), 0);
    until(&e, "j", JOB_DONE);
    plays(&e, "");
    end(&e);
}

static void a_job_after_one_that_played_early_has_urls_of_its_own(void **state)
{
    struct engine e = { .cfg = { .early_playlists = 1 } };
    char version[VERSION_ROOM];

    begin(&e, state);
    play_and_end(&e, 1);
    assert_int_equal(submit_replacing(&e, "k", NULL), 0);
    until(&e, "k", JOB_RUNNING);
    until(&e, "k", JOB_DONE);
    published(&e, "k", version);
    assert_int_equal(strncmp(version, "v2-", 3), 0);
    plays(&e, version);
    end(&e);
}

#define T(f) cmocka_unit_test_setup_teardown(f, farm_setup, farm_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(an_output_is_one_jobs_from_admission_to_deletion),
        T(a_job_that_is_sent_twice_is_one),
        T(a_queued_job_does_not_become_another),
        T(a_package_that_this_database_does_not_know_is_refused),
        T(what_is_no_receipt_is_not_replaced),
        T(a_package_is_replaced_beside_the_old_one),
        T(a_job_that_replaces_waits_for_the_one_at_work),
        T(a_replacing_job_that_does_not_end_well_leaves_the_old_package),
        T(an_upload_replaces_what_was_made_of_its_own_key),
        T(a_part_that_fails_leaves_the_job_done),
        T(a_new_source_touches_the_package_when_it_is_whole),
        T(what_played_early_ends_with_its_job),
        T(what_played_early_is_removed_where_that_is_wanted),
        T(a_job_after_one_that_played_early_has_urls_of_its_own),
    };
    log_init(LOG_FORMAT_TEXT, LOG_OFF);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
