/* result.h - what became of a task.
 *
 * On the wire: JSON, `"v":1`, on the queue gopmill.results. Applying one
 * twice changes nothing.
 */
#ifndef GOPMILL_WIRE_RESULT_H
#define GOPMILL_WIRE_RESULT_H

#include "../base/err.h"
#include "task.h"

struct gop_range {
    uint64_t offset, size_bytes; /* of moof + first sample's end: what an I-frame playlist names */
    int64_t start, duration;     /* ticks */
};

struct segment {
    unsigned number; /* from 1, over the whole job */
    char *key;       /* relative to the output prefix */
    uint64_t size_bytes;
    char sha256[65], md5[33]; /* lower-case hex */
    int64_t start, duration; /* ticks of 1/timescale, as presented: video, start is the tfdt; audio,
                              * the tfdt less `priming` (0 for the first) */
    uint64_t frames;         /* video frames, audio packets, cues of text, or tiles */
    struct gop_range *gops;  /* video: one per moof; audio: none */
    size_t n_gops;
};

/* How loud a track was before it was amplified (EBU R 128). */
struct loudness {
    int known;         /* 0: its rendition has no target */
    double integrated; /* LUFS; -70: silence */
    double true_peak;  /* dB of full scale; -120: none */
    double gain;       /* dB by which it was amplified */
};

/* Of extras: `init` is the text as a whole, the storyboard's index, or the
 * poster, which has no segments; those of a storyboard are its sheets, in
 * milliseconds. */
struct rendition_result {
    char *name;
    uint32_t timescale;
    char *codecs; /* RFC 6381: "avc1.640028" */
    struct {
        char *key;
        uint64_t size_bytes;
        char sha256[65], md5[33];
    } init;
    struct segment *segments;
    size_t n_segments;
    uint64_t frames;
    int64_t priming;          /* audio: samples before 0 declared by the edit list */
    struct loudness loudness; /* audio */
};

struct task_result {
    char *job, *task;
    unsigned attempt;
    char *etag;       /* of the source that the task names; NULL: the worker is older than this */
    struct err error; /* cls ERR_NONE: done; of extras there may be none, and warnings say why */

    struct rendition_result *renditions;
    size_t n_renditions;
    uint64_t frames_in; /* decoded and inside the chunk */
    uint64_t
        frames_concealed; /* planned frames that could not be decoded: the one before stands in */
    char **warnings;
    size_t n_warnings;

    double cpu_s, wall_s,
        first_frame_s;   /* of the child; first_frame_s: start to first frame encoded */
    uint64_t peak_bytes; /* largest resident size of the child */
    uint64_t bytes_read; /* of the source */
    char *engine;        /* library versions: the engine fingerprint */
    char *worker;        /* who did it */
};

void rendition_result_release(struct rendition_result *r);
void task_result_release(struct task_result *r);
json_t *task_result_to_json(const struct task_result *r);
int task_result_from_json(const json_t *j, struct task_result *ret, struct err *err);
int task_result_from_text(const char *text, size_t len, struct task_result *ret, struct err *err);

#endif
