/* What a job may name: URLs that could be read in two ways, or lie where
 * nobody from outside may look, are refused. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/err.h"
#include "common/wire/job.h"
#include "dispatcher/daemon/admit.h"

#define LADDER "name: mine\nvideo:\n  - { name: 144p, codec: h264, size: 144, maxrate: 300k }\n"

/* ---- URLs ---- */

static const struct row {
    const char *rule, *url;
    int want;
} rows[] = {
    {"s3://",                 "s3://any/key",                           0      },
    { "s3://",                "s3:///key",                              -EINVAL},
    { "s3://",                "s3://bucket/100% #1?.mov",               0      },
    { "s3://",                "s3://bucket/a/../b",                     -EINVAL},
    { "s3://",                "s3://user@bucket/key",                   -EINVAL},
    { "s3://",                "s3://bu%63ket/key",                      -EINVAL},
    { "s3://in",              "s3://in/a",                              0      },
    { "s3://in",              "s3://inner/a",                           -EACCES},
    { "s3://in",              "s3://IN/a",                              -EACCES},
    { "s3://in/up",           "s3://in/up/a",                           0      },
    { "s3://in/up",           "s3://in/upper/a",                        -EACCES},
    { "s3://in/up/",          "s3://in/up",                             -EACCES},
    { "s3://in/up/",          "s3://in/%75p/a",                         -EACCES},
    { "s3://in",              "https://in/a",                           -EACCES},
    { "https://",             "https://example.org/a.mov",              0      },
    { "https://",             "HTTPS://Example.org/a.mov?X-Sig=a/../b", 0      },
    { "https://",             "http://example.org/a.mov",               -EACCES},
    { "https://",             "https://u:p@example.org/",               -EINVAL},
    { "https://",             "https://example.org@10.0.0.1/",          -EINVAL},
    { "https://",             "https://example.org#@10.0.0.1/",         -EINVAL},
    { "https://",             "https://example.org\\@10.0.0.1/",        -EINVAL},
    { "https://",             "https://example.org:0/",                 -EINVAL},
    { "https://",             "https://example.org:443x/",              -EINVAL},
    { "https://",             "https://exa%6dple.org/",                 -EINVAL},
    { "https://",             "https://localhost/x",                    -EACCES},
    { "https://",             "https://a.localhost./x",                 -EACCES},
    { "https://",             "https://127.0.0.1/x",                    -EACCES},
    { "https://",             "https://127.1/x",                        -EACCES},
    { "https://",             "https://0x7f000001/x",                   -EACCES},
    { "https://",             "https://2130706433/x",                   -EACCES},
    { "https://",             "https://0177.0.0.1/x",                   -EACCES},
    { "https://",             "https://10.1.2.3/x",                     -EACCES},
    { "https://",             "https://172.16.0.1/x",                   -EACCES},
    { "https://",             "https://192.168.0.1/x",                  -EACCES},
    { "https://",             "https://169.254.169.254/latest",         -EACCES},
    { "https://",             "https://100.64.0.1/x",                   -EACCES},
    { "https://",             "https://[::1]/x",                        -EACCES},
    { "https://",             "https://[fe80::1]/x",                    -EACCES},
    { "https://",             "https://[::ffff:10.0.0.1]/x",            -EACCES},
    { "https://",             "https://[fd00::1]:8443/x",               -EACCES},
    { "https://",             "https://8.8.8.8/x",                      0      },
    { "https://",             "https://[2600::1]:8443/x",               0      },
    { "https://10.0.0.1/in/", "https://10.0.0.1/in/a",                  0      },
    { "https://10.0.0.1/in/", "https://10.0.0.1:444/in/a",              -EACCES},
    { "https://10.0.0.1/in/", "https://10.0.0.1:443/in/a",              0      },
    { "https://h/in/",        "https://h/in/../x",                      -EINVAL},
    { "https://h/in/",        "https://h/in/%2e%2e/x",                  -EINVAL},
    { "https://h/in/",        "https://h/in/.%2E/x",                    -EINVAL},
    { "https://h/in/",        "https://h/in/..%2fx",                    -EINVAL},
    { "https://h/in/",        "https://h/in/a%00",                      -EINVAL},
    { "https://h/in/",        "https://h/in/a%zz",                      -EINVAL},
    { "https://h/in/",        "https://h/in%2fa",                       -EINVAL},
    { "https://h/in/",        "https://h/in/a%20b",                     0      },
    { "https://h/in/",        "https://h.evil.org/in/a",                -EACCES},
    { "file:///srv/in",       "file:///srv/in/a.mov",                   0      },
    { "file:///srv/in",       "file://localhost/srv/in/a.mov",          0      },
    { "file:///srv/in",       "file:///srv/inner/a.mov",                -EACCES},
    { "file:///srv/in",       "file:///srv/in/../secret",               -EINVAL},
    { "file:///srv/in",       "file:///etc/passwd",                     -EACCES},
    { "file:///srv/in",       "file://srv/in/a",                        -EINVAL},
    { "file:///srv/in",       "file:///srv/in/a?b",                     -EINVAL},
    { "s3://",                "file:///etc/passwd",                     -EACCES},
    { "s3://",                "ftp://host/a",                           -EINVAL},
    { "s3://",                "/etc/passwd",                            -EINVAL},
    { "s3://",                "",                                       -EINVAL},
};

