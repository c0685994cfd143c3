/* The other doors of the daemon: jobs that come by queue and by upload, ends
 * that are told to webhooks. */
#include <arpa/inet.h>
#include <curl/curl.h>
#include <errno.h>
#include <microhttpd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include <cmocka.h>

#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/queue/queue.h"
#include "daemon_fixture.h"
#include "dispatcher/daemon/uploads.h"

static int doors_setup(void **state)
{
    int r = daemon_setup(state);

    if (r == 0) {
        daemon_engine_start(*state);
        daemon_api_start(*state, TEST_TOKEN, 0, NULL);
    }
    return r;
}

static void start_intake(struct daemon_fixture *f, const struct upload_rules *uploads)
{
    const struct intake_config cfg = {
        .queue = f->queue, .dispatcher = f->d, .admit = f->admit, .uploads = uploads, .threads = 2
    };

    assert_int_equal(intake_start(&cfg, &f->intake, NULL), 0);
}

static void publish(struct daemon_fixture *f, const char *queue, const char *text)
{
    assert_int_equal(queue_publish(f->queue, queue, text, strlen(text), 1000, NULL), 0);
}

static void await_counts(const struct daemon_fixture *f, uint64_t accepted, uint64_t rejected)
{
    const struct timespec pause = { .tv_nsec = 2000000 };
    int64_t until = clock_system.mono_ns(&clock_system) + 10 * NS_PER_S;
    struct intake_counts c;

    do {
        intake_counts(f->intake, &c);
        if (clock_system.mono_ns(&clock_system) > until)
            fail_msg("%d accepted, %d rejected", (int)c.accepted, (int)c.rejected);
        (void)nanosleep(&pause, NULL);
    } while (c.accepted != accepted || c.rejected != rejected);
}

/* ---- queues ---- */

static void a_message_becomes_a_job_once(void **state)
{
    struct daemon_fixture *f = *state;
    char *text = daemon_message(f, "q1", "");

    start_intake(f, NULL);
    publish(f, QUEUE_JOBS, text);
    publish(f, QUEUE_JOBS, text);
    await_counts(f, 2, 0);
    daemon_await(f, "/v1/jobs/q1", "\"state\":\"running\"");
    free(text);
}

static void nonsense_goes_to_the_dead_with_its_reason(void **state)
{
    struct daemon_fixture *f = *state;
    char *text = daemon_message(f, "q1", "");

    start_intake(f, NULL);
    publish(f, QUEUE_JOBS, "{");
    publish(f, QUEUE_JOBS, "{\"source\":\"file:///etc/passwd\",\"output\":\"s3://o/\"}");
    await_counts(f, 0, 2);
    publish(f, QUEUE_JOBS, text); /* the consumers live */
    await_counts(f, 1, 2);
    daemon_await(f, "/v1/dead", "not JSON");
    daemon_await(f, "/v1/dead", "is not allowed");
    free(text);
}

static void an_upload_becomes_a_job(void **state)
{
    static const char text[] = "{\"Records\":[{\"eventName\":\"ObjectCreated:Put\",\"s3\":{"
                               "\"bucket\":{\"name\":\"in\"},\"object\":{\"key\":\"a.mov\","
                               "\"eTag\":\"e\",\"sequencer\":\"1\"}}}]}";
    struct daemon_fixture *f = *state;
    struct upload_rules rules = { 0 };
    struct upload_rule rule = { .bucket = strdup("in"), .priority = 3 };

    assert_true(asprintf(&rule.output, "%s/{stem}", f->farm->output) > 0);
    assert_int_equal(upload_rules_add(&rules, &rule, NULL), 0);
    api_free(f->api); /* anew, with a rule that takes the bucket */
    f->api = NULL;
    admit_free(f->admit);
    f->admit = NULL;
    assert_int_equal(url_rules_add(&f->sources, "s3://in", NULL), 0);
    daemon_api_start(f, TEST_TOKEN, 0, NULL);
    start_intake(f, &rules);
    publish(f, QUEUE_UPLOADS, text);
    publish(f, QUEUE_UPLOADS, text);
    publish(f, QUEUE_UPLOADS, "[]");
    await_counts(f, 2, 1);
    daemon_await(f, "/v1/jobs", "\"source\":\"s3://in/a.mov\"");
    daemon_await(f, "/v1/jobs", "\"after\":null");
    intake_free(f->intake); /* before its rules */
    f->intake = NULL;
    upload_rules_release(&rules);
}

/* ---- webhooks ---- */

struct listener {
    struct MHD_Daemon *server;
    unsigned port;
    pthread_mutex_t lock;
    unsigned refuse; /* so many are answered 500 */
    unsigned asked;
    char body[4096];
};

