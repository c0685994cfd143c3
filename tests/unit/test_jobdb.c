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
    ret->ended_ms = j->ended_ms;
    ret->priority = j->priority;
    ret->swept = j->swept;
    ret->notified = j->notified;
    if (j->facts[0]) {
        assert_string_equal(j->facts, "{\"frames\":1}");
        assert_string_equal(j->etag, "e2");
        assert_string_equal(j->tenant, "acme");
        assert_string_equal(j->notify, "https://x/");
        assert_null(j->metadata);
    }
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
    assert_int_equal(jobdb_set_job_plan(f->db, "j1", "{}", "{\"frames\":1}", "e2", NULL), 0);
    struct job_row failed = a_job;
    failed.state = JOB_FAILED;
    failed.error = why;
    failed.tenant = "acme";
    failed.notify = "https://x/";
    failed.priority = 9;
    failed.updated_ms = 99;
    failed.ended_ms = 98;
    failed.swept = 1;
    assert_int_equal(jobdb_update_job(f->db, &failed, NULL), 0);
    reopen(f);
    assert_int_equal(jobdb_each_job(f->db, copy_job, &got, NULL), 0);
    assert_int_equal(got.state, JOB_FAILED);
    assert_int_equal(got.error.cls, ERR_CRASH);
    assert_string_equal(got.error.text, "died \xc3\xa9");
    assert_int_equal(got.created_ms, 7);
    assert_int_equal(got.updated_ms, 99);
    assert_int_equal(got.ended_ms, 98);
    assert_int_equal(got.priority, 9);
    assert_int_equal(got.swept, 1);
    assert_int_equal(got.notified, 0);
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

/* As the first version made it. */
static const char version_1[] =
    "CREATE TABLE jobs ("
    " id TEXT NOT NULL PRIMARY KEY, source TEXT NOT NULL, etag TEXT NOT NULL,"
    " output TEXT NOT NULL, ladder TEXT NOT NULL, ladder_name TEXT NOT NULL,"
    " options TEXT NOT NULL, state TEXT NOT NULL, error_class TEXT NOT NULL,"
    " error_text TEXT NOT NULL, plan TEXT, created_ms BIGINT NOT NULL,"
    " updated_ms BIGINT NOT NULL);"
    "CREATE TABLE tasks ("
    " job TEXT NOT NULL REFERENCES jobs (id), id TEXT NOT NULL, ord BIGINT NOT NULL,"
    " state TEXT NOT NULL, attempt BIGINT NOT NULL, failures BIGINT NOT NULL,"
    " not_before_ms BIGINT NOT NULL, cost DOUBLE PRECISION NOT NULL,"
    " cpu_s DOUBLE PRECISION NOT NULL, chunk BIGINT NOT NULL, grp BIGINT NOT NULL,"
    " audio BIGINT NOT NULL, frames BIGINT NOT NULL, body TEXT NOT NULL, result TEXT,"
    " error_class TEXT NOT NULL, error_text TEXT NOT NULL, PRIMARY KEY (job, id));"
    "CREATE UNIQUE INDEX tasks_by_ord ON tasks (job, ord);"
    "INSERT INTO jobs VALUES ('j1','file:///in.mov','e','file:///out','name: x\n','x','{}','failed',"
    "'crash','died','{\"plan\":1}',7,8);"
    "INSERT INTO tasks VALUES ('j1','a-0',0,'done',1,0,0,2.5,3,0,0,1,0,'{\"a\":1}','{\"r\":1}','',''),"
    " ('j1','v-0000-0',1,'dead',4,4,0,2.5,3,0,0,0,0,'{\"b\":1}',NULL,'crash','died');"
    "PRAGMA user_version = 1;";

static int copy_old(void *arg, const struct job_row *j)
{
    (void)arg;
    assert_int_equal(j->state, JOB_FAILED);
    assert_int_equal(j->ended_ms, 8);
    assert_int_equal(j->priority, JOB_PRIORITY_DEFAULT);
    assert_string_equal(j->tenant, "");
    assert_null(j->notify);
    assert_string_not_equal(j->facts, ""); /* it has a plan */
    return 0;
}

static int sum_one(void *arg, const struct task_sum *s)
{
    double *cost = arg;

    assert_string_equal(s->job, "j1");
    assert_int_equal(s->n, 1);
    *cost += s->cost;
    return 0;
}

static int one_result(void *arg, const char *task, const char *result)
{
    assert_string_equal(task, "a-0");
    assert_string_equal(result, "{\"r\":1}");
    ++*(int *)arg;
    return 0;
}

