/* place.h - who is at the same output: jobs whose tasks write there, and
 * sweeps, which remove there what no receipt names. Never both at once: a
 * sweep would take what a task has just stored. Private to engine*.c; owned by
 * the dispatcher's thread.
 *
 * Two URLs are one place where they differ in slashes at their end only.
 */
#ifndef GOPMILL_DISPATCHER_PLACE_H
#define GOPMILL_DISPATCHER_PLACE_H

#include <stddef.h>

struct place {
    struct place *next; /* of its bucket */
    size_t refs;
    unsigned writers; /* jobs that run or are published */
    unsigned sweeps;  /* at work */
    unsigned pending; /* sweeps of deleted jobs, until they are done */
    char text[];
};

enum { PLACE_BUCKETS = 4096 };

struct places {
    struct place **buckets; /* NULL: none yet */
};

/* The place of that URL; NULL: out of memory. Given back by place_put(). */
struct place *place_get(struct places *all, const char *url);
void place_put(struct places *all, struct place *p); /* NULL is a no-op */

/* Every place was given back before. */
void places_release(struct places *all);

#endif
