/* Closed captions: where they are, whose they are, and what becomes of them. */
#include "common/media/cc_data.h"
#include "worker/cc_reader.h"
#include "worker/cc_screen.h"

#include <errno.h>
#include <libavutil/common.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/err.h"

#define CODE 0, 0, 0, 1
#define GA94 'G', 'A', '9', '4', 3
#define T35  0xb5, 0x00, 0x31, GA94
/* Two triplets: "HE" of the first field, padding of the second. */
#define TWO        0x42, 0xff, 0xfc, 0xc8, 0x45, 0xfd, 0x80, 0x80, 0xff
#define BYTES(...) (const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ })

static const uint8_t avcc[] = { 1, 0x64, 0, 10, 0xff, 0xe0, 0 };

static const struct place {
    const char *name;
    enum AVCodecID codec;
    int with_lengths;
    const uint8_t *p;
    size_t n;
    size_t want; /* triplets */
} places[] = {
    {"SEI of H.264", AV_CODEC_ID_H264,             0,
     BYTES(CODE,                                                                                                      9,                                                                      0xf0,CODE, 6, 4, 17, T35, TWO, 0x80, CODE, 0x65, 0x88), 2 },
    { "behind its length",             AV_CODEC_ID_H264,                                        1,                                                                  BYTES(0,                                                                                                  0,                                                                                                                                                                     0,21, 6, 4, 17, T35, TWO, 0x80), 2 },
    { "behind another message",          AV_CODEC_ID_H264,                                 0,
     BYTES(CODE,                                                                                              6,                                                                                                                                                 5,3, 1, 2, 3, 4, 17, T35, TWO, 0x80), 2 },
    { "in two messages",       AV_CODEC_ID_H264,                                  0,
     BYTES(CODE,6,4,17, T35, TWO, 4, 17, T35, TWO, 0x80), 4 },
    { "of the second field, behind the first one's slice",           AV_CODEC_ID_H264,                                    0,
     BYTES(CODE,                                                                                             0x65,                                                                                                                                                                  0x88,1, CODE, 6, 4, 17, T35, TWO, 0x80, CODE, 0x65, 0x88), 2 },
    { "with a byte that keeps start codes out",             AV_CODEC_ID_H264,                                   0,
     BYTES(CODE,   6,4,17, T35, 0x42, 0xff, 0xfa, 0, 0, 3, 0xfc, 0xc8, 0x45, 0xff, 0x80), 2 },
    { "cut off",             AV_CODEC_ID_H264,                                        0,                                                                  BYTES(CODE,                                                                                                  6,                                                                                                                                                                     4,17, T35, 0x42, 0xff, 0xfc, 0xc8, 0x45), 1 },
    { "that aren't to be processed",             AV_CODEC_ID_H264,                        0,
     BYTES(CODE,                               6,                                                                                                                                                                              4, 17, T35, 0x02, 0xff, 0xfc, 0xc8, 0x45, 0xfd, 0x80, 0x80, 0xff), 0 },
    { "HDR10+ is none",            AV_CODEC_ID_H264,                                     0,
     BYTES(CODE,                                                                                                6,                                                                                                                                                                    4,                                                                                                                                                                                                                                                     8, 0xb5, 0, 0x3c, 'G', 'A', '9', '4', 3, 0x80), 0 },
    { "a slice with the mark is none",         AV_CODEC_ID_H264,                                    0,                                                               BYTES(CODE,                                               0x65,                                                                                           4,17, T35, TWO), 0 },
    { "SEI of HEVC",          AV_CODEC_ID_HEVC,                                  0,                                                             BYTES(CODE,0x4e,1,4, 17, T35, TWO, 0x80), 2 },
    { "a slice of HEVC is none",           AV_CODEC_ID_HEVC,                                    0,                                                            BYTES(CODE,                                                                                           0x26,                                                                                                                                                             1,4, 17, T35, TWO), 0 },
    { "metadata of AV1",             AV_CODEC_ID_AV1, 0,
     BYTES(0x12, 0,                                                                                                                                                                              0x2a,19, 4, T35, TWO, 0x80, 0x32, 1, 0x10), 2 },
    { "HDR of AV1 is none",            AV_CODEC_ID_AV1,                                     0,                                                             BYTES(0x2a,                                                                                            4,                                                                                                                                                              1,                                                                                                          0, 0, 0x80), 0 },
    { "user data of MPEG-2",             AV_CODEC_ID_MPEG2VIDEO,                                     0,
     BYTES(0,                                                                                            0,                                                                                                                                                              1,0, 1, 2, 0, 0, 1, 0xb2, GA94, TWO, 0, 0, 1, 1, 5), 2 },
    { "of a DVD",             AV_CODEC_ID_MPEG2VIDEO,                                0,
     BYTES(0,                           0,                      1,0xb2, 'C', 'C', 1, 0xf8, 0x84, 0xff, 0xc8, 0x45, 0xfe, 0x80, 0x80, 0xff, 0x4c,
     0x4c, 0xfe, 0x80, 0x80, 0, 0, 1, 0),
     4 },
    { "other user data are none",            AV_CODEC_ID_MPEG2VIDEO,                                     0,
     BYTES(0,                                                                                            0,                                                                                                                                                              1,0xb2, 'D', 'T', 'G', '1', 0x41, 0xf8), 0 },
    { "VP9 has none",             AV_CODEC_ID_VP9,                                        0,                                       BYTES(T35,                                              TWO),                                                                                            0},
};

