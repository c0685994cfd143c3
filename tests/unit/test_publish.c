/* Joining results into a package: whole and as planned, or a clear word. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/err.h"
#include "dispatcher/publish/bitrate.h"
#include "dispatcher/publish/language.h"
#include "dispatcher/publish/objects.h"
#include "dispatcher/publish/sha256.h"
#include "publish_fixture.h"

static void segments_of_all_chunks_are_in_order(void **state)
{
    (void)state;
    struct fixture f;
    fixture_make(&f, &shape_plain);
    const struct task_result *shuffled[] = { f.list[2], f.list[3], f.list[0], f.list[1] };
    struct package *p = NULL;

    assert_int_equal(package_build(&f.plan, shuffled, 4, &p, NULL, NULL), 0);
    assert_int_equal(p->n_renditions, 3);
    assert_int_equal(p->n_video, 2);
    assert_int_equal(p->target_s, 6);
    assert_int_equal(p->min_buffer_ms, 6016);
    for (size_t i = 0; i < p->n_renditions; i++) {
        const struct package_rendition *r = &p->renditions[i];
        assert_int_equal(r->n_segments, 3);
        assert_int_equal(r->segments[0].start, 0);
        for (size_t k = 0; k < r->n_segments; k++) {
            assert_int_equal(r->segments[k].seg->number, k + 1);
            assert_true(k == 0 || r->segments[k].start == r->segments[k - 1].end);
        }
    }
    assert_int_equal(p->renditions[0].frames, 325);
    assert_int_equal(p->renditions[0].size_bytes, 600800);
    assert_string_equal(p->results[0]->task, "a-0");
    assert_string_equal(p->renditions[0].segments[2].from->task, "v-0002-0");
    package_unbuild(p);
    fixture_release(&f);
}

static void every_result_as_planned_is_accepted_on_arrival(void **state)
{
    (void)state;
    struct fixture f;
    fixture_make(&f, &shape_plain);
    for (size_t i = 0; i < f.n; i++) {
        struct task t;
        struct err err = { 0 };
        fixture_task(&f, i, &t);
        if (package_check_result(&f.plan, &t, &f.results[i], &err) < 0)
            fail_msg("%s", err.text);
    }
    fixture_release(&f);
}

/* What can be wrong: result 1 is chunk 1, 3 is the audio. */
static struct rendition_result *hd(struct fixture *f)
{
    return &f->results[1].renditions[0];
}

static struct rendition_result *sound(struct fixture *f)
{
    return &f->results[3].renditions[0];
}

static void lose_frame(struct fixture *f)
{
    hd(f)->segments[0].frames--;
}

static void lie_about_total(struct fixture *f)
{
    hd(f)->frames++;
}

static void shift_start(struct fixture *f)
{
    hd(f)->segments[0].start += 512;
}

static void shorten(struct fixture *f)
{
    hd(f)->segments[0].duration -= 512;
}

static void renumber(struct fixture *f)
{
    f->results[1].renditions[1].segments[0].number = 3;
}

static void no_such_number(struct fixture *f)
{
    hd(f)->segments[0].number = 77;
}

static void rename_key(struct fixture *f)
{
    strcpy(hd(f)->segments[0].key, "video/720p/seg-00009.m4s");
}

static void empty(struct fixture *f)
{
    hd(f)->segments[0].size_bytes = 0;
}

static void no_digest(struct fixture *f)
{
    hd(f)->segments[0].sha256[10] = '\0';
}

static void move_gop(struct fixture *f)
{
    hd(f)->segments[0].gops[1].start++;
}

static void lose_gop(struct fixture *f)
{
    hd(f)->segments[0].n_gops--;
}

static void gop_outside(struct fixture *f)
{
    hd(f)->segments[0].gops[2].size_bytes = 200000;
}

static void gops_overlap(struct fixture *f)
{
    hd(f)->segments[0].gops[1].offset = 10;
}

static void other_init(struct fixture *f)
{
    hd(f)->init.sha256[0] = 'f';
}

