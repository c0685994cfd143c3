/* s3.c - a bucket, or the keys below a prefix of one, as a store. */
#include "s3.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../base/cleanup.h"
#include "../base/err.h"
#include "../base/utf8.h"

enum { PAGES_MAX = 100000 }; /* 100 million objects */

static struct s3_store *s3_store(struct store *s)
{
    return (struct s3_store *)s; /* store is its first member */
}

static int no_memory(struct err *err)
{
    return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory");
}

/* ---- a call ---- */

void s3_call_release(struct s3_call *c)
{
    free(c->url);
    free(c->path);
    free(c->query);
    free(c->shown);
    memset(c, 0, sizeof(*c));
}

void s3_call_header(struct s3_call *c, const char *name, const char *value)
{
    c->q.headers[c->q.n_headers++] = (struct sigv4_header){ name, value };
}

static int check_key(const struct s3_store *s, const char *key, struct err *err)
{
    int r = s->any_key ? s3_key_check(key, err) : store_key_check(key, err);

    if (r == 0 && strlen(s->prefix) + strlen(key) > S3_KEY_MAX)
        return err_set(err, -EINVAL, ERR_INPUT,
                       "%.200s%.200s… is longer than %d bytes, as keys may be", s->prefix, key,
                       S3_KEY_MAX);
    return r;
}

static int make_path(const struct s3_store *s, const char *key, char **ret)
{
    size_t size = 3 * (strlen(s->prefix) + (key ? strlen(key) : 0)) + strlen(s->bucket) + 3;
    char *path = malloc(size), *out = path;

    if (!path)
        return -ENOMEM;
    *out++ = '/';
    if (s->in_path) {
        out = stpcpy(out, s->bucket);
        if (key)
            *out++ = '/';
    }
    *out = '\0';
    if (key) {
        out = sigv4_encode(s->prefix, 1, out);
        (void)sigv4_encode(key, 1, out);
    }
    *ret = path;
    return 0;
}

static int make_texts(const struct s3_store *s, const char *key, struct s3_call *c)
{
    if (asprintf(&c->url, "%s://%s%s%s%s", s->env->scheme, s->host, c->path, c->query[0] ? "?" : "",
                 c->query) < 0) {
        c->url = NULL;
        return -ENOMEM;
    }
    if (asprintf(&c->shown, "s3://%s%s%s%s", s->bucket, key ? "/" : "", key ? s->prefix : "",
                 key ? key : "") < 0) {
        c->shown = NULL;
        return -ENOMEM;
    }
    return 0;
}

int s3_call_init(struct s3_store *s, const char *method, const char *key,
                 struct sigv4_param *params, size_t n, struct s3_call *c, struct err *err)
{
    memset(c, 0, sizeof(*c));
    int r = key ? check_key(s, key, err) : 0;
    if (r < 0)
        return r;
    c->query = sigv4_query(params, n);
    if (!c->query || make_path(s, key, &c->path) < 0 || make_texts(s, key, c) < 0)
        return no_memory(err);
    c->target = (struct http_target){ s->host, c->path, c->query };
    c->q = (struct http_request){ .method = method,
                                  .url = c->url,
                                  .shown = c->shown,
                                  .sign = &c->target,
                                  .room = HTTP_ERROR_BODY_MAX,
                                  .deadline_ns = http_deadline(s->env) };
    return 0;
}

/* ---- what an answer means ---- */

static int denied(const struct s3_store *s, const struct s3_call *c, const struct http_answer *a,
                  struct err *err)
{
    const char *said = a->error.code[0] ? a->error.code : "Forbidden";
    const char *colon = a->error.message[0] ? ": " : "";

    if (!s->env->access_key)
        return err_set(err, -EACCES, ERR_STORAGE,
                       "%.300s: %s refused, and there are no credentials (AWS_ACCESS_KEY_ID is "
                       "not set) (%d %s)",
                       c->shown, c->q.method, a->status, said);
    return err_set(err, -EACCES, ERR_STORAGE,
                   "%.300s: access key id %.40s is not allowed to %s in bucket %s (%d %s%s%.150s)",
                   c->shown, s->env->access_key, c->q.method, s->bucket, a->status, said, colon,
                   a->error.message);
}

static int no_bucket(const struct s3_store *s, struct err *err)
{
    return err_set(err, -ENXIO, ERR_STORAGE, "there is no bucket %s at %s://%s (404 NoSuchBucket)",
                   s->bucket, s->env->scheme, s->env->host);
}

