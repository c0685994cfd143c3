#include "intake.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../../common/base/cleanup.h"
#include "../../common/base/err.h"
#include "../../common/base/log.h"
#include "../../common/queue/queue.h"
#include "../../common/wire/job.h"
#include "admit.h"
#include "uploads.h"

enum {
    THREADS_MAX = 16,
    CONSUME_MS = 500,
    CALL_MS = 10000,
    WAIT_FIRST_MS = 100,
    WAIT_MAX_MS = 5000,
};

struct intake {
    struct intake_config cfg;
    pthread_t threads[THREADS_MAX + 1];
    unsigned n_threads;
    pthread_mutex_t lock;
    pthread_cond_t changed; /* of `stopping` */
    int stopping;           /* guarded by lock */
    atomic_uint_fast64_t accepted, rejected;
};

static int stopping(struct intake *i)
{
    (void)pthread_mutex_lock(&i->lock);
    int s = i->stopping;
    (void)pthread_mutex_unlock(&i->lock);
    return s;
}

/* Ends early when it is told to stop. */
static void pause_ms(struct intake *i, int ms)
{
    struct timespec until;

    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += ms % 1000 * 1000000L;
    if (until.tv_nsec >= 1000000000L) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000L;
    }
    (void)pthread_mutex_lock(&i->lock);
    while (!i->stopping && pthread_cond_timedwait(&i->changed, &i->lock, &until) != ETIMEDOUT)
        ;
    (void)pthread_mutex_unlock(&i->lock);
}

/* Whether another try may do better. */
static int may_pass(int r, const struct err *why)
{
    return r == -ENOMEM || why->cls == ERR_RESOURCE || why->cls == ERR_STORAGE ||
           why->cls == ERR_TIMEOUT;
}

/* `m` is emptied. 0, an error that stays, or -ESHUTDOWN. */
static int take_job(struct intake *i, struct job_message *m, const char *from, struct err *why)
{
    struct admitted a = { 0 };
    struct submitted got = { 0 };
    int r = admit(i->cfg.admit, m, &a, why);

    if (r < 0)
        return r;
    for (int wait = WAIT_FIRST_MS;; wait = wait * 2 < WAIT_MAX_MS ? wait * 2 : WAIT_MAX_MS) {
        *why = (struct err){ 0 };
        r = admit_submit(i->cfg.dispatcher, &a, CALL_MS, &got, why);
        if (r == 0 || r == -ESHUTDOWN || !may_pass(r, why))
            break;
        log_event(LOG_WARN, "job.waits", LSTR("job", a.req.id), LSTR("why", why->text));
        pause_ms(i, wait);
        if (stopping(i)) {
            r = -ESHUTDOWN;
            break;
        }
    }
    if (r == 0 && got.is_new)
        log_event(LOG_INFO, "job.accepted", LSTR("job", a.req.id), LSTR("by", from),
                  LSTR("source", a.req.source));
    admitted_release(&a);
    return r;
}

static int job_message_in(struct intake *i, const struct queue_msg *msg, struct err *why)
{
    struct job_message m = { 0 };
    int r = job_message_from_text(msg->body, msg->len, &m, why);

    return r < 0 ? r : take_job(i, &m, "queue", why);
}

/* All of its objects are tried; the first that can't be taken gives the reason. */
static int upload_message_in(struct intake *i, const struct queue_msg *msg, struct err *why)
{
    struct job_message *v = NULL;
    size_t n = 0;
    int r = uploads_read(i->cfg.uploads, msg->body, msg->len, &v, &n, why);

    for (size_t k = 0; k < n; k++) {
        struct err this = { 0 };
        int one = r == -ESHUTDOWN ? 0 : take_job(i, &v[k], "upload", &this);
        if (one < 0 && (r == 0 || one == -ESHUTDOWN)) {
            r = one;
            *why = this;
        }
        job_message_release(&v[k]);
    }
    free(v);
    return r;
}

