/* Stores over the network against a server that says whatever a test wants:
 * what is promised of answers is checked, and what passes is tried again. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
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

#include "common/base/cleanup.h"
#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/store/env.h"
#include "common/store/health.h"
#include "common/store/store.h"

enum { ANSWERS_MAX = 6 };

/* Each connection gets one answer, the last one again and again. */
struct answer {
    const char *text;
    size_t zeros; /* after the text */
};

struct server {
    int fd, port;
    pthread_t thread;

    pthread_mutex_t lock;               /* guards what follows */
    struct answer answers[ANSWERS_MAX]; /* texts are its own */
    size_t n, served;
    char heads[ANSWERS_MAX][2048]; /* of the requests */
};

static void forget(struct server *s)
{
    for (size_t i = 0; i < s->n; i++)
        free((char *)s->answers[i].text);
    s->n = 0;
}

static void serve(struct server *s, int fd)
{
    char head[2048] = "";
    size_t n = 0;

    while (n < sizeof(head) - 1 && !strstr(head, "\r\n\r\n")) {
        ssize_t got = recv(fd, head + n, sizeof(head) - 1 - n, 0);
        if (got <= 0)
            return;
        n += (size_t)got;
        head[n] = '\0';
    }
    (void)pthread_mutex_lock(&s->lock);
    struct answer a = s->answers[s->served < s->n ? s->served : s->n - 1];
    _cleanup_free_ char *text = strdup(a.text);
    if (s->served < ANSWERS_MAX)
        memcpy(s->heads[s->served], head, sizeof(head));
    s->served++;
    (void)pthread_mutex_unlock(&s->lock);
    static const char zeros[65536];
    int lost = !text || send(fd, text, strlen(text), MSG_NOSIGNAL) < 0;
    while (a.zeros > 0 && !lost) {
        size_t some = a.zeros < sizeof(zeros) ? a.zeros : sizeof(zeros);
        lost = send(fd, zeros, some, MSG_NOSIGNAL) < 0;
        a.zeros -= some;
    }
}

static void *serve_all(void *arg)
{
    struct server *s = arg;

    for (int fd; (fd = accept(s->fd, NULL, NULL)) >= 0;) {
        serve(s, fd);
        (void)shutdown(fd, SHUT_WR);
        (void)close(fd);
    }
    return NULL;
}

struct fixture {
    struct server server;
    struct store_env *env;
    char source[96];
    struct store *s3, *web;
    char *key;
};

static int listen_anywhere(struct server *s)
{
    struct sockaddr_in at = { .sin_family = AF_INET };
    socklen_t len = sizeof(at);

    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (s->fd < 0 || bind(s->fd, (struct sockaddr *)&at, sizeof(at)) < 0 || listen(s->fd, 8) < 0 ||
        getsockname(s->fd, (struct sockaddr *)&at, &len) < 0)
        return -1;
    s->port = ntohs(at.sin_port);
    return pthread_create(&s->thread, NULL, serve_all, s);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    char endpoint[64];

    if (!f || pthread_mutex_init(&f->server.lock, NULL) || listen_anywhere(&f->server))
        return -1;
    (void)snprintf(endpoint, sizeof(endpoint), "http://127.0.0.1:%d", f->server.port);
    (void)snprintf(f->source, sizeof(f->source), "%s/dir/a.mp4?secret=hush", endpoint);
    struct store_env_config cfg = { .endpoint = endpoint,
                                    .access_key = "key-id",
                                    .secret_key = "hush",
                                    .tries = 3,
                                    .deadline_ms = 5000,
                                    .private_addresses = 1 };
    if (store_env_new(&cfg, &f->env, NULL) < 0 ||
        store_open_prefix(f->env, "s3://bucket", 0, &f->s3, NULL) < 0 ||
        store_open_object(f->env, f->source, &f->web, &f->key, NULL) < 0)
        return -1;
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    store_free(f->s3);
    store_free(f->web);
    store_env_free(f->env);
    (void)shutdown(f->server.fd, SHUT_RDWR);
    (void)pthread_join(f->server.thread, NULL);
    (void)close(f->server.fd);
    forget(&f->server);
    (void)pthread_mutex_destroy(&f->server.lock);
    free(f->key);
    free(f);
    return 0;
}

