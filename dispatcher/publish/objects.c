#include "objects.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../common/base/cleanup.h"
#include "../../common/store/store.h"
#include "../../common/wire/result.h"
#include "package.h"
#include "sha256.h"

enum { READ_BYTES = 1 << 20 };

struct object {
    const char *key, *sha256, *md5, *task;
    uint64_t size_bytes;   /* as the result has it */
    uint64_t stored_bytes; /* as the store has it */
    int found;
    /* Both have an md5. Equal: the bytes needn't be read. Different: they must
     * be: what a store encrypts with a key of its own has an ETag of 32 hex
     * digits that is no md5. */
    int md5_same, md5_differs;
    enum { FAULT_NONE, FAULT_MISSING, FAULT_SIZE, FAULT_BYTES } fault;
    size_t order; /* in the results */
};

struct object_list {
    struct object *items; /* by key while the store is listed */
    size_t n;
};

static int no_memory(const struct object_list *l, struct err *err)
{
    return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory while checking %zu objects", l->n);
}

static int by_key(const void *a, const void *b)
{
    const struct object *x = a, *y = b;
    int r = strcmp(x->key, y->key);
    return r ? r : (x->order > y->order) - (x->order < y->order);
}

static int by_order(const void *a, const void *b)
{
    const struct object *x = a, *y = b;
    return (x->order > y->order) - (x->order < y->order);
}

static void add(struct object_list *l, const struct object *o)
{
    l->items[l->n] = *o;
    l->items[l->n].order = l->n;
    l->n++;
}

static int collect(const struct task_result *const *results, size_t n, struct object_list *ret)
{
    size_t room = 1;
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < results[i]->n_renditions; k++)
            room += 1 + results[i]->renditions[k].n_segments;

    ret->n = 0;
    ret->items = calloc(room, sizeof(*ret->items));
    if (!ret->items)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++) {
        const char *task = results[i]->task;
        for (size_t k = 0; k < results[i]->n_renditions; k++) {
            const struct rendition_result *r = &results[i]->renditions[k];
            add(ret, &(struct object){ r->init.key, r->init.sha256, r->init.md5, task,
                                       r->init.size_bytes });
            for (size_t s = 0; s < r->n_segments; s++)
                add(ret, &(struct object){ r->segments[s].key, r->segments[s].sha256,
                                           r->segments[s].md5, task, r->segments[s].size_bytes });
        }
    }
    return 0;
}

