/* What a probe says of clips of many shapes, and how little it reads. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "clip.h"
#include "common/base/err.h"
#include "common/media/io.h"
#include "common/media/open.h"
#include "common/media/probe.h"
#include "inside_double.h"

#include <libavutil/intreadwrite.h>

static const char x264[] = "preset=ultrafast:tune=stillimage:bf=0";
static const char x264_b[] = "preset=veryfast:bf=3:b_strategy=0";

struct probed {
    struct clip clip;
    struct inside in;
    struct media_info info;
    struct media_index idx;
    struct err err;
};

static int probe_bytes(struct probed *p, uint64_t size)
{
    p->in = (struct inside){ .data = p->clip.data, .size = size };
    return media_probe(&p->in, &p->info, &p->idx, &p->err);
}

static void probe(struct probed *p, const struct clip_spec *spec)
{
    *p = (struct probed){ .clip = clip_make(spec) };
    if (probe_bytes(p, p->clip.size) < 0)
        fail_msg("%s", p->err.text);
}

static void release(struct probed *p)
{
    media_info_release(&p->info);
    media_index_release(&p->idx);
    inside_double_release(&p->in);
    free(p->clip.data);
}

static size_t count_flag(const struct media_index *idx, uint32_t flag)
{
    size_t n = 0;

    for (size_t i = 0; i < idx->n; i++)
        n += (idx->packets[i].flags & flag) != 0;
    return n;
}

/* ---- rates and times ---- */

static const int64_t uneven_ms[] = { 0,   33,  67,  100, 233, 266, 300, 333, 367,
                                     500, 533, 566, 600, 633, 667, 700, 733, 766 };
static const int64_t jitter_ms[] = { 0,   22,  38,  61,  80,  98,  121, 142, 158, 180,
                                     202, 218, 240, 262, 279, 300, 322, 338, 360, 381 };
static const int64_t one_hole_ms[] = { 0, 40, 80, 120, 160, 400, 440, 480, 520, 560 };

/* `rate` is made, `want` found. */
static const struct rate_row {
    const char *name, *format, *params;
    AVRational rate;
    const int64_t *times;
    int frames;
    AVRational want;
    int vfr;
} rates[] = {
    {"film in milliseconds",          "matroska", x264,   { 24000, 1001 }, NULL,        96,  { 24000, 1001 }, 0},
    { "NTSC in milliseconds",         "matroska", x264,   { 30000, 1001 }, NULL,        90,  { 30000, 1001 }, 0},
    { "59.94 in milliseconds",        "matroska", x264,   { 60000, 1001 }, NULL,        120, { 60000, 1001 }, 0},
    { "PAL in milliseconds",          "matroska", x264_b, { 25, 1 },       NULL,        60,  { 25, 1 },       0},
    { "film in MP4",                  "mp4",      x264_b, { 24000, 1001 }, NULL,        48,  { 24000, 1001 }, 0},
    { "NTSC in MP4",                  "mp4",      x264,   { 30000, 1001 }, NULL,        48,  { 30000, 1001 }, 0},
    { "59.94 in MP4",                 "mp4",      x264_b, { 60000, 1001 }, NULL,        60,  { 60000, 1001 }, 0},
    { "NTSC in MPEG-TS",              "mpegts",   x264_b, { 30000, 1001 }, NULL,        48,  { 30000, 1001 }, 0},
    { "30 in MOV",                    "mov",      x264_b, { 30, 1 },       NULL,        30,  { 30, 1 },       0},
    { "a phone's frames in Matroska", "matroska", x264,   { 0, 1 },        uneven_ms,   18,  { 30, 1 },       1},
    { "50 on a clock that jitters",   "matroska", x264,   { 0, 1 },        jitter_ms,   20,  { 50, 1 },       0},
    { "frames missing in MP4",        "mp4",      x264,   { 0, 1 },        one_hole_ms, 10,  { 25, 1 },       1},
};

