#include "segmenter.h"

#include "../common/base/cleanup.h"
#include "../common/base/err.h"
#include "../common/child/inside.h"
#include "codecs.h"
#include "digest.h"
#include "fragment.h"

#include <errno.h>
#include <libavformat/avformat.h>
#include <libavutil/intreadwrite.h>
#include <libavutil/mastering_display_metadata.h>
#include <string.h>

enum { AVIO_BYTES = 64 << 10 };

/* What the muxer has written and nobody has taken. */
struct bytes {
    uint8_t *p;
    size_t n, room;
};

struct segmenter {
    struct segmenter_config cfg;
    AVFormatContext *mux;
    AVIOContext *avio;
    struct bytes out;     /* of the muxer */
    struct bytes segment; /* under way */
    struct gop_range *gops;
    size_t n_gops, room_gops;
    uint64_t frames;   /* in the segment */
    int64_t tfdt_next; /* where the next fragment must begin; INT64_MIN at first */
    int has_init;
    struct rendition_result res;
};

static int append(struct bytes *b, const void *p, size_t n)
{
    if (n > b->room - b->n) {
        size_t room = b->room ? b->room : 1 << 16;
        while (room < b->n + n)
            room *= 2;
        uint8_t *q = realloc(b->p, room);
        if (!q)
            return -ENOMEM;
        b->p = q;
        b->room = room;
    }
    memcpy(b->p + b->n, p, n);
    b->n += n;
    return 0;
}

static int on_write(void *opaque, uint8_t *buf, int size)
{
    struct segmenter *s = opaque;
    return append(&s->out, buf, (size_t)size) < 0 ? AVERROR(ENOMEM) : size;
}

static int lib_error(struct err *err, const struct segmenter *s, const char *what, int r)
{
    return err_set(err, r == AVERROR(ENOMEM) ? -ENOMEM : -EIO,
                   r == AVERROR(ENOMEM) ? ERR_RESOURCE : ERR_INTERNAL, "rendition %s: %s: %s",
                   s->cfg.r->name, what, av_err2str(r));
}

/* A sample lasts 32 bits of ticks at most: pictures that are farther apart are the upload's doing,
 * and would be so for every worker. Whatever else the muxer doesn't take is ours. */
static int refused(struct err *err, const struct segmenter *s, AVPacket *const *pkts, size_t n,
                   int r)
{
    int ret = lib_error(err, s, "the muxer refuses a packet", r), apart = 0;

    for (size_t i = 0; i < n; i++)
        apart |= llabs(pkts[i]->pts - pkts[0]->pts) > INT32_MAX || pkts[i]->duration > INT32_MAX;
    if (apart && err && err->cls == ERR_INTERNAL)
        err->cls = ERR_INPUT;
    return ret;
}

/* For the boxes mdcv and clli (ISO/IEC 14496-12, 12.1.5): what the encoder's own bits may say,
 * players look for here. */
static int add_hdr(AVStream *st, const struct hdr_info *h)
{
    AVMasteringDisplayMetadata *m;
    AVContentLightMetadata *l;

    if (h->has_mastering) {
        m = (void *)av_stream_new_side_data(st, AV_PKT_DATA_MASTERING_DISPLAY_METADATA, sizeof(*m));
        if (!m)
            return AVERROR(ENOMEM);
        *m = (AVMasteringDisplayMetadata){ .has_primaries = 1, .has_luminance = 1 };
        for (int i = 0; i < 2; i++) {
            m->display_primaries[0][i] = (AVRational){ h->red[i], 50000 };
            m->display_primaries[1][i] = (AVRational){ h->green[i], 50000 };
            m->display_primaries[2][i] = (AVRational){ h->blue[i], 50000 };
            m->white_point[i] = (AVRational){ h->white[i], 50000 };
        }
        m->max_luminance = av_make_q((int)h->max_luminance, 10000);
        m->min_luminance = av_make_q((int)h->min_luminance, 10000);
    }
    if (h->max_cll) {
        l = (void *)av_stream_new_side_data(st, AV_PKT_DATA_CONTENT_LIGHT_LEVEL, sizeof(*l));
        if (!l)
            return AVERROR(ENOMEM);
        *l = (AVContentLightMetadata){ h->max_cll, h->max_fall };
    }
    return 0;
}

