#include "cc_data.h"

#include "nals.h"
#include "obu.h"
#include "sei.h"

#include <libavutil/common.h>
#include <libavutil/intreadwrite.h>
#include <string.h>

enum {
    H264_SEI = 6,
    HEVC_SEI = 39,
    HEVC_SEI_SUFFIX = 40,
    SEI_T35 = 4, /* user_data_registered_itu_t_t35 (H.264 D.1.6, HEVC D.2.6) */
    /* ISO/IEC 13818-2, table 6-1. */
    MPEG2_USER_DATA = 0xb2,
    MPEG2_SLICE_FIRST = 0x01,
    MPEG2_SLICE_LAST = 0xaf,
    T35_HEAD = 8,
    CDP_HEAD = 7,
    CDP_CC_DATA = 0x72,
};

static const uint8_t t35_head[T35_HEAD] = { 0xb5, 0x00, 0x31, 'G', 'A', '9', '4', 3 };

/* ---- where they are ---- */

static void cc_add(struct cc_data *d, const uint8_t triplet[3])
{
    if (d->n < CC_TRIPLETS_MAX)
        memcpy(d->v[d->n++], triplet, 3);
}

/* cc_data() of A/53 part 4, table 6.10, as far as it is there. */
static void cc_data_read(const uint8_t *p, size_t n, struct cc_data *ret)
{
    enum { PROCESS = 0x40, COUNT = 0x1f, HEAD = 2 };

    if (n < HEAD || !(p[0] & PROCESS))
        return;
    for (size_t i = 0; i < (p[0] & COUNT) && HEAD + 3 * i + 3 <= n; i++)
        cc_add(ret, p + HEAD + 3 * i);
}

int cc_is_t35(const uint8_t *p, size_t n)
{
    return n >= T35_HEAD && memcmp(p, t35_head, T35_HEAD) == 0;
}

static void t35_read(const uint8_t *p, size_t n, struct cc_data *ret)
{
    if (cc_is_t35(p, n))
        cc_data_read(p + T35_HEAD, n - T35_HEAD, ret);
}

static void sei_read(const AVCodecParameters *par, const uint8_t *unit, size_t n,
                     struct cc_data *ret)
{
    struct sei s = sei_of(par->codec_id, unit, n);
    struct sei_message m;

    if (!memmem(unit, n, t35_head + 3, T35_HEAD - 3)) /* which nothing is put between */
        return;
    while (sei_next(&s, &m))
        if (m.type == SEI_T35)
            t35_read(m.body, m.n, ret);
}

static void nals_read(const AVCodecParameters *par, const uint8_t *p, size_t n, struct cc_data *ret)
{
    struct nals s = nals_of(par, p, n);
    const uint8_t *unit;
    size_t size;

    while (nals_next(&s, &unit, &size)) {
        int type = nals_type(par->codec_id, unit, size);
        int is_sei = par->codec_id == AV_CODEC_ID_HEVC ? type == HEVC_SEI || type == HEVC_SEI_SUFFIX
                                                       : type == H264_SEI;
        if (is_sei)
            sei_read(par, unit, size, ret);
    }
}

static void obus_read(const uint8_t *p, size_t n, struct cc_data *ret)
{
    const uint8_t *at = p, *t35;
    size_t size;

    while (obu_next_t35(&at, p + n, &t35, &size))
        t35_read(t35, size, ret);
}

/* Of DVDs: "CC", 1, the size of a block, which field is first, then for each frame a
 * block of both fields, led by fe or ff. Which of both that is isn't right on all discs; the
 * order is. */
static void dvd_read(const uint8_t *p, size_t n, struct cc_data *ret)
{
    enum { HEAD = 5, BLOCK = 3 };
    unsigned field = p[4] & 0x80 ? 0 : 1;

    for (size_t at = HEAD; at + BLOCK <= n && (p[at] & 0xfe) == 0xfe; at += BLOCK) {
        const uint8_t triplet[3] = { (uint8_t)(0xfc | field), p[at + 1], p[at + 2] };
        cc_add(ret, triplet);
        field ^= 1;
    }
    ret->spread = 1;
}

static void user_data_read(const uint8_t *p, size_t n, struct cc_data *ret)
{
    static const uint8_t dvd_head[] = { 'C', 'C', 1, 0xf8 };

    if (n > 5 && memcmp(p, t35_head + 3, 5) == 0)
        cc_data_read(p + 5, n - 5, ret);
    else if (n > 5 && memcmp(p, dvd_head, sizeof(dvd_head)) == 0)
        dvd_read(p, n, ret);
}

/* Codes of MPEG-2 as units of H.264: the same start codes. */
static void mpeg2_read(const uint8_t *p, size_t n, struct cc_data *ret)
{
    struct nals s = { p, n, 0 };
    const uint8_t *unit;
    size_t size;

    while (nals_next(&s, &unit, &size))
        if (size > 1 && unit[0] == MPEG2_USER_DATA)
            user_data_read(unit + 1, size - 1, ret);
}

void cc_data_of(const AVCodecParameters *par, const uint8_t *p, size_t n, struct cc_data *ret)
{
    ret->n = 0;
    ret->spread = 0;
    switch (par->codec_id) {
    case AV_CODEC_ID_H264:
    case AV_CODEC_ID_HEVC:
        nals_read(par, p, n, ret);
        break;
    case AV_CODEC_ID_AV1:
        obus_read(p, n, ret);
        break;
    case AV_CODEC_ID_MPEG1VIDEO:
    case AV_CODEC_ID_MPEG2VIDEO:
        mpeg2_read(p, n, ret);
        break;
    default:
        break;
    }
}