static void other_codecs(struct fixture *f)
{
    strcpy(hd(f)->codecs, "avc1.640020");
}

static void codecs_with_quote(struct fixture *f)
{
    strcpy(hd(f)->codecs, "avc1\",X=\"y");
}

static void other_timescale(struct fixture *f)
{
    hd(f)->timescale = 90000;
}

static void other_name(struct fixture *f)
{
    strcpy(hd(f)->name, "999p");
}

static void sound_gap(struct fixture *f)
{
    sound(f)->segments[1].start += 1024;
}

static void sound_cut_elsewhere(struct fixture *f)
{
    int64_t d = INT64_C(20) * 1024;
    sound(f)->segments[0].duration += d;
    sound(f)->segments[0].frames += 20;
    sound(f)->segments[1].start += d;
    sound(f)->segments[1].duration -= d;
    sound(f)->segments[1].frames -= 20;
}

static void sound_cut_early(struct fixture *f)
{
    int64_t d = INT64_C(3) * 1024;
    sound(f)->segments[0].duration -= d;
    sound(f)->segments[0].frames -= 3;
    sound(f)->segments[1].start -= d;
    sound(f)->segments[1].duration += d;
    sound(f)->segments[1].frames += 3;
}

static void sound_too_short(struct fixture *f)
{
    sound(f)->segments[2].duration -= INT64_C(10) * 1024;
    sound(f)->segments[2].frames -= 10;
    sound(f)->frames -= 10;
}

static void sound_too_long(struct fixture *f)
{
    sound(f)->segments[2].duration += INT64_C(60) * 1024;
    sound(f)->segments[2].frames += 60;
    sound(f)->frames += 60;
}

static void sound_unmeasured(struct fixture *f)
{
    f->plan.renditions[2].loudness = -16;
}

static const struct fault_row {
    const char *name;
    void (*spoil)(struct fixture *f);
    size_t result;
    int on_arrival; /* seen by package_check_result() too */
    const char *task, *says;
} faults[] = {
    {"a frame is lost",                          lose_frame,          1, 1, "v-0001-0",
     "rendition 720p, chunk 1: segment 2: frames: expected 150, got 149"                                                    },
    { "the total isn't the sum",                 lie_about_total,     1, 1, "v-0001-0",
     "rendition 720p, chunk 1: frames in all: expected 150, got 151"                                                        },
    { "a segment starts late",                   shift_start,         1, 1, "v-0001-0",
     "rendition 720p, chunk 1: segment 2: start: expected 76800, got 77312"                                                 },
    { "a segment is short",                      shorten,             1, 1, "v-0001-0",
     "rendition 720p, chunk 1: segment 2: duration: expected 76800, got 76288"                                              },
    { "a segment has another's number",          renumber,            1, 1, "v-0001-0", "segment"                           },
    { "a number is beyond the plan",             no_such_number,      1, 1, "v-0001-0", "segment"                           },
    { "a key isn't the segment's",               rename_key,          1, 1, "v-0001-0",
     "segment 2: key: expected video/720p/seg-00002.m4s, got video/720p/seg-00009.m4s"                                      },
    { "a segment is empty",                      empty,               1, 1, "v-0001-0", "video/720p/seg-00002.m4s is empty" },
    { "a digest is cut",                         no_digest,           1, 1, "v-0001-0", "has no sha256"                     },
    { "a GOP starts late",                       move_gop,            1, 1, "v-0001-0",
     "start of a GOP: expected 102400, got 102401"                                                                          },
    { "a GOP is lost",                           lose_gop,            1, 1, "v-0001-0", "segment 2: GOPs: expected 3, got 2"},
    { "a GOP ends outside",                      gop_outside,         1, 1, "v-0001-0", "GOP 3 is at bytes"                 },
    { "GOPs overlap",                            gops_overlap,        1, 1, "v-0001-0", "GOP 2 is at bytes"                 },
    { "an init segment differs from chunk 0's",  other_init,          1, 0, "v-0001-0",
     "task v-0001-0: rendition 720p: init segment: expected sha256 0123"                                                    },
    { "a codecs string differs from chunk 0's",  other_codecs,        1, 0, "v-0001-0",
     "codecs: expected avc1.64001f as task v-0000-0 has it, got avc1.640020"                                                },
    { "a codecs string would leave its quotes",  codecs_with_quote,   1, 1, "v-0001-0",
     "the codecs string is not one of RFC 6381"                                                                             },
    { "a timescale differs",                     other_timescale,     1, 1, "v-0001-0",
     "timescale: expected 12800, got 90000"                                                                                 },
    { "a rendition isn't planned",               other_name,          1, 1, "v-0001-0", "rendition"                         },
    { "sound has a target, and nobody measured", sound_unmeasured,    3, 1, "a-0",
     "rendition aac-128: its loudness was not measured"                                                                     },
    { "sound has a gap",                         sound_gap,           3, 1, "a-0",
     "rendition aac-128: segment 2: start: expected 287744, got 288768"                                                     },
    { "sound is cut where no cut is",            sound_cut_elsewhere, 3, 1, "a-0",
     "segment 2: starts at 308224/48000 s, where no cut is planned"                                                         },
    { "sound is cut three packets early",        sound_cut_early,     3, 1, "a-0",
     "segment 2: starts at 284672/48000 s, where no cut is planned"                                                         },
    { "sound ends early",                        sound_too_short,     3, 1, "a-0",      "rendition aac-128: ends at 614400" },
    { "sound ends late",                         sound_too_long,      3, 1, "a-0",      "rendition aac-128: ends at 686080" },
};

