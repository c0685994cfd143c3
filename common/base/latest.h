/* latest.h - in a list by rising times, what is shown at one. */
#ifndef GOPMILL_BASE_LATEST_H
#define GOPMILL_BASE_LATEST_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* The number of the last of `n` elements of `size` bytes, each of which begins with its time
 * (int64_t), that begins no later than `time`; 0 where all do, or there is none. */
static inline size_t latest_at(const void *list, size_t n, size_t size, int64_t time)
{
    size_t a = 0, b = n;

    while (a < b) {
        size_t mid = a + (b - a) / 2;
        int64_t at;
        memcpy(&at, (const char *)list + mid * size, sizeof(at));
        if (at <= time)
            a = mid + 1;
        else
            b = mid;
    }
    return a > 0 ? a - 1 : 0;
}

#endif
