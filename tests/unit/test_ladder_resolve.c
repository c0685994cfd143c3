/* What a ladder makes of sources of every shape. */
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
#include "ladders/ladder.h"

static struct media_info source(int width, int height, int num, int den)
{
    return (struct media_info){
        .video = {.stream = 0,
                  .width = width,
                  .height = height,
                  .sar = { 1, 1 },
                  .bit_depth = 8,
                  .color = { 2, 2, 2, 0, 0 },
                  .rate = { num, den } },
        .audio = { .stream = 1, .sample_rate = 48000, .channels = 2},
    };
}

struct made {
    struct rendition *r;
    size_t n;
};

static struct made make(const char *ladder, const struct media_info *m)
{
    struct ladder *l = NULL;
    struct made out = { NULL, 0 };
    struct err err = { 0 };
    if (ladder_load(ladder, &l, &err) < 0 || ladder_resolve(l, m, &out.r, &out.n, &err) < 0)
        fail_msg("%s", err.text);
    ladder_free(l);
    return out;
}

static struct made make_from(const char *yaml, const struct media_info *m)
{
    struct ladder *l = NULL;
    struct made out = { NULL, 0 };
    struct err err = { 0 };
    if (ladder_parse(yaml, strlen(yaml), "l.yaml", &l, &err) < 0 ||
        ladder_resolve(l, m, &out.r, &out.n, &err) < 0)
        fail_msg("%s", err.text);
    ladder_free(l);
    return out;
}

static void unmake(struct made *m)
{
    rendition_list_free(m->r, m->n);
}

/* "1080p 1920x1080@25 | …" of the video renditions. */
static void describe(const struct made *m, char *buf, size_t len)
{
    size_t n = 0;
    *buf = '\0';
    for (size_t i = 0; i < m->n && m->r[i].kind == MEDIA_VIDEO && n < len; i++) {
        const struct rendition *r = &m->r[i];
        n += (size_t)snprintf(buf + n, len - n, "%s%s %dx%d@%d", n ? " | " : "", r->name, r->width,
                              r->height, r->rate.num);
        if (r->rate.den != 1 && n < len)
            n += (size_t)snprintf(buf + n, len - n, "/%d", r->rate.den);
    }
}

