/* https.c - one object of a web server, to read: a store of that one key.
 *
 * The etag is the server's, if it is a strong one: then every read asks for
 * that one (If-Match). Else it is made of size and date of modification.
 * Texts leave out the query, which may be a presigned URL's signature.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>

#include "../base/cleanup.h"
#include "../base/err.h"
#include "http.h"

enum { URL_MAX = 8192 };

#define BY_DATE "date:" /* + size + ' ' + Last-Modified; no server's etag has a blank */
#define BY_SIZE "size:"

struct https_store {
    struct store store;  /* first */
    struct net_env *env; /* borrowed */
    char *url, *shown, *key;
};

static struct https_store *https_store(struct store *s)
{
    return (struct https_store *)s; /* store is its first member */
}

static int no_memory(struct err *err)
{
    return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory");
}

static struct http_request request(const struct https_store *s, const char *method)
{
    return (struct http_request){ .method = method,
                                  .url = s->url,
                                  .shown = s->shown,
                                  .outside = 1,
                                  .deadline_ns = http_deadline(s->env) };
}

static int failure(const struct https_store *s, const struct http_answer *a, struct err *err)
{
    if (a->status == 404 || a->status == 410)
        return err_set(err, -ENOENT, ERR_STORAGE, "%.300s is not there (%d)", s->shown, a->status);
    if (a->status == 401 || a->status == 403)
        return err_set(err, -EACCES, ERR_INPUT,
                       "%.300s may not be read: the server answered %d; a signed URL may have "
                       "expired",
                       s->shown, a->status);
    return err_set(err, -EIO, ERR_STORAGE, "%.300s: the server answered %d", s->shown, a->status);
}

static int no_such_key(const struct https_store *s, const char *key, struct err *err)
{
    if (strcmp(key, s->key) == 0)
        return 0;
    return err_set(err, -ENOENT, ERR_STORAGE, "%.200s is not there: the store is %.300s alone", key,
                   s->shown);
}

/* ---- which object it is ---- */

static int printable(const char *s)
{
    for (; *s; s++)
        if ((unsigned char)*s < ' ' || (unsigned char)*s >= 0x7f)
            return 0;
    return 1;
}

static void make_etag(const struct http_answer *a, uint64_t size, char *ret, size_t ret_size)
{
    if (s3_etag_copy(a->etag, ret, ret_size) == 0)
        return;
    if (a->last_modified[0] && printable(a->last_modified))
        (void)snprintf(ret, ret_size, BY_DATE "%" PRIu64 " %s", size, a->last_modified);
    else
        (void)snprintf(ret, ret_size, BY_SIZE "%" PRIu64, size);
}

static const char *date_of(const char *etag)
{
    const char *blank = strchr(etag, ' ');

    return blank && strncmp(etag, BY_DATE, strlen(BY_DATE)) == 0 ? blank + 1 : NULL;
}

static int is_made(const char *etag)
{
    return date_of(etag) || strncmp(etag, BY_SIZE, strlen(BY_SIZE)) == 0;
}

/* 1 if what came belongs to another object. What an answer doesn't tell can't
 * be held against it. */
static int is_other(const struct http_answer *a, const char *etag)
{
    int64_t size = a->status == 206 ? a->total : a->length;
    char now[128], want[128];

    if (!is_made(etag))
        return s3_etag_copy(a->etag, now, sizeof(now)) == 0 && strcmp(now, etag) != 0;
    const char *date = date_of(etag);
    if (date && a->last_modified[0] && strcmp(a->last_modified, date) != 0)
        return 1;
    (void)snprintf(want, sizeof(want), "%s%" PRId64 "%s", date ? BY_DATE : BY_SIZE, size,
                   date ? " " : "");
    return size >= 0 && strncmp(etag, want, strlen(want)) != 0;
}

static int stale(const struct https_store *s, struct err *err)
{
    return err_set(err, -ESTALE, ERR_INPUT, "%.500s was changed or replaced while in use",
                   s->shown);
}

/* ---- reading ---- */

