#include "captions.h"

#include "../base/cleanup.h"
#include "../base/err.h"
#include "../base/range.h"
#include "../base/utf8.h"
#include "../child/inside.h"
#include "cc_data.h"
#include "probe.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    HEAD_BYTES = 4 << 10, /* of a packet: nearly always what comes before the first slice */
    FIRST_SAMPLES = 16,
    FEW_SAMPLES = 4,         /* … of which these may cost another block */
    BLOCK_BYTES = 1 << 20,   /* what is fetched at once (store/blocks.h) */
    SPREAD_SAMPLES = 16,     /* over the file, … */
    SPREAD_BYTES = 32 << 20, /* … one for so many bytes: next to what reading it all costs */
};

void captions_look(struct captions_seen *s, const AVCodecParameters *par, const uint8_t *p,
                   size_t n)
{
    struct cc_data d;

    cc_data_of(par, p, n < HEAD_BYTES ? n : HEAD_BYTES, &d);
    for (size_t i = 0; i < d.n; i++) {
        int channel = cc_channel_named(d.v[i]);
        if (channel >= 0)
            s->channels |= 1u << channel;
        s->carried |= (d.v[i][0] & 4) != 0 && (d.v[i][0] & 3) < 2;
        s->services |= cc_is_708(d.v[i]);
    }
}

static int can_carry(const AVCodecParameters *par)
{
    enum AVCodecID id = par->codec_id;

    return id == AV_CODEC_ID_H264 || id == AV_CODEC_ID_HEVC || id == AV_CODEC_ID_AV1 ||
           id == AV_CODEC_ID_MPEG1VIDEO || id == AV_CODEC_ID_MPEG2VIDEO;
}

/* The first samples lie in blocks that a reader has fetched for the very first one. */
static int look_at_first(struct inside *in, const AVCodecParameters *par,
                         const struct media_index *idx, struct captions_seen *ret, struct err *err)
{
    uint8_t buf[HEAD_BYTES];
    int64_t block = idx->packets[0].pos / BLOCK_BYTES;
    int r = 0;

    for (size_t i = 0; r == 0 && i < idx->n && i < FIRST_SAMPLES && !ret->carried; i++) {
        const struct index_packet *p = &idx->packets[i];
        size_t n = 0, want = p->size < sizeof(buf) ? p->size : sizeof(buf);
        if (p->pos < 0 || want == 0 || (i >= FEW_SAMPLES && p->pos / BLOCK_BYTES != block))
            continue;
        r = inside_read(in, (uint64_t)p->pos, buf, want, &n, err);
        if (r == 0)
            captions_look(ret, par, buf, n);
    }
    return r;
}

static size_t spread_samples(const struct media_index *idx)
{
    uint64_t bytes = 0;

    for (size_t i = 0; i < idx->n; i++)
        bytes += idx->packets[i].size;
    return bytes / SPREAD_BYTES < SPREAD_SAMPLES ? (size_t)(bytes / SPREAD_BYTES) : SPREAD_SAMPLES;
}

/* Some of the others, all at once. */
static int look_at_others(struct inside *in, const AVCodecParameters *par,
                          const struct media_index *idx, struct captions_seen *ret, struct err *err)
{
    struct read_range v[SPREAD_SAMPLES];
    size_t spread = spread_samples(idx), n = 0;
    int r = 0;

    if (spread == 0)
        return 0;
    _cleanup_free_ uint8_t *buf = malloc(SPREAD_SAMPLES * HEAD_BYTES);
    if (!buf)
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory for samples");
    for (size_t k = 0; k < spread; k++) {
        const struct index_packet *p = &idx->packets[(k + 1) * (idx->n - 1) / (spread + 1)];
        size_t len = p->size < HEAD_BYTES ? p->size : HEAD_BYTES;
        if (p->pos < 0 || len == 0)
            continue;
        v[n] = (struct read_range){ (uint64_t)p->pos, len, buf + n * HEAD_BYTES, 0 };
        n++;
    }
    if (n > 0)
        r = inside_read_many(in, v, n, err);
    for (size_t i = 0; r == 0 && i < n; i++)
        captions_look(ret, par, v[i].buf, v[i].n);
    return r;
}

int captions_look_at_samples(struct inside *in, const AVCodecParameters *par,
                             const struct media_index *idx, struct captions_seen *ret,
                             struct err *err)
{
    if (!can_carry(par) || idx->n == 0 || idx->packets[0].pos < 0)
        return 0;
    int r = look_at_first(in, par, idx, ret, err);
    if (r == 0 && !ret->carried)
        r = look_at_others(in, par, idx, ret, err);
    if (ret->carried)
        ret->channels = CAPTIONS_ANY;
    return r;
}

/* ---- tracks ---- */

int captions_is_track(const AVStream *st)
{
    return st->codecpar->codec_id == AV_CODEC_ID_EIA_608 ||
           (st->codecpar->codec_id == AV_CODEC_ID_NONE &&
            st->codecpar->codec_tag == MKTAG('c', '7', '0', '8'));
}

static void set_title(struct text_info *t)
{
    size_t n = utf8_cut(t->title, sizeof(t->title) - 8);

    (void)snprintf(t->title + n, sizeof(t->title) - n, n ? " (CC%d)" : "CC%d", t->captions);
}

int captions_add(struct media_info *i, const struct text_info *t, unsigned channels)
{
    /* The second channel of a field is hardly ever used. */
    static const int order[CC_CHANNELS] = { 0, 2, 1, 3 };
    int left = 0;

    for (size_t k = 0; k < CC_CHANNELS; k++) {
        struct text_info own = *t;
        if (!(channels & 1u << order[k]))
            continue;
        own.captions = order[k] + 1;
        own.hearing_impaired = 1;
        own.is_default = t->is_default && order[k] == 0;
        (void)snprintf(own.codec, sizeof(own.codec), "%s", avcodec_get_name(AV_CODEC_ID_EIA_608));
        set_title(&own);
        if (i->n_texts == TEXT_TRACKS_MAX)
            left++;
        else
            i->texts[i->n_texts++] = own;
    }
    return left;
}

int captions_tell(struct media_info *i, const struct captions_seen *s)
{
    const struct text_info t = { .stream = i->video.stream };
    int left = captions_add(i, &t, s->channels);

    if (left > 0)
        return probe_warn(i, "%d channel(s) of captions left out: more than %d tracks of text",
                          left, TEXT_TRACKS_MAX);
    if (s->channels == 0 && s->services)
        return probe_warn(i, "the captions in its pictures are left out: they are of CEA-708 "
                             "alone, without what CEA-608 has of them");
    return 0;
}
