/* attempt.c - one task, once: serve a child, store what it makes, and say
 * what became of it. Runs on the slot's thread. */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "../common/base/cleanup.h"
#include "../common/base/clock.h"
#include "../common/base/err.h"
#include "../common/base/log.h"
#include "../common/child/child.h"
#include "../common/queue/queue.h"
#include "../common/store/blocks.h"
#include "../common/store/store.h"
#include "../common/wire/result.h"
#include "desk.h"
#include "objects.h"
#include "slot.h"
#include "uploads.h"

/* Address space is far larger than what is resident: libraries, arenas and
 * stacks are mapped but not used. */
static const uint64_t address_slack_bytes = UINT64_C(2) << 30;

enum { CANNOT_MS = 2000 }; /* where no child can be started, none is tried for so long */

struct attempt {
    struct slot *slot;
    const struct task *task;
    struct block_reader *source;
    struct store *output;
    struct uploads *uploads;
    const struct objects *objects; /* of `uploads`, once all are stored; NULL before */
    char *engine;                  /* owned; NULL: the child didn't say */
    enum desk_ending ending;       /* once it has run: whether it was told to end */
    int no_child;                  /* none could be started */
    int64_t began_ns;              /* CLOCK_MONOTONIC */
};

static int on_read(void *arg, uint64_t off, void *buf, size_t len, size_t *ret_n, struct err *err)
{
    struct attempt *a = arg;

    return block_reader_read(a->source, off, buf, len, ret_n, err);
}

static int on_object(void *arg, const char *name, const void *buf, size_t len, struct err *err)
{
    struct attempt *a = arg;
    int r = objects_check_key(a->task, name, err);

    return r < 0 ? r : uploads_put(a->uploads, name, buf, len, err);
}

static void on_progress(void *arg, uint64_t done)
{
    struct attempt *a = arg;
    const struct worker_config *cfg = &a->slot->shared->cfg;

    desk_progress(a->slot->shared->desk, a->slot->number, done);
    if (cfg->on_progress)
        cfg->on_progress(cfg->arg, a->slot->number, a->task, done);
}

/* An upload failed: the child works for nothing. */
static void on_upload_failure(void *arg)
{
    const struct attempt *a = arg;

    slot_kill_child(a->slot);
}

static int attempt_open(struct attempt *a, struct err *err)
{
    const struct task *t = a->task;
    const struct shared *sh = a->slot->shared;
    int r = block_reader_open(sh->blocks, t->source, t->etag, &a->source, err);

    if (r == 0)
        r = store_open_prefix(sh->cfg.stores, t->output, 1, &a->output, err);
    if (r < 0)
        return r;
    const struct uploads_config cfg = {
        .output = a->output,
        .threads = sh->cfg.uploads,
        .limit_bytes = sh->upload_bytes,
        .on_failure = on_upload_failure,
        .arg = a,
    };
    a->uploads = uploads_new(&cfg);
    return a->uploads ? 0 : err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory");
}

static void attempt_close(struct attempt *a)
{
    block_reader_close(a->source);
    uploads_free(a->uploads);
    store_free(a->output);
}

/* The task's own, whoever wrote it, but no later than a broker would have it.
 * A queue in this process has patience. */
static int64_t deadline_ms(const struct attempt *a)
{
    int64_t waited = (clock_system.mono_ns(&clock_system) - a->slot->taken_ns) / NS_PER_MS;
    int64_t left = ENDED_WITHIN_MS > waited ? ENDED_WITHIN_MS - waited : 1;
    int64_t own = a->task->deadline_ms;

    return a->slot->shared->cfg.events && (own <= 0 || own > left) ? left : own;
}

static struct child_limits limits_of(const struct attempt *a)
{
    const struct task *t = a->task;
    struct child_limits l = { .stall_ms = t->stall_ms, .deadline_ms = deadline_ms(a) };

    if (a->slot->shared->limit_memory && t->memory_bytes < UINT64_MAX / 4)
        l.memory_bytes = 2 * t->memory_bytes + address_slack_bytes;
    return l;
}

/* Wait for the uploads. `r` is how the child ended; where one of them failed,
 * that is the reason, whatever the child died of then. */
static int attempt_finish(struct attempt *a, int r, struct err *err)
{
    struct err why = { 0 };

    if (r < 0)
        uploads_cancel(a->uploads);
    int stored = uploads_finish(a->uploads, &a->objects, &why);
    slot_forget_uploads(a->slot);
    if (stored < 0 && why.cls != ERR_CANCELED) {
        *err = why;
        return stored;
    }
    return r < 0 ? r : stored;
}

