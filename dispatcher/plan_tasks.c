/* Which renditions share a decode, and the tasks that come of a plan. */
#include "../common/base/err.h"
#include "../common/wire/task.h"
#include "plan_parts.h"
#include <errno.h>
#include <libavutil/mathematics.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GROUP_MEMORY_MAX (UINT64_C(3) << 30)
#define TASK_MEMORY      (UINT64_C(150) << 20) /* process, decoder, scaler */
#define MINUTE_MS        INT64_C(60000)

/* The last group of this codec with room for `r`, or NULL. */
static struct task_group *group_with_room(const struct plan *p, const struct rendition *r)
{
    for (size_t i = p->n_groups; i-- > 0;) {
        const struct task_group *g = &p->groups[i];
        uint64_t memory = r->memory_bytes;
        for (size_t k = 0; k < g->n_renditions; k++)
            if (__builtin_add_overflow(memory, p->renditions[g->renditions[k]].memory_bytes,
                                       &memory))
                memory = UINT64_MAX;
        if (strcmp(p->renditions[g->renditions[0]].codec, r->codec) == 0)
            return memory <= GROUP_MEMORY_MAX ? &p->groups[i] : NULL;
    }
    return NULL;
}

int groups_make(struct plan *p)
{
    p->groups = calloc(p->n_video ? p->n_video : 1, sizeof(*p->groups));
    if (!p->groups)
        return -ENOMEM;
    for (size_t i = 0; i < p->n_video; i++) {
        struct task_group *g = group_with_room(p, &p->renditions[i]);
        if (!g) {
            g = &p->groups[p->n_groups];
            g->renditions = calloc(p->n_video, sizeof(*g->renditions));
            if (!g->renditions)
                return -ENOMEM;
            p->n_groups++;
        }
        g->renditions[g->n_renditions++] = (unsigned)i;
    }
    return 0;
}

static char *copy_text(const char *s, int *bad)
{
    char *copy = s ? strdup(s) : NULL;

    if (s && !copy)
        *bad = 1;
    return copy;
}

/* What every task of a job has. */
static int task_base(const struct plan *p, const struct task *base, struct task *t)
{
    int bad = media_info_copy(&p->info, &t->info) < 0;

    t->info.n_more_audio = 0; /* a task is of one track at most */
    t->job = copy_text(base->job, &bad);
    t->source = copy_text(base->source, &bad);
    t->etag = copy_text(base->etag, &bad);
    t->output = copy_text(base->output, &bad);
    t->video_codec_hint = copy_text(
        base->video_codec_hint ? base->video_codec_hint : p->info.video.codec, &bad);
    t->attempt = base->attempt ? base->attempt : 1;
    t->origin = p->origin;
    t->timescale = p->timescale;
    return bad ? -ENOMEM : 0;
}

/* Copy a rendition into the task and count its cost. */
static int add(const struct rendition *r, double seconds, struct task *t)
{
    if (rendition_copy(r, &t->renditions[t->n_renditions]) < 0)
        return -ENOMEM;
    t->n_renditions++;
    t->cost += r->cost * seconds;
    if (__builtin_add_overflow(t->memory_bytes, r->memory_bytes, &t->memory_bytes) ||
        t->memory_bytes > INT64_MAX)
        t->memory_bytes = INT64_MAX;
    return 0;
}

/* Rendition `i` of the plan. */
static int task_add(const struct plan *p, size_t i, double seconds, struct task *t)
{
    return add(&p->renditions[i], seconds, t);
}

static int64_t limit_ms(double ms, int64_t least, int64_t most)
{
    if (!(ms > (double)least))
        return least;
    return ms < (double)most ? (int64_t)ms : most;
}

