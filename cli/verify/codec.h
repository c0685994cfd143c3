/* codec.h - what codec configuration says (RFC 6381 strings), and whether a
 * sample really is a picture that decoding can start at. */
#ifndef GOPMILL_VERIFY_CODEC_H
#define GOPMILL_VERIFY_CODEC_H

#include "bmff.h"

enum codec { CODEC_UNKNOWN, CODEC_H264, CODEC_HEVC, CODEC_AV1, CODEC_AAC, CODEC_OPUS };

enum { CODEC_STRING_MAX = 96 };

enum codec codec_of(const struct bmff_init *i);

/* The string that CODECS must have for this track. For AV1 the short form
 * ("av01.0.08M.08"). -EINVAL with ERR_INPUT where the configuration is
 * missing or cut short. */
int codec_string(const struct bmff_init *i, char ret[CODEC_STRING_MAX], struct err *err);

/* Whether `text`, an element of a CODECS attribute, names this track: AV1
 * may add its optional fields (which must agree with colr), Opus may be
 * written in either case. */
int codec_string_matches(const struct bmff_init *i, const char *text);

/* An AAC track's AudioSpecificConfig: object type, and channels (0: not by a
 * number). -EINVAL with ERR_INPUT. */
int codec_aac_config(const struct bmff_init *i, unsigned *ret_aot, unsigned *ret_channels,
                     struct err *err);
/* How many channels an audio track has; 0: it doesn't say. MP4's sample entry
 * says 2 for any AAC. */
unsigned codec_channels(const struct bmff_init *i);

/* Whether the sample is an IDR (H.264), an IRAP without leading pictures
 * before it in need of others (HEVC IDR only), a shown key frame after a
 * sequence header (AV1). 1, 0, or -EINVAL where its NAL units or OBUs don't
 * add up. Audio: always 1. */
int codec_is_key(const struct bmff_init *i, const uint8_t *data, size_t len, struct err *err);

#endif
