/* Played before it is finished: what of a package is shown, and that it only
 * ever grows. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/err.h"
#include "common/wire/object.h"
#include "dispatcher/publish/hls.h"
#include "dispatcher/publish/objects.h"
#include "dispatcher/publish/publish.h"
#include "publish_fixture.h"

/* 46 s in chunks of 12 s (two segments each) and 10 s (6 and 4 s). */
static const struct shape shape_long = {
    .tb = {1,   12800},
    .timescale = 12800,
    .delta = 512,
    .n_frames = 1150,
    .gop_frames = 50,
    .segment_gops = 3,
    .chunk_segments = 2,
    .rate = { 25, 1    },
    .audio = 1,
};
enum { CHUNKS = 4, SOUND = CHUNKS };

/* The early package of the results whose numbers are in `which` ("02a" is
 * chunks 0 and 2 and sound), or NULL. */
static struct package *early(const struct fixture *f, const char *which)
{
    const struct task_result *list[16];
    struct package *p = NULL;
    size_t n = 0;

    for (; *which; which++)
        list[n++] = f->list[*which == 'a' ? f->n - 1 : (size_t)(*which - '0')];
    assert_int_equal(package_build_early(&f->plan, list, n, &p, NULL), 0);
    return p;
}

static char *media(const struct package *p, size_t i)
{
    char *text = NULL;
    size_t len;

    assert_int_equal(hls_media(p, &p->renditions[i], &text, &len, NULL), 0);
    return text;
}

static char *iframes(const struct package *p, size_t i)
{
    char *text = NULL;
    size_t len;

    assert_int_equal(hls_iframes(p, &p->renditions[i], &text, &len, NULL), 0);
    return text;
}

static char *master(const struct package *p)
{
    char *text = NULL;
    size_t len;

    assert_int_equal(hls_master(p, &text, &len, NULL), 0);
    return text;
}

static void shown_is_what_every_rendition_has_without_a_hole(void **state)
{
    (void)state;
    static const struct {
        const char *name, *there;
        size_t video, sound; /* segments; 0: nothing is shown */
    } rows[] = {
        {"nothing is there",             "",      0, 0},
        { "sound alone",                 "a",     0, 0},
        { "no sound yet",                "0123",  0, 0},
        { "the first chunk",             "0a",    2, 2},
        { "the first two, in any order", "1a0",   4, 4},
        { "a hole",                      "a023",  2, 2},
        { "the first is missing",        "123a",  0, 0},
        { "all, but not yet published",  "0123a", 8, 8},
    };
    struct fixture f;

    fixture_make(&f, &shape_long);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct package *p = early(&f, rows[i].there);
        size_t video = p ? p->renditions[0].n_segments : 0;
        size_t sound = p ? p->renditions[2].n_segments : 0;
        if (video != rows[i].video || sound != rows[i].sound ||
            (p && p->renditions[1].n_segments != video))
            fail_msg("%s: %zu and %zu segments", rows[i].name, video, sound);
        package_unbuild(p);
    }
    fixture_release(&f);
}

/* `early` is what `whole` begins with, but for the type. */
static void expect_beginning(char *is, char *whole)
{
    char *type = strstr(is, "PLAYLIST-TYPE:EVENT\n"), *rest = strstr(whole, "PLAYLIST-TYPE:");

    assert_non_null(type);
    assert_non_null(rest);
    assert_null(strstr(is, "ENDLIST"));
    assert_int_equal(type - is, rest - whole);
    assert_memory_equal(is, whole, (size_t)(type - is));
    type = strchr(type, '\n');
    rest = strchr(rest, '\n');
    if (strncmp(type, rest, strlen(type)) != 0)
        fail_msg("not what the later one begins with:\n%s\n%s", is, whole);
    free(is);
    free(whole);
}

static void grow(const struct fixture *f)
{
    static const char *const steps[] = { "0a", "01a", "012a", "0123a" };
    struct package *whole = fixture_package(f);

    for (size_t i = 0; i < 4; i++) {
        struct package *p = early(f, steps[i]), *next = i < 3 ? early(f, steps[i + 1]) : NULL;
        assert_non_null(p);
        for (size_t r = 0; r < p->n_renditions; r++) {
            expect_beginning(media(p, r), media(whole, r));
            if (next)
                expect_beginning(media(p, r), media(next, r));
        }
        for (size_t r = 0; r < p->n_video; r++)
            expect_beginning(iframes(p, r), iframes(whole, r));
        package_unbuild(p);
        package_unbuild(next);
    }
    package_unbuild(whole);
}