static int other_failure(const struct s3_call *c, const struct http_answer *a, struct err *err)
{
    const char *hint = "";

    if (a->status / 100 == 3 || strcmp(a->error.code, "AuthorizationHeaderMalformed") == 0)
        hint = "; is the bucket in another region?";
    return err_set(err, -EIO, ERR_STORAGE,
                   "%.300s: %s failed: the server answered %d%s%.64s%s%.200s%s", c->shown,
                   c->q.method, a->status, a->error.code[0] ? " " : "", a->error.code,
                   a->error.message[0] ? ": " : "", a->error.message, hint);
}

static int failure(struct s3_store *s, struct s3_call *c, const struct http_answer *a,
                   struct err *err)
{
    if (strcmp(a->error.code, "NoSuchBucket") == 0)
        return no_bucket(s, err);
    if (a->status == 404)
        return err_set(err, -ENOENT, ERR_STORAGE, "%.300s is not there", c->shown);
    if (a->status == 401 || a->status == 403)
        return denied(s, c, a, err);
    if (a->status == 412)
        return err_set(err, -S3_PRECONDITION, ERR_STORAGE, "%.300s: precondition failed", c->shown);
    return other_failure(c, a, err);
}

int s3_perform(struct s3_store *s, struct s3_call *c, struct http_answer *ret, struct err *err)
{
    int r = http_perform(s->env, &c->q, ret, err);

    if (r < 0)
        return r;
    if (ret->status / 100 == 2 && !ret->error.code[0]) {
        atomic_store(&s->bucket_seen, 1);
        return 0;
    }
    if (strcmp(ret->error.code, "NoSuchKey") == 0)
        atomic_store(&s->bucket_seen, 1);
    r = failure(s, c, ret, err);
    http_answer_release(ret);
    return r;
}

/* ---- reading ---- */

/* An answer to HEAD has no body to say which of the two is missing, or what
 * is wrong with the credentials; one to GET has. */
static int explain_head(struct s3_store *s, const char *key, int r, struct err *err)
{
    struct s3_call c;
    struct http_answer a = { 0 };
    char byte;

    if (r == -ENOENT && atomic_load(&s->bucket_seen))
        return r;
    int e = s3_call_init(s, "GET", key, NULL, 0, &c, err);
    if (e == 0) {
        s3_call_header(&c, "range", "bytes=0-0");
        c.q.ranged = 1;
        c.q.into = &byte;
        c.q.room = 1;
        e = s3_perform(s, &c, &a, err);
        http_answer_release(&a);
    }
    s3_call_release(&c);
    return e < 0 ? e : r;
}

static int fill_stat(const struct s3_call *c, const struct http_answer *a, struct store_stat *ret,
                     struct err *err)
{
    struct store_stat st = { 0 };

    if (a->length < 0 || s3_etag_copy(a->etag, st.etag, sizeof(st.etag)) < 0)
        return err_set(err, -EBADMSG, ERR_STORAGE,
                       "%.300s: the server tells no size or no usable ETag", c->shown);
    st.size_bytes = (uint64_t)a->length;
    /* With a key of its own the ETag is not the digest of the bytes. */
    if (!a->encryption[0] || strcmp(a->encryption, "AES256") == 0)
        (void)s3_etag_md5(st.etag, st.md5);
    *ret = st;
    return 0;
}

int s3_head(struct store *store, const char *key, struct store_stat *ret, struct err *err)
{
    struct s3_store *s = s3_store(store);
    struct s3_call c;
    struct http_answer a = { 0 };
    int r = s3_call_init(s, "HEAD", key, NULL, 0, &c, err);

    if (r == 0)
        r = s3_perform(s, &c, &a, err);
    if (r == 0) {
        r = fill_stat(&c, &a, ret, err);
        http_answer_release(&a);
    } else if (r == -ENOENT || r == -EACCES) {
        r = explain_head(s, key, r, err);
    }
    s3_call_release(&c);
    return r;
}

static int stale(const char *shown, struct err *err)
{
    return err_set(err, -ESTALE, ERR_INPUT, "%.500s was changed or replaced while in use", shown);
}

/* At or behind the end, where there are no bytes to ask for. */
static int get_nothing(struct store *store, const char *key, const char *etag, uint64_t off,
                       size_t len, size_t *ret_n, struct err *err)
{
    struct store_stat st;
    int r = s3_head(store, key, &st, err);

    if (r < 0)
        return r;
    if (etag && strcmp(etag, st.etag) != 0)
        return stale(key, err);
    if (len > 0 && off < st.size_bytes)
        return err_set(err, -EIO, ERR_STORAGE,
                       "%.300s: the server refuses bytes from %" PRIu64 " of %" PRIu64, key, off,
                       st.size_bytes);
    *ret_n = 0;
    return 0;
}

