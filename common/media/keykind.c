/* What the first bytes of a packet say of its picture.
 *
 * An IDR picture (H.264 7.4.1.2.4) is a safe start. So is every random access
 * point of HEVC, AV1, VP9 and of MPEG-1, 2 and 4 for the frames shown after
 * it. A non-IDR intra picture of H.264 is only where its encoder kept later
 * pictures from referring past it, which the bytes don't tell; nor do they for
 * a recovery point, unless it says that all is exact at once (D.2.8: what is shown from it on needs
 * nothing decoded before it).
 */
#include "bits.h"
#include "index_build.h"
#include "nals.h"
#include "obu.h"
#include "sei.h"

#include <string.h>

/* ---- NAL units ---- */

enum { SEI_RECOVERY_POINT = 6 };

/* Whether a unit has a recovery point, which is left in `m`. */
static int recovery_point(enum AVCodecID codec, const uint8_t *unit, size_t n,
                          struct sei_message *m)
{
    struct sei s = sei_of(codec, unit, n);

    while (sei_next(&s, m))
        if (m->type == SEI_RECOVERY_POINT)
            return 1;
    return 0;
}

enum recovery { RECOVERY_NONE, RECOVERY_SOME, RECOVERY_EXACT };

/* recovery_frame_cnt or recovery_poc_cnt of 0, then exact_match_flag (H.264 D.1.8; HEVC D.2.8:
 * se(v), of which 0 is the same bits). */
static enum recovery recovery_of(enum AVCodecID codec, const uint8_t *unit, size_t n)
{
    struct sei_message m;
    struct bits b;

    if (!recovery_point(codec, unit, n, &m))
        return RECOVERY_NONE;
    bits_plain(m.body, m.n, &b);
    return bits_get(&b, 2) == 3 ? RECOVERY_EXACT : RECOVERY_SOME;
}

/* An access unit may have several such messages. */
static enum recovery recovery_best(enum recovery before, enum AVCodecID codec, const uint8_t *unit,
                                   size_t n)
{
    enum recovery r = recovery_of(codec, unit, n);

    return r > before ? r : before;
}

/* Of a picture that isn't a random access point by itself. */
static enum keyframe_kind kind_by(enum recovery r, int intra)
{
    if (r == RECOVERY_EXACT)
        return KEYFRAME_UNSAFE;
    return r == RECOVERY_SOME || intra ? KEYFRAME_DOUBTFUL : KEYFRAME_NOT;
}

/* ---- H.264 ---- */

enum { H264_SLICE = 1, H264_PARTITION_A = 2, H264_IDR = 5, H264_SEI = 6 };

/* 7.4.3: 2 and 4 are intra, as are 7 and 9. */
static int is_intra_slice(const uint8_t *p, size_t n)
{
    struct bits b;

    bits_plain(p, n, &b);
    (void)bits_get(&b, 8); /* the unit's own byte */
    (void)bits_golomb(&b); /* the first macroblock */
    unsigned type = bits_golomb(&b);
    return !bits_over(&b) && (type == 2 || type == 4 || type == 7 || type == 9);
}

static enum keyframe_kind h264_kind(struct nals s)
{
    const uint8_t *p;
    size_t n;
    enum recovery recovers = RECOVERY_NONE;

    while (nals_next(&s, &p, &n)) {
        int type = n > 1 ? p[0] & 0x1f : 0;
        if (type == H264_IDR)
            return KEYFRAME_SAFE;
        if (type == H264_SEI)
            recovers = recovery_best(recovers, AV_CODEC_ID_H264, p, n);
        if (type == H264_SLICE || type == H264_PARTITION_A)
            return kind_by(recovers, is_intra_slice(p, n));
    }
    return KEYFRAME_UNKNOWN;
}

/* ---- HEVC ---- */

enum { HEVC_IRAP_FIRST = 16, HEVC_IRAP_LAST = 23, HEVC_VCL_LAST = 31, HEVC_SEI = 39 };

static enum keyframe_kind hevc_kind(struct nals s)
{
    const uint8_t *p;
    size_t n;
    enum recovery recovers = RECOVERY_NONE;

    while (nals_next(&s, &p, &n)) {
        int type = n > 2 ? p[0] >> 1 & 0x3f : HEVC_VCL_LAST + 1;
        if (type == HEVC_SEI)
            recovers = recovery_best(recovers, AV_CODEC_ID_HEVC, p, n);
        if (type >= HEVC_IRAP_FIRST && type <= HEVC_IRAP_LAST)
            return KEYFRAME_SAFE;
        if (type <= HEVC_VCL_LAST)
            return kind_by(recovers, 0);
    }
    return KEYFRAME_UNKNOWN;
}

/* ---- the others ---- */

/* The coding type behind the start code `code`, which lies at `at` there. */
static enum keyframe_kind mpeg_kind(const uint8_t *p, size_t n, uint8_t code, size_t at,
                                    unsigned shift, unsigned mask, unsigned intra)
{
    for (size_t i = 0; i + at < n; i++)
        if (!p[i] && !p[i + 1] && p[i + 2] == 1 && p[i + 3] == code)
            return (p[i + at] >> shift & mask) == intra ? KEYFRAME_SAFE : KEYFRAME_NOT;
    return KEYFRAME_UNKNOWN;
}

