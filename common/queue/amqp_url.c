#include "amqp_url.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "../base/cleanup.h"
#include "../base/err.h"

enum { PART_MAX = 255, URL_MAX = 8192 };

static int bad(struct err *err, const char *what)
{
    return err_set(err, -EINVAL, ERR_USAGE, "the broker's URL: %s", what);
}

static int no_memory(struct err *err)
{
    return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory");
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Percent-decode `len` bytes into a new string. */
static int decode(const char *s, size_t len, const char *what, char **ret, struct err *err)
{
    _cleanup_free_ char *out = malloc(len + 1);
    size_t n = 0;

    if (!out)
        return no_memory(err);
    for (size_t i = 0; i < len; i++) {
        int c = (unsigned char)s[i];
        if (c == '%') {
            int high = len - i > 2 ? hex_digit(s[i + 1]) : -1;
            int low = high >= 0 ? hex_digit(s[i + 2]) : -1;
            if (low < 0)
                return bad(err, what);
            c = high * 16 + low;
            i += 2;
        }
        if (c < ' ' || c == 0x7f)
            return bad(err, what);
        out[n++] = (char)c;
    }
    if (n > PART_MAX)
        return bad(err, what);
    out[n] = '\0';
    free(*ret);
    *ret = take_ptr(out);
    return 0;
}

static int parse_port(const char *s, size_t len, int *ret)
{
    int port = 0;

    if (len == 0 || len > 5)
        return -EINVAL;
    for (size_t i = 0; i < len; i++) {
        if (!isdigit((unsigned char)s[i]))
            return -EINVAL;
        port = port * 10 + (s[i] - '0');
    }
    if (port == 0 || port > 65535)
        return -EINVAL;
    *ret = port;
    return 0;
}

static int parse_host(const char *s, size_t len, int tls, struct amqp_host *ret, struct err *err)
{
    const char *name = s, *end = s + len, *close = NULL;
    size_t name_len = 0;

    ret->port = tls ? 5671 : 5672;
    if (len > 0 && *s == '[') {
        close = memchr(s, ']', len);
        if (!close)
            return bad(err, "a bracket isn't closed");
        name = s + 1;
        name_len = (size_t)(close - name);
        s = close + 1;
    } else {
        const char *colon = memchr(s, ':', len);
        name_len = (size_t)((colon ? colon : end) - s);
        s += name_len;
    }
    if (name_len == 0 || name_len > PART_MAX)
        return bad(err, "a host is missing or too long");
    for (size_t i = 0; i < name_len; i++)
        if (!isalnum((unsigned char)name[i]) && !strchr(close ? ".:%-_" : ".-_", name[i]))
            return bad(err, "a host has characters that no name has");
    if (s < end && (*s != ':' || parse_port(s + 1, (size_t)(end - s - 1), &ret->port) < 0))
        return bad(err, "a port isn't one of 1 to 65535");
    ret->name = strndup(name, name_len);
    return ret->name ? 0 : no_memory(err);
}

static int parse_hosts(const char *s, size_t len, struct amqp_url *u, struct err *err)
{
    const char *end = s + len;

    for (;;) {
        const char *comma = memchr(s, ',', (size_t)(end - s));
        const char *stop = comma ? comma : end;
        if (u->n_hosts == AMQP_HOSTS_MAX)
            return bad(err, "more than 16 hosts");
        int r = parse_host(s, (size_t)(stop - s), u->tls, &u->hosts[u->n_hosts], err);
        if (r < 0)
            return r;
        u->n_hosts++;
        if (!comma)
            return 0;
        s = comma + 1;
    }
}

static int parse_user(const char *s, size_t len, struct amqp_url *u, struct err *err)
{
    const char *colon = memchr(s, ':', len);
    size_t n = colon ? (size_t)(colon - s) : len;
    int r = decode(s, n, "its user name can't be read", &u->user, err);

    if (r < 0 || !colon)
        return r;
    return decode(colon + 1, len - n - 1, "its password can't be read", &u->password, err);
}

static int parse(const char *s, struct amqp_url *u, struct err *err)
{
    const char *slash = strchr(s, '/');
    size_t len = slash ? (size_t)(slash - s) : strlen(s);
    const char *at = memrchr(s, '@', len);
    const char *vhost = slash && slash[1] ? slash + 1 : "%2f";
    int r = at ? parse_user(s, (size_t)(at - s), u, err) : 0;

    if (r < 0)
        return r;
    if (at) {
        len -= (size_t)(at + 1 - s);
        s = at + 1;
    }
    if (strpbrk(vhost, "/?#"))
        return bad(err, "what follows the host is not a vhost (a slash in one is written %2F)");
    r = parse_hosts(s, len, u, err);
    return r < 0 ? r : decode(vhost, strlen(vhost), "its vhost can't be read", &u->vhost, err);
}

int amqp_url_parse(const char *text, struct amqp_url *ret, struct err *err)
{
    struct amqp_url u = { 0 };
    int r;

    if (!text || strlen(text) > URL_MAX)
        return bad(err, "it is missing or too long");
    u.tls = strncasecmp(text, "amqps://", 8) == 0;
    if (!u.tls && strncasecmp(text, "amqp://", 7) != 0)
        return bad(err, "it begins with neither amqp:// nor amqps://");
    u.user = strdup("guest");
    u.password = strdup("guest");
    r = u.user && u.password ? parse(text + (u.tls ? 8 : 7), &u, err) : no_memory(err);
    if (r < 0)
        amqp_url_release(&u);
    else
        *ret = u;
    return r;
}

void amqp_url_release(struct amqp_url *u)
{
    if (u->password)
        explicit_bzero(u->password, strlen(u->password));
    free(u->user);
    free(u->password);
    free(u->vhost);
    for (size_t i = 0; i < u->n_hosts; i++)
        free(u->hosts[i].name);
    *u = (struct amqp_url){ 0 };
}
