/* dash.h - manifest.mpd of a package, after ISO/IEC 23009-1 and the DASH-IF
 * interoperability guidelines.
 *
 * Static, profile isoff-live: one SegmentTemplate with a SegmentTimeline in
 * integer ticks for each adaptation set, naming the same CMAF segments as
 * the playlists. Renditions share a set where a player may switch between
 * them: same codec, same colour, or the same track of sound in the same
 * layout, and the same segment times. A set of sound has its language, its
 * title as a Label, and a Role (track.h): main for the default track.
 *
 * Each track of subtitles is a set whose one representation is a whole WebVTT
 * file. A storyboard is a set of images (DASH-IF IOP, 6.2.6).
 *
 * Colour: PQ and HLG sets carry EssentialProperty descriptors
 * (urn:mpeg:mpegB:cicp:*), so that a player that can't show them leaves them
 * alone; HLG's transfer is supplemental, since it degrades to SDR (as in
 * DVB-DASH). SDR sets carry what is known as SupplementalProperty.
 *
 * There is none of a growing package: a static one must not claim what isn't
 * there yet, and a dynamic one needs a clock (availabilityStartTime, and
 * segments that become available as real time passes), which encoding, faster
 * or slower than that, doesn't keep. DASH players get the finished package.
 *
 * @bandwidth is measured for the @minBufferTime that stands in the manifest
 * (bitrate_sustained()).
 */
#ifndef GOPMILL_PUBLISH_DASH_H
#define GOPMILL_PUBLISH_DASH_H

#include "package.h"

/* 0 and a NUL-terminated text that the caller frees, or -ENOMEM with
 * ERR_RESOURCE. Pure; any thread. */
int dash_manifest(const struct package *p, char **ret, size_t *ret_len, struct err *err);

#endif
