#include "plan.h"
#include "fields.h"
#include "parts.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

void plan_release(struct plan *p)
{
    media_info_release(&p->info);
    rendition_list_free(p->renditions, p->n_renditions);
    rendition_list_free(p->extras, p->n_extras);
    for (size_t i = 0; i < p->n_groups; i++)
        free(p->groups[i].renditions);
    free(p->groups);
    for (size_t i = 0; i < p->n_chunks; i++)
        chunk_release(&p->chunks[i]);
    free(p->chunks);
    free(p->audio_cuts);
    memset(p, 0, sizeof(*p));
}

size_t plan_tracks(const struct plan *p)
{
    return p->n_renditions > p->n_video ? (size_t)p->renditions[p->n_renditions - 1].track + 1 : 0;
}

static json_t *group_to_json(const void *item)
{
    const struct task_group *g = item;
    json_t *a = json_array();

    for (size_t i = 0; i < g->n_renditions; i++) {
        if (json_array_append_new(a, json_integer(g->renditions[i])) < 0) {
            json_decref(a);
            return NULL;
        }
    }
    return a;
}

static json_t *chunk_item_to_json(const void *c)
{
    return chunk_to_json(c);
}

json_t *plan_to_json(const struct plan *p)
{
    struct out o = out_new();

    out_int(&o, "v", WIRE_VERSION);
    out_put(&o, "info", media_info_to_json(&p->info));
    out_int(&o, "origin", p->origin);
    out_int(&o, "timescale", p->timescale);
    out_int(&o, "duration", p->duration);
    out_list(&o, "renditions", p->renditions, p->n_renditions, sizeof(*p->renditions),
             rendition_item_to_json);
    if (p->n_extras > 0)
        out_list(&o, "extras", p->extras, p->n_extras, sizeof(*p->extras), rendition_item_to_json);
    out_list(&o, "groups", p->groups, p->n_groups, sizeof(*p->groups), group_to_json);
    out_list(&o, "chunks", p->chunks, p->n_chunks, sizeof(*p->chunks), chunk_item_to_json);
    out_times(&o, "audio_cuts", p->audio_cuts, p->n_audio_cuts);
    out_double(&o, "segment_seconds", p->segment_seconds);
    out_double(&o, "gop_seconds", p->gop_seconds);
    return out_done(&o);
}

/* Track by track, each one of the source's. */
static void tracks_check(const struct in *a, const struct plan *p)
{
    for (size_t i = p->n_video; i < p->n_renditions; i++) {
        unsigned is = p->renditions[i].track;
        int first = i == p->n_video;
        unsigned before = first ? 0 : p->renditions[i - 1].track;
        struct in e = in_at(a, i), track = in_field(&e, "track");
        if (is != before && (first || is != before + 1))
            in_fail(&track, "%u does not follow the rendition before it", is);
        if (!media_audio(&p->info, is))
            in_fail(&track, "the source has no track %u", is);
    }
}

/* Video first, then audio; with chunks exactly where there is video. */
static void kinds_read(const struct in *top, struct plan *p)
{
    struct in a = in_field(top, "renditions"), chunks = in_field(top, "chunks");

    while (p->n_video < p->n_renditions && p->renditions[p->n_video].kind == MEDIA_VIDEO)
        p->n_video++;
    for (size_t i = p->n_video; i < p->n_renditions; i++) {
        struct in e = in_at(&a, i);
        if (p->renditions[i].kind == MEDIA_VIDEO)
            in_fail(&e, "video must come before audio");
        if (media_kind_is_extra(p->renditions[i].kind))
            in_fail(&e, "is neither video nor audio");
    }
    if (p->n_renditions == 0)
        in_fail(&a, "must not be empty");
    if (p->n_video > 0 && p->info.video.stream < 0)
        in_fail(&a, "has video, the source has none");
    if (p->n_video < p->n_renditions && p->info.audio.stream < 0)
        in_fail(&a, "has audio, the source has none");
    tracks_check(&a, p);
    if ((p->n_video > 0) != (p->n_chunks > 0))
        in_fail(&chunks, "%zu chunks for %zu video renditions", p->n_chunks, p->n_video);
}

int plan_has_text(const struct plan *p)
{
    for (size_t i = 0; i < p->n_extras; i++)
        if (p->extras[i].kind == MEDIA_TEXT)
            return 1;
    return 0;
}

/* None of a plan by an older version. All come with video; their names are no rendition's. */
static void extras_read(const struct in *top, struct plan *p)
{
    struct in a = in_field(top, "extras");

    if (!a.j)
        return;
    p->extras = renditions_read(top, "extras", &p->n_extras);
    if (p->n_extras > 0 && p->n_video == 0)
        in_fail(&a, "need a video rendition");
    for (size_t i = 0; i < p->n_extras && in_ok(top); i++) {
        struct in e = in_at(&a, i);
        if (!media_kind_is_extra(p->extras[i].kind))
            in_fail(&e, "is no extra");
        for (size_t k = 0; k < p->n_renditions; k++)
            if (strcmp(p->extras[i].name, p->renditions[k].name) == 0)
                in_fail(&e, "has the name of a rendition");
    }
}

