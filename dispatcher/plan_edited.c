/* Frames of sources whose edit lists are applied here: a picture may be shown
 * more than once, or before one that is decoded later. */
#include "../common/media/edit_frames.h"
#include "plan_parts.h"
#include <errno.h>
#include <stdlib.h>

enum {
    SKIP_PACKETS = 8, /* a keyframe that lies further on is gone to, rather than read up to */
    SKIPS_MAX = 64,   /* … in a chunk */
};

int64_t frame_media(const struct timeline *t, size_t frame)
{
    const struct frame *f = &t->frames[frame];

    const struct index_packet *p = &t->idx->packets[f->packet];

    if (!t->edited && frame >= t->head && frame < t->tail)
        return f->pts;
    return p->pts == PLAN_NO_TIME ? p->dts : p->pts;
}

int edited_frames(struct timeline *t, const struct media_info *info)
{
    struct edit_frame *list;
    size_t n;
    int r = edit_frames(info, t->idx, &list, &n, &t->end);

    if (r < 0)
        return r;
    struct frame *grown = reallocarray(t->frames, n + 1, sizeof(*grown));
    if (grown) {
        t->frames = grown;
        for (t->n_frames = 0; t->n_frames < n; t->n_frames++)
            t->frames[t->n_frames] = (struct frame){ list[t->n_frames].pts,
                                                     list[t->n_frames].packet };
        if (n > 0 && t->end <= t->frames[n - 1].pts)
            t->end = t->frames[n - 1].pts + 1;
    }
    free(list);
    return grown ? 0 : -ENOMEM;
}

void edited_key_cuts(struct timeline *t)
{
    for (size_t i = 1; i < t->n_cuts; i++)
        if (t->idx->packets[t->frames[t->cuts[i]].packet].flags & PACKET_KEY)
            t->key_cuts[t->n_key_cuts++] = i;
}

/* ---- spans ---- */

/* Packets of a run of frames. */
struct run {
    size_t lowest, last;
};

static void run_add(struct run *r, size_t packet)
{
    r->lowest = packet < r->lowest ? packet : r->lowest;
    r->last = packet > r->last ? packet : r->last;
}

static int is_same_picture(const struct timeline *t, size_t a, size_t b)
{
    return t->frames[a].packet == t->frames[b].packet;
}

/* Where frames that come after each other in one decode end, and in *ret their packets. Those of
 * one picture are by themselves. */
static size_t run_end(const struct timeline *t, size_t first, size_t end, int may_skip,
                      struct run *ret)
{
    struct run r = { SIZE_MAX, 0 };
    size_t i = first + 1;

    run_add(&r, t->frames[first].packet);
    if (i < end && is_same_picture(t, first, i)) {
        while (i < end && is_same_picture(t, first, i))
            i++;
        *ret = r;
        return i;
    }
    for (; i < end; i++) {
        int64_t media = frame_media(t, i);
        size_t packet = t->frames[i].packet;
        if (media <= frame_media(t, i - 1) || (i + 1 < end && is_same_picture(t, i, i + 1)))
            break;
        if (may_skip && packet > r.last + SKIP_PACKETS &&
            seek_packet(t, media, packet) > r.last + SKIP_PACKETS)
            break;
        run_add(&r, packet);
    }
    *ret = r;
    return i;
}

static int times_fill(const struct timeline *t, size_t first, size_t end, struct chunk_span *s)
{
    int64_t *shown = calloc(end - first, sizeof(*shown));
    int64_t *media = calloc(end - first, sizeof(*media));
    size_t n = end - first > 1 && is_same_picture(t, first, first + 1) ? 1 : end - first;
    int r = shown && media ? 0 : -ENOMEM;

    for (size_t i = first; r == 0 && i < end; i++) {
        shown[i - first] = t->frames[i].pts;
        media[i - first] = frame_media(t, i);
    }
    if (r == 0)
        r = pts_list_make(shown, end - first, &s->shown);
    if (r == 0)
        r = pts_list_make(media, n, &s->media);
    free(shown);
    free(media);
    return r;
}

static int span_fill(const struct timeline *t, size_t first, size_t end, struct run run,
                     struct chunk_span *s)
{
    const struct index_packet *p = t->idx->packets;

    while (run.last + 1 < t->idx->n && completes_picture(&p[run.last + 1]))
        run.last++;
    cover_seconds(t, first, end, &run.lowest, &run.last);
    size_t seek = seek_packet(t, frame_media(t, first), run.lowest);
    s->seek_pts = p[seek].pts;
    s->seek_dts = p[seek].dts;
    s->seek_pos = p[seek].pos < 0 ? -1 : p[seek].pos;
    s->packets = run.last - seek + 1;
    int r = stamps_fill(t, seek, run.lowest, run.last, &s->stamps);
    return r < 0 ? r : times_fill(t, first, end, s);
}

static void chunk_add(struct chunk *c, const struct chunk_span *s, const struct index_packet *last)
{
    int64_t from = s->seek_pos < 0 ? 0 : s->seek_pos, to;

    if (c->n_spans == 1) {
        c->seek_pts = s->seek_pts;
        c->seek_dts = s->seek_dts;
        c->seek_pos = s->seek_pos;
        c->byte_start = (uint64_t)from;
    }
    c->packets += s->packets;
    if (last->pos < 0 || __builtin_add_overflow(last->pos, (int64_t)last->size, &to))
        to = 0;
    if ((uint64_t)from < c->byte_start)
        c->byte_start = (uint64_t)from;
    if ((uint64_t)to > c->byte_end)
        c->byte_end = (uint64_t)to;
    if (c->byte_end < c->byte_start)
        c->byte_end = c->byte_start;
}

int edited_spans(const struct timeline *t, size_t first, size_t end, struct chunk *c)
{
    size_t room = 0;

    for (size_t i = first; i < end;) {
        struct run run;
        size_t next = run_end(t, i, end, c->n_spans < SKIPS_MAX, &run);
        if (c->n_spans == CHUNK_SPANS_MAX)
            return -E2BIG;
        if (c->n_spans == room) {
            room = room ? 2 * room : 8;
            struct chunk_span *grown = reallocarray(c->spans, room, sizeof(*grown));
            if (!grown)
                return -ENOMEM;
            c->spans = grown;
        }
        struct chunk_span *s = &c->spans[c->n_spans++];
        *s = (struct chunk_span){ 0 };
        int r = span_fill(t, i, next, run, s);
        if (r < 0)
            return r;
        chunk_add(c, s, &t->idx->packets[run.last]);
        i = next;
    }
    return 0;
}