static void what_is_not_as_planned_is_named_and_encoded_again(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        const struct fault_row *row = &faults[i];
        struct package *p = NULL;
        struct package_redo redo = { 0 };
        struct err err = { 0 }, arrival = { 0 };
        struct fixture f;
        struct task t;

        fixture_make(&f, &shape_plain);
        fixture_task(&f, row->result, &t);
        row->spoil(&f);
        int r = package_build(&f.plan, f.list, f.n, &p, &redo, &err);
        if (r != -EPROTO || err.cls != ERR_INTERNAL || !strstr(err.text, row->says) || p)
            fail_msg("%s: %d, %s", row->name, r, err.text);
        if (redo.n != 1 || strcmp(redo.tasks[0], row->task) != 0)
            fail_msg("%s: %zu tasks to do again", row->name, redo.n);
        package_redo_release(&redo);

        r = package_check_result(&f.plan, &t, &f.results[row->result], &arrival);
        if (r != (row->on_arrival ? -EPROTO : 0))
            fail_msg("%s: on arrival: %d, %s", row->name, r, arrival.text);
        fixture_release(&f);
    }
}

static void every_faulty_task_is_done_again_not_just_the_first(void **state)
{
    (void)state;
    struct fixture f;
    struct package_redo redo = { 0 };
    struct package *p = NULL;
    struct err err = { 0 };

    fixture_make(&f, &shape_plain);
    f.results[1].renditions[0].init.sha256[0] = 'f';
    f.results[1].renditions[1].init.sha256[0] = 'f';
    f.results[2].renditions[1].segments[0].frames++;
    sound_gap(&f);
    assert_int_equal(package_build(&f.plan, f.list, f.n, &p, &redo, &err), -EPROTO);
    assert_int_equal(redo.n, 3);
    package_redo_release(&redo);
    fixture_release(&f);
}

static void a_planned_segment_without_result_is_missed(void **state)
{
    (void)state;
    struct fixture f;
    struct package_redo redo = { 0 };
    struct package *p = NULL;
    struct err err = { 0 };

    fixture_make(&f, &shape_plain);
    const struct task_result *some[] = { f.list[0], f.list[2], f.list[3] };
    assert_int_equal(package_build(&f.plan, some, 3, &p, &redo, &err), -EPROTO);
    assert_string_equal(err.text, "rendition 720p, chunk 1: no result has segment 2");
    assert_int_equal(redo.n, 0);
    package_redo_release(&redo);

    assert_int_equal(package_build(&f.plan, f.list, 3, &p, NULL, &err), -EPROTO);
    assert_string_equal(err.text, "rendition aac-128: no result has it");
    fixture_release(&f);
}

