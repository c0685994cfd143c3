/* The broker's URL: several hosts, percent-encoding, and nothing of it in an error. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/err.h"
#include "common/queue/amqp_url.h"

static void good_urls_are_taken_apart(void **state)
{
    static const struct {
        const char *url, *user, *password, *vhost, *host;
        int port, tls;
        size_t hosts;
    } rows[] = {
        {"amqp://h",                      "guest", "guest", "/",   "h",            5672, 0, 1},
        { "amqp://h/",                    "guest", "guest", "/",   "h",            5672, 0, 1},
        { "amqps://h",                    "guest", "guest", "/",   "h",            5671, 1, 1},
        { "AMQP://u@h",                   "u",     "guest", "/",   "h",            5672, 0, 1},
        { "amqp://u:p@h:1/v",             "u",     "p",     "v",   "h",            1,    0, 1},
        { "amqp://u:@h",                  "u",     "",      "/",   "h",            5672, 0, 1},
        { "amqp://u%40x:p%3a%2F@h/a%2fb", "u@x",   "p:/",   "a/b", "h",            5672, 0, 1},
        { "amqp://u:p@x:y@h",             "u",     "p@x:y", "/",   "h",            5672, 0, 1},
        { "amqp://[::1]:7/v",             "guest", "guest", "v",   "::1",          7,    0, 1},
        { "amqp://[fe80::1%eth0]",        "guest", "guest", "/",   "fe80::1%eth0", 5672, 0, 1},
        { "amqp://a:1,b,[::2]:65535/v",   "guest", "guest", "v",   "a",            1,    0, 3},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct amqp_url u;
        struct err err = { 0 };
        if (amqp_url_parse(rows[i].url, &u, &err) < 0)
            fail_msg("%s: %s", rows[i].url, err.text);
        assert_string_equal(u.user, rows[i].user);
        assert_string_equal(u.password, rows[i].password);
        assert_string_equal(u.vhost, rows[i].vhost);
        assert_string_equal(u.hosts[0].name, rows[i].host);
        assert_int_equal(u.hosts[0].port, rows[i].port);
        assert_int_equal(u.tls, rows[i].tls);
        assert_int_equal(u.n_hosts, rows[i].hosts);
        amqp_url_release(&u);
    }
}

static void bad_urls_are_refused_without_a_word_of_them(void **state)
{
    static const char *const rows[] = {
        "",
        "http://secret@h",
        "amqp://",
        "amqp:///v",
        "amqp://u:secret@",
        "amqp://u:secret@:1",
        "amqp://u:secret@h:0",
        "amqp://u:secret@h:65536",
        "amqp://u:secret@h:1x",
        "amqp://u:secret@h:",
        "amqp://u:secret%@h",
        "amqp://u:secret%4@h",
        "amqp://u:secret%zz@h",
        "amqp://u:secret%00@h",
        "amqp://u:secret@h/a/b",
        "amqp://u:secret@h/a?heartbeat=1",
        "amqp://u:secret@h,",
        "amqp://u:secret@h,,i",
        "amqp://u:secret@[::1",
        "amqp://u:secret@[::1]x",
        "amqp://u:secret@h i",
        "amqp://u:secret@a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct amqp_url u = { .tls = 77 };
        struct err err = { 0 };
        if (amqp_url_parse(rows[i], &u, &err) != -EINVAL)
            fail_msg("%s was taken", rows[i]);
        assert_int_equal(err.cls, ERR_USAGE);
        assert_null(strstr(err.text, "secret"));
        assert_int_equal(u.tls, 77);
    }
    assert_int_equal(amqp_url_parse(NULL, &(struct amqp_url){ 0 }, NULL), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_urls_are_taken_apart),
        cmocka_unit_test(bad_urls_are_refused_without_a_word_of_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
