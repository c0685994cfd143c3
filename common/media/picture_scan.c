#include "picture_scan.h"

#include "../base/cleanup.h"
#include "nals.h"

#include <errno.h>
#include <stdlib.h>

/* nal_unit_type: H.264 table 7-1, HEVC table 7-1. */
enum { H264_IDR = 5, HEVC_BLA_FIRST = 16, HEVC_IDR_LAST = 20 };

void picture_scan_open(struct picture_scan *s, const AVStream *st, int made)
{
    enum AVCodecID id = st->codecpar->codec_id;

    if (id != AV_CODEC_ID_H264 && id != AV_CODEC_ID_HEVC)
        return;
    s->parser = av_parser_init((int)id);
    s->codec = avcodec_alloc_context3(NULL);
    if (s->parser && s->codec && avcodec_parameters_to_context(s->codec, st->codecpar) >= 0)
        s->parser->flags |= PARSER_FLAG_COMPLETE_FRAMES;
    else
        av_parser_close(take_ptr(s->parser));
    if (made && s->parser)
        s->order = calloc(1, sizeof(*s->order));
    s->room = s->order ? 1 : 0;
}

void picture_scan_close(struct picture_scan *s)
{
    av_parser_close(s->parser);
    avcodec_free_context(&s->codec);
    free(s->order);
    free(s->halves);
    *s = (struct picture_scan){ 0 };
}

/* Pictures are counted anew from here on. */
static int counts_anew(const AVCodecContext *c, const AVPacket *pkt)
{
    AVCodecParameters par = { .codec_id = c->codec_id };
    struct nals s = nals_of(&par, pkt->data, (size_t)pkt->size);
    const uint8_t *unit;
    size_t n;

    while (nals_next(&s, &unit, &n)) {
        int hevc = c->codec_id == AV_CODEC_ID_HEVC;
        int type = nals_type(c->codec_id, unit, n);
        if (hevc && type >= HEVC_BLA_FIRST && type <= HEVC_IDR_LAST)
            return 1;
        if (!hevc && type == H264_IDR)
            return 1;
        if (hevc ? type < HEVC_BLA_FIRST : type >= 1 && type < H264_IDR)
            return 0;
    }
    return 0;
}

static int note_order(struct picture_scan *s, const AVPacket *pkt)
{
    if (s->n == s->room) {
        struct picture_order *grown = reallocarray(s->order, 2 * s->room, sizeof(*grown));
        if (!grown)
            return -ENOMEM;
        s->order = grown;
        s->room *= 2;
    }
    s->order[s->n++] = (struct picture_order){ s->parser->output_picture_number,
                                               counts_anew(s->codec, pkt) };
    return 0;
}

static int is_field(int structure)
{
    return structure == AV_PICTURE_STRUCTURE_TOP_FIELD ||
           structure == AV_PICTURE_STRUCTURE_BOTTOM_FIELD;
}

static int is_second_field(struct picture_scan *s, int first)
{
    int now = s->parser->picture_structure;

    if (s->codec->codec_id != AV_CODEC_ID_H264 || !is_field(now))
        return 0;
    if (first && first != now)
        return 1;
    s->open = now;
    return 0;
}

/* HEVC's fields are pictures of their own, reordered like all: pairs are found when all are known.
 * Of whole pictures, as nearly all are, there is no more to see after the first one. */
static int note_half(struct picture_scan *s)
{
    int now = s->parser->picture_structure;

    if (s->n_halves == 0 && !is_field(now)) {
        if (!s->order)
            av_parser_close(take_ptr(s->parser));
        s->whole = 1;
    }
    if (s->whole)
        return 0;
    if (s->n_halves == s->room_halves) {
        size_t room = s->room_halves ? 2 * s->room_halves : 4096;
        unsigned char *grown = realloc(s->halves, room);
        if (!grown)
            return -ENOMEM;
        s->halves = grown;
        s->room_halves = room;
    }
    s->halves[s->n_halves++] = now == AV_PICTURE_STRUCTURE_TOP_FIELD      ? FIELD_TOP
                               : now == AV_PICTURE_STRUCTURE_BOTTOM_FIELD ? FIELD_BOTTOM
                                                                          : FIELD_NONE;
    return 0;
}

int picture_scan_packet(struct picture_scan *s, const AVPacket *pkt)
{
    uint8_t *out;
    int n, first = s->open;

    s->open = 0;
    if (!s->parser)
        return 0;
    (void)av_parser_parse2(s->parser, s->codec, &out, &n, pkt->data, pkt->size, pkt->pts, pkt->dts,
                           pkt->pos);
    enum AVFieldOrder order = s->parser->field_order;
    s->combs |= s->codec->codec_id == AV_CODEC_ID_H264 && order >= AV_FIELD_TT &&
                order <= AV_FIELD_BT;
    if (s->order && note_order(s, pkt) < 0)
        return -ENOMEM;
    if (s->codec->codec_id == AV_CODEC_ID_HEVC)
        return note_half(s);
    return is_second_field(s, first);
}

struct half {
    int64_t pts;
    size_t packet;
};

static int half_order(const void *a, const void *b)
{
    int64_t x = ((const struct half *)a)->pts, y = ((const struct half *)b)->pts;

    return (x > y) - (x < y);
}

int picture_scan_pair(const struct picture_scan *s, struct media_index *idx, int *ret_first)
{
    size_t n = 0;

    *ret_first = 0;
    if (s->n_halves == 0 || s->n_halves != idx->n)
        return 0;
    struct half *list = calloc(idx->n, sizeof(*list));
    if (!list)
        return -ENOMEM;
    for (size_t i = 0; i < idx->n; i++)
        if (idx->packets[i].pts != INT64_MIN && s->halves[i] != FIELD_NONE)
            list[n++] = (struct half){ idx->packets[i].pts, i };
    qsort(list, n, sizeof(*list), half_order);
    int first = n > 0 ? s->halves[list[0].packet] : 0;
    for (size_t i = 0; i + 1 < n; i++) {
        const struct half *a = &list[i], *b = &list[i + 1];
        if (s->halves[a->packet] != first || s->halves[b->packet] == first)
            continue;
        idx->packets[b->packet].flags |= PACKET_SECOND | PACKET_HIDDEN;
        i++;
    }
    free(list);
    *ret_first = first;
    return 0;
}

int picture_scan_times(const struct picture_scan *s, struct media_index *idx, const AVStream *st,
                       uint64_t *ret)
{
    AVRational rate = st->avg_frame_rate.num > 0 ? st->avg_frame_rate : st->r_frame_rate;
    int64_t step = rate.num > 0 && rate.den > 0
                       ? av_rescale_q(1, av_inv_q(rate), st->time_base)
                       : av_rescale_q(1, (AVRational){ 1, 25 }, st->time_base);

    *ret = 0;
    if (!s->order || s->n != idx->n)
        return 0;
    return picture_times_make(idx, s->order, step > 0 ? step : 1, ret);
}
