#include "reorder.h"

/* The last times, of which the oldest is overwritten next. */
struct recent_times {
    int64_t list[REORDER_MAX];
    size_t n;
};

static int recent_later(const struct recent_times *t, int64_t pts)
{
    size_t n = t->n < REORDER_MAX ? t->n : REORDER_MAX;
    int later = 0;

    for (size_t i = 0; i < n; i++)
        later += t->list[i] > pts;
    return later;
}

int reorder_depth(const struct media_index *idx)
{
    struct recent_times t = { 0 };
    int depth = 0;

    for (size_t i = 0; i < idx->n; i++) {
        const struct index_packet *p = &idx->packets[i];
        if (p->pts == INT64_MIN || p->flags & PACKET_HIDDEN)
            continue;
        int later = recent_later(&t, p->pts);
        if (later == REORDER_MAX) /* the clock started over */
            t.n = 0;
        else if (later > depth)
            depth = later;
        t.list[t.n++ % REORDER_MAX] = p->pts;
    }
    return depth;
}
