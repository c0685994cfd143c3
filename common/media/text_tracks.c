/* Tracks of subtitles: those that are text, and what the others are. */
#include "streams.h"

#include "../base/utf8.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Whose decoders give text (media_decoder() has the same). */
static int is_text(enum AVCodecID id)
{
    static const enum AVCodecID known[] = { AV_CODEC_ID_SUBRIP, AV_CODEC_ID_ASS,
                                            AV_CODEC_ID_MOV_TEXT, AV_CODEC_ID_WEBVTT,
                                            AV_CODEC_ID_TEXT };

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (known[i] == id)
            return 1;
    return 0;
}

static void copy(char *to, size_t size, const char *from)
{
    size_t n = from ? utf8_cut(from, size - 1) : 0;

    if (n)
        memcpy(to, from, n);
    to[n] = '\0';
    utf8_mend(to);
}

static void describe(const AVStream *st, struct text_info *t)
{
    const AVDictionaryEntry *title = av_dict_get(st->metadata, "title", NULL, 0);

    *t = (struct text_info){
        .stream = st->index,
        .is_default = (st->disposition & AV_DISPOSITION_DEFAULT) != 0,
        .forced = (st->disposition & AV_DISPOSITION_FORCED) != 0,
        .hearing_impaired = (st->disposition &
                             (AV_DISPOSITION_HEARING_IMPAIRED | AV_DISPOSITION_CAPTIONS)) != 0,
    };
    copy(t->codec, sizeof(t->codec), avcodec_get_name(st->codecpar->codec_id));
    copy(t->title, sizeof(t->title), title ? title->value : "");
    streams_language(st, t->language, sizeof(t->language));
}

int streams_texts(AVFormatContext *f, struct media_info *i, struct texts_left *ret_left)
{
    struct texts_left left = { 0 };

    i->texts = calloc(TEXT_TRACKS_MAX, sizeof(*i->texts));
    if (!i->texts)
        return -ENOMEM;
    for (unsigned k = 0; k < f->nb_streams; k++) {
        const AVStream *st = f->streams[k];
        if (st->codecpar->codec_type != AVMEDIA_TYPE_SUBTITLE ||
            streams_other_programme(f, i->video.stream, k))
            continue;
        if (!is_text(st->codecpar->codec_id)) {
            copy(left.codec, sizeof(left.codec), avcodec_get_name(st->codecpar->codec_id));
            left.not_text++;
        } else if (i->n_texts == TEXT_TRACKS_MAX) {
            left.too_many++;
        } else {
            describe(st, &i->texts[i->n_texts++]);
        }
    }
    *ret_left = left;
    return 0;
}
