/* child_run() against children that answer, die, hang and lie
 * (scripted_child.c): each ends with the right class of error, and nothing
 * of it is left behind. */
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/err.h"
#include "common/base/range.h"
#include "common/child/child.h"
#include "common/child/nest.h"
#include "common/child/nursery.h"

static const char source[] = "0123456789";

/* What the parent's callbacks saw, and what they are to say. */
struct parent {
    int read_fails, object_fails;
    unsigned n_objects;
    char names[128], bytes[32];
    uint64_t progress;
    struct child *kill_on_progress;
};

static int on_read(void *arg, uint64_t off, void *buf, size_t len, size_t *ret_n, struct err *err)
{
    const struct parent *p = arg;
    size_t size = sizeof(source) - 1, n = off < size ? size - off : 0;

    if (p->read_fails)
        return err_set(err, -ESTALE, ERR_STORAGE, "the source was replaced");
    if (n > len)
        n = len;
    memcpy(buf, source + (n ? off : 0), n);
    /* To a greedy child: as much as it asked for, to fill its socket. */
    if (len > size) {
        memset(buf, 0, len);
        n = len;
    }
    *ret_n = n;
    return 0;
}

static int on_object(void *arg, const char *name, const void *buf, size_t len, struct err *err)
{
    struct parent *p = arg;

    if (p->object_fails)
        return err_set(err, -ENOSPC, ERR_RESOURCE, "the disk is full");
    p->n_objects++;
    (void)strncat(p->names, name, sizeof(p->names) - strlen(p->names) - 2);
    (void)strcat(p->names, ";");
    if (len < sizeof(p->bytes) - strlen(p->bytes))
        (void)strncat(p->bytes, buf, len);
    return 0;
}

static void on_progress(void *arg, uint64_t done)
{
    struct parent *p = arg;

    p->progress = done;
    if (p->kill_on_progress)
        child_kill(p->kill_on_progress);
}

