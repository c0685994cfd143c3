/* http.c - one try of one request, by curl. */
#include "http.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>

#include <curl/curl.h>

#include "../base/cleanup.h"
#include "../base/clock.h"
#include "../base/err.h"
#include "../base/utf8.h"

enum {
    HEADER_BYTES_MAX = 64 << 10, /* of one answer, redirects included */
    REDIRECTS_MAX = 5,
    RETRY_AFTER_MAX_S = 3600,
};

/* Why we ended a transfer ourselves. */
enum stop {
    STOP_NOT,
    STOP_STALLED,
    STOP_HEADERS,  /* too many of them */
    STOP_TOO_LONG, /* more body than asked for */
    STOP_NO_RANGE, /* the whole of a large object */
    STOP_MEMORY,
    STOP_REFUSED, /* the address */
};

struct attempt {
    struct net_env *env;
    const struct http_request *q;
    struct http_answer *a;
    enum stop stop;
    size_t header_bytes;
    uint64_t pos; /* of the body that came so far */
    size_t body_size;
    curl_off_t moved; /* bytes in both directions when it last moved, at moved_ns */
    int64_t moved_ns;
    char error[CURL_ERROR_SIZE];
};

void http_answer_release(struct http_answer *a)
{
    free(a->body);
    a->body = NULL;
    a->n = 0;
}

int64_t http_now_ns(void)
{
    return clock_system.mono_ns(&clock_system);
}

/* ---- headers ---- */

static void header_copy(const char *v, size_t len, char *ret, size_t size)
{
    ret[0] = '\0';
    if (len >= size)
        return;
    memcpy(ret, v, len);
    ret[len] = '\0';
}

/* -1 if it isn't a number. */
static int64_t number(const char **p)
{
    int64_t v = 0;
    int digits = 0;

    for (; **p >= '0' && **p <= '9'; ++*p) {
        if (++digits > 18)
            return -1;
        v = v * 10 + (**p - '0');
    }
    return digits ? v : -1;
}

/* "bytes 0-9/100" and "bytes * /100" (without the blank). */
static void parse_content_range(const char *v, struct http_answer *a)
{
    int64_t first = -1, last = -1;

    if (strncasecmp(v, "bytes ", 6) != 0)
        return;
    v += 6;
    if (*v == '*') {
        v++;
    } else {
        first = number(&v);
        if (first < 0 || *v++ != '-')
            return;
        last = number(&v);
    }
    if (*v++ != '/')
        return;
    a->first = first;
    a->last = last;
    a->total = number(&v);
}

static void parse_retry_after(const char *v, struct http_answer *a)
{
    const char *p = v;
    int64_t s = number(&p);

    if (s < 0) {
        time_t t = curl_getdate(v, NULL);
        s = t < 0 ? -1 : t - clock_system.wall_ms(&clock_system) / 1000;
        if (t >= 0 && s < 0)
            s = 0;
    }
    if (s >= 0)
        a->retry_after_ms = (s < RETRY_AFTER_MAX_S ? s : RETRY_AFTER_MAX_S) * 1000;
}

static void parse_header(const char *name, size_t name_len, const char *v, struct http_answer *a)
{
    const char *p = v;

#define IS(s) (name_len == strlen(s) && strncasecmp(name, s, name_len) == 0)
    if (IS("etag"))
        header_copy(v, strlen(v), a->etag, sizeof(a->etag));
    else if (IS("last-modified"))
        header_copy(v, strlen(v), a->last_modified, sizeof(a->last_modified));
    else if (IS("x-amz-server-side-encryption"))
        header_copy(v, strlen(v), a->encryption, sizeof(a->encryption));
    else if (IS("x-amz-server-side-encryption-customer-algorithm"))
        header_copy("customer", 8, a->encryption, sizeof(a->encryption));
    else if (IS("content-length"))
        a->length = number(&p);
    else if (IS("content-range"))
        parse_content_range(v, a);
    else if (IS("retry-after"))
        parse_retry_after(v, a);
#undef IS
}

/* A new answer begins: after a redirect, or after 100 Continue. */
static void answer_begin(struct http_answer *a, const char *line)
{
    const char *p = strchr(line, ' ');
    int64_t status = -1;

    if (p) {
        p++;
        status = number(&p);
    }
    a->status = status >= 100 && status <= 999 ? (int)status : 0;
    a->etag[0] = a->last_modified[0] = a->encryption[0] = '\0';
    a->length = a->first = a->last = a->total = a->retry_after_ms = -1;
}

