#include "source.h"

#include <errno.h>
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/display.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/cleanup.h"
#include "common/base/err.h"

DEFINE_CLEANUP(struct source *, source_free);

static inline void format_freep(AVFormatContext **f)
{
    AVIOContext *io = *f ? (*f)->pb : NULL;
    avformat_close_input(f);
    avio_closep(&io);
}

static inline void codec_freep(AVCodecContext **c)
{
    avcodec_free_context(c);
}

static inline void packet_freep(AVPacket **p)
{
    av_packet_free(p);
}

static inline void frame_freep(AVFrame **f)
{
    av_frame_free(f);
}

void source_free(struct source *s)
{
    if (!s)
        return;
    free(s->path);
    free(s->pts);
    free(s->watched);
    free(s->thumbs);
    free(s->seen);
    seams_release(&s->seams);
    free(s->sums);
    free(s->summed);
    free(s);
}

static int bad(struct err *err, const struct source *s, const char *what, int r)
{
    char text[AV_ERROR_MAX_STRING_SIZE];
    if (r == AVERROR(ENOMEM))
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory");
    av_strerror(r, text, sizeof(text));
    return err_set(err, -EINVAL, ERR_INPUT, "%s: %s: %s", s->path, what, text);
}

/* Only this one file is read: playlists and scripts that a demuxer would
 * follow find no protocol to open anything with. */
static int open_alone(const struct source *s, AVFormatContext **ret)
{
    _cleanup_free_ char *url = NULL;
    AVFormatContext *f = avformat_alloc_context();
    AVIOContext *io = NULL;
    /* "file:" so that no name is taken for a protocol. */
    int r = f && asprintf(&url, "file:%s", s->path) >= 0 ? 0 : AVERROR(ENOMEM);
    if (!r)
        r = avio_open(&io, url, AVIO_FLAG_READ);
    if (r < 0) {
        avformat_free_context(f);
        return r;
    }
    f->pb = io;
    f->protocol_whitelist = av_strdup("none");
    r = avformat_open_input(&f, s->path, NULL, NULL); /* frees f where it fails, not io */
    if (r < 0)
        avio_closep(&io);
    else
        *ret = f;
    return r;
}

static int open_format(const struct source *s, AVFormatContext **ret, struct err *err)
{
    _cleanup_(format_freep) AVFormatContext *f = NULL;
    int r = open_alone(s, &f);
    if (r < 0)
        return bad(err, s, "can't be opened", r);
    r = avformat_find_stream_info(f, NULL);
    if (r < 0)
        return bad(err, s, "can't be read", r);
    *ret = take_ptr(f);
    return 0;
}

int source_format(const struct source *s, AVFormatContext **ret, struct err *err)
{
    return open_format(s, ret, err);
}

void source_format_close(AVFormatContext **f)
{
    format_freep(f);
}

static void keep_only(AVFormatContext *f, int stream)
{
    for (unsigned i = 0; i < f->nb_streams; i++)
        f->streams[i]->discard = (int)i == stream ? AVDISCARD_DEFAULT : AVDISCARD_ALL;
}

/* docs/inputs.md: the default one, else the largest. Cover art is a video
 * stream to libavformat; films aren't. */
static int best_video(const AVFormatContext *f)
{
    int best = -1;
    int64_t most = 0;
    for (unsigned i = 0; i < f->nb_streams; i++) {
        const AVStream *st = f->streams[i];
        const AVCodecParameters *c = st->codecpar;
        int64_t score = (int64_t)c->width * c->height;
        if (c->codec_type != AVMEDIA_TYPE_VIDEO || score <= 0 ||
            st->disposition & (AV_DISPOSITION_ATTACHED_PIC | AV_DISPOSITION_TIMED_THUMBNAILS) ||
            !avcodec_find_decoder(c->codec_id))
            continue;
        if (st->disposition & AV_DISPOSITION_DEFAULT)
            score += INT64_C(1) << 40;
        if (score > most) {
            most = score;
            best = (int)i;
        }
    }
    return best;
}

