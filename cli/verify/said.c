#include "said.h"

#include <errno.h>
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/cleanup.h"
#include "common/base/err.h"
#include "source.h"

enum {
    DIALOGUE_COMMAS = 8,
    PAGE_STAYS_MS = 10000, /* docs/inputs.md: a page of teletext that isn't seen again */
    LOOK_BACK = 64,
};

void said_release(struct said *l)
{
    for (size_t i = 0; i < l->n; i++)
        free(l->v[i].words);
    free(l->v);
}

/* ---- lines ---- */

/* In place: what nobody reads goes. */
static void strip_blanks(char *text)
{
    char *to = text;
    for (const char *s = text; *s; s++) {
        if (!strncmp(s, "\xc2\xa0", 2))
            s++;
        else if ((unsigned char)*s > ' ' && *s != 0x7f)
            *to++ = *s;
    }
    *to = '\0';
}

static int goes_on(struct said *l, int64_t start, int64_t end, const char *words)
{
    for (size_t i = l->n; i-- > 0 && i + LOOK_BACK >= l->n;) {
        struct said_line *b = &l->v[i];
        if (b->start > start || b->end < start - SAID_OFF_MS || strcmp(b->words, words))
            continue;
        b->end = end > b->end ? end : b->end;
        return 1;
    }
    return 0;
}

int said_add(struct said *l, int64_t start, int64_t end, const char *text, int repeats)
{
    _cleanup_free_ char *words = strdup(text);
    if (!words)
        return -ENOMEM;
    strip_blanks(words);
    if (!*words || end < 1 || end <= start)
        return 0;
    start = start > 0 ? start : 0;
    if (repeats && goes_on(l, start, end, words))
        return 0;
    if (l->n == l->room) {
        l->room = l->room ? l->room * 2 : 64;
        struct said_line *grown = realloc(l->v, l->room * sizeof(*grown));
        if (!grown)
            return -ENOMEM;
        l->v = grown;
    }
    l->v[l->n++] = (struct said_line){ .start = start, .end = end, .words = take_ptr(words) };
    return 0;
}

/* ---- what libavcodec makes of it ---- */

/* Whether the overrides switch drawing on or off; else as it is. */
static int draws(const char *s, const char *end, int is)
{
    for (; s + 2 < end; s++)
        if (s[0] == '\\' && s[1] == 'p' && s[2] >= '0' && s[2] <= '9')
            is = s[2] != '0';
    return is;
}

/* What is read of a dialogue: no overrides, no drawings. In place. */
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
        } else if (!drawing) {
            *to++ = *s;
        }
    }
    *to = '\0';
}

/* The words of a dialogue; the caller's, NULL where memory ran out. */
static char *dialogue_words(const char *dialogue)
{
    for (int i = 0; i < DIALOGUE_COMMAS && dialogue; i++) {
        dialogue = strchr(dialogue, ',');
        dialogue = dialogue ? dialogue + 1 : NULL;
    }
    char *words = strdup(dialogue ? dialogue : "");
    if (words)
        ass_words(words);
    return words;
}

/* ---- a track ---- */

struct reading {
    enum { BY_DECODER, BY_BOXES, BY_DOCUMENT, BY_PAGE } how;
    const AVStream *st;
    AVCodecContext *dec;
    AVPacket *pkt, *before;
    double origin_s;
    const struct seams *seams;
    int64_t pos;                    /* of the last packet, for these */
    const struct edit_track *edits; /* NULL: packets have the times at which they are shown */
    struct said *to;
    char *page; /* words that are on the page now; NULL: none */
    int64_t page_since, page_seen;
    int64_t page_clock; /* of the last packet that had a time; INT64_MIN: none has */
};

static int64_t to_ms(double s)
{
    return (int64_t)(s * 1000 + (s < 0 ? -0.5 : 0.5));
}

static int take_rects(struct reading *r, const AVSubtitle *sub, int64_t start, int64_t end)
{
    int rc = 0;
    for (unsigned i = 0; i < sub->num_rects && !rc; i++) {
        _cleanup_free_ char *words = sub->rects[i]->ass ? dialogue_words(sub->rects[i]->ass) : NULL;
        if (sub->rects[i]->ass)
            rc = words ? said_add(r->to, start, end, words, 0) : -ENOMEM;
    }
    return rc;
}

static int decode(struct reading *r, int64_t start, int64_t end)
{
    AVSubtitle sub = { 0 };
    int got = 0;
    if (avcodec_decode_subtitle2(r->dec, &sub, &got, r->pkt) < 0 || !got)
        return 0;
    int rc = take_rects(r, &sub, start, end);
    avsubtitle_free(&sub);
    return rc;
}

