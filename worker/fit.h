/* fit.h - pictures whose shape changes in mid-stream, into the shape that the plan
 * says: as large as they go, with black beside or above them, never stretched.
 *
 * A function of the plan and of the picture alone, so that chunks don't matter.
 */
#ifndef GOPMILL_WORKER_FIT_H
#define GOPMILL_WORKER_FIT_H

#include "../common/wire/media_info.h"

#include <libavutil/frame.h>
#include <stdio.h>

struct fit_shape {
    int width, height;
    AVRational sar; /* of its pixels; the plan's where the picture doesn't say */
};

/* Of a picture before it is turned; `lines` is 2 for one field of a frame, else 1. In MPEG-TS and
 * PS pictures alone tell what their pixels are like; elsewhere the container's word holds for all.
 */
struct fit_shape fit_shape_of(const struct media_info *src, const AVFrame *f, int lines);
int fit_same(const struct fit_shape *a, const struct fit_shape *b);

/* Not where a side is off by less than a macroblock: containers and bitstreams differ so on what
 * is cropped. */
int fit_is_needed(const struct video_info *v, const struct fit_shape *s);

/* Filters that do it, each with a comma behind it; none where it isn't needed. */
void fit_write(FILE *f, const struct video_info *v, const struct fit_shape *s);

#endif
