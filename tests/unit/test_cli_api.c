/* Asking a dispatcher over HTTP: what goes out, and what comes back however
 * wrong it is. A thread here answers each connection with the bytes given. */
#include "cli/api.h"
#include "common/base/err.h"
#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum { ASKED_MAX = 4096, BIG = 33 << 20 };

struct server {
    int fd;
    pthread_t thread;
    char url[64];
    const char *const *answers; /* of one connection each; NULL-terminated */
    size_t big;                 /* bytes of 'x' after the first answer */
    char asked[ASKED_MAX];      /* the last request */
};

static void answer_one(struct server *s, int fd, const char *answer)
{
    size_t len = 0;
    ssize_t n;

    while (len < ASKED_MAX - 1 && (n = read(fd, s->asked + len, ASKED_MAX - 1 - len)) > 0) {
        len += (size_t)n;
        s->asked[len] = '\0';
        const char *body = strstr(s->asked, "\r\n\r\n"),
                   *size = strstr(s->asked, "Content-Length: ");
        if (body && strlen(body + 4) >= (size ? strtoul(size + 16, NULL, 10) : 0))
            break;
    }
    (void)send(fd, answer, strlen(answer), MSG_NOSIGNAL);
    static const char block[1 << 16] = { 'x' };
    for (size_t sent = 0; sent < s->big; sent += sizeof(block))
        if (send(fd, block, sizeof(block), MSG_NOSIGNAL) < 0)
            break;
}

static void *serve(void *arg)
{
    struct server *s = arg;

    for (const char *const *a = s->answers; *a; a++) {
        int fd = accept(s->fd, NULL, NULL);

        if (fd < 0)
            break;
        answer_one(s, fd, *a);
        (void)close(fd);
    }
    return NULL;
}

static void server_start(struct server *s)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof(a);

    s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(s->fd, (struct sockaddr *)&a, sizeof(a)), 0);
    assert_int_equal(listen(s->fd, 8), 0);
    assert_int_equal(getsockname(s->fd, (struct sockaddr *)&a, &len), 0);
    (void)snprintf(s->url, sizeof(s->url), "http://127.0.0.1:%d", ntohs(a.sin_port));
    assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
}

static void server_stop(struct server *s)
{
    (void)shutdown(s->fd, SHUT_RDWR);
    (void)pthread_join(s->thread, NULL);
    (void)close(s->fd);
}

#define TOKEN "only-for-this-test-1234"

/* One call to a server that gives these answers. */
static int call(struct server *s, const char *token, const char *method, const char *body,
                struct api_answer *ret, struct err *err)
{
    struct api *api = NULL;

    server_start(s);
    const struct api_config cfg = { .dispatcher = s->url, .token = token };
    assert_int_equal(api_new(&cfg, &api, err), 0);
    int r = api_call(api, method, "/v1/x", body, NULL, ret, err);
    api_free(api);
    server_stop(s);
    return r;
}

static void an_answer_comes_with_its_etag(void **state)
{
    static const char *const answers[] = { "HTTP/1.1 200 OK\r\nETag: \"abc\"\r\n"
                                           "Content-Length: 8\r\n\r\n{\"a\":42}",
                                           NULL };
    struct server s = { .answers = answers };
    struct api_answer a = { 0 };
    struct err err = { 0 };

    (void)state;
    assert_int_equal(call(&s, TOKEN, "POST", "{\"b\":1}", &a, &err), 0);
    assert_int_equal(a.status, 200);
    assert_string_equal(a.etag, "\"abc\"");
    assert_int_equal(json_integer_value(json_object_get(a.json, "a")), 42);
    api_answer_release(&a);
    assert_int_equal(strncmp(s.asked, "POST /v1/x HTTP/1.1\r\n", 21), 0);
    assert_non_null(strstr(s.asked, "\r\nAuthorization: Bearer " TOKEN "\r\n"));
    assert_non_null(strstr(s.asked, "\r\nContent-Type: application/json\r\n"));
    assert_non_null(strstr(s.asked, "\r\n\r\n{\"b\":1}"));
}

