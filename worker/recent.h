/* recent.h - names that were heard of lately, and when.
 *
 * At most `max` names, each for `ttl_ns` since it was last put; the oldest
 * make room for new ones. What is remembered is a hint: where memory is
 * short, a name is not. Not thread-safe; the clock is the caller's.
 */
#ifndef GOPMILL_WORKER_RECENT_H
#define GOPMILL_WORKER_RECENT_H

#include <stddef.h>
#include <stdint.h>

struct recent;

/* NULL: out of memory. */
struct recent *recent_new(size_t max, int64_t ttl_ns);
void recent_free(struct recent *r); /* NULL is a no-op */

/* Remember `name` (copied) from `now_ns` (CLOCK_MONOTONIC) on; one that is
 * known is refreshed. */
void recent_put(struct recent *r, const char *name, int64_t now_ns);
void recent_drop(struct recent *r, const char *name);
/* Every name that starts with `prefix`. */
void recent_drop_all(struct recent *r, const char *prefix);

/* Whether it was put within the time limit. */
int recent_has(struct recent *r, const char *name, int64_t now_ns);

#endif
