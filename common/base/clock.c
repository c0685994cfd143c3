#include "clock.h"

#include <time.h>

static int64_t system_mono_ns(const struct clock *c)
{
    (void)c;
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t); /* can't fail for this clock */
    return (int64_t)t.tv_sec * NS_PER_S + t.tv_nsec;
}

static int64_t system_wall_ms(const struct clock *c)
{
    (void)c;
    struct timespec t;
    (void)clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / NS_PER_MS;
}

const struct clock clock_system = {
    .mono_ns = system_mono_ns,
    .wall_ms = system_wall_ms,
};
