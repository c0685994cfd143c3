/* api_routes.c - what the API does at each path. */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../../common/base/cleanup.h"
#include "../../common/base/clock.h"
#include "../../common/base/log.h"
#include "../../common/base/utf8.h"
#include "../../common/queue/queue.h"
#include "../../common/wire/job.h"
#include "../../common/wire/json_text.h"
#include "../board.h"
#include "../state.h"
#include "admit.h"
#include "api_parts.h"

enum { LIMIT_DEFAULT = 100, LIMIT_MAX = 1000, DEAD_BODY_MAX = 4096, CALL_MS = 10000 };

/* ---- answers ---- */

static void answer_json(struct answer *a, unsigned status, json_t *j)
{
    a->body = j ? json_dumps(j, JSON_COMPACT | JSON_REAL_PRECISION(9)) : NULL;
    a->status = a->body ? status : 500;
    json_decref(j);
}

void answer_error(struct answer *a, unsigned status, enum err_class cls, const char *text)
{
    answer_json(a, status,
                json_pack("{s:{s:s,s:s}}", "error", "class", err_class_name(cls), "text", text));
    a->retry = status == 429 || status == 503;
}

static unsigned status_of(int r, const struct err *e)
{
    switch (-r) {
    case ENOENT:
        return e->cls == ERR_USAGE ? 404 : 503;
    case EEXIST:
    case EBUSY:
    case EALREADY:
        return e->cls == ERR_USAGE ? 409 : 503;
    case EMSGSIZE:
        return 413;
    case ESHUTDOWN:
    case ETIMEDOUT:
        return 503;
    default:
        break;
    }
    switch (e->cls) {
    case ERR_USAGE:
    case ERR_INPUT:
    case ERR_UNSUPPORTED:
        return 400;
    case ERR_RESOURCE:
    case ERR_STORAGE:
    case ERR_TIMEOUT:
        return 503;
    default:
        return 500;
    }
}

static void answer_failure(struct answer *a, int r, const struct err *e)
{
    answer_error(a, status_of(r, e), e->cls, e->text);
}

static void answer_text(struct answer *a, int r, char *body, const struct err *e)
{
    if (r < 0) {
        answer_failure(a, r, e);
        return;
    }
    a->status = 200;
    a->body = body;
}

/* ---- what came with the request ---- */

const char *request_query(const struct request *q, const char *name)
{
    return MHD_lookup_connection_value(q->c, MHD_GET_ARGUMENT_KIND, name);
}

static int64_t now_ms(const struct request *q)
{
    return q->api->clock->wall_ms(q->api->clock);
}

static int call_ms(const struct request *q)
{
    return q->api->cfg.call_ms > 0 ? q->api->cfg.call_ms : CALL_MS;
}

/* `def` where it isn't there; -EINVAL with the answer made. */
static int query_number(const struct request *q, const char *name, long min, long max, long def,
                        long *ret, struct answer *a)
{
    const char *s = request_query(q, name);
    char text[120], *end;

    *ret = def;
    if (!s)
        return 0;
    errno = 0;
    long n = strtol(s, &end, 10);
    if (errno || end == s || *end || n < min || n > max) {
        (void)snprintf(text, sizeof(text), "%s: not a number from %ld to %ld", name, min, max);
        answer_error(a, 400, ERR_USAGE, text);
        return -EINVAL;
    }
    *ret = n;
    return 0;
}

/* Whether one of the entity tags of If-None-Match is `etag`. */
static int etag_listed(const char *list, const char *etag)
{
    size_t n = strlen(etag);

    if (strcmp(list, "*") == 0)
        return 1;
    for (const char *p = list; (p = strchr(p, '"'));) {
        const char *end = strchr(++p, '"');
        if (!end)
            return 0;
        if ((size_t)(end - p) == n && memcmp(p, etag, n) == 0)
            return 1;
        p = end + 1;
    }
    return 0;
}

/* ---- reading: from the board ---- */

/* 1: the one who asks has it already; answered. */
static int not_modified(const struct request *q, int with_tasks, struct answer *a)
{
    const char *list = MHD_lookup_connection_value(q->c, MHD_HEADER_KIND, "If-None-Match");
    char *etag = NULL;

    if (!list ||
        board_job_etag(q->api->cfg.sources.board, q->id, with_tasks, now_ms(q), &etag, NULL) < 0)
        return 0;
    if (!etag_listed(list, etag)) {
        free(etag);
        return 0;
    }
    a->status = 304;
    a->etag = etag;
    return 1;
}

