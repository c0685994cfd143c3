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
    for (size_t i = 0; i < plan->n_audio_cuts && plan_has_text(plan); i++)
        raise_to(&p->target_s, plan->audio_cuts[i],
                 i + 1 < plan->n_audio_cuts ? plan->audio_cuts[i + 1] : plan->duration,
                 plan->timescale);
    for (size_t i = p->n_video; i < p->n_renditions; i++) {
        const struct package_rendition *a = &p->renditions[i];
        for (size_t k = 0; k < a->n_segments; k++) {
            const struct span s = package_samples(a, k);
            raise_to(&p->target_s, s.start, s.end, a->head->timescale);
        }
    }
}

/* How many segments all renditions of this codec begin with. */
static size_t common_segments(const struct package *p, const char *codec)
{
    size_t least = SIZE_MAX;

    for (size_t i = 0; i < p->n_video; i++) {
        const struct package_rendition *pr = &p->renditions[i];
        size_t n = 0;
        if (strcmp(pr->rendition->codec, codec) != 0)
            continue;
        while (pr->head && n < pr->n_segments && pr->segments[n].seg)
            n++;
        least = n < least ? n : least;
    }
    return least == SIZE_MAX ? 0 : least;
}

static int has_codec(const struct package *p, const char *codec)
{
    int has = 0;

    for (size_t i = 0; i < p->n_video; i++)
        has |= strcmp(p->renditions[i].rendition->codec, codec) == 0;
    return has;
}

/* Cut each video rendition to what its codec has, and keep, in their order,
 * those of codecs that have something. 0 or -ENOMEM. */
static int choose(struct package *p)
{
    _cleanup_free_ size_t *have = calloc(p->n_video + 1, sizeof(*have));
    size_t n = 0, n_video = 0;

    if (!have)
        return -ENOMEM;
    if (!has_codec(p, WIDELY_PLAYED) || common_segments(p, WIDELY_PLAYED) > 0)
        for (size_t i = 0; i < p->n_video; i++)
            have[i] = common_segments(p, p->renditions[i].rendition->codec);
    for (size_t i = 0; i < p->n_renditions; i++) {
        struct package_rendition *pr = &p->renditions[i];
        if (i < p->n_video && have[i] == 0) {
            free(pr->segments);
            continue;
        }
        if (i < p->n_video)
            pr->n_segments = have[i];
        n_video += i < p->n_video;
        p->renditions[n++] = *pr;
    }
    p->n_renditions = n;
    p->n_video = n_video;
    return 0;
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

/* Where the longest video playlist ends. */
static int64_t video_end(const struct package *p)
{
    int64_t end = INT64_MIN;

    for (size_t i = 0; i < p->n_video; i++) {
        const struct package_rendition *pr = &p->renditions[i];
        int64_t its = pr->segments[pr->n_segments - 1].end;
        end = its > end ? its : end;
    }
    return end;
}

/* Whether there is enough. */
static int cut(struct package *p)
{
    if (p->n_video == 0 || !sound_is_whole(p))
        return 0;
    set_targets(p);
    for (size_t i = p->n_video; i < p->n_renditions; i++)
        p->renditions[i].n_segments = audio_until(&p->renditions[i], video_end(p),
                                                  p->plan->timescale);
    p->growing = 1;
    return 1;
}

int package_build_early(const struct plan *plan, const struct task_result *const *results,
                        size_t n_results, struct package **ret, struct err *err)
{
    _cleanup_(package_unbuildp) struct package *p = package_new(plan, results, n_results);

    if (!p || join_what_is_there(p, results, n_results) < 0)
        return no_memory(err);
    package_drop_extras(p, 1);
    if (choose(p) < 0)
        return no_memory(err);
    if (!cut(p)) {
        *ret = NULL;
        return 0;
    }
    if (package_measure(p) < 0)
        return no_memory(err);
    *ret = take_ptr(p);
    return 0;
}
