#include "captions.h"

#include <errno.h>
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/common.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/cleanup.h"
#include "common/base/err.h"
#include "match.h"
#include "texts.h"

enum {
    BRIEF_MS = 100,  /* a screen that is there for less is on its way to another one */
    MARGIN_MS = 5,   /* times of cues are rounded */
    LAST_MS = 16000, /* what is left at the end is taken away then */
    DVD_PAIRS = 5,   /* so many at one picture of MPEG-2 are those of a GOP */
};

struct screen { /* of a channel, until the next one */
    double at;  /* a picture's number, or milliseconds on the timeline */
    char *words;
};

struct screens {
    struct screen *v;
    size_t n, room;
    double until; /* pictures are there until then; 0: who knows */
};

static inline void screens_release(struct screens *l)
{
    for (size_t i = 0; i < l->n; i++)
        free(l->v[i].words);
    free(l->v);
}

/* ---- pairs ---- */

static int pairs_put(struct caption_pairs *c, size_t picture, const uint8_t *t)
{
    if (!(t[0] & 4) || (t[0] & 3) > 1)
        return 0;
    if (c->n == c->room) {
        size_t room = c->room ? 2 * c->room : 1024;
        struct caption_byte_pair *grown = realloc(c->v, room * sizeof(*grown));
        if (!grown)
            return -ENOMEM;
        c->v = grown;
        c->room = room;
    }
    c->v[c->n++] = (struct caption_byte_pair){ picture, t[0] & 1, t[1], t[2] };
    return 0;
}

int caption_pairs_add(struct caption_pairs *c, size_t picture, const AVFrame *f)
{
    const AVFrameSideData *d = av_frame_get_side_data(f, AV_FRAME_DATA_A53_CC);
    int r = 0;
    for (size_t i = 0; d && i + 3 <= d->size && !r; i += 3)
        r = pairs_put(c, picture, d->data + i);
    return r;
}

/* libdav1d 1.0 gives T.35 with the first frame of a unit, be it one that is shown much later. */
int caption_pairs_add_av1(struct caption_pairs *c, size_t picture, const uint8_t *p, size_t n)
{
    static const uint8_t head[] = { 0xb5, 0x00, 0x31, 'G', 'A', '9', '4', 3 };
    const uint8_t *at, *end = p + n;
    int r = 0;
    while (!r && (at = memmem(p, (size_t)(end - p), head, sizeof(head)))) {
        p = at + sizeof(head);
        if (end - p < 2)
            break;
        size_t count = *p & 0x40 ? *p & 31u : 0;
        for (at = p + 2; count > 0 && !r && end - at >= 3; count--, at += 3)
            r = pairs_put(c, picture, at);
    }
    return r;
}

void caption_pairs_release(struct caption_pairs *c)
{
    free(c->v);
    *c = (struct caption_pairs){ 0 };
}

/* ---- one channel's screen ---- */

struct following {
    AVCodecContext *dec;
    AVPacket *pkt;
    int field, second; /* the channel: of which field, and whether it is its second one */
    int mine, texts;   /* what comes is of this channel; in text mode */
    int a, b;          /* the code before */
    int64_t steps;
    char *words; /* on the screen now */
};

static inline void following_release(struct following *f)
{
    avcodec_free_context(&f->dec);
    av_packet_free(&f->pkt);
    free(f->words);
}

static int following_open(struct following *f, int channel)
{
    const AVCodec *codec = avcodec_find_decoder(AV_CODEC_ID_EIA_608);
    AVDictionary *o = NULL;
    *f = (struct following){ .field = channel > 2, .second = channel % 2 == 0 };
    f->pkt = av_packet_alloc();
    f->words = strdup("");
    f->dec = codec ? avcodec_alloc_context3(codec) : NULL;
    if (!f->pkt || !f->words || !f->dec || av_new_packet(f->pkt, 3) < 0)
        return -ENOMEM;
    f->dec->pkt_timebase = (AVRational){ 1, 1000 };
    (void)av_dict_set(&o, "real_time", "1", 0);
    (void)av_dict_set(&o, "real_time_latency_msec", "0", 0);
    int r = avcodec_open2(f->dec, codec, &o);
    av_dict_free(&o);
    return r < 0 ? -EINVAL : 0;
}

