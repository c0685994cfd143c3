/* The HTTP API over a real connection, with a real dispatcher behind it. */
#include <curl/curl.h>
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
#include "common/queue/queue.h"
#include "common/wire/job.h"
#include "daemon_fixture.h"

static int api_setup(void **state)
{
    int r = daemon_setup(state);

    if (r == 0) {
        daemon_engine_start(*state);
        daemon_api_start(*state, TEST_TOKEN, 0, NULL);
    }
    return r;
}

static void post(struct daemon_fixture *f, const char *id, const char *more, long want)
{
    char *text = daemon_message(f, id, more);
    struct reply r = daemon_ask(f, "POST", "/v1/jobs", text, NULL);

    if (r.status != want)
        fail_msg("%s%s: %ld, not %ld: %s", id, more, r.status, want, r.body);
    reply_release(&r);
    free(text);
}

static void says(const struct reply *r, long status, const char *text)
{
    if (r->status != status || !strstr(r->body, text))
        fail_msg("%ld, not %ld with %s: %s", r->status, status, text, r->body);
}

/* ---- who may ---- */

static void only_the_token_opens(void **state)
{
    static const struct {
        const char *path, *header;
        long want;
    } rows[] = {
        {"/healthz",  NULL,                                            200},
        { "/readyz",  NULL,                                            200},
        { "/v1/jobs", NULL,                                            401},
        { "/metrics", NULL,                                            401},
        { "/nowhere", NULL,                                            401},
        { "/v1/jobs", "Authorization: Bearer a-token-for-tests-012",   401},
        { "/v1/jobs", "Authorization: Bearer a-token-for-tests-01234", 401},
        { "/v1/jobs", "Authorization: Basic " TEST_TOKEN,              401},
        { "/v1/jobs", "Authorization: Bearer",                         401},
        { "/v1/jobs", "Authorization: bearer " TEST_TOKEN,             200},
        { "/metrics", "Authorization: Bearer " TEST_TOKEN,             200},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        const char *const headers[] = { rows[i].header ? rows[i].header : "X-A: b", NULL };
        struct reply r = daemon_ask(*state, "GET", rows[i].path, NULL, headers);
        if (r.status != rows[i].want || (r.status == 401 && !strstr(r.headers, "Bearer")))
            fail_msg("%s, %s: %ld", rows[i].path, headers[0], r.status);
        reply_release(&r);
    }
}

static void without_a_token_pages_of_others_get_nothing(void **state)
{
    struct daemon_fixture *f = *state;
    static const struct {
        const char *header;
        long want;
    } rows[] = {
        {"X-A: b",                    200},
        { "Host: localhost:7411",     200},
        { "Host: [::1]",              200},
        { "Host: evil.example",       401},
        { "Host: 127.0.0.1.evil.org", 401},
        { "Origin: https://evil.org", 401},
        { "Origin: null",             401},
    };

    daemon_api_start(f, NULL, 0, NULL);
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        const char *const headers[] = { rows[i].header, NULL };
        struct reply r = daemon_ask(f, "GET", "/v1/jobs", NULL, headers);
        if (r.status != rows[i].want)
            fail_msg("%s: %ld", rows[i].header, r.status);
        reply_release(&r);
    }
}

static void it_listens_elsewhere_only_with_a_token(void **state)
{
    static const struct {
        const char *listen, *token;
        int want;
    } rows[] = {
        {"0.0.0.0:0",        NULL,                 -EACCES},
        { "[::]:0",          NULL,                 -EACCES},
        { "192.0.2.1:0",     NULL,                 -EACCES},
        { "0.0.0.0:0",       "short",              -EINVAL},
        { "0.0.0.0:0",       "with a blank in it", -EINVAL},
        { "0.0.0.0:0",       TEST_TOKEN,           0      },
        { "localhost:0",     NULL,                 0      },
        { "127.0.0.1",       NULL,                 -EINVAL},
        { "127.0.0.1:99999", NULL,                 -EINVAL},
        { "host.example:1",  NULL,                 -EINVAL},
        { "",                NULL,                 -EINVAL},
    };
    struct daemon_fixture *f = *state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        const struct api_config cfg = { .listen = rows[i].listen,
                                        .token = rows[i].token,
                                        .sources = { .board = f->board } };
        struct api *a = NULL;
        struct err err = { 0 };
        int r = api_start(&cfg, &a, &err);
        if (r != rows[i].want || (r < 0 && err.cls != ERR_USAGE))
            fail_msg("%s: %d, %s", rows[i].listen, r, err.text);
        api_free(a);
    }
}

/* ---- jobs ---- */

