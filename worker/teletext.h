/* teletext.h - pages of teletext as cues. Internal to text_reader.c.
 *
 * A page stays until another one of its number comes (ETSI EN 300 706, 9.3.1): a cue begins when
 * its page is whole and ends with the next one, which may be empty. The same page comes again every
 * few seconds, for those who have just switched on.
 */
#ifndef GOPMILL_WORKER_TELETEXT_H
#define GOPMILL_WORKER_TELETEXT_H

#include "text_reader.h"

#include <libavcodec/avcodec.h>

struct teletext {
    AVCodecContext *dec; /* borrowed, as is `none`: a packet without data */
    AVPacket *none;
    struct cue now; /* text NULL: nothing is shown; its end isn't known yet */
    int64_t seen;   /* when it came last, in milliseconds */
    int64_t clock;  /* of the last packet that has a time; AV_NOPTS_VALUE: none had */
};

/* For libavcodec's decoder: text of that page; 0: of all that are subtitles. 0 or -ENOMEM. */
int teletext_options(int page, AVDictionary **ret);

int teletext_feed(struct teletext *t, AVPacket *pkt, struct text_said *ret);
int teletext_end(struct teletext *t, struct text_said *ret);
void teletext_release(struct teletext *t);

#endif
