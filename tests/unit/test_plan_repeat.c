/* Where sound begins long before the picture, or goes on long behind it, pictures are repeated:
 * every segment has some, and however the timeline is cut they are the same ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/base/err.h"
#include "common/wire/task.h"
#include "test_plan_check.h"

enum { FRAMES = 250 };

static const struct source sources[] = {
    {"B pictures",    { 1, 12800 }, 512,    1024,   FRAMES, 48,              2},
    {            "open GOPs, unsafe",   { 1, 12800 },          512,   1024, FRAMES,     48,               2, 1, .unsafe = 1 },
    { "one keyframe", { 1, 12800 }, 512,    0,      FRAMES, 0,               3},
    {            "one picture",   { 1, 12800 },          512,      0,      1,      1,               0},
    { "interlaced",           { 1, 90000 },                      3600, 0,     FRAMES,      24, 1, .interlaced = 1 },
};
enum { N_SOURCES = sizeof(sources) / sizeof(*sources) };

static const struct plan_options options[] = {
    { .chunk_count = 1 }, { .chunk_seconds = 1 }, { .chunk_seconds = 3.3 }, { .slots = 4 }
};
enum { N_OPTIONS = sizeof(options) / sizeof(*options) };

struct made {
    struct media_info info;
    struct media_index idx;
    struct rendition *r;
    size_t n_r;
    int64_t first, last; /* pictures */
};

static void source_open(struct made *m, const struct source *s, double before, double after)
{
    const struct video_info *v = &m->info.video;

    source_make(s, &m->info, &m->idx);
    m->r = source_renditions(s, &m->n_r);
    m->first = INT64_MAX, m->last = INT64_MIN;
    for (size_t i = 0; i < m->idx.n; i++) {
        if (m->idx.packets[i].flags & PACKET_HIDDEN)
            continue;
        m->first = m->idx.packets[i].pts < m->first ? m->idx.packets[i].pts : m->first;
        m->last = m->idx.packets[i].pts > m->last ? m->idx.packets[i].pts : m->last;
    }
    struct audio_info *a = &m->info.audio;
    double scale = av_q2d(v->tb) / av_q2d(a->tb);
    a->start = (int64_t)((double)m->first * scale - before / av_q2d(a->tb));
    a->end = (int64_t)((double)m->last * scale + after / av_q2d(a->tb));
}

static void source_close(struct made *m)
{
    free(m->idx.packets);
    rendition_list_free(m->r, m->n_r);
}

/* Each repeated frame is shown by a span that has nothing but the picture. */
static void spans_check(const struct made *m, const struct chunk *c)
{
    for (size_t i = 0; i < c->n_spans; i++) {
        const struct chunk_span *s = &c->spans[i];
        int64_t shown = s->shown.first, media = s->media.first;
        if (shown < m->first)
            assert_int_equal(media, m->first);
        else if (pts_list_last(&s->shown) > m->last && shown >= m->last)
            assert_int_equal(media, m->last);
        else
            assert_int_equal(media, shown);
        assert_true(s->media.n_frames == 1 || s->media.n_frames == s->shown.n_frames);
    }
    if (c->start < m->first || pts_list_last(&c->pts) > m->last)
        assert_true(c->n_spans > 0);
}

/* Frames stand no further apart than two seconds (and a frame), from where sound begins to where
 * it ends. Returns how many there are. */
static uint64_t plan_whole(const struct made *m, const struct plan *p)
{
    double tick = av_q2d(m->info.video.tb);
    int64_t prev = p->origin;
    uint64_t n = 0;

    assert_int_equal(p->chunks[0].start, p->origin);
    for (size_t c = 0; c < p->n_chunks; c++) {
        const struct chunk *k = &p->chunks[c];
        int64_t *pts = calloc(k->pts.n_frames, sizeof(*pts));
        assert_non_null(pts);
        pts_list_expand(&k->pts, pts);
        for (size_t i = 0; i < k->pts.n_frames; prev = pts[i++])
            assert_true((double)(pts[i] - prev) * tick < 2.08);
        free(pts);
        spans_check(m, k);
        for (size_t i = 0; i < k->n_segments; i++) {
            int64_t to = i + 1 < k->n_segments ? k->gops[k->segments[i + 1]] : k->end;
            assert_true((double)(to - k->gops[k->segments[i]]) * tick < 1.5 * 6 + 0.6);
        }
        n += k->pts.n_frames;
    }
    assert_true((double)(p->chunks[p->n_chunks - 1].end - prev) * tick < 2.08);
    return n;
}

