/* The folder that a package is made in. */
#include "cli/run_dir.h"
#include "common/base/err.h"
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* Each test works in a folder of its own. */
static int enter(void **state)
{
    char *dir = strdup("/tmp/gopmill-test-XXXXXX");

    *state = dir;
    return dir && mkdtemp(dir) && chdir(dir) == 0 ? 0 : -1;
}

static int leave(void **state)
{
    /* rmdir fails where a test left something behind: then so does it. */
    int r = chdir("/") == 0 ? rmdir(*state) : -1;

    free(*state);
    return r;
}

static int is_there(const char *path)
{
    return access(path, F_OK) == 0;
}

static void touch(const char *path)
{
    int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0666);

    assert_true(fd >= 0);
    (void)close(fd);
}

static void a_run_that_comes_to_nothing_leaves_nothing(void **state)
{
    struct run_dir d = { .lock = -1 };
    struct err err = { 0 };

    (void)state;
    assert_int_equal(run_dir_open("a/b//c/", &d, &err), 0);
    assert_true(is_there("a/b/c/.gopmill/lock"));
    assert_true(d.made_state);
    touch("a/b/c/.gopmill/job.db");
    touch("a/b/c/.gopmill/job.db-wal");
    run_dir_abandon(&d);
    run_dir_release(&d);
    assert_false(is_there("a"));
}

static void folders_that_were_there_stay(void **state)
{
    struct run_dir d = { .lock = -1 };

    (void)state;
    assert_int_equal(mkdir("a", 0777), 0);
    assert_int_equal(run_dir_open("a/b", &d, NULL), 0);
    run_dir_abandon(&d);
    run_dir_release(&d);
    assert_true(is_there("a"));
    assert_false(is_there("a/b"));
    (void)rmdir("a");
}

static void files_of_others_are_not_removed(void **state)
{
    struct run_dir d = { .lock = -1 };

    (void)state;
    assert_int_equal(run_dir_open("a", &d, NULL), 0);
    touch("a/theirs");
    run_dir_abandon(&d);
    run_dir_release(&d);
    assert_true(is_there("a/theirs"));
    assert_false(is_there("a/.gopmill"));
    (void)unlink("a/theirs");
    (void)rmdir("a");
}

static void a_second_run_in_the_same_folder_is_refused_with_the_first_ones_number(void **state)
{
    struct run_dir first = { .lock = -1 }, second = { .lock = -1 };
    struct err err = { 0 };
    char pid[32];

    (void)state;
    assert_int_equal(run_dir_open("a", &first, NULL), 0);
    assert_int_equal(run_dir_open("a", &second, &err), -EBUSY);
    (void)snprintf(pid, sizeof(pid), "process %d", (int)getpid());
    assert_non_null(strstr(err.text, pid));
    assert_true(is_there("a/.gopmill/lock"));
    run_dir_abandon(&first);
    run_dir_release(&first);
}

static void a_killed_run_does_not_keep_the_folder(void **state)
{
    struct run_dir d = { .lock = -1 };
    int status;

    (void)state;
    pid_t pid = fork();
    if (pid == 0) {
        struct run_dir theirs = { .lock = -1 };
        _exit(run_dir_open("a", &theirs, NULL) == 0 ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_equal(run_dir_open("a", &d, NULL), 0);
    assert_false(d.made_state);
    run_dir_abandon(&d);
    run_dir_release(&d);
    assert_int_equal(rmdir("a"), 0);
}

static void a_file_in_the_way_is_named(void **state)
{
    struct run_dir d = { .lock = -1 };
    struct err err = { 0 };

    (void)state;
    touch("f");
    assert_int_equal(run_dir_open("f", &d, &err), -ENOTDIR);
    assert_int_equal(err.cls, ERR_STORAGE);
    assert_memory_equal(err.text, "f: ", 3);
    assert_int_equal(run_dir_open("f/g/h", &d, &err), -ENOTDIR);
    (void)unlink("f");
}

static void the_default_is_the_name_without_its_extension(void **state)
{
    static const struct {
        const char *input, *want;
    } rows[] = {
        {"clip.mov",         "clip"           },
        { "/srv/in/a.b.mp4", "a.b"            },
        { "clip",            "clip-package"   },
        { ".hidden",         ".hidden-package"},
        { "x.d/clip",        "clip-package"   },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char *got = run_dir_default(rows[i].input);
        assert_string_equal(got, rows[i].want);
        free(got);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_run_that_comes_to_nothing_leaves_nothing, enter, leave),
        cmocka_unit_test_setup_teardown(folders_that_were_there_stay, enter, leave),
        cmocka_unit_test_setup_teardown(files_of_others_are_not_removed, enter, leave),
        cmocka_unit_test_setup_teardown(
            a_second_run_in_the_same_folder_is_refused_with_the_first_ones_number, enter, leave),
        cmocka_unit_test_setup_teardown(a_killed_run_does_not_keep_the_folder, enter, leave),
        cmocka_unit_test_setup_teardown(a_file_in_the_way_is_named, enter, leave),
        cmocka_unit_test(the_default_is_the_name_without_its_extension),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
