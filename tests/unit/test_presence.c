/* Which streams of an MPEG-TS go on in which others, by when they have packets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/media/arrivals.h"
#include "common/media/open.h"
#include "common/media/presence.h"

enum { PACKET = 188, FIRST_ID = 0x100 };

/* One letter a packet, of stream A, B … in the file's order; small ones are no keyframes. Streams
 * come with their first packet. `kinds`: v and V are pictures of two codecs, a, M and m sound of
 * AAC, MP2 and MP3. `named`: those that are in one table. */
static const struct row {
    const char *name, *kinds, *named, *packets;
    const char *joins; /* "B>A@place", by place; "-" for none */
} rows[] = {
    {"one stream",                      "v",    "",   "AAAA",         ""           },
    { "one after the other",            "vv",   "",   "AAAABBBB",     "B>A@4"      },
    { "named together they are two",    "aa",   "AB", "AAAABBBB",     ""           },
    { "side by side they are two",      "vv",   "",   "ABABABAB",     ""           },
    { "one that overlaps is another",   "vv",   "",   "AAABABBB",     ""           },
    { "there and back",                 "vv",   "",   "AAABBBAAA",    "B>A@3 A>A@6"},
    { "there and back at keyframes",    "vv",   "",   "AAAbbBBaaAA",  "B>A@5 A>A@9"},
    { "three in a row",                 "vvv",  "",   "AABBCC",       "B>A@2 C>A@4"},
    { "another codec of pictures",      "vV",   "",   "AAABBB",       "B>-@0"      },
    { "another codec, which is more",   "vV",   "",   "AABBBB",       "A>-@0"      },
    { "another codec of sound",         "aM",   "",   "AAABBB",       "B>A@3"      },
    { "one's own codec before another", "aaM",  "BC", "AACBCBCB",     "B>A@3"      },
    { "another codec, and a change",    "Maa",  "",   "AABBCC",       "B>A@2 C>A@4"},
    { "MP2 that a table calls MP3",     "Mm",   "",   "AAABBB",       "B>A@3"      },
    { "pictures aren't sound",          "va",   "",   "AAABBB",       ""           },
    { "both move",                      "vava", "",   "ABABABCDCDCD", "C>A@6 D>B@7"},
};

static void set_kind(AVCodecParameters *p, char kind)
{
    static const struct {
        char kind;
        enum AVCodecID id;
    } ids[] = {
        {'v',  AV_CODEC_ID_H264},
        { 'V', AV_CODEC_ID_HEVC},
        { 'a', AV_CODEC_ID_AAC },
        { 'M', AV_CODEC_ID_MP2 },
        { 'm', AV_CODEC_ID_MP3 },
    };

    for (size_t i = 0; i < sizeof(ids) / sizeof(*ids); i++)
        if (ids[i].kind == kind)
            p->codec_id = ids[i].id;
    if (kind == 'd') {
        p->codec_type = AVMEDIA_TYPE_DATA;
        return;
    }
    p->codec_type = kind == 'v' || kind == 'V' ? AVMEDIA_TYPE_VIDEO : AVMEDIA_TYPE_AUDIO;
}

static void name_streams(AVFormatContext *f, const char *named)
{
    AVProgram *g = av_new_program(f, 1);

    assert_non_null(g);
    for (; *named; named++) {
        g->stream_index = realloc(g->stream_index, (g->nb_stream_indexes + 1) * sizeof(unsigned));
        g->stream_index[g->nb_stream_indexes++] = (unsigned)(*named - 'A');
    }
}

static void feed(struct presence *p, struct media_source *s, const struct row *row)
{
    AVPacket *pkt = av_packet_alloc();

    presence_begin(p, s);
    for (size_t i = 0; row->packets[i]; i++) {
        int lower = row->packets[i] >= 'a';
        pkt->stream_index = row->packets[i] - (lower ? 'a' : 'A');
        while ((int)s->fmt->nb_streams <= pkt->stream_index) {
            AVStream *st = avformat_new_stream(s->fmt, NULL);
            set_kind(st->codecpar, row->kinds[st->index]);
            st->id = FIRST_ID + st->index;
        }
        pkt->pos = (int64_t)i * PACKET;
        pkt->flags = lower ? 0 : AV_PKT_FLAG_KEY;
        presence_note(p, s, pkt);
    }
    av_packet_free(&pkt);
}

