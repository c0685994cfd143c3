/* admit.h - from a message that asks for a job to what the engine takes: the
 * one way in, for HTTP, the queue and uploads alike.
 *
 * Immutable once made, but for the ladders, which are read anew every few
 * seconds (behind a lock): any thread may use it.
 */
#ifndef GOPMILL_DAEMON_ADMIT_H
#define GOPMILL_DAEMON_ADMIT_H

#include "../engine.h"
#include "url_rules.h"

struct admit;
struct job_message;

struct admit_config {
    const struct url_rules *sources, *outputs, *notifies; /* borrowed */
    const char *default_ladder;                           /* where a message names none; copied */
};

/* -ENOMEM. */
int admit_new(const struct admit_config *cfg, struct admit **ret, struct err *err);
void admit_free(struct admit *a); /* NULL is a no-op */

/* Takes over what `m` holds, which is empty afterwards, failed or not: `req`
 * borrows from it. Without an id it gets one of 128 random bits. Free with
 * admitted_release().
 * -EACCES (a URL that isn't allowed), -ENOENT (no such ladder: names those there are),
 * -EINVAL; all ERR_USAGE. -ENOMEM. */
struct admitted {
    struct job_request req;
    struct job_message *message; /* private */
    char *ladder, *ladder_name;  /* private */
};
int admit(struct admit *a, struct job_message *m, struct admitted *ret, struct err *err);
void admitted_release(struct admitted *a);

/* 26 characters of a-z and 2-7. 0 or -errno. */
int admit_make_id(char ret[27]);
/* The same of the SHA-256 of a text: equal texts, equal ids. */
int admit_id_of(const char *text, char ret[27]);

/* Have the dispatcher take it (dispatcher_call()). */
struct submitted {
    int is_new; /* the dispatcher did not know the job before */
    enum job_state state;
};
int admit_submit(struct dispatcher *d, const struct admitted *a, int timeout_ms,
                 struct submitted *ret, struct err *err);

#endif