static void an_early_playlist_only_grows_into_the_final_one(void **state)
{
    (void)state;
    struct fixture f;

    fixture_make(&f, &shape_long);
    grow(&f);
    fixture_release(&f);
}

static void target_durations_are_those_of_the_slowest_part_to_come(void **state)
{
    (void)state;
    int64_t pts[1150];
    struct shape s = shape_long;
    struct fixture f;

    for (size_t i = 0; i < 1150; i++)
        pts[i] = (int64_t)i * 512 + (i > 700 ? (int64_t)(i - 700) * 331 : 0);
    s.pts = pts;
    fixture_make(&f, &s);
    f.plan.info.video.vfr = 1;
    struct package *p = early(&f, "0a");
    assert_int_equal(p->target_s, 10);
    assert_int_equal(p->renditions[0].iframes.target_s, 3);
    package_unbuild(p);
    grow(&f);
    fixture_release(&f);
}

static void the_master_names_what_is_there_and_sends_players_to_the_start(void **state)
{
    (void)state;
    struct fixture f;

    fixture_make(&f, &shape_long);
    struct package *p = early(&f, "0a");
    char *text = master(p);
    assert_non_null(strstr(text, "#EXT-X-START:TIME-OFFSET=0,PRECISE=YES\n"));
    /* 300000 bytes of 720p in 12 s, 180000 of sound in a packet more. */
    assert_non_null(strstr(text, "AVERAGE-BANDWIDTH=319893,"));
    assert_non_null(strstr(text, "video/360p/index.m3u8"));
    free(text);
    package_unbuild(p);
    fixture_release(&f);
}

static void rename_codec(struct rendition *r, const char *codec)
{
    free(r->codec);
    r->codec = strdup(codec);
    assert_non_null(r->codec);
}

static void other_codecs_are_waited_for_by_nobody(void **state)
{
    (void)state;
    struct fixture f;

    fixture_make(&f, &shape_long);
    rename_codec(&f.plan.renditions[0], "av1");
    for (size_t i = 0; i < CHUNKS; i++) { /* only 360p is done */
        struct task_result *r = &f.results[i];
        rendition_result_release(&r->renditions[0]);
        r->renditions[0] = r->renditions[1];
        r->n_renditions = 1;
    }
    struct package *p = early(&f, "01a");
    assert_non_null(p);
    assert_int_equal(p->n_video, 1);
    assert_int_equal(p->renditions[0].n_segments, 4);
    char *text = master(p);
    assert_null(strstr(text, "720p"));
    assert_non_null(strstr(text, "360p"));
    free(text);
    package_unbuild(p);

    fixture_release(&f);
}

/* 720p, or another rendition, has only so many chunks. */
static void keep_chunks(struct fixture *f, const char *name, size_t chunks)
{
    for (size_t i = chunks; i < CHUNKS; i++) {
        struct task_result *r = &f->results[i];
        for (size_t k = 0; k < r->n_renditions; k++)
            if (strcmp(r->renditions[k].name, name) == 0) {
                rendition_result_release(&r->renditions[k]);
                memmove(&r->renditions[k], &r->renditions[k + 1],
                        (--r->n_renditions - k) * sizeof(*r->renditions));
            }
    }
}

static void other_codecs_join_with_what_they_have(void **state)
{
    (void)state;
    struct fixture f;

    fixture_make(&f, &shape_long);
    rename_codec(&f.plan.renditions[0], "hevc");
    keep_chunks(&f, "720p", 1);
    struct package *p = early(&f, "012a");
    assert_int_equal(p->n_video, 2);
    assert_string_equal(p->renditions[0].rendition->name, "720p");
    assert_int_equal(p->renditions[0].n_segments, 2);
    assert_int_equal(p->renditions[1].n_segments, 6);
    assert_int_equal(p->renditions[2].n_segments, 6); /* sound as far as the longer one */
    char *text = master(p);
    char *first = strstr(text, "\nvideo/360p/index.m3u8\n");
    assert_non_null(first); /* players begin with what all of them know */
    assert_true(first < strstr(text, "\nvideo/720p/index.m3u8\n"));
    free(text);
    package_unbuild(p);
    fixture_release(&f);
}

