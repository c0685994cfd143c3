/* inside.h - what a job inside a child can do: read the source, hand out
 * objects, say how far it is. Single-threaded: encoders may have threads,
 * but only the job's own thread calls these. */
#ifndef GOPMILL_CHILD_INSIDE_H
#define GOPMILL_CHILD_INSIDE_H

#include <stddef.h>
#include <stdint.h>

struct err;
struct inside;
struct read_range;

uint64_t inside_source_size(const struct inside *in);

/* As child_handler.read, asked of the parent. */
int inside_read(struct inside *in, uint64_t off, void *buf, size_t len, size_t *ret_n,
                struct err *err);

/* The same of many ranges (range.h), of at most 4 MiB each: they are fetched at the same time,
 * where waiting for a store would take longer than all else. */
int inside_read_many(struct inside *in, struct read_range *v, size_t n, struct err *err);

/* Hand a finished object to the parent; returns when it has it. */
int inside_object(struct inside *in, const char *name, const void *buf, size_t len,
                  struct err *err);

/* Also tells the parent that this child is alive. Cheap; rate-limited. */
void inside_progress(struct inside *in, uint64_t done);

/* A line for the log, kept by the parent as the child's last words. */
void inside_log(struct inside *in, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

struct child_job {
    const char *kind;
    /* Does the job, jailed; *ret_result is JSON text (malloc). */
    int (*run)(struct inside *in, const char *request, char **ret_result, struct err *err);
};

/* The whole main() of gopmill-child: jail, take one job from fd 3, answer; with the argument
 * PROTO_NEST, that of a nest and of each of its children.
 * `jobs` ends with a NULL kind. Returns the exit status. */
int inside_main(int argc, char **argv, const struct child_job *jobs);

/* Being a nest (nest.h), for its life: 0 in each child, which then goes on as one that was
 * started; 1 where there is nothing more to do. */
int inside_nest(void);

#endif
