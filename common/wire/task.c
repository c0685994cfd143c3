#include "task.h"
#include "fields.h"
#include "parts.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const kind_names[] = { [TASK_VIDEO] = "video",
                                          [TASK_AUDIO] = "audio",
                                          [TASK_TEXT] = "text",
                                          [TASK_PICTURES] = "pictures" };

void task_release(struct task *t)
{
    free(t->job);
    free(t->id);
    free(t->source);
    free(t->etag);
    free(t->output);
    free(t->video_codec_hint);
    free(t->only);
    for (size_t i = 0; i < t->n_avoid; i++)
        free(t->avoid[i]);
    rendition_list_free(t->renditions, t->n_renditions);
    media_info_release(&t->info);
    chunk_release(&t->chunk);
    free(t->audio_cuts);
    memset(t, 0, sizeof(*t));
}

json_t *task_to_json(const struct task *t)
{
    struct out o = out_new();

    out_int(&o, "v", WIRE_VERSION);
    out_text(&o, "job", t->job);
    out_text(&o, "id", t->id);
    out_text(&o, "kind", kind_names[t->kind]);
    out_int(&o, "attempt", t->attempt);
    out_text(&o, "source", t->source);
    out_text(&o, "etag", t->etag);
    out_text(&o, "output", t->output);
    out_text(&o, "video_codec_hint", t->video_codec_hint);
    out_list(&o, "renditions", t->renditions, t->n_renditions, sizeof(*t->renditions),
             rendition_item_to_json);
    if (t->only)
        out_text(&o, "only", t->only);
    if (t->n_avoid > 0)
        out_texts(&o, "avoid", t->avoid, t->n_avoid);
    out_put(&o, "info", media_info_to_json(&t->info));
    out_int(&o, "origin", t->origin);
    out_int(&o, "timescale", t->timescale);
    if (t->kind == TASK_VIDEO) {
        out_int(&o, "group", t->group);
        out_put(&o, "chunk", chunk_to_json(&t->chunk));
    } else {
        if (t->kind != TASK_PICTURES)
            out_times(&o, "audio_cuts", t->audio_cuts, t->n_audio_cuts);
        out_int(&o, "timeline_end", t->timeline_end);
    }
    out_double(&o, "cost", t->cost);
    out_int(&o, "memory_bytes", (int64_t)t->memory_bytes);
    out_int(&o, "deadline_ms", t->deadline_ms);
    out_int(&o, "stall_ms", t->stall_ms);
    return out_done(&o);
}

static void names_read(const struct in *top, struct task *t)
{
    struct in hint = in_field(top, "video_codec_hint");

    t->job = in_text(top, "job", 256, CHARS_TEXT);
    t->id = in_text(top, "id", NAME_LEN_MAX - 1, CHARS_NAME);
    t->kind = (enum task_kind)in_enum(top, "kind", kind_names, TASK_PICTURES + 1);
    t->attempt = (unsigned)in_int(top, "attempt", 1, 1000000);
    t->source = in_text(top, "source", URL_LEN_MAX, CHARS_TEXT);
    t->etag = in_text(top, "etag", 256, CHARS_TEXT);
    t->output = in_text(top, "output", URL_LEN_MAX, CHARS_TEXT);
    if (hint.j)
        t->video_codec_hint = in_text_at(&hint, NAME_LEN_MAX, CHARS_TEXT);
}

enum task_kind task_kind_of(enum media_kind kind)
{
    switch (kind) {
    case MEDIA_VIDEO:
        return TASK_VIDEO;
    case MEDIA_AUDIO:
        return TASK_AUDIO;
    case MEDIA_TEXT:
        return TASK_TEXT;
    default:
        return TASK_PICTURES;
    }
}

enum task_kind task_kind_by_id(const char *id)
{
    switch (id[0]) {
    case 'a':
        return TASK_AUDIO;
    case 't':
        return TASK_TEXT;
    case 'p':
        return TASK_PICTURES;
    default:
        return TASK_VIDEO;
    }
}

/* Whether the source has what the task reads; texts say which stream each is. */
static int has_stream(const struct task *t)
{
    return (t->kind == TASK_AUDIO ? t->info.audio.stream : t->info.video.stream) >= 0;
}

/* A task has renditions of its kind, and the source such a stream. */
static void renditions_check(const struct in *top, const struct task *t)
{
    struct in a = in_field(top, "renditions");

    if (t->n_renditions == 0)
        in_fail(&a, "must not be empty");
    for (size_t i = 0; i < t->n_renditions; i++) {
        struct in e = in_at(&a, i), kind = in_field(&e, "kind");
        if (task_kind_of(t->renditions[i].kind) != t->kind)
            in_fail(&kind, "is not the task's");
    }
    if (!has_stream(t)) {
        struct in info = in_field(top, "info");
        in_fail(&info, "has no %s stream", kind_names[t->kind]);
    }
}

