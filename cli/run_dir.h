/* run_dir.h - the folder that a package is made in, held by one run.
 *
 * DIR/.gopmill holds the job database and the lock. The lock goes away with
 * the process, however that ends, so that a run that was killed can be taken
 * up again.
 */
#ifndef GOPMILL_CLI_RUN_DIR_H
#define GOPMILL_CLI_RUN_DIR_H

#include <stddef.h>

struct err;

struct run_dir {
    char *path;       /* as the caller gave it; owned */
    char *state;      /* path/.gopmill */
    char *db;         /* path/.gopmill/job.db */
    int lock;         /* fd; -1: not held */
    size_t made_from; /* how much of `path` was there before: what lies beyond is ours */
    int made_state;   /* .gopmill was made by this run */
};

/* Make what is missing of `path` and lock it. On failure nothing that was
 * made is left.
 *   -EBUSY  ERR_STORAGE: another run holds it; the text has its pid
 *   others  ERR_STORAGE: a part can't be made, isn't a folder, can't be written */
int run_dir_open(const char *path, struct run_dir *ret, struct err *err);

/* Remove .gopmill, and the folders that this run made as far as they are
 * empty: for a job that came to nothing. Still to be released. */
void run_dir_abandon(struct run_dir *d);

/* Unlock and free. A zeroed one with lock -1 is a no-op. */
void run_dir_release(struct run_dir *d);

/* The default for an input: its name without the extension, in the current
 * folder; "-package" is added where that would be the input's own name.
 * NULL: out of memory. */
char *run_dir_default(const char *input);

#endif
