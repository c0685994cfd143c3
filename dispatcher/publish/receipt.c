#include "receipt.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "../../common/base/cleanup.h"
#include "../../common/base/redact.h"
#include "track.h"

enum {
    REAL_DIGITS = 9, /* enough for CPU seconds, and no tails like 0.10000000000000001 */
    WARNINGS_MAX = 1000,
};

/* jansson's packers and setters take what they are given, NULL included,
 * and fail for it: so any lack of memory shows at the top. Strings come from
 * messages, which were checked to be UTF-8. */
static json_t *digits(uint64_t v)
{
    return json_integer((json_int_t)v);
}

/* Append and take `item`; whether that went well. */
static int append(json_t *list, json_t *item)
{
    return item && json_array_append_new(list, item) == 0;
}

static json_t *params_json(const struct rendition *r)
{
    json_t *o = json_object();
    for (size_t i = 0; o && i < r->n_params; i++)
        if (json_object_set_new(o, r->params[i].key, json_string(r->params[i].value)) < 0) {
            json_decref(o);
            return NULL;
        }
    return o;
}

/* As it lies at the output. */
static json_t *key_json(const struct package *p, const char *key)
{
    return json_sprintf("%s%s", p->folder, key);
}

static json_t *segment_json(const struct package *p, const struct package_segment *s)
{
    const struct segment *g = s->seg;
    return json_pack("{s:i, s:o, s:o, s:s, s:s, s:o, s:o, s:o}", "n", (int)g->number, "key",
                     key_json(p, g->key), "size", digits(g->size_bytes), "sha256", g->sha256, "md5",
                     g->md5, "start", json_integer(g->start), "duration", json_integer(g->duration),
                     "frames", digits(g->frames));
}

static json_t *segments_json(const struct package *p, const struct package_rendition *r)
{
    json_t *list = json_array();
    for (size_t i = 0; list && i < r->n_segments; i++)
        if (!append(list, segment_json(p, &r->segments[i]))) {
            json_decref(list);
            return NULL;
        }
    return list;
}

/* Of a rendition that might have been a copy of the source. */
static int set_copy(json_t *o, const struct rendition *r)
{
    return (r->copy ? json_object_set_new(o, "copied", json_true()) : 0) |
           (r->not_copied ? json_object_set_new(o, "not_copied", json_string(r->not_copied)) : 0);
}

static int set_picture(json_t *o, const struct rendition *r)
{
    return json_object_set_new(o, "width", json_integer(r->width)) |
           json_object_set_new(o, "height", json_integer(r->height)) |
           json_object_set_new(o, "sar", json_pack("[i, i]", r->sar.num, r->sar.den)) |
           json_object_set_new(o, "frame_rate", json_pack("[i, i]", r->rate.num, r->rate.den)) |
           (r->grid.period.num > 0
                ? json_object_set_new(o, "frame_interval",
                                      json_pack("[i, i]", r->grid.period.num, r->grid.period.den))
                : 0) |
           set_copy(o, r);
}

/* Which of the source's tracks it is. */
static int set_track(json_t *o, const struct package *p, const struct rendition *r)
{
    const struct audio_info *a = media_audio(&p->plan->info, r->track);
    struct track_label t;

    track_label(p->plan, r->track, &t);
    return json_object_set_new(o, "rung", json_string(rendition_rung(r))) |
           json_object_set_new(o, "stream", json_integer(a ? a->stream : -1)) |
           json_object_set_new(o, "title", json_string(t.name)) |
           json_object_set_new(o, "language", json_string(t.language)) |
           json_object_set_new(o, "role", json_string(t.role)) |
           json_object_set_new(o, "default", json_integer(t.is_default));
}

/* dB to 0.01, as they were measured. */
static int set_loudness(json_t *o, const struct package_rendition *pr)
{
    const struct rendition *r = pr->rendition;
    const struct loudness *l = &pr->head->loudness;

    if (!l->known)
        return 0;
    return json_object_set_new(o, "loudness",
                               json_pack("{s:f, s:f, s:f, s:f, s:f}", "target", r->loudness,
                                         "true_peak_limit", r->true_peak, "measured", l->integrated,
                                         "true_peak", l->true_peak, "gain", l->gain));
}

