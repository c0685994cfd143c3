/* What a dispatcher says, taken out of its JSON and made fit for a terminal. */
#include "cli/answer.h"
#include "cli/follow.h"
#include "cli/format.h"
#include "cli/table.h"
#include "cli/text.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void read_job(const char *text, struct answer_job *ret)
{
    struct err err = { 0 };
    json_t *j = json_loads(text, 0, NULL);

    assert_non_null(j);
    assert_int_equal(answer_job(j, ret, &err), 0);
    json_decref(j);
}

#define JOB_START "{\"v\":1,\"id\":\"j1\",\"state\":"
#define RUNNING                                                                             \
    JOB_START "\"running\",\"source\":\"s3://in/a.mov\",\"output\":\"s3://out/\","          \
              "\"ladder\":\"web-h264\",\"priority\":5,\"tenant\":\"acme\","                 \
              "\"created\":\"2026-11-23T23:38:52.250Z\",\"started\":null,\"ended\":null,"   \
              "\"error\":null,\"progress\":{\"percent\":42.5,\"speed\":1.34,\"eta_s\":41,"  \
              "\"queue_position\":null,\"tasks\":18,\"tasks_done\":3,\"tasks_running\":2}," \
              "\"renditions\":[{\"name\":\"1080p\",\"percent\":40}],"                       \
              "\"tasks\":[{\"id\":\"v-0000-0\",\"kind\":\"video\",\"chunk\":0,\"state\":"   \
              "\"running\",\"attempt\":2,\"worker\":\"w1\",\"frames\":250,\"frames_done\":9}]}"

static void a_running_job_is_read_whole(void **state)
{
    struct answer_job job;

    (void)state;
    read_job(RUNNING, &job);
    assert_string_equal(job.id, "j1");
    assert_string_equal(job.tenant, "acme");
    assert_int_equal(job.error, ERR_NONE);
    assert_true(job.created_s > 1795477132.2 && job.created_s < 1795477132.3);
    assert_true(job.started_s == 0 && job.ended_s == 0);
    assert_true(job.percent == 42.5 && job.queue_position == -1);
    assert_int_equal(job.n_renditions, 1);
    assert_int_equal(job.n_listed, 1);
    assert_string_equal(job.tasks[0].worker, "w1");
    assert_int_equal(job.tasks[0].frames_done, 9);
    assert_false(answer_job_ended(&job));
    answer_job_release(&job);
}

static void a_job_is_told_in_one_line(void **state)
{
    struct answer_job job;
    char words[256], few[12];

    (void)state;
    read_job(RUNNING, &job);
    assert_string_equal(follow_words(words, sizeof(words), &job),
                        "running 42%, 3 of 18 tasks, 2 at work, 1.34x real time, 41.0 s left");
    assert_string_equal(follow_words(few, sizeof(few), &job), "running 42%");
    job.eta_s = -1, job.n_running = 0;
    assert_string_equal(follow_words(words, sizeof(words), &job),
                        "running 42%, 3 of 18 tasks, 1.34x real time, waiting for a worker");
    answer_job_release(&job);
}

static void what_is_missing_or_wild_is_nothing_or_the_limit(void **state)
{
    struct answer_job job;

    (void)state;
    read_job(JOB_START "\"queued\"}", &job);
    assert_string_equal(job.source, "");
    assert_true(job.eta_s == -1 && job.speed == 0 && job.n_tasks == 0);
    answer_job_release(&job);

    read_job(JOB_START "\"queued\",\"priority\":-3,\"source\":7,\"tasks\":{},\"renditions\":9,"
                       "\"created\":\"yesterday\",\"progress\":{\"percent\":1e300,\"tasks\":-1,"
                       "\"tasks_done\":1e30,\"eta_s\":\"soon\"}}",
             &job);
    assert_true(job.percent == 100 && job.n_tasks == 0 && job.eta_s == -1);
    assert_true(job.n_done == UINT64_C(1000000000000000));
    assert_int_equal(job.priority, 0);
    assert_true(job.created_s == 0);
    answer_job_release(&job);
}

static void a_job_without_id_or_state_is_refused(void **state)
{
    static const char *const texts[] = { "{}", "{\"id\":\"x\"}", "{\"state\":\"done\"}",
                                         "{\"id\":7,\"state\":\"done\"}" };

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct answer_job job;
        struct err err = { 0 };
        json_t *j = json_loads(texts[i], 0, NULL);

        assert_int_equal(answer_job(j, &job, &err), -EBADMSG);
        assert_non_null(strstr(err.text, "missing"));
        json_decref(j);
    }
}

static void the_end_of_a_job_is_an_exit_status(void **state)
{
    static const struct {
        const char *rest;
        int ended, status;
    } rows[] = {
        {"\"done\"}",                                            1, 0},
        { "\"failed\",\"error\":{\"class\":\"input\"}}",         1, 3},
        { "\"failed\",\"error\":{\"class\":\"unsupported\"}}",   1, 3},
        { "\"failed\",\"error\":{\"class\":\"usage\"}}",         1, 2},
        { "\"failed\",\"error\":{\"class\":\"storage\"}}",       1, 1},
        { "\"failed\",\"error\":{\"class\":\"not known yet\"}}", 1, 1},
        { "\"failed\"}",                                         1, 1},
        { "\"canceled\"}",                                       1, 1},
        { "\"publishing\"}",                                     0, 1},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct answer_job job;
        char text[256];

        (void)snprintf(text, sizeof(text), "%s%s", JOB_START, rows[i].rest);
        read_job(text, &job);
        assert_int_equal(answer_job_ended(&job), rows[i].ended);
        assert_int_equal(answer_job_exit(&job), rows[i].status);
        answer_job_release(&job);
    }
}

