/* RabbitMQ as the queue, against real brokers that are killed under it. With
 * GOPMILL_TEST_CLUSTER=1 also a cluster of three, which takes a minute. */
#include <amqp.h>
#include <amqp_tcp_socket.h>
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/err.h"
#include "common/queue/amqp.h"

enum { WAIT_MS = 30000, SOON_MS = 500 };

/* The broker that all cases share, each with a vhost of its own. */
struct broker {
    char dir[64];
    char host[256], hosts[512], tls_host[64], ca[128], user[64], password[64];
    unsigned vhosts;
};

struct farm {
    struct broker *b;
    char vhost[32];
    struct queue *q;
};

/* Run the server script; its output, if wanted, in `out`. */
static int script(const struct broker *b, char *out, size_t size, const char *fmt, ...)
{
    char args[512], command[1024];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(args, sizeof(args), fmt, ap);
    va_end(ap);
    const char *command_word = args;
    const char *rest = strchr(args, ' ');
    int n = (int)(rest ? rest - args : (ptrdiff_t)strlen(args));
    (void)snprintf(command, sizeof(command), "%s/tests/farm/rabbitmq %.*s %s%s",
                   getenv("GOPMILL_SOURCE"), n, command_word, b->dir, rest ? rest : "");
    int ends[2], status = -1;
    if (pipe2(ends, O_CLOEXEC) < 0)
        return -1;
    pid_t pid = fork();
    if (pid == 0) {
        (void)dup2(ends[1], STDOUT_FILENO);
        (void)execl("/bin/sh", "sh", "-c", command, (char *)NULL);
        _exit(127);
    }
    (void)close(ends[1]);
    size_t got = 0;
    char chunk[512];
    for (ssize_t part; (part = read(ends[0], chunk, sizeof(chunk))) > 0;)
        for (ssize_t i = 0; i < part && out && got + 1 < size; i++)
            out[got++] = chunk[i];
    if (out)
        out[got] = '\0';
    (void)close(ends[0]);
    return pid > 0 && waitpid(pid, &status, 0) == pid ? status : -1;
}

static void variable(const char *env, const char *name, char *ret, size_t size)
{
    const char *at = strstr(env, name);

    assert_non_null(at);
    at += strlen(name);
    (void)snprintf(ret, size, "%.*s", (int)strcspn(at, " \n"), at);
}

static void broker_start(struct broker *b, const char *options)
{
    char env[2048], url[256];

    strcpy(b->dir, "/tmp/gopmill-amqp-XXXXXX");
    assert_non_null(mkdtemp(b->dir));
    assert_int_equal(script(b, env, sizeof(env), "start %s --owner %d", options, (int)getpid()), 0);
    variable(env, "RMQ_USER=", b->user, sizeof(b->user));
    variable(env, "RMQ_PASSWORD=", b->password, sizeof(b->password));
    variable(env, "RMQ_HOSTS=", b->hosts, sizeof(b->hosts));
    (void)snprintf(b->host, sizeof(b->host), "%.*s", (int)strcspn(b->hosts, ","), b->hosts);
    if (strstr(options, "--tls")) {
        variable(env, "RMQ_CA=", b->ca, sizeof(b->ca));
        variable(env, "RMQ_TLS_URL=", url, sizeof(url));
        const char *host = strchr(url, '@') + 1;
        (void)snprintf(b->tls_host, sizeof(b->tls_host), "%.*s", (int)strcspn(host, "/"), host);
    }
}

static int setup_broker(void **state)
{
    struct broker *b = calloc(1, sizeof(*b));

    broker_start(b, "--tls");
    *state = b;
    return 0;
}

static int teardown_broker(void **state)
{
    struct broker *b = *state;

    (void)script(b, NULL, 0, "down");
    free(b);
    return 0;
}

static struct queue *open_as(const struct farm *f, const char *scheme, const char *password,
                             const char *hosts, unsigned prefetch, const char *ca)
{
    char url[1024];
    struct queue *q = NULL;
    struct err err = { 0 };

    (void)snprintf(url, sizeof(url), "%s://%s:%s@%s/%s", scheme, f->b->user, password, hosts,
                   f->vhost);
    const struct queue_amqp_config cfg = { .url = url,
                                           .name = "test",
                                           .prefetch = prefetch,
                                           .heartbeat_s = 5,
                                           .connect_timeout_ms = 3000,
                                           .confirm_timeout_ms = 8000,
                                           .ca_file = ca };
    if (queue_amqp_new(&cfg, &q, &err) < 0)
        fail_msg("%s", err.text);
    return q;
}