static const struct row {
    const char *what, *ladder;
    int width, height, num, den, rotation;
    AVRational sar;
    const char *want;
} rows[] = {
    {"four rungs of 1080p",
     "web-h264",                                        1920,
     1080,                                                         25,
     1,                                                                         0,
     { 1, 1 },
     "1080p 1920x1080@25 | 720p 1280x720@25 | 480p 854x480@25 | 360p 640x360@25"                                        },
    { "nothing above 720p",
     "web-h264",                                        1280,
     720,                                                          25,
     1,                                                                         0,
     { 1, 1 },
     "720p 1280x720@25 | 480p 854x480@25 | 360p 640x360@25"                                                             },
    { "4K",
     "web-hevc",                                        3840,
     2160,                                                         24000,
     1001,                                                                      0,
     { 1, 1 },
     "2160p 3840x2160@24000/1001 | 1440p 2560x1440@24000/1001 | 1080p 1920x1080@24000/1001 | "
      "720p 1280x720@24000/1001 | 480p 854x480@24000/1001 | 360p 640x360@24000/1001"                                    },
    { "portrait by rotation",
     "web-h264",                                        1920,
     1080,                                                         30,
     1,                                                                         90,
     { 1, 1 },
     "1080p 1080x1920@30 | 720p 720x1280@30 | 480p 480x854@30 | 360p 360x640@30"                                        },
    { "portrait as coded",
     "preview",                                         1080,
     1920,                                                         30,
     1,                                                                         180,
     { 1, 1 },
     "540p 540x960@30 | 360p 360x640@30 | 240p 240x426@30"                                                              },
    { "smaller than every rung",            "web-h264", 64,   64,  24,    1,    0,   { 1, 1 }, "360p 64x64@24"          },
    { "odd and small",                      "web-h264", 479,  269, 30000, 1001, 0,   { 1, 1 }, "360p 478x268@30000/1001"},
    { "ultra wide fits boxes by its width",
     "web-h264",                                        3440,
     1440,                                                         60,
     1,                                                                         0,
     { 1, 1 },
     "1440p 2560x1072@60 | 1080p 1920x804@60 | 720p 1280x536@60 | 480p 854x358@30 | "
      "360p 640x268@30"                                                                                                 },
    { "a film of full width is 1080p",
     "web-h264",                                        1920,
     800,                                                          24,
     1,                                                                         0,
     { 1, 1 },
     "1080p 1920x800@24 | 720p 1280x534@24 | 480p 854x356@24 | 360p 640x266@24"                                         },
    { "between two rungs",
     "web-h264",                                        1422,
     800,                                                          25,
     1,                                                                         0,
     { 1, 1 },
     "720p 1280x720@25 | 480p 854x480@25 | 360p 640x360@25"                                                             },
    { "a cropped 1080p stays 1080p",
     "web-h264",                                        1904,
     1060,                                                         25,
     1,                                                                         0,
     { 1, 1 },
     "1080p 1904x1060@25 | 720p 1280x712@25 | 480p 854x476@25 | 360p 640x356@25"                                        },
    { "anamorphic 480i",
     "web-h264",                                        720,
     480,                                                          30000,
     1001,                                                                      0,
     { 32, 27 },
     "480p 854x480@30000/1001 | 360p 640x360@30000/1001"                                                                },
    { "narrow pixels",
     "web-h264",                                        720,
     480,                                                          30000,
     1001,                                                                      0,
     { 8, 9 },
     "480p 640x480@30000/1001 | 360p 480x360@30000/1001"                                                                },
    { "turned anamorphic",
     "web-h264",                                        720,
     480,                                                          25,
     1,                                                                         270,
     { 32, 27 },
     "480p 480x854@25 | 360p 360x640@25"                                                                                },
    { "a broken SAR counts as square",
     "web-h264",                                        640,
     360,                                                          25,
     1,                                                                         0,
     { 1, 4000 },
     "360p 640x360@25"                                                                                                  },
    { "59.94 under a cap of 30",
     "web-h264",                                        960,
     540,                                                          60000,
     1001,                                                                      0,
     { 1, 1 },
     "480p 854x480@30000/1001 | 360p 640x360@30000/1001"                                                                },
    { "120 under caps of 60 and 30",
     "web-h264",                                        1280,
     720,                                                          120,
     1,                                                                         0,
     { 1, 1 },
     "720p 1280x720@60 | 480p 854x480@30 | 360p 640x360@30"                                                             },
    { "50 under a cap of 30 is 25",
     "preview",                                         640,
     360,                                                          50,
     1,                                                                         0,
     { 1, 1 },
     "360p 640x360@25 | 240p 426x240@25"                                                                                },
    { "SVT-AV1 takes 64 pixels at least",
     "web-av1-svt",                                     48,
     32,                                                           25,
     1,                                                                         0,
     { 1, 1 },
     "360p 96x64@25"                                                                                                    },
    { "a picture two pixels high",          "web-h264", 640,  2,   25,    1,    0,   { 1, 1 }, "360p 640x16@25"         },
    { "each codec keeps its smallest",
     "web-all",                                         320,
     180,                                                          25,
     1,                                                                         0,
     { 1, 1 },
     "hevc-480p 320x180@25 | av1-480p 320x180@25 | h264-360p 320x180@25"                                                },
};

static void sizes_and_rates_follow_the_source(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct row *w = &rows[i];
        struct media_info m = source(w->width, w->height, w->num, w->den);
        m.video.rotation = w->rotation;
        m.video.sar = w->sar;
        struct made made = make(w->ladder, &m);
        char got[512];
        describe(&made, got, sizeof(got));
        if (strcmp(got, w->want) != 0)
            fail_msg("%s:\n got %s\nwant %s", w->what, got, w->want);
        unmake(&made);
    }
}

/* Over every size up to 400 and some larger: even, positive, not upscaled but to
 * the least that encoders take, and of a shape that players show. */
