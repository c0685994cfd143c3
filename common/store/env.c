/* env.c - the settings of stores over the network, and their connections. */
#include "env.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <curl/curl.h>
#include <libxml/parser.h>
#include <openssl/crypto.h>

#include "../base/cleanup.h"
#include "../base/err.h"
#include "http.h"

enum {
    CONNECT_TIMEOUT_MS = 5000,
    STALL_TIMEOUT_MS = 15000,
    TRIES = 5,
    DEADLINE_MS = 120000,
    PART_BYTES = 64 << 20,
    PART_BYTES_MIN = 5 << 20, /* what S3 takes */
    HOST_MAX = 253,
};

static struct net_env *net_env(struct store_env *e)
{
    return (struct net_env *)e; /* store_env is its first member */
}

static int no_memory(struct err *err)
{
    return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory");
}

/* ---- the pool ---- */

void *http_handle_take(struct net_env *e, int outside)
{
    void *curl = NULL;

    /* What was connected to for S3 is never used for a user's host, and the
     * other way round: those connections were not looked at. */
    (void)pthread_mutex_lock(&e->lock);
    for (size_t i = e->n_idle; i-- > 0 && !curl;) {
        if (e->idle[i].outside != outside)
            continue;
        curl = e->idle[i].curl;
        memmove(&e->idle[i], &e->idle[i + 1], (--e->n_idle - i) * sizeof(e->idle[0]));
    }
    (void)pthread_mutex_unlock(&e->lock);
    return curl ? curl : curl_easy_init();
}

void http_handle_put(struct net_env *e, void *curl, int outside)
{
    (void)pthread_mutex_lock(&e->lock);
    if (e->n_idle < HTTP_IDLE_MAX) {
        e->idle[e->n_idle++] = (struct http_handle){ curl, outside };
        curl = NULL;
    }
    (void)pthread_mutex_unlock(&e->lock);
    if (curl)
        curl_easy_cleanup(curl);
}

/* ---- opening ---- */

static int is_scheme(const char *url, const char *scheme)
{
    size_t n = strlen(scheme);

    return strncasecmp(url, scheme, n) == 0 && strncmp(url + n, "://", 3) == 0;
}

/* The scheme and no more: what follows may be anything. */
static int unknown_scheme(const char *url, struct err *err)
{
    size_t n = strcspn(url, ":/?#");

    if (url[n] != ':' || n == 0 || n > 20)
        return err_set(err, -EINVAL, ERR_USAGE, "'%.100s' is not a URL", url);
    return err_set(err, -ENOTSUP, ERR_UNSUPPORTED,
                   "%.*s: URLs can't be opened; file, s3 and (to read) https can", (int)n, url);
}

static int env_open_object(struct store_env *e, const char *url, struct store **ret, char **ret_key,
                           struct err *err)
{
    if (is_scheme(url, "s3"))
        return s3_open_object(net_env(e), url, ret, ret_key, err);
    if (is_scheme(url, "https") || (is_scheme(url, "http") && net_env(e)->private_addresses))
        return https_open_object(net_env(e), url, ret, ret_key, err);
    return unknown_scheme(url, err);
}

static int env_open_prefix(struct store_env *e, const char *url, struct store **ret,
                           struct err *err)
{
    if (is_scheme(url, "s3"))
        return s3_open_prefix(net_env(e), url, ret, err);
    if (is_scheme(url, "https") || is_scheme(url, "http"))
        return err_set(err, -ENOTSUP, ERR_UNSUPPORTED,
                       "%.*s: URLs can only be read from; write to s3 or file",
                       (int)strcspn(url, ":"), url);
    return unknown_scheme(url, err);
}

/* ---- settings ---- */

/* The value, else that of the first variable that is set and not empty. */
static const char *setting(const char *value, const char *const *variables)
{
    for (; !value && *variables; variables++) {
        value = getenv(*variables);
        if (value && !value[0])
            value = NULL;
    }
    return value && value[0] ? value : NULL;
}

#define SETTING(value, ...) setting((value), (const char *const[]){ __VA_ARGS__, NULL })

static int copy(char **ret, const char *s)
{
    if (!s)
        return 0;
    *ret = strdup(s);
    return *ret ? 0 : -ENOMEM;
}

/* What goes into headers and signatures as it is. */
static int check_word(const char *what, const char *s, struct err *err)
{
    for (; s && *s; s++)
        if ((unsigned char)*s <= ' ' || (unsigned char)*s >= 0x7f)
            return err_set(err, -EINVAL, ERR_USAGE,
                           "the %s has a blank or another character that can't be in one", what);
    return 0;
}