static struct queue *open_queue(const struct farm *f, unsigned prefetch)
{
    struct queue *q = open_as(f, "amqp", f->b->password, f->b->host, prefetch, NULL);
    struct err err = { 0 };

    if (queue_amqp_wait(q, WAIT_MS, &err) < 0)
        fail_msg("%s", err.text);
    return q;
}

static int setup(void **state)
{
    struct farm *f = calloc(1, sizeof(*f));

    f->b = *state;
    (void)snprintf(f->vhost, sizeof(f->vhost), "v%u", f->b->vhosts++);
    if (script(f->b, NULL, 0, "vhost %s", f->vhost) != 0)
        return -1;
    f->q = open_queue(f, 4);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct farm *f = *state;
    struct broker *b = f->b;

    queue_free(f->q);
    (void)script(b, NULL, 0, "api DELETE vhosts/%s", f->vhost);
    free(f);
    *state = b;
    return 0;
}

static void publish(struct queue *q, const char *name, const char *body)
{
    struct err err = { 0 };

    if (queue_publish(q, name, body, strlen(body), WAIT_MS, &err) < 0)
        fail_msg("%s", err.text);
}

static void consume(struct queue *q, const char *name, struct queue_msg *ret)
{
    struct err err = { 0 };

    if (q->ops->consume(q, name, WAIT_MS, ret, &err) < 0)
        fail_msg("%s: %s", name, err.text);
}

static void expect(struct queue *q, const char *name, const char *body)
{
    struct queue_msg m;

    consume(q, name, &m);
    assert_string_equal(m.body, body);
    assert_int_equal(q->ops->ack(q, &m, NULL), 0);
    queue_msg_release(&m);
}

static void expect_nothing(struct queue *q, const char *name)
{
    struct queue_msg m;

    assert_int_equal(q->ops->consume(q, name, SOON_MS, &m, NULL), -EAGAIN);
}

