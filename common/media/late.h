/* late.h - what streams are like that begin later than opening a source looks: after five seconds,
 * or minutes. Internal to common/media.
 *
 * MPEG-TS names its streams in a table at the beginning (ISO/IEC 13818-1, 2.4.4.8), but what
 * they are like stands in their packets; of MPEG-PS and FLV arrivals.h finds them.
 */
#ifndef GOPMILL_MEDIA_LATE_H
#define GOPMILL_MEDIA_LATE_H

struct err;
struct inside;
struct media_info;
struct media_source;

/* Where sound or pictures of a known codec in `s` lack their parameters: read the source, as far
 * as it takes, and learn them of the first frame. What never gives one stays as it is, as does what
 * another stream goes on in, by the joins of `i`. 0 or negative. */
int late_learn(struct inside *in, const struct media_info *i, struct media_source *s,
               struct err *err);

#endif
