#include "encoder.h"

#include "../common/base/err.h"
#include "gopmill-config.h"

#include <aom/aom_codec.h>
#include <ebur128.h>
#include <errno.h>
#include <libavfilter/avfilter.h>
#include <libavformat/avformat.h>
#include <libavutil/pixdesc.h>
#include <libswresample/swresample.h>
#include <libswscale/swscale.h>
#include <stdint.h>
#include <string.h>
#include <x264.h>
#include <x265.h>

static void set_video(AVCodecContext *c, const struct rendition *r)
{
    c->width = r->width;
    c->height = r->height;
    c->pix_fmt = av_get_pix_fmt(r->pix_fmt);
    c->sample_aspect_ratio = r->sar;
    c->framerate = r->rate;
    c->color_primaries = r->color.primaries;
    c->color_trc = r->color.transfer;
    c->colorspace = r->color.matrix;
    c->color_range = r->color.range;
    c->chroma_sample_location = r->color.chroma_location;
    c->flags |= AV_CODEC_FLAG_CLOSED_GOP;
}

/* Samples that may exceed full scale, packed or planar, as the encoder likes. */
static enum AVSampleFormat float_format(const AVCodec *codec)
{
    for (const enum AVSampleFormat *f = codec->sample_fmts; f && *f >= 0; f++)
        if (*f == AV_SAMPLE_FMT_FLTP || *f == AV_SAMPLE_FMT_FLT)
            return *f;
    return AV_SAMPLE_FMT_FLTP;
}

static int set_audio(AVCodecContext *c, const struct rendition *r)
{
    c->sample_rate = r->sample_rate;
    c->bit_rate = r->bit_rate;
    c->sample_fmt = float_format(c->codec);
    return av_channel_layout_from_string(&c->ch_layout, r->layout);
}

static int set_params(AVDictionary **d, const struct rendition *r)
{
    for (size_t i = 0; i < r->n_params; i++) {
        int n = av_dict_set(d, r->params[i].key, r->params[i].value, 0);
        if (n < 0)
            return n;
    }
    return 0;
}

static int open_with_params(AVCodecContext *c, const struct rendition *r, struct err *err)
{
    AVDictionary *d = NULL;
    int n = set_params(&d, r);

    if (n >= 0)
        n = avcodec_open2(c, c->codec, &d);
    const AVDictionaryEntry *left = av_dict_get(d, "", NULL, AV_DICT_IGNORE_SUFFIX);
    if (n < 0)
        n = err_set(err, n == AVERROR(ENOMEM) ? -ENOMEM : -ENOTSUP,
                    n == AVERROR(ENOMEM) ? ERR_RESOURCE : ERR_UNSUPPORTED,
                    "rendition %s: %s refuses these parameters: %s", r->name, r->encoder,
                    av_err2str(n));
    else if (left)
        n = err_set(err, -ENOTSUP, ERR_UNSUPPORTED, "rendition %s: %s has no parameter '%s'",
                    r->name, r->encoder, left->key);
    av_dict_free(&d);
    return n < 0 ? n : 0;
}

int encoder_open(const struct rendition *r, AVRational time_base, int gop_frames,
                 AVCodecContext **ret, struct err *err)
{
    const AVCodec *codec = avcodec_find_encoder_by_name(r->encoder);
    AVCodecContext *c = codec ? avcodec_alloc_context3(codec) : NULL;
    int n = 0;

    if (!codec)
        return err_set(err, -ENOTSUP, ERR_UNSUPPORTED,
                       "rendition %s: this libavcodec has no encoder '%s'", r->name, r->encoder);
    if (!c)
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory for an encoder");
    c->time_base = time_base;
    c->thread_count = r->threads > 0 ? r->threads : 1;
    c->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
    if (gop_frames > 0)
        c->gop_size = c->keyint_min = gop_frames;
    if (r->kind == MEDIA_VIDEO)
        set_video(c, r);
    else
        n = set_audio(c, r);
    if (n < 0)
        n = err_set(err, -EINVAL, ERR_UNSUPPORTED, "rendition %s: no channel layout '%s'", r->name,
                    r->layout);
    else
        n = open_with_params(c, r, err);
    if (n < 0) {
        avcodec_free_context(&c);
        return n;
    }
    *ret = c;
    return 0;
}

char *encoder_fingerprint(void)
{
    char *text = NULL;
    int major, minor, patch;
    unsigned c = avcodec_version(), f = avformat_version(), g = avfilter_version(),
             s = swscale_version(), w = swresample_version();

    ebur128_get_version(&major, &minor, &patch);
    if (asprintf(&text,
                 "gopmill %s; lavc %u.%u.%u lavf %u.%u.%u lavfi %u.%u.%u sws %u.%u.%u swr "
                 "%u.%u.%u; x264 %s; x265 %s; aom %s; ebur128 %d.%d.%d",
                 GOPMILL_VERSION, c >> 16, c >> 8 & 255, c & 255, f >> 16, f >> 8 & 255, f & 255,
                 g >> 16, g >> 8 & 255, g & 255, s >> 16, s >> 8 & 255, s & 255, w >> 16,
                 w >> 8 & 255, w & 255, X264_POINTVER, x265_version_str, aom_codec_version_str(),
                 major, minor, patch) < 0)
        return NULL;
    return text;
}