static void group_read(const struct in *v, struct task_group *g, size_t n_video, char *seen)
{
    size_t n;

    if (!json_is_array(v->j) || json_array_size(v->j) == 0 ||
        json_array_size(v->j) > RENDITIONS_MAX) {
        in_fail(v, "must be an array of 1 to %d numbers", RENDITIONS_MAX);
        return;
    }
    n = json_array_size(v->j);
    g->renditions = in_calloc(v, n, sizeof(*g->renditions));
    g->n_renditions = g->renditions ? n : 0;
    for (size_t i = 0; i < g->n_renditions && in_ok(v); i++) {
        struct in e = in_at(v, i);
        unsigned r = (unsigned)in_number(&e, 0, (int64_t)n_video - 1);
        g->renditions[i] = r;
        if (in_ok(v) && seen[r]++)
            in_fail(&e, "rendition %u is in two places", r);
    }
}

static void groups_read(const struct in *top, struct plan *p)
{
    size_t n, found = 0;
    struct in a = in_array(top, "groups", RENDITIONS_MAX, &n);
    char seen[RENDITIONS_MAX] = { 0 };

    p->groups = in_calloc(&a, n, sizeof(*p->groups));
    p->n_groups = p->groups ? n : 0;
    for (size_t i = 0; i < p->n_groups; i++) {
        struct in e = in_at(&a, i);
        group_read(&e, &p->groups[i], p->n_video, seen);
        found += p->groups[i].n_renditions;
    }
    if (found != p->n_video)
        in_fail(&a, "%zu of %zu video renditions are in a group", found, p->n_video);
}

/* `c` goes on where the chunk before it, `prev` (NULL: none), ended. */
static void joint_check(const struct in *v, size_t i, const struct chunk *c,
                        const struct chunk *prev)
{
    const struct {
        const char *name;
        int64_t is, want;
    } rows[] = {
        {"index",          c->index,         (int64_t)i                                        },
        { "start",         c->start,         prev ? prev->end : c->start                       },
        { "prev_pts",      c->prev_pts,      prev ? pts_list_last(&prev->pts) : NO_TIME        },
        { "first_gop",     c->first_gop,     prev ? prev->first_gop + (int64_t)prev->n_gops : 0},
        { "first_segment", c->first_segment,
         prev ? prev->first_segment + (int64_t)prev->n_segments : 0                            },
    };

    for (size_t k = 0; k < sizeof(rows) / sizeof(*rows); k++) {
        struct in f = in_field(v, rows[k].name);
        if (in_ok(v) && rows[k].is != rows[k].want)
            in_fail(&f, "%" PRId64 " does not follow the chunk before it (%" PRId64 ")", rows[k].is,
                    rows[k].want);
    }
}

static void chunks_read(const struct in *top, struct plan *p)
{
    size_t n;
    struct in a = in_array(top, "chunks", CHUNKS_MAX, &n);

    p->chunks = in_calloc(&a, n, sizeof(*p->chunks));
    p->n_chunks = p->chunks ? n : 0;
    for (size_t i = 0; i < p->n_chunks && in_ok(top); i++) {
        struct in e = in_at(&a, i);
        chunk_read(&e, &p->chunks[i]);
        if (in_ok(top))
            joint_check(&e, i, &p->chunks[i], i ? &p->chunks[i - 1] : NULL);
    }
}

static void cuts_check(const struct in *top, const struct plan *p)
{
    struct in a = in_field(top, "audio_cuts");

    if ((p->n_audio_cuts > 0) != (p->n_video < p->n_renditions || plan_has_text(p)))
        in_fail(&a, "%zu cuts for %zu audio renditions", p->n_audio_cuts,
                p->n_renditions - p->n_video);
    if (p->n_audio_cuts > 0 && p->audio_cuts[0] != 0)
        in_fail(&a, "must begin with 0");
}

int plan_from_json(const json_t *j, struct plan *ret, struct err *err)
{
    struct in_state state;
    struct in top = in_top(&state, "plan", j, err), info;
    struct plan p = { 0 };

    in_version(&top);
    info = in_field(&top, "info");
    media_info_read(&info, &p.info);
    p.origin = in_time(&top, "origin");
    p.timescale = (uint32_t)in_int(&top, "timescale", 1, INT32_MAX);
    p.duration = in_int(&top, "duration", 0, TIME_LIMIT);
    p.renditions = renditions_read(&top, "renditions", &p.n_renditions);
    chunks_read(&top, &p);
    kinds_read(&top, &p);
    extras_read(&top, &p);
    groups_read(&top, &p);
    p.audio_cuts = in_rising(&top, "audio_cuts", &p.n_audio_cuts);
    cuts_check(&top, &p);
    p.segment_seconds = in_double(&top, "segment_seconds", 0.01, 3600);
    p.gop_seconds = in_double(&top, "gop_seconds", 0.01, 3600);
    if (state.r < 0) {
        plan_release(&p);
        return state.r;
    }
    *ret = p;
    return 0;
}
