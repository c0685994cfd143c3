/* turn.h - how a picture has to be turned to stand upright: by its container, or by a message in
 * its own bits ("display orientation", H.264 D.2.27 and HEVC D.2.17).
 *
 * The container's word counts for all pictures. Without one, each picture's message does;
 * it holds from its picture to the next keyframe, whoever decodes from where.
 */
#ifndef GOPMILL_MEDIA_TURN_H
#define GOPMILL_MEDIA_TURN_H

#include <libavcodec/codec_par.h>
#include <libavutil/frame.h>
#include <stddef.h>
#include <stdint.h>

struct video_info;

/* Clockwise, to the nearest quarter, then mirrored or not, by a matrix as libavutil has it
 * (display.h). One that can't be is none. */
void turn_of_matrix(const int32_t m[9], int *ret_rotation, int *ret_hflip);

/* The first picture's message, as far as the bytes of its packet are there: sets rotation, hflip
 * and turns of `v`, unless the container has turned it. */
void turn_look(const AVCodecParameters *par, const uint8_t *p, size_t n, struct video_info *v);

/* How this picture stands: the container's word, or the picture's own. */
void turn_of_frame(const struct video_info *v, const AVFrame *f, int *ret_rotation, int *ret_hflip);

/* Messages hold until the next keyframe: in the order that a decoder gives pictures in. */
struct turn_hold { /* zeroed: none holds */
    int32_t matrix[9];
    int holds;
};

/* Gives the picture the message that holds. 0 or -ENOMEM. */
int turn_follow(struct turn_hold *h, AVFrame *f);

#endif
