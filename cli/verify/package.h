/* package.h - a finished package as it lies in a folder: playlists, the
 * renditions that they name, every fragment and sample time. Made by
 * package_load(), which reports what can't be read and goes on without it;
 * the checks then compare.
 *
 * All times are ticks of the rendition's own timescale. Everything is
 * hostile: paths stay inside the folder, sizes are limited.
 */
#ifndef GOPMILL_VERIFY_PACKAGE_H
#define GOPMILL_VERIFY_PACKAGE_H

#include "bmff.h"
#include "m3u8.h"
#include "mpd.h"
#include "receipt.h"
#include "report.h"

enum { PATH_LEN_MAX = 512 };
#define SEGMENT_BYTES_MAX  (UINT64_C(1) << 30)
#define PLAYLIST_BYTES_MAX (UINT64_C(64) << 20)

enum kind { KIND_VIDEO, KIND_AUDIO };

struct frame {
    int64_t dts, pts;
    uint32_t duration;
};

struct fragment {                        /* a moof: a GOP, where it is video */
    uint64_t off, end, first_sample_end; /* bytes in its segment */
    int64_t tfdt, stop;                  /* ticks: [tfdt, stop) in decoding order */
    size_t segment, first_frame, n_frames;
};

struct segment {
    char path[PATH_LEN_MAX];
    int readable; /* parsed: the fields below are set */
    uint64_t size_bytes;
    char sha256[65], md5[33];
    size_t first_fragment, n_fragments;
    int64_t start, end;   /* tfdt of the first fragment, stop of the last */
    int64_t shown, until; /* the same when it is shown: less an audio track's priming, from 0 */
    struct m3u8_decimal extinf;
    unsigned line; /* in the playlist */
    int captions;  /* there are some in its pictures */
};

struct rendition {
    enum kind kind;
    char folder[PATH_LEN_MAX];   /* "video/1080p" */
    char playlist[PATH_LEN_MAX]; /* "video/1080p/index.m3u8" */
    char init_path[PATH_LEN_MAX];
    char iframe_path[PATH_LEN_MAX]; /* "" where the master names none for it */
    struct m3u8 *media, *iframes;   /* NULL: can't be read */
    int has_init;                   /* init is set */
    struct bmff_init init;
    uint64_t init_size;
    char init_sha256[65], init_md5[33];
    int64_t priming; /* ticks that an edit list hides at the start */

    struct segment *segments;
    size_t n_segments;
    struct fragment *fragments;
    size_t n_fragments, fragments_room;
    struct frame *frames; /* decoding order */
    size_t n_frames, frames_room;
    int whole;      /* init and all segments were readable */
    int64_t *shown; /* presentation times, ascending, n_frames of them; made once loaded */
};

struct package {
    int dir;
    struct report *report; /* borrowed */
    struct m3u8 *master;
    struct mpd *mpd;
    struct receipt *receipt;
    struct rendition *renditions;
    size_t n_renditions;
    struct text_track *texts; /* texts.h */
    size_t n_texts;
};

/* -ENOTDIR, -ENOENT, … with ERR_USAGE where `dir` holds no package at all;
 * what is wrong inside one is reported. */
int package_load(const char *dir, struct report *report, struct package **ret, struct err *err);
void package_free(struct package *p); /* NULL is a no-op */

/* The rendition whose media playlist (or I-frame playlist) has this path. */
struct rendition *package_by_playlist(struct package *p, const char *path);
struct rendition *package_by_folder(struct package *p, const char *folder);
/* Whether the receipt says that its packets are the source's own. */
int package_is_copy(const struct package *p, const struct rendition *r);

/* Read a regular file of the package. Paths that leave the folder, links and
 * files above `max` are refused. -ENOENT, -EINVAL, -EFBIG, -ENOMEM, -EIO.
 * *ret is free()d by the caller and has a NUL behind its end. */
int package_read(const struct package *p, const char *path, uint64_t max, uint8_t **ret,
                 size_t *ret_len, struct err *err);

/* `uri` as written in the playlist `base`, as a path in the package: 0, or
 * -EINVAL where it is absolute, has a scheme or "..", or is too long. */
int path_join(const char *base, const char *uri, char ret[PATH_LEN_MAX]);

/* 0 or -ENOMEM. */
int digest(const char *algorithm, const uint8_t *buf, size_t len, char *ret_hex);

/* a/ta against b/tb, exactly: <0, 0, >0. */
int time_cmp(int64_t a, uint32_t ta, int64_t b, uint32_t tb);
double seconds(int64_t ticks, uint32_t timescale);

/* How far the last packets of sound, and so the presentation by DASH, may reach beyond
 * what is there to be shown and heard: two of the longest, in seconds. */
double package_padding(const struct package *p);

#endif