static void before_h264_no_other_codec_is_shown(void **state)
{
    (void)state;
    struct fixture f;

    fixture_make(&f, &shape_long);
    rename_codec(&f.plan.renditions[0], "hevc");
    keep_chunks(&f, "360p", 0);
    assert_null(early(&f, "012a"));

    /* Where none is planned, the first that is there is enough. */
    rename_codec(&f.plan.renditions[1], "av1");
    struct package *p = early(&f, "012a");
    assert_int_equal(p->n_video, 1);
    assert_string_equal(p->renditions[0].rendition->name, "720p");
    assert_int_equal(p->renditions[0].n_segments, 6);
    package_unbuild(p);
    fixture_release(&f);
}

static void what_is_not_as_planned_is_not_there(void **state)
{
    (void)state;
    struct fixture f;

    fixture_make(&f, &shape_long);
    f.results[1].renditions[1].segments[0].frames++;
    struct package *p = early(&f, "0123a");
    assert_int_equal(p->renditions[0].n_segments, 2);
    package_unbuild(p);
    f.results[1].renditions[1].segments[0].frames--;
    f.results[2].renditions[0].init.sha256[0] = 'f';
    p = early(&f, "0123a");
    assert_int_equal(p->renditions[0].n_segments, 4);
    package_unbuild(p);
    f.results[0].error.cls = ERR_CRASH;
    assert_null(early(&f, "0123a"));
    fixture_release(&f);
}

static void without_sound_video_is_enough_and_sound_alone_never(void **state)
{
    (void)state;
    struct shape s = shape_long;
    struct fixture f;

    s.audio = 0;
    fixture_make(&f, &s);
    struct package *p = early(&f, "0");
    assert_int_equal(p->renditions[0].n_segments, 2);
    package_unbuild(p);
    fixture_release(&f);

    fixture_make_audio_only(&f);
    assert_null(early(&f, "0"));
    fixture_release(&f);
}

/* Store */

static void early_playlists_are_stored_media_first(void **state)
{
    (void)state;
    static const char *const order[] = { "video/720p/index.m3u8",    "video/720p/iframe.m3u8",
                                         "video/360p/index.m3u8",    "video/360p/iframe.m3u8",
                                         "audio/aac-128/index.m3u8", "master.m3u8" };
    struct fixture f;
    struct memory_store s;

    fixture_make(&f, &shape_long);
    memory_store_init(&s);
    struct package *p = early(&f, "0a");
    assert_int_equal(package_publish_early(p, &s.base, NULL), 0);
    assert_int_equal(s.n, 6);
    for (size_t i = 0; i < 6; i++) {
        assert_string_equal(s.objects[i].key, order[i]);
        assert_string_equal(s.objects[i].type, OBJECT_TYPE_HLS);
        assert_string_equal(s.objects[i].cache, OBJECT_CACHE_GROWING);
        assert_true(s.objects[i].durable);
    }
    memory_store_release(&s);
    package_unbuild(p);
    fixture_release(&f);
}

static void what_players_have_seen_is_not_taken_back(void **state)
{
    (void)state;
    struct fixture f;
    struct memory_store s;

    fixture_make(&f, &shape_long);
    memory_store_init(&s);
    struct package *one = early(&f, "0a"), *two = early(&f, "01a");
    assert_int_equal(package_publish_early(two, &s.base, NULL), 0);

    s.puts_left = 0; /* nothing is stored that is there */
    assert_int_equal(package_publish_early(two, &s.base, NULL), 0);
    s.puts_left = 1; /* the master alone says something else */
    assert_int_equal(package_publish_early(one, &s.base, NULL), 0);
    assert_string_equal(s.objects[5].key, "master.m3u8");
    assert_non_null(strstr(memory_store_find(&s, "video/720p/index.m3u8")->data, "seg-00004"));

    /* What isn't ours in that place is replaced. */
    s.puts_left = SIZE_MAX;
    strcpy(s.objects[0].data, "#EXTM3U\nanother");
    assert_int_equal(package_publish_early(one, &s.base, NULL), 0);
    memory_store_release(&s);
    package_unbuild(one);
    package_unbuild(two);
    fixture_release(&f);
}

