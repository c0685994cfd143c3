/* H.264, HEVC and AV1 packets, made byte by byte, into the form of encoders. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/err.h"
#include "common/media/bitstream.h"

#include <libavcodec/avcodec.h>

/* High, level 4.0, 64x64, frames only, no VUI; and one that allows fields. */
#define SPS       0x67, 0x64, 0x00, 0x28, 0xac, 0xd9, 0x44, 0x26, 0x84
#define PPS       0x68, 0xeb, 0xe3, 0xcb
#define IDR       0x65, 0x88, 0x84, 0x11, 0x22
#define SLICE     0x41, 0x9a, 0x01, 0x33
#define SLICE_2ND 0x41, 0x5a, 0x01, 0x33
#define SEI       0x06, 0x05, 0x01, 0x00, 0x80
#define AUD       0x09, 0xf0
#define FILLER    0x0c, 0xff, 0x80
#define CODE      0, 0, 0, 1

static const uint8_t avcc[] = { 1, 0x64, 0, 0x28, 0xff, 0xe1, 0, 9, SPS, 1, 0, 4, PPS };
static const uint8_t annexb[] = { CODE, SPS, 0, 0, 1, PPS };
static const uint8_t header[] = { CODE, SPS, CODE, PPS };

static struct bitstream *open_one(enum AVCodecID codec, const uint8_t *p, size_t n, struct err *e)
{
    AVCodecParameters *par = avcodec_parameters_alloc();
    struct bitstream *b = NULL;

    par->codec_id = codec;
    par->extradata = av_mallocz(n + AV_INPUT_BUFFER_PADDING_SIZE);
    memcpy(par->extradata, p, n);
    par->extradata_size = (int)n;
    if (bitstream_new(par, &b, e) < 0)
        b = NULL;
    avcodec_parameters_free(&par);
    return b;
}

static void both_kinds_of_header_are_the_same(void **state)
{
    struct err e = { 0 };

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct bitstream *b = open_one(AV_CODEC_ID_H264, i ? annexb : avcc,
                                       i ? sizeof(annexb) : sizeof(avcc), &e);
        size_t n;
        assert_non_null(b);
        const uint8_t *p = bitstream_header(b, &n);
        assert_int_equal(n, sizeof(header));
        assert_memory_equal(p, header, n);
        bitstream_free(b);
    }
}

static void parameter_sets_may_be_told_twice_but_not_be_two(void **state)
{
    static const uint8_t twice[] = { CODE, SPS, CODE, PPS, CODE, SPS, CODE, PPS };
    static const uint8_t two[] = { CODE, SPS, CODE, PPS, CODE, 0x67, 0x64, 0, 0x29, 0xac };
    struct err e = { 0 };
    size_t n;

    (void)state;
    struct bitstream *b = open_one(AV_CODEC_ID_H264, twice, sizeof(twice), &e);
    assert_non_null(b);
    (void)bitstream_header(b, &n);
    assert_int_equal(n, sizeof(header));
    bitstream_free(b);
    assert_null(open_one(AV_CODEC_ID_H264, two, sizeof(two), &e));
    assert_string_equal(e.text, "the source has 2 sequence parameter sets");
}

static void a_header_cut_anywhere_is_refused(void **state)
{
    (void)state;
    for (size_t n = 0; n < sizeof(avcc); n++) {
        struct err e = { 0 };
        struct bitstream *b = open_one(AV_CODEC_ID_H264, avcc, n, &e);
        assert_null(b);
        assert_int_equal(e.cls, ERR_INPUT);
    }
}

/* Of 4 bytes each: lengths and units. */
static const uint8_t units_by_length[] = { 0, 0, 0, 2, AUD, 0, 0, 0, 9, SPS, 0, 0, 0, 4, PPS,
                                           0, 0, 0, 5, SEI, 0, 0, 0, 5, IDR, 0, 0, 0, 3, FILLER };
static const uint8_t units_by_code[] = { CODE, AUD, 0, 0, 1,   SPS,  0,   0, 0, 0,    0,     1,
                                         PPS,  0,   0, 1, SEI, CODE, IDR, 0, 0, CODE, FILLER };
