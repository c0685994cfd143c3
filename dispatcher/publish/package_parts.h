/* package_parts.h - how results are joined to a package, whole or early;
 * private to publish/.
 */
#ifndef GOPMILL_PUBLISH_PACKAGE_PARTS_H
#define GOPMILL_PUBLISH_PACKAGE_PARTS_H

#include "../../common/base/cleanup.h"
#include "package.h"

DEFINE_CLEANUP(struct package *, package_unbuild);

struct joiner {
    struct package *pkg;
    struct package_redo redo; /* room for every result */
    struct err *err;          /* of the first fault */
    int faults;
};

/* With room for all that is planned, and empty. NULL: out of memory. */
struct package *package_new(const struct plan *plan, const struct task_result *const *results,
                            size_t n_results);

/* Put the segments of a result in their places. 0 also where a fault was
 * noted; -ENOMEM. */
int package_join(struct joiner *j, const struct task_result *from);

/* All rates, and target_s where it isn't that high already. 0 or -ENOMEM. */
int package_measure(struct package *p);

/* Let go of the extras that no result has, or of all. */
void package_drop_extras(struct package *p, int all);

#endif
