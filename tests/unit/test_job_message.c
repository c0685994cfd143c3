/* What a pipeline sends: what is taken, what is refused, and with which words. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/err.h"
#include "common/wire/job.h"

#define S   "\"source\":\"s3://in/a.mov\",\"output\":\"s3://out/a/\""
#define B23 "[[[[[[[[[[[[[[[[[[[[[[["
#define E23 "]]]]]]]]]]]]]]]]]]]]]]]"

static const struct row {
    const char *name, *text;
    int want;
    const char *says; /* part of the reason */
} rows[] = {
    {"source and output are all that is needed", "{" S "}",                                                       0,       NULL                    },
    { "unknown fields are ignored",              "{" S ",\"colour\":1}",                                          0,       NULL                    },
    { "null is as good as absent",
     "{" S ",\"id\":null,\"ladder\":null,\"priority\":null,\"options\":null,\"metadata\":null}",                  0,
     NULL                                                                                                                                          },
    { "version 1 is known",                      "{\"v\":1," S "}",                                               0,       NULL                    },
    { "a higher version is refused",             "{\"v\":2," S "}",                                               -EPROTO, "newer"                 },
    { "no JSON",                                 "{",                                                             -EPROTO, "not JSON"              },
    { "no object",                               "[]",                                                            -EPROTO, "object"                },
    { "a field twice",                           "{" S ",\"source\":\"s3://b/c\"}",                               -EPROTO, "not JSON"              },
    { "no source",                               "{\"output\":\"s3://o/\"}",                                      -EPROTO, "job.source: is missing"},
    { "no output",                               "{\"source\":\"s3://i/a\"}",                                     -EPROTO, "job.output: is missing"},
    { "an empty source",                         "{\"source\":\"\",\"output\":\"s3://o\"}",                       -EPROTO, "must not be empty"     },
    { "a source that is a number",               "{\"source\":1,\"output\":\"s3://o\"}",                          -EPROTO,
     "must be a string"                                                                                                                            },
    { "a newline in a URL",                      "{\"source\":\"s3://i/a\\nb\",\"output\":\"s3://o\"}",           -EPROTO,
     "control"                                                                                                                                     },
    { "ids of letters, digits and ._:-",         "{" S ",\"id\":\"up:4711_a-b.C\"}",                              0,       NULL                    },
    { "a slash in an id",                        "{" S ",\"id\":\"a/b\"}",                                        -EPROTO, "job.id: 'a/b'"         },
    { "an id that begins with a dot",            "{" S ",\"id\":\".a\"}",                                         -EPROTO, "job.id"                },
    { "a blank in a tenant",                     "{" S ",\"tenant\":\"a b\"}",                                    -EPROTO, "job.tenant"            },
    { "replace",                                 "{" S ",\"replace\":true}",                                      0,       NULL                    },
    { "replace as a number",                     "{" S ",\"replace\":1}",                                         -EPROTO, "true or false"         },
    { "priority 9",                              "{" S ",\"priority\":9}",                                        0,       NULL                    },
    { "priority 10",                             "{" S ",\"priority\":10}",                                       -EPROTO, "10 is outside 0 to 9"  },
    { "priority as text",                        "{" S ",\"priority\":\"5\"}",                                    -EPROTO, "integer"               },
    { "a ladder's name",                         "{" S ",\"ladder\":\"web-h264\"}",                               0,       NULL                    },
    { "a ladder's text",                         "{" S ",\"ladder\":{\"yaml\":\"a: b\"}}",                        0,       NULL                    },
    { "a path is no ladder's name",              "{" S ",\"ladder\":\"../etc/x\"}",                               -EPROTO, "job.ladder"            },
    { "a file is no ladder's name",              "{" S ",\"ladder\":\"x.yaml\"}",                                 -EPROTO, "a file's name"         },
    { "a ladder without text",                   "{" S ",\"ladder\":{}}",                                         -EPROTO, "yaml"                  },
    { "metadata is an object",                   "{" S ",\"metadata\":[1]}",                                      -EPROTO, "job.metadata"          },
    { "metadata of 24 levels",                   "{" S ",\"metadata\":{\"a\":" B23 E23 "}}",                      0,       NULL                    },
    { "metadata of 25 levels",                   "{" S ",\"metadata\":{\"a\":[" B23 E23 "]}}",                    -EPROTO, "levels"                },
    { "metadata of more levels than are read",   "{" S ",\"metadata\":{\"a\":" B23 B23 E23 E23 "}}",
     -EPROTO,                                                                                                              "levels"                },
    { "options",                                 "{" S ",\"options\":{\"chunk_seconds\":2.5,\"chunk_count\":3}}", 0,       NULL                    },
    { "a chunk of an hour and more",             "{" S ",\"options\":{\"chunk_seconds\":3601}}",                  -EPROTO,
     "outside 0 to 3600"                                                                                                                           },
    { "a GOP below zero",                        "{" S ",\"options\":{\"gop_seconds\":-1}}",                      -EPROTO, "outside"               },
};

