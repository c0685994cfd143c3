/* Plans of awkward sources, held against the properties of test_plan_check.h. */
#include "common/base/err.h"
#include "common/wire/task.h"
#include "test_plan_check.h"
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <libavutil/mathematics.h>

static const struct source sources[] = {
    {"plain",                   { 1, 12800 },          512,                              0,                                                                    1550,250,           2},
    { "one keyframe only",      { 1, 25 },             1,                                0,                                                                    3000,0,             2},
    { "a keyframe every frame", { 1, 25 },             1,                                0,                                                                    1500,1,             0},
    { "25 s GOPs",              { 1, 90000 },          3600,                             0,                                                                    5000,625,           3},
    { "open GOPs",              { 1, 90000 },          3600,                             126000,                                                               3000,48,            3, 1 },
    { "open GOPs, unsafe",                        { 1, 90000 },                          3600,                       126000,                                                              3000,48,3,1, .unsafe = 1 },
    { "open GOPs, interlaced",                        { 1, 90000 },                                  3600,                                                                 0,                                                                                                              2000,24,2,1, .interlaced = 1 },
    { "interlaced",                       { 1, 90000 },                                           3600,                                                                          0,                                                                                                                               2000,                                                    12,                                                                                                                                                                                                                 0,                                                                                                                                                                                                                                                                                                                                                       .interlaced = 2 },
    { "interlaced, unsafe",                        { 1, 90000 },                                         3600,0,999,50,2,1, .interlaced = 1, .unsafe = 1 },
    { "negative start",                     { 1, 1000 }, 40,                                 -123,                                                                                                                                                                 900,                                                                                                                                                                                                                                                                                                50,                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                              2                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                          },
    { "late start",                        { 1, 90000 },                             3003,                              INT64_C(8589000000),                                                                                                1200,60,1},
    { "a gap",                        { 1, 1000 },                                 40,                              0,                                                                  1000,50,0,.pts = PTS_GAP },
    { "a gap, one keyframe",                        { 1, 1000 },                                      40,                                    0,                                                                      1000,0,0,                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                        .pts = PTS_GAP },
    { "a single frame",           { 1, 25 },                               1,                                          7,                                                                            1,0,0                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                 },
    { "two frames",                        { 1, 25 },                               1,                                                              7,                                                                                                                  2,0,                                                                                              0},
    { "wild frame rate",                        { 1, 1000 },                                            0,                                                                           0,                                                                                                                                   2000,                                                               37,                                                                                                                                                                                                                                              0,.pts = PTS_WILD },
    { "wild frame rate, B-frames",                        { 1, 1000 },                                            0,                                                                           0,                                                                                                                              2000,120,3,                                                                                                                                                                                                                                                                                                            1, .pts = PTS_WILD },
    { "slides",                       { 1, 1000 },                                           0,                                                            5,                                                                                                                               40,1,0,                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                           .pts = PTS_SLIDES },
    { "film in milliseconds",                     { 1, 1000 },                                       0,                                                                      0,            2000,240,2,.pts = PTS_FILM },
    { "60 to 30",                        { 1, 15360 },  256,0,3001,131,                                                                                                                                                                                                                                                                                                           2,.grids = 30 },
    { "60 to 30 and 15",{ 1, 15360 },256,0,3001,131,                                                                     2,                                                                                                                                                                                                                                                                                                                                                                                                                                             1, .grids = 15 },
    { "film to 15",               { 1, 1000 }, 0,                             0,                                                                                                                            2000, 240,                                                                                                                                        2,.pts = PTS_FILM, .grids = 15 },
    { "wild to 15",                        { 1, 1000 },                            0,                                                       0,                                                                                                                                                 2000, 37,                    0,                              .pts = PTS_WILD, .grids = 15 },
    { "hidden pre-roll",                        { 1, 90000 },                                  3600,                                                                 -7200,                                                                                                                         1000,50,2,.hidden = 27 },
    { "no pts",                      { 1, 25 },                                          1,                                                           0,                                                                                                                    1000,50,0,.no_pts = 1 },
    { "the same pts twice",                        { 1, 25 },                                         1,                 0,1000,50,0,.twice = 1 },
    { "nanoseconds",{ 1, 1000000000 },40000000,0,500,50,1                                                                                                                                                                                                                                                                                                                                                                                                                                                      },
};
enum { N_SOURCES = sizeof(sources) / sizeof(*sources) };