static void captions_are_where_standards_put_them(void **state)
{
    struct cc_data d;

    (void)state;
    for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++) {
        const struct place *k = &places[i];
        AVCodecParameters par = { .codec_id = k->codec };
        if (k->with_lengths) {
            par.extradata = (uint8_t *)avcc;
            par.extradata_size = sizeof(avcc);
        }
        cc_data_of(&par, k->p, k->n, &d);
        if (d.n != k->want)
            fail_msg("%s: %zu triplets instead of %zu", k->name, d.n, k->want);
        assert_int_equal(d.spread, strcmp(k->name, "of a DVD") == 0);
    }
    cc_data_of_sample(0, BYTES(0xfc, 0xc8, 0x45, 0xfd, 0x80, 0x80, 1), &d);
    assert_int_equal(d.n, 2);
    cc_data_of_sample(1,
                      BYTES(0, 0, 0, 20, 'c', 'c', 'd', 'p', 0x96, 0x69, 12, 0x4f, 0x43, 0, 0, 0x72,
                            0xe1, 0xfc, 0xc8, 0x45),
                      &d);
    assert_int_equal(d.n, 1);
    cc_data_of_sample(1, BYTES(0, 0, 0, 99, 'c', 'c', 'd', 'p'), &d);
    assert_int_equal(d.n, 0);
}

/* ---- whose they are ---- */

static uint8_t odd(int v)
{
    return (uint8_t)(av_popcount((unsigned)v) & 1 ? v : v | 0x80);
}

struct pair {
    int field, a, b;
};

/* Which channel each is of, as digits; '.': none. */
static void channels_of(const struct pair *v, size_t n, char *ret)
{
    struct cc_channels c = { 0 };
    uint8_t own[3];

    for (size_t i = 0; i < n; i++) {
        const uint8_t t[3] = { (uint8_t)(0xfc | v[i].field), odd(v[i].a), odd(v[i].b) };
        int k = cc_channel_of(&c, t, own);
        ret[i] = k < 0 ? '.' : (char)('1' + k);
        if (k >= 0)
            assert_true(own[0] == 0xfc && (own[1] & 0x7f) != 0x15 && !((own[1] & 0x78) == 0x18));
    }
    ret[n] = '\0';
}

#define RCL 0x14, 0x20
#define HE  'H', 'E'

