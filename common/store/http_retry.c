/* http_retry.c - a request made again and again until it gets an answer that
 * will not change, or there is no time or try left. */
#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "../base/clock.h"
#include "../base/err.h"
#include "http.h"

enum { BACKOFF_FIRST_MS = 100, BACKOFF_MAX_MS = 5000 };

int64_t http_deadline(const struct net_env *e)
{
    return http_now_ns() + e->deadline_ms * NS_PER_MS;
}

/* Half of it is chance: those who failed together don't come back together. */
static int64_t backoff_ms(int tries)
{
    int64_t ms = BACKOFF_MAX_MS;
    uint32_t chance = 0;

    if (tries < 7)
        ms = (int64_t)BACKOFF_FIRST_MS << (tries - 1);
    if (ms > BACKOFF_MAX_MS)
        ms = BACKOFF_MAX_MS;
    (void)getrandom(&chance, sizeof(chance), GRND_NONBLOCK);
    return ms / 2 + (int64_t)(chance % (uint32_t)(ms / 2 + 1));
}

static void sleep_ms(int64_t ms)
{
    struct timespec ts = { .tv_sec = (time_t)(ms / 1000),
                           .tv_nsec = (long)(ms % 1000 * NS_PER_MS) };

    while (clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, &ts) == EINTR)
        ;
}

/* Wait before try `tries` + 1. -ETIMEDOUT if that would be after the deadline. */
static int wait_turn(const struct http_request *q, const struct http_answer *a, int tries)
{
    int64_t ms = backoff_ms(tries);

    if (a->retry_after_ms > ms)
        ms = a->retry_after_ms;
    if (http_now_ns() + ms * NS_PER_MS >= q->deadline_ns)
        return -ETIMEDOUT;
    sleep_ms(ms);
    return 0;
}

static void forget(struct http_answer *a)
{
    http_answer_release(a);
    memset(a, 0, sizeof(*a));
}

/* The answer to HEAD has no body that says why it is forbidden: what is asked instead has. */
static void note_answer(struct net_env *e, const struct http_request *q,
                        const struct http_answer *a)
{
    if (!q->sign)
        return;
    if (a->status != 403 || strcmp(q->method, "HEAD") != 0)
        http_health_answered(e, a);
    else if (http_health_may_ask(e))
        (void)store_env_ask(&e->env, NULL);
}

int http_perform(struct net_env *e, const struct http_request *q, struct http_answer *ret,
                 struct err *err)
{
    struct http_answer a = { 0 };
    struct err none = { 0 };
    int64_t began = http_now_ns();
    int again = 0, r = 0, n = 1;

    if (!err)
        err = &none;

    for (;; n++) {
        r = http_attempt(e, q, &a, &again, err);
        if (r == 0) {
            a.tries = n;
            note_answer(e, q, &a);
            *ret = a;
            return 0;
        }
        if (!again || n >= e->tries || wait_turn(q, &a, n) < 0)
            break;
        atomic_fetch_add(&e->retries, 1);
        forget(&a);
    }
    forget(&a);
    if (again && q->sign)
        http_health_failed(e, began, q, err->text);
    atomic_fetch_add(&e->failures, 1);
    return again ? err_prefix(err, r, "%s failed, tried %d time%s", q->method, n, n == 1 ? "" : "s")
                 : r;
}
