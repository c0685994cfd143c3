/* proof.h - that decoding may begin where a plan says, shown by doing it.
 *
 * Bytes tell of some codecs which pictures are whole by themselves (keykind.c), and
 * containers claim it of all. Where neither is to be believed, pictures are decoded
 * both ways, from there and from further back, and have to be the same to the bit: by
 * the decoder that workers use, of the packets that they read.
 *
 * Runs in a child.
 */
#ifndef GOPMILL_MEDIA_PROOF_H
#define GOPMILL_MEDIA_PROOF_H

#include "../wire/media_info.h"
#include "index.h"

struct err;
struct inside;
struct proof;

enum proof_need {
    PROOF_NONE,   /* every picture is whole */
    PROOF_DOUBTS, /* bytes tell, in a container that loses nothing: only places that they don't
                   * promise anything of are tried (PACKET_DOUBT) */
    PROOF_SAMPLE, /* bytes tell, but how packets lie is another matter (MPEG-TS, AVI …): some
                   * places are tried */
    PROOF_ALL,    /* nobody looks at this codec's pictures: every place is tried */
};

/* `info` and `idx` are borrowed. NULL when out of memory. */
struct proof *proof_new(struct inside *in, const struct media_info *info, struct media_index *idx);
void proof_free(struct proof *p); /* NULL is a no-op */

enum proof_need proof_need(const struct proof *p);

/* Of PROOF_ALL: decode all once, where that takes minutes at most, and let PACKET_KEY be where
 * the decoder found a picture that is whole by itself. Returns how many flags it changed, or
 * negative. */
int proof_find_keys(struct proof *p, struct err *err);

/* A place where a chunk begins. */
struct proof_cut {
    size_t packet; /* number in the index of the one that decoding begins at */
    int64_t from;  /* the time of the first picture that is wanted; stream time base */
};

/* Whether what is decoded from cut->packet on is, from cut->from on, what is decoded from further
 * back: 1, 0, or negative. *spent grows by how many packets that took. */
int proof_try(struct proof *p, const struct proof_cut *cut, uint64_t *spent, struct err *err);

#endif