static void answers_of_all_kinds_are_told_apart(void **state)
{
    static const struct {
        const char *answer;
        int r;
        enum err_class cls;
        const char *says;
    } rows[] = {
        {"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n",                                   -EACCES,     ERR_USAGE,
         "refuses this token"                                                                                                                  },
        { "HTTP/1.1 404 No\r\nConnection: close\r\n\r\n"
          "{\"error\":{\"class\":\"usage\",\"text\":\"there is no job 'x'\"}}",   -ENOENT,     ERR_USAGE,   "there is no job 'x'"     },
        { "HTTP/1.1 404 No\r\nContent-Length: 6\r\n\r\n<html>",                            -EHOSTDOWN,  ERR_STORAGE,
         "not a gopmill dispatcher"                                                                                                            },
        { "HTTP/1.1 409 No\r\nConnection: close\r\n\r\n"
          "{\"error\":{\"class\":\"usage\",\"text\":\"a\\u001b[31mb\"}}",         -EEXIST,     ERR_USAGE,   "a?[31mb"                 },
        { "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n",                                  -EIO,        ERR_STORAGE, "HTTP status 500"         },
        { "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]",                                -EHOSTDOWN,  ERR_STORAGE,
         "not a gopmill dispatcher"                                                                                                            },
        { "HTTP/1.1 302 Go\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
         -EHOSTDOWN,                                                                                    ERR_STORAGE, "not a gopmill dispatcher"},
        { "HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n{\"a\":1,\"a\":2",                 -EHOSTDOWN,  ERR_STORAGE,
         "not a gopmill dispatcher"                                                                                                            },
        { "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{\"a\":",                          -ECONNRESET, ERR_STORAGE,
         "connection lost"                                                                                                                     },
        { "",                                                                              -ECONNRESET, ERR_STORAGE, "connection lost"         },
        { "SSH-2.0-x\r\n",                                                                 -EHOSTDOWN,  ERR_STORAGE, "not a gopmill dispatcher"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *const answers[] = { rows[i].answer, NULL };
        struct server s = { .answers = answers };
        struct api_answer a = { 0 };
        struct err err = { 0 };

        int r = call(&s, TOKEN, "GET", NULL, &a, &err);
        if (r != rows[i].r || !strstr(err.text, rows[i].says))
            print_message("row %zu: %d, %s\n", i, r, err.text);
        assert_int_equal(r, rows[i].r);
        assert_int_equal(err.cls, rows[i].cls);
        assert_non_null(strstr(err.text, rows[i].says));
        assert_null(strstr(err.text, TOKEN));
    }
}

static void a_busy_dispatcher_is_asked_again(void **state)
{
    static const char *const answers[] = {
        "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        "HTTP/1.1 202 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}", NULL
    };
    struct server s = { .answers = answers };
    struct api_answer a = { 0 };
    struct err err = { 0 };

    (void)state;
    assert_int_equal(call(&s, NULL, "POST", NULL, &a, &err), 0);
    assert_int_equal(a.status, 202);
    assert_null(strstr(s.asked, "Authorization"));
    api_answer_release(&a);
}

static void an_endless_answer_is_given_up(void **state)
{
    static const char *const answers[] = { "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", NULL };
    struct server s = { .answers = answers, .big = BIG };
    struct api_answer a = { 0 };
    struct err err = { 0 };

    (void)state;
    int r = call(&s, NULL, "GET", NULL, &a, &err);
    if (r != -EHOSTDOWN)
        print_message("%s\n", err.text);
    assert_int_equal(r, -EHOSTDOWN);
    assert_non_null(strstr(err.text, "larger than 32 MiB"));
}

static void nobody_listening_says_what_to_do(void **state)
{
    static const char *const none[] = { NULL };
    struct server s = { .answers = none };
    struct api_answer a = { 0 };
    struct api *api = NULL;
    struct err err = { 0 };

    (void)state;
    server_start(&s); /* for a port that is free once it has ended */
    server_stop(&s);
    const struct api_config cfg = { .dispatcher = s.url };
    assert_int_equal(api_new(&cfg, &api, &err), 0);
    assert_int_equal(api_call(api, "GET", "/v1/jobs", NULL, NULL, &a, &err), -EHOSTDOWN);
    assert_non_null(strstr(err.text, "can't reach the dispatcher at http://127.0.0.1:"));
    assert_non_null(strstr(err.text, "connection refused; is gopmill-dispatcher running?"));
    api_free(api);
}

