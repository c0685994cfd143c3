/* file.c - a folder as a store.
 *
 * An object is a regular file. A put writes a temporary file in the folder
 * of the object and renames it, so that readers and crashes see all or
 * nothing. What a killed writer leaves behind is named TMP_PREFIX…; it and
 * the folder OWN_DIR (job database, logs) are never listed.
 */
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <inttypes.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../base/cleanup.h"
#include "../base/err.h"
#include "../base/utf8.h"
#include "store.h"

#define TMP_PREFIX ".gopmill-tmp-"
#define OWN_DIR    ".gopmill"

enum { TMP_TRIES = 1000 }; /* names of dead writers to step over */

struct file_store {
    struct store store;
    char *root;         /* absolute, without a '/' at its end */
    atomic_uint serial; /* makes the names of temporary files unique */
};

static struct file_store *file_store(struct store *s)
{
    return (struct file_store *)s; /* store is its first member */
}

static int fail(struct err *err, int r, const char *what, const char *path)
{
    const char *hint = "";

    if (r == -ENOSPC || r == -EDQUOT)
        hint = "; free some space and run the same command again to resume";
    else if (r == -EACCES || r == -EPERM)
        hint = "; check who may use it";
    else if (r == -EROFS)
        hint = "; choose another folder";
    return err_set(err, r, ERR_STORAGE, "can't %s %.500s: %s%s", what, path, strerror(-r), hint);
}

static int object_path(struct file_store *s, const char *key, char ret[PATH_MAX], struct err *err)
{
    int r = store_key_check(key, err);

    if (r < 0)
        return r;
    int n = snprintf(ret, PATH_MAX, "%s/%s", s->root, key);
    if (n < 0 || n >= PATH_MAX)
        return err_set(err, -ENAMETOOLONG, ERR_INPUT, "%.200s/%.200s…: path longer than %d bytes",
                       s->root, key, PATH_MAX - 1);
    return 0;
}

static void fill_stat(const struct stat *st, struct store_stat *ret)
{
    ret->size_bytes = (uint64_t)st->st_size;
    ret->md5[0] = '\0';
    (void)snprintf(ret->etag, sizeof(ret->etag), "%" PRIu64 "-%lld%09ld-%" PRIu64,
                   (uint64_t)st->st_size, (long long)st->st_mtim.tv_sec, st->st_mtim.tv_nsec,
                   (uint64_t)st->st_ino);
}

/* 0 for a regular file, else the reason why it isn't an object. */
static int check_regular(const struct stat *st, const char *path, struct err *err)
{
    if (S_ISREG(st->st_mode))
        return 0;
    return err_set(err, S_ISDIR(st->st_mode) ? -EISDIR : -EINVAL, ERR_INPUT, "%.500s is %s", path,
                   S_ISDIR(st->st_mode) ? "a folder, not a file" : "not a regular file");
}

static int file_head(struct store *s, const char *key, struct store_stat *ret, struct err *err)
{
    char path[PATH_MAX];
    struct stat st;
    int r = object_path(file_store(s), key, path, err);

    if (r < 0)
        return r;
    if (stat(path, &st) < 0)
        return fail(err, errno == ENOTDIR ? -ENOENT : -errno, "read", path);
    r = check_regular(&st, path, err);
    if (r < 0)
        return r;
    fill_stat(&st, ret);
    return 0;
}

static int read_full(int fd, uint64_t off, void *buf, size_t len, size_t *ret_n)
{
    size_t n = 0;

    if (off > INT64_MAX - len)
        return -EINVAL;
    while (n < len) {
        ssize_t r = pread(fd, (char *)buf + n, len - n, (off_t)(off + n));
        if (r < 0 && errno == EINTR)
            continue;
        if (r < 0)
            return -errno;
        if (r == 0)
            break;
        n += (size_t)r;
    }
    *ret_n = n;
    return 0;
}

static int file_get_range(struct store *s, const char *key, const char *etag, uint64_t off,
                          void *buf, size_t len, size_t *ret_n, struct err *err)
{
    char path[PATH_MAX];
    struct stat st;
    struct store_stat now;
    size_t n = 0;
    int r = object_path(file_store(s), key, path, err);

    if (r < 0)
        return r;
    /* O_NONBLOCK: a FIFO in the place of a file must not hang us. */
    _cleanup_fd_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return fail(err, errno == ENOTDIR ? -ENOENT : -errno, "read", path);
    if (fstat(fd, &st) < 0)
        return fail(err, -errno, "read", path);
    r = check_regular(&st, path, err);
    if (r < 0)
        return r;
    r = read_full(fd, off, buf, len, &n);
    if (r < 0)
        return fail(err, r, "read", path);

    /* Looked at after the read: a writer in between is seen too. */
    if (fstat(fd, &st) < 0)
        return fail(err, -errno, "read", path);
    fill_stat(&st, &now);
    if (etag && strcmp(etag, now.etag) != 0)
        return err_set(err, -ESTALE, ERR_INPUT, "%.500s was changed or replaced while in use",
                       path);
    *ret_n = n;
    return 0;
}

