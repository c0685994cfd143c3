#include "child.h"

#include "../base/cleanup.h"
#include "../base/err.h"
#include "child_parts.h"
#include "gopmill-config.h"
#include "proto.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

/* ---- finding and starting the program ---- */

static int beside_self(const char *name, char *ret, size_t size)
{
    ssize_t n = readlink("/proc/self/exe", ret, size - 1);
    if (n <= 0)
        return -ENOENT;
    ret[n] = '\0';
    char *slash = strrchr(ret, '/');
    size_t left = size - (size_t)(slash + 1 - ret);
    int w = snprintf(slash + 1, left, "%s", name);
    return w < 0 || (size_t)w >= left ? -ENAMETOOLONG : 0;
}

int child_program(char *ret, size_t size, struct err *err)
{
    static const char *const places[] = { "gopmill-child", "child/gopmill-child",
                                          "../cli/child/gopmill-child",
                                          "../../cli/child/gopmill-child" };
    const char *env = getenv("GOPMILL_CHILD");

    if (env && snprintf(ret, size, "%s", env) < (int)size && access(ret, X_OK) == 0)
        return 0;
    for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++)
        if (beside_self(places[i], ret, size) == 0 && access(ret, X_OK) == 0)
            return 0;
    if (snprintf(ret, size, "%s/gopmill-child", GOPMILL_LIBEXEC) < (int)size &&
        access(ret, X_OK) == 0)
        return 0;
    return err_set(err, -ENOENT, ERR_RESOURCE,
                   "the program gopmill-child is neither beside this one nor in %s; set "
                   "GOPMILL_CHILD to where it is",
                   GOPMILL_LIBEXEC);
}

static char **child_environment(char **buf, size_t max)
{
    static const char *const kept[] = { "ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS" };
    size_t n = 0;

    for (size_t i = 0; i < sizeof(kept) / sizeof(*kept) && n + 1 < max; i++) {
        const char *v = getenv(kept[i]);
        if (v && asprintf(&buf[n], "%s=%s", kept[i], v) >= 0)
            n++;
    }
    buf[n] = NULL;
    return buf;
}

/* `argument` may be NULL. */
int child_spawn(const char *program, const char *argument, int session, const struct child_ends *e,
                pid_t *ret)
{
    posix_spawn_file_actions_t fa;
    posix_spawnattr_t attr;
    char *argv[] = { (char *)"gopmill-child", (char *)argument, NULL };
    char *env[8] = { NULL };
    sigset_t none;

    sigemptyset(&none);
    posix_spawn_file_actions_init(&fa);
    posix_spawnattr_init(&attr);
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | (session ? POSIX_SPAWN_SETSID : 0));
    posix_spawn_file_actions_addopen(&fa, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&fa, 1, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_adddup2(&fa, e->err_pipe, 2);
    posix_spawn_file_actions_adddup2(&fa, e->sock, PROTO_FD);
    posix_spawn_file_actions_addclosefrom_np(&fa, PROTO_FD + 1);
    int r = posix_spawn(ret, program, &fa, &attr, argv, child_environment(env, 8));
    posix_spawn_file_actions_destroy(&fa);
    posix_spawnattr_destroy(&attr);
    for (char **x = env; *x; x++)
        free(*x);
    return -r;
}

/* Best effort, and now, while the child has one thread: those of its codecs inherit it. Niceness
 * alone says nothing across sessions where the kernel groups those (sched(7), autogroup): there
 * the session has one of its own, which is why such a child leads one. */
static void make_humble(pid_t pid, int nice)
{
    char path[64];

    (void)setpriority(PRIO_PROCESS, (id_t)pid, getpriority(PRIO_PROCESS, 0) + nice);
    (void)snprintf(path, sizeof(path), "/proc/%d/autogroup", (int)pid);
    _cleanup_fd_ int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd >= 0)
        (void)!dprintf(fd, "%d", getpriority(PRIO_PROCESS, (id_t)pid));
}

int child_file_above(int *fd)
{
    int n = fcntl(*fd, F_DUPFD_CLOEXEC, PROTO_FD + 1);
    if (n < 0)
        return -errno;
    (void)close(*fd);
    *fd = n;
    return 0;
}

/* The child's ends are *ret; what is there of them is to be closed, also after an error. */
static int open_ends(struct child *c, struct child_ends *ret)
{
    int socks[2] = { -1, -1 }, pipes[2] = { -1, -1 };
    int r = 0;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, socks) < 0 ||
        pipe2(pipes, O_CLOEXEC) < 0)
        r = -errno;
    if (r == 0)
        r = child_file_above(&socks[1]);
    if (r == 0)
        r = child_file_above(&pipes[1]);
    if (r == 0 &&
        (fcntl(socks[0], F_SETFL, O_NONBLOCK) < 0 || fcntl(pipes[0], F_SETFL, O_NONBLOCK) < 0))
        r = -errno;
    c->sock = socks[0];
    c->err_pipe = pipes[0];
    *ret = (struct child_ends){ socks[1], pipes[1] };
    return r;
}