static const struct plan_options options[] = {
    {0                    },
    { .slots = 2          },
    { .slots = 8          },
    { .slots = 500        },
    { .chunk_seconds = 4,   .slots = 2 },
    { .chunk_seconds = 10                   },
    { .chunk_seconds = 0.5,  .segment_seconds = 1, .gop_seconds = 0.5 },
    { .segment_seconds = 4,.gop_seconds = 4, .slots = 3 },
    { .chunk_count = 1                   },
    { .chunk_count = 2     },
    { .chunk_count = 3                   },
    { .chunk_count = 7 },
    { .chunk_count = 50               },
};
enum { N_OPTIONS = sizeof(options) / sizeof(*options) };

/* A source with its plan. */
struct made {
    struct media_info info;
    struct media_index idx;
    struct rendition *r;
    size_t n_r;
    struct plan p;
};

static void made_release(struct made *m)
{
    plan_release(&m->p);
    free(m->idx.packets);
    rendition_list_free(m->r, m->n_r);
}

static void replan(struct made *m, const struct plan_options *o)
{
    struct err e = { 0 };

    plan_release(&m->p);
    if (plan_make(&m->info, &m->idx, m->r, m->n_r, o, &m->p, &e) < 0)
        fail_msg("%s", e.text);
}

static struct made make(const struct source *s, const struct plan_options *o)
{
    struct made m = { 0 };

    source_make(s, &m.info, &m.idx);
    m.r = source_renditions(s, &m.n_r);
    replan(&m, o);
    return m;
}

static void every_plan_has_the_properties(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_SOURCES; i++) {
        struct made m = make(&sources[i], &options[0]);
        for (size_t k = 0; k < 2 * N_OPTIONS; k++) {
            char name[100];
            struct plan_options o = options[k / 2];
            o.early = k % 2;
            snprintf(name, sizeof(name), "%s, options %zu%s", sources[i].name, k / 2,
                     k % 2 ? ", early" : "");
            replan(&m, &o);
            plan_check(name, &m.info, &m.idx, &m.p);
        }
        made_release(&m);
    }
}

/* ---- extras ---- */

static const struct index_packet *packet_of(const struct made *m, const struct shot *s)
{
    for (size_t i = 0; i < m->idx.n; i++) {
        const struct index_packet *p = &m->idx.packets[i];
        if (p->pts == s->seek_pts && p->dts == s->seek_dts && p->pos == s->seek_pos)
            return p;
    }
    return NULL;
}

/* Of the frames that are shown: the last at `pts` or before, and the first
 * keyframe from there to before `until` (INT64_MIN: none). */
static int64_t shown_at(const struct made *m, int64_t pts, int64_t until, int64_t *ret_key)
{
    int64_t last = INT64_MIN, first = INT64_MAX;

    *ret_key = INT64_MIN;
    for (size_t i = 0; i < m->p.n_chunks; i++) {
        const struct chunk *c = &m->p.chunks[i];
        int64_t *all = calloc(c->pts.n_frames, sizeof(*all));
        assert_non_null(all);
        pts_list_expand(&c->pts, all);
        for (size_t k = 0; k < c->pts.n_frames; k++) {
            first = all[k] < first ? all[k] : first;
            last = all[k] <= pts && all[k] > last ? all[k] : last;
        }
        free(all);
    }
    for (size_t i = 0; i < m->idx.n; i++) {
        const struct index_packet *p = &m->idx.packets[i];
        if (p->flags & PACKET_KEY && !(p->flags & (PACKET_UNSAFE | PACKET_HIDDEN)) &&
            p->pts >= pts && p->pts < until && (*ret_key == INT64_MIN || p->pts < *ret_key))
            *ret_key = p->pts;
    }
    return last == INT64_MIN ? first : last;
}

static void shots_check(const char *name, const struct made *m, const struct rendition *r)
{
    AVRational ms = { 1, 1000 };

    for (size_t i = 0; i < r->n_shots; i++) {
        const struct shot *s = &r->shots[i];
        const struct index_packet *p = packet_of(m, s);
        if (!p || (!(p->flags & PACKET_KEY) && p != m->idx.packets))
            fail_msg("%s: shot %zu begins at no keyframe", name, i);
        if (i > 0 && s->pts < s[-1].pts)
            fail_msg("%s: shot %zu is before the one before", name, i);
        if (r->kind != MEDIA_STORYBOARD)
            continue;
        int64_t key,
            from = m->p.origin + av_rescale_q((int64_t)i * r->every_ms, ms, m->info.video.tb);
        int64_t to = m->p.origin +
                     av_rescale_q((int64_t)(i + 1) * r->every_ms, ms, m->info.video.tb);
        int64_t frame = shown_at(m, from, to, &key);
        if (s->pts != (key != INT64_MIN ? key : frame))
            fail_msg("%s: shot %zu is %" PRId64 ", not %" PRId64, name, i, s->pts,
                     key != INT64_MIN ? key : frame);
    }
}

