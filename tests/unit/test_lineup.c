/* Decoded frames against planned ones: whatever a decoder gives, exactly the
 * planned frames leave, at the planned times. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/base/err.h"
#include "worker/lineup.h"

enum { MOST = 8 };

struct seen {
    int64_t planned, content[MOST];
    size_t n;
};

/* Each frame carries the pts that it was decoded with as its picture. */
static AVFrame *decoded_frame(int64_t pts)
{
    AVFrame *f = av_frame_alloc();

    assert_non_null(f);
    f->width = f->height = 16;
    f->format = 0;
    assert_int_equal(av_frame_get_buffer(f, 0), 0);
    f->data[0][0] = (uint8_t)pts;
    f->pts = pts;
    return f;
}

static int on_emit(void *arg, size_t i, AVFrame *f, struct err *err)
{
    struct seen *s = arg;

    (void)err;
    assert_int_equal(i, s->n);
    assert_true(s->n < MOST);
    assert_int_equal(f->pts, s->planned + (int64_t)i * 10);
    s->content[s->n++] = f->data[0][0];
    f->pts = -1; /* the taker may */
    return 0;
}

/* The plan is 10, 20, 30, 40; lists end with 0. */
static const struct row {
    const char *name;
    int64_t decoded[MOST], want[4];
    uint64_t concealed, dropped;
} rows[] = {
    {"all there, all pass",                       { 10, 20, 30, 40 },     { 10, 20, 30, 40 }, 0, 0},
    { "missing in the middle: the one before",    { 10, 20, 40 },         { 10, 20, 20, 40 }, 1, 0},
    { "two missing: the one before, twice",       { 10, 40 },             { 10, 10, 10, 40 }, 2, 0},
    { "missing at the start: the one after",      { 20, 30, 40 },         { 20, 20, 30, 40 }, 1, 0},
    { "only the last: it stands for all",         { 40 },                 { 40, 40, 40, 40 }, 3, 0},
    { "missing at the end: the last one",         { 10, 20 },             { 10, 20, 20, 20 }, 2, 0},
    { "an unplanned one between is dropped",      { 10, 15, 20, 30, 40 }, { 10, 20, 30, 40 }, 0, 1},
    { "an unplanned one first is dropped",        { 5, 10, 20, 30, 40 },  { 10, 20, 30, 40 }, 0, 1},
    { "ones after the end are dropped",           { 10, 20, 30, 40, 50 }, { 10, 20, 30, 40 }, 0, 1},
    { "a doubled one is dropped",                 { 10, 20, 20, 30, 40 }, { 10, 20, 30, 40 }, 0, 1},
    { "a late one is dropped, its place taken",   { 10, 30, 20, 40 },     { 10, 10, 30, 40 }, 1, 1},
    { "an unplanned one never stands in",         { 10, 15, 30, 40 },     { 10, 10, 30, 40 }, 1, 1},
    { "for a wild time none is given up",         { 10, 99, 20, 30, 40 }, { 10, 20, 30, 40 }, 0, 1},
    { "one after the end makes up for none lost", { 10, 20, 30, 45 },     { 10, 20, 30, 30 }, 1, 1},
};

static void start(struct lineup *l, struct seen *s)
{
    struct pts_run run = { .delta = 10, .count = 3 };
    const struct chunk c = {
        .pts = {.first = 10, .runs = &run, .n_runs = 1, .n_frames = 4}
    };
    struct err err = { 0 };

    *s = (struct seen){ .planned = 10 };
    *l = (struct lineup){ .emit = on_emit, .arg = s };
    assert_int_equal(lineup_init(l, &c, &err), 0);
}

static void push(struct lineup *l, int64_t pts)
{
    struct err err = { 0 };
    AVFrame *f = decoded_frame(pts);

    if (lineup_push(l, f, &err) < 0)
        fail_msg("%s", err.text);
    av_frame_free(&f);
}

static void exactly_the_planned_frames_leave(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        const struct row *w = &rows[i];
        struct lineup l;
        struct seen s;
        struct err err = { 0 };
        size_t n = 0;

        print_message("# %s\n", w->name);
        start(&l, &s);
        for (; n < MOST && w->decoded[n]; n++)
            push(&l, w->decoded[n]);
        assert_int_equal(lineup_finish(&l, &err), 0);
        assert_true(lineup_complete(&l));
        assert_int_equal(s.n, 4);
        for (size_t k = 0; k < 4; k++)
            assert_int_equal(s.content[k], w->want[k]);
        assert_int_equal(l.concealed, w->concealed);
        assert_int_equal(l.dropped, w->dropped);
        assert_int_equal(l.decoded + l.concealed, 4);
        assert_int_equal(l.decoded + l.dropped, n);
        lineup_release(&l);
    }
}

static void a_chunk_without_any_frame_is_the_inputs_fault(void **state)
{
    const int64_t none = 0, early = 5;
    const int64_t tries[] = { none, early };

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct lineup l;
        struct seen s;
        struct err err = { 0 };

        start(&l, &s);
        if (tries[i] != none)
            push(&l, tries[i]);
        assert_int_equal(lineup_finish(&l, &err), -EINVAL);
        assert_int_equal(err.cls, ERR_INPUT);
        assert_int_equal(s.n, 0);
        lineup_release(&l);
    }
}

static int refuse(void *arg, size_t i, AVFrame *f, struct err *err)
{
    (void)arg, (void)i, (void)f;
    return err_set(err, -EIO, ERR_INTERNAL, "no");
}

static void a_failing_encoder_stops_the_line(void **state)
{
    struct lineup l;
    struct seen s;
    struct err err = { 0 };
    AVFrame *f = decoded_frame(30);

    (void)state;
    start(&l, &s);
    l.emit = refuse;
    assert_int_equal(lineup_push(&l, f, &err), -EIO);
    assert_string_equal(err.text, "no");
    av_frame_free(&f);
    lineup_release(&l);
}

static void what_is_lent_stands_in_for_all(void **state)
{
    struct lineup l;
    struct seen s;
    struct err err = { 0 };
    AVFrame *f = decoded_frame(7);

    (void)state;
    start(&l, &s);
    assert_true(lineup_empty(&l));
    assert_int_equal(lineup_lend(&l, f, &err), 0);
    assert_false(lineup_empty(&l));
    assert_int_equal(lineup_finish(&l, &err), 0);
    assert_int_equal(l.concealed, 4);
    for (size_t k = 0; k < 4; k++)
        assert_int_equal(s.content[k], 7);
    av_frame_free(&f);
    lineup_release(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exactly_the_planned_frames_leave),
        cmocka_unit_test(a_chunk_without_any_frame_is_the_inputs_fault),
        cmocka_unit_test(what_is_lent_stands_in_for_all),
        cmocka_unit_test(a_failing_encoder_stops_the_line),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
