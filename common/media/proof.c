#include "proof.h"

#include "../base/cleanup.h"
#include "../base/err.h"
#include "../child/inside.h"
#include "index_build.h"
#include "prime.h"
#include "reader.h"

#include <errno.h>
#include <libavutil/imgutils.h>
#include <libavutil/murmur3.h>
#include <libavutil/pixdesc.h>
#include <stdlib.h>
#include <string.h>

enum {
    WANTED = 6, /* pictures that are compared: what is smeared is so from the first on */
    KEYS_BACK = 2,
    SUM_BYTES = 16,
};

/* Pictures times pixels that are decoded once at most: minutes. */
#define WHOLE_MAX 6e10

struct picture_sum {
    int64_t pts;
    uint8_t sum[SUM_BYTES];
    int whole; /* no other picture is needed for it */
};

struct sums {
    struct picture_sum *list;
    size_t n, room;
};

struct proof {
    struct inside *in;
    const struct media_info *info;
    struct media_index *idx;
    struct reader read;
    AVCodecContext *dec; /* NULL: nothing was opened yet */
    AVFrame *frame;
    struct AVMurMur3 *hash;
    struct sums all; /* of a contiguous decode, by rising pts; empty: there was none */
};

struct proof *proof_new(struct inside *in, const struct media_info *info, struct media_index *idx)
{
    struct proof *p = calloc(1, sizeof(*p));

    if (!p)
        return NULL;
    *p = (struct proof){ .in = in, .info = info, .idx = idx };
    p->frame = av_frame_alloc();
    p->hash = av_murmur3_alloc();
    if (p->frame && p->hash)
        return p;
    proof_free(p);
    return NULL;
}

void proof_free(struct proof *p)
{
    if (!p)
        return;
    avcodec_free_context(&p->dec);
    reader_close(&p->read);
    av_frame_free(&p->frame);
    av_free(p->hash);
    free(p->all.list);
    free(p);
}

/* ---- what has to be shown ---- */

static int is_well_kept(const struct media_info *i)
{
    return strncmp(i->container, "mov,", 4) == 0 || strncmp(i->container, "matroska", 8) == 0;
}

enum proof_need proof_need(const struct proof *p)
{
    const AVCodecDescriptor *d = avcodec_descriptor_get_by_name(p->info->video.codec);
    AVCodecParameters par = { .codec_id = d ? d->id : AV_CODEC_ID_NONE };

    if (d && d->props & AV_CODEC_PROP_INTRA_ONLY)
        return PROOF_NONE;
    if (d && (keyframe_can_tell(&par)))
        return is_well_kept(p->info) ? PROOF_DOUBTS : PROOF_SAMPLE;
    return PROOF_ALL;
}

/* ---- pictures and their digests ---- */

static int out_of_memory(struct err *err)
{
    return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory while trying where decoding begins");
}

static void frame_sum(struct proof *p, const AVFrame *f, uint8_t ret[SUM_BYTES])
{
    const AVPixFmtDescriptor *d = av_pix_fmt_desc_get(f->format);

    av_murmur3_init(p->hash);
    for (int plane = 0; d && plane < 4 && f->data[plane]; plane++) {
        int bytes = av_image_get_linesize(f->format, f->width, plane);
        int rows = plane == 1 || plane == 2 ? AV_CEIL_RSHIFT(f->height, d->log2_chroma_h)
                                            : f->height;
        if (d->flags & AV_PIX_FMT_FLAG_PAL && plane == 1) {
            av_murmur3_update(p->hash, f->data[1], AVPALETTE_SIZE);
            break;
        }
        for (int y = 0; y < rows && bytes > 0; y++)
            av_murmur3_update(p->hash, f->data[plane] + (ptrdiff_t)y * f->linesize[plane],
                              (size_t)bytes);
    }
    av_murmur3_final(p->hash, ret);
}

static int sums_add(struct proof *p, struct sums *s, int64_t pts)
{
    if (s->n == s->room) {
        size_t room = s->room ? 2 * s->room : 64;
        struct picture_sum *grown = reallocarray(s->list, room, sizeof(*grown));
        if (!grown)
            return -ENOMEM;
        s->list = grown;
        s->room = room;
    }
    struct picture_sum *x = &s->list[s->n++];
    *x = (struct picture_sum){ .pts = pts, .whole = p->frame->pict_type == AV_PICTURE_TYPE_I };
    frame_sum(p, p->frame, x->sum);
    return 0;
}

/* What to decode, and what of it is kept. */
struct stretch {
    size_t packet;  /* the first, in the index */
    int64_t from;   /* pictures before that aren't kept */
    size_t wanted;  /* pictures */
    uint64_t limit; /* packets */
};

/* The decoder's pictures that are ready. */
static int take_pictures(struct proof *p, const struct stretch *s, struct sums *ret)
{
    while (ret->n < s->wanted && avcodec_receive_frame(p->dec, p->frame) >= 0) {
        int64_t pts = p->frame->pts != AV_NOPTS_VALUE ? p->frame->pts
                                                      : p->frame->best_effort_timestamp;
        int r = pts != AV_NOPTS_VALUE && pts >= s->from ? sums_add(p, ret, pts) : 0;
        av_frame_unref(p->frame);
        if (r < 0)
            return r;
    }
    return 0;
}

