/* probe.h - what is in a source: its streams and the index of its video.
 *
 * Runs in a child (see open.h).
 */
#ifndef GOPMILL_MEDIA_PROBE_H
#define GOPMILL_MEDIA_PROBE_H

#include "../wire/media_info.h"
#include "index.h"

struct err;
struct inside;

/* Open the source, choose its video and audio stream, read its index, and
 * tell all of it. The video chosen is the default one, else the largest;
 * cover art and thumbnails don't count. Of audio all tracks are told, at most
 * AUDIO_TRACKS_MAX: first the default one, else the first, then the others. What can't be
 * decoded or holds no sound is left out with a warning, as long as another
 * track is left.
 *
 * Both results are the caller's (media_info_release(),
 * media_index_release()); `idx` is empty for audio only. -EINVAL with
 * ERR_INPUT where there is nothing to encode. */
int media_probe(struct inside *in, struct media_info *ret, struct media_index *ret_idx,
                struct err *err);

/* Look at the packets idx->packets[which[i]] (keyframes where decoding shall
 * begin), unless a scan has: mark those PACKET_UNSAFE after which a decoder is
 * only right if it began earlier, and take PACKET_KEY from those that are no
 * keyframes; is there one of these, all others are looked at, too. Returns how
 * many it marked, or negative. */
int media_index_check(struct inside *in, const struct media_info *info, struct media_index *idx,
                      const size_t *which, size_t n, struct err *err);

/* Add to i->warnings. 0, or -ENOMEM. */
int probe_warn(struct media_info *i, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