static void check_rate(const struct rate_row *w, const struct probed *p)
{
    const struct video_info *v = &p->info.video;
    double seconds = w->times ? (double)w->times[w->frames - 1] / 1000
                              : (double)w->frames * w->rate.den / w->rate.num;
    double found = (double)(v->end - v->start) * av_q2d(v->tb);

    if (av_cmp_q(v->rate, w->want) != 0)
        fail_msg("%s: %d/%d", w->name, v->rate.num, v->rate.den);
    assert_int_equal(v->vfr, w->vfr);
    assert_int_equal(v->frames, w->frames);
    assert_int_equal(p->idx.n, w->frames);
    if (found < seconds - 0.002 || found > seconds + (w->times ? 0.1 : 0.002))
        fail_msg("%s: %.4f s instead of %.4f", w->name, found, seconds);
    assert_string_equal(v->codec, "h264");
    assert_int_equal(v->width, 64);
    assert_true(v->bit_rate > 0);
    assert_int_equal(p->info.audio.stream, -1);
    assert_true(p->idx.packets[0].flags & PACKET_KEY);
    for (size_t i = 0; i < p->idx.n; i++)
        assert_true(p->idx.packets[i].size > 0 && p->idx.packets[i].pos >= 0);
}

static void rates_and_times_are_what_was_made(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rates) / sizeof(*rates); i++) {
        const struct rate_row *w = &rates[i];
        const struct clip_spec spec = { .format = w->format,
                                        .encoder = "libx264",
                                        .params = w->params,
                                        .rate = w->rate,
                                        .times = w->times,
                                        .frames = w->frames,
                                        .gop = 24 };
        struct probed p;

        print_message("# %s\n", w->name);
        probe(&p, &spec);
        check_rate(w, &p);
        release(&p);
    }
}

/* ---- MP4 ---- */

static struct clip_spec mp4(const char *params)
{
    return (struct clip_spec){
        .format = "mp4",
        .encoder = "libx264",
        .params = params,
        .rate = {25, 1},
        .frames = 50,
        .gop = 25
    };
}

static void frames_before_the_edit_list_are_hidden(void **state)
{
    struct clip_spec spec = mp4(x264);
    struct probed p;

    (void)state;
    spec.first = -10;
    probe(&p, &spec);
    assert_int_equal(p.idx.n, 50);
    assert_int_equal(count_flag(&p.idx, PACKET_HIDDEN), 10);
    assert_int_equal(p.info.video.frames, 40);
    assert_int_equal(p.info.video.start, 0);
    assert_int_equal(av_rescale_q(p.info.video.end, p.info.video.tb, (AVRational){ 1, 1000 }),
                     1600);
    release(&p);
}

static void a_late_start_is_kept(void **state)
{
    struct clip_spec spec = mp4(x264_b);
    struct probed p;

    (void)state;
    spec.first = 25;
    spec.audio = "aac";
    spec.audio_seconds = 3;
    probe(&p, &spec);
    assert_int_equal(p.info.video.frames, 50);
    assert_int_equal(av_rescale_q(p.info.video.start, p.info.video.tb, (AVRational){ 1, 1000 }),
                     1000);
    assert_int_equal(av_rescale_q(p.info.video.end, p.info.video.tb, (AVRational){ 1, 1000 }),
                     3000);
    release(&p);
}

static const struct layout {
    const char *name, *options;
} layouts[] = {
    {"moov at the end",               NULL                                                 },
    { "moov at the start",            "movflags=faststart"                                 },
    { "fragments",                    "movflags=frag_keyframe+empty_moov+default_base_moof"},
    { "fragments, the first in moov", "movflags=frag_keyframe"                             },
};

