/* child_run(): the parent's end of the protocol. */
#include "../base/cleanup.h"
#include "../base/err.h"
#include "../base/range.h"
#include "child_parts.h"
#include "proto.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

enum { DYING_MS = 5000 }; /* from the end of the stream to the end of the process */

/* What child_run() knows while it serves. */
struct service {
    struct child *c;
    const struct child_handler *h;
    const struct child_limits *limits;
    int64_t start_ns, heard_ns;
    uint64_t bytes_read;
    char *result; /* owned */
    struct err *err;
};

static int64_t now_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec;
}

/* ---- bytes ---- */

static int64_t time_left_ms(const struct service *s)
{
    int64_t now = now_ns(), left = 60000;
    const struct child_limits *l = s->limits;

    if (l && l->stall_ms > 0 && l->stall_ms - (now - s->heard_ns) / 1000000 < left)
        left = l->stall_ms - (now - s->heard_ns) / 1000000;
    if (l && l->deadline_ms > 0 && l->deadline_ms - (now - s->start_ns) / 1000000 < left)
        left = l->deadline_ms - (now - s->start_ns) / 1000000;
    return left;
}

static int timed_out(const struct service *s)
{
    const struct child_limits *l = s->limits;
    int64_t now = now_ns();

    if (l->deadline_ms > 0 && now - s->start_ns >= l->deadline_ms * 1000000)
        return err_set(s->err, -ETIMEDOUT, ERR_TIMEOUT, "not finished after %.1f s, its deadline",
                       (double)l->deadline_ms / 1000);
    return err_set(s->err, -ETIMEDOUT, ERR_TIMEOUT, "no progress for %.1f s",
                   (double)l->stall_ms / 1000);
}

/* Wait until the socket is ready for `events`, serving stderr meanwhile. */
static int wait_ready(struct service *s, short events)
{
    for (;;) {
        struct pollfd p[2] = {
            {.fd = s->c->sock,      .events = events},
            { .fd = s->c->err_pipe, .events = POLLIN},
        };
        int64_t left = time_left_ms(s);
        if (left <= 0)
            return timed_out(s);
        int n = poll(p, 2, (int)left);
        if (n < 0 && errno != EINTR)
            return err_set(s->err, -errno, ERR_INTERNAL, "waiting for a child: %s",
                           strerror(errno));
        if (n > 0 && p[1].revents & POLLIN)
            child_drain_stderr(s->c);
        else if (n > 0 && p[1].revents)
            child_close_stderr(s->c);
        if (n > 0 && p[0].revents)
            return 0;
    }
}

static int send_all(struct service *s, const void *buf, size_t len)
{
    const char *p = buf;

    while (len > 0) {
        ssize_t n = send(s->c->sock, p, len, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN) {
            int r = wait_ready(s, POLLOUT);
            if (r < 0)
                return r;
            continue;
        }
        if (n < 0)
            return -EPIPE;
        p += n;
        len -= (size_t)n;
    }
    return 0;
}

/* -EPIPE at the end of the stream: the child is gone. */
static int recv_all(struct service *s, void *buf, size_t len)
{
    char *p = buf;

    while (len > 0) {
        ssize_t n = recv(s->c->sock, p, len, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN) {
            int r = wait_ready(s, POLLIN);
            if (r < 0)
                return r;
            continue;
        }
        if (n <= 0)
            return -EPIPE;
        p += n;
        len -= (size_t)n;
    }
    return 0;
}

/* ---- messages ---- */

static int broken(struct service *s, const char *what)
{
    return err_set(s->err, -EPROTO, ERR_INTERNAL, "the child broke the protocol: %s", what);
}

/* The payload, NUL-terminated. */
static int recv_payload(struct service *s, uint32_t len, uint32_t max, const char *what, char **ret)
{
    if (len > max)
        return broken(s, what);
    _cleanup_free_ char *buf = malloc((size_t)len + 1);
    if (!buf)
        return err_set(s->err, -ENOMEM, ERR_RESOURCE, "out of memory for %u bytes of a child", len);
    int r = recv_all(s, buf, len);
    if (r < 0)
        return r;
    buf[len] = '\0';
    *ret = take_ptr(buf);
    return 0;
}