static int64_t now_ms(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void pause_ms(int ms)
{
    const struct timespec t = { ms / 1000, (ms % 1000) * 1000000L };

    (void)nanosleep(&t, NULL);
}

static void await_depth(struct queue *q, const char *name, size_t want)
{
    size_t depth = SIZE_MAX;
    int64_t end = now_ms() + WAIT_MS;

    while ((q->ops->depth(q, name, &depth) < 0 || depth != want) && now_ms() < end)
        pause_ms(20);
    assert_int_equal(depth, want);
}

static void messages_come_in_order_and_once(void **state)
{
    struct queue *q = ((struct farm *)*state)->q;
    const struct queue_text texts[] = {
        {"one",   3},
        { "two",  3},
        { "",     0},
        { "a\0b", 3}
    };
    struct queue_msg m;

    assert_string_equal(q->ops->name, "amqp");
    assert_int_equal(q->ops->publish(q, QUEUE_RESULTS, texts, 4, WAIT_MS, NULL), 0);
    await_depth(q, QUEUE_RESULTS, 4);
    for (int i = 0; i < 4; i++) {
        consume(q, QUEUE_RESULTS, &m);
        assert_int_equal(m.len, texts[i].len);
        assert_memory_equal(m.body, texts[i].body, m.len);
        assert_int_equal(m.deliveries, 1);
        assert_null(m.from);
        assert_int_equal(q->ops->ack(q, &m, NULL), 0);
        assert_int_equal(q->ops->ack(q, &m, NULL), -EINVAL);
        queue_msg_release(&m);
    }
    expect_nothing(q, QUEUE_RESULTS);
}

static void a_large_message_passes_and_a_larger_one_is_refused(void **state)
{
    struct queue *q = ((struct farm *)*state)->q;
    struct queue_msg m;
    struct err err = { 0 };
    char *big = malloc(QUEUE_BODY_MAX + 1);

    for (size_t i = 0; i <= QUEUE_BODY_MAX; i++)
        big[i] = (char)(i * 31 + (i >> 9));
    assert_int_equal(queue_publish(q, QUEUE_JOBS, big, QUEUE_BODY_MAX, WAIT_MS, NULL), 0);
    consume(q, QUEUE_JOBS, &m);
    assert_int_equal(m.len, QUEUE_BODY_MAX);
    assert_memory_equal(m.body, big, QUEUE_BODY_MAX);
    assert_int_equal(q->ops->ack(q, &m, NULL), 0);
    queue_msg_release(&m);
    assert_int_equal(queue_publish(q, QUEUE_JOBS, big, QUEUE_BODY_MAX + 1, WAIT_MS, &err),
                     -EMSGSIZE);
    assert_int_equal(err.cls, ERR_USAGE);
    free(big);
}

static void a_message_that_kills_its_workers_becomes_a_dead_letter(void **state)
{
    struct queue *q = ((struct farm *)*state)->q;
    struct queue_msg m;

    publish(q, QUEUE_TASKS, "poison");
    for (unsigned i = 1; i <= 4; i++) {
        consume(q, QUEUE_TASKS, &m);
        assert_int_equal(m.deliveries, i);
        assert_int_equal(q->ops->reject(q, &m, 1, NULL, NULL), 0);
        queue_msg_release(&m);
    }
    consume(q, QUEUE_DEAD, &m);
    assert_string_equal(m.body, "poison");
    assert_string_equal(m.from, QUEUE_TASKS);
    assert_non_null(strstr(m.reason, "too often"));
    assert_int_equal(q->ops->ack(q, &m, NULL), 0);
    queue_msg_release(&m);
    expect_nothing(q, QUEUE_TASKS);
}

static void a_refused_message_is_buried_with_its_reason(void **state)
{
    struct queue *q = ((struct farm *)*state)->q;
    struct queue_msg m;

    publish(q, QUEUE_TASKS, "bad");
    consume(q, QUEUE_TASKS, &m);
    assert_int_equal(q->ops->reject(q, &m, 0, "unreadable: \xc3\xa9", NULL), 0);
    assert_int_equal(q->ops->ack(q, &m, NULL), -EINVAL);
    queue_msg_release(&m);
    for (int i = 0; i < 2; i++) { /* refused there again, it stays as it is */
        consume(q, QUEUE_DEAD, &m);
        assert_string_equal(m.body, "bad");
        assert_string_equal(m.from, QUEUE_TASKS);
        assert_string_equal(m.reason, "unreadable: \xc3\xa9");
        assert_int_equal(q->ops->reject(q, &m, 0, "another", NULL), 0);
        queue_msg_release(&m);
    }
    expect_nothing(q, QUEUE_TASKS);
}

/* Publish without a look at limits, as another program might. */
static void publish_raw(const struct farm *f, const char *name, size_t len)
{
    amqp_connection_state_t c = amqp_new_connection();
    amqp_socket_t *s = amqp_tcp_socket_new(c);
    char *body = malloc(len);

    memset(body, 'x', len);
    assert_int_equal(amqp_socket_open(s, "127.0.0.1", atoi(strchr(f->b->host, ':') + 1)), 0);
    assert_int_equal(
        amqp_login(c, f->vhost, 0, 131072, 0, AMQP_SASL_METHOD_PLAIN, f->b->user, f->b->password)
            .reply_type,
        AMQP_RESPONSE_NORMAL);
    assert_non_null(amqp_channel_open(c, 1));
    assert_int_equal(amqp_basic_publish(c, 1, amqp_empty_bytes, amqp_cstring_bytes(name), 0, 0,
                                        NULL, (amqp_bytes_t){ len, body }),
                     AMQP_STATUS_OK);
    (void)amqp_connection_close(c, AMQP_REPLY_SUCCESS);
    (void)amqp_destroy_connection(c);
    free(body);
}

static void what_is_too_large_reaches_no_consumer(void **state)
{
    struct farm *f = *state;
    struct queue_msg m;

    publish_raw(f, QUEUE_RESULTS, QUEUE_BODY_MAX + 1);
    publish(f->q, QUEUE_RESULTS, "good");
    expect(f->q, QUEUE_RESULTS, "good");
    consume(f->q, QUEUE_DEAD, &m);
    assert_string_equal(m.from, QUEUE_RESULTS);
    assert_non_null(strstr(m.reason, "8388609 bytes"));
    assert_in_range(m.len, 1, QUEUE_BODY_MAX);
    assert_int_equal(f->q->ops->ack(f->q, &m, NULL), 0);
    queue_msg_release(&m);
    await_depth(f->q, QUEUE_RESULTS, 0);
}

static void no_more_tasks_at_once_than_asked_for(void **state)
{
    struct farm *f = *state;
    struct queue *q = f->q;
    struct queue_msg m[5];
    size_t depth;

    for (int i = 0; i < 6; i++)
        publish(q, QUEUE_TASKS, "task");
    for (int i = 0; i < 4; i++)
        consume(q, QUEUE_TASKS, &m[i]);
    expect_nothing(q, QUEUE_TASKS);
    assert_int_equal(q->ops->depth(q, QUEUE_TASKS, &depth), 0);
    assert_int_equal(depth, 2);
    assert_int_equal(q->ops->ack(q, &m[0], NULL), 0);
    consume(q, QUEUE_TASKS, &m[4]);
    expect_nothing(q, QUEUE_TASKS);
    for (int i = 0; i < 5; i++)
        queue_msg_release(&m[i]);
}

static void a_stopped_worker_gives_back_what_it_has_not_begun(void **state)
{
    struct farm *f = *state;
    struct queue *other = open_queue(f, 1);
    struct queue_msg m, left;

    for (int i = 0; i < 4; i++)
        publish(f->q, QUEUE_TASKS, "task");
    consume(f->q, QUEUE_TASKS, &m);
    await_depth(f->q, QUEUE_TASKS, 0);
    f->q->ops->stop(f->q, QUEUE_TASKS);
    assert_int_equal(f->q->ops->consume(f->q, QUEUE_TASKS, WAIT_MS, &left, NULL), -ESHUTDOWN);
    for (int i = 0; i < 3; i++) {
        consume(other, QUEUE_TASKS, &left);
        assert_int_equal(left.deliveries, 1);
        assert_int_equal(other->ops->ack(other, &left, NULL), 0);
        queue_msg_release(&left);
    }
    publish(f->q, QUEUE_RESULTS, "result");
    assert_int_equal(f->q->ops->ack(f->q, &m, NULL), 0);
    queue_msg_release(&m);
    queue_free(f->q);
    f->q = NULL;
    expect_nothing(other, QUEUE_TASKS);
    queue_free(other);
}

static void what_a_worker_held_at_its_end_goes_to_another(void **state)
{
    struct farm *f = *state;
    struct queue *other = open_queue(f, 4);
    struct queue_msg m;

    publish(f->q, QUEUE_TASKS, "one");
    consume(f->q, QUEUE_TASKS, &m);
    queue_msg_release(&m);
    queue_free(f->q);
    f->q = NULL;
    consume(other, QUEUE_TASKS, &m);
    assert_string_equal(m.body, "one");
    assert_int_equal(m.deliveries, 2);
    queue_msg_release(&m);
    queue_free(other);
}

static void acks_just_before_the_end_count(void **state)
{
    struct farm *f = *state;
    struct queue_msg m;

    for (int i = 0; i < 50; i++)
        publish(f->q, QUEUE_JOBS, "job");
    for (int i = 0; i < 50; i++) {
        consume(f->q, QUEUE_JOBS, &m);
        assert_int_equal(f->q->ops->ack(f->q, &m, NULL), 0);
        queue_msg_release(&m);
    }
    queue_free(f->q);
    f->q = open_queue(f, 1);
    expect_nothing(f->q, QUEUE_JOBS);
}

static void events_reach_who_listens(void **state)
{
    struct farm *f = *state;
    struct queue *ears = open_queue(f, 1);
    const char *const patterns[] = { "event.worker.*", "event.job.#" };
    struct queue_msg m;

    assert_int_equal(ears->ops->listen(ears, patterns, 2, NULL), 0);
    assert_int_equal(ears->ops->listen(ears, patterns, 2, NULL), -EALREADY);
    f->q->ops->event(f->q, "event.other.x", "unheard", 7);
    f->q->ops->event(f->q, "event.worker.w1", "{}", 2);
    f->q->ops->event(f->q, "event.job.j.canceled", "", 0);
    consume(ears, QUEUE_EVENTS, &m);
    assert_string_equal(m.key, "event.worker.w1");
    assert_string_equal(m.body, "{}");
    assert_int_equal(ears->ops->ack(ears, &m, NULL), 0);
    queue_msg_release(&m);
    consume(ears, QUEUE_EVENTS, &m);
    assert_string_equal(m.key, "event.job.j.canceled");
    assert_int_equal(m.len, 0);
    queue_msg_release(&m);
    expect_nothing(ears, QUEUE_EVENTS);
    queue_free(ears);
}

static void a_queue_that_was_deleted_is_made_again(void **state)
{
    struct farm *f = *state;

    expect_nothing(f->q, QUEUE_JOBS); /* it is consumed from now on */
    assert_int_equal(script(f->b, NULL, 0, "api DELETE queues/%s/%s", f->vhost, QUEUE_JOBS), 0);
    assert_int_equal(script(f->b, NULL, 0, "api DELETE queues/%s/%s", f->vhost, QUEUE_RESULTS), 0);
    publish(f->q, QUEUE_JOBS, "job");
    publish(f->q, QUEUE_RESULTS, "result");
    expect(f->q, QUEUE_RESULTS, "result");
    expect(f->q, QUEUE_JOBS, "job");
}

static void one_closed_channel_leaves_the_others_alone(void **state)
{
    struct queue *q = ((struct farm *)*state)->q;
    struct queue_msg m, other;
    struct err err = { 0 };
    size_t depth = 7;

    publish(q, QUEUE_RESULTS, "result");
    consume(q, QUEUE_RESULTS, &m);
    assert_int_equal(q->ops->depth(q, "no.such.queue", &depth), -ENOENT);
    assert_int_equal(depth, 7);
    assert_int_equal(q->ops->consume(q, "no.such.queue", SOON_MS, &other, NULL), -EAGAIN);
    assert_int_equal(queue_publish(q, "no.such.queue", "x", 1, SOON_MS, &err), -ETIMEDOUT);
    assert_int_equal(err.cls, ERR_STORAGE);
    assert_int_equal(q->ops->ack(q, &m, NULL), 0);
    queue_msg_release(&m);
    publish(q, QUEUE_RESULTS, "another");
    expect(q, QUEUE_RESULTS, "another");
    await_depth(q, QUEUE_RESULTS, 0);
}

struct waiter {
    struct queue *q;
    int publishes, r;
};

static void *wait_on(void *arg)
{
    struct waiter *w = arg;
    struct queue_msg m;

    w->r = w->publishes ? queue_publish(w->q, QUEUE_JOBS, "x", 1, -1, NULL)
                        : w->q->ops->consume(w->q, QUEUE_JOBS, -1, &m, NULL);
    return NULL;
}

static void a_full_queue_is_asked_again_until_it_takes_the_message(void **state)
{
    struct farm *f = *state;
    const char *policy = "{\"pattern\":\"^gopmill.jobs$\",\"apply-to\":\"queues\",\"definition\":"
                         "{\"max-length\":1,\"overflow\":\"reject-publish\"}}";
    struct err err = { 0 };
    struct queue_msg m;
    int r = 0, last = 0;

    assert_int_equal(script(f->b, NULL, 0, "api PUT policies/%s/full '%s'", f->vhost, policy), 0);
    for (int64_t end = now_ms() + WAIT_MS; r == 0 && now_ms() < end;)
        r = queue_publish(f->q, QUEUE_JOBS, "job", 3, 2 * SOON_MS, &err);
    assert_int_equal(r, -ETIMEDOUT);
    struct waiter w = { f->q, 1, 1 };
    pthread_t t;
    assert_int_equal(pthread_create(&t, NULL, wait_on, &w), 0);
    while (last == 0) {
        consume(f->q, QUEUE_JOBS, &m);
        last = strcmp(m.body, "x") == 0;
        assert_int_equal(f->q->ops->ack(f->q, &m, NULL), 0);
        queue_msg_release(&m);
    }
    assert_int_equal(pthread_join(t, NULL), 0);
    assert_int_equal(w.r, 0);
}

static void a_wrong_password_is_told_without_it(void **state)
{
    struct farm *f = *state;
    struct queue *q = open_as(f, "amqp", "quite-secret", f->b->host, 1, NULL);
    struct queue_state s;
    struct err err = { 0 };

    assert_int_equal(queue_amqp_wait(q, 3 * SOON_MS, &err), -ETIMEDOUT);
    assert_int_equal(err.cls, ERR_STORAGE);
    assert_non_null(strstr(err.text, "403"));
    assert_null(strstr(err.text, "quite-secret"));
    q->ops->state(q, &s);
    assert_int_equal(s.connected, 0);
    assert_null(strstr(s.reason, "quite-secret"));
    queue_free(q);
}

static void tls_is_verified(void **state)
{
    struct farm *f = *state;
    struct err err = { 0 };
    struct queue *q = open_as(f, "amqps", f->b->password, f->b->tls_host, 1, f->b->ca);

    if (queue_amqp_wait(q, WAIT_MS, &err) < 0)
        fail_msg("%s", err.text);
    publish(q, QUEUE_JOBS, "secretly");
    expect(q, QUEUE_JOBS, "secretly");
    queue_free(q);
    q = open_as(f, "amqps", f->b->password, f->b->tls_host, 1, NULL);
    assert_int_equal(queue_amqp_wait(q, 3 * SOON_MS, &err), -ETIMEDOUT);
    assert_non_null(strstr(err.text, "isn't trusted"));
    queue_free(q);
}

static void another_name_than_the_certificates_is_not_trusted(void **state)
{
    struct farm *f = *state;
    struct err err = { 0 };
    char host[80];

    /* The same address in other letters. */
    (void)snprintf(host, sizeof(host), "127.1%s", strchr(f->b->tls_host, ':'));
    struct queue *q = open_as(f, "amqps", f->b->password, host, 1, f->b->ca);
    assert_int_equal(queue_amqp_wait(q, 3 * SOON_MS, &err), -ETIMEDOUT);
    assert_non_null(strstr(err.text, "hostname mismatch"));
    queue_free(q);
}

static void the_next_host_is_tried_where_one_is_away(void **state)
{
    struct farm *f = *state;
    struct err err = { 0 };
    char hosts[300];

    (void)snprintf(hosts, sizeof(hosts), "127.0.0.1:1,[::1]:1,no-such-host.invalid,%s", f->b->host);
    struct queue *q = open_as(f, "amqp", f->b->password, hosts, 1, NULL);
    if (queue_amqp_wait(q, WAIT_MS, &err) < 0)
        fail_msg("%s", err.text);
    publish(q, QUEUE_JOBS, "job");
    expect(q, QUEUE_JOBS, "job");
    queue_free(q);
}

static void closing_wakes_everybody(void **state)
{
    struct farm *f = *state;
    /* Nobody answers there: publishes wait too. */
    struct queue *away = open_as(f, "amqp", "x", "127.0.0.1:1", 1, NULL);
    struct waiter w[3] = {
        {away,  0, 0},
        { away, 1, 0},
        { f->q, 0, 0}
    };
    pthread_t t[3];

    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&t[i], NULL, wait_on, &w[i]), 0);
    pause_ms(50);
    away->ops->close(away);
    f->q->ops->close(f->q);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(pthread_join(t[i], NULL), 0);
        assert_int_equal(w[i].r, -ESHUTDOWN);
    }
    assert_int_equal(queue_publish(f->q, QUEUE_JOBS, "x", 1, -1, NULL), -ESHUTDOWN);
    queue_free(away);
}

