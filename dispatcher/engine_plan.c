/* engine_plan.c - planning: a child reads the source's index on a thread of
 * its own, so that steps go on meanwhile. One job at a time. */
#include <errno.h>
#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "../common/base/cleanup.h"
#include "../common/base/log.h"
#include "../common/child/child.h"
#include "../common/store/store.h"
#include "../common/wire/task.h"
#include "job.h"
#include "plan.h"

enum {
    PLAN_STALL_MS = 60 * 1000,
    PLAN_DEADLINE_MS = 10 * 60 * 1000,
    PLAN_TRIES_MAX = 2, /* where the failure may pass; most don't when planning */
};

/* Of addresses: an index of millions of packets is a tenth of it. */
static const uint64_t plan_memory_bytes = UINT64_C(4) << 30;

struct planner {
    pthread_t thread;
    char *job; /* its id */
    char *request;
    struct store *store;
    char *key, *etag;
    uint64_t size_bytes;
    struct child_limits limits;

    pthread_mutex_t lock; /* guards child and stopping */
    struct child *child;
    int stopping;

    atomic_int done; /* set last by the thread; what follows is then the dispatcher's */
    int r;
    char *answer; /* JSON text */
    struct err err;
};

static void planner_free(struct planner *p)
{
    if (!p)
        return;
    store_free(p->store);
    free(p->job);
    free(p->request);
    free(p->key);
    free(p->etag);
    free(p->answer);
    (void)pthread_mutex_destroy(&p->lock);
    free(p);
}

/* ---- the thread ---- */

static int read_source(void *arg, uint64_t off, void *buf, size_t len, size_t *ret_n,
                       struct err *err)
{
    struct planner *p = arg;
    int r = p->store->ops->get_range(p->store, p->key, p->etag, off, buf, len, ret_n, err);

    if (r == -ENOENT && err)
        err->cls = ERR_INPUT; /* a source that goes away is the upload's fault */
    return r;
}

/* Let the dispatcher kill `c`, or (NULL) no longer. -ECANCELED: it has. */
static int expose(struct planner *p, struct child *c)
{
    (void)pthread_mutex_lock(&p->lock);
    p->child = c;
    int r = p->stopping ? -ECANCELED : 0;
    (void)pthread_mutex_unlock(&p->lock);
    return r;
}

static int plan_in_child(struct planner *p)
{
    const struct child_handler handler = { .arg = p, .read = read_source };
    struct child_usage usage;
    struct child *c;
    int r = child_start(&c, &p->err); /* here: it is bound to the thread that started it */

    if (r < 0)
        return r;
    r = expose(p, c);
    if (r == 0)
        r = child_run(c, "plan", p->request, p->size_bytes, &handler, &p->limits, &p->answer,
                      &usage, &p->err);
    (void)expose(p, NULL);
    child_free(c);
    return r;
}

static void *planner_main(void *arg)
{
    struct planner *p = arg;

    p->r = plan_in_child(p);
    atomic_store(&p->done, 1);
    return NULL;
}

void engine_plan_stop(struct dispatcher *d, const char *job)
{
    struct planner *p = d->planner;

    if (!p || (job && strcmp(job, p->job) != 0))
        return;
    (void)pthread_mutex_lock(&p->lock);
    p->stopping = 1;
    if (p->child)
        child_kill(p->child);
    (void)pthread_mutex_unlock(&p->lock);
    (void)pthread_join(p->thread, NULL);
    d->planner = NULL;
    planner_free(p);
}

/* ---- starting it ---- */

static char *make_request(const struct dispatcher *d, const struct live_job *j)
{
    json_t *options = json_loads(j->options, 0, NULL);
    json_t *req = json_pack("{s:i, s:s, s:s, s:o}", "v", 1, "ladder", j->ladder, "ladder_name",
                            j->ladder_name, "options", options);
    char *text = NULL;

    if (req &&
        json_object_set_new(options, "slots", json_integer(d->cfg.slots ? d->cfg.slots : 1)) == 0)
        text = json_dumps(req, JSON_COMPACT);
    json_decref(req);
    return text;
}

static int open_source(struct planner *p, const struct live_job *j, struct err *err)
{
    struct store_stat st;
    int r = store_open_object(j->source, &p->store, &p->key, err);

    if (r == 0)
        r = p->store->ops->head(p->store, p->key, &st, err);
    if (r < 0) {
        if (r == -ENOENT && err)
            err->cls = ERR_INPUT;
        return r;
    }
    if (strcmp(st.etag, j->etag) != 0)
        return err_set(err, -ESTALE, ERR_INPUT, "source %.500s was changed or replaced", j->source);
    p->size_bytes = st.size_bytes;
    return 0;
}

static int planner_start(struct dispatcher *d, const struct live_job *j, struct err *err)
{
    struct planner *p = calloc(1, sizeof(*p));

    if (!p)
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory");
    (void)pthread_mutex_init(&p->lock, NULL);
    p->limits = (struct child_limits){ .stall_ms = PLAN_STALL_MS, .deadline_ms = PLAN_DEADLINE_MS };
    if (!getenv("GOPMILL_NO_RLIMIT")) /* see worker.h */
        p->limits.memory_bytes = plan_memory_bytes;
    p->job = strdup(j->id);
    p->etag = strdup(j->etag);
    p->request = make_request(d, j);
    int r = p->job && p->etag && p->request ? open_source(p, j, err)
                                            : err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory");
    if (r == 0) {
        r = -pthread_create(&p->thread, NULL, planner_main, p);
        if (r < 0)
            (void)err_set(err, r, ERR_RESOURCE, "can't start a thread: %s", strerror(-r));
    }
    if (r < 0)
        planner_free(p);
    else
        d->planner = p;
    return r;
}

