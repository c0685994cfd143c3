#include "format.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

const char *fmt_bytes(char buf[FMT_MAX], uint64_t n)
{
    static const char *const units[] = { "B", "kB", "MB", "GB", "TB", "PB", "EB" };
    double v = (double)n;
    size_t unit = 0;

    /* 999.95 would be printed as "1000.0". */
    while (v >= 999.95 && unit + 1 < sizeof(units) / sizeof(units[0])) {
        v /= 1000;
        unit++;
    }
    (void)snprintf(buf, FMT_MAX, unit == 0 ? "%.0f %s" : "%.1f %s", v, units[unit]);
    return buf;
}

const char *fmt_bit_rate(char buf[FMT_MAX], double bit_s)
{
    if (!(bit_s > 0))
        (void)snprintf(buf, FMT_MAX, "-");
    else if (bit_s < 999500)
        (void)snprintf(buf, FMT_MAX, "%.0f kb/s", bit_s / 1e3);
    else
        (void)snprintf(buf, FMT_MAX, "%.2f Mb/s", bit_s / 1e6);
    return buf;
}

const char *fmt_seconds(char buf[FMT_MAX], double s)
{
    if (!isfinite(s) || s < 0 || s > 1e9)
        (void)snprintf(buf, FMT_MAX, "-");
    else if (s < 9.995)
        (void)snprintf(buf, FMT_MAX, "%.2f s", s);
    else if (s < 59.95)
        (void)snprintf(buf, FMT_MAX, "%.1f s", s);
    else if (s < 3599.5)
        (void)snprintf(buf, FMT_MAX, "%ld:%02ld", lround(s) / 60, lround(s) % 60);
    else
        (void)snprintf(buf, FMT_MAX, "%ld:%02ld:%02ld", lround(s) / 3600, lround(s) / 60 % 60,
                       lround(s) % 60);
    return buf;
}

const char *fmt_rate(char buf[FMT_MAX], AVRational fps)
{
    if (fps.num <= 0 || fps.den <= 0)
        (void)snprintf(buf, FMT_MAX, "-");
    else if (fps.num % fps.den == 0)
        (void)snprintf(buf, FMT_MAX, "%d", fps.num / fps.den);
    else
        (void)snprintf(buf, FMT_MAX, "%.3f", av_q2d(fps));
    return buf;
}

const char *fmt_rational(char buf[FMT_MAX], AVRational q)
{
    (void)snprintf(buf, FMT_MAX, "%d/%d", q.num, q.den);
    return buf;
}

static int continues(char c)
{
    return ((unsigned char)c & 0xc0) == 0x80;
}

int fmt_columns(const char *text)
{
    int columns = 0;

    for (; *text; text++)
        columns += !continues(*text);
    return columns;
}

int fmt_fit(const char *text, int columns)
{
    int n = 0;

    while (text[n] && (columns > 0 || continues(text[n]))) {
        columns -= !continues(text[n]);
        n++;
    }
    return n;
}
