#include "package.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../../common/base/cleanup.h"
#include "check.h"
#include "package_parts.h"

void package_redo_release(struct package_redo *r)
{
    free(r->tasks);
    *r = (struct package_redo){ 0 };
}

void package_unbuild(struct package *p)
{
    if (!p)
        return;
    for (size_t i = 0; p->renditions && i < p->n_renditions; i++)
        free(p->renditions[i].segments);
    for (size_t i = 0; p->extras && i < p->n_extras; i++)
        free(p->extras[i].segments);
    free(p->extras);
    free(p->renditions);
    free(p->results);
    free(p);
}

const char *package_folder(const struct package_rendition *r)
{
    static const char *const folders[] = { [MEDIA_VIDEO] = "video",
                                           [MEDIA_AUDIO] = "audio",
                                           [MEDIA_TEXT] = "text",
                                           [MEDIA_POSTER] = "poster",
                                           [MEDIA_STORYBOARD] = "storyboard" };
    return folders[r->rendition->kind];
}

AVRational package_average_rate(const struct package_rendition *r)
{
    int64_t ticks = r->segments[r->n_segments - 1].end - r->segments[0].start;
    int64_t frames = r->frames < INT32_MAX ? (int64_t)r->frames : INT32_MAX;
    AVRational rate = { 0, 1 };

    av_reduce(&rate.num, &rate.den, frames * r->timescale, ticks, 1000000);
    return rate;
}

static int no_memory(struct err *err)
{
    return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory while joining results");
}

static int by_task(const void *a, const void *b)
{
    const struct task_result *const *x = a, *const *y = b;
    return strcmp((*x)->task, (*y)->task);
}

/* Segments that all chunks of the plan have together. */
static size_t planned_segments(const struct plan *p)
{
    const struct chunk *last = p->n_chunks ? &p->chunks[p->n_chunks - 1] : NULL;
    return last ? last->first_segment + last->n_segments : 0;
}

struct package *package_new(const struct plan *plan, const struct task_result *const *results,
                            size_t n_results)
{
    _cleanup_(package_unbuildp) struct package *p = calloc(1, sizeof(*p));
    if (!p)
        return NULL;
    p->plan = plan;
    p->folder = "";
    p->n_video = plan->n_video;
    p->n_results = n_results;
    p->n_renditions = plan->n_renditions;
    p->results = calloc(n_results + 1, sizeof(*p->results));
    p->renditions = calloc(plan->n_renditions + 1, sizeof(*p->renditions));
    p->extras = calloc(plan->n_extras + 1, sizeof(*p->extras));
    if (!p->results || !p->renditions || !p->extras)
        return NULL;
    for (; p->n_extras < plan->n_extras; p->n_extras++)
        p->extras[p->n_extras].rendition = &plan->extras[p->n_extras];

    for (size_t i = 0; i < n_results; i++)
        p->results[i] = results[i];
    qsort(p->results, n_results, sizeof(*p->results), by_task);

    for (size_t i = 0; i < plan->n_renditions; i++) {
        struct package_rendition *pr = &p->renditions[i];
        pr->rendition = &plan->renditions[i];
        if (pr->rendition->kind != MEDIA_VIDEO)
            continue; /* its one result says how many */
        pr->n_segments = planned_segments(plan);
        pr->segments = calloc(pr->n_segments + 1, sizeof(*pr->segments));
        if (!pr->segments)
            return NULL;
    }
    return take_ptr(p);
}

/* Remember that the task of `from` must run again (from NULL: which one it
 * is, nobody here knows). Where `e` tells the first fault it is the answer. */
static void note(struct joiner *j, const struct task_result *from, const struct err *e)
{
    if (!j->faults && j->err)
        *j->err = *e;
    j->faults = 1;
    if (!from)
        return;
    for (size_t i = 0; i < j->redo.n; i++)
        if (strcmp(j->redo.tasks[i], from->task) == 0)
            return;
    j->redo.tasks[j->redo.n++] = from->task;
}

static struct package_rendition *rendition_named(struct package *p, const char *name)
{
    for (size_t i = 0; i < p->n_renditions; i++)
        if (strcmp(p->renditions[i].rendition->name, name) == 0)
            return &p->renditions[i];
    for (size_t i = 0; i < p->n_extras; i++)
        if (strcmp(p->extras[i].rendition->name, name) == 0)
            return &p->extras[i];
    return NULL;
}