/* ---- taking its plan over ---- */

static int insert_task(struct dispatcher *d, const struct task *t, int64_t ord, struct err *err)
{
    json_t *json = task_to_json(t);
    _cleanup_free_ char *body = json ? json_dumps(json, JSON_COMPACT) : NULL;

    json_decref(json);
    if (!body)
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory for task %.64s", t->id);
    const struct task_row row = {
        .job = t->job,
        .id = t->id,
        .ord = ord,
        .state = TASK_WAITING,
        .attempt = 1,
        .cost = t->cost,
        .chunk = t->kind == TASK_VIDEO ? t->chunk.index : 0,
        .group = t->group,
        .audio = t->kind == TASK_AUDIO,
        .body = body,
    };
    return jobdb_insert_task(d->db, &row, err);
}

static int insert_tasks(struct dispatcher *d, const struct live_job *j, const struct plan *plan,
                        struct err *err)
{
    const struct task base = {
        .job = j->id, .source = j->source, .etag = j->etag, .output = j->output, .attempt = 1
    };
    struct task *tasks = NULL;
    size_t n = 0;
    int r = plan_tasks(plan, &base, &tasks, &n, err);

    for (size_t i = 0; i < n && r == 0; i++)
        r = insert_task(d, &tasks[i], (int64_t)i, err);
    for (size_t i = 0; i < n; i++)
        task_release(&tasks[i]);
    free(tasks);
    return r;
}

static int read_plan(const char *text, struct plan *ret, struct err *err)
{
    json_error_t why;
    json_t *json = json_loads(text, JSON_REJECT_DUPLICATES, &why);

    if (!json)
        return err_set(err, -EPROTO, ERR_INTERNAL, "the child's plan: %s", why.text);
    int r = plan_from_json(json, ret, err);
    json_decref(json);
    return r;
}

/* Plan, tasks and state in one transaction: a job has all or none. A plan
 * that can't be used is `why` (the job's); *err is the dispatcher's. */
static int store_plan(struct dispatcher *d, struct live_job *j, const char *text, struct err *why,
                      struct err *err)
{
    struct plan plan = { 0 };

    if (read_plan(text, &plan, why) < 0)
        return 0;
    int r = jobdb_begin(d->db, err);
    if (r == 0)
        r = insert_tasks(d, j, &plan, err);
    if (r == 0)
        r = jobdb_set_job_plan(d->db, j->id, text, err);
    if (r == 0)
        r = job_move(d, j, JOB_PLANNED, NULL, err);
    if (r == 0)
        r = jobdb_commit(d->db, err);
    if (r < 0)
        jobdb_rollback(d->db);
    plan_release(&plan);
    job_drop_plan(j);
    return r < 0 ? r : job_load(d, j, err);
}

/* Planning failed: once more where that may help, else the job fails. */
static int plan_failed(struct dispatcher *d, struct live_job *j, const struct err *why,
                       struct err *err)
{
    j->plan_tries++;
    if (err_class_retried(why->cls) && j->plan_tries < PLAN_TRIES_MAX) {
        log_event(LOG_WARN, "plan.retry", LSTR("job", j->id), LSTR("error", why->text));
        return job_move(d, j, JOB_INTERRUPTED, NULL, err);
    }
    return job_move(d, j, JOB_FAIL, why, err);
}

static int take_plan(struct dispatcher *d, struct planner *p, struct err *err)
{
    struct live_job *j = job_find(d, p->job);
    struct err why = { 0 };
    int r = 0;

    if (!j || j->state != JOB_PLANNING)
        return 0;
    if (p->r < 0)
        why = p->err;
    else
        r = store_plan(d, j, p->answer, &why, err);
    return r == 0 && why.cls != ERR_NONE ? plan_failed(d, j, &why, err) : r;
}

/* The child sets out first and the state is written meanwhile: whoever finds
 * the job still queued after a crash plans it again. */
static int begin(struct dispatcher *d, struct live_job *j, struct err *err)
{
    struct err why = { 0 };
    int started = planner_start(d, j, &why);
    int r = job_move(d, j, JOB_PLAN, NULL, err);

    if (r < 0)
        return r;
    return started < 0 ? plan_failed(d, j, &why, err) : 0;
}

int engine_plan(struct dispatcher *d, int *ret_did, struct err *err)
{
    struct planner *p = d->planner;
    int r = 0;

    if (p && atomic_load(&p->done)) {
        (void)pthread_join(p->thread, NULL);
        d->planner = NULL;
        r = take_plan(d, p, err);
        planner_free(p);
        *ret_did = 1;
    }
    for (struct live_job *j = d->jobs; j && !d->planner && r == 0; j = j->next)
        if (j->state == JOB_QUEUED) {
            r = begin(d, j, err);
            *ret_did = 1;
        }
    return r;
}
