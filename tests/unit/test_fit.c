/* Pictures of another shape than the plan's: where they stand in it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <libavutil/display.h>
#include <libavutil/pixfmt.h>

#include "worker/fit.h"

struct shape {
    int width, height;
    AVRational sar;
};

#define S(w, h, x, y) \
    {                 \
        (w), (h),     \
        {             \
            (x), (y)  \
        }             \
    }
#define C(a, b, c, d)      \
    {                      \
        (a), (b), (c), (d) \
    }
#define ROW(...)    \
    {               \
        __VA_ARGS__ \
    }

static const struct row {
    const char *name, *container;
    struct shape plan, frame;
    int lines;    /* 0: 1 */
    int rotation; /* of the plan */
    int turned;   /* by the picture's own word, clockwise; 0: it says nothing */
    struct crop_info crop;
    const char *filters; /* "…" at the end: and others */
    int other, full;
} rows[] = {
    ROW("the plan's own shape", "mpegts", S(320, 180, 1, 1), S(320, 180, 1, 1), .filters = ""),
    ROW("coded with rows to spare", "mpegts", S(1920, 1080, 1, 1), S(1920, 1088, 1, 1),
        .filters = "crop=w=1920:h=1080:x=0:y=0,"),
    ROW("cut, where the first ones had rows to spare", "mpegts", S(1920, 1088, 1, 1),
        S(1920, 1080, 1, 1), .filters = "pad=w=1920:h=1088:color=black,"),
    ROW("a little smaller is another shape", "mp4", S(320, 180, 1, 1), S(300, 180, 1, 1),
        .filters = "scale=w=300:h=180:…", .other = 1),
    ROW("a little larger, too", "mp4", S(320, 180, 1, 1), S(320, 190, 1, 1),
        .filters = "scale=w=304:h=180:…", .other = 1),
    ROW("upright", "mpegts", S(320, 180, 1, 1), S(180, 320, 1, 1),
        .filters = "scale=w=102:h=180:flags=bicubic,"
                   "pad=w=320:h=180:x=(ow-iw)/2:y=(oh-ih)/2:color=black,",
        .other = 1),
    ROW("less wide", "mp4", S(320, 240, 1, 1), S(320, 180, 1, 1), .filters = "scale=w=320:h=180:…",
        .other = 1),
    ROW("black bars in full range", "mp4", S(320, 240, 1, 1), S(320, 180, 1, 1), .full = 1,
        .filters = "scale=in_range=full:out_range=limited,scale=w=320:h=180:…", .other = 1),
    ROW("narrower pixels", "mpegts", S(720, 576, 64, 45), S(720, 576, 16, 15),
        .filters = "scale=w=540:h=576:…", .other = 1),
    ROW("pixels by the container stay so", "mp4", S(720, 576, 64, 45), S(720, 576, 16, 15),
        .filters = ""),
    ROW("no aspect is the plan's", "mpegts", S(720, 576, 64, 45), S(720, 576, 0, 1), .filters = ""),
    ROW("a field is as high as its frame", "mpegts", S(720, 576, 16, 15), S(720, 288, 16, 15),
        .lines = 2, .filters = ""),
    ROW("a frame of a field's height isn't", "mpegts", S(720, 576, 1, 1), S(720, 288, 1, 1),
        .filters = "scale=w=720:h=288:…", .other = 1),
    ROW("a line stays a picture", "mp4", S(320, 180, 1, 1), S(16, 8192, 1, 1),
        .filters = "scale=w=2:h=180:…", .other = 1),
    ROW("never larger than an odd side", "mp4", S(319, 179, 1, 1), S(160, 90, 1, 1),
        .filters = "scale=w=318:h=178:…", .other = 1),
    ROW("turned as the container says", "mp4", S(320, 180, 1, 1), S(320, 180, 1, 1), .rotation = 90,
        .filters = "transpose=dir=clock,"),
    ROW("whose word counts before the picture's", "mp4", S(320, 180, 1, 1), S(320, 180, 1, 1),
        .rotation = 90, .turned = 180, .filters = "transpose=dir=clock,"),
    ROW("turned by its own word it is upright", "mpegts", S(320, 180, 1, 1), S(320, 180, 1, 1),
        .turned = 90,
        .filters = "scale=w=180:h=102:flags=bicubic,"
                   "pad=w=180:h=320:x=(ow-iw)/2:y=(oh-ih)/2:color=black,transpose=dir=clock,",
        .other = 1),
    ROW("upside down it has the plan's shape", "mpegts", S(320, 180, 1, 1), S(320, 180, 1, 1),
        .turned = 180, .filters = "hflip,vflip,", .other = 1),
    ROW("cropped by the container", "matroska", S(304, 162, 1, 1), S(320, 180, 1, 1),
        .crop = C(6, 8, 10, 10), .filters = "crop=w=304:h=162:x=6:y=8,"),
    ROW("a field is cropped by half", "matroska", S(304, 162, 1, 1), S(320, 90, 1, 1), .lines = 2,
        .crop = C(6, 8, 10, 10), .filters = "crop=w=304:h=81:x=6:y=4,"),
    ROW("not what is cropped already", "matroska", S(288, 160, 1, 1), S(288, 160, 1, 1),
        .crop = C(16, 8, 16, 12), .filters = ""),
    ROW("also where that is a few pixels", "matroska", S(312, 180, 1, 1), S(312, 180, 1, 1),
        .crop = C(8, 0, 0, 0), .filters = ""),
    ROW("not what has another size", "matroska", S(160, 180, 1, 1), S(160, 90, 1, 1),
        .crop = C(80, 0, 80, 0), .filters = "scale=w=160:h=90:…", .other = 1),
};