static void urls_are_held_against_rules(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct url_rules rules = { 0 };
        struct err err = { 0 };
        assert_int_equal(url_rules_add(&rules, rows[i].rule, NULL), 0);
        int r = url_rules_check(&rules, "source", rows[i].url, &err);
        if (r != rows[i].want || (r < 0 && (err.cls != ERR_USAGE || !err.text[0])))
            fail_msg("%s under %s: %d, %s", rows[i].url, rows[i].rule, r, err.text);
        url_rules_release(&rules);
    }
}

static void secrets_of_urls_are_not_told(void **state)
{
    static const char *const urls[] = { "https://u:secret@h/", "https://127.0.0.1/a?sig=secret",
                                        "x://h/?secret" };
    struct url_rules rules = { 0 };

    (void)state;
    assert_int_equal(url_rules_add(&rules, "https://", NULL), 0);
    for (size_t i = 0; i < sizeof(urls) / sizeof(*urls); i++) {
        struct err err = { 0 };
        assert_true(url_rules_check(&rules, "source", urls[i], &err) < 0);
        assert_null(strstr(err.text, "secret"));
    }
    url_rules_release(&rules);
}

static void what_is_no_beginning_of_a_url_is_no_rule(void **state)
{
    static const char *const bad[] = {
        "",           "s3",           "https",        "ftp://",     "file://",
        "file://srv", "file:///a/..", "https://u@h/", "https:///a", "https://h/?x",
    };
    struct url_rules rules = { 0 };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        if (url_rules_add(&rules, bad[i], NULL) != -EINVAL)
            fail_msg("'%s' was taken", bad[i]);
    assert_int_equal(rules.n, 0);
    url_rules_release(&rules);
}

/* ---- messages ---- */

struct place {
    char dir[64];
    struct url_rules in, out, notify;
    struct admit *admit;
};

static int setup(void **state)
{
    struct place *p = calloc(1, sizeof(*p));
    char path[128];

    strcpy(p->dir, "/tmp/gopmill-test-admit-XXXXXX");
    if (!mkdtemp(p->dir))
        return -1;
    (void)snprintf(path, sizeof(path), "%s/mine.yaml", p->dir);
    FILE *f = fopen(path, "w");
    if (!f || fputs(LADDER, f) < 0 || fclose(f) != 0 || setenv("GOPMILL_LADDERS", p->dir, 1) < 0)
        return -1;
    if (url_rules_add(&p->in, "s3://in", NULL) < 0 ||
        url_rules_add(&p->out, "s3://out", NULL) < 0 ||
        url_rules_add(&p->notify, "https://", NULL) < 0)
        return -1;
    const struct admit_config cfg = { &p->in, &p->out, &p->notify, "mine" };
    *state = p;
    return admit_new(&cfg, &p->admit, NULL);
}

static int teardown(void **state)
{
    struct place *p = *state;
    char path[128];

    (void)snprintf(path, sizeof(path), "%s/mine.yaml", p->dir);
    (void)unlink(path);
    (void)rmdir(p->dir);
    admit_free(p->admit);
    url_rules_release(&p->in);
    url_rules_release(&p->out);
    url_rules_release(&p->notify);
    free(p);
    return 0;
}

static int try(struct place *p, const char *text, struct admitted *ret, struct err *err)
{
    struct job_message m = { 0 };

    assert_int_equal(job_message_from_text(text, strlen(text), &m, err), 0);
    int r = admit(p->admit, &m, ret, err);
    assert_null(m.source); /* taken, failed or not */
    return r;
}

