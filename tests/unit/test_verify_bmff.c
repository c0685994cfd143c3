/* The verifier's readers of boxes and codec strings, on bytes made here. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/verify/bmff.h"
#include "cli/verify/codec.h"
#include "common/base/err.h"

/* A file under construction. */
struct out {
    uint8_t b[4096];
    size_t n;
};

static void put(struct out *o, uint64_t v, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        o->b[o->n++] = (uint8_t)(v >> (8 * (bytes - 1 - i)));
}

static void put_text(struct out *o, const char *s)
{
    memcpy(o->b + o->n, s, strlen(s));
    o->n += strlen(s);
}

static size_t begin(struct out *o, const char *type)
{
    size_t at = o->n;
    put(o, 0, 4);
    put_text(o, type);
    return at;
}

static void end(struct out *o, size_t at)
{
    size_t n = o->n;
    o->n = at;
    put(o, n - at, 4);
    o->n = n;
}

static void zeros(struct out *o, size_t n)
{
    memset(o->b + o->n, 0, n);
    o->n += n;
}

static void make_avc1(struct out *o)
{
    static const uint8_t avcc[] = { 1, 0x64, 0, 0x28, 0xff, 0xe0, 0 };
    size_t e = begin(o, "avc1");
    zeros(o, 24);
    put(o, 1920, 2);
    put(o, 1080, 2);
    zeros(o, 50);
    size_t c = begin(o, "avcC");
    memcpy(o->b + o->n, avcc, sizeof(avcc));
    o->n += sizeof(avcc);
    end(o, c);
    c = begin(o, "colr");
    put_text(o, "nclx");
    put(o, 9, 2);
    put(o, 16, 2);
    put(o, 9, 2);
    put(o, 0x80, 1);
    end(o, c);
    end(o, e);
}

static void make_track(struct out *o)
{
    size_t trak = begin(o, "trak");
    size_t b = begin(o, "tkhd");
    zeros(o, 12);
    put(o, 1, 4);
    zeros(o, 60);
    put(o, 1920u << 16, 4);
    put(o, 1080u << 16, 4);
    end(o, b);
    size_t mdia = begin(o, "mdia");
    b = begin(o, "mdhd");
    zeros(o, 12);
    put(o, 90000, 4);
    zeros(o, 8);
    end(o, b);
    b = begin(o, "hdlr");
    zeros(o, 8);
    put_text(o, "vide");
    zeros(o, 13);
    end(o, b);
    size_t minf = begin(o, "minf"), stbl = begin(o, "stbl");
    b = begin(o, "stsd");
    zeros(o, 4);
    put(o, 1, 4);
    make_avc1(o);
    end(o, b);
    end(o, stbl);
    end(o, minf);
    end(o, mdia);
    end(o, trak);
}

static void make_init(struct out *o)
{
    *o = (struct out){ 0 };
    size_t b = begin(o, "ftyp");
    put_text(o, "iso6");
    put(o, 0, 4);
    put_text(o, "cmfc");
    end(o, b);
    size_t moov = begin(o, "moov");
    b = begin(o, "mvhd");
    zeros(o, 12);
    put(o, 1000, 4);
    zeros(o, 80);
    end(o, b);
    make_track(o);
    size_t mvex = begin(o, "mvex");
    b = begin(o, "trex");
    zeros(o, 4);
    put(o, 1, 4);
    put(o, 1, 4);
    put(o, 3000, 4);
    put(o, 7, 4);
    put(o, BMFF_NON_SYNC, 4);
    end(o, b);
    end(o, mvex);
    end(o, moov);
}

