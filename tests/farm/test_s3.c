/* The S3 store against a real server (Ceph's object gateway, started here by
 * tests/farm/rgw), directly and over a network that fails (faultproxy).
 *
 * $GOPMILL_SOURCE is the source tree, $GOPMILL_FAULTPROXY the program.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/cleanup.h"
#include "common/base/err.h"
#include "common/store/env.h"
#include "common/store/s3.h"
#include "common/store/store.h"

enum { MIB = 1 << 20, PART = 5 * MIB };

static struct world {
    char dir[64], control[96];
    char direct[64], faulty[64]; /* endpoints */
    int port;
    pid_t proxy;
    struct store_env *env, *faulty_env;
} world;

/* ---- the world ---- */

static int script(const char *args)
{
    char command[512];

    (void)snprintf(command, sizeof(command), "'%s/tests/farm/rgw' %s", getenv("GOPMILL_SOURCE"),
                   args);
    return system(command); /* NOLINT(cert-env33-c): a test starting its server */
}

/* Takes over what the script says: NAME=value words. */
static int read_variables(const char *path)
{
    char word[256];
    FILE *f = fopen(path, "re");

    if (!f)
        return -1;
    while (fscanf(f, "%255s", word) == 1) { /* NOLINT(cert-err34-c) */
        char *equals = strchr(word, '=');
        if (equals) {
            *equals = '\0';
            (void)setenv(word, equals + 1, 1);
        }
    }
    return fclose(f);
}

static void fault(const char *what)
{
    char tmp[128];

    (void)snprintf(tmp, sizeof(tmp), "%s.new", world.control);
    FILE *f = fopen(tmp, "we");
    assert_non_null(f);
    assert_true(fprintf(f, "%s\n", what) > 0);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(rename(tmp, world.control), 0);
    /* Two looks of the proxy, which has no way to say that it has seen it. */
    (void)nanosleep(&(struct timespec){ .tv_nsec = 60000000 }, NULL);
}

static int start_proxy(void)
{
    const char *program = getenv("GOPMILL_FAULTPROXY");
    char port[16] = "";
    int fds[2];

    if (!program || pipe2(fds, O_CLOEXEC) < 0)
        return -1;
    world.proxy = fork();
    if (world.proxy == 0) {
        (void)dup2(fds[1], STDOUT_FILENO);
        (void)execl(program, program, "0", strstr(world.direct, "127."), world.control, NULL);
        _exit(127);
    }
    (void)close(fds[1]);
    ssize_t n = read(fds[0], port, sizeof(port) - 1);
    (void)close(fds[0]);
    if (n <= 0)
        return -1;
    (void)snprintf(world.faulty, sizeof(world.faulty), "http://127.0.0.1:%d", atoi(port));
    return 0;
}

static struct store *open_prefix(struct store_env *e, const char *url)
{
    struct store *s = NULL;
    struct err err = { 0 };

    if (store_open_prefix(e, url, 0, &s, &err) < 0)
        fail_msg("%s", err.text);
    return s;
}

/* What no store does: a bucket made, an object for everybody. */
static int by_hand(struct store_env *e, const char *method, const char *url, const char *key,
                   const char *body, const char *acl)
{
    struct store *s = open_prefix(e, url);
    struct s3_call c;
    struct http_answer a = { 0 };
    struct err err = { 0 };
    int r = s3_call_init((struct s3_store *)s, method, key, NULL, 0, &c, &err);

    if (acl)
        s3_call_header(&c, "x-amz-acl", acl);
    c.q.body = body;
    c.q.body_len = body ? strlen(body) : 0;
    if (r == 0)
        r = s3_perform((struct s3_store *)s, &c, &a, &err);
    if (r < 0)
        print_message("# %s\n", err.text);
    http_answer_release(&a);
    s3_call_release(&c);
    store_free(s);
    return r;
}

static struct store_env *new_env(const struct store_env_config *cfg)
{
    struct store_env *e = NULL;
    struct err err = { 0 };

    if (store_env_new(cfg, &e, &err) < 0)
        fail_msg("%s", err.text);
    return e;
}

static struct store_env *new_faulty_env(void)
{
    struct store_env_config cfg = { .endpoint = world.faulty,
                                    .connect_timeout_ms = 2000,
                                    .stall_timeout_ms = 1000,
                                    .tries = 6,
                                    .deadline_ms = 20000,
                                    .part_bytes = PART };

