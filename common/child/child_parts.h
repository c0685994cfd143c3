/* child_parts.h - what child.c (a child's life), nest.c (where it comes from) and
 * serve.c (its service) share. Internal to common/child. */
#ifndef GOPMILL_CHILD_CHILD_PARTS_H
#define GOPMILL_CHILD_CHILD_PARTS_H

#include "child.h"

#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/types.h>

enum { WORDS_MAX = 2048 };

struct child {
    pid_t pid;
    int pidfd;
    int sock;     /* ours; non-blocking */
    int err_pipe; /* the child's stderr; non-blocking */
    atomic_int killed;
    int reaped;
    int status;
    struct rusage rusage;
    char words[WORDS_MAX]; /* the end of its log and stderr */
    size_t n_words;
};

/* What a child gets: fd PROTO_FD and 2. -1: none. */
struct child_ends {
    int sock, err_pipe;
};
void child_ends_close(struct child_ends *e);

/* dup2 onto itself would leave O_CLOEXEC set: the ends that a child gets must lie above the
 * numbers it gets them as. A negative errno. */
int child_file_above(int *fd);

/* The program's path; -ENOENT with ERR_RESOURCE. */
int child_program(char *ret, size_t size, struct err *err);

/* A child that doesn't run yet, and its ends, the caller's. NULL: `err` says why. */
struct child *child_new(struct child_ends *ret, struct err *err);

/* Runs the program, with an argument or NULL, in a session of its own if told. A negative errno. */
int child_spawn(const char *program, const char *argument, int session, const struct child_ends *e,
                pid_t *ret);

/* Once its pid is known. A negative errno. */
int child_begins(struct child *c, int nice);

/* Kill it if it lives, and collect its status and usage; once. */
void child_stop(struct child *c);

/* Keep the end of what it says: that is what explains its death. */
void child_remember(struct child *c, const char *text, size_t n);
void child_drain_stderr(struct child *c);
void child_close_stderr(struct child *c);
/* The last of it, on one line, in `ret`. */
const char *child_last_words(struct child *c, char *ret, size_t size);

#endif