static void no_size_makes_an_odd_or_larger_picture(void **state)
{
    (void)state;
    struct ladder *l = NULL;
    assert_int_equal(ladder_load("web-h264", &l, NULL), 0);
    for (int w = 2; w < 5000; w += w < 400 ? 7 : 331)
        for (int h = 2; h < 5000; h += h < 400 ? 5 : 293) {
            struct media_info m = source(w, h, 25, 1);
            struct rendition *r = NULL;
            size_t n = 0;
            assert_int_equal(ladder_resolve(l, &m, &r, &n, NULL), 0);
            assert_true(n >= 2); /* a picture and sound */
            for (size_t i = 0; i + 1 < n; i++) {
                assert_int_equal(r[i].width % 2 + r[i].height % 2, 0);
                assert_true(r[i].width <= w || r[i].width == 16 || r[i].height == 16);
                assert_true(r[i].height <= h || r[i].width == 16 || r[i].height == 16);
                assert_true(av_q2d(r[i].sar) >= 0.1 && av_q2d(r[i].sar) <= 10);
            }
            rendition_list_free(r, n);
        }
    ladder_free(l);
}

static void the_grid_of_a_constant_rate_is_a_whole_number_of_frames(void **state)
{
    (void)state;
    struct media_info m = source(1280, 720, 60000, 1001);
    struct made k = make("web-h264", &m);
    assert_int_equal(k.r[0].grid.period.num, 0); /* 720p: all */
    assert_int_equal(k.r[1].grid.period.num, 1001);
    assert_int_equal(k.r[1].grid.period.den, 30000);
    assert_int_equal(k.r[1].grid.phase.num, 1001); /* half a frame */
    assert_int_equal(k.r[1].grid.phase.den, 120000);
    unmake(&k);
}

static void a_variable_rate_above_the_cap_gets_the_caps_grid(void **state)
{
    (void)state;
    struct media_info m = source(1280, 720, 57600, 1);
    m.video.vfr = 1;
    struct made k = make("preview", &m);
    assert_int_equal(k.r[0].grid.period.num, 1);
    assert_int_equal(k.r[0].grid.period.den, 30);
    assert_int_equal(k.r[0].grid.phase.num, 0);
    assert_int_equal(k.r[0].rate.num, 30);
    unmake(&k);

    m.video.rate = (AVRational){ 24, 1 };
    k = make("preview", &m);
    assert_int_equal(k.r[0].grid.period.num, 0);
    assert_int_equal(k.r[0].rate.num, 24);
    unmake(&k);
}

static void hdr_is_kept_where_the_ladder_says_so_and_tone_mapped_elsewhere(void **state)
{
    (void)state;
    struct media_info m = source(1920, 1080, 24, 1);
    m.video.color = (struct color_info){ 9, 16, 9, 1, 3 };
    struct made k = make("web-hevc", &m);
    assert_string_equal(k.r[0].pix_fmt, "yuv420p10le");
    assert_int_equal(k.r[0].color.transfer, 16);
    assert_int_equal(k.r[0].color.primaries, 9);
    assert_int_equal(k.r[0].tonemap, 0);
    unmake(&k);
    k = make("web-h264", &m);
    assert_string_equal(k.r[0].pix_fmt, "yuv420p");
    assert_int_equal(k.r[0].color.transfer, 1);
    assert_int_equal(k.r[0].color.primaries, 1);
    assert_int_equal(k.r[0].color.matrix, 1);
    assert_int_equal(k.r[0].tonemap, 1);
    unmake(&k);
}

static const char *param(const struct rendition *r, const char *key)
{
    for (size_t i = 0; i < r->n_params; i++)
        if (!strcmp(r->params[i].key, key))
            return r->params[i].value;
    return "(none)";
}

static void hdr_metadata_goes_with_hdr_renditions_only(void **state)
{
    static const char yaml[] =
        "video:\n- {name: a, codec: hevc, size: 720, maxrate: 3M, range: hdr}\n"
        "- {name: b, codec: hevc, size: 720, maxrate: 3M}\n"
        "- {name: c, codec: av1, encoder: libsvtav1, size: 720, maxrate: 3M, "
        "range: hdr}\n";
    struct media_info m = source(1280, 720, 24, 1);

    (void)state;
    m.video.color = (struct color_info){ 9, 16, 9, 1, 1 };
    m.video.hdr = (struct hdr_info){
        .has_mastering = 1,
        .red = {34000,  16000},
        .green = { 13250, 34500},
        .blue = { 7500,  3000 },
        .white = { 15635, 16450},
        .max_luminance = 10000000,
        .min_luminance = 50,
        .max_cll = 1000,
        .max_fall = 400
    };
    struct made k = make_from(yaml, &m);
    assert_int_equal(k.n, 3);
    assert_non_null(strstr(param(&k.r[0], "x265-params"),
                           ":hdr10=1:master-display=G(13250,34500)B(7500,3000)R(34000,16000)"
                           "WP(15635,16450)L(10000000,50):max-cll=1000,400"));
    assert_memory_equal(&k.r[0].hdr, &m.video.hdr, sizeof(m.video.hdr));
    assert_null(strstr(param(&k.r[1], "x265-params"), "master-display"));
    assert_int_equal(k.r[1].hdr.has_mastering, 0);
    assert_non_null(strstr(param(&k.r[2], "svtav1-params"),
                           ":mastering-display=G(0.26500,0.69000)B(0.15000,0.06000)"
                           "R(0.68000,0.32000)WP(0.31270,0.32900)L(1000.0000,0.0050)"
                           ":content-light=1000,400"));
    unmake(&k);
}

