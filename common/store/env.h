/* env.h - how stores over the network are reached: endpoint, credentials,
 * time limits, and a pool of connections shared by all stores opened with it.
 *
 * Any thread may use a store_env. Requests are signed by AWS Signature
 * Version 4. A request that fails in a way that may pass (connection, 5xx,
 * 429, RequestTimeout, SlowDown, a body that ends early) is made again with
 * back-off and jitter, `tries` times in all; then it is ERR_STORAGE with what
 * the server said. 403 and a missing bucket are never tried again, and the
 * text says which credentials and bucket. Secrets are in no text and no log.
 *
 * s3://bucket/key is taken as it stands, as other S3 tools do: no percent
 * escapes. An object opened by such a URL may have any key that S3 allows. An
 * https:// source is a store of one key that can only be read; its query is in
 * no text. A host named there is not connected to at addresses of loopback,
 * link-local and private networks, whatever it resolves or redirects to.
 *
 * store_put_opts.if_absent: where a try's answer was lost and the object is
 * there with the very bytes of this put, it counts as put. For objects in
 * parts it is only as good as the server, after a look before.
 */
#ifndef GOPMILL_STORE_ENV_H
#define GOPMILL_STORE_ENV_H

#include <stddef.h>
#include <stdint.h>

struct err;
struct store_env;

struct store_env_config {
    /* S3; copied. NULL: what the standard variable says. */
    const char *endpoint;      /* AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL; default: AWS by region */
    const char *region;        /* AWS_REGION, AWS_DEFAULT_REGION; default us-east-1 */
    const char *access_key;    /* AWS_ACCESS_KEY_ID; without one requests are not signed */
    const char *secret_key;    /* AWS_SECRET_ACCESS_KEY */
    const char *session_token; /* AWS_SESSION_TOKEN */
    int path_style;      /* 1: endpoint/bucket/key, 2: bucket.endpoint/key, 0: path style where
                          * an endpoint was given */
    const char *ca_file; /* PEM; NULL: AWS_CA_BUNDLE, else the system's */

    int private_addresses; /* https:// sources may lie at loopback, link-local and private ones */

    int connect_timeout_ms; /* 0: 5000 */
    int stall_timeout_ms;   /* no byte for so long; 0: GOPMILL_STORE_STALL (s), or 15000 */
    int tries;              /* of one request; 0: 5 */
    int64_t deadline_ms;    /* of one call with all its tries (of each part or page, where it has
                             * several); 0: 120000 */
    size_t part_bytes;      /* objects larger than that are put in parts of that size, several at
                             * once; at least 5 MiB; 0: 64 MiB */
};

/* -EINVAL with ERR_USAGE where endpoint or variables can't be used. `cfg`
 * may be NULL: all from the environment. */
int store_env_new(const struct store_env_config *cfg, struct store_env **ret, struct err *err);
void store_env_free(struct store_env *e); /* NULL is a no-op; no store may be open */

/* Bytes over the network so far, for metrics. */
struct store_traffic {
    uint64_t bytes_in, bytes_out, requests, retries, failures;
    int away; /* the S3 endpoint is away, or refuses (health.h); whoever asks fills it in */
};
void store_env_traffic(const struct store_env *e, struct store_traffic *ret);

#endif