static const uint8_t units_kept[] = { CODE, SEI, CODE, IDR };

static int push(struct bitstream *b, const uint8_t *p, size_t n, AVPacket *to, int *ret_idr,
                struct err *e)
{
    AVPacket *from = av_packet_alloc();

    assert_int_equal(av_new_packet(from, (int)n), 0);
    memcpy(from->data, p, n);
    int r = bitstream_packet(b, from, to, ret_idr, e);
    av_packet_free(&from);
    return r;
}

/* A/53 captions: SEI of type 4, of the ATSC. */
#define CAPTIONS 0x06, 0x04, 0x09, 0xb5, 0x00, 0x31, 'G', 'A', '9', '4', 0x03, 0x40, 0x80
static const uint8_t with_captions[] = { CODE, CAPTIONS, CODE, SEI, CODE, IDR };

static void captions_are_no_part_of_a_copy(void **state)
{
    struct err e = { 0 };
    struct bitstream *b = open_one(AV_CODEC_ID_H264, annexb, sizeof(annexb), &e);
    AVPacket *to = av_packet_alloc();
    int idr = 0;

    (void)state;
    assert_int_equal(push(b, with_captions, sizeof(with_captions), to, &idr, &e), 0);
    assert_int_equal(to->size, sizeof(units_kept));
    assert_memory_equal(to->data, units_kept, sizeof(units_kept));
    av_packet_free(&to);
    bitstream_free(b);
}

static void packets_become_annex_b_without_what_nobody_needs(void **state)
{
    struct err e = { 0 };

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct bitstream *b = open_one(AV_CODEC_ID_H264, i ? annexb : avcc,
                                       i ? sizeof(annexb) : sizeof(avcc), &e);
        AVPacket *to = av_packet_alloc();
        int idr = 0, r;
        r = i ? push(b, units_by_code, sizeof(units_by_code), to, &idr, &e)
              : push(b, units_by_length, sizeof(units_by_length), to, &idr, &e);
        if (r < 0)
            fail_msg("%s", e.text);
        assert_true(idr);
        assert_int_equal(to->size, sizeof(units_kept));
        assert_memory_equal(to->data, units_kept, sizeof(units_kept));
        av_packet_free(&to);
        bitstream_free(b);
    }
}

#define UNITS(...) (const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ })

static const struct row {
    const char *name;
    const uint8_t *p;
    size_t n;
    const char *why; /* NULL: taken */
    int idr;
} rows[] = {
    {"a slice",                UNITS(CODE,             SLICE), NULL,  0                                             },
    {                                         "an IDR picture",                                                                    UNITS(CODE,                                      IDR),      NULL,     1                                  },
    {                   "two slices",                                                UNITS(CODE,                                SLICE,                                     CODE,                                         SLICE_2ND),                                 NULL, 0 },
    {              "two pictures",                                                                               UNITS(CODE, SLICE,      CODE,          SLICE),
     "a packet of the source isn't one whole picture", 0 },
    {                                       "a picture's second half",                               UNITS(CODE,                                            SLICE_2ND),
     "a packet of the source isn't one whole picture",          0},
    { "IDR and not",                                                                 UNITS(CODE,                                            IDR,                                      CODE,          SLICE_2ND),
     "a packet of the source isn't one whole picture", 0 },
    {        "no picture",                                                                   UNITS(CODE,                                             AUD,                                      CODE,              SPS),                   "a packet of the source isn't one whole picture",
     0 },
    {                "another SPS",                                                        UNITS(CODE,                                      0x67,                                        0x64,                            0,                                                                         0x29, 0xac, CODE, IDR),
     "the source's parameter sets change", 0 },
    {                                                                                                                "another PPS",                                                                       UNITS(CODE,                                      0x68,   0xeb,  CODE,           IDR), "the source's parameter sets change", 0 },
    {                                        "a data partition",                                                                                                                          UNITS(CODE,                   0x42,   0x9a, 0x01),           "the source has NAL units of type 2", 0 },
    {                                        "another view",              UNITS(CODE,                    IDR,   CODE,  0x74,                                              1, 2, 3), "the source has NAL units of type 20",
     0 },
    {                                        "nothing but zeros",                                                                                                                         UNITS(0,                                             0,                                0,       0,        0, 0),
     "a packet of the source isn't one whole picture", 0 },
    {"no start code",UNITS(1, 2,      3,          4),                                         "the source is damaged", 0 },
    {                                                                             "something before it",                                                                                                                                                                                                                                 UNITS(9,                     CODE,                          SLICE),                     "the source is damaged",      0 },
    {"the forbidden bit",UNITS(CODE,                      0xc1,                           0x9a,0x01),                        "the source is damaged", 0 },
};