static int at_once(void *arg)
{
    (void)arg;
    return 1;
}

static void waiting_ends_when_it_is_asked_to(void **state)
{
    static const char *const none[] = { NULL };
    struct server s = { .answers = none };
    struct api_answer a = { 0 };
    struct api *api = NULL;
    struct err err = { 0 };

    (void)state;
    server_start(&s); /* connects, and never answers */
    const struct api_config cfg = { .dispatcher = s.url, .stop = at_once };
    assert_int_equal(api_new(&cfg, &api, &err), 0);
    assert_int_equal(api_call(api, "GET", "/v1/jobs", NULL, NULL, &a, &err), -ECANCELED);
    api_free(api);
    server_stop(&s);
}

static void urls_and_tokens_that_can_not_be_are_refused(void **state)
{
    static const struct {
        const char *url, *token, *says;
    } rows[] = {
        {"ftp://host/",               NULL,                "neither http:// nor https://"},
        { "host:7411",                NULL,                ""                            },
        { "http://name:secret@host/", NULL,                "name or password"            },
        { "http://host/?x",           NULL,                "'?' or '#'"                  },
        { "",                         NULL,                "is not a URL"                },
        { "http://host",              "",                  "0 characters"                },
        { "http://host",              "two words",         "not printable ASCII"         },
        { "http://host",              "line\r\nX-Evil: 1", "not printable ASCII"         },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct api_config cfg = { .dispatcher = rows[i].url, .token = rows[i].token };
        struct api *api = NULL;
        struct err err = { 0 };

        assert_int_equal(api_new(&cfg, &api, &err), -EINVAL);
        assert_int_equal(err.cls, ERR_USAGE);
        assert_non_null(strstr(err.text, rows[i].says));
        assert_null(strstr(err.text, "secret"));
        assert_null(api);
    }
}

static void what_goes_into_a_path_is_encoded(void **state)
{
    static const struct {
        const char *id, *want;
    } rows[] = {
        {"a-B_9.~",     "/v1/jobs/a-B_9.~?x=1"      },
        { "a/b?c#d",    "/v1/jobs/a%2Fb%3Fc%23d?x=1"},
        { "\xc3\xa4 %", "/v1/jobs/%C3%A4%20%25?x=1" },
        { "a\r\nb",     "/v1/jobs/a%0D%0Ab?x=1"     },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char *path = api_path("/v1/jobs/%s?x=1", rows[i].id);

        assert_string_equal(path, rows[i].want);
        free(path);
    }
}

static void a_token_is_a_files_first_line(void **state)
{
    static const struct {
        const char *text;
        int r;
    } rows[] = {
        {TOKEN "\n",          0      },
        { TOKEN "\r\nmore\n", 0      },
        { TOKEN,              0      },
        { "",                 -EINVAL},
        { "\n",               -EINVAL},
        { "two words\n",      -EINVAL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char path[] = "/tmp/test_cli_api.XXXXXX", token[API_TOKEN_MAX];
        struct err err = { 0 };
        int fd = mkstemp(path);

        assert_true(fd >= 0);
        assert_int_equal(write(fd, rows[i].text, strlen(rows[i].text)), strlen(rows[i].text));
        (void)close(fd);
        assert_int_equal(api_token_read(path, token, &err), rows[i].r);
        if (rows[i].r == 0)
            assert_string_equal(token, TOKEN);
        (void)unlink(path);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_comes_with_its_etag),
        cmocka_unit_test(answers_of_all_kinds_are_told_apart),
        cmocka_unit_test(a_busy_dispatcher_is_asked_again),
        cmocka_unit_test(an_endless_answer_is_given_up),
        cmocka_unit_test(nobody_listening_says_what_to_do),
        cmocka_unit_test(waiting_ends_when_it_is_asked_to),
        cmocka_unit_test(urls_and_tokens_that_can_not_be_are_refused),
        cmocka_unit_test(what_goes_into_a_path_is_encoded),
        cmocka_unit_test(a_token_is_a_files_first_line),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
