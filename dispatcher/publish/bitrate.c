#include "bitrate.h"

__extension__ typedef __int128 wide;

static wide bits(uint64_t size_bytes)
{
    return (wide)size_bytes * 8;
}

static int64_t clamp(wide v)
{
    return v > INT64_MAX ? INT64_MAX : (int64_t)v;
}

static int64_t rate_up(wide n_bits, wide ticks, uint32_t timescale)
{
    return clamp((n_bits * timescale + ticks - 1) / ticks);
}

int64_t ticks_to_us(int64_t ticks, uint32_t timescale)
{
    wide twice = (wide)ticks * 2000000;
    wide n = twice + timescale, d = (wide)timescale * 2;
    wide q = n / d;
    return (int64_t)(n % d < 0 ? q - 1 : q);
}

unsigned span_target_s(const struct span *s, size_t n, uint32_t timescale)
{
    int64_t longest = 1;
    for (size_t i = 0; i < n; i++) {
        int64_t us = ticks_to_us(s[i].end, timescale) - ticks_to_us(s[i].start, timescale);
        int64_t sec = (us + 500000) / 1000000;
        if (sec > longest)
            longest = sec;
    }
    return (unsigned)longest;
}

int64_t bitrate_average(const struct span *s, size_t n, uint32_t timescale)
{
    wide sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += bits(s[i].size_bytes);
    if (n == 0)
        return 0;
    wide ticks = (wide)s[n - 1].end - s[0].start;
    return clamp((sum * timescale + ticks / 2) / ticks);
}

int64_t bitrate_peak(const struct span *s, size_t n, uint32_t timescale, unsigned target_s)
{
    wide target2 = (wide)target_s * timescale; /* a set's ticks, doubled, are compared to it */
    int64_t peak = 0, single = 0;

    for (size_t i = 0; i < n; i++) {
        wide sum = 0;
        for (size_t j = i; j < n; j++) {
            wide ticks = (wide)s[j].end - s[i].start;
            sum += bits(s[j].size_bytes);
            int64_t rate = rate_up(sum, ticks, timescale);
            if (j == i && rate > single)
                single = rate;
            if (ticks * 2 > target2 * 3)
                break;
            if (ticks * 2 >= target2 && rate > peak)
                peak = rate;
        }
    }
    return peak ? peak : single;
}

/* Whether a channel of `rate` bit/s is fast enough. With S_k the bits before
 * span k and t_k its start, no i <= j may have
 * S_{j+1} - S_i > rate * (buffer + t_j - t_i); one pass with the least
 * S_i - rate * t_i so far decides, where everything is scaled by 1000 times
 * the timescale to stay in integers. */
static int fast_enough(const struct span *s, size_t n, uint32_t timescale, int64_t buffer_ms,
                       int64_t rate)
{
    wide unit = (wide)timescale * 1000, buffer = (wide)buffer_ms * timescale;
    wide sum = 0, least = 0;

    for (size_t i = 0; i < n; i++) {
        wide t = ((wide)s[i].start - s[0].start) * 1000;
        wide lead = sum * unit - t * rate;
        if (i == 0 || lead < least)
            least = lead;
        sum += bits(s[i].size_bytes);
        if (sum * unit - (t + buffer) * rate > least)
            return 0;
    }
    return 1;
}

int64_t bitrate_sustained(const struct span *s, size_t n, uint32_t timescale, int64_t buffer_ms)
{
    int64_t low = 0, high = INT64_C(1) << 50; /* a petabit is enough for any segment */

    while (high - low > 1) {
        int64_t mid = low + (high - low) / 2;
        if (fast_enough(s, n, timescale, buffer_ms, mid))
            high = mid;
        else
            low = mid;
    }
    return high;
}
