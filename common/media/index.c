/* Reading every packet's times once, and what they say about the stream. */
#include "../base/cleanup.h"
#include "../base/err.h"
#include "index_build.h"
#include "open.h"

#include <errno.h>
#include <libavutil/intreadwrite.h>
#include <limits.h>
#include <string.h>

enum { PACKETS_MAX = 50000000 }; /* a week at 80 frames a second */

static int add_packet(struct media_index *idx, size_t *room, const AVPacket *pkt)
{
    if (idx->n == *room) {
        size_t n = *room ? *room * 2 : 4096;
        struct index_packet *p = realloc(idx->packets, n * sizeof(*p));
        if (!p)
            return -ENOMEM;
        idx->packets = p;
        *room = n;
    }
    idx->packets[idx->n++] = (struct index_packet){
        .pts = pkt->pts == AV_NOPTS_VALUE ? INT64_MIN : pkt->pts,
        .dts = pkt->dts == AV_NOPTS_VALUE ? INT64_MIN : pkt->dts,
        .duration = pkt->duration > 0 ? pkt->duration : 0,
        .pos = pkt->pos,
        .size = (uint32_t)pkt->size,
        .flags = (pkt->flags & AV_PKT_FLAG_KEY ? PACKET_KEY : 0u) |
                 (pkt->flags & AV_PKT_FLAG_DISCARD ? PACKET_HIDDEN : 0u),
    };
    return 0;
}

/* H.264 may code the two fields of a frame as two packets (PAFF): the frame
 * has the first one's time, and the second is decoded but shows nothing new. */
struct fields {
    AVCodecParserContext *parser;
    AVCodecContext *codec;
    int open; /* structure of a first field whose second is yet to come */
};

static void fields_open(struct fields *f, const AVStream *st)
{
    if (st->codecpar->codec_id != AV_CODEC_ID_H264)
        return;
    f->parser = av_parser_init(AV_CODEC_ID_H264);
    f->codec = avcodec_alloc_context3(NULL);
    if (f->parser && f->codec && avcodec_parameters_to_context(f->codec, st->codecpar) >= 0)
        f->parser->flags |= PARSER_FLAG_COMPLETE_FRAMES;
    else
        av_parser_close(take_ptr(f->parser));
}

static void fields_close(struct fields *f)
{
    av_parser_close(f->parser);
    avcodec_free_context(&f->codec);
}

/* Whether this packet is the second field of the one before. */
static int is_second_field(struct fields *f, const AVPacket *pkt)
{
    uint8_t *out;
    int n, first = f->open;

    f->open = 0;
    if (!f->parser)
        return 0;
    (void)av_parser_parse2(f->parser, f->codec, &out, &n, pkt->data, pkt->size, pkt->pts, pkt->dts,
                           pkt->pos);
    int now = f->parser->picture_structure;
    if (now != AV_PICTURE_STRUCTURE_TOP_FIELD && now != AV_PICTURE_STRUCTURE_BOTTOM_FIELD)
        return 0;
    if (first && first != now)
        return 1;
    f->open = now;
    return 0;
}

/* Priming that the decoder will leave out, in the stream's ticks. */
static int64_t skipped(const AVStream *st, const AVPacket *pkt)
{
    size_t n = 0;
    const uint8_t *p = av_packet_get_side_data(pkt, AV_PKT_DATA_SKIP_SAMPLES, &n);

    int64_t samples = p && n >= 4 ? (int64_t)AV_RL32(p) : st->codecpar->initial_padding;

    if (st->codecpar->sample_rate <= 0)
        return 0;
    return av_rescale_q(samples, (AVRational){ 1, st->codecpar->sample_rate }, st->time_base);
}

static void follow_audio(struct index_audio *a, const AVStream *st, AVPacket *pkt)
{
    if (pkt->pts == AV_NOPTS_VALUE || pkt->flags & AV_PKT_FLAG_DISCARD)
        return;
    int64_t pts = media_unwrap(pkt->pts, a->last, st->pts_wrap_bits);
    a->last = pts;
    if (a->start == AV_NOPTS_VALUE)
        a->start = pts + skipped(st, pkt);
    else if (pts < a->start)
        a->start = pts;
    if (a->end == AV_NOPTS_VALUE || pts + pkt->duration > a->end)
        a->end = pts + pkt->duration;
}

