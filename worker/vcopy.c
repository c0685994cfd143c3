#include "vcopy.h"

#include "../common/base/err.h"
#include "../common/media/bitstream.h"
#include "segmenter.h"

#include <errno.h>
#include <libavutil/pixdesc.h>
#include <string.h>

struct vcopy {
    struct inside *in;
    const struct task *t;
    const struct rendition *r;
    const int64_t *pts; /* the chunk's pictures */
    size_t n;
    struct bitstream *bits;
    struct segmenter *seg;
    int64_t *ticks;    /* of the pictures, and the end of the last one */
    size_t *gop_first; /* number of each GOP's first picture; [n_gops] == n */

    size_t done, gop, next_segment; /* pictures taken; GOP being gathered; segment after it */
    AVPacket **pkts;                /* of that GOP */
    size_t n_pkts, room;
};

static int oom(struct err *err)
{
    return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory for a copy");
}

/* ---- what is planned ---- */

static int64_t to_ticks(const struct vcopy *v, int64_t pts)
{
    return plan_ticks(pts, v->t->origin, v->t->info.video.tb, v->t->timescale);
}

static int lay_out(struct vcopy *v, struct err *err)
{
    const struct chunk *c = &v->t->chunk;
    size_t gop = 0;

    v->ticks = malloc((v->n + 1) * sizeof(*v->ticks));
    v->gop_first = malloc((c->n_gops + 1) * sizeof(*v->gop_first));
    if (!v->ticks || !v->gop_first)
        return oom(err);
    for (size_t i = 0; i < v->n; i++) {
        if (gop < c->n_gops && v->pts[i] == c->gops[gop])
            v->gop_first[gop++] = i;
        v->ticks[i] = to_ticks(v, v->pts[i]);
    }
    v->ticks[v->n] = to_ticks(v, c->end);
    v->gop_first[gop] = v->n;
    if (gop != c->n_gops || v->n == 0)
        return err_set(err, -EPROTO, ERR_INTERNAL,
                       "rendition %s: %zu of %zu GOPs begin at a picture of the chunk", v->r->name,
                       gop, c->n_gops);
    return 0;
}

static int64_t longest_gop(const struct vcopy *v)
{
    int64_t longest = 0;

    for (size_t g = 0; g < v->t->chunk.n_gops; g++) {
        int64_t d = v->ticks[v->gop_first[g + 1]] - v->ticks[v->gop_first[g]];
        longest = d > longest ? d : longest;
    }
    return longest;
}

/* ---- the segmenter ---- */

/* As an encoder that had made these packets would describe itself. */
static int describe(const struct vcopy *v, AVCodecContext *c, const AVCodecParameters *par)
{
    size_t n;
    const uint8_t *header = bitstream_header(v->bits, &n);
    const struct color_info *color = &v->r->color;

    c->codec_type = AVMEDIA_TYPE_VIDEO;
    c->codec_id = par->codec_id;
    c->width = v->r->width;
    c->height = v->r->height;
    c->pix_fmt = av_get_pix_fmt(v->r->pix_fmt);
    c->sample_aspect_ratio = v->r->sar;
    c->framerate = v->r->rate;
    c->color_primaries = color->primaries;
    c->color_trc = color->transfer;
    c->colorspace = color->matrix;
    c->color_range = color->range;
    c->chroma_sample_location = color->chroma_location;
    c->extradata = av_mallocz(n + AV_INPUT_BUFFER_PADDING_SIZE);
    if (!c->extradata)
        return -ENOMEM;
    memcpy(c->extradata, header, n);
    c->extradata_size = (int)n;
    return 0;
}

static int open_segmenter(struct vcopy *v, const AVCodecParameters *par, struct err *err)
{
    const struct chunk *c = &v->t->chunk;
    AVCodecContext *enc = avcodec_alloc_context3(NULL);
    const struct segmenter_config cfg = {
        .in = v->in,
        .r = v->r,
        .enc = enc,
        .timescale = v->t->timescale,
        .first_fragment = c->first_gop,
        .first_segment = c->first_segment,
        .longest_gop = longest_gop(v),
        .store_init = c->index == 0,
    };
    int r = enc && describe(v, enc, par) == 0 ? segmenter_new(&cfg, &v->seg, err) : oom(err);

    avcodec_free_context(&enc);
    return r;
}

int vcopy_new(struct inside *in, const struct task *t, const struct rendition *r,
              const AVCodecParameters *par, const int64_t *pts, struct vcopy **ret, struct err *err)
{
    struct vcopy *v = calloc(1, sizeof(*v));

    if (!v)
        return oom(err);
    *v = (struct vcopy){
        .in = in, .t = t, .r = r, .pts = pts, .n = t->chunk.pts.n_frames, .next_segment = 1
    };
    int n = lay_out(v, err);
    if (n == 0)
        n = bitstream_new(par, &v->bits, err);
    if (n == 0)
        n = bitstream_tag(v->bits, &r->color, err);
    if (n == 0)
        n = open_segmenter(v, par, err);
    if (n < 0) {
        vcopy_free(v);
        return err_prefix(err, n, "rendition %s", r->name);
    }
    *ret = v;
    return 0;
}

