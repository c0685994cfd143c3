/* reseek - whether a worker that begins anywhere reads what the planner's scan read.
 *
 *   reseek FILE...
 *
 * From each keyframe of the index on, packets must have the bytes and the times that one reading
 * from the beginning gives them. Prints a line for each file, and for what differs. 0: nothing.
 */
#include "../unit/inside_double.h"

#include "common/base/err.h"
#include "common/media/probe.h"
#include "common/media/reader.h"

#include <fcntl.h>
#include <libavutil/crc.h>
#include <libavutil/log.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FOLLOW = 40, KEYS_MAX = 150, PRINT_MAX = 8 };

struct seen {
    int64_t pts, dts, pos;
    int size;
    uint32_t crc;
};

struct source {
    struct inside in;
    struct media_info info;
    struct media_index idx;
    struct seen *seen; /* by one reading */
    size_t n, room;
    size_t skip; /* packets before the first of the index */
    int differ;
};

static struct seen seen_of(const AVPacket *p)
{
    const AVCRC *table = av_crc_get_table(AV_CRC_32_IEEE);
    struct seen s = { p->pts, p->dts, p->pos, p->size, 0 };
    const uint8_t *data = p->data;

    /* How many zeroes stand before the first start code is of no account. */
    for (; s.size > 0 && !*data; data++)
        s.size--;
    s.crc = av_crc(table, 0, data, (size_t)s.size);
    return s;
}

static int read_once(struct source *s, struct err *err)
{
    struct reader r;
    int n = reader_open(&s->in, &s->info, &r, err);

    while (n == 0 && (n = reader_next(&r, err)) == 0) {
        if (s->n == s->room) {
            struct seen *grown = realloc(s->seen, (2 * s->room + 64) * sizeof(*grown));
            if (!grown)
                abort();
            s->seen = grown;
            s->room = 2 * s->room + 64;
        }
        s->seen[s->n++] = seen_of(r.pkt);
    }
    reader_close(&r);
    s->skip = s->n >= s->idx.n ? s->n - s->idx.n : 0;
    return n == AVERROR_EOF ? 0 : n;
}

static void differ(struct source *s, size_t key, size_t at, const char *what, const struct seen *x)
{
    const struct seen *w = &s->seen[at];

    if (s->differ++ >= PRINT_MAX)
        return;
    printf("  from packet %zu, packet %zu: %s\n", key, at - s->skip, what);
    if (x)
        printf("    pts %lld dts %lld at %lld, %d bytes; %lld %lld %lld, %d by one reading\n",
               (long long)x->pts, (long long)x->dts, (long long)x->pos, x->size, (long long)w->pts,
               (long long)w->dts, (long long)w->pos, w->size);
}

static int same(const struct seen *a, const struct seen *b)
{
    return a->pts == b->pts && a->dts == b->dts && a->size == b->size && a->crc == b->crc;
}

static int begin_at(struct source *s, size_t key, struct err *err)
{
    const struct index_packet *p = &s->idx.packets[key];
    const struct packet_name to = { p->pts, p->dts, p->pos < 0 ? -1 : p->pos };
    struct reader r;
    int n = reader_open(&s->in, &s->info, &r, err);

    if (n == 0)
        n = reader_go_to(&r, &to, key == 0, err);
    const struct seen named = { to.pts, to.dts, to.pos, (int)p->size, 0 };

    if (n == AVERROR_EOF)
        differ(s, key, key + s->skip, "isn't found", &named);
    for (size_t at = key + s->skip; n == 0 && at < s->n && at < key + s->skip + FOLLOW; at++) {
        const struct seen x = seen_of(r.pkt);
        if (!same(&x, &s->seen[at])) {
            differ(s, key, at, x.crc == s->seen[at].crc ? "other times" : "other bytes", &x);
            break;
        }
        n = at + 1 < s->n ? reader_next(&r, err) : AVERROR_EOF;
        if (n == AVERROR_EOF && at + 1 < s->n)
            differ(s, key, at + 1, "the end", NULL);
    }
    reader_close(&r);
    return n == AVERROR_EOF ? 0 : n;
}

static int compare(struct source *s, struct err *err)
{
    size_t keys = 0, tried = 0, nth;
    int r = 0;

    for (size_t i = 0; i < s->idx.n; i++)
        keys += (s->idx.packets[i].flags & PACKET_KEY) != 0;
    nth = keys / KEYS_MAX + 1;
    keys = 0;
    for (size_t i = 0; i < s->idx.n && r == 0; i++) {
        if (!(s->idx.packets[i].flags & PACKET_KEY) || keys++ % nth != 0)
            continue;
        r = begin_at(s, i, err);
        tried++;
    }
    printf("  %zu packets, %zu in the index, %zu keyframes tried: %d differ\n", s->n, s->idx.n,
           tried, s->differ);
    return r;
}

static int check(const char *path)
{
    struct source s = { 0 };
    struct err err = { 0 };
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC), r;

    if (fd < 0 || fstat(fd, &st) < 0 || st.st_size == 0)
        return -1;
    s.in.size = (uint64_t)st.st_size;
    void *map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    if (map == MAP_FAILED)
        return -1;
    s.in.data = map;
    r = media_probe(&s.in, &s.info, &s.idx, &err);
    if (r == 0 && s.info.video.stream >= 0)
        r = read_once(&s, &err);
    if (r == 0)
        r = compare(&s, &err);
    if (r < 0)
        printf("  %s\n", err.text);
    free(s.seen);
    media_info_release(&s.info);
    media_index_release(&s.idx);
    (void)munmap(map, (size_t)st.st_size);
    return r < 0 ? r : s.differ;
}

int main(int argc, char **argv)
{
    int bad = 0;

    av_log_set_level(AV_LOG_QUIET);
    for (int i = 1; i < argc; i++) {
        printf("%s\n", argv[i]);
        bad |= check(argv[i]) != 0;
    }
    return bad;
}
