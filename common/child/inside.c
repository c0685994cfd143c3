#include "inside.h"

#include "../base/cleanup.h"
#include "../base/err.h"
#include "../base/range.h"
#include "jail.h"
#include "proto.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/uio.h>
#include <time.h>

struct inside {
    int fd;
    uint64_t source_size;
    int64_t last_progress_ms;
};

enum { PROGRESS_EVERY_MS = 100 };

static int64_t now_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static int recv_all(int fd, void *buf, size_t len)
{
    char *p = buf;

    while (len > 0) {
        ssize_t n = read(fd, p, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -EPIPE;
        p += n;
        len -= (size_t)n;
    }
    return 0;
}

static int send_iov(int fd, struct iovec *iov, int n)
{
    while (n > 0) {
        ssize_t w = writev(fd, iov, n);
        if (w < 0 && errno == EINTR)
            continue;
        if (w < 0)
            return -errno;
        while (n > 0 && (size_t)w >= iov->iov_len) {
            w -= (ssize_t)iov->iov_len;
            iov++;
            n--;
        }
        if (n > 0) {
            iov->iov_base = (char *)iov->iov_base + w;
            iov->iov_len -= (size_t)w;
        }
    }
    return 0;
}

/* A message of two parts; a parent that is gone is no error worth words. */
static int send_message(int fd, enum proto_type type, const void *a, size_t na, const void *b,
                        size_t nb)
{
    struct proto_header h = { .type = type, .len = (uint32_t)(na + nb) };
    struct iovec iov[] = {
        {&h,         sizeof(h)},
        { (void *)a, na       },
        { (void *)b, nb       },
    };

    return send_iov(fd, iov, nb > 0 ? 3 : 2);
}

uint64_t inside_source_size(const struct inside *in)
{
    return in->source_size;
}

int inside_read(struct inside *in, uint64_t off, void *buf, size_t len, size_t *ret_n,
                struct err *err)
{
    struct proto_header h;
    struct proto_read rq = { .off = off, .len = (uint32_t)len };

    if (len > PROTO_READ_MAX)
        rq.len = PROTO_READ_MAX;
    int r = send_message(in->fd, PROTO_READ, &rq, sizeof(rq), NULL, 0);
    if (r == 0)
        r = recv_all(in->fd, &h, sizeof(h));
    if (r == 0 && (h.type != PROTO_DATA || h.len > rq.len))
        r = -EPROTO;
    if (r == 0)
        r = recv_all(in->fd, buf, h.len);
    if (r < 0)
        return err_set(err, r, ERR_INTERNAL, "the parent of this child is gone");
    *ret_n = h.len;
    return 0;
}

/* As many of them as fit into one message. */
static size_t batch_of(const struct read_range *v, size_t n, struct proto_read *rq)
{
    size_t k = 0, bytes = 0;

    while (k < n && k < PROTO_MANY_MAX && bytes + v[k].len <= PROTO_READ_MAX) {
        rq[k] = (struct proto_read){ .off = v[k].off, .len = (uint32_t)v[k].len };
        bytes += v[k++].len;
    }
    return k;
}

static int receive_many(int fd, struct read_range *v, size_t n)
{
    uint32_t lengths[PROTO_MANY_MAX];
    struct proto_header h;
    int r = recv_all(fd, &h, sizeof(h));

    if (r == 0 && (h.type != PROTO_DATA || h.len < n * sizeof(lengths[0])))
        r = -EPROTO;
    if (r == 0)
        r = recv_all(fd, lengths, n * sizeof(lengths[0]));
    for (size_t i = 0; i < n && r == 0; i++) {
        v[i].n = lengths[i];
        r = lengths[i] <= v[i].len ? recv_all(fd, v[i].buf, lengths[i]) : -EPROTO;
    }
    return r;
}

int inside_read_many(struct inside *in, struct read_range *v, size_t n, struct err *err)
{
    struct proto_read rq[PROTO_MANY_MAX];
    int r = 0;

    for (size_t at = 0, k; at < n && r == 0; at += k) {
        k = batch_of(v + at, n - at, rq);
        if (k == 0)
            return err_set(err, -EINVAL, ERR_INTERNAL, "a read of %zu bytes is too large",
                           v[at].len);
        r = send_message(in->fd, PROTO_READ_MANY, rq, k * sizeof(rq[0]), NULL, 0);
        if (r == 0)
            r = receive_many(in->fd, v + at, k);
    }
    return r < 0 ? err_set(err, r, ERR_INTERNAL, "the parent of this child is gone") : 0;
}

int inside_object(struct inside *in, const char *name, const void *buf, size_t len, struct err *err)
{
    uint32_t name_len = (uint32_t)strlen(name);
    struct proto_header h = { .type = PROTO_OBJECT,
                              .len = (uint32_t)(sizeof(name_len) + name_len + len) };
    struct iovec iov[] = {
        {&h,            sizeof(h)       },
        { &name_len,    sizeof(name_len)},
        { (void *)name, name_len        },
        { (void *)buf,  len             },
    };

    if (name_len > PROTO_NAME_MAX || len > PROTO_OBJECT_MAX)
        return err_set(err, -EMSGSIZE, ERR_UNSUPPORTED,
                       "%s: %zu bytes are more than the limit of %d", name, len, PROTO_OBJECT_MAX);
    int r = send_iov(in->fd, iov, 4);
    return r < 0 ? err_set(err, r, ERR_INTERNAL, "the parent of this child is gone") : 0;
}

void inside_progress(struct inside *in, uint64_t done)
{
    int64_t now = now_ms();

    if (now - in->last_progress_ms < PROGRESS_EVERY_MS)
        return;
    in->last_progress_ms = now;
    (void)send_message(in->fd, PROTO_PROGRESS, &done, sizeof(done), NULL, 0);
}

void inside_log(struct inside *in, const char *fmt, ...)
{
    char text[PROTO_LOG_MAX];
    va_list ap;

    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    if (n > 0)
        (void)send_message(in->fd, PROTO_LOG, text, strnlen(text, sizeof(text)), NULL, 0);
}

static void send_failure(struct inside *in, int r, const struct err *e)
{
    struct {
        uint32_t cls;
        int32_t r;
    } head = { (uint32_t)(e->cls == ERR_NONE ? ERR_INTERNAL : e->cls), r };
    const char *text = e->text[0] ? e->text : "failed without saying why";

    (void)send_message(in->fd, PROTO_FAILURE, &head, sizeof(head), text, strlen(text));
}

static const struct child_job *find_job(const struct child_job *jobs, const char *kind)
{
    for (; jobs->kind; jobs++)
        if (strcmp(jobs->kind, kind) == 0)
            return jobs;
    return NULL;
}

/* The JOB message, NUL-terminated. */
static int receive_job(int fd, char **ret, size_t *ret_len)
{
    struct proto_header h;
    int r = recv_all(fd, &h, sizeof(h));

    if (r < 0)
        return r;
    if (h.type != PROTO_JOB || h.len < sizeof(uint64_t) + 2 || h.len > PROTO_JSON_MAX)
        return -EPROTO;
    _cleanup_free_ char *buf = malloc((size_t)h.len + 1);
    if (!buf)
        return -ENOMEM;
    r = recv_all(fd, buf, h.len);
    if (r < 0)
        return r;
    buf[h.len] = '\0';
    *ret = take_ptr(buf);
    *ret_len = h.len;
    return 0;
}

static void run_job(struct inside *in, const struct child_job *jobs, const char *msg, size_t len)
{
    struct err err = { 0 };
    _cleanup_free_ char *result = NULL;

    memcpy(&in->source_size, msg, sizeof(in->source_size));
    const char *kind = msg + sizeof(in->source_size);
    const char *request = kind + strlen(kind) + 1;
    if (request > msg + len)
        request = msg + len;

    const struct child_job *job = find_job(jobs, kind);
    int r = job ? job->run(in, request, &result, &err)
                : err_set(&err, -ENOSYS, ERR_INTERNAL, "this child knows no job '%.40s'", kind);
    if (r < 0)
        send_failure(in, r, &err);
    else
        (void)send_message(in->fd, PROTO_RESULT, result, strlen(result), NULL, 0);
}

int inside_main(int argc, char **argv, const struct child_job *jobs)
{
    struct inside in = { .fd = PROTO_FD };
    _cleanup_free_ char *msg = NULL;
    struct err err = { 0 };
    size_t len;
    char c;

    if (argc > 1 && strcmp(argv[1], PROTO_NEST) == 0 && inside_nest() != 0)
        return 0;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    /* x264 asks for huge pages: 20 MB more in a child with a ladder of 1080p, and no time won. */
    (void)prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
    (void)signal(SIGPIPE, SIG_IGN);
    /* Ctrl-C goes to the whole group; it is for the parent to decide. */
    (void)signal(SIGINT, SIG_IGN);
    int r = jail_enter(&err);
    if (r < 0) {
        send_failure(&in, r, &err);
        return 1;
    }
    if (receive_job(in.fd, &msg, &len) < 0)
        return 1;
    run_job(&in, jobs, msg, len);
    (void)!read(in.fd, &c, 1);
    return 0;
}
