/* publish.h - store the texts of a package: the last step of a job.
 *
 * The order is what makes it safe (design, section 1: nobody ever sees a
 * playlist that names what isn't there): media and I-frame playlists, then
 * manifest.mpd and master.m3u8, then the receipt, each durable before the
 * next. Doing it again gives the same bytes, so a dispatcher that died half
 * way just publishes again. What an earlier package left under the same
 * names is replaced, name by name.
 */
#ifndef GOPMILL_PUBLISH_PUBLISH_H
#define GOPMILL_PUBLISH_PUBLISH_H

#include "receipt.h"

struct store;

/* `s` is the package's prefix. All borrowed. The caller has checked the
 * objects (package_check_objects()) just before.
 *   -ENOMEM   ERR_RESOURCE
 *   others    ERR_STORAGE, from the store; what was stored before stays */
int package_publish(const struct package *p, const struct receipt_job *job, struct store *s,
                    struct err *err);

/* The playlists of a growing package (package_build_early()), media first,
 * then the master; neither manifest nor receipt. Caches keep them for
 * seconds. A playlist that is stored already, the same or with more behind
 * it, is let alone, and so is a growing master that names a rendition of the
 * plan which `p` hasn't: what players have seen is never taken back. Segments are
 * made durable before a playlist names them; the caller has checked that they
 * are there (package_check_named()). Errors as above. */
int package_publish_early(const struct package *p, struct store *s, struct err *err);

#endif
