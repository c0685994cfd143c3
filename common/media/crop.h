/* crop.h - what a container cuts off its pictures: Matroska's PixelCrop (RFC 9559,
 * 5.1.4.1.28.8 to 11) and the clean aperture of MP4 and MOV (`clap`, ISO/IEC 14496-12, 12.1.4).
 * Internal to common/media.
 *
 * Both count from the picture that a decoder gives, whose bitstream may have cropped it before.
 * libavformat 5.1 tells of neither, newer ones tell and leave it to programs: here the
 * source's own bytes are read, with any.
 */
#ifndef GOPMILL_MEDIA_CROP_H
#define GOPMILL_MEDIA_CROP_H

#include <libavutil/rational.h>
#include <stdint.h>

struct err;
struct inside;
struct media_info;
struct media_source;

/* As a container says it. */
struct crop_found {
    int has;           /* it cuts something off */
    int width, height; /* of the pictures, by its word; 0: it doesn't say */
    double left, top, right, bottom;
    AVRational sar;    /* of the pixels that are left; 0/1: it doesn't say */
    AVRational sar_or; /* … or this, which is nearer to the bitstream's; 0/1: surely not */
};

/* Cuts width and height of the video of `i` down to what is shown, and sets its crop, and the
 * aspect of its pixels where the container's word for that is of what is left. Whole samples of
 * chroma are cut off, so that a pixel more than asked for may stay on a side. What leaves
 * nothing is ignored, with a warning. 0, or negative with `err`. */
int crop_find(struct inside *in, const struct media_source *s, struct media_info *i,
              struct err *err);

/* The same of what was found. `own`: the aspect of pixels by the bitstream; 0/1: it doesn't say. 0
 * or -ENOMEM. */
int crop_apply(struct media_info *i, const struct crop_found *c, AVRational own);

/* Of the track of pictures with that number, from 0; of the track with that id. `ret` is zeroed
 * before. Negative: what the parent says of a read. */
int crop_of_elements(struct inside *in, int number, struct crop_found *ret, struct err *err);
int crop_of_boxes(struct inside *in, uint32_t id, struct crop_found *ret, struct err *err);

#endif