/* ---- caption tracks ---- */

/* cdp_header() has the length, and which sections there are: a time code of 5 bytes may come
 * first (ST 334-2, 5). */
static void cdp_read(const uint8_t *p, size_t n, struct cc_data *ret)
{
    enum { TIME_CODE = 0x71, TIME_CODE_BYTES = 5, COUNT = 0x1f };
    size_t at = CDP_HEAD;

    if (n < CDP_HEAD || AV_RB16(p) != 0x9669)
        return;
    if (at < n && p[at] == TIME_CODE)
        at += TIME_CODE_BYTES;
    if (at + 2 > n || p[at] != CDP_CC_DATA)
        return;
    size_t count = p[at + 1] & COUNT;
    for (at += 2; count > 0 && at + 3 <= n; count--, at += 3)
        cc_add(ret, p + at);
}

static void ccdp_read(const uint8_t *p, size_t n, struct cc_data *ret)
{
    enum { BOX = 8 };

    while (n >= BOX) {
        size_t size = AV_RB32(p);
        if (size < BOX || size > n)
            return;
        if (memcmp(p + 4, "ccdp", 4) == 0)
            cdp_read(p + BOX, size - BOX, ret);
        p += size;
        n -= size;
    }
}

void cc_data_of_sample(int is_708, const uint8_t *p, size_t n, struct cc_data *ret)
{
    ret->n = 0;
    ret->spread = 0;
    if (is_708)
        ccdp_read(p, n, ret);
    for (; !is_708 && n >= 3; p += 3, n -= 3)
        cc_add(ret, p);
}

/* ---- whose they are ---- */

enum { VALID = 4, KIND = 3, MISC = 0x14, MISC_SECOND = 0x15, CHANNEL = 8 };

/* The two bytes without parity, as cc_dec takes them: a pair whose second byte is damaged is none,
 * a first byte that is damaged is a block. 0: nothing of CEA-608. */
static int cc_pair(const uint8_t triplet[3], uint8_t *ret_a, uint8_t *ret_b)
{
    if (!(triplet[0] & VALID) || (triplet[0] & KIND) > 1 || !(av_popcount(triplet[2]) & 1))
        return 0;
    *ret_a = av_popcount(triplet[1]) & 1 ? triplet[1] & 0x7f : 0x7f;
    *ret_b = triplet[2] & 0x7f;
    return *ret_a != 0 || *ret_b != 0;
}

static uint8_t with_parity(uint8_t v)
{
    return av_popcount(v) & 1 ? v : v | 0x80;
}

static int is_code(uint8_t a)
{
    return a >= 0x10 && a <= 0x1f;
}

/* CEA-608-E, table 51, of the first channel. RCL, RU2 to RU4, RDC and EOC are of captions, TR and
 * RTD of text; EDM and ENM are about captions in any mode. Whether captions have it. */
static int mode_follow(int *text, uint8_t lo)
{
    switch (lo) {
    case 0x20:
    case 0x25:
    case 0x26:
    case 0x27:
    case 0x29:
    case 0x2f:
        *text = 0;
        return 1;
    case 0x2a:
    case 0x2b:
        *text = 1;
        return 0;
    case 0x2c:
    case 0x2e:
        return 1;
    default:
        return !*text;
    }
}

/* 0: it isn't for captions. */
static int code_follow(struct cc_field *f, uint8_t *a, uint8_t b)
{
    f->known = 1;
    f->other = 0;
    f->channel = (*a & CHANNEL) != 0;
    *a &= (uint8_t)~CHANNEL;
    if (*a == MISC_SECOND && b >= 0x20 && b <= 0x2f)
        *a = MISC;
    if (*a == MISC && b >= 0x20 && b <= 0x2f)
        return mode_follow(&f->text[f->channel], b);
    return !f->text[f->channel];
}

static int is_second_sending(struct cc_field *f, uint8_t a, uint8_t b)
{
    int is = is_code(a) && f->last[0] == a && f->last[1] == b;

    f->last[0] = is || !is_code(a) ? 0 : a;
    f->last[1] = b;
    return is;
}

int cc_channel_of(struct cc_channels *c, const uint8_t triplet[3], uint8_t ret[3])
{
    int second = triplet[0] & 1;
    struct cc_field *f = &c->fields[second];
    uint8_t a, b;

    if (!cc_pair(triplet, &a, &b))
        return -1;
    if (is_second_sending(f, a, b))
        return -1;
    if (a < 0x10) { /* XDS begins, goes on, or ends: captions go on with a code */
        f->other = 1;
        return -1;
    }
    if (is_code(a) ? !code_follow(f, &a, b) : !f->known || f->other || f->text[f->channel])
        return -1;
    ret[0] = 0xfc;
    ret[1] = with_parity(a);
    ret[2] = with_parity(b);
    return 2 * second + f->channel;
}

int cc_is_letter(const uint8_t triplet[3])
{
    int a = triplet[1] & 0x7f, b = triplet[2] & 0x7f;

    return a >= 0x20 || (a == 0x11 && b >= 0x30 && b < 0x40) ||
           ((a == 0x12 || a == 0x13) && b >= 0x20 && b < 0x40);
}

int cc_channel_named(const uint8_t triplet[3])
{
    uint8_t a, b;

    if (!cc_pair(triplet, &a, &b) || !is_code(a))
        return -1;
    return 2 * (triplet[0] & 1) + ((a & CHANNEL) != 0);
}

int cc_is_708(const uint8_t triplet[3])
{
    return triplet[0] & VALID && (triplet[0] & KIND) > 1 && (triplet[1] || triplet[2]);
}