static int64_t now_ms(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static unsigned open_files(void)
{
    unsigned n = 0;
    DIR *d = opendir("/proc/self/fd");

    assert_non_null(d);
    while (readdir(d)) /* NOLINT(concurrency-mt-unsafe) */
        n++;
    (void)closedir(d);
    return n;
}

static void assert_no_children(void)
{
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
}

static const struct child_limits patient = { .stall_ms = 30000, .deadline_ms = 60000 };

struct outcome {
    int r;
    char *result;
    struct child_usage usage;
    struct err err;
};

static struct outcome run_with(struct child *c, const char *script, struct parent *p,
                               const struct child_limits *limits)
{
    const struct child_handler h = {
        .arg = p, .read = on_read, .object = on_object, .progress = on_progress
    };
    struct outcome o = { 0 };

    o.r = child_run(c, "script", script, sizeof(source) - 1, &h, limits, &o.result, &o.usage,
                    &o.err);
    child_free(c);
    return o;
}

/* One child from its start to its end; afterwards nothing is left of it. */
static struct outcome run(const char *script, struct parent *p, const struct child_limits *limits)
{
    unsigned files = open_files();
    struct child *c = NULL;
    struct err err = { 0 };

    if (child_start(&c, &err) < 0)
        fail_msg("%s", err.text);
    struct outcome o = run_with(c, script, p, limits);
    assert_no_children();
    assert_int_equal(open_files(), files);
    return o;
}

/* ---- children that answer ---- */

static void answers_come_back(void **state)
{
    struct parent p = { 0 };
    struct outcome o = run("answer", &p, &patient);

    (void)state;
    assert_int_equal(o.r, 0);
    assert_string_equal(o.result, "{\"fine\":1}");
    assert_true(o.usage.wall_s >= 0 && o.usage.peak_bytes > 0);
    free(o.result);
}

static void reads_are_served(void **state)
{
    struct parent p = { 0 };
    struct outcome o = run("read", &p, &patient);

    (void)state;
    assert_int_equal(o.r, 0);
    assert_string_equal(o.result, "345689");
    assert_int_equal(o.usage.bytes_read, 6);
    free(o.result);
}

static int on_read_many(void *arg, struct read_range *v, size_t n, struct err *err)
{
    int r = 0;

    for (size_t i = n; i-- > 0 && r == 0;)
        r = on_read(arg, v[i].off, v[i].buf, v[i].len, &v[i].n, err);
    return r;
}

static void reads_of_many_ranges_are_served(void **state)
{
    struct parent p = { 0 };
    char *got = NULL;
    struct child_usage usage;

    (void)state;
    for (int at_once = 0; at_once < 2; at_once++) {
        const struct child_handler h = { .arg = &p,
                                         .read = on_read,
                                         .read_many = at_once ? on_read_many : NULL };
        struct child *c;
        assert_int_equal(child_start(&c, NULL), 0);
        assert_int_equal(child_run(c, "x", "read-many", 10, &h, &patient, &got, &usage, NULL), 0);
        child_free(c);
        assert_string_equal(got, "678891");
        assert_int_equal(usage.bytes_read, 6);
        free(got);
    }
}

static void objects_arrive_in_order(void **state)
{
    struct parent p = { 0 };
    struct outcome o = run("objects", &p, &patient);

    (void)state;
    assert_int_equal(o.r, 0);
    assert_int_equal(p.n_objects, 2);
    assert_string_equal(p.names, "video/a/init.mp4;video/a/seg-00001.m4s;");
    assert_string_equal(p.bytes, "one");
    free(o.result);
}

static void an_answer_is_enough(void **state)
{
    struct parent p = { 0 };
    int64_t start = now_ms();
    struct outcome o = run("answer-and-hang", &p, &patient);

    (void)state;
    assert_int_equal(o.r, 0);
    assert_true(now_ms() - start < patient.stall_ms / 2);
    free(o.result);
}

static void no_limits_is_fine(void **state)
{
    struct parent p = { 0 };
    struct outcome o = run("answer", &p, NULL);

    (void)state;
    assert_int_equal(o.r, 0);
    free(o.result);
}

/* ---- children that don't ---- */

enum { NOTHING, READ, OBJECT }; /* what the parent can't do */

static const struct row {
    const char *fact, *script;
    int64_t stall_ms, deadline_ms;
    int fails;
    enum err_class cls;
    const char *says;
} rows[] = {
    {"a failure keeps its class and words",     "bad-upload",   30000, 0,   NOTHING, ERR_INPUT,
     "no frame in it"                                                                                                },
    { "a death by signal names it",             "last-words",   30000, 0,   NOTHING, ERR_CRASH,
     "died by SIGSEGV; last words: "                                                                                 },
    { "last words are of its log",              "last-words",   30000, 0,   NOTHING, ERR_CRASH,    "decoding frame 7"},
    { "and of its stderr",                      "last-words",   30000, 0,   NOTHING, ERR_CRASH,    "assertion failed"},
    { "of many words the end is kept",          "many-words",   30000, 0,   NOTHING, ERR_CRASH,    "the very end"    },
    { "an exit without an answer is a crash",   "exit-7",       30000, 0,   NOTHING, ERR_CRASH,    "status 7"        },
    { "so is an end inside a header",           "half-header",  30000, 0,   NOTHING, ERR_CRASH,
     "before it answered"                                                                                            },
    { "and an end inside a payload",            "half-payload", 30000, 0,   NOTHING, ERR_CRASH,
     "before it answered"                                                                                            },
    { "silence is ended",                       "hang",         50,    0,   NOTHING, ERR_TIMEOUT,  "no progress"     },
    { "also with a closed stderr",              "quiet-stderr", 50,    0,   NOTHING, ERR_TIMEOUT,  "no progress"     },
    { "half a message is silence",              "trickle",      100,   0,   NOTHING, ERR_TIMEOUT,  "no progress"     },
    { "asking without listening is silence",    "deaf",         100,   0,   NOTHING, ERR_TIMEOUT,  "no progress"     },
    { "noise on stderr is silence",             "shout",        100,   0,   NOTHING, ERR_TIMEOUT,  "no progress"     },
    { "work without an end meets its deadline", "busy",         30000, 150, NOTHING, ERR_TIMEOUT,
     "deadline"                                                                                                      },
    { "so does a flood of messages",            "flood",        30000, 150, NOTHING, ERR_TIMEOUT,  "deadline"        },
    { "a read that fails is the reason",        "read",         30000, 0,   READ,    ERR_STORAGE,
     "source was replaced"                                                                                           },
    { "an object that isn't stored, too",       "objects",      30000, 0,   OBJECT,  ERR_RESOURCE,
     "disk is full"                                                                                                  },
};

/* All break the protocol: ERR_INTERNAL, at once. */
static const char *const liars[] = {
    "huge-object",    "huge-result",   "huge-log",     "huge-failure",   "huge-read",
    "odd-read",       "odd-read-many", "read-none",    "huge-read-many", "read-too-many",
    "odd-progress",   "tiny-object",   "tiny-failure", "name-beyond",    "name-too-long",
    "type-0",         "type-99",       "class-none",   "class-unknown",  "code-positive",
    "type-of-parent",
};

static void check(const char *fact, const struct outcome *o, enum err_class cls, const char *says)
{
    if (o->r >= 0 || o->err.cls != cls || !strstr(o->err.text, says))
        fail_msg("%s: %d, class %s: %s", fact, o->r, err_class_name(o->err.cls), o->err.text);
    assert_null(o->result);
}

static void ends_have_reasons(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        const struct row *w = &rows[i];
        const struct child_limits limits = { .stall_ms = w->stall_ms,
                                             .deadline_ms = w->deadline_ms };
        struct parent p = { .read_fails = w->fails == READ, .object_fails = w->fails == OBJECT };
        struct outcome o = run(w->script, &p, &limits);
        check(w->fact, &o, w->cls, w->says);
    }
}

