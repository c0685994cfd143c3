/* What a worker is made of: names that are remembered, the machine's limits,
 * the daemon's settings. */
#include <errno.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/err.h"
#include "common/queue/queue.h"
#include "common/wire/event.h"
#include "common/wire/task.h"
#include "worker/daemon/settings.h"
#include "worker/desk.h"
#include "worker/machine.h"
#include "worker/recent.h"

/* ---- recent ---- */

static void a_name_is_known_until_its_time_is_over(void **state)
{
    struct recent *r = recent_new(10, 100);

    (void)state;
    recent_put(r, "a", 1000);
    recent_put(r, "b", 1050);
    assert_true(recent_has(r, "a", 1100));
    assert_false(recent_has(r, "a", 1101));
    assert_true(recent_has(r, "b", 1101));
    recent_put(r, "a", 1200); /* refreshed */
    assert_true(recent_has(r, "a", 1300));
    recent_drop(r, "a");
    assert_false(recent_has(r, "a", 1200));
    recent_drop(r, "a");
    recent_free(r);
}

static void the_oldest_name_makes_room(void **state)
{
    struct recent *r = recent_new(3, 1000);
    char name[8];

    (void)state;
    for (int i = 0; i < 2000; i++) {
        (void)snprintf(name, sizeof(name), "n%d", i);
        recent_put(r, name, i / 1000);
        recent_put(r, "kept", i / 1000);
    }
    assert_true(recent_has(r, "kept", 2) && recent_has(r, "n1999", 2) && recent_has(r, "n1998", 2));
    assert_false(recent_has(r, "n1997", 2));
    recent_free(r);
}

static void names_are_dropped_by_what_they_start_with(void **state)
{
    struct recent *r = recent_new(10, 1000);

    (void)state;
    recent_put(r, "j\na", 0);
    recent_put(r, "j\nb", 0);
    recent_put(r, "jj\na", 0);
    recent_drop_all(r, "j\n");
    assert_false(recent_has(r, "j\na", 0) || recent_has(r, "j\nb", 0));
    assert_true(recent_has(r, "jj\na", 0));
    recent_free(r);
}

/* ---- machine ---- */

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *w)
{
    (void)st, (void)flag, (void)w;
    return remove(path);
}

static void put_file(const char *root, const char *path, const char *text)
{
    char full[512];

    (void)snprintf(full, sizeof(full), "%s%s", root, path);
    for (char *p = full + strlen(root) + 1; (p = strchr(p, '/')); p++) {
        *p = '\0';
        (void)mkdir(full, 0700);
        *p = '/';
    }
    FILE *f = fopen(full, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0 && fclose(f) == 0);
}