static void script(struct fixture *f, size_t n, const struct answer *answers)
{
    (void)pthread_mutex_lock(&f->server.lock);
    forget(&f->server);
    for (size_t i = 0; i < n; i++)
        f->server.answers[i] = (struct answer){ strdup(answers[i].text), answers[i].zeros };
    f->server.n = n;
    f->server.served = 0;
    (void)pthread_mutex_unlock(&f->server.lock);
}

#define SCRIPT(f, ...)                                                                  \
    script((f), sizeof((const struct answer[]){ __VA_ARGS__ }) / sizeof(struct answer), \
           (const struct answer[]){ __VA_ARGS__ })

static size_t served(struct fixture *f)
{
    (void)pthread_mutex_lock(&f->server.lock);
    size_t n = f->server.served;
    (void)pthread_mutex_unlock(&f->server.lock);
    return n;
}

/* Whether the head of the request `i` has that text, in any case. */
static int asked(struct fixture *f, size_t i, const char *text)
{
    (void)pthread_mutex_lock(&f->server.lock);
    int has = strcasestr(f->server.heads[i], text) != NULL;
    (void)pthread_mutex_unlock(&f->server.lock);
    return has;
}

#define CLOSE "Connection: close\r\n"

static const struct range_row {
    const char *name;
    struct answer answers[2];
    int want;
    const char *bytes;  /* of four from offset 2 */
    enum err_class cls; /* of the failure */
    size_t requests;
} range_rows[] = {
    {"the range asked for",
     { { "HTTP/1.1 206 P\r\n" CLOSE "Content-Length: 4\r\nContent-Range: bytes 2-5/10\r\n\r\n2345",
          0 } },
     0,           "2345",
     ERR_NONE,                             1},
    { "the end of the object",
     { { "HTTP/1.1 206 P\r\n" CLOSE "Content-Length: 2\r\nContent-Range: bytes 2-3/4\r\n\r\n23",
          0 } },
     0,           "23",
     ERR_NONE,                             1},
    { "the whole of a small object is cut",
     { { "HTTP/1.1 200 OK\r\n" CLOSE "Content-Length: 10\r\n\r\n0123456789", 0 } },
     0,           "2345",
     ERR_NONE,                             1},
    { "the whole of a large object is refused",
     { { "HTTP/1.1 200 OK\r\n" CLOSE "Content-Length: 99999999999\r\n\r\n0123456789", 0 } },
     -EOPNOTSUPP,
     NULL,                ERR_UNSUPPORTED,
     1                                      },
    { "the whole of an object that doesn't end is refused",
     { { "HTTP/1.1 200 OK\r\n" CLOSE "\r\n", 20 << 20 } },
     -EOPNOTSUPP,
     NULL,                ERR_UNSUPPORTED,
     1                                      },
    { "more than was asked for is refused",
     { { "HTTP/1.1 206 P\r\n" CLOSE
          "Content-Length: 6\r\nContent-Range: bytes 2-7/10\r\n\r\n234567",
          0 } },
     -EBADMSG,
     NULL,                ERR_STORAGE,
     1                                      },
    { "another range is refused",
     { { "HTTP/1.1 206 P\r\n" CLOSE "Content-Length: 4\r\nContent-Range: bytes 0-3/10\r\n\r\n0123",
          0 } },
     -EBADMSG,
     NULL,                ERR_STORAGE,
     1                                      },
    { "a range that is not told is refused",
     { { "HTTP/1.1 206 P\r\n" CLOSE "Content-Length: 4\r\n\r\n2345", 0 } },
     -EBADMSG,
     NULL,                ERR_STORAGE,
     1                                      },
    { "numbers that are none are refused",
     { { "HTTP/1.1 206 P\r\n" CLOSE
          "Content-Length: 4\r\nContent-Range: bytes 2-5/99999999999999999999\r\n\r\n2345",
          0 } },
     -EBADMSG,
     NULL,                ERR_STORAGE,
     1                                      },
    { "a body that ends early is asked for again",
     { { "HTTP/1.1 206 P\r\n" CLOSE "Content-Length: 4\r\nContent-Range: bytes 2-5/10\r\n\r\n23",
          0 },
        { "HTTP/1.1 206 P\r\n" CLOSE "Content-Length: 4\r\nContent-Range: bytes 2-5/10\r\n\r\n2345",
          0 } },
     0,           "2345",
     ERR_NONE,                             2},
    { "a part of the range without a reason is asked for again",
     { { "HTTP/1.1 206 P\r\n" CLOSE "Content-Length: 2\r\nContent-Range: bytes 2-3/10\r\n\r\n23",
          0 },
        { "HTTP/1.1 206 P\r\n" CLOSE "Content-Length: 4\r\nContent-Range: bytes 2-5/10\r\n\r\n2345",
          0 } },
     0,           "2345",
     ERR_NONE,                             2},
    { "429 is tried again when the server says so",
     { { "HTTP/1.1 429 Slow\r\n" CLOSE "Retry-After: 0\r\nContent-Length: 0\r\n\r\n", 0 },
        { "HTTP/1.1 206 P\r\n" CLOSE "Content-Length: 4\r\nContent-Range: bytes 2-5/10\r\n\r\n2345",
          0 } },
     0,           "2345",
     ERR_NONE,                             2},
    { "an answer that is no HTTP is refused",
     { { "SSH-2.0-OpenSSH\r\n", 0 } },
     -EIO,
     NULL,                ERR_STORAGE,
     1                                      },
    { "an object replaced although it was asked for the old one is noticed",
     { { "HTTP/1.1 206 P\r\n" CLOSE
          "ETag: \"new\"\r\nContent-Length: 4\r\nContent-Range: bytes 2-5/10\r\n\r\n2345",
          0 } },
     -ESTALE,
     NULL,                ERR_INPUT,
     1                                      },
    { "412 is an object replaced",
     { { "HTTP/1.1 412 No\r\n" CLOSE "Content-Length: 0\r\n\r\n", 0 } },
     -ESTALE,
     NULL,                ERR_INPUT,
     1                                      },
    { "404 is no object",
     { { "HTTP/1.1 404 No\r\n" CLOSE "Content-Length: 5\r\n\r\n<html", 0 } },
     -ENOENT,
     NULL,                ERR_STORAGE,
     1                                      },
    { "an error of endless text is an error",
     { { "HTTP/1.1 400 No\r\n" CLOSE "\r\n", 20 << 20 } },
     -EBADMSG,
     NULL,                ERR_STORAGE,
     1                                      },
};

