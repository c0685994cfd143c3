/* seams.h - recordings joined end to end: where the clock of an MPEG-TS or PS
 * starts over or jumps ahead, and what is added to its times from there on.
 *
 * The rule (docs/inputs.md): back by more than a second or ahead by more than
 * ten is a seam where the next packets agree; the first picture behind it is
 * shown as long after the latest one before it as the last two packets before
 * it are apart. Formats with a clock for each stream have no seams.
 */
#ifndef GOPMILL_VERIFY_SEAMS_H
#define GOPMILL_VERIFY_SEAMS_H

#include <libavcodec/packet.h>
#include <libavformat/avformat.h>

struct joined;

struct seam {
    int64_t pos; /* byte of the source */
    int64_t shift;
};

struct seams {
    struct seam *list; /* by rising pos; owned */
    size_t n;
};

/* Whether the format can have any. */
int seams_possible(const AVFormatContext *f);

/* Reads `f` to its end. `video` leads, or `audio` where it is -1. 0 or -ENOMEM. */
int seams_find(AVFormatContext *f, const struct joined *j, int video, int audio, struct seams *ret);
void seams_release(struct seams *s);

/* Put a packet's times where they belong; *pos is where the stream's last
 * packet lay, 0 before the first. */
void seams_apply(const struct seams *s, AVPacket *pkt, int64_t *pos);

#endif
