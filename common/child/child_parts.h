/* child_parts.h - what child.c (a child's life) and serve.c (its service)
 * share. Internal to common/child. */
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

/* Kill it if it lives, and collect its status and usage; once. */
void child_stop(struct child *c);

/* Keep the end of what it says: that is what explains its death. */
void child_remember(struct child *c, const char *text, size_t n);
void child_drain_stderr(struct child *c);
void child_close_stderr(struct child *c);
/* The last of it, on one line, in `ret`. */
const char *child_last_words(struct child *c, char *ret, size_t size);

#endif