static void settle(struct intake *i, const char *queue, const struct queue_msg *msg, int r,
                   const struct err *why)
{
    const struct queue_ops *ops = i->cfg.queue->ops;
    struct err err = { 0 };

    if (r == -ESHUTDOWN) /* goes back with the connection, too, where this fails */
        r = ops->reject(i->cfg.queue, msg, 1, NULL, &err);
    else if (r == 0) {
        atomic_fetch_add(&i->accepted, 1);
        r = ops->ack(i->cfg.queue, msg, &err);
    } else {
        atomic_fetch_add(&i->rejected, 1);
        log_event(LOG_WARN, "message.rejected", LSTR("queue", queue), LSTR("why", why->text));
        r = ops->reject(i->cfg.queue, msg, 0, why->text, &err);
    }
    /* Delivered again: the same id is the same job. */
    if (r < 0 && r != -ESTALE && r != -ESHUTDOWN)
        log_event(LOG_WARN, "message.unsettled", LSTR("queue", queue), LSTR("why", err.text));
}

static void serve(struct intake *i, const char *queue,
                  int (*take)(struct intake *i, const struct queue_msg *msg, struct err *why))
{
    while (!stopping(i)) {
        struct queue_msg msg = { 0 };
        struct err err = { 0 };
        int r = i->cfg.queue->ops->consume(i->cfg.queue, queue, CONSUME_MS, &msg, &err);
        if (r == -EAGAIN)
            continue;
        if (r == -ESHUTDOWN)
            return;
        if (r < 0) {
            log_event(LOG_ERROR, "queue.failed", LSTR("queue", queue), LSTR("why", err.text));
            pause_ms(i, WAIT_MAX_MS);
            continue;
        }
        struct err why = { 0 };
        r = take(i, &msg, &why);
        settle(i, queue, &msg, r, &why);
        queue_msg_release(&msg);
    }
}

static void *serve_jobs(void *arg)
{
    serve(arg, QUEUE_JOBS, job_message_in);
    return NULL;
}

static void *serve_uploads(void *arg)
{
    serve(arg, QUEUE_UPLOADS, upload_message_in);
    return NULL;
}

static int start_threads(struct intake *i, struct err *err)
{
    unsigned jobs = i->cfg.threads ? i->cfg.threads : 4;
    unsigned uploads = i->cfg.uploads && i->cfg.uploads->n > 0;

    if (jobs > THREADS_MAX)
        jobs = THREADS_MAX;
    for (unsigned k = 0; k < jobs + uploads; k++) {
        int e = pthread_create(&i->threads[k], NULL, k < jobs ? serve_jobs : serve_uploads, i);
        if (e != 0)
            return err_set(err, -e, ERR_RESOURCE, "starting a thread: %s", strerror(e));
        i->n_threads++;
    }
    return 0;
}

int intake_start(const struct intake_config *cfg, struct intake **ret, struct err *err)
{
    struct intake *i = calloc(1, sizeof(*i));

    if (!i)
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory");
    i->cfg = *cfg;
    (void)pthread_mutex_init(&i->lock, NULL);
    (void)pthread_cond_init(&i->changed, NULL);
    int r = start_threads(i, err);
    if (r < 0)
        intake_free(i);
    else
        *ret = i;
    return r;
}

void intake_counts(const struct intake *i, struct intake_counts *ret)
{
    ret->accepted = atomic_load(&i->accepted);
    ret->rejected = atomic_load(&i->rejected);
}

void intake_free(struct intake *i)
{
    if (!i)
        return;
    (void)pthread_mutex_lock(&i->lock);
    i->stopping = 1;
    (void)pthread_cond_broadcast(&i->changed);
    (void)pthread_mutex_unlock(&i->lock);
    for (unsigned k = 0; k < i->n_threads; k++)
        (void)pthread_join(i->threads[k], NULL);
    (void)pthread_cond_destroy(&i->changed);
    (void)pthread_mutex_destroy(&i->lock);
    free(i);
}
