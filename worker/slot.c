#include "slot.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "../common/base/err.h"
#include "../common/base/log.h"
#include "../common/child/child.h"
#include "../common/queue/queue.h"
#include "../common/wire/task.h"

enum { LOOK_UP_MS = 200 }; /* how long a drain may go unnoticed by an idle slot */

static int start_child(const struct slot *s, struct child **ret, struct err *err)
{
    int r = child_start(ret, err);

    /* Now, while it has one thread: encoder threads inherit it. Best effort. */
    if (r == 0 && s->shared->cfg.nice)
        (void)setpriority(PRIO_PROCESS, (id_t)child_pid(*ret),
                          getpriority(PRIO_PROCESS, 0) + s->shared->cfg.nice);
    return r;
}

int slot_take_child(struct slot *s, struct child **ret, struct err *err)
{
    struct child *c = s->spare;
    int r = c ? 0 : start_child(s, &c, err);

    if (r < 0)
        return r;
    s->spare = NULL;
    (void)pthread_mutex_lock(&s->lock);
    s->running = c;
    /* worker_kill() may have come before there was a child to be killed. */
    if (atomic_load(&s->shared->mode) == WORKER_KILLED)
        child_kill(c);
    (void)pthread_mutex_unlock(&s->lock);
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

void slot_prepare(struct slot *s)
{
    struct queue *q = s->shared->cfg.queue;
    size_t waiting = 0;

    if (s->spare || atomic_load(&s->shared->mode) != WORKER_RUNNING)
        return;
    if (q->ops->depth(q, QUEUE_TASKS, &waiting) == 0 && waiting > 0)
        (void)start_child(s, &s->spare, NULL); /* slot_take_child() will say why, if at all */
}

static void run_message(struct slot *s, const struct queue_msg *m)
{
    struct queue *q = s->shared->cfg.queue;
    struct task t = { 0 };
    struct err err = { 0 };

    if (task_from_text(m->body, m->len, &t, &err) < 0) {
        log_event(LOG_ERROR, "task.malformed", LSTR("worker", s->shared->cfg.id),
                  LSTR("error", err.text));
        (void)q->ops->reject(q, m, 0, NULL);
        return;
    }
    int r = slot_attempt(s, &t, m->body);
    if (r == 0)
        r = q->ops->ack(q, m, &err);
    else
        r = q->ops->reject(q, m, 1, &err);
    if (r < 0)
        log_event(LOG_ERROR, "task.unsettled", LSTR("job", t.job), LSTR("task", t.id),
                  LSTR("error", err.text));
    task_release(&t);
}

static void pause_ms(int ms)
{
    const struct timespec t = { .tv_nsec = (long)ms * 1000000 };

    (void)nanosleep(&t, NULL);
}

static void *slot_main(void *arg)
{
    struct slot *s = arg;
    struct queue *q = s->shared->cfg.queue;
    int r = 0;

    /* The first task's child loads its libraries while the job is planned;
     * the last slot leaves its core to the planning meanwhile. */
    if (s->number + 1 < s->shared->cfg.slots || s->number == 0)
        (void)start_child(s, &s->spare, NULL);
    while (atomic_load(&s->shared->mode) == WORKER_RUNNING && r != -ESHUTDOWN) {
        struct queue_msg m;
        struct err err = { 0 };
        r = q->ops->consume(q, QUEUE_TASKS, LOOK_UP_MS, &m, &err);
        if (r == 0) {
            run_message(s, &m);
            queue_msg_release(&m);
        } else if (r != -EAGAIN && r != -ESHUTDOWN) {
            log_event(LOG_ERROR, "worker.queue", LSTR("worker", s->shared->cfg.id),
                      LSTR("error", err.text));
            pause_ms(LOOK_UP_MS); /* a queue that is in trouble is asked again, not hammered */
        }
    }
    child_free(s->spare);
    s->spare = NULL;
    return NULL;
}

int slot_start(struct slot *s, struct shared *shared, unsigned number, struct err *err)
{
    *s = (struct slot){ .shared = shared, .number = number };
    (void)pthread_mutex_init(&s->lock, NULL);
    int r = -pthread_create(&s->thread, NULL, slot_main, s);
    if (r < 0)
        return err_set(err, r, ERR_RESOURCE, "can't start the thread of slot %u: %s", number,
                       strerror(-r));
    s->started = 1;
    return 0;
}

void slot_kill(struct slot *s)
{
    (void)pthread_mutex_lock(&s->lock);
    if (s->running)
        child_kill(s->running);
    (void)pthread_mutex_unlock(&s->lock);
}

void slot_join(struct slot *s)
{
    if (!s->started)
        return;
    (void)pthread_join(s->thread, NULL);
    (void)pthread_mutex_destroy(&s->lock);
}
