/* The file store: whole objects or none, keys that stay inside, clear words. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/err.h"
#include "common/base/range.h"
#include "common/store/store.h"

struct fixture {
    char dir[64];
    struct store *s;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    strcpy(f->dir, "/tmp/gopmill-test-store-XXXXXX");
    if (!f || !mkdtemp(f->dir) || store_file_open(f->dir, 0, &f->s, NULL) < 0)
        return -1;
    *state = f;
    return 0;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *w)
{
    (void)st, (void)flag, (void)w;
    return remove(path);
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    store_free(f->s);
    (void)nftw(f->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    free(f);
    return 0;
}

static int put(struct fixture *f, const char *key, const char *text)
{
    struct store_put_opts o = { .durable = 1 };
    return f->s->ops->put(f->s, key, text, strlen(text), &o, NULL);
}

static void full_path(const struct fixture *f, const char *name, char ret[PATH_MAX])
{
    (void)snprintf(ret, PATH_MAX, "%s/%s", f->dir, name);
}

static int collect_keys(void *arg, const char *key, const struct store_stat *st)
{
    (void)st;
    strcat(arg, key);
    strcat(arg, " ");
    return 0;
}

static void what_was_put_is_read_back(void **state)
{
    struct fixture *f = *state;
    struct store_stat st;
    char buf[32];
    size_t n;

    assert_int_equal(put(f, "video/1080p/seg-00001.m4s", "0123456789"), 0);
    assert_int_equal(f->s->ops->head(f->s, "video/1080p/seg-00001.m4s", &st, NULL), 0);
    assert_int_equal(st.size_bytes, 10);
    assert_int_equal(
        f->s->ops->get_range(f->s, "video/1080p/seg-00001.m4s", st.etag, 3, buf, 4, &n, NULL), 0);
    assert_int_equal(n, 4);
    assert_memory_equal(buf, "3456", 4);
    assert_int_equal(
        f->s->ops->get_range(f->s, "video/1080p/seg-00001.m4s", NULL, 8, buf, 32, &n, NULL), 0);
    assert_int_equal(n, 2);
    assert_int_equal(
        f->s->ops->get_range(f->s, "video/1080p/seg-00001.m4s", NULL, 99, buf, 32, &n, NULL), 0);
    assert_int_equal(n, 0);
    n = 77;
    assert_int_equal(f->s->ops->get_range(f->s, "video/1080p/seg-00001.m4s", NULL, UINT64_MAX, buf,
                                          32, &n, NULL),
                     -EINVAL);
    assert_int_equal(n, 77);
}

static void a_source_replaced_meanwhile_is_noticed(void **state)
{
    struct fixture *f = *state;
    struct store_stat st;
    struct err err = { 0 };
    char buf[8];
    size_t n = 77;

    assert_int_equal(put(f, "in.mov", "aaaa"), 0);
    assert_int_equal(f->s->ops->head(f->s, "in.mov", &st, NULL), 0);
    assert_int_equal(put(f, "in.mov", "bbbb"), 0);
    assert_int_equal(f->s->ops->get_range(f->s, "in.mov", st.etag, 0, buf, 4, &n, &err), -ESTALE);
    assert_int_equal(err.cls, ERR_INPUT);
    assert_int_equal(n, 77);
}

/* Each range where it belongs, short at the end only, and one failure for all. */
static void many_ranges_are_read_at_once(void **state)
{
    enum { N = 500 };
    struct fixture *f = *state;
    struct read_range v[N];
    struct store_stat st;
    struct err err = { 0 };
    char text[1001] = "", bufs[N][8];

    for (int i = 0; i < 1000; i++)
        text[i] = (char)('a' + i % 23);
    assert_int_equal(put(f, "in.mov", text), 0);
    assert_int_equal(f->s->ops->head(f->s, "in.mov", &st, NULL), 0);
    for (unsigned threads = 0; threads < 50; threads += 7) {
        for (size_t i = 0; i < N; i++)
            v[i] = (struct read_range){ .off = i * 7 % 1001, .len = 1 + i % 8, .buf = bufs[i] };
        assert_int_equal(store_get_many(f->s, "in.mov", st.etag, v, N, threads, &err), 0);
        for (size_t i = 0; i < N; i++) {
            size_t left = 1000 - v[i].off;
            assert_int_equal(v[i].n, v[i].len < left ? v[i].len : left);
            assert_memory_equal(bufs[i], text + v[i].off, v[i].n);
        }
    }
    assert_int_equal(put(f, "in.mov", "other"), 0);
    assert_int_equal(store_get_many(f->s, "in.mov", st.etag, v, N, 4, &err), -ESTALE);
    assert_int_equal(err.cls, ERR_INPUT);
    assert_int_equal(store_get_many(f->s, "in.mov", st.etag, v, 0, 4, &err), 0);
}

