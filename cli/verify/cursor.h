/* cursor.h - big-endian reading that can't run over: past the end every
 * read gives 0 and `bad` is set. */
#ifndef GOPMILL_VERIFY_CURSOR_H
#define GOPMILL_VERIFY_CURSOR_H

#include <stddef.h>
#include <stdint.h>

struct cursor {
    const uint8_t *p, *end;
    int bad;
};

static inline struct cursor cursor_of(const uint8_t *p, size_t len)
{
    return (struct cursor){ .p = p, .end = p + len };
}

static inline size_t cursor_left(const struct cursor *c)
{
    return (size_t)(c->end - c->p);
}

static inline int cursor_skip(struct cursor *c, size_t n)
{
    if (cursor_left(c) < n) {
        c->bad = 1;
        c->p = c->end;
        return 0;
    }
    c->p += n;
    return 1;
}

static inline uint64_t cursor_get(struct cursor *c, unsigned bytes)
{
    const uint8_t *p = c->p;
    if (!cursor_skip(c, bytes))
        return 0;
    uint64_t v = 0;
    for (unsigned i = 0; i < bytes; i++)
        v = v << 8 | p[i];
    return v;
}

static inline uint8_t cursor_u8(struct cursor *c)
{
    return (uint8_t)cursor_get(c, 1);
}

static inline uint16_t cursor_u16(struct cursor *c)
{
    return (uint16_t)cursor_get(c, 2);
}

static inline uint32_t cursor_u32(struct cursor *c)
{
    return (uint32_t)cursor_get(c, 4);
}

static inline uint64_t cursor_u64(struct cursor *c)
{
    return cursor_get(c, 8);
}

#endif
