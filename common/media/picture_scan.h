/* picture_scan.h - what a parser says of each picture while packets are read for
 * the index: second fields, and the order they are shown in. Internal to common/media.
 */
#ifndef GOPMILL_MEDIA_PICTURE_SCAN_H
#define GOPMILL_MEDIA_PICTURE_SCAN_H

#include "index.h"
#include "picture_times.h"

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>

enum { FIELD_NONE, FIELD_TOP, FIELD_BOTTOM };

struct picture_scan { /* zeroed: nothing is parsed */
    AVCodecParserContext *parser;
    AVCodecContext *codec;
    int whole;             /* HEVC whose pictures are no fields */
    unsigned char *halves; /* of HEVC's packets: which field each is; NULL: whole ones */
    size_t n_halves, room_halves;
    int open;                    /* structure of a first field whose second is yet to come */
    int combs;                   /* a picture was interlaced */
    struct picture_order *order; /* of each packet; NULL: times aren't made of it */
    size_t n, room;
};

/* H.264 and HEVC; times are made where packets may lack them (`made`). Of others, and without
 * memory, nothing is parsed. */
void picture_scan_open(struct picture_scan *s, const AVStream *st, int made);
void picture_scan_close(struct picture_scan *s);

/* H.264 may code the two fields of a frame as two packets (PAFF): the frame has the first one's
 * time, and the second is decoded but shows nothing new. 1: `pkt` is the second field of the
 * packet before. 0, or -ENOMEM. */
int picture_scan_packet(struct picture_scan *s, const AVPacket *pkt);

/* The times that lack (picture_times_make()), of all packets that were scanned. */
int picture_scan_times(const struct picture_scan *s, struct media_index *idx, const AVStream *st,
                       uint64_t *ret);

/* HEVC may code all pictures as fields (field_seq_flag, ITU-T H.265 E.3.1): of two that are shown
 * one after the other the second one shows nothing new. *ret_first: FIELD_TOP or
 * FIELD_BOTTOM, which each frame begins with; 0: the pictures are frames. 0, or -ENOMEM. */
int picture_scan_pair(const struct picture_scan *s, struct media_index *idx, int *ret_first);

#endif