/* The answer, when another object's bytes came though If-Match was sent. */
static int check_etag(const struct s3_call *c, const struct http_answer *a, const char *etag,
                      struct err *err)
{
    char now[128];

    if (etag && s3_etag_copy(a->etag, now, sizeof(now)) == 0 && strcmp(now, etag) != 0)
        return stale(c->shown, err);
    return 0;
}

static int get_some(struct s3_store *s, const char *key, const char *etag, uint64_t off, void *buf,
                    size_t len, size_t *ret_n, struct err *err)
{
    _cleanup_(s3_call_release) struct s3_call c;
    struct http_answer a = { 0 };
    char range[64], match[132];
    int r = s3_call_init(s, "GET", key, NULL, 0, &c, err);

    if (r < 0)
        return r;
    (void)snprintf(range, sizeof(range), "bytes=%" PRIu64 "-%" PRIu64, off, off + len - 1);
    s3_call_header(&c, "range", range);
    if (etag) {
        (void)snprintf(match, sizeof(match), "\"%s\"", etag);
        s3_call_header(&c, "if-match", match);
    }
    c.q.ranged = 1;
    c.q.off = off;
    c.q.into = buf;
    c.q.room = len;
    r = http_perform(s->env, &c.q, &a, err);
    if (r < 0)
        return r;
    if (a.status == 416)
        r = -ERANGE;
    else if (a.status == 200 || a.status == 206)
        r = check_etag(&c, &a, etag, err);
    else
        r = failure(s, &c, &a, err);
    if (r == -S3_PRECONDITION)
        r = stale(c.shown, err);
    if (r == 0)
        *ret_n = a.n;
    http_answer_release(&a);
    return r;
}

static int s3_get_range(struct store *store, const char *key, const char *etag, uint64_t off,
                        void *buf, size_t len, size_t *ret_n, struct err *err)
{
    if (off > INT64_MAX - len)
        return err_set(err, -EINVAL, ERR_STORAGE, "%.300s: no object has bytes at %" PRIu64, key,
                       off);
    int r = len ? get_some(s3_store(store), key, etag, off, buf, len, ret_n, err) : -ERANGE;
    return r == -ERANGE ? get_nothing(store, key, etag, off, len, ret_n, err) : r;
}

/* ---- listing ---- */

static int get_page(struct s3_store *s, const char *prefix, const char *token, struct s3_page *ret,
                    struct err *err)
{
    struct sigv4_param params[] = {
        {"list-type",           "2"   },
        { "encoding-type",      "url" },
        { "prefix",             prefix},
        { "continuation-token", token }
    };
    struct s3_call c;
    struct http_answer a = { 0 };
    int r = s3_call_init(s, "GET", NULL, params, token ? 4 : 3, &c, err);

    c.q.room = S3_XML_MAX;
    if (r == 0)
        r = s3_perform(s, &c, &a, err);
    if (r == 0) {
        r = s3_page_parse(a.body ? a.body : "", a.n, ret, err);
        if (r < 0)
            (void)err_prefix(err, r, "%.300s", c.shown);
        http_answer_release(&a);
    }
    s3_call_release(&c);
    return r;
}

/* What other tools may have put there but no key of a store is, is left out. */
static int tell_page(const struct s3_store *s, const char *prefix, const struct s3_page *p,
                     int (*each)(void *arg, const char *key, const struct store_stat *st),
                     void *arg)
{
    int r = 0;

    for (size_t i = 0; i < p->n && r == 0; i++) {
        const struct s3_object *o = &p->objects[i];
        struct store_stat st = { .size_bytes = o->size_bytes };
        const char *key = o->key + strlen(s->prefix);
        if (strncmp(o->key, prefix, strlen(prefix)) != 0 || store_key_check(key, NULL) < 0)
            continue;
        memcpy(st.etag, o->etag, sizeof(o->etag));
        (void)s3_etag_md5(st.etag, st.md5);
        r = each(arg, key, &st);
    }
    return r;
}

static int list_all(struct s3_store *s, const char *prefix,
                    int (*each)(void *arg, const char *key, const struct store_stat *st), void *arg,
                    struct err *err)
{
    _cleanup_free_ char *token = NULL;

