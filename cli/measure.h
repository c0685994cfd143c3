/* measure.h - how far a job is, added up from its plan and its tasks.
 *
 * Pure arithmetic. Parts are in [0, 1] and never reach 1 before the last
 * frame of what they measure is done.
 */
#ifndef GOPMILL_CLI_MEASURE_H
#define GOPMILL_CLI_MEASURE_H

#include "../dispatcher/engine.h"

struct measure {
    const struct plan *plan; /* borrowed */
    double *done;            /* by rendition: frames (video), or seconds (audio) */
    double *total;
    double cost, cost_done; /* predicted core-seconds */
    size_t tasks, tasks_done;
};

/* 0 or -ENOMEM. `plan` is borrowed until the release. */
int measure_init(struct measure *m, const struct plan *plan);
void measure_release(struct measure *m); /* leaves it zeroed */

/* Count a task. `running`: what its worker last said of it (frames, or ms of
 * sound), 0 where it doesn't run. Tasks that the plan doesn't know are left out. */
void measure_task(struct measure *m, const struct task_status *t, uint64_t running);

double measure_part(const struct measure *m);                /* of the job, by cost */
double measure_rendition(const struct measure *m, size_t i); /* of one rendition */
double measure_media_seconds(const struct plan *plan);       /* length of the timeline */

/* Speed and time left from where the run began (`part0` at `t0_s`) to where
 * it is; both 0 as long as there is nothing to tell from. */
void measure_speed(double part0, double part, double elapsed_s, double media_s, double *ret_speed,
                   double *ret_left_s);

#endif
