#include "webhook.h"

#include <curl/curl.h>
#include <errno.h>
#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "../../common/base/cleanup.h"
#include "../../common/base/clock.h"
#include "../../common/base/log.h"
#include "../../common/store/http.h"
#include "../engine.h"
#include "url_rules.h"

enum {
    THREADS_MAX = 16,
    TRY_MS = 15000,
    CONNECT_MS = 5000,
    ANSWER_MAX = 1 << 20,
    CALL_MS = 10000,
};

struct notice {
    struct notice *next;
    char *job, *url, *body;
    int64_t first_ns, due_ns;
    int64_t wait_ms;
    int at_work; /* a thread is sending it */
    int stale;   /* a newer one of this job has come meanwhile */
};

struct webhook {
    struct webhook_config cfg;
    char *ca_file;
    struct dispatcher *d;
    pthread_t threads[THREADS_MAX];
    unsigned n_threads;
    atomic_int stopping;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t changed;
    struct notice *notices;
    struct webhook_counts counts;
};

static int64_t now_ns(void)
{
    return clock_system.mono_ns(&clock_system);
}

static void notice_free(struct notice *n)
{
    free(n->job);
    free(n->url);
    free(n->body);
    free(n);
}

/* ---- what is to be said ---- */

static json_t *error_json(const struct err *e)
{
    if (!e || e->cls == ERR_NONE)
        return json_null();
    return json_pack("{s:s,s:s}", "class", err_class_name(e->cls), "text", e->text);
}

static char *body_of(const struct job_end *e)
{
    json_t *meta = e->metadata ? json_loads(e->metadata, JSON_DECODE_ANY, NULL) : NULL;
    json_t *j = json_pack("{s:i,s:s,s:s,s:o,s:o}", "v", 1, "id", e->id, "state",
                          job_state_name(e->state), "error", error_json(e->error), "metadata",
                          meta ? meta : json_null());
    char *text = j ? json_dumps(j, JSON_COMPACT) : NULL;

    json_decref(j);
    return text;
}

static struct notice *notice_new(const struct webhook *w, const struct job_end *e)
{
    struct notice *n = calloc(1, sizeof(*n));

    if (!n)
        return NULL;
    n->job = strdup(e->id);
    n->url = strdup(e->notify);
    n->body = body_of(e);
    n->first_ns = n->due_ns = now_ns();
    n->wait_ms = w->cfg.first_wait_ms;
    if (!n->job || !n->url || !n->body) {
        notice_free(n);
        return NULL;
    }
    return n;
}

/* With the lock held. */
static void replace_old(struct webhook *w, const char *job)
{
    for (struct notice **at = &w->notices, *n; (n = *at);) {
        if (strcmp(n->job, job) != 0) {
            at = &n->next;
        } else if (n->at_work) {
            n->stale = 1;
            at = &n->next;
        } else {
            *at = n->next;
            w->counts.waiting--;
            notice_free(n);
        }
    }
}

void webhook_end(void *arg, const struct job_end *e)
{
    struct webhook *w = arg;

    if (!e->notify || !*e->notify)
        return;
    struct notice *n = notice_new(w, e);
    if (!n) {
        log_event(LOG_ERROR, "webhook.dropped", LSTR("job", e->id), LSTR("why", "out of memory"));
        return; /* told after the next start */
    }
    (void)pthread_mutex_lock(&w->lock);
    replace_old(w, n->job);
    n->next = w->notices;
    w->notices = n;
    w->counts.waiting++;
    (void)pthread_cond_signal(&w->changed);
    (void)pthread_mutex_unlock(&w->lock);
}

/* ---- sending ---- */

static int private_ok(const struct webhook *w, const char *url)
{
    return w->cfg.private_ok && url_rules_check(w->cfg.private_ok, "notify", url, NULL) == 0;
}

static curl_socket_t open_public(void *arg, curlsocktype purpose, struct curl_sockaddr *a)
{
    (void)arg, (void)purpose;
    if (address_is_private(&a->addr))
        return CURL_SOCKET_BAD;
    return socket(a->family, a->socktype | SOCK_CLOEXEC, a->protocol);
}

static size_t discard(char *buf, size_t size, size_t n, void *arg)
{
    size_t *left = arg;

    (void)buf;
    if (size * n > *left)
        return 0;
    *left -= size * n;
    return size * n;
}

/* About once a second: the daemon doesn't wait for a slow listener. */
static int keep_on(void *arg, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    struct webhook *w = arg;

    (void)a, (void)b, (void)c, (void)d;
    return atomic_load(&w->stopping);
}