static int chunk_copy(const struct chunk *from, struct chunk *ret)
{
    struct chunk c = *from;

    c.spans = NULL;
    c.n_spans = 0;
    c.stamps = (struct packet_stamps){ 0 };
    c.pts.runs = calloc(from->pts.n_runs + 1, sizeof(*c.pts.runs));
    c.gops = calloc(from->n_gops + 1, sizeof(*c.gops));
    c.segments = calloc(from->n_segments + 1, sizeof(*c.segments));
    if (!c.pts.runs || !c.gops || !c.segments || chunk_spans_copy(from, &c) < 0 ||
        stamps_copy(&from->stamps, &c.stamps) < 0) {
        chunk_release(&c);
        return -ENOMEM;
    }
    if (from->pts.n_runs)
        memcpy(c.pts.runs, from->pts.runs, from->pts.n_runs * sizeof(*c.pts.runs));
    memcpy(c.gops, from->gops, from->n_gops * sizeof(*c.gops));
    memcpy(c.segments, from->segments, from->n_segments * sizeof(*c.segments));
    *ret = c;
    return 0;
}

/* The chunk's seconds, as many as its cost stands for: of pictures that are repeated there are
 * fewer. */
static double chunk_work(const struct plan *p, const struct chunk *c)
{
    double cost = 0;

    for (size_t i = 0; i < p->n_video; i++)
        cost += p->renditions[i].cost;
    return cost > 0 ? c->cost / cost : (double)(c->end - c->start) * av_q2d(p->info.video.tb);
}

static int video_task(const struct plan *p, const struct chunk *c, size_t group, struct task *t)
{
    const struct task_group *g = &p->groups[group];
    double seconds = chunk_work(p, c), preroll;
    char id[64];
    int bad = 0;

    /* A chunk has what its edits make; that there are some is enough. */
    media_keep_edits(&t->info, t->info.video.stream, 1);
    snprintf(id, sizeof(id), "v-%04u-%zu", c->index, group);
    t->id = copy_text(id, &bad);
    t->kind = TASK_VIDEO;
    t->group = (unsigned)group;
    t->renditions = calloc(g->n_renditions, sizeof(*t->renditions));
    t->memory_bytes = TASK_MEMORY;
    if (bad || !t->renditions || chunk_copy(c, &t->chunk) < 0)
        return -ENOMEM;
    for (size_t i = 0; i < g->n_renditions; i++)
        if (task_add(p, g->renditions[i], seconds, t) < 0)
            return -ENOMEM;

    preroll = (double)(c->packets - (c->packets < c->pts.n_frames ? c->packets : c->pts.n_frames));
    t->stall_ms = limit_ms(2 * MINUTE_MS + 20 * preroll, 2 * MINUTE_MS, 10 * MINUTE_MS);
    t->deadline_ms = limit_ms(20e3 * t->cost + 50 * preroll, MINUTE_MS, 25 * MINUTE_MS);
    return 0;
}

/* What a worker is told of the source: the one track, as if there were no
 * other. Without video the origin is in that track's time base. */
static void task_track(const struct plan *p, size_t track, struct task *t)
{
    if (track > 0)
        t->info.audio = *media_audio(&p->info, track);
    if (p->n_video == 0) /* nobody's time base is the video's */
        t->info.video.stream = -1;
    if (track > 0 && p->n_video == 0)
        t->origin = av_rescale_q(p->origin, p->info.audio.tb, t->info.audio.tb);
}