static void the_narrowest_limit_counts(void **state)
{
    enum { MIB = 1 << 20 };
    static const char meminfo[] =
        "MemTotal:        8192 kB\nMemFree: 1 kB\nMemAvailable: 4096 kB\n";
    static const struct {
        const char *group; /* /proc/self/cgroup */
        const char *files[5][2];
        uint64_t memory, available;
        double cpus; /* at most */
    } rows[] = {
        {"",                                 { { NULL } },                                 8 * MIB, 4 * MIB, 1e9},
        { "0::/\n",                          { { "/sys/fs/cgroup/memory.max", "max\n" } }, 8 * MIB, 4 * MIB, 1e9},
        { "0::/\n",
         { { "/sys/fs/cgroup/memory.max", "4194304\n" },
            { "/sys/fs/cgroup/memory.current", "3145728\n" },
            { "/sys/fs/cgroup/memory.stat", "anon 5\ninactive_file 1048576\n" },
            { "/sys/fs/cgroup/cpu.max", "50000 100000\n" } },
         4 * MIB,
         2 * MIB,
         0.5                                                                                                    },
        { "0::/a/b\n",                       /* a parent's limit */
          { { "/sys/fs/cgroup/a/memory.max", "1048576\n" },
            { "/sys/fs/cgroup/a/memory.current", "1048576\n" },
            { "/sys/fs/cgroup/a/b/memory.max", "2097152\n" },
            { "/sys/fs/cgroup/a/b/memory.current", "0\n" },
            { "/sys/fs/cgroup/a/cpu.max", "max 100000\n" } },
         1 * MIB,
         0,                                                                                                  1e9},
        { "5:cpuacct,cpu:/c\n4:memory:/m\n",
         { { "/sys/fs/cgroup/memory/m/memory.limit_in_bytes", "2097152\n" },
            { "/sys/fs/cgroup/memory/m/memory.usage_in_bytes", "1048576\n" },
            { "/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n" },
            { "/sys/fs/cgroup/cpu/c/cpu.cfs_quota_us", "25000\n" },
            { "/sys/fs/cgroup/cpu/c/cpu.cfs_period_us", "100000\n" } },
         2 * MIB,
         1 * MIB,
         0.25                                                                                                   },
        { "5:cpu:/c\n",
         { { "/sys/fs/cgroup/cpu/c/cpu.cfs_quota_us", "-1\n" },
            { "/sys/fs/cgroup/cpu/c/cpu.cfs_period_us", "100000\n" } },
         8 * MIB,
         4 * MIB,
         1e9                                                                                                    },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        char root[] = "/tmp/gopmill-test-machine-XXXXXX";
        struct machine m, none;
        assert_non_null(mkdtemp(root));
        put_file(root, "/proc/meminfo", meminfo);
        machine_look(root, &none);
        put_file(root, "/proc/self/cgroup", rows[i].group);
        for (size_t k = 0; k < 5 && rows[i].files[k][0]; k++)
            put_file(root, rows[i].files[k][0], rows[i].files[k][1]);
        machine_look(root, &m);
        if (m.memory_bytes != rows[i].memory || m.memory_free != rows[i].available)
            fail_msg("row %zu: %llu of %llu bytes", i, (unsigned long long)m.memory_free,
                     (unsigned long long)m.memory_bytes);
        double want = rows[i].cpus < none.cpus ? rows[i].cpus : none.cpus;
        assert_true(m.cpus > want - 0.001 && m.cpus < want + 0.001);
        (void)nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    }
}

/* ---- a machine that is short ---- */

static void a_short_machine_takes_nothing_and_hands_back(void **state)
{
    struct queue *q = queue_memory_new();
    const struct desk_config cfg = { .id = "w", .slots = 2, .events = 1, .queue = q };
    struct desk *d = desk_new(&cfg);
    const struct machine m = { 1000, 10, 1 };
    const struct task t = { .job = (char *)"j", .id = (char *)"v-0000-0", .attempt = 1 };
    struct heartbeat h;
    struct err why = { 0 };

    (void)state;
    assert_int_equal(desk_may_lease(d, 0), 0);
    desk_put_machine(d, &m, "disk is short");
    assert_true(desk_news(d));
    assert_int_equal(desk_may_lease(d, 0), -EAGAIN);
    assert_int_equal(desk_admit(d, 1, &t, 1, &why), DESK_ANSWER); /* delivered before */
    assert_int_equal(why.cls, ERR_CANCELED);
    assert_non_null(strstr(why.text, "disk is short"));
    assert_int_equal(desk_in_hand(d), 1);
    desk_settled(d, 1);
    assert_int_equal(desk_in_hand(d), 0);
    assert_int_equal(desk_heartbeat(d, &h), 0);
    assert_string_equal(h.reason, "disk is short");
    assert_true(h.state == WORKER_ACTIVE && h.memory_free == 10);
    heartbeat_release(&h);
    desk_put_machine(d, &m, "");
    assert_int_equal(desk_may_lease(d, 0), 0);
    assert_int_equal(desk_admit(d, 1, &t, 1, &why), DESK_RUN);
    desk_raise(d, DESK_DRAINING);
    assert_int_equal(desk_may_lease(d, 0), -ESHUTDOWN);
    desk_raise(d, DESK_OPEN); /* never again */
    assert_true(desk_closed(d) && desk_in_hand(d) == 1);
    desk_free(d);
    queue_free(q);
}

