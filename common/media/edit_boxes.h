/* edit_boxes.h - the edit lists of an MP4 or MOV, as its boxes have them
 * (ISO/IEC 14496-12, 8.6.6). Runs in a child.
 *
 * libavformat has read them too, but tells nobody what they say. Only headers
 * of boxes and these lists are read, never a sample table.
 */
#ifndef GOPMILL_MEDIA_EDIT_BOXES_H
#define GOPMILL_MEDIA_EDIT_BOXES_H

#include <stddef.h>
#include <stdint.h>

struct err;
struct inside;

struct raw_edit {
    uint64_t length; /* ticks of the movie */
    int64_t media;   /* ticks of the track; -1: nothing is presented */
    int32_t rate;    /* 16.16 */
};

struct edit_track {
    uint32_t id;
    uint64_t entries; /* of its list, as many as that says */
    struct raw_edit *edits;
    size_t n_edits;       /* of those that are there, at most EDITS_MAX */
    int64_t first_offset; /* composition offset of its first sample, ticks of the track */
    uint32_t scale;       /* ticks of the track in a second; 0: unknown */
    uint64_t duration;    /* of its media, as its header says; ticks of the track */
};

enum { EDIT_TRACKS_MAX = 128 }; /* as many as are opened (open.c) */

struct edit_tracks {
    uint32_t scale; /* ticks of the movie in a second; 0: unknown */
    int fragmented; /* it may have movie fragments */
    int trimmed;    /* fragments: the only edit of a track hides pictures (edits.h) */
    struct edit_track *tracks;
    size_t n_tracks;
};

/* What isn't made of boxes, or is damaged, has none, or those before the damage. -ENOMEM with
 * ERR_RESOURCE, or what the parent says of a read. `ret` is to be released if 0 was returned. */
int edit_boxes_read(struct inside *in, struct edit_tracks *ret, struct err *err);
void edit_boxes_release(struct edit_tracks *t); /* leaves it zeroed */

#endif