static void unwrap_packet(const AVStream *st, AVPacket *pkt, int64_t *last)
{
    pkt->dts = media_unwrap(pkt->dts, *last, st->pts_wrap_bits);
    pkt->pts = media_unwrap(pkt->pts, pkt->dts != AV_NOPTS_VALUE ? pkt->dts : *last,
                            st->pts_wrap_bits);
    if (pkt->dts != AV_NOPTS_VALUE)
        *last = pkt->dts;
    else if (pkt->pts != AV_NOPTS_VALUE)
        *last = pkt->pts;
}

/* Where the packet's bytes are at hand, whether decoding may begin at it is
 * known at once, and needs no second look. */
static void look(struct index_packet *p, const AVStream *st, const AVPacket *pkt)
{
    if (!(p->flags & PACKET_KEY) || st->codecpar->codec_id != AV_CODEC_ID_H264)
        return;
    p->flags |= PACKET_SEEN;
    if (!keyframe_is_safe(st->codecpar, pkt->data, (size_t)pkt->size))
        p->flags |= PACKET_UNSAFE;
}

static struct index_track *track_of(struct index_track *tracks, size_t n, int stream)
{
    for (size_t i = 0; i < n; i++)
        if (tracks[i].stream == stream)
            return &tracks[i];
    return NULL;
}

/* Let the demuxer drop what isn't wanted. */
static void scan_begin(struct media_source *s, int video, struct index_track *tracks, size_t n)
{
    for (size_t i = 0; i < n; i++)
        tracks[i].times = (struct index_audio){ AV_NOPTS_VALUE, AV_NOPTS_VALUE, AV_NOPTS_VALUE };
    for (unsigned i = 0; i < s->fmt->nb_streams; i++)
        if ((int)i != video && !track_of(tracks, n, (int)i))
            s->fmt->streams[i]->discard = AVDISCARD_ALL;
}

int index_scan(struct media_source *s, int video, struct index_track *tracks, size_t n_tracks,
               struct media_index *idx, struct err *err)
{
    struct fields fields = { 0 };
    int64_t last = AV_NOPTS_VALUE;
    size_t room = 0;
    AVPacket *pkt = av_packet_alloc();
    int r = pkt ? 0 : -ENOMEM;

    scan_begin(s, video, tracks, n_tracks);
    /* The samples of MP4 are whole frames, and are not read here. */
    if (video >= 0 && !media_is_mov(s))
        fields_open(&fields, s->fmt->streams[video]);
    while (r == 0 && (r = media_read(s, pkt, err)) == 0) {
        struct index_track *track = track_of(tracks, n_tracks, pkt->stream_index);
        if (track)
            follow_audio(&track->times, s->fmt->streams[pkt->stream_index], pkt);
        if (pkt->stream_index == video) {
            unwrap_packet(s->fmt->streams[video], pkt, &last);
            int second = is_second_field(&fields, pkt);
            r = idx->n < PACKETS_MAX ? add_packet(idx, &room, pkt) : -E2BIG;
            if (r == 0 && second)
                idx->packets[idx->n - 1].flags |= PACKET_SECOND | PACKET_HIDDEN;
            if (r == 0 && !media_is_mov(s))
                look(&idx->packets[idx->n - 1], s->fmt->streams[video], pkt);
        }
        av_packet_unref(pkt);
    }
    av_packet_free(&pkt);
    fields_close(&fields);
    if (r == -ENOMEM)
        return err_set(err, r, ERR_RESOURCE, "out of memory for the index");
    if (r == -E2BIG)
        return err_set(err, r, ERR_INPUT, "the source has more than %d video frames", PACKETS_MAX);
    return r == AVERROR_EOF ? 0 : r;
}

/* ---- what the times say ---- */

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* Rising shown pts, doubles dropped. */
static size_t shown_times(const struct media_index *idx, int64_t *ret, uint64_t *ret_doubles)
{
    size_t n = 0, m = 0;
    int use_dts = 1;

    for (size_t i = 0; i < idx->n && use_dts; i++)
        use_dts = idx->packets[i].pts == INT64_MIN;
    for (size_t i = 0; i < idx->n; i++) {
        const struct index_packet *p = &idx->packets[i];
        int64_t t = use_dts ? p->dts : p->pts;
        if (t != INT64_MIN && !(p->flags & PACKET_HIDDEN))
            ret[n++] = t;
    }
    qsort(ret, n, sizeof(*ret), compare);
    for (size_t i = 0; i < n; i++)
        if (m == 0 || ret[i] != ret[m - 1])
            ret[m++] = ret[i];
    *ret_doubles = n - m;
    return m;
}

