/* The clean aperture of a track of MP4 or MOV. */
#include "crop.h"

#include "../child/inside.h"
#include "boxes.h"

#include <libavutil/intreadwrite.h>
#include <math.h>

enum {
    ENTRY_BYTES = 78, /* of a sample entry of pictures before its boxes (12.1.3) */
    SIDE_LEAST = 1,
};

struct fraction {
    double v;
    int ok;
};

struct track_picture {
    uint32_t id;
    double shown_width, shown_height; /* of the track's header */
    int width, height;                /* of the pictures */
    struct fraction clap[4];          /* width, height, and how far right and down its middle is */
    int has_clap;
    AVRational pasp;
};

struct aperture_search {
    uint32_t id; /* of the track that is looked for */
    struct track_picture at;
    int described; /* its first sample entry was seen: others are of later pictures */
    int done;
};

static struct fraction fraction_of(const uint8_t *p)
{
    int32_t num = (int32_t)AV_RB32(p), den = (int32_t)AV_RB32(p + 4);

    return (struct fraction){ den ? (double)num / den : 0, den != 0 };
}

static int in_entry(struct boxes_walk *w, const struct media_box *b)
{
    struct track_picture *t = &((struct aperture_search *)w->found)->at;
    uint8_t p[32];
    size_t got;
    int clap = b->type == BOX('c', 'l', 'a', 'p');

    if (!clap && b->type != BOX('p', 'a', 's', 'p'))
        return 0;
    int r = boxes_read(w, b->body, p, clap ? 32 : 8, &got);
    if (r < 0 || b->end - b->body < (clap ? 32 : 8))
        return r;
    for (int i = 0; clap && i < 4; i++)
        t->clap[i] = fraction_of(p + 8 * (ptrdiff_t)i);
    t->has_clap |= clap;
    if (!clap && (int32_t)AV_RB32(p) > 0 && (int32_t)AV_RB32(p + 4) > 0)
        t->pasp = (AVRational){ (int)AV_RB32(p), (int)AV_RB32(p + 4) };
    return 0;
}

static int in_descriptions(struct boxes_walk *w, const struct media_box *b)
{
    struct aperture_search *s = w->found;
    uint8_t p[ENTRY_BYTES];
    size_t got;

    if (s->described || b->end - b->body < ENTRY_BYTES)
        return 0;
    int r = boxes_read(w, b->body, p, sizeof(p), &got);
    s->described = 1;
    s->at.width = AV_RB16(p + 24);
    s->at.height = AV_RB16(p + 26);
    return r < 0 ? r : boxes_walk(w, b->body + ENTRY_BYTES, b->end, in_entry);
}

/* Width and height, of 16.16, are the last fields. */
static int take_header(struct boxes_walk *w, const struct media_box *b)
{
    struct track_picture *t = &((struct aperture_search *)w->found)->at;
    uint8_t p[96];
    size_t got, size;
    int r = boxes_read(w, b->body, p, sizeof(p), &got);

    size = p[0] == 1 ? 96 : 84;
    if (r < 0 || b->end - b->body < size)
        return r;
    t->id = AV_RB32(p + (p[0] == 1 ? 20 : 12));
    t->shown_width = AV_RB32(p + size - 8) / 65536.0;
    t->shown_height = AV_RB32(p + size - 4) / 65536.0;
    return 0;
}

static int in_track(struct boxes_walk *w, const struct media_box *b)
{
    switch (b->type) {
    case BOX('m', 'd', 'i', 'a'):
    case BOX('m', 'i', 'n', 'f'):
    case BOX('s', 't', 'b', 'l'):
        return boxes_walk(w, b->body, b->end, in_track);
    case BOX('t', 'k', 'h', 'd'):
        return take_header(w, b);
    case BOX('s', 't', 's', 'd'):
        return boxes_walk(w, b->body + 8, b->end, in_descriptions);
    default:
        return 0;
    }
}

static int in_movie(struct boxes_walk *w, const struct media_box *b)
{
    struct aperture_search *s = w->found;

    if (b->type != BOX('t', 'r', 'a', 'k'))
        return 0;
    s->at = (struct track_picture){ 0 };
    s->described = 0;
    int r = boxes_walk(w, b->body, b->end, in_track);
    s->done = r == 0 && s->at.id == s->id;
    return r == 0 ? s->done : r;
}

/* The first movie is the one that counts. */
static int in_file(struct boxes_walk *w, const struct media_box *b)
{
    int movie = b->type == BOX('m', 'o', 'o', 'v');
    int r = movie ? boxes_walk(w, b->body, b->end, in_movie) : 0;

    return r == 0 ? movie : r;
}

/* Where no box says what pixels are like, the size that the track is shown in does: that of what
 * is left. Programs also write the whole picture's there, and mean square pixels. */
static AVRational pixels_of(const struct track_picture *t)
{
    double w = t->clap[0].v, h = t->clap[1].v;
    double sar = t->shown_width * h / fmax(t->shown_height * w, 1);

    if (t->pasp.num > 0 || t->shown_width < SIDE_LEAST || t->shown_height < SIDE_LEAST ||
        (lrint(t->shown_width) == t->width && lrint(t->shown_height) == t->height))
        return (AVRational){ 0, 1 };
    if (sar < 0.1 || sar > 10)
        return (AVRational){ 0, 1 };
    return fabs(sar - 1) < 0.02 ? (AVRational){ 1, 1 } : av_d2q(sar, 1000);
}

static void crop_of_clap(const struct track_picture *t, struct crop_found *ret)
{
    const struct fraction *c = t->clap;
    double left = c[2].v + (t->width - c[0].v) / 2, top = c[3].v + (t->height - c[1].v) / 2;

    if (!t->has_clap)
        return;
    for (int i = 0; i < 4; i++)
        if (!c[i].ok) /* nothing can be made of it: a size of nothing is told as such */
            left = top = INFINITY;
    *ret = (struct crop_found){ .has = 1,
                                .width = t->width,
                                .height = t->height,
                                .left = left,
                                .top = top,
                                .right = t->width - c[0].v - left,
                                .bottom = t->height - c[1].v - top,
                                .sar = pixels_of(t) };
    ret->has = fabs(ret->left) > 0 || fabs(ret->top) > 0 || fabs(ret->right) > 0 ||
               fabs(ret->bottom) > 0;
}

int crop_of_boxes(struct inside *in, uint32_t id, struct crop_found *ret, struct err *err)
{
    struct aperture_search search = { .id = id };
    struct boxes_walk w = { .in = in, .err = err, .found = &search };
    int r = boxes_walk(&w, 0, inside_source_size(in), in_file);

    if (r >= 0 && search.done)
        crop_of_clap(&search.at, ret);
    return r < 0 ? r : 0;
}
