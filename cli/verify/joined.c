#include "joined.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct places { /* of a stream's packets: twice the byte, and 1 for a keyframe */
    int64_t *at;
    size_t n, room;
    uint64_t fellows; /* streams that a table named with it when it began */
    int64_t last;
};

struct joined_scan {
    struct places of[JOINED_STREAMS_MAX];
};

struct joined_scan *joined_scan_new(void)
{
    return calloc(1, sizeof(struct joined_scan));
}

void joined_scan_free(struct joined_scan *s)
{
    for (size_t k = 0; s && k < JOINED_STREAMS_MAX; k++)
        free(s->of[k].at);
    free(s);
}

static uint64_t fellows_of(const AVFormatContext *f, unsigned stream)
{
    uint64_t all = 0;
    for (unsigned g = 0; g < f->nb_programs; g++) {
        uint64_t here = 0;
        for (unsigned i = 0; i < f->programs[g]->nb_stream_indexes; i++)
            if (f->programs[g]->stream_index[i] < JOINED_STREAMS_MAX)
                here |= UINT64_C(1) << f->programs[g]->stream_index[i];
        if (here >> stream & 1)
            all |= here;
    }
    return all;
}

int joined_scan_packet(struct joined_scan *s, const AVFormatContext *f, const AVPacket *pkt)
{
    if (pkt->stream_index >= JOINED_STREAMS_MAX || strcmp(f->iformat->name, "mpegts") != 0)
        return 0;
    struct places *p = &s->of[pkt->stream_index];
    if (p->n == p->room) {
        size_t room = p->room ? 2 * p->room : 256;
        int64_t *grown = realloc(p->at, room * sizeof(*grown));
        if (!grown)
            return -ENOMEM;
        p->at = grown;
        p->room = room;
    }
    if (p->n == 0)
        p->fellows = fellows_of(f, (unsigned)pkt->stream_index);
    if (pkt->pos >= 0)
        p->last = pkt->pos;
    p->at[p->n++] = 2 * p->last + (pkt->flags & AV_PKT_FLAG_KEY ? 1 : 0);
    return 0;
}

/* The first keyframe behind a place; -1: there is none. */
static int64_t keyframe_from(const struct places *p, int64_t from)
{
    for (size_t i = 0; i < p->n; i++)
        if (p->at[i] / 2 >= from && p->at[i] & 1)
            return p->at[i] / 2;
    return -1;
}

static int is_beside(const struct places *a, const struct places *b)
{
    for (size_t i = 0; i < a->n; i++)
        if (a->at[i] > b->at[0] && a->at[i] / 2 < b->at[b->n - 1] / 2)
            return 1;
    return 0;
}

static int is_kind(const AVCodecParameters *c)
{
    return c->codec_type == AVMEDIA_TYPE_VIDEO || c->codec_type == AVMEDIA_TYPE_AUDIO;
}

/* Whether `b` can go on what `a` is, all parts of it. */
static int can_go_on(const struct joined_scan *s, const AVFormatContext *f, const struct joined *j,
                     unsigned a, unsigned b)
{
    const AVCodecParameters *x = f->streams[a]->codecpar, *y = f->streams[b]->codecpar;
    if (a == b || j->whole[a] || !is_kind(x) || x->codec_type != y->codec_type || !s->of[a].n ||
        s->of[a].at[0] >= s->of[b].at[0])
        return 0;
    for (unsigned k = 0; k < f->nb_streams && k < JOINED_STREAMS_MAX; k++) {
        int part = k == a || j->whole[k] == (int)a + 1;
        if (part && ((s->of[k].fellows >> b | s->of[b].fellows >> k) & 1 ||
                     is_beside(&s->of[k], &s->of[b])))
            return 0;
    }
    return 1;
}

static int is_mpeg_audio(enum AVCodecID id)
{
    return id == AV_CODEC_ID_MP1 || id == AV_CODEC_ID_MP2 || id == AV_CODEC_ID_MP3;
}

/* Stream types 3 and 4 of MPEG-TS are all of MPEG audio. */
static int is_same_codec(const AVStream *a, const AVStream *b)
{
    enum AVCodecID x = a->codecpar->codec_id, y = b->codecpar->codec_id;
    return x == y || (is_mpeg_audio(x) && is_mpeg_audio(y));
}

static const char *language(const AVStream *st)
{
    const AVDictionaryEntry *e = av_dict_get(st->metadata, "language", NULL, 0);
    return e ? e->value : "";
}

/* Whether sound or a picture goes on so: sound in any codec, too, where `same` is 0. */
static int is_kin(const AVStream *a, const AVStream *b, int same)
{
    return same ? is_same_codec(a, b)
                : b->codecpar->codec_type == AVMEDIA_TYPE_AUDIO &&
                      avcodec_find_decoder(b->codecpar->codec_id);
}

/* `b` and what is part of it, on what? */
static int goes_on_what(const struct joined_scan *s, const AVFormatContext *f,
                        const struct joined *j, unsigned b, int same)
{
    int best = -1, most = -1;
    for (unsigned a = 0; a < f->nb_streams && a < JOINED_STREAMS_MAX; a++) {
        int can = is_kin(f->streams[a], f->streams[b], same);
        for (unsigned k = 0; can && k < f->nb_streams && k < JOINED_STREAMS_MAX; k++)
            can = (k != b && j->whole[k] != (int)b + 1) || can_go_on(s, f, j, a, k);
        int points = strcmp(language(f->streams[a]), language(f->streams[b])) == 0;
        if (can && points > most) {
            most = points;
            best = (int)a;
        }
    }
    return best;
}

