/* Whole tasks, as gopmill-child runs them, on clips of two seconds: what is
 * handed out, what is told, and what is refused. */
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
#include "common/media/copy.h"
#include "common/media/probe.h"
#include "dispatcher/plan.h"
#include "dispatcher/plan_copy.h"
#include "inside_double.h"
#include "ladders/ladder.h"
#include "worker/encode.h"

#include <libavutil/intreadwrite.h>
#include <libavutil/log.h>

static const char ladder_yaml[] =
    "name: tiny\n"
    "description: for tests\n"
    "segment_seconds: 1\n"
    "gop_seconds: 0.5\n"
    "defaults:\n"
    "  h264: { encoder: libx264, preset: ultrafast, crf: 30, max_fps: 60 }\n"
    "video:\n"
    "  - { name: full, codec: h264, size: 360, maxrate: 900k }\n"
    "audio:\n"
    "  - { name: aac, codec: aac, bitrate: 64k }\n";

/* A clip and the tasks that a dispatcher would make of it. */
struct job {
    struct clip clip;
    uint64_t size; /* of the source, where it is cut off */
    struct media_info info;
    struct media_index idx;
    struct rendition *renditions;
    size_t n_renditions;
    struct plan plan;
    struct task *tasks; /* audio first */
    size_t n;
};

static const char copy_yaml[] =
    "name: tiny\n"
    "video:\n"
    "  - { name: full, codec: h264, size: 64, maxrate: 4M, copy: when-compatible }\n"
    "  - { name: half, codec: h264, size: 64, maxrate: 900k, preset: ultrafast }\n";

static void resolve(struct job *j, const char *yaml)
{
    struct ladder *l = NULL;
    struct err err = { 0 };

    if (ladder_parse(yaml, strlen(yaml), "tiny.yaml", &l, &err) < 0 ||
        ladder_resolve(l, &j->info, &j->renditions, &j->n_renditions, &err) < 0)
        fail_msg("%s", err.text);
    ladder_free(l);
}

/* As the planner does where nothing but a copy is asked for. */
static void make_copy(struct job *j, const struct plan_options *opts)
{
    struct inside in = { .data = j->clip.data, .size = j->size };
    struct copy_facts facts;
    struct err err = { 0 };
    size_t which;

    assert_int_equal(copy_sift(&j->info, &j->idx, j->renditions, j->n_renditions, opts, &which), 0);
    if (which != 0)
        fail_msg("%s", j->renditions[0].not_copied);
    assert_int_equal(media_copy_look(&in, &j->info, &j->idx, &facts, &err), 0);
    if (copy_fits(&facts, &j->info, &j->idx, opts, &j->renditions[0]) != 1)
        fail_msg("%s", j->renditions[0].not_copied);
    assert_int_equal(copy_make(&j->renditions[0]), 0);
}

static void prepare_with(struct job *j, const struct clip_spec *spec, unsigned chunks,
                         const char *yaml)
{
    const struct plan_options opts = { .segment_seconds = 1,
                                       .gop_seconds = 0.5,
                                       .chunk_count = chunks };
    const struct task base = { .job = (char *)"j",
                               .source = (char *)"file:///clip",
                               .etag = (char *)"e",
                               .output = (char *)"file:///out",
                               .attempt = 1 };
    struct err err = { 0 };

    *j = (struct job){ .clip = clip_make(spec) };
    j->size = j->clip.size;
    struct inside in = { .data = j->clip.data, .size = j->size };
    if (media_probe(&in, &j->info, &j->idx, &err) < 0)
        fail_msg("%s", err.text);
    resolve(j, yaml);
    if (yaml == copy_yaml)
        make_copy(j, &opts);
    if (plan_make(&j->info, &j->idx, j->renditions, j->n_renditions, &opts, &j->plan, &err) < 0 ||
        plan_tasks(&j->plan, &base, &j->tasks, &j->n, &err) < 0)
        fail_msg("%s", err.text);
}

static void prepare(struct job *j, const struct clip_spec *spec, unsigned chunks)
{
    prepare_with(j, spec, chunks, ladder_yaml);
}

