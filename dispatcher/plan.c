#include "plan.h"
#include "../common/base/err.h"
#include "plan_parts.h"
#include <errno.h>
#include <libavutil/mathematics.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static struct targets targets_of(const struct plan_options *o)
{
    struct targets t = {
        .segment_s = o->segment_seconds > 0 ? o->segment_seconds : 6,
        .gop_s = o->gop_seconds > 0 ? o->gop_seconds : 2,
        .chunk_s = o->chunk_seconds,
        .slots = o->slots ? o->slots : 1,
        .chunk_count = o->chunk_count,
        .early = o->early && !(o->chunk_seconds > 0) && o->chunk_count == 0,
    };

    t.gop_s = fmin(t.gop_s, t.segment_s); /* a segment is whole GOPs */
    return t;
}

static int targets_check(const struct targets *t, struct err *err)
{
    if (!(t->segment_s >= 0.1 && t->segment_s <= 600))
        return err_set(err, -EINVAL, ERR_USAGE, "segments of %g s are outside 0.1 to 600 s",
                       t->segment_s);
    if (!(t->gop_s >= 0.1))
        return err_set(err, -EINVAL, ERR_USAGE, "GOPs of %g s are below 0.1 s", t->gop_s);
    if (t->chunk_s < 0 || t->chunk_s > 86400 || isnan(t->chunk_s))
        return err_set(err, -EINVAL, ERR_USAGE, "chunks of %g s are outside 0 to 86400 s",
                       t->chunk_s);
    if (t->slots > 100000 || t->chunk_count > 100000)
        return err_set(err, -EINVAL, ERR_USAGE, "more than 100000 %s",
                       t->slots > 100000 ? "slots" : "chunks");
    return 0;
}

/* Copy info and renditions, group them, count video. */
static int inputs_copy(const struct media_info *info, const struct rendition *r, size_t n,
                       struct plan *p)
{
    if (media_info_copy(info, &p->info) < 0)
        return -ENOMEM;
    p->renditions = calloc(n, sizeof(*p->renditions));
    if (!p->renditions)
        return -ENOMEM;
    for (; p->n_renditions < n; p->n_renditions++) {
        if (rendition_copy(&r[p->n_renditions], &p->renditions[p->n_renditions]) < 0)
            return -ENOMEM;
        p->n_video += r[p->n_renditions].kind == MEDIA_VIDEO;
    }
    return groups_make(p);
}

/* Finer time bases (nanoseconds, in Matroska) are rounded to this: a GOP's
 * length in ticks has to stay below 2^31 in muxers and players. */
enum { TIMESCALE_MAX = 10000000 };

/* Ticks that hold the source's timestamps: exactly where it is finer than a
 * millisecond, else at least 90000 a second. */
static uint32_t timescale_of(const struct timeline *t)
{
    int64_t den = t->tb.den, scale = den, longest = t->end - t->frames[t->n_frames - 1].pts;

    if (den > TIMESCALE_MAX)
        scale = TIMESCALE_MAX;
    if (den <= 1000)
        scale = 90000 % den == 0 ? 90000 : (90000 + den - 1) / den * den;
    for (size_t i = 1; i < t->n_frames; i++)
        if (t->frames[i].pts - t->frames[i - 1].pts > longest)
            longest = t->frames[i].pts - t->frames[i - 1].pts;
    /* A sample's duration has 32 bits in the container. */
    if (scale > 90000 && plan_ticks(longest, 0, t->tb, (uint32_t)scale) > INT32_MAX)
        scale = 90000;
    return (uint32_t)scale;
}

/* Where a track ends, in ticks; refuses times that can't be one timeline's. */
static int track_end(const struct plan *p, const struct audio_info *a, int64_t *ret,
                     struct err *err)
{
    AVRational tb = p->n_video > 0 ? p->info.video.tb : p->info.audio.tb;
    double seconds = (double)a->end * av_q2d(a->tb) - (double)p->origin * av_q2d(tb);

    if (!(fabs(seconds) <= TIMELINE_MAX))
        return err_set(err, -EINVAL, ERR_INPUT,
                       "the timestamps of sound span %.0f hours, at most %.0f are allowed",
                       seconds / 3600, TIMELINE_MAX / 3600);
    if (p->n_video == 0 && a == &p->info.audio)
        *ret = plan_ticks(a->end, p->origin, a->tb, p->timescale);
    else
        *ret = plan_ticks(a->end, 0, a->tb, p->timescale) -
               plan_ticks(p->origin, 0, tb, p->timescale);
    return 0;
}

