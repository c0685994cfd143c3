/* Workers among others: tasks that are delivered twice, jobs that are
 * canceled, drains, memory, quarantine, uploads that fail. */
#include <errno.h>
#include <jansson.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "bus_double.h"
#include "common/base/err.h"
#include "common/base/log.h"
#include "common/store/store.h"
#include "common/wire/event.h"
#include "fake_child.h"
#include "farm_fixture.h"
#include "worker/worker.h"

enum {
    WAIT_MS = 30000,  /* far more than ever needed; nothing waits for its end */
    SETTLE_MS = 1500, /* of the tested workers */
    SHORT_MS = 300,   /* for what must not happen */
};

static const struct farm *farm; /* of the running test, for the children */

/* ---- children ---- */

static atomic_uint runs, at_once, most_at_once;
static sem_t begun, go_on;

static void hand_over(void *arg, const char *key, const void *buf, size_t len)
{
    const struct child_handler *h = arg;
    (void)h->object(h->arg, key, buf, len, NULL);
}

/* Hands its objects over and answers, if it isn't killed. */
static int finish(struct child *c, const char *request, const struct child_handler *h,
                  char **ret_result, struct err *err)
{
    struct task t;

    if (fake_child_killed(c))
        return err_set(err, -ECANCELED, ERR_CANCELED, "killed");
    if (task_from_text(request, strlen(request), &t, err) < 0)
        return -EINVAL;
    farm_objects(farm, &t, hand_over, (void *)h);
    struct task_result *r = farm_result(farm, &t);
    *ret_result = farm_result_text(r);
    farm_result_free(r);
    task_release(&t);
    return 0;
}

#define CHILD(name)                                                                        \
    static int name(struct child *c, const char *kind, const char *request, uint64_t size, \
                    const struct child_handler *h, const struct child_limits *limits,      \
                    char **ret_result, struct child_usage *ret_usage, struct err *err)

/* Says that it began, and waits until it is told to go on. */
CHILD(patient_child)
{
    (void)kind, (void)size, (void)limits;
    *ret_usage = (struct child_usage){ 1, 1, 1, 1 };
    atomic_fetch_add(&runs, 1);
    unsigned n = atomic_fetch_add(&at_once, 1) + 1;
    if (n > atomic_load(&most_at_once))
        atomic_store(&most_at_once, n);
    h->progress(h->arg, 7);
    (void)sem_post(&begun);
    (void)sem_wait(&go_on);
    atomic_fetch_sub(&at_once, 1);
    return finish(c, request, h, ret_result, err);
}

CHILD(hanging_child)
{
    (void)kind, (void)request, (void)size, (void)h, (void)limits, (void)ret_result;
    *ret_usage = (struct child_usage){ 0 };
    atomic_fetch_add(&runs, 1);
    (void)sem_post(&begun);
    fake_child_wait_killed(c);
    return err_set(err, -ECANCELED, ERR_CANCELED, "killed");
}

CHILD(quick_child)
{
    (void)kind, (void)size, (void)limits;
    *ret_usage = (struct child_usage){ 0 };
    atomic_fetch_add(&runs, 1);
    return finish(c, request, h, ret_result, err);
}

CHILD(crashing_child)
{
    (void)c, (void)kind, (void)request, (void)size, (void)h, (void)limits, (void)ret_result;
    *ret_usage = (struct child_usage){ 0 };
    return err_set(err, -EIO, ERR_CRASH, "died by SIGSEGV");
}

/* Hands its objects over, and then encodes for ever. */
CHILD(endless_child)
{
    struct task t;

    (void)kind, (void)size, (void)limits, (void)ret_result;
    *ret_usage = (struct child_usage){ 0 };
    if (task_from_text(request, strlen(request), &t, err) < 0)
        return -EINVAL;
    farm_objects(farm, &t, hand_over, (void *)h);
    task_release(&t);
    fake_child_wait_killed(c);
    return err_set(err, -ECANCELED, ERR_CANCELED, "killed");
}

/* ---- the farm ---- */

