/* caption_tracks.h - captions for a task of texts: which of its tracks are
 * channels of which stream, and when what they say is on the timeline.
 *
 * Runs in a child.
 */
#ifndef GOPMILL_WORKER_CAPTION_TRACKS_H
#define GOPMILL_WORKER_CAPTION_TRACKS_H

#include "../common/wire/task.h"
#include "webvtt.h"

#include <libavformat/avformat.h>

struct err;

struct caption_tracks { /* zeroed: there are none */
    struct caption_track *v;
    size_t n;
};

/* `r` is a channel of `st` (text.captions): what it says goes to `to`, and *out says why it is
 * left out, if so. All are borrowed until the end, or the release. `untold` as for cc_reader_new().
 * -ENOMEM. */
int caption_tracks_add(struct caption_tracks *c, const AVStream *st, int untold,
                       const struct rendition *r, struct cues *to, struct err *out,
                       struct err *err);

/* A packet of any stream. 1: it is of a stream with captions; 0: it isn't. -ENOMEM. */
int caption_tracks_packet(struct caption_tracks *c, const AVPacket *pkt, struct err *err);

/* All packets were read: fills what was named, and leaves `c` zeroed. -ENOMEM. */
int caption_tracks_end(struct caption_tracks *c, const struct task *t, struct err *err);

void caption_tracks_release(struct caption_tracks *c); /* leaves it zeroed */

/* Milliseconds on the timeline of a task. */
int64_t text_time(const struct task *t, int64_t pts, AVRational tb);

#endif
