/* What of a package can be played before all of it is there. */
#include <errno.h>
#include <libavutil/mathematics.h>
#include <stdlib.h>
#include <string.h>

#include "package_parts.h"

#define WIDELY_PLAYED "h264"

static int no_memory(struct err *err)
{
    return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory while joining results");
}

/* Segments of another init segment than chunk 0's can't be played with it. */
static void drop_strangers(struct package_rendition *pr)
{
    for (size_t i = 0; pr->head && i < pr->n_segments; i++) {
        struct package_segment *s = &pr->segments[i];
        const struct rendition_result *got = NULL;

        for (size_t k = 0; s->seg && k < s->from->n_renditions; k++)
            if (strcmp(s->from->renditions[k].name, pr->rendition->name) == 0)
                got = &s->from->renditions[k];
        if (got && (strcmp(got->init.sha256, pr->head->init.sha256) != 0 ||
                    strcmp(got->codecs, pr->head->codecs) != 0))
            *s = (struct package_segment){ 0 };
    }
}

static int join_what_is_there(struct package *p, const struct task_result *const *results,
                              size_t n_results)
{
    struct err first;
    struct joiner j = { .pkg = p, .err = &first };
    int r = 0;

    j.redo.tasks = calloc(n_results + 1, sizeof(*j.redo.tasks));
    if (!j.redo.tasks)
        return -ENOMEM;
    for (size_t i = 0; i < n_results && r == 0; i++)
        if (results[i]->error.cls == ERR_NONE)
            r = package_join(&j, results[i]);
    package_redo_release(&j.redo);
    for (size_t i = 0; i < p->n_renditions; i++)
        drop_strangers(&p->renditions[i]);
    return r;
}

static int64_t gop_ticks(const struct plan *p, const struct chunk *c, size_t gop)
{
    return plan_ticks(gop < c->n_gops ? c->gops[gop] : c->end, p->origin, p->info.video.tb,
                      p->timescale);
}

static void raise_to(unsigned *target_s, int64_t start, int64_t end, uint32_t timescale)
{
    const struct span s = { start, end, 0 };
    unsigned is = span_target_s(&s, 1, timescale);
    if (is > *target_s)
        *target_s = is;
}

/* What the whole package's will be: results are held to the plan's times. */
static void set_targets(struct package *p)
{
    const struct plan *plan = p->plan;

    for (size_t i = 0; i < plan->n_chunks; i++) {
        const struct chunk *c = &plan->chunks[i];
        for (size_t k = 0; k < c->n_segments; k++) {
            size_t to = k + 1 < c->n_segments ? c->segments[k + 1] : c->n_gops;
            raise_to(&p->target_s, gop_ticks(plan, c, c->segments[k]), gop_ticks(plan, c, to),
                     plan->timescale);
        }
        for (size_t k = 0; k < c->n_gops; k++)
            raise_to(&p->gop_target_s, gop_ticks(plan, c, k), gop_ticks(plan, c, k + 1),
                     plan->timescale);
    }
    for (size_t i = p->n_video; i < p->n_renditions; i++) {
        const struct package_rendition *a = &p->renditions[i];
        for (size_t k = 0; k < a->n_segments; k++)
            raise_to(&p->target_s, a->segments[k].start, a->segments[k].end, a->head->timescale);
    }
}

static int wanted(const struct package_rendition *pr, int widely)
{
    return pr->rendition->kind != MEDIA_VIDEO || !widely ||
           strcmp(pr->rendition->codec, WIDELY_PLAYED) == 0;
}

/* Keep what is shown early, in its order. */
static void choose(struct package *p)
{
    size_t n = 0, n_video = 0;
    int widely = 0;

    for (size_t i = 0; i < p->n_video; i++)
        widely |= strcmp(p->renditions[i].rendition->codec, WIDELY_PLAYED) == 0;
    for (size_t i = 0; i < p->n_renditions; i++) {
        struct package_rendition *pr = &p->renditions[i];
        if (!wanted(pr, widely)) {
            free(pr->segments);
            continue;
        }
        n_video += i < p->n_video;
        p->renditions[n++] = *pr;
    }
    p->n_renditions = n;
    p->n_video = n_video;
}

/* How many segments all video renditions begin with; 0 also without video. */
static size_t common_segments(const struct package *p)
{
    size_t least = p->n_video ? SIZE_MAX : 0;

    for (size_t i = 0; i < p->n_video; i++) {
        const struct package_rendition *pr = &p->renditions[i];
        size_t n = 0;
        while (pr->head && n < pr->n_segments && pr->segments[n].seg)
            n++;
        least = n < least ? n : least;
    }
    return least;
}

/* Audio segments end near where video's do, not at the same time: one that
 * is more than half before the end counts. */
static size_t audio_until(const struct package_rendition *a, int64_t end, uint32_t timescale)
{
    const AVRational tick = { 1, (int)timescale }, own = { 1, (int)a->head->timescale };
    size_t n = 1;

    while (n < a->n_segments &&
           av_compare_ts(a->segments[n].start + (a->segments[n].end - a->segments[n].start) / 2,
                         own, end, tick) < 0)
        n++;
    return n;
}

static int sound_is_whole(const struct package *p)
{
    for (size_t i = p->n_video; i < p->n_renditions; i++)
        if (!p->renditions[i].head)
            return 0;
    return 1;
}

/* Whether there is enough. */
static int cut(struct package *p)
{
    size_t n = sound_is_whole(p) ? common_segments(p) : 0;

    if (n == 0)
        return 0;
    set_targets(p);
    int64_t end = p->renditions[0].segments[n - 1].end;
    for (size_t i = 0; i < p->n_renditions; i++) {
        struct package_rendition *pr = &p->renditions[i];
        pr->n_segments = i < p->n_video ? n : audio_until(pr, end, p->plan->timescale);
    }
    p->growing = 1;
    return 1;
}

int package_build_early(const struct plan *plan, const struct task_result *const *results,
                        size_t n_results, struct package **ret, struct err *err)
{
    _cleanup_(package_unbuildp) struct package *p = package_new(plan, results, n_results);

    if (!p || join_what_is_there(p, results, n_results) < 0)
        return no_memory(err);
    choose(p);
    if (!cut(p)) {
        *ret = NULL;
        return 0;
    }
    if (package_measure(p) < 0)
        return no_memory(err);
    *ret = take_ptr(p);
    return 0;
}
