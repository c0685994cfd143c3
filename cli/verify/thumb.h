/* thumb.h - a picture as 64 x 64 pixels of luma and 16 x 16 of chroma, whatever
 * its size and aspect: enough to tell a frame from its neighbours and to see a
 * region that is smeared, cheap enough to keep one of each frame.
 */
#ifndef GOPMILL_VERIFY_THUMB_H
#define GOPMILL_VERIFY_THUMB_H

#include <libavutil/rational.h>
#include <stdint.h>

struct AVFrame;
struct SwsContext;

enum {
    THUMB_SIDE = 64,
    THUMB_PIXELS = THUMB_SIDE * THUMB_SIDE,
    THUMB_CELLS_SIDE = 16, /* of four pixels' side */
    THUMB_CELLS = THUMB_CELLS_SIDE * THUMB_CELLS_SIDE,
};

struct thumb {
    uint8_t px[THUMB_PIXELS];
    uint8_t u[THUMB_CELLS], v[THUMB_CELLS];
    uint8_t hdr; /* its transfer is PQ or HLG */
};

/* What doesn't change from frame to frame. {0} is sane. */
struct thumb_maker {
    struct SwsContext *sws; /* kept for the next frame */
    const int32_t *matrix;  /* a display matrix as libavutil has it; NULL: none */
    double shape;     /* that of the first picture, width by height as displayed; 0: none yet */
    AVRational sar;   /* of the next frame; 0/x: square */
    int whole_fields; /* a frame that says "interlaced" is a field of its own */
};

/* The picture as shown: turned, in the shape of the first one, and of an interlaced frame the field
 * that is shown first. -ENOMEM or -EINVAL. */
int thumb_make(struct thumb_maker *m, const struct AVFrame *f, struct thumb *ret);
void thumb_maker_release(struct thumb_maker *m);

#endif
