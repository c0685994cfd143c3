#include "slot.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/ioprio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>

#include "../common/base/cleanup.h"
#include "../common/base/clock.h"
#include "../common/base/err.h"
#include "../common/base/log.h"
#include "../common/child/child.h"
#include "../common/child/nursery.h"
#include "../common/queue/queue.h"
#include "../common/wire/task.h"
#include "desk.h"
#include "uploads.h"

enum {
    LOOK_UP_MS = 200,      /* how long a drain may go unnoticed by an idle slot */
    OOM_SCORE = 500,       /* of 1000: a child is ended by the kernel before its parent is */
    IO_PRIORITY_LEAST = 7, /* of the class best effort */
};

/* Encoding comes after whatever else this machine does: best effort, and now, while the child has
 * one thread, whose encoders' threads inherit it. */
static void make_humble(const struct slot *s, const struct child *c)
{
    int pid = child_pid(c);
    char path[64];

    (void)snprintf(path, sizeof(path), "/proc/%d/oom_score_adj", pid);
    _cleanup_fd_ int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd >= 0)
        (void)!dprintf(fd, "%d", OOM_SCORE);
    if (!s->shared->cfg.nice)
        return;
    (void)syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, pid,
                  IOPRIO_PRIO_VALUE(IOPRIO_CLASS_BE, IO_PRIORITY_LEAST));
}

static int start_child(const struct slot *s, struct child **ret, struct err *err)
{
    int r = nursery_take(s->shared->nursery, s->shared->cfg.nice, ret, err);

    if (r == 0)
        make_humble(s, *ret);
    return r;
}

/* ---- what runs ---- */

int slot_take_child(struct slot *s, struct uploads *u, struct child **ret, struct err *err)
{
    struct child *c = NULL;
    int r = start_child(s, &c, err);

    if (r < 0)
        return r;
    (void)pthread_mutex_lock(&s->lock);
    s->running = c;
    s->uploads = u;
    (void)pthread_mutex_unlock(&s->lock);
    slot_look(s); /* it may have been told to end before there was something to be ended */
    *ret = c;
    return 0;
}

void slot_end_child(struct slot *s, struct child *c)
{
    (void)pthread_mutex_lock(&s->lock);
    s->running = NULL;
    (void)pthread_mutex_unlock(&s->lock);
    child_free(c);
}

void slot_forget_uploads(struct slot *s)
{
    (void)pthread_mutex_lock(&s->lock);
    s->uploads = NULL;
    (void)pthread_mutex_unlock(&s->lock);
}

void slot_kill_child(struct slot *s)
{
    (void)pthread_mutex_lock(&s->lock);
    if (s->running)
        child_kill(s->running);
    (void)pthread_mutex_unlock(&s->lock);
}

void slot_look(struct slot *s)
{
    (void)pthread_mutex_lock(&s->lock);
    if ((s->running || s->uploads) && desk_ending(s->shared->desk, s->number) != DESK_GO_ON) {
        if (s->uploads)
            uploads_cancel(s->uploads);
        if (s->running)
            child_kill(s->running);
    }
    (void)pthread_mutex_unlock(&s->lock);
}

/* ---- messages ---- */

/* What is to become of the message: 0 ack, otherwise it goes back. */
static int run_task(struct slot *s, const struct task *t, const struct queue_msg *m)
{
    struct desk *d = s->shared->desk;
    struct err why = { 0 }, err = { 0 };
    int r = 0;

    switch (desk_admit(d, s->number, t, m->deliveries, &why)) {
    case DESK_RUN:
        return slot_attempt(s, t, m->body);
    case DESK_ACK:
        log_event(LOG_INFO, "task.known", LSTR("job", t->job), LSTR("task", t->id),
                  LINT("attempt", t->attempt), LINT("deliveries", m->deliveries));
        return 0;
    case DESK_REQUEUE:
        return -ECANCELED;
    case DESK_ANSWER:
        r = slot_answer(s, t, &why, &err);
        if (r == 0)
            desk_told(d, s->number);
        log_event(r < 0 ? LOG_WARN : LOG_INFO, "task.refused", LSTR("job", t->job),
                  LSTR("task", t->id), LINT("attempt", t->attempt),
                  LSTR("class", err_class_name(why.cls)), LSTR("error", why.text));
        return r;
    }
    return -EINVAL;
}