/* In place: the text of a dialogue without blanks, breaks and places. */
static void words_of(char *dialogue)
{
    char *to = dialogue, *s = dialogue;
    for (int commas = 0; *s && commas < 8; s++)
        commas += *s == ',';
    while (*s) {
        if (*s == '{' && s[1] == '\\' && strchr(s, '}'))
            s = strchr(s, '}') + 1;
        else if (*s == '\\' && s[1] && strchr("Nnh", s[1]))
            s += 2;
        else if (!strncmp(s, "\xc2\xa0", 2))
            s += 2;
        else if ((unsigned char)*s <= ' ')
            s++;
        else
            *to++ = *s++;
    }
    *to = '\0';
}

/* Two bytes as those of CC1. */
static int following_decode(struct following *f, int a, int b)
{
    AVSubtitle sub = { 0 };
    int got = 0;
    f->pkt->data[0] = 0xfc;
    f->pkt->data[1] = (uint8_t)((av_popcount((unsigned)a) & 1) ? a : a | 0x80);
    f->pkt->data[2] = (uint8_t)((av_popcount((unsigned)b) & 1) ? b : b | 0x80);
    f->pkt->pts = ++f->steps;
    if (avcodec_decode_subtitle2(f->dec, &sub, &got, f->pkt) < 0 || !got)
        return 0;
    for (unsigned i = 0; i < sub.num_rects; i++) {
        char *own = sub.rects[i]->ass ? strdup(sub.rects[i]->ass) : NULL;
        if (!own)
            continue;
        words_of(own);
        free(f->words);
        f->words = own;
    }
    avsubtitle_free(&sub);
    return f->words ? 0 : -ENOMEM;
}

/* CEA-608-E, 8.4: a code names its channel, letters follow it there; TR and RTD begin text, which
 * RCL, RU2 to RU4, RDC and EOC end; what is below 10h is data of another service. A code counts
 * once of twice. */
static int following_pair(struct following *f, const struct caption_byte_pair *p)
{
    int a = (av_popcount(p->a) & 1) ? p->a & 0x7f : 0x7f, b = p->b & 0x7f;
    if (p->field != f->field || !(av_popcount(p->b) & 1) || (!a && !b))
        return 0;
    if (a < 0x10 || a > 0x1f) {
        f->a = f->b = 0;
        f->mine = a < 0x10 ? 0 : f->mine;
        return f->mine && !f->texts ? following_decode(f, a, b) : 0;
    }
    int again = a == f->a && b == f->b;
    f->a = again ? 0 : a;
    f->b = again ? 0 : b;
    f->mine = (a >> 3 & 1) == f->second;
    if (again || !f->mine)
        return 0;
    a &= ~8;
    if ((a == 0x14 || a == 0x15) && (b & 0x70) == 0x20) {
        a = 0x14;
        f->texts = strchr("\x2a\x2b", b) ? 1 : strchr("\x20\x25\x26\x27\x29\x2f", b) ? 0 : f->texts;
        if (f->texts && b != 0x2c && b != 0x2e)
            return 0;
    } else if (f->texts) {
        return 0;
    }
    /* The decoder takes a code for the one before when it is the same: nothing, in between. */
    int r = following_decode(f, 1, 1);
    return r < 0 ? r : following_decode(f, a, b);
}

/* ---- screens ---- */

static int screens_put(struct screens *l, double at, const char *words)
{
    if (l->n && !strcmp(l->v[l->n - 1].words, words))
        return 0;
    if (l->n && l->v[l->n - 1].at >= at) { /* more at the same time */
        char *own = strdup(words);
        if (!own)
            return -ENOMEM;
        free(l->v[l->n - 1].words);
        l->v[l->n - 1].words = own;
        return 0;
    }
    if (l->n == l->room) {
        size_t room = l->room ? 2 * l->room : 256;
        struct screen *grown = realloc(l->v, room * sizeof(*grown));
        if (!grown)
            return -ENOMEM;
        l->v = grown;
        l->room = room;
    }
    char *own = strdup(words);
    if (!own)
        return -ENOMEM;
    l->v[l->n++] = (struct screen){ at, own };
    return 0;
}

/* What is there then; "" before the first. */
static const char *screens_at(const struct screens *l, double at)
{
    size_t a = 0, b = l->n;
    while (a < b) {
        size_t mid = a + (b - a) / 2;
        if (l->v[mid].at <= at)
            a = mid + 1;
        else
            b = mid;
    }
    return a ? l->v[a - 1].words : "";
}

