/* index_build.h - how an index is made. Internal to common/media. */
#ifndef GOPMILL_MEDIA_INDEX_BUILD_H
#define GOPMILL_MEDIA_INDEX_BUILD_H

#include "../wire/media_info.h"
#include "index.h"

#include <libavcodec/codec_par.h>

struct err;
struct inside;
struct media_source;

struct index_audio {
    int64_t start, end; /* AV_NOPTS_VALUE: nothing seen */
};

struct clock_line;

/* A sound track whose times are wanted. */
struct index_track {
    int stream;
    struct index_audio times; /* set by index_scan() */
};

/* Read every packet of the video stream (-1: none) and of these tracks to
 * the end. Of *ret_line the splices are the caller's, as is `idx`, also on
 * failure. */
int index_scan(struct media_source *s, int video, struct index_track *tracks, size_t n_tracks,
               struct media_index *idx, struct clock_line *ret_line, struct err *err);

/* A stream may begin in the middle of a GOP. Leave out the packets before its
 * first keyframe, and hide what is shown before that; where it has none, all
 * stays. Returns how many frames that could have been shown are gone. */
uint64_t index_begin_at_key(struct media_index *idx);

/* What the bytes of a packet say of it, whatever its flag says (keyframe.c). */
enum keyframe_kind {
    KEYFRAME_UNKNOWN,
    KEYFRAME_NOT,      /* nothing can be decoded from here on */
    KEYFRAME_DOUBTFUL, /* it may be that it can: nothing says when pictures are right again */
    KEYFRAME_UNSAFE,   /* it can, but is only right if decoding began a keyframe earlier */
    KEYFRAME_SAFE,
};

enum keyframe_kind keyframe_kind(const AVCodecParameters *par, const uint8_t *p, size_t n);

/* Of a keyframe: whether pictures decoded after it and shown before it need ones before it (an
 * open GOP), as far as bytes tell. */
int keyframe_is_open(const AVCodecParameters *par, const uint8_t *p, size_t n);

/* Of a recovery point of H.264 (ISO/IEC 14496-10, D.2.8): how many pictures from it on aren't
 * whole yet. 0 of all others. */
unsigned keyframe_recovery(const AVCodecParameters *par, const uint8_t *p, size_t n);

/* Set the flags of a packet by its bytes. */
void index_look(struct index_packet *p, const AVCodecParameters *par, const uint8_t *data,
                size_t n);

/* Of one that shows nothing. */
void packet_hide(struct index_packet *p, const AVCodecParameters *par);

/* Look at the first packet of an MP4 that isn't flagged as a keyframe. 0 or negative. */
int keyframe_look_first(struct inside *in, const AVCodecParameters *par, struct media_index *idx,
                        struct err *err);

/* How many bytes the source says it has beyond its end; 0: as many as there
 * are, or it doesn't say. Of an MP4 only where it was opened for its index. */
uint64_t media_missing_bytes(struct inside *in, const struct media_source *s);

/* Whether the codec is one that it knows. */
int keyframe_can_tell(const AVCodecParameters *par);

/* Fill rate, vfr, start, end, frames and bit_rate of video from the index, and its edits.
 * *ret_doubles: frames that have the time of another and can't be shown. */
int index_describe(const struct media_index *idx, struct media_info *info, uint64_t *ret_doubles,
                   struct err *err);

#endif
