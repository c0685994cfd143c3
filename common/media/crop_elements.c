/* Matroska's crop of pictures: elements of a track (RFC 9559, 5.1.4.1.28). */
#include "crop.h"

#include "ebml.h"

#include <libavutil/rational.h>

/* Element IDs (RFC 9559, 5.1.4.1). */
enum {
    EBML_TRACK_TYPE = 0x83,
    EBML_VIDEO = 0xe0,
    EBML_PIXEL_WIDTH = 0xb0,
    EBML_PIXEL_HEIGHT = 0xba,
    EBML_DISPLAY_WIDTH = 0x54b0,
    EBML_DISPLAY_HEIGHT = 0x54ba,
    EBML_DISPLAY_UNIT = 0x54b2,
    EBML_CROP_BOTTOM = 0x54aa,
    EBML_CROP_TOP = 0x54bb,
    EBML_CROP_LEFT = 0x54cc,
    EBML_CROP_RIGHT = 0x54dd,
};

enum {
    VALUE_MAX = 1 << 20,
    TRACK_VIDEO = 1,
    UNIT_PIXELS = 0,
    UNIT_UNKNOWN = 4,
};

struct track_video {
    unsigned type, width, height, display_width, display_height, unit;
    unsigned left, top, right, bottom;
};

struct track_search {
    int before; /* how many tracks of pictures come before the one that is looked for */
    struct track_video at, found;
    int has;
};

/* The elements of a track have been seen. */
static void end_track(struct track_search *s)
{
    if (s->at.type == TRACK_VIDEO && !s->has && s->before-- == 0) {
        s->found = s->at;
        s->has = 1;
    }
    s->at = (struct track_video){ 0 };
}

static int take_value(const struct ebml_visitor *v, const struct ebml_element *e, unsigned *ret)
{
    uint64_t n = 0;
    int r = ebml_unsigned(v, e, &n);

    *ret = n <= VALUE_MAX ? (unsigned)n : VALUE_MAX;
    return r;
}

static int see_element(const struct ebml_visitor *v, const struct ebml_element *e)
{
    struct track_search *s = v->arg;
    struct track_video *t = &s->at;
    const struct {
        uint32_t id;
        unsigned *value;
    } values[] = {
        {EBML_TRACK_TYPE,      &t->type          },
        { EBML_PIXEL_WIDTH,    &t->width         },
        { EBML_PIXEL_HEIGHT,   &t->height        },
        { EBML_DISPLAY_WIDTH,  &t->display_width },
        { EBML_DISPLAY_HEIGHT, &t->display_height},
        { EBML_DISPLAY_UNIT,   &t->unit          },
        { EBML_CROP_LEFT,      &t->left          },
        { EBML_CROP_TOP,       &t->top           },
        { EBML_CROP_RIGHT,     &t->right         },
        { EBML_CROP_BOTTOM,    &t->bottom        },
    };

    if (e->id == EBML_TRACK)
        end_track(s);
    for (size_t i = 0; i < sizeof(values) / sizeof(*values); i++)
        if (values[i].id == e->id)
            return take_value(v, e, values[i].value);
    return e->id == EBML_VIDEO;
}

/* What one pixel is like if `w` x `h` of them are shown as `dw` x `dh`. */
static AVRational pixels_for(int64_t w, int64_t h, int64_t dw, int64_t dh)
{
    AVRational sar = { 1, 1 };

    if (dw > 0 && dh > 0)
        (void)av_reduce(&sar.num, &sar.den, dw * h, dh * w, 1 << 16);
    double q = sar.num > 0 && sar.den > 0 ? av_q2d(sar) : 0;
    return q < 0.1 || q > 10 ? (AVRational){ 1, 1 } : sar;
}

/* DisplayWidth and DisplayHeight are of what is left (5.1.4.1.28.12): pixels, or a shape in
 * another unit; without them, pixels are square. But mkvmerge keeps those of the whole picture, and
 * so have most files (mpv-player/mpv#13446). Of a side that is cropped, its size tells. */
static void take_pixels(const struct track_video *t, struct crop_found *ret)
{
    int64_t w = (int64_t)t->width - t->left - t->right, h = (int64_t)t->height - t->top - t->bottom;
    int64_t dw = t->display_width, dh = t->display_height;

    if (w <= 0 || h <= 0 || t->unit >= UNIT_UNKNOWN)
        return;
    if (t->unit == UNIT_PIXELS) {
        dw = dw ? dw : w;
        dh = dh ? dh : h;
    }
    AVRational left = pixels_for(w, h, dw, dh), whole = pixels_for(t->width, t->height, dw, dh);
    int is_left = (w < t->width && dw == w) || (h < t->height && dh == h);
    int is_whole = (w < t->width && dw == t->width) || (h < t->height && dh == t->height);
    if (t->unit != UNIT_PIXELS || is_left)
        ret->sar = left;
    else if (is_whole)
        ret->sar = whole;
    else {
        ret->sar = whole;
        ret->sar_or = left;
    }
}

int crop_of_elements(struct inside *in, int number, struct crop_found *ret, struct err *err)
{
    struct track_search s = { .before = number };
    struct ebml_visitor v = { .in = in, .err = err, .arg = &s, .see = see_element };
    int r = ebml_walk(&v);
    const struct track_video *t = &s.found;

    end_track(&s);
    if (r < 0 || !s.has || (!t->left && !t->top && !t->right && !t->bottom))
        return r;
    *ret = (struct crop_found){ .has = 1,
                                .width = (int)t->width,
                                .height = (int)t->height,
                                .left = t->left,
                                .top = t->top,
                                .right = t->right,
                                .bottom = t->bottom };
    take_pixels(t, ret);
    return 0;
}
