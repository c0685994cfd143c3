#include "nals.h"

#include <string.h>

struct nals nals_of(const AVCodecParameters *par, const uint8_t *p, size_t n)
{
    int hevc = par->codec_id == AV_CODEC_ID_HEVC, at = hevc ? 21 : 4;
    const uint8_t *x = par->extradata;
    struct nals s = { p, n, 0 };

    if (par->extradata_size > at + 1 && (x[0] == 1 || (hevc && (x[0] || x[1] || x[2] > 1))))
        s.length_size = (x[at] & 3u) + 1;
    return s;
}

/* Zero, zero, one, with a byte behind it: by its rarest byte. */
static const uint8_t *nals_start_code(const uint8_t *p, size_t n)
{
    for (size_t at = 2; at + 1 < n; at++) {
        const uint8_t *one = memchr(p + at, 1, n - 1 - at);
        if (!one)
            return NULL;
        if (!one[-1] && !one[-2])
            return one - 2;
        at = (size_t)(one - p);
    }
    return NULL;
}

int nals_next(struct nals *s, const uint8_t **ret, size_t *ret_n)
{
    size_t skip, len = 0;

    if (s->length_size == 0) {
        const uint8_t *at = nals_start_code(s->p, s->n);
        if (!at)
            return 0;
        skip = (size_t)(at - s->p) + 3;
        const uint8_t *end = nals_start_code(s->p + skip, s->n - skip);
        len = end ? (size_t)(end - s->p) - skip : s->n - skip;
    } else {
        skip = s->length_size;
        if (s->n <= skip)
            return 0;
        for (size_t i = 0; i < skip; i++)
            len = len << 8 | s->p[i];
        len = len < s->n - skip ? len : s->n - skip;
    }
    *ret = s->p + skip;
    *ret_n = len;
    s->p += skip + len;
    s->n -= skip + len;
    return 1;
}
