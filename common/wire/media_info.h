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

/* Whether what is shown is HDR: PQ (SMPTE ST 2084) or HLG (ARIB STD-B67). */
int color_is_hdr(const struct color_info *c);

/* The display that HDR pictures were graded on (SMPTE ST 2086, as ISO/IEC 23008-2 D.3.28 writes
 * it) and how bright they get (CTA-861.3). Of a source: as it says, unless that can't be. */
struct hdr_info {
    int has_mastering;                     /* 1: what follows is known */
    uint16_t red[2], green[2], blue[2];    /* x and y, in 0.00002 */
    uint16_t white[2];                     /* of its white point */
    uint32_t max_luminance, min_luminance; /* 0.0001 cd/m2; below 2^31, max above min */
    unsigned max_cll, max_fall; /* cd/m2, brightest pixel and frame average; 0: unknown */
};

/* Pixels of the decoder's pictures that aren't shown, by the container's word: on each side. */
struct crop_info {
    int left, top, right, bottom;
};

int crop_is_any(const struct crop_info *c);

struct video_info {
    int stream; /* index in the container; -1: no video */
    char codec[32], profile[32], pix_fmt[32];
    int width, height;     /* as coded, without what `crop` cuts off; before rotation */
    struct crop_info crop; /* of pictures whose size is that and `width` or `height` */
    AVRational sar;        /* 1:1 where the source doesn't say */
    int rotation;          /* degrees clockwise that a player must turn it: 0 90 180 270 */
    int hflip;             /* 1: mirrored horizontally (after rotation) */
    int turns;             /* 1: that is the first picture's, by itself; each says its own */
    int bit_depth;
    struct color_info color;
    int interlaced; /* 0 progressive, 1 top field first, 2 bottom field first */
    int fields;     /* 1: each picture of the decoder is a field; two are a frame, of `height` */
    int mixed;      /* 1: any picture may be interlaced, and says so itself */
    int primed;     /* 1: decoders need the first packet, wherever they begin (media/prime.h) */
    int reorder; /* pictures that a decoder holds before it shows one (H.264, media/reorder.h); 0:
                  * the stream says it, or none */
    struct hdr_info hdr; /* PQ and HLG only */
    AVRational tb;       /* of every pts in the plan */
    AVRational rate;     /* nominal frame rate: 1 / the commonest frame duration */
    int vfr;             /* 1: frame durations differ by more than rounding */
    int64_t start;       /* pts of the first frame shown, in tb */
    int64_t end;         /* end of the last frame shown, in tb */
    uint64_t frames;     /* frames shown */
    int64_t bit_rate;    /* bit/s measured over the packets; 0 unknown */
};

/* Some pictures may be interlaced: those that say so become frames of one time. */
static inline int video_may_comb(const struct video_info *v)
{
    return v->interlaced || v->mixed;
}

/* What a sound track is for: bits of audio_info.roles. */
enum audio_role {
    AUDIO_DUB = 1,
    AUDIO_ORIGINAL = 2,
    AUDIO_COMMENTARY = 4,
    AUDIO_DESCRIPTION = 8, /* tells what is seen, for who can't see it */
};

enum { AUDIO_TRACKS_MAX = 16 };

struct audio_info {
    int stream; /* index in the container; -1: no audio */
    char codec[32], layout[64], language[16];
    char title[128]; /* as the source calls the track */
    unsigned roles;
    int sample_rate, channels;
    AVRational tb;
    int64_t start, end; /* pts in tb: first sample heard, end of the last one */
    int64_t bit_rate;
};

/* A track of subtitles that are text. */
struct text_info {
    int stream;                   /* index in the container */
    char codec[32], language[16]; /* codec: "subrip", "ass", "mov_text" … */
    char title[128];              /* as the container has it; "": none */
    int is_default, forced;       /* what the container flags it as */
    int hearing_impaired;         /* … for those who don't hear the sound */
    int page;                     /* of teletext, 100 to 899; 0: none, or all that are subtitles */
    /* Closed captions: 1 to 4, CC1 to CC4 of CEA-608, in the pictures of `stream`, or in the
     * packets of a track that is captions. 0: a track of subtitles. */
    int captions;
};

