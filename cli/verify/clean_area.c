#include "clean_area.h"

#include <libavutil/frame.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "bmff.h"
#include "common/base/cleanup.h"
#include "cursor.h"
#include "edit_list.h"

enum { HEAD_BYTES = 1 << 20, DEPTH_MAX = 6, ENTRY_BYTES = 78 };

/* How much a container may be off, which counts whole blocks, or not. */
#define BLOCK 64

/* ---- both ---- */

static int is_possible(const struct clean_area *a)
{
    return a->left > -1 && a->top > -1 && a->right > -1 && a->bottom > -1 &&
           a->left + a->right <= a->width - 2 && a->top + a->bottom <= a->height - 2;
}

static size_t cut(double by, int step)
{
    return by > 0 ? (size_t)(by + 1e-4) / (size_t)step * (size_t)step : 0;
}

struct AVFrame *clean_area_of(const struct clean_area *a, const struct AVFrame *f)
{
    AVFrame *view = av_frame_clone(f);
    double wider = f->width - a->width, higher = f->height - a->height;
    if (!view || a->width <= 0 || fabs(wider) >= BLOCK || fabs(higher) >= BLOCK)
        return view;
    /* Fields stay what they are. */
    view->crop_left = cut(a->left, 2);
    view->crop_top = cut(a->top, f->interlaced_frame ? 4 : 2);
    view->crop_right = cut(a->right + wider, 2);
    view->crop_bottom = cut(a->bottom + higher, 2);
    (void)av_frame_apply_cropping(view, AV_FRAME_CROP_UNALIGNED);
    return view;
}

/* ---- boxes ---- */

static int child_of(const uint8_t *base, const struct box *in, uint32_t type, size_t skip,
                    struct box *ret)
{
    struct box_iter it = box_children(base, in, skip);
    while (box_next(&it, ret, NULL) > 0)
        if (!type || ret->type == type)
            return 1;
    return 0;
}

static double fraction(struct cursor *c)
{
    int32_t num = (int32_t)cursor_u32(c), den = (int32_t)cursor_u32(c);
    return den ? (double)num / den : NAN;
}

static void entry_read(const uint8_t *base, const struct box *entry, struct clean_area *ret)
{
    struct cursor c = cursor_of(entry->body, entry->len);
    struct box clap;
    cursor_skip(&c, 24);
    struct clean_area a = { .width = cursor_u16(&c), .height = cursor_u16(&c) };
    if (!child_of(base, entry, FOURCC('c', 'l', 'a', 'p'), ENTRY_BYTES, &clap))
        return;
    c = cursor_of(clap.body, clap.len);
    double width = fraction(&c), height = fraction(&c), right = fraction(&c), down = fraction(&c);
    a.left = (a.width - width) / 2 + right;
    a.right = (a.width - width) / 2 - right;
    a.top = (a.height - height) / 2 + down;
    a.bottom = (a.height - height) / 2 - down;
    if (!c.bad && is_possible(&a))
        *ret = a;
}

static uint32_t track_id(const struct box *tkhd)
{
    struct cursor c = cursor_of(tkhd->body, tkhd->len);
    cursor_skip(&c, cursor_u8(&c) == 1 ? 3 + 16 : 3 + 8);
    return cursor_u32(&c);
}

void clean_area_moov(const uint8_t *buf, size_t len, uint32_t id, struct clean_area *ret)
{
    struct box moov = { .body = buf, .len = len, .size = len }, trak, b, stsd;
    struct box_iter it = box_children(buf, &moov, 0);
    while (box_next(&it, &trak, NULL) > 0)
        if (trak.type == FOURCC('t', 'r', 'a', 'k') &&
            child_of(buf, &trak, FOURCC('t', 'k', 'h', 'd'), 0, &b) && track_id(&b) == id &&
            child_of(buf, &trak, FOURCC('m', 'd', 'i', 'a'), 0, &b) &&
            child_of(buf, &b, FOURCC('m', 'i', 'n', 'f'), 0, &b) &&
            child_of(buf, &b, FOURCC('s', 't', 'b', 'l'), 0, &b) &&
            child_of(buf, &b, FOURCC('s', 't', 's', 'd'), 0, &stsd) &&
            child_of(buf, &stsd, 0, 8, &b))
            entry_read(buf, &b, ret);
}

