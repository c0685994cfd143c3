/* The sound of a whole job, in one go: decode, line up, and for each
 * rendition encode and cut near the video's segment starts. */
#include "../common/base/clock.h"
#include "../common/base/err.h"
#include "../common/child/inside.h"
#include "../common/media/open.h"
#include "encode.h"
#include "encoder.h"
#include "segmenter.h"
#include "sound.h"

#include <errno.h>
#include <libavutil/audio_fifo.h>
#include <libavutil/common.h>
#include <libavutil/mathematics.h>
#include <stdlib.h>
#include <string.h>

/* One rendition. */
struct track {
    struct inside *in;
    const struct task *t;
    const struct rendition *r;
    AVCodecContext *enc;
    struct segmenter *seg;
    struct sound *sound;
    AVAudioFifo *fifo;
    AVFrame *frame;
    AVPacket *pkt;
    int64_t samples; /* given to the encoder */
    AVPacket **pkts; /* of the segment under way */
    size_t n_pkts, room_pkts;
    size_t cut;         /* the next of t->audio_cuts that ends a segment */
    int64_t start, end; /* of the segment under way, presented, in samples */
    int64_t priming;
};

static int failed(struct err *err, const struct track *k, const char *what, int r)
{
    int oom = r == AVERROR(ENOMEM);
    return err_set(err, oom ? -ENOMEM : -EIO, oom ? ERR_RESOURCE : ERR_INTERNAL,
                   "rendition %s: %s: %s", k->r->name, what, av_err2str(r));
}

/* ---- packets to segments ---- */

static int close_segment(struct track *k, struct err *err)
{
    int r = segmenter_audio(k->seg, k->pkts, k->n_pkts, err);

    for (size_t i = 0; i < k->n_pkts; i++)
        av_packet_free(&k->pkts[i]);
    k->n_pkts = 0;
    if (r == 0)
        r = segmenter_cut(k->seg, k->start, k->end, err);
    k->start = k->end;
    return r;
}

/* Where the next planned cut lies, in samples; INT64_MAX: no more cuts. */
static int64_t next_cut(const struct track *k)
{
    if (k->cut >= k->t->n_audio_cuts)
        return INT64_MAX;
    return av_rescale(k->t->audio_cuts[k->cut], k->r->sample_rate, k->t->timescale);
}

static int keep_packet(struct track *k, struct err *err)
{
    if (k->n_pkts == k->room_pkts) {
        size_t room = k->room_pkts ? k->room_pkts * 2 : 512;
        AVPacket **p = realloc(k->pkts, room * sizeof(*p));
        if (!p)
            return failed(err, k, "packets", AVERROR(ENOMEM));
        k->pkts = p;
        k->room_pkts = room;
    }
    AVPacket *p = av_packet_alloc();
    if (!p)
        return failed(err, k, "packets", AVERROR(ENOMEM));
    av_packet_move_ref(p, k->pkt);
    k->pkts[k->n_pkts++] = p;
    k->end = p->pts + p->duration;
    return 0;
}

/* A packet that begins nearer to the cut than the one after it would begins
 * the next segment. */
static int take_packet(struct track *k, struct err *err)
{
    AVPacket *p = k->pkt;
    int64_t cut = next_cut(k);
    int r = 0;

    p->duration = k->enc->frame_size;
    p->time_base = (AVRational){ 1, k->r->sample_rate };
    p->dts = p->pts;
    if (k->n_pkts > 0 && cut != INT64_MAX && p->pts + p->duration / 2 >= cut) {
        r = close_segment(k, err);
        while (next_cut(k) <= p->pts + p->duration / 2)
            k->cut++;
    }
    return r < 0 ? r : keep_packet(k, err);
}

static int encode(struct track *k, const AVFrame *f, struct err *err)
{
    int n = avcodec_send_frame(k->enc, f);

    if (n < 0)
        return failed(err, k, "the encoder refuses sound", n);
    while ((n = avcodec_receive_packet(k->enc, k->pkt)) >= 0) {
        int r = take_packet(k, err);
        av_packet_unref(k->pkt);
        if (r < 0)
            return r;
    }
    return n == AVERROR(EAGAIN) || n == AVERROR_EOF ? 0 : failed(err, k, "the encoder failed", n);
}

/* ---- samples to packets ---- */

static int encode_samples(struct track *k, int n, struct err *err)
{
    AVFrame *f = k->frame;

    f->nb_samples = k->enc->frame_size;
    f->format = k->enc->sample_fmt;
    f->sample_rate = k->enc->sample_rate;
    int r = av_channel_layout_copy(&f->ch_layout, &k->enc->ch_layout);
    if (r >= 0)
        r = av_frame_get_buffer(f, 0);
    if (r < 0)
        return failed(err, k, "a frame of sound", r);
    av_audio_fifo_read(k->fifo, (void **)f->extended_data, n);
    /* The last frame is filled up: a shorter one would end the line early. */
    if (n < f->nb_samples)
        av_samples_set_silence(f->extended_data, n, f->nb_samples - n, f->ch_layout.nb_channels,
                               f->format);
    f->pts = k->samples;
    k->samples += f->nb_samples;
    r = encode(k, f, err);
    av_frame_unref(f);
    return r;
}

