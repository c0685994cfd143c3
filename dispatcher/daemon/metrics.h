/* metrics.h - what the daemon measures of itself, and all of it as text for
 * Prometheus (exposition format 0.0.4). Any thread.
 */
#ifndef GOPMILL_DAEMON_METRICS_H
#define GOPMILL_DAEMON_METRICS_H

#include <stddef.h>
#include <stdint.h>

struct board;
struct err;
struct intake;
struct metrics;
struct queue;
struct store_traffic;
struct webhook;

/* Requests are counted by route; `names` ("/v1/jobs/{id}") and `methods` are
 * borrowed for good. NULL: out of memory. */
struct metrics *metrics_new(const char *const *methods, const char *const *names, size_t n);
void metrics_free(struct metrics *m);

/* A request was answered. Never waits. */
void metrics_request(struct metrics *m, size_t route, unsigned status, double seconds);

/* Where the rest comes from; all borrowed, all but `board` may be NULL. */
struct metrics_sources {
    struct board *board;
    struct queue *queue;
    const struct intake *intake;
    struct webhook *webhook;
    void (*traffic)(void *arg, struct store_traffic *ret); /* of the stores */
    void *arg;
    int64_t started_ms; /* wall */
};

/* Free. -ENOMEM. */
int metrics_text(struct metrics *m, const struct metrics_sources *s, int64_t now_ms, char **ret,
                 struct err *err);

#endif
