#include "text_reader.h"

#include "../common/base/cleanup.h"
#include "../common/base/err.h"
#include "../common/media/open.h"
#include "../common/media/text_kind.h"
#include "cue_boxes.h"
#include "teletext.h"
#include "ttml.h"

#include <errno.h>
#include <libavutil/intreadwrite.h>
#include <stdlib.h>
#include <string.h>

enum {
    PACKET_MAX = 1 << 16, /* bytes: what is longer is no subtitle; documents have their own limit */
    BLOCK_ADD_ID_BYTES = 8,
};

struct text_reader {
    enum text_kind kind;
    AVCodecContext *dec; /* NULL: none is needed */
    AVPacket *part;      /* a cue of a sample */
    AVPacket *held;      /* waits for the next one, which tells its end */
    int holds;
    struct teletext teletext;
};

void text_said_clear(struct text_said *s)
{
    cues_release(&s->cues);
    s->lasts_ms = -1;
    s->placed = s->repeats = 0;
}

void text_reader_free(struct text_reader *r)
{
    if (!r)
        return;
    teletext_release(&r->teletext);
    avcodec_free_context(&r->dec);
    av_packet_free(&r->part);
    av_packet_free(&r->held);
    free(r);
}

/* ---- opening ---- */

static int decoder_open(const struct media_source *s, const struct text_info *t,
                        struct text_reader *r, struct err *err)
{
    enum AVCodecID id = s->fmt->streams[t->stream]->codecpar->codec_id;
    AVDictionary *options = NULL;
    int n = 0;

    if (r->kind == TEXT_KIND_TTML)
        return 0;
    if (r->kind == TEXT_KIND_WEBVTT || r->kind == TEXT_KIND_WEBVTT_SAMPLE)
        id = AV_CODEC_ID_WEBVTT;
    if (r->kind == TEXT_KIND_TELETEXT)
        n = teletext_options(t->page, &options);
    if (n == 0)
        n = media_decoder_of(s, t->stream, id, &options, &r->dec, err);
    av_dict_free(&options);
    if (n < 0)
        return n;
    /* A line in some older code page is better with '?' than not at all. */
    r->dec->sub_charenc_mode = FF_SUB_CHARENC_MODE_IGNORE;
    r->teletext.dec = r->dec;
    r->teletext.none = r->part;
    return 0;
}

int text_reader_open(const struct media_source *s, const struct text_info *t,
                     struct text_reader **ret, struct err *err)
{
    enum text_kind kind = text_kind(s, t->stream);

    if (kind == TEXT_KIND_NONE)
        return err_set(err, -ENOTSUP, ERR_UNSUPPORTED, "%s is not text here", t->codec);
    struct text_reader *r = calloc(1, sizeof(*r));
    if (!r || !(r->part = av_packet_alloc()) || !(r->held = av_packet_alloc())) {
        text_reader_free(r);
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory for subtitles");
    }
    r->kind = kind;
    r->holds = media_is_mov(s);
    r->teletext.clock = AV_NOPTS_VALUE;
    int n = decoder_open(s, t, r, err);
    if (n < 0) {
        text_reader_free(r);
        return n;
    }
    *ret = r;
    return 0;
}

/* ---- what libavcodec decodes ---- */

static int rect_take(const AVSubtitleRect *rect, const char *settings, struct text_said *ret)
{
    int plain = rect->type == SUBTITLE_TEXT, cut = 0;
    const char *text = plain ? rect->text : rect->ass;
    struct cue c = { .start = CUE_FROM_START, .end = CUE_TO_END };

    if ((rect->type != SUBTITLE_TEXT && rect->type != SUBTITLE_ASS) || !text)
        return 0;
    if (webvtt_text(text, plain, &c.text, &c.top, &cut) < 0)
        return -ENOMEM;
    ret->cut += cut != 0;
    (void)snprintf(c.settings, sizeof(c.settings), "%s", settings);
    int r = *c.text ? cues_add(&ret->cues, c) : 1;
    if (r != 0)
        free(c.text);
    return r < 0 ? r : 0;
}

static int decode(struct text_reader *r, AVPacket *pkt, const char *settings, struct text_said *ret)
{
    AVSubtitle sub = { 0 };
    int got = 0, failed = 0;
    int n = avcodec_decode_subtitle2(r->dec, &sub, &got, pkt);

    if (n == AVERROR(ENOMEM))
        return -ENOMEM;
    ret->damaged += n < 0;
    if (n >= 0 && got && sub.end_display_time > 0 && sub.end_display_time < UINT32_MAX)
        ret->lasts_ms = sub.end_display_time;
    for (unsigned i = 0; n >= 0 && got && i < sub.num_rects && failed == 0; i++)
        failed = rect_take(sub.rects[i], settings, ret);
    if (got)
        avsubtitle_free(&sub);
    return failed;
}

