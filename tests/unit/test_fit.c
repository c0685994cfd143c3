/* Pictures of another shape than the plan's: where they stand in it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "worker/fit.h"

static const struct row {
    const char *name, *container;
    int width, height; /* of the plan */
    AVRational sar;
    int frame_width, frame_height;
    AVRational frame_sar;
    int lines;
    const char *scaled; /* NULL: as it is */
} rows[] = {
    {"the plan's own shape",               "mpegts", 320,  180,  { 1, 1 },   320,  180,  { 1, 1 }, 1, NULL                },
    { "coded with rows to spare",          "mpegts", 1920, 1080, { 1, 1 },   1920, 1088, { 1, 1 }, 1, NULL                },
    { "upright",                           "mpegts", 320,  180,  { 1, 1 },   180,  320,  { 1, 1 }, 1, "scale=w=102:h=180:"},
    { "less wide",                         "mp4",    320,  240,  { 1, 1 },   320,  180,  { 1, 1 }, 1, "scale=w=320:h=180:"},
    { "narrower pixels",
     "mpegts",                                       720,
     576,                                                        { 64, 45 },
     720,                                                                          576,
     { 16, 15 },
     1,                                                                                               "scale=w=540:h=576:"},
    { "pixels by the container stay so",
     "mp4",                                          720,
     576,                                                        { 64, 45 },
     720,                                                                          576,
     { 16, 15 },
     1,                                                                                               NULL                },
    { "no aspect is the plan's",           "mpegts", 720,  576,  { 64, 45 }, 720,  576,  { 0, 1 }, 1, NULL                },
    { "a field is as high as its frame",
     "mpegts",                                       720,
     576,                                                        { 16, 15 },
     720,                                                                          288,
     { 16, 15 },
     2,                                                                                               NULL                },
    { "a frame of a field's height isn't",
     "mpegts",                                       720,
     576,                                                        { 1, 1 },
     720,                                                                          288,
     { 1, 1 },
     1,                                                                                               "scale=w=720:h=288:"},
    { "a line stays a picture",
     "mp4",                                          320,
     180,                                                        { 1, 1 },
     16,                                                                           8192,
     { 1, 1 },
     1,                                                                                               "scale=w=2:h=180:"  },
};

static void stands_where_it_should(void **state)
{
    const struct row *w = *state;
    AVFrame *frame = av_frame_alloc();
    struct media_info info = {
        .video = {.width = w->width, .height = w->height, .sar = w->sar}
    };
    char *text = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);

    assert_non_null(frame);
    assert_non_null(f);
    (void)snprintf(info.container, sizeof(info.container), "%s", w->container);
    frame->width = w->frame_width;
    frame->height = w->frame_height;
    frame->sample_aspect_ratio = w->frame_sar;
    struct fit_shape shape = fit_shape_of(&info, frame, w->lines);
    fit_write(f, &info.video, &shape);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(fit_is_needed(&info.video, &shape), w->scaled != NULL);
    assert_true(w->scaled ? strncmp(text, w->scaled, strlen(w->scaled)) == 0 : n == 0);
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
