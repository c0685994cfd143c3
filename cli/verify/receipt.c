#include "receipt.h"
#include "../../common/wire/json_text.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/cleanup.h"
#include "common/base/err.h"

enum { RECEIPT_VERSION = 1 };

DEFINE_CLEANUP(struct receipt *, receipt_free);

static inline void json_freep(json_t **j)
{
    json_decref(*j);
}

static void object_release(struct receipt_object *o)
{
    free(o->key);
    free(o->sha256);
    free(o->md5);
}

static void texts_free(struct receipt_text *list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < list[i].n_objects; k++)
            object_release(&list[i].objects[k]);
        free(list[i].objects);
        free(list[i].name);
        free(list[i].folder);
        free(list[i].playlist);
    }
    free(list);
}

void receipt_free(struct receipt *r)
{
    if (!r)
        return;
    for (size_t i = 0; i < r->n_renditions; i++) {
        struct receipt_rendition *x = &r->renditions[i];
        for (size_t k = 0; k < x->n_segments; k++)
            object_release(&x->segments[k]);
        free(x->segments);
        object_release(&x->init);
        free(x->name);
        free(x->folder);
        free(x->codecs);
        free(x->rung);
        free(x->language);
    }
    texts_free(r->texts, r->n_texts);
    texts_free(r->pictures, r->n_pictures);
    for (size_t i = 0; i < r->n_playlists; i++)
        object_release(&r->playlists[i]);
    for (size_t i = 0; i < r->n_warnings; i++)
        free(r->warnings[i]);
    free(r->warnings);
    free(r->playlists);
    free(r->folder);
    free(r->by_key);
    free(r->renditions);
    free(r->source_url);
    free(r->source_etag);
    free(r);
}

static int bad(struct err *err, const char *what)
{
    return err_set(err, -EINVAL, ERR_INPUT, "%s is missing or of another type", what);
}

static char *text_of(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));
    return s ? strdup(s) : NULL;
}

static int64_t int_of(const json_t *o, const char *key, int64_t otherwise)
{
    const json_t *v = json_object_get(o, key);
    return json_is_integer(v) ? json_integer_value(v) : otherwise;
}

static int read_object(const json_t *j, struct receipt_object *ret, const char *what,
                       struct err *err)
{
    int64_t size = int_of(j, "size", -1);
    *ret = (struct receipt_object){ .key = text_of(j, "key"),
                                    .size_bytes = (uint64_t)size,
                                    .sha256 = text_of(j, "sha256"),
                                    .md5 = text_of(j, "md5"),
                                    .start = int_of(j, "start", -1),
                                    .duration = int_of(j, "duration", -1),
                                    .frames = int_of(j, "frames", -1) };
    return ret->key && size >= 0 ? 0 : bad(err, what);
}

/* A list of objects; `*ret` and `*ret_n` are owned by the receipt at once, so
 * that a failure half-way leaks nothing. */
static int read_objects(const json_t *list, struct receipt_object **ret, size_t *ret_n,
                        const char *what, struct err *err)
{
    size_t n = json_array_size(list);
    *ret = calloc(n + 1, sizeof(**ret));
    if (!*ret)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++) {
        int r = read_object(json_array_get(list, i), &(*ret)[i], what, err);
        *ret_n = i + 1;
        if (r < 0)
            return r;
    }
    return 0;
}

static int read_interval(const json_t *j, double *ret_s)
{
    json_int_t num = json_integer_value(json_array_get(j, 0));
    json_int_t den = json_integer_value(json_array_get(j, 1));
    if (!j)
        return 0;
    if (num <= 0 || den <= 0)
        return -EINVAL;
    *ret_s = (double)num / (double)den;
    return 0;
}

