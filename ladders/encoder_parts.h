/* encoder_parts.h - what the rows of encoder.c's table point to. */
#ifndef GOPMILL_LADDERS_ENCODER_PARTS_H
#define GOPMILL_LADDERS_ENCODER_PARTS_H

#include "encoder.h"

extern const char *const encoder_reserved_x264[],
    *const encoder_reserved_x265[], *const encoder_reserved_aom[], *const encoder_reserved_svt[];

/* struct encoder's `add`. */
int encoder_params_x264(const struct rung *g, struct rendition *r, int64_t bufsize);
int encoder_params_x265(const struct rung *g, struct rendition *r, int64_t bufsize);
int encoder_params_aom(const struct rung *g, struct rendition *r, int64_t bufsize);
int encoder_params_svt(const struct rung *g, struct rendition *r, int64_t bufsize);

#endif