    return new_env(&cfg);
}

static int set_up(void **state)
{
    char args[160];

    (void)state;
    strcpy(world.dir, "/tmp/gopmill-test-s3-XXXXXX");
    if (!mkdtemp(world.dir))
        return -1;
    (void)snprintf(world.control, sizeof(world.control), "%s/control", world.dir);
    (void)snprintf(args, sizeof(args), "start %s/rgw --owner %d >%s/env", world.dir, (int)getpid(),
                   world.dir);
    if (script(args) != 0)
        return -1;
    (void)snprintf(args, sizeof(args), "%s/env", world.dir);
    if (read_variables(args) < 0 || !getenv("AWS_ENDPOINT_URL_S3"))
        return -1;
    (void)snprintf(world.direct, sizeof(world.direct), "%s", getenv("AWS_ENDPOINT_URL_S3"));
    world.port = atoi(strrchr(world.direct, ':') + 1);
    if (start_proxy() < 0)
        return -1;
    struct store_env_config cfg = { .part_bytes = PART, .private_addresses = 1 };
    world.env = new_env(&cfg);
    world.faulty_env = new_faulty_env();
    return by_hand(world.env, "PUT", "s3://farm", NULL, NULL, NULL);
}

static int tear_down(void **state)
{
    char args[192];

    (void)state;
    store_env_free(world.env);
    store_env_free(world.faulty_env);
    if (world.proxy > 0) {
        (void)kill(world.proxy, SIGKILL);
        (void)waitpid(world.proxy, NULL, 0);
    }
    (void)snprintf(args, sizeof(args), "down %s/rgw && rm -rf %s", world.dir, world.dir);
    return script(args) ? -1 : 0;
}

static int no_fault(void **state)
{
    (void)state;
    fault("pass");
    return 0;
}

/* ---- helpers ---- */

static int put(struct store *s, const char *key, const void *buf, size_t len, struct err *err)
{
    return s->ops->put(s, key, buf, len, NULL, err);
}

static void must(int r, const struct err *err)
{
    if (r < 0)
        fail_msg("%d: %s", r, err->text);
}

static void must_put(struct store *s, const char *key, const char *text)
{
    struct err err = { 0 };

    must(put(s, key, text, strlen(text), &err), &err);
}

static void must_hold(struct store *s, const char *key, const char *text)
{
    struct err err = { 0 };
    char buf[64] = "";
    size_t n = 0;

    must(s->ops->get_range(s, key, NULL, 0, buf, sizeof(buf), &n, &err), &err);
    assert_int_equal(n, strlen(text));
    assert_memory_equal(buf, text, n);
}

struct found {
    size_t n;
    char last[S3_KEY_MAX + 1];
    struct store_stat st;
    uint64_t bytes;
};

static int note(void *arg, const char *key, const struct store_stat *st)
{
    struct found *f = arg;

    f->n++;
    f->st = *st;
    f->bytes += st->size_bytes;
    (void)snprintf(f->last, sizeof(f->last), "%s", key);
    return 0;
}

static int stop_at_once(void *arg, const char *key, const struct store_stat *st)
{
    (void)key;
    (void)st;
    ++*(int *)arg;
    return 42;
}

static struct found list(struct store *s, const char *prefix)
{
    struct found f = { 0 };
    struct err err = { 0 };

    must(s->ops->list(s, prefix, note, &f, &err), &err);
    return f;
}

static unsigned char *pattern(size_t len)
{
    unsigned char *p = malloc(len);
    uint32_t x = 12345;

    assert_non_null(p);
    for (size_t i = 0; i < len; i++) {
        x = x * 1664525 + 1013904223;
        p[i] = (unsigned char)(x >> 24);
    }
    return p;
}

static double now_s(void)
{
    return (double)http_now_ns() / 1e9;
}

/* ---- what a store promises ---- */