struct bench {
    struct bus *bus;
    struct queue *me; /* the test as dispatcher */
    struct queue *q[2];
    struct worker *w[2];
    struct task *tasks;
    size_t n_tasks;
};

static void setup(struct bench *b, void **state, fake_child_fn *run)
{
    static const char *const all[] = { "event.worker.*" };

    *b = (struct bench){ .bus = bus_new() };
    farm = *state;
    fake_child_run = run;
    atomic_store(&runs, 0);
    atomic_store(&at_once, 0);
    atomic_store(&most_at_once, 0);
    assert_int_equal(sem_init(&begun, 0, 0), 0);
    assert_int_equal(sem_init(&go_on, 0, 0), 0);
    b->me = bus_connect(b->bus);
    assert_int_equal(b->me->ops->listen(b->me, all, 1, NULL), 0);
    farm_tasks(farm, &b->tasks, &b->n_tasks);
}

static void start_on(struct bench *b, unsigned i, const struct worker_config *more)
{
    struct worker_config cfg = *more;
    struct err err = { 0 };

    cfg.queue = b->q[i];
    cfg.id = i ? "w.2" : "w.1";
    cfg.events = 1;
    cfg.settle_ms = SETTLE_MS;
    if (worker_start(&cfg, &b->w[i], &err) < 0)
        fail_msg("%s", err.text);
}

static void start(struct bench *b, unsigned i, const struct worker_config *more)
{
    b->q[i] = bus_connect(b->bus);
    start_on(b, i, more);
}

static void start_away(struct bench *b, unsigned i, const struct worker_config *more)
{
    b->q[i] = bus_connect(b->bus);
    bus_away(b->q[i], 1);
    start_on(b, i, more);
}

static void teardown(struct bench *b)
{
    for (int i = 0; i < 2; i++) {
        if (b->w[i])
            worker_drain(b->w[i]);
        worker_free(b->w[i]);
    }
    for (size_t i = 0; i < b->n_tasks; i++)
        task_release(&b->tasks[i]);
    free(b->tasks);
    bus_free(b->bus);
    assert_int_equal(fake_children_alive(), 0);
}

static void send(struct bench *b, size_t i)
{
    json_t *j = task_to_json(&b->tasks[i]);
    char *text = json_dumps(j, JSON_COMPACT);

    assert_int_equal(queue_publish(b->me, QUEUE_TASKS, text, strlen(text), -1, NULL), 0);
    free(text);
    json_decref(j);
}

static void tell(struct bench *b, const char *key, const char *task, unsigned attempt)
{
    char *text = event_text("j", task, attempt);

    b->me->ops->event(b->me, key, text, strlen(text));
    free(text);
}

static enum err_class receive(struct bench *b, const char *task)
{
    struct queue_msg m;
    struct task_result r;
    struct err err = { 0 };

    assert_int_equal(b->me->ops->consume(b->me, QUEUE_RESULTS, WAIT_MS, &m, NULL), 0);
    if (task_result_from_text(m.body, m.len, &r, &err) < 0)
        fail_msg("%s", err.text);
    if (task)
        assert_string_equal(r.task, task);
    enum err_class cls = r.error.cls;
    task_result_release(&r);
    assert_int_equal(b->me->ops->ack(b->me, &m, NULL), 0);
    queue_msg_release(&m);
    return cls;
}

static void expect_no_result(struct bench *b)
{
    struct queue_msg m;
    assert_int_equal(b->me->ops->consume(b->me, QUEUE_RESULTS, SHORT_MS, &m, NULL), -EAGAIN);
}

static int64_t now_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * INT64_C(1000) + t.tv_nsec / 1000000;
}

static void breathe(void)
{
    const struct timespec t = { .tv_nsec = 5000000 };
    (void)nanosleep(&t, NULL);
}

/* Until the worker has so many messages in hand. */
static void await_running(struct worker *w, unsigned n)
{
    int64_t until = now_ms() + WAIT_MS;

    while (worker_running(w) != n && now_ms() < until)
        breathe();
    assert_int_equal(worker_running(w), n);
}

