#include "event.h"

#include "../base/err.h"
#include "fields.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    EVENT_NAME_MAX = 256, /* of a job, a worker, a host */
    ATTEMPT_MAX = 1000000,
    HEARTBEAT_SLOTS_MAX = 65536,
};

static const char *const state_names[] = {
    [WORKER_ACTIVE] = "active",
    [WORKER_DRAINS] = "draining",
    [WORKER_QUARANTINED] = "quarantined",
    [WORKER_GONE] = "gone",
};
_Static_assert(sizeof(state_names) / sizeof(*state_names) == WORKER_STATE_MAX, "a name each");

const char *worker_state_name(enum worker_state s)
{
    return state_names[s];
}

/* A message that isn't one is -EPROTO here, whatever the field readers say. */
static int protocol(int r)
{
    return r == -EINVAL ? -EPROTO : r;
}

/* ---- heartbeats ---- */

void heartbeat_release(struct heartbeat *h)
{
    for (size_t i = 0; i < h->n_running; i++) {
        free(h->running[i].job);
        free(h->running[i].task);
    }
    free(h->running);
    free(h->worker);
    free(h->host);
    free(h->engine);
    free(h->reason);
    *h = (struct heartbeat){ 0 };
}

static json_t *running_to_json(const void *item)
{
    const struct running_task *t = item;
    struct out o = out_new();

    out_text(&o, "job", t->job);
    out_text(&o, "task", t->task);
    out_int(&o, "attempt", t->attempt);
    out_int(&o, "done", (int64_t)t->done);
    out_int(&o, "total", (int64_t)t->total);
    out_double(&o, "elapsed_s", t->elapsed_s);
    return out_done(&o);
}

json_t *heartbeat_to_json(const struct heartbeat *h)
{
    struct out o = out_new();

    out_int(&o, "v", WIRE_VERSION);
    out_text(&o, "worker", h->worker);
    out_text(&o, "host", h->host);
    out_text(&o, "engine", h->engine);
    out_text(&o, "state", worker_state_name(h->state));
    out_text(&o, "reason", h->reason);
    out_int(&o, "slots", h->slots);
    out_int(&o, "memory_bytes", (int64_t)h->memory_bytes);
    out_int(&o, "memory_free", (int64_t)h->memory_free);
    out_int(&o, "started_ms", h->started_ms);
    out_int(&o, "tasks_done", (int64_t)h->tasks_done);
    out_int(&o, "tasks_failed", (int64_t)h->tasks_failed);
    out_int(&o, "frames_done", (int64_t)h->frames_done);
    out_int(&o, "bytes_in", (int64_t)h->bytes_in);
    out_int(&o, "bytes_out", (int64_t)h->bytes_out);
    out_double(&o, "cpu_s", h->cpu_s);
    out_double(&o, "speed", h->speed);
    out_list(&o, "running", h->running, h->n_running, sizeof(*h->running), running_to_json);
    return out_done(&o);
}

static void running_read(const struct in *v, struct running_task *t)
{
    in_is_object(v);
    t->job = in_text(v, "job", EVENT_NAME_MAX, CHARS_TEXT);
    t->task = in_text(v, "task", NAME_LEN_MAX - 1, CHARS_NAME);
    t->attempt = (unsigned)in_int(v, "attempt", 1, ATTEMPT_MAX);
    t->done = (uint64_t)in_int(v, "done", 0, SIZE_LIMIT);
    t->total = (uint64_t)in_int(v, "total", 0, SIZE_LIMIT);
    t->elapsed_s = in_double(v, "elapsed_s", 0, 1e9);
}

static void all_running_read(const struct in *top, struct heartbeat *h)
{
    size_t n;
    struct in a = in_array(top, "running", HEARTBEAT_RUNNING_MAX, &n);

    h->running = in_calloc(&a, n, sizeof(*h->running));
    h->n_running = h->running ? n : 0;
    for (size_t i = 0; i < h->n_running && in_ok(top); i++) {
        struct in e = in_at(&a, i);
        running_read(&e, &h->running[i]);
    }
}

static void counters_read(const struct in *top, struct heartbeat *h)
{
    h->slots = (unsigned)in_int(top, "slots", 0, HEARTBEAT_SLOTS_MAX);
    h->memory_bytes = (uint64_t)in_int(top, "memory_bytes", 0, SIZE_LIMIT);
    h->memory_free = (uint64_t)in_int(top, "memory_free", 0, SIZE_LIMIT);
    h->started_ms = in_int(top, "started_ms", 0, TIME_LIMIT);
    h->tasks_done = (uint64_t)in_int(top, "tasks_done", 0, SIZE_LIMIT);
    h->tasks_failed = (uint64_t)in_int(top, "tasks_failed", 0, SIZE_LIMIT);
    h->frames_done = (uint64_t)in_int(top, "frames_done", 0, SIZE_LIMIT);
    h->bytes_in = (uint64_t)in_int(top, "bytes_in", 0, SIZE_LIMIT);
    h->bytes_out = (uint64_t)in_int(top, "bytes_out", 0, SIZE_LIMIT);
    h->cpu_s = in_double(top, "cpu_s", 0, 1e12);
    h->speed = in_double(top, "speed", 0, 1e9);
}

