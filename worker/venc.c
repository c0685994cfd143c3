#include "venc.h"

#include "../common/base/err.h"
#include "../common/media/obu.h"
#include "encoder.h"
#include "segmenter.h"

#include <errno.h>
#include <string.h>

enum { PAUSE_FRAMES = 3 }; /* of the nominal rate: who is shown for longer stays */

struct venc {
    struct inside *in;
    const struct task *t;
    const struct rendition *r;
    const int64_t *pts; /* the chunk's frames */
    AVCodecContext *enc;
    struct segmenter *seg;
    AVPacket *pkt;
    uint8_t *header; /* what describes the stream: parameter sets, a sequence header */
    int header_size;
    int described; /* this encoder's was compared with it */
    int ended;     /* this encoder was told that there is no more */

    int64_t *ticks; /* of the frames kept, and the end of the last one */
    size_t n_kept;
    size_t *gop_first; /* number among the kept of each GOP's first; [n_gops] == n_kept */
    int in_ticks;      /* encoder times are ticks; otherwise numbers among the kept */

    size_t warm_up; /* frames sent before the chunk's own */
    AVFrame **held; /* the chunk's first, until there are enough to warm up with */
    size_t n_held;

    size_t sent, gop, next_segment; /* kept frames sent; GOP being gathered; segment after it */
    size_t taken;                   /* pictures of kept frames that came back */
    int ahead;                      /* frames looked at behind the chunk */
    int64_t prev_pts;               /* of the source's frame before the next of those */
    AVPacket **gop_pkts;
    size_t n_pkts, room_pkts;
};

static int oom(struct err *err)
{
    return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory for an encoder");
}

static int keeps(const struct venc *v, size_t i)
{
    const struct chunk *c = &v->t->chunk;

    return frame_grid_keeps(&v->r->grid, v->pts[i], i > 0 ? v->pts[i - 1] : c->prev_pts,
                            v->t->origin, v->t->info.video.tb);
}

static int64_t to_ticks(const struct venc *v, int64_t pts)
{
    return plan_ticks(pts, v->t->origin, v->t->info.video.tb, v->t->timescale);
}

/* Which frames are kept, at which ticks, and where GOPs begin among them. */
static int lay_out(struct venc *v, struct err *err)
{
    const struct chunk *c = &v->t->chunk;
    size_t gop = 0;

    v->ticks = malloc((c->pts.n_frames + 1) * sizeof(*v->ticks));
    v->gop_first = malloc((c->n_gops + 1) * sizeof(*v->gop_first));
    if (!v->ticks || !v->gop_first)
        return oom(err);
    for (size_t i = 0; i < c->pts.n_frames; i++) {
        int starts = gop < c->n_gops && v->pts[i] == c->gops[gop];
        if (starts)
            v->gop_first[gop++] = v->n_kept;
        if (keeps(v, i))
            v->ticks[v->n_kept++] = to_ticks(v, v->pts[i]);
        else if (starts)
            return err_set(err, -EPROTO, ERR_INTERNAL,
                           "rendition %s: GOP %zu begins at a frame that is not kept", v->r->name,
                           gop - 1);
    }
    if (gop != c->n_gops || v->n_kept == 0)
        return err_set(err, -EPROTO, ERR_INTERNAL,
                       "rendition %s: %zu of %zu GOPs begin at a frame of the chunk", v->r->name,
                       gop, c->n_gops);
    v->gop_first[gop] = v->n_kept;
    v->ticks[v->n_kept] = to_ticks(v, c->end);
    return 0;
}

/* Numbers give every encoder the constant frame rate that it is built for.
 * x264 alone takes real times, and uses them for its rate cap. */
static int open_encoder(const struct venc *v, size_t gop, AVCodecContext **ret, struct err *err)
{
    AVRational tb = v->in_ticks ? (AVRational){ 1, (int)v->t->timescale } : av_inv_q(v->r->rate);
    size_t frames = v->gop_first[gop + 1] - v->gop_first[gop];

    return encoder_open(v->r, tb, v->r->gop_reset ? (int)frames : 0, ret, err);
}

