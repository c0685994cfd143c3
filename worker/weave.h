/* weave.h - HEVC whose pictures are single fields (field_seq_flag, ITU-T H.265 E.3.1): two of
 * them, one after the other, are a frame.
 */
#ifndef GOPMILL_WORKER_WEAVE_H
#define GOPMILL_WORKER_WEAVE_H

#include <libavutil/frame.h>

struct weave { /* zeroed: no field waits */
    AVFrame *first;
};

void weave_release(struct weave *w);

/* A field, in the order they are shown in: its lines are the top ones where `f` says
 * top_field_first. `f` becomes a frame with the first field's time, interlaced, and 1 is
 * returned; or it is kept, and 0: another is to come. `begins`: `f` is a frame's first field, by
 * the plan; one that still waits was without its second, and is left out. Negative: AVERROR. */
int weave_field(struct weave *w, AVFrame *f, int begins);

/* `f`, a field, as a frame of that field's lines, each twice. 0 or AVERROR. */
int weave_alone(AVFrame *f);

#endif
