/* The one pass over the source: each packet once, each decoder from its first. */
#include <errno.h>
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/cleanup.h"
#include "common/base/err.h"
#include "picture_times.h"
#include "source.h"
#include "spill.h"

struct hearing { /* one of the sounds */
    struct source_sound *x;
    AVCodecContext *codec; /* NULL: it isn't wanted yet, or no more */
    int opened;
    int64_t pos; /* as seams_apply() wants it */
    int refused; /* since the last frame */
    int stream;  /* that `codec` is for */
};

struct reading {
    struct source *s;
    const struct source_wish *w;
    AVFormatContext *format;
    AVCodecContext *video;
    AVFrame *frame;
    struct thumb_maker thumbs;
    int32_t turned[9]; /* that a picture said */
    struct picture_times times;
    struct hearing heard[SOURCE_SOUNDS_MAX];
    int64_t pos;
    int opened;
    int begun;   /* the first keyframe was met */
    int refused; /* packets since the last picture */
    size_t sent; /* packets of video, from there on */
    int pairs;   /* of fields: the first of one was the last picture; -1: there are none */
    struct joined_reader joined;
    size_t packets_room;
    size_t packets[SOURCE_STREAMS_MAX]; /* read so far */
};

static void reading_release(struct reading *r)
{
    avcodec_free_context(&r->video);
    for (size_t i = 0; i < SOURCE_SOUNDS_MAX; i++)
        avcodec_free_context(&r->heard[i].codec);
    thumb_maker_release(&r->thumbs);
    picture_times_release(&r->times);
    source_format_close(&r->format);
    av_frame_free(&r->frame);
}

/* ---- decoders ---- */

static int codec_open(const struct source *s, AVFormatContext *f, int stream, AVCodecContext **ret,
                      struct err *err)
{
    const AVCodecParameters *par = f->streams[stream]->codecpar;
    const AVCodec *codec = avcodec_find_decoder(par->codec_id);
    if (!codec)
        return source_bad(s, avcodec_get_name(par->codec_id), AVERROR_DECODER_NOT_FOUND, err);
    AVCodecContext *c = avcodec_alloc_context3(codec);
    if (!c || avcodec_parameters_to_context(c, par) < 0) {
        avcodec_free_context(&c);
        return -ENOMEM;
    }
    c->pkt_timebase = f->streams[stream]->time_base;
    /* What an edit list hides is hidden by edit_list.h. */
    if (edit_lists_of(&s->edits, f->streams[stream]->id))
        c->flags2 |= AV_CODEC_FLAG2_SKIP_MANUAL;
    /* libavcodec's own decoders lose sight of damage between threads, of frames and of slices. */
    c->thread_count = strcmp(codec->name, "libdav1d") == 0 ? 0 : 1;
    int r = avcodec_open2(c, codec, NULL);
    if (r < 0) {
        avcodec_free_context(&c);
        return source_bad(s, "its decoder can't be opened", r, err);
    }
    *ret = c;
    return 0;
}

static int frame_damaged(const AVFrame *f)
{
    return f->decode_error_flags || f->flags & AV_FRAME_FLAG_CORRUPT;
}

/* ---- pictures ---- */

/* HEVC gives each field of a pair as a picture of its own; the pair is one. */
static int is_second_field(struct reading *r, const AVFrame *f)
{
    int field = r->video->codec_id == AV_CODEC_ID_HEVC && f->interlaced_frame;
    int parity = f->top_field_first ? 1 : 2;
    r->thumbs.whole_fields = r->video->codec_id == AV_CODEC_ID_HEVC;
    if (!field || !r->pairs || r->pairs == parity) {
        r->pairs = field ? parity : 0;
        return 0;
    }
    r->pairs = 0;
    return 1;
}

/* Without a matrix of the track a picture's own message says how it is turned, up to the next
 * keyframe (H.264, D.2.27). */
static void follow_turn(struct reading *r, const AVFrame *f)
{
    const AVFrameSideData *d = av_frame_get_side_data(f, AV_FRAME_DATA_DISPLAYMATRIX);
    int says = d && d->size >= sizeof(r->turned);
    if (r->s->has_matrix)
        return;
    if (says)
        memcpy(r->turned, d->data, sizeof(r->turned));
    if (says)
        r->thumbs.matrix = r->turned;
    else if (f->key_frame)
        r->thumbs.matrix = NULL;
}

/* Of what the container has players show. */
static int view_thumb(struct reading *r, const AVFrame *f, struct thumb *ret)
{
    AVFrame *view = clean_area_of(&r->s->area, f);
    int rc = view ? thumb_make(&r->thumbs, view, ret) : -ENOMEM;
    av_frame_free(&view);
    return rc;
}

