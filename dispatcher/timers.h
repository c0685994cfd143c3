/* timers.h - what is to be looked at when: a heap of moments. Pure; private
 * to dispatcher/.
 */
#ifndef GOPMILL_DISPATCHER_TIMERS_H
#define GOPMILL_DISPATCHER_TIMERS_H

#include <stddef.h>
#include <stdint.h>

struct timer {
    int64_t at_ms;
    void *owner; /* borrowed */
    size_t what;
};

struct timers { /* {0}: none */
    struct timer *v;
    size_t n, cap;
};

void timers_release(struct timers *t);
int timers_add(struct timers *t, int64_t at_ms, void *owner, size_t what); /* 0 or -ENOMEM */
/* The earliest that is due: 1, taken out; else 0. */
int timers_pop(struct timers *t, int64_t now_ms, struct timer *ret);
int64_t timers_next(const struct timers *t); /* INT64_MAX: none */
/* Forget those of an owner, or (what not SIZE_MAX) one of them. Linear. */
size_t timers_forget(struct timers *t, const void *owner, size_t what);

#endif
