#include "copy.h"

#include "../base/err.h"
#include "../child/inside.h"
#include "arrivals.h"
#include "index_build.h"
#include "open.h"

#include <errno.h>
#include <libavutil/pixdesc.h>
#include <string.h>

struct look {
    const struct media_info *info;
    struct media_index *idx;
    struct copy_facts *facts;
    struct media_source src;
    AVStream *st;
    struct bitstream *bits;
    AVPacket *pkt;
    size_t at; /* number of the next packet */
    int described;
};

static int obstacle(struct look *l, const char *why)
{
    if (!l->facts->obstacle[0])
        (void)snprintf(l->facts->obstacle, sizeof(l->facts->obstacle), "%.*s", COPY_WHY_MAX - 1,
                       why);
    return 0;
}

/* What isn't fit is told as an obstacle; what failed stays a failure. */
static int weigh(struct look *l, int r, const struct err *e, struct err *err)
{
    if (r >= 0)
        return 0;
    if (e->cls == ERR_INPUT || e->cls == ERR_UNSUPPORTED)
        return obstacle(l, e->text);
    return err_set(err, r, e->cls, "%s", e->text);
}

/* ---- the first picture ---- */

/* The decoder is to hear of no tag but the bitstream's own. */
static void forget_tags(AVCodecParameters *par)
{
    par->color_primaries = AVCOL_PRI_UNSPECIFIED;
    par->color_trc = AVCOL_TRC_UNSPECIFIED;
    par->color_space = AVCOL_SPC_UNSPECIFIED;
    par->color_range = AVCOL_RANGE_UNSPECIFIED;
    par->chroma_location = AVCHROMA_LOC_UNSPECIFIED;
    par->sample_aspect_ratio = (AVRational){ 0, 1 };
}

static void take_picture(struct look *l, const AVFrame *f)
{
    const AVPixFmtDescriptor *d = av_pix_fmt_desc_get(f->format);
    struct copy_facts *to = l->facts;

    to->width = f->width;
    to->height = f->height;
    to->sar = f->sample_aspect_ratio;
    to->color = (struct color_info){ f->color_primaries, f->color_trc, f->colorspace,
                                     f->color_range, f->chroma_location };
    (void)snprintf(to->pix_fmt, sizeof(to->pix_fmt), "%s", d ? d->name : "");
    if (f->interlaced_frame)
        (void)obstacle(l, "the source is interlaced");
    if (av_frame_get_side_data(f, AV_FRAME_DATA_MASTERING_DISPLAY_METADATA) ||
        av_frame_get_side_data(f, AV_FRAME_DATA_CONTENT_LIGHT_LEVEL))
        (void)obstacle(l, "the source has metadata of HDR");
}

static int decode_one(AVCodecContext *dec, const AVPacket *pkt, AVFrame *f)
{
    int r = avcodec_send_packet(dec, pkt);

    if (r >= 0)
        r = avcodec_send_packet(dec, NULL);
    return r < 0 ? r : avcodec_receive_frame(dec, f);
}

static int describe(struct look *l, struct err *err)
{
    AVCodecContext *dec = NULL;
    AVFrame *f = av_frame_alloc();
    struct err e = { 0 };
    int r = f ? media_decoder(&l->src, l->st->index, &dec, &e) : -ENOMEM;

    if (r < 0) {
        r = f ? weigh(l, r, &e, err) : r;
    } else {
        r = decode_one(dec, l->pkt, f);
        if (r >= 0 && !f->decode_error_flags && !(f->flags & AV_FRAME_FLAG_CORRUPT))
            take_picture(l, f);
        else if (r != AVERROR(ENOMEM))
            (void)obstacle(l, "the source's first IDR picture can't be decoded");
        r = r == AVERROR(ENOMEM) ? -ENOMEM : 0;
    }
    avcodec_free_context(&dec);
    av_frame_free(&f);
    l->described = 1;
    return r == -ENOMEM ? err_set(err, r, ERR_RESOURCE, "out of memory for a decoder") : r;
}

/* ---- all packets ---- */

