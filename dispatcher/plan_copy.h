/* plan_copy.h - whether a rendition may be the source's own packets: pure
 * functions over the index, what was read of the bitstream, and the rendition.
 *
 * One rendition of a job is copied at most, the best that allows it. What
 * speaks against it is told in rendition.not_copied, which ends the sentence
 * "1080p is encoded: …". When in doubt: encode.
 */
#ifndef GOPMILL_DISPATCHER_PLAN_COPY_H
#define GOPMILL_DISPATCHER_PLAN_COPY_H

#include "../common/media/copy.h"
#include "plan.h"

/* First, what container and index alone can tell: of those that may be a copy
 * (rendition.may_copy) leave the first that nothing speaks against, and say of
 * the others why not. *ret: its number, or n. 0 or -ENOMEM. */
int copy_sift(const struct media_info *info, const struct media_index *idx, struct rendition *list,
              size_t n, const struct plan_options *opts, size_t *ret);

/* Then what media_copy_look() found, where anything was left, and which
 * keyframes it marked: 1 where `r` fits; else 0, and r->not_copied says why.
 * -ENOMEM. */
int copy_fits(const struct copy_facts *f, const struct media_info *info,
              const struct media_index *idx, const struct plan_options *opts, struct rendition *r);

/* Make `r` a copy: it costs next to nothing. 0 or -ENOMEM. */
int copy_make(struct rendition *r);

/* At last, of a plan with a copy: GOPs begin only where the source has an IDR
 * picture that every rendition keeps. 0 where that made one longer than a
 * segment is to be, and why; -ENOMEM. */
int copy_gops_fit(const struct plan *p, char why[COPY_WHY_MAX]);

/* Where they don't fit: let each frame-rate cap of `list` count from the first
 * picture of `p` instead of the timeline's origin, so that of every n pictures
 * it keeps the first, as IDR pictures mostly are. The plan is to be made anew. */
void copy_shift_grids(const struct plan *p, struct rendition *list, size_t n);

/* Say why `r` is encoded. 0 or -ENOMEM. */
int copy_refuse(struct rendition *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* What channel the packets need, in bit/s, for a buffer of `bufsize` bits,
 * full at first, never to run dry (the VBV of encoders). INFINITY: a picture
 * alone is larger. -1: out of memory. */
double copy_peak(const struct media_info *info, const struct media_index *idx, double bufsize);

/* Mark packets at which a closed GOP begins: shown keyframes (`flags` names
 * what else they must have) that no later packet is shown before, nor an
 * earlier one after. `starts` has room for idx->n. 0 or -ENOMEM. */
int copy_starts(const struct media_index *idx, uint32_t flags, char *starts);

#endif
