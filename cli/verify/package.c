#include "package.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/cleanup.h"
#include "common/base/err.h"
#include "texts.h"
#include "tracks.h"

enum { RENDITIONS_MAX = 256 };

DEFINE_CLEANUP(struct package *, package_free);

static void rendition_release(struct rendition *r)
{
    m3u8_free(r->media);
    m3u8_free(r->iframes);
    free(r->segments);
    free(r->fragments);
    free(r->frames);
    free(r->shown);
}

void package_free(struct package *p)
{
    if (!p)
        return;
    for (size_t i = 0; i < p->n_renditions; i++)
        rendition_release(&p->renditions[i]);
    free(p->renditions);
    texts_free(p);
    m3u8_free(p->master);
    mpd_free(p->mpd);
    receipt_free(p->receipt);
    if (p->dir >= 0)
        close(p->dir);
    free(p);
}

int time_cmp(int64_t a, uint32_t ta, int64_t b, uint32_t tb)
{
    __int128 x = (__int128)a * tb, y = (__int128)b * ta;
    return (x > y) - (x < y);
}

double seconds(int64_t ticks, uint32_t timescale)
{
    return (double)ticks / (double)timescale;
}

double package_padding(const struct package *p)
{
    double most = 0;

    for (size_t i = 0; i < p->n_renditions; i++) {
        const struct rendition *r = &p->renditions[i];
        if (r->kind == KIND_AUDIO && r->whole && r->n_frames)
            most = fmax(most, 2 * seconds(r->frames[0].duration, r->init.timescale));
    }
    return most;
}

int path_join(const char *base, const char *uri, char ret[PATH_LEN_MAX])
{
    size_t dir = 0;
    for (size_t i = 0; base[i]; i++)
        if (base[i] == '/')
            dir = i + 1;
    if (!*uri || *uri == '/' || strpbrk(uri, ":?#%\\") || dir + strlen(uri) >= PATH_LEN_MAX)
        return -EINVAL;
    for (const char *s = uri; s; s = strchr(s, '/'), s = s ? s + 1 : NULL) {
        size_t n = strcspn(s, "/");
        if (!n || (n == 1 && s[0] == '.') || (n == 2 && s[0] == '.' && s[1] == '.'))
            return -EINVAL;
    }
    memmove(ret, base, dir);
    memcpy(ret + dir, uri, strlen(uri) + 1);
    return 0;
}

