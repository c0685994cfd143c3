#include "metrics.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "../../common/base/err.h"
#include "../../common/queue/queue.h"
#include "../../common/store/env.h"
#include "../board.h"
#include "gopmill-config.h"
#include "intake.h"
#include "webhook.h"

enum { BOUNDS = 12, CLASSES = 6 };

static const double bounds[BOUNDS] = { 0.001, 0.002, 0.005, 0.01, 0.02, 0.05,
                                       0.1,   0.25,  0.5,   1,    2.5,  10 };

struct route_counts {
    atomic_uint_fast64_t by_class[CLASSES];  /* of the status: [2] 2xx; [0] any other */
    atomic_uint_fast64_t within[BOUNDS + 1]; /* not cumulative; the last: above all */
    atomic_uint_fast64_t sum_us;
};

struct metrics {
    const char *const *methods, *const *names;
    size_t n;
    struct route_counts routes[];
};

struct metrics *metrics_new(const char *const *methods, const char *const *names, size_t n)
{
    struct metrics *m = calloc(1, sizeof(*m) + n * sizeof(m->routes[0]));

    if (m) {
        m->methods = methods;
        m->names = names;
        m->n = n;
    }
    return m;
}

void metrics_free(struct metrics *m)
{
    free(m);
}

void metrics_request(struct metrics *m, size_t route, unsigned status, double seconds)
{
    struct route_counts *c;
    unsigned class = status / 100 < CLASSES ? status / 100 : 0;
    size_t i = 0;

    if (route >= m->n)
        return;
    c = &m->routes[route];
    while (i < BOUNDS && seconds > bounds[i])
        i++;
    atomic_fetch_add(&c->by_class[class], 1);
    atomic_fetch_add(&c->within[i], 1);
    atomic_fetch_add(&c->sum_us, (uint64_t)(seconds > 0 ? seconds * 1e6 : 0));
}

/* ---- text ---- */

