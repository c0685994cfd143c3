/* Secrets of URLs stay where they are needed: they are in no text that leaves. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/err.h"
#include "common/base/log.h"
#include "common/base/redact.h"
#include "common/wire/result.h"

static void urls_in_texts_lose_their_secrets(void **state)
{
    static const char *const rows[][2] = {
        {"source https://h/a.mov?X-Amz-Signature=secret is not there",
         "source https://h/a.mov is not there"                                                                  },
        { "https://u:secret@h:80/x?secret",                                     "https://h:80/x"                },
        { "https://u:secret@w@h/x@y#secret",                                    "https://h/x@y"                 },
        { "https://h?u@secret",                                                 "https://h"                     },
        { "https://u:secret@",                                                  "https://"                      },
        { "amqps://u:secret@h/vhost, and HTTP://h/?secret",                     "amqps://h/vhost, and HTTP://h/"},
        { "'https://h/a?name='x'&sig=secret' is not a URL",                     "'https://h/a' is not a URL"    },
        { "https://h/a?name='x'&sig=secret",                                    "https://h/a"                   },
        { "{\"source\":\"https:\\/\\/h\\/a?X=secret\\u0026y=secret\",\"x\":1}",
         "{\"source\":\"https:\\/\\/h\\/a\",\"x\":1}"                                                           },
        { "{\"source\":\"https://h/a\\u003fsig=secret\"}",                      "{\"source\":\"https://h/a\"}"  },
        { "s3://bucket/what?.mov and s3://bucket/#1.mov",
         "s3://bucket/what?.mov and s3://bucket/#1.mov"                                                         },
        { "file:///a/b@c.mov?",                                                 "file:///a/b@c.mov?"            },
        { "what? http:// ://?x a:/b?c",                                         "what? http:// ://?x a:/b?c"    },
        { "",                                                                   ""                              },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char *text = strdup(rows[i][0]);
        assert_non_null(text);
        redact_urls(text);
        assert_string_equal(text, rows[i][1]);
        free(text);
    }
}

static void a_url_alone_is_all_of_its_text(void **state)
{
    static const char *const rows[][2] = {
        {"https://h/a b?x=\"secret\" y", "https://h/a b"            },
        { "https://u:secret@h/?secret",  "https://h/"               },
        { "s3://bucket/a?b \"c\".mov",   "s3://bucket/a?b \"c\".mov"},
        { "no url?x",                    "no url?x"                 },
        { "",                            ""                         },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char *url = redacted_url(rows[i][0]);
        assert_string_equal(url, rows[i][1]);
        free(url);
    }
}

static void errors_and_results_have_none(void **state)
{
    static const char text[] =
        "{\"v\":1,\"job\":\"j\",\"task\":\"a-0\",\"attempt\":1,\"worker\":\"w\",\"engine\":\"\","
        "\"frames_in\":0,\"frames_concealed\":0,\"cpu_s\":0,\"wall_s\":0,\"peak_bytes\":0,"
        "\"bytes_read\":0,\"first_frame_s\":0,\"renditions\":[],\"warnings\":[],"
        "\"error\":{\"class\":\"storage\",\"text\":\"https://h/a?secret is away\"}}";
    struct err e = { 0 };
    struct task_result r = { 0 };

    (void)state;
    (void)err_set(&e, -EIO, ERR_STORAGE, "%s: %s", "https://h/a?secret", "away");
    assert_string_equal(e.text, "https://h/a away");
    (void)err_prefix(&e, -EIO, "task of %s", "https://u:secret@h/b");
    assert_string_equal(e.text, "task of https://h/b: https://h/a away");
    if (task_result_from_text(text, strlen(text), &r, &e) < 0)
        fail_msg("%s", e.text);
    assert_string_equal(r.error.text, "https://h/a is away");
    task_result_release(&r);
}

/* One line of the log. */
static void logged(enum log_format format, char *buf, size_t size)
{
    int ends[2], old = dup(STDERR_FILENO);

    assert_int_equal(pipe(ends), 0);
    assert_true(dup2(ends[1], STDERR_FILENO) >= 0);
    log_init(format, LOG_DEBUG);
    log_event(LOG_INFO, "test", LSTR("source", "https://h/a?secret"),
              LSTR("also", "x https://u:secret@h/"));
    log_init(LOG_FORMAT_TEXT, LOG_OFF);
    (void)dup2(old, STDERR_FILENO);
    ssize_t n = read(ends[0], buf, size - 1);
    buf[n > 0 ? n : 0] = '\0';
    (void)close(ends[0]);
    (void)close(ends[1]);
    (void)close(old);
}

static void logs_have_none(void **state)
{
    char line[512];

    (void)state;
    for (int f = LOG_FORMAT_TEXT; f <= LOG_FORMAT_JSON; f++) {
        logged((enum log_format)f, line, sizeof(line));
        assert_non_null(strstr(line, "https://h/a"));
        assert_null(strstr(line, "secret"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(urls_in_texts_lose_their_secrets),
        cmocka_unit_test(a_url_alone_is_all_of_its_text),
        cmocka_unit_test(errors_and_results_have_none),
        cmocka_unit_test(logs_have_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
