/* colors.h - from the colours that a picture has to those that a rendition declares: matrix and
 * range, tone-mapping, and, where they change in mid-stream, between SDR and HDR, and between
 * narrow and wide primaries.
 */
#ifndef GOPMILL_WORKER_COLORS_H
#define GOPMILL_WORKER_COLORS_H

#include "../common/wire/media_info.h"
#include "../common/wire/rendition.h"

#include <libavutil/frame.h>
#include <stdio.h>

/* What a picture's colours are: by its own tags, and the plan's where it has none. A source's tags
 * are the same for all pictures, but where recordings were joined. */
struct color_info colors_of(const struct video_info *v, const AVFrame *f);
int colors_same(const struct color_info *a, const struct color_info *b);

/* The tags are written into the picture: filters go by them. */
void colors_set(const struct color_info *c, AVFrame *f);

/* Filters, without a comma at either end, from pictures whose colours are those of `now` to the
 * size, format and colours of a rendition. `changed`: they aren't the plan's. `cascaded`: it comes
 * from another rendition of these colours. */
void colors_write(FILE *f, const struct video_info *now, const struct rendition *r, int changed,
                  int cascaded);

/* "PQ, full range": what a person is told of them, in `buf`. */
const char *colors_text(const struct color_info *c, char *buf, size_t size);

#endif