/* The next heartbeat of `worker` that `pred` likes. */
static void await_heartbeat(struct bench *b, const char *worker,
                            int (*pred)(const struct heartbeat *h), struct heartbeat *ret)
{
    int64_t until = now_ms() + WAIT_MS;

    while (now_ms() < until) {
        struct queue_msg m;
        struct err err = { 0 };
        if (b->me->ops->consume(b->me, QUEUE_EVENTS, WAIT_MS, &m, NULL) < 0)
            break;
        if (heartbeat_from_text(m.body, m.len, ret, &err) < 0)
            fail_msg("%s", err.text);
        queue_msg_release(&m);
        if (strcmp(ret->worker, worker) == 0 && pred(ret))
            return;
        heartbeat_release(ret);
    }
    fail_msg("no such heartbeat of %s", worker);
}

static void await(struct bench *b, const char *worker, int (*pred)(const struct heartbeat *h))
{
    struct heartbeat h;

    await_heartbeat(b, worker, pred, &h);
    heartbeat_release(&h);
}

static int runs_one(const struct heartbeat *h)
{
    return h->n_running == 1;
}

static int is_active(const struct heartbeat *h)
{
    return h->state == WORKER_ACTIVE;
}

static int is_quarantined(const struct heartbeat *h)
{
    return h->state == WORKER_QUARANTINED;
}

static int is_gone(const struct heartbeat *h)
{
    return h->state == WORKER_GONE;
}

static size_t depth(struct bench *b)
{
    size_t n = 0;
    assert_int_equal(b->me->ops->depth(b->me, QUEUE_TASKS, &n), 0);
    return n;
}

/* ---- tests ---- */

static void a_heartbeat_says_what_runs(void **state)
{
    struct bench b;
    struct heartbeat h;

    setup(&b, state, patient_child);
    start(&b, 0, &(struct worker_config){ .slots = 2 });
    send(&b, 1);
    await_heartbeat(&b, "w.1", runs_one, &h);
    assert_string_equal(h.running[0].job, "j");
    assert_string_equal(h.running[0].task, b.tasks[1].id);
    assert_int_equal(h.running[0].attempt, 1);
    assert_int_equal(h.running[0].total, b.tasks[1].chunk.pts.n_frames);
    assert_int_equal(h.state, WORKER_ACTIVE);
    assert_null(h.reason);
    assert_int_equal(h.slots, 2);
    assert_true(h.memory_bytes > 0 && h.memory_free > 0 && h.started_ms > 0);
    heartbeat_release(&h);
    (void)sem_post(&go_on);
    assert_int_equal(receive(&b, b.tasks[1].id), ERR_NONE);
    worker_drain(b.w[0]);
    worker_free(b.w[0]);
    b.w[0] = NULL;
    await_heartbeat(&b, "w.1", is_gone, &h);
    assert_int_equal(h.tasks_done, 1);
    assert_int_equal(h.frames_done, b.tasks[1].chunk.pts.n_frames);
    assert_true(h.bytes_out > 0 && h.bytes_in == 1 && h.cpu_s == 1);
    heartbeat_release(&h);
    teardown(&b);
}

/* Not with the heartbeat after next: who waits for workers would wait for that. */
static void a_worker_tells_of_itself_as_soon_as_it_is_connected(void **state)
{
    const struct worker_config cfg = { .slots = 1 };
    struct heartbeat h;
    struct bench b;

    setup(&b, state, quick_child);
    for (int i = 0; i < 2; i++) { /* the first time, and once more */
        int64_t since = now_ms();
        if (i == 0)
            start_away(&b, 0, &cfg);
        else
            bus_away(b.q[0], 1);
        while (now_ms() - since < 500) /* it had time to miss it */
            breathe();
        bus_away(b.q[0], 0);
        since = now_ms();
        await_heartbeat(&b, "w.1", is_active, &h);
        heartbeat_release(&h);
        assert_true(now_ms() - since < HEARTBEAT_MS / 2);
    }
    teardown(&b);
}