static void an_mp4_is_the_same_whatever_its_layout(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(layouts) / sizeof(*layouts); i++) {
        struct clip_spec spec = mp4(x264);
        struct probed p;

        print_message("# %s\n", layouts[i].name);
        spec.options = layouts[i].options;
        spec.audio = "aac";
        spec.audio_seconds = 2;
        probe(&p, &spec);
        assert_int_equal(p.info.video.frames, 50);
        assert_int_equal(p.info.video.start, 0);
        assert_int_equal(count_flag(&p.idx, PACKET_KEY), 2);
        assert_string_equal(p.info.audio.codec, "aac");
        assert_int_equal(p.info.audio.sample_rate, 48000);
        double end = (double)p.info.audio.end * av_q2d(p.info.audio.tb);
        if (end < 1.99 || end > 2.05)
            fail_msg("%s: the sound ends at %.3f s", layouts[i].name, end);
        assert_true(p.info.duration_ms >= 2000 && p.info.duration_ms <= 2050);
        release(&p);
    }
}

static void rotation_is_clockwise_and_exact(void **state)
{
    (void)state;
    for (int degrees = 0; degrees < 360; degrees += 90) {
        struct clip_spec spec = mp4(x264);
        struct probed p;

        spec.rotation = degrees;
        spec.frames = 2;
        probe(&p, &spec);
        assert_int_equal(p.info.video.rotation, degrees);
        assert_int_equal(p.info.video.hflip, 0);
        release(&p);
    }
}

static void an_attached_picture_is_no_video(void **state)
{
    struct clip_spec spec = mp4(x264), sound = { .format = "mp4", .cover = 1, .audio = "aac" };
    struct probed p;

    (void)state;
    spec.cover = 1;
    probe(&p, &spec);
    assert_string_equal(p.info.video.codec, "h264");
    assert_int_equal(p.info.video.frames, 50);
    release(&p);

    sound.audio_seconds = 1;
    probe(&p, &sound);
    assert_int_equal(p.info.video.stream, -1);
    assert_int_equal(p.idx.n, 0);
    assert_true(p.info.audio.stream >= 0);
    release(&p);
}

/* ---- sound ---- */

static void sound_starts_after_its_priming(void **state)
{
    static const char *const formats[] = { "matroska", "mp4" };

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        const struct clip_spec spec = {
            .format = formats[i],
            .encoder = "libx264",
            .params = x264,
            .rate = {25, 1},
            .frames = 25,
            .gop = 25,
            .audio = "libopus",
            .audio_seconds = 1
        };
        struct probed p;

        print_message("# Opus in %s\n", formats[i]);
        probe(&p, &spec);
        assert_string_equal(p.info.audio.codec, "opus");
        double start = (double)p.info.audio.start * av_q2d(p.info.audio.tb);
        if (start < -0.0011 || start > 0.0011)
            fail_msg("%s: the sound starts at %.4f s", formats[i], start);
        release(&p);
    }
}

static const struct clip_track tracks[] = {
    {"ger",
     "Die \xc3\x9c"
      "bersetzung", AV_DISPOSITION_DEFAULT        },
    { NULL,  NULL,  AV_DISPOSITION_COMMENT        },
    { "fra", NULL,  AV_DISPOSITION_VISUAL_IMPAIRED},
};

static void every_sound_track_is_told_the_default_one_first(void **state)
{
    const struct clip_spec spec = {
        .format = "matroska",
        .encoder = "libx264",
        .params = x264,
        .rate = {25, 1},
        .frames = 25,
        .gop = 25,
        .audio = "aac",
        .audio_seconds = 1,
        .more = tracks,
        .n_more = 3
    };
    struct probed p;

    (void)state;
    probe(&p, &spec);
    assert_int_equal(p.info.n_more_audio, 3);
    assert_int_equal(p.info.n_warnings, 0);
    assert_int_equal(p.info.audio.stream, 2);
    assert_string_equal(p.info.audio.language, "ger");
    assert_string_equal(p.info.audio.title, tracks[0].title);
    assert_int_equal(p.info.more_audio[0].stream, 1); /* the others in their order */
    assert_int_equal(p.info.more_audio[1].roles, AUDIO_COMMENTARY);
    assert_string_equal(p.info.more_audio[1].language, "");
    assert_int_equal(p.info.more_audio[2].roles, AUDIO_DESCRIPTION);
    assert_string_equal(p.info.more_audio[2].language, "fra");
    for (size_t i = 0; i < 4; i++) {
        const struct audio_info *a = media_audio(&p.info, i);
        double end = (double)a->end * av_q2d(a->tb);
        if (end < 0.99 || end > 1.05)
            fail_msg("track %zu ends at %.3f s", i, end);
    }
    release(&p);
}

