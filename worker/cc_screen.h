/* cc_screen.h - what a channel of captions shows, change by change, as cues.
 * Pure functions over hostile text.
 *
 * Captions that pop on come as a whole. Those that roll up or are painted on come a letter or
 * two at a time: what only grows is one cue, from its first letter on, with what it ends as; a
 * line that begins is another cue. So a text of n lines is n cues, not one a letter.
 */
#ifndef GOPMILL_WORKER_CC_SCREEN_H
#define GOPMILL_WORKER_CC_SCREEN_H

#include "webvtt.h"

struct cc_screen {
    struct cues cues; /* so far; times in ticks */
    size_t bytes;     /* of their text */
    int64_t pause;    /* ticks: what grows after a longer one is another cue */
    char *text;       /* what is shown; NULL: nothing */
    int top;
    int64_t since, grown;
};

/* From `at` on it shows a dialogue of libavcodec's cc_dec, which came letter by letter, or
 * (`whole`) at once. Times never fall. 0 or -ENOMEM. */
int cc_screen_show(struct cc_screen *s, const char *dialogue, int whole, int64_t at);

/* From `at` on it shows nothing. 0 or -ENOMEM. */
int cc_screen_clear(struct cc_screen *s, int64_t at);

void cc_screen_release(struct cc_screen *s); /* leaves it zeroed */

#endif