static void those_of_a_nest_end_for_the_same_reasons(void **state)
{
    unsigned files = open_files();
    struct nest *n = nest_new();

    (void)state;
    assert_non_null(n);
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        const struct row *w = &rows[i];
        const struct child_limits limits = { .stall_ms = w->stall_ms,
                                             .deadline_ms = w->deadline_ms };
        struct parent p = { .read_fails = w->fails == READ, .object_fails = w->fails == OBJECT };
        struct child *c = NULL;
        assert_int_equal(nest_child(n, 0, &c, NULL), 0);
        struct outcome o = run_with(c, w->script, &p, &limits);
        check(w->fact, &o, w->cls, w->says);
    }
    nest_free(n);
    assert_no_children();
    assert_int_equal(open_files(), files);
}

/* Who their parent is, and that they are not all one process that has been forked again. */
static void a_nests_children_are_ours(void **state)
{
    struct child *a = NULL, *b = NULL;
    struct nest *n = nest_new();
    struct parent p = { 0 };

    (void)state;
    nest_warm(n);
    assert_int_equal(nest_child(n, 0, &a, NULL), 0);
    assert_int_equal(nest_child(n, 0, &b, NULL), 0);
    nest_free(n); /* they go on */
    assert_int_equal(waitpid(child_pid(a), NULL, WNOHANG), 0);
    assert_int_equal(waitpid(child_pid(b), NULL, WNOHANG), 0);
    struct outcome o = run_with(b, "answer", &p, &patient);
    assert_int_equal(o.r, 0);
    assert_true(o.usage.peak_bytes > 0);
    free(o.result);
    child_free(a);
    assert_no_children();
    nest_free(NULL);
}

static void lies_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(liars) / sizeof(*liars); i++) {
        struct parent p = { 0 };
        int64_t start = now_ms();
        struct outcome o = run(liars[i], &p, &patient);
        check(liars[i], &o, ERR_INTERNAL, "broke the protocol");
        assert_true(now_ms() - start < patient.stall_ms / 2);
        assert_int_equal(p.n_objects, 0);
    }
}