static void ranges_are_what_was_asked_for(void **state)
{
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(range_rows) / sizeof(range_rows[0]); i++) {
        const struct range_row *r = &range_rows[i];
        for (int web = 0; web < 2; web++) {
            struct store *s = web ? f->web : f->s3;
            struct err err = { 0 };
            char buf[8] = "";
            size_t n = 77;
            script(f, r->answers[1].text ? 2 : 1, r->answers);
            int got = s->ops->get_range(s, f->key, "old", 2, buf, 4, &n, &err);
            print_message("# %s: %s\n", r->name, err.text);
            assert_int_equal(got, r->want);
            assert_int_equal(err.cls, got < 0 ? r->cls : err.cls);
            assert_int_equal(served(f), r->requests);
            assert_null(strstr(err.text, "hush"));
            assert_int_equal(n, r->bytes ? strlen(r->bytes) : 77);
            if (r->bytes)
                assert_memory_equal(buf, r->bytes, n);
        }
    }
}

static void a_head_that_is_refused_is_made_up_for(void **state)
{
    struct fixture *f = *state;
    struct store_stat st;
    struct err err = { 0 };

    SCRIPT(f, { "HTTP/1.1 405 No\r\n" CLOSE "Content-Length: 0\r\n\r\n", 0 },
           { "HTTP/1.1 206 P\r\n" CLOSE
             "ETag: \"x\"\r\nContent-Length: 1\r\nContent-Range: bytes 0-0/1234\r\n\r\n0",
             0 });
    assert_int_equal(f->web->ops->head(f->web, f->key, &st, &err), 0);
    assert_int_equal(st.size_bytes, 1234);
    assert_string_equal(st.etag, "x");
    assert_true(asked(f, 1, "bytes=0-0"));
    assert_true(asked(f, 1, "GET /dir/a.mp4?secret=hush HTTP/1.1"));
    assert_false(asked(f, 1, "key-id"));
}