/* A page is over when another comes, or isn't seen any more. */
static int page_over(struct reading *r, int64_t at)
{
    int64_t until = r->page_seen + PAGE_STAYS_MS < at ? r->page_seen + PAGE_STAYS_MS : at;
    int rc = r->page ? said_add(r->to, r->page_since, until, r->page, 0) : 0;
    free(r->page);
    r->page = NULL;
    return rc;
}

static int page_comes(struct reading *r, const AVSubtitle *sub)
{
    int64_t at = sub->pts == AV_NOPTS_VALUE ? r->page_clock
                                            : to_ms((double)sub->pts / AV_TIME_BASE - r->origin_s);
    const char *ass = sub->num_rects ? sub->rects[0]->ass : NULL;
    _cleanup_free_ char *words = ass ? dialogue_words(ass) : strdup("");
    if (!words)
        return -ENOMEM;
    strip_blanks(words);
    if (r->page && !strcmp(words, r->page) && at <= r->page_seen + PAGE_STAYS_MS) {
        r->page_seen = at;
        return 0;
    }
    int rc = page_over(r, at);
    if (!*words)
        return rc;
    r->page = take_ptr(words);
    r->page_since = r->page_seen = at;
    return rc;
}

/* All that the decoder has: it gives one page for each packet, be it empty. */
static int pages(struct reading *r)
{
    int got = 1, rc = 0;
    while (got && !rc) {
        AVSubtitle sub = { 0 };
        if (avcodec_decode_subtitle2(r->dec, &sub, &got, r->pkt) < 0 || !got)
            break;
        if (sub.pts != AV_NOPTS_VALUE || r->page_clock != INT64_MIN)
            rc = page_comes(r, &sub);
        avsubtitle_free(&sub);
        av_packet_unref(r->pkt);
    }
    return rc;
}

/* What the packet says is shown from then to then. */
static int read_shown(struct reading *r, int64_t from, int64_t to)
{
    const AVPacket *p = r->pkt;
    int rc = 0;
    switch (r->how) {
    case BY_BOXES:
        return said_boxes(p->data, (size_t)p->size, from, to, r->to);
    case BY_DOCUMENT:
        rc = said_ttml(p->data, (size_t)p->size, to_ms(r->origin_s), from, to, r->to);
        return rc == -EINVAL ? 0 : rc; /* one that isn't readable says nothing */
    default:
        return decode(r, from, to);
    }
}

/* As often as an edit shows a part of `from` to `to`, seconds of the media. */
static int read_edited(struct reading *r, double from, double to)
{
    int rc = 0;
    for (size_t i = 0; i < r->edits->n && !rc; i++) {
        const struct edit *e = &r->edits->edits[i];
        double a = 0, b = e->lasts_s;
        if (e->rate != 0) {
            a = fmax((from - e->media_s) / e->rate, 0);
            b = fmin((to - e->media_s) / e->rate, e->lasts_s);
        } else if (from > e->media_s || to <= e->media_s) {
            continue;
        }
        if (!e->empty && b > a)
            rc = read_shown(r, to_ms(e->from_s + a - r->origin_s),
                            isinf(b) ? INT64_MAX : to_ms(e->from_s + b - r->origin_s));
    }
    return rc;
}

static int read_packet(struct reading *r)
{
    const AVPacket *p = r->pkt;
    double tb = av_q2d(r->st->time_base);
    if (r->how == BY_PAGE && p->pts != AV_NOPTS_VALUE)
        r->page_clock = to_ms((double)p->pts * tb - r->origin_s);
    if (r->how == BY_PAGE)
        return pages(r);
    if (p->pts == AV_NOPTS_VALUE)
        return 0;
    double from = (double)p->pts * tb;
    double to = p->duration > 0 ? (double)(p->pts + p->duration) * tb : INFINITY;
    if (r->edits)
        return read_edited(r, from, to);
    return read_shown(r, to_ms(from - r->origin_s),
                      isinf(to) ? INT64_MAX : to_ms(to - r->origin_s));
}

static int is_mov(const AVFormatContext *f)
{
    return strstr(f->iformat->name, "mov") != NULL;
}

