/* receipt_read.h - what job.json at an output says: whose package lies there. */
#ifndef GOPMILL_PUBLISH_RECEIPT_READ_H
#define GOPMILL_PUBLISH_RECEIPT_READ_H

#include <jansson.h>

struct err;
struct store;

#define RECEIPT "job.json"

enum { RECEIPT_MAX = 256 << 20 }; /* bytes; about 400 for each segment */

struct receipt_head {
    json_t *json;                                    /* holds all of it */
    const char *job, *source, *etag, *ladder_digest; /* "": not said */
    const char *version;                             /* version.h; "": none */
};

/* -ENOENT: there is none; -EPROTO (ERR_INPUT): it is no receipt; -EFBIG (ERR_INPUT): too large;
 * -ENOMEM (ERR_RESOURCE); others from the store. */
int receipt_read(struct store *s, struct receipt_head *ret, struct err *err);
void receipt_head_release(struct receipt_head *h);

#endif
