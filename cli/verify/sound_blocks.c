#include "sound_blocks.h"

#include <math.h>
#include <stdlib.h>

#include "sound.h"

enum {
    SHORT = SOUND_RATE / 100,     /* of silence */
    BLOCK = SOUND_RATE * 3 / 200, /* less than a frame of AAC at 48 kHz */
    NEAR = SOUND_RATE / 125       /* so near it may be a tone's next period */
};
#define REST   12.0 /* what encoders leave in a hole of 20 ms is fainter than it was by that */
#define UNLIKE 0.5  /* its own place … */
#define LIKE   0.85 /* … and another one */

static double likeness_at(const float *a, double level, const float *b)
{
    double sum = 0, other = sound_level(b, BLOCK);
    for (size_t i = 0; i < BLOCK; i++)
        sum += (double)a[i] * b[i];
    return other > 0 ? sum / (BLOCK * level * other) : 0;
}

/* Whether the block is like what lies `from` to `to` samples beside it. */
static double likeness_best(const struct block_pair *p, size_t at, double level, long from, long to,
                            long *ret_off)
{
    double best = -1;
    for (long off = from; off <= to; off++) {
        double is = likeness_at(p->out + at, level, p->src + (long)at + off);
        if (is <= best)
            continue;
        best = is;
        *ret_off = off;
    }
    return best;
}

static int block_is_elsewhere(const struct block_pair *p, size_t at, double loud, long *ret_off)
{
    long reach = (long)p->reach, off = 0, before = 0;
    double level = sound_level(p->out + at, BLOCK);
    if (level < fmax(p->quiet, loud / 4) || likeness_best(p, at, level, -1, 1, &off) > UNLIKE)
        return 0;
    double behind = likeness_best(p, at, level, NEAR, reach, &off);
    double ahead = likeness_best(p, at, level, -reach, -NEAR, &before);
    *ret_off = behind > ahead ? off : before;
    return fmax(behind, ahead) > LIKE;
}

static int block_is_silent(const struct block_pair *p, size_t at, double loud)
{
    double there = sound_level(p->src + at, SHORT);
    return there > fmax(p->quiet, loud / 8) &&
           sound_level(p->out + at, SHORT) < there * p->gain / REST;
}

enum block_fault sound_block_fault(const struct block_pair *p, size_t *ret_at, long *ret_off)
{
    double loud = sound_level(p->src, p->n);
    *ret_off = 0;
    for (*ret_at = 0; *ret_at + BLOCK <= p->n; *ret_at += SHORT / 2) {
        if (block_is_silent(p, *ret_at, loud))
            return BLOCK_SILENT;
        if (block_is_elsewhere(p, *ret_at, loud, ret_off))
            return BLOCK_ELSEWHERE;
    }
    return BLOCK_RIGHT;
}