static struct rendition extra(enum media_kind kind, const char *name, int64_t every_ms)
{
    return (struct rendition){ .kind = kind,
                               .name = (char *)name,
                               .codec = (char *)"x",
                               .encoder = (char *)"x",
                               .every_ms = every_ms,
                               .columns = 3,
                               .rows = 3,
                               .width = 160,
                               .height = 90,
                               .pix_fmt = "yuv420p",
                               .text = { .codec = "subrip" } };
}

static void shots_are_frames_that_are_shown_at_their_times(void **state)
{
    const struct rendition extras[] = { extra(MEDIA_TEXT, "sub-eng", 0),
                                        extra(MEDIA_POSTER, "poster", -1),
                                        extra(MEDIA_STORYBOARD, "storyboard", 700) };
    struct err e = { 0 };

    (void)state;
    for (size_t i = 0; i < N_SOURCES; i++) {
        if (sources[i].twice || sources[i].no_pts)
            continue; /* which of two packets has the frame, only the planner knows */
        struct made m = make(&sources[i], &options[0]);
        if (plan_add_extras(&m.p, &m.idx, extras, 3, &e) < 0)
            fail_msg("%s: %s", sources[i].name, e.text);
        assert_int_equal(m.p.n_extras, 3);
        assert_true(m.p.n_audio_cuts > 0);
        int64_t ms = av_rescale(m.p.duration, 1000, m.p.timescale);
        assert_int_equal(m.p.extras[2].n_shots, ms > 0 ? (ms + 699) / 700 : 1);
        shots_check(sources[i].name, &m, &m.p.extras[1]);
        shots_check(sources[i].name, &m, &m.p.extras[2]);
        json_t *j = plan_to_json(&m.p);
        struct plan back;
        if (plan_from_json(j, &back, &e) < 0)
            fail_msg("%s: %s", sources[i].name, e.text);
        plan_release(&back);
        json_decref(j);
        made_release(&m);
    }
}

static void extras_have_tasks_of_their_own_before_those_of_chunks(void **state)
{
    const struct rendition extras[] = { extra(MEDIA_TEXT, "sub-eng", 0),
                                        extra(MEDIA_TEXT, "sub-ger", 0),
                                        extra(MEDIA_STORYBOARD, "storyboard", 5000) };
    struct made m = make(&sources[0], &options[2]);
    const struct task base = {
        .job = (char *)"j", .source = (char *)"s", .etag = (char *)"e", .output = (char *)"o"
    };
    struct task *t = NULL;
    size_t n = 0;

    (void)state;
    assert_int_equal(plan_add_extras(&m.p, &m.idx, extras, 3, NULL), 0);
    assert_int_equal(plan_tasks(&m.p, &base, &t, &n, NULL), 0);
    size_t sound = m.p.n_renditions > m.p.n_video;
    assert_int_equal(n, sound + 2 + m.p.n_chunks * m.p.n_groups);
    assert_string_equal(t[sound].id, "t-0");
    assert_int_equal(t[sound].n_renditions, 2);
    assert_int_equal(t[sound].n_audio_cuts, m.p.n_audio_cuts);
    assert_string_equal(t[sound + 1].id, "p-0");
    assert_int_equal(t[sound + 1].kind, TASK_PICTURES);
    assert_string_equal(t[sound + 2].id, "v-0000-0");
    for (size_t i = 0; i < n; i++)
        task_release(&t[i]);
    free(t);
    made_release(&m);
}

static void more_text_than_a_message_holds_is_left_out(void **state)
{
    struct rendition extras[32];
    char names[32][16];
    struct made m = make(&sources[0], &options[0]);
    int64_t *cuts = calloc(1000, sizeof(*cuts));

    (void)state;
    for (int i = 0; i < 32; i++) {
        (void)snprintf(names[i], sizeof(names[i]), "sub-%d", i);
        extras[i] = extra(MEDIA_TEXT, names[i], 0);
    }
    for (int i = 0; i < 1000; i++)
        cuts[i] = i;
    free(m.p.audio_cuts);
    m.p.audio_cuts = cuts;
    m.p.n_audio_cuts = 1000;
    assert_int_equal(plan_add_extras(&m.p, &m.idx, extras, 32, NULL), 0);
    assert_int_equal(m.p.n_extras, 19);
    assert_int_equal(m.p.info.n_warnings, 1);
    assert_non_null(strstr(m.p.info.warnings[0], "13 subtitle track(s) left out"));
    made_release(&m);
}

