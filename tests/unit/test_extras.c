/* What a package is whole without: it is there where it can be had, and its
 * lack is told, and fails nothing. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "common/base/err.h"
#include "dispatcher/publish/dash.h"
#include "dispatcher/publish/hls.h"
#include "dispatcher/publish/receipt.h"
#include "dispatcher/publish/sweep.h"
#include "engine_fixture.h"

/* ---- packages ---- */

static int has_line(const char *text, const char *line)
{
    const char *at = strstr(text, line);
    return at && (at == text || at[-1] == '\n') && at[strlen(line)] == '\n';
}

static void subtitles_are_named_in_every_manifest(void **state)
{
    struct fixture f;
    char *text = NULL;
    size_t len;

    (void)state;
    fixture_make(&f, &shape_plain);
    fixture_add_text(&f);
    struct package *p = fixture_package(&f);
    assert_int_equal(p->n_extras, 1);
    assert_int_equal(hls_master(p, &text, &len, NULL), 0);
    assert_true(has_line(text, "#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID=\"subs\",NAME=\"en (SDH)\","
                               "LANGUAGE=\"en\",DEFAULT=YES,AUTOSELECT=YES,FORCED=NO,"
                               "CHARACTERISTICS=\"public.accessibility.transcribes-spoken-dialog,"
                               "public.accessibility.describes-music-and-sound\","
                               "URI=\"text/sub-eng/index.m3u8\""));
    assert_non_null(strstr(text, ",AUDIO=\"aac-128\",SUBTITLES=\"subs\",CLOSED-CAPTIONS=NONE\n"));
    free(text);
    assert_int_equal(hls_media(p, &p->extras[0], &text, &len, NULL), 0);
    assert_null(strstr(text, "EXT-X-MAP"));
    assert_true(has_line(text, "#EXTINF:6.000000,") && has_line(text, "#EXTINF:1.000000,") &&
                has_line(text, "seg-00003.vtt"));
    free(text);
    assert_int_equal(dash_manifest(p, &text, &len, NULL), 0);
    assert_non_null(strstr(text, "contentType=\"text\" mimeType=\"text/vtt\" lang=\"en\""));
    assert_non_null(strstr(text, "<BaseURL>text/sub-eng/all.vtt</BaseURL>"));
    assert_non_null(strstr(text, "value=\"caption\""));
    free(text);
    package_unbuild(p);
    fixture_release(&f);
}

static void names_that_are_equal_are_told_apart(void **state)
{
    struct fixture f;
    char *text = NULL;
    size_t len;

    (void)state;
    fixture_make(&f, &shape_plain);
    fixture_add_text(&f);
    struct package *p = fixture_package(&f);
    struct package_rendition twice[2] = { p->extras[0], p->extras[0] }, *own = p->extras;
    p->extras = twice;
    p->n_extras = 2;
    strcpy(f.plan.extras[0].text.title, "A \"B\"");
    assert_int_equal(hls_master(p, &text, &len, NULL), 0);
    assert_non_null(strstr(text, "NAME=\"A 'B'\",LANGUAGE=\"en\",DEFAULT=YES,AUTOSELECT=YES"));
    assert_non_null(strstr(text, "NAME=\"A 'B' #2\",LANGUAGE=\"en\",DEFAULT=NO,AUTOSELECT=NO"));
    free(text);
    p->extras = own;
    p->n_extras = 1;
    package_unbuild(p);
    fixture_release(&f);
}

static void a_package_without_an_extra_is_whole(void **state)
{
    struct fixture f;
    struct package *p = NULL;
    char *text = NULL;
    size_t len;

    (void)state;
    fixture_make(&f, &shape_plain);
    fixture_add_text(&f);
    assert_int_equal(package_build(&f.plan, f.list, f.n - 1, &p, NULL, NULL), 0);
    assert_int_equal(p->n_extras, 0);
    assert_int_equal(hls_master(p, &text, &len, NULL), 0);
    assert_null(strstr(text, "SUBTITLES"));
    free(text);
    package_unbuild(p);
    assert_int_equal(package_build_early(&f.plan, f.list, f.n, &p, NULL), 0);
    assert_int_equal(p->n_extras, 0); /* they come with the finished package */
    package_unbuild(p);
    fixture_release(&f);
}