static size_t on_header(char *data, size_t size, size_t n, void *arg)
{
    struct attempt *t = arg;
    size_t len = size * n, end = len;
    char line[1024];

    t->header_bytes += len;
    if (t->header_bytes > HEADER_BYTES_MAX) {
        t->stop = STOP_HEADERS;
        return 0;
    }
    while (end > 0 && (unsigned char)data[end - 1] <= ' ')
        end--;
    if (end == 0 || end >= sizeof(line) || memchr(data, '\0', end))
        return len;
    memcpy(line, data, end);
    line[end] = '\0';
    if (strncasecmp(line, "HTTP/", 5) == 0) {
        answer_begin(t->a, line);
        return len;
    }
    char *colon = strchr(line, ':');
    if (colon)
        parse_header(line, (size_t)(colon - line), colon + 1 + strspn(colon + 1, " \t"), t->a);
    return len;
}

/* ---- body ---- */

static int body_append(struct attempt *t, const char *data, size_t len)
{
    struct http_answer *a = t->a;

    if (a->n + len + 1 > t->body_size) {
        size_t size = 2 * (a->n + len) + 512;
        char *p = realloc(a->body, size);
        if (!p)
            return -ENOMEM;
        a->body = p;
        t->body_size = size;
    }
    memcpy(a->body + a->n, data, len);
    a->n += len;
    a->body[a->n] = '\0';
    return 0;
}

/* Of the bytes at `pos`, those that were asked for. */
static void copy_ranged(struct attempt *t, uint64_t pos, const char *data, size_t len)
{
    const struct http_request *q = t->q;
    uint64_t from = q->off > pos ? q->off - pos : 0;

    if (from >= len)
        return;
    size_t n = len - (size_t)from;
    if (n > q->room - t->a->n)
        n = q->room - t->a->n;
    memcpy((char *)q->into + t->a->n, data + from, n);
    t->a->n += n;
}

static enum stop take_success(struct attempt *t, uint64_t pos, const char *data, size_t len)
{
    const struct http_request *q = t->q;

    if (q->ranged && t->a->status == 200) {
        if (pos + len > HTTP_WHOLE_MAX || t->a->length > HTTP_WHOLE_MAX)
            return STOP_NO_RANGE;
        copy_ranged(t, pos, data, len);
        return STOP_NOT;
    }
    if (len > q->room - t->a->n)
        return STOP_TOO_LONG;
    if (!q->into)
        return body_append(t, data, len) < 0 ? STOP_MEMORY : STOP_NOT;
    memcpy((char *)q->into + t->a->n, data, len);
    t->a->n += len;
    return STOP_NOT;
}

static size_t on_body(char *data, size_t size, size_t n, void *arg)
{
    struct attempt *t = arg;
    size_t len = size * n;
    uint64_t pos = t->pos;

    t->pos += len;
    if (t->a->status / 100 == 2)
        t->stop = take_success(t, pos, data, len);
    else if (t->pos > 4 * HTTP_ERROR_BODY_MAX)
        t->stop = STOP_TOO_LONG;
    else if (t->a->n + len <= HTTP_ERROR_BODY_MAX && body_append(t, data, len) < 0)
        t->stop = STOP_MEMORY;
    return t->stop == STOP_NOT ? len : 0;
}

/* ---- while it runs ---- */

static int on_progress(void *arg, curl_off_t dl_total, curl_off_t dl, curl_off_t ul_total,
                       curl_off_t ul)
{
    struct attempt *t = arg;
    int64_t now = http_now_ns();

    (void)dl_total;
    (void)ul_total;
    curl_off_t moved = dl + ul + (curl_off_t)t->header_bytes;
    if (moved != t->moved) {
        t->moved = moved;
        t->moved_ns = now;
    } else if (now - t->moved_ns > (int64_t)t->env->stall_timeout_ms * NS_PER_MS) {
        t->stop = STOP_STALLED;
        return 1;
    }
    return 0;
}

