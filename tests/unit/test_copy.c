/* Which sources may be copied, what is said of those that may not, and how
 * a plan follows a copied source's GOPs. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/err.h"
#include "dispatcher/plan_copy.h"
#include "test_plan_check.h"

enum { BYTES = 10000 }; /* of a packet: 2 Mb/s at 25 frames a second */

/* A source of 40 s, 25 frames a second, GOPs of 2 s with B-frames. */
static const struct source plain = {
    .name = "plain",
    .tb = {.num = 1, .den = 12800},
    .step = 512,
    .frames = 1000,
    .key_every = 50,
    .b_frames = 2,
};

struct made {
    struct media_info info;
    struct media_index idx;
    struct copy_facts facts;
    struct rendition *list; /* the first may be a copy, two more, and sound */
    size_t n;
    struct plan_options opts;
};

static void add_param(struct rendition *r, const char *key, const char *value)
{
    r->params = realloc(r->params, (r->n_params + 1) * sizeof(*r->params));
    r->params[r->n_params++] = (struct param){ strdup(key), strdup(value) };
}

static struct made make(const struct source *s)
{
    struct made m = { 0 };

    source_make(s, &m.info, &m.idx);
    m.info.size_bytes = 1 << 30;
    m.info.video.frames = s->frames - s->hidden;
    m.info.video.end = m.info.video.start + (int64_t)s->frames * s->step;
    for (size_t i = 0; i < m.idx.n; i++) {
        m.idx.packets[i].size = BYTES;
        if (m.idx.packets[i].flags & PACKET_KEY && !s->unsafe)
            m.idx.packets[i].flags |= PACKET_IDR;
    }
    m.list = source_renditions(s, &m.n);
    struct rendition *r = &m.list[0];
    r->may_copy = 1;
    r->width = 1920;
    r->height = 1080;
    r->rate = (AVRational){ 25, 1 };
    r->maxrate = 6000000;
    r->color = (struct color_info){ 1, 1, 1, 1, 1 };
    add_param(r, "profile", "high");
    add_param(r, "bufsize", "12000000");
    m.facts.stream = (struct bitstream_facts){ .profile = 100, .level = 40 };
    m.facts.width = 1920;
    m.facts.height = 1080;
    strcpy(m.facts.pix_fmt, "yuv420p");
    m.facts.color = (struct color_info){ 2, 2, 2, 0, 0 };
    return m;
}

static void release(struct made *m)
{
    free(m->idx.packets);
    rendition_list_free(m->list, m->n);
}

/* ---- what speaks against it ---- */

static void other_codec(struct made *m)
{
    strcpy(m->info.video.codec, "vp9");
}

static void interlaced(struct made *m)
{
    m->info.video.interlaced = 1;
}

static void turned(struct made *m)
{
    m->info.video.rotation = 90;
}

static void mirrored(struct made *m)
{
    m->info.video.hflip = 1;
}

static void ten_bit(struct made *m)
{
    strcpy(m->info.video.pix_fmt, "yuv420p10le");
}

static void full_range(struct made *m)
{
    m->info.video.color.range = 2;
}

static void hlg(struct made *m)
{
    m->info.video.color.transfer = 18;
}

static void narrow_pixels(struct made *m)
{
    m->info.video.sar = (AVRational){ 8, 9 };
}

static void smaller(struct made *m)
{
    m->list[0].width = 1280;
    m->list[0].height = 720;
}

static void capped(struct made *m)
{
    m->info.video.rate = (AVRational){ 50, 1 };
    m->list[0].grid.period = (AVRational){ 1, 25 };
}

static void timeless(struct made *m)
{
    m->idx.packets[7].pts = INT64_MIN;
}

static void twice(struct made *m)
{
    m->idx.packets[7].pts = m->idx.packets[6].pts;
    m->info.video.frames--;
}

static void cut_off(struct made *m)
{
    m->info.size_bytes = 500 * 1000;
}

static void huge(struct made *m)
{
    m->info.size_bytes = UINT64_C(20) << 30;
}

