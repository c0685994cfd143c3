#include "sweep.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../common/base/cleanup.h"
#include "../../common/base/err.h"
#include "../../common/store/store.h"
#include "receipt_read.h"
#include "version.h"

enum {
    RENDITION_MAX = 64, /* characters of a name, as on the wire */
    TOP_MAX = 1 << 20,
};

static int no_memory(struct err *err)
{
    return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory while looking for left-over objects");
}

/* ---- names ---- */

/* "seg-00012.m4s" of "seg-" and ".m4s". */
static int is_numbered(const char *file, const char *start, const char *end)
{
    size_t n = strlen(start);
    unsigned number = 0;
    char again[32];

    if (strncmp(file, start, n) != 0 || sscanf(file + n, "%9u", &number) != 1 || number == 0)
        return 0;
    (void)snprintf(again, sizeof(again), "%s%05u%s", start, number, end);
    return strcmp(file, again) == 0;
}

/* What is behind "<folder>/<name>/", or NULL where the key isn't like that. */
static const char *inside(const char *key, const char *folder)
{
    size_t n = strlen(folder), name;

    if (strncmp(key, folder, n) != 0)
        return NULL;
    name = strspn(key + n, "abcdefghijklmnopqrstuvwxyz0123456789-");
    return name > 0 && name <= RENDITION_MAX && key[n + name] == '/' ? key + n + name + 1 : NULL;
}

static enum sweep_kind extra_kind_of(const char *key)
{
    static const char storyboard[] = "storyboard/";
    const char *file = inside(key, "text/");

    if (file && strcmp(file, "index.m3u8") == 0)
        return SWEEP_PLAYLIST;
    if (file && (strcmp(file, "all.vtt") == 0 || is_numbered(file, "seg-", ".vtt")))
        return SWEEP_SEGMENT;
    if (strcmp(key, "poster.jpg") == 0)
        return SWEEP_SEGMENT;
    if (strncmp(key, storyboard, sizeof(storyboard) - 1) != 0)
        return SWEEP_NOT_OURS;
    file = key + sizeof(storyboard) - 1;
    if (strcmp(file, "index.m3u8") == 0)
        return SWEEP_PLAYLIST;
    return strcmp(file, "index.vtt") == 0 || is_numbered(file, "sheet-", ".jpg") ? SWEEP_SEGMENT
                                                                                 : SWEEP_NOT_OURS;
}

/* Of what lies in a version's folder, or at the output itself. */
static enum sweep_kind media_kind_of(const char *key)
{
    const char *video = inside(key, "video/"), *file = video ? video : inside(key, "audio/");

    if (!file)
        return extra_kind_of(key);
    if (strcmp(file, "index.m3u8") == 0 || (video && strcmp(file, "iframe.m3u8") == 0))
        return SWEEP_PLAYLIST;
    return strcmp(file, "init.mp4") == 0 || is_numbered(file, "seg-", ".m4s") ? SWEEP_SEGMENT
                                                                              : SWEEP_NOT_OURS;
}

enum sweep_kind sweep_kind_of(const char *key)
{
    if (strcmp(key, "master.m3u8") == 0)
        return SWEEP_MASTER;
    if (strcmp(key, "manifest.mpd") == 0)
        return SWEEP_MANIFEST;
    if (strcmp(key, RECEIPT) == 0)
        return SWEEP_RECEIPT;
    return media_kind_of(key + version_folder(key));
}

/* ---- what the receipt names ---- */

struct names {
    struct receipt_head head; /* holds the keys; without json: there is none */
    const char **keys;        /* sorted */
    size_t n, room;
    int other_job; /* it is not the receipt of ours */
};

