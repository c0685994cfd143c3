#include "api.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../common/base/cleanup.h"
#include "../../common/base/clock.h"
#include "../../common/base/log.h"
#include "../../common/wire/job.h"
#include "api_parts.h"

enum {
    HEADERS_MAX = 32 << 10, /* bytes of a request without its body */
    PASSED_MAX = 1 << 20,   /* bytes of a body that nobody wants */
    WAITING_MAX = 1024,     /* requests that wait for a caller */
    CALLERS_MAX = 64,
    CALLER_STACK = 512 << 10,
};

/* Of a request. A caller has it only while it WAITS. */
enum phase {
    BEGUN,
    READS,
    REFUSED,  /* answered once its body has passed by */
    WAITS,    /* set aside for a caller */
    ANSWERED, /* its answer is there */
};

/* ---- who may ---- */

static void digest(const char *s, unsigned char ret[32])
{
    unsigned n = 0;

    memset(ret, 0, 32);
    (void)EVP_Digest(s, strlen(s), ret, &n, EVP_sha256(), NULL);
}

static const char *header(struct MHD_Connection *c, const char *name)
{
    return MHD_lookup_connection_value(c, MHD_HEADER_KIND, name);
}

/* Digests are compared, so that neither time nor length tells anything. */
static int token_matches(const struct api *a, const char *authorization)
{
    unsigned char given[32];

    if (!authorization || strncasecmp(authorization, "Bearer ", 7) != 0)
        return 0;
    digest(authorization + 7, given);
    return CRYPTO_memcmp(given, a->token_digest, sizeof(given)) == 0;
}

/* 0, or the status of a refusal, which is in the answer. */
static unsigned check_access(struct request *q)
{
    const struct api *a = q->api;

    if (q->route < API_ROUTES && api_routes[q->route].open)
        return 0;
    if (a->has_token) {
        if (token_matches(a, header(q->c, "Authorization")))
            return 0;
        answer_error(&q->answer, 401, ERR_USAGE,
                     header(q->c, "Authorization") ? "the token is wrong"
                                                   : "needs Authorization: Bearer <token>");
        return 401;
    }
    const char *host = header(q->c, "Host");
    if (!header(q->c, "Origin") && (!host || api_host_is_local(host)))
        return 0;
    answer_error(&q->answer, 401, ERR_USAGE,
                 "pages of other sites are not served; with a token (--token-file) this is open to "
                 "all that have it");
    return 401;
}

/* ---- routes ---- */

/* Whether `path` is `pattern`; the part for {id} goes to `id`. */
static int path_matches(const char *pattern, const char *path, char id[API_ID_MAX + 1])
{
    const char *brace = strchr(pattern, '{');

    if (!brace)
        return strcmp(pattern, path) == 0;
    size_t before = (size_t)(brace - pattern);
    if (strncmp(pattern, path, before) != 0)
        return 0;
    size_t n = strcspn(path + before, "/");
    if (n == 0 || n > API_ID_MAX || strcmp(path + before + n, strchr(brace, '}') + 1) != 0)
        return 0;
    memcpy(id, path + before, n);
    id[n] = '\0';
    return 1;
}

static const char *allowed_at(const char *path)
{
    static const struct {
        int get, post, del;
        const char *text;
    } texts[] = {
        {1,  0, 0, "GET, HEAD"        },
        { 0, 1, 0, "POST"             },
        { 1, 1, 0, "GET, HEAD, POST"  },
        { 1, 0, 1, "GET, HEAD, DELETE"},
    };
    int get = 0, post = 0, del = 0;
    char id[API_ID_MAX + 1];

    for (size_t i = 0; i < API_ROUTES; i++) {
        if (!path_matches(api_routes[i].pattern, path, id))
            continue;
        get |= strcmp(api_routes[i].method, "GET") == 0;
        post |= strcmp(api_routes[i].method, "POST") == 0;
        del |= strcmp(api_routes[i].method, "DELETE") == 0;
    }
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
        if (texts[i].get == get && texts[i].post == post && texts[i].del == del)
            return texts[i].text;
    return NULL;
}

static void find_route(struct request *q, const char *method, const char *path)
{
    if (strcmp(method, "HEAD") == 0)
        method = "GET";
    q->route = API_ROUTES;
    for (size_t i = 0; i < API_ROUTES; i++)
        if (strcmp(api_routes[i].method, method) == 0 &&
            path_matches(api_routes[i].pattern, path, q->id)) {
            q->route = i;
            return;
        }
}

