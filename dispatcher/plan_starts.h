/* plan_starts.h - a plan whose chunks begin to decode where that is right.
 *
 * The law: pictures of a chunk are to the bit those of one decode from the source's
 * beginning. What bytes tell of a keyframe is looked at first (media_index_check());
 * what they don't is tried (proof.h). A place that fails is no place to begin; a source
 * of which too many do is decoded from its beginning for every chunk.
 */
#ifndef GOPMILL_DISPATCHER_PLAN_STARTS_H
#define GOPMILL_DISPATCHER_PLAN_STARTS_H

#include "../common/media/index.h"
#include "plan.h"

struct inside;
struct proof;

struct plan_source {
    struct inside *in;
    struct media_info *info; /* warnings are added */
    struct media_index *idx; /* flags of packets are mended */
    struct proof *proof;     /* NULL: nothing is tried */
};

/* All borrowed. As plan_make(); *ret is the caller's. */
int plan_safely(const struct plan_source *s, const struct rendition *list, size_t n,
                const struct plan_options *opts, struct plan *ret, struct err *err);

#endif
