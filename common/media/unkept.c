#include "unkept.h"

#include "../base/err.h"
#include "../child/inside.h"
#include "open.h"
#include "probe.h"

#include <errno.h>
#include <libavutil/spherical.h>
#include <libavutil/stereo3d.h>
#include <string.h>

/* Element IDs of Matroska (RFC 9559, 5.1). */
enum {
    EBML_SEGMENT = 0x18538067,
    EBML_CLUSTER = 0x1f43b675,
    EBML_TRACKS = 0x1654ae6b,
    EBML_TRACK = 0xae,
    EBML_VIDEO = 0xe0,
    EBML_CROP_BOTTOM = 0x54aa,
    EBML_CROP_TOP = 0x54bb,
    EBML_CROP_LEFT = 0x54cc,
    EBML_CROP_RIGHT = 0x54dd,
};

enum { ELEMENTS_MAX = 4096, DEPTH_MAX = 8, PIXELS_MAX = 65535 };

struct crop {
    unsigned left, top, right, bottom;
};

struct ebml_walk {
    struct inside *in;
    struct err *err;
    struct crop *crop;
    unsigned looked, depth;
    int done; /* pictures begin: no more to see */
};

struct element {
    uint32_t id;
    uint64_t body, end; /* byte offsets */
};

/* A number of 1 to 8 bytes whose first byte tells how many (RFC 8794, 4). 0: it isn't one. */
static size_t vint(const uint8_t *p, size_t n, int keep_marker, uint64_t *ret)
{
    size_t length = 1;
    uint64_t v;

    while (n > 0 && length <= 8 && !(p[0] & 0x80 >> (length - 1)))
        length++;
    if (n == 0 || length > 8 || length > n)
        return 0;
    v = keep_marker ? p[0] : p[0] & ((0x80u >> (length - 1)) - 1u);
    for (size_t i = 1; i < length; i++)
        v = v << 8 | p[i];
    *ret = v;
    return length;
}

/* 1; 0: there is none at `at`. */
static int element_at(struct ebml_walk *w, uint64_t at, uint64_t end, struct element *ret)
{
    uint8_t head[12] = { 0 };
    uint64_t id = 0, size = 0;
    size_t got = 0;

    if (at >= end || ++w->looked > ELEMENTS_MAX)
        return 0;
    int r = inside_read(w->in, at, head, sizeof(head), &got, w->err);
    if (r < 0)
        return r;
    size_t a = vint(head, got, 1, &id), b = a ? vint(head + a, got - a, 0, &size) : 0;
    if (a == 0 || a > 4 || b == 0)
        return 0;
    uint64_t body = at + a + b;
    int unknown = size == (UINT64_C(1) << 7 * b) - 1; /* to the end: a live recording */
    if (body > end)
        return 0;
    if (unknown || size > end - body)
        size = end - body;
    *ret = (struct element){ (uint32_t)id, body, body + size };
    return 1;
}

static int crop_value(struct ebml_walk *w, const struct element *e, unsigned *ret)
{
    uint8_t p[8] = { 0 };
    size_t n = (size_t)(e->end - e->body), got = 0;
    uint64_t v = 0;

    if (n > sizeof(p))
        return 0;
    int r = inside_read(w->in, e->body, p, n, &got, w->err);
    for (size_t i = 0; i < got; i++)
        v = v << 8 | p[i];
    *ret = v <= PIXELS_MAX ? (unsigned)v : 0;
    return r;
}

static int walk_elements(struct ebml_walk *w, uint64_t at, uint64_t end);

static int see_element(struct ebml_walk *w, const struct element *e)
{
    switch (e->id) {
    case EBML_SEGMENT:
    case EBML_TRACKS:
    case EBML_TRACK:
    case EBML_VIDEO:
        return walk_elements(w, e->body, e->end);
    case EBML_CLUSTER:
        w->done = 1;
        return 0;
    case EBML_CROP_LEFT:
        return crop_value(w, e, &w->crop->left);
    case EBML_CROP_TOP:
        return crop_value(w, e, &w->crop->top);
    case EBML_CROP_RIGHT:
        return crop_value(w, e, &w->crop->right);
    case EBML_CROP_BOTTOM:
        return crop_value(w, e, &w->crop->bottom);
    default:
        return 0;
    }
}

static int walk_elements(struct ebml_walk *w, uint64_t at, uint64_t end)
{
    struct element e;
    int r = 0;

    if (w->depth == DEPTH_MAX)
        return 0;
    w->depth++;
    while (!w->done && (r = element_at(w, at, end, &e)) > 0) {
        r = see_element(w, &e);
        if (r < 0)
            break;
        at = e.end;
    }
    w->depth--;
    return r < 0 ? r : 0;
}

static int tell_crop(struct inside *in, const struct media_source *s, struct media_info *i,
                     struct err *err)
{
    struct crop c = { 0 };
    struct ebml_walk w = { .in = in, .err = err, .crop = &c };

    if (strncmp(s->fmt->iformat->name, "matroska", 8) != 0)
        return 0;
    int r = walk_elements(&w, 0, inside_source_size(in));
    if (r < 0 || (!c.left && !c.top && !c.right && !c.bottom))
        return r;
    return probe_warn(i,
                      "the source asks players to crop its pictures (left %u, top %u, right %u, "
                      "bottom %u pixels); they are kept whole",
                      c.left, c.top, c.right, c.bottom);
}

static const char *what_of(const AVStream *st)
{
    if (av_stream_get_side_data(st, AV_PKT_DATA_SPHERICAL, NULL))
        return "spherical: players show them flat";
    size_t n = 0;
    const AVStereo3D *views = (const void *)av_stream_get_side_data(st, AV_PKT_DATA_STEREO3D, &n);

    if (views && n >= sizeof(*views) && views->type != AV_STEREO3D_2D)
        return "of two views: players show both as one";
    return NULL;
}

int unkept_tell(struct inside *in, const struct media_source *s, struct media_info *i,
                struct err *err)
{
    int r = 0;

    if (i->video.stream < 0)
        return 0;
    const char *what = what_of(s->fmt->streams[i->video.stream]);
    if (what)
        r = probe_warn(i, "the pictures are %s, for the package doesn't say so", what);
    if (r == 0)
        r = tell_crop(in, s, i, err);
    return r == -ENOMEM ? err_set(err, r, ERR_RESOURCE, "out of memory while probing") : r;
}
