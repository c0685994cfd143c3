/* rung.h - a ladder as it was read: internal to ladders/.
 *
 * Everything in here has been checked: a rung's encoder exists in the table
 * of encoder.h, numbers are in their ranges, names are unique. Lines are
 * kept so that later findings (an encoder that refuses a parameter) can
 * still name them.
 */
#ifndef GOPMILL_LADDERS_RUNG_H
#define GOPMILL_LADDERS_RUNG_H

#include "../common/wire/rendition.h"

enum {
    LADDER_BYTES_MAX = 256 * 1024,
    LADDER_RUNGS_MAX = 32, /* video and audio together */
    RUNG_PARAMS_MAX = 24,  /* entries of `params:` */
    RUNG_PARAM_KEY_MAX = 48,
    RUNG_PARAM_VALUE_MAX = 64,
    RUNG_NAME_MAX = 32,     /* characters */
    LADDER_TEXT_MAX = 1024, /* characters of a name or description */
};

enum codec_id { CODEC_H264, CODEC_HEVC, CODEC_AV1, CODEC_AAC, CODEC_OPUS, CODEC_MAX };
const char *codec_name(enum codec_id c);

enum rung_range {
    RUNG_SDR,   /* HDR sources are tone-mapped */
    RUNG_HDR,   /* dropped for SDR sources */
    RUNG_SOURCE /* whatever the source has */
};

struct encoder;

/* What a person wrote about one rendition, or about a codec's defaults. */
struct rung {
    char name[RUNG_NAME_MAX + 1];
    int line; /* of its first key */
    enum codec_id codec;
    const struct encoder *encoder;
    int size;           /* short side, pixels */
    AVRational max_fps; /* 0/1: none */
    double crf;         /* -1: the encoder's default */
    int64_t maxrate;    /* bit/s */
    int64_t bufsize;    /* bits; 0: twice maxrate */
    char preset[16];    /* "": the encoder's default */
    char profile[16];   /* "": by codec and bit depth */
    int bit_depth;      /* 0: 8 for SDR, 10 for HDR */
    int copy;           /* 1: the source's own packets where they fit */
    enum rung_range range;
    int64_t bitrate; /* audio, bit/s */
    int channels;
    int sample_rate;  /* 0: 44100 for its family, else 48000 */
    double loudness;  /* LUFS; 0: as it is */
    double true_peak; /* dB of full scale; above 0: not said */
    struct param *params;
    int *param_lines;
    size_t n_params;
};

static inline enum media_kind codec_kind(enum codec_id c)
{
    return c >= CODEC_AAC ? MEDIA_AUDIO : MEDIA_VIDEO;
}

struct ladder_extras {
    int subtitles;        /* 1: all that are text */
    int poster_size;      /* short side, as of a rung; 0: none */
    int64_t poster_at_ms; /* -1: the best of some */
    int storyboard_size;  /* of a tile; 0: none */
    int64_t storyboard_every_ms;
    int storyboard_columns, storyboard_rows;
};

struct ladder {
    char *where; /* file name, for errors */
    char *text;
    char digest[65];
    char *name, *description;
    double segment_seconds, gop_seconds;
    int default_track; /* audio_tracks: default, the others are left out */
    struct ladder_extras extras;
    struct rung *rungs; /* video in the file's order, then audio */
    size_t n_rungs, n_video;
};

void rung_release(struct rung *r);
/* 0 or -ENOMEM; *ret is overwritten. */
int rung_copy(const struct rung *from, struct rung *ret);
/* Set or replace a parameter. 0 or -ENOMEM. */
int rung_param_set(struct rung *r, const char *key, const char *value, int line);

#endif
