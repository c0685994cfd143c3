#include "clock.h"

#include "open.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    BACK_S = 1, /* less is the order of pictures */
    AHEAD_S = 10,
    AGREE_S = 2,
    AGREE = 8,            /* packets that are asked */
    SLOWEST = 20,         /* pictures a second, where few have times */
    NEAR_BYTES = 8 << 20, /* between two streams' first packets behind a splice */
};

struct follower {
    struct clock_line *c;
    int64_t offset;
    int64_t last, top; /* of the line so far: the last time in decode order, and the latest */
    int64_t step;      /* from one packet to the next */
    int64_t since;     /* packets since the last that has a time, at least 1 */
    int64_t delay;     /* from decoding to showing, of the first packet behind a splice */
};

static int64_t stamp(const struct index_packet *p)
{
    return p->dts != AV_NOPTS_VALUE ? p->dts : p->pts;
}

static int64_t on_line(const struct follower *f, int64_t ts, int64_t near)
{
    return ts == AV_NOPTS_VALUE ? ts : media_unwrap(ts + f->offset, near, f->c->bits);
}

static int is_jump(const struct follower *f, int64_t t)
{
    int64_t ticks = f->c->ticks;

    return ticks > 0 && f->last != AV_NOPTS_VALUE &&
           (t - f->last < -BACK_S * ticks || t - f->last > AHEAD_S * ticks);
}

/* `after` packets further on, of which few may have times. */
static int agrees(const struct follower *f, const struct index_packet *p, size_t after, int64_t t)
{
    int64_t u = on_line(f, stamp(p), t), limit = (int64_t)AGREE_S * f->c->ticks;

    return u - t <= limit + (int64_t)after * f->c->ticks / SLOWEST && t - u <= limit;
}

/* Whether the packets after number `i` are of its time `t`, too. */
static int is_believed(const struct follower *f, const struct media_index *idx, size_t i, int64_t t)
{
    size_t asked = 0, yes = 0;

    for (size_t k = i + 1; k < idx->n && asked < AGREE; k++)
        if (stamp(&idx->packets[k]) != AV_NOPTS_VALUE) {
            asked++;
            yes += (size_t)agrees(f, &idx->packets[k], k - i, t);
        }
    return 2 * yes > asked;
}

/* The earliest picture of those that begin at packet `i`, whose time is `t`. */
static int64_t first_shown(const struct follower *f, const struct media_index *idx, size_t i,
                           int64_t t)
{
    int64_t first = INT64_MAX;

    for (size_t k = i; k < idx->n && k < i + AGREE; k++) {
        const struct index_packet *p = &idx->packets[k];
        int64_t u = on_line(f, p->pts != AV_NOPTS_VALUE ? p->pts : p->dts, t);
        if (u != AV_NOPTS_VALUE && agrees(f, p, k - i, t) && u < first)
            first = u;
    }
    return first == INT64_MAX ? t : first;
}

static int add_splice(struct follower *f, int64_t pos, int64_t jump)
{
    struct clock_line *c = f->c;
    struct splice *list = c->n_splices < SPLICES_MAX
                              ? realloc(c->splices, (c->n_splices + 1) * sizeof(*list))
                              : NULL;

    if (!list)
        return -ENOMEM;
    c->splices = list;
    c->splices[c->n_splices++] = (struct splice){ .pos = pos, .offset = f->offset };
    if (jump < 0 && -jump > c->back)
        c->back = -jump;
    if (jump > c->ahead)
        c->ahead = jump;
    return 0;
}

/* Where the line ends. The last packets may lack a time: one each 0.7 s is enough. */
static int64_t line_end(const struct follower *f)
{
    int64_t end = f->last + f->since * f->step + f->delay, top = f->top + f->step;

    return f->since > 1 && f->delay != INT64_MIN && end > top ? end : top;
}

