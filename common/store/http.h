/* http.h - one HTTP request at a time, made again while it fails in a way
 * that may pass. What store_env (env.h) is inside, and what s3.c and https.c
 * are built on.
 *
 * Any thread may call; a request borrows a curl handle with its connections
 * from the env's pool for as long as it runs.
 */
#ifndef GOPMILL_STORE_HTTP_H
#define GOPMILL_STORE_HTTP_H

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "env.h"
#include "health.h"
#include "s3_parse.h"
#include "sigv4.h"
#include "store.h"

enum {
    HTTP_IDLE_MAX = 32,             /* handles kept for later */
    HTTP_HEADERS_MAX = 8,           /* of a request, besides those of its signature */
    HTTP_ERROR_BODY_MAX = 64 << 10, /* the rest of an error's body is not read */
    HTTP_WHOLE_MAX = 16 << 20,      /* read of an object whose server knows no ranges */
};

struct http_handle {
    void *curl;
    int outside;
};

struct net_env {
    struct store_env env; /* first */

    /* Not changed after store_env_new(). */
    char *scheme, *host; /* of the endpoint; host with ":port" where that isn't the usual one */
    char *region, *access_key, *secret_key, *session_token, *ca_file;
    int configured; /* endpoint or key were named */
    int path_style; /* 1 or 2, 0: by bucket name */
    int private_addresses;
    int connect_timeout_ms, stall_timeout_ms, tries;
    int64_t deadline_ms;
    size_t part_bytes;

    pthread_mutex_t lock;                   /* guards the pool */
    struct http_handle idle[HTTP_IDLE_MAX]; /* the last one used last */
    size_t n_idle;

    atomic_uint_fast64_t bytes_in, bytes_out, requests, retries, failures;

    struct http_health {
        pthread_mutex_t lock; /* guards what follows */
        enum store_state state;
        char why[300];
        int64_t answered_ns;             /* when it last answered; CLOCK_MONOTONIC */
        int64_t bad_ns[STORE_STATE_MAX]; /* when it last was that */
        int64_t asked_ns;                /* when it was asked for nothing but that */
    } health;                            /* of the S3 endpoint: health.h */
};

/* What a request is signed with, besides the env's keys and region. */
struct http_target {
    const char *host, *path, *query; /* path and query encoded; query "" without one */
};

/* All borrowed. */
struct http_request {
    const char *method;                            /* GET, HEAD, PUT, POST, DELETE */
    const char *url;                               /* absolute, encoded */
    const char *shown;                             /* what texts call it: without secrets */
    struct sigv4_header headers[HTTP_HEADERS_MAX]; /* names in lower case */
    size_t n_headers;
    const void *body; /* NULL: none, where the method allows it */
    size_t body_len;

    /* Signed for S3 if set. `payload_sha256` NULL: computed from the body. */
    const struct http_target *sign;
    const char *payload_sha256;

    /* The caller has to know whether it was sent more than once (`tries` of
     * the answer). */
    int once;

    /* A host that a user named: redirects are followed to https only, and
     * unless the env allows them, private addresses are refused. */
    int outside;

    /* The body of a 2xx answer. With `into` it goes there, else it is
     * allocated; more than `room` bytes is an error. */
    void *into;
    size_t room;

    /* With `ranged`, `room` bytes from `off` were asked for: an answer 200 is
     * cut to that if the object is at most HTTP_WHOLE_MAX, else it is
     * -EOPNOTSUPP. An answer 206 must be for that range. */
    int ranged;
    uint64_t off;

    int64_t deadline_ns; /* CLOCK_MONOTONIC; see http_deadline() */
};

struct http_answer {
    int status;
    int tries;                  /* that were needed */
    char etag[256];             /* as sent; "" without one, or if too long */
    char last_modified[64];     /* the same */
    char encryption[32];        /* x-amz-server-side-encryption */
    int64_t length;             /* Content-Length, -1: none */
    int64_t first, last, total; /* Content-Range, -1: none */
    int64_t retry_after_ms;     /* -1: none */
    size_t n;                   /* bytes in `into`, or in `body` */
    char *body;                 /* allocated: of an error, or without `into`; may be NULL */
    struct s3_error error;      /* what `body` says if it is an S3 error */
};

void http_answer_release(struct http_answer *a);

int64_t http_deadline(const struct net_env *e); /* of a call that begins now */
int64_t http_now_ns(void);

/* 0 for any answer that another try wouldn't change, whatever its status: the
 * caller looks at it and releases it. Otherwise ERR_STORAGE unless said:
 *   -ETIMEDOUT   nothing came for too long, in all tries or by the deadline
 *   -EIO         no answer, or one of a passing kind, in all tries
 *   -EBADMSG     the answer is not what was asked for
 *   -EOPNOTSUPP  see `ranged`; ERR_UNSUPPORTED
 *   -EACCES      the address is refused (outside); ERR_INPUT
 *   -ENOMEM */
int http_perform(struct net_env *e, const struct http_request *q, struct http_answer *ret,
                 struct err *err);

void http_health_init(struct net_env *e);   /* of an env that is being made */
int http_health_may_ask(struct net_env *e); /* once a second, for whoever has an answer that says
                                             * nothing: many objects may be forbidden */
/* What a request to the S3 endpoint says of it: any answer, or a failure in all tries. */
void http_health_answered(struct net_env *e, const struct http_answer *a);
void http_health_failed(struct net_env *e, int64_t began_ns, const struct http_request *q,
                        const char *text);

/* One try; *ret_again tells whether another may help. For http_perform(). */
int http_attempt(struct net_env *e, const struct http_request *q, struct http_answer *a,
                 int *ret_again, struct err *err);

/* A handle from the pool, or a new one; NULL: out of memory. Given back with
 * its connections by http_handle_put(). */
void *http_handle_take(struct net_env *e, int outside);
void http_handle_put(struct net_env *e, void *curl, int outside);

/* 1 for an address that only this host or its network reaches, or that is no
 * host's at all (struct sockaddr; unknown families are private). */
struct sockaddr;
int address_is_private(const struct sockaddr *sa);

/* The stores behind the env; see store_open_object() and store_open_prefix(). */
int s3_open_object(struct net_env *e, const char *url, struct store **ret, char **ret_key,
                   struct err *err);
int s3_open_prefix(struct net_env *e, const char *url, struct store **ret, struct err *err);
int https_open_object(struct net_env *e, const char *url, struct store **ret, char **ret_key,
                      struct err *err);

#endif
