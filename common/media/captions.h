/* captions.h - which closed captions a source may have: tracks of subtitles (text_info.captions)
 * that no container names, in its pictures, or several in one track.
 *
 * Runs in a child. Where all packets are read for the index, all of them are looked at; of MP4 the
 * first samples and some of the others. What is found here are channels that may say something:
 * the task that makes the subtitles leaves out those that don't, without a word.
 */
#ifndef GOPMILL_MEDIA_CAPTIONS_H
#define GOPMILL_MEDIA_CAPTIONS_H

#include "../wire/media_info.h"
#include "index.h"

#include <libavformat/avformat.h>

struct err;
struct inside;

struct captions_seen { /* zeroed: nothing */
    unsigned channels; /* bit k: codes of channel k (cc_data.h) */
    int carried;       /* pictures have room for CEA-608's bytes, be there any or not */
    int services;      /* CEA-708's own captions, which nothing here decodes */
};

enum { CAPTIONS_ANY = 0xf }; /* channels: all that there may be */

/* A packet of pictures, or the beginning of one. */
void captions_look(struct captions_seen *s, const AVCodecParameters *par, const uint8_t *p,
                   size_t n);

/* Samples of an MP4: the first ones, and some of the others of large files. Where some carry
 * captions, any channel may have some later. 0 or negative. */
int captions_look_at_samples(struct inside *in, const AVCodecParameters *par,
                             const struct media_index *idx, struct captions_seen *ret,
                             struct err *err);

/* Whether a track is captions (c608, c708; what MXF has as ancillary data), all of whose channels
 * may say something. */
int captions_is_track(const AVStream *st);

/* Add to i->texts one like `t` for each of these channels, the likeliest first. Returns how many
 * there was no room for. */
int captions_add(struct media_info *i, const struct text_info *t, unsigned channels);

/* The same for what was seen in the pictures of i->video, and a warning of what isn't taken.
 * 0 or -ENOMEM. */
int captions_tell(struct media_info *i, const struct captions_seen *s);

#endif
