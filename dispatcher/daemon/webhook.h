/* webhook.h - tells those who asked for it that their job has ended.
 *
 *   POST <notify>  {"v":1,"id":…,"state":"done","error":null,"metadata":{…}}
 *
 * A few threads of its own; any answer 2xx will do. Otherwise it is tried
 * again, after a second at first and with a doubling wait up to ten minutes,
 * for a day, also across restarts of the dispatcher (whose database knows who was not
 * told; the day begins anew). At least once, not exactly once: receivers go by `id` and `state`.
 *
 * It follows no redirection, uses no proxy, verifies certificates, and connects to no
 * address that is private (url_rules.h) unless the URL is on a list for it.
 */
#ifndef GOPMILL_DAEMON_WEBHOOK_H
#define GOPMILL_DAEMON_WEBHOOK_H

#include <stddef.h>
#include <stdint.h>

struct dispatcher;
struct err;
struct job_end;
struct url_rules;
struct webhook;

struct webhook_config {
    const struct url_rules *private_ok; /* may lie at private addresses; NULL: none; borrowed */
    const char *ca_file;                /* PEM; NULL: the system's; copied */
    unsigned threads;                   /* 0: 4 */
    int64_t first_wait_ms, last_wait_ms, give_up_ms; /* 0: as above */
};

struct webhook_counts {
    uint64_t told, failed, given_up;
    size_t waiting;
};

/* Nothing is sent before webhook_begin(). */
int webhook_new(const struct webhook_config *cfg, struct webhook **ret, struct err *err);

/* Start the threads; `d` (borrowed) is told by dispatcher_notified(). */
int webhook_begin(struct webhook *w, struct dispatcher *d, struct err *err);

/* For dispatcher_config.on_end: copies, never waits. Of a job that is
 * waiting already, the new end takes the place of the old one. */
void webhook_end(void *arg, const struct job_end *e);

void webhook_counts(struct webhook *w, struct webhook_counts *ret); /* any thread */

/* Stop sending and end the threads; what was not told yet is told after the
 * next start. webhook_end() may still be called (it does nothing). */
void webhook_stop(struct webhook *w);
void webhook_free(struct webhook *w); /* NULL is a no-op */

#endif