static void empty(struct made *m)
{
    m->idx.packets[7].size = 0;
}

static void hidden_in_the_middle(struct made *m)
{
    m->idx.packets[70].flags |= PACKET_HIDDEN;
    m->info.video.frames--;
}

static void starts_between(struct made *m)
{
    for (int i = 0; i < 7; i++)
        m->idx.packets[i].flags |= PACKET_HIDDEN;
    m->info.video.frames -= 7;
}

static void no_key_at_first(struct made *m)
{
    m->idx.packets[0].flags &= ~(uint32_t)PACKET_KEY;
}

static void short_segments(struct made *m)
{
    m->opts.segment_seconds = 1.5;
}

static void a_burst(struct made *m)
{
    for (int i = 200; i < 300; i++) /* 4 s of 10 Mb/s */
        m->idx.packets[i].size = 5 * BYTES;
}

static void a_huge_picture(struct made *m)
{
    m->idx.packets[300].size = 1600000;
}

static void an_obstacle(struct made *m)
{
    strcpy(m->facts.obstacle, "the source's parameter sets change");
}

static void baseline(struct made *m)
{
    m->facts.stream.profile = 66;
}

static void high_of_main(struct made *m)
{
    strcpy(m->list[0].params[0].value, "main");
}

static void level_5_2(struct made *m)
{
    m->facts.stream.level = 52;
}

static void may_be_interlaced(struct made *m)
{
    m->facts.stream.interlaced = 1;
}

static void other_size(struct made *m)
{
    m->facts.height = 1088;
}

static void other_sar(struct made *m)
{
    m->facts.sar = (AVRational){ 4, 3 };
}

static void other_tags(struct made *m)
{
    m->facts.color = (struct color_info){ 5, 6, 5, 1, 0 };
}

static void range_of_pictures(struct made *m)
{
    m->facts.color.range = 2;
}

static void few_idr_pictures(struct made *m)
{
    for (int i = 100; i < 400; i++)
        m->idx.packets[i].flags &= ~(uint32_t)PACKET_IDR;
}

static void no_idr_at_first(struct made *m)
{
    m->idx.packets[0].flags &= ~(uint32_t)PACKET_IDR;
}

static const struct refusal {
    const char *why;
    void (*spoil)(struct made *m);
} refusals[] = {
    {"the source is vp9, not h264",                                                            other_codec         },
    { "the source is interlaced",                                                              interlaced          },
    { "the source is turned by 90 degrees",                                                    turned              },
    { "the source is mirrored",                                                                mirrored            },
    { "the source is yuv420p10le, not yuv420p",                                                ten_bit             },
    { "the source has full range",                                                             full_range          },
    { "the source is HDR",                                                                     hlg                 },
    { "the source's pixels are 8:9, not square",                                               narrow_pixels       },
    { "the source is 1920x1080, not 1280x720",                                                 smaller             },
    { "the source has 50 frames a second, 25 are allowed",                                     capped              },
    { "not all of the source's pictures have a time",                                          timeless            },
    { "some of the source's pictures have the same time",                                      twice               },
    { "the source is cut off",                                                                 cut_off             },
    { "the source has 20 GiB, more than the 8 that are looked at",                             huge                },
    { "the source has empty packets",                                                          empty               },
    { "the source's edit list hides pictures between others",                                  hidden_in_the_middle},
    { "the source's edit list begins in the middle of a GOP",                                  starts_between      },
    { "the source begins in the middle of a GOP",                                              no_key_at_first     },
    { "the source's GOPs are up to 2 s long, more than a segment's 1.5 s",                     short_segments      },
    { "the source's peak 7.07 Mb/s is above maxrate 6 Mb/s",                                   NULL                },
    { "a picture of the source is larger than bufsize 12 Mb",                                  a_huge_picture      },
    { "the source's parameter sets change",                                                    an_obstacle         },
    { "the source's profile is number 66, not within high",                                    baseline            },
    { "the source's profile is number 100, not within main",                                   high_of_main        },
    { "the source's level 5.2 is above 4.1, which is enough",                                  level_5_2           },
    { "the source may be interlaced",                                                          may_be_interlaced   },
    { "the source's pictures are 1920x1088 yuv420p, its container says 1920x1080",             other_size          },
    { "the source's pictures say that pixels are 4:3",                                         other_sar           },
    { "the source's pictures are tagged 5/6/5, range 1, its container says 1/1/1",             other_tags          },
    { "the source begins without an IDR picture",                                              no_idr_at_first     },
    { "the source's GOPs are open: it has no IDR picture for 14 s, more than a segment's 6 s",
     few_idr_pictures                                                                                              },
    { "the source's pictures are tagged 2/2/2, range 2, its container says 1/1/1",
     range_of_pictures                                                                                             },
};

