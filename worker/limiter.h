/* limiter.h - keeps samples below a ceiling without clipping them: what would
 * exceed it is turned down, smoothly, from 5 ms before. Sound that stays
 * below passes as it is, bit for bit.
 *
 * Works in place on float samples, planar or packed, and holds back
 * limiter_delay() of them until they are flushed. All channels are turned
 * down alike, so that nothing moves in the picture of sound.
 */
#ifndef GOPMILL_WORKER_LIMITER_H
#define GOPMILL_WORKER_LIMITER_H

#include <stdint.h>

struct limiter;

/* `ceiling`: the largest sample, above 0. NULL: out of memory. */
struct limiter *limiter_new(int channels, int planar, int rate, double ceiling);
void limiter_free(struct limiter *l); /* NULL is a no-op */

/* How many samples are held back at most. */
int limiter_delay(const struct limiter *l);

/* Take `n` samples from `data` and put into it what comes out. Where `active`
 * is 0 they are let through as they are. Returns how many came out. */
int limiter_run(struct limiter *l, uint8_t **data, int n, int active);

/* Put what is held back into `data`, which has room for limiter_delay().
 * Returns how many. */
int limiter_flush(struct limiter *l, uint8_t **data);

#endif
