/* The embedded queue: one consumer a message, nothing lost, nothing doubled. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/err.h"
#include "common/queue/queue.h"

static int setup(void **state)
{
    *state = queue_memory_new();
    return *state ? 0 : -1;
}

static int teardown(void **state)
{
    queue_free(*state);
    return 0;
}

static void publish(struct queue *q, const char *name, const char *body)
{
    assert_int_equal(queue_publish(q, name, body, strlen(body), -1, NULL), 0);
}

static void messages_come_in_order_and_once(void **state)
{
    struct queue *q = *state;
    struct queue_msg a, b, c;
    size_t depth;

    publish(q, "x", "one");
    publish(q, "x", "two");
    publish(q, "y", "other");
    assert_int_equal(q->ops->depth(q, "x", &depth), 0);
    assert_int_equal(depth, 2);
    assert_int_equal(q->ops->consume(q, "x", 0, &a, NULL), 0);
    assert_int_equal(q->ops->consume(q, "x", 0, &b, NULL), 0);
    assert_string_equal(a.body, "one");
    assert_string_equal(b.body, "two");
    assert_int_equal(a.deliveries, 1);
    assert_int_equal(q->ops->consume(q, "x", 0, &c, NULL), -EAGAIN);
    assert_int_equal(q->ops->ack(q, &a, NULL), 0);
    assert_int_equal(q->ops->ack(q, &a, NULL), -EINVAL);
    assert_int_equal(q->ops->ack(q, &b, NULL), 0);
    queue_msg_release(&a);
    queue_msg_release(&b);
}

static void a_message_handed_back_comes_first_and_counts(void **state)
{
    struct queue *q = *state;
    struct queue_msg m;

    publish(q, "x", "one");
    publish(q, "x", "two");
    for (unsigned i = 1; i <= 3; i++) {
        assert_int_equal(q->ops->consume(q, "x", 0, &m, NULL), 0);
        assert_string_equal(m.body, "one");
        assert_int_equal(m.deliveries, i);
        assert_int_equal(q->ops->reject(q, &m, 1, NULL, NULL), 0);
        assert_int_equal(q->ops->reject(q, &m, 1, NULL, NULL), -EINVAL);
        queue_msg_release(&m);
    }
}

static void a_refused_message_goes_to_the_dead_letters_with_its_reason(void **state)
{
    struct queue *q = *state;
    struct queue_msg m;

    publish(q, "x", "bad");
    assert_int_equal(q->ops->consume(q, "x", 0, &m, NULL), 0);
    assert_null(m.from);
    assert_int_equal(q->ops->reject(q, &m, 0, "unreadable", NULL), 0);
    queue_msg_release(&m);
    assert_int_equal(q->ops->consume(q, "x", 0, &m, NULL), -EAGAIN);
    assert_int_equal(q->ops->consume(q, QUEUE_DEAD, 0, &m, NULL), 0);
    assert_string_equal(m.body, "bad");
    assert_string_equal(m.from, "x");
    assert_string_equal(m.reason, "unreadable");
    assert_int_equal(m.deliveries, 1);
    assert_null(m.key);
    assert_int_equal(q->ops->ack(q, &m, NULL), 0);
    queue_msg_release(&m);
}

static void a_reason_is_cut_between_characters_and_the_first_one_stays(void **state)
{
    struct queue *q = *state;
    struct queue_msg m;
    char reason[QUEUE_REASON_MAX + 10];

    memset(reason, 'x', sizeof(reason));
    memcpy(reason + QUEUE_REASON_MAX - 1, "\xc3\xa9", 2);
    reason[sizeof(reason) - 1] = '\0';
    publish(q, "x", "bad");
    assert_int_equal(q->ops->consume(q, "x", 0, &m, NULL), 0);
    assert_int_equal(q->ops->reject(q, &m, 0, reason, NULL), 0);
    queue_msg_release(&m);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(q->ops->consume(q, QUEUE_DEAD, 0, &m, NULL), 0);
        assert_int_equal(strlen(m.reason), QUEUE_REASON_MAX - 1);
        assert_string_equal(m.from, "x");
        assert_int_equal(q->ops->reject(q, &m, 0, "another", NULL), 0);
        queue_msg_release(&m);
    }
}

static void many_messages_are_published_at_once_or_not_at_all(void **state)
{
    struct queue *q = *state;
    const struct queue_text good[] = {
        {"a",  1},
        { "b", 1},
        { "c", 1}
    };
    struct queue_text bad[] = {
        {"a",   1                 },
        { NULL, QUEUE_BODY_MAX + 1}
    };
    struct queue_msg m;
    size_t depth;

    assert_int_equal(q->ops->publish(q, "x", bad, 2, -1, NULL), -EMSGSIZE);
    assert_int_equal(q->ops->publish(q, "x", good, 3, 0, NULL), 0);
    assert_int_equal(q->ops->depth(q, "x", &depth), 0);
    assert_int_equal(depth, 3);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(q->ops->consume(q, "x", 0, &m, NULL), 0);
        assert_int_equal(m.body[0], 'a' + i);
        queue_msg_release(&m);
    }
}

static void a_stopped_queue_gives_no_more_but_keeps_what_it_has(void **state)
{
    struct queue *q = *state;
    struct queue_msg m;
    size_t depth;

    publish(q, "x", "one");
    publish(q, "x", "two");
    publish(q, "y", "other");
    assert_int_equal(q->ops->consume(q, "x", 0, &m, NULL), 0);
    q->ops->stop(q, "x");
    assert_int_equal(q->ops->ack(q, &m, NULL), 0);
    queue_msg_release(&m);
    assert_int_equal(q->ops->consume(q, "x", 0, &m, NULL), -ESHUTDOWN);
    assert_int_equal(q->ops->depth(q, "x", &depth), 0);
    assert_int_equal(depth, 1);
    assert_int_equal(q->ops->consume(q, "y", 0, &m, NULL), 0);
    queue_msg_release(&m);
}

static void events_reach_who_listens_and_the_oldest_go_first(void **state)
{
    struct queue *q = *state;
    const char *const patterns[] = { "event.worker.*", "event.job.#" };
    struct queue_msg m;
    size_t depth;

    q->ops->event(q, "event.worker.w1", "lost", 4);
    assert_int_equal(q->ops->listen(q, patterns, 2, NULL), 0);
    assert_int_equal(q->ops->listen(q, patterns, 2, NULL), -EALREADY);
    q->ops->event(q, "event.other", "unheard", 7);
    for (int i = 0; i < 1025; i++)
        q->ops->event(q, i == 1 ? "event.job.j.done" : "event.worker.w1", "x", 1);
    assert_int_equal(q->ops->depth(q, QUEUE_EVENTS, &depth), 0);
    assert_int_equal(depth, 1024);
    assert_int_equal(q->ops->consume(q, QUEUE_EVENTS, 0, &m, NULL), 0);
    assert_string_equal(m.key, "event.job.j.done");
    assert_int_equal(q->ops->ack(q, &m, NULL), 0);
    assert_int_equal(q->ops->reject(q, &m, 1, NULL, NULL), 0);
    queue_msg_release(&m);
    assert_int_equal(q->ops->depth(q, QUEUE_EVENTS, &depth), 0);
    assert_int_equal(depth, 1023);
}

static void topics_match_word_by_word(void **state)
{
    static const struct {
        const char *pattern, *key;
        int want;
    } rows[] = {
        {"a.b",        "a.b",         1},
        { "a.b",       "a.bc",        0},
        { "a.*",       "a.b",         1},
        { "a.*",       "a",           0},
        { "a.*",       "a.b.c",       0},
        { "a.*.c",     "a..c",        1},
        { "#",         "",            1},
        { "#",         "a.b.c",       1},
        { "a.#",       "a",           1},
        { "a.#",       "a.b.c",       1},
        { "#.c",       "a.b.c",       1},
        { "#.c",       "c",           1},
        { "#.c",       "a.c.b",       0},
        { "a.#.c",     "a.c",         1},
        { "a.#.c.#.e", "a.c.d",       0},
        { "a.#.c.#.e", "a.b.c.c.d.e", 1},
        { "*.#",       "a",           1},
        { "*.#",       "",            0},
        { "#.*",       "a.b",         1},
        { "#.#",       "",            1},
        { "a*",        "ab",          0},
        { "a",         "a.",          0},
        { "",          "",            1},
        { "",          "a",           0},
        { "*",         "",            0},
        { "*.*",       ".",           1},
        { "#.a.#.a",   "a.b.a.c",     0},
        { "a.b.#",     "a",           0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
        if (queue_topic_match(rows[i].pattern, rows[i].key) != rows[i].want)
            fail_msg("%s and %s: not %d", rows[i].pattern, rows[i].key, rows[i].want);
}

static void empty_and_binary_bodies_pass_too_long_ones_do_not(void **state)
{
    struct queue *q = *state;
    struct queue_msg m;
    struct err err = { 0 };

    assert_int_equal(queue_publish(q, "x", NULL, 0, -1, NULL), 0);
    assert_int_equal(queue_publish(q, "x", "a\0b", 3, -1, NULL), 0);
    assert_int_equal(q->ops->consume(q, "x", 0, &m, NULL), 0);
    assert_int_equal(m.len, 0);
    assert_string_equal(m.body, "");
    queue_msg_release(&m);
    assert_int_equal(q->ops->consume(q, "x", 0, &m, NULL), 0);
    assert_int_equal(m.len, 3);
    assert_memory_equal(m.body, "a\0b\0", 4);
    queue_msg_release(&m);
    char *big = calloc(1, QUEUE_BODY_MAX + 1);
    assert_int_equal(queue_publish(q, "x", big, QUEUE_BODY_MAX, -1, NULL), 0);
    assert_int_equal(queue_publish(q, "x", big, QUEUE_BODY_MAX + 1, -1, &err), -EMSGSIZE);
    assert_int_equal(err.cls, ERR_USAGE);
    free(big);
}

static void waiting_has_an_end(void **state)
{
    struct queue *q = *state;
    struct queue_msg m = { .tag = 77 };
    struct err err = { 0 };

    assert_int_equal(q->ops->consume(q, "x", 1, &m, &err), -EAGAIN);
    assert_int_equal(m.tag, 77);
}

struct shared {
    struct queue *q;
    atomic_uint seen[400];
    atomic_uint acked, shutdowns;
};

static void *consumer(void *arg)
{
    struct shared *s = arg;
    struct queue_msg m;
    int r;

    while ((r = s->q->ops->consume(s->q, "x", -1, &m, NULL)) == 0) {
        unsigned i = (unsigned)atoi(m.body);
        /* Every third message goes back the first time. */
        if (i % 3 == 0 && m.deliveries == 1) {
            (void)s->q->ops->reject(s->q, &m, 1, NULL, NULL);
        } else {
            (void)s->q->ops->ack(s->q, &m, NULL);
            atomic_fetch_add(&s->seen[i], 1);
            atomic_fetch_add(&s->acked, 1);
        }
        queue_msg_release(&m);
        if (atomic_load(&s->acked) == 400)
            s->q->ops->close(s->q);
    }
    if (r == -ESHUTDOWN)
        atomic_fetch_add(&s->shutdowns, 1);
    return NULL;
}

