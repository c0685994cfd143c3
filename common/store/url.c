/* url.c - which store a URL means, and file:// URLs of paths. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../base/cleanup.h"
#include "../base/err.h"
#include "../base/utf8.h"
#include "store.h"

enum { KEY_MAX = 1024 }; /* what S3 allows */

static int check_part(const char *key, const char *part, size_t n, struct err *err)
{
    if (n == 0)
        return err_set(err, -EINVAL, ERR_INPUT, "key '%.200s' has an empty part", key);
    if ((n == 1 && part[0] == '.') || (n == 2 && part[0] == '.' && part[1] == '.'))
        return err_set(err, -EINVAL, ERR_INPUT, "key '%.200s' has a part '%.*s'", key, (int)n,
                       part);
    if (n > NAME_MAX)
        return err_set(err, -EINVAL, ERR_INPUT, "key '%.200s…' has a part of %zu bytes, limit %d",
                       key, n, NAME_MAX);
    return 0;
}

int store_key_check(const char *key, struct err *err)
{
    size_t len = strnlen(key, KEY_MAX + 1);

    if (len > KEY_MAX)
        return err_set(err, -EINVAL, ERR_INPUT, "key '%.100s…' is longer than %d bytes", key,
                       KEY_MAX);
    if (!utf8_valid(key, len))
        return err_set(err, -EINVAL, ERR_INPUT, "a key is not valid UTF-8");
    for (const char *p = key;; p++) {
        size_t n = strcspn(p, "/");
        int r = check_part(key, p, n, err);
        if (r < 0)
            return r;
        p += n;
        if (*p == '\0')
            return 0;
    }
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* In place. -EINVAL for a broken escape, a NUL, or a query or fragment. */
static int percent_decode(char *s)
{
    char *out = s;

    for (; *s; s++, out++) {
        if (*s == '?' || *s == '#')
            return -EINVAL;
        *out = *s;
        if (*s != '%')
            continue;
        int h = hex_digit(s[1]), l = h < 0 ? -1 : hex_digit(s[2]);
        if (l < 0 || (h == 0 && l == 0))
            return -EINVAL;
        *out = (char)(h << 4 | l);
        s += 2;
    }
    *out = '\0';
    return 0;
}

static int is_file(const char *url)
{
    return strncasecmp(url, "file://", 7) == 0;
}

static int url_path(const char *url, char **ret_path, struct err *err)
{
    const char *p = url;

    if (!is_file(url))
        return err_set(err, -ENOTSUP, ERR_UNSUPPORTED,
                       "%.300s: only file:// URLs can be opened here", url);
    p += 7;
    if (strncasecmp(p, "localhost/", 10) == 0)
        p += 9;
    if (*p != '/')
        return err_set(err, -EINVAL, ERR_USAGE, "%.300s: not an absolute file:///… URL", url);

    char *path = strdup(p);
    if (!path)
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory");
    if (percent_decode(path) < 0 || strlen(path) >= PATH_MAX) {
        free(path);
        return err_set(err, -EINVAL, ERR_USAGE,
                       "%.300s: not a file URL (broken %% escape, '?', '#', or too long)", url);
    }
    *ret_path = path;
    return 0;
}

int store_open_object(struct store_env *env, const char *url, struct store **ret, char **ret_key,
                      struct err *err)
{
    _cleanup_free_ char *path = NULL;

    if (env && !is_file(url))
        return env->open_object(env, url, ret, ret_key, err);
    int r = url_path(url, &path, err);
    if (r < 0)
        return r;
    char *slash = strrchr(path, '/');
    r = store_key_check(slash + 1, err);
    if (r < 0)
        return err_prefix(err, r, "%.300s", url);

    _cleanup_free_ char *key = strdup(slash + 1);
    if (!key)
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory");
    slash[slash == path ? 1 : 0] = '\0';
    r = store_file_open(path, 0, ret, err);
    if (r == 0)
        *ret_key = take_ptr(key);
    return r;
}

int store_open_prefix(struct store_env *env, const char *url, int create, struct store **ret,
                      struct err *err)
{
    _cleanup_free_ char *path = NULL;

    if (env && !is_file(url))
        return env->open_prefix(env, url, ret, err);
    int r = url_path(url, &path, err);
    return r < 0 ? r : store_file_open(path, create, ret, err);
}

/* The real path of the part of `path` that exists, then the rest as it is:
 * an output folder gets its URL before it is made. NULL with errno. */
static char *absolute(const char *path)
{
    _cleanup_free_ char *head = strdup(path);
    const char *rest = path + strlen(path);

    if (!head)
        return NULL;
    for (;;) {
        _cleanup_free_ char *real = realpath(head[0] ? head : ".", NULL);
        char *full;
        if (real) {
            const char *sep = *rest && strcmp(real, "/") != 0 ? "/" : "";
            return asprintf(&full, "%s%s%s", real, sep, rest) < 0 ? NULL : full;
        }
        if (errno != ENOENT || !head[0])
            return NULL;

        /* One part more for the rest, which must not climb. */
        size_t end = strlen(head);
        while (end > 0 && head[end - 1] == '/')
            end--;
        size_t start = end;
        while (start > 0 && head[start - 1] != '/')
            start--;
        size_t n = end - start;
        if (n == 2 && memcmp(head + start, "..", 2) == 0) {
            errno = ENOENT;
            return NULL;
        }
        rest = path + start;
        head[start] = '\0';
    }
}

char *store_file_url(const char *path)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "-_.~/!$&'()*+,;=:@";
    _cleanup_free_ char *abs = NULL;

    if (!path[0]) {
        errno = ENOENT;
        return NULL;
    }
    abs = absolute(path);
    if (!abs)
        return NULL;
    char *url = malloc(strlen("file://") + 3 * strlen(abs) + 1);
    if (!url)
        return NULL;
    char *out = stpcpy(url, "file://");
    for (const char *p = abs; *p; p++) {
        if (strchr(plain, *p))
            *out++ = *p;
        else
            out += sprintf(out, "%%%02X", (unsigned)(unsigned char)*p);
    }
    *out = '\0';
    return url;
}
