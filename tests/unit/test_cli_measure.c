/* How far a job is, and numbers as people read them. */
#include "cli/format.h"
#include "cli/measure.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* Two chunks of 100 and 50 frames, two groups: {0, 1} and {2}; one audio. */
static unsigned group_a[] = { 0, 1 }, group_b[] = { 2 };
static struct task_group groups[] = {
    {group_a,  2},
    { group_b, 1}
};
static struct chunk chunks[] = {
    {.index = 0,  .pts.n_frames = 100},
    { .index = 1, .pts.n_frames = 50 }
};
static struct rendition renditions[4];
static const struct plan plan = {
    .timescale = 1000,
    .duration = 6000,
    .renditions = renditions,
    .n_renditions = 4,
    .n_video = 3,
    .groups = groups,
    .n_groups = 2,
    .chunks = chunks,
    .n_chunks = 2,
};

static const struct task_status waiting[] = {
    {.id = "a-0", .audio = 1, .cost = 1},
    {  .id = "v-0000-0", .chunk = 0, .group = 0, .cost = 6 },
    { .id = "v-0000-1", .chunk = 0, .group = 1, .cost = 2 },
    { .id = "v-0001-0", .chunk = 1, .group = 0, .cost = 3 },
    { .id = "v-0001-1", .chunk = 1, .group = 1, .cost = 1 },
};
enum { TASKS = sizeof(waiting) / sizeof(waiting[0]) };

/* Measure with the tasks of the mask `done` done and task `running` at `at`. */
static void measure(struct measure *m, unsigned done, size_t running, uint64_t at)
{
    assert_int_equal(measure_init(m, &plan), 0);
    for (size_t i = 0; i < TASKS; i++) {
        struct task_status t = waiting[i];

        t.state = done & (1u << i) ? TASK_DONE : TASK_WAITING;
        measure_task(m, &t, i == running ? at : 0);
    }
}

static void a_job_that_has_not_begun_is_at_nothing(void **state)
{
    struct measure m;

    (void)state;
    measure(&m, 0, TASKS, 0);
    assert_true(measure_part(&m) == 0);
    for (size_t i = 0; i < plan.n_renditions; i++)
        assert_true(measure_rendition(&m, i) == 0);
    assert_int_equal(m.tasks, TASKS);
    measure_release(&m);
}

static void a_track_of_sound_is_its_own_renditions(void **state)
{
    struct rendition sound[] = {
        {.kind = MEDIA_AUDIO,  .track = 0},
        { .kind = MEDIA_AUDIO, .track = 1}
    };
    const struct plan two = {
        .timescale = 1000, .duration = 6000, .renditions = sound, .n_renditions = 2
    };
    const struct task_status first = { .id = "a-0", .audio = 1, .cost = 1 },
                             second = { .id = "a-1", .audio = 1, .group = 1, .cost = 1 };
    struct measure m;

    (void)state;
    assert_int_equal(measure_init(&m, &two), 0);
    measure_task(&m, &first, 6000);
    measure_task(&m, &second, 1500);
    assert_true(measure_rendition(&m, 0) == 1);
    assert_true(measure_rendition(&m, 1) == 0.25);
    assert_true(measure_part(&m) == 0.625);
    measure_release(&m);
}

static void a_job_with_every_task_done_is_at_one(void **state)
{
    struct measure m;

    (void)state;
    measure(&m, 31, TASKS, 0);
    assert_true(measure_part(&m) == 1);
    for (size_t i = 0; i < plan.n_renditions; i++)
        assert_true(measure_rendition(&m, i) == 1);
    measure_release(&m);
}

static void parts_are_weighed_by_cost_and_renditions_by_frames(void **state)
{
    struct measure m;

    (void)state;
    measure(&m, 1u << 1, TASKS, 0);
    assert_true(fabs(measure_part(&m) - 6.0 / 13) < 1e-9);
    assert_true(fabs(measure_rendition(&m, 0) - 100.0 / 150) < 1e-9);
    assert_true(fabs(measure_rendition(&m, 1) - 100.0 / 150) < 1e-9);
    assert_true(measure_rendition(&m, 2) == 0);
    measure_release(&m);
}