/* 1: the first rendition may be a copy. */
static int decide(struct made *m)
{
    size_t which;

    assert_int_equal(copy_sift(&m->info, &m->idx, m->list, m->n, &m->opts, &which), 0);
    assert_true(which == 0 || which == m->n);
    return which == 0 && copy_fits(&m->facts, &m->info, &m->idx, &m->opts, &m->list[0]) == 1;
}

static void a_source_that_fits_is_copied(void **state)
{
    struct made m = make(&plain);

    (void)state;
    assert_true(decide(&m));
    assert_null(m.list[0].not_copied);
    release(&m);
}

/* The same of AV1, whose levels and profiles are others. */
static struct made make_av1(struct bitstream_facts f)
{
    struct made m = make(&plain);

    strcpy(m.info.video.codec, "av1");
    free(m.list[0].codec);
    m.list[0].codec = strdup("av1");
    for (size_t i = 0; i < m.list[0].n_params; i++)
        if (strcmp(m.list[0].params[i].key, "profile") == 0)
            m.list[0].params[i].value[0] = '\0';
    m.facts.stream = f;
    return m;
}

static void av1_is_copied_by_its_own_levels(void **state)
{
    static const struct {
        struct bitstream_facts facts;
        int fps;
        const char *why; /* NULL: it fits */
    } rows[] = {
        {{ .level = 9 },                  25,  NULL                                                  },
        { { .level = 12 },                25,  "the source's level 5.0 is above 4.1, which is enough"},
        { { .level = 12 },                100, NULL                                                  },
        { { .level = 14 },                100, "the source's level 5.2 is above 5.0, which is enough"},
        { { .profile = 1, .level = 8 },   25,  "the source's profile is number 1, not within main"   },
        { { .level = 8, .high_tier = 1 }, 25,  "the source is of the high tier"                      },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct made m = make_av1(rows[i].facts);
        m.list[0].rate.num = rows[i].fps;
        int fits = decide(&m);
        const char *why = m.list[0].not_copied;
        if (fits != !rows[i].why || (rows[i].why && (!why || strcmp(why, rows[i].why) != 0)))
            fail_msg("%zu: %d, %s", i, fits, why ? why : "");
        release(&m);
    }
}

static void whatever_does_not_fit_is_encoded_and_the_reason_told(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(refusals) / sizeof(*refusals); i++) {
        struct made m = make(&plain);
        if (refusals[i].spoil)
            refusals[i].spoil(&m);
        else
            a_burst(&m);
        assert_false(decide(&m));
        if (!m.list[0].not_copied || strcmp(m.list[0].not_copied, refusals[i].why) != 0)
            fail_msg("%s; want: %s", m.list[0].not_copied, refusals[i].why);
        release(&m);
    }
}

static void open_gops_are_not_copied(void **state)
{
    struct source s = plain;

    (void)state;
    s.open_gop = 1;
    struct made m = make(&s);
    assert_false(decide(&m));
    assert_string_equal(m.list[0].not_copied, "the source's GOPs are open");
    release(&m);
}

