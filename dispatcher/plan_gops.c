/* Inside a chunk: segments, GOPs, and what has to be decoded for it. */
#include "../common/base/err.h"
#include "plan_parts.h"
#include <errno.h>
#include <inttypes.h>
#include <libavutil/mathematics.h>
#include <math.h>
#include <stdlib.h>

int cut_list_add(struct cut_list *list, size_t cut)
{
    if (list->n == list->room) {
        size_t room = list->room ? 2 * list->room : 64;
        size_t *grown = reallocarray(list->cuts, room, sizeof(*grown));
        if (!grown)
            return -ENOMEM;
        list->cuts = grown;
        list->room = room;
    }
    list->cuts[list->n++] = cut;
    return 0;
}

/* Add the starts of lo..hi, halving while it is too long and has a cut inside. */
static int piece_add(const struct timeline *t, size_t lo, size_t hi, double limit_s,
                     struct cut_list *list)
{
    while (cut_time(t, hi) - cut_time(t, lo) > limit_s) {
        size_t mid = cut_near(t, (cut_time(t, lo) + cut_time(t, hi)) / 2, lo, hi);
        if (mid == hi)
            break;
        if (piece_add(t, lo, mid, limit_s, list) < 0)
            return -ENOMEM;
        lo = mid;
    }
    return cut_list_add(list, lo);
}

int cuts_divide(const struct timeline *t, size_t lo, size_t hi, double target_s,
                struct cut_list *list)
{
    double from = cut_time(t, lo), length = cut_time(t, hi) - from;
    double parts = fmax(1, floor(length / target_s + 0.5)), step = length / parts;

    for (double i = 1; i < parts; i++) {
        double ideal = from + step * i;
        size_t cut = cut_near(t, ideal, lo, hi);
        double found = cut_time(t, cut);
        /* In a gap between frames the nearest cut serves one ideal place
         * only, or it would be followed by parts of a frame each. */
        if (cut == hi)
            break;
        if (fabs(found - ideal) > step / 2) {
            if (found > ideal)
                i = fmax(i, ceil((found - from) / step - 0.5) - 1);
            continue;
        }
        if (piece_add(t, lo, cut, 1.5 * target_s, list) < 0)
            return -ENOMEM;
        lo = cut;
    }
    return piece_add(t, lo, hi, 1.5 * target_s, list);
}

static int frames_fill(const struct timeline *t, size_t first, size_t end, struct chunk *c,
                       struct err *err)
{
    int64_t *pts = calloc(end - first, sizeof(*pts));
    int r;

    if (!pts)
        return -ENOMEM;
    for (size_t i = first; i < end; i++)
        pts[i - first] = t->frames[i].pts;
    r = pts_list_make(pts, end - first, &c->pts);
    free(pts);
    if (r == 0 && (c->pts.n_frames > CHUNK_FRAMES_MAX || c->pts.n_runs > CHUNK_RUNS_MAX))
        return err_set(err, -EINVAL, ERR_INPUT,
                       "a chunk of %.1f s has %" PRIu64 " frames of %zu different durations, more "
                       "than a chunk may have",
                       (double)(c->end - c->start) * av_q2d(t->tb), c->pts.n_frames, c->pts.n_runs);
    return r;
}

static int gops_copy(const struct timeline *t, const struct cut_list *segments,
                     const struct cut_list *gops, struct chunk *c)
{
    c->gops = calloc(gops->n, sizeof(*c->gops));
    c->segments = calloc(segments->n, sizeof(*c->segments));
    if (!c->gops || !c->segments)
        return -ENOMEM;
    for (size_t i = 0; i < gops->n; i++)
        c->gops[c->n_gops++] = cut_pts(t, gops->cuts[i]);
    for (size_t i = 0; i < segments->n; i++)
        c->segments[c->n_segments++] = (unsigned)segments->cuts[i];
    return 0;
}

static int gops_fill(const struct timeline *t, const struct targets *want, size_t lo, size_t hi,
                     struct chunk *c)
{
    struct cut_list segments = { 0 }, gops = { 0 };
    int r = cuts_divide(t, lo, hi, want->segment_s, &segments);

    for (size_t i = 0; r == 0 && i < segments.n; i++) {
        size_t next = i + 1 < segments.n ? segments.cuts[i + 1] : hi, first = gops.n;
        size_t to = next < t->n_cuts ? t->cuts[next] : t->n_frames;
        /* Of a still one keyframe a segment will do: they are all that it costs. */
        r = is_still(t, t->cuts[segments.cuts[i]], to)
                ? cut_list_add(&gops, segments.cuts[i])
                : cuts_divide(t, segments.cuts[i], next, want->gop_s, &gops);
        segments.cuts[i] = first; /* from here on: the number of its GOP */
    }
    if (r == 0)
        r = gops_copy(t, &segments, &gops, c);
    free(segments.cuts);
    free(gops.cuts);
    return r;
}

size_t seek_packet(const struct timeline *t, int64_t pts, size_t first)
{
    size_t a = 0, b = t->n_keys;

    while (a < b) { /* keys before a are at or before `first` */
        size_t mid = a + (b - a) / 2;
        if (t->keys[mid].packet <= first)
            a = mid + 1;
        else
            b = mid;
    }
    while (a > 0 && (t->keys[a - 1].pts == PLAN_NO_TIME || t->keys[a - 1].pts > pts))
        a--;
    if (a > 0 && t->keys[a - 1].unsafe)
        a--;
    return a > 0 ? t->keys[a - 1].packet : 0;
}

static void bytes_fill(const struct timeline *t, size_t seek, size_t last, const struct chunk *prev,
                       struct chunk *c)
{
    const struct index_packet *p = t->idx->packets;
    int64_t from = INT64_MAX, to = 0;
    size_t i = seek;

