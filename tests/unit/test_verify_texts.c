/* The verifier's readers of playlists, manifests and receipts. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/verify/check.h"
#include "common/base/err.h"

static const char media[] = "#EXTM3U\r\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:6\n"
                            "#EXT-X-MEDIA-SEQUENCE:1\n#EXT-X-PLAYLIST-TYPE:VOD\n"
                            "#EXT-X-MAP:URI=\"init.mp4\"\n# a comment\n#EXTINF:6.006000,\n"
                            "#EXT-X-BYTERANGE:100@44\nseg-00001.m4s\n#EXTINF:1.5,\n"
                            "seg-00002.m4s\n#EXT-X-ENDLIST\n";

static const char master[] =
    "#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"x, y\",URI=\"audio/a/index.m3u8\"\n"
    "#EXT-X-STREAM-INF:BANDWIDTH=1000,CODECS=\"avc1.640028,mp4a.40.2\",AUDIO=\"a\"\n"
    "video/v/index.m3u8\n"
    "#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=10,URI=\"video/v/iframe.m3u8\"\n";

static void test_media(void **state)
{
    (void)state;
    struct m3u8 *m;
    assert_int_equal(m3u8_parse(media, sizeof(media) - 1, &m, NULL), 0);
    assert_int_equal(m->version, 7);
    assert_int_equal(m->target, 6);
    assert_int_equal(m->media_sequence, 1);
    assert_int_equal(m->n_segments, 2);
    assert_true(m->segments[0].extinf.num == 6006000 && m->segments[0].extinf.den == 1000000);
    assert_true(m->segments[0].has_range && m->segments[0].range_off == 44);
    assert_false(m->segments[1].has_range);
    assert_string_equal(m->segments[1].uri, "seg-00002.m4s");
    assert_string_equal(m->map_uri, "init.mp4");
    assert_true(m->endlist);
    m3u8_free(m);
}

static void test_master(void **state)
{
    (void)state;
    struct m3u8 *m;
    assert_int_equal(m3u8_parse(master, sizeof(master) - 1, &m, NULL), 0);
    assert_int_equal(m->n_entries, 3);
    assert_string_equal(m3u8_attr(&m->entries[0], "NAME"), "x, y");
    assert_string_equal(m->entries[1].uri, "video/v/index.m3u8");
    assert_string_equal(m3u8_attr(&m->entries[1], "CODECS"), "avc1.640028,mp4a.40.2");
    assert_string_equal(m->entries[2].uri, "video/v/iframe.m3u8");
    m3u8_free(m);
}

static void test_variant_uri(void **state)
{
    static const char text[] = "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1,URI=\"wrong.m3u8\"\n"
                               "right.m3u8\n";
    struct m3u8 *m;

    (void)state;
    assert_int_equal(m3u8_parse(text, sizeof(text) - 1, &m, NULL), 0);
    assert_string_equal(m->entries[0].uri, "right.m3u8");
    m3u8_free(m);
}

static const struct bad_row {
    const char *name, *text;
} bad_playlists[] = {
    {"nothing",                      ""                                         },
    { "another first line",          "#EXT-X-VERSION:7\n"                       },
    { "a URI without EXTINF",        "#EXTM3U\nseg.m4s\n"                       },
    { "EXTINF that is no number",    "#EXTM3U\n#EXTINF:abc,\nseg.m4s\n"         },
    { "EXTINF with too many digits", "#EXTM3U\n#EXTINF:1.0000000001,\nseg.m4s\n"},
    { "an end where a URI is due",   "#EXTM3U\n#EXTINF:1,\n"                    },
    { "a variant without URI",       "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n" },
    { "a quote without end",         "#EXTM3U\n#EXT-X-MEDIA:URI=\"x\n"          },
    { "an attribute twice",          "#EXTM3U\n#EXT-X-MEDIA:TYPE=A,TYPE=B\n"    },
    { "a negative version",          "#EXTM3U\n#EXT-X-VERSION:-1\n"             },
    { "a map without URI",           "#EXTM3U\n#EXT-X-MAP:BYTERANGE=\"1@0\"\n"  },
    { "a byte range that is none",   "#EXTM3U\n#EXT-X-BYTERANGE:12@\n"          },
};

static void test_bad_playlists(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(bad_playlists) / sizeof(bad_playlists[0]); i++) {
        struct m3u8 *m = NULL;
        const struct bad_row *row = &bad_playlists[i];
        int r = m3u8_parse(row->text, strlen(row->text), &m, NULL);
        m3u8_free(m);
        if (r != -EINVAL)
            fail_msg("%s: %d", row->name, r);
    }
}

static void test_cut_playlists(void **state)
{
    (void)state;
    for (size_t n = 0; n < sizeof(master); n++) {
        struct m3u8 *m = NULL;
        char *copy = malloc(n + 1);
        memcpy(copy, master, n);
        (void)m3u8_parse(copy, n, &m, NULL);
        m3u8_free(m);
        free(copy);
    }
}

static const struct join_row {
    const char *base, *uri, *want; /* NULL: refused */
} joins[] = {
    {"video/v/index.m3u8",  "seg-00001.m4s",         "video/v/seg-00001.m4s"},
    { "master.m3u8",        "video/v/index.m3u8",    "video/v/index.m3u8"   },
    { "video/v/index.m3u8", "../x.m4s",              NULL                   },
    { "master.m3u8",        "a/../b",                NULL                   },
    { "master.m3u8",        "/etc/passwd",           NULL                   },
    { "master.m3u8",        "https://example.org/x", NULL                   },
    { "master.m3u8",        "a//b",                  NULL                   },
    { "master.m3u8",        "a%2e",                  NULL                   },
    { "master.m3u8",        "",                      NULL                   },
};

