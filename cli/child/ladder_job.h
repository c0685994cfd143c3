/* ladder_job.h - the job "ladder-check" of gopmill-child: would the encoders
 * take a ladder's parameters? The request is {"v":1,"ladder":"<YAML>",
 * "where":"<its name in errors>"}, the answer {}. */
#ifndef GOPMILL_CLI_CHILD_LADDER_JOB_H
#define GOPMILL_CLI_CHILD_LADDER_JOB_H

struct err;
struct inside;

int ladder_job(struct inside *in, const char *request, char **ret_result, struct err *err);

#endif