/* A moment of grace, then the hard way: no slot is held by such a child. */
static void a_closed_stream_holds_nobody(void **state)
{
    struct parent p = { 0 };
    int64_t start = now_ms();
    struct outcome o = run("close-and-stay", &p, &patient);

    (void)state;
    check("close-and-stay", &o, ERR_CRASH, "closed its stream");
    assert_true(now_ms() - start < 20000);
}

static void objects_are_refused_where_none_are_wanted(void **state)
{
    const struct child_handler h = { .read = on_read };
    struct outcome o = { 0 };
    struct child *c = NULL;

    (void)state;
    assert_int_equal(child_start(&c, NULL), 0);
    o.r = child_run(c, "script", "objects", 0, &h, &patient, &o.result, NULL, &o.err);
    child_free(c);
    check("objects", &o, ERR_INTERNAL, "an object where none is wanted");
    assert_no_children();
}

/* ---- children that stand back ---- */

/* What the kernel gives this process's session where it groups those; -1 where it does not. */
static int autogroup_nice(int pid)
{
    char path[64];
    int nice = -1;

    (void)snprintf(path, sizeof(path), "/proc/%d/autogroup", pid);
    FILE *f = fopen(path, "re");
    if (!f)
        return -1;
    if (fscanf(f, "/autogroup-%*u nice %d", &nice) != 1)
        nice = -1;
    (void)fclose(f);
    return nice;
}

/* What is as humble as can be, as whoever runs these tests may be, gets no humbler. */
static int nicer_by(int more)
{
    int nice = getpriority(PRIO_PROCESS, 0) + more;

    return nice < 19 ? nice : 19;
}

static void a_humble_child_stands_back_in_its_own_session(void **state)
{
    struct child *plain = NULL, *humble = NULL, *hatched = NULL;
    struct nest *n = nest_new();
    int own = getpriority(PRIO_PROCESS, 0), grouped = autogroup_nice(getpid()) >= 0;

    (void)state;
    assert_int_equal(child_start(&plain, NULL), 0);
    assert_int_equal(child_start_humble(7, &humble, NULL), 0);
    assert_int_equal(nest_child(n, 7, &hatched, NULL), 0);
    assert_int_equal(getpriority(PRIO_PROCESS, (id_t)child_pid(plain)), own);
    assert_int_equal(getpriority(PRIO_PROCESS, (id_t)child_pid(humble)), nicer_by(7));
    assert_int_equal(getsid(child_pid(plain)), getsid(0));
    assert_int_equal(getsid(child_pid(humble)), child_pid(humble));
    assert_int_equal(getpriority(PRIO_PROCESS, (id_t)child_pid(hatched)), nicer_by(7));
    assert_int_equal(getsid(child_pid(hatched)), child_pid(hatched));
    if (grouped) {
        assert_int_equal(autogroup_nice(child_pid(humble)), nicer_by(7));
        assert_int_equal(autogroup_nice(child_pid(hatched)), nicer_by(7));
    }
    child_free(plain);
    child_free(humble);
    child_free(hatched);
    nest_free(n);
    assert_no_children();
}

/* ---- children that are killed ---- */

static void *kill_it(void *arg)
{
    child_kill(arg);
    return NULL;
}

static void a_kill_cancels(void **state)
{
    static const struct {
        const char *script;
        int before; /* it has its job */
    } when[] = {
        {"hang",    0},
        { "hang",   1},
        { "answer", 1}
    };

    (void)state;
    for (size_t i = 0; i < sizeof(when) / sizeof(*when); i++) {
        struct parent p = { 0 };
        struct child *c = NULL;
        pthread_t killer;

        assert_int_equal(child_start(&c, NULL), 0);
        assert_int_equal(pthread_create(&killer, NULL, kill_it, c), 0);
        if (when[i].before)
            (void)pthread_join(killer, NULL);
        const struct child_handler h = { .arg = &p, .read = on_read };
        struct outcome o = { 0 };
        o.r = child_run(c, "script", when[i].script, 0, &h, &patient, &o.result, &o.usage, &o.err);
        if (!when[i].before)
            (void)pthread_join(killer, NULL);
        child_free(c);
        check("a kill", &o, ERR_CANCELED, "");
        assert_int_equal(o.r, -ECANCELED);
        assert_no_children();
    }
}