static void what_was_put_is_read_back(void **state)
{
    struct store *s = open_prefix(world.env, "s3://farm/pack/age");
    struct store_put_opts opts = { .content_type = "video/mp4",
                                   .cache_control = "public, max-age=31536000" };
    struct store_stat st;
    struct err err = { 0 };
    char buf[16];
    size_t n;

    (void)state;
    must(s->ops->put(s, "v/a.m4s", "0123456789", 10, &opts, &err), &err);
    must(s->ops->head(s, "v/a.m4s", &st, &err), &err);
    assert_int_equal(st.size_bytes, 10);
    assert_string_equal(st.md5, "781e5e245d69b566979b86e28d23f2c7");
    must(s->ops->get_range(s, "v/a.m4s", st.etag, 3, buf, 4, &n, &err), &err);
    assert_int_equal(n, 4);
    assert_memory_equal(buf, "3456", 4);
    must(s->ops->get_range(s, "v/a.m4s", st.etag, 8, buf, sizeof(buf), &n, &err), &err);
    assert_int_equal(n, 2);
    for (uint64_t off = 10; off < 100; off += 80) {
        must(s->ops->get_range(s, "v/a.m4s", st.etag, off, buf, sizeof(buf), &n, &err), &err);
        assert_int_equal(n, 0);
    }
    struct found f = list(s, "v/");
    assert_int_equal(f.n, 1);
    assert_string_equal(f.last, "v/a.m4s");
    assert_string_equal(f.st.etag, st.etag);
    assert_string_equal(f.st.md5, st.md5);
    must(s->ops->del(s, "v/a.m4s", &err), &err);
    must(s->ops->del(s, "v/a.m4s", &err), &err);
    assert_int_equal(s->ops->head(s, "v/a.m4s", &st, &err), -ENOENT);
    assert_int_equal(s->ops->get_range(s, "v/a.m4s", NULL, 0, buf, 1, &n, &err), -ENOENT);
    assert_int_equal(list(s, "").n, 0);
    store_free(s);
}

static void an_empty_object_is_one(void **state)
{
    struct store *s = open_prefix(world.env, "s3://farm/empty/");
    struct store_stat st;
    struct err err = { 0 };
    char buf[4];
    size_t n = 7;

    (void)state;
    must_put(s, "nothing", "");
    must(s->ops->head(s, "nothing", &st, &err), &err);
    assert_int_equal(st.size_bytes, 0);
    must(s->ops->get_range(s, "nothing", st.etag, 0, buf, 4, &n, &err), &err);
    assert_int_equal(n, 0);
    store_free(s);
}

static void a_source_replaced_meanwhile_is_noticed(void **state)
{
    struct store *s = open_prefix(world.env, "s3://farm/stale");
    struct store_stat st;
    struct err err = { 0 };
    char buf[4];
    size_t n = 7;

    (void)state;
    must_put(s, "in.mov", "aaaa");
    must(s->ops->head(s, "in.mov", &st, &err), &err);
    must_put(s, "in.mov", "bbbb");
    for (uint64_t off = 0; off < 8; off += 4) {
        assert_int_equal(s->ops->get_range(s, "in.mov", st.etag, off, buf, 4, &n, &err), -ESTALE);
        assert_int_equal(err.cls, ERR_INPUT);
        assert_int_equal(n, 7);
    }
    store_free(s);
}

static void only_the_first_makes_what_must_be_absent(void **state)
{
    struct store *s = open_prefix(world.env, "s3://farm/absent");
    struct store_put_opts opts = { .if_absent = 1 };
    struct err err = { 0 };
    _cleanup_free_ unsigned char *large = pattern(PART + 1);

    (void)state;
    must(s->ops->put(s, "claim", "first", 5, &opts, &err), &err);
    assert_int_equal(s->ops->put(s, "claim", "second", 6, &opts, &err), -EEXIST);
    assert_int_equal(s->ops->put(s, "claim", "first", 5, &opts, &err), -EEXIST);
    assert_int_equal(s->ops->put(s, "claim", large, PART + 1, &opts, &err), -EEXIST);
    must_hold(s, "claim", "first");
    store_free(s);
}

