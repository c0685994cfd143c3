/* check.h - one rendition of one result against the plan; private to
 * publish/.
 *
 * Both return 0, -EPROTO with ERR_INTERNAL ("rendition 720p, chunk 3:
 * segment 12: frames: expected 150, got 149"), or -ENOMEM.
 */
#ifndef GOPMILL_PUBLISH_CHECK_H
#define GOPMILL_PUBLISH_CHECK_H

#include "../../common/wire/result.h"

int result_check_video(const struct plan *plan, const struct rendition *r, const struct chunk *c,
                       const struct rendition_result *got, struct err *err);

/* Segments must touch each other from 0 on and begin within two audio packets of a
 * planned cut. There may be fewer than cuts: one that falls within the last
 * packet makes none. */
int result_check_audio(const struct plan *plan, const struct rendition *r,
                       const struct rendition_result *got, struct err *err);

/* Text: segments from cut to cut, all of them. A storyboard: sheets with as
 * many tiles as were planned. A poster: the picture and nothing else. */
int result_check_extra(const struct plan *plan, const struct rendition *r,
                       const struct rendition_result *got, struct err *err);

#endif
