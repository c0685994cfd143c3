/* source.text: what the source's subtitles say and when, read and decoded
 * anew. */
#include <errno.h>
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/cleanup.h"
#include "common/base/err.h"
#include "match.h"
#include "texts.h"

enum { DIALOGUE_COMMAS = 8, OFF_MS = 2, LONG_TEXT = 3000 };

struct line {
    int64_t start; /* milliseconds on the timeline */
    char *words;
    int found;
};

struct lines {
    struct line *v;
    size_t n, room;
};

static inline void lines_release(struct lines *l)
{
    for (size_t i = 0; i < l->n; i++)
        free(l->v[i].words);
    free(l->v);
}

static inline void format_freep(AVFormatContext **f)
{
    source_format_close(f);
}

static inline void codec_freep(AVCodecContext **c)
{
    avcodec_free_context(c);
}

static inline void packet_freep(AVPacket **p)
{
    av_packet_free(p);
}

/* Whether the overrides switch drawing on or off; else as it is. */
static int draws(const char *s, const char *end, int is)
{
    for (; s + 2 < end; s++)
        if (s[0] == '\\' && s[1] == 'p' && s[2] >= '0' && s[2] <= '9')
            is = s[2] != '0';
    return is;
}

/* What is read of a dialogue: no overrides, no drawings, no blanks. In place. */
static void ass_words(char *text)
{
    char *to = text;
    int drawing = 0;
    for (const char *s = text; *s; s++) {
        const char *end = *s == '{' ? strchr(s, '}') : NULL;
        if (end) {
            drawing = draws(s, end, drawing);
            s = end;
        } else if (*s == '\\' && s[1] && strchr("Nnh", s[1])) {
            s++;
        } else if (*s == '\\' && s[1] && strchr("{}\\", s[1])) {
            s++;
            if (!drawing)
                *to++ = *s;
        } else if (!strncmp(s, "\xc2\xa0", 2)) {
            s++;
        } else if ((unsigned char)*s > ' ' && *s != 0x7f && !drawing) {
            *to++ = *s;
        }
    }
    *to = '\0';
}

static int add_line(struct lines *l, int64_t start, const char *dialogue)
{
    for (int i = 0; i < DIALOGUE_COMMAS && dialogue; i++) {
        dialogue = strchr(dialogue, ',');
        dialogue = dialogue ? dialogue + 1 : NULL;
    }
    _cleanup_free_ char *words = strdup(dialogue ? dialogue : "");
    if (!words)
        return -ENOMEM;
    ass_words(words);
    if (!*words)
        return 0;
    if (l->n == l->room) {
        l->room = l->room ? l->room * 2 : 64;
        struct line *grown = realloc(l->v, l->room * sizeof(*grown));
        if (!grown)
            return -ENOMEM;
        l->v = grown;
    }
    l->v[l->n++] = (struct line){ .start = start, .words = take_ptr(words) };
    return 0;
}

static int decode(AVCodecContext *c, AVPacket *pkt, AVRational tb, double origin_s, struct lines *l)
{
    AVSubtitle sub = { 0 };
    int got = 0, r = 0;
    if (pkt->pts == AV_NOPTS_VALUE || avcodec_decode_subtitle2(c, &sub, &got, pkt) < 0 || !got)
        return 0;
    double at = ((double)pkt->pts * av_q2d(tb) - origin_s) * 1000;
    double end = at + (double)pkt->duration * av_q2d(tb) * 1000;
    int hidden = pkt->duration > 0 && end < 1; /* before the timeline begins */
    for (unsigned i = 0; i < sub.num_rects && !r && !hidden; i++)
        if (sub.rects[i]->ass)
            r = add_line(l, at > 0 ? (int64_t)(at + 0.5) : 0, sub.rects[i]->ass);
    avsubtitle_free(&sub);
    return r;
}

