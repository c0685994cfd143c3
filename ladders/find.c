/* find.c - where ladders are, and reading them from there. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "../common/base/cleanup.h"
#include "../common/base/err.h"
#include "gopmill-config.h"
#include "ladder.h"
#include "rung.h"

enum { DIRS_MAX = 16, NAMES_MAX = 1000 };

/* ---- folders ---- */

void ladder_dirs_free(char **dirs)
{
    for (char **d = dirs; d && *d; d++)
        free(*d);
    free(dirs);
}
DEFINE_CLEANUP(char **, ladder_dirs_free);

static int is_dir(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static int dirs_add(char **dirs, size_t *n, const char *s, size_t len)
{
    if (len == 0 || *n == DIRS_MAX)
        return 0;
    dirs[*n] = strndup(s, len);
    return dirs[*n] ? (++*n, 0) : -ENOMEM;
}

static int dirs_fill(char **dirs)
{
    size_t n = 0;
    const char *env = getenv("GOPMILL_LADDERS");
    int r = 0;
    while (env && r == 0) {
        const char *colon = strchrnul(env, ':');
        r = dirs_add(dirs, &n, env, (size_t)(colon - env));
        env = *colon ? colon + 1 : NULL;
    }
    if (r == 0 && is_dir(GOPMILL_SOURCE_LADDERS))
        r = dirs_add(dirs, &n, GOPMILL_SOURCE_LADDERS, strlen(GOPMILL_SOURCE_LADDERS));
    if (r == 0)
        r = dirs_add(dirs, &n, GOPMILL_LADDER_DIR, strlen(GOPMILL_LADDER_DIR));
    return r;
}

char **ladder_dirs(void)
{
    char **dirs = calloc(DIRS_MAX + 1, sizeof(*dirs));
    if (dirs && dirs_fill(dirs) < 0) {
        ladder_dirs_free(dirs);
        return NULL;
    }
    return dirs;
}

/* ---- listing ---- */

struct entry {
    char *name, *path;
    size_t dir; /* earlier folders win */
};

struct listing {
    struct entry *e;
    size_t n;
};

static void listing_release(struct listing *l)
{
    for (size_t i = 0; i < l->n; i++) {
        free(l->e[i].name);
        free(l->e[i].path);
    }
    free(l->e);
}

static int listing_add(struct listing *l, const char *dir, const char *file, size_t index)
{
    size_t len = strlen(file);
    if (len <= 5 || strcmp(file + len - 5, ".yaml") != 0 || *file == '.' || l->n == NAMES_MAX)
        return 0;
    struct entry *e = realloc(l->e, (l->n + 1) * sizeof(*e));
    if (!e)
        return -ENOMEM;
    l->e = e;
    e[l->n] = (struct entry){ strndup(file, len - 5), NULL, index };
    if (asprintf(&e[l->n].path, "%s/%s", dir, file) < 0)
        e[l->n].path = NULL;
    l->n++; /* released with the rest, half or whole */
    return e[l->n - 1].name && e[l->n - 1].path ? 0 : -ENOMEM;
}

static void cleanup_dirp(DIR **d)
{
    if (*d)
        (void)closedir(*d);
}

static int list_dir(struct listing *l, const char *dir, size_t index)
{
    _cleanup_(cleanup_dirp) DIR *d = opendir(dir);
    int r = 0;
    for (const struct dirent *e; d && r == 0 && (e = readdir(d));)
        r = listing_add(l, dir, e->d_name, index);
    return r;
}

static int by_name(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    int c = strcmp(x->name, y->name);
    return c ? c : (x->dir > y->dir) - (x->dir < y->dir);
}

static int listing_make(struct listing *l, char **dirs)
{
    for (size_t i = 0; dirs[i]; i++) {
        int r = list_dir(l, dirs[i], i);
        if (r < 0)
            return r;
    }
    if (l->n > 0)
        qsort(l->e, l->n, sizeof(*l->e), by_name);
    return 0;
}

int ladder_list(int (*each)(void *arg, const char *name, const char *path), void *arg,
                struct err *err)
{
    _cleanup_(ladder_dirs_freep) char **dirs = ladder_dirs();
    _cleanup_(listing_release) struct listing l = { 0 };
    if (!dirs || listing_make(&l, dirs) < 0)
        return err_set(err, -ENOMEM, ERR_RESOURCE, "listing ladders: out of memory");
    for (size_t i = 0; i < l.n; i++) {
        if (i > 0 && !strcmp(l.e[i].name, l.e[i - 1].name))
            continue;
        int r = each(arg, l.e[i].name, l.e[i].path);
        if (r != 0)
            return r;
    }
    return 0;
}

/* ---- loading ---- */

/* At most one byte more than a ladder may have, so that the parser sees the
 * excess and says so. */
static int read_file(const char *path, char **ret, size_t *ret_len, struct err *err)
{
    _cleanup_file_ FILE *f = fopen(path, "re");
    if (!f)
        return err_set(err, -errno, ERR_USAGE, "%s: %s", path, strerror(errno));
    _cleanup_free_ char *buf = malloc(LADDER_BYTES_MAX + 1);
    if (!buf)
        return err_set(err, -ENOMEM, ERR_RESOURCE, "%s: out of memory", path);
    errno = 0;
    size_t n = fread(buf, 1, LADDER_BYTES_MAX + 1, f);
    if (ferror(f))
        return err_set(err, errno ? -errno : -EIO, ERR_USAGE, "%s: %s", path,
                       strerror(errno ? errno : EIO));
    *ret = take_ptr(buf);
    *ret_len = n;
    return 0;
}

static int load_file(const char *path, struct ladder **ret, struct err *err)
{
    _cleanup_free_ char *text = NULL;
    size_t len = 0;
    int r = read_file(path, &text, &len, err);
    return r < 0 ? r : ladder_parse(text, len, path, ret, err);
}

struct names {
    char text[400];
    size_t n;
};

static int collect_name(void *arg, const char *name, const char *path)
{
    struct names *l = arg;
    (void)path;
    if (l->n + strlen(name) + 3 < sizeof(l->text))
        l->n += (size_t)snprintf(l->text + l->n, sizeof(l->text) - l->n, "%s%s", l->n ? ", " : "",
                                 name);
    return 0;
}

static int unknown_ladder(const char *name, struct err *err)
{
    struct names known = { "", 0 };
    (void)ladder_list(collect_name, &known, NULL);
    return err_set(err, -ENOENT, ERR_USAGE, "no ladder named %.64s; known: %s", name,
                   known.n ? known.text : "none");
}

static int is_path(const char *s)
{
    size_t n = strlen(s);
    return strchr(s, '/') || (n > 5 && !strcmp(s + n - 5, ".yaml"));
}

int ladder_load(const char *name_or_path, struct ladder **ret, struct err *err)
{
    if (is_path(name_or_path))
        return load_file(name_or_path, ret, err);
    if (!*name_or_path || *name_or_path == '.')
        return unknown_ladder(name_or_path, err);
    _cleanup_(ladder_dirs_freep) char **dirs = ladder_dirs();
    if (!dirs)
        return err_set(err, -ENOMEM, ERR_RESOURCE, "finding ladders: out of memory");
    for (char **d = dirs; *d; d++) {
        _cleanup_free_ char *path = NULL;
        if (asprintf(&path, "%s/%s.yaml", *d, name_or_path) < 0) {
            path = NULL;
            return err_set(err, -ENOMEM, ERR_RESOURCE, "finding ladders: out of memory");
        }
        if (access(path, F_OK) == 0)
            return load_file(path, ret, err);
    }
    return unknown_ladder(name_or_path, err);
}