/* Serve a child until it has answered and all is stored. *ret_answer is JSON
 * text (free). */
static int attempt_run(struct attempt *a, const char *text, char **ret_answer,
                       struct child_usage *usage, struct err *err)
{
    const struct child_handler handler = {
        .arg = a, .read = on_read, .object = on_object, .progress = on_progress
    };
    const struct child_limits limits = limits_of(a);
    struct child *c;
    int r = attempt_open(a, err);

    if (r < 0)
        return r;
    r = slot_take_child(a->slot, a->uploads, &c, err);
    a->no_child = r < 0;
    if (r < 0)
        return r;
    desk_begun(a->slot->shared->desk, a->slot->number);
    r = child_run(c, "encode", text, block_reader_size(a->source), &handler, &limits, ret_answer,
                  usage, err);
    slot_end_child(a->slot, c);
    return attempt_finish(a, r, err);
}

static int set_string(char **field, const char *value)
{
    char *copy = strdup(value);

    if (!copy)
        return -ENOMEM;
    free(*field);
    *field = copy;
    return 0;
}

/* Put into `r` what only the parent knows, whatever the child said of it. */
static int sign(const struct attempt *a, const struct child_usage *u, struct task_result *r)
{
    r->attempt = a->task->attempt;
    r->cpu_s = u->cpu_s;
    r->wall_s = u->wall_s;
    r->peak_bytes = u->peak_bytes;
    r->bytes_read = u->bytes_read;
    if (set_string(&r->job, a->task->job) < 0 || set_string(&r->task, a->task->id) < 0 ||
        set_string(&r->worker, a->slot->shared->cfg.id) < 0 ||
        set_string(&r->etag, a->task->etag ? a->task->etag : "") < 0)
        return -ENOMEM;
    return r->engine ? 0 : set_string(&r->engine, "");
}

/* 0 with the result of a task that was done. */
static int read_answer(const struct attempt *a, const char *answer, struct task_result *ret,
                       struct err *err)
{
    struct task_result r = { 0 };
    int ret_code = task_result_from_text(answer, strlen(answer), &r, err);

    if (ret_code < 0) {
        err->cls = ERR_INTERNAL; /* the child's fault, not the upload's */
        return err_prefix(err, ret_code, "the child's answer");
    }
    if (r.error.cls != ERR_NONE) {
        *err = r.error;
        if (err->cls == ERR_CANCELED)
            err->cls = ERR_INTERNAL; /* nobody asked for it: a child may not say so */
        ret_code = -EIO;
    } else {
        ret_code = objects_fill(a->objects, &r, err);
    }
    if (ret_code < 0)
        task_result_release(&r);
    else
        *ret = r;
    return ret_code;
}

static int publish_result(struct slot *s, const struct task_result *r, struct err *err)
{
    struct queue *q = s->shared->cfg.queue;
    json_t *j = task_result_to_json(r);
    _cleanup_free_ char *text = j ? json_dumps(j, JSON_COMPACT) : NULL;

    json_decref(j);
    if (!text)
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory for a result");
    return queue_publish(q, QUEUE_RESULTS, text, strlen(text), -1, err);
}

static int publish_failure(const struct attempt *a, const struct child_usage *u,
                           const struct err *why, struct err *err)
{
    struct task_result r = { .error = *why };
    int ret = sign(a, u, &r);

    if (ret < 0)
        (void)err_set(err, ret, ERR_RESOURCE, "out of memory for a result");
    else
        ret = publish_result(a->slot, &r, err);
    task_result_release(&r);
    return ret;
}

/* Publish what became of the task. 0, or the message must go back. */
static int report(struct attempt *a, int r, const char *answer, const struct child_usage *u,
                  struct err *err)
{
    struct task_result result = { 0 };
    struct err lost = { 0 };

    if (r == 0)
        r = read_answer(a, answer, &result, err);
    if (r == 0) {
        r = sign(a, u, &result);
        r = r < 0 ? err_set(err, r, ERR_RESOURCE, "out of memory for a result")
                  : publish_result(a->slot, &result, err);
        a->engine = take_ptr(result.engine);
        task_result_release(&result);
        if (r != -EMSGSIZE && r != -ENOMEM)
            return r; /* done, or there is nobody to tell */
    }
    r = publish_failure(a, u, err, &lost);
    if (r < 0)
        log_event(LOG_WARN, "task.untold", LSTR("job", a->task->job), LSTR("task", a->task->id),
                  LSTR("error", lost.text));
    return r;
}