enum { FLOOD_BATCH = 7, FLOOD_MAX = 20000 };

struct flood {
    struct queue *q;
    atomic_int stop;
    atomic_uint confirmed; /* numbers below it */
    int r;
};

/* Publishes numbers until it is told to stop. */
static void *flood(void *arg)
{
    struct flood *fl = arg;

    while (!atomic_load(&fl->stop) && fl->confirmed < FLOOD_MAX && fl->r == 0) {
        char bodies[FLOOD_BATCH][16];
        struct queue_text texts[FLOOD_BATCH];
        for (unsigned i = 0; i < FLOOD_BATCH; i++)
            texts[i] = (struct queue_text){ bodies[i], (size_t)snprintf(bodies[i], 16, "%u",
                                                                        fl->confirmed + i) };
        fl->r = fl->q->ops->publish(fl->q, QUEUE_RESULTS, texts, FLOOD_BATCH, 120000, NULL);
        if (fl->r == 0)
            fl->confirmed += FLOOD_BATCH;
    }
    return NULL;
}

/* Consumes until every number below `n` was seen. */
static void drain(struct queue *q, unsigned n)
{
    char *seen = calloc(1, FLOOD_MAX + FLOOD_BATCH);
    unsigned left = n;
    struct queue_msg m;

    while (left > 0) {
        consume(q, QUEUE_RESULTS, &m);
        unsigned i = (unsigned)strtoul(m.body, NULL, 10);
        assert_in_range(i, 0, FLOOD_MAX + FLOOD_BATCH - 1);
        left -= !seen[i] && i < n;
        seen[i] = 1;
        (void)q->ops->ack(q, &m, NULL);
        queue_msg_release(&m);
    }
    free(seen);
}