static void hdr_renditions_are_dropped_for_sdr_sources(void **state)
{
    (void)state;
    struct media_info m = source(1920, 1080, 24, 1);
    struct made k = make_from(
        "video:\n- {name: a, codec: hevc, size: 720, maxrate: 3M, range: hdr}\n"
        "- {name: b, codec: hevc, size: 720, maxrate: 3M}\n",
        &m);
    assert_int_equal(k.n, 1);
    assert_string_equal(k.r[0].name, "b");
    unmake(&k);

    static const char only[] = "video:\n- {codec: hevc, size: 720, maxrate: 3M, range: hdr}\n"
                               "audio:\n- {codec: aac}\n";
    struct ladder *l = NULL;
    struct rendition *r = NULL;
    size_t n = 7;
    struct err err;
    assert_int_equal(ladder_parse(only, sizeof(only) - 1, "l", &l, NULL), 0);
    assert_int_equal(ladder_resolve(l, &m, &r, &n, &err), -EINVAL);
    assert_int_equal(err.cls, ERR_INPUT);
    assert_non_null(strstr(err.text, "HDR"));
    assert_int_equal(n, 7);
    ladder_free(l);
}

static const struct color_row {
    const char *what;
    int width, height, num;
    struct color_info in;
    int primaries, transfer, matrix;
} color_rows[] = {
    {"untagged HD is BT.709",         1280, 720,  25, { 2, 2, 2, 0, 0 },  1, 1,  1},
    { "untagged 576 lines",           720,  576,  25, { 2, 2, 2, 0, 0 },  5, 6,  5},
    { "untagged 480 lines",           720,  480,  30, { 2, 2, 2, 0, 0 },  6, 6,  6},
    { "tags are kept",                720,  480,  30, { 1, 1, 1, 1, 1 },  1, 1,  1},
    { "zeroes are no tags",           1920, 1080, 30, { 0, 0, 2, 0, 0 },  1, 1,  1},
    { "a matrix tells its primaries", 1920, 1080, 30, { 2, 2, 6, 0, 0 },  6, 6,  6},
    { "RGB becomes BT.709",           320,  240,  30, { 1, 13, 0, 2, 0 }, 1, 13, 1},
};

static void colour_is_tagged_in_full_and_limited(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(color_rows) / sizeof(color_rows[0]); i++) {
        const struct color_row *w = &color_rows[i];
        struct media_info m = source(w->width, w->height, w->num, 1);
        m.video.color = w->in;
        struct made k = make("preview", &m);
        const struct color_info *c = &k.r[0].color;
        if (c->primaries != w->primaries || c->transfer != w->transfer || c->matrix != w->matrix)
            fail_msg("%s: %d/%d/%d", w->what, c->primaries, c->transfer, c->matrix);
        assert_int_equal(c->range, 1);
        assert_true(c->chroma_location > 0);
        unmake(&k);
    }
}

