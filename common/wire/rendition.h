/* rendition.h - one output of a job with every encoder parameter resolved.
 *
 * Made by ladders/ from a ladder and a source, carried by plans and tasks,
 * obeyed by workers, named by playlists. A worker adds nothing to `params`
 * and drops nothing: it sets the fields below on the AVCodecContext, gives
 * `params` to avcodec_open2(), and refuses the task (ERR_UNSUPPORTED) if an
 * entry was not consumed.
 */
#ifndef GOPMILL_WIRE_RENDITION_H
#define GOPMILL_WIRE_RENDITION_H

#include "media_info.h"

/* Those from MEDIA_TEXT on are a package's extras: it is whole without them. */
enum media_kind { MEDIA_VIDEO, MEDIA_AUDIO, MEDIA_TEXT, MEDIA_POSTER, MEDIA_STORYBOARD };

static inline int media_kind_is_extra(enum media_kind k)
{
    return k >= MEDIA_TEXT;
}

struct param {
    char *key, *value; /* an AVOption of the encoder or of AVCodecContext */
};

/* Which frames a rendition with a frame-rate cap keeps: those that are the
 * first of their cell of the grid. With p the pts in seconds from the
 * timeline's origin, cell(p) = floor((p + phase) / period). A function of
 * a frame's absolute pts and its predecessor's, never of a chunk (design,
 * rule 5.3). period 0/1: every frame. */
struct frame_grid {
    AVRational period; /* seconds */
    AVRational phase;  /* seconds */
};

enum {
    WARM_UP_MAX = 64,
    LOOK_AHEAD_MAX = 64,
    RENDITIONS_MAX = 64, /* of a job */
};

/* A frame that is looked at, and the packet that decoding it begins at, as the
 * demuxer gives it (plan.h). */
struct shot {
    int64_t pts;
    int64_t shift; /* to the pts of its packet; 0 but in edited sources (media_info.edits) */
    int64_t seek_pts, seek_dts; /* INT64_MIN where the packet has none */
    int64_t seek_pos;           /* -1 unknown */
};

enum { SHOTS_MAX = 20000, TILES_MAX = 32 };

struct rendition {
    enum media_kind kind;
    char *name;    /* [a-z0-9-]+, unique in the job; its folder under video/, audio/ or text/ */
    char *codec;   /* "h264" "hevc" "av1" "aac" "opus" "webvtt" "jpeg" */
    char *encoder; /* libavcodec's name: "libx264" …; "webvtt" is our own */
    struct param *params;
    size_t n_params;

    /* video */
    int width, height; /* even, upright (after rotation) */
    AVRational sar;    /* of the output */
    char pix_fmt[32];
    struct color_info color; /* of the output */
    struct hdr_info hdr;     /* that goes with an HDR output */
    int tonemap;             /* 1: HDR source to this SDR output */
    struct frame_grid grid;
    AVRational rate; /* nominal, after the grid */
    int64_t maxrate; /* bit/s cap of the encoder; 0: none */
    int threads;     /* encoder threads, 1 unless above 1440p */
    /* 1: a new encoder for each GOP, its gop_size and keyint_min set to the
     * GOP's frames, nothing forced. libaom makes two keyframes of one that
     * is forced, and budgets a keyframe by gop_size. 0: one encoder for the
     * chunk, a forced keyframe at each GOP. */
    int gop_reset;
    /* Frames that an encoder is given before the first of a chunk that isn't
     * the job's first, and whose pictures are thrown away: the chunk's own
     * first frames, backwards. x264 and x265 give the first picture of an
     * encode a coarser quantiser than later keyframes, which have pictures
     * before them to go by. 0: none. */
    int warm_up; /* to WARM_UP_MAX */
    /* Frames of the source behind a chunk that an encoder is shown, and never encodes: it stops
     * when it has given all pictures of the chunk. x264 weighs a picture by what later ones take
     * from it, as far as it looks ahead, also past a keyframe. 0: none. */
    int look_ahead; /* to LOOK_AHEAD_MAX */

    /* 1: nothing is encoded, the source's own packets become the segments.
     * `encoder` is "copy" then, and params are empty. */
    int copy;
    int may_copy;     /* the ladder allows it and nobody has decided yet; not on the wire */
    char *not_copied; /* the ladder allows it, but: why it is encoded all the same; NULL: there is
                       * nothing to say */

    /* audio */
    unsigned track; /* of the source: media_audio() */
    /* The rung that it was made of, which renditions of several tracks have in
     * common: players choose a rung and a track. NULL: `name`. */
    char *rung;
    int sample_rate, channels;
    char layout[64];  /* as av_channel_layout_from_string() reads it */
    int64_t bit_rate; /* bit/s */
    double loudness;  /* LUFS of the whole track that it is brought to; 0: as it is */
    double true_peak; /* dB of full scale that it may not exceed for that */

    struct text_info text; /* text: the track that it is made of */

    /* poster and storyboard: width, height, pix_fmt, color and tonemap as of
     * video, and */
    struct shot *shots; /* storyboard: one a tile, in order; poster: to choose from, as many as
                         * there are; rising */
    size_t n_shots;
    int64_t every_ms;  /* storyboard: how long each tile stands for; poster, for the planner
                        * alone: where it is taken, -1: the best of some */
    int columns, rows; /* storyboard: tiles of a sheet, to TILES_MAX */

    double cost;           /* predicted core-seconds for each second of source */
    uint64_t memory_bytes; /* predicted resident need of its encoder */
};

/* Never NULL. */
const char *rendition_rung(const struct rendition *r);

void rendition_release(struct rendition *r);
void rendition_list_free(struct rendition *r, size_t n);
int rendition_copy(const struct rendition *from, struct rendition *ret); /* 0 or -ENOMEM */

json_t *rendition_to_json(const struct rendition *r);
int rendition_from_json(const json_t *j, struct rendition *ret, struct err *err);

/* The grid's cell of a frame `pts` (in tb) on a timeline whose origin is
 * `origin` (in tb). Exact (128-bit). 0 where period is 0. */
int64_t frame_grid_cell(const struct frame_grid *g, int64_t pts, int64_t origin, AVRational tb);

/* Whether the rendition keeps frame `pts` whose predecessor in the source is
 * `prev` (INT64_MIN: none). */
int frame_grid_keeps(const struct frame_grid *g, int64_t pts, int64_t prev, int64_t origin,
                     AVRational tb);

#endif
