/* hls.h - the playlists of a package, after RFC 8216bis and Apple's HLS
 * authoring specification.
 *
 * Pure functions from a package to a text. Each returns 0 and a
 * NUL-terminated text that the caller frees, or -ENOMEM with ERR_RESOURCE.
 * Times are written in microseconds; each EXTINF is the difference of two
 * rounded times, so that they add up to the exact duration however many
 * there are. The first EXTINF of sound includes the encoder's priming: what was
 * before a segment by its playlist is then its tfdt. Players that know no edit list
 * (shaka-player) move a segment by the difference, and would overlap sound at a joint.
 *
 * Of a growing package (package_build_early()) media playlists are of type
 * EVENT and without an end, and every later one of the same plan, the last
 * (VOD) included, has the same target duration and the same segments, letter
 * by letter, with more behind them; its master sends players to the start,
 * where they would otherwise go to the newest segment.
 */
#ifndef GOPMILL_PUBLISH_HLS_H
#define GOPMILL_PUBLISH_HLS_H

#include "package.h"

/* Of a growing package's master. */
#define HLS_START_LINE "#EXT-X-START:TIME-OFFSET=0,PRECISE=YES\n"

/* master.m3u8. One audio group for each audio rung of the ladder, with each
 * of the source's tracks once (track.h), and each video rendition once with
 * each group. Of sound alone each group is a variant; where there is but one
 * track, a variant without a group.
 *
 * Subtitles are one group, which every variant has.
 *
 * BANDWIDTH is the sum of the peak segment bit rates of video, audio and
 * subtitles (that of a group's largest), AVERAGE-BANDWIDTH the sum of their
 * average ones (RFC 8216bis, 4.4.6.2), both measured. FRAME-RATE is the nominal one, or the average
 * of a variable-rate source where that is higher: for its largest, a single short frame would lock
 * players out.
 *
 * A player starts with the variant that comes first: that is the one of the
 * most widely played codec whose average is nearest to 2 Mb/s (Apple's
 * authoring specification, "default variant"), with the first audio group.
 * The others follow best first, in the order of the plan. */
int hls_master(const struct package *p, char **ret, size_t *ret_len, struct err *err);

/* video/<name>/index.m3u8, or that of audio/<name>/ or text/<name>/. The media sequence
 * starts at 1, so that a segment's number is the one in its file name. */
int hls_media(const struct package *p, const struct package_rendition *r, char **ret,
              size_t *ret_len, struct err *err);

/* storyboard/index.m3u8: sheets of tiles (EXT-X-IMAGES-ONLY, EXT-X-TILES), as
 * Roku's players and others read them. */
int hls_images(const struct package *p, const struct package_rendition *r, char **ret,
               size_t *ret_len, struct err *err);

/* video/<name>/iframe.m3u8: the first sample of each GOP as a byte range. */
int hls_iframes(const struct package *p, const struct package_rendition *r, char **ret,
                size_t *ret_len, struct err *err);

#endif
