#include "seams.h"

#include "joined.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { LOOK = 8, SLOWEST = 20 }; /* stamps; packets a second, where few have one */

struct mark { /* a packet */
    int64_t at, shown, pos;
    int64_t number; /* of all packets of the stream */
};

struct marks {
    struct mark *list;
    size_t n, room;
    int64_t packets; /* with a stamp and without */
};

static int keep(struct marks *m, const AVPacket *pkt)
{
    int64_t at = pkt->dts != AV_NOPTS_VALUE ? pkt->dts : pkt->pts;
    int64_t number = m->packets++;
    if (at == AV_NOPTS_VALUE)
        return 0;
    if (m->n == m->room) {
        size_t room = m->room ? 2 * m->room : 1024;
        struct mark *grown = realloc(m->list, room * sizeof(*grown));
        if (!grown)
            return -ENOMEM;
        m->list = grown;
        m->room = room;
    }
    m->list[m->n++] = (struct mark){ at, pkt->pts != AV_NOPTS_VALUE ? pkt->pts : at, pkt->pos,
                                     number };
    return 0;
}

static int apart(int64_t from, int64_t to, int64_t second)
{
    return to - from < -second || to - from > 10 * second;
}

/* Whether number `i` begins something new, and isn't only a wrong stamp. */
static int begins_anew(const struct marks *m, size_t i, size_t before, int64_t second)
{
    size_t seen = 0, near = 0;
    if (!apart(m->list[before].at, m->list[i].at, second) || m->list[i].pos < 0)
        return 0;
    for (size_t k = i + 1; k < m->n && seen < LOOK; k++, seen++) {
        int64_t gone = m->list[k].at - m->list[i].at;
        int64_t most = 2 * second + (m->list[k].number - m->list[i].number) * second / SLOWEST;
        near += gone >= -2 * second && gone <= most;
    }
    return 2 * near > seen;
}

static int add(struct seams *s, int64_t pos, int64_t shift)
{
    struct seam *grown = realloc(s->list, (s->n + 1) * sizeof(*grown));
    if (!grown)
        return -ENOMEM;
    s->list = grown;
    s->list[s->n++] = (struct seam){ pos, shift };
    return 0;
}

static int64_t earliest(const struct marks *m, size_t i, int64_t second)
{
    int64_t least = m->list[i].shown;
    for (size_t k = i; k < m->n && k < i + LOOK; k++)
        if (llabs(m->list[k].at - m->list[i].at) <= 2 * second && m->list[k].shown < least)
            least = m->list[k].shown;
    return least;
}

/* Where the packets from `m` on end whose first one is shown `delay` after it is decoded: not all
 * of them need stamps. */
static int64_t end_of(const struct mark *m, int64_t number, int64_t step, int64_t delay)
{
    return number - m->number > 1 ? m->at + (number - m->number) * step + delay : INT64_MIN;
}

/* All in the source's own times; `shift` is what they get. */
static int follow(const struct marks *m, int64_t second, struct seams *ret)
{
    int64_t shift = 0, latest = INT64_MIN, step = second / 25;
    int64_t delay = m->n ? m->list[0].shown - m->list[0].at : 0;
    size_t before = 0;
    for (size_t i = 0; i < m->n; i++) {
        const struct mark *k = &m->list[i];
        int64_t packets = i ? k->number - m->list[before].number : 1;
        int64_t gone = (k->at - m->list[before].at) / packets;
        if (begins_anew(m, i, before, second)) {
            int64_t end = end_of(&m->list[before], k->number, step, delay);
            if (end == INT64_MIN || end + shift < latest + step)
                end = latest + step - shift;
            shift += end - earliest(m, i, second);
            delay = k->shown - k->at;
            if (add(ret, k->pos, shift) < 0)
                return -ENOMEM;
        } else if (apart(m->list[before].at, k->at, second)) {
            continue;
        } else if (gone > 0 && gone < second) {
            step = gone;
        }
        before = i;
        if (k->shown + shift > latest)
            latest = k->shown + shift;
    }
    return 0;
}

/* The other stream's first packet behind a seam may come earlier in the file:
 * its seams are the same ones, in order. */
static void widen(const struct marks *m, int64_t second, struct seams *s)
{
    size_t at = 0;
    for (size_t i = 1; i < m->n && at < s->n; i++) {
        int64_t pos = m->list[i].pos;
        if (!begins_anew(m, i, i - 1, second))
            continue;
        while (at + 1 < s->n && s->list[at + 1].pos <= pos)
            at++;
        if (pos < s->list[at].pos && s->list[at].pos - pos < 8 << 20)
            s->list[at].pos = pos;
        at++;
    }
}

int seams_possible(const AVFormatContext *f)
{
    return !strcmp(f->iformat->name, "mpegts") || !strcmp(f->iformat->name, "mpeg") ||
           (!strcmp(f->iformat->name, "ogg") && f->nb_streams == 1);
}

int seams_find(AVFormatContext *f, const struct joined *j, int video, int audio, struct seams *ret)
{
    struct marks lead = { 0 }, other = { 0 };
    int first = video >= 0 ? video : audio, r = 0;
    AVPacket *pkt = seams_possible(f) && first >= 0 ? av_packet_alloc() : NULL;
    if (!pkt)
        return 0;
    struct joined_reader reader = { 0 };
    while (!r && joined_read(j, &reader, f, pkt) >= 0) {
        if (pkt->stream_index == first)
            r = keep(&lead, pkt);
        else if (pkt->stream_index == audio)
            r = keep(&other, pkt);
        av_packet_unref(pkt);
    }
    int64_t second = f->streams[first]->time_base.den / f->streams[first]->time_base.num;
    if (!r)
        r = follow(&lead, second, ret);
    if (!r)
        widen(&other, second, ret);
    av_packet_free(&pkt);
    free(lead.list);
    free(other.list);
    return r;
}

void seams_release(struct seams *s)
{
    free(s->list);
    *s = (struct seams){ 0 };
}

void seams_apply(const struct seams *s, AVPacket *pkt, int64_t *pos)
{
    int64_t shift = 0;
    if (pkt->pos >= 0)
        *pos = pkt->pos;
    for (size_t i = 0; i < s->n && s->list[i].pos <= *pos; i++)
        shift = s->list[i].shift;
    if (pkt->pts != AV_NOPTS_VALUE)
        pkt->pts += shift;
    if (pkt->dts != AV_NOPTS_VALUE)
        pkt->dts += shift;
}
