/* Plans of edited sources: what a worker makes of their spans is what the
 * edit lists show, however it is cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <libavutil/mathematics.h>

#include "common/base/err.h"
#include "common/media/edit_frames.h"
#include "common/wire/task.h"
#include "test_plan_check.h"

enum { LISTS = 200, EDITS = 6, FRAMES = 500 };

static const struct source sources[] = {
    {"B pictures",    { 1, 12800 }, 512,    1024,   FRAMES, 48,              2},
    {            "open GOPs, unsafe",   { 1, 12800 },          512,   1024, FRAMES,     48,               2, 1, .unsafe = 1 },
    { "one keyframe", { 1, 12800 }, 512,    0,      FRAMES, 0,               3},
    {            "every one a keyframe",      { 1, 25 },            1,      0, FRAMES,      1,               0},
    { "interlaced",           { 1, 90000 },                      3600, 0,     FRAMES,      24, 1, .interlaced = 1 },
};
enum { N_SOURCES = sizeof(sources) / sizeof(*sources) };

static const struct plan_options options[] = {
    { .chunk_count = 1 }, { .chunk_seconds = 1 }, { .chunk_seconds = 0.3 }, { .slots = 4 }
};
enum { N_OPTIONS = sizeof(options) / sizeof(*options) };

static uint32_t draw(uint32_t *state, uint32_t n)
{
    *state = *state * 1664525 + 1013904223;
    return (*state >> 8) % n;
}

/* Edits of 1 ms to 3 s, of which some are empty, held, or faster or slower. */
static void edit(struct media_info *info, uint32_t seed)
{
    static const int32_t rates[] = { 65536, 65536, 65536, 0, 32768, 131072 };
    int64_t at = 0, whole = info->video.end - info->video.start;

    info->edits = calloc(EDITS, sizeof(*info->edits));
    assert_non_null(info->edits);
    info->edit_scale = 1000;
    for (size_t n = 1 + draw(&seed, EDITS); n > 0; n--) {
        int64_t length = 1 + draw(&seed, draw(&seed, 3) ? 3000 : 30);
        if (draw(&seed, 6) || info->n_edits == 0)
            info->edits[info->n_edits++] = (struct edit){ info->video.stream, at, length,
                                                          info->video.start +
                                                              draw(&seed, (uint32_t)whole),
                                                          rates[draw(&seed, 6)] };
        at += length;
    }
}

static size_t packet_named(const struct media_index *idx, const struct chunk_span *s)
{
    size_t i = 0;

    while (i < idx->n && (idx->packets[i].pts != s->seek_pts || idx->packets[i].dts != s->seek_dts))
        i++;
    assert_true(i < idx->n);
    return i;
}

/* What is shown when, of the packets that a span feeds: appends to `f`. */
static size_t span_shows(const struct media_index *idx, const struct chunk_span *s,
                         struct edit_frame *f)
{
    size_t from = packet_named(idx, s), n = s->shown.n_frames;
    int64_t *media = calloc(s->media.n_frames, sizeof(*media)), *shown = calloc(n, sizeof(*shown));

    assert_true(media && shown && idx->packets[from].flags & PACKET_KEY);
    assert_true(from + s->packets <= idx->n);
    pts_list_expand(&s->media, media);
    pts_list_expand(&s->shown, shown);
    for (size_t k = 0; k < n; k++) {
        int64_t want = media[s->media.n_frames == 1 ? 0 : k];
        size_t i = from;
        while (i < from + s->packets && idx->packets[i].pts != want)
            i++;
        assert_true(i < from + s->packets);
        f[k] = (struct edit_frame){ shown[k], i };
    }
    free(media);
    free(shown);
    return n;
}

