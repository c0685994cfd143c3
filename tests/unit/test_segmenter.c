/* Packets of a real encoder through the segmenter: what comes out has the
 * times that went in, and what isn't as planned is refused. */
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
#include "inside_double.h"
#include "worker/fragment.h"
#include "worker/segmenter.h"

#include <libavutil/intreadwrite.h>
#include <libavutil/opt.h>

enum { SCALE = 90000, STYP = 24, FRAMES = 8, GOPS = 4, DELTA = 3600, PACKETS_MAX = 600 };

static const struct rendition video = { .kind = MEDIA_VIDEO, .name = (char *)"v" };
static const struct rendition audio = { .kind = MEDIA_AUDIO, .name = (char *)"a" };

static void must(int r, const char *what)
{
    if (r < 0)
        fail_msg("%s: %s", what, av_err2str(r));
}

/* ---- a tiny encode ---- */

struct packets {
    AVCodecContext *enc;
    AVPacket *p[PACKETS_MAX];
    size_t n;
};

static void receive(struct packets *k)
{
    for (;;) {
        AVPacket *p = av_packet_alloc();
        if (avcodec_receive_packet(k->enc, p) < 0) {
            av_packet_free(&p);
            return;
        }
        assert_true(k->n < PACKETS_MAX);
        k->p[k->n++] = p;
    }
}

static void send_picture(struct packets *k, int i)
{
    AVFrame *f = av_frame_alloc();

    f->width = f->height = 64;
    f->format = AV_PIX_FMT_YUV420P;
    must(av_frame_get_buffer(f, 0), "frame");
    for (int c = 0; c < 3; c++)
        for (int at = 0; at < f->linesize[c] * (c ? 32 : 64); at++)
            f->data[c][at] = (uint8_t)(c ? 128 : 60 + (at + i * 3) % 64);
    f->pts = i;
    f->pict_type = i % FRAMES == 0 ? AV_PICTURE_TYPE_I : AV_PICTURE_TYPE_NONE;
    must(avcodec_send_frame(k->enc, f), "send");
    av_frame_free(&f);
    receive(k);
}

/* GOPS of FRAMES pictures with B-frames; pts are frame numbers. */
static void encode_video(struct packets *k)
{
    const AVCodec *codec = avcodec_find_encoder_by_name("libx264");

    assert_non_null(codec);
    *k = (struct packets){ .enc = avcodec_alloc_context3(codec) };
    k->enc->width = k->enc->height = 64;
    k->enc->pix_fmt = AV_PIX_FMT_YUV420P;
    k->enc->time_base = (AVRational){ 1, 25 };
    k->enc->gop_size = 250;
    k->enc->max_b_frames = 3;
    k->enc->thread_count = 1;
    k->enc->flags |= AV_CODEC_FLAG_GLOBAL_HEADER | AV_CODEC_FLAG_CLOSED_GOP;
    must(av_opt_set(k->enc->priv_data, "preset", "ultrafast", 0), "preset");
    must(av_opt_set(k->enc->priv_data, "forced-idr", "1", 0), "forced-idr");
    must(av_opt_set(k->enc->priv_data, "x264-params", "scenecut=0:b-adapt=0:log-level=0", 0), "x");
    must(avcodec_open2(k->enc, codec, NULL), "libx264");
    for (int i = 0; i < GOPS * FRAMES; i++)
        send_picture(k, i);
    must(avcodec_send_frame(k->enc, NULL), "end");
    receive(k);
    assert_int_equal(k->n, GOPS * FRAMES);
}

static void encode_audio(struct packets *k, const char *name, int frames)
{
    const AVCodec *codec = avcodec_find_encoder_by_name(name);

    assert_non_null(codec);
    *k = (struct packets){ .enc = avcodec_alloc_context3(codec) };
    k->enc->sample_rate = 48000;
    k->enc->sample_fmt = codec->sample_fmts[0];
    k->enc->bit_rate = 64000;
    k->enc->time_base = (AVRational){ 1, 48000 };
    k->enc->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
    av_channel_layout_default(&k->enc->ch_layout, 1);
    must(avcodec_open2(k->enc, codec, NULL), name);
    for (int i = 0; i < frames; i++) {
        AVFrame *f = av_frame_alloc();
        f->nb_samples = k->enc->frame_size;
        f->format = k->enc->sample_fmt;
        must(av_channel_layout_copy(&f->ch_layout, &k->enc->ch_layout), "layout");
        must(av_frame_get_buffer(f, 0), "frame");
        memset(f->data[0], 0, (size_t)f->linesize[0]);
        f->pts = (int64_t)i * f->nb_samples;
        must(avcodec_send_frame(k->enc, f), "send");
        av_frame_free(&f);
        receive(k);
    }
    must(avcodec_send_frame(k->enc, NULL), "end");
    receive(k);
    for (size_t i = 0; i < k->n; i++) {
        k->p[i]->duration = k->enc->frame_size;
        k->p[i]->dts = k->p[i]->pts;
    }
}

