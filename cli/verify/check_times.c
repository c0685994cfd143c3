/* seg.time, seg.order: the clock of every track. */
#include <stdlib.h>
#include <string.h>

#include "check.h"

static void check_continuity(struct package *p, const struct rendition *r)
{
    for (size_t i = 0; i < r->n_fragments; i++) {
        const struct fragment *f = &r->fragments[i], *before = f - 1;
        const struct segment *s = &r->segments[f->segment];
        if (!i && f->segment)
            continue; /* segments before it can't be read: said elsewhere */
        if (i && f->segment > before->segment + 1)
            continue;
        if (i && f->tfdt != before->stop)
            report_fail(p->report, CHECK_SEG_TIME,
                        "%s: moof %zu: tfdt %lld, but the moof before ends at %lld (%+.6f s)",
                        s->path, i - s->first_fragment, (long long)f->tfdt, (long long)before->stop,
                        seconds(f->tfdt - before->stop, r->init.timescale));
    }
}

/* Whatever comes first starts the timeline. */
static void check_zero(struct package *p)
{
    const struct rendition *first = NULL;
    for (size_t i = 0; i < p->n_renditions; i++) {
        const struct rendition *r = &p->renditions[i];
        if (!r->whole)
            return;
        if (!first || time_cmp(r->segments[0].shown, r->init.timescale, first->segments[0].shown,
                               first->init.timescale) < 0)
            first = r;
    }
    if (first && seconds(first->segments[0].shown, first->init.timescale) > 0.001)
        report_fail(p->report, CHECK_SEG_TIME,
                    "%s: nothing is shown or heard before %.6f s: the timeline starts at 0",
                    first->segments[0].path,
                    seconds(first->segments[0].shown, first->init.timescale));
}

static int by_pts(const void *a, const void *b)
{
    int64_t x = ((const struct frame *)a)->pts, y = ((const struct frame *)b)->pts;
    return (x > y) - (x < y);
}

/* Players that go by pts and durations see a gap or an overlap otherwise. */
static void check_lasting(struct package *p, const struct rendition *r, const struct fragment *f,
                          const struct frame *shown)
{
    const struct segment *s = &r->segments[f->segment];
    for (size_t i = 0; i < f->n_frames && r->kind == KIND_VIDEO; i++) {
        int64_t next = i + 1 < f->n_frames ? shown[i + 1].pts : f->stop;
        if (shown[i].pts + shown[i].duration == next)
            continue;
        report_fail(p->report, CHECK_SEG_ORDER,
                    "%s: moof %zu: the picture at %lld lasts %u ticks, the next one is %lld later",
                    s->path, (size_t)(f - r->fragments) - s->first_fragment,
                    (long long)shown[i].pts, shown[i].duration, (long long)(next - shown[i].pts));
        break;
    }
}

static void check_fragment_order(struct package *p, const struct rendition *r,
                                 const struct fragment *f, struct frame *scratch)
{
    const struct segment *s = &r->segments[f->segment];
    size_t k = (size_t)(f - r->fragments) - s->first_fragment;
    if (!f->n_frames)
        return;
    memcpy(scratch, r->frames + f->first_frame, f->n_frames * sizeof(*scratch));
    qsort(scratch, f->n_frames, sizeof(*scratch), by_pts);
    if (scratch[0].pts != f->tfdt)
        report_fail(p->report, CHECK_SEG_ORDER,
                    "%s: moof %zu: its first picture is shown at %lld, its tfdt is %lld", s->path,
                    k, (long long)scratch[0].pts, (long long)f->tfdt);
    if (scratch[f->n_frames - 1].pts >= f->stop)
        report_fail(p->report, CHECK_SEG_ORDER,
                    "%s: moof %zu: a picture is shown at %lld, the moof ends at %lld", s->path, k,
                    (long long)scratch[f->n_frames - 1].pts, (long long)f->stop);
    for (size_t i = 1; i < f->n_frames; i++) {
        if (scratch[i].pts != scratch[i - 1].pts)
            continue;
        report_fail(p->report, CHECK_SEG_ORDER, "%s: moof %zu: two pictures at %lld", s->path, k,
                    (long long)scratch[i].pts);
        return;
    }
    check_lasting(p, r, f, scratch);
}

static void check_order(struct package *p, const struct rendition *r)
{
    size_t most = 0;
    for (size_t i = 0; i < r->n_fragments; i++)
        if (r->fragments[i].n_frames > most)
            most = r->fragments[i].n_frames;
    struct frame *scratch = calloc(most + 1, sizeof(*scratch));
    for (size_t i = 0; i < r->n_fragments && scratch; i++)
        check_fragment_order(p, r, &r->fragments[i], scratch);
    if (!scratch)
        report_fail(p->report, CHECK_SEG_ORDER, "%s: out of memory", r->folder);
    free(scratch);
}

void check_times(struct package *p)
{
    size_t fragments = 0, frames = 0;
    for (size_t i = 0; i < p->n_renditions; i++) {
        const struct rendition *r = &p->renditions[i];
        if (!r->has_init)
            continue;
        check_continuity(p, r);
        check_order(p, r);
        fragments += r->n_fragments;
        frames += r->n_frames;
    }
    check_zero(p);
    report_pass(p->report, CHECK_SEG_TIME, "%zu fragments without a gap", fragments);
    report_pass(p->report, CHECK_SEG_ORDER, "%zu samples", frames);
}
