#include "presence.h"

#include "arrivals.h"
#include "open.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { STREAMS_MAX = 64 }; /* beyond, streams are what they are */

struct seen {
    uint64_t packets;
    int64_t pos, last;               /* places of its first packet and its last … */
    int64_t key_pos;                 /* … and of its first keyframe; -1: none yet */
    uint8_t fellow[STREAMS_MAX / 8]; /* streams that a table named together with it */
};

/* Of a stream, packets behind the first one of another. */
struct beside {
    uint32_t behind; /* all … */
    uint32_t among;  /* … and those that packets of the other follow */
    int64_t back;    /* place of the first keyframe of the others; -1: none */
};

struct presence {
    struct seen streams[STREAMS_MAX];
    struct beside beside[STREAMS_MAX][STREAMS_MAX];
    unsigned at_first, known; /* streams at the beginning, and by now */
    int64_t pos;              /* of the last packet that has one */
    int64_t arrivals[ARRIVALS_MAX];
    unsigned upto[ARRIVALS_MAX]; /* streams that there were then */
    size_t n_arrivals;
};

struct presence *presence_new(void)
{
    return calloc(1, sizeof(struct presence));
}

void presence_free(struct presence *p)
{
    free(p);
}

static int is_of_kind(const AVStream *a, enum AVMediaType kind)
{
    return (kind == AVMEDIA_TYPE_VIDEO || kind == AVMEDIA_TYPE_AUDIO) &&
           a->codecpar->codec_type == kind;
}

static int may_move(const struct media_source *s)
{
    return strcmp(s->fmt->iformat->name, "mpegts") == 0;
}

void presence_begin(struct presence *p, const struct media_source *s)
{
    unsigned n[2] = { 0 };

    p->at_first = p->known = s->fmt->nb_streams;
    if (!may_move(s))
        return;
    for (unsigned k = 0; k < p->known; k++) {
        n[0] += (unsigned)is_of_kind(s->fmt->streams[k], AVMEDIA_TYPE_VIDEO);
        n[1] += (unsigned)is_of_kind(s->fmt->streams[k], AVMEDIA_TYPE_AUDIO);
    }
    for (unsigned k = 0; k < p->known; k++)
        if ((n[0] > 1 && is_of_kind(s->fmt->streams[k], AVMEDIA_TYPE_VIDEO)) ||
            (n[1] > 1 && is_of_kind(s->fmt->streams[k], AVMEDIA_TYPE_AUDIO)))
            s->fmt->streams[k]->discard = AVDISCARD_DEFAULT;
}

static int is_listed(const AVProgram *g, unsigned k)
{
    for (unsigned i = 0; i < g->nb_stream_indexes; i++)
        if (g->stream_index[i] == k)
            return 1;
    return 0;
}

/* A program has the streams of its latest table. */
static void note_fellows(struct seen *x, const AVFormatContext *f, unsigned k)
{
    for (unsigned g = 0; g < f->nb_programs; g++) {
        if (!is_listed(f->programs[g], k))
            continue;
        for (unsigned i = 0; i < f->programs[g]->nb_stream_indexes; i++) {
            unsigned other = f->programs[g]->stream_index[i];
            if (other < STREAMS_MAX)
                x->fellow[other / 8] |= (uint8_t)(1u << other % 8);
        }
    }
}

/* Counted by places: the last packets of a PID come late. */
static void note_beside(struct presence *p, const AVFormatContext *f, unsigned k, int is_key)
{
    struct seen *x = &p->streams[k];

    for (unsigned m = 0; m < f->nb_streams && m < STREAMS_MAX; m++) {
        struct beside *mine = &p->beside[k][m], *others = &p->beside[m][k];
        if (m == k || p->streams[m].packets == 0 ||
            !is_of_kind(f->streams[m], f->streams[k]->codecpar->codec_type))
            continue;
        if (x->last > p->streams[m].last)
            others->among = others->behind;
        if (x->last <= p->streams[m].pos)
            continue;
        if (mine->behind++ == mine->among)
            mine->back = -1;
        if (mine->back < 0 && is_key)
            mine->back = x->last;
    }
}

static void note_arrivals(struct presence *p, const struct media_source *s)
{
    unsigned n = s->fmt->nb_streams;

    if (n > p->known && media_has_arrivals(s) && p->n_arrivals < ARRIVALS_MAX) {
        p->upto[p->n_arrivals] = n;
        p->arrivals[p->n_arrivals++] = p->pos;
    }
    p->known = n;
}

