/* index_build.h - how an index is made. Internal to common/media. */
#ifndef GOPMILL_MEDIA_INDEX_BUILD_H
#define GOPMILL_MEDIA_INDEX_BUILD_H

#include "../wire/media_info.h"
#include "index.h"

#include <libavcodec/codec_par.h>

struct err;
struct media_source;

struct index_audio {
    int64_t start, end, last; /* AV_NOPTS_VALUE: nothing seen */
};

/* A sound track whose times are wanted. */
struct index_track {
    int stream;
    struct index_audio times; /* set by index_scan() */
};

/* Read every packet of the video stream (-1: none) and of these tracks to
 * the end. */
int index_scan(struct media_source *s, int video, struct index_track *tracks, size_t n_tracks,
               struct media_index *idx, struct err *err);

/* Whether a decoder may begin at this H.264 keyframe (keyframe.c). */
int keyframe_is_safe(const AVCodecParameters *par, const uint8_t *p, size_t n);

/* Fill rate, vfr, start, end, frames and bit_rate from the index.
 * *ret_doubles: frames that have the time of another and can't be shown. */
int index_describe(const struct media_index *idx, struct video_info *v, uint64_t *ret_doubles,
                   struct err *err);

#endif
