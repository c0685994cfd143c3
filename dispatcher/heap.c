#include "heap.h"

#include <errno.h>
#include <stdlib.h>

void heap_release(struct heap *h)
{
    free(h->v);
    h->v = NULL;
    h->n = h->cap = 0;
}

int heap_reserve(struct heap *h, size_t n)
{
    if (n <= h->cap)
        return 0;
    size_t cap = n > 2 * h->cap ? n : 2 * h->cap;
    void **v = reallocarray(h->v, cap, sizeof(*v));
    if (!v)
        return -ENOMEM;
    h->v = v;
    h->cap = cap;
    return 0;
}

static void put(struct heap *h, size_t i, void *e)
{
    h->v[i] = e;
    *h->at(e) = i;
}

static void up(struct heap *h, size_t i)
{
    void *e = h->v[i];

    for (; i > 0 && h->less(e, h->v[(i - 1) / 2]); i = (i - 1) / 2)
        put(h, i, h->v[(i - 1) / 2]);
    put(h, i, e);
}

static void down(struct heap *h, size_t i)
{
    void *e = h->v[i];

    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= h->n)
            break;
        if (child + 1 < h->n && h->less(h->v[child + 1], h->v[child]))
            child++;
        if (!h->less(h->v[child], e))
            break;
        put(h, i, h->v[child]);
        i = child;
    }
    put(h, i, e);
}

void heap_push(struct heap *h, void *e)
{
    put(h, h->n++, e);
    up(h, h->n - 1);
}

void heap_fix(struct heap *h, void *e)
{
    up(h, *h->at(e));
    down(h, *h->at(e));
}

void heap_remove(struct heap *h, void *e)
{
    size_t i = *h->at(e);

    if (i == HEAP_NOWHERE)
        return;
    *h->at(e) = HEAP_NOWHERE;
    void *last = h->v[--h->n];
    if (last == e)
        return;
    put(h, i, last);
    heap_fix(h, last);
}
