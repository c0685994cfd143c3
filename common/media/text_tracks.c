/* Tracks of subtitles: those that are text, and what the others are. */
#include "streams.h"

#include "../base/err.h"
#include "../base/utf8.h"
#include "../child/inside.h"
#include "captions.h"
#include "open.h"
#include "text_kind.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void copy(char *to, size_t size, const char *from)
{
    size_t n = from ? utf8_cut(from, size - 1) : 0;

    if (n)
        memcpy(to, from, n);
    to[n] = '\0';
    utf8_mend(to);
}

static void describe(const AVStream *st, const char *codec, struct text_info *t)
{
    const AVDictionaryEntry *title = av_dict_get(st->metadata, "title", NULL, 0);

    *t = (struct text_info){
        .stream = st->index,
        .is_default = (st->disposition & AV_DISPOSITION_DEFAULT) != 0,
        .forced = (st->disposition & AV_DISPOSITION_FORCED) != 0,
        .hearing_impaired = (st->disposition &
                             (AV_DISPOSITION_HEARING_IMPAIRED | AV_DISPOSITION_CAPTIONS)) != 0,
    };
    copy(t->codec, sizeof(t->codec), codec);
    copy(t->title, sizeof(t->title), title ? title->value : "");
    streams_language(st, t->language, sizeof(t->language));
}

/* Where the container says no language of the text that was taken last, what the first document of
 * TTML says of itself (xml:lang). It is no more than looked for: who parses documents is the
 * worker. */
static int document_language(struct inside *in, AVStream *st, struct media_info *i, struct err *err)
{
    static const char name[] = "xml:lang=\"";
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-";
    struct text_info *t = i->n_texts > 0 ? &i->texts[i->n_texts - 1] : NULL;
    const AVIndexEntry *e = avformat_index_get_entry(st, 0);
    char head[2048] = "";
    size_t n = 0;

    if (!t || t->stream != st->index || t->language[0] || !e || e->pos < 0 || e->size <= 0)
        return 0;
    int r = inside_read(in, (uint64_t)e->pos, head, FFMIN((size_t)e->size, sizeof(head) - 1), &n,
                        err);
    const char *at = r < 0 ? NULL : memmem(head, n, name, sizeof(name) - 1);
    size_t len = at ? strspn(at + sizeof(name) - 1, allowed) : 0;
    if (len > 0 && len < sizeof(t->language) && at[sizeof(name) - 1 + len] == '"') {
        memcpy(t->language, at + sizeof(name) - 1, len);
        t->language[len] = '\0';
    }
    return r;
}

/* ---- teletext: a stream has many pages, and some are subtitles ---- */

/* An entry of the descriptor (ETSI EN 300 468, 6.2.43), as libavformat keeps it: two bytes of
 * extradata each, and a list of three-letter languages ("eng,deu"). */
enum { ENTRY_BYTES = 2, LANGUAGE_STEP = 4, TYPE_SUBTITLES = 2, TYPE_HEARING_IMPAIRED = 5 };

static void page_language(const AVStream *st, size_t entry, char ret[static LANGUAGE_STEP])
{
    const AVDictionaryEntry *e = av_dict_get(st->metadata, "language", NULL, 0);
    size_t at = entry * LANGUAGE_STEP;

    ret[0] = '\0';
    if (!e || strlen(e->value) < at + LANGUAGE_STEP - 1)
        return;
    for (size_t i = 0; i < LANGUAGE_STEP - 1; i++) {
        char c = e->value[at + i];
        ret[i] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
        if (ret[i] < 'a' || ret[i] > 'z') {
            ret[0] = '\0';
            return;
        }
    }
    ret[LANGUAGE_STEP - 1] = '\0';
}

static int has_page(const struct media_info *i, int stream, int page)
{
    for (size_t k = 0; k < i->n_texts; k++)
        if (i->texts[k].stream == stream && i->texts[k].page == page)
            return 1;
    return 0;
}

/* Each page of subtitles that the descriptor names is a track. Where it names none, all pages
 * whose header says that they are subtitles are one. */
static void describe_pages(const AVStream *st, const char *codec, struct media_info *i,
                           struct texts_left *left)
{
    const AVCodecParameters *p = st->codecpar;
    size_t n = p->extradata_size > 0 ? (size_t)p->extradata_size / ENTRY_BYTES : 0, taken = 0;
    struct text_info t;

