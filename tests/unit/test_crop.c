/* What containers cut off pictures, and how pictures say that they are turned. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/verify/clean_area.h"
#include "common/base/err.h"
#include "common/media/crop.h"
#include "common/media/turn.h"
#include "common/wire/media_info.h"
#include "inside_double.h"

/* ---- files ---- */

struct file {
    uint8_t p[1024];
    size_t n, open[16], n_open;
};

static void put(struct file *f, uint64_t v, int bytes)
{
    while (bytes-- > 0)
        f->p[f->n++] = bytes < 8 ? (uint8_t)(v >> 8 * bytes) : 0;
}

static void box(struct file *f, const char *type)
{
    f->open[f->n_open++] = f->n;
    put(f, 0, 4);
    for (int i = 0; i < 4; i++)
        put(f, (uint8_t)type[i], 1);
}

static void box_end(struct file *f)
{
    size_t at = f->open[--f->n_open], end = f->n;

    f->n = at;
    put(f, end - at, 4);
    f->n = end;
}

struct aperture {
    int width, height; /* of the sample entry */
    int clap[8];
    int pasp[2];
    int shown[2]; /* of the track's header */
};

static void put_track(struct file *f, uint32_t id, const struct aperture *a)
{
    box(f, "trak");
    box(f, "tkhd");
    put(f, 0, 4 + 8);
    put(f, id, 4);
    put(f, 0, 60);
    put(f, (uint64_t)a->shown[0] << 16, 4);
    put(f, (uint64_t)a->shown[1] << 16, 4);
    box_end(f);
    box(f, "mdia");
    box(f, "minf");
    box(f, "stbl");
    box(f, "stsd");
    put(f, 1, 8);
    box(f, "avc1");
    put(f, 0, 24);
    put(f, (uint64_t)a->width, 2);
    put(f, (uint64_t)a->height, 2);
    put(f, 0, 50);
    if (a->pasp[0]) {
        box(f, "pasp");
        put(f, (uint64_t)a->pasp[0], 4);
        put(f, (uint64_t)a->pasp[1], 4);
        box_end(f);
    }
    box(f, "clap");
    for (int i = 0; i < 8; i++)
        put(f, (uint32_t)a->clap[i], 4);
    for (int i = 0; i < 7; i++)
        box_end(f);
}

static struct file movie_of(const struct aperture *a)
{
    const struct aperture other = {
        .width = 64, .height = 64, .clap = {32, 1, 32, 1, 0, 1, 0, 1}
    };
    struct file f = { 0 };

    box(&f, "moov");
    put_track(&f, 1, &other);
    put_track(&f, 2, a);
    box_end(&f);
    return f;
}

static void element(struct file *f, uint32_t id, uint64_t value)
{
    put(f, id, id > 0xffffff ? 4 : id > 0xff ? 2 : 1);
    put(f, 0x82, 1);
    put(f, value, 2);
}

/* Of fewer than 127 bytes. */
static void master(struct file *f, uint32_t id, const struct file *body)
{
    put(f, id, id > 0xffffff ? 4 : 1);
    put(f, 0x4000 | body->n, 2);
    memcpy(f->p + f->n, body->p, body->n);
    f->n += body->n;
}

struct elements {
    unsigned width, height, left, top, right, bottom, display[2], unit;
};

static struct file matroska_of(const struct elements *e)
{
    struct file video = { 0 }, track = { 0 }, sound = { 0 }, tracks = { 0 }, segment = { 0 };
    struct file f = { 0 };

    element(&video, 0xb0, e->width);
    element(&video, 0xba, e->height);
    element(&video, 0x54aa, e->bottom);
    element(&video, 0x54bb, e->top);
    element(&video, 0x54cc, e->left);
    element(&video, 0x54dd, e->right);
    if (e->display[0])
        element(&video, 0x54b0, e->display[0]);
    if (e->display[1])
        element(&video, 0x54ba, e->display[1]);
    if (e->unit)
        element(&video, 0x54b2, e->unit);
    element(&sound, 0x83, 2);
    element(&track, 0x83, 1);
    master(&track, 0xe0, &video);
    master(&tracks, 0xae, &sound);
    master(&tracks, 0xae, &track);
    master(&segment, 0x1654ae6b, &tracks);
    master(&f, 0x18538067, &segment);
    return f;
}

