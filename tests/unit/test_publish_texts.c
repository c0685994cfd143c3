/* What is published: playlists, manifest and receipt, letter by letter. */
#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <libxml/parser.h>

#include "common/base/err.h"
#include "common/wire/object.h"
#include "dispatcher/publish/dash.h"
#include "dispatcher/publish/hls.h"
#include "dispatcher/publish/publish.h"
#include "dispatcher/publish/sha256.h"
#include "publish_fixture.h"

static const struct receipt_job job = { "job-1", "https://user:secret@host/in.mov?X-Sig=1#t",
                                        "\"e\"", "web-h264", "abc" };

/* Compare and free. */
static void expect_text(char *got, const char *want)
{
    assert_string_equal(got, want);
    free(got);
}

static char *master_of(const struct package *p)
{
    char *text = NULL;
    size_t len = 0;
    assert_int_equal(hls_master(p, &text, &len, NULL), 0);
    assert_int_equal(strlen(text), len);
    return text;
}

static char *media_of(const struct package *p, size_t i)
{
    char *text = NULL;
    size_t len = 0;
    assert_int_equal(hls_media(p, &p->renditions[i], &text, &len, NULL), 0);
    return text;
}

static char *iframes_of(const struct package *p, size_t i)
{
    char *text = NULL;
    size_t len = 0;
    assert_int_equal(hls_iframes(p, &p->renditions[i], &text, &len, NULL), 0);
    return text;
}

static char *manifest_of(const struct package *p)
{
    char *text = NULL;
    size_t len = 0;
    assert_int_equal(dash_manifest(p, &text, &len, NULL), 0);
    xmlDocPtr doc = xmlReadMemory(text, (int)len, "manifest.mpd", NULL, XML_PARSE_NONET);
    assert_non_null(doc);
    xmlFreeDoc(doc);
    return text;
}

static void expect_part(char *got, const char *part)
{
    if (!strstr(got, part))
        fail_msg("no \"%s\" in:\n%s", part, got);
    free(got);
}

static void expect_no_part(char *got, const char *part)
{
    if (strstr(got, part))
        fail_msg("\"%s\" in:\n%s", part, got);
    free(got);
}

static const char master_plain[] =
    "#EXTM3U\n"
    "#EXT-X-VERSION:7\n"
    "#EXT-X-INDEPENDENT-SEGMENTS\n"
    "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"aac-128\",NAME=\"de\",LANGUAGE=\"de\",DEFAULT=YES,"
    "AUTOSELECT=YES,CHANNELS=\"2\",URI=\"audio/aac-128/index.m3u8\"\n"
    "#EXT-X-STREAM-INF:BANDWIDTH=776597,AVERAGE-BANDWIDTH=535215,CODECS=\"avc1.64001f,mp4a.40.2\","
    "RESOLUTION=1280x720,FRAME-RATE=25.000,VIDEO-RANGE=SDR,AUDIO=\"aac-128\","
    "CLOSED-CAPTIONS=NONE\n"
    "video/720p/index.m3u8\n"
    "#EXT-X-STREAM-INF:BANDWIDTH=262311,AVERAGE-BANDWIDTH=202907,CODECS=\"avc1.64001f,mp4a.40.2\","
    "RESOLUTION=640x360,FRAME-RATE=25.000,VIDEO-RANGE=SDR,AUDIO=\"aac-128\","
    "CLOSED-CAPTIONS=NONE\n"
    "video/360p/index.m3u8\n"
    "#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=600000,AVERAGE-BANDWIDTH=92306,CODECS=\"avc1.64001f\","
    "RESOLUTION=1280x720,VIDEO-RANGE=SDR,URI=\"video/720p/iframe.m3u8\"\n"
    "#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=60000,AVERAGE-BANDWIDTH=9229,CODECS=\"avc1.64001f\","
    "RESOLUTION=640x360,VIDEO-RANGE=SDR,URI=\"video/360p/iframe.m3u8\"\n";

static const char media_plain[] = "#EXTM3U\n"
                                  "#EXT-X-VERSION:7\n"
                                  "#EXT-X-TARGETDURATION:6\n"
                                  "#EXT-X-MEDIA-SEQUENCE:1\n"
                                  "#EXT-X-PLAYLIST-TYPE:VOD\n"
                                  "#EXT-X-INDEPENDENT-SEGMENTS\n"
                                  "#EXT-X-MAP:URI=\"init.mp4\"\n"
                                  "#EXTINF:6.000000,\n"
                                  "seg-00001.m4s\n"
                                  "#EXTINF:6.000000,\n"
                                  "seg-00002.m4s\n"
                                  "#EXTINF:1.000000,\n"
                                  "seg-00003.m4s\n"
                                  "#EXT-X-ENDLIST\n";

