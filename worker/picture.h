/* picture.h - from decoded frames to each rendition's pictures: crop, deinterlace,
 * rotate, scale, tone-map, by one libavfilter graph on one thread.
 *
 * The graph passes every frame through once with its pts unchanged, so which
 * frames there are is decided before (lineup.h) and after it (frame_grid),
 * never in it. Renditions with the same picture share one output.
 */
#ifndef GOPMILL_WORKER_PICTURE_H
#define GOPMILL_WORKER_PICTURE_H

#include "../common/wire/rendition.h"
#include "fit.h"

#include <libavutil/frame.h>

struct err;
struct picture;

/* Takes a picture for output `out`; `f` is borrowed. */
typedef int (*picture_emit)(void *arg, unsigned out, AVFrame *f, struct err *err);

/* `src` and `list` are borrowed for the picture's life. Of the `n` renditions
 * of the list those are wanted for which `wanted` (borrowed for the call) isn't
 * 0; an output of the others is made only where a wanted one is scaled from
 * it, so that a wanted picture is the same whatever else is wanted. Nothing is
 * built before the first frame comes: it knows its own format best. */
struct picture *picture_new(const struct media_info *src, const struct rendition *list, size_t n,
                            const char *wanted, picture_emit emit, void *arg);
void picture_free(struct picture *p);

/* Which output rendition `i` takes its pictures from. */
unsigned picture_output(const struct picture *p, size_t i);

/* A frame in source ticks; borrowed. The graph is made anew where shape, colours or format change
 * in mid-stream: what has another shape than the plan says is fitted into that one (fit.h),
 * and other colours are converted (colors.h). */
int picture_push(struct picture *p, AVFrame *f, struct err *err);

/* Of an interlaced frame one field, so that nothing is combed; scaling makes it high again. `f`
 * is changed in its own right, not its data. */
int picture_push_field(struct picture *p, AVFrame *f, int bottom, struct err *err);

/* What the latest picture was taken for. */
struct picture_look {
    struct fit_shape shape;
    struct color_info color;
    int reshaped, recolored; /* it isn't as the plan says */
};
const struct picture_look *picture_latest(const struct picture *p); /* the picture's own */

/* Let out what filters with memory still hold. */
int picture_flush(struct picture *p, struct err *err);

#endif
