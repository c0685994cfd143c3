/* cc_data.h - closed captions in coded pictures, and whose they are: bytes of
 * CEA-608-E (two at a time, of two fields, each with two channels) in the
 * wrapping of CEA-708-E, 4.3 (cc_data: triplets of a kind and two bytes).
 *
 * Pure functions over hostile bytes.
 */
#ifndef GOPMILL_MEDIA_CC_DATA_H
#define GOPMILL_MEDIA_CC_DATA_H

#include <libavcodec/codec_par.h>
#include <stddef.h>
#include <stdint.h>

enum {
    CC_TRIPLETS_MAX = 128, /* of a packet; a picture has at most 31, a field as many */
    CC_CHANNELS = 4,       /* CC1 and CC2 of the first field, CC3 and CC4 of the second */
};

struct cc_data {
    uint8_t v[CC_TRIPLETS_MAX][3]; /* marker bits, cc_valid and cc_type; two bytes */
    size_t n;
    int spread; /* 1: they are those of the pictures to come, two a frame (DVD) */
};

/* What a packet of pictures holds: in SEI of H.264 and HEVC, in OBUs of AV1 (ATSC A/53 part 4,
 * 6.2.3, in ITU-T T.35), in user data of MPEG-2 (the same, and that of DVDs). The beginning of a
 * packet is enough for its first field. */
void cc_data_of(const AVCodecParameters *par, const uint8_t *p, size_t n, struct cc_data *ret);

/* What a sample of a caption track holds: triplets as libavformat gives them (c608), or the boxes
 * "ccdp" of `c708` with a CDP (SMPTE ST 334-2) each. */
void cc_data_of_sample(int is_708, const uint8_t *p, size_t n, struct cc_data *ret);

/* Whether a T.35 message (ITU-T T.35, from its country code on) is captions. */
int cc_is_t35(const uint8_t *p, size_t n);

/* What a reader remembers of a field: a channel's bytes follow one of its codes. */
struct cc_field {
    int known, channel; /* of the last code */
    int other;          /* extended data services, not captions */
    int text[2];        /* a channel is in text mode (T1 to T4), which is no captions either */
    uint8_t last[2];    /* the code just before; each is sent twice, the second time for safety */
};

struct cc_channels { /* zeroed: at the beginning */
    struct cc_field fields[2];
};

/* The channel, 0 to CC_CHANNELS - 1, that a triplet says something of, with `ret` then
 * what it would be in CC1, parity included; -1: none, and `ret` is untouched. Triplets
 * in the order of their pictures. */
int cc_channel_of(struct cc_channels *c, const uint8_t triplet[3], uint8_t ret[3]);

/* Whether it is letters: standard ones, a special or an extended one (CEA-608-E, 6.4). */
int cc_is_letter(const uint8_t triplet[3]);

/* The channel that a triplet names, a code of which it is, in whatever order; -1: none. */
int cc_channel_named(const uint8_t triplet[3]);

/* Whether it belongs to CEA-708's own captions, and has some bytes for these. */
int cc_is_708(const uint8_t triplet[3]);

#endif
