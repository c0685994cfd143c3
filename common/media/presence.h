/* presence.h - when a source's streams have packets: which a demuxer meets late, and which go on in
 * another one. Internal to common/media.
 *
 * Noted while a source is read from its beginning to its end (media_source.presence).
 */
#ifndef GOPMILL_MEDIA_PRESENCE_H
#define GOPMILL_MEDIA_PRESENCE_H

#include "../wire/media_info.h"

#include <libavformat/avformat.h>

struct media_source;
struct presence;

/* NULL when out of memory. */
struct presence *presence_new(void);
void presence_free(struct presence *p); /* NULL is a no-op */

/* Before reading: let the demuxer keep what isn't asked for, where one stream may go on in another
 * (MPEG-TS with several of a kind). */
void presence_begin(struct presence *p, const struct media_source *s);

/* A packet that was read, as the demuxer gave it. */
void presence_note(struct presence *p, const struct media_source *s, const AVPacket *pkt);

/* After reading: set the arrivals and joins of `i`, which has none. A stream goes on in another of
 * its kind that no table named together with it, and that has packets when it has none itself; the
 * earlier one is the one that goes on. Sound may change its codec; of pictures of two codecs the
 * fewer are left out. 1: there are some, 0, or -ENOMEM. */
int presence_find(const struct presence *p, const struct media_source *s, struct media_info *i);

#endif
