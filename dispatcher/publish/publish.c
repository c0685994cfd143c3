#include "publish.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../common/base/cleanup.h"
#include "../../common/store/store.h"
#include "../../common/wire/object.h"
#include "../fault.h"
#include "dash.h"
#include "hls.h"
#include "sha256.h"

#define MASTER "master.m3u8"

enum { MASTER_MAX = 1 << 20 };

/* A text on its way to the store. */
struct sheet {
    char *key, *text;
    size_t len;
    const char *type, *cache;
};

struct sheets {
    struct sheet *items;
    size_t n;
    const char *cache;  /* of playlists and manifest */
    const char *folder; /* package.folder */
};

static void sheets_releasep(struct sheets *l)
{
    for (size_t i = 0; i < l->n; i++) {
        free(l->items[i].key);
        free(l->items[i].text);
    }
    free(l->items);
}

static int no_memory(struct err *err)
{
    return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory while publishing");
}

/* The next sheet, named "video/720p/index.m3u8" in the version's folder, or `file` alone where r is
 * NULL. */
static struct sheet *next_sheet(struct sheets *l, const struct package_rendition *r,
                                const char *file, const char *type)
{
    struct sheet *s = &l->items[l->n];
    int n = !r ? asprintf(&s->key, "%s", file)
            : r->rendition->kind == MEDIA_STORYBOARD /* there is only one */
                ? asprintf(&s->key, "%s%s/%s", l->folder, package_folder(r), file)
                : asprintf(&s->key, "%s%s/%s/%s", l->folder, package_folder(r), r->rendition->name,
                           file);
    if (n < 0) {
        s->key = NULL;
        return NULL;
    }
    s->type = type;
    s->cache = l->cache;
    l->n++;
    return s;
}

static int add_rendition(struct sheets *l, const struct package *p,
                         const struct package_rendition *r, struct err *err)
{
    struct sheet *s = next_sheet(l, r, "index.m3u8", OBJECT_TYPE_HLS);
    int res = s ? hls_media(p, r, &s->text, &s->len, err) : no_memory(err);
    if (res < 0 || r->rendition->kind != MEDIA_VIDEO)
        return res;

    s = next_sheet(l, r, "iframe.m3u8", OBJECT_TYPE_HLS);
    return s ? hls_iframes(p, r, &s->text, &s->len, err) : no_memory(err);
}

static int add_extra(struct sheets *l, const struct package *p, const struct package_rendition *r,
                     struct err *err)
{
    struct sheet *s;

    if (r->rendition->kind == MEDIA_POSTER) /* it is its own object */
        return 0;
    s = next_sheet(l, r, "index.m3u8", OBJECT_TYPE_HLS);
    if (s && r->rendition->kind == MEDIA_STORYBOARD)
        return hls_images(p, r, &s->text, &s->len, err);
    return s ? hls_media(p, r, &s->text, &s->len, err) : no_memory(err);
}

static int add_media(struct sheets *l, const struct package *p, struct err *err)
{
    for (size_t i = 0; i < p->n_renditions; i++) {
        int r = add_rendition(l, p, &p->renditions[i], err);
        if (r < 0)
            return r;
    }
    for (size_t i = 0; i < p->n_extras; i++) {
        int r = add_extra(l, p, &p->extras[i], err);
        if (r < 0)
            return r;
    }
    return 0;
}

static int add_master(struct sheets *l, const struct package *p, struct err *err)
{
    struct sheet *s = next_sheet(l, NULL, MASTER, OBJECT_TYPE_HLS);
    return s ? hls_master(p, &s->text, &s->len, err) : no_memory(err);
}

/* In the order in which they are stored. */
static int add_playlists(struct sheets *l, const struct package *p, struct err *err)
{
    int r = add_media(l, p, err);
    if (r < 0)
        return r;

    struct sheet *s = next_sheet(l, NULL, "manifest.mpd", OBJECT_TYPE_DASH);
    r = s ? dash_manifest(p, &s->text, &s->len, err) : no_memory(err);
    return r < 0 ? r : add_master(l, p, err);
}

static int add_receipt(struct sheets *l, const struct package *p, const struct receipt_job *job,
                       struct err *err)
{
    size_t n = l->n;
    _cleanup_free_ struct receipt_text *texts = calloc(n, sizeof(*texts));
    if (!texts)
        return no_memory(err);
    for (size_t i = 0; i < n; i++) {
        texts[i].key = l->items[i].key;
        texts[i].size_bytes = l->items[i].len;
        if (sha256_of(l->items[i].text, l->items[i].len, texts[i].sha256) < 0)
            return no_memory(err);
    }

    struct sheet *s = next_sheet(l, NULL, "job.json", OBJECT_TYPE_JSON);
    if (!s)
        return no_memory(err);
    s->cache = OBJECT_CACHE_NONE;
    return receipt_make(p, job, texts, n, &s->text, &s->len, err);
}

/* Durable each, not just the last: after a power cut the master may not be
 * the only one that is there. */
