#include "api.h"
#include "../common/base/cleanup.h"
#include "../common/base/err.h"
#include "../common/wire/json_text.h"
#include "gopmill-config.h"
#include "text.h"
#include <curl/curl.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

enum {
    CONNECT_MS = 5000,
    ANSWER_MS = 60000,
    BUSY_TRIES = 4,
    BUSY_WAIT_MS = 500, /* doubles */
    STOP_LOOK_MS = 100,
    URL_MAX = 2048,
};

struct api {
    CURL *curl;
    char *dispatcher; /* without a '/' at its end */
    char *token_line; /* "Authorization: Bearer …", or NULL */
    int nameless;     /* https without a certificate of one's own */
    int (*stop)(void *arg);
    void *arg;
};

/* One exchange, while it goes on. */
struct exchange {
    struct api *api;
    char *body;
    size_t len, room;
    int too_long;
    char etag[API_ETAG_MAX];
    char words[CURL_ERROR_SIZE];
};

/* ---- making one ------------------------------------------------------- */

static int is_loopback(const char *host)
{
    return !strcasecmp(host, "localhost") || !strncmp(host, "127.", 4) || !strcmp(host, "[::1]");
}

static int part_is(CURLU *u, CURLUPart part, char **ret)
{
    *ret = NULL;
    return curl_url_get(u, part, ret, 0) == CURLUE_OK && *ret && **ret;
}

/* What the URL is refused for, or NULL. */
static const char *url_fault(CURLU *u, const char *url, int *ret_loopback)
{
    const char *why = NULL;
    char *scheme, *host, *user, *password, *query, *fragment;

    if (strlen(url) > URL_MAX || curl_url_set(u, CURLUPART_URL, url, 0) != CURLUE_OK)
        return "is not a URL like " API_DEFAULT;
    int has_scheme = part_is(u, CURLUPART_SCHEME, &scheme);
    int has_host = part_is(u, CURLUPART_HOST, &host);
    int has_user = part_is(u, CURLUPART_USER, &user);
    int has_password = part_is(u, CURLUPART_PASSWORD, &password);
    int has_query = part_is(u, CURLUPART_QUERY, &query);
    int has_fragment = part_is(u, CURLUPART_FRAGMENT, &fragment);

    if (!has_scheme || !has_host || (strcmp(scheme, "http") != 0 && strcmp(scheme, "https") != 0))
        why = "is neither http:// nor https://";
    else if (has_user || has_password)
        why = "has a name or password in it; give a token by GOPMILL_TOKEN or --token-file";
    else if (has_query || has_fragment)
        why = "has a '?' or '#' in it";
    *ret_loopback = has_host && is_loopback(host);
    curl_free(scheme), curl_free(host), curl_free(user);
    curl_free(password), curl_free(query), curl_free(fragment);
    return why;
}

static int check_url(const char *url, int *ret_loopback, struct err *err)
{
    CURLU *u = curl_url();

    if (!u)
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory");
    const char *why = url_fault(u, url, ret_loopback);
    curl_url_cleanup(u);
    if (!why)
        return 0;
    _cleanup_free_ char *clean = text_dup(strstr(url, "@") ? "its URL" : url);
    return err_set(err, -EINVAL, ERR_USAGE, "dispatcher: %.300s %s", clean ? clean : "its URL",
                   why);
}

static int check_token(const char *token, struct err *err)
{
    size_t n = strlen(token);

    if (n == 0 || n >= API_TOKEN_MAX)
        return err_set(err, -EINVAL, ERR_USAGE, "the token has %zu characters, must be 1 to %d", n,
                       API_TOKEN_MAX - 1);
    for (size_t i = 0; i < n; i++)
        if (token[i] <= ' ' || token[i] > '~')
            return err_set(err, -EINVAL, ERR_USAGE,
                           "the token has a character at %zu that is not printable ASCII", i + 1);
    return 0;
}