static void a_message_becomes_a_request(void **state)
{
    struct admitted a, b;
    struct err err = { 0 };

    assert_int_equal(try(*state,
                         "{\"source\":\"s3://in/a\",\"output\":\"s3://out/a/\",\"tenant\":\"t\","
                         "\"priority\":7,\"notify\":\"https://h/\",\"metadata\":{\"k\":1},"
                         "\"options\":{\"chunk_count\":2}}",
                         &a, &err),
                     0);
    assert_string_equal(a.req.ladder, LADDER);
    assert_string_equal(a.req.ladder_name, "mine");
    assert_string_equal(a.req.source, "s3://in/a");
    assert_string_equal(a.req.tenant, "t");
    assert_string_equal(a.req.metadata, "{\"k\":1}");
    assert_int_equal(a.req.priority, 7);
    assert_int_equal(a.req.chunk_count, 2);
    assert_int_equal(strlen(a.req.id), 26);
    assert_int_equal(strspn(a.req.id, "abcdefghijklmnopqrstuvwxyz234567"), 26);

    assert_int_equal(try(*state, "{\"source\":\"s3://in/a\",\"output\":\"s3://out/a/\"}", &b, &err),
                     0);
    assert_string_not_equal(a.req.id, b.req.id);
    admitted_release(&a);
    admitted_release(&b);
}

static void an_inline_ladder_is_checked(void **state)
{
    struct admitted a;
    struct err err = { 0 };

    assert_int_equal(
        try(*state,
            "{\"id\":\"x\",\"source\":\"s3://in/a\",\"output\":\"s3://out/a/\",\"ladder\":{"
            "\"yaml\":\"name: other\\naudio:\\n  - name: a\\n    codec: aac\\n\"}}",
            &a, &err),
        0);
    assert_string_equal(a.req.ladder_name, "other");
    assert_string_equal(a.req.id, "x");
    admitted_release(&a);
    assert_int_equal(try(*state,
                         "{\"source\":\"s3://in/a\",\"output\":\"s3://out/a/\",\"ladder\":{"
                         "\"yaml\":\"nonsense: 1\\n\"}}",
                         &a, &err),
                     -EINVAL);
    assert_int_equal(err.cls, ERR_USAGE);
}

static void what_is_not_allowed_is_refused(void **state)
{
    static const struct {
        const char *text;
        int want;
        const char *says;
    } no[] = {
        {"{\"source\":\"s3://other/a\",\"output\":\"s3://out/a/\"}",                      -EACCES, "source"},
        { "{\"source\":\"s3://in/a\",\"output\":\"s3://in/a/\"}",                         -EACCES, "output"},
        { "{\"source\":\"s3://in/a\",\"output\":\"s3://out/\",\"notify\":\"http://h/\"}", -EACCES,
         "notify"                                                                                          },
        { "{\"source\":\"s3://in/a\",\"output\":\"s3://out/\",\"ladder\":\"nope\"}",      -ENOENT,
         "mine"                                                                                            },
    };

    for (size_t i = 0; i < sizeof(no) / sizeof(*no); i++) {
        struct admitted a;
        struct err err = { 0 };
        int r = try(*state, no[i].text, &a, &err);
        if (r != no[i].want || err.cls != ERR_USAGE || !strstr(err.text, no[i].says))
            fail_msg("%s: %d, %s", no[i].text, r, err.text);
    }
}

static void equal_texts_have_equal_ids(void **state)
{
    char a[27], b[27], c[27];

    (void)state;
    assert_int_equal(admit_id_of("x", a), 0);
    assert_int_equal(admit_id_of("x", b), 0);
    assert_int_equal(admit_id_of("y", c), 0);
    assert_string_equal(a, b);
    assert_string_not_equal(a, c);
    /* sha256("x") = 2d711642b726b044…: its first 128 bits in base32. */
    assert_string_equal(a, "fvyrmqvxe2yeialcpsu7xlbs6u");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(urls_are_held_against_rules),
        cmocka_unit_test(secrets_of_urls_are_not_told),
        cmocka_unit_test(what_is_no_beginning_of_a_url_is_no_rule),
        cmocka_unit_test_setup_teardown(a_message_becomes_a_request, setup, teardown),
        cmocka_unit_test_setup_teardown(an_inline_ladder_is_checked, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_not_allowed_is_refused, setup, teardown),
        cmocka_unit_test(equal_texts_have_equal_ids),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