static int64_t longest_gop(const struct venc *v)
{
    int64_t longest = 0;

    for (size_t g = 0; g < v->t->chunk.n_gops; g++) {
        int64_t d = v->ticks[v->gop_first[g + 1]] - v->ticks[v->gop_first[g]];
        longest = d > longest ? d : longest;
    }
    return longest;
}

static int open_segmenter(struct venc *v, struct err *err)
{
    const struct chunk *c = &v->t->chunk;
    const struct segmenter_config cfg = {
        .in = v->in,
        .r = v->r,
        .enc = v->enc,
        .timescale = v->t->timescale,
        .first_fragment = c->first_gop,
        .first_segment = c->first_segment,
        .longest_gop = longest_gop(v),
        .store_init = c->index == 0,
    };

    return segmenter_new(&cfg, &v->seg, err);
}

/* A part of the chunk at most, so that a short one isn't encoded twice. */
static int hold_first_frames(struct venc *v, struct err *err)
{
    size_t most = v->n_kept / 4;

    if (v->t->chunk.index == 0 || v->r->warm_up <= 0 || most == 0)
        return 0;
    v->warm_up = (size_t)v->r->warm_up < most ? (size_t)v->r->warm_up : most;
    v->held = calloc(v->warm_up + 1, sizeof(*v->held));
    return v->held ? 0 : oom(err);
}

int venc_new(struct inside *in, const struct task *t, const struct rendition *r, const int64_t *pts,
             struct venc **ret, struct err *err)
{
    struct venc *v = calloc(1, sizeof(*v));

    if (!v)
        return oom(err);
    *v = (struct venc){ .in = in, .t = t, .r = r, .pts = pts, .next_segment = 1 };
    v->in_ticks = t->info.video.vfr && strcmp(r->encoder, "libx264") == 0;
    int n = lay_out(v, err);
    if (n == 0)
        n = hold_first_frames(v, err);
    if (n == 0 && !(v->pkt = av_packet_alloc()))
        n = oom(err);
    if (n < 0) {
        venc_free(v);
        return n;
    }
    *ret = v;
    return 0;
}

static void drop_held(struct venc *v)
{
    for (size_t i = 0; i < v->n_held; i++)
        av_frame_free(&v->held[i]);
    free(v->held);
    v->held = NULL;
    v->n_held = 0;
}

static void drop_packets(struct venc *v)
{
    for (size_t i = 0; i < v->n_pkts; i++)
        av_packet_free(&v->gop_pkts[i]);
    v->n_pkts = 0;
}

void venc_free(struct venc *v)
{
    if (!v)
        return;
    drop_held(v);
    drop_packets(v);
    free(v->gop_pkts);
    free(v->ticks);
    free(v->header);
    free(v->gop_first);
    av_packet_free(&v->pkt);
    segmenter_free(v->seg);
    /* SVT-AV1 waits for ever to be closed when it wasn't told the end first.
     * That happens only on the way to a failure, which ends the process. */
    if (v->ended || strcmp(v->r->encoder, "libsvtav1") != 0)
        avcodec_free_context(&v->enc);
    free(v);
}

/* ---- packets ---- */

/* The number among the kept that a packet's time stands for; n_kept: none. */
static size_t packet_number(const struct venc *v, int64_t pts)
{
    size_t lo = 0, hi = v->n_kept;

    if (!v->in_ticks)
        return pts >= 0 && (size_t)pts < v->n_kept ? (size_t)pts : v->n_kept;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (v->ticks[mid] < pts)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < v->n_kept && v->ticks[lo] == pts ? lo : v->n_kept;
}

static int end_segment(struct venc *v, struct err *err)
{
    const struct chunk *c = &v->t->chunk;
    size_t last = v->next_segment - 1;
    size_t to = v->next_segment < c->n_segments ? c->segments[v->next_segment] : c->n_gops;

    if (v->gop + 1 != to)
        return 0;
    v->next_segment++;
    return segmenter_cut(v->seg, v->ticks[v->gop_first[c->segments[last]]],
                         v->ticks[v->gop_first[to]], err);
}

