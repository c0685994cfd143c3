/* package.h - a finished package in memory: what playlists and the receipt
 * are written from.
 *
 * Results come one per chunk and group of renditions; a package has them in
 * the order that a viewer sees: each rendition with all its segments. Making
 * one is where the dispatcher adds everything up against the plan (design,
 * rule 5.11): every planned segment exactly once, its start, duration, frame
 * count and GOPs as planned, one init segment and one codecs string for each
 * rendition. Nothing is published that didn't pass.
 *
 * Pure functions: no I/O, no clock; any thread.
 */
#ifndef GOPMILL_PUBLISH_PACKAGE_H
#define GOPMILL_PUBLISH_PACKAGE_H

#include "../../common/wire/result.h"
#include "bitrate.h"

struct package_segment {
    const struct segment *seg;
    const struct task_result *from;
    int64_t start, end; /* as presented, ticks of its rendition's timescale */
};

/* How fast a playlist must be fetched, measured over its segments. */
struct package_rate {
    int64_t peak, average; /* bit/s */
    unsigned target_s;     /* longest segment, rounded to the nearest second, at least 1 */
};

struct package_rendition {
    const struct rendition *rendition;
    const struct rendition_result
        *head; /* of chunk 0: its init segment and codecs are everyone's */
    const struct task_result *head_from;
    uint32_t timescale;
    struct package_segment *segments;
    size_t n_segments;
    uint64_t frames;     /* video frames, or audio packets */
    uint64_t size_bytes; /* of the init segment and all segments */
    struct package_rate rate;
    struct package_rate iframes; /* video only: of the I-frame playlist */
    int64_t bandwidth;           /* bit/s, as MPD's @bandwidth means it with min_buffer_ms */
};

struct package {
    const struct plan *plan;
    const struct task_result **results; /* by task id */
    size_t n_results;
    struct package_rendition *renditions; /* in the plan's order: video first */
    size_t n_renditions, n_video;
    struct package_rendition *extras; /* those of the plan that came to be, in its order; none
                                       * of a growing package */
    size_t n_extras;
    unsigned target_s;     /* EXT-X-TARGETDURATION of all media playlists */
    unsigned gop_target_s; /* what that of I-frame playlists is at least */
    int growing;           /* of package_build_early(): there is more to come */
    const char *folder; /* of its version (version.h), with a slash, or "": stands before all keys
                         * of its media; borrowed, set by who publishes */
    int64_t min_buffer_ms; /* MPD@minBufferTime: the longest segment */
};

/* Tasks whose results can't stand: to be encoded again. The ids are borrowed
 * from the results; each is named once. */
struct package_redo {
    const char **tasks;
    size_t n;
};
void package_redo_release(struct package_redo *r);

/* Whether the result of `task` is what `plan` asked for; to be called as it
 * arrives. It can't compare init segments of different chunks:
 * package_build() does.
 *   -EPROTO  ERR_INTERNAL: names rendition, chunk, expected and got
 *   -ENOMEM  ERR_RESOURCE */
int package_check_result(const struct plan *plan, const struct task *task,
                         const struct task_result *result, struct err *err);

/* Join the results of all tasks, in any order. Plan and results are
 * borrowed and must outlive *ret. Free with package_unbuild().
 *
 *   -EPROTO  ERR_INTERNAL: something isn't as planned; the text is of the
 *            first fault, ret_redo (may be NULL) has the tasks of all. It is
 *            empty where a planned segment has no result at all: then a task
 *            is missing from `results`, which the caller knows best.
 *   -ENOMEM  ERR_RESOURCE
 * ret_redo is written on -EPROTO only. An extra that no result has is left out:
 * warnings of results say why. */
int package_build(const struct plan *plan, const struct task_result *const *results,
                  size_t n_results, struct package **ret, struct package_redo *ret_redo,
                  struct err *err);
void package_unbuild(struct package *p); /* NULL is a no-op */

/* Of the results that are there so far (in any order; plan and results
 * borrowed as above), what can be played already, and what it will be at the
 * end is this with more behind it:
 *   - the H.264 renditions, which every player knows, each with its first
 *     segments, as many as there are in all of them without a hole;
 *   - the renditions of every other codec likewise, once all of its renditions
 *     have their first segment. Where H.264 is planned, not before it: a codec
 *     joins, and each has as many segments as it has, so that none waits for a
 *     slower one. Where none is H.264, the first codec that is there is enough;
 *   - all audio renditions: whole, but shown only up to where video ends.
 * Target durations are those of the finished package, known from the plan
 * and from audio; rates are as measured so far. What isn't as planned, or has
 * another init segment than chunk 0, counts as not there: package_build()
 * is who tells of it.
 *
 * More results never take away a rendition or a segment. Extras come with the finished package.
 *
 * Returns 0, with *ret NULL where it isn't enough: no segment of one of the
 * H.264 renditions (of one of each codec's), sound not done, or a package without video; -ENOMEM
 * (ERR_RESOURCE). */
int package_build_early(const struct plan *plan, const struct task_result *const *results,
                        size_t n_results, struct package **ret, struct err *err);

/* Where segment `i` begins and ends on its track's own timeline, that of tfdt, in ticks
 * of r->timescale, and its size. Sound is presented earlier than that by the priming
 * of its encoder, which the first segment holds in addition. */
struct span package_samples(const struct package_rendition *r, size_t i);

/* "video", "audio" or "text": the folder that a rendition's folder is in. */
const char *package_folder(const struct package_rendition *r);

/* Video: frames over time, in lowest terms (to 1e-6 where those are long).
 * In a variable-rate package the only rate that says anything. */
AVRational package_average_rate(const struct package_rendition *r);

#endif
