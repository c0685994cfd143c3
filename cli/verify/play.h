/* play.h - a rendition as a player reads it: init and segments one behind
 * the other through libavformat, decoded by libavcodec on one thread. It
 * knows nothing of what bmff.h found: the two are compared.
 */
#ifndef GOPMILL_VERIFY_PLAY_H
#define GOPMILL_VERIFY_PLAY_H

#include <libavformat/avformat.h>

#include "package.h"

struct player;

/* `p` and `r` are borrowed and only read. ERR_INPUT where no demuxer or
 * decoder takes it. */
int player_open(const struct package *p, const struct rendition *r, struct player **ret,
                struct err *err);
void player_free(struct player *pl);

/* From now on damage is no error: what a decoder makes of it is given out,
 * and what it makes nothing of is left out. */
void player_forgive(struct player *pl);

/* 1: *frame is the next one (unreferenced by the next call), its pts in
 * player_time_base(). 0: the end. -EINVAL with what the decoder disliked. */
int player_next(struct player *pl, AVFrame **ret, struct err *err);
AVRational player_time_base(const struct player *pl);

#endif