static void a_job_is_accepted_once(void **state)
{
    struct daemon_fixture *f = *state;
    char *text = daemon_message(f, "j1", ",\"metadata\":{\"k\":1},\"tenant\":\"acme\"");
    struct reply r = daemon_ask(f, "POST", "/v1/jobs", text, NULL);

    says(&r, 202, "\"id\":\"j1\"");
    assert_non_null(strstr(r.headers, "Location: /v1/jobs/j1"));
    reply_release(&r);
    r = daemon_ask(f, "GET", "/v1/jobs/j1", NULL, NULL); /* at once */
    says(&r, 200, "\"metadata\":{\"k\":1}");
    reply_release(&r);
    r = daemon_ask(f, "POST", "/v1/jobs", text, NULL);
    says(&r, 200, "\"id\":\"j1\"");
    reply_release(&r);
    free(text);
    post(f, "j1", ",\"options\":{\"chunk_count\":2}", 409);
    post(f, "j2", "", 202);
    daemon_await(f, "/v1/jobs/j1", "\"state\":\"running\"");
    daemon_await(f, "/v1/jobs/j1", "\"kind\":\"audio\"");
}

static void what_is_wrong_is_said(void **state)
{
    struct daemon_fixture *f = *state;
    static const struct {
        const char *body;
        long want;
        const char *says;
    } rows[] = {
        {"",                                                            400, "not JSON"      },
        { "{",                                                          400, "not JSON"      },
        { "{\"source\":\"s3://a/b\"}",                                  400, "job.output"    },
        { "{\"source\":\"s3://a/b\",\"output\":\"s3://c/\"}",           400, "is not allowed"},
        { "{\"source\":\"file:///etc/passwd\",\"output\":\"s3://c/\"}", 400, "is not allowed"},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct reply r = daemon_ask(f, "POST", "/v1/jobs", rows[i].body, NULL);
        says(&r, rows[i].want, rows[i].says);
        says(&r, rows[i].want, "{\"error\":{\"class\":\"usage\",\"text\":");
        reply_release(&r);
    }
    char *text = daemon_message(f, "j", ",\"ladder\":\"nope\"");
    struct reply r = daemon_ask(f, "POST", "/v1/jobs", text, NULL);
    says(&r, 400, "mine");
    reply_release(&r);
    free(text);
}

static void a_body_has_a_limit(void **state)
{
    char *big = malloc(JOB_TEXT_MAX + 2);

    assert_non_null(big);
    memset(big, ' ', JOB_TEXT_MAX + 1);
    big[JOB_TEXT_MAX + 1] = '\0';
    assert_int_equal(daemon_status(*state, "POST", "/v1/jobs", big), 413);
    big[JOB_TEXT_MAX] = '\0';
    assert_int_equal(daemon_status(*state, "POST", "/v1/jobs", big), 400);
    free(big);
}

static void an_etag_saves_the_body(void **state)
{
    struct daemon_fixture *f = *state;
    char header[200];
    const char *const headers[] = { "Authorization: Bearer " TEST_TOKEN, header, NULL };

    post(f, "j", "", 202);
    daemon_await(f, "/v1/jobs/j", "\"state\":\"running\"");
    assert_int_equal(daemon_status(f, "POST", "/v1/jobs/j/cancel", NULL), 202);
    daemon_await(f, "/v1/jobs/j", "\"state\":\"canceled\"");
    struct reply r = daemon_ask(f, "GET", "/v1/jobs/j", NULL, NULL);
    const char *etag = strstr(r.headers, "ETag: ");
    assert_non_null(etag);
    (void)snprintf(header, sizeof(header), "If-None-Match: \"x\", %.*s",
                   (int)strcspn(etag + 6, "\r"), etag + 6);
    reply_release(&r);
    r = daemon_ask(f, "GET", "/v1/jobs/j", NULL, headers);
    assert_int_equal(r.status, 304);
    assert_string_equal(r.body, "");
    assert_non_null(strstr(r.headers, "ETag: "));
    reply_release(&r);
    r = daemon_ask(f, "GET", "/v1/jobs/j?tasks=0", NULL, headers); /* another text */
    assert_int_equal(r.status, 200);
    assert_null(strstr(r.body, "\"kind\""));
    reply_release(&r);
}

