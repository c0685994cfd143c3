/* likeness.h - whether a picture is the one that it should be: the whole of it,
 * and each of its parts.
 *
 * What encoders and colour conversions may change is fitted away first:
 * brightness and contrast, luma that moves with chroma (another matrix) and, from
 * HDR to SDR, a bend. Then each of 8 x 8 blocks is held against the source's
 * within a pixel (scalers and deinterlacers shift by parts of one), and what moves
 * against the frames before and after.
 */
#ifndef GOPMILL_VERIFY_LIKENESS_H
#define GOPMILL_VERIFY_LIKENESS_H

#include "thumb.h"

enum likeness {
    LIKENESS_SAME,
    LIKENESS_BEFORE, /* it is the frame before */
    LIKENESS_AFTER,  /* it is the frame after */
};

struct likeness_detail {
    double off, other;    /* where it moves: mean square of the difference to its own frame, to the
                             other one */
    double strangest;     /* of all blocks the most that it is off, a mean in levels of luma */
    unsigned column, row; /* that block, of 8 x 8 */
};

/* Whether it is another frame; how strange its strangest part is is set in any case.
 * `before` and `after` are the source's frames around `own`; NULL: there is none. */
enum likeness likeness_of(const struct thumb *out, const struct thumb *own,
                          const struct thumb *before, const struct thumb *after,
                          struct likeness_detail *ret);

#endif
