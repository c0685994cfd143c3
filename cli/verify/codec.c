#include "codec.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/base/err.h"
#include "cursor.h"

enum codec codec_of(const struct bmff_init *i)
{
    switch (i->entry) {
    case FOURCC('a', 'v', 'c', '1'):
    case FOURCC('a', 'v', 'c', '3'):
        return CODEC_H264;
    case FOURCC('h', 'v', 'c', '1'):
    case FOURCC('h', 'e', 'v', '1'):
        return CODEC_HEVC;
    case FOURCC('a', 'v', '0', '1'):
        return CODEC_AV1;
    case FOURCC('m', 'p', '4', 'a'):
        return CODEC_AAC;
    case FOURCC('O', 'p', 'u', 's'):
        return CODEC_OPUS;
    default:
        return CODEC_UNKNOWN;
    }
}

static int no_config(const char *what, struct err *err)
{
    return err_set(err, -EINVAL, ERR_INPUT, "its %s is missing or too short", what);
}

/* ISO/IEC 14496-15 annex E: compatibility flags in reverse bit order,
 * constraint bytes without those that are zero at the end. */
static int hevc_string(const struct bmff_init *i, char *ret, struct err *err)
{
    const uint8_t *c = i->config;
    if (i->config_type != FOURCC('h', 'v', 'c', 'C') || i->config_len < 23)
        return no_config("hvcC", err);
    uint32_t compat = 0;
    for (unsigned bit = 0; bit < 32; bit++)
        if (c[2 + bit / 8] & (0x80u >> (bit % 8)))
            compat |= 1u << bit;
    static const char *const space[] = { "", "A", "B", "C" };
    char name[5];
    int n = snprintf(ret, CODEC_STRING_MAX, "%s.%s%u.%X.%c%u", fourcc_text(i->entry, name),
                     space[c[1] >> 6], c[1] & 31u, compat, c[1] & 0x20 ? 'H' : 'L', c[12]);
    unsigned last = 6;
    while (last && !c[6 + last - 1])
        last--;
    for (unsigned k = 0; k < last; k++)
        n += snprintf(ret + n, CODEC_STRING_MAX - (size_t)n, ".%X", c[6 + k]);
    return 0;
}

static int av1_string(const struct bmff_init *i, char *ret, struct err *err)
{
    const uint8_t *c = i->config;
    if (i->config_type != FOURCC('a', 'v', '1', 'C') || i->config_len < 4 || c[0] != 0x81)
        return no_config("av1C", err);
    unsigned profile = c[1] >> 5;
    unsigned depth = c[2] & 0x40 ? (profile == 2 && c[2] & 0x20 ? 12 : 10) : 8;
    snprintf(ret, CODEC_STRING_MAX, "av01.%u.%02u%c.%02u", profile, c[1] & 31u,
             c[2] & 0x80 ? 'H' : 'M', depth);
    return 0;
}

/* The payload of the first descriptor `tag`; its length byte count varies. */
static int descriptor(struct cursor *c, uint8_t tag)
{
    if (cursor_u8(c) != tag)
        return 0;
    uint32_t len = 0;
    for (unsigned k = 0; k < 4; k++) {
        uint8_t b = cursor_u8(c);
        len = len << 7 | (b & 0x7f);
        if (!(b & 0x80))
            break;
    }
    return !c->bad && len <= cursor_left(c);
}

static unsigned bits(const uint8_t *p, size_t len, size_t *pos, unsigned n)
{
    unsigned v = 0;
    for (; n; n--, (*pos)++)
        v = v << 1 | (*pos / 8 < len ? p[*pos / 8] >> (7 - *pos % 8) & 1u : 0);
    return v;
}

