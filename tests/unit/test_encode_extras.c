/* The tasks of subtitles and pictures, as gopmill-child runs them: what is
 * handed out, what is told, and what spoils nothing. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "clip.h"
#include "common/base/err.h"
#include "common/media/probe.h"
#include "dispatcher/plan.h"
#include "inside_double.h"
#include "ladders/ladder.h"
#include "worker/encode.h"

#include <libavutil/log.h>

static const char yaml[] = "segment_seconds: 1\n"
                           "gop_seconds: 0.5\n"
                           "video: [{ name: v, codec: h264, size: 64, maxrate: 900k }]\n"
                           "poster: { size: 64 }\n"
                           "storyboard: { size: 32, every: 0.5, columns: 3, rows: 1 }\n";

struct job {
    struct clip clip;
    uint64_t size; /* of the source, where it is cut off */
    struct plan plan;
    struct task *tasks;
    size_t n;
};

static void plan_clip(struct job *j, const struct media_info *info, const struct media_index *idx)
{
    const struct plan_options opts = { .segment_seconds = 1, .gop_seconds = 0.5 };
    const struct task base = { .job = (char *)"j",
                               .source = (char *)"file:///clip",
                               .etag = (char *)"e",
                               .output = (char *)"file:///out" };
    struct rendition *list, *extras;
    struct ladder *l = NULL;
    struct err err = { 0 };
    size_t n, n_extras;

    if (ladder_parse(yaml, strlen(yaml), "l.yaml", &l, &err) < 0 ||
        ladder_resolve(l, info, &list, &n, &err) < 0 ||
        ladder_resolve_extras(l, info, list, n, &extras, &n_extras, &err) < 0 ||
        plan_make(info, idx, list, n, &opts, &j->plan, &err) < 0 ||
        plan_add_extras(&j->plan, idx, extras, n_extras, &err) < 0 ||
        plan_tasks(&j->plan, &base, &j->tasks, &j->n, &err) < 0)
        fail_msg("%s", err.text);
    rendition_list_free(extras, n_extras);
    rendition_list_free(list, n);
    ladder_free(l);
}

static void prepare(struct job *j, const struct clip_line *lines, size_t n_lines)
{
    const struct clip_spec spec = {
        .format = "matroska",
        .encoder = "libx264",
        .params = "preset=veryfast:bf=2",
        .rate = {25, 1},
        .frames = 75,
        .gop = 25,
        .lines = lines,
        .n_lines = n_lines
    };
    struct media_info info;
    struct media_index idx;
    struct err err = { 0 };

    *j = (struct job){ .clip = clip_make(&spec) };
    j->size = j->clip.size;
    struct inside in = { .data = j->clip.data, .size = j->size };
    if (media_probe(&in, &info, &idx, &err) < 0)
        fail_msg("%s", err.text);
    plan_clip(j, &info, &idx);
    media_index_release(&idx);
    media_info_release(&info);
}

static void release(struct job *j)
{
    for (size_t i = 0; i < j->n; i++)
        task_release(&j->tasks[i]);
    free(j->tasks);
    plan_release(&j->plan);
    free(j->clip.data);
}

static struct task *find_task(struct job *j, const char *id)
{
    for (size_t i = 0; i < j->n; i++)
        if (strcmp(j->tasks[i].id, id) == 0)
            return &j->tasks[i];
    fail_msg("no task %s", id);
    return NULL;
}

static int run(struct job *j, const char *id, struct inside *in, struct task_result *ret,
               struct err *err)
{
    json_t *json = task_to_json(find_task(j, id));
    char *text = json_dumps(json, 0), *result = NULL;

    *in = (struct inside){ .data = j->clip.data, .size = j->size };
    *ret = (struct task_result){ 0 };
    int r = encode_job(in, text, &result, err);
    if (r == 0 && task_result_from_text(result, strlen(result), ret, err) < 0)
        fail_msg("a result that can't be read: %s", err->text);
    free(result);
    free(text);
    json_decref(json);
    return r;
}

static void run_well(struct job *j, const char *id, struct inside *in, struct task_result *ret)
{
    struct err err = { 0 };

    if (run(j, id, in, ret, &err) < 0)
        fail_msg("%s", err.text);
}

