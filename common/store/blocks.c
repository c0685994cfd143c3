#include "blocks.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "../base/cleanup.h"
#include "../base/err.h"
#include "../base/range.h"
#include "store.h"

enum {
    DEFAULT_LIMIT = 64 << 20,
    BUCKETS = 256,
    AHEAD_FILE = 2,  /* blocks fetched ahead of a sequential reader: the kernel does the rest */
    AHEAD_NET = 8,   /* where each takes a round trip */
    AHEAD_MAX = 256, /* requests waiting for the helper threads; more are dropped */
    HELPERS_MAX = 8, /* over a network; of a folder's blocks one fetches */
    CURSORS = 4,     /* places at which a reader goes forward */
    NEAR = 2,        /* blocks: to this distance reading on is quicker than asking anew */
};

/* One source, named by URL and etag. It lives while a reader, a block or a
 * read-ahead request refers to it. */
struct source {
    struct source *next;
    char *url, *etag, *key;
    struct store *store;
    int net; /* not a folder */
    uint64_t size_bytes;
    unsigned refs;
};

/*           fetched            copied from, then
 *  (none) ─▶ loading ─▶ ready ─▶ ready, unused ─▶ (evicted)
 *               └ failed: taken out; each who waited loads it for itself
 */
struct block {
    struct block *chain;         /* in its bucket */
    struct block *older, *newer; /* by last use */
    struct source *source;
    uint64_t index;
    int ready;
    unsigned users; /* copying from it or loading it */
    size_t len;
    unsigned char data[];
};

struct ahead {
    struct source *source; /* holds a ref */
    uint64_t index;
};

struct blocks {
    struct store_env *stores; /* borrowed */
    size_t limit_blocks;

    pthread_mutex_t lock;  /* guards everything below, and all of block and source that changes */
    pthread_cond_t loaded; /* a block became ready, or failed */
    pthread_cond_t wanted; /* something to read ahead, or stopping */
    struct source *sources;
    struct block *buckets[BUCKETS];
    struct block *oldest, *newest;
    size_t n_blocks;
    struct ahead ahead[AHEAD_MAX];
    size_t n_ahead;
    unsigned n_readers;
    pthread_t helpers[HELPERS_MAX]; /* the first from the start, others as they are needed */
    unsigned n_helpers, n_idle;
    int stopping;
};

/* A place at which a reader goes forward. */
struct cursor {
    uint64_t next; /* block that is wanted next */
    uint64_t run;  /* blocks read one after the other */
};

struct block_reader {
    struct blocks *blocks;
    struct source *source;
    struct cursor cursors[CURSORS]; /* last used first */
};

static int no_memory(struct err *err)
{
    return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory");
}

/* ---- sources ---- */

static void source_free(struct source *s)
{
    if (!s)
        return;
    store_free(s->store);
    free(s->url);
    free(s->etag);
    free(s->key);
    free(s);
}
DEFINE_CLEANUP(struct source *, source_free);

/* Locked. */
static void source_unref(struct blocks *b, struct source *s)
{
    if (--s->refs > 0)
        return;
    struct source **p = &b->sources;
    while (*p != s)
        p = &(*p)->next;
    *p = s->next;
    source_free(s);
}

/* What a store says about a missing source is the upload's fault here. */
static int source_error(int r, const char *url, struct err *err)
{
    if (r == -ENOENT)
        return err_set(err, r, ERR_INPUT, "source %.500s is not there", url);
    return r;
}

static int source_open(struct store_env *stores, const char *url, const char *etag,
                       struct source **ret, struct err *err)
{
    _cleanup_(source_freep) struct source *s = calloc(1, sizeof(*s));
    struct store_stat st;

    if (!s || !(s->url = strdup(url)))
        return no_memory(err);
    int r = store_open_object(stores, url, &s->store, &s->key, err);
    if (r == 0)
        r = s->store->ops->head(s->store, s->key, &st, err);
    if (r < 0)
        return source_error(r, url, err);
    if (etag && etag[0] && strcmp(etag, st.etag) != 0)
        return err_set(err, -ESTALE, ERR_INPUT, "source %.500s was changed or replaced", url);
    s->size_bytes = st.size_bytes;
    s->net = strcmp(s->store->ops->name, "file") != 0;
    s->etag = strdup(st.etag);
    if (!s->etag)
        return no_memory(err);
    *ret = take_ptr(s);
    return 0;
}

/* Locked. */
static struct source *source_find(struct blocks *b, const char *url, const char *etag)
{
    for (struct source *s = b->sources; s; s = s->next)
        if (strcmp(s->url, url) == 0 && strcmp(s->etag, etag) == 0)
            return s;
    return NULL;
}

/* ---- blocks: all of these are called locked ---- */