    describe(st, codec, &t);
    for (size_t k = 0; k < n; k++) {
        const uint8_t *e = p->extradata + k * ENTRY_BYTES;
        int type = e[0] >> 3, magazine = e[0] & 7 ? e[0] & 7 : 8;
        t.page = magazine * 100 + (e[1] >> 4) * 10 + (e[1] & 15);
        if ((type != TYPE_SUBTITLES && type != TYPE_HEARING_IMPAIRED) || e[1] >> 4 > 9 ||
            (e[1] & 15) > 9 || has_page(i, st->index, t.page))
            continue;
        t.hearing_impaired = type == TYPE_HEARING_IMPAIRED;
        page_language(st, k, t.language);
        taken++;
        if (i->n_texts == TEXT_TRACKS_MAX)
            left->too_many++;
        else
            i->texts[i->n_texts++] = t;
    }
    if (taken > 0)
        return;
    t.page = 0;
    if (i->n_texts == TEXT_TRACKS_MAX)
        left->too_many++;
    else
        i->texts[i->n_texts++] = t;
}

/* ---- what is left out ---- */

static const char *why_left(const AVStream *st)
{
    const AVCodecDescriptor *d = avcodec_descriptor_get(st->codecpar->codec_id);

    if (st->disposition & AV_DISPOSITION_METADATA)
        return "is metadata";
    if (st->codecpar->codec_id == AV_CODEC_ID_DVB_TELETEXT)
        return "is only read where libavcodec is built with libzvbi";
    if (d && d->props & AV_CODEC_PROP_BITMAP_SUB)
        return "is not text";
    return "can't be read here";
}

static void leave(const AVStream *st, const char *codec, struct texts_left *left)
{
    size_t k = 0;

    while (k < left->n_kinds && strcmp(left->kinds[k].codec, codec) != 0)
        k++;
    if (k == TEXT_KINDS_LEFT_MAX)
        k--; /* the last one stands for all further kinds */
    if (k == left->n_kinds) {
        copy(left->kinds[k].codec, sizeof(left->kinds[k].codec), codec);
        left->kinds[k].why = why_left(st);
        left->n_kinds++;
    }
    left->kinds[k].n++;
}

static void take(struct media_source *s, unsigned k, const char *codec, struct media_info *i,
                 struct texts_left *left)
{
    const AVStream *st = s->fmt->streams[k];
    enum text_kind kind = text_kind(s, (int)k);
    struct text_info channel;

    if (captions_is_track(st)) {
        describe(st, codec, &channel);
        left->too_many += captions_add(i, &channel, CAPTIONS_ANY);
    } else if (kind == TEXT_KIND_NONE) {
        leave(st, codec, left);
    } else if (kind == TEXT_KIND_TELETEXT) {
        describe_pages(st, codec, i, left);
    } else if (i->n_texts == TEXT_TRACKS_MAX) {
        left->too_many++;
    } else {
        describe(st, codec, &i->texts[i->n_texts++]);
    }
}

int streams_texts(struct inside *in, struct media_source *s, struct media_info *i,
                  struct texts_left *ret_left, struct err *err)
{
    struct texts_left left = { 0 };
    char codec[32];
    int r = 0;

    i->texts = calloc(TEXT_TRACKS_MAX, sizeof(*i->texts));
    if (!i->texts)
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory while probing");
    for (unsigned k = 0; r == 0 && k < s->fmt->nb_streams; k++) {
        const AVStream *st = s->fmt->streams[k];
        if ((st->codecpar->codec_type != AVMEDIA_TYPE_SUBTITLE && !captions_is_track(st) &&
             text_kind(s, (int)k) == TEXT_KIND_NONE) ||
            streams_other_programme(s->fmt, i->video.stream, k))
            continue;
        r = text_kind_name(in, s, (int)k, codec, sizeof(codec), err);
        if (r == 0)
            take(s, k, codec, i, &left);
        if (r == 0 && text_kind(s, (int)k) == TEXT_KIND_TTML)
            r = document_language(in, s->fmt->streams[k], i, err);
    }
    *ret_left = left;
    return r;
}
