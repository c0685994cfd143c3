/* track.h - what playlists call a source's sound tracks.
 *
 * Track 0 is the default one. Renditions of one rung of the ladder make a
 * group, in which each track is there once (hls.h); so names have to differ
 * among tracks only.
 *
 * Pure; any thread.
 */
#ifndef GOPMILL_PUBLISH_TRACK_H
#define GOPMILL_PUBLISH_TRACK_H

#include "language.h"
#include "package.h"

enum { TRACK_NAME_MAX = 192 };

struct track_label {
    char name[TRACK_NAME_MAX];       /* for people: title, else language and purpose; unique in the
                                      * job, without quotes and control characters */
    char language[LANGUAGE_TAG_MAX]; /* "": not known */
    char title[TRACK_NAME_MAX];      /* as the source calls it, cleaned likewise; "": it doesn't */
    int is_default;
    int autoselect;   /* a player may choose it unasked, by language: not a commentary, and not one
                       * that an earlier track can't be told from */
    int describes;    /* it tells what is seen (audio description) */
    const char *role; /* urn:mpeg:dash:role:2011 */
};

/* Of a track that has renditions in the plan. */
void track_label(const struct plan *p, size_t track, struct track_label *ret);

/* Whether `r` is of the group of `first`: the same rung. */
int track_same_group(const struct package_rendition *first, const struct package_rendition *r);

/* Whether rendition `i` of the package is the first of its group. Audio only. */
int track_leads(const struct package *p, size_t i);

#endif