void child_ends_close(struct child_ends *e)
{
    if (e->sock >= 0)
        (void)close(e->sock);
    if (e->err_pipe >= 0)
        (void)close(e->err_pipe);
    *e = (struct child_ends){ -1, -1 };
}

struct child *child_new(struct child_ends *ret, struct err *err)
{
    struct child *c = calloc(1, sizeof(*c));

    *ret = (struct child_ends){ -1, -1 };
    if (!c) {
        (void)err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory for a child");
        return NULL;
    }
    c->pid = -1;
    c->sock = c->err_pipe = c->pidfd = -1;
    int r = open_ends(c, ret);
    if (r == 0)
        return c;
    child_ends_close(ret);
    child_free(c);
    (void)err_set(err, r, ERR_RESOURCE, "no sockets for a child: %s", strerror(-r));
    return NULL;
}

int child_begins(struct child *c, int nice)
{
    if (nice > 0)
        make_humble(c->pid, nice);
    c->pidfd = pidfd_open(c->pid, 0);
    return c->pidfd < 0 ? -errno : 0;
}

int child_start_humble(int nice, struct child **ret, struct err *err)
{
    char program[4096];
    struct child_ends ends;
    int r = child_program(program, sizeof(program), err);

    if (r < 0)
        return r;
    struct child *c = child_new(&ends, err);
    if (!c)
        return -EAGAIN;
    r = child_spawn(program, NULL, nice > 0, &ends, &c->pid);
    child_ends_close(&ends);
    if (r == 0)
        r = child_begins(c, nice);
    if (r < 0) {
        child_free(c);
        return err_set(err, r, ERR_RESOURCE, "%s can't be started: %s", program, strerror(-r));
    }
    *ret = c;
    return 0;
}

int child_start(struct child **ret, struct err *err)
{
    return child_start_humble(0, ret, err);
}

/* ---- last words ---- */

void child_remember(struct child *c, const char *text, size_t n)
{
    if (n > WORDS_MAX / 2) {
        text += n - WORDS_MAX / 2;
        n = WORDS_MAX / 2;
    }
    if (c->n_words + n > WORDS_MAX) {
        size_t drop = c->n_words + n - WORDS_MAX;
        memmove(c->words, c->words + drop, c->n_words - drop);
        c->n_words -= drop;
    }
    memcpy(c->words + c->n_words, text, n);
    c->n_words += n;
}

void child_drain_stderr(struct child *c)
{
    char buf[1024];
    ssize_t n;

    /* Not to its end: a child can write as fast as this reads. */
    for (int i = 0; i < 128 && c->err_pipe >= 0; i++) {
        n = read(c->err_pipe, buf, sizeof(buf));
        if (n <= 0)
            break;
        child_remember(c, buf, (size_t)n);
    }
}

/* The child has closed it: poll() would return at once from now on. */
void child_close_stderr(struct child *c)
{
    (void)close(c->err_pipe);
    c->err_pipe = -1;
}

/* The last line or two of it, on one line. */
const char *child_last_words(struct child *c, char *ret, size_t size)
{
    size_t n = c->n_words < size - 1 ? c->n_words : size - 1;

    memcpy(ret, c->words + c->n_words - n, n);
    ret[n] = '\0';
    for (char *p = ret; *p; p++)
        if ((unsigned char)*p < ' ')
            *p = ' ';
    while (n > 0 && ret[n - 1] == ' ')
        ret[--n] = '\0';
    while (*ret == ' ')
        ret++;
    return ret;
}

/* ---- the end ---- */

void child_stop(struct child *c)
{
    if (c->reaped || c->pid <= 0)
        return;
    if (c->pidfd >= 0)
        (void)pidfd_send_signal(c->pidfd, SIGKILL, NULL, 0);
    else /* there was no descriptor left for one; nobody has reaped it, so the pid is still its own
          */
        (void)kill(c->pid, SIGKILL);
    while (wait4(c->pid, &c->status, 0, &c->rusage) < 0 && errno == EINTR)
        ;
    c->reaped = 1;
}

void child_kill(struct child *c)
{
    atomic_store(&c->killed, 1);
    if (c->pidfd >= 0)
        (void)pidfd_send_signal(c->pidfd, SIGKILL, NULL, 0);
}

int child_pid(const struct child *c)
{
    return (int)c->pid;
}

int child_is_alive(const struct child *c)
{
    struct pollfd p = { .fd = c->pidfd, .events = POLLIN };

    return poll(&p, 1, 0) == 0;
}

void child_free(struct child *c)
{
    if (!c)
        return;
    child_stop(c);
    if (c->sock >= 0)
        (void)close(c->sock);
    if (c->err_pipe >= 0)
        (void)close(c->err_pipe);
    if (c->pidfd >= 0)
        (void)close(c->pidfd);
    free(c);
}