/* All packets of the GOP are there. */
static int end_gop(struct venc *v, struct err *err)
{
    size_t from = v->gop_first[v->gop], to = v->gop_first[v->gop + 1];

    if (v->n_pkts != to - from)
        return err_set(err, -EPROTO, ERR_INTERNAL,
                       "rendition %s: %s made %zu pictures of a GOP's %zu frames", v->r->name,
                       v->r->encoder, v->n_pkts, to - from);
    int r = segmenter_gop(v->seg, v->gop_pkts, v->n_pkts, v->ticks[from], v->ticks[to], err);
    drop_packets(v);
    if (r == 0)
        r = end_segment(v, err);
    v->gop++;
    return r;
}

static int keep_packet(struct venc *v, struct err *err)
{
    if (v->n_pkts == v->room_pkts) {
        size_t room = v->room_pkts ? v->room_pkts * 2 : 64;
        AVPacket **p = realloc(v->gop_pkts, room * sizeof(*p));
        if (!p)
            return oom(err);
        v->gop_pkts = p;
        v->room_pkts = room;
    }
    AVPacket *p = av_packet_alloc();
    if (!p)
        return oom(err);
    av_packet_move_ref(p, v->pkt);
    v->gop_pkts[v->n_pkts++] = p;
    return 0;
}

/* AV1 is described by the sequence header in the first packet. libaom tells it there
 * only; what SVT-AV1 says beforehand leaves out tools that its pictures then use. */
static int take_sequence_header(struct venc *v, struct err *err)
{
    struct obu_header h;

    if (v->enc->codec_id != AV_CODEC_ID_AV1)
        return 0;
    int r = obu_header_read(v->pkt->data, (size_t)v->pkt->size, &h, err);
    if (r < 0)
        return err_prefix(err, r, "rendition %s: %s", v->r->name, v->r->encoder);
    av_freep(&v->enc->extradata);
    v->enc->extradata = av_memdup(h.p, h.n + AV_INPUT_BUFFER_PADDING_SIZE);
    v->enc->extradata_size = v->enc->extradata ? (int)h.n : 0;
    free(h.p);
    return v->enc->extradata ? 0 : oom(err);
}

/* With an encoder's first packet: there is one init segment, so what
 * describes the stream must be what the first encoder said. */
static int describe(struct venc *v, struct err *err)
{
    if (v->described)
        return 0;
    v->described = 1;
    int r = take_sequence_header(v, err);
    if (r < 0)
        return r;
    int n = v->enc->extradata_size;
    if (v->seg)
        return n == v->header_size && memcmp(v->header, v->enc->extradata, (size_t)n) == 0
                   ? 0
                   : err_set(err, -EPROTO, ERR_INTERNAL,
                             "rendition %s: %s described GOP %zu otherwise than the first",
                             v->r->name, v->r->encoder, v->gop);
    v->header = malloc(n > 0 ? (size_t)n : 1);
    if (!v->header)
        return oom(err);
    memcpy(v->header, v->enc->extradata, (size_t)n);
    v->header_size = n;
    return open_segmenter(v, err);
}

static int is_warm_up(const struct venc *v, int64_t pts)
{
    return v->warm_up > 0 && pts != AV_NOPTS_VALUE && pts < (v->in_ticks ? v->ticks[0] : 0);
}

