#include "result.h"
#include "../base/redact.h"
#include "fields.h"
#include "parts.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

void rendition_result_release(struct rendition_result *r)
{
    for (size_t i = 0; i < r->n_segments; i++) {
        free(r->segments[i].key);
        free(r->segments[i].gops);
    }
    free(r->segments);
    free(r->init.key);
    free(r->codecs);
    free(r->name);
    memset(r, 0, sizeof(*r));
}

void task_result_release(struct task_result *r)
{
    for (size_t i = 0; i < r->n_renditions; i++)
        rendition_result_release(&r->renditions[i]);
    free(r->renditions);
    texts_free(r->warnings, r->n_warnings);
    free(r->job);
    free(r->task);
    free(r->engine);
    free(r->worker);
    free(r->etag);
    memset(r, 0, sizeof(*r));
}

static json_t *segment_to_json(const void *item)
{
    const struct segment *s = item;
    struct out o = out_new();
    json_t *gops = json_array();

    out_int(&o, "number", s->number);
    out_text(&o, "key", s->key);
    out_int(&o, "size_bytes", (int64_t)s->size_bytes);
    out_text(&o, "sha256", s->sha256);
    out_text(&o, "md5", s->md5);
    out_int(&o, "start", s->start);
    out_int(&o, "duration", s->duration);
    out_int(&o, "frames", (int64_t)s->frames);
    for (size_t i = 0; i < s->n_gops; i++) {
        const struct gop_range *g = &s->gops[i];
        json_t *j = json_pack("[I,I,I,I]", (json_int_t)g->offset, (json_int_t)g->size_bytes,
                              (json_int_t)g->start, (json_int_t)g->duration);
        o.bad |= json_array_append_new(gops, j) < 0;
    }
    out_put(&o, "gops", gops);
    return out_done(&o);
}

static json_t *init_to_json(const struct rendition_result *r)
{
    struct out o = out_new();

    out_text(&o, "key", r->init.key);
    out_int(&o, "size_bytes", (int64_t)r->init.size_bytes);
    out_text(&o, "sha256", r->init.sha256);
    out_text(&o, "md5", r->init.md5);
    return out_done(&o);
}

static json_t *loudness_to_json(const struct loudness *l)
{
    struct out o = out_new();

    out_double(&o, "integrated", l->integrated);
    out_double(&o, "true_peak", l->true_peak);
    out_double(&o, "gain", l->gain);
    return out_done(&o);
}

static json_t *rendition_result_to_json(const void *item)
{
    const struct rendition_result *r = item;
    struct out o = out_new();

    out_text(&o, "name", r->name);
    out_int(&o, "timescale", r->timescale);
    out_text(&o, "codecs", r->codecs);
    out_put(&o, "init", init_to_json(r));
    out_list(&o, "segments", r->segments, r->n_segments, sizeof(*r->segments), segment_to_json);
    out_int(&o, "frames", (int64_t)r->frames);
    out_int(&o, "priming", r->priming);
    if (r->loudness.known)
        out_put(&o, "loudness", loudness_to_json(&r->loudness));
    return out_done(&o);
}

static json_t *error_to_json(const struct err *e)
{
    struct out o = out_new();

    out_text(&o, "class", err_class_name(e->cls));
    out_text(&o, "text", e->text);
    return out_done(&o);
}

json_t *task_result_to_json(const struct task_result *r)
{
    struct out o = out_new();

    out_int(&o, "v", WIRE_VERSION);
    out_text(&o, "job", r->job);
    out_text(&o, "task", r->task);
    out_int(&o, "attempt", r->attempt);
    out_text(&o, "etag", r->etag);
    if (r->error.cls != ERR_NONE)
        out_put(&o, "error", error_to_json(&r->error));
    out_list(&o, "renditions", r->renditions, r->n_renditions, sizeof(*r->renditions),
             rendition_result_to_json);
    out_int(&o, "frames_in", (int64_t)r->frames_in);
    out_int(&o, "frames_concealed", (int64_t)r->frames_concealed);
    out_texts(&o, "warnings", r->warnings, r->n_warnings);
    out_double(&o, "cpu_s", r->cpu_s);
    out_double(&o, "wall_s", r->wall_s);
    out_double(&o, "first_frame_s", r->first_frame_s);
    out_int(&o, "peak_bytes", (int64_t)r->peak_bytes);
    out_int(&o, "bytes_read", (int64_t)r->bytes_read);
    out_text(&o, "engine", r->engine);
    out_text(&o, "worker", r->worker);
    return out_done(&o);
}

