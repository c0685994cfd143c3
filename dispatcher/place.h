/* place.h - who is at the same output: the jobs it belongs to, those whose
 * tasks write there, and sweeps, which remove there what no receipt names.
 * A job writes or a sweep removes, never both at once: a sweep would take what a
 * task has just stored. Private to engine*.c; owned by the dispatcher's thread.
 *
 * Places form a tree, by the parts of their URLs, so that a place knows what
 * lies around it and whether anything lies inside of it. Two URLs are one place where they differ
 * in slashes at their end only; of file:// also in escapes, doubled slashes and "localhost".
 */
#ifndef GOPMILL_DISPATCHER_PLACE_H
#define GOPMILL_DISPATCHER_PLACE_H

#include <stddef.h>

struct live_job;

struct place {
    struct place *next;    /* of its bucket */
    struct place *around;  /* that it is inside of; NULL: of a scheme's root */
    struct live_job *jobs; /* all jobs of this output, linked by `neighbour` */
    size_t inside;         /* jobs at outputs inside of it */
    size_t refs;
    unsigned writers; /* jobs that run or are published */
    unsigned sweeps;  /* at work */
    unsigned pending; /* sweeps of deleted jobs, until they are done */
    size_t len;
    char part[]; /* of the URL, not terminated */
};

enum { PLACE_BUCKETS = 4096 };

struct places {
    struct place **buckets; /* NULL: none yet */
};

/* The place of that URL; NULL: out of memory. Given back by place_put(). */
struct place *place_get(struct places *all, const char *url);
void place_put(struct places *all, struct place *p); /* NULL is a no-op */

/* A job has that output from now on, or no longer. It holds a reference of its own to its place. */
void place_add_job(struct place *p, struct live_job *j);
void place_remove_job(struct place *p, struct live_job *j);

/* Every place was given back before. */
void places_release(struct places *all);

#endif