static void any_utf8_is_a_key(void **state)
{
    static const char *const keys[] = {
        "plain",          "ü/日本語/🎬.mp4",   "blank in it",
        "a+b&c=d?e#f%41", "it's (a) *test*!", "a//b",
        "a/./b",          "a/../b",           "<&>\"'",
        "tab\tin it",     "one\x01",          "~-._:;@$,\\^`{|}[]"
    };
    struct store *all = open_prefix(world.env, "s3://farm");

    (void)state;
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        struct store *s = NULL;
        struct err err = { 0 };
        struct found f = { 0 };
        _cleanup_free_ char *key = NULL;
        char url[256];
        (void)snprintf(url, sizeof(url), "s3://farm/any/%s", keys[i]);
        must(store_open_object(world.env, url, &s, &key, &err), &err);
        must_put(s, key, keys[i]);
        must_hold(s, key, keys[i]);
        f = list(all, "any/");
        int seen = store_key_check(key, NULL) == 0;
        assert_int_equal(f.n, seen);
        if (seen)
            assert_string_equal(f.last, key);
        must(s->ops->del(s, key, &err), &err);
        store_free(s);
    }
    store_free(all);
}

static void keys_that_climb_are_refused_in_packages(void **state)
{
    struct store *s = open_prefix(world.env, "s3://farm/package");
    struct err err = { 0 };

    (void)state;
    assert_int_equal(put(s, "../other", "x", 1, &err), -EINVAL);
    assert_int_equal(put(s, "a//b", "x", 1, &err), -EINVAL);
    assert_int_equal(put(s, "", "x", 1, &err), -EINVAL);
    assert_int_equal(err.cls, ERR_INPUT);
    store_free(s);
}

enum { MANY = 1050 };

struct putter {
    struct store *s;
    int from, failed;
};

static void *put_quarter(void *arg)
{
    struct putter *p = arg;
    char key[32];

    for (int i = p->from; i < MANY; i += 4) {
        (void)snprintf(key, sizeof(key), "k/%04d &+%%é", i);
        p->failed |= put(p->s, key, "x", 1, NULL) < 0;
    }
    return NULL;
}

