#include "jpeg.h"

#include "../common/base/err.h"

#include <errno.h>
#include <libavcodec/avcodec.h>
#include <libswscale/swscale.h>
#include <stdlib.h>
#include <string.h>

enum { QUALITY = 4 }; /* 2 is best, 31 worst: about 85 % of others' scale */

AVFrame *jpeg_canvas(int width, int height)
{
    AVFrame *f = av_frame_alloc();

    if (!f)
        return NULL;
    f->width = width;
    f->height = height;
    f->format = AV_PIX_FMT_YUVJ420P;
    f->color_range = AVCOL_RANGE_JPEG;
    if (av_frame_get_buffer(f, 0) < 0) {
        av_frame_free(&f);
        return NULL;
    }
    for (int i = 0; i < 3; i++)
        memset(f->data[i], i ? 128 : 0,
               (size_t)f->linesize[i] * (size_t)(i ? (height + 1) / 2 : height));
    return f;
}

int jpeg_draw(AVFrame *canvas, int x, int y, const AVFrame *f, int matrix)
{
    struct SwsContext *sws = sws_getContext(
        f->width, f->height, f->format, f->width, f->height, AV_PIX_FMT_YUVJ420P,
        SWS_BICUBIC | SWS_ACCURATE_RND | SWS_BITEXACT, NULL, NULL, NULL);
    uint8_t *to[4] = { 0 };

    if (!sws)
        return -ENOMEM;
    for (int i = 0; i < 3; i++)
        to[i] = canvas->data[i] + (ptrdiff_t)canvas->linesize[i] * (i ? y / 2 : y) +
                (i ? x / 2 : x);
    (void)sws_setColorspaceDetails(sws, sws_getCoefficients(matrix), 0,
                                   sws_getCoefficients(SWS_CS_ITU601), 1, 0, 1 << 16, 1 << 16);
    int n = sws_scale(sws, (const uint8_t *const *)f->data, f->linesize, 0, f->height, to,
                      canvas->linesize);
    sws_freeContext(sws);
    return n < 0 ? -ENOMEM : 0;
}

static AVCodecContext *open_encoder(const AVFrame *canvas)
{
    const AVCodec *codec = avcodec_find_encoder_by_name("mjpeg");
    AVCodecContext *c = codec ? avcodec_alloc_context3(codec) : NULL;

    if (!c)
        return NULL;
    c->width = canvas->width;
    c->height = canvas->height;
    c->pix_fmt = canvas->format;
    c->color_range = AVCOL_RANGE_JPEG;
    c->time_base = (AVRational){ 1, 1 };
    c->thread_count = 1;
    c->flags |= AV_CODEC_FLAG_QSCALE | AV_CODEC_FLAG_BITEXACT; /* no version in a comment */
    c->global_quality = QUALITY * FF_QP2LAMBDA;
    if (avcodec_open2(c, codec, NULL) < 0)
        avcodec_free_context(&c);
    return c;
}

int jpeg_encode(const AVFrame *canvas, uint8_t **ret, size_t *ret_len, struct err *err)
{
    AVCodecContext *c = open_encoder(canvas);
    AVPacket *pkt = av_packet_alloc();
    AVFrame *f = av_frame_clone(canvas);
    int r = c && pkt && f ? 0 : AVERROR(ENOMEM);
    uint8_t *copy = NULL;

    if (r == 0) {
        f->pts = 0;
        f->quality = QUALITY * FF_QP2LAMBDA;
        r = avcodec_send_frame(c, f);
    }
    if (r == 0)
        r = avcodec_receive_packet(c, pkt);
    if (r == 0 && !(copy = malloc((size_t)pkt->size)))
        r = AVERROR(ENOMEM);
    if (r == 0) {
        memcpy(copy, pkt->data, (size_t)pkt->size);
        *ret = copy;
        *ret_len = (size_t)pkt->size;
    }
    av_frame_free(&f);
    av_packet_free(&pkt);
    avcodec_free_context(&c);
    if (r == 0)
        return 0;
    return err_set(err, r == AVERROR(ENOMEM) ? -ENOMEM : -EIO,
                   r == AVERROR(ENOMEM) ? ERR_RESOURCE : ERR_INTERNAL,
                   "a picture of %dx%d can't be encoded: %s", canvas->width, canvas->height,
                   av_err2str(r));
}