/* Move what begins at packet `i` to the end of the line. */
static int splice_at(struct follower *f, const struct media_index *idx, size_t i, int64_t t)
{
    int64_t jump = t - f->last;

    f->offset += line_end(f) - first_shown(f, idx, i, t);
    f->delay = INT64_MIN;
    return add_splice(f, idx->packets[i].pos, jump);
}

static void put(struct follower *f, struct index_packet *p, int64_t t)
{
    p->pts = on_line(f, p->pts, t);
    if (p->dts != AV_NOPTS_VALUE)
        p->dts = t;
    if (f->last != AV_NOPTS_VALUE && t > f->last && (t - f->last) / f->since < f->c->ticks)
        f->step = (t - f->last) / f->since;
    if (f->delay == INT64_MIN)
        f->delay = p->pts != AV_NOPTS_VALUE && p->dts != AV_NOPTS_VALUE ? p->pts - t : 0;
    f->since = 1;
    f->last = t;
    if (f->top == AV_NOPTS_VALUE || (p->pts != AV_NOPTS_VALUE && p->pts > f->top))
        f->top = p->pts != AV_NOPTS_VALUE ? p->pts : t;
}

int clock_follow(struct clock_line *c, struct media_index *idx)
{
    struct follower f = { c, 0, AV_NOPTS_VALUE, AV_NOPTS_VALUE, c->ticks / 25, 1, INT64_MIN };

    for (size_t i = 0; i < idx->n; i++) {
        struct index_packet *p = &idx->packets[i];
        int64_t ts = stamp(p), t = on_line(&f, ts, f.last);
        if (ts == AV_NOPTS_VALUE) {
            f.since++;
            continue;
        }
        if (is_jump(&f, t)) {
            if (p->pos < 0 || c->n_splices == SPLICES_MAX || !is_believed(&f, idx, i, t)) {
                p->pts = p->dts = AV_NOPTS_VALUE;
                p->flags &= ~(uint32_t)PACKET_KEY; /* a worker couldn't find it by its name */
                c->strays++;
                f.since++;
                continue;
            }
            if (splice_at(&f, idx, i, t) < 0)
                return -ENOMEM;
            t = on_line(&f, ts, f.last);
        }
        put(&f, p, t);
    }
    return 0;
}

/* The n-th jump of this stream is the n-th splice, and where it lies before
 * the followed stream's, the splice is there. One may lack a jump of its own. */
static void widen(struct clock_line *c, const struct media_index *idx)
{
    struct follower raw = { c, 0, AV_NOPTS_VALUE, AV_NOPTS_VALUE, 0, 1, INT64_MIN };
    size_t k = 0;

    for (size_t i = 0; i < idx->n && k < c->n_splices; i++) {
        const struct index_packet *p = &idx->packets[i];
        int64_t t = on_line(&raw, stamp(p), raw.last);
        if (t == AV_NOPTS_VALUE)
            continue;
        if (p->pos >= 0 && is_jump(&raw, t) && is_believed(&raw, idx, i, t)) {
            while (k + 1 < c->n_splices && c->splices[k + 1].pos <= p->pos)
                k++;
            struct splice *s = &c->splices[k++];
            if (s->pos > p->pos && s->pos - p->pos < NEAR_BYTES)
                s->pos = p->pos;
        }
        raw.last = t;
    }
}

void clock_take_along(struct clock_line *c, struct media_index *idx)
{
    struct follower f = { c, 0, AV_NOPTS_VALUE, AV_NOPTS_VALUE, 0, 1, INT64_MIN };
    size_t next = 0;

    widen(c, idx);
    for (size_t i = 0; i < idx->n; i++) {
        struct index_packet *p = &idx->packets[i];
        while (next < c->n_splices && p->pos >= c->splices[next].pos)
            f.offset = c->splices[next++].offset;
        int64_t t = on_line(&f, stamp(p), f.last);
        if (t == AV_NOPTS_VALUE)
            continue;
        if (is_jump(&f, t) && !is_believed(&f, idx, i, t)) {
            p->pts = p->dts = AV_NOPTS_VALUE;
            continue;
        }
        put(&f, p, t);
    }
}
