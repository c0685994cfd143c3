/* report.h - telling how far a job is, in one of three ways: lines that are
 * drawn again and again on a terminal, a plain line now and then, or JSON
 * lines on stdout. One thread.
 */
#ifndef GOPMILL_CLI_REPORT_H
#define GOPMILL_CLI_REPORT_H

#include "canvas.h"
#include "measure.h"
#include <stdint.h>

enum report_mode { REPORT_LIVE, REPORT_PLAIN, REPORT_JSON };

struct report {
    enum report_mode mode;
    enum job_state state; /* as last told */
    int64_t start_ns;     /* of the run */
    int64_t begun_ns;     /* first time with a plan; 0: not yet */
    double part0;         /* done by then: by an earlier run */
    int64_t told_ns;      /* last drawn or said */
    double told_part;
    struct canvas canvas; /* live */
};

/* Live where stderr is a terminal, unless `json` or `plain`. */
void report_init(struct report *r, int json, int plain, int64_t now_ns);

/* A new plan was made, or an old one found. */
void report_planned(struct report *r, const struct plan *plan, const struct job_status *st);

/* Say how far it is if it is time to (at most ten times a second, and at
 * once when the state changes). `m` may be NULL before there is a plan. */
void report_update(struct report *r, const struct measure *m, const struct job_status *st,
                   unsigned running, int64_t now_ns);

/* Clear what is drawn and give the cursor back; before any other output. */
void report_end(struct report *r);

#endif
