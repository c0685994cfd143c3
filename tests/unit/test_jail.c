/* What is refused inside the jail, what kills, and what goes on working.
 * Each case is a process of its own: nobody leaves the jail. */
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <netinet/in.h>
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
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/err.h"
#include "common/child/jail.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { FILTERED = 0 }; /* as jail.h says */
#else
enum { FILTERED = 1 };
#endif

/* ---- one process in the jail ---- */

/* Runs `what` inside; returns wait()'s status. */
static int inside(long (*what)(void))
{
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        struct err err = { 0 };
        (void)close(STDERR_FILENO);
        if (jail_enter(&err) < 0)
            _exit(99);
        _exit((int)what());
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

/* What a call came to: 0, or its errno. */
static long told(long r)
{
    return r < 0 ? errno : 0;
}

/* ---- refused with EPERM ---- */

static long open_file(void)
{
    return told(open("/etc/passwd", O_RDONLY));
}
static long create_file(void)
{
    return told(open("/tmp/gopmill-jail", O_WRONLY | O_CREAT, 0600));
}
static long make_socket(void)
{
    return told(socket(AF_INET, SOCK_STREAM, 0));
}
static long make_pair(void)
{
    int fds[2];
    return told(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
}
static long fork_once(void)
{
    pid_t pid = fork();
    if (pid == 0)
        _exit(0);
    return told(pid);
}
static long plain_clone(void)
{
    return told(syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0));
}
static long new_namespace(void)
{
    return told(unshare(CLONE_NEWUSER));
}
static long signal_parent(void)
{
    return told(kill(getppid(), 0));
}
static long signal_thread_of_parent(void)
{
    return told(syscall(SYS_tgkill, getppid(), getppid(), 0));
}
static long look_at_file(void)
{
    struct stat st;
    return told(stat("/etc/passwd", &st));
}
static long remove_file(void)
{
    return told(unlink("/tmp/gopmill-jail-none"));
}
static long rename_file(void)
{
    return told(rename("/tmp/gopmill-jail-none", "/tmp/gopmill-jail-none2"));
}
static long make_folder(void)
{
    return told(mkdir("/tmp/gopmill-jail", 0700));
}
static long change_root(void)
{
    return told(chroot("/"));
}
static long become_root(void)
{
    return told(setuid(0));
}
static long raise_limit(void)
{
    struct rlimit l = { RLIM_INFINITY, RLIM_INFINITY };
    return told(setrlimit(RLIMIT_FSIZE, &l));
}
static long memory_file(void)
{
    return told((long)syscall(SYS_memfd_create, "x", 0));
}
static long shared_memory(void)
{
    return told(shmget(IPC_PRIVATE, 4096, 0600));
}
static long io_ring(void)
{
    char params[120] = "";
    return told(syscall(SYS_io_uring_setup, 1, params));
}
static long control_terminal(void)
{
    return told(syscall(SYS_ioctl, 0, 0x5412 /* TIOCSTI */, "x"));
}

/* ---- deadly ---- */

static long run_program(void)
{
    char *argv[] = { (char *)"sh", NULL };
    return told(execv("/bin/sh", argv));
}
static long trace_parent(void)
{
    return told(ptrace(PTRACE_ATTACH, getppid(), NULL, NULL));
}
static long read_parent(void)
{
    char c;
    struct iovec io = { &c, 1 };
    return told(process_vm_readv(getppid(), &io, 1, &io, 1, 0));
}
static long connect_out(void)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = 1 };
    return told(connect(0, (struct sockaddr *)&a, sizeof(a)));
}
static long bind_port(void)
{
    struct sockaddr_in a = { .sin_family = AF_INET };
    return told(bind(0, (struct sockaddr *)&a, sizeof(a)));
}
static long mount_something(void)
{
    return told(mount("none", "/mnt", "tmpfs", 0, NULL));
}
static long load_bpf(void)
{
    union bpf_attr a = { 0 };
    return told(syscall(SYS_bpf, 0, &a, sizeof(a)));
}
#ifdef __x86_64__
/* The calls of other ABIs have other numbers. */
static long old_abi(void)
{
    long r = 20; /* getpid there */
    __asm__ volatile("int $0x80" : "+a"(r) : : "memory");
    return r < 0 ? -r : 0;
}
static long x32_abi(void)
{
    return told(syscall(0x40000000 | SYS_open, "/etc/passwd", O_RDONLY));
}
#endif

/* ---- what works ---- */

static void *add_one(void *arg)
{
    char *p = malloc(1 << 20);

    if (!p)
        return NULL;
    memset(p, 1, 1 << 20);
    __atomic_add_fetch((int *)arg, p[77], __ATOMIC_SEQ_CST);
    free(p);
    return arg;
}

