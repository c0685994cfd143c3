/* Reading every packet's times once, and what they say about the stream. */
#include "../base/cleanup.h"
#include "../base/err.h"
#include "beginning.h"
#include "clock.h"
#include "edit_frames.h"
#include "index_build.h"
#include "open.h"
#include "param_sets.h"
#include "picture_scan.h"
#include "presence.h"
#include "prime.h"
#include "reorder.h"
#include "shown.h"
#include "steady.h"
#include "turn.h"

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

static void follow_audio(struct index_audio *a, const struct index_packet *p, int64_t skip)
{
    if (p->pts == INT64_MIN || p->flags & PACKET_HIDDEN)
        return;
    if (a->start == AV_NOPTS_VALUE)
        a->start = p->pts + skip;
    else if (p->pts < a->start)
        a->start = p->pts;
    if (a->end == AV_NOPTS_VALUE || p->pts + p->duration > a->end)
        a->end = p->pts + p->duration;
}

/* Of packets without durations, whose parameters a demuxer hasn't found: those behind the last one
 * that has a time take as long as those before it. */
static void follow_untimed(struct index_audio *a, const struct media_index *idx)
{
    size_t before = SIZE_MAX, last = SIZE_MAX;

    for (size_t i = 0; i < idx->n; i++) {
        if (idx->packets[i].pts == INT64_MIN)
            continue;
        before = last;
        last = i;
    }
    if (before == SIZE_MAX || idx->packets[last].duration > 0)
        return;
    int64_t from = idx->packets[before].pts, to = idx->packets[last].pts;
    int64_t rest = av_rescale(to - from, (int64_t)(idx->n - last), (int64_t)(last - before));
    if (to > from && to + rest > a->end)
        a->end = to + rest;
}

void index_look(struct index_packet *p, const AVCodecParameters *par, const uint8_t *data, size_t n)
{
    switch (keyframe_kind(par, data, n)) {
    case KEYFRAME_UNKNOWN:
        break;
    case KEYFRAME_NOT:
        p->flags &= ~(uint32_t)PACKET_KEY;
        break;
    case KEYFRAME_DOUBTFUL:
        /* Not every intra picture is a way in: only where somebody says so. */
        if (p->flags & PACKET_KEY)
            p->flags |= PACKET_SEEN | PACKET_UNSAFE | PACKET_DOUBT;
        break;
    case KEYFRAME_UNSAFE:
        if (p->flags & PACKET_KEY)
            p->flags |= PACKET_SEEN | PACKET_UNSAFE;
        break;
    case KEYFRAME_SAFE:
        p->flags |= PACKET_KEY | PACKET_SEEN;
        break;
    }
}

void packet_hide(struct index_packet *p, const AVCodecParameters *par)
{
    p->flags = (p->flags | PACKET_HIDDEN) & ~(uint32_t)PACKET_KEY;
    if (par->codec_id == AV_CODEC_ID_MPEG4)
        p->flags |= PACKET_AGAIN;
}

/* A track's packets. */
struct scan_sound {
    struct media_index idx;
    size_t room;
    int64_t skip; /* priming of the first one */
};

struct scan {
    struct media_source *s;
    int video;
    struct media_index *idx;
    size_t room;
    struct index_track *tracks;
    struct scan_sound *sounds; /* of each track */
    size_t n_tracks;
    struct picture_scan pictures;
    struct beginning beginning;
    int foreign; /* parameter sets in force that only a packet told */
    uint64_t torn;
    int build;    /* prime.h */
    int oriented; /* the first keyframe was met */
    struct video_info turn;
    struct captions_seen captions;
};

/* A keyframe without the parameter sets that are in force since some packet before is no place to
 * begin at. */
static void follow_sets(struct scan *c, struct index_packet *p, const AVPacket *pkt)
{
    const AVStream *st = c->s->fmt->streams[c->video];
    enum param_sets has = param_sets_of(st->codecpar, pkt->data, (size_t)pkt->size);

    if (has != PARAM_SETS_NONE)
        c->foreign = has == PARAM_SETS_FOREIGN;
    else if (c->foreign)
        p->flags &= ~(uint32_t)PACKET_KEY;
}

