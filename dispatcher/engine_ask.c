/* engine_ask.c - what may be asked of jobs: cancel, delete, status. */
#include <errno.h>
#include <string.h>

#include "../common/base/log.h"
#include "job.h"

static struct live_job *known(struct dispatcher *d, const char *id, struct err *err)
{
    struct live_job *j = job_find(d, id);

    if (!j)
        (void)err_set(err, -ENOENT, ERR_USAGE, "nobody knows a job %.128s", id);
    return j;
}

static int cancel(struct dispatcher *d, const char *id, struct err *err)
{
    const struct err why = { ERR_CANCELED, "canceled" };
    struct live_job *j = known(d, id, err);

    if (!j)
        return -ENOENT;
    if (job_ended(j))
        return err_set(err, -EALREADY, ERR_USAGE, "job %.128s is %s already", id,
                       job_state_name(j->state));
    if (j->busy == 1 + PUBLISH_FINAL)
        return err_set(
            err, -EBUSY, ERR_USAGE,
            "job %.128s is being published at this moment: it can't be canceled any more", id);
    return job_move(d, j, JOB_CANCEL, &why, err);
}

int dispatcher_cancel(struct dispatcher *d, const char *id, struct err *err)
{
    return engine_settle(d, cancel(d, id, err), err);
}

static int delete (struct dispatcher *d, const char *id, int package, struct err *err)
{
    struct live_job *j = known(d, id, err);

    if (!j)
        return -ENOENT;
    if (!job_ended(j))
        return err_set(err, -EBUSY, ERR_USAGE, "job %.128s is %s: cancel it first", id,
                       job_state_name(j->state));
    const struct sweep_row row = { .job = j->id, .output = j->output, .everything = package };
    int sweeps = job_has_plan(j) || package;
    int r = engine_begin(d, err);
    if (r == 0)
        r = jobdb_delete_job(d->db, id, err);
    if (r == 0 && sweeps)
        r = jobdb_add_sweep(d->db, &row, err);
    if (r == 0 && sweeps && engine_sweep_add(d, &row) < 0)
        r = engine_no_memory(err);
    if (r < 0)
        return r;
    log_event(LOG_INFO, "job.deleted", LSTR("job", j->id));
    engine_tell(d, EFFECT_DROP, j, NULL, NULL);
    job_forget(d, j);
    dispatcher_wake(d);
    return 0;
}

int dispatcher_delete(struct dispatcher *d, const char *id, int package, struct err *err)
{
    return engine_settle(d, delete (d, id, package, err), err);
}

static int notified(struct dispatcher *d, const char *id, struct err *err)
{
    struct live_job *j = known(d, id, err);

    if (!j)
        return -ENOENT;
    if (!job_ended(j) || j->notified)
        return 0; /* it was revived meanwhile: its next end will be told */
    j->notified = 1;
    return job_save(d, j, err);
}

int dispatcher_notified(struct dispatcher *d, const char *id, struct err *err)
{
    return engine_settle(d, notified(d, id, err), err);
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
            .state = (enum task_state)t->state,
            .attempt = t->attempt,
            .cost = t->cost,
            .chunk = t->chunk,
            .group = t->group,
            .audio = t->audio,
        };
        memcpy(st.id, t->id, sizeof(t->id));
        r = each(arg, &st);
    }
    return j ? r : -ENOENT;
}

int dispatcher_status(struct dispatcher *d, const char *id, struct job_status *ret, struct err *err)
{
    struct live_job *j = known(d, id, err);

    if (!j)
        return -ENOENT;
    *ret = (struct job_status){
        .state = j->state,
        .tasks_done = j->n[TASK_DONE],
        .tasks_reused = j->tasks_reused,
        .checking = j->check_wanted,
        .cost = j->cost,
        .cost_done = j->cost_done,
        .cpu_s = j->cpu_s,
        .frames_done = j->frames_done,
        .first_frame_s = j->first_frame_s,
        .attempts_failed = j->attempts_failed,
    };
    for (int s = 0; s < TASK_STATE_MAX; s++)
        ret->tasks += j->n[s];
    if (j->error)
        ret->error = *j->error;
    return 0;
}

const struct plan *dispatcher_plan(struct dispatcher *d, const char *id)
{
    struct live_job *j = job_find(d, id);
    const struct plan *p;

    if (!j || !job_has_plan(j) || job_plan(d, j, &p, NULL) < 0)
        return NULL;
    j->plan_pinned = 1;
    return p;
}