/* ---- what is found ---- */

static const struct row {
    const char *name;
    struct aperture a; /* width 0: of Matroska */
    struct elements e;
    int width, height; /* of the pictures, if not the container's */
    const char *pix_fmt;
    AVRational own;
    struct crop_info want;
    AVRational sar; /* 0/0: 1:1 */
    int told;
} rows[] = {
#define CLAP(...) .a = { __VA_ARGS__ }
#define CROP(...) .e = { __VA_ARGS__ }
#define ROW(...)    \
    {               \
        __VA_ARGS__ \
    }
    ROW("a clean aperture in the middle", CLAP(720, 480, { 704, 1, 480, 1, 0, 1, 0, 1 }),
        .want = { 8, 0, 8, 0 }),
    ROW("that of PAL's DV, in fractions", CLAP(720, 576, { 41472, 59, 576, 1, 0, 1, 0, 1 }),
        .want = { 8, 0, 8, 0 }),
    ROW("to the left and above", CLAP(320, 180, { 160, 1, 90, 1, -80, 1, -45, 1 }),
        .want = { 0, 0, 160, 90 }),
    ROW("half a pixel to the right", CLAP(320, 180, { 311, 1, 180, 1, 1, 2, 0, 1 }),
        .want = { 4, 0, 4, 0 }),
    ROW("all of the picture", CLAP(320, 180, { 320, 1, 180, 1, 0, 1, 0, 1 })),
    ROW("more than the picture", CLAP(320, 180, { 640, 1, 180, 1, 0, 1, 0, 1 }), .told = 1),
    ROW("nothing of it", CLAP(320, 180, { 0, 1, 0, 1, 0, 1, 0, 1 }), .told = 1),
    ROW("a fraction of nothing", CLAP(320, 180, { 300, 0, 180, 1, 0, 1, 0, 1 }), .told = 1),
    ROW("beside the picture", CLAP(320, 180, { 160, 1, 180, 1, 200, 1, 0, 1 }), .told = 1),
    ROW("its pixels by pasp",
        CLAP(720, 480, { 704, 1, 480, 1, 0, 1, 0, 1 }, { 10, 11 }, { 640, 480 }),
        .want = { 8, 0, 8, 0 }, .sar = { 5, 5 }),
    ROW("its pixels by the track's size",
        CLAP(720, 480, { 704, 1, 480, 1, 0, 1, 0, 1 }, { 0, 0 }, { 640, 480 }),
        .want = { 8, 0, 8, 0 }, .sar = { 10, 11 }),
    ROW("square, where that is what is left",
        CLAP(720, 480, { 704, 1, 480, 1, 0, 1, 0, 1 }, { 0, 0 }, { 704, 480 }),
        .want = { 8, 0, 8, 0 }),
    ROW("letterbox cut off, sizes as they were", CROP(320, 180, 0, 40, 0, 40, { 320, 180 }),
        .want = { 0, 40, 0, 40 }),
    ROW("letterbox cut off, its own size", CROP(320, 180, 0, 40, 0, 40, { 320, 100 }),
        .want = { 0, 40, 0, 40 }),
    ROW("letterbox cut off, no size", CROP(320, 180, 0, 40, 0, 40), .want = { 0, 40, 0, 40 }),
    ROW("anamorphic, sizes as they were", CROP(720, 576, 0, 72, 0, 72, { 1024, 576 }),
        .want = { 0, 72, 0, 72 }, .sar = { 64, 45 }),
    ROW("anamorphic, its own size", CROP(720, 576, 0, 72, 0, 72, { 1024, 432 }),
        .want = { 0, 72, 0, 72 }, .sar = { 64, 45 }),
    ROW("a shape is of what is left", CROP(720, 576, 0, 72, 0, 72, { 64, 27 }, 3),
        .want = { 0, 72, 0, 72 }, .sar = { 64, 45 }),
    ROW("neither, the bitstream's pixels tell", CROP(720, 480, 0, 40, 0, 40, { 720, 450 }),
        .own = { 8, 9 }, .want = { 0, 40, 0, 40 }, .sar = { 8, 9 }),
    ROW("neither, and nobody tells", CROP(720, 480, 0, 40, 0, 40, { 720, 540 }),
        .want = { 0, 40, 0, 40 }, .sar = { 8, 9 }),
    ROW("odd sides, 4:2:0", CROP(320, 180, 5, 7, 9, 11), .want = { 4, 6, 8, 10 }),
    ROW("odd sides, 4:2:2", CROP(320, 180, 5, 7, 9, 11), .pix_fmt = "yuv422p10le",
        .want = { 4, 7, 8, 11 }),
    ROW("odd sides, 4:4:4", CROP(320, 180, 5, 7, 9, 11), .pix_fmt = "yuv444p",
        .want = { 5, 7, 9, 11 }),
    ROW("more than there is", CROP(320, 180, 200, 0, 200, 0), .told = 1),
    ROW("as much as there is", CROP(320, 180, 0, 90, 0, 90), .told = 1),
    ROW("more than the container's picture, less than the decoder's", CROP(320, 50, 0, 40, 0, 9),
        .height = 100, .told = 1),
    ROW("none", CROP(320, 180)),
    ROW("rows that the bitstream has cut off", CROP(1920, 1088, 0, 0, 0, 8), .height = 1080),
    ROW("a row of blocks that it hasn't", CROP(1920, 1080, 8, 0, 0, 0), .height = 1088,
        .want = { 8, 0, 0, 8 }),
};