int heartbeat_from_text(const char *text, size_t len, struct heartbeat *ret, struct err *err)
{
    struct heartbeat h = { 0 };
    struct in_state state;
    json_t *j;
    int r = wire_parse("heartbeat", text, len, &j, err);

    if (r < 0)
        return protocol(r);
    struct in top = in_top(&state, "heartbeat", j, err), reason = in_field(&top, "reason");
    in_version(&top);
    h.worker = in_text(&top, "worker", EVENT_NAME_MAX, CHARS_TEXT);
    h.host = in_text(&top, "host", EVENT_NAME_MAX, CHARS_TEXT);
    h.engine = in_text(&top, "engine", 1024, CHARS_TEXT);
    h.state = (enum worker_state)in_enum(&top, "state", state_names, WORKER_STATE_MAX);
    if (reason.j)
        h.reason = in_text_at(&reason, TEXT_LEN_MAX, CHARS_TEXT);
    counters_read(&top, &h);
    all_running_read(&top, &h);
    json_decref(j);
    if (state.r < 0) {
        heartbeat_release(&h);
        return protocol(state.r);
    }
    *ret = h;
    return 0;
}

/* ---- events of jobs and tasks ---- */

char *event_text(const char *job, const char *task, unsigned attempt)
{
    struct out o = out_new();

    out_int(&o, "v", WIRE_VERSION);
    out_text(&o, "job", job);
    if (task) {
        out_text(&o, "task", task);
        out_int(&o, "attempt", attempt);
    }
    return out_text_done(&o);
}

int event_from_text(const char *text, size_t len, char **ret_job, char **ret_task,
                    unsigned *ret_attempt, struct err *err)
{
    struct in_state state;
    unsigned attempt = 0;
    char *task = NULL;
    json_t *j;
    int r = wire_parse("event", text, len, &j, err);

    if (r < 0)
        return protocol(r);
    struct in top = in_top(&state, "event", j, err), f = in_field(&top, "task");
    in_version(&top);
    char *job = in_text(&top, "job", EVENT_NAME_MAX, CHARS_TEXT);
    if (f.j) {
        task = in_text_at(&f, NAME_LEN_MAX - 1, CHARS_NAME);
        attempt = (unsigned)in_int(&top, "attempt", 1, ATTEMPT_MAX);
    }
    json_decref(j);
    if (state.r < 0) {
        free(job);
        free(task);
        return protocol(state.r);
    }
    *ret_job = job;
    *ret_task = task;
    *ret_attempt = attempt;
    return 0;
}

/* ---- commands ---- */

char *quarantine_text(const char *reason, unsigned seconds)
{
    struct out o = out_new();

    out_int(&o, "v", WIRE_VERSION);
    out_text(&o, "reason", reason);
    out_int(&o, "seconds", seconds);
    return out_text_done(&o);
}

int quarantine_from_text(const char *text, size_t len, char **ret_reason, unsigned *ret_seconds,
                         struct err *err)
{
    struct in_state state;
    json_t *j;
    int r = wire_parse("command", text, len, &j, err);

    if (r < 0)
        return protocol(r);
    struct in top = in_top(&state, "command", j, err);
    in_version(&top);
    char *reason = in_text(&top, "reason", QUARANTINE_REASON_MAX, CHARS_TEXT);
    unsigned seconds = (unsigned)in_int(&top, "seconds", 1, QUARANTINE_S_MAX);
    json_decref(j);
    if (state.r < 0) {
        free(reason);
        return protocol(state.r);
    }
    *ret_reason = reason;
    *ret_seconds = seconds;
    return 0;
}

/* ---- keys ---- */

static int is_word(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '-' ||
           c == '_';
}

char *event_key(const char *prefix, const char *id, const char *what)
{
    char *key;

    if (asprintf(&key, "%s.%s%s%s", prefix, id, what ? "." : "", what ? what : "") < 0)
        return NULL;
    size_t from = strlen(prefix) + 1, to = from + strlen(id);
    for (size_t i = from; i < to; i++)
        if (!is_word(key[i]))
            key[i] = '_';
    return key;
}
