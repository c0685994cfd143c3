#include "daemon_fixture.h"

#include <curl/curl.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/log.h"
#include "common/queue/queue.h"
#include "fake_child.h"

#define LADDER "name: mine\nvideo:\n  - { name: 144p, codec: h264, size: 144, maxrate: 300k }\n"

/* Every source is planned as the fixture's one. */
static char *plan_text;

static int plan_run(struct child *c, const char *kind, const char *request, uint64_t source_size,
                    const struct child_handler *h, const struct child_limits *limits,
                    char **ret_result, struct child_usage *ret_usage, struct err *err)
{
    (void)c, (void)kind, (void)request, (void)source_size, (void)h, (void)limits, (void)err;
    *ret_usage = (struct child_usage){ 0 };
    *ret_result = strdup(plan_text);
    return 0;
}

static int write_ladder(const struct farm *farm)
{
    char path[128];

    (void)snprintf(path, sizeof(path), "%s/mine.yaml", farm->dir);
    FILE *f = fopen(path, "w");
    return !f || fputs(LADDER, f) < 0 || fclose(f) != 0 || setenv("GOPMILL_LADDERS", farm->dir, 1)
               ? -1
               : 0;
}

int daemon_setup(void **state)
{
    struct daemon_fixture *f = calloc(1, sizeof(*f));
    void *farm = NULL;
    char rule[128];

    log_init(LOG_FORMAT_TEXT, LOG_OFF);
    if (!f || farm_setup(&farm) < 0)
        return -1;
    f->farm = farm;
    plan_text = f->farm->plan;
    fake_child_run = plan_run;
    (void)snprintf(rule, sizeof(rule), "file://%s", f->farm->dir);
    if (write_ladder(f->farm) < 0 || url_rules_add(&f->sources, rule, NULL) < 0 ||
        url_rules_add(&f->outputs, rule, NULL) < 0 ||
        url_rules_add(&f->notifies, "http://127.0.0.1:9", NULL) < 0)
        return -1;
    f->queue = queue_memory_new();
    const struct webhook_config hooks = { .private_ok = &f->named,
                                          .first_wait_ms = 20,
                                          .last_wait_ms = 40 };
    if (!f->queue || board_new(&f->board, NULL) < 0 || webhook_new(&hooks, &f->webhook, NULL) < 0)
        return -1;
    const struct dispatcher_config cfg = { .db_path = f->farm->db,
                                           .queue = f->queue,
                                           .board = f->board,
                                           .slots = 1,
                                           .on_end = webhook_end,
                                           .arg = f->webhook };
    *state = f;
    return dispatcher_new(&cfg, &f->d, NULL);
}

int daemon_teardown(void **state)
{
    struct daemon_fixture *f = *state;

    api_free(f->api);
    intake_free(f->intake);
    webhook_stop(f->webhook);
    if (f->runs) {
        atomic_store(&f->stop, 1);
        dispatcher_wake(f->d);
        assert_int_equal(pthread_join(f->engine, NULL), 0);
    }
    f->queue->ops->close(f->queue);
    dispatcher_free(f->d);
    webhook_free(f->webhook);
    admit_free(f->admit);
    queue_free(f->queue);
    board_free(f->board);
    url_rules_release(&f->sources);
    url_rules_release(&f->outputs);
    url_rules_release(&f->notifies);
    url_rules_release(&f->named);
    void *farm = f->farm;
    (void)farm_teardown(&farm);
    free(f);
    return 0;
}

static void *step_on(void *arg)
{
    struct daemon_fixture *f = arg;

    while (!atomic_load(&f->stop) && dispatcher_step(f->d, 100, NULL) == 0)
        ;
    return NULL;
}

void daemon_engine_start(struct daemon_fixture *f)
{
    assert_int_equal(pthread_create(&f->engine, NULL, step_on, f), 0);
    f->runs = 1;
}

void daemon_api_start(struct daemon_fixture *f, const char *token, int call_ms,
                      int (*ready)(void *arg, char *why, size_t size))
{
    const struct admit_config admit = { &f->sources, &f->outputs, &f->notifies, "mine" };
    struct err err = { 0 };

    if (!f->admit && admit_new(&admit, &f->admit, &err) < 0)
        fail_msg("%s", err.text);
    const struct api_config cfg = {
        .listen = "127.0.0.1:0",
        .token = token,
        .dispatcher = f->d,
        .admit = f->admit,
        .sources = {.board = f->board, .queue = f->queue, .webhook = f->webhook},
        .call_ms = call_ms,
        .ready = ready,
    };
    if (api_start(&cfg, &f->api, &err) < 0)
        fail_msg("%s", err.text);
}

