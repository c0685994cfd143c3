/* source.h - the source of a package, read anew with libavformat and decoded once,
 * without a gap, from its first packet to its last: which pictures it shows and
 * when, what they look like, how its tracks sound.
 *
 * Nothing here knows where the package's chunks begin, and no decoder ever starts
 * anywhere but at the beginning. Pictures and sound go to spills: memory grows by
 * some 40 bytes a frame.
 */
#ifndef GOPMILL_VERIFY_SOURCE_H
#define GOPMILL_VERIFY_SOURCE_H

#include <libavutil/rational.h>
#include <stddef.h>
#include <stdint.h>

#include "captions.h"
#include "clean_area.h"
#include "edit_list.h"
#include "joined.h"
#include "seams.h"
#include "sound.h"
#include "sum.h"
#include "thumb.h"

struct AVFormatContext;
struct err;

enum { SOURCE_SOUNDS_MAX = 64, SOURCE_STREAMS_MAX = 256 };

struct source_sound { /* a sound stream that has a decoder */
    int stream;
    AVRational tb;
    char language[32]; /* as the container says; "": it doesn't */
    int is_default;
    int heard;          /* something decodes; the times below are set */
    int64_t start;      /* pts of the first sample heard, in tb */
    int64_t packet;     /* pts of the first packet, in tb */
    size_t damage;      /* packets that its decoder refused */
    struct sound sound; /* all of it, in seconds of the source; settled */
};

struct source_picture {
    int64_t at;    /* when it is shown, in video_tb */
    size_t number; /* which one, in the decoder's order */
    int hurt;      /* it, or what it depends on, didn't decode whole */
    int brief;     /* seen for no more than a tick of an edit list: rounding may hide it */
};

struct source {
    char *path;
    int video; /* stream number; -1: none */
    AVRational video_tb;
    struct source_sound sounds[SOURCE_SOUNDS_MAX]; /* in the order of streams */
    size_t n_sounds;
    struct source_sound *sound; /* the best of them; NULL: none */
    int32_t matrix[9];
    int has_matrix;
    struct clean_area area;
    struct seams seams;
    struct joined joined;
    uint8_t has_packets[SOURCE_STREAMS_MAX]; /* where streams may begin late: which have some */
    struct edit_lists edits;
    int begins_at_key;   /* packets before the first keyframe count for nothing … */
    int64_t first_shown; /* … nor do frames before this; in video_tb */

    struct source_picture *pictures; /* by rising time, no two at one */
    size_t n;
    double slack_s; /* times of pictures that were worked out are known to that; else 0 */
    double until_s; /* edit lists show pictures until then, in seconds; 0: there is none */
    size_t damage;  /* errors of the video's decoder */

    int64_t *packets; /* times of the video's packets, ascending; in video_tb */
    size_t n_packets;
    int has_sound; /* one of the sounds is heard */

    struct spill *thumbs;          /* by number */
    struct sum *sums;              /* by number; NULL: nobody asked */
    struct caption_pairs captions; /* of the pictures, by number */
    int is_mpeg2;                  /* … which are MPEG-1 or 2 */
    int is_decoded;                /* 0: there are no pictures, only times */
};

struct source_wish {
    int decode; /* 0: times of packets only, and where sound begins */
    int sums;
};

/* Opens INPUT and reads all of it. ERR_INPUT; ERR_RESOURCE where a spill is full. */
int source_open(const char *path, const struct source_wish *w, struct source **ret,
                struct err *err);
void source_free(struct source *s);

/* Of the picture at this index of `pictures`. Any thread. 0, or -ENOENT: it has none. */
int source_thumb(const struct source *s, size_t i, struct thumb *ret);
const struct sum *source_sum(const struct source *s, size_t i); /* NULL: it has none */

/* The file opened once more, from its start. 0, or negative with ERR_INPUT. */
int source_format(const struct source *s, struct AVFormatContext **ret, struct err *err);
/* The same without what libavformat makes of edit lists, where there are any. */
int source_unedited(const struct source *s, struct AVFormatContext **ret, struct err *err);
void source_format_close(struct AVFormatContext **f); /* NULL in it is a no-op */

/* For source_open() only: all packets, into what is said above (source_read.c). */
int source_read(struct source *s, const struct source_wish *w, struct err *err);
/* Sets `err` to what libav says. -EINVAL, -ENOMEM. */
int source_bad(const struct source *s, const char *what, int r, struct err *err);

#endif
