/* segmenter.h - packets of one rendition to CMAF segments.
 *
 * One muxer runs over all of a task's packets. Each call of
 * segmenter_fragment() makes one moof + mdat, which is read back and checked
 * before it counts; segmenter_cut() ends a segment and hands it to the
 * parent. Runs in a child.
 */
#ifndef GOPMILL_WORKER_SEGMENTER_H
#define GOPMILL_WORKER_SEGMENTER_H

#include "../common/wire/result.h"

#include <libavcodec/avcodec.h>

struct err;
struct inside;
struct segmenter;

struct segmenter_config {
    struct inside *in;         /* borrowed */
    const struct rendition *r; /* borrowed */
    const AVCodecContext *enc; /* opened; borrowed during _new() only */
    uint32_t timescale;        /* of the track */
    unsigned first_fragment;   /* number in the job, from 0, of the first moof */
    unsigned first_segment;    /* number in the job, from 0 */
    int64_t longest_gop;       /* video: ticks */
    int store_init;            /* hand the init segment to the parent as well */
};

int segmenter_new(const struct segmenter_config *cfg, struct segmenter **ret, struct err *err);
void segmenter_free(struct segmenter *s);

/* Video: the packets of one GOP in encoding order, pts in ticks; dts and
 * durations are set here: each packet lasts as long as its picture is shown and
 * decodes when the one before it ends, so that every GOP stands alone, its tfdt is its
 * first picture's time, and offsets may be negative (trun version 1). The GOP ends
 * at `end`. */
int segmenter_gop(struct segmenter *s, AVPacket **pkts, size_t n, int64_t start, int64_t end,
                  struct err *err);

/* Audio: packets in order, with pts, dts and duration set. */
int segmenter_audio(struct segmenter *s, AVPacket **pkts, size_t n, struct err *err);

/* End the segment that the fragments since the last cut make up; it covers
 * [start, end) on the timeline. */
int segmenter_cut(struct segmenter *s, int64_t start, int64_t end, struct err *err);

/* What was made; `ret` takes it over. After the last cut. */
int segmenter_result(struct segmenter *s, struct rendition_result *ret, struct err *err);

#endif
