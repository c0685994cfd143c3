#include "measure.h"
#include "../common/wire/task.h"
#include <errno.h>
#include <stdlib.h>

int measure_init(struct measure *m, const struct plan *plan)
{
    struct measure new = { .plan = plan };

    new.done = calloc(plan->n_renditions + 1, sizeof(double));
    new.total = calloc(plan->n_renditions + 1, sizeof(double));
    if (!new.done || !new.total) {
        measure_release(&new);
        return -ENOMEM;
    }
    *m = new;
    return 0;
}

void measure_release(struct measure *m)
{
    free(m->done);
    free(m->total);
    *m = (struct measure){ 0 };
}

static double clamp_part(double v)
{
    return v < 0 ? 0 : v > 1 ? 1 : v;
}

static void add_rendition(struct measure *m, size_t i, double units, double part)
{
    m->total[i] += units;
    m->done[i] += units * part;
}

/* What one unit of the task's own count is worth: all of them make the task. */
static double task_units(const struct measure *m, const struct task_status *t)
{
    if (t->audio)
        return measure_media_seconds(m->plan) * 1000;
    return (double)m->plan->chunks[t->chunk].pts.n_frames;
}

void measure_task(struct measure *m, const struct task_status *t, uint64_t running)
{
    const struct plan *p = m->plan;

    if (!t->audio && (t->chunk >= p->n_chunks || t->group >= p->n_groups))
        return;

    double units = task_units(m, t);
    double part = t->state == TASK_DONE      ? 1
                  : running > 0 && units > 0 ? clamp_part((double)running / units)
                                             : 0;

    m->tasks++;
    m->tasks_done += t->state == TASK_DONE;
    m->cost += t->cost;
    m->cost_done += t->cost * part;
    if (task_kind_is_extra(task_kind_by_id(t->id)))
        return;
    if (t->audio) {
        for (size_t i = p->n_video; i < p->n_renditions; i++)
            if (p->renditions[i].track == t->group)
                add_rendition(m, i, units / 1000, part);
        return;
    }
    const struct task_group *g = &p->groups[t->group];
    for (size_t i = 0; i < g->n_renditions; i++)
        if (g->renditions[i] < p->n_video)
            add_rendition(m, g->renditions[i], units, part);
}

double measure_part(const struct measure *m)
{
    if (m->tasks > 0 && m->tasks_done == m->tasks)
        return 1;
    return m->cost > 0 ? clamp_part(m->cost_done / m->cost) : 0;
}

double measure_rendition(const struct measure *m, size_t i)
{
    return m->total[i] > 0 ? clamp_part(m->done[i] / m->total[i]) : 0;
}

double measure_media_seconds(const struct plan *plan)
{
    return plan->timescale ? (double)plan->duration / plan->timescale : 0;
}

void measure_speed(double part0, double part, double elapsed_s, double media_s, double *ret_speed,
                   double *ret_left_s)
{
    *ret_speed = *ret_left_s = 0;
    if (elapsed_s <= 0 || part <= part0)
        return;
    *ret_speed = (part - part0) * media_s / elapsed_s;
    *ret_left_s = (1 - part) * elapsed_s / (part - part0);
}
