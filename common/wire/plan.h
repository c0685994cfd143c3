/* plan.h - how a source is cut into chunks, GOPs and segments.
 *
 * Times are pts of the source's video stream in `info.video.tb`, as the
 * demuxer gives them (edit lists applied), unless a field says otherwise.
 * Output time is (pts - origin) * tb, in ticks of 1/timescale, always exact
 * or rounded to nearest where the source's tb has no exact timescale.
 *
 * Chunks, segments and GOPs tile the timeline: each starts where the one
 * before ended, at a frame that every rendition keeps.
 */
#ifndef GOPMILL_WIRE_PLAN_H
#define GOPMILL_WIRE_PLAN_H

#include "rendition.h"

/* More would not pass the wire. */
enum { CHUNK_FRAMES_MAX = 1 << 24, CHUNK_RUNS_MAX = 1000000 };

/* `count` frames, each `delta` after the one before. */
struct pts_run {
    int64_t delta;
    uint64_t count;
};

/* The pts of the frames of a chunk, in display order: `first`, then runs. */
struct pts_list {
    int64_t first;
    struct pts_run *runs;
    size_t n_runs;
    uint64_t n_frames; /* 1 + the sum of the runs' counts; 0: empty */
};

/* Times of packets that a source doesn't tell: of those from number `from` on, counted from where
 * decoding begins, in decode order; INT64_MIN: shows nothing. The source's own times don't count
 * then. n 0: they do. */
struct packet_stamps {
    uint64_t from;
    int64_t *list; /* owned */
    size_t n;
};

/* Frames of a chunk whose source is edited (media_info.edits), and of those around it that
 * filters and encoders look at: the pictures that the demuxer's packets have at `media` are shown
 * at `shown`, one each, or one at all of them. Decoding begins anew. */
struct chunk_span {
    int64_t seek_pts, seek_dts, seek_pos; /* as the chunk's */
    uint64_t packets;                     /* to feed from there at most; then flush the decoder */
    struct pts_list media, shown;
    struct packet_stamps stamps;
};
enum { CHUNK_SPANS_MAX = 2 * EDITS_MAX, CHUNK_STAMPS_MAX = 1 << 20 };

struct chunk {
    unsigned index;
    int64_t start, end; /* its frames: start <= pts < end; end is the next chunk's start, or the
                         * end of the last frame */
    int64_t prev_pts;   /* of the frame shown before start; INT64_MIN for the first */

    /* Where decoding begins: a keyframe packet, as the demuxer gives it. */
    int64_t seek_pts, seek_dts;    /* INT64_MIN where the packet has none */
    int64_t seek_pos;              /* byte offset of the packet, -1 unknown */
    uint64_t packets;              /* to feed from there at most, frames around the chunk's own that
                                    * filters and encoders look at included; then flush the decoder */
    uint64_t byte_start, byte_end; /* hint: the range these packets lie in */

    struct pts_list pts;

    /* In the order they are shown in; none: pictures are shown at their packets' times. Where
     * there are some, packets are theirs, and seek_* those of the first. Owned. */
    struct chunk_span *spans;
    size_t n_spans;

    struct packet_stamps stamps; /* where there are no spans, which have theirs */

    unsigned first_gop, first_segment; /* numbers in the job, from 0 */
    int64_t *gops;                     /* start of each GOP; gops[0] == start */
    size_t n_gops;
    unsigned *segments; /* index into gops of the first GOP of each segment; [0] == 0 */
    size_t n_segments;
    double cost; /* predicted core-seconds, all video renditions */
};

/* Renditions that one task encodes from one decode. */
struct task_group {
    unsigned *renditions; /* indices into plan.renditions */
    size_t n_renditions;
};

struct plan {
    struct media_info info;
    int64_t origin;               /* timeline 0, in info.video.tb (audio only: in info.audio.tb) */
    uint32_t timescale;           /* of every video rendition */
    int64_t duration;             /* of the timeline in 1/timescale: end of the longer of both */
    struct rendition *renditions; /* video first, best first; then audio, track by track from 0 */
    size_t n_renditions, n_video;
    struct rendition *extras; /* what the package is whole without: text, then pictures */
    size_t n_extras;
    struct task_group *groups; /* of video renditions */
    size_t n_groups;
    struct chunk *chunks; /* 0 for audio-only input */
    size_t n_chunks;
    int64_t
        *audio_cuts; /* nominal starts of the segments of sound and text, 1/timescale, [0] == 0 */
    size_t n_audio_cuts;
    double segment_seconds, gop_seconds; /* targets that it was made with */
};

/* How many of the source's sound tracks have renditions: those from 0 on. */
size_t plan_tracks(const struct plan *p);

void chunk_release(struct chunk *c);
void chunk_spans_release(struct chunk *c);
/* Those of `from`, on top of what `ret` has there. 0, or negative when out of memory: `ret` is to
 * be released then, too. */
int chunk_spans_copy(const struct chunk *from, struct chunk *ret);
void stamps_release(struct packet_stamps *s);                                 /* leaves it zeroed */
int stamps_copy(const struct packet_stamps *from, struct packet_stamps *ret); /* 0, or negative */
void plan_release(struct plan *p);

json_t *plan_to_json(const struct plan *p);
int plan_from_json(const json_t *j, struct plan *ret, struct err *err);

/* A video job's task needs its chunk alone. */
json_t *chunk_to_json(const struct chunk *c);
int chunk_from_json(const json_t *j, struct chunk *ret, struct err *err);

/* All pts of a list, in order; `ret` has room for n_frames. */
void pts_list_expand(const struct pts_list *l, int64_t *ret);
/* The shortest list for `n` strictly rising pts. 0 or -ENOMEM. */
int pts_list_make(const int64_t *pts, size_t n, struct pts_list *ret);
void pts_list_release(struct pts_list *l);
/* The last pts of a list that isn't empty. */
int64_t pts_list_last(const struct pts_list *l);

/* Output ticks of a source pts. */
int64_t plan_ticks(int64_t pts, int64_t origin, AVRational tb, uint32_t timescale);

/* Frames of `c` that `g` keeps, from gop `from` up to (not with) gop `to`.
 * -1 on out of memory. */
int64_t chunk_frames_kept(const struct chunk *c, const struct frame_grid *g, size_t from, size_t to,
                          int64_t origin, AVRational tb);

/* Whether any of the extras is text. */
int plan_has_text(const struct plan *p);

#endif
