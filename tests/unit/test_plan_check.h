/* test_plan_check.h - sources made of thin air, and the properties that
 * every plan has, whatever it was made of. Shares no code with the planner.
 */
#ifndef GOPMILL_TEST_PLAN_CHECK_H
#define GOPMILL_TEST_PLAN_CHECK_H

#include "common/media/index.h"
#include "common/wire/plan.h"
#include "dispatcher/plan.h"

enum pts_kind {
    PTS_EVEN,  /* every `step` */
    PTS_FILM,  /* 24000/1001 rounded to milliseconds */
    PTS_WILD,  /* 5 to 1600 ms, anyhow; tb is 1/1000 */
    PTS_GAP,   /* every `step`, and 20 s missing in the middle */
    PTS_SLIDES /* each frame 11 s */
};

struct source {
    const char *name;
    AVRational tb;
    int64_t step, first;
    size_t frames;
    size_t key_every; /* 0: the first frame only */
    size_t b_frames;
    int open_gop;
    enum pts_kind pts;
    size_t hidden;                         /* frames before an edit list's start */
    int unsafe, no_pts, interlaced, twice; /* twice: each 50th packet has the pts of another */
    int grids;                             /* 0, 30 (60 to 30) or 15 (to 30 and to 15) */
};

void source_make(const struct source *s, struct media_info *ret_info, struct media_index *ret);
/* Video renditions as the source's `grids` want them, and one of audio. */
struct rendition *source_renditions(const struct source *s, size_t *ret_n);

/* Fails the running test where `p` isn't a plan for the source. */
void plan_check(const char *name, const struct media_info *info, const struct media_index *idx,
                const struct plan *p);

#endif