static void only_the_first_makes_what_must_be_absent(void **state)
{
    struct fixture *f = *state;
    struct store_put_opts o = { .if_absent = 1 };
    struct store_stat st = { .md5 = "x" };
    struct err err = { 0 };
    char keys[64] = "";

    assert_int_equal(f->s->ops->put(f->s, "a/claim", "first", 5, &o, &err), 0);
    assert_int_equal(f->s->ops->put(f->s, "a/claim", "second", 6, &o, &err), -EEXIST);
    assert_non_null(strstr(err.text, "there already"));
    assert_int_equal(f->s->ops->head(f->s, "a/claim", &st, NULL), 0);
    assert_int_equal(st.size_bytes, 5);
    assert_string_equal(st.md5, "");
    assert_int_equal(f->s->ops->list(f->s, "", collect_keys, keys, NULL), 0);
    assert_string_equal(keys, "a/claim ");
}

static void what_is_not_there_is_said_so(void **state)
{
    struct fixture *f = *state;
    struct store_stat st;
    struct err err = { 0 };
    char buf[1];
    size_t n;

    assert_int_equal(f->s->ops->head(f->s, "none", &st, &err), -ENOENT);
    assert_int_equal(err.cls, ERR_STORAGE);
    assert_non_null(strstr(err.text, "/none: No such file"));
    assert_int_equal(f->s->ops->get_range(f->s, "none", NULL, 0, buf, 1, &n, NULL), -ENOENT);
    assert_int_equal(f->s->ops->del(f->s, "none", NULL), 0);
    assert_int_equal(f->s->ops->del(f->s, "none/below", NULL), 0);
    assert_int_equal(put(f, "file", "x"), 0);
    assert_int_equal(f->s->ops->head(f->s, "file/below", &st, NULL), -ENOENT);
}

static void folders_and_pipes_are_not_objects(void **state)
{
    struct fixture *f = *state;
    struct store_stat st;
    char path[PATH_MAX], buf[1];
    size_t n;

    assert_int_equal(put(f, "d/x", "x"), 0);
    assert_int_equal(f->s->ops->head(f->s, "d", &st, NULL), -EISDIR);
    assert_int_equal(f->s->ops->get_range(f->s, "d", NULL, 0, buf, 1, &n, NULL), -EISDIR);
    full_path(f, "pipe", path);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(f->s->ops->get_range(f->s, "pipe", NULL, 0, buf, 1, &n, NULL), -EINVAL);
}