static int read_rendition(const json_t *j, struct receipt_rendition *ret, struct err *err)
{
    const json_t *segments = json_object_get(j, "segments");
    ret->name = text_of(j, "name");
    ret->codecs = text_of(j, "codecs");
    ret->timescale = int_of(j, "timescale", -1);
    ret->frames = int_of(j, "frames", -1);
    ret->stream = int_of(j, "stream", -1);
    ret->is_default = int_of(j, "default", -1);
    ret->rung = text_of(j, "rung");
    ret->language = text_of(j, "language");
    ret->copied = json_is_true(json_object_get(j, "copied"));
    if (!ret->name || !json_is_array(segments))
        return bad(err, "a rendition's name or segments");
    if (read_interval(json_object_get(j, "frame_interval"), &ret->interval_s) < 0)
        return bad(err, "a rendition's frame_interval");
    int r = read_object(json_object_get(j, "init"), &ret->init, "a rendition's init", err);
    if (!r)
        r = read_objects(segments, &ret->segments, &ret->n_segments, "a segment's key or size",
                         err);
    if (r < 0)
        return r;
    const char *slash = strrchr(ret->init.key, '/');
    ret->folder = strndup(ret->init.key, slash ? (size_t)(slash - ret->init.key) : 0);
    return ret->folder ? 0 : -ENOMEM;
}

