#include "work.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../common/base/cleanup.h"
#include "../../common/base/log.h"
#include "../../common/store/store.h"
#include "../../common/wire/json_text.h"
#include "../../common/wire/result.h"
#include "ending.h"
#include "objects.h"
#include "package.h"
#include "publish.h"
#include "sha256.h"
#include "sweep.h"
#include "version.h"

DEFINE_CLEANUP(struct store *, store_free);
DEFINE_CLEANUP(struct package *, package_unbuild);

/* ---- what the request says ---- */

struct results {
    struct task_result *v;           /* by task id */
    const struct task_result **ptrs; /* the same */
    char *at_fault;                  /* of each: named in the outcome already */
    size_t n;
};

static void results_releasep(struct results *r)
{
    for (size_t i = 0; i < r->n; i++)
        task_result_release(&r->v[i]);
    free(r->v);
    free(r->ptrs);
    free(r->at_fault);
}

static int no_memory(struct err *err)
{
    return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory for a package");
}

static int by_task(const void *a, const void *b)
{
    const struct task_result *x = a, *y = b;
    return strcmp(x->task, y->task);
}

static int results_load(const struct publish_request *req, struct results *ret, struct err *err)
{
    ret->v = calloc(req->n_results + 1, sizeof(*ret->v));
    ret->ptrs = calloc(req->n_results + 1, sizeof(*ret->ptrs));
    ret->at_fault = calloc(req->n_results + 1, 1);
    if (!ret->v || !ret->ptrs || !ret->at_fault)
        return no_memory(err);
    for (; ret->n < req->n_results; ret->n++) {
        const char *text = req->results[ret->n];
        int r = task_result_from_text(text, strlen(text), &ret->v[ret->n], err);
        if (r < 0)
            return err_prefix(err, r, "a stored result");
    }
    qsort(ret->v, ret->n, sizeof(*ret->v), by_task);
    for (size_t i = 0; i < ret->n; i++)
        ret->ptrs[i] = &ret->v[i];
    return 0;
}

static int plan_load(const char *text, struct plan *ret, struct err *err)
{
    json_t *j;
    int r = json_text_read(text, strlen(text), ERR_INTERNAL, &j, err);

    if (r < 0)
        return err_prefix(err, r, "a stored plan");
    r = plan_from_json(j, ret, err);
    json_decref(j);
    return r < 0 ? err_prefix(err, r, "a stored plan") : 0;
}

/* ---- faults ---- */

struct judge {
    struct results *res;
    struct publish_outcome *out;
    int counted;
};

/* Tell of a task once. 0 or -ENOMEM. */
static int add_fault(struct judge *j, size_t i, const char *reason)
{
    struct publish_outcome *o = j->out;

    if (j->res->at_fault[i])
        return 0;
    if (!o->faults)
        o->faults = calloc(j->res->n, sizeof(*o->faults));
    char *task = o->faults ? strdup(j->res->v[i].task) : NULL;
    if (!task)
        return no_memory(&o->err);
    struct publish_fault *f = &o->faults[o->n_faults++];
    f->task = task;
    f->counted = j->counted;
    (void)snprintf(f->reason, sizeof(f->reason), "%s", reason);
    j->res->at_fault[i] = 1;
    return 0;
}

/* -1: no result is of that task. */
static ssize_t result_of(const struct results *res, const char *task)
{
    const struct task_result like = { .task = (char *)task };
    const struct task_result *r = bsearch(&like, res->v, res->n, sizeof(*res->v), by_task);

    return r ? r - res->v : -1;
}

static int names_init(const char *key)
{
    static const char init[] = "/init.mp4";
    size_t n = strlen(key), m = sizeof(init) - 1;

    return n > m && strcmp(key + n - m, init) == 0;
}

static int has_first_segment(const struct task_result *r)
{
    for (size_t i = 0; i < r->n_renditions; i++)
        if (r->renditions[i].n_segments && r->renditions[i].segments[0].number == 1)
            return 1;
    return 0;
}

/* For package_check_objects(). An init segment is stored by chunk 0 alone,
 * perhaps later than the other chunks that name it: it is for package_build()
 * to compare theirs. */
static int object_fault(void *arg, const char *task, const char *key, const char *why)
{
    struct judge *j = arg;
    char reason[256];
    ssize_t i = result_of(j->res, task);

    if (i < 0 || (names_init(key) && !has_first_segment(&j->res->v[i])))
        return 0;
    (void)snprintf(reason, sizeof(reason), "%s: %s", key, why);
    return add_fault(j, (size_t)i, reason);
}

