#include "spill.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct spill {
    int fd;
    uint64_t size;
};

static int spill_file(void)
{
    const char *dir = getenv("TMPDIR");
    char path[4096];
    int n = snprintf(path, sizeof(path), "%s/gopmill-verify.XXXXXX", dir && *dir ? dir : "/tmp");
    if (n < 0 || (size_t)n >= sizeof(path))
        return -ENAMETOOLONG;
    int fd = mkostemp(path, O_CLOEXEC);
    if (fd < 0)
        return -errno;
    (void)unlink(path);
    return fd;
}

int spill_new(struct spill **ret)
{
    struct spill *s = calloc(1, sizeof(*s));
    if (!s)
        return -ENOMEM;
    s->fd = spill_file();
    if (s->fd < 0) {
        int r = s->fd;
        free(s);
        return r;
    }
    *ret = s;
    return 0;
}

void spill_free(struct spill *s)
{
    if (!s)
        return;
    (void)close(s->fd);
    free(s);
}

int spill_add(struct spill *s, const void *buf, size_t len)
{
    const char *from = buf;
    while (len) {
        ssize_t n = pwrite(s->fd, from, len, (off_t)s->size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -EIO;
        from += n;
        len -= (size_t)n;
        s->size += (uint64_t)n;
    }
    return 0;
}

uint64_t spill_size(const struct spill *s)
{
    return s->size;
}

int spill_read(const struct spill *s, uint64_t off, void *buf, size_t len)
{
    char *to = buf;
    if (off > s->size || len > s->size - off)
        return -EINVAL;
    while (len) {
        ssize_t n = pread(s->fd, to, len, (off_t)off);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return -EIO;
        to += n;
        off += (uint64_t)n;
        len -= (size_t)n;
    }
    return 0;
}