static void release(struct job *j)
{
    for (size_t i = 0; i < j->n; i++)
        task_release(&j->tasks[i]);
    free(j->tasks);
    plan_release(&j->plan);
    rendition_list_free(j->renditions, j->n_renditions);
    media_index_release(&j->idx);
    media_info_release(&j->info);
    free(j->clip.data);
}

static struct clip_spec two_seconds(void)
{
    return (struct clip_spec){
        .format = "mp4",
        .options = "movflags=faststart",
        .encoder = "libx264",
        .params = "preset=veryfast:bf=2:b_strategy=0",
        .rate = {25, 1},
        .frames = 50,
        .gop = 25,
        .audio = "aac",
        .audio_seconds = 2
    };
}

/* The task of that id. */
static const struct task *find_task(const struct job *j, const char *id)
{
    for (size_t i = 0; i < j->n; i++)
        if (strcmp(j->tasks[i].id, id) == 0)
            return &j->tasks[i];
    fail_msg("no task %s", id);
    return NULL;
}

static int run_json(struct inside *in, json_t *request, struct task_result *ret, struct err *err)
{
    char *text = json_dumps(request, 0), *result = NULL;

    assert_non_null(text);
    int r = encode_job(in, text, &result, err);
    if (r == 0 && task_result_from_text(result, strlen(result), ret, err) < 0)
        fail_msg("a result that can't be read: %s", err->text);
    if (r < 0)
        assert_null(result);
    free(result);
    free(text);
    json_decref(request);
    return r;
}

static void run(const struct job *j, const char *id, struct inside *in, struct task_result *ret)
{
    struct err err = { 0 };

    *in = (struct inside){ .data = j->clip.data, .size = j->size };
    *ret = (struct task_result){ 0 };
    if (run_json(in, task_to_json(find_task(j, id)), ret, &err) < 0)
        fail_msg("%s: %s", id, err.text);
}

/* ---- what comes out ---- */

static void check_objects(const struct inside *in, const struct task_result *res, int with_init)
{
    size_t n = 0;

    for (size_t i = 0; i < res->n_renditions; i++) {
        const struct rendition_result *r = &res->renditions[i];
        const struct double_object *init = inside_double_find(in, r->init.key);

        assert_int_equal(init != NULL, with_init);
        if (init)
            assert_int_equal(init->size, r->init.size_bytes);
        n += with_init ? 1 : 0;
        for (size_t k = 0; k < r->n_segments; k++, n++) {
            const struct double_object *o = inside_double_find(in, r->segments[k].key);
            assert_non_null(o);
            assert_int_equal(o->size, r->segments[k].size_bytes);
        }
    }
    assert_int_equal(in->n_objects, n);
}

static void a_chunks_objects_are_those_that_its_result_names(void **state)
{
    struct clip_spec spec = two_seconds();
    struct task_result res;
    struct inside in;
    struct job j;

    (void)state;
    prepare(&j, &spec, 1);
    run(&j, "v-0000-0", &in, &res);
    assert_string_equal(res.job, "j");
    assert_string_equal(res.task, "v-0000-0");
    assert_int_equal(res.error.cls, ERR_NONE);
    assert_int_equal(res.frames_in, 50);
    assert_int_equal(res.frames_concealed, 0);
    assert_int_equal(res.n_warnings, 0);
    assert_int_equal(res.n_renditions, 1);
    const struct rendition_result *r = &res.renditions[0];
    assert_string_equal(r->name, "full");
    assert_int_equal(r->timescale, j.plan.timescale);
    assert_int_equal(r->frames, 50);
    assert_int_equal(r->n_segments, 2);
    assert_int_equal(r->segments[0].start, 0);
    assert_int_equal(r->segments[0].duration, j.plan.timescale);
    assert_int_equal(r->segments[1].start + r->segments[1].duration, 2 * j.plan.timescale);
    assert_int_equal(r->segments[0].n_gops, 2);
    assert_memory_equal(r->codecs, "avc1.", 5);
    check_objects(&in, &res, 1);
    assert_int_equal(in.progress, 50);
    task_result_release(&res);
    inside_double_release(&in);
    release(&j);
}