int digest(const char *algorithm, const uint8_t *buf, size_t len, char *ret_hex)
{
    uint8_t md[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    const EVP_MD *type = EVP_get_digestbyname(algorithm);
    if (!type || EVP_Digest(buf, len, md, &n, type, NULL) != 1)
        return -ENOMEM;
    for (unsigned i = 0; i < n; i++)
        snprintf(ret_hex + 2 * i, 3, "%02x", md[i]);
    return 0;
}

/* Opens one folder after the other, so that no link leads out of the package. */
static int open_inside(int dir, const char *path)
{
    char buf[PATH_LEN_MAX];
    _cleanup_fd_ int at = dup(dir);
    if (at < 0 || strlen(path) >= sizeof(buf))
        return at < 0 ? -errno : -ENAMETOOLONG;
    strcpy(buf, path);
    char *name = buf;
    for (char *slash; (slash = strchr(name, '/')); name = slash + 1) {
        *slash = '\0';
        int next = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (next < 0)
            return -errno;
        close(at);
        at = next;
    }
    int fd = openat(at, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

static int read_all(int fd, uint8_t *buf, size_t len)
{
    for (size_t n = 0; n < len;) {
        ssize_t got = read(fd, buf + n, len - n);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got < 0 ? -errno : -EIO;
        n += (size_t)got;
    }
    return 0;
}

int package_read(const struct package *p, const char *path, uint64_t max, uint8_t **ret,
                 size_t *ret_len, struct err *err)
{
    char safe[PATH_LEN_MAX];
    struct stat st;
    if (path_join("", path, safe) < 0)
        return err_set(err, -EINVAL, ERR_INPUT, "%s: a path that leaves the package", path);
    _cleanup_fd_ int fd = open_inside(p->dir, safe);
    if (fd < 0)
        return err_set(err, fd, ERR_STORAGE, "%s: %s", path, strerror(-fd));
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        return err_set(err, -EINVAL, ERR_INPUT, "%s: not a plain file", path);
    if ((uint64_t)st.st_size > max)
        return err_set(err, -EFBIG, ERR_INPUT, "%s: %lld bytes, above the limit of %llu", path,
                       (long long)st.st_size, (unsigned long long)max);
    _cleanup_free_ uint8_t *buf = malloc((size_t)st.st_size + 1);
    if (!buf)
        return err_set(err, -ENOMEM, ERR_RESOURCE, "%s: out of memory", path);
    int r = read_all(fd, buf, (size_t)st.st_size);
    if (r < 0)
        return err_set(err, r, ERR_STORAGE, "%s: can't be read: %s", path, strerror(-r));
    buf[st.st_size] = '\0';
    *ret_len = (size_t)st.st_size;
    *ret = take_ptr(buf);
    return 0;
}

struct rendition *package_by_playlist(struct package *p, const char *path)
{
    for (size_t i = 0; i < p->n_renditions; i++)
        if (!strcmp(p->renditions[i].playlist, path) || !strcmp(p->renditions[i].iframe_path, path))
            return &p->renditions[i];
    return NULL;
}

struct rendition *package_by_folder(struct package *p, const char *folder)
{
    for (size_t i = 0; i < p->n_renditions; i++)
        if (!strcmp(p->renditions[i].folder, folder))
            return &p->renditions[i];
    return NULL;
}

/* Playlists that can't be read are reported under the check of their kind. */
static struct m3u8 *load_playlist(struct package *p, const char *path, enum check c)
{
    struct err err = { 0 };
    _cleanup_free_ uint8_t *text = NULL;
    size_t len;
    struct m3u8 *m = NULL;
    int r = package_read(p, path, PLAYLIST_BYTES_MAX, &text, &len, &err);
    if (r < 0) {
        report_fail(p->report, r == -ENOENT ? CHECK_FILES_NAMED : c, "%s", err.text);
        report_fail(p->report, c, "%s can't be read", path);
        return NULL;
    }
    r = m3u8_parse((const char *)text, len, &m, &err);
    if (r < 0)
        report_fail(p->report, c, "%s: %s", path, r == -ENOMEM ? "out of memory" : err.text);
    return m;
}

static void folder_of(const char *path, char ret[PATH_LEN_MAX])
{
    const char *slash = strrchr(path, '/');
    size_t n = slash ? (size_t)(slash - path) : 0;
    memcpy(ret, path, n);
    ret[n] = '\0';
}

static int add_rendition(struct package *p, const char *path)
{
    if (package_by_playlist(p, path))
        return 0;
    if (p->n_renditions == RENDITIONS_MAX) {
        report_fail(p->report, CHECK_HLS_MASTER, "more than %d renditions", RENDITIONS_MAX);
        return 0;
    }
    struct rendition *grown = realloc(p->renditions,
                                      (p->n_renditions + 1) * sizeof(*p->renditions));
    if (!grown)
        return -ENOMEM;
    p->renditions = grown;
    struct rendition *r = &grown[p->n_renditions++];
    *r = (struct rendition){ .kind = strncmp(path + receipt_version_folder(path), "audio/", 6)
                                         ? KIND_VIDEO
                                         : KIND_AUDIO };
    strcpy(r->playlist, path);
    folder_of(path, r->folder);
    return 0;
}

/* Subtitles have no init segment and no fragments: they are no rendition here. */
static int is_text(const struct m3u8_entry *e)
{
    const char *type = e->what == M3U8_MEDIA ? m3u8_attr(e, "TYPE") : NULL;
    return type && !strcmp(type, "SUBTITLES");
}

static int list_renditions(struct package *p)
{
    char path[PATH_LEN_MAX];
    for (int iframes = 0; iframes < 2; iframes++) {
        for (size_t i = 0; i < p->master->n_entries; i++) {
            const struct m3u8_entry *e = &p->master->entries[i];
            if (!e->uri || (e->what == M3U8_IFRAMES) != iframes)
                continue;
            if (path_join("", e->uri, path) < 0) {
                report_fail(p->report, CHECK_HLS_MASTER,
                            "master.m3u8:%u: %s isn't a relative path inside the package", e->line,
                            e->uri);
                continue;
            }
            if (is_text(e)) {
                if (texts_add(p, path) < 0)
                    return -ENOMEM;
                continue;
            }
            char folder[PATH_LEN_MAX];
            folder_of(path, folder);
            struct rendition *r = iframes ? package_by_folder(p, folder) : NULL;
            if (iframes && !r)
                report_fail(p->report, CHECK_HLS_MASTER,
                            "master.m3u8:%u: %s lies with no variant's playlist", e->line, e->uri);
            else if (iframes)
                strcpy(r->iframe_path, path);
            else if (add_rendition(p, path) < 0)
                return -ENOMEM;
        }
    }
    return 0;
}

int package_is_copy(const struct package *p, const struct rendition *r)
{
    for (size_t i = 0; p->receipt && i < p->receipt->n_renditions; i++)
        if (p->receipt->renditions[i].copied &&
            strcmp(p->receipt->renditions[i].folder, r->folder) == 0)
            return 1;
    return 0;
}

static void load_manifests(struct package *p)
{
    struct err err = { 0 };
    _cleanup_free_ uint8_t *text = NULL;
    size_t len;
    int r = package_read(p, "manifest.mpd", PLAYLIST_BYTES_MAX, &text, &len, &err);
    if (!r)
        r = mpd_parse((const char *)text, len, &p->mpd, &err);
    if (r < 0)
        report_fail(p->report, CHECK_DASH_MPD, "manifest.mpd: %s", err.text);

    _cleanup_free_ uint8_t *json = NULL;
    r = package_read(p, "job.json", PLAYLIST_BYTES_MAX, &json, &len, &err);
    if (!r)
        r = receipt_parse((const char *)json, len, &p->receipt, &err);
    if (r < 0)
        report_fail(p->report, CHECK_RECEIPT, "job.json: %s", err.text);
}

static int load_renditions(struct package *p)
{
    for (size_t i = 0; i < p->n_renditions; i++) {
        struct rendition *r = &p->renditions[i];
        r->media = load_playlist(p, r->playlist, CHECK_HLS_MEDIA);
        if (*r->iframe_path)
            r->iframes = load_playlist(p, r->iframe_path, CHECK_HLS_IFRAME);
        int rc = r->media ? package_load_rendition(p, r) : 0;
        if (rc < 0)
            return rc;
    }
    return 0;
}

int package_load(const char *dir, struct report *report, struct package **ret, struct err *err)
{
    _cleanup_(package_freep) struct package *p = calloc(1, sizeof(*p));
    if (!p)
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory");
    p->report = report;
    p->dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (p->dir < 0)
        return err_set(err, -errno, ERR_USAGE, "%s: %s", dir, strerror(errno));
    if (faccessat(p->dir, "master.m3u8", F_OK, 0) < 0 && faccessat(p->dir, "job.json", F_OK, 0) < 0)
        return err_set(err, -ENOENT, ERR_USAGE,
                       "%s: no package: neither master.m3u8 nor job.json is there", dir);
    load_manifests(p);
    p->master = load_playlist(p, "master.m3u8", CHECK_HLS_MASTER);
    int r = p->master ? list_renditions(p) : 0;
    if (!r)
        r = load_renditions(p);
    if (!r)
        r = texts_load(p);
    if (r < 0)
        return err_set(err, r, ERR_RESOURCE, "out of memory");
    *ret = take_ptr(p);
    return 0;
}
