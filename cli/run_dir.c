#include "run_dir.h"
#include "../common/base/err.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static int fail(struct err *err, const char *path, const char *what)
{
    return err_set(err, -errno, ERR_STORAGE, "%s: %s: %s; choose another --output", path, what,
                   strerror(errno));
}

/* mkdir -p; *ret_from: length of the longest leading part that was there. */
static int make_folders(const char *path, size_t *ret_from, struct err *err)
{
    char *part = strdup(path);
    size_t from = 0;
    int made = 0;

    if (!part)
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory");
    for (size_t i = 1; i <= strlen(path); i++) {
        if (path[i] != '/' && path[i] != '\0')
            continue;
        part[i] = '\0';
        if (mkdir(part, 0777) == 0) {
            made = 1;
        } else if (errno != EEXIST) {
            int r = fail(err, part, "the folder can't be made");
            free(part);
            *ret_from = from; /* so that the caller can take back what was made */
            return r;
        } else if (!made) {
            from = i;
        }
        part[i] = path[i];
    }
    free(part);
    *ret_from = from;
    return 0;
}

static void remove_made(const struct run_dir *d)
{
    char *part = strdup(d->path);

    for (size_t n = part ? strlen(part) : 0; n > d->made_from; n--) {
        if (d->path[n] != '/' && d->path[n] != '\0')
            continue;
        part[n] = '\0';
        if (rmdir(part) < 0 && errno != ENOENT)
            break;
    }
    free(part);
}

static int lock_holder(int fd)
{
    char text[16] = "";
    ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

    return n > 0 ? (int)strtol(text, NULL, 10) : 0;
}

static int lock_once(const char *name, int *ret_fd, struct err *err)
{
    int fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);

    if (fd < 0)
        return fail(err, name, "can't be written");
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        int r = errno == EWOULDBLOCK
                    ? err_set(err, -EBUSY, ERR_STORAGE,
                              "%s: another gopmill run (process %d) is at work on this package; "
                              "wait for it, or choose another --output",
                              name, lock_holder(fd))
                    : fail(err, name, "can't be locked");
        (void)close(fd);
        return r;
    }
    *ret_fd = fd;
    return 0;
}

/* A run that gives up removes its lock file: a lock on a file that is no
 * longer there under that name protects nothing. */
static int lock_state(struct run_dir *d, struct err *err)
{
    char *name;
    int r, fd = -1;

    if (asprintf(&name, "%s/lock", d->state) < 0)
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory");
    while ((r = lock_once(name, &fd, err)) >= 0) {
        struct stat by_fd, by_name;

        if (fstat(fd, &by_fd) == 0 && stat(name, &by_name) == 0 && by_fd.st_ino == by_name.st_ino)
            break;
        (void)close(fd);
    }
    if (r >= 0) {
        char pid[16];
        int n = snprintf(pid, sizeof(pid), "%d\n", (int)getpid());

        /* Only for the message of whoever comes second. */
        if (ftruncate(fd, 0) < 0 || pwrite(fd, pid, (size_t)n, 0) < 0) {
            r = fail(err, name, "can't be written");
            (void)close(fd);
        } else {
            d->lock = fd;
        }
    }
    free(name);
    return r;
}

static int open_state(struct run_dir *d, struct err *err)
{
    struct stat st;

    if (stat(d->path, &st) < 0)
        return fail(err, d->path, "can't be used");
    if (!S_ISDIR(st.st_mode)) {
        errno = ENOTDIR;
        return fail(err, d->path, "can't be used");
    }
    if (mkdir(d->state, 0777) == 0)
        d->made_state = 1;
    else if (errno != EEXIST)
        return fail(err, d->path, "can't be written");
    return lock_state(d, err);
}

static size_t trimmed(const char *path)
{
    size_t n = strlen(path);

    while (n > 1 && path[n - 1] == '/')
        n--;
    return n;
}

int run_dir_open(const char *path, struct run_dir *ret, struct err *err)
{
    struct run_dir d = { .lock = -1 };

    if (!path[0])
        return err_set(err, -EINVAL, ERR_USAGE, "--output: must not be empty");
    d.path = strndup(path, trimmed(path));
    if (!d.path || asprintf(&d.state, "%s/.gopmill", d.path) < 0)
        d.state = NULL;
    if (!d.state || asprintf(&d.db, "%s/job.db", d.state) < 0)
        d.db = NULL;
    if (!d.db) {
        run_dir_release(&d);
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory");
    }

    int r = make_folders(d.path, &d.made_from, err);
    if (r >= 0)
        r = open_state(&d, err);
    if (r < 0) {
        if (r != -EBUSY && d.made_state)
            (void)rmdir(d.state);
        remove_made(&d);
        run_dir_release(&d);
        return r;
    }
    *ret = d;
    return 0;
}

/* .gopmill holds plain files: the database, its journals, the lock. */
static void remove_state(const struct run_dir *d)
{
    DIR *dir = opendir(d->state);
    const struct dirent *e;

    while (dir && (e = readdir(dir)) != NULL) /* NOLINT(concurrency-mt-unsafe) */
        if (strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
            (void)unlinkat(dirfd(dir), e->d_name, 0);
    if (dir)
        (void)closedir(dir);
    (void)rmdir(d->state);
}

void run_dir_abandon(struct run_dir *d)
{
    remove_state(d);
    remove_made(d);
}

void run_dir_release(struct run_dir *d)
{
    if (d->lock >= 0)
        (void)close(d->lock);
    free(d->db);
    free(d->state);
    free(d->path);
    *d = (struct run_dir){ .lock = -1 };
}

char *run_dir_default(const char *input)
{
    const char *slash = strrchr(input, '/');
    const char *name = slash ? slash + 1 : input;
    const char *dot = strrchr(name, '.');
    char *dir;

    if (dot && dot != name)
        return strndup(name, (size_t)(dot - name));
    return asprintf(&dir, "%s-package", name) < 0 ? NULL : dir;
}