static enum MHD_Result hear(void *arg, struct MHD_Connection *c, const char *path,
                            const char *method, const char *version, const char *data, size_t *size,
                            void **seen)
{
    struct listener *l = arg;

    (void)path, (void)version;
    if (!*seen) {
        *seen = l;
        return MHD_YES;
    }
    (void)pthread_mutex_lock(&l->lock);
    unsigned status = 200;
    if (*size > 0) {
        (void)snprintf(l->body, sizeof(l->body), "%s %.*s", method, (int)*size, data);
        *size = 0;
        (void)pthread_mutex_unlock(&l->lock);
        return MHD_YES;
    }
    if (l->asked++ < l->refuse)
        status = 500;
    (void)pthread_mutex_unlock(&l->lock);
    struct MHD_Response *r = MHD_create_response_from_buffer(2, (void *)(uintptr_t) "ok",
                                                             MHD_RESPMEM_PERSISTENT);
    enum MHD_Result done = MHD_queue_response(c, status, r);
    MHD_destroy_response(r);
    return done;
}

static void listen_start(struct listener *l, unsigned refuse)
{
    const struct sockaddr_in at = { .sin_family = AF_INET,
                                    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

    *l = (struct listener){ .refuse = refuse };
    (void)pthread_mutex_init(&l->lock, NULL);
    l->server = MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD, 0, NULL, NULL, hear, l,
                                 MHD_OPTION_SOCK_ADDR, &at, MHD_OPTION_END);
    assert_non_null(l->server);
    l->port = MHD_get_daemon_info(l->server, MHD_DAEMON_INFO_BIND_PORT)->port;
}

static void listen_stop(struct listener *l)
{
    MHD_stop_daemon(l->server);
    (void)pthread_mutex_destroy(&l->lock);
}

static void await_hooks(struct daemon_fixture *f, uint64_t told, uint64_t failed)
{
    const struct timespec pause = { .tv_nsec = 2000000 };
    int64_t until = clock_system.mono_ns(&clock_system) + 10 * NS_PER_S;
    struct webhook_counts c;

    do {
        webhook_counts(f->webhook, &c);
        if (clock_system.mono_ns(&clock_system) > until)
            fail_msg("told %d, failed %d", (int)c.told, (int)c.failed);
        (void)nanosleep(&pause, NULL);
    } while (c.told < told || c.failed < failed);
}

/* A job that ends, telling http://127.0.0.1:PORT/. */
static void end_a_job(struct daemon_fixture *f, const struct listener *l, int private_ok)
{
    char url[64], more[200];

    (void)snprintf(url, sizeof(url), "http://127.0.0.1:%u", l->port);
    if (private_ok)
        assert_int_equal(url_rules_add(&f->named, url, NULL), 0);
    assert_int_equal(url_rules_add(&f->notifies, url, NULL), 0);
    daemon_engine_start(f);
    daemon_api_start(f, TEST_TOKEN, 0, NULL);
    assert_int_equal(webhook_begin(f->webhook, f->d, NULL), 0);
    (void)snprintf(more, sizeof(more), ",\"notify\":\"%s/end\",\"metadata\":{\"k\":\"v\"}", url);
    char *text = daemon_message(f, "h1", more);
    assert_int_equal(daemon_status(f, "POST", "/v1/jobs", text), 202);
    free(text);
    assert_int_equal(daemon_status(f, "POST", "/v1/jobs/h1/cancel", NULL), 202);
}

static void an_end_is_told_until_somebody_hears_it(void **state)
{
    struct daemon_fixture *f = *state;
    struct listener l;

    listen_start(&l, 2);
    end_a_job(f, &l, 1);
    await_hooks(f, 1, 2);
    (void)pthread_mutex_lock(&l.lock);
    assert_int_equal(l.asked, 3);
    assert_non_null(
        strstr(l.body, "POST {\"v\":1,\"id\":\"h1\",\"state\":\"canceled\",\"error\":{"));
    assert_non_null(strstr(l.body, "\"metadata\":{\"k\":\"v\"}}"));
    (void)pthread_mutex_unlock(&l.lock);
    webhook_stop(f->webhook);
    listen_stop(&l);
}

static void a_private_address_hears_nothing_unless_it_is_allowed(void **state)
{
    struct daemon_fixture *f = *state;
    struct listener l;

    listen_start(&l, 0);
    end_a_job(f, &l, 0);
    await_hooks(f, 0, 2);
    webhook_stop(f->webhook);
    assert_int_equal(l.asked, 0);
    listen_stop(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_message_becomes_a_job_once, doors_setup, daemon_teardown),
        cmocka_unit_test_setup_teardown(nonsense_goes_to_the_dead_with_its_reason, doors_setup,
                                        daemon_teardown),
        cmocka_unit_test_setup_teardown(an_upload_becomes_a_job, doors_setup, daemon_teardown),
        cmocka_unit_test_setup_teardown(an_end_is_told_until_somebody_hears_it, daemon_setup,
                                        daemon_teardown),
        cmocka_unit_test_setup_teardown(a_private_address_hears_nothing_unless_it_is_allowed,
                                        daemon_setup, daemon_teardown),
    };
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != 0)
        return 1;
    int r = cmocka_run_group_tests(tests, NULL, NULL);
    curl_global_cleanup();
    return r;
}