static int add_video(struct scan *c, const AVPacket *pkt)
{
    const AVStream *st = c->s->fmt->streams[c->video];
    int second = picture_scan_packet(&c->pictures, pkt);
    int r = c->idx->n < PACKETS_MAX ? add_packet(c->idx, &c->room, pkt) : -E2BIG;

    if (second < 0)
        return second;

    if (r < 0)
        return r;
    struct index_packet *p = &c->idx->packets[c->idx->n - 1];
    if (second)
        p->flags |= PACKET_SECOND | PACKET_HIDDEN;
    /* The bytes are at hand: no second look is needed. */
    if (!media_is_mov(c->s) && pkt->size > 0) {
        if (c->idx->n == 1)
            c->build = prime_build(st->codecpar, pkt->data, (size_t)pkt->size);
        captions_look(&c->captions, st->codecpar, pkt->data, (size_t)pkt->size);
        index_look(p, st->codecpar, pkt->data, (size_t)pkt->size);
        if (p->flags & PACKET_KEY && !c->oriented++)
            turn_look(st->codecpar, pkt->data, (size_t)pkt->size, &c->turn);
        follow_sets(c, p, pkt);
        beginning_look(&c->beginning, p, st->codecpar, pkt);
        if (packet_shows_nothing(st->codecpar, pkt->data, (size_t)pkt->size))
            packet_hide(p, st->codecpar);
    }
    return 0;
}

static int add_sound(struct scan *c, const AVPacket *pkt)
{
    for (size_t i = 0; i < c->n_tracks; i++) {
        struct scan_sound *x = &c->sounds[i];
        if (c->tracks[i].stream != pkt->stream_index)
            continue;
        if (x->idx.n == 0)
            x->skip = skipped(c->s->fmt->streams[pkt->stream_index], pkt);
        return x->idx.n < PACKETS_MAX ? add_packet(&x->idx, &x->room, pkt) : -E2BIG;
    }
    return 0;
}

static int read_all(struct scan *c, struct err *err)
{
    AVPacket *pkt = av_packet_alloc();
    int r = pkt ? 0 : -ENOMEM;

    while (r == 0 && (r = media_read(c->s, pkt, err)) == 0) {
        c->torn += (pkt->flags & AV_PKT_FLAG_CORRUPT) != 0;
        r = pkt->stream_index == c->video ? add_video(c, pkt) : add_sound(c, pkt);
        av_packet_unref(pkt);
    }
    av_packet_free(&pkt);
    return r == AVERROR_EOF ? 0 : r;
}

/* Sound in Ogg starts over where files were chained (RFC 3533, 4): streams of
 * a radio station, recorded. */
static int starts_over(const struct scan *c)
{
    return media_has_one_clock(c->s) ||
           (c->video < 0 && strcmp(c->s->fmt->iformat->name, "ogg") == 0);
}

/* One line for the times of all streams. Only clocks that all streams share
 * start over: elsewhere, what jumps is meant. */
static int put_on_line(struct scan *c, struct clock_line *line)
{
    int stream = c->video >= 0 ? c->video : c->n_tracks > 0 ? c->tracks[0].stream : -1;
    size_t first = c->video >= 0 ? 0 : 1;

    if (stream < 0)
        return 0;
    const AVStream *st = c->s->fmt->streams[stream];
    line->bits = st->pts_wrap_bits;
    line->ticks = starts_over(c) ? st->time_base.den / st->time_base.num : 0;
    int r = clock_follow(line, c->video >= 0 ? c->idx : &c->sounds[0].idx);
    for (size_t i = first; r == 0 && i < c->n_tracks; i++) {
        line->bits = c->s->fmt->streams[c->tracks[i].stream]->pts_wrap_bits;
        clock_take_along(line, &c->sounds[i].idx);
    }
    return r;
}

/* With one picture of delay, as MPEG-1, 2 and 4 have it, a picture that others
 * refer to is shown when the next such one is decoded. */
static int64_t shown_at(const struct media_index *idx, size_t i, int64_t step)
{
    int64_t last = idx->packets[i].dts;

    for (size_t k = i + 1; k < idx->n; k++) {
        const struct index_packet *p = &idx->packets[k];
        if (p->dts == INT64_MIN || p->flags & PACKET_AGAIN)
            continue;
        if (p->pts == INT64_MIN || p->pts > p->dts)
            return p->dts;
        last = p->dts;
    }
    return last + step;
}

/* AVI has no times of display, and MPEG-TS and PS not for every picture. A decoder
 * makes them of decode times, and so does this. `made`: flags of those it makes. */