static void a_long_listing_has_every_object_once(void **state)
{
    struct store *s = open_prefix(world.env, "s3://farm/many");
    struct putter p[4];
    pthread_t t[4];
    int calls = 0;

    (void)state;
    for (int i = 0; i < 4; i++) {
        p[i] = (struct putter){ s, i, 0 };
        assert_int_equal(pthread_create(&t[i], NULL, put_quarter, &p[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(t[i], NULL), 0);
        assert_int_equal(p[i].failed, 0);
    }
    struct found f = list(s, "k/");
    assert_int_equal(f.n, MANY);
    assert_int_equal(f.bytes, MANY);
    assert_int_equal(list(s, "k/1").n, 50);
    assert_int_equal(s->ops->list(s, "", stop_at_once, &calls, NULL), 42);
    assert_int_equal(calls, 1);
    store_free(s);
}

static void must_equal(struct store *s, const char *key, const unsigned char *want, size_t len)
{
    _cleanup_free_ unsigned char *got = malloc(len + 1);
    struct err err = { 0 };
    size_t n = 0;

    must(s->ops->get_range(s, key, NULL, 0, got, len + 1, &n, &err), &err);
    assert_int_equal(n, len);
    assert_memory_equal(got, want, len);
}

/* Under way in the whole bucket. */
static size_t uploads(void)
{
    struct sigv4_param params[] = {
        {"uploads", NULL}
    };
    struct store *s = open_prefix(world.env, "s3://farm");
    struct s3_upload *u = NULL;
    struct s3_call c;
    struct http_answer a = { 0 };
    struct err err = { 0 };
    size_t n = 0;

    must(s3_call_init((struct s3_store *)s, "GET", NULL, params, 1, &c, &err), &err);
    must(s3_perform((struct s3_store *)s, &c, &a, &err), &err);
    must(s3_uploads_parse(a.body, a.n, &u, &n, &err), &err);
    s3_uploads_free(u, n);
    http_answer_release(&a);
    s3_call_release(&c);
    store_free(s);
    return n;
}

static void large_objects_are_put_in_parts(void **state)
{
    struct store *s = open_prefix(world.env, "s3://farm/large");
    size_t len = 2 * (size_t)PART + 12345;
    _cleanup_free_ unsigned char *buf = pattern(len);
    struct store_stat st;
    struct err err = { 0 };

    (void)state;
    must(put(s, "three parts", buf, len, &err), &err);
    must(s->ops->head(s, "three parts", &st, &err), &err);
    assert_int_equal(st.size_bytes, len);
    assert_non_null(strstr(st.etag, "-3"));
    assert_string_equal(st.md5, "");
    must_equal(s, "three parts", buf, len);
    must(s->ops->sweep(s, &err), &err);
    assert_int_equal(uploads(), 0);
    store_free(s);
}

static void the_host_may_name_the_bucket(void **state)
{
    char endpoint[64];
    struct store_env_config cfg = { .endpoint = endpoint, .path_style = 2 };

    (void)state;
    (void)snprintf(endpoint, sizeof(endpoint), "http://localhost:%d", world.port);
    struct store_env *e = new_env(&cfg);
    struct store *s = open_prefix(e, "s3://farm/by host"),
                 *same = open_prefix(world.env, "s3://farm");
    must_put(s, "a/ü", "x");
    must_hold(same, "by host/a/ü", "x");
    assert_int_equal(list(s, "").n, 1);
    store_free(s);
    store_free(same);
    store_env_free(e);
}

/* ---- what is wrong is told ---- */

static void says(struct store *s, int want, const char *const *words)
{
    struct store_stat st;
    char byte;
    size_t n;

    for (int op = 0; op < 3; op++) {
        struct err err = { 0 };
        int r = op == 0   ? s->ops->head(s, "a", &st, &err)
                : op == 1 ? s->ops->get_range(s, "a", NULL, 0, &byte, 1, &n, &err)
                          : put(s, "a", "x", 1, &err);
        print_message("# %s\n", err.text);
        assert_int_equal(r, want);
        assert_int_equal(err.cls, ERR_STORAGE);
        for (const char *const *w = words; *w; w++)
            assert_non_null(strstr(err.text, *w));
        assert_null(strstr(err.text, getenv("AWS_SECRET_ACCESS_KEY")));
        assert_null(strstr(err.text, "wrong-secret"));
    }
}

static void a_missing_bucket_is_named(void **state)
{
    struct store *s = open_prefix(world.env, "s3://not-there/x");

    (void)state;
    says(s, -ENXIO, (const char *const[]){ "not-there", "NoSuchBucket", "127.0.0.1", NULL });
    store_free(s);
}

static void wrong_credentials_are_named(void **state)
{
    static const struct {
        const char *access, *secret, *code;
    } rows[] = {
        {NULL,      "wrong-secret", "SignatureDoesNotMatch"},
        { "nobody", "wrong-secret", "InvalidAccessKeyId"   }
    };

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct store_env_config cfg = { .access_key = rows[i].access,
                                        .secret_key = rows[i].secret };
        struct store_env *e = new_env(&cfg);
        struct store *s = open_prefix(e, "s3://farm/x");
        const char *key = rows[i].access ? rows[i].access : getenv("AWS_ACCESS_KEY_ID");
        says(s, -EACCES, (const char *const[]){ key, "bucket farm", rows[i].code, "403", NULL });
        struct store_traffic t;
        store_env_traffic(e, &t);
        assert_int_equal(t.retries, 0);
        store_free(s);
        store_env_free(e);
    }
}

static void no_credentials_are_told(void **state)
{
    struct store_env_config cfg = { .access_key = "" };
    struct store_env *e = new_env(&cfg);
    struct store *s = open_prefix(e, "s3://farm/x");

    (void)state;
    says(s, -EACCES, (const char *const[]){ "AWS_ACCESS_KEY_ID", "403", NULL });
    store_free(s);
    store_env_free(e);
}

/* ---- sources of the web ---- */

static void a_web_source_is_read_in_ranges(void **state)
{
    struct store *s = NULL;
    struct store_stat st;
    struct err err = { 0 };
    _cleanup_free_ char *key = NULL;
    char url[160], buf[8];
    size_t n = 0;

    (void)state;
    assert_int_equal(
        by_hand(world.env, "PUT", "s3://farm/web", "a b.mp4", "0123456789", "public-read"), 0);
    (void)snprintf(url, sizeof(url), "%s/farm/web/a%%20b.mp4?x-id=GetObject#t=1", world.direct);
    must(store_open_object(world.env, url, &s, &key, &err), &err);
    must(s->ops->head(s, key, &st, &err), &err);
    assert_int_equal(st.size_bytes, 10);
    must(s->ops->get_range(s, key, st.etag, 8, buf, 8, &n, &err), &err);
    assert_int_equal(n, 2);
    assert_memory_equal(buf, "89", 2);
    must(s->ops->get_range(s, key, st.etag, 10, buf, 8, &n, &err), &err);
    assert_int_equal(n, 0);
    assert_int_equal(
        by_hand(world.env, "PUT", "s3://farm/web", "a b.mp4", "abcdefghij", "public-read"), 0);
    assert_int_equal(s->ops->get_range(s, key, st.etag, 0, buf, 8, &n, &err), -ESTALE);
    assert_int_equal(err.cls, ERR_INPUT);
    assert_int_equal(s->ops->put(s, key, "x", 1, NULL, &err), -EROFS);
    store_free(s);
}

/* ---- over a network that fails ---- */

static const struct fault_row {
    const char *fault;
    int retries; /* at least that many must have been */
} fault_rows[] = {
    {"status 500 2",  3},
    { "status 503 3", 2},
    { "cut-body 2",   1},
    { "lose 3",       0},
    { "hang 7",       1},
    { "delay 50",     0},
    { "slow 300000",  0},
    { "busy 1 9",     1},
};

static void exercise(struct store *s, const unsigned char *buf, size_t len)
{
    struct store_put_opts once = { .if_absent = 1 };
    struct store_stat st;
    struct err err = { 0 };

    must(s->ops->put(s, "claim", "mine", 4, &once, &err), &err);
    must(put(s, "a", buf, len, &err), &err);
    must(s->ops->head(s, "a", &st, &err), &err);
    assert_int_equal(st.size_bytes, len);
    must_equal(s, "a", buf, len);
    assert_int_equal(list(s, "").n, 2);
    must_hold(s, "claim", "mine");
    must(s->ops->del(s, "a", &err), &err);
    must(s->ops->del(s, "claim", &err), &err);
    assert_int_equal(list(s, "").n, 0);
}

static void faults_that_pass_are_outlasted(void **state)
{
    struct store *s = open_prefix(world.faulty_env, "s3://farm/faulty");
    _cleanup_free_ unsigned char *buf = pattern(200000);

    (void)state;
    for (size_t i = 0; i < sizeof(fault_rows) / sizeof(fault_rows[0]); i++) {
        struct store_traffic before, after;
        double start = now_s();
        fault(fault_rows[i].fault);
        store_env_traffic(world.faulty_env, &before);
        exercise(s, buf, 200000);
        store_env_traffic(world.faulty_env, &after);
        print_message("# %s: %d retries, %.1f s\n", fault_rows[i].fault,
                      (int)(after.retries - before.retries), now_s() - start);
        assert_true(after.retries - before.retries >= (uint64_t)fault_rows[i].retries);
        assert_true(now_s() - start < 20);
    }
    store_free(s);
}

static void an_answer_lost_does_not_lose_the_claim(void **state)
{
    struct store *s = open_prefix(world.faulty_env, "s3://farm/lost");
    struct store_put_opts once = { .if_absent = 1 };
    struct err err = { 0 };

    (void)state;
    must_put(s, "claim 0", "x"); /* so that there is a connection to be reused */
    fault("lose 1 PUT claim");
    (void)s->ops->put(s, "claim 1", "mine", 4, &once, &err); /* each try is carried out */
    fault("lose 2 PUT claim");
    must_put(s, "claim 2", "x");
    must(s->ops->put(s, "claim 3", "mine", 4, &once, &err), &err);
    fault("pass");
    assert_int_equal(s->ops->put(s, "claim 3", "mine", 4, &once, &err), -EEXIST);
    store_free(s);
}

static void faults_that_stay_end_within_the_limits(void **state)
{
    static const struct {
        const char *fault;
        const char *word;
    } rows[] = {
        {"hang",        "tried"            },
        { "status 500", "500 InternalError"},
        { "rst",        "tried"            },
        { "refuse",     "tried"            },
        { "lose",       "tried"            },
        { "busy 3600",  "503 SlowDown"     },
        { "slow 100",   "tried"            }
    };
    struct store_env_config cfg = { .endpoint = world.faulty,
                                    .connect_timeout_ms = 1000,
                                    .stall_timeout_ms = 500,
                                    .tries = 3,
                                    .deadline_ms = 4000 };
    struct store_env *e = new_env(&cfg);
    struct store *s = open_prefix(e, "s3://farm/dead");
    _cleanup_free_ unsigned char *buf = pattern(MIB);

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct err err = { 0 };
        double start = now_s();
        fault(rows[i].fault);
        int r = put(s, "a", buf, MIB, &err);
        print_message("# %s: %.1f s: %s\n", rows[i].fault, now_s() - start, err.text);
        assert_true(r == -EIO || r == -ETIMEDOUT);
        assert_int_equal(err.cls, ERR_STORAGE);
        assert_non_null(strstr(err.text, rows[i].word));
        assert_true(now_s() - start < 7);
    }
    store_free(s);
    store_env_free(e);
}

