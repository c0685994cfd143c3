/* Whose turn it is: priority, then tenants in turns, then age, then order;
 * heaps and timers that it is made of. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "dispatcher/heap.h"
#include "dispatcher/sched.h"
#include "dispatcher/timers.h"

struct job {
    const char *name;
    struct sched_job *s;
    size_t n; /* tasks */
};

static void add(struct sched *s, struct job *j, const char *name, unsigned priority,
                const char *tenant, int64_t age, size_t n)
{
    *j = (struct job){ .name = name, .n = n };
    assert_int_equal(sched_add(s, j, priority, tenant, age, n, &j->s), 0);
    for (size_t i = 0; i < n; i++)
        sched_wait(s, j->s, i, 0);
}

/* Pick one, charge 1 for it: "name" + number, or "-". */
static void pick(struct sched *s, char *ret)
{
    void *owner;
    size_t i;

    if (!sched_pick(s, &owner, &i)) {
        strcpy(ret, "-");
        return;
    }
    struct job *j = owner;
    sched_charge(s, j->s, 1);
    (void)sprintf(ret, "%s%zu", j->name, i);
}

static void expect_picks(struct sched *s, const char *want)
{
    char got[512] = "", one[32];

    do {
        pick(s, one);
        strcat(strcat(got, one), " ");
    } while (one[0] != '-' && strlen(got) < 400);
    assert_string_equal(got, want);
}

static void tasks_go_in_order_and_older_jobs_first(void **state)
{
    struct sched *s = sched_new();
    struct job young, old;

    (void)state;
    add(s, &young, "y", 5, "", 20, 2);
    add(s, &old, "o", 5, "", 10, 3);
    assert_int_equal(sched_ready(s), 5);
    expect_picks(s, "o0 o1 o2 y0 y1 - ");
    assert_int_equal(sched_ready(s), 0);
    sched_wait(s, old.s, 2, 0);
    sched_wait(s, old.s, 0, 0);
    sched_wait(s, old.s, 0, 0);
    expect_picks(s, "o0 o2 - ");
    sched_remove(s, young.s);
    sched_remove(s, old.s);
    sched_free(s);
}

static void priority_goes_before_everything(void **state)
{
    struct sched *s = sched_new();
    struct job low, high;

    (void)state;
    add(s, &low, "l", 0, "a", 1, 3);
    char one[32];
    pick(s, one);
    assert_string_equal(one, "l0");
    add(s, &high, "h", 9, "a", 2, 2);
    expect_picks(s, "h0 h1 l1 l2 - ");
    sched_remove(s, low.s);
    sched_remove(s, high.s);
    sched_free(s);
}

static void tenants_take_turns_however_many_jobs_one_has(void **state)
{
    struct sched *s = sched_new();
    struct job flood[3], a, b;
    const char *const names[] = { "f", "g", "h" };

    (void)state;
    for (int i = 0; i < 3; i++)
        add(s, &flood[i], names[i], 5, "flood", i, 2);
    add(s, &a, "a", 5, "a", 10, 2);
    add(s, &b, "b", 5, "b", 11, 2);
    expect_picks(s, "f0 a0 b0 f1 a1 b1 g0 g1 h0 h1 - ");
    for (int i = 0; i < 3; i++)
        sched_remove(s, flood[i].s);
    sched_remove(s, a.s);
    sched_remove(s, b.s);
    sched_free(s);
}

static void a_tenant_that_was_away_has_saved_up_nothing(void **state)
{
    struct sched *s = sched_new();
    struct job a, b;
    char one[32];

    (void)state;
    add(s, &a, "a", 5, "a", 1, 10);
    add(s, &b, "b", 5, "b", 2, 10);
    for (size_t i = 0; i < 10; i++)
        sched_leave(s, b.s, i);
    for (int i = 0; i < 6; i++)
        pick(s, one); /* all a's */
    for (size_t i = 0; i < 4; i++)
        sched_wait(s, b.s, i, 0);
    expect_picks(s, "b0 a6 b1 a7 b2 a8 b3 a9 - ");
    sched_remove(s, a.s);
    sched_remove(s, b.s);
    sched_free(s);
}

static void what_costs_more_counts_for_more(void **state)
{
    struct sched *s = sched_new();
    struct job a, b;
    void *owner;
    size_t i, n_a = 0;

    (void)state;
    add(s, &a, "a", 5, "a", 1, 100);
    add(s, &b, "b", 5, "b", 2, 100);
    for (int n = 0; n < 40; n++) {
        assert_int_equal(sched_pick(s, &owner, &i), 1);
        n_a += owner == &a;
        sched_charge(s, ((struct job *)owner)->s, owner == &a ? 3 : 1);
    }
    assert_in_range(n_a, 9, 11);
    sched_remove(s, a.s);
    sched_remove(s, b.s);
    sched_free(s);
}