static void two_tasks_cannot_both_make_a_segment(void **state)
{
    (void)state;
    struct fixture f;
    struct package *p = NULL;
    struct err err = { 0 };

    fixture_make(&f, &shape_plain);
    const struct task_result *twice[] = { f.list[0], f.list[1], f.list[2], f.list[3], f.list[1] };
    assert_int_equal(package_build(&f.plan, twice, 5, &p, NULL, &err), -EPROTO);
    assert_non_null(strstr(err.text, "rendition 720p, chunk 1: tasks v-0001-0 and v-0001-0 both"));
    fixture_release(&f);
}

static void sound_without_a_segment_for_the_last_cut_is_fine(void **state)
{
    (void)state;
    struct fixture f;

    fixture_make(&f, &shape_plain);
    struct rendition_result *a = sound(&f);
    a->segments[1].duration += a->segments[2].duration;
    a->segments[1].frames += a->segments[2].frames;
    free(a->segments[2].key);
    a->n_segments = 2;
    f.plan.audio_cuts[2] = f.plan.duration - 10;
    package_unbuild(fixture_package(&f));
    fixture_release(&f);
}

static void a_capped_rendition_has_the_frames_of_its_grid(void **state)
{
    (void)state;
    struct fixture f;

    fixture_make(&f, &shape_plain);
    f.plan.renditions[1].grid = (struct frame_grid){
        {2,  25},
        { 1, 50}
    };
    struct package *p = NULL;
    struct err err = { 0 };
    assert_int_equal(package_build(&f.plan, f.list, f.n, &p, NULL, &err), -EPROTO);
    assert_non_null(strstr(err.text, "rendition 360p, chunk 0: segment 1: frames: expected 75"));
    fixture_release(&f);
}

/* Store */

static void fill(struct memory_store *s, struct fixture *f)
{
    struct store_put_opts opts = { 0 };

    for (size_t i = 0; i < f->n; i++)
        for (size_t k = 0; k < f->results[i].n_renditions; k++) {
            struct rendition_result *r = &f->results[i].renditions[k];
            r->init.size_bytes = strlen(r->init.key);
            assert_int_equal(sha256_of(r->init.key, strlen(r->init.key), r->init.sha256), 0);
            s->base.ops->put(&s->base, r->init.key, r->init.key, strlen(r->init.key), &opts, NULL);
            for (size_t n = 0; n < r->n_segments; n++) {
                struct segment *g = &r->segments[n];
                g->size_bytes = strlen(g->key);
                assert_int_equal(sha256_of(g->key, strlen(g->key), g->sha256), 0);
                s->base.ops->put(&s->base, g->key, g->key, strlen(g->key), &opts, NULL);
            }
        }
}

struct seen {
    char text[4096];
};

static int note_bad(void *arg, const char *task, const char *key, const char *why)
{
    struct seen *s = arg;
    size_t n = strlen(s->text);
    (void)snprintf(s->text + n, sizeof(s->text) - n, "%s %s %s\n", task, key, why);
    return 0;
}

static size_t count_bad(struct memory_store *s, struct fixture *f, int hash, struct seen *seen)
{
    size_t bad = 99;
    seen->text[0] = '\0';
    assert_int_equal(
        package_check_objects(f->list, f->n, &s->base, hash, note_bad, seen, &bad, NULL), 0);
    return bad;
}

