/* The worker's parent side, with children that do what each test says: what
 * is reported is what was stored, and no task is lost. */
#include <errno.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/err.h"
#include "common/base/log.h"
#include "common/queue/queue.h"
#include "fake_child.h"
#include "farm_fixture.h"
#include "worker/worker.h"

enum { WAIT_MS = 20000 }; /* far more than ever needed; nothing waits for its end */

static const struct farm *farm; /* of the running test, for the children */
static const struct child_usage usage = { 2.5, 3.5, 1000, 10 };

/* ---- children ---- */

struct hand_over {
    const struct child_handler *h;
    const char *skip; /* a key that is not handed over */
    int r;
    struct err *err;
};

static void hand_over(void *arg, const char *key, const void *buf, size_t len)
{
    struct hand_over *o = arg;

    if (o->r == 0 && (!o->skip || strcmp(key, o->skip) != 0))
        o->r = o->h->object(o->h->arg, key, buf, len, o->err);
}

/* What a good child answers: it knows nothing of digests of segments. */
static char *answer_of(const struct task *t)
{
    struct task_result *r = farm_result(farm, t);

    for (size_t i = 0; i < r->n_renditions; i++)
        for (size_t s = 0; s < r->renditions[i].n_segments; s++) {
            memset(r->renditions[i].segments[s].sha256, '0', 64);
            memset(r->renditions[i].segments[s].md5, '0', 32);
        }
    r->attempt = 99;
    r->cpu_s = 99;
    char *text = farm_result_text(r);
    farm_result_free(r);
    return text;
}

static int encode(const char *request, const struct child_handler *h, const char *skip,
                  char **ret_result, struct err *err)
{
    struct task t;
    char buf[16];
    size_t n;

    if (task_from_text(request, strlen(request), &t, err) < 0)
        return -EINVAL;
    struct hand_over o = { .h = h, .skip = skip, .err = err };
    o.r = h->read(h->arg, 0, buf, sizeof(buf), &n, err);
    if (o.r == 0 && (n != 10 || memcmp(buf, "the source", 10) != 0))
        o.r = err_set(err, -EIO, ERR_INTERNAL, "other bytes");
    if (h->progress)
        h->progress(h->arg, 1);
    if (o.r == 0)
        farm_objects(farm, &t, hand_over, &o);
    if (o.r == 0)
        *ret_result = answer_of(&t);
    task_release(&t);
    return o.r;
}

#define CHILD(name)                                                                        \
    static int name(struct child *c, const char *kind, const char *request, uint64_t size, \
                    const struct child_handler *h, const struct child_limits *limits,      \
                    char **ret_result, struct child_usage *ret_usage, struct err *err)

CHILD(good_child)
{
    (void)c;
    *ret_usage = usage;
    if (strcmp(kind, "encode") != 0 || size != 10 || limits->stall_ms <= 0 ||
        limits->deadline_ms <= 0)
        return err_set(err, -EINVAL, ERR_USAGE, "not what was expected");
    return encode(request, h, NULL, ret_result, err);
}

CHILD(forgetful_child)
{
    (void)c, (void)kind, (void)size, (void)limits;
    *ret_usage = usage;
    return encode(request, h, "video/360p/seg-00001.m4s", ret_result, err);
}

CHILD(crashing_child)
{
    (void)c, (void)kind, (void)request, (void)size, (void)h, (void)limits, (void)ret_result;
    *ret_usage = usage;
    return err_set(err, -EIO, ERR_CRASH, "died by SIGSEGV");
}

CHILD(babbling_child)
{
    (void)c, (void)kind, (void)request, (void)size, (void)h, (void)limits, (void)err;
    *ret_usage = usage;
    *ret_result = strdup("{\"v\":1,");
    return 0;
}

CHILD(refusing_child)
{
    struct task t;

    (void)c, (void)kind, (void)size, (void)h, (void)limits;
    *ret_usage = usage;
    if (task_from_text(request, strlen(request), &t, err) < 0)
        return -EINVAL;
    struct task_result *r = farm_result(farm, &t);
    (void)err_set(&r->error, -1, ERR_CANCELED, "because");
    *ret_result = farm_result_text(r);
    farm_result_free(r);
    task_release(&t);
    return 0;
}

static const char *hostile_key;

CHILD(hostile_child)
{
    (void)c, (void)kind, (void)request, (void)size, (void)limits;
    *ret_usage = usage;
    int r = h->object(h->arg, hostile_key, "x", 1, err);
    *ret_result = strdup("{}");
    return r;
}

static sem_t hanging;

CHILD(hanging_child)
{
    (void)kind, (void)request, (void)size, (void)h, (void)limits, (void)ret_result;
    *ret_usage = usage;
    (void)sem_post(&hanging);
    fake_child_wait_killed(c);
    return err_set(err, -ECANCELED, ERR_CANCELED, "killed");
}

/* ---- a worker and its queue ---- */

struct bench {
    struct queue *q;
    struct worker *w;
    struct task *tasks;
    size_t n_tasks;
    atomic_uint progressed, ended, failed;
};

