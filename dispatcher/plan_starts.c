#include "plan_starts.h"

#include "../common/base/cleanup.h"
#include "../common/base/err.h"
#include "../common/media/probe.h"
#include "../common/media/proof.h"

#include <errno.h>
#include <stdlib.h>

enum {
    SAMPLES = 8,     /* cuts that are tried of a source whose bytes tell */
    SPENT_MAX = 600, /* packets decoded for these; fewer of a short one */
    SPENT_LEAST = 64,
    ROUNDS = 4, /* plans that are tried before a source is cut nowhere */
};

static int is_at(const struct index_packet *p, int64_t pts, int64_t dts, int64_t pos)
{
    return p->pts == pts && p->dts == dts && p->pos == pos;
}

/* The packet that a span's decoding begins at; idx->n: none. */
static size_t span_packet(const struct chunk_span *s, const struct media_index *idx)
{
    for (size_t i = idx->n; i > 0; i--)
        if (is_at(&idx->packets[i - 1], s->seek_pts, s->seek_dts, s->seek_pos))
            return i - 1;
    return idx->n;
}

/* Behind `n` packets those that decoding of repeated pictures begins at, where the rest of their
 * chunk is decoded from further back. Room is for as many as the index has. */
static size_t repeat_packets(const struct plan *p, const struct media_index *idx, size_t *ret,
                             size_t n)
{
    const struct chunk_span *last = NULL;

    for (size_t c = 0; c < p->n_chunks; c++)
        for (size_t k = 1; k < p->chunks[c].n_spans && n < p->n_chunks + idx->n; k++) {
            const struct chunk_span *s = &p->chunks[c].spans[k];
            if (last && s->seek_dts == last->seek_dts && s->seek_pos == last->seek_pos)
                continue;
            last = s;
            size_t at = span_packet(s, idx);
            if (at < idx->n && (n == 0 || ret[n - 1] != at))
                ret[n++] = at;
        }
    return n;
}

/* The packets that chunks begin at; both lists are in decode order. */
static size_t seek_packets(const struct plan *p, const struct media_index *idx, size_t *ret)
{
    size_t n = 0, at = 0;

    for (size_t c = 0; c < p->n_chunks; c++)
        for (size_t i = at; i < idx->n; i++)
            if (is_at(&idx->packets[i], p->chunks[c].seek_pts, p->chunks[c].seek_dts,
                      p->chunks[c].seek_pos)) {
                ret[n++] = at = i;
                break;
            }
    return n == p->n_chunks ? repeat_packets(p, idx, ret, n) : n;
}

static int index_order(const void *key, const void *packet)
{
    const struct chunk_span *s = key;
    const struct index_packet *p = packet;

    return s->seek_dts < p->dts ? -1 : s->seek_dts > p->dts;
}

/* Those of an edited source, whose spans go back and forth. Only MP4 has edits: decode times rise.
 */
static size_t span_packets(const struct plan *p, const struct media_index *idx, size_t *ret)
{
    _cleanup_free_ char *seen = calloc(idx->n + 1, 1);
    size_t n = 0;

    for (size_t c = 0; seen && c < p->n_chunks; c++)
        for (size_t k = 0; k < p->chunks[c].n_spans; k++) {
            const struct index_packet *at = bsearch(&p->chunks[c].spans[k], idx->packets, idx->n,
                                                    sizeof(*at), index_order);
            if (at)
                seen[at - idx->packets] = 1;
        }
    for (size_t i = 0; seen && i < idx->n; i++)
        if (seen[i])
            ret[n++] = i;
    return n;
}

static size_t starts_find(const struct plan *p, const struct media_info *info,
                          const struct media_index *idx, size_t *ret)
{
    return media_is_edited(info, info->video.stream) ? span_packets(p, idx, ret)
                                                     : seek_packets(p, idx, ret);
}

/* ---- trying ---- */

/* Where decoding begins, and what is wanted of it. Of an edited source, whose spans go back and
 * forth, each packet once. */
struct starts {
    struct proof_cut *list;
    size_t n;
};