static void get_job(struct request *q, struct answer *a)
{
    struct err err = { 0 };
    long tasks;
    char *body = NULL, *etag = NULL;

    if (query_number(q, "tasks", 0, 1, 1, &tasks, a) < 0 || not_modified(q, (int)tasks, a))
        return;
    int r = board_job_json(q->api->cfg.sources.board, q->id, (int)tasks, now_ms(q), &body, &etag,
                           &err);
    answer_text(a, r, body, &err);
    if (r == 0)
        a->etag = etag;
}

static void get_jobs(struct request *q, struct answer *a)
{
    const char *state = request_query(q, "state");
    struct board_query query = { .state = -1,
                                 .tenant = request_query(q, "tenant"),
                                 .after = request_query(q, "after") };
    struct err err = { 0 };
    long limit;
    char *body = NULL;

    if (query_number(q, "limit", 1, LIMIT_MAX, LIMIT_DEFAULT, &limit, a) < 0)
        return;
    query.limit = (size_t)limit;
    if (state && (query.state = job_state_parse(state)) < 0) {
        answer_error(a, 400, ERR_USAGE,
                     "state: one of queued, planning, running, publishing, done, failed, canceled");
        return;
    }
    int r = board_jobs_json(q->api->cfg.sources.board, &query, now_ms(q), &body, &err);
    answer_text(a, r, body, &err);
}

static void get_workers(struct request *q, struct answer *a)
{
    struct err err = { 0 };
    char *body = NULL;
    int r = board_workers_json(q->api->cfg.sources.board, now_ms(q), &body, &err);

    answer_text(a, r, body, &err);
}

static void get_metrics(struct request *q, struct answer *a)
{
    struct err err = { 0 };
    char *body = NULL;
    int r = metrics_text(q->api->metrics, &q->api->cfg.sources, now_ms(q), &body, &err);

    answer_text(a, r, body, &err);
    if (r == 0)
        a->type = "text/plain; version=0.0.4; charset=utf-8";
}

static void get_healthz(struct request *q, struct answer *a)
{
    (void)q;
    answer_json(a, 200, json_pack("{s:s}", "status", "ok"));
}

static void get_readyz(struct request *q, struct answer *a)
{
    const struct api_config *cfg = &q->api->cfg;
    char why[256] = "";

    if (cfg->ready && !cfg->ready(cfg->arg, why, sizeof(why))) {
        utf8_mend(why);
        answer_error(a, 503, ERR_RESOURCE, why);
    } else {
        answer_json(a, 200, json_pack("{s:s}", "status", "ready"));
    }
}

/* ---- jobs: through the dispatcher ---- */

static char *job_path(const char *id)
{
    char *s;

    return asprintf(&s, "/v1/jobs/%s", id) < 0 ? NULL : s;
}

static void accepted(struct request *q, struct answer *a, const struct admitted *job,
                     const struct submitted *got)
{
    (void)q;
    answer_json(
        a, got->is_new ? 202 : 200,
        json_pack("{s:i,s:s,s:s}", "v", 1, "id", job->req.id, "state", job_state_name(got->state)));
    a->location = job_path(job->req.id);
    if (got->is_new)
        log_event(LOG_INFO, "job.accepted", LSTR("job", job->req.id), LSTR("by", "http"),
                  LSTR("tenant", job->req.tenant));
}

static void post_jobs(struct request *q, struct answer *a)
{
    struct job_message m = { 0 };
    struct admitted job = { 0 };
    struct submitted got = { 0 };
    struct err err = { 0 };
    int r = job_message_from_text(q->body ? q->body : "", q->len, &m, &err);

    if (r == 0)
        r = admit(q->api->cfg.admit, &m, &job, &err);
    if (r < 0) { /* an unknown ladder is no unknown path */
        answer_failure(a, r == -ENOENT || r == -EACCES ? -EINVAL : r, &err);
        return;
    }
    r = admit_submit(q->api->cfg.dispatcher, &job, call_ms(q), &got, &err);
    if (r < 0)
        answer_failure(a, r == -ENOENT ? -EINVAL : r, &err);
    else
        accepted(q, a, &job, &got);
    admitted_release(&job);
}