static struct crop_found found_in(const struct row *w, const struct file *f)
{
    struct inside in = { .data = f->p, .size = f->n };
    struct crop_found c = { 0 };
    struct err err = { 0 };
    int r = w->a.width ? crop_of_boxes(&in, 2, &c, &err) : crop_of_elements(&in, 0, &c, &err);

    if (r < 0)
        fail_msg("%s", err.text);
    return c;
}

static void what_is_cut_off(void **state)
{
    const struct row *w = *state;
    struct file f = w->a.width ? movie_of(&w->a) : matroska_of(&w->e);
    struct crop_found c = found_in(w, &f);
    int width = w->a.width ? w->a.width : (int)w->e.width;
    int height = w->height ? w->height : w->a.width ? w->a.height : (int)w->e.height;
    AVRational sar = w->sar.num ? w->sar : (AVRational){ 1, 1 };
    struct media_info i = {
        .video = {.width = width, .height = height, .sar = { 1, 1 }}
    };

    (void)snprintf(i.video.pix_fmt, sizeof(i.video.pix_fmt), "%s",
                   w->pix_fmt ? w->pix_fmt : "yuv420p");
    assert_int_equal(crop_apply(&i, &c, w->own), 0);
    assert_memory_equal(&i.video.crop, &w->want, sizeof(w->want));
    assert_int_equal(i.video.width, width - w->want.left - w->want.right);
    assert_int_equal(i.video.height, height - w->want.top - w->want.bottom);
    assert_int_equal(av_cmp_q(i.video.sar, sar), 0);
    assert_int_equal(i.n_warnings, w->told);
    media_info_release(&i);
}

static void what_is_cut_off_in_the_middle_is_no_crop(void **state)
{
    const struct row *w = &rows[0];
    struct file whole = movie_of(&w->a);

    (void)state;
    for (size_t n = 0; n < whole.n; n++) {
        struct file f = whole;
        f.n = n;
        (void)found_in(w, &f);
    }
}

/* The referee's own reading says the same of those that aren't refused. */
static void the_referee_sees_it_too(void **state)
{
    const struct row *w = *state;
    struct file f = w->a.width ? movie_of(&w->a) : matroska_of(&w->e);
    struct crop_found c = found_in(w, &f);
    struct clean_area a = { 0 };

    if (w->a.width)
        clean_area_moov(f.p + 8, f.n - 8, 2, &a);
    else
        clean_area_elements(f.p, f.n, 0, &a);
    if (w->told || !c.has) {
        assert_true(a.left + a.top + a.right + a.bottom == 0);
        return;
    }
    assert_true(a.width == c.width && a.height == c.height);
    assert_true(a.left == c.left && a.top == c.top && a.right == c.right && a.bottom == c.bottom);
}