static int serve_read(struct service *s, uint32_t len)
{
    struct proto_read rq;
    struct proto_header h = { .type = PROTO_DATA };
    size_t n = 0;

    if (len != sizeof(rq))
        return broken(s, "size of a read request");
    int r = recv_all(s, &rq, sizeof(rq));
    if (r < 0)
        return r;
    if (rq.len > PROTO_READ_MAX)
        return broken(s, "a read of too many bytes");
    _cleanup_free_ char *buf = malloc(sizeof(h) + rq.len);
    if (!buf)
        return err_set(s->err, -ENOMEM, ERR_RESOURCE, "out of memory for a read");
    r = s->h->read(s->h->arg, rq.off, buf + sizeof(h), rq.len, &n, s->err);
    if (r < 0)
        return r;
    h.len = (uint32_t)n;
    memcpy(buf, &h, sizeof(h));
    s->bytes_read += n;
    /* However long the store took, it wasn't the child's silence. */
    s->heard_ns = now_ns();
    return send_all(s, buf, sizeof(h) + n);
}

/* One after the other, where whoever serves knows no better. */
static int read_each(struct service *s, struct read_range *v, size_t n)
{
    int r = 0;

    for (size_t i = 0; i < n && r == 0; i++)
        r = s->h->read(s->h->arg, v[i].off, v[i].buf, v[i].len, &v[i].n, s->err);
    return r;
}

/* The answer: header, lengths, bytes. They were read to where all of them would lie, and close
 * up where some are short. */
static int send_many(struct service *s, char *buf, const struct read_range *v, uint32_t n)
{
    struct proto_header h = { .type = PROTO_DATA };
    char *end = buf + sizeof(h) + n * sizeof(uint32_t);

    for (uint32_t i = 0; i < n; i++) {
        uint32_t k = (uint32_t)v[i].n;
        memcpy(buf + sizeof(h) + i * sizeof(k), &k, sizeof(k));
        memmove(end, v[i].buf, k);
        end += k;
        s->bytes_read += k;
    }
    h.len = (uint32_t)(end - buf - (ptrdiff_t)sizeof(h));
    memcpy(buf, &h, sizeof(h));
    s->heard_ns = now_ns();
    return send_all(s, buf, (size_t)(end - buf));
}

static int serve_read_many(struct service *s, uint32_t len)
{
    struct proto_read rq[PROTO_MANY_MAX];
    struct read_range v[PROTO_MANY_MAX];
    uint32_t n = len / sizeof(rq[0]);
    size_t head = sizeof(struct proto_header) + n * sizeof(uint32_t), bytes = 0;

    if (len == 0 || len > sizeof(rq) || len % sizeof(rq[0]) != 0)
        return broken(s, "size of a read request");
    int r = recv_all(s, rq, len);
    if (r < 0)
        return r;
    for (uint32_t i = 0; i < n; i++) {
        bytes += rq[i].len;
        if (rq[i].len > PROTO_READ_MAX || bytes > PROTO_READ_MAX)
            return broken(s, "a read of too many bytes");
    }
    _cleanup_free_ char *buf = malloc(head + bytes);
    if (!buf)
        return err_set(s->err, -ENOMEM, ERR_RESOURCE, "out of memory for a read");
    for (size_t i = 0, at = head; i < n; at += rq[i++].len)
        v[i] = (struct read_range){ .off = rq[i].off, .len = rq[i].len, .buf = buf + at };
    r = s->h->read_many ? s->h->read_many(s->h->arg, v, n, s->err) : read_each(s, v, n);
    return r < 0 ? r : send_many(s, buf, v, n);
}

