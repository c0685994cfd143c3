#include "reader.h"

#include "../base/err.h"
#include "../child/inside.h"
#include "../wire/media_info.h"
#include "arrivals.h"
#include "shown.h"

#include <errno.h>
#include <libavutil/common.h>
#include <stdlib.h>
#include <string.h>

enum { PS_BACK_BYTES = 64 << 10, BACK_MAX_BYTES = 32 << 20 };

static int open_source(struct reader *r, struct err *err)
{
    int stream = r->info->video.stream;
    int n = media_open_stream(r->in, r->info, stream, &r->src, err);

    if (n < 0)
        return n;
    AVCodecParameters *par = r->src.fmt->streams[stream]->codecpar;
    par->video_delay = FFMAX(par->video_delay, r->info->video.reorder);
    r->fresh = 1;
    return 0;
}

int reader_open(struct inside *in, const struct media_info *info, struct reader *ret,
                struct err *err)
{
    *ret = (struct reader){ .in = in, .info = info, .pkt = av_packet_alloc() };
    if (!ret->pkt)
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory for a packet");
    return open_source(ret, err);
}

void reader_close(struct reader *r)
{
    av_packet_free(&r->pkt);
    free(r->told);
    r->told = NULL;
    media_close(&r->src);
}

int reader_next(struct reader *r, struct err *err)
{
    int stream = r->info->video.stream;
    int bits = r->src.fmt->streams[stream]->pts_wrap_bits;
    AVPacket *p = r->pkt;

    r->fresh = 0;
    for (;;) {
        av_packet_unref(p);
        int n = media_read(&r->src, p, err);
        if (n < 0)
            return n;
        if (p->stream_index == stream)
            break;
    }
    p->dts = media_unwrap(p->dts, r->near, bits);
    p->pts = media_unwrap(p->pts, p->dts != AV_NOPTS_VALUE ? p->dts : r->near, bits);
    if (p->dts != AV_NOPTS_VALUE)
        r->near = p->dts;
    return 0;
}

static int is_named(const struct packet_name *k, const AVPacket *p)
{
    int64_t pts = p->pts == AV_NOPTS_VALUE ? INT64_MIN : p->pts;
    int64_t dts = p->dts == AV_NOPTS_VALUE ? INT64_MIN : p->dts;

    if (k->pos >= 0 && p->pos >= 0 && p->pos != k->pos)
        return 0;
    /* Neither a place nor a time of its own: one of many. */
    if (k->pos >= 0 && p->pos < 0 && pts == INT64_MIN && dts == INT64_MIN)
        return 0;
    /* A planner may have given a time to a packet that has none. */
    return pts == INT64_MIN ? dts == k->dts : pts == k->pts;
}

/* Pictures may begin anywhere in the PES packets of MPEG-TS and PS. Of the one before what
 * remains would be taken for the one that is wanted: that is left behind by going `back`. */
static int seek_by_byte(struct reader *r, int64_t pos, int64_t back)
{
    if (pos < 0)
        return -1;
    return media_seek(&r->src, r->info->video.stream, FFMAX(pos - back, 0), AVSEEK_FLAG_BYTE);
}

/* To the packet or before it. By byte where the container has no index but
 * lets one in anywhere (MPEG-TS, PS). */
static int seek(struct reader *r, const struct packet_name *to, int first, int64_t back)
{
    int64_t ts = media_is_mov(&r->src) && to->dts != INT64_MIN ? to->dts : to->pts;

    if (r->fresh && (first || to->pos == 0))
        return 0;
    if (media_has_one_clock(&r->src))
        return seek_by_byte(r, to->pos, back);
    return ts == INT64_MIN ? -1
                           : media_seek(&r->src, r->info->video.stream, ts, AVSEEK_FLAG_BACKWARD);
}

/* A demuxer tells once that another sample description begins. A packet that is
 * skipped may be the one that tells it. */