static void an_upload_in_parts_that_fails_is_aborted(void **state)
{
    struct store *s = open_prefix(world.faulty_env, "s3://farm/aborted");
    size_t len = 3 * (size_t)PART;
    _cleanup_free_ unsigned char *buf = pattern(len);
    struct store_stat st;
    struct err err = { 0 };

    (void)state;
    fault("status 403 1 PUT partNumber=2");
    assert_int_equal(put(s, "a", buf, len, &err), -EACCES);
    assert_int_equal(uploads(), 0);
    assert_int_equal(s->ops->head(s, "a", &st, &err), -ENOENT);
    fault("lose 2 POST uploadId");
    must(put(s, "a", buf, len, &err), &err);
    fault("lose 1 POST uploadId=");
    (void)put(s, "b", buf, len, &err); /* each completion is carried out, none is answered */
    fault("status 500 4 PUT partNumber");
    must(put(s, "c", buf, len, &err), &err);
    fault("pass");
    must_equal(s, "a", buf, len);
    must_equal(s, "c", buf, len);
    assert_int_equal(uploads(), 0);
    store_free(s);
}

enum { THREADS = 4 };

static void *read_much(void *arg)
{
    struct store *s = arg;
    unsigned char *buf = malloc(MIB);
    intptr_t failed = 0;

    for (int i = 0; i < 20 && buf; i++) {
        size_t n = 0;
        uint64_t off = (uint64_t)i * 50000;
        if (s->ops->get_range(s, "shared", NULL, off, buf, 50000, &n, NULL) < 0 || n != 50000 ||
            buf[0] != (unsigned char)(off >> 8))
            failed++;
    }
    free(buf);
    return (void *)failed; /* NOLINT(performance-no-int-to-ptr) */
}

