/* engine_claim.c - whom an output belongs to.
 *
 * A job has its output from its admission until it is deleted, or until
 * another job has published there (live_job.replaced_by). The jobs' rows are what
 * says so in the database; places (place.h) find them again by output. Where it
 * has been taken over, a job keeps its row and nothing else. */
#include <errno.h>
#include <string.h>

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

static int taken(const struct live_job *owner, const char *how, const char *output, struct err *err)
{
    return err_set(err, -EBUSY, ERR_USAGE,
                   "output %.300s %s job %.128s (%s): choose another output, or delete that job",
                   output, how, owner->id, job_state_name(owner->state));
}

static int claim(const struct dispatcher *d, const struct place *p, const struct live_job *self,
                 const char *output, struct err *err)
{
    const struct live_job *owner = owner_at(p, self);

    if (owner)
        return taken(owner, "belongs to", output, err);
    for (const struct place *a = p->around; a; a = a->around)
        if ((owner = owner_at(a, self)))
            return taken(owner, "lies inside of that of", output, err);
    if (p->inside > 0 && (owner = owner_inside(d, p, self)))
        return taken(owner, "lies around that of", output, err);
    return 0;
}

int engine_claim(struct dispatcher *d, const struct live_job *self, const char *output,
                 struct err *err)
{
    struct place *p = place_get(&d->places, output);
    int r = p ? claim(d, p, self, output, err) : engine_no_memory(err);

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