static int read_lines(const struct source *s, int stream, double origin_s, struct lines *l,
                      struct err *err)
{
    _cleanup_(format_freep) AVFormatContext *f = NULL;
    _cleanup_(codec_freep) AVCodecContext *c = NULL;
    _cleanup_(packet_freep) AVPacket *pkt = av_packet_alloc();
    int r = pkt ? source_format(s, &f, err) : -ENOMEM;
    if (r < 0)
        return r;
    if (stream < 0 || stream >= (int)f->nb_streams)
        return err_set(err, -EINVAL, ERR_INPUT, "the source has no stream %d", stream);
    const AVStream *st = f->streams[stream];
    /* Matroska's S_TEXT/WEBVTT has no codec in libavformat 5.1. */
    enum AVCodecID id = st->codecpar->codec_id == AV_CODEC_ID_NONE ? AV_CODEC_ID_WEBVTT
                                                                   : st->codecpar->codec_id;
    const AVCodec *codec = avcodec_find_decoder(id);
    c = codec ? avcodec_alloc_context3(codec) : NULL;
    if (!c || avcodec_parameters_to_context(c, st->codecpar) < 0)
        return err_set(err, -EINVAL, ERR_INPUT, "stream %d can't be decoded here", stream);
    c->pkt_timebase = st->time_base;
    if (avcodec_open2(c, codec, NULL) < 0)
        return err_set(err, -EINVAL, ERR_INPUT, "stream %d can't be decoded here", stream);
    c->sub_charenc_mode = FF_SUB_CHARENC_MODE_IGNORE;
    for (unsigned i = 0; i < f->nb_streams; i++)
        f->streams[i]->discard = (int)i == stream ? AVDISCARD_DEFAULT : AVDISCARD_ALL;
    while (!r && av_read_frame(f, pkt) >= 0) {
        if (pkt->stream_index == stream)
            r = decode(c, pkt, st->time_base, origin_s, l);
        av_packet_unref(pkt);
    }
    return r;
}

/* Bytes that aren't UTF-8 became '?', and a very long cue is cut. */
static int same_words(const char *source, const char *cue)
{
    size_t n = strlen(cue);
    if (n < LONG_TEXT && strlen(source) != n)
        return 0;
    for (size_t i = 0; i < n; i++)
        if (source[i] != cue[i] && !(cue[i] == '?' && (unsigned char)source[i] >= 0x80))
            return 0;
    return 1;
}

static int is_line(struct lines *l, const struct vtt_cue *c, const char *words)
{
    for (size_t i = 0; i < l->n; i++) {
        int64_t off = l->v[i].start - c->start;
        if (off < -OFF_MS || off > OFF_MS || !same_words(l->v[i].words, words))
            continue;
        l->v[i].found = 1;
        return 1;
    }
    return 0;
}

static int compare(struct package *p, const struct text_track *t, struct lines *l)
{
    size_t found = 0, strange = 0;
    for (size_t i = 0; i < t->all->n; i++) {
        const struct vtt_cue *c = &t->all->cues[i];
        _cleanup_free_ char *words = strdup(c->text);
        if (!words)
            return -ENOMEM;
        vtt_words(words);
        if (is_line(l, c, words))
            found++;
        else if (!strange++)
            report_fail(p->report, CHECK_SOURCE_TEXT, "%s: the cue of %.3f s is none of the source",
                        t->whole, (double)c->start / 1000);
    }
    int64_t end = p->mpd && p->mpd->duration_s > 0 ? (int64_t)(p->mpd->duration_s * 1000)
                                                   : INT64_MAX;
    /* Of layers that say the same at the same time one is enough. */
    for (size_t i = 0; i < l->n; i++)
        for (size_t k = i; k-- > 0 && !l->v[i].found && l->v[k].start + OFF_MS >= l->v[i].start;)
            l->v[i].found = l->v[k].found && !strcmp(l->v[k].words, l->v[i].words);
    for (size_t i = 0; i < l->n; i++)
        if (!l->v[i].found && l->v[i].start < end - OFF_MS) {
            report_fail(p->report, CHECK_SOURCE_TEXT, "%s: it lacks what the source says at %.3f s",
                        t->whole, (double)l->v[i].start / 1000);
            break;
        }
    report_pass(p->report, CHECK_SOURCE_TEXT, "%s: %zu cues", t->folder, found);
    return 0;
}

void check_source_texts(struct package *p, const struct source *s, const struct match *m)
{
    for (size_t i = 0; i < p->n_texts && m->has_origin && p->receipt; i++) {
        const struct text_track *t = &p->texts[i];
        _cleanup_(lines_release) struct lines l = { 0 };
        struct err err = { 0 };
        int stream = -1;
        for (size_t k = 0; k < p->receipt->n_texts; k++)
            if (!strcmp(p->receipt->texts[k].folder, t->folder))
                stream = (int)p->receipt->texts[k].stream;
        report_ran(p->report, CHECK_SOURCE_TEXT);
        if (!t->all)
            continue;
        int r = read_lines(s, stream, m->origin_s, &l, &err);
        if (!r)
            r = compare(p, t, &l);
        if (r < 0)
            report_fail(p->report, CHECK_SOURCE_TEXT, "%s: %s", t->folder,
                        r == -ENOMEM ? "out of memory" : err.text);
    }
}
