/* cc_reader.h - the captions of a stream (common/media/cc_data.h) as cues:
 * of pictures, which come in the order of decoding, or of a track's samples.
 *
 * Pictures aren't decoded. What their packets hold is brought into the order that they are
 * shown in, taken apart by channel, and given to libavcodec's cc_dec. Runs in a child.
 */
#ifndef GOPMILL_WORKER_CC_READER_H
#define GOPMILL_WORKER_CC_READER_H

#include "../common/media/cc_data.h"
#include "webvtt.h"

#include <libavformat/avformat.h>

struct err;
struct cc_reader;

enum { CC_CUES_MAX = 100000, CC_BYTES_MAX = 32 << 20 }; /* of a channel */

/* `st` is borrowed for the reader's life. `untold`: pictures needn't have times (MPEG-TS, PS);
 * those of H.264 and HEVC are then known at the end only. -ENOMEM. */
int cc_reader_new(const AVStream *st, int untold, struct cc_reader **ret, struct err *err);
void cc_reader_free(struct cc_reader *r); /* NULL is a no-op */

/* Channel 0 to CC_CHANNELS - 1 is to become cues. -ENOTSUP where libavcodec has no cc_dec;
 * -ENOMEM. */
int cc_reader_want(struct cc_reader *r, unsigned channel, struct err *err);

/* The stream's packets, one after the other; then the end. -ENOMEM. */
int cc_reader_packet(struct cc_reader *r, const AVPacket *pkt, struct err *err);
int cc_reader_end(struct cc_reader *r, struct err *err);

/* After the end: what a channel said, in ticks of the stream; borrowed. More than
 * CC_CUES_MAX or CC_BYTES_MAX: the rest is missing. */
const struct cues *cc_reader_cues(const struct cc_reader *r, unsigned channel);
int cc_reader_flooded(const struct cc_reader *r, unsigned channel);

/* Bit k: channel k has letters, wanted or not. */
unsigned cc_reader_spoke(const struct cc_reader *r);
/* There are captions of CEA-708's own. */
int cc_reader_has_708(const struct cc_reader *r);

#endif