/* What is asked of a known job. */
struct order {
    const char *id;
    int (*act)(struct dispatcher *d, const struct order *o, struct err *err);
    int chunk, package;
    const char *rendition;
    enum job_state state; /* afterwards */
};

static int act(struct dispatcher *d, void *arg, struct err *err)
{
    struct order *o = arg;
    struct job_status st;
    int r = o->act(d, o, err);

    if (r == 0 && dispatcher_status(d, o->id, &st, NULL) == 0)
        o->state = st.state;
    return r;
}

static int act_cancel(struct dispatcher *d, const struct order *o, struct err *err)
{
    return dispatcher_cancel(d, o->id, err);
}

static int act_requeue(struct dispatcher *d, const struct order *o, struct err *err)
{
    return dispatcher_requeue(d, o->id, o->chunk, o->rendition, err);
}

static int act_delete(struct dispatcher *d, const struct order *o, struct err *err)
{
    return dispatcher_delete(d, o->id, o->package, err);
}

static int carry_out(struct request *q, struct order *o, const char *event, struct answer *a)
{
    struct err err = { 0 };
    int r = dispatcher_call(q->api->cfg.dispatcher, act, o, call_ms(q), &err);

    if (r < 0)
        answer_failure(a, r, &err);
    else
        log_event(LOG_INFO, event, LSTR("job", o->id), LSTR("by", "http"));
    return r;
}

static void answer_order(struct answer *a, const struct order *o)
{
    answer_json(a, 202,
                json_pack("{s:i,s:s,s:s}", "v", 1, "id", o->id, "state", job_state_name(o->state)));
}

static void post_cancel(struct request *q, struct answer *a)
{
    struct order o = { .id = q->id, .act = act_cancel };

    if (carry_out(q, &o, "job.cancel", a) == 0)
        answer_order(a, &o);
}

/* {"chunk":N?,"rendition":"R"?}, or no body. -EINVAL: answered. */
static int read_requeue(const struct request *q, json_t **ret, struct order *o, struct answer *a)
{
    json_t *j = NULL;

    if (q->len > 0)
        (void)json_text_read(q->body, q->len, ERR_USAGE, &j, NULL);
    else
        j = json_object();
    const json_t *chunk = json_object_get(j, "chunk"), *name = json_object_get(j, "rendition");
    json_int_t n = chunk && !json_is_null(chunk) ? json_integer_value(chunk) : -1;

    if (!json_is_object(j) || (chunk && !json_is_null(chunk) && !json_is_integer(chunk)) ||
        (name && !json_is_null(name) && !json_is_string(name)) || n < -1 || n > 1000000 ||
        (n == -1 && json_is_integer(chunk))) {
        json_decref(j);
        answer_error(a, 400, ERR_USAGE,
                     "the body is {\"chunk\":N,\"rendition\":\"NAME\"}, both or one or none");
        return -EINVAL;
    }
    o->chunk = (int)n;
    o->rendition = json_string_value(name);
    *ret = j;
    return 0;
}

static void post_requeue(struct request *q, struct answer *a)
{
    struct order o = { .id = q->id, .act = act_requeue };
    json_t *j = NULL;

    if (read_requeue(q, &j, &o, a) < 0)
        return;
    if (carry_out(q, &o, "job.requeue", a) == 0)
        answer_order(a, &o);
    json_decref(j);
}

static void delete_job(struct request *q, struct answer *a)
{
    struct order o = { .id = q->id, .act = act_delete };
    long package;

    if (query_number(q, "package", 0, 1, 0, &package, a) < 0)
        return;
    o.package = (int)package;
    if (carry_out(q, &o, "job.delete", a) == 0)
        a->status = 204;
}

/* ---- workers and dead letters ---- */

static void post_drain(struct request *q, struct answer *a)
{
    static const char body[] = "{\"v\":1}";
    struct queue *queue = q->api->cfg.sources.queue;

    if (!board_has_worker(q->api->cfg.sources.board, q->id)) {
        answer_error(a, 404, ERR_USAGE, "no such worker was heard of");
        return;
    }
    _cleanup_free_ char *key = event_key("command.worker", q->id, "drain");
    if (!key || !queue) {
        answer_error(a, 503, ERR_RESOURCE, "out of memory");
        return;
    }
    queue->ops->event(queue, key, body, sizeof(body) - 1);
    log_event(LOG_INFO, "worker.drain", LSTR("worker", q->id), LSTR("by", "http"));
    answer_json(a, 202, json_pack("{s:i,s:s}", "v", 1, "id", q->id));
}

