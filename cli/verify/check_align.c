/* align.*: renditions against each other, in exact rationals. */
#include <math.h>

#include "check.h"

static const struct rendition *first_of(const struct package *p, enum kind kind)
{
    for (size_t i = 0; i < p->n_renditions; i++)
        if (p->renditions[i].kind == kind && p->renditions[i].whole)
            return &p->renditions[i];
    return NULL;
}

static int same_time(const struct rendition *a, int64_t ta, const struct rendition *b, int64_t tb)
{
    return !time_cmp(ta, a->init.timescale, tb, b->init.timescale);
}

static void compare_video(struct package *p, const struct rendition *a, const struct rendition *b)
{
    if (a->n_segments != b->n_segments || a->n_fragments != b->n_fragments)
        report_fail(p->report, CHECK_ALIGN_VIDEO,
                    "%s has %zu segments and %zu GOPs, %s has %zu and %zu", b->folder,
                    b->n_segments, b->n_fragments, a->folder, a->n_segments, a->n_fragments);
    for (size_t i = 0; i < a->n_segments && i < b->n_segments; i++)
        if (!same_time(a, a->segments[i].start, b, b->segments[i].start))
            report_fail(p->report, CHECK_ALIGN_VIDEO, "%s starts at %.6f s, %s at %.6f s",
                        b->segments[i].path, seconds(b->segments[i].start, b->init.timescale),
                        a->segments[i].path, seconds(a->segments[i].start, a->init.timescale));
    for (size_t i = 0; i < a->n_fragments && i < b->n_fragments; i++)
        if (!same_time(a, a->fragments[i].tfdt, b, b->fragments[i].tfdt))
            report_fail(p->report, CHECK_ALIGN_VIDEO,
                        "GOP %zu starts at %.6f s in %s, at %.6f s in %s", i,
                        seconds(b->fragments[i].tfdt, b->init.timescale), b->folder,
                        seconds(a->fragments[i].tfdt, a->init.timescale), a->folder);
}

static int64_t longest_frame(const struct rendition *r)
{
    int64_t most = 0;
    for (size_t i = 0; i < r->n_frames; i++)
        if (r->frames[i].duration > most)
            most = r->frames[i].duration;
    return most;
}

static double end_of(const struct rendition *r)
{
    return seconds(r->segments[r->n_segments - 1].until, r->init.timescale);
}

/* When the audio segment begins that begins nearest to `at`. */
static double nearest_start(const struct rendition *a, double at)
{
    double best = INFINITY;
    for (size_t i = 0; i < a->n_segments; i++) {
        double start = seconds(a->segments[i].shown, a->init.timescale);
        if (fabs(start - at) < fabs(best - at))
            best = start;
    }
    return best;
}

/* Where the video's do audio segments begin; in between only where that lasts long, as
 * a still does. A rest shorter than a frame makes no segment of its own, so numbers may
 * differ at the end. */
static void compare_audio(struct package *p, const struct rendition *v, const struct rendition *a)
{
    double frame = seconds(longest_frame(a), a->init.timescale) + 1e-9;
    double first = seconds(a->segments[0].shown, a->init.timescale);
    double least = end_of(a) < end_of(v) ? end_of(a) : end_of(v);
    for (size_t i = 1; i < v->n_segments; i++) {
        double at = seconds(v->segments[i].start, v->init.timescale), start = nearest_start(a, at);
        if (at > first + frame && at < least - 2 * frame && fabs(start - at) > frame)
            report_fail(
                p->report, CHECK_ALIGN_AUDIO,
                "%s begins at %.6f s, no segment of %s nearer than %+.6f s; one audio frame is %.6f s",
                v->segments[i].path, at, a->folder, start - at, frame);
    }
    for (size_t i = 1, k = 0; i < a->n_segments; i++) {
        double at = seconds(a->segments[i].shown, a->init.timescale);
        double lasts = seconds(a->segments[i].until, a->init.timescale) - at;
        while (k + 1 < v->n_segments &&
               seconds(v->segments[k + 1].start, v->init.timescale) <= at + frame)
            k++;
        double from = seconds(v->segments[k].start, v->init.timescale);
        double to = seconds(v->segments[k].end, v->init.timescale);
        if (at > from + frame && at < to - frame && to - from < 2 * lasts)
            report_fail(p->report, CHECK_ALIGN_AUDIO,
                        "%s begins %+.6f s from %s; one audio frame is %.6f s", a->segments[i].path,
                        at - from, v->segments[k].path, frame);
    }
}

static void compare_end(struct package *p, const struct rendition *a, const struct rendition *b)
{
    double off = end_of(b) - end_of(a);
    double fa = seconds(longest_frame(a), a->init.timescale);
    double fb = seconds(longest_frame(b), b->init.timescale);
    double limit = (fa > fb ? fa : fb) + 1e-9;
    if (off > limit || off < -limit)
        report_fail(p->report, CHECK_ALIGN_END, "%s ends at %.6f s, %s at %.6f s", b->folder,
                    end_of(b), a->folder, end_of(a));
}

void check_align(struct package *p)
{
    const struct rendition *v = first_of(p, KIND_VIDEO), *a = first_of(p, KIND_AUDIO);
    for (size_t i = 0; i < p->n_renditions; i++) {
        const struct rendition *r = &p->renditions[i];
        if (!r->whole)
            continue;
        report_ran(p->report, CHECK_ALIGN_END);
        compare_end(p, r->kind == KIND_VIDEO ? v : a, r);
        if (r->kind == KIND_VIDEO && r != v)
            compare_video(p, v, r);
        if (r->kind == KIND_AUDIO && v) {
            report_ran(p->report, CHECK_ALIGN_AUDIO);
            compare_audio(p, v, r);
        }
    }
    if (v)
        report_pass(p->report, CHECK_ALIGN_VIDEO, "%zu segments, %zu GOPs each", v->n_segments,
                    v->n_fragments);
    if (v)
        report_pass(p->report, CHECK_ALIGN_END, "video ends at %.6f s", end_of(v));
    if (a)
        report_pass(p->report, CHECK_ALIGN_END, "audio ends at %.6f s", end_of(a));
}
