/* hls_text.h - what a master playlist says of a package's subtitles; private
 * to publish/.
 */
#ifndef GOPMILL_PUBLISH_HLS_TEXT_H
#define GOPMILL_PUBLISH_HLS_TEXT_H

#include <stdio.h>

#include "package.h"

/* The group that all of them are in. */
#define HLS_TEXT_GROUP "subs"

int hls_has_text(const struct package *p);

/* An EXT-X-MEDIA for each. Names are the tracks' titles, else their languages,
 * told apart by a number where they are equal. AUTOSELECT is for the first of
 * those that a player could not tell apart by language, FORCED and
 * CHARACTERISTICS (RFC 8216bis, 4.4.6.1.1); DEFAULT for the first that the
 * container flags so. */
void hls_put_text_group(FILE *f, const struct package *p);

/* What the largest of them adds to a variant's bit rates. */
struct package_rate hls_text_rate(const struct package *p);

#endif