static void head(FILE *f, const char *name, const char *type, const char *help)
{
    (void)fprintf(f, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void one(FILE *f, const char *name, const char *type, const char *help, double value)
{
    head(f, name, type, help);
    (void)fprintf(f, "%s %.17g\n", name, value);
}

static void put_requests(FILE *f, const struct metrics *m)
{
    head(f, "gopmill_http_requests_total", "counter",
         "HTTP requests by route and class of status.");
    for (size_t i = 0; i < m->n; i++)
        for (unsigned k = 0; k < CLASSES; k++) {
            uint64_t n = atomic_load(&m->routes[i].by_class[k]);
            if (n > 0)
                (void)fprintf(
                    f,
                    "gopmill_http_requests_total{method=\"%s\",route=\"%s\",code=\"%uxx\"}"
                    " %" PRIu64 "\n",
                    m->methods[i], m->names[i], k, n);
        }
}

static void put_route_latency(FILE *f, const struct metrics *m, size_t i)
{
    const struct route_counts *c = &m->routes[i];
    uint64_t sum = 0;

    for (size_t k = 0; k <= BOUNDS; k++) {
        char bound[16] = "+Inf";
        sum += atomic_load(&c->within[k]);
        if (k < BOUNDS)
            (void)snprintf(bound, sizeof(bound), "%g", bounds[k]);
        (void)fprintf(f,
                      "gopmill_http_request_seconds_bucket{method=\"%s\",route=\"%s\",le=\"%s\"} "
                      "%" PRIu64 "\n",
                      m->methods[i], m->names[i], bound, sum);
    }
    (void)fprintf(f, "gopmill_http_request_seconds_sum{method=\"%s\",route=\"%s\"} %.6f\n",
                  m->methods[i], m->names[i], (double)atomic_load(&c->sum_us) / 1e6);
    (void)fprintf(f, "gopmill_http_request_seconds_count{method=\"%s\",route=\"%s\"} %" PRIu64 "\n",
                  m->methods[i], m->names[i], sum);
}

static void put_latency(FILE *f, const struct metrics *m)
{
    head(f, "gopmill_http_request_seconds", "histogram",
         "Time from a request's headers to its answer.");
    for (size_t i = 0; i < m->n; i++)
        put_route_latency(f, m, i);
}

static void put_states(FILE *f, const struct board_totals *t)
{
    head(f, "gopmill_jobs", "gauge", "Jobs by state.");
    for (unsigned i = 0; i < JOB_STATE_MAX; i++)
        (void)fprintf(f, "gopmill_jobs{state=\"%s\"} %zu\n", job_state_name((enum job_state)i),
                      t->jobs[i]);
    head(f, "gopmill_tasks", "gauge", "Tasks of jobs that have not ended, by state.");
    for (unsigned i = 0; i < TASK_STATE_MAX; i++)
        (void)fprintf(f, "gopmill_tasks{state=\"%s\"} %zu\n", task_state_name((enum task_state)i),
                      t->tasks[i]);
}

static void put_encoders(FILE *f, const struct board_totals *t)
{
    size_t n = sizeof(t->encoders) / sizeof(*t->encoders);

    head(f, "gopmill_encoder_cpu_seconds_total", "counter", "CPU time of tasks by encoder.");
    for (size_t i = 0; i < n && t->encoders[i].encoder[0]; i++)
        (void)fprintf(f, "gopmill_encoder_cpu_seconds_total{encoder=\"%s\"} %.3f\n",
                      t->encoders[i].encoder, t->encoders[i].cpu_s);
    head(f, "gopmill_encoder_frames_total", "counter", "Frames encoded, by encoder.");
    for (size_t i = 0; i < n && t->encoders[i].encoder[0]; i++)
        (void)fprintf(f, "gopmill_encoder_frames_total{encoder=\"%s\"} %" PRIu64 "\n",
                      t->encoders[i].encoder, t->encoders[i].frames);
}

static void put_times(FILE *f, const char *name, const char *help, const struct board_times *t)
{
    double bound = BOARD_TIMES_FROM_S;

    head(f, name, "histogram", help);
    for (size_t i = 0; i < BOARD_TIMES; i++, bound *= 2)
        (void)fprintf(f, "%s_bucket{le=\"%g\"} %" PRIu64 "\n", name, bound, t->below[i]);
    (void)fprintf(f, "%s_bucket{le=\"+Inf\"} %" PRIu64 "\n", name, t->n);
    (void)fprintf(f, "%s_sum %.6f\n", name, t->sum_s);
    (void)fprintf(f, "%s_count %" PRIu64 "\n", name, t->n);
}

static void put_totals(FILE *f, struct board *b, int64_t now_ms)
{
    struct board_totals t = { 0 };

    board_totals(b, now_ms, &t);
    put_states(f, &t);
    one(f, "gopmill_backlog_core_seconds", "gauge",
        "Predicted work of tasks that are not done, corrected by what results measured.",
        t.backlog_s);
    one(f, "gopmill_workers", "gauge", "Workers that were heard of lately.", (double)t.workers);
    one(f, "gopmill_slots", "gauge", "Slots of workers that take tasks.", (double)t.slots);
    one(f, "gopmill_workers_quarantined", "gauge", "Workers in quarantine.", (double)t.quarantined);
    one(f, "gopmill_quarantines_total", "counter", "Workers put into quarantine.",
        (double)t.quarantines);
    one(f, "gopmill_workers_suspect_total", "counter",
        "Workers that would be in quarantine, had the farm others.", (double)t.suspects);
    one(f, "gopmill_results_total", "counter", "Results applied.", (double)t.results);
    one(f, "gopmill_tasks_released_total", "counter", "Tasks given to the queue.",
        (double)t.released);
    one(f, "gopmill_attempts_failed_total", "counter", "Attempts of tasks that failed.",
        (double)t.attempts_failed);
    one(f, "gopmill_tasks_redone_total", "counter",
        "Tasks that were done and had to be done again.", (double)t.redone);
    one(f, "gopmill_early_publish_failures_total", "counter",
        "Times that playlists of a job that runs could not be stored; they are tried again.",
        (double)t.early_failed);
    one(f, "gopmill_dead_letters_total", "counter", "Messages that nobody could use.",
        (double)t.dead_letters);
    one(f, "gopmill_source_bytes_total", "counter", "Bytes of sources that tasks read.",
        (double)t.bytes_read);
    one(f, "gopmill_package_bytes_total", "counter", "Bytes of segments that tasks made.",
        (double)t.bytes_made);
    put_encoders(f, &t);
    put_times(f, "gopmill_database_commit_seconds", "Commits of the job database.", &t.commits);
    put_times(f, "gopmill_release_choosing_seconds",
              "Choosing the tasks that are released, a batch of up to 64.", &t.choosing);
}

static void put_queue(FILE *f, struct queue *q)
{
    struct queue_state st = { 0 };

    q->ops->state(q, &st);
    one(f, "gopmill_broker_connected", "gauge", "1 where the broker is connected.", st.connected);
    one(f, "gopmill_broker_blocked", "gauge", "1 where the broker takes no messages for now.",
        st.blocked);
    one(f, "gopmill_broker_reconnects_total", "counter", "Connections made again.",
        (double)st.reconnects);
}

static void put_traffic(FILE *f, const struct metrics_sources *s)
{
    struct store_traffic t = { 0 };

    s->traffic(s->arg, &t);
    one(f, "gopmill_store_bytes_in_total", "counter", "Bytes read from stores by this process.",
        (double)t.bytes_in);
    one(f, "gopmill_store_bytes_out_total", "counter", "Bytes written to stores by this process.",
        (double)t.bytes_out);
    one(f, "gopmill_store_requests_total", "counter", "Requests to stores.", (double)t.requests);
    one(f, "gopmill_store_retries_total", "counter", "Requests made again.", (double)t.retries);
    one(f, "gopmill_store_failures_total", "counter", "Requests given up.", (double)t.failures);
    one(f, "gopmill_store_away", "gauge",
        "1: the S3 endpoint is away, or refuses the dispatcher; jobs wait.", t.away);
}

static void put_intake(FILE *f, const struct intake *i)
{
    struct intake_counts c = { 0 };

    intake_counts(i, &c);
    one(f, "gopmill_intake_accepted_total", "counter", "Messages taken from queues.",
        (double)c.accepted);
    one(f, "gopmill_intake_rejected_total", "counter", "Messages that were rejected.",
        (double)c.rejected);
}

static void put_webhook(FILE *f, struct webhook *w)
{
    struct webhook_counts c = { 0 };

    webhook_counts(w, &c);
    one(f, "gopmill_webhooks_told_total", "counter", "Ends of jobs that were told.",
        (double)c.told);
    one(f, "gopmill_webhooks_failed_total", "counter", "Tries that failed.", (double)c.failed);
    one(f, "gopmill_webhooks_given_up_total", "counter", "Ends that nobody wanted to hear.",
        (double)c.given_up);
    one(f, "gopmill_webhooks_waiting", "gauge", "Ends that are still to be told.",
        (double)c.waiting);
}

int metrics_text(struct metrics *m, const struct metrics_sources *s, int64_t now_ms, char **ret,
                 struct err *err)
{
    char *text = NULL;
    size_t n;
    FILE *f = open_memstream(&text, &n);

    if (!f)
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory");
    head(f, "gopmill_build_info", "gauge", "This program.");
    (void)fprintf(f, "gopmill_build_info{version=\"%s\"} 1\n", GOPMILL_VERSION);
    one(f, "gopmill_start_time_seconds", "gauge", "When this process began, since 1970.",
        (double)s->started_ms / 1000);
    put_totals(f, s->board, now_ms);
    if (s->queue)
        put_queue(f, s->queue);
    if (s->traffic)
        put_traffic(f, s);
    if (s->intake)
        put_intake(f, s->intake);
    if (s->webhook)
        put_webhook(f, s->webhook);
    put_requests(f, m);
    put_latency(f, m);
    int bad = ferror(f);
    if ((fclose(f) != 0) | bad) {
        free(text);
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory");
    }
    *ret = text;
    return 0;
}
