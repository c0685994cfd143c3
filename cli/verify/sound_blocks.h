/* sound_blocks.h - what windows of a second don't tell of a sound: that some hundredths of it are
 * missing, or are those of another place. That is what a frame of sound that was lost, or is there
 * twice, leaves where the next ones are in their places again.
 *
 * Only what is certain counts, for encoders change much: silence where the source is heard, or
 * what is like another place of the source and unlike its own.
 */
#ifndef GOPMILL_VERIFY_SOUND_BLOCKS_H
#define GOPMILL_VERIFY_SOUND_BLOCKS_H

#include <stddef.h>

enum block_fault { BLOCK_RIGHT, BLOCK_SILENT, BLOCK_ELSEWHERE };

struct block_pair { /* all of SOUND_RATE */
    const float *out;
    size_t n;
    const float
        *src; /* where `out` belongs; readable from `reach` before it to `reach` behind its end */
    size_t reach;
    double gain;  /* of `out` against `src` */
    double quiet; /* level below which nothing is said */
};

/* The first block that is wrong. *ret_at: its first sample; *ret_off: how many samples further on
 * the source has it. Pure. */
enum block_fault sound_block_fault(const struct block_pair *p, size_t *ret_at, long *ret_off);

#endif