/* Programs that know no matrix keep a rotation as a tag, degrees clockwise. */
static void matrix_of_tag(struct source *s, const AVStream *st)
{
    static const int32_t one = 1 << 16;
    const AVDictionaryEntry *tag = av_dict_get(st->metadata, "rotate", NULL, 0);
    int cos = 0, sin = 0;
    if (!tag || s->has_matrix)
        return;
    switch ((atoi(tag->value) % 360 + 360) % 360) {
    case 90:
        sin = 1;
        break;
    case 180:
        cos = -1;
        break;
    case 270:
        sin = -1;
        break;
    default:
        return;
    }
    s->has_matrix = 1;
    s->matrix[0] = s->matrix[4] = cos * one;
    s->matrix[1] = sin * one;
    s->matrix[3] = -sin * one;
}

static void find_sounds(struct source *s, AVFormatContext *f)
{
    int best = av_find_best_stream(f, AVMEDIA_TYPE_AUDIO, -1, s->video, NULL, 0);
    for (unsigned i = 0; i < f->nb_streams && s->n_sounds < SOURCE_SOUNDS_MAX; i++) {
        const AVStream *st = f->streams[i];
        const AVDictionaryEntry *lang = av_dict_get(st->metadata, "language", NULL, 0);
        struct source_sound *x = &s->sounds[s->n_sounds];
        if (st->codecpar->codec_type != AVMEDIA_TYPE_AUDIO || st->codecpar->sample_rate <= 0 ||
            st->codecpar->ch_layout.nb_channels <= 0 ||
            !avcodec_find_decoder(st->codecpar->codec_id))
            continue;
        *x = (struct source_sound){ .stream = (int)i,
                                    .tb = st->time_base,
                                    .is_default = (st->disposition & AV_DISPOSITION_DEFAULT) != 0 };
        snprintf(x->language, sizeof(x->language), "%s", lang ? lang->value : "");
        if ((int)i == best || !s->sound)
            s->sound = x;
        s->n_sounds++;
    }
}

static void find_streams(struct source *s, AVFormatContext *f)
{
    s->video = best_video(f);
    find_sounds(s, f);
    if (s->video >= 0) {
        const AVStream *st = f->streams[s->video];
        size_t size = 0;
        const uint8_t *m = av_stream_get_side_data(st, AV_PKT_DATA_DISPLAYMATRIX, &size);
        s->video_tb = st->time_base;
        s->has_matrix = m && size >= sizeof(s->matrix);
        if (s->has_matrix)
            memcpy(s->matrix, m, sizeof(s->matrix));
        matrix_of_tag(s, st);
    }
}

struct times {
    int64_t *pts;
    size_t n, room;
};

static int times_add(struct times *t, int64_t pts)
{
    if (t->n == t->room) {
        size_t room = t->room ? t->room * 2 : 1024;
        int64_t *grown = realloc(t->pts, room * sizeof(*grown));
        if (!grown)
            return -ENOMEM;
        t->pts = grown;
        t->room = room;
    }
    t->pts[t->n++] = pts;
    return 0;
}

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void take_times(struct source *s, struct times *t)
{
    size_t n = 0;
    if (t->n)
        qsort(t->pts, t->n, sizeof(*t->pts), by_value);
    for (size_t i = 0; i < t->n; i++)
        if (!n || t->pts[n - 1] != t->pts[i])
            t->pts[n++] = t->pts[i];
    free(s->pts);
    s->pts = t->pts;
    s->n = n;
    s->doubles = t->n - n;
}

/* A stream that begins in the middle of a GOP shows nothing before its first
 * keyframe. Forget what was listed up to it; later, what is shown before it. */
static void begin_at_key(struct source *s, struct times *t, const AVPacket *key)
{
    s->begins_at_key = t->n > 0;
    s->first_shown = s->begins_at_key ? key->pts : INT64_MIN;
    t->n = 0;
}