static void a_database_of_version_1_is_brought_up(void **state)
{
    struct fixture *f = *state;
    char list[512] = "", *text;
    double cost = 0;
    sqlite3 *raw;
    int n = 0;

    jobdb_free(f->db);
    f->db = NULL;
    assert_int_equal(unlink(f->path), 0);
    assert_int_equal(sqlite3_open(f->path, &raw), SQLITE_OK);
    assert_int_equal(sqlite3_exec(raw, version_1, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(raw), SQLITE_OK);
    for (int again = 0; again < 2; again++) {
        reopen(f);
        list[0] = '\0';
        assert_int_equal(jobdb_each_job(f->db, copy_old, NULL, NULL), 0);
        assert_int_equal(jobdb_each_task(f->db, "j1", list_task, list, NULL), 0);
        assert_string_equal(list, "a-0:done:1:0:0: v-0000-0:dead:4:4:0:died ");
    }
    assert_int_equal(jobdb_task_body(f->db, "j1", "v-0000-0", &text, NULL), 0);
    assert_string_equal(text, "{\"b\":1}");
    free(text);
    assert_int_equal(jobdb_job_plan(f->db, "j1", &text, NULL), 0);
    assert_string_equal(text, "{\"plan\":1}");
    free(text);
    assert_int_equal(jobdb_each_result(f->db, "j1", one_result, &n, NULL), 0);
    assert_int_equal(n, 1);
    assert_int_equal(jobdb_each_sum(f->db, sum_one, &cost, NULL), 0);
    assert_true(cost == 5);
}

/* Jobs of one output, as a database has them from before an output belonged to one. */
static const char shared_outputs[] =
    "INSERT INTO jobs VALUES"
    " ('old','s','','s3://o/a','','x','{}','done','none','',NULL,1,10),"
    " ('new','s','','s3://o/a/','','x','{}','done','none','',NULL,2,20),"
    " ('failed','s','','s3://o/a','','x','{}','failed','input','no',NULL,3,30),"
    " ('alone','s','','s3://o/a/b','','x','{}','done','none','',NULL,4,40),"
    " ('first','s','','s3://o/b','','x','{}','running','none','',NULL,5,50),"
    " ('second','s','','s3://o/b/','','x','{}','queued','none','',NULL,6,60);";

static int list_owners(void *arg, const struct job_row *j)
{
    char *s = arg;

    (void)sprintf(s + strlen(s), "%s:%d:%s ", j->id, (int)j->state, j->replaced_by);
    return 0;
}

static void outputs_that_jobs_shared_belong_to_one_of_them(void **state)
{
    struct fixture *f = *state;
    char list[512] = "";
    sqlite3 *raw;

    jobdb_free(f->db);
    f->db = NULL;
    assert_int_equal(unlink(f->path), 0);
    assert_int_equal(sqlite3_open(f->path, &raw), SQLITE_OK);
    assert_int_equal(sqlite3_exec(raw, version_1, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_exec(raw, shared_outputs, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(raw), SQLITE_OK);
    reopen(f);
    assert_int_equal(jobdb_each_job(f->db, list_owners, list, NULL), 0);
    assert_string_equal(list, "old:4:new new:4: failed:5:new alone:4: first:2: second:5: j1:5: ");
}

static int list_dead(void *arg, const struct dead_letter *l)
{
    assert_string_equal(l->queue, "q");
    (void)strcat(strcat(arg, l->body), l->reason);
    return 0;
}

static void the_newest_dead_letters_are_kept(void **state)
{
    struct fixture *f = *state;
    static const char *const bodies[] = { "a", "b", "c", "d" };
    char list[64] = "";
    int64_t last;

    assert_int_equal(jobdb_last_dead(f->db, &last, NULL), 0);
    assert_int_equal(last, 0);
    for (int i = 0; i < 4; i++) {
        const struct dead_letter l = { .at_ms = i, .queue = "q", .reason = "!", .body = bodies[i] };
        assert_int_equal(jobdb_add_dead(f->db, i + 1, 2, &l, NULL), 0);
    }
    reopen(f);
    assert_int_equal(jobdb_each_dead(f->db, list_dead, list, NULL), 0);
    assert_string_equal(list, "d!c!");
    assert_int_equal(jobdb_last_dead(f->db, &last, NULL), 0);
    assert_int_equal(last, 4);
}

static int one_cost(void *arg, const char *encoder, double ratio, uint64_t seen_ms)
{
    (void)sprintf(arg, "%s %.2f %d", encoder, ratio, (int)seen_ms);
    return 0;
}

static int one_sweep(void *arg, const struct sweep_row *s)
{
    (void)sprintf(arg, "%s %s %d", s->job, s->output, s->everything);
    return 0;
}

static void costs_and_sweeps_read_back(void **state)
{
    struct fixture *f = *state;
    const struct sweep_row s = { "j", "file:///out", 1 };
    char text[64] = "";

    assert_int_equal(jobdb_set_cost(f->db, "libx264", 1, 1, NULL), 0);
    assert_int_equal(jobdb_set_cost(f->db, "libx264", 1.25, 2, NULL), 0);
    assert_int_equal(jobdb_add_sweep(f->db, &s, NULL), 0);
    reopen(f);
    assert_int_equal(jobdb_each_cost(f->db, one_cost, text, NULL), 0);
    assert_string_equal(text, "libx264 1.25 2");
    assert_int_equal(jobdb_each_sweep(f->db, one_sweep, text, NULL), 0);
    assert_string_equal(text, "j file:///out 1");
    assert_int_equal(jobdb_end_sweep(f->db, "j", NULL), 0);
    text[0] = '\0';
    assert_int_equal(jobdb_each_sweep(f->db, one_sweep, text, NULL), 0);
    assert_string_equal(text, "");
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
        T(a_job_reads_back_after_reopening),
        T(an_id_is_taken_once),
        T(tasks_read_back_in_order),
        T(a_task_needs_its_job),
        T(what_is_rolled_back_never_was),
        T(a_killed_writer_leaves_whole_transactions),
        T(a_newer_schema_is_let_alone),
        T(what_is_no_database_is_named),
        T(a_database_of_version_1_is_brought_up),
        T(outputs_that_jobs_shared_belong_to_one_of_them),
        T(the_newest_dead_letters_are_kept),
        T(costs_and_sweeps_read_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
