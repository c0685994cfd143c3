/* Notifications of a bucket: which objects become which jobs. */
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
#include "dispatcher/daemon/uploads.h"

static struct upload_rule rule(const char *bucket, const char *prefix, const char *suffix,
                               const char *output)
{
    return (struct upload_rule){ .bucket = strdup(bucket),
                                 .prefix = prefix ? strdup(prefix) : NULL,
                                 .suffix = suffix ? strdup(suffix) : NULL,
                                 .output = strdup(output),
                                 .ladder = strdup("web"),
                                 .priority = 5 };
}

static int setup(void **state)
{
    struct upload_rules *r = calloc(1, sizeof(*r));
    struct upload_rule mov = rule("in", "raw/", ".mov", "s3://out/{stem}/");
    struct upload_rule rest = rule("in", "raw/", NULL, "https://x/{bucket}/{key}/{id}");

    *state = r;
    return upload_rules_add(r, &mov, NULL) | upload_rules_add(r, &rest, NULL);
}

static int teardown(void **state)
{
    upload_rules_release(*state);
    free(*state);
    return 0;
}

/* A record of AWS's form. Allocated. */
static char *record(const char *event, const char *bucket, const char *key, const char *etag,
                    const char *sequencer)
{
    char *s;

    assert_true(asprintf(&s,
                         "{\"Records\":[{\"eventVersion\":\"2.1\",\"eventName\":\"%s\",\"s3\":{"
                         "\"bucket\":{\"name\":\"%s\"},\"object\":{\"key\":\"%s\",\"size\":1,"
                         "\"eTag\":\"%s\",\"sequencer\":\"%s\"}}}]}",
                         event, bucket, key, etag, sequencer) > 0);
    return s;
}

static size_t read_all(const struct upload_rules *r, char *text, struct job_message *ret_first)
{
    struct job_message *v = NULL;
    struct err err = { 0 };
    size_t n = 0;

    if (uploads_read(r, text, strlen(text), &v, &n, &err) < 0)
        fail_msg("%s: %s", text, err.text);
    *ret_first = n > 0 ? v[0] : (struct job_message){ 0 };
    for (size_t i = 1; i < n; i++)
        job_message_release(&v[i]);
    free(v);
    free(text);
    return n;
}

static void a_new_object_is_a_job_by_the_first_rule_that_fits(void **state)
{
    struct job_message m;

    assert_int_equal(
        read_all(*state, record("ObjectCreated:Put", "in", "raw/a+b%20c%C3%A4.MOV", "e", "1"), &m),
        1);
    assert_string_equal(m.source, "s3://in/raw/a b c\xc3\xa4.MOV");
    assert_string_equal(m.output, "s3://out/raw/a b c\xc3\xa4/");
    assert_string_equal(m.ladder, "web");
    assert_int_equal(m.priority, 5);
    assert_int_equal(m.replace, REPLACE_SAME_SOURCE);
    assert_non_null(strstr(m.metadata, "\"etag\":\"e\""));
    assert_int_equal(job_id_check(m.id, NULL), 0);
    job_message_release(&m);

    assert_int_equal(
        read_all(*state,
                 record("s3:ObjectCreated:CompleteMultipartUpload", "in", "raw/a%2Bb", "e", "1"),
                 &m),
        1);
    assert_string_equal(m.source, "s3://in/raw/a+b");
    assert_int_equal(strncmp(m.output, "https://x/in/raw/a%2Bb/upload-", 30), 0);
    job_message_release(&m);
}

static void what_no_rule_fits_is_nobodys(void **state)
{
    static const struct {
        const char *event, *bucket, *key;
    } no[] = {
        {"ObjectRemoved:Delete", "in",    "raw/a.mov"   },
        { "ObjectCreated:Put",   "other", "raw/a.mov"   },
        { "ObjectCreated:Put",   "in",    "cooked/a.mov"},
        { "",                    "in",    "raw/a.mov"   },
    };
    struct job_message m;

    for (size_t i = 0; i < sizeof(no) / sizeof(*no); i++)
        assert_int_equal(
            read_all(*state, record(no[i].event, no[i].bucket, no[i].key, "e", "1"), &m), 0);
    assert_int_equal(
        read_all(*state, strdup("{\"Service\":\"Amazon S3\",\"Event\":\"s3:TestEvent\"}"), &m), 0);
    assert_int_equal(read_all(*state, strdup("{\"Records\":[]}"), &m), 0);
}

static void an_event_that_comes_twice_is_one_job(void **state)
{
    struct job_message a, b, c;

    (void)read_all(*state, record("ObjectCreated:Put", "in", "raw/a", "e", "1"), &a);
    (void)read_all(*state, record("ObjectCreated:Put", "in", "raw/a", "e", "1"), &b);
    (void)read_all(*state, record("ObjectCreated:Put", "in", "raw/a", "e", "2"), &c);
    assert_string_equal(a.id, b.id);
    assert_string_not_equal(a.id, c.id);
    job_message_release(&a);
    job_message_release(&b);
    job_message_release(&c);
}

static void plain_keys_are_taken_as_they_are(void **state)
{
    struct upload_rules *r = *state;
    struct job_message m;

    r->plain_keys = 1;
    assert_int_equal(read_all(r, record("ObjectCreated:Put", "in", "raw/a+b%20", "e", "1"), &m), 1);
    assert_string_equal(m.source, "s3://in/raw/a+b%20");
    job_message_release(&m);
}

static void nonsense_is_refused_with_a_reason(void **state)
{
    char *texts[] = {
        strdup("{"),
        strdup("[]"),
        strdup("{\"Records\":{}}"),
        strdup("{\"Records\":[1]}"),
        record("ObjectCreated:Put", "a/b", "raw/a", "e", "1"),
        record("ObjectCreated:Put", "", "raw/a", "e", "1"),
        record("ObjectCreated:Put", "in", "", "e", "1"),
        record("ObjectCreated:Put", "in", "raw/%zz", "e", "1"),
        record("ObjectCreated:Put", "in", "raw/%00", "e", "1"),
        record("ObjectCreated:Put", "in", "raw/%ff", "e", "1"),
    };

    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        struct job_message *v;
        struct err err = { 0 };
        size_t n;
        int r = uploads_read(*state, texts[i], strlen(texts[i]), &v, &n, &err);
        if (r != -EPROTO || err.cls != ERR_USAGE || !err.text[0])
            fail_msg("%s: %d", texts[i], r);
        free(texts[i]);
    }
}

static void a_template_has_to_tell_uploads_apart(void **state)
{
    static const char *const bad[] = { "s3://out/", "s3://out/{bucket}/", "s3://out/{name}/",
                                       "s3://out/{key" };
    struct upload_rules r = { 0 };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        struct upload_rule x = rule("in", NULL, NULL, bad[i]);
        assert_int_equal(upload_rules_add(&r, &x, NULL), -EINVAL);
        upload_rule_release(&x);
    }
    upload_rules_release(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_new_object_is_a_job_by_the_first_rule_that_fits, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(what_no_rule_fits_is_nobodys, setup, teardown),
        cmocka_unit_test_setup_teardown(an_event_that_comes_twice_is_one_job, setup, teardown),
        cmocka_unit_test_setup_teardown(plain_keys_are_taken_as_they_are, setup, teardown),
        cmocka_unit_test_setup_teardown(nonsense_is_refused_with_a_reason, setup, teardown),
        cmocka_unit_test(a_template_has_to_tell_uploads_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
