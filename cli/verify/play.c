#include "play.h"

#include <errno.h>
#include <libavcodec/avcodec.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/cleanup.h"
#include "common/base/err.h"

enum { IO_BYTES = 65536 };

struct player {
    const struct package *p;
    const struct rendition *r;
    size_t next;  /* file to read: 0 the init segment, then the segments */
    uint8_t *buf; /* the file that is being read */
    size_t len, pos;
    AVIOContext *io;
    AVFormatContext *format;
    AVCodecContext *codec;
    AVPacket *packet;
    AVFrame *frame;
    size_t packets;
    int flushed;
    int forgiving;
};

DEFINE_CLEANUP(struct player *, player_free);

static int next_file(struct player *pl)
{
    struct err err;
    const char *path = pl->next ? pl->r->segments[pl->next - 1].path : pl->r->init_path;
    free(pl->buf);
    pl->buf = NULL;
    pl->len = pl->pos = 0;
    pl->next++;
    return package_read(pl->p, path, SEGMENT_BYTES_MAX, &pl->buf, &pl->len, &err);
}

static int io_read(void *arg, uint8_t *to, int size)
{
    struct player *pl = arg;
    while (pl->pos == pl->len) {
        if (pl->next > pl->r->n_segments)
            return AVERROR_EOF;
        int r = next_file(pl);
        if (r < 0)
            return r;
    }
    size_t n = pl->len - pl->pos;
    if (n > (size_t)size)
        n = (size_t)size;
    memcpy(to, pl->buf + pl->pos, n);
    pl->pos += n;
    return (int)n;
}

void player_free(struct player *pl)
{
    if (!pl)
        return;
    av_frame_free(&pl->frame);
    av_packet_free(&pl->packet);
    avcodec_free_context(&pl->codec);
    avformat_close_input(&pl->format);
    if (pl->io)
        av_freep(&pl->io->buffer);
    avio_context_free(&pl->io);
    free(pl->buf);
    free(pl);
}

static int bad(struct err *err, const struct player *pl, const char *what, int r)
{
    char text[AV_ERROR_MAX_STRING_SIZE];
    av_strerror(r, text, sizeof(text));
    return err_set(err, -EINVAL, ERR_INPUT, "%s: %s: %s", pl->r->folder, what, text);
}

static int open_format(struct player *pl, struct err *err)
{
    uint8_t *buf = av_malloc(IO_BYTES);
    if (!buf)
        return -ENOMEM;
    pl->io = avio_alloc_context(buf, IO_BYTES, 0, pl, io_read, NULL, NULL);
    if (!pl->io) {
        av_free(buf);
        return -ENOMEM;
    }
    pl->format = avformat_alloc_context();
    if (!pl->format)
        return -ENOMEM;
    pl->format->pb = pl->io;
    pl->format->flags |= AVFMT_FLAG_CUSTOM_IO;
    int r = avformat_open_input(&pl->format, "", av_find_input_format("mp4"), NULL);
    if (r < 0)
        return bad(err, pl, "libavformat can't open it", r);
    if (pl->format->nb_streams != 1)
        return err_set(err, -EINVAL, ERR_INPUT, "%s: libavformat sees %u streams", pl->r->folder,
                       pl->format->nb_streams);
    return 0;
}

static int open_codec(struct player *pl, struct err *err)
{
    const AVCodecParameters *par = pl->format->streams[0]->codecpar;
    const AVCodec *codec = avcodec_find_decoder(par->codec_id);
    if (!codec)
        return err_set(err, -EINVAL, ERR_INPUT, "%s: no decoder for %s", pl->r->folder,
                       avcodec_get_name(par->codec_id));
    pl->codec = avcodec_alloc_context3(codec);
    pl->packet = av_packet_alloc();
    pl->frame = av_frame_alloc();
    if (!pl->codec || !pl->packet || !pl->frame ||
        avcodec_parameters_to_context(pl->codec, par) < 0)
        return -ENOMEM;
    pl->codec->thread_count = 1;
    pl->codec->pkt_timebase = pl->format->streams[0]->time_base;
    pl->codec->err_recognition = AV_EF_EXPLODE | AV_EF_CRCCHECK;
    int r = avcodec_open2(pl->codec, codec, NULL);
    return r < 0 ? bad(err, pl, "its decoder can't be opened", r) : 0;
}

