#include "beginning.h"

#include "index_build.h"

void beginning_look(struct beginning *b, struct index_packet *p, const AVCodecParameters *par,
                    const AVPacket *pkt)
{
    if (b->seen || !(p->flags & PACKET_KEY))
        return;
    b->seen = 1;
    b->recovery = keyframe_recovery(par, pkt->data, (size_t)pkt->size);
    if (keyframe_is_open(par, pkt->data, (size_t)pkt->size))
        p->flags |= PACKET_OPEN;
}

/* In decode order: frame_num counts pictures that others refer to, and where pictures are
 * refreshed bit by bit all but B pictures are. */
uint64_t beginning_hide(const struct beginning *b, struct media_index *idx)
{
    size_t key = 0;
    uint64_t n = 0;

    while (key < idx->n && !(idx->packets[key].flags & PACKET_KEY))
        key++;
    if (b->recovery == 0 || b->recovery >= idx->n - key)
        return 0;
    for (size_t i = key; i < key + b->recovery; i++) {
        n += !(idx->packets[i].flags & PACKET_HIDDEN);
        idx->packets[i].flags |= PACKET_HIDDEN;
    }
    return n;
}

/* Without a keyframe before them, the first packets show nothing that is right; nor do those
 * behind a keyframe that are shown before it and need what isn't there. */
uint64_t index_begin_at_key(struct media_index *idx)
{
    size_t key = 0, n = 0;
    uint64_t shown = 0;

    while (key < idx->n && !(idx->packets[key].flags & PACKET_KEY))
        key++;
    if (key == idx->n || (key == 0 && !(idx->packets[0].flags & (PACKET_OPEN | PACKET_UNSAFE))))
        return 0;
    int64_t from = idx->packets[key].pts;
    for (size_t i = 0; i < idx->n; i++) {
        struct index_packet *p = &idx->packets[i];
        int early = i < key || (p->pts != INT64_MIN && p->pts < from);
        shown += early && !(p->flags & PACKET_HIDDEN);
        if (i >= key && early)
            p->flags |= PACKET_HIDDEN;
        if (i >= key)
            idx->packets[n++] = *p;
    }
    idx->n = n;
    return shown;
}
