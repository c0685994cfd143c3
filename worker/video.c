/* A chunk of video: seek, decode what the plan says, and hand each planned
 * frame to every rendition that is encoded, each packet to one that is copied. */
#include "../common/base/cleanup.h"
#include "../common/base/clock.h"
#include "../common/base/err.h"
#include "../common/child/inside.h"
#include "../common/media/joint.h"
#include "../common/media/prime.h"
#include "../common/media/reader.h"
#include "../common/media/turn.h"
#include "changes.h"
#include "encode.h"
#include "lineup.h"
#include "picture.h"
#include "spans.h"
#include "vcopy.h"
#include "venc.h"
#include "weave.h"

#include <errno.h>
#include <libavutil/common.h>
#include <string.h>

struct chunk_run {
    struct inside *in;
    const struct task *t;
    struct task_result *res;
    int64_t start_ns;
    struct reader read;
    AVCodecContext *dec; /* NULL: nothing is encoded */
    AVFrame *frame;
    struct lineup line;
    struct picture *pic;
    struct changes changes;
    struct turn_hold turn;
    struct joint joint;
    struct venc **enc;   /* one a rendition, NULL where it isn't made, or copied */
    struct vcopy **copy; /* one a rendition, NULL where it isn't copied */
    size_t *at;          /* of each rendition: number of the chunk's next frame */
    size_t first;        /* rendition that is encoded */
    int ahead, looked;   /* frames behind the chunk: wanted, taken */
    uint64_t fed;        /* packets since the seek packet */
    struct spans spans;
    struct weave weave;  /* of fields that make a frame */
    AVFrame *latest;     /* of a span of one picture that hasn't come: what would be seen instead */
    int one;             /* such a span is under way */
    int64_t shown, step; /* time of the last frame decoded, and from the one before to it */
    uint64_t damaged;    /* packets or frames that the decoder complained about */
};

/* ---- pictures to encoders ---- */

/* An encoder has taken its first frame. */
static void note_first_frame(struct chunk_run *c)
{
    if (c->res->first_frame_s <= 0)
        c->res->first_frame_s = (double)(clock_system.mono_ns(&clock_system) - c->start_ns) /
                                (double)NS_PER_S;
}

static int on_picture(void *arg, unsigned out, AVFrame *f, struct err *err)
{
    struct chunk_run *c = arg;

    for (size_t i = 0; i < c->t->n_renditions; i++) {
        if (!c->enc[i] || picture_output(c->pic, i) != out)
            continue;
        int64_t pts = f->pts;
        size_t at = c->at[i];
        /* A frame before the chunk was only there for filters with memory. */
        if (pts < c->t->chunk.start)
            continue;
        if (pts >= c->t->chunk.end) {
            int r = venc_look_ahead(c->enc[i], f, err);
            f->pts = pts;
            if (r < 0)
                return r;
            continue;
        }
        if (at >= c->line.n || c->line.pts[at] != pts)
            return err_set(err, -EPROTO, ERR_INTERNAL,
                           "the filter graph moved frame %zu of a chunk", at);
        c->at[i]++;
        int r = venc_push(c->enc[i], at, f, err);
        f->pts = pts;
        if (r < 0)
            return r;
        note_first_frame(c);
    }
    inside_progress(c->in, c->at[c->first]);
    return 0;
}

/* A planned frame, from the lineup. */
static int on_frame(void *arg, size_t i, AVFrame *f, struct err *err)
{
    struct chunk_run *c = arg;

    int r = picture_push(c->pic, f, err);

    (void)i;
    if (r == 0)
        changes_note(&c->changes, picture_latest(c->pic), f);
    return r;
}

/* ---- decoding ---- */

/* Deinterlacing looks at the frame on each side of the one it makes. */
static int is_before(const struct chunk_run *c, int64_t pts)
{
    const struct chunk *k = &c->t->chunk;

    return video_may_comb(&c->t->info.video) && k->prev_pts != INT64_MIN && pts == k->prev_pts;
}

/* The chunk's own frames, or some that lie behind. */
static int wants_more(const struct chunk_run *c)
{
    return !lineup_complete(&c->line) || c->looked < c->ahead;
}

/* What lies behind the chunk is another one's to tell of. */
static void note_damage(struct chunk_run *c)
{
    if (!lineup_complete(&c->line))
        c->damaged++;
}

