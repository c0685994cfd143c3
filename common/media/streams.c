/* The choice of streams, and what their parameters say. */
#include "streams.h"

#include "../base/err.h"
#include "../base/utf8.h"
#include "bitstream.h"
#include "open.h"
#include "turn.h"

#include <errno.h>
#include <libavutil/channel_layout.h>
#include <libavutil/pixdesc.h>
#include <stdlib.h>
#include <string.h>

static void text(char *to, size_t size, const char *from)
{
    (void)snprintf(to, size, "%s", from ? from : "");
}

int streams_is_film(const AVStream *st)
{
    return st->codecpar->codec_type == AVMEDIA_TYPE_VIDEO &&
           !(st->disposition & (AV_DISPOSITION_ATTACHED_PIC | AV_DISPOSITION_TIMED_THUMBNAILS |
                                AV_DISPOSITION_STILL_IMAGE));
}

static int usable_video(const AVStream *st)
{
    const AVCodecParameters *p = st->codecpar;

    return streams_is_film(st) && p->codec_id != AV_CODEC_ID_NONE && p->width > 0 && p->height > 0;
}

static int is_of(const AVProgram *p, unsigned k)
{
    for (unsigned i = 0; i < p->nb_stream_indexes; i++)
        if (p->stream_index[i] == k)
            return 1;
    return 0;
}

int streams_other_programme(AVFormatContext *f, int v, unsigned k)
{
    AVProgram *p = NULL;

    if (v < 0 || !av_find_program_from_stream(f, NULL, v) ||
        !av_find_program_from_stream(f, NULL, (int)k))
        return 0;
    while ((p = av_find_program_from_stream(f, p, v)))
        if (is_of(p, k))
            return 0;
    return 1;
}

int streams_is_audio(const AVStream *st)
{
    const AVCodecParameters *p = st->codecpar;

    return p->codec_type == AVMEDIA_TYPE_AUDIO && p->codec_id != AV_CODEC_ID_NONE &&
           p->sample_rate > 0 && p->ch_layout.nb_channels > 0;
}

/* Of a phone's motion photo the still is a track of its own: larger, and of a picture or two. */
enum { STILL_PART = 10 };

/* `most`: pictures of the track that has most, as far as containers count them. */
static int64_t video_score(const AVStream *st, int64_t most)
{
    int64_t pixels = (int64_t)st->codecpar->width * st->codecpar->height;
    int still = st->nb_frames > 0 && st->nb_frames <= most / STILL_PART;

    return pixels + (st->disposition & AV_DISPOSITION_DEFAULT ? INT64_C(1) << 40 : 0) +
           (still ? 0 : INT64_C(1) << 41) +
           (media_decodes(st->codecpar->codec_id) ? INT64_C(1) << 42 : 0);
}

static int64_t most_pictures(const AVFormatContext *f)
{
    int64_t most = 0;

    for (unsigned i = 0; i < f->nb_streams; i++)
        if (usable_video(f->streams[i]) && media_decodes(f->streams[i]->codecpar->codec_id) &&
            f->streams[i]->nb_frames > most)
            most = f->streams[i]->nb_frames;
    return most;
}

int streams_choose_video(const AVFormatContext *f, int *ret_others)
{
    int best = -1, n = 0;
    int64_t best_score = -1, most = most_pictures(f);

    for (unsigned i = 0; i < f->nb_streams; i++) {
        const AVStream *st = f->streams[i];
        if (!usable_video(st))
            continue;
        int64_t score = video_score(st, most);
        n++;
        if (score > best_score) {
            best_score = score;
            best = (int)i;
        }
    }
    *ret_others = n > 0 ? n - 1 : 0;
    return best;
}

/* Older programs kept a phone's rotation as a tag, in degrees clockwise, where
 * they copied to a container without a matrix (Matroska). */
static void read_rotate_tag(const AVStream *st, struct video_info *v)
{
    const AVDictionaryEntry *tag = av_dict_get(st->metadata, "rotate", NULL, 0);
    char *end = NULL;
    long degrees = tag ? strtol(tag->value, &end, 10) : 0;

    if (!tag || end == tag->value || *end || degrees % 90 || labs(degrees) > 3600)
        return;
    v->rotation = (int)((degrees % 360 + 360) % 360);
}

static void read_rotation(const AVStream *st, struct video_info *v)
{
    const int32_t *m = (const int32_t *)av_stream_get_side_data(st, AV_PKT_DATA_DISPLAYMATRIX,
                                                                NULL);

    if (m)
        turn_of_matrix(m, &v->rotation, &v->hflip);
    else
        read_rotate_tag(st, v);
}

static int field_order(const AVCodecParameters *p)
{
    switch (p->field_order) {
    case AV_FIELD_TT:
    case AV_FIELD_TB:
        return 1;
    case AV_FIELD_BB:
    case AV_FIELD_BT:
        return 2;
    default:
        return 0;
    }
}