/* Pairs of a field at one picture, from `i` on. */
static size_t pairs_together(const struct caption_pairs *c, size_t i)
{
    size_t n = 0;
    for (size_t k = i; k < c->n && c->v[k].picture == c->v[i].picture; k++)
        n += c->v[k].field == c->v[i].field;
    return n;
}

/* By picture. A DVD has those of all its pictures in the first one of a GOP. */
static int screens_by_picture(const struct source *s, int channel, struct screens *ret)
{
    _cleanup_(following_release) struct following f = { 0 };
    const struct caption_pairs *c = &s->captions;
    size_t together = 0, past = 0, picture = SIZE_MAX;
    int r = following_open(&f, channel);
    for (size_t i = 0; i < c->n && !r; i++) {
        if (c->v[i].field != f.field)
            continue;
        if (c->v[i].picture != picture) {
            together = pairs_together(c, i);
            past = 0;
        }
        picture = c->v[i].picture;
        r = following_pair(&f, &c->v[i]);
        size_t later = s->is_mpeg2 && together >= DVD_PAIRS ? past++ : 0;
        if (!r)
            r = screens_put(ret, (double)(picture + later), f.words);
    }
    return r;
}

/* As pictures are shown, be it several times. */
static int screens_of_pictures(const struct source *s, const struct match *m, int channel,
                               struct screens *ret)
{
    _cleanup_(screens_release) struct screens l = { 0 };
    int r = screens_by_picture(s, channel, &l);
    for (size_t i = 0; i < s->n && !r; i++) {
        double at = ((double)s->pictures[i].at * av_q2d(s->video_tb) - m->origin_s) * 1000;
        r = screens_put(ret, at, screens_at(&l, (double)s->pictures[i].number));
        ret->until = at;
    }
    return r;
}

/* The bytes of a sample: c608's as libavformat gives them, c708's behind the head of a CDP and
 * that of its section (SMPTE ST 334-2, 5.4). */
static const uint8_t *sample_triplets(const AVStream *st, const AVPacket *pkt, size_t *ret_n)
{
    static const uint8_t cdp[2] = { 0x96, 0x69 };
    const uint8_t *end = pkt->data + pkt->size, *p = pkt->data;
    if (st->codecpar->codec_id != AV_CODEC_ID_EIA_608) {
        p = memmem(p, (size_t)pkt->size, cdp, sizeof(cdp));
        if (p && end - p > 12 && p[7] == 0x71)
            p += 5;
        if (!p || end - p < 9 || p[7] != 0x72)
            return NULL;
        *ret_n = p[8] & 31u;
        p += 9;
    } else {
        *ret_n = (size_t)pkt->size / 3;
    }
    *ret_n = *ret_n < (size_t)(end - p) / 3 ? *ret_n : (size_t)(end - p) / 3;
    return p;
}

/* Several pairs of a field share the time of their sample. */
static int screens_of_sample(struct following *f, const AVStream *st, const AVPacket *pkt,
                             double origin_s, struct screens *ret)
{
    size_t n = 0, all = 0, k = 0;
    const uint8_t *p = sample_triplets(st, pkt, &n);
    double tick = av_q2d(st->time_base) * 1000;
    int r = 0;
    if (!p || pkt->pts == AV_NOPTS_VALUE)
        return 0;
    for (size_t i = 0; i < n; i++)
        all += (p[3 * i] & 1) == f->field;
    for (size_t i = 0; i < n && !r; i++) {
        const uint8_t *t = p + 3 * i;
        const struct caption_byte_pair pair = { 0, t[0] & 1, t[1], t[2] };
        if (pair.field != f->field)
            continue;
        double at = (double)pkt->pts + (double)pkt->duration * (double)k++ / (double)all;
        r = (t[0] & 6) == 4 ? following_pair(f, &pair) : 0;
        if (!r)
            r = screens_put(ret, at * tick - origin_s * 1000, f->words);
    }
    return r;
}

static int screens_of_track(const struct source *s, const struct match *m, int stream, int channel,
                            struct screens *ret)
{
    _cleanup_(source_format_close) AVFormatContext *f = NULL;
    _cleanup_(following_release) struct following follow = { 0 };
    _cleanup_(av_packet_free) AVPacket *pkt = av_packet_alloc();
    struct err err = { 0 };
    int r = pkt ? source_format(s, &f, &err) : -ENOMEM;
    if (!r)
        r = following_open(&follow, channel);
    if (!r && (stream < 0 || stream >= (int)f->nb_streams))
        r = -EINVAL;
    while (!r && av_read_frame(f, pkt) >= 0) {
        if (pkt->stream_index == stream)
            r = screens_of_sample(&follow, f->streams[stream], pkt, m->origin_s, ret);
        av_packet_unref(pkt);
    }
    return r;
}

