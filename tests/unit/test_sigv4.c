/* Signatures against those that AWS publishes: its SigV4 test suite, and the
 * worked examples in the documentation of S3. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/cleanup.h"
#include "common/store/sigv4.h"

#define EMPTY_SHA256 "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

enum { MAX = 6 };

static const struct sigv4_keys suite_keys = { "AKIDEXAMPLE",
                                              "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY" };
static const struct sigv4_keys s3_keys = { "AKIAIOSFODNN7EXAMPLE",
                                           "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY" };

struct row {
    const char *name, *method, *path; /* the path as it is before encoding */
    struct sigv4_param params[MAX];
    const char *signature;
};

static size_t count_params(const struct sigv4_param *p)
{
    size_t n = 0;

    while (n < MAX && p[n].name)
        n++;
    return n;
}

/* Authorization of `r`, whose path and query are made here. */
static char *authorize(const struct sigv4_keys *keys, struct sigv4_request *r, const char *path,
                       const struct sigv4_param *params)
{
    struct sigv4_param sorted[MAX];
    char encoded[512], *auth = NULL;
    size_t n = count_params(params);

    memcpy(sorted, params, sizeof(sorted));
    _cleanup_free_ char *query = sigv4_query(sorted, n);
    assert_non_null(query);
    (void)sigv4_encode(path, 1, encoded);
    r->path = encoded;
    r->query = query;
    assert_int_equal(sigv4_authorization(keys, r, &auth), 0);
    return auth;
}

static const char unreserved[] =
    "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

static const struct row suite[] = {
    {"get-vanilla",
     "GET",  "/",
     { { 0 } },
     "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
    { "post-vanilla",
     "POST", "/",
     { { 0 } },
     "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"},
    { "get-vanilla-query-order-key-case",
     "GET",  "/",
     { { "Param2", "value2" }, { "Param1", "value1" } },
     "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"},
    { "get-vanilla-query-order-value",
     "GET",  "/",
     { { "Param1", "value2" }, { "Param1", "value1" } },
     "5772eed61e12b33fae39ee5e7012498b51d56abc0abb7c60486157bd471c4694"},
    { "get-vanilla-query-unreserved",
     "GET",  "/",
     { { unreserved, unreserved } },
     "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197"},
    { "get-vanilla-utf8-query",
     "GET",  "/",
     { { "ሴ", "bar" } },
     "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04"},
    { "get-utf8",
     "GET",  "/ሴ",
     { { 0 } },
     "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"},
};

static void signatures_are_those_of_the_published_test_suite(void **state)
{
    static const struct sigv4_header headers[] = {
        {"x-amz-date", "20150830T123600Z"     },
        { "host",      "example.amazonaws.com"}
    };

    (void)state;
    for (size_t i = 0; i < sizeof(suite) / sizeof(suite[0]); i++) {
        struct sigv4_request r = { .method = suite[i].method,
                                   .headers = headers,
                                   .n_headers = 2,
                                   .payload_sha256 = EMPTY_SHA256,
                                   .region = "us-east-1",
                                   .service = "service",
                                   .date = "20150830T123600Z" };
        _cleanup_free_ char *auth = authorize(&suite_keys, &r, suite[i].path, suite[i].params);
        const char *signature = strstr(auth, "Signature=");
        assert_non_null(signature);
        print_message("# %s\n", suite[i].name);
        assert_string_equal(signature + strlen("Signature="), suite[i].signature);
    }
}

static const struct example {
    struct row row;
    struct sigv4_header headers[MAX];
    const char *sha256, *signed_names;
} examples[] = {
    {{ "GET object",
        "GET",
        "/test.txt",
        { { 0 } },
        "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41" },
     { { "host", "examplebucket.s3.amazonaws.com" },
        { "range", "bytes=0-9" },
        { "x-amz-content-sha256", EMPTY_SHA256 },
        { "x-amz-date", "20130524T000000Z" } },
     EMPTY_SHA256,                                                       "host;range;x-amz-content-sha256;x-amz-date"                   },
    { { "PUT object",
        "PUT",
        "/test$file.text",
        { { 0 } },
        "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd" },
     { { "x-amz-storage-class", "REDUCED_REDUNDANCY" },
        { "x-amz-date", "20130524T000000Z" },
        { "x-amz-content-sha256",
          "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072" },
        { "host", "examplebucket.s3.amazonaws.com" },
        { "date", "Fri, 24 May 2013 00:00:00 GMT" } },
     "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072", "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class"},
    { { "GET bucket lifecycle",
        "GET",
        "/",
        { { "lifecycle", NULL } },
        "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543" },
     { { "host", "examplebucket.s3.amazonaws.com" },
        { "x-amz-content-sha256", EMPTY_SHA256 },
        { "x-amz-date", "20130524T000000Z" } },
     EMPTY_SHA256,                                                       "host;x-amz-content-sha256;x-amz-date"                         },
    { { "list of objects",
        "GET",
        "/",
        { { "prefix", "J" }, { "max-keys", "2" } },
        "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7" },
     { { "host", "examplebucket.s3.amazonaws.com" },
        { "x-amz-content-sha256", EMPTY_SHA256 },
        { "x-amz-date", "20130524T000000Z" } },
     EMPTY_SHA256,                                                       "host;x-amz-content-sha256;x-amz-date"                         },
};

static void signatures_are_those_of_the_s3_documentation(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(examples) / sizeof(examples[0]); i++) {
        const struct example *e = &examples[i];
        struct sigv4_request r = { .method = e->row.method,
                                   .headers = e->headers,
                                   .payload_sha256 = e->sha256,
                                   .region = "us-east-1",
                                   .service = "s3",
                                   .date = "20130524T000000Z" };
        char want[512];
        while (r.n_headers < MAX && e->headers[r.n_headers].name)
            r.n_headers++;
        _cleanup_free_ char *auth = authorize(&s3_keys, &r, e->row.path, e->row.params);
        (void)snprintf(want, sizeof(want),
                       "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/"
                       "aws4_request, SignedHeaders=%s, Signature=%s",
                       e->signed_names, e->row.signature);
        print_message("# %s\n", e->row.name);
        assert_string_equal(auth, want);
    }
}