static int list_packets(struct source *s, AVFormatContext *f)
{
    struct times t = { 0 };
    int begun = 0;
    _cleanup_(packet_freep) AVPacket *pkt = av_packet_alloc();
    if (!pkt)
        return -ENOMEM;
    keep_only(f, s->video);
    int64_t pos = 0;
    int r = 0;
    while (!r && av_read_frame(f, pkt) >= 0) {
        seams_apply(&s->seams, pkt, &pos);
        int shown = pkt->stream_index == s->video && !(pkt->flags & AV_PKT_FLAG_DISCARD);
        if (pkt->stream_index == s->video && pkt->flags & AV_PKT_FLAG_KEY && !begun) {
            begin_at_key(s, &t, pkt);
            begun = 1;
        }
        if (shown) {
            if (pkt->pts == AV_NOPTS_VALUE)
                s->unknown++;
            else if (!s->begins_at_key || pkt->pts >= s->first_shown)
                r = times_add(&t, pkt->pts);
        }
        av_packet_unref(pkt);
    }
    take_times(s, &t);
    return r;
}

static void first_sound_packet(const struct source *s, struct source_sound *x)
{
    _cleanup_(format_freep) AVFormatContext *f = NULL;
    _cleanup_(packet_freep) AVPacket *pkt = av_packet_alloc();
    if (!pkt || open_format(s, &f, NULL) < 0)
        return;
    keep_only(f, x->stream);
    while (av_read_frame(f, pkt) >= 0) {
        int first = pkt->stream_index == x->stream && pkt->pts != AV_NOPTS_VALUE;
        if (first)
            x->packet = pkt->pts;
        av_packet_unref(pkt);
        if (first)
            return;
    }
}

static int find_seams(struct source *s, struct err *err)
{
    _cleanup_(format_freep) AVFormatContext *f = NULL;
    int r = open_format(s, &f, err);
    return r < 0 ? r : seams_find(f, s->video, s->sound ? s->sound->stream : -1, &s->seams);
}

static int first_sound(void *arg, const AVFrame *f)
{
    struct source_sound *x = arg;
    if (f->pts == AV_NOPTS_VALUE)
        return 0;
    x->heard = 1;
    x->start = f->pts;
    return 1;
}

int source_open(const char *path, struct source **ret, struct err *err)
{
    _cleanup_(source_freep) struct source *s = calloc(1, sizeof(*s));
    _cleanup_(format_freep) AVFormatContext *f = NULL;
    if (!s || !(s->path = strdup(path)))
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory");
    s->video = -1;
    int r = open_format(s, &f, err);
    if (r < 0)
        return r;
    find_streams(s, f);
    if (s->video < 0 && !s->sound)
        return err_set(err, -EINVAL, ERR_INPUT, "%s: neither video nor audio", path);
    r = seams_possible(f) ? find_seams(s, err) : 0;
    if (!r && s->video >= 0)
        r = list_packets(s, f);
    if (!r && s->video >= 0 && (!s->n || s->unknown))
        r = source_decode_times(s, err);
    /* Sound that doesn't decode starts nothing. */
    for (size_t i = 0; r >= 0 && i < s->n_sounds; i++) {
        struct source_sound *x = &s->sounds[i];
        (void)source_decode(s, x->stream, first_sound, x, NULL);
        s->has_sound |= x->heard;
        if (x->heard)
            first_sound_packet(s, x);
    }
    if (r < 0)
        return r;
    *ret = take_ptr(s);
    return 0;
}