static void on_progress(void *arg, unsigned slot, const struct task *t, uint64_t done)
{
    struct bench *b = arg;
    (void)slot, (void)t;
    atomic_fetch_add(&b->progressed, (unsigned)done);
}

static void on_end(void *arg, unsigned slot, const struct task *t, int r)
{
    struct bench *b = arg;
    (void)slot, (void)t;
    atomic_fetch_add(&b->ended, 1);
    atomic_fetch_add(&b->failed, r < 0);
}

static void start(struct bench *b, void **state, unsigned slots, fake_child_fn *run)
{
    struct err err = { 0 };

    *b = (struct bench){ 0 };
    farm = *state;
    fake_child_run = run;
    b->q = queue_memory_new();
    farm_tasks(farm, &b->tasks, &b->n_tasks);
    const struct worker_config cfg = { .queue = b->q,
                                       .id = "w",
                                       .slots = slots,
                                       .on_progress = on_progress,
                                       .on_end = on_end,
                                       .arg = b };
    if (worker_start(&cfg, &b->w, &err) < 0)
        fail_msg("%s", err.text);
}

static void stop(struct bench *b)
{
    if (b->w) {
        b->q->ops->close(b->q);
        worker_free(b->w);
    }
    queue_free(b->q);
    for (size_t i = 0; i < b->n_tasks; i++)
        task_release(&b->tasks[i]);
    free(b->tasks);
    assert_int_equal(fake_children_alive(), 0);
}

static void send(struct bench *b, size_t i)
{
    json_t *j = task_to_json(&b->tasks[i]);
    char *text = json_dumps(j, JSON_COMPACT);

    assert_int_equal(queue_publish(b->q, QUEUE_TASKS, text, strlen(text), -1, NULL), 0);
    free(text);
    json_decref(j);
}

