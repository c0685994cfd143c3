#include "hdr.h"

#include "../base/err.h"
#include "open.h"

#include <errno.h>
#include <libavutil/mastering_display_metadata.h>

enum {
    FIRST_PACKETS = 256, /* of all streams: the first picture is among them */
    /* 0.0001 cd/m2: what ST 2086 has displays reach; some phones write it in whole cd/m2 */
    DISPLAY_LEAST = 50000,
    DISPLAY_MOST = 100000000,
};

/* In units of 1/den, to the nearest; -1 where it is out of range. */
static int64_t in_units(AVRational q, int den, int64_t most)
{
    if (q.den <= 0 || q.num < 0)
        return -1;
    int64_t v = av_rescale(q.num, den, q.den);
    return v <= most ? v : -1;
}

static int point(const AVRational xy[2], uint16_t ret[2])
{
    int64_t x = in_units(xy[0], 50000, 50000), y = in_units(xy[1], 50000, 50000);

    if (x <= 0 || y <= 0) /* no display has such a colour */
        return 0;
    ret[0] = (uint16_t)x;
    ret[1] = (uint16_t)y;
    return 1;
}

static void take_mastering(const AVMasteringDisplayMetadata *m, struct hdr_info *h)
{
    struct hdr_info x = *h;
    int64_t most = in_units(m->max_luminance, 10000, INT32_MAX);
    int64_t least = in_units(m->min_luminance, 10000, INT32_MAX);

    if (!m->has_primaries || !m->has_luminance || most < DISPLAY_LEAST || most > DISPLAY_MOST ||
        least < 0 || least >= most)
        return;
    if (!point(m->display_primaries[0], x.red) || !point(m->display_primaries[1], x.green) ||
        !point(m->display_primaries[2], x.blue) || !point(m->white_point, x.white))
        return;
    x.max_luminance = (uint32_t)most;
    x.min_luminance = (uint32_t)least;
    x.has_mastering = 1;
    *h = x;
}

static void take_light(const AVContentLightMetadata *l, struct hdr_info *h)
{
    if (l->MaxCLL > UINT16_MAX || l->MaxFALL > UINT16_MAX)
        return;
    h->max_cll = l->MaxCLL;
    h->max_fall = l->MaxFALL;
}

static void from_container(const AVStream *st, struct hdr_info *h)
{
    size_t n;
    const uint8_t *p = av_stream_get_side_data(st, AV_PKT_DATA_MASTERING_DISPLAY_METADATA, &n);

    if (p && n >= sizeof(AVMasteringDisplayMetadata))
        take_mastering((const AVMasteringDisplayMetadata *)(const void *)p, h);
    p = av_stream_get_side_data(st, AV_PKT_DATA_CONTENT_LIGHT_LEVEL, &n);
    if (p && n >= sizeof(AVContentLightMetadata))
        take_light((const AVContentLightMetadata *)(const void *)p, h);
}

static void from_picture(const AVFrame *f, struct hdr_info *h)
{
    const AVFrameSideData *m = av_frame_get_side_data(f, AV_FRAME_DATA_MASTERING_DISPLAY_METADATA);
    const AVFrameSideData *l = av_frame_get_side_data(f, AV_FRAME_DATA_CONTENT_LIGHT_LEVEL);

    if (m && !h->has_mastering)
        take_mastering((const AVMasteringDisplayMetadata *)(const void *)m->data, h);
    if (l && !h->max_cll && !h->max_fall)
        take_light((const AVContentLightMetadata *)(const void *)l->data, h);
}

/* 1: there was a picture. */
static int look_at_picture(AVCodecContext *dec, const AVPacket *pkt, AVFrame *f, struct hdr_info *h)
{
    (void)avcodec_send_packet(dec, pkt);
    if (avcodec_receive_frame(dec, f) < 0)
        return 0;
    from_picture(f, h);
    av_frame_unref(f);
    return 1;
}

static int from_first_picture(struct media_source *s, int stream, struct hdr_info *h,
                              struct err *err)
{
    AVCodecContext *dec = NULL;
    AVPacket *pkt = av_packet_alloc();
    AVFrame *f = av_frame_alloc();
    int r = 0, seen = 0;

    if (!pkt || !f)
        r = err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory while probing");
    /* A codec that isn't decoded here is told of by whoever has to decode it. */
    if (r == 0 && media_decoder(s, stream, &dec, NULL) == 0) {
        for (int i = 0; !seen && i < FIRST_PACKETS && (r = media_read(s, pkt, err)) == 0; i++) {
            if (pkt->stream_index == stream)
                seen = look_at_picture(dec, pkt, f, h);
            av_packet_unref(pkt);
        }
        if (r == AVERROR_EOF)
            (void)look_at_picture(dec, NULL, f, h);
    }
    avcodec_free_context(&dec);
    av_packet_free(&pkt);
    av_frame_free(&f);
    return r == AVERROR_EOF ? 0 : r;
}

int hdr_describe(struct media_source *s, struct video_info *v, struct err *err)
{
    if (!color_is_hdr(&v->color))
        return 0;
    from_container(s->fmt->streams[v->stream], &v->hdr);
    if (v->hdr.has_mastering && v->hdr.max_cll)
        return 0;
    return from_first_picture(s, v->stream, &v->hdr, err);
}
