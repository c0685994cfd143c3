/* s3.h - one request to a bucket, and what its answer means. For s3.c and
 * s3_put.c.
 */
#ifndef GOPMILL_STORE_S3_H
#define GOPMILL_STORE_S3_H

#include <stdatomic.h>

#include "http.h"
#include "sigv4.h"
#include "store.h"

struct s3_store {
    struct store store;  /* first */
    struct net_env *env; /* borrowed */
    char *bucket;
    char *prefix;           /* before every key: "" or ends in '/' */
    char *host;             /* of the bucket's requests */
    int in_path;            /* path style */
    int any_key;            /* keys needn't be those of store.h: a user's own object */
    atomic_int bucket_seen; /* the bucket is there, as an answer has shown */
};

struct s3_call {
    char *url, *path, *query, *shown; /* owned */
    struct http_target target;
    struct http_request q;
};

/* `key` is relative to the store's prefix; NULL is the bucket. `params` are
 * sorted in place. The call then borrows nothing of them, but must stay where
 * it is. Release it also after failure. -EINVAL with ERR_INPUT for a bad key. */
int s3_call_init(struct s3_store *s, const char *method, const char *key,
                 struct sigv4_param *params, size_t n, struct s3_call *c, struct err *err);
void s3_call_release(struct s3_call *c);

void s3_call_header(struct s3_call *c, const char *name, const char *value); /* value borrowed */

/* http_perform(), and 0 only for a 2xx answer without an error in its body.
 * Else the answer is released, and by its status:
 *   -ENOENT  no such object, or no such upload
 *   -ENXIO   no such bucket
 *   -EACCES  the credentials are wrong, or not allowed to
 *   -S3_PRECONDITION  what If-Match or If-None-Match asked for is not so
 *   -EIO     anything else */
int s3_perform(struct s3_store *s, struct s3_call *c, struct http_answer *ret, struct err *err);

enum { S3_PRECONDITION = 10000 }; /* no errno: never leaves these files */

/* For s3.c's table. */
int s3_put(struct store *s, const char *key, const void *buf, size_t len,
           const struct store_put_opts *opts, struct err *err);
int s3_sweep(struct store *s, struct err *err);
int s3_head(struct store *s, const char *key, struct store_stat *ret, struct err *err);

#endif
