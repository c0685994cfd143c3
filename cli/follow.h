/* follow.h - watching jobs of a farm until they end: bars drawn again and
 * again where stderr is a terminal, else a line when something changes; with
 * --json the whole job on a line of stdout whenever it changed.
 *
 * A dispatcher that can't be reached for a while is waited for.
 */
#ifndef GOPMILL_CLI_FOLLOW_H
#define GOPMILL_CLI_FOLLOW_H

#include "farm.h"

/* Until all of `ids` have ended. 0 with *ret_exit: that of the first in the
 * order of `ids` that isn't CLI_DONE. -ECANCELED where somebody asked to stop (the
 * jobs go on), -ENOENT where nobody knows a job. */
int follow_jobs(struct farm *f, char *const *ids, size_t n, int *ret_exit, struct err *err);

/* Whatever the farm is at, until somebody asks to stop: 0. */
int follow_farm(struct farm *f, struct err *err);

/* "running 42%, 3 of 18 tasks, 2 at work, 1.34x real time, 0:41 left". Cut
 * to `size`. Returns `buf`. */
const char *follow_words(char *buf, size_t size, const struct answer_job *job);

#endif