static void a_task_delivered_again_to_the_same_worker_is_joined(void **state)
{
    struct bench b;

    setup(&b, state, patient_child);
    start(&b, 0, &(struct worker_config){ .slots = 2 });
    send(&b, 1);
    assert_int_equal(sem_wait(&begun), 0);
    bus_lose(b.q[0]);
    await_running(b.w[0], 2); /* the second slot has it now, and waits */
    (void)sem_post(&go_on);
    assert_int_equal(receive(&b, b.tasks[1].id), ERR_NONE);
    await_running(b.w[0], 0);
    expect_no_result(&b);
    assert_int_equal(depth(&b), 0);
    assert_int_equal(atomic_load(&runs), 1);
    teardown(&b);
}

static void a_task_delivered_again_after_its_end_is_known(void **state)
{
    struct bench b;

    setup(&b, state, patient_child);
    start(&b, 0, &(struct worker_config){ .slots = 1 });
    send(&b, 1);
    assert_int_equal(sem_wait(&begun), 0);
    bus_lose(b.q[0]);
    assert_int_equal(depth(&b), 1);
    (void)sem_post(&go_on);
    assert_int_equal(receive(&b, b.tasks[1].id), ERR_NONE);
    expect_no_result(&b);
    await_running(b.w[0], 0);
    assert_int_equal(depth(&b), 0);
    assert_int_equal(atomic_load(&runs), 1);
    teardown(&b);
}

static void a_task_that_another_worker_runs_waits_for_its_end(void **state)
{
    struct bench b;

    setup(&b, state, patient_child);
    start(&b, 0, &(struct worker_config){ .slots = 1 });
    start(&b, 1, &(struct worker_config){ .slots = 1 });
    send(&b, 1);
    assert_int_equal(sem_wait(&begun), 0);
    await_running(b.w[worker_running(b.w[0]) ? 0 : 1], 1);
    int first = worker_running(b.w[0]) ? 0 : 1;
    await(&b, first ? "w.2" : "w.1", runs_one);
    bus_lose(b.q[first]);
    await_running(b.w[!first], 1);
    expect_no_result(&b);
    (void)sem_post(&go_on);
    assert_int_equal(receive(&b, b.tasks[1].id), ERR_NONE);
    assert_int_equal(worker_running(b.w[!first]), 1); /* until the dispatcher says so */
    tell(&b, "event.task.done", b.tasks[1].id, 1);
    await_running(b.w[!first], 0);
    expect_no_result(&b);
    assert_int_equal(depth(&b), 0);
    assert_int_equal(atomic_load(&runs), 1);
    teardown(&b);
}

static void tell_of_another(struct bench *b, enum worker_state state)
{
    struct running_task t = { .job = (char *)"j", .task = b->tasks[1].id, .attempt = 1 };
    const struct heartbeat h = { .worker = (char *)"other",
                                 .host = (char *)"h",
                                 .engine = (char *)"e",
                                 .state = state,
                                 .running = &t,
                                 .n_running = 1 };
    json_t *j = heartbeat_to_json(&h);
    char *text = json_dumps(j, JSON_COMPACT);

    b->me->ops->event(b->me, "event.worker.other", text, strlen(text));
    free(text);
    json_decref(j);
}

static void a_task_of_a_worker_that_left_is_run(void **state)
{
    struct bench b;
    struct queue_msg m;

    setup(&b, state, quick_child);
    send(&b, 1);
    assert_int_equal(b.me->ops->consume(b.me, QUEUE_TASKS, WAIT_MS, &m, NULL), 0);
    queue_msg_release(&m);
    bus_lose(b.me); /* the other one had it */
    start(&b, 0, &(struct worker_config){ .slots = 1 });
    tell_of_another(&b, WORKER_ACTIVE);
    await_running(b.w[0], 1);
    int64_t from = now_ms();
    while (now_ms() < from + SETTLE_MS + SHORT_MS)
        breathe();
    assert_int_equal(atomic_load(&runs), 0);
    tell_of_another(&b, WORKER_GONE);
    assert_int_equal(receive(&b, b.tasks[1].id), ERR_NONE);
    assert_int_equal(atomic_load(&runs), 1);
    teardown(&b);
}

