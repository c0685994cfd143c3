#include "picture_times.h"

#include <errno.h>
#include <libavutil/frame.h>
#include <libavutil/mathematics.h>
#include <math.h>
#include <stdlib.h>

#include "source.h"

int picture_times_add(struct picture_times *t, const AVFrame *f, int damaged)
{
    if (t->n == t->room) {
        size_t room = t->room ? 2 * t->room : 1024;
        struct picture_time *grown = realloc(t->list, room * sizeof(*grown));
        if (!grown)
            return -ENOMEM;
        t->list = grown;
        t->room = room;
    }
    int64_t at = f->pts;
    if (at == AV_NOPTS_VALUE && !t->stamps_only)
        at = f->best_effort_timestamp;
    t->list[t->n++] = (struct picture_time){ .at = at, .key = f->key_frame, .damaged = damaged };
    return 0;
}

int picture_times_damage(struct picture_times *t, int64_t at)
{
    if (at == AV_NOPTS_VALUE)
        return 0;
    if (t->n_damage == t->damage_room) {
        size_t room = t->damage_room ? 2 * t->damage_room : 64;
        int64_t *grown = realloc(t->damage, room * sizeof(*grown));
        if (!grown)
            return -ENOMEM;
        t->damage = grown;
        t->damage_room = room;
    }
    t->damage[t->n_damage++] = at;
    return 0;
}

void picture_times_release(struct picture_times *t)
{
    free(t->list);
    free(t->damage);
}

/* ---- pictures without a stamp ---- */

enum { ODD_MAX = 4 }; /* stamps in a row */

/* Of stamped neighbours; else of the stream; 0: nobody says. */
static double pace_of(const struct picture_times *t)
{
    size_t last = SIZE_MAX, pictures = 0;
    double span = 0;
    for (size_t i = 0; i < t->n; i++) {
        if (t->list[i].at == AV_NOPTS_VALUE)
            continue;
        if (last != SIZE_MAX && t->list[i].at > t->list[last].at) {
            span += (double)(t->list[i].at - t->list[last].at);
            pictures += i - last;
        }
        last = i;
    }
    if (pictures)
        return span / (double)pictures;
    return t->rate.num > 0 ? 1 / (av_q2d(t->rate) * av_q2d(t->tb)) : 0;
}

static int64_t between(const struct picture_times *t, size_t before, size_t i, size_t after,
                       double pace)
{
    if (before != SIZE_MAX && after != SIZE_MAX)
        return t->list[before].at + av_rescale(t->list[after].at - t->list[before].at,
                                               (int64_t)(i - before), (int64_t)(after - before));
    if (before != SIZE_MAX)
        return t->list[before].at + (int64_t)(pace * (double)(i - before) + 0.5);
    if (after != SIZE_MAX)
        return t->list[after].at - (int64_t)(pace * (double)(after - i) + 0.5);
    return (int64_t)(pace * (double)i + 0.5);
}

/* The next stamp, from `i` on; t->n: none. */
static size_t stamped(const struct picture_times *t, size_t i)
{
    while (i < t->n && t->list[i].at == AV_NOPTS_VALUE)
        i++;
    return i;
}

static double off_pace(const struct picture_times *t, size_t a, size_t b, double pace)
{
    return fabs((double)t->list[b].at - (double)t->list[a].at - (double)(b - a) * pace);
}

/* libavformat gives a stamp to the picture before its own where PES packets begin within small
 * pictures. Where most stamps keep the pace, up to ODD_MAX that don't, with one behind them
 * that does, are left out. */
