/* bitrate.h - how fast a list of segments must be fetched, measured.
 *
 * Exact integer arithmetic; results are rounded up to whole bit/s, except
 * averages, which go to the nearest. Spans are in order and touch each
 * other; every span has a positive duration.
 */
#ifndef GOPMILL_PUBLISH_BITRATE_H
#define GOPMILL_PUBLISH_BITRATE_H

#include <stddef.h>
#include <stdint.h>

struct span {
    int64_t start, end; /* ticks */
    uint64_t size_bytes;
};

/* RFC 8216bis, 4.1, "average segment bit rate": all bits over all time. */
int64_t bitrate_average(const struct span *s, size_t n, uint32_t timescale);

/* RFC 8216bis, 4.1, "peak segment bit rate": the largest bit rate of any
 * contiguous set of segments whose duration is between 0.5 and 1.5 target
 * durations; so a short last segment doesn't count alone. Where no set is
 * that long: the largest of a single segment. */
int64_t bitrate_peak(const struct span *s, size_t n, uint32_t timescale, unsigned target_s);

/* ISO/IEC 23009-1, 5.3.5.2, @bandwidth: the slowest constant channel over
 * which a client that starts at any segment, and plays `buffer_ms` after its
 * first bit, never waits. Each segment is needed whole when its first frame
 * is shown. */
int64_t bitrate_sustained(const struct span *s, size_t n, uint32_t timescale, int64_t buffer_ms);

/* Ticks as microseconds, to the nearest. Differences of these, rather than
 * rounded durations, add up without drift. */
int64_t ticks_to_us(int64_t ticks, uint32_t timescale);

/* The longest span in seconds, rounded to nearest as EXTINF is, at least 1. */
unsigned span_target_s(const struct span *s, size_t n, uint32_t timescale);

#endif