static void messages_are_taken_or_refused_with_a_reason(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct job_message m = { 0 };
        struct err err = { 0 };
        int r = job_message_from_text(rows[i].text, strlen(rows[i].text), &m, &err);
        if (r != rows[i].want || (r < 0 && err.cls != ERR_USAGE) ||
            (rows[i].says && !strstr(err.text, rows[i].says)))
            fail_msg("%s: %d, %s", rows[i].name, r, err.text);
        job_message_release(&m);
    }
}

static void defaults_are_filled_in(void **state)
{
    struct job_message m;

    (void)state;
    assert_int_equal(job_message_from_text("{" S "}", strlen("{" S "}"), &m, NULL), 0);
    assert_int_equal(m.priority, 5);
    assert_null(m.id);
    assert_null(m.ladder);
    assert_null(m.ladder_text);
    assert_null(m.metadata);
    assert_int_equal(m.chunk_count, 0);
    job_message_release(&m);
}

static void what_was_written_is_read_again(void **state)
{
    static const char text[] =
        "{\"id\":\"j1\"," S ",\"ladder\":{\"yaml\":\"name: x\\nvideo: []\\n\"},\"priority\":0,"
        "\"tenant\":\"acme\",\"notify\":\"https://h/x\",\"metadata\":{\"b\":[1,2.5,\"\\u00e4\"],"
        "\"a\":null},\"options\":{\"chunk_seconds\":1.5,\"segment_seconds\":4,\"gop_seconds\":2,"
        "\"chunk_count\":7}}";
    struct job_message m, again;

    (void)state;
    assert_int_equal(job_message_from_text(text, strlen(text), &m, NULL), 0);
    char *out = job_message_to_text(&m);
    assert_non_null(out);
    assert_int_equal(job_message_from_text(out, strlen(out), &again, NULL), 0);
    assert_string_equal(again.id, "j1");
    assert_string_equal(again.source, "s3://in/a.mov");
    assert_string_equal(again.ladder_text, "name: x\nvideo: []\n");
    assert_null(again.ladder);
    assert_string_equal(again.tenant, "acme");
    assert_string_equal(again.notify, "https://h/x");
    assert_string_equal(again.metadata, "{\"b\":[1,2.5,\"\xc3\xa4\"],\"a\":null}");
    assert_int_equal(again.priority, 0);
    assert_true(again.chunk_seconds == 1.5 && again.segment_seconds == 4 && again.gop_seconds == 2);
    assert_int_equal(again.chunk_count, 7);
    free(out);
    job_message_release(&m);
    job_message_release(&again);
}

static void sizes_have_limits(void **state)
{
    size_t n = JOB_TEXT_MAX + 1;
    char *big = malloc(n + 1), *text = NULL;
    struct job_message m;
    struct err err = { 0 };

    (void)state;
    assert_non_null(big);
    memset(big, ' ', n);
    big[n] = '\0';
    assert_int_equal(job_message_from_text(big, n, &m, &err), -EMSGSIZE);
    assert_int_equal(err.cls, ERR_USAGE);

    memset(big, 'a', JOB_METADATA_MAX);
    big[JOB_METADATA_MAX] = '\0';
    assert_true(asprintf(&text, "{" S ",\"metadata\":{\"a\":\"%s\"}}", big) > 0);
    assert_int_equal(job_message_from_text(text, strlen(text), &m, &err), -EPROTO);
    assert_non_null(strstr(err.text, "at most 16384"));
    free(text);

    big[JOB_ID_MAX + 1] = '\0';
    assert_int_equal(job_id_check(big, &err), -EINVAL);
    big[JOB_ID_MAX] = '\0';
    assert_int_equal(job_id_check(big, &err), 0);
    assert_int_equal(job_id_check("", &err), -EINVAL);
    free(big);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_are_taken_or_refused_with_a_reason),
        cmocka_unit_test(defaults_are_filled_in),
        cmocka_unit_test(what_was_written_is_read_again),
        cmocka_unit_test(sizes_have_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
