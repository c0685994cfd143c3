/* Which keyframes a decoder may begin at and be right from there on.
 *
 * An IDR picture (H.264 7.4.1.2.4) is. So is every random access point of
 * HEVC, AV1, VP9 and of MPEG-1, 2 and 4 for the frames shown after it. A
 * non-IDR intra picture of H.264 is only where its encoder kept later
 * pictures from referring past it, which the bytes don't tell.
 */
#include "../base/cleanup.h"
#include "../base/err.h"
#include "../base/range.h"
#include "../child/inside.h"
#include "index_build.h"
#include "open.h"
#include "probe.h"

#include <errno.h>
#include <libavutil/intreadwrite.h>
#include <string.h>

enum {
    GLANCE_BYTES = 4 << 10, /* nearly always holds what comes before the first slice */
    LOOK_BYTES = 64 << 10,
    NAL_SLICE = 1,
    NAL_SLICE_IDR = 5,
    GLANCES_MAX = 1024, /* in memory */
};

/* The type of the first slice's NAL unit, 0 where none is seen. */
static int first_slice_avcc(const uint8_t *p, size_t n, unsigned length_size)
{
    while (n > length_size) {
        uint64_t len = 0;
        for (unsigned i = 0; i < length_size; i++)
            len = len << 8 | p[i];
        int type = p[length_size] & 0x1f;
        if (type >= NAL_SLICE && type <= NAL_SLICE_IDR)
            return type;
        if (len > n - length_size)
            return 0;
        p += length_size + len;
        n -= length_size + len;
    }
    return 0;
}

static int first_slice_annexb(const uint8_t *p, size_t n)
{
    for (size_t i = 0; i + 3 < n; i++) {
        if (p[i] || p[i + 1] || p[i + 2] != 1)
            continue;
        int type = p[i + 3] & 0x1f;
        if (type >= NAL_SLICE && type <= NAL_SLICE_IDR)
            return type;
    }
    return 0;
}

/* As above. */
static int first_slice(const AVCodecParameters *par, const uint8_t *p, size_t n)
{
    if (par->extradata_size >= 7 && par->extradata[0] == 1)
        return first_slice_avcc(p, n, (par->extradata[4] & 3u) + 1);
    return first_slice_annexb(p, n);
}

int keyframe_is_safe(const AVCodecParameters *par, const uint8_t *p, size_t n)
{
    return first_slice(par, p, n) == NAL_SLICE_IDR;
}

/* Reads through the demuxer, which alone knows how a packet lies in a file
 * that isn't MP4. */
static int look_at(struct media_source *s, const struct media_info *info,
                   const struct index_packet *want, AVPacket *pkt, int *ret_idr, struct err *err)
{
    const AVStream *st = s->fmt->streams[info->video.stream];
    int64_t ts = want->dts != INT64_MIN ? want->dts : want->pts;

    if (av_seek_frame(s->fmt, st->index, ts, AVSEEK_FLAG_BACKWARD) < 0)
        return 0;
    for (int tries = 0; tries < 2000; tries++) {
        int r = media_read(s, pkt, err);
        if (r < 0)
            return r == AVERROR_EOF ? 0 : r;
        int found = pkt->stream_index == st->index && pkt->pos == want->pos &&
                    (pkt->pts == want->pts || pkt->pts == AV_NOPTS_VALUE);
        if (found)
            *ret_idr = keyframe_is_safe(st->codecpar, pkt->data, (size_t)pkt->size);
        av_packet_unref(pkt);
        if (found)
            return 0;
    }
    return 0;
}

static int look_in_file(struct inside *in, const AVCodecParameters *par,
                        const struct index_packet *p, int *ret_idr, struct err *err)
{
    size_t n = 0, want = p->size < LOOK_BYTES ? p->size : LOOK_BYTES;
    _cleanup_free_ uint8_t *buf = malloc(want ? want : 1);

    if (!buf)
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory for a keyframe");
    int r = inside_read(in, (uint64_t)p->pos, buf, want, &n, err);
    if (r == 0)
        *ret_idr = keyframe_is_safe(par, buf, n);
    return r;
}

