/* api.h - the dispatcher's HTTP API, as docs/openapi.yaml has it.
 *
 * A few threads serve connections and answer reads from the board, so that
 * these wait for nobody. What changes something waits for the dispatcher's
 * next commit on threads of its own, while its connection is set aside:
 * requests that come together share a commit.
 *
 * Access: with a token every request but /healthz and /readyz has to carry
 * it ("Authorization: Bearer …"). Without one it listens at loopback only,
 * and refuses what a browser sends on behalf of a page from elsewhere (an Origin,
 * or a Host that isn't loopback).
 */
#ifndef GOPMILL_DAEMON_API_H
#define GOPMILL_DAEMON_API_H

#include <stddef.h>
#include <stdint.h>

#include "metrics.h"

struct admit;
struct api;
struct clock;
struct dispatcher;

enum { API_TOKEN_MIN = 16, API_TOKEN_MAX = 512 };

struct api_config {
    const char *listen; /* "127.0.0.1:7411", "[::1]:0", "localhost:7411": no names but that */
    const char *token;  /* NULL: none; copied */
    struct dispatcher *dispatcher; /* borrowed, as all that follow */
    struct admit *admit;
    struct metrics_sources sources; /* .board is needed, .queue for drains */
    const struct clock *clock;      /* NULL: the system's */

    unsigned threads;     /* that serve connections; 0: 2 */
    unsigned callers;     /* that wait for commits; 0: 16 */
    unsigned connections; /* at once; 0: 512 */
    unsigned per_address; /* connections of one address; 0: 128 */
    unsigned idle_s;      /* a connection without a byte is closed; 0: 30 */
    int call_ms;          /* how long a request waits for the dispatcher; 0: 10000 */

    /* 1: ready. 0: says why not, in a few words without secrets. NULL: always. */
    int (*ready)(void *arg, char *why, size_t size);
    void *arg;
};

/* -EACCES with ERR_USAGE where it may not listen there without a token;
 * -EINVAL, ERR_USAGE: no address, or a token that is too short or has blanks;
 * -EADDRINUSE and others, ERR_RESOURCE. */
int api_start(const struct api_config *cfg, struct api **ret, struct err *err);

unsigned api_port(const struct api *a);

/* No new connection or request is taken; what waits for the dispatcher (which has to
 * go on stepping) is answered; then all connections are closed. NULL is a no-op. */
void api_free(struct api *a);

#endif