int task_makes(const struct task *t, size_t i)
{
    return !t->only || strcmp(t->renditions[i].name, t->only) == 0;
}

static void only_read(const struct in *top, struct task *t)
{
    struct in only = in_field(top, "only");
    size_t n = 0;

    if (!only.j)
        return;
    t->only = in_text_at(&only, NAME_LEN_MAX, CHARS_NAME);
    for (size_t i = 0; t->only && i < t->n_renditions; i++)
        n += (size_t)task_makes(t, i);
    if (t->only && n != 1)
        in_fail(&only, "is not the name of a rendition");
}

static void avoid_read(const struct in *top, struct task *t)
{
    size_t n;

    if (!in_field(top, "avoid").j)
        return;
    struct in list = in_array(top, "avoid", TASK_AVOID_MAX, &n);
    for (size_t i = 0; i < n && in_ok(&list); i++) {
        struct in v = in_at(&list, i);
        t->avoid[t->n_avoid] = in_text_at(&v, TASK_WORKER_MAX, CHARS_TEXT);
        t->n_avoid += t->avoid[t->n_avoid] != NULL;
    }
}

static void work_read(const struct in *top, struct task *t)
{
    if (t->kind == TASK_VIDEO) {
        struct in chunk = in_field(top, "chunk");
        t->group = (unsigned)in_int(top, "group", 0, RENDITIONS_MAX - 1);
        chunk_read(&chunk, &t->chunk);
        return;
    }
    t->timeline_end = in_int(top, "timeline_end", 0, TIME_LIMIT);
    if (t->kind == TASK_PICTURES)
        return;
    t->audio_cuts = in_rising(top, "audio_cuts", &t->n_audio_cuts);
    if (t->n_audio_cuts == 0 || t->audio_cuts[0] != 0) {
        struct in a = in_field(top, "audio_cuts");
        in_fail(&a, "must begin with 0");
    }
}

int task_from_json(const json_t *j, struct task *ret, struct err *err)
{
    struct in_state state;
    struct in top = in_top(&state, "task", j, err), info;
    struct task t = { 0 };

    in_version(&top);
    names_read(&top, &t);
    t.renditions = renditions_read(&top, "renditions", &t.n_renditions);
    only_read(&top, &t);
    avoid_read(&top, &t);
    info = in_field(&top, "info");
    media_info_read(&info, &t.info);
    renditions_check(&top, &t);
    t.origin = in_time(&top, "origin");
    t.timescale = (uint32_t)in_int(&top, "timescale", 1, INT32_MAX);
    work_read(&top, &t);
    t.cost = in_double(&top, "cost", 0, 1e12);
    t.memory_bytes = (uint64_t)in_int(&top, "memory_bytes", 0, SIZE_LIMIT);
    t.deadline_ms = in_int(&top, "deadline_ms", 0, INT32_MAX);
    t.stall_ms = in_int(&top, "stall_ms", 0, INT32_MAX);
    if (state.r < 0) {
        task_release(&t);
        return state.r;
    }
    *ret = t;
    return 0;
}

int task_from_text(const char *text, size_t len, struct task *ret, struct err *err)
{
    json_t *j;
    int r = wire_parse("task", text, len, &j, err);

    if (r < 0)
        return r;
    r = task_from_json(j, ret, err);
    json_decref(j);
    return r;
}

static int extra_key(enum media_kind kind, const char *name, unsigned number, char **ret)
{
    if (kind == MEDIA_POSTER)
        return number == 0 ? asprintf(ret, "poster.jpg") : -1;
    if (kind == MEDIA_STORYBOARD)
        return number == 0 ? asprintf(ret, "storyboard/index.vtt")
                           : asprintf(ret, "storyboard/sheet-%05u.jpg", number);
    return number == 0 ? asprintf(ret, "text/%s/all.vtt", name)
                       : asprintf(ret, "text/%s/seg-%05u.vtt", name, number);
}

char *segment_key(enum media_kind kind, const char *rendition, unsigned number)
{
    const char *folder = kind == MEDIA_VIDEO ? "video" : "audio";
    char *key;
    int n;

    if (media_kind_is_extra(kind))
        n = extra_key(kind, rendition, number, &key);
    else if (number == 0)
        n = asprintf(&key, "%s/%s/init.mp4", folder, rendition);
    else
        n = asprintf(&key, "%s/%s/seg-%05u.m4s", folder, rendition, number);
    return n < 0 ? NULL : key;
}
