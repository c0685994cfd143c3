/* work.h - does what a request to the publisher asks for, on the caller's
 * thread; private to publisher.c and tests.
 */
#ifndef GOPMILL_PUBLISH_WORK_H
#define GOPMILL_PUBLISH_WORK_H

#include "../publisher.h"

/* Borrowed all; `ret` has `what` and `job` already and gets the rest. */
void publish_work(struct store_env *stores, const struct publish_request *req,
                  struct publish_outcome *ret);

#endif
