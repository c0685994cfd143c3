#include "pmt.h"

#include <string.h>

enum {
    PACKET = 188,
    SYNC = 0x47,
    PROGRAMMES_MAX = 64,
    PIDS = 0x2000,
    TABLE_PAT = 0,
    TABLE_PMT = 2,
    DESCRIPTOR_REGISTRATION = 5,
    DESCRIPTOR_EXTENSION = 0x7f, /* of DVB */
};

struct reading {
    struct pmt *to;
    uint16_t tables[PROGRAMMES_MAX]; /* PIDs */
    size_t n_tables;
};

static unsigned u16(const uint8_t *p)
{
    return (unsigned)p[0] << 8 | p[1];
}

const struct pmt_stream *pmt_find(const struct pmt *p, int pid)
{
    for (size_t i = 0; i < p->n; i++)
        if (p->streams[i].pid == pid)
            return &p->streams[i];
    return NULL;
}

static struct pmt_stream *stream_of(struct pmt *p, unsigned pid)
{
    for (size_t i = 0; i < p->n; i++)
        if (p->streams[i].pid == pid)
            return &p->streams[i];
    if (p->n == PMT_STREAMS_MAX)
        return NULL;
    p->streams[p->n] = (struct pmt_stream){ .pid = (uint16_t)pid };
    return &p->streams[p->n++];
}

static void read_descriptors(struct pmt_stream *s, const uint8_t *p, size_t n)
{
    while (n >= 2 && n - 2 >= p[1]) {
        if (p[0] == DESCRIPTOR_REGISTRATION && p[1] >= 4)
            memcpy(s->format, p + 2, 4);
        if (p[0] == DESCRIPTOR_EXTENSION && p[1] >= 1)
            s->extension = p[2];
        n -= 2u + p[1];
        p += 2 + p[1];
    }
}

/* Of a section's body, behind the programme's number and without its checksum. */
static void read_streams(struct reading *r, const uint8_t *p, size_t n)
{
    if (n < 7)
        return;
    size_t skip = 7 + (u16(p + 5) & 0xfff);
    while (n >= skip && n - skip >= 5) {
        p += skip;
        n -= skip;
        size_t more = u16(p + 3) & 0xfff;
        struct pmt_stream *s = stream_of(r->to, u16(p + 1) & 0x1fff);
        if (s) {
            s->type = p[0];
            read_descriptors(s, p + 5, more < n - 5 ? more : n - 5);
        }
        skip = 5 + more;
    }
}

static void read_programmes(struct reading *r, const uint8_t *p, size_t n)
{
    for (p += 5, n = n < 5 ? 0 : n - 5; n >= 4; p += 4, n -= 4)
        if (u16(p) != 0 && r->n_tables < PROGRAMMES_MAX)
            r->tables[r->n_tables++] = (uint16_t)(u16(p + 2) & 0x1fff);
}

/* A section that begins in a packet's payload, and ends there. */
static void read_section(struct reading *r, unsigned pid, const uint8_t *p, size_t n)
{
    if (n < 1 || n - 1 < (size_t)p[0] + 3)
        return;
    n -= 1u + p[0];
    p += 1 + p[0];
    size_t length = u16(p + 1) & 0xfff;
    if (length < 4 || length > n - 3)
        return;
    if (pid == 0 && p[0] == TABLE_PAT && r->n_tables == 0)
        read_programmes(r, p + 3, length - 4);
    for (size_t i = 0; i < r->n_tables && p[0] == TABLE_PMT; i++)
        if (r->tables[i] == pid) {
            read_streams(r, p + 3 + 2, length < 6 ? 0 : length - 6);
            return;
        }
}

static void read_packet(struct reading *r, const uint8_t *p)
{
    unsigned pid = u16(p + 1) & 0x1fff, scrambled = p[3] >> 6;
    size_t at = 4 + (p[3] & 0x20 ? 1u + p[4] : 0);

    if (p[1] & 0x80 || !(p[3] & 0x10) || at >= PACKET)
        return;
    struct pmt_stream *s = (struct pmt_stream *)pmt_find(r->to, (int)pid);
    if (s) {
        s->scrambled += scrambled != 0;
        s->clear += scrambled == 0;
    } else if (p[1] & 0x40 && !scrambled) {
        read_section(r, pid, p + at, PACKET - at);
    }
}

/* How far packets are apart; 0: it is no MPEG-TS. *ret_first: where the first begins. */
static size_t find_step(const uint8_t *p, size_t size, size_t *ret_first)
{
    static const size_t steps[] = { PACKET, 192, 204 };

    for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++)
        for (size_t at = 0; at < 4 * steps[i] && at + 4 * steps[i] < size; at++) {
            int n = 0;
            while (n < 5 && p[at + (size_t)n * steps[i]] == SYNC)
                n++;
            *ret_first = at;
            if (n == 5)
                return steps[i];
        }
    return 0;
}

void pmt_read(const uint8_t *p, size_t size, struct pmt *ret)
{
    struct reading r = { .to = ret };
    size_t at, step = find_step(p, size, &at);

    *ret = (struct pmt){ 0 };
    for (; step && at + PACKET <= size; at += step)
        if (p[at] == SYNC)
            read_packet(&r, p + at);
}