static void drop_packets(struct vcopy *v)
{
    for (size_t i = 0; i < v->n_pkts; i++)
        av_packet_free(&v->pkts[i]);
    v->n_pkts = 0;
}

void vcopy_free(struct vcopy *v)
{
    if (!v)
        return;
    drop_packets(v);
    free(v->pkts);
    free(v->ticks);
    free(v->gop_first);
    bitstream_free(v->bits);
    segmenter_free(v->seg);
    free(v);
}

/* ---- packets ---- */

static int end_segment(struct vcopy *v, struct err *err)
{
    const struct chunk *c = &v->t->chunk;
    size_t from = c->segments[v->next_segment - 1];
    size_t to = v->next_segment < c->n_segments ? c->segments[v->next_segment] : c->n_gops;

    if (v->gop + 1 != to)
        return 0;
    v->next_segment++;
    return segmenter_cut(v->seg, v->ticks[v->gop_first[from]], v->ticks[v->gop_first[to]], err);
}

static int end_gop(struct vcopy *v, struct err *err)
{
    size_t from = v->gop_first[v->gop], to = v->gop_first[v->gop + 1];

    if (v->n_pkts != to - from)
        return err_set(err, -EPROTO, ERR_INTERNAL,
                       "rendition %s: the source has %zu pictures of a GOP's %zu", v->r->name,
                       v->n_pkts, to - from);
    int r = segmenter_gop(v->seg, v->pkts, v->n_pkts, v->ticks[from], v->ticks[to], err);
    drop_packets(v);
    if (r == 0)
        r = end_segment(v, err);
    v->gop++;
    return r;
}

/* The number of the picture with that pts; n: none has it. */
static size_t picture_number(const struct vcopy *v, int64_t pts)
{
    size_t lo = 0, hi = v->n;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (v->pts[mid] < pts)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < v->n && v->pts[lo] == pts ? lo : v->n;
}

static int make_room(struct vcopy *v)
{
    if (v->n_pkts < v->room)
        return 0;
    size_t room = v->room ? v->room * 2 : 64;
    AVPacket **p = realloc(v->pkts, room * sizeof(*p));
    if (!p)
        return -ENOMEM;
    v->pkts = p;
    v->room = room;
    return 0;
}

static int keep(struct vcopy *v, const AVPacket *from, size_t number, struct err *err)
{
    AVPacket *p = make_room(v) == 0 ? av_packet_alloc() : NULL;
    int idr;

    if (!p)
        return oom(err);
    v->pkts[v->n_pkts++] = p;
    int r = bitstream_packet(v->bits, from, p, &idr, err);
    if (r < 0)
        return err_prefix(err, r, "rendition %s", v->r->name);
    p->flags = idr ? AV_PKT_FLAG_KEY : 0;
    p->pts = v->ticks[number];
    p->time_base = (AVRational){ 1, (int)v->t->timescale };
    v->done++;
    return 0;
}

int vcopy_push(struct vcopy *v, const AVPacket *p, struct err *err)
{
    const struct chunk *c = &v->t->chunk;
    int r = 0;

    if (p->flags & AV_PKT_FLAG_DISCARD || p->pts == AV_NOPTS_VALUE || p->pts < c->start ||
        p->pts >= c->end)
        return 0;
    size_t i = picture_number(v, p->pts);
    if (i < v->n && v->gop < c->n_gops && i >= v->gop_first[v->gop + 1])
        r = end_gop(v, err);
    if (r < 0)
        return r;
    if (i == v->n || v->gop == c->n_gops || i < v->gop_first[v->gop] ||
        i >= v->gop_first[v->gop + 1])
        return err_set(err, -EPROTO, ERR_INTERNAL,
                       "rendition %s: the source's packet at %lld isn't one of GOP %zu", v->r->name,
                       (long long)p->pts, v->gop);
    return keep(v, p, i, err);
}

size_t vcopy_done(const struct vcopy *v)
{
    return v->done;
}

int vcopy_finish(struct vcopy *v, struct rendition_result *ret, struct err *err)
{
    int r = v->gop < v->t->chunk.n_gops ? end_gop(v, err) : 0;

    if (r == 0 && v->gop != v->t->chunk.n_gops)
        r = err_set(err, -EPROTO, ERR_INTERNAL, "rendition %s: the source has %zu of %zu GOPs",
                    v->r->name, v->gop, v->t->chunk.n_gops);
    return r < 0 ? r : segmenter_result(v->seg, ret, err);
}
