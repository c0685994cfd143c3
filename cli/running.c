#include "running.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct running_slot {
    char task[64]; /* "": idle */
    uint64_t done;
};

struct running {
    pthread_mutex_t lock; /* guards slots */
    unsigned n;
    struct running_slot slots[];
};

struct running *running_new(unsigned slots)
{
    struct running *r = calloc(1, sizeof(*r) + slots * sizeof(r->slots[0]));

    if (!r)
        return NULL;
    (void)pthread_mutex_init(&r->lock, NULL);
    r->n = slots;
    return r;
}

void running_free(struct running *r)
{
    if (!r)
        return;
    (void)pthread_mutex_destroy(&r->lock);
    free(r);
}

void running_set(struct running *r, unsigned slot, const char *task, uint64_t done)
{
    if (slot >= r->n)
        return;
    (void)pthread_mutex_lock(&r->lock);
    (void)snprintf(r->slots[slot].task, sizeof(r->slots[slot].task), "%s", task);
    r->slots[slot].done = done;
    (void)pthread_mutex_unlock(&r->lock);
}

void running_clear(struct running *r, unsigned slot)
{
    if (slot >= r->n)
        return;
    (void)pthread_mutex_lock(&r->lock);
    r->slots[slot] = (struct running_slot){ 0 };
    (void)pthread_mutex_unlock(&r->lock);
}

uint64_t running_done(struct running *r, const char *task)
{
    uint64_t done = 0;

    (void)pthread_mutex_lock(&r->lock);
    for (unsigned i = 0; i < r->n; i++)
        if (r->slots[i].done > done && !strcmp(r->slots[i].task, task))
            done = r->slots[i].done;
    (void)pthread_mutex_unlock(&r->lock);
    return done;
}

unsigned running_count(struct running *r)
{
    unsigned count = 0;

    (void)pthread_mutex_lock(&r->lock);
    for (unsigned i = 0; i < r->n; i++)
        count += r->slots[i].task[0] != '\0';
    (void)pthread_mutex_unlock(&r->lock);
    return count;
}
