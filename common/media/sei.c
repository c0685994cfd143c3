#include "sei.h"

#include <libavutil/macros.h>

struct sei sei_of(enum AVCodecID codec, const uint8_t *unit, size_t n)
{
    size_t header = codec == AV_CODEC_ID_HEVC ? 2 : 1;

    return (struct sei){ unit + FFMIN(header, n), unit + n, 0 };
}

/* -1: there are no more. */
static int next_byte(struct sei *s)
{
    if (s->p < s->end && s->zeros >= 2 && *s->p == 3) {
        s->p++;
        s->zeros = 0;
    }
    if (s->p == s->end)
        return -1;
    s->zeros = *s->p ? 0 : s->zeros + 1;
    return *s->p++;
}

/* Type and size of a message are sums of bytes, of which all but the last are 255. */
static int next_sum(struct sei *s, size_t *ret)
{
    int byte;

    *ret = 0;
    do {
        byte = next_byte(s);
        *ret += byte > 0 ? (size_t)byte : 0;
    } while (byte == 255);
    return byte >= 0;
}

int sei_next(struct sei *s, struct sei_message *ret)
{
    size_t type, size;

    if (!next_sum(s, &type) || !next_sum(s, &size))
        return 0;
    ret->type = (unsigned)type;
    ret->n = 0;
    ret->is_cut = 0;
    for (size_t i = 0; i < size && !ret->is_cut; i++) {
        int byte = next_byte(s);
        ret->is_cut = byte < 0;
        if (byte >= 0 && ret->n < sizeof(ret->body))
            ret->body[ret->n++] = (uint8_t)byte;
    }
    return 1;
}
