/* Frame-rate caps on constant rates whose clocks jitter: every step is one of n pictures. */
#include "common/base/err.h"
#include "common/media/index.h"
#include "dispatcher/plan.h"
#include <libavutil/mathematics.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { FRAMES = 600 };

static const struct row {
    const char *name;
    AVRational rate, tb;
    int jitter;      /* to both sides, in percent of a frame */
    int64_t late_us; /* the picture begins so much after the sound */
    int n[2];        /* every n-th is kept; 0: none such */
    int moved;       /* whether the grids are not those of the ladder */
} rows[] = {
    {"60, exact",                          { 60, 1 },       { 1, 15360 }, 0,  0,                   { 2, 4 }, 0},
    { "60 in milliseconds",                { 60, 1 },       { 1, 1000 },  0,  0,                   { 2, 4 }, 0},
    { "60, a tick",                        { 60, 1 },       { 1, 1000 },  3,  8000,                { 2, 4 }, 1},
    { "60, a tenth",                       { 60, 1 },       { 1, 90000 }, 10, 8333,                { 2, 4 }, 1},
    { "59.94, a tenth",                    { 60000, 1001 }, { 1, 90000 }, 10, 41000,               { 2, 0 }, 1},
    { "50, a tenth, half a frame late",    { 50, 1 },       { 1, 90000 }, 10, 10000,               { 2, 0 }, 1},
    { "120, a tenth",                      { 120, 1 },      { 1, 90000 }, 10, 4170,                { 2, 4 }, 1},
    { "240, a tenth",                      { 240, 1 },      { 1, 90000 }, 10, 6250,                { 4, 8 }, 1},
    { "240 in microseconds, an hour late",
     { 240, 1 },
     { 1, 1000000 },
     10,                                                                      INT64_C(3600002083),
     { 4, 8 },
     1                                                                                                        },
};

static void source_fill(const struct row *w, struct media_info *m, struct index_packet *p)
{
    AVRational us = { 1, 1000000 };
    int64_t frame = av_rescale_q(1000, av_inv_q(w->rate), w->tb); /* of a thousand frames */

    for (int i = 0; i < FRAMES; i++) {
        int64_t at = av_rescale_q(i, av_inv_q(w->rate), w->tb);
        int64_t off = frame * w->jitter / 100 / 1000;
        off = i % 7 == 0 ? -off : i % 3 == 0 ? off : off * (i % 5 - 2) / 2;
        p[i] = (struct index_packet){ .pts = at + off + av_rescale_q(w->late_us, us, w->tb),
                                      .dts = at,
                                      .pos = 1000 * (i + 1),
                                      .size = 900,
                                      .flags = i % 48 == 0 ? PACKET_KEY : 0u };
    }
    m->video = (struct video_info){
        .stream = 0, .width = 640, .height = 360, .tb = w->tb, .rate = w->rate
    };
    m->audio = (struct audio_info){
        .stream = 1, .tb = {1, 48000},
             .sample_rate = 48000, .channels = 2, .end = 480000
    };
}

static void renditions_fill(const struct row *w, struct rendition r[3])
{
    for (int i = 0; i < 3; i++) {
        r[i].kind = i < 2 ? MEDIA_VIDEO : MEDIA_AUDIO;
        r[i].rate = w->rate;
        r[i].name = (char *)(i ? i == 1 ? "b" : "c" : "a");
        r[i].codec = (char *)(i < 2 ? "h264" : "aac");
        r[i].encoder = (char *)(i < 2 ? "libx264" : "aac");
        r[i].memory_bytes = 1;
        r[i].cost = 1;
        int n = i < 2 ? w->n[i] : 0;
        if (n)
            r[i].grid = (struct frame_grid){ av_mul_q((AVRational){ n, 1 }, av_inv_q(w->rate)),
                                             av_mul_q(av_inv_q(w->rate), (AVRational){ 1, 2 }) };
    }
}

static void steps_check(const struct row *w, const struct plan *p, const struct index_packet *k,
                        int which)
{
    const struct frame_grid *g = &p->renditions[which].grid;
    int last = 0;

    for (int i = 1; w->n[which] && i < FRAMES; i++) {
        if (!frame_grid_keeps(g, k[i].pts, k[i - 1].pts, p->origin, w->tb))
            continue;
        if (i - last != w->n[which])
            fail_msg("%s: a step of %d at %d", w->name, i - last, i);
        last = i;
    }
}

static void under_a_cap_every_step_is_of_n_pictures(void **state)
{
    const struct plan_options o = { .slots = 4 };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct index_packet packets[FRAMES];
        struct media_index idx = { .packets = packets, .n = FRAMES };
        struct media_info m = { 0 };
        struct rendition r[3] = { 0 };
        struct plan p = { 0 };
        struct err e = { 0 };

        print_message("# %s\n", rows[i].name);
        source_fill(&rows[i], &m, packets);
        renditions_fill(&rows[i], r);
        if (plan_make(&m, &idx, r, 3, &o, &p, &e) < 0)
            fail_msg("%s: %s", rows[i].name, e.text);
        steps_check(&rows[i], &p, packets, 0);
        steps_check(&rows[i], &p, packets, 1);
        assert_int_equal(memcmp(&p.renditions[0].grid, &r[0].grid, sizeof(r->grid)) != 0,
                         rows[i].moved);
        plan_release(&p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(under_a_cap_every_step_is_of_n_pictures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
