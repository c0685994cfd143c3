/* engine_plan.c - planning: a child reads the source's index on a thread of
 * its own, which makes rows of the plan as well, so that steps go on
 * meanwhile. A few jobs at a time.
 *
 * A job that is queued with a plan was revived: the thread only looks whether
 * the source is still the one that was planned. Another one is planned anew. */
#include <errno.h>
#include <jansson.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "../common/base/cleanup.h"
#include "../common/base/log.h"
#include "../common/base/range.h"
#include "../common/child/child.h"
#include "../common/child/nursery.h"
#include "../common/store/blocks.h"
#include "../common/store/store.h"
#include "../common/wire/task.h"
#include "job.h"
#include "plan.h"

enum {
    PLAN_STALL_MS = 60 * 1000,
    PLAN_DEADLINE_MS = 10 * 60 * 1000,
    PLAN_TRIES_MAX = 2, /* where the failure may pass; most don't when planning */
    PEEK_BYTES = 4096,  /* less than a demuxer reads at once: a look at a box */
    INSERT_MAX = 64,    /* tasks in one transaction */
    HELD_MS = 1000,     /* a job whose output is being swept */
};

/* Of addresses: an index of millions of packets is a tenth of it. */
static const uint64_t plan_memory_bytes = UINT64_C(4) << 30;

/* A task of the plan, as its row. */
struct planned_task {
    struct task_row row; /* its texts are the next ones */
    char *id, *body, *encoder;
};

struct planner {
    struct inbox_item
        item; /* sent when the thread is done: what it made is then the dispatcher's */
    struct planner *next;
    struct inbox *inbox;
    struct store_env *stores;
    struct nursery *nursery;
    int nice;
    pthread_t thread;
    int started; /* and not joined yet */
    char *job, *source, *output;
    char *etag; /* "": what is there */
    int looks;  /* there is a plan: does the source still have that etag? */
    char *request;
    struct child_limits limits;

    struct blocks *blocks; /* of the thread: the child reads headers more than once */
    struct block_reader *reader;

    pthread_mutex_t lock; /* guards child and stopping */
    struct child *child;
    int stopping;

    int r;
    struct err err;
    int replaced;       /* where it only looks: it has another */
    unsigned attempt;   /* of its tasks, the first */
    char *text, *facts; /* of the plan, JSON */
    struct planned_task *tasks;
    size_t n_tasks;
};

static void close_source(struct planner *p)
{
    block_reader_close(take_ptr(p->reader));
    blocks_free(take_ptr(p->blocks));
}

static void planner_free(struct planner *p)
{
    if (!p)
        return;
    for (size_t i = 0; i < p->n_tasks; i++) {
        free(p->tasks[i].id);
        free(p->tasks[i].body);
        free(p->tasks[i].encoder);
    }
    free(p->tasks);
    close_source(p);
    free(p->job);
    free(p->source);
    free(p->output);
    free(p->request);
    free(p->etag);
    free(p->text);
    free(p->facts);
    (void)pthread_mutex_destroy(&p->lock);
    free(p);
}

/* ---- the thread ---- */

static int read_source(void *arg, uint64_t off, void *buf, size_t len, size_t *ret_n,
                       struct err *err)
{
    struct planner *p = arg;

    if (len <= PEEK_BYTES)
        return block_reader_peek(p->reader, off, buf, len, ret_n, err);
    return block_reader_read(p->reader, off, buf, len, ret_n, err);
}