static int told_keep(struct reader *r, struct err *err)
{
    size_t n = 0;
    const uint8_t *p = av_packet_get_side_data(r->pkt, AV_PKT_DATA_NEW_EXTRADATA, &n);

    if (!p || n == 0)
        return 0;
    uint8_t *copy = malloc(n);
    if (!copy)
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory for a sample description");
    memcpy(copy, p, n);
    free(r->told);
    r->told = copy;
    r->n_told = n;
    return 0;
}

static int told_give(struct reader *r, struct err *err)
{
    uint8_t *p;

    if (!r->told || av_packet_get_side_data(r->pkt, AV_PKT_DATA_NEW_EXTRADATA, NULL))
        return 0;
    p = av_packet_new_side_data(r->pkt, AV_PKT_DATA_NEW_EXTRADATA, r->n_told);
    if (!p)
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory for a sample description");
    memcpy(p, r->told, r->n_told);
    return 0;
}

/* Places in MPEG-TS and PS rise: behind its own the packet won't come. */
static int is_past(const struct reader *r, const struct packet_name *to)
{
    return media_has_one_clock(&r->src) && to->pos >= 0 && r->pkt->pos > to->pos;
}

/* AVERROR_EOF: it doesn't come. *ret_first: it is the first that came. */
static int read_up_to(struct reader *r, const struct packet_name *to, int *ret_first,
                      struct err *err)
{
    free(r->told);
    r->told = NULL;
    for (*ret_first = 1;; *ret_first = 0) {
        r->near = to->dts != INT64_MIN ? to->dts : to->pts;
        int n = reader_next(r, err);
        if (n == 0 && is_named(to, r->pkt))
            return told_give(r, err);
        if (n == 0 && is_past(r, to))
            n = AVERROR_EOF;
        if (n == 0)
            n = told_keep(r, err);
        if (n < 0)
            return n;
    }
}

/* Of the first packet behind a seek by byte: whether it is a picture from its first byte on,
 * not what remained of one with the name of the next. */
static int is_trusted(const struct reader *r, int first)
{
    const AVStream *st = r->src.fmt->streams[r->info->video.stream];

    return !first || picture_is_whole(st->codecpar, r->pkt->data, (size_t)r->pkt->size);
}

/* A PES packet is a picture, mostly; of PS they are shorter. */
static int64_t first_step(const struct reader *r)
{
    return strcmp(r->src.fmt->iformat->name, "mpeg") == 0 ? PS_BACK_BYTES : 0;
}

/* By byte, from further and further back. */
static int go_by_byte(struct reader *r, const struct packet_name *to, struct err *err)
{
    int64_t back = first_step(r);

    for (;;) {
        int first, n = seek(r, to, 0, back) < 0 ? AVERROR_EOF : read_up_to(r, to, &first, err);
        if (n != 0 && n != AVERROR_EOF)
            return n;
        if (n == 0 && (is_trusted(r, first) || back >= to->pos))
            return 0;
        if (back >= to->pos || back >= BACK_MAX_BYTES)
            return AVERROR_EOF;
        back = back ? 4 * back : PS_BACK_BYTES;
    }
}

static int go_by_seek(struct reader *r, const struct packet_name *to, int first, struct err *err)
{
    int begins;

    if (media_has_one_clock(&r->src) && to->pos > 0 && !(r->fresh && first))
        return go_by_byte(r, to, err);
    return seek(r, to, first, 0) < 0 ? AVERROR_EOF : read_up_to(r, to, &begins, err);
}

/* A seek may land behind its goal where an index lies. */
int reader_go_to(struct reader *r, const struct packet_name *to, int first, struct err *err)
{
    int begins, n = go_by_seek(r, to, first, err);

    if (n != AVERROR_EOF)
        return n;
    inside_log(r->in, "seek to the packet at byte %lld missed; reading from the beginning",
               (long long)to->pos);
    media_close(&r->src);
    n = open_source(r, err);
    return n < 0 ? n : read_up_to(r, to, &begins, err);
}

int reader_shows_nothing(const struct reader *r)
{
    const AVCodecParameters *par = r->src.fmt->streams[r->info->video.stream]->codecpar;

    return r->pkt->size > 0 && packet_shows_nothing(par, r->pkt->data, (size_t)r->pkt->size);
}