/* Where the last of the tracks ends. */
static int audio_end(const struct plan *p, int64_t *ret, struct err *err)
{
    int64_t last = INT64_MIN, end = 0;

    for (size_t t = 0; t < plan_tracks(p); t++) {
        int r = track_end(p, media_audio(&p->info, t), &end, err);
        if (r < 0)
            return r;
        last = end > last ? end : last;
    }
    *ret = last;
    return 0;
}

static double video_cost(const struct plan *p)
{
    double sum = 0;

    for (size_t i = 0; i < p->n_video; i++)
        sum += p->renditions[i].cost;
    return sum;
}

/* Deinterlacing looks at a frame on either side, encoders look ahead. */
static struct margin margin_of(const struct plan *p)
{
    size_t beside = video_may_comb(&p->info.video) ? 1 : 0;
    struct margin m = { beside, beside };

    for (size_t i = 0; i < p->n_video; i++)
        if ((size_t)p->renditions[i].look_ahead > m.after)
            m.after = (size_t)p->renditions[i].look_ahead;
    return m;
}

static int chunks_make(const struct timeline *t, const struct targets *want, const size_t *cuts,
                       size_t n, struct plan *p, struct err *err)
{
    unsigned gop = 0, segment = 0;

    p->chunks = calloc(n, sizeof(*p->chunks));
    if (!p->chunks)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++) {
        struct chunk *c = &p->chunks[i];
        int r = chunk_fill(t, want, cuts[i], i + 1 < n ? cuts[i + 1] : t->n_cuts, margin_of(p),
                           i ? c - 1 : NULL, c, err);
        if (r < 0)
            return r;
        p->n_chunks++;
        c->index = (unsigned)i;
        c->first_gop = gop;
        c->first_segment = segment;
        c->cost = video_cost(p) *
                  (cut_work(t, i + 1 < n ? cuts[i + 1] : t->n_cuts) - cut_work(t, cuts[i]));
        gop += (unsigned)c->n_gops;
        segment += (unsigned)c->n_segments;
    }
    return 0;
}

/* A core decodes about 500 megapixels a second. */
static double decode_cost(const struct video_info *v)
{
    double rate = v->rate.num > 0 && v->rate.den > 0 ? av_q2d(v->rate) : 25;

    return (double)v->width * v->height * fmin(rate, 1000) * 2e-9;
}

static int video_cut(const struct timeline *t, const struct targets *want, struct plan *p,
                     struct err *err)
{
    double costs[64] = { 0 }, audio[AUDIO_TRACKS_MAX] = { 0 }, scale = video_cost(p) > 0 ? 1 : 0,
           length;
    struct load load = { .group_cost = costs, .decode_cost = decode_cost(&p->info.video) };
    size_t *cuts = NULL, n = 0;
    int r;

    length = (double)(t->end - t->frames[0].pts) * av_q2d(t->tb);
    for (size_t g = 0; g < p->n_groups && g < 64; g++, load.n_groups++)
        for (size_t i = 0; i < p->groups[g].n_renditions; i++)
            costs[g] += scale > 0 ? p->renditions[p->groups[g].renditions[i]].cost : 1;
    for (size_t i = p->n_video; i < p->n_renditions; i++)
        audio[p->renditions[i].track] += p->renditions[i].cost * length;
    load.audio_cost = audio;
    load.n_audio = plan_tracks(p);
    r = chunk_cuts(t, want, &load, &cuts, &n);
    if (r == 0)
        r = chunks_make(t, want, cuts, n, p, err);
    free(cuts);
    return r;
}

/* Where the first of the tracks begins, in ticks of `tb`. */
static int64_t audio_start_in(const struct plan *p, AVRational tb)
{
    int64_t first = INT64_MAX;

    if (tb.num <= 0 || tb.den <= 0)
        return INT64_MAX; /* refused below */
    for (size_t t = 0; t < plan_tracks(p); t++) {
        const struct audio_info *a = media_audio(&p->info, t);
        int64_t start = av_rescale_q_rnd(a->start, a->tb, tb, AV_ROUND_DOWN);
        first = start < first ? start : first;
    }
    return first > -PTS_LIMIT ? first : -PTS_LIMIT;
}

/* Where the last of them ends. */
static int64_t audio_end_in(const struct plan *p, AVRational tb)
{
    int64_t last = INT64_MIN;

    if (tb.num <= 0 || tb.den <= 0)
        return INT64_MIN;
    for (size_t t = 0; t < plan_tracks(p); t++) {
        const struct audio_info *a = media_audio(&p->info, t);
        int64_t end = av_rescale_q_rnd(a->end, a->tb, tb, AV_ROUND_DOWN);
        last = end > last ? end : last;
    }
    return last < PTS_LIMIT ? last : PTS_LIMIT;
}

