/* Whether a file says that it is longer than it is. */
#include "../base/err.h"
#include "../child/inside.h"
#include "index_build.h"
#include "io.h"
#include "open.h"

#include <libavutil/intreadwrite.h>
#include <string.h>

enum { HEAD_BYTES = 4096 };

/* RIFF (AVI, WAV): a size in 32 bits; ones that say 0 or all ones were never finished. */
static uint64_t riff_end(const uint8_t *p, size_t n)
{
    uint32_t size = n >= 8 && memcmp(p, "RIFF", 4) == 0 ? AV_RL32(p + 4) : 0;

    return size == UINT32_MAX || size == 0 ? 0 : (uint64_t)size + 8;
}

/* An EBML number with its length marker taken off; 0 bytes: not one. All ones: unknown. */
static size_t ebml_size(const uint8_t *p, size_t n, uint64_t *ret)
{
    size_t len = 1;

    if (n == 0 || p[0] == 0)
        return 0;
    while (!(p[0] & 0x80 >> (len - 1)))
        len++;
    if (len > n)
        return 0;
    uint64_t v = p[0] & (0xffu >> len), all = (UINT64_C(1) << 7 * len) - 1;
    for (size_t i = 1; i < len; i++)
        v = v << 8 | p[i];
    *ret = v == all ? 0 : v;
    return len;
}

/* Matroska: the header, then one Segment that holds all the rest. */
static uint64_t segment_end(const uint8_t *p, size_t n)
{
    uint64_t size = 0;
    size_t at = 4, len;

    if (n < 16 || AV_RB32(p) != 0x1a45dfa3)
        return 0;
    len = ebml_size(p + at, n - at, &size);
    at += len;
    if (len == 0 || size > n - at || n - at - size < 12)
        return 0;
    at += size;
    if (AV_RB32(p + at) != 0x18538067)
        return 0;
    len = ebml_size(p + at + 4, n - at - 4, &size);
    return len > 0 && size > 0 ? at + 4 + len + size : 0;
}

uint64_t media_missing_bytes(struct inside *in, const struct media_source *s)
{
    uint64_t file = inside_source_size(in), end;
    uint8_t head[HEAD_BYTES];
    size_t n = 0;

    if (media_is_mov(s))
        return media_io_missing(s->io);
    if (inside_read(in, 0, head, sizeof(head), &n, NULL) < 0)
        return 0;
    end = riff_end(head, n);
    if (end == 0)
        end = segment_end(head, n);
    return end > file ? end - file : 0;
}