#define DATE  "Sat, 03 Jan 2026 10:00:00 GMT"
#define LATER "Sat, 03 Jan 2026 10:00:01 GMT"

static void without_a_strong_etag_the_date_tells(void **state)
{
    struct fixture *f = *state;
    struct store_stat st;
    struct err err = { 0 };
    char buf[4];
    size_t n;

    SCRIPT(f,
           { "HTTP/1.1 200 OK\r\n" CLOSE "ETag: W/\"x\"\r\nLast-Modified: " DATE
             "\r\nContent-Length: 10\r\n\r\n",
             0 },
           { "HTTP/1.1 206 P\r\n" CLOSE "Last-Modified: " DATE
             "\r\nContent-Length: 4\r\nContent-Range: bytes 2-5/10\r\n\r\n2345",
             0 },
           { "HTTP/1.1 206 P\r\n" CLOSE "Last-Modified: " LATER
             "\r\nContent-Length: 4\r\nContent-Range: bytes 2-5/10\r\n\r\n2345",
             0 },
           { "HTTP/1.1 206 P\r\n" CLOSE
             "Content-Length: 4\r\nContent-Range: bytes 2-5/11\r\n\r\n2345",
             0 });
    assert_int_equal(f->web->ops->head(f->web, f->key, &st, &err), 0);
    assert_int_equal(f->web->ops->get_range(f->web, f->key, st.etag, 2, buf, 4, &n, &err), 0);
    assert_true(asked(f, 1, "\r\nif-unmodified-since: " DATE "\r\n"));
    assert_int_equal(f->web->ops->get_range(f->web, f->key, st.etag, 2, buf, 4, &n, &err), -ESTALE);
    assert_int_equal(f->web->ops->get_range(f->web, f->key, st.etag, 2, buf, 4, &n, &err), -ESTALE);
}

static void redirects_lead_to_the_web_only(void **state)
{
    static const char *const rows[] = { "file:///etc/passwd", "ftp://127.0.0.1/x",
                                        "gopher://127.0.0.1/x", "/again" };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char answer[256];
        struct store_stat st;
        struct err err = { 0 };
        (void)snprintf(answer, sizeof(answer),
                       "HTTP/1.1 302 F\r\n" CLOSE "Location: %s\r\nContent-Length: 0\r\n\r\n",
                       rows[i]);
        SCRIPT(f, { answer, 0 });
        assert_int_equal(f->web->ops->head(f->web, f->key, &st, &err), -EIO);
        print_message("# %s: %s\n", rows[i], err.text);
        assert_in_range(served(f), 1, 6);
    }
    struct store_stat st;
    SCRIPT(f,
           { "HTTP/1.1 302 F\r\n" CLOSE
             "Location: /else\r\nETag: \"a\"\r\nContent-Length: 3\r\n\r\n",
             0 },
           { "HTTP/1.1 200 OK\r\n" CLOSE "ETag: \"b\"\r\nContent-Length: 10\r\n\r\n", 0 });
    assert_int_equal(f->web->ops->head(f->web, f->key, &st, NULL), 0);
    assert_string_equal(st.etag, "b");
    assert_int_equal(st.size_bytes, 10);
}