static void nothing_confirmed_is_lost_when_the_broker_is_killed(void **state)
{
    struct farm *f = *state;
    struct flood fl = { .q = f->q };
    struct queue_state s;
    struct queue_msg held;
    const char *const patterns[] = { "#" };
    pthread_t t;

    assert_int_equal(f->q->ops->listen(f->q, patterns, 1, NULL), 0);
    publish(f->q, QUEUE_TASKS, "held");
    consume(f->q, QUEUE_TASKS, &held);
    /* A quorum queue that is killed when it is very young may lose its leader. */
    pause_ms(2500);
    assert_int_equal(pthread_create(&t, NULL, flood, &fl), 0);
    pause_ms(300);
    assert_int_equal(script(f->b, NULL, 0, "kill"), 0);
    int64_t end = now_ms() + WAIT_MS;
    do
        f->q->ops->state(f->q, &s);
    while (s.connected && now_ms() < end);
    assert_int_equal(s.connected, 0);
    assert_int_not_equal(s.reason[0], '\0');
    assert_int_equal(f->q->ops->ack(f->q, &held, NULL), -ESTALE);
    assert_int_equal(f->q->ops->reject(f->q, &held, 1, NULL, NULL), -ESTALE);
    queue_msg_release(&held);
    assert_int_equal(script(f->b, NULL, 0, "restart"), 0);
    assert_int_equal(script(f->b, NULL, 0, "wait"), 0);
    assert_int_equal(queue_amqp_wait(f->q, WAIT_MS, NULL), 0);
    pause_ms(300);
    atomic_store(&fl.stop, 1);
    assert_int_equal(pthread_join(t, NULL), 0);
    assert_int_equal(fl.r, 0);
    assert_in_range(fl.confirmed, FLOOD_BATCH, FLOOD_MAX + FLOOD_BATCH);
    drain(f->q, fl.confirmed);
    expect(f->q, QUEUE_TASKS, "held");
    f->q->ops->state(f->q, &s);
    assert_in_range(s.reconnects, 1, 1000);
    for (end = now_ms() + WAIT_MS; now_ms() < end;) { /* listening goes on, too */
        f->q->ops->event(f->q, "event.again", "x", 1);
        if (f->q->ops->consume(f->q, QUEUE_EVENTS, 100, &held, NULL) == 0)
            break;
    }
    assert_string_equal(held.key, "event.again");
    queue_msg_release(&held);
}