static void a_packet_is_one_whole_picture_of_this_stream(void **state)
{
    struct err none = { 0 };
    struct bitstream *b = open_one(AV_CODEC_ID_H264, annexb, sizeof(annexb), &none);

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct err e = { 0 };
        int idr = 0, r = push(b, rows[i].p, rows[i].n, NULL, &idr, &e);
        if ((r == 0) != !rows[i].why || (rows[i].why && strcmp(e.text, rows[i].why) != 0) ||
            idr != rows[i].idr)
            fail_msg("%s: %d, %s", rows[i].name, r, e.text);
    }
    bitstream_free(b);
}

static void lengths_that_do_not_add_up_are_damage(void **state)
{
    static const uint8_t good[] = { 0, 0, 0, 5, SEI, 0, 0, 0, 5, IDR };
    struct err e = { 0 };
    struct bitstream *b = open_one(AV_CODEC_ID_H264, avcc, sizeof(avcc), &e);
    int idr;

    (void)state;
    assert_int_equal(push(b, good, sizeof(good), NULL, &idr, &e), 0);
    for (size_t n = 1; n < sizeof(good); n++)
        assert_int_equal(push(b, good, n, NULL, &idr, &e), -EINVAL);
    for (size_t i = 0; i < sizeof(good); i += 9) {
        uint8_t bad[sizeof(good)];
        memcpy(bad, good, sizeof(bad));
        bad[i + 3] = 0;
        assert_int_equal(push(b, bad, sizeof(bad), NULL, &idr, &e), -EINVAL);
    }
    bitstream_free(b);
}

static void the_header_tells_profile_level_and_fields(void **state)
{
    struct err e = { 0 };
    struct bitstream *b = open_one(AV_CODEC_ID_H264, avcc, sizeof(avcc), &e);
    struct bitstream_facts f;

    (void)state;
    bitstream_facts(b, &f);
    assert_int_equal(f.profile, 100);
    assert_int_equal(f.level, 40);
    assert_int_equal(f.constrained, 0);
    assert_int_equal(f.interlaced, 0);
    bitstream_free(b);
}

/* A delta of 2^31 - 1 in the first scaling list, where -128 to 127 may stand. */
static void a_wild_scaling_list_overflows_nothing(void **state)
{
    static const uint8_t wild[] = { 1,    0x64, 0,    0x28, 0xff, 0xe1, 0,    15,   0x67,
                                    0x64, 0x00, 0x28, 0xad, 0x80, 0x00, 0x00, 0x03, 0x00,
                                    0xff, 0xff, 0xff, 0xfe, 0x80, 1,    0,    4,    PPS };
    struct err e = { 0 };
    struct bitstream *b = open_one(AV_CODEC_ID_H264, wild, sizeof(wild), &e);
    struct bitstream_facts f;

    (void)state;
    assert_non_null(b);
    bitstream_facts(b, &f);
    assert_int_equal(f.profile, 100);
    bitstream_free(b);
}

/* ---- AV1 ---- */

/* Main, level 4.0, one layer. */
#define SEQUENCE  0x0a, 6, 0, 0, 0, 0x40, 0x12, 0x34
#define DELIMITER 0x12, 0
#define PADDING   0x7a, 2, 9, 9
#define KEY       0x32, 3, 0x10, 0xaa, 0xbb
#define INTER     0x32, 2, 0x30, 0xcc
#define HIDDEN    0x32, 2, 0x20, 0xdd
#define AGAIN     0x1a, 1, 0x80 /* show_existing_frame */
/* Metadata of type 4, T.35: A/53. */
#define CAPTIONS_OBU 0x2a, 12, 4, 0xb5, 0, 0x31, 'G', 'A', '9', '4', 3, 0x40, 0xff, 0x80

