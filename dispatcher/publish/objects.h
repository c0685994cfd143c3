/* objects.h - whether a store still has what results say was stored.
 *
 * Asked twice: when a job is resumed (what has gone is encoded again) and
 * right before publishing (design, rule 5.11: nothing names what isn't
 * there). Any thread.
 */
#ifndef GOPMILL_PUBLISH_OBJECTS_H
#define GOPMILL_PUBLISH_OBJECTS_H

#include <stddef.h>

struct err;
struct package;
struct store;
struct task_result;

typedef int object_fn(void *arg, const char *task, const char *key, const char *why);

/* Compare every segment and init segment of `results` (borrowed) with the
 * package's store: it is listed with the size of the result, and with its
 * md5 where the listing has one (S3's ETag). Where it has another, and where
 * `hash` is set and it has none, its bytes are read again and have the
 * result's sha256.
 *
 * `bad` (may be NULL) is called for each object that isn't so, in the order
 * of the results, with the task that made it and what is wrong ("missing",
 * "1000 bytes instead of 1200", "other bytes"); a non-zero return ends the
 * check and is returned.
 * Returns 0 and the number of bad objects; negative where the store can't
 * be asked (ERR_STORAGE), or -ENOMEM (ERR_RESOURCE). Objects that no result
 * names are none of its business. */
int package_check_objects(const struct task_result *const *results, size_t n_results,
                          struct store *store, int hash, object_fn *bad, void *arg, size_t *ret_bad,
                          struct err *err);

/* The same for what the playlists of `p` (borrowed) name, by size and md5 of
 * the listing; the order is that of the playlists. */
int package_check_named(const struct package *p, struct store *store, object_fn *bad, void *arg,
                        size_t *ret_bad, struct err *err);

#endif
