/* Who of the workers stands out, and who only had bad luck with an upload. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/clock.h"
#include "dispatcher/crew.h"

/* "w1 a.0 crash": worker, source and task, how it ended ("" is done). */
struct event {
    const char *worker, *source, *task;
    enum err_class cls;
};

static const struct row {
    const char *name;
    const char *want; /* the suspect; NULL: nobody */
    struct event v[24];
} rows[] = {
    {"one upload that crashes every worker is nobody's fault",
     NULL, { { "w1", "p", "0", ERR_CRASH },
        { "w2", "p", "0", ERR_CRASH },
        { "w1", "p", "1", ERR_CRASH },
        { "w2", "p", "1", ERR_CRASH },
        { "w1", "p", "2", ERR_CRASH },
        { "w1", "p", "3", ERR_CRASH },
        { "w1", "p", "4", ERR_CRASH } }   },
    { "three uploads that nobody can make, either",
     NULL, { { "w1", "p", "0", ERR_INTERNAL },
        { "w1", "q", "0", ERR_INTERNAL },
        { "w1", "r", "0", ERR_INTERNAL },
        { "w2", "p", "0", ERR_INTERNAL },
        { "w2", "q", "0", ERR_INTERNAL },
        { "w2", "r", "0", ERR_INTERNAL } }},
    { "what others made of three sources",
     "w1", { { "w1", "a", "0", ERR_CRASH },
        { "w1", "b", "0", ERR_RESOURCE },
        { "w1", "c", "0", ERR_INTERNAL },
        { "w2", "a", "0", ERR_NONE },
        { "w2", "b", "0", ERR_NONE },
        { "w2", "c", "0", ERR_NONE } }    },
    { "of two sources only",
     NULL, { { "w1", "a", "0", ERR_CRASH },
        { "w1", "b", "0", ERR_CRASH },
        { "w1", "b", "1", ERR_CRASH },
        { "w1", "b", "2", ERR_CRASH },
        { "w2", "a", "0", ERR_NONE },
        { "w2", "b", "0", ERR_NONE } }    },
    { "one that also does its work",
     NULL, { { "w1", "a", "0", ERR_CRASH },
        { "w1", "x", "0", ERR_NONE },
        { "w1", "b", "0", ERR_CRASH },
        { "w1", "x", "1", ERR_NONE },
        { "w1", "c", "0", ERR_CRASH },
        { "w1", "x", "2", ERR_NONE },
        { "w2", "a", "0", ERR_NONE },
        { "w2", "b", "0", ERR_NONE },
        { "w2", "c", "0", ERR_NONE } }    },
    { "one that did before it went bad",
     "w1", { { "w1", "x", "0", ERR_NONE },
        { "w1", "x", "1", ERR_NONE },
        { "w1", "x", "2", ERR_NONE },
        { "w1", "a", "0", ERR_CRASH },
        { "w1", "b", "0", ERR_CRASH },
        { "w1", "c", "0", ERR_CRASH },
        { "w2", "a", "0", ERR_NONE },
        { "w2", "b", "0", ERR_NONE },
        { "w2", "c", "0", ERR_NONE } }    },
    { "a store that refuses one worker: tasks of a single source are enough",
     "w1", { { "w1", "a", "0", ERR_STORAGE },
        { "w1", "a", "1", ERR_STORAGE },
        { "w1", "a", "2", ERR_STORAGE },
        { "w2", "b", "0", ERR_NONE } }    },
    { "a store that refuses everybody",
     NULL, { { "w1", "a", "0", ERR_STORAGE },
        { "w2", "a", "0", ERR_STORAGE },
        { "w1", "a", "1", ERR_STORAGE },
        { "w2", "a", "1", ERR_STORAGE },
        { "w1", "a", "2", ERR_STORAGE },
        { "w2", "a", "2", ERR_STORAGE } } },
    { "the same task again and again is one failure",
     NULL, { { "w1", "a", "0", ERR_STORAGE },
        { "w1", "a", "0", ERR_STORAGE },
        { "w1", "a", "0", ERR_STORAGE },
        { "w2", "b", "0", ERR_NONE } }    },
    { "canceled tasks and bad uploads say nothing",
     NULL, { { "w1", "a", "0", ERR_CANCELED },
        { "w1", "b", "0", ERR_CANCELED },
        { "w1", "c", "0", ERR_INPUT },
        { "w1", "d", "0", ERR_INPUT },
        { "w1", "e", "0", ERR_INPUT },
        { "w2", "a", "0", ERR_NONE },
        { "w2", "b", "0", ERR_NONE },
        { "w2", "c", "0", ERR_NONE } }    },
};

