#include "rendition.h"

__extension__ typedef __int128 int128;

/* n / d towards minus infinity; d > 0. */
static int128 div_floor(int128 n, int128 d)
{
    int128 q = n / d;

    return n % d < 0 ? q - 1 : q;
}

static int64_t saturate(int128 v)
{
    if (v > INT64_MAX)
        return INT64_MAX;
    return v < INT64_MIN ? INT64_MIN : (int64_t)v;
}

int64_t frame_grid_cell(const struct frame_grid *g, int64_t pts, int64_t origin, AVRational tb)
{
    AVRational period = g->period, phase = g->phase;
    int128 n, d, whole;

    if (period.num <= 0 || period.den <= 0 || tb.num <= 0 || tb.den <= 0)
        return 0;
    if (phase.num == 0 || phase.den <= 0)
        phase = (AVRational){ 0, 1 };

    /* p + phase = n / (tb.den * phase.den), below 2^127. */
    n = ((int128)pts - origin) * tb.num * phase.den + (int128)phase.num * tb.den;
    d = (int128)tb.den * phase.den * period.num;
    /* n * period.den / d in two steps, for the product may not fit: what the
     * first leaves over is below d, at most 2^93. */
    whole = div_floor(n, d);
    n -= whole * d;
    if (whole > INT64_MAX || whole < INT64_MIN)
        return saturate(whole);
    return saturate(whole * period.den + div_floor(n * period.den, d));
}

int frame_grid_keeps(const struct frame_grid *g, int64_t pts, int64_t prev, int64_t origin,
                     AVRational tb)
{
    if (g->period.num == 0 || prev == INT64_MIN)
        return 1;
    return frame_grid_cell(g, pts, origin, tb) != frame_grid_cell(g, prev, origin, tb);
}