    for (int n = 0; n < PAGES_MAX; n++) {
        struct s3_page p = { 0 };
        int r = get_page(s, prefix, token, &p, err);
        if (r < 0)
            return r;
        r = tell_page(s, prefix, &p, each, arg);
        int same = p.next && token && strcmp(p.next, token) == 0;
        free(token);
        token = take_ptr(p.next);
        s3_page_release(&p);
        if (r != 0 || !token)
            return r;
        if (same)
            break;
    }
    return err_set(err, -EBADMSG, ERR_STORAGE, "s3://%s/%.300s: the list of objects has no end",
                   s->bucket, prefix);
}

static int s3_list(struct store *store, const char *prefix,
                   int (*each)(void *arg, const char *key, const struct store_stat *st), void *arg,
                   struct err *err)
{
    struct s3_store *s = s3_store(store);
    _cleanup_free_ char *whole = NULL;

    if (strlen(s->prefix) + strlen(prefix) > S3_KEY_MAX || !utf8_valid(prefix, strlen(prefix)))
        return err_set(err, -EINVAL, ERR_INPUT, "prefix '%.100s…' is too long or not UTF-8",
                       prefix);
    if (asprintf(&whole, "%s%s", s->prefix, prefix) < 0) {
        whole = NULL;
        return no_memory(err);
    }
    return list_all(s, whole, each, arg, err);
}

static int s3_del(struct store *store, const char *key, struct err *err)
{
    struct s3_store *s = s3_store(store);
    struct s3_call c;
    struct http_answer a = { 0 };
    int r = s3_call_init(s, "DELETE", key, NULL, 0, &c, err);

    if (r == 0)
        r = s3_perform(s, &c, &a, err);
    if (r == 0)
        http_answer_release(&a);
    s3_call_release(&c);
    return r == -ENOENT ? 0 : r;
}

/* ---- opening ---- */

static void s3_free(struct store *store)
{
    struct s3_store *s = s3_store(store);

    free(s->bucket);
    free(s->prefix);
    free(s->host);
    free(s);
}

static const struct store_ops s3_ops = {
    .name = "s3",
    .head = s3_head,
    .get_range = s3_get_range,
    .put = s3_put,
    .list = s3_list,
    .del = s3_del,
    .sweep = s3_sweep,
    .free = s3_free,
};

/* Whether the bucket can stand before the host's name: dots there fail the
 * check of certificates, and names in capitals are no host's. */
static int fits_host(const char *bucket)
{
    return bucket[strspn(bucket, "abcdefghijklmnopqrstuvwxyz0123456789-")] == '\0';
}

/* Takes `bucket` and `prefix`, also on failure. */
static int s3_new(struct net_env *e, char *bucket, char *prefix, struct store **ret,
                  struct err *err)
{
    struct s3_store *s = calloc(1, sizeof(*s));

    if (!s) {
        free(bucket);
        free(prefix);
        return no_memory(err);
    }
    s->store.ops = &s3_ops;
    s->env = e;
    s->bucket = bucket;
    s->prefix = prefix;
    s->in_path = e->path_style == 1 || !fits_host(bucket);
    if (asprintf(&s->host, "%s%s%s", s->in_path ? "" : bucket, s->in_path ? "" : ".", e->host) <
        0) {
        s->host = NULL;
        s3_free(&s->store);
        return no_memory(err);
    }
    *ret = &s->store;
    return 0;
}

int s3_open_object(struct net_env *e, const char *url, struct store **ret, char **ret_key,
                   struct err *err)
{
    _cleanup_free_ char *key = NULL;
    char *bucket = NULL;
    int r = s3_url_parse(url, &bucket, &key, err);

    if (r < 0)
        return r;
    char *prefix = key[0] ? strdup("") : NULL;
    if (!prefix) {
        free(bucket);
        return key[0]
                   ? no_memory(err)
                   : err_set(err, -EINVAL, ERR_USAGE, "%.300s names a bucket, not an object", url);
    }
    r = s3_new(e, bucket, prefix, ret, err);
    if (r < 0)
        return r;
    s3_store(*ret)->any_key = 1;
    *ret_key = take_ptr(key);
    return 0;
}

int s3_open_prefix(struct net_env *e, const char *url, struct store **ret, struct err *err)
{
    _cleanup_free_ char *key = NULL;
    char *bucket = NULL, *prefix = NULL;
    int r = s3_url_parse(url, &bucket, &key, err);

    if (r < 0)
        return r;
    size_t n = strlen(key);
    if (asprintf(&prefix, "%s%s", key, n > 0 && key[n - 1] != '/' ? "/" : "") < 0) {
        free(bucket);
        return no_memory(err);
    }
    return s3_new(e, bucket, prefix, ret, err);
}