static void a_canceled_job_ends_within_two_seconds(void **state)
{
    struct bench b;

    setup(&b, state, hanging_child);
    start(&b, 0, &(struct worker_config){ .slots = 1 });
    send(&b, 1);
    assert_int_equal(sem_wait(&begun), 0);
    send(&b, 2);
    int64_t from = now_ms();
    tell(&b, "event.job.j.canceled", NULL, 0);
    assert_int_equal(receive(&b, b.tasks[1].id), ERR_CANCELED);
    assert_int_equal(receive(&b, b.tasks[2].id), ERR_CANCELED); /* it wasn't begun */
    assert_true(now_ms() - from < 2000);
    assert_int_equal(atomic_load(&runs), 1);
    await_running(b.w[0], 0);
    assert_int_equal(depth(&b), 0);
    tell(&b, "event.job.j.queued", NULL, 0);
    send(&b, 3);
    /* Either it has heard that already, or it refuses once more. */
    struct timespec until;
    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec++;
    if (sem_timedwait(&begun, &until) < 0) {
        assert_int_equal(receive(&b, b.tasks[3].id), ERR_CANCELED);
        send(&b, 3);
        assert_int_equal(sem_wait(&begun), 0);
    }
    worker_kill(b.w[0]);
    assert_int_equal(receive(&b, b.tasks[3].id), ERR_CANCELED);
    teardown(&b);
}

/* What it still makes is for nobody. */
static void a_failed_jobs_tasks_end_like_a_canceled_ones(void **state)
{
    struct bench b;

    setup(&b, state, hanging_child);
    start(&b, 0, &(struct worker_config){ .slots = 1 });
    send(&b, 1);
    assert_int_equal(sem_wait(&begun), 0);
    tell(&b, "event.job.j.failed", NULL, 0);
    assert_int_equal(receive(&b, b.tasks[1].id), ERR_CANCELED);
    await_running(b.w[0], 0);
    teardown(&b);
}

/* Where the event is lost that says that a job lives again. */
static void a_canceled_jobs_task_is_refused_once(void **state)
{
    struct bench b;

    setup(&b, state, quick_child);
    start(&b, 0, &(struct worker_config){ .slots = 1 });
    tell(&b, "event.job.j.canceled", NULL, 0);
    int64_t until = now_ms() + WAIT_MS;
    do
        send(&b, 1); /* until it has heard that */
    while (receive(&b, b.tasks[1].id) != ERR_CANCELED && now_ms() < until);
    b.tasks[1].attempt++; /* as what was handed back is released again */
    send(&b, 1);
    assert_int_equal(receive(&b, b.tasks[1].id), ERR_NONE);
    teardown(&b);
}

static void a_drained_worker_ends_what_it_has_and_takes_no_more(void **state)
{
    struct bench b;

    setup(&b, state, patient_child);
    start(&b, 0, &(struct worker_config){ .slots = 2 });
    send(&b, 1);
    assert_int_equal(sem_wait(&begun), 0);
    b.me->ops->event(b.me, "command.worker.w_1.drain", "{\"v\":1}", 7);
    int64_t until = now_ms() + WAIT_MS;
    while (!worker_draining(b.w[0]) && now_ms() < until)
        breathe();
    assert_true(worker_draining(b.w[0]) && !worker_leases(b.w[0]));
    (void)sem_post(&go_on);
    assert_int_equal(receive(&b, b.tasks[1].id), ERR_NONE);
    worker_free(b.w[0]);
    b.w[0] = NULL;
    send(&b, 2);
    assert_int_equal(depth(&b), 1);
    teardown(&b);
}

static void command(struct bench *b, const char *what, const char *body)
{
    char *key = event_key("command.worker", "w.1", what);

    b->me->ops->event(b->me, key, body, strlen(body));
    free(key);
}

static void quarantine(struct bench *b, unsigned seconds)
{
    char *text = quarantine_text("its tasks of three sources failed", seconds);

    command(b, "quarantine", text);
    free(text);
}