static void whole_gops_that_an_edit_list_hides_are_left_out(void **state)
{
    struct source s = plain;

    (void)state;
    s.hidden = 100;
    struct made m = make(&s);
    assert_true(decide(&m));
    release(&m);
}

static void what_the_ladder_does_not_allow_is_not_even_considered(void **state)
{
    struct made m = make(&plain);
    size_t which;

    (void)state;
    m.list[0].may_copy = 0;
    assert_int_equal(copy_sift(&m.info, &m.idx, m.list, m.n, &m.opts, &which), 0);
    assert_int_equal(which, m.n);
    assert_null(m.list[0].not_copied);
    release(&m);
}

static void one_rendition_is_copied_at_most(void **state)
{
    struct made m = make(&plain);
    size_t which;

    (void)state;
    struct rendition *r = &m.list[2];
    r->may_copy = 1;
    r->width = 1920;
    r->height = 1080;
    r->maxrate = 6000000;
    assert_int_equal(copy_sift(&m.info, &m.idx, m.list, m.n, &m.opts, &which), 0);
    assert_int_equal(which, 0);
    assert_string_equal(r->not_copied, "h264-1080 is the one that may be copied");
    release(&m);
}

/* ---- the peak ---- */

/* 2 Mb/s, and 10 Mb/s for 4 s: a buffer of B lets a channel of (40 Mb - B) / 4 s
 * do, to within a picture. */
static void the_peak_is_what_the_buffer_does_not_level_out(void **state)
{
    struct made m = make(&plain);

    (void)state;
    a_burst(&m);
    for (double buffer = 2e6; buffer <= 16e6; buffer += 2e6) {
        double want = (40e6 - buffer) / 3.96;
        assert_true(fabs(copy_peak(&m.info, &m.idx, buffer) - want) < 0.01e6);
    }
    a_huge_picture(&m);
    assert_true(isinf(copy_peak(&m.info, &m.idx, 12e6)));
    release(&m);
}

/* ---- the plan ---- */

/* Each with the options beside it. */
static const struct rhythm {
    const char *name;
    int den;
    int64_t step, first;
    size_t frames, key_every, b_frames;
    enum pts_kind pts;
} rhythms[] = {
    {"GOPs as wanted",     12800, 512,  0,   3000, 50,  2, PTS_EVEN},
    { "many chunks",       12800, 512,  0,   3000, 50,  2, PTS_EVEN},
    { "short GOPs",        90000, 3600, 900, 2000, 7,   1, PTS_EVEN},
    { "keyframes only",    25,    1,    0,   2000, 1,   0, PTS_EVEN},
    { "long GOPs",         90000, 3600, 0,   3000, 140, 3, PTS_EVEN},
    { "odd GOPs",          90000, 3600, 0,   3000, 61,  3, PTS_EVEN},
    { "a wild frame rate", 1000,  0,    0,   2000, 37,  0, PTS_WILD},
};
static const struct plan_options options[] = {
    {.slots = 4       },
    { .chunk_count = 9},
    { .chunk_count = 5},
    { .chunk_count = 5},
    { .slots = 2      },
    { .slots = 8,       .early = 1 },
    { .segment_seconds = 30               },
};

static int is_start(const struct made *m, int64_t pts)
{
    for (size_t i = 0; i < m->idx.n; i++)
        if (m->idx.packets[i].pts == pts)
            return (m->idx.packets[i].flags & PACKET_IDR) != 0;
    return 0;
}

static void check_plan(const struct made *m, const struct plan *p, const char *name)
{
    char why[COPY_WHY_MAX];

    for (size_t i = 0; i < p->n_chunks; i++) {
        const struct chunk *c = &p->chunks[i];
        if (c->seek_pts != c->start || c->packets != c->pts.n_frames)
            fail_msg("%s: chunk %zu decodes more than itself", name, i);
        for (size_t g = 0; g < c->n_gops; g++)
            if (!is_start(m, c->gops[g]))
                fail_msg("%s: a GOP begins at %lld", name, (long long)c->gops[g]);
    }
    if (copy_gops_fit(p, why) != 1)
        fail_msg("%s: %s", name, why);
    assert_int_equal(p->renditions[0].copy, 1);
    assert_string_equal(p->renditions[0].encoder, "copy");
}