static void test_paths(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(joins) / sizeof(joins[0]); i++) {
        char path[PATH_LEN_MAX] = "";
        int r = path_join(joins[i].base, joins[i].uri, path);
        if (joins[i].want ? r || strcmp(path, joins[i].want) : r != -EINVAL)
            fail_msg("%s in %s: %d \"%s\"", joins[i].uri, joins[i].base, r, path);
    }
}

static const char mpd_text[] =
    "<MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\" type=\"static\" profiles=\"p\" "
    "mediaPresentationDuration=\"PT1M2.5S\" minBufferTime=\"PT6S\"><Period>"
    "<AdaptationSet mimeType=\"video/mp4\" segmentAlignment=\"true\" startWithSAP=\"1\">"
    "<SegmentTemplate timescale=\"1000\" startNumber=\"7\" initialization=\"$RepresentationID$/i\" "
    "media=\"$RepresentationID$/s-$Number%05d$-$Time$\"><SegmentTimeline>"
    "<S t=\"5\" d=\"100\" r=\"1\"/><S d=\"50\"/></SegmentTimeline></SegmentTemplate>"
    "<Representation id=\"a\" codecs=\"c\" bandwidth=\"9\" width=\"2\" height=\"4\" "
    "frameRate=\"30000/1001\"/></AdaptationSet></Period></MPD>";

static void test_mpd(void **state)
{
    (void)state;
    struct mpd *m;
    assert_int_equal(mpd_parse(mpd_text, sizeof(mpd_text) - 1, &m, NULL), 0);
    assert_true(fabs(m->duration_s - 62.5) < 1e-9);
    assert_int_equal(m->n_reps, 1);
    const struct mpd_representation *r = &m->reps[0];
    assert_string_equal(r->init, "a/i");
    assert_int_equal(r->n_segments, 3);
    assert_string_equal(r->segments[1].path, "a/s-00008-105");
    assert_int_equal(r->segments[2].t, 205);
    assert_int_equal(r->segments[2].d, 50);
    assert_int_equal(r->start_with_sap, 1);
    assert_int_equal(r->frame_rate_den, 1001);
    mpd_free(m);
}

static void test_mpd_bad(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "<MPD/>",
        "no xml",
        "<MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\"><Period><AdaptationSet><SegmentTemplate "
        "media=\"x\"><SegmentTimeline><S d=\"0\"/></SegmentTimeline></SegmentTemplate>"
        "<Representation id=\"a\"/></AdaptationSet></Period></MPD>",
        "<MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\"><Period><AdaptationSet><SegmentTemplate "
        "media=\"x$Bad$\"><SegmentTimeline><S d=\"1\"/></SegmentTimeline></SegmentTemplate>"
        "<Representation id=\"a\"/></AdaptationSet></Period></MPD>",
        "<MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\"><Period><AdaptationSet><SegmentTemplate "
        "media=\"x\"><SegmentTimeline><S d=\"1\" r=\"99999999999\"/></SegmentTimeline>"
        "</SegmentTemplate><Representation id=\"a\"/></AdaptationSet></Period></MPD>",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct mpd *m = NULL;
        int r = mpd_parse(bad[i], strlen(bad[i]), &m, NULL);
        mpd_free(m);
        if (r != -EINVAL)
            fail_msg("MPD %zu: %d", i, r);
    }
    for (size_t n = 0; n < sizeof(mpd_text); n++) {
        struct mpd *m = NULL;
        (void)mpd_parse(mpd_text, n, &m, NULL);
        mpd_free(m);
    }
}