static int audio_task(const struct plan *p, size_t track, struct task *t)
{
    double seconds = (double)p->duration / p->timescale;
    char id[32];
    int bad = 0;

    snprintf(id, sizeof(id), "a-%zu", track);
    t->id = copy_text(id, &bad);
    t->kind = TASK_AUDIO;
    t->group = (unsigned)track;
    task_track(p, track, t);
    media_keep_edits(&t->info, t->info.audio.stream, EDITS_MAX);
    t->renditions = calloc(p->n_renditions - p->n_video, sizeof(*t->renditions));
    t->audio_cuts = calloc(p->n_audio_cuts + 1, sizeof(*t->audio_cuts));
    t->memory_bytes = TASK_MEMORY;
    if (bad || !t->renditions || !t->audio_cuts)
        return -ENOMEM;
    for (size_t i = p->n_video; i < p->n_renditions; i++)
        if (p->renditions[i].track == track && task_add(p, i, seconds, t) < 0)
            return -ENOMEM;
    memcpy(t->audio_cuts, p->audio_cuts, p->n_audio_cuts * sizeof(*t->audio_cuts));
    t->n_audio_cuts = p->n_audio_cuts;
    t->timeline_end = p->duration;
    t->stall_ms = 2 * MINUTE_MS;
    t->deadline_ms = limit_ms(20e3 * t->cost, 5 * MINUTE_MS, 25 * MINUTE_MS);
    return 0;
}

/* All extras that one kind of task makes; none: the task is not there. */
static size_t extras_of(const struct plan *p, enum task_kind kind)
{
    size_t n = 0;

    for (size_t i = 0; i < p->n_extras; i++)
        n += task_kind_of(p->extras[i].kind) == kind;
    return n;
}

static int extra_task(const struct plan *p, enum task_kind kind, struct task *t)
{
    double seconds = (double)p->duration / p->timescale;
    int bad = 0, cut = kind == TASK_TEXT;

    if (!cut)
        media_keep_edits(&t->info, t->info.video.stream, 1);
    t->id = copy_text(cut ? "t-0" : "p-0", &bad);
    t->kind = kind;
    t->renditions = calloc(extras_of(p, kind) + 1, sizeof(*t->renditions));
    t->audio_cuts = calloc(p->n_audio_cuts + 1, sizeof(*t->audio_cuts));
    t->memory_bytes = TASK_MEMORY;
    if (bad || !t->renditions || !t->audio_cuts)
        return -ENOMEM;
    for (size_t i = 0; i < p->n_extras; i++)
        if (task_kind_of(p->extras[i].kind) == kind && add(&p->extras[i], seconds, t) < 0)
            return -ENOMEM;
    if (cut && p->n_audio_cuts) {
        memcpy(t->audio_cuts, p->audio_cuts, p->n_audio_cuts * sizeof(*t->audio_cuts));
        t->n_audio_cuts = p->n_audio_cuts;
    }
    t->timeline_end = p->duration;
    t->stall_ms = 2 * MINUTE_MS;
    t->deadline_ms = 25 * MINUTE_MS;
    return 0;
}

static void tasks_free(struct task *t, size_t n)
{
    for (size_t i = 0; i < n; i++)
        task_release(&t[i]);
    free(t);
}

int plan_tasks(const struct plan *p, const struct task *base, struct task **ret, size_t *ret_n,
               struct err *err)
{
    size_t n_audio = plan_tracks(p), n_text = extras_of(p, TASK_TEXT) > 0;
    size_t first = n_audio + n_text + (extras_of(p, TASK_PICTURES) > 0);
    size_t n = first + p->n_chunks * p->n_groups;
    struct task *tasks = calloc(n + 1, sizeof(*tasks));
    int r = tasks ? 0 : -ENOMEM;

    for (size_t i = 0; r == 0 && i < n; i++) {
        size_t video = i - first;
        r = task_base(p, base, &tasks[i]);
        if (r == 0 && i < n_audio)
            r = audio_task(p, i, &tasks[i]);
        else if (r == 0 && i < first)
            r = extra_task(p, i < n_audio + n_text ? TASK_TEXT : TASK_PICTURES, &tasks[i]);
        else if (r == 0)
            r = video_task(p, &p->chunks[video / p->n_groups], video % p->n_groups, &tasks[i]);
    }
    if (r < 0) {
        tasks_free(tasks, tasks ? n : 0);
        return err_set(err, r, ERR_RESOURCE, "out of memory while making %zu tasks", n);
    }
    *ret = tasks;
    *ret_n = n;
    return 0;
}
