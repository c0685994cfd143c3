/* What S3 servers answer and people write, hostile ones included. */
#include <errno.h>
#include <netdb.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "common/base/cleanup.h"
#include "common/base/err.h"
#include "common/store/env.h"
#include "common/store/http.h"
#include "common/store/s3_parse.h"
#include "common/store/store.h"

static void urls_name_a_bucket_and_a_key_as_they_stand(void **state)
{
    static const struct {
        const char *url, *bucket, *key;
        int want;
    } rows[] = {
        {"s3://in/a.mov",              NULL,       NULL,             -EINVAL}, /* a bucket has three letters at least */
        { "s3://inbox/a.mov",          "inbox",    "a.mov",          0      },
        { "S3://inbox/a b/%41?x#y+ü", "inbox",    "a b/%41?x#y+ü", 0      },
        { "s3://inbox",                "inbox",    "",               0      },
        { "s3://inbox/",               "inbox",    "",               0      },
        { "s3://in.box-1/dir/",        "in.box-1", "dir/",           0      },
        { "s3:///key",                 NULL,       NULL,             -EINVAL},
        { "s3://",                     NULL,       NULL,             -EINVAL},
        { "s3://in..box/a",            NULL,       NULL,             -EINVAL},
        { "s3://-inbox/a",             NULL,       NULL,             -EINVAL},
        { "s3://in box/a",             NULL,       NULL,             -EINVAL},
        { "s3://user@inbox/a",         NULL,       NULL,             -EINVAL},
        { "s3://inbox/\xff",           NULL,       NULL,             -EINVAL},
        { "https://inbox/a",           NULL,       NULL,             -EINVAL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        _cleanup_free_ char *bucket = NULL, *key = NULL;
        struct err err = { 0 };
        print_message("# %s\n", rows[i].url);
        assert_int_equal(s3_url_parse(rows[i].url, &bucket, &key, &err), rows[i].want);
        if (rows[i].want < 0) {
            assert_int_equal(err.cls, ERR_USAGE);
            assert_null(bucket);
            continue;
        }
        assert_string_equal(bucket, rows[i].bucket);
        assert_string_equal(key, rows[i].key);
    }
}

#define LIST_BEGIN \
    "<?xml version=\"1.0\"?><ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"

static int parse_page(const char *xml, struct s3_page *ret)
{
    struct err err = { 0 };
    int r = s3_page_parse(xml, strlen(xml), ret, &err);

    if (r < 0) {
        assert_int_equal(err.cls, ERR_STORAGE);
        assert_true(err.text[0]);
    }
    return r;
}

static void a_page_has_its_objects_and_the_way_to_the_next(void **state)
{
    struct s3_page p = { 0 };

    (void)state;
    assert_int_equal(
        parse_page(LIST_BEGIN
                   "<Name>b</Name><IsTruncated>true</IsTruncated><Contents><Key>a&amp;b%2B</Key>"
                   "<Size>12</Size><ETag>&quot;0123456789abcdef0123456789abcdef&quot;</ETag>"
                   "</Contents><Contents><Key>ü</Key><Size>0</Size><ETag>\"x-2\"</ETag></Contents>"
                   "<NextContinuationToken>t&amp;=</NextContinuationToken></ListBucketResult>",
                   &p),
        0);
    assert_int_equal(p.n, 2);
    assert_string_equal(p.objects[0].key, "a&b%2B");
    assert_int_equal(p.objects[0].size_bytes, 12);
    assert_string_equal(p.objects[0].etag, "0123456789abcdef0123456789abcdef");
    assert_string_equal(p.objects[1].key, "ü");
    assert_string_equal(p.objects[1].etag, "x-2");
    assert_string_equal(p.next, "t&=");
    s3_page_release(&p);

    assert_int_equal(parse_page(LIST_BEGIN "<EncodingType>url</EncodingType><Contents>"
                                           "<Key>a+b%2B%C3%BC%01</Key><Size>1</Size></Contents>"
                                           "</ListBucketResult>",
                                &p),
                     0);
    assert_string_equal(p.objects[0].key, "a b+ü\x01");
    assert_string_equal(p.objects[0].etag, "");
    assert_null(p.next);
    s3_page_release(&p);
}

static void a_page_that_is_none_is_refused(void **state)
{
    static const char *const rows[] = {
        "",
        "no XML",
        "<html></html>",
        "<Error><Code>X</Code></Error>",
        LIST_BEGIN,
        LIST_BEGIN "<Contents><Size>1</Size></Contents></ListBucketResult>",
        LIST_BEGIN "<Contents><Key>a</Key></Contents></ListBucketResult>",
        LIST_BEGIN "<Contents><Key>a</Key><Size>-1</Size></Contents></ListBucketResult>",
        LIST_BEGIN "<Contents><Key>a</Key><Size>1e9</Size></Contents></ListBucketResult>",
        LIST_BEGIN "<Contents><Key>a</Key><Size>99999999999999999999</Size></Contents>"
                   "</ListBucketResult>",
        LIST_BEGIN "<EncodingType>url</EncodingType><Contents><Key>%0</Key><Size>1</Size>"
                   "</Contents></ListBucketResult>",
        LIST_BEGIN "<EncodingType>url</EncodingType><Contents><Key>%00</Key><Size>1</Size>"
                   "</Contents></ListBucketResult>",
        LIST_BEGIN "<IsTruncated>true</IsTruncated></ListBucketResult>",
        "<!DOCTYPE ListBucketResult [<!ENTITY a \"aaaa\">]><ListBucketResult/>",
        "<!DOCTYPE ListBucketResult SYSTEM \"file:///etc/passwd\"><ListBucketResult/>",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct s3_page p = { 0 };
        print_message("# %s\n", rows[i]);
        assert_int_equal(parse_page(rows[i], &p), -EBADMSG);
        assert_null(p.objects);
    }
}

static void an_error_answer_is_read_and_tamed(void **state)
{
    static const struct {
        const char *xml, *code, *message;
    } rows[] = {
        {"<Error><Code>NoSuchKey</Code><Message>not\nhere</Message></Error>",               "NoSuchKey",
         "not here"                                                                                        },
        { "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>SlowDown</Code></Error>",
         "SlowDown",                                                                                     ""},
        { "<html><Code>x</Code></html>",                                                    "",          ""},
        { "",                                                                               "",          ""},
        { "<Error><Code>x",                                                                 "",          ""},
        { "<!DOCTYPE a [<!ENTITY x \"y\">]><Error><Code>&x;</Code></Error>",                "",          ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct s3_error e;
        s3_error_parse(rows[i].xml, strlen(rows[i].xml), &e);
        assert_string_equal(e.code, rows[i].code);
        assert_string_equal(e.message, rows[i].message);
    }
}

static void uploads_and_their_ids_are_read(void **state)
{
    static const char list[] =
        "<ListMultipartUploadsResult><Upload><Key>a</Key><UploadId>1</UploadId>"
        "<Initiated>2026-01-02T03:04:05.000Z</Initiated></Upload>"
        "</ListMultipartUploadsResult>";
    static const char begun[] = "<InitiateMultipartUploadResult><UploadId>2~x</UploadId>"
                                "</InitiateMultipartUploadResult>";
    struct s3_upload *u = NULL;
    _cleanup_free_ char *id = NULL;
    size_t n = 0;

    (void)state;
    assert_int_equal(s3_uploads_parse(list, strlen(list), &u, &n, NULL), 0);
    assert_int_equal(n, 1);
    assert_string_equal(u[0].key, "a");
    assert_string_equal(u[0].id, "1");
    assert_string_equal(u[0].initiated, "2026-01-02T03:04:05.000Z");
    s3_uploads_free(u, n);
    assert_int_equal(s3_upload_id_parse(begun, strlen(begun), &id, NULL), 0);
    assert_string_equal(id, "2~x");
    assert_int_equal(s3_upload_id_parse(list, strlen(list), &id, NULL), -EBADMSG);
    assert_int_equal(s3_uploads_parse(begun, strlen(begun), &u, &n, NULL), -EBADMSG);
}

static void etags_are_strong_and_clean_or_none(void **state)
{
    static const struct {
        const char *raw, *want;
    } rows[] = {
        {"\"abc\"",     "abc"},
        { "abc",        "abc"},
        { "W/\"abc\"",  NULL },
        { "\"\"",       NULL },
        { "",           NULL },
        { "a\"b",       NULL },
        { "a b",        NULL },
        { "a\r\nb",     NULL },
        { "\"",         NULL },
        { "0123456789", NULL }
    };
    char etag[10], md5[33];

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(s3_etag_copy(rows[i].raw, etag, sizeof(etag)), rows[i].want ? 0 : -EINVAL);
        if (rows[i].want)
            assert_string_equal(etag, rows[i].want);
    }
    assert_int_equal(s3_etag_md5("0123456789abcdef0123456789abcdef", md5), 1);
    assert_int_equal(s3_etag_md5("0123456789abcdef0123456789abcdef-2", md5), 0);
    assert_int_equal(s3_etag_md5("0123456789ABCDEF0123456789ABCDEF", md5), 0);
}

static void private_addresses_are_told_from_public_ones(void **state)
{
    static const struct {
        const char *address;
        int want;
    } rows[] = {
        {"127.0.0.1",             1},
        { "127.255.0.9",          1},
        { "0.0.0.0",              1},
        { "10.1.2.3",             1},
        { "100.64.0.1",           1},
        { "100.128.0.1",          0},
        { "169.254.169.254",      1},
        { "172.15.0.1",           0},
        { "172.16.0.1",           1},
        { "172.31.255.255",       1},
        { "172.32.0.1",           0},
        { "192.168.1.1",          1},
        { "224.0.0.1",            1},
        { "255.255.255.255",      1},
        { "8.8.8.8",              0},
        { "::1",                  1},
        { "::",                   1},
        { "::ffff:10.0.0.1",      1},
        { "::ffff:8.8.8.8",       0},
        { "::127.0.0.1",          1},
        { "64:ff9b::a00:1",       1},
        { "64:ff9b::808:808",     0},
        { "2002:a00:1::1",        1},
        { "2002:808:808::1",      0},
        { "fe80::1",              1},
        { "fc00::1",              1},
        { "fd12:3456::1",         1},
        { "fec0::1",              1},
        { "ff02::1",              1},
        { "2001:db8::1",          1},
        { "2001:4860:4860::8888", 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct addrinfo hints = { .ai_flags = AI_NUMERICHOST }, *found = NULL;
        assert_int_equal(getaddrinfo(rows[i].address, "443", &hints, &found), 0);
        print_message("# %s\n", rows[i].address);
        assert_int_equal(address_is_private(found->ai_addr), rows[i].want);
        freeaddrinfo(found);
    }
}

static struct store_env *new_env(int private_addresses)
{
    struct store_env_config cfg = { .endpoint = "http://127.0.0.1:1",
                                    .access_key = "key-id",
                                    .secret_key = "hush",
                                    .tries = 1,
                                    .private_addresses = private_addresses };
    struct store_env *e = NULL;

    assert_int_equal(store_env_new(&cfg, &e, NULL), 0);
    return e;
}

static void settings_that_cannot_be_are_refused(void **state)
{
    static const struct store_env_config rows[] = {
        {.endpoint = "127.0.0.1:9000"        },
        { .endpoint = "ftp://host"           },
        { .endpoint = "http://user:hush@host"},
        { .endpoint = "http://host/path"     },
        { .endpoint = "http://host?query"    },
        { .endpoint = "http://"              },
        { .region = "eu west"                },
        { .region = "eu\r\nx: y"             },
        { .access_key = "id",                  .secret_key = "hush hush" },
        { .access_key = "a b",                                   .secret_key = "hush" },
        { .tries = -1},
        { .path_style = 3                        },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct store_env *e = NULL;
        struct err err = { 0 };
        assert_int_equal(store_env_new(&rows[i], &e, &err), -EINVAL);
        print_message("# %s\n", err.text);
        assert_int_equal(err.cls, ERR_USAGE);
        assert_null(strstr(err.text, "hush"));
        assert_null(e);
    }
}

static void patience_with_a_store_is_the_operators(void **state)
{
    static const struct {
        const char *text;
        int ms; /* 0: refused */
    } rows[] = {
        {"",      15000 },
        { "2",    2000  },
        { "0.5",  500   },
        { "600",  600000},
        { "0",    0     },
        { "-1",   0     },
        { "601",  0     },
        { "2 s",  0     },
        { "nan",  0     },
        { "soon", 0     },
    };
    const struct store_env_config cfg = { .endpoint = "http://127.0.0.1:1" };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct store_env *e = NULL;
        struct err err = { 0 };
        assert_int_equal(setenv("GOPMILL_STORE_STALL", rows[i].text, 1), 0);
        assert_int_equal(store_env_new(&cfg, &e, &err), rows[i].ms ? 0 : -EINVAL);
        if (rows[i].ms)
            assert_int_equal(((struct net_env *)e)->stall_timeout_ms, rows[i].ms);
        else
            assert_non_null(strstr(err.text, "GOPMILL_STORE_STALL"));
        store_env_free(e);
    }
    assert_int_equal(unsetenv("GOPMILL_STORE_STALL"), 0);
}

static void urls_of_no_store_are_refused(void **state)
{
    static const struct {
        const char *url;
        int want;
        enum err_class cls;
    } rows[] = {
        {"gs://bucket/a",                     -ENOTSUP, ERR_UNSUPPORTED},
        { "http://example.com/a",             -ENOTSUP, ERR_UNSUPPORTED},
        { "a.mov",                            -EINVAL,  ERR_USAGE      },
        { "s3://bucket",                      -EINVAL,  ERR_USAGE      },
        { "s3://bucket/",                     -EINVAL,  ERR_USAGE      },
        { "https://user:hush@example.com/a",  -EINVAL,  ERR_USAGE      },
        { "https://example.com/a b",          -EINVAL,  ERR_USAGE      },
        { "https://example.com/a\r\nHost: x", -EINVAL,  ERR_USAGE      },
        { "https://",                         -EINVAL,  ERR_USAGE      },
    };
    struct store_env *e = new_env(0);

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct store *s = NULL;
        struct err err = { 0 };
        char *key = NULL;
        print_message("# %s\n", rows[i].url);
        assert_int_equal(store_open_object(e, rows[i].url, &s, &key, &err), rows[i].want);
        assert_int_equal(err.cls, rows[i].cls);
        assert_null(strstr(err.text, "hush"));
        assert_null(s);
    }
    struct store *s = NULL;
    assert_int_equal(store_open_prefix(e, "https://example.com/a", 0, &s, NULL), -ENOTSUP);
    store_env_free(e);
}

