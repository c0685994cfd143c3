#include "halves.h"

#include "../base/cleanup.h"
#include "../base/err.h"
#include "../base/range.h"
#include "../child/inside.h"
#include "index.h"
#include "nals.h"
#include "picture_scan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    HEAD_BYTES = 1024, /* hold what comes before a slice, and its header */
    BATCH = 256,       /* heads in memory */
};

struct heads {
    struct read_range v[BATCH];
    uint8_t bytes[BATCH][HEAD_BYTES + AV_INPUT_BUFFER_PADDING_SIZE];
};

/* A parser takes no unit whose end isn't there: the last one's length becomes that of what is. */
static void close_last(const AVCodecParameters *par, uint8_t *p, size_t n)
{
    unsigned bytes = nals_of(par, p, n).length_size;
    size_t at = 0;

    while (bytes > 0 && n - at > bytes) {
        size_t size = 0;
        for (unsigned i = 0; i < bytes; i++)
            size = size << 8 | p[at + i];
        if (size > n - at - bytes) {
            size = n - at - bytes;
            for (unsigned i = bytes; i > 0; size >>= 8)
                p[at + --i] = (uint8_t)size;
            return;
        }
        at += bytes + size;
    }
}

static int scan_head(struct picture_scan *scan, const AVCodecParameters *par,
                     const struct index_packet *p, uint8_t *head, size_t n)
{
    AVPacket pkt = { .data = head, .size = (int)n, .pts = p->pts, .dts = p->dts, .pos = p->pos };

    memset(head + n, 0, AV_INPUT_BUFFER_PADDING_SIZE);
    close_last(par, head, n);
    int r = picture_scan_packet(scan, &pkt);
    return r < 0 ? r : 0;
}

static int scan_some(struct inside *in, struct picture_scan *scan, const AVCodecParameters *par,
                     const struct index_packet *p, size_t n, struct heads *h, struct err *err)
{
    for (size_t i = 0; i < n; i++) {
        size_t len = p[i].pos < 0 ? 0 : p[i].size < HEAD_BYTES ? p[i].size : HEAD_BYTES;
        h->v[i] = (struct read_range){ .off = p[i].pos < 0 ? 0 : (uint64_t)p[i].pos,
                                       .len = len,
                                       .buf = h->bytes[i] };
    }
    int r = inside_read_many(in, h->v, n, err);
    for (size_t i = 0; r == 0 && i < n && !scan->whole; i++)
        if (scan_head(scan, par, &p[i], h->bytes[i], h->v[i].n) < 0)
            r = err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory for samples");
    return r;
}

int halves_look(struct inside *in, const AVStream *st, struct media_index *idx, int *ret_first,
                struct err *err)
{
    const AVCodecParameters *par = st->codecpar;
    struct picture_scan scan = { 0 };
    int r = 0;

    *ret_first = 0;
    if (par->codec_id != AV_CODEC_ID_HEVC || idx->n < 2)
        return 0;
    _cleanup_free_ struct heads *h = malloc(sizeof(*h));
    if (!h)
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory for samples");
    picture_scan_open(&scan, st, 0);
    for (size_t at = 0, n = 1; r == 0 && at < idx->n && scan.parser; at += n) {
        n = at == 0 ? 1 : idx->n - at < BATCH ? idx->n - at : BATCH;
        r = scan_some(in, &scan, par, idx->packets + at, n, h, err);
        inside_progress(in, 0);
    }
    if (r == 0 && picture_scan_pair(&scan, idx, ret_first) < 0)
        r = err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory for samples");
    picture_scan_close(&scan);
    return r;
}