int codec_aac_config(const struct bmff_init *i, unsigned *ret_aot, unsigned *ret_channels,
                     struct err *err)
{
    static const unsigned channels[16] = { 0, 1, 2, 3, 4, 5, 6, 8, 0, 0, 0, 7, 8, 0, 8 };
    if (i->config_type != FOURCC('e', 's', 'd', 's'))
        return no_config("esds", err);
    struct cursor c = cursor_of(i->config, i->config_len);
    cursor_skip(&c, 4);
    if (!descriptor(&c, 3))
        return no_config("ES descriptor", err);
    cursor_skip(&c, 2);
    uint8_t flags = cursor_u8(&c);
    cursor_skip(&c, flags & 0x80 ? 2 : 0);
    if (flags & 0x40)
        cursor_skip(&c, cursor_u8(&c));
    cursor_skip(&c, flags & 0x20 ? 2 : 0);
    if (!descriptor(&c, 4) || cursor_u8(&c) != 0x40)
        return no_config("MPEG-4 audio decoder descriptor", err);
    cursor_skip(&c, 12);
    if (!descriptor(&c, 5) || cursor_left(&c) < 2)
        return no_config("AudioSpecificConfig", err);
    size_t pos = 0, left = cursor_left(&c);
    unsigned aot = bits(c.p, left, &pos, 5);
    if (aot == 31)
        aot = 32 + bits(c.p, left, &pos, 6);
    unsigned index = bits(c.p, left, &pos, 4);
    pos += index == 15 ? 24 : 0;
    *ret_channels = channels[bits(c.p, left, &pos, 4)];
    *ret_aot = aot;
    return 0;
}

unsigned codec_channels(const struct bmff_init *i)
{
    unsigned aot, channels;
    if (codec_of(i) == CODEC_AAC)
        return codec_aac_config(i, &aot, &channels, NULL) < 0 ? 0 : channels;
    if (codec_of(i) == CODEC_OPUS && i->config_len > 1)
        return i->config[1];
    return i->channels;
}

int codec_string(const struct bmff_init *i, char ret[CODEC_STRING_MAX], struct err *err)
{
    char name[5];
    unsigned aot, channels;
    int r;
    switch (codec_of(i)) {
    case CODEC_H264:
        if (i->config_type != FOURCC('a', 'v', 'c', 'C') || i->config_len < 7)
            return no_config("avcC", err);
        snprintf(ret, CODEC_STRING_MAX, "%s.%02X%02X%02X", fourcc_text(i->entry, name),
                 i->config[1], i->config[2], i->config[3]);
        return 0;
    case CODEC_HEVC:
        return hevc_string(i, ret, err);
    case CODEC_AV1:
        return av1_string(i, ret, err);
    case CODEC_AAC:
        r = codec_aac_config(i, &aot, &channels, err);
        if (r < 0)
            return r;
        snprintf(ret, CODEC_STRING_MAX, "mp4a.40.%u", aot);
        return 0;
    case CODEC_OPUS:
        if (i->config_type != FOURCC('d', 'O', 'p', 's') || i->config_len < 11)
            return no_config("dOps", err);
        snprintf(ret, CODEC_STRING_MAX, "opus");
        return 0;
    default:
        return err_set(err, -EINVAL, ERR_INPUT, "nobody here knows sample entry %s",
                       fourcc_text(i->entry, name));
    }
}

/* ".0.110.09.16.09.0": monochrome, chroma, primaries, transfer, matrix, range. */
static int av1_suffix_matches(const struct bmff_init *i, const char *s)
{
    unsigned mono, chroma, prim, trans, matrix, range;
    int used = 0;
    if (!*s)
        return 1;
    if (sscanf(s, ".%1u.%3u.%2u.%2u.%2u.%1u%n", &mono, &chroma, &prim, &trans, &matrix, &range,
               &used) != 6 ||
        s[used])
        return 0;
    uint8_t c = i->config[2];
    if (mono != (c >> 4 & 1u) || chroma / 100 != (c >> 3 & 1u) || chroma / 10 % 10 != (c >> 2 & 1u))
        return 0;
    return !i->has_colr || ((int)prim == i->primaries && (int)trans == i->transfer &&
                            (int)matrix == i->matrix && (int)range == i->full_range);
}

int codec_string_matches(const struct bmff_init *i, const char *text)
{
    char want[CODEC_STRING_MAX];
    if (codec_string(i, want, NULL) < 0)
        return 0;
    size_t len = strlen(want);
    switch (codec_of(i)) {
    case CODEC_AV1:
        return !strncmp(text, want, len) && av1_suffix_matches(i, text + len);
    case CODEC_H264:
    case CODEC_HEVC:
    case CODEC_OPUS:
        return !strcasecmp(text, want);
    default:
        return !strcmp(text, want);
    }
}

static int nal_is_key(const struct bmff_init *i, uint8_t head)
{
    if (codec_of(i) == CODEC_H264)
        return (head & 31) == 5;
    unsigned type = head >> 1 & 63u;
    return type == 19 || type == 20;
}

