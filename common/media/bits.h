/* bits.h - the first bits of a header, one field after the other. Internal to
 * common/media.
 */
#ifndef GOPMILL_MEDIA_BITS_H
#define GOPMILL_MEDIA_BITS_H

#include <stddef.h>
#include <stdint.h>

/* What lies beyond the 256 bytes, and past the end, reads as 0. */
struct bits {
    uint8_t buf[256];
    size_t n, at; /* at: in bits */
};

/* `p` is copied from. */
void bits_plain(const uint8_t *p, size_t n, struct bits *ret);

/* Without the bytes that keep start codes out of a NAL unit's payload (H.264, 7.4.1). */
void bits_unescaped(const uint8_t *p, size_t n, struct bits *ret);

/* u(count), f(count); count at most 32. */
unsigned bits_get(struct bits *b, unsigned count);

/* ue(v) of H.264, 9.1; uvlc() of AV1, 4.10.3: UINT_MAX where it is longer than 32 bits. */
unsigned bits_golomb(struct bits *b);

/* Whether more was read than there is. */
static inline int bits_over(const struct bits *b)
{
    return b->at > 8 * b->n;
}

#endif
