/* encoder.h - an encoder opened as a rendition says, no more and no less. */
#ifndef GOPMILL_WORKER_ENCODER_H
#define GOPMILL_WORKER_ENCODER_H

#include "../common/wire/rendition.h"

#include <libavcodec/avcodec.h>

struct err;

/* `time_base` is that of the frames it will be given; `gop_frames` the length
 * of the one GOP that it is for (rendition.gop_reset), else 0. -ENOTSUP with
 * ERR_UNSUPPORTED where this libavcodec has no such encoder or the encoder
 * doesn't take every parameter. Free with avcodec_free_context(). */
int encoder_open(const struct rendition *r, AVRational time_base, int gop_frames,
                 AVCodecContext **ret, struct err *err);

/* Versions of all that decides about output bytes; allocated. */
char *encoder_fingerprint(void);

#endif