/* The commonest distance: the middle one would mistake a 3:2 pattern. */
static int64_t commonest_delta(const int64_t *t, size_t n)
{
    int64_t *d = malloc((n - 1) * sizeof(*d)), best = t[1] - t[0];
    size_t run = 0, best_run = 0;

    if (!d)
        return best;
    for (size_t i = 0; i + 1 < n; i++)
        d[i] = t[i + 1] - t[i];
    qsort(d, n - 1, sizeof(*d), compare);
    for (size_t i = 0; i + 1 < n; i++) {
        run = i > 0 && d[i] == d[i - 1] ? run + 1 : 1;
        if (run > best_run) {
            best_run = run;
            best = d[i];
        }
    }
    free(d);
    return best;
}

/* Whether frame i stands at t[0] + i * step for every i, to within the
 * rounding of a timestamp. */
static int is_constant(const int64_t *t, size_t n, double step)
{
    for (size_t i = 0; i < n; i++) {
        double off = (double)(t[i] - t[0]) - (double)i * step;
        if (off > 1.01 || off < -1.01)
            return 0;
    }
    return 1;
}

/* Rates that containers with coarse timestamps can't spell. */
static AVRational nearest_rate(double rate, double tolerance)
{
    static const AVRational known[] = {
        {24000,   1001},
        { 24,     1   },
        { 25,     1   },
        { 30000,  1001},
        { 30,     1   },
        { 48,     1   },
        { 48000,  1001},
        { 50,     1   },
        { 60000,  1001},
        { 60,     1   },
        { 15,     1   },
        { 15000,  1001},
        { 120000, 1001},
        { 120,    1   },
        { 25,     2   },
        { 12,     1   },
        { 10,     1   },
        { 100,    1   },
        { 240,    1   },
    };
    double best = tolerance;
    AVRational ret = av_d2q(rate, 1001000);

    for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
        double off = av_q2d(known[i]) / rate - 1;
        if (off < 0)
            off = -off;
        if (off < best) {
            best = off;
            ret = known[i];
        }
    }
    return ret;
}

static AVRational clamp_rate(AVRational r)
{
    if (r.num <= 0 || r.den <= 0 || av_q2d(r) > 300)
        return (AVRational){ 300, 1 };
    return av_q2d(r) < 0.1 ? (AVRational){ 1, 10 } : r;
}

static void set_rate(struct video_info *v, const int64_t *t, size_t n)
{
    double tick = av_q2d(v->tb);

    if (n < 2) {
        if (v->rate.num <= 0 || v->rate.den <= 0)
            v->rate = (AVRational){ 25, 1 };
        return;
    }
    double step = (double)(t[n - 1] - t[0]) / (double)(n - 1);
    v->vfr = !is_constant(t, n, step);
    if (!v->vfr) {
        /* The first and last timestamps are each off by up to one tick. */
        double tolerance = 2.0 / (double)(t[n - 1] - t[0]);
        v->rate = nearest_rate(1 / (step * tick), tolerance > 1e-6 ? tolerance : 1e-6);
    } else {
        double delta = (double)commonest_delta(t, n);
        v->rate = nearest_rate(1 / (delta * tick), 1 / delta > 0.02 ? 0.02 : 1 / delta);
    }
    v->rate = clamp_rate(v->rate);
}

int index_describe(const struct media_index *idx, struct video_info *v, uint64_t *ret_doubles,
                   struct err *err)
{
    uint64_t bytes = 0;
    int64_t last_duration = 0;
    _cleanup_free_ int64_t *t = malloc((idx->n ? idx->n : 1) * sizeof(*t));

    if (!t)
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory for the index");
    size_t n = shown_times(idx, t, ret_doubles);
    if (n == 0)
        return err_set(err, -EINVAL, ERR_INPUT, "no frame of the video stream can be shown");
    set_rate(v, t, n);
    for (size_t i = 0; i < idx->n; i++) {
        bytes += idx->packets[i].size;
        if (idx->packets[i].pts == t[n - 1])
            last_duration = idx->packets[i].duration;
    }
    if (last_duration <= 0)
        last_duration = n > 1 ? commonest_delta(t, n) : av_rescale_q(1, av_inv_q(v->rate), v->tb);
    v->start = t[0];
    v->end = t[n - 1] + (last_duration > 0 ? last_duration : 1);
    v->frames = n;
    v->bit_rate = (int64_t)((double)bytes * 8 / ((double)(v->end - v->start) * av_q2d(v->tb)));
    return 0;
}
