/* venc.h - one rendition of one chunk: an encoder and its segmenter.
 *
 * Frames go in by their number in the chunk; a rendition with a frame-rate
 * cap skips those that its grid doesn't keep. Each planned GOP begins with
 * an IDR picture because the frame is sent as one; packets are gathered by
 * GOP and checked against the plan before they become a fragment.
 */
#ifndef GOPMILL_WORKER_VENC_H
#define GOPMILL_WORKER_VENC_H

#include "../common/wire/result.h"

#include <libavutil/frame.h>

struct err;
struct inside;
struct venc;

/* `t`, `r` and `pts` (the chunk's frames, expanded) are borrowed for the
 * encoder's life. */
int venc_new(struct inside *in, const struct task *t, const struct rendition *r, const int64_t *pts,
             struct venc **ret, struct err *err);
void venc_free(struct venc *v);

/* Frame number `i` of the chunk; all of them, in order. `f` is borrowed;
 * its pts and picture type are overwritten. The first opens the encoder, so
 * that one rendition's may be at work before the next one's is opened. */
int venc_push(struct venc *v, size_t i, AVFrame *f, struct err *err);

/* A frame behind the chunk, with its pts in source ticks; in order, after all of the chunk's. It
 * shows the encoder what comes, and is never encoded. `f` as above. 0, too, where it isn't wanted.
 */
int venc_look_ahead(struct venc *v, AVFrame *f, struct err *err);

/* No more frames: the last segments, then what was made. */
int venc_finish(struct venc *v, struct rendition_result *ret, struct err *err);

#endif
