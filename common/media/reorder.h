/* reorder.h - how many pictures a decoder has to hold back before it shows one. Internal to
 * common/media.
 *
 * H.264 says so in its VUI (bitstream_restriction, E.2.1), which encoders may leave out. Then
 * libavcodec finds out while it decodes, and each time that it needs one more a picture was already
 * shown too early, and another is lost. One decode loses some at its beginning; a decoder that
 * begins in the middle, there too. Times of display tell it beforehand.
 */
#ifndef GOPMILL_MEDIA_REORDER_H
#define GOPMILL_MEDIA_REORDER_H

#include "index.h"

enum { REORDER_MAX = 16 }; /* frames that a decoder of H.264 holds at most (A.3.1) */

/* The largest number of packets that come before one and are shown after it. Times that jump back
 * don't count, nor what shows nothing. */
int reorder_depth(const struct media_index *idx);

#endif
