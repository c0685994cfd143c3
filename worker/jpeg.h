/* jpeg.h - pictures as JPEG, by libavcodec on one thread: the same picture
 * gives the same bytes. Runs in a child.
 */
#ifndef GOPMILL_WORKER_JPEG_H
#define GOPMILL_WORKER_JPEG_H

#include <libavutil/frame.h>
#include <stddef.h>
#include <stdint.h>

struct err;

/* JFIF's colours (BT.601, full range, 4:2:0), all black. NULL: out of memory. */
AVFrame *jpeg_canvas(int width, int height);

/* Draw `f` (limited range, of the matrix AVCOL_SPC_*) on the canvas with its
 * upper left corner at x, y; even, and inside. 0 or -ENOMEM. */
int jpeg_draw(AVFrame *canvas, int x, int y, const AVFrame *f, int matrix);

/* The canvas as a file. *ret is allocated. */
int jpeg_encode(const AVFrame *canvas, uint8_t **ret, size_t *ret_len, struct err *err);

#endif
