#include "shown.h"

#include "nals.h"
#include "uncoded.h"

enum { VP8_SHOW_FRAME = 0x10 };

static int vp9_frame_shows(const uint8_t *p, size_t n)
{
    if (n == 0 || p[0] >> 6 != 2)
        return 1;
    unsigned more = (p[0] >> 4 & 3) == 3; /* profile 3 has a bit more */
    if (p[0] >> (3 - more) & 1)           /* show_existing_frame */
        return 1;
    if (more && n < 2)
        return 1;
    return p[0] >> (1 - more) & 1;
}

/* Annex B: the last byte is a marker where there are several frames, and stands before their
 * sizes, too. */
static int vp9_shows(const uint8_t *p, size_t n)
{
    unsigned marker = p[n - 1], frames = (marker & 7) + 1, bytes = (marker >> 3 & 3) + 1;
    size_t index = 2 + (size_t)frames * bytes, at = 0;

    if ((marker & 0xe0) != 0xc0 || n < index || p[n - index] != marker)
        return vp9_frame_shows(p, n);
    const uint8_t *sizes = p + n - index + 1;
    for (unsigned i = 0; i < frames; i++) {
        size_t size = 0;
        for (unsigned b = 0; b < bytes; b++)
            size |= (size_t)sizes[i * bytes + b] << (8 * b);
        if (size > n - index - at)
            return 1;
        if (size > 0 && vp9_frame_shows(p + at, size))
            return 1;
        at += size;
    }
    return 0;
}

static int has_slice(const AVCodecParameters *par, const uint8_t *p, size_t n)
{
    struct nals s = nals_of(par, p, n);
    const uint8_t *unit;
    int units = 0;
    size_t size;

    while (nals_next(&s, &unit, &size)) {
        if (size == 0)
            continue;
        if (nals_is_slice(par->codec_id, nals_type(par->codec_id, unit, size)))
            return 1;
        units++;
    }
    return units == 0; /* no units at all: who knows what this is */
}

int packet_shows_nothing(const AVCodecParameters *par, const uint8_t *p, size_t n)
{
    if (n == 0)
        return 0;
    switch (par->codec_id) {
    case AV_CODEC_ID_VP8:
        return !(p[0] & VP8_SHOW_FRAME);
    case AV_CODEC_ID_VP9:
        return !vp9_shows(p, n);
    case AV_CODEC_ID_H264:
    case AV_CODEC_ID_HEVC:
        return !has_slice(par, p, n);
    case AV_CODEC_ID_MPEG4:
        return uncoded_vop(par, p, n);
    default:
        return 0;
    }
}

static int begins_with_code(const uint8_t *p, size_t n)
{
    size_t zeroes = 0;

    while (zeroes < n && !p[zeroes])
        zeroes++;
    return zeroes >= 2 && zeroes < n && p[zeroes] == 1;
}

/* first_mb_in_slice, first_slice_segment_in_pic_flag: the first bit is 1 where the
 * slice is the picture's first (H.264 7.3.3: ue(v) of 0; HEVC 7.3.6.1). */
static int first_slice_begins(const AVCodecParameters *par, struct nals s)
{
    size_t head = par->codec_id == AV_CODEC_ID_HEVC ? 2 : 1, size;
    const uint8_t *unit;

    while (nals_next(&s, &unit, &size)) {
        if (size <= head)
            continue;
        if (nals_is_slice(par->codec_id, nals_type(par->codec_id, unit, size)))
            return unit[head] >> 7;
    }
    return 0;
}

/* What stands behind the first start code; 0 where there is none. */
static unsigned first_code(const uint8_t *p, size_t n)
{
    size_t at = 0;

    while (at < n && p[at] != 1)
        at++;
    return at + 1 < n ? p[at + 1] : 0;
}

/* ISO/IEC 13818-2, table 6-1: slices are 01 to af. */
static int mpeg2_begins(unsigned code)
{
    return code == 0 || code > 0xaf;
}

/* SMPTE 421M, annex E.5: a slice, a second field. */
static int vc1_begins(unsigned code)
{
    return code != 0x0b && code != 0x0c;
}

int picture_is_whole(const AVCodecParameters *par, const uint8_t *p, size_t n)
{
    switch (par->codec_id) {
    case AV_CODEC_ID_H264:
    case AV_CODEC_ID_HEVC: {
        struct nals s = nals_of(par, p, n);
        return s.length_size > 0 || (begins_with_code(p, n) && first_slice_begins(par, s));
    }
    case AV_CODEC_ID_MPEG1VIDEO:
    case AV_CODEC_ID_MPEG2VIDEO:
        return begins_with_code(p, n) && mpeg2_begins(first_code(p, n));
    case AV_CODEC_ID_VC1:
        return begins_with_code(p, n) && vc1_begins(first_code(p, n));
    case AV_CODEC_ID_MPEG4:
        return begins_with_code(p, n);
    default:
        return 1;
    }
}