static void the_same_task_gives_the_same_bytes(void **state)
{
    static const char *const ids[] = { "v-0000-0", "a-0" };
    struct clip_spec spec = two_seconds();
    struct job j;

    (void)state;
    prepare(&j, &spec, 1);
    for (size_t t = 0; t < 2; t++) {
        struct task_result a, b;
        struct inside x, y;

        run(&j, ids[t], &x, &a);
        run(&j, ids[t], &y, &b);
        assert_int_equal(x.n_objects, y.n_objects);
        for (size_t i = 0; i < x.n_objects; i++) {
            assert_string_equal(x.objects[i].name, y.objects[i].name);
            assert_int_equal(x.objects[i].size, y.objects[i].size);
            assert_memory_equal(x.objects[i].data, y.objects[i].data, x.objects[i].size);
        }
        assert_string_equal(a.renditions[0].init.sha256, b.renditions[0].init.sha256);
        assert_string_equal(a.engine, b.engine);
        task_result_release(&a);
        task_result_release(&b);
        inside_double_release(&x);
        inside_double_release(&y);
    }
    release(&j);
}

/* A phone's frames: 33 and 34 ms by turns, and now and then one missing. */
static void fill_phone_times(int64_t t[50])
{
    t[0] = 0;
    for (int i = 1; i < 50; i++)
        t[i] = t[i - 1] + (i % 7 == 0 ? 67 : 33 + i % 2);
}

static const struct split {
    const char *name, *format;
    int gop, phone;
} splits[] = {
    {"MP4, at keyframes",         "mp4",      25, 0},
    { "MP4, anywhere",            "mp4",      50, 0},
    { "MP4, variable frame rate", "mp4",      20, 1},
    { "Matroska, anywhere",       "matroska", 50, 0},
    { "Matroska, variable rate",  "matroska", 20, 1},
    { "MPEG-TS, anywhere",        "mpegts",   10, 0},
    { "FLV, anywhere",            "flv",      10, 0},
};

/* Each segment begins where the one before ended, within chunks and between
 * them, and all frames are there once. */
static void check_split(const struct job *j)
{
    uint64_t frames = 0;
    int64_t next = 0;
    unsigned number = 1;
    char init[65] = "";

    for (unsigned c = 0; c < j->plan.n_chunks; c++) {
        char id[32];
        struct task_result res;
        struct inside in;

        (void)snprintf(id, sizeof(id), "v-%04u-0", c);
        run(j, id, &in, &res);
        const struct rendition_result *r = &res.renditions[0];
        frames += r->frames;
        for (size_t i = 0; i < r->n_segments; i++) {
            assert_int_equal(r->segments[i].number, number++);
            assert_int_equal(r->segments[i].start, next);
            next += r->segments[i].duration;
        }
        if (c > 0)
            assert_string_equal(r->init.sha256, init);
        memcpy(init, r->init.sha256, sizeof(init));
        assert_int_equal(res.frames_concealed, 0);
        assert_int_equal(res.n_warnings, 0);
        check_objects(&in, &res, c == 0);
        task_result_release(&res);
        inside_double_release(&in);
    }
    assert_int_equal(frames, 50);
    assert_int_equal(
        next, plan_ticks(j->info.video.end, j->plan.origin, j->info.video.tb, j->plan.timescale));
}

static void chunks_share_frames_times_and_numbers_without_a_gap(void **state)
{
    int64_t times[50];

    (void)state;
    fill_phone_times(times);
    for (size_t i = 0; i < sizeof(splits) / sizeof(*splits); i++) {
        struct clip_spec spec = two_seconds();
        struct job j;

        print_message("# %s\n", splits[i].name);
        spec.format = splits[i].format;
        spec.options = NULL;
        spec.gop = splits[i].gop;
        spec.times = splits[i].phone ? times : NULL;
        spec.audio = NULL;
        prepare(&j, &spec, 2);
        assert_int_equal(j.info.video.vfr, splits[i].phone);
        assert_int_equal(j.plan.n_chunks, 2);
        check_split(&j);
        release(&j);
    }
}

