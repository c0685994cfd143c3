#include "thumb.h"

#include <errno.h>
#include <libavutil/frame.h>
#include <libswscale/swscale.h>
#include <stdlib.h>
#include <string.h>

static int sign(int32_t v)
{
    return (v > 0x4000) - (v < -0x4000);
}

/* The matrix takes (x, y) to (a x + c y, b x + d y); quarter turns and
 * mirrors only, others are left as they are. */
static void turn(struct thumb *t, const int32_t *m)
{
    int a = sign(m[0]), b = sign(m[1]), c = sign(m[3]), d = sign(m[4]);
    struct thumb from = *t;
    if (a * a + b * b != 1 || c * c + d * d != 1 || a * c + b * d)
        return;
    for (int y = 0; y < THUMB_SIDE; y++) {
        for (int x = 0; x < THUMB_SIDE; x++) {
            int u = 2 * x - THUMB_SIDE + 1, v = 2 * y - THUMB_SIDE + 1;
            int to_x = (a * u + c * v + THUMB_SIDE - 1) / 2;
            int to_y = (b * u + d * v + THUMB_SIDE - 1) / 2;
            t->px[to_y * THUMB_SIDE + to_x] = from.px[y * THUMB_SIDE + x];
        }
    }
}

/* Of interlaced frames the field shown first, as a view of every other line:
 * the other one belongs to a time in between. */
static int view_of(const AVFrame *f, const uint8_t *planes[4], int strides[4])
{
    int field = f->interlaced_frame && f->height >= 4;
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

int thumb_make(struct SwsContext **sws, const AVFrame *f, const int32_t *matrix, struct thumb *ret)
{
    uint8_t *planes[4] = { ret->px };
    int strides[4] = { THUMB_SIDE };
    if (f->width <= 0 || f->height <= 0)
        return -EINVAL;
    const uint8_t *from[4];
    int from_strides[4], height = view_of(f, from, from_strides);
    *sws = sws_getCachedContext(*sws, f->width, height, f->format, THUMB_SIDE, THUMB_SIDE,
                                AV_PIX_FMT_GRAY8, SWS_AREA, NULL, NULL, NULL);
    if (!*sws)
        return -ENOMEM;
    if (sws_scale(*sws, from, from_strides, 0, height, planes, strides) <= 0)
        return -EINVAL;
    if (matrix)
        turn(ret, matrix);
    return 0;
}

void thumb_releasep(struct SwsContext **sws)
{
    sws_freeContext(*sws);
    *sws = NULL;
}

struct moments {
    double x, y, xx, yy, xy;
};

static struct moments moments_of(const struct thumb *x, const struct thumb *y)
{
    struct moments m = { 0 };
    for (int i = 0; i < THUMB_PIXELS; i++) {
        double a = x->px[i], b = y->px[i];
        m.x += a;
        m.y += b;
        m.xx += a * a;
        m.yy += b * b;
        m.xy += a * b;
    }
    m.x /= THUMB_PIXELS;
    m.y /= THUMB_PIXELS;
    m.xx = m.xx / THUMB_PIXELS - m.x * m.x;
    m.yy = m.yy / THUMB_PIXELS - m.y * m.y;
    m.xy = m.xy / THUMB_PIXELS - m.x * m.y;
    return m;
}

double thumb_residue(const struct thumb *x, const struct thumb *y)
{
    struct moments m = moments_of(x, y);
    /* A negative factor would be another picture, not another contrast. */
    if (m.yy < 1e-6 || m.xy <= 0)
        return m.xx;
    double rest = m.xx - m.xy * m.xy / m.yy;
    return rest > 0 ? rest : 0;
}

double thumb_variance(const struct thumb *x)
{
    return moments_of(x, x).xx;
}
