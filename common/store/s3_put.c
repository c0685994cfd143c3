/* s3_put.c - writing objects: whole, or large ones in parts, a few at a time. */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/evp.h>

#include "../base/cleanup.h"
#include "../base/clock.h"
#include "../base/err.h"
#include "s3.h"

enum {
    MD5_BYTES = 16,
    BASE64_SIZE = 25, /* of an MD5, with NUL */
    PARTS_MAX = 10000,
    ABORT_MS = 10000,
    PART_THREADS = 4,        /* of one object, the caller's among them */
    ABANDONED_S = 24 * 3600, /* an upload begun before that has no writer */
};

static int no_memory(struct err *err)
{
    return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory");
}

static int md5(const void *buf, size_t len, unsigned char ret[MD5_BYTES], struct err *err)
{
    unsigned char md[EVP_MAX_MD_SIZE] = { 0 };

    if (EVP_Digest(buf, len, md, NULL, EVP_md5(), NULL) != 1)
        return err_set(err, -EIO, ERR_INTERNAL, "OpenSSL can't compute an MD5");
    memcpy(ret, md, MD5_BYTES);
    return 0;
}

static void base64(const unsigned char in[MD5_BYTES], char ret[BASE64_SIZE])
{
    (void)EVP_EncodeBlock((unsigned char *)ret, in, MD5_BYTES);
}

static void hex(const unsigned char in[MD5_BYTES], char ret[2 * MD5_BYTES + 1])
{
    for (size_t i = 0; i < MD5_BYTES; i++)
        (void)snprintf(ret + 2 * i, 3, "%02x", in[i]);
}

static int check_value(const char *v, struct err *err)
{
    for (; v && *v; v++)
        if ((unsigned char)*v < ' ' || *v == 0x7f)
            return err_set(err, -EINVAL, ERR_INTERNAL,
                           "a control character in a content type or cache control");
    return 0;
}

/* What the object is told with, in the request that makes it. */
static int describe(struct s3_call *c, const struct store_put_opts *o, struct err *err)
{
    const char *type = o && o->content_type ? o->content_type : "application/octet-stream";
    const char *cache = o ? o->cache_control : NULL;

    if (check_value(type, err) < 0 || check_value(cache, err) < 0)
        return -EINVAL;
    s3_call_header(c, "content-type", type);
    if (cache)
        s3_call_header(c, "cache-control", cache);
    return 0;
}

static int exists(const struct s3_call *c, struct err *err)
{
    return err_set(err, -EEXIST, ERR_STORAGE, "%.300s is there already", c->shown);
}

/* Whether the object that is there is the one with `etag`: the answer to an
 * earlier try of ours may have been lost. */
static int is_ours(struct s3_store *s, const char *key, size_t len, const char *etag)
{
    struct store_stat st;

    return s3_head(&s->store, key, &st, NULL) == 0 && st.size_bytes == len &&
           strcmp(st.etag, etag) == 0;
}

static int put_whole(struct s3_store *s, const char *key, const void *buf, size_t len,
                     const struct store_put_opts *opts, struct err *err)
{
    _cleanup_(s3_call_release) struct s3_call c;
    struct http_answer a = { 0 };
    unsigned char digest[MD5_BYTES];
    char encoded[BASE64_SIZE], sha256[SIGV4_HEX_SIZE], etag[2 * MD5_BYTES + 1];
    int r = s3_call_init(s, "PUT", key, NULL, 0, &c, err);

    if (r == 0)
        r = md5(buf, len, digest, err);
    if (r == 0)
        r = describe(&c, opts, err);
    if (r < 0)
        return r;
    base64(digest, encoded);
    sigv4_sha256(buf, len, sha256);
    s3_call_header(&c, "content-md5", encoded);
    if (opts && opts->if_absent) {
        s3_call_header(&c, "if-none-match", "*");
        c.q.once = 1;
    }
    c.q.payload_sha256 = sha256;
    c.q.body = buf;
    c.q.body_len = len;
    r = s3_perform(s, &c, &a, err);
    http_answer_release(&a);
    if (r != -S3_PRECONDITION)
        return r;
    hex(digest, etag);
    if (a.tries > 1 && is_ours(s, key, len, etag))
        return 0;
    return exists(&c, err);
}

/* ---- in parts ---- */

struct part {
    unsigned char md5[MD5_BYTES];
    char etag[120];
};

struct upload {
    struct s3_store *s;
    const char *key;
    const struct store_put_opts *opts;
    const char *buf;
    size_t len, part_bytes;
    char *id;

    pthread_mutex_t lock; /* guards what follows; a part only until it is taken */
    struct part *parts;
    size_t n_parts, next;
    int failed;
    struct err err; /* why, of the first that failed */
};

