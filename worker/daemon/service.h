/* service.h - the life of gopmill-worker: it connects, works, drains, ends.
 *
 *   working ─(signal, or told by an event)─▶ draining ─(time is up, or a second signal)─▶ ending
 *      │ quarantined: takes no tasks for a while, and says so    │ nothing in hand        │
 *      └─────────────────────────────────────────────────────────┴────────────────────────┴─▶ gone
 */
#ifndef GOPMILL_WORKER_DAEMON_SERVICE_H
#define GOPMILL_WORKER_DAEMON_SERVICE_H

struct err;
struct settings;

/* Block the signals that service_run() waits for, in this thread and those
 * that it starts. Before any other thread is started. */
void service_block_signals(void);

/* Runs until it is told to end. 0: all is tidied up. -EBUSY: some thread is
 * held up by a store or a broker that doesn't answer; nothing is lost, but
 * nothing may be freed either: the process has to leave without looking back.
 * Otherwise it couldn't start: `err` says why. */
int service_run(const struct settings *s, struct err *err);

#endif