static void a_kill_at_work_cancels(void **state)
{
    struct parent p = { 0 };
    struct child *c = NULL;

    (void)state;
    assert_int_equal(child_start(&c, NULL), 0);
    p.kill_on_progress = c;
    struct outcome o = run_with(c, "busy", &p, &patient);
    check("a kill at work", &o, ERR_CANCELED, "");
    assert_no_children();
}

static void a_signal_from_outside_is_a_crash(void **state)
{
    struct parent p = { 0 };
    struct child *c = NULL;

    (void)state;
    assert_int_equal(child_start(&c, NULL), 0);
    assert_int_equal(kill(child_pid(c), SIGKILL), 0);
    struct outcome o = run_with(c, "hang", &p, &patient);
    check("a signal", &o, ERR_CRASH, "died by SIGKILL");
    assert_no_children();
}

static void a_stopped_child_is_ended(void **state)
{
    const struct child_limits quick = { .stall_ms = 50 };
    struct parent p = { 0 };
    struct child *c = NULL;

    (void)state;
    assert_int_equal(child_start(&c, NULL), 0);
    assert_int_equal(kill(child_pid(c), SIGSTOP), 0);
    struct outcome o = run_with(c, "answer", &p, &quick);
    check("SIGSTOP", &o, ERR_TIMEOUT, "no progress");
    assert_no_children();
}

static void one_that_never_ran_is_freed(void **state)
{
    unsigned files = open_files();
    struct child *c = NULL;

    (void)state;
    assert_int_equal(child_start(&c, NULL), 0);
    child_free(c);
    child_free(NULL);
    assert_no_children();
    assert_int_equal(open_files(), files);
}

static void a_missing_program_is_named(void **state)
{
    char *mine = strdup(getenv("GOPMILL_CHILD")); /* NOLINT(concurrency-mt-unsafe) */
    struct child *c = NULL;
    struct err err = { 0 };
    unsigned files = open_files();

    (void)state;
    assert_int_equal(setenv("GOPMILL_CHILD", "/dev", 1), 0); /* there, but no program */
    int r = child_start(&c, &err);
    assert_int_equal(setenv("GOPMILL_CHILD", mine, 1), 0);
    free(mine);
    assert_true(r < 0);
    assert_int_equal(err.cls, ERR_RESOURCE);
    assert_non_null(strstr(err.text, "/dev"));
    assert_int_equal(open_files(), files);
}

/* Runs "answer" in a child of the nursery; its pid. */
static int answer_of(struct nursery *n)
{
    struct parent p = { 0 };
    struct child *c = NULL;

    assert_int_equal(nursery_take(n, 0, &c, NULL), 0);
    int pid = child_pid(c);
    struct outcome o = run_with(c, "answer", &p, &patient);
    assert_int_equal(o.r, 0);
    free(o.result);
    return pid;
}

static void *take_on_a_thread_that_ends(void *arg)
{
    struct child *c = NULL;

    (void)nursery_take(arg, 0, &c, NULL);
    return c;
}

static void a_nurserys_children_outlive_who_takes_them(void **state)
{
    struct parent p = { 0 };
    struct nursery *n;
    pthread_t t;
    void *c;

    (void)state;
    assert_int_equal(nursery_new(&n, NULL), 0);
    assert_int_equal(pthread_create(&t, NULL, take_on_a_thread_that_ends, n), 0);
    assert_int_equal(pthread_join(t, &c), 0);
    assert_non_null(c);
    struct outcome o = run_with(c, "answer", &p, &patient);
    assert_int_equal(o.r, 0);
    free(o.result);
    assert_true(answer_of(n) != answer_of(n));
    nursery_free(n);
    assert_no_children();
    nursery_free(NULL);
}