/* For servers that refuse HEAD, and presigned URLs, which are for GET alone. */
static int head_by_get(struct https_store *s, struct http_answer *ret, struct err *err)
{
    struct http_request q = request(s, "GET");
    char byte;

    q.headers[q.n_headers++] = (struct sigv4_header){ "range", "bytes=0-0" };
    q.ranged = 1;
    q.into = &byte;
    q.room = 1;
    int r = http_perform(s->env, &q, ret, err);
    if (r < 0)
        return r;
    if (ret->status == 206 || (ret->status == 416 && ret->total == 0))
        ret->length = ret->total;
    else if (ret->status != 200)
        r = failure(s, ret, err);
    if (r < 0)
        http_answer_release(ret);
    return r;
}

static int https_head(struct store *store, const char *key, struct store_stat *ret, struct err *err)
{
    struct https_store *s = https_store(store);
    struct http_request q = request(s, "HEAD");
    struct http_answer a = { 0 };
    struct store_stat st = { 0 };
    int r = no_such_key(s, key, err);

    if (r == 0)
        r = http_perform(s->env, &q, &a, err);
    if (r == 0 && (a.status != 200 || a.length < 0)) {
        http_answer_release(&a);
        r = head_by_get(s, &a, err);
    }
    if (r < 0)
        return r;
    http_answer_release(&a);
    if (a.length < 0)
        return err_set(err, -EBADMSG, ERR_UNSUPPORTED, "%.300s: the server doesn't tell its size",
                       s->shown);
    st.size_bytes = (uint64_t)a.length;
    make_etag(&a, st.size_bytes, st.etag, sizeof(st.etag));
    *ret = st;
    return 0;
}

static int get_nothing(struct https_store *s, const char *etag, uint64_t off, size_t len,
                       size_t *ret_n, struct err *err)
{
    struct store_stat st;
    int r = https_head(&s->store, s->key, &st, err);

    if (r < 0)
        return r;
    if (etag && strcmp(etag, st.etag) != 0)
        return stale(s, err);
    if (len > 0 && off < st.size_bytes)
        return err_set(err, -EIO, ERR_STORAGE,
                       "%.300s: the server refuses bytes from %" PRIu64 " of %" PRIu64, s->shown,
                       off, st.size_bytes);
    *ret_n = 0;
    return 0;
}

/* `text` is for the values of its headers. */
static void ask_for(struct http_request *q, const char *etag, uint64_t off, size_t len,
                    char text[256])
{
    int n = snprintf(text, 100, "bytes=%" PRIu64 "-%" PRIu64, off, off + len - 1) + 1;

    q->headers[q->n_headers++] = (struct sigv4_header){ "range", text };
    if (!etag)
        return;
    const char *date = date_of(etag);
    if (date) {
        q->headers[q->n_headers++] = (struct sigv4_header){ "if-unmodified-since", date };
    } else if (!is_made(etag)) {
        (void)snprintf(text + n, 256 - (size_t)n, "\"%.127s\"", etag);
        q->headers[q->n_headers++] = (struct sigv4_header){ "if-match", text + n };
    }
}

static int https_get_range(struct store *store, const char *key, const char *etag, uint64_t off,
                           void *buf, size_t len, size_t *ret_n, struct err *err)
{
    struct https_store *s = https_store(store);
    struct http_request q = request(s, "GET");
    struct http_answer a = { 0 };
    char text[256];
    int r = no_such_key(s, key, err);

    if (r < 0)
        return r;
    if (off > INT64_MAX - len)
        return err_set(err, -EINVAL, ERR_STORAGE, "%.300s: no object has bytes at %" PRIu64,
                       s->shown, off);
    if (len == 0)
        return get_nothing(s, etag, off, len, ret_n, err);
    ask_for(&q, etag, off, len, text);
    q.ranged = 1;
    q.off = off;
    q.into = buf;
    q.room = len;
    r = http_perform(s->env, &q, &a, err);
    if (r < 0)
        return r;
    size_t n = a.n;
    http_answer_release(&a);
    if (a.status == 416)
        return get_nothing(s, etag, off, len, ret_n, err);
    if (a.status == 412)
        return stale(s, err);
    if (a.status != 200 && a.status != 206)
        return failure(s, &a, err);
    if (etag && is_other(&a, etag))
        return stale(s, err);
    *ret_n = n;
    return 0;
}