/* Only slices count: parameter sets and SEI may stand anywhere. */
static int nal_is_slice(const struct bmff_init *i, uint8_t head)
{
    if (codec_of(i) == CODEC_H264)
        return (head & 31) >= 1 && (head & 31) <= 5;
    return (head >> 1 & 63u) < 32;
}

static int nals_are_key(const struct bmff_init *i, const uint8_t *data, size_t len, struct err *err)
{
    unsigned len_bytes = codec_of(i) == CODEC_H264 ? (i->config[4] & 3u) + 1
                                                   : (i->config[21] & 3u) + 1;
    struct cursor c = cursor_of(data, len);
    size_t slices = 0, keys = 0;
    while (cursor_left(&c)) {
        uint64_t n = cursor_get(&c, len_bytes);
        const uint8_t *nal = c.p;
        if (c.bad || !n || !cursor_skip(&c, (size_t)n))
            return err_set(err, -EINVAL, ERR_INPUT, "a NAL unit reaches beyond its sample");
        slices += (size_t)nal_is_slice(i, nal[0]);
        keys += (size_t)nal_is_key(i, nal[0]);
    }
    if (!slices)
        return err_set(err, -EINVAL, ERR_INPUT, "a sample without a picture");
    return keys == slices;
}

struct obu {
    unsigned type;
    const uint8_t *p; /* the payload */
    size_t n;
};

static int next_obu(struct cursor *c, struct obu *ret)
{
    uint8_t head = cursor_u8(c);
    cursor_skip(c, head & 4 ? 1 : 0);
    uint64_t n = cursor_left(c);
    if (head & 2) {
        n = 0;
        for (unsigned k = 0; k < 8; k++) {
            uint8_t b = cursor_u8(c);
            n |= (uint64_t)(b & 0x7f) << (7 * k);
            if (!(b & 0x80))
                break;
        }
    }
    *ret = (struct obu){ head >> 3 & 15u, c->p, (size_t)n };
    return !c->bad && !(head & 0x80) && n <= cursor_left(c) && cursor_skip(c, (size_t)n);
}

/* AV1-ISOBMFF, 2.3.4: a sequence header in av1C is that of the samples, too. */
static int is_sequence_of(const struct bmff_init *i, const struct obu *sample)
{
    struct cursor c = cursor_of(i->config, i->config_len);
    struct obu u;
    cursor_skip(&c, 4);
    while (cursor_left(&c) && next_obu(&c, &u))
        if (u.type == 1)
            return u.n == sample->n && memcmp(u.p, sample->p, u.n) == 0;
    return 1;
}

static int obus_are_key(const struct bmff_init *i, const uint8_t *data, size_t len, struct err *err)
{
    struct cursor c = cursor_of(data, len);
    int sequence = 0, frames = 0, key = 0;
    while (cursor_left(&c)) {
        struct obu u;
        if (!next_obu(&c, &u))
            return err_set(err, -EINVAL, ERR_INPUT, "an OBU reaches beyond its sample");
        if (u.type == 1 && !is_sequence_of(i, &u))
            return err_set(err, -EINVAL, ERR_INPUT, "a sequence header that isn't the one in av1C");
        if (u.type == 1)
            sequence = 1;
        if ((u.type == 3 || u.type == 6) && u.n) {
            /* show_existing_frame, frame_type (2 bits; 0: key), show_frame */
            if (!frames++)
                key = !(u.p[0] & 0x80) && !(u.p[0] >> 5 & 3) && u.p[0] >> 4 & 1;
        }
    }
    if (!frames)
        return err_set(err, -EINVAL, ERR_INPUT, "a sample without a picture");
    return sequence && key;
}

int codec_is_key(const struct bmff_init *i, const uint8_t *data, size_t len, struct err *err)
{
    switch (codec_of(i)) {
    case CODEC_H264:
        if (i->config_type != FOURCC('a', 'v', 'c', 'C') || i->config_len < 7)
            return no_config("avcC", err);
        return nals_are_key(i, data, len, err);
    case CODEC_HEVC:
        if (i->config_type != FOURCC('h', 'v', 'c', 'C') || i->config_len < 23)
            return no_config("hvcC", err);
        return nals_are_key(i, data, len, err);
    case CODEC_AV1:
        if (i->config_type != FOURCC('a', 'v', '1', 'C') || i->config_len < 4)
            return no_config("av1C", err);
        return obus_are_key(i, data, len, err);
    default:
        return 1;
    }
}
