/* faultproxy.c - a network that fails on demand: forwards TCP connections on
 * loopback to one target, with a fault that is switched at run time.
 *
 *   faultproxy PORT TARGET-HOST:PORT CONTROL-FILE [--raw]
 *
 * PORT 0 takes a free one. It is printed, alone on a line, once it listens.
 * The control file is looked at every 20 ms; the word in its first line says
 * what happens from then on, to connections that are open too. It may be
 * missing: pass. Write it in one go; writing the same again counts anew.
 *
 *   pass              everything is forwarded
 *   cut               ends the open connections, once; the fault before stays on
 *   refuse            new connections are closed as soon as they come
 *   rst               all connections end with a reset, also new ones
 *   hang              not a byte goes either way; connections are taken
 *   slow N            N bytes a second, each way of each connection
 *
 * and by request, of which every Nth is hit (1: all), where METHOD and PATH
 * are given only of those with that method and with that text in their path:
 *
 *   status CODE [N [METHOD PATH]]    answered with that here; 503 is SlowDown
 *   busy SECONDS [N [METHOD PATH]]   503 with Retry-After
 *   cut-body [N [METHOD PATH]]       the connection ends in the middle of the answer's body
 *   lose [N [METHOD PATH]]           is carried out, but the connection ends without an answer
 *   hang N [METHOD PATH]             neither carried out nor answered, the connection stays
 *   delay MS [N [METHOD PATH]]       carried out that much later
 *
 * Without --raw it reads as much HTTP/1.1 as it takes to tell where requests
 * and bodies begin: Content-Length only, which is all that S3 clients send.
 * --raw is for other protocols, such as AMQP; there are no requests then.
 * One thread, one poll loop, up to CONNS_MAX connections.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { CONNS_MAX = 256, BUF = 64 << 10, HEAD_MAX = 32 << 10, TICK_MS = 20 };

enum fault { PASS, CUT, REFUSE, RST, HANG, SLOW, STATUS, BUSY, CUT_BODY, LOSE, DELAY, FAULT_MAX };

static const struct {
    const char *name;
    int has_value; /* a number before that of hits */
} faults[FAULT_MAX] = {
    [PASS] = {"pass",      0},
      [CUT] = { "cut",      0},
      [REFUSE] = { "refuse",   0},
    [RST] = { "rst",      0},
      [HANG] = { "hang",     0},
      [SLOW] = { "slow",     1},
    [STATUS] = { "status",   1},
      [BUSY] = { "busy",     1},
      [CUT_BODY] = { "cut-body", 0},
    [LOSE] = { "lose",     0},
      [DELAY] = { "delay",    1},
};

struct control {
    enum fault fault;
    long value, nth;
    char method[16], path[256]; /* "": any */
};

/* One way of a connection: what was read and is not yet written. */
struct way {
    char data[BUF];
    size_t n;
    int ended;        /* nothing more comes */
    double allowance; /* bytes that may still go, when slow */

    /* Where we are in HTTP. */
    char head[HEAD_MAX];
    size_t head_n;
    uint64_t body_left; /* of a request */
};

struct conn {
    int client, target; /* -1: none */
    struct way up, down;
    enum fault hit;     /* what the request now under way is hit by, else PASS */
    double hold_until;  /* nothing goes up before */
    int asked_head;     /* the next answer has no body, whatever length it tells */
    uint64_t cut_after; /* bytes of the body now coming down, 0: not yet known */
};

struct proxy {
    int listener, raw;
    struct sockaddr_in to;
    const char *control_file;
    struct timespec control_time;
    ino_t control_inode;
    struct control now;
    unsigned long requests; /* since the fault was switched on */
    struct conn *conns[CONNS_MAX];
    size_t n;
};

/* ---- control ---- */

static struct control parse_control(char *line)
{
    struct control c = { .nth = 1 };
    char *rest = NULL, *word = strtok_r(line, " \n", &rest);

    for (int f = 0; word && f < FAULT_MAX; f++)
        if (strcmp(word, faults[f].name) == 0)
            c.fault = (enum fault)f;
    if (faults[c.fault].has_value && (word = strtok_r(NULL, " \n", &rest)))
        c.value = strtol(word, NULL, 10);
    word = strtok_r(NULL, " \n", &rest);
    c.nth = word ? strtol(word, NULL, 10) : c.fault == HANG ? 0 : 1;
    word = strtok_r(NULL, " \n", &rest);
    (void)snprintf(c.method, sizeof(c.method), "%s", word ? word : "");
    word = strtok_r(NULL, " \n", &rest);
    (void)snprintf(c.path, sizeof(c.path), "%s", word ? word : "");
    return c;
}

static void end_all(struct proxy *p, int reset);