/* ---- cues against screens ---- */

static const struct vtt_cue *cue_at(const struct vtt *v, double at)
{
    for (size_t i = 0; i < v->n; i++)
        if ((double)v->cues[i].start <= at && (double)v->cues[i].end > at)
            return &v->cues[i];
    return NULL;
}

/* Whether `now` becomes `words` by what comes behind it, but for a last letter. */
static int becomes(const char *now, const char *words)
{
    size_t n = strlen(now), same = 0;
    while (same < n && now[same] == words[same])
        same++;
    return same == n || (n - same <= 4 && same > 0);
}

static int has_cue(const struct vtt *v, double at, const char *now)
{
    const struct vtt_cue *c = cue_at(v, at);
    if (!c || !*now)
        return !c == !*now;
    _cleanup_free_ char *words = strdup(c->text);
    if (!words)
        return 0;
    vtt_words(words);
    return becomes(now, words);
}

static void compare_screens(struct package *p, const struct text_track *t, const struct screens *l,
                            double margin)
{
    double end = p->mpd && p->mpd->duration_s > 0 ? p->mpd->duration_s * 1000 : 0;
    for (size_t i = 0; i < l->n; i++) {
        double from = l->v[i].at > 0 ? l->v[i].at : 0;
        double to = i + 1 < l->n ? l->v[i + 1].at : from + LAST_MS;
        to = end > 0 && to > end ? end : to;
        to = l->until > 0 && to > l->until ? l->until : to;
        if (to - from < BRIEF_MS + 2 * margin || has_cue(t->all, (from + to) / 2, l->v[i].words))
            continue;
        report_fail(p->report, CHECK_SOURCE_TEXT,
                    "%s: it doesn't say what the captions say at "
                    "%.3f s (%.40s)",
                    t->whole, (from + to) / 2000, l->v[i].words);
        return;
    }
}

/* Why a cue isn't one of the source; NULL: it is. */
static const char *cue_fault(const struct screens *l, const struct vtt_cue *c, const char *words,
                             double margin)
{
    const char *before = screens_at(l, (double)c->start - margin);
    const char *first = screens_at(l, (double)c->start + margin);
    if (strcmp(screens_at(l, (double)c->end - margin), words))
        return "isn't what is there when it ends";
    if (!*first || !becomes(first, words))
        return "is none of the source";
    if ((double)c->start > margin && !strcmp(before, first))
        return "doesn't begin when it does in the source";
    return NULL;
}

static int compare_cues(struct package *p, const struct text_track *t, const struct screens *l,
                        double margin)
{
    for (size_t i = 0; i < t->all->n; i++) {
        const struct vtt_cue *c = &t->all->cues[i];
        _cleanup_free_ char *words = strdup(c->text);
        if (!words)
            return -ENOMEM;
        vtt_words(words);
        const char *fault = cue_fault(l, c, words, margin);
        if (!fault)
            continue;
        report_fail(p->report, CHECK_SOURCE_TEXT, "%s: the cue of %.3f s %s", t->whole,
                    (double)c->start / 1000, fault);
        break;
    }
    return 0;
}

int captions_are_seen(const struct receipt_text *r, const struct source *s)
{
    return s->is_decoded || (int)r->stream != s->video;
}

void check_source_captions(struct package *p, const struct text_track *t,
                           const struct receipt_text *r, const struct source *s,
                           const struct match *m)
{
    _cleanup_(screens_release) struct screens l = { 0 };
    int channel = (int)r->captions, of_pictures = (int)r->stream == s->video;
    double margin = MARGIN_MS + s->slack_s * 1000;
    int rc = of_pictures ? screens_of_pictures(s, m, channel, &l)
                         : screens_of_track(s, m, (int)r->stream, channel, &l);
    if (!rc) {
        compare_screens(p, t, &l, margin);
        rc = compare_cues(p, t, &l, margin);
    }
    if (rc < 0)
        report_fail(p->report, CHECK_SOURCE_TEXT, "%s: %s", t->folder, strerror(-rc));
    report_pass(p->report, CHECK_SOURCE_TEXT, "%s: %zu cues", t->folder, t->all->n);
}
