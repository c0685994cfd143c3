#include "objects.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../common/base/cleanup.h"
#include "../common/base/err.h"
#include "../common/store/store.h"
#include "../common/wire/object.h"
#include "../common/wire/result.h"

void objects_release(struct objects *o)
{
    for (size_t i = 0; i < o->n; i++)
        free(o->v[i].key);
    free(o->v);
    *o = (struct objects){ 0 };
}

static int ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);
    return n >= m && strcmp(s + n - m, end) == 0;
}

/* Whether `file` is a numbered one of its kind. */
static int is_piece(enum media_kind kind, const char *file)
{
    const char *start = kind == MEDIA_STORYBOARD ? "sheet-" : "seg-";
    const char *end = kind == MEDIA_STORYBOARD ? ".jpg" : kind == MEDIA_TEXT ? ".vtt" : ".m4s";

    return kind != MEDIA_POSTER && strncmp(file, start, strlen(start)) == 0 && ends_with(file, end);
}

int objects_check_key(const struct task *t, const char *key, struct err *err)
{
    for (size_t i = 0; i < t->n_renditions; i++) {
        const struct rendition *r = &t->renditions[i];
        if (!task_makes(t, i))
            continue;
        _cleanup_free_ char *init = segment_key(r->kind, r->name, 0);
        if (!init)
            return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory");
        if (strcmp(key, init) == 0)
            return 0;
        const char *slash = strrchr(init, '/');
        size_t folder = slash ? (size_t)(slash + 1 - init) : 0;
        if (strncmp(key, init, folder) == 0 && !strchr(key + folder, '/') &&
            is_piece(r->kind, key + folder))
            return 0;
    }
    return err_set(err, -EACCES, ERR_INTERNAL, "the child made an object '%.200s' nobody asked for",
                   key);
}

static int digest(const EVP_MD *md, const void *buf, size_t len, char *ret_hex)
{
    unsigned char raw[EVP_MAX_MD_SIZE];
    unsigned n;

    if (!EVP_Digest(buf, len, raw, &n, md, NULL))
        return -ENOMEM;
    for (unsigned i = 0; i < n; i++)
        (void)sprintf(ret_hex + 2 * (size_t)i, "%02x", raw[i]);
    return 0;
}

static const struct object *find(const struct objects *o, const char *key)
{
    for (size_t i = 0; i < o->n; i++)
        if (strcmp(o->v[i].key, key) == 0)
            return &o->v[i];
    return NULL;
}

int objects_add(struct objects *o, const char *key, size_t *ret_index, struct err *err)
{
    if (find(o, key))
        return err_set(err, -EPROTO, ERR_INTERNAL, "the child handed %.200s over twice", key);
    if (o->n == o->room) {
        size_t room = o->room ? 2 * o->room : 16;
        struct object *v = reallocarray(o->v, room, sizeof(*v));
        if (!v)
            return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory for %.200s", key);
        o->v = v;
        o->room = room;
    }
    char *copy = strdup(key);
    if (!copy)
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory for %.200s", key);
    o->v[o->n] = (struct object){ .key = copy };
    *ret_index = o->n++;
    return 0;
}

void objects_set(struct objects *o, size_t index, const struct object *made)
{
    struct object *e = &o->v[index];
    char *key = e->key;

    *e = *made;
    e->key = key;
}

static const char *type_of(const char *key)
{
    if (ends_with(key, ".vtt"))
        return OBJECT_TYPE_TEXT;
    if (ends_with(key, ".jpg"))
        return OBJECT_TYPE_PICTURE;
    return strncmp(key, "audio/", 6) == 0 ? OBJECT_TYPE_AUDIO : OBJECT_TYPE_VIDEO;
}

int object_store(struct object *ret, struct store *output, const char *key, const void *buf,
                 size_t len, struct err *err)
{
    const struct store_put_opts opts = {
        .content_type = type_of(key),
        .cache_control = OBJECT_CACHE_SEGMENT,
    };

    if (digest(EVP_sha256(), buf, len, ret->sha256) < 0 ||
        digest(EVP_md5(), buf, len, ret->md5) < 0)
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory for the digests of %.200s", key);
    ret->size_bytes = len;
    return output->ops->put(output, key, buf, len, &opts, err);
}

static int fill_rendition(const struct objects *o, struct rendition_result *r, struct err *err)
{
    const struct object *e;

    for (size_t i = 0; i < r->n_segments; i++) {
        struct segment *s = &r->segments[i];
        e = find(o, s->key);
        if (!e)
            return err_set(err, -EPROTO, ERR_INTERNAL,
                           "the child's result names %.200s, which it did not hand over", s->key);
        s->size_bytes = e->size_bytes;
        memcpy(s->sha256, e->sha256, sizeof(s->sha256));
        memcpy(s->md5, e->md5, sizeof(s->md5));
    }
    e = r->init.key ? find(o, r->init.key) : NULL;
    if (e) {
        r->init.size_bytes = e->size_bytes;
        memcpy(r->init.sha256, e->sha256, sizeof(r->init.sha256));
        memcpy(r->init.md5, e->md5, sizeof(r->init.md5));
    } else if (!r->init.key || !ends_with(r->init.key, "/init.mp4") || !r->init.sha256[0]) {
        return err_set(err, -EPROTO, ERR_INTERNAL,
                       "rendition %.64s: neither an init segment nor its digest", r->name);
    }
    return 0;
}

int objects_fill(const struct objects *o, struct task_result *r, struct err *err)
{
    for (size_t i = 0; i < r->n_renditions; i++) {
        int ret = fill_rendition(o, &r->renditions[i], err);
        if (ret < 0)
            return ret;
    }
    return 0;
}