static int has_side_data(const AVPacket *p, enum AVPacketSideDataType type)
{
    return av_packet_get_side_data(p, type, NULL) != NULL;
}

static void mark(struct look *l, struct index_packet *p, int idr)
{
    if (!(p->flags & PACKET_KEY))
        return;
    if (idr)
        p->flags |= PACKET_IDR;
    if (l->st->codecpar->codec_id == AV_CODEC_ID_H264)
        p->flags |= PACKET_SEEN | (idr ? 0u : (unsigned)PACKET_UNSAFE);
    if (!idr &&
        keyframe_kind(l->st->codecpar, l->pkt->data, (size_t)l->pkt->size) == KEYFRAME_DOUBTFUL)
        p->flags |= PACKET_DOUBT;
}

static int look_at(struct look *l, struct err *err)
{
    struct index_packet *p = &l->idx->packets[l->at];
    struct err e = { 0 };
    int idr = 0;

    if (l->at++ >= l->idx->n || p->size != (uint32_t)l->pkt->size)
        return obstacle(l, "the source's packets aren't those of its index");
    if (l->pkt->flags & AV_PKT_FLAG_CORRUPT)
        return obstacle(l, "the source is damaged");
    if (has_side_data(l->pkt, AV_PKT_DATA_NEW_EXTRADATA))
        return obstacle(l, "the source's parameter sets change");
    int r = weigh(l, bitstream_packet(l->bits, l->pkt, NULL, &idr, &e), &e, err);
    if (r < 0 || l->facts->obstacle[0])
        return r;
    mark(l, p, idr);
    return idr && !l->described ? describe(l, err) : 0;
}

static int look_at_all(struct look *l, struct err *err)
{
    int r = 0;

    while (r == 0 && !l->facts->obstacle[0] && (r = media_read(&l->src, l->pkt, err)) == 0) {
        if (l->pkt->stream_index == l->st->index)
            r = look_at(l, err);
        av_packet_unref(l->pkt);
    }
    if (r < 0 && r != AVERROR_EOF)
        return r;
    if (l->at != l->idx->n)
        return obstacle(l, "the source's packets aren't those of its index");
    return l->described ? 0 : obstacle(l, "the source has no IDR picture");
}

static int open_all(struct look *l, struct inside *in, struct err *err)
{
    int stream = l->info->video.stream;
    struct err e = { 0 };
    int r = media_open_stream(in, l->info, stream, &l->src, err);

    if (r < 0)
        return r;
    /* Of what is moved or joined, packets differ from the index: no copy is made of it. */
    l->src.n_splices = l->src.n_joins = 0;
    l->st = l->src.fmt->streams[stream];
    r = weigh(l, bitstream_new(l->st->codecpar, &l->bits, &e), &e, err);
    if (r < 0 || !l->bits)
        return r;
    bitstream_facts(l->bits, &l->facts->stream);
    forget_tags(l->st->codecpar);
    l->pkt = av_packet_alloc();
    return l->pkt ? 0 : err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory for a packet");
}

/* A copy's header is tagged; that must be possible. */
static int try_tags(struct look *l, struct err *err)
{
    const struct color_info any = { AVCOL_PRI_BT709, AVCOL_TRC_BT709, AVCOL_SPC_BT709,
                                    AVCOL_RANGE_MPEG, AVCHROMA_LOC_LEFT };
    struct err e = { 0 };

    if (l->facts->obstacle[0])
        return 0;
    return weigh(l, bitstream_tag(l->bits, &any, &e), &e, err);
}

int media_copy_look(struct inside *in, const struct media_info *info, struct media_index *idx,
                    struct copy_facts *ret, struct err *err)
{
    struct look l = { .info = info, .idx = idx, .facts = ret };

    *ret = (struct copy_facts){ 0 };
    int r = open_all(&l, in, err);
    if (r == 0 && l.bits)
        r = look_at_all(&l, err);
    if (r == 0 && l.bits)
        r = try_tags(&l, err);
    av_packet_free(&l.pkt);
    bitstream_free(l.bits);
    media_close(&l.src);
    return r;
}
