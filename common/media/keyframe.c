/* Looking at keyframes where a plan would begin to decode, by as few reads as
 * can be. */
#include "../base/cleanup.h"
#include "../base/err.h"
#include "../base/range.h"
#include "../child/inside.h"
#include "arrivals.h"
#include "index_build.h"
#include "open.h"
#include "param_sets.h"
#include "probe.h"

#include <errno.h>
#include <libavutil/intreadwrite.h>
#include <string.h>

enum {
    GLANCE_BYTES = 4 << 10, /* nearly always holds what comes before the first slice */
    LOOK_BYTES = 64 << 10,
    GLANCES_MAX = 1024, /* in memory */
};

/* Reads through the demuxer, which alone knows how a packet lies in a file
 * that isn't MP4. */
static int look_at(struct media_source *s, const struct media_info *info, struct index_packet *want,
                   AVPacket *pkt, struct err *err)
{
    const AVStream *st = s->fmt->streams[info->video.stream];
    int64_t ts = want->dts != INT64_MIN ? want->dts : want->pts;

    if (media_seek(s, st->index, ts, AVSEEK_FLAG_BACKWARD) < 0)
        return 0;
    for (int tries = 0; tries < 2000; tries++) {
        int r = media_read(s, pkt, err);
        if (r < 0)
            return r == AVERROR_EOF ? 0 : r;
        int found = pkt->stream_index == st->index && pkt->pos == want->pos &&
                    (pkt->pts == want->pts || pkt->pts == AV_NOPTS_VALUE);
        if (found && pkt->size > 0)
            index_look(want, st->codecpar, pkt->data, (size_t)pkt->size);
        av_packet_unref(pkt);
        if (found)
            return 0;
    }
    return 0;
}

static int look_in_file(struct inside *in, const AVCodecParameters *par, struct index_packet *p,
                        struct err *err)
{
    size_t n = 0, want = p->size < LOOK_BYTES ? p->size : LOOK_BYTES;
    _cleanup_free_ uint8_t *buf = malloc(want ? want : 1);

    if (!buf)
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory for a keyframe");
    int r = inside_read(in, (uint64_t)p->pos, buf, want, &n, err);
    if (r == 0)
        index_look(p, par, buf, n);
    return r;
}

int keyframe_look_first(struct inside *in, const AVCodecParameters *par, struct media_index *idx,
                        struct err *err)
{
    struct index_packet *p = idx->packets;

    if (idx->n == 0 || p->flags & PACKET_KEY || p->pos < 0 || !keyframe_can_tell(par))
        return 0;
    return look_in_file(in, par, p, err);
}

struct check {
    struct inside *in;
    struct media_source *s;
    const struct media_info *info;
    struct media_index *idx;
    const AVCodecParameters *par;
    int marked;  /* as unsafe */
    int dropped; /* that are no keyframes at all */
    int foreign; /* that have parameter sets of their own (param_sets.h) */
};

static int is_known(const struct index_packet *p)
{
    return !(p->flags & PACKET_KEY) || (p->flags & (PACKET_SEEN | PACKET_UNSAFE)) != 0;
}

/* After a look. What doesn't tell isn't trusted. */
static void note(struct check *c, struct index_packet *p)
{
    if (!is_known(p))
        p->flags |= PACKET_UNSAFE | PACKET_DOUBT;
    c->dropped += !(p->flags & PACKET_KEY);
    c->marked += (p->flags & PACKET_UNSAFE) != 0;
}

/* Of what is marked as PACKET_BARE a decoder needs sets that it may not have been told. */
static void note_sets(struct check *c, struct index_packet *p, const uint8_t *data, size_t n)
{
    switch (param_sets_of(c->par, data, n)) {
    case PARAM_SETS_NONE:
        p->flags |= PACKET_BARE;
        break;
    case PARAM_SETS_FOREIGN:
        c->foreign++;
        break;
    case PARAM_SETS_KNOWN:
        break;
    }
}