static void part_add(struct joined *j, int whole, int stream, int64_t from)
{
    size_t at = j->n;
    if (from < 0 || j->n == JOINED_PARTS_MAX)
        return;
    for (; at > 0 && j->parts[at - 1].from > from; at--)
        j->parts[at] = j->parts[at - 1];
    j->parts[at] = (struct joined_part){ whole, stream, from };
    j->n++;
}

static void join(const struct joined_scan *s, const AVFormatContext *f, struct joined *j, int a,
                 unsigned b)
{
    const struct places *later = &s->of[b];
    for (unsigned k = 0; k < f->nb_streams && k < JOINED_STREAMS_MAX; k++)
        if ((int)k == a || j->whole[k] == a + 1)
            part_add(j, a, (int)k, keyframe_from(&s->of[k], later->at[later->n - 1] / 2 + 1));
    for (size_t i = 0; i < j->n; i++)
        if (j->parts[i].whole == (int)b)
            j->parts[i].whole = a;
    for (unsigned k = 0; k < JOINED_STREAMS_MAX; k++)
        if (j->whole[k] == (int)b + 1)
            j->whole[k] = a + 1;
    int64_t from = keyframe_from(later, 0);
    part_add(j, a, (int)b, from >= 0 ? from : later->at[0] / 2);
    j->whole[b] = a + 1;
}

static void join_all(struct joined_scan *s, const AVFormatContext *f, int same, struct joined *ret)
{
    uint64_t done = 0;
    for (;;) {
        int b = -1;
        for (unsigned k = 0; k < f->nb_streams && k < JOINED_STREAMS_MAX; k++)
            if (!(done >> k & 1) && s->of[k].n && (b < 0 || s->of[k].at[0] < s->of[b].at[0]))
                b = (int)k;
        if (b < 0)
            return;
        done |= UINT64_C(1) << b;
        int a = ret->whole[b] ? -1 : goes_on_what(s, f, ret, (unsigned)b, same);
        if (a >= 0)
            join(s, f, ret, a, (unsigned)b);
    }
}

static size_t packets_of(const struct joined_scan *s, const struct joined *j, unsigned whole)
{
    size_t n = s->of[whole].n;
    for (unsigned k = 0; k < JOINED_STREAMS_MAX; k++)
        n += j->whole[k] == (int)whole + 1 ? s->of[k].n : 0;
    return n;
}

/* Pictures of another codec that come before or behind: the fewer count for nothing. */
static void leave_out_fewer(const struct joined_scan *s, const AVFormatContext *f, struct joined *j)
{
    int fewer[JOINED_STREAMS_MAX] = { 0 };
    for (unsigned a = 0; a < f->nb_streams && a < JOINED_STREAMS_MAX; a++)
        for (unsigned b = 0; b < f->nb_streams && b < JOINED_STREAMS_MAX; b++)
            if (f->streams[a]->codecpar->codec_type == AVMEDIA_TYPE_VIDEO && !j->whole[b] &&
                s->of[b].n && can_go_on(s, f, j, a, b))
                fewer[packets_of(s, j, b) > packets_of(s, j, a) ? a : b] = 1;
    for (unsigned k = 0; k < JOINED_STREAMS_MAX; k++)
        if (fewer[k])
            j->whole[k] = -1;
}

void joined_scan_end(struct joined_scan *s, const AVFormatContext *f, struct joined *ret)
{
    *ret = (struct joined){ 0 };
    join_all(s, f, 1, ret);
    join_all(s, f, 0, ret);
    leave_out_fewer(s, f, ret);
}

int joined_is_part(const struct joined *j, unsigned stream)
{
    return stream < JOINED_STREAMS_MAX && j->whole[stream];
}

void joined_want(const struct joined *j, AVFormatContext *f, int stream)
{
    for (unsigned k = 0; k < f->nb_streams && k < JOINED_STREAMS_MAX; k++)
        if (stream >= 0 && j->whole[k] == stream + 1)
            f->streams[k]->discard = AVDISCARD_DEFAULT;
}

static size_t passes(const struct joined *j)
{
    size_t most = 0;
    for (int whole = 0; whole < JOINED_STREAMS_MAX; whole++) {
        size_t n = 0;
        for (size_t i = 0; i < j->n; i++)
            n += j->parts[i].whole == whole;
        most = n > most ? n : most;
    }
    return most;
}

/* Whether a packet is of this pass; then it gets the number of what it is part of. */
static int is_wanted(const struct joined *j, struct joined_reader *r, AVPacket *pkt)
{
    int k = pkt->stream_index;
    if (k >= JOINED_STREAMS_MAX)
        return r->pass == 0;
    if (pkt->pos >= 0)
        r->pos[k] = pkt->pos;
    int whole = j->whole[k] ? j->whole[k] - 1 : k, owner = whole;
    size_t part = 0;
    for (size_t i = 0; i < j->n && j->parts[i].from <= r->pos[k]; i++)
        if (j->parts[i].whole == whole) {
            owner = j->parts[i].stream;
            part++;
        }
    r->stream = k;
    pkt->stream_index = whole;
    return whole >= 0 && owner == k && part == r->pass;
}

int joined_read(const struct joined *j, struct joined_reader *r, AVFormatContext *f, AVPacket *pkt)
{
    for (;;) {
        int rc = av_read_frame(f, pkt);
        if (rc >= 0 && is_wanted(j, r, pkt))
            return rc;
        if (rc >= 0) {
            av_packet_unref(pkt);
            continue;
        }
        if (r->pass >= passes(j) || av_seek_frame(f, -1, 0, AVSEEK_FLAG_BYTE) < 0)
            return rc;
        r->pass++;
        memset(r->pos, 0, sizeof(r->pos));
    }
}