static void several_threads_share_an_env(void **state)
{
    struct store *s = open_prefix(world.faulty_env, "s3://farm/threads");
    _cleanup_free_ unsigned char *buf = malloc(MIB);
    pthread_t t[THREADS];
    struct err err = { 0 };

    (void)state;
    for (size_t i = 0; i < MIB; i++)
        buf[i] = (unsigned char)(i >> 8);
    must(put(s, "shared", buf, MIB, &err), &err);
    fault("status 503 11");
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&t[i], NULL, read_much, s), 0);
    for (int i = 0; i < THREADS; i++) {
        void *failed = NULL;
        assert_int_equal(pthread_join(t[i], &failed), 0);
        assert_null(failed);
    }
    store_free(s);
}

#define F(f) cmocka_unit_test_teardown(f, no_fault)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_put_is_read_back),
        cmocka_unit_test(an_empty_object_is_one),
        cmocka_unit_test(a_source_replaced_meanwhile_is_noticed),
        cmocka_unit_test(only_the_first_makes_what_must_be_absent),
        cmocka_unit_test(any_utf8_is_a_key),
        cmocka_unit_test(keys_that_climb_are_refused_in_packages),
        cmocka_unit_test(a_long_listing_has_every_object_once),
        cmocka_unit_test(large_objects_are_put_in_parts),
        cmocka_unit_test(the_host_may_name_the_bucket),
        cmocka_unit_test(a_missing_bucket_is_named),
        cmocka_unit_test(wrong_credentials_are_named),
        cmocka_unit_test(no_credentials_are_told),
        cmocka_unit_test(a_web_source_is_read_in_ranges),
        F(faults_that_pass_are_outlasted),
        F(an_answer_lost_does_not_lose_the_claim),
        F(faults_that_stay_end_within_the_limits),
        F(an_upload_in_parts_that_fails_is_aborted),
        F(several_threads_share_an_env),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