/* The frames of a chunk and those around it, and which of them are its own. */
static void chunk_holds(const struct media_index *idx, const struct chunk *c,
                        const struct edit_frame *want, size_t n_want)
{
    struct edit_frame *got = calloc(n_want + 1, sizeof(*got));
    size_t n = 0, at = 0, own = 0;

    assert_non_null(got);
    for (size_t i = 0; i < c->n_spans; i++) {
        assert_true(n + c->spans[i].shown.n_frames <= n_want);
        n += span_shows(idx, &c->spans[i], got + n);
    }
    while (at < n_want && want[at].pts < got[0].pts)
        at++;
    for (size_t i = 0; i < n; i++) {
        assert_true(at + i < n_want);
        assert_int_equal(got[i].pts, want[at + i].pts);
        assert_int_equal(got[i].packet, want[at + i].packet);
        own += got[i].pts >= c->start && got[i].pts < c->end;
    }
    assert_int_equal(own, c->pts.n_frames);
    free(got);
}

static void cut_and_check(const struct source *s, uint32_t seed)
{
    struct media_info info;
    struct media_index idx;
    struct edit_frame *want;
    struct rendition *r;
    size_t n, n_r;
    int64_t end;

    source_make(s, &info, &idx);
    edit(&info, seed);
    r = source_renditions(s, &n_r);
    assert_int_equal(edit_frames(&info, &idx, &want, &n, &end), 0);
    /* Sound that goes on would have pictures repeated. */
    info.audio.start = n > 0 ? av_rescale_q(want[0].pts, info.video.tb, info.audio.tb) : 0;
    info.audio.end = info.audio.start;
    for (size_t o = 0; n > 0 && o < N_OPTIONS; o++) {
        struct plan p;
        struct err e = { 0 };
        uint64_t frames = 0;
        if (plan_make(&info, &idx, r, n_r, &options[o], &p, &e) < 0)
            fail_msg("%s, list %u: %s", s->name, seed, e.text);
        for (size_t c = 0; c < p.n_chunks; c++) {
            chunk_holds(&idx, &p.chunks[c], want, n);
            frames += p.chunks[c].pts.n_frames;
        }
        assert_int_equal(frames, n);
        plan_release(&p);
    }
    free(want);
    free(info.edits);
    free(idx.packets);
    rendition_list_free(r, n_r);
}

static void spans_show_what_edits_say(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_SOURCES; i++)
        for (uint32_t seed = 0; seed < LISTS; seed++)
            cut_and_check(&sources[i], seed);
}

/* Each task has only what its worker needs to know. */
static void tasks_have_their_own_edits(void **state)
{
    struct media_info info;
    struct media_index idx;
    struct rendition *r;
    size_t n_r, n;
    struct plan p;
    struct task *t;
    struct err e = { 0 };
    const struct task base = {
        .job = (char *)"j", .source = (char *)"s", .etag = (char *)"e", .output = (char *)"o"
    };
    struct edit edits[] = {
        {0,  0,    1000, 2000, 65536},
        { 0, 1000, 1000, 1000, 65536},
        { 1, 0,    500,  77,   65536},
    };

    (void)state;
    source_make(&sources[0], &info, &idx);
    info.edits = edits;
    info.n_edits = 3;
    info.edit_scale = 1000;
    r = source_renditions(&sources[0], &n_r);
    if (plan_make(&info, &idx, r, n_r, &options[0], &p, &e) < 0 ||
        plan_tasks(&p, &base, &t, &n, &e) < 0)
        fail_msg("%s", e.text);
    for (size_t i = 0; i < n; i++) {
        int stream = t[i].kind == TASK_AUDIO ? t[i].info.audio.stream : t[i].info.video.stream;
        assert_int_equal(t[i].info.n_edits, 1);
        assert_int_equal(t[i].info.edits[0].stream, stream);
        assert_int_equal(t[i].chunk.n_spans, t[i].kind == TASK_VIDEO ? p.chunks[0].n_spans : 0);
        task_release(&t[i]);
    }
    free(t);
    plan_release(&p);
    free(idx.packets);
    rendition_list_free(r, n_r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spans_show_what_edits_say),
        cmocka_unit_test(tasks_have_their_own_edits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