/* Two samples, the second shown one frame before its turn. */
static void make_segment(struct out *o)
{
    *o = (struct out){ 0 };
    size_t moof = begin(o, "moof");
    size_t b = begin(o, "mfhd");
    put(o, 0, 4);
    put(o, 1, 4);
    end(o, b);
    size_t traf = begin(o, "traf");
    b = begin(o, "tfhd");
    put(o, 0x020000, 4);
    put(o, 1, 4);
    end(o, b);
    b = begin(o, "tfdt");
    put(o, 1u << 24, 4);
    put(o, INT64_C(0x123456789), 8);
    end(o, b);
    b = begin(o, "trun");
    put(o, 1u << 24 | 0x000805, 4); /* offset, first flags, signed composition offsets */
    put(o, 2, 4);
    size_t offset_at = o->n;
    put(o, 0, 4);
    put(o, 0, 4);
    put(o, 0, 4);
    put(o, (uint32_t)-3000, 4);
    end(o, b);
    end(o, traf);
    end(o, moof);
    size_t data = o->n + 8, n;
    b = begin(o, "mdat");
    zeros(o, 14);
    end(o, b);
    n = o->n;
    o->n = offset_at;
    put(o, data, 4);
    o->n = n;
}

static void test_init(void **state)
{
    (void)state;
    struct out o;
    struct bmff_init i;
    char text[CODEC_STRING_MAX];
    make_init(&o);
    assert_int_equal(bmff_init_parse(o.b, o.n, &i, NULL), 0);
    assert_int_equal(i.n_trak, 1);
    assert_int_equal(i.timescale, 90000);
    assert_int_equal(i.track_id, 1);
    assert_int_equal(i.width, 1920);
    assert_int_equal(i.height, 1080);
    assert_int_equal(i.transfer, 16);
    assert_int_equal(i.full_range, 1);
    assert_int_equal(i.def_duration, 3000);
    assert_int_equal(codec_string(&i, text, NULL), 0);
    assert_string_equal(text, "avc1.640028");
    assert_true(codec_string_matches(&i, "avc1.640028"));
    assert_false(codec_string_matches(&i, "avc1.64001f"));
}

static void test_segment(void **state)
{
    (void)state;
    struct out o;
    struct bmff_init i;
    struct bmff_segment s;
    make_init(&o);
    assert_int_equal(bmff_init_parse(o.b, o.n, &i, NULL), 0);
    make_segment(&o);
    assert_int_equal(bmff_segment_parse(o.b, o.n, &i, &s, NULL), 0);
    assert_int_equal(s.n_moofs, 1);
    assert_int_equal(s.n_samples, 2);
    assert_true(s.moofs[0].tfdt == UINT64_C(0x123456789));
    assert_int_equal(s.moofs[0].duration, 6000);
    assert_int_equal(s.moofs[0].mdat_len, 14);
    assert_int_equal(s.samples[0].flags, 0);
    assert_int_equal(s.samples[1].flags, BMFF_NON_SYNC);
    assert_int_equal(s.samples[0].off, s.moofs[0].mdat_off);
    assert_true(s.samples[1].dts == INT64_C(0x123456789) + 3000);
    assert_true(s.samples[1].pts == INT64_C(0x123456789));
    bmff_segment_release(&s);
}

/* Each prefix and each single changed byte, in memory of exactly that size. */
static void test_hostile(void **state)
{
    (void)state;
    struct out init, seg;
    struct bmff_init i, x;
    struct bmff_segment s;
    make_init(&init);
    assert_int_equal(bmff_init_parse(init.b, init.n, &i, NULL), 0);
    make_segment(&seg);
    for (size_t n = 0; n < init.n; n++) {
        uint8_t *copy = malloc(n + 1);
        memcpy(copy, init.b, n);
        (void)bmff_init_parse(copy, n, &x, NULL);
        free(copy);
    }
    static const uint8_t values[] = { 0, 1, 0x7f, 0x80, 0xff };
    for (size_t n = 0; n < seg.n; n++) {
        for (size_t v = 0; v < sizeof(values); v++) {
            uint8_t *copy = malloc(seg.n);
            memcpy(copy, seg.b, seg.n);
            copy[n] = values[v];
            if (!bmff_segment_parse(copy, seg.n, &i, &s, NULL))
                bmff_segment_release(&s);
            if (!bmff_segment_parse(copy, n, &i, &s, NULL))
                bmff_segment_release(&s);
            free(copy);
        }
    }
}