static const char *const copied_formats[] = { "mp4", "matroska", "mpegts" };

static void a_copy_has_all_frames_beside_those_that_are_encoded(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(copied_formats) / sizeof(*copied_formats); i++) {
        struct clip_spec spec = two_seconds();
        struct job j;

        print_message("# %s\n", copied_formats[i]);
        spec.format = copied_formats[i];
        spec.options = NULL;
        spec.gop = 10;
        spec.audio = NULL;
        prepare_with(&j, &spec, 2, copy_yaml);
        assert_int_equal(j.plan.renditions[0].copy, 1);
        assert_int_equal(j.plan.n_chunks, 2);
        check_split(&j);
        release(&j);
    }
}

/* Then the decoder isn't even opened, and pictures that can't be decoded go
 * through as they are. */
static void a_copy_alone_needs_no_decoder(void **state)
{
    struct clip_spec spec = two_seconds();
    struct task_result whole, res;
    struct inside in, alone;
    struct job j;

    (void)state;
    spec.audio = NULL;
    prepare_with(&j, &spec, 1, copy_yaml);
    run(&j, "v-0000-0", &in, &whole);
    j.tasks[0].only = strdup("full");
    const struct index_packet *p = &j.idx.packets[10];
    memset(j.clip.data + p->pos + p->size / 2, 0x55, p->size / 2);
    run(&j, "v-0000-0", &alone, &res);
    assert_int_equal(res.n_renditions, 1);
    assert_int_equal(res.frames_in, 50);
    assert_int_equal(res.n_warnings, 0);
    assert_string_equal(res.renditions[0].codecs, whole.renditions[0].codecs);
    assert_int_equal(res.renditions[0].segments[0].size_bytes,
                     whole.renditions[0].segments[0].size_bytes);
    task_result_release(&whole);
    task_result_release(&res);
    inside_double_release(&in);
    inside_double_release(&alone);
    release(&j);
}

static void a_frame_rate_cap_halves_the_frames(void **state)
{
    struct clip_spec spec = two_seconds();
    struct task_result res;
    struct inside in;
    struct job j;

    (void)state;
    spec.rate = (AVRational){ 120, 1 };
    spec.frames = 240;
    spec.gop = 60;
    prepare(&j, &spec, 1);
    run(&j, "v-0000-0", &in, &res);
    assert_int_equal(res.frames_in, 240);
    assert_int_equal(res.renditions[0].frames, 120);
    assert_int_equal(res.renditions[0].segments[0].duration, j.plan.timescale);
    task_result_release(&res);
    inside_double_release(&in);
    release(&j);
}

static void sound_covers_the_timeline(void **state)
{
    struct clip_spec spec = two_seconds();
    struct task_result res;
    struct inside in;
    struct job j;

    (void)state;
    prepare(&j, &spec, 1);
    run(&j, "a-0", &in, &res);
    const struct rendition_result *r = &res.renditions[0];
    const struct segment *last = &r->segments[r->n_segments - 1];
    assert_string_equal(r->name, "aac");
    assert_string_equal(r->codecs, "mp4a.40.2");
    assert_int_equal(r->timescale, 48000);
    assert_int_equal(r->priming, 1024);
    assert_int_equal(r->n_segments, 2);
    assert_true(last->start + last->duration >= 96000);
    assert_int_equal(res.n_warnings, 0);
    check_objects(&in, &res, 1);
    task_result_release(&res);
    inside_double_release(&in);
    release(&j);
}

/* ---- damage ---- */

/* Spoil the part of the samples from `from` to `to` percent: cut it off, or
 * overwrite it. */
static const struct damage {
    const char *name;
    int cut;
    unsigned from, to;
    uint64_t concealed_min;
    const char *says;
} damages[] = {
    {"cut off in the middle", 1, 60, 100, 5, "can't be decoded"},
    { "zeros in the middle",  0, 40, 80,  1, "can't be decoded"},
    { "zeros at the start",   0, 0,  20,  1, "can't be decoded"},
};