static void no_route(struct request *q, const char *path)
{
    const char *allow = allowed_at(path);

    if (!allow) {
        answer_error(&q->answer, 404, ERR_USAGE, "there is nothing at this path");
        return;
    }
    answer_error(&q->answer, 405, ERR_USAGE, "not with this method");
    q->answer.allow = allow;
}

/* ---- answers ---- */

static void put_header(struct MHD_Response *r, const char *name, const char *value)
{
    if (value)
        (void)MHD_add_response_header(r, name, value);
}

static enum MHD_Result say(struct request *q)
{
    struct answer *a = &q->answer;
    char quoted[128];
    size_t n = a->body ? strlen(a->body) : 0;
    struct MHD_Response *r = MHD_create_response_from_buffer(
        n, n ? a->body : NULL, n ? MHD_RESPMEM_MUST_FREE : MHD_RESPMEM_PERSISTENT);

    if (!r)
        return MHD_NO;
    if (n)
        a->body = NULL;
    if (n)
        put_header(r, "Content-Type", a->type ? a->type : "application/json");
    put_header(r, "Cache-Control", "no-store");
    put_header(r, "X-Content-Type-Options", "nosniff");
    put_header(r, "Location", a->location);
    put_header(r, "Allow", a->allow);
    put_header(r, "Retry-After", a->retry ? "1" : NULL);
    put_header(r, "WWW-Authenticate", a->status == 401 && q->api->has_token ? "Bearer" : NULL);
    if (a->etag) {
        (void)snprintf(quoted, sizeof(quoted), "\"%s\"", a->etag);
        put_header(r, "ETag", quoted);
    }
    enum MHD_Result done = MHD_queue_response(q->c, a->status, r);
    MHD_destroy_response(r);
    return done;
}

/* ---- callers ---- */

static struct request *next_waiting(struct api *a)
{
    (void)pthread_mutex_lock(&a->lock);
    while (!a->first && !a->stopping)
        (void)pthread_cond_wait(&a->changed, &a->lock);
    struct request *q = a->first;
    if (q) {
        a->first = q->next;
        if (!a->first)
            a->last = &a->first;
        a->waiting--;
    }
    (void)pthread_mutex_unlock(&a->lock);
    return q;
}

static void *call(void *arg)
{
    struct api *a = arg;

    for (struct request *q; (q = next_waiting(a));) {
        api_routes[q->route].handle(q, &q->answer);
        struct MHD_Connection *c = q->c;
        q->phase = ANSWERED;
        MHD_resume_connection(c); /* from here on the request is the server's again */
    }
    return NULL;
}

/* 0, or -EBUSY: too many wait already; or -ESHUTDOWN. */
static int set_aside(struct request *q)
{
    struct api *a = q->api;
    int r = 0;

    (void)pthread_mutex_lock(&a->lock);
    if (a->stopping) {
        r = -ESHUTDOWN;
    } else if (a->waiting >= WAITING_MAX) {
        r = -EBUSY;
    } else {
        q->phase = WAITS;
        q->next = NULL;
        MHD_suspend_connection(q->c);
        *a->last = q;
        a->last = &q->next;
        a->waiting++;
        (void)pthread_cond_signal(&a->changed);
    }
    (void)pthread_mutex_unlock(&a->lock);
    return r;
}

/* ---- requests ---- */

static struct request *request_new(struct api *a, struct MHD_Connection *c)
{
    struct request *q = calloc(1, sizeof(*q));

    if (q) {
        q->api = a;
        q->c = c;
        q->begin_ns = clock_system.mono_ns(&clock_system);
        q->phase = READS;
    }
    return q;
}

static void request_free(struct request *q)
{
    free(q->answer.body);
    free(q->answer.etag);
    free(q->answer.location);
    free(q->body);
    free(q);
}

/* The body's length as it is announced: 0 none, -1 unknown or absurd. */
static long length_said(struct MHD_Connection *c)
{
    const char *s = header(c, "Content-Length");

    if (!s)
        return header(c, "Transfer-Encoding") ? -1 : 0;
    return strlen(s) > 9 ? -1 : strtol(s, NULL, 10);
}