int api_token_read(const char *path, char ret[API_TOKEN_MAX], struct err *err)
{
    char line[API_TOKEN_MAX + 2];
    _cleanup_file_ FILE *f = fopen(path, "re");

    if (!f)
        return err_set(err, -errno, ERR_USAGE, "--token-file %s: can't be read: %s", path,
                       strerror(errno));
    if (!fgets(line, sizeof(line), f))
        return err_set(err, -EINVAL, ERR_USAGE, "--token-file %s: is empty", path);
    line[strcspn(line, "\r\n")] = '\0';
    int r = check_token(line, err);
    if (r < 0)
        return err_prefix(err, r, "--token-file %s", path);
    memcpy(ret, line, strlen(line) + 1);
    return 0;
}

static int on_progress(void *arg, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    const struct api *api = arg;

    (void)a, (void)b, (void)c, (void)d;
    return api->stop && api->stop(api->arg);
}

static void set_up(struct api *a, const struct api_config *cfg, int loopback)
{
    CURL *c = a->curl;

    (void)curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
    (void)curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L);
    (void)curl_easy_setopt(c, CURLOPT_PATH_AS_IS, 1L);
    (void)curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
    (void)curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, (long)ANSWER_MS);
    (void)curl_easy_setopt(c, CURLOPT_USERAGENT, "gopmill/" GOPMILL_VERSION);
    (void)curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
    (void)curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, on_progress);
    (void)curl_easy_setopt(c, CURLOPT_XFERINFODATA, a);
    /* A proxy for the outside world is none for this machine. */
    if (loopback)
        (void)curl_easy_setopt(c, CURLOPT_PROXY, "");
    if (cfg->ca_file)
        (void)curl_easy_setopt(c, CURLOPT_CAINFO, cfg->ca_file);
    if (cfg->cert_file)
        (void)curl_easy_setopt(c, CURLOPT_SSLCERT, cfg->cert_file);
    if (cfg->cert_file)
        (void)curl_easy_setopt(c, CURLOPT_SSLKEY, cfg->key_file ? cfg->key_file : cfg->cert_file);
}

int api_new(const struct api_config *cfg, struct api **ret, struct err *err)
{
    int loopback = 0;
    int r = check_url(cfg->dispatcher, &loopback, err);

    if (r >= 0 && cfg->token)
        r = check_token(cfg->token, err);
    if (r >= 0 && cfg->key_file && !cfg->cert_file)
        r = err_set(err, -EINVAL, ERR_USAGE,
                    "--key-file %.200s: there is no certificate that it belongs to; --cert-file or "
                    "GOPMILL_CERT_FILE names it",
                    cfg->key_file);
    if (r < 0)
        return r;

    struct api *a = calloc(1, sizeof(*a));
    if (!a)
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory");
    a->stop = cfg->stop;
    a->arg = cfg->arg;
    a->nameless = !cfg->cert_file && strncmp(cfg->dispatcher, "https:", 6) == 0;
    a->curl = curl_easy_init();
    a->dispatcher = strdup(cfg->dispatcher);
    if (cfg->token && asprintf(&a->token_line, "Authorization: Bearer %s", cfg->token) < 0)
        a->token_line = NULL;
    if (!a->curl || !a->dispatcher || (cfg->token && !a->token_line)) {
        api_free(a);
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory");
    }
    for (size_t n = strlen(a->dispatcher); n && a->dispatcher[n - 1] == '/'; n--)
        a->dispatcher[n - 1] = '\0';
    set_up(a, cfg, loopback);
    *ret = a;
    return 0;
}

void api_free(struct api *a)
{
    if (!a)
        return;
    if (a->curl)
        curl_easy_cleanup(a->curl);
    free(a->token_line);
    free(a->dispatcher);
    free(a);
}

void api_answer_release(struct api_answer *a)
{
    json_decref(a->json);
    *a = (struct api_answer){ 0 };
}

/* ---- errors ----------------------------------------------------------- */

static int errno_of(int status)
{
    switch (status) {
    case 401:
    case 403:
        return -EACCES;
    case 404:
        return -ENOENT;
    case 409:
        return -EEXIST;
    case 429:
    case 503:
        return -EBUSY;
    default:
        return status >= 400 && status < 500 ? -EINVAL : -EIO;
    }
}

