/* sound.h - a sound track as mono at 8 kHz, whole, and how far one stretch of
 * it is shifted against another.
 *
 * Decoded frames are added in the order they come; their samples lie end to end
 * in a spill. Once all are there, sound_settle() decides when each frame is heard:
 * stamps that jitter around a continuous track, by up to whole frames that the next
 * ones take back, are jitter; what lasts is a hole or an overlap.
 */
#ifndef GOPMILL_VERIFY_SOUND_H
#define GOPMILL_VERIFY_SOUND_H

#include <stddef.h>
#include <stdint.h>

struct AVFrame;
struct SwrContext;
struct spill;

enum { SOUND_RATE = 8000 };

struct sound_frame {
    double at_s;  /* what its stamp says, then when it is heard; NAN: it has no stamp */
    double first; /* its first sample in the spill, in samples of SOUND_RATE: between two of them */
    double seconds; /* that it is heard for */
    double rate;    /* that it is played at; 1 but for edits */
    int damaged;
    float loose; /* by how much it and what follows are off their stamps; seconds */
};

struct sound { /* {0} is an empty one */
    struct SwrContext *swr;
    int rate, format, channels; /* of the frames so far */
    double added;               /* samples of SOUND_RATE that were put in since it was opened … */
    uint64_t before;            /* … at which length of the spill */
    struct spill *samples;      /* int16 */
    struct sound_frame *frames;
    size_t n, room;
};

/* `at_s` is its stamp (NAN: none); `damaged`: what it holds needn't be right.
 * 0, -ENOMEM, or what the spill says. */
int sound_add(struct sound *s, const struct AVFrame *f, double at_s, int damaged);
/* No more frames. */
int sound_settle(struct sound *s);
void sound_release(struct sound *s);

/* When it begins and ends; NAN where there is none. Of a settled one. */
double sound_start(const struct sound *s);
double sound_end(const struct sound *s);

/* `n` samples from `from_s` on; where nothing is heard they are 0. */
int sound_read(const struct sound *s, double from_s, float *px, size_t n);
/* Whether any frame of these times is damaged. */
int sound_damaged(const struct sound *s, double from_s, double to_s);
/* Whether it has a hole, or two frames at once, at any of these times. */
int sound_is_joined(const struct sound *s, double from_s, double to_s);
/* The most by which stamps of these times are off where they were put, for long. */
double sound_loose(const struct sound *s, double from_s, double to_s);

double sound_level(const float *px, size_t n); /* root of the mean square */

/* The shift of `b` against `a` in samples of SOUND_RATE, where b has `reach`
 * more samples on either side: a[i] is b[reach + i + shift]. *ret_match: the
 * normalised correlation there, 0 to 1. A tone matches at many shifts: of
 * those that match alike the nearest to none. 0 or -ENOMEM. */
int sound_shift(const float *a, size_t n, const float *b, size_t reach, long *ret_shift,
                double *ret_match);

#endif