static void release(struct packets *k)
{
    for (size_t i = 0; i < k->n; i++)
        av_packet_free(&k->p[i]);
    avcodec_free_context(&k->enc);
}

/* ---- the segmenter as a task sets it up ---- */

struct run {
    struct packets k;
    struct inside in;
    struct segmenter *s;
    const int64_t *ticks; /* of frame i; ticks[GOPS * FRAMES] is the end */
};

static void start(struct run *u, const int64_t *ticks, unsigned first_gop, unsigned first_segment)
{
    struct err err = { 0 };
    int64_t longest = 0;

    *u = (struct run){ .ticks = ticks };
    encode_video(&u->k);
    for (int g = 0; g < GOPS; g++)
        if (ticks[(g + 1) * FRAMES] - ticks[g * FRAMES] > longest)
            longest = ticks[(g + 1) * FRAMES] - ticks[g * FRAMES];
    for (size_t i = 0; i < u->k.n; i++)
        u->k.p[i]->pts = ticks[u->k.p[i]->pts];
    const struct segmenter_config cfg = { &u->in,    &video,        u->k.enc, SCALE,
                                          first_gop, first_segment, longest,  first_gop == 0 };
    if (segmenter_new(&cfg, &u->s, &err) < 0)
        fail_msg("%s", err.text);
}

static void stop(struct run *u)
{
    segmenter_free(u->s);
    inside_double_release(&u->in);
    release(&u->k);
}

static int gop(struct run *u, int g, size_t n, struct err *err)
{
    return segmenter_gop(u->s, u->k.p + g * FRAMES, n, u->ticks[g * FRAMES],
                         u->ticks[(g + 1) * FRAMES], err);
}

static void cut(struct run *u, int from, int to)
{
    struct err err = { 0 };

    if (segmenter_cut(u->s, u->ticks[from * FRAMES], u->ticks[to * FRAMES], &err) < 0)
        fail_msg("%s", err.text);
}

/* Two segments of two GOPs. */
static void make_all(struct run *u, struct rendition_result *ret)
{
    struct err err = { 0 };

    for (int g = 0; g < GOPS; g++) {
        if (gop(u, g, FRAMES, &err) < 0)
            fail_msg("%s", err.text);
        if (g % 2)
            cut(u, g - 1, g + 1);
    }
    if (segmenter_result(u->s, ret, &err) < 0)
        fail_msg("%s", err.text);
}

static void even(int64_t *ticks, int64_t first)
{
    for (int i = 0; i <= GOPS * FRAMES; i++)
        ticks[i] = first + (int64_t)i * DELTA;
}

static void uneven(int64_t *ticks, int64_t first)
{
    ticks[0] = first;
    for (int i = 1; i <= GOPS * FRAMES; i++)
        ticks[i] = ticks[i - 1] + 1000 + i * 7919 % 9000;
}

/* ---- reading back ---- */

struct sample {
    int64_t pts, duration;
    int32_t offset;
};

/* The samples of a fragment of FRAMES, in decode order. Which fields a sample has is told by flags.
 */
static void samples_of(const uint8_t *p, size_t n, int64_t tfdt, struct sample *ret)
{
    const uint8_t *trun, *tfhd;
    size_t len, fields;

    assert_int_equal(box_find(p, n, "moof/traf/tfhd", &tfhd, &len), 0);
    uint32_t of_all = AV_RB24(tfhd + 1);
    uint32_t duration = of_all & 8 ? AV_RB32(tfhd + 8 + (of_all & 1 ? 8 : 0) + (of_all & 2 ? 4 : 0))
                                   : 0;
    assert_int_equal(box_find(p, n, "moof/traf/trun", &trun, &len), 0);
    uint32_t flags = AV_RB24(trun + 1);
    const uint8_t *at = trun + 8 + (flags & 1 ? 4 : 0) + (flags & 4 ? 4 : 0);
    fields = (flags & 0x100 ? 1u : 0) + (flags & 0x200 ? 1u : 0) + (flags & 0x400 ? 1u : 0);
    assert_int_equal(AV_RB32(trun + 4), FRAMES);
    assert_int_equal(trun[0], 1); /* signed offsets */
    for (int i = 0; i < FRAMES; i++) {
        ret[i].duration = flags & 0x100 ? AV_RB32(at) : duration;
        ret[i].offset = flags & 0x800 ? (int32_t)AV_RB32(at + fields * 4) : 0;
        ret[i].pts = tfdt + ret[i].offset;
        tfdt += ret[i].duration;
        at += (fields + (flags & 0x800 ? 1 : 0)) * 4;
    }
}

