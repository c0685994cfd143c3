/* publisher.h - looks through stores and publishes packages on threads of
 * its own, so that the dispatcher waits for none of it.
 *
 * One request of a job is at work at a time; requests of other jobs go on
 * beside it, in the order they came. Doing a request again does no harm.
 * Everything in a request is a copy, owned by the publisher once
 * publisher_submit() has returned 0. Any thread may submit; what a store
 * says may pass, the store has tried again itself: an outcome is final.
 *
 * Played before it is finished (PUBLISH_EARLY): HLS only, over the first
 * segments that are there in every H.264 rendition (in every rendition of one
 * codec where none is H.264), with all sound; other codecs join as they have
 * theirs (package_build_early()); media playlists of type EVENT first,
 * then the master, with the rates measured so far. There is no DASH manifest
 * until the end: a static one must not claim what isn't there, and a dynamic
 * one ties segments to a clock that encoding doesn't keep. PUBLISH_FINAL then
 * writes all of it anew, type VOD, with the same segments first.
 */
#ifndef GOPMILL_DISPATCHER_PUBLISHER_H
#define GOPMILL_DISPATCHER_PUBLISHER_H

#include <stddef.h>
#include <stdint.h>

#include "../common/base/err.h"

struct publisher;
struct store_env;

enum publish_what {
    PUBLISH_FINAL, /* add all results up against the plan, check every object, publish */
    PUBLISH_EARLY, /* playlists of type EVENT over what is there without a hole, where it is enough;
                    * nothing where a finished package (job.json) lies there already */
    PUBLISH_CHECK, /* only look whether the objects of these results are there, bytes included */
    PUBLISH_END,   /* what of it could be played early will grow no more (publish/ending.h); with
                    * `everything` it is removed */
    PUBLISH_SWEEP, /* remove what no published receipt names; with `everything`, the package too */
    PUBLISH_WHAT_MAX
};

struct publish_request {
    enum publish_what what;
    char *job, *output;         /* URL of the prefix */
    char *source, *etag;        /* for the receipt: PUBLISH_FINAL */
    char *ladder, *ladder_name; /* likewise; ladder: the YAML text */
    char *plan;                 /* JSON text; PUBLISH_SWEEP and _CHECK: may be NULL */
    char **results;             /* JSON texts, of done tasks */
    size_t n_results;
    int everything; /* PUBLISH_SWEEP, PUBLISH_END */
    char *version;  /* of its media (publish/version.h); NULL or "": none */
    char **spared;  /* PUBLISH_SWEEP: versions that stay (publish/sweep.h) */
    size_t n_spared;
};
/* Frees the request itself, too. NULL is a no-op. */
void publish_request_free(struct publish_request *r);

struct publish_fault { /* what a done task made is wrong or gone */
    char *task;
    char reason[256];
    /* It counts as a failed attempt: it differs from the plan or from the
     * first chunk's init segment, or it went while the job was at work, for
     * a store that loses what it took must not keep a job busy for ever. Not
     * counted is what PUBLISH_CHECK finds, after whatever happened between
     * two runs. */
    int counted;
};

struct publish_outcome {
    enum publish_what what;
    char *job;
    int r; /* 0; -ESTALE: see faults (err tells of the first), nothing was published; else why in
            * err */
    struct err err;
    int away; /* it failed because the store was away, and is to be done again when that is back */
    struct publish_fault *faults; /* each task once */
    size_t n_faults;
    size_t segments; /* PUBLISH_EARLY: in the shortest video playlist; 0: not enough yet, nothing
                      * was stored */
    size_t removed;  /* PUBLISH_SWEEP: objects, also where it failed half way */
};
/* Frees the outcome itself, too. NULL is a no-op. */
void publish_outcome_free(struct publish_outcome *o);

/* `done` is called on a publisher's thread with an outcome that is then the
 * callee's; the job is free for its next request by then. It must not wait
 * for the publisher. `threads` at once (0: 1, at most 64). `stores` is
 * borrowed; NULL: file:// only. -ENOMEM, -EAGAIN (ERR_RESOURCE). */
int publisher_new(struct store_env *stores, unsigned threads,
                  void (*done)(void *arg, struct publish_outcome *o), void *arg,
                  struct publisher **ret, struct err *err);

/* -EBUSY: one of this job is at work or waits (only a PUBLISH_EARLY that still waits gives way
 * silently, without an outcome). -ENOMEM. -EINVAL: a text that `what` needs is NULL. `req` is
 * taken on 0 only. */
int publisher_submit(struct publisher *p, struct publish_request *req);

/* Ends after what is at work now, whose outcomes are still told; what waits is dropped. Nothing is
 * called any more when it returns. NULL is a no-op. */
void publisher_free(struct publisher *p);

#endif