void clean_area_iso(const char *path, uint32_t id, struct clean_area *ret)
{
    size_t len = 0;
    _cleanup_free_ uint8_t *moov = moov_of_file(path, &len);
    if (moov)
        clean_area_moov(moov, len, id, ret);
}

/* ---- elements ---- */

enum {
    SEGMENT = 0x18538067,
    TRACKS = 0x1654ae6b,
    TRACK = 0xae,
    TYPE = 0x83,
    VIDEO = 0xe0,
    WIDTH = 0xb0,
    HEIGHT = 0xba,
    BOTTOM = 0x54aa,
    TOP = 0x54bb,
    LEFT = 0x54cc,
    RIGHT = 0x54dd,
    CLUSTER = 0x1f43b675,
};

struct elements {
    unsigned left; /* tracks of pictures before the one that is asked for */
    unsigned type;
    int over;
    struct clean_area at, *ret;
};

/* RFC 8794, 4: as many bytes as the first one has leading zeros, and one. */
static uint64_t number(struct cursor *c, int with_marker)
{
    unsigned more = 0;
    uint64_t first = cursor_u8(c);
    while (more < 8 && !(first & 0x80 >> more))
        more++;
    if (more == 8) {
        c->bad = 1;
        return 0;
    }
    uint64_t v = with_marker ? first : first & ((0x80 >> more) - 1);
    int open = !with_marker && v == (uint64_t)((0x80 >> more) - 1);
    uint64_t rest = cursor_get(c, more);
    if (open && rest == (UINT64_C(1) << 8 * more) - 1)
        return UINT64_MAX; /* a size that isn't known */
    return v << 8 * more | rest;
}

static double *value_of(struct elements *e, uint64_t id)
{
    switch (id) {
    case WIDTH:
        return &e->at.width;
    case HEIGHT:
        return &e->at.height;
    case LEFT:
        return &e->at.left;
    case TOP:
        return &e->at.top;
    case RIGHT:
        return &e->at.right;
    case BOTTOM:
        return &e->at.bottom;
    default:
        return NULL;
    }
}

static void track_end(struct elements *e)
{
    if (e->type != 1 || e->over)
        return;
    e->over = e->left-- == 0;
    if (e->over && is_possible(&e->at))
        *e->ret = e->at;
}

static void walk(struct elements *e, struct cursor c, int depth)
{
    while (!e->over && depth < DEPTH_MAX && cursor_left(&c) > 0) {
        uint64_t id = number(&c, 1), size = number(&c, 0);
        if (c.bad)
            return;
        size_t len = size < cursor_left(&c) ? (size_t)size : cursor_left(&c);
        struct cursor in = cursor_of(c.p, len);
        double *value = value_of(e, id);
        if (id == TRACK)
            e->at = (struct clean_area){ 0 }, e->type = 0;
        if (id == SEGMENT || id == TRACKS || id == TRACK || id == VIDEO)
            walk(e, in, depth + 1);
        if (id == TRACK)
            track_end(e);
        if (id == CLUSTER)
            e->over = 1;
        if (id == TYPE && len <= 8)
            e->type = (unsigned)cursor_get(&in, (unsigned)len);
        if (value && len <= 8)
            *value = (double)cursor_get(&in, (unsigned)len);
        cursor_skip(&c, len);
    }
}

void clean_area_elements(const uint8_t *buf, size_t len, unsigned track, struct clean_area *ret)
{
    struct elements e = { .left = track, .ret = ret };
    walk(&e, cursor_of(buf, len), 0);
}

void clean_area_matroska(const char *path, unsigned track, struct clean_area *ret)
{
    _cleanup_free_ uint8_t *buf = malloc(HEAD_BYTES);
    FILE *f = fopen(path, "rb");
    if (f && buf)
        clean_area_elements(buf, fread(buf, 1, HEAD_BYTES, f), track, ret);
    if (f)
        (void)fclose(f);
}