static void test_deep_nesting(void **state)
{
    (void)state;
    enum { DEPTH = 100000 };
    uint8_t *b = malloc(8 * DEPTH);
    struct bmff_init i;
    struct err err = { 0 };
    for (uint32_t k = 0; k < DEPTH; k++) {
        uint32_t size = 8 * (DEPTH - k);
        for (unsigned j = 0; j < 4; j++)
            b[8 * k + j] = (uint8_t)(size >> (24 - 8 * j));
        memcpy(b + 8 * k + 4, k ? "trak" : "moov", 4);
    }
    assert_int_equal(bmff_init_parse(b, 8 * DEPTH, &i, &err), -EINVAL);
    assert_non_null(strstr(err.text, "nest"));
    free(b);
}

static const struct codec_row {
    const char *name;
    uint32_t entry, config_type;
    uint8_t config[40];
    size_t len;
    const char *want;
} codec_rows[] = {
    {"main 10 at 5.1, as ISO/IEC 14496-15 annex E writes it",
     FOURCC('h',             'v',                                                        'c',                   '1'),
     FOURCC('h',              'v','c',                     'C'),
     { 1, 0x02, 0x20, 0, 0, 0, 0x90, 0, 0, 0, 0, 0, 153, 0, 0, 0, 0, 0xfa, 0, 0, 0, 0x0f, 0 },
     23, "hvc1.2.4.L153.90" },
    { "main, high tier, no constraint byte at all",
     FOURCC('h', 'v',                                                          'c',                                   '1'),
     FOURCC('h',         'v','c','C'),
     { 1, 0x21, 0x60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 120, 0, 0, 0, 0, 0, 0, 0, 0, 0x0f, 0 },
     23, "hvc1.1.6.H120" },
    { "AV1 main at 4.0, 10 bit",
     FOURCC('a',             'v', '0',                                                                                                        '1'),
     FOURCC('a',  'v','1','C'),
     { 0x81, 0x08, 0x4c, 0 },
     4, "av01.0.08M.10" },
    { "AAC-LC out of an esds",
     FOURCC('m',             'p',                                                                    '4',                                                                                      'a'),
     FOURCC('e', 's','d','s'),
     { 0, 0, 0, 0, 3, 0x19, 0, 0, 0, 4, 0x11, 0x40, 0x15, 0, 0, 0,
        0, 0, 0, 0, 0, 0,    0, 0, 5, 2, 0x11, 0x90, 6,    1, 2 },
     31, "mp4a.40.2" },
    { "HEVC whose hvcC was cut",
     FOURCC('h','v','c','1'),
     FOURCC('h',         'v','c',                                                                           'C'),
     { 1 },
     9, NULL },
    { "AV1 without av1C",                                            FOURCC('a',        'v',                                         '0',                                                                                                '1'),                                                                                                      0,                          { 0 }, 0,NULL},
};

static void test_codec_strings(void **state)
{
    (void)state;
    for (size_t k = 0; k < sizeof(codec_rows) / sizeof(codec_rows[0]); k++) {
        const struct codec_row *row = &codec_rows[k];
        struct bmff_init i = { .entry = row->entry,
                               .config_type = row->config_type,
                               .config_len = row->len };
        char text[CODEC_STRING_MAX] = "";
        memcpy(i.config, row->config, sizeof(row->config));
        int r = codec_string(&i, text, NULL);
        if (!row->want && r == -EINVAL)
            continue;
        if (!row->want || r || strcmp(text, row->want))
            fail_msg("%s: %d \"%s\"", row->name, r, text);
    }
}

static void test_av1_suffix(void **state)
{
    (void)state;
    struct bmff_init i = {
        .entry = FOURCC('a', 'v', '0', '1'),
        .config_type = FOURCC('a', 'v', '1', 'C'),
        .config = {0x81, 0x08, 0x4c, 0},
        .config_len = 4,
        .has_colr = 1,
        .primaries = 9,
        .transfer = 16,
        .matrix = 9
    };
    assert_true(codec_string_matches(&i, "av01.0.08M.10"));
    assert_true(codec_string_matches(&i, "av01.0.08M.10.0.110.09.16.09.0"));
    assert_false(codec_string_matches(&i, "av01.0.08M.10.0.110.01.01.01.0"));
    assert_false(codec_string_matches(&i, "av01.0.08M.10.x"));
    assert_false(codec_string_matches(&i, "av01.0.08M.08"));
}