static int add_stream(struct segmenter *s)
{
    const AVCodecContext *enc = s->cfg.enc;
    AVStream *st = avformat_new_stream(s->mux, NULL);

    if (!st)
        return AVERROR(ENOMEM);
    int r = avcodec_parameters_from_context(st->codecpar, enc);
    if (r < 0)
        return r;
    for (int i = 0; i < enc->nb_coded_side_data; i++) {
        const AVPacketSideData *sd = &enc->coded_side_data[i];
        uint8_t *p = av_stream_new_side_data(st, sd->type, sd->size);
        if (!p)
            return AVERROR(ENOMEM);
        memcpy(p, sd->data, sd->size);
    }
    /* hvc1, not hev1: parameter sets are in the init segment only (Apple's
     * authoring rules, 1.10). */
    st->codecpar->codec_tag = enc->codec_id == AV_CODEC_ID_HEVC ? MKTAG('h', 'v', 'c', '1') : 0;
    st->time_base = (AVRational){ 1, (int)s->cfg.timescale };
    st->sample_aspect_ratio = enc->sample_aspect_ratio;
    if (enc->codec_type == AVMEDIA_TYPE_VIDEO)
        st->avg_frame_rate = enc->framerate;
    return add_hdr(st, &s->cfg.r->hdr);
}

static AVDictionary *mux_options(const struct segmenter *s)
{
    AVDictionary *o = NULL;
    int video = s->cfg.r->kind == MEDIA_VIDEO;

    av_dict_set(&o, "movflags",
                video ? "cmaf+frag_custom+frag_discont+write_colr" : "cmaf+frag_custom+delay_moov",
                0);
    /* Audio declares its priming by an edit list, which needs the first
     * packet: hence delay_moov. */
    av_dict_set(&o, "use_editlist", video ? "0" : "1", 0);
    av_dict_set_int(&o, "fragment_index", (int64_t)s->cfg.first_fragment + 1, 0);
    av_dict_set_int(&o, "video_track_timescale", s->cfg.timescale, 0);
    return o;
}

static int open_mux(struct segmenter *s)
{
    int r = avformat_alloc_output_context2(&s->mux, NULL, "mp4", NULL);
    uint8_t *buf = r < 0 ? NULL : av_malloc(AVIO_BYTES);

    if (buf)
        s->avio = avio_alloc_context(buf, AVIO_BYTES, 1, s, NULL, on_write, NULL);
    if (!s->avio) {
        av_free(buf);
        return r < 0 ? r : AVERROR(ENOMEM);
    }
    s->mux->pb = s->avio;
    /* No versions and no times of day in the bytes. */
    s->mux->flags |= AVFMT_FLAG_BITEXACT | AVFMT_FLAG_CUSTOM_IO;
    s->mux->avoid_negative_ts = AVFMT_AVOID_NEG_TS_DISABLED;
    r = add_stream(s);
    if (r < 0)
        return r;
    AVDictionary *o = mux_options(s);
    r = avformat_write_header(s->mux, &o);
    av_dict_free(&o);
    avio_flush(s->avio);
    /* The muxer may have chosen otherwise; then every time would be wrong. */
    if (r >= 0 && s->mux->streams[0]->time_base.den != (int)s->cfg.timescale)
        return AVERROR_BUG;
    return r < 0 ? r : 0;
}

/* Everything up to the first moof is the init segment. */
static int take_init(struct segmenter *s, size_t n, struct err *err)
{
    char codecs[64];
    struct rendition_result *res = &s->res;
    int r = codecs_of_init(s->out.p, n, codecs, sizeof(codecs), err);

    if (r < 0)
        return err_prefix(err, r, "rendition %s", s->cfg.r->name);
    res->name = strdup(s->cfg.r->name);
    res->codecs = strdup(codecs);
    res->timescale = s->cfg.timescale;
    res->init.key = segment_key(s->cfg.r->kind, s->cfg.r->name, 0);
    res->init.size_bytes = n;
    if (!res->name || !res->codecs || !res->init.key)
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory for an init segment");
    digest(s->out.p, n, res->init.sha256, res->init.md5);
    s->has_init = 1;
    return s->cfg.store_init ? inside_object(s->cfg.in, res->init.key, s->out.p, n, err) : 0;
}

/* Offset of the first top-level box of that type, or the length. */
static size_t offset_of(const struct bytes *b, const char *type)
{
    size_t at = 0;

    while (b->n - at >= 8 && memcmp(b->p + at + 4, type, 4) != 0) {
        uint32_t size = AV_RB32(b->p + at);
        if (size < 8 || size > b->n - at)
            return b->n;
        at += size;
    }
    return b->n - at >= 8 ? at : b->n;
}