static void the_asked_number_of_chunks_is_made(void **state)
{
    static const unsigned counts[] = { 1, 2, 3, 7, 50 };

    (void)state;
    for (size_t i = 0; i < N_SOURCES; i++) {
        struct made m = make(&sources[i], &options[0]);
        for (size_t k = 0; k < 5; k++) {
            size_t want = counts[k];
            if (sources[i].frames < 100)
                want = want < sources[i].frames ? want : sources[i].frames;
            replan(&m, &(struct plan_options){ .chunk_count = counts[k] });
            if (m.p.n_chunks != want)
                fail_msg("%s: %zu chunks of %zu", sources[i].name, m.p.n_chunks, want);
        }
        made_release(&m);
    }
}

static void ten_hours_have_a_plan(void **state)
{
    const struct source s = {
        "10 h", {1, 15360},
         256, 0, 2160000, 250, 2, .grids = 30
    };
    struct made m = make(&s, &(struct plan_options){ .slots = 200 });

    (void)state;
    assert_in_range(m.p.n_chunks, 600, 5000);
    plan_check(s.name, &m.info, &m.idx, &m.p);
    replan(&m, &(struct plan_options){ .slots = 2 });
    assert_in_range(m.p.n_chunks, 600, 5000);
    made_release(&m);
}

static double seconds(const struct made *m, const struct chunk *c)
{
    return (double)(c->end - c->start) * av_q2d(m->info.video.tb);
}

static void chunks_start_at_keyframes_where_they_can(void **state)
{
    struct made m = make(&sources[0], &(struct plan_options){ .chunk_seconds = 10 });

    (void)state;
    for (size_t i = 0; i < m.p.n_chunks; i++) {
        assert_int_equal(m.p.chunks[i].start, m.p.chunks[i].seek_pts);
        assert_int_equal(m.p.chunks[i].start % (250 * 512), 0);
    }
    made_release(&m);
}

static void keyframes_too_far_apart_do_not_make_chunks_long(void **state)
{
    struct made m = make(&sources[3], &(struct plan_options){ .chunk_seconds = 6 });

    (void)state;
    for (size_t i = 0; i < m.p.n_chunks; i++)
        assert_true(seconds(&m, &m.p.chunks[i]) <= 12.001);
    made_release(&m);
}

static void leading_pictures_belong_to_the_chunk_before(void **state)
{
    struct made m = make(&sources[4], &(struct plan_options){ .chunk_seconds = 10 });
    const struct chunk *c = m.p.chunks;
    size_t seek = 0;

    (void)state;
    assert_true(m.p.n_chunks > 2);
    while (m.idx.packets[seek].pts != c[1].seek_pts)
        seek++;
    /* The keyframe that chunk 1 starts with and the three that come after it. */
    assert_int_equal(c[1].seek_pts, c[1].start);
    assert_int_equal(c[0].packets, seek + 4);
    made_release(&m);
}

static void an_unsafe_keyframe_is_reached_from_the_one_before(void **state)
{
    struct made m = make(&sources[5], &(struct plan_options){ .chunk_seconds = 10 });

    (void)state;
    assert_true(m.p.n_chunks > 2);
    for (size_t i = 1; i < m.p.n_chunks; i++)
        assert_int_equal(m.p.chunks[i].seek_pts, m.p.chunks[i].start - 48 * 3600);
    made_release(&m);
}

/* Play the tasks on slots that take the next one when they are free; the
 * part of the work for which slots stand idle at the end. */
static double idle_part(const struct plan *p, unsigned slots)
{
    double busy[8] = { 0 }, total = 0, last = 0;
    struct task *t;
    size_t n;

    assert_int_equal(plan_tasks(p, &(struct task){ .job = (char[]){ "j" } }, &t, &n, NULL), 0);
    for (size_t k = 0; k < n; k++) {
        unsigned first = 0;
        for (unsigned x = 1; x < slots; x++)
            first = busy[x] < busy[first] ? x : first;
        busy[first] += t[k].cost;
        total += t[k].cost;
        task_release(&t[k]);
    }
    for (unsigned x = 0; x < slots; x++)
        last = fmax(last, busy[x]);
    free(t);
    return (slots * last - total) / total;
}

