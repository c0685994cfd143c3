/* Everything that starts a child fails once: what it takes is an answer in time, and the
 * next child. Linked with --wrap of what is failed here; forkless-child is a
 * scripted-child that can't fork. */
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/err.h"
#include "common/child/child.h"
#include "common/child/nest.h"
#include "common/child/nursery.h"

enum { HANG_S = 60 }; /* a child that waits for ever ends the test by a signal */

/* ---- what fails ---- */

enum start { SOCKETPAIR, PIPE, SPAWN, PIDFD, THREAD, START_MAX };
static const char *const start_names[START_MAX] = { "socketpair", "pipe2", "posix_spawn",
                                                    "pidfd_open", "pthread_create" };

static atomic_int failing; /* enum start, or START_MAX */
static atomic_int countdown, failed;
static atomic_int blocking; /* a spawn waits until it may go on */
static sem_t go_on;

static int fails(enum start s)
{
    if (atomic_load(&failing) != (int)s || atomic_fetch_sub(&countdown, 1) != 1)
        return 0;
    atomic_store(&failed, 1);
    return 1;
}

/* NOLINTBEGIN(bugprone-reserved-identifier): the linker's names */
int __real_socketpair(int domain, int type, int protocol, int v[2]);
int __wrap_socketpair(int domain, int type, int protocol, int v[2]);
int __real_pipe2(int v[2], int flags);
int __wrap_pipe2(int v[2], int flags);
int __real_pidfd_open(pid_t pid, unsigned flags);
int __wrap_pidfd_open(pid_t pid, unsigned flags);
int __real_posix_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *fa,
                       const posix_spawnattr_t *attr, char *const argv[], char *const env[]);
int __wrap_posix_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *fa,
                       const posix_spawnattr_t *attr, char *const argv[], char *const env[]);
int __real_pthread_create(pthread_t *t, const pthread_attr_t *attr, void *(*fn)(void *), void *arg);
int __wrap_pthread_create(pthread_t *t, const pthread_attr_t *attr, void *(*fn)(void *), void *arg);

static int no_more(int e)
{
    errno = e;
    return -1;
}

int __wrap_socketpair(int domain, int type, int protocol, int v[2])
{
    return fails(SOCKETPAIR) ? no_more(EMFILE) : __real_socketpair(domain, type, protocol, v);
}

int __wrap_pipe2(int v[2], int flags)
{
    return fails(PIPE) ? no_more(EMFILE) : __real_pipe2(v, flags);
}

int __wrap_pidfd_open(pid_t pid, unsigned flags)
{
    return fails(PIDFD) ? no_more(EMFILE) : __real_pidfd_open(pid, flags);
}

int __wrap_posix_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *fa,
                       const posix_spawnattr_t *attr, char *const argv[], char *const env[])
{
    if (atomic_load(&blocking))
        (void)sem_wait(&go_on);
    return fails(SPAWN) ? EAGAIN : __real_posix_spawn(pid, path, fa, attr, argv, env);
}

int __wrap_pthread_create(pthread_t *t, const pthread_attr_t *attr, void *(*fn)(void *), void *arg)
{
    return fails(THREAD) ? EAGAIN : __real_pthread_create(t, attr, fn, arg);
}
/* NOLINTEND(bugprone-reserved-identifier) */

/* ---- help ---- */

static void choose_child(const char *name)
{
    char path[4096];
    ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 32);

    assert_true(n > 0);
    path[n] = '\0';
    (void)strcpy(strrchr(path, '/') + 1, name);
    assert_int_equal(setenv("GOPMILL_CHILD", path, 1), 0);
}

static int refuse_read(void *arg, uint64_t off, void *buf, size_t len, size_t *ret_n,
                       struct err *err)
{
    (void)arg, (void)off, (void)buf, (void)len;
    *ret_n = 0;
    return err_set(err, -EIO, ERR_STORAGE, "nothing is read here");
}

static void must_answer(struct child *c)
{
    const struct child_handler h = { .read = refuse_read };
    const struct child_limits limits = { .stall_ms = 30000 };
    struct child_usage usage;
    struct err err = { 0 };
    char *result = NULL;

    if (child_run(c, "encode", "answer", 0, &h, &limits, &result, &usage, &err) < 0)
        fail_msg("%s", err.text);
    free(result);
    child_free(c);
}

static void assert_no_children(void)
{
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
}

static int set_up(void **state)
{
    (void)state;
    atomic_store(&failing, START_MAX);
    atomic_store(&blocking, 0);
    choose_child("scripted-child");
    (void)alarm(HANG_S);
    return 0;
}

/* ---- tests ---- */

/* The n-th call of that kind fails. 0: it was never made. */
static int start_with_failure(enum start s, int n)
{
    struct nursery *nursery = NULL;
    struct child *c = NULL;
    struct err err = { 0 };

    atomic_store(&failed, 0);
    atomic_store(&countdown, n);
    atomic_store(&failing, s);
    int r = nursery_new(&nursery, &err);
    for (int i = 0; i < 2 && r == 0; i++) {
        c = NULL;
        r = nursery_take(nursery, 0, &c, &err);
        if (r == 0)
            must_answer(c);
    }
    atomic_store(&failing, START_MAX);
    if (r < 0) {
        assert_int_equal(err.cls, ERR_RESOURCE);
        assert_true(err.text[0] != '\0');
    }
    if (nursery) { /* whatever failed, the next one is had */
        assert_int_equal(nursery_take(nursery, 0, &c, NULL), 0);
        must_answer(c);
        assert_int_equal(nursery_healthy(nursery, NULL, 0), 1);
    }
    nursery_free(nursery);
    assert_no_children();
    return atomic_load(&failed);
}

