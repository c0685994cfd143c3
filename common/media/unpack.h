/* unpack.h - MPEG-4 video whose packets hold a P and a B picture, made one
 * picture a packet. Internal to common/media.
 *
 * DivX wrote so into AVI, which has one place a frame and no time of display:
 * a packet with both, then one with a picture that isn't coded. Whoever begins
 * to decode in the middle loses one picture of such a pair. libavcodec's
 * mpeg4_unpack_bframes takes them apart, and leaves other streams alone.
 */
#ifndef GOPMILL_MEDIA_UNPACK_H
#define GOPMILL_MEDIA_UNPACK_H

#include <libavcodec/bsf.h>
#include <libavformat/avformat.h>

/* A filter for that stream in *ret; NULL: it needs none. 0 or AVERROR(ENOMEM). */
int unpack_open(const AVFormatContext *f, const AVStream *st, AVBSFContext **ret);

/* A packet of that stream, in place. 1: it is one; 0: the filter wants another first.
 * A B picture has its decode time as its time. Negative AVERROR: out of memory. */
int unpack_packet(AVBSFContext *b, AVPacket *pkt);

#endif
