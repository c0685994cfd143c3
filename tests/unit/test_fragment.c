/* Reading back boxes, whole, cut off and hostile; the codecs parameter of
 * init segments as libavformat writes them. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/err.h"
#include "worker/codecs.h"
#include "worker/fragment.h"

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/intreadwrite.h>

/* ---- a fragment made by hand ---- */

enum { NON_SYNC = 0x10000, SYNC = 0x2000000 };

struct writer {
    uint8_t p[512];
    size_t n, open[4];
    int depth;
};

static void put32(struct writer *w, uint32_t v)
{
    AV_WB32(w->p + w->n, v);
    w->n += 4;
}

static void begin(struct writer *w, const char *type)
{
    w->open[w->depth++] = w->n;
    put32(w, 0);
    memcpy(w->p + w->n, type, 4);
    w->n += 4;
}

static void end(struct writer *w)
{
    size_t at = w->open[--w->depth];
    AV_WB32(w->p + at, (uint32_t)(w->n - at));
}

/* What is different about a fragment. */
struct shape {
    uint32_t tfhd_flags;   /* 0x1 base offset, 0x2 description, 0x8 0x10 0x20 defaults */
    uint32_t trun_flags;   /* 0x1 offset, 0x4 first flags, 0x100 0x200 0x400 0x800 by sample */
    uint32_t count;        /* said by trun; 3 are written */
    uint32_t tfdt_version; /* 0 or 1 */
    uint32_t first_size;
    const char *leave_out;
};

static const struct shape plain = { 0x38, 0xf05, 3, 1, 20, "" };

static const struct sample {
    uint32_t duration, size, flags;
    int32_t cts;
} samples[3] = {
    {100,  20, NON_SYNC, 0   },
    { 150, 5,  NON_SYNC, 250 },
    { 200, 7,  SYNC,     -150},
};

static void put_tfhd(struct writer *w, const struct shape *s)
{
    begin(w, "tfhd");
    put32(w, 0x20000 | s->tfhd_flags);
    put32(w, 1);
    if (s->tfhd_flags & 1)
        put32(w, 0), put32(w, 0);
    if (s->tfhd_flags & 2)
        put32(w, 1);
    if (s->tfhd_flags & 8)
        put32(w, 11);
    if (s->tfhd_flags & 0x10)
        put32(w, 9);
    if (s->tfhd_flags & 0x20)
        put32(w, NON_SYNC);
    end(w);
}

static void put_trun(struct writer *w, const struct shape *s)
{
    begin(w, "trun");
    put32(w, 0x1000000 | s->trun_flags);
    put32(w, s->count);
    if (s->trun_flags & 1)
        put32(w, 200);
    if (s->trun_flags & 4)
        put32(w, SYNC);
    for (int i = 0; i < 3; i++) {
        if (s->trun_flags & 0x100)
            put32(w, samples[i].duration);
        if (s->trun_flags & 0x200)
            put32(w, i == 0 ? s->first_size : samples[i].size);
        if (s->trun_flags & 0x400)
            put32(w, samples[i].flags);
        if (s->trun_flags & 0x800)
            put32(w, (uint32_t)samples[i].cts);
    }
    end(w);
}

static void put_tfdt(struct writer *w, const struct shape *s)
{
    begin(w, "tfdt");
    put32(w, s->tfdt_version << 24);
    if (s->tfdt_version == 1)
        put32(w, 1);
    put32(w, 5000);
    end(w);
}

/* moof + mdat whose data begins at 200 and ends at 240. */
static void make_fragment(struct writer *w, const struct shape *s)
{
    *w = (struct writer){ 0 };
    begin(w, "moof");
    begin(w, "traf");
    if (strcmp(s->leave_out, "tfhd") != 0)
        put_tfhd(w, s);
    if (strcmp(s->leave_out, "tfdt") != 0)
        put_tfdt(w, s);
    if (strcmp(s->leave_out, "trun") != 0)
        put_trun(w, s);
    end(w);
    end(w);
    begin(w, "mdat");
    w->n = 240;
    end(w);
}

static const int64_t T = (INT64_C(1) << 32) + 5000;