static int take_packet(struct venc *v, struct err *err)
{
    size_t i = packet_number(v, v->pkt->pts);
    int r = describe(v, err);

    if (r < 0 || is_warm_up(v, v->pkt->pts))
        return r;
    if (i == v->n_kept && v->ahead > 0) /* before the chunk's last: the check of its GOP says so */
        return 0;
    if (i == v->n_kept)
        return err_set(err, -EPROTO, ERR_INTERNAL, "rendition %s: %s made a picture nobody sent",
                       v->r->name, v->r->encoder);
    if (i >= v->gop_first[v->gop + 1])
        r = end_gop(v, err);
    if (r == 0 && (i < v->gop_first[v->gop] || i >= v->gop_first[v->gop + 1]))
        r = err_set(err, -EPROTO, ERR_INTERNAL, "rendition %s: %s mixed pictures of two GOPs",
                    v->r->name, v->r->encoder);
    if (r < 0)
        return r;
    v->pkt->pts = v->ticks[i];
    v->pkt->time_base = (AVRational){ 1, (int)v->t->timescale };
    v->taken++;
    return keep_packet(v, err);
}

/* What an encoder has looked at behind the chunk stays where it is. */
static int is_done(const struct venc *v)
{
    return v->ahead > 0 && v->taken == v->n_kept;
}

static int drain(struct venc *v, struct err *err)
{
    int n = 0;

    while (!is_done(v)) {
        n = avcodec_receive_packet(v->enc, v->pkt);
        if (n < 0)
            break;
        int r = take_packet(v, err);
        av_packet_unref(v->pkt);
        if (r < 0)
            return r;
    }
    return n >= 0 || n == AVERROR(EAGAIN) || n == AVERROR_EOF
               ? 0
               : err_set(err, n == AVERROR(ENOMEM) ? -ENOMEM : -EIO,
                         n == AVERROR(ENOMEM) ? ERR_RESOURCE : ERR_INTERNAL,
                         "rendition %s: %s failed: %s", v->r->name, v->r->encoder, av_err2str(n));
}

/* ---- frames ---- */

static int send(struct venc *v, const AVFrame *f, struct err *err)
{
    int n = avcodec_send_frame(v->enc, f);

    if (n < 0)
        return err_set(err, n == AVERROR(ENOMEM) ? -ENOMEM : -EIO,
                       n == AVERROR(ENOMEM) ? ERR_RESOURCE : ERR_INTERNAL,
                       "rendition %s: %s refuses a frame: %s", v->r->name, v->r->encoder,
                       av_err2str(n));
    n = drain(v, err);
    v->ended = !f && n == 0;
    return n;
}

/* The GOP that begins with that kept frame; n_gops: none does. */
static size_t gop_at(const struct venc *v, size_t kept)
{
    size_t lo = 0, hi = v->t->chunk.n_gops;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (v->gop_first[mid] < kept)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < v->t->chunk.n_gops && v->gop_first[lo] == kept ? lo : v->t->chunk.n_gops;
}

/* An encoder of its own for the next GOP. */
static int renew_encoder(struct venc *v, size_t gop, struct err *err)
{
    AVCodecContext *next;
    int r = send(v, NULL, err);

    if (r == 0)
        r = open_encoder(v, gop, &next, err);
    if (r < 0)
        return r;
    avcodec_free_context(&v->enc);
    v->enc = next;
    v->described = 0;
    return 0;
}

static void tag(const struct venc *v, AVFrame *f)
{
    /* Closed captions: encoders would pass them on, while playlists say that there are none. */
    av_frame_remove_side_data(f, AV_FRAME_DATA_A53_CC);
    f->key_frame = 0;
    f->interlaced_frame = 0;
    f->sample_aspect_ratio = v->r->sar;
    f->color_primaries = v->r->color.primaries;
    f->color_trc = v->r->color.transfer;
    f->colorspace = v->r->color.matrix;
    f->color_range = v->r->color.range;
}

/* Whether kept frame k is shown for several times as long as most are. */
static int stays(const struct venc *v, size_t k)
{
    AVRational of_nominal = av_mul_q(v->r->rate, (AVRational){ 1, (int)v->t->timescale });

    return k < v->n_kept &&
           (double)(v->ticks[k + 1] - v->ticks[k]) * av_q2d(of_nominal) > PAUSE_FRAMES;
}

/* What follows a picture in the file decodes when that one ends. If that were a B
 * picture which is shown before it, its composition offset would be as long below 0:
 * libavformat shows all that follows that much later. So nothing is reordered
 * across a picture that stays. */
