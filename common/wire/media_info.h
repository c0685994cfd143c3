/* media_info.h - what a probe found in a source, as the planner, the
 * ladders and people see it. On the wire: the object `info` of a plan.
 *
 * Colour fields are code points of ISO/IEC 23091-2 (the values of AVCOL_*):
 * 2 is "unspecified". Strings are never NULL once decoded ("" = unknown).
 */
#ifndef GOPMILL_WIRE_MEDIA_INFO_H
#define GOPMILL_WIRE_MEDIA_INFO_H

#include <jansson.h>
#include <libavutil/rational.h>
#include <stdint.h>

struct err;

struct color_info {
    int primaries, transfer, matrix;
    int range;           /* AVCOL_RANGE_*: 0 unknown, 1 limited, 2 full */
    int chroma_location; /* AVCHROMA_LOC_* */
};

struct video_info {
    int stream; /* index in the container; -1: no video */
    char codec[32], profile[32], pix_fmt[32];
    int width, height; /* as coded, before rotation */
    AVRational sar;    /* 1:1 where the source doesn't say */
    int rotation;      /* degrees clockwise that a player must turn it: 0 90 180 270 */
    int hflip;         /* 1: mirrored horizontally (after rotation) */
    int bit_depth;
    struct color_info color;
    int interlaced;   /* 0 progressive, 1 top field first, 2 bottom field first */
    int has_hdr_meta; /* mastering display or content light metadata present */
    AVRational tb;    /* of every pts in the plan */
    AVRational rate;  /* nominal frame rate: 1 / the commonest frame duration */
    int vfr;          /* 1: frame durations differ by more than rounding */
    int64_t start;    /* pts of the first frame shown, in tb */
    int64_t end;      /* end of the last frame shown, in tb */
    uint64_t frames;  /* frames shown */
    int64_t bit_rate; /* bit/s measured over the packets; 0 unknown */
};

struct audio_info {
    int stream; /* index in the container; -1: no audio */
    char codec[32], layout[64], language[16];
    int sample_rate, channels;
    AVRational tb;
    int64_t start, end; /* pts in tb: first sample heard, end of the last one */
    int64_t bit_rate;
};

/* From byte `pos` of the source on, `offset` is added to what its timestamps
 * say: recordings joined end to end, whose clocks start over or jump. Ticks of
 * both streams: only formats with one clock for all (MPEG-TS, PS) have these. */
struct splice {
    int64_t pos, offset;
};
enum { SPLICES_MAX = 4096 };

struct media_info {
    char container[64]; /* libavformat's short name: "mov,mp4,m4a,3gp,3g2,mj2" */
    uint64_t size_bytes;
    int64_t duration_ms; /* of the longer of both, from the first frame or sample */
    struct video_info video;
    struct audio_info audio; /* the default audio track */
    struct splice *splices;  /* by rising pos; owned */
    size_t n_splices;
    char **warnings; /* what was odd about the source, for people; owned */
    size_t n_warnings;
};

void media_info_release(struct media_info *i);                              /* leaves it zeroed */
int media_info_copy(const struct media_info *from, struct media_info *ret); /* 0 or -ENOMEM */

/* A new reference, or NULL when out of memory. */
json_t *media_info_to_json(const struct media_info *i);

/* Checks every limit (hostile: it comes from a child that read an upload).
 * -EINVAL with ERR_INTERNAL and the field's name. *ret untouched on failure. */
int media_info_from_json(const json_t *j, struct media_info *ret, struct err *err);

#endif
