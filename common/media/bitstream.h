/* bitstream.h - the packets of an H.264, HEVC or AV1 stream in the one form that
 * encoders give them: Annex B, with the parameter sets apart; of AV1 OBUs with
 * their sizes, and the sequence header also before each key frame.
 *
 * Containers keep NAL units in different ways: a length before each NAL unit and
 * avcC or hvcC (MP4, Matroska), or start codes and parameter sets in the stream
 * (MPEG-TS). In this form a copied packet is to a muxer what an encoded one
 * is. What a player doesn't need is left out: delimiters, filler,
 * and parameter sets that the header has already. Whatever can't be passed on
 * as it is, is refused with a reason that can end the sentence "1080p is encoded: …".
 * Runs in a child.
 */
#ifndef GOPMILL_MEDIA_BITSTREAM_H
#define GOPMILL_MEDIA_BITSTREAM_H

#include <stddef.h>
#include <stdint.h>

struct AVCodecParameters;
struct AVPacket;
struct bitstream;
struct color_info;
struct err;

/* What the header says. */
struct bitstream_facts {
    int profile, level; /* profile_idc, level_idc; of HEVC general_…; seq_profile, seq_level_idx */
    int constrained;    /* H.264: constraint_set1_flag */
    int high_tier;      /* HEVC, AV1 */
    int interlaced;     /* pictures may be interlaced */
};

/* `par` is copied from. -EINVAL ERR_INPUT where its extradata isn't the header
 * of such a stream with one sequence parameter set, or sequence header. */
int bitstream_new(const struct AVCodecParameters *par, struct bitstream **ret, struct err *err);
void bitstream_free(struct bitstream *b); /* NULL is a no-op */

void bitstream_facts(const struct bitstream *b, struct bitstream_facts *ret);

/* Make the header, and what packets have of it from now on, say limited range
 * and these primaries, transfer and matrix; pictures don't depend on it. -EINVAL. */
int bitstream_tag(struct bitstream *b, const struct color_info *c, struct err *err);

/* The parameter sets, Annex B, or the sequence header's OBU; borrowed. */
const uint8_t *bitstream_header(const struct bitstream *b, size_t *ret_n);

/* `from` becomes `to` (blank; NULL: it is only looked at) without side data and
 * times. *ret_idr: it is an IDR picture, or a key frame of AV1 that is shown as
 * it comes. -EINVAL ERR_INPUT where it isn't one whole picture by itself, or
 * other parameter sets than the header's are in it; -ENOMEM ERR_RESOURCE. */
int bitstream_packet(const struct bitstream *b, const struct AVPacket *from, struct AVPacket *to,
                     int *ret_idr, struct err *err);

#endif
