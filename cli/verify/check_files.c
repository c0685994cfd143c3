/* receipt, files.*: what is there, against what is named and promised. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "common/base/cleanup.h"
#include "common/base/err.h"
#include "texts.h"

static void check_object(struct package *p, const struct receipt_object *o, const char *path,
                         uint64_t size, const char *sha256, const char *md5)
{
    if (o->size_bytes != size)
        report_fail(p->report, CHECK_FILES_DIGEST, "%s: %llu bytes, the receipt says %llu", path,
                    (unsigned long long)size, (unsigned long long)o->size_bytes);
    else if (!o->sha256)
        report_fail(p->report, CHECK_FILES_DIGEST, "%s: the receipt has no sha256", path);
    else if (strcmp(o->sha256, sha256))
        report_fail(p->report, CHECK_FILES_DIGEST, "%s: sha256 %.12s.., the receipt says %.12s..",
                    path, sha256, o->sha256);
    else if (o->md5 && strcmp(o->md5, md5))
        report_fail(p->report, CHECK_FILES_DIGEST, "%s: md5 %s, the receipt says %s", path, md5,
                    o->md5);
}

static void check_claims(struct package *p, const struct rendition *r, size_t i,
                         const struct receipt_object *o)
{
    const struct segment *s = &r->segments[i];
    int64_t frames = 0;
    for (size_t k = 0; k < s->n_fragments; k++)
        frames += (int64_t)r->fragments[s->first_fragment + k].n_frames;
    if (!s->readable)
        return;
    if (o->frames >= 0 && o->frames != frames)
        report_fail(p->report, CHECK_FILES_DIGEST, "%s: %lld frames, the receipt says %lld",
                    s->path, (long long)frames, (long long)o->frames);
    if (o->duration >= 0 && (o->start != s->shown || o->duration != s->until - s->shown))
        report_fail(p->report, CHECK_FILES_DIGEST,
                    "%s: starts at %lld for %lld ticks, the receipt says %lld for %lld", s->path,
                    (long long)s->shown, (long long)(s->until - s->shown), (long long)o->start,
                    (long long)o->duration);
}

static void check_rendition_files(struct package *p, const struct rendition *r)
{
    const struct receipt_object *o = receipt_find(p->receipt, r->init_path);
    if (*r->init_path && !o)
        report_fail(p->report, CHECK_FILES_DIGEST, "%s: not in the receipt", r->init_path);
    else if (r->init_size)
        check_object(p, o, r->init_path, r->init_size, r->init_sha256, r->init_md5);
    for (size_t i = 0; i < r->n_segments; i++) {
        const struct segment *s = &r->segments[i];
        o = receipt_find(p->receipt, s->path);
        if (!*s->sha256)
            continue; /* missing: files.named says so */
        if (!o) {
            report_fail(p->report, CHECK_FILES_DIGEST, "%s: not in the receipt", s->path);
            continue;
        }
        check_object(p, o, s->path, s->size_bytes, s->sha256, s->md5);
        check_claims(p, r, i, o);
    }
}

static void check_text_file(struct package *p, const char *path, uint64_t size, const char *sha256,
                            const char *md5)
{
    const struct receipt_object *o = receipt_find(p->receipt, path);
    if (!*sha256)
        return; /* missing: files.named says so */
    if (!o)
        report_fail(p->report, CHECK_FILES_DIGEST, "%s: not in the receipt", path);
    else
        check_object(p, o, path, size, sha256, md5);
}

static void check_text_files(struct package *p, const struct text_track *t)
{
    check_text_file(p, t->whole, t->whole_size, t->whole_sha256, t->whole_md5);
    for (size_t i = 0; i < t->n_segments; i++)
        check_text_file(p, t->segments[i].path, t->segments[i].size_bytes, t->segments[i].sha256,
                        t->segments[i].md5);
}

