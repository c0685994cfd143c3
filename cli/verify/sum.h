/* sum.h - a checksum over a decoded picture: equal pictures, equal sums. */
#ifndef GOPMILL_VERIFY_SUM_H
#define GOPMILL_VERIFY_SUM_H

#include <stdint.h>

struct AVFrame;

struct sum {
    uint8_t v[16];
};

/* Over format, size and every visible sample; not over tags and times.
 * -EINVAL for a picture that doesn't lie in memory; -ENOMEM. */
int sum_make(const struct AVFrame *f, struct sum *ret);

#endif
