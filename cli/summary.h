/* summary.h - what a finished package holds and cost, read from its receipt
 * (job.json).
 */
#ifndef GOPMILL_CLI_SUMMARY_H
#define GOPMILL_CLI_SUMMARY_H

#include <jansson.h>

struct err;
struct store_env;

struct summary_run {
    double wall_s;        /* of this run */
    double encoded_s;     /* media seconds that this run encoded; 0: nothing was left to do */
    double first_frame_s; /* 0: unknown */
    unsigned attempts_failed;
};

/* Read DIR/job.json. -EBADMSG ERR_INTERNAL where it isn't a receipt. */
int summary_read(const char *dir, json_t **ret, struct err *err);

/* The same from the package's prefix in a store. */
int summary_fetch(struct store_env *stores, const char *url, json_t **ret, struct err *err);

/* For people, on stdout. `receipt` is borrowed. */
void summary_print(const char *dir, const json_t *receipt, const struct summary_run *run);

/* The same facts as an object: the last line of `gopmill run --json`. NULL:
 * out of memory. */
json_t *summary_json(const char *dir, const json_t *receipt, const struct summary_run *run);

#endif