/* Of the chunk, or of the span under way. */
static const struct packet_stamps *stamps_of(const struct chunk_run *c)
{
    const struct chunk *k = &c->t->chunk;

    return spans_any(&c->spans) ? &k->spans[c->spans.at].stamps : &k->stamps;
}

/* Where packets have decode times only (MPEG in AVI and PS), the last frames
 * that a decoder lets go of have no time at all. */
static int64_t time_of(struct chunk_run *c, const AVFrame *f)
{
    int64_t pts = f->pts != AV_NOPTS_VALUE ? f->pts : f->best_effort_timestamp;

    if (stamps_of(c)->n > 0) /* what has none shows nothing here */
        return f->pts;
    if (pts == AV_NOPTS_VALUE && c->step > 0)
        pts = c->shown + c->step;
    if (pts == AV_NOPTS_VALUE)
        return pts;
    c->step = c->shown != AV_NOPTS_VALUE ? av_sat_sub64(pts, c->shown) : 0;
    c->shown = pts;
    return pts;
}

static int show_frame(struct chunk_run *c, int64_t pts, struct err *err)
{
    AVFrame *f = c->frame;
    const struct chunk *k = &c->t->chunk;

    f->pts = pts;
    if (pts < k->start)
        return is_before(c, pts) ? picture_push(c->pic, f, err) : 0;
    if (!lineup_complete(&c->line) || pts < k->end)
        return lineup_push(&c->line, f, err);
    if (c->looked >= c->ahead)
        return 0;
    c->looked++;
    return picture_push(c->pic, f, err);
}

/* A picture that is repeated may be one that doesn't decode: the one before it stays, in every
 * chunk. */
static int keep_latest(struct chunk_run *c, size_t n, int64_t pts)
{
    if (!c->one)
        return 0;
    if (n == 0 && pts >= c->spans.media[0])
        return 0;
    av_frame_unref(c->latest);
    c->one = n == 0;
    return n == 0 ? av_frame_ref(c->latest, c->frame) : 0;
}

static int show_latest(struct chunk_run *c, struct err *err)
{
    int r = 0;

    for (size_t i = 0; c->one && c->latest->buf[0] && r == 0 && i < c->spans.n_shown; i++) {
        if (c->spans.shown[i] == c->spans.media[0]) /* itself: it is concealed */
            continue;
        if (av_frame_ref(c->frame, c->latest) < 0)
            return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory for a frame");
        r = show_frame(c, c->spans.shown[i], err);
        av_frame_unref(c->frame);
    }
    av_frame_unref(c->latest);
    return r;
}

/* 1: `frame` is a whole picture; 0: it was a field whose second is to come. */
static int make_whole(struct chunk_run *c, struct err *err)
{
    const struct video_info *v = &c->t->info.video;
    int r = v->fields ? weave_field(&c->weave, c->frame,
                                    (c->frame->top_field_first != 0) == (v->interlaced == 1))
                      : 1;

    if (r == 1 && turn_follow(&c->turn, c->frame) < 0)
        r = -ENOMEM;
    return r < 0 ? err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory for a frame") : r;
}

/* Pictures before the chunk are decoded for what refers to them. A decoder that begins at a
 * recovery point calls these damaged, and what is, the chunk before tells. */
static int is_own(const struct chunk_run *c, int64_t pts, size_t shown)
{
    return spans_any(&c->spans) ? shown > 0 : pts == AV_NOPTS_VALUE || pts >= c->t->chunk.start;
}

static int take_whole(struct chunk_run *c, struct err *err)
{
    const AVFrame *f = c->frame;
    int64_t pts = time_of(c, f);
    const int64_t *shown = &pts;
    size_t n = 1;
    int r = 0;

    if (pts != AV_NOPTS_VALUE && spans_any(&c->spans))
        n = spans_shown(&c->spans, pts, &shown);
    if ((f->decode_error_flags || f->flags & AV_FRAME_FLAG_CORRUPT) && is_own(c, pts, n))
        note_damage(c);
    if (pts == AV_NOPTS_VALUE)
        return 0;
    if (keep_latest(c, n, pts) < 0)
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory for a frame");
    for (size_t i = 0; r == 0 && i < n; i++)
        r = show_frame(c, shown[i], err);
    return r;
}

static int take_frame(struct chunk_run *c, struct err *err)
{
    int r = make_whole(c, err);
    return r == 1 ? take_whole(c, err) : r;
}

