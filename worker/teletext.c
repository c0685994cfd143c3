#include "teletext.h"

#include "../common/base/cleanup.h"

#include <errno.h>
#include <libavutil/mathematics.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    UNSEEN_MS = 10000,      /* so long a page stays that nothing follows */
    PAGES_MAX = 64,         /* of a packet: what the decoder queues is less */
    PAGE_BYTES_MAX = 65504, /* of a packet */
};

/* Text as ASS says where it stands, and needs no iconv(), whose tables the jail can't open. */
int teletext_options(int page, AVDictionary **ret)
{
    char number[16] = "subtitle";

    if (page > 0)
        (void)snprintf(number, sizeof(number), "%d", page);
    return av_dict_set(ret, "txt_page", number, 0) < 0 ||
                   av_dict_set(ret, "txt_format", "ass", 0) < 0
               ? -ENOMEM
               : 0;
}

void teletext_release(struct teletext *t)
{
    free(t->now.text);
    t->now.text = NULL;
}

/* What is shown ends. */
static int page_leave(struct teletext *t, int64_t at, struct text_said *ret)
{
    struct cue c = t->now;

    if (!c.text)
        return 0;
    c.end = at < t->seen + UNSEEN_MS ? at : t->seen + UNSEEN_MS;
    t->now.text = NULL;
    int r = c.end > c.start ? cues_add(&ret->cues, c) : 1;
    if (r != 0)
        free(c.text);
    return r < 0 ? r : 0;
}

/* A page that is whole; `text` is taken, NULL or empty where nothing stands on it. */
static int page_enter(struct teletext *t, int64_t at, char *text, int top, struct text_said *ret)
{
    int same = t->now.text && text && strcmp(text, t->now.text) == 0 && at >= t->now.start;

    if (same && at <= t->seen + UNSEEN_MS) {
        t->seen = at;
        free(text);
        return 0;
    }
    int r = page_leave(t, at, ret);
    if (r < 0 || !text || !*text) {
        free(text);
        return r;
    }
    t->now = (struct cue){ .start = at, .text = text, .top = top };
    t->seen = at;
    return 0;
}

/* Blanks of a page are hard ones to the decoder: lines that wide players don't break become ones
 * that narrow players can't. */
static char *page_text(const char *said)
{
    char *text = strdup(said);

    for (char *s = text; s && *s; s += s[0] == '\\' && s[1] ? 2 : 1)
        if (s[0] == '\\' && s[1] == 'h')
            s[0] = s[1] = ' ';
    return text;
}

static int page_read(struct teletext *t, const AVSubtitle *sub, struct text_said *ret)
{
    const AVSubtitleRect *rect = sub->num_rects > 0 ? sub->rects[0] : NULL;
    char *text = NULL;
    int64_t at = sub->pts == AV_NOPTS_VALUE ? t->clock : av_rescale(sub->pts, 1000, AV_TIME_BASE);
    int top = 0, cut = 0;

    if (at == AV_NOPTS_VALUE) {
        ret->damaged++;
        return 0;
    }
    if (rect && rect->type == SUBTITLE_ASS && rect->ass) {
        _cleanup_free_ char *said = page_text(rect->ass);
        if (!said || webvtt_text(said, 0, &text, &top, &cut) < 0)
            return -ENOMEM;
    }
    ret->cut += cut != 0;
    return page_enter(t, at, text, top, ret);
}

/* The decoder gives a page for each packet that it gets, and may have more. */
static int pages_drain(struct teletext *t, AVPacket *pkt, struct text_said *ret)
{
    int r = 0, got = 1;

    for (int i = 0; r == 0 && got && i < PAGES_MAX; i++) {
        AVSubtitle sub = { 0 };
        int n = avcodec_decode_subtitle2(t->dec, &sub, &got, i > 0 ? t->none : pkt);
        if (n == AVERROR(ENOMEM))
            r = -ENOMEM;
        else if (n < 0)
            ret->damaged++;
        if (r == 0 && got)
            r = page_read(t, &sub, ret);
        if (got)
            avsubtitle_free(&sub);
        got = n >= 0 && got;
    }
    return r;
}

int teletext_feed(struct teletext *t, AVPacket *pkt, struct text_said *ret)
{
    ret->placed = 1;
    if (pkt->size > PAGE_BYTES_MAX) {
        ret->damaged++;
        return 0;
    }
    /* Not each packet need have a time (ISO/IEC 13818-1, 2.7.4): a page without one is as late as
     * the last that had. */
    if (pkt->pts != AV_NOPTS_VALUE)
        t->clock = av_rescale_q(pkt->pts, t->dec->pkt_timebase, (AVRational){ 1, 1000 });
    return pages_drain(t, pkt, ret);
}

int teletext_end(struct teletext *t, struct text_said *ret)
{
    int r = pages_drain(t, t->none, ret);

    ret->placed = 1;
    return r < 0 ? r : page_leave(t, INT64_MAX, ret);
}