/* An init segment has as many entries as chunks: all are marked. */
static int mark(void *arg, const char *key, const struct store_stat *st)
{
    struct object_list *l = arg;
    size_t low = 0, high = l->n;

    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (strcmp(l->items[mid].key, key) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    for (; low < l->n && strcmp(l->items[low].key, key) == 0; low++) {
        struct object *o = &l->items[low];
        o->found = 1;
        o->stored_bytes = st->size_bytes;
        o->fault = FAULT_NONE;
        if (st->size_bytes != o->size_bytes) {
            o->fault = FAULT_SIZE;
        } else if (st->md5[0] && o->md5[0]) {
            o->md5_same = strcmp(st->md5, o->md5) == 0;
            o->md5_differs = !o->md5_same;
        }
    }
    return 0;
}

/* 1: the bytes are as they should be; 0: they aren't, or have gone. */
static int same_bytes(struct store *s, const struct object *o, void *buf, struct err *err)
{
    char hex[SHA256_HEX] = "";
    struct sha256 *d = sha256_new();
    uint64_t off = 0;
    int r = d ? 0 : -ENOMEM;

    while (r == 0 && off < o->size_bytes) {
        size_t got = 0;
        uint64_t left = o->size_bytes - off;
        size_t want = left < READ_BYTES ? (size_t)left : READ_BYTES;
        r = s->ops->get_range(s, o->key, NULL, off, buf, want, &got, err);
        if (r == 0 && got == 0)
            break; /* it has become shorter: the digest will differ */
        if (r == 0)
            r = sha256_add(d, buf, got);
        off += got;
    }
    if (r == 0)
        r = sha256_end(d, hex);
    sha256_free(d);
    if (r == -ENOENT)
        return 0;
    if (r == -ENOMEM)
        return err_set(err, r, ERR_RESOURCE, "out of memory while reading %s", o->key);
    return r < 0 ? r : strcmp(hex, o->sha256) == 0;
}

/* In the order of keys, where the entries of one init segment are
 * neighbours: its bytes are read once. Without `hash` only those are read
 * whose md5 differs. */
static int judge(struct store *s, struct object_list *l, int hash, struct err *err)
{
    _cleanup_free_ void *buf = malloc(READ_BYTES);
    const struct object *before = NULL;

    if (!buf)
        return no_memory(l, err);

    for (size_t i = 0; i < l->n; i++) {
        struct object *o = &l->items[i];
        int same = 1;

        if (!o->found)
            o->fault = FAULT_MISSING;
        if (o->fault != FAULT_NONE || o->md5_same || (!hash && !o->md5_differs))
            continue;
        if (before && strcmp(before->key, o->key) == 0 && strcmp(before->sha256, o->sha256) == 0)
            o->fault = before->fault;
        else if ((same = same_bytes(s, o, buf, err)) < 0)
            return same;
        else
            o->fault = same ? FAULT_NONE : FAULT_BYTES;
        before = o;
    }
    return 0;
}

static int report_all(const struct object_list *l, object_fn *bad, void *arg, size_t *ret_bad)
{
    char why[80];
    size_t n = 0;

    for (size_t i = 0; i < l->n; i++) {
        const struct object *o = &l->items[i];
        if (o->fault == FAULT_NONE)
            continue;
        if (o->fault == FAULT_SIZE)
            (void)snprintf(why, sizeof(why), "%" PRIu64 " bytes instead of %" PRIu64,
                           o->stored_bytes, o->size_bytes);
        else
            (void)snprintf(why, sizeof(why), "%s",
                           o->fault == FAULT_MISSING ? "missing" : "other bytes");
        n++;
        int r = bad ? bad(arg, o->task, o->key, why) : 0;
        if (r != 0)
            return r;
    }
    *ret_bad = n;
    return 0;
}

static int starts_with(const char *s, const char *start)
{
    return strncmp(s, start, strlen(start)) == 0;
}

/* By folder, where an object of it is named: a listing of all might be that of
 * a whole bucket. */
static int list_all(struct store *store, struct object_list *l, struct err *err)
{
    static const char *const folders[] = { "video/", "audio/", "text/", "storyboard/",
                                           "poster.jpg" };
    int r = 0;

    for (size_t f = 0; f < sizeof(folders) / sizeof(folders[0]) && r == 0; f++)
        for (size_t i = 0; i < l->n; i++)
            if (starts_with(l->items[i].key, folders[f])) {
                r = store->ops->list(store, folders[f], mark, l, err);
                break;
            }
    return r;
}

int package_check_objects(const struct task_result *const *results, size_t n_results,
                          struct store *store, int hash, object_fn *bad, void *arg, size_t *ret_bad,
                          struct err *err)
{
    struct object_list l = { 0 };
    int r = collect(results, n_results, &l);
    _cleanup_free_ struct object *items = l.items;

    if (r < 0)
        return no_memory(&l, err);

    qsort(l.items, l.n, sizeof(*l.items), by_key);
    if ((r = list_all(store, &l, err)) != 0 || (r = judge(store, &l, hash, err)) != 0)
        return r;
    qsort(l.items, l.n, sizeof(*l.items), by_order);
    return report_all(&l, bad, arg, ret_bad);
}

/* What the playlists of `p` name. */
static int collect_named(const struct package *p, struct object_list *ret)
{
    size_t room = 1;
    for (size_t i = 0; i < p->n_renditions; i++)
        room += 1 + p->renditions[i].n_segments;

    ret->items = calloc(room, sizeof(*ret->items));
    if (!ret->items)
        return -ENOMEM;
    for (size_t i = 0; i < p->n_renditions; i++) {
        const struct package_rendition *r = &p->renditions[i];
        add(ret, &(struct object){ r->head->init.key, r->head->init.sha256, r->head->init.md5,
                                   r->head_from->task, r->head->init.size_bytes });
        for (size_t s = 0; s < r->n_segments; s++) {
            const struct segment *g = r->segments[s].seg;
            add(ret, &(struct object){ g->key, g->sha256, g->md5, r->segments[s].from->task,
                                       g->size_bytes });
        }
    }
    return 0;
}

/* Only the folders of these renditions are listed: others may be large. */
static int list_named(const struct package *p, struct store *store, struct object_list *l,
                      struct err *err)
{
    for (size_t i = 0; i < p->n_renditions; i++) {
        const struct package_rendition *pr = &p->renditions[i];
        _cleanup_free_ char *folder = NULL;
        if (asprintf(&folder, "%s/%s/", package_folder(pr), pr->rendition->name) < 0) {
            folder = NULL;
            return no_memory(l, err);
        }
        int r = store->ops->list(store, folder, mark, l, err);
        if (r != 0)
            return r;
    }
    return 0;
}

int package_check_named(const struct package *p, struct store *store, object_fn *bad, void *arg,
                        size_t *ret_bad, struct err *err)
{
    struct object_list l = { 0 };
    int r = collect_named(p, &l);
    _cleanup_free_ struct object *items = l.items;

    if (r < 0)
        return no_memory(&l, err);
    qsort(l.items, l.n, sizeof(*l.items), by_key);
    if ((r = list_named(p, store, &l, err)) != 0 || (r = judge(store, &l, 0, err)) != 0)
        return r;
    qsort(l.items, l.n, sizeof(*l.items), by_order);
    return report_all(&l, bad, arg, ret_bad);
}
