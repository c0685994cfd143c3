/* reader.h - the packets of one video stream, in decode order, from one on
 * that a plan names.
 *
 * Runs in a child. Times are the plan's: unwrapped, with the offsets of
 * splices. A plan names a packet by what the demuxer said of it, and it is
 * found by the same: by its place in the file, and its times.
 */
#ifndef GOPMILL_MEDIA_READER_H
#define GOPMILL_MEDIA_READER_H

#include "open.h"

struct media_info;

/* A packet as a plan names it; INT64_MIN, and -1 for `pos`, where it has none. */
struct packet_name {
    int64_t pts, dts; /* stream time base */
    int64_t pos;      /* byte offset */
};

struct reader {
    struct inside *in;             /* borrowed */
    const struct media_info *info; /* borrowed */
    struct media_source src;
    AVPacket *pkt; /* the one that was read last; whoever has used it may unref it */
    int64_t near;  /* a time close to the next packet's, for those that wrap */
    int fresh;     /* nothing was read yet: what comes is the beginning */
    uint8_t *told; /* parameters that a skipped packet brought (AV_PKT_DATA_NEW_EXTRADATA) */
    size_t n_told;
};

/* Opens the source for the stream info->video.stream. To be closed in either case. */
int reader_open(struct inside *in, const struct media_info *info, struct reader *ret,
                struct err *err);
void reader_close(struct reader *r); /* one that is zeroed is a no-op */

/* Reads up to that packet, which is in `pkt` then, with the parameters of its own
 * sample description (ISO/IEC 14496-12, 8.5.2), whichever packet brought these. Where
 * a seek misses it, the source is read from its beginning, where every packet comes by. `first`: it
 * is the stream's first, so that nothing needs to be sought. AVERROR_EOF (err untouched): it isn't
 * there. */
int reader_go_to(struct reader *r, const struct packet_name *to, int first, struct err *err);

/* The stream's next packet, in `pkt`. AVERROR_EOF (err untouched) at the end. */
int reader_next(struct reader *r, struct err *err);

/* Whether the packet at hand is one that shows nothing, as its bytes tell: no decoder gives a
 * picture for it, and some call it damaged. */
int reader_shows_nothing(const struct reader *r);

#endif
