/* plan_job.h - the jobs "probe" and "plan" of gopmill-child: an upload's
 * index is as untrusted as its pictures.
 *
 * plan's request: {"v":1,"ladder":"<YAML>","ladder_name":"web-h264",
 * "options":{"segment_seconds":0,"gop_seconds":0,"chunk_seconds":0,"slots":2,
 * "chunk_count":0,"early":0}}; 0 means the ladder's or the planner's choice,
 * "early":1 a first chunk that is soon done (plan.h). Its result is a plan (plan_from_json()).
 * probe's request is ignored, its result is a media_info.
 */
#ifndef GOPMILL_DISPATCHER_PLAN_JOB_H
#define GOPMILL_DISPATCHER_PLAN_JOB_H

struct err;
struct inside;

int probe_job(struct inside *in, const char *request, char **ret_result, struct err *err);
int plan_job(struct inside *in, const char *request, char **ret_result, struct err *err);

#endif