static void blanks_in_a_header_count_once(void **state)
{
    static const struct sigv4_header loose[] = {
        {"host",       "a"         },
        { "my-header", "  a \t b  "}
    };
    static const struct sigv4_header tight[] = {
        {"host",       "a"  },
        { "my-header", "a b"}
    };
    struct sigv4_request r = { .method = "GET",
                               .path = "/",
                               .query = "",
                               .headers = loose,
                               .n_headers = 2,
                               .payload_sha256 = EMPTY_SHA256,
                               .region = "r",
                               .service = "s3",
                               .date = "20130524T000000Z" };
    _cleanup_free_ char *a = NULL, *b = NULL;

    (void)state;
    assert_int_equal(sigv4_authorization(&s3_keys, &r, &a), 0);
    r.headers = tight;
    assert_int_equal(sigv4_authorization(&s3_keys, &r, &b), 0);
    assert_string_equal(a, b);
}

static void everything_but_unreserved_characters_is_encoded(void **state)
{
    char out[64];

    (void)state;
    const char *end = sigv4_encode("a b/ü+%", 1, out);
    assert_ptr_equal(end, out + strlen(out));
    assert_string_equal(out, "a%20b/%C3%BC%2B%25");
    (void)sigv4_encode("/~*", 0, out);
    assert_string_equal(out, "%2F~%2A");
}

static void parameters_are_sorted_as_encoded(void **state)
{
    struct sigv4_param p[] = {
        {"b",   "1" },
        { "a",  "é"},
        { "a",  "z" },
        { "aa", NULL},
        { "a",  ""  }
    };
    _cleanup_free_ char *q = sigv4_query(p, sizeof(p) / sizeof(p[0]));

    (void)state;
    assert_string_equal(q, "a=&a=%C3%A9&a=z&aa=&b=1");
}

static void too_many_headers_are_refused(void **state)
{
    struct sigv4_header many[SIGV4_HEADERS_MAX + 1];
    struct sigv4_request r = { .headers = many, .n_headers = SIGV4_HEADERS_MAX + 1 };
    char *auth = NULL;

    (void)state;
    assert_int_equal(sigv4_authorization(&s3_keys, &r, &auth), -EINVAL);
    r.n_headers = 0;
    assert_int_equal(sigv4_authorization(&s3_keys, &r, &auth), -EINVAL);
    assert_null(auth);
}

static void dates_are_basic_iso_8601_in_utc(void **state)
{
    char date[SIGV4_DATE_SIZE];

    (void)state;
    sigv4_date(1440938160, date);
    assert_string_equal(date, "20150830T123600Z");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signatures_are_those_of_the_published_test_suite),
        cmocka_unit_test(signatures_are_those_of_the_s3_documentation),
        cmocka_unit_test(blanks_in_a_header_count_once),
        cmocka_unit_test(everything_but_unreserved_characters_is_encoded),
        cmocka_unit_test(parameters_are_sorted_as_encoded),
        cmocka_unit_test(too_many_headers_are_refused),
        cmocka_unit_test(dates_are_basic_iso_8601_in_utc),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
