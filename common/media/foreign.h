/* foreign.h - streams that nobody here can decode, by the names that people know them by. Internal
 * to common/media.
 *
 * libavformat calls what it doesn't know "none", or data. Names are those of sample entries
 * (mp4ra.org), of MPEG-TS's stream types (ISO/IEC 13818-1, table 2-34) and descriptors (EN 300
 * 468), and of libavcodec's codecs that have no decoder.
 */
#ifndef GOPMILL_MEDIA_FOREIGN_H
#define GOPMILL_MEDIA_FOREIGN_H

#include "../wire/media_info.h"

struct err;
struct inside;
struct media_source;

/* Find those of `s`, and set their names in s->foreign. They are sound or pictures of no codec then
 * (AV_CODEC_ID_NONE), whatever the demuxer took them for. 0, or the parent's error. */
int foreign_find(struct inside *in, struct media_source *s, struct err *err);

/* Where neither picture nor sound is chosen (-1 in `i`) though there is one of a name: -ENOTSUP
 * with ERR_UNSUPPORTED and the name. */
int foreign_refuse(const struct media_source *s, const struct media_info *i, struct err *err);

#endif