static void hostile_keys_are_refused_everywhere(void **state)
{
    static const char *const keys[] = { "",          "/",    "/etc/passwd", "..",        "../x",
                                        "a/../../x", "a//b", "a/./b",       "a/",        ".",
                                        "./a",       "a/..", "\xff",        "a/\xc0\xaf" };
    struct fixture *f = *state;
    struct store_stat st;
    struct err err;
    char buf[1], lengthy[2000];
    size_t n;

    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        err = (struct err){ 0 };
        assert_int_equal(f->s->ops->head(f->s, keys[i], &st, &err), -EINVAL);
        assert_int_equal(err.cls, ERR_INPUT);
        assert_int_equal(f->s->ops->get_range(f->s, keys[i], NULL, 0, buf, 1, &n, NULL), -EINVAL);
        assert_int_equal(f->s->ops->put(f->s, keys[i], "x", 1, NULL, NULL), -EINVAL);
        assert_int_equal(f->s->ops->del(f->s, keys[i], NULL), -EINVAL);
    }
    memset(lengthy, 'a', sizeof(lengthy) - 1);
    lengthy[sizeof(lengthy) - 1] = '\0';
    assert_int_equal(store_key_check(lengthy, NULL), -EINVAL);
    lengthy[300] = '\0';
    assert_int_equal(store_key_check(lengthy, NULL), -EINVAL);
    lengthy[255] = '\0';
    assert_int_equal(store_key_check(lengthy, NULL), 0);
    assert_int_equal(store_key_check("...", NULL), 0);
    assert_int_equal(f->s->ops->list(f->s, "../", collect_keys, buf, NULL), -EINVAL);
}

static void a_listing_has_objects_only(void **state)
{
    struct fixture *f = *state;
    char keys[512] = "", path[PATH_MAX];

    assert_int_equal(put(f, "video/a/1", "x"), 0);
    assert_int_equal(put(f, "video/b/1", "x"), 0);
    assert_int_equal(put(f, "videos", "x"), 0);
    assert_int_equal(put(f, ".gopmill/jobs.db", "x"), 0);
    assert_int_equal(put(f, "video/a/.gopmill-tmp-1-2", "x"), 0);
    full_path(f, "video/a/loop", path);
    assert_int_equal(symlink("..", path), 0);

    assert_int_equal(f->s->ops->list(f->s, "video/a/", collect_keys, keys, NULL), 0);
    assert_string_equal(keys, "video/a/1 ");
    keys[0] = '\0';
    assert_int_equal(f->s->ops->list(f->s, "video/b", collect_keys, keys, NULL), 0);
    assert_string_equal(keys, "video/b/1 ");
    keys[0] = '\0';
    assert_int_equal(f->s->ops->list(f->s, "", collect_keys, keys, NULL), 0);
    assert_int_equal(strlen(keys), strlen("video/a/1 video/b/1 videos "));
    keys[0] = '\0';
    assert_int_equal(f->s->ops->list(f->s, "none/", collect_keys, keys, NULL), 0);
    assert_string_equal(keys, "");
}

static int stop_at_once(void *arg, const char *key, const struct store_stat *st)
{
    (void)key, (void)st;
    ++*(int *)arg;
    return 42;
}

static void a_listing_ends_when_told_to(void **state)
{
    struct fixture *f = *state;
    int calls = 0;

    assert_int_equal(put(f, "a", "x"), 0);
    assert_int_equal(put(f, "b", "x"), 0);
    assert_int_equal(f->s->ops->list(f->s, "", stop_at_once, &calls, NULL), 42);
    assert_int_equal(calls, 1);
}

static void a_failed_write_leaves_the_old_object_and_nothing_else(void **state)
{
    struct fixture *f = *state;
    struct rlimit was, tiny = { 4096, 4096 };
    static char big[65536];
    struct err err = { 0 };
    char keys[256] = "", buf[8];
    size_t n;

    assert_int_equal(put(f, "d/x", "old"), 0);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
    tiny.rlim_max = was.rlim_max;
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &tiny), 0);
    int r = f->s->ops->put(f->s, "d/x", big, sizeof(big), NULL, &err);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
    assert_int_equal(r, -EFBIG);
    assert_int_equal(err.cls, ERR_STORAGE);
    assert_int_equal(f->s->ops->get_range(f->s, "d/x", NULL, 0, buf, 8, &n, NULL), 0);
    assert_int_equal(n, 3);
    char path[PATH_MAX];
    full_path(f, "d/x", path);
    assert_int_equal(unlink(path), 0);
    full_path(f, "d", path);
    assert_int_equal(rmdir(path), 0); /* empty: no left-over */
    assert_int_equal(f->s->ops->list(f->s, "", collect_keys, keys, NULL), 0);
}

