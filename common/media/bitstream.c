#include "bitstream.h"

#include "../base/err.h"
#include "../wire/media_info.h"
#include "obu.h"
#include "sps.h"

#include <errno.h>
#include <libavcodec/avcodec.h>
#include <libavcodec/bsf.h>
#include <libavutil/intreadwrite.h>
#include <string.h>

enum {
    SETS_MAX = 64, /* parameter sets of a header */
    START_CODE = 4,
    /* H.264, table 7-1. */
    AVC_SLICE = 1,
    AVC_IDR = 5,
    AVC_SEI = 6,
    AVC_SPS = 7,
    AVC_PPS = 8,
    AVC_AUD = 9,
    AVC_END_SEQUENCE = 10,
    AVC_END_STREAM = 11,
    AVC_FILLER = 12,
    /* HEVC, table 7-1. */
    HEVC_SLICE_LAST = 9, /* of those that aren't random access points */
    HEVC_BLA = 16,
    HEVC_IDR = 19,
    HEVC_IDR_N_LP = 20,
    HEVC_CRA = 21,
    HEVC_VPS = 32,
    HEVC_SPS = 33,
    HEVC_PPS = 34,
    HEVC_AUD = 35,
    HEVC_FILLER = 38,
    HEVC_SEI = 39,
    HEVC_SEI_SUFFIX = 40,
};

/* One NAL unit, without what delimits it. */
struct nal {
    const uint8_t *p;
    size_t n;
};

/* What becomes of a unit. */
enum role { ROLE_SLICE, ROLE_IDR, ROLE_KEPT, ROLE_SET, ROLE_DROPPED, ROLE_REFUSED };

struct bitstream {
    enum AVCodecID codec;
    unsigned length_size; /* bytes before each unit; 0: start codes */
    uint8_t *header;      /* Annex B, padded as libavcodec wants it */
    size_t n_header;
    struct nal sets[SETS_MAX]; /* of the header as it was; into `own` */
    size_t n_sets;
    uint8_t *own;
    struct obu_header sequence; /* AV1: as it was; `header` is what is told */
};

static int refuse(struct err *err, const char *fmt, unsigned v)
{
    return err_set(err, -EINVAL, ERR_INPUT, fmt, v);
}

static int no_memory(struct err *err)
{
    return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory for a bitstream");
}

/* ---- units ---- */

static unsigned nal_type(const struct bitstream *b, const struct nal *u)
{
    return b->codec == AV_CODEC_ID_H264 ? u->p[0] & 31u : u->p[0] >> 1 & 63u;
}

static enum role avc_role(unsigned type)
{
    switch (type) {
    case AVC_SLICE:
        return ROLE_SLICE;
    case AVC_IDR:
        return ROLE_IDR;
    case AVC_SEI:
        return ROLE_KEPT;
    case AVC_SPS:
    case AVC_PPS:
        return ROLE_SET;
    /* What comes after the end of a sequence is an IDR picture anyway. */
    case AVC_END_SEQUENCE:
    case AVC_END_STREAM:
    case AVC_AUD:
    case AVC_FILLER:
        return ROLE_DROPPED;
    default:
        return ROLE_REFUSED; /* partitions, auxiliary pictures, other views and layers */
    }
}

static enum role hevc_role(unsigned type)
{
    if (type == HEVC_IDR || type == HEVC_IDR_N_LP)
        return ROLE_IDR;
    if (type <= HEVC_SLICE_LAST || (type >= HEVC_BLA && type <= HEVC_CRA))
        return ROLE_SLICE;
    if (type == HEVC_VPS || type == HEVC_SPS || type == HEVC_PPS)
        return ROLE_SET;
    if (type == HEVC_AUD || type == HEVC_FILLER)
        return ROLE_DROPPED;
    return type == HEVC_SEI || type == HEVC_SEI_SUFFIX ? ROLE_KEPT : ROLE_REFUSED;
}