static void parameters_are_complete_and_the_ladders_own_come_last(void **state)
{
    (void)state;
    struct media_info m = source(1920, 1080, 25, 1);
    struct made k = make_from("defaults: {h264: {params: {aq-mode: 1, me: hex}}}\n"
                              "video:\n- {codec: h264, size: 720, maxrate: 3M, crf: 21.5,\n"
                              "   preset: slow, params: {aq-mode: 3}}\n",
                              &m);
    const struct rendition *r = &k.r[0];
    assert_string_equal(r->name, "720p");
    assert_string_equal(param(r, "preset"), "slow");
    assert_string_equal(param(r, "profile"), "high");
    assert_string_equal(param(r, "crf"), "21.5");
    assert_string_equal(param(r, "maxrate"), "3000000");
    assert_string_equal(param(r, "bufsize"), "6000000");
    assert_string_equal(param(r, "forced-idr"), "1");
    assert_string_equal(param(r, "x264-params"),
                        "keyint=infinite:min-keyint=536870912:open-gop=0:aq-mode=3:me=hex");
    assert_int_equal(r->maxrate, 3000000);
    unmake(&k);
}

static void only_libaom_starts_afresh_at_each_gop(void **state)
{
    (void)state;
    struct media_info m = source(1920, 1080, 25, 1);
    struct made k = make("web-all", &m);
    for (size_t i = 0; i < k.n; i++)
        assert_int_equal(k.r[i].gop_reset, !strcmp(k.r[i].encoder, "libaom-av1"));
    unmake(&k);
}

static void threads_and_memory_follow_the_picture(void **state)
{
    (void)state;
    struct media_info m = source(3840, 2160, 25, 1);
    struct made k = make("web-h264", &m);
    assert_int_equal(k.r[0].threads, 2);
    assert_int_equal(k.r[1].threads, 1);
    for (size_t i = 0; i + 2 < k.n; i++) {
        assert_true(k.r[i].cost > k.r[i + 1].cost);
        assert_true(k.r[i].memory_bytes > k.r[i + 1].memory_bytes);
    }
    unmake(&k);
    k = make("web-av1-svt", &m); /* two threads of it aren't deterministic */
    assert_int_equal(k.r[0].threads, 1);
    unmake(&k);
}

static void sound_alone_makes_sound_alone(void **state)
{
    (void)state;
    struct media_info m = source(0, 0, 0, 1);
    m.video.stream = -1;
    m.audio.sample_rate = 22050;
    m.audio.channels = 1;
    struct made k = make("web-h264", &m);
    assert_int_equal(k.n, 1);
    assert_int_equal(k.r[0].kind, MEDIA_AUDIO);
    assert_int_equal(k.r[0].channels, 1);
    assert_string_equal(k.r[0].layout, "mono");
    assert_int_equal(k.r[0].sample_rate, 44100);
    assert_int_equal(k.r[0].bit_rate, 64000);
    unmake(&k);
}

static void surround_is_offered_where_the_source_has_it(void **state)
{
    (void)state;
    static const char yaml[] = "audio:\n- {codec: aac, bitrate: 384k, channels: 6}\n"
                               "- {codec: opus}\n";
    struct media_info m = source(0, 0, 0, 1);
    m.video.stream = -1;
    m.audio.channels = 8;
    struct made k = make_from(yaml, &m);
    assert_string_equal(k.r[0].layout, "5.1");
    assert_string_equal(k.r[0].name, "aac-384k");
    assert_string_equal(k.r[1].encoder, "libopus");
    assert_int_equal(k.r[1].sample_rate, 48000);
    unmake(&k);
    m.audio.channels = 3;
    k = make_from(yaml, &m);
    assert_string_equal(k.r[0].layout, "stereo");
    assert_int_equal(k.r[0].bit_rate, 128000);
    unmake(&k);
}

static struct made extras_of(const char *yaml, const struct media_info *m)
{
    struct made list = make_from(yaml, m), out = { NULL, 0 };
    struct ladder *l = NULL;
    assert_int_equal(ladder_parse(yaml, strlen(yaml), "l.yaml", &l, NULL), 0);
    assert_int_equal(ladder_resolve_extras(l, m, list.r, list.n, &out.r, &out.n, NULL), 0);
    ladder_free(l);
    unmake(&list);
    return out;
}

#define ONE "video: [{name: sub-ger, codec: h264, size: 360, maxrate: 1M}]\n"