static const char iframes_plain[] = "#EXTM3U\n"
                                    "#EXT-X-VERSION:7\n"
                                    "#EXT-X-TARGETDURATION:2\n"
                                    "#EXT-X-MEDIA-SEQUENCE:1\n"
                                    "#EXT-X-PLAYLIST-TYPE:VOD\n"
                                    "#EXT-X-INDEPENDENT-SEGMENTS\n"
                                    "#EXT-X-I-FRAMES-ONLY\n"
                                    "#EXT-X-MAP:URI=\"init.mp4\"\n"
                                    "#EXTINF:2.000000,\n"
                                    "#EXT-X-BYTERANGE:8333@0\n"
                                    "seg-00001.m4s\n"
                                    "#EXTINF:2.000000,\n"
                                    "#EXT-X-BYTERANGE:8333@33333\n"
                                    "seg-00001.m4s\n"
                                    "#EXTINF:2.000000,\n"
                                    "#EXT-X-BYTERANGE:8333@66666\n"
                                    "seg-00001.m4s\n"
                                    "#EXTINF:2.000000,\n"
                                    "#EXT-X-BYTERANGE:16666@0\n"
                                    "seg-00002.m4s\n"
                                    "#EXTINF:2.000000,\n"
                                    "#EXT-X-BYTERANGE:16666@66666\n"
                                    "seg-00002.m4s\n"
                                    "#EXTINF:2.000000,\n"
                                    "#EXT-X-BYTERANGE:16666@133332\n"
                                    "seg-00002.m4s\n"
                                    "#EXTINF:1.000000,\n"
                                    "#EXT-X-BYTERANGE:75000@0\n"
                                    "seg-00003.m4s\n"
                                    "#EXT-X-ENDLIST\n";

static void playlists_of_a_plain_package(void **state)
{
    (void)state;
    struct fixture f;
    fixture_make(&f, &shape_plain);
    struct package *p = fixture_package(&f);

    expect_text(master_of(p), master_plain);
    expect_text(media_of(p, 0), media_plain);
    expect_text(iframes_of(p, 0), iframes_plain);
    /* The first one's 1024 samples of priming count: before each segment is its tfdt.
     * The differences are those of rounded times. */
    expect_part(media_of(p, 2), "#EXTINF:6.016000,\nseg-00001.m4s\n"
                                "#EXTINF:6.016000,\nseg-00002.m4s\n"
                                "#EXTINF:1.002667,\nseg-00003.m4s\n#EXT-X-ENDLIST\n");
    package_unbuild(p);
    fixture_release(&f);
}

#define CICP "<SupplementalProperty schemeIdUri=\"urn:mpeg:mpegB:cicp:"

static const char manifest_plain[] =
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
    "<MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\" profiles=\"urn:mpeg:dash:profile:isoff-live:2011\""
    " type=\"static\" mediaPresentationDuration=\"PT13.013350S\" minBufferTime=\"PT6.016S\">\n"
    "  <Period id=\"0\" start=\"PT0S\">\n"
    "    <AdaptationSet id=\"1\" contentType=\"video\" mimeType=\"video/mp4\""
    " segmentAlignment=\"true\" startWithSAP=\"1\" par=\"16:9\" maxWidth=\"1280\""
    " maxHeight=\"720\" maxFrameRate=\"25\">\n"
    "      " CICP "ColourPrimaries\" value=\"1\"/>\n"
    "      " CICP "MatrixCoefficients\" value=\"1\"/>\n"
    "      " CICP "TransferCharacteristics\" value=\"1\"/>\n"
    "      <Role schemeIdUri=\"urn:mpeg:dash:role:2011\" value=\"main\"/>\n"
    "      <SegmentTemplate timescale=\"12800\" startNumber=\"1\""
    " initialization=\"video/$RepresentationID$/init.mp4\""
    " media=\"video/$RepresentationID$/seg-$Number%05d$.m4s\">\n"
    "        <SegmentTimeline>\n"
    "          <S t=\"0\" d=\"76800\" r=\"1\"/>\n"
    "          <S d=\"12800\"/>\n"
    "        </SegmentTimeline>\n"
    "      </SegmentTemplate>\n"
    "      <Representation id=\"720p\" codecs=\"avc1.64001f\" bandwidth=\"398937\" width=\"1280\""
    " height=\"720\" sar=\"1:1\" frameRate=\"25\"/>\n"
    "      <Representation id=\"360p\" codecs=\"avc1.64001f\" bandwidth=\"39894\" width=\"640\""
    " height=\"360\" sar=\"1:1\" frameRate=\"25\"/>\n"
    "    </AdaptationSet>\n"
    "    <AdaptationSet id=\"2\" contentType=\"audio\" mimeType=\"audio/mp4\""
    " segmentAlignment=\"true\" startWithSAP=\"1\" lang=\"de\">\n"
    "      <AudioChannelConfiguration schemeIdUri=\"urn:mpeg:mpegB:cicp:ChannelConfiguration\""
    " value=\"2\"/>\n"
    "      <Role schemeIdUri=\"urn:mpeg:dash:role:2011\" value=\"main\"/>\n"
    "      <SegmentTemplate timescale=\"48000\" startNumber=\"1\""
    " initialization=\"audio/$RepresentationID$/init.mp4\""
    " media=\"audio/$RepresentationID$/seg-$Number%05d$.m4s\">\n"
    "        <SegmentTimeline>\n"
    "          <S t=\"0\" d=\"287744\"/>\n"
    "          <S d=\"288768\"/>\n"
    "          <S d=\"48128\"/>\n"
    "        </SegmentTimeline>\n"
    "      </SegmentTemplate>\n"
    "      <Representation id=\"aac-128\" codecs=\"mp4a.40.2\" bandwidth=\"119894\""
    " audioSamplingRate=\"48000\"/>\n"
    "    </AdaptationSet>\n"
    "  </Period>\n"
    "</MPD>\n";

