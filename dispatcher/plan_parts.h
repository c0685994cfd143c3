/* plan_parts.h - the steps of plan_make(); private to the planner.
 *
 * Frames are counted in display order, packets in decode order. A cut is a
 * frame that every video rendition's grid keeps: the only places where a
 * chunk, a segment or a GOP may start. Cuts are numbered; number n_cuts
 * stands for the end of the timeline.
 */
#ifndef GOPMILL_DISPATCHER_PLAN_PARTS_H
#define GOPMILL_DISPATCHER_PLAN_PARTS_H

#include "plan.h"

#define PLAN_NO_TIME INT64_MIN
#define PTS_LIMIT    (INT64_C(1) << 60) /* as on the wire: sums of times don't overflow */
#define TIMELINE_MAX 3.6e6              /* seconds */
#define REPEAT_LEAST 1.0 /* seconds of sound without a picture; with less, files end */

struct frame {
    int64_t pts; /* first (latest.h) */
    size_t packet;
};

struct key {
    int64_t pts; /* PLAN_NO_TIME: unknown */
    size_t packet;
    int unsafe;
};

struct timeline {
    const struct media_index *idx; /* borrowed */
    int edited; /* frames are those of edits: not in the order of their packets */
    AVRational tb;
    int fields;          /* each picture is a field, and two are a frame */
    int64_t origin, end; /* 0 of the output; end of the last frame */
    struct frame *frames;
    size_t n_frames;
    size_t head, tail; /* frames before, and from there on, repeat the first and the last picture */
    struct key *keys;  /* in decode order */
    size_t n_keys;
    size_t *cuts; /* frame numbers, rising; [0] == 0 */
    size_t n_cuts;
    size_t *key_cuts; /* cuts at keyframes, rising, without 0 */
    size_t n_key_cuts;
    int by_work; /* cut_time() is cut_work() */
};

/* Options with the defaults filled in. */
struct targets {
    double segment_s, gop_s, chunk_s;
    unsigned slots, chunk_count;
    int early; /* a first chunk of about one segment */
};

/* What the chunk sizes are weighed by, in core-seconds a second. */
struct load {
    const double *group_cost; /* of each task group; borrowed */
    size_t n_groups;
    const double *audio_cost; /* of each audio task, core-seconds; borrowed */
    size_t n_audio;
    double decode_cost; /* of decoding alone */
};

void timeline_release(struct timeline *t);
/* Where sound that is encoded begins and ends, in video's time base. */
struct extent {
    int64_t start, end; /* INT64_MAX, INT64_MIN: there is none */
    double segment_s;   /* that segments are to last: pictures beside it are repeated by that */
};
/* -EINVAL ERR_INPUT: nothing to show, or a timeline of absurd length. */
int timeline_make(const struct media_info *info, const struct media_index *idx,
                  const struct rendition *video, size_t n_video, struct extent sound,
                  struct timeline *ret, struct err *err);

/* Repeat the last picture while sound goes on for long, and the first one where sound begins long
 * before (plan_repeat.c). Sets t->head and t->tail. 0 or -ENOMEM. */
int timeline_repeat(struct timeline *t, struct extent sound);
/* Where a cut lies in seconds of pictures that move: those that are repeated cost an encoder next
 * to nothing, and count for little. */
double cut_work(const struct timeline *t, size_t cut);
/* Say so in the warnings of `info`. 0 or -ENOMEM. */
int repeat_tell(const struct timeline *t, struct media_info *info);
/* Of frames from `first` up to `end`: whether some, or all of them, are repeated. */
int is_repeated(const struct timeline *t, size_t first, size_t end);
int is_still(const struct timeline *t, size_t first, size_t end);
/* Any of those behind the last picture is as good to cut at as a keyframe. 0 or -ENOMEM. */
int repeated_key_cuts(struct timeline *t);

/* Under frame-rate caps on a constant rate every step is one of n pictures: where a clock that
 * jitters, or one that begins at the edge of a cell, makes others, all grids of `v` begin half a
 * picture before the first one. 1: some were shifted, and the timeline is to be made anew; else 0.
 */
int grids_settle(const struct timeline *t, const struct video_info *info, struct rendition *v,
                 size_t n);

/* Frames of an edited source (edit_frames.h). -ENOMEM; -E2BIG. */
int edited_frames(struct timeline *t, const struct media_info *info);
/* A chunk's spans, for `first` to `end` of the frames, and what to decode for them. -ENOMEM;
 * -E2BIG: more than CHUNK_SPANS_MAX. */
int edited_spans(const struct timeline *t, size_t first, size_t end, struct chunk *c);
/* Cuts at keyframes of an edited source: t->key_cuts has room for them. */
void edited_key_cuts(struct timeline *t);

/* The time of a frame's packet. */
int64_t frame_media(const struct timeline *t, size_t frame);

/* A second field, known as such or by its lack of any time. */
int completes_picture(const struct index_packet *p);

/* Seconds from the first frame to a cut (n_cuts: to the end). */
double cut_time(const struct timeline *t, size_t cut);
int64_t cut_pts(const struct timeline *t, size_t cut);
/* The cut nearest to `s` seconds among lo < cut < hi; hi where there is none. */
size_t cut_near(const struct timeline *t, double s, size_t lo, size_t hi);

/* The chunks' starts as cuts, [0] == 0. 0 or -ENOMEM. */
int chunk_cuts(const struct timeline *t, const struct targets *want, const struct load *load,
               size_t **ret, size_t *ret_n);

/* Parts of lo <= cut < hi of about `target_s` each, as even as the cuts
 * allow: their starts are appended to `list`. None is longer than 1.5 times
 * the target where there is a cut inside. 0 or -ENOMEM. */
struct cut_list {
    size_t *cuts;
    size_t n, room;
};
int cut_list_add(struct cut_list *list, size_t cut);
int cuts_divide(const struct timeline *t, size_t lo, size_t hi, double target_s,
                struct cut_list *list);

/* Fill all of a chunk but its numbers and cost: frames, GOPs, segments, and
 * what to decode for it: its frames, and as many as `margin` says around
 * them, where there are any. */
struct margin {
    size_t before, after;
};
int chunk_fill(const struct timeline *t, const struct targets *want, size_t lo, size_t hi,
               struct margin margin, const struct chunk *prev, struct chunk *ret, struct err *err);

/* The keyframe packet where decoding for frames from `pts` on, none of them
 * before packet `first`, begins: the last that comes before both, or for an
 * unsafe one the keyframe before it. 0, the first packet, where none does. */
size_t seek_packet(const struct timeline *t, int64_t pts, size_t first);

/* Group plan->renditions by codec and memory. 0 or -ENOMEM. */
int groups_make(struct plan *p);

/* plan->audio_cuts, of sound and text, from the chunks' segments, where video ends (ticks), and
 * plan->duration: no piece is longer than 1.5 segments. 0, -ENOMEM, or
 * -EINVAL ERR_INPUT for too many. */
int audio_cuts_make(struct plan *p, int64_t video_end, struct err *err);

/* Of HEVC's fields, which are reordered one by one, the second of a frame may lie anywhere near:
 * widen *lowest to *last, packets of the frames from `first` up to (not with) `end`, by those. */
void cover_seconds(const struct timeline *t, size_t first, size_t end, size_t *lowest,
                   size_t *last);

/* Where any packet from `lowest` to `last` has a time that the source doesn't tell, the times of
 * all of them; decoding begins at `seek`. 0, -ENOMEM, or -E2BIG. */
int stamps_fill(const struct timeline *t, size_t seek, size_t lowest, size_t last,
                struct packet_stamps *ret);

#endif