static void objects_that_went_or_changed_are_found(void **state)
{
    (void)state;
    struct fixture f;
    struct memory_store s;
    struct seen seen;
    struct store_put_opts opts = { 0 };

    fixture_make(&f, &shape_plain);
    memory_store_init(&s);
    fill(&s, &f);
    assert_int_equal(count_bad(&s, &f, 1, &seen), 0);

    s.base.ops->put(&s.base, "video/720p/seg-00002.m4s", "VIDEO/720p/seg-00002.m4s", 24, &opts,
                    NULL);
    assert_int_equal(count_bad(&s, &f, 0, &seen), 0);
    assert_int_equal(count_bad(&s, &f, 1, &seen), 1);
    assert_string_equal(seen.text, "v-0001-0 video/720p/seg-00002.m4s other bytes\n");

    s.base.ops->put(&s.base, "video/360p/init.mp4", "short", 5, &opts, NULL);
    strcpy(s.objects[0].key, "gone");
    assert_int_equal(count_bad(&s, &f, 0, &seen), 4);
    assert_non_null(strstr(seen.text, "v-0002-0 video/360p/init.mp4 5 bytes instead of 19\n"));
    assert_non_null(strstr(seen.text, "v-0000-0 video/720p/seg-00001.m4s missing\n"));
    memory_store_release(&s);
    fixture_release(&f);
}

static void bytes_are_not_read_where_the_store_knows_their_md5(void **state)
{
    (void)state;
    struct fixture f;
    struct memory_store s;
    struct seen seen;

    fixture_make(&f, &shape_plain);
    memory_store_init(&s);
    fill(&s, &f);
    for (size_t i = 0; i < s.n; i++) {
        const char *key = s.objects[i].key;
        unsigned number = 0;
        /* The fixture's md5 of a segment begins with its number. */
        if (strstr(key, "seg-") && sscanf(strstr(key, "seg-"), "seg-%5u", &number) == 1)
            for (size_t k = 0; k < 32; k++)
                s.objects[i].md5[k] = "0123456789abcdef"[(number + k) % 16];
    }
    assert_int_equal(count_bad(&s, &f, 1, &seen), 0);
    assert_int_equal(s.gets, 3); /* the init segments, whose md5 the store doesn't tell */

    s.gets = 0;
    for (size_t i = 0; i < s.n; i++)
        if (strcmp(s.objects[i].key, "video/720p/seg-00002.m4s") == 0)
            s.objects[i].md5[0] = 'f';
    /* An ETag that only looks like an md5: the bytes decide. */
    assert_int_equal(count_bad(&s, &f, 0, &seen), 0);
    assert_int_equal(s.gets, 1);
    for (size_t i = 0; i < s.n; i++)
        if (strcmp(s.objects[i].key, "video/720p/seg-00002.m4s") == 0)
            s.objects[i].data[0] ^= 1;
    assert_int_equal(count_bad(&s, &f, 0, &seen), 1);
    assert_string_equal(seen.text, "v-0001-0 video/720p/seg-00002.m4s other bytes\n");
    memory_store_release(&s);
    fixture_release(&f);
}

/* Numbers */

static void measured_bit_rates_follow_the_specifications(void **state)
{
    (void)state;
    /* 6, 6 and 1 s; 1 Mb, 2 Mb and 4 Mb. */
    const struct span s[] = {
        {0,      6000,  125000},
        { 6000,  12000, 250000},
        { 12000, 13000, 500000}
    };
    const struct span one[] = {
        {0, 40, 1000}
    };

    const struct span ends[] = {
        {0,      4900,  1000000},
        { 4900,  14900, 1      },
        { 14900, 19800, 1000000}
    };

    assert_int_equal(bitrate_average(s, 3, 1000), 538462);
    /* Neither short one alone (0.5 target), nor all three (1.5 targets). */
    assert_int_equal(bitrate_peak(ends, 3, 1000, 10), 536914);
    /* The last second doesn't count alone (0.5 target), but with the one before. */
    assert_int_equal(bitrate_peak(s, 3, 1000, 6), 857143);
    assert_int_equal(bitrate_peak(one, 1, 1000, 1), 200000);
    /* The last segment is needed 12 s after the start, 6 s after that of the second. */
    assert_int_equal(bitrate_sustained(s, 3, 1000, 6000), 666667);
    assert_int_equal(bitrate_sustained(s, 1, 1000, 6000), 166667);
    assert_int_equal(span_target_s(s, 3, 1000), 6);
    assert_int_equal(span_target_s(one, 1, 1000), 1);
}

