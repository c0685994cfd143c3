/* engine_sweep.c - removing what nobody needs any more: one sweep of a place at
 * a time, and none where a job writes. Of jobs themselves engine_publish.c asks; here are outputs
 * of deleted jobs, and versions that were replaced (publish/version.h). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../common/base/log.h"
#include "job.h"

enum {
    REFUSED_MS = 500, /* until the publisher is asked again */
    SWEEP_RETRY_MS = 60 * 1000,
    SPARED_MAX = 1000, /* versions of one place that are named to a sweep */
};

/* ---- sweeps at work ---- */

/* What tasks are about to store must not be swept. */
int engine_may_sweep(const struct place *p)
{
    return p->writers == 0 && p->sweeps == 0;
}

static struct sweep_at_work *sweep_begun(struct dispatcher *d, const char *job, struct place *p)
{
    struct sweep_at_work *w = calloc(1, sizeof(*w));

    if (!w || !(w->job = strdup(job))) {
        free(w);
        return NULL;
    }
    w->place = p;
    p->refs++;
    p->sweeps++;
    w->next = d->sweeping;
    d->sweeping = w;
    return w;
}

static void sweep_ended(struct dispatcher *d, const char *job)
{
    struct sweep_at_work **at = &d->sweeping, *w;

    while (*at && strcmp((*at)->job, job) != 0)
        at = &(*at)->next;
    if (!(w = *at))
        return;
    *at = w->next;
    w->place->sweeps--;
    place_put(&d->places, w->place);
    free(w->job);
    free(w);
}

/* The versions that are to stay there for a while. */
static int add_spared(const struct dispatcher *d, const struct place *p, struct publish_request *q)
{
    size_t n = 0;

    for (const struct replaced_version *v = d->replaced; v; v = v->next)
        n += v->place == p && !v->busy;
    n = n < SPARED_MAX ? n : SPARED_MAX;
    if (n == 0)
        return 0;
    if (!(q->spared = calloc(n, sizeof(char *))))
        return -ENOMEM;
    for (const struct replaced_version *v = d->replaced; v && q->n_spared < n; v = v->next) {
        if (v->place != p || v->busy)
            continue;
        if (!(q->spared[q->n_spared] = strdup(v->version)))
            return -ENOMEM;
        q->n_spared++;
    }
    return 0;
}

int engine_sweep_submit(struct dispatcher *d, struct publish_request *q, struct place *p)
{
    if (!engine_may_sweep(p))
        return -EBUSY;
    if (add_spared(d, p, q) < 0 || !sweep_begun(d, q->job, p))
        return -ENOMEM;
    int r = publisher_submit(d->publisher, q);
    if (r < 0)
        sweep_ended(d, q->job);
    return r;
}

/* ---- outputs of deleted jobs ---- */

static void pending_free(struct dispatcher *d, struct pending_sweep *s)
{
    if (s->place)
        s->place->pending--;
    place_put(&d->places, s->place);
    free(s->job);
    free(s->output);
    free(s);
}

int engine_sweep_add(struct dispatcher *d, const struct sweep_row *row)
{
    struct pending_sweep *s = calloc(1, sizeof(*s));

    if (!s)
        return -ENOMEM;
    s->job = strdup(row->job);
    s->output = strdup(row->output);
    s->everything = row->everything;
    s->place = place_get(&d->places, row->output);
    if (s->place)
        s->place->pending++;
    if (!s->job || !s->output || !s->place) {
        pending_free(d, s);
        return -ENOMEM;
    }
    s->next = d->sweeps;
    d->sweeps = s;
    return 0;
}

int engine_sweeping(struct dispatcher *d, const char *output)
{
    struct place *p = place_get(&d->places, output);
    int pending = p && p->pending > 0;

    place_put(&d->places, p);
    return pending;
}

/* *busy says that it is under way: before it is, as what is busy isn't spared. */
static void sweep_ask(struct dispatcher *d, const char *job, const char *output, int everything,
                      struct place *place, int *busy)
{
    struct publish_request *q = calloc(1, sizeof(*q));

    if (!q)
        return;
    q->what = PUBLISH_SWEEP;
    q->everything = everything;
    q->job = strdup(job);
    q->output = strdup(output);
    *busy = 1;
    if (q->job && q->output && engine_sweep_submit(d, q, place) == 0) {
        d->publishing++;
        return;
    }
    *busy = 0;
    publish_request_free(q);
}