static int picture_add(struct reading *r, const AVFrame *f)
{
    struct source *s = r->s;
    struct thumb t = { 0 };
    size_t i = r->times.n;
    int damaged = frame_damaged(f) || r->refused;
    s->damage += damaged && !r->refused;
    r->refused = 0;
    if (r->video->codec_id != AV_CODEC_ID_AV1 && caption_pairs_add(&s->captions, i, f) < 0)
        return -ENOMEM;
    if (is_second_field(r, f))
        return 0;
    r->thumbs.sar = av_guess_sample_aspect_ratio(r->format, r->format->streams[s->video],
                                                 (AVFrame *)f);
    follow_turn(r, f);
    int rc = view_thumb(r, f, &t);
    if (rc == -ENOMEM)
        return rc;
    rc = spill_add(s->thumbs, &t, sizeof(t));
    if (!rc && r->w->sums) {
        struct sum *grown = realloc(s->sums, (i + 1) * sizeof(*grown));
        if (!grown)
            return -ENOMEM;
        s->sums = grown;
        rc = sum_make(f, &s->sums[i]);
        rc = rc == -ENOMEM ? rc : 0;
    }
    if (rc < 0)
        return rc;
    return picture_times_add(&r->times, f, damaged);
}

static int pictures_drain(struct reading *r)
{
    for (;;) {
        int rc = avcodec_receive_frame(r->video, r->frame);
        if (rc == AVERROR(EAGAIN) || rc == AVERROR_EOF)
            return 0;
        if (rc == AVERROR(ENOMEM))
            return -ENOMEM;
        if (rc < 0) {
            r->refused = 1;
            r->s->damage++;
            continue;
        }
        rc = picture_add(r, r->frame);
        if (rc < 0)
            return rc;
    }
}

static int packet_time_add(struct reading *r, const AVPacket *pkt)
{
    struct source *s = r->s;
    if (pkt->pts == AV_NOPTS_VALUE || pkt->flags & AV_PKT_FLAG_DISCARD ||
        (s->begins_at_key && pkt->pts < s->first_shown))
        return 0;
    if (s->n_packets == r->packets_room) {
        size_t room = r->packets_room ? 2 * r->packets_room : 1024;
        int64_t *grown = realloc(s->packets, room * sizeof(*grown));
        if (!grown)
            return -ENOMEM;
        s->packets = grown;
        r->packets_room = room;
    }
    s->packets[s->n_packets++] = pkt->pts;
    return 0;
}

/* A stream that begins in the middle of a GOP shows nothing before its first keyframe. */
static int video_packet(struct reading *r, AVPacket *pkt)
{
    struct source *s = r->s;
    seams_apply(&s->seams, pkt, &r->pos);
    if (pkt->flags & AV_PKT_FLAG_KEY && !r->begun) {
        r->begun = 1;
        s->begins_at_key = s->n_packets > 0;
        s->first_shown = s->begins_at_key ? pkt->pts : INT64_MIN;
        s->n_packets = 0;
    }
    int rc = packet_time_add(r, pkt);
    if (rc < 0 || !r->video || !r->begun)
        return rc;
    if (r->video->codec_id == AV_CODEC_ID_AV1 &&
        caption_pairs_add_av1(&s->captions, r->sent++, pkt->data, (size_t)pkt->size) < 0)
        return -ENOMEM;
    int sent = avcodec_send_packet(r->video, pkt);
    if (sent == AVERROR(ENOMEM))
        return -ENOMEM;
    if (sent < 0 || pkt->flags & AV_PKT_FLAG_CORRUPT) {
        r->refused = 1;
        s->damage++;
        rc = picture_times_damage(&r->times, pkt->pts != AV_NOPTS_VALUE ? pkt->pts : pkt->dts);
    }
    return rc < 0 ? rc : pictures_drain(r);
}

/* ---- sound ---- */

static int sound_frame_add(struct hearing *h, const AVFrame *f, const struct source_wish *w)
{
    struct source_sound *x = h->x;
    int64_t at = f->best_effort_timestamp;
    int damaged = frame_damaged(f) || h->refused;
    h->refused = 0;
    if (!x->heard && at == AV_NOPTS_VALUE && !w->decode)
        return 0;
    if (!x->heard && at != AV_NOPTS_VALUE) {
        x->heard = 1;
        x->start = at;
    }
    double at_s = at == AV_NOPTS_VALUE ? NAN : (double)at * av_q2d(x->tb);
    int rc = w->decode ? sound_add(&x->sound, f, at_s, damaged) : 0;
    return rc == -ENOMEM || rc == -ENOSPC || rc == -EIO ? rc : 0;
}

static int sound_drain(struct reading *r, struct hearing *h)
{
    for (;;) {
        int rc = avcodec_receive_frame(h->codec, r->frame);
        if (rc == AVERROR(ENOMEM))
            return -ENOMEM;
        if (rc < 0)
            return 0;
        rc = sound_frame_add(h, r->frame, r->w);
        if (rc < 0)
            return rc;
    }
}

