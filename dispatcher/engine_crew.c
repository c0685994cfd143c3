/* engine_crew.c - whose fault a failure was: a worker's, which is quarantined (crew.h), or an
 * upload's, which is not tried again. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../common/base/cleanup.h"
#include "../common/base/log.h"
#include "../common/queue/queue.h"
#include "../common/wire/event.h"
#include "../common/wire/result.h"
#include "crew.h"
#include "job.h"

enum {
    QUARANTINE_S = 60, /* the first one; the worker doubles it */
    PASSED_MAX = 30,   /* so often a task is handed on by workers that it failed on */
};

/* ---- commands ---- */

/* At once and not after the commit: nothing depends on it, and it may be lost anyway. */
static void command(struct dispatcher *d, const char *worker, const char *what, const char *body)
{
    _cleanup_free_ char *key = event_key("command.worker", worker, what);

    if (key && body)
        d->cfg.queue->ops->event(d->cfg.queue, key, body, strlen(body));
}

static void command_quarantine(struct dispatcher *d, unsigned number, const char *why)
{
    unsigned s = d->cfg.quarantine_s ? d->cfg.quarantine_s : QUARANTINE_S;
    _cleanup_free_ char *body = quarantine_text(why, s);

    command(d, crew_name(d->crew, number), "quarantine", body);
}

int dispatcher_release_worker(struct dispatcher *d, const char *worker, struct err *err)
{
    (void)err;
    crew_release(d->crew, crew_number(d->crew, worker, d->clock->mono_ns(d->clock)));
    command(d, worker, "release", "{\"v\":1}");
    return 0;
}

/* ---- workers ---- */

/* Half of those who live go on, whatever is the matter with them. */
static int can_be_spared(struct dispatcher *d)
{
    struct board_crew n;

    board_crew(d->cfg.board, d->clock->wall_ms(d->clock), &n);
    return n.takers > 1 && 2 * (n.takers - 1) >= n.workers;
}

static void act_on(struct dispatcher *d, unsigned number, const char *why)
{
    int64_t now = d->clock->mono_ns(d->clock);

    if (can_be_spared(d)) {
        log_event(LOG_ERROR, "worker.quarantined", LSTR("worker", crew_name(d->crew, number)),
                  LSTR("error", why));
        crew_quarantine(d->crew, number);
        d->totals.quarantines++;
        command_quarantine(d, number, why);
        return;
    }
    log_event(LOG_ERROR, "worker.suspect", LSTR("worker", crew_name(d->crew, number)),
              LSTR("error", why), LSTR("but", "too few others take tasks: it goes on"));
    d->totals.suspects++;
    crew_spare(d->crew, number, now);
}

/* "s3://in" of "s3://in/a.mov": what is read and written with the same rights. */
static int root_of(const char *url)
{
    const char *host = strstr(url, "://");

    return host ? (int)(host + 3 - url + (ptrdiff_t)strcspn(host + 3, "/")) : (int)strlen(url);
}

void engine_crew_note(struct dispatcher *d, const struct live_job *j, const struct live_task *t,
                      const char *worker, enum err_class cls)
{
    int64_t now = d->clock->mono_ns(d->clock);
    char task[300], stores[600], why[200];
    unsigned suspect;

    if (!d->cfg.board || !worker)
        return; /* one worker, in this process */
    (void)snprintf(task, sizeof(task), "%s\n%s", j->id, t->id);
    (void)snprintf(stores, sizeof(stores), "%.*s %.*s", root_of(j->source), j->source,
                   root_of(j->output), j->output);
    const struct crew_outcome o = {
        .worker = crew_number(d->crew, worker, now),
        .source = j->source,
        .task = task,
        .stores = stores,
        .cls = cls,
    };
    crew_note(d->crew, &o, now);
    while ((suspect = crew_suspect(d->crew, now, why, sizeof(why))))
        act_on(d, suspect, why);
}

void engine_crew_heard(struct dispatcher *d, const struct heartbeat *h)
{
    int64_t now = d->clock->mono_ns(d->clock);
    unsigned number = crew_number(d->crew, h->worker, now);

    if (crew_ignores_quarantine(d->crew, number, h->state == WORKER_ACTIVE, now))
        command_quarantine(d, number, "told to again");
}

/* ---- where a task failed ---- */

void engine_crew_failed(struct dispatcher *d, struct live_task *t, const char *worker)
{
    unsigned n = worker ? crew_number(d->crew, worker, d->clock->mono_ns(d->clock)) : 0;

    if (n == 0)
        return;
    t->passed = 0;
    for (size_t i = 0; i < FAILED_ON_MAX; i++)
        if (t->failed_on[i] == n)
            return;
    memmove(t->failed_on + 1, t->failed_on, (FAILED_ON_MAX - 1) * sizeof(*t->failed_on));
    t->failed_on[0] = (uint16_t)n;
}

void engine_crew_passed(struct live_task *t)
{
    if (t->failed_on[0] && ++t->passed >= PASSED_MAX)
        memset(t->failed_on, 0, sizeof(t->failed_on)); /* nobody else comes to take it */
}

int engine_crew_avoid(const struct dispatcher *d, const struct live_task *t, char **ret)
{
    for (size_t i = 0; i < FAILED_ON_MAX; i++) {
        ret[i] = t->failed_on[i] ? strdup(crew_name(d->crew, t->failed_on[i])) : NULL;
        if (t->failed_on[i] && !ret[i])
            return -ENOMEM;
    }
    return 0;
}

/* ---- uploads ---- */

/* What no upload can do to a child: the kernel or a person ended it (child/serve.c says so). */
static int was_killed(const struct err *why)
{
    return strstr(why->text, "died by SIGKILL") != NULL;
}

unsigned engine_crew_crashed_before(struct dispatcher *d, struct live_task *t, const char *worker,
                                    const struct err *why)
{
    unsigned n, before = t->crashed_on;

    if (why->cls != ERR_CRASH || !worker || was_killed(why))
        return 0;
    n = crew_number(d->crew, worker, d->clock->mono_ns(d->clock));
    if (before && n && before != n)
        return before;
    t->crashed_on = (uint16_t)n;
    return 0;
}

int engine_poison_add(struct dispatcher *d, const struct live_job *j, const struct err *why,
                      struct err *err)
{
    int r = engine_begin(d, err);

    log_event(LOG_ERROR, "source.crashes-workers", LSTR("job", j->id), LSTR("source", j->source),
              LSTR("error", why->text));
    return r < 0 ? r
                 : jobdb_add_poison(d->db, j->source, j->etag, why->text,
                                    d->clock->wall_ms(d->clock), err);
}

int engine_poison_end(struct dispatcher *d, const struct live_job *j, struct err *err)
{
    int r = engine_begin(d, err);

    return r < 0 ? r : jobdb_end_poison(d->db, j->source, j->etag, err);
}

int engine_poison(struct dispatcher *d, const struct live_job *j, const char *etag,
                  struct err *ret_why, struct err *err)
{
    _cleanup_free_ char *reason = NULL;
    int r = jobdb_poison(d->db, j->source, etag, &reason, err);

    if (r < 0 || !reason)
        return r;
    (void)err_set(ret_why, -EIO, ERR_CRASH,
                  "the source is not tried again (gopmill requeue %.128s does): %s", j->id, reason);
    return 1;
}
