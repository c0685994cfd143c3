#include "shots.h"

#include "../common/base/err.h"
#include "../common/child/inside.h"
#include "../common/media/joint.h"
#include "../common/media/prime.h"
#include "../common/media/reader.h"
#include "../common/media/turn.h"
#include "weave.h"

#include <errno.h>

struct shots {
    struct inside *in;
    const struct media_info *info;
    const struct shot *list;
    size_t n, next; /* the shot that is looked for */
    size_t limit;   /* those from here on may be of pictures that are decoded before (edit lists) */
    int64_t length_ms;
    struct reader read;
    AVCodecContext *dec;
    AVFrame *frame, *last; /* last: the one before `frame`, or the one that was found */
    struct turn_hold turn;
    struct joint joint;
    int running; /* the decoder is at what shot `next` begins with, or behind it */
};

static int no_memory(struct err *err)
{
    return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory for pictures");
}

static int same_start(const struct shot *a, const struct shot *b)
{
    return a->seek_pts == b->seek_pts && a->seek_dts == b->seek_dts && a->seek_pos == b->seek_pos;
}

/* Time of the packet whose picture a shot shows. */
static int64_t media_of(const struct shot *k)
{
    return k->pts + k->shift;
}

/* How far it is, and that it lives. */
static void tell(struct shots *s)
{
    inside_progress(s->in, s->next * (uint64_t)s->length_ms / s->n);
}

/* Whether a shot that isn't taken yet shows the frame of that time. */
static int is_wanted(const struct shots *s, int64_t pts)
{
    size_t a = s->next, b = s->limit;

    while (a < b) {
        size_t mid = a + (b - a) / 2;
        if (media_of(&s->list[mid]) < pts)
            a = mid + 1;
        else
            b = mid;
    }
    return a < s->limit && media_of(&s->list[a]) == pts;
}

/* The packet that decoding begins at is read. AVERROR_EOF: it isn't there. */
static int go_to(struct shots *s, const struct shot *k, struct err *err)
{
    const struct packet_name to = { k->seek_pts, k->seek_dts, k->seek_pos };

    int r = prime_decoder(&s->read, s->dec, err);
    if (r < 0)
        return r;
    avcodec_flush_buffers(s->dec);
    return reader_go_to(&s->read, &to, 0, err);
}

/* ---- decoding ---- */

/* What came out of the decoder: of the shots that wait, those that it shows. */
static int take_frame(struct shots *s, shot_emit emit, void *arg, struct err *err)
{
    int64_t pts = s->frame->pts != AV_NOPTS_VALUE ? s->frame->pts : s->frame->best_effort_timestamp;
    int r = 0;

    if (pts == AV_NOPTS_VALUE)
        return 0;
    if ((s->info->video.fields && weave_alone(s->frame) < 0) || turn_follow(&s->turn, s->frame) < 0)
        return no_memory(err);
    s->frame->pts = pts;
    /* One that was looked for and never came is stood in for by the one before. */
    while (r == 0 && s->next < s->limit && media_of(&s->list[s->next]) < pts && s->running)
        r = emit(arg, s->next++, s->last->buf[0] ? s->last : s->frame, 1, err);
    while (r == 0 && s->next < s->limit && media_of(&s->list[s->next]) == pts)
        r = emit(arg, s->next++, s->frame, 0, err);
    av_frame_unref(s->last);
    av_frame_move_ref(s->last, s->frame);
    return r;
}

static int drain(struct shots *s, shot_emit emit, void *arg, struct err *err)
{
    int n;

    while ((n = avcodec_receive_frame(s->dec, s->frame)) >= 0) {
        int r = take_frame(s, emit, arg, err);
        av_frame_unref(s->frame);
        if (r < 0)
            return r;
    }
    return n == AVERROR(ENOMEM) ? no_memory(err) : 0;
}