static void settle(struct slot *s, const struct task *t, const struct queue_msg *m, int r)
{
    struct queue *q = s->shared->cfg.queue;
    struct err err = { 0 };

    r = r == 0 ? q->ops->ack(q, m, &err) : q->ops->reject(q, m, 1, "handed back", &err);
    /* Stale: it is delivered again, and known then. */
    if (r < 0 && r != -ESTALE && r != -ESHUTDOWN)
        log_event(LOG_ERROR, "task.unsettled", LSTR("job", t->job), LSTR("task", t->id),
                  LSTR("error", err.text));
}

static void run_message(struct slot *s, const struct queue_msg *m)
{
    struct queue *q = s->shared->cfg.queue;
    struct task t = { 0 };
    struct err err = { 0 };

    if (task_from_text(m->body, m->len, &t, &err) < 0) {
        log_event(LOG_ERROR, "task.malformed", LSTR("worker", s->shared->cfg.id),
                  LSTR("error", err.text));
        (void)q->ops->reject(q, m, 0, err.text, NULL);
        return;
    }
    settle(s, &t, m, run_task(s, &t, m));
    desk_settled(s->shared->desk, s->number);
    task_release(&t);
}

static void pause_ms(int ms)
{
    const struct timespec t = { .tv_nsec = (long)ms * 1000000 };

    (void)nanosleep(&t, NULL);
}

/* Ask for one task, and run it. -ESHUTDOWN: there will be no more. */
static int serve_one(struct slot *s)
{
    struct queue *q = s->shared->cfg.queue;
    struct queue_msg m;
    struct err err = { 0 };
    int r = desk_may_lease(s->shared->desk, s->number);

    if (r < 0)
        return r;
    r = q->ops->consume(q, QUEUE_TASKS, LOOK_UP_MS, &m, &err);
    if (r == 0) {
        s->taken_ns = clock_system.mono_ns(&clock_system);
        run_message(s, &m);
        queue_msg_release(&m);
    } else if (r == -ESHUTDOWN && s->shared->cfg.events &&
               desk_mode_now(s->shared->desk) == DESK_OPEN) {
        pause_ms(LOOK_UP_MS); /* the worker takes no tasks for now */
        r = -EAGAIN;
    } else if (r != -EAGAIN && r != -ESHUTDOWN) {
        log_event(LOG_ERROR, "worker.queue", LSTR("worker", s->shared->cfg.id),
                  LSTR("error", err.text));
        pause_ms(LOOK_UP_MS); /* a queue that is in trouble is asked again, not hammered */
    }
    return r;
}

static void *slot_main(void *arg)
{
    struct slot *s = arg;

    while (serve_one(s) != -ESHUTDOWN)
        ;
    return NULL;
}

/* ---- life ---- */

void slot_init(struct slot *s, struct shared *shared, unsigned number)
{
    *s = (struct slot){ .shared = shared, .number = number };
    (void)pthread_mutex_init(&s->lock, NULL);
}

void slot_release(struct slot *s)
{
    if (s->shared)
        (void)pthread_mutex_destroy(&s->lock);
    s->shared = NULL;
}

int slot_start(struct slot *s, struct err *err)
{
    int r = -pthread_create(&s->thread, NULL, slot_main, s);

    if (r < 0)
        return err_set(err, r, ERR_RESOURCE, "can't start the thread of slot %u: %s", s->number,
                       strerror(-r));
    s->started = 1;
    return 0;
}

void slot_join(struct slot *s)
{
    if (!s->started)
        return;
    (void)pthread_join(s->thread, NULL);
    s->started = 0;
}