static void refuse_length(struct request *q)
{
    char text[80];

    (void)snprintf(text, sizeof(text), "a request's body has at most %d bytes", JOB_TEXT_MAX);
    answer_error(&q->answer, 413, ERR_USAGE, text);
}

/* The answer is there before the body: a client that is still sending would
 * see a broken connection instead of it. */
static enum MHD_Result refuse(struct request *q)
{
    long n = length_said(q->c);

    if (n == 0 || n > PASSED_MAX)
        return say(q);
    q->phase = REFUSED;
    return MHD_YES;
}

/* Called once the headers are there. What can be refused now is. */
static enum MHD_Result begin(struct request *q, const char *method, const char *path)
{
    find_route(q, method, path);
    if (check_access(q) != 0)
        return refuse(q);
    if (q->route == API_ROUTES) {
        no_route(q, path);
        return refuse(q);
    }
    if (length_said(q->c) > JOB_TEXT_MAX) {
        refuse_length(q);
        return refuse(q);
    }
    return MHD_YES;
}

/* MHD_NO ends the connection: nobody reads on for ever. */
static enum MHD_Result add_body(struct request *q, const char *data, size_t n)
{
    if (q->phase == READS && q->len + n > JOB_TEXT_MAX) {
        refuse_length(q);
        q->phase = REFUSED;
    }
    if (q->phase == REFUSED || !api_routes[q->route].body) {
        q->len += n;
        return q->len > PASSED_MAX ? MHD_NO : MHD_YES;
    }
    if (q->len + n + 1 > q->room) {
        size_t room = q->len + n + 1 > 2 * q->room ? q->len + n + 1 : 2 * q->room;
        char *body = realloc(q->body, room);
        if (!body)
            return MHD_NO;
        q->body = body;
        q->room = room;
    }
    memcpy(q->body + q->len, data, n);
    q->len += n;
    q->body[q->len] = '\0';
    return MHD_YES;
}

static enum MHD_Result serve(struct request *q)
{
    if (q->phase == ANSWERED || q->phase == REFUSED)
        return say(q);
    if (!api_routes[q->route].waits) {
        api_routes[q->route].handle(q, &q->answer);
        return say(q);
    }
    int r = set_aside(q);
    if (r == 0)
        return MHD_YES;
    if (r == -EBUSY)
        answer_error(&q->answer, 429, ERR_RESOURCE, "too many requests wait for an answer already");
    else
        answer_error(&q->answer, 503, ERR_RESOURCE, "the dispatcher is going down");
    return say(q);
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *c, const char *path,
                                  const char *method, const char *version, const char *data,
                                  size_t *size, void **state)
{
    struct request *q = *state;

    (void)version;
    if (!q) {
        q = request_new(arg, c);
        if (!q)
            return MHD_NO;
        *state = q;
        return begin(q, method, path);
    }
    if (*size > 0) {
        size_t n = *size;
        *size = 0;
        return add_body(q, data, n);
    }
    return serve(q);
}

static void on_end(void *arg, struct MHD_Connection *c, void **state,
                   enum MHD_RequestTerminationCode why)
{
    struct request *q = *state;
    struct api *a = arg;

    (void)c, (void)why;
    if (!q)
        return;
    double s = (double)(clock_system.mono_ns(&clock_system) - q->begin_ns) / (double)NS_PER_S;
    int known = q->route < API_ROUTES;
    metrics_request(a->metrics, q->route, q->answer.status, s);
    log_event(LOG_DEBUG, "http.request", LSTR("method", known ? api_routes[q->route].method : "?"),
              LSTR("route", known ? api_routes[q->route].pattern : "?"), LSTR("id", q->id),
              LINT("status", q->answer.status), LDBL("ms", s * 1e3));
    request_free(q);
    *state = NULL;
}

/* ---- the server ---- */

static int take_token(struct api *a, const char *token, struct err *err)
{
    size_t n = token ? strlen(token) : 0;

    if (!token)
        return 0;
    for (size_t i = 0; i < n; i++)
        if (token[i] <= ' ' || token[i] > '~')
            return err_set(err, -EINVAL, ERR_USAGE,
                           "the token has blanks or characters that a header can't have");
    if (n < API_TOKEN_MIN || n > API_TOKEN_MAX)
        return err_set(err, -EINVAL, ERR_USAGE, "the token has %zu characters, not %d to %d", n,
                       API_TOKEN_MIN, API_TOKEN_MAX);
    a->has_token = 1;
    digest(token, a->token_digest);
    return 0;
}

