/* mpd.h - reading a DASH manifest: each Representation with what it inherits,
 * its SegmentTimeline expanded into files and times.
 */
#ifndef GOPMILL_VERIFY_MPD_H
#define GOPMILL_VERIFY_MPD_H

#include <stddef.h>
#include <stdint.h>

struct err;

struct mpd_segment {
    char *path; /* $Number$ and $Time$ filled in, relative to the manifest */
    uint64_t t, d;
};

struct mpd_representation {
    char *id, *codecs, *mime, *content_type, *sar;
    char *lang, *role, *label; /* of its set; NULL: none */
    int describes;             /* an Accessibility descriptor for the visually impaired */
    char *init;                /* path */
    char *file;                /* path: the whole of it, where it has no segments; NULL: it has */
    int64_t bandwidth, width, height;
    int64_t start_with_sap, audio_rate;     /* -1: not said */
    int segment_alignment;                  /* 1: "true" */
    int64_t frame_rate_num, frame_rate_den; /* 0/1: not said */
    uint64_t timescale, pto;
    int has_timeline;
    struct mpd_segment *segments;
    size_t n_segments;
    unsigned set; /* which AdaptationSet */
};

struct mpd {
    char *type, *profiles;
    double duration_s;   /* mediaPresentationDuration; -1: none */
    double min_buffer_s; /* -1: none */
    unsigned n_periods, n_sets;
    struct mpd_representation *reps;
    size_t n_reps, n_segments; /* segments: of all */
};

/* -EINVAL with ERR_INPUT; -ENOMEM. No entity is expanded and nothing is
 * fetched. Free with mpd_free(). */
int mpd_parse(const char *text, size_t len, struct mpd **ret, struct err *err);
void mpd_free(struct mpd *m);

/* "PT1H2M3.5S" in seconds; -1 where it isn't one. */
double mpd_duration(const char *text);

#endif