static void nothing_that_moves_a_cursor_is_left(void **state)
{
    static const struct {
        const char *is, *want;
    } rows[] = {
        {"plain, \xc3\xa4\xe2\x82\xac\xf0\x9f\x8e\xac",
         "plain, \xc3\xa4\xe2\x82\xac\xf0\x9f\x8e\xac"           },
        { "a\x1b[31mb",                                 "a?[31mb"},
        { "a\nb\tc\r",                                  "a b c " },
        { "a\x7f"
          "b",                                 "a?b"    },
        { "a\xc2\x9b"
          "2Jb",                               "a?2Jb"  }, /* C1: another escape */
        { "a\xe2\x80\xae"
          "b",                                 "a?b"    }, /* right to left */
        { "a\xff\xfe"
          "b",                                 "a??b"   },
        { "\xe2\x82",                                   "??"     },
        { "",                                           ""       },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char *s = text_dup(rows[i].is);

        assert_string_equal(s, rows[i].want);
        free(s);
    }
    char *none = text_dup(NULL);
    assert_string_equal(none, "");
    free(none);
}

static void long_texts_are_cut_between_characters(void **state)
{
    json_t *j = json_object();
    struct answer_dead d;
    struct err err;
    char *text = malloc(9001);

    (void)state;
    for (size_t i = 0; i < 3000; i++)
        memcpy(text + 3 * i, "\xe2\x82\xac", 3);
    text[9000] = '\0';
    json_object_set_new(j, "body", json_string(text));
    assert_int_equal(answer_dead(j, &d, &err), 0);
    assert_int_equal(strlen(d.body), ANSWER_TEXT_MAX / 3 * 3);
    answer_dead_release(&d);
    json_decref(j);
    free(text);
}

static void a_worker_is_read(void **state)
{
    json_t *j = json_loads("{\"id\":\"w1\",\"state\":\"active\",\"slots\":4,\"running\":[{},{}],"
                           "\"seen_s\":2.5,\"reason\":null,\"speed\":31.5}",
                           0, NULL);
    struct answer_worker w;
    struct err err;

    (void)state;
    assert_int_equal(answer_worker(j, &w, &err), 0);
    assert_int_equal(w.n_running, 2);
    assert_string_equal(w.reason, "");
    answer_worker_release(&w);
    json_object_del(j, "id");
    assert_int_equal(answer_worker(j, &w, &err), -EBADMSG);
    json_decref(j);
}

static void ages_have_units(void **state)
{
    static const struct {
        const char *text;
        double s; /* -1: refused */
    } rows[] = {
        {"45s",    45    },
        { "90m",   5400  },
        { "1h",    3600  },
        { "7d",    604800},
        { "90",    90    },
        { "1.5h",  5400  },
        { "",      -1    },
        { "h",     -1    },
        { "-1h",   -1    },
        { "1w",    -1    },
        { "1h30m", -1    },
        { "nan",   -1    },
        { "1e9d",  -1    },
        { " 1h",   -1    },
        { "0",     0     },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct err err = { 0 };
        double s = -1;

        assert_int_equal(answer_age("--since", rows[i].text, &s, &err),
                         rows[i].s < 0 ? -EINVAL : 0);
        assert_true(s == rows[i].s);
    }
}

static void times_are_rfc_3339_in_utc(void **state)
{
    static const struct {
        const char *text;
        double s;
    } rows[] = {
        {"1970-01-01T00:00:01Z",       1           },
        { "2026-11-23T23:38:52.500Z",  1795477132.5},
        { "2026-11-23T23:38:52",       0           },
        { "2026-13-23T23:38:52Z",      0           },
        { "2026-11-23T23:38:52+01:00", 0           },
        { "2026-11-23T23:38:52.9e9Z",  0           },
        { "",                          0           },
        { NULL,                        0           },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_true(answer_time(rows[i].text) == rows[i].s);
}

static char *print(const struct table *t, int columns)
{
    char *text = NULL;
    size_t len;
    FILE *f = open_memstream(&text, &len);

    assert_int_equal(table_print(t, f, columns), 0);
    (void)fclose(f);
    return text;
}

static void a_table_leaves_out_empty_columns_and_cuts_the_last(void **state)
{
    struct table *t = table_new("ID|>DONE|TENANT|SOURCE");

    (void)state;
    table_row(t);
    table_cell(t, "a");
    table_cell(t, "%d%%", 7);
    table_cell(t, "%s", "");
    table_cell(t, "s3://in/\xc3\xa4long.mov");
    table_cell(t, "one too many");
    table_row(t);
    table_cell(t, "longer");

    char *whole = print(t, 0), *cut = print(t, 26);
    assert_string_equal(whole, "ID      DONE  SOURCE\n"
                               "a         7%  s3://in/\xc3\xa4long.mov\n"
                               "longer        \n");
    assert_string_equal(cut, "ID      DONE  SOURCE\n"
                             "a         7%  s3://in/\xc3\xa4lo\xe2\x80\xa6\n"
                             "longer        \n");
    free(whole);
    free(cut);
    table_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_running_job_is_read_whole),
        cmocka_unit_test(a_job_is_told_in_one_line),
        cmocka_unit_test(what_is_missing_or_wild_is_nothing_or_the_limit),
        cmocka_unit_test(a_job_without_id_or_state_is_refused),
        cmocka_unit_test(the_end_of_a_job_is_an_exit_status),
        cmocka_unit_test(nothing_that_moves_a_cursor_is_left),
        cmocka_unit_test(long_texts_are_cut_between_characters),
        cmocka_unit_test(a_worker_is_read),
        cmocka_unit_test(ages_have_units),
        cmocka_unit_test(times_are_rfc_3339_in_utc),
        cmocka_unit_test(a_table_leaves_out_empty_columns_and_cuts_the_last),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