static curl_socket_t on_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *addr)
{
    struct attempt *t = arg;

    (void)purpose;
    if (t->q->outside && !t->env->private_addresses && address_is_private(&addr->addr)) {
        t->stop = STOP_REFUSED;
        return CURL_SOCKET_BAD;
    }
    return socket(addr->family, addr->socktype | SOCK_CLOEXEC, addr->protocol);
}

/* ---- what is sent ---- */

static void slist_freep(struct curl_slist **l)
{
    curl_slist_free_all(*l);
}

static int line_add(struct curl_slist **list, const char *line)
{
    struct curl_slist *l = curl_slist_append(*list, line);

    if (!l)
        return -ENOMEM;
    *list = l;
    return 0;
}

static int header_add(struct curl_slist **list, const char *name, const char *value)
{
    _cleanup_free_ char *line = NULL;

    /* curl takes "name:" for a header to leave out, "name;" for an empty one. */
    if (asprintf(&line, value[0] ? "%s: %s" : "%s;", name, value) < 0) {
        line = NULL;
        return -ENOMEM;
    }
    return line_add(list, line);
}

/* All of the request's headers are signed, and host, date, digest and token. */
static int add_signature(const struct net_env *e, const struct http_request *q,
                         struct curl_slist **list)
{
    struct sigv4_keys keys = { e->access_key, e->secret_key };
    struct sigv4_header h[HTTP_HEADERS_MAX + 4];
    char digest[SIGV4_HEX_SIZE];
    struct sigv4_request r = { .method = q->method,
                               .path = q->sign->path,
                               .query = q->sign->query,
                               .headers = h,
                               .payload_sha256 = q->payload_sha256,
                               .region = e->region,
                               .service = "s3" };
    _cleanup_free_ char *auth = NULL;
    size_t n = q->n_headers;

    if (!r.payload_sha256) {
        sigv4_sha256(q->body ? q->body : "", q->body_len, digest);
        r.payload_sha256 = digest;
    }
    sigv4_date(clock_system.wall_ms(&clock_system) / 1000, r.date);
    memcpy(h, q->headers, n * sizeof(*h));
    h[n++] = (struct sigv4_header){ "x-amz-content-sha256", r.payload_sha256 };
    h[n++] = (struct sigv4_header){ "x-amz-date", r.date };
    if (e->session_token)
        h[n++] = (struct sigv4_header){ "x-amz-security-token", e->session_token };
    int ret = 0;
    for (size_t i = q->n_headers; i < n && ret == 0; i++)
        ret = header_add(list, h[i].name, h[i].value);
    h[n++] = (struct sigv4_header){ "host", q->sign->host };
    r.n_headers = n;
    if (ret == 0)
        ret = sigv4_authorization(&keys, &r, &auth);
    return ret < 0 ? ret : header_add(list, "authorization", auth);
}

static int make_headers(const struct net_env *e, const struct http_request *q,
                        struct curl_slist **list)
{
    int r = 0;

    for (size_t i = 0; i < q->n_headers && r == 0; i++)
        r = header_add(list, q->headers[i].name, q->headers[i].value);
    if (r == 0 && q->sign)
        r = header_add(list, "host", q->sign->host);
    if (r == 0 && q->sign && e->access_key)
        r = add_signature(e, q, list);
    if (r == 0) /* no waiting for 100 Continue; not signed */
        r = line_add(list, "Expect:");
    return r;
}

static void set_method(CURL *c, const struct http_request *q)
{
    (void)curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, q->method);
    if (strcmp(q->method, "HEAD") == 0) {
        (void)curl_easy_setopt(c, CURLOPT_NOBODY, 1L);
        return;
    }
    if (strcmp(q->method, "PUT") == 0 || strcmp(q->method, "POST") == 0) {
        (void)curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)q->body_len);
        (void)curl_easy_setopt(c, CURLOPT_POSTFIELDS, q->body ? q->body : "");
    }
}

static void set_callbacks(CURL *c, struct attempt *t)
{
    (void)curl_easy_setopt(c, CURLOPT_ERRORBUFFER, t->error);
    (void)curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);
    (void)curl_easy_setopt(c, CURLOPT_HEADERDATA, t);
    (void)curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
    (void)curl_easy_setopt(c, CURLOPT_WRITEDATA, t);
    (void)curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
    (void)curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, on_progress);
    (void)curl_easy_setopt(c, CURLOPT_XFERINFODATA, t);
    (void)curl_easy_setopt(c, CURLOPT_OPENSOCKETFUNCTION, on_socket);
    (void)curl_easy_setopt(c, CURLOPT_OPENSOCKETDATA, t);
}

