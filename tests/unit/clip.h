/* clip.h - small videos made by libav* for tests, as bytes.
 *
 * The picture of frame i is a grey that differs from its neighbours', the
 * sound a steady sine. Fails the running test where a clip can't be made.
 */
#ifndef GOPMILL_TESTS_CLIP_H
#define GOPMILL_TESTS_CLIP_H

#include <libavutil/rational.h>
#include <stddef.h>
#include <stdint.h>

/* A line of subtitles, SubRip's text. */
struct clip_line {
    int64_t start_ms, duration_ms;
    const char *text;
    size_t len; /* 0: up to its NUL */
};

/* A sound track beside the first, the same sound. */
struct clip_track {
    const char *language, *title; /* NULL: none */
    int disposition;              /* AV_DISPOSITION_* */
};

struct clip_spec {
    const char *format;  /* libavformat's muxer */
    const char *options; /* of the muxer, "movflags=faststart"; NULL: none */

    const char *encoder;  /* of the video; NULL: no video */
    const char *params;   /* of the encoder, "bf=2:preset=ultrafast"; NULL: none */
    AVRational rate;      /* frame i stands at (first + i) / rate … */
    const int64_t *times; /* … or at times[i] milliseconds */
    int first, frames, gop;
    int rotation; /* degrees clockwise in the display matrix */
    int cover;    /* 1: with an attached picture, larger than the video, before it */

    const char *audio; /* encoder; NULL: no sound */
    double audio_seconds;
    const struct clip_track *more; /* further tracks */
    int n_more;

    const struct clip_line *lines; /* a subtitle stream, the last; NULL: none */
    size_t n_lines;
};

struct clip {
    uint8_t *data; /* free() */
    size_t size;
};

struct clip clip_make(const struct clip_spec *spec);

#endif
