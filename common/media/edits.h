/* edits.h - which streams of a source have edit lists that are applied here,
 * and what these say.
 *
 * libavformat applies the lists that nearly all files have: one edit, played
 * at its rate, behind empty ones or not. All others are ours: several edits,
 * dwells, other rates, lengths of 0, pictures that an edit begins in the
 * middle of. A source is opened without the demuxer's edits then
 * (MEDIA_OPEN_UNEDITED), and media_info.edits has the list. Runs in a child.
 */
#ifndef GOPMILL_MEDIA_EDITS_H
#define GOPMILL_MEDIA_EDITS_H

#include "index.h"

struct err;
struct inside;
struct media_info;
struct media_source;

/* Of the streams that `i` names, find those lists; `s` is any open context of the source.
 * -ENOTSUP with ERR_UNSUPPORTED: a list that can't be played. */
int edits_find(struct inside *in, const struct media_source *s, struct media_info *i,
               struct err *err);

/* The only edit of a stream in fragments is libavformat's, too: an offset, mostly. It doesn't hide
 * what lies before, though. Where `idx`, read with its edits, has pictures that end before the
 * presentation begins, the lists are ours after all; `tracks` are sound as it was read. 1: video's
 * is, and has to be read without edits; 0; or negative. */
struct index_track;
int edits_find_trimmed(struct inside *in, const struct media_source *s,
                       const struct media_index *idx, const struct index_track *tracks, size_t n,
                       struct media_info *i, struct err *err);

/* From video's packets without edits: an edit that goes to the end gets its length. Returns 1 where
 * it is a list for libavformat after all, which then is no longer in `i`; else 0. */
int edits_settle_video(struct media_info *i, const struct media_index *idx);

/* Of sound whose media ends at `media_end` (in its time base; INT64_MIN: unknown). Sets where its
 * track starts and ends. */
struct audio_info;
void edits_settle_audio(struct media_info *i, struct audio_info *a, int64_t media_end);

/* What a viewer should know of them: picture that stands still for want of any. 0 or -ENOMEM. */
int edits_tell(struct media_info *i);

#endif