static void s3_follows_no_redirect(void **state)
{
    struct fixture *f = *state;
    struct err err = { 0 };
    char buf[4];
    size_t n;

    SCRIPT(f, { "HTTP/1.1 307 F\r\n" CLOSE
                "Location: http://127.0.0.1:1/x\r\nContent-Length: 0\r\n\r\n",
                0 });
    assert_int_equal(f->s3->ops->get_range(f->s3, "a", NULL, 0, buf, 4, &n, &err), -EIO);
    assert_non_null(strstr(err.text, "region"));
    assert_int_equal(served(f), 1);
}

static void a_session_token_is_sent_and_signed(void **state)
{
    struct fixture *f = *state;
    struct store_env_config cfg = {
        .access_key = "key-id", .secret_key = "hush", .session_token = "token", .region = "eu-x"
    };
    char endpoint[64];
    struct store_env *e = NULL;
    struct store *s = NULL;
    struct store_stat st;

    (void)snprintf(endpoint, sizeof(endpoint), "http://127.0.0.1:%d", f->server.port);
    cfg.endpoint = endpoint;
    assert_int_equal(store_env_new(&cfg, &e, NULL), 0);
    assert_int_equal(store_open_prefix(e, "s3://bucket", 0, &s, NULL), 0);
    SCRIPT(f, { "HTTP/1.1 200 OK\r\n" CLOSE
                "ETag: \"0123456789abcdef0123456789abcdef\"\r\nContent-Length: 10\r\n"
                "x-amz-server-side-encryption: aws:kms\r\n\r\n",
                0 });
    assert_int_equal(s->ops->head(s, "a b", &st, NULL), 0);
    assert_string_equal(st.md5, ""); /* that of what is stored, not of the bytes */
    assert_true(asked(f, 0, "HEAD /bucket/a%20b HTTP/1.1\r\n"));
    assert_true(asked(f, 0, "\r\nx-amz-security-token: token\r\n"));
    assert_true(asked(f, 0,
                      "/eu-x/s3/aws4_request, SignedHeaders=host;x-amz-content-sha256;"
                      "x-amz-date;x-amz-security-token, Signature="));
    assert_false(asked(f, 0, "hush"));
    store_free(s);
    store_env_free(e);
}

static int none(void *arg, const char *key, const struct store_stat *st)
{
    (void)arg;
    (void)key;
    (void)st;
    return 0;
}

static void listings_that_are_none_are_refused(void **state)
{
    static const struct answer rows[] = {
        {"HTTP/1.1 200 OK\r\n" CLOSE "\r\n<ListBucketResult><IsTruncated>true</IsTruncated>"
          "<NextContinuationToken>x</NextContinuationToken></ListBucketResult>", 0       },
        { "HTTP/1.1 200 OK\r\n" CLOSE "\r\n<html></html>",                                0       },
        { "HTTP/1.1 200 OK\r\n" CLOSE "\r\n",                                             0       },
        { "HTTP/1.1 200 OK\r\n" CLOSE "\r\n",                                             20 << 20},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct err err = { 0 };
        script(f, 1, &rows[i]);
        assert_int_equal(f->s3->ops->list(f->s3, "", none, NULL, &err), -EBADMSG);
        print_message("# %s\n", err.text);
        assert_int_equal(err.cls, ERR_STORAGE);
    }
}

static void headers_have_a_limit(void **state)
{
    struct fixture *f = *state;
    struct store_stat st;
    struct err err = { 0 };
    size_t size = 200000;
    _cleanup_free_ char *text = malloc(size);

    assert_non_null(text);
    char *out = stpcpy(text, "HTTP/1.1 200 OK\r\n");
    while (out < text + size - 100)
        out = stpcpy(out, "X-Much: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n");
    (void)stpcpy(out, "\r\n");
    SCRIPT(f, { text, 0 });
    assert_int_equal(f->web->ops->head(f->web, f->key, &st, &err), -EBADMSG);
    assert_non_null(strstr(err.text, "headers"));
}

/* ---- how the endpoint is ---- */

#define ERROR_BODY(code)                                                                \
    "HTTP/1.1 403 Forbidden\r\nContent-Type: application/xml\r\n\r\n<Error><Code>" code \
    "</Code></Error>"

