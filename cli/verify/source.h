/* source.h - the source of a package, read anew with libavformat: when its
 * frames are shown, when its sound begins, what its pictures look like.
 */
#ifndef GOPMILL_VERIFY_SOURCE_H
#define GOPMILL_VERIFY_SOURCE_H

#include <libavutil/rational.h>
#include <stddef.h>
#include <stdint.h>

#include "seams.h"
#include "sum.h"
#include "thumb.h"

struct AVFrame;
struct err;

enum { SOURCE_SOUNDS_MAX = 64 };

struct source_sound { /* a sound stream that has a decoder */
    int stream;
    AVRational tb;
    char language[32]; /* as the container says; "": it doesn't */
    int is_default;
    int heard;      /* something decodes; the times below are set */
    int64_t start;  /* pts of the first sample heard, in tb */
    int64_t packet; /* pts of the first packet, in tb */
};

struct source {
    char *path;
    int video; /* stream number; -1: none */
    AVRational video_tb;
    struct source_sound sounds[SOURCE_SOUNDS_MAX]; /* in the order of streams */
    size_t n_sounds;
    const struct source_sound *sound; /* the best of them; NULL: none */
    int32_t matrix[9];
    int has_matrix;
    struct seams seams;
    int begins_at_key;   /* packets before the first keyframe count for nothing … */
    int64_t first_shown; /* … nor do frames before this; in video_tb */

    int64_t *pts; /* shown frames, ascending, without doubles; in video_tb */
    size_t n;
    size_t doubles, unknown; /* packets dropped for an equal pts; packets without one */
    int from_decoder;        /* pts came from decoded frames, not from packets */

    int has_sound; /* one of the sounds is heard */
    size_t damage; /* errors of the last source_decode_times() */

    size_t *watched; /* indices into pts, ascending */
    struct thumb *thumbs;
    uint8_t *seen; /* thumbs[i] is set */
    size_t n_watched;

    size_t looked_damage; /* errors of source_look() */
    struct sum *sums;     /* one for each of pts, or NULL: nobody asked */
    uint8_t *summed;      /* sums[i] is set */
};

/* Opens INPUT and lists its frames. ERR_INPUT. */
int source_open(const char *path, struct source **ret, struct err *err);
void source_free(struct source *s);

/* Replace the list of times by what a decoder gives: for containers whose
 * packets have no times, or fields instead of frames. */
int source_decode_times(struct source *s, struct err *err);

/* Keep thumbs of these frames (any order, doubles allowed); copied. */
int source_watch(struct source *s, const size_t *frames, size_t n);
/* Sum up all frames as well. */
int source_watch_sums(struct source *s);
/* Decode and make the thumbs, and sums. Frames that don't decode stay unseen. */
int source_look(struct source *s, struct err *err);
const struct thumb *source_thumb(const struct source *s, size_t frame); /* NULL: not seen */

const struct sum *source_sum(const struct source *s, size_t frame); /* NULL: not seen */

/* The file opened once more, from its start. 0, or negative with ERR_INPUT. */
struct AVFormatContext;
int source_format(const struct source *s, struct AVFormatContext **ret, struct err *err);
void source_format_close(struct AVFormatContext **f); /* NULL in it is a no-op */

/* As below, and counts what the decoder refused. */
int source_decode_counting(const struct source *s, int stream,
                           int (*each)(void *arg, const struct AVFrame *f), void *arg,
                           size_t *damage, struct err *err);

/* Every decoded frame of the stream, in order. A non-zero return of `each`
 * ends it and is returned. */
int source_decode(const struct source *s, int stream,
                  int (*each)(void *arg, const struct AVFrame *f), void *arg, struct err *err);

#endif