static void ask_pending(struct dispatcher *d, struct pending_sweep *s, int64_t now)
{
    s->after_ms = now + REFUSED_MS;
    sweep_ask(d, s->job, s->output, s->everything, s->place, &s->busy);
}

static int pending_ended(struct dispatcher *d, struct pending_sweep **at,
                         const struct publish_outcome *o, struct err *err)
{
    struct pending_sweep *s = *at;

    s->busy = 0;
    if (o->r < 0 && err_class_retried(o->err.cls)) {
        log_event(LOG_WARN, "sweep.failed", LSTR("job", s->job), LSTR("error", o->err.text));
        s->after_ms = d->clock->wall_ms(d->clock) + SWEEP_RETRY_MS;
        return 0;
    }
    int r = engine_begin(d, err);
    if (r == 0)
        r = jobdb_end_sweep(d->db, s->job, err);
    *at = s->next;
    pending_free(d, s);
    return r;
}

/* ---- versions that were replaced ---- */

static void replaced_free(struct dispatcher *d, struct replaced_version *v)
{
    place_put(&d->places, v->place);
    free(v->output);
    free(v);
}

int engine_replaced_add(struct dispatcher *d, const struct replaced_row *row)
{
    struct replaced_version *v = calloc(1, sizeof(*v)), **at = &d->replaced;

    if (!v)
        return -ENOMEM;
    v->output = strdup(row->output);
    v->place = place_get(&d->places, row->output);
    (void)snprintf(v->version, sizeof(v->version), "%s", row->version);
    v->due_ms = row->due_ms;
    if (!v->output || !v->place) {
        replaced_free(d, v);
        return -ENOMEM;
    }
    while (*at && (*at)->due_ms <= v->due_ms)
        at = &(*at)->next;
    v->next = *at;
    *at = v;
    return 0;
}

/* The key of its request: no job's id has a slash. */
static void ask_replaced(struct dispatcher *d, struct replaced_version *v, int64_t now)
{
    v->after_ms = now + REFUSED_MS;
    sweep_ask(d, v->output, v->output, 0, v->place, &v->busy);
}

static int replaced_ended(struct dispatcher *d, struct replaced_version **at,
                          const struct publish_outcome *o, struct err *err)
{
    struct replaced_version *v = *at;
    const struct replaced_row row = { v->output, v->version, 0 };

    v->busy = 0;
    if (o->r < 0 && err_class_retried(o->err.cls)) {
        log_event(LOG_WARN, "sweep.failed", LSTR("output", v->output), LSTR("error", o->err.text));
        v->after_ms = d->clock->wall_ms(d->clock) + SWEEP_RETRY_MS;
        return 0;
    }
    int r = engine_begin(d, err);
    if (r == 0)
        r = jobdb_end_replaced(d->db, &row, err);
    *at = v->next;
    replaced_free(d, v);
    return r;
}

/* ---- all ---- */

void engine_sweep_free(struct dispatcher *d)
{
    while (d->sweeping)
        sweep_ended(d, d->sweeping->job);
    while (d->sweeps) {
        struct pending_sweep *s = d->sweeps;
        d->sweeps = s->next;
        pending_free(d, s);
    }
    while (d->replaced) {
        struct replaced_version *v = d->replaced;
        d->replaced = v->next;
        replaced_free(d, v);
    }
}

int engine_sweep(struct dispatcher *d, struct err *err)
{
    int64_t now = d->clock->wall_ms(d->clock);

    (void)err;
    for (struct pending_sweep *s = d->sweeps; s; s = s->next)
        if (!s->busy && s->after_ms <= now)
            ask_pending(d, s, now);
    for (struct replaced_version *v = d->replaced; v && v->due_ms <= now; v = v->next)
        if (!v->busy && v->after_ms <= now)
            ask_replaced(d, v, now);
    return 0;
}

int engine_swept(struct dispatcher *d, const struct publish_outcome *o, int *ret_r, struct err *err)
{
    struct pending_sweep **s = &d->sweeps;
    struct replaced_version **v = &d->replaced;

    sweep_ended(d, o->job);
    while (*s && !((*s)->busy && strcmp((*s)->job, o->job) == 0))
        s = &(*s)->next;
    while (*v && !((*v)->busy && strcmp((*v)->output, o->job) == 0))
        v = &(*v)->next;
    if (*s) {
        *ret_r = pending_ended(d, s, o, err);
        return 1;
    }
    if (!*v)
        return 0;
    *ret_r = replaced_ended(d, v, o, err);
    return 1;
}
