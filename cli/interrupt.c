#include "interrupt.h"
#include "cli.h"
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { PATIENCE_S = 10 };

struct interrupt {
    pthread_t thread;
    sigset_t before;
    const char *last_words;
    atomic_int asked, leaving;
    pthread_mutex_t lock; /* guards wake and arg */
    void (*wake)(void *arg);
    void *arg;
};

static void signals(sigset_t *set)
{
    (void)sigemptyset(set);
    (void)sigaddset(set, SIGINT);
    (void)sigaddset(set, SIGTERM);
    (void)sigaddset(set, SIGHUP);
}

static void call_wake(struct interrupt *i)
{
    (void)pthread_mutex_lock(&i->lock);
    if (i->wake)
        i->wake(i->arg);
    (void)pthread_mutex_unlock(&i->lock);
}

/* interrupt_free() ends this by one more signal, to this thread alone. */
static void *watch(void *arg)
{
    struct interrupt *i = arg;
    const struct timespec patience = { .tv_sec = PATIENCE_S };
    sigset_t set;

    signals(&set);
    while (sigwaitinfo(&set, NULL) < 0 && errno == EINTR)
        ;
    if (atomic_load(&i->leaving))
        return NULL;
    atomic_store(&i->asked, 1);
    call_wake(i);

    while (sigtimedwait(&set, NULL, &patience) < 0 && errno == EINTR)
        ;
    if (atomic_load(&i->leaving))
        return NULL;
    /* The hard way: no thread may hold this up any more. */
    (void)!write(STDERR_FILENO, i->last_words, strlen(i->last_words));
    _exit(CLI_FAILED);
}

int interrupt_start(const char *last_words, struct interrupt **ret)
{
    struct interrupt *i = calloc(1, sizeof(*i));
    sigset_t set;

    if (!i)
        return -ENOMEM;
    i->last_words = last_words;
    (void)pthread_mutex_init(&i->lock, NULL);
    signals(&set);
    (void)pthread_sigmask(SIG_BLOCK, &set, &i->before);
    int r = pthread_create(&i->thread, NULL, watch, i);
    if (r != 0) {
        (void)pthread_sigmask(SIG_SETMASK, &i->before, NULL);
        (void)pthread_mutex_destroy(&i->lock);
        free(i);
        return -r;
    }
    *ret = i;
    return 0;
}

void interrupt_on_wake(struct interrupt *i, void (*wake)(void *arg), void *arg)
{
    (void)pthread_mutex_lock(&i->lock);
    i->wake = wake;
    i->arg = arg;
    (void)pthread_mutex_unlock(&i->lock);
}

int interrupt_asked(const struct interrupt *i)
{
    return atomic_load(&i->asked);
}

void interrupt_free(struct interrupt *i)
{
    if (!i)
        return;
    atomic_store(&i->leaving, 1);
    (void)pthread_kill(i->thread, SIGHUP);
    (void)pthread_join(i->thread, NULL);
    (void)pthread_sigmask(SIG_SETMASK, &i->before, NULL);
    (void)pthread_mutex_destroy(&i->lock);
    free(i);
}