static void text_tracks_get_names_that_tell_them_apart(void **state)
{
    struct text_info texts[] = {
        {.stream = 2,        .language = "eng" },
        { .stream = 3,                 .language = "eng", .forced = 1 },
        { .stream = 4,.language = "eng", .hearing_impaired = 1 },
        { .stream = 5,                 .language = "eng" },
        { .stream = 6,                 .language = "ger" },
        { .stream = 7,                 .language = "pt-BR" },
        { .stream = 8},
    };
    static const char *const want[] = { "sub-eng",   "sub-eng-forced", "sub-eng-sdh", "sub-eng-2",
                                        "sub-ger-2", "sub-pt",         "sub-und" };
    struct media_info m = source(640, 360, 25, 1);

    (void)state;
    m.texts = texts;
    m.n_texts = 7;
    struct made k = extras_of(ONE, &m);
    assert_int_equal(k.n, 7);
    for (size_t i = 0; i < k.n; i++) {
        assert_string_equal(k.r[i].name, want[i]);
        assert_int_equal(k.r[i].text.stream, i + 2);
    }
    unmake(&k);
    k = extras_of(ONE "subtitles: none\n", &m);
    assert_int_equal(k.n, 0);
    unmake(&k);
    m.video.stream = -1; /* nothing to stand on */
    k = extras_of("audio: [{codec: aac}]\nposter: {}\n", &m);
    assert_int_equal(k.n, 0);
    unmake(&k);
}

static void pictures_are_upright_and_not_enlarged(void **state)
{
    static const char yaml[] = ONE "poster: {size: 720}\n"
                                   "storyboard: {size: 90, every: 2.5, columns: 32, rows: 4}\n";
    struct media_info m = source(1920, 1080, 25, 1);

    (void)state;
    m.duration_ms = 60000;
    m.video.rotation = 90;
    struct made k = extras_of(yaml, &m);
    assert_int_equal(k.n, 2);
    assert_int_equal(k.r[0].kind, MEDIA_POSTER);
    assert_int_equal(k.r[0].width, 720);
    assert_int_equal(k.r[0].height, 1280);
    assert_int_equal(k.r[1].kind, MEDIA_STORYBOARD);
    assert_int_equal(k.r[1].width, 90);
    assert_int_equal(k.r[1].height, 160);
    assert_int_equal(k.r[1].every_ms, 2500);
    assert_int_equal(k.r[1].columns, 32);
    unmake(&k);
    m = source(4096, 512, 25, 1); /* a sheet that is too wide loses columns */
    k = extras_of(yaml, &m);
    assert_true(k.r[1].width * k.r[1].columns <= 16000 && k.r[1].columns > 1);
    unmake(&k);
    m = source(320, 180, 25, 1);
    k = extras_of(yaml, &m);
    assert_int_equal(k.r[0].width, 320);
    unmake(&k);
}

static void every_track_gets_every_rung_and_a_name_of_its_own(void **state)
{
    (void)state;
    static const char yaml[] = "audio:\n- {name: a, codec: aac}\n- {name: a-6, codec: opus}\n";
    static const char *const names[] = { "a",       "a-6",       "a-deu",   "a-6-deu",
                                         "a-deu-2", "a-6-deu-2", "a-pt-br", "a-6-pt-br",
                                         "a-5",     "a-6-5",     "a-6-2",   "a-6-6" };
    struct audio_info more[] = {
        {.stream = 2,           .sample_rate = 44100, .channels = 1,   .language = "deu"  },
        { .stream = 3,          .sample_rate = 48000, .channels = 2,   .language = "deu"  },
        { .stream = 4,          .sample_rate = 48000, .channels = 2,   .language = "pt-BR"},
        { .stream = 5,          .sample_rate = 48000, .channels = 2  },
        { .stream = 6, .sample_rate = 48000,        .channels = 2, .language = "-"                   },
    };
    struct media_info m = source(0, 0, 0, 1);
    m.video.stream = -1;
    m.more_audio = more;
    m.n_more_audio = 5;
    struct made k = make_from(yaml, &m);
    assert_int_equal(k.n, 12);
    for (size_t i = 0; i < k.n; i++) {
        assert_string_equal(k.r[i].name, names[i]);
        assert_string_equal(rendition_rung(&k.r[i]), i % 2 ? "a-6" : "a");
        assert_int_equal(k.r[i].track, i / 2);
    }
    assert_int_equal(k.r[2].channels, 1);
    assert_int_equal(k.r[2].sample_rate, 44100);
    unmake(&k);

    char one[sizeof(yaml) + 32];
    (void)snprintf(one, sizeof(one), "audio_tracks: default\n%s", yaml);
    k = make_from(one, &m);
    assert_int_equal(k.n, 2);
    unmake(&k);
}