/* B-frames: decode order isn't display order, and nothing is moved. Each picture lasts until the
 * next one is shown: there are neither gaps nor overlaps. */
static void check_samples(const uint8_t *p, size_t n, const int64_t *ticks)
{
    struct sample v[FRAMES];
    int32_t least = INT32_MAX;

    samples_of(p, n, ticks[0], v);
    for (int i = 0; i < FRAMES; i++) {
        int k = 0;
        while (k < FRAMES && ticks[k] != v[i].pts)
            k++;
        assert_int_not_equal(k, FRAMES);
        assert_int_equal(v[i].duration, ticks[k + 1] - ticks[k]);
        least = v[i].offset < least ? v[i].offset : least;
    }
    assert_true(least < 0);
}

static uint32_t sequence_number(const uint8_t *p, size_t n)
{
    const uint8_t *mfhd;
    size_t len;

    assert_int_equal(box_find(p, n, "moof/mfhd", &mfhd, &len), 0);
    return AV_RB32(mfhd + 4);
}

/* The fragments of a segment: times of `ticks` from GOP `g` on. */
static void check_segment(const struct double_object *o, const struct segment *s,
                          const int64_t *ticks, int g, uint32_t sequence)
{
    size_t at = STYP;

    assert_memory_equal(o->data + 4, "styp", 4);
    assert_int_equal(AV_RB32(o->data), STYP);
    assert_int_equal(s->n_gops, 2);
    for (size_t i = 0; i < s->n_gops; i++) {
        const int64_t *t = ticks + (g + (int)i) * FRAMES;
        size_t size = i + 1 < s->n_gops ? s->gops[i + 1].offset - at : o->size - at;
        struct fragment f;
        struct err err = { 0 };

        assert_int_equal(s->gops[i].offset, at);
        assert_int_equal(fragment_read(o->data + at, size, &f, &err), 0);
        assert_int_equal(f.tfdt, t[0]);
        assert_int_equal(f.first_pts, t[0]);
        assert_int_equal(f.last_pts, t[FRAMES - 1]);
        assert_int_equal(f.duration, t[FRAMES] - t[0]);
        assert_int_equal(f.samples, FRAMES);
        assert_true(f.first_sync);
        assert_int_equal(f.other_syncs, 0);
        assert_int_equal(s->gops[i].size_bytes, f.first_end);
        assert_int_equal(s->gops[i].start, t[0]);
        assert_int_equal(s->gops[i].duration, t[FRAMES] - t[0]);
        assert_int_equal(sequence_number(o->data + at, size), sequence + i);
        check_samples(o->data + at, size, t);
        at += size;
    }
}

static void check_result(const struct run *u, const struct rendition_result *res,
                         unsigned first_gop, unsigned first_segment)
{
    assert_string_equal(res->name, "v");
    assert_int_equal(res->timescale, SCALE);
    assert_int_equal(res->frames, GOPS * FRAMES);
    assert_int_equal(res->n_segments, 2);
    for (size_t i = 0; i < 2; i++) {
        const struct segment *s = &res->segments[i];
        const struct double_object *o = inside_double_find(&u->in, s->key);
        char key[64];

        (void)snprintf(key, sizeof(key), "video/v/seg-%05u.m4s", first_segment + (unsigned)i + 1);
        assert_string_equal(s->key, key);
        assert_int_equal(s->number, first_segment + i + 1);
        assert_non_null(o);
        assert_int_equal(o->size, s->size_bytes);
        assert_int_equal(s->frames, 2 * FRAMES);
        assert_int_equal(s->start, u->ticks[i * 2 * FRAMES]);
        assert_int_equal(s->duration, u->ticks[(i + 1) * 2 * FRAMES] - s->start);
        check_segment(o, s, u->ticks, (int)i * 2, first_gop + (uint32_t)i * 2 + 1);
    }
}