static void a_place_that_takes_no_files_is_named(void **state)
{
    struct fixture *f = *state;
    struct store *full;
    struct err err = { 0 };

    (void)f;
    if (access("/dev/full", W_OK) < 0 || store_file_open("/proc/self", 0, &full, NULL) < 0)
        skip();
    int r = full->ops->put(full, "x", "y", 1, NULL, &err);
    assert_true(r < 0);
    assert_int_equal(err.cls, ERR_STORAGE);
    assert_non_null(strstr(err.text, "can't write /proc/"));
    store_free(full);
}

static void left_overs_of_the_dead_are_swept_and_those_of_the_living_kept(void **state)
{
    struct fixture *f = *state;
    char dead[PATH_MAX], alive[PATH_MAX];

    assert_int_equal(put(f, "a/b/c/x", "x"), 0);
    full_path(f, "a/b/c/.gopmill-tmp-1-1", dead);
    full_path(f, ".gopmill-tmp-1-2", alive);
    int fd = open(dead, O_CREAT | O_WRONLY, 0600), fd2 = open(alive, O_CREAT | O_WRONLY, 0600);
    assert_true(fd >= 0 && fd2 >= 0);
    (void)close(fd);
    assert_int_equal(flock(fd2, LOCK_EX), 0);
    assert_int_equal(put(f, "kept", "x"), 0);
    assert_int_equal(f->s->ops->sweep(f->s, NULL), 0);
    assert_int_equal(access(dead, F_OK), -1);
    assert_int_equal(access(alive, F_OK), 0);
    (void)close(fd2);
    assert_int_equal(f->s->ops->sweep(f->s, NULL), 0);
    assert_int_equal(access(alive, F_OK), -1);
    assert_int_equal(f->s->ops->sync(f->s, NULL), 0);
    struct store_stat st;
    assert_int_equal(f->s->ops->head(f->s, "kept", &st, NULL), 0);
}

enum { WRITERS = 4, WRITES = 50, SIZE = 5000 };

static void *write_many(void *arg)
{
    struct fixture *f = arg;
    char buf[SIZE];

    memset(buf, 'a', sizeof(buf));
    for (int i = 0; i < WRITES; i++) {
        memset(buf, 'a' + i % 26, sizeof(buf));
        if (f->s->ops->put(f->s, "deep/er/same", buf, sizeof(buf), NULL, NULL) < 0)
            return arg;
    }
    return NULL;
}

static void writers_of_one_key_never_mix(void **state)
{
    struct fixture *f = *state;
    pthread_t t[WRITERS];
    char buf[SIZE + 1];
    void *failed;
    size_t n;

    for (int i = 0; i < WRITERS; i++)
        assert_int_equal(pthread_create(&t[i], NULL, write_many, f), 0);
    for (int i = 0; i < 200; i++) {
        int r = f->s->ops->get_range(f->s, "deep/er/same", NULL, 0, buf, sizeof(buf), &n, NULL);
        if (r == -ENOENT)
            continue;
        assert_int_equal(r, 0);
        assert_int_equal(n, SIZE);
        for (size_t k = 1; k < n; k++)
            assert_int_equal(buf[k], buf[0]);
    }
    for (int i = 0; i < WRITERS; i++) {
        assert_int_equal(pthread_join(t[i], &failed), 0);
        assert_null(failed);
    }
}