static int check_region(const char *s, struct err *err)
{
    if (strlen(s) > 63 || s[strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                      "0123456789-_")])
        return err_set(err, -EINVAL, ERR_USAGE,
                       "the S3 region is letters, digits, '-' and '_', 63 at most (AWS_REGION)");
    return 0;
}

static int set_credentials(struct net_env *e, const struct store_env_config *c, struct err *err)
{
    const char *access = SETTING(c->access_key, "AWS_ACCESS_KEY_ID");
    const char *secret = SETTING(c->secret_key, "AWS_SECRET_ACCESS_KEY");
    const char *token = SETTING(c->session_token, "AWS_SESSION_TOKEN");

    if (!access)
        return 0;
    if (!secret)
        return err_set(err, -EINVAL, ERR_USAGE,
                       "there is an access key id (%.40s) but no secret key: set "
                       "AWS_SECRET_ACCESS_KEY",
                       access);
    if (check_word("access key id", access, err) < 0 || check_word("secret key", secret, err) < 0 ||
        check_word("session token", token, err) < 0)
        return -EINVAL;
    if (copy(&e->access_key, access) < 0 || copy(&e->secret_key, secret) < 0 ||
        copy(&e->session_token, token) < 0)
        return no_memory(err);
    return 0;
}

static void curlu_freep(CURLU **u)
{
    curl_url_cleanup(*u);
}

static void curl_text_freep(char **s)
{
    curl_free(*s);
}

static int bad_endpoint(const char *url, const char *why, struct err *err)
{
    return err_set(err, -EINVAL, ERR_USAGE, "S3 endpoint %.200s: %s", url, why);
}

/* Scheme and host[:port] of `url`. */
static int set_endpoint(struct net_env *e, const char *url, struct err *err)
{
    _cleanup_(curlu_freep) CURLU *u = curl_url();
    _cleanup_(curl_text_freep) char *scheme = NULL, *host = NULL, *port = NULL, *path = NULL;
    _cleanup_(curl_text_freep) char *query = NULL;

    if (!u)
        return no_memory(err);
    if (strchr(url, '@'))
        return bad_endpoint("URL", "credentials don't belong into it", err);
    if (!strstr(url, "://") || curl_url_set(u, CURLUPART_URL, url, 0) != CURLUE_OK)
        return bad_endpoint(url, "not a URL like https://host[:port]", err);
    (void)curl_url_get(u, CURLUPART_SCHEME, &scheme, 0);
    (void)curl_url_get(u, CURLUPART_HOST, &host, 0);
    (void)curl_url_get(u, CURLUPART_PORT, &port, CURLU_NO_DEFAULT_PORT);
    (void)curl_url_get(u, CURLUPART_PATH, &path, 0);
    (void)curl_url_get(u, CURLUPART_QUERY, &query, 0);
    if (!scheme || !host || (strcmp(scheme, "http") != 0 && strcmp(scheme, "https") != 0))
        return bad_endpoint(url, "neither http:// nor https://", err);
    if (query || (path && path[0] && strcmp(path, "/") != 0))
        return bad_endpoint(url, "has a path or a query, which S3 endpoints have not", err);
    if (strlen(host) > HOST_MAX)
        return bad_endpoint(url, "the host's name is too long", err);
    if (copy(&e->scheme, scheme) < 0 ||
        asprintf(&e->host, "%s%s%s", host, port ? ":" : "", port ? port : "") < 0)
        return no_memory(err);
    return 0;
}

static int set_s3(struct net_env *e, const struct store_env_config *c, struct err *err)
{
    const char *region = SETTING(c->region, "AWS_REGION", "AWS_DEFAULT_REGION");
    const char *endpoint = SETTING(c->endpoint, "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL");
    _cleanup_free_ char *usual = NULL;

    if (!region)
        region = "us-east-1";
    int r = check_region(region, err);
    if (r < 0)
        return r;
    int named = endpoint != NULL;
    e->path_style = c->path_style ? c->path_style : named;
    if (!endpoint) {
        const char *china = strncmp(region, "cn-", 3) == 0 ? ".cn" : "";
        if (asprintf(&usual, "https://s3.%s.amazonaws.com%s", region, china) < 0) {
            usual = NULL;
            return no_memory(err);
        }
        endpoint = usual;
    }
    if (copy(&e->region, region) < 0)
        return no_memory(err);
    r = set_endpoint(e, endpoint, err);
    if (r == 0)
        r = set_credentials(e, c, err);
    e->configured = named || e->access_key;
    return r;
}