static const struct timing {
    const char *name;
    void (*fill)(int64_t *ticks, int64_t first);
    int64_t first;
    unsigned first_gop, first_segment;
} timings[] = {
    {"constant frame rate from 0",         even,   0,                   0,    0   },
    { "variable frame rate from 0",        uneven, 0,                   0,    0   },
    { "constant, in the job's middle",     even,   INT64_C(36000000),   77,   33  },
    { "variable, in the job's middle",     uneven, INT64_C(36000001),   77,   33  },
    { "constant, beyond 32 bits of ticks", even,   INT64_C(9000000000), 7700, 3300},
    { "a start within the first GOP",      even,   DELTA * 2,           0,    0   },
};

static void every_frame_keeps_its_time(void **state)
{
    int64_t ticks[GOPS * FRAMES + 1];

    (void)state;
    for (size_t i = 0; i < sizeof(timings) / sizeof(*timings); i++) {
        const struct timing *w = &timings[i];
        struct rendition_result res = { 0 };
        struct run u;

        print_message("# %s\n", w->name);
        w->fill(ticks, w->first);
        start(&u, ticks, w->first_gop, w->first_segment);
        make_all(&u, &res);
        check_result(&u, &res, w->first_gop, w->first_segment);
        assert_int_equal(u.in.n_objects, w->first_gop == 0 ? 3 : 2);
        rendition_result_release(&res);
        stop(&u);
    }
}

static void chunks_have_the_same_init_segment_and_one_hands_it_out(void **state)
{
    struct rendition_result a = { 0 }, b = { 0 };
    int64_t early[GOPS * FRAMES + 1], late[GOPS * FRAMES + 1];
    struct run u, v;

    (void)state;
    even(early, 0);
    uneven(late, 7777777);
    start(&u, early, 0, 0);
    start(&v, late, 50, 20);
    make_all(&u, &a);
    make_all(&v, &b);
    assert_string_equal(a.init.sha256, b.init.sha256);
    assert_string_equal(a.init.key, "video/v/init.mp4");
    assert_non_null(inside_double_find(&u.in, a.init.key));
    assert_int_equal(inside_double_find(&u.in, a.init.key)->size, a.init.size_bytes);
    assert_null(inside_double_find(&v.in, a.init.key));
    rendition_result_release(&a);
    rendition_result_release(&b);
    stop(&u);
    stop(&v);
}

/* ---- what is refused ---- */

static void one_frame_late(struct run *u)
{
    u->k.p[0]->pts += 1;
}

static void no_keyframe(struct run *u)
{
    u->k.p[0]->flags &= ~AV_PKT_FLAG_KEY;
}

static void past_the_end(struct run *u)
{
    u->k.p[FRAMES - 1]->pts = u->ticks[FRAMES] + 5;
}

static void before_the_start(struct run *u)
{
    u->k.p[FRAMES - 1]->pts = u->ticks[0] - 5;
}

static void nothing(struct run *u)
{
    (void)u;
}

static const struct refusal {
    const char *name;
    void (*spoil)(struct run *u);
    size_t n;
} refusals[] = {
    {"a GOP of no packets",                     nothing,          0     },
    { "a first packet that isn't at the start", one_frame_late,   FRAMES},
    { "a first packet that is no keyframe",     no_keyframe,      FRAMES},
    { "a picture after the GOP's end",          past_the_end,     FRAMES},
    { "a picture before the GOP's start",       before_the_start, FRAMES},
};

static void a_gop_that_is_not_as_planned_is_refused(void **state)
{
    int64_t ticks[GOPS * FRAMES + 1];

    (void)state;
    even(ticks, DELTA * 10);
    for (size_t i = 0; i < sizeof(refusals) / sizeof(*refusals); i++) {
        struct err err = { 0 };
        struct run u;

        print_message("# %s\n", refusals[i].name);
        start(&u, ticks, 1, 1);
        refusals[i].spoil(&u);
        int r = gop(&u, 0, refusals[i].n, &err);
        if (r >= 0)
            fail_msg("%s: not refused", refusals[i].name);
        assert_int_equal(err.cls, ERR_INTERNAL);
        assert_non_null(strstr(err.text, "rendition v"));
        assert_int_equal(u.in.n_objects, 0);
        stop(&u);
    }
}

/* More than a sample's 32 bits hold: no worker could do better, so it isn't tried by others. */
static void what_no_muxer_takes_is_the_uploads_fault(void **state)
{
    int64_t ticks[GOPS * FRAMES + 1];
    struct err err = { 0 };
    struct run u;

    (void)state;
    even(ticks, 0);
    for (int i = FRAMES / 2; i <= GOPS * FRAMES; i++)
        ticks[i] += INT64_C(1) << 36;
    start(&u, ticks, 0, 1);
    assert_true(gop(&u, 0, FRAMES, &err) < 0);
    assert_int_equal(err.cls, ERR_INPUT);
    assert_non_null(strstr(err.text, "the muxer refuses a packet"));
    stop(&u);
}