static void slots_end_together(void **state)
{
    static const size_t key_every[] = { 12, 25, 48, 60, 125, 250, 0 };
    static const size_t frames[] = { 1500, 1555, 3000 };
    static const struct {
        unsigned slots;
        double most;
    } rows[] = {
        {2,  0.032},
        { 4, 0.08 }
    };

    (void)state;
    for (size_t k = 0; k < 2 * 2 * 3 * 7; k++) {
        size_t i = k / 2;
        struct source s = {
            "x", {1, 25},
             1, 0, frames[i / 7 % 3], key_every[i % 7], 2
        };
        unsigned slots = rows[i / 21].slots;
        struct made m = make(&s, &(struct plan_options){ .slots = slots, .early = k % 2 });
        double idle = idle_part(&m.p, slots);
        /* One keyframe for 2 minutes: balance would cost more than it gives. */
        if (idle > rows[i / 21].most && !(k % 2 && !s.key_every) && s.frames * slots < 12000)
            fail_msg("%u slots, %zu frames, key every %zu, %s%zu chunks: %.1f %% idle", slots,
                     s.frames, s.key_every, k % 2 ? "early, " : "", m.p.n_chunks, 100 * idle);
        made_release(&m);
    }
}

static void one_slot_gets_few_chunks(void **state)
{
    struct made m = make(&sources[0], &(struct plan_options){ .slots = 1 });

    (void)state;
    assert_in_range(m.p.n_chunks, 2, 4);
    made_release(&m);
}

/* 25 frames a second, with `key_every` as given. */
static struct source film(const char *name, size_t frames, size_t key_every)
{
    struct source s = { .name = name, .step = 1, .frames = frames, .key_every = key_every };

    s.tb = (AVRational){ 1, 25 };
    s.b_frames = 2;
    return s;
}

static void the_first_chunk_is_small_where_it_is_wanted_early(void **state)
{
    static const struct {
        const char *name;
        size_t frames, key_every;
        unsigned slots;
        double least, most; /* seconds of the first chunk */
    } rows[] = {
        {"at a keyframe",        5000,  50,  2,   6,    6   },
        { "the nearest one",     5000,  125, 2,   5,    5   },
        { "no keyframe near",    5000,  625, 2,   5.9,  6.1 },
        { "no keyframe at all",  5000,  0,   2,   5.9,  6.1 },
        { "one slot",            5000,  50,  1,   6,    6   },
        { "two hundred slots",   90000, 50,  200, 4,    9   },
        { "hardly two segments", 290,   50,  1,   11.6, 11.6},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct source s = film(rows[i].name, rows[i].frames, rows[i].key_every);
        struct made m = make(&s, &(struct plan_options){ .slots = rows[i].slots, .early = 1 });
        double is = seconds(&m, &m.p.chunks[0]);
        if (is < rows[i].least - 1e-6 || is > rows[i].most + 1e-6)
            fail_msg("%s: the first chunk has %g s", rows[i].name, is);
        plan_check(rows[i].name, &m.info, &m.idx, &m.p);
        made_release(&m);
    }
}

static void a_chunk_size_that_was_asked_for_stays(void **state)
{
    const struct source s = film("3 min", 4950, 50);

    (void)state;
    struct made m = make(&s, &(struct plan_options){ .chunk_seconds = 20, .early = 1 });
    assert_true(fabs(seconds(&m, &m.p.chunks[0]) - 20) < 1e-6);
    replan(&m, &(struct plan_options){ .chunk_count = 3, .early = 1 });
    assert_int_equal(m.p.n_chunks, 3);
    made_release(&m);
}

static void a_task_stays_below_ten_minutes(void **state)
{
    struct made m = make(&sources[3], &options[0]);

    (void)state;
    m.r[1].cost = 100;
    for (unsigned slots = 1; slots < 5; slots += 3) {
        replan(&m, &(struct plan_options){ .slots = slots });
        for (size_t i = 0; i < m.p.n_chunks; i++)
            assert_true(seconds(&m, &m.p.chunks[i]) * 100 <= 605);
    }
    made_release(&m);
}