static void manifest_of_a_plain_package(void **state)
{
    (void)state;
    struct fixture f;
    fixture_make(&f, &shape_plain);
    struct package *p = fixture_package(&f);

    expect_text(manifest_of(p), manifest_plain);
    package_unbuild(p);
    fixture_release(&f);
}

static void sound_alone_makes_a_package(void **state)
{
    (void)state;
    struct fixture f;
    fixture_make_audio_only(&f);
    struct package *p = fixture_package(&f);

    expect_text(master_of(p), "#EXTM3U\n"
                              "#EXT-X-VERSION:7\n"
                              "#EXT-X-INDEPENDENT-SEGMENTS\n"
                              "#EXT-X-STREAM-INF:BANDWIDTH=205168,AVERAGE-BANDWIDTH=165984,"
                              "CODECS=\"mp4a.40.2\"\n"
                              "audio/aac-128/index.m3u8\n");
    expect_part(manifest_of(p), "<AdaptationSet id=\"1\" contentType=\"audio\"");
    package_unbuild(p);
    fixture_release(&f);
}

static void a_video_without_sound_names_no_audio(void **state)
{
    (void)state;
    struct fixture f;
    struct shape s = shape_plain;
    s.audio = 0;
    fixture_make(&f, &s);
    struct package *p = fixture_package(&f);

    expect_no_part(master_of(p), "AUDIO");
    expect_no_part(manifest_of(p), "audio");
    expect_part(master_of(p), "CODECS=\"avc1.64001f\",RESOLUTION=1280x720");
    package_unbuild(p);
    fixture_release(&f);
}

/* Awkward numbers */

static int64_t sum_of_extinf_us(const char *text, size_t *ret_n)
{
    int64_t sum = 0;
    *ret_n = 0;
    for (const char *at = text; (at = strstr(at, "#EXTINF:")); at++) {
        long long s = 0, us = 0;
        assert_int_equal(sscanf(at, "#EXTINF:%lld.%6lld,", &s, &us), 2);
        sum += s * 1000000 + us;
        (*ret_n)++;
    }
    return sum;
}

/* 10,000 segments of one GOP of 29 frames at 30000/1001: 0.967633… s each. */
static void rounding_never_adds_up(void **state)
{
    (void)state;
    struct fixture f;
    size_t n = 0;
    const struct shape s = {
        .tb = {1,      30000},
        .timescale = 30000,
        .delta = 1001,
        .n_frames = 290000,
        .gop_frames = 29,
        .segment_gops = 1,
        .chunk_segments = 100,
        .rate = { 30000, 1001 }
    };
    fixture_make(&f, &s);
    struct package *p = fixture_package(&f);

    char *text = media_of(p, 0);
    assert_non_null(strstr(text, "#EXTINF:0.967633,\nseg-00001.m4s\n#EXTINF:0.967634,\n"
                                 "seg-00002.m4s\n#EXTINF:0.967633,\nseg-00003.m4s\n"));
    assert_non_null(strstr(text, "seg-10000.m4s\n#EXT-X-ENDLIST\n"));
    assert_int_equal(sum_of_extinf_us(text, &n), INT64_C(9676333333));
    assert_int_equal(n, 10000);
    free(text);
    text = iframes_of(p, 1);
    assert_int_equal(sum_of_extinf_us(text, &n), INT64_C(9676333333));
    free(text);

    expect_part(master_of(p), "FRAME-RATE=29.970,");
    expect_part(manifest_of(p), "frameRate=\"30000/1001\"");
    expect_part(manifest_of(p), "<S t=\"0\" d=\"29029\" r=\"9999\"/>\n        </SegmentTimeline>");
    package_unbuild(p);
    fixture_release(&f);
}

/* Video of 1.49 s rounds to 1; its sound has 71 packets, the one before 0 included. */
static void a_target_duration_covers_the_priming(void **state)
{
    (void)state;
    struct fixture f;
    struct shape s = shape_plain;
    s.tb.den = s.timescale = 100;
    s.delta = 1;
    s.rate = (AVRational){ 100, 1 };
    s.n_frames = 149;
    s.gop_frames = 149;
    s.segment_gops = 1;
    fixture_make(&f, &s);
    struct package *p = fixture_package(&f);

    expect_part(media_of(p, 0), "#EXTINF:1.490000,\nseg-00001.m4s\n");
    expect_part(media_of(p, 2), "#EXTINF:1.514667,\nseg-00001.m4s\n");
    expect_part(media_of(p, 0), "#EXT-X-TARGETDURATION:2\n");
    package_unbuild(p);
    fixture_release(&f);
}