static void a_rendition_that_players_know_stays_in_the_master(void **state)
{
    (void)state;
    struct fixture f;
    struct memory_store s;

    fixture_make(&f, &shape_long);
    rename_codec(&f.plan.renditions[0], "hevc");
    memory_store_init(&s);
    struct package *p = early(&f, "0a");
    assert_int_equal(p->n_video, 2);
    assert_int_equal(package_publish_early(p, &s.base, NULL), 0);
    package_unbuild(p);

    keep_chunks(&f, "720p", 0); /* it was found to be wrong */
    p = early(&f, "01a");
    assert_int_equal(p->n_video, 1);
    assert_int_equal(package_publish_early(p, &s.base, NULL), 0);
    const char *text = memory_store_find(&s, "master.m3u8")->data;
    assert_non_null(strstr(text, "video/720p/index.m3u8"));
    assert_non_null(strstr(memory_store_find(&s, "video/360p/index.m3u8")->data, "seg-00004"));

    /* A finished one that is in the way is not what players of this one know. */
    strcpy(strstr(text, "#EXT-X-START"), "#EXT-X-VER\nvideo/720p/index.m3u8\n");
    assert_int_equal(package_publish_early(p, &s.base, NULL), 0);
    assert_null(strstr(memory_store_find(&s, "master.m3u8")->data, "video/720p/index.m3u8"));
    package_unbuild(p);
    memory_store_release(&s);
    fixture_release(&f);
}

static int note(void *arg, const char *task, const char *key, const char *why)
{
    (void)snprintf(arg, 200, "%s %s %s", task, key, why);
    return 0;
}

static void only_what_is_named_must_be_there(void **state)
{
    (void)state;
    struct fixture f;
    struct memory_store s;
    char seen[200] = "";
    size_t bad = 99;
    static char bytes[1000000];

    fixture_make(&f, &shape_long);
    memory_store_init(&s);
    struct package *p = early(&f, "0a");
    for (size_t i = 0; i < p->n_renditions; i++) {
        const struct package_rendition *r = &p->renditions[i];
        const struct store_put_opts o = { 0 };
        s.base.ops->put(&s.base, r->head->init.key, bytes, r->head->init.size_bytes, &o, NULL);
        for (size_t k = 0; k < r->n_segments; k++)
            s.base.ops->put(&s.base, r->segments[k].seg->key, bytes, r->segments[k].seg->size_bytes,
                            &o, NULL);
    }
    assert_int_equal(package_check_named(p, &s.base, note, seen, &bad, NULL), 0);
    assert_int_equal(bad, 0);
    package_unbuild(p);

    p = early(&f, "01a");
    assert_int_equal(package_check_named(p, &s.base, note, seen, &bad, NULL), 0);
    assert_int_equal(bad, 6); /* two segments of each */
    assert_string_equal(seen, "a-0 audio/aac-128/seg-00004.m4s missing");
    package_unbuild(p);
    memory_store_release(&s);
    fixture_release(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shown_is_what_every_rendition_has_without_a_hole),
        cmocka_unit_test(an_early_playlist_only_grows_into_the_final_one),
        cmocka_unit_test(target_durations_are_those_of_the_slowest_part_to_come),
        cmocka_unit_test(the_master_names_what_is_there_and_sends_players_to_the_start),
        cmocka_unit_test(other_codecs_are_waited_for_by_nobody),
        cmocka_unit_test(other_codecs_join_with_what_they_have),
        cmocka_unit_test(before_h264_no_other_codec_is_shown),
        cmocka_unit_test(what_is_not_as_planned_is_not_there),
        cmocka_unit_test(without_sound_video_is_enough_and_sound_alone_never),
        cmocka_unit_test(early_playlists_are_stored_media_first),
        cmocka_unit_test(what_players_have_seen_is_not_taken_back),
        cmocka_unit_test(a_rendition_that_players_know_stays_in_the_master),
        cmocka_unit_test(only_what_is_named_must_be_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