static void every_gop_begins_where_one_of_the_source_does(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rhythms) / sizeof(*rhythms); i++) {
        const struct rhythm *y = &rhythms[i];
        const struct source s = {
            .tb = {.num = 1, .den = y->den},
            .step = y->step,
            .first = y->first,
            .frames = y->frames,
            .key_every = y->key_every,
            .b_frames = y->b_frames,
            .pts = y->pts
        };
        struct made m = make(&s);
        struct err e = { 0 };
        struct plan p;

        assert_int_equal(copy_make(&m.list[0]), 0);
        if (plan_make(&m.info, &m.idx, m.list, m.n, &options[i], &p, &e) < 0)
            fail_msg("%s", e.text);
        check_plan(&m, &p, rhythms[i].name);
        if (options[i].chunk_count)
            assert_int_equal(p.n_chunks, options[i].chunk_count);
        plan_release(&p);
        release(&m);
    }
}

/* Every other frame is dropped, and every other keyframe with it. */
static void keyframes_that_others_drop_are_no_cuts(void **state)
{
    struct source s = plain;
    char why[COPY_WHY_MAX];
    struct err e = { 0 };
    struct plan p;

    (void)state;
    s.key_every = 101;
    struct made m = make(&s);
    m.list[2].grid.period = (AVRational){ 2, 25 };
    m.list[2].grid.phase = (AVRational){ 1, 50 };
    assert_int_equal(copy_make(&m.list[0]), 0);
    assert_int_equal(plan_make(&m.info, &m.idx, m.list, m.n, &m.opts, &p, &e), 0);
    assert_int_equal(copy_gops_fit(&p, why), 0);
    assert_string_equal(why,
                        "the other renditions leave out its IDR pictures: none that all keep for "
                        "8.08 s, more than a segment's 6 s");
    plan_release(&p);
    release(&m);
}

/* Sound begins before the picture, by an odd number of frames: the cap would
 * keep none of the keyframes but the first. */
static void a_cap_can_count_from_the_first_picture(void **state)
{
    char why[COPY_WHY_MAX];
    struct err e = { 0 };
    struct plan p;

    (void)state;
    for (int64_t early = 1; early < 8; early++) {
        struct made m = make(&plain);
        m.info.audio.start -= early * 1920;
        m.list[2].grid.period = (AVRational){ 2, 25 };
        m.list[2].grid.phase = (AVRational){ 1, 50 };
        assert_int_equal(copy_make(&m.list[0]), 0);
        assert_int_equal(plan_make(&m.info, &m.idx, m.list, m.n, &m.opts, &p, &e), 0);
        assert_int_equal(copy_gops_fit(&p, why), early % 2 == 0);
        copy_shift_grids(&p, m.list, m.n);
        plan_release(&p);
        assert_int_equal(plan_make(&m.info, &m.idx, m.list, m.n, &m.opts, &p, &e), 0);
        check_plan(&m, &p, "shifted");
        plan_release(&p);
        release(&m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_source_that_fits_is_copied),
        cmocka_unit_test(av1_is_copied_by_its_own_levels),
        cmocka_unit_test(whatever_does_not_fit_is_encoded_and_the_reason_told),
        cmocka_unit_test(open_gops_are_not_copied),
        cmocka_unit_test(whole_gops_that_an_edit_list_hides_are_left_out),
        cmocka_unit_test(what_the_ladder_does_not_allow_is_not_even_considered),
        cmocka_unit_test(one_rendition_is_copied_at_most),
        cmocka_unit_test(the_peak_is_what_the_buffer_does_not_level_out),
        cmocka_unit_test(every_gop_begins_where_one_of_the_source_does),
        cmocka_unit_test(keyframes_that_others_drop_are_no_cuts),
        cmocka_unit_test(a_cap_can_count_from_the_first_picture),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
