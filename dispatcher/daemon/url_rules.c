#include "url_rules.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../common/base/err.h"
#include "../../common/base/utf8.h"
#include "../../common/store/http.h"

enum { RULES_MAX = 1000, URL_MAX = 2048 };

/* ---- addresses ---- */

int address_is_loopback(const struct sockaddr *a)
{
    if (a->sa_family == AF_INET)
        return ntohl(((const struct sockaddr_in *)a)->sin_addr.s_addr) >> 24 == 127;
    return a->sa_family == AF_INET6 &&
           IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)a)->sin6_addr);
}

/* Names and numbers, in every way that inet_aton() reads ("0x7f.1"). */
static int host_is_private(const char *host)
{
    struct sockaddr_in v4 = { .sin_family = AF_INET };
    struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };
    size_t n = strlen(host);
    char bare[64];

    while (n > 0 && host[n - 1] == '.') /* "localhost." */
        n--;
    if (n >= 9 && strncasecmp(host + n - 9, "localhost", 9) == 0 && (n == 9 || host[n - 10] == '.'))
        return 1;
    if (n >= sizeof(bare))
        return 0;
    memcpy(bare, host, n);
    bare[n] = '\0';
    if (bare[0] == '[' && n > 2) {
        bare[n - 1] = '\0';
        return inet_pton(AF_INET6, bare + 1, &v6.sin6_addr) != 1 ||
               address_is_private((const struct sockaddr *)&v6);
    }
    return inet_aton(bare, &v4.sin_addr) != 0 && address_is_private((const struct sockaddr *)&v4);
}

/* ---- URLs ---- */

enum scheme { S3, HTTPS, HTTP, FILE_URL, SCHEME_MAX };

static const char *const scheme_names[SCHEME_MAX] = { "s3://", "https://", "http://", "file://" };

struct url {
    enum scheme scheme;
    char host[264];   /* lower case, without port; a bucket; "" in a rule: any */
    unsigned port;    /* 0: the scheme's own */
    const char *path; /* from its '/', or "" */
    size_t path_len;  /* without a query */
};

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static const char *check_part(const char *part, size_t n)
{
    if ((n == 1 && part[0] == '.') || (n == 2 && part[0] == '.' && part[1] == '.'))
        return "has a part '.' or '..'";
    return NULL;
}

/* NULL, or what is wrong. Keys of S3 stand in URLs as they are, unescaped. */
static const char *check_path(enum scheme scheme, const char *s, size_t n)
{
    char out[URL_MAX + 1];
    size_t len = 0, start = 0;
    const char *why = NULL;

    for (size_t i = 0; i < n; i++) {
        char c = s[i];
        if (c == '%' && scheme != S3) {
            int h = i + 2 < n ? hex(s[i + 1]) : -1, l = h < 0 ? -1 : hex(s[i + 2]);
            if (l < 0)
                return "has a broken % escape";
            c = (char)(h << 4 | l);
            i += 2;
            if (c == '/' || c == '\0')
                return "has an escaped '/' or NUL";
        }
        if ((unsigned char)c < 0x20 || c == 0x7f)
            return "has control characters";
        out[len++] = c;
    }
    if (!utf8_valid(out, len))
        return "is not UTF-8";
    for (size_t i = 0; i <= len && !why; i++)
        if (i == len || out[i] == '/') {
            why = check_part(out + start, i - start);
            start = i + 1;
        }
    return why;
}

static const char *read_port(const char *s, size_t n, unsigned *ret)
{
    unsigned port = 0;

    if (n == 0 || n > 5)
        return "has a port that isn't one";
    for (size_t i = 0; i < n; i++) {
        if (s[i] < '0' || s[i] > '9')
            return "has a port that isn't one";
        port = port * 10 + (unsigned)(s[i] - '0');
    }
    if (port == 0 || port > 65535)
        return "has a port that isn't one";
    *ret = port;
    return NULL;
}

/* Up to where the host ends, [v6] included. */
static size_t host_length(const char *s, size_t n)
{
    const char *end;

    if (n > 0 && s[0] == '[' && (end = memchr(s, ']', n)))
        return (size_t)(end - s) + 1;
    end = memchr(s, ':', n);
    return end ? (size_t)(end - s) : n;
}

static const char *read_host(const char *s, size_t n, struct url *u)
{
    size_t len = host_length(s, n);

    if (memchr(s, '@', n))
        return "has user-info, which is for headers";
    if (len >= sizeof(u->host))
        return "has a host that is too long";
    for (size_t i = 0; i < len; i++) {
        char c = s[i];
        int plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                    c == '.' || c == '-' || c == '_';
        if (!plain && !(s[0] == '[' && (c == '[' || c == ']' || c == ':')))
            return "has a host with characters that none has";
        /* Buckets are told apart by case where a server allows that. */
        u->host[i] = (char)(u->scheme != S3 && c >= 'A' && c <= 'Z' ? c + 32 : c);
    }
    u->host[len] = '\0';
    if (len == n)
        return NULL;
    if (u->scheme == S3 || u->scheme == FILE_URL || s[len] != ':')
        return "has a host that isn't one";
    return read_port(s + len + 1, n - len - 1, &u->port);
}