static struct curl_slist *headers(void)
{
    struct curl_slist *l = curl_slist_append(NULL, "Content-Type: application/json");
    struct curl_slist *more = l ? curl_slist_append(l, "Expect:") : NULL;

    if (!more)
        curl_slist_free_all(l);
    return more;
}

static void set_up(CURL *c, struct webhook *w, const struct notice *n, struct curl_slist *list,
                   size_t *left)
{
    (void)curl_easy_setopt(c, CURLOPT_URL, n->url);
    (void)curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
    (void)curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L);
    (void)curl_easy_setopt(c, CURLOPT_PROXY, "");
    (void)curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(c, CURLOPT_USERAGENT, "gopmill");
    (void)curl_easy_setopt(c, CURLOPT_POST, 1L);
    (void)curl_easy_setopt(c, CURLOPT_POSTFIELDS, n->body);
    (void)curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(n->body));
    (void)curl_easy_setopt(c, CURLOPT_HTTPHEADER, list);
    (void)curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
    (void)curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, (long)TRY_MS);
    (void)curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, discard);
    (void)curl_easy_setopt(c, CURLOPT_WRITEDATA, left);
    (void)curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
    (void)curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, keep_on);
    (void)curl_easy_setopt(c, CURLOPT_XFERINFODATA, w);
    if (w->ca_file)
        (void)curl_easy_setopt(c, CURLOPT_CAINFO, w->ca_file);
    if (!private_ok(w, n->url))
        (void)curl_easy_setopt(c, CURLOPT_OPENSOCKETFUNCTION, open_public);
}

/* 0 once somebody said 2xx. */
static int send_once(struct webhook *w, const struct notice *n, char *why, size_t size)
{
    struct curl_slist *list = headers();
    CURL *c = list ? curl_easy_init() : NULL;
    size_t left = ANSWER_MAX;
    long status = 0;

    if (!c) {
        curl_slist_free_all(list);
        (void)snprintf(why, size, "out of memory");
        return -ENOMEM;
    }
    set_up(c, w, n, list, &left);
    CURLcode code = curl_easy_perform(c);
    (void)curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_cleanup(c);
    curl_slist_free_all(list);
    if (status >= 200 && status < 300)
        return 0; /* whatever became of the answer's body */
    if (status > 0)
        (void)snprintf(why, size, "HTTP %ld", status);
    else
        (void)snprintf(why, size, "%s%s", curl_easy_strerror(code),
                       code == CURLE_COULDNT_CONNECT && !private_ok(w, n->url)
                           ? " (private addresses are not allowed)"
                           : "");
    return -EIO;
}

static int mark_told(struct dispatcher *d, void *arg, struct err *err)
{
    return dispatcher_notified(d, arg, err);
}

static void tell_dispatcher(const struct webhook *w, const struct notice *n)
{
    struct err err = { 0 };
    int r = dispatcher_call(w->d, mark_told, n->job, CALL_MS, &err);

    if (r < 0 && r != -ENOENT) /* a job that is forgotten has nobody to tell */
        log_event(LOG_WARN, "webhook.unmarked", LSTR("job", n->job), LSTR("why", err.text));
}

/* ---- threads ---- */

/* With the lock held: the next that nobody is at; *ret_due tells when. */
static struct notice *next_due(struct webhook *w)
{
    struct notice *best = NULL;

    for (struct notice *n = w->notices; n; n = n->next)
        if (!n->at_work && (!best || n->due_ns < best->due_ns))
            best = n;
    return best;
}

static void wait_until(struct webhook *w, int64_t due_ns)
{
    const struct timespec until = { .tv_sec = due_ns / NS_PER_S, .tv_nsec = due_ns % NS_PER_S };

    (void)pthread_cond_timedwait(&w->changed, &w->lock, &until);
}

/* With the lock held. */
static void remove_notice(struct webhook *w, struct notice *gone)
{
    struct notice **at = &w->notices;

    while (*at != gone)
        at = &(*at)->next;
    *at = gone->next;
    w->counts.waiting--;
    notice_free(gone);
}

static int too_old(const struct webhook *w, const struct notice *n)
{
    return now_ns() - n->first_ns > w->cfg.give_up_ms * NS_PER_MS;
}

