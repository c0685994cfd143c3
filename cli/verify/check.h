/* check.h - the rules, one function each or a few together. Each compares
 * what package_load() found and reports; none changes the package.
 */
#ifndef GOPMILL_VERIFY_CHECK_H
#define GOPMILL_VERIFY_CHECK_H

#include "package.h"

/* While loading, with the bytes at hand. */
void check_init(struct package *p, const struct rendition *r);
void check_segment_bytes(struct package *p, const struct rendition *r, const struct segment *s,
                         const uint8_t *buf, const struct bmff_segment *b);

/* Whether a video segment has closed captions in its samples (ATSC A/53). Pure. */
int captions_are_in(const uint8_t *buf, const struct bmff_segment *b);

void check_files(struct package *p);     /* receipt, files.* */
void check_times(struct package *p);     /* seg.time, seg.order */
void check_media(struct package *p);     /* hls.media, hls.extinf, hls.iframe */
void check_master(struct package *p);    /* hls.master, init.codec, init.picture */
void check_bandwidth(struct package *p); /* hls.bandwidth */
void check_captions(struct package *p);  /* hls.captions */
void check_align(struct package *p);     /* align.* */
void check_dash(struct package *p);      /* dash.* */
void check_pictures(struct package *p);  /* pictures.* */

/* Peak and average of a list as RFC 8216bis has them; bit/s. */
struct rate_span {
    double seconds;
    uint64_t size_bytes;
};
struct rates {
    double peak, average, largest; /* largest: of a single segment */
};
struct rates rates_of(const struct rate_span *s, size_t n, double target_s);
/* Of a rendition's segments. 0 or -ENOMEM. */
int rendition_rates(const struct rendition *r, struct rates *ret);

/* Frames per second: of the commonest frame duration, and frames over time.
 * *ret_even: 1 where (nearly) all frames last equally long. */
void frame_rates(const struct rendition *r, double *ret_common, double *ret_average, int *ret_even);

#endif