static int64_t sustained_by_trying_all(const struct span *s, size_t n, int64_t buffer_ms)
{
    int64_t most = 0;
    for (size_t i = 0; i < n; i++) {
        uint64_t sum = 0;
        for (size_t j = i; j < n; j++) {
            sum += s[j].size_bytes * 8;
            uint64_t ms = (uint64_t)(buffer_ms + s[j].start - s[i].start);
            int64_t rate = (int64_t)((sum * 1000 + ms - 1) / ms);
            most = rate > most ? rate : most;
        }
    }
    return most;
}

static void sustained_rate_is_the_least_that_never_stalls(void **state)
{
    (void)state;
    uint32_t seed = 7;
    struct span s[40];

    for (int round = 0; round < 50; round++) {
        int64_t t = 0;
        for (size_t i = 0; i < 40; i++) {
            seed = seed * 1664525 + 1013904223;
            s[i] = (struct span){ t, t + 100 + seed % 4000, 1 + (seed >> 8) % 1000000 };
            t = s[i].end;
        }
        assert_int_equal(bitrate_sustained(s, 40, 1000, 4100),
                         sustained_by_trying_all(s, 40, 4100));
    }
}

static void microseconds_are_exact_to_the_nearest(void **state)
{
    (void)state;
    assert_int_equal(ticks_to_us(1001, 30000), 33367);
    assert_int_equal(ticks_to_us(INT64_C(36000) * 240000, 240000), INT64_C(36000000000));
    assert_int_equal(ticks_to_us(INT64_C(1) << 52, 4294967), INT64_C(1048576072265630));
    assert_int_equal(ticks_to_us(1, 2000000), 1);
    assert_int_equal(ticks_to_us(1, 2000001), 0);
}

static void languages_are_named_by_their_shortest_code(void **state)
{
    (void)state;
    static const struct {
        const char *in, *want; /* NULL: not known */
    } rows[] = {
        {"deu",      "de"   },
        { "ger",     "de"   },
        { "eng",     "en"   },
        { "zul",     "zu"   },
        { "aar",     "aa"   },
        { "pt-BR",   "pt-BR"},
        { "POR-br",  "pt-br"},
        { "gsw",     "gsw"  },
        { "en",      "en"   },
        { "und",     NULL   },
        { "",        NULL   },
        { "mis",     NULL   },
        { "a\"b",    NULL   },
        { "x",       NULL   },
        { "de\n",    NULL   },
        { "de-",     NULL   },
        { "deutsch", NULL   },
        { "d3u",     NULL   },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char tag[LANGUAGE_TAG_MAX] = "-";
        int known = language_tag(rows[i].in, tag);
        if (known != (rows[i].want != NULL) || strcmp(tag, known ? rows[i].want : "-") != 0)
            fail_msg("%s: %d %s", rows[i].in, known, tag);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(segments_of_all_chunks_are_in_order),
        cmocka_unit_test(every_result_as_planned_is_accepted_on_arrival),
        cmocka_unit_test(what_is_not_as_planned_is_named_and_encoded_again),
        cmocka_unit_test(every_faulty_task_is_done_again_not_just_the_first),
        cmocka_unit_test(a_planned_segment_without_result_is_missed),
        cmocka_unit_test(two_tasks_cannot_both_make_a_segment),
        cmocka_unit_test(sound_without_a_segment_for_the_last_cut_is_fine),
        cmocka_unit_test(a_capped_rendition_has_the_frames_of_its_grid),
        cmocka_unit_test(objects_that_went_or_changed_are_found),
        cmocka_unit_test(bytes_are_not_read_where_the_store_knows_their_md5),
        cmocka_unit_test(measured_bit_rates_follow_the_specifications),
        cmocka_unit_test(sustained_rate_is_the_least_that_never_stalls),
        cmocka_unit_test(microseconds_are_exact_to_the_nearest),
        cmocka_unit_test(languages_are_named_by_their_shortest_code),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
