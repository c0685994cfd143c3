/* overlap.h - fragments of MP4 whose time was over when they came. Internal to common/media.
 *
 * Files of fragments that are joined end to end start over, and so do recorders that write a
 * fragment again. A demuxer keeps the first description of streams, and shows of what comes again
 * some pictures and some not; common players show what is later than all before.
 */
#ifndef GOPMILL_MEDIA_OVERLAP_H
#define GOPMILL_MEDIA_OVERLAP_H

#include "index.h"

/* Hide the packets that are decoded no later than one before them. Returns how many. */
uint64_t overlap_hide(struct media_index *idx);

#endif
