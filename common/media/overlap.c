#include "overlap.h"

uint64_t overlap_hide(struct media_index *idx)
{
    int64_t top = INT64_MIN;
    uint64_t n = 0;

    for (size_t i = 0; i < idx->n; i++) {
        struct index_packet *p = &idx->packets[i];
        if (p->dts == INT64_MIN)
            continue;
        if (p->dts > top) {
            top = p->dts;
            continue;
        }
        p->flags = (p->flags | PACKET_HIDDEN) & ~(uint32_t)PACKET_KEY;
        n++;
    }
    return n;
}