/* The key follows from kind, name and number: nothing else may be named. */
static char *key_read(const struct in *o, const char *rendition, unsigned number)
{
    struct in f = in_field(o, "key");
    char *key = in_text_at(&f, 2 * NAME_LEN_MAX, CHARS_TEXT);
    int known = 0;

    for (int kind = MEDIA_VIDEO; key && rendition && kind <= MEDIA_STORYBOARD; kind++) {
        char *want = segment_key((enum media_kind)kind, rendition, number);
        if (!want && kind != MEDIA_POSTER) /* which has no segments */
            in_oom(&f);
        known |= want && strcmp(key, want) == 0;
        free(want);
    }
    if (!known)
        in_fail(&f, "'%.64s' is not a key of this rendition", key ? key : "");
    return key;
}

static void digest_read(const struct in *o, const char *name, char *ret, size_t size)
{
    in_buf(o, name, ret, size, CHARS_HEX);
    if (in_ok(o) && strlen(ret) != size - 1) {
        struct in f = in_field(o, name);
        in_fail(&f, "must be %zu hex digits", size - 1);
    }
}

static void gop_read(const struct in *v, const struct segment *s, struct gop_range *g)
{
    if (!json_is_array(v->j) || json_array_size(v->j) != 4) {
        in_fail(v, "must be [offset, size, start, duration]");
        return;
    }
    struct in offset = in_at(v, 0), size = in_at(v, 1), start = in_at(v, 2), dur = in_at(v, 3);
    g->offset = (uint64_t)in_number(&offset, 0, (int64_t)s->size_bytes);
    g->size_bytes = (uint64_t)in_number(&size, 1, (int64_t)(s->size_bytes - g->offset));
    g->start = in_number(&start, s->start, s->start + s->duration);
    g->duration = in_number(&dur, 1, s->start + s->duration - g->start);
}

static void gops_read(const struct in *o, struct segment *s)
{
    size_t n;
    struct in a = in_array(o, "gops", ARRAY_MAX, &n);

    s->gops = in_calloc(&a, n, sizeof(*s->gops));
    s->n_gops = s->gops ? n : 0;
    for (size_t i = 0; i < s->n_gops && in_ok(o); i++) {
        struct in e = in_at(&a, i);
        gop_read(&e, s, &s->gops[i]);
        if (i > 0 && s->gops[i].start < s->gops[i - 1].start + s->gops[i - 1].duration)
            in_fail(&e, "overlaps the one before");
    }
}

/* The least number of what a segment holds: of text there may be none. */
static int frames_least(const char *key)
{
    return key && strncmp(key, "text/", 5) == 0 ? 0 : 1;
}

static void segment_read(const struct in *v, const char *rendition, struct segment *s)
{
    in_is_object(v);
    s->number = (unsigned)in_int(v, "number", 1, INT32_MAX);
    s->key = key_read(v, rendition, s->number);
    s->size_bytes = (uint64_t)in_int(v, "size_bytes", 1, SIZE_LIMIT);
    digest_read(v, "sha256", s->sha256, sizeof(s->sha256));
    digest_read(v, "md5", s->md5, sizeof(s->md5));
    s->start = in_int(v, "start", 0, TIME_LIMIT);
    s->duration = in_int(v, "duration", 1, TIME_LIMIT);
    s->frames = (uint64_t)in_int(v, "frames", frames_least(s->key), COUNT_LIMIT);
    gops_read(v, s);
}

static void segments_read(const struct in *o, struct rendition_result *r)
{
    size_t n;
    struct in a = in_array(o, "segments", ARRAY_MAX, &n);

    if (n == 0 && !(r->init.key && strcmp(r->init.key, "poster.jpg") == 0))
        in_fail(&a, "must not be empty");
    r->segments = in_calloc(&a, n, sizeof(*r->segments));
    r->n_segments = r->segments ? n : 0;
    for (size_t i = 0; i < r->n_segments && in_ok(o); i++) {
        struct in e = in_at(&a, i), number = in_field(&e, "number"), start = in_field(&e, "start");
        segment_read(&e, r->name, &r->segments[i]);
        if (i == 0 || !in_ok(o))
            continue;
        const struct segment *s = &r->segments[i], *prev = s - 1;
        if (s->number != prev->number + 1)
            in_fail(&number, "%u does not follow %u", s->number, prev->number);
        else if (s->start != prev->start + prev->duration)
            in_fail(&start, "%" PRId64 " is not where the one before ended, %" PRId64, s->start,
                    prev->start + prev->duration);
    }
}

static void loudness_read(const struct in *o, struct loudness *l)
{
    struct in v = in_field(o, "loudness");

    if (!v.j)
        return;
    in_is_object(&v);
    l->known = 1;
    l->integrated = in_double(&v, "integrated", -70, 100);
    l->true_peak = in_double(&v, "true_peak", -120, 100);
    l->gain = in_double(&v, "gain", -200, 200);
}