static void a_single_frame_is_a_package(void **state)
{
    (void)state;
    struct fixture f;
    struct shape s = shape_plain;
    s.n_frames = 1;
    s.audio = 0;
    fixture_make(&f, &s);
    struct package *p = fixture_package(&f);

    expect_part(media_of(p, 0), "#EXT-X-TARGETDURATION:1\n");
    expect_part(media_of(p, 0), "#EXTINF:0.040000,\nseg-00001.m4s\n#EXT-X-ENDLIST\n");
    expect_part(master_of(p), "BANDWIDTH=20000000,AVERAGE-BANDWIDTH=20000000,");
    expect_part(manifest_of(p), "minBufferTime=\"PT0.040S\"");
    expect_part(manifest_of(p), "bandwidth=\"20000000\"");
    package_unbuild(p);
    fixture_release(&f);
}

/* A phone's timestamps in 1/90000, behind a start that isn't 0. */
static void variable_frame_durations_stay_exact(void **state)
{
    (void)state;
    static const int64_t pts[] = { 9000,  12003, 14997, 18002, 27011, 30000,
                                   33007, 36001, 45013, 99000, 99450, 102003 };
    struct fixture f;
    const struct shape s = {
        .tb = {1,   90000},
        .timescale = 90000,
        .pts = pts,
        .first = 9000,
        .delta = 3000,
        .n_frames = 12,
        .gop_frames = 4,
        .segment_gops = 1,
        .chunk_segments = 2,
        .rate = { 30, 1    }
    };
    fixture_make(&f, &s);
    f.plan.info.video.vfr = 1;
    struct package *p = fixture_package(&f);

    expect_part(manifest_of(p), "          <S t=\"0\" d=\"18011\"/>\n"
                                "          <S d=\"18002\"/>\n"
                                "          <S d=\"59990\"/>\n");
    /* 12 frames in 96003/90000 s. */
    expect_part(manifest_of(p), "frameRate=\"120000/10667\"");
    expect_part(master_of(p), "FRAME-RATE=30.000,");
    expect_part(media_of(p, 0), "#EXTINF:0.200122,\nseg-00001.m4s\n#EXTINF:0.200022,\n"
                                "seg-00002.m4s\n#EXTINF:0.666556,\nseg-00003.m4s\n");
    package_unbuild(p);
    fixture_release(&f);
}

static void video_that_starts_after_the_sound_keeps_its_place(void **state)
{
    (void)state;
    struct fixture f;
    struct shape s = shape_plain;
    s.audio = 0;
    fixture_make(&f, &s);
    f.plan.origin = -640;
    for (size_t i = 0; i < f.n; i++)
        for (size_t k = 0; k < f.results[i].n_renditions; k++) {
            struct segment *g = &f.results[i].renditions[k].segments[0];
            g->start += 640;
            for (size_t n = 0; n < g->n_gops; n++)
                g->gops[n].start += 640;
        }
    struct package *p = fixture_package(&f);

    expect_part(manifest_of(p), "<S t=\"640\" d=\"76800\" r=\"1\"/>");
    expect_text(media_of(p, 0), media_plain);
    package_unbuild(p);
    fixture_release(&f);
}

/* Colours, codecs, layouts */

static void set_color(struct rendition *r, int primaries, int transfer, int matrix)
{
    r->color = (struct color_info){ primaries, transfer, matrix, 1, 1 };
}

static void hdr_is_told_apart(void **state)
{
    (void)state;
    struct fixture f;
    fixture_make(&f, &shape_plain);
    set_color(&f.plan.renditions[0], 9, 16, 9);
    struct package *p = fixture_package(&f);

    expect_part(master_of(p), "RESOLUTION=1280x720,FRAME-RATE=25.000,VIDEO-RANGE=PQ,");
    expect_part(master_of(p), "RESOLUTION=1280x720,VIDEO-RANGE=PQ,URI");
    expect_part(master_of(p), "RESOLUTION=640x360,FRAME-RATE=25.000,VIDEO-RANGE=SDR,");
    expect_part(manifest_of(p), "<EssentialProperty schemeIdUri=\"urn:mpeg:mpegB:cicp:"
                                "TransferCharacteristics\" value=\"16\"/>");
    expect_part(manifest_of(p), "<AdaptationSet id=\"3\" contentType=\"audio\"");

    set_color(&f.plan.renditions[0], 9, 18, 9);
    expect_part(master_of(p), "VIDEO-RANGE=HLG,");
    expect_part(manifest_of(p), "<EssentialProperty schemeIdUri=\"urn:mpeg:mpegB:cicp:"
                                "ColourPrimaries\" value=\"9\"/>");
    expect_part(manifest_of(p), CICP "TransferCharacteristics\" value=\"18\"/>");

    /* PQ and HLG can't be switched between. */
    set_color(&f.plan.renditions[1], 9, 16, 9);
    expect_part(manifest_of(p), "<AdaptationSet id=\"3\" contentType=\"audio\"");

    set_color(&f.plan.renditions[0], 2, 2, 2);
    set_color(&f.plan.renditions[1], 2, 2, 2);
    expect_part(master_of(p), "VIDEO-RANGE=SDR,");
    expect_no_part(manifest_of(p),
                   "value=\"2\"/>\n      <Role schemeIdUri=\"urn:mpeg:dash:role:2011"
                   "\" value=\"main\"/>\n      <SegmentTemplate timescale=\"12800\"");
    package_unbuild(p);
    fixture_release(&f);
}