/* The chunk that has segment `number` (from 1), or NULL. */
static const struct chunk *chunk_of(const struct plan *p, unsigned number)
{
    size_t low = 0, high = p->n_chunks;

    while (low < high) {
        size_t mid = low + (high - low) / 2;
        const struct chunk *c = &p->chunks[mid];
        if (number - 1 < c->first_segment)
            high = mid;
        else if (number - 1 >= c->first_segment + c->n_segments)
            low = mid + 1;
        else
            return c;
    }
    return NULL;
}

static int join_video(struct joiner *j, struct package_rendition *pr,
                      const struct task_result *from, const struct rendition_result *got,
                      struct err *err)
{
    const struct plan *plan = j->pkg->plan;
    unsigned number = got->n_segments ? got->segments[0].number : 0;
    const struct chunk *c = number ? chunk_of(plan, number) : NULL;

    if (!c)
        return err_set(err, -EPROTO, ERR_INTERNAL, "rendition %s: no chunk has segment %u",
                       got->name, number);
    int r = result_check_video(plan, pr->rendition, c, got, err);
    if (r < 0)
        return r;
    if (pr->segments[c->first_segment].seg)
        return err_set(err, -EPROTO, ERR_INTERNAL,
                       "rendition %s, chunk %u: tasks %s and %s both have it", got->name, c->index,
                       pr->segments[c->first_segment].from->task, from->task);

    for (size_t i = 0; i < got->n_segments; i++) {
        const struct segment *s = &got->segments[i];
        pr->segments[s->number - 1] = (struct package_segment){ s, from, s->start,
                                                                s->start + s->duration };
    }
    if (c->index == 0) {
        pr->head = got;
        pr->head_from = from;
    }
    return 0;
}

/* Sound, or an extra: all of it in one result. */
static int join_whole(struct joiner *j, struct package_rendition *pr,
                      const struct task_result *from, const struct rendition_result *got,
                      struct err *err)
{
    if (pr->head)
        return err_set(err, -EPROTO, ERR_INTERNAL, "rendition %s: tasks %s and %s both have it",
                       got->name, pr->head_from->task, from->task);
    int r = media_kind_is_extra(pr->rendition->kind)
                ? result_check_extra(j->pkg->plan, pr->rendition, got, err)
                : result_check_audio(j->pkg->plan, pr->rendition, got, err);
    if (r < 0)
        return r;

    pr->segments = calloc(got->n_segments + 1, sizeof(*pr->segments));
    if (!pr->segments)
        return no_memory(err);
    pr->n_segments = got->n_segments;
    for (size_t i = 0; i < got->n_segments; i++) {
        const struct segment *s = &got->segments[i];
        pr->segments[i] = (struct package_segment){ s, from, s->start, s->start + s->duration };
    }
    pr->head = got;
    pr->head_from = from;
    return 0;
}

int package_join(struct joiner *j, const struct task_result *from)
{
    struct err e = { 0 };

    for (size_t i = 0; i < from->n_renditions; i++) {
        const struct rendition_result *got = &from->renditions[i];
        struct package_rendition *pr = rendition_named(j->pkg, got->name);
        int r;

        if (!pr)
            r = err_set(&e, -EPROTO, ERR_INTERNAL, "rendition %s is not in the plan", got->name);
        else if (pr->rendition->kind == MEDIA_VIDEO)
            r = join_video(j, pr, from, got, &e);
        else
            r = join_whole(j, pr, from, got, &e);
        if (r == -ENOMEM)
            return no_memory(j->err);
        if (r < 0) {
            (void)err_prefix(&e, r, "task %s", from->task);
            note(j, from, &e);
        }
    }
    return 0;
}

