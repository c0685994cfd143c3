/* hidden.h - samples of MP4 that show no picture. Internal to common/media.
 *
 * Samples aren't read for an index of MP4, and by its standard each one shows a picture: hidden
 * frames of VP9 stand in one sample with the next shown one (VP9 in ISOBMFF, 2.1). Some writers
 * give them samples of their own, with times of their own.
 */
#ifndef GOPMILL_MEDIA_HIDDEN_H
#define GOPMILL_MEDIA_HIDDEN_H

#include <libavcodec/codec_par.h>

struct err;
struct inside;
struct media_index;

/* Of VP8 and VP9 look at the first samples, and where one shows nothing at all: what shows nothing
 * is marked as PACKET_HIDDEN. 0 or negative. */
int hidden_look(struct inside *in, const AVCodecParameters *par, struct media_index *idx,
                struct err *err);

#endif
