/* What a package holds and saves, from its receipt. */
#include "cli/summary.h"
#include "common/base/err.h"
#include <errno.h>
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

/* H.264 in two sizes, HEVC in one of them and one of its own, AV1 in none. */
static const char receipt_text[] =
    "{\"renditions\":["
    "{\"name\":\"a\",\"kind\":\"video\",\"codec\":\"h264\",\"width\":1280,\"height\":720,"
    "\"bytes\":1000},"
    "{\"name\":\"b\",\"kind\":\"video\",\"codec\":\"h264\",\"width\":640,\"height\":360,"
    "\"bytes\":400},"
    "{\"name\":\"c\",\"kind\":\"video\",\"codec\":\"hevc\",\"width\":1280,\"height\":720,"
    "\"bytes\":600,\"secret\":1},"
    "{\"name\":\"d\",\"kind\":\"video\",\"codec\":\"hevc\",\"width\":1920,\"height\":1080,"
    "\"bytes\":5000},"
    "{\"name\":\"e\",\"kind\":\"video\",\"codec\":\"av1\",\"width\":320,\"height\":180,"
    "\"bytes\":50},"
    "{\"name\":\"f\",\"kind\":\"audio\",\"codec\":\"aac\",\"bytes\":10}],"
    "\"totals\":{\"bytes\":7060,\"frames_concealed\":0},\"warnings\":[],\"run\":{\"cpu_s\":7.5}}";

static json_t *summary(const struct summary_run *run)
{
    json_t *receipt = json_loads(receipt_text, 0, NULL);
    assert_non_null(receipt);
    json_t *s = summary_json("dir", receipt, run);
    assert_non_null(s);
    json_decref(receipt);
    return s;
}

static void a_codec_is_compared_in_the_sizes_that_h264_has_too(void **state)
{
    json_t *s = summary(&(struct summary_run){ .wall_s = 2, .encoded_s = 5 });
    json_t *saved = json_object_get(s, "egress_saved_to_h264");
    json_t *hevc = json_object_get(saved, "hevc");

    (void)state;
    assert_int_equal(json_integer_value(json_object_get(hevc, "sizes")), 1);
    assert_true(fabs(json_real_value(json_object_get(hevc, "percent")) - 40) < 1e-9);
    assert_null(json_object_get(saved, "av1"));
    json_decref(s);
}

static void speed_is_of_what_this_run_encoded(void **state)
{
    json_t *s = summary(&(struct summary_run){ .wall_s = 2, .encoded_s = 5 });

    (void)state;
    assert_true(json_real_value(json_object_get(s, "speed")) == 2.5);
    assert_true(json_real_value(json_object_get(s, "cpu_s")) == 7.5);
    json_decref(s);
    s = summary(&(struct summary_run){ 0 });
    assert_true(json_real_value(json_object_get(s, "speed")) == 0);
    json_decref(s);
}

static void renditions_are_told_without_their_segments(void **state)
{
    json_t *s = summary(&(struct summary_run){ 0 });
    json_t *list = json_object_get(s, "renditions");

    (void)state;
    assert_int_equal(json_array_size(list), 6);
    assert_null(json_object_get(json_array_get(list, 2), "secret"));
    assert_string_equal(json_string_value(json_object_get(json_array_get(list, 5), "name")), "f");
    json_decref(s);
}

static void a_file_that_is_no_receipt_is_refused(void **state)
{
    static const char *const texts[] = { "", "{", "{}", "[]", "{\"renditions\":1}" };
    char dir[] = "/tmp/gopmill-test-XXXXXX", path[64];
    struct err err = { 0 };
    json_t *j = NULL;

    (void)state;
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof(path), "%s/job.json", dir);
    assert_int_equal(summary_read(dir, &j, &err), -EBADMSG);
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        FILE *f = fopen(path, "we");
        assert_non_null(f);
        (void)fputs(texts[i], f);
        (void)fclose(f);
        assert_int_equal(summary_read(dir, &j, &err), -EBADMSG);
        assert_non_null(strstr(err.text, "job.json"));
        assert_null(j);
    }
    (void)unlink(path);
    (void)rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_codec_is_compared_in_the_sizes_that_h264_has_too),
        cmocka_unit_test(speed_is_of_what_this_run_encoded),
        cmocka_unit_test(renditions_are_told_without_their_segments),
        cmocka_unit_test(a_file_that_is_no_receipt_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
