/* What a package is whole without: text, and pictures of it. */
#include "../common/base/err.h"
#include "../common/base/latest.h"
#include "../common/wire/task.h"
#include "plan_parts.h"
#include <errno.h>
#include <libavutil/common.h>
#include <libavutil/mathematics.h>
#include <stdio.h>
#include <stdlib.h>

enum { TEXT_FILES_MAX = 20000, POSTER_SHOTS = 10 };

static int copy_all(const struct rendition *extras, size_t n, struct plan *p)
{
    p->extras = calloc(n + 1, sizeof(*p->extras));
    if (!p->extras)
        return -ENOMEM;
    for (; p->n_extras < n; p->n_extras++)
        if (rendition_copy(&extras[p->n_extras], &p->extras[p->n_extras]) < 0)
            return -ENOMEM;
    return 0;
}

static int warn(struct plan *p, size_t n)
{
    char **list = realloc(p->info.warnings, (p->info.n_warnings + 1) * sizeof(*list));
    char *text = NULL;

    if (!list)
        return -ENOMEM;
    p->info.warnings = list;
    if (asprintf(&text,
                 "%zu subtitle track(s) left out: all in all they would be more than %d files", n,
                 TEXT_FILES_MAX) < 0)
        return -ENOMEM;
    list[p->info.n_warnings++] = text;
    return 0;
}

/* Their result must fit into a message. Text comes first of the extras. */
static int limit_texts(struct plan *p)
{
    size_t n = 0, most = TEXT_FILES_MAX / (p->n_audio_cuts + 1), out = 0;

    most = most ? most : 1;
    for (size_t i = 0; i < p->n_extras; i++) {
        if (p->extras[i].kind == MEDIA_TEXT && i >= most) {
            rendition_release(&p->extras[i]);
            out++;
        } else {
            p->extras[n++] = p->extras[i];
        }
    }
    p->n_extras = n;
    return out > 0 ? warn(p, out) : 0;
}

/* ---- shots ---- */

/* Source pts of a time on the timeline. */
static int64_t pts_at(const struct plan *p, int64_t ms)
{
    return av_sat_add64(p->origin, av_rescale_q(ms, (AVRational){ 1, 1000 }, p->info.video.tb));
}

/* The frame that is shown at `pts`; the first one before it begins. */
static size_t frame_at(const struct timeline *t, int64_t pts)
{
    return latest_at(t->frames, t->n_frames, sizeof(*t->frames), pts);
}

/* The first keyframe shown in [from, to) that is shown as it is decoded; or
 * NULL. Keys are in decode order, which is that of their times but for damage. */
static const struct key *key_within(const struct timeline *t, int64_t from, int64_t to)
{
    size_t a = 0, b = t->n_keys;

    if (t->edited) /* keys have media times */
        return NULL;
    while (a < b) {
        size_t mid = a + (b - a) / 2;
        if (t->keys[mid].pts < from)
            a = mid + 1;
        else
            b = mid;
    }
    for (; a < t->n_keys && t->keys[a].pts < to; a++) {
        const struct key *k = &t->keys[a];
        if (k->pts >= from && !k->unsafe && t->frames[frame_at(t, k->pts)].pts == k->pts)
            return k;
    }
    return NULL;
}

static void fill_shot(const struct timeline *t, size_t frame, struct shot *s)
{
    /* A worker finds a picture by the time that the source tells. */
    while (frame > 0 && t->idx->packets[t->frames[frame].packet].flags & PACKET_MADE)
        frame--;
    int64_t media = frame_media(t, frame);
    size_t seek = seek_packet(t, media, t->frames[frame].packet);
    const struct index_packet *p = &t->idx->packets[seek];

    *s = (struct shot){ .pts = t->frames[frame].pts,
                        .shift = media - t->frames[frame].pts,
                        .seek_pts = p->pts,
                        .seek_dts = p->dts,
                        .seek_pos = p->pos < 0 ? -1 : p->pos };
}

/* What stands for [from, to) ms: a keyframe, which costs one picture, else
 * the frame that is shown when it begins. */