/* It doesn't judge itself: an upload that crashes every decoder is no fault of a machine. */
static void a_worker_whose_tasks_all_fail_goes_on_until_it_is_told(void **state)
{
    struct bench b;
    struct heartbeat h;

    setup(&b, state, crashing_child);
    start(&b, 0, &(struct worker_config){ .slots = 1 });
    for (size_t i = 0; i < 9; i++) {
        send(&b, 1 + i % 3);
        assert_int_equal(receive(&b, NULL), ERR_CRASH);
    }
    quarantine(&b, 3600);
    await_heartbeat(&b, "w.1", is_quarantined, &h);
    assert_non_null(strstr(h.reason, "its tasks of three sources failed"));
    heartbeat_release(&h);
    assert_false(worker_leases(b.w[0]));
    assert_false(worker_draining(b.w[0]));
    send(&b, 1);
    expect_no_result(&b);
    assert_int_equal(depth(&b), 1);
    command(&b, "release", "{\"v\":1}");
    assert_int_equal(receive(&b, NULL), ERR_CRASH);
    teardown(&b);
}

static void a_quarantine_ends_with_a_task_that_succeeds(void **state)
{
    struct bench b;

    setup(&b, state, crashing_child);
    start(&b, 0, &(struct worker_config){ .slots = 2 });
    quarantine(&b, 1);
    await(&b, "w.1", is_quarantined);
    send(&b, 1);
    assert_int_equal(receive(&b, NULL), ERR_CRASH); /* a trial, and twice as long again */
    assert_false(worker_leases(b.w[0]));
    fake_child_run = quick_child;
    send(&b, 2);
    send(&b, 3);
    assert_int_equal(receive(&b, NULL), ERR_NONE);
    await(&b, "w.1", is_active);
    assert_int_equal(receive(&b, NULL), ERR_NONE);
    teardown(&b);
}

static void a_task_that_failed_here_is_left_to_others(void **state)
{
    struct bench b;

    setup(&b, state, quick_child);
    start(&b, 0, &(struct worker_config){ .slots = 1 });
    b.tasks[1].avoid[b.tasks[1].n_avoid++] = strdup("w.1");
    send(&b, 1); /* nobody else is there */
    assert_int_equal(receive(&b, b.tasks[1].id), ERR_NONE);
    start(&b, 1, &(struct worker_config){ .slots = 1 });
    await(&b, "w.2", is_active);
    worker_drain(b.w[1]);
    worker_free(b.w[1]);
    b.w[1] = NULL;
    start(&b, 1, &(struct worker_config){ .slots = 1 });
    await(&b, "w.2", is_active);
    for (int i = 0; i < 20; i++) { /* whoever gets it, w.2 makes it */
        b.tasks[1].attempt++;
        send(&b, 1);
        struct queue_msg m;
        struct task_result r;
        assert_int_equal(b.me->ops->consume(b.me, QUEUE_RESULTS, WAIT_MS, &m, NULL), 0);
        assert_int_equal(task_result_from_text(m.body, m.len, &r, NULL), 0);
        int made = r.error.cls == ERR_NONE;
        assert_string_equal(r.worker, made ? "w.2" : "w.1");
        if (!made)
            assert_int_equal(r.error.cls, ERR_CANCELED);
        task_result_release(&r);
        assert_int_equal(b.me->ops->ack(b.me, &m, NULL), 0);
        queue_msg_release(&m);
        if (!made)
            break;
    }
    teardown(&b);
}

static int can_start_none(const struct heartbeat *h)
{
    return h->reason && strstr(h->reason, "no process can be started");
}

/* A machine without room for a process is no failure of the task, which isn't claimed either. */
static void a_task_without_a_child_is_handed_back(void **state)
{
    struct bench b;
    struct heartbeat h;

    setup(&b, state, quick_child);
    atomic_store(&fake_child_refusals, 1);
    start(&b, 0, &(struct worker_config){ .slots = 1 });
    send(&b, 1);
    assert_int_equal(receive(&b, b.tasks[1].id), ERR_CANCELED);
    await_heartbeat(&b, "w.1", can_start_none, &h);
    assert_int_equal(h.n_running, 0);
    heartbeat_release(&h);
    send(&b, 2); /* it tries again by itself */
    assert_int_equal(receive(&b, b.tasks[2].id), ERR_NONE);
    teardown(&b);
}