static int read_renditions(struct receipt *r, const json_t *list, struct err *err)
{
    if (!json_is_array(list) || !json_array_size(list))
        return bad(err, "renditions");
    size_t n = json_array_size(list);
    r->renditions = calloc(n, sizeof(*r->renditions));
    if (!r->renditions)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++) {
        r->n_renditions = i + 1;
        int rc = read_rendition(json_array_get(list, i), &r->renditions[i], err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int read_text(const json_t *j, struct receipt_text *ret, struct err *err)
{
    ret->name = text_of(j, "name");
    ret->stream = int_of(j, "stream", -1);
    ret->page = int_of(j, "page", 0);
    ret->captions = int_of(j, "captions", 0);
    ret->width = int_of(j, "width", 0);
    ret->height = int_of(j, "height", 0);
    ret->columns = int_of(j, "columns", 0);
    ret->rows = int_of(j, "rows", 0);
    ret->every_ms = int_of(j, "every_ms", 0);
    ret->tiles = int_of(j, "tiles", 0);
    int r = read_objects(json_object_get(j, "objects"), &ret->objects, &ret->n_objects,
                         "an extra's key or size", err);
    if (r < 0)
        return r;
    if (!ret->name || !ret->n_objects)
        return bad(err, "an extra's name or objects");
    const char *slash = strrchr(ret->objects[0].key, '/');
    ret->folder = strndup(ret->objects[0].key, slash ? (size_t)(slash - ret->objects[0].key) : 0);
    if (ret->folder && asprintf(&ret->playlist, "%s/index.m3u8", ret->folder) < 0)
        ret->playlist = NULL;
    return ret->folder && ret->playlist ? 0 : -ENOMEM;
}

static int read_extra(struct receipt *r, const json_t *j, struct err *err)
{
    const char *kind = json_string_value(json_object_get(j, "kind"));
    if (kind && !strcmp(kind, "text"))
        return read_text(j, &r->texts[r->n_texts++], err);
    if (!kind || (strcmp(kind, "poster") && strcmp(kind, "storyboard")))
        return bad(err, "an extra's kind");
    r->pictures[r->n_pictures].is_storyboard = !strcmp(kind, "storyboard");
    return read_text(j, &r->pictures[r->n_pictures++], err);
}

static int read_extras(struct receipt *r, const json_t *list, struct err *err)
{
    size_t n = json_array_size(list);
    r->texts = calloc(n + 1, sizeof(*r->texts));
    r->pictures = calloc(n + 1, sizeof(*r->pictures));
    if (!r->texts || !r->pictures)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++) {
        int rc = read_extra(r, json_array_get(list, i), err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int read_warnings(struct receipt *r, const json_t *list)
{
    size_t n = json_array_size(list);
    r->warnings = calloc(n + 1, sizeof(*r->warnings));
    if (!r->warnings)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++) {
        const char *s = json_string_value(json_array_get(list, i));
        if (s && (r->warnings[r->n_warnings] = strdup(s)))
            r->n_warnings++;
    }
    return 0;
}

static void read_origin(struct receipt *r, const json_t *timeline)
{
    const json_t *tb = json_object_get(timeline, "origin_tb");
    const json_t *origin = json_object_get(timeline, "origin");
    int64_t num = json_integer_value(json_array_get(tb, 0));
    int64_t den = json_integer_value(json_array_get(tb, 1));
    if (!json_is_integer(origin) || num <= 0 || den <= 0 || num > INT32_MAX || den > INT32_MAX)
        return;
    if (__builtin_mul_overflow(json_integer_value(origin), num, &r->origin_num))
        return;
    r->origin_den = den;
}

static int by_key(const void *a, const void *b)
{
    return strcmp((*(const struct receipt_object *const *)a)->key,
                  (*(const struct receipt_object *const *)b)->key);
}

static size_t count_objects(const struct receipt_text *list, size_t n)
{
    size_t sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += list[i].n_objects;
    return sum;
}

static void list_objects(struct receipt *r, const struct receipt_text *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < list[i].n_objects; k++)
            r->by_key[r->n_by_key++] = &list[i].objects[k];
}

static int sort_objects(struct receipt *r)
{
    size_t n = r->n_playlists;
    for (size_t i = 0; i < r->n_renditions; i++)
        n += 1 + r->renditions[i].n_segments;
    n += count_objects(r->texts, r->n_texts) + count_objects(r->pictures, r->n_pictures);
    r->by_key = calloc(n + 1, sizeof(*r->by_key));
    if (!r->by_key)
        return -ENOMEM;
    for (size_t i = 0; i < r->n_playlists; i++)
        r->by_key[r->n_by_key++] = &r->playlists[i];
    for (size_t i = 0; i < r->n_renditions; i++) {
        r->by_key[r->n_by_key++] = &r->renditions[i].init;
        for (size_t k = 0; k < r->renditions[i].n_segments; k++)
            r->by_key[r->n_by_key++] = &r->renditions[i].segments[k];
    }
    list_objects(r, r->texts, r->n_texts);
    list_objects(r, r->pictures, r->n_pictures);
    qsort(r->by_key, r->n_by_key, sizeof(*r->by_key), by_key);
    return 0;
}

size_t receipt_version_folder(const char *path)
{
    size_t n = *path == 'v' ? strspn(path + 1, "0123456789") : 0;

    if (n == 0 || path[1 + n] != '-' || strspn(path + n + 2, "0123456789abcdef") != 12)
        return 0;
    return path[n + 14] == '/' ? n + 15 : 0;
}

static int read_folder(struct receipt *r, const json_t *version)
{
    const char *s = json_string_value(version);

    if (asprintf(&r->folder, "%s%s", s ? s : "", s ? "/" : "") < 0) {
        r->folder = NULL;
        return -ENOMEM;
    }
    return s && receipt_version_folder(r->folder) != strlen(r->folder) ? -EINVAL : 0;
}

int receipt_parse(const char *text, size_t len, struct receipt **ret, struct err *err)
{
    _cleanup_(json_freep) json_t *j = NULL;
    int read = json_text_read(text, len, ERR_INPUT, &j, err);
    if (read < 0)
        return read;
    _cleanup_(receipt_freep) struct receipt *r = calloc(1, sizeof(*r));
    if (!r)
        return -ENOMEM;
    const json_t *source = json_object_get(j, "source");
    r->version = int_of(j, "v", -1);
    if (r->version != RECEIPT_VERSION)
        return err_set(err, -EINVAL, ERR_INPUT, "\"v\" is %lld, known is %d", (long long)r->version,
                       RECEIPT_VERSION);
    if (read_folder(r, json_object_get(j, "version")) < 0)
        return bad(err, "version");
    r->source_url = text_of(source, "url");
    r->source_etag = text_of(source, "etag");
    r->source_size = int_of(source, "size", -1);
    if (!r->source_url || r->source_size < 0)
        return bad(err, "source.url or source.size");
    read_origin(r, json_object_get(j, "timeline"));
    r->frames_concealed = int_of(json_object_get(j, "totals"), "frames_concealed", 0);
    int rc = read_renditions(r, json_object_get(j, "renditions"), err);
    if (!rc)
        rc = read_extras(r, json_object_get(j, "extras"), err);
    if (!rc)
        rc = read_warnings(r, json_object_get(j, "warnings"));
    if (!rc)
        rc = read_objects(json_object_get(j, "texts"), &r->playlists, &r->n_playlists,
                          "a text's key or size", err);
    if (!rc)
        rc = sort_objects(r);
    if (rc < 0)
        return rc;
    *ret = take_ptr(r);
    return 0;
}

const struct receipt_object *receipt_find(const struct receipt *r, const char *key)
{
    const struct receipt_object want = { .key = (char *)key }, *p = &want;
    const struct receipt_object *const *at = bsearch(&p, r->by_key, r->n_by_key, sizeof(*r->by_key),
                                                     by_key);
    return at ? *at : NULL;
}