/* Where a track goes on in another codec. One that can't be opened ends it. */
static int sound_change(struct reading *r, struct hearing *h)
{
    AVStream *const *st = r->format->streams;
    int stream = r->joined.stream;
    if (st[stream]->codecpar->codec_id == st[h->stream]->codecpar->codec_id)
        return 0;
    (void)avcodec_send_packet(h->codec, NULL);
    int rc = sound_drain(r, h);
    avcodec_free_context(&h->codec);
    h->stream = stream;
    if (!rc && codec_open(r->s, r->format, stream, &h->codec, NULL) == -ENOMEM)
        rc = -ENOMEM;
    return rc;
}

static int sound_packet(struct reading *r, struct hearing *h, AVPacket *pkt)
{
    if (!h->codec)
        return 0;
    int changed = sound_change(r, h);
    if (changed < 0 || !h->codec)
        return changed;
    seams_apply(&r->s->seams, pkt, &h->pos);
    if (h->x->packet == AV_NOPTS_VALUE)
        h->x->packet = pkt->pts;
    int sent = avcodec_send_packet(h->codec, pkt);
    if (sent == AVERROR(ENOMEM))
        return -ENOMEM;
    if (sent < 0 || pkt->flags & AV_PKT_FLAG_CORRUPT) {
        h->refused = 1;
        h->x->damage++;
    }
    int rc = sound_drain(r, h);
    if (!r->w->decode && h->x->heard)
        avcodec_free_context(&h->codec);
    return rc;
}

/* ---- all of it ---- */

static int video_open(struct reading *r, struct err *err)
{
    struct source *s = r->s;
    AVStream *st = r->format->streams[s->video];
    r->opened = 1;
    st->discard = AVDISCARD_DEFAULT;
    joined_want(&s->joined, r->format, s->video);
    r->times.rate = st->avg_frame_rate.num ? st->avg_frame_rate : st->r_frame_rate;
    r->times.tb = st->time_base;
    r->thumbs.matrix = s->has_matrix ? s->matrix : NULL;
    s->is_mpeg2 = st->codecpar->codec_id == AV_CODEC_ID_MPEG1VIDEO ||
                  st->codecpar->codec_id == AV_CODEC_ID_MPEG2VIDEO;
    s->is_decoded = r->w->decode;
    int rc = s->thumbs ? 0 : spill_new(&s->thumbs);
    return rc < 0 || !r->w->decode ? rc : codec_open(s, r->format, s->video, &r->video, err);
}

/* Sound that doesn't decode starts nothing. */
static int sound_start_decoding(struct reading *r, struct hearing *h)
{
    h->opened = 1;
    h->stream = h->x->stream;
    r->format->streams[h->x->stream]->discard = AVDISCARD_DEFAULT;
    joined_want(&r->s->joined, r->format, h->x->stream);
    return codec_open(r->s, r->format, h->x->stream, &h->codec, NULL) == -ENOMEM ? -ENOMEM : 0;
}

static int reading_open(struct reading *r, struct err *err)
{
    struct source *s = r->s;
    r->frame = av_frame_alloc();
    if (!r->frame)
        return -ENOMEM;
    int rc = source_unedited(s, &r->format, err);
    if (rc < 0)
        return rc;
    for (unsigned i = 0; i < r->format->nb_streams; i++)
        r->format->streams[i]->discard = AVDISCARD_ALL;
    /* MPEG's packets needn't have times: what libavformat makes up for those isn't wanted. */
    if (seams_possible(r->format) && strcmp(r->format->iformat->name, "ogg") != 0) {
        r->format->flags |= AVFMT_FLAG_NOFILLIN;
        r->times.stamps_only = 1;
    }
    /* Streams that begin late aren't there yet. */
    int known = (int)r->format->nb_streams;
    if (s->video >= 0 && s->video < known)
        rc = video_open(r, err);
    for (size_t i = 0; !rc && i < s->n_sounds; i++) {
        struct hearing *h = &r->heard[i];
        h->x = &s->sounds[i];
        h->x->packet = AV_NOPTS_VALUE;
        if (h->x->stream < known)
            rc = sound_start_decoding(r, h);
    }
    return rc;
}

