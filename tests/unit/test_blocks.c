/* The block cache gives the source's bytes, fetches each block once, and
 * notices a source that changes. */
#include <errno.h>
#include <ftw.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/err.h"
#include "common/base/range.h"
#include "common/store/blocks.h"
#include "common/store/store.h"

enum { SIZE = 5 * BLOCK_SIZE + 1234 };

struct fixture {
    char dir[64], path[128];
    char *url;
    struct blocks *blocks;
};

static unsigned char byte_at(uint64_t off)
{
    return (unsigned char)((off * 2654435761u) >> 16);
}

static int write_source(const char *path, unsigned char flip)
{
    FILE *f = fopen(path, "wb");
    if (!f)
        return -1;
    for (uint64_t i = 0; i < SIZE; i++)
        (void)fputc(byte_at(i) ^ flip, f);
    return fclose(f);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    strcpy(f->dir, "/tmp/gopmill-test-blocks-XXXXXX");
    if (!mkdtemp(f->dir))
        return -1;
    (void)snprintf(f->path, sizeof(f->path), "%s/in.mov", f->dir);
    f->url = store_file_url(f->path);
    *state = f;
    return !f->url || write_source(f->path, 0) < 0 ||
                   blocks_new(NULL, (size_t)2 * BLOCK_SIZE, &f->blocks, NULL) < 0
               ? -1
               : 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    blocks_free(f->blocks);
    (void)unlink(f->path);
    (void)rmdir(f->dir);
    free(f->url);
    free(f);
    return 0;
}

static struct block_reader *open_reader(struct fixture *f)
{
    struct block_reader *r;
    assert_int_equal(block_reader_open(f->blocks, f->url, NULL, &r, NULL), 0);
    return r;
}

static void any_range_is_the_sources_bytes(void **state)
{
    static const struct {
        uint64_t off;
        size_t len, want;
    } rows[] = {
        {0,               10,             10               },
        { BLOCK_SIZE - 3, 7,              7                },
        { 0,              SIZE,           SIZE             },
        { 4 * BLOCK_SIZE, 3 * BLOCK_SIZE, BLOCK_SIZE + 1234},
        { SIZE - 1,       100,            1                },
        { SIZE,           100,            0                },
        { UINT64_MAX,     100,            0                },
        { 17,             0,              0                },
        { BLOCK_SIZE,     BLOCK_SIZE,     BLOCK_SIZE       },
    };
    struct block_reader *r = open_reader(*state);
    unsigned char *buf = malloc(SIZE);

    assert_int_equal(block_reader_size(r), SIZE);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        size_t n = 0;
        assert_int_equal(block_reader_read(r, rows[i].off, buf, rows[i].len, &n, NULL), 0);
        assert_int_equal(n, rows[i].want);
        for (size_t k = 0; k < n; k++)
            if (buf[k] != byte_at(rows[i].off + k))
                fail_msg("row %zu: byte %zu differs", i, k);
    }
    free(buf);
    block_reader_close(r);
}

static void missing_and_replaced_sources_are_the_inputs_fault(void **state)
{
    struct fixture *f = *state;
    struct block_reader *r = open_reader(f), *other;
    struct err err = { 0 };
    unsigned char buf[4];
    size_t n;

    assert_int_equal(block_reader_open(f->blocks, f->url, "other", &other, &err), -ESTALE);
    assert_int_equal(err.cls, ERR_INPUT);
    assert_int_equal(block_reader_read(r, 0, buf, 4, &n, NULL), 0);
    (void)unlink(f->path);
    assert_int_equal(write_source(f->path, 1), 0);
    assert_int_equal(block_reader_read(r, 4 * BLOCK_SIZE, buf, 4, &n, &err), -ESTALE);
    assert_int_equal(err.cls, ERR_INPUT);
    (void)unlink(f->path);
    assert_int_equal(block_reader_read(r, 3 * BLOCK_SIZE, buf, 4, &n, &err), -ENOENT);
    assert_int_equal(err.cls, ERR_INPUT);
    err.cls = ERR_NONE;
    assert_int_equal(block_reader_open(f->blocks, f->url, NULL, &other, &err), -ENOENT);
    assert_int_equal(err.cls, ERR_INPUT);
    block_reader_close(r);
}

