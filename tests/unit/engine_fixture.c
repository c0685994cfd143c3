#include "engine_fixture.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/store/store.h"
#include "dispatcher/job.h"
#include "fake_child.h"

static int64_t test_mono(const struct clock *c)
{
    return ((const struct test_clock *)c)->ms * NS_PER_MS;
}

static int64_t test_wall(const struct clock *c)
{
    const struct test_clock *t = (const struct test_clock *)c;

    return t->ms + t->step_ms;
}

struct test_clock test_clock = {
    {test_mono, test_wall},
    1000000, 0
};

/* ---- planning ---- */

const char *plan_text;
struct err plan_error;
unsigned plans_made;
char plan_request[512];

static int plan_run(struct child *c, const char *kind, const char *request, uint64_t source_size,
                    const struct child_handler *h, const struct child_limits *limits,
                    char **ret_result, struct child_usage *ret_usage, struct err *err)
{
    char buf[4];
    size_t n;

    (void)c, (void)limits;
    *ret_usage = (struct child_usage){ 0 };
    plans_made++;
    (void)snprintf(plan_request, sizeof(plan_request), "%s", request);
    if (strcmp(kind, "plan") != 0 || !strstr(request, "\"slots\":1") || source_size != 10 ||
        h->read(h->arg, 4, buf, 4, &n, err) < 0 || n != 4 || memcmp(buf, "sour", 4) != 0)
        return err_set(err, -EINVAL, ERR_USAGE, "not what was expected");
    if (plan_error.cls != ERR_NONE)
        return err_set(err, -EINVAL, plan_error.cls, "%s", plan_error.text);
    *ret_result = strdup(plan_text);
    return 0;
}

/* ---- a farm ---- */

static struct queue_ops ops; /* of a queue that outlives its dispatcher */

void start(struct engine *e, void **state)
{
    struct err err = { 0 };

    e->farm = *state;
    plan_text = e->farm->plan;
    fake_child_run = plan_run;
    if (!e->queue)
        e->queue = queue_memory_new();
    if (e->survives) {
        ops = *e->queue->ops;
        ops.name = "durable";
        if (e->publish)
            ops.publish = e->publish;
        e->queue->ops = &ops;
    }
    struct dispatcher_config cfg = e->cfg;
    cfg.db_path = e->farm->db;
    cfg.queue = e->queue;
    cfg.board = e->board;
    cfg.clock = &test_clock.clock;
    cfg.slots = SLOTS;
    cfg.max_attempts = ATTEMPTS;
    cfg.retry_base_ms = RETRY_MS;
    if (dispatcher_new(&cfg, &e->d, &err) < 0)
        fail_msg("%s", err.text);
    e->messages = 0;
}

void stop_dispatcher(struct engine *e)
{
    dispatcher_free(e->d);
    e->d = NULL;
}

void stop(struct engine *e)
{
    stop_dispatcher(e);
    queue_free(e->queue);
    e->queue = NULL;
    assert_int_equal(fake_children_alive(), 0);
    plan_error = (struct err){ 0 };
}

struct job_request request(const struct engine *e)
{
    return (struct job_request){ .id = "j",
                                 .source = e->farm->source,
                                 .output = e->farm->output,
                                 .ladder = "name: x\n",
                                 .ladder_name = "x",
                                 .recheck = 1 };
}

void submit(struct engine *e)
{
    struct job_request q = request(e);
    struct err err = { 0 };

    if (dispatcher_submit(e->d, &q, &err) < 0)
        fail_msg("%s", err.text);
}

struct job_status status(struct engine *e)
{
    struct job_status st;

    assert_int_equal(dispatcher_status(e->d, "j", &st, NULL), 0);
    return st;
}

/* Step until all that was sent is applied and nothing is on its way. */
void step(struct engine *e)
{
    struct err err = { 0 };

    do {
        if (dispatcher_step(e->d, 1, &err) < 0)
            fail_msg("%s", err.text);
    } while (e->d->received < e->messages || engine_busy(e->d));
}

/* Steps until the job has a plan or has failed. */
void plan(struct engine *e)
{
    while (status(e).state == JOB_QUEUED || status(e).state == JOB_PLANNING)
        assert_int_equal(dispatcher_step(e->d, 1000, NULL), 0);
    step(e);
}

static void put_object(void *arg, const char *key, const void *buf, size_t len)
{
    struct store *s = arg;

    assert_int_equal(s->ops->put(s, key, buf, len, NULL, NULL), 0);
}

void store_objects(struct engine *e, const struct task *t)
{
    struct store *s;

    assert_int_equal(store_open_prefix(NULL, t->output, 1, &s, NULL), 0);
    farm_objects(e->farm, t, put_object, s);
    store_free(s);
}

void publish(struct engine *e, const struct task_result *r)
{
    char *text = farm_result_text(r);

    assert_int_equal(queue_publish(e->queue, QUEUE_RESULTS, text, strlen(text), -1, NULL), 0);
    e->messages++;
    free(text);
}

/* The next task from the queue; 0 where there is none. */
int take(struct engine *e, struct task *ret)
{
    struct queue_msg m;

    if (e->queue->ops->consume(e->queue, QUEUE_TASKS, 0, &m, NULL) < 0)
        return 0;
    assert_int_equal(task_from_text(m.body, m.len, ret, NULL), 0);
    assert_int_equal(e->queue->ops->ack(e->queue, &m, NULL), 0);
    queue_msg_release(&m);
    return 1;
}

void encode(struct engine *e, const struct task *t)
{
    struct task_result *r = farm_result(e->farm, t);

    store_objects(e, t);
    publish(e, r);
    e->encoded++;
    farm_result_free(r);
}

void fail_task(struct engine *e, const struct task *t, enum err_class cls, const char *text)
{
    struct task_result *r = farm_result(e->farm, t);

    (void)err_set(&r->error, -EIO, cls, "%s", text);
    publish(e, r);
    farm_result_free(r);
}

/* One task, from queue to result. 0 where none was there. */
int work_one(struct engine *e)
{
    struct task t;

    if (!take(e, &t))
        return 0;
    encode(e, &t);
    task_release(&t);
    return 1;
}

void finish(struct engine *e)
{
    plan(e);
    for (int i = 0; i < 100 && status(e).state != JOB_DONE; i++) {
        step(e);
        test_clock.ms += 10000;
        (void)work_one(e);
    }
    struct job_status st = status(e);
    if (st.state != JOB_DONE)
        fail_msg("job is %s: %s", job_state_name(st.state), st.error.text);
}

int exists(const struct engine *e, const char *key)
{
    char path[256];

    (void)snprintf(path, sizeof(path), "%s/out/%s", e->farm->dir, key);
    return access(path, F_OK) == 0;
}

/* The first task, released and taken. */
struct task first_task(struct engine *e)
{
    struct task t;

    submit(e);
    plan(e);
    step(e);
    assert_true(take(e, &t));
    return t;
}

void write_file(const struct engine *e, const char *name, const char *text)
{
    char path[256], new[300];

    (void)snprintf(path, sizeof(path), "%s/%s", e->farm->dir, name);
    (void)snprintf(new, sizeof(new), "%s.new", path);
    FILE *f = fopen(new, "we");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(rename(new, path), 0);
}