/* Closed captions (ATSC A/53 part 4, 6.2.3: ITU-T T.35 of the ATSC, then "GA94" and cc_data),
 * while playlists say that there are none. A message of another kind in the same unit goes with
 * them: what decoding needs stands in units of other types. */
static int is_captions(const struct nal *u)
{
    static const uint8_t mark[] = { 0xb5, 0x00, 0x31, 'G', 'A', '9', '4', 0x03 };

    return memmem(u->p, u->n, mark, sizeof(mark)) != NULL;
}

static enum role sei_role(enum role r, const struct nal *u)
{
    return r == ROLE_KEPT && is_captions(u) ? ROLE_DROPPED : r;
}

static enum role role_of(const struct bitstream *b, const struct nal *u)
{
    if (b->codec == AV_CODEC_ID_H264)
        return sei_role(avc_role(nal_type(b, u)), u);
    if (u->n < 2 || (u->p[0] & 1) || u->p[1] >> 3) /* another layer: a second eye, say */
        return ROLE_REFUSED;
    return sei_role(hevc_role(nal_type(b, u)), u);
}

/* Where 00 00 01 begins in p..end, or end. */
static const uint8_t *start_code(const uint8_t *p, const uint8_t *end)
{
    while (end - p >= 3) {
        const uint8_t *one = memchr(p + 2, 1, (size_t)(end - p) - 2);
        if (!one)
            return end;
        if (!one[-1] && !one[-2])
            return one - 2;
        p = one - 1;
    }
    return end;
}

static int next_by_start_code(const uint8_t **at, const uint8_t *end, struct nal *ret)
{
    const uint8_t *p = start_code(*at, end);

    for (const uint8_t *q = *at; q < p; q++)
        if (*q)
            return -EINVAL;
    *at = end;
    if (p == end)
        return 0;
    p += 3;
    *at = start_code(p, end);
    const uint8_t *stop = *at;
    while (stop > p && !stop[-1])
        stop--;
    *ret = (struct nal){ p, (size_t)(stop - p) };
    return ret->n > 0 ? 1 : -EINVAL;
}

static int next_by_length(const uint8_t **at, const uint8_t *end, unsigned length_size,
                          struct nal *ret)
{
    uint64_t n = 0;

    if (*at == end)
        return 0;
    if ((size_t)(end - *at) <= length_size)
        return -EINVAL;
    for (unsigned i = 0; i < length_size; i++)
        n = n << 8 | (*at)[i];
    *at += length_size;
    if (n == 0 || n > (size_t)(end - *at))
        return -EINVAL;
    *ret = (struct nal){ *at, (size_t)n };
    *at += n;
    return 1;
}

/* The next unit of a packet: 1, or 0 at its end, or -EINVAL for what is none. */
static int next_nal(const struct bitstream *b, const uint8_t **at, const uint8_t *end,
                    struct nal *ret)
{
    int r = b->length_size ? next_by_length(at, end, b->length_size, ret)
                           : next_by_start_code(at, end, ret);

    return r > 0 && ret->p[0] & 0x80 ? -EINVAL : r; /* forbidden_zero_bit */
}

/* ---- the header ---- */

static int is_known(const struct bitstream *b, const struct nal *u)
{
    for (size_t i = 0; i < b->n_sets; i++)
        if (b->sets[i].n == u->n && memcmp(b->sets[i].p, u->p, u->n) == 0)
            return 1;
    return 0;
}

static int add_set(struct bitstream *b, struct nal u)
{
    if (u.n > 0 && is_known(b, &u)) /* told twice */
        return 0;
    if (b->n_sets == SETS_MAX || u.n == 0 || role_of(b, &u) != ROLE_SET)
        return -EINVAL;
    b->sets[b->n_sets++] = u;
    return 0;
}