static int on_samples(void *arg, uint8_t **data, int n, struct err *err)
{
    struct track *k = arg;
    int r = 0;

    if (av_audio_fifo_write(k->fifo, (void **)data, n) < n)
        return failed(err, k, "samples", AVERROR(ENOMEM));
    while (r == 0 && av_audio_fifo_size(k->fifo) >= k->enc->frame_size)
        r = encode_samples(k, k->enc->frame_size, err);
    inside_progress(k->in, (uint64_t)av_rescale(k->samples, 1000, k->r->sample_rate));
    return r;
}

/* ---- a track's life ---- */

static int track_open(struct track *k, struct err *err)
{
    int r = encoder_open(k->r, (AVRational){ 1, k->r->sample_rate }, 0, &k->enc, err);

    if (r < 0)
        return r;
    if (k->enc->frame_size <= 0)
        return err_set(err, -ENOTSUP, ERR_UNSUPPORTED, "rendition %s: %s has no fixed frame size",
                       k->r->name, k->r->encoder);
    const struct segmenter_config cfg = {
        .in = k->in,
        .r = k->r,
        .enc = k->enc,
        .timescale = (uint32_t)k->r->sample_rate,
        .store_init = 1,
    };
    const struct sound_format to = { k->r->sample_rate, k->enc->sample_fmt, k->enc->ch_layout };
    r = segmenter_new(&cfg, &k->seg, err);
    k->sound = sound_new(&to, on_samples, k);
    k->fifo = av_audio_fifo_alloc(k->enc->sample_fmt, k->enc->ch_layout.nb_channels,
                                  k->enc->frame_size * 4);
    k->frame = av_frame_alloc();
    k->pkt = av_packet_alloc();
    k->priming = k->enc->initial_padding;
    k->cut = 1;
    if (r == 0 && (!k->sound || !k->fifo || !k->frame || !k->pkt))
        r = failed(err, k, "a track", AVERROR(ENOMEM));
    return r;
}

static void track_close(struct track *k)
{
    for (size_t i = 0; i < k->n_pkts; i++)
        av_packet_free(&k->pkts[i]);
    free(k->pkts);
    sound_free(k->sound);
    if (k->fifo)
        av_audio_fifo_free(k->fifo);
    av_frame_free(&k->frame);
    av_packet_free(&k->pkt);
    segmenter_free(k->seg);
    avcodec_free_context(&k->enc);
}

static int track_finish(struct track *k, struct rendition_result *ret, struct err *err)
{
    int r = sound_finish(k->sound, k->t->timeline_end, k->t->timescale, err);
    int rest = k->fifo ? av_audio_fifo_size(k->fifo) : 0;

    if (r == 0 && rest > 0)
        r = encode_samples(k, rest, err);
    if (r == 0)
        r = encode(k, NULL, err);
    if (r == 0 && k->n_pkts > 0)
        r = close_segment(k, err);
    if (r == 0)
        r = segmenter_result(k->seg, ret, err);
    if (r == 0)
        ret->priming = k->priming;
    return r;
}

/* ---- the whole ---- */

struct audio_run {
    const struct task *t;
    struct media_source src;
    AVCodecContext *dec;
    AVPacket *pkt;
    AVFrame *frame;
    struct track *tracks; /* of the renditions that are made */
    size_t n_tracks;
    int64_t near; /* of the last packet, for timestamps that wrap */
    uint64_t damaged;
};

/* (pts * tb of the sound) - (origin * tb of the timeline), as num/den
 * seconds. A stamp years off, which a damaged file may have, saturates. */
static int64_t on_timeline(const struct audio_run *a, int64_t pts, int64_t *ret_den)
{
    const struct media_info *i = &a->t->info;
    AVRational tb = a->src.fmt->streams[i->audio.stream]->time_base;
    AVRational otb = i->video.stream >= 0 ? i->video.tb : i->audio.tb;
    int64_t den = INT64_C(1000000000);

    *ret_den = den;
    return av_sat_sub64(av_rescale_q(pts, tb, (AVRational){ 1, (int)den }),
                        av_rescale_q(a->t->origin, otb, (AVRational){ 1, (int)den }));
}

static int take_frame(struct audio_run *a, struct err *err)
{
    AVFrame *f = a->frame;
    int64_t pts = f->pts != AV_NOPTS_VALUE ? f->pts : f->best_effort_timestamp;
    int64_t den, num;
    int r = 0;

    if (pts == AV_NOPTS_VALUE || f->nb_samples <= 0)
        return 0;
    num = on_timeline(a, pts, &den);
    for (size_t i = 0; r == 0 && i < a->n_tracks; i++)
        r = sound_push(a->tracks[i].sound, f, num, den, err);
    return r;
}