static void names_releasep(struct names *l)
{
    receipt_head_release(&l->head);
    free(l->keys);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int is_named(const struct names *l, const char *key)
{
    return l->n > 0 && bsearch(&key, l->keys, l->n, sizeof(*l->keys), by_text) != NULL;
}

static int broken(struct err *err, const char *what)
{
    return err_set(err, -EPROTO, ERR_INPUT,
                   RECEIPT " is no receipt (%s): nothing is removed; look at it, and remove it by "
                           "hand",
                   what);
}

/* `key` is what every entry of a receipt calls its name. */
static int add_key(struct names *l, const json_t *entry, struct err *err)
{
    const char *key = json_string_value(json_object_get(entry, "key"));
    enum sweep_kind kind = key ? sweep_kind_of(key) : SWEEP_NOT_OURS;

    if (kind == SWEEP_NOT_OURS || kind == SWEEP_RECEIPT)
        return broken(err, "it names what no package has");
    if (l->n == l->room) {
        size_t room = l->room ? 2 * l->room : 256;
        const char **grown = reallocarray(l->keys, room, sizeof(*grown));
        if (!grown)
            return no_memory(err);
        l->keys = grown;
        l->room = room;
    }
    l->keys[l->n++] = key;
    return 0;
}

static int add_all(struct names *l, const json_t *list, const char *what, struct err *err)
{
    size_t i;
    json_t *item;
    int r = json_array_size(list) > 0 ? 0 : broken(err, what);

    json_array_foreach (list, i, item) {
        if (r == 0)
            r = add_key(l, item, err);
    }
    return r;
}

static int add_renditions(struct names *l, const json_t *list, struct err *err)
{
    size_t i;
    json_t *item;
    int r = json_array_size(list) > 0 ? 0 : broken(err, "without renditions");

    json_array_foreach (list, i, item) {
        if (r == 0)
            r = add_key(l, json_object_get(item, "init"), err);
        if (r == 0)
            r = add_all(l, json_object_get(item, "segments"), "a rendition without segments", err);
    }
    return r;
}

/* None of a receipt by an older version. */
static int add_extras(struct names *l, const json_t *list, struct err *err)
{
    size_t i;
    json_t *item;
    int r = 0;

    json_array_foreach (list, i, item) {
        if (r == 0)
            r = add_all(l, json_object_get(item, "objects"), "an extra without objects", err);
    }
    return r;
}

static int names_read(struct store *s, const char *job, struct names *ret, struct err *err)
{
    int r = receipt_read(s, &ret->head, err);

    if (r < 0)
        return r == -ENOENT ? 0 : r;
    const json_t *receipt = ret->head.json;
    ret->other_job = strcmp(ret->head.job, job) != 0;
    r = add_renditions(ret, json_object_get(receipt, "renditions"), err);
    if (r == 0)
        r = add_extras(ret, json_object_get(receipt, "extras"), err);
    if (r == 0)
        r = add_all(ret, json_object_get(receipt, "texts"), "without playlists", err);
    if (r == 0)
        qsort(ret->keys, ret->n, sizeof(*ret->keys), by_text);
    return r;
}

/* ---- versions that stay ---- */

/* What a text names of versions is in its first lines. */
static int read_top(struct store *s, const char *key, char *ret, size_t room, struct err *err)
{
    size_t n = 0, at = 0;
    int r;

    do {
        r = s->ops->get_range(s, key, NULL, at, ret + at, room - 1 - at, &n, err);
        at += r == 0 ? n : 0;
    } while (r == 0 && n > 0 && at < room - 1);
    ret[at] = '\0';
    return r == -ENOENT ? 0 : r;
}

/* Publishing that was cut off may have swapped one of the two already. */
static int find_named(struct store *s, const char *key, char ret[VERSION_ROOM], struct err *err)
{
    _cleanup_free_ char *text = malloc(TOP_MAX);

    *ret = '\0';
    if (!text)
        return no_memory(err);
    int r = read_top(s, key, text, TOP_MAX, err);
    for (const char *p = text; r == 0 && (p = strchr(p, 'v')); p++) {
        size_t n = version_folder(p);
        if (n > 0 && n < VERSION_ROOM) {
            memcpy(ret, p, n - 1);
            ret[n - 1] = '\0';
            break;
        }
    }
    return r;
}

/* Of a version by that name, "" included. */
static int is_of(const char *key, const char *version)
{
    size_t n = version_folder(key);

    return n == 0 ? version[0] == '\0'
                  : strlen(version) == n - 1 && strncmp(key, version, n - 1) == 0;
}

static int is_spared(const struct sweep_what *w, const char *key)
{
    for (size_t i = 0; i < w->n_spared; i++)
        if (is_of(key, w->spared[i]))
            return 1;
    return 0;
}

/* ---- what is removed ---- */

struct victim {
    char *key;
    enum sweep_kind kind;
};

struct victims {
    struct victim *items;
    size_t n, room;
    const struct names *keep; /* NULL: nothing */
    const struct sweep_what *what;
    int all; /* also what is spared */
    struct err *err;
};

static void victims_releasep(struct victims *l)
{
    for (size_t i = 0; i < l->n; i++)
        free(l->items[i].key);
    free(l->items);
}

static int in_turn(const void *a, const void *b)
{
    const struct victim *x = a, *y = b;
    return x->kind != y->kind ? (int)x->kind - (int)y->kind : strcmp(x->key, y->key);
}

static int consider(void *arg, const char *key, const struct store_stat *st)
{
    struct victims *l = arg;
    enum sweep_kind kind = sweep_kind_of(key);

    (void)st;
    if (kind == SWEEP_NOT_OURS || (l->keep && (is_named(l->keep, key) || kind == SWEEP_RECEIPT)))
        return 0;
    if ((kind == SWEEP_SEGMENT || kind == SWEEP_PLAYLIST) && !l->all && is_spared(l->what, key))
        return 0;
    if (l->n == l->room) {
        size_t room = l->room ? 2 * l->room : 256;
        struct victim *grown = reallocarray(l->items, room, sizeof(*grown));
        if (!grown)
            return no_memory(l->err);
        l->items = grown;
        l->room = room;
    }
    l->items[l->n].key = strdup(key);
    if (!l->items[l->n].key)
        return no_memory(l->err);
    l->items[l->n++].kind = kind;
    return 0;
}

/* Asked for by name: a listing of all might be that of a whole bucket. */
static int consider_tops(struct store *s, struct victims *l)
{
    static const char *const tops[] = { "master.m3u8", "manifest.mpd", "poster.jpg", RECEIPT };
    struct store_stat st;
    int r = 0;

    for (size_t i = 0; i < sizeof(tops) / sizeof(tops[0]) && r == 0; i++) {
        r = s->ops->head(s, tops[i], &st, l->err);
        if (r == 0)
            r = consider(l, tops[i], &st);
        else if (r == -ENOENT)
            r = 0;
    }
    return r;
}

static int consider_folders(struct store *s, struct victims *l)
{
    /* "v": of versions, and video/ */
    static const char *const folders[] = { "v", "audio/", "text/", "storyboard/" };
    int r = 0;

    for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]) && r == 0; i++)
        r = s->ops->list(s, folders[i], consider, l, l->err);
    return r;
}