/* Nobody waits until the broker takes the message back. */
static void what_another_worker_runs_is_left_to_it_in_the_end(void **state)
{
    struct queue *q = queue_memory_new();
    const struct desk_config cfg = {
        .id = "w", .slots = 1, .events = 1, .hold_ms = 50, .queue = q
    };
    struct desk *d = desk_new(&cfg);
    const struct task t = { .job = (char *)"j", .id = (char *)"v-0000-0", .attempt = 1 };
    const struct task nobodys = { .job = (char *)"j", .id = (char *)"v-0001-0", .attempt = 1 };
    struct running_task other = { .job = (char *)"j", .task = (char *)"v-0000-0", .attempt = 1 };
    const struct heartbeat h = { .worker = (char *)"other", .running = &other, .n_running = 1 };
    struct err why = { 0 };

    (void)state;
    desk_hear_worker(d, &h);
    assert_int_equal(desk_admit(d, 0, &t, 2, &why), DESK_ACK);
    desk_settled(d, 0);
    assert_int_equal(desk_admit(d, 0, &nobodys, 2, &why), DESK_RUN);
    desk_free(d);
    queue_free(q);
}

/* ---- settings ---- */

static const struct machine big = { UINT64_C(10) << 30, UINT64_C(8) << 30, 4 };

enum { ARGS_MAX = 8 };

/* As main() would be given them: writable. */
static int read_args(const char *const *args, const struct machine *m, struct settings *ret,
                     char **ret_argv, enum settings_what *what, struct err *err)
{
    int n = 0;

    ret_argv[n++] = strdup("gopmill-worker");
    for (; args[n - 1]; n++)
        ret_argv[n] = strdup(args[n - 1]);
    ret_argv[n] = NULL;
    return settings_read(n, ret_argv, m, ret, what, err);
}

static void free_args(char **argv)
{
    for (; *argv; argv++)
        free(*argv);
}

