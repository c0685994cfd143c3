#include "edit_boxes.h"

#include "../base/cleanup.h"
#include "../base/err.h"
#include "../child/inside.h"
#include "../wire/media_info.h"
#include "boxes.h"

#include <errno.h>
#include <libavutil/intreadwrite.h>
#include <stdlib.h>
#include <string.h>

enum {
    ELST_BYTES_MAX = 20 * EDITS_MAX,
};

static struct edit_track *track_of(struct boxes_walk *w)
{
    struct edit_tracks *found = w->found;

    return &found->tracks[found->n_tracks - 1];
}

static void edit_parse(const uint8_t *p, int wide, struct raw_edit *ret)
{
    ret->length = wide ? AV_RB64(p) : AV_RB32(p);
    ret->media = wide ? (int64_t)AV_RB64(p + 8) : (int32_t)AV_RB32(p + 4);
    ret->rate = (int32_t)AV_RB32(p + (wide ? 16 : 8));
}

/* The last list counts, where a damaged track has two: that is libavformat's. */
static int take_list(struct boxes_walk *w, const struct media_box *b)
{
    struct edit_track *t = track_of(w);
    uint8_t head[8];
    size_t got, room = b->end - b->body < ELST_BYTES_MAX + 8 ? (size_t)(b->end - b->body)
                                                             : (size_t)ELST_BYTES_MAX + 8;
    int r = boxes_read(w, b->body, head, sizeof(head), &got);

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
    r = boxes_read(w, b->body + 8, list, room - 8, &got);
    for (; t->n_edits < n && t->n_edits < EDITS_MAX && got >= entry; got -= entry)
        edit_parse(list + t->n_edits * entry, wide, &edits[t->n_edits]), t->n_edits++;
    return r;
}

/* A number of 32 bits behind version, flags and two times: the timescale of mvhd, the id of tkhd.
 */
static int take_number(struct boxes_walk *w, const struct media_box *b, uint32_t *ret)
{
    uint8_t p[24];
    size_t got;
    int r = boxes_read(w, b->body, p, sizeof(p), &got);

    if (r == 0 && b->end - b->body >= sizeof(p))
        *ret = AV_RB32(p + (p[0] == 1 ? 20 : 12));
    return r;
}

/* mdhd: the timescale, and behind it the duration, of 32 bits or 64. */
static int take_media(struct boxes_walk *w, const struct media_box *b)
{
    uint8_t p[32];
    size_t got;
    int r = boxes_read(w, b->body, p, sizeof(p), &got);

    if (r < 0 || b->end - b->body < 24 || (p[0] == 1 && b->end - b->body < sizeof(p)))
        return r;
    track_of(w)->scale = AV_RB32(p + (p[0] == 1 ? 20 : 12));
    track_of(w)->duration = p[0] == 1 ? AV_RB64(p + 24) : AV_RB32(p + 16);
    return r;
}

static int take_offset(struct boxes_walk *w, const struct media_box *b)
{
    uint8_t p[16];
    size_t got;
    int r = boxes_read(w, b->body, p, sizeof(p), &got);

    if (r == 0 && b->end - b->body >= sizeof(p) && AV_RB32(p + 4) > 0)
        track_of(w)->first_offset = (int32_t)AV_RB32(p + 12);
    return r;
}

static int in_track(struct boxes_walk *w, const struct media_box *b)
{
    switch (b->type) {
    case BOX('e', 'd', 't', 's'):
    case BOX('m', 'd', 'i', 'a'):
    case BOX('m', 'i', 'n', 'f'):
    case BOX('s', 't', 'b', 'l'):
        return boxes_walk(w, b->body, b->end, in_track);
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

static int in_movie(struct boxes_walk *w, const struct media_box *b)
{
    struct edit_tracks *f = w->found;

    if (b->type == BOX('m', 'v', 'e', 'x'))
        f->fragmented = 1;
    if (b->type == BOX('m', 'v', 'h', 'd'))
        return take_number(w, b, &f->scale);
    if (b->type != BOX('t', 'r', 'a', 'k') || f->n_tracks == EDIT_TRACKS_MAX)
        return 0;
    f->n_tracks++;
    return boxes_walk(w, b->body, b->end, in_track);
}

/* The first movie is the one that counts. */
static int in_top(struct boxes_walk *w, const struct media_box *b)
{
    int r = b->type == BOX('m', 'o', 'o', 'v') ? boxes_walk(w, b->body, b->end, in_movie) : 0;

    return r == 0 && b->type == BOX('m', 'o', 'o', 'v') ? 1 : r;
}

int edit_boxes_read(struct inside *in, struct edit_tracks *ret, struct err *err)
{
    struct edit_tracks found = { .tracks = calloc(EDIT_TRACKS_MAX, sizeof(*found.tracks)) };
    struct boxes_walk w = { .in = in, .err = err, .found = &found };

    if (!found.tracks)
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory for edit lists");
    int r = boxes_walk(&w, 0, inside_source_size(in), in_top);
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