static int begin_at(struct proof *p, size_t packet, struct err *err)
{
    const struct index_packet *k = &p->idx->packets[packet];
    const struct packet_name to = { k->pts, k->dts, k->pos < 0 ? -1 : k->pos };
    int r = p->read.pkt ? 0 : reader_open(p->in, p->info, &p->read, err);

    if (r == 0 && !p->dec)
        r = media_decoder(&p->read.src, p->info->video.stream, &p->dec, err);
    if (r == 0 && packet > 0)
        r = prime_decoder(&p->read, p->dec, err);
    if (r < 0)
        return r;
    avcodec_flush_buffers(p->dec);
    return reader_go_to(&p->read, &to, packet == 0, err);
}

static int decode_stretch(struct proof *p, const struct stretch *s, struct sums *ret,
                          uint64_t *spent, struct err *err)
{
    uint64_t fed = 0;
    int r = begin_at(p, s->packet, err);

    while (r == 0 && ret->n < s->wanted) {
        int n = avcodec_send_packet(p->dec, p->read.pkt);
        if (n == AVERROR(ENOMEM) || take_pictures(p, s, ret) < 0)
            return out_of_memory(err);
        inside_progress(p->in, 0);
        r = ++fed < s->limit ? reader_next(&p->read, err) : AVERROR_EOF;
    }
    *spent += fed;
    if (r < 0 && r != AVERROR_EOF)
        return r;
    if (ret->n < s->wanted) {
        (void)avcodec_send_packet(p->dec, NULL);
        if (take_pictures(p, s, ret) < 0)
            return out_of_memory(err);
    }
    return 0;
}

/* ---- keys ---- */

static int sum_order(const void *a, const void *b)
{
    int64_t x = ((const struct picture_sum *)a)->pts, y = ((const struct picture_sum *)b)->pts;

    return (x > y) - (x < y);
}

static int64_t packet_time(const struct index_packet *k)
{
    return k->pts != INT64_MIN ? k->pts : k->dts;
}

static const struct picture_sum *sum_at(const struct sums *s, int64_t pts)
{
    const struct picture_sum key = { .pts = pts };

    return s->n ? bsearch(&key, s->list, s->n, sizeof(*s->list), sum_order) : NULL;
}

static int set_keys(struct proof *p)
{
    int changed = 0;

    for (size_t i = 0; i < p->idx->n; i++) {
        struct index_packet *k = &p->idx->packets[i];
        const struct picture_sum *x = sum_at(&p->all, packet_time(k));
        uint32_t is = i == 0 || (x && x->whole) ? PACKET_KEY : 0;
        if (!x && i > 0)
            is = 0;
        changed += (k->flags & PACKET_KEY) != is;
        k->flags = (k->flags & ~(uint32_t)PACKET_KEY) | is;
    }
    return changed;
}

int proof_find_keys(struct proof *p, struct err *err)
{
    const struct video_info *v = &p->info->video;
    const struct stretch s = { 0, INT64_MIN, SIZE_MAX, UINT64_MAX };
    uint64_t spent = 0;

    if (proof_need(p) != PROOF_ALL || p->idx->n < 2 || p->all.n > 0 ||
        (double)p->idx->n * v->width * v->height > WHOLE_MAX)
        return 0;
    int r = decode_stretch(p, &s, &p->all, &spent, err);
    if (r < 0 || p->all.n == 0)
        return r;
    qsort(p->all.list, p->all.n, sizeof(*p->all.list), sum_order);
    return set_keys(p);
}

/* ---- cuts ---- */

/* The keyframe `n` before that packet; 0: the beginning. */
static size_t keys_back(const struct media_index *idx, size_t packet, int n)
{
    while (packet > 0 && n > 0)
        n -= (idx->packets[--packet].flags & PACKET_KEY) != 0;
    return packet;
}

static int same_sums(const struct sums *a, const struct sums *b)
{
    size_t n = a->n < b->n ? a->n : b->n;

    for (size_t i = 0; i < n; i++)
        if (a->list[i].pts != b->list[i].pts ||
            memcmp(a->list[i].sum, b->list[i].sum, SUM_BYTES) != 0)
            return 0;
    return n > 0 || a->n == b->n;
}

/* What the contiguous decode shows from there on, no picture left out. */
static int is_in_all(const struct proof *p, const struct sums *s, int64_t from)
{
    struct sums all = p->all;

    while (all.n > 0 && all.list->pts < from) {
        all.list++;
        all.n--;
    }
    return s->n > 0 && same_sums(s, &all);
}

int proof_try(struct proof *p, const struct proof_cut *cut, uint64_t *spent, struct err *err)
{
    struct stretch here = { cut->packet, cut->from, WANTED, UINT64_MAX };
    struct stretch back = { keys_back(p->idx, cut->packet, KEYS_BACK), cut->from, WANTED,
                            UINT64_MAX };
    struct sums a = { 0 }, b = { 0 };
    int r;

    if (cut->packet == 0)
        return 1;
    r = decode_stretch(p, &here, &a, spent, err);
    if (r == 0 && p->all.n > 0)
        r = is_in_all(p, &a, cut->from);
    else if (r == 0 && (r = decode_stretch(p, &back, &b, spent, err)) == 0)
        r = same_sums(&a, &b);
    free(a.list);
    free(b.list);
    return r;
}