/* Pictures that nothing refers to and nobody looks for needn't be decoded. */
static int send(struct shots *s, const AVPacket *pkt, shot_emit emit, void *arg, struct err *err)
{
    enum AVCodecID id = s->dec->codec_id;
    int knows = id == AV_CODEC_ID_H264 || id == AV_CODEC_ID_HEVC || id == AV_CODEC_ID_MPEG2VIDEO;

    s->dec->skip_frame = knows && pkt && pkt->pts != AV_NOPTS_VALUE && !is_wanted(s, pkt->pts)
                             ? AVDISCARD_NONREF
                             : AVDISCARD_DEFAULT;
    int n = avcodec_send_packet(s->dec, pkt);
    if (n == AVERROR(ENOMEM))
        return no_memory(err);
    return drain(s, emit, arg, err);
}

/* Another recording is another decoder's. */
static int feed(struct shots *s, const AVPacket *pkt, shot_emit emit, void *arg, struct err *err)
{
    int stream = s->info->video.stream, r = 0;

    if (pkt && joint_is_at(&s->joint, s->read.src.fmt->streams[stream]->codecpar, pkt)) {
        r = send(s, NULL, emit, arg, err);
        avcodec_free_context(&s->dec);
        r = r == 0 ? media_decoder(&s->read.src, stream, &s->dec, err) : r;
    }
    return r == 0 ? send(s, pkt, emit, arg, err) : r;
}

/* All shots up to `end`, which begin with the packet that was read. */
static int decode_run(struct shots *s, size_t end, shot_emit emit, void *arg, struct err *err)
{
    int64_t last = media_of(&s->list[end - 1]);
    int r = 0, done = 0;

    s->running = 1;
    while (r == 0 && !done) {
        int64_t pts = s->read.pkt->pts;
        r = feed(s, s->read.pkt, emit, arg, err);
        done = s->next >= end || pts == last;
        tell(s);
        if (r == 0 && !done)
            r = reader_next(&s->read, err);
    }
    if (r < 0 && r != AVERROR_EOF)
        return r;
    r = s->next < end ? feed(s, NULL, emit, arg, err) : 0;
    s->running = 0;
    return r;
}

/* What nothing was decoded for. */
static int give_up(struct shots *s, size_t end, shot_emit emit, void *arg, struct err *err)
{
    int r = 0;

    while (r == 0 && s->next < end)
        r = emit(arg, s->next++, s->last->buf[0] ? s->last : NULL, 1, err);
    return r;
}

static int run(struct shots *s, shot_emit emit, void *arg, struct err *err)
{
    int r = 0;

    while (r >= 0 && s->next < s->n) {
        size_t first = s->next, end = first + 1;
        while (end < s->n && same_start(&s->list[end], &s->list[first]) &&
               media_of(&s->list[end]) >= media_of(&s->list[end - 1]))
            end++;
        s->limit = media_is_edited(s->info, s->info->video.stream) ? end : s->n;
        r = go_to(s, &s->list[first], err);
        if (r == 0)
            r = decode_run(s, end, emit, arg, err);
        if (r == 0 || r == AVERROR_EOF)
            r = give_up(s, end, emit, arg, err);
    }
    return r;
}

static int open_all(struct shots *s, struct err *err)
{
    int r = reader_open(s->in, s->info, &s->read, err);

    if (r < 0)
        return r;
    s->frame = av_frame_alloc();
    s->last = av_frame_alloc();
    if (!s->frame || !s->last)
        return no_memory(err);
    return media_decoder(&s->read.src, s->info->video.stream, &s->dec, err);
}

int shots_run(struct inside *in, const struct media_info *info, const struct shot *list, size_t n,
              int64_t length_ms, shot_emit emit, void *arg, struct err *err)
{
    struct shots s = { .in = in, .info = info, .list = list, .n = n, .length_ms = length_ms };
    int r = open_all(&s, err);

    if (r == 0)
        r = run(&s, emit, arg, err);
    avcodec_free_context(&s.dec);
    av_frame_free(&s.frame);
    av_frame_free(&s.last);
    reader_close(&s.read);
    return r;
}