static void read_control(struct proxy *p)
{
    char line[512] = "";
    struct stat st = { 0 };
    FILE *f = fopen(p->control_file, "re");

    if (f && fstat(fileno(f), &st) == 0 && st.st_size > 0 && !fgets(line, sizeof(line), f))
        line[0] = '\0';
    if (f)
        (void)fclose(f);
    if (st.st_ino == p->control_inode && st.st_mtim.tv_sec == p->control_time.tv_sec &&
        st.st_mtim.tv_nsec == p->control_time.tv_nsec)
        return;
    if (f && !line[0])
        return; /* being written */
    p->control_inode = st.st_ino;
    p->control_time = st.st_mtim;
    struct control c = parse_control(line);
    if (c.fault == CUT) {
        end_all(p, 0);
        return;
    }
    p->now = c;
    p->requests = 0;
}

/* ---- connections ---- */

static void set_up_socket(int fd)
{
    int one = 1;

    (void)fcntl(fd, F_SETFL, O_NONBLOCK);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

static void end_socket(int fd, int reset)
{
    struct linger linger = { .l_onoff = 1, .l_linger = 0 };

    if (fd < 0)
        return;
    if (reset)
        (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    (void)close(fd);
}

static void end_conn(struct proxy *p, size_t i, int reset)
{
    struct conn *c = p->conns[i];

    end_socket(c->client, reset);
    end_socket(c->target, reset);
    free(c);
    p->conns[i] = p->conns[--p->n];
}

static void end_all(struct proxy *p, int reset)
{
    while (p->n > 0)
        end_conn(p, p->n - 1, reset);
}

static void accept_one(struct proxy *p)
{
    int fd = accept4(p->listener, NULL, NULL, SOCK_CLOEXEC);

    if (fd < 0)
        return;
    if (p->now.fault == REFUSE || p->now.fault == RST || p->n == CONNS_MAX) {
        end_socket(fd, p->now.fault == RST);
        return;
    }
    struct conn *c = calloc(1, sizeof(*c));
    int to = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (!c || to < 0) {
        free(c);
        end_socket(fd, 1);
        end_socket(to, 0);
        return;
    }
    set_up_socket(fd);
    set_up_socket(to);
    c->client = fd;
    c->target = to;
    p->conns[p->n++] = c;
    if (connect(to, (struct sockaddr *)&p->to, sizeof(p->to)) < 0 && errno != EINPROGRESS)
        end_conn(p, p->n - 1, 1);
}

/* ---- HTTP ---- */

static double seconds(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* Content-Length of a head, 0 without one. */
static uint64_t body_length(const char *head)
{
    const char *v = strcasestr(head, "\r\ncontent-length:");

    return v ? strtoull(v + strlen("\r\ncontent-length:"), NULL, 10) : 0;
}

/* Takes bytes of `data` up to the end of a head: how many. `*ret_whole` is set
 * once the head is there, in w->head. -1: too long. */
static ssize_t take_head(struct way *w, const char *data, size_t n, int *ret_whole)
{
    *ret_whole = 0;
    for (size_t i = 0; i < n; i++) {
        if (w->head_n + 1 >= HEAD_MAX)
            return -1;
        w->head[w->head_n++] = data[i];
        w->head[w->head_n] = '\0';
        if (w->head_n >= 4 && memcmp(w->head + w->head_n - 4, "\r\n\r\n", 4) == 0) {
            *ret_whole = 1;
            return (ssize_t)i + 1;
        }
    }
    return (ssize_t)n;
}

static int append(struct way *w, const char *data, size_t n)
{
    if (n > BUF - w->n)
        return -1;
    memcpy(w->data + w->n, data, n);
    w->n += n;
    return 0;
}

static int answer_here(struct proxy *p, struct conn *c)
{
    long code = p->now.fault == BUSY ? 503 : p->now.value;
    const char *name = code == 503 ? "SlowDown" : code == 500 ? "InternalError" : "Fault";
    char body[256], answer[512], retry[48] = "";

    int body_n = snprintf(body, sizeof(body),
                          "<?xml version=\"1.0\"?><Error><Code>%s</Code><Message>made by the fault "
                          "proxy</Message></Error>",
                          name);
    if (p->now.fault == BUSY)
        (void)snprintf(retry, sizeof(retry), "Retry-After: %ld\r\n", p->now.value);
    int n = snprintf(answer, sizeof(answer),
                     "HTTP/1.1 %ld Fault\r\nContent-Type: application/xml\r\n%sContent-Length: "
                     "%d\r\n\r\n%s",
                     code, retry, body_n, c->asked_head ? "" : body);
    return append(&c->down, answer, (size_t)n);
}

/* Whether the request in `head` is one that the fault is for. */
static int is_hit(struct proxy *p, const char *head)
{
    const struct control *now = &p->now;
    char target[1024] = "";
    size_t method = strcspn(head, " ");

    if (now->fault < HANG || now->fault == SLOW || now->nth < 1)
        return 0;
    if (now->method[0] &&
        (strlen(now->method) != method || strncmp(head, now->method, method) != 0))
        return 0;
    (void)snprintf(target, sizeof(target), "%.*s", (int)strcspn(head, "\r"), head);
    if (now->path[0] && !strstr(target, now->path))
        return 0;
    return ++p->requests % (unsigned long)now->nth == 0;
}

/* A request's head is whole: what becomes of it. */
static int begin_request(struct proxy *p, struct conn *c)
{
    struct way *w = &c->up;
    int r = 0;

    w->body_left = body_length(w->head);
    c->asked_head = strncmp(w->head, "HEAD ", 5) == 0;
    c->cut_after = 0;
    c->down.head_n = 0;
    c->hit = is_hit(p, w->head) ? p->now.fault : PASS;
    if (c->hit == DELAY)
        c->hold_until = seconds() + (double)p->now.value / 1000;
    if (c->hit == STATUS || c->hit == BUSY)
        r = answer_here(p, c);
    else if (c->hit != HANG)
        r = append(w, w->head, w->head_n);
    w->head_n = 0;
    return r;
}

/* -1 ends the connection. */
static int take_request(struct proxy *p, struct conn *c, const char *data, size_t n)
{
    struct way *w = &c->up;

    while (n > 0) {
        if (w->body_left > 0) {
            size_t some = n < w->body_left ? n : (size_t)w->body_left;
            int eaten = c->hit == STATUS || c->hit == BUSY || c->hit == HANG;
            if (!eaten && append(w, data, some) < 0)
                return -1;
            w->body_left -= some;
            data += some;
            n -= some;
            continue;
        }
        int whole;
        ssize_t some = take_head(w, data, n, &whole);
        if (some < 0 || (whole && begin_request(p, c) < 0))
            return -1;
        data += some;
        n -= (size_t)some;
    }
    return 0;
}

/* Up to the middle of the body; -1 when that is reached. */
static int take_half(struct conn *c, const char *data, size_t n)
{
    struct way *w = &c->down;

    if (c->cut_after == 0) {
        int whole;
        ssize_t some = take_head(w, data, n, &whole);
        if (some < 0 || append(w, data, (size_t)some) < 0)
            return -1;
        data += some;
        n -= (size_t)some;
        if (!whole)
            return 0;
        c->cut_after = c->asked_head ? 0 : body_length(w->head) / 2;
        if (c->cut_after == 0) { /* nothing to cut */
            c->hit = PASS;
            return append(w, data, n);
        }
    }
    size_t some = n < c->cut_after ? n : (size_t)c->cut_after;
    if (append(w, data, some) < 0)
        return -1;
    c->cut_after -= some;
    return c->cut_after == 0 ? -1 : 0;
}

static int take_answer(struct conn *c, const char *data, size_t n)
{
    if (c->hit == LOSE)
        return -1;
    return c->hit == CUT_BODY ? take_half(c, data, n) : append(&c->down, data, n);
}

/* ---- moving bytes ---- */

/* -1: the connection is over. */
static int read_way(struct proxy *p, struct conn *c, int up)
{
    struct way *w = up ? &c->up : &c->down;
    char data[16 << 10];
    ssize_t n = recv(up ? c->client : c->target, data, sizeof(data), 0);

    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -1;
    if (n == 0) {
        w->ended = 1;
        return 0;
    }
    if (up)
        return p->raw ? append(w, data, (size_t)n) : take_request(p, c, data, (size_t)n);
    return take_answer(c, data, (size_t)n);
}

static int write_way(struct proxy *p, struct conn *c, int up)
{
    struct way *w = up ? &c->up : &c->down;
    size_t n = w->n;

    if (up && c->hold_until > 0 && seconds() < c->hold_until)
        return 0;
    if (p->now.fault == SLOW && (double)n > w->allowance)
        n = (size_t)w->allowance;
    if (n == 0)
        return 0;
    ssize_t sent = send(up ? c->target : c->client, w->data, n, MSG_NOSIGNAL);
    if (sent < 0)
        return errno == EAGAIN || errno == EINTR || errno == ENOTCONN ? 0 : -1;
    memmove(w->data, w->data + sent, w->n - (size_t)sent);
    w->n -= (size_t)sent;
    if (p->now.fault == SLOW)
        w->allowance -= (double)sent;
    return 0;
}

static int hangs(const struct proxy *p)
{
    return p->now.fault == HANG && p->now.nth == 0;
}

static short wanted(const struct proxy *p, const struct way *from, const struct way *to, int held)
{
    short events = 0;

    if (hangs(p))
        return 0;
    /* A head held back is put out in one piece with what follows. */
    if (!from->ended && from->n + HEAD_MAX + (16 << 10) <= BUF)
        events |= POLLIN;
    if (to->n > 0 && !held && (p->now.fault != SLOW || to->allowance >= 1))
        events |= POLLOUT;
    return events;
}

static int serve(struct proxy *p, struct conn *c, short client, short target)
{
    if (hangs(p))
        return 0;
    if ((client & (POLLIN | POLLHUP | POLLERR)) && read_way(p, c, 1) < 0)
        return -1;
    int over = (target & (POLLIN | POLLHUP | POLLERR)) && read_way(p, c, 0) < 0;
    /* What came before a cut is still delivered. */
    if (write_way(p, c, 1) < 0 || write_way(p, c, 0) < 0 || over)
        return -1;
    return (c->down.ended && c->down.n == 0) || (c->up.ended && c->up.n == 0) ? -1 : 0;
}

static void refill(struct proxy *p, double passed)
{
    double most = (double)p->now.value / 5;

    if (p->now.fault != SLOW)
        return;
    for (size_t i = 0; i < p->n; i++) {
        struct way *ways[] = { &p->conns[i]->up, &p->conns[i]->down };
        for (size_t w = 0; w < 2; w++) {
            ways[w]->allowance += passed * (double)p->now.value;
            if (ways[w]->allowance > most)
                ways[w]->allowance = most > 1 ? most : 1;
        }
    }
}

static void turn(struct proxy *p)
{
    struct pollfd fds[1 + 2 * CONNS_MAX];
    size_t n = p->n;

    fds[0] = (struct pollfd){ .fd = p->listener, .events = POLLIN };
    for (size_t i = 0; i < n; i++) {
        struct conn *c = p->conns[i];
        int held = c->hold_until > 0 && seconds() < c->hold_until;
        short client = wanted(p, &c->up, &c->down, 0);
        short target = wanted(p, &c->down, &c->up, held);
        /* Without anything wanted not even the end of one: it would spin. */
        fds[1 + 2 * i] = (struct pollfd){ .fd = client ? c->client : -1, .events = client };
        fds[2 + 2 * i] = (struct pollfd){ .fd = target ? c->target : -1, .events = target };
    }
    (void)poll(fds, 1 + 2 * n, TICK_MS);
    for (size_t i = n; i-- > 0;)
        if (serve(p, p->conns[i], fds[1 + 2 * i].revents, fds[2 + 2 * i].revents) < 0)
            end_conn(p, i, p->now.fault == RST);
    if (fds[0].revents)
        accept_one(p);
}

static void run(struct proxy *p)
{
    double last = seconds();

    for (;;) {
        read_control(p);
        if (p->now.fault == RST)
            end_all(p, 1);
        turn(p);
        double now = seconds();
        refill(p, now - last);
        last = now;
    }
}

/* ---- setting up ---- */

static int listen_on(const char *port)
{
    struct sockaddr_in at = { .sin_family = AF_INET };
    socklen_t len = sizeof(at);
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    at.sin_port = htons((uint16_t)strtoul(port, NULL, 10));
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 || listen(fd, 128) < 0 ||
        getsockname(fd, (struct sockaddr *)&at, &len) < 0)
        return -1;
    (void)printf("%d\n", ntohs(at.sin_port));
    (void)fflush(stdout);
    return fd;
}

static int find_target(const char *text, struct sockaddr_in *ret)
{
    struct addrinfo hints = { .ai_family = AF_INET, .ai_socktype = SOCK_STREAM }, *found;
    char host[256];
    const char *colon = strrchr(text, ':');

    if (!colon || (size_t)(colon - text) >= sizeof(host))
        return -1;
    memcpy(host, text, (size_t)(colon - text));
    host[colon - text] = '\0';
    if (getaddrinfo(host, colon + 1, &hints, &found) != 0)
        return -1;
    memcpy(ret, found->ai_addr, sizeof(*ret));
    freeaddrinfo(found);
    return 0;
}

int main(int argc, char **argv)
{
    static struct proxy p;

    if (argc < 4 || find_target(argv[2], &p.to) < 0) {
        (void)fprintf(stderr, "usage: faultproxy PORT TARGET-HOST:PORT CONTROL-FILE [--raw]\n");
        return 2;
    }
    (void)signal(SIGPIPE, SIG_IGN);
    p.control_file = argv[3];
    p.raw = argc > 4 && strcmp(argv[4], "--raw") == 0;
    read_control(&p); /* from the first connection on */
    p.listener = listen_on(argv[1]);
    if (p.listener < 0) {
        perror("faultproxy: can't listen");
        return 1;
    }
    run(&p);
}
