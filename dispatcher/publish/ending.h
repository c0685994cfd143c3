/* ending.h - the end of playlists that grew while a job was made, and will grow no more.
 *
 * A player of an EVENT playlist asks for it again and again until it has EXT-X-ENDLIST. So what a
 * job that failed or was canceled had listed is closed, or taken away. */
#ifndef GOPMILL_PUBLISH_ENDING_H
#define GOPMILL_PUBLISH_ENDING_H

struct err;
struct store;

/* Of the master at the output `s`, where it is one that grows: close each media playlist that it
 * names in `folder` (of the version, with its slash, or ""; those of other versions are another
 * job's), or with `removed` take the master and them away. Doing it again does no harm. Not where a
 * package is published. 0; -ENOMEM (ERR_RESOURCE), or what the store says. */
int package_end_early(struct store *s, const char *folder, int removed, struct err *err);

#endif