static void sound_alone_has_a_picture(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_SOURCES; i++)
        for (size_t o = 0; o < N_OPTIONS; o++) {
            struct made m;
            struct plan p;
            struct err e = { 0 };
            source_open(&m, &sources[i], 6.65, 30);
            if (plan_make(&m.info, &m.idx, m.r, m.n_r, &options[o], &p, &e) < 0)
                fail_msg("%s: %s", sources[i].name, e.text);
            uint64_t n = plan_whole(&m, &p);
            assert_in_range(n, (uint64_t)sources[i].frames + 4 + 15,
                            (uint64_t)sources[i].frames + 4 + 16);
            assert_int_equal(p.info.video.vfr, 1);
            plan_release(&p);
            source_close(&m);
        }
}

/* Files end so: nothing is repeated, and nothing else of the plan changes. */
static void less_than_a_second_of_it_changes_nothing(void **state)
{
    struct made m;
    struct plan p;
    struct err e = { 0 };

    (void)state;
    source_open(&m, &sources[0], 0.9, 0.9);
    if (plan_make(&m.info, &m.idx, m.r, m.n_r, &options[0], &p, &e) < 0)
        fail_msg("%s", e.text);
    assert_int_equal(p.chunks[0].pts.n_frames, FRAMES);
    assert_int_equal(p.chunks[0].n_spans, 0);
    assert_int_equal(p.info.video.vfr, m.info.video.vfr);
    plan_release(&p);
    source_close(&m);
}

/* An hour of sound with one picture has one keyframe a segment. */
static void an_hour_costs_little(void **state)
{
    struct made m;
    struct plan p;
    struct err e = { 0 };
    uint64_t frames = 0, gops = 0;

    (void)state;
    source_open(&m, &sources[3], 0, 3600);
    if (plan_make(&m.info, &m.idx, m.r, m.n_r, &options[3], &p, &e) < 0)
        fail_msg("%s", e.text);
    for (size_t c = 0; c < p.n_chunks; c++) {
        frames += p.chunks[c].pts.n_frames;
        gops += p.chunks[c].n_gops;
        assert_true(p.chunks[c].packets <= 2);
    }
    assert_in_range(frames, 1795, 1810);
    assert_in_range(gops, 600, 700);
    assert_true(p.n_chunks <= 16); /* they are cut by work, of which there is little */
    double cost = 0, tasks_cost = 0, rate = 0;
    for (size_t i = 0; i < p.n_video; i++)
        rate += p.renditions[i].cost;
    for (size_t c = 0; c < p.n_chunks; c++)
        cost += p.chunks[c].cost;
    assert_true(cost < 75 * rate && cost > 70 * rate); /* 25 frames are as dear as a second */
    struct task *t;
    size_t n;
    assert_int_equal(plan_tasks(&p, &(struct task){ .job = (char[]){ "j" } }, &t, &n, NULL), 0);
    for (size_t i = 0; i < n; i++) {
        tasks_cost += t[i].kind == TASK_VIDEO ? t[i].cost : 0;
        task_release(&t[i]);
    }
    free(t);
    assert_true(tasks_cost < cost * 1.01 && tasks_cost > cost * 0.99);
    plan_release(&p);
    source_close(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sound_alone_has_a_picture),
        cmocka_unit_test(less_than_a_second_of_it_changes_nothing),
        cmocka_unit_test(an_hour_costs_little),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
