#include "edit_boxes.h"

#include "../base/cleanup.h"
#include "../base/err.h"
#include "../child/inside.h"
#include "../wire/media_info.h"

#include <errno.h>
#include <libavutil/intreadwrite.h>
#include <stdlib.h>
#include <string.h>

enum {
    BOXES_MAX = 1 << 16, /* that are looked at */
    DEPTH_MAX = 16,      /* of boxes in boxes */
    ELST_BYTES_MAX = 20 * EDITS_MAX,
};

struct walk {
    struct inside *in;
    struct err *err;
    struct edit_tracks *found;
    unsigned looked, depth;
};

struct box {
    uint32_t type;
    uint64_t body, end; /* byte offsets */
};

#define BOX(a, b, c, d) \
    ((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | (uint32_t)(d))

/* Up to `n` bytes, zeros where there are fewer: *ret_got tells. */
static int walk_read(struct walk *w, uint64_t at, void *buf, size_t n, size_t *ret_got)
{
    memset(buf, 0, n);
    *ret_got = 0;
    return inside_read(w->in, at, buf, n, ret_got, w->err);
}

/* The box at `at` of what ends at `end`. 1; 0: there is none, or it can't be. */
static int box_at(struct walk *w, uint64_t at, uint64_t end, struct box *ret)
{
    uint8_t head[16];
    size_t n, length = 8;

    if (at >= end || end - at < 8 || ++w->looked > BOXES_MAX)
        return 0;
    int r = walk_read(w, at, head, sizeof(head), &n);
    if (r < 0 || n < 8)
        return r < 0 ? r : 0;
    uint64_t size = AV_RB32(head);
    if (size == 1 && n == 16) {
        size = AV_RB64(head + 8);
        length = 16;
    } else if (size == 0) {
        size = end - at;
    }
    /* What is cut off goes to the end. */
    if (size > end - at)
        size = end - at;
    if (size < length)
        return 0;
    *ret = (struct box){ AV_RB32(head + 4), at + length, at + size };
    return 1;
}

/* Call `f` for each box within, until it returns anything but 0: that is returned, too. */
static int walk_boxes(struct walk *w, uint64_t at, uint64_t end,
                      int (*f)(struct walk *w, const struct box *b))
{
    struct box b;
    int r = 0;

    if (w->depth == DEPTH_MAX)
        return 0;
    w->depth++;
    while ((r = box_at(w, at, end, &b)) > 0) {
        r = f(w, &b);
        if (r != 0)
            break;
        at = b.end;
    }
    w->depth--;
    return r;
}

static struct edit_track *track_of(struct walk *w)
{
    return &w->found->tracks[w->found->n_tracks - 1];
}

static void edit_parse(const uint8_t *p, int wide, struct raw_edit *ret)
{
    ret->length = wide ? AV_RB64(p) : AV_RB32(p);
    ret->media = wide ? (int64_t)AV_RB64(p + 8) : (int32_t)AV_RB32(p + 4);
    ret->rate = (int32_t)AV_RB32(p + (wide ? 16 : 8));
}

/* The last list counts, where a damaged track has two: that is libavformat's. */
static int take_list(struct walk *w, const struct box *b)
{
    struct edit_track *t = track_of(w);
    uint8_t head[8];
    size_t got, room = b->end - b->body < ELST_BYTES_MAX + 8 ? (size_t)(b->end - b->body)
                                                             : (size_t)ELST_BYTES_MAX + 8;
    int r = walk_read(w, b->body, head, sizeof(head), &got);

    if (r < 0 || got < sizeof(head) || room <= sizeof(head))
        return r;
    int wide = head[0] == 1;
    size_t entry = wide ? 20 : 12, n = AV_RB32(head + 4);
    _cleanup_free_ uint8_t *list = malloc(room);
    struct raw_edit *edits = calloc(EDITS_MAX, sizeof(*edits));
    if (!list || !edits) {
        free(edits);
        return err_set(w->err, -ENOMEM, ERR_RESOURCE, "out of memory for an edit list");
    }
    free(t->edits);
    t->edits = edits;
    t->entries = n;
    t->n_edits = 0;
    r = walk_read(w, b->body + 8, list, room - 8, &got);
    for (; t->n_edits < n && t->n_edits < EDITS_MAX && got >= entry; got -= entry)
        edit_parse(list + t->n_edits * entry, wide, &edits[t->n_edits]), t->n_edits++;
    return r;
}

/* A number of 32 bits behind version, flags and two times: the timescale of mvhd, the id of tkhd.
 */
static int take_number(struct walk *w, const struct box *b, uint32_t *ret)
{
    uint8_t p[24];
    size_t got;
    int r = walk_read(w, b->body, p, sizeof(p), &got);

    if (r == 0 && b->end - b->body >= sizeof(p))
        *ret = AV_RB32(p + (p[0] == 1 ? 20 : 12));
    return r;
}

/* mdhd: the timescale, and behind it the duration, of 32 bits or 64. */
static int take_media(struct walk *w, const struct box *b)
{
    uint8_t p[32];
    size_t got;
    int r = walk_read(w, b->body, p, sizeof(p), &got);

    if (r < 0 || b->end - b->body < 24 || (p[0] == 1 && b->end - b->body < sizeof(p)))
        return r;
    track_of(w)->scale = AV_RB32(p + (p[0] == 1 ? 20 : 12));
    track_of(w)->duration = p[0] == 1 ? AV_RB64(p + 24) : AV_RB32(p + 16);
    return r;
}

static int take_offset(struct walk *w, const struct box *b)
{
    uint8_t p[16];
    size_t got;
    int r = walk_read(w, b->body, p, sizeof(p), &got);

    if (r == 0 && b->end - b->body >= sizeof(p) && AV_RB32(p + 4) > 0)
        track_of(w)->first_offset = (int32_t)AV_RB32(p + 12);
    return r;
}

static int in_track(struct walk *w, const struct box *b)
{
    switch (b->type) {
    case BOX('e', 'd', 't', 's'):
    case BOX('m', 'd', 'i', 'a'):
    case BOX('m', 'i', 'n', 'f'):
    case BOX('s', 't', 'b', 'l'):
        return walk_boxes(w, b->body, b->end, in_track);
    case BOX('t', 'k', 'h', 'd'):
        return take_number(w, b, &track_of(w)->id);
    case BOX('m', 'd', 'h', 'd'):
        return take_media(w, b);
    case BOX('e', 'l', 's', 't'):
        return take_list(w, b);
    case BOX('c', 't', 't', 's'):
        return take_offset(w, b);
    default:
        return 0;
    }
}

static int in_movie(struct walk *w, const struct box *b)
{
    struct edit_tracks *f = w->found;

    if (b->type == BOX('m', 'v', 'e', 'x'))
        f->fragmented = 1;
    if (b->type == BOX('m', 'v', 'h', 'd'))
        return take_number(w, b, &f->scale);
    if (b->type != BOX('t', 'r', 'a', 'k') || f->n_tracks == EDIT_TRACKS_MAX)
        return 0;
    f->n_tracks++;
    return walk_boxes(w, b->body, b->end, in_track);
}

/* The first movie is the one that counts. */
static int in_top(struct walk *w, const struct box *b)
{
    int r = b->type == BOX('m', 'o', 'o', 'v') ? walk_boxes(w, b->body, b->end, in_movie) : 0;

    return r == 0 && b->type == BOX('m', 'o', 'o', 'v') ? 1 : r;
}

int edit_boxes_read(struct inside *in, struct edit_tracks *ret, struct err *err)
{
    struct edit_tracks found = { .tracks = calloc(EDIT_TRACKS_MAX, sizeof(*found.tracks)) };
    struct walk w = { .in = in, .err = err, .found = &found };

    if (!found.tracks)
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory for edit lists");
    int r = walk_boxes(&w, 0, inside_source_size(in), in_top);
    if (r < 0) {
        edit_boxes_release(&found);
        return r;
    }
    *ret = found;
    return 0;
}

void edit_boxes_release(struct edit_tracks *t)
{
    for (size_t i = 0; i < t->n_tracks; i++)
        free(t->tracks[i].edits);
    free(t->tracks);
    memset(t, 0, sizeof(*t));
}