static int drain_decoder(struct chunk_run *c, struct err *err)
{
    int n;

    while ((n = avcodec_receive_frame(c->dec, c->frame)) >= 0) {
        int r = take_frame(c, err);
        av_frame_unref(c->frame);
        if (r < 0)
            return r;
    }
    if (n == AVERROR(ENOMEM))
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory while decoding");
    if (n != AVERROR(EAGAIN) && n != AVERROR_EOF)
        note_damage(c);
    return 0;
}

/* Pictures that are neither shown in this chunk nor referred to needn't be
 * decoded. Only where the codec says which those are. */
static void choose_skip(struct chunk_run *c, const AVPacket *pkt)
{
    enum AVCodecID id = c->dec->codec_id;
    int knows = id == AV_CODEC_ID_H264 || id == AV_CODEC_ID_HEVC || id == AV_CODEC_ID_MPEG2VIDEO;
    int64_t from = video_may_comb(&c->t->info.video) && c->t->chunk.prev_pts != INT64_MIN
                       ? c->t->chunk.prev_pts
                       : c->t->chunk.start;

    if (spans_any(&c->spans))
        from = c->one ? INT64_MIN : c->spans.media[0];
    c->dec->skip_frame = knows && pkt && pkt->pts != AV_NOPTS_VALUE && pkt->pts < from
                             ? AVDISCARD_NONREF
                             : AVDISCARD_DEFAULT;
}

static int send(struct chunk_run *c, const AVPacket *pkt, struct err *err)
{
    choose_skip(c, pkt);
    int n = avcodec_send_packet(c->dec, pkt);
    if (n == AVERROR(ENOMEM))
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory while decoding");
    if (n < 0 && n != AVERROR_EOF && !(pkt && reader_shows_nothing(&c->read)))
        note_damage(c);
    return drain_decoder(c, err);
}

/* Another recording is another decoder's. */
static int feed(struct chunk_run *c, const AVPacket *pkt, struct err *err)
{
    int stream = c->t->info.video.stream, r = 0;

    if (pkt && joint_is_at(&c->joint, c->read.src.fmt->streams[stream]->codecpar, pkt)) {
        r = send(c, NULL, err);
        avcodec_free_context(&c->dec);
        r = r == 0 ? media_decoder(&c->read.src, stream, &c->dec, err) : r;
    }
    return r == 0 ? send(c, pkt, err) : r;
}

/* ---- reading ---- */

static int go_to_start(struct chunk_run *c, const struct packet_name *to, int first,
                       struct err *err)
{
    const struct chunk *k = &c->t->chunk;
    int r = c->dec && !first ? prime_decoder(&c->read, c->dec, err) : 0;

    if (r == 0)
        r = reader_go_to(&c->read, to, first, err);
    if (r == AVERROR_EOF)
        return err_set(err, -EINVAL, ERR_INPUT,
                       "the packet at byte %lld, where chunk %u begins, is "
                       "not found any more",
                       (long long)to->pos, k->index);
    return r;
}

/* Packets of copied renditions, which take them as they are. */
static int copy(struct chunk_run *c, struct err *err)
{
    for (size_t i = 0; i < c->t->n_renditions; i++) {
        if (!c->copy[i])
            continue;
        int r = vcopy_push(c->copy[i], c->read.pkt, err);
        if (r < 0)
            return r;
        note_first_frame(c);
        if (!c->dec)
            inside_progress(c->in, vcopy_done(c->copy[i]));
    }
    return 0;
}

/* Where the source doesn't tell all times, the plan's are those that count. */
static void stamp(const struct chunk_run *c)
{
    const struct packet_stamps *s = stamps_of(c);
    uint64_t i = c->fed - 1;

    if (s->n == 0)
        return;
    c->read.pkt->dts = AV_NOPTS_VALUE;
    c->read.pkt->pts = i >= s->from && i - s->from < s->n ? s->list[i - s->from] : AV_NOPTS_VALUE;
}

static int take(struct chunk_run *c, struct err *err)
{
    int r = copy(c, err);

    stamp(c);
    return r == 0 && c->dec ? feed(c, c->read.pkt, err) : r;
}