static int open_codec(const struct source *s, AVFormatContext *f, int stream, AVCodecContext **ret,
                      struct err *err)
{
    const AVCodecParameters *par = f->streams[stream]->codecpar;
    const AVCodec *codec = avcodec_find_decoder(par->codec_id);
    _cleanup_(codec_freep) AVCodecContext *c = codec ? avcodec_alloc_context3(codec) : NULL;
    if (!codec)
        return bad(err, s, avcodec_get_name(par->codec_id), AVERROR_DECODER_NOT_FOUND);
    if (!c || avcodec_parameters_to_context(c, par) < 0)
        return -ENOMEM;
    c->pkt_timebase = f->streams[stream]->time_base;
    /* libavcodec's own decoders lose sight of damage between threads, of frames and of slices. */
    c->thread_count = strcmp(codec->name, "libdav1d") == 0 ? 0 : 1;
    int r = avcodec_open2(c, codec, NULL);
    if (r < 0)
        return bad(err, s, "its decoder can't be opened", r);
    *ret = take_ptr(c);
    return 0;
}

struct pace { /* of decoded pictures */
    int64_t last, step;
};

/* At the end a decoder may give frames without any time. */
static int64_t time_of(const AVFrame *f, struct pace *p)
{
    int64_t at = f->best_effort_timestamp;
    if (at == AV_NOPTS_VALUE && p->step > 0)
        at = p->last + p->step;
    if (at == AV_NOPTS_VALUE)
        return at;
    p->step = p->last != AV_NOPTS_VALUE && at > p->last ? at - p->last : 0;
    p->last = at;
    return at;
}

/* All frames that are ready. Damaged input is the source's business. */
static int drain(AVCodecContext *c, AVFrame *frame, struct pace *pace,
                 int (*each)(void *, const AVFrame *), void *arg)
{
    for (;;) {
        int r = avcodec_receive_frame(c, frame);
        if (r == AVERROR(ENOMEM))
            return -ENOMEM;
        if (r < 0)
            return 0;
        frame->pts = c->codec_type == AVMEDIA_TYPE_VIDEO ? time_of(frame, pace)
                                                         : frame->best_effort_timestamp;
        r = each(arg, frame);
        if (r)
            return r;
    }
}

static int decode(const struct source *s, int stream, int (*each)(void *arg, const AVFrame *f),
                  void *arg, size_t *damage, struct err *err)
{
    _cleanup_(format_freep) AVFormatContext *f = NULL;
    _cleanup_(codec_freep) AVCodecContext *c = NULL;
    _cleanup_(packet_freep) AVPacket *pkt = av_packet_alloc();
    _cleanup_(frame_freep) AVFrame *frame = av_frame_alloc();
    if (!pkt || !frame)
        return -ENOMEM;
    int r = open_format(s, &f, err);
    if (!r)
        r = open_codec(s, f, stream, &c, err);
    if (r < 0)
        return r;
    keep_only(f, stream);
    struct pace pace = { AV_NOPTS_VALUE, 0 };
    int64_t pos = 0;
    int begun = stream != s->video || !s->begins_at_key;
    while (!r && av_read_frame(f, pkt) >= 0) {
        begun |= pkt->stream_index == stream && pkt->flags & AV_PKT_FLAG_KEY;
        if (pkt->stream_index == stream && begun) {
            seams_apply(&s->seams, pkt, &pos);
            int sent = avcodec_send_packet(c, pkt);
            if ((sent < 0 || pkt->flags & AV_PKT_FLAG_CORRUPT) && damage)
                (*damage)++;
            r = drain(c, frame, &pace, each, arg);
        }
        av_packet_unref(pkt);
    }
    if (!r) {
        (void)avcodec_send_packet(c, NULL);
        r = drain(c, frame, &pace, each, arg);
    }
    return r;
}

int source_decode_counting(const struct source *s, int stream,
                           int (*each)(void *arg, const AVFrame *f), void *arg, size_t *damage,
                           struct err *err)
{
    *damage = 0;
    return decode(s, stream, each, arg, damage, err);
}

int source_decode(const struct source *s, int stream, int (*each)(void *arg, const AVFrame *f),
                  void *arg, struct err *err)
{
    return decode(s, stream, each, arg, NULL, err);
}

struct decoding {
    struct times t;
    size_t damage;
};

