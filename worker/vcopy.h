/* vcopy.h - one copied rendition of one chunk: the source's packets and a
 * segmenter.
 *
 * The counterpart of venc.h for a rendition that says `copy`. The planner has
 * seen to it that a GOP of the chunk is a whole number of the source's GOPs,
 * closed ones that begin with IDR pictures; here each packet is held against
 * the plan all the same. Further IDR pictures within a GOP are sync samples.
 */
#ifndef GOPMILL_WORKER_VCOPY_H
#define GOPMILL_WORKER_VCOPY_H

#include "../common/wire/result.h"

#include <libavcodec/avcodec.h>

struct err;
struct inside;
struct vcopy;

/* `t`, `r` and `pts` (the chunk's frames, expanded) are borrowed for the
 * copy's life, `par` (of the source's stream) for the call. */
int vcopy_new(struct inside *in, const struct task *t, const struct rendition *r,
              const AVCodecParameters *par, const int64_t *pts, struct vcopy **ret,
              struct err *err);
void vcopy_free(struct vcopy *v); /* NULL is a no-op */

/* The packets in decoding order, pts in source ticks; borrowed. Those that
 * aren't shown in the chunk are left out. */
int vcopy_push(struct vcopy *v, const AVPacket *p, struct err *err);

/* How many of the chunk's pictures came so far. */
size_t vcopy_done(const struct vcopy *v);

/* No more packets: the last segment, then what was made. */
int vcopy_finish(struct vcopy *v, struct rendition_result *ret, struct err *err);

#endif
