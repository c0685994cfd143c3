/* objects.h - what a task has stored: key, size and digests, as the parent
 * computed them. A child's word on its own output is not enough. Whoever holds
 * a list locks it; object_store() is any thread's.
 */
#ifndef GOPMILL_WORKER_OBJECTS_H
#define GOPMILL_WORKER_OBJECTS_H

#include <stddef.h>
#include <stdint.h>

struct err;
struct store;
struct task;
struct task_result;

struct object {
    char *key; /* owned */
    uint64_t size_bytes;
    char sha256[65], md5[33]; /* lower-case hex */
};

struct objects {
    struct object *v;
    size_t n, room;
};

void objects_release(struct objects *o); /* leaves it empty */

/* 0 where `key` names a segment or init segment of one of the renditions
 * that the task makes; -EACCES with ERR_INTERNAL otherwise. */
int objects_check_key(const struct task *t, const char *key, struct err *err);

/* Make an entry for `key`, to be filled by objects_set(). -EPROTO with
 * ERR_INTERNAL where there is one: a child hands each object over once. */
int objects_add(struct objects *o, const char *key, size_t *ret_index, struct err *err);
void objects_set(struct objects *o, size_t index, const struct object *made);

/* Put an object into `output` with the headers that its kind has; size and
 * digests go to *ret, its key doesn't. ERR_STORAGE, or ERR_RESOURCE. */
int object_store(struct object *ret, struct store *output, const char *key, const void *buf,
                 size_t len, struct err *err);

/* Write sizes and digests of what was stored over those in a child's result.
 * An init segment that this task didn't store keeps what the child said of
 * it: only chunk 0 stores it, the others prove that theirs is the same.
 * -EPROTO with ERR_INTERNAL where the result names a segment that was not
 * stored; `r` may then be half filled. */
int objects_fill(const struct objects *o, struct task_result *r, struct err *err);

#endif