static int add_time(void *arg, const AVFrame *f)
{
    struct decoding *d = arg;
    d->damage += f->decode_error_flags || f->flags & AV_FRAME_FLAG_CORRUPT;
    return f->pts == AV_NOPTS_VALUE ? 0 : times_add(&d->t, f->pts);
}

int source_decode_times(struct source *s, struct err *err)
{
    struct decoding d = { 0 };
    size_t refused = 0;
    int r = decode(s, s->video, add_time, &d, &refused, err);
    if (r < 0) {
        free(d.t.pts);
        return r;
    }
    take_times(s, &d.t);
    s->damage = d.damage + refused;
    s->from_decoder = 1;
    return 0;
}

static int by_size(const void *a, const void *b)
{
    size_t x = *(const size_t *)a, y = *(const size_t *)b;
    return (x > y) - (x < y);
}

int source_watch(struct source *s, const size_t *frames, size_t n)
{
    s->watched = calloc(n + 1, sizeof(*s->watched));
    s->thumbs = calloc(n + 1, sizeof(*s->thumbs));
    s->seen = calloc(n + 1, 1);
    if (!s->watched || !s->thumbs || !s->seen)
        return -ENOMEM;
    memcpy(s->watched, frames, n * sizeof(*frames));
    qsort(s->watched, n, sizeof(*s->watched), by_size);
    for (size_t i = 0; i < n; i++)
        if (!s->n_watched || s->watched[s->n_watched - 1] != s->watched[i])
            s->watched[s->n_watched++] = s->watched[i];
    return 0;
}

static size_t watched_at(const struct source *s, size_t frame)
{
    const size_t *at = s->n_watched
                           ? bsearch(&frame, s->watched, s->n_watched, sizeof(*s->watched), by_size)
                           : NULL;
    return at ? (size_t)(at - s->watched) : SIZE_MAX;
}

int source_watch_sums(struct source *s)
{
    s->sums = calloc(s->n + 1, sizeof(*s->sums));
    s->summed = calloc(s->n + 1, 1);
    return s->sums && s->summed ? 0 : -ENOMEM;
}

const struct sum *source_sum(const struct source *s, size_t frame)
{
    return s->sums && frame < s->n && s->summed[frame] ? &s->sums[frame] : NULL;
}

struct looking {
    struct source *s;
    struct SwsContext *sws;
    size_t damage;
};

static int look(void *arg, const AVFrame *f)
{
    struct looking *l = arg;
    struct source *s = l->s;
    s->looked_damage += f->decode_error_flags || f->flags & AV_FRAME_FLAG_CORRUPT;
    const int64_t *at = s->n && f->pts != AV_NOPTS_VALUE
                            ? bsearch(&f->pts, s->pts, s->n, sizeof(*s->pts), by_value)
                            : NULL;
    size_t i = at ? (size_t)(at - s->pts) : 0;
    if (at && s->sums && !s->summed[i]) {
        int r = sum_make(f, &s->sums[i]);
        s->summed[i] = r == 0;
        if (r == -ENOMEM)
            return r;
    }
    size_t w = at ? watched_at(s, i) : SIZE_MAX;
    if (w == SIZE_MAX || s->seen[w])
        return 0;
    int r = thumb_make(&l->sws, f, s->has_matrix ? s->matrix : NULL, &s->thumbs[w]);
    s->seen[w] = r == 0;
    return r == -ENOMEM ? r : 0;
}

int source_look(struct source *s, struct err *err)
{
    struct looking l = { .s = s };
    size_t refused = 0;
    int r = decode(s, s->video, look, &l, &refused, err);
    s->looked_damage += refused;
    thumb_releasep(&l.sws);
    return r;
}

const struct thumb *source_thumb(const struct source *s, size_t frame)
{
    size_t w = watched_at(s, frame);
    return w != SIZE_MAX && s->seen[w] ? &s->thumbs[w] : NULL;
}