/* Media of versions that master or manifest name stays: they are of the published package,
 * or publishing was cut off between the two. */
static int keep_named(struct store *s, struct victims *l)
{
    char versions[2][VERSION_ROOM] = { "", "" };
    size_t in_versions = 0, n = 0;
    int r = 0;

    for (size_t i = 0; i < l->n; i++)
        in_versions += version_folder(l->items[i].key) > 0;
    if (!l->keep || in_versions == 0)
        return 0;
    r = find_named(s, "master.m3u8", versions[0], l->err);
    if (r == 0)
        r = find_named(s, "manifest.mpd", versions[1], l->err);
    for (size_t i = 0; i < l->n && r == 0; i++) {
        char *key = l->items[i].key;
        if ((versions[0][0] && is_of(key, versions[0])) ||
            (versions[1][0] && is_of(key, versions[1])))
            free(key);
        else
            l->items[n++] = l->items[i];
    }
    l->n = r == 0 ? n : l->n;
    return r;
}

int package_sweep(struct store *s, const struct sweep_what *what, size_t *ret_removed,
                  struct err *err)
{
    _cleanup_(names_releasep) struct names names = { 0 };
    _cleanup_(victims_releasep) struct victims l = { .err = err, .what = what };
    int r = names_read(s, what->job, &names, err);

    *ret_removed = 0;
    if (r < 0)
        return r;
    l.all = names.head.json && what->everything && !names.other_job;
    if (names.head.json && !l.all)
        l.keep = &names;
    if ((r = consider_tops(s, &l)) < 0 || (r = consider_folders(s, &l)) < 0 ||
        (r = keep_named(s, &l)) < 0)
        return r;
    if (l.n > 0)
        qsort(l.items, l.n, sizeof(*l.items), in_turn);
    for (size_t i = 0; i < l.n && r == 0; i++) {
        r = s->ops->del(s, l.items[i].key, err);
        *ret_removed += r == 0;
    }
    return r;
}