/* What a check with object_fault() came to. */
static int judged(const struct publish_outcome *o, int r)
{
    return r == 0 && o->n_faults > 0 ? -ESTALE : r;
}

static int check_objects(struct judge *j, struct store *store, int hash)
{
    size_t bad;
    int r = package_check_objects(j->res->ptrs, j->res->n, store, hash, object_fault, j, &bad,
                                  &j->out->err);
    return judged(j->out, r);
}

/* ---- the requests ---- */

/* -ESTALE where tasks must be done again for it. */
static int build(struct judge *j, const struct plan *plan, struct package **ret)
{
    struct package_redo redo = { 0 };
    struct err why = { 0 };
    int r = package_build(plan, j->res->ptrs, j->res->n, ret, &redo, &why);

    if (r == -EPROTO && redo.n > 0) {
        r = 0;
        for (size_t i = 0; i < redo.n && r == 0; i++) {
            ssize_t at = result_of(j->res, redo.tasks[i]);
            if (at >= 0)
                r = add_fault(j, (size_t)at, why.text);
        }
        r = judged(j->out, r);
    } else if (r < 0) {
        j->out->err = why;
    }
    package_redo_release(&redo);
    return r;
}

/* Who may write need not be allowed to look for what killed writers left: that
 * costs space, and is no reason to fail a job. */
static void sweep_store(struct store *store, const char *output)
{
    struct err err = { 0 };

    if (store->ops->sweep && store->ops->sweep(store, &err) < 0)
        log_event(LOG_WARN, "store.unswept", LSTR("output", output), LSTR("error", err.text));
}

/* The stores of one request: masters and receipt lie at the output, media in the folder of its
 * version. */
struct stores {
    struct store *top, *media;
    char folder[VERSION_ROOM + 1]; /* with a slash, or "" */
};

static void stores_releasep(struct stores *s)
{
    if (s->media != s->top)
        store_free(s->media);
    store_free(s->top);
}

static int stores_open(struct store_env *env, const struct publish_request *req, struct stores *ret,
                       struct err *err)
{
    const char *version = req->version ? req->version : "";
    size_t n = strlen(req->output);
    char *url = NULL;
    int r = store_open_prefix(env, req->output, 1, &ret->top, err);

    if (r < 0 || !*version) {
        ret->media = ret->top;
        return r;
    }
    while (n > 0 && req->output[n - 1] == '/')
        n--;
    (void)snprintf(ret->folder, sizeof(ret->folder), "%s/", version);
    if (asprintf(&url, "%.*s/%s", (int)n, req->output, ret->folder) < 0)
        return no_memory(err);
    r = store_open_prefix(env, url, 1, &ret->media, err);
    free(url);
    return r;
}

static int put_package(const struct publish_request *req, const struct package *p,
                       const struct stores *s, struct err *err)
{
    char digest[SHA256_HEX];

    if (sha256_of(req->ladder, strlen(req->ladder), digest) < 0)
        return no_memory(err);
    const struct receipt_job job = { .id = req->job,
                                     .source = req->source,
                                     .etag = req->etag,
                                     .ladder = req->ladder_name,
                                     .ladder_digest = digest };
    sweep_store(s->top, req->output);
    /* Segments are durable before a playlist that names them is. */
    int r = s->media->ops->sync ? s->media->ops->sync(s->media, err) : 0;
    return r < 0 ? r : package_publish(p, &job, s->top, err);
}

/* A picture here and there that stands in for another is damage; where most
 * do, nobody would call it the video that was uploaded. */
static int check_playable(const struct results *res, struct err *err)
{
    uint64_t decoded = 0, concealed = 0;

    for (size_t i = 0; i < res->n; i++) {
        decoded += res->v[i].frames_in;
        concealed += res->v[i].frames_concealed;
    }
    if (concealed <= decoded)
        return 0;
    return err_set(err, -EINVAL, ERR_INPUT,
                   "only %.1f %% of the pictures can be decoded: the source is damaged beyond use; "
                   "upload it again",
                   100 * (double)decoded / (double)(decoded + concealed));
}

static int publish_final(const struct publish_request *req, struct judge *j,
                         const struct plan *plan, const struct stores *s)
{
    _cleanup_(package_unbuildp) struct package *p = NULL;
    int r = check_objects(j, s->media, 0);

    if (r == 0)
        r = build(j, plan, &p);
    if (r == 0)
        r = check_playable(j->res, &j->out->err);
    if (r < 0)
        return r;
    p->folder = s->folder;
    return put_package(req, p, s, &j->out->err);
}