static const char *read_scheme(const char *s, struct url *u)
{
    for (unsigned i = 0; i < SCHEME_MAX; i++)
        if (strncasecmp(s, scheme_names[i], strlen(scheme_names[i])) == 0) {
            u->scheme = (enum scheme)i;
            return s + strlen(scheme_names[i]);
        }
    return NULL;
}

static const char *url_read(const char *s, struct url *u)
{
    *u = (struct url){ 0 };
    if (strnlen(s, URL_MAX + 1) > URL_MAX)
        return "is longer than 2048 bytes";
    const char *p = read_scheme(s, u);
    if (!p)
        return "is no s3://, https:// or file:// URL";
    if (u->scheme != S3 && strpbrk(s, "#\\"))
        return "has a '#' or a backslash";
    size_t n = strcspn(p, u->scheme == S3 ? "/" : "/?");
    const char *why = read_host(p, n, u);
    if (why)
        return why;
    u->path = p + n;
    u->path_len = u->scheme == S3 ? strlen(u->path) : strcspn(u->path, "?");
    if (u->path[u->path_len] && u->scheme == FILE_URL)
        return "has a '?', which a file's name has as %3F";
    if (u->scheme == FILE_URL && strcmp(u->host, "localhost") == 0)
        u->host[0] = '\0';
    return check_path(u->scheme, u->path, u->path_len);
}

static unsigned port_of(const struct url *u)
{
    if (u->port)
        return u->port;
    return u->scheme == HTTPS ? 443 : u->scheme == HTTP ? 80 : 0;
}

static int path_matches(const struct url *rule, const struct url *u)
{
    size_t n = rule->path_len;

    if (u->path_len < n || memcmp(rule->path, u->path, n) != 0)
        return 0;
    return n == 0 || rule->path[n - 1] == '/' || u->path_len == n || u->path[n] == '/';
}

static int rule_matches(const struct url *rule, const struct url *u)
{
    if (rule->scheme != u->scheme)
        return 0;
    if (rule->scheme != FILE_URL && !rule->host[0])
        return !((u->scheme == HTTPS || u->scheme == HTTP) && host_is_private(u->host));
    return strcmp(rule->host, u->host) == 0 && port_of(rule) == port_of(u) && path_matches(rule, u);
}

int url_rules_add(struct url_rules *r, const char *prefix, struct err *err)
{
    struct url u;
    const char *why = url_read(prefix, &u);

    if (!why && u.scheme == FILE_URL && (u.host[0] || u.path[0] != '/'))
        why = "is not file:///PATH";
    if (!why && (u.path[u.path_len] || (!u.host[0] && u.scheme != FILE_URL && u.path_len > 0)))
        why = "is not the beginning of a URL";
    if (!why && r->n == RULES_MAX)
        why = "is one too many";
    if (why)
        return err_set(err, -EINVAL, ERR_USAGE, "%.300s %s", prefix, why);
    char **more = reallocarray(r->prefixes, r->n + 1, sizeof(char *));
    if (more)
        r->prefixes = more;
    char *copy = more ? strdup(prefix) : NULL;
    if (!copy)
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory");
    r->prefixes[r->n++] = copy;
    return 0;
}

void url_rules_release(struct url_rules *r)
{
    for (size_t i = 0; i < r->n; i++)
        free(r->prefixes[i]);
    free(r->prefixes);
    *r = (struct url_rules){ 0 };
}

/* Never the query, which may hold a signature, nor what might be a password. */
static int refuse(struct err *err, int r, const char *what, const char *url, const char *why)
{
    size_t n = strcspn(url, "?@");

    if (url[n] == '@')
        return err_set(err, r, ERR_USAGE, "%s: the URL %s", what, why);
    return err_set(err, r, ERR_USAGE, "%s: %.*s %s", what, (int)utf8_cut(url, n < 300 ? n : 300),
                   url, why);
}

int url_rules_check(const struct url_rules *r, const char *what, const char *url, struct err *err)
{
    struct url u, rule;
    const char *why = url_read(url, &u);

    if (why)
        return refuse(err, -EINVAL, what, url, why);
    if ((!u.host[0] && u.scheme != FILE_URL) || (u.scheme == FILE_URL && u.host[0]))
        return refuse(err, -EINVAL, what, url,
                      u.scheme == FILE_URL ? "is not file:///PATH" : "names no bucket or host");
    for (size_t i = 0; i < r->n; i++)
        if (!url_read(r->prefixes[i], &rule) && rule_matches(&rule, &u))
            return 0;
    return refuse(err, -EACCES, what, url,
                  "is not allowed here; ask the operator of the dispatcher");
}