static const uint8_t av1c[] = { 0x81, 0x08, 0x0c, 0, SEQUENCE };
static const uint8_t obus[] = { DELIMITER, SEQUENCE, PADDING, SEQUENCE };
static const uint8_t sequence[] = { SEQUENCE };

static void av1_headers_of_both_kinds_are_one_sequence_header(void **state)
{
    struct bitstream_facts f;
    struct err e = { 0 };
    size_t n;

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct bitstream *b = open_one(AV_CODEC_ID_AV1, i ? obus : av1c,
                                       i ? sizeof(obus) : sizeof(av1c), &e);
        assert_non_null(b);
        const uint8_t *p = bitstream_header(b, &n);
        assert_int_equal(n, sizeof(sequence));
        assert_memory_equal(p, sequence, n);
        bitstream_facts(b, &f);
        assert_int_equal(f.profile, 0);
        assert_int_equal(f.level, 8);
        assert_int_equal(f.high_tier, 0);
        bitstream_free(b);
    }
}

/* clang-format off */
static const struct header_row {
    const uint8_t *p;
    size_t n;
    const char *why;
} headers[] = {
    { UNITS(0x81, 0x08, 0x0c, 0), "the source's header lacks a sequence header" },
    { UNITS(DELIMITER, PADDING), "the source's header lacks a sequence header" },
    { UNITS(0x81, 0x08, 0x0c), "the source's header lacks a sequence header" },
    { UNITS(0x0a, 9, 0, 0), "the source's header can't be read" },
    { UNITS(0x0a, 6, 0, 0, 0, 0x40, 0x12, 0x34, 0x0a, 6, 0, 0, 0, 0x48, 0x12, 0x34), "the source's header can't be read" },
    { UNITS(0x0a, 1, 0), "the source's header is cut off" },
    { UNITS(0x0a, 6, 0x10, 0, 0, 0x40, 0x12, 0x34), "the source is a still picture" },
    { UNITS(0x0a, 6, 0x00, 0x10, 0, 0x40, 0x12, 0x34), "the source has layers" },
    { UNITS(0x0a, 6, 0x00, 0x03, 0x03, 0x40, 0x12, 0x34), "the source has layers" },
    { UNITS(0x0a, 6, 0, 0, 0, 0xf8, 0x12, 0x34), "the source's level has no limits" },
};
/* clang-format on */

static void av1_headers_that_are_not_passed_on(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(headers) / sizeof(*headers); i++) {
        struct err e = { 0 };
        assert_null(open_one(AV_CODEC_ID_AV1, headers[i].p, headers[i].n, &e));
        if (strcmp(e.text, headers[i].why) != 0)
            fail_msg("%zu: %s; want: %s", i, e.text, headers[i].why);
    }
}

#define NOTHING NULL, 0