static int act_release(struct dispatcher *d, void *arg, struct err *err)
{
    return dispatcher_release_worker(d, arg, err);
}

static void post_release(struct request *q, struct answer *a)
{
    struct err err = { 0 };

    if (!board_has_worker(q->api->cfg.sources.board, q->id)) {
        answer_error(a, 404, ERR_USAGE, "no such worker was heard of");
        return;
    }
    int r = dispatcher_call(q->api->cfg.dispatcher, act_release, q->id, call_ms(q), &err);
    if (r < 0) {
        answer_failure(a, r, &err);
        return;
    }
    log_event(LOG_INFO, "worker.release", LSTR("worker", q->id), LSTR("by", "http"));
    answer_json(a, 202, json_pack("{s:i,s:s}", "v", 1, "id", q->id));
}

struct letters {
    json_t *list;
    size_t limit;
};

/* Bodies are whatever somebody sent. */
static json_t *any_text(const char *s)
{
    char buf[DEAD_BODY_MAX + 1];
    size_t n = s ? utf8_cut(s, DEAD_BODY_MAX) : 0;

    if (!s)
        return json_null();
    memcpy(buf, s, n);
    buf[n] = '\0';
    utf8_mend(buf);
    return json_string(buf);
}

static json_t *any_time(int64_t ms)
{
    time_t s = (time_t)(ms / 1000);
    struct tm tm;
    char t[64];

    if (!gmtime_r(&s, &tm))
        return json_null();
    (void)snprintf(t, sizeof(t), "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", tm.tm_year + 1900,
                   tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, (int)(ms % 1000));
    return json_string(t);
}

static int add_letter(void *arg, const struct dead_letter *l)
{
    struct letters *v = arg;

    if (json_array_size(v->list) >= v->limit)
        return 1;
    return json_array_append_new(v->list,
                                 json_pack("{s:o,s:o,s:o,s:o}", "at", any_time(l->at_ms), "queue",
                                           any_text(l->queue), "reason", any_text(l->reason),
                                           "body", any_text(l->body))) < 0
               ? -ENOMEM
               : 0;
}

static int list_letters(struct dispatcher *d, void *arg, struct err *err)
{
    int r = dispatcher_dead_letters(d, add_letter, arg, err);

    return r > 0 ? 0 : r;
}

static void get_dead(struct request *q, struct answer *a)
{
    struct letters v = { 0 };
    struct err err = { 0 };
    long limit;

    if (query_number(q, "limit", 1, LIMIT_MAX, LIMIT_DEFAULT, &limit, a) < 0)
        return;
    v.limit = (size_t)limit;
    v.list = json_array();
    int r = dispatcher_call(q->api->cfg.dispatcher, list_letters, &v, call_ms(q), &err);
    if (r < 0) {
        json_decref(v.list);
        answer_failure(a, r, &err);
        return;
    }
    answer_json(a, 200, json_pack("{s:i,s:o}", "v", 1, "dead", v.list));
}

const struct route api_routes[API_ROUTES] = {
    {"GET",     "/healthz",                 1, 0, 0, get_healthz },
    { "GET",    "/readyz",                  1, 0, 0, get_readyz  },
    { "GET",    "/metrics",                 0, 0, 0, get_metrics },
    { "GET",    "/v1/jobs",                 0, 0, 0, get_jobs    },
    { "POST",   "/v1/jobs",                 0, 1, 1, post_jobs   },
    { "GET",    "/v1/jobs/{id}",            0, 0, 0, get_job     },
    { "DELETE", "/v1/jobs/{id}",            0, 1, 0, delete_job  },
    { "POST",   "/v1/jobs/{id}/cancel",     0, 1, 0, post_cancel },
    { "POST",   "/v1/jobs/{id}/requeue",    0, 1, 1, post_requeue},
    { "GET",    "/v1/workers",              0, 0, 0, get_workers },
    { "POST",   "/v1/workers/{id}/drain",   0, 0, 0, post_drain  },
    { "POST",   "/v1/workers/{id}/release", 0, 1, 0, post_release},
    { "GET",    "/v1/dead",                 0, 1, 0, get_dead    },
};