/* Every chunk's init segment and codecs are chunk 0's (rule 5.6). */
static void check_heads(struct joiner *j, const struct package_rendition *pr)
{
    for (size_t i = 0; i < j->pkg->n_results && pr->head; i++) {
        const struct task_result *from = j->pkg->results[i];
        for (size_t k = 0; k < from->n_renditions; k++) {
            const struct rendition_result *got = &from->renditions[k];
            struct err e = { 0 };

            if (strcmp(got->name, pr->rendition->name) != 0)
                continue;
            if (strcmp(got->init.sha256, pr->head->init.sha256) != 0)
                (void)err_set(&e, -EPROTO, ERR_INTERNAL,
                              "task %s: rendition %s: init segment: expected sha256 %s as task %s "
                              "has it, got %s",
                              from->task, got->name, pr->head->init.sha256, pr->head_from->task,
                              got->init.sha256);
            else if (!got->codecs || strcmp(got->codecs, pr->head->codecs) != 0)
                (void)err_set(
                    &e, -EPROTO, ERR_INTERNAL,
                    "task %s: rendition %s: codecs: expected %s as task %s has it, got %s",
                    from->task, got->name, pr->head->codecs, pr->head_from->task,
                    got->codecs ? got->codecs : "none");
            else
                continue;
            note(j, from, &e);
        }
    }
}

/* Segments that no result had. Where their task was refused above, that
 * says it already. */
static void check_missing(struct joiner *j, const struct package_rendition *pr)
{
    struct err e = { 0 };
    unsigned missing = 0;

    for (size_t i = 0; i < pr->n_segments; i++)
        if (!pr->segments[i].seg && !missing)
            missing = (unsigned)i + 1;
    if (pr->n_segments > 0 && !missing)
        return;

    const struct chunk *c = missing ? chunk_of(j->pkg->plan, missing) : NULL;
    if (c)
        (void)err_set(&e, -EPROTO, ERR_INTERNAL, "rendition %s, chunk %u: no result has segment %u",
                      pr->rendition->name, c->index, missing);
    else
        (void)err_set(&e, -EPROTO, ERR_INTERNAL, "rendition %s: no result has it",
                      pr->rendition->name);
    note(j, NULL, &e);
}

struct span package_samples(const struct package_rendition *r, size_t i)
{
    const struct package_segment *s = &r->segments[i];
    int64_t priming = r->rendition->kind == MEDIA_AUDIO ? r->head->priming : 0;

    return (struct span){ s->start + (i ? priming : 0), s->end + priming, s->seg->size_bytes };
}

static struct package_rate measure(const struct span *s, size_t n, uint32_t timescale,
                                   unsigned target_s)
{
    return (struct package_rate){ .peak = bitrate_peak(s, n, timescale, target_s),
                                  .average = bitrate_average(s, n, timescale),
                                  .target_s = span_target_s(s, n, timescale) };
}

static struct span *segment_spans(const struct package_rendition *pr)
{
    struct span *s = calloc(pr->n_segments, sizeof(*s));
    for (size_t i = 0; s && i < pr->n_segments; i++)
        s[i] = (struct span){ pr->segments[i].start, pr->segments[i].end,
                              pr->segments[i].seg->size_bytes };
    return s;
}

static struct span *gop_spans(const struct package_rendition *pr, size_t *ret_n)
{
    size_t n = 0, at = 0;
    for (size_t i = 0; i < pr->n_segments; i++)
        n += pr->segments[i].seg->n_gops;

    struct span *s = calloc(n + 1, sizeof(*s));
    for (size_t i = 0; s && i < pr->n_segments; i++) {
        const struct segment *seg = pr->segments[i].seg;
        for (size_t k = 0; k < seg->n_gops; k++) {
            const struct gop_range *g = &seg->gops[k];
            s[at++] = (struct span){ g->start, g->start + g->duration, g->size_bytes };
        }
    }
    *ret_n = n;
    return s;
}

static void total(struct package *p, struct package_rendition *pr)
{
    pr->timescale = pr->head->timescale;
    pr->size_bytes = pr->head->init.size_bytes;
    for (size_t i = 0; i < pr->n_segments; i++) {
        const struct package_segment *s = &pr->segments[i];
        pr->frames += s->seg->frames;
        pr->size_bytes += s->seg->size_bytes;

        int64_t us = ticks_to_us(s->end - s->start, pr->timescale);
        if ((us + 999) / 1000 > p->min_buffer_ms)
            p->min_buffer_ms = (us + 999) / 1000;
    }
}

