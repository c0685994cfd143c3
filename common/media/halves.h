/* halves.h - HEVC in MP4 whose samples are single fields (field_seq_flag, ITU-T H.265 E.3.1).
 * Internal to common/media.
 *
 * Samples aren't read for an index of MP4. The first one tells whether its picture is a field; only
 * then the others' first bytes are looked at, and paired as packets of other containers are
 * (picture_scan.h).
 */
#ifndef GOPMILL_MEDIA_HALVES_H
#define GOPMILL_MEDIA_HALVES_H

#include <libavformat/avformat.h>

struct err;
struct inside;
struct media_index;

/* Marks second fields. *ret_first: FIELD_TOP or FIELD_BOTTOM, which each frame begins with; 0: the
 * pictures are frames. 0 or negative. */
int halves_look(struct inside *in, const AVStream *st, struct media_index *idx, int *ret_first,
                struct err *err);

#endif
