/* steady.h - whether a rate is constant but for a clock that jitters.
 *
 * Capture cards, cameras and programs that stamp pictures when they arrive put each a little before
 * or behind its place. Such a stream has a rate, and a frame-rate cap takes every n-th of its
 * pictures. Pure functions.
 */
#ifndef GOPMILL_MEDIA_STEADY_H
#define GOPMILL_MEDIA_STEADY_H

#include <stddef.h>
#include <stdint.h>

/* How far apart the earliest and the latest picture may be, each seen from its place on the line,
 * in frames: a tenth of a frame to both sides, and what the line itself is off. 3:2 pulldown (a
 * fifth) is within, a picture that is missing or doubled is not. */
#define STEADY_SPREAD 0.25

/* Whether `n` rising times, at least 2, stand on a line to within STEADY_SPREAD and the rounding of
 * a tick. Then *ret_step is the line's slope in ticks, by least squares; else untouched. */
int times_are_steady(const int64_t *t, size_t n, double *ret_step);

#endif
