#include "sps.h"

#include "bitstream.h"

/* Bits of a unit's payload, without the bytes that keep start codes out of it
 * (H.264, 7.4.1). Past its end they are 0. */
struct bits {
    uint8_t buf[256];
    size_t n, at; /* at: in bits */
};

static void bits_of(const uint8_t *p, size_t n, struct bits *ret)
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

static unsigned get(struct bits *b, unsigned count)
{
    unsigned v = 0;

    for (; count > 0; count--, b->at++)
        v = v << 1 | (b->at / 8 < b->n ? b->buf[b->at / 8] >> (7 - b->at % 8) & 1u : 0);
    return v;
}

/* ue(v), 9.1 */
static unsigned get_golomb(struct bits *b)
{
    unsigned zeros = 0;

    while (zeros < 31 && b->at / 8 < b->n && !get(b, 1))
        zeros++;
    return (1u << zeros) - 1 + get(b, zeros);
}

static int get_signed(struct bits *b)
{
    unsigned v = get_golomb(b);

    return v & 1 ? (int)((v + 1) / 2) : -(int)(v / 2);
}

/* 7.3.2.1.1.1: only to get past it. */
static void skip_scaling_list(struct bits *b, int size)
{
    int last = 8, next = 8;

    for (int i = 0; i < size; i++) {
        if (next)
            next = (last + get_signed(b) + 256) % 256;
        last = next ? next : last;
    }
}

/* What profiles from High on have between the id and the frame numbers. */
static void skip_high(struct bits *b)
{
    unsigned chroma = get_golomb(b);

    if (chroma == 3)
        (void)get(b, 1);
    (void)get_golomb(b); /* bit depths */
    (void)get_golomb(b);
    (void)get(b, 1);
    if (!get(b, 1))
        return;
    for (int i = 0; i < (chroma == 3 ? 12 : 8); i++)
        if (get(b, 1))
            skip_scaling_list(b, i < 6 ? 16 : 64);
}

static void skip_picture_order(struct bits *b)
{
    unsigned type = get_golomb(b);

    if (type == 0)
        (void)get_golomb(b);
    if (type != 1)
        return;
    (void)get(b, 1);
    (void)get_signed(b);
    (void)get_signed(b);
    for (unsigned n = get_golomb(b); n > 0 && b->at / 8 < b->n; n--)
        (void)get_signed(b);
}

/* H.264, 7.3.2.1.1, up to frame_mbs_only_flag. */
static void read_avc_sps(struct bits *b, struct bitstream_facts *f)
{
    (void)get(b, 8);
    f->profile = (int)get(b, 8);
    unsigned constraints = get(b, 8);
    f->constrained = (constraints & 0x40) != 0;
    f->level = (int)get(b, 8);
    (void)get_golomb(b);
    if (f->profile >= 100 || f->profile == 44)
        skip_high(b);
    (void)get_golomb(b); /* log2_max_frame_num */
    skip_picture_order(b);
    (void)get_golomb(b); /* reference frames */
    (void)get(b, 1);
    (void)get_golomb(b); /* width, height */
    (void)get_golomb(b);
    f->interlaced = !get(b, 1);
}

/* HEVC, 7.3.2.2.1 and 7.3.3: the general part. */
static void read_hevc_sps(struct bits *b, struct bitstream_facts *f)
{
    (void)get(b, 16 + 8);
    (void)get(b, 2);
    f->high_tier = (int)get(b, 1);
    f->profile = (int)get(b, 5);
    (void)get(b, 32);
    (void)get(b, 1); /* progressive_source_flag */
    f->interlaced = (int)get(b, 1);
    (void)get(b, 46);
    f->level = (int)get(b, 8);
}

void sps_read(const uint8_t *p, size_t n, int avc, struct bitstream_facts *ret)
{
    struct bits b;

    bits_of(p, n, &b);
    if (avc)
        read_avc_sps(&b, ret);
    else
        read_hevc_sps(&b, ret);
}
