/* engine_claim.c - whom an output belongs to.
 *
 * A job has its output from its admission until it is deleted, or until
 * another job has published there (live_job.replaced_by). The jobs' rows are what
 * says so in the database; places (place.h) find them again by output. Where it
 * has been taken over, a job keeps its row and nothing else.
 *
 * Only a job that says so (live_job.replace) gets an output that another one has. It waits until
 * that one has ended, is made beside its package, and takes the output over when it is published.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../common/wire/job.h"
#include "job.h"

static int is_live(const struct live_job *j)
{
    return !job_ended(j);
}

/* Of two that have an output: who is named. */
static const struct live_job *first_of(const struct live_job *a, const struct live_job *b)
{
    if (!a || !b)
        return a ? a : b;
    if (is_live(a) != is_live(b))
        return is_live(a) ? a : b;
    if ((a->state == JOB_DONE) != (b->state == JOB_DONE))
        return a->state == JOB_DONE ? a : b;
    return a->created_ms >= b->created_ms ? a : b;
}

/* Of the jobs of exactly this output, but for `self` (NULL: none). */
static const struct live_job *owner_at(const struct place *p, const struct live_job *self)
{
    const struct live_job *found = NULL;

    for (const struct live_job *j = p->jobs; j; j = j->neighbour)
        if (j != self && !j->replaced_by)
            found = first_of(found, j);
    return found;
}

static int lies_inside(const struct place *p, const struct place *of)
{
    while (p && p != of)
        p = p->around;
    return p != NULL;
}

/* Rare, and only for the sentence: all jobs are looked at. */
static const struct live_job *owner_inside(const struct dispatcher *d, const struct place *of,
                                           const struct live_job *self)
{
    const struct live_job *found = NULL;

    for (size_t b = 0; b < d->n_buckets; b++)
        for (const struct live_job *j = d->buckets[b]; j; j = j->next)
            if (j != self && j->place != of && !j->replaced_by && lies_inside(j->place, of))
                found = first_of(found, j);
    return found;
}

static int taken(const struct live_job *owner, int same, const char *how, const char *output,
                 struct err *err)
{
    return err_set(err, -EBUSY, ERR_USAGE,
                   "output %.300s %s job %.128s (%s): choose another output, delete that job%s",
                   output, how, owner->id, job_state_name(owner->state),
                   same ? ", or replace its package (replace)" : " first");
}

static int may_replace(const struct job_row *row, const struct live_job *owner)
{
    return row->replace == REPLACE_ANY ||
           (row->replace == REPLACE_SAME_SOURCE && strcmp(row->source, owner->source) == 0);
}

static int claim(const struct dispatcher *d, const struct place *p, const struct live_job *self,
                 const struct job_row *row, struct err *err)
{
    const struct live_job *owner = owner_at(p, self);

    if (owner && !may_replace(row, owner))
        return taken(owner, 1, "belongs to", row->output, err);
    for (const struct place *a = p->around; a; a = a->around)
        if ((owner = owner_at(a, self)))
            return taken(owner, 0, "lies inside of that of", row->output, err);
    if (p->inside > 0 && (owner = owner_inside(d, p, self)))
        return taken(owner, 0, "lies around that of", row->output, err);
    return 0;
}

int engine_claim(struct dispatcher *d, const struct live_job *self, const struct job_row *row,
                 struct err *err)
{
    struct place *p = place_get(&d->places, row->output);
    int r = p ? claim(d, p, self, row, err) : engine_no_memory(err);

    place_put(&d->places, p);
    return r;
}

int engine_reclaim(const struct live_job *j, struct err *err)
{
    const struct live_job *owner = owner_at(j->place, j);

    if (j->replaced_by)
        return err_set(err, -EBUSY, ERR_USAGE,
                       "job %.128s: job %.128s has published to its output %.300s since: submit a "
                       "new job",
                       j->id, j->replaced_by, j->output);
    if (owner && is_live(owner))
        return err_set(err, -EBUSY, ERR_USAGE,
                       "job %.128s: job %.128s is %s at its output %.300s: wait for it, or cancel "
                       "it first",
                       j->id, owner->id, job_state_name(owner->state), j->output);
    return 0;
}

/* Whether `a` came before `b`. */
static int is_older(const struct live_job *a, const struct live_job *b)
{
    return a->created_ms != b->created_ms ? a->created_ms < b->created_ms
                                          : strcmp(a->id, b->id) < 0;
}

int engine_waits_for_place(const struct live_job *j)
{
    for (const struct live_job *k = j->place->jobs; k; k = k->neighbour)
        if (k != j && is_live(k) && (k->state != JOB_QUEUED || is_older(k, j)))
            return 1;
    return 0;
}

static int lose_place(struct dispatcher *d, struct live_job *j, const char *to, struct err *err)
{
    char *by = strdup(to);

    if (!by)
        return engine_no_memory(err);
    free(j->replaced_by);
    j->replaced_by = by;
    j->published = 0;
    return job_save(d, j, err);
}

/* What lay there stays for those who play it. */
static int keep_replaced(struct dispatcher *d, struct live_job *j, struct err *err)
{
    const struct replaced_row row = {
        .output = j->output,
        .version = j->replaces,
        .due_ms = d->clock->wall_ms(d->clock) + d->cfg.keep_replaced_ms,
    };
    int r = engine_begin(d, err);

    if (r == 0)
        r = jobdb_add_replaced(d->db, &row, err);
    if (r == 0 && engine_replaced_add(d, &row) < 0)
        r = engine_no_memory(err);
    if (r < 0)
        return r;
    free(j->replaces);
    j->replaces = NULL;
    return 0;
}

int engine_took_over(struct dispatcher *d, struct live_job *j, struct err *err)
{
    int r = 0;

    for (struct live_job *k = j->place->jobs; k && r == 0; k = k->neighbour)
        if (k != j && job_ended(k) && !k->replaced_by)
            r = lose_place(d, k, j->id, err);
    if (r == 0 && j->replaces)
        r = keep_replaced(d, j, err);
    if (r == 0)
        j->published = 1;
    return r;
}