static void a_broker_short_of_memory_is_waited_for(void **state)
{
    struct farm *f = *state;
    struct queue_state s = { 0 };
    struct flood fl = { .q = f->q };
    struct queue_msg m;
    pthread_t t;

    publish(f->q, QUEUE_TASKS, "task");
    consume(f->q, QUEUE_TASKS, &m);
    assert_int_equal(script(f->b, NULL, 0, "ctl 1 -q set_vm_memory_high_watermark absolute 1MB"),
                     0);
    assert_int_equal(pthread_create(&t, NULL, flood, &fl), 0);
    for (int64_t end = now_ms() + WAIT_MS; !s.blocked && now_ms() < end; pause_ms(20))
        f->q->ops->state(f->q, &s);
    assert_int_equal(s.blocked, 1);
    assert_int_not_equal(s.reason[0], '\0');
    assert_int_equal(script(f->b, NULL, 0, "ctl 1 -q set_vm_memory_high_watermark absolute 1GiB"),
                     0);
    for (int64_t end = now_ms() + WAIT_MS; s.blocked && now_ms() < end; pause_ms(20))
        f->q->ops->state(f->q, &s);
    assert_int_equal(s.blocked, 0);
    atomic_store(&fl.stop, 1);
    assert_int_equal(pthread_join(t, NULL), 0);
    assert_int_equal(fl.r, 0);
    assert_int_equal(f->q->ops->ack(f->q, &m, NULL), 0);
    queue_msg_release(&m);
    drain(f->q, fl.confirmed);
}