static void leave_out_odd(struct picture_times *t, double pace)
{
    size_t pairs = 0, even = 0;
    for (size_t i = stamped(t, 0), j; (j = stamped(t, i + 1)) < t->n; i = j, pairs++)
        even += off_pace(t, i, j, pace) <= (double)(j - i) * pace / 20 + 1.5;
    if (pairs == t->n - 1 || pairs < ODD_MAX || 3 * even < 2 * pairs)
        return;
    for (size_t i = stamped(t, 0), j; i < t->n; i = j) {
        size_t back = j = stamped(t, i + 1), odd = 0;
        for (; back < t->n && odd <= ODD_MAX && off_pace(t, i, back, pace) > pace / 2; odd++)
            back = stamped(t, back + 1);
        for (; back < t->n && odd <= ODD_MAX && j < back; j++)
            t->list[j].at = AV_NOPTS_VALUE;
    }
}

/* A container that gives times gives none to what lies before its time 0, which isn't
 * shown then. How many pictures those are. */
static size_t unsaid(const struct picture_times *t)
{
    size_t n = 0;
    while (!t->stamps_only && n < t->n && t->list[n].at == AV_NOPTS_VALUE)
        n++;
    return n < t->n ? n : 0;
}

/* Of those from `from` on. Returns how many there were. */
static size_t fill_in(struct picture_times *t, size_t from)
{
    double pace = pace_of(t);
    size_t before = SIZE_MAX, filled = 0;
    for (size_t i = from; i < t->n;) {
        if (t->list[i].at != AV_NOPTS_VALUE) {
            before = i++;
            continue;
        }
        size_t after = i;
        while (after < t->n && t->list[after].at == AV_NOPTS_VALUE)
            after++;
        filled += after - i;
        size_t known = after < t->n ? after : SIZE_MAX;
        for (; i < after; i++)
            t->list[i].at = between(t, before, i, known, pace);
    }
    return filled;
}

/* ---- damage ---- */

/* What doesn't decode may show until the next keyframe; and a decoder that starts
 * at the keyframe before may make something else of it. Where it
 * is marked already, so is all of that. */
static void hurt_around(struct source *s, const struct picture_times *t, size_t i)
{
    size_t from = i;
    while (from && !t->list[s->pictures[from].number].key)
        from--;
    for (; from < s->n && (from <= i || !t->list[s->pictures[from].number].key); from++)
        s->pictures[from].hurt = 1;
}

static void spread_damage(struct source *s, const struct picture_times *t)
{
    for (size_t i = 0; i < s->n; i++)
        if (t->list[s->pictures[i].number].damaged && !s->pictures[i].hurt)
            hurt_around(s, t, i);
    for (size_t k = 0; k < t->n_damage && s->n; k++) {
        size_t lo = 0, hi = s->n;
        while (lo < hi) {
            size_t mid = lo + (hi - lo) / 2;
            if (s->pictures[mid].at <= t->damage[k])
                lo = mid + 1;
            else
                hi = mid;
        }
        if (!s->pictures[lo ? lo - 1 : 0].hurt)
            hurt_around(s, t, lo ? lo - 1 : 0);
    }
}

/* ---- all of it ---- */

static int by_time(const void *a, const void *b)
{
    const struct source_picture *x = a, *y = b;
    if (x->at != y->at)
        return x->at < y->at ? -1 : 1;
    return (x->number > y->number) - (x->number < y->number);
}

int picture_times_settle(struct picture_times *t, struct source *s)
{
    s->pictures = calloc(t->n + 1, sizeof(*s->pictures));
    if (!s->pictures)
        return -ENOMEM;
    size_t n = 0, from = unsaid(t);
    if (t->stamps_only)
        leave_out_odd(t, pace_of(t));
    if (fill_in(t, from))
        s->slack_s = 0.001;
    for (size_t i = from; i < t->n; i++)
        if (!s->begins_at_key || t->list[i].at >= s->first_shown)
            s->pictures[n++] = (struct source_picture){ .at = t->list[i].at, .number = i };
    qsort(s->pictures, n, sizeof(*s->pictures), by_time);
    for (size_t i = 0; i < n; i++)
        if (!s->n || s->pictures[s->n - 1].at != s->pictures[i].at)
            s->pictures[s->n++] = s->pictures[i];
    spread_damage(s, t);
    return 0;
}
