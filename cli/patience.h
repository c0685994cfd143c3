/* patience.h - waiting that SIGINT, SIGTERM and SIGHUP end.
 *
 * They are blocked from patience_begin() on and looked for where it is
 * waited, so that a program without threads needs no handler and always
 * stops between two steps: with the cursor given back.
 */
#ifndef GOPMILL_CLI_PATIENCE_H
#define GOPMILL_CLI_PATIENCE_H

#include <signal.h>

struct patience {
    sigset_t before;
    int asked;
};

void patience_begin(struct patience *p);
void patience_end(struct patience *p); /* signals act as they did before */

/* 1 once one of them came; as a hook of api_config (`arg`: a patience). */
int patience_over(void *arg);

/* Up to `ms`; 1 once one of them came. */
int patience_wait(struct patience *p, int ms);

#endif