static void a_user_without_the_right_to_declare_uses_what_is_there(void **state)
{
    struct farm *f = *state;
    struct broker b = *f->b;
    struct farm poor = { .b = &b };

    strcpy(poor.vhost, f->vhost);
    assert_int_equal(script(f->b, NULL, 0, "user poor pass-word %s", f->vhost), 0);
    assert_int_equal(script(f->b, NULL, 0,
                            "api PUT permissions/%s/poor "
                            "'{\"configure\":\"^$\",\"write\":\".*\",\"read\":\".*\"}'",
                            f->vhost),
                     0);
    strcpy(b.user, "poor");
    strcpy(b.password, "pass-word");
    struct queue *q = open_queue(&poor, 1);
    publish(q, QUEUE_TASKS, "task");
    expect(q, QUEUE_TASKS, "task");
    queue_free(q);
}

static void a_cluster_that_loses_a_node_loses_no_message(void **state)
{
    struct broker b = { 0 };
    struct farm f = { .b = &b };
    struct flood fl = { 0 };
    struct err err = { 0 };
    pthread_t t;

    (void)state;
    if (!getenv("GOPMILL_TEST_CLUSTER"))
        skip();
    broker_start(&b, "--nodes 3");
    strcpy(f.vhost, "farm");
    assert_int_equal(script(&b, NULL, 0, "vhost farm"), 0);
    fl.q = open_as(&f, "amqp", b.password, b.hosts, 1, NULL);
    if (queue_amqp_wait(fl.q, WAIT_MS, &err) < 0)
        fail_msg("%s", err.text);
    pause_ms(2500);
    assert_int_equal(pthread_create(&t, NULL, flood, &fl), 0);
    pause_ms(500);
    assert_int_equal(script(&b, NULL, 0, "kill 1"), 0); /* connected to, and leader of most */
    unsigned before = fl.confirmed;
    for (int64_t end = now_ms() + WAIT_MS; now_ms() < end && fl.confirmed < before + 500;)
        pause_ms(50);
    atomic_store(&fl.stop, 1);
    assert_int_equal(pthread_join(t, NULL), 0);
    assert_int_equal(fl.r, 0);
    drain(fl.q, fl.confirmed);
    queue_free(fl.q);
    (void)script(&b, NULL, 0, "down");
}