static void tasks_run_at_once_as_far_as_memory_goes(void **state)
{
    struct bench b;
    const uint64_t mib = 1 << 20;

    setup(&b, state, patient_child);
    for (size_t i = 0; i < b.n_tasks; i++)
        b.tasks[i].memory_bytes = 600 * mib;
    b.tasks[3].memory_bytes = 1001 * mib;
    start(&b, 0, &(struct worker_config){ .slots = 3, .memory_bytes = 1000 * mib });
    send(&b, 3);
    assert_int_equal(receive(&b, b.tasks[3].id), ERR_RESOURCE);
    for (size_t i = 0; i < 3; i++)
        send(&b, i);
    await_running(b.w[0], worker_running(b.w[0]));
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(sem_wait(&begun), 0);
        (void)sem_post(&go_on);
        assert_int_equal(receive(&b, NULL), ERR_NONE);
    }
    assert_int_equal(atomic_load(&runs), 3);
    assert_int_equal(atomic_load(&most_at_once), 1);
    teardown(&b);
}

static void a_task_that_waits_for_memory_is_handed_back(void **state)
{
    struct bench b;

    setup(&b, state, patient_child);
    for (size_t i = 0; i < b.n_tasks; i++)
        b.tasks[i].memory_bytes = 600;
    start(&b, 0, &(struct worker_config){ .slots = 2, .memory_bytes = 1000 });
    send(&b, 1);
    assert_int_equal(sem_wait(&begun), 0);
    send(&b, 2);
    await_running(b.w[0], 2);
    worker_drain(b.w[0]);
    assert_int_equal(receive(&b, b.tasks[2].id), ERR_CANCELED);
    (void)sem_post(&go_on);
    assert_int_equal(receive(&b, b.tasks[1].id), ERR_NONE);
    assert_int_equal(depth(&b), 0);
    teardown(&b);
}

static atomic_int_fast64_t deadline_seen;

CHILD(child_with_a_watch)
{
    (void)kind, (void)size;
    *ret_usage = (struct child_usage){ 0 };
    atomic_store(&deadline_seen, limits->deadline_ms);
    return finish(c, request, h, ret_result, err);
}

/* Whoever wrote the task: RabbitMQ takes back what isn't settled in half an hour. */
static void an_attempt_ends_before_a_broker_takes_its_task_back(void **state)
{
    static const int64_t minute_ms = 60000;
    static const struct {
        int64_t of_task, least, most;
    } rows[] = {
        {0,               25 * minute_ms, 27 * minute_ms},
        { INT32_MAX,      25 * minute_ms, 27 * minute_ms},
        { 25 * minute_ms, 25 * minute_ms, 25 * minute_ms},
        { minute_ms,      minute_ms,      minute_ms     },
    };
    struct bench b;

    setup(&b, state, child_with_a_watch);
    start(&b, 0, &(struct worker_config){ .slots = 1 });
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        b.tasks[1].deadline_ms = rows[i].of_task;
        b.tasks[1].attempt++;
        send(&b, 1);
        assert_int_equal(receive(&b, b.tasks[1].id), ERR_NONE);
        int64_t seen = atomic_load(&deadline_seen);
        if (seen < rows[i].least || seen > rows[i].most)
            fail_msg("row %zu: %lld ms", i, (long long)seen);
    }
    teardown(&b);
}

/* ---- uploads: a store over a network ---- */

struct far_store {
    struct store store;
};

static atomic_int puts_begun, puts_at_once, most_puts;
static atomic_int fail_put; /* the number of the put that fails; 0: none */
static sem_t put_go_on;

