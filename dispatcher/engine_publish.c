/* engine_publish.c - the end of a job: everything is there and fits, or it
 * is made again; then playlists. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../common/base/cleanup.h"
#include "../common/base/log.h"
#include "../common/store/store.h"
#include "../common/wire/result.h"
#include "job.h"
#include "publish/objects.h"
#include "publish/package.h"
#include "publish/publish.h"
#include "publish/sha256.h"

/* The results of a job's done tasks. */
struct results {
    struct task_result *v;
    const struct task_result **ptrs;
    size_t n;
};

static void results_release(struct results *r)
{
    for (size_t i = 0; i < r->n; i++)
        task_result_release(&r->v[i]);
    free(r->v);
    free(r->ptrs);
}

static int results_load(struct dispatcher *d, const struct live_job *j, struct results *ret,
                        struct err *err)
{
    ret->v = calloc(j->n_done + 1, sizeof(*ret->v));
    ret->ptrs = calloc(j->n_done + 1, sizeof(*ret->ptrs));
    if (!ret->v || !ret->ptrs)
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory for the results");
    for (size_t i = 0; i < j->n_tasks; i++) {
        if (j->tasks[i].state != TASK_DONE)
            continue;
        int r = job_result(d, j, j->tasks[i].id, &ret->v[ret->n], err);
        if (r < 0)
            return r;
        ret->ptrs[ret->n] = &ret->v[ret->n];
        ret->n++;
    }
    return 0;
}

/* ---- what is wrong with what was made ---- */

struct faults {
    struct dispatcher *d;
    struct live_job *job;
    int counted;
    size_t redone; /* tasks sent back */
    struct err *err;
};

static int names_init(const char *key)
{
    static const char init[] = "/init.mp4";
    size_t n = strlen(key), m = sizeof(init) - 1;

    return n > m && strcmp(key + n - m, init) == 0;
}

/* For package_check_objects(). A task with several faults is redone once. An
 * init segment is stored by chunk 0 alone, perhaps later than the other
 * chunks that name it: it is for package_build() to compare theirs. */
static int fault(void *arg, const char *task, const char *key, const char *why)
{
    struct faults *f = arg;
    struct live_task *t = job_task(f->job, task);
    struct err text = { 0 };

    if (!t || t->state != TASK_DONE || (names_init(key) && !t->audio && t->chunk > 0))
        return 0;
    (void)err_set(&text, -EIO, ERR_STORAGE, "%s: %s", key, why);
    f->redone++;
    return engine_redo(f->d, f->job, t, f->counted, &text, f->err);
}

static int check_objects(struct faults *f, const struct results *res, struct store *store, int hash)
{
    size_t bad;

    return package_check_objects(res->ptrs, res->n, store, hash, fault, f, &bad, f->err);
}

int engine_recheck(struct dispatcher *d, struct live_job *j, struct err *err)
{
    _cleanup_(results_release) struct results res = { 0 };
    struct faults f = { .d = d, .job = j, .err = err };
    struct store *store = NULL;
    int r = results_load(d, j, &res, err);

    if (r == 0 && res.n > 0)
        r = store_open_prefix(j->output, 1, &store, err);
    if (r == 0 && res.n > 0)
        r = check_objects(&f, &res, store, 1);
    store_free(store);
    j->checked = r == 0;
    return r;
}

/* ---- publishing ---- */

/* The package, or what must be encoded again for it (then *ret is NULL). */
static int build(struct faults *f, const struct results *res, struct package **ret)
{
    struct package_redo redo = { 0 };
    struct err why = { 0 };
    int r = package_build(&f->job->plan, res->ptrs, res->n, ret, &redo, &why);

    if (r == -EPROTO && redo.n > 0) {
        r = 0;
        for (size_t i = 0; i < redo.n && r == 0; i++) {
            struct live_task *t = job_task(f->job, redo.tasks[i]);
            if (t && t->state == TASK_DONE)
                r = engine_redo(f->d, f->job, t, 1, &why, f->err);
        }
    } else if (r < 0) {
        r = job_move(f->d, f->job, JOB_FAIL, &why, f->err);
    }
    package_redo_release(&redo);
    return r;
}

static int put_package(const struct live_job *j, const struct package *p, struct store *store,
                       struct err *why)
{
    char digest[SHA256_HEX];

    if (sha256_of(j->ladder, strlen(j->ladder), digest) < 0)
        return err_set(why, -ENOMEM, ERR_RESOURCE, "out of memory");
    const struct receipt_job job = { .id = j->id,
                                     .source = j->source,
                                     .etag = j->etag,
                                     .ladder = j->ladder_name,
                                     .ladder_digest = digest };
    int r = store->ops->sweep ? store->ops->sweep(store, why) : 0;
    /* Segments are durable before a playlist that is names them. */
    if (r == 0 && store->ops->sync)
        r = store->ops->sync(store, why);
    return r < 0 ? r : package_publish(p, &job, store, why);
}

/* Look whether everything is there and fits. *ret stays NULL where tasks were
 * sent back or the job failed. */
static int prepare(struct faults *f, const struct results *res, struct store *store,
                   struct package **ret)
{
    int r = check_objects(f, res, store, 0);

    if (r == 0 && f->redone == 0)
        r = build(f, res, ret);
    if (r == 0 && !*ret && f->job->state == JOB_PUBLISHING)
        r = job_move(f->d, f->job, JOB_REDO, NULL, f->err);
    return r;
}

static int publish_to(struct dispatcher *d, struct live_job *j, struct store *store,
                      struct err *err)
{
    _cleanup_(results_release) struct results res = { 0 };
    struct faults f = { .d = d, .job = j, .counted = 1, .err = err };
    struct package *p = NULL;
    struct err why = { 0 };
    int r = jobdb_begin(d->db, err);

    if (r == 0)
        r = results_load(d, j, &res, err);
    if (r == 0)
        r = prepare(&f, &res, store, &p);
    if (r == 0)
        r = jobdb_commit(d->db, err);
    if (r < 0)
        jobdb_rollback(d->db);
    if (r == 0 && p) {
        r = put_package(j, p, store, &why);
        r = job_move(d, j, r < 0 ? JOB_FAIL : JOB_PUBLISHED, r < 0 ? &why : NULL, err);
    }
    package_unbuild(p);
    return r;
}

static int publish_job(struct dispatcher *d, struct live_job *j, struct err *err)
{
    struct store *store = NULL;
    struct err why = { 0 };

    if (store_open_prefix(j->output, 1, &store, &why) < 0)
        return job_move(d, j, JOB_FAIL, &why, err);
    int r = publish_to(d, j, store, err);
    store_free(store);
    return r;
}

int engine_publish(struct dispatcher *d, int *ret_did, struct err *err)
{
    int r = 0;

    for (struct live_job *j = d->jobs; j && r == 0; j = j->next) {
        if (j->state == JOB_RUNNING && j->loaded && j->n_done == j->n_tasks) {
            *ret_did = 1;
            r = job_move(d, j, JOB_ALL_DONE, NULL, err);
        }
        if (r == 0 && j->state == JOB_PUBLISHING) {
            *ret_did = 1;
            r = publish_job(d, j, err);
        }
    }
    return r;
}