/* `count` units with 16 bits of length each. */
static int add_list(struct bitstream *b, const uint8_t **at, const uint8_t *end, unsigned count,
                    int wanted)
{
    for (unsigned i = 0; i < count; i++) {
        if (end - *at < 2 || end - *at - 2 < (ptrdiff_t)AV_RB16(*at))
            return -EINVAL;
        struct nal u = { *at + 2, AV_RB16(*at) };
        *at += 2 + u.n;
        if (wanted && add_set(b, u) < 0)
            return -EINVAL;
    }
    return 0;
}

/* AVCDecoderConfigurationRecord, ISO/IEC 14496-15, 5.3.3.1. */
static int read_avcc(struct bitstream *b, const uint8_t *p, const uint8_t *end)
{
    const uint8_t *at = p + 6;

    b->length_size = (p[4] & 3u) + 1;
    if (add_list(b, &at, end, p[5] & 31u, 1) < 0 || at == end)
        return -EINVAL;
    unsigned n = *at++;
    return add_list(b, &at, end, n, 1);
}

/* HEVCDecoderConfigurationRecord, 8.3.3.1. SEI messages in it are left out. */
static int read_hvcc(struct bitstream *b, const uint8_t *p, const uint8_t *end)
{
    const uint8_t *at = p + 23;

    b->length_size = (p[21] & 3u) + 1;
    for (unsigned i = 0; i < p[22]; i++) {
        if (end - at < 3)
            return -EINVAL;
        unsigned type = at[0] & 63u, count = AV_RB16(at + 1);
        at += 3;
        if (add_list(b, &at, end, count, hevc_role(type) == ROLE_SET) < 0)
            return -EINVAL;
    }
    return 0;
}

static int read_annexb(struct bitstream *b, const uint8_t *p, const uint8_t *end)
{
    struct nal u;
    int r;

    while ((r = next_nal(b, &p, end, &u)) > 0)
        if (role_of(b, &u) == ROLE_SET && add_set(b, u) < 0)
            return -EINVAL;
    return r;
}

static int read_header(struct bitstream *b, const uint8_t *p, size_t n)
{
    const uint8_t *end = p + n;

    if (n < 7)
        return -EINVAL;
    if (b->codec == AV_CODEC_ID_H264 && p[0] == 1)
        return read_avcc(b, p, end);
    if (b->codec == AV_CODEC_ID_HEVC && n >= 23 && AV_RB24(p) > 1)
        return read_hvcc(b, p, end);
    return read_annexb(b, p, end);
}

static size_t count_sets(const struct bitstream *b, unsigned type)
{
    size_t n = 0;

    for (size_t i = 0; i < b->n_sets; i++)
        n += nal_type(b, &b->sets[i]) == type;
    return n;
}

static int check_sets(const struct bitstream *b, struct err *err)
{
    int avc = b->codec == AV_CODEC_ID_H264;
    size_t sps = count_sets(b, avc ? AVC_SPS : HEVC_SPS);

    if (sps > 1)
        return refuse(err, "the source has %u sequence parameter sets", (unsigned)sps);
    if (sps == 0 || count_sets(b, avc ? AVC_PPS : HEVC_PPS) == 0 ||
        (!avc && count_sets(b, HEVC_VPS) != 1))
        return err_set(err, -EINVAL, ERR_INPUT, "the source's header lacks parameter sets");
    return 0;
}

static size_t put(uint8_t *to, const struct nal *u)
{
    AV_WB32(to, 1);
    memcpy(to + START_CODE, u->p, u->n);
    return START_CODE + u->n;
}

static int write_header(struct bitstream *b)
{
    size_t n = 0;

    for (size_t i = 0; i < b->n_sets; i++)
        n += START_CODE + b->sets[i].n;
    b->header = calloc(1, n + AV_INPUT_BUFFER_PADDING_SIZE);
    if (!b->header)
        return -ENOMEM;
    for (size_t i = 0; i < b->n_sets; i++)
        b->n_header += put(b->header + b->n_header, &b->sets[i]);
    return 0;
}