static void rendition_result_read(const struct in *v, struct rendition_result *r)
{
    struct in init;

    in_is_object(v);
    r->name = in_text(v, "name", NAME_LEN_MAX, CHARS_NAME);
    r->timescale = (uint32_t)in_int(v, "timescale", 1, INT32_MAX);
    r->codecs = in_text(v, "codecs", NAME_LEN_MAX, CHARS_TOKEN);
    init = in_object(v, "init");
    r->init.key = key_read(&init, r->name, 0);
    r->init.size_bytes = (uint64_t)in_int(&init, "size_bytes", 1, SIZE_LIMIT);
    digest_read(&init, "sha256", r->init.sha256, sizeof(r->init.sha256));
    digest_read(&init, "md5", r->init.md5, sizeof(r->init.md5));
    segments_read(v, r);
    r->frames = (uint64_t)in_int(v, "frames", frames_least(r->init.key), COUNT_LIMIT);
    r->priming = in_int(v, "priming", 0, INT32_MAX);
    loudness_read(v, &r->loudness);
}

static void renditions_results_read(const struct in *top, struct task_result *r)
{
    size_t n;
    struct in a = in_array(top, "renditions", RENDITIONS_MAX, &n);

    if (n == 0 && r->error.cls == ERR_NONE &&
        !(r->task && task_kind_is_extra(task_kind_by_id(r->task))))
        in_fail(&a, "must not be empty in a result without an error");
    r->renditions = in_calloc(&a, n, sizeof(*r->renditions));
    r->n_renditions = r->renditions ? n : 0;
    for (size_t i = 0; i < r->n_renditions && in_ok(top); i++) {
        struct in e = in_at(&a, i);
        rendition_result_read(&e, &r->renditions[i]);
    }
}

static void error_read(const struct in *top, struct err *ret)
{
    struct in f = in_field(top, "error");
    char *name;

    if (!f.j)
        return;
    in_is_object(&f);
    name = in_text(&f, "class", NAME_LEN_MAX, CHARS_NAME);
    in_buf(&f, "text", ret->text, sizeof(ret->text), CHARS_TEXT);
    redact_urls(ret->text); /* it may come from an older worker */
    if (name)
        ret->cls = err_class_parse(name);
    /* "none" as the class of an error would make a failure a success. */
    if (ret->cls == ERR_NONE)
        ret->cls = ERR_INTERNAL;
    free(name);
}

int task_result_from_json(const json_t *j, struct task_result *ret, struct err *err)
{
    struct in_state state;
    struct in top = in_top(&state, "result", j, err);
    struct task_result r = { 0 };

    in_version(&top);
    r.job = in_text(&top, "job", 256, CHARS_TEXT);
    r.task = in_text(&top, "task", NAME_LEN_MAX - 1, CHARS_NAME);
    r.attempt = (unsigned)in_int(&top, "attempt", 1, 1000000);
    struct in etag = in_field(&top, "etag");
    if (etag.j)
        r.etag = in_text_at(&etag, 256, CHARS_TEXT);
    error_read(&top, &r.error);
    renditions_results_read(&top, &r);
    r.frames_in = (uint64_t)in_int(&top, "frames_in", 0, COUNT_LIMIT);
    r.frames_concealed = (uint64_t)in_int(&top, "frames_concealed", 0, COUNT_LIMIT);
    r.warnings = in_texts(&top, "warnings", &r.n_warnings);
    r.cpu_s = in_double(&top, "cpu_s", 0, 1e9);
    r.wall_s = in_double(&top, "wall_s", 0, 1e9);
    r.first_frame_s = in_double(&top, "first_frame_s", 0, 1e9);
    r.peak_bytes = (uint64_t)in_int(&top, "peak_bytes", 0, SIZE_LIMIT);
    r.bytes_read = (uint64_t)in_int(&top, "bytes_read", 0, SIZE_LIMIT);
    r.engine = in_text(&top, "engine", 1024, CHARS_TEXT);
    r.worker = in_text(&top, "worker", 256, CHARS_TEXT);
    if (state.r < 0) {
        task_result_release(&r);
        return state.r;
    }
    *ret = r;
    return 0;
}

int task_result_from_text(const char *text, size_t len, struct task_result *ret, struct err *err)
{
    json_t *j;
    int r = wire_parse("result", text, len, &j, err);

    if (r < 0)
        return r;
    r = task_result_from_json(j, ret, err);
    json_decref(j);
    return r;
}