static void two_versions_of_a_source_are_not_mixed(void **state)
{
    struct fixture *f = *state;
    struct block_reader *old, *new;
    unsigned char buf[4];
    size_t n;

    blocks_free(f->blocks); /* for one that has room for both */
    assert_int_equal(blocks_new(NULL, 0, &f->blocks, NULL), 0);
    old = open_reader(f);
    assert_int_equal(block_reader_read(old, 0, buf, 4, &n, NULL), 0);
    (void)unlink(f->path);
    assert_int_equal(write_source(f->path, 0x55), 0);
    new = open_reader(f);
    assert_int_equal(block_reader_read(new, 0, buf, 4, &n, NULL), 0);
    assert_int_equal(buf[3], byte_at(3) ^ 0x55);
    assert_int_equal(block_reader_read(old, 0, buf, 4, &n, NULL), 0); /* still cached */
    assert_int_equal(buf[3], byte_at(3));
    block_reader_close(old);
    block_reader_close(new);
}

static void *read_all(void *arg)
{
    struct fixture *f = arg;
    struct block_reader *r;
    unsigned char buf[70000];
    void *bad = NULL;
    size_t n;

    if (block_reader_open(f->blocks, f->url, NULL, &r, NULL) < 0)
        return arg;
    for (uint64_t off = 0; off < SIZE && !bad; off += n) {
        if (block_reader_read(r, off, buf, sizeof(buf), &n, NULL) < 0 || n == 0) {
            bad = arg;
            break;
        }
        for (size_t i = 0; i < n; i += 997)
            if (buf[i] != byte_at(off + i))
                bad = arg;
    }
    block_reader_close(r);
    return bad;
}

static void many_slots_share_a_small_cache(void **state)
{
    pthread_t t[6];
    void *bad;

    for (int i = 0; i < 6; i++)
        assert_int_equal(pthread_create(&t[i], NULL, read_all, *state), 0);
    for (int i = 0; i < 6; i++) {
        assert_int_equal(pthread_join(t[i], &bad), 0);
        assert_null(bad);
    }
}

static void a_cache_may_go_while_it_reads_ahead(void **state)
{
    struct fixture *f = *state;
    unsigned char buf[1];
    size_t n;

    for (int i = 0; i < 20; i++) {
        struct blocks *b;
        struct block_reader *r;
        assert_int_equal(blocks_new(NULL, 0, &b, NULL), 0);
        assert_int_equal(block_reader_open(b, f->url, NULL, &r, NULL), 0);
        assert_int_equal(block_reader_read(r, 0, buf, 1, &n, NULL), 0);
        block_reader_close(r);
        blocks_free(b);
    }
}

/* ---- a source over a network: its first blocks come at once, the others
 * when the test says so ---- */

enum { AT_ONCE = 3 };
static atomic_uint gets_at_once, heads;
static atomic_ullong bytes_got;
static sem_t get_go_on;

static int far_head(struct store *s, const char *key, struct store_stat *ret, struct err *err)
{
    (void)s, (void)key, (void)err;
    atomic_fetch_add(&heads, 1);
    *ret = (struct store_stat){ .size_bytes = SIZE, .etag = "e1" };
    return 0;
}

static int far_get(struct store *s, const char *key, const char *etag, uint64_t off, void *buf,
                   size_t len, size_t *ret_n, struct err *err)
{
    (void)s, (void)key, (void)err;
    assert_string_equal(etag, "e1");
    if (off >= (uint64_t)AT_ONCE * BLOCK_SIZE) {
        atomic_fetch_add(&gets_at_once, 1);
        (void)sem_wait(&get_go_on);
        atomic_fetch_sub(&gets_at_once, 1);
    }
    for (size_t i = 0; i < len; i++)
        ((unsigned char *)buf)[i] = byte_at(off + i);
    *ret_n = len;
    atomic_fetch_add(&bytes_got, len);
    return 0;
}

static void far_free(struct store *s)
{
    free(s);
}

static const struct store_ops far_ops = {
    .name = "far", .head = far_head, .get_range = far_get, .free = far_free
};

static int far_open(struct store_env *e, const char *url, struct store **ret, char **ret_key,
                    struct err *err)
{
    (void)e, (void)url, (void)err;
    *ret = calloc(1, sizeof(**ret));
    assert_non_null(*ret);
    (*ret)->ops = &far_ops;
    *ret_key = strdup("key");
    return 0;
}