/* In place of the one that there is, if any. */
static int set_header(struct bitstream *b, const uint8_t *p, size_t n, struct err *err)
{
    uint8_t *header = calloc(1, n + AV_INPUT_BUFFER_PADDING_SIZE);

    if (!header)
        return no_memory(err);
    memcpy(header, p, n);
    free(b->header);
    b->header = header;
    b->n_header = n;
    return 0;
}

static int read_nal_header(struct bitstream *b, const AVCodecParameters *par, struct err *err)
{
    size_t n = (size_t)par->extradata_size;

    b->own = malloc(n);
    if (!b->own)
        return no_memory(err);
    memcpy(b->own, par->extradata, n);
    if (read_header(b, b->own, n) < 0)
        return err_set(err, -EINVAL, ERR_INPUT, "the source's header can't be read");
    int r = check_sets(b, err);
    return r == 0 && write_header(b) < 0 ? no_memory(err) : r;
}

static int read_obu_header(struct bitstream *b, const AVCodecParameters *par, struct err *err)
{
    int r = obu_header_read(par->extradata, (size_t)par->extradata_size, &b->sequence, err);
    const char *why = r == 0 ? obu_obstacle(&b->sequence) : NULL;

    if (why)
        r = err_set(err, -EINVAL, ERR_INPUT, "%s", why);
    return r == 0 ? set_header(b, b->sequence.p, b->sequence.n, err) : r;
}

int bitstream_new(const AVCodecParameters *par, struct bitstream **ret, struct err *err)
{
    struct bitstream *b = calloc(1, sizeof(*b));
    int r;

    if (!b)
        return no_memory(err);
    b->codec = par->codec_id;
    if (b->codec != AV_CODEC_ID_H264 && b->codec != AV_CODEC_ID_HEVC && b->codec != AV_CODEC_ID_AV1)
        r = err_set(err, -EINVAL, ERR_INPUT, "the source is %s", avcodec_get_name(b->codec));
    else if (par->extradata_size <= 0)
        r = err_set(err, -EINVAL, ERR_INPUT, "the source has no header for its packets");
    else if (b->codec == AV_CODEC_ID_AV1)
        r = read_obu_header(b, par, err);
    else
        r = read_nal_header(b, par, err);
    if (r < 0) {
        bitstream_free(b);
        return r;
    }
    *ret = b;
    return 0;
}

void bitstream_free(struct bitstream *b)
{
    if (!b)
        return;
    free(b->header);
    free(b->own);
    free(b->sequence.p);
    free(b);
}

const uint8_t *bitstream_header(const struct bitstream *b, size_t *ret_n)
{
    *ret_n = b->n_header;
    return b->header;
}

/* ---- what the header says ---- */

void bitstream_facts(const struct bitstream *b, struct bitstream_facts *ret)
{
    int avc = b->codec == AV_CODEC_ID_H264;

    *ret = (struct bitstream_facts){ 0 };
    if (b->codec == AV_CODEC_ID_AV1)
        obu_facts(&b->sequence, ret);
    for (size_t i = 0; i < b->n_sets; i++)
        if (nal_type(b, &b->sets[i]) == (avc ? AVC_SPS : HEVC_SPS))
            sps_read(b->sets[i].p, b->sets[i].n, avc, ret);
}

/* ---- tags ---- */

static int open_filter(const struct bitstream *b, const struct color_info *c, AVBSFContext **ret)
{
    const char *begin = b->codec == AV_CODEC_ID_H264
                            ? "h264_metadata=video_full_range_flag=0:colour"
                        : b->codec == AV_CODEC_ID_HEVC
                            ? "hevc_metadata=video_full_range_flag=0:colour"
                            : "av1_metadata=color_range=tv:color";
    char text[200];

    (void)snprintf(text, sizeof(text),
                   "%s_primaries=%d:transfer_characteristics=%d:matrix_coefficients=%d", begin,
                   c->primaries, c->transfer, c->matrix);
    int r = av_bsf_list_parse_str(text, ret);
    if (r < 0)
        return r;
    AVCodecParameters *par = (*ret)->par_in;
    par->codec_type = AVMEDIA_TYPE_VIDEO;
    par->codec_id = b->codec;
    par->extradata = av_mallocz(b->n_header + AV_INPUT_BUFFER_PADDING_SIZE);
    if (!par->extradata)
        return AVERROR(ENOMEM);
    memcpy(par->extradata, b->header, b->n_header);
    par->extradata_size = (int)b->n_header;
    return av_bsf_init(*ret);
}