static void set_limits(CURL *c, const struct net_env *e, const struct http_request *q)
{
    int64_t left_ms = (q->deadline_ns - http_now_ns()) / NS_PER_MS;

    if (left_ms < 1)
        left_ms = 1;
    if (left_ms > INT_MAX)
        left_ms = INT_MAX;
    (void)curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, (long)left_ms);
    (void)curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, (long)e->connect_timeout_ms);
    (void)curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(c, CURLOPT_MAXCONNECTS, 2L);
}

static void set_reach(CURL *c, const struct net_env *e, const struct http_request *q)
{
    const char *protocols = q->outside && !e->private_addresses ? "https" : "http,https";

    (void)curl_easy_setopt(c, CURLOPT_URL, q->url);
    (void)curl_easy_setopt(c, CURLOPT_PATH_AS_IS, 1L);
    (void)curl_easy_setopt(c, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    (void)curl_easy_setopt(c, CURLOPT_USERAGENT, "gopmill");
    (void)curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, protocols);
    (void)curl_easy_setopt(c, CURLOPT_REDIR_PROTOCOLS_STR, protocols);
    /* On a connection used before, curl would send it again by itself. */
    (void)curl_easy_setopt(c, CURLOPT_FRESH_CONNECT, (long)q->once);
    if (e->ca_file)
        (void)curl_easy_setopt(c, CURLOPT_CAINFO, e->ca_file);
    if (!q->outside)
        return;
    (void)curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 1L);
    (void)curl_easy_setopt(c, CURLOPT_MAXREDIRS, (long)REDIRECTS_MAX);
    /* Behind a proxy nobody would look at the address. */
    (void)curl_easy_setopt(c, CURLOPT_NOPROXY, "*");
}

/* ---- what came ---- */

static int passing_code(const char *code)
{
    static const char *const codes[] = { "RequestTimeout",
                                         "SlowDown",
                                         "InternalError",
                                         "ServiceUnavailable",
                                         "OperationAborted",
                                         "Throttling",
                                         "ConditionalRequestConflict" };

    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
        if (strcmp(code, codes[i]) == 0)
            return 1;
    return 0;
}

static int passing_status(int s)
{
    return s == 408 || s == 425 || s == 429 || (s >= 500 && s != 501 && s != 505);
}

static int refused(const struct http_request *q, struct err *err)
{
    return err_set(err, -EACCES, ERR_INPUT,
                   "%.300s leads to a private or local address, which is not allowed", q->shown);
}

static int stopped(struct attempt *t, int *ret_again, struct err *err)
{
    const struct http_request *q = t->q;

    switch (t->stop) {
    case STOP_STALLED:
        *ret_again = 1;
        return err_set(err, -ETIMEDOUT, ERR_STORAGE, "%.300s: nothing came or went for %d ms",
                       q->shown, t->env->stall_timeout_ms);
    case STOP_HEADERS:
        return err_set(err, -EBADMSG, ERR_STORAGE,
                       "%.300s: the server sent more than %d bytes of headers", q->shown,
                       HEADER_BYTES_MAX);
    case STOP_NO_RANGE:
        return err_set(err, -EOPNOTSUPP, ERR_UNSUPPORTED,
                       "%.300s: the server can't send a part of it (no range requests), and the "
                       "whole is larger than %d MiB",
                       q->shown, HTTP_WHOLE_MAX >> 20);
    case STOP_REFUSED:
        return refused(q, err);
    case STOP_MEMORY:
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory");
    default:
        return err_set(err, -EBADMSG, ERR_STORAGE,
                       "%.300s: the server sent more than the %zu bytes asked for", q->shown,
                       t->a->status / 100 == 2 ? q->room : (size_t)HTTP_ERROR_BODY_MAX);
    }
}

static int never_passes(CURLcode c)
{
    switch (c) {
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_URL_MALFORMAT:
    case CURLE_TOO_MANY_REDIRECTS:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_OUT_OF_MEMORY:
        return 1;
    default:
        return 0;
    }
}