static void choose_how(const AVFormatContext *f, struct reading *r)
{
    uint32_t tag = is_mov(f) ? r->st->codecpar->codec_tag : 0;
    if (tag == MKTAG('w', 'v', 't', 't') && r->st->codecpar->codec_id == AV_CODEC_ID_NONE)
        r->how = BY_BOXES;
    else if (tag == MKTAG('s', 't', 'p', 'p') || tag == MKTAG('d', 'f', 'x', 'p') ||
             r->st->codecpar->codec_id == AV_CODEC_ID_TTML)
        r->how = BY_DOCUMENT;
    else if (r->st->codecpar->codec_id == AV_CODEC_ID_DVB_TELETEXT)
        r->how = BY_PAGE;
}

static int open_decoder(struct reading *r, int page, struct err *err)
{
    /* Matroska's S_TEXT/WEBVTT has no codec in libavformat 5.1. */
    enum AVCodecID id = r->st->codecpar->codec_id == AV_CODEC_ID_NONE ? AV_CODEC_ID_WEBVTT
                                                                      : r->st->codecpar->codec_id;
    const AVCodec *codec = avcodec_find_decoder(id);
    AVDictionary *options = NULL;
    char number[16] = "subtitle";
    r->dec = codec ? avcodec_alloc_context3(codec) : NULL;
    if (!r->dec || avcodec_parameters_to_context(r->dec, r->st->codecpar) < 0)
        return err_set(err, -EINVAL, ERR_INPUT, "stream %d can't be decoded here", r->st->index);
    r->dec->pkt_timebase = r->st->time_base;
    if (page > 0)
        (void)snprintf(number, sizeof(number), "%d", page);
    if (r->how == BY_PAGE && (av_dict_set(&options, "txt_page", number, 0) < 0 ||
                              av_dict_set(&options, "txt_format", "text", 0) < 0))
        return -ENOMEM;
    int rc = avcodec_open2(r->dec, codec, &options);
    av_dict_free(&options);
    r->dec->sub_charenc_mode = FF_SUB_CHARENC_MODE_IGNORE;
    return rc < 0
               ? err_set(err, -EINVAL, ERR_INPUT, "stream %d can't be decoded here", r->st->index)
               : 0;
}

/* A sample lasts until the next one of its track: that before the one that has just come. */
static int read_before(struct reading *r)
{
    AVPacket *now = r->pkt;
    if (r->before->duration <= 0 && now->data && now->pts > r->before->pts)
        r->before->duration = now->pts - r->before->pts;
    r->pkt = r->before;
    int rc = r->pkt->data ? read_packet(r) : 0;
    r->pkt = now;
    av_packet_unref(r->before);
    av_packet_move_ref(r->before, now);
    return rc;
}

static int read_all(struct reading *r, AVFormatContext *f)
{
    int rc = 0;
    for (unsigned i = 0; i < f->nb_streams; i++)
        f->streams[i]->discard = f->streams[i] == r->st ? AVDISCARD_DEFAULT : AVDISCARD_ALL;
    while (!rc && av_read_frame(f, r->pkt) >= 0) {
        if (r->pkt->stream_index == r->st->index) {
            seams_apply(r->seams, r->pkt, &r->pos);
            rc = is_mov(f) ? read_before(r) : read_packet(r);
        }
        av_packet_unref(r->pkt);
    }
    if (!rc)
        rc = read_before(r);
    if (!rc && r->how == BY_PAGE)
        rc = pages(r);
    return rc ? rc : page_over(r, INT64_MAX);
}

static void reading_release(struct reading *r)
{
    avcodec_free_context(&r->dec);
    free(r->page);
}

int said_read(const struct source *s, int stream, int page, double origin_s, struct said *ret,
              struct err *err)
{
    _cleanup_(source_format_close) AVFormatContext *f = NULL;
    _cleanup_(av_packet_free) AVPacket *pkt = av_packet_alloc();
    _cleanup_(av_packet_free) AVPacket *before = av_packet_alloc();
    _cleanup_(reading_release) struct reading r = { .pkt = pkt,
                                                    .before = before,
                                                    .seams = &s->seams,
                                                    .page_clock = INT64_MIN,
                                                    .origin_s = origin_s,
                                                    .to = ret };
    int rc = pkt && before ? source_unedited(s, &f, err) : -ENOMEM;
    if (rc < 0)
        return rc;
    if (stream < 0 || stream >= (int)f->nb_streams)
        return err_set(err, -EINVAL, ERR_INPUT, "the source has no stream %d", stream);
    r.st = f->streams[stream];
    r.edits = edit_lists_of(&s->edits, r.st->id);
    choose_how(f, &r);
    if (r.how == BY_DECODER || r.how == BY_PAGE)
        rc = open_decoder(&r, page, err);
    if (!rc)
        rc = read_all(&r, f);
    return rc;
}
