#include "uploads.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "../common/base/cleanup.h"
#include "../common/base/err.h"
#include "objects.h"

enum { THREADS_MAX = 64 };

struct upload {
    struct upload *next;
    size_t index; /* in objects */
    char *key;    /* owned */
    size_t len;
    unsigned char data[];
};

struct uploads {
    struct uploads_config cfg;
    pthread_t threads[THREADS_MAX]; /* the putting thread only */
    unsigned n_threads;

    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t work;  /* something waits to be stored, or it ends */
    pthread_cond_t room;  /* bytes became free, or something failed */
    struct upload *head, **tail;
    size_t n_waiting;
    size_t bytes;  /* waiting or being stored */
    unsigned idle; /* threads that wait for work */
    struct objects objects;
    int ending;
    int failed; /* 0, or what the first failure returned */
    struct err failure;
};

static int no_memory(struct err *err)
{
    return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory for an upload");
}

struct uploads *uploads_new(const struct uploads_config *cfg)
{
    struct uploads *u = calloc(1, sizeof(*u));

    if (!u)
        return NULL;
    u->cfg = *cfg;
    if (u->cfg.threads > THREADS_MAX)
        u->cfg.threads = THREADS_MAX;
    u->tail = &u->head;
    (void)pthread_mutex_init(&u->lock, NULL);
    (void)pthread_cond_init(&u->work, NULL);
    (void)pthread_cond_init(&u->room, NULL);
    return u;
}

static void upload_free(struct upload *p)
{
    if (!p)
        return;
    free(p->key);
    free(p);
}
DEFINE_CLEANUP(struct upload *, upload_free);

/* Locked. */
static void drop_waiting(struct uploads *u)
{
    for (struct upload *p = u->head, *next; p; p = next) {
        next = p->next;
        u->bytes -= p->len;
        upload_free(p);
    }
    u->head = NULL;
    u->tail = &u->head;
    u->n_waiting = 0;
}

/* Locked. Only the first failure counts; 1 where this is it. */
static int fail(struct uploads *u, int r, const struct err *why)
{
    if (u->failed < 0)
        return 0;
    u->failed = r;
    u->failure = *why;
    drop_waiting(u);
    (void)pthread_cond_broadcast(&u->room);
    return 1;
}

/* Locked; unlocks meanwhile. */
static void store_one(struct uploads *u, struct upload *p)
{
    struct object made = { 0 };
    struct err err = { 0 };
    int first = 0;

    (void)pthread_mutex_unlock(&u->lock);
    int r = object_store(&made, u->cfg.output, p->key, p->data, p->len, &err);
    (void)pthread_mutex_lock(&u->lock);
    u->bytes -= p->len;
    if (r < 0)
        first = fail(u, r, &err);
    else
        objects_set(&u->objects, p->index, &made);
    (void)pthread_cond_broadcast(&u->room);
    upload_free(p);
    if (first && u->cfg.on_failure) {
        (void)pthread_mutex_unlock(&u->lock);
        u->cfg.on_failure(u->cfg.arg);
        (void)pthread_mutex_lock(&u->lock);
    }
}

static void *uploader(void *arg)
{
    struct uploads *u = arg;

    (void)pthread_mutex_lock(&u->lock);
    for (;;) {
        struct upload *p = u->head;
        if (p) {
            u->head = p->next;
            if (!u->head)
                u->tail = &u->head;
            u->n_waiting--;
            store_one(u, p);
        } else if (u->ending) {
            break;
        } else {
            u->idle++;
            (void)pthread_cond_wait(&u->work, &u->lock);
            u->idle--;
        }
    }
    (void)pthread_mutex_unlock(&u->lock);
    return NULL;
}

static int make_upload(const char *key, const void *buf, size_t len, struct upload **ret)
{
    _cleanup_(upload_freep) struct upload *p = malloc(sizeof(*p) + len);

    if (!p)
        return -ENOMEM;
    *p = (struct upload){ .len = len, .key = strdup(key) };
    if (!p->key)
        return -ENOMEM;
    if (len > 0)
        memcpy(p->data, buf, len);
    *ret = take_ptr(p);
    return 0;
}

/* Locked. Wait until `len` bytes may be taken over; an object larger than
 * the limit goes alone. */
static int wait_for_room(struct uploads *u, size_t len, struct err *err)
{
    while (u->failed == 0 && u->bytes > 0 && u->bytes + len > u->cfg.limit_bytes)
        (void)pthread_cond_wait(&u->room, &u->lock);
    if (u->failed < 0 && err)
        *err = u->failure;
    return u->failed;
}

/* Locked. See that somebody does what is about to be added; the threads that
 * there are will do where no more can be had. */
static int wake_or_start(struct uploads *u, struct err *err)
{
    (void)pthread_cond_signal(&u->work);
    if (u->idle > u->n_waiting || u->n_threads == u->cfg.threads)
        return 0;
    int r = -pthread_create(&u->threads[u->n_threads], NULL, uploader, u);
    if (r == 0)
        u->n_threads++;
    else if (u->n_threads == 0)
        return err_set(err, r, ERR_RESOURCE, "can't start a thread for uploads: %s", strerror(-r));
    return 0;
}

int uploads_put(struct uploads *u, const char *key, const void *buf, size_t len, struct err *err)
{
    _cleanup_(upload_freep) struct upload *p = NULL;

    (void)pthread_mutex_lock(&u->lock);
    int r = wait_for_room(u, len, err);
    if (r == 0 && make_upload(key, buf, len, &p) < 0)
        r = no_memory(err);
    if (r == 0)
        r = objects_add(&u->objects, key, &p->index, err);
    if (r == 0)
        r = wake_or_start(u, err);
    if (r == 0) {
        u->bytes += len;
        u->n_waiting++;
        *u->tail = p;
        u->tail = &p->next;
        p = NULL;
    }
    (void)pthread_mutex_unlock(&u->lock);
    return r;
}

void uploads_cancel(struct uploads *u)
{
    struct err why = { 0 };

    (void)err_set(&why, -ECANCELED, ERR_CANCELED, "the upload was told to stop");
    (void)pthread_mutex_lock(&u->lock);
    (void)fail(u, -ECANCELED, &why);
    (void)pthread_mutex_unlock(&u->lock);
}

int uploads_finish(struct uploads *u, const struct objects **ret_objects, struct err *err)
{
    (void)pthread_mutex_lock(&u->lock);
    u->ending = 1;
    (void)pthread_cond_broadcast(&u->work);
    (void)pthread_mutex_unlock(&u->lock);
    for (unsigned i = 0; i < u->n_threads; i++)
        (void)pthread_join(u->threads[i], NULL);
    u->n_threads = 0;
    if (u->failed < 0) {
        if (err)
            *err = u->failure;
        return u->failed;
    }
    *ret_objects = &u->objects;
    return 0;
}

void uploads_free(struct uploads *u)
{
    const struct objects *o;

    if (!u)
        return;
    uploads_cancel(u);
    (void)uploads_finish(u, &o, NULL);
    objects_release(&u->objects);
    (void)pthread_cond_destroy(&u->work);
    (void)pthread_cond_destroy(&u->room);
    (void)pthread_mutex_destroy(&u->lock);
    free(u);
}
