#include "picture.h"

#include <libavutil/pixfmt.h>
#include <math.h>
#include <stdio.h>

#include "encoder.h"

/* ---- size ---- */

/* A ratio far from 1 is a broken header, not an anamorphic lens. */
static double sane_sar(AVRational sar)
{
    double s = sar.num > 0 && sar.den > 0 ? av_q2d(sar) : 1;
    return s >= 0.1 && s <= 10 ? s : 1;
}

struct picture picture_of(const struct video_info *v)
{
    struct picture p = { v->width * sane_sar(v->sar), v->height };
    if (v->rotation == 90 || v->rotation == 270)
        p = (struct picture){ p.height, p.width };
    return p;
}

/* To the nearest even number, down where two are as near: a whole number
 * that is odd never grows. */
static int even(double v)
{
    double half = ceil(v / 2 - 0.5);
    return half < 1 ? 2 : (int)half * 2;
}

static double shorter(struct picture p)
{
    return p.width < p.height ? p.width : p.height;
}

static double longer(struct picture p)
{
    return p.width < p.height ? p.height : p.width;
}

double picture_fit(struct picture p, int size)
{
    double by_long = even(size * 16.0 / 9) / longer(p), by_short = size / shorter(p);
    return by_long < by_short ? by_long : by_short;
}

/* What no encoder input may be below: grow with the aspect kept if the box
 * allows, else stretch and say so in the sample aspect ratio. */
static void grow_to(int least, struct picture p, int size, struct rendition *r)
{
    double up = least / shorter(p);
    if (longer(p) * up <= size * 16.0 / 9) {
        r->width = even(p.width * up);
        r->height = even(p.height * up);
    }
    r->width = r->width < least ? least : r->width;
    r->height = r->height < least ? least : r->height;
    double sar = p.width / p.height * r->height / r->width;
    /* A hair of a picture is shown wider than it is: players take no other for sane. */
    sar = sar < 0.1 ? 0.1 : sar > 10 ? 10 : sar;
    if (fabs(sar - 1) > 0.1)
        r->sar = av_d2q(sar, 1000);
}

void picture_size(struct picture p, const struct rung *g, struct rendition *r)
{
    double scale = picture_fit(p, g->size);
    if (scale > 1)
        scale = 1;
    r->width = even(p.width * scale);
    r->height = even(p.height * scale);
    r->sar = (AVRational){ 1, 1 };
    if (r->width < g->encoder->min_size || r->height < g->encoder->min_size)
        grow_to(g->encoder->min_size, p, g->size, r);
}

/* ---- frame rate ---- */

static int64_t divisor(AVRational rate, AVRational cap)
{
    double d = ceil(av_q2d(rate) / av_q2d(cap) - 0.001);
    return d < 1 ? 1 : d > 10000 ? 10000 : (int64_t)d;
}

static AVRational ratio(int64_t num, int64_t den)
{
    AVRational r;
    (void)av_reduce(&r.num, &r.den, num, den, INT32_MAX);
    return r;
}

void picture_rate(const struct video_info *v, AVRational cap, struct rendition *r)
{
    int known = v->rate.num > 0 && v->rate.den > 0;
    r->grid = (struct frame_grid){
        {0,  1},
        { 0, 1}
    };
    r->rate = known ? v->rate : cap;
    if (known && av_q2d(v->rate) <= av_q2d(cap) * 1.001)
        return;
    if (!known || v->vfr) {
        r->grid.period = av_inv_q(cap);
        r->rate = cap;
        return;
    }
    int64_t d = divisor(v->rate, cap);
    r->grid.period = ratio(v->rate.den * d, v->rate.num);
    r->grid.phase = ratio(v->rate.den, v->rate.num * INT64_C(2));
    r->rate = av_inv_q(r->grid.period);
}

/* ---- colour ---- */

static int given(int code)
{
    return code != 0 && code != AVCOL_PRI_UNSPECIFIED; /* 2 in all three tables */
}

/* Y'CbCr matrices that the scaler knows; others, and RGB, are converted. */
static int matrix_kept(int m)
{
    return m == AVCOL_SPC_BT709 || m == AVCOL_SPC_FCC || m == AVCOL_SPC_BT470BG ||
           m == AVCOL_SPC_SMPTE170M || m == AVCOL_SPC_SMPTE240M || m == AVCOL_SPC_BT2020_NCL;
}

/* What players take an untagged picture for. The code points of the three
 * tables agree for these systems, except that 625 lines share a transfer. */
static int guess_system(const struct video_info *v, struct picture p)
{
    if (v->color.matrix == AVCOL_SPC_RGB || shorter(p) >= 720)
        return AVCOL_PRI_BT709;
    int rate = v->rate.den > 0 ? v->rate.num / v->rate.den : 0;
    int pal = v->height == 576 || v->height == 288 || (v->height != 480 && rate == 25);
    return pal ? AVCOL_PRI_BT470BG : AVCOL_PRI_SMPTE170M;
}

static struct color_info sdr_color(const struct video_info *v, struct picture p)
{
    struct color_info c = v->color;
    int guess = given(c.primaries) && given(c.matrix) && matrix_kept(c.matrix) ? c.primaries
                                                                               : guess_system(v, p);
    int known = given(c.matrix) && matrix_kept(c.matrix);
    if (!given(c.primaries))
        c.primaries = known && c.matrix <= AVCOL_SPC_SMPTE170M ? c.matrix : guess;
    if (!known)
        c.matrix = guess;
    if (!given(c.transfer))
        c.transfer = c.matrix == AVCOL_SPC_BT709 || c.matrix == AVCOL_SPC_BT2020_NCL
                         ? AVCOL_TRC_BT709
                         : AVCOL_TRC_SMPTE170M;
    return c;
}

static struct color_info hdr_color(const struct video_info *v)
{
    struct color_info c = v->color;
    if (!given(c.primaries))
        c.primaries = AVCOL_PRI_BT2020;
    if (!given(c.matrix) || !matrix_kept(c.matrix))
        c.matrix = AVCOL_SPC_BT2020_NCL;
    return c;
}

void picture_color(const struct video_info *v, struct picture p, const struct rung *g,
                   struct rendition *r)
{
    int hdr = color_is_hdr(&v->color), keep = hdr && g->range != RUNG_SDR;
    if (keep)
        r->color = hdr_color(v);
    else if (hdr)
        r->color = (struct color_info){ AVCOL_PRI_BT709, AVCOL_TRC_BT709, AVCOL_SPC_BT709, 0, 0 };
    else
        r->color = sdr_color(v, p);
    r->tonemap = hdr && !keep;
    if (keep)
        r->hdr = v->hdr;
    r->color.range = AVCOL_RANGE_MPEG;
    if (r->color.chroma_location == AVCHROMA_LOC_UNSPECIFIED)
        r->color.chroma_location = AVCHROMA_LOC_LEFT;
    (void)snprintf(r->pix_fmt, sizeof(r->pix_fmt), "%s",
                   g->bit_depth == 10 || keep ? "yuv420p10le" : "yuv420p");
}