static void orders_are_carried_out_or_refused(void **state)
{
    struct daemon_fixture *f = *state;

    post(f, "j", "", 202);
    assert_int_equal(daemon_status(f, "POST", "/v1/jobs/x/cancel", NULL), 404);
    assert_int_equal(daemon_status(f, "POST", "/v1/jobs/x/requeue", NULL), 404);
    assert_int_equal(daemon_status(f, "DELETE", "/v1/jobs/x", NULL), 404);
    daemon_await(f, "/v1/jobs/j", "\"state\":\"running\"");
    assert_int_equal(daemon_status(f, "POST", "/v1/jobs/j/requeue", NULL), 409);
    assert_int_equal(daemon_status(f, "DELETE", "/v1/jobs/j", NULL), 409);
    assert_int_equal(daemon_status(f, "POST", "/v1/jobs/j/cancel", NULL), 202);
    assert_int_equal(daemon_status(f, "POST", "/v1/jobs/j/cancel", NULL), 409);
    assert_int_equal(daemon_status(f, "POST", "/v1/jobs/j/requeue", "{\"chunk\":\"a\"}"), 400);
    assert_int_equal(daemon_status(f, "POST", "/v1/jobs/j/requeue", "{\"chunk\":-1}"), 400);
    assert_int_equal(daemon_status(f, "POST", "/v1/jobs/j/requeue", "{\"chunk\":99}"), 404);
    assert_int_equal(daemon_status(f, "POST", "/v1/jobs/j/requeue", "{\"rendition\":\"no\"}"), 404);
    assert_int_equal(daemon_status(f, "POST", "/v1/jobs/j/requeue", "{}"), 202);
    assert_int_equal(daemon_status(f, "POST", "/v1/jobs/j/cancel", NULL), 202);
    assert_int_equal(daemon_status(f, "DELETE", "/v1/jobs/j?package=2", NULL), 400);
    assert_int_equal(daemon_status(f, "DELETE", "/v1/jobs/j", NULL), 204);
    assert_int_equal(daemon_status(f, "GET", "/v1/jobs/j", NULL), 404);
}

static void lists_have_pages_and_filters(void **state)
{
    struct daemon_fixture *f = *state;

    for (int i = 0; i < 5; i++) {
        char id[8];
        (void)snprintf(id, sizeof(id), "j%d", i);
        post(f, id, i % 2 ? ",\"tenant\":\"odd\"" : "", 202);
    }
    struct reply r = daemon_ask(f, "GET", "/v1/jobs?limit=2", NULL, NULL);
    says(&r, 200, "\"id\":\"j4\"");
    assert_null(strstr(r.body, "\"after\":null"));
    reply_release(&r);
    r = daemon_ask(f, "GET", "/v1/jobs?tenant=odd", NULL, NULL);
    says(&r, 200, "\"after\":null");
    assert_non_null(strstr(r.body, "\"id\":\"j3\""));
    assert_null(strstr(r.body, "\"id\":\"j2\""));
    reply_release(&r);
    assert_int_equal(daemon_status(f, "GET", "/v1/jobs?state=done", NULL), 200);
    assert_int_equal(daemon_status(f, "GET", "/v1/jobs?state=odd", NULL), 400);
    assert_int_equal(daemon_status(f, "GET", "/v1/jobs?limit=0", NULL), 400);
    assert_int_equal(daemon_status(f, "GET", "/v1/jobs?limit=1001", NULL), 400);
    assert_int_equal(daemon_status(f, "GET", "/v1/jobs?after=x", NULL), 400);
}

/* ---- the rest ---- */

static void wrong_paths_and_methods_are_told_apart(void **state)
{
    static const struct {
        const char *method, *path;
        long want;
        const char *allow;
    } rows[] = {
        {"GET",     "/",                 404, NULL                      },
        { "GET",    "/v1/jobs/",         404, NULL                      },
        { "GET",    "/v1/jobs/a/b",      404, NULL                      },
        { "GET",    "/v1/jobs/nope",     404, NULL                      },
        { "PUT",    "/v1/jobs",          405, "Allow: GET, HEAD, POST"  },
        { "POST",   "/v1/jobs/a",        405, "Allow: GET, HEAD, DELETE"},
        { "GET",    "/v1/jobs/a/cancel", 405, "Allow: POST"             },
        { "DELETE", "/healthz",          405, "Allow: GET, HEAD"        },
        { "HEAD",   "/v1/jobs",          200, NULL                      },
        { "GET",    "/v1/workers",       200, NULL                      },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct reply r = daemon_ask(*state, rows[i].method, rows[i].path, NULL, NULL);
        if (r.status != rows[i].want || (rows[i].allow && !strstr(r.headers, rows[i].allow)))
            fail_msg("%s %s: %ld\n%s", rows[i].method, rows[i].path, r.status, r.headers);
        reply_release(&r);
    }
}

static void a_worker_is_told_to_drain(void **state)
{
    struct daemon_fixture *f = *state;
    const struct heartbeat h = {
        .worker = (char *)"w.1", .host = (char *)"h", .engine = (char *)"e", .slots = 1
    };

    assert_int_equal(daemon_status(f, "POST", "/v1/workers/w.1/drain", NULL), 404);
    assert_int_equal(board_put_worker(f->board, &h, 1), 0);
    assert_int_equal(daemon_status(f, "POST", "/v1/workers/w.1/drain", NULL), 202);
}