int api_error(int status, const json_t *json, const char *dispatcher, int had_token,
              struct err *err)
{
    const json_t *e = json_object_get(json, "error");
    const char *cls = json_string_value(json_object_get(e, "class"));
    int r = errno_of(status);

    if (r == -EACCES)
        return err_set(err, r, ERR_USAGE,
                       had_token ? "the dispatcher at %s refuses this token; GOPMILL_TOKEN or "
                                   "--token-file gives another"
                                 : "the dispatcher at %s wants a token; give it by GOPMILL_TOKEN "
                                   "or --token-file",
                       dispatcher);

    _cleanup_free_ char *text = text_dup(json_string_value(json_object_get(e, "text")));
    if (!text || !*text)
        return err_set(err, r, r == -EIO || r == -EBUSY ? ERR_STORAGE : ERR_USAGE,
                       "the dispatcher at %s answers with HTTP status %d and no reason", dispatcher,
                       status);
    return err_set(err, r,
                   cls         ? err_class_parse(cls)
                   : r == -EIO ? ERR_INTERNAL
                               : ERR_USAGE,
                   "%s", text);
}

static int unreachable(const struct api *a, const char *why, struct err *err)
{
    return err_set(err, -EHOSTDOWN, ERR_STORAGE,
                   "can't reach the dispatcher at %s: %s; is gopmill-dispatcher running? "
                   "--dispatcher or GOPMILL_DISPATCHER names another",
                   a->dispatcher, why);
}

static int no_dispatcher(const struct api *a, const char *why, struct err *err)
{
    return err_set(err, -EHOSTDOWN, ERR_STORAGE,
                   "what answers at %s is not a gopmill dispatcher (%s); --dispatcher or "
                   "GOPMILL_DISPATCHER names another",
                   a->dispatcher, why);
}

/* Why there is no connection: "connection refused". */
static const char *os_words(const struct api *a)
{
    long e = 0;

    (void)curl_easy_getinfo(a->curl, CURLINFO_OS_ERRNO, &e);
    switch (e) {
    case ECONNREFUSED:
        return "connection refused";
    case EHOSTUNREACH:
    case ENETUNREACH:
        return "no route to it";
    case 0:
        return "no connection";
    default:
        return strerror((int)e);
    }
}

static int unsafe(const struct api *a, struct exchange *x, const char *hint, struct err *err)
{
    return err_set(err, -EHOSTDOWN, ERR_STORAGE,
                   "no safe connection to the dispatcher at %s: %s; %s", a->dispatcher,
                   text_clean(x->words), hint);
}

static int lost(const struct api *a, struct exchange *x, CURLcode code, struct err *err)
{
    const char *hint = "--cert-file and --key-file name your own certificate";

    /* With TLS 1.3 a server refuses a client only after that thinks it is connected, and its
     * word for it may be lost with the connection. */
    if (strstr(x->words, "certificate required"))
        return unsafe(a, x, hint, err);
    return err_set(err, -ECONNRESET, ERR_STORAGE, "the dispatcher at %s: connection lost (%s)%s%s",
                   a->dispatcher, x->words[0] ? text_clean(x->words) : curl_easy_strerror(code),
                   a->nameless ? "; where it asks for one, " : "", a->nameless ? hint : "");
}

