/* MPEG-4 whose packets hold two pictures, one picture a packet. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/media/unpack.h"

/* VOPs of type I, P and B (14496-2, table 6-20), and one that isn't coded. */
#define VOP_I "\x00\x00\x01\xb6\x10\x11\x11\x11"
#define VOP_P "\x00\x00\x01\xb6\x50\x22\x22\x22"
#define VOP_B "\x00\x00\x01\xb6\x90\x33\x33\x33"
#define STILL "\x00\x00\x01\xb6\x50\x4f"

struct film {
    AVFormatContext *f;
    AVStream *st;
    AVBSFContext *b;
};

static void film_open(struct film *x, const char *format, enum AVCodecID codec)
{
    x->f = avformat_alloc_context();
    assert_non_null(x->f);
    x->f->iformat = av_find_input_format(format);
    x->st = avformat_new_stream(x->f, NULL);
    assert_non_null(x->st);
    x->st->codecpar->codec_type = AVMEDIA_TYPE_VIDEO;
    x->st->codecpar->codec_id = codec;
    x->b = NULL;
    assert_int_equal(unpack_open(x->f, x->st, &x->b), 0);
}

static void film_close(struct film *x)
{
    av_bsf_free(&x->b);
    avformat_free_context(x->f);
}

static const struct open_row {
    const char *name, *format;
    enum AVCodecID codec;
    int filtered;
} opens[] = {
    {"MPEG-4 in AVI",       "avi",      AV_CODEC_ID_MPEG4,     1},
    { "MPEG-4 in Matroska", "matroska", AV_CODEC_ID_MPEG4,     1},
    { "MPEG-4 in MP4",      "mov",      AV_CODEC_ID_MPEG4,     0},
    { "MSMPEG4 in AVI",     "avi",      AV_CODEC_ID_MSMPEG4V3, 0},
    { "H.264 in AVI",       "avi",      AV_CODEC_ID_H264,      0},
};

static void only_mpeg4_where_it_may_be_packed_is_filtered(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(opens) / sizeof(*opens); i++) {
        struct film x;
        film_open(&x, opens[i].format, opens[i].codec);
        if ((x.b != NULL) != opens[i].filtered)
            fail_msg("%s", opens[i].name);
        film_close(&x);
    }
}

/* A packet, and what comes of it: "" where another is wanted first. */
struct step {
    const char *in;
    size_t n_in;
    const char *out;
    size_t n_out;
    int64_t pts; /* … its time where its own is its decode time */
};
#define BOTH(a, b) a, sizeof(a) - 1, b, sizeof(b) - 1

static const struct pack_row {
    const char *name;
    struct step steps[4];
} packs[] = {
    {"one picture a packet",
     { { BOTH(VOP_I, VOP_I), AV_NOPTS_VALUE },
        { BOTH(VOP_P, VOP_P), AV_NOPTS_VALUE },
        { BOTH(VOP_B, VOP_B), 2 } }                                                    },
    { "a packed pair, then a picture that isn't coded",
     { { BOTH(VOP_I, VOP_I), AV_NOPTS_VALUE },
        { BOTH(VOP_P VOP_B, VOP_P), AV_NOPTS_VALUE },
        { BOTH(STILL, VOP_B), 2 },
        { BOTH(VOP_P, VOP_P), AV_NOPTS_VALUE } }                                       },
    { "packed pairs one after the other",
     { { BOTH(VOP_P VOP_B, VOP_P), AV_NOPTS_VALUE },
        { BOTH(STILL, VOP_B), 1 },
        { BOTH(VOP_P VOP_B, VOP_P), AV_NOPTS_VALUE },
        { BOTH(STILL, VOP_B), 3 } }                                                    },
    { "pictures that aren't coded, but behind pairs",
     { { BOTH(VOP_I, VOP_I), AV_NOPTS_VALUE }, { BOTH(STILL, STILL), AV_NOPTS_VALUE } }},
};

static void packet_set(AVPacket *pkt, const struct step *s, int64_t dts)
{
    av_packet_unref(pkt);
    assert_int_equal(av_new_packet(pkt, (int)s->n_in), 0);
    memcpy(pkt->data, s->in, s->n_in);
    pkt->dts = dts;
}

static void pairs_are_taken_apart(void **state)
{
    AVPacket *pkt = av_packet_alloc();

    (void)state;
    assert_non_null(pkt);
    for (size_t i = 0; i < sizeof(packs) / sizeof(*packs); i++) {
        struct film x;
        film_open(&x, "avi", AV_CODEC_ID_MPEG4);
        for (int k = 0; k < 4 && packs[i].steps[k].n_in > 0; k++) {
            const struct step *s = &packs[i].steps[k];
            packet_set(pkt, s, k);
            if (unpack_packet(x.b, pkt) != (s->n_out > 0))
                fail_msg("%s: step %d", packs[i].name, k);
            if (pkt->size != (int)s->n_out || memcmp(pkt->data, s->out, s->n_out) != 0)
                fail_msg("%s: step %d: %d bytes", packs[i].name, k, pkt->size);
            if (pkt->pts != s->pts || pkt->dts != k)
                fail_msg("%s: step %d: at %lld, decoded at %lld", packs[i].name, k,
                         (long long)pkt->pts, (long long)pkt->dts);
        }
        film_close(&x);
    }
    av_packet_free(&pkt);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_mpeg4_where_it_may_be_packed_is_filtered),
        cmocka_unit_test(pairs_are_taken_apart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
