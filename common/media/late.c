#include "late.h"

#include "../base/err.h"
#include "../child/inside.h"
#include "open.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { STREAMS_MAX = 128, PACKETS_MAX = 2000 }; /* without a frame: it can't be decoded */

static int is_unknown(const AVStream *st)
{
    const AVCodecParameters *p = st->codecpar;

    if (!media_decodes(p->codec_id))
        return 0;
    if (p->codec_type == AVMEDIA_TYPE_AUDIO)
        return p->sample_rate <= 0 || p->ch_layout.nb_channels <= 0;
    return p->codec_type == AVMEDIA_TYPE_VIDEO && (p->width <= 0 || p->height <= 0);
}

enum { KINDS = 2 }; /* pictures, sound */

struct learning {
    struct media_source *to; /* gets the parameters */
    struct media_source from;
    AVCodecContext *dec[STREAMS_MAX];    /* of those that are still unknown */
    AVCodecParameters *par[STREAMS_MAX]; /* what was learned */
    int64_t first[STREAMS_MAX];          /* place of the first packet of these */
    int64_t last[KINDS];                 /* place of the last packet of those that were known */
    int fed[STREAMS_MAX];
    unsigned n, open;
    int to_the_end; /* a stream of the same kind was known: it may end where another begins */
    AVPacket *pkt;
    AVFrame *frame;
};

static int kind_of(const AVStream *st)
{
    return st->codecpar->codec_type == AVMEDIA_TYPE_AUDIO;
}

static void learning_drop(struct learning *l, unsigned k)
{
    avcodec_free_context(&l->dec[k]);
    l->from.fmt->streams[k]->discard = AVDISCARD_ALL;
    l->open--;
}

static int is_known(const AVStream *st)
{
    enum AVMediaType type = st->codecpar->codec_type;

    return (type == AVMEDIA_TYPE_AUDIO || type == AVMEDIA_TYPE_VIDEO) && !is_unknown(st) &&
           media_decodes(st->codecpar->codec_id);
}

/* Whether a stream of the kind of `k` was known when the source was opened. */
static int has_fellow(const struct learning *l, unsigned k)
{
    for (unsigned i = 0; i < l->n; i++)
        if (is_known(l->to->fmt->streams[i]) &&
            kind_of(l->to->fmt->streams[i]) == kind_of(l->to->fmt->streams[k]))
            return 1;
    return 0;
}

/* The same streams in the same order: the table says so. */
static int learning_open(struct learning *l, struct inside *in, struct err *err)
{
    int r = media_open(in, 0, &l->from, err);

    if (r < 0)
        return r;
    l->pkt = av_packet_alloc();
    l->frame = av_frame_alloc();
    if (!l->pkt || !l->frame)
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory while probing");
    l->n = l->to->fmt->nb_streams < STREAMS_MAX ? l->to->fmt->nb_streams : STREAMS_MAX;
    l->n = l->n < l->from.fmt->nb_streams ? l->n : l->from.fmt->nb_streams;
    for (unsigned k = 0; k < l->from.fmt->nb_streams; k++)
        l->from.fmt->streams[k]->discard = AVDISCARD_ALL;
    for (unsigned k = 0; k < l->n; k++) {
        const AVStream *st = l->to->fmt->streams[k];
        if (!is_unknown(st) || st->id != l->from.fmt->streams[k]->id ||
            media_decoder(&l->from, (int)k, &l->dec[k], NULL) < 0)
            continue;
        l->from.fmt->streams[k]->discard = AVDISCARD_DEFAULT;
        l->first[k] = -1;
        l->open++;
        l->to_the_end |= has_fellow(l, k);
    }
    for (unsigned k = 0; k < l->n && l->to_the_end; k++)
        if (is_known(l->to->fmt->streams[k]))
            l->from.fmt->streams[k]->discard = AVDISCARD_DEFAULT;
    return 0;
}

static int learn_of(struct learning *l, unsigned k, struct err *err)
{
    AVCodecContext *dec = l->dec[k];

    if (l->first[k] < 0)
        l->first[k] = l->pkt->pos;
    (void)avcodec_send_packet(dec, l->pkt);
    int got = avcodec_receive_frame(dec, l->frame) >= 0;
    av_frame_unref(l->frame);
    if (got && (!(l->par[k] = avcodec_parameters_alloc()) ||
                avcodec_parameters_from_context(l->par[k], dec) < 0))
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory while probing");
    if (got || ++l->fed[k] >= PACKETS_MAX)
        learning_drop(l, k);
    return 0;
}

static int learning_run(struct learning *l, struct inside *in, struct err *err)
{
    int r = 0;

    while (r == 0 && (l->open > 0 || l->to_the_end) &&
           (r = media_read(&l->from, l->pkt, err)) == 0) {
        unsigned k = (unsigned)l->pkt->stream_index;
        inside_progress(in, 0);
        if (k < l->n && l->dec[k])
            r = learn_of(l, k, err);
        else if (k < l->n && is_known(l->to->fmt->streams[k]) && l->pkt->pos >= 0)
            l->last[kind_of(l->to->fmt->streams[k])] = l->pkt->pos;
        av_packet_unref(l->pkt);
    }
    return r == AVERROR_EOF ? 0 : r;
}

/* What begins where its like has ended is another recording's: files were joined. */
static int learning_take(struct learning *l, struct err *err)
{
    for (unsigned k = 0; k < l->n; k++) {
        AVStream *st = l->to->fmt->streams[k];
        if (!l->par[k] || (has_fellow(l, k) && l->first[k] > l->last[kind_of(st)]))
            continue;
        if (avcodec_parameters_copy(st->codecpar, l->par[k]) < 0)
            return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory while probing");
    }
    return 0;
}

int late_learn(struct inside *in, struct media_source *s, struct err *err)
{
    struct learning l = { .to = s };
    unsigned unknown = 0;

    for (unsigned k = 0; k < s->fmt->nb_streams; k++)
        unknown += (unsigned)is_unknown(s->fmt->streams[k]);
    if (unknown == 0 || strcmp(s->fmt->iformat->name, "mpegts") != 0)
        return 0;
    int r = learning_open(&l, in, err);
    if (r == 0)
        r = learning_run(&l, in, err);
    if (r == 0)
        r = learning_take(&l, err);
    for (unsigned k = 0; k < l.n; k++) {
        avcodec_free_context(&l.dec[k]);
        avcodec_parameters_free(&l.par[k]);
    }
    av_packet_free(&l.pkt);
    av_frame_free(&l.frame);
    media_close(&l.from);
    return r;
}