static void a_running_task_counts_by_what_its_worker_said(void **state)
{
    struct measure m;

    (void)state;
    measure(&m, 0, 3, 25);
    assert_true(fabs(m.cost_done - 1.5) < 1e-9);
    assert_true(fabs(measure_rendition(&m, 0) - 25.0 / 150) < 1e-9);
    measure_release(&m);

    measure(&m, 0, 0, 3000); /* audio: ms of sound */
    assert_true(fabs(measure_rendition(&m, 3) - 0.5) < 1e-9);
    measure_release(&m);
}

static void a_worker_that_counts_too_far_does_not_make_more_than_one(void **state)
{
    struct measure m;

    (void)state;
    measure(&m, 0, 1, 1000);
    assert_true(fabs(m.cost_done - 6) < 1e-9);
    measure_release(&m);
}

static void tasks_that_the_plan_does_not_know_are_left_out(void **state)
{
    const struct task_status strange[] = {
        {.chunk = 2,  .cost = 1},
        { .group = 2, .cost = 1}
    };
    struct measure m;

    (void)state;
    measure(&m, 0, TASKS, 0);
    measure_task(&m, &strange[0], 1);
    measure_task(&m, &strange[1], 1);
    assert_int_equal(m.tasks, TASKS);
    measure_release(&m);
}

static void what_an_earlier_run_did_makes_no_speed(void **state)
{
    double speed = -1, left = -1;

    (void)state;
    measure_speed(0.5, 0.5, 10, 100, &speed, &left);
    assert_true(speed == 0 && left == 0);
    measure_speed(0.5, 0.75, 10, 100, &speed, &left);
    assert_true(fabs(speed - 2.5) < 1e-9);
    assert_true(fabs(left - 10) < 1e-9);
}

static void numbers_read_as_people_write_them(void **state)
{
    char b[FMT_MAX];

    (void)state;
    assert_string_equal(fmt_bytes(b, 0), "0 B");
    assert_string_equal(fmt_bytes(b, 999), "999 B");
    assert_string_equal(fmt_bytes(b, 999949), "999.9 kB");
    assert_string_equal(fmt_bytes(b, 999950), "1.0 MB");
    assert_string_equal(fmt_bytes(b, UINT64_MAX), "18.4 EB");
    assert_string_equal(fmt_bit_rate(b, 96000), "96 kb/s");
    assert_string_equal(fmt_bit_rate(b, 999600), "1.00 Mb/s");
    assert_string_equal(fmt_bit_rate(b, 0), "-");
    assert_string_equal(fmt_seconds(b, 0.42), "0.42 s");
    assert_string_equal(fmt_seconds(b, 9.996), "10.0 s");
    assert_string_equal(fmt_seconds(b, 59.96), "1:00");
    assert_string_equal(fmt_seconds(b, 3599.6), "1:00:00");
    assert_string_equal(fmt_seconds(b, NAN), "-");
    assert_string_equal(fmt_rate(b, (AVRational){ 24000, 1001 }), "23.976");
    assert_string_equal(fmt_rate(b, (AVRational){ 50, 2 }), "25");
    assert_string_equal(fmt_rate(b, (AVRational){ 0, 0 }), "-");
}

static void a_cut_line_ends_at_a_character(void **state)
{
    (void)state;
    assert_int_equal(fmt_columns("gr\xc3\xbc\xc3\x9f"), 4);
    assert_int_equal(fmt_fit("gr\xc3\xbc\xc3\x9f", 3), 4);
    assert_int_equal(fmt_fit("gr\xc3\xbc\xc3\x9f", 9), 6);
    assert_int_equal(fmt_fit("abc", 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_job_that_has_not_begun_is_at_nothing),
        cmocka_unit_test(a_track_of_sound_is_its_own_renditions),
        cmocka_unit_test(a_job_with_every_task_done_is_at_one),
        cmocka_unit_test(parts_are_weighed_by_cost_and_renditions_by_frames),
        cmocka_unit_test(a_running_task_counts_by_what_its_worker_said),
        cmocka_unit_test(a_worker_that_counts_too_far_does_not_make_more_than_one),
        cmocka_unit_test(tasks_that_the_plan_does_not_know_are_left_out),
        cmocka_unit_test(what_an_earlier_run_did_makes_no_speed),
        cmocka_unit_test(numbers_read_as_people_write_them),
        cmocka_unit_test(a_cut_line_ends_at_a_character),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