static void each_start_that_fails_once_is_told_or_made_up_for(void **state)
{
    (void)state;
    for (int s = 0; s < START_MAX; s++) {
        int n = 1;
        while (start_with_failure((enum start)s, n))
            n++;
        if (n == 1)
            fail_msg("%s is never called", start_names[s]);
    }
}

static void a_nest_that_can_not_fork_is_made_up_for(void **state)
{
    struct nursery *n;
    struct child *c = NULL;

    (void)state;
    choose_child("forkless-child");
    assert_int_equal(nursery_new(&n, NULL), 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(nursery_take(n, 0, &c, NULL), 0);
        must_answer(c);
    }
    nursery_free(n);
    assert_no_children();
}

static void a_failed_fork_with_nothing_else_to_start_is_an_error(void **state)
{
    struct nest *n = nest_new();
    struct child *c = NULL;
    struct err err = { 0 };

    (void)state;
    choose_child("forkless-child");
    nest_warm(n);
    atomic_store(&countdown, 1);
    atomic_store(&failing, SPAWN); /* of the child without a nest */
    assert_true(nest_child(n, 0, &c, &err) < 0);
    assert_int_equal(err.cls, ERR_RESOURCE);
    nest_free(n);
    assert_no_children();
}

static void who_waits_for_a_stuck_start_is_let_go(void **state)
{
    struct nursery *n;
    struct child *c = NULL;
    struct err err = { 0 };
    char why[200] = "";

    (void)state;
    assert_int_equal(sem_init(&go_on, 0, 0), 0);
    atomic_store(&blocking, 1);
    assert_int_equal(nursery_new(&n, NULL), 0);
    nursery_set_patience(n, 50);
    for (int i = 0; i < 2; i++) { /* one that waits for its turn, one after it */
        assert_int_equal(nursery_take(n, 0, &c, &err), -ETIMEDOUT);
        assert_int_equal(err.cls, ERR_RESOURCE);
    }
    nursery_set_patience(n, 30000);
    atomic_store(&blocking, 0);
    (void)sem_post(&go_on);
    assert_int_equal(nursery_take(n, 0, &c, &err), 0);
    must_answer(c);
    assert_int_equal(nursery_healthy(n, why, sizeof(why)), 1);
    nursery_free(n);
    assert_no_children();
}

static void *take(void *arg)
{
    struct child *c = NULL;

    return nursery_take(arg, 0, &c, NULL) == 0 ? c : NULL;
}

static void a_stuck_start_is_seen_from_outside(void **state)
{
    struct nursery *n;
    pthread_t t;
    void *c = NULL;
    char why[200] = "";

    (void)state;
    assert_int_equal(sem_init(&go_on, 0, 0), 0);
    atomic_store(&blocking, 1);
    assert_int_equal(nursery_new(&n, NULL), 0);
    assert_int_equal(nursery_healthy(n, why, sizeof(why)), 1);
    assert_int_equal(pthread_create(&t, NULL, take, n), 0);
    nursery_set_patience(n, 30); /* what is waited for already has its own limit */
    while (nursery_healthy(n, why, sizeof(why)))
        (void)usleep(1000);
    assert_non_null(strstr(why, "already to start"));
    atomic_store(&blocking, 0);
    (void)sem_post(&go_on);
    assert_int_equal(pthread_join(t, &c), 0);
    if (c)
        must_answer(c);
    nursery_free(n);
    assert_no_children();
}

static void a_start_that_failed_is_seen_from_outside(void **state)
{
    struct nursery *n;
    struct child *c = NULL;
    char why[300] = "";

    (void)state;
    assert_int_equal(setenv("GOPMILL_CHILD", "/dev", 1), 0);
    assert_int_equal(nursery_new(&n, NULL), 0);
    assert_true(nursery_take(n, 0, &c, NULL) < 0);
    assert_int_equal(nursery_healthy(n, why, sizeof(why)), 0);
    assert_non_null(strstr(why, "/dev"));
    choose_child("scripted-child");
    assert_int_equal(nursery_take(n, 0, &c, NULL), 0);
    must_answer(c);
    assert_int_equal(nursery_healthy(n, why, sizeof(why)), 1);
    nursery_free(n);
    assert_no_children();
}

#define T(f) cmocka_unit_test_setup(f, set_up)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(each_start_that_fails_once_is_told_or_made_up_for),
        T(a_nest_that_can_not_fork_is_made_up_for),
        T(a_failed_fork_with_nothing_else_to_start_is_an_error),
        T(who_waits_for_a_stuck_start_is_let_go),
        T(a_stuck_start_is_seen_from_outside),
        T(a_start_that_failed_is_seen_from_outside),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