static long threads_and_memory(void)
{
    pthread_t t[8];
    int sum = 0;

    for (int i = 0; i < 8; i++)
        if (pthread_create(&t[i], NULL, add_one, &sum) != 0)
            return 1;
    for (int i = 0; i < 8; i++)
        (void)pthread_join(t[i], NULL);
    char *p = malloc(64 << 20);
    if (!p)
        return 2;
    memset(p, 7, 64 << 20);
    char *q = realloc(p, 96 << 20);
    long r = !q || q[(64 << 20) - 1] != 7;
    free(q);
    return sum != 8 ? 3 : r ? 4 : 0;
}

static long pipes_go_on(void);
static int pipe_fds[2];

static long pipes_go_on(void)
{
    char buf[4] = "";

    if (write(pipe_fds[1], "abc", 3) != 3 || read(pipe_fds[0], buf, 3) != 3)
        return 1;
    return strcmp(buf, "abc") != 0;
}

static long limits_are_set(void)
{
    struct rlimit l;

    /* prctl and getrlimit aren't allowed any more: /proc isn't either. */
    return getrlimit(RLIMIT_CORE, &l) == 0 && l.rlim_cur != 0;
}

static long time_passes(void)
{
    struct timespec ts;
    return clock_gettime(CLOCK_MONOTONIC, &ts) == 0 && sysconf(_SC_PAGESIZE) > 0 ? 0 : 1;
}

static long abort_it(void)
{
    abort();
}

/* ---- facts ---- */

static const struct row {
    const char *fact;
    long (*what)(void);
} refused[] = {
    {"a file is not opened",                        open_file              },
    { "a file is not made",                         create_file            },
    { "a socket is not made",                       make_socket            },
    { "a pair of sockets is not made",              make_pair              },
    { "fork() is refused",                          fork_once              },
    { "a clone without CLONE_THREAD is refused",    plain_clone            },
    { "a namespace is not made",                    new_namespace          },
    { "no other process is signalled",              signal_parent          },
    { "nor one of its threads",                     signal_thread_of_parent},
    { "no file is looked at",                       look_at_file           },
    { "no file is removed",                         remove_file            },
    { "no file is renamed",                         rename_file            },
    { "no folder is made",                          make_folder            },
    { "the root is not changed",                    change_root            },
    { "the user is not changed",                    become_root            },
    { "a limit is not raised",                      raise_limit            },
    { "a memory file is not made",                  memory_file            },
    { "shared memory is not made",                  shared_memory          },
    { "an io_uring is not made",                    io_ring                },
    { "a device is not controlled",                 control_terminal       },
}, deadly[] = {
    {"a program is not run",                        run_program            },
    { "no process is traced",                       trace_parent           },
    { "no process is read",                         read_parent            },
    { "connect() is deadly",                        connect_out            },
    { "bind() is deadly",                           bind_port              },
    { "mount() is deadly",                          mount_something        },
    { "bpf() is deadly",                            load_bpf               },
#ifdef __x86_64__
    { "the 32-bit calls are deadly",                old_abi                },
    { "the x32 calls are deadly",                   x32_abi                },
#endif
}, working[] = {
    {"threads and memory go on",                    threads_and_memory     },
    { "what is open goes on",                       pipes_go_on            },
    { "there will be no core file",                 limits_are_set         },
    { "time goes on",                               time_passes            },
};

static void what_is_outside_is_refused(void **state)
{
    (void)state;
    if (!FILTERED)
        skip();
    for (size_t i = 0; i < sizeof(refused) / sizeof(*refused); i++) {
        int status = inside(refused[i].what);
        if (!WIFEXITED(status) || WEXITSTATUS(status) != EPERM)
            fail_msg("%s: status 0x%x, not EPERM", refused[i].fact, status);
    }
}

static void what_only_an_attacker_does_is_deadly(void **state)
{
    (void)state;
    if (!FILTERED)
        skip();
    for (size_t i = 0; i < sizeof(deadly) / sizeof(*deadly); i++) {
        int status = inside(deadly[i].what);
        if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGSYS)
            fail_msg("%s: status 0x%x, not SIGSYS", deadly[i].fact, status);
    }
}

static void work_goes_on(void **state)
{
    (void)state;
    assert_int_equal(pipe(pipe_fds), 0);
    for (size_t i = 0; i < sizeof(working) / sizeof(*working); i++) {
        int status = inside(working[i].what);
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
            fail_msg("%s: status 0x%x", working[i].fact, status);
    }
    (void)close(pipe_fds[0]);
    (void)close(pipe_fds[1]);
}

/* Otherwise a failed assertion of a codec would look like an attack. */
static void abort_is_still_an_abort(void **state)
{
    (void)state;
    int status = inside(abort_it);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_outside_is_refused),
        cmocka_unit_test(what_only_an_attacker_does_is_deadly),
        cmocka_unit_test(work_goes_on),
        cmocka_unit_test(abort_is_still_an_abort),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