/* Every path that a playlist names, and the playlists themselves; sorted. */
struct names {
    const char **list;
    size_t n;
};

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* No playlist names a poster: the receipt does. */
static void list_pictures(struct names *x, const struct receipt *r)
{
    for (size_t i = 0; r && i < r->n_pictures; i++) {
        if (r->pictures[i].is_storyboard)
            x->list[x->n++] = r->pictures[i].playlist;
        for (size_t k = 0; k < r->pictures[i].n_objects; k++)
            x->list[x->n++] = r->pictures[i].objects[k].key;
    }
}

static int names_init(struct names *x, const struct package *p)
{
    size_t room = 3;
    for (size_t i = 0; i < p->n_renditions; i++)
        room += 3 + p->renditions[i].n_segments;
    for (size_t i = 0; i < p->n_texts; i++)
        room += 2 + p->texts[i].n_segments;
    for (size_t i = 0; p->receipt && i < p->receipt->n_pictures; i++)
        room += 1 + p->receipt->pictures[i].n_objects;
    x->list = calloc(room, sizeof(*x->list));
    if (!x->list)
        return -ENOMEM;
    x->list[x->n++] = "master.m3u8";
    x->list[x->n++] = "manifest.mpd";
    x->list[x->n++] = "job.json";
    for (size_t i = 0; i < p->n_renditions; i++) {
        const struct rendition *r = &p->renditions[i];
        x->list[x->n++] = r->playlist;
        x->list[x->n++] = r->iframe_path;
        x->list[x->n++] = r->init_path;
        for (size_t k = 0; k < r->n_segments; k++)
            x->list[x->n++] = r->segments[k].path;
    }
    for (size_t i = 0; i < p->n_texts; i++) {
        const struct text_track *t = &p->texts[i];
        x->list[x->n++] = t->playlist;
        x->list[x->n++] = t->whole;
        for (size_t k = 0; k < t->n_segments; k++)
            x->list[x->n++] = t->segments[k].path;
    }
    list_pictures(x, p->receipt);
    qsort(x->list, x->n, sizeof(*x->list), by_name);
    return 0;
}

static int named(const struct names *x, const char *path)
{
    return bsearch(&path, x->list, x->n, sizeof(*x->list), by_name) != NULL;
}

static void check_receipt_names(struct package *p, const struct names *names)
{
    const struct receipt *rc = p->receipt;
    for (size_t i = 0; i < rc->n_renditions; i++) {
        const struct receipt_rendition *rr = &rc->renditions[i];
        const struct rendition *r = package_by_folder(p, rr->folder);
        if (!r) {
            report_fail(p->report, CHECK_FILES_NAMED,
                        "the receipt has rendition %s, but no playlist names %s", rr->name,
                        rr->folder);
            continue;
        }
        if (r->n_segments != rr->n_segments)
            report_fail(p->report, CHECK_FILES_NAMED,
                        "%s: %zu segments in the playlist, %zu in the receipt", r->playlist,
                        r->n_segments, rr->n_segments);
        for (size_t k = 0; k < rr->n_segments; k++)
            if (!named(names, rr->segments[k].key))
                report_fail(p->report, CHECK_FILES_NAMED, "%s: in the receipt, but in no playlist",
                            rr->segments[k].key);
    }
}

static void check_receipt_texts(struct package *p, const struct names *names)
{
    for (size_t i = 0; i < p->receipt->n_texts; i++)
        for (size_t k = 0; k < p->receipt->texts[i].n_objects; k++)
            if (!named(names, p->receipt->texts[i].objects[k].key))
                report_fail(p->report, CHECK_FILES_NAMED, "%s: in the receipt, but in no playlist",
                            p->receipt->texts[i].objects[k].key);
}

struct extra {
    struct package *p;
    const struct names *names;
    size_t files;
};

static void walk_folder(struct extra *x, int dir, const char *prefix, unsigned depth);

/* Media of a package that this one has replaced, or of one that is being made beside it. */
static int is_of_another_version(const struct package *p, const char *path)
{
    static const char *const folders[] = { "video/", "audio/", "text/", "storyboard/" };
    const char *own = p->receipt ? p->receipt->folder : "";

    if (receipt_version_folder(path) > 0)
        return strncmp(path, own, strlen(own)) != 0 || !*own;
    for (size_t i = 0; *own && i < sizeof(folders) / sizeof(folders[0]); i++)
        if (strncmp(path, folders[i], strlen(folders[i])) == 0)
            return 1;
    return *own && strcmp(path, "poster.jpg") == 0;
}