static void the_timescale_holds_the_source(void **state)
{
    static const struct {
        AVRational tb;
        int64_t step;
        uint32_t want;
    } rows[] = {
        {{ 1, 25 },          1,                     90000   },
        { { 1, 1000 },       40,                    90000   },
        { { 1, 600 },        24,                    90000   },
        { { 1, 12800 },      512,                   12800   },
        { { 1001, 24000 },   1,                     24000   },
        { { 1001, 30000 },   1,                     30000   },
        { { 1, 7 },          1,                     90006   },
        { { 1, 999 },        40,                    90909   },
        { { 1, 1000000 },    40000,                 1000000 },
        { { 1, 1000000000 }, 40000000,              10000000},
        { { 1, 1000000000 }, INT64_C(300000000000), 90000   }, /* 32 bits can't hold that */
        { { 1, 2147483647 }, 85899345,              10000000},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct source s = { "x", rows[i].tb, rows[i].step, 0, 20, 5, 0 };
        struct made m = make(&s, &options[0]);
        if (m.p.timescale != rows[i].want)
            fail_msg("row %zu: %u, not %u", i, m.p.timescale, rows[i].want);
        made_release(&m);
    }
}

static void the_timeline_starts_with_what_starts_first(void **state)
{
    struct made m = make(&sources[3], &options[0]);

    (void)state;
    m.info.audio.start = -480; /* 10 ms earlier */
    m.info.audio.end = 48000 * 230;
    replan(&m, &(struct plan_options){ .slots = 2 });
    assert_int_equal(m.p.origin, -900);
    assert_int_equal(m.p.duration, 90000 * 230 + 900);
    assert_true(m.p.audio_cuts[m.p.n_audio_cuts - 1] > 90000 * 220);

    m.info.audio.start = -48000 * 20;
    replan(&m, &options[0]);
    assert_int_equal(m.p.origin, -90000 * 20);

    m.n_r = 3; /* no audio is made: its start doesn't matter */
    replan(&m, &options[0]);
    assert_int_equal(m.p.origin, 0);
    assert_int_equal(m.p.n_audio_cuts, 0);
    m.n_r = 4;
    made_release(&m);
}

static void audio_alone_has_cuts_and_no_chunks(void **state)
{
    struct made m = make(&sources[0], &options[0]);
    struct task *t;
    size_t n;

    (void)state;
    plan_release(&m.p);
    m.info.video = (struct video_info){ .stream = -1 };
    m.info.audio.start = 96000;
    m.info.audio.end = 96000 + 48000 * 20;
    assert_int_equal(plan_make(&m.info, NULL, m.r + 3, 1, &options[0], &m.p, NULL), 0);
    assert_int_equal(m.p.n_chunks, 0);
    assert_int_equal(m.p.origin, 96000);
    assert_int_equal(m.p.timescale, 48000);
    assert_int_equal(m.p.duration, 48000 * 20);
    assert_int_equal(m.p.n_audio_cuts, 3);
    assert_int_equal(plan_tasks(&m.p,
                                &(struct task){ .job = (char[]){ "j" }, .source = (char[]){ "s" } },
                                &t, &n, NULL),
                     0);
    assert_int_equal(n, 1);
    assert_string_equal(t[0].id, "a-0");
    assert_int_equal(t[0].timeline_end, 48000 * 20);
    task_release(&t[0]);
    free(t);
    made_release(&m);
}

/* A second track: 44.1 kHz, from `start` ms for `length` ms. */
static void add_track(struct made *m, int64_t start, int64_t length)
{
    struct audio_info *a = calloc(1, sizeof(*a));

    assert_non_null(a);
    *a = m->info.audio;
    a->stream = 7;
    a->sample_rate = 44100;
    a->tb = (AVRational){ 1, 1000 };
    a->start = start;
    a->end = start + length;
    m->info.more_audio = a;
    m->info.n_more_audio = 1;
    m->r = realloc(m->r, (m->n_r + 1) * sizeof(*m->r));
    assert_non_null(m->r);
    assert_int_equal(rendition_copy(&m->r[m->n_r - 1], &m->r[m->n_r]), 0);
    m->r[m->n_r++].track = 1;
}

