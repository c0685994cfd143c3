/* tracks.h - which of a source's sound tracks are told of. Internal to
 * common/media. */
#ifndef GOPMILL_MEDIA_TRACKS_H
#define GOPMILL_MEDIA_TRACKS_H

#include "../wire/media_info.h"

struct index_track;
struct media_source;

/* Set i->audio and i->more_audio, with the times that the container claims,
 * ends not known yet. `s` has all details (MEDIA_OPEN_DETAILS); where there
 * are several tracks it is read on, until each has shown that it can be
 * decoded. 0, or -ENOMEM. */
int tracks_find(struct media_source *s, struct media_info *i);

/* The times that a scan has found; a track without sound goes. The first of
 * the others takes the place of the default one. 0, or -ENOMEM. */
int tracks_set_times(struct media_info *i, const struct index_track *found);

#endif