static void a_fragment_says_times_counts_and_where_its_first_sample_ends(void **state)
{
    struct writer w;
    struct fragment f;
    struct err err = { 0 };

    (void)state;
    make_fragment(&w, &plain);
    assert_int_equal(fragment_read(w.p, w.n, &f, &err), 0);
    assert_int_equal(f.tfdt, T);
    assert_int_equal(f.duration, 450);
    assert_int_equal(f.samples, 3);
    assert_int_equal(f.first_pts, T);
    assert_int_equal(f.last_pts, T + 100 + 250);
    assert_int_equal(f.first_sync, 1); /* by the first sample's flags, not its own */
    assert_int_equal(f.other_syncs, 1);
    assert_int_equal(f.first_end, 220);
}

static void what_trun_leaves_out_comes_from_tfhd(void **state)
{
    struct shape s = plain;
    struct writer w;
    struct fragment f;
    struct err err = { 0 };

    (void)state;
    s.tfhd_flags = 0x3a;
    s.trun_flags = 0x1;
    s.tfdt_version = 0;
    make_fragment(&w, &s);
    assert_int_equal(fragment_read(w.p, w.n, &f, &err), 0);
    assert_int_equal(f.tfdt, 5000);
    assert_int_equal(f.duration, 33);
    assert_int_equal(f.last_pts, 5022);
    assert_int_equal(f.first_sync, 0);
    assert_int_equal(f.other_syncs, 0);
    assert_int_equal(f.first_end, 209);
}

static const struct bad {
    const char *name;
    struct shape s;
} bads[] = {
    {"no tfhd",                      { 0x38, 0xf05, 3, 1, 20, "tfhd" }     },
    { "no tfdt",                     { 0x38, 0xf05, 3, 1, 20, "tfdt" }     },
    { "no trun",                     { 0x38, 0xf05, 3, 1, 20, "trun" }     },
    { "a base offset",               { 0x39, 0xf05, 3, 1, 20, "" }         },
    { "no data offset",              { 0x38, 0xf04, 3, 1, 20, "" }         },
    { "more samples than are there", { 0x38, 0xf05, 4, 1, 20, "" }         },
    { "four billion samples",        { 0x38, 0xf05, UINT32_MAX, 1, 20, "" }},
    { "a first sample past the end", { 0x38, 0xf05, 3, 1, 41, "" }         },
    { "a first sample of 4 GB",      { 0x38, 0xf05, 3, 1, UINT32_MAX, "" } },
};

static void expect_refused(const uint8_t *p, size_t n, const char *name)
{
    static const struct fragment untouched = { .samples = 77 };
    struct fragment f = untouched;
    struct err err = { 0 };
    uint8_t *exact = malloc(n ? n : 1); /* so that a sanitizer sees a byte too many */

    assert_non_null(exact);
    memcpy(exact, p, n);
    if (fragment_read(exact, n, &f, &err) != -EPROTO)
        fail_msg("%s: not refused", name);
    assert_int_equal(err.cls, ERR_INTERNAL);
    assert_memory_equal(&f, &untouched, sizeof(f));
    free(exact);
}

static void broken_fragments_are_refused(void **state)
{
    struct writer w;

    (void)state;
    for (size_t i = 0; i < sizeof(bads) / sizeof(*bads); i++) {
        make_fragment(&w, &bads[i].s);
        expect_refused(w.p, w.n, bads[i].name);
    }
}

/* Up to the first sample's end; what is after that, it doesn't look at. */
static void every_prefix_of_a_fragment_is_refused(void **state)
{
    char name[32];
    struct writer w;

    (void)state;
    make_fragment(&w, &plain);
    for (size_t n = 0; n < 220; n++) {
        (void)snprintf(name, sizeof(name), "the first %zu bytes", n);
        expect_refused(w.p, n, name);
    }
}

/* Any byte as anything: an answer, whichever, and no crash. */
static void a_fragment_with_any_byte_changed_is_survived(void **state)
{
    static const uint8_t values[] = { 0, 1, 0x7f, 0x80, 0xff };
    struct fragment f;
    struct err err;
    struct writer w;

    (void)state;
    for (size_t i = 0; i < 200; i++)
        for (size_t k = 0; k < sizeof(values); k++) {
            make_fragment(&w, &plain);
            w.p[i] = values[k];
            int r = fragment_read(w.p, w.n, &f, &err);
            assert_true(r == 0 || r == -EPROTO);
            assert_true(r < 0 || f.first_end <= w.n);
        }
}

/* ---- boxes ---- */