static struct block **bucket(struct blocks *b, const struct source *s, uint64_t index)
{
    uint64_t h = ((uintptr_t)s >> 4) * UINT64_C(0x9e3779b97f4a7c15) + index;
    return &b->buckets[h % BUCKETS];
}

static struct block *block_find(struct blocks *b, const struct source *s, uint64_t index)
{
    struct block *k = *bucket(b, s, index);

    while (k && (k->source != s || k->index != index))
        k = k->chain;
    return k;
}

static void lru_unlink(struct blocks *b, struct block *k)
{
    *(k->older ? &k->older->newer : &b->oldest) = k->newer;
    *(k->newer ? &k->newer->older : &b->newest) = k->older;
}

static void lru_push(struct blocks *b, struct block *k)
{
    k->older = b->newest;
    k->newer = NULL;
    *(b->newest ? &b->newest->newer : &b->oldest) = k;
    b->newest = k;
}

static void block_remove(struct blocks *b, struct block *k)
{
    struct block **p = bucket(b, k->source, k->index);

    while (*p != k)
        p = &(*p)->chain;
    *p = k->chain;
    lru_unlink(b, k);
    b->n_blocks--;
    source_unref(b, k->source);
    free(k);
}

static void evict(struct blocks *b)
{
    for (struct block *k = b->oldest, *newer; k && b->n_blocks > b->limit_blocks; k = newer) {
        newer = k->newer;
        if (k->ready && k->users == 0)
            block_remove(b, k);
    }
}

/* A new block that is being loaded, used once by the caller; or NULL. */
static struct block *block_add(struct blocks *b, struct source *s, uint64_t index)
{
    uint64_t left = s->size_bytes - index * BLOCK_SIZE;
    size_t len = left < BLOCK_SIZE ? (size_t)left : BLOCK_SIZE;
    struct block *k = malloc(sizeof(*k) + len);

    if (!k)
        return NULL;
    *k = (struct block){ .source = s, .index = index, .users = 1, .len = len };
    struct block **head = bucket(b, s, index);
    k->chain = *head;
    *head = k;
    lru_push(b, k);
    s->refs++;
    b->n_blocks++;
    evict(b);
    return k;
}

/* Fill `k`, which the caller has just added. Unlocks meanwhile. Where it
 * fails, the caller's block_unuse() takes the block out. */
static int block_load(struct blocks *b, struct block *k, struct err *err)
{
    struct source *s = k->source;
    size_t n = 0;

    (void)pthread_mutex_unlock(&b->lock);
    int r = s->store->ops->get_range(s->store, s->key, s->etag, k->index * BLOCK_SIZE, k->data,
                                     k->len, &n, err);
    if (r < 0)
        r = source_error(r, s->url, err);
    else if (n < k->len)
        r = err_set(err, -EIO, ERR_STORAGE, "source %.500s ended %zu bytes early", s->url,
                    k->len - n);
    (void)pthread_mutex_lock(&b->lock);
    k->ready = r == 0;
    (void)pthread_cond_broadcast(&b->loaded);
    return r;
}

static void block_unuse(struct blocks *b, struct block *k)
{
    if (--k->users == 0 && !k->ready)
        block_remove(b, k); /* failed */
}

/* A ready block, used by the caller: the cached one, or loaded now, or waited
 * for where another thread loads it. */
static int block_get(struct blocks *b, struct source *s, uint64_t index, struct block **ret,
                     struct err *err)
{
    for (;;) {
        struct block *k = block_find(b, s, index);
        if (!k) {
            k = block_add(b, s, index);
            if (!k)
                return no_memory(err);
            int r = block_load(b, k, err);
            if (r < 0) {
                block_unuse(b, k);
                return r;
            }
            *ret = k;
            return 0;
        }
        if (k->ready) {
            k->users++;
            lru_unlink(b, k);
            lru_push(b, k);
            *ret = k;
            return 0;
        }
        (void)pthread_cond_wait(&b->loaded, &b->lock);
    }
}

/* ---- read-ahead: locked ---- */

static void *read_ahead(void *arg);

static void ask_ahead(struct blocks *b, struct source *s, uint64_t index)
{
    if (index * BLOCK_SIZE >= s->size_bytes || b->n_ahead == AHEAD_MAX || block_find(b, s, index))
        return;
    for (size_t i = 0; i < b->n_ahead; i++)
        if (b->ahead[i].source == s && b->ahead[i].index == index)
            return;
    s->refs++;
    b->ahead[b->n_ahead++] = (struct ahead){ s, index };
    (void)pthread_cond_signal(&b->wanted);
    if (s->net && b->n_ahead > b->n_idle && b->n_helpers < HELPERS_MAX &&
        pthread_create(&b->helpers[b->n_helpers], NULL, read_ahead, b) == 0)
        b->n_helpers++; /* where none can be had, those that there are have to do */
}