static int serve_object(struct service *s, uint32_t len)
{
    _cleanup_free_ char *buf = NULL;
    uint32_t name_len;
    char name[PROTO_NAME_MAX + 1];

    if (!s->h->object)
        return broken(s, "an object where none is wanted");
    int r = recv_payload(s, len, PROTO_OBJECT_MAX + PROTO_NAME_MAX + 4, "size of an object", &buf);
    if (r < 0)
        return r;
    if (len < sizeof(name_len))
        return broken(s, "size of an object");
    memcpy(&name_len, buf, sizeof(name_len));
    if (name_len > PROTO_NAME_MAX || name_len > len - sizeof(name_len))
        return broken(s, "name of an object");
    memcpy(name, buf + sizeof(name_len), name_len);
    name[name_len] = '\0';
    size_t head = sizeof(name_len) + name_len;
    r = s->h->object(s->h->arg, name, buf + head, len - head, s->err);
    s->heard_ns = now_ns();
    return r;
}

static int serve_progress(struct service *s, uint32_t len)
{
    uint64_t done;

    if (len != sizeof(done))
        return broken(s, "size of a progress message");
    int r = recv_all(s, &done, sizeof(done));
    if (r == 0 && s->h->progress)
        s->h->progress(s->h->arg, done);
    return r;
}

static int serve_failure(struct service *s, uint32_t len)
{
    _cleanup_free_ char *buf = NULL;
    uint32_t cls;
    int32_t code;
    int r = recv_payload(s, len, PROTO_LOG_MAX, "size of a failure", &buf);

    if (r < 0)
        return r;
    if (len < sizeof(cls) + sizeof(code))
        return broken(s, "size of a failure");
    memcpy(&cls, buf, sizeof(cls));
    memcpy(&code, buf + sizeof(cls), sizeof(code));
    if (cls == ERR_NONE || cls >= ERR_CLASS_MAX || code >= 0 || code < -4095)
        return broken(s, "class of a failure");
    const char *text = buf + sizeof(cls) + sizeof(code);
    return err_set(s->err, code, (enum err_class)cls, "%s",
                   *text ? text : "the child failed without saying why");
}

static int serve_log(struct service *s, uint32_t len)
{
    _cleanup_free_ char *text = NULL;
    int r = recv_payload(s, len, PROTO_LOG_MAX, "size of a log line", &text);

    if (r == 0) {
        child_remember(s->c, text, len);
        child_remember(s->c, "\n", 1);
    }
    return r;
}

/* One message. 1: that was the result. */
static int serve_one(struct service *s)
{
    struct proto_header h;
    int r = recv_all(s, &h, sizeof(h));

    if (r < 0)
        return r;
    s->heard_ns = now_ns();
    switch (h.type) {
    case PROTO_READ:
        return serve_read(s, h.len);
    case PROTO_READ_MANY:
        return serve_read_many(s, h.len);
    case PROTO_OBJECT:
        return serve_object(s, h.len);
    case PROTO_PROGRESS:
        return serve_progress(s, h.len);
    case PROTO_LOG:
        return serve_log(s, h.len);
    case PROTO_FAILURE:
        return serve_failure(s, h.len);
    case PROTO_RESULT:
        r = recv_payload(s, h.len, PROTO_JSON_MAX, "size of a result", &s->result);
        return r < 0 ? r : 1;
    default:
        return broken(s, "a message of an unknown type");
    }
}

static int send_job(struct service *s, const char *kind, const char *request, uint64_t size)
{
    size_t nk = strlen(kind) + 1, nr = strlen(request);
    struct proto_header h = { .type = PROTO_JOB, .len = (uint32_t)(sizeof(size) + nk + nr) };

    if (nr > PROTO_JSON_MAX - sizeof(size) - nk)
        return err_set(s->err, -EMSGSIZE, ERR_INTERNAL, "a request of %zu bytes for a child", nr);
    int r = send_all(s, &h, sizeof(h));
    if (r == 0)
        r = send_all(s, &size, sizeof(size));
    if (r == 0)
        r = send_all(s, kind, nk);
    if (r == 0)
        r = send_all(s, request, nr);
    return r;
}