/* As Apple's spatial sound is to those who don't know it. */
static void a_track_that_nobody_decodes_is_left_out_by_its_name(void **state)
{
    const struct clip_spec spec = {
        .format = "mp4", .audio = "ac3", .audio_seconds = 1, .more = tracks, .n_more = 2
    };
    struct probed p = { .clip = clip_make(&spec) };
    int seen = 0;

    (void)state;
    for (size_t i = 0; i + 4 < p.clip.size; i++) /* the sample entry of the last track */
        if (memcmp(p.clip.data + i, "ac-3", 4) == 0 && ++seen == 3)
            memcpy(p.clip.data + i, "apac", 4);
    assert_int_equal(seen, 3);
    if (probe_bytes(&p, p.clip.size) < 0)
        fail_msg("%s", p.err.text);
    assert_int_equal(p.info.n_more_audio, 1);
    assert_int_equal(p.info.n_warnings, 1);
    assert_string_equal(
        p.info.warnings[0],
        "audio stream 2 is Apple's APAC, which is not decoded here, and is left out");
    release(&p);
}

/* ---- damage, and how little is read ---- */

static void of_a_truncated_file_the_sound_ends_where_the_bytes_do(void **state)
{
    struct clip_spec spec = mp4(x264);
    struct probed p;

    (void)state;
    spec.options = "movflags=faststart";
    spec.audio = "aac";
    spec.audio_seconds = 2;
    p = (struct probed){ .clip = clip_make(&spec) };
    if (probe_bytes(&p, p.clip.size / 2) < 0)
        fail_msg("%s", p.err.text);
    double end = (double)p.info.audio.end * av_q2d(p.info.audio.tb);
    assert_int_equal(p.info.size_bytes, p.clip.size / 2);
    if (end < 0.2 || end > 1.8)
        fail_msg("the sound ends at %.3f s", end);
    release(&p);
}

static const struct hopeless {
    const char *name, *bytes;
    size_t size;
    const char *says;
} hopeless[] = {
    {"nothing",               "",                                0,  "empty"       },
    { "text",                 "Dear video,\nplease encode.\n",   27, "text"        },
    { "noise, taken for MP3", "\0\x01\x02\xff\xfe\x80 no video", 15, "known format"},
    { "a bit of noise",       "\x91\x02\0\x7f\x80\0",            6,  "known format"},
};

static void what_is_no_video_is_told_apart(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(hopeless) / sizeof(*hopeless); i++) {
        const struct hopeless *w = &hopeless[i];
        struct probed p = { 0 };

        print_message("# %s\n", w->name);
        p.in = (struct inside){ .data = (const uint8_t *)w->bytes, .size = w->size };
        assert_int_equal(media_probe(&p.in, &p.info, &p.idx, &p.err), -EINVAL);
        assert_int_equal(p.err.cls, ERR_INPUT);
        if (!strstr(p.err.text, w->says))
            fail_msg("%s: %s", w->name, p.err.text);
    }
}

static void a_file_without_its_moov_is_said_to_be_cut_off(void **state)
{
    struct clip_spec spec = mp4(x264);
    struct probed p = { .clip = clip_make(&spec) };

    (void)state;
    assert_int_equal(probe_bytes(&p, p.clip.size / 2), -EINVAL);
    assert_int_equal(p.err.cls, ERR_INPUT);
    assert_non_null(strstr(p.err.text, "cut off"));
    release(&p);
}