/* Patience with a store is a matter of the network, so the operator's. */
static int stall_timeout(int *ret, struct err *err)
{
    const char *text = SETTING(NULL, "GOPMILL_STORE_STALL");
    char *end;

    if (!text) {
        *ret = STALL_TIMEOUT_MS;
        return 0;
    }
    errno = 0;
    double s = strtod(text, &end);
    if (errno || end == text || *end || !(s >= 0.1 && s <= 600))
        return err_set(err, -EINVAL, ERR_USAGE,
                       "GOPMILL_STORE_STALL: '%.40s' is no number of seconds from 0.1 to 600",
                       text);
    *ret = (int)(s * 1000);
    return 0;
}

static int set_limits(struct net_env *e, const struct store_env_config *c, struct err *err)
{
    if (c->connect_timeout_ms < 0 || c->stall_timeout_ms < 0 || c->tries < 0 || c->deadline_ms < 0)
        return err_set(err, -EINVAL, ERR_USAGE, "time limits and tries can't be negative");
    if (c->path_style < 0 || c->path_style > 2)
        return err_set(err, -EINVAL, ERR_USAGE, "path_style %d is not 0, 1 or 2", c->path_style);
    e->connect_timeout_ms = c->connect_timeout_ms ? c->connect_timeout_ms : CONNECT_TIMEOUT_MS;
    e->stall_timeout_ms = c->stall_timeout_ms;
    int r = e->stall_timeout_ms ? 0 : stall_timeout(&e->stall_timeout_ms, err);
    if (r < 0)
        return r;
    e->tries = c->tries ? c->tries : TRIES;
    e->deadline_ms = c->deadline_ms ? c->deadline_ms : DEADLINE_MS;
    e->part_bytes = c->part_bytes ? c->part_bytes : PART_BYTES;
    if (e->part_bytes < PART_BYTES_MIN)
        e->part_bytes = PART_BYTES_MIN;
    e->private_addresses = c->private_addresses;
    return 0;
}

static void init_libraries(void)
{
    (void)curl_global_init(CURL_GLOBAL_DEFAULT);
    xmlInitParser();
}

int store_env_new(const struct store_env_config *cfg, struct store_env **ret, struct err *err)
{
    static const struct store_env_config all_from_environment = { 0 };
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct net_env *e = calloc(1, sizeof(*e));

    if (!e)
        return no_memory(err);
    (void)pthread_once(&once, init_libraries);
    (void)pthread_mutex_init(&e->lock, NULL);
    http_health_init(e);
    if (!cfg)
        cfg = &all_from_environment;
    e->env.open_object = env_open_object;
    e->env.open_prefix = env_open_prefix;
    int r = set_limits(e, cfg, err);
    if (r == 0)
        r = set_s3(e, cfg, err);
    if (r == 0 && copy(&e->ca_file, SETTING(cfg->ca_file, "AWS_CA_BUNDLE")) < 0)
        r = no_memory(err);
    if (r < 0) {
        store_env_free(&e->env);
        return r;
    }
    *ret = &e->env;
    return 0;
}

static void free_secret(char *s)
{
    if (s)
        OPENSSL_cleanse(s, strlen(s));
    free(s);
}

void store_env_free(struct store_env *env)
{
    struct net_env *e = net_env(env);

    if (!e)
        return;
    for (size_t i = 0; i < e->n_idle; i++)
        curl_easy_cleanup(e->idle[i].curl);
    (void)pthread_mutex_destroy(&e->lock);
    (void)pthread_mutex_destroy(&e->health.lock);
    free_secret(e->secret_key);
    free_secret(e->session_token);
    free(e->scheme);
    free(e->host);
    free(e->region);
    free(e->access_key);
    free(e->ca_file);
    free(e);
}

void store_env_traffic(const struct store_env *env, struct store_traffic *ret)
{
    const struct net_env *e = (const struct net_env *)env;

    ret->bytes_in = atomic_load(&e->bytes_in);
    ret->bytes_out = atomic_load(&e->bytes_out);
    ret->requests = atomic_load(&e->requests);
    ret->retries = atomic_load(&e->retries);
    ret->failures = atomic_load(&e->failures);
}