static void every_track_is_one_task_on_the_same_timeline(void **state)
{
    struct made m = make(&sources[3], &options[0]);
    struct task *t;
    size_t n;

    (void)state;
    m.info.audio.start = 0;
    m.info.audio.end = 48000 * 230;
    add_track(&m, -500, 240000); /* begins first and ends last */
    replan(&m, &options[0]);
    assert_int_equal(plan_tracks(&m.p), 2);
    assert_int_equal(m.p.origin, -45000);
    assert_int_equal(m.p.duration, 90000 * 240);
    assert_int_equal(plan_tasks(&m.p, &(struct task){ .job = (char[]){ "j" } }, &t, &n, NULL), 0);
    for (size_t i = 0; i < 2; i++) {
        assert_string_equal(t[i].id, i ? "a-1" : "a-0");
        assert_int_equal(t[i].group, i);
        assert_int_equal(t[i].n_renditions, 1);
        assert_int_equal(t[i].info.n_more_audio, 0);
        assert_int_equal(t[i].info.audio.stream, i ? 7 : m.info.audio.stream);
        assert_int_equal(t[i].timeline_end, m.p.duration);
        assert_int_equal(t[i].n_audio_cuts, m.p.n_audio_cuts);
        assert_int_equal(t[i].origin, -45000);
    }
    assert_string_equal(t[2].id, "v-0000-0");
    for (size_t i = 0; i < n; i++)
        task_release(&t[i]);
    free(t);

    m.n_r--; /* nothing is made of it: its times don't matter */
    replan(&m, &options[0]);
    assert_int_equal(m.p.origin, 0);
    assert_int_equal(plan_tracks(&m.p), 1);
    m.n_r++;
    m.info.more_audio[0].end = INT64_C(1) << 59;
    assert_int_equal(plan_make(&m.info, &m.idx, m.r, m.n_r, &options[0], &m.p, NULL), -EINVAL);
    free(m.info.more_audio);
    made_release(&m);
}

static void tracks_alone_share_an_origin_in_their_own_time(void **state)
{
    struct made m = make(&sources[0], &options[0]);
    struct task *t;
    size_t n;

    (void)state;
    plan_release(&m.p);
    m.info.video = (struct video_info){ .stream = -1 };
    m.info.audio.start = 96000;
    m.info.audio.end = 96000 + 48000 * 20;
    add_track(&m, 1500, 22000);
    assert_int_equal(plan_make(&m.info, NULL, m.r + 3, 2, &options[0], &m.p, NULL), 0);
    assert_int_equal(m.p.origin, 72000);
    assert_int_equal(m.p.duration, 48000 * 22);
    assert_int_equal(plan_tasks(&m.p, &(struct task){ .job = (char[]){ "j" } }, &t, &n, NULL), 0);
    assert_int_equal(n, 2);
    assert_int_equal(t[0].origin, 72000);
    assert_int_equal(t[1].origin, 1500);
    task_release(&t[0]);
    task_release(&t[1]);
    free(t);
    free(m.info.more_audio);
    made_release(&m);
}

static void renditions_are_grouped_by_codec_and_memory(void **state)
{
    struct made m = make(&sources[0], &options[0]);
    struct task *t;
    size_t n;

    (void)state;
    assert_int_equal(m.p.n_groups, 2);
    assert_int_equal(m.p.groups[0].n_renditions, 2);
    assert_int_equal(m.p.groups[0].renditions[1], 2);
    assert_int_equal(plan_tasks(&m.p, &(struct task){ .job = (char[]){ "j" } }, &t, &n, NULL), 0);
    assert_string_equal(t[0].id, "a-0");
    assert_string_equal(t[1].id, "v-0000-0");
    assert_string_equal(t[2].id, "v-0000-1");
    assert_string_equal(t[3].id, "v-0001-0");
    for (size_t i = 0; i < n; i++)
        task_release(&t[i]);
    free(t);
    m.r[0].memory_bytes = m.r[2].memory_bytes = UINT64_C(2) << 30;
    replan(&m, &options[0]);
    assert_int_equal(m.p.n_groups, 3);
    made_release(&m);
}

