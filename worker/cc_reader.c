#include "cc_reader.h"

#include "../common/base/err.h"
#include "../common/media/captions.h"
#include "../common/media/open.h"
#include "../common/media/shown_times.h"
#include "cc_screen.h"

#include <errno.h>
#include <libavutil/mathematics.h>
#include <stdlib.h>
#include <string.h>

enum {
    HELD_MAX = 64,  /* pictures that may be shown before one that was decoded before them */
    GROW_MS = 1000, /* a line that stood still for so long and then goes on is a new cue */
    /* What nobody takes away at the end stays for so long (CEA-608-E, annex C.9). */
    LAST_MS = 16000,
    CODE_MISC = 0x14, /* of codes that show or erase a whole screen */
};

/* Of one picture, or one moment of a track. */
struct held {
    int64_t at;
    uint8_t (*v)[3];
    size_t n;
};

struct channel {
    AVCodecContext *dec; /* NULL: it isn't wanted */
    struct cc_screen screen;
    int64_t last;      /* when it said something */
    uint8_t before[2]; /* what it said */
    int flooded;
};

struct cc_reader {
    const AVStream *st;
    AVPacket *pkt; /* for a decoder: a triplet */
    struct cc_channels channels;
    struct channel of[CC_CHANNELS];
    struct held held[HELD_MAX + 1]; /* by time */
    size_t n_held;
    struct shown_times *times; /* NULL: each packet tells its own */
    struct held *kept;         /* until these are known: `at` is a packet's number */
    size_t n_kept, room_kept, packets;
    int endless;         /* there are too many */
    struct cc_data late; /* of a picture of MPEG-2 that has no time; n 0: there is none */
    int64_t next;  /* a time for a packet without one; AV_NOPTS_VALUE: there was no packet yet */
    int64_t now;   /* of what was given to decoders last */
    int64_t steps; /* so many triplets were */
    unsigned spoke;
    int has_708;
};

static int no_memory(struct err *err)
{
    return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory for captions");
}

int cc_reader_new(const AVStream *st, int untold, struct cc_reader **ret, struct err *err)
{
    enum AVCodecID id = st->codecpar->codec_id;
    int makes = untold && (id == AV_CODEC_ID_H264 || id == AV_CODEC_ID_HEVC);
    struct cc_reader *r = calloc(1, sizeof(*r));

    if (!r || !(r->pkt = av_packet_alloc()) || av_new_packet(r->pkt, 3) < 0 ||
        (makes && !(r->times = shown_times_new(st)))) {
        cc_reader_free(r);
        return no_memory(err);
    }
    r->st = st;
    r->next = AV_NOPTS_VALUE;
    r->now = INT64_MIN;
    *ret = r;
    return 0;
}

void cc_reader_free(struct cc_reader *r)
{
    if (!r)
        return;
    for (size_t i = 0; i < r->n_held; i++)
        free(r->held[i].v);
    for (size_t i = 0; i < r->n_kept; i++)
        free(r->kept[i].v);
    free(r->kept);
    shown_times_free(r->times);
    for (size_t i = 0; i < CC_CHANNELS; i++) {
        avcodec_free_context(&r->of[i].dec);
        cc_screen_release(&r->of[i].screen);
    }
    av_packet_free(&r->pkt);
    free(r);
}

static int64_t ticks(const struct cc_reader *r, int64_t ms)
{
    return av_rescale_q(ms, (AVRational){ 1, 1000 }, r->st->time_base);
}

/* In real time it tells each change of the screen when it comes, and loses none at the end. */
int cc_reader_want(struct cc_reader *r, unsigned channel, struct err *err)
{
    struct channel *c = &r->of[channel];
    const AVCodec *codec = avcodec_find_decoder_by_name("cc_dec");
    AVDictionary *o = NULL;

    if (!codec)
        return err_set(err, -ENOTSUP, ERR_UNSUPPORTED, "captions are not decoded here");
    if (c->dec)
        return 0;
    c->dec = avcodec_alloc_context3(codec);
    if (!c->dec || av_dict_set(&o, "real_time", "1", 0) < 0 ||
        av_dict_set(&o, "real_time_latency_msec", "0", 0) < 0 ||
        av_dict_set(&o, "data_field", "first", 0) < 0) {
        av_dict_free(&o);
        return no_memory(err);
    }
    c->dec->pkt_timebase = (AVRational){ 1, 1000 };
    int n = avcodec_open2(c->dec, codec, &o);
    av_dict_free(&o);
    if (n < 0)
        avcodec_free_context(&c->dec);
    if (n < 0)
        return n == AVERROR(ENOMEM) ? no_memory(err)
                                    : err_set(err, -ENOTSUP, ERR_UNSUPPORTED,
                                              "captions are not decoded here: %s", av_err2str(n));
    c->screen.pause = ticks(r, GROW_MS);
    return 0;
}

