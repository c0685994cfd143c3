/* job.h - what a pipeline sends to have a video transcoded: by HTTP (POST
 * /v1/jobs) or on the queue gopmill.jobs. JSON, `"v":1` (may be left out),
 * unknown fields ignored, a higher `v` refused.
 *
 *   {"id":"upload-4711", "source":"s3://in/a.mov", "output":"s3://out/a/", "ladder":"web-h264",
 *    "priority":5, "tenant":"acme", "notify":"https://…", "metadata":{…},
 * "options":{"chunk_seconds":0}, "replace":false}
 *
 * Only source and output are needed. `ladder` is a name, or an object: {"yaml":"<text>"}.
 */
#ifndef GOPMILL_WIRE_JOB_H
#define GOPMILL_WIRE_JOB_H

#include <stddef.h>

struct err;

enum {
    JOB_TEXT_MAX = 256 << 10, /* of the whole message */
    JOB_ID_MAX = 128,         /* of [A-Za-z0-9._:-], not "." first */
    JOB_TENANT_MAX = 64,      /* likewise */
    JOB_URL_MAX = 2048,
    JOB_METADATA_MAX = 16 << 10, /* serialised */
    JOB_METADATA_LEVELS_MAX =
        24, /* it stands in answers and receipts, which have some of their own */
};

/* What a job may take over that another one has published. On the wire: false or true. */
enum job_replace {
    REPLACE_NOTHING,
    REPLACE_ANY,
    REPLACE_SAME_SOURCE, /* what was made of another version of its source: uploads */
};

struct job_message {
    char *id; /* NULL: the dispatcher makes one */
    char *source, *output;
    char *ladder;          /* a name, or NULL */
    char *ladder_text;     /* inline YAML, or NULL */
    char *tenant, *notify; /* or NULL */
    char *metadata;        /* compact JSON, or NULL */
    unsigned priority;     /* default 5 */
    double chunk_seconds, segment_seconds, gop_seconds;
    unsigned chunk_count;
    int replace; /* enum job_replace */
};

void job_message_release(struct job_message *m);
/* -EPROTO or -EMSGSIZE with ERR_USAGE: names the field, its value and its limits. */
int job_message_from_text(const char *text, size_t len, struct job_message *ret, struct err *err);
char *job_message_to_text(const struct job_message *m); /* free; NULL: out of memory */

/* Whether `id` is one: 0, or -EINVAL with ERR_USAGE and the rule. */
int job_id_check(const char *id, struct err *err);

#endif