static int curl_fault(const struct api *a, struct exchange *x, CURLcode code, struct err *err)
{
    long connect = 0;

    switch (code) {
    case CURLE_ABORTED_BY_CALLBACK:
        return err_set(err, -ECANCELED, ERR_CANCELED, "stopped");
    case CURLE_COULDNT_RESOLVE_HOST:
        return unreachable(a, "nobody knows that host", err);
    case CURLE_COULDNT_CONNECT:
        return unreachable(a, os_words(a), err);
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
        return unsafe(a, x, "--ca-file or GOPMILL_CA_FILE names the certificate to trust", err);
    case CURLE_SSL_CERTPROBLEM:
        return unsafe(a, x, "--cert-file and --key-file name your own certificate", err);
    case CURLE_SSL_CONNECT_ERROR:
        return unsafe(a, x, "does it speak https?", err);
    case CURLE_OPERATION_TIMEDOUT:
        (void)curl_easy_getinfo(a->curl, CURLINFO_PRETRANSFER_TIME_T, &connect);
        if (connect == 0)
            return unreachable(a, "no connection within 5 s", err);
        return err_set(err, -ECONNRESET, ERR_STORAGE,
                       "the dispatcher at %s gave no answer within 60 s", a->dispatcher);
    case CURLE_WRITE_ERROR:
        return x->too_long ? no_dispatcher(a, "its answer is larger than 32 MiB", err)
                           : err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory");
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_WEIRD_SERVER_REPLY:
        return no_dispatcher(a, "it doesn't speak HTTP", err);
    default:
        return lost(a, x, code, err);
    }
}

/* ---- calling ---------------------------------------------------------- */

static size_t on_body(const char *data, size_t size, size_t n, void *arg)
{
    struct exchange *x = arg;

    n *= size;
    if (n > API_BODY_MAX - x->len) {
        x->too_long = 1;
        return 0;
    }
    if (n > x->room - x->len) {
        size_t room = 2 * (x->len + n);
        char *body = realloc(x->body, room);

        if (!body)
            return 0;
        x->body = body;
        x->room = room;
    }
    memcpy(x->body + x->len, data, n);
    x->len += n;
    return n;
}

static size_t on_header(const char *line, size_t size, size_t n, void *arg)
{
    static const char name[] = "etag:";
    struct exchange *x = arg;
    size_t from = sizeof(name) - 1, to = n * size;

    if (to <= from || strncasecmp(line, name, from) != 0)
        return n * size;
    while (from < to && line[from] == ' ')
        from++;
    while (to > from && (line[to - 1] == '\r' || line[to - 1] == '\n' || line[to - 1] == ' '))
        to--;
    if (to - from < sizeof(x->etag)) {
        memcpy(x->etag, line + from, to - from);
        x->etag[to - from] = '\0';
    }
    return n * size;
}

static int add_line(struct curl_slist **lines, const char *line)
{
    struct curl_slist *more = curl_slist_append(*lines, line);

    if (!more)
        return -ENOMEM;
    *lines = more;
    return 0;
}

static int header_lines(const struct api *a, const char *body, const char *etag,
                        struct curl_slist **ret)
{
    char match[API_ETAG_MAX + 32];
    int r = add_line(ret, "Accept: application/json");

    if (r >= 0 && body)
        r = add_line(ret, "Content-Type: application/json");
    if (r >= 0 && a->token_line)
        r = add_line(ret, a->token_line);
    if (r >= 0 && etag && *etag) {
        (void)snprintf(match, sizeof(match), "If-None-Match: %s", etag);
        r = add_line(ret, match);
    }
    return r;
}

static CURLcode perform(struct api *a, const char *method, const char *url, const char *body,
                        struct curl_slist *lines, struct exchange *x)
{
    CURL *c = a->curl;

    (void)curl_easy_setopt(c, CURLOPT_URL, url);
    (void)curl_easy_setopt(c, CURLOPT_HTTPHEADER, lines);
    (void)curl_easy_setopt(c, CURLOPT_ERRORBUFFER, x->words);
    (void)curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
    (void)curl_easy_setopt(c, CURLOPT_WRITEDATA, x);
    (void)curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);
    (void)curl_easy_setopt(c, CURLOPT_HEADERDATA, x);
    if (!strcmp(method, "POST")) {
        (void)curl_easy_setopt(c, CURLOPT_POST, 1L);
        (void)curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE, (long)strlen(body ? body : ""));
        (void)curl_easy_setopt(c, CURLOPT_COPYPOSTFIELDS, body ? body : "");
    } else {
        (void)curl_easy_setopt(c, CURLOPT_HTTPGET, 1L);
    }
    (void)curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, method);

    CURLcode code = curl_easy_perform(c);
    (void)curl_easy_setopt(c, CURLOPT_HTTPHEADER, NULL);
    (void)curl_easy_setopt(c, CURLOPT_ERRORBUFFER, NULL);
    return code;
}