static int set_sound(json_t *o, const struct package *p, const struct package_rendition *pr)
{
    const struct rendition *r = pr->rendition;
    return set_track(o, p, r) |
           json_object_set_new(o, "sample_rate", json_integer(r->sample_rate)) |
           json_object_set_new(o, "channels", json_integer(r->channels)) |
           json_object_set_new(o, "layout", json_string(r->layout)) |
           json_object_set_new(o, "priming", json_integer(pr->head->priming)) | set_loudness(o, pr);
}

static json_t *init_json(const struct package *p, const struct rendition_result *h)
{
    return json_pack("{s:o, s:o, s:s, s:s}", "key", key_json(p, h->init.key), "size",
                     digits(h->init.size_bytes), "sha256", h->init.sha256, "md5", h->init.md5);
}

static int set_measured(json_t *o, const struct package *p, const struct package_rendition *pr)
{
    const struct package_segment *last = &pr->segments[pr->n_segments - 1];
    return json_object_set_new(o, "encoder", json_string(pr->rendition->encoder)) |
           json_object_set_new(o, "params", params_json(pr->rendition)) |
           json_object_set_new(o, "timescale", json_integer(pr->timescale)) |
           json_object_set_new(o, "start", json_integer(pr->segments[0].start)) |
           json_object_set_new(o, "duration", json_integer(last->end - pr->segments[0].start)) |
           json_object_set_new(o, "frames", digits(pr->frames)) |
           json_object_set_new(o, "bytes", digits(pr->size_bytes)) |
           json_object_set_new(o, "average_bit_rate", json_integer(pr->rate.average)) |
           json_object_set_new(o, "peak_bit_rate", json_integer(pr->rate.peak)) |
           json_object_set_new(o, "init", init_json(p, pr->head)) |
           json_object_set_new(o, "segments", segments_json(p, pr));
}

static json_t *rendition_json(const struct package *p, const struct package_rendition *pr)
{
    const struct rendition *r = pr->rendition;
    json_t *o = json_pack("{s:s, s:s, s:s, s:s}", "name", r->name, "kind", package_folder(pr),
                          "codec", r->codec, "codecs", pr->head->codecs);
    int failed = !o;

    if (o)
        failed |= r->kind == MEDIA_VIDEO ? set_picture(o, r) : set_sound(o, p, pr);
    if (o)
        failed |= set_measured(o, p, pr);
    if (failed) {
        json_decref(o);
        return NULL;
    }
    return o;
}

static json_t *renditions_json(const struct package *p)
{
    json_t *list = json_array();
    for (size_t i = 0; list && i < p->n_renditions; i++)
        if (!append(list, rendition_json(p, &p->renditions[i]))) {
            json_decref(list);
            return NULL;
        }
    return list;
}

static int set_text(json_t *o, const struct package_rendition *pr)
{
    const struct text_info *t = &pr->rendition->text;
    return json_object_set_new(o, "stream", json_integer(t->stream)) |
           json_object_set_new(o, "language", json_string(t->language)) |
           json_object_set_new(o, "title", json_string(t->title)) |
           json_object_set_new(o, "default", json_integer(t->is_default)) |
           json_object_set_new(o, "forced", json_integer(t->forced)) |
           json_object_set_new(o, "hearing_impaired", json_integer(t->hearing_impaired)) |
           (t->captions > 0 ? json_object_set_new(o, "captions", json_integer(t->captions)) : 0) |
           (t->page > 0 ? json_object_set_new(o, "page", json_integer(t->page)) : 0) |
           json_object_set_new(o, "timescale", json_integer(pr->timescale)) |
           json_object_set_new(o, "cues", digits(pr->head->frames));
}

