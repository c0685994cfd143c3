/* engine_release.c - from the database to the queue. Rows first, messages
 * second: a crash in between releases twice, which does no harm. */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "../common/base/cleanup.h"
#include "../common/base/log.h"
#include "../common/queue/queue.h"
#include "job.h"

enum { BATCH_MAX = 64 };

/* The queue is kept short, so that order, retries and cancels act at once. */
static size_t room(const struct dispatcher *d)
{
    size_t limit = 2 * (size_t)(d->cfg.slots ? d->cfg.slots : 1), out = 0;

    for (const struct live_job *j = d->jobs; j; j = j->next)
        out += j->n_released;
    return out < limit ? limit - out : 0;
}

/* Up to `want` tasks whose time has come, in plan order. */
static size_t pick(struct dispatcher *d, struct live_job *j, size_t want, struct live_task **ret)
{
    int64_t now = d->clock->wall_ms(d->clock);
    size_t i = j->first_waiting, n = 0;

    while (i < j->n_tasks && j->tasks[i].state != TASK_WAITING)
        i++;
    j->first_waiting = i;
    for (; i < j->n_tasks && n < want; i++)
        if (j->tasks[i].state == TASK_WAITING && j->tasks[i].not_before_ms <= now)
            ret[n++] = &j->tasks[i];
    return n;
}

static int mark(struct dispatcher *d, struct live_job *j, struct live_task **tasks, size_t n,
                struct err *err)
{
    int r = jobdb_begin(d->db, err);

    for (size_t i = 0; i < n && r == 0; i++) {
        tasks[i]->released_ns = d->clock->mono_ns(d->clock);
        r = task_move(d, j, tasks[i], TASK_RELEASE, NULL, err);
    }
    if (r == 0)
        r = jobdb_commit(d->db, err);
    if (r < 0)
        jobdb_rollback(d->db);
    return r;
}

/* The message of a task: its row's text with the attempt of today. */
static int send_task(struct dispatcher *d, const struct live_job *j, const struct live_task *t,
                     struct err *err)
{
    _cleanup_free_ char *body = NULL, *text = NULL;
    int r = jobdb_task_body(d->db, j->id, t->id, &body, err);

    if (r < 0)
        return r;
    json_t *json = json_loads(body, 0, NULL);
    if (json && json_object_set_new(json, "attempt", json_integer(t->attempt)) == 0)
        text = json_dumps(json, JSON_COMPACT);
    json_decref(json);
    if (!text)
        return err_set(err, -EPROTO, ERR_INTERNAL, "task %.64s of job %.64s can't be read", t->id,
                       j->id);
    return d->cfg.queue->ops->publish(d->cfg.queue, QUEUE_TASKS, text, strlen(text), err);
}

static int release_job(struct dispatcher *d, struct live_job *j, struct err *err)
{
    struct live_task *tasks[BATCH_MAX];
    size_t want = room(d);
    size_t n = pick(d, j, want < BATCH_MAX ? want : BATCH_MAX, tasks);
    int r = n > 0 ? mark(d, j, tasks, n, err) : 0;

    for (size_t i = 0; i < n && r == 0; i++)
        r = send_task(d, j, tasks[i], err);
    return r;
}

int engine_release(struct dispatcher *d, struct err *err)
{
    int r = 0;

    for (struct live_job *j = d->jobs; j && r == 0; j = j->next)
        if (j->state == JOB_RUNNING)
            r = release_job(d, j, err);
    return r;
}
