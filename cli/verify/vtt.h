/* vtt.h - reading WebVTT: the cues of a file. Hostile input: sizes and counts
 * are limited.
 */
#ifndef GOPMILL_VERIFY_VTT_H
#define GOPMILL_VERIFY_VTT_H

#include <stddef.h>
#include <stdint.h>

struct err;

struct vtt_cue {
    int64_t start, end; /* milliseconds */
    char *settings;     /* "line:0"; "" */
    char *text;         /* lines joined by '\n' */
};

struct vtt {
    int has_map;           /* X-TIMESTAMP-MAP (RFC 8216, 3.5) */
    int64_t mpegts, local; /* 1/90000 s; milliseconds */
    struct vtt_cue *cues;
    size_t n, room;
};

/* -EINVAL with ERR_INPUT and the line; -ENOMEM. Free with vtt_free(). */
int vtt_parse(const char *text, size_t len, struct vtt **ret, struct err *err);
void vtt_free(struct vtt *v); /* NULL is a no-op */

/* What a viewer reads: without tags, entities resolved, without blanks and
 * line ends. In place. */
void vtt_words(char *text);

#endif
