/* io.h - a source as an AVIOContext: every byte is asked of the parent.
 *
 * In `index` mode the payload of ISO BMFF `mdat` boxes reads as zeros,
 * without asking anybody: an index needs the sizes and times of samples, not
 * the samples, and moov or moof have those.
 */
#ifndef GOPMILL_MEDIA_IO_H
#define GOPMILL_MEDIA_IO_H

#include <libavformat/avio.h>

struct err;
struct inside;
struct media_io;

/* `in` is borrowed for the io's life. NULL: out of memory. */
struct media_io *media_io_new(struct inside *in);
void media_io_free(struct media_io *io); /* NULL is a no-op */

AVIOContext *media_io_avio(struct media_io *io); /* borrowed */

/* Find the mdat boxes by walking the top-level boxes and read zeros from
 * them from now on. What follows index and data and is no box is let alone.
 * 0; -EINVAL (err untouched) where the file isn't made of boxes: then nothing
 * changes and every byte is read. */
int media_io_skip_mdat(struct media_io *io, struct err *err);

/* Whether the last media_io_skip_mdat() met a movie fragment. */
int media_io_fragmented(const struct media_io *io);

/* By how much the last box that it met is longer than the file. */
uint64_t media_io_missing(const struct media_io *io);

/* Let the source seem to end at byte `end` (UINT64_MAX: where it does). What was read ahead is
 * forgotten: a seek must follow. */
void media_io_set_end(struct media_io *io, uint64_t end);
uint64_t media_io_end(const struct media_io *io);

/* What failed the last read of the parent, if one did: libav only says EIO. */
const struct err *media_io_error(const struct media_io *io);

#endif
