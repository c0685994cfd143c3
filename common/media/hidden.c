#include "hidden.h"

#include "../base/cleanup.h"
#include "../base/err.h"
#include "../base/range.h"
#include "../child/inside.h"
#include "index.h"
#include "shown.h"

#include <errno.h>
#include <stdlib.h>

enum {
    SAMPLED = 64,        /* a hidden frame comes early in a GOP: one of the first samples */
    HEAD_BYTES = 2,      /* tell of a packet's first frame whether it is shown */
    BATCH = 1024,        /* heads in memory */
    WHOLE_MAX = 4 << 20, /* a hidden frame that is larger is taken for a shown one */
};

struct heads {
    struct read_range v[BATCH];
    uint8_t bytes[BATCH][HEAD_BYTES];
};

static int can_hide(const AVCodecParameters *par)
{
    return par->codec_id == AV_CODEC_ID_VP8 || par->codec_id == AV_CODEC_ID_VP9;
}

static int read_heads(struct inside *in, const struct index_packet *p, size_t n, struct heads *h,
                      struct err *err)
{
    size_t k = 0;

    for (size_t i = 0; i < n; i++) {
        size_t len = p[i].pos < 0 ? 0 : p[i].size < HEAD_BYTES ? p[i].size : HEAD_BYTES;
        h->v[i] = (struct read_range){ .off = p[i].pos < 0 ? 0 : (uint64_t)p[i].pos,
                                       .len = len,
                                       .buf = h->bytes[i] };
        k += len > 0;
    }
    return k > 0 ? inside_read_many(in, h->v, n, err) : 0;
}

/* Several frames may follow the hidden one in its packet: all of it has to be read. */
static int look_whole(struct inside *in, const AVCodecParameters *par, struct index_packet *p,
                      struct err *err)
{
    size_t n = 0;

    if (p->size > WHOLE_MAX)
        return 0;
    _cleanup_free_ uint8_t *buf = malloc(p->size);
    if (!buf)
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory for a sample");
    int r = inside_read(in, (uint64_t)p->pos, buf, p->size, &n, err);
    if (r == 0 && n == p->size && packet_shows_nothing(par, buf, n))
        p->flags = (p->flags | PACKET_HIDDEN) & ~(uint32_t)PACKET_KEY;
    return r;
}

/* *ret: how many show nothing. */
static int look_at_some(struct inside *in, const AVCodecParameters *par, struct index_packet *p,
                        size_t n, struct heads *h, size_t *ret, struct err *err)
{
    int r = read_heads(in, p, n, h, err);

    for (size_t i = 0; i < n && r == 0; i++) {
        if (h->v[i].n == 0 || !packet_shows_nothing(par, h->bytes[i], h->v[i].n))
            continue;
        r = look_whole(in, par, &p[i], err);
        *ret += (p[i].flags & PACKET_HIDDEN) != 0;
    }
    return r;
}

int hidden_look(struct inside *in, const AVCodecParameters *par, struct media_index *idx,
                struct err *err)
{
    size_t hidden = 0, at = idx->n < SAMPLED ? idx->n : SAMPLED;

    if (!can_hide(par))
        return 0;
    _cleanup_free_ struct heads *h = malloc(sizeof(*h));
    if (!h)
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory for samples");
    int r = look_at_some(in, par, idx->packets, at, h, &hidden, err);
    while (r == 0 && hidden > 0 && at < idx->n) {
        size_t n = idx->n - at < BATCH ? idx->n - at : BATCH;
        r = look_at_some(in, par, idx->packets + at, n, h, &hidden, err);
        inside_progress(in, 0);
        at += n;
    }
    return r;
}