/* Settings come as side data of their own, or as Matroska's BlockAddition: behind eight bytes of
 * its id, the first line of it (Matroska's WebVTT mapping; id 1). */
static void settings_of(const AVPacket *pkt, char ret[static CUE_SETTINGS_MAX])
{
    size_t n = 0;
    const uint8_t *p = av_packet_get_side_data(pkt, AV_PKT_DATA_WEBVTT_SETTINGS, &n);

    ret[0] = '\0';
    if (!p) {
        p = av_packet_get_side_data(pkt, AV_PKT_DATA_MATROSKA_BLOCKADDITIONAL, &n);
        if (!p || n < BLOCK_ADD_ID_BYTES || AV_RB64(p) != 1)
            return;
        p += BLOCK_ADD_ID_BYTES;
        n -= BLOCK_ADD_ID_BYTES;
        const uint8_t *line = memchr(p, '\n', n);
        n = line ? (size_t)(line - p) : n;
    }
    webvtt_settings((const char *)p, n, ret);
}

/* ---- boxes of cues ---- */

static int payload_decode(struct text_reader *r, const struct cue_box *cue, struct text_said *ret)
{
    if (av_new_packet(r->part, (int)cue->size) < 0)
        return -ENOMEM;
    memcpy(r->part->data, cue->payload, cue->size);
    int n = decode(r, r->part, cue->settings, ret);
    av_packet_unref(r->part);
    return n;
}

/* Samples have all cues of their time, those that go on from the sample before among them. */
static int sample_read(struct text_reader *r, const AVPacket *pkt, struct text_said *ret)
{
    const uint8_t *at = pkt->data, *end = at + pkt->size;
    struct cue_box cue;
    int n = 0, got;

    ret->repeats = 1;
    while (n == 0 && (got = cue_box_next(&at, end, &cue)) != 0) {
        if (got < 0) {
            ret->damaged++;
            break;
        }
        n = payload_decode(r, &cue, ret);
    }
    return n;
}

/* ---- documents ---- */

/* Times of a document are those of the track's presentation, of which it is shown what lies in its
 * sample's time (ISO/IEC 14496-30, 5.3). */
static int document_read(const AVPacket *pkt, struct text_said *ret)
{
    uint64_t bad = 0, cut = 0;
    int n = ttml_read(pkt->data, (size_t)pkt->size, &ret->cues, &bad, &cut);

    ret->repeats = 1;
    ret->damaged += bad + (n == -EINVAL);
    ret->cut += cut;
    return n == -ENOMEM ? n : 0;
}

/* ---- all of them ---- */

static int packet_read(struct text_reader *r, AVPacket *pkt, struct text_said *ret)
{
    char settings[CUE_SETTINGS_MAX];

    ret->pts = pkt->pts;
    ret->duration = pkt->duration;
    ret->lasts_ms = -1;
    if (r->kind == TEXT_KIND_TTML)
        return document_read(pkt, ret);
    if (r->kind == TEXT_KIND_TELETEXT)
        return teletext_feed(&r->teletext, pkt, ret);
    if (pkt->size > PACKET_MAX) {
        ret->damaged++;
        return 0;
    }
    if (r->kind == TEXT_KIND_WEBVTT_SAMPLE)
        return sample_read(r, pkt, ret);
    settings_of(pkt, settings);
    return decode(r, pkt, settings, ret);
}

static int held_read(struct text_reader *r, struct text_said *ret)
{
    int n = r->held->size > 0 ? packet_read(r, r->held, ret) : 0;

    av_packet_unref(r->held);
    return n;
}

int text_reader_feed(struct text_reader *r, AVPacket *pkt, struct text_said *ret)
{
    if (pkt->pts == AV_NOPTS_VALUE && r->kind != TEXT_KIND_TELETEXT)
        return 0;
    if (!r->holds || (r->held->size == 0 && pkt->duration > 0))
        return packet_read(r, pkt, ret);
    if (r->held->duration <= 0 && pkt->pts > r->held->pts)
        r->held->duration = pkt->pts - r->held->pts;
    int n = held_read(r, ret);
    if (n == 0 && av_packet_ref(r->held, pkt) < 0)
        n = -ENOMEM;
    return n;
}

int text_reader_end(struct text_reader *r, struct text_said *ret)
{
    return r->kind == TEXT_KIND_TELETEXT ? teletext_end(&r->teletext, ret) : held_read(r, ret);
}