/* Without the lock. 1: it is over. */
static int deliver(struct webhook *w, const struct notice *n, int *ret_told)
{
    char why[256] = "";
    int r = send_once(w, n, why, sizeof(why));

    *ret_told = r == 0;
    if (r == 0) {
        log_event(LOG_INFO, "webhook.told", LSTR("job", n->job));
        return 1;
    }
    int over = too_old(w, n);
    log_event(over ? LOG_ERROR : LOG_WARN, over ? "webhook.given_up" : "webhook.failed",
              LSTR("job", n->job), LSTR("why", why), LINT("next_ms", over ? 0 : n->wait_ms));
    return over;
}

/* With the lock held, which is given up meanwhile. */
static void work_at(struct webhook *w, struct notice *n)
{
    int told = 0;

    n->at_work = 1;
    (void)pthread_mutex_unlock(&w->lock);
    int over = deliver(w, n, &told);
    (void)pthread_mutex_lock(&w->lock);
    int mark = over && !n->stale;
    if (mark) {
        (void)pthread_mutex_unlock(&w->lock);
        tell_dispatcher(w, n);
        (void)pthread_mutex_lock(&w->lock);
    }
    n->at_work = 0;
    w->counts.told += (uint64_t)told;
    w->counts.failed += !told;
    w->counts.given_up += over && !told;
    if (over || n->stale) {
        remove_notice(w, n);
        return;
    }
    n->due_ns = now_ns() + n->wait_ms * NS_PER_MS;
    n->wait_ms = n->wait_ms * 2 < w->cfg.last_wait_ms ? n->wait_ms * 2 : w->cfg.last_wait_ms;
}

static void *run(void *arg)
{
    struct webhook *w = arg;

    (void)pthread_mutex_lock(&w->lock);
    while (!atomic_load(&w->stopping)) {
        struct notice *n = next_due(w);
        if (!n)
            (void)pthread_cond_wait(&w->changed, &w->lock);
        else if (n->due_ns > now_ns())
            wait_until(w, n->due_ns);
        else
            work_at(w, n);
    }
    (void)pthread_mutex_unlock(&w->lock);
    return NULL;
}

static int64_t or_default(int64_t x, int64_t def)
{
    return x > 0 ? x : def;
}

int webhook_new(const struct webhook_config *cfg, struct webhook **ret, struct err *err)
{
    struct webhook *w = calloc(1, sizeof(*w));
    pthread_condattr_t attr;

    if (w && cfg->ca_file && !(w->ca_file = strdup(cfg->ca_file))) {
        free(w);
        w = NULL;
    }
    if (!w)
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory");
    w->cfg = *cfg;
    w->cfg.ca_file = NULL;
    w->cfg.first_wait_ms = or_default(cfg->first_wait_ms, 1000);
    w->cfg.last_wait_ms = or_default(cfg->last_wait_ms, 600000);
    w->cfg.give_up_ms = or_default(cfg->give_up_ms, 86400000);
    (void)pthread_mutex_init(&w->lock, NULL);
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&w->changed, &attr);
    (void)pthread_condattr_destroy(&attr);
    *ret = w;
    return 0;
}

int webhook_begin(struct webhook *w, struct dispatcher *d, struct err *err)
{
    unsigned n = w->cfg.threads ? w->cfg.threads : 4;

    w->d = d;
    while (w->n_threads < n && w->n_threads < THREADS_MAX) {
        int e = pthread_create(&w->threads[w->n_threads], NULL, run, w);
        if (e != 0)
            return err_set(err, -e, ERR_RESOURCE, "starting a thread: %s", strerror(e));
        w->n_threads++;
    }
    return 0;
}

void webhook_counts(struct webhook *w, struct webhook_counts *ret)
{
    (void)pthread_mutex_lock(&w->lock);
    *ret = w->counts;
    (void)pthread_mutex_unlock(&w->lock);
}

void webhook_stop(struct webhook *w)
{
    (void)pthread_mutex_lock(&w->lock);
    atomic_store(&w->stopping, 1);
    (void)pthread_cond_broadcast(&w->changed);
    (void)pthread_mutex_unlock(&w->lock);
    for (unsigned i = 0; i < w->n_threads; i++)
        (void)pthread_join(w->threads[i], NULL);
    w->n_threads = 0;
}

void webhook_free(struct webhook *w)
{
    if (!w)
        return;
    webhook_stop(w);
    while (w->notices) {
        struct notice *n = w->notices;
        w->notices = n->next;
        notice_free(n);
    }
    (void)pthread_cond_destroy(&w->changed);
    (void)pthread_mutex_destroy(&w->lock);
    free(w->ca_file);
    free(w);
}