/* Deinterlacing looks at the frame before, too. */
static int64_t first_wanted(const struct media_info *info, const struct chunk *c)
{
    if (c->n_spans > 0) /* a picture that is repeated has a time of its own */
        return c->spans[0].media.first;
    return video_may_comb(&info->video) && c->prev_pts != INT64_MIN ? c->prev_pts : c->start;
}

/* The first span that begins at that packet; NULL: none. */
static const struct chunk_span *span_at(const struct plan *p, const struct index_packet *packet)
{
    for (size_t c = 0; c < p->n_chunks; c++)
        for (size_t k = 0; k < p->chunks[c].n_spans; k++)
            if (p->chunks[c].spans[k].seek_dts == packet->dts)
                return &p->chunks[c].spans[k];
    return NULL;
}

/* One for each chunk, then those of repeated pictures. None where the packets aren't as many, which
 * can't be: places of a plan are from its index. */
static int starts_make(const struct plan_source *s, const struct plan *p, const size_t *which,
                       size_t n, struct starts *ret)
{
    int edited = media_is_edited(s->info, s->info->video.stream);

    *ret = (struct starts){ .list = calloc(n + 1, sizeof(*ret->list)) };
    if (!ret->list)
        return -ENOMEM;
    size_t from = edited ? 0 : p->n_chunks;
    for (size_t i = 0; !edited && n >= p->n_chunks && i < p->n_chunks; i++)
        ret->list[ret->n++] = (struct proof_cut){ which[i], first_wanted(s->info, &p->chunks[i]) };
    for (size_t i = from; i < n; i++) {
        const struct chunk_span *span = span_at(p, &s->idx->packets[which[i]]);
        if (span)
            ret->list[ret->n++] = (struct proof_cut){ which[i], span->media.first };
    }
    return 0;
}

static int try_cut(const struct plan_source *s, const struct proof_cut *cut, uint64_t *spent,
                   size_t *failed, struct err *err)
{
    int r = proof_try(s->proof, cut, spent, err);

    if (r != 0)
        return r < 0 ? r : 0;
    s->idx->packets[cut->packet].flags &= ~(uint32_t)PACKET_KEY;
    ++*failed;
    return 0;
}

/* Those whose packet has one of these flags, or all. */
static int try_flagged(const struct plan_source *s, const struct starts *t, uint32_t flags,
                       size_t *failed, struct err *err)
{
    uint64_t spent = 0;
    int r = 0;

    for (size_t i = 0; r == 0 && i < t->n; i++)
        if (flags == 0 || s->idx->packets[t->list[i].packet].flags & flags)
            r = try_cut(s, &t->list[i], &spent, failed, err);
    return r;
}

/* All of which bytes say that more than the keyframe is needed; of the others some, spread over the
 * source, as far as that takes little beside an encode. */
static int try_some(const struct plan_source *s, const struct starts *t, size_t *failed,
                    struct err *err)
{
    uint64_t spent = 0, most = s->idx->n / 4;
    size_t step = t->n > SAMPLES ? t->n / SAMPLES : 1;
    int r = try_flagged(s, t, PACKET_UNSAFE, failed, err);

    most = most < SPENT_LEAST ? SPENT_LEAST : most > SPENT_MAX ? SPENT_MAX : most;
    for (size_t i = 1; r == 0 && i < t->n && spent < most; i++)
        if (i % step == 0 && !(s->idx->packets[t->list[i].packet].flags & PACKET_UNSAFE))
            r = try_cut(s, &t->list[i], &spent, failed, err);
    return r;
}

/* Where some of a sample fail, every keyframe is one after which decoding is only right
 * if it began earlier. */
static void distrust_all(struct media_index *idx)
{
    for (size_t i = 1; i < idx->n; i++)
        if (idx->packets[i].flags & PACKET_KEY)
            idx->packets[i].flags |= PACKET_UNSAFE;
}

static void keep_first_key(struct media_index *idx)
{
    for (size_t i = 1; i < idx->n; i++)
        idx->packets[i].flags &= ~(uint32_t)PACKET_KEY;
}

static int warn_of_doubts(const struct plan_source *s, size_t n, struct err *err)
{
    int r = probe_warn(
        s->info,
        "pictures decoded from some of the source's keyframes on differ from those "
        "decoded from further back; decoding begins at none of the %zu of their kind",
        n);

    return r < 0 ? err_set(err, r, ERR_RESOURCE, "out of memory for a plan") : 0;
}

