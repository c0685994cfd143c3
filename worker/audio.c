/* The sound of a whole job, in one go: decode, line up, and for each
 * rendition encode and cut near the video's segment starts. */
#include "../common/base/clock.h"
#include "../common/base/err.h"
#include "../common/child/inside.h"
#include "encode.h"
#include "encoder.h"
#include "listen.h"
#include "loudness.h"
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
    const struct loudness *loudness; /* what was measured, if it was */
    AVCodecContext *enc;
    struct segmenter *seg;
    struct sound *sound;
    AVAudioFifo *fifo;
    AVFrame *frame;
    AVPacket *pkt;
    int64_t samples; /* given to the encoder */
    int64_t last;    /* of them, without what fills up the last frame; INT64_MAX: not known yet */
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

    if (p->pts >= k->last) /* an encoder's delay lets out packets with nothing in them */
        return 0;
    p->duration = k->enc->frame_size;
    p->time_base = (AVRational){ 1, k->r->sample_rate };
    p->dts = p->pts;
    /* A segment of priming alone would last no time. */
    if (k->end > k->start && cut != INT64_MAX && p->pts + p->duration / 2 >= cut) {
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
    if (n < f->nb_samples) {
        av_samples_set_silence(f->extended_data, n, f->nb_samples - n, f->ch_layout.nb_channels,
                               f->format);
        k->last = k->samples + n;
    }
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
    inside_progress(k->in, loudness_progress(k->t, 1, k->samples, k->r->sample_rate));
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
    if (k->sound && k->loudness->known)
        sound_set_level(k->sound, loudness_factor(k->loudness->gain),
                        loudness_factor(k->r->true_peak));
    k->fifo = av_audio_fifo_alloc(k->enc->sample_fmt, k->enc->ch_layout.nb_channels,
                                  k->enc->frame_size * 4);
    k->frame = av_frame_alloc();
    k->pkt = av_packet_alloc();
    k->priming = k->enc->initial_padding;
    k->last = INT64_MAX;
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
    else
        k->last = k->samples;
    if (r == 0)
        r = encode(k, NULL, err);
    if (r == 0 && k->n_pkts > 0)
        r = close_segment(k, err);
    if (r == 0)
        r = segmenter_result(k->seg, ret, err);
    if (r == 0) {
        ret->priming = k->priming;
        ret->loudness = *k->loudness;
    }
    return r;
}

/* ---- the whole ---- */

struct audio_run {
    const struct task *t;
    struct listener from;
    struct loudness *loudness; /* of t->renditions */
    struct track *tracks;      /* of the renditions that are made */
    struct sound **sounds;     /* of the tracks; theirs */
    size_t n_tracks;
};

static int open_all(struct audio_run *a, struct inside *in, struct err *err)
{
    const struct task *t = a->t;
    int r = listener_open(&a->from, in, t, err);

    a->tracks = calloc(t->n_renditions, sizeof(*a->tracks));
    a->sounds = calloc(t->n_renditions, sizeof(struct sound *));
    if (r == 0 && (!a->tracks || !a->sounds))
        r = err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory for sound");
    for (size_t i = 0; r == 0 && i < t->n_renditions; i++) {
        if (!task_makes(t, i))
            continue;
        struct track *k = &a->tracks[a->n_tracks];
        *k =
            (struct track){ .in = in, .t = t, .r = &t->renditions[i], .loudness = &a->loudness[i] };
        r = track_open(k, err);
        a->sounds[a->n_tracks++] = k->sound;
    }
    return r;
}

/* A track that can't be heard takes neither the picture nor other tracks along. */
static int stand_in(struct audio_run *a, struct task_result *res, struct err *err)
{
    int alone = a->t->info.video.stream < 0 && a->tracks[0].r->track == 0;
    int r = 0;

    if (alone || !sound_is_empty(a->tracks[0].sound))
        return 0;
    for (size_t i = 0; r == 0 && i < a->n_tracks; i++)
        r = sound_be_silent(a->tracks[i].sound, err);
    if (r == 0 && encode_warn(res, "sound: nothing of stream %d can be decoded; silence stands in",
                              a->t->info.audio.stream) < 0)
        r = err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory for a warning");
    return r;
}

/* What was done to the sound, for the receipt. */
static int tell(const struct audio_run *a, struct task_result *res)
{
    const struct sound_mended *m = sound_mended(a->tracks[0].sound);
    char what[40] = "sound";
    int r = 0;

    if (a->tracks[0].r->track > 0)
        (void)snprintf(what, sizeof(what), "sound of stream %d", a->t->info.audio.stream);
    if (m->silence_s > 0.05)
        r = encode_warn(res, "%s: %.3f s of silence fill what the source lacks", what,
                        m->silence_s);
    if (r == 0 && m->dropped_s > 0.05)
        r = encode_warn(res, "%s: %.3f s overlap what was there before and are left out", what,
                        m->dropped_s);
    if (r == 0 && m->bent_s > 0.05)
        r = encode_warn(res, "%s: drifts from its timestamps; stretched by %.3f s in all", what,
                        m->bent_s);
    if (r == 0 && a->from.damaged > 0)
        r = encode_warn(res, "%s: the decoder found damage %llu times", what,
                        (unsigned long long)a->from.damaged);
    return r;
}

static int finish(struct audio_run *a, struct task_result *res, struct err *err)
{
    int r = stand_in(a, res, err);

    if (r < 0)
        return r;

    res->renditions = calloc(a->n_tracks, sizeof(*res->renditions));
    if (!res->renditions)
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory for a result");
    for (size_t i = 0; r == 0 && i < a->n_tracks; i++) {
        r = track_finish(&a->tracks[i], &res->renditions[i], err);
        if (r == 0)
            res->n_renditions++;
        if (r == 0 && loudness_tell(a->tracks[i].r, a->tracks[i].loudness, res) < 0)
            r = err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory for a warning");
    }
    if (r < 0)
        return r;
    r = tell(a, res);
    return r < 0 ? err_set(err, r, ERR_RESOURCE, "out of memory for a warning") : 0;
}

static void release(struct audio_run *a)
{
    for (size_t i = 0; i < a->n_tracks; i++)
        track_close(&a->tracks[i]);
    free(a->tracks);
    free(a->sounds);
    free(a->loudness);
    listener_close(&a->from);
}

int encode_audio(struct inside *in, const struct task *t, int64_t start_ns, struct task_result *res,
                 struct err *err)
{
    struct audio_run a = { .t = t };
    int r = loudness_measure(in, t, &a.loudness, err);

    if (r == 0)
        r = open_all(&a, in, err);
    if (r == 0)
        res->first_frame_s = (double)(clock_system.mono_ns(&clock_system) - start_ns) /
                             (double)NS_PER_S;
    if (r == 0)
        r = listener_run(&a.from, a.sounds, a.n_tracks, err);
    if (r == 0)
        r = finish(&a, res, err);
    release(&a);
    return r;
}