static void the_receipt_has_every_object_of_an_extra(void **state)
{
    static const struct receipt_job job = { "j", "file:///a", "e", "l", "d" };
    struct fixture f;
    char *text = NULL;
    size_t len;

    (void)state;
    fixture_make(&f, &shape_plain);
    fixture_add_text(&f);
    struct package *p = fixture_package(&f);
    assert_int_equal(receipt_make(p, &job, NULL, 0, &text, &len, NULL), 0);
    json_t *j = json_loads(text, 0, NULL), *x = json_array_get(json_object_get(j, "extras"), 0);
    assert_string_equal(json_string_value(json_object_get(x, "name")), "sub-eng");
    assert_string_equal(json_string_value(json_object_get(x, "kind")), "text");
    assert_int_equal(json_integer_value(json_object_get(x, "cues")), 2);
    assert_int_equal(json_integer_value(json_object_get(x, "bytes")), 800 + 3 * 100);
    json_t *o = json_object_get(x, "objects");
    assert_int_equal(json_array_size(o), 4);
    assert_string_equal(json_string_value(json_object_get(json_array_get(o, 0), "key")),
                        "text/sub-eng/all.vtt");
    json_decref(j);
    free(text);
    package_unbuild(p);
    fixture_release(&f);
}

/* ---- results ---- */

static void drop_last(struct fixture *f)
{
    struct rendition_result *r = &f->results[4].renditions[0];
    free(r->segments[--r->n_segments].key);
}

static void move_cut(struct fixture *f)
{
    f->results[4].renditions[0].segments[1].start++;
}

static void lengthen(struct fixture *f)
{
    f->results[4].renditions[0].segments[2].duration++;
}

static void rename_key(struct fixture *f)
{
    f->results[4].renditions[0].segments[0].key[0] = 'n';
}

static void leave_out_silently(struct fixture *f)
{
    rendition_result_release(&f->results[4].renditions[0]);
    f->results[4].n_renditions = 0;
}

static void a_result_is_held_against_the_plan(void **state)
{
    static void (*const rows[])(struct fixture * f) = { drop_last, move_cut, lengthen, rename_key,
                                                        leave_out_silently };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]) + 3; i++) {
        struct fixture f;
        struct task t;
        struct err err = { 0 };
        int bad = i < sizeof(rows) / sizeof(rows[0]),
            told = i == sizeof(rows) / sizeof(rows[0]) + 1,
            captions = i == sizeof(rows) / sizeof(rows[0]) + 2;
        fixture_make(&f, &shape_plain);
        fixture_add_text(&f);
        if (bad)
            rows[i](&f);
        if (told) { /* left out with a word */
            leave_out_silently(&f);
            f.results[4].warnings = calloc(1, sizeof(char *));
            f.results[4].warnings[0] = strdup("why");
            f.results[4].n_warnings = 1;
        }
        if (captions) /* a channel that says nothing */
            leave_out_silently(&f);
        fixture_task(&f, 4, &t);
        for (size_t k = 0; k < t.n_renditions && captions; k++)
            t.renditions[k].text.captions = 1;
        int r = package_check_result(&f.plan, &t, &f.results[4], &err);
        if (r != (bad ? -EPROTO : 0))
            fail_msg("row %zu: %d, %s", i, r, err.text);
        fixture_release(&f);
    }
}

/* ---- sweeping ---- */

