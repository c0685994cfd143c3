/* sound.h - decoded sound as one continuous line of samples.
 *
 * Sample 0 is the timeline's 0. Where the source has a hole, silence fills
 * it; where it overlaps itself, what was there first stays; where timestamps
 * merely jitter, samples go on as they come; where they drift away from the
 * samples, these are stretched or squeezed by a quarter of a percent until they
 * don't. So the sound of second 3600 stands at second 3600, and there is no joint
 * anywhere.
 *
 * Fewer channels than the source's are mixed as ITU-R BS.775 says: the centre
 * and what is behind 3 dB below, without low-frequency effects. That may add
 * up to more than full scale, so what would exceed the ceiling is turned down
 * (limiter.h). Two channels make one by their mean. What isn't mixed is never
 * limited.
 */
#ifndef GOPMILL_WORKER_SOUND_H
#define GOPMILL_WORKER_SOUND_H

#include "../common/wire/rendition.h"

#include <libavutil/frame.h>

struct err;
struct sound;

/* Takes `n` samples of planar or packed data in the output's format. */
typedef int (*sound_emit)(void *arg, uint8_t **data, int n, struct err *err);

/* To `rate`, `layout` and `fmt` (AVSampleFormat). */
struct sound_format {
    int rate, fmt;
    AVChannelLayout layout;
};

/* `to->fmt` is of float samples. */
struct sound *sound_new(const struct sound_format *to, sound_emit emit, void *arg);

/* Before the first frame: multiply by `gain` (1 unless told), and limit mixes to `ceiling`
 * (-2 dB of full scale unless told; 0: not at all). */
void sound_set_level(struct sound *s, double gain, double ceiling);
/* Before the first frame: places are to the sample, and what lies between frames is meant to be
 * silence. */
void sound_set_exact(struct sound *s);
void sound_free(struct sound *s);

/* A decoded frame whose first sample stands at `seconds` on the timeline
 * (rational: num/den seconds). Borrowed. */
int sound_push(struct sound *s, const AVFrame *f, int64_t num, int64_t den, struct err *err);

/* Whether anything was pushed. */
int sound_is_empty(const struct sound *s);
/* Of a sound that is: nothing was to be heard, all of it is silence. */
int sound_be_silent(struct sound *s, struct err *err);

/* Fill with silence up to `seconds` (num/den), then let out all. */
int sound_finish(struct sound *s, int64_t num, int64_t den, struct err *err);

/* What was done to the line, seconds. Silence before the first sound and after
 * the last is not counted, nor is that behind the first frame. */
struct sound_mended {
    double silence_s; /* put into holes */
    double dropped_s; /* left out */
    double bent_s;    /* gained and lost by stretching and squeezing */
};

/* The sound's own. */
const struct sound_mended *sound_mended(const struct sound *s);

#endif
