#include "engine.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../common/queue/queue.h"
#include "job.h"

enum {
    /* How long a step may wait without looking at planner, retries and wake. */
    SLICE_MS = 50,
    PLANNING_SLICE_MS = 5,
};

int dispatcher_new(const struct dispatcher_config *cfg, struct dispatcher **ret, struct err *err)
{
    struct dispatcher *d = calloc(1, sizeof(*d));

    if (!d)
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory");
    d->cfg = *cfg;
    d->cfg.db_path = NULL; /* only borrowed for this call */
    d->clock = cfg->clock ? cfg->clock : &clock_system;
    d->random = (uint64_t)d->clock->wall_ms(d->clock);
    int r = jobdb_open(cfg->db_path, &d->db, err);
    if (r == 0)
        r = engine_load(d, err);
    if (r < 0)
        dispatcher_free(d);
    else
        *ret = d;
    return r;
}

void dispatcher_free(struct dispatcher *d)
{
    if (!d)
        return;
    engine_plan_stop(d, NULL);
    while (d->jobs)
        job_forget(d, d->jobs);
    jobdb_free(d->db);
    free(d);
}

void dispatcher_wake(struct dispatcher *d)
{
    atomic_store(&d->wake, 1);
}

/* Everything that can be done without waiting. */
static int advance(struct dispatcher *d, int *ret_did, struct err *err)
{
    int r = engine_plan(d, ret_did, err);

    if (r == 0)
        r = engine_publish(d, ret_did, err);
    return r < 0 ? r : engine_release(d, err);
}

/* How long to wait for results now; waiting is in real time, whatever clock
 * decides about retries. */
static int slice(const struct dispatcher *d, int64_t until_ns)
{
    int64_t left = (until_ns - clock_system.mono_ns(&clock_system)) / NS_PER_MS;
    int longest = d->planner ? PLANNING_SLICE_MS : SLICE_MS;

    if (left <= 0)
        return 0;
    return left < longest ? (int)left + 1 : longest;
}

int dispatcher_step(struct dispatcher *d, int timeout_ms, struct err *err)
{
    int64_t until = timeout_ms < 0
                        ? INT64_MAX
                        : clock_system.mono_ns(&clock_system) + (int64_t)timeout_ms * NS_PER_MS;

    for (;;) {
        size_t n = 0;
        int did = 0;
        int r = advance(d, &did, err);
        if (r < 0)
            return r;
        int wait_ms = did ? 0 : slice(d, until);
        r = engine_collect(d, wait_ms, &n, err);
        if (r == 0 && n > 0)
            r = advance(d, &did, err); /* the slots must not wait for the caller */
        if (r < 0)
            return r;
        if (did || n > 0 || wait_ms == 0 || atomic_exchange(&d->wake, 0))
            return 0;
    }
}

static struct live_job *known(struct dispatcher *d, const char *id, struct err *err)
{
    struct live_job *j = job_find(d, id);

    if (!j)
        (void)err_set(err, -ENOENT, ERR_USAGE, "nobody knows a job %.128s", id);
    return j;
}

int dispatcher_cancel(struct dispatcher *d, const char *id, struct err *err)
{
    const struct err why = { ERR_CANCELED, "canceled" };
    struct live_job *j = known(d, id, err);

    if (!j)
        return -ENOENT;
    int r = job_move(d, j, JOB_CANCEL, &why, err);
    if (r == 0)
        engine_plan_stop(d, id);
    return r;
}

int dispatcher_tasks(struct dispatcher *d, const char *id,
                     int (*each)(void *arg, const struct task_status *t), void *arg,
                     struct err *err)
{
    struct live_job *j = known(d, id, err);
    int r = 0;

    for (size_t i = 0; j && i < j->n_tasks && r == 0; i++) {
        const struct live_task *t = &j->tasks[i];
        struct task_status st = {
            .state = t->state,
            .attempt = t->attempt,
            .cost = t->cost,
            .chunk = t->chunk,
            .group = t->group,
            .audio = t->audio,
        };
        memcpy(st.id, t->id, sizeof(st.id));
        r = each(arg, &st);
    }
    return j ? r : -ENOENT;
}

int dispatcher_status(struct dispatcher *d, const char *id, struct job_status *ret, struct err *err)
{
    struct live_job *j = known(d, id, err);

    if (!j)
        return -ENOENT;
    struct job_status st = {
        .state = j->state,
        .error = j->error,
        .tasks = j->n_tasks,
        .tasks_done = j->n_done,
        .tasks_reused = j->tasks_reused,
        .first_frame_s = j->first_frame_s,
        .attempts_failed = j->attempts_failed,
    };
    for (size_t i = 0; i < j->n_tasks; i++) {
        const struct live_task *t = &j->tasks[i];
        st.cost += t->cost;
        st.cpu_s += t->cpu_s;
        if (t->state == TASK_DONE) {
            st.cost_done += t->cost;
            st.frames_done += t->frames;
        }
    }
    *ret = st;
    return 0;
}

const struct plan *dispatcher_plan(struct dispatcher *d, const char *id)
{
    struct live_job *j = job_find(d, id);

    return j && j->has_plan ? &j->plan : NULL;
}