/* A child of one of this process's threads; 0: there is none. */
static int any_child(void)
{
    int pid = 0;
    DIR *tasks = opendir("/proc/self/task");

    assert_non_null(tasks);
    for (struct dirent *e; pid == 0 && (e = readdir(tasks));) { /* NOLINT(concurrency-mt-unsafe) */
        char path[64];
        (void)snprintf(path, sizeof(path), "/proc/self/task/%.20s/children", e->d_name);
        FILE *f = fopen(path, "re");
        if (f && fscanf(f, "%d", &pid) != 1) /* NOLINT(cert-err34-c) */
            pid = 0;
        if (f)
            (void)fclose(f);
    }
    (void)closedir(tasks);
    return pid;
}

static void a_nest_that_was_killed_while_it_waited_is_nobodys_failure(void **state)
{
    struct nursery *n;
    siginfo_t info;

    (void)state;
    assert_int_equal(nursery_new(&n, NULL), 0);
    int pid;
    while (!(pid = any_child()))
        (void)sched_yield();
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
    assert_int_not_equal(answer_of(n), pid);
    nursery_free(n);
    assert_no_children();
}

static void a_nurserys_children_are_as_nice_as_they_shall_be(void **state)
{
    struct child *c = NULL;
    struct nursery *n;

    (void)state;
    assert_int_equal(nursery_new(&n, NULL), 0);
    assert_int_equal(nursery_take(n, 3, &c, NULL), 0);
    assert_int_equal(getpriority(PRIO_PROCESS, (id_t)child_pid(c)), nicer_by(3));
    child_free(c);
    nursery_free(n);
    assert_no_children();
}

static void a_nursery_says_why_it_has_no_child(void **state)
{
    char *mine = strdup(getenv("GOPMILL_CHILD")); /* NOLINT(concurrency-mt-unsafe) */
    struct child *c = NULL;
    struct nursery *n;
    struct err err = { 0 };

    (void)state;
    assert_int_equal(setenv("GOPMILL_CHILD", "/dev", 1), 0);
    assert_int_equal(nursery_new(&n, NULL), 0);
    int r = nursery_take(n, 0, &c, &err);
    nursery_free(n);
    assert_int_equal(setenv("GOPMILL_CHILD", mine, 1), 0);
    free(mine);
    assert_true(r < 0);
    assert_int_equal(err.cls, ERR_RESOURCE);
    assert_non_null(strstr(err.text, "/dev"));
}

/* scripted-child lies beside this program. */
static int choose_child(void)
{
    char path[4096];
    ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 32);

    if (n <= 0)
        return -errno;
    path[n] = '\0';
    char *slash = strrchr(path, '/');
    (void)strcpy(slash, "/scripted-child");
    return setenv("GOPMILL_CHILD", path, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_come_back),
        cmocka_unit_test(reads_are_served),
        cmocka_unit_test(reads_of_many_ranges_are_served),
        cmocka_unit_test(objects_arrive_in_order),
        cmocka_unit_test(an_answer_is_enough),
        cmocka_unit_test(no_limits_is_fine),
        cmocka_unit_test(ends_have_reasons),
        cmocka_unit_test(those_of_a_nest_end_for_the_same_reasons),
        cmocka_unit_test(a_nests_children_are_ours),
        cmocka_unit_test(lies_are_refused),
        cmocka_unit_test(a_closed_stream_holds_nobody),
        cmocka_unit_test(a_humble_child_stands_back_in_its_own_session),
        cmocka_unit_test(objects_are_refused_where_none_are_wanted),
        cmocka_unit_test(a_kill_cancels),
        cmocka_unit_test(a_kill_at_work_cancels),
        cmocka_unit_test(a_signal_from_outside_is_a_crash),
        cmocka_unit_test(a_stopped_child_is_ended),
        cmocka_unit_test(one_that_never_ran_is_freed),
        cmocka_unit_test(a_missing_program_is_named),
        cmocka_unit_test(a_nurserys_children_outlive_who_takes_them),
        cmocka_unit_test(a_nest_that_was_killed_while_it_waited_is_nobodys_failure),
        cmocka_unit_test(a_nurserys_children_are_as_nice_as_they_shall_be),
        cmocka_unit_test(a_nursery_says_why_it_has_no_child),
    };

    if (choose_child() < 0)
        return 2;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
