/* captions.h - closed captions of a source (CEA-608), as decoders of pictures
 * and libavformat hand them on, and whether a package's cues say the same.
 *
 * What stands on the screen is followed byte by byte: at any time a cue has to be what is there
 * then, or what it is about to become, letter by letter. So nothing here knows how cues are cut.
 */
#ifndef GOPMILL_VERIFY_CAPTIONS_H
#define GOPMILL_VERIFY_CAPTIONS_H

#include <stddef.h>
#include <stdint.h>

struct AVFrame;
struct package;
struct receipt_text;
struct source;
struct text_track;
struct match;

struct caption_byte_pair {
    size_t picture; /* that it came with, by number */
    uint8_t field, a, b;
};

struct caption_pairs { /* {0} is an empty one */
    struct caption_byte_pair *v;
    size_t n, room;
};

/* What a picture of that number holds, in the order they are shown. 0 or -ENOMEM. */
int caption_pairs_add(struct caption_pairs *c, size_t picture, const struct AVFrame *f);
/* The same of a packet of AV1, of that many before. */
int caption_pairs_add_av1(struct caption_pairs *c, size_t picture, const uint8_t *p, size_t n);
void caption_pairs_release(struct caption_pairs *c); /* leaves it empty */

/* Whether they can be checked: of pictures only where these were decoded. */
int captions_are_seen(const struct receipt_text *r, const struct source *s);

/* source.text of a track that is a channel of captions (r->captions). */
void check_source_captions(struct package *p, const struct text_track *t,
                           const struct receipt_text *r, const struct source *s,
                           const struct match *m);

#endif