static void blocks_over_a_network_are_fetched_ahead_in_parallel(void **state)
{
    struct store_env env = { .open_object = far_open };
    struct block_reader *r, *again;
    struct blocks *b;
    unsigned char c;
    size_t n;

    (void)state;
    atomic_store(&heads, 0);
    assert_int_equal(sem_init(&get_go_on, 0, 0), 0);
    assert_int_equal(blocks_new(&env, 0, &b, NULL), 0);
    assert_int_equal(block_reader_open(b, "s3://bucket/key", "e1", &r, NULL), 0);
    for (uint64_t i = 1; i <= AT_ONCE; i++) { /* as many ahead as were read */
        assert_int_equal(block_reader_read(r, i * BLOCK_SIZE - 1, &c, 1, &n, NULL), 0);
        assert_int_equal(c, byte_at(i * BLOCK_SIZE - 1));
    }
    while (atomic_load(&gets_at_once) < 3)
        (void)sched_yield();
    assert_int_equal(block_reader_open(b, "s3://bucket/key", "e1", &again, NULL), 0);
    assert_int_equal(atomic_load(&heads), 1); /* known by its etag */
    for (int i = 0; i < 10; i++)
        (void)sem_post(&get_go_on);
    for (uint64_t off = 0; off < SIZE; off += 99991) {
        assert_int_equal(block_reader_read(again, off, &c, 1, &n, NULL), 0);
        assert_int_equal(c, byte_at(off));
    }
    block_reader_close(r);
    block_reader_close(again);
    blocks_free(b);
}

static struct block_reader *far_reader(struct store_env *env, struct blocks **ret)
{
    struct block_reader *r;

    env->open_object = far_open;
    atomic_store(&bytes_got, 0);
    assert_int_equal(blocks_new(env, 0, ret, NULL), 0);
    assert_int_equal(block_reader_open(*ret, "s3://bucket/key", "", &r, NULL), 0);
    assert_string_equal(block_reader_etag(r), "e1");
    return r;
}

static void expect_bytes(int (*read)(struct block_reader *, uint64_t, void *, size_t, size_t *,
                                     struct err *),
                         struct block_reader *r, uint64_t off)
{
    unsigned char c[16];
    size_t n;

    assert_int_equal(read(r, off, c, sizeof(c), &n, NULL), 0);
    assert_int_equal(n, sizeof(c));
    for (size_t i = 0; i < n; i++)
        assert_int_equal(c[i], byte_at(off + i));
}

static void a_look_far_away_fetches_only_what_it_looks_at(void **state)
{
    struct store_env env = { 0 };
    struct blocks *b;
    struct block_reader *r = far_reader(&env, &b);

    (void)state;
    assert_int_equal(sem_init(&get_go_on, 0, 100), 0);
    expect_bytes(block_reader_peek, r, 0);
    expect_bytes(block_reader_peek, r, UINT64_C(2) * BLOCK_SIZE - 3);
    expect_bytes(block_reader_peek, r, UINT64_C(4) * BLOCK_SIZE + 100);
    assert_int_equal(atomic_load(&bytes_got), 3 * 16);
    block_reader_close(r);
    blocks_free(b);
}

static void a_look_near_what_was_read_is_reading_on(void **state)
{
    struct store_env env = { 0 };
    struct blocks *b;
    struct block_reader *r = far_reader(&env, &b);

    (void)state;
    assert_int_equal(sem_init(&get_go_on, 0, 100), 0);
    expect_bytes(block_reader_read, r, 0);
    for (uint64_t off = 20; off < SIZE - 16; off += 300000)
        expect_bytes(block_reader_peek, r, off);
    /* Whole blocks; the last one is fetched ahead, or not yet. */
    assert_in_range(atomic_load(&bytes_got), 5 * BLOCK_SIZE, SIZE);
    block_reader_close(r);
    blocks_free(b);
}

static void many_small_ranges_go_past_the_cache(void **state)
{
    struct store_env env = { 0 };
    struct blocks *b;
    struct block_reader *r = far_reader(&env, &b);
    unsigned char buf[3][16];
    struct read_range v[3];

    (void)state;
    assert_int_equal(sem_init(&get_go_on, 0, 100), 0);
    for (size_t i = 0; i < 3; i++)
        v[i] = (struct read_range){ .off = (2 - i) * BLOCK_SIZE, .len = 16, .buf = buf[i] };
    assert_int_equal(block_reader_read_many(r, v, 3, NULL), 0);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(buf[i][0], byte_at(v[i].off));
    assert_int_equal(atomic_load(&bytes_got), 3 * 16);
    block_reader_close(r);
    blocks_free(b);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(any_range_is_the_sources_bytes),
        T(missing_and_replaced_sources_are_the_inputs_fault),
        T(two_versions_of_a_source_are_not_mixed),
        T(many_slots_share_a_small_cache),
        T(a_cache_may_go_while_it_reads_ahead),
        T(blocks_over_a_network_are_fetched_ahead_in_parallel),
        T(a_look_far_away_fetches_only_what_it_looks_at),
        T(a_look_near_what_was_read_is_reading_on),
        T(many_small_ranges_go_past_the_cache),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
