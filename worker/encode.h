/* encode.h - the job "encode" of gopmill-child: one task, from source bytes
 * to segments.
 *
 * The request is a task (task_from_text()), the answer a task_result whose
 * run-time figures (cpu, wall, memory) and segment digests the parent fills
 * in. Objects are handed out as soon as they are whole.
 */
#ifndef GOPMILL_WORKER_ENCODE_H
#define GOPMILL_WORKER_ENCODE_H

#include "../common/wire/result.h"

struct err;
struct inside;

int encode_job(struct inside *in, const char *request, char **ret_result, struct err *err);

/* The kinds. `res` is empty but for names; renditions, counts and
 * warnings are added. `start_ns`: CLOCK_MONOTONIC at the job's begin. */
int encode_video(struct inside *in, const struct task *t, int64_t start_ns, struct task_result *res,
                 struct err *err);
int encode_audio(struct inside *in, const struct task *t, int64_t start_ns, struct task_result *res,
                 struct err *err);

/* All text tracks: one that can't be had is left out, with a warning. */
int encode_texts(struct inside *in, const struct task *t, int64_t start_ns, struct task_result *res,
                 struct err *err);

/* Poster and storyboard: what can't be decoded at all is left out likewise. */
int encode_pictures(struct inside *in, const struct task *t, int64_t start_ns,
                    struct task_result *res, struct err *err);

/* Add a warning to `res`; -ENOMEM. */
int encode_warn(struct task_result *res, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

#endif
