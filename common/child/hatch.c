/* The nest's own side (nest.h): waits to be asked, forks, and waits again. */
#include "../base/cleanup.h"
#include "inside.h"
#include "proto.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* What a child shall be. */
struct egg {
    int session, sock, err_pipe;
};

static int receive(struct egg *ret)
{
    union {
        struct cmsghdr align;
        char buf[CMSG_SPACE(2 * sizeof(int))];
    } fds;
    struct iovec iov = { &ret->session, sizeof(ret->session) };
    struct msghdr m = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = fds.buf, .msg_controllen = sizeof(fds.buf)
    };
    ssize_t n;

    do
        n = recvmsg(PROTO_FD, &m, MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    struct cmsghdr *c = n > 0 ? CMSG_FIRSTHDR(&m) : NULL;
    if (n != (ssize_t)sizeof(ret->session) || !c || c->cmsg_type != SCM_RIGHTS ||
        c->cmsg_len != CMSG_LEN(2 * sizeof(int)))
        return n < 0 ? -errno : -EPIPE;
    memcpy(&ret->sock, CMSG_DATA(c), sizeof(int));
    memcpy(&ret->err_pipe, CMSG_DATA(c) + sizeof(int), sizeof(int));
    return 0;
}

/* A brother, not a son: it is our parent's to wait for, and dies with it (CLONE_PARENT,
 * clone(2)). No library has a thread here, so none holds a lock. glibc isn't told: what it
 * remembers as the thread's id stays ours, which nobody else has while we live. */
static pid_t fork_brother(void)
{
    return (pid_t)syscall(SYS_clone, CLONE_PARENT | SIGCHLD, NULL, NULL, NULL, NULL);
}

static void tell(pid_t pid)
{
    (void)!send(PROTO_FD, &pid, sizeof(pid), MSG_NOSIGNAL);
}

/* In the child. It tells of itself: its session is what its parent waits for. */
static int leave_nest(const struct egg *e)
{
    if (e->session)
        (void)setsid();
    tell(getpid());
    if (dup2(e->sock, PROTO_FD) < 0 || dup2(e->err_pipe, STDERR_FILENO) < 0)
        return -errno;
    (void)close(e->sock);
    (void)close(e->err_pipe);
    return 0;
}

int inside_nest(void)
{
    struct egg e;

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)signal(SIGINT, SIG_IGN);
    while (receive(&e) == 0) {
        pid_t pid = fork_brother();
        if (pid == 0)
            return leave_nest(&e) < 0;
        (void)close(e.sock);
        (void)close(e.err_pipe);
        if (pid < 0)
            tell(0);
    }
    return 1;
}
