#include "shown_times.h"

#include "picture_scan.h"
#include "shown.h"

#include <errno.h>
#include <stdlib.h>

struct shown_times {
    const AVStream *st;
    struct picture_scan scan;
    struct media_index idx;
    size_t room;
};

struct shown_times *shown_times_new(const AVStream *st)
{
    struct shown_times *t = calloc(1, sizeof(*t));

    if (!t)
        return NULL;
    t->st = st;
    picture_scan_open(&t->scan, st, 1);
    return t;
}

void shown_times_free(struct shown_times *t)
{
    if (!t)
        return;
    picture_scan_close(&t->scan);
    media_index_release(&t->idx);
    free(t);
}

int shown_times_add(struct shown_times *t, const AVPacket *pkt, int64_t pts, int64_t dts)
{
    int second = picture_scan_packet(&t->scan, pkt);

    if (second < 0)
        return second;
    if (t->idx.n == SHOWN_TIMES_MAX)
        return -E2BIG;
    if (t->idx.n == t->room) {
        size_t room = t->room ? 2 * t->room : 1024;
        struct index_packet *grown = reallocarray(t->idx.packets, room, sizeof(*grown));
        if (!grown)
            return -ENOMEM;
        t->idx.packets = grown;
        t->room = room;
    }
    struct index_packet *p = &t->idx.packets[t->idx.n++];
    *p = (struct index_packet){ .pts = pts == AV_NOPTS_VALUE ? INT64_MIN : pts,
                                .dts = dts == AV_NOPTS_VALUE ? INT64_MIN : dts,
                                .pos = pkt->pos };
    if (second)
        p->flags = PACKET_SECOND | PACKET_HIDDEN;
    else if (packet_shows_nothing(t->st->codecpar, pkt->data, (size_t)pkt->size))
        p->flags = PACKET_HIDDEN;
    return 0;
}

int shown_times_settle(struct shown_times *t)
{
    uint64_t made;

    return picture_scan_times(&t->scan, &t->idx, t->st, &made);
}

int64_t shown_times_of(const struct shown_times *t, size_t packet)
{
    if (packet < t->idx.n && packet > 0 && t->idx.packets[packet].flags & PACKET_SECOND)
        packet--;
    if (packet >= t->idx.n || t->idx.packets[packet].pts == INT64_MIN)
        return AV_NOPTS_VALUE;
    return t->idx.packets[packet].pts;
}
