#include "text_kind.h"

#include "ebml.h"
#include "open.h"

#include <stdio.h>
#include <string.h>

/* Element IDs of Matroska (RFC 9559, 5.1.4.1). */
enum { EBML_TRACK_TYPE = 0x83, EBML_CODEC_ID = 0x86 };

enum { TYPE_SUBTITLE = 17, TRACKS_MAX = 128, CODEC_MAX = 32 };

/* What Matroska calls its tracks of subtitles, in their order, which is also that of the
 * demuxer's streams. */
struct mkv_texts {
    char codec[TRACKS_MAX][CODEC_MAX];
    size_t n;
    char now[CODEC_MAX]; /* of the track that is being read */
    uint64_t type;
};

static void mkv_track_end(struct mkv_texts *t)
{
    if (t->type == TYPE_SUBTITLE && t->n < TRACKS_MAX)
        memcpy(t->codec[t->n++], t->now, CODEC_MAX);
    t->type = 0;
    t->now[0] = '\0';
}

static int mkv_track_see(const struct ebml_visitor *v, const struct ebml_element *e)
{
    struct mkv_texts *t = v->arg;

    switch (e->id) {
    case EBML_TRACK:
        mkv_track_end(t);
        return 1;
    case EBML_TRACK_TYPE:
        return ebml_unsigned(v, e, &t->type);
    case EBML_CODEC_ID:
        return ebml_string(v, e, t->now, sizeof(t->now));
    default:
        return 0;
    }
}

static int is_nameless(const AVStream *st)
{
    return st->codecpar->codec_type == AVMEDIA_TYPE_SUBTITLE &&
           st->codecpar->codec_id == AV_CODEC_ID_NONE;
}

static int is_matroska(const struct media_source *s)
{
    return strncmp(s->fmt->iformat->name, "matroska", 8) == 0;
}

static int mkv_texts_read(struct inside *in, const struct media_source *s, struct mkv_texts *ret,
                          struct err *err)
{
    struct ebml_visitor v = { .in = in, .err = err, .arg = ret, .see = mkv_track_see };
    size_t streams = 0;

    *ret = (struct mkv_texts){ 0 };
    int r = ebml_walk(&v);
    if (r < 0)
        return r;
    mkv_track_end(ret);
    for (unsigned i = 0; i < s->fmt->nb_streams; i++)
        streams += s->fmt->streams[i]->codecpar->codec_type == AVMEDIA_TYPE_SUBTITLE;
    if (streams != ret->n) /* the demuxer left some out: nobody knows which */
        ret->n = 0;
    return 0;
}

int text_kinds_learn(struct inside *in, struct media_source *s, struct err *err)
{
    struct mkv_texts texts;
    size_t at = 0, nameless = 0;

    for (unsigned i = 0; i < s->fmt->nb_streams; i++)
        nameless += is_nameless(s->fmt->streams[i]);
    if (nameless == 0 || !is_matroska(s))
        return 0;
    int r = mkv_texts_read(in, s, &texts, err);
    for (unsigned i = 0; r == 0 && i < s->fmt->nb_streams && at < texts.n; i++) {
        const AVStream *st = s->fmt->streams[i];
        if (st->codecpar->codec_type != AVMEDIA_TYPE_SUBTITLE)
            continue;
        if (is_nameless(st) && strcmp(texts.codec[at], "S_TEXT/WEBVTT") == 0 &&
            i < sizeof(s->webvtt))
            s->webvtt[i] = 1;
        at++;
    }
    return r;
}

/* libavformat (5.1) gives these tracks of MP4 no codec, and calls them data. */
static enum text_kind kind_of_tag(const AVCodecParameters *p)
{
    switch (p->codec_tag) {
    case MKTAG('w', 'v', 't', 't'): /* with a codec its boxes would be opened already */
        return p->codec_id == AV_CODEC_ID_NONE ? TEXT_KIND_WEBVTT_SAMPLE : TEXT_KIND_NONE;
    case MKTAG('s', 't', 'p', 'p'):
    case MKTAG('d', 'f', 'x', 'p'):
        return TEXT_KIND_TTML;
    default:
        return TEXT_KIND_NONE;
    }
}

enum text_kind text_kind(const struct media_source *s, int stream)
{
    const AVCodecParameters *p = s->fmt->streams[stream]->codecpar;

    enum text_kind by_tag = media_is_mov(s) ? kind_of_tag(p) : TEXT_KIND_NONE;

    if (by_tag != TEXT_KIND_NONE)
        return by_tag;
    /* Metadata in WebVTT (D_WEBVTT/METADATA) is for programs to read. */
    if (p->codec_type != AVMEDIA_TYPE_SUBTITLE ||
        s->fmt->streams[stream]->disposition & AV_DISPOSITION_METADATA)
        return TEXT_KIND_NONE;
    switch (p->codec_id) {
    case AV_CODEC_ID_SUBRIP:
    case AV_CODEC_ID_ASS:
    case AV_CODEC_ID_MOV_TEXT:
    case AV_CODEC_ID_WEBVTT:
    case AV_CODEC_ID_TEXT:
        return TEXT_KIND_DECODED;
    case AV_CODEC_ID_TTML:
        return TEXT_KIND_TTML;
    case AV_CODEC_ID_DVB_TELETEXT:
        return media_decodes(p->codec_id) ? TEXT_KIND_TELETEXT : TEXT_KIND_NONE;
    case AV_CODEC_ID_NONE:
        return (size_t)stream < sizeof(s->webvtt) && s->webvtt[stream] ? TEXT_KIND_WEBVTT
                                                                       : TEXT_KIND_NONE;
    default:
        return TEXT_KIND_NONE;
    }
}

/* "S_TEXT/USF": what is nameless by the container's own name. */
static int mkv_name(struct inside *in, const struct media_source *s, int stream, char *ret,
                    size_t size, struct err *err)
{
    struct mkv_texts texts;
    size_t at = 0;
    int r = mkv_texts_read(in, s, &texts, err);

    for (int i = 0; i < stream; i++)
        at += s->fmt->streams[i]->codecpar->codec_type == AVMEDIA_TYPE_SUBTITLE;
    if (r == 0 && at < texts.n && texts.codec[at][0])
        (void)snprintf(ret, size, "%s", texts.codec[at]);
    return r;
}

int text_kind_name(struct inside *in, const struct media_source *s, int stream, char *ret,
                   size_t size, struct err *err)
{
    const AVCodecParameters *p = s->fmt->streams[stream]->codecpar;
    enum text_kind kind = text_kind(s, stream);

    if (kind == TEXT_KIND_WEBVTT || kind == TEXT_KIND_WEBVTT_SAMPLE)
        (void)snprintf(ret, size, "webvtt");
    else if (kind == TEXT_KIND_TTML)
        (void)snprintf(ret, size, "ttml");
    else if (p->codec_id != AV_CODEC_ID_NONE)
        (void)snprintf(ret, size, "%s", avcodec_get_name(p->codec_id));
    else if (p->codec_tag)
        (void)snprintf(ret, size, "%s", av_fourcc2str(p->codec_tag));
    else
        (void)snprintf(ret, size, "a kind that isn't known");
    return p->codec_id == AV_CODEC_ID_NONE && is_matroska(s) && kind == TEXT_KIND_NONE
               ? mkv_name(in, s, stream, ret, size, err)
               : 0;
}
