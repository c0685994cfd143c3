/* The verifier's edit lists: the boxes, and what they make of pictures and sound. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/verify/edit_list.h"
#include "cli/verify/source.h"

enum { PICTURES = 10, SHOWN_MAX = 16 };

/* Pictures of a second each, by number, and when they are shown, in seconds. */
static const struct row {
    const char *name;
    struct edit edits[4];
    size_t n;
    size_t n_shown;
    size_t number[SHOWN_MAX];
    double at[SHOWN_MAX];
} rows[] = {
    {"all of it",
     { { 0, INFINITY, 0, 1, 0 } },
     1,                                                                 10,
     { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 },
     { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 }                                                                         },
    { "the rest of a picture is shown",
     { { 0, 2, 3.25, 1, 0 } },
     1,                                                                 3,
     { 3, 4, 5 },
     { 0, 0.75, 1.75 }                                                                                        },
    { "edits that follow each other are one",
     { { 0, 2, 1, 1, 0 }, { 2, 2, 3, 1, 0 } },
     2,                                                                 4,
     { 1, 2, 3, 4 },
     { 0, 1, 2, 3 }                                                                                           },
    { "a cut inside of a picture is none",
     { { 0, 1.5, 1, 1, 0 }, { 1.5, 1.5, 2.5, 1, 0 } },
     2,                                                                 3,
     { 1, 2, 3 },
     { 0, 1, 2 }                                                                                              },
    { "what is repeated is there twice",
     { { 0, 1, 4, 1, 0 }, { 1, 1, 3, 1, 0 }, { 2, 1, 4, 1, 0 } },
     3,                                                                 3,
     { 4, 3, 4 },
     { 0, 1, 2 }                                                                                              },
    { "a dwell holds its picture",
     { { 0, 2, 0, 1, 0 }, { 2, 3, 5.5, 0, 0 }, { 5, 1, 2, 1, 0 } },
     3,                                                                 4,
     { 0, 1, 5, 2 },
     { 0, 1, 2, 5 }                                                                                           },
    { "an empty edit lets time pass",
     { { 0, 2, -1, 1, 1 }, { 2, 2, 0, 1, 0 } },
     2,                                                                 2,
     { 0, 1 },
     { 2, 3 }                                                                                                 },
    { "twice as fast",                        { { 0, 2, 2, 2, 0 } }, 1, 4,  { 2, 3, 4, 5 }, { 0, 0.5, 1, 1.5 }},
};

static void lists_show_pictures(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        const struct row *row = &rows[i];
        struct source s = {
            .video_tb = {1, 1},
              .n = PICTURES
        };
        struct edit_track t = { .edits = (struct edit *)row->edits, .n = row->n };
        s.pictures = calloc(PICTURES, sizeof(*s.pictures));
        assert_non_null(s.pictures);
        for (size_t k = 0; k < PICTURES; k++)
            s.pictures[k] = (struct source_picture){ .at = (int64_t)k, .number = k };
        print_message("%s\n", row->name);
        assert_int_equal(edits_show(&t, &s), 0);
        assert_int_equal(s.n, row->n_shown);
        for (size_t k = 0; k < s.n; k++) {
            assert_int_equal(s.pictures[k].number, row->number[k]);
            assert_true(fabs((double)s.pictures[k].at * av_q2d(s.video_tb) - row->at[k]) < 1e-6);
        }
        free(s.pictures);
    }
}

/* Frames of a second, ten of them; of the first edit half of one and half of the next. */
static void lists_play_sound(void **state)
{
    struct edit edits[] = {
        {0,  1, 2.5, 1, 0},
        { 1, 2, 7,   0, 0},
        { 3, 1, 9.5, 1, 0}
    };
    struct edit_track t = { .edits = edits, .n = 3 };
    struct sound s = { .n = 10 };
    (void)state;
    s.frames = calloc(s.n, sizeof(*s.frames));
    assert_non_null(s.frames);
    for (size_t i = 0; i < s.n; i++)
        s.frames[i] = (struct sound_frame){
            .at_s = (double)i, .first = (double)i * SOUND_RATE, .seconds = 1, .rate = 1
        };
    assert_int_equal(edits_play(&t, &s), 0);
    assert_int_equal(s.n, 3);
    static const double at[] = { 0, 0.5, 3 }, first[] = { 2.5, 3, 9.5 };
    for (size_t i = 0; i < s.n; i++) {
        assert_true(fabs(s.frames[i].at_s - at[i]) < 1e-9);
        assert_true(fabs(s.frames[i].first - first[i] * SOUND_RATE) < 1e-6);
        assert_true(fabs(s.frames[i].seconds - 0.5) < 1e-9);
    }
    sound_release(&s);
}