static int begin(struct upload *u, struct err *err)
{
    struct sigv4_param uploads[] = {
        {"uploads", NULL}
    };
    _cleanup_(s3_call_release) struct s3_call c;
    struct http_answer a = { 0 };
    int r = s3_call_init(u->s, "POST", u->key, uploads, 1, &c, err);

    if (r == 0)
        r = describe(&c, u->opts, err);
    if (r == 0)
        r = s3_perform(u->s, &c, &a, err);
    if (r < 0)
        return r;
    r = s3_upload_id_parse(a.body ? a.body : "", a.n, &u->id, err);
    http_answer_release(&a);
    return r < 0 ? err_prefix(err, r, "%.300s", c.shown) : 0;
}

/* A part whose answer is lost may be sent again: the last one counts. */
static int put_part(struct upload *u, size_t i, struct err *err)
{
    struct part *p = &u->parts[i];
    size_t off = i * u->part_bytes;
    size_t len = u->len - off < u->part_bytes ? u->len - off : u->part_bytes;
    char number[24], encoded[BASE64_SIZE], sha256[SIGV4_HEX_SIZE];
    struct sigv4_param params[] = {
        {"partNumber", number},
        { "uploadId",  u->id }
    };
    _cleanup_(s3_call_release) struct s3_call c;
    struct http_answer a = { 0 };

    (void)snprintf(number, sizeof(number), "%zu", i + 1);
    int r = s3_call_init(u->s, "PUT", u->key, params, 2, &c, err);
    if (r == 0)
        r = md5(u->buf + off, len, p->md5, err);
    if (r < 0)
        return r;
    base64(p->md5, encoded);
    sigv4_sha256(u->buf + off, len, sha256);
    s3_call_header(&c, "content-md5", encoded);
    c.q.payload_sha256 = sha256;
    c.q.body = u->buf + off;
    c.q.body_len = len;
    r = s3_perform(u->s, &c, &a, err);
    if (r < 0)
        return r;
    if (s3_etag_copy(a.etag, p->etag, sizeof(p->etag)) < 0 || strpbrk(p->etag, "<>&"))
        r = err_set(err, -EBADMSG, ERR_STORAGE, "%.300s: the server gives part %zu no usable ETag",
                    c.shown, i + 1);
    http_answer_release(&a);
    return r;
}

/* Until there is no part left, or one has failed. */
static void *put_parts(void *arg)
{
    struct upload *u = arg;

    for (;;) {
        struct err err = { 0 };
        (void)pthread_mutex_lock(&u->lock);
        size_t i = u->failed ? u->n_parts : u->next;
        if (i < u->n_parts)
            u->next++;
        (void)pthread_mutex_unlock(&u->lock);
        if (i >= u->n_parts)
            return NULL;
        int r = put_part(u, i, &err);
        (void)pthread_mutex_lock(&u->lock);
        if (r < 0 && !u->failed) {
            u->failed = r;
            u->err = err;
        }
        (void)pthread_mutex_unlock(&u->lock);
    }
}

static int put_all_parts(struct upload *u, struct err *err)
{
    pthread_t threads[PART_THREADS - 1];
    size_t n = 0;

    /* Without more threads it only takes longer. */
    while (n < PART_THREADS - 1 && n + 1 < u->n_parts &&
           pthread_create(&threads[n], NULL, put_parts, u) == 0)
        n++;
    (void)put_parts(u);
    while (n > 0)
        (void)pthread_join(threads[--n], NULL);
    if (u->failed && err)
        *err = u->err;
    return u->failed;
}