static int feed(struct audio_run *a, const AVPacket *pkt, struct err *err)
{
    int n = avcodec_send_packet(a->dec, pkt);

    if (n < 0 && n != AVERROR_EOF)
        a->damaged++;
    while ((n = avcodec_receive_frame(a->dec, a->frame)) >= 0) {
        int r = take_frame(a, err);
        av_frame_unref(a->frame);
        if (r < 0)
            return r;
    }
    return n == AVERROR(ENOMEM) ? err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory for sound")
                                : 0;
}

static int decode(struct audio_run *a, struct err *err)
{
    int stream = a->t->info.audio.stream, r = 0;
    int bits = a->src.fmt->streams[stream]->pts_wrap_bits;

    while (r == 0 && (r = media_read(&a->src, a->pkt, err)) == 0) {
        if (a->pkt->stream_index == stream) {
            a->pkt->pts = media_unwrap(a->pkt->pts, a->near, bits);
            a->pkt->dts = media_unwrap(a->pkt->dts, a->near, bits);
            if (a->pkt->pts != AV_NOPTS_VALUE)
                a->near = a->pkt->pts;
            r = feed(a, a->pkt, err);
        }
        av_packet_unref(a->pkt);
    }
    if (r < 0 && r != AVERROR_EOF)
        return r;
    return feed(a, NULL, err);
}

static int open_all(struct audio_run *a, struct inside *in, struct err *err)
{
    const struct task *t = a->t;
    int r = media_open(in, 0, &a->src, err);

    if (r < 0)
        return r;
    if (t->info.audio.stream >= (int)a->src.fmt->nb_streams)
        return err_set(err, -EINVAL, ERR_INPUT, "the source has no stream %d any more",
                       t->info.audio.stream);
    a->src.splices = t->info.splices;
    a->src.n_splices = t->info.n_splices;
    media_select(&a->src, t->info.audio.stream);
    r = media_decoder(&a->src, t->info.audio.stream, &a->dec, err);
    a->pkt = av_packet_alloc();
    a->frame = av_frame_alloc();
    a->tracks = calloc(t->n_renditions, sizeof(*a->tracks));
    if (r == 0 && (!a->pkt || !a->frame || !a->tracks))
        r = err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory for sound");
    for (size_t i = 0; r == 0 && i < t->n_renditions; i++) {
        if (!task_makes(t, i))
            continue;
        struct track *k = &a->tracks[a->n_tracks++];
        *k = (struct track){ .in = in, .t = t, .r = &t->renditions[i] };
        r = track_open(k, err);
    }
    return r;
}

static int finish(struct audio_run *a, struct task_result *res, struct err *err)
{
    double silence, dropped;
    int r = 0;

    res->renditions = calloc(a->n_tracks, sizeof(*res->renditions));
    if (!res->renditions)
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory for a result");
    for (size_t i = 0; r == 0 && i < a->n_tracks; i++) {
        r = track_finish(&a->tracks[i], &res->renditions[i], err);
        if (r == 0)
            res->n_renditions++;
    }
    if (r < 0)
        return r;
    sound_mended(a->tracks[0].sound, &silence, &dropped);
    if (silence > 0.05)
        r = encode_warn(res, "sound: %.3f s of silence fill what the source lacks", silence);
    if (r == 0 && dropped > 0.05)
        r = encode_warn(res, "sound: %.3f s overlap what was there before and are left out",
                        dropped);
    if (r == 0 && a->damaged > 0)
        r = encode_warn(res, "sound: the decoder found damage %llu times",
                        (unsigned long long)a->damaged);
    return r < 0 ? err_set(err, r, ERR_RESOURCE, "out of memory for a warning") : 0;
}

static void release(struct audio_run *a)
{
    for (size_t i = 0; i < a->n_tracks; i++)
        track_close(&a->tracks[i]);
    free(a->tracks);
    avcodec_free_context(&a->dec);
    av_packet_free(&a->pkt);
    av_frame_free(&a->frame);
    media_close(&a->src);
}

int encode_audio(struct inside *in, const struct task *t, int64_t start_ns, struct task_result *res,
                 struct err *err)
{
    struct audio_run a = { .t = t, .near = AV_NOPTS_VALUE };
    int r = open_all(&a, in, err);

    if (r == 0)
        res->first_frame_s = (double)(clock_system.mono_ns(&clock_system) - start_ns) /
                             (double)NS_PER_S;
    if (r == 0)
        r = decode(&a, err);
    if (r == 0)
        r = finish(&a, res, err);
    release(&a);
    return r;
}