/* An object, or NULL where there is nothing that is one. */
static json_t *parse(const struct exchange *x)
{
    json_t *j = NULL;

    (void)json_text_read(x->body, x->len, ERR_INTERNAL, &j, NULL);
    if (j && !json_is_object(j)) {
        json_decref(j);
        return NULL;
    }
    return j;
}

static int take_answer(const struct api *a, const struct exchange *x, struct api_answer *ret,
                       struct err *err)
{
    _cleanup_(json_decrefp) json_t *j = parse(x);
    long status = 0;

    (void)curl_easy_getinfo(a->curl, CURLINFO_RESPONSE_CODE, &status);
    if (status >= 400 && status <= 599 && (j || x->len == 0 || errno_of((int)status) != -ENOENT))
        return api_error((int)status, j, a->dispatcher, a->token_line != NULL, err);
    if (status != 204 && status != 304 && (!j || status < 200 || status > 299))
        return no_dispatcher(a, "its answer is not the JSON of one", err);

    *ret = (struct api_answer){ .status = (int)status, .json = take_ptr(j) };
    memcpy(ret->etag, x->etag, sizeof(ret->etag));
    return 0;
}

static int call_once(struct api *a, const char *method, const char *url, const char *body,
                     const char *etag, struct api_answer *ret, struct err *err)
{
    struct exchange x = { .api = a };
    struct curl_slist *lines = NULL;

    int r = header_lines(a, body, etag, &lines);
    if (r < 0) {
        err_set(err, r, ERR_RESOURCE, "out of memory");
    } else {
        CURLcode code = perform(a, method, url, body, lines, &x);
        r = code == CURLE_OK ? take_answer(a, &x, ret, err) : curl_fault(a, &x, code, err);
    }
    curl_slist_free_all(lines);
    free(x.body);
    return r;
}

/* 1 if asked to stop. */
static int pause_ms(const struct api *a, int ms)
{
    const struct timespec look = { .tv_nsec = STOP_LOOK_MS * 1000000L };

    for (; ms > 0; ms -= STOP_LOOK_MS) {
        if (a->stop && a->stop(a->arg))
            return 1;
        (void)nanosleep(&look, NULL);
    }
    return 0;
}

int api_call(struct api *a, const char *method, const char *path, const char *body,
             const char *etag, struct api_answer *ret, struct err *err)
{
    _cleanup_free_ char *url = NULL;
    int r;

    if (asprintf(&url, "%s%s", a->dispatcher, path) < 0) {
        url = NULL;
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory");
    }
    /* Busy means refused: nothing was done, so it can be asked for again. */
    for (int i = 1;; i++) {
        r = call_once(a, method, url, body, etag, ret, err);
        if (r != -EBUSY || i == BUSY_TRIES)
            return r;
        if (pause_ms(a, BUSY_WAIT_MS << (i - 1)))
            return err_set(err, -ECANCELED, ERR_CANCELED, "stopped");
    }
}

/* ---- paths ------------------------------------------------------------ */

static int is_plain(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.' || c == '~';
}

static void put_encoded(FILE *f, const char *s)
{
    for (; *s; s++)
        if (is_plain(*s))
            (void)fputc(*s, f);
        else
            (void)fprintf(f, "%%%02X", (unsigned)(unsigned char)*s);
}

char *api_path(const char *fmt, ...)
{
    char *path = NULL;
    size_t len;
    FILE *f = open_memstream(&path, &len);
    va_list ap;

    if (!f)
        return NULL;
    va_start(ap, fmt);
    for (; *fmt; fmt++)
        if (fmt[0] == '%' && fmt[1]) {
            if (*++fmt == 's')
                put_encoded(f, va_arg(ap, const char *));
            else
                (void)fputc(*fmt, f);
        } else {
            (void)fputc(*fmt, f);
        }
    va_end(ap);
    int bad = ferror(f);
    if (fclose(f) != 0 || bad) {
        free(path);
        return NULL;
    }
    return path;
}
