#include "hidden.h"

#include "../base/cleanup.h"
#include "../base/err.h"
#include "../base/range.h"
#include "../child/inside.h"
#include "index_build.h"
#include "param_sets.h"
#include "shown.h"
#include "uncoded.h"

#include <errno.h>
#include <libavutil/common.h>
#include <stdlib.h>

enum {
    SAMPLED = 64,        /* a hidden frame comes early in a GOP: one of the first samples */
    HEAD_BYTES = 2,      /* tell of a frame of VP8 and VP9 whether it is shown */
    BATCH = 1024,        /* reads at once */
    WHOLE_MAX = 4 << 20, /* a hidden frame that is larger is taken for a shown one */
    SETS_MAX = 512,      /* … and units without a slice */
    SETS_FIRST = 8,      /* samples of units without a slice before a picture */
};

/* Heads of frames, or small samples. */
struct heads {
    size_t which[BATCH]; /* in the index */
    struct read_range v[BATCH];
    uint8_t bytes[BATCH][SETS_MAX];
    size_t n;
};

static int is_nal_codec(const AVCodecParameters *par)
{
    return par->codec_id == AV_CODEC_ID_H264 || par->codec_id == AV_CODEC_ID_HEVC;
}

/* Whose hidden frames are as long as shown ones. */
static int is_long(const AVCodecParameters *par)
{
    return par->codec_id == AV_CODEC_ID_VP8 || par->codec_id == AV_CODEC_ID_VP9;
}

/* Or behind: the flag may be that of the first sample of units without a slice. */
static int is_near_key(const struct media_index *idx, size_t i)
{
    for (size_t k = i < SETS_FIRST ? 0 : i - SETS_FIRST; k < idx->n && k <= i + SETS_FIRST; k++)
        if (idx->packets[k].flags & PACKET_KEY)
            return 1;
    return i < SETS_FIRST;
}

static int may_hide(const AVCodecParameters *par, const struct media_index *idx, size_t i)
{
    const struct index_packet *p = &idx->packets[i];

    if (p->pos < 0 || p->size == 0)
        return 0;
    if (par->codec_id == AV_CODEC_ID_MPEG4)
        return p->size <= UNCODED_BYTES_MAX;
    if (is_nal_codec(par))
        return p->size <= SETS_MAX && is_near_key(idx, i);
    return is_long(par);
}

/* Where the sample that was flagged holds only what the keyframe needs, that one comes next. */
static void hide(const AVCodecParameters *par, struct media_index *idx, size_t i)
{
    struct index_packet *p = &idx->packets[i];

    if (is_nal_codec(par) && p->flags & PACKET_KEY && i + 1 < idx->n)
        p[1].flags |= PACKET_KEY;
    packet_hide(p, par);
}

/* At a whole sample. */
static void look(const AVCodecParameters *par, struct media_index *idx, size_t i, const uint8_t *p,
                 size_t n)
{
    if (n < idx->packets[i].size || !packet_shows_nothing(par, p, n))
        return;
    hide(par, idx, i);
    if (param_sets_of(par, p, n) == PARAM_SETS_FOREIGN)
        idx->packets[i].flags |= PACKET_SETS;
}

/* Several frames may follow the hidden one in its packet: all of it has to be read. */
static int look_whole(struct inside *in, const AVCodecParameters *par, struct media_index *idx,
                      size_t i, struct err *err)
{
    struct index_packet *p = &idx->packets[i];
    size_t n = 0;

    if (p->size > WHOLE_MAX)
        return 0;
    _cleanup_free_ uint8_t *buf = malloc(p->size);
    if (!buf)
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory for a sample");
    int r = inside_read(in, (uint64_t)p->pos, buf, p->size, &n, err);
    if (r == 0)
        look(par, idx, i, buf, n);
    return r;
}

/* *ret: how many show nothing. */
static int look_at_some(struct inside *in, const AVCodecParameters *par, struct media_index *idx,
                        struct heads *h, size_t *ret, struct err *err)
{
    int r = h->n > 0 ? inside_read_many(in, h->v, h->n, err) : 0;

    for (size_t k = 0; k < h->n && r == 0; k++) {
        size_t i = h->which[k];
        if (!is_long(par))
            look(par, idx, i, h->bytes[k], h->v[k].n);
        else if (h->v[k].n > 0 && packet_shows_nothing(par, h->bytes[k], h->v[k].n))
            r = look_whole(in, par, idx, i, err);
        *ret += (idx->packets[i].flags & PACKET_HIDDEN) != 0;
    }
    return r;
}

/* The next ones before `to` that may show nothing; returns the first packet behind these. */
static size_t choose(const AVCodecParameters *par, const struct media_index *idx, size_t from,
                     size_t to, struct heads *h)
{
    for (h->n = 0; from < to && h->n < BATCH; from++) {
        const struct index_packet *p = &idx->packets[from];
        if (!may_hide(par, idx, from))
            continue;
        h->which[h->n] = from;
        h->v[h->n] = (struct read_range){ .off = (uint64_t)p->pos,
                                          .len = is_long(par) ? FFMIN(p->size, HEAD_BYTES)
                                                              : p->size,
                                          .buf = h->bytes[h->n] };
        h->n++;
    }
    return from;
}

int hidden_look(struct inside *in, const AVCodecParameters *par, struct media_index *idx,
                struct err *err)
{
    size_t hidden = 0;
    int r = 0;

    if (!is_long(par) && !is_nal_codec(par) && par->codec_id != AV_CODEC_ID_MPEG4)
        return 0;
    _cleanup_free_ struct heads *h = malloc(sizeof(*h));
    if (!h)
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory for samples");
    for (size_t at = 0; r == 0 && at < idx->n;) {
        int sample = at == 0 && par->codec_id != AV_CODEC_ID_MPEG4 && idx->n > SAMPLED;
        at = choose(par, idx, at, sample ? SAMPLED : idx->n, h);
        r = look_at_some(in, par, idx, h, &hidden, err);
        if (sample && hidden == 0)
            break;
        inside_progress(in, 0);
    }
    return r;
}