static int sync_folder(const char *path)
{
    _cleanup_fd_ int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

/* Make the folders of `path` from offset `from` on. `path` is given back as
 * it was. */
static int make_folders(char *path, size_t from, int durable)
{
    for (char *p = strchr(path + from, '/'); p; p = strchr(p + 1, '/')) {
        int r = 0;
        if (p == path)
            continue;
        *p = '\0';
        if (mkdir(path, 0777) == 0) {
            char *up = strrchr(path, '/');
            if (durable && up) {
                *up = '\0';
                r = sync_folder(path[0] ? path : "/");
                *up = '/';
            }
        } else if (errno != EEXIST) {
            r = -errno;
        }
        *p = '/';
        if (r < 0)
            return r;
    }
    return 0;
}

static int write_full(int fd, const void *buf, size_t len)
{
    const char *p = buf;

    while (len > 0) {
        ssize_t n = write(fd, p, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        p += n;
        len -= (size_t)n;
    }
    return 0;
}

/* A new temporary file in the folder of `path`, locked: that it is locked
 * tells the sweeper that its writer lives. -EEXIST: try the next name. */
static int create_tmp(const char *tmp)
{
    int fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    struct stat st;

    if (fd < 0)
        return -errno;
    /* A sweeper may have been quicker than the lock. */
    if (flock(fd, LOCK_EX | LOCK_NB) == 0 && fstat(fd, &st) == 0 && st.st_nlink > 0)
        return fd;
    (void)close(fd);
    return -EEXIST;
}

static int open_tmp(struct file_store *s, char *path, char tmp[PATH_MAX], int durable)
{
    int dir_len = (int)(strrchr(path, '/') - path);
    int r = -EEXIST;

    for (int tries = 0; tries < TMP_TRIES && (r == -EEXIST || r == -ENOENT); tries++) {
        int n = snprintf(tmp, PATH_MAX, "%.*s/" TMP_PREFIX "%d-%u", dir_len, path, (int)getpid(),
                         atomic_fetch_add(&s->serial, 1));
        if (n < 0 || n >= PATH_MAX)
            return -ENAMETOOLONG;
        r = create_tmp(tmp);
        if (r == -ENOENT && tries > 0)
            return r;
        int made = r == -ENOENT ? make_folders(path, strlen(s->root) + 1, durable) : 0;
        if (made < 0)
            return made;
    }
    return r;
}

/* -EEXIST where `path` is there and `if_absent` is set. */
static int move_into_place(const char *tmp, const char *path, int if_absent)
{
    if (!if_absent)
        return rename(tmp, path) < 0 ? -errno : 0;
    if (renameat2(AT_FDCWD, tmp, AT_FDCWD, path, RENAME_NOREPLACE) == 0)
        return 0;
    if (errno != EINVAL && errno != ENOSYS)
        return -errno;
    /* A file system that has no such rename. */
    if (link(tmp, path) < 0)
        return -errno;
    (void)unlink(tmp);
    return 0;
}

static int file_put(struct store *s, const char *key, const void *buf, size_t len,
                    const struct store_put_opts *opts, struct err *err)
{
    char path[PATH_MAX], tmp[PATH_MAX];
    int durable = opts && opts->durable;
    int r = object_path(file_store(s), key, path, err);

    if (r < 0)
        return r;
    int fd = open_tmp(file_store(s), path, tmp, durable);
    if (fd < 0)
        return fail(err, fd, "write", path);
    r = write_full(fd, buf, len);
    if (r == 0 && durable && fsync(fd) < 0)
        r = -errno;
    if (close(fd) < 0 && r == 0)
        r = -errno;
    if (r == 0)
        r = move_into_place(tmp, path, opts && opts->if_absent);
    if (r < 0) {
        (void)unlink(tmp);
        if (r == -EEXIST)
            return err_set(err, r, ERR_STORAGE, "%.500s is there already", path);
        return fail(err, r, "write", path);
    }
    if (durable) {
        *strrchr(path, '/') = '\0';
        r = sync_folder(path);
    }
    return r < 0 ? fail(err, r, "write", path) : 0;
}

struct listing {
    const char *prefix;
    size_t root_len; /* with the '/' */
    int (*each)(void *arg, const char *key, const struct store_stat *st);
    void *arg;
};

static int list_entry(const struct listing *l, FTS *fts, FTSENT *e, struct err *err)
{
    struct stat st = { 0 };
    struct store_stat ret;

    if (e->fts_info == FTS_D && e->fts_level > 0 && strcmp(e->fts_name, OWN_DIR) == 0)
        return fts_set(fts, e, FTS_SKIP) < 0 ? -errno : 0;
    if (e->fts_info == FTS_DNR || e->fts_info == FTS_ERR || e->fts_info == FTS_NS) {
        if (e->fts_errno == ENOENT)
            return 0; /* deleted meanwhile */
        return fail(err, -e->fts_errno, "list", e->fts_path);
    }
    if (e->fts_info == FTS_F)
        st = *e->fts_statp;
    else if (e->fts_info != FTS_SL || stat(e->fts_accpath, &st) < 0)
        return 0;
    const char *key = e->fts_path + l->root_len;
    if (!S_ISREG(st.st_mode) || strncmp(e->fts_name, TMP_PREFIX, strlen(TMP_PREFIX)) == 0)
        return 0;
    if (strncmp(key, l->prefix, strlen(l->prefix)) != 0 || store_key_check(key, NULL) < 0)
        return 0;
    fill_stat(&st, &ret);
    return l->each(l->arg, key, &ret);
}

static int file_list(struct store *s, const char *prefix,
                     int (*each)(void *arg, const char *key, const struct store_stat *st),
                     void *arg, struct err *err)
{
    struct file_store *f = file_store(s);
    struct listing l = { prefix, strlen(f->root) + 1, each, arg };
    char path[PATH_MAX];
    const char *slash = strrchr(prefix, '/');
    int r = 0;

    /* Walk only the folder that the prefix names. */
    int n = snprintf(path, sizeof(path), "%s/%.*s", f->root, slash ? (int)(slash - prefix) : 0,
                     prefix);
    if (n < 0 || n >= PATH_MAX)
        return err_set(err, -ENAMETOOLONG, ERR_INPUT, "prefix '%.100s…' is too long", prefix);
    if (slash && (r = store_key_check(path + l.root_len, err)) < 0)
        return r;
    if (!slash && f->root[0])
        path[l.root_len - 1] = '\0';
    struct stat st;
    if (stat(path, &st) < 0)
        return errno == ENOENT || errno == ENOTDIR ? 0 : fail(err, -errno, "list", path);

    char *const paths[] = { path, NULL };
    FTS *fts = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR | FTS_COMFOLLOW, NULL);
    if (!fts)
        return fail(err, -errno, "list", path);
    for (FTSENT *e; r == 0;) {
        errno = 0; /* fts_read() tells its end from an error by it */
        e = fts_read(fts);
        if (!e) {
            r = errno ? fail(err, -errno, "list", path) : 0;
            break;
        }
        r = list_entry(&l, fts, e, err);
    }
    (void)fts_close(fts);
    return r;
}

static int file_del(struct store *s, const char *key, struct err *err)
{
    char path[PATH_MAX];
    int r = object_path(file_store(s), key, path, err);

    if (r < 0)
        return r;
    if (unlink(path) < 0 && errno != ENOENT && errno != ENOTDIR)
        return fail(err, -errno, "delete", path);
    return 0;
}

/* Unlink the temporary file `path` unless its writer lives. */
static void sweep_one(const char *path)
{
    _cleanup_fd_ int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

    if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0)
        (void)unlink(path);
}

