/* match.h - which source frame each frame of a package is, and the checks
 * that hold a package against its source or against its own decode.
 */
#ifndef GOPMILL_VERIFY_MATCH_H
#define GOPMILL_VERIFY_MATCH_H

#include "package.h"
#include "source.h"

struct match {
    size_t n_renditions;
    size_t **source_of; /* a rendition's frame -> source frame; SIZE_MAX: none */
    int has_origin;
    double origin_s; /* source time of the timeline's 0 */
};

/* source.frames and source.origin. NULL: out of memory. */
struct match *match_source(struct package *p, struct source *s);
void match_free(struct match *m);

/* decode.video, decode.audio, source.picture. `s` and `m` may be NULL: then
 * pictures aren't compared. Renditions are decoded side by side on `threads`
 * threads, one each. */
void check_decode(struct package *p, const struct source *s, const struct match *m,
                  unsigned threads);

/* source.audio */
void check_sound(struct package *p, const struct source *s, const struct match *m);

/* hls.groups, dash.tracks: sound tracks, as playlists tell them apart. */
void check_groups(struct package *p);
/* source.tracks: which tracks, of which language, which is the default. */
void check_source_tracks(struct package *p, const struct source *s);

/* The source's sound that this rendition claims to be of: its receipt's, else
 * the best one. NULL: it is no sound, or the source has none such. */
const struct source_sound *sound_of(const struct package *p, const struct source *s,
                                    const struct rendition *r);

#endif