static void write_joins(const struct media_info *info, char *to, size_t size)
{
    to[0] = '\0';
    for (int64_t pos = 0; pos < 1000 * PACKET; pos += PACKET)
        for (size_t k = 0; k < info->n_joins; k++) {
            const struct stream_join *j = &info->joins[k];
            size_t n = strlen(to);
            if (j->pos == pos)
                snprintf(to + n, size - n, "%s%c>%c@%d", n ? " " : "", 'A' + j->id - FIRST_ID,
                         j->stream < 0 ? '-' : 'A' + j->stream, (int)(pos / PACKET));
        }
}

static void streams_go_on_in_others(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct media_source s = { .fmt = avformat_alloc_context(), .selected = -1 };
        struct presence *p = presence_new();
        struct media_info info = { 0 };
        char got[256];

        s.fmt->iformat = av_find_input_format("mpegts");
        name_streams(s.fmt, rows[i].named);
        feed(p, &s, &rows[i]);
        assert_true(presence_find(p, &s, &info) >= 0);
        write_joins(&info, got, sizeof(got));
        if (strcmp(got, rows[i].joins) != 0)
            fail_msg("%s: \"%s\", not \"%s\"", rows[i].name, got, rows[i].joins);
        presence_free(p);
        media_info_release(&info);
        for (unsigned k = 0; k < s.fmt->nb_programs; k++)
            av_freep(&s.fmt->programs[k]->stream_index);
        avformat_free_context(s.fmt);
    }
}

/* Streams that weren't there at first: the place of the packet before. */
static void arrivals_are_noted(void **state)
{
    const struct row row = { .kinds = "vaa", .packets = "AAABBC" };
    struct media_source s = { .fmt = avformat_alloc_context(), .selected = -1 };
    struct presence *p = presence_new();
    struct media_info info = { 0 };

    (void)state;
    s.fmt->iformat = av_find_input_format("mpeg");
    feed(p, &s, &row);
    assert_int_equal(presence_find(p, &s, &info), 1);
    assert_int_equal(info.n_arrivals, 3);
    assert_int_equal(info.arrivals[1], 2 * PACKET);
    assert_int_equal(info.arrivals[2], 4 * PACKET);
    assert_int_equal(info.n_joins, 0); /* no table names the streams of PS */
    presence_free(p);
    media_info_release(&info);
    avformat_free_context(s.fmt);
}

/* Data that comes late needn't be looked for; what comes before something else must. */
static void arrivals_of_nothing_are_none(void **state)
{
    const struct row row = { .kinds = "vdad", .packets = "AABBCD" };
    struct media_source s = { .fmt = avformat_alloc_context(), .selected = -1 };
    struct presence *p = presence_new();
    struct media_info info = { 0 };

    (void)state;
    s.fmt->iformat = av_find_input_format("mpeg");
    feed(p, &s, &row);
    assert_int_equal(presence_find(p, &s, &info), 1);
    assert_int_equal(info.n_arrivals, 3); /* the last one is data */
    presence_free(p);
    media_info_release(&info);
    avformat_free_context(s.fmt);
}

/* Packets count as what goes on in their stream, from its keyframe on. */
static void packets_count_as_the_whole(void **state)
{
    static const struct stream_join joins[] = {
        {0,   FIRST_ID + 1, 500},
        { 0,  FIRST_ID,     900},
        { -1, FIRST_ID + 2, 0  },
    };
    static const struct {
        int stream;
        int64_t pos;
        int want;
    } at[] = {
        {0,  100, 0 },
        { 0, 600, -1},
        { 0, 900, 0 },
        { 1, 400, -1},
        { 1, 500, 0 },
        { 1, 950, -1},
        { 2, 100, -1},
        { 3, 100, 3 },
    };
    struct media_source s = { .fmt = avformat_alloc_context(), .joins = joins, .n_joins = 3 };
    AVPacket *pkt = av_packet_alloc();

    (void)state;
    for (int k = 0; k < 4; k++) {
        AVStream *st = avformat_new_stream(s.fmt, NULL);
        set_kind(st->codecpar, 'v');
        st->id = FIRST_ID + k;
    }
    for (size_t i = 0; i < sizeof(at) / sizeof(*at); i++) {
        pkt->stream_index = at[i].stream;
        pkt->pos = at[i].pos;
        assert_int_equal(media_joined_stream(&s, pkt), at[i].want);
    }
    av_packet_free(&pkt);
    avformat_free_context(s.fmt);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(streams_go_on_in_others),
        cmocka_unit_test(arrivals_are_noted),
        cmocka_unit_test(arrivals_of_nothing_are_none),
        cmocka_unit_test(packets_count_as_the_whole),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
