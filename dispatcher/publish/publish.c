#include "publish.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../common/base/cleanup.h"
#include "../../common/store/store.h"
#include "../../common/wire/object.h"
#include "dash.h"
#include "hls.h"
#include "sha256.h"

/* A text on its way to the store. */
struct sheet {
    char *key, *text;
    size_t len;
    const char *type, *cache;
};

struct sheets {
    struct sheet *items;
    size_t n;
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

/* The next sheet, named "video/720p/index.m3u8", or `file` alone where r is NULL. */
static struct sheet *next_sheet(struct sheets *l, const struct package_rendition *r,
                                const char *file, const char *type)
{
    struct sheet *s = &l->items[l->n];
    int n = r ? asprintf(&s->key, "%s/%s/%s", package_folder(r), r->rendition->name, file)
              : asprintf(&s->key, "%s", file);
    if (n < 0) {
        s->key = NULL;
        return NULL;
    }
    s->type = type;
    s->cache = OBJECT_CACHE_LIST;
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
    return s ? hls_iframes(r, &s->text, &s->len, err) : no_memory(err);
}

/* In the order in which they are stored. */
static int add_playlists(struct sheets *l, const struct package *p, struct err *err)
{
    for (size_t i = 0; i < p->n_renditions; i++) {
        int r = add_rendition(l, p, &p->renditions[i], err);
        if (r < 0)
            return r;
    }

    struct sheet *s = next_sheet(l, NULL, "manifest.mpd", OBJECT_TYPE_DASH);
    int r = s ? dash_manifest(p, &s->text, &s->len, err) : no_memory(err);
    if (r < 0)
        return r;
    s = next_sheet(l, NULL, "master.m3u8", OBJECT_TYPE_HLS);
    return s ? hls_master(p, &s->text, &s->len, err) : no_memory(err);
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

int package_publish(const struct package *p, const struct receipt_job *job, struct store *s,
                    struct err *err)
{
    _cleanup_(sheets_releasep) struct sheets l = { 0 };
    l.items = calloc(2 * p->n_renditions + 3, sizeof(*l.items));

    int r = l.items ? add_playlists(&l, p, err) : no_memory(err);
    if (r == 0)
        r = add_receipt(&l, p, job, err);
    for (size_t i = 0; i < l.n && r == 0; i++) {
        const struct sheet *sh = &l.items[i];
        /* Durable each, not just the last: after a power cut the master may
         * not be the only one that is there. */
        const struct store_put_opts opts = { sh->type, sh->cache, 1 };
        r = s->ops->put(s, sh->key, sh->text, sh->len, &opts, err);
    }
    return r;
}