static int set_pictures(json_t *o, const struct rendition *r)
{
    int failed = json_object_set_new(o, "width", json_integer(r->width)) |
                 json_object_set_new(o, "height", json_integer(r->height));

    if (r->kind == MEDIA_POSTER)
        return failed;
    return failed | json_object_set_new(o, "columns", json_integer(r->columns)) |
           json_object_set_new(o, "rows", json_integer(r->rows)) |
           json_object_set_new(o, "every_ms", json_integer(r->every_ms)) |
           json_object_set_new(o, "tiles", digits(r->n_shots));
}

static json_t *extra_objects_json(const struct package *p, const struct package_rendition *pr)
{
    json_t *list = segments_json(p, pr), *first = init_json(p, pr->head);

    if (!list || !first || json_array_insert(list, 0, first) < 0) {
        json_decref(list);
        list = NULL;
    }
    json_decref(first);
    return list;
}

static json_t *extra_json(const struct package *p, const struct package_rendition *pr)
{
    json_t *o = json_pack("{s:s, s:s}", "name", pr->rendition->name, "kind", package_folder(pr));
    int failed = !o;

    if (o)
        failed |= pr->rendition->kind == MEDIA_TEXT ? set_text(o, pr)
                                                    : set_pictures(o, pr->rendition);
    if (o)
        failed |= json_object_set_new(o, "bytes", digits(pr->size_bytes)) |
                  json_object_set_new(o, "objects", extra_objects_json(p, pr));
    if (failed) {
        json_decref(o);
        return NULL;
    }
    return o;
}

/* NULL with *ret_failed 0 where there is none: the key is left out. */
static json_t *extras_json(const struct package *p, int *ret_failed)
{
    json_t *list = p->n_extras ? json_array() : NULL;

    *ret_failed = p->n_extras && !list;
    for (size_t i = 0; list && i < p->n_extras; i++)
        if (!append(list, extra_json(p, &p->extras[i]))) {
            json_decref(list);
            *ret_failed = 1;
            return NULL;
        }
    return list;
}

static int has_text(const json_t *list, const char *text)
{
    size_t i;
    json_t *item;

    json_array_foreach (list, i, item)
        if (strcmp(json_string_value(item), text) == 0)
            return 1;
    return 0;
}