static const struct owners {
    const char *name;
    struct pair v[12];
    size_t n;
    const char *want;
} owners[] = {
    {"letters before a code are nobody's",                    { { 0, HE }, { 0, RCL }, { 0, HE } },             3, ".11"    },
    { "channels take turns",
     { { 0, RCL }, { 0, HE }, { 0, 0x1c, 0x20 }, { 0, HE }, { 0, 0x14, 0x60 }, { 0, HE } },
     6,                                                                                                            "112211" },
    { "fields have their own",
     { { 0, RCL }, { 1, 0x15, 0x20 }, { 0, HE }, { 1, HE }, { 1, 0x1d, 0x20 }, { 1, HE } },
     6,                                                                                                            "131344" },
    { "a code's second sending is no code, its third is one",
     { { 0, 0x11, 0x37 }, { 0, 0x11, 0x37 }, { 0, 0x11, 0x37 }, { 0, 0x11, 0x37 } },
     4,                                                                                                            "1.1."   },
    { "letters are sent once",                                { { 0, RCL }, { 0, 'L', 'L' }, { 0, 'L', 'L' } }, 3, "111"    },
    { "text is no captions",
     { { 0, 0x14, 0x2a },
        { 0, HE },
        { 0, 0x14, 0x2d },
        { 0, 0x14, 0x2c },
        { 0, 0x14, 0x25 },
        { 0, HE } },
     6,                                                                                                            "...111" },
    { "other data are no captions until a code",
     { { 1, 0x15, 0x20 },
        { 1, 1, 3 },
        { 1, HE },
        { 1, 15, 29 },
        { 1, HE },
        { 1, 0x15, 0x2f },
        { 1, HE } },
     7,                                                                                                            "3....33"},
    { "padding is nothing",                                   { { 0, RCL }, { 0, 0, 0 }, { 0, HE } },           3, "1.1"    },
};

static void bytes_belong_to_channels(void **state)
{
    char got[16];

    (void)state;
    for (size_t i = 0; i < sizeof(owners) / sizeof(*owners); i++) {
        channels_of(owners[i].v, owners[i].n, got);
        if (strcmp(got, owners[i].want) != 0)
            fail_msg("%s: %s instead of %s", owners[i].name, got, owners[i].want);
    }
}

static void damaged_bytes_are_left_out(void **state)
{
    struct cc_channels c = { 0 };
    uint8_t own[3];

    (void)state;
    assert_int_equal(cc_channel_of(&c, (const uint8_t[]){ 0xfc, 0x94, 0x20 }, own), 0);
    assert_int_equal(cc_channel_of(&c, (const uint8_t[]){ 0xfc, 0xc8, 0xc5 }, own), -1);
    assert_int_equal(cc_channel_of(&c, (const uint8_t[]){ 0xfc, 0x48, 0x45 }, own), 0);
    assert_int_equal(own[1], 0x7f); /* a block, as decoders show it */
    assert_int_equal(cc_channel_of(&c, (const uint8_t[]){ 0xf8, 0xc8, 0x45 }, own), -1);
    assert_int_equal(cc_channel_of(&c, (const uint8_t[]){ 0xfe, 0xc8, 0x45 }, own), -1);
    assert_int_equal(cc_channel_named((const uint8_t[]){ 0xfd, 0x95, 0x20 }), -1); /* even */
    assert_int_equal(cc_channel_named((const uint8_t[]){ 0xfd, 0x1c, 0x20 }), 3);
    assert_true(cc_is_708((const uint8_t[]){ 0xff, 2, 0x21 }));
    assert_false(cc_is_708((const uint8_t[]){ 0xfa, 0, 0 }));
}

/* ---- screens ---- */

struct change {
    const char *text; /* "": nothing */
    int whole, at;
};

static const struct film {
    const char *name;
    struct change v[8];
    size_t n;
    const char *want; /* "from-to text;" of each cue, breaks as '|' */
} films[] = {
    {"captions pop on and off",
     { { "ONE", 1, 10 }, { "", 1, 20 }, { "TWO", 1, 30 } },
     3,                                                                                                            "10-20 ONE;30-99 TWO;"},
    { "one follows another",                                   { { "10", 1, 10 }, { "11", 1, 11 } },            2, "10-11 10;11-99 11;"  },
    { "what is shown again goes on",
     { { "ONE", 1, 10 }, { "ONE", 1, 20 }, { "", 1, 30 } },
     3,                                                                                                            "10-30 ONE;"          },
    { "a line that grows is one cue",
     { { "H", 0, 10 }, { "HE", 0, 11 }, { "HELLO", 0, 12 } },
     3,                                                                                                            "10-99 HELLO;"        },
    { "in italics, too",                                       { { "{\\i1}H", 0, 10 }, { "{\\i1}HE", 0, 11 } }, 2, "10-99 <i>HE</i>;"    },
    { "a letter that gets its accent",
     { { "CAFE", 0, 10 }, { "CAF\xc3\x89", 0, 11 } },
     2,                                                                                                            "10-99 CAF\xc3\x89;"  },
    { "a new line is a new cue",
     { { "A", 0, 10 }, { "A\\NB", 0, 11 }, { "A\\NBC", 0, 12 } },
     3,                                                                                                            "10-11 A;11-99 A|BC;" },
    { "what rolls up is a new cue",
     { { "A\\NB", 0, 10 }, { "B\\NC", 0, 15 } },
     2,                                                                                                            "10-15 A|B;15-99 B|C;"},
    { "what goes on after a pause is a new cue",
     { { "A", 0, 10 }, { "AB", 0, 21 } },
     2,                                                                                                            "10-21 A;21-99 AB;"   },
    { "indents are blanks, and nothing but blanks is nothing",
     { { "\\h\\hA", 1, 10 }, { "\\h", 1, 20 }, { "", 1, 30 } },
     3,                                                                                                            "10-20 A;"            },
    { "all at one time is the last of it",                     { { "A", 1, 10 }, { "B", 1, 10 } },              2, "10-99 B;"            },
};

