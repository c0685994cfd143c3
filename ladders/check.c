#include "check.h"

#include <errno.h>
#include <libavcodec/avcodec.h>
#include <libavutil/opt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../common/base/err.h"
#include "encoder.h"
#include "ladder.h"
#include "resolve.h"

/* ---- what the encoder says ---- */

/* The thread that checks; messages of others aren't about its ladder. The
 * callback has no argument, so this is where its text has to go. */
static _Thread_local struct heard {
    int on;
    char text[256]; /* the first complaint */
} heard;

static void hear(void *avcl, int level, const char *fmt, va_list ap)
{
    (void)avcl;
    if (!heard.on || level > AV_LOG_WARNING || heard.text[0])
        return;
    (void)vsnprintf(heard.text, sizeof(heard.text), fmt, ap);
    heard.text[strcspn(heard.text, "\n")] = '\0';
    while (heard.text[0] && strchr(". ", heard.text[strlen(heard.text) - 1]))
        heard.text[strlen(heard.text) - 1] = '\0';
}

/* ---- opening ---- */

static void set_video(AVCodecContext *c, const struct rendition *r)
{
    c->width = r->width;
    c->height = r->height;
    c->pix_fmt = strstr(r->pix_fmt, "10") ? AV_PIX_FMT_YUV420P10LE : AV_PIX_FMT_YUV420P;
    c->sample_aspect_ratio = r->sar;
    c->framerate = r->rate;
    c->time_base = av_inv_q(r->rate);
    c->color_primaries = (enum AVColorPrimaries)r->color.primaries;
    c->color_trc = (enum AVColorTransferCharacteristic)r->color.transfer;
    c->colorspace = (enum AVColorSpace)r->color.matrix;
    c->color_range = (enum AVColorRange)r->color.range;
    c->chroma_sample_location = (enum AVChromaLocation)r->color.chroma_location;
    if (r->gop_reset)
        c->gop_size = c->keyint_min = 50;
}

static int set_audio(AVCodecContext *c, const AVCodec *codec, const struct rendition *r)
{
    c->sample_rate = r->sample_rate;
    c->bit_rate = r->bit_rate;
    c->sample_fmt = codec->sample_fmts ? codec->sample_fmts[0] : AV_SAMPLE_FMT_S16;
    c->time_base = (AVRational){ 1, r->sample_rate };
    return av_channel_layout_from_string(&c->ch_layout, r->layout);
}

/* One dark frame through the encoder and out: SVT-AV1 never returns from
 * being closed before its end of stream. */
static int push_frame(AVCodecContext *c)
{
    AVFrame *f = av_frame_alloc();
    AVPacket *p = av_packet_alloc();
    int e = f && p ? 0 : AVERROR(ENOMEM);
    if (e >= 0) {
        f->format = c->pix_fmt;
        f->width = c->width;
        f->height = c->height;
        e = av_frame_get_buffer(f, 0);
    }
    if (e >= 0) {
        for (int i = 0; i < 3; i++)
            memset(f->data[i], 1, (size_t)f->linesize[i] * (size_t)(i ? c->height / 2 : c->height));
        f->pts = 0;
        e = avcodec_send_frame(c, f);
    }
    if (e >= 0)
        e = avcodec_send_frame(c, NULL);
    while (e >= 0 && (e = avcodec_receive_packet(c, p)) >= 0)
        av_packet_unref(p);
    av_frame_free(&f);
    av_packet_free(&p);
    return e == AVERROR_EOF ? 0 : e;
}

/* Opens once. Returns libavcodec's word; *ret_left names an entry that
 * nobody took, or is "". */
static int open_once(const AVCodec *codec, const struct rendition *r, char ret_left[64])
{
    AVCodecContext *c = avcodec_alloc_context3(codec);
    AVDictionary *opts = NULL;
    int e = c ? 0 : AVERROR(ENOMEM);
    for (size_t i = 0; e >= 0 && i < r->n_params; i++)
        e = av_dict_set(&opts, r->params[i].key, r->params[i].value, 0);
    if (e >= 0 && r->kind == MEDIA_VIDEO)
        set_video(c, r);
    else if (e >= 0)
        e = set_audio(c, codec, r);
    if (e >= 0) {
        c->thread_count = r->threads;
        c->flags |= AV_CODEC_FLAG_GLOBAL_HEADER | AV_CODEC_FLAG_CLOSED_GOP;
        heard = (struct heard){ .on = 1 };
        e = avcodec_open2(c, codec, &opts);
        if (e >= 0 && r->kind == MEDIA_VIDEO)
            e = push_frame(c);
        heard.on = 0;
    }
    const AVDictionaryEntry *left = av_dict_get(opts, "", NULL, AV_DICT_IGNORE_SUFFIX);
    (void)snprintf(ret_left, 64, "%s", left ? left->key : "");
    av_dict_free(&opts);
    avcodec_free_context(&c);
    return e;
}

