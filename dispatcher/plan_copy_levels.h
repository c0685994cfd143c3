/* plan_copy_levels.h - which level a copied rendition may have. Internal to plan_copy. */
#ifndef GOPMILL_DISPATCHER_PLAN_COPY_LEVELS_H
#define GOPMILL_DISPATCHER_PLAN_COPY_LEVELS_H

#include "../common/wire/rendition.h"

/* The level that is enough for the rendition's size, rate and cap, as its
 * codec counts them (level_idc, general_level_idc, seq_level_idx); never below
 * 4.1, which whatever plays video plays. */
int copy_level_enough(const struct rendition *r);

/* As people write it: 41 of H.264, 123 of HEVC and 9 of AV1 are 4.1. */
double copy_level_number(const struct rendition *r, int level);

#endif