static const struct key_row {
    const char *name;
    uint32_t entry;
    uint8_t data[16];
    size_t len;
    int want;
} key_rows[] = {
    {"SEI before an IDR slice",
     FOURCC('a',                                                              'v', 'c', '1'),
     { 0, 0, 0, 2, 6, 0x80, 0, 0, 0, 2, 0x65, 0x80 },
     12,                                                                                                                        1      },
    { "an I slice that is no IDR",                                FOURCC('a', 'v', 'c', '1'), { 0, 0, 0, 2, 0x41, 0x80 },    6, 0      },
    { "a NAL unit longer than its sample",
     FOURCC('a',                                                              'v', 'c', '1'),
     { 0, 0, 0, 9, 0x65 },
     5,                                                                                                                         -EINVAL},
    { "no picture at all",                                        FOURCC('a', 'v', 'c', '1'), { 0, 0, 0, 2, 6, 0x80 },       6, -EINVAL},
    { "HEVC IDR_N_LP",                                            FOURCC('h', 'v', 'c', '1'), { 0, 0, 0, 2, 20 << 1, 1 },    6, 1      },
    { "HEVC CRA needs what came before",
     FOURCC('h',                                                              'v', 'c', '1'),
     { 0, 0, 0, 2, 21 << 1, 1 },
     6,                                                                                                                         0      },
    { "AV1 key frame behind a sequence header",
     FOURCC('a',                                                              'v', '0', '1'),
     { 0x12, 0, 0x0a, 1, 0, 0x32, 1, 0x10 },
     8,                                                                                                                         1      },
    { "AV1 key frame without a sequence header",
     FOURCC('a',                                                              'v', '0', '1'),
     { 0x32, 1, 0x10 },
     3,                                                                                                                         0      },
    { "AV1 inter frame",                                          FOURCC('a', 'v', '0', '1'), { 0x0a, 1, 0, 0x32, 1, 0x30 }, 6, 0      },
    { "AV1 key frame behind another sequence header than av1C's",
     FOURCC('a',                                                              'v', '0', '1'),
     { 0x0a, 1, 7, 0x32, 1, 0x10 },
     6,                                                                                                                         -EINVAL},
    { "an OBU longer than its sample",                            FOURCC('a', 'v', '0', '1'), { 0x32, 9, 0x10 },             3, -EINVAL},
};

/* Lengths of four bytes; one sequence header. */
static struct bmff_init init_of(uint32_t entry)
{
    struct bmff_init i = { .entry = entry, .config_len = 23 };

    if (entry == FOURCC('a', 'v', '0', '1')) {
        i.config_type = FOURCC('a', 'v', '1', 'C');
        i.config_len = 7;
        i.config[4] = 0x0a;
        i.config[5] = 1;
        return i;
    }
    i.config_type = entry == FOURCC('a', 'v', 'c', '1') ? FOURCC('a', 'v', 'c', 'C')
                                                        : FOURCC('h', 'v', 'c', 'C');
    i.config[4] = i.config[21] = 3;
    return i;
}

static void test_key_pictures(void **state)
{
    (void)state;
    for (size_t k = 0; k < sizeof(key_rows) / sizeof(key_rows[0]); k++) {
        const struct key_row *row = &key_rows[k];
        struct bmff_init i = init_of(row->entry);
        int r = codec_is_key(&i, row->data, row->len, NULL);
        if (r != row->want)
            fail_msg("%s: %d", row->name, r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        {"an init segment gives its facts",               test_init,          NULL, NULL, NULL},
        { "a fragment's samples have their times",        test_segment,       NULL, NULL, NULL},
        { "cut or changed bytes never read past the end", test_hostile,       NULL, NULL, NULL},
        { "boxes nested without end are refused",         test_deep_nesting,  NULL, NULL, NULL},
        { "codec strings follow the configuration",       test_codec_strings, NULL, NULL, NULL},
        { "AV1's optional fields must agree with colr",   test_av1_suffix,    NULL, NULL, NULL},
        { "key pictures are told by their NAL units",     test_key_pictures,  NULL, NULL, NULL},
    };
    return cmocka_run_group_tests_name("verify_bmff", tests, NULL, NULL);
}