static int decode_from(struct chunk_run *c, const struct packet_name *to, uint64_t packets,
                       int first, struct err *err)
{
    int r = go_to_start(c, to, first, err);

    for (c->fed = 0; r == 0;) {
        c->fed++;
        r = take(c, err);
        if (r < 0 || c->fed >= packets || !wants_more(c))
            break;
        r = reader_next(&c->read, err);
    }
    if (r < 0 && r != AVERROR_EOF)
        return r;
    return c->dec ? feed(c, NULL, err) : 0;
}

/* Of an edited source, or one whose picture is repeated: nothing is copied, so there is a decoder.
 */
static int decode_spans(struct chunk_run *c, struct err *err)
{
    const struct chunk *k = &c->t->chunk;
    int edited = media_is_edited(&c->t->info, c->t->info.video.stream), r = 0;

    for (size_t i = 0; r == 0 && i < k->n_spans && wants_more(c); i++) {
        const struct chunk_span *s = &k->spans[i];
        const struct packet_name to = { s->seek_pts, s->seek_dts, s->seek_pos };
        if (spans_enter(&c->spans, i) < 0)
            return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory for frame times");
        c->shown = AV_NOPTS_VALUE;
        c->one = !edited && c->spans.n_media == 1;
        if (c->dec)
            avcodec_flush_buffers(c->dec);
        /* Not of an edited source, whose first span may begin anywhere. */
        int first = i == 0 && k->index == 0 && !edited;
        r = decode_from(c, &to, s->packets, first, err);
        if (r == 0)
            r = show_latest(c, err);
    }
    return r;
}

static int decode(struct chunk_run *c, struct err *err)
{
    const struct chunk *k = &c->t->chunk;
    const struct packet_name to = { k->seek_pts, k->seek_dts, k->seek_pos };

    if (spans_any(&c->spans))
        return decode_spans(c, err);
    return decode_from(c, &to, k->packets, k->index == 0, err);
}

/* ---- the whole ---- */

static int open_copies(struct chunk_run *c, struct err *err)
{
    const AVCodecParameters *par = c->read.src.fmt->streams[c->t->info.video.stream]->codecpar;
    int r = 0;

    c->copy = calloc(c->t->n_renditions, sizeof(struct vcopy *));
    if (!c->copy)
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory for copies");
    for (size_t i = 0; r == 0 && i < c->t->n_renditions; i++)
        if (c->t->renditions[i].copy && task_makes(c->t, i))
            r = vcopy_new(c->in, c->t, &c->t->renditions[i], par, c->line.pts, &c->copy[i], err);
    return r;
}

static int is_encoded(const struct task *t, size_t i)
{
    return task_makes(t, i) && !t->renditions[i].copy;
}

static int open_encoders(struct chunk_run *c, struct err *err)
{
    size_t n = c->t->n_renditions;
    _cleanup_free_ char *wanted = calloc(n, 1);
    int r = 0;

    c->enc = calloc(n, sizeof(struct venc *));
    c->at = calloc(n, sizeof(*c->at));
    for (size_t i = n; wanted && i-- > 0;)
        if ((wanted[i] = (char)is_encoded(c->t, i)))
            c->first = i;
    c->ahead = video_may_comb(&c->t->info.video);
    for (size_t i = 0; wanted && i < n; i++)
        if (wanted[i] && c->t->renditions[i].look_ahead > c->ahead)
            c->ahead = c->t->renditions[i].look_ahead;
    if (wanted)
        c->pic = picture_new(&c->t->info, c->t->renditions, n, wanted, on_picture, c);
    if (!c->enc || !c->at || !c->pic)
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory for encoders");
    for (size_t i = 0; r == 0 && i < n; i++)
        if (wanted[i])
            r = venc_new(c->in, c->t, &c->t->renditions[i], c->line.pts, &c->enc[i], err);
    return r;
}

static int encodes(const struct chunk_run *c)
{
    for (size_t i = 0; i < c->t->n_renditions; i++)
        if (c->enc[i])
            return 1;
    return 0;
}

static int open_all(struct chunk_run *c, struct err *err)
{
    int r = lineup_init(&c->line, &c->t->chunk, err);

    c->line.emit = on_frame;
    c->line.arg = c;
    c->frame = av_frame_alloc();
    c->latest = av_frame_alloc();
    if (r == 0 && (!c->frame || !c->latest))
        r = err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory for a decoder");
    if (r == 0)
        r = reader_open(c->in, &c->t->info, &c->read, err);
    if (r == 0)
        r = open_copies(c, err);
    if (r == 0)
        r = open_encoders(c, err);
    return r == 0 && encodes(c) ? media_decoder(&c->read.src, c->t->info.video.stream, &c->dec, err)
                                : r;
}