static void settings_come_from_arguments_and_the_machine(void **state)
{
    static const char *const none[] = { NULL };
    static const char *const all[] = { "--slots=3", "--memory",     "2G", "--id=w-1",
                                       "--nice=0",  "--cache=5MiB", NULL };
    char *argv[ARGS_MAX + 2];
    enum settings_what what;
    struct settings s;
    struct err err = { 0 };

    (void)state;
    assert_int_equal(setenv("GOPMILL_BROKER", "amqp://u:p@h/", 1), 0);
    if (read_args(none, &big, &s, argv, &what, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(what, SETTINGS_RUN);
    assert_int_equal(s.slots, 4);
    assert_true(s.memory_bytes == UINT64_C(8) << 30 && s.nice == 10 && s.drain_s == 60);
    assert_true(s.cache_bytes == 64 << 20 && s.log_format == LOG_FORMAT_JSON && s.id[0]);
    settings_release(&s);
    free_args(argv);

    if (read_args(all, &big, &s, argv, &what, &err) < 0)
        fail_msg("%s", err.text);
    assert_true(s.slots == 3 && s.memory_bytes == UINT64_C(2) << 30 && s.nice == 0);
    assert_true(s.cache_bytes == 5 << 20);
    assert_string_equal(s.id, "w-1");
    settings_release(&s);
    free_args(argv);

    const struct machine poor = { UINT64_C(3) << 30, UINT64_C(2) << 30, 4 };
    assert_int_equal(read_args(none, &poor, &s, argv, &what, &err), 0);
    assert_int_equal(s.slots, 2); /* one a GiB */
    settings_release(&s);
    free_args(argv);
    const struct machine tiny = { 100, 50, 0.5 };
    assert_int_equal(read_args(none, &tiny, &s, argv, &what, &err), 0);
    assert_int_equal(s.slots, 1);
    settings_release(&s);
    free_args(argv);
}

static void wrong_arguments_are_told_with_their_limits(void **state)
{
    static const struct {
        const char *args[3], *says;
    } rows[] = {
        {{ "--slots=0" },                   "from 1 to"    },
        { { "--slots", "x" },               "--slots x"    },
        { { "--slots" },                    "needs a value"},
        { { "--memory=12Q" },               "K, M, G or T" },
        { { "--memory=99999999T" },         "K, M, G or T" },
        { { "--memory=-1" },                "K, M, G or T" },
        { { "--nice=20" },                  "0 to 19"      },
        { { "--id=a b" },                   "letters"      },
        { { "--id=" },                      "letters"      },
        { { "--log-level=loud" },           "debug, info"  },
        { { "--what" },                     "unknown"      },
        { { "file" },                       "no arguments" },
        { { "--broker-file=/nonexistent" }, "can't be read"},
    };

    (void)state;
    assert_int_equal(setenv("GOPMILL_BROKER", "amqp://u:p@h/", 1), 0);
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        const char *const args[] = { rows[i].args[0], rows[i].args[1], NULL };
        char *argv[ARGS_MAX];
        enum settings_what what;
        struct settings s;
        struct err err = { 0 };
        assert_int_equal(read_args(args, &big, &s, argv, &what, &err), -EINVAL);
        assert_int_equal(err.cls, ERR_USAGE);
        if (!strstr(err.text, rows[i].says))
            fail_msg("row %zu: %s", i, err.text);
        free_args(argv);
    }
}

static void a_broker_is_needed_and_its_password_is_hidden(void **state)
{
    static const char *const none[] = { NULL };
    static const char *const given[] = { "--broker", "amqp://user:pa@ss@host/v", NULL };
    static const char *const joined[] = { "--broker=amqps://user:pass@host/v", NULL };
    char *argv[ARGS_MAX];
    enum settings_what what;
    struct settings s;
    struct err err = { 0 };

    (void)state;
    assert_int_equal(unsetenv("GOPMILL_BROKER"), 0);
    assert_int_equal(read_args(none, &big, &s, argv, &what, &err), -EINVAL);
    assert_non_null(strstr(err.text, "GOPMILL_BROKER"));
    free_args(argv);
    assert_int_equal(read_args(given, &big, &s, argv, &what, &err), 0);
    assert_string_equal(s.broker, "amqp://user:pa@ss@host/v");
    assert_string_equal(argv[2], "amqp://xxxxxxxxxx@host/v");
    settings_release(&s);
    free_args(argv);
    assert_int_equal(read_args(joined, &big, &s, argv, &what, &err), 0);
    assert_string_equal(s.broker, "amqps://user:pass@host/v");
    assert_null(strstr(argv[1], "pass"));
    settings_release(&s);
    free_args(argv);
}

static void help_needs_no_broker_and_names_every_default(void **state)
{
    static const char *const args[] = { "--slots=9", "--help", NULL };
    char *argv[ARGS_MAX];
    enum settings_what what;
    struct settings s;

    (void)state;
    assert_int_equal(unsetenv("GOPMILL_BROKER"), 0);
    assert_int_equal(read_args(args, &big, &s, argv, &what, NULL), 0);
    assert_int_equal(what, SETTINGS_HELP);
    settings_release(&s);
    free_args(argv);
    char *text = settings_help(&big);
    assert_non_null(strstr(text, "here 4"));
    assert_non_null(strstr(text, "here 8192M"));
    assert_non_null(strstr(text, "--drain-seconds"));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_is_known_until_its_time_is_over),
        cmocka_unit_test(the_oldest_name_makes_room),
        cmocka_unit_test(names_are_dropped_by_what_they_start_with),
        cmocka_unit_test(the_narrowest_limit_counts),
        cmocka_unit_test(a_short_machine_takes_nothing_and_hands_back),
        cmocka_unit_test(what_another_worker_runs_is_left_to_it_in_the_end),
        cmocka_unit_test(settings_come_from_arguments_and_the_machine),
        cmocka_unit_test(wrong_arguments_are_told_with_their_limits),
        cmocka_unit_test(a_broker_is_needed_and_its_password_is_hidden),
        cmocka_unit_test(help_needs_no_broker_and_names_every_default),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
