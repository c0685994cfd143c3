#include "timers.h"

#include <errno.h>
#include <stdlib.h>

void timers_release(struct timers *t)
{
    free(t->v);
    *t = (struct timers){ 0 };
}

static void up(struct timers *t, size_t i)
{
    struct timer e = t->v[i];

    for (; i > 0 && e.at_ms < t->v[(i - 1) / 2].at_ms; i = (i - 1) / 2)
        t->v[i] = t->v[(i - 1) / 2];
    t->v[i] = e;
}

static void down(struct timers *t, size_t i)
{
    struct timer e = t->v[i];

    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= t->n)
            break;
        if (child + 1 < t->n && t->v[child + 1].at_ms < t->v[child].at_ms)
            child++;
        if (t->v[child].at_ms >= e.at_ms)
            break;
        t->v[i] = t->v[child];
        i = child;
    }
    t->v[i] = e;
}

int timers_add(struct timers *t, int64_t at_ms, void *owner, size_t what)
{
    if (t->n == t->cap) {
        size_t cap = t->cap ? 2 * t->cap : 64;
        struct timer *v = reallocarray(t->v, cap, sizeof(*v));
        if (!v)
            return -ENOMEM;
        t->v = v;
        t->cap = cap;
    }
    t->v[t->n++] = (struct timer){ at_ms, owner, what };
    up(t, t->n - 1);
    return 0;
}

int timers_pop(struct timers *t, int64_t now_ms, struct timer *ret)
{
    if (t->n == 0 || t->v[0].at_ms > now_ms)
        return 0;
    *ret = t->v[0];
    t->v[0] = t->v[--t->n];
    if (t->n > 0)
        down(t, 0);
    return 1;
}

int64_t timers_next(const struct timers *t)
{
    return t->n > 0 ? t->v[0].at_ms : INT64_MAX;
}

size_t timers_forget(struct timers *t, const void *owner, size_t what)
{
    size_t n = 0, gone;

    for (size_t i = 0; i < t->n; i++)
        if (t->v[i].owner != owner || (what != SIZE_MAX && t->v[i].what != what))
            t->v[n++] = t->v[i];
    gone = t->n - n;
    t->n = n;
    for (size_t i = n / 2; gone > 0 && i-- > 0;)
        down(t, i);
    return gone;
}
