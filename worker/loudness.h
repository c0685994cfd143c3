/* loudness.h - how loud a track is as a whole (EBU R 128, ITU-R BS.1770), and
 * what it takes to make it as loud as its renditions say.
 *
 * One constant gain for the whole track, so that nothing of its dynamics
 * changes; it ends where the true peak would exceed its limit, less 1 dB, which coding may
 * add. Measuring needs all of the sound before the first of it is encoded: the
 * source's sound is read and decoded twice.
 */
#ifndef GOPMILL_WORKER_LOUDNESS_H
#define GOPMILL_WORKER_LOUDNESS_H

#include "../common/wire/result.h"

struct err;
struct inside;

/* Measure for each rendition that is to be made and has a target, as it will
 * be mixed. *ret: one for each of t->renditions, `known` where it was
 * measured; nothing is read where none has a target. Free with free(). */
int loudness_measure(struct inside *in, const struct task *t, struct loudness **ret,
                     struct err *err);

/* The gain for a track of this loudness and peak, dB, to 0.01. 0 for silence. */
double loudness_gain(const struct rendition *r, double integrated, double true_peak);

/* 10^(dB/20) */
double loudness_factor(double db);

/* What the task's progress is, in ms of sound, after `samples` of the `pass`th
 * pass (0, 1); the only one counts alone. */
uint64_t loudness_progress(const struct task *t, int pass, int64_t samples, int rate);

/* Add a warning to `res` where the peaks kept a track from its target. 0 or
 * -ENOMEM. */
int loudness_tell(const struct rendition *r, const struct loudness *l, struct task_result *res);

#endif