int segmenter_new(const struct segmenter_config *cfg, struct segmenter **ret, struct err *err)
{
    struct segmenter *s = calloc(1, sizeof(*s));

    if (!s)
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory for a muxer");
    s->cfg = *cfg;
    s->tfdt_next = INT64_MIN;
    int r = open_mux(s);
    if (r < 0)
        r = lib_error(err, s, "the muxer can't be opened", r);
    else if (cfg->r->kind == MEDIA_VIDEO)
        r = take_init(s, s->out.n, err);
    if (r < 0) {
        segmenter_free(s);
        return r;
    }
    s->cfg.enc = NULL;
    if (s->has_init)
        s->out.n = 0;
    *ret = s;
    return 0;
}

void segmenter_free(struct segmenter *s)
{
    if (!s)
        return;
    avformat_free_context(s->mux);
    if (s->avio)
        av_freep(&s->avio->buffer);
    avio_context_free(&s->avio);
    rendition_result_release(&s->res);
    free(s->out.p);
    free(s->segment.p);
    free(s->gops);
    free(s);
}

/* Make the muxer write what it holds as one fragment: with delay_moov the
 * first flush only gives the moov. */
static int flush(struct segmenter *s, struct err *err)
{
    for (int i = 0; i < 2; i++) {
        int r = av_write_frame(s->mux, NULL);
        avio_flush(s->avio);
        if (r < 0)
            return lib_error(err, s, "the muxer can't write", r);
        if (offset_of(&s->out, "moof") < s->out.n)
            break;
    }
    if (s->has_init)
        return 0;
    size_t n = offset_of(&s->out, "moof");
    int r = take_init(s, n, err);
    if (r < 0)
        return r;
    memmove(s->out.p, s->out.p + n, s->out.n - n);
    s->out.n -= n;
    return 0;
}

static int write_packets(struct segmenter *s, AVPacket **pkts, size_t n, struct err *err)
{
    for (size_t i = 0; i < n; i++) {
        pkts[i]->stream_index = 0;
        int r = av_write_frame(s->mux, pkts[i]);
        if (r < 0)
            return refused(err, s, pkts, n, r);
    }
    return flush(s, err);
}

/* `styp`, so that a segment can be told from a file cut off in its middle
 * (CMAF, 7.3.3.1): brands msdh and cmfs. */
static int begin_segment(struct segmenter *s)
{
    static const uint8_t styp[] = { 0, 0, 0, 24, 's', 't', 'y', 'p', 'm', 's', 'd', 'h',
                                    0, 0, 0, 0,  'm', 's', 'd', 'h', 'c', 'm', 'f', 's' };

    return s->segment.n == 0 ? append(&s->segment, styp, sizeof(styp)) : 0;
}

static int add_gop(struct segmenter *s, const struct fragment *f)
{
    if (s->n_gops == s->room_gops) {
        size_t room = s->room_gops ? s->room_gops * 2 : 8;
        struct gop_range *g = realloc(s->gops, room * sizeof(*g));
        if (!g)
            return -ENOMEM;
        s->gops = g;
        s->room_gops = room;
    }
    s->gops[s->n_gops++] = (struct gop_range){
        .offset = s->segment.n,
        .size_bytes = f->first_end,
        .start = f->tfdt,
        .duration = f->duration,
    };
    return 0;
}

/* The muxer's output becomes part of the segment. */
static int take_fragment(struct segmenter *s, const struct fragment *f, struct err *err)
{
    int r = begin_segment(s);

    if (r == 0 && s->cfg.r->kind == MEDIA_VIDEO)
        r = add_gop(s, f);
    if (r == 0)
        r = append(&s->segment, s->out.p, s->out.n);
    if (r < 0)
        return err_set(err, r, ERR_RESOURCE, "out of memory for a segment");
    s->out.n = 0;
    s->frames += f->samples;
    s->tfdt_next = f->tfdt + f->duration;
    return 0;
}

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* Each picture's duration is how long it is shown: where rates vary and pictures
 * are reordered, players that go by pts and durations (Media Source Extensions)
 * would else see gaps, overlaps, and an end beyond the presentation's. Decode
 * times follow from that. libavformat wants dts <= pts, so it is told a time
 * earlier by the longest GOP, the same for the whole task: its flag
 * negative_cts_offsets puts the first packet's dts back onto its pts and all
 * others with it. */
