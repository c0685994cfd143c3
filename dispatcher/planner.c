#include "planner.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "../common/base/cleanup.h"
#include "../common/base/clock.h"
#include "../common/base/range.h"
#include "../common/child/child.h"
#include "../common/child/nursery.h"
#include "../common/store/blocks.h"
#include "../common/store/store.h"
#include "../common/wire/json_text.h"
#include "../common/wire/task.h"
#include "plan.h"
#include "publish/version.h"

enum {
    PLAN_STALL_MS = 60 * 1000,
    PLAN_DEADLINE_MS = 10 * 60 * 1000,
    PEEK_BYTES = 4096, /* less than a demuxer reads at once: a look at a box */
};

/* Of addresses: an index of millions of packets is a tenth of it. */
static const uint64_t plan_memory_bytes = UINT64_C(4) << 30;

static int no_memory(struct err *err)
{
    return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory for a plan");
}

static void close_source(struct planner *p)
{
    block_reader_close(take_ptr(p->reader));
    blocks_free(take_ptr(p->blocks));
}

void planner_free(struct planner *p)
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
    free(p->ladder);
    free(p->version);
    free(p->replaces);
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
    return p->etag ? 0 : no_memory(&p->err);
}

DEFINE_CLEANUP(struct store *, store_free);

/* Where its package is to lie; refused where another one does. */
static int look_at_output(struct planner *p)
{
    _cleanup_(store_freep) struct store *s = NULL;
    const struct version_ask ask = {
        .output = p->output,
        .job = p->job,
        .source = p->source,
        .etag = p->etag,
        .ladder = p->ladder,
        .created_ms = p->created_ms,
        .run = p->run,
        .replace = p->replace,
        .in_place = p->in_place,
    };
    struct version_choice c = { 0 };
    int r = store_open_prefix(p->stores, p->output, 0, &s, &p->err);

    if (r == 0)
        r = version_choose(s, &ask, &c, &p->err);
    else if (r == -ENOENT) /* a folder that isn't there yet */
        r = 0;
    if (r < 0)
        return r;
    p->version = strdup(c.version);
    p->replaces = c.replaces ? strdup(c.replaced) : NULL;
    return p->version && (p->replaces || !c.replaces) ? 0 : no_memory(&p->err);
}

/* The output as tasks have it. NULL: out of memory. */
static char *media_output(const struct planner *p)
{
    size_t n = strlen(p->output);
    char *url;

    if (!p->version[0])
        return strdup(p->output);
    while (n > 0 && p->output[n - 1] == '/')
        n--;
    return asprintf(&url, "%.*s/%s/", (int)n, p->output, p->version) < 0 ? NULL : url;
}

static int plan_in_child(struct planner *p)
{
    const struct child_handler handler = { .arg = p, .read = read_source, .read_many = read_many };
    const struct child_limits limits = {
        .stall_ms = PLAN_STALL_MS,
        .deadline_ms = PLAN_DEADLINE_MS,
        .memory_bytes = getenv("GOPMILL_NO_RLIMIT") ? 0 : plan_memory_bytes, /* see worker.h */
    };
    struct child_usage usage;
    uint64_t size = 0;
    struct child *c;
    int r = open_source(p, &size);

    if (r < 0 || p->looks)
        return r;
    r = look_at_output(p);
    if (r < 0)
        return r;
    r = nursery_take(p->nursery, p->nice, &c, &p->err);
    p->waits = r < 0;
    if (r < 0)
        return r;
    r = expose(p, c);
    if (r == 0)
        r = child_run(c, "plan", p->request, size, &handler, &limits, &p->text, &usage, &p->err);
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
    return ret->body && ret->id && ret->encoder ? 0 : no_memory(err);
}

static int make_rows(struct planner *p, const struct plan *plan)
{
    _cleanup_free_ char *output = media_output(p);
    const struct task base = {
        .job = p->job, .source = p->source, .etag = p->etag, .output = output, .attempt = 1
    };
    struct task *tasks = NULL;
    size_t n = 0;
    int r = output ? plan_tasks(plan, &base, &tasks, &n, &p->err) : no_memory(&p->err);

    if (r == 0 && !(p->tasks = calloc(n + 1, sizeof(*p->tasks))))
        r = no_memory(&p->err);
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
    json_t *json;
    int r = json_text_read(p->text, strlen(p->text), ERR_INTERNAL, &json, &p->err);

    if (r < 0)
        return err_prefix(&p->err, r, "the child's plan");
    r = plan_from_json(json, &plan, &p->err);
    json_decref(json);
    if (r < 0)
        return r;
    r = make_rows(p, &plan);
    if (r == 0 && !(p->facts = make_facts(&plan)))
        r = no_memory(&p->err);
    plan_release(&plan);
    return r;
}

static void *planner_main(void *arg)
{
    struct planner *p = arg;
    id_t self = (id_t)gettid();

    if (p->nice) /* of this thread alone, on Linux */
        (void)setpriority(PRIO_PROCESS, self, getpriority(PRIO_PROCESS, self) + p->nice);
    int64_t began_ns = clock_system.mono_ns(&clock_system);
    p->r = plan_in_child(p);
    if (p->r < 0 && p->err.cls == ERR_STORAGE && store_was_away(p->stores, began_ns))
        p->waits = 1;
    close_source(p);
    if (p->r == 0 && !p->looks)
        p->r = use_plan(p);
    p->item.kind = INBOX_PLANNED;
    inbox_put(p->inbox, &p->item);
    return NULL;
}

/* ---- its life ---- */

static struct planner *planner_new(const struct planner_config *cfg)
{
    struct planner *p = calloc(1, sizeof(*p));

    if (!p)
        return NULL;
    (void)pthread_mutex_init(&p->lock, NULL);
    p->inbox = cfg->inbox;
    p->stores = cfg->stores;
    p->nursery = cfg->nursery;
    p->nice = cfg->nice;
    p->looks = cfg->looks;
    p->job = strdup(cfg->job);
    p->source = strdup(cfg->source);
    p->output = strdup(cfg->output);
    p->etag = strdup(cfg->etag);
    p->request = strdup(cfg->request);
    p->ladder = strdup(cfg->ladder);
    p->created_ms = cfg->created_ms;
    p->run = cfg->run;
    p->replace = cfg->replace;
    p->in_place = cfg->in_place;
    if (p->job && p->source && p->output && p->etag && p->request && p->ladder)
        return p;
    planner_free(p);
    return NULL;
}

int planner_run(const struct planner_config *cfg, struct planner **ret, struct err *err)
{
    struct planner *p = planner_new(cfg);

    if (!p)
        return no_memory(err);
    int r = -pthread_create(&p->thread, NULL, planner_main, p);
    if (r < 0) {
        planner_free(p);
        return err_set(err, r, ERR_RESOURCE, "can't start a thread: %s", strerror(-r));
    }
    p->started = 1;
    *ret = p;
    return 0;
}

void planner_stop(struct planner *p)
{
    (void)pthread_mutex_lock(&p->lock);
    p->stopping = 1;
    if (p->child)
        child_kill(p->child);
    (void)pthread_mutex_unlock(&p->lock);
}

void planner_join(struct planner *p)
{
    if (p->started)
        (void)pthread_join(p->thread, NULL);
    p->started = 0;
}