static int64_t note_all(struct crew *c, const struct event *v, int64_t now)
{
    for (; v->worker; v++, now += NS_PER_S) {
        char task[64];
        (void)snprintf(task, sizeof(task), "%s/%s", v->source, v->task);
        const struct crew_outcome o = { crew_number(c, v->worker, now), v->source, task,
                                        "s3://in s3://out", v->cls };
        crew_note(c, &o, now);
    }
    return now;
}

static void evidence_decides(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct crew *c = crew_new();
        char why[200] = "";
        int64_t now = note_all(c, rows[i].v, NS_PER_S);
        unsigned got = crew_suspect(c, now, why, sizeof(why));
        const char *name = got ? crew_name(c, got) : NULL;
        if (!name != !rows[i].want || (name && strcmp(name, rows[i].want) != 0))
            fail_msg("%s: %s (%s)", rows[i].name, name ? name : "nobody", why);
        if (got)
            assert_true(why[0] != '\0');
        /* Half an hour later it is another worker, or another machine. */
        assert_int_equal(crew_suspect(c, now + 1801 * NS_PER_S, why, sizeof(why)), 0);
        crew_free(c);
    }
}

static void a_success_ends_a_quarantine(void **state)
{
    static const struct event bad[] = {
        {"w1",       "a", "0", ERR_CRASH },
        { "w1",       "b", "0", ERR_CRASH },
        { "w1",         "c", "0", ERR_CRASH },
        { "w2", "a", "0", ERR_NONE },
        { "w2", "b", "0", ERR_NONE },
        { "w2",      "c", "0", ERR_NONE },
        { 0      }
    };
    static const struct event good[] = {
        {"w1", "d", "0", ERR_NONE },
        { 0}
    };
    struct crew *c = crew_new();
    char why[200];

    (void)state;
    int64_t now = note_all(c, bad, NS_PER_S);
    unsigned w1 = crew_suspect(c, now, why, sizeof(why));
    assert_int_equal(w1, crew_number(c, "w1", now));
    crew_spare(c, w1, now); /* it is the last one */
    assert_int_equal(crew_suspect(c, now, why, sizeof(why)), 0);
    now += 601 * NS_PER_S;
    assert_int_equal(crew_suspect(c, now, why, sizeof(why)), w1);
    crew_quarantine(c, w1);
    assert_true(crew_is_quarantined(c, w1));
    assert_int_equal(crew_suspect(c, now, why, sizeof(why)), 0);

    /* One word of it isn't enough: its trial's result may be on the way. */
    assert_false(crew_ignores_quarantine(c, w1, 1, now));
    assert_false(crew_ignores_quarantine(c, w1, 1, now + NS_PER_S));
    assert_true(crew_ignores_quarantine(c, w1, 1, now + 5 * NS_PER_S));
    assert_false(crew_ignores_quarantine(c, w1, 0, now + 6 * NS_PER_S));

    now = note_all(c, good, now);
    assert_false(crew_is_quarantined(c, w1));
    assert_int_equal(crew_suspect(c, now, why, sizeof(why)), 0);
    crew_free(c);
    crew_free(NULL);
}

static void thousands_of_workers_come_and_go(void **state)
{
    struct crew *c = crew_new();
    char id[32];

    (void)state;
    for (int i = 0; i < 5000; i++) {
        (void)snprintf(id, sizeof(id), "w%d", i);
        unsigned n = crew_number(c, id, i);
        assert_in_range(n, 1, 4096);
        assert_string_equal(crew_name(c, n), id);
        assert_int_equal(crew_number(c, id, i), n);
    }
    assert_int_equal(crew_number(c, NULL, 0), 0);
    assert_int_equal(crew_number(c, "", 0), 0);
    assert_string_equal(crew_name(c, 0), "?");
    crew_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(evidence_decides),
        cmocka_unit_test(a_success_ends_a_quarantine),
        cmocka_unit_test(thousands_of_workers_come_and_go),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