/* ---- what can't be done ---- */

static int read_only(const struct https_store *s, struct err *err)
{
    return err_set(err, -EROFS, ERR_UNSUPPORTED, "%.300s: a web server can only be read from",
                   s->shown);
}

static int https_put(struct store *s, const char *key, const void *buf, size_t len,
                     const struct store_put_opts *opts, struct err *err)
{
    (void)key;
    (void)buf;
    (void)len;
    (void)opts;
    return read_only(https_store(s), err);
}

static int https_list(struct store *s, const char *prefix,
                      int (*each)(void *arg, const char *key, const struct store_stat *st),
                      void *arg, struct err *err)
{
    (void)prefix;
    (void)each;
    (void)arg;
    return read_only(https_store(s), err);
}

static int https_del(struct store *s, const char *key, struct err *err)
{
    (void)key;
    return read_only(https_store(s), err);
}

static void https_free(struct store *store)
{
    struct https_store *s = https_store(store);

    free(s->url);
    free(s->shown);
    free(s->key);
    free(s);
}

static const struct store_ops https_ops = {
    .name = "https",
    .head = https_head,
    .get_range = https_get_range,
    .put = https_put,
    .list = https_list,
    .del = https_del,
    .free = https_free,
};

/* ---- opening ---- */

static void curlu_freep(CURLU **u)
{
    curl_url_cleanup(*u);
}

static void curl_text_freep(char **s)
{
    curl_free(*s);
}

/* Fragment away; no password, which would end up in logs. */
static int check_url(const char *url, char **ret, struct err *err)
{
    _cleanup_(curlu_freep) CURLU *u = curl_url();
    _cleanup_(curl_text_freep) char *whole = NULL;
    int shown = (int)strcspn(url, "?#");

    if (!u)
        return no_memory(err);
    if (strlen(url) > URL_MAX)
        return err_set(err, -EINVAL, ERR_USAGE, "%.100s…: a URL of more than %d bytes", url,
                       URL_MAX);
    CURLUcode c = curl_url_set(u, CURLUPART_URL, url, CURLU_DISALLOW_USER | CURLU_PATH_AS_IS);
    if (c == CURLUE_USER_NOT_ALLOWED)
        return err_set(err, -EINVAL, ERR_USAGE, "a source's URL can't hold a user or password");
    if (c != CURLUE_OK || !printable(url))
        return err_set(err, -EINVAL, ERR_USAGE, "%.*s: not a URL (%s)", shown > 300 ? 300 : shown,
                       url, c == CURLUE_OK ? "characters not encoded" : curl_url_strerror(c));
    (void)curl_url_set(u, CURLUPART_FRAGMENT, NULL, 0);
    if (curl_url_get(u, CURLUPART_URL, &whole, 0) != CURLUE_OK)
        return no_memory(err);
    *ret = strdup(whole);
    return *ret ? 0 : no_memory(err);
}

/* The last part of the path. */
static char *make_key(const char *shown)
{
    const char *slash = strrchr(strstr(shown, "://") + 3, '/');

    return strdup(slash && slash[1] ? slash + 1 : "source");
}

int https_open_object(struct net_env *e, const char *url, struct store **ret, char **ret_key,
                      struct err *err)
{
    struct https_store *s = calloc(1, sizeof(*s));

    if (!s)
        return no_memory(err);
    s->store.ops = &https_ops;
    s->env = e;
    int r = check_url(url, &s->url, err);
    char *key = NULL;
    if (r == 0) {
        s->shown = strndup(s->url, strcspn(s->url, "?"));
        s->key = s->shown ? make_key(s->shown) : NULL;
        key = s->key ? strdup(s->key) : NULL;
        r = key ? 0 : no_memory(err);
    }
    if (r < 0) {
        https_free(&s->store);
        return r;
    }
    *ret = &s->store;
    *ret_key = key;
    return 0;
}
