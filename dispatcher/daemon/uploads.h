/* uploads.h - from a bucket's notification to jobs, by the operator's rules.
 *
 * Messages are in the S3 event format: {"Records":[{"eventName":
 * "ObjectCreated:Put","s3":{"bucket":{"name":…},"object":{"key":…,"eTag":…,
 * "sequencer":…}}}]}. A message without Records (S3 tests its targets with
 * one) asks for nothing. Pure functions; the rules are read-only once made.
 */
#ifndef GOPMILL_DAEMON_UPLOADS_H
#define GOPMILL_DAEMON_UPLOADS_H

#include <stddef.h>

struct err;
struct job_message;

enum { UPLOAD_RULES_MAX = 256, UPLOAD_RECORDS_MAX = 1000 };

/* The first rule that fits is taken; every text but bucket and output may be NULL.
 * In `output`, {bucket}, {key}, {stem} (the key without its last suffix) and {id}
 * stand for what the object has; keys are percent-encoded where the output isn't s3://, slashes
 * kept. */
struct upload_rule {
    char *bucket, *prefix, *suffix;
    char *ladder, *output, *tenant, *notify;
    unsigned priority;
};

struct upload_rules {
    struct upload_rule *v;
    size_t n;
    int plain_keys; /* keys are not URL-encoded, as some versions of Ceph have them */
};

/* Takes over what `rule` holds on 0. -EINVAL with ERR_USAGE. */
int upload_rules_add(struct upload_rules *r, struct upload_rule *rule, struct err *err);
void upload_rule_release(struct upload_rule *rule);
void upload_rules_release(struct upload_rules *r);

/* The jobs that a notification asks for, for each of its new objects that a
 * rule fits; an object that no rule fits is nobody's. The job's id is made of
 * bucket, key, etag and sequencer, so that an event that comes twice is one job.
 * Free each (job_message_release()) and the array.
 * -EPROTO or -EMSGSIZE with ERR_USAGE: not a notification. */
int uploads_read(const struct upload_rules *rules, const char *text, size_t len,
                 struct job_message **ret, size_t *ret_n, struct err *err);

#endif
