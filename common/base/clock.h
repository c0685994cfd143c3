/* clock.h - what time it is, in the two ways that matter.
 *
 * Deadlines and durations are CLOCK_MONOTONIC in ns; what people read is
 * CLOCK_REALTIME in ms since 1970. Code that decides by time takes a
 * `const struct clock *` so that tests own the time.
 */
#ifndef GOPMILL_BASE_CLOCK_H
#define GOPMILL_BASE_CLOCK_H

#include <stdint.h>

struct clock {
    int64_t (*mono_ns)(const struct clock *c);
    int64_t (*wall_ms)(const struct clock *c);
};

extern const struct clock clock_system;

enum { NS_PER_MS = 1000000 };
#define NS_PER_S INT64_C(1000000000)

#endif