static char *text_of(const struct inside *in, const char *key)
{
    const struct double_object *o = inside_double_find(in, key);

    if (!o)
        fail_msg("no object %s", key);
    char *text = malloc(o->size + 1);
    assert_non_null(text);
    memcpy(text, o->data, o->size);
    text[o->size] = '\0';
    return text;
}

static void text_is(const struct inside *in, const char *key, const char *want)
{
    char *text = text_of(in, key);

    assert_string_equal(text, want);
    free(text);
}

/* ---- subtitles ---- */

static void a_text_track_becomes_files_cut_where_video_is(void **state)
{
    static const struct clip_line lines[] = {
        {100,   500,   "one",         0},
        { 700,  800,   "<i>two</i>",  0},
        { 2900, 60000, "to the end",  0},
        { 3500, 500,   "never shown", 0},
    };
    struct task_result res;
    struct inside in;
    struct job j;

    (void)state;
    prepare(&j, lines, 4);
    run_well(&j, "t-0", &in, &res);
    assert_int_equal(res.n_warnings, 0);
    assert_int_equal(res.n_renditions, 1);
    const struct rendition_result *r = &res.renditions[0];
    assert_string_equal(r->name, "sub-eng");
    assert_int_equal(r->frames, 3);
    assert_int_equal(r->n_segments, 3);
    assert_int_equal(r->segments[0].frames, 2);
    assert_int_equal(r->segments[1].frames, 1);
    assert_int_equal(r->segments[2].start + r->segments[2].duration, j.plan.duration);
    assert_int_equal(in.n_objects, 4);
    text_is(&in, "text/sub-eng/seg-00002.vtt",
            "WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:0,LOCAL:00:00:00.000\n\n"
            "00:00:00.700 --> 00:00:01.500\n<i>two</i>\n\n");
    char *all = text_of(&in, "text/sub-eng/all.vtt");
    assert_non_null(strstr(all, "00:00:02.900 --> 00:00:03.000\nto the end\n"));
    assert_null(strstr(all, "never"));
    free(all);
    task_result_release(&res);
    inside_double_release(&in);
    release(&j);
}

static void lines_that_are_no_subtitles_spoil_no_others(void **state)
{
    char *huge = malloc(70000);
    memset(huge, 'x', 70000);
    const struct clip_line lines[] = {
        {100,   500, "good",              0    },
        { 200,  500, "\0\0\xff\xfe\x01{", 6    },
        { 300,  500, huge,                70000},
        { 400,  500, huge,                6000 },
        { 500,  500, "{\\p1}m 0 0 l 9 9", 0    },
        { 600,  500, " \n \n",            0    },
        { 1000, 0,   "without an end",    0    },
        { 2000, 500, "last",              0    },
    };
    struct task_result res;
    struct inside in;
    struct job j;

    (void)state;
    prepare(&j, lines, 8);
    run_well(&j, "t-0", &in, &res);
    assert_int_equal(res.n_renditions, 1);
    assert_int_equal(res.n_warnings, 2);
    assert_non_null(strstr(res.warnings[0], "can't be decoded"));
    assert_non_null(strstr(res.warnings[1], "1 cues of more than 4096 bytes"));
    char *all = text_of(&in, "text/sub-eng/all.vtt");
    assert_non_null(strstr(all, "\ngood\n"));
    assert_non_null(strstr(all, "00:00:01.000 --> 00:00:02.000\nwithout an end\n"));
    assert_non_null(strstr(all, "\nlast\n"));
    free(all);
    task_result_release(&res);
    inside_double_release(&in);
    release(&j);
    free(huge);
}

static void a_track_that_cannot_be_had_is_left_out_and_told(void **state)
{
    static const struct clip_line lines[] = {
        {100, 500, "good", 0}
    };
    static const struct clip_line late[] = {
        {9000, 500, "too late", 0}
    };
    struct task_result res;
    struct inside in;
    struct job j;

    (void)state;
    prepare(&j, lines, 1);
    struct task *t = find_task(&j, "t-0");
    t->renditions[0].text.stream = 77;
    run_well(&j, "t-0", &in, &res);
    assert_int_equal(res.n_renditions, 0);
    assert_int_equal(in.n_objects, 0);
    assert_string_equal(res.warnings[0], "subtitles sub-eng (stream 77, subrip) are left out: the "
                                         "source has no such stream any more");
    task_result_release(&res);
    inside_double_release(&in);
    t->renditions[0].text.stream = 0; /* which is video */
    run_well(&j, "t-0", &in, &res);
    assert_int_equal(res.n_renditions, 0);
    assert_int_equal(res.n_warnings, 1);
    task_result_release(&res);
    inside_double_release(&in);
    release(&j);
    prepare(&j, late, 1);
    run_well(&j, "t-0", &in, &res);
    assert_int_equal(res.n_renditions, 0);
    assert_non_null(strstr(res.warnings[0], "nothing of them is ever shown"));
    task_result_release(&res);
    inside_double_release(&in);
    release(&j);
}