static void sources_at_private_addresses_are_refused(void **state)
{
    static const char *const urls[] = { "https://127.0.0.1/a?X-Amz-Signature=hush",
                                        "https://localhost/a",
                                        "https://[::1]/a",
                                        "https://169.254.169.254/a",
                                        "https://0x7f000001/a",
                                        "https://[::ffff:127.0.0.1]/a" };
    struct store_env *e = new_env(0);

    (void)state;
    for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
        struct store *s = NULL;
        struct store_stat st;
        struct err err = { 0 };
        _cleanup_free_ char *key = NULL;
        assert_int_equal(store_open_object(e, urls[i], &s, &key, &err), 0);
        int r = s->ops->head(s, key, &st, &err);
        print_message("# %s\n", err.text);
        assert_int_equal(r, -EACCES);
        assert_int_equal(err.cls, ERR_INPUT);
        assert_null(strstr(err.text, "hush"));
        store_free(s);
    }
    store_env_free(e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(urls_name_a_bucket_and_a_key_as_they_stand),
        cmocka_unit_test(a_page_has_its_objects_and_the_way_to_the_next),
        cmocka_unit_test(a_page_that_is_none_is_refused),
        cmocka_unit_test(an_error_answer_is_read_and_tamed),
        cmocka_unit_test(uploads_and_their_ids_are_read),
        cmocka_unit_test(etags_are_strong_and_clean_or_none),
        cmocka_unit_test(private_addresses_are_told_from_public_ones),
        cmocka_unit_test(settings_that_cannot_be_are_refused),
        cmocka_unit_test(patience_with_a_store_is_the_operators),
        cmocka_unit_test(urls_of_no_store_are_refused),
        cmocka_unit_test(sources_at_private_addresses_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
