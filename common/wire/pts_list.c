#include "plan.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

void pts_list_release(struct pts_list *l)
{
    free(l->runs);
    memset(l, 0, sizeof(*l));
}

void pts_list_expand(const struct pts_list *l, int64_t *ret)
{
    size_t n = 0;

    if (l->n_frames == 0)
        return;
    ret[n++] = l->first;
    for (size_t i = 0; i < l->n_runs; i++)
        for (uint64_t k = 0; k < l->runs[i].count; k++, n++)
            ret[n] = ret[n - 1] + l->runs[i].delta;
}

int64_t pts_list_last(const struct pts_list *l)
{
    int64_t last = l->first;

    for (size_t i = 0; i < l->n_runs; i++)
        last += l->runs[i].delta * (int64_t)l->runs[i].count;
    return last;
}

static size_t count_runs(const int64_t *pts, size_t n)
{
    size_t runs = 0;

    for (size_t i = 1; i < n; i++)
        runs += i == 1 || pts[i] - pts[i - 1] != pts[i - 1] - pts[i - 2];
    return runs;
}

int pts_list_make(const int64_t *pts, size_t n, struct pts_list *ret)
{
    struct pts_list l = { .n_frames = n, .n_runs = count_runs(pts, n) };
    struct pts_run *run;

    if (n > 0)
        l.first = pts[0];
    if (l.n_runs > 0) {
        l.runs = calloc(l.n_runs, sizeof(*l.runs));
        if (!l.runs)
            return -ENOMEM;
    }
    run = l.runs;
    for (size_t i = 1; i < n; i++) {
        int64_t delta = pts[i] - pts[i - 1];
        if (i > 1 && run->delta != delta)
            run++;
        run->delta = delta;
        run->count++;
    }
    *ret = l;
    return 0;
}

int64_t plan_ticks(int64_t pts, int64_t origin, AVRational tb, uint32_t timescale)
{
    __extension__ typedef __int128 int128;
    int128 d = (int128)pts - origin, n, limit = (int128)1 << 62;

    /* Beyond what a message may hold; keeps the product below 2^127. */
    if (d > limit || d < -limit)
        d = d > 0 ? limit : -limit;
    n = d * tb.num * timescale;
    n = n >= 0 ? (n + tb.den / 2) / tb.den : -((-n + tb.den / 2) / tb.den);
    if (n > INT64_MAX || n < -INT64_MAX)
        return n > 0 ? INT64_MAX : -INT64_MAX;
    return (int64_t)n;
}