static void a_gop_left_out_is_noticed(void **state)
{
    int64_t ticks[GOPS * FRAMES + 1];
    struct err err = { 0 };
    struct run u;

    (void)state;
    even(ticks, 0);
    start(&u, ticks, 0, 0);
    assert_int_equal(gop(&u, 0, FRAMES, &err), 0);
    assert_int_equal(gop(&u, 2, FRAMES, &err), -EPROTO);
    stop(&u);
}

static void bytes_after_the_last_cut_are_no_result(void **state)
{
    struct rendition_result res = { 0 };
    int64_t ticks[GOPS * FRAMES + 1];
    struct err err = { 0 };
    struct run u;

    (void)state;
    even(ticks, 0);
    start(&u, ticks, 0, 0);
    assert_int_equal(gop(&u, 0, FRAMES, &err), 0);
    assert_int_equal(segmenter_result(u.s, &res, &err), -EPROTO);
    assert_null(res.name);
    stop(&u);
}

/* ---- sound ---- */

static void check_edit_list(const struct double_object *init, int64_t priming)
{
    const uint8_t *elst;
    size_t n;

    assert_non_null(init);
    assert_int_equal(box_find(init->data, init->size, "moov/trak/edts/elst", &elst, &n), 0);
    assert_int_equal(AV_RB32(elst + 4), 1);
    int64_t media_time = elst[0] == 1 ? (int64_t)AV_RB64(elst + 16) : (int32_t)AV_RB32(elst + 12);
    assert_int_equal(media_time, priming);
}

static const struct coder {
    const char *name;
    int64_t priming; /* 0: whatever the encoder says */
} coders[] = {
    {"aac",      1024},
    { "libopus", 312 },
};

static void sound_declares_its_priming_and_goes_on_without_a_joint(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(coders) / sizeof(*coders); i++) {
        struct rendition_result res = { 0 };
        struct inside in = { 0 };
        struct segmenter *s;
        struct packets k;
        struct err err = { 0 };

        print_message("# %s\n", coders[i].name);
        encode_audio(&k, coders[i].name, 100);
        assert_int_equal(k.enc->initial_padding, coders[i].priming);
        const struct segmenter_config cfg = {
            .in = &in, .r = &audio, .enc = k.enc, .timescale = 48000, .store_init = 1
        };
        assert_int_equal(segmenter_new(&cfg, &s, &err), 0);
        size_t half = k.n / 2;
        const size_t from[] = { 0, half, k.n };
        for (int part = 0; part < 2; part++) {
            AVPacket **p = k.p + from[part];
            size_t n = from[part + 1] - from[part];
            int64_t start = p[0]->pts, end = p[n - 1]->pts + k.enc->frame_size;
            if (segmenter_audio(s, p, n, &err) < 0 || segmenter_cut(s, start, end, &err) < 0)
                fail_msg("%s", err.text);
        }
        assert_int_equal(segmenter_result(s, &res, &err), 0);
        check_edit_list(inside_double_find(&in, "audio/a/init.mp4"), coders[i].priming);
        assert_int_equal(res.frames, k.n);
        int64_t next = 0; /* tfdt counts from the priming's first sample */
        for (size_t g = 0; g < 2; g++) {
            const struct double_object *o = inside_double_find(&in, res.segments[g].key);
            struct fragment f;
            assert_non_null(o);
            assert_int_equal(fragment_read(o->data + STYP, o->size - STYP, &f, &err), 0);
            assert_int_equal(f.tfdt, next);
            next += f.duration;
        }
        assert_int_equal(next, (int64_t)k.n * k.enc->frame_size);
        rendition_result_release(&res);
        segmenter_free(s);
        inside_double_release(&in);
        release(&k);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_frame_keeps_its_time),
        cmocka_unit_test(chunks_have_the_same_init_segment_and_one_hands_it_out),
        cmocka_unit_test(a_gop_that_is_not_as_planned_is_refused),
        cmocka_unit_test(what_no_muxer_takes_is_the_uploads_fault),
        cmocka_unit_test(a_gop_left_out_is_noticed),
        cmocka_unit_test(bytes_after_the_last_cut_are_no_result),
        cmocka_unit_test(sound_declares_its_priming_and_goes_on_without_a_joint),
    };

    av_log_set_level(AV_LOG_QUIET);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
