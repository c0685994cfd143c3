#include "late.h"

#include "../base/err.h"
#include "../child/inside.h"
#include "arrivals.h"
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

struct learning {
    struct media_source *to; /* gets the parameters */
    struct media_source from;
    AVCodecContext *dec[STREAMS_MAX]; /* of those that are still unknown */
    int fed[STREAMS_MAX];
    unsigned n, open;
    AVPacket *pkt;
    AVFrame *frame;
};

static void learning_drop(struct learning *l, unsigned k)
{
    avcodec_free_context(&l->dec[k]);
    l->from.fmt->streams[k]->discard = AVDISCARD_ALL;
    l->open--;
}

/* The same streams in the same order: the table says so, or their arrivals. */
static int learning_open(struct learning *l, struct inside *in, const struct media_info *i,
                         struct err *err)
{
    int r = media_open_as(in, i, 0, &l->from, err);

    if (r < 0)
        return r;
    l->from.n_joins = l->from.n_splices = 0; /* each is asked for itself */
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
            media_joined_to(i, st) != JOINED_TO_NONE ||
            media_decoder(&l->from, (int)k, &l->dec[k], NULL) < 0)
            continue;
        l->from.fmt->streams[k]->discard = AVDISCARD_DEFAULT;
        l->open++;
    }
    return 0;
}

static int learn_of(struct learning *l, unsigned k, struct err *err)
{
    AVCodecContext *dec = l->dec[k];
    int r = 0;

    (void)avcodec_send_packet(dec, l->pkt);
    int got = avcodec_receive_frame(dec, l->frame) >= 0;
    av_frame_unref(l->frame);
    if (got && avcodec_parameters_from_context(l->to->fmt->streams[k]->codecpar, dec) < 0)
        r = err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory while probing");
    if (got || ++l->fed[k] >= PACKETS_MAX)
        learning_drop(l, k);
    return r;
}

static int learning_run(struct learning *l, struct inside *in, struct err *err)
{
    int r = 0;

    while (r == 0 && l->open > 0 && (r = media_read(&l->from, l->pkt, err)) == 0) {
        unsigned k = (unsigned)l->pkt->stream_index;
        inside_progress(in, 0);
        if (k < l->n && l->dec[k])
            r = learn_of(l, k, err);
        av_packet_unref(l->pkt);
    }
    return r == AVERROR_EOF ? 0 : r;
}

/* Pictures that are decoded with a delay come at the end. */
static int learning_end(struct learning *l, struct err *err)
{
    int r = 0;

    for (unsigned k = 0; k < l->n && r == 0; k++)
        if (l->dec[k])
            r = learn_of(l, k, err);
    return r;
}

int late_learn(struct inside *in, const struct media_info *i, struct media_source *s,
               struct err *err)
{
    struct learning l = { .to = s };
    unsigned unknown = 0;

    for (unsigned k = 0; k < s->fmt->nb_streams; k++)
        unknown += is_unknown(s->fmt->streams[k]) &&
                   media_joined_to(i, s->fmt->streams[k]) == JOINED_TO_NONE;
    if (unknown == 0 || !media_has_arrivals(s))
        return 0;
    int r = learning_open(&l, in, i, err);
    if (r == 0)
        r = learning_run(&l, in, err);
    if (r == 0)
        r = learning_end(&l, err);
    for (unsigned k = 0; k < l.n; k++)
        avcodec_free_context(&l.dec[k]);
    av_packet_free(&l.pkt);
    av_frame_free(&l.frame);
    media_close(&l.from);
    return r;
}