static int far_put(struct store *s, const char *key, const void *buf, size_t len,
                   const struct store_put_opts *opts, struct err *err)
{
    (void)s, (void)key, (void)buf, (void)len, (void)opts;
    int n = atomic_fetch_add(&puts_begun, 1) + 1, now = atomic_fetch_add(&puts_at_once, 1) + 1;
    int most = atomic_load(&most_puts);
    while (now > most && !atomic_compare_exchange_weak(&most_puts, &most, now))
        ;
    (void)sem_wait(&put_go_on);
    atomic_fetch_sub(&puts_at_once, 1);
    return n == atomic_load(&fail_put)
               ? err_set(err, -EIO, ERR_STORAGE, "503 SlowDown, 5 times, for %s", key)
               : 0;
}

static void far_free(struct store *s)
{
    free(s);
}

static const struct store_ops far_ops = { .name = "far", .put = far_put, .free = far_free };

static int far_prefix(struct store_env *e, const char *url, struct store **ret, struct err *err)
{
    (void)e, (void)url, (void)err;
    struct store *s = calloc(1, sizeof(*s));
    assert_non_null(s);
    s->ops = &far_ops;
    *ret = s;
    return 0;
}

static struct store_env far_env = { .open_prefix = far_prefix };

static void start_far(struct bench *b, int failing)
{
    atomic_store(&puts_begun, 0);
    atomic_store(&most_puts, 0);
    atomic_store(&fail_put, failing);
    assert_int_equal(sem_init(&put_go_on, 0, 0), 0);
    for (size_t i = 0; i < b->n_tasks; i++) {
        free(b->tasks[i].output);
        b->tasks[i].output = strdup("s3://bucket/out/");
    }
    start(b, 0, &(struct worker_config){ .slots = 1, .stores = &far_env, .uploads = 3 });
}

static void objects_are_stored_several_at_once(void **state)
{
    struct bench b;

    setup(&b, state, quick_child);
    start_far(&b, 0);
    send(&b, 1);
    int64_t until = now_ms() + WAIT_MS;
    while (atomic_load(&puts_at_once) < 3 && now_ms() < until)
        breathe();
    expect_no_result(&b); /* before all is stored */
    for (int i = 0; i < 1000; i++)
        (void)sem_post(&put_go_on);
    assert_int_equal(receive(&b, b.tasks[1].id), ERR_NONE);
    assert_int_equal(atomic_load(&most_puts), 3);
    teardown(&b);
}

static void the_first_upload_that_fails_ends_the_attempt(void **state)
{
    struct bench b;

    setup(&b, state, endless_child);
    start_far(&b, 2);
    for (int i = 0; i < 1000; i++)
        (void)sem_post(&put_go_on);
    send(&b, 1);
    assert_int_equal(receive(&b, b.tasks[1].id), ERR_STORAGE);
    teardown(&b);
}

#define T(f) cmocka_unit_test_setup_teardown(f, farm_setup, farm_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_heartbeat_says_what_runs),
        T(a_worker_tells_of_itself_as_soon_as_it_is_connected),
        T(a_task_delivered_again_to_the_same_worker_is_joined),
        T(a_task_delivered_again_after_its_end_is_known),
        T(a_task_that_another_worker_runs_waits_for_its_end),
        T(a_task_of_a_worker_that_left_is_run),
        T(a_canceled_job_ends_within_two_seconds),
        T(a_failed_jobs_tasks_end_like_a_canceled_ones),
        T(a_canceled_jobs_task_is_refused_once),
        T(a_drained_worker_ends_what_it_has_and_takes_no_more),
        T(a_worker_whose_tasks_all_fail_goes_on_until_it_is_told),
        T(a_quarantine_ends_with_a_task_that_succeeds),
        T(a_task_that_failed_here_is_left_to_others),
        T(a_task_without_a_child_is_handed_back),
        T(tasks_run_at_once_as_far_as_memory_goes),
        T(a_task_that_waits_for_memory_is_handed_back),
        T(an_attempt_ends_before_a_broker_takes_its_task_back),
        T(objects_are_stored_several_at_once),
        T(the_first_upload_that_fails_ends_the_attempt),
    };
    log_init(LOG_FORMAT_TEXT, LOG_OFF);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