int player_open(const struct package *p, const struct rendition *r, struct player **ret,
                struct err *err)
{
    _cleanup_(player_freep) struct player *pl = calloc(1, sizeof(*pl));
    if (!pl)
        return -ENOMEM;
    pl->p = p;
    pl->r = r;
    int rc = open_format(pl, err);
    if (!rc)
        rc = open_codec(pl, err);
    if (rc < 0)
        return rc;
    *ret = take_ptr(pl);
    return 0;
}

void player_forgive(struct player *pl)
{
    pl->forgiving = 1;
    pl->codec->err_recognition = 0;
    pl->codec->flags |= AV_CODEC_FLAG_OUTPUT_CORRUPT;
}

AVRational player_time_base(const struct player *pl)
{
    return pl->format->streams[0]->time_base;
}

/* Versions of libavformat add a constant to the pts of fragments with negative
 * composition offsets (dts_shift), which is theirs, not the package's: so
 * dts, which they leave alone, is compared, and pts taken from our reading. */
static int set_time(struct player *pl, struct err *err)
{
    const struct rendition *r = pl->r;
    size_t k = pl->packets++;
    if (r->kind != KIND_VIDEO)
        return 0;
    if (k >= r->n_frames || pl->packet->dts != r->frames[k].dts)
        return err_set(err, -EINVAL, ERR_INPUT,
                       "%s: libavformat's packet %zu has dts %lld, the container has %lld",
                       r->folder, k, (long long)pl->packet->dts,
                       k < r->n_frames ? (long long)r->frames[k].dts : -1LL);
    pl->packet->pts = r->frames[k].pts;
    return 0;
}

/* 0: the decoder has something to chew on. */
static int feed(struct player *pl, struct err *err)
{
    int r = av_read_frame(pl->format, pl->packet);
    if (r < 0 && r != AVERROR_EOF)
        return bad(err, pl, "can't be read", r);
    if (r == AVERROR_EOF)
        pl->flushed = 1;
    if (r >= 0) {
        int rc = set_time(pl, err);
        if (rc < 0)
            return rc;
    }
    double at = r < 0 ? 0 : (double)pl->packet->pts * av_q2d(player_time_base(pl));
    r = avcodec_send_packet(pl->codec, r < 0 ? NULL : pl->packet);
    av_packet_unref(pl->packet);
    if (r < 0 && !pl->forgiving) {
        char where[64];
        snprintf(where, sizeof(where), "at %.6f s the decoder says", at);
        return bad(err, pl, where, r);
    }
    return 0;
}

int player_next(struct player *pl, AVFrame **ret, struct err *err)
{
    for (;;) {
        int r = avcodec_receive_frame(pl->codec, pl->frame);
        if (r == AVERROR_EOF)
            return 0;
        if (r == AVERROR(EAGAIN)) {
            if (pl->flushed)
                return 0;
            r = feed(pl, err);
            if (r < 0)
                return r;
            continue;
        }
        if (r < 0 && pl->forgiving)
            continue;
        if (r < 0)
            return bad(err, pl, "doesn't decode", r);
        if (pl->forgiving) {
            *ret = pl->frame;
            return 1;
        }
        if (pl->frame->decode_error_flags || pl->frame->flags & AV_FRAME_FLAG_CORRUPT)
            return err_set(err, -EINVAL, ERR_INPUT, "%s: the picture at %.6f s is damaged",
                           pl->r->folder, (double)pl->frame->pts * av_q2d(player_time_base(pl)));
        *ret = pl->frame;
        return 1;
    }
}