static enum AVPictureType type_of(const struct venc *v, size_t k, int starts)
{
    if (starts && !v->r->gop_reset)
        return AV_PICTURE_TYPE_I;
    return stays(v, k) || stays(v, k + 1) ? AV_PICTURE_TYPE_P : AV_PICTURE_TYPE_NONE;
}

/* The next kept frame. */
static int push_kept(struct venc *v, AVFrame *f, struct err *err)
{
    size_t k = v->sent++;
    size_t gop = gop_at(v, k);
    int starts = gop < v->t->chunk.n_gops;

    if (starts && k > 0 && v->r->gop_reset) {
        int n = renew_encoder(v, gop, err);
        if (n < 0)
            return n;
    }
    tag(v, f);
    f->pts = v->in_ticks ? v->ticks[k] : (int64_t)k;
    f->pkt_duration = v->in_ticks ? v->ticks[k + 1] - v->ticks[k] : 1;
    f->pict_type = type_of(v, k, starts);
    return send(v, f, err);
}

/* Frame k of the chunk as the k-th before its first: time runs backwards
 * towards it. */
static int push_mirrored(struct venc *v, size_t k, AVFrame *f, struct err *err)
{
    tag(v, f);
    f->pts = v->in_ticks ? 2 * v->ticks[0] - v->ticks[k] : -(int64_t)k;
    f->pkt_duration = v->in_ticks ? v->ticks[k] - v->ticks[k - 1] : 1;
    f->pict_type = AV_PICTURE_TYPE_NONE;
    return send(v, f, err);
}

static int push_held(struct venc *v, struct err *err)
{
    int r = 0;

    for (size_t k = v->warm_up; k > 0 && r == 0; k--)
        r = push_mirrored(v, k, v->held[k], err);
    for (size_t k = 0; k <= v->warm_up && r == 0; k++)
        r = push_kept(v, v->held[k], err);
    drop_held(v);
    return r;
}

static int hold(struct venc *v, const AVFrame *f, struct err *err)
{
    v->held[v->n_held] = av_frame_clone(f);
    if (!v->held[v->n_held])
        return oom(err);
    return ++v->n_held <= v->warm_up ? 0 : push_held(v, err);
}

int venc_push(struct venc *v, size_t i, AVFrame *f, struct err *err)
{
    if (!keeps(v, i))
        return 0;
    if (!v->enc) {
        int r = open_encoder(v, 0, &v->enc, err);
        if (r < 0)
            return r;
    }
    return v->held ? hold(v, f, err) : push_kept(v, f, err);
}

/* The first begins the next chunk with a keyframe. */
int venc_look_ahead(struct venc *v, AVFrame *f, struct err *err)
{
    const struct task *t = v->t;
    int64_t pts = f->pts, prev = v->ahead > 0 ? v->prev_pts : v->pts[t->chunk.pts.n_frames - 1];

    if (v->sent != v->n_kept || v->ahead >= v->r->look_ahead || is_done(v))
        return 0;
    v->prev_pts = pts;
    if (!frame_grid_keeps(&v->r->grid, pts, prev, t->origin, t->info.video.tb))
        return 0;
    tag(v, f);
    f->pts = v->in_ticks ? to_ticks(v, pts) : (int64_t)v->n_kept + v->ahead;
    f->pict_type = v->ahead == 0 ? AV_PICTURE_TYPE_I : AV_PICTURE_TYPE_NONE;
    v->ahead++;
    return send(v, f, err);
}

int venc_finish(struct venc *v, struct rendition_result *ret, struct err *err)
{
    int r = send(v, NULL, err);

    if (r == 0)
        r = end_gop(v, err);
    if (r == 0 && v->gop != v->t->chunk.n_gops)
        r = err_set(err, -EPROTO, ERR_INTERNAL, "rendition %s: %s made %zu of %zu GOPs", v->r->name,
                    v->r->encoder, v->gop, v->t->chunk.n_gops);
    return r < 0 ? r : segmenter_result(v->seg, ret, err);
}
