/* streams.h - which of a container's streams are used, and what their
 * parameters say. Internal to common/media. */
#ifndef GOPMILL_MEDIA_STREAMS_H
#define GOPMILL_MEDIA_STREAMS_H

#include "../wire/media_info.h"

#include <libavformat/avformat.h>

struct err;
struct inside;
struct media_source;

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

enum { TEXT_KINDS_LEFT_MAX = 8 };

/* Tracks of subtitles that aren't used: of each kind that isn't read here how many, and those
 * beyond TEXT_TRACKS_MAX. */
struct texts_left {
    struct {
        char codec[32];
        const char *why; /* "is not text" */
        int n;
    } kinds[TEXT_KINDS_LEFT_MAX];
    size_t n_kinds;
    int too_many;
};

/* Fills in i->texts, in the container's order; each page of teletext is a track. 0 or negative. */
int streams_texts(struct inside *in, struct media_source *s, struct media_info *i,
                  struct texts_left *ret_left, struct err *err);

/* What the container calls a stream's language; "" where it doesn't, or not in words. */
void streams_language(const AVStream *st, char *ret, size_t size);

#endif