static const uint8_t boxes[] = {
    0, 0, 0, 9,  'f', 'r', 'e', 'e', 1,                               /* 9 bytes */
    0, 0, 0, 26, 'm', 'o', 'o', 'v',                                  /* at 9 */
    0, 0, 0, 1,  't', 'r', 'a', 'k', 0, 0, 0, 0, 0, 0, 0, 18, 42, 43, /* large size */
    0, 0, 0, 8,  'm', 'd', 'a', 't',                                  /* at 35, empty */
    0, 0, 0, 0,  'l', 'a', 's', 't',                                  /* to the end: not by us */
};

static const struct find {
    const char *path;
    int r;
    size_t at, len;
} finds[] = {
    {"free",            0,       8,  1 },
    { "moov",           0,       17, 18},
    { "moov/trak",      0,       33, 2 },
    { "mdat",           0,       43, 0 },
    { "trak",           -ENOENT, 0,  0 },
    { "moov/mdat",      -ENOENT, 0,  0 },
    { "moov/trak/mdia", -ENOENT, 0,  0 },
    { "last",           -ENOENT, 0,  0 },
    { "free/moov",      -ENOENT, 0,  0 },
};

static void boxes_are_found_by_their_path(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(finds) / sizeof(*finds); i++) {
        const uint8_t *p = boxes;
        size_t n = 999;

        print_message("# %s\n", finds[i].path);
        assert_int_equal(box_find(boxes, sizeof(boxes), finds[i].path, &p, &n), finds[i].r);
        if (finds[i].r < 0) {
            assert_ptr_equal(p, boxes);
            assert_int_equal(n, 999);
        } else {
            assert_int_equal(p - boxes, finds[i].at);
            assert_int_equal(n, finds[i].len);
        }
    }
}

/* ---- codecs ---- */

/* libx265 keeps its parameters at the end. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libx265";
}

static void must(int r, const char *what)
{
    if (r < 0)
        fail_msg("%s: %s", what, av_err2str(r));
}

struct codec_row {
    const char *name, *encoder, *params, *want;
    enum AVPixelFormat pix_fmt;
};

/* libaom tells its sequence header with the first packet only. */
static void learn_header(AVCodecContext *c)
{
    AVFrame *f = av_frame_alloc();
    AVPacket *p = av_packet_alloc();
    size_t n = 0;

    f->width = c->width;
    f->height = c->height;
    f->format = c->pix_fmt;
    must(av_frame_get_buffer(f, 0), "frame");
    for (int i = 0; i < 3; i++)
        memset(f->data[i], 0, (size_t)f->linesize[i] * (size_t)(i ? c->height / 2 : c->height));
    f->pts = 0;
    must(avcodec_send_frame(c, f), "send");
    must(avcodec_send_frame(c, NULL), "send");
    must(avcodec_receive_packet(c, p), "receive");
    const uint8_t *h = av_packet_get_side_data(p, AV_PKT_DATA_NEW_EXTRADATA, &n);
    assert_non_null(h);
    c->extradata = av_mallocz(n + AV_INPUT_BUFFER_PADDING_SIZE);
    memcpy(c->extradata, h, n);
    c->extradata_size = (int)n;
    av_packet_free(&p);
    av_frame_free(&f);
}

static AVCodecContext *open_codec(const struct codec_row *w)
{
    const AVCodec *codec = avcodec_find_encoder_by_name(w->encoder);
    AVCodecContext *c = codec ? avcodec_alloc_context3(codec) : NULL;
    AVDictionary *d = NULL;

    if (!c)
        return NULL;
    if (codec->type == AVMEDIA_TYPE_VIDEO) {
        c->width = c->height = 64;
        c->pix_fmt = w->pix_fmt;
        c->time_base = (AVRational){ 1, 25 };
    } else {
        c->sample_rate = 48000;
        c->sample_fmt = codec->sample_fmts[0];
        c->time_base = (AVRational){ 1, 48000 };
        c->bit_rate = 64000;
        av_channel_layout_default(&c->ch_layout, 2);
    }
    c->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
    c->thread_count = 1;
    must(av_dict_parse_string(&d, w->params, "=", ":", 0), w->params);
    must(avcodec_open2(c, codec, &d), w->name);
    av_dict_free(&d);
    if (c->codec_id == AV_CODEC_ID_AV1)
        learn_header(c);
    return c;
}