static int add_letter(struct dispatcher *d, void *arg, struct err *err)
{
    (void)arg;
    return dispatcher_dead_letter(d, QUEUE_JOBS, "not \"JSON\"", "\xff{", 2, err);
}

static void dead_letters_are_shown(void **state)
{
    struct daemon_fixture *f = *state;
    struct err err = { 0 };

    if (dispatcher_call(f->d, add_letter, NULL, 5000, &err) < 0)
        fail_msg("%s", err.text);
    struct reply r = daemon_ask(f, "GET", "/v1/dead", NULL, NULL);
    says(&r, 200, "\"reason\":\"not \\\"JSON\\\"\"");
    says(&r, 200, "\"queue\":\"gopmill.jobs\"");
    reply_release(&r);
    assert_int_equal(daemon_status(f, "GET", "/v1/dead?limit=0", NULL), 400);
}

static void metrics_count_what_happened(void **state)
{
    struct daemon_fixture *f = *state;

    post(f, "j", "", 202);
    /* A request is counted when all of its answer has gone out, which whoever asked may see
     * before the thread that answered does. */
    daemon_await(
        f, "/metrics",
        "gopmill_http_requests_total{method=\"POST\",route=\"/v1/jobs\",code=\"2xx\"} 1\n");
    struct reply r = daemon_ask(f, "GET", "/metrics", NULL, NULL);
    says(&r, 200, "gopmill_jobs{state=\"done\"} 0\n");
    says(&r, 200, "gopmill_broker_connected 1\n");
    says(&r, 200,
         "gopmill_http_requests_total{method=\"POST\",route=\"/v1/jobs\",code=\"2xx\"} 1\n");
    says(&r, 200, "le=\"+Inf\"} 1\n");
    assert_non_null(strstr(r.headers, "text/plain; version=0.0.4"));
    reply_release(&r);
}

static int never_ready(void *arg, char *why, size_t size)
{
    (void)arg;
    (void)snprintf(why, size, "the broker is not connected");
    return 0;
}

static void what_is_missing_is_told(void **state)
{
    struct daemon_fixture *f = *state;

    daemon_api_start(f, TEST_TOKEN, 30, never_ready); /* nobody steps the dispatcher */
    struct reply r = daemon_ask(f, "GET", "/readyz", NULL, NULL);
    says(&r, 503, "the broker is not connected");
    reply_release(&r);
    char *text = daemon_message(f, "j", "");
    r = daemon_ask(f, "POST", "/v1/jobs", text, NULL);
    says(&r, 503, "busy");
    assert_non_null(strstr(r.headers, "Retry-After: 1"));
    reply_release(&r);
    free(text);
    assert_int_equal(daemon_status(f, "GET", "/v1/jobs", NULL), 200); /* reads don't wait */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(only_the_token_opens, api_setup, daemon_teardown),
        cmocka_unit_test_setup_teardown(without_a_token_pages_of_others_get_nothing, daemon_setup,
                                        daemon_teardown),
        cmocka_unit_test_setup_teardown(it_listens_elsewhere_only_with_a_token, daemon_setup,
                                        daemon_teardown),
        cmocka_unit_test_setup_teardown(a_job_is_accepted_once, api_setup, daemon_teardown),
        cmocka_unit_test_setup_teardown(what_is_wrong_is_said, api_setup, daemon_teardown),
        cmocka_unit_test_setup_teardown(a_body_has_a_limit, api_setup, daemon_teardown),
        cmocka_unit_test_setup_teardown(an_etag_saves_the_body, api_setup, daemon_teardown),
        cmocka_unit_test_setup_teardown(orders_are_carried_out_or_refused, api_setup,
                                        daemon_teardown),
        cmocka_unit_test_setup_teardown(lists_have_pages_and_filters, api_setup, daemon_teardown),
        cmocka_unit_test_setup_teardown(wrong_paths_and_methods_are_told_apart, api_setup,
                                        daemon_teardown),
        cmocka_unit_test_setup_teardown(a_worker_is_told_to_drain, api_setup, daemon_teardown),
        cmocka_unit_test_setup_teardown(dead_letters_are_shown, api_setup, daemon_teardown),
        cmocka_unit_test_setup_teardown(metrics_count_what_happened, api_setup, daemon_teardown),
        cmocka_unit_test_setup_teardown(what_is_missing_is_told, daemon_setup, daemon_teardown),
    };
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != 0)
        return 1;
    int r = cmocka_run_group_tests(tests, NULL, NULL);
    curl_global_cleanup();
    return r;
}
