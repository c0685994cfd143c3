/* store.h - where sources are read and packages are written: one interface
 * over a folder (file.c), an S3 bucket (s3.c) and, for reading, https (env.h).
 *
 * Keys are UTF-8, relative, '/'-separated, without empty, "." or ".." parts
 * (checked by store_key_check(); -EINVAL with ERR_INPUT otherwise).
 * Every function may be called by any thread at once. `err` is ERR_STORAGE
 * unless said otherwise. Nothing is retried here that could be retried by
 * the caller with more knowledge, except what the back end itself calls
 * transient.
 */
#ifndef GOPMILL_STORE_STORE_H
#define GOPMILL_STORE_STORE_H

#include <stddef.h>
#include <stdint.h>

struct err;
struct read_range;
struct store;
struct store_env;

struct store_stat {
    uint64_t size_bytes;
    char etag[128]; /* changes whenever the bytes may have */
    char md5[33];   /* of the bytes, lower-case hex, where the store knows it; else "" */
};

struct store_put_opts {
    const char *content_type;  /* borrowed; NULL: application/octet-stream */
    const char *cache_control; /* borrowed; NULL: none */
    int durable;               /* on disk (file: fsync of file and folder) before it returns */
    int if_absent;             /* only where there is no such object yet: -EEXIST */
};

struct store_ops {
    const char *name; /* "file", "s3" */

    /* -ENOENT where there is no such object. */
    int (*head)(struct store *s, const char *key, struct store_stat *ret, struct err *err);

    /* Up to `len` bytes from `off` into `buf`; *ret_n < len only at the end
     * of the object. `etag` (borrowed, may be NULL): -ESTALE with ERR_INPUT
     * where the object is no longer that one. -ENOENT. */
    int (*get_range)(struct store *s, const char *key, const char *etag, uint64_t off, void *buf,
                     size_t len, size_t *ret_n, struct err *err);

    /* Readers see the old object or all of the new one, never a mix, also
     * when the writer is killed. Same key from two writers: the last wins. */
    int (*put)(struct store *s, const char *key, const void *buf, size_t len,
               const struct store_put_opts *opts, struct err *err);

    /* Calls `each` for every object whose key starts with `prefix` ("" for
     * all), in no promised order; a non-zero return ends the listing and is
     * returned. Left-overs of killed writers are not listed. */
    int (*list)(struct store *s, const char *prefix,
                int (*each)(void *arg, const char *key, const struct store_stat *st), void *arg,
                struct err *err);

    /* 0 also where there was no such object. */
    int (*del)(struct store *s, const char *key, struct err *err);

    /* Remove what killed writers left behind; living writers are let alone.
     * NULL where the back end leaves nothing. */
    int (*sweep)(struct store *s, struct err *err);

    /* Everything put so far is durable when this returns. NULL where puts
     * are durable by themselves. */
    int (*sync)(struct store *s, struct err *err);

    void (*free)(struct store *s);
};

/* Back ends put this first in their own struct. */
struct store {
    const struct store_ops *ops;
};

static inline void store_free(struct store *s)
{
    if (s)
        s->ops->free(s);
}

/* A folder as a store. `root` is copied; it is made if `create` is set, else
 * -ENOENT. The etag is made of size, mtime (ns) and inode. */
int store_file_open(const char *root, int create, struct store **ret, struct err *err);

/* Open the store of a URL: file:///path, s3://bucket/key, and for objects
 * https://host/path. `env` (borrowed, must outlive the store) says how stores
 * are reached; with NULL it is file:// only. ERR_UNSUPPORTED for a scheme that
 * this build or this env has not, ERR_USAGE for a URL that isn't one.
 * Opening does no network I/O: a bucket that isn't there is told by its use.
 * _object: the store that holds the object, and its key (allocated).
 * _prefix: the folder itself as a store, made where `create` is set. */
int store_open_object(struct store_env *env, const char *url, struct store **ret, char **ret_key,
                      struct err *err);
int store_open_prefix(struct store_env *env, const char *url, int create, struct store **ret,
                      struct err *err);

/* "file://" + the absolute, percent-encoded path. NULL: out of memory, or
 * the path can't be made absolute (errno). */
char *store_file_url(const char *path);

/* What makes a store_env (env.h) out of reach of this file: libcommon itself
 * knows no network. Owned by whoever made it. */
struct store_env {
    /* For every URL that isn't file://; as store_open_object() and _prefix(). */
    int (*open_object)(struct store_env *e, const char *url, struct store **ret, char **ret_key,
                       struct err *err);
    int (*open_prefix)(struct store_env *e, const char *url, struct store **ret, struct err *err);
    /* As store_was_away(), with `refused` as store_was_refusing(); NULL: never. */
    int (*was_away)(struct store_env *e, int64_t since_ns, int refused);
};

/* Whether the farm's store (health.h) was away at any time since `since_ns` (CLOCK_MONOTONIC): a
 * failure of class storage of what began then is the farm's state. `e` may be NULL. */
static inline int store_was_away(struct store_env *e, int64_t since_ns)
{
    return e && e->was_away && e->was_away(e, since_ns, 0);
}

/* Likewise, whether it refused this machine's credentials: where others have better ones. */
static inline int store_was_refusing(struct store_env *e, int64_t since_ns)
{
    return e && e->was_away && e->was_away(e, since_ns, 1);
}

/* Many ranges (range.h) of one object, up to `at_once` of them at the same time: for small ones,
 * of which each would wait for the store. As get_range() for each; of failures, the first. */
enum { STORE_AT_ONCE = 16 }; /* a store takes so many from one who asks */
int store_get_many(struct store *s, const char *key, const char *etag, struct read_range *v,
                   size_t n, unsigned at_once, struct err *err);

/* 0, or -EINVAL with a reason. */
int store_key_check(const char *key, struct err *err);

#endif