/* clang-format off */
static const struct unit_row {
    const char *name;
    const uint8_t *p;
    size_t n;
    const char *why; /* NULL: taken */
    int idr;
    const uint8_t *to;
    size_t n_to;
} units[] = {
    { "a key frame", UNITS(DELIMITER, SEQUENCE, KEY), NULL, 1, UNITS(SEQUENCE, KEY) },
    { "a key frame without its header", UNITS(KEY, PADDING), NULL, 1, UNITS(SEQUENCE, KEY) },
    { "a unit without its size", UNITS(SEQUENCE, 0x30, 0x10, 0xaa, 0xbb), NULL, 1, UNITS(SEQUENCE, KEY) },
    { "a hidden frame before", UNITS(DELIMITER, HIDDEN, INTER), NULL, 0, UNITS(HIDDEN, INTER) },
    { "a key frame after another", UNITS(HIDDEN, KEY), NULL, 0, UNITS(HIDDEN, KEY) },
    { "a frame shown again", UNITS(AGAIN), NULL, 0, UNITS(AGAIN) },
    { "of the first layer", UNITS(0x36, 0, 2, 0x30, 0xcc), NULL, 0, UNITS(INTER) },
    { "two frames", UNITS(INTER, INTER), "a packet of the source isn't one whole picture", 0, NOTHING },
    { "nothing shown", UNITS(HIDDEN), "a packet of the source isn't one whole picture", 0, NOTHING },
    { "nothing", UNITS(DELIMITER), "a packet of the source isn't one whole picture", 0, NOTHING },
    { "another header", UNITS(0x0a, 6, 0, 0, 0, 0x40, 0x12, 0x35, KEY), "the source's sequence header isn't that of its container, or changes", 0, NOTHING },
    { "captions of an inter frame", UNITS(CAPTIONS_OBU, INTER), NULL, 0, UNITS(INTER) },
    { "captions whose type is long-winded", UNITS(0x2a, 13, 0x84, 0, 0xb5, 0, 0x31, 'G', 'A', '9', '4', 3, 0x40, 0xff, 0x80, INTER), NULL, 0, UNITS(INTER) },
    { "HDR of a frame", UNITS(0x2a, 6, 1, 0, 1, 0, 1, 0x80, INTER), NULL, 0, UNITS(0x2a, 6, 1, 0, 1, 0, 1, 0x80, INTER) },
    { "HDR10+ of a frame", UNITS(0x2a, 5, 4, 0xb5, 0, 0x3c, 0x80, INTER), NULL, 0, UNITS(0x2a, 5, 4, 0xb5, 0, 0x3c, 0x80, INTER) },
    { "another layer", UNITS(0x36, 0x20, 2, 0x30, 0xcc), "the source has layers", 0, NOTHING },
    { "a list of tiles", UNITS(0x42, 0), "the source has OBUs of type 8", 0, NOTHING },
    { "cut off", UNITS(0x32, 4, 0x10, 0xaa, 0xbb), "the source is damaged", 0, NOTHING },
    { "a size without end", UNITS(0x32, 0x80, 0x80), "the source is damaged", 0, NOTHING },
    { "no extension", UNITS(INTER, 0x36), "the source is damaged", 0, NOTHING },
    { "the forbidden bit", UNITS(0xb2, 2, 0x30, 0xcc), "the source is damaged", 0, NOTHING },
};
/* clang-format on */

static void an_av1_packet_is_one_temporal_unit_of_this_stream(void **state)
{
    struct err none = { 0 };
    struct bitstream *b = open_one(AV_CODEC_ID_AV1, av1c, sizeof(av1c), &none);

    (void)state;
    for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++) {
        const struct unit_row *u = &units[i];
        AVPacket *to = av_packet_alloc();
        struct err e = { 0 };
        int idr = 0, r = push(b, u->p, u->n, to, &idr, &e);
        if ((r == 0) != !u->why || (u->why && strcmp(e.text, u->why) != 0) || idr != u->idr ||
            (size_t)to->size != u->n_to || (u->to && memcmp(to->data, u->to, u->n_to) != 0))
            fail_msg("%s: %d, %s, %d bytes", u->name, r, e.text, to->size);
        av_packet_free(&to);
    }
    bitstream_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_kinds_of_header_are_the_same),
        cmocka_unit_test(parameter_sets_may_be_told_twice_but_not_be_two),
        cmocka_unit_test(a_header_cut_anywhere_is_refused),
        cmocka_unit_test(packets_become_annex_b_without_what_nobody_needs),
        cmocka_unit_test(captions_are_no_part_of_a_copy),
        cmocka_unit_test(a_packet_is_one_whole_picture_of_this_stream),
        cmocka_unit_test(lengths_that_do_not_add_up_are_damage),
        cmocka_unit_test(the_header_tells_profile_level_and_fields),
        cmocka_unit_test(a_wild_scaling_list_overflows_nothing),
        cmocka_unit_test(av1_headers_of_both_kinds_are_one_sequence_header),
        cmocka_unit_test(av1_headers_that_are_not_passed_on),
        cmocka_unit_test(an_av1_packet_is_one_temporal_unit_of_this_stream),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