/* ---- the boxes ---- */

struct bytes {
    uint8_t v[1024];
    size_t n;
};

static void put32(struct bytes *b, uint32_t v)
{
    for (int i = 24; i >= 0; i -= 8)
        b->v[b->n++] = (uint8_t)(v >> i);
}

static size_t begin(struct bytes *b, const char *type)
{
    size_t at = b->n;
    put32(b, 0);
    memcpy(b->v + b->n, type, 4);
    b->n += 4;
    return at;
}

static void end(struct bytes *b, size_t at)
{
    struct bytes size = { 0 };
    put32(&size, (uint32_t)(b->n - at));
    memcpy(b->v + at, size.v, 4);
}

static void header(struct bytes *b, const char *type, uint32_t field, uint32_t duration)
{
    size_t at = begin(b, type);
    for (int i = 0; i < 3; i++)
        put32(b, 0);
    put32(b, field);
    put32(b, duration);
    end(b, at);
}

static void make_file(struct bytes *b, uint32_t entries, uint32_t rate)
{
    size_t moov = begin(b, "moov");
    header(b, "mvhd", 600, 0);
    size_t trak = begin(b, "trak"), edts, elst, mdia;
    header(b, "tkhd", 7, 0);
    edts = begin(b, "edts");
    elst = begin(b, "elst");
    put32(b, 0);
    put32(b, entries);
    put32(b, 300);
    put32(b, UINT32_MAX); /* empty */
    put32(b, 1 << 16);
    put32(b, 1200);
    put32(b, 4500);
    put32(b, rate);
    end(b, elst);
    end(b, edts);
    mdia = begin(b, "mdia");
    header(b, "mdhd", 9000, 22500);
    end(b, mdia);
    end(b, trak);
    end(b, moov);
}

static void read_file(const struct bytes *b, size_t len, struct edit_lists *ret)
{
    char path[] = "/tmp/test_verify_edits.XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, b->v, len), (ssize_t)len);
    close(fd);
    assert_int_equal(edit_lists_read(path, ret), 0);
    unlink(path);
}

static void boxes_are_read(void **state)
{
    struct bytes b = { 0 };
    struct edit_lists l = { 0 };
    (void)state;
    make_file(&b, 2, 1 << 15);
    read_file(&b, b.n, &l);
    const struct edit_track *t = edit_lists_of(&l, 7);
    assert_null(edit_lists_of(&l, 1));
    assert_non_null(t);
    assert_int_equal(t->n, 2);
    assert_true(t->edits[0].empty && t->edits[0].lasts_s == 0.5);
    assert_true(t->edits[1].from_s == 0.5 && t->edits[1].lasts_s == 2);
    assert_true(t->edits[1].media_s == 0.5 && t->edits[1].rate == 0.5);
    edit_lists_release(&l);
}

static void a_dwell_as_long_as_the_media_is_a_mistake(void **state)
{
    struct bytes b = { 0 };
    struct edit_lists l = { 0 };
    (void)state;
    make_file(&b, 2, 0);
    read_file(&b, b.n, &l);
    assert_true(edit_lists_of(&l, 7)->edits[1].rate == 1);
    edit_lists_release(&l);
}

static void boxes_that_lie_are_none(void **state)
{
    struct bytes b = { 0 };
    struct edit_lists l = { 0 };
    (void)state;
    make_file(&b, 3000000000U, 1 << 16);
    read_file(&b, b.n, &l);
    assert_int_equal(l.n, 0);
    edit_lists_release(&l);
    for (size_t len = 0; len < b.n; len++) {
        read_file(&b, len, &l);
        assert_int_equal(l.n, 0);
        edit_lists_release(&l);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_show_pictures),
        cmocka_unit_test(lists_play_sound),
        cmocka_unit_test(boxes_are_read),
        cmocka_unit_test(a_dwell_as_long_as_the_media_is_a_mistake),
        cmocka_unit_test(boxes_that_lie_are_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
