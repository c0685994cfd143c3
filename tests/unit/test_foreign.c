/* Streams that nobody here decodes have the names that people know. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/err.h"
#include "common/media/foreign.h"
#include "common/media/open.h"
#include "common/media/pmt.h"
#include "inside_double.h"

enum { PACKET = 188, PMT_PID = 0x1000, PID = 0x100 };

static const uint8_t usac[] = { 0xf9, 0x48, 0x20, 0 }, lc[] = { 0x12, 0x08 };
static const uint8_t flac32[34] = { [12] = 0x03, [13] = 0xf0 },
                     flac24[34] = { [12] = 0x03, [13] = 0x70 };

#define A AVMEDIA_TYPE_AUDIO
#define V AVMEDIA_TYPE_VIDEO

static const struct row {
    const char *what, *container, *tag;
    enum AVMediaType type;
    enum AVCodecID id;
    const uint8_t *extradata;
    int extra_size;
    const char *want; /* a part of it; NULL: it is decoded here */
} rows[] = {
    {"H.264",               "mov",      "avc1", V,                 AV_CODEC_ID_H264, NULL,   0,              NULL            },
    { "AC-4",               "mov",      "ac-4", A,                 AV_CODEC_ID_NONE, NULL,   0,              "AC-4"          },
    { "MPEG-H, a part",     "mov",      "mha1", A,                 AV_CODEC_ID_NONE, NULL,   0,              "MPEG-H"        },
    { "MPEG-H, a stream",   "mov",      "mhm2", A,                 AV_CODEC_ID_NONE, NULL,   0,              "MPEG-H"        },
    { "IAMF",               "mov",      "iamf", A,                 AV_CODEC_ID_NONE, NULL,   0,              "IAMF"          },
    { "APAC",               "mov",      "apac", A,                 AV_CODEC_ID_NONE, NULL,   0,              "APAC"          },
    { "FairPlay's AAC",     "mov",      "drms", A,                 AV_CODEC_ID_AAC,  NULL,   0,              "encrypted"     },
    { "a sound of no name", "mov",      "zzz1", A,                 AV_CODEC_ID_NONE, NULL,   0,              NULL            },
    { "text of that tag",   "mov",      "ac-4", AVMEDIA_TYPE_DATA, AV_CODEC_ID_NONE, NULL,   0,              NULL            },
    { "VVC",                "mov",      "vvc1", V,                 AV_CODEC_ID_NONE, NULL,   0,              "VVC"           },
    { "ProRes RAW",         "mov",      "aprn", V,                 AV_CODEC_ID_NONE, NULL,   0,              "ProRes RAW"    },
    { "Blackmagic RAW",     "mov",      "brst", V,                 AV_CODEC_ID_NONE, NULL,   0,              "Blackmagic RAW"},
    { "APV",                "mov",      "apv1", V,                 AV_CODEC_ID_NONE, NULL,   0,              "APV"           },
    { "a codec's own name", "matroska", "",     V,                 AV_CODEC_ID_AIC,  NULL,   0,              "Apple Inter"   },
    { "AAC",                "mov",      "mp4a", A,                 AV_CODEC_ID_AAC,  lc,     sizeof(lc),     NULL            },
    { "xHE-AAC",            "mov",      "mp4a", A,                 AV_CODEC_ID_AAC,  usac,   sizeof(usac),   "xHE-AAC"       },
    { "xHE-AAC, cut off",   "mov",      "mp4a", A,                 AV_CODEC_ID_AAC,  usac,   1,              NULL            },
    { "FLAC of 24 bits",    "matroska", "",     A,                 AV_CODEC_ID_FLAC, flac24, sizeof(flac24), NULL            },
    { "FLAC of 32 bits",    "matroska", "",     A,                 AV_CODEC_ID_FLAC, flac32, sizeof(flac32),
     "more than 24"                                                                                                          },
};

/* What a later library decodes has no name here. */
static int is_of_this_library(const struct row *r)
{
    return !r->want || (r->extradata == usac && avcodec_version() >= AV_VERSION_INT(61, 19, 0)) ||
           (r->extradata == flac32 && avcodec_version() >= AV_VERSION_INT(60, 0, 0));
}

static struct media_source source(const char *container)
{
    struct media_source s = { .fmt = avformat_alloc_context(), .selected = -1 };

    s.fmt->iformat = av_find_input_format(container);
    assert_non_null(avformat_new_stream(s.fmt, NULL));
    return s;
}

static void each_kind_has_its_name(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        const struct row *r = &rows[i];
        struct media_source s = source(r->container);
        AVCodecParameters *p = s.fmt->streams[0]->codecpar;
        struct inside in = { 0 };
        struct err err = { 0 };

        p->codec_type = r->type;
        p->codec_id = r->id;
        for (size_t k = 0; r->tag[k]; k++)
            p->codec_tag |= (uint32_t)(uint8_t)r->tag[k] << 8 * k;
        p->extradata = av_mallocz((size_t)r->extra_size + AV_INPUT_BUFFER_PADDING_SIZE);
        p->extradata_size = r->extra_size;
        if (r->extra_size)
            memcpy(p->extradata, r->extradata, (size_t)r->extra_size);
        assert_int_equal(foreign_find(&in, &s, &err), 0);
        const char *got = s.foreign[0];
        if (is_of_this_library(r) ? got != NULL : !got || !strstr(got, r->want))
            fail_msg("%s: \"%s\"", r->what, got ? got : "");
        assert_int_equal(p->codec_id, got ? AV_CODEC_ID_NONE : r->id);
        avformat_free_context(s.fmt);
    }
}