static size_t init_segment(const AVCodecContext *c, uint8_t **ret)
{
    AVFormatContext *f = NULL;
    AVDictionary *d = NULL;

    must(avformat_alloc_output_context2(&f, NULL, "mp4", NULL), "mp4");
    AVStream *st = avformat_new_stream(f, NULL);
    must(avcodec_parameters_from_context(st->codecpar, c), "parameters");
    st->time_base = c->time_base;
    if (c->codec_id == AV_CODEC_ID_HEVC)
        st->codecpar->codec_tag = MKTAG('h', 'v', 'c', '1');
    must(avio_open_dyn_buf(&f->pb), "buffer");
    av_dict_set(&d, "movflags", "cmaf+frag_custom", 0);
    must(avformat_write_header(f, &d), "header");
    av_dict_free(&d);
    int n = avio_close_dyn_buf(f->pb, ret);
    avformat_free_context(f);
    return (size_t)n;
}

static const struct codec_row codec_rows[] = {
    {"H.264 high, level 4.0",                  "libx264",
     "preset=ultrafast:profile=high:level=4.0:x264-params=8x8dct=1",                              "avc1.640028",
     AV_PIX_FMT_YUV420P                                                                                                                   },
    { "H.264 constrained baseline, level 1.3", "libx264",
     "preset=ultrafast:profile=baseline:level=1.3",                                               "avc1.42C00D",      AV_PIX_FMT_YUV420P  },
    { "H.265 main, level 3.0",                 "libx265",
     "preset=ultrafast:x265-params=level-idc=30\\:pools=none\\:frame-threads=1\\:log-level=none", "hvc1.1.6.L90.90",  AV_PIX_FMT_YUV420P  },
    { "H.265 main 10, level 5.1, high tier",   "libx265",
     "preset=ultrafast:x265-params=level-idc=51\\:high-tier=1\\:pools=none\\:frame-threads=1\\:"
      "log-level=none\\:vbv-maxrate=50000\\:vbv-bufsize=50000",                                   "hvc1.2.4.H153.90", AV_PIX_FMT_YUV420P10},
    { "AV1 main, 8 bits",                      "libaom-av1", "cpu-used=8",                        "av01.0.00M.08",    AV_PIX_FMT_YUV420P  },
    { "AV1 main, 10 bits",                     "libaom-av1", "cpu-used=8",                        "av01.0.00M.10",    AV_PIX_FMT_YUV420P10},
    { "AAC-LC",                                "aac",        "",                                  "mp4a.40.2",        AV_PIX_FMT_NONE     },
    { "Opus",                                  "libopus",    "",                                  "opus",             AV_PIX_FMT_NONE     },
};

/* Every prefix gives the same text or an error; never a crash. */
static void check_prefixes(const uint8_t *init, size_t n, const char *want)
{
    for (size_t k = 0; k < n; k++) {
        uint8_t *exact = malloc(k ? k : 1);
        char text[64] = "";
        struct err err = { 0 };

        assert_non_null(exact);
        memcpy(exact, init, k);
        int r = codecs_of_init(exact, k, text, sizeof(text), &err);
        assert_true(r == -EPROTO || (r == 0 && strcmp(text, want) == 0));
        free(exact);
    }
}

static void codecs_parameters_are_what_the_bytes_say(void **state)
{
    (void)state;
    av_log_set_level(AV_LOG_QUIET);
    for (size_t i = 0; i < sizeof(codec_rows) / sizeof(*codec_rows); i++) {
        const struct codec_row *w = &codec_rows[i];
        AVCodecContext *c = open_codec(w);
        uint8_t *init = NULL;
        char text[64] = "";
        struct err err = { 0 };

        print_message("# %s\n", w->name);
        assert_non_null(c);
        size_t n = init_segment(c, &init);
        if (codecs_of_init(init, n, text, sizeof(text), &err) < 0)
            fail_msg("%s: %s", w->name, err.text);
        assert_string_equal(text, w->want);
        check_prefixes(init, n, w->want);
        av_free(init);
        avcodec_free_context(&c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fragment_says_times_counts_and_where_its_first_sample_ends),
        cmocka_unit_test(what_trun_leaves_out_comes_from_tfhd),
        cmocka_unit_test(broken_fragments_are_refused),
        cmocka_unit_test(every_prefix_of_a_fragment_is_refused),
        cmocka_unit_test(a_fragment_with_any_byte_changed_is_survived),
        cmocka_unit_test(boxes_are_found_by_their_path),
        cmocka_unit_test(codecs_parameters_are_what_the_bytes_say),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