/* How far ahead: not so far that readers push out each other's blocks
 * before they are used. */
static uint64_t ahead_of(const struct blocks *b, const struct source *s)
{
    uint64_t room = b->limit_blocks / (2 * (uint64_t)b->n_readers);

    if (!s->net || room <= AHEAD_FILE)
        return AHEAD_FILE;
    return room < AHEAD_NET ? room : AHEAD_NET;
}

/* Note that block `index` is read; ask for those after it where a place of
 * this reader moved on to it: as many as were read there, since most headers
 * are a few blocks and followed by what nobody wants. */
static void note_place(struct block_reader *r, uint64_t index)
{
    struct blocks *b = r->blocks;
    struct cursor c = { .next = index + 1, .run = 1 };
    size_t i = 0;

    while (i < CURSORS && r->cursors[i].next != index && r->cursors[i].next != index + 1)
        i++;
    if (i < CURSORS && r->cursors[i].next == index) {
        uint64_t most = ahead_of(b, r->source);
        c.run = r->cursors[i].run + 1;
        for (uint64_t k = 1; k <= (c.run < most ? c.run : most); k++)
            ask_ahead(b, r->source, index + k);
    } else if (i < CURSORS) {
        c.run = r->cursors[i].run; /* still in the same block */
    }
    if (i == CURSORS)
        i--; /* a new place: it takes that of the one not used for longest */
    memmove(r->cursors + 1, r->cursors, i * sizeof(*r->cursors));
    r->cursors[0] = c;
}

static void *read_ahead(void *arg)
{
    struct blocks *b = arg;

    (void)pthread_mutex_lock(&b->lock);
    while (!b->stopping) {
        if (b->n_ahead == 0) {
            b->n_idle++;
            (void)pthread_cond_wait(&b->wanted, &b->lock);
            b->n_idle--;
            continue;
        }
        struct ahead a = b->ahead[0];
        memmove(b->ahead, b->ahead + 1, --b->n_ahead * sizeof(a));
        struct block *k = NULL;
        if (!block_find(b, a.source, a.index))
            k = block_add(b, a.source, a.index);
        if (k) {
            (void)block_load(b, k, NULL); /* the reader itself will say why, if it comes here */
            block_unuse(b, k);
        }
        source_unref(b, a.source);
    }
    (void)pthread_mutex_unlock(&b->lock);
    return NULL;
}

/* ---- the outside ---- */

int blocks_new(struct store_env *stores, size_t limit_bytes, struct blocks **ret, struct err *err)
{
    struct blocks *b = calloc(1, sizeof(*b));

    if (!b)
        return no_memory(err);
    b->stores = stores;
    b->limit_blocks = (limit_bytes ? limit_bytes : DEFAULT_LIMIT) / BLOCK_SIZE;
    if (b->limit_blocks == 0)
        b->limit_blocks = 1;
    (void)pthread_mutex_init(&b->lock, NULL);
    (void)pthread_cond_init(&b->loaded, NULL);
    (void)pthread_cond_init(&b->wanted, NULL);
    int r = -pthread_create(&b->helpers[0], NULL, read_ahead, b);
    if (r < 0) {
        free(b);
        return err_set(err, r, ERR_RESOURCE, "can't start a thread: %s", strerror(-r));
    }
    (void)pthread_mutex_lock(&b->lock);
    b->n_helpers++;
    (void)pthread_mutex_unlock(&b->lock);
    *ret = b;
    return 0;
}

void blocks_free(struct blocks *b)
{
    if (!b)
        return;
    (void)pthread_mutex_lock(&b->lock);
    b->stopping = 1;
    (void)pthread_cond_broadcast(&b->wanted);
    (void)pthread_mutex_unlock(&b->lock);
    for (unsigned i = 0; i < b->n_helpers; i++)
        (void)pthread_join(b->helpers[i], NULL);
    for (size_t i = 0; i < b->n_ahead; i++)
        source_unref(b, b->ahead[i].source);
    while (b->oldest)
        block_remove(b, b->oldest);
    (void)pthread_cond_destroy(&b->loaded);
    (void)pthread_cond_destroy(&b->wanted);
    (void)pthread_mutex_destroy(&b->lock);
    free(b);
}

/* A source over a network that is known by URL and etag: its blocks, every
 * one fetched by etag, need no further look at it. With a reference. */
static struct source *known_source(struct blocks *b, const char *url, const char *etag)
{
    struct source *s = NULL;

    (void)pthread_mutex_lock(&b->lock);
    if (etag && etag[0])
        s = source_find(b, url, etag);
    if (s && !s->net)
        s = NULL; /* a folder is asked at once whether it is still that one */
    if (s)
        s->refs++;
    (void)pthread_mutex_unlock(&b->lock);
    return s;
}

