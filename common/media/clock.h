/* clock.h - one timeline of the clock of MPEG-TS and PS, which wraps, starts
 * over where recordings were joined end to end, and is now and then wrong.
 * Internal to common/media.
 *
 * Times that jump back by more than a second, or ahead by more than ten, are
 * believed where the packets after them agree; then what follows is moved so
 * that its first picture comes right after the last one before. A single one
 * that jumps is a stray: its packet has no time. What was moved is told as
 * splices, by place in the file, so that whoever reads from the middle gets
 * the same times (media_source.splices), and other streams move along.
 */
#ifndef GOPMILL_MEDIA_CLOCK_H
#define GOPMILL_MEDIA_CLOCK_H

#include "../wire/media_info.h"
#include "captions.h"
#include "index.h"

struct clock_line {
    int bits;               /* timestamps count modulo 2^bits */
    int ticks;              /* a second; 0: the clock doesn't start over, what jumps is meant */
    struct splice *splices; /* owned */
    size_t n_splices;
    uint64_t strays;
    uint64_t torn;        /* packets that the demuxer found to be damaged, or behind a gap */
    int halves;           /* picture_scan.h */
    uint64_t made;        /* times of pictures that the source doesn't tell (picture_times.h) */
    uint64_t unrecovered; /* pictures at the beginning that aren't whole (beginning.h) */
    int64_t back, ahead;  /* the largest jumps, ticks */
    int combs;            /* H.264: pictures are interlaced, whatever the first ones are */
    int build;            /* of x264, as the first packet tells (prime.h) */
    int rotation, hflip;  /* as the first keyframe tells (turn.h) */
    struct captions_seen captions; /* in the pictures */
};

/* Replace the times of `idx`, as a demuxer gave them in decode order, by ones
 * on the line, and find its splices. 0 or -ENOMEM. */
int clock_follow(struct clock_line *c, struct media_index *idx);

/* The other stream's: its first packet behind a splice may lie before the
 * followed stream's, and moves the splice there. Then its times are put on the line. */
void clock_take_along(struct clock_line *c, struct media_index *idx);

#endif