enum { TEXT_TRACKS_MAX = 32, CAPTIONS_MAX = 4 };

/* From byte `pos` of the source on, `offset` is added to what its timestamps
 * say: recordings joined end to end, whose clocks start over or jump. Ticks of
 * both streams: only formats with one clock for all (MPEG-TS, PS) have these. */
struct splice {
    int64_t pos, offset;
};
enum { SPLICES_MAX = 4096 };

/* From byte `pos` of the source on, a stream goes on in the packets of another one: a programme of
 * MPEG-TS whose streams move to other PIDs. */
struct stream_join {
    int stream; /* index in the container; -1: to none, what comes is left out */
    int id;     /* AVStream.id (the PID) of the one whose packets these are */
    int64_t pos;
};
/* Places in the source where a demuxer has found further streams, which it numbers in that order.
 */
enum { ARRIVALS_MAX = 128, JOINS_MAX = 128 };

/* A stretch of an edit list (ISO/IEC 14496-12, 8.6.6) that is more than an offset: from `start`
 * on, for `length`, a stream shows what its media has from `media` on. Nothing lies between
 * stretches: the last picture stays, and no sound is heard. */
struct edit {
    int stream;
    int64_t start, length; /* presented, in 1/edit_scale s */
    int64_t media;         /* in the stream's time base, as the demuxer counts without edit lists */
    int32_t rate;          /* in 1/EDIT_RATE_ONE: how fast media passes; 0: it stands still */
};
enum { EDITS_MAX = 4096, EDIT_RATE_ONE = 65536 };

struct media_info {
    char container[64]; /* libavformat's short name: "mov,mp4,m4a,3gp,3g2,mj2" */
    uint64_t size_bytes;
    int64_t duration_ms; /* of the longer of both, from the first frame or sample */
    struct video_info video;
    struct audio_info audio; /* the default audio track: track 0 */
    /* Tracks 1 and up: the source's other usable ones, in its order; owned.
     * None in a task, whose `audio` is the track that the task is of. */
    struct audio_info *more_audio;
    size_t n_more_audio;     /* below AUDIO_TRACKS_MAX */
    struct text_info *texts; /* at most TEXT_TRACKS_MAX; owned */
    size_t n_texts;
    struct splice *splices; /* by rising pos; owned */
    size_t n_splices;
    int64_t *arrivals; /* rising; a demuxer that begins later must be shown these first; owned */
    size_t n_arrivals;
    struct stream_join *joins; /* by rising pos; owned */
    size_t n_joins;
    /* Of streams whose edit lists are applied here; the demuxer applies all others. By stream,
     * then by rising start; owned. */
    struct edit *edits;
    size_t n_edits;
    uint32_t edit_scale;
    char **warnings; /* what was odd about the source, for people; owned */
    size_t n_warnings;
};

void media_info_release(struct media_info *i);                              /* leaves it zeroed */
int media_info_copy(const struct media_info *from, struct media_info *ret); /* 0 or -ENOMEM */

/* Track 0 is the default one. NULL: there is none of that number. */
const struct audio_info *media_audio(const struct media_info *i, size_t track);

/* Whether a stream has entries in `edits`: its packets have media times then. */
int media_is_edited(const struct media_info *i, int stream);
/* Forget those of other streams, and of this one all behind the first `most`. */
void media_keep_edits(struct media_info *i, int stream, size_t most);

/* A new reference, or NULL when out of memory. */
json_t *media_info_to_json(const struct media_info *i);

/* Checks every limit (hostile: it comes from a child that read an upload).
 * -EINVAL with ERR_INTERNAL and the field's name. *ret untouched on failure. */
int media_info_from_json(const json_t *j, struct media_info *ret, struct err *err);

#endif