static char *completion(const struct upload *u, size_t *ret_len)
{
    char *text = NULL;
    FILE *f = open_memstream(&text, ret_len);

    if (!f)
        return NULL;
    (void)fputs("<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">", f);
    for (size_t i = 0; i < u->n_parts; i++)
        (void)fprintf(f, "<Part><PartNumber>%zu</PartNumber><ETag>\"%s\"</ETag></Part>", i + 1,
                      u->parts[i].etag);
    (void)fputs("</CompleteMultipartUpload>", f);
    if (fclose(f) == 0)
        return text;
    free(text);
    return NULL;
}

/* The ETag that the whole gets: the digest of the parts' digests. */
static int whole_etag(const struct upload *u, char ret[64], struct err *err)
{
    _cleanup_free_ unsigned char *all = malloc(u->n_parts * MD5_BYTES);
    unsigned char digest[MD5_BYTES];

    if (!all)
        return no_memory(err);
    for (size_t i = 0; i < u->n_parts; i++)
        memcpy(all + i * MD5_BYTES, u->parts[i].md5, MD5_BYTES);
    int r = md5(all, u->n_parts * MD5_BYTES, digest, err);
    if (r < 0)
        return r;
    hex(digest, ret);
    (void)snprintf(ret + 2 * MD5_BYTES, 64 - 2 * MD5_BYTES, "-%zu", u->n_parts);
    return 0;
}

static int complete(struct upload *u, struct err *err)
{
    struct sigv4_param params[] = {
        {"uploadId", u->id}
    };
    _cleanup_(s3_call_release) struct s3_call c;
    _cleanup_free_ char *body = NULL;
    struct http_answer a = { 0 };
    size_t len = 0;
    char etag[64];
    int r = s3_call_init(u->s, "POST", u->key, params, 1, &c, err);

    if (r == 0)
        r = whole_etag(u, etag, err);
    if (r < 0)
        return r;
    body = completion(u, &len);
    if (!body)
        return no_memory(err);
    s3_call_header(&c, "content-type", "application/xml");
    if (u->opts && u->opts->if_absent)
        s3_call_header(&c, "if-none-match", "*");
    c.q.once = 1;
    c.q.body = body;
    c.q.body_len = len;
    r = s3_perform(u->s, &c, &a, err);
    http_answer_release(&a);
    /* An earlier try may have completed it, and its answer was lost. */
    if ((r == -ENOENT || r == -S3_PRECONDITION) && a.tries > 1 &&
        is_ours(u->s, u->key, u->len, etag))
        return 0;
    return r == -S3_PRECONDITION ? exists(&c, err) : r;
}

static void abort_upload(struct s3_store *s, const char *key, const char *id)
{
    struct sigv4_param params[] = {
        {"uploadId", id}
    };
    _cleanup_(s3_call_release) struct s3_call c;
    struct http_answer a = { 0 };

    int r = s3_call_init(s, "DELETE", key, params, 1, &c, NULL);
    /* Whoever waits has been told enough by then; s3_sweep() does the rest. */
    if (c.q.deadline_ns > http_now_ns() + INT64_C(1) * ABORT_MS * NS_PER_MS)
        c.q.deadline_ns = http_now_ns() + INT64_C(1) * ABORT_MS * NS_PER_MS;
    if (r == 0 && s3_perform(s, &c, &a, NULL) == 0)
        http_answer_release(&a);
}

static int check_absent(struct upload *u, struct err *err)
{
    struct store_stat st;
    int r = s3_head(&u->s->store, u->key, &st, err);

    if (r == -ENOENT)
        return 0;
    return r < 0 ? r : err_set(err, -EEXIST, ERR_STORAGE, "%.300s is there already", u->key);
}

static int put_in_parts(struct upload *u, struct err *err)
{
    /* Not every server minds a condition on completion. */
    int r = u->opts && u->opts->if_absent ? check_absent(u, err) : 0;

    if (r == 0)
        r = begin(u, err);
    if (r < 0)
        return r;
    r = put_all_parts(u, err);
    if (r == 0)
        r = complete(u, err);
    if (r < 0)
        abort_upload(u->s, u->key, u->id);
    return r;
}

static int put_large(struct s3_store *s, const char *key, const void *buf, size_t len,
                     const struct store_put_opts *opts, struct err *err)
{
    struct upload u = { .s = s, .key = key, .opts = opts, .buf = buf, .len = len };

    u.part_bytes = s->env->part_bytes;
    if (u.part_bytes < (len + PARTS_MAX - 1) / PARTS_MAX)
        u.part_bytes = (len + PARTS_MAX - 1) / PARTS_MAX;
    u.n_parts = (len + u.part_bytes - 1) / u.part_bytes;
    u.parts = calloc(u.n_parts, sizeof(*u.parts));
    if (!u.parts)
        return no_memory(err);
    (void)pthread_mutex_init(&u.lock, NULL);
    int r = put_in_parts(&u, err);
    (void)pthread_mutex_destroy(&u.lock);
    free(u.parts);
    free(u.id);
    return r;
}

int s3_put(struct store *store, const char *key, const void *buf, size_t len,
           const struct store_put_opts *opts, struct err *err)
{
    struct s3_store *s = (struct s3_store *)store;

    return len > s->env->part_bytes ? put_large(s, key, buf, len, opts, err)
                                    : put_whole(s, key, buf, len, opts, err);
}

/* ---- what killed writers left ---- */

static int is_abandoned(const struct s3_upload *u)
{
    struct tm tm = { 0 };

    if (!strptime(u->initiated, "%Y-%m-%dT%H:%M:%S", &tm))
        return 0;
    return timegm(&tm) + ABANDONED_S < clock_system.wall_ms(&clock_system) / 1000;
}

int s3_sweep(struct store *store, struct err *err)
{
    struct s3_store *s = (struct s3_store *)store;
    struct sigv4_param params[] = {
        {"uploads", NULL     },
        { "prefix", s->prefix}
    };
    _cleanup_(s3_call_release) struct s3_call c;
    struct http_answer a = { 0 };
    struct s3_upload *u = NULL;
    size_t n = 0, skip = strlen(s->prefix);
    int r = s3_call_init(s, "GET", NULL, params, 2, &c, err);

    c.q.room = S3_XML_MAX;
    if (r == 0)
        r = s3_perform(s, &c, &a, err);
    if (r < 0)
        return r;
    r = s3_uploads_parse(a.body ? a.body : "", a.n, &u, &n, err);
    http_answer_release(&a);
    if (r < 0)
        return err_prefix(err, r, "%.300s", c.shown);
    for (size_t i = 0; i < n; i++)
        if (strncmp(u[i].key, s->prefix, skip) == 0 && is_abandoned(&u[i]))
            abort_upload(s, u[i].key + skip, u[i].id);
    s3_uploads_free(u, n);
    return 0;
}