static size_t find_mdat(const struct clip *c)
{
    size_t at = 0;

    while (memcmp(c->data + at + 4, "mdat", 4) != 0)
        at += AV_RB32(c->data + at);
    return at + 8;
}

static void spoil(struct job *j, const struct damage *d)
{
    size_t mdat = find_mdat(&j->clip), n = j->clip.size - mdat;

    if (d->cut)
        j->size = mdat + n * d->from / 100;
    else
        memset(j->clip.data + mdat + n * d->from / 100, 0, n * (d->to - d->from) / 100);
}

static void frames_that_are_lost_are_stood_in_for_and_told(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(damages) / sizeof(*damages); i++) {
        const struct damage *d = &damages[i];
        struct clip_spec spec = two_seconds();
        struct task_result res;
        struct inside in;
        struct job j;

        print_message("# %s\n", d->name);
        spec.audio = NULL;
        prepare(&j, &spec, 1);
        spoil(&j, d);
        run(&j, "v-0000-0", &in, &res);
        if (res.frames_concealed < d->concealed_min)
            fail_msg("%s: %llu frames concealed", d->name,
                     (unsigned long long)res.frames_concealed);
        assert_int_equal(res.frames_in + res.frames_concealed, 50);
        assert_int_equal(res.renditions[0].frames, 50);
        assert_true(res.n_warnings > 0);
        assert_non_null(strstr(res.warnings[0], d->says));
        check_objects(&in, &res, 1);
        task_result_release(&res);
        inside_double_release(&in);
        release(&j);
    }
}

static const struct damage ruins[] = {
    {"all zeros",    0, 0, 100, 0, "not one frame"     },
    { "all cut off", 1, 0, 100, 0, "not found any more"},
};

static void a_chunk_of_which_nothing_can_be_decoded_fails(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(ruins) / sizeof(*ruins); i++) {
        struct clip_spec spec = two_seconds();
        struct task_result res;
        struct err err = { 0 };
        struct job j;

        print_message("# %s\n", ruins[i].name);
        spec.audio = NULL;
        prepare(&j, &spec, 1);
        spoil(&j, &ruins[i]);
        struct inside in = { .data = j.clip.data, .size = j.size };
        assert_true(run_json(&in, task_to_json(find_task(&j, "v-0000-0")), &res, &err) < 0);
        if (err.cls != ERR_INPUT || !strstr(err.text, ruins[i].says))
            fail_msg("%s: %s: %s", ruins[i].name, err_class_name(err.cls), err.text);
        assert_int_equal(in.n_objects, 0);
        inside_double_release(&in);
        release(&j);
    }
}

/* ---- what is refused ---- */

static json_t *first_rendition(json_t *task)
{
    return json_array_get(json_object_get(task, "renditions"), 0);
}

static void add_param(json_t *task)
{
    json_array_append_new(json_object_get(first_rendition(task), "params"),
                          json_pack("{ssss}", "key", "no-such-knob", "value", "1"));
}

static void wrong_param(json_t *task)
{
    json_array_append_new(json_object_get(first_rendition(task), "params"),
                          json_pack("{ssss}", "key", "preset", "value", "hurried"));
}

static void other_encoder(json_t *task)
{
    json_object_set_new(first_rendition(task), "encoder", json_string("libnothing"));
}

static void other_stream(json_t *task)
{
    json_t *info = json_object_get(task, "info");

    json_object_set_new(json_object_get(info, "video"), "stream", json_integer(7));
    json_object_set_new(json_object_get(info, "audio"), "stream", json_integer(7));
}

static void other_seek(json_t *task)
{
    json_t *chunk = json_object_get(task, "chunk"), *pos = json_object_get(chunk, "seek_pos");

    assert_true(json_is_integer(pos));
    json_object_set_new(chunk, "seek_pos", json_integer(json_integer_value(pos) + 1));
}