static const struct health_row {
    const char *name, *answer;
    enum store_state want;
    const char *why;
} health_rows[] = {
    {"5xx in all tries",         "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n",      STORE_AWAY,    "503"      },
    { "no answer",               "",                                                    STORE_AWAY,    "127.0.0.1"},
    { "a clock that differs",    ERROR_BODY("RequestTimeTooSkewed"),                    STORE_AWAY,    "clock"    },
    { "a wrong secret",          ERROR_BODY("SignatureDoesNotMatch"),                   STORE_REFUSES, "key-id"   },
    { "a key that nobody knows", ERROR_BODY("InvalidAccessKeyId"),                      STORE_REFUSES, "key-id"   },
    { "a right that is missing", ERROR_BODY("AccessDenied"),                            STORE_ANSWERS, ""         },
    { "an object that isn't",    "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", STORE_ANSWERS,
     ""                                                                                                           },
};

static void read_something(struct fixture *f)
{
    char buf[4];
    size_t n;

    (void)f->s3->ops->get_range(f->s3, "a", NULL, 0, buf, sizeof(buf), &n, NULL);
}

static void an_endpoint_answers_or_is_away_or_refuses(void **state)
{
    struct fixture *f = *state;
    struct store_health h;

    for (size_t i = 0; i < sizeof(health_rows) / sizeof(*health_rows); i++) {
        const struct health_row *row = &health_rows[i];
        SCRIPT(f, { row->answer, 0 });
        int64_t before = clock_system.mono_ns(&clock_system);
        read_something(f);
        store_env_health(f->env, &h);
        if (h.state != row->want || !strstr(h.why, row->why))
            fail_msg("%s: %d %s", row->name, h.state, h.why);
        /* Back again: it counts for what began before, and for nothing that begins now. */
        SCRIPT(f, { "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 0 });
        assert_int_equal(store_env_ask(f->env, NULL), 0);
        int64_t now = clock_system.mono_ns(&clock_system);
        store_env_health(f->env, &h);
        assert_int_equal(h.state, STORE_ANSWERS);
        assert_false(store_was_away(f->env, now) || store_was_refusing(f->env, now));
        assert_int_equal(store_was_away(f->env, before), row->want == STORE_AWAY);
        assert_int_equal(store_was_refusing(f->env, before), row->want == STORE_REFUSES);
    }
    assert_false(store_was_away(NULL, 0));
}

/* A host that a user named is the job's business. */
static void a_source_of_the_web_says_nothing_of_it(void **state)
{
    struct fixture *f = *state;
    struct store_health h;
    char buf[4];
    size_t n;

    SCRIPT(f, { "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", 0 });
    assert_true(f->web->ops->get_range(f->web, f->key, NULL, 0, buf, sizeof(buf), &n, NULL) < 0);
    store_env_health(f->env, &h);
    assert_int_equal(h.state, STORE_ANSWERS);
}

static void a_watch_sees_that_it_is_back(void **state)
{
    struct fixture *f = *state;
    struct store_watch *w;
    struct store_health h;

    SCRIPT(f, { "", 0 });
    read_something(f);
    assert_int_equal(store_watch_new(f->env, &w, NULL), 0);
    SCRIPT(f, { "", 0 }, { "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 0 });
    do {
        (void)usleep(10000);
        store_env_health(f->env, &h);
    } while (h.state != STORE_ANSWERS);
    assert_true(served(f) >= 2);
    store_watch_free(w);
    store_watch_free(NULL);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(ranges_are_what_was_asked_for),
        T(a_head_that_is_refused_is_made_up_for),
        T(without_a_strong_etag_the_date_tells),
        T(redirects_lead_to_the_web_only),
        T(s3_follows_no_redirect),
        T(a_session_token_is_sent_and_signed),
        T(listings_that_are_none_are_refused),
        T(headers_have_a_limit),
        T(an_endpoint_answers_or_is_away_or_refuses),
        T(a_source_of_the_web_says_nothing_of_it),
        T(a_watch_sees_that_it_is_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