/* ---- pictures ---- */

static void a_storyboard_has_a_tile_for_each_of_its_times(void **state)
{
    struct task_result res;
    struct inside in;
    struct job j;

    (void)state;
    prepare(&j, NULL, 0);
    run_well(&j, "p-0", &in, &res);
    assert_int_equal(res.n_renditions, 2);
    assert_int_equal(res.n_warnings, 0);
    const struct rendition_result *poster = &res.renditions[0], *r = &res.renditions[1];
    assert_string_equal(poster->init.key, "poster.jpg");
    assert_int_equal(poster->n_segments, 0);
    assert_int_equal(r->timescale, 1000);
    assert_int_equal(r->frames, 6);
    assert_int_equal(r->n_segments, 2);
    assert_int_equal(r->segments[1].start, 1500);
    assert_int_equal(r->segments[1].duration, 1500);
    assert_int_equal(in.n_objects, 4);
    char *index = text_of(&in, "storyboard/index.vtt");
    assert_memory_equal(
        index, "WEBVTT\n\n00:00:00.000 --> 00:00:00.500\nsheet-00001.jpg#xywh=0,0,",
        strlen("WEBVTT\n\n00:00:00.000 --> 00:00:00.500\nsheet-00001.jpg#xywh=0,0,"));
    assert_non_null(strstr(index, "\n\n00:00:02.500 --> 00:00:03.000\nsheet-00002.jpg#xywh="));
    free(index);
    const struct double_object *o = inside_double_find(&in, "poster.jpg");
    assert_memory_equal(o->data, "\xff\xd8\xff", 3);
    task_result_release(&res);
    inside_double_release(&in);
    release(&j);
}

static void what_is_cut_off_is_stood_in_for_or_left_out(void **state)
{
    static const struct clip_line lines[] = {
        {100, 500, "good", 0}
    };
    static const char *const ids[] = { "t-0", "p-0" };

    (void)state;
    for (unsigned part = 1; part < 20; part++) {
        struct job j;
        prepare(&j, lines, 1);
        j.size = j.clip.size * part / 20;
        for (size_t i = 0; i < 2; i++) {
            struct task_result res;
            struct inside in;
            struct err err = { 0 };
            if (run(&j, ids[i], &in, &res, &err) == 0)
                assert_true(res.n_renditions > 0 || res.n_warnings > 0);
            else
                assert_true(err.cls == ERR_INPUT && err.text[0]);
            task_result_release(&res);
            inside_double_release(&in);
        }
        release(&j);
    }
}

static void the_same_bytes_come_twice(void **state)
{
    struct task_result a, b;
    struct inside in, again;
    struct job j;

    (void)state;
    prepare(&j, NULL, 0);
    run_well(&j, "p-0", &in, &a);
    run_well(&j, "p-0", &again, &b);
    assert_int_equal(in.n_objects, again.n_objects);
    for (size_t i = 0; i < in.n_objects; i++) {
        assert_int_equal(in.objects[i].size, again.objects[i].size);
        assert_memory_equal(in.objects[i].data, again.objects[i].data, in.objects[i].size);
    }
    task_result_release(&a);
    task_result_release(&b);
    inside_double_release(&in);
    inside_double_release(&again);
    release(&j);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_text_track_becomes_files_cut_where_video_is),
        cmocka_unit_test(lines_that_are_no_subtitles_spoil_no_others),
        cmocka_unit_test(a_track_that_cannot_be_had_is_left_out_and_told),
        cmocka_unit_test(a_storyboard_has_a_tile_for_each_of_its_times),
        cmocka_unit_test(what_is_cut_off_is_stood_in_for_or_left_out),
        cmocka_unit_test(the_same_bytes_come_twice),
    };

    av_log_set_level(AV_LOG_QUIET);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
