#include "thumb.h"

#include <errno.h>
#include <libavutil/frame.h>
#include <libswscale/swscale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BLACK = 16, NO_COLOUR = 128 };

static int sign(int32_t v)
{
    return (v > 0x4000) - (v < -0x4000);
}

/* The matrix takes (x, y) to (a x + c y, b x + d y); quarter turns and
 * mirrors only, others are left as they are. */
static void turn(uint8_t *px, int side, const int32_t *m)
{
    int a = sign(m[0]), b = sign(m[1]), c = sign(m[3]), d = sign(m[4]);
    uint8_t from[THUMB_PIXELS];
    if (a * a + b * b != 1 || c * c + d * d != 1 || a * c + b * d)
        return;
    memcpy(from, px, (size_t)side * (size_t)side);
    for (int y = 0; y < side; y++) {
        for (int x = 0; x < side; x++) {
            int u = 2 * x - side + 1, v = 2 * y - side + 1;
            int to_x = (a * u + c * v + side - 1) / 2;
            int to_y = (b * u + d * v + side - 1) / 2;
            px[to_y * side + to_x] = from[y * side + x];
        }
    }
}

/* Of interlaced frames the field shown first, as a view of every other line:
 * the other one belongs to a time in between. */
static int view_of(const AVFrame *f, int split, const uint8_t *planes[4], int strides[4])
{
    int field = split && f->interlaced_frame && f->height >= 4;
    for (int i = 0; i < 4; i++) {
        planes[i] = f->data[i];
        strides[i] = f->linesize[i];
        if (!field || !planes[i])
            continue;
        planes[i] += f->top_field_first ? 0 : strides[i];
        strides[i] *= 2;
    }
    return field ? f->height / 2 : f->height;
}

static void cells_of(const uint8_t *px, uint8_t *cells)
{
    enum { WIDE = THUMB_SIDE / THUMB_CELLS_SIDE };
    for (int c = 0; c < THUMB_CELLS; c++) {
        const uint8_t *at = px + c / THUMB_CELLS_SIDE * WIDE * THUMB_SIDE +
                            c % THUMB_CELLS_SIDE * WIDE;
        int sum = WIDE * WIDE / 2;
        for (int i = 0; i < WIDE * WIDE; i++)
            sum += at[i / WIDE * THUMB_SIDE + i % WIDE];
        cells[c] = (uint8_t)(sum / (WIDE * WIDE));
    }
}

/* A picture of another shape than the first one stands in the middle of that one's: put together
 * finer than a thumb, whose pixels its edges cut. */
enum { FINE = 4, CANVAS_SIDE = FINE * THUMB_SIDE, CANVAS_PIXELS = CANVAS_SIDE * CANVAS_SIDE };

struct inset {
    int x, y, width, height; /* of the canvas */
};

/* Whether a quarter turn makes it upright. */
static int is_across(const int32_t *m)
{
    return m && !sign(m[0]) && !sign(m[4]) && sign(m[1]) && sign(m[3]);
}

/* Shapes are those of pictures that stand upright. */
static struct inset inset_of(struct thumb_maker *m, const AVFrame *f)
{
    int across = is_across(m->matrix);
    double sar = m->sar.num > 0 && m->sar.den > 0 ? av_q2d(m->sar) : 1;
    double stored = sar * f->width / f->height, shape = across ? 1 / stored : stored;
    double by = m->shape > 0 ? shape / m->shape : 1;
    struct inset in = { .width = CANVAS_SIDE, .height = CANVAS_SIDE };
    if (m->shape <= 0)
        m->shape = shape;
    int *narrow = (by < 1) != across ? &in.width : &in.height;
    if (by > 1.02 || by < 0.98)
        *narrow = (int)fmax(rint(CANVAS_SIDE * fmin(by, 1 / by)), 1);
    in.x = (CANVAS_SIDE - in.width) / 2;
    in.y = (CANVAS_SIDE - in.height) / 2;
    return in;
}

static void shrink(const uint8_t *canvas, uint8_t *px)
{
    for (int i = 0; i < THUMB_PIXELS; i++) {
        const uint8_t *at = canvas + i / THUMB_SIDE * FINE * CANVAS_SIDE + i % THUMB_SIDE * FINE;
        int sum = FINE * FINE / 2;
        for (int k = 0; k < FINE * FINE; k++)
            sum += at[k / FINE * CANVAS_SIDE + k % FINE];
        px[i] = (uint8_t)(sum / (FINE * FINE));
    }
}

static int scale_into(struct thumb_maker *m, const AVFrame *f, int width, int height,
                      uint8_t *planes[4], int stride)
{
    const int strides[4] = { stride, stride, stride };
    const uint8_t *from[4];
    int from_strides[4], rows = view_of(f, !m->whole_fields, from, from_strides);
    m->sws = sws_getCachedContext(m->sws, f->width, rows, f->format, width, height,
                                  AV_PIX_FMT_YUV444P, SWS_AREA, NULL, NULL, NULL);
    if (!m->sws)
        return -ENOMEM;
    return sws_scale(m->sws, from, from_strides, 0, rows, planes, strides) > 0 ? 0 : -EINVAL;
}

static int scale_inset(struct thumb_maker *m, const AVFrame *f, const struct inset *in,
                       uint8_t *planes[4])
{
    uint8_t *canvas = malloc(3 * CANVAS_PIXELS), *at[4] = { NULL };
    if (!canvas)
        return -ENOMEM;
    memset(canvas, BLACK, CANVAS_PIXELS);
    memset(canvas + CANVAS_PIXELS, NO_COLOUR, 2 * CANVAS_PIXELS);
    for (int i = 0; i < 3; i++)
        at[i] = canvas + i * CANVAS_PIXELS + in->y * CANVAS_SIDE + in->x;
    int r = scale_into(m, f, in->width, in->height, at, CANVAS_SIDE);
    for (int i = 0; r == 0 && i < 3; i++)
        shrink(canvas + i * CANVAS_PIXELS, planes[i]);
    free(canvas);
    return r;
}

int thumb_make(struct thumb_maker *m, const AVFrame *f, struct thumb *ret)
{
    uint8_t chroma[2][THUMB_PIXELS];
    uint8_t *planes[4] = { ret->px, chroma[0], chroma[1] };
    if (f->width <= 0 || f->height <= 0)
        return -EINVAL;
    const struct inset in = inset_of(m, f);
    int r = in.width == CANVAS_SIDE && in.height == CANVAS_SIDE
                ? scale_into(m, f, THUMB_SIDE, THUMB_SIDE, planes, THUMB_SIDE)
                : scale_inset(m, f, &in, planes);
    if (r < 0)
        return r;
    cells_of(chroma[0], ret->u);
    cells_of(chroma[1], ret->v);
    ret->hdr = f->color_trc == AVCOL_TRC_SMPTE2084 || f->color_trc == AVCOL_TRC_ARIB_STD_B67;
    if (m->matrix) {
        turn(ret->px, THUMB_SIDE, m->matrix);
        turn(ret->u, THUMB_CELLS_SIDE, m->matrix);
        turn(ret->v, THUMB_CELLS_SIDE, m->matrix);
    }
    return 0;
}

void thumb_maker_release(struct thumb_maker *m)
{
    sws_freeContext(m->sws);
    m->sws = NULL;
}
