/* Fields that are pictures of their own, and the frames they make. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "worker/weave.h"

enum { WIDTH = 4, LINES = 2 };

static AVFrame *field(int top, uint8_t value, int64_t pts)
{
    AVFrame *f = av_frame_alloc();

    f->format = AV_PIX_FMT_GRAY8;
    f->width = WIDTH;
    f->height = LINES;
    assert_int_equal(av_frame_get_buffer(f, 0), 0);
    for (int y = 0; y < LINES; y++)
        memset(f->data[0] + (ptrdiff_t)y * f->linesize[0], value + y, WIDTH);
    f->top_field_first = top;
    f->pts = pts;
    return f;
}

static void assert_lines(const AVFrame *f, const uint8_t want[2 * LINES])
{
    assert_int_equal(f->height, 2 * LINES);
    for (int y = 0; y < 2 * LINES; y++)
        assert_int_equal(f->data[0][(ptrdiff_t)y * f->linesize[0]], want[y]);
}

static void two_fields_are_a_frame(void **state)
{
    static const struct row {
        int top_first;
        uint8_t want[2 * LINES];
    } rows[] = {
        {1,  { 10, 50, 11, 51 }},
        { 0, { 50, 10, 51, 11 }},
    };

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct weave w = { 0 };
        AVFrame *a = field(rows[i].top_first, 10, 7), *b = field(!rows[i].top_first, 50, 8);
        assert_int_equal(weave_field(&w, a, 1), 0);
        assert_int_equal(weave_field(&w, b, 0), 1);
        assert_lines(b, rows[i].want);
        assert_int_equal(b->pts, 7);
        assert_true(b->interlaced_frame);
        assert_int_equal(b->top_field_first, rows[i].top_first);
        assert_null(w.first);
        av_frame_free(&a);
        av_frame_free(&b);
        weave_release(&w);
    }
}

static void a_field_without_its_mate_makes_nothing(void **state)
{
    struct weave w = { 0 };
    AVFrame *a = field(0, 1, 0), *b = field(1, 2, 1), *c = field(1, 3, 2), *d = field(0, 4, 3);

    (void)state;
    assert_int_equal(weave_field(&w, a, 0), 0); /* a second one, first of all */
    assert_int_equal(weave_field(&w, b, 1), 0);
    assert_int_equal(weave_field(&w, c, 1), 0); /* b's second is lost */
    assert_int_equal(weave_field(&w, d, 0), 1);
    assert_int_equal(d->pts, 2);
    av_frame_free(&a);
    av_frame_free(&b);
    av_frame_free(&c);
    av_frame_free(&d);
    weave_release(&w);
}

static void a_field_alone_fills_a_frame(void **state)
{
    static const uint8_t want[2 * LINES] = { 9, 9, 10, 10 };
    AVFrame *f = field(1, 9, 0);

    (void)state;
    assert_int_equal(weave_alone(f), 0);
    assert_lines(f, want);
    assert_false(f->interlaced_frame);
    av_frame_free(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_fields_are_a_frame),
        cmocka_unit_test(a_field_without_its_mate_makes_nothing),
        cmocka_unit_test(a_field_alone_fills_a_frame),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
