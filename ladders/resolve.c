/* resolve.c - a ladder and a source make renditions. */
#include "resolve.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../common/base/err.h"
#include "encoder.h"
#include "ladder.h"
#include "picture.h"

/* ---- video ---- */

static double pixels_a_second(const struct rendition *r)
{
    return (double)r->width * r->height * av_q2d(r->rate);
}

static void predict(const struct rung *g, struct rendition *r)
{
    const struct encoder *e = g->encoder;
    int wide = strstr(r->pix_fmt, "10") != NULL;
    /* 16-bit samples cost memory, and about a third more time. */
    const struct preset *p = encoder_preset(e, g->preset);
    r->cost = pixels_a_second(r) * p->ns_per_pixel * 1e-9 * (wide ? 1.3 : 1);
    double frame = (double)r->width * r->height * 1.5 * (wide ? 2 : 1);
    r->memory_bytes = (uint64_t)(frame * p->frames_held) + e->base_bytes;
}

int rung_resolve_video(const struct rung *g, const struct video_info *v, struct rendition *r)
{
    struct picture p = picture_of(v);
    r->kind = MEDIA_VIDEO;
    picture_size(p, g, r);
    picture_rate(v, g->max_fps, r);
    picture_color(v, p, g, r);
    r->maxrate = g->maxrate;
    r->may_copy = g->copy;
    /* Above 1440p memory binds before cores do. */
    int large = (r->width < r->height ? r->width : r->height) > 1440;
    r->threads = large ? g->encoder->max_threads : 1;
    r->name = strdup(g->name);
    r->codec = strdup(codec_name(g->codec));
    r->encoder = strdup(g->encoder->name);
    predict(g, r);
    int e = r->name && r->codec && r->encoder ? 0 : -ENOMEM;
    if (e == 0)
        e = g->encoder->add(g, r, g->bufsize ? g->bufsize : g->maxrate * 2);
    if (e < 0)
        rendition_release(r);
    return e;
}

/* Renditions that stand in for one another: same codec, same range. */
static int same_set(const struct rung *a, const struct rung *b)
{
    return a->codec == b->codec && a->range == b->range;
}

/* The smallest of its set is there for sources smaller than every box. */
static int is_smallest(const struct ladder *l, const struct rung *g)
{
    for (size_t i = 0; i < l->n_video; i++) {
        const struct rung *o = &l->rungs[i];
        if (same_set(o, g) && (o->size < g->size || (o->size == g->size && o < g)))
            return 0;
    }
    return 1;
}

static int is_used(const struct ladder *l, const struct rung *g, const struct video_info *v)
{
    if (g->range == RUNG_HDR && !color_is_hdr(&v->color))
        return 0;
    return picture_fit(picture_of(v), g->size) <= PICTURE_SLACK || is_smallest(l, g);
}

/* Best first: pixels, then frames; the file's order among equals (the array
 * is in that order, and insertion keeps it). */
static void sort_best_first(struct rendition *r, size_t n)
{
    for (size_t i = 1; i < n; i++)
        for (size_t j = i; j > 0; j--) {
            int64_t a = (int64_t)r[j].width * r[j].height,
                    b = (int64_t)r[j - 1].width * r[j - 1].height;
            if (a < b || (a == b && av_cmp_q(r[j].rate, r[j - 1].rate) <= 0))
                break;
            struct rendition t = r[j];
            r[j] = r[j - 1];
            r[j - 1] = t;
        }
}

static int resolve_video(const struct ladder *l, const struct video_info *v, struct rendition *out,
                         size_t *n)
{
    for (size_t i = 0; i < l->n_video; i++) {
        if (!is_used(l, &l->rungs[i], v))
            continue;
        int r = rung_resolve_video(&l->rungs[i], v, &out[*n]);
        if (r < 0)
            return r;
        ++*n;
    }
    sort_best_first(out, *n);
    return 0;
}

/* ---- both ---- */

static int has_picture(const struct media_info *m)
{
    return m->video.stream >= 0 && m->video.width > 0 && m->video.height > 0;
}

static int has_sound(const struct media_info *m)
{
    return m->audio.stream >= 0 && m->audio.channels > 0;
}

/* Nothing to encode: whose fault it is decides what a person can do. */
static int nothing_left(const struct ladder *l, const struct media_info *src, struct err *err)
{
    if (!has_picture(src) && !has_sound(src))
        return err_set(err, -EINVAL, ERR_INPUT, "the source has neither usable video nor audio");
    if (has_picture(src) && l->n_video > 0)
        return err_set(err, -EINVAL, ERR_INPUT,
                       "ladder %s has HDR renditions only (range: hdr) and the source is SDR",
                       l->name);
    return err_set(err, -EINVAL, ERR_INPUT, "ladder %s has %s renditions only and the source no %s",
                   l->name, l->n_video ? "video" : "audio", l->n_video ? "video" : "audio");
}

int ladder_resolve(const struct ladder *l, const struct media_info *src, struct rendition **ret,
                   size_t *ret_n, struct err *err)
{
    struct rendition *out = calloc(RENDITIONS_MAX, sizeof(*out));
    size_t n = 0;
    int r = out ? 0 : -ENOMEM;
    if (r == 0 && has_picture(src))
        r = resolve_video(l, &src->video, out, &n);
    int no_video = has_picture(src) && l->n_video > 0 && n == 0;
    if (r == 0 && has_sound(src) && !no_video)
        r = resolve_audio(l, src, out, &n);
    if (r == 0 && n > 0) {
        *ret = out;
        *ret_n = n;
        return 0;
    }
    rendition_list_free(out, n);
    if (r < 0)
        return err_set(err, r, ERR_RESOURCE, "ladder %s: out of memory", l->name);
    return nothing_left(l, src, err);
}