static void receive(struct bench *b, struct task_result *ret)
{
    struct queue_msg m;
    struct err err = { 0 };

    assert_int_equal(b->q->ops->consume(b->q, QUEUE_RESULTS, WAIT_MS, &m, NULL), 0);
    if (task_result_from_text(m.body, m.len, ret, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(b->q->ops->ack(b->q, &m, NULL), 0);
    queue_msg_release(&m);
}

/* Send task 1 (video, chunk 0) and expect a failure of that class. */
static void expect_failure(struct bench *b, enum err_class cls, const char *text)
{
    struct task_result r;

    send(b, 1);
    receive(b, &r);
    assert_string_equal(r.task, "v-0000-0");
    assert_int_equal(r.attempt, 1);
    assert_int_equal(r.error.cls, cls);
    assert_non_null(strstr(r.error.text, text));
    assert_true(r.cpu_s == usage.cpu_s);
    task_result_release(&r);
}

/* ---- tests ---- */

static void compare(const struct task *t, const struct task_result *got)
{
    struct task_result *want = farm_result(farm, t);

    assert_int_equal(got->error.cls, ERR_NONE);
    assert_int_equal(got->attempt, t->attempt);
    assert_string_equal(got->job, "j");
    assert_string_equal(got->worker, "w");
    assert_true(got->cpu_s == usage.cpu_s && got->wall_s == usage.wall_s);
    assert_int_equal(got->peak_bytes, usage.peak_bytes);
    assert_int_equal(got->bytes_read, usage.bytes_read);
    assert_int_equal(got->n_renditions, want->n_renditions);
    for (size_t i = 0; i < want->n_renditions; i++) {
        const struct rendition_result *g = &got->renditions[i], *w = &want->renditions[i];
        assert_string_equal(g->init.sha256, w->init.sha256);
        for (size_t s = 0; s < w->n_segments; s++) {
            assert_int_equal(g->segments[s].size_bytes, w->segments[s].size_bytes);
            assert_string_equal(g->segments[s].sha256, w->segments[s].sha256);
            assert_string_equal(g->segments[s].md5, w->segments[s].md5);
        }
    }
    farm_result_free(want);
}

static void a_result_says_what_was_stored(void **state)
{
    struct bench b;

    start(&b, state, 3, good_child);
    for (size_t i = 0; i < b.n_tasks; i++)
        send(&b, i);
    for (size_t i = 0; i < b.n_tasks; i++) {
        struct task_result r;
        size_t k = 0;
        receive(&b, &r);
        while (k < b.n_tasks && strcmp(b.tasks[k].id, r.task) != 0)
            k++;
        assert_true(k < b.n_tasks);
        compare(&b.tasks[k], &r);
        task_result_release(&r);
    }
    char path[128];
    (void)snprintf(path, sizeof(path), "%s/out/video/720p/init.mp4", farm->dir);
    assert_int_equal(access(path, R_OK), 0);
    b.q->ops->close(b.q);
    worker_free(b.w);
    b.w = NULL;
    assert_int_equal(atomic_load(&b.ended), 4);
    assert_int_equal(atomic_load(&b.failed), 0);
    assert_int_equal(atomic_load(&b.progressed), 4);
    stop(&b);
}

static void failures_are_told_with_their_class(void **state)
{
    static const struct {
        fake_child_fn *run;
        enum err_class cls;
        const char *text;
    } rows[] = {
        {crashing_child,   ERR_CRASH,    "died by SIGSEGV"         },
        { babbling_child,  ERR_INTERNAL, "the child's answer"      },
        { forgetful_child, ERR_INTERNAL, "video/360p/seg-00001.m4s"},
        { refusing_child,  ERR_INTERNAL, "because"                 }, /* only a person may cancel */
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct bench b;
        start(&b, state, 1, rows[i].run);
        expect_failure(&b, rows[i].cls, rows[i].text);
        stop(&b);
    }
}

static void a_child_writes_its_own_segments_only(void **state)
{
    static const char *const keys[] = {
        "master.m3u8",
        "video/720p/index.m3u8",
        "video/other/seg-00001.m4s",
        "../x",
        "video/720p/../../seg-1.m4s",
        "audio/720p/seg-00001.m4s",
        "video/720p/seg-1/.m4s",
        "video/720p/../seg-00001.m4s",
        "",
    };
    struct bench b;

    start(&b, state, 1, hostile_child);
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        hostile_key = keys[i];
        expect_failure(&b, ERR_INTERNAL, "nobody asked for");
    }
    stop(&b);
}

static void a_missing_source_is_the_inputs_fault(void **state)
{
    struct bench b;
    struct task_result r;
    char path[128];

    start(&b, state, 1, good_child);
    (void)snprintf(path, sizeof(path), "%s/in.mov", farm->dir);
    assert_int_equal(unlink(path), 0);
    send(&b, 0);
    receive(&b, &r);
    assert_int_equal(r.error.cls, ERR_INPUT);
    task_result_release(&r);
    stop(&b);
}

static void a_malformed_task_goes_to_the_dead_letters(void **state)
{
    struct bench b;
    struct queue_msg m;

    start(&b, state, 1, good_child);
    assert_int_equal(queue_publish(b.q, QUEUE_TASKS, "{}", 2, -1, NULL), 0);
    assert_int_equal(b.q->ops->consume(b.q, QUEUE_DEAD, WAIT_MS, &m, NULL), 0);
    assert_string_equal(m.body, "{}");
    queue_msg_release(&m);
    stop(&b);
}

static void killed_children_give_their_tasks_back(void **state)
{
    struct bench b;
    size_t depth = 0;

    start(&b, state, 2, hanging_child);
    assert_int_equal(sem_init(&hanging, 0, 0), 0);
    send(&b, 0);
    send(&b, 1);
    assert_int_equal(sem_wait(&hanging), 0);
    assert_int_equal(sem_wait(&hanging), 0);
    worker_kill(b.w);
    for (int i = 0; i < 2; i++) {
        struct task_result r;
        receive(&b, &r);
        assert_int_equal(r.error.cls, ERR_CANCELED);
        task_result_release(&r);
    }
    worker_free(b.w);
    b.w = NULL;
    assert_int_equal(b.q->ops->depth(b.q, QUEUE_TASKS, &depth), 0);
    assert_int_equal(depth, 0);
    stop(&b);
}

static void where_nobody_can_be_told_the_tasks_go_back(void **state)
{
    struct bench b;

    start(&b, state, 1, hanging_child);
    assert_int_equal(sem_init(&hanging, 0, 0), 0);
    send(&b, 0);
    assert_int_equal(sem_wait(&hanging), 0);
    b.q->ops->close(b.q); /* results are refused from now on */
    worker_kill(b.w);
    worker_free(b.w);
    b.w = NULL;
    size_t depth = 0;
    assert_int_equal(b.q->ops->depth(b.q, QUEUE_TASKS, &depth), 0);
    assert_int_equal(depth, 1);
    stop(&b);
}

static void a_drained_worker_takes_no_more(void **state)
{
    struct bench b;
    size_t depth = 0;

    start(&b, state, 1, good_child);
    worker_drain(b.w);
    worker_free(b.w);
    b.w = NULL;
    send(&b, 0);
    assert_int_equal(b.q->ops->depth(b.q, QUEUE_TASKS, &depth), 0);
    assert_int_equal(depth, 1);
    stop(&b);
}

static void a_worker_without_slots_is_refused(void **state)
{
    struct worker_config cfg = { .id = "w" };
    struct worker *w;
    struct err err = { 0 };

    (void)state;
    assert_int_equal(worker_start(&cfg, &w, &err), -EINVAL);
    cfg.slots = 1000000;
    assert_int_equal(worker_start(&cfg, &w, &err), -EINVAL);
    assert_int_equal(err.cls, ERR_USAGE);
}

#define T(f) cmocka_unit_test_setup_teardown(f, farm_setup, farm_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_result_says_what_was_stored),
        T(failures_are_told_with_their_class),
        T(a_child_writes_its_own_segments_only),
        T(a_missing_source_is_the_inputs_fault),
        T(a_malformed_task_goes_to_the_dead_letters),
        T(killed_children_give_their_tasks_back),
        T(where_nobody_can_be_told_the_tasks_go_back),
        T(a_drained_worker_takes_no_more),
        T(a_worker_without_slots_is_refused),
    };
    log_init(LOG_FORMAT_TEXT, LOG_OFF);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
