/* daemon_fixture.h - a dispatcher on an embedded queue, with its thread, and a
 * client for its API: the tests of the daemon's doors.
 */
#ifndef GOPMILL_TESTS_DAEMON_FIXTURE_H
#define GOPMILL_TESTS_DAEMON_FIXTURE_H

#include <pthread.h>
#include <stdatomic.h>

#include "dispatcher/board.h"
#include "dispatcher/daemon/admit.h"
#include "dispatcher/daemon/api.h"
#include "dispatcher/daemon/intake.h"
#include "dispatcher/daemon/webhook.h"
#include "farm_fixture.h"

#define TEST_TOKEN "a-token-for-tests-0123"

struct daemon_fixture {
    struct farm *farm;
    struct board *board;
    struct queue *queue;
    struct dispatcher *d;
    struct admit *admit;
    struct webhook *webhook;
    struct intake *intake;
    struct url_rules sources, outputs, notifies, named;
    struct api *api;
    pthread_t engine;
    atomic_int stop;
    int runs;
};

int daemon_setup(void **state); /* cmocka; all but api, intake, and the engine's thread */
int daemon_teardown(void **state);

void daemon_engine_start(struct daemon_fixture *f);
/* `token` may be NULL; `ready` too. */
void daemon_api_start(struct daemon_fixture *f, const char *token, int call_ms,
                      int (*ready)(void *arg, char *why, size_t size));

/* A message for the fixture's source. `more`: further fields, ",\"a\":1", or "". Allocated. */
char *daemon_message(const struct daemon_fixture *f, const char *id, const char *more);

struct reply {
    long status;
    char *body;         /* "" where there is none */
    char headers[2048]; /* as they came */
};

/* `body` NULL: none. `headers`: NULL-terminated, may be NULL; the token is sent where the API
 * has one. */
struct reply daemon_ask(const struct daemon_fixture *f, const char *method, const char *path,
                        const char *body, const char *const *headers);
void reply_release(struct reply *r);

/* Ask, release, and give the status. */
long daemon_status(const struct daemon_fixture *f, const char *method, const char *path,
                   const char *body);

/* Ask until the body has `text`, for at most ten seconds; fails the test otherwise. */
void daemon_await(const struct daemon_fixture *f, const char *path, const char *text);

#endif
