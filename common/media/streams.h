/* streams.h - which of a container's streams are used, and what their
 * parameters say. Internal to common/media. */
#ifndef GOPMILL_MEDIA_STREAMS_H
#define GOPMILL_MEDIA_STREAMS_H

#include "../wire/media_info.h"

#include <libavformat/avformat.h>

/* Whether it is moving pictures, of whatever kind, and no cover or thumbnails. */
int streams_is_film(const AVStream *st);

/* The video stream to use, or -1: one that is decoded here, the default one,
 * the largest. *ret_others: how many usable ones are left out. */
int streams_choose_video(const AVFormatContext *f, int *ret_others);

/* Whether stream `k` is of another programme (MPEG-TS) than the video `v`: the
 * sound and text of another channel. `v` may be -1. */
int streams_other_programme(AVFormatContext *f, int v, unsigned k);

/* Whether it is sound with parameters that make sense. */
int streams_is_audio(const AVStream *st);

/* All that the container and the first frames say; times, rate and frame
 * counts stay 0: those come from the index. */
void streams_video(const AVStream *st, struct video_info *v);
void streams_audio(const AVStream *st, struct audio_info *a);

/* Tracks of subtitles that aren't used: pictures, or text that isn't decoded
 * here (`codec` of the last one), and those beyond TEXT_TRACKS_MAX. */
struct texts_left {
    int not_text, too_many;
    char codec[32];
};

/* Fills in i->texts, in the container's order. 0 or -ENOMEM. */
int streams_texts(AVFormatContext *f, struct media_info *i, struct texts_left *ret_left);

/* What the container calls a stream's language; "" where it doesn't, or not in words. */
void streams_language(const AVStream *st, char *ret, size_t size);

#endif