static int file_sweep(struct store *s, struct err *err)
{
    struct file_store *f = file_store(s);
    char slash[] = "/";
    char *const paths[] = { f->root[0] ? f->root : slash, NULL };
    FTS *fts = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR | FTS_NOSTAT, NULL);

    if (!fts)
        return fail(err, -errno, "list", f->root);
    for (FTSENT *e; (e = fts_read(fts));)
        if (e->fts_info != FTS_D && e->fts_info != FTS_DP &&
            strncmp(e->fts_name, TMP_PREFIX, strlen(TMP_PREFIX)) == 0)
            sweep_one(e->fts_accpath);
    (void)fts_close(fts);
    return 0;
}

static int file_sync(struct store *s, struct err *err)
{
    struct file_store *f = file_store(s);
    _cleanup_fd_ int fd = open(f->root[0] ? f->root : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0 || syncfs(fd) < 0)
        return fail(err, -errno, "write", f->root);
    return 0;
}

static void file_free(struct store *s)
{
    free(file_store(s)->root);
    free(s);
}

static const struct store_ops file_ops = {
    .name = "file",
    .head = file_head,
    .get_range = file_get_range,
    .put = file_put,
    .list = file_list,
    .del = file_del,
    .sweep = file_sweep,
    .sync = file_sync,
    .free = file_free,
};

static int make_root(const char *root)
{
    char path[PATH_MAX];
    int n = snprintf(path, sizeof(path), "%s/", root);

    if (n < 0 || n >= PATH_MAX)
        return -ENAMETOOLONG;
    return make_folders(path, 0, 0);
}

int store_file_open(const char *root, int create, struct store **ret, struct err *err)
{
    struct stat st;
    int r;

    if (create && (r = make_root(root)) < 0)
        return fail(err, r, "make the folder", root);
    _cleanup_free_ char *real = realpath(root, NULL);
    if (!real || stat(real, &st) < 0)
        return fail(err, -errno, "open the folder", root);
    if (!S_ISDIR(st.st_mode))
        return err_set(err, -ENOTDIR, ERR_STORAGE, "%.500s is a file, not a folder", root);
    if (strcmp(real, "/") == 0)
        real[0] = '\0';

    struct file_store *s = calloc(1, sizeof(*s));
    if (!s)
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory");
    s->store.ops = &file_ops;
    s->root = take_ptr(real);
    *ret = &s->store;
    return 0;
}
