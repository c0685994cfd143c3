/* edit_list.h - what the edit lists of ISO media (ISO 14496-12, 8.6.6) make of a
 * track's own times: read from the boxes here, and applied here, to the pictures and the
 * sound of one decode that knows nothing of them.
 *
 * An edit shows its media from its media time on, at its rate, for its duration; one
 * that begins inside of a picture shows that picture for what is left of it. Rate 0 holds
 * the picture, and is silent. An empty edit lets time pass: what was shown stays. A
 * duration of 0 is the rest of the media; so is that of the only edit of a fragmented
 * file, whose header can't know.
 */
#ifndef GOPMILL_VERIFY_EDIT_LIST_H
#define GOPMILL_VERIFY_EDIT_LIST_H

#include <stddef.h>
#include <stdint.h>

struct sound;
struct source;

struct edit {
    double from_s;  /* on the timeline that is shown */
    double lasts_s; /* INFINITY: to the end of the media */
    double media_s; /* in the track's own times */
    double rate;
    int empty;
};

struct edit_track {
    uint32_t id;
    struct edit *edits;
    size_t n;
    double tick_s; /* the coarser one of its two scales */
};

struct edit_lists {
    struct edit_track *tracks; /* those that have a list */
    size_t n;
};

/* The body of a file's moov; NULL: it has none that can be read. */
uint8_t *moov_of_file(const char *path, size_t *ret_len);

/* Of a file that is no ISO media, or has none that can be read: none. 0 or -ENOMEM. */
int edit_lists_read(const char *path, struct edit_lists *ret);
void edit_lists_release(struct edit_lists *l);
const struct edit_track *edit_lists_of(const struct edit_lists *l, int track_id); /* NULL: none */

/* Times of the pictures become those at which they are shown; a picture may be there
 * more than once, or not at all. Sets video_tb, and until. 0 or -ENOMEM. */
int edits_show(const struct edit_track *t, struct source *s);
/* The same for a settled sound. 0 or -ENOMEM. */
int edits_play(const struct edit_track *t, struct sound *s);

#endif
