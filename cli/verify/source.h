/* source.h - the source of a package, read anew with libavformat: when its
 * frames are shown, when its sound begins, what its pictures look like.
 */
#ifndef GOPMILL_VERIFY_SOURCE_H
#define GOPMILL_VERIFY_SOURCE_H

#include <libavutil/rational.h>
#include <stddef.h>
#include <stdint.h>

#include "seams.h"
#include "thumb.h"

struct AVFrame;
struct err;

struct source {
    char *path;
    int video, audio; /* stream numbers; -1: none */
    AVRational video_tb, audio_tb;
    int32_t matrix[9];
    int has_matrix;
    struct seams seams;
    int begins_at_key;   /* packets before the first keyframe count for nothing … */
    int64_t first_shown; /* … nor do frames before this; in video_tb */

    int64_t *pts; /* shown frames, ascending, without doubles; in video_tb */
    size_t n;
    size_t doubles, unknown; /* packets dropped for an equal pts; packets without one */
    int from_decoder;        /* pts came from decoded frames, not from packets */

    int has_sound;
    int64_t sound_start;  /* pts of the first sample heard, in audio_tb */
    int64_t sound_packet; /* pts of the first packet of sound, in audio_tb */
    size_t damage;        /* errors of the last source_decode_times() or source_look() */

    size_t *watched; /* indices into pts, ascending */
    struct thumb *thumbs;
    uint8_t *seen; /* thumbs[i] is set */
    size_t n_watched;
};

/* Opens INPUT and lists its frames. ERR_INPUT. */
int source_open(const char *path, struct source **ret, struct err *err);
void source_free(struct source *s);

/* Replace the list of times by what a decoder gives: for containers whose
 * packets have no times, or fields instead of frames. */
int source_decode_times(struct source *s, struct err *err);

/* Keep thumbs of these frames (any order, doubles allowed); copied. */
int source_watch(struct source *s, const size_t *frames, size_t n);
/* Decode and make the thumbs. Frames that don't decode stay unseen. */
int source_look(struct source *s, struct err *err);
const struct thumb *source_thumb(const struct source *s, size_t frame); /* NULL: not seen */

/* As below, and counts what the decoder refused. */
int source_decode_counting(const struct source *s, int stream,
                           int (*each)(void *arg, const struct AVFrame *f), void *arg,
                           size_t *damage, struct err *err);

/* Every decoded frame of the stream, in order. A non-zero return of `each`
 * ends it and is returned. */
int source_decode(const struct source *s, int stream,
                  int (*each)(void *arg, const struct AVFrame *f), void *arg, struct err *err);

#endif
