/* child.h - the sandboxed process that alone touches untrusted media, as
 * its parent sees it.
 *
 * A child is the program gopmill-child (a program of its own, so that daemons
 * and the CLI never even load a demuxer), started with a socketpair as fd 3
 * and an empty environment. It is looked for in $GOPMILL_CHILD, beside the
 * running program, and in the libexec folder of the installation. It has no
 * network, no files and no secrets; everything it reads and makes crosses
 * the socketpair (proto.h). It takes one job, answers with one result, and
 * ends. Children may be started ahead of their job, so that loading the
 * codec libraries is off the critical path.
 *
 * A `struct child` belongs to one thread at a time; child_kill() may be
 * called by any.
 */
#ifndef GOPMILL_CHILD_CHILD_H
#define GOPMILL_CHILD_CHILD_H

#include <stddef.h>
#include <stdint.h>

struct err;
struct child;
struct read_range;

/* What the parent does for its child. Callbacks run on the thread inside
 * child_run(); a negative return ends the child and becomes the result. */
struct child_handler {
    void *arg;

    /* Up to `len` bytes of the source from `off`; short only at its end. */
    int (*read)(void *arg, uint64_t off, void *buf, size_t len, size_t *ret_n, struct err *err);

    /* A few ranges (range.h) at once, in whatever order: fills in each `n`. NULL: `read` is
     * called for one after the other. */
    int (*read_many)(void *arg, struct read_range *v, size_t n, struct err *err);

    /* A finished object: `name` is a key relative to the output prefix.
     * NULL: a child that sends objects is ended. */
    int (*object)(void *arg, const char *name, const void *buf, size_t len, struct err *err);

    /* Now and then: frames (or, audio, ms of sound) done so far. May be NULL. */
    void (*progress)(void *arg, uint64_t done);
};

struct child_limits {
    uint64_t memory_bytes; /* RLIMIT_AS; 0: none */
    int64_t stall_ms;      /* longest silence before it is killed; 0: none */
    int64_t deadline_ms;   /* longest run; 0: none */
};

struct child_usage {
    double cpu_s, wall_s;
    uint64_t peak_bytes, bytes_read;
};

/* Start a child that waits for its job. -EAGAIN/-ENOMEM with ERR_RESOURCE. */
int child_start(struct child **ret, struct err *err);

/* As child_start(), but one that stands back for everything else on the machine: `nice` is added
 * to its niceness from its start, and above 0 it leads a session of its own (no terminal's signals
 * reach it then), since that is what niceness counts within (sched(7), autogroup). */
int child_start_humble(int nice, struct child **ret, struct err *err);

/* Give it the job (`kind`: "probe", "plan", "encode"; `request`: JSON text)
 * and the source's size, serve it until it has answered, reap it.
 *
 * 0: *ret_result is its answer, JSON text, owned by the caller.
 * Otherwise the child is dead and reaped, `err` says why:
 *   ERR_CRASH    died by a signal ("child died by SIGSEGV; last words: …")
 *   ERR_TIMEOUT  stalled or over its deadline
 *   ERR_CANCELED child_kill() was called
 *   any class    what the child itself or a callback said
 * *ret_usage is filled in both cases. */
int child_run(struct child *c, const char *kind, const char *request, uint64_t source_size,
              const struct child_handler *h, const struct child_limits *limits, char **ret_result,
              struct child_usage *ret_usage, struct err *err);

/* Kill it, if it still runs; child_run() returns -ECANCELED. Any thread. */
void child_kill(struct child *c);

int child_pid(const struct child *c); /* for tests that kill it */

/* Whether one that waits for its job still does: somebody may have killed it. */
int child_is_alive(const struct child *c);

/* Kills and reaps where child_run() has not. NULL is a no-op. */
void child_free(struct child *c);

#endif