static void fill_times(struct media_index *idx, const AVStream *st, uint32_t made)
{
    enum AVCodecID id = st->codecpar->codec_id;
    int64_t step = 1;

    if (id != AV_CODEC_ID_MPEG1VIDEO && id != AV_CODEC_ID_MPEG2VIDEO && id != AV_CODEC_ID_MPEG4)
        return;
    for (size_t i = 0; i < idx->n; i++) {
        struct index_packet *p = &idx->packets[i];
        step = p->duration > 0 ? p->duration : step;
        if (p->pts == INT64_MIN && p->dts != INT64_MIN) {
            p->pts = shown_at(idx, i, step);
            p->flags |= made;
        }
        /* It lies somewhere behind the one before. */
        if (p->pos < 0 && i > 0)
            p->pos = idx->packets[i - 1].pos;
    }
}

static int scan_begin(struct scan *c)
{
    c->sounds = calloc(c->n_tracks + 1, sizeof(*c->sounds));
    if (!c->sounds)
        return -ENOMEM;
    media_select(c->s, c->video);
    for (size_t t = 0; t < c->n_tracks; t++)
        media_want(c->s, c->tracks[t].stream);
    if (c->s->presence)
        presence_begin(c->s->presence, c->s);
    /* The samples of MP4 are whole frames, and are not read here. */
    if (c->video >= 0 && !media_is_mov(c->s))
        picture_scan_open(&c->pictures, c->s->fmt->streams[c->video], media_has_one_clock(c->s));
    return 0;
}

static void scan_end(struct scan *c)
{
    for (size_t t = 0; c->sounds && t < c->n_tracks; t++) {
        struct index_audio *a = &c->tracks[t].times;
        *a = (struct index_audio){ AV_NOPTS_VALUE, AV_NOPTS_VALUE };
        for (size_t i = 0; i < c->sounds[t].idx.n; i++)
            follow_audio(a, &c->sounds[t].idx.packets[i], c->sounds[t].skip);
        if (a->start != AV_NOPTS_VALUE)
            follow_untimed(a, &c->sounds[t].idx);
        media_index_release(&c->sounds[t].idx);
    }
    free(c->sounds);
    picture_scan_close(&c->pictures);
}

int index_scan(struct media_source *s, int video, struct index_track *tracks, size_t n_tracks,
               struct media_index *idx, struct clock_line *ret_line, struct err *err)
{
    struct scan c = { .s = s, .video = video, .idx = idx, .tracks = tracks, .n_tracks = n_tracks };
    struct clock_line line = { 0 };
    int r = scan_begin(&c);

    if (r == 0)
        r = read_all(&c, err);
    if (r == 0)
        r = put_on_line(&c, &line);
    if (r == 0 && video >= 0)
        fill_times(idx, s->fmt->streams[video], media_has_one_clock(s) ? PACKET_MADE : 0);
    if (r == 0 && video >= 0)
        r = picture_scan_times(&c.pictures, idx, s->fmt->streams[video], &line.made);
    if (r == 0 && video >= 0)
        line.unrecovered = beginning_hide(&c.beginning, idx);
    line.combs = c.pictures.combs;
    if (r == 0)
        r = picture_scan_pair(&c.pictures, idx, &line.halves);
    scan_end(&c);
    if (r == 0) {
        line.torn = c.torn;
        line.build = c.build;
        line.rotation = c.turn.rotation;
        line.hflip = c.turn.hflip;
        line.captions = c.captions;
        *ret_line = line;
        return 0;
    }
    free(line.splices);
    if (r == -ENOMEM)
        return err_set(err, r, ERR_RESOURCE, "out of memory for the index");
    if (r == -E2BIG)
        return err_set(err, r, ERR_INPUT, "the source has more than %d packets", PACKETS_MAX);
    return r;
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
    double step = (double)(t[n - 1] - t[0]) / (double)(n - 1), slack = 2;
    v->vfr = !is_constant(t, n, step);
    if (v->vfr && times_are_steady(t, n, &step)) {
        v->vfr = 0;
        slack = 2 + STEADY_SPREAD * step;
    }
    if (!v->vfr) {
        /* The first and last timestamps are each off by up to one tick, or by jitter. */
        double tolerance = slack / (double)(t[n - 1] - t[0]);
        v->rate = nearest_rate(1 / (step * tick), tolerance > 1e-6 ? tolerance : 1e-6);
    } else {
        double delta = (double)commonest_delta(t, n);
        v->rate = nearest_rate(1 / (delta * tick), 1 / delta > 0.02 ? 0.02 : 1 / delta);
    }
    v->rate = clamp_rate(v->rate);
}

/* Whether an edit list makes an even rate uneven. That a few pictures are shorter, where cuts are,
 * doesn't: no picture is to be left out for it. */