static const char receipt_text[] =
    "{\"v\":1,\"source\":{\"url\":\"file:///x\",\"etag\":\"e\",\"size\":7},"
    "\"timeline\":{\"origin\":-3,\"origin_tb\":[1,1000]},\"totals\":{\"frames_concealed\":2},"
    "\"warnings\":[\"odd\"],\"renditions\":[{\"name\":\"a\",\"kind\":\"video\",\"timescale\":1000,"
    "\"init\":{\"key\":\"video/a/init.mp4\",\"size\":1,\"sha256\":\"00\",\"md5\":\"11\"},"
    "\"segments\":[{\"key\":\"video/a/seg-00001.m4s\",\"size\":2,\"sha256\":\"22\","
    "\"start\":0,\"duration\":5,\"frames\":3}]}]}";

static void test_receipt(void **state)
{
    (void)state;
    struct receipt *r;
    assert_int_equal(receipt_parse(receipt_text, sizeof(receipt_text) - 1, &r, NULL), 0);
    assert_int_equal(r->frames_concealed, 2);
    assert_true(r->origin_num == -3 && r->origin_den == 1000);
    const struct receipt_object *o = receipt_find(r, "video/a/seg-00001.m4s");
    assert_non_null(o);
    assert_int_equal(o->frames, 3);
    assert_null(o->md5);
    assert_non_null(receipt_find(r, "video/a/init.mp4"));
    assert_null(receipt_find(r, "video/b/init.mp4"));
    receipt_free(r);
    for (size_t n = 0; n + 1 < sizeof(receipt_text); n++) {
        struct receipt *none = NULL;
        assert_int_equal(receipt_parse(receipt_text, n, &none, NULL), -EINVAL);
    }
}

static void test_rates(void **state)
{
    (void)state;
    /* A short last segment of few bytes in little time must not be the peak. */
    const struct rate_span s[] = {
        {6,    6000 },
        { 6,   12000},
        { 0.1, 1000 }
    };
    struct rates r = rates_of(s, 3, 6);
    assert_true(fabs(r.peak - 8 * 13000 / 6.1) < 1e-6);
    assert_true(fabs(r.average - 8 * 19000 / 12.1) < 1e-6);
    assert_true(fabs(r.largest - 80000) < 1e-6);
}

static void test_time_cmp(void **state)
{
    (void)state;
    assert_int_equal(time_cmp(1, 3, 2, 6), 0);
    assert_true(time_cmp(INT64_C(1) << 60, 90000, (INT64_C(1) << 60) + 1, 90000) < 0);
    assert_true(time_cmp(1, 24, 1, 25) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        {"a media playlist is read as written",                           test_media,         NULL, NULL, NULL},
        { "a master playlist is read as written",                         test_master,        NULL, NULL, NULL},
        { "a variant's URI is the line after, not an attribute",          test_variant_uri,   NULL, NULL,
         NULL                                                                                                 },
        { "playlists that break the grammar are refused",                 test_bad_playlists, NULL, NULL, NULL},
        { "playlists cut anywhere do no harm",                            test_cut_playlists, NULL, NULL, NULL},
        { "no URI leads out of the package",                              test_paths,         NULL, NULL, NULL},
        { "a manifest's timeline is expanded",                            test_mpd,           NULL, NULL, NULL},
        { "manifests that make no sense are refused",                     test_mpd_bad,       NULL, NULL, NULL},
        { "a receipt is read, a cut one refused",                         test_receipt,       NULL, NULL, NULL},
        { "peaks are taken over half to one and a half target durations", test_rates,         NULL, NULL,
         NULL                                                                                                 },
        { "times of different clocks compare exactly",                    test_time_cmp,      NULL, NULL, NULL},
    };
    return cmocka_run_group_tests_name("verify_texts", tests, NULL, NULL);
}
