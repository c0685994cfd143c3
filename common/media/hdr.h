/* hdr.h - what a source says of the display that it was graded on. Internal to
 * common/media.
 */
#ifndef GOPMILL_MEDIA_HDR_H
#define GOPMILL_MEDIA_HDR_H

#include "../wire/media_info.h"

struct err;
struct media_source;

/* Fills in v->hdr of an HDR stream (PQ or HLG): from the container, else from
 * the first picture that can be decoded. Reads packets, so whoever wants them
 * all opens the source anew. Metadata that can't be true is left out.
 * 0 or -ENOMEM with ERR_RESOURCE, or the parent's error where it can't read. */
int hdr_describe(struct media_source *s, struct video_info *v, struct err *err);

#endif