static void a_back_off_is_waited_for(void **state)
{
    struct sched *s = sched_new();
    struct job a;

    (void)state;
    add(s, &a, "a", 5, "", 1, 0);
    sched_remove(s, a.s);
    assert_int_equal(sched_add(s, &a, 5, "", 1, 3, &a.s), 0);
    assert_true(sched_next(s) == INT64_MAX);
    sched_wait(s, a.s, 0, 2000);
    sched_wait(s, a.s, 1, 1000);
    sched_wait(s, a.s, 2, 3000);
    assert_int_equal(sched_next(s), 1000);
    sched_due(s, 999);
    expect_picks(s, "- ");
    sched_due(s, 2000);
    expect_picks(s, "a0 a1 - ");
    sched_leave(s, a.s, 2); /* a late result */
    sched_due(s, 9000);
    expect_picks(s, "- ");
    sched_wait(s, a.s, 1, 1000);
    sched_remove(s, a.s); /* its time never comes */
    assert_true(sched_next(s) == INT64_MAX);
    sched_free(s);
}

static void positions_tell_who_is_served_before(void **state)
{
    struct sched *s = sched_new();
    struct job v[5];

    (void)state;
    add(s, &v[0], "a", 5, "a", 1, 1);
    add(s, &v[1], "b", 5, "a", 2, 1);
    add(s, &v[2], "c", 5, "a", 3, 1);
    add(s, &v[3], "d", 5, "b", 4, 1);
    add(s, &v[4], "e", 9, "b", 5, 1);
    assert_int_equal(sched_position(s, v[4].s), 0);
    assert_int_equal(sched_position(s, v[0].s), 1);
    assert_int_equal(sched_position(s, v[3].s), 1);
    assert_int_equal(sched_position(s, v[1].s), 3);
    assert_int_equal(sched_position(s, v[2].s), 4);
    sched_leave(s, v[4].s, 0);
    assert_int_equal(sched_position(s, v[4].s), -1);
    assert_int_equal(sched_position(s, v[0].s), 0);
    for (int i = 0; i < 5; i++)
        sched_remove(s, v[i].s);
    sched_free(s);
}

/* Whoever waits is told a time: its own work, and what comes before it. */
static void the_work_ahead_is_that_of_whom_is_served_before(void **state)
{
    static const struct {
        const char *tenant;
        unsigned priority;
        double work, ahead, without_h, a_handed_out;
    } rows[] = {
  /* of each other tenant as much as of one's own */
        {"flood",  5, 10,  3 + 4 + 10,      4 + 10,      4 + 10     },
        { "flood", 5, 10,  3 + 10 + 4 + 20, 10 + 4 + 20, 10 + 4 + 20},
        { "flood", 5, 10,  3 + 20 + 4 + 24, 20 + 4 + 24, 20 + 4 + 24},
        { "a",     5, 4,   3 + 4 + 4,       4 + 4,       4 + 4      },
        { "b",     5, 24,  3 + 24 + 4,      24 + 4,      24 + 4     },
        { "b",     2, 100, 3 + 30 + 4 + 24, 30 + 4 + 24, 30 + 4 + 24},
        { "h",     9, 3,   0,               -1,          -1         },
    };
    enum { N = sizeof(rows) / sizeof(rows[0]), A = 3, H = N - 1 };
    struct sched *s = sched_new();
    struct job jobs[N];

    (void)state;
    for (size_t i = 0; i < N; i++) {
        add(s, &jobs[i], "j", rows[i].priority, rows[i].tenant, (int64_t)i, 2);
        sched_work(s, jobs[i].s, 1); /* at first */
        sched_work(s, jobs[i].s, rows[i].work);
    }
    for (size_t i = 0; i < N; i++)
        assert_true(fabs(sched_ahead(s, jobs[i].s) - rows[i].ahead) < 1e-9);
    sched_remove(s, jobs[H].s);
    for (size_t i = 0; i < H; i++)
        assert_true(fabs(sched_ahead(s, jobs[i].s) - rows[i].without_h) < 1e-9);
    for (size_t i = 0; i < 2; i++) /* still work, no longer in turn */
        sched_leave(s, jobs[A].s, i);
    for (size_t i = 0; i < H; i++)
        if (i != A)
            assert_true(fabs(sched_ahead(s, jobs[i].s) - rows[i].a_handed_out) < 1e-9);
    for (size_t i = 0; i < H; i++)
        sched_remove(s, jobs[i].s);
    sched_free(s);
}