static void log_end(const struct attempt *a, int r, const struct child_usage *u,
                    const struct err *err)
{
    const struct task *t = a->task;

    if (r == 0)
        log_event(a->slot->shared->cfg.events ? LOG_INFO : LOG_DEBUG, "task.done",
                  LSTR("job", t->job), LSTR("task", t->id), LINT("attempt", t->attempt),
                  LSTR("only", t->only ? t->only : ""), LDBL("cpu_s", u->cpu_s),
                  LDBL("wall_s", u->wall_s), LINT("peak_bytes", (int64_t)u->peak_bytes));
    else
        log_event(LOG_WARN, "task.failed", LSTR("job", t->job), LSTR("task", t->id),
                  LINT("attempt", t->attempt), LSTR("class", err_class_name(err->cls)),
                  LSTR("error", err->text));
}

int slot_answer(struct slot *s, const struct task *t, const struct err *why, struct err *err)
{
    const struct attempt a = { .slot = s, .task = t };
    const struct child_usage nothing = { 0 };

    return publish_failure(&a, &nothing, why, err);
}

/* That is this machine's trouble and no attempt of the task, which goes back. */
static int explain_no_child(const struct attempt *a, struct err *err)
{
    char why[ERR_TEXT_MAX];

    (void)snprintf(why, sizeof(why), "no process can be started: %.600s", err->text);
    desk_cannot(a->slot->shared->desk, why, CANNOT_MS);
    return err_set(err, -ECANCELED, ERR_CANCELED, "%s", why);
}

/* The farm's store is away, or refuses this worker: no attempt of the task either. */
static int is_stores_state(const struct attempt *a, const struct err *err)
{
    const struct worker_config *cfg = &a->slot->shared->cfg;

    return err->cls == ERR_STORAGE && cfg->events &&
           (store_was_away(cfg->stores, a->began_ns) ||
            store_was_refusing(cfg->stores, a->began_ns));
}

static int explain_away(struct err *err)
{
    const struct err why = *err;

    return err_set(err, -ECANCELED, ERR_CANCELED, "the store can't be worked with: %.600s",
                   why.text);
}

/* Nobody but a person, or the worker itself, may cancel: a child that says
 * so is in error. */
static int explain_end(struct attempt *a, int r, struct err *err)
{
    if (r < 0 && a->ending != DESK_GO_ON)
        return err_set(err, -ECANCELED, ERR_CANCELED, "%s",
                       a->ending == DESK_JOB_CANCELED ? "its job was canceled"
                                                      : "the worker was told to stop");
    if (a->no_child && a->slot->shared->cfg.events)
        return explain_no_child(a, err);
    if (r < 0 && is_stores_state(a, err))
        return explain_away(err);
    if (err->cls == ERR_CANCELED)
        err->cls = ERR_INTERNAL;
    return r;
}

static uint64_t bytes_made(const struct attempt *a)
{
    uint64_t n = 0;

    for (size_t i = 0; a->objects && i < a->objects->n; i++)
        n += a->objects->v[i].size_bytes;
    return n;
}

static void leave(const struct attempt *a, int told, const struct child_usage *u,
                  const struct err *err)
{
    const struct shared *sh = a->slot->shared;
    const struct desk_outcome o = {
        .cls = err->cls,
        .told = told == 0,
        .cpu_s = u->cpu_s,
        .bytes_in = u->bytes_read,
        .bytes_out = bytes_made(a),
        .engine = a->engine,
    };

    if (desk_leave(sh->desk, a->slot->number, &o))
        log_event(LOG_INFO, "worker.released", LSTR("worker", sh->cfg.id),
                  LSTR("by", "a task that it was tried with"));
}

int slot_attempt(struct slot *s, const struct task *t, const char *text)
{
    const struct worker_config *cfg = &s->shared->cfg;
    struct attempt a = { .slot = s, .task = t, .began_ns = clock_system.mono_ns(&clock_system) };
    struct child_usage usage = { 0 };
    struct err err = { 0 };
    _cleanup_free_ char *answer = NULL;

    int r = attempt_run(&a, text, &answer, &usage, &err);
    a.ending = desk_ending(s->shared->desk, s->number);
    r = explain_end(&a, r, &err);
    int told = report(&a, r, answer, &usage, &err);
    r = err.cls != ERR_NONE && r == 0 ? -EIO : r;
    log_end(&a, r, &usage, &err);
    leave(&a, told, &usage, &err);
    attempt_close(&a);
    free(a.engine);
    if (cfg->on_end)
        cfg->on_end(cfg->arg, s->number, t, r);
    return told;
}
