/* said.h - what a track of subtitles of the source says, and when: read and decoded anew, by
 * nothing that made the package.
 */
#ifndef GOPMILL_VERIFY_SAID_H
#define GOPMILL_VERIFY_SAID_H

#include <stddef.h>
#include <stdint.h>

struct err;
struct source;

struct said_line {
    int64_t start, end; /* milliseconds on the timeline; end INT64_MAX: nobody knows */
    char *words;        /* without blanks, line ends and markup */
    int found;          /* for the caller */
};

struct said {
    struct said_line *v;
    size_t n, room;
};

/* Times are within that of each other. */
enum { SAID_OFF_MS = 2 };

/* Stream `stream`, of teletext that page of it (0: all that are subtitles); `origin_s` is where
 * the timeline begins. -EINVAL with ERR_INPUT; -ENOMEM. Release it in any case. */
int said_read(const struct source *s, int stream, int page, double origin_s, struct said *ret,
              struct err *err);
void said_release(struct said *l);

/* What is below is for said_read() alone. */

/* A line that is shown from `start` to `end`, with what isn't read taken out of `text` (copied):
 * blanks and control characters. One that goes on (`repeats`: packets say again what is still
 * shown) makes the one before longer. Nothing is added where nothing is said, or it ends before
 * the timeline begins. 0 or -ENOMEM. */
int said_add(struct said *l, int64_t start, int64_t end, const char *text, int repeats);

/* A document of TTML, of which `from` to `to` is shown; `zero` is where the timeline begins; all in
 * milliseconds. -EINVAL: it isn't one. -ENOMEM. */
int said_ttml(const void *data, size_t size, int64_t zero, int64_t from, int64_t to,
              struct said *l);

/* A sample of cues (wvtt, ISO/IEC 14496-30). 0 or -ENOMEM. */
int said_boxes(const uint8_t *data, size_t size, int64_t from, int64_t to, struct said *l);

#endif
