/* A line through the times of pictures. */
#include "steady.h"

static double slope_of(const int64_t *t, size_t n)
{
    double middle = (double)(n - 1) / 2, sum = 0, squares = 0;

    for (size_t i = 0; i < n; i++) {
        double x = (double)i - middle;
        sum += x * (double)(t[i] - t[0]);
        squares += x * x;
    }
    return sum / squares;
}

int times_are_steady(const int64_t *t, size_t n, double *ret_step)
{
    double step = slope_of(t, n), early = 0, behind = 0;

    for (size_t i = 0; i < n; i++) {
        double off = (double)(t[i] - t[0]) - (double)i * step;
        early = off < early ? off : early;
        behind = off > behind ? off : behind;
    }
    if (behind - early > STEADY_SPREAD * step + 1.01)
        return 0;
    *ret_step = step;
    return 1;
}
