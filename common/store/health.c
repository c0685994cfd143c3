#include "health.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../base/clock.h"
#include "../base/err.h"
#include "../base/log.h"
#include "http.h"

enum {
    LOOK_MS = 200, /* whether there is something to be asked, or it is over */
    ASK_FIRST_MS = 500,
    ASK_MAX_MS = 5000,
    ROOM = 1 << 20, /* of a list of buckets */
};

static struct net_env *net_of(struct store_env *e)
{
    return (struct net_env *)e; /* its first member */
}

/* ---- what is known ---- */

/* Locked. */
static void health_set(struct net_env *e, enum store_state state, const char *why)
{
    struct http_health *h = &e->health;

    if (h->state != state)
        log_event(state == STORE_ANSWERS ? LOG_INFO : LOG_WARN,
                  state == STORE_ANSWERS ? "store.answers"
                  : state == STORE_AWAY  ? "store.away"
                                         : "store.refuses",
                  LSTR("endpoint", e->host), LSTR("error", why));
    h->bad_ns[h->state] = h->bad_ns[state] = http_now_ns(); /* it ends now, and begins */
    h->state = state;
    (void)snprintf(h->why, sizeof(h->why), "%s", why);
}

static int is_one_of(const char *code, const char *const *codes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(code, codes[i]) == 0)
            return 1;
    return 0;
}

void http_health_answered(struct net_env *e, const struct http_answer *a)
{
    static const char *const refusals[] = { "SignatureDoesNotMatch", "InvalidAccessKeyId" };
    const char *code = a->error.code;
    char why[300] = "";
    enum store_state state = STORE_ANSWERS;

    if (a->status == 403 && strcmp(code, "RequestTimeTooSkewed") == 0) {
        state = STORE_AWAY;
        (void)snprintf(why, sizeof(why), "the clock of %.200s and this machine's differ too much",
                       e->host);
    } else if (a->status == 403 && is_one_of(code, refusals, 2)) {
        state = STORE_REFUSES;
        (void)snprintf(why, sizeof(why), "%.150s refuses the credentials of key %.60s: %.40s",
                       e->host, e->access_key ? e->access_key : "(none)", code);
    }
    (void)pthread_mutex_lock(&e->health.lock);
    if (state == STORE_ANSWERS)
        e->health.answered_ns = http_now_ns();
    health_set(e, state, why);
    (void)pthread_mutex_unlock(&e->health.lock);
}

/* What of the error's text isn't the object's name: /readyz tells it to whoever asks. */
static const char *without_name(const struct http_request *q, const char *text)
{
    size_t n = strnlen(q->shown, 300);

    return strncmp(text, q->shown, n) == 0 && strncmp(text + n, ": ", 2) == 0 ? text + n + 2 : text;
}

void http_health_failed(struct net_env *e, int64_t began_ns, const struct http_request *q,
                        const char *text)
{
    char why[300];

    (void)snprintf(why, sizeof(why), "%.150s: %.140s", e->host, without_name(q, text));
    (void)pthread_mutex_lock(&e->health.lock);
    if (e->health.answered_ns < began_ns && e->health.state != STORE_REFUSES)
        health_set(e, STORE_AWAY, why);
    (void)pthread_mutex_unlock(&e->health.lock);
}

void store_env_health(struct store_env *env, struct store_health *ret)
{
    struct net_env *e = net_of(env);

    *ret = (struct store_health){ STORE_ANSWERS, "" };
    if (!e)
        return;
    (void)pthread_mutex_lock(&e->health.lock);
    ret->state = e->health.state;
    memcpy(ret->why, e->health.why, sizeof(ret->why));
    (void)pthread_mutex_unlock(&e->health.lock);
}

static int was_away(struct store_env *env, int64_t since_ns, int refused)
{
    struct net_env *e = net_of(env);
    enum store_state state = refused ? STORE_REFUSES : STORE_AWAY;

    (void)pthread_mutex_lock(&e->health.lock);
    int was = e->health.state == state || e->health.bad_ns[state] >= since_ns;
    (void)pthread_mutex_unlock(&e->health.lock);
    return was;
}