static int set_decode_times(struct segmenter *s, AVPacket **pkts, size_t n, int64_t end)
{
    int64_t *shown = malloc((n + 1) * sizeof(*shown)), dts = pkts[0]->pts - s->cfg.longest_gop;

    if (!shown)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++)
        shown[i] = pkts[i]->pts;
    qsort(shown, n, sizeof(*shown), compare);
    shown[n] = end;
    for (size_t i = 0; i < n; i++) {
        const int64_t *at = bsearch(&pkts[i]->pts, shown, n, sizeof(*shown), compare);
        pkts[i]->dts = dts;
        pkts[i]->duration = at[1] - at[0];
        dts += pkts[i]->duration;
    }
    free(shown);
    return 0;
}

static int check_gop(const struct segmenter *s, const struct fragment *f, size_t n, int64_t start,
                     int64_t end, struct err *err)
{
    if (f->samples == n && f->tfdt == start && f->first_pts == start &&
        f->duration == end - start && f->first_sync && f->last_pts < end &&
        (s->tfdt_next == INT64_MIN || s->tfdt_next == start))
        return 0;
    return err_set(err, -EPROTO, ERR_INTERNAL,
                   "rendition %s: a GOP of %zu frames in [%lld, %lld) reads back as %u frames, "
                   "tfdt %lld, first shown %lld, duration %lld, %s at its start",
                   s->cfg.r->name, n, (long long)start, (long long)end, f->samples,
                   (long long)f->tfdt, (long long)f->first_pts, (long long)f->duration,
                   f->first_sync ? "a sync sample" : "no sync sample");
}

int segmenter_gop(struct segmenter *s, AVPacket **pkts, size_t n, int64_t start, int64_t end,
                  struct err *err)
{
    struct fragment f;

    if (n == 0 || !(pkts[0]->flags & AV_PKT_FLAG_KEY) || pkts[0]->pts != start)
        return err_set(err, -EPROTO, ERR_INTERNAL,
                       "rendition %s: the encoder began no GOP at %lld where one was asked for",
                       s->cfg.r->name, (long long)start);
    if (set_decode_times(s, pkts, n, end) < 0)
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory for a GOP");
    int r = write_packets(s, pkts, n, err);
    if (r == 0)
        r = fragment_read(s->out.p, s->out.n, &f, err);
    if (r == 0)
        r = check_gop(s, &f, n, start, end, err);
    return r < 0 ? r : take_fragment(s, &f, err);
}

int segmenter_audio(struct segmenter *s, AVPacket **pkts, size_t n, struct err *err)
{
    struct fragment f;
    int r = write_packets(s, pkts, n, err);

    if (r == 0)
        r = fragment_read(s->out.p, s->out.n, &f, err);
    if (r < 0)
        return r;
    if (f.samples != n || (s->tfdt_next != INT64_MIN && f.tfdt != s->tfdt_next))
        return err_set(err, -EPROTO, ERR_INTERNAL,
                       "rendition %s: %zu packets of sound read back as %u at %lld, not at %lld",
                       s->cfg.r->name, n, f.samples, (long long)f.tfdt, (long long)s->tfdt_next);
    return take_fragment(s, &f, err);
}

int segmenter_cut(struct segmenter *s, int64_t start, int64_t end, struct err *err)
{
    struct rendition_result *res = &s->res;
    struct segment *list = realloc(res->segments, (res->n_segments + 1) * sizeof(*list));

    if (!list)
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory for a segment");
    res->segments = list;
    struct segment *g = &list[res->n_segments];
    *g = (struct segment){
        .number = s->cfg.first_segment + (unsigned)res->n_segments + 1,
        .size_bytes = s->segment.n,
        .start = start,
        .duration = end - start,
        .frames = s->frames,
    };
    g->key = segment_key(s->cfg.r->kind, s->cfg.r->name, g->number);
    if (!g->key)
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory for a segment");
    res->n_segments++;
    res->frames += s->frames;
    g->gops = take_ptr(s->gops);
    g->n_gops = s->n_gops;
    /* The parent, which stores it, fills in the digests. */
    memset(g->sha256, '0', sizeof(g->sha256) - 1);
    memset(g->md5, '0', sizeof(g->md5) - 1);
    int r = inside_object(s->cfg.in, g->key, s->segment.p, s->segment.n, err);
    s->segment.n = s->n_gops = s->room_gops = 0;
    s->frames = 0;
    return r;
}

int segmenter_result(struct segmenter *s, struct rendition_result *ret, struct err *err)
{
    if (s->segment.n > 0 || s->out.n > 0)
        return err_set(err, -EPROTO, ERR_INTERNAL, "rendition %s: %zu bytes after the last segment",
                       s->cfg.r->name, s->segment.n + s->out.n);
    *ret = s->res;
    s->res = (struct rendition_result){ 0 };
    return 0;
}