int bitstream_tag(struct bitstream *b, const struct color_info *c, struct err *err)
{
    AVBSFContext *filter = NULL;
    int r = open_filter(b, c, &filter);
    size_t n = r < 0 ? 0 : (size_t)filter->par_out->extradata_size;

    if (n > 0)
        r = set_header(b, filter->par_out->extradata, n, err);
    else if (r == AVERROR(ENOMEM))
        r = no_memory(err);
    else
        r = err_set(err, -EINVAL, ERR_INPUT, "the source's colour tags can't be completed: %s",
                    av_err2str(r));
    av_bsf_free(&filter);
    return r;
}

/* ---- packets ---- */

/* Whether a slice is its picture's first: first_mb_in_slice is 0, that is a
 * 1 bit; first_slice_segment_in_pic_flag. */
static int begins_picture(const struct bitstream *b, const struct nal *u)
{
    size_t head = b->codec == AV_CODEC_ID_H264 ? 1 : 2;

    return u->n > head && u->p[head] & 0x80;
}

struct tally {
    unsigned slices, idr, first;
    size_t bytes; /* of what is kept, as Annex B */
};

static int count_nal(const struct bitstream *b, const struct nal *u, struct tally *t,
                     struct err *err)
{
    enum role role = role_of(b, u);

    if (role == ROLE_REFUSED)
        return refuse(err, "the source has NAL units of type %u", nal_type(b, u));
    if (role == ROLE_SET && !is_known(b, u))
        return err_set(err, -EINVAL, ERR_INPUT, "the source's parameter sets change");
    if (role == ROLE_SLICE || role == ROLE_IDR) {
        t->slices++;
        t->idr += role == ROLE_IDR;
        t->first += (unsigned)begins_picture(b, u);
    }
    if (role != ROLE_SET && role != ROLE_DROPPED)
        t->bytes += START_CODE + u->n;
    return 0;
}

static int count_all(const struct bitstream *b, const AVPacket *from, struct tally *t,
                     struct err *err)
{
    const uint8_t *at = from->data, *end = at + from->size;
    struct nal u;
    int r;

    while ((r = next_nal(b, &at, end, &u)) > 0)
        if ((r = count_nal(b, &u, t, err)) < 0)
            return r;
    if (r < 0)
        return err_set(err, r, ERR_INPUT, "the source is damaged");
    if (t->first != 1 || (t->idr > 0 && t->idr != t->slices))
        return err_set(err, -EINVAL, ERR_INPUT, "a packet of the source isn't one whole picture");
    return 0;
}

int bitstream_packet(const struct bitstream *b, const AVPacket *from, AVPacket *to, int *ret_idr,
                     struct err *err)
{
    const uint8_t *at = from->data, *end = at + from->size;
    struct tally t = { 0 };
    struct nal u;
    size_t n = 0;

    if (b->codec == AV_CODEC_ID_AV1)
        return obu_packet(&b->sequence, &(struct obu_header){ b->header, b->n_header }, from, to,
                          ret_idr, err);
    int r = count_all(b, from, &t, err);
    if (r < 0)
        return r;
    *ret_idr = t.idr > 0;
    if (!to)
        return 0;
    if (av_new_packet(to, (int)t.bytes) < 0)
        return no_memory(err);
    while (next_nal(b, &at, end, &u) > 0) {
        enum role role = role_of(b, &u);
        if (role != ROLE_SET && role != ROLE_DROPPED)
            n += put(to->data + n, &u);
    }
    return 0;
}
