/* health.h - how the S3 endpoint of a store_env is: it answers, it is away, or it refuses whoever
 * asks. That is the farm's state, not a failure of what was asked for: whoever works with it waits.
 *
 * Noted by every request (http.h): away is an endpoint where a request failed in all its tries by
 * what may pass (no connection, no answer, 5xx), and that answered nobody else meanwhile; also one
 * whose clock differs too much from this machine's. It refuses where it said that the signature or
 * the key is wrong. Anything else that it answers is an answer. A watch asks it again by itself
 * until it answers. Any thread.
 */
#ifndef GOPMILL_STORE_HEALTH_H
#define GOPMILL_STORE_HEALTH_H

#include <stddef.h>
#include <stdint.h>

struct err;
struct store_env;
struct store_watch;

enum store_state { STORE_ANSWERS, STORE_AWAY, STORE_REFUSES, STORE_STATE_MAX };

struct store_health {
    enum store_state state; /* STORE_ANSWERS also before anything was asked for */
    char why[300];          /* "" for STORE_ANSWERS */
};
/* `e` NULL (folders only): it answers. */
void store_env_health(struct store_env *e, struct store_health *ret);

/* Ask it once, with a signed request for no object, whatever rights there are. 0: it answers, or
 * nobody said where it is and with which key.
 * -EACCES: it refuses this machine's credentials. -EIO: away. Both ERR_STORAGE. */
int store_env_ask(struct store_env *e, struct err *err);

/* A thread that asks it every few seconds for as long as it is away or refuses. */
int store_watch_new(struct store_env *e, struct store_watch **ret, struct err *err);
void store_watch_free(struct store_watch *w); /* NULL is a no-op */

#endif
