#include "likeness.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 8, BLOCKS_SIDE = THUMB_SIDE / BLOCK, BLOCKS = BLOCKS_SIDE * BLOCKS_SIDE };
enum { CELL = THUMB_SIDE / THUMB_CELLS_SIDE, TERMS = 5 };

/* ---- what may differ, fitted away ---- */

struct fit { /* luma of the package by the source's */
    double k[TERMS];
};

static double mean_of_cell(const uint8_t *px, int c)
{
    const uint8_t *at = px + c / THUMB_CELLS_SIDE * CELL * THUMB_SIDE + c % THUMB_CELLS_SIDE * CELL;
    int sum = 0;
    for (int i = 0; i < CELL * CELL; i++)
        sum += at[i / CELL * THUMB_SIDE + i % CELL];
    return (double)sum / (CELL * CELL);
}

static void terms_of(double y, double u, double v, double t[TERMS])
{
    t[0] = 1;
    t[1] = (y - 128) / 64;
    t[2] = (u - 128) / 64;
    t[3] = (v - 128) / 64;
    t[4] = t[1] * t[1];
}

/* Gauss, of a matrix that its ridge keeps regular. */
static void solve(double m[TERMS][TERMS + 1], double *ret)
{
    for (int i = 0; i < TERMS; i++)
        for (int row = i + 1; row < TERMS; row++) {
            double by = m[row][i] / m[i][i];
            for (int c = i; c <= TERMS; c++)
                m[row][c] -= by * m[i][c];
        }
    for (int i = TERMS - 1; i >= 0; i--) {
        double sum = m[i][TERMS];
        for (int c = i + 1; c < TERMS; c++)
            sum -= m[i][c] * ret[c];
        ret[i] = sum / m[i][i];
    }
}

/* Contrast that conversions leave of a picture; what is flat is no picture of it. */
struct contrast {
    double least, most;
};

static struct contrast contrast_of(const struct thumb *x, const struct thumb *y)
{
    return x->hdr != y->hdr ? (struct contrast){ 0.4, 6 } : (struct contrast){ 0.75, 1.35 };
}

static void add_cell(double m[TERMS][TERMS + 1], const double t[TERMS], double off)
{
    for (int i = 0; i < TERMS; i++) {
        for (int k = 0; k < TERMS; k++)
            m[i][k] += t[i] * t[k];
        m[i][TERMS] += t[i] * off;
    }
}

/* Least squares over the cells. What a flat picture doesn't tell stays as it is:
 * contrast 1, no mixing and, where neither or both are HDR, no bend. */
static struct fit fit_of(const struct thumb *x, const struct thumb *y)
{
    const double ridge[TERMS] = { 0.01, 1, 8, 8, x->hdr != y->hdr ? 1 : 1e9 };
    struct contrast c = contrast_of(x, y);
    double m[TERMS][TERMS + 1] = { { 0 } }, t[TERMS], sum = 0;
    struct fit f;
    for (int i = 0; i < THUMB_CELLS; i++) {
        double plain = mean_of_cell(y->px, i), off = mean_of_cell(x->px, i) - plain;
        terms_of(plain, y->u[i], y->v[i], t);
        add_cell(m, t, off);
        sum += off;
    }
    for (int i = 0; i < TERMS; i++)
        m[i][i] += ridge[i];
    solve(m, f.k);
    double slope = 1 + f.k[1] / 64;
    if (slope < c.least || slope > c.most)
        f = (struct fit){ { sum / THUMB_CELLS } };
    return f;
}

struct plane {
    float px[THUMB_PIXELS];
};

static void fit_apply(const struct fit *f, const struct thumb *y, struct plane *ret)
{
    double t[TERMS];
    for (int i = 0; i < THUMB_PIXELS; i++) {
        int c = i / THUMB_SIDE / CELL * THUMB_CELLS_SIDE + i % THUMB_SIDE / CELL;
        terms_of(y->px[i], y->u[c], y->v[c], t);
        double sum = y->px[i];
        for (int k = 0; k < TERMS; k++)
            sum += f->k[k] * t[k];
        ret->px[i] = (float)fmin(fmax(sum, 0), 255);
    }
}

/* ---- blocks ---- */

static int place_of(int block, int i)
{
    int y = block / BLOCKS_SIDE * BLOCK + i / BLOCK, x = block % BLOCKS_SIDE * BLOCK + i % BLOCK;
    return y * THUMB_SIDE + x;
}

static double block_square(const struct plane *a, const struct plane *b, int block)
{
    double sum = 0;
    for (int i = 0; i < BLOCK * BLOCK; i++) {
        int at = place_of(block, i);
        double d = a->px[at] - b->px[at];
        sum += d * d;
    }
    return sum / (BLOCK * BLOCK);
}