int http_health_may_ask(struct net_env *e)
{
    int64_t now = http_now_ns();

    (void)pthread_mutex_lock(&e->health.lock);
    int may = e->health.asked_ns == 0 || now - e->health.asked_ns >= NS_PER_S;
    if (may)
        e->health.asked_ns = now;
    (void)pthread_mutex_unlock(&e->health.lock);
    return may;
}

void http_health_init(struct net_env *e)
{
    (void)pthread_mutex_init(&e->health.lock, NULL);
    e->env.was_away = was_away;
}

/* ---- asking ---- */

int store_env_ask(struct store_env *env, struct err *err)
{
    struct net_env *e = net_of(env);
    const struct http_target target = { .host = e->host, .path = "/", .query = "" };
    struct store_health h;
    struct http_answer a = { 0 };
    char url[600];
    int again;

    if (!e->configured)
        return 0;
    (void)snprintf(url, sizeof(url), "%s://%s/", e->scheme, e->host);
    const struct http_request q = {
        .method = "GET",
        .url = url,
        .shown = url,
        .sign = &target,
        .room = ROOM,
        .deadline_ns = http_now_ns() + (int64_t)e->stall_timeout_ms * NS_PER_MS,
    };
    int64_t began = http_now_ns();
    int r = http_attempt(e, &q, &a, &again, err);
    if (r == 0)
        http_health_answered(e, &a);
    else
        http_health_failed(e, began, &q, err && err->text[0] ? err->text : "no answer");
    http_answer_release(&a);
    store_env_health(env, &h);
    if (h.state == STORE_ANSWERS)
        return 0;
    return err_set(err, h.state == STORE_REFUSES ? -EACCES : -EIO, ERR_STORAGE, "%s", h.why);
}

/* ---- the watch ---- */

struct store_watch {
    struct store_env *env;
    pthread_t thread;
    pthread_mutex_t lock; /* guards over */
    pthread_cond_t changed;
    int over;
};

/* 1: it is over. */
static int watch_wait(struct store_watch *w, int ms)
{
    int64_t until = http_now_ns() + ms * (int64_t)NS_PER_MS;
    const struct timespec t = { until / NS_PER_S, (long)(until % NS_PER_S) };

    (void)pthread_mutex_lock(&w->lock);
    if (!w->over)
        (void)pthread_cond_timedwait(&w->changed, &w->lock, &t);
    int over = w->over;
    (void)pthread_mutex_unlock(&w->lock);
    return over;
}

static void *watch_main(void *arg)
{
    struct store_watch *w = arg;
    struct store_health h;
    int ms = LOOK_MS;

    while (!watch_wait(w, ms)) {
        struct err err = { 0 };
        store_env_health(w->env, &h);
        if (h.state == STORE_ANSWERS || store_env_ask(w->env, &err) == 0)
            ms = LOOK_MS;
        else
            ms = ms < ASK_FIRST_MS ? ASK_FIRST_MS : ms * 2 < ASK_MAX_MS ? ms * 2 : ASK_MAX_MS;
    }
    return NULL;
}

int store_watch_new(struct store_env *e, struct store_watch **ret, struct err *err)
{
    struct store_watch *w = calloc(1, sizeof(*w));
    pthread_condattr_t attr;

    if (!w)
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory");
    w->env = e;
    (void)pthread_mutex_init(&w->lock, NULL);
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&w->changed, &attr);
    (void)pthread_condattr_destroy(&attr);
    int r = -pthread_create(&w->thread, NULL, watch_main, w);
    if (r < 0) {
        (void)pthread_cond_destroy(&w->changed);
        (void)pthread_mutex_destroy(&w->lock);
        free(w);
        return err_set(err, r, ERR_RESOURCE, "can't start a thread: %s", strerror(-r));
    }
    *ret = w;
    return 0;
}

void store_watch_free(struct store_watch *w)
{
    if (!w)
        return;
    (void)pthread_mutex_lock(&w->lock);
    w->over = 1;
    (void)pthread_cond_signal(&w->changed);
    (void)pthread_mutex_unlock(&w->lock);
    (void)pthread_join(w->thread, NULL);
    (void)pthread_cond_destroy(&w->changed);
    (void)pthread_mutex_destroy(&w->lock);
    free(w);
}
