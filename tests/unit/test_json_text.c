/* JSON from outside: how deep it may be, and how much of it is parsed. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/wire/json_text.h"

static void levels_are_counted_outside_of_strings(void **state)
{
    static const struct {
        const char *text;
        size_t levels;
    } rows[] = {
        {"",                             0},
        { "7",                           0},
        { "{}",                          1},
        { "[[],[]]",                     2},
        { "{\"a\":{\"b\":[1]}}",         3},
        { "[\"[[[[\"]",                  1},
        { "[\"\\\"[[[\", \"\\\\\", []]", 2},
        { "[\"[[[",                      1},
        { "[\"\\",                       1},
        { "]]]][",                       1},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
        if (json_text_levels(rows[i].text, strlen(rows[i].text)) != rows[i].levels)
            fail_msg("%s: %zu", rows[i].text, json_text_levels(rows[i].text, strlen(rows[i].text)));
}

/* N of `open`, then N of `shut`. */
static char *nested(size_t n, char open, char shut)
{
    char *text = malloc(2 * n + 1);

    assert_non_null(text);
    memset(text, open, n);
    memset(text + n, shut, n);
    text[2 * n] = '\0';
    return text;
}

static int read_nested(size_t n, struct err *err)
{
    char *text = nested(n, '[', ']');
    json_t *j;
    int r = json_text_read(text, strlen(text), ERR_USAGE, &j, err);

    assert_true(r == 0 ? j != NULL : j == NULL);
    json_decref(j);
    free(text);
    return r;
}

static void deep_texts_are_refused_before_they_are_parsed(void **state)
{
    struct err err = { 0 };

    (void)state;
    assert_int_equal(read_nested(JSON_LEVELS_MAX, NULL), 0);
    assert_int_equal(read_nested(JSON_LEVELS_MAX + 1, &err), -EINVAL);
    assert_non_null(strstr(err.text, "33 levels"));
    assert_int_equal(read_nested(1900, &err), -EINVAL);
    assert_int_equal(err.cls, ERR_USAGE);
}

static void texts_of_too_many_values_are_refused(void **state)
{
    size_t n = (size_t)JSON_VALUES_MAX + 1;
    char *text = malloc(2 * n + 2);
    struct err err = { 0 };
    json_t *j;

    (void)state;
    assert_non_null(text);
    for (size_t i = 0; i < n; i++)
        memcpy(text + 2 * i, i ? ",1" : "[1", 2);
    memcpy(text + 2 * n, "]", 2);
    assert_int_equal(json_text_read(text, 2 * n + 1, ERR_INPUT, &j, &err), -EINVAL);
    assert_non_null(strstr(err.text, "values"));
    free(text);
}

static void what_is_no_json_is_said_where(void **state)
{
    static const char *const rows[] = { "", "{", "[1,]", "{\"a\":1,\"a\":2}", "[1] x", "nothing" };
    struct err err = { 0 };
    json_t *j;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        assert_int_equal(json_text_read(rows[i], strlen(rows[i]), ERR_INPUT, &j, &err), -EINVAL);
        assert_non_null(strstr(err.text, "not JSON: line 1"));
        assert_null(j);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(levels_are_counted_outside_of_strings),
        cmocka_unit_test(deep_texts_are_refused_before_they_are_parsed),
        cmocka_unit_test(texts_of_too_many_values_are_refused),
        cmocka_unit_test(what_is_no_json_is_said_where),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
