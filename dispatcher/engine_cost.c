/* engine_cost.c - what encoding costs: as predicted, corrected by what
 * results measured. */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "../common/queue/queue.h"
#include "job.h"

enum { SAVE_S = 10 };

#define NOTHING_S 1e-6
#define RATIO_MAX 100.0
/* A measurement weighs what it was predicted to cost: clips of a frame are many, and
 * mostly start-up. Beside it stand these core-seconds that went as predicted, and what was
 * seen, of which the latest counts. */
#define SEEN_FIRST 10.0
#define SEEN_MAX   1000.0

/* 0 is the encoder that nobody knows. */
unsigned engine_encoder(struct dispatcher *d, const char *name)
{
    if (d->n_encoders == 0)
        d->encoders[d->n_encoders++] = (struct encoder){ .ratio = 1 };
    for (size_t i = 0; i < d->n_encoders; i++)
        if (strcmp(d->encoders[i].name, name) == 0)
            return (unsigned)i;
    if (d->n_encoders == ENCODERS_MAX || strlen(name) >= sizeof(d->encoders[0].name))
        return 0;
    struct encoder *e = &d->encoders[d->n_encoders++];
    *e = (struct encoder){ .ratio = 1 };
    strcpy(e->name, name);
    return (unsigned)(d->n_encoders - 1);
}

void engine_measured(struct dispatcher *d, unsigned encoder, double predicted, double measured,
                     uint64_t frames)
{
    struct encoder *e = &d->encoders[encoder];

    if (encoder == 0)
        return;
    strcpy(d->totals.encoders[encoder - 1].encoder, e->name);
    d->totals.encoders[encoder - 1].cpu_s += measured;
    d->totals.encoders[encoder - 1].frames += frames;
    if (!(predicted > 0) || !(measured > 0) || !(measured / predicted < RATIO_MAX))
        return;
    e->ratio += predicted / (SEEN_FIRST + e->seen + predicted) * (measured / predicted - e->ratio);
    e->seen = fmin(e->seen + predicted, SEEN_MAX);
    e->dirty = 1;
}

double engine_corrected(const struct dispatcher *d, const struct live_task *t)
{
    return t->cost * d->encoders[t->encoder].ratio;
}

double engine_backlog(const struct dispatcher *d)
{
    double s = 0;

    for (size_t i = 0; i < d->n_encoders; i++)
        s += d->encoders[i].open * d->encoders[i].ratio;
    return s > NOTHING_S ? s : 0; /* sums of floating point don't come back to 0 */
}

/* ---- of a job ---- */

static struct job_cost *part(struct live_job *j, unsigned encoder)
{
    for (size_t i = 0; i < j->n_costs; i++)
        if (j->costs[i].encoder == encoder)
            return &j->costs[i];
    if (j->n_costs == JOB_ENCODERS_MAX)
        return &j->costs[JOB_ENCODERS_MAX - 1];
    j->costs[j->n_costs] = (struct job_cost){ .encoder = (uint8_t)encoder };
    return &j->costs[j->n_costs++];
}

void engine_costs_add(struct dispatcher *d, struct live_job *j, const struct live_task *t)
{
    (void)d;
    part(j, t->encoder)->all += t->cost;
}

void engine_costs_done(struct dispatcher *d, struct live_job *j, const struct live_task *t,
                       int sign)
{
    struct job_cost *c = part(j, t->encoder);

    c->done += sign * t->cost;
    j->cost_done += sign * t->cost;
    if (j->counted)
        d->encoders[c->encoder].open -= sign * t->cost;
    if (sign < 0 && j->n[TASK_DONE] == 0)
        c->done = j->cost_done = 0;
    /* Where all is done, to the last bit what was predicted. */
    if (sign > 0 && j->n_tasks > 0 && j->n[TASK_DONE] == j->n_tasks)
        j->cost_done = j->cost;
}

void engine_count(struct dispatcher *d, struct live_job *j, int counted)
{
    if (j->counted == counted)
        return;
    j->counted = counted;
    d->totals_dirty = 1;
    for (int s = 0; s < TASK_STATE_MAX; s++)
        d->totals.tasks[s] += counted ? j->n[s] : -j->n[s];
    for (size_t i = 0; i < j->n_costs; i++) {
        double open = j->costs[i].all - j->costs[i].done;
        d->encoders[j->costs[i].encoder].open += counted ? open : -open;
    }
}

/* ---- in the database ---- */

static int load_one(void *arg, const char *encoder, double ratio, uint64_t seen_ms)
{
    struct dispatcher *d = arg;
    unsigned i = engine_encoder(d, encoder);

    if (i > 0 && isfinite(ratio) && ratio > 0 && ratio < RATIO_MAX) {
        d->encoders[i].ratio = ratio;
        d->encoders[i].seen = fmin((double)seen_ms / 1000, SEEN_MAX);
    }
    return 0;
}

int engine_costs_load(struct dispatcher *d, struct err *err)
{
    (void)engine_encoder(d, "");
    return jobdb_each_cost(d->db, load_one, d, err);
}

/* Now and then: losing the latest measurements does no harm. Only where
 * something else is written as well. */
int engine_costs_save(struct dispatcher *d, struct err *err)
{
    int64_t now = d->clock->mono_ns(d->clock);
    int r = 0;

    if (!d->in_txn || (d->costs_saved_ns && now - d->costs_saved_ns < SAVE_S * NS_PER_S))
        return 0;
    for (size_t i = 1; i < d->n_encoders && r == 0; i++)
        if (d->encoders[i].dirty) {
            struct encoder *e = &d->encoders[i];
            r = jobdb_set_cost(d->db, e->name, e->ratio, (uint64_t)(e->seen * 1000), err);
            e->dirty = 0;
            d->costs_saved_ns = now;
        }
    return r;
}
