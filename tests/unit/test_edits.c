/* Edit lists: what boxes say, and which pictures are shown when. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/err.h"
#include "common/media/edit_boxes.h"
#include "common/media/edit_frames.h"
#include "common/wire/media_info.h"
#include "inside_double.h"

/* ---- boxes ---- */

struct file {
    uint8_t p[8192];
    size_t n, open[8], n_open;
};

static void put(struct file *f, uint64_t value, size_t bytes)
{
    for (size_t i = bytes; i-- > 0;)
        f->p[f->n++] = i < 8 ? (uint8_t)(value >> 8 * i) : 0;
}

static void box(struct file *f, const char *type)
{
    f->open[f->n_open++] = f->n;
    put(f, 0, 4);
    memcpy(f->p + f->n, type, 4);
    f->n += 4;
}

static void box_end(struct file *f)
{
    size_t at = f->open[--f->n_open], n = f->n;

    f->n = at;
    put(f, n - at, 4);
    f->n = n;
}

/* mvhd or tkhd, with the one number of them that counts. */
static void header(struct file *f, const char *type, int wide, uint32_t number)
{
    box(f, type);
    put(f, wide ? 1u << 24 : 0, 4);
    put(f, 0, wide ? 16 : 8);
    put(f, number, 4);
    put(f, 0, 76);
    box_end(f);
}

static void list(struct file *f, int wide, const struct raw_edit *e, size_t n)
{
    box(f, "edts");
    box(f, "elst");
    put(f, wide ? 1u << 24 : 0, 4);
    put(f, n, 4);
    for (size_t i = 0; i < n; i++) {
        put(f, e[i].length, wide ? 8 : 4);
        put(f, (uint64_t)e[i].media, wide ? 8 : 4);
        put(f, (uint32_t)e[i].rate, 4);
    }
    box_end(f);
    box_end(f);
}

static const struct raw_edit three[] = {
    {500,   -1,    1 << 16},
    { 1000, 12800, 0      },
    { 70,   512,   1 << 17},
};

/* A movie of two tracks, the second one's list `three`. */
static void movie(struct file *f, int wide)
{
    memset(f, 0, sizeof(*f));
    box(f, "ftyp");
    put(f, 0, 8);
    box_end(f);
    box(f, "moov");
    header(f, "mvhd", wide, 600);
    box(f, "trak");
    header(f, "tkhd", wide, 7);
    box_end(f);
    box(f, "trak");
    header(f, "tkhd", wide, 9);
    list(f, wide, three, 3);
    box(f, "mdia");
    box(f, "minf");
    box(f, "stbl");
    box(f, "ctts");
    put(f, 0, 4);
    put(f, 1, 4);
    put(f, 100, 4);
    put(f, 1024, 4);
    for (int i = 0; i < 6; i++)
        if (f->n_open > 1)
            box_end(f);
    box_end(f);
}

static struct edit_tracks boxes_of(const struct file *f, size_t n)
{
    struct inside in = { .data = f->p, .size = n };
    struct err err = { 0 };
    struct edit_tracks t;

    if (edit_boxes_read(&in, &t, &err) < 0)
        fail_msg("%s", err.text);
    return t;
}

static void lists_of_both_versions_are_read(void **state)
{
    (void)state;
    for (int wide = 0; wide < 2; wide++) {
        struct file f;
        movie(&f, wide);
        struct edit_tracks t = boxes_of(&f, f.n);
        assert_int_equal(t.scale, 600);
        assert_int_equal(t.n_tracks, 2);
        assert_int_equal(t.tracks[0].id, 7);
        assert_int_equal(t.tracks[0].n_edits, 0);
        assert_int_equal(t.tracks[1].id, 9);
        assert_int_equal(t.tracks[1].first_offset, 1024);
        assert_int_equal(t.tracks[1].n_edits, 3);
        for (size_t i = 0; i < 3; i++) {
            assert_int_equal(t.tracks[1].edits[i].length, three[i].length);
            assert_int_equal(t.tracks[1].edits[i].media, three[i].media);
            assert_int_equal(t.tracks[1].edits[i].rate, three[i].rate);
        }
        edit_boxes_release(&t);
    }
}

/* Wherever a file is cut off, and whatever a byte of it is, there is an answer. */
static void damage_is_no_harm(void **state)
{
    struct file f;

    (void)state;
    movie(&f, 0);
    for (size_t i = 0; i < f.n; i++) {
        struct edit_tracks t = boxes_of(&f, i);
        assert_true(t.n_tracks <= 2);
        edit_boxes_release(&t);
        for (int k = 0; k < 3; k++) {
            const uint8_t was = f.p[i];
            f.p[i] = (uint8_t)(k == 0 ? 0 : k == 1 ? 0xff : was ^ 1);
            t = boxes_of(&f, f.n);
            for (size_t n = 0; n < t.n_tracks; n++)
                assert_true(t.tracks[n].n_edits <= EDITS_MAX);
            edit_boxes_release(&t);
            f.p[i] = was;
        }
    }
}

static void boxes_in_boxes_without_end_are_left(void **state)
{
    struct file f = { 0 };

    (void)state;
    for (size_t i = 0; i < 1000; i++) {
        put(&f, 8000 - 8 * i, 4);
        memcpy(f.p + f.n, i == 0 ? "moov" : i == 1 ? "trak" : "mdia", 4);
        f.n += 4;
    }
    struct edit_tracks t = boxes_of(&f, f.n);
    assert_int_equal(t.n_tracks, 1);
    edit_boxes_release(&t);
}