static const struct refusal {
    const char *name, *id;
    void (*spoil)(json_t *task);
    enum err_class cls;
    const char *says;
} refusals[] = {
    {"a parameter nobody knows",   "v-0000-0", add_param,     ERR_UNSUPPORTED, "no-such-knob"      },
    { "one for sound",             "a-0",      add_param,     ERR_UNSUPPORTED, "no-such-knob"      },
    { "a value nobody knows",      "v-0000-0", wrong_param,   ERR_UNSUPPORTED, "rendition full"    },
    { "an encoder nobody has",     "v-0000-0", other_encoder, ERR_UNSUPPORTED, "libnothing"        },
    { "a stream that isn't there", "v-0000-0", other_stream,  ERR_INPUT,       "no stream 7"       },
    { "one for sound",             "a-0",      other_stream,  ERR_INPUT,       "no stream 7"       },
    { "a packet that isn't there", "v-0000-0", other_seek,    ERR_INPUT,       "not found any more"},
};

static void what_a_child_cannot_do_it_refuses_by_name(void **state)
{
    struct clip_spec spec = two_seconds();
    struct job j;

    (void)state;
    prepare(&j, &spec, 1);
    for (size_t i = 0; i < sizeof(refusals) / sizeof(*refusals); i++) {
        const struct refusal *w = &refusals[i];
        struct inside in = { .data = j.clip.data, .size = j.size };
        struct task_result res;
        struct err err = { 0 };
        json_t *request = task_to_json(find_task(&j, w->id));

        print_message("# %s\n", w->name);
        w->spoil(request);
        assert_true(run_json(&in, request, &res, &err) < 0);
        if (err.cls != w->cls || !strstr(err.text, w->says))
            fail_msg("%s: %s: %s", w->name, err_class_name(err.cls), err.text);
        assert_int_equal(in.n_objects, 0);
        inside_double_release(&in);
    }
    release(&j);
}

static void what_the_store_refuses_is_not_the_inputs_fault(void **state)
{
    struct clip_spec spec = two_seconds();
    struct task_result res;
    struct err err = { 0 };
    struct job j;

    (void)state;
    prepare(&j, &spec, 1);
    struct inside in = { .data = j.clip.data, .size = j.size, .fail_from = 1000 };
    assert_true(run_json(&in, task_to_json(find_task(&j, "v-0000-0")), &res, &err) < 0);
    assert_int_equal(err.cls, ERR_STORAGE);
    inside_double_release(&in);
    release(&j);
}

static void a_request_that_is_no_task_is_refused(void **state)
{
    static const char *const requests[] = { "", "{", "[]", "{\"v\":1}", "{\"v\":99}" };

    (void)state;
    for (size_t i = 0; i < sizeof(requests) / sizeof(*requests); i++) {
        struct inside in = { 0 };
        struct err err = { 0 };
        char *result = NULL;

        assert_true(encode_job(&in, requests[i], &result, &err) < 0);
        assert_int_not_equal(err.cls, ERR_NONE);
        assert_null(result);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_chunks_objects_are_those_that_its_result_names),
        cmocka_unit_test(the_same_task_gives_the_same_bytes),
        cmocka_unit_test(chunks_share_frames_times_and_numbers_without_a_gap),
        cmocka_unit_test(a_copy_has_all_frames_beside_those_that_are_encoded),
        cmocka_unit_test(a_copy_alone_needs_no_decoder),
        cmocka_unit_test(a_frame_rate_cap_halves_the_frames),
        cmocka_unit_test(sound_covers_the_timeline),
        cmocka_unit_test(frames_that_are_lost_are_stood_in_for_and_told),
        cmocka_unit_test(a_chunk_of_which_nothing_can_be_decoded_fails),
        cmocka_unit_test(what_a_child_cannot_do_it_refuses_by_name),
        cmocka_unit_test(what_the_store_refuses_is_not_the_inputs_fault),
        cmocka_unit_test(a_request_that_is_no_task_is_refused),
    };

    av_log_set_level(AV_LOG_QUIET);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