static void only_names_of_ours_are_swept(void **state)
{
    static const struct {
        const char *key;
        enum sweep_kind want;
    } rows[] = {
        {"text/sub-eng/all.vtt",          SWEEP_SEGMENT },
        { "text/sub-eng/seg-00001.vtt",   SWEEP_SEGMENT },
        { "text/sub-eng/index.m3u8",      SWEEP_PLAYLIST},
        { "text/sub-eng/iframe.m3u8",     SWEEP_NOT_OURS},
        { "text/sub-eng/init.mp4",        SWEEP_NOT_OURS},
        { "text/sub-eng/seg-1.vtt",       SWEEP_NOT_OURS},
        { "text/all.vtt",                 SWEEP_NOT_OURS},
        { "text/Sub/all.vtt",             SWEEP_NOT_OURS},
        { "poster.jpg",                   SWEEP_SEGMENT },
        { "video/poster.jpg",             SWEEP_NOT_OURS},
        { "storyboard/index.vtt",         SWEEP_SEGMENT },
        { "storyboard/index.m3u8",        SWEEP_PLAYLIST},
        { "storyboard/sheet-00001.jpg",   SWEEP_SEGMENT },
        { "storyboard/sheet-1.jpg",       SWEEP_NOT_OURS},
        { "storyboard/x/sheet-00001.jpg", SWEEP_NOT_OURS},
        { "video/720p/seg-00001.m4s",     SWEEP_SEGMENT },
        { "video/720p/seg-00001.vtt",     SWEEP_NOT_OURS},
        { "audio/aac/iframe.m3u8",        SWEEP_NOT_OURS},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (sweep_kind_of(rows[i].key) != rows[i].want)
            fail_msg("%s", rows[i].key);
}

/* ---- the engine ---- */

static json_t *receipt_of(const struct engine *e)
{
    char path[256];

    (void)snprintf(path, sizeof(path), "%s/out/job.json", e->farm->dir);
    json_t *j = json_load_file(path, 0, NULL);
    assert_non_null(j);
    return j;
}

/* Work on all tasks; the one of text fails, each time. Returns how often. */
static unsigned finish_without_text(struct engine *e, enum err_class cls)
{
    unsigned failed = 0;

    plan(e);
    for (int i = 0; i < 100 && status(e).state == JOB_RUNNING; i++) {
        struct task t;
        step(e);
        test_clock.ms += 10000;
        if (!take(e, &t))
            continue;
        if (t.kind == TASK_TEXT) {
            fail_task(e, &t, cls, "it is broken");
            failed++;
        } else {
            encode(e, &t);
        }
        task_release(&t);
    }
    step(e);
    return failed;
}

static void a_job_is_done_with_its_extras(void **state)
{
    struct engine e = { 0 };

    farm_add_text(*state);
    start(&e, state);
    submit(&e);
    finish(&e);
    assert_int_equal(e.encoded, TASKS + 1);
    assert_true(exists(&e, "text/sub-eng/index.m3u8") && exists(&e, "text/sub-eng/all.vtt"));
    json_t *j = receipt_of(&e);
    assert_int_equal(json_array_size(json_object_get(j, "extras")), 1);
    json_decref(j);
    stop(&e);
}

static void an_extra_that_fails_is_left_out_and_told(void **state)
{
    static const struct {
        enum err_class cls;
        unsigned attempts;
    } rows[] = {
        {ERR_CRASH,  ATTEMPTS},
        { ERR_INPUT, 1       }
    };

    farm_add_text(*state);
    for (size_t i = 0; i < 2; i++) {
        struct engine e = { 0 };
        struct job_request q;
        start(&e, state);
        q = request(&e);
        q.id = "j";
        assert_int_equal(dispatcher_submit(e.d, &q, NULL), 0);
        assert_int_equal(finish_without_text(&e, rows[i].cls), rows[i].attempts);
        assert_int_equal(status(&e).state, JOB_DONE);
        json_t *j = receipt_of(&e);
        assert_null(json_object_get(j, "extras"));
        assert_string_equal(json_string_value(json_array_get(json_object_get(j, "warnings"), 0)),
                            "subtitles are left out: it is broken");
        assert_int_equal(json_array_size(json_object_get(j, "engines")), 1);
        json_decref(j);
        assert_false(exists(&e, "text"));
        assert_int_equal(dispatcher_delete(e.d, "j", 1, NULL), 0);
        step(&e);
        stop(&e);
    }
}

static void what_was_left_out_can_be_asked_for_again(void **state)
{
    struct engine e = { 0 };

    farm_add_text(*state);
    start(&e, state);
    submit(&e);
    (void)finish_without_text(&e, ERR_INPUT);
    assert_int_equal(status(&e).state, JOB_DONE);
    unsigned before = e.encoded;
    assert_int_equal(dispatcher_requeue(e.d, "j", -1, "sub-eng", NULL), 0);
    finish(&e);
    assert_int_equal(e.encoded, before + 1);
    assert_true(exists(&e, "text/sub-eng/index.m3u8"));
    stop(&e);
}

static void early_playlists_do_not_wait_for_extras(void **state)
{
    struct engine e = { .cfg = { .early_playlists = 1 } };

    farm_add_text(*state);
    start(&e, state);
    submit(&e);
    plan(&e);
    for (int i = 0; i < 100 && !exists(&e, "master.m3u8"); i++) {
        struct task t;
        step(&e);
        test_clock.ms += 10000;
        if (!take(&e, &t))
            continue;
        if (t.kind != TASK_TEXT)
            encode(&e, &t);
        task_release(&t);
    }
    assert_true(exists(&e, "master.m3u8"));
    assert_int_equal(status(&e).state, JOB_RUNNING);
    stop(&e);
}

#define T(f) cmocka_unit_test_setup_teardown(f, farm_setup, farm_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(subtitles_are_named_in_every_manifest),
        cmocka_unit_test(names_that_are_equal_are_told_apart),
        cmocka_unit_test(a_package_without_an_extra_is_whole),
        cmocka_unit_test(the_receipt_has_every_object_of_an_extra),
        cmocka_unit_test(a_result_is_held_against_the_plan),
        cmocka_unit_test(only_names_of_ours_are_swept),
        T(a_job_is_done_with_its_extras),
        T(an_extra_that_fails_is_left_out_and_told),
        T(what_was_left_out_can_be_asked_for_again),
        T(early_playlists_do_not_wait_for_extras),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