/* How many count: behind the last one that brought something to play or read, none does. */
static size_t arrivals_that_count(const struct presence *p, const AVFormatContext *f)
{
    for (size_t n = p->n_arrivals; n > 0; n--)
        for (unsigned k = n > 1 ? p->upto[n - 2] : p->at_first; k < p->upto[n - 1]; k++)
            if (media_decodes(f->streams[k]->codecpar->codec_id))
                return n;
    return 0;
}

void presence_note(struct presence *p, const struct media_source *s, const AVPacket *pkt)
{
    unsigned k = (unsigned)pkt->stream_index;

    note_arrivals(p, s);
    if (pkt->pos >= 0)
        p->pos = pkt->pos;
    if (k >= STREAMS_MAX || !may_move(s))
        return;
    struct seen *x = &p->streams[k];
    if (x->packets == 0) {
        x->pos = p->pos;
        x->key_pos = -1;
        note_fellows(x, s->fmt, k);
    }
    if (x->key_pos < 0 && pkt->flags & AV_PKT_FLAG_KEY)
        x->key_pos = p->pos;
    x->packets++;
    /* The last packets of a stream come when the next one of its PID does. */
    x->last = p->pos;
    note_beside(p, s->fmt, k, pkt->flags & AV_PKT_FLAG_KEY);
}

static int were_named_together(const struct presence *p, unsigned a, unsigned b)
{
    return p->streams[a].fellow[b / 8] >> b % 8 & 1 || p->streams[b].fellow[a / 8] >> a % 8 & 1;
}

/* Whether `a` has no packet between the first and the last of `b`. */
static int makes_room(const struct presence *p, unsigned a, unsigned b)
{
    return p->streams[a].packets > 0 && p->beside[a][b].among == 0;
}

static int can_follow(const struct presence *p, const AVFormatContext *f, unsigned a, unsigned b)
{
    const AVCodecParameters *x = f->streams[a]->codecpar, *y = f->streams[b]->codecpar;

    return p->streams[a].packets > 0 && p->streams[b].packets > 0 &&
           p->streams[a].pos < p->streams[b].pos && is_of_kind(f->streams[a], y->codec_type) &&
           media_decodes(x->codec_id) && !were_named_together(p, a, b) && makes_room(p, a, b);
}

static const char *language(const AVStream *st)
{
    const AVDictionaryEntry *e = av_dict_get(st->metadata, "language", NULL, 0);

    return e ? e->value : "";
}

struct chain {
    int head[STREAMS_MAX]; /* of each stream: the one that it goes on; -1: of none */
};

/* Whether `b` fits behind `a` and all that goes on `a` already. */
static int fits(const struct presence *p, const AVFormatContext *f, const struct chain *c,
                unsigned a, unsigned b)
{
    if (!can_follow(p, f, a, b))
        return 0;
    for (unsigned k = 0; k < f->nb_streams && k < STREAMS_MAX; k++)
        if (c->head[k] == (int)a && (were_named_together(p, k, b) || !makes_room(p, k, b)))
            return 0;
    return 1;
}

/* Whether one stream goes on in another of this codec: sound may change it. */
static int may_follow(const AVFormatContext *f, unsigned a, unsigned b, int same)
{
    const AVCodecParameters *y = f->streams[b]->codecpar;

    if (same)
        return media_same_codec(f->streams[a], f->streams[b]);
    return y->codec_type == AVMEDIA_TYPE_AUDIO && media_decodes(y->codec_id);
}

/* The stream that goes on in `b`, with all that goes on in that: first one of its language. -1:
 * none. */
static int find_head(const struct presence *p, const AVFormatContext *f, const struct chain *c,
                     unsigned b, int same)
{
    int best = -1, best_score = -1;

    for (unsigned a = 0; a < f->nb_streams && a < STREAMS_MAX; a++) {
        int all = c->head[a] < 0 && may_follow(f, a, b, same);
        for (unsigned k = 0; all && k < f->nb_streams && k < STREAMS_MAX; k++)
            all = (k != b && c->head[k] != (int)b) || fits(p, f, c, a, k);
        int score = strcmp(language(f->streams[a]), language(f->streams[b])) == 0;
        if (all && score > best_score) {
            best = (int)a;
            best_score = score;
        }
    }
    return best;
}

