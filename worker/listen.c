#include "listen.h"

#include "../common/base/err.h"
#include "../common/child/inside.h"
#include "../common/media/arrivals.h"
#include "sound.h"

#include <errno.h>
#include <libavutil/common.h>
#include <libavutil/mathematics.h>

enum { NS = 1000000000 };

/* A time in ns of the stream, on the timeline. One that is years off, which a damaged file may
 * have, saturates. */
static int64_t on_timeline(const struct listener *l, int64_t ns)
{
    const struct media_info *i = &l->t->info;
    AVRational otb = i->video.stream >= 0 ? i->video.tb : i->audio.tb;

    return av_sat_sub64(ns, av_rescale_q(l->t->origin, otb, (AVRational){ 1, NS }));
}

int64_t listener_place(struct listener *l, int scale)
{
    const AVFrame *f = l->frame;
    AVRational tb = l->src.fmt->streams[l->t->info.audio.stream]->time_base;
    int64_t pts = f->pts != AV_NOPTS_VALUE ? f->pts : f->best_effort_timestamp;

    if (pts != AV_NOPTS_VALUE) {
        l->stamp = pts;
        l->since = 0;
    }
    if (l->stamp == AV_NOPTS_VALUE || f->sample_rate <= 0)
        return INT64_MIN;
    if (l->since > 0 && l->rate != f->sample_rate)
        l->since = av_rescale(l->since, f->sample_rate, l->rate);
    l->rate = f->sample_rate;
    int64_t at = av_sat_add64(av_rescale_q(l->stamp, tb, (AVRational){ 1, scale }),
                              av_rescale(l->since, scale, l->rate));
    l->since += f->nb_samples;
    return FFMAX(at, INT64_MIN + 1);
}

static int take_frame(struct listener *l, struct sound *const *sounds, size_t n, struct err *err)
{
    AVFrame *f = l->frame;
    int64_t at = f->nb_samples > 0 ? listener_place(l, NS) : INT64_MIN;
    int r = 0;

    if (at == INT64_MIN)
        return 0;
    at = on_timeline(l, at);
    for (size_t i = 0; r == 0 && i < n; i++)
        r = sound_push(sounds[i], f, at, NS, err);
    return r;
}

static int feed(struct listener *l, const AVPacket *pkt, struct sound *const *sounds, size_t n,
                struct err *err)
{
    int got = avcodec_send_packet(l->dec, pkt);

    if (got < 0 && got != AVERROR_EOF)
        l->damaged++;
    while ((got = avcodec_receive_frame(l->dec, l->frame)) >= 0) {
        int r = take_frame(l, sounds, n, err);
        av_frame_unref(l->frame);
        if (r < 0)
            return r;
    }
    return got == AVERROR(ENOMEM) ? err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory for sound")
                                  : 0;
}

/* A track that goes on in another codec goes on in another decoder. */
static int change_decoder(struct listener *l, struct sound *const *sounds, size_t n,
                          struct err *err)
{
    const AVFormatContext *f = l->src.fmt;
    AVCodecContext *dec = NULL;
    int raw = l->src.raw;

    if (raw == l->raw ||
        f->streams[raw]->codecpar->codec_id == f->streams[l->raw]->codecpar->codec_id)
        return 0;
    int r = feed(l, NULL, sounds, n, err);
    if (r == 0)
        r = media_decoder(&l->src, raw, &dec, err);
    if (r < 0)
        return r;
    avcodec_free_context(&l->dec);
    l->dec = dec;
    l->raw = raw;
    l->stamp = AV_NOPTS_VALUE;
    return 0;
}

int listener_run(struct listener *l, struct sound *const *sounds, size_t n, struct err *err)
{
    int stream = l->t->info.audio.stream, r = 0;
    int bits = l->src.fmt->streams[stream]->pts_wrap_bits;

    if (media_is_edited(&l->t->info, stream))
        return listener_run_edits(l, sounds, n, err);
    while (r == 0 && (r = media_read(&l->src, l->pkt, err)) == 0) {
        if (l->pkt->stream_index == stream) {
            l->pkt->pts = media_unwrap(l->pkt->pts, l->near, bits);
            l->pkt->dts = media_unwrap(l->pkt->dts, l->near, bits);
            if (l->pkt->pts != AV_NOPTS_VALUE)
                l->near = l->pkt->pts;
            r = change_decoder(l, sounds, n, err);
            if (r == 0)
                r = feed(l, l->pkt, sounds, n, err);
        }
        av_packet_unref(l->pkt);
    }
    if (r < 0 && r != AVERROR_EOF)
        return r;
    return feed(l, NULL, sounds, n, err);
}

int listener_open(struct listener *l, struct inside *in, const struct task *t, struct err *err)
{
    int stream = t->info.audio.stream;

    *l = (struct listener){ .t = t, .near = AV_NOPTS_VALUE, .stamp = AV_NOPTS_VALUE };
    int r = media_open_stream(in, &t->info, stream, &l->src, err);
    if (r < 0)
        return r;
    l->raw = stream;
    r = media_decoder(&l->src, stream, &l->dec, err);
    l->pkt = av_packet_alloc();
    l->frame = av_frame_alloc();
    if (r == 0 && (!l->pkt || !l->frame))
        r = err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory for sound");
    return r;
}

void listener_close(struct listener *l)
{
    avcodec_free_context(&l->dec);
    av_packet_free(&l->pkt);
    av_frame_free(&l->frame);
    media_close(&l->src);
    *l = (struct listener){ 0 };
}
