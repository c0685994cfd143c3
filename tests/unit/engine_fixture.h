/* engine_fixture.h - a dispatcher on an embedded queue, with a child and
 * workers that do what each test says. The tests own the clock.
 */
#ifndef GOPMILL_TESTS_ENGINE_FIXTURE_H
#define GOPMILL_TESTS_ENGINE_FIXTURE_H

#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/queue/queue.h"
#include "dispatcher/engine.h"
#include "farm_fixture.h"

enum { SLOTS = 1, TASKS = 4, ATTEMPTS = 4, RETRY_MS = 500 };

struct test_clock {
    struct clock clock;
    int64_t ms;
    int64_t step_ms; /* of the wall clock */
};
extern struct test_clock test_clock;

/* What the child that plans answers, and how often it was asked. */
extern const char *plan_text;
extern struct err plan_error;
extern unsigned plans_made;
extern char plan_request[512]; /* the last one, as far as it fits */

struct engine {
    struct farm *farm;
    struct queue *queue;
    struct dispatcher *d;
    unsigned encoded;  /* tasks that a worker has done */
    uint64_t messages; /* put into the queue for the dispatcher, since it started */

    /* For start(): */
    struct dispatcher_config cfg; /* what isn't set by it */
    struct board *board;
    int survives; /* the queue says that it outlives the dispatcher */
    int (*publish)(struct queue *q, const char *queue, const struct queue_text *texts, size_t n,
                   int timeout_ms, struct err *err); /* instead of the queue's */
};

void start(struct engine *e, void **state);
void stop(struct engine *e);
struct job_request request(const struct engine *e);
void submit(struct engine *e);
struct job_status status(struct engine *e);
void step(struct engine *e);
void plan(struct engine *e);
void store_objects(struct engine *e, const struct task *t);
void publish(struct engine *e, const struct task_result *r);
int take(struct engine *e, struct task *ret);
void encode(struct engine *e, const struct task *t);
void fail_task(struct engine *e, const struct task *t, enum err_class cls, const char *text);
int work_one(struct engine *e);
void finish(struct engine *e);
int exists(const struct engine *e, const char *key);
/* A file of the farm's folder, whole at once: with an inode, and so an etag, of its own. */
void write_file(const struct engine *e, const char *name, const char *text);
struct task first_task(struct engine *e);
void stop_dispatcher(struct engine *e);

#endif
