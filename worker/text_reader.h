/* text_reader.h - what the packets of one track of subtitles say, whatever its kind
 * (media/text_kind.h): decoded by libavcodec, cues in boxes, documents, pages.
 *
 * Runs in a child: packets are hostile.
 */
#ifndef GOPMILL_WORKER_TEXT_READER_H
#define GOPMILL_WORKER_TEXT_READER_H

#include "../common/wire/media_info.h"
#include "webvtt.h"

struct AVPacket;
struct err;
struct media_source;
struct text_reader;

/* As a cue's start and end: for as long as the packet is shown. */
#define CUE_FROM_START INT64_MIN
#define CUE_TO_END     INT64_MAX

/* What was said. Times that cues have of their own are milliseconds of the source's presentation
 * (its time stamps), not of the package's timeline. */
struct text_said {
    struct cues cues;
    int64_t pts, duration; /* of the packet that says it, in its stream's time base; 0: not known */
    int64_t lasts_ms;      /* of a packet without a duration; -1: nobody knows */
    int placed;            /* 1: the packet's own time says nothing of these cues' */
    int repeats;           /* 1: packets repeat what goes on: equal cues that touch are one */
    uint64_t damaged;      /* packets, or parts of them, that can't be read; added up */
    uint64_t cut;          /* cues that were too long; added up */
};

void text_said_clear(struct text_said *s); /* forgets the cues; counts stay */

/* -ENOTSUP, -EINVAL (`err` says why this track can't be read), -ENOMEM. Borrows `s`. */
int text_reader_open(const struct media_source *s, const struct text_info *t,
                     struct text_reader **ret, struct err *err);
void text_reader_free(struct text_reader *r); /* NULL is a no-op */

/* What a packet says, or where packets last until the next one (samples of MP4 in fragments have no
 * duration in libavformat 5.1) the one before. What can't be read is counted: the next packet may
 * be better. 0 or -ENOMEM. */
int text_reader_feed(struct text_reader *r, struct AVPacket *pkt, struct text_said *ret);

/* What is still kept back at the end of the source. 0 or -ENOMEM. */
int text_reader_end(struct text_reader *r, struct text_said *ret);

#endif
