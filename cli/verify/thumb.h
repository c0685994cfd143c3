/* thumb.h - a picture as 64 x 64 grey pixels, whatever its size and aspect:
 * enough to tell one frame from its neighbours, cheap enough to keep many.
 */
#ifndef GOPMILL_VERIFY_THUMB_H
#define GOPMILL_VERIFY_THUMB_H

#include <stdint.h>

struct AVFrame;
struct SwsContext;
struct err;

enum { THUMB_SIDE = 64, THUMB_PIXELS = THUMB_SIDE * THUMB_SIDE };

struct thumb {
    uint8_t px[THUMB_PIXELS];
};

/* *sws is kept for the next frame; free it with thumb_releasep(). `matrix`
 * (may be NULL) is a display matrix as libavutil has it: the thumb is of the
 * picture as shown. -ENOMEM or -EINVAL. */
int thumb_make(struct SwsContext **sws, const struct AVFrame *f, const int32_t *matrix,
               struct thumb *ret);
void thumb_releasep(struct SwsContext **sws);

/* What is left of x where the best a * y + b has been taken away, as a mean
 * square; so brightness and contrast (range, tone mapping) don't count. */
double thumb_residue(const struct thumb *x, const struct thumb *y);
double thumb_variance(const struct thumb *x);

#endif