static void add_join(struct media_info *i, int stream, int id, int64_t pos)
{
    if (i->n_joins < JOINS_MAX)
        i->joins[i->n_joins++] = (struct stream_join){ stream, id, pos };
}

/* `b` goes on `a`, as do those that go on `b`; those that `a` went on in so far perhaps go on then.
 */
static void join(struct media_info *i, const struct presence *p, const AVFormatContext *f,
                 struct chain *c, int a, unsigned b)
{
    const AVStream *y = f->streams[b];
    const struct seen *later = &p->streams[b];

    for (size_t k = 0; k < i->n_joins; k++)
        if (i->joins[k].stream == (int)b)
            i->joins[k].stream = a;
    add_join(i, a, y->id, later->key_pos >= 0 ? later->key_pos : later->pos);
    for (unsigned k = 0; k < f->nb_streams && k < STREAMS_MAX; k++) {
        const struct beside *back = &p->beside[k][b];
        if (((int)k == a || c->head[k] == a) && back->behind > 0 && back->back >= 0)
            add_join(i, a, f->streams[k]->id, back->back);
    }
    for (unsigned k = 0; k < STREAMS_MAX; k++)
        if (c->head[k] == (int)b || k == b)
            c->head[k] = a;
}

/* Streams by the place of their first packet. */
static unsigned next_by_place(const struct presence *p, unsigned n, const uint8_t *done)
{
    unsigned best = n;

    for (unsigned k = 0; k < n; k++)
        if (!done[k] && p->streams[k].packets > 0 &&
            (best == n || p->streams[k].pos < p->streams[best].pos))
            best = k;
    return best;
}

static void find_joins(const struct presence *p, const AVFormatContext *f, struct chain *c,
                       int same, struct media_info *i)
{
    unsigned n = f->nb_streams < STREAMS_MAX ? f->nb_streams : STREAMS_MAX;
    uint8_t done[STREAMS_MAX] = { 0 };

    for (unsigned b; (b = next_by_place(p, n, done)) < n; done[b] = 1) {
        int a = c->head[b] < 0 ? find_head(p, f, c, b, same) : -1;
        if (a >= 0)
            join(i, p, f, c, a, b);
    }
}

static uint64_t packets_of(const struct presence *p, const struct chain *c, unsigned head)
{
    uint64_t n = p->streams[head].packets;

    for (unsigned k = 0; k < STREAMS_MAX; k++)
        n += c->head[k] == (int)head ? p->streams[k].packets : 0;
    return n;
}

/* Pictures go on in no other codec: of such two, those that are more are used. */
static void leave_out_fewer(const struct presence *p, const AVFormatContext *f,
                            const struct chain *c, struct media_info *i)
{
    for (unsigned a = 0; a < f->nb_streams && a < STREAMS_MAX; a++)
        for (unsigned b = 0; b < f->nb_streams && b < STREAMS_MAX; b++) {
            if (a == b || c->head[a] >= 0 || c->head[b] >= 0 ||
                !is_of_kind(f->streams[a], AVMEDIA_TYPE_VIDEO) ||
                media_same_codec(f->streams[a], f->streams[b]) || !fits(p, f, c, a, b))
                continue;
            unsigned fewer = packets_of(p, c, b) > packets_of(p, c, a) ? a : b;
            add_join(i, -1, f->streams[fewer]->id, 0);
        }
}

static void find_all(const struct presence *p, const AVFormatContext *f, struct media_info *i)
{
    struct chain c;

    for (unsigned k = 0; k < STREAMS_MAX; k++)
        c.head[k] = -1;
    find_joins(p, f, &c, 1, i);
    find_joins(p, f, &c, 0, i);
    leave_out_fewer(p, f, &c, i);
}

int presence_find(const struct presence *p, const struct media_source *s, struct media_info *i)
{
    i->arrivals = calloc(p->n_arrivals + 1, sizeof(*i->arrivals));
    i->joins = calloc(JOINS_MAX, sizeof(*i->joins));
    if (!i->arrivals || !i->joins)
        return -ENOMEM;
    memcpy(i->arrivals, p->arrivals, p->n_arrivals * sizeof(*i->arrivals));
    i->n_arrivals = arrivals_that_count(p, s->fmt);
    if (may_move(s))
        find_all(p, s->fmt, i);
    return i->n_arrivals > 0 || i->n_joins > 0;
}