    /* Many chunks between two keyframes: go on where the one before ended,
     * or a source with one keyframe would be walked once a chunk. */
    if (prev && prev->byte_end > 0 && prev->seek_pos == p[seek].pos &&
        prev->seek_dts == p[seek].dts && prev->seek_pts == p[seek].pts && prev->packets > 0) {
        from = (int64_t)prev->byte_start;
        to = (int64_t)prev->byte_end;
        i = seek + prev->packets;
    }
    for (; i <= last; i++) {
        int64_t end;
        if (p[i].pos < 0 || __builtin_add_overflow(p[i].pos, (int64_t)p[i].size, &end))
            continue;
        from = p[i].pos < from ? p[i].pos : from;
        to = end > to ? end : to;
    }
    if (to > 0) {
        c->byte_start = (uint64_t)from;
        c->byte_end = (uint64_t)to;
    }
}

int completes_picture(const struct index_packet *p)
{
    return p->flags & PACKET_SECOND ||
           (p->pts == PLAN_NO_TIME && p->dts == PLAN_NO_TIME && !(p->flags & PACKET_KEY));
}

void cover_seconds(const struct timeline *t, size_t first, size_t end, size_t *lowest, size_t *last)
{
    enum { NEAR = 64 };
    const struct index_packet *p = t->idx->packets;
    int64_t from = frame_media(t, first);
    int64_t to = end < t->n_frames ? frame_media(t, end) : INT64_MAX;
    size_t a = *lowest > NEAR ? *lowest - NEAR : 0;
    size_t b = t->idx->n - *last > NEAR ? *last + NEAR : t->idx->n - 1;

    if (!t->fields)
        return;
    if (to <= from)
        to = INT64_MAX;
    for (size_t i = a; i <= b; i++) {
        if (!(p[i].flags & PACKET_SECOND) || p[i].pts == PLAN_NO_TIME || p[i].pts < from ||
            p[i].pts >= to)
            continue;
        *lowest = i < *lowest ? i : *lowest;
        *last = i > *last ? i : *last;
    }
}

static int times_are_made(const struct index_packet *p, size_t from, size_t last)
{
    for (size_t i = from; i <= last; i++)
        if (p[i].flags & PACKET_MADE)
            return 1;
    return 0;
}

int stamps_fill(const struct timeline *t, size_t seek, size_t lowest, size_t last,
                struct packet_stamps *ret)
{
    const struct index_packet *p = t->idx->packets;
    size_t n = last - lowest + 1;

    if (!times_are_made(p, lowest, last))
        return 0;
    if (n > CHUNK_STAMPS_MAX)
        return -E2BIG;
    ret->list = calloc(n, sizeof(*ret->list));
    if (!ret->list)
        return -ENOMEM;
    ret->from = lowest - seek;
    for (size_t i = lowest; i <= last; i++)
        ret->list[ret->n++] = p[i].flags & PACKET_HIDDEN ? PLAN_NO_TIME : p[i].pts;
    return 0;
}

/* `first`, `end`: frames whose pictures are needed. */
static int decode_fill(const struct timeline *t, size_t first, size_t end, const struct chunk *prev,
                       struct chunk *c)
{
    const struct index_packet *p = t->idx->packets;
    size_t lowest = SIZE_MAX, last = 0, seek;

    for (size_t i = first; i < end; i++) {
        size_t packet = t->frames[i].packet;
        lowest = packet < lowest ? packet : lowest;
        last = packet > last ? packet : last;
    }
    while (last + 1 < t->idx->n && completes_picture(&p[last + 1]))
        last++;
    cover_seconds(t, first, end, &lowest, &last);
    seek = seek_packet(t, t->frames[first].pts, lowest);
    c->seek_pts = p[seek].pts;
    c->seek_dts = p[seek].dts;
    c->seek_pos = p[seek].pos < 0 ? -1 : p[seek].pos;
    c->packets = last - seek + 1;
    bytes_fill(t, seek, last, prev, c);
    return stamps_fill(t, seek, lowest, last, &c->stamps);
}

static int too_many(const struct timeline *t, struct err *err)
{
    if (t->edited)
        return err_set(err, -EINVAL, ERR_INPUT, "the edit list has more than %d places in a chunk",
                       CHUNK_SPANS_MAX);
    return err_set(err, -EINVAL, ERR_INPUT,
                   "more than %d packets without a time of their own belong to a chunk",
                   CHUNK_STAMPS_MAX);
}

int chunk_fill(const struct timeline *t, const struct targets *want, size_t lo, size_t hi,
               struct margin margin, const struct chunk *prev, struct chunk *ret, struct err *err)
{
    size_t first = t->cuts[lo], end = hi < t->n_cuts ? t->cuts[hi] : t->n_frames;
    struct chunk c = { .start = cut_pts(t, lo), .end = cut_pts(t, hi) };
    int r;

    c.prev_pts = first > 0 ? t->frames[first - 1].pts : PLAN_NO_TIME;
    r = frames_fill(t, first, end, &c, err);
    if (r == 0)
        r = gops_fill(t, want, lo, hi, &c);
    if (r < 0) {
        chunk_release(&c);
        return r;
    }
    first -= margin.before < first ? margin.before : first;
    end += margin.after < t->n_frames - end ? margin.after : t->n_frames - end;
    if (t->edited || is_repeated(t, first, end))
        r = edited_spans(t, first, end, &c);
    else
        r = decode_fill(t, first, end, prev, &c);
    if (r < 0) {
        chunk_release(&c);
        return r == -E2BIG ? too_many(t, err) : r;
    }
    *ret = c;
    return 0;
}
