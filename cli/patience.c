#include "patience.h"
#include <time.h>

static void signals(sigset_t *set)
{
    (void)sigemptyset(set);
    (void)sigaddset(set, SIGINT);
    (void)sigaddset(set, SIGTERM);
    (void)sigaddset(set, SIGHUP);
}

void patience_begin(struct patience *p)
{
    sigset_t set;

    signals(&set);
    p->asked = 0;
    (void)sigprocmask(SIG_BLOCK, &set, &p->before);
}

void patience_end(struct patience *p)
{
    (void)sigprocmask(SIG_SETMASK, &p->before, NULL);
}

int patience_wait(struct patience *p, int ms)
{
    const struct timespec ts = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L };
    sigset_t set;

    signals(&set);
    if (!p->asked && sigtimedwait(&set, NULL, &ts) > 0)
        p->asked = 1;
    return p->asked;
}

int patience_over(void *arg)
{
    return patience_wait(arg, 0);
}
