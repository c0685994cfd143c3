/* The job database keeps what was committed, and nothing else. */
#include <errno.h>
#include <ftw.h>
#include <setjmp.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "dispatcher/jobdb.h"

struct fixture {
    char dir[64], path[80];
    struct jobdb *db;
};

static const struct job_row a_job = {
    .id = "j1",
    .source = "file:///in.mov",
    .etag = "e",
    .output = "file:///out",
    .ladder = "name: x\n",
    .ladder_name = "x",
    .options = "{}",
    .state = JOB_QUEUED,
    .created_ms = 7,
    .updated_ms = 8,
};

static struct task_row a_task(const char *id, int64_t ord)
{
    return (struct task_row){ .job = "j1",
                              .id = id,
                              .ord = ord,
                              .attempt = 1,
                              .cost = 2.5,
                              .chunk = 3,
                              .group = 1,
                              .body = "{\"a\":1}" };
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    strcpy(f->dir, "/tmp/gopmill-test-jobdb-XXXXXX");
    if (!mkdtemp(f->dir))
        return -1;
    (void)snprintf(f->path, sizeof(f->path), "%s/jobs.db", f->dir);
    *state = f;
    return jobdb_open(f->path, &f->db, NULL);
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *w)
{
    (void)st, (void)flag, (void)w;
    return remove(path);
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    jobdb_free(f->db);
    (void)nftw(f->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    free(f);
    return 0;
}

static void reopen(struct fixture *f)
{
    jobdb_free(f->db);
    f->db = NULL;
    assert_int_equal(jobdb_open(f->path, &f->db, NULL), 0);
}

static int copy_job(void *arg, const struct job_row *j)
{
    struct job_row *ret = arg;
    assert_string_equal(j->id, "j1");
    assert_string_equal(j->ladder, "name: x\n");
    ret->state = j->state;
    ret->error = j->error;
    ret->created_ms = j->created_ms;
    ret->updated_ms = j->updated_ms;
    return 0;
}

static int list_task(void *arg, const struct task_row *t)
{
    char *list = arg;
    size_t n = strlen(list);
    (void)snprintf(list + n, 512 - n, "%s:%s:%u:%u:%lld:%s ", t->id, task_state_name(t->state),
                   t->attempt, t->failures, (long long)t->not_before_ms, t->error.text);
    return 0;
}

static void a_job_reads_back_after_reopening(void **state)
{
    struct fixture *f = *state;
    struct job_row got = { 0 };
    const struct err why = { ERR_CRASH, "died \xc3\xa9" };
    char *plan;

    assert_int_equal(jobdb_insert_job(f->db, &a_job, NULL), 0);
    assert_int_equal(jobdb_job_plan(f->db, "j1", &plan, NULL), 0);
    assert_null(plan);
    assert_int_equal(jobdb_set_job_plan(f->db, "j1", "{}", NULL), 0);
    assert_int_equal(jobdb_set_job_state(f->db, "j1", JOB_FAILED, &why, 99, NULL), 0);
    reopen(f);
    assert_int_equal(jobdb_each_job(f->db, copy_job, &got, NULL), 0);
    assert_int_equal(got.state, JOB_FAILED);
    assert_int_equal(got.error.cls, ERR_CRASH);
    assert_string_equal(got.error.text, "died \xc3\xa9");
    assert_int_equal(got.created_ms, 7);
    assert_int_equal(got.updated_ms, 99);
    assert_int_equal(jobdb_job_plan(f->db, "j1", &plan, NULL), 0);
    assert_string_equal(plan, "{}");
    free(plan);
    assert_int_equal(jobdb_job_plan(f->db, "other", &plan, NULL), -ENOENT);
}

static void an_id_is_taken_once(void **state)
{
    struct fixture *f = *state;
    struct err err = { 0 };

    assert_int_equal(jobdb_insert_job(f->db, &a_job, NULL), 0);
    assert_int_equal(jobdb_insert_job(f->db, &a_job, &err), -EEXIST);
    assert_int_equal(err.cls, ERR_USAGE);
}

static void tasks_read_back_in_order(void **state)
{
    struct fixture *f = *state;
    struct task_row a = a_task("a-0", 0), b = a_task("v-0000-0", 1);
    char list[512] = "", *text;

    assert_int_equal(jobdb_insert_job(f->db, &a_job, NULL), 0);
    assert_int_equal(jobdb_insert_task(f->db, &b, NULL), 0);
    assert_int_equal(jobdb_insert_task(f->db, &a, NULL), 0);
    b.state = TASK_WAITING;
    b.attempt = 2;
    b.failures = 1;
    b.not_before_ms = 123;
    b.error = (struct err){ ERR_TIMEOUT, "slow" };
    assert_int_equal(jobdb_update_task(f->db, &b, NULL), 0);
    b.state = TASK_RELEASED;
    b.error = (struct err){ 0 }; /* the last one stays on record */
    assert_int_equal(jobdb_update_task(f->db, &b, NULL), 0);
    assert_int_equal(jobdb_set_result(f->db, "j1", "a-0", "{\"r\":1}", NULL), 0);
    reopen(f);
    assert_int_equal(jobdb_each_task(f->db, "j1", list_task, list, NULL), 0);
    assert_string_equal(list, "a-0:waiting:1:0:0: v-0000-0:released:2:1:123:slow ");
    assert_int_equal(jobdb_task_body(f->db, "j1", "a-0", &text, NULL), 0);
    assert_string_equal(text, "{\"a\":1}");
    free(text);
    assert_int_equal(jobdb_task_result(f->db, "j1", "a-0", &text, NULL), 0);
    assert_string_equal(text, "{\"r\":1}");
    free(text);
    assert_int_equal(jobdb_task_result(f->db, "j1", "v-0000-0", &text, NULL), 0);
    assert_null(text);
    assert_int_equal(jobdb_task_body(f->db, "j1", "none", &text, NULL), -ENOENT);
}

static void a_task_needs_its_job(void **state)
{
    struct fixture *f = *state;
    struct task_row a = a_task("a-0", 0);
    struct err err = { 0 };

    assert_int_equal(jobdb_insert_task(f->db, &a, &err), -EIO);
    assert_int_equal(err.cls, ERR_STORAGE);
    assert_non_null(strstr(err.text, f->path));
    assert_int_equal(jobdb_insert_job(f->db, &a_job, NULL), 0);
    assert_int_equal(jobdb_insert_task(f->db, &a, NULL), 0);
    assert_int_equal(jobdb_delete_job(f->db, "j1", NULL), 0);
    char *text;
    assert_int_equal(jobdb_task_body(f->db, "j1", "a-0", &text, NULL), -ENOENT);
}

static void what_is_rolled_back_never_was(void **state)
{
    struct fixture *f = *state;
    struct job_row got = { .created_ms = -1 };

    assert_int_equal(jobdb_begin(f->db, NULL), 0);
    assert_int_equal(jobdb_insert_job(f->db, &a_job, NULL), 0);
    jobdb_rollback(f->db);
    jobdb_rollback(f->db); /* none is open: nothing happens */
    assert_int_equal(jobdb_each_job(f->db, copy_job, &got, NULL), 0);
    assert_int_equal(got.created_ms, -1);
}

/* The child commits `inserted` tasks, begins another, and is killed. */
static void die_in_the_middle(const struct fixture *f, int inserted)
{
    struct jobdb *db;
    char id[16];

    if (jobdb_open(f->path, &db, NULL) < 0)
        _exit(1);
    for (int i = 0; i <= inserted; i++) {
        (void)snprintf(id, sizeof(id), "v-%04d-0", i);
        struct task_row t = a_task(id, i);
        if (jobdb_begin(db, NULL) < 0 || jobdb_insert_task(db, &t, NULL) < 0)
            _exit(1);
        if (i < inserted && jobdb_commit(db, NULL) < 0)
            _exit(1);
    }
    (void)kill(getpid(), SIGKILL);
}

static int count_task(void *arg, const struct task_row *t)
{
    (void)t;
    ++*(int *)arg;
    return 0;
}

static void a_killed_writer_leaves_whole_transactions(void **state)
{
    struct fixture *f = *state;
    int status, n = 0;

    assert_int_equal(jobdb_insert_job(f->db, &a_job, NULL), 0);
    jobdb_free(f->db);
    f->db = NULL;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        die_in_the_middle(f, 3);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(jobdb_open(f->path, &f->db, NULL), 0);
    assert_int_equal(jobdb_each_task(f->db, "j1", count_task, &n, NULL), 0);
    assert_int_equal(n, 3);
}

static void a_newer_schema_is_let_alone(void **state)
{
    struct fixture *f = *state;
    struct err err = { 0 };
    sqlite3 *raw;

    jobdb_free(f->db);
    f->db = NULL;
    assert_int_equal(sqlite3_open(f->path, &raw), SQLITE_OK);
    assert_int_equal(sqlite3_exec(raw, "PRAGMA user_version = 1000", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(raw), SQLITE_OK);
    assert_int_equal(jobdb_open(f->path, &f->db, &err), -EPROTO);
    assert_non_null(strstr(err.text, "1000"));
}

static void what_is_no_database_is_named(void **state)
{
    struct fixture *f = *state;
    struct jobdb *db;
    struct err err = { 0 };
    char path[128];

    (void)snprintf(path, sizeof(path), "%s/none/jobs.db", f->dir);
    assert_true(jobdb_open(path, &db, &err) < 0);
    assert_non_null(strstr(err.text, path));
    (void)snprintf(path, sizeof(path), "%s/text", f->dir);
    FILE *t = fopen(path, "w");
    assert_non_null(t);
    for (int i = 0; i < 1000; i++)
        (void)fputs("this is not a database\n", t);
    (void)fclose(t);
    assert_true(jobdb_open(path, &db, &err) < 0);
    assert_non_null(strstr(err.text, "not a database"));
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_job_reads_back_after_reopening), T(an_id_is_taken_once),
        T(tasks_read_back_in_order),         T(a_task_needs_its_job),
        T(what_is_rolled_back_never_was),    T(a_killed_writer_leaves_whole_transactions),
        T(a_newer_schema_is_let_alone),      T(what_is_no_database_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
