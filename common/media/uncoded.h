/* uncoded.h - pictures of MPEG-4 (part 2) that aren't coded. Internal to common/media.
 *
 * A VOP whose vop_coded is 0 (ISO/IEC 14496-2, 6.2.5) says that the picture before it stays. XviD
 * and DivX write them for still scenes, for frames that they drop, and behind packed pairs.
 * libavcodec shows nothing for such a packet, and no more does any player: it is no frame, but the
 * time it takes counts.
 */
#ifndef GOPMILL_MEDIA_UNCODED_H
#define GOPMILL_MEDIA_UNCODED_H

#include "index.h"

#include <libavcodec/codec_par.h>

enum { UNCODED_BYTES_MAX = 19 }; /* a packet that is longer holds a picture */

/* Whether that is all a whole packet holds. How many bits a time has says the header of the video
 * object layer, in the packet or in `par`; without one it isn't told. */
int uncoded_vop(const AVCodecParameters *par, const uint8_t *p, size_t n);

/* Where the last packets of an index are PACKET_AGAIN, let the last picture last as long. */
void uncoded_extend(struct media_index *idx);

#endif