static void rename_codec(struct rendition *r, const char *codec)
{
    free(r->codec);
    r->codec = strdup(codec);
}

static void players_start_with_the_codec_that_most_of_them_play(void **state)
{
    (void)state;
    struct fixture f;
    fixture_make(&f, &shape_plain);
    rename_codec(&f.plan.renditions[0], "av1");
    struct package *p = fixture_package(&f);

    char *text = master_of(p);
    assert_true(strstr(text, "\nvideo/360p/index.m3u8") < strstr(text, "\nvideo/720p/index.m3u8"));
    free(text);
    char *mpd = manifest_of(p);
    assert_non_null(strstr(mpd, "<AdaptationSet id=\"2\" contentType=\"video\""));
    free(mpd);
    package_unbuild(p);
    fixture_release(&f);
}

static void players_start_near_two_megabits(void **state)
{
    (void)state;
    struct fixture f;
    fixture_make(&f, &shape_plain);
    for (size_t i = 0; i < 3; i++)
        for (size_t k = 0; k < 2; k++)
            f.results[i].renditions[k].segments[0].size_bytes = k ? 1500000 : 6000000;
    struct package *p = fixture_package(&f);

    char *text = master_of(p);
    assert_true(strstr(text, "\nvideo/360p/index.m3u8") < strstr(text, "\nvideo/720p/index.m3u8"));
    /* Each variant once. */
    assert_null(strstr(strstr(text, "\nvideo/360p/index") + 1, "\nvideo/360p/index"));
    free(text);
    package_unbuild(p);
    fixture_release(&f);
}

static void unusual_pixels_are_shown_in_shape(void **state)
{
    (void)state;
    struct fixture f;
    fixture_make(&f, &shape_plain);
    for (size_t i = 0; i < 2; i++) {
        f.plan.renditions[i].sar = (AVRational){ 32, 27 };
        f.plan.renditions[i].width = i ? 360 : 720;
        f.plan.renditions[i].height = i ? 240 : 480;
    }
    struct package *p = fixture_package(&f);

    expect_part(master_of(p), "RESOLUTION=853x480,");
    expect_part(manifest_of(p), "par=\"16:9\"");
    expect_part(manifest_of(p), "width=\"720\" height=\"480\" sar=\"32:27\"");
    package_unbuild(p);
    fixture_release(&f);
}

static void surround_sound_says_which(void **state)
{
    (void)state;
    static const struct {
        const char *layout, *says;
        int channels;
    } rows[] = {
        {"5.1",              "cicp:ChannelConfiguration\" value=\"6\"",  6},
        { "5.1(side)",       "cicp:ChannelConfiguration\" value=\"6\"",  6},
        { "7.1",             "cicp:ChannelConfiguration\" value=\"12\"", 8},
        { "1 channels (FL)", "cicp:ChannelConfiguration\" value=\"1\"",  1},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct fixture f;
        char channels[32];
        fixture_make(&f, &shape_plain);
        strcpy(f.plan.renditions[2].layout, rows[i].layout);
        f.plan.renditions[2].channels = rows[i].channels;
        struct package *p = fixture_package(&f);
        (void)snprintf(channels, sizeof(channels), "CHANNELS=\"%d\"", rows[i].channels);
        expect_part(manifest_of(p), rows[i].says);
        expect_part(master_of(p), channels);
        package_unbuild(p);
        fixture_release(&f);
    }
}

static void a_hostile_language_names_nothing(void **state)
{
    (void)state;
    struct fixture f;
    fixture_make(&f, &shape_plain);
    strcpy(f.plan.info.audio.language, "e\"><X a=\"");
    struct package *p = fixture_package(&f);

    expect_part(master_of(p), "NAME=\"Main\",DEFAULT=YES");
    expect_no_part(master_of(p), "LANGUAGE");
    expect_no_part(manifest_of(p), "lang=");
    package_unbuild(p);
    fixture_release(&f);
}

/* Tracks */

static const struct audio_info english = { .language = "eng" },
                               commentary = { .language = "eng", .roles = AUDIO_COMMENTARY },
                               described = { .language = "deu",
                                             .title = "For \"you\" & me \xef\xbf\xbf",
                                             .roles = AUDIO_DESCRIPTION },
                               again = { .language = "eng" }, nameless = { .language = "" };

