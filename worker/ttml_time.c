#include "ttml_time.h"

#include <errno.h>
#include <string.h>

enum { HOURS_MAX = 10000, FRAMES_DEFAULT = 30 };

/* Digits, and where told a fraction behind them; not strtod(), which knows signs, exponents and
 * other things that aren't in the grammar. */
static int number_read(const char **s, int fraction, double *ret)
{
    const char *at = *s;
    double v = 0, unit = 1;

    if (*at < '0' || *at > '9')
        return -EINVAL;
    for (; *at >= '0' && *at <= '9' && at - *s < 18; at++)
        v = v * 10 + (*at - '0');
    if (fraction && *at == '.') {
        for (at++; *at >= '0' && *at <= '9'; at++) {
            unit /= 10;
            v += (*at - '0') * unit;
        }
    }
    *s = at;
    *ret = v;
    return 0;
}

static double number_or(const char *s, double otherwise)
{
    double v;

    return s && number_read(&s, 0, &v) == 0 && v > 0 && v < 1e9 ? v : otherwise;
}

static double multiplier_of(const char *s)
{
    double a, b;

    if (!s || number_read(&s, 0, &a) < 0 || (*s != ' ' && *s != ':'))
        return 1;
    s++;
    return number_read(&s, 0, &b) == 0 && a > 0 && b > 0 ? a / b : 1;
}

int ttml_rates_of(const char *time_base, const char *frame_rate, const char *multiplier,
                  const char *sub_frame_rate, const char *tick_rate, const char *drop_mode,
                  struct ttml_rates *ret)
{
    if (time_base && strcmp(time_base, "clock") == 0)
        return -EINVAL;
    *ret = (struct ttml_rates){
        .nominal = number_or(frame_rate, FRAMES_DEFAULT),
        .sub = number_or(sub_frame_rate, 1),
        .smpte = time_base && strcmp(time_base, "smpte") == 0,
        .drop = drop_mode && strcmp(drop_mode, "dropNTSC") == 0 ? 2 : 0,
    };
    ret->frames = ret->nominal * multiplier_of(multiplier);
    /* The default rate of ticks is that of frames where there is one. */
    ret->ticks = number_or(tick_rate, frame_rate ? ret->frames * ret->sub : 1);
    return 0;
}

static double smpte_seconds(const struct ttml_rates *r, double hours, double minutes,
                            double seconds, double frames)
{
    double all_minutes = hours * 60 + minutes;
    double count = (all_minutes * 60 + seconds) * r->nominal + frames;
    double tens = (double)(int)(all_minutes / 10);

    return (count - r->drop * (all_minutes - tens)) / r->frames;
}

/* "02:12", "02:12.3" and the like, behind the hours: `s` is at the first colon. */
static int clock_time(const char *s, double hours, const struct ttml_rates *r, double *ret)
{
    double minutes, seconds, frames = 0, sub = 0;

    s++;
    if (number_read(&s, 0, &minutes) < 0 || *s++ != ':' || number_read(&s, 1, &seconds) < 0 ||
        minutes >= 60 || seconds > 60 || hours > HOURS_MAX)
        return -EINVAL;
    if (*s == ':') {
        s++;
        if (number_read(&s, 0, &frames) < 0)
            return -EINVAL;
        if (*s == '.') {
            s++;
            if (number_read(&s, 0, &sub) < 0)
                return -EINVAL;
        }
    }
    frames += sub / r->sub;
    if (*s || frames > r->nominal)
        return -EINVAL;
    *ret = r->smpte ? smpte_seconds(r, hours, minutes, seconds, frames)
                    : (hours * 60 + minutes) * 60 + seconds + frames / r->frames;
    return 0;
}

int ttml_time(const char *s, const struct ttml_rates *r, double *ret)
{
    double v;

    while (*s == ' ')
        s++;
    if (number_read(&s, 1, &v) < 0)
        return -EINVAL;
    if (*s == ':')
        return clock_time(s, v, r, ret);
    const struct {
        const char *metric;
        double seconds;
    } metrics[] = {
        {"h",   3600         },
        { "m",  60           },
        { "s",  1            },
        { "ms", 0.001        },
        { "f",  1 / r->frames},
        { "t",  1 / r->ticks },
    };
    for (size_t i = 0; i < sizeof(metrics) / sizeof(*metrics); i++)
        if (strcmp(s, metrics[i].metric) == 0 && v * metrics[i].seconds <= 3600.0 * HOURS_MAX) {
            *ret = v * metrics[i].seconds;
            return 0;
        }
    return -EINVAL;
}
