/* farm_fixture.h - a small job with everything around it: a source, a plan,
 * and workers' results whose objects exist. For the tests of engine and
 * worker; no media, no child.
 */
#ifndef GOPMILL_TESTS_FARM_FIXTURE_H
#define GOPMILL_TESTS_FARM_FIXTURE_H

#include "common/wire/task.h"
#include "publish_fixture.h"

struct farm {
    char dir[64];
    char *source, *output; /* URLs */
    char *db;              /* path */
    struct fixture fx;     /* three video tasks, one audio task */
    char *plan;            /* JSON text */
};

int farm_setup(void **state);    /* cmocka; *state is a struct farm */
int farm_teardown(void **state); /* removes the folder */

/* From here on "360p" is HEVC, and each chunk two tasks. */
void farm_two_codecs(struct farm *f);

/* With subtitles "sub-eng", of task "t-0"; before anything is planned. */
void farm_add_text(struct farm *f);
/* From here on there is a second track of sound, rendition "aac-128-eng". */
void farm_two_tracks(struct farm *f);

/* The result that answers `t`, sizes and digests included. Allocated. */
struct task_result *farm_result(const struct farm *f, const struct task *t);
/* With the task's job and attempt. */
char *farm_result_text(const struct task_result *r);
void farm_result_free(struct task_result *r);

/* The bytes of an object of `size` bytes; the same for the same key, and for
 * init segments. Allocated. */
unsigned char *farm_bytes(const char *key, uint64_t size);

/* Call `put` for each object that the task makes (of the renditions that it makes). */
void farm_objects(const struct farm *f, const struct task *t,
                  void (*put)(void *arg, const char *key, const void *buf, size_t len), void *arg);

/* The tasks of the plan, in its order. */
void farm_tasks(const struct farm *f, struct task **ret, size_t *ret_n);

#endif
