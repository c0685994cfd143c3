/* fake_child.h - common/child/child.h without a process: linked in place of
 * libchild, it calls what the test has put into fake_child_run.
 */
#ifndef GOPMILL_TESTS_FAKE_CHILD_H
#define GOPMILL_TESTS_FAKE_CHILD_H

#include <stdatomic.h>

#include "common/child/child.h"

typedef int fake_child_fn(struct child *c, const char *kind, const char *request,
                          uint64_t source_size, const struct child_handler *h,
                          const struct child_limits *limits, char **ret_result,
                          struct child_usage *ret_usage, struct err *err);

/* Set before children are started; called on the thread inside child_run(). */
extern fake_child_fn *fake_child_run;

/* For a run that wants to hang: returns once child_kill() was called. */
void fake_child_wait_killed(struct child *c);
int fake_child_killed(struct child *c);

extern atomic_int fake_child_refusals; /* so many of the next ones can't be started */

unsigned fake_children_started(void); /* since the process began */
unsigned fake_children_alive(void);   /* started, not freed */

#endif
