/* event.h - what workers and dispatcher tell each other in passing: JSON,
 * `"v":1`, on the topic exchange. Transient: whoever depends on one that may
 * be lost is wrong. Untrusted like all messages: limits in every field.
 *
 *   event.worker.<id>            a heartbeat (struct heartbeat)
 *   event.job.<id>.<what>        queued, planned, playable, done, failed,
 *                                canceled: {"v":1,"job":ID}
 *   event.task.done              that attempt is over: its result was applied,
 *                                whether it was done, failed or handed back:
 *                                {"v":1,"job":ID,"task":ID,"attempt":N}
 *   command.worker.<id>.drain    take no more tasks: {"v":1}
 *   command.worker.<id>.quarantine  take none for a while, then one as a trial:
 *                                {"v":1,"reason":TEXT,"seconds":N}
 *   command.worker.<id>.release  take tasks again: {"v":1}
 *
 * An id in a key has every character but letters, digits, '-' and '_'
 * replaced by '_': keys are for routing, bodies for reading.
 */
#ifndef GOPMILL_WIRE_EVENT_H
#define GOPMILL_WIRE_EVENT_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

struct err;

enum { HEARTBEAT_MS = 5000, WORKER_LOST_MS = 16000, HEARTBEAT_RUNNING_MAX = 4096 };

enum worker_state {
    WORKER_ACTIVE,
    WORKER_DRAINS,
    WORKER_QUARANTINED,
    WORKER_GONE,
    WORKER_STATE_MAX
};
/* "active", "draining", "quarantined", "gone" */
const char *worker_state_name(enum worker_state s);

struct running_task {
    char *job, *task;
    unsigned attempt;
    uint64_t done, total; /* frames, or ms of sound */
    double elapsed_s;
};

struct heartbeat {
    char *worker, *host;
    char *engine;            /* library versions: gopmill's first */
    enum worker_state state; /* WORKER_GONE: its last words */
    char *reason;            /* why it takes no tasks, where it doesn't; may be NULL */
    unsigned slots;
    uint64_t memory_bytes, memory_free; /* of the machine or cgroup */
    int64_t started_ms;                 /* wall clock */
    uint64_t tasks_done, tasks_failed, frames_done, bytes_in, bytes_out;
    double cpu_s;
    double speed; /* frames of video a second, all slots, over the last half minute */
    struct running_task *running;
    size_t n_running;
};

void heartbeat_release(struct heartbeat *h);
json_t *heartbeat_to_json(const struct heartbeat *h);
int heartbeat_from_text(const char *text, size_t len, struct heartbeat *ret, struct err *err);

/* {"v":1,"job":…[,"task":…,"attempt":N]}. task NULL: without. Free. NULL: out of memory. */
char *event_text(const char *job, const char *task, unsigned attempt);
/* Allocated job and task (NULL where there is none). -EPROTO. */
int event_from_text(const char *text, size_t len, char **ret_job, char **ret_task,
                    unsigned *ret_attempt, struct err *err);

enum { QUARANTINE_S_MAX = 24 * 3600, QUARANTINE_REASON_MAX = 512 };

/* The body of a quarantine. Free. NULL: out of memory. */
char *quarantine_text(const char *reason, unsigned seconds);
/* Allocated reason. -EPROTO. */
int quarantine_from_text(const char *text, size_t len, char **ret_reason, unsigned *ret_seconds,
                         struct err *err);

/* "event.worker.w_1" of ("event.worker", "w.1", NULL); with `what` a third word. Allocated. */
char *event_key(const char *prefix, const char *id, const char *what);

#endif
