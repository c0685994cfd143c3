#include "uncoded.h"

#include "bits.h"

#include <libavutil/common.h>

enum { LAYER_FIRST = 0x20, LAYER_LAST = 0x2f, VOP = 0xb6, HEAD = 4, EXTENDED_PAR = 15 };

/* The first start code from `first` to `last`: what stands behind it; NULL: none. */
static const uint8_t *code_find(const uint8_t *p, size_t n, unsigned first, unsigned last)
{
    for (size_t i = 0; i + HEAD < n; i++)
        if (!p[i] && !p[i + 1] && p[i + 2] == 1 && p[i + 3] >= first && p[i + 3] <= last)
            return p + i + HEAD;
    return NULL;
}

static void skip_vbv(struct bits *b)
{
    (void)bits_get(b, 32);
    (void)bits_get(b, 32);
    (void)bits_get(b, 15);
}

/* Bits of vop_time_increment (6.2.3, VideoObjectLayer()); 0: not told. */
static unsigned time_bits(const uint8_t *p, size_t n)
{
    const uint8_t *at = code_find(p, n, LAYER_FIRST, LAYER_LAST);
    unsigned version = 1;
    struct bits b;

    if (!at)
        return 0;
    bits_plain(at, n - (size_t)(at - p), &b);
    (void)bits_get(&b, 9); /* random_accessible_vol, its type */
    if (bits_get(&b, 1)) {
        version = bits_get(&b, 4);
        (void)bits_get(&b, 3);
    }
    if (bits_get(&b, 4) == EXTENDED_PAR)
        (void)bits_get(&b, 16);
    if (bits_get(&b, 1)) { /* vol_control_parameters */
        (void)bits_get(&b, 3);
        if (bits_get(&b, 1))
            skip_vbv(&b);
    }
    if (bits_get(&b, 2) == 3 && version != 1) /* greyscale */
        (void)bits_get(&b, 4);
    (void)bits_get(&b, 1);
    unsigned steps = bits_get(&b, 16);
    return bits_over(&b) || steps == 0 ? 0 : steps == 1 ? 1 : (unsigned)av_log2(steps - 1) + 1;
}

int uncoded_vop(const AVCodecParameters *par, const uint8_t *p, size_t n)
{
    const uint8_t *vop = n <= UNCODED_BYTES_MAX ? code_find(p, n, VOP, VOP) : NULL;
    unsigned time = 0;
    struct bits b;

    if (!vop)
        return 0;
    time = time_bits(p, n);
    if (time == 0 && par->extradata_size > 0)
        time = time_bits(par->extradata, (size_t)par->extradata_size);
    if (time == 0 || code_find(vop, n - (size_t)(vop - p), VOP, VOP))
        return 0;
    bits_plain(vop, n - (size_t)(vop - p), &b);
    (void)bits_get(&b, 2);
    while (bits_get(&b, 1) && !bits_over(&b)) /* modulo_time_base */
        ;
    (void)bits_get(&b, 1);
    (void)bits_get(&b, time);
    (void)bits_get(&b, 1);
    return !bits_get(&b, 1) && !bits_over(&b);
}

void uncoded_extend(struct media_index *idx)
{
    struct index_packet *last = NULL;
    int64_t end = INT64_MIN;

    for (size_t i = 0; i < idx->n; i++) {
        struct index_packet *p = &idx->packets[i];
        if (p->pts == INT64_MIN)
            continue;
        if (p->flags & PACKET_AGAIN)
            end = FFMAX(end, av_sat_add64(p->pts, p->duration));
        else if (!(p->flags & PACKET_HIDDEN) && (!last || p->pts > last->pts))
            last = p;
    }
    if (last && end > av_sat_add64(last->pts, last->duration))
        last->duration = av_sat_sub64(end, last->pts);
}
