#include "bits.h"

#include <limits.h>

void bits_plain(const uint8_t *p, size_t n, struct bits *ret)
{
    *ret = (struct bits){ .n = n < sizeof(ret->buf) ? n : sizeof(ret->buf) };
    for (size_t i = 0; i < ret->n; i++)
        ret->buf[i] = p[i];
}

void bits_unescaped(const uint8_t *p, size_t n, struct bits *ret)
{
    unsigned zeros = 0;

    *ret = (struct bits){ .n = 0 };
    for (size_t i = 0; i < n && ret->n < sizeof(ret->buf); i++) {
        if (zeros >= 2 && p[i] == 3) {
            zeros = 0;
            continue;
        }
        zeros = p[i] ? 0 : zeros + 1;
        ret->buf[ret->n++] = p[i];
    }
}

unsigned bits_get(struct bits *b, unsigned count)
{
    unsigned v = 0;

    for (; count > 0; count--, b->at++)
        v = v << 1 | (b->at / 8 < b->n ? b->buf[b->at / 8] >> (7 - b->at % 8) & 1u : 0);
    return v;
}

unsigned bits_golomb(struct bits *b)
{
    unsigned zeros = 0;

    while (b->at / 8 < b->n && !bits_get(b, 1))
        zeros++;
    return zeros < 32 ? (1u << zeros) - 1 + bits_get(b, zeros) : UINT_MAX;
}
