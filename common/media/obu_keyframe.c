/* Whether decoding may begin at a packet of AV1, as far as its bytes are there. */
#include "obu.h"

enum {
    OBU_SEQUENCE = 1, /* AV1, 6.2.2 */
    OBU_FRAME_HEADER = 3,
    OBU_FRAME = 6,
    OBU_LAST = 15,
    LEB_BYTES = 8,
    REDUCED = 0x08, /* reduced_still_picture_header, in a sequence header's first byte */
};

/* A unit's payload; clamped where its end isn't there. */
struct unit {
    unsigned type;
    const uint8_t *p;
    size_t n;
};

static size_t leb_read(const uint8_t **at, const uint8_t *end)
{
    uint64_t v = 0;

    for (unsigned i = 0; i < LEB_BYTES && *at < end; i++) {
        uint8_t byte = *(*at)++;
        v |= (uint64_t)(byte & 0x7f) << (7 * i);
        if (!(byte & 0x80))
            break;
    }
    return v < (uint64_t)(end - *at) ? (size_t)v : (size_t)(end - *at);
}

static int unit_next(const uint8_t **at, const uint8_t *end, struct unit *ret)
{
    if (end - *at < 2)
        return 0;
    uint8_t head = *(*at)++;
    if (head & 0x80) /* obu_forbidden_bit */
        return 0;
    if (head & 4) /* a byte of layers */
        ++*at;
    ret->type = head >> 3 & OBU_LAST;
    ret->n = head & 2 ? leb_read(at, end) : (size_t)(end - *at);
    ret->p = *at;
    *at += ret->n;
    return 1;
}

/* show_existing_frame, frame_type of two bits (0: a key frame), show_frame (5.9.2). One that isn't
 * shown at once (a forward key frame) lets in only from where it is shown on. */
static int is_shown_key(const struct unit *u)
{
    return (u->p[0] & 0xf0) == 0x10;
}

int obu_keyframe(const uint8_t *p, size_t n)
{
    const uint8_t *at = p, *end = p + n;
    struct unit u;

    while (unit_next(&at, end, &u)) {
        if (u.n == 0)
            continue;
        if (u.type == OBU_SEQUENCE && u.p[0] & REDUCED)
            return 1;
        if (u.type == OBU_FRAME || u.type == OBU_FRAME_HEADER)
            return is_shown_key(&u);
    }
    return -1;
}
