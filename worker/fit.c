#include "fit.h"

#include "../common/media/turn.h"

#include <libavutil/macros.h>
#include <libavutil/pixdesc.h>
#include <math.h>
#include <string.h>

enum { MACROBLOCK = 16 };

static int tells_pixels(const struct media_info *src)
{
    return strcmp(src->container, "mpegts") == 0 || strcmp(src->container, "mpeg") == 0;
}

static int is_sane(AVRational sar)
{
    return sar.num > 0 && sar.den > 0 && sar.num < 100 * (int64_t)sar.den &&
           sar.den < 100 * (int64_t)sar.num;
}

static AVRational sane(AVRational sar)
{
    return is_sane(sar) ? sar : (AVRational){ 1, 1 };
}

/* The same number of pixels, but for the rest of the last macroblock. */
static int is_side(int a, int b)
{
    int less = a < b ? a : b, more = a < b ? b : a;

    return less == more || FFALIGN(less, MACROBLOCK) == more;
}

/* What is cut off on the right and below goes with the frame's size. */
static void cut(const struct video_info *v, struct fit_shape *s)
{
    const struct crop_info *c = &v->crop;

    if (s->width == v->width && s->height == v->height) /* cropped already */
        return;
    if (!crop_is_any(c) || !is_side(s->frame_width, v->width + c->left + c->right) ||
        !is_side(s->frame_height, v->height + c->top + c->bottom))
        return;
    s->left = c->left;
    s->top = c->top;
    s->width = FFMIN(v->width, s->frame_width - c->left);
    s->height = FFMIN(v->height, s->frame_height - c->top);
}

struct fit_shape fit_shape_of(const struct media_info *src, const AVFrame *f, int lines)
{
    const struct video_info *v = &src->video;
    int width = f->width, height = f->height * lines;
    struct fit_shape s = { .frame_width = width,
                           .frame_height = height,
                           .lines = lines,
                           .width = width,
                           .height = height,
                           .sar = sane(v->sar) };

    if (tells_pixels(src) && is_sane(f->sample_aspect_ratio))
        s.sar = f->sample_aspect_ratio;
    cut(v, &s);
    turn_of_frame(v, f, &s.rotation, &s.hflip);
    return s;
}

int fit_same(const struct fit_shape *a, const struct fit_shape *b)
{
    return a->frame_width == b->frame_width && a->frame_height == b->frame_height &&
           a->lines == b->lines && a->left == b->left && a->top == b->top && a->width == b->width &&
           a->height == b->height && av_cmp_q(a->sar, b->sar) == 0 && a->rotation == b->rotation &&
           a->hflip == b->hflip;
}

static int is_across(int rotation)
{
    return rotation == 90 || rotation == 270;
}

/* The plan's shape, turned so that it is upright when it is turned as the picture is. */
static struct fit_shape box_for(const struct video_info *v, const struct fit_shape *s)
{
    AVRational sar = sane(v->sar);

    if (is_across(v->rotation) == is_across(s->rotation))
        return (struct fit_shape){ .width = v->width, .height = v->height, .sar = sar };
    return (struct fit_shape){ .width = v->height, .height = v->width, .sar = av_inv_q(sar) };
}

static int is_shape(const struct fit_shape *box, const struct fit_shape *s)
{
    return is_side(box->width, s->width) && is_side(box->height, s->height) &&
           av_cmp_q(box->sar, s->sar) == 0;
}

int fit_is_other(const struct video_info *v, const struct fit_shape *s)
{
    const struct fit_shape box = box_for(v, s);

    return !is_shape(&box, s) || s->rotation != v->rotation || s->hflip != v->hflip;
}

/* Even, so that chroma isn't cut; at most the box's side. */
static int side(double v, int most)
{
    int n = 2 * (int)lround(v / 2);

    if (n > most)
        n = most & ~1;
    return n < 2 ? FFMIN(2, most) : n;
}

static void write_fit(FILE *f, const struct fit_shape *box, const struct fit_shape *s)
{
    double width = box->width * av_q2d(box->sar), shown = s->width * av_q2d(s->sar);
    double by = fmin(width / shown, (double)box->height / s->height);

    fprintf(f, "scale=w=%d:h=%d:flags=bicubic,", side(shown * by / av_q2d(box->sar), box->width),
            side(s->height * by, box->height));
    fprintf(f, "pad=w=%d:h=%d:x=(ow-iw)/2:y=(oh-ih)/2:color=black,", box->width, box->height);
}

/* Pixel for pixel. */
static void write_rest(FILE *f, const struct fit_shape *box, const struct fit_shape *s)
{
    if (box->width < s->width || box->height < s->height)
        fprintf(f, "crop=w=%d:h=%d:x=0:y=0,", FFMIN(box->width, s->width),
                FFMIN(box->height, s->height));
    if (box->width > s->width || box->height > s->height)
        fprintf(f, "pad=w=%d:h=%d:color=black,", box->width, box->height);
}

static void write_turn(FILE *f, const struct fit_shape *s)
{
    if (s->rotation == 90)
        fputs("transpose=dir=clock,", f);
    if (s->rotation == 180)
        fputs("hflip,vflip,", f);
    if (s->rotation == 270)
        fputs("transpose=dir=cclock,", f);
    if (s->hflip)
        fputs("hflip,", f);
}

/* The filter's black is that of limited range, except where a format's name says "full". */
static int knows_black(int format)
{
    const AVPixFmtDescriptor *d = av_pix_fmt_desc_get(format);

    return d && (d->flags & AV_PIX_FMT_FLAG_RGB || strncmp(d->name, "yuvj", 4) == 0);
}

int fit_write(FILE *f, const struct video_info *v, const struct fit_shape *s, int format, int range)
{
    const struct fit_shape box = box_for(v, s);
    int full = 0;

    if (s->width != s->frame_width || s->height != s->frame_height)
        fprintf(f, "crop=w=%d:h=%d:x=%d:y=%d,", s->width, s->height / s->lines, s->left,
                s->top / s->lines);
    if (box.width != s->width || box.height != s->height || av_cmp_q(box.sar, s->sar) != 0) {
        full = range == AVCOL_RANGE_JPEG && !knows_black(format);
        if (full)
            fputs("scale=in_range=full:out_range=limited,", f);
        if (is_shape(&box, s) && s->lines == 1)
            write_rest(f, &box, s);
        else
            write_fit(f, &box, s);
    }
    write_turn(f, s);
    return full;
}