static void play(const struct film *f, char *ret)
{
    struct cc_screen s = { .pause = 10 };

    for (size_t i = 0; i < f->n; i++) {
        char line[128] = "";
        if (*f->v[i].text)
            (void)snprintf(line, sizeof(line), "0,0,Default,,0,0,0,,{\\an7}{\\pos(38,243)}%s",
                           f->v[i].text);
        assert_int_equal(cc_screen_show(&s, line, f->v[i].whole, f->v[i].at), 0);
    }
    assert_int_equal(cc_screen_clear(&s, 99), 0);
    for (size_t i = 0; i < s.cues.n; i++) {
        const struct cue *c = &s.cues.v[i];
        for (char *t = c->text; *t; t++)
            *t = *t == '\n' ? '|' : *t;
        assert_int_equal(c->top, 0);
        ret += sprintf(ret, "%d-%d %s;", (int)c->start, (int)c->end, c->text);
    }
    cc_screen_release(&s);
}

static void changes_become_cues(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(films) / sizeof(*films); i++) {
        char got[512] = "";
        play(&films[i], got);
        if (strcmp(got, films[i].want) != 0)
            fail_msg("%s: %s instead of %s", films[i].name, got, films[i].want);
    }
}

static void rows_of_the_upper_half_stand_at_the_top(void **state)
{
    struct cc_screen s = { 0 };

    (void)state;
    assert_int_equal(
        cc_screen_show(&s, "0,0,,,0,0,0,,{\\an7}{\\pos(38,43)}A\\N{\\an7}{\\pos(38,59)}B", 1, 1),
        0);
    assert_int_equal(
        cc_screen_show(&s, "0,0,,,0,0,0,,{\\an7}{\\pos(38,43)}A\\N{\\an7}{\\pos(38,243)}B", 1, 2),
        0);
    assert_int_equal(cc_screen_clear(&s, 3), 0);
    assert_int_equal(s.cues.n, 2);
    assert_true(s.cues.v[0].top && !s.cues.v[1].top);
    cc_screen_release(&s);
}

/* ---- packets of pictures ---- */

/* MPEG-2: user data with a pair. */
static void feed(struct cc_reader *r, int64_t pts, int64_t dts, int a, int b)
{
    uint8_t data[32 + AV_INPUT_BUFFER_PADDING_SIZE] = { 0,    0,    1,    0xb2,   GA94,
                                                        0x41, 0xff, 0xfc, odd(a), odd(b) };
    AVPacket *p = av_packet_alloc();

    assert_non_null(p);
    p->data = data;
    p->size = 14;
    p->pts = pts;
    p->dts = dts;
    p->duration = 10;
    assert_int_equal(cc_reader_packet(r, p, NULL), 0);
    av_packet_free(&p);
}

static struct cc_reader *open_reader(AVFormatContext **ret_f)
{
    struct cc_reader *r = NULL;
    AVFormatContext *f = avformat_alloc_context();
    AVStream *st = f ? avformat_new_stream(f, NULL) : NULL;

    assert_non_null(st);
    st->codecpar->codec_id = AV_CODEC_ID_MPEG2VIDEO;
    st->time_base = (AVRational){ 1, 1000 };
    assert_int_equal(cc_reader_new(st, 0, &r, NULL), 0);
    assert_int_equal(cc_reader_want(r, 0, NULL), 0);
    *ret_f = f;
    return r;
}