static void on_name(struct extra *x, int dir, const char *prefix, const char *name, unsigned depth)
{
    char path[PATH_LEN_MAX];
    struct stat st;
    int n = snprintf(path, sizeof(path), "%s%s", prefix, name);
    if (n < 0 || (size_t)n >= sizeof(path) || fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return;
    if (S_ISDIR(st.st_mode)) {
        if (!depth && !strcmp(name, ".gopmill"))
            return;
        _cleanup_fd_ int sub = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (sub >= 0 && depth < 8 && (size_t)n + 1 < sizeof(path)) {
            path[n] = '/';
            path[n + 1] = '\0';
            walk_folder(x, sub, path, depth + 1);
        }
        return;
    }
    x->files++;
    if (!named(x->names, path) && !is_of_another_version(x->p, path))
        report_fail(x->p->report, CHECK_FILES_EXTRA, "%s: nothing names it", path);
}

static void walk_folder(struct extra *x, int dir, const char *prefix, unsigned depth)
{
    int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
    if (!d) {
        if (fd >= 0)
            close(fd);
        return;
    }
    for (struct dirent *e; (e = readdir(d));)
        if (strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
            on_name(x, dir, prefix, e->d_name, depth);
    closedir(d);
}

static void check_playlists_digest(struct package *p, const struct receipt_object *o)
{
    struct err err = { 0 };
    char sha256[65], md5[33];
    _cleanup_free_ uint8_t *buf = NULL;
    size_t len;
    if (package_read(p, o->key, PLAYLIST_BYTES_MAX, &buf, &len, &err) < 0) {
        report_fail(p->report, CHECK_FILES_NAMED, "%s", err.text);
        return;
    }
    if (!digest("sha256", buf, len, sha256) && !digest("md5", buf, len, md5))
        check_object(p, o, o->key, len, sha256, md5);
}

static void check_receipt(struct package *p, const struct names *names)
{
    report_pass(p->report, CHECK_RECEIPT, "version %lld, %zu renditions",
                (long long)p->receipt->version, p->receipt->n_renditions);
    report_ran(p->report, CHECK_FILES_DIGEST);
    if (p->receipt->n_renditions != p->n_renditions)
        report_fail(p->report, CHECK_FILES_NAMED, "%zu renditions in playlists, %zu in the receipt",
                    p->n_renditions, p->receipt->n_renditions);
    check_receipt_names(p, names);
    for (size_t i = 0; i < p->n_renditions; i++)
        check_rendition_files(p, &p->renditions[i]);
    check_receipt_texts(p, names);
    for (size_t i = 0; i < p->receipt->n_pictures; i++)
        for (size_t k = 0; k < p->receipt->pictures[i].n_objects; k++)
            check_playlists_digest(p, &p->receipt->pictures[i].objects[k]);
    for (size_t i = 0; i < p->n_texts; i++)
        check_text_files(p, &p->texts[i]);
    for (size_t i = 0; i < p->receipt->n_playlists; i++)
        check_playlists_digest(p, &p->receipt->playlists[i]);
}

void check_files(struct package *p)
{
    size_t segments = 0;
    for (size_t i = 0; i < p->n_renditions; i++)
        segments += p->renditions[i].n_segments;
    report_pass(p->report, CHECK_FILES_NAMED, "%zu renditions, %zu segments", p->n_renditions,
                segments);
    struct names names = { 0 };
    if (names_init(&names, p) < 0) {
        report_fail(p->report, CHECK_FILES_EXTRA, "out of memory");
        return;
    }
    struct extra x = { .p = p, .names = &names };
    report_ran(p->report, CHECK_FILES_EXTRA);
    walk_folder(&x, p->dir, "", 0);
    if (p->receipt)
        check_receipt(p, &names);
    free(names.list);
}
