/* lock.c - one dispatcher a database. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "../../common/base/cleanup.h"
#include "../../common/base/err.h"
#include "daemon.h"

static long holder(int fd)
{
    char text[24] = "";

    return pread(fd, text, sizeof(text) - 1, 0) > 0 ? strtol(text, NULL, 10) : 0;
}

static int take(int fd, const char *db, const char *path, struct err *err)
{
    char pid[24];

    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        if (errno == EWOULDBLOCK)
            return err_set(err, -EBUSY, ERR_RESOURCE,
                           "%.300s: another dispatcher (process %ld) uses this database", db,
                           holder(fd));
        return err_set(err, -errno, ERR_STORAGE, "%.300s: %s", path, strerror(errno));
    }
    int n = snprintf(pid, sizeof(pid), "%ld\n", (long)getpid());
    if (ftruncate(fd, 0) < 0 || pwrite(fd, pid, (size_t)n, 0) != n)
        return err_set(err, -EIO, ERR_STORAGE, "%.300s: can't be written", path);
    return 0;
}

/* The file stays when the process ends: a lock on one that somebody removed
 * protects nothing. */
int daemon_lock(const char *db, int *ret_fd, struct err *err)
{
    _cleanup_free_ char *path = NULL;

    if (asprintf(&path, "%s.lock", db) < 0) {
        path = NULL;
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory");
    }
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return err_set(err, -errno, ERR_STORAGE, "%.300s: %s", path, strerror(errno));
    int r = take(fd, db, path, err);
    if (r < 0)
        (void)close(fd);
    else
        *ret_fd = fd;
    return r;
}