static void what_the_parent_refuses_is_its_error(void **state)
{
    struct clip_spec spec = mp4(x264);
    struct probed p = { .clip = clip_make(&spec) };

    (void)state;
    p.in = (struct inside){ .data = p.clip.data, .size = p.clip.size, .fail_from = 100 };
    assert_true(media_probe(&p.in, &p.info, &p.idx, &p.err) < 0);
    assert_int_equal(p.err.cls, ERR_STORAGE);
    assert_non_null(strstr(p.err.text, "refuses byte 100"));
    release(&p);
}

/* An empty `free` box before the last bytes makes any clip's mdat as large as
 * wanted: here, mdat is followed by 40 MB more of itself. */
static struct clip with_padding(const struct clip *c, size_t more)
{
    struct clip big = { malloc(c->size + more), c->size + more };
    size_t at = 0;

    assert_non_null(big.data);
    while (memcmp(c->data + at + 4, "mdat", 4) != 0)
        at += AV_RB32(c->data + at);
    memcpy(big.data, c->data, c->size);
    assert_int_equal(at + AV_RB32(c->data + at), c->size); /* the last box */
    memset(big.data + c->size, 0x55, more);
    AV_WB32(big.data + at, (uint32_t)(c->size - at + more));
    return big;
}

static void an_index_reads_nothing_of_mdat(void **state)
{
    struct clip_spec spec = mp4(x264);
    struct media_source s;
    struct err err = { 0 };
    AVPacket *pkt = av_packet_alloc();
    size_t packets = 0;

    (void)state;
    spec.options = "movflags=faststart";
    struct clip small = clip_make(&spec), big = with_padding(&small, 40 << 20);
    struct inside in = { .data = big.data, .size = big.size };
    assert_int_equal(media_open(&in, MEDIA_OPEN_INDEX, &s, &err), 0);
    in.bytes_read = 0;
    while (media_read(&s, pkt, &err) == 0) {
        packets++;
        av_packet_unref(pkt);
    }
    assert_int_equal(packets, 50);
    assert_true(in.bytes_read < 1024);
    media_close(&s);
    av_packet_free(&pkt);
    free(small.data);
    free(big.data);
}

static void a_probe_reads_a_small_part_of_a_big_file(void **state)
{
    struct clip_spec spec = mp4(x264);
    struct probed p;

    (void)state;
    spec.options = "movflags=faststart";
    struct clip small = clip_make(&spec);
    p = (struct probed){ .clip = with_padding(&small, 40 << 20) };
    if (probe_bytes(&p, p.clip.size) < 0)
        fail_msg("%s", p.err.text);
    assert_int_equal(p.info.video.frames, 50);
    assert_true(p.in.bytes_read < p.clip.size / 10);
    free(small.data);
    release(&p);
}

/* ---- keyframes ---- */

static size_t mark(struct probed *p)
{
    size_t *which = malloc((p->idx.n + 1) * sizeof(*which)), n = 0;

    assert_non_null(which);
    for (size_t i = 0; i < p->idx.n; i++)
        if (p->idx.packets[i].flags & PACKET_KEY)
            which[n++] = i;
    int r = media_index_check(&p->in, &p->info, &p->idx, which, n, &p->err);
    if (r < 0)
        fail_msg("%s", p->err.text);
    free(which);
    return (size_t)r;
}