/* ---- verdict ---- */

static int says_no(int opened, const char *left)
{
    return opened < 0 || *left || heard.text[0];
}

static int complain(const struct ladder *l, const struct rung *g, int line, const char *param,
                    int opened, const char *left, struct err *err)
{
    const char *why = heard.text[0] ? heard.text
                      : *left       ? "it doesn't know that option"
                                    : "it doesn't open";
    (void)opened;
    if (param)
        return err_set(err, -EINVAL, ERR_USAGE,
                       "%s:%d: rendition %s: params: %s would be ignored or refused by %s: %s",
                       l->where, line, g->name, param, g->encoder->name, why);
    return err_set(err, -EINVAL, ERR_USAGE, "%s:%d: rendition %s: %s refuses it: %s%s%s", l->where,
                   line, g->name, g->encoder->name, why, *left ? ": " : "", left);
}

static int resolve_for_check(const struct rung *g, struct rendition *r)
{
    const struct color_info hdr = { AVCOL_PRI_BT2020, AVCOL_TRC_SMPTE2084, AVCOL_SPC_BT2020_NCL,
                                    AVCOL_RANGE_MPEG, AVCHROMA_LOC_TOPLEFT };
    const struct color_info sdr = { AVCOL_PRI_BT709, AVCOL_TRC_BT709, AVCOL_SPC_BT709,
                                    AVCOL_RANGE_MPEG, AVCHROMA_LOC_LEFT };
    const struct video_info v = {
        .width = 640,
        .height = 360,
        .sar = {1,   1},
        .rate = { 25, 1},
        .color = g->range == RUNG_HDR ? hdr : sdr
    };
    const struct audio_info a = { .sample_rate = 48000, .channels = 8 };
    *r = (struct rendition){ 0 };
    return g->encoder->params_key ? rung_resolve_video(g, &v, r) : rung_resolve_audio(g, &a, r);
}

/* Open with these `params:` alone; 1 where the encoder objects. */
static int objects(const struct ladder *l, const struct rung *g, const AVCodec *codec,
                   const char *param, int line, struct err *err)
{
    struct rendition r;
    char left[64];
    if (resolve_for_check(g, &r) < 0)
        return err_set(err, -ENOMEM, ERR_RESOURCE, "%s: out of memory", l->where);
    int e = open_once(codec, &r, left);
    rendition_release(&r);
    return says_no(e, left) ? complain(l, g, line, param, e, left, err) : 0;
}

/* Find the entry that the encoder objects to by offering them one by one. */
static int blame(const struct ladder *l, const struct rung *g, const AVCodec *codec,
                 struct err *err)
{
    for (size_t i = 0; i < g->n_params; i++) {
        struct rung one = *g;
        one.params = &g->params[i];
        one.n_params = 1;
        int r = objects(l, &one, codec, g->params[i].key, g->param_lines[i], err);
        if (r < 0)
            return r;
    }
    return objects(l, g, codec, NULL, g->line, err);
}

static int check_rung(const struct ladder *l, const struct rung *g, struct err *err)
{
    const AVCodec *codec = avcodec_find_encoder_by_name(g->encoder->name);
    if (!codec)
        return err_set(err, -ENOTSUP, ERR_UNSUPPORTED,
                       "%s:%d: rendition %s: this build's libavcodec has no encoder %s", l->where,
                       g->line, g->name, g->encoder->name);
    int r = objects(l, g, codec, NULL, g->line, NULL);
    return r < 0 ? blame(l, g, codec, err) : 0;
}

int ladder_check_encoders(const struct ladder *l, struct err *err)
{
    int r = 0;
    av_log_set_callback(hear);
    for (size_t i = 0; r == 0 && i < l->n_rungs; i++)
        r = check_rung(l, &l->rungs[i], err);
    av_log_set_callback(av_log_default_callback);
    return r;
}