static int reading_packet(struct reading *r, AVPacket *pkt)
{
    int rc = 0;
    if (pkt->stream_index == r->s->video) {
        rc = r->opened ? 0 : video_open(r, NULL);
        return rc < 0 ? rc : video_packet(r, pkt);
    }
    for (size_t i = 0; i < r->s->n_sounds; i++) {
        struct hearing *h = &r->heard[i];
        if (h->x->stream != pkt->stream_index)
            continue;
        rc = h->opened ? 0 : sound_start_decoding(r, h);
        return rc < 0 ? rc : sound_packet(r, h, pkt);
    }
    return 0;
}

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* Without decoding, a packet is a picture. */
static int packets_for_pictures(struct source *s)
{
    s->pictures = calloc(s->n_packets + 1, sizeof(*s->pictures));
    if (!s->pictures)
        return -ENOMEM;
    for (size_t i = 0; i < s->n_packets; i++)
        if (!s->n || s->pictures[s->n - 1].at != s->packets[i])
            s->pictures[s->n++] = (struct source_picture){ .at = s->packets[i] };
    return 0;
}

static const struct edit_track *edits_of(const struct reading *r, int stream)
{
    if (stream < 0 || stream >= (int)r->format->nb_streams)
        return NULL;
    return edit_lists_of(&r->s->edits, r->format->streams[stream]->id);
}

/* In the track's own times before, on the timeline behind. */
static int64_t edited(const struct edit_track *t, int64_t at, AVRational tb, int clip)
{
    for (size_t i = 0; i < t->n && at != AV_NOPTS_VALUE; i++) {
        const struct edit *e = &t->edits[i];
        double into = (double)at * av_q2d(tb) - e->media_s;
        if (!e->empty && e->rate > 0)
            return llrint((e->from_s + (clip ? fmax(into, 0) : into) / e->rate) / av_q2d(tb));
    }
    return at;
}

static int edits_apply(struct reading *r)
{
    struct source *s = r->s;
    const struct edit_track *t = s->video >= 0 ? edits_of(r, s->video) : NULL;
    int rc = t ? edits_show(t, s) : 0;
    for (size_t i = 0; !rc && i < s->n_sounds; i++) {
        struct source_sound *x = &s->sounds[i];
        t = edits_of(r, x->stream);
        if (!t)
            continue;
        x->start = edited(t, x->start, x->tb, 1);
        x->packet = edited(t, x->packet, x->tb, 0);
        rc = edits_play(t, &x->sound);
    }
    return rc;
}

static int reading_end(struct reading *r)
{
    struct source *s = r->s;
    int rc = 0;
    if (r->video) {
        (void)avcodec_send_packet(r->video, NULL);
        rc = pictures_drain(r);
    }
    for (size_t i = 0; !rc && i < s->n_sounds; i++) {
        struct hearing *h = &r->heard[i];
        if (h->codec) {
            (void)avcodec_send_packet(h->codec, NULL);
            rc = sound_drain(r, h);
        }
        if (!rc)
            rc = sound_settle(&h->x->sound);
    }
    if (s->n_packets)
        qsort(s->packets, s->n_packets, sizeof(*s->packets), by_value);
    if (!rc && r->video)
        rc = picture_times_settle(&r->times, s);
    else if (!rc)
        rc = packets_for_pictures(s);
    return rc < 0 ? rc : edits_apply(r);
}

/* The stream whose next sample, by its index, lies behind the end of the file; -1: none. */
static int stream_cut(const struct reading *r)
{
    int64_t size = avio_size(r->format->pb);
    for (unsigned i = 0; i < r->format->nb_streams && i < SOURCE_STREAMS_MAX; i++) {
        AVStream *st = r->format->streams[i];
        const AVIndexEntry *e = avformat_index_get_entry(st, (int)r->packets[i]);
        if (st->discard != AVDISCARD_ALL && e && (e->pos < 0 || e->pos > size - e->size))
            return (int)i;
    }
    return -1;
}

/* A stream of ISO media ends where its index leads out of the file; the others go on. */
static int packet_next(struct reading *r, AVPacket *pkt)
{
    for (;;) {
        int rc = joined_read(&r->s->joined, &r->joined, r->format, pkt);
        int cut = rc < 0 && strstr(r->format->iformat->name, "mov") ? stream_cut(r) : -1;
        if (rc >= 0 && pkt->stream_index < SOURCE_STREAMS_MAX)
            r->packets[pkt->stream_index]++;
        if (cut < 0)
            return rc;
        r->format->streams[cut]->discard = AVDISCARD_ALL;
        r->s->damage += cut == r->s->video;
    }
}

int source_read(struct source *s, const struct source_wish *w, struct err *err)
{
    _cleanup_(reading_release) struct reading r = { .s = s, .w = w };
    _cleanup_(av_packet_free) AVPacket *pkt = av_packet_alloc();
    int rc = pkt ? reading_open(&r, err) : -ENOMEM;
    while (!rc && packet_next(&r, pkt) >= 0) {
        rc = reading_packet(&r, pkt);
        av_packet_unref(pkt);
    }
    if (!rc)
        rc = reading_end(&r);
    if (rc < 0 && err && !err->text[0])
        err_set(err, rc, ERR_RESOURCE, "%s: %s", s->path, strerror(-rc));
    return rc;
}
