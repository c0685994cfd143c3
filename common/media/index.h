/* index.h - the packets of a source's video stream, as its demuxer gives
 * them: what a plan is made of.
 *
 * Built inside a child by index_build(), from moov (MP4, MOV; sample data
 * isn't read), or by one sequential scan.
 */
#ifndef GOPMILL_MEDIA_INDEX_H
#define GOPMILL_MEDIA_INDEX_H

#include <stddef.h>
#include <stdint.h>

struct err;

enum packet_flags {
    PACKET_KEY = 1, /* flagged as a keyframe by the demuxer */
    PACKET_HIDDEN =
        2, /* decoded but not shown: before an edit list's start, or without a picture */
    PACKET_UNSAFE = 4,  /* keyframe after which decoding is only right if begun a keyframe
                         * earlier (a non-IDR H.264 picture, say) */
    PACKET_SECOND = 8,  /* the second field of the packet before; hidden, too: it has no time of
                         * its own, but the picture isn't whole without it */
    PACKET_SEEN = 16,   /* keyframe that was looked at: safe unless it is marked as unsafe */
    PACKET_MADE = 32,   /* the source doesn't tell its time: pts is made of those around it */
    PACKET_OPEN = 128,  /* keyframe that was looked at: what is decoded after it and shown before it
                         * needs pictures before it */
    PACKET_BARE = 256,  /* keyframe that was looked at: without parameter sets of its own */
    PACKET_DOUBT = 512, /* keyframe that was looked at, and unsafe: its bytes don't promise that
                         * what is shown from it on is right */
    PACKET_AGAIN = 1024, /* hidden: while it lasts, the picture before it is shown (uncoded.h) */
    PACKET_SETS = 2048,  /* hidden: brings parameter sets that the container doesn't have */
    PACKET_IDR = 64,     /* keyframe that media_copy_look() found to be an IDR picture */
};

struct index_packet {
    int64_t pts, dts; /* INT64_MIN: unknown */
    int64_t duration; /* 0: unknown */
    int64_t pos;      /* -1: unknown */
    uint32_t size;
    uint32_t flags;
};

/* In decode order. Several packets never share a pts once sorted: the index
 * drops later ones and says so in media_info.warnings. */
struct media_index {
    struct index_packet *packets;
    size_t n;
};

void media_index_release(struct media_index *i);

#endif
