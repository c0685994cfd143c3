/* arrivals.h - streams that aren't there when a source is opened: those of MPEG-PS and FLV, which
 * no table names, until their first packet; those of MPEG-TS that a later table names.
 *
 * A demuxer numbers streams as it meets them. So that all number them alike, wherever they read,
 * each is shown the places where a reading from the beginning has met new ones
 * (media_info.arrivals). Where streams of MPEG-TS move to other PIDs, packets of the new one count
 * as the old one's (media_info.joins).
 */
#ifndef GOPMILL_MEDIA_ARRIVALS_H
#define GOPMILL_MEDIA_ARRIVALS_H

#include "../wire/media_info.h"

#include <libavformat/avformat.h>

struct err;
struct inside;
struct media_source;

/* media_open() with `flags`, then all that `info` says of how its packets are read: arrivals, joins
 * and splices, which are borrowed from it. */
int media_open_as(struct inside *in, const struct media_info *info, int flags,
                  struct media_source *ret, struct err *err);

/* The same with media_flags_for() that stream, of which alone packets come. -EINVAL with ERR_INPUT:
 * it isn't there. */
int media_open_stream(struct inside *in, const struct media_info *info, int stream,
                      struct media_source *ret, struct err *err);

/* Whether further streams may come while packets of this format are read. */
int media_has_arrivals(const struct media_source *s);

/* The stream that goes on in `st`; -1: what comes of it is left out; JOINED_TO_NONE: it is one of
 * its own. */
enum { JOINED_TO_NONE = -2 };
int media_joined_to(const struct media_info *info, const AVStream *st);

/* Whether one decoder takes both: MPEG-TS has one number for MP1, MP2 and MP3. */
int media_same_codec(const AVStream *a, const AVStream *b);

/* The stream that a packet counts as: its own, or the one that goes on in it; -1: none. */
int media_joined_stream(const struct media_source *s, const AVPacket *pkt);

#endif