/* Of a chunk in the middle that is lost as a whole, black is shown: what comes
 * before and after can still be seen. Where the first one is, nobody knows
 * whether there is anything to see at all. */
static int lend_black(struct chunk_run *c, struct err *err)
{
    int lost = c->t->chunk.index > 0 && lineup_empty(&c->line);

    return lost ? lineup_lend_black(&c->line, &c->t->info.video, err) : 0;
}

static int finish_pictures(struct chunk_run *c, struct err *err)
{
    int r = lend_black(c, err);

    if (r == 0)
        r = lineup_finish(&c->line, err);
    return r == 0 ? picture_flush(c->pic, err) : r;
}

static int finish_one(struct chunk_run *c, size_t i, struct rendition_result *ret, struct err *err)
{
    if (c->copy[i])
        return vcopy_finish(c->copy[i], ret, err);
    if (c->at[i] != c->line.n)
        return err_set(err, -EPROTO, ERR_INTERNAL,
                       "rendition %s: %zu of %zu frames came out of the filter graph",
                       c->t->renditions[i].name, c->at[i], c->line.n);
    return venc_finish(c->enc[i], ret, err);
}

static int finish(struct chunk_run *c, struct err *err)
{
    size_t n = c->t->n_renditions;
    int r = c->dec ? finish_pictures(c, err) : 0;

    if (r < 0)
        return r;
    c->res->renditions = calloc(n, sizeof(*c->res->renditions));
    if (!c->res->renditions)
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory for a result");
    for (size_t i = 0; i < n; i++) {
        if (!c->enc[i] && !c->copy[i])
            continue;
        r = finish_one(c, i, &c->res->renditions[c->res->n_renditions], err);
        if (r < 0)
            return r;
        c->res->n_renditions++;
    }
    return 0;
}

static int report(struct chunk_run *c, struct err *err)
{
    int r = 0;
    unsigned k = c->t->chunk.index;

    c->res->frames_in = c->dec ? c->line.decoded : c->line.n;
    c->res->frames_concealed = c->line.concealed;
    if (c->line.concealed == c->line.n)
        r = encode_warn(c->res, "chunk %u: none of its %zu frames can be decoded; it is black", k,
                        c->line.n);
    else if (c->line.concealed > 0)
        r = encode_warn(c->res,
                        "chunk %u: %llu of %zu frames can't be decoded; the frame before "
                        "each stands in",
                        k, (unsigned long long)c->line.concealed, c->line.n);
    if (r == 0 && c->damaged > 0)
        r = encode_warn(c->res, "chunk %u: the decoder found damage %llu times", k,
                        (unsigned long long)c->damaged);
    r = r == 0 ? changes_tell(&c->changes, c->t, c->res) : r;
    for (size_t i = 0; r == 0 && c->damaged > 0 && i < c->t->n_renditions; i++)
        if (c->copy[i])
            r = encode_warn(c->res, "chunk %u: %s is a copy of the source, with its damage", k,
                            c->t->renditions[i].name);
    return r < 0 ? err_set(err, r, ERR_RESOURCE, "out of memory for a warning") : 0;
}

static void release(struct chunk_run *c)
{
    for (size_t i = 0; c->enc && i < c->t->n_renditions; i++)
        venc_free(c->enc[i]);
    for (size_t i = 0; c->copy && i < c->t->n_renditions; i++)
        vcopy_free(c->copy[i]);
    free(c->enc);
    free(c->copy);
    free(c->at);
    picture_free(c->pic);
    lineup_release(&c->line);
    avcodec_free_context(&c->dec);
    av_frame_free(&c->frame);
    av_frame_free(&c->latest);
    spans_release(&c->spans);
    weave_release(&c->weave);
    reader_close(&c->read);
}

int encode_video(struct inside *in, const struct task *t, int64_t start_ns, struct task_result *res,
                 struct err *err)
{
    struct chunk_run c = {
        .in = in, .t = t, .res = res, .start_ns = start_ns, .shown = AV_NOPTS_VALUE
    };

    c.spans.chunk = &t->chunk;
    int r = open_all(&c, err);

    if (r == 0)
        r = decode(&c, err);
    if (r == 0)
        r = finish(&c, err);
    if (r == 0)
        r = report(&c, err);
    release(&c);
    return r;
}
