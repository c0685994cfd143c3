/* job_parts.h - what the job*.c share among themselves. */
#ifndef GOPMILL_DISPATCHER_JOB_PARTS_H
#define GOPMILL_DISPATCHER_JOB_PARTS_H

#include "job.h"

/* ---- job.c ---- */

/* A copy of `why`; NULL or ERR_NONE: no error any more. -ENOMEM, with none then. */
int job_set_error(struct live_job *j, const struct err *why);

/* Whether its state is one that writes to its output is told to its place (place.h). */
void job_count_writer(struct live_job *j);

/* `v` without `j`, wherever it stands; returns how many are left. */
size_t job_list_without(struct live_job **v, size_t n, const struct live_job *j);

/* ---- job_load.c ---- */

/* Move j->open[group] on past all that is done. */
void job_advance_open(struct live_job *j, size_t group);

/* It has ended: of such jobs the last ENDED_MAX keep their tasks. */
void job_remember_ended(struct dispatcher *d, struct live_job *j);

#endif
