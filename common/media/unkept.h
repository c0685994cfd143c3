/* unkept.h - what a source says of its pictures and a package doesn't keep: told in
 * warnings. Internal to common/media.
 */
#ifndef GOPMILL_MEDIA_UNKEPT_H
#define GOPMILL_MEDIA_UNKEPT_H

struct err;
struct media_info;
struct media_source;

/* Of the video stream of `i`: that pictures are spherical or of two views. 0 or negative. */
int unkept_tell(const struct media_source *s, struct media_info *i, struct err *err);

#endif
