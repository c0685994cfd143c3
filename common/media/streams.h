/* streams.h - which of a container's streams are used, and what their
 * parameters say. Internal to common/media. */
#ifndef GOPMILL_MEDIA_STREAMS_H
#define GOPMILL_MEDIA_STREAMS_H

#include "../wire/media_info.h"

#include <libavformat/avformat.h>

/* The video stream to use, or -1; *ret_others: how many usable ones are left out. */
int streams_choose_video(const AVFormatContext *f, int *ret_others);

/* Whether it is sound with parameters that make sense. */
int streams_is_audio(const AVStream *st);

/* All that the container and the first frames say; times, rate and frame
 * counts stay 0: those come from the index. */
void streams_video(const AVStream *st, struct video_info *v);
void streams_audio(const AVStream *st, struct audio_info *a);

#endif
