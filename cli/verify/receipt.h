/* receipt.h - job.json: what the package's maker says it made. Read as a
 * claim; the checks hold it against the bytes.
 */
#ifndef GOPMILL_VERIFY_RECEIPT_H
#define GOPMILL_VERIFY_RECEIPT_H

#include <stddef.h>
#include <stdint.h>

struct err;

struct receipt_object {
    char *key;
    uint64_t size_bytes;
    char *sha256, *md5;      /* NULL: not said */
    int64_t start, duration; /* ticks; segments only; duration -1: not said */
    int64_t frames;          /* -1: not said */
};

struct receipt_rendition {
    char *name, *folder; /* folder: "video/1080p", from its objects' keys */
    char *codecs;
    int64_t timescale, frames; /* -1: not said */
    int64_t stream;            /* of sound: of the source; -1: not said */
    char *rung, *language;     /* of sound; NULL: not said */
    int64_t is_default;        /* likewise; -1 */
    int copied;                /* 1: its packets are the source's own */
    double interval_s;         /* a frame-rate cap's: at most one frame in each; 0: no cap */
    struct receipt_object init;
    struct receipt_object *segments;
    size_t n_segments;
};

/* A track of subtitles, a poster or a storyboard. */
struct receipt_text {
    char *name, *folder;                                   /* folder: "text/sub-eng" */
    char *playlist;                                        /* in that folder */
    int64_t stream;                                        /* of the source; -1: not said */
    int64_t page;                                          /* of teletext; 0: none */
    int64_t captions;                                      /* 1 to 4: CC1 to CC4; 0: it is none */
    int is_storyboard;                                     /* of pictures */
    int64_t width, height, columns, rows, every_ms, tiles; /* likewise */
    struct receipt_object *objects;                        /* the whole one, then segments */
    size_t n_objects;
};

struct receipt {
    int64_t version;
    char *folder; /* of the package's version, with a slash, or "" */
    char *source_url, *source_etag;
    int64_t source_size;
    int64_t origin_num, origin_den; /* seconds; den 0: not said */
    int64_t frames_concealed;
    char **warnings;
    size_t n_warnings;
    struct receipt_rendition *renditions;
    size_t n_renditions;
    struct receipt_text *texts, *pictures;
    size_t n_texts, n_pictures;
    struct receipt_object *playlists; /* playlists and manifests, where it lists them */
    size_t n_playlists;
    const struct receipt_object **by_key; /* all objects, sorted */
    size_t n_by_key;
};

/* -EINVAL with ERR_INPUT: no JSON, another version, or a field out of shape. */
int receipt_parse(const char *text, size_t len, struct receipt **ret, struct err *err);
void receipt_free(struct receipt *r);

/* How many characters of a path are the folder of a package's version, "v2-0123456789ab/"; 0: none.
 */
size_t receipt_version_folder(const char *path);

/* The object of that key, or NULL. */
const struct receipt_object *receipt_find(const struct receipt *r, const char *key);

#endif