/* Against a list that is searched from end to end. */
static void random_use_never_picks_what_does_not_wait(void **state)
{
    enum { JOBS = 20, TASKS = 130 };
    struct sched *s = sched_new();
    struct job v[JOBS];
    unsigned char waits[JOBS][TASKS] = { 0 };
    unsigned x = 1;
    size_t n = 0;

    (void)state;
    for (size_t k = 0; k < JOBS; k++) {
        char tenant[2] = { (char)('a' + k % 3), 0 };
        v[k] = (struct job){ .name = "j" };
        assert_int_equal(sched_add(s, &v[k], 5, tenant, (int64_t)k, TASKS, &v[k].s), 0);
    }
    for (int round = 0; round < 20000; round++) {
        x = x * 1664525 + 1013904223;
        size_t k = (x >> 8) % JOBS, i = (x >> 16) % TASKS;
        void *owner;
        switch ((x >> 4) % 4) {
        case 0:
        case 1:
            n += !waits[k][i];
            waits[k][i] = 1;
            sched_wait(s, v[k].s, i, 0);
            break;
        case 2:
            n -= waits[k][i];
            waits[k][i] = 0;
            sched_leave(s, v[k].s, i);
            break;
        default:
            if (!sched_pick(s, &owner, &i)) {
                assert_int_equal(n, 0);
                break;
            }
            k = (size_t)((struct job *)owner - v);
            assert_true(waits[k][i]);
            for (size_t before = 0; before < i; before++)
                assert_false(waits[k][before]);
            waits[k][i] = 0;
            n--;
            sched_charge(s, v[k].s, 1);
        }
        assert_int_equal(sched_ready(s), n);
    }
    for (size_t k = 0; k < JOBS; k++)
        sched_remove(s, v[k].s);
    sched_free(s);
}

static void ten_thousand_jobs_are_no_burden(void **state)
{
    enum { JOBS = 10000, PICKS = 10000 };
    struct sched *s = sched_new();
    struct job *v = calloc(JOBS, sizeof(*v));
    struct timespec a, b;
    char one[32], tenant[16];

    (void)state;
    for (size_t k = 0; k < JOBS; k++) {
        (void)sprintf(tenant, "t%zu", k % 500);
        add(s, &v[k], "j", (unsigned)(k % 10), tenant, (int64_t)k, 10);
    }
    (void)clock_gettime(CLOCK_MONOTONIC, &a);
    for (int i = 0; i < PICKS; i++)
        pick(s, one);
    (void)clock_gettime(CLOCK_MONOTONIC, &b);
    double us = ((double)(b.tv_sec - a.tv_sec) * 1e9 + (double)(b.tv_nsec - a.tv_nsec)) / 1e3;
    assert_true(us / PICKS < 1000); /* each within 1 ms, whatever watches this program */
    for (size_t k = 0; k < JOBS; k++)
        sched_remove(s, v[k].s);
    sched_free(s);
    free(v);
}

static void timers_come_in_order_and_can_be_forgotten(void **state)
{
    struct timers t = { 0 };
    struct timer due;
    int a, b;
    unsigned x = 7;
    int64_t last = 0;

    (void)state;
    for (size_t i = 0; i < 200; i++) {
        x = x * 1664525 + 1013904223;
        assert_int_equal(timers_add(&t, x >> 16, i % 2 ? &a : &b, i), 0);
    }
    assert_int_equal(timers_forget(&t, &b, SIZE_MAX), 100);
    assert_int_equal(timers_forget(&t, &a, 1), 1);
    for (int i = 0; i < 99; i++) {
        assert_true(timers_pop(&t, INT64_MAX, &due));
        assert_ptr_equal(due.owner, &a);
        assert_true(due.at_ms >= last);
        last = due.at_ms;
    }
    assert_false(timers_pop(&t, INT64_MAX, &due));
    timers_release(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tasks_go_in_order_and_older_jobs_first),
        cmocka_unit_test(priority_goes_before_everything),
        cmocka_unit_test(tenants_take_turns_however_many_jobs_one_has),
        cmocka_unit_test(a_tenant_that_was_away_has_saved_up_nothing),
        cmocka_unit_test(what_costs_more_counts_for_more),
        cmocka_unit_test(a_back_off_is_waited_for),
        cmocka_unit_test(positions_tell_who_is_served_before),
        cmocka_unit_test(the_work_ahead_is_that_of_whom_is_served_before),
        cmocka_unit_test(random_use_never_picks_what_does_not_wait),
        cmocka_unit_test(ten_thousand_jobs_are_no_burden),
        cmocka_unit_test(timers_come_in_order_and_can_be_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