static enum keyframe_kind av1_kind(const uint8_t *p, size_t n)
{
    int key = obu_keyframe(p, n);

    return key < 0 ? KEYFRAME_UNKNOWN : key ? KEYFRAME_SAFE : KEYFRAME_NOT;
}

static enum keyframe_kind vp9_kind(const uint8_t *p, size_t n)
{
    /* Frame marker 2, profile, show_existing_frame, frame_type; profile 3 has a bit more. */
    if (n < 2 || p[0] >> 6 != 2)
        return KEYFRAME_UNKNOWN;
    unsigned more = (p[0] >> 4 & 3) == 3;
    if (p[0] >> (3 - more) & 1)
        return KEYFRAME_NOT;
    return p[0] >> (2 - more) & 1 ? KEYFRAME_NOT : KEYFRAME_SAFE;
}

enum keyframe_kind keyframe_kind(const AVCodecParameters *par, const uint8_t *p, size_t n)
{
    switch (par->codec_id) {
    case AV_CODEC_ID_H264:
        return h264_kind(nals_of(par, p, n));
    case AV_CODEC_ID_HEVC:
        return hevc_kind(nals_of(par, p, n));
    case AV_CODEC_ID_MPEG1VIDEO:
    case AV_CODEC_ID_MPEG2VIDEO: /* 10 bits of order, then the type */
        return mpeg_kind(p, n, 0x00, 5, 3, 7, 1);
    case AV_CODEC_ID_MPEG4:
        return mpeg_kind(p, n, 0xb6, 4, 6, 3, 0);
    case AV_CODEC_ID_VP8:
        return n < 4 ? KEYFRAME_UNKNOWN : p[0] & 1 ? KEYFRAME_NOT : KEYFRAME_SAFE;
    case AV_CODEC_ID_VP9:
        return vp9_kind(p, n);
    case AV_CODEC_ID_AV1:
        return av1_kind(p, n);
    default:
        return KEYFRAME_UNKNOWN;
    }
}

int keyframe_can_tell(const AVCodecParameters *par)
{
    static const enum AVCodecID known[] = { AV_CODEC_ID_H264,       AV_CODEC_ID_HEVC,
                                            AV_CODEC_ID_MPEG1VIDEO, AV_CODEC_ID_MPEG2VIDEO,
                                            AV_CODEC_ID_MPEG4,      AV_CODEC_ID_VP8,
                                            AV_CODEC_ID_VP9,        AV_CODEC_ID_AV1 };

    for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
        if (par->codec_id == known[i])
            return 1;
    return 0;
}

enum { HEVC_BLA_FIRST = 16, HEVC_BLA_LAST = 18, HEVC_CRA = 21, RECOVERY_MAX = 65535 };

static int hevc_is_open(struct nals s)
{
    const uint8_t *p;
    size_t n;

    while (nals_next(&s, &p, &n)) {
        int type = n > 0 ? p[0] >> 1 & 0x3f : HEVC_VCL_LAST + 1;
        if (type <= HEVC_VCL_LAST)
            return (type >= HEVC_BLA_FIRST && type <= HEVC_BLA_LAST) || type == HEVC_CRA;
    }
    return 0;
}

/* 25 bits of time, then closed_gop (ISO/IEC 13818-2, 6.2.2.6). Without such a header a GOP is
 * an open one. */
static int mpeg_is_open(const uint8_t *p, size_t n)
{
    for (size_t i = 0; i + 7 < n; i++)
        if (!p[i] && !p[i + 1] && p[i + 2] == 1 && p[i + 3] == 0xb8)
            return !(p[i + 7] & 0x40);
    return 1;
}

int keyframe_is_open(const AVCodecParameters *par, const uint8_t *p, size_t n)
{
    switch (par->codec_id) {
    case AV_CODEC_ID_HEVC:
        return hevc_is_open(nals_of(par, p, n));
    case AV_CODEC_ID_MPEG1VIDEO:
    case AV_CODEC_ID_MPEG2VIDEO:
        return mpeg_is_open(p, n);
    default:
        return 0;
    }
}

unsigned keyframe_recovery(const AVCodecParameters *par, const uint8_t *p, size_t n)
{
    struct nals s = nals_of(par, p, n);
    const uint8_t *unit;
    struct sei_message m;
    size_t size;

    if (par->codec_id != AV_CODEC_ID_H264)
        return 0;
    while (nals_next(&s, &unit, &size)) {
        int type = size > 1 ? unit[0] & 0x1f : 0;
        if (type == H264_SLICE || type == H264_PARTITION_A || type == H264_IDR)
            return 0;
        if (type != H264_SEI || !recovery_point(par->codec_id, unit, size, &m))
            continue;
        struct bits b;
        bits_plain(m.body, m.n, &b);
        unsigned count = bits_golomb(&b);
        return !bits_over(&b) && count <= RECOVERY_MAX ? count : 0;
    }
    return 0;
}