char *daemon_message(const struct daemon_fixture *f, const char *id, const char *more)
{
    char *text;

    assert_true(asprintf(&text, "{\"id\":\"%s\",\"source\":\"%s\",\"output\":\"%s-%s\"%s}", id,
                         f->farm->source, f->farm->output, id, more) > 0);
    return text;
}

/* ---- the client ---- */

static size_t add_body(char *data, size_t size, size_t n, void *arg)
{
    return fwrite(data, size, n, arg) * size;
}

static size_t add_header(char *data, size_t size, size_t n, void *arg)
{
    char *all = arg;
    size_t have = strlen(all);

    if (have + size * n < sizeof(((struct reply *)0)->headers)) {
        memcpy(all + have, data, size * n);
        all[have + size * n] = '\0';
    }
    return size * n;
}

static struct curl_slist *list_of(const char *const *headers)
{
    struct curl_slist *l = curl_slist_append(NULL, "Expect:");

    for (; headers && *headers; headers++)
        l = curl_slist_append(l, *headers);
    return l;
}

struct reply daemon_ask(const struct daemon_fixture *f, const char *method, const char *path,
                        const char *body, const char *const *headers)
{
    static const char *const with_token[] = { "Authorization: Bearer " TEST_TOKEN, NULL };
    struct curl_slist *list = list_of(headers ? headers : with_token);
    struct reply r = { 0 };
    size_t n = 0;
    char url[600];
    FILE *out = open_memstream(&r.body, &n);
    CURL *c = curl_easy_init();

    (void)snprintf(url, sizeof(url), "http://127.0.0.1:%u%s", api_port(f->api), path);
    assert_true(c && out);
    (void)curl_easy_setopt(c, CURLOPT_URL, url);
    (void)curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(c, CURLOPT_PROXY, "");
    (void)curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, 20000L);
    (void)curl_easy_setopt(c, CURLOPT_HTTPHEADER, list);
    (void)curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, add_body);
    (void)curl_easy_setopt(c, CURLOPT_WRITEDATA, out);
    (void)curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, add_header);
    (void)curl_easy_setopt(c, CURLOPT_HEADERDATA, r.headers);
    if (body)
        (void)curl_easy_setopt(c, CURLOPT_POSTFIELDS, body);
    if (strcmp(method, "HEAD") == 0)
        (void)curl_easy_setopt(c, CURLOPT_NOBODY, 1L);
    else if (strcmp(method, "POST") == 0 && !body)
        (void)curl_easy_setopt(c, CURLOPT_POSTFIELDS, "");
    (void)curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, method);
    CURLcode code = curl_easy_perform(c);
    (void)curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &r.status);
    curl_easy_cleanup(c);
    curl_slist_free_all(list);
    (void)fclose(out);
    if (r.status == 0)
        fail_msg("%s %s: %s", method, path, curl_easy_strerror(code));
    return r;
}

void reply_release(struct reply *r)
{
    free(r->body);
    *r = (struct reply){ 0 };
}

long daemon_status(const struct daemon_fixture *f, const char *method, const char *path,
                   const char *body)
{
    struct reply r = daemon_ask(f, method, path, body, NULL);
    long status = r.status;

    reply_release(&r);
    return status;
}

void daemon_await(const struct daemon_fixture *f, const char *path, const char *text)
{
    const struct timespec pause = { .tv_nsec = 5000000 };
    int64_t until = clock_system.mono_ns(&clock_system) + 10 * NS_PER_S;

    for (;;) {
        struct reply r = daemon_ask(f, "GET", path, NULL, NULL);
        int there = r.status == 200 && strstr(r.body, text);
        if (!there && clock_system.mono_ns(&clock_system) > until)
            fail_msg("GET %s never had %s: %s", path, text, r.body);
        reply_release(&r);
        if (there)
            return;
        (void)nanosleep(&pause, NULL);
    }
}
