/* api_parts.h - between the server (api.c, listen.c) and its routes (api_routes.c);
 * private to api*.c and listen.c.
 */
#ifndef GOPMILL_DAEMON_API_PARTS_H
#define GOPMILL_DAEMON_API_PARTS_H

#include <microhttpd.h>
#include <pthread.h>

#include "../../common/base/err.h"
#include "api.h"

enum { API_ID_MAX = 256 };

/* What is said in the end. */
struct answer {
    unsigned status;
    char *body; /* owned; NULL: none */
    const char *type;
    char *etag, *location; /* owned; NULL: none */
    const char *allow;     /* NULL: none */
    int retry;             /* 1: Retry-After: 1 */
};

struct request {
    struct api *api;
    struct MHD_Connection *c;
    size_t route;            /* index; API_ROUTES: none */
    char id[API_ID_MAX + 1]; /* of the path */
    char *body;              /* NUL-terminated where there is one */
    size_t len, room;
    int64_t begin_ns;
    int phase; /* enum in api.c */
    struct answer answer;
    struct request *next; /* of those that wait for a caller */
};

struct route {
    const char *method;  /* GET stands for HEAD too */
    const char *pattern; /* "{id}" stands for one part of the path */
    int open;            /* 1: without a token */
    int waits;           /* 1: for the dispatcher: on a caller's thread */
    int body;            /* 1: may have one */
    void (*handle)(struct request *q, struct answer *a);
};

enum { API_ROUTES = 13 };
extern const struct route api_routes[API_ROUTES];

struct api {
    struct api_config cfg;
    const struct clock *clock;
    struct MHD_Daemon *server;
    struct metrics *metrics;
    const char *methods[API_ROUTES], *names[API_ROUTES];
    int has_token;
    unsigned char token_digest[32];
    unsigned port;

    pthread_t callers[64];
    unsigned n_callers;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t changed;
    int stopping;
    struct request *first, **last;
    size_t waiting;
};

/* ---- api_routes.c ---- */

/* {"error":{"class","text"}} with the status that goes with it. */
void answer_error(struct answer *a, unsigned status, enum err_class cls, const char *text);
/* The query's value, or NULL. */
const char *request_query(const struct request *q, const char *name);

/* ---- listen.c ---- */

/* A bound, listening socket. *ret_loopback: whether only this machine can reach it. */
int api_listen(const char *where, int only_loopback, int *ret_fd, unsigned *ret_port, int *ret_v6,
               struct err *err);

/* Whether a Host header names this machine: what a page from elsewhere can't. */
int api_host_is_local(const char *host);

#endif
