/* Where audio is cut: with the video's segments, and evenly where there is
 * no video or where a picture stands still for longer than a segment. */
#include "../common/base/err.h"
#include "plan_parts.h"
#include <errno.h>
#include <libavutil/mathematics.h>
#include <math.h>
#include <stdlib.h>

#define AUDIO_CUTS_MAX 1000000 /* as many as a message may hold */

struct audio_cuts {
    int64_t *cuts;
    size_t n, room;
    int64_t segment; /* ticks */
};

static int audio_cut_add(struct audio_cuts *a, int64_t cut)
{
    if (a->n == a->room) {
        size_t room = a->room ? 2 * a->room : 256;
        int64_t *grown = reallocarray(a->cuts, room, sizeof(*grown));
        if (!grown)
            return -ENOMEM;
        a->cuts = grown;
        a->room = room;
    }
    if (a->n >= AUDIO_CUTS_MAX)
        return -E2BIG;
    a->cuts[a->n++] = cut;
    return 0;
}

/* Add cuts between the last one and `to` where that is too long a piece. */
static int audio_cuts_fill(struct audio_cuts *a, int64_t to)
{
    int64_t from = a->cuts[a->n - 1], length = to - from, parts;
    int r = 0;

    if (2 * length <= 3 * a->segment)
        return 0;
    parts = (length + a->segment / 2) / a->segment;
    for (int64_t i = 1; i < parts && r == 0; i++)
        r = audio_cut_add(a, from + av_rescale(length, i, parts));
    return r;
}

static int audio_cuts_until(struct audio_cuts *a, int64_t cut)
{
    int r = audio_cuts_fill(a, cut);

    return r == 0 && cut > a->cuts[a->n - 1] ? audio_cut_add(a, cut) : r;
}

/* Where the video segment after that one begins, or the last one ends. */
static int64_t next_start(const struct plan *p, size_t chunk, size_t segment, int64_t video_end)
{
    const struct chunk *c = &p->chunks[chunk];
    int64_t pts;

    if (segment + 1 < c->n_segments)
        pts = c->gops[c->segments[segment + 1]];
    else if (chunk + 1 < p->n_chunks)
        pts = p->chunks[chunk + 1].start;
    else
        return video_end;
    return plan_ticks(pts, p->origin, p->info.video.tb, p->timescale);
}

static int audio_cuts_video(const struct plan *p, int64_t video_end, struct audio_cuts *a)
{
    int r = 0;

    for (size_t i = 0; i < p->n_chunks; i++) {
        const struct chunk *c = &p->chunks[i];
        for (size_t k = 0; r == 0 && k < c->n_segments; k++) {
            int64_t at = plan_ticks(c->gops[c->segments[k]], p->origin, p->info.video.tb,
                                    p->timescale);
            /* Sound that begins a little before the picture shares its
             * first segment, unless that makes it too long. */
            if (i + k > 0 || at > a->segment / 2 ||
                2 * next_start(p, i, k, video_end) > 3 * a->segment)
                r = audio_cuts_until(a, at);
        }
    }
    return r;
}

int audio_cuts_make(struct plan *p, int64_t video_end, struct err *err)
{
    struct audio_cuts a = { .segment = llround(p->segment_seconds * p->timescale) };
    int r = audio_cut_add(&a, 0);

    if (r == 0)
        r = audio_cuts_video(p, video_end, &a);
    /* What little is heard behind the picture belongs to its last segment, which mustn't be
     * divided for that. */
    int behind = p->n_chunks == 0 || p->duration - video_end > a.segment / 2;
    if (r == 0 && p->n_chunks > 0 && behind)
        r = audio_cuts_until(&a, video_end);
    if (r == 0)
        r = audio_cuts_fill(&a, behind || video_end > p->duration ? p->duration : video_end);
    if (r < 0) {
        free(a.cuts);
        if (r == -E2BIG)
            return err_set(err, -EINVAL, ERR_INPUT, "more than %d audio segments", AUDIO_CUTS_MAX);
        return r;
    }
    p->audio_cuts = a.cuts;
    p->n_audio_cuts = a.n;
    return 0;
}
