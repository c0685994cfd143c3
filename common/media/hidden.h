/* hidden.h - samples of MP4 that show no picture. Internal to common/media.
 *
 * Samples aren't read for an index of MP4, and by its standard each one shows a picture: hidden
 * frames of VP9 stand in one sample with the next shown one (VP9 in ISOBMFF, 2.1), parameter sets
 * of H.264 in the sample description or with their picture (ISO/IEC 14496-15, 5.3). Some writers
 * give them samples of their own, with times of their own; and pictures of MPEG-4 that aren't coded
 * have some.
 */
#ifndef GOPMILL_MEDIA_HIDDEN_H
#define GOPMILL_MEDIA_HIDDEN_H

#include <libavcodec/codec_par.h>

struct err;
struct inside;
struct media_index;

/* What shows nothing is marked as PACKET_HIDDEN, and as PACKET_SETS what brings parameter sets that
 * the sample description doesn't have. Of VP8 and VP9 the first samples are looked at, and all
 * where one of these shows nothing; of MPEG-4 very small ones; of H.264 and HEVC small ones at
 * the beginning and around keyframes. 0 or negative. */
int hidden_look(struct inside *in, const AVCodecParameters *par, struct media_index *idx,
                struct err *err);

#endif