/* ---- how pictures are turned ---- */

static void a_message_turns_the_picture(void **state)
{
    /* SEI: cancel 0, flips 0, a quarter against the clock 0x4000; then a slice. */
    static const uint8_t h264[] = { 0,    0,    1,    0x06, 0x2f, 4, 0x08, 0x00,
                                    0x03, 0x20, 0x80, 0,    0,    1, 0x65, 0x88 };
    static const uint8_t cancelled[] = { 0, 0, 1, 0x06, 0x2f, 1, 0x80, 0x80, 0, 0, 1, 0x65, 0x88 };
    static const uint8_t behind[] = { 0,    0,    1, 0x65, 0x88, 0,    0,    1,
                                      0x06, 0x2f, 4, 0x08, 0x00, 0x03, 0x20, 0x80 };
    const AVCodecParameters par = { .codec_id = AV_CODEC_ID_H264 };
    struct video_info v = { 0 };
    uint8_t late[400] = { 0, 0, 1, 0x06, 5, 255, 45 }; /* behind what an encoder says of itself */

    (void)state;
    memset(late + 7, 0x55, 300);
    memcpy(late + 307, h264 + 4, sizeof(h264) - 4);
    turn_look(&par, late, sizeof(late), &v);
    assert_int_equal(v.rotation, 270);
    v = (struct video_info){ 0 };
    turn_look(&par, h264, sizeof(h264), &v);
    assert_int_equal(v.rotation, 270);
    assert_int_equal(v.turns, 1);
    v = (struct video_info){ .rotation = 90 };
    turn_look(&par, h264, sizeof(h264), &v);
    assert_int_equal(v.rotation, 90);
    assert_int_equal(v.turns, 0);
    v = (struct video_info){ 0 };
    turn_look(&par, cancelled, sizeof(cancelled), &v);
    turn_look(&par, behind, sizeof(behind), &v);
    for (size_t n = 0; n < 10; n++)
        turn_look(&par, h264, n, &v);
    assert_int_equal(v.rotation, 0);
    assert_int_equal(v.turns, 0);
}

static int shown_turn(struct turn_hold *h, int key, const int32_t *m)
{
    AVFrame *f = av_frame_alloc();
    const struct video_info v = { 0 };
    int rotation, hflip;

    assert_non_null(f);
    f->key_frame = key;
    if (m) {
        AVFrameSideData *d = av_frame_new_side_data(f, AV_FRAME_DATA_DISPLAYMATRIX, 36);
        assert_non_null(d);
        memcpy(d->data, m, 36);
    }
    assert_int_equal(turn_follow(h, f), 0);
    turn_of_frame(&v, f, &rotation, &hflip);
    av_frame_free(&f);
    return rotation;
}

static void a_message_holds_up_to_the_next_keyframe(void **state)
{
    static const int32_t quarter[9] = { 0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30 };
    struct turn_hold h = { 0 };

    (void)state;
    assert_int_equal(shown_turn(&h, 1, NULL), 0);
    assert_int_equal(shown_turn(&h, 1, quarter), 90);
    assert_int_equal(shown_turn(&h, 0, NULL), 90);
    assert_int_equal(shown_turn(&h, 0, NULL), 90);
    assert_int_equal(shown_turn(&h, 1, NULL), 0);
    assert_int_equal(shown_turn(&h, 0, NULL), 0);
}

int main(void)
{
    enum { ROWS = sizeof(rows) / sizeof(*rows) };
    struct CMUnitTest tests[2 * ROWS + 3];
    size_t n = 0;

    for (size_t i = 0; i < ROWS; i++) {
        void *row = (void *)(uintptr_t)&rows[i];
        tests[n++] = (struct CMUnitTest){ rows[i].name, what_is_cut_off, NULL, NULL, row };
        tests[n++] = (struct CMUnitTest){ rows[i].name, the_referee_sees_it_too, NULL, NULL, row };
    }
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(what_is_cut_off_in_the_middle_is_no_crop);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(a_message_turns_the_picture);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(a_message_holds_up_to_the_next_keyframe);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