static int transfer_failed(struct attempt *t, CURLcode c, int *ret_again, struct err *err)
{
    if (t->stop != STOP_NOT)
        return stopped(t, ret_again, err);
    if (c == CURLE_OUT_OF_MEMORY)
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory");
    *ret_again = !never_passes(c);
    utf8_mend(t->error);
    if (c == CURLE_PEER_FAILED_VERIFICATION)
        return err_set(
            err, -EIO, ERR_STORAGE,
            "%.300s: %.200s; AWS_CA_BUNDLE (a dispatcher's --ca-file) names who is trusted",
            t->q->shown, t->error[0] ? t->error : curl_easy_strerror(c));
    return err_set(err, c == CURLE_OPERATION_TIMEDOUT ? -ETIMEDOUT : -EIO, ERR_STORAGE,
                   "%.300s: %.200s", t->q->shown, t->error[0] ? t->error : curl_easy_strerror(c));
}

/* An answer 206 must be what was asked for, all of it. */
static int check_range(struct attempt *t, int *ret_again, struct err *err)
{
    const struct http_request *q = t->q;
    const struct http_answer *a = t->a;

    if (!q->ranged || a->status != 206 || strcmp(q->method, "HEAD") == 0)
        return 0;
    if (a->first < 0 || (uint64_t)a->first != q->off || a->last < a->first || a->total <= a->last)
        return err_set(err, -EBADMSG, ERR_STORAGE,
                       "%.300s: bytes from %" PRIu64 " were asked for, the server sent others",
                       q->shown, q->off);
    uint64_t want = (uint64_t)(a->total - a->first);
    if (want > q->room)
        want = q->room;
    if (a->n >= want)
        return 0;
    *ret_again = 1;
    return err_set(err, -EIO, ERR_STORAGE, "%.300s: %zu of %" PRIu64 " bytes came", q->shown, a->n,
                   want);
}

static int answer_failed(struct attempt *t, int *ret_again, struct err *err)
{
    const struct http_answer *a = t->a;

    *ret_again = 1;
    return err_set(err, -EIO, ERR_STORAGE, "%.300s: the server answered %d%s%.64s%s%.200s",
                   t->q->shown, a->status, a->error.code[0] ? " " : "", a->error.code,
                   a->error.message[0] ? ": " : "", a->error.message);
}

static int judge(struct attempt *t, CURLcode c, int *ret_again, struct err *err)
{
    struct http_answer *a = t->a;

    if (c != CURLE_OK)
        return transfer_failed(t, c, ret_again, err);
    if (a->body && a->n <= HTTP_ERROR_BODY_MAX)
        s3_error_parse(a->body, a->n, &a->error);
    if (passing_status(a->status) || passing_code(a->error.code))
        return answer_failed(t, ret_again, err);
    return check_range(t, ret_again, err);
}

static void count(struct net_env *e, CURL *c)
{
    curl_off_t in = 0, out = 0;

    (void)curl_easy_getinfo(c, CURLINFO_SIZE_DOWNLOAD_T, &in);
    (void)curl_easy_getinfo(c, CURLINFO_SIZE_UPLOAD_T, &out);
    atomic_fetch_add(&e->bytes_in, (uint64_t)in);
    atomic_fetch_add(&e->bytes_out, (uint64_t)out);
    atomic_fetch_add(&e->requests, 1);
}

int http_attempt(struct net_env *e, const struct http_request *q, struct http_answer *a,
                 int *ret_again, struct err *err)
{
    struct attempt t = { .env = e, .q = q, .a = a, .moved_ns = http_now_ns() };
    _cleanup_(slist_freep) struct curl_slist *list = NULL;

    *ret_again = 0;
    answer_begin(a, "");
    if (make_headers(e, q, &list) < 0)
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory");
    CURL *c = http_handle_take(e, q->outside);
    if (!c)
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory");
    set_method(c, q);
    set_callbacks(c, &t);
    set_limits(c, e, q);
    set_reach(c, e, q);
    (void)curl_easy_setopt(c, CURLOPT_HTTPHEADER, list);
    CURLcode code = curl_easy_perform(c);
    count(e, c);
    int r = judge(&t, code, ret_again, err);
    curl_easy_reset(c);
    http_handle_put(e, c, q->outside);
    return r;
}