/* Of a stream whose first pictures are progressive: whether later ones may be interlaced, as its
 * header says. Of H.264 in other containers than MP4 the index sees every picture. */
static int may_comb(const AVCodecParameters *p)
{
    struct bitstream_facts facts = { 0 };
    struct bitstream *b = NULL;
    struct err err;

    if (p->codec_id == AV_CODEC_ID_MPEG2VIDEO)
        return 1;
    if (p->codec_id != AV_CODEC_ID_H264 || bitstream_new(p, &b, &err) < 0)
        return 0;
    bitstream_facts(b, &facts);
    bitstream_free(b);
    return facts.interlaced;
}

static AVRational sample_aspect(const AVStream *st)
{
    AVRational sar = st->sample_aspect_ratio;

    if (sar.num <= 0 || sar.den <= 0)
        sar = st->codecpar->sample_aspect_ratio;
    /* Beyond these it is a mistake, not a picture. */
    if (sar.num <= 0 || sar.den <= 0 || av_q2d(sar) < 0.1 || av_q2d(sar) > 10)
        return (AVRational){ 1, 1 };
    av_reduce(&sar.num, &sar.den, sar.num, sar.den, 1 << 16);
    return sar;
}

void streams_video(const AVStream *st, struct video_info *v)
{
    const AVCodecParameters *p = st->codecpar;
    const AVPixFmtDescriptor *d = av_pix_fmt_desc_get(p->format);
    const char *profile = avcodec_profile_name(p->codec_id, p->profile);

    *v = (struct video_info){
        .stream = st->index,
        .width = p->width,
        .height = p->height,
        .sar = sample_aspect(st),
        .bit_depth = d ? d->comp[0].depth : 8,
        .color = {p->color_primaries, p->color_trc, p->color_space, p->color_range,
                  p->chroma_location},
        .interlaced = field_order(p),
        .tb = st->time_base,
    };
    v->mixed = !v->interlaced && may_comb(p);
    text(v->codec, sizeof(v->codec), avcodec_get_name(p->codec_id));
    text(v->profile, sizeof(v->profile), profile);
    text(v->pix_fmt, sizeof(v->pix_fmt), d ? d->name : "");
    if (d && strncmp(d->name, "yuvj", 4) == 0)
        v->color.range = AVCOL_RANGE_JPEG;
    read_rotation(st, v);
}

static unsigned roles_of(const AVStream *st)
{
    static const struct {
        int disposition;
        enum audio_role role;
    } rows[] = {
        {AV_DISPOSITION_DUB,              AUDIO_DUB        },
        { AV_DISPOSITION_ORIGINAL,        AUDIO_ORIGINAL   },
        { AV_DISPOSITION_COMMENT,         AUDIO_COMMENTARY },
        { AV_DISPOSITION_VISUAL_IMPAIRED, AUDIO_DESCRIPTION},
        { AV_DISPOSITION_DESCRIPTIONS,    AUDIO_DESCRIPTION},
    };
    unsigned roles = 0;

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
        if (st->disposition & rows[i].disposition)
            roles |= rows[i].role;
    return roles;
}

/* A name that somebody gave the track, cut between two characters. */
static void read_title(const AVStream *st, struct audio_info *a)
{
    const AVDictionaryEntry *title = av_dict_get(st->metadata, "title", NULL, 0);

    if (!title)
        return;
    size_t n = utf8_cut(title->value, sizeof(a->title) - 1);
    memcpy(a->title, title->value, n);
    a->title[n] = '\0';
}

void streams_language(const AVStream *st, char *ret, size_t size)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-";
    const AVDictionaryEntry *e = av_dict_get(st->metadata, "language", NULL, 0);

    ret[0] = '\0';
    if (e && strcmp(e->value, "und") != 0 && strlen(e->value) < size &&
        strspn(e->value, allowed) == strlen(e->value))
        text(ret, size, e->value);
}

void streams_audio(const AVStream *st, struct audio_info *a)
{
    const AVCodecParameters *p = st->codecpar;

    *a = (struct audio_info){
        .stream = st->index,
        .sample_rate = p->sample_rate,
        .channels = p->ch_layout.nb_channels,
        .roles = roles_of(st),
        .tb = st->time_base,
        .bit_rate = p->bit_rate > 0 ? p->bit_rate : 0,
    };
    text(a->codec, sizeof(a->codec), avcodec_get_name(p->codec_id));
    read_title(st, a);
    if (av_channel_layout_describe(&p->ch_layout, a->layout, sizeof(a->layout)) < 0)
        a->layout[0] = '\0';
    streams_language(st, a->language, sizeof(a->language));
}