static int put(struct store *s, const struct sheet *sh, struct err *err)
{
    const struct store_put_opts opts = { sh->type, sh->cache, 1, 0 };
    return s->ops->put(s, sh->key, sh->text, sh->len, &opts, err);
}

static int sheets_init(struct sheets *l, const struct package *p, const char *cache)
{
    l->cache = cache;
    l->folder = p->folder;
    l->items = calloc(2 * p->n_renditions + p->n_extras + 3, sizeof(*l->items));
    return l->items ? 0 : -ENOMEM;
}

int package_publish(const struct package *p, const struct receipt_job *job, struct store *s,
                    struct err *err)
{
    _cleanup_(sheets_releasep) struct sheets l = { 0 };

    int r = sheets_init(&l, p, OBJECT_CACHE_LIST) == 0 ? add_playlists(&l, p, err) : no_memory(err);
    if (r == 0)
        r = add_receipt(&l, p, job, err);
    for (size_t i = 0; i < l.n && r == 0; i++)
        r = put(s, &l.items[i], err);
    return r;
}

/* Whether what is stored under the sheet's key is the sheet already, or has
 * more behind it: 1, else 0, or negative. */
static int is_stored(struct store *s, const struct sheet *sh, struct err *err)
{
    _cleanup_free_ char *old = malloc(sh->len);
    size_t n = 0, off = 0;

    if (!old)
        return no_memory(err);
    while (off < sh->len) {
        int r = s->ops->get_range(s, sh->key, NULL, off, old + off, sh->len - off, &n, err);
        if (r < 0)
            return r == -ENOENT ? 0 : r;
        if (n == 0)
            return 0;
        off += n;
    }
    return memcmp(old, sh->text, sh->len) == 0;
}

/* The text under `key`, NUL-terminated, as far as it is there and no longer
 * than `max`; NULL with 0: nothing, or too long. */
static int get_text(struct store *s, const char *key, size_t max, char **ret, struct err *err)
{
    _cleanup_free_ char *text = malloc(max + 1);
    size_t n = 1, at = 0;

    if (!text)
        return no_memory(err);
    while (n > 0 && at < max) {
        int r = s->ops->get_range(s, key, NULL, at, text + at, max - at, &n, err);
        if (r < 0)
            return r == -ENOENT ? 0 : r;
        at += n;
    }
    text[at] = '\0';
    *ret = at < max ? take_ptr(text) : NULL;
    return 0;
}

static int names_rendition(const char *master, const struct package *p, const struct rendition *r)
{
    _cleanup_free_ char *line = NULL;

    return asprintf(&line, "\n%svideo/%s/index.m3u8\n", p->folder, r->name) >= 0 &&
           strstr(master, line);
}

static int has_rendition(const struct package *p, const struct rendition *r)
{
    for (size_t i = 0; i < p->n_video; i++)
        if (p->renditions[i].rendition == r)
            return 1;
    return 0;
}

/* 1 where the master would take away a rendition that players know: what was
 * done of it has been found to be wrong, and is being made again. */
static int takes_away(struct store *s, const struct sheet *master, const struct package *p,
                      struct err *err)
{
    _cleanup_free_ char *old = NULL;
    int r = get_text(s, master->key, MASTER_MAX, &old, err);

    if (r < 0 || !old || !strstr(old, HLS_START_LINE))
        return r; /* there is none, or it isn't one that grows */
    for (size_t i = 0; i < p->plan->n_video; i++)
        if (!has_rendition(p, &p->plan->renditions[i]) &&
            names_rendition(old, p, &p->plan->renditions[i]))
            return 1;
    return 0;
}

static int put_missing(struct store *s, struct sheet *const *list, size_t n, struct err *err)
{
    int r = 0;

    if (n > 0 && s->ops->sync)
        r = s->ops->sync(s, err);
    for (size_t i = 0; i < n && r == 0; i++) {
        if (strcmp(list[i]->key, MASTER) == 0)
            fault_point("early-media");
        r = put(s, list[i], err);
    }
    return r;
}

int package_publish_early(const struct package *p, struct store *s, struct err *err)
{
    _cleanup_(sheets_releasep) struct sheets l = { 0 };
    _cleanup_free_ struct sheet **missing = NULL;
    size_t n = 0;

    if (sheets_init(&l, p, OBJECT_CACHE_GROWING) < 0)
        return no_memory(err);
    int r = add_media(&l, p, err);
    if (r == 0)
        r = add_master(&l, p, err);
    missing = calloc(l.n + 1, sizeof(struct sheet *));
    if (r == 0 && !missing)
        r = no_memory(err);
    for (size_t i = 0; i < l.n && r == 0; i++) {
        r = is_stored(s, &l.items[i], err);
        if (r == 0 && i + 1 == l.n)
            r = takes_away(s, &l.items[i], p, err);
        if (r == 0)
            missing[n++] = &l.items[i];
        r = r < 0 ? r : 0;
    }
    return r < 0 ? r : put_missing(s, missing, n, err);
}