/* The source with a reference. */
static int look_at_source(struct blocks *b, const char *url, const char *etag, struct source **ret,
                          struct err *err)
{
    _cleanup_(source_freep) struct source *fresh = NULL;
    int r = source_open(b->stores, url, etag, &fresh, err);

    if (r < 0)
        return r;
    (void)pthread_mutex_lock(&b->lock);
    struct source *s = source_find(b, url, fresh->etag);
    if (!s) {
        fresh->next = b->sources;
        b->sources = s = take_ptr(fresh);
    }
    s->refs++;
    (void)pthread_mutex_unlock(&b->lock);
    *ret = s;
    return 0;
}

int block_reader_open(struct blocks *b, const char *url, const char *etag,
                      struct block_reader **ret, struct err *err)
{
    _cleanup_free_ struct block_reader *reader = calloc(1, sizeof(*reader));

    if (!reader)
        return no_memory(err);
    reader->blocks = b;
    reader->source = known_source(b, url, etag);
    if (!reader->source) {
        int r = look_at_source(b, url, etag, &reader->source, err);
        if (r < 0)
            return r;
    }
    (void)pthread_mutex_lock(&b->lock);
    b->n_readers++;
    (void)pthread_mutex_unlock(&b->lock);
    *ret = take_ptr(reader);
    return 0;
}

void block_reader_close(struct block_reader *r)
{
    if (!r)
        return;
    (void)pthread_mutex_lock(&r->blocks->lock);
    r->blocks->n_readers--;
    source_unref(r->blocks, r->source);
    (void)pthread_mutex_unlock(&r->blocks->lock);
    free(r);
}

uint64_t block_reader_size(const struct block_reader *r)
{
    return r->source->size_bytes;
}

const char *block_reader_etag(const struct block_reader *r)
{
    return r->source->etag;
}

/* What is wanted of one block, at most. */
static int read_one(struct block_reader *r, uint64_t off, void *buf, size_t len, size_t *ret_n,
                    struct err *err)
{
    struct blocks *b = r->blocks;
    struct block *k = NULL;
    uint64_t index = off / BLOCK_SIZE;
    size_t at = (size_t)(off % BLOCK_SIZE);

    (void)pthread_mutex_lock(&b->lock);
    note_place(r, index);
    int ret = block_get(b, r->source, index, &k, err);
    (void)pthread_mutex_unlock(&b->lock);
    if (ret < 0)
        return ret;

    size_t n = k->len - at < len ? k->len - at : len;
    memcpy(buf, k->data + at, n); /* unlocked: a block in use is never evicted */
    (void)pthread_mutex_lock(&b->lock);
    block_unuse(b, k);
    (void)pthread_mutex_unlock(&b->lock);
    *ret_n = n;
    return 0;
}

int block_reader_read(struct block_reader *r, uint64_t off, void *buf, size_t len, size_t *ret_n,
                      struct err *err)
{
    uint64_t size = r->source->size_bytes;
    size_t done = 0;

    if (off >= size)
        len = 0;
    else if (len > size - off)
        len = (size_t)(size - off);
    while (done < len) {
        size_t n;
        int ret = read_one(r, off + done, (char *)buf + done, len - done, &n, err);
        if (ret < 0)
            return ret;
        done += n;
    }
    *ret_n = done;
    return 0;
}

/* Whether reading block `index` is reading on, or again. */
static int is_near(struct block_reader *r, uint64_t index)
{
    int near = !r->source->net;

    (void)pthread_mutex_lock(&r->blocks->lock);
    for (size_t i = 0; i < CURSORS; i++)
        near |= r->cursors[i].run > 0 && index - r->cursors[i].next + 1 <= NEAR;
    near |= block_find(r->blocks, r->source, index) != NULL;
    (void)pthread_mutex_unlock(&r->blocks->lock);
    return near;
}

int block_reader_peek(struct block_reader *r, uint64_t off, void *buf, size_t len, size_t *ret_n,
                      struct err *err)
{
    struct source *s = r->source;

    if (off >= s->size_bytes || is_near(r, off / BLOCK_SIZE))
        return block_reader_read(r, off, buf, len, ret_n, err);
    int ret = s->store->ops->get_range(s->store, s->key, s->etag, off, buf, len, ret_n, err);
    return ret < 0 ? source_error(ret, s->url, err) : 0;
}

int block_reader_read_many(struct block_reader *r, struct read_range *v, size_t n, struct err *err)
{
    struct source *s = r->source;
    int ret = store_get_many(s->store, s->key, s->etag, v, n, STORE_AT_ONCE, err);

    return ret < 0 ? source_error(ret, s->url, err) : 0;
}
