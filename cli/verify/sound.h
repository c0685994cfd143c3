/* sound.h - short windows of a sound track as mono at 8 kHz, and how far one
 * is shifted against another.
 */
#ifndef GOPMILL_VERIFY_SOUND_H
#define GOPMILL_VERIFY_SOUND_H

#include <stddef.h>

struct AVFrame;
struct SwrContext;

enum { SOUND_RATE = 8000 };

struct sound_window {
    double start_s; /* of px[0], on the timeline */
    float *px;
    size_t n;
    size_t filled; /* samples that were there */
};

struct sound { /* fills windows from frames in order */
    struct SwrContext *swr;
    int rate, format, channels;   /* of the frames so far */
    int least, most;              /* samples of a frame, of those that aren't the first */
    double next_s;                /* when the next frame is due; 0 where nothing was heard yet */
    struct sound_window *windows; /* borrowed */
    size_t n_windows;
};

/* Put the samples of `f`, which is heard at `at_s`, where they belong. Times
 * that merely jitter around a continuous track are smoothed: containers round
 * them to ms, phones stamp by the clock. 0 or negative. */
int sound_add(struct sound *s, const struct AVFrame *f, double at_s);
void sound_release(struct sound *s);

double sound_level(const float *px, size_t n); /* root of the mean square */

/* The shift of `b` against `a` in samples of SOUND_RATE, where b has `reach`
 * more samples on either side: a[i] is b[reach + i + shift]. *ret_match: the
 * normalised correlation there, 0 to 1. A tone matches at many shifts: of
 * those that match alike the nearest to none. 0 or -ENOMEM. */
int sound_shift(const float *a, size_t n, const float *b, size_t reach, long *ret_shift,
                double *ret_match);

#endif
