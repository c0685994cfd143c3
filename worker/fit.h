/* fit.h - pictures as they are shown, before they are scaled: what the container cuts off is cut
 * off, each is turned upright, and one whose shape isn't the plan's is fitted into that: as
 * large as it goes, with black beside or above it, never stretched.
 *
 * A function of the plan and of the picture alone, so that chunks don't matter.
 */
#ifndef GOPMILL_WORKER_FIT_H
#define GOPMILL_WORKER_FIT_H

#include "../common/wire/media_info.h"

#include <libavutil/frame.h>
#include <stdio.h>

struct fit_shape {
    int frame_width, frame_height; /* as decoded; of a field, of its frame */
    int lines;                     /* 2 for one field of a frame, else 1 */
    int left, top, width, height;  /* what is shown of that */
    AVRational sar;                /* of its pixels; the plan's where the picture doesn't say */
    int rotation, hflip;           /* as in video_info */
};

/* Of a picture before it is turned. In MPEG-TS and PS pictures alone tell what their pixels are
 * like; elsewhere the container's word holds for all. A container's crop is of pictures of the
 * size that it names. */
struct fit_shape fit_shape_of(const struct media_info *src, const AVFrame *f, int lines);
int fit_same(const struct fit_shape *a, const struct fit_shape *b);

/* Whether it isn't as the plan has it. A side that is the plan's, rounded up to whole
 * macroblocks (or the other way round), is that one: encoders differ on whether they cut off what
 * fills the last block. Then nothing moves, and there are lines too many, or black ones. */
int fit_is_other(const struct video_info *v, const struct fit_shape *s);

/* Filters that do all of this, each with a comma behind it; none where a picture is upright and
 * of the plan's shape. `format` and `range` are AV_PIX_FMT_* and AVCOL_RANGE_*, of the
 * picture: the range is MPEG behind the filters where 1 is returned, else what it was. */
int fit_write(FILE *f, const struct video_info *v, const struct fit_shape *s, int format,
              int range);

#endif