static void choose(const struct plan *p, const struct timeline *t, int64_t from, int64_t to,
                   struct shot *s)
{
    const struct key *k = key_within(t, pts_at(p, from), pts_at(p, to));

    fill_shot(t, frame_at(t, k ? k->pts : pts_at(p, from)), s);
}

static int64_t length_ms(const struct plan *p)
{
    return av_rescale(p->duration, 1000, p->timescale);
}

static void storyboard_shots(const struct plan *p, const struct timeline *t, struct rendition *r)
{
    for (size_t i = 0; i < r->n_shots; i++)
        choose(p, t, (int64_t)i * r->every_ms, (int64_t)(i + 1) * r->every_ms, &r->shots[i]);
}

/* One at the time that was asked for; or some to choose from, out of the first
 * half: what comes later tells too much. */
static void poster_shots(const struct plan *p, const struct timeline *t, struct rendition *r)
{
    int64_t all = length_ms(p);

    if (r->every_ms >= 0) {
        int64_t at = r->every_ms < all ? r->every_ms : all / 2;
        fill_shot(t, frame_at(t, pts_at(p, at)), &r->shots[0]);
        return;
    }
    for (size_t i = 0; i < r->n_shots; i++)
        choose(p, t, all * (int64_t)(i + 1) / (2 * POSTER_SHOTS),
               all * (int64_t)(i + 2) / (2 * POSTER_SHOTS), &r->shots[i]);
}

/* A key's time may jump where a source is damaged. */
static void sort_shots(struct rendition *r)
{
    for (size_t i = 1; i < r->n_shots; i++)
        if (r->shots[i].pts < r->shots[i - 1].pts)
            r->shots[i] = r->shots[i - 1];
}

static size_t shots_of(const struct plan *p, struct rendition *r)
{
    int64_t all = length_ms(p);

    if (r->kind == MEDIA_POSTER)
        return r->every_ms >= 0 ? 1 : POSTER_SHOTS;
    /* Fewer tiles, rather than none, of a film that is very long. */
    while ((all + r->every_ms - 1) / r->every_ms > SHOTS_MAX)
        r->every_ms *= 2;
    return all > 0 ? (size_t)((all + r->every_ms - 1) / r->every_ms) : 1;
}

static int shots_make(struct plan *p, const struct timeline *t, struct rendition *r)
{
    r->n_shots = shots_of(p, r);
    r->shots = calloc(r->n_shots, sizeof(*r->shots));
    if (!r->shots) {
        r->n_shots = 0;
        return -ENOMEM;
    }
    if (r->kind == MEDIA_POSTER)
        poster_shots(p, t, r);
    else
        storyboard_shots(p, t, r);
    sort_shots(r);
    return 0;
}

static int pictures_make(struct plan *p, const struct media_index *idx, struct err *err)
{
    struct timeline t = { 0 };
    const struct extent sound = { p->origin, pts_at(p, length_ms(p)), p->segment_seconds };
    int r = 0, any = 0;

    for (size_t i = 0; i < p->n_extras; i++)
        any |= task_kind_of(p->extras[i].kind) == TASK_PICTURES;
    if (!any)
        return 0;
    r = timeline_make(&p->info, idx, p->renditions, p->n_video, sound, &t, err);
    for (size_t i = 0; r == 0 && i < p->n_extras; i++)
        if (task_kind_of(p->extras[i].kind) == TASK_PICTURES)
            r = shots_make(p, &t, &p->extras[i]);
    timeline_release(&t);
    return r;
}

int plan_add_extras(struct plan *p, const struct media_index *idx, const struct rendition *extras,
                    size_t n, struct err *err)
{
    int r = copy_all(extras, n, p);

    /* Where there is no sound, video is all that there is: it ends with it. */
    if (r == 0 && plan_has_text(p) && p->n_audio_cuts == 0)
        r = audio_cuts_make(p, p->duration, err);
    if (r == 0)
        r = limit_texts(p);
    if (r == 0)
        r = pictures_make(p, idx, err);
    return r == -ENOMEM ? err_set(err, r, ERR_RESOURCE, "out of memory for a plan") : r;
}
