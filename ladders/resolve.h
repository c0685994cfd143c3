/* resolve.h - one rung against one source; internal to ladders/.
 * 0 or -ENOMEM; *r is zeroed by the caller and holds nothing on failure. */
#ifndef GOPMILL_LADDERS_RESOLVE_H
#define GOPMILL_LADDERS_RESOLVE_H

#include "rung.h"

/* A core encodes a channel of sound about this many times faster than real
 * time; decoding and resampling are in it. */
#define AUDIO_COST_A_CHANNEL 0.004
/* Decoding once more, and measuring. */
#define LOUDNESS_COST_A_CHANNEL 0.002
enum { AUDIO_MEMORY_BYTES = 8 << 20 };

int rung_resolve_video(const struct rung *g, const struct video_info *v, struct rendition *r);
int rung_resolve_audio(const struct rung *g, const struct audio_info *a, struct rendition *r);

/* All audio rungs for the source's tracks, behind the *n renditions in `out`,
 * which has room for RENDITIONS_MAX. On failure *n still counts those that
 * hold something. */
int resolve_audio(const struct ladder *l, const struct media_info *src, struct rendition *out,
                  size_t *n);

#endif
