/* pes - MPEG-TS whose PES packets of video are what ISO/IEC 13818-1 allows and muxers seldom write.
 *
 *   pes strip N <in.ts >out.ts
 *   pes shift BYTES PICTURES <in.ts >out.ts
 *
 * strip: only one of N keeps its PTS and DTS, as is legal where these come each 0.7 s (2.7.4):
 * flags are cleared, and stuffing bytes stand where times were.
 * shift: each begins BYTES before its picture does, with the end of the one before, holds that
 * many pictures, and has the times of the first that begins in it (2.4.3.7). Only the video is
 * kept.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    PACKET = 188,
    VIDEO_FIRST = 0xe0,
    VIDEO_LAST = 0xef,
    HEAD = 19, /* of a PES packet with both times */
    BYTES_MAX = 64 << 20,
    PICTURES_MAX = 100000,
};

static uint8_t *payload_of(uint8_t *p)
{
    int at = 4 + (p[3] & 0x20 ? 1 + p[4] : 0);

    return p[0] == 0x47 && p[3] & 0x10 && at < PACKET ? p + at : NULL;
}

static int pid_of(const uint8_t *p)
{
    return (p[1] & 0x1f) << 8 | p[2];
}

/* Where a PES packet of video begins in this packet; NULL: none does. */
static uint8_t *pes_in(uint8_t *p)
{
    uint8_t *pes = payload_of(p);

    if (!pes || !(p[1] & 0x40) || pes + HEAD > p + PACKET)
        return NULL;
    int is = !pes[0] && !pes[1] && pes[2] == 1 && pes[3] >= VIDEO_FIRST && pes[3] <= VIDEO_LAST;
    return is ? pes : NULL;
}

static void strip_times(uint8_t *pes)
{
    size_t n = pes[7] >> 6 == 3 ? 10 : pes[7] >> 6 == 2 ? 5 : 0;

    pes[7] &= 0x3f;
    memset(pes + 9, 0xff, n);
}

static int strip(long n)
{
    uint8_t p[PACKET];
    long seen = 0;

    while (fread(p, 1, PACKET, stdin) == PACKET) {
        uint8_t *pes = pes_in(p);
        if (pes && seen++ % n != 0)
            strip_times(pes);
        if (fwrite(p, 1, PACKET, stdout) != PACKET)
            return 1;
    }
    return fflush(stdout) != 0;
}

/* ---- shift ---- */

struct stream {
    int pid;       /* 0: not known yet */
    unsigned next; /* continuity counter */
    uint8_t *es;
    size_t n_es;
    size_t begin[PICTURES_MAX];
    uint8_t times[PICTURES_MAX][10]; /* PTS and DTS as they are written (2.4.3.6) */
    size_t n;
};

static int read_pes(struct stream *s, const uint8_t *pes, const uint8_t *end)
{
    uint8_t *t = s->times[s->n];
    const uint8_t *data = pes + 9 + pes[8];

    if (s->n == PICTURES_MAX || pes[7] >> 6 < 2 || data > end)
        return -1;
    memcpy(t, pes + 9, 10);
    if (pes[7] >> 6 == 2)
        memcpy(t + 5, t, 5);
    t[0] = (uint8_t)(0x30 | (t[0] & 0x0f));
    t[5] = (uint8_t)(0x10 | (t[5] & 0x0f));
    s->begin[s->n++] = s->n_es;
    memcpy(s->es + s->n_es, data, (size_t)(end - data));
    s->n_es += (size_t)(end - data);
    return 0;
}

/* Packets before the video's first are kept as they are: the tables. */
static int read_all(struct stream *s)
{
    uint8_t p[PACKET];

    while (fread(p, 1, PACKET, stdin) == PACKET) {
        uint8_t *pes = pes_in(p), *data = payload_of(p);
        if (!s->pid && pes)
            s->pid = pid_of(p);
        if (!s->pid && fwrite(p, 1, PACKET, stdout) != PACKET)
            return -1;
        if (!s->pid || pid_of(p) != s->pid || !data)
            continue;
        if (s->n_es + PACKET > BYTES_MAX)
            return -1;
        if (pes && read_pes(s, pes, p + PACKET) < 0)
            return -1;
        if (!pes && s->n > 0) {
            memcpy(s->es + s->n_es, data, (size_t)(p + PACKET - data));
            s->n_es += (size_t)(p + PACKET - data);
        }
    }
    return s->n > 0 ? 0 : -1;
}

/* One packet of what is left; stuffing where that is less than a packet (2.4.3.5). */
static size_t write_packet(struct stream *s, const uint8_t *data, size_t n, int begins)
{
    size_t room = PACKET - 4, took = n < room ? n : room, fill = room - took;
    uint8_t p[PACKET] = { 0x47, (uint8_t)((begins ? 0x40 : 0) | s->pid >> 8), (uint8_t)s->pid,
                          (uint8_t)((fill ? 0x30 : 0x10) | (s->next++ & 15)) };

    if (fill > 0)
        p[4] = (uint8_t)(fill - 1);
    if (fill > 1) {
        p[5] = 0;
        memset(p + 6, 0xff, fill - 2);
    }
    memcpy(p + 4 + fill, data, took);
    return fwrite(p, 1, PACKET, stdout) == PACKET ? took : 0;
}

static int write_pes(struct stream *s, size_t first, size_t from, size_t to)
{
    uint8_t *pes = malloc(HEAD + to - from);
    static const uint8_t head[9] = { 0, 0, 1, VIDEO_FIRST, 0, 0, 0x80, 0xc0, 10 };
    size_t n = HEAD + to - from, at = 0, took = 1;

    if (!pes)
        return -1;
    memcpy(pes, head, sizeof(head));
    memcpy(pes + sizeof(head), s->times[first], 10);
    memcpy(pes + HEAD, s->es + from, to - from);
    for (; at < n && took > 0; at += took)
        took = write_packet(s, pes + at, n - at, at == 0);
    free(pes);
    return took > 0 ? 0 : -1;
}

static int shift(size_t bytes, size_t pictures)
{
    struct stream *s = calloc(1, sizeof(*s));
    size_t from = 0, to;
    int r = -1;

    if (s)
        s->es = malloc(BYTES_MAX);
    if (s && s->es)
        r = read_all(s);
    for (size_t k = 0, first = 0; r == 0 && k < s->n; k += pictures, from = to) {
        size_t next = k + pictures < s->n ? s->begin[k + pictures] : s->n_es;
        to = next == s->n_es ? next : next > from + bytes ? next - bytes : from;
        if (to == from)
            continue;
        while (first + 1 < s->n && s->begin[first] < from)
            first++;
        r = write_pes(s, first, from, to);
    }
    if (s)
        free(s->es);
    free(s);
    return r < 0 || fflush(stdout) != 0;
}

int main(int argc, char **argv)
{
    long n = argc > 2 ? atol(argv[2]) : 0, m = argc > 3 ? atol(argv[3]) : 0;

    if (argc == 3 && strcmp(argv[1], "strip") == 0 && n > 0)
        return strip(n);
    if (argc == 4 && strcmp(argv[1], "shift") == 0 && n >= 0 && m > 0)
        return shift((size_t)n, (size_t)m);
    fprintf(stderr, "usage: pes strip N | pes shift BYTES PICTURES; <in.ts >out.ts\n");
    return 2;
}
