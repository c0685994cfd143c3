#include "picture_times.h"

#include <errno.h>
#include <stdlib.h>

enum { ODD_MAX = 4 }; /* stamps in a row */

struct shown {
    size_t packet;
    size_t sequence; /* of those that count anew */
    int count;
    int64_t pts; /* INT64_MIN: not told */
};

static int shown_order(const void *a, const void *b)
{
    const struct shown *x = a, *y = b;

    if (x->sequence != y->sequence)
        return x->sequence < y->sequence ? -1 : 1;
    if (x->count != y->count)
        return x->count < y->count ? -1 : 1;
    return x->packet < y->packet ? -1 : x->packet > y->packet;
}

/* In the order they are shown in. */
static size_t shown_collect(const struct media_index *idx, const struct picture_order *order,
                            struct shown *ret)
{
    size_t n = 0, sequence = 0;

    for (size_t i = 0; i < idx->n; i++) {
        const struct index_packet *p = &idx->packets[i];
        sequence += order[i].begins != 0;
        if (!(p->flags & PACKET_HIDDEN))
            ret[n++] = (struct shown){ i, sequence, order[i].count, p->pts };
    }
    qsort(ret, n, sizeof(*ret), shown_order);
    return n;
}

/* The next that is told, from `i` on; n: none. */
static size_t told_from(const struct shown *s, size_t n, size_t i)
{
    while (i < n && s[i].pts == INT64_MIN)
        i++;
    return i;
}

/* Of times that fall, the later one is none. */
static void drop_fallen(struct shown *s, size_t n)
{
    int64_t last = INT64_MIN;

    for (size_t i = 0; i < n; i++) {
        if (s[i].pts == INT64_MIN)
            continue;
        if (s[i].pts <= last)
            s[i].pts = INT64_MIN;
        else
            last = s[i].pts;
    }
}

/* From one picture to the next, over all that is told. */
static double step_of(const struct shown *s, size_t n, int64_t step)
{
    size_t first = told_from(s, n, 0), last = n;

    while (last > first && s[last - 1].pts == INT64_MIN)
        last--;
    if (last <= first + 1)
        return (double)step;
    return (double)(s[last - 1].pts - s[first].pts) / (double)(last - 1 - first);
}

/* Whether the time of `b` is what `a` and the pace make of it. */
static int is_near(const struct shown *s, size_t a, size_t b, double step, double tolerance)
{
    double off = (double)s[b].pts - (double)s[a].pts - (double)(b - a) * step;

    return off <= tolerance && off >= -tolerance;
}

/* Most of what is told says that pictures are equally far apart. */
static int is_steady(const struct shown *s, size_t n, double step)
{
    size_t pairs = 0, good = 0, at = told_from(s, n, 0);

    while (at < n) {
        size_t next = told_from(s, n, at + 1);
        if (next < n) {
            pairs++;
            good += (size_t)is_near(s, at, next, step, (double)(next - at) * step / 20 + 1.5);
        }
        at = next;
    }
    return pairs >= ODD_MAX && 3 * good >= 2 * pairs;
}

/* Where PES packets begin within pictures, libavformat (5.1 to 7.1) may give the time of a small
 * picture to the one before. What leaves the pace and is back on it soon is none. */
static void drop_odd(struct shown *s, size_t n, double step)
{
    size_t at = is_steady(s, n, step) ? told_from(s, n, 0) : n;

    while (at < n) {
        size_t next = told_from(s, n, at + 1), back = next, odd = 0;
        while (back < n && odd <= ODD_MAX && !is_near(s, at, back, step, step / 2)) {
            back = told_from(s, n, back + 1);
            odd++;
        }
        if (back < n && odd <= ODD_MAX)
            for (; next < back; next++)
                s[next].pts = INT64_MIN;
        at = next;
    }
}

static int64_t rounded(double v)
{
    return (int64_t)(v < 0 ? v - 0.5 : v + 0.5);
}

static void fill_between(struct shown *s, size_t a, size_t b)
{
    double step = (double)(s[b].pts - s[a].pts) / (double)(b - a);

    for (size_t k = a + 1; k < b; k++)
        s[k].pts = s[a].pts + rounded((double)(k - a) * step);
}

static void fill_all(struct shown *s, size_t n, double step)
{
    size_t first = told_from(s, n, 0), at = first;

    for (size_t k = first; k-- > 0;)
        s[k].pts = s[first].pts - rounded((double)(first - k) * step);
    while (at < n) {
        size_t next = told_from(s, n, at + 1);
        if (next < n) {
            fill_between(s, at, next);
        } else {
            for (size_t k = at + 1; k < n; k++)
                s[k].pts = s[at].pts + rounded((double)(k - at) * step);
        }
        at = next;
    }
}

static uint64_t put_times(struct media_index *idx, const struct shown *s, size_t n)
{
    uint64_t made = 0;

    for (size_t i = 0; i < n; i++) {
        struct index_packet *p = &idx->packets[s[i].packet];
        if (p->pts == s[i].pts)
            continue;
        int has_name = p->pos >= 0 && p->pts == INT64_MIN;
        p->pts = s[i].pts;
        p->flags |= PACKET_MADE;
        if (!has_name && s[i].packet > 0)
            p->flags &= ~(uint32_t)PACKET_KEY;
        made++;
    }
    return made;
}

int picture_times_make(struct media_index *idx, const struct picture_order *order, int64_t step,
                       uint64_t *ret)
{
    struct shown *s;
    size_t missing = 0, n;

    *ret = 0;
    for (size_t i = 0; i < idx->n; i++)
        missing += idx->packets[i].pts == INT64_MIN && !(idx->packets[i].flags & PACKET_HIDDEN);
    if (missing == 0)
        return 0;
    s = calloc(idx->n, sizeof(*s));
    if (!s)
        return -ENOMEM;
    n = shown_collect(idx, order, s);
    drop_odd(s, n, step_of(s, n, step));
    drop_fallen(s, n);
    if (told_from(s, n, 0) < n) {
        fill_all(s, n, step_of(s, n, step));
        *ret = put_times(idx, s, n);
    }
    free(s);
    return 0;
}