/* ---- triplets to cues ---- */

static int channel_show(struct channel *c, const AVSubtitle *sub, int whole, int64_t at)
{
    int r = 0;

    for (unsigned i = 0; r == 0 && i < sub->num_rects; i++)
        if (sub->rects[i]->ass)
            r = cc_screen_show(&c->screen, sub->rects[i]->ass, whole, at);
    c->flooded = c->screen.cues.n > CC_CUES_MAX || c->screen.bytes > CC_BYTES_MAX;
    return r;
}

static int channel_decode(struct cc_reader *r, struct channel *c, const uint8_t triplet[3],
                          struct err *err)
{
    AVSubtitle sub = { 0 };
    int got = 0, n = 0;

    memcpy(r->pkt->data, triplet, 3);
    /* It says nothing new before its clock goes on. */
    r->pkt->pts = r->pkt->dts = ++r->steps;
    if (avcodec_decode_subtitle2(c->dec, &sub, &got, r->pkt) == AVERROR(ENOMEM))
        n = -ENOMEM;
    if (n == 0 && got)
        n = channel_show(c, &sub, (triplet[1] & 0x7f) == CODE_MISC, r->now);
    if (got)
        avsubtitle_free(&sub);
    return n < 0 ? no_memory(err) : 0;
}

/* cc_dec takes every code that is the one before for its second sending: here those are gone
 * already, and what it ignores comes between. */
static int channel_take(struct cc_reader *r, struct channel *c, const uint8_t triplet[3],
                        struct err *err)
{
    static const uint8_t ignored[3] = { 0xfc, 0x01, 0x01 };
    int n = 0;

    if (memcmp(c->before, triplet + 1, 2) == 0)
        n = channel_decode(r, c, ignored, err);
    memcpy(c->before, triplet + 1, 2);
    c->last = r->now;
    return n == 0 ? channel_decode(r, c, triplet, err) : n;
}

/* The earliest of those that are held. */
static int held_give(struct cc_reader *r, struct err *err)
{
    struct held h = r->held[0];
    uint8_t own[3];
    int n = 0;

    memmove(r->held, r->held + 1, --r->n_held * sizeof(*r->held));
    r->now = h.at > r->now ? h.at : r->now;
    for (size_t i = 0; n == 0 && i < h.n; i++) {
        int k = cc_channel_of(&r->channels, h.v[i], own);
        if (k < 0)
            continue;
        if (cc_is_letter(own))
            r->spoke |= 1u << k;
        if (r->of[k].dec && !r->of[k].flooded)
            n = channel_take(r, &r->of[k], own, err);
    }
    free(h.v);
    return n;
}

static int held_add(struct cc_reader *r, int64_t at, const uint8_t (*v)[3], size_t n,
                    struct err *err)
{
    size_t i = r->n_held;
    struct held h = { at, malloc(n * sizeof(*v)), n };

    if (!h.v)
        return no_memory(err);
    memcpy(h.v, v, n * sizeof(*v));
    while (i > 0 && r->held[i - 1].at > at)
        i--;
    memmove(r->held + i + 1, r->held + i, (r->n_held - i) * sizeof(*r->held));
    r->held[i] = h;
    return ++r->n_held > HELD_MAX ? held_give(r, err) : 0;
}

/* ---- packets ---- */

/* No padding, and none of CEA-708's. */
static int is_pair(const uint8_t t[3])
{
    return (t[0] & 4) && (t[0] & 3) < 2 && ((t[1] | t[2]) & 0x7f);
}

static void keep_pairs(struct cc_data *d)
{
    size_t n = 0;

    for (size_t i = 0; i < d->n; i++)
        if (is_pair(d->v[i]))
            memmove(d->v[n++], d->v[i], 3);
    d->n = n;
}