/* The least and the most of each pixel's neighbourhood. */
static void spread(const struct plane *y, struct plane *least, struct plane *most)
{
    struct plane lo, hi;
    for (int i = 0; i < THUMB_PIXELS; i++) {
        int x = i % THUMB_SIDE, left = x ? i - 1 : i, right = x < THUMB_SIDE - 1 ? i + 1 : i;
        lo.px[i] = fminf(fminf(y->px[left], y->px[i]), y->px[right]);
        hi.px[i] = fmaxf(fmaxf(y->px[left], y->px[i]), y->px[right]);
    }
    for (int i = 0; i < THUMB_PIXELS; i++) {
        int up = i >= THUMB_SIDE ? i - THUMB_SIDE : i;
        int down = i < THUMB_PIXELS - THUMB_SIDE ? i + THUMB_SIDE : i;
        least->px[i] = fminf(fminf(lo.px[up], lo.px[i]), lo.px[down]);
        most->px[i] = fmaxf(fmaxf(hi.px[up], hi.px[i]), hi.px[down]);
    }
}

/* Mean of the differences that no shift by a pixel explains. */
static double block_strange(const struct plane *x, const struct plane *least,
                            const struct plane *most, int block)
{
    double sum = 0;
    for (int i = 0; i < BLOCK * BLOCK; i++) {
        int at = place_of(block, i);
        sum += fmax(fmax(least->px[at] - x->px[at], x->px[at] - most->px[at]), 0);
    }
    return sum / (BLOCK * BLOCK);
}

static void plain(const struct thumb *t, struct plane *ret)
{
    for (int i = 0; i < THUMB_PIXELS; i++)
        ret->px[i] = t->px[i];
}

/* ---- the verdict ---- */

/* Blocks whose source moves by less (mean square) say nothing of which frame it is. */
#define MOVES 60.0

/* Whether what moves is nearer to `near` than to `own`, by much. */
static int is_other(const struct plane *x, const struct plane *own, const struct plane *near,
                    struct likeness_detail *d)
{
    double to_own = 0, to_near = 0;
    int n = 0;
    for (int b = 0; b < BLOCKS; b++) {
        if (block_square(own, near, b) < MOVES)
            continue;
        to_own += block_square(x, own, b);
        to_near += block_square(x, near, b);
        n++;
    }
    d->off = n ? to_own / n : 0;
    d->other = n ? to_near / n : 0;
    return n && 2 * to_near < to_own;
}

/* As block_strange(), of chroma: 2 x 2 cells are a block. What another matrix does to
 * it is far less than what is looked for. */
static double block_tint(const uint8_t *x, const uint8_t *y, int block)
{
    int sum = 0;
    for (int i = 0; i < 4; i++) {
        int row = block / BLOCKS_SIDE * 2 + i / 2, column = block % BLOCKS_SIDE * 2 + i % 2;
        int least = 255, most = 0, at = row * THUMB_CELLS_SIDE + column;
        for (int k = 0; k < 9; k++) {
            int r = row + k / 3 - 1, c = column + k % 3 - 1;
            if (r < 0 || c < 0 || r >= THUMB_CELLS_SIDE || c >= THUMB_CELLS_SIDE)
                continue;
            int near = y[r * THUMB_CELLS_SIDE + c];
            least = near < least ? near : least;
            most = near > most ? near : most;
        }
        sum += x[at] < least ? least - x[at] : x[at] > most ? x[at] - most : 0;
    }
    return sum / 4.0;
}

/* In levels of luma. A bend that is fitted to all of a picture leaves more. */
static double block_off(const struct thumb *out, const struct thumb *own, const struct plane *x,
                        const struct plane *least, const struct plane *most, int b)
{
    double off = block_strange(x, least, most, b);
    if (out->hdr != own->hdr)
        return off / 3;
    off = fmax(off, block_tint(out->u, own->u, b) / 2);
    return fmax(off, block_tint(out->v, own->v, b) / 2);
}

static void parts(const struct thumb *out, const struct thumb *own, const struct plane *x,
                  const struct plane *y, struct likeness_detail *d)
{
    struct plane least, most;
    spread(y, &least, &most);
    d->strangest = 0;
    d->column = d->row = 0;
    for (int b = 0; b < BLOCKS; b++) {
        double off = block_off(out, own, x, &least, &most, b);
        if (off <= d->strangest)
            continue;
        d->strangest = off;
        d->column = (unsigned)(b % BLOCKS_SIDE);
        d->row = (unsigned)(b / BLOCKS_SIDE);
    }
}

enum likeness likeness_of(const struct thumb *out, const struct thumb *own,
                          const struct thumb *before, const struct thumb *after,
                          struct likeness_detail *ret)
{
    struct fit f = fit_of(out, own);
    struct plane x, y, near;
    plain(out, &x);
    fit_apply(&f, own, &y);
    parts(out, own, &x, &y, ret);
    if (before) {
        fit_apply(&f, before, &near);
        if (is_other(&x, &y, &near, ret))
            return LIKENESS_BEFORE;
    }
    if (after) {
        fit_apply(&f, after, &near);
        if (is_other(&x, &y, &near, ret))
            return LIKENESS_AFTER;
    }
    return LIKENESS_SAME;
}