/* A set, in the order of the alphabet: which task came first is chance. */
static json_t *engines_json(const struct package *p)
{
    json_t *list = json_array();

    for (size_t i = 0; list && i < p->n_results; i++) {
        const char *engine = p->results[i]->engine ? p->results[i]->engine : "";
        size_t at = 0;
        if (!*engine || has_text(list, engine)) /* "": an extra that was given up */
            continue;
        while (at < json_array_size(list) &&
               strcmp(json_string_value(json_array_get(list, at)), engine) < 0)
            at++;
        json_t *item = json_string(engine);
        if (!item || json_array_insert_new(list, at, item) < 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

static int add_warnings(json_t *list, char *const *warnings, size_t n)
{
    for (size_t i = 0; i < n && json_array_size(list) < WARNINGS_MAX; i++)
        if (!has_text(list, warnings[i]) && !append(list, json_string(warnings[i])))
            return -ENOMEM;
    return 0;
}

/* The source's, then the tasks' by id, each text once, the first thousand. */
static json_t *warnings_json(const struct package *p)
{
    json_t *list = json_array();
    int r = list ? add_warnings(list, p->plan->info.warnings, p->plan->info.n_warnings) : 0;

    for (size_t i = 0; list && r == 0 && i < p->n_results; i++)
        r = add_warnings(list, p->results[i]->warnings, p->results[i]->n_warnings);
    if (r < 0) {
        json_decref(list);
        return NULL;
    }
    return list;
}

static json_t *totals_json(const struct package *p)
{
    uint64_t bytes = 0, concealed = 0, segments = 0;

    for (size_t i = 0; i < p->n_renditions; i++) {
        bytes += p->renditions[i].size_bytes;
        segments += p->renditions[i].n_segments;
    }
    for (size_t i = 0; i < p->n_extras; i++)
        bytes += p->extras[i].size_bytes;
    for (size_t i = 0; i < p->n_results; i++)
        concealed += p->results[i]->frames_concealed;
    return json_pack("{s:o, s:o, s:o}", "bytes", digits(bytes), "segments", digits(segments),
                     "frames_concealed", digits(concealed));
}

static json_t *texts_json(const struct receipt_text *t, size_t n)
{
    json_t *list = json_array();
    for (size_t i = 0; list && i < n; i++)
        if (!append(list, json_pack("{s:s, s:o, s:s}", "key", t[i].key, "size",
                                    digits(t[i].size_bytes), "sha256", t[i].sha256))) {
            json_decref(list);
            return NULL;
        }
    return list;
}

static json_t *run_task_json(const struct task_result *r)
{
    return json_pack("{s:s, s:i, s:s, s:f, s:f, s:f, s:o, s:o}", "id", r->task, "attempt",
                     (int)r->attempt, "worker", r->worker ? r->worker : "", "cpu_s", r->cpu_s,
                     "wall_s", r->wall_s, "first_frame_s", r->first_frame_s, "peak_bytes",
                     digits(r->peak_bytes), "bytes_read", digits(r->bytes_read));
}

static json_t *run_json(const struct package *p)
{
    json_t *tasks = json_array();
    double cpu_s = 0;

    for (size_t i = 0; tasks && i < p->n_results; i++) {
        cpu_s += p->results[i]->cpu_s;
        if (!append(tasks, run_task_json(p->results[i]))) {
            json_decref(tasks);
            return NULL;
        }
    }
    return json_pack("{s:f, s:o}", "cpu_s", cpu_s, "tasks", tasks);
}

static json_t *source_json(const struct package *p, const struct receipt_job *job)
{
    _cleanup_free_ char *url = redacted_url(job->source);
    return json_pack("{s:s, s:s, s:o, s:o}", "url", url ? url : "", "etag", job->etag, "size",
                     digits(p->plan->info.size_bytes), "info", media_info_to_json(&p->plan->info));
}

static json_t *timeline_json(const struct plan *plan)
{
    AVRational tb = plan->n_chunks ? plan->info.video.tb : plan->info.audio.tb;
    return json_pack("{s:o, s:[i, i], s:o, s:o}", "origin", json_integer(plan->origin), "origin_tb",
                     tb.num, tb.den, "timescale", json_integer(plan->timescale), "duration",
                     json_integer(plan->duration));
}

static json_t *receipt_json(const struct package *p, const struct receipt_job *job,
                            const struct receipt_text *texts, size_t n_texts)
{
    int failed;
    json_t *extras = extras_json(p, &failed);

    if (failed)
        return NULL;
    json_t *version = NULL;
    if (*p->folder && !(version = json_stringn(p->folder, strlen(p->folder) - 1))) {
        json_decref(extras);
        return NULL;
    }
    return json_pack("{s:i, s:s, s:o*, s:o, s:o, s:{s:s, s:s}, s:o, s:o, s:o*, s:o, s:o, s:o, s:o}",
                     "v", 1, "job", job->id, "version", version, "source", source_json(p, job),
                     "timeline", timeline_json(p->plan), "ladder", "name", job->ladder, "sha256",
                     job->ladder_digest, "engines", engines_json(p), "renditions",
                     renditions_json(p), "extras", extras, "texts", texts_json(texts, n_texts),
                     "totals", totals_json(p), "warnings", warnings_json(p), "run", run_json(p));
}

int receipt_make(const struct package *p, const struct receipt_job *job,
                 const struct receipt_text *texts, size_t n_texts, char **ret, size_t *ret_len,
                 struct err *err)
{
    _cleanup_(json_decrefp) json_t *j = receipt_json(p, job, texts, n_texts);
    char *text = j ? json_dumps(j, JSON_INDENT(1) | JSON_PRESERVE_ORDER |
                                       JSON_REAL_PRECISION(REAL_DIGITS))
                   : NULL;
    if (!text)
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory while writing the receipt");
    *ret = text;
    *ret_len = strlen(text);
    return 0;
}
