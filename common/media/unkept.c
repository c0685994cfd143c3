#include "unkept.h"

#include "../base/err.h"
#include "../child/inside.h"
#include "ebml.h"
#include "open.h"
#include "probe.h"

#include <errno.h>
#include <libavutil/spherical.h>
#include <libavutil/stereo3d.h>
#include <string.h>

/* Element IDs of Matroska (RFC 9559, 5.1.4.1.28). */
enum {
    EBML_VIDEO = 0xe0,
    EBML_CROP_BOTTOM = 0x54aa,
    EBML_CROP_TOP = 0x54bb,
    EBML_CROP_LEFT = 0x54cc,
    EBML_CROP_RIGHT = 0x54dd,
};

enum { PIXELS_MAX = 65535 };

struct crop {
    unsigned left, top, right, bottom;
};

static int crop_value(const struct ebml_visitor *v, const struct ebml_element *e, unsigned *ret)
{
    uint64_t n = 0;
    int r = ebml_unsigned(v, e, &n);

    *ret = n <= PIXELS_MAX ? (unsigned)n : 0;
    return r;
}

static int crop_see(const struct ebml_visitor *v, const struct ebml_element *e)
{
    struct crop *c = v->arg;

    switch (e->id) {
    case EBML_VIDEO:
        return 1;
    case EBML_CROP_LEFT:
        return crop_value(v, e, &c->left);
    case EBML_CROP_TOP:
        return crop_value(v, e, &c->top);
    case EBML_CROP_RIGHT:
        return crop_value(v, e, &c->right);
    case EBML_CROP_BOTTOM:
        return crop_value(v, e, &c->bottom);
    default:
        return 0;
    }
}

static int tell_crop(struct inside *in, const struct media_source *s, struct media_info *i,
                     struct err *err)
{
    struct crop c = { 0 };
    struct ebml_visitor v = { .in = in, .err = err, .arg = &c, .see = crop_see };

    if (strncmp(s->fmt->iformat->name, "matroska", 8) != 0)
        return 0;
    int r = ebml_walk(&v);
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
