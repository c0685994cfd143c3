/* boxes.h - walking the boxes of an MP4 or MOV (ISO/IEC 14496-12, 4.2) by their headers: what
 * lies between is read only where somebody asks. Internal to common/media.
 *
 * Hostile: boxes that end behind what holds them end with it, and how many are looked at,
 * and how deep, is limited.
 */
#ifndef GOPMILL_MEDIA_BOXES_H
#define GOPMILL_MEDIA_BOXES_H

#include <stddef.h>
#include <stdint.h>

struct err;
struct inside;

struct boxes_walk {
    struct inside *in;
    struct err *err;
    void *found;            /* the caller's */
    unsigned looked, depth; /* zeroed, as is the rest */
    /* Bytes at hand: headers lie close together, and each read is a round trip to the parent. */
    uint8_t window[4096];
    uint64_t window_at;
    size_t window_n;
};

struct media_box {
    uint32_t type;
    uint64_t body, end; /* byte offsets */
};

#define BOX(a, b, c, d) \
    ((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | (uint32_t)(d))

/* Up to `n` bytes, zeros where there are fewer: *ret_got tells. 0, or the parent's error. */
int boxes_read(struct boxes_walk *w, uint64_t at, void *buf, size_t n, size_t *ret_got);

/* Call `f` for each box from `at` to `end`, until it returns anything but 0: that is returned,
 * too. Negative: the parent's error. */
int boxes_walk(struct boxes_walk *w, uint64_t at, uint64_t end,
               int (*f)(struct boxes_walk *w, const struct media_box *b));

#endif