/* 1: a finished package lies there, 0 not. */
static int is_finished(struct store *store, struct err *err)
{
    struct store_stat st;
    int r = store->ops->head(store, "job.json", &st, err);

    return r == -ENOENT ? 0 : r < 0 ? r : 1;
}

static size_t shortest(const struct package *p)
{
    size_t n = SIZE_MAX;

    for (size_t i = 0; i < p->n_video; i++)
        if (p->renditions[i].n_segments < n)
            n = p->renditions[i].n_segments;
    return n;
}

static int publish_early(struct judge *j, const struct plan *plan, const struct stores *s)
{
    _cleanup_(package_unbuildp) struct package *p = NULL;
    struct err *err = &j->out->err;
    size_t bad;
    int r = package_build_early(plan, j->res->ptrs, j->res->n, &p, err);

    if (r < 0 || !p)
        return r;
    p->folder = s->folder;
    r = is_finished(s->top, err);
    if (r != 0)
        return r < 0 ? r : 0;
    r = judged(j->out, package_check_named(p, s->media, object_fault, j, &bad, err));
    if (r == 0)
        r = package_publish_early(p, s->top, err);
    if (r == 0)
        j->out->segments = shortest(p);
    return r;
}

static int work_with_plan(const struct stores *s, const struct publish_request *req,
                          struct judge *j)
{
    struct plan plan = { 0 };
    int r = plan_load(req->plan, &plan, &j->out->err);

    if (r == 0 && req->what == PUBLISH_EARLY)
        r = publish_early(j, &plan, s);
    else if (r == 0)
        r = publish_final(req, j, &plan, s);
    plan_release(&plan);
    return r;
}

static int work_with_results(struct store_env *stores, const struct publish_request *req,
                             struct publish_outcome *o)
{
    _cleanup_(results_releasep) struct results res = { 0 };
    _cleanup_(stores_releasep) struct stores s = { 0 };
    struct judge j = { &res, o, req->what != PUBLISH_CHECK };
    int r = results_load(req, &res, &o->err);

    if (r < 0 || (res.n == 0 && req->what != PUBLISH_FINAL))
        return r;
    r = stores_open(stores, req, &s, &o->err);
    if (r < 0)
        return r;
    return req->what == PUBLISH_CHECK ? check_objects(&j, s.media, 1) : work_with_plan(&s, req, &j);
}

static int end_early(struct store_env *stores, const struct publish_request *req,
                     struct publish_outcome *o)
{
    _cleanup_(store_freep) struct store *store = NULL;
    char folder[VERSION_ROOM + 1];
    int r = store_open_prefix(stores, req->output, 0, &store, &o->err);

    if (r < 0)
        return r == -ENOENT ? 0 : r;
    const char *version = req->version ? req->version : "";
    (void)snprintf(folder, sizeof(folder), "%s%s", version, *version ? "/" : "");
    return package_end_early(store, folder, req->everything, &o->err);
}

static int sweep(struct store_env *stores, const struct publish_request *req,
                 struct publish_outcome *o)
{
    _cleanup_(store_freep) struct store *store = NULL;
    int r = store_open_prefix(stores, req->output, 0, &store, &o->err);

    if (r < 0)
        return r == -ENOENT ? 0 : r;
    sweep_store(store, req->output);
    const struct sweep_what what = { .job = req->job,
                                     .everything = req->everything,
                                     .spared = (const char *const *)req->spared,
                                     .n_spared = req->n_spared };
    return package_sweep(store, &what, &o->removed, &o->err);
}

void publish_work(struct store_env *stores, const struct publish_request *req,
                  struct publish_outcome *ret)
{
    ret->r = req->what == PUBLISH_END     ? end_early(stores, req, ret)
             : req->what == PUBLISH_SWEEP ? sweep(stores, req, ret)
                                          : work_with_results(stores, req, ret);
    if (ret->r == 0) /* what was tried on the way, and didn't matter */
        ret->err = (struct err){ 0 };
    if (ret->r == -ESTALE && ret->n_faults > 0)
        (void)err_set(&ret->err, ret->r, ERR_STORAGE, "task %s must run again: %s%s",
                      ret->faults[0].task, ret->faults[0].reason,
                      ret->n_faults > 1 ? "; and others" : "");
}