static void make_tracks(struct fixture *f)
{
    fixture_make(f, &shape_plain);
    fixture_add_track(f, "eng", &english);
    fixture_add_track(f, "eng-2", &commentary);
    fixture_add_track(f, "deu", &described);
    fixture_add_track(f, "eng-3", &again);
    fixture_add_track(f, "6", &nameless);
}

static void a_group_has_every_track_and_one_default(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "NAME=\"de\",LANGUAGE=\"de\",DEFAULT=YES,AUTOSELECT=YES,CHANNELS=\"2\","
        "URI=\"audio/aac-128/index.m3u8\"\n",
        "NAME=\"en\",LANGUAGE=\"en\",DEFAULT=NO,AUTOSELECT=YES,CHANNELS=\"2\","
        "URI=\"audio/aac-128-eng/index.m3u8\"\n",
        "NAME=\"en (commentary)\",LANGUAGE=\"en\",DEFAULT=NO,AUTOSELECT=NO,",
        "NAME=\"For 'you' & me \xef\xbf\xbd\",LANGUAGE=\"de\",DEFAULT=NO,AUTOSELECT=YES,"
        "CHARACTERISTICS=\"public.accessibility.describes-video\",",
        "NAME=\"en 2\",LANGUAGE=\"en\",DEFAULT=NO,AUTOSELECT=NO,",
        "NAME=\"Track 6\",DEFAULT=NO,AUTOSELECT=YES,",
    };
    struct fixture f;
    make_tracks(&f);
    struct package *p = fixture_package(&f);

    char *text = master_of(p);
    const char *at = text;
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        char line[512];
        (void)snprintf(line, sizeof(line), "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"aac-128\",%s",
                       lines[i]);
        at = strstr(at, line);
        if (!at)
            fail_msg("%s is not there, or elsewhere:\n%s", line, text);
    }
    /* Each size once, with the one group. */
    assert_null(strstr(strstr(text, "\nvideo/360p/index") + 1, "\nvideo/360p/index"));
    assert_null(strstr(text, "AUDIO=\"aac-128-"));
    free(text);
    package_unbuild(p);
    fixture_release(&f);
}

/* Segments of 99,000 bytes in 6 s, where the default track has 90,000. */
static void the_largest_track_counts(void **state)
{
    (void)state;
    struct fixture f;
    fixture_make(&f, &shape_plain);
    struct package *p = fixture_package(&f);
    int64_t alone = p->renditions[0].rate.peak + p->renditions[2].rate.peak;
    char want[64];
    (void)snprintf(want, sizeof(want), "BANDWIDTH=%" PRId64 ",", alone);
    expect_part(master_of(p), want);
    package_unbuild(p);

    fixture_add_track(&f, "eng", &english);
    p = fixture_package(&f);
    assert_true(p->renditions[3].rate.peak > p->renditions[2].rate.peak);
    (void)snprintf(want, sizeof(want), "BANDWIDTH=%" PRId64 ",",
                   p->renditions[0].rate.peak + p->renditions[3].rate.peak);
    expect_part(master_of(p), want);
    package_unbuild(p);
    fixture_release(&f);
}

static void each_track_is_a_set_with_a_role(void **state)
{
    (void)state;
    static const struct {
        const char *id, *lang, *part;
    } rows[] = {
        {"aac-128",        "lang=\"de\"", "role:2011\" value=\"main\""      },
        { "aac-128-eng",   "lang=\"en\"", "role:2011\" value=\"alternate\"" },
        { "aac-128-eng-2", "lang=\"en\"", "role:2011\" value=\"commentary\""},
        { "aac-128-deu",   "lang=\"de\"",
         "<Label>For 'you' &amp; me \xef\xbf\xbd</Label>\n      <Accessibility "
          "schemeIdUri=\"urn:tva:metadata:cs:AudioPurposeCS:2007\" value=\"1\"/>\n      <Role "
          "schemeIdUri=\"urn:mpeg:dash:role:2011\" value=\"description\"/>" },
    };
    struct fixture f;
    make_tracks(&f);
    struct package *p = fixture_package(&f);
    char *mpd = manifest_of(p);

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char id[64];
        (void)snprintf(id, sizeof(id), "<Representation id=\"%s\"", rows[i].id);
        char *to = strstr(mpd, id), *from = mpd;
        assert_non_null(to);
        for (char *next = mpd; (next = strstr(next, "<AdaptationSet")) && next < to; next++)
            from = next;
        char *set = strndup(from, (size_t)(to - from));
        if (!strstr(set, rows[i].lang) || !strstr(set, rows[i].part))
            fail_msg("%s: %s", rows[i].id, set);
        free(set);
    }
    free(mpd);
    package_unbuild(p);
    fixture_release(&f);
}