/* Where a packet has no time, it is decoded when it is shown, or comes after the one before. */
static int64_t time_of(struct cc_reader *r, const AVPacket *pkt)
{
    AVRational rate = r->st->avg_frame_rate, tb = r->st->time_base;
    int64_t at = pkt->pts != AV_NOPTS_VALUE ? pkt->pts : pkt->dts;

    at = at == AV_NOPTS_VALUE ? r->next : media_unwrap(at, r->next, r->st->pts_wrap_bits);
    if (at == AV_NOPTS_VALUE)
        return at;
    int64_t step = pkt->duration > 0              ? pkt->duration
                   : rate.num > 0 && rate.den > 0 ? av_rescale_q(1, av_inv_q(rate), tb)
                                                  : av_rescale_q(1, (AVRational){ 1, 30 }, tb);
    r->next = av_sat_add64(at, step);
    return at;
}

static int64_t decoded_at(const struct cc_reader *r, const AVPacket *pkt, int64_t at)
{
    return pkt->dts != AV_NOPTS_VALUE ? media_unwrap(pkt->dts, at, r->st->pts_wrap_bits) : at;
}

/* Pairs for pictures to come, one of each field a picture: `step` apart. */
static int spread_pairs(struct cc_reader *r, const struct cc_data *d, int64_t at, AVRational step,
                        struct err *err)
{
    int64_t seen[2] = { 0 };
    int n = 0;

    for (size_t i = 0; n == 0 && i < d->n; i++) {
        int64_t k = seen[d->v[i][0] & 1]++;
        int64_t t = av_sat_add64(at, av_rescale_q(k, step, r->st->time_base));
        if (is_pair(d->v[i]))
            n = held_add(r, t, d->v + i, 1, err);
    }
    return n;
}

static AVRational step_of_pictures(const struct cc_data *d)
{
    return d->spread ? (AVRational){ 1001, 30000 } : (AVRational){ 0, 1 };
}

/* Of a track: as many of a field as there are lie evenly in the sample's time. */
static AVRational step_of_sample(const struct cc_reader *r, const struct cc_data *d,
                                 int64_t duration)
{
    int n[2] = { 0 };

    for (size_t i = 0; i < d->n; i++)
        n[d->v[i][0] & 1]++;
    int most = n[0] > n[1] ? n[0] : n[1];
    if (most < 2 || duration <= 0 || duration > INT32_MAX)
        return (AVRational){ 0, 1 };
    return av_mul_q((AVRational){ (int)duration, most }, r->st->time_base);
}

static int held_add_pairs(struct cc_reader *r, struct cc_data *d, int64_t at, struct err *err)
{
    keep_pairs(d);
    return d->n > 0 ? held_add(r, at, (const uint8_t(*)[3])d->v, d->n, err) : 0;
}

static int take_data(struct cc_reader *r, struct cc_data *d, int64_t at, AVRational step,
                     struct err *err)
{
    return step.num ? spread_pairs(r, d, at, step, err) : held_add_pairs(r, d, at, err);
}

/* MPEG-PS has no time for some of MPEG-2's pictures that others refer to: such a one is shown when
 * the next one of its kind is decoded. */
static int late_give(struct cc_reader *r, int64_t at, struct err *err)
{
    struct cc_data d;

    if (r->late.n == 0)
        return 0;
    d = r->late;
    r->late.n = 0;
    return take_data(r, &d, at, step_of_pictures(&d), err);
}

static int is_late(const struct cc_reader *r, const AVPacket *pkt)
{
    enum AVCodecID id = r->st->codecpar->codec_id;

    return (id == AV_CODEC_ID_MPEG1VIDEO || id == AV_CODEC_ID_MPEG2VIDEO) &&
           pkt->pts == AV_NOPTS_VALUE && pkt->dts != AV_NOPTS_VALUE;
}

/* ---- pictures whose time only all of them together tell ---- */