/* Where one that promises nothing fails, none like it is believed. */
static int drop_doubtful(const struct plan_source *s, struct err *err)
{
    _cleanup_free_ size_t *keys = malloc((s->idx->n + 1) * sizeof(*keys));
    size_t n = 0, dropped = 0;

    if (!keys)
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory for a plan");
    for (size_t i = 0; i < s->idx->n; i++)
        if (s->idx->packets[i].flags & PACKET_KEY)
            keys[n++] = i;
    int r = media_index_check(s->in, s->info, s->idx, keys, n, err);
    for (size_t i = 1; r >= 0 && i < s->idx->n; i++) {
        struct index_packet *p = &s->idx->packets[i];
        dropped += (p->flags & PACKET_DOUBT) != 0;
        if (p->flags & PACKET_DOUBT)
            p->flags &= ~(uint32_t)PACKET_KEY;
    }
    return r < 0 ? r : warn_of_doubts(s, dropped, err);
}

/* How many places failed, or negative. */
static int try_starts(const struct plan_source *s, const struct starts *t, struct err *err)
{
    size_t failed = 0;
    int r = 0;

    switch (s->proof ? proof_need(s->proof) : PROOF_NONE) {
    case PROOF_NONE:
        break;
    case PROOF_DOUBTS:
        r = try_flagged(s, t, PACKET_DOUBT, &failed, err);
        if (r == 0 && failed > 0)
            r = drop_doubtful(s, err);
        break;
    case PROOF_SAMPLE:
        r = try_some(s, t, &failed, err);
        if (r == 0 && failed > 0)
            distrust_all(s->idx);
        break;
    case PROOF_ALL:
        r = try_flagged(s, t, 0, &failed, err);
        break;
    }
    return r < 0 ? r : (int)failed;
}

static int try_plan(const struct plan_source *s, const struct plan *p, const size_t *which,
                    size_t n, struct err *err)
{
    struct starts t;
    int r = starts_make(s, p, which, n, &t);

    if (r < 0)
        return err_set(err, r, ERR_RESOURCE, "out of memory for a plan");
    r = try_starts(s, &t, err);
    free(t.list);
    return r;
}

/* ---- plans ---- */

/* One plan, and how many flags a look at it changed; then *ret is released. Bytes are looked at
 * once: a plan after that goes one keyframe further back, where what was missing is shown no
 * more. */
static int plan_once(const struct plan_source *s, const struct rendition *list, size_t n,
                     const struct plan_options *opts, int look, struct plan *ret, struct err *err)
{
    int r = plan_make(s->info, s->idx, list, n, opts, ret, err);

    if (r < 0)
        return r;
    _cleanup_free_ size_t *which = malloc((ret->n_chunks + s->idx->n + 1) * sizeof(*which));
    r = which ? 0 : err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory for a plan");
    size_t starts = r == 0 ? starts_find(ret, s->info, s->idx, which) : 0;
    if (r == 0 && look)
        r = media_index_check(s->in, s->info, s->idx, which, starts, err);
    if (r == 0)
        r = try_plan(s, ret, which, starts, err);
    if (r != 0)
        plan_release(ret);
    return r;
}

static int warn_of_starts(const struct plan_source *s, struct err *err)
{
    int r = probe_warn(s->info,
                       "pictures decoded from keyframes on differ from those decoded from the "
                       "beginning: every chunk is decoded from the beginning");

    return r < 0 ? err_set(err, r, ERR_RESOURCE, "out of memory for a plan") : 0;
}

/* A plan is kept if a look at where it begins finds nothing. */
int plan_safely(const struct plan_source *s, const struct rendition *list, size_t n,
                const struct plan_options *opts, struct plan *ret, struct err *err)
{
    int r = 1;

    for (int round = 0; r > 0 && round < ROUNDS; round++)
        r = plan_once(s, list, n, opts, round == 0, ret, err);
    if (r <= 0)
        return r;
    keep_first_key(s->idx);
    r = warn_of_starts(s, err);
    return r < 0 ? r : plan_make(s->info, s->idx, list, n, opts, ret, err);
}