static void sound_alone_in_tracks_is_a_variant_with_a_group(void **state)
{
    (void)state;
    struct fixture f;
    fixture_make_audio_only(&f);
    fixture_add_track(&f, "eng", &english);
    struct package *p = fixture_package(&f);

    expect_part(master_of(p), "AUDIO=\"aac-128\"\naudio/aac-128/index.m3u8\n");
    expect_part(master_of(p),
                "NAME=\"en\",LANGUAGE=\"en\",DEFAULT=NO,AUTOSELECT=YES,CHANNELS=\"2\","
                "URI=\"audio/aac-128-eng/index.m3u8\"\n");
    expect_no_part(master_of(p), "\naudio/aac-128-eng/index.m3u8");
    package_unbuild(p);
    fixture_release(&f);
}

/* Publishing */

static struct json_t *receipt_of(const struct memory_store *s)
{
    const struct memory_object *o = memory_store_find(s, "job.json");
    assert_non_null(o);
    json_t *j = json_loadb(o->data, o->len, 0, NULL);
    assert_non_null(j);
    return j;
}

static void nothing_is_named_before_it_is_there(void **state)
{
    (void)state;
    static const char *const order[] = {
        "video/720p/index.m3u8",
        "video/720p/iframe.m3u8",
        "video/360p/index.m3u8",
        "video/360p/iframe.m3u8",
        "audio/aac-128/index.m3u8",
        "manifest.mpd",
        "master.m3u8",
        "job.json",
    };
    struct fixture f;
    struct memory_store s;
    fixture_make(&f, &shape_plain);
    struct package *p = fixture_package(&f);

    memory_store_init(&s);
    assert_int_equal(package_publish(p, &job, &s.base, NULL), 0);
    assert_int_equal(s.n, 8);
    for (size_t i = 0; i < 8; i++) {
        assert_string_equal(s.objects[i].key, order[i]);
        assert_true(s.objects[i].durable);
    }
    assert_string_equal(s.objects[0].type, OBJECT_TYPE_HLS);
    assert_string_equal(s.objects[0].cache, OBJECT_CACHE_LIST);
    assert_string_equal(s.objects[5].type, "application/dash+xml");
    assert_string_equal(s.objects[7].type, "application/json");
    memory_store_release(&s);
    package_unbuild(p);
    fixture_release(&f);
}

static void a_full_disk_stops_before_the_master(void **state)
{
    (void)state;
    struct fixture f;
    struct memory_store s;
    struct err err = { 0 };
    fixture_make(&f, &shape_plain);
    struct package *p = fixture_package(&f);

    memory_store_init(&s);
    s.puts_left = 4;
    assert_int_equal(package_publish(p, &job, &s.base, &err), -ENOSPC);
    assert_int_equal(err.cls, ERR_STORAGE);
    assert_int_equal(s.n, 4);
    s.puts_left = SIZE_MAX; /* the same package again */
    assert_int_equal(package_publish(p, &job, &s.base, &err), 0);
    assert_string_equal(s.objects[s.n - 1].key, "job.json");
    memory_store_release(&s);
    package_unbuild(p);
    fixture_release(&f);
}

static void the_receipt_has_everything_and_no_secret(void **state)
{
    (void)state;
    struct fixture f;
    struct memory_store s;
    char hex[SHA256_HEX];
    fixture_make(&f, &shape_plain);
    f.results[2].frames_concealed = 2;
    f.results[2].warnings = calloc(1, sizeof(char *));
    f.results[2].warnings[0] = strdup("2 frames could not be decoded");
    f.results[2].n_warnings = 1;
    struct package *p = fixture_package(&f);
    memory_store_init(&s);
    assert_int_equal(package_publish(p, &job, &s.base, NULL), 0);
    json_t *j = receipt_of(&s);

    const char *url, *warning, *engine, *key, *sha, *task;
    int concealed, number, start, duration;
    assert_int_equal(json_unpack(j, "{s:{s:s}, s:[s!], s:[s!], s:{s:i}}", "source", "url", &url,
                                 "warnings", &warning, "engines", &engine, "totals",
                                 "frames_concealed", &concealed),
                     0);
    assert_string_equal(url, "https://host/in.mov");
    assert_string_equal(warning, "2 frames could not be decoded");
    assert_string_equal(engine, "libx264 164");
    assert_int_equal(concealed, 2);

    const json_t *sound = json_array_get(json_object_get(j, "renditions"), 2);
    json_t *second = json_array_get(json_object_get(sound, "segments"), 1);
    assert_int_equal(json_unpack(second, "{s:i, s:s, s:i, s:i}", "n", &number, "key", &key, "start",
                                 &start, "duration", &duration),
                     0);
    assert_string_equal(key, "audio/aac-128/seg-00002.m4s");
    assert_int_equal(start, 287744); /* as presented */
    assert_int_equal(duration, 288768);

    json_t *master = json_array_get(json_object_get(j, "texts"), 6);
    assert_int_equal(json_unpack(master, "{s:s, s:s}", "key", &key, "sha256", &sha), 0);
    assert_string_equal(key, "master.m3u8");
    const struct memory_object *o = memory_store_find(&s, key);
    assert_int_equal(sha256_of(o->data, o->len, hex), 0);
    assert_string_equal(sha, hex);
    assert_int_equal(
        json_unpack(json_array_get(json_object_get(json_object_get(j, "run"), "tasks"), 1), "{s:s}",
                    "id", &task),
        0);
    assert_string_equal(task, "v-0000-0");

    json_decref(j);
    memory_store_release(&s);
    package_unbuild(p);
    fixture_release(&f);
}

