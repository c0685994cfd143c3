/* picture.h - what a rung makes of a source's picture: size, frame rate,
 * colour. Pure functions. */
#ifndef GOPMILL_LADDERS_PICTURE_H
#define GOPMILL_LADDERS_PICTURE_H

#include "rung.h"

/* The source's picture upright with square pixels. */
struct picture {
    double width, height;
};
struct picture picture_of(const struct video_info *v);

/* By how much the picture would be scaled to fit the rung's box (1080 is a
 * box of 1920x1080, or of 1080x1920 for portrait). Above 1: upscaled. */
double picture_fit(struct picture p, int size);

/* A picture this close to a rung's box, 4 % smaller at most, still gets that
 * rung, at its own size. */
#define PICTURE_SLACK 1.04

/* Width, height and sar of the output, never larger than the picture, even,
 * and at least what the encoder takes. */
void picture_size(struct picture p, const struct rung *g, struct rendition *r);

/* Grid and nominal rate under the rung's cap. */
void picture_rate(const struct video_info *v, AVRational max_fps, struct rendition *r);

/* Colour tags, pixel format and whether to tone-map. */
void picture_color(const struct video_info *v, struct picture p, const struct rung *g,
                   struct rendition *r);

#endif