static int start_callers(struct api *a, unsigned n, struct err *err)
{
    pthread_attr_t attr;
    int e = 0;

    (void)pthread_attr_init(&attr);
    (void)pthread_attr_setstacksize(&attr, CALLER_STACK);
    while (a->n_callers < n && a->n_callers < CALLERS_MAX && e == 0) {
        e = pthread_create(&a->callers[a->n_callers], &attr, call, a);
        a->n_callers += e == 0;
    }
    (void)pthread_attr_destroy(&attr);
    return e ? err_set(err, -e, ERR_RESOURCE, "starting a thread: %s", strerror(e)) : 0;
}

static unsigned or_default(unsigned x, unsigned def)
{
    return x ? x : def;
}

static int start_server(struct api *a, struct err *err)
{
    const struct api_config *cfg = &a->cfg;
    int fd, v6;
    int r = api_listen(cfg->listen, !a->has_token, &fd, &a->port, &v6, err);

    if (r < 0)
        return r;
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME |
                     (v6 ? MHD_USE_IPv6 : 0U);
    a->server = MHD_start_daemon(
        flags, 0, NULL, NULL, on_request, a, MHD_OPTION_LISTEN_SOCKET, fd,
        MHD_OPTION_NOTIFY_COMPLETED, on_end, a, MHD_OPTION_THREAD_POOL_SIZE,
        or_default(cfg->threads, 2), MHD_OPTION_CONNECTION_LIMIT, or_default(cfg->connections, 512),
        MHD_OPTION_PER_IP_CONNECTION_LIMIT, or_default(cfg->per_address, 128),
        MHD_OPTION_CONNECTION_TIMEOUT, or_default(cfg->idle_s, 30),
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HEADERS_MAX, MHD_OPTION_END);
    if (!a->server) {
        (void)close(fd);
        return err_set(err, -EIO, ERR_RESOURCE, "--listen %.100s: the HTTP server doesn't start",
                       cfg->listen);
    }
    return 0;
}

static void name_routes(struct api *a)
{
    for (size_t i = 0; i < API_ROUTES; i++) {
        a->methods[i] = api_routes[i].method;
        a->names[i] = api_routes[i].pattern;
    }
}

int api_start(const struct api_config *cfg, struct api **ret, struct err *err)
{
    struct api *a = calloc(1, sizeof(*a));

    if (!a)
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory");
    a->cfg = *cfg;
    a->cfg.token = NULL; /* its digest is all that is kept */
    a->clock = cfg->clock ? cfg->clock : &clock_system;
    a->last = &a->first;
    (void)pthread_mutex_init(&a->lock, NULL);
    (void)pthread_cond_init(&a->changed, NULL);
    name_routes(a);
    a->metrics = metrics_new(a->methods, a->names, API_ROUTES);
    int r = a->metrics ? take_token(a, cfg->token, err)
                       : err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory");
    if (r == 0)
        r = start_callers(a, or_default(cfg->callers, 16), err);
    if (r == 0)
        r = start_server(a, err);
    a->cfg.listen = NULL;
    if (r < 0)
        api_free(a);
    else
        *ret = a;
    return r;
}

unsigned api_port(const struct api *a)
{
    return a->port;
}

void api_free(struct api *a)
{
    if (!a)
        return;
    /* Callers end once nothing waits; only then may the server be stopped. What
     * comes meanwhile is refused by set_aside(). MHD_quiesce_daemon() isn't the
     * way: in 0.9.75 it and the server's thread both take the socket out of its
     * epoll set, and who comes second aborts the process. */
    (void)pthread_mutex_lock(&a->lock);
    a->stopping = 1;
    (void)pthread_cond_broadcast(&a->changed);
    (void)pthread_mutex_unlock(&a->lock);
    for (unsigned i = 0; i < a->n_callers; i++)
        (void)pthread_join(a->callers[i], NULL);
    if (a->server)
        MHD_stop_daemon(a->server);
    metrics_free(a->metrics);
    (void)pthread_cond_destroy(&a->changed);
    (void)pthread_mutex_destroy(&a->lock);
    free(a);
}