/* The receipt of a fixture without what may differ from run to run. */
static char *lasting_receipt(const struct fixture *f)
{
    struct memory_store s;
    struct package *p = fixture_package(f);
    memory_store_init(&s);
    assert_int_equal(package_publish(p, &job, &s.base, NULL), 0);
    json_t *j = receipt_of(&s);
    assert_int_equal(json_object_del(j, "run"), 0);
    char *text = json_dumps(j, JSON_PRESERVE_ORDER);
    json_decref(j);
    memory_store_release(&s);
    package_unbuild(p);
    return text;
}

static void the_receipt_says_which_track_and_how_loud(void **state)
{
    (void)state;
    struct fixture f;
    struct memory_store s;
    const char *rung, *title, *language, *role;
    double target, measured, gain;
    int stream, is_default;
    fixture_make(&f, &shape_plain);
    fixture_add_track(&f, "eng", &english);
    f.plan.renditions[3].loudness = -16;
    f.results[4].renditions[0].loudness =
        (struct loudness){ .known = 1, .integrated = -20.25, .true_peak = -6, .gain = 4 };
    struct package *p = fixture_package(&f);
    memory_store_init(&s);
    assert_int_equal(package_publish(p, &job, &s.base, NULL), 0);
    json_t *j = receipt_of(&s), *list = json_object_get(j, "renditions");

    assert_int_equal(json_unpack(json_array_get(list, 3),
                                 "{s:s, s:s, s:s, s:s, s:i, s:i, s:{s:f, s:f, s:f}}", "rung", &rung,
                                 "title", &title, "language", &language, "role", &role, "stream",
                                 &stream, "default", &is_default, "loudness", "target", &target,
                                 "measured", &measured, "gain", &gain),
                     0);
    assert_string_equal(rung, "aac-128");
    assert_string_equal(title, "en");
    assert_string_equal(language, "en");
    assert_string_equal(role, "alternate");
    assert_int_equal(stream, 1);
    assert_int_equal(is_default, 0);
    assert_true(target == -16 && measured == -20.25 && gain == 4);
    assert_null(json_object_get(json_array_get(list, 2), "loudness"));
    assert_int_equal(json_integer_value(json_object_get(json_array_get(list, 2), "default")), 1);
    json_decref(j);
    memory_store_release(&s);
    package_unbuild(p);
    fixture_release(&f);
}

static void a_resumed_job_has_the_same_receipt_but_for_its_run(void **state)
{
    (void)state;
    struct fixture f;
    fixture_make(&f, &shape_plain);
    char *first = lasting_receipt(&f);

    f.results[1].attempt = 3;
    f.results[1].cpu_s = 99.5;
    f.results[1].peak_bytes = 1 << 20;
    f.results[1].worker[0] = 'x';
    const struct task_result *swap = f.list[0];
    f.list[0] = f.list[3];
    f.list[3] = swap;
    expect_text(lasting_receipt(&f), first);
    free(first);
    fixture_release(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(playlists_of_a_plain_package),
        cmocka_unit_test(manifest_of_a_plain_package),
        cmocka_unit_test(sound_alone_makes_a_package),
        cmocka_unit_test(a_video_without_sound_names_no_audio),
        cmocka_unit_test(rounding_never_adds_up),
        cmocka_unit_test(a_target_duration_covers_the_priming),
        cmocka_unit_test(a_single_frame_is_a_package),
        cmocka_unit_test(variable_frame_durations_stay_exact),
        cmocka_unit_test(video_that_starts_after_the_sound_keeps_its_place),
        cmocka_unit_test(hdr_is_told_apart),
        cmocka_unit_test(players_start_with_the_codec_that_most_of_them_play),
        cmocka_unit_test(players_start_near_two_megabits),
        cmocka_unit_test(unusual_pixels_are_shown_in_shape),
        cmocka_unit_test(surround_sound_says_which),
        cmocka_unit_test(a_hostile_language_names_nothing),
        cmocka_unit_test(a_group_has_every_track_and_one_default),
        cmocka_unit_test(the_largest_track_counts),
        cmocka_unit_test(each_track_is_a_set_with_a_role),
        cmocka_unit_test(sound_alone_in_tracks_is_a_variant_with_a_group),
        cmocka_unit_test(nothing_is_named_before_it_is_there),
        cmocka_unit_test(a_full_disk_stops_before_the_master),
        cmocka_unit_test(the_receipt_has_everything_and_no_secret),
        cmocka_unit_test(the_receipt_says_which_track_and_how_loud),
        cmocka_unit_test(a_resumed_job_has_the_same_receipt_but_for_its_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
