#include "fake_child.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/err.h"
#include "common/child/nest.h"

struct child {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int killed;
};

fake_child_fn *fake_child_run;
static atomic_uint started, alive;

int child_start(struct child **ret, struct err *err)
{
    struct child *c = calloc(1, sizeof(*c));

    if (!c)
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory");
    (void)pthread_mutex_init(&c->lock, NULL);
    (void)pthread_cond_init(&c->changed, NULL);
    atomic_fetch_add(&started, 1);
    atomic_fetch_add(&alive, 1);
    *ret = c;
    return 0;
}

int child_start_humble(int nice, struct child **ret, struct err *err)
{
    (void)nice;
    return child_start(ret, err);
}

/* There is no nest: children come without one. */
struct nest *nest_new(void)
{
    return calloc(1, 1);
}

void nest_warm(struct nest *n)
{
    (void)n;
}

atomic_int fake_child_refusals;

int nest_child(struct nest *n, int nice, struct child **ret, struct err *err)
{
    if (atomic_load(&fake_child_refusals) > 0) {
        atomic_fetch_sub(&fake_child_refusals, 1);
        return err_set(err, -EAGAIN, ERR_RESOURCE, "no more processes");
    }
    (void)n;
    return child_start_humble(nice, ret, err);
}

void nest_free(struct nest *n)
{
    free(n);
}

int fake_child_killed(struct child *c)
{
    (void)pthread_mutex_lock(&c->lock);
    int killed = c->killed;
    (void)pthread_mutex_unlock(&c->lock);
    return killed;
}

void fake_child_wait_killed(struct child *c)
{
    (void)pthread_mutex_lock(&c->lock);
    while (!c->killed)
        (void)pthread_cond_wait(&c->changed, &c->lock);
    (void)pthread_mutex_unlock(&c->lock);
}

int child_run(struct child *c, const char *kind, const char *request, uint64_t source_size,
              const struct child_handler *h, const struct child_limits *limits, char **ret_result,
              struct child_usage *ret_usage, struct err *err)
{
    int r = fake_child_run(c, kind, request, source_size, h, limits, ret_result, ret_usage, err);

    if (fake_child_killed(c)) {
        if (r == 0) {
            free(*ret_result);
            *ret_result = NULL;
        }
        return err_set(err, -ECANCELED, ERR_CANCELED, "killed");
    }
    return r;
}

void child_kill(struct child *c)
{
    (void)pthread_mutex_lock(&c->lock);
    c->killed = 1;
    (void)pthread_cond_broadcast(&c->changed);
    (void)pthread_mutex_unlock(&c->lock);
}

int child_pid(const struct child *c)
{
    (void)c;
    return (int)getpid();
}

void child_free(struct child *c)
{
    if (!c)
        return;
    (void)pthread_cond_destroy(&c->changed);
    (void)pthread_mutex_destroy(&c->lock);
    free(c);
    atomic_fetch_sub(&alive, 1);
}

unsigned fake_children_started(void)
{
    return atomic_load(&started);
}

unsigned fake_children_alive(void)
{
    return atomic_load(&alive);
}

int child_is_alive(const struct child *c)
{
    (void)c;
    return 1;
}
