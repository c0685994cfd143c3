#include "sps.h"

#include "bits.h"
#include "bitstream.h"

static int get_signed(struct bits *b)
{
    unsigned v = bits_golomb(b);

    return v & 1 ? (int)((v + 1) / 2) : -(int)(v / 2);
}

/* 7.3.2.1.1.1: only to get past it. A delta is from -128 to 127 in a right stream;
 * unsigned, since it is anything in a wrong one. */
static void skip_scaling_list(struct bits *b, int size)
{
    unsigned last = 8, next = 8;

    for (int i = 0; i < size; i++) {
        if (next)
            next = (last + (unsigned)get_signed(b)) % 256;
        last = next ? next : last;
    }
}

/* What profiles from High on have between the id and the frame numbers. */
static void skip_high(struct bits *b)
{
    unsigned chroma = bits_golomb(b);

    if (chroma == 3)
        (void)bits_get(b, 1);
    (void)bits_golomb(b); /* bit depths */
    (void)bits_golomb(b);
    (void)bits_get(b, 1);
    if (!bits_get(b, 1))
        return;
    for (int i = 0; i < (chroma == 3 ? 12 : 8); i++)
        if (bits_get(b, 1))
            skip_scaling_list(b, i < 6 ? 16 : 64);
}

static void skip_picture_order(struct bits *b)
{
    unsigned type = bits_golomb(b);

    if (type == 0)
        (void)bits_golomb(b);
    if (type != 1)
        return;
    (void)bits_get(b, 1);
    (void)get_signed(b);
    (void)get_signed(b);
    for (unsigned n = bits_golomb(b); n > 0 && b->at / 8 < b->n; n--)
        (void)get_signed(b);
}

/* H.264, 7.3.2.1.1, up to frame_mbs_only_flag. */
static void read_avc_sps(struct bits *b, struct bitstream_facts *f)
{
    (void)bits_get(b, 8);
    f->profile = (int)bits_get(b, 8);
    unsigned constraints = bits_get(b, 8);
    f->constrained = (constraints & 0x40) != 0;
    f->level = (int)bits_get(b, 8);
    (void)bits_golomb(b);
    if (f->profile >= 100 || f->profile == 44)
        skip_high(b);
    (void)bits_golomb(b); /* log2_max_frame_num */
    skip_picture_order(b);
    (void)bits_golomb(b); /* reference frames */
    (void)bits_get(b, 1);
    (void)bits_golomb(b); /* width, height */
    (void)bits_golomb(b);
    f->interlaced = !bits_get(b, 1);
}

/* HEVC, 7.3.2.2.1 and 7.3.3: the general part. */
static void read_hevc_sps(struct bits *b, struct bitstream_facts *f)
{
    (void)bits_get(b, 16 + 8);
    (void)bits_get(b, 2);
    f->high_tier = (int)bits_get(b, 1);
    f->profile = (int)bits_get(b, 5);
    (void)bits_get(b, 32);
    (void)bits_get(b, 1); /* progressive_source_flag */
    f->interlaced = (int)bits_get(b, 1);
    (void)bits_get(b, 46);
    f->level = (int)bits_get(b, 8);
}

void sps_read(const uint8_t *p, size_t n, int avc, struct bitstream_facts *ret)
{
    struct bits b;

    bits_unescaped(p, n, &b);
    if (avc)
        read_avc_sps(&b, ret);
    else
        read_hevc_sps(&b, ret);
}
