/* uploads.h - stores the objects of one attempt while its child goes on.
 *
 * Threads are started as they are needed, up to a limit; what waits or is
 * being stored is held to a number of bytes, and the one that hands over
 * waits for room. The first failure is remembered: nothing more is stored
 * after it, and whoever waits is woken.
 *
 * One thread puts and finishes; uploads_cancel() may be called by any.
 */
#ifndef GOPMILL_WORKER_UPLOADS_H
#define GOPMILL_WORKER_UPLOADS_H

#include <stddef.h>

struct err;
struct objects;
struct store;
struct uploads;

struct uploads_config {
    struct store *output; /* borrowed, until uploads_free() */
    unsigned threads;     /* at least 1 */
    size_t limit_bytes;   /* one object may be larger */

    /* Called once, on an uploader's thread, after the first failure (not for
     * uploads_cancel()). */
    void (*on_failure)(void *arg);
    void *arg;
};

/* NULL: out of memory. */
struct uploads *uploads_new(const struct uploads_config *cfg);
/* Ends like uploads_cancel() and uploads_finish() first. NULL is a no-op. */
void uploads_free(struct uploads *u);

/* Have `buf` (copied) stored under `key`. May wait for room. What went wrong
 * with an object before comes out here, too: then nothing was taken over.
 * -EPROTO with ERR_INTERNAL for a key that was there already. */
int uploads_put(struct uploads *u, const char *key, const void *buf, size_t len, struct err *err);

/* Store nothing more; what is on its way can't be called back. */
void uploads_cancel(struct uploads *u);

/* Wait until all is stored. 0 with *ret_objects (borrowed from `u`), or the
 * first failure; -ECANCELED (ERR_CANCELED) after uploads_cancel(). */
int uploads_finish(struct uploads *u, const struct objects **ret_objects, struct err *err);

#endif