static uint8_t *packet(uint8_t *p, unsigned pid, const uint8_t *payload, size_t n)
{
    memset(p, 0xff, PACKET);
    memcpy(p, (const uint8_t[]){ 0x47, (uint8_t)(0x40 | pid >> 8), (uint8_t)pid, 0x10, 0 }, 5);
    memcpy(p + 5, payload, n);
    return p + PACKET;
}

/* PAT, PMT of one stream, and packets of that, of which the last are scrambled. */
static size_t transport(uint8_t *to, uint8_t type, const char *descriptor, size_t scrambled)
{
    static const uint8_t pat[] = { 0, 0xb0, 13, 0, 1, 0xc1, 0, 0, 0, 1, 0xf0, 0, 0, 0, 0, 0 };
    size_t n = strlen(descriptor);
    uint8_t pmt[64] = { 2, 0xb0, (uint8_t)(18 + n), 0, 1, 0xc1, 0, 0, 0xe1, 0, 0xf0, 0, type, 0xe1,
                        0, 0xf0, (uint8_t)n };
    uint8_t *p = packet(to, 0, pat, sizeof(pat));

    memcpy(pmt + 17, descriptor, n);
    p = packet(p, PMT_PID, pmt, 17 + n + 4);
    for (size_t i = 0; i < 8; i++) {
        uint8_t *from = p;
        p = packet(p, PID, (const uint8_t *)"", 1);
        from[3] |= i >= 8 - scrambled ? 0x80 : 0;
    }
    return (size_t)(p - to);
}

static const struct {
    const char *what;
    uint8_t type;
    const char *descriptor;
    size_t scrambled;
    const char *want;
} streams[] = {
    {"H.264",                    0x1b, "",             0, NULL       },
    { "MPEG-H",                  0x2d, "",             0, "MPEG-H"   },
    { "VVC",                     0x33, "",             0, "VVC"      },
    { "AC-4 of DVB",             0x06, "\x7f\x01\x15", 0, "AC-4"     },
    { "AC-4 by its format",      0x06,
     "\x05\x04"
      "AC-4",                                          0, "AC-4"     },
    { "another of DVB",          0x06, "\x7f\x01\x0e", 0, NULL       },
    { "a descriptor cut off",    0x06, "\x7f\x09\x15", 0, NULL       },
    { "scrambled",               0x1b, "",             8, "scrambled"},
    { "a few packets scrambled", 0x1b, "",             3, NULL       },
};

static void tables_name_what_the_demuxer_does_not_know(void **state)
{
    uint8_t bytes[16 * PACKET];

    (void)state;
    for (size_t i = 0; i < sizeof(streams) / sizeof(*streams); i++) {
        struct inside in = { .data = bytes };
        struct media_source s = source("mpegts");
        struct err err = { 0 };

        in.size = transport(bytes, streams[i].type, streams[i].descriptor, streams[i].scrambled);
        s.fmt->streams[0]->id = PID;
        s.fmt->streams[0]->codecpar->codec_type = streams[i].type == 0x1b ? AVMEDIA_TYPE_VIDEO
                                                                          : AVMEDIA_TYPE_DATA;
        s.fmt->streams[0]->codecpar->codec_id = streams[i].type == 0x1b ? AV_CODEC_ID_H264
                                                                        : AV_CODEC_ID_BIN_DATA;
        assert_int_equal(foreign_find(&in, &s, &err), 0);
        const char *got = s.foreign[0];
        if (streams[i].want ? !got || !strstr(got, streams[i].want) : got != NULL)
            fail_msg("%s: \"%s\"", streams[i].what, got ? got : "");
        avformat_free_context(s.fmt);
    }
}

/* However a file ends, and whatever lies before its first packet. */
static void tables_are_read_anywhere(void **state)
{
    uint8_t bytes[16 * PACKET] = { 0 };
    struct pmt pmt;

    (void)state;
    size_t n = transport(bytes + 7, 0x2d, "", 0);
    pmt_read(bytes, n + 7, &pmt);
    assert_int_equal(pmt.n, 1);
    assert_int_equal(pmt_find(&pmt, PID)->type, 0x2d);
    assert_int_equal(pmt_find(&pmt, PID)->clear, 8);
    for (size_t i = 0; i < n; i++)
        pmt_read(bytes + 7, i, &pmt);
    assert_null(pmt_find(&pmt, PID + 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_kind_has_its_name),
        cmocka_unit_test(tables_name_what_the_demuxer_does_not_know),
        cmocka_unit_test(tables_are_read_anywhere),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
