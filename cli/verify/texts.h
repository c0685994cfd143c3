/* texts.h - the subtitles of a package: loading them, and their checks.
 */
#ifndef GOPMILL_VERIFY_TEXTS_H
#define GOPMILL_VERIFY_TEXTS_H

#include "package.h"
#include "vtt.h"

struct match;
struct source;

struct text_segment {
    char path[PATH_LEN_MAX];
    struct m3u8_decimal extinf;
    unsigned line; /* in the playlist */
    uint64_t size_bytes;
    char sha256[65], md5[33];
    struct vtt *vtt; /* NULL: can't be read */
};

struct text_track {
    char folder[PATH_LEN_MAX];   /* "text/sub-eng" */
    char playlist[PATH_LEN_MAX]; /* "text/sub-eng/index.m3u8" */
    char whole[PATH_LEN_MAX];    /* "text/sub-eng/all.vtt" */
    uint64_t whole_size;
    char whole_sha256[65], whole_md5[33];
    struct vtt *all;    /* NULL: can't be read */
    struct m3u8 *media; /* likewise */
    struct text_segment *segments;
    size_t n_segments;
};

/* What a SUBTITLES entry of the master names; the first time it is named. -ENOMEM. */
int texts_add(struct package *p, const char *playlist);
/* Read what was added. Reports what is wrong; -ENOMEM only. */
int texts_load(struct package *p);
void texts_free(struct package *p);

/* text.*: cues, times, and what names them. */
void check_texts(struct package *p);
/* source.text */
void check_source_texts(struct package *p, const struct source *s, const struct match *m);

/* Peak and average of a playlist's segments; 0 or -ENOMEM. */
struct rates;
int text_rates(const struct text_track *t, struct rates *ret);

#endif
