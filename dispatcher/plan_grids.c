/* Where the cells of frame-rate caps lie between the pictures of a constant rate. */
#include "plan_parts.h"

#include <math.h>

/* Pictures to a cell. */
static size_t cell_size(const struct frame_grid *g, AVRational rate)
{
    double n = floor(av_q2d(g->period) * av_q2d(rate) + 0.5);

    return n < 1 ? 1 : (size_t)n;
}

/* Pictures kept that are not the n-th behind the one kept before. How long after the first one that
 * is, the ladder's grid leaves to chance: `first` 1: that counts, too. */
static size_t grid_slips(const struct timeline *t, const struct frame_grid *g, size_t n, int first)
{
    size_t slips = 0, last = t->head;

    for (size_t i = t->head + 1; i < t->tail; i++) {
        if (!frame_grid_keeps(g, t->frames[i].pts, t->frames[i - 1].pts, t->origin, t->tb))
            continue;
        slips += i - last != n && (first || last > t->head || i - last > n);
        last = i;
    }
    return slips;
}

static size_t grids_slips(const struct timeline *t, AVRational rate, const struct rendition *v,
                          size_t n, int first)
{
    size_t slips = 0;

    for (size_t i = 0; i < n; i++)
        if (v[i].grid.period.num > 0)
            slips += grid_slips(t, &v[i].grid, cell_size(&v[i].grid, rate), first);
    return slips;
}

/* The first picture's time, in ticks from the origin, as all pictures have it: the middle between
 * the one that is earliest and the one that is latest for its number. *ret_jitters: whether these
 * are further apart than rounding makes them. */
static int64_t first_picture(const struct timeline *t, AVRational rate, int *ret_jitters)
{
    double step = 1 / (av_q2d(rate) * av_q2d(t->tb)), early = 0, behind = 0;
    int64_t start = t->frames[t->head].pts;

    for (size_t i = t->head; i < t->tail; i++) {
        double off = (double)(t->frames[i].pts - start) - (double)(i - t->head) * step;
        early = off < early ? off : early;
        behind = off > behind ? off : behind;
    }
    *ret_jitters = behind - early > 2.02;
    return start - t->origin + llround((early + behind) / 2);
}

/* A cell begins half a frame before the first picture. */
static void grid_shift(struct frame_grid *g, AVRational late, AVRational rate)
{
    AVRational half = av_mul_q(av_inv_q(rate), (AVRational){ 1, 2 });
    AVRational cells = { (int)floor(av_q2d(late) / av_q2d(g->period)), 1 };

    g->phase = av_sub_q(half, av_sub_q(late, av_mul_q(cells, g->period)));
}

int grids_settle(const struct timeline *t, const struct video_info *info, struct rendition *v,
                 size_t n)
{
    struct frame_grid old[RENDITIONS_MAX];
    AVRational late;
    int jitters;

    if (info->vfr || info->rate.num <= 0 || info->rate.den <= 0 || n > RENDITIONS_MAX ||
        t->head >= t->tail || t->tail > t->n_frames)
        return 0;
    int64_t first = first_picture(t, info->rate, &jitters);
    size_t slips = grids_slips(t, info->rate, v, n, jitters);
    if (slips == 0)
        return 0;
    (void)av_reduce(&late.num, &late.den, first * t->tb.num, t->tb.den, INT32_MAX);
    for (size_t i = 0; i < n; i++) {
        old[i] = v[i].grid;
        if (v[i].grid.period.num > 0)
            grid_shift(&v[i].grid, late, info->rate);
    }
    if (grids_slips(t, info->rate, v, n, jitters) < slips)
        return 1;
    for (size_t i = 0; i < n; i++)
        v[i].grid = old[i];
    return 0;
}