static void expect_cue(struct cc_reader *r, const char *text, int64_t start, int64_t end)
{
    assert_int_equal(cc_reader_end(r, NULL), 0);
    const struct cues *l = cc_reader_cues(r, 0);
    assert_int_equal(l->n, 1);
    assert_string_equal(l->v[0].text, text);
    assert_int_equal(l->v[0].start, start);
    assert_int_equal(l->v[0].end, end);
    assert_int_equal(cc_reader_spoke(r), 1);
    assert_int_equal(cc_reader_flooded(r, 0), 0);
}

/* Decoded as I P B B P B B: shown 0, 30, 10, 20, 60, 40, 50. */
static void bytes_come_in_the_order_of_showing(void **state)
{
    AVFormatContext *f;
    struct cc_reader *r = open_reader(&f);

    (void)state;
    feed(r, 100, 90, 0x14, 0x20);
    feed(r, 130, 100, 'L', 'L');
    feed(r, 110, 110, 0x14, 0x60);
    feed(r, 120, 120, 'H', 'E');
    feed(r, 160, 130, 0x14, 0x2f);
    feed(r, 140, 140, 'O', '!');
    feed(r, 150, 150, 'S', '.');
    feed(r, 190, 180, 0x14, 0x2c);
    expect_cue(r, "HELLO!S.", 160, 190);
    cc_reader_free(r);
    avformat_free_context(f);
}

/* The same, and P pictures have no time (MPEG-PS). */
static void pictures_without_a_time_are_shown_when_the_next_one_is_decoded(void **state)
{
    AVFormatContext *f;
    struct cc_reader *r = open_reader(&f);

    (void)state;
    feed(r, 100, 90, 0x14, 0x20);
    feed(r, AV_NOPTS_VALUE, 100, 'L', 'L');
    feed(r, 110, 110, 0x14, 0x60);
    feed(r, 120, 120, 'H', 'E');
    feed(r, AV_NOPTS_VALUE, 130, 0x14, 0x2f);
    feed(r, 140, 140, 'O', '!');
    feed(r, 150, 150, 'S', '.');
    feed(r, AV_NOPTS_VALUE, 160, 0x14, 0x2c);
    feed(r, 170, 170, 0, 0);
    feed(r, AV_NOPTS_VALUE, 190, 0, 0);
    expect_cue(r, "HELLO!S.", 160, 190);
    cc_reader_free(r);
    avformat_free_context(f);
}

static void what_stays_at_the_end_stays_for_a_while(void **state)
{
    AVFormatContext *f;
    struct cc_reader *r = open_reader(&f);

    (void)state;
    feed(r, 100, 100, 0x14, 0x25);
    feed(r, 110, 110, 'H', 'I');
    feed(r, 110, 110, '!', '!'); /* at the same time */
    expect_cue(r, "HI!!", 110, 16110);
    cc_reader_free(r);
    avformat_free_context(f);
}

/* cc_dec takes four of them for one. */
static void notes_in_a_row_are_all_there(void **state)
{
    AVFormatContext *f;
    struct cc_reader *r = open_reader(&f);

    (void)state;
    feed(r, 100, 100, 0x14, 0x25);
    for (int i = 0; i < 6; i++)
        feed(r, 110 + i, 110 + i, 0x11, 0x37);
    feed(r, 120, 120, 0x14, 0x2c);
    expect_cue(r, "\xe2\x99\xaa\xe2\x99\xaa\xe2\x99\xaa", 110, 120);
    cc_reader_free(r);
    avformat_free_context(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(captions_are_where_standards_put_them),
        cmocka_unit_test(bytes_belong_to_channels),
        cmocka_unit_test(damaged_bytes_are_left_out),
        cmocka_unit_test(changes_become_cues),
        cmocka_unit_test(rows_of_the_upper_half_stand_at_the_top),
        cmocka_unit_test(bytes_come_in_the_order_of_showing),
        cmocka_unit_test(pictures_without_a_time_are_shown_when_the_next_one_is_decoded),
        cmocka_unit_test(what_stays_at_the_end_stays_for_a_while),
        cmocka_unit_test(notes_in_a_row_are_all_there),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