/* Answers everybody with one of several kinds of nonsense. */
static void *talk_nonsense(void *arg)
{
    static const struct {
        const char *bytes;
        size_t len;
    } texts[] = {
        {"",                                           0 },
        { "HTTP/1.1 400 Bad Request\r\n\r\n",          28},
        { "AMQP\0\0\x09\x02",                          8 },
        { "\1\0\0\0\0\0\4\0\x0a\0\x0a\xce",            12}, /* start, cut off */
        { "\1\0\0\xff\xff\xff\xff\0\x0a\0\x0a",        11}, /* a frame of 4 GB */
        { "\2\xff\xff\0\0\0\0\xce\3\0\0\0\0\0\1x\xce", 17}, /* content before anything */
    };
    const int *listener = arg;
    int fd;

    for (size_t i = 0; (fd = accept(*listener, NULL, NULL)) >= 0; i++) {
        const size_t k = i % (sizeof(texts) / sizeof(*texts));
        (void)send(fd, texts[k].bytes, texts[k].len, MSG_NOSIGNAL);
        (void)shutdown(fd, SHUT_WR);
        (void)close(fd);
    }
    return NULL;
}

static void a_broker_that_talks_nonsense_is_no_broker(void **state)
{
    struct farm *f = *state;
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof(a);
    struct err err = { 0 };
    char host[32];
    pthread_t t;

    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    assert_int_equal(listen(fd, 8), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
    assert_int_equal(pthread_create(&t, NULL, talk_nonsense, &fd), 0);
    (void)snprintf(host, sizeof(host), "127.0.0.1:%u", ntohs(a.sin_port));
    struct queue *q = open_as(f, "amqp", f->b->password, host, 1, NULL);
    assert_int_equal(queue_amqp_wait(q, 6 * SOON_MS, &err), -ETIMEDOUT);
    assert_null(strstr(err.text, f->b->password));
    queue_free(q);
    (void)shutdown(fd, SHUT_RDWR);
    assert_int_equal(pthread_join(t, NULL), 0);
    (void)close(fd);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        T(messages_come_in_order_and_once),
        T(a_large_message_passes_and_a_larger_one_is_refused),
        T(a_message_that_kills_its_workers_becomes_a_dead_letter),
        T(a_refused_message_is_buried_with_its_reason),
        T(what_is_too_large_reaches_no_consumer),
        T(no_more_tasks_at_once_than_asked_for),
        T(a_stopped_worker_gives_back_what_it_has_not_begun),
        T(what_a_worker_held_at_its_end_goes_to_another),
        T(acks_just_before_the_end_count),
        T(events_reach_who_listens),
        T(a_queue_that_was_deleted_is_made_again),
        T(one_closed_channel_leaves_the_others_alone),
        T(a_full_queue_is_asked_again_until_it_takes_the_message),
        T(a_wrong_password_is_told_without_it),
        T(tls_is_verified),
        T(another_name_than_the_certificates_is_not_trusted),
        T(the_next_host_is_tried_where_one_is_away),
        T(closing_wakes_everybody),
        T(a_broker_that_talks_nonsense_is_no_broker),
        T(a_user_without_the_right_to_declare_uses_what_is_there),
        T(a_broker_short_of_memory_is_waited_for),
        T(nothing_confirmed_is_lost_when_the_broker_is_killed),
        cmocka_unit_test(a_cluster_that_loses_a_node_loses_no_message),
    };

    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, setup_broker, teardown_broker);
}