static int kept_add(struct cc_reader *r, size_t packet, const struct cc_data *d, struct err *err)
{
    if (r->n_kept == r->room_kept) {
        size_t room = r->room_kept ? 2 * r->room_kept : 256;
        struct held *grown = reallocarray(r->kept, room, sizeof(*grown));
        if (!grown)
            return no_memory(err);
        r->kept = grown;
        r->room_kept = room;
    }
    struct held h = { (int64_t)packet, malloc(3 * d->n), d->n };
    if (!h.v)
        return no_memory(err);
    memcpy(h.v, d->v, 3 * d->n);
    r->kept[r->n_kept++] = h;
    return 0;
}

static int kept_packet(struct cc_reader *r, const AVPacket *pkt, struct err *err)
{
    int bits = r->st->pts_wrap_bits;
    int64_t dts = media_unwrap(pkt->dts, r->next, bits);
    int64_t pts = media_unwrap(pkt->pts, dts != AV_NOPTS_VALUE ? dts : r->next, bits);
    struct cc_data d;

    if (dts != AV_NOPTS_VALUE || pts != AV_NOPTS_VALUE)
        r->next = dts != AV_NOPTS_VALUE ? dts : pts;
    int n = r->endless ? -E2BIG : shown_times_add(r->times, pkt, pts, dts);
    r->endless = n == -E2BIG;
    if (n < 0)
        return n == -E2BIG ? 0 : no_memory(err);
    cc_data_of(r->st->codecpar, pkt->data, (size_t)pkt->size, &d);
    for (size_t i = 0; i < d.n; i++)
        r->has_708 |= cc_is_708(d.v[i]);
    keep_pairs(&d);
    r->packets++;
    return d.n > 0 ? kept_add(r, r->packets - 1, &d, err) : 0;
}

static int kept_give(struct cc_reader *r, struct err *err)
{
    int n = r->times ? shown_times_settle(r->times) : 0;

    if (n < 0)
        return no_memory(err);
    for (size_t i = 0; n == 0 && i < r->n_kept; i++) {
        const struct held *h = &r->kept[i];
        int64_t at = shown_times_of(r->times, (size_t)h->at);
        if (at != AV_NOPTS_VALUE)
            n = held_add(r, at, (const uint8_t(*)[3])h->v, h->n, err);
    }
    return n;
}

/* ---- all of them ---- */

int cc_reader_packet(struct cc_reader *r, const AVPacket *pkt, struct err *err)
{
    const AVCodecParameters *par = r->st->codecpar;
    int is_track = captions_is_track(r->st), n = 0;
    struct cc_data d;

    if (r->times)
        return kept_packet(r, pkt, err);
    int64_t at = time_of(r, pkt);
    if (at == AV_NOPTS_VALUE || pkt->size <= 0)
        return 0;
    if (is_track)
        cc_data_of_sample(par->codec_id == AV_CODEC_ID_NONE, pkt->data, (size_t)pkt->size, &d);
    else
        cc_data_of(par, pkt->data, (size_t)pkt->size, &d);
    for (size_t i = 0; i < d.n; i++)
        r->has_708 |= cc_is_708(d.v[i]);
    if (pkt->pts == AV_NOPTS_VALUE || pkt->pts != pkt->dts)
        n = late_give(r, decoded_at(r, pkt, at), err);
    if (n == 0 && is_late(r, pkt))
        r->late = d;
    else if (n == 0)
        n = take_data(r, &d, at,
                      is_track ? step_of_sample(r, &d, pkt->duration) : step_of_pictures(&d), err);
    return n;
}

int cc_reader_end(struct cc_reader *r, struct err *err)
{
    int n = late_give(r, r->next, err);

    n = n == 0 ? kept_give(r, err) : n;

    while (n == 0 && r->n_held > 0)
        n = held_give(r, err);
    for (size_t i = 0; n == 0 && i < CC_CHANNELS; i++) {
        struct channel *c = &r->of[i];
        if (c->dec && cc_screen_clear(&c->screen, av_sat_add64(c->last, ticks(r, LAST_MS))) < 0)
            n = no_memory(err);
    }
    return n;
}

const struct cues *cc_reader_cues(const struct cc_reader *r, unsigned channel)
{
    return &r->of[channel].screen.cues;
}

int cc_reader_flooded(const struct cc_reader *r, unsigned channel)
{
    return r->of[channel].flooded || r->endless;
}

unsigned cc_reader_spoke(const struct cc_reader *r)
{
    return r->spoke;
}

int cc_reader_has_708(const struct cc_reader *r)
{
    return r->has_708;
}