/* ---- pictures ---- */

enum { ONE = EDIT_RATE_ONE };

/* Pictures of 10 ticks each, 100 in a second, as is a tick of lists: number i is at 10 i, and is
 * decoded as packet i ^ 1. The last one ends at 100. */
static const struct row {
    const char *name;
    struct edit edits[4];
    const char *want; /* "time:number", and where all ends */
} rows[] = {
    {"one edit is an offset",                     { { 0, 0, 30, 20, ONE } },                        "0:2 10:3 20:4 |30"     },
    { "the beginning may be empty",               { { 0, 7, 20, 0, ONE } },                         "7:0 17:1 |27"          },
    { "a picture is shown for what is left",      { { 0, 0, 20, 13, ONE } },                        "0:1 7:2 17:3 |20"      },
    { "adjacent edits go on",
     { { 0, 0, 15, 0, ONE }, { 0, 15, 15, 15, ONE } },
     "0:0 10:1 20:2 |30"                                                                                                    },
    { "edits go back",                            { { 0, 0, 20, 50, ONE }, { 0, 20, 20, 0, ONE } }, "0:5 10:6 20:0 30:1 |40"},
    { "edits are repeated",
     { { 0, 0, 10, 5, ONE }, { 0, 10, 10, 5, ONE } },
     "0:0 5:1 10:0 15:1 |20"                                                                                                },
    { "between edits the picture stays",
     { { 0, 0, 10, 0, ONE }, { 0, 40, 10, 50, ONE } },
     "0:0 40:5 |50"                                                                                                         },
    { "for long, too, and is shown each second",
     { { 0, 0, 10, 0, ONE }, { 0, 230, 10, 50, ONE } },
     "0:0 110:0 210:0 230:5 |240"                                                                                           },
    { "a dwell holds, and is shown each second",  { { 0, 0, 250, 33, 0 } },                         "0:3 100:3 200:3 |250"  },
    { "a dwell may follow its own picture",
     { { 0, 0, 10, 30, ONE }, { 0, 10, 120, 38, 0 } },
     "0:3 110:3 |130"                                                                                                       },
    { "half the rate lasts twice as long",        { { 0, 0, 40, 5, ONE / 2 } },                     "0:0 10:1 30:2 |40"     },
    { "twice the rate is half as long",           { { 0, 0, 20, 0, 2 * ONE } },                     "0:0 5:1 10:2 15:3 |20" },
    { "a thousand times the rate has no doubles", { { 0, 0, 1, 0, 1000 * ONE } },                   "0:0 |1"                },
    { "what lies behind the end is nothing",
     { { 0, 0, 10, 100, ONE }, { 0, 10, 10, 0, ONE } },
     "10:0 |20"                                                                                                             },
    { "media ends before its edit does",          { { 0, 0, 50, 80, ONE } },                        "0:8 10:9 |20"          },
    { "… and something comes after",
     { { 0, 0, 50, 90, ONE }, { 0, 50, 10, 0, ONE } },
     "0:9 50:0 |60"                                                                                                         },
    { "another stream's list is not this one's",
     { { 1, 0, 50, 90, ONE }, { 0, 0, 10, 0, ONE } },
     "0:0 |10"                                                                                                              },
};

static void lists_show_pictures(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct index_packet p[10];
        struct media_index idx = { p, 10 };
        struct edit edits[4];
        struct media_info info = { .edits = edits, .edit_scale = 100 };
        struct edit_frame *f;
        size_t n;
        int64_t end;
        char got[256] = "";

        memcpy(edits, rows[i].edits, sizeof(edits));
        for (info.n_edits = 0; info.n_edits < 4 && edits[info.n_edits].length > 0;)
            info.n_edits++;
        info.video.tb = (AVRational){ 1, 100 };
        for (int k = 0; k < 10; k++)
            p[k] = (struct index_packet){ .pts = 10 * (k ^ 1), .dts = 10 * k, .duration = 10 };
        assert_int_equal(edit_frames(&info, &idx, &f, &n, &end), 0);
        for (size_t k = 0; k < n; k++)
            snprintf(got + strlen(got), sizeof(got) - strlen(got), "%d:%d ", (int)f[k].pts,
                     (int)f[k].packet ^ 1);
        snprintf(got + strlen(got), sizeof(got) - strlen(got), "|%d", (int)end);
        if (strcmp(got, rows[i].want) != 0)
            fail_msg("%s: \"%s\", not \"%s\"", rows[i].name, got, rows[i].want);
        free(f);
    }
}

static void too_many_pictures_are_refused(void **state)
{
    struct index_packet p = { .pts = 0, .duration = 1 };
    struct media_index idx = { &p, 1 };
    struct edit e = { 0, 0, INT64_C(60000000), 0, 0 };
    struct media_info info = { .edits = &e, .n_edits = 1, .edit_scale = 1 };
    struct edit_frame *f;
    size_t n;
    int64_t end;

    (void)state;
    info.video.tb = (AVRational){ 1, 1 };
    assert_int_equal(edit_frames(&info, &idx, &f, &n, &end), -E2BIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_of_both_versions_are_read),
        cmocka_unit_test(damage_is_no_harm),
        cmocka_unit_test(boxes_in_boxes_without_end_are_left),
        cmocka_unit_test(lists_show_pictures),
        cmocka_unit_test(too_many_pictures_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