static int video_plan(const struct media_index *idx, const struct targets *want, struct plan *p,
                      int64_t *ret_end, struct err *err)
{
    struct extent sound = { INT64_MAX, INT64_MIN, want->segment_s };
    struct timeline t;
    int r;

    if (p->n_video < p->n_renditions) {
        sound.start = audio_start_in(p, p->info.video.tb);
        sound.end = audio_end_in(p, p->info.video.tb);
    }
    r = timeline_make(&p->info, idx, p->renditions, p->n_video, sound, &t, err);
    if (r == 0 && grids_settle(&t, &p->info.video, p->renditions, p->n_video)) {
        timeline_release(&t);
        r = timeline_make(&p->info, idx, p->renditions, p->n_video, sound, &t, err);
    }
    if (r < 0)
        return r;
    p->origin = t.origin;
    p->timescale = timescale_of(&t);
    p->info.video.vfr |= t.head > 0 || t.tail < t.n_frames;
    *ret_end = plan_ticks(t.end, t.origin, t.tb, p->timescale);
    r = repeat_tell(&t, &p->info);
    if (r == 0)
        r = video_cut(&t, want, p, err);
    timeline_release(&t);
    return r;
}

static int plan_fill(const struct media_index *idx, const struct targets *want, struct plan *p,
                     struct err *err)
{
    int audio = p->n_video < p->n_renditions, r = 0;
    int64_t video_end = 0, end = 0;

    p->segment_seconds = want->segment_s;
    p->gop_seconds = want->gop_s;
    if (p->n_video > 0) {
        r = video_plan(idx, want, p, &video_end, err);
    } else {
        p->origin = audio_start_in(p, p->info.audio.tb);
        p->timescale = (uint32_t)p->info.audio.sample_rate;
    }
    if (r < 0)
        return r;
    p->duration = video_end;
    if (!audio)
        return 0;
    r = audio_end(p, &end, err);
    if (r < 0)
        return r;
    p->duration = end > video_end ? end : video_end;
    return audio_cuts_make(p, video_end, err);
}

static int has_times(const struct audio_info *a)
{
    return a->tb.num > 0 && a->tb.den > 0 && a->sample_rate > 0 && a->start <= a->end &&
           a->start >= -PTS_LIMIT && a->end <= PTS_LIMIT;
}

/* Tracks come one by one, each with times. */
static int tracks_check(const struct media_info *info, const struct rendition *r, size_t n,
                        struct err *err)
{
    unsigned next = 0;

    for (size_t i = 0; i < n; i++) {
        if (r[i].kind != MEDIA_AUDIO)
            continue;
        const struct audio_info *a = media_audio(info, r[i].track);
        if (!a || (r[i].track != next && r[i].track + 1 != next))
            return err_set(err, -EINVAL, ERR_INTERNAL, "rendition %s: of track %u", r[i].name,
                           r[i].track);
        if (!has_times(a))
            return err_set(err, -EINVAL, ERR_INPUT, "audio stream %d has no usable times",
                           a->stream);
        next = r[i].track + 1;
    }
    return 0;
}

static int inputs_check(const struct media_info *info, const struct rendition *r, size_t n,
                        struct err *err)
{
    size_t video = 0;

    for (size_t i = 0; i < n; i++) {
        if (r[i].kind == MEDIA_VIDEO && video++ != i)
            return err_set(err, -EINVAL, ERR_INTERNAL, "rendition %s: video must come before audio",
                           r[i].name);
        if (r[i].kind == MEDIA_VIDEO ? info->video.stream < 0 : info->audio.stream < 0)
            return err_set(err, -EINVAL, ERR_INPUT, "rendition %s: the source has no %s", r[i].name,
                           r[i].kind == MEDIA_VIDEO ? "video" : "audio");
    }
    if (n == 0 || n > RENDITIONS_MAX)
        return err_set(err, -EINVAL, ERR_INPUT, "%zu renditions to make, 1 to %d are allowed", n,
                       RENDITIONS_MAX);
    return tracks_check(info, r, n, err);
}

int plan_make(const struct media_info *info, const struct media_index *idx,
              const struct rendition *renditions, size_t n_renditions,
              const struct plan_options *opts, struct plan *ret, struct err *err)
{
    struct targets want = targets_of(opts);
    struct plan p = { 0 };
    int r = targets_check(&want, err);

    if (r == 0)
        r = inputs_check(info, renditions, n_renditions, err);
    if (r < 0)
        return r;
    r = inputs_copy(info, renditions, n_renditions, &p);
    if (r == 0)
        r = plan_fill(idx, &want, &p, err);
    if (r < 0) {
        plan_release(&p);
        return r == -ENOMEM ? err_set(err, r, ERR_RESOURCE, "out of memory while planning") : r;
    }
    *ret = p;
    return 0;
}