/* Where parameter sets change among the pictures, those without any aren't trusted. */
static int drop_bare(struct check *c)
{
    int n = 0;

    for (size_t i = 1; i < c->idx->n && c->foreign > 0; i++) {
        struct index_packet *p = &c->idx->packets[i];
        if (!(p->flags & PACKET_BARE) || !(p->flags & PACKET_KEY))
            continue;
        p->flags &= ~(uint32_t)PACKET_KEY;
        n++;
    }
    return n;
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
        index_look(p, c->par, v[i].buf, v[i].n);
        note_sets(c, p, v[i].buf, v[i].n);
        if (!is_known(p) && p->size > GLANCE_BYTES)
            r = look_in_file(c->in, c->par, p, err);
        if (r == 0)
            note(c, p);
    }
    return r;
}

static int look_by_demuxer(struct check *c, const size_t *which, size_t n, struct err *err)
{
    AVPacket *pkt = av_packet_alloc();
    int r = pkt ? 0 : err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory for keyframes");

    for (size_t i = 0; i < n && r >= 0; i++) {
        struct index_packet *p = &c->idx->packets[which[i]];
        r = look_at(c->s, c->info, p, pkt, err);
        if (r >= 0)
            note(c, p);
    }
    av_packet_free(&pkt);
    return r < 0 ? r : 0;
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

/* Of those that are unsafe decoding begins at the keyframe before. */
static int check_before(struct check *c, const size_t *which, size_t n, struct err *err)
{
    _cleanup_free_ size_t *before = malloc((n + 1) * sizeof(*before));
    size_t k = 0;

    if (!before)
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory for keyframes");
    for (size_t i = 0; i < n; i++) {
        size_t at = which[i];
        if (!(c->idx->packets[at].flags & PACKET_UNSAFE))
            continue;
        while (at > 0 && !(c->idx->packets[--at].flags & PACKET_KEY))
            ;
        before[k++] = at;
    }
    return check_all(c, before, k, err);
}

/* Where one was no keyframe, no flag can be believed. */
static int check_every(struct check *c, struct err *err)
{
    _cleanup_free_ size_t *all = malloc((c->idx->n + 1) * sizeof(*all));
    size_t n = 0;

    if (!all)
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory for keyframes");
    for (size_t i = 0; i < c->idx->n; i++)
        if (c->idx->packets[i].flags & PACKET_KEY)
            all[n++] = i;
    return check_all(c, all, n, err);
}

/* H.264's have to be looked at in any case. Of others it is enough where every
 * packet claims to be one: the sign of an MP4 without a list of keyframes. */
static int is_worth_it(const AVCodecParameters *par, const struct media_index *idx)
{
    if (!keyframe_can_tell(par))
        return 0;
    for (size_t i = 0; i < idx->n && par->codec_id != AV_CODEC_ID_H264; i++)
        if (!(idx->packets[i].flags & PACKET_KEY))
            return 0;
    return 1;
}

int media_index_check(struct inside *in, const struct media_info *info, struct media_index *idx,
                      const size_t *which, size_t n, struct err *err)
{
    struct media_source s;
    size_t known = 0;

    while (known < n && is_known(&idx->packets[which[known]]))
        known++;
    if (known == n)
        return 0;
    int r = media_open_stream(in, info, info->video.stream, &s, err);
    if (r < 0)
        return r;
    struct check c = {
        .in = in,
        .s = &s,
        .info = info,
        .idx = idx,
        .par = s.fmt->streams[info->video.stream]->codecpar,
    };
    for (size_t i = 0; i < idx->n; i++)
        c.foreign += (idx->packets[i].flags & PACKET_SETS) != 0;
    if (is_worth_it(c.par, idx))
        r = check_all(&c, which, n, err);
    if (r == 0 && c.marked > 0)
        r = check_before(&c, which, n, err);
    if (r == 0 && (c.dropped > 0 || c.foreign > 0))
        r = check_every(&c, err);
    if (r == 0)
        c.dropped += drop_bare(&c);
    media_close(&s);
    return r < 0 ? r : c.marked + c.dropped;
}