/* Keyframes, a few KiB each: what counts is how long the store takes to answer. */
static int read_many(void *arg, struct read_range *v, size_t n, struct err *err)
{
    struct planner *p = arg;

    return block_reader_read_many(p->reader, v, n, err);
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

/* The source, at the version that was asked for, or at the one that is there. */
static int open_source(struct planner *p, uint64_t *ret_size)
{
    int r = blocks_new(p->stores, 0, &p->blocks, &p->err);

    if (r == 0)
        r = block_reader_open(p->blocks, p->source, NULL, &p->reader, &p->err);
    if (r < 0)
        return r;
    const char *etag = block_reader_etag(p->reader);
    if (p->etag[0] && strcmp(etag, p->etag) != 0 && p->looks) {
        p->replaced = 1;
        return 0;
    }
    if (p->etag[0] && strcmp(etag, p->etag) != 0)
        return err_set(&p->err, -ESTALE, ERR_INPUT, "source %.500s was changed or replaced",
                       p->source);
    free(p->etag);
    p->etag = strdup(etag);
    *ret_size = block_reader_size(p->reader);
    return p->etag ? 0 : engine_no_memory(&p->err);
}

static int plan_in_child(struct planner *p)
{
    const struct child_handler handler = { .arg = p, .read = read_source, .read_many = read_many };
    struct child_usage usage;
    uint64_t size = 0;
    struct child *c;
    int r = open_source(p, &size);

    if (r < 0 || p->looks)
        return r;
    r = nursery_take(p->nursery, &c, &p->err);
    if (r < 0)
        return r;
    r = expose(p, c);
    if (r == 0)
        r = child_run(c, "plan", p->request, size, &handler, &p->limits, &p->text, &usage, &p->err);
    else
        (void)err_set(&p->err, r, ERR_CANCELED, "canceled");
    (void)expose(p, NULL);
    child_free(c);
    return r;
}

static const char *encoder_of(const struct task *t)
{
    for (size_t i = 0; i < t->n_renditions; i++)
        if (!t->renditions[i].copy)
            return t->renditions[i].encoder;
    return t->n_renditions > 0 ? t->renditions[0].encoder : "";
}

static int make_row(const struct task *t, int64_t ord, struct planned_task *ret, struct err *err)
{
    json_t *json = task_to_json(t);

    ret->body = json ? json_dumps(json, JSON_COMPACT) : NULL;
    json_decref(json);
    ret->id = strdup(t->id);
    ret->encoder = strdup(encoder_of(t));
    ret->row = (struct task_row){
        .id = ret->id,
        .ord = ord,
        .state = TASK_WAITING,
        .attempt = 1,
        .cost = t->cost,
        .chunk = t->kind == TASK_VIDEO ? t->chunk.index : 0,
        .group = t->group,
        .audio = t->kind != TASK_VIDEO,
        .encoder = ret->encoder,
        .body = ret->body,
    };
    return ret->body && ret->id && ret->encoder ? 0 : engine_no_memory(err);
}

static int make_rows(struct planner *p, const struct plan *plan)
{
    const struct task base = {
        .job = p->job, .source = p->source, .etag = p->etag, .output = p->output, .attempt = 1
    };
    struct task *tasks = NULL;
    size_t n = 0;
    int r = plan_tasks(plan, &base, &tasks, &n, &p->err);

    if (r == 0 && !(p->tasks = calloc(n + 1, sizeof(*p->tasks))))
        r = engine_no_memory(&p->err);
    for (size_t i = 0; i < n && r == 0; i++) {
        r = make_row(&tasks[i], (int64_t)i, &p->tasks[i], &p->err);
        p->n_tasks = i + 1;
    }
    for (size_t i = 0; i < n; i++)
        task_release(&tasks[i]);
    free(tasks);
    return r;
}

/* What status wants to know of a plan without reading it: job_read_facts(). */
static char *make_facts(const struct plan *plan)
{
    json_t *list = json_array();
    uint64_t frames = 0;
    char *text = NULL;

    for (size_t c = 0; c < plan->n_chunks && plan->n_video > 0; c++) {
        const struct chunk *k = &plan->chunks[c];
        int64_t n = chunk_frames_kept(k, &plan->renditions[0].grid, 0, k->n_gops, plan->origin,
                                      plan->info.video.tb);
        frames += n > 0 ? (uint64_t)n : 0;
    }
    for (size_t i = 0; i < plan->n_renditions; i++) {
        int group = -1;
        for (size_t g = 0; g < plan->n_groups; g++)
            for (size_t k = 0; k < plan->groups[g].n_renditions; k++)
                if (plan->groups[g].renditions[k] == i)
                    group = (int)g;
        (void)json_array_append_new(list, json_pack("[s, i, s]", plan->renditions[i].name, group,
                                                    plan->renditions[i].encoder));
    }
    json_t *j = json_pack("{s:f, s:I, s:o}", "duration_s", (double)plan->duration / plan->timescale,
                          "frames", (json_int_t)frames, "renditions", list);
    if (j)
        text = json_dumps(j, JSON_COMPACT);
    json_decref(j);
    return text;
}

static int use_plan(struct planner *p)
{
    struct plan plan = { 0 };
    json_error_t why;
    json_t *json = json_loads(p->text, JSON_REJECT_DUPLICATES, &why);

    if (!json)
        return err_set(&p->err, -EPROTO, ERR_INTERNAL, "the child's plan: %s", why.text);
    int r = plan_from_json(json, &plan, &p->err);
    json_decref(json);
    if (r < 0)
        return r;
    r = make_rows(p, &plan);
    if (r == 0 && !(p->facts = make_facts(&plan)))
        r = engine_no_memory(&p->err);
    plan_release(&plan);
    return r;
}

static void *planner_main(void *arg)
{
    struct planner *p = arg;
    id_t self = (id_t)gettid();

    if (p->nice) /* of this thread alone, on Linux */
        (void)setpriority(PRIO_PROCESS, self, getpriority(PRIO_PROCESS, self) + p->nice);
    p->r = plan_in_child(p);
    close_source(p);
    if (p->r == 0 && !p->looks)
        p->r = use_plan(p);
    p->item.kind = INBOX_PLANNED;
    inbox_put(p->inbox, &p->item);
    return NULL;
}

/* ---- stopping ---- */

static void stop(struct planner *p)
{
    (void)pthread_mutex_lock(&p->lock);
    p->stopping = 1;
    if (p->child)
        child_kill(p->child);
    (void)pthread_mutex_unlock(&p->lock);
}

/* What it is at is stopped, not waited for: its outcome will be for nobody. */
void engine_plan_stop(struct dispatcher *d, struct live_job *j)
{
    (void)d;
    if (j->planner)
        stop(j->planner);
    j->planner = NULL;
    planner_free(j->inserting);
    j->inserting = NULL;
}

/* Out of those that run; its thread has put its item, or never ran. */
static void leave(struct dispatcher *d, struct planner *p)
{
    struct planner **at = &d->planners;

    while (*at && *at != p)
        at = &(*at)->next;
    if (*at) {
        *at = p->next;
        d->n_planners--;
    }
    if (p->started)
        (void)pthread_join(p->thread, NULL);
    p->started = 0;
}

/* Their items are in the inbox then. */
void engine_plan_stop_all(struct dispatcher *d)
{
    for (struct planner *p = d->planners; p; p = p->next) {
        struct live_job *j = job_find(d, p->job);
        if (j && j->planner == p)
            j->planner = NULL;
        stop(p);
    }
    for (struct planner *p = d->planners; p; p = p->next) {
        struct live_job *j = job_find(d, p->job);
        if (p->started)
            (void)pthread_join(p->thread, NULL);
        p->started = 0;
        if (j && j->planner == p)
            j->planner = NULL; /* it is freed with its item, before the job */
    }
    d->planners = NULL;
    d->n_planners = 0;
}

void engine_plan_discard(struct dispatcher *d, struct inbox_item *item)
{
    struct planner *p = (struct planner *)item; /* its first member */
    struct live_job *j = job_find(d, p->job);

    leave(d, p);
    if (j && j->planner == p)
        j->planner = NULL;
    planner_free(p);
}

/* ---- starting ---- */

static char *make_request(struct dispatcher *d, const struct live_job *j)
{
    json_t *options = json_loads(j->options, 0, NULL);
    json_t *req = json_pack("{s:i, s:s, s:s, s:o}", "v", 1, "ladder", j->ladder->text,
                            "ladder_name", j->ladder_name, "options", options);
    char *text = NULL;

    if (req && json_object_set_new(options, "slots", json_integer(engine_slots(d))) == 0 &&
        json_object_set_new(options, "early", json_integer(d->cfg.early_playlists != 0)) == 0)
        text = json_dumps(req, JSON_COMPACT);
    json_decref(req);
    return text;
}

static struct planner *planner_new(struct dispatcher *d, const struct live_job *j)
{
    struct planner *p = calloc(1, sizeof(*p));

    if (!p)
        return NULL;
    (void)pthread_mutex_init(&p->lock, NULL);
    p->inbox = d->inbox;
    p->looks = job_has_plan(j);
    p->stores = d->cfg.stores;
    p->nursery = d->nursery;
    p->nice = d->cfg.plan_nice;
    p->limits = (struct child_limits){ .stall_ms = PLAN_STALL_MS, .deadline_ms = PLAN_DEADLINE_MS };
    if (!getenv("GOPMILL_NO_RLIMIT")) /* see worker.h */
        p->limits.memory_bytes = plan_memory_bytes;
    p->job = strdup(j->id);
    p->source = strdup(j->source);
    p->output = strdup(j->output);
    p->etag = strdup(j->etag);
    p->request = make_request(d, j);
    if (p->job && p->source && p->output && p->etag && p->request)
        return p;
    planner_free(p);
    return NULL;
}

static int planner_start(struct dispatcher *d, struct live_job *j, struct err *err)
{
    struct planner *p = planner_new(d, j);

    if (!p)
        return engine_no_memory(err);
    int r = -pthread_create(&p->thread, NULL, planner_main, p);
    if (r < 0) {
        planner_free(p);
        return err_set(err, r, ERR_RESOURCE, "can't start a thread: %s", strerror(-r));
    }
    p->started = 1;
    p->next = d->planners;
    d->planners = p;
    d->n_planners++;
    j->planner = p;
    return 0;
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

/* The child sets out first and the state is written meanwhile: whoever finds
 * the job still queued after a crash plans it again. Nothing else is under way
 * at its output then. */
static int begin(struct dispatcher *d, struct live_job *j, struct err *err)
{
    struct err why = { 0 };

    if (j->busy || engine_sweeping(d, j->output)) {
        sched_wait(d->queue, j->queued, 0, d->clock->wall_ms(d->clock) + HELD_MS);
        return 0;
    }
    sched_charge(d->queue, j->queued, 1);
    int started = planner_start(d, j, &why);
    int r = job_move(d, j, JOB_PLAN, NULL, err);
    if (r < 0)
        return r;
    return started < 0 ? plan_failed(d, j, &why, err) : 0;
}

int engine_plan_more(struct dispatcher *d, struct err *err)
{
    unsigned most = d->cfg.planners ? d->cfg.planners : 1;
    void *job;
    size_t i;
    int r = 0;

    sched_due(d->queue, d->clock->wall_ms(d->clock));
    while (d->n_planners < most && r == 0 && sched_pick(d->queue, &job, &i))
        r = begin(d, job, err);
    return r;
}

/* ---- whether its plan still holds ---- */

/* Forget what the old source was planned to, and what was made of it: all is
 * done anew, once nothing of it is left at the output. Its tasks' rows stay
 * until then, for their attempts (insert_some()). */
static int source_replaced(struct dispatcher *d, struct live_job *j, struct err *err)
{
    const struct sweep_row row = { .job = j->id, .output = j->output, .everything = 1 };
    char *facts = strdup(""), *etag = strdup("");
    int r = facts && etag ? engine_begin(d, err) : engine_no_memory(err);

    if (r == 0)
        r = jobdb_drop_job_plan(d->db, j->id, err);
    if (r == 0)
        r = jobdb_add_sweep(d->db, &row, err);
    if (r == 0 && engine_sweep_add(d, &row) < 0)
        r = engine_no_memory(err);
    if (r < 0) {
        free(facts);
        free(etag);
        return r;
    }
    log_event(LOG_INFO, "plan.source-replaced", LSTR("job", j->id));
    free(j->facts);
    free(j->etag);
    j->facts = facts;
    j->etag = etag;
    job_read_facts(j);
    job_unload(d, j);
    j->playable_ms = 0;
    j->tasks_reused = 0;
    j->check_wanted = 0;
    r = job_load(d, j, err); /* it has no tasks now */
    return r < 0 ? r : job_move(d, j, JOB_INTERRUPTED, NULL, err);
}

static int looked(struct dispatcher *d, struct live_job *j, int replaced, struct err *err)
{
    if (replaced)
        return source_replaced(d, j, err);
    int r = job_move(d, j, JOB_PLANNED, NULL, err);
    if (r == 0)
        engine_tell(d, EFFECT_JOB, j, "planned", NULL);
    return r;
}

/* ---- taking its plan over ---- */

int engine_plan_ended(struct dispatcher *d, struct inbox_item *item, struct err *err)
{
    struct planner *p = (struct planner *)item;
    struct live_job *j = job_find(d, p->job);
    int r = 0;

    leave(d, p);
    if (!j || j->planner != p) {
        planner_free(p);
        return 0;
    }
    j->planner = NULL;
    if (p->r < 0 || p->looks) {
        r = p->r < 0 ? plan_failed(d, j, &p->err, err) : looked(d, j, p->replaced, err);
        planner_free(p);
        return r;
    }
    j->inserting = p;
    j->inserted = 0;
    engine_attend(d, j);
    return 0;
}

/* Rows are there of planning that was cut off, or of another version of the
 * source. Attempts go on from theirs: who still has one of those tasks, or
 * remembers that it was done, is told apart. */
static int make_room(struct dispatcher *d, struct live_job *j, struct planner *p, struct err *err)
{
    unsigned last = 0;
    int r = jobdb_last_attempt(d->db, j->id, &last, err);

    p->attempt = last + 1;
    return r < 0 ? r : jobdb_delete_tasks(d->db, j->id, err);
}

static int insert_some(struct dispatcher *d, struct live_job *j, struct planner *p, struct err *err)
{
    size_t end = j->inserted + INSERT_MAX < p->n_tasks ? j->inserted + INSERT_MAX : p->n_tasks;
    int r = engine_begin(d, err);

    if (r == 0 && j->inserted == 0)
        r = make_room(d, j, p, err);
    for (; j->inserted < end && r == 0; j->inserted++) {
        p->tasks[j->inserted].row.job = j->id;
        p->tasks[j->inserted].row.attempt = p->attempt;
        r = jobdb_insert_task(d->db, &p->tasks[j->inserted].row, err);
    }
    return r;
}

/* Plan, the last tasks and state in one transaction: a job that runs has all. */
static int finish(struct dispatcher *d, struct live_job *j, struct planner *p, struct err *err)
{
    int r = jobdb_set_job_plan(d->db, j->id, p->text, p->facts, p->etag, err);

    if (r < 0)
        return r;
    free(j->facts);
    free(j->etag);
    j->facts = take_ptr(p->facts);
    j->etag = take_ptr(p->etag);
    job_read_facts(j);
    job_unload(d, j);
    r = job_load(d, j, err);
    if (r == 0)
        r = job_move(d, j, JOB_PLANNED, NULL, err);
    if (r == 0)
        engine_tell(d, EFFECT_JOB, j, "planned", NULL);
    return r;
}

int engine_plan_insert(struct dispatcher *d, struct live_job *j, struct err *err)
{
    struct planner *p = j->inserting;
    int r = insert_some(d, j, p, err);

    if (r == 0 && j->inserted < p->n_tasks) {
        engine_attend(d, j);
        return 0;
    }
    j->inserting = NULL;
    if (r == 0)
        r = finish(d, j, p, err);
    planner_free(p);
    return r;
}