static int measure_rendition(struct package *p, struct package_rendition *pr)
{
    _cleanup_free_ struct span *s = segment_spans(pr);
    if (!s)
        return -ENOMEM;
    pr->rate = measure(s, pr->n_segments, pr->timescale, p->target_s);
    pr->bandwidth = bitrate_sustained(s, pr->n_segments, pr->timescale, p->min_buffer_ms);
    if (pr->rendition->kind != MEDIA_VIDEO)
        return 0;

    size_t n = 0;
    _cleanup_free_ struct span *gops = gop_spans(pr, &n);
    if (!gops)
        return -ENOMEM;
    unsigned target = span_target_s(gops, n, pr->timescale);
    if (target < p->gop_target_s)
        target = p->gop_target_s;
    pr->iframes = measure(gops, n, pr->timescale, target);
    pr->iframes.target_s = target;
    return 0;
}

static int measure_extra(struct package *p, struct package_rendition *pr)
{
    _cleanup_free_ struct span *s = segment_spans(pr);
    if (!s)
        return -ENOMEM;
    pr->rate = measure(s, pr->n_segments, pr->timescale, p->target_s);
    pr->bandwidth = bitrate_sustained(s, pr->n_segments, pr->timescale, p->min_buffer_ms);
    return 0;
}

/* A poster has no segments. Sheets of a storyboard are no media segments: they
 * last as long as they do. Nothing here raises what clients must buffer. */
static int measure_extras(struct package *p)
{
    int64_t buffer_ms = p->min_buffer_ms;
    int r = 0;

    for (size_t i = 0; i < p->n_extras; i++) {
        struct package_rendition *pr = &p->extras[i];
        total(p, pr);
        p->min_buffer_ms = buffer_ms;
        for (size_t k = 0; pr->rendition->kind == MEDIA_TEXT && k < pr->n_segments; k++) {
            const struct span s = { pr->segments[k].start, pr->segments[k].end, 0 };
            unsigned target = span_target_s(&s, 1, pr->timescale);
            p->target_s = target > p->target_s ? target : p->target_s;
        }
    }
    for (size_t i = 0; i < p->n_extras && r == 0; i++)
        if (p->extras[i].n_segments > 0)
            r = measure_extra(p, &p->extras[i]);
    return r;
}

/* RFC 8216bis, 6.2.4 wants one target duration for all media playlists, and
 * peaks depend on it: so two rounds. */
int package_measure(struct package *p)
{
    if (p->target_s < 1)
        p->target_s = 1;
    for (size_t i = 0; i < p->n_renditions; i++) {
        struct package_rendition *pr = &p->renditions[i];
        total(p, pr);
        for (size_t k = 0; k < pr->n_segments; k++) {
            const struct span s = package_samples(pr, k);
            unsigned target = span_target_s(&s, 1, pr->timescale);
            if (target > p->target_s)
                p->target_s = target;
        }
    }
    if (measure_extras(p) < 0)
        return -ENOMEM;
    for (size_t i = 0; i < p->n_renditions; i++)
        if (measure_rendition(p, &p->renditions[i]) < 0)
            return -ENOMEM;
    return 0;
}

void package_drop_extras(struct package *p, int all)
{
    size_t n = 0;

    for (size_t i = 0; i < p->n_extras; i++) {
        if (!all && p->extras[i].head)
            p->extras[n++] = p->extras[i];
        else
            free(p->extras[i].segments);
    }
    p->n_extras = n;
}

static int join(struct joiner *j)
{
    struct package *p = j->pkg;

    for (size_t i = 0; i < p->n_results; i++) {
        int r = package_join(j, p->results[i]);
        if (r < 0)
            return r;
    }
    for (size_t i = 0; i < p->n_renditions; i++) {
        check_heads(j, &p->renditions[i]);
        check_missing(j, &p->renditions[i]);
    }
    package_drop_extras(p, 0);
    return j->faults ? -EPROTO : 0;
}

int package_build(const struct plan *plan, const struct task_result *const *results,
                  size_t n_results, struct package **ret, struct package_redo *ret_redo,
                  struct err *err)
{
    _cleanup_(package_unbuildp) struct package *p = package_new(plan, results, n_results);
    struct joiner j = { .pkg = p, .err = err };

    j.redo.tasks = calloc(n_results + 1, sizeof(*j.redo.tasks));
    int r = p && j.redo.tasks ? join(&j) : no_memory(err);
    if (r == 0 && package_measure(p) < 0)
        r = no_memory(err);
    if (r == -EPROTO && ret_redo)
        *ret_redo = j.redo;
    else
        package_redo_release(&j.redo);
    if (r == 0)
        *ret = take_ptr(p);
    return r;
}