static void loudness_is_the_ladders_or_not_touched(void **state)
{
    (void)state;
    static const char yaml[] = "defaults:\n  aac: {loudness: -16}\naudio:\n"
                               "- {name: a, codec: aac}\n- {name: b, codec: opus}\n"
                               "- {name: c, codec: aac, loudness: -23.5, true_peak: -2}\n";
    struct media_info m = source(0, 0, 0, 1);
    m.video.stream = -1;
    struct made k = make_from(yaml, &m);
    assert_true(k.r[0].loudness == -16 && k.r[0].true_peak == -1);
    assert_true(k.r[1].loudness == 0);
    assert_true(k.r[2].loudness == -23.5 && k.r[2].true_peak == -2);
    assert_true(k.r[0].cost > k.r[1].cost); /* the sound is read twice */
    unmake(&k);
}

static void tracks_end_where_renditions_do(void **state)
{
    (void)state;
    char yaml[1024] = "audio:\n";
    struct audio_info more[AUDIO_TRACKS_MAX - 1];
    struct media_info m = source(0, 0, 0, 1);
    for (int i = 0; i < 10; i++)
        (void)snprintf(yaml + strlen(yaml), 64, "- {name: a%d, codec: aac}\n", i);
    m.video.stream = -1;
    for (int i = 0; i < AUDIO_TRACKS_MAX - 1; i++)
        more[i] = (struct audio_info){ .stream = i + 2, .sample_rate = 48000, .channels = 2 };
    m.more_audio = more;
    m.n_more_audio = AUDIO_TRACKS_MAX - 1;
    struct made k = make_from(yaml, &m);
    assert_int_equal(k.n, 60); /* no track by halves */
    unmake(&k);
}

static void a_silent_source_makes_pictures_alone(void **state)
{
    (void)state;
    struct media_info m = source(640, 360, 25, 1);
    m.audio.stream = -1;
    struct made k = make("preview", &m);
    assert_int_equal(k.n, 2);
    unmake(&k);
}

static void a_source_with_nothing_usable_is_refused(void **state)
{
    (void)state;
    struct media_info m = source(0, 0, 0, 1);
    m.video.stream = m.audio.stream = -1;
    struct ladder *l = NULL;
    struct rendition *r = NULL;
    size_t n = 0;
    struct err err;
    assert_int_equal(ladder_load("web-h264", &l, NULL), 0);
    assert_int_equal(ladder_resolve(l, &m, &r, &n, &err), -EINVAL);
    assert_int_equal(err.cls, ERR_INPUT);
    assert_string_equal(err.text, "the source has neither usable video nor audio");
    ladder_free(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_and_rates_follow_the_source),
        cmocka_unit_test(no_size_makes_an_odd_or_larger_picture),
        cmocka_unit_test(the_grid_of_a_constant_rate_is_a_whole_number_of_frames),
        cmocka_unit_test(a_variable_rate_above_the_cap_gets_the_caps_grid),
        cmocka_unit_test(hdr_is_kept_where_the_ladder_says_so_and_tone_mapped_elsewhere),
        cmocka_unit_test(hdr_metadata_goes_with_hdr_renditions_only),
        cmocka_unit_test(hdr_renditions_are_dropped_for_sdr_sources),
        cmocka_unit_test(colour_is_tagged_in_full_and_limited),
        cmocka_unit_test(parameters_are_complete_and_the_ladders_own_come_last),
        cmocka_unit_test(only_libaom_starts_afresh_at_each_gop),
        cmocka_unit_test(threads_and_memory_follow_the_picture),
        cmocka_unit_test(sound_alone_makes_sound_alone),
        cmocka_unit_test(surround_is_offered_where_the_source_has_it),
        cmocka_unit_test(text_tracks_get_names_that_tell_them_apart),
        cmocka_unit_test(pictures_are_upright_and_not_enlarged),
        cmocka_unit_test(every_track_gets_every_rung_and_a_name_of_its_own),
        cmocka_unit_test(loudness_is_the_ladders_or_not_touched),
        cmocka_unit_test(tracks_end_where_renditions_do),
        cmocka_unit_test(a_silent_source_makes_pictures_alone),
        cmocka_unit_test(a_source_with_nothing_usable_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
