#include "nest.h"

#include "../base/err.h"
#include "child_parts.h"
#include "proto.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ANSWER_MS = 20000 }; /* loading included; a machine that swaps is slow */

struct nest {
    pid_t pid; /* -1: doesn't run */
    int ctl;
};

struct nest *nest_new(void)
{
    struct nest *n = calloc(1, sizeof(*n));

    if (n)
        *n = (struct nest){ .pid = -1, .ctl = -1 };
    return n;
}

static void stop(struct nest *n)
{
    if (n->ctl >= 0)
        (void)close(n->ctl);
    if (n->pid > 0) {
        (void)kill(n->pid, SIGKILL);
        while (waitpid(n->pid, NULL, 0) < 0 && errno == EINTR)
            ;
    }
    *n = (struct nest){ .pid = -1, .ctl = -1 };
}

static int start(struct nest *n)
{
    char program[4096];
    int socks[2];
    int r = child_program(program, sizeof(program), NULL);

    if (r < 0)
        return r;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, socks) < 0)
        return -errno;
    n->ctl = socks[0];
    struct child_ends e = { socks[1], open("/dev/null", O_WRONLY | O_CLOEXEC) };
    r = e.err_pipe < 0 ? -errno : child_file_above(&e.sock);
    if (r == 0)
        r = child_file_above(&e.err_pipe);
    if (r == 0)
        r = child_spawn(program, PROTO_NEST, 0, &e, &n->pid);
    child_ends_close(&e);
    if (r < 0)
        stop(n);
    return r;
}

void nest_warm(struct nest *n)
{
    if (n->pid < 0)
        (void)start(n);
}

static int ask(const struct nest *n, int session, const struct child_ends *e)
{
    union {
        struct cmsghdr align;
        char buf[CMSG_SPACE(2 * sizeof(int))];
    } fds = { .buf = { 0 } };
    struct iovec iov = { &session, sizeof(session) };
    struct msghdr m = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = fds.buf, .msg_controllen = sizeof(fds.buf)
    };
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);

    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(2 * sizeof(int));
    memcpy(CMSG_DATA(c), (int[]){ e->sock, e->err_pipe }, 2 * sizeof(int));
    return sendmsg(n->ctl, &m, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* The child's pid, as it tells it. *ret is untouched where there is none. */
static int answer(const struct nest *n, pid_t *ret)
{
    struct pollfd p = { .fd = n->ctl, .events = POLLIN };
    pid_t pid = 0;
    int r;

    do
        r = poll(&p, 1, ANSWER_MS);
    while (r < 0 && errno == EINTR);
    if (r <= 0)
        return r < 0 ? -errno : -ETIMEDOUT;
    ssize_t got = recv(n->ctl, &pid, sizeof(pid), 0);
    if (got != (ssize_t)sizeof(pid))
        return got < 0 ? -errno : -EPIPE;
    if (pid <= 0)
        return -EAGAIN; /* it could not fork */
    *ret = pid;
    return 0;
}

static int hatch(struct nest *n, int nice, struct child **ret)
{
    struct child_ends e;
    struct child *c = child_new(&e, NULL);

    if (!c)
        return -EAGAIN;
    int r = ask(n, nice > 0, &e);
    child_ends_close(&e);
    if (r == 0)
        r = answer(n, &c->pid);
    if (r == 0)
        r = child_begins(c, nice);
    if (r < 0) {
        child_free(c);
        return r;
    }
    *ret = c;
    return 0;
}

int nest_child(struct nest *n, int nice, struct child **ret, struct err *err)
{
    nest_warm(n);
    if (n->pid > 0 && hatch(n, nice, ret) == 0)
        return 0;
    stop(n);
    return child_start_humble(nice, ret, err);
}

void nest_free(struct nest *n)
{
    if (n)
        stop(n);
    free(n);
}