/* ---- the end ---- */

static uint64_t peak_bytes(pid_t pid)
{
    char path[64], line[256];
    unsigned long kb = 0;

    /* Not ru_maxrss: after a vfork that counts the parent's memory, too. */
    (void)snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    _cleanup_file_ FILE *f = fopen(path, "re");
    while (f && fgets(line, sizeof(line), f))
        if (sscanf(line, "VmHWM: %lu", &kb) == 1)
            break;
    return (uint64_t)kb * 1024;
}

/* A process is gone a moment after its end of the stream; one that only
 * closed it is not, and must not hold up this thread. */
static int is_dead(const struct child *c)
{
    struct pollfd p = { .fd = c->pidfd, .events = POLLIN };
    int64_t until = now_ns() + DYING_MS * INT64_C(1000000), left;
    int n = 0;

    while (n <= 0 && (left = (until - now_ns()) / 1000000) > 0)
        n = poll(&p, 1, (int)left);
    return n > 0;
}

/* The stream ended or failed without a word of the child's: say what its
 * exit status tells. */
static int explain_death(struct service *s, int r)
{
    struct child *c = s->c;
    char buf[400];
    int dead = is_dead(c);

    child_stop(c);
    child_drain_stderr(c);
    const char *words = child_last_words(c, buf, sizeof(buf));
    const char *sep = *words ? "; last words: " : "";
    if (!dead)
        return err_set(s->err, r, ERR_CRASH, "child closed its stream before it answered%s%s", sep,
                       words);
    if (WIFSIGNALED(c->status))
        return err_set(s->err, -ECHILD, ERR_CRASH, "child died by SIG%s%s%s",
                       sigabbrev_np(WTERMSIG(c->status)), sep, words);
    return err_set(s->err, r, ERR_CRASH, "child ended with status %d before it answered%s%s",
                   WEXITSTATUS(c->status), sep, words);
}

static double seconds(struct timeval t)
{
    return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

static void fill_usage(struct service *s, uint64_t peak, struct child_usage *ret)
{
    *ret = (struct child_usage){
        .cpu_s = seconds(s->c->rusage.ru_utime) + seconds(s->c->rusage.ru_stime),
        .wall_s = (double)(now_ns() - s->start_ns) / 1e9,
        .peak_bytes = peak,
        .bytes_read = s->bytes_read,
    };
}

int child_run(struct child *c, const char *kind, const char *request, uint64_t source_size,
              const struct child_handler *h, const struct child_limits *limits, char **ret_result,
              struct child_usage *ret_usage, struct err *err)
{
    struct err mine = { 0 };
    struct service s = { .c = c, .h = h, .limits = limits, .err = &mine };

    s.start_ns = s.heard_ns = now_ns();
    if (limits && limits->memory_bytes) {
        struct rlimit l = { limits->memory_bytes, limits->memory_bytes };
        (void)prlimit(c->pid, RLIMIT_AS, &l, NULL);
    }
    int r = send_job(&s, kind, request, source_size);
    while (r == 0) {
        r = serve_one(&s);
        /* One that never pauses is never waited for. */
        if (r == 0 && time_left_ms(&s) <= 0)
            r = timed_out(&s);
    }

    uint64_t peak = peak_bytes(c->pid);
    if (r == -EPIPE && mine.cls == ERR_NONE)
        r = explain_death(&s, r);
    /* It has said its last word: what it would do now is only tidying up. */
    child_stop(c);
    if (ret_usage)
        fill_usage(&s, peak, ret_usage);
    if (atomic_load(&c->killed)) {
        free(s.result);
        return err_set(err, -ECANCELED, ERR_CANCELED, "the child was told to stop");
    }
    if (r < 0) {
        free(s.result);
        if (err)
            *err = mine;
        return r;
    }
    *ret_result = s.result;
    return 0;
}