static void what_cannot_be_planned_is_refused(void **state)
{
    struct source s = {
        "x", {1, 25},
         1, 0, 100, 10, 0
    };
    struct made m = make(&s, &options[0]);
    struct plan none = { 0 };
    struct err e = { 0 };

    (void)state;
    for (size_t i = 0; i < m.idx.n; i++)
        m.idx.packets[i].flags |= PACKET_HIDDEN;
    assert_int_equal(plan_make(&m.info, &m.idx, m.r, 4, &options[0], &none, &e), -EINVAL);
    assert_int_equal(e.cls, ERR_INPUT);
    assert_string_equal(e.text, "no video frame has a timestamp");

    m.idx.packets[0].flags = m.idx.packets[1].flags = PACKET_KEY;
    m.idx.packets[1].pts = INT64_C(1) << 59;
    assert_int_equal(plan_make(&m.info, &m.idx, m.r, 4, &options[0], &none, &e), -EINVAL);
    assert_non_null(strstr(e.text, "hours, at most 1000"));
    m.idx.packets[1].pts = INT64_MAX; /* the same as none */
    assert_int_equal(plan_make(&m.info, &m.idx, m.r, 4, &options[0], &none, &e), 0);
    assert_int_equal(none.chunks[0].pts.n_frames, 3); /* for as long as sound is heard */
    plan_release(&none);

    m.info.audio.end = INT64_C(1) << 59;
    assert_int_equal(plan_make(&m.info, &m.idx, m.r, 4, &options[0], &none, &e), -EINVAL);
    assert_non_null(strstr(e.text, "of sound span"));
    assert_int_equal(plan_make(&m.info, &m.idx, m.r, 0, &options[0], &none, &e), -EINVAL);
    assert_int_equal(plan_make(&m.info, &m.idx, m.r, 4,
                               &(struct plan_options){ .segment_seconds = 1e9 }, &none, &e),
                     -EINVAL);
    assert_int_equal(e.cls, ERR_USAGE);
    m.info.video.stream = -1;
    assert_int_equal(plan_make(&m.info, &m.idx, m.r, 4, &options[0], &none, &e), -EINVAL);
    assert_int_equal(e.cls, ERR_INPUT);
    made_release(&m);
}

/* Nonsense must give a plan that holds, or a refusal. */
static void any_index_gives_a_plan_or_a_refusal(void **state)
{
    uint32_t x = 1;

    (void)state;
    for (int round = 0; round < 300; round++) {
        struct source s = {
            "x", {1, 1000},
             40, 0, 200, 10, 2
        };
        struct made m = make(&s, &options[0]);
        for (size_t i = 0; i < m.idx.n; i++) {
            x = x * 1664525u + 1013904223u;
            struct index_packet *p = &m.idx.packets[i];
            if (x >> 30 == 0)
                p->pts = (int64_t)(x >> 8) % (round % 2 ? 9000 : 90000000);
            else if (x >> 29 == 2)
                p->flags = x >> 8 & 7;
            else if (x >> 28 == 6)
                p->pos = -1;
        }
        plan_release(&m.p);
        if (plan_make(&m.info, &m.idx, m.r, 4, &options[round % N_OPTIONS], &m.p, NULL) == 0) {
            json_t *j = plan_to_json(&m.p);
            struct plan back;
            struct err e = { 0 };
            if (plan_from_json(j, &back, &e) < 0)
                fail_msg("round %d: %s", round, e.text);
            plan_release(&back);
            json_decref(j);
        }
        made_release(&m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_plan_has_the_properties),
        cmocka_unit_test(shots_are_frames_that_are_shown_at_their_times),
        cmocka_unit_test(extras_have_tasks_of_their_own_before_those_of_chunks),
        cmocka_unit_test(more_text_than_a_message_holds_is_left_out),
        cmocka_unit_test(the_asked_number_of_chunks_is_made),
        cmocka_unit_test(ten_hours_have_a_plan),
        cmocka_unit_test(chunks_start_at_keyframes_where_they_can),
        cmocka_unit_test(keyframes_too_far_apart_do_not_make_chunks_long),
        cmocka_unit_test(leading_pictures_belong_to_the_chunk_before),
        cmocka_unit_test(an_unsafe_keyframe_is_reached_from_the_one_before),
        cmocka_unit_test(slots_end_together),
        cmocka_unit_test(one_slot_gets_few_chunks),
        cmocka_unit_test(the_first_chunk_is_small_where_it_is_wanted_early),
        cmocka_unit_test(a_chunk_size_that_was_asked_for_stays),
        cmocka_unit_test(a_task_stays_below_ten_minutes),
        cmocka_unit_test(the_timescale_holds_the_source),
        cmocka_unit_test(the_timeline_starts_with_what_starts_first),
        cmocka_unit_test(audio_alone_has_cuts_and_no_chunks),
        cmocka_unit_test(every_track_is_one_task_on_the_same_timeline),
        cmocka_unit_test(tracks_alone_share_an_origin_in_their_own_time),
        cmocka_unit_test(renditions_are_grouped_by_codec_and_memory),
        cmocka_unit_test(what_cannot_be_planned_is_refused),
        cmocka_unit_test(any_index_gives_a_plan_or_a_refusal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