static void say_turned(AVFrame *frame, int clockwise)
{
    AVFrameSideData *d = av_frame_new_side_data(frame, AV_FRAME_DATA_DISPLAYMATRIX,
                                                9 * sizeof(int32_t));

    assert_non_null(d);
    av_display_rotation_set((int32_t *)(void *)d->data, clockwise);
}

static void stands_where_it_should(void **state)
{
    const struct row *w = *state;
    AVFrame *frame = av_frame_alloc();
    struct media_info info = {
        .video = {.width = w->plan.width,
                  .height = w->plan.height,
                  .sar = w->plan.sar,
                  .rotation = w->rotation,
                  .crop = w->crop}
    };
    char *text = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);
    const char *rest = strstr(w->filters, "…");

    assert_non_null(frame);
    assert_non_null(f);
    (void)snprintf(info.container, sizeof(info.container), "%s", w->container);
    frame->width = w->frame.width;
    frame->height = w->frame.height;
    frame->sample_aspect_ratio = w->frame.sar;
    if (w->turned)
        say_turned(frame, w->turned);
    struct fit_shape shape = fit_shape_of(&info, frame, w->lines ? w->lines : 1);
    int full = fit_write(f, &info.video, &shape, AV_PIX_FMT_YUV420P,
                         w->full ? AVCOL_RANGE_JPEG : AVCOL_RANGE_MPEG);
    assert_int_equal(fclose(f), 0);
    if (rest)
        assert_memory_equal(text, w->filters, (size_t)(rest - w->filters));
    else
        assert_string_equal(text, w->filters);
    assert_int_equal(full, w->full);
    assert_int_equal(fit_is_other(&info.video, &shape), w->other);
    free(text);
    av_frame_free(&frame);
}

int main(void)
{
    enum { ROWS = sizeof(rows) / sizeof(*rows) };
    struct CMUnitTest tests[ROWS];

    for (size_t i = 0; i < ROWS; i++)
        tests[i] = (struct CMUnitTest){
            .name = rows[i].name,
            .test_func = stands_where_it_should,
            .initial_state = (void *)(uintptr_t)&rows[i],
        };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
