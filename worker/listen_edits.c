/* Sound by edits: for each one to its place in the source, decode, and of
 * that the samples that it wants. */
#include "listen.h"

#include "../common/base/err.h"
#include "sound.h"

#include <errno.h>
#include <libavutil/common.h>
#include <libavutil/mathematics.h>
#include <libavutil/samplefmt.h>

enum {
    PREROLL_MS = 300, /* before an edit: decoders of sound have settled by then */
    JITTER_MS = 8,    /* as in sound.c */
    NS = 1000000000,
};

struct cutter {
    struct listener *l;
    struct sound *const *sounds;
    size_t n_sounds;
    const struct edit *edit;
    int rate;     /* samples of the edit in a second: what comes in, as fast as it plays */
    int64_t at;   /* where its next sample stands, in these, from 0 of the timeline */
    int64_t end;  /* … and its last */
    int64_t next; /* the media's sample that is to come; INT64_MIN: the edit's first */
};

static int64_t origin_ns(const struct task *t)
{
    AVRational tb = t->info.video.stream >= 0 ? t->info.video.tb : t->info.audio.tb;

    return av_rescale_q(t->origin, tb, (AVRational){ 1, NS });
}

/* Where a time of the list stands. */
static int64_t sample_at(const struct cutter *c, int64_t at)
{
    const struct task *t = c->l->t;
    AVRational scale = { 1, (int)t->info.edit_scale };
    int64_t ns = av_sat_sub64(av_rescale_q(at, scale, (AVRational){ 1, NS }), origin_ns(t));

    return FFMAX(av_rescale(ns, c->rate, NS), 0);
}

/* ---- frames ---- */

/* Samples may come at another rate than before, of the stream or of the edit. */
static void rate_set(struct cutter *c, AVFrame *f)
{
    int rate = f->sample_rate;

    if (c->edit->rate != EDIT_RATE_ONE)
        rate = (int)av_clip64(av_rescale(rate, c->edit->rate, EDIT_RATE_ONE), 1, INT32_MAX / 2);
    f->sample_rate = rate;
    if (c->next != INT64_MIN && rate == c->rate)
        return;
    if (c->next != INT64_MIN)
        c->at = av_rescale(c->at, rate, c->rate);
    c->rate = rate;
    if (c->next == INT64_MIN)
        c->at = sample_at(c, c->edit->start);
    c->end = sample_at(c, c->edit->start + c->edit->length);
}

/* Leave out what comes before `skip`, and all but `n`. */
static void frame_trim(AVFrame *f, int skip, int n)
{
    int planar = av_sample_fmt_is_planar(f->format), channels = f->ch_layout.nb_channels;
    ptrdiff_t step = av_get_bytes_per_sample(f->format) * (ptrdiff_t)(planar ? 1 : channels);
    int planes = planar ? channels : 1;

    for (int i = 0; i < planes; i++) {
        f->extended_data[i] += skip * step;
        if (f->extended_data != f->data && i < AV_NUM_DATA_POINTERS)
            f->data[i] = f->extended_data[i];
    }
    f->nb_samples = n;
}

/* Where a frame's first sample stands in the media, whose stamps may jitter. */
static int64_t media_at(const struct cutter *c, int64_t at, int rate)
{
    if (c->next != INT64_MIN && FFABS(av_sat_sub64(at, c->next)) < (int64_t)rate * JITTER_MS / 1000)
        return c->next;
    return at;
}

/* What of a frame the edit wants, to its place. */
static int frame_take(struct cutter *c, AVFrame *f, struct err *err)
{
    AVRational tb = c->l->src.fmt->streams[c->l->t->info.audio.stream]->time_base;
    int rate = f->sample_rate, r = 0;
    int64_t at = f->nb_samples > 0 && rate > 0 ? listener_place(c->l, rate) : INT64_MIN;

    if (at == INT64_MIN)
        return 0;
    int64_t from = media_at(c, at, rate), want = c->next;
    if (want == INT64_MIN)
        want = av_rescale_q(c->edit->media, tb, (AVRational){ 1, rate });
    int64_t skip = av_sat_sub64(want, from);
    if (skip >= f->nb_samples) /* before the edit, or there already */
        return 0;
    rate_set(c, f);
    c->next = from + f->nb_samples;
    if (skip < 0) /* a hole */
        c->at = av_sat_sub64(c->at, skip);
    if (c->at >= c->end)
        return 0;
    skip = FFMAX(skip, 0);
    frame_trim(f, (int)skip, (int)FFMIN(f->nb_samples - skip, c->end - c->at));
    for (size_t i = 0; r == 0 && i < c->n_sounds; i++)
        r = sound_push(c->sounds[i], f, c->at, c->rate, err);
    c->at += f->nb_samples;
    return r;
}

static int packet_feed(struct cutter *c, const AVPacket *pkt, struct err *err)
{
    struct listener *l = c->l;
    int got = avcodec_send_packet(l->dec, pkt);

    if (got < 0 && got != AVERROR_EOF)
        l->damaged++;
    while ((got = avcodec_receive_frame(l->dec, l->frame)) >= 0) {
        int r = frame_take(c, l->frame, err);
        av_frame_unref(l->frame);
        if (r < 0)
            return r;
    }
    return got == AVERROR(ENOMEM) ? err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory for sound")
                                  : 0;
}

/* ---- edits ---- */

static int edit_is_done(const struct cutter *c)
{
    return c->next != INT64_MIN && c->at >= c->end;
}

static int edit_play(struct cutter *c, const struct edit *e, struct err *err)
{
    struct listener *l = c->l;
    int stream = e->stream, r;
    AVRational tb = l->src.fmt->streams[stream]->time_base;
    int64_t preroll = av_rescale_q(PREROLL_MS, (AVRational){ 1, 1000 }, tb);

    c->edit = e;
    c->next = INT64_MIN;
    avcodec_flush_buffers(l->dec);
    l->stamp = AV_NOPTS_VALUE;
    if (av_seek_frame(l->src.fmt, stream, FFMAX(av_sat_sub64(e->media, preroll), 0),
                      AVSEEK_FLAG_BACKWARD) < 0) {
        l->damaged++;
        return 0;
    }
    while ((r = media_read(&l->src, l->pkt, err)) == 0) {
        if (l->pkt->stream_index == stream)
            r = packet_feed(c, l->pkt, err);
        av_packet_unref(l->pkt);
        if (r < 0 || edit_is_done(c))
            return r;
    }
    return r == AVERROR_EOF ? packet_feed(c, NULL, err) : r;
}

int listener_run_edits(struct listener *l, struct sound *const *sounds, size_t n, struct err *err)
{
    struct cutter c = { .l = l, .sounds = sounds, .n_sounds = n };
    const struct media_info *i = &l->t->info;
    int r = 0;

    for (size_t k = 0; k < n; k++)
        sound_set_exact(sounds[k]);
    /* Samples count from the media's first one: what is to be skipped is what edits don't name. */
    l->dec->flags2 |= AV_CODEC_FLAG2_SKIP_MANUAL;
    for (size_t k = 0; r == 0 && k < i->n_edits; k++)
        if (i->edits[k].stream == i->audio.stream && i->edits[k].rate > 0)
            r = edit_play(&c, &i->edits[k], err);
    return r;
}