static void a_folder_that_cannot_be_is_refused(void **state)
{
    struct fixture *f = *state;
    struct store *s = (struct store *)1;
    struct err err = { 0 };
    char path[PATH_MAX];

    full_path(f, "none", path);
    assert_int_equal(store_file_open(path, 0, &s, &err), -ENOENT);
    assert_int_equal(err.cls, ERR_STORAGE);
    assert_int_equal(put(f, "file", "x"), 0);
    full_path(f, "file", path);
    assert_int_equal(store_file_open(path, 0, &s, NULL), -ENOTDIR);
    full_path(f, "file/below", path);
    assert_int_equal(store_file_open(path, 1, &s, NULL), -ENOTDIR);
    assert_ptr_equal(s, (struct store *)1);
}

static void urls_of_paths_open_again(void **state)
{
    struct fixture *f = *state;
    struct store *s;
    struct store_stat st;
    char path[PATH_MAX], *key;

    assert_int_equal(put(f, "a b%#?\xc3\xa9.mov", "xyz"), 0);
    full_path(f, "a b%#?\xc3\xa9.mov", path);
    char *url = store_file_url(path);
    assert_non_null(url);
    assert_null(strchr(url, ' '));
    assert_int_equal(store_open_object(NULL, url, &s, &key, NULL), 0);
    assert_string_equal(key, "a b%#?\xc3\xa9.mov");
    assert_int_equal(s->ops->head(s, key, &st, NULL), 0);
    assert_int_equal(st.size_bytes, 3);
    store_free(s);
    free(key);
    free(url);

    full_path(f, "not/yet/there", path);
    url = store_file_url(path);
    assert_non_null(url);
    assert_int_equal(store_open_prefix(NULL, url, 0, &s, NULL), -ENOENT);
    assert_int_equal(store_open_prefix(NULL, url, 1, &s, NULL), 0);
    store_free(s);
    free(url);
    full_path(f, "nowhere/../up", path);
    assert_null(store_file_url(path));
}

static void urls_that_are_no_file_are_refused(void **state)
{
    static const struct {
        const char *url;
        int want;
        enum err_class cls;
    } rows[] = {
        {"s3://bucket/x",       -ENOTSUP, ERR_UNSUPPORTED},
        { "/plain/path",        -ENOTSUP, ERR_UNSUPPORTED},
        { "file://host/x",      -EINVAL,  ERR_USAGE      },
        { "file:///a%zz",       -EINVAL,  ERR_USAGE      },
        { "file:///a%00b",      -EINVAL,  ERR_USAGE      },
        { "file:///a?b",        -EINVAL,  ERR_USAGE      },
        { "file:///tmp/",       -EINVAL,  ERR_INPUT      },
        { "file:///tmp/..",     -EINVAL,  ERR_INPUT      },
        { "file:///tmp/%2e%2e", -EINVAL,  ERR_INPUT      },
        { "",                   -ENOTSUP, ERR_UNSUPPORTED},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct store *s;
        struct err err = { 0 };
        char *key;
        assert_int_equal(store_open_object(NULL, rows[i].url, &s, &key, &err), rows[i].want);
        assert_int_equal(err.cls, rows[i].cls);
    }
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(what_was_put_is_read_back),
        T(a_source_replaced_meanwhile_is_noticed),
        T(many_ranges_are_read_at_once),
        T(only_the_first_makes_what_must_be_absent),
        T(what_is_not_there_is_said_so),
        T(folders_and_pipes_are_not_objects),
        T(hostile_keys_are_refused_everywhere),
        T(a_listing_has_objects_only),
        T(a_listing_ends_when_told_to),
        T(a_failed_write_leaves_the_old_object_and_nothing_else),
        T(a_place_that_takes_no_files_is_named),
        T(left_overs_of_the_dead_are_swept_and_those_of_the_living_kept),
        T(writers_of_one_key_never_mix),
        T(a_folder_that_cannot_be_is_refused),
        T(urls_of_paths_open_again),
        T(urls_that_are_no_file_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
