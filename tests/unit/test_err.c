/* Errors keep their class and a readable text; logs keep one line a line. */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
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

#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/log.h"
#include "common/base/utf8.h"

static void an_error_has_class_text_and_return_value(void **state)
{
    struct err e = { 0 };

    (void)state;
    assert_int_equal(err_set(&e, -EINVAL, ERR_INPUT, "line %d of %s", 3, "x"), -EINVAL);
    assert_int_equal(e.cls, ERR_INPUT);
    assert_string_equal(e.text, "line 3 of x");
    assert_int_equal(err_prefix(&e, -EIO, "reading %s", "y"), -EIO);
    assert_string_equal(e.text, "reading y: line 3 of x");
    assert_int_equal(e.cls, ERR_INPUT);
}

static void no_error_wanted_is_no_error_written(void **state)
{
    (void)state;
    assert_int_equal(err_set(NULL, -EIO, ERR_INPUT, "x"), -EIO);
    assert_int_equal(err_prefix(NULL, -EIO, "x"), -EIO);
}

static void an_error_may_quote_itself(void **state)
{
    struct err e = { 0 };

    (void)state;
    (void)err_set(&e, -EIO, ERR_STORAGE, "inner");
    (void)err_set(&e, -EIO, ERR_INPUT, "outer: %s", e.text);
    assert_string_equal(e.text, "outer: inner");
    (void)err_prefix(&e, -EIO, "%s", e.text);
    assert_string_equal(e.text, "outer: inner: outer: inner");
}

static void a_long_text_is_cut_between_characters(void **state)
{
    char text[ERR_TEXT_MAX * 2 + 1];

    (void)state;
    for (int shift = 0; shift < 4; shift++) {
        struct err e = { 0 };
        memset(text, 'a', (size_t)shift);
        for (size_t i = (size_t)shift; i + 4 < sizeof(text); i += 4)
            strcpy(text + i, "\xf0\x9f\x8e\xac");
        (void)err_set(&e, -EIO, ERR_INPUT, "%s", text);
        assert_true(utf8_valid(e.text, strlen(e.text)));
        assert_true(strlen(e.text) > ERR_TEXT_MAX - 5);
        (void)err_prefix(&e, -EIO, "%s", "abc");
        assert_true(utf8_valid(e.text, strlen(e.text)));
        assert_memory_equal(e.text, "abc: ", 5);
    }
}

static void a_text_that_is_not_utf8_is_mended(void **state)
{
    struct err e = { 0 };

    (void)state;
    (void)err_set(&e, -EIO, ERR_INPUT, "a child said %s", "\xb0\xff!");
    assert_string_equal(e.text, "a child said ??!");
    (void)err_prefix(&e, -EIO, "caf\xe9.mp4");
    assert_string_equal(e.text, "caf?.mp4: a child said ??!");
}

static void every_class_has_a_name_that_reads_back(void **state)
{
    (void)state;
    for (int i = 0; i < ERR_CLASS_MAX; i++)
        assert_int_equal(err_class_parse(err_class_name((enum err_class)i)), i);
    assert_int_equal(err_class_parse("no such class"), ERR_INTERNAL);
    assert_int_equal(err_class_parse(NULL), ERR_INTERNAL);
    assert_string_equal(err_class_name((enum err_class)99), "internal");
}

static void only_what_another_try_may_mend_is_retried(void **state)
{
    static const enum err_class retried[] = { ERR_CRASH, ERR_TIMEOUT, ERR_RESOURCE, ERR_STORAGE,
                                              ERR_INTERNAL };
    static const enum err_class not_retried[] = { ERR_NONE, ERR_INPUT, ERR_UNSUPPORTED,
                                                  ERR_CANCELED, ERR_USAGE };
    (void)state;
    for (size_t i = 0; i < sizeof(retried) / sizeof(retried[0]); i++)
        assert_true(err_class_retried(retried[i]));
    for (size_t i = 0; i < sizeof(not_retried) / sizeof(not_retried[0]); i++)
        assert_false(err_class_retried(not_retried[i]));
}