struct check {
    struct inside *in;
    struct media_source *s;
    const struct media_info *info;
    struct media_index *idx;
    const AVCodecParameters *par;
    int marked;
};

static void note(struct check *c, struct index_packet *p, int idr)
{
    if (idr)
        return;
    p->flags |= PACKET_UNSAFE;
    c->marked++;
}

/* The beginnings of some packets at once: one after the other, each would wait
 * for the store. Those that don't tell are looked at for longer. */
static int glance(struct check *c, const size_t *which, size_t n, struct err *err)
{
    _cleanup_free_ struct read_range *v = calloc(n, sizeof(*v));
    _cleanup_free_ uint8_t *buf = malloc(n * GLANCE_BYTES);

    if (!v || !buf)
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory for keyframes");
    for (size_t i = 0; i < n; i++) {
        const struct index_packet *p = &c->idx->packets[which[i]];
        v[i] = (struct read_range){ .off = (uint64_t)p->pos,
                                    .len = p->size < GLANCE_BYTES ? p->size : GLANCE_BYTES,
                                    .buf = buf + i * GLANCE_BYTES };
    }
    int r = inside_read_many(c->in, v, n, err);
    for (size_t i = 0; i < n && r == 0; i++) {
        struct index_packet *p = &c->idx->packets[which[i]];
        int type = first_slice(c->par, v[i].buf, v[i].n), idr = type == NAL_SLICE_IDR;
        if (type == 0 && p->size > GLANCE_BYTES)
            r = look_in_file(c->in, c->par, p, &idr, err);
        if (r == 0)
            note(c, p, idr);
    }
    return r;
}

static int look_by_demuxer(struct check *c, const size_t *which, size_t n, struct err *err)
{
    AVPacket *pkt = av_packet_alloc();
    int r = pkt ? 0 : err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory for keyframes");

    for (size_t i = 0; i < n && r >= 0; i++) {
        struct index_packet *p = &c->idx->packets[which[i]];
        int idr = 0;
        r = look_at(c->s, c->info, p, pkt, &idr, err);
        if (r >= 0)
            note(c, p, idr);
    }
    av_packet_free(&pkt);
    return r < 0 ? r : 0;
}

static int is_known(const struct index_packet *p)
{
    return (p->flags & (PACKET_SEEN | PACKET_UNSAFE)) != 0;
}

/* Of those that nothing is known of, the ones whose place in the file is known, or isn't. */
static size_t choose(const struct check *c, const size_t *which, size_t n, int known, size_t *ret)
{
    size_t k = 0;

    for (size_t i = 0; i < n; i++) {
        const struct index_packet *p = &c->idx->packets[which[i]];
        if (!is_known(p) && (media_is_mov(c->s) && p->pos >= 0) == known)
            ret[k++] = which[i];
    }
    return k;
}

static int check_all(struct check *c, const size_t *which, size_t n, struct err *err)
{
    _cleanup_free_ size_t *some = malloc((n + 1) * sizeof(*some));
    int r = some ? 0 : err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory for keyframes");

    if (r < 0)
        return r;
    size_t k = choose(c, which, n, 1, some);
    for (size_t at = 0; at < k && r == 0; at += GLANCES_MAX)
        r = glance(c, some + at, k - at < GLANCES_MAX ? k - at : GLANCES_MAX, err);
    if (r == 0)
        r = look_by_demuxer(c, some, choose(c, which, n, 0, some), err);
    return r;
}

int media_index_check(struct inside *in, const struct media_info *info, struct media_index *idx,
                      const size_t *which, size_t n, struct err *err)
{
    struct media_source s;
    size_t known = 0;

    while (known < n && is_known(&idx->packets[which[known]]))
        known++;
    if (known == n || strcmp(info->video.codec, "h264") != 0)
        return 0;
    int r = media_open(in, 0, &s, err);
    if (r < 0)
        return r;
    struct check c = {
        .in = in,
        .s = &s,
        .info = info,
        .idx = idx,
        .par = s.fmt->streams[info->video.stream]->codecpar,
    };
    media_select(&s, info->video.stream);
    r = check_all(&c, which, n, err);
    media_close(&s);
    return r < 0 ? r : c.marked;
}
