/* What the encoders themselves say to a ladder's parameters. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/err.h"
#include "ladders/check.h"
#include "ladders/ladder.h"

/* x265 leaks what it parses, and libavcodec an encoder that refuses its
 * parameters; neither is ours to free. Read by LeakSanitizer. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libx265\nleak:libaom\nleak:libSvtAv1Enc\nleak:libx264\n";
}

static void every_shipped_ladder_suits_its_encoders(void **state)
{
    (void)state;
    static const char *const names[] = { "preview",  "web-all",       "web-av1",  "web-av1-svt",
                                         "web-h264", "web-h264-copy", "web-hevc", "web-hevc-hdr" };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct ladder *l = NULL;
        struct err err = { 0 };
        if (ladder_load(names[i], &l, &err) < 0 || ladder_check_encoders(l, &err) < 0)
            fail_msg("%s", err.text);
        ladder_free(l);
    }
}

static const struct row {
    const char *entry, *guilty; /* guilty NULL: accepted */
    int line;
} rows[] = {
    {"codec: h264, params: {aq-mode: 3}",                  NULL,      0},
    { "codec: h264, params: {\n aq-mode: 3,\n aq-mod: 2}", "aq-mod",  4},
    { "codec: h264, params: {aq-mode: banana}",            "aq-mode", 2},
    { "codec: hevc, params: {aq-mode: 3}",                 NULL,      0},
    { "codec: hevc, range: hdr",                           NULL,      0},
    { "codec: hevc, params: {aq-mode: 3,\n rdd: 4}",       "rdd",     3},
    { "codec: av1, params: {enable-cdef: 1}",              NULL,      0},
    { "codec: av1, params: {enable-cdef: 1, foo: 1}",      "foo",     2},
    { "codec: av1, encoder: libsvtav1, params: {tune: 0}", NULL,      0},
    { "codec: av1, encoder: libsvtav1, params: {foo: 1}",  "foo",     2},
};

static void a_parameter_that_would_be_ignored_is_refused_with_its_line(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char yaml[256], where[64];
        struct ladder *l = NULL;
        struct err err = { 0 };
        (void)snprintf(yaml, sizeof(yaml), "video:\n- {name: x, size: 720, maxrate: 3M, %s}\n",
                       rows[i].entry);
        if (ladder_parse(yaml, strlen(yaml), "l.yaml", &l, &err) < 0)
            fail_msg("%s", err.text);
        int r = ladder_check_encoders(l, &err);
        ladder_free(l);
        if (!rows[i].guilty) {
            if (r < 0)
                fail_msg("%s: %s", rows[i].entry, err.text);
            continue;
        }
        assert_int_equal(r, -EINVAL);
        assert_int_equal(err.cls, ERR_USAGE);
        (void)snprintf(where, sizeof(where), "l.yaml:%d: rendition x: params: %s ", rows[i].line,
                       rows[i].guilty);
        if (strncmp(err.text, where, strlen(where)) != 0)
            fail_msg("%s", err.text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_shipped_ladder_suits_its_encoders),
        cmocka_unit_test(a_parameter_that_would_be_ignored_is_refused_with_its_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
