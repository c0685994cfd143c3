/* listen.c - where the API listens. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "api_parts.h"
#include "url_rules.h"

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

static int bad(const char *where, struct err *err)
{
    return err_set(err, -EINVAL, ERR_USAGE,
                   "--listen %.100s: not ADDRESS:PORT, like 127.0.0.1:7411 or [::1]:7411", where);
}

/* Splits at the last ':'; brackets are taken off. */
static int split(const char *where, char *host, size_t size, unsigned *ret_port)
{
    const char *colon = strrchr(where, ':');
    char *end;

    if (!colon || !colon[1] || strspn(colon + 1, "0123456789") != strlen(colon + 1))
        return -EINVAL;
    unsigned long port = strtoul(colon + 1, &end, 10);
    size_t n = (size_t)(colon - where);
    if (port > 65535 || n == 0 || n >= size)
        return -EINVAL;
    if (where[0] == '[' && n > 2 && where[n - 1] == ']') {
        where++;
        n -= 2;
    }
    memcpy(host, where, n);
    host[n] = '\0';
    *ret_port = (unsigned)port;
    return 0;
}

static int parse(const char *where, union address *ret, socklen_t *ret_len)
{
    char host[64];
    unsigned port;

    *ret = (union address){ 0 };
    if (split(where, host, sizeof(host), &port) < 0)
        return -EINVAL;
    if (strcmp(host, "localhost") == 0)
        memcpy(host, "127.0.0.1", 10);
    if (inet_pton(AF_INET, host, &ret->v4.sin_addr) == 1) {
        ret->v4.sin_family = AF_INET;
        ret->v4.sin_port = htons((uint16_t)port);
        *ret_len = sizeof(ret->v4);
        return 0;
    }
    if (inet_pton(AF_INET6, host, &ret->v6.sin6_addr) == 1) {
        ret->v6.sin6_family = AF_INET6;
        ret->v6.sin6_port = htons((uint16_t)port);
        *ret_len = sizeof(ret->v6);
        return 0;
    }
    return -EINVAL;
}

static int open_at(const char *where, union address *a, socklen_t len, int *ret_fd, struct err *err)
{
    const int on = 1;
    int fd = socket(a->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
        bind(fd, &a->any, len) < 0 || listen(fd, 511) < 0 || getsockname(fd, &a->any, &len) < 0) {
        int r = err_set(err, -errno, ERR_RESOURCE, "--listen %.100s: %s", where, strerror(errno));
        if (fd >= 0)
            (void)close(fd);
        return r;
    }
    *ret_fd = fd;
    return 0;
}

int api_listen(const char *where, int only_loopback, int *ret_fd, unsigned *ret_port, int *ret_v6,
               struct err *err)
{
    union address a;
    socklen_t len;

    if (parse(where, &a, &len) < 0)
        return bad(where, err);
    if (only_loopback && !address_is_loopback(&a.any))
        return err_set(
            err, -EACCES, ERR_USAGE,
            "--listen %.100s: others can reach this address, so there has to be a token: "
            "see --token-file",
            where);
    int r = open_at(where, &a, len, ret_fd, err);
    if (r < 0)
        return r;
    *ret_v6 = a.any.sa_family == AF_INET6;
    *ret_port = ntohs(*ret_v6 ? a.v6.sin6_port : a.v4.sin_port);
    return 0;
}

int api_host_is_local(const char *host)
{
    union address a;
    socklen_t len;
    char with_port[80];
    const char *end = strrchr(host, ']'), *colon = strrchr(host, ':');
    size_t n = strnlen(host, sizeof(with_port));

    if (n >= sizeof(with_port) - 3)
        return 0;
    memcpy(with_port, host, n + 1);
    if (!colon || (end && end > colon))
        memcpy(with_port + n, ":80", 4);
    return parse(with_port, &a, &len) == 0 && address_is_loopback(&a.any);
}
