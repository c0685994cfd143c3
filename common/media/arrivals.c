#include "arrivals.h"

#include "../base/err.h"
#include "../child/inside.h"
#include "open.h"

#include <errno.h>
#include <string.h>

enum { PACKETS_MAX = 4000 }; /* from a place on; a codec is known behind at most as many */

int media_has_arrivals(const struct media_source *s)
{
    return media_has_one_clock(s) || strcmp(s->fmt->iformat->name, "flv") == 0 ||
           strcmp(s->fmt->iformat->name, "live_flv") == 0;
}

/* Of PS, the codec of a picture is only known some packets later. */
static int are_known(const AVFormatContext *f, unsigned from)
{
    for (unsigned k = from; k < f->nb_streams; k++) {
        const AVCodecParameters *p = f->streams[k]->codecpar;
        if (p->codec_type == AVMEDIA_TYPE_VIDEO && p->codec_id == AV_CODEC_ID_NONE)
            return 0;
    }
    return f->nb_streams > from;
}

/* Reads on until there are streams that weren't, of known codecs. What can't be read is for those
 * who read it in earnest. */
static int meet_one(struct media_source *s, AVPacket *pkt, int64_t pos, struct err *err)
{
    unsigned known = s->fmt->nb_streams;
    int met = 0, r = 0;

    if (media_seek(s, -1, pos, AVSEEK_FLAG_BYTE) < 0)
        return 0;
    for (int n = 0; r == 0 && !met && n < PACKETS_MAX; n++) {
        r = media_read(s, pkt, err);
        met = r == 0 && (pkt->stream_index >= (int)known || are_known(s->fmt, known));
        av_packet_unref(pkt);
    }
    return r == AVERROR_EOF ? 0 : r;
}

static int meet_all(struct media_source *s, const struct media_info *i, struct err *err)
{
    AVPacket *pkt = av_packet_alloc();
    int r = 0;

    if (!pkt)
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory for a packet");
    for (size_t k = 0; r == 0 && k < i->n_arrivals; k++)
        r = meet_one(s, pkt, i->arrivals[k], err);
    av_packet_free(&pkt);
    s->last_pos = 0;
    return r;
}

int media_open_as(struct inside *in, const struct media_info *info, int flags,
                  struct media_source *ret, struct err *err)
{
    int r = media_open(in, flags, ret, err);

    if (r < 0)
        return r;
    if (info->n_arrivals > 0 && media_has_arrivals(ret))
        r = meet_all(ret, info, err);
    /* What opening has read ahead came in another order. */
    if (r == 0 && (info->n_arrivals > 0 || info->n_joins > 0) &&
        media_seek(ret, -1, 0, AVSEEK_FLAG_BYTE) < 0)
        r = err_set(err, -EINVAL, ERR_INPUT, "the source can't be read from its beginning again");
    if (r < 0) {
        media_close(ret);
        return r;
    }
    ret->joins = info->joins;
    ret->n_joins = info->n_joins;
    ret->splices = info->splices;
    ret->n_splices = info->n_splices;
    return 0;
}

int media_open_stream(struct inside *in, const struct media_info *info, int stream,
                      struct media_source *ret, struct err *err)
{
    int r = media_open_as(in, info, media_flags_for(info, stream), ret, err);

    if (r < 0)
        return r;
    if (stream >= (int)ret->fmt->nb_streams) {
        media_close(ret);
        return err_set(err, -EINVAL, ERR_INPUT, "the source has no stream %d any more", stream);
    }
    media_select(ret, stream);
    return 0;
}

int media_joined_to(const struct media_info *info, const AVStream *st)
{
    for (size_t k = 0; k < info->n_joins; k++)
        if (info->joins[k].id == st->id && info->joins[k].stream != st->index)
            return info->joins[k].stream;
    return JOINED_TO_NONE;
}

static int is_mpeg_audio(enum AVCodecID id)
{
    return id == AV_CODEC_ID_MP1 || id == AV_CODEC_ID_MP2 || id == AV_CODEC_ID_MP3;
}

int media_same_codec(const AVStream *a, const AVStream *b)
{
    enum AVCodecID x = a->codecpar->codec_id, y = b->codecpar->codec_id;

    return x == y || (is_mpeg_audio(x) && is_mpeg_audio(y));
}

/* Whose packets those of `stream` are, at a place: of the join that came last. */
static int owner_of(const struct media_source *s, int stream, int64_t pos)
{
    const struct stream_join *last = NULL;

    for (size_t k = 0; k < s->n_joins; k++)
        if (s->joins[k].stream == stream && s->joins[k].pos <= pos &&
            (!last || s->joins[k].pos >= last->pos))
            last = &s->joins[k];
    return last ? last->id : s->fmt->streams[stream]->id;
}

/* Two streams may share a PID (TrueHD and its AC-3): each goes on one of its codec, if there is
 * one. */
static int joined_to(const struct media_source *s, const AVStream *st)
{
    int to = st->index;

    for (size_t k = 0; k < s->n_joins; k++) {
        int n = s->joins[k].stream;
        if (s->joins[k].id != st->id)
            continue;
        if (n < 0 || n >= (int)s->fmt->nb_streams)
            return -1;
        if (media_same_codec(s->fmt->streams[n], st))
            return n;
        if (s->fmt->streams[n]->codecpar->codec_type == st->codecpar->codec_type)
            to = n;
    }
    return to;
}

int media_joined_stream(const struct media_source *s, const AVPacket *pkt)
{
    const AVStream *st = s->fmt->streams[pkt->stream_index];
    int64_t pos = pkt->pos >= 0 ? pkt->pos : s->last_pos;
    int to = joined_to(s, st);

    if (to < 0)
        return -1;
    return owner_of(s, to, pos) == st->id ? to : -1;
}
