/* admit.h - whether what was chosen of a source can be decoded at all: told
 * while it is probed, before a task of it is planned. Internal to common/media.
 */
#ifndef GOPMILL_MEDIA_ADMIT_H
#define GOPMILL_MEDIA_ADMIT_H

struct err;
struct media_info;
struct media_source;

/* Streams of a context that was opened with MEDIA_OPEN_DETAILS; reads its
 * next packets. 0 (perhaps with a warning in `i`); -ENOTSUP with
 * ERR_UNSUPPORTED: a codec that isn't decoded here, a picture that is too
 * large, one that only Dolby Vision's own decoders show right, encryption. */
int admit_streams(struct media_source *s, struct media_info *i, struct err *err);

#endif