static int is_uneven(const int64_t *t, size_t n, double step)
{
    size_t off = 0;

    for (size_t i = 1; i < n; i++) {
        double d = (double)(t[i] - t[i - 1]);
        if (d > 2.5 * step)
            return 1;
        off += d < step - 1.01 || d > step + 1.01;
    }
    return off * 50 > n;
}

/* When pictures are shown of which an edit list says so, instead of when they are in the media. The
 * rate is that of the media, however short the pieces are, or that of the fastest one. */
static int edited_times(const struct media_index *idx, struct media_info *i, int64_t **t, size_t *n,
                        int64_t *ret_end, struct err *err)
{
    struct edit_frame *f;
    int32_t fastest = EDIT_RATE_ONE;
    int r = edit_frames(i, idx, &f, n, ret_end);

    if (r == -E2BIG)
        return err_set(err, -EINVAL, ERR_INPUT, "the edit list shows more than %d pictures",
                       EDIT_FRAMES_MAX);
    int64_t *grown = r == 0 ? reallocarray(*t, *n + 1, sizeof(*grown)) : NULL;
    for (size_t k = 0; grown && k < *n; k++)
        grown[k] = f[k].pts;
    if (r == 0)
        free(f);
    if (!grown)
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory for the index");
    *t = grown;
    for (size_t k = 0; k < i->n_edits; k++)
        if (i->edits[k].stream == i->video.stream && i->edits[k].rate > fastest)
            fastest = i->edits[k].rate;
    if (fastest > EDIT_RATE_ONE)
        i->video.rate = clamp_rate(
            av_mul_q(i->video.rate, av_d2q((double)fastest / EDIT_RATE_ONE, 1000)));
    i->video.vfr |= is_uneven(grown, *n, 1 / (av_q2d(i->video.rate) * av_q2d(i->video.tb)));
    return 0;
}

/* Of rising media times those between the first and the last that edits name: the others say
 * nothing of the rate. Returns how many, *ret_first on. */
static size_t edited_range(const struct media_info *i, const int64_t *t, size_t n,
                           size_t *ret_first)
{
    int64_t from = INT64_MAX, to = INT64_MIN;
    size_t a = 0, b = n;

    for (size_t k = 0; k < i->n_edits; k++) {
        const struct edit *e = &i->edits[k];
        if (e->stream != i->video.stream)
            continue;
        int64_t length = edit_ticks(i, e->start + e->length) - edit_ticks(i, e->start);
        length = av_rescale(length, e->rate, EDIT_RATE_ONE);
        from = e->media < from ? e->media : from;
        to = av_sat_add64(e->media, length) > to ? av_sat_add64(e->media, length) : to;
    }
    while (a + 2 < n && t[a + 1] <= from)
        a++;
    while (b > a + 2 && t[b - 1] >= to)
        b--;
    *ret_first = a;
    return b - a;
}

int index_describe(const struct media_index *idx, struct media_info *info, uint64_t *ret_doubles,
                   struct err *err)
{
    struct video_info *v = &info->video;
    uint64_t bytes = 0;
    int64_t last_duration = 0, end = INT64_MIN;
    int edited = media_is_edited(info, v->stream), r = 0;
    _cleanup_free_ int64_t *t = malloc((idx->n ? idx->n : 1) * sizeof(*t));

    if (!t)
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory for the index");
    size_t n = shown_times(idx, t, ret_doubles);
    size_t first = 0, some = edited ? edited_range(info, t, n, &first) : n;
    if (n > 0)
        set_rate(v, t + first, some);
    if (edited && n > 0 && (r = edited_times(idx, info, &t, &n, &end, err)) < 0)
        return r;
    if (n == 0)
        return err_set(err, -EINVAL, ERR_INPUT, "no frame of the video stream can be shown");
    for (size_t i = 0; i < idx->n; i++) {
        bytes += idx->packets[i].size;
        if (idx->packets[i].pts == t[n - 1])
            last_duration = idx->packets[i].duration;
    }
    if (last_duration <= 0)
        last_duration = n > 1 ? commonest_delta(t, n) : av_rescale_q(1, av_inv_q(v->rate), v->tb);
    v->start = t[0];
    v->end = t[n - 1] + (last_duration > 0 ? last_duration : 1);
    if (edited)
        v->end = end > t[n - 1] ? end : t[n - 1] + 1;
    v->frames = n;
    if (strcmp(v->codec, "h264") == 0)
        v->reorder = reorder_depth(idx);
    v->bit_rate = (int64_t)((double)bytes * 8 / ((double)(v->end - v->start) * av_q2d(v->tb)));
    return 0;
}