static void many_consumers_share_without_loss_and_end_at_close(void **state)
{
    struct shared s = { .q = *state };
    pthread_t t[4];
    char body[16];

    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&t[i], NULL, consumer, &s), 0);
    for (int i = 0; i < 400; i++) {
        (void)snprintf(body, sizeof(body), "%d", i);
        publish(s.q, "x", body);
    }
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_join(t[i], NULL), 0);
    for (int i = 0; i < 400; i++)
        assert_int_equal(atomic_load(&s.seen[i]), 1);
    assert_int_equal(atomic_load(&s.shutdowns), 4);
}

static void a_closed_queue_takes_back_but_gives_and_takes_no_more(void **state)
{
    struct queue *q = *state;
    struct queue_msg a, b, c;

    publish(q, "x", "one");
    publish(q, "x", "two");
    publish(q, "x", "three");
    assert_int_equal(q->ops->consume(q, "x", 0, &a, NULL), 0);
    assert_int_equal(q->ops->consume(q, "x", 0, &b, NULL), 0);
    q->ops->close(q);
    assert_int_equal(q->ops->consume(q, "x", 0, &c, NULL), -ESHUTDOWN);
    assert_int_equal(queue_publish(q, "x", "y", 1, -1, NULL), -ESHUTDOWN);
    assert_int_equal(q->ops->ack(q, &a, NULL), 0);
    assert_int_equal(q->ops->reject(q, &b, 1, NULL, NULL), 0);
    queue_msg_release(&a);
    queue_msg_release(&b);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(messages_come_in_order_and_once),
        T(a_message_handed_back_comes_first_and_counts),
        T(a_refused_message_goes_to_the_dead_letters_with_its_reason),
        T(a_reason_is_cut_between_characters_and_the_first_one_stays),
        T(many_messages_are_published_at_once_or_not_at_all),
        T(a_stopped_queue_gives_no_more_but_keeps_what_it_has),
        T(events_reach_who_listens_and_the_oldest_go_first),
        cmocka_unit_test(topics_match_word_by_word),
        T(empty_and_binary_bodies_pass_too_long_ones_do_not),
        T(waiting_has_an_end),
        T(many_consumers_share_without_loss_and_end_at_close),
        T(a_closed_queue_takes_back_but_gives_and_takes_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