static void only_idr_pictures_of_h264_are_safe(void **state)
{
    static const char *const formats[] = { "mp4", "matroska", "mpegts" };
    static const char *const params[] = {
        "preset=veryfast:bf=3:b_strategy=0:x264-params=scenecut=0\\:log-level=0",
        "preset=veryfast:bf=3:b_strategy=0:x264-params=open-gop=1\\:scenecut=0\\:log-level=0",
    };

    (void)state;
    for (size_t f = 0; f < 3; f++)
        for (size_t open = 0; open < 2; open++) {
            struct clip_spec spec = mp4(params[open]);
            struct probed p;

            print_message("# %s GOPs in %s\n", open ? "open" : "closed", formats[f]);
            spec.format = formats[f];
            spec.gop = 12;
            spec.frames = 60;
            probe(&p, &spec);
            size_t keys = count_flag(&p.idx, PACKET_KEY);
            assert_true(keys >= 4);
            /* Of MP4 no payload was read before; a scan has seen them all. */
            assert_int_equal(mark(&p), open && f == 0 ? keys - 1 : 0);
            assert_int_equal(count_flag(&p.idx, PACKET_UNSAFE), open ? keys - 1 : 0);
            assert_false(p.idx.packets[0].flags & PACKET_UNSAFE);
            assert_int_equal(mark(&p), 0); /* marked ones aren't looked at again */
            release(&p);
        }
}

/* ---- timestamps that wrap ---- */

static const struct unwrap {
    int64_t ts, near;
    int bits;
    int64_t want;
} unwraps[] = {
    {10,                      5,                      33, 10                     },
    { 10,                     (INT64_C(1) << 33) - 5, 33, (INT64_C(1) << 33) + 10},
    { (INT64_C(1) << 33) - 5, 10,                     33, -5                     },
    { 7,                      (INT64_C(5) << 33) + 3, 33, (INT64_C(5) << 33) + 7 },
    { (INT64_C(1) << 33) - 1, INT64_C(5) << 33,       33, (INT64_C(5) << 33) - 1 },
    { 10,                     (INT64_C(1) << 33) - 5, 64, 10                     },
    { 10,                     (INT64_C(1) << 33) - 5, 63, 10                     },
    { 10,                     (INT64_C(1) << 33) - 5, 0,  10                     },
    { 10,                     AV_NOPTS_VALUE,         33, 10                     },
    { AV_NOPTS_VALUE,         10,                     33, AV_NOPTS_VALUE         },
    { 250,                    3,                      8,  -6                     },
    { 131,                    3,                      8,  131                    },
    { 132,                    3,                      8,  -124                   },
};

static void timestamps_unwrap_to_the_nearest(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(unwraps) / sizeof(*unwraps); i++) {
        const struct unwrap *w = &unwraps[i];
        int64_t got = media_unwrap(w->ts, w->near, w->bits);
        if (got != w->want)
            fail_msg("row %zu: %lld, not %lld", i, (long long)got, (long long)w->want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rates_and_times_are_what_was_made),
        cmocka_unit_test(frames_before_the_edit_list_are_hidden),
        cmocka_unit_test(a_late_start_is_kept),
        cmocka_unit_test(an_mp4_is_the_same_whatever_its_layout),
        cmocka_unit_test(rotation_is_clockwise_and_exact),
        cmocka_unit_test(an_attached_picture_is_no_video),
        cmocka_unit_test(sound_starts_after_its_priming),
        cmocka_unit_test(every_sound_track_is_told_the_default_one_first),
        cmocka_unit_test(a_track_that_nobody_decodes_is_left_out_by_its_name),
        cmocka_unit_test(of_a_truncated_file_the_sound_ends_where_the_bytes_do),
        cmocka_unit_test(what_is_no_video_is_told_apart),
        cmocka_unit_test(a_file_without_its_moov_is_said_to_be_cut_off),
        cmocka_unit_test(what_the_parent_refuses_is_its_error),
        cmocka_unit_test(an_index_reads_nothing_of_mdat),
        cmocka_unit_test(a_probe_reads_a_small_part_of_a_big_file),
        cmocka_unit_test(only_idr_pictures_of_h264_are_safe),
        cmocka_unit_test(timestamps_unwrap_to_the_nearest),
    };

    av_log_set_level(AV_LOG_QUIET);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