static void malformed_utf8_is_seen_and_mended(void **state)
{
    static const struct {
        const char *in, *want;
    } rows[] = {
        {"plain",                 "plain"            },
        { "\xc3\xa9",             "\xc3\xa9"         },
        { "\xc0\xaf",             "??"               }, /* overlong '/' */
        { "\xed\xa0\x80",         "???"              }, /* surrogate */
        { "\xf4\x90\x80\x80",     "????"             }, /* beyond U+10FFFF */
        { "a\xe2\x82",            "a??"              }, /* cut off */
        { "\xff\xf0\x9f\x8e\xac", "?\xf0\x9f\x8e\xac"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char buf[16];
        strcpy(buf, rows[i].in);
        utf8_mend(buf);
        assert_string_equal(buf, rows[i].want);
        assert_int_equal(utf8_valid(rows[i].in, strlen(rows[i].in)),
                         strcmp(rows[i].in, rows[i].want) == 0);
    }
}

static void the_monotonic_clock_does_not_run_back(void **state)
{
    (void)state;
    int64_t a = clock_system.mono_ns(&clock_system), b = clock_system.mono_ns(&clock_system);
    assert_true(b >= a);
    assert_true(clock_system.wall_ms(&clock_system) > INT64_C(1600000000000));
}

/* What log_event() wrote to stderr while `say` ran. */
static char *captured(void (*say)(void))
{
    char path[] = "/tmp/gopmill-test-log-XXXXXX";
    int fd = mkstemp(path), was = dup(STDERR_FILENO);

    assert_true(fd >= 0 && was >= 0);
    (void)unlink(path);
    assert_true(dup2(fd, STDERR_FILENO) >= 0);
    say();
    assert_true(dup2(was, STDERR_FILENO) >= 0);
    (void)close(was);
    char *buf = calloc(1, 65536);
    assert_non_null(buf);
    assert_true(pread(fd, buf, 65535, 0) >= 0);
    (void)close(fd);
    return buf;
}

static void say_hostile(void)
{
    log_event(LOG_WARN, "task.failed", LSTR("why", "a \"b\"\n\x1b[31m\xff"), LINT("n", -7),
              LDBL("x", 1.5), LDBL("bad", NAN), LSTR("none", NULL));
}

static void say_debug(void)
{
    log_event(LOG_DEBUG, "noise");
}

static void a_json_line_reads_back(void **state)
{
    (void)state;
    log_init(LOG_FORMAT_JSON, LOG_INFO);
    char *line = captured(say_hostile);
    assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
    json_t *j = json_loads(line, 0, NULL);
    assert_non_null(j);
    assert_string_equal(json_string_value(json_object_get(j, "level")), "warn");
    assert_string_equal(json_string_value(json_object_get(j, "event")), "task.failed");
    assert_string_equal(json_string_value(json_object_get(j, "why")), "a \"b\"\n\x1b[31m?");
    assert_int_equal(json_integer_value(json_object_get(j, "n")), -7);
    assert_true(json_is_null(json_object_get(j, "bad")));
    assert_string_equal(json_string_value(json_object_get(j, "none")), "");
    json_decref(j);
    free(line);
}

static void a_text_line_cannot_be_broken_or_coloured_from_outside(void **state)
{
    (void)state;
    log_init(LOG_FORMAT_TEXT, LOG_INFO);
    char *line = captured(say_hostile);
    assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
    assert_null(strchr(line, '\x1b'));
    assert_non_null(
        strstr(line, " warn task.failed why=\"a \\\"b\\\"\\x0a\\x1b[31m?\" n=-7 x=1.5"));
    free(line);
}

static void what_is_below_the_level_is_not_written(void **state)
{
    (void)state;
    char *line = captured(say_debug);
    assert_string_equal(line, "");
    free(line);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_error_has_class_text_and_return_value),
        cmocka_unit_test(no_error_wanted_is_no_error_written),
        cmocka_unit_test(an_error_may_quote_itself),
        cmocka_unit_test(a_long_text_is_cut_between_characters),
        cmocka_unit_test(a_text_that_is_not_utf8_is_mended),
        cmocka_unit_test(every_class_has_a_name_that_reads_back),
        cmocka_unit_test(only_what_another_try_may_mend_is_retried),
        cmocka_unit_test(malformed_utf8_is_seen_and_mended),
        cmocka_unit_test(the_monotonic_clock_does_not_run_back),
        cmocka_unit_test(a_json_line_reads_back),
        cmocka_unit_test(a_text_line_cannot_be_broken_or_coloured_from_outside),
        cmocka_unit_test(what_is_below_the_level_is_not_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
